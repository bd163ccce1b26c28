/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_path.c: goal: exactly the paths of the rules are accepted, and a refusal names the byte and
 * the rule. Method: tables of good and bad paths, edges of every UTF-8 range, lengths at the limits,
 * and a comparison with a second, naive validator over all short strings of a nasty alphabet.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "protocol/message.h"

struct row {
    const char *path;
    size_t len;
    const char *why; /* NULL: valid */
};

#define OK(s)                  \
    {                          \
        s, sizeof(s) - 1, NULL \
    }
#define BAD(s, why)           \
    {                         \
        s, sizeof(s) - 1, why \
    }

static const struct row table[] = {
    OK("/"),
    OK("/a"),
    OK("/a/b"),
    OK("/a b/c"),
    OK("/..."),
    OK("/.a/..b/a./b.."),
    OK("/coord/members"),
    OK("/~!@#$%^&*()\\\"'"),
    OK("/\xc2\xa0"),          /* U+00A0, the first behind the C1 controls */
    OK("/\xc3\xa9t\xc3\xa9"), /* two bytes */
    OK("/\xdf\xbf"),
    OK("/\xe0\xa0\x80"), /* smallest of three bytes */
    OK("/\xe2\x82\xac"),
    OK("/\xed\x9f\xbf"), /* the last before the surrogates */
    OK("/\xee\x80\x80"), /* the first behind them */
    OK("/\xef\xbf\xbf"),
    OK("/\xf0\x90\x80\x80"), /* smallest of four bytes */
    OK("/\xf0\x9f\x98\x80"),
    OK("/\xf4\x8f\xbf\xbf"), /* U+10FFFF */
    BAD("", "byte 0: a path begins with '/'"),
    BAD("a", "byte 0: a path begins with '/'"),
    BAD("a/b", "byte 0: a path begins with '/'"),
    BAD("//", "byte 1: a path does not end with '/'"),
    BAD("/a/", "byte 2: a path does not end with '/'"),
    BAD("//a", "byte 1: a component is empty"),
    BAD("/a//b", "byte 3: a component is empty"),
    BAD("/.", "byte 1: '.' and '..' are no components"),
    BAD("/..", "byte 1: '.' and '..' are no components"),
    BAD("/a/./b", "byte 3: '.' and '..' are no components"),
    BAD("/a/../b", "byte 3: '.' and '..' are no components"),
    BAD("/a\0b", "byte 2: a control character"),
    BAD("/\0", "byte 1: a control character"),
    BAD("/\x01", "byte 1: a control character"),
    BAD("/ab\n", "byte 3: a control character"),
    BAD("/\x1f", "byte 1: a control character"),
    BAD("/\x7f", "byte 1: a control character"),
    BAD("/\xc2\x80", "byte 1: a control character"), /* U+0080 */
    BAD("/\xc2\x9f", "byte 1: a control character"), /* U+009F */
    BAD("/\x80", "byte 1: not valid UTF-8"),         /* continuation alone */
    BAD("/\xbf", "byte 1: not valid UTF-8"),
    BAD("/\xc0\x80", "byte 1: not valid UTF-8"), /* overlong NUL */
    BAD("/\xc0\xaf", "byte 1: not valid UTF-8"), /* overlong slash */
    BAD("/\xc1\xbf", "byte 1: not valid UTF-8"),
    BAD("/\xe0\x80\xaf", "byte 1: not valid UTF-8"), /* overlong in three bytes */
    BAD("/\xe0\x9f\xbf", "byte 1: not valid UTF-8"),
    BAD("/\xf0\x80\x80\xaf", "byte 1: not valid UTF-8"), /* overlong in four */
    BAD("/\xf0\x8f\xbf\xbf", "byte 1: not valid UTF-8"),
    BAD("/\xed\xa0\x80", "byte 1: not valid UTF-8"),     /* first surrogate */
    BAD("/\xed\xbf\xbf", "byte 1: not valid UTF-8"),     /* last surrogate */
    BAD("/\xf4\x90\x80\x80", "byte 1: not valid UTF-8"), /* above U+10FFFF */
    BAD("/\xf5\x80\x80\x80", "byte 1: not valid UTF-8"),
    BAD("/\xff", "byte 1: not valid UTF-8"),
    BAD("/a\xc3", "byte 2: not valid UTF-8"), /* cut short */
    BAD("/a\xc3/b", "byte 2: not valid UTF-8"),
    BAD("/a\xe2\x82", "byte 2: not valid UTF-8"),
    BAD("/a\xe2\x82/", "byte 4: a path does not end with '/'"),
    BAD("/a\xf0\x9f\x98", "byte 2: not valid UTF-8"),
    BAD("/a\xf0\x9f\x98/b", "byte 2: not valid UTF-8"),
};

