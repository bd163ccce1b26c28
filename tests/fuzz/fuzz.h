/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h: what the fuzzing targets share: the entry that libFuzzer and replay.c call, a reader of the
 * input, and the check whose failure is a finding.
 *
 * A target is one file, fuzz_NAME.c. It keeps nothing from one input to the next, so that an input
 * alone repeats what it did; static storage is used for size only and set anew each time.
 * Thread: one.
 */
#ifndef COORD_TESTS_FUZZ_H
#define COORD_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Run one input; bytes has exactly len bytes, so that a sanitizer sees a read beyond. Return: 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A rule of the code under test. Both fuzzer and replay report the abort with its input. */
#define FUZZ_CHECK(condition, text) \
    ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition, text))

static inline void fuzz_fail(const char *file, int line, const char *condition, const char *text)
{
    (void)fprintf(stderr, "%s:%d: %s: %s\n", file, line, condition, text);
    abort();
}

/* The input as a stream of choices. Past its end all numbers are 0. */
struct fuzz_input {
    const uint8_t *p;
    size_t left;
};

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->p++;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
    uint16_t low = fuzz_u8(in);
    return (uint16_t)(low | fuzz_u8(in) << 8);
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++) {
        n |= (uint64_t)fuzz_u8(in) << (8 * i);
    }
    return n;
}

/* At most len bytes of the input, borrowed from it. Return: how many. */
static inline size_t fuzz_bytes(struct fuzz_input *in, size_t len, const uint8_t **ret_bytes)
{
    size_t some = len < in->left ? len : in->left;
    *ret_bytes = in->p;
    in->p += some;
    in->left -= some;
    return some;
}

/* A number that is likely to matter: one byte of input says a small one, one near `near`, one at the
 * end of the range, or eight bytes of anything. */
static inline uint64_t fuzz_near(struct fuzz_input *in, uint64_t near)
{
    uint8_t how = fuzz_u8(in);
    uint64_t k = how >> 3;
    switch (how & 7) {
    case 0:
        return near;
    case 1:
        return near + k;
    case 2:
        return near - k;
    case 3:
        return k;
    case 4:
        return UINT64_MAX - k;
    case 5:
        return (UINT64_C(1) << (2 * k)) - (how >> 7);
    case 6:
        return fuzz_u64(in);
    default:
        return fuzz_u16(in);
    }
}

#endif
