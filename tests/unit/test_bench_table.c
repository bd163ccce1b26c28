/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_bench_table.c: goal: the table of tests/bench says what the lines of results say: medians, ratios the right way
 * round, nothing where nothing was measured; and CPU time is read from the right fields. Method: lines given by
 * hand, the printed text compared.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/bench/table.h"
#include "tests/bench/usage.h"

static struct table t;

static void empty(void)
{
    table_clear(&t);
}

static void add(const char *line)
{
    ck_assert_msg(table_add(&t, line) == 0, "%s", line);
}

/* What a function prints; the caller frees it. */
static char *printed(void (*print)(const struct table *, FILE *))
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    ck_assert_ptr_nonnull(out);
    print(&t, out);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

START_TEST(medians)
{
    double one[] = {7}, odd[] = {9, 1, 5}, even[] = {4, 1, 3, 100};

    ck_assert_double_eq(table_median(one, 1), 7);
    ck_assert_double_eq(table_median(odd, 3), 5);
    ck_assert_double_eq(table_median(even, 4), 3.5);
}
END_TEST

START_TEST(ratios_say_times_better)
{
    ck_assert_double_eq(table_ratio(300, 100, TABLE_MORE), 3);
    ck_assert_double_eq(table_ratio(100, 300, TABLE_LESS), 3);
    ck_assert_double_eq(table_ratio(300, 100, TABLE_LESS), 100.0 / 300);
    ck_assert_double_eq(table_ratio(0, 100, TABLE_MORE), 0);
    ck_assert_double_eq(table_ratio(1, 0, TABLE_MORE), 0);
    ck_assert_double_eq(table_ratio(0, 100, TABLE_LESS), 0);
}
END_TEST

START_TEST(lines_become_samples)
{
    double v = 0;

    add("round=1 cell=set system=coord op=set secs=2.5 ops_s=100\n");
    add("round=2 cell=set system=coord op=set ops_s=300\n");
    add("round=3 cell=set system=coord op=set ops_s=110");
    add("round=1 cell=set system=etcd ops_s=7");
    add("round=1 cell=get system=coord ops_s=9");
    ck_assert(table_value(&t, "set", "coord", "ops_s", &v));
    ck_assert_double_eq(v, 110);
    ck_assert(table_value(&t, "set", "etcd", "ops_s", &v));
    ck_assert_double_eq(v, 7);
    ck_assert(table_value(&t, "get", "coord", "ops_s", &v));
    ck_assert_double_eq(v, 9);
    ck_assert(table_value(&t, "set", "coord", "secs", &v));
    ck_assert_double_eq(v, 2.5);
    ck_assert(!table_value(&t, "set", "zookeeper", "ops_s", &v));
    ck_assert(!table_value(&t, "get", "coord", "secs", &v));
    ck_assert(!table_value(&t, "set", "coord", "op", &v)); /* no number */
    ck_assert(!table_value(&t, "none", "coord", "ops_s", &v));
    ck_assert(!table_value(&t, "set", "other", "ops_s", &v));
}
END_TEST

START_TEST(other_lines_are_refused)
{
    ck_assert_int_eq(table_add(&t, ""), -1);
    ck_assert_int_eq(table_add(&t, "cell=set ops_s=1"), -1);
    ck_assert_int_eq(table_add(&t, "system=coord ops_s=1"), -1);
    ck_assert_int_eq(table_add(&t, "cell=set system=other ops_s=1"), -1);
    ck_assert_int_eq(table_add(&t, "subcell=set system=coord ops_s=1"), -1);
    ck_assert_uint_eq(t.samples_count, 0);
}
END_TEST

START_TEST(too_many_cells_are_refused)
{
    char line[64];

    for (int i = 0; i < TABLE_CELLS_MAX; i++) {
        (void)snprintf(line, sizeof line, "cell=c%d system=coord ops_s=%d", i, i);
        add(line);
    }
    ck_assert_int_eq(table_add(&t, "cell=more system=coord ops_s=1"), -1);
    add("cell=c0 system=etcd ops_s=1");
}
END_TEST

START_TEST(markdown_has_medians_and_ratios)
{
    add("cell=set_1x1 show=p50_us,ops_s system=coord ops_s=1234567.4 p50_us=100 other=3");
    add("cell=set_1x1 show=p50_us,ops_s system=etcd ops_s=100 p50_us=250");
    add("cell=idle show=rss_mb system=zookeeper rss_mb=75.25");
    add("cell=kill show=first_ms system=coord first_ms=30");
    add("cell=kill show=first_ms system=coord first_ms=10");
    add("cell=kill show=first_ms system=coord first_ms=20");
    add("cell=kill show=first_ms system=zookeeper first_ms=600");
    add("cell=once show=first_ms system=coord first_ms=5");
    char *text = printed(table_print);
    ck_assert_str_eq(
        text, "| load | median of | coord | ZooKeeper | etcd | times better than ZooKeeper | "
              "than etcd |\n|---|---|---|---|---|---|---|\n"
              "| set 1x1 | operations/s | 1,234,567 | | 100 | | 12346 |\n"
              "| set 1x1 | p50, us | 100 | | 250 | | 2.5 |\n"
              "| idle | MB of each member | | 75.2 | | | |\n"
              "| kill | ms | 20 | 600 | | 30 | |\n"
              "| kill | ms, worst | 30 | 600 | | 20 | |\n"
              "| once | ms | 5 | | | | |\n");
    free(text);
}
END_TEST