START_TEST(table_of_paths)
{
    const struct row *row = &table[_i];
    char why[128] = "untouched";
    int r = coord_path_check(row->path, row->len, why, sizeof(why));
    if (row->why == NULL) {
        ck_assert_msg(r == 0, "row %d was refused: %s", _i, why);
        ck_assert_str_eq(why, "untouched");
    } else {
        ck_assert_msg(r == COORD_EBADPATH, "row %d was accepted", _i);
        ck_assert_str_eq(why, row->why);
    }
}
END_TEST

/* "/" + components of the given length until the path has `len` bytes. */
static void fill(char *path, size_t len, size_t component)
{
    for (size_t i = 0; i < len; i++) {
        path[i] = i % (component + 1) == 0 ? '/' : 'x';
    }
}

START_TEST(lengths_at_the_limits)
{
    static char path[65536];
    char why[128];
    fill(path, 256, 255);
    ck_assert_int_eq(coord_path_check(path, 256, why, sizeof(why)), 0);
    fill(path, 257, 256);
    ck_assert_int_eq(coord_path_check(path, 257, why, sizeof(why)), COORD_EBADPATH);
    ck_assert_str_eq(why, "byte 1: a component is longer than 255 bytes");
    fill(path, 1024, 254);
    ck_assert_int_eq(coord_path_check(path, 1024, why, sizeof(why)), 0);
    fill(path, 1026, 254);
    ck_assert_int_eq(coord_path_check(path, 1025, why, sizeof(why)), COORD_EBADPATH);
    ck_assert_str_eq(why, "byte 1024: a path has at most 1024 bytes");
    /* As deep as it can get, far too deep, far too long. */
    fill(path, sizeof(path), 1);
    ck_assert_int_eq(coord_path_check(path, 1024, why, sizeof(why)), 0);
    ck_assert_int_eq(coord_path_check(path, 20000, why, sizeof(why)), COORD_EBADPATH);
    ck_assert_int_eq(coord_path_check(path, sizeof(path), why, sizeof(why)), COORD_EBADPATH);
}
END_TEST

START_TEST(why_may_be_absent_or_short)
{
    char why[8] = "1234567";
    ck_assert_int_eq(coord_path_check("/a//b", 5, NULL, 0), COORD_EBADPATH);
    ck_assert_int_eq(coord_path_check("/a//b", 5, why, 0), COORD_EBADPATH);
    ck_assert_str_eq(why, "1234567");
    ck_assert_int_eq(coord_path_check("/a//b", 5, why, sizeof(why)), COORD_EBADPATH);
    ck_assert_str_eq(why, "byte 3:");
    ck_assert_int_eq(coord_path_check(NULL, 0, NULL, 0), COORD_EBADPATH);
}
END_TEST

/* The rules again, decoding to code points first; over the alphabet below only. */
static bool naive_valid(const uint8_t *s, size_t len)
{
    size_t name = 0; /* bytes of the component so far */
    size_t dots = 0;
    if (len == 0 || s[0] != '/') {
        return false;
    }
    if (len == 1) {
        return true;
    }
    for (size_t i = 1; i < len; i++) {
        if (s[i] == '/') {
            if (name == 0 || (name == dots && dots <= 2)) {
                return false;
            }
            name = 0;
            dots = 0;
            continue;
        }
        if (s[i] == 0xc3) {
            if (i + 1 == len || s[i + 1] != 0xa9) {
                return false;
            }
            i++;
            name += 2;
            continue;
        }
        if (s[i] != 'a' && s[i] != '.') {
            return false;
        }
        name++;
        dots += s[i] == '.' ? 1 : 0;
    }
    return name > 0 && (name != dots || dots > 2);
}

