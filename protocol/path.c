/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.c: the rules of a path. One validator for every door: the client library, the server before
 * the log, and the state machine again when it applies.
 *
 * A path is "/" or a sequence of components, each behind a '/'. It is valid UTF-8 of at most
 * COORD_PATH_BYTES_MAX bytes; a component has 1..COORD_NAME_BYTES_MAX bytes and is neither "." nor
 * "..". Control characters (U+0000..U+001F, U+007F..U+009F) are refused. Nothing is normalised: two
 * paths are the same exactly when their bytes are.
 *
 * Leaves to others: which paths are reserved, and who may use one.
 * Thread: any.
 *
 * UTF-8 by its first byte, with the range of the second (the others are 80..bf); this excludes
 * overlong forms, surrogates and everything above U+10FFFF:
 *   00..7f            c2..df 80..bf       e0 a0..bf     e1..ec 80..bf     ed 80..9f
 *   ee..ef 80..bf     f0 90..bf           f1..f3 80..bf                   f4 80..8f
 */
#include "protocol/message.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>

static int refuse(size_t at, const char *rule, char *why, size_t why_bytes)
{
    if (why != NULL && why_bytes > 0) {
        (void)snprintf(why, why_bytes, "byte %zu: %s", at, rule);
    }
    return COORD_EBADPATH;
}

/* Bytes of the sequence that begins with `first`, and the range of its second byte; 0: none. */
static size_t utf8_shape(uint8_t first, uint8_t *ret_low, uint8_t *ret_high)
{
    *ret_low = 0x80;
    *ret_high = 0xbf;
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    if (first < 0xe0) {
        return 2;
    }
    if (first < 0xf0) {
        *ret_low = first == 0xe0 ? 0xa0 : 0x80;
        *ret_high = first == 0xed ? 0x9f : 0xbf;
        return 3;
    }
    *ret_low = first == 0xf0 ? 0x90 : 0x80;
    *ret_high = first == 0xf4 ? 0x8f : 0xbf;
    return 4;
}

/* Bytes of the character at p, 0 when it is not UTF-8. left >= 1. */
static size_t utf8_character(const uint8_t *p, size_t left)
{
    uint8_t low;
    uint8_t high;
    size_t bytes = utf8_shape(p[0], &low, &high);
    if (bytes > left) {
        return 0;
    }
    if (bytes > 1 && (p[1] < low || p[1] > high)) {
        return 0;
    }
    for (size_t i = 2; i < bytes; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }
    return bytes;
}

/* The rule that a component breaks, NULL if none. */
static const char *component_rule(const uint8_t *name, size_t len)
{
    if (len == 0) {
        return "a component is empty";
    }
    if (len > COORD_NAME_BYTES_MAX) {
        return "a component is longer than 255 bytes";
    }
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))) {
        return "'.' and '..' are no components";
    }
    return NULL;
}

/* The rule that the character at p breaks, NULL if none; *ret_bytes is its length. */
static const char *character_rule(const uint8_t *p, size_t left, size_t *ret_bytes)
{
    size_t bytes = utf8_character(p, left);
    if (bytes == 0) {
        return "not valid UTF-8";
    }
    bool c0 = p[0] < 0x20 || p[0] == 0x7f;
    bool c1 = bytes == 2 && p[0] == 0xc2 && p[1] < 0xa0;
    if (c0 || c1) {
        return "a control character";
    }
    *ret_bytes = bytes;
    return NULL;
}

#define BYTES_OF(x) (UINT64_C(0x0101010101010101) * (x)) /* eight times the same one */

/* The highest bit of each byte that is not printable ASCII, or is '/'; of bytes behind the first of those it may be
 * set for others too (a borrow). */
static uint64_t not_plain(uint64_t eight)
{
    uint64_t slash = eight ^ BYTES_OF('/');
    uint64_t del = eight ^ BYTES_OF(0x7f);
    uint64_t low = (eight - BYTES_OF(0x20)) | (slash - BYTES_OF(1)) | (del - BYTES_OF(1)) | eight;
    return low & BYTES_OF(0x80);
}

/* Behind the printable ASCII that begins at `at`: what most names are made of. */
static size_t plain_end(const uint8_t *p, size_t at, size_t len)
{
    while (len - at >= sizeof(uint64_t)) {
        uint64_t eight;
        memcpy(&eight, p + at, sizeof(eight));
        uint64_t ends = not_plain(le64toh(eight));
        if (ends != 0) {
            return at + (size_t)__builtin_ctzll(ends) / 8;
        }
        at += sizeof(eight);
    }
    while (at < len && p[at] >= 0x20 && p[at] < 0x7f && p[at] != '/') {
        at++;
    }
    return at;
}

int coord_path_check(const char *path, size_t len, char *why, size_t why_bytes)
{
    const uint8_t *p = (const uint8_t *)path;
    if (p == NULL || len == 0 || p[0] != '/') {
        return refuse(0, "a path begins with '/'", why, why_bytes);
    }
    if (len > COORD_PATH_BYTES_MAX) {
        return refuse(COORD_PATH_BYTES_MAX, "a path has at most 1024 bytes", why, why_bytes);
    }
    if (len == 1) {
        return 0;
    }
    if (p[len - 1] == '/') {
        return refuse(len - 1, "a path does not end with '/'", why, why_bytes);
    }
    size_t begin = 1; /* of the component */
    size_t at = 1;
    while (at <= len) {
        size_t bytes = 1;
        at = plain_end(p, at, len);
        bool ends = at == len || p[at] == '/';
        const char *rule =
            ends ? component_rule(p + begin, at - begin) : character_rule(p + at, len - at, &bytes);
        if (rule != NULL) {
            return refuse(ends ? begin : at, rule, why, why_bytes);
        }
        at += bytes;
        if (ends) {
            begin = at;
        }
    }
    return 0;
}

bool coord_path_reserved(const char *path, size_t len)
{
    static const char reserved[] = "/coord";
    const size_t n = sizeof(reserved) - 1;
    return len >= n && memcmp(path, reserved, n) == 0 && (len == n || path[n] == '/');
}

size_t coord_path_parent_len(const char *path, size_t len)
{
    assert(path != NULL);
    assert(len >= 1 && path[0] == '/');
    if (len == 1) {
        return 0;
    }
    const char *slash = memrchr(path, '/', len);
    assert(slash != NULL);
    return slash == path ? 1 : (size_t)(slash - path);
}
