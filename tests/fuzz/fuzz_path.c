/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a path is accepted exactly when the rules say so (bad input I8).
 * Method: coord_path_check against a second reading of the rules that shares nothing with it: decode
 * to code points first, then look at components. Input: the path.
 */
#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"

/* One character at p. Return: its bytes, 0 when it is not valid UTF-8 (RFC 3629). */
static size_t code_point(const uint8_t *p, size_t left, uint32_t *ret_c)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t bytes = p[0] < 0x80       ? 1
                   : p[0] >> 5 == 6  ? 2
                   : p[0] >> 4 == 14 ? 3
                   : p[0] >> 3 == 30 ? 4
                                     : 0;
    if (bytes == 0 || bytes > left) {
        return 0;
    }
    uint32_t c = bytes == 1 ? p[0] : p[0] & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    *ret_c = c;
    return c < smallest[bytes] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : bytes;
}

static int characters_good(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint32_t c = 0;
        size_t bytes = code_point(p + i, len - i, &c);
        if (bytes == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            return 0;
        }
        i += bytes;
    }
    return 1;
}

static int path_good(const uint8_t *p, size_t len)
{
    if (len == 0 || len > COORD_PATH_BYTES_MAX || p[0] != '/') {
        return 0;
    }
    if (len == 1) {
        return 1;
    }
    for (size_t begin = 1; begin <= len;) {
        size_t end = begin;
        while (end < len && p[end] != '/') {
            end++;
        }
        size_t n = end - begin;
        if (n == 0 || n > COORD_NAME_BYTES_MAX || (n == 1 && p[begin] == '.') ||
            (n == 2 && p[begin] == '.' && p[begin + 1] == '.')) {
            return 0;
        }
        begin = end + 1;
    }
    return characters_good(p, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char why[80];
    memset(why, 'x', sizeof(why));
    int rc = coord_path_check((const char *)bytes, len, why, sizeof(why));
    FUZZ_CHECK(rc == 0 || rc == COORD_EBADPATH, "no other answer");
    FUZZ_CHECK((rc == 0) == path_good(bytes, len), "the rules");
    FUZZ_CHECK(rc == 0 || memchr(why, 0, sizeof(why)) != NULL, "the reason is a string");
    FUZZ_CHECK(coord_path_check((const char *)bytes, len, NULL, 0) == rc, "without a reason too");
    if (rc != 0) {
        return 0;
    }
    /* Upwards through the parents, all of which are valid, to "/". */
    size_t steps = 0;
    for (size_t n = len; n > 1; steps++) {
        n = coord_path_parent_len((const char *)bytes, n);
        FUZZ_CHECK(n >= 1 && coord_path_check((const char *)bytes, n, NULL, 0) == 0, "a parent");
        FUZZ_CHECK(steps < COORD_PATH_BYTES_MAX, "parents end");
    }
    FUZZ_CHECK(coord_path_parent_len((const char *)bytes, 1) == 0, "\"/\" has none");
    return 0;
}
