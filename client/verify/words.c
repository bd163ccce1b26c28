/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.c: see words.h.
 *
 * Thread: none; nothing is shared.
 */
#include "client/verify/words.h"

#include <string.h>
#include "client/verify/history.h"

/* The next field of *rest, which it is taken from. Return: false when nothing is left. */
bool verify_words_next(struct verify_slice *rest, char separator, struct verify_slice *ret_s)
{
    if (rest->at == NULL) {
        return false;
    }
    const char *end = memchr(rest->at, separator, rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->at) : rest->len;
    *ret_s = (struct verify_slice){rest->at, len};
    rest->at = end != NULL ? end + 1 : NULL;
    rest->len = end != NULL ? rest->len - len - 1 : 0;
    return true;
}

bool verify_words_equal(struct verify_slice s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

/* Split "key=value". */
bool verify_words_split(struct verify_slice s, struct verify_slice *ret_key,
                        struct verify_slice *ret_value)
{
    const char *eq = memchr(s.at, '=', s.len);
    if (eq == NULL) {
        return false;
    }
    *ret_key = (struct verify_slice){s.at, (size_t)(eq - s.at)};
    *ret_value = (struct verify_slice){eq + 1, s.len - ret_key->len - 1};
    return true;
}

bool verify_words_digits(struct verify_slice s, uint32_t base, uint64_t *ret_n)
{
    uint64_t n = 0;
    if (s.len == 0 || s.len > 20) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        uint64_t d = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a') + 10
                                            : 99;
        if (d >= base || n > (UINT64_MAX - d) / base) {
            return false;
        }
        n = n * base + d;
    }
    *ret_n = n;
    return true;
}

/* Undo the percent signs. Return: the text's bytes, 0 when it is none or too long. */
size_t verify_words_decode(struct verify_slice s, char out[VERIFY_TEXT_BYTES_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++, n++) {
        uint64_t byte = (uint8_t)s.at[i];
        if (n == VERIFY_TEXT_BYTES_MAX) {
            return 0;
        }
        if (s.at[i] == '%') {
            struct verify_slice hex = {s.at + i + 1, 2};
            if (i + 2 >= s.len || !verify_words_digits(hex, 16, &byte) || byte == 0) {
                return 0;
            }
            i += 2;
        }
        out[n] = (char)byte;
    }
    out[n] = 0;
    return n;
}

bool verify_words_error(struct verify_slice s, int *ret_error)
{
    static const struct {
        const char *name;
        int error;
    } errors[] = {{"OK", 0},
#define X(name, number, cls, text) {#name, -(number)},
                  COORD_ERRORS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (verify_words_equal(s, errors[i].name)) {
            *ret_error = errors[i].error;
            return true;
        }
    }
    return false;
}

bool verify_words_level(struct verify_slice s, enum coord_consistency *ret_level)
{
    for (int level = COORD_LINEARIZABLE; level <= COORD_LOCAL; level++) {
        if (verify_words_equal(s, coord_consistency_name((enum coord_consistency)level))) {
            *ret_level = (enum coord_consistency)level;
            return true;
        }
    }
    return false;
}

/* Numbers separated by ':', "-" for one that is not known. Return: false unless there are count. */
bool verify_words_numbers(struct verify_slice s, uint64_t *out, size_t count)
{
    struct verify_slice one;
    size_t n = 0;
    while (verify_words_next(&s, ':', &one)) {
        if (n == count) {
            return false;
        }
        if (verify_words_equal(one, "-")) {
            out[n] = VERIFY_UNKNOWN;
        } else if (!verify_words_digits(one, 10, &out[n])) {
            return false;
        }
        n++;
    }
    return n == count;
}
