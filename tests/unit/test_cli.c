/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cli.c: the parts of coordctl that decide: numbers and durations, command lines, JSON.
 * Method: tables of inputs with their expected outcome.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/args.h"
#include "client/cli/json.h"

START_TEST(durations)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t ms;
    } table[] = {{"500ms", true, 500},
                 {"10s", true, 10000},
                 {"2m", true, 120000},
                 {"1h", true, 3600000},
                 {"0s", true, 0},
                 {"10", false, 0},
                 {"", false, 0},
                 {"s", false, 0},
                 {"-1s", false, 0},
                 {"1.5s", false, 0},
                 {"1d", false, 0},
                 {"99999999999999999999s", false, 0},
                 {"18446744073709551615h", false, 0}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint64_t ms = 0;
        ck_assert_msg(args_duration(table[i].text, &ms) == table[i].ok, "%s", table[i].text);
        ck_assert_uint_eq(ms, table[i].ms);
    }
}
END_TEST

START_TEST(numbers)
{
    uint64_t n = 7;

    ck_assert(args_number("0", &n) && n == 0);
    ck_assert(args_number("18446744073709551615", &n) && n == UINT64_MAX);
    ck_assert(!args_number("18446744073709551616", &n));
    ck_assert(!args_number("", &n));
    ck_assert(!args_number("-1", &n));
    ck_assert(!args_number("+1", &n));
    ck_assert(!args_number(" 1", &n));
    ck_assert(!args_number("1x", &n));
}
END_TEST

START_TEST(signed_numbers)
{
    int64_t n = 7;

    ck_assert(args_signed("0", &n) && n == 0);
    ck_assert(args_signed("-12", &n) && n == -12);
    ck_assert(args_signed("+12", &n) && n == 12);
    ck_assert(args_signed("9223372036854775807", &n) && n == INT64_MAX);
    ck_assert(args_signed("-9223372036854775808", &n) && n == INT64_MIN);
    ck_assert(!args_signed("9223372036854775808", &n));
    ck_assert(!args_signed("-9223372036854775809", &n));
    ck_assert(!args_signed("--1", &n));
    ck_assert(!args_signed("-", &n));
    ck_assert(!args_signed("", &n));
    ck_assert(!args_signed("1-", &n));
}
END_TEST

START_TEST(sizes)
{
    uint64_t n = 7;

    ck_assert(args_bytes("0", &n) && n == 0);
    ck_assert(args_bytes("4096", &n) && n == 4096);
    ck_assert(args_bytes("64KiB", &n) && n == 64 * 1024);
    ck_assert(args_bytes("5MiB", &n) && n == 5 * 1024 * 1024);
    ck_assert(args_bytes("18446744073709551615", &n) && n == UINT64_MAX);
    ck_assert(!args_bytes("18014398509481984KiB", &n));
    ck_assert(!args_bytes("1kb", &n));
    ck_assert(!args_bytes("KiB", &n));
    ck_assert(!args_bytes("-1", &n));
    ck_assert(!args_bytes("", &n));
}
END_TEST

/* words: NUL-separated, ended by an empty one. */
static int parse(char *words, bool dashes_run, struct args *ret_args, bool *ret_flag,
                 uint64_t *ret_n)
{
    static char *argv[16];
    static bool given;
    const struct arg table[] = {{"flag", 'f', ARG_FLAG, ret_flag, NULL},
                                {"number", 'n', ARG_NUMBER, ret_n, NULL},
                                {"given", 'g', ARG_FLAG, &given, NULL}};
    int argc = 0;

    for (char *w = words; *w != '\0' && argc < 15; w += strlen(w) + 1) {
        argv[argc++] = w;
    }
    argv[argc] = NULL;
    return args_parse(argc, argv, table, 3, dashes_run, 1, 2, ret_args);
}

START_TEST(command_lines)
{
    struct args a;
    bool flag = false;
    uint64_t n = 0;
    char mixed[] = "get\0one\0-f\0--number\0"
                   "12\0two\0";
    char equals[] = "get\0--number=9\0-\0";
    char dashes[] = "get\0--\0-f\0";
    char run[] = "get\0name\0--\0sh\0-c\0";

    ck_assert_int_eq(parse(mixed, false, &a, &flag, &n), EXIT_DONE);
    ck_assert(flag && n == 12 && a.count == 2);
    ck_assert_str_eq(a.values[0], "one");
    ck_assert_str_eq(a.values[1], "two");
    ck_assert_int_eq(parse(equals, false, &a, &flag, &n), EXIT_DONE);
    ck_assert(n == 9 && a.count == 1);
    ck_assert_str_eq(a.values[0], "-");
    ck_assert_int_eq(parse(dashes, false, &a, &flag, &n), EXIT_DONE);
    ck_assert_str_eq(a.values[0], "-f");
    ck_assert_int_eq(parse(run, true, &a, &flag, &n), EXIT_DONE);
    ck_assert(a.count == 1 && a.run_count == 2);
    ck_assert_str_eq(a.run[0], "sh");
    ck_assert_ptr_null(a.run[2]);

    char bundle[] = "get\0-gf\0one\0";
    flag = false;
    ck_assert_int_eq(parse(bundle, false, &a, &flag, &n), EXIT_DONE);
    ck_assert(flag && a.count == 1);
}
END_TEST

