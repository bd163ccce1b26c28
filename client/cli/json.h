/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h: writing one JSON object on one line. Keys are plain ASCII of this program's own.
 */
#ifndef COORD_CLI_JSON_H
#define COORD_CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *out;
    bool comma; /* something stands before in this object */
};

struct json json_begin(FILE *out);
void json_end(struct json *j); /* ends the line as well */
void json_number(struct json *j, const char *key, uint64_t n);
void json_signed(struct json *j, const char *key, int64_t n);
void json_real(struct json *j, const char *key, double x); /* one digit behind the point */
void json_decimal(struct json *j, const char *key, double x, int digits);
void json_bool(struct json *j, const char *key, bool b);
void json_text(struct json *j, const char *key, const char *text);
/* Bytes: a string when they are UTF-8, else under KEY_base64; null when bytes is NULL. */
void json_bytes(struct json *j, const char *key, const void *bytes, size_t n);
void json_numbers(struct json *j, const char *key, const uint32_t *n, size_t count);
void json_texts(struct json *j, const char *key, const char *const *texts, size_t count);
/* An object inside: json_open(j, key), members, json_close(j). */
void json_open(struct json *j, const char *key);
void json_close(struct json *j);

#endif