START_TEST(generators_have_their_own_table)
{
    add("cell=set system=coord own_cpu_100k=0.05 own_share=0.12");
    add("cell=set system=zookeeper own_cpu_100k=0.1 own_share=0.03");
    add("cell=idle system=coord rss_mb=7");
    char *text = printed(table_print_generators);
    ck_assert_str_eq(text, "| load | coordload | zkload | etcdload |\n|---|---|---|---|\n"
                           "| set | 0.05 s, 12 % | 0.10 s, 3 % | |\n");
    free(text);
}
END_TEST

START_TEST(json_has_everything)
{
    add("cell=set system=coord ops_s=5");
    add("cell=set system=coord ops_s=1");
    add("cell=set system=coord ops_s=3 p50_us=0.5 secs=2");
    add("cell=set system=etcd ops_s=1.5 p50_us=1 secs=2");
    char *text = printed(table_print_json);
    ck_assert_str_eq(
        text,
        "{\n\"set\":{\n \"coord\":{\"ops_s\":{\"median\":3,\"min\":1,\"max\":5,\"samples\":3},"
        "\"p50_us\":{\"median\":0.5,\"min\":0.5,\"max\":0.5,\"samples\":1},"
        "\"secs\":{\"median\":2,\"min\":2,\"max\":2,\"samples\":1}},"
        "\n \"zookeeper\":{},"
        "\n \"etcd\":{\"ops_s\":{\"median\":1.5,\"min\":1.5,\"max\":1.5,\"samples\":1},"
        "\"p50_us\":{\"median\":1,\"min\":1,\"max\":1,\"samples\":1},"
        "\"secs\":{\"median\":2,\"min\":2,\"max\":2,\"samples\":1}},"
        "\n \"times_better_than_zookeeper\":{},"
        "\n \"times_better_than_etcd\":{\"ops_s\":2,\"p50_us\":2}}\n}\n");
    free(text);
}
END_TEST

START_TEST(cpu_ticks_are_user_and_system)
{
    uint64_t ticks = 0;

    ck_assert(usage_parse_stat("42 (java) S 1 2 3 4 5 6 7 8 9 10 1100 22 0 0 20 0", &ticks));
    ck_assert_uint_eq(ticks, 1122);
    ck_assert(usage_parse_stat("42 (a) b (c 9) S 1 2 3 4 5 6 7 8 9 10 3 4 0 0\n", &ticks));
    ck_assert_uint_eq(ticks, 7);
    ck_assert(!usage_parse_stat("", &ticks));
    ck_assert(!usage_parse_stat("42 (java)", &ticks));
    ck_assert(!usage_parse_stat("42 (java) S 1 2 3 4 5 6 7 8 9 10", &ticks));
    ck_assert(!usage_parse_stat("42 (java) S 1 2 3 4 5 6 7 8 9 10 11 x", &ticks));
}
END_TEST

START_TEST(machine_ticks_are_all_but_idle)
{
    uint64_t ticks = 0;

    ck_assert(usage_parse_machine("cpu  1 20 300 7777 8888 4000 50000 600000 9 9\ncpu0 1", &ticks));
    ck_assert_uint_eq(ticks, 654321);
    ck_assert(!usage_parse_machine("cpu0 1 2 3 4 5 6 7 8", &ticks));
    ck_assert(!usage_parse_machine("cpu  1 2 3 4 5 6 7\n", &ticks));
    ck_assert(!usage_parse_machine("", &ticks));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench_table");
    TCase *tc = tcase_create("bench_table");
    tcase_add_checked_fixture(tc, empty, empty);
    tcase_add_test(tc, medians);
    tcase_add_test(tc, ratios_say_times_better);
    tcase_add_test(tc, lines_become_samples);
    tcase_add_test(tc, other_lines_are_refused);
    tcase_add_test(tc, too_many_cells_are_refused);
    tcase_add_test(tc, markdown_has_medians_and_ratios);
    tcase_add_test(tc, generators_have_their_own_table);
    tcase_add_test(tc, json_has_everything);
    tcase_add_test(tc, cpu_ticks_are_user_and_system);
    tcase_add_test(tc, machine_ticks_are_all_but_idle);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