START_TEST(command_line_mistakes)
{
    static char lines[][32] = {"get\0--nothing\0x\0",
                               "get\0x\0--number\0",
                               "get\0x\0--number\0ten\0",
                               "get\0--flag=1\0x\0",
                               "get\0x\0--number=1\0--number=2\0",
                               "get\0",
                               "get\0a\0b\0c\0"};
    struct args a;
    bool flag = false;
    uint64_t n = 0;

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ck_assert_int_eq(parse(lines[i], false, &a, &flag, &n), EXIT_USAGE);
    }
    /* A bundle holds flags only, and sets nothing when it holds anything else. */
    char with_value[] = "get\0-fn\0x\0";
    char with_unknown[] = "get\0-fz\0x\0";
    ck_assert_int_eq(parse(with_value, false, &a, &flag, &n), EXIT_USAGE);
    ck_assert_int_eq(parse(with_unknown, false, &a, &flag, &n), EXIT_USAGE);
    ck_assert(!flag);
    char no_command[] = "get\0x\0--\0";
    ck_assert_int_eq(parse(no_command, true, &a, &flag, &n), EXIT_USAGE);
}
END_TEST

START_TEST(misspelt_commands)
{
    static const char *const table[][2] = {
        {"gett", "get"},  {"cerate", "create"}, {"st", "set"},           {"statsu", "status"},
        {"lcok", "lock"}, {"list", "ls"},       {"partion", "partition"}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        ck_assert_str_eq(cli_nearest(table[i][0])->name, table[i][1]);
        ck_assert_ptr_null(cli_find(table[i][0]));
        ck_assert_ptr_nonnull(cli_find(table[i][1]));
    }
    ck_assert_ptr_null(cli_nearest("frob")); /* nobody means rm by that */
    ck_assert_ptr_null(cli_nearest(""));
}
END_TEST

/* What a writer put, as text. Return: static. */
static const char *object(const void *bytes, size_t n)
{
    static char text[256];
    FILE *f = fmemopen(text, sizeof text, "w");

    ck_assert_ptr_nonnull(f);
    struct json j = json_begin(f);
    json_number(&j, "n", 1);
    json_bytes(&j, "v", bytes, n);
    json_end(&j);
    fclose(f);
    return text;
}

START_TEST(json_values)
{
    ck_assert_str_eq(object("a\"\\\n\x01", 5), "{\"n\": 1, \"v\": \"a\\\"\\\\\\n\\u0001\"}\n");
    ck_assert_str_eq(object(NULL, 0), "{\"n\": 1, \"v\": null}\n");
    ck_assert_str_eq(object("", 0), "{\"n\": 1, \"v\": \"\"}\n");
    ck_assert_str_eq(object("\xc3\xa4", 2), "{\"n\": 1, \"v\": \"\xc3\xa4\"}\n");
    /* not UTF-8: overlong, surrogate, cut short, beyond U+10FFFF */
    ck_assert_str_eq(object("\xc0\xaf", 2), "{\"n\": 1, \"v_base64\": \"wK8=\"}\n");
    ck_assert_str_eq(object("\xed\xa0\x80", 3), "{\"n\": 1, \"v_base64\": \"7aCA\"}\n");
    ck_assert_str_eq(object("\xe2\x82", 2), "{\"n\": 1, \"v_base64\": \"4oI=\"}\n");
    ck_assert_str_eq(object("\xf4\x90\x80\x80", 4), "{\"n\": 1, \"v_base64\": \"9JCAgA==\"}\n");
}
END_TEST

START_TEST(json_lists)
{
    static const char *const levels[] = {"session", "a\"b"};
    static char text[64];
    FILE *f = fmemopen(text, sizeof text, "w");

    ck_assert_ptr_nonnull(f);
    struct json j = json_begin(f);
    json_texts(&j, "none", NULL, 0);
    json_texts(&j, "two", levels, 2);
    json_end(&j);
    fclose(f);
    ck_assert_str_eq(text, "{\"none\": [], \"two\": [\"session\", \"a\\\"b\"]}\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli");
    TCase *t = tcase_create("cli");
    SRunner *r = srunner_create(s);

    tcase_add_test(t, durations);
    tcase_add_test(t, numbers);
    tcase_add_test(t, signed_numbers);
    tcase_add_test(t, sizes);
    tcase_add_test(t, command_lines);
    tcase_add_test(t, command_line_mistakes);
    tcase_add_test(t, misspelt_commands);
    tcase_add_test(t, json_values);
    tcase_add_test(t, json_lists);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
