/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.h: a growing run of bytes with numbers put at its end, for the frames of the load generators.
 *
 * Invariants
 *   1. len <= cap; bytes [0, len) are set. All zero is empty.
 *   2. Once memory was refused, `failed` stays set and nothing more is put: look at it once, after a frame.
 * Thread: the one that owns it.
 */
#ifndef COORD_TESTS_BENCH_BYTES_H
#define COORD_TESTS_BENCH_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t len, cap;
    bool failed;
};

/* Room for n more bytes behind len, which does not move. Return: its start, or NULL (failed is set). */
uint8_t *bytes_room(struct bytes *b, size_t n);

/* Put at the end: n bytes as they are; one byte; big-endian numbers. */
void bytes_put(struct bytes *b, const void *data, size_t n);
void bytes_put_u8(struct bytes *b, uint8_t v);
void bytes_put_u32(struct bytes *b, uint32_t v);
void bytes_put_u64(struct bytes *b, uint64_t v);

/* Overwrite four bytes at `at`, which were put before, with a big-endian number. */
void bytes_set_u32(struct bytes *b, size_t at, uint32_t v);

/* Take n bytes (at most len) from the front; the rest moves up. */
void bytes_drop(struct bytes *b, size_t n);

/* Give the memory back; empty again afterwards. */
void bytes_clear(struct bytes *b);

/* Big-endian numbers at p. */
uint32_t bytes_get_u32(const uint8_t *p);
uint64_t bytes_get_u64(const uint8_t *p);

#endif
