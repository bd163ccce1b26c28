/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.h: the words of a line of a history: fields, numbers, names, escaped text. Allocates nothing.
 *
 * Thread: none; nothing is shared.
 */
#ifndef COORD_CLIENT_VERIFY_WORDS_H
#define COORD_CLIENT_VERIFY_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <coord/coord.h>

#define VERIFY_TEXT_BYTES_MAX (2 * COORD_PATH_MAX) /* of a path or a name, decoded */

/* Bytes of the text that is read; borrowed. */
struct verify_slice {
    const char *at;
    size_t len;
};

/* Take the next field off *rest. Return: false when nothing is left. */
bool verify_words_next(struct verify_slice *rest, char separator, struct verify_slice *ret_s);
bool verify_words_equal(struct verify_slice s, const char *text);
/* Split "key=value". Return: false when it is none. */
bool verify_words_split(struct verify_slice s, struct verify_slice *ret_key,
                        struct verify_slice *ret_value);
/* A number of digits only. base: 10 or 16. Return: false otherwise, or when out of range. */
bool verify_words_digits(struct verify_slice s, uint32_t base, uint64_t *ret_n);
/* Undo the percent signs. Return: the text's bytes, 0 when it is none or too long. */
size_t verify_words_decode(struct verify_slice s, char out[VERIFY_TEXT_BYTES_MAX + 1]);
/* Numbers separated by ':', "-" for one that is not known. Return: false unless there are count. */
bool verify_words_numbers(struct verify_slice s, uint64_t *out, size_t count);
/* Names of errors ("OK", "ENONODE") and levels ("local"). Return: false for others. */
bool verify_words_error(struct verify_slice s, int *ret_error);
bool verify_words_level(struct verify_slice s, enum coord_consistency *ret_level);

#endif