START_TEST(all_short_strings)
{
    static const uint8_t alphabet[] = {'/', '.', 'a', 0xc3, 0xa9, 0};
    uint8_t s[7];
    uint32_t valid = 0;
    for (size_t len = 0; len <= sizeof(s); len++) {
        uint32_t all = 1;
        for (size_t i = 0; i < len; i++) {
            all *= (uint32_t)sizeof(alphabet);
        }
        for (uint32_t n = 0; n < all; n++) {
            uint32_t rest = n;
            for (size_t i = 0; i < len; i++) {
                s[i] = alphabet[rest % sizeof(alphabet)];
                rest /= (uint32_t)sizeof(alphabet);
            }
            bool expected = naive_valid(s, len);
            bool got = coord_path_check((const char *)s, len, NULL, 0) == 0;
            ck_assert_msg(expected == got, "length %zu number %u: %d", len, n, got);
            valid += got ? 1 : 0;
        }
    }
    ck_assert_uint_gt(valid, 100); /* the comparison saw both kinds */
}
END_TEST

/* The rules of path.c's head, one byte after the other; of characters beyond ASCII only those of two bytes. */
static bool slow_valid(const uint8_t *s, size_t len)
{
    size_t name = 0;
    size_t dots = 0;
    for (size_t i = 1; i <= len; i++) {
        if (i == len || s[i] == '/') {
            if (name == 0 || (name == dots && dots <= 2)) {
                return false;
            }
            name = dots = 0;
            continue;
        }
        if (s[i] >= 0xc2 && s[i] < 0xe0) {
            i++;
            if (i == len || s[i] < 0x80 || s[i] > 0xbf || (s[i - 1] == 0xc2 && s[i] < 0xa0)) {
                return false;
            }
            name += 2;
            continue;
        }
        if (s[i] < 0x20 || s[i] >= 0x7f) {
            return false;
        }
        name++;
        dots += s[i] == '.' ? 1 : 0;
    }
    return s[0] == '/';
}

/* Goal: a byte counts alike wherever it stands among others, those that are looked at eight at a time included.
 * Method: every byte at every place of a name of 20, alone and with a second odd one behind it. */
START_TEST(any_byte_anywhere)
{
    static const uint8_t second[] = {'a', '/', '.', 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0xa0, 0xc3, 0xff};
    uint8_t s[21];
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (size_t place = 1; place < sizeof(s) - 1; place++) {
            for (size_t k = 0; k < sizeof(second); k++) {
                memset(s, 'a', sizeof(s));
                s[0] = '/';
                s[place] = (uint8_t)byte;
                s[place + 1] = second[k];
                bool got = coord_path_check((const char *)s, sizeof(s), NULL, 0) == 0;
                ck_assert_msg(slow_valid(s, sizeof(s)) == got, "%02x at %zu before %02x", byte,
                              place, second[k]);
            }
        }
    }
}
END_TEST

START_TEST(parents)
{
    ck_assert_uint_eq(coord_path_parent_len("/", 1), 0);
    ck_assert_uint_eq(coord_path_parent_len("/a", 2), 1);
    ck_assert_uint_eq(coord_path_parent_len("/a/b", 4), 2);
    ck_assert_uint_eq(coord_path_parent_len("/abc/def/g", 10), 8);
    /* Only the bytes up to len count. */
    ck_assert_uint_eq(coord_path_parent_len("/abc/def/g", 8), 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("path");
    TCase *tc = tcase_create("path");
    tcase_add_loop_test(tc, table_of_paths, 0, (int)(sizeof(table) / sizeof(table[0])));
    tcase_add_test(tc, lengths_at_the_limits);
    tcase_add_test(tc, why_may_be_absent_or_short);
    tcase_add_test(tc, all_short_strings);
    tcase_add_test(tc, any_byte_anywhere);
    tcase_add_test(tc, parents);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
