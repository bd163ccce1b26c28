/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_cadence.c
 * Goal: a snapshot is begun when what the log has grown is worth it: often where the state is small and the log
 * grows by much, seldom where the state is large and the log grows by little, and never so seldom that the log
 * does not reach back to the snapshot before.
 * Method: an ensemble of three in simulated time; one client writes one after the other, and the snapshots of
 * the leader are counted at given lengths of the log. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_cluster.h"

#define MIB        (1024u * 1024u)
#define BIG        (256u * 1024u)
#define BIG_IN_MIB 4u
#define PAUSE      (100 * CLUSTER_MS) /* a snapshot is complete, and nobody calls it quiet */

static struct cluster *cl;
static struct cluster_options options;
static raft_id leader;
static struct cluster_client *c;
static char big[BIG + 1];

static void setup(void)
{
    cluster_options_init(&options, 3);
    options.node.digest_entries = 0;
    options.node.snapshot_entries = 1000;
    memset(big, 'v', BIG);
}

static void teardown(void)
{
    if (cl != NULL) {
        cluster_destroy(cl);
    }
    cl = NULL;
}

static void begin(void)
{
    cl = cluster_create(&options);
    leader = cluster_wait_leader(cl, 10 * CLUSTER_S);
    ck_assert_uint_ne(leader, 0);
    c = client_connect(cl, leader);
    ck_assert_int_eq(client_hello(c), 0);
    ck_assert_int_eq(client_create(c, "/n", "", 0), 0);
}

static void make_nodes(uint32_t count, const char *data)
{
    char path[32];
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(path, sizeof(path), "/large%u", i);
        ck_assert_int_eq(client_create(c, path, data, 0), 0);
    }
}

static void write_many(uint32_t count, const char *data)
{
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_int_eq(client_set(c, "/n", data), 0);
    }
}

/* What the leader has saved so far. */
static uint32_t saved(void)
{
    cluster_run(cl, PAUSE);
    return cluster_snapshots(cl, leader);
}

/* 32 MiB of log are reason enough, far below snapshot_bytes. */
START_TEST(a_small_state_is_saved_by_bytes)
{
    begin();
    write_many(31 * BIG_IN_MIB, big);
    ck_assert_uint_eq(saved(), 0);
    write_many(2 * BIG_IN_MIB, big);
    ck_assert_uint_eq(saved(), 1);
    write_many(30 * BIG_IN_MIB, big);
    ck_assert_uint_eq(saved(), 1);
    write_many(2 * BIG_IN_MIB, big);
    ck_assert_uint_eq(saved(), 2);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
}
END_TEST

/* A snapshot of 12 MiB wants 48 MiB of log before the next. */
START_TEST(a_larger_state_waits_for_more_bytes)
{
    begin();
    make_nodes(12 * BIG_IN_MIB, big);
    write_many(21 * BIG_IN_MIB, big);
    ck_assert_uint_eq(saved(), 1);
    write_many(46 * BIG_IN_MIB, big);
    ck_assert_uint_eq(saved(), 1);
    write_many(4 * BIG_IN_MIB, big);
    ck_assert_uint_eq(saved(), 2);
}
END_TEST

/* What the configuration names is the most. */
START_TEST(no_more_bytes_than_configured)
{
    options.node.snapshot_bytes = MIB;
    begin();
    make_nodes(BIG_IN_MIB, big);
    uint32_t before = saved();
    ck_assert_uint_eq(before, 1);
    write_many(4 * BIG_IN_MIB, big);
    ck_assert_uint_ge(saved() - before, 3);
}
END_TEST

/* Where the log has grown by little beside the state, twice the entries go by. */
START_TEST(a_large_state_is_saved_at_twice_the_entries)
{
    options.node.snapshot_entries = 100;
    begin();
    make_nodes(BIG_IN_MIB, big);
    write_many(100, "small");
    ck_assert_uint_eq(saved(), 1); /* the first: of nothing it is known that it is large */
    write_many(90, "small");
    ck_assert_uint_eq(saved(), 1);
    write_many(90, "small");
    ck_assert_uint_eq(saved(), 1);
    write_many(30, "small");
    ck_assert_uint_eq(saved(), 2);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
}
END_TEST

START_TEST(a_small_state_is_saved_at_the_entries)
{
    options.node.snapshot_entries = 100;
    begin();
    for (uint32_t i = 1; i <= 4; i++) {
        write_many(100, "small");
        ck_assert_uint_eq(saved(), i);
    }
}
END_TEST

/* Where nobody writes, what was put off is done. */
START_TEST(a_quiet_moment_is_used)
{
    options.node.snapshot_entries = 100;
    begin();
    make_nodes(BIG_IN_MIB, big);
    write_many(100, "small");
    ck_assert_uint_eq(saved(), 1);
    write_many(80, "small");
    cluster_run(cl, 3 * CLUSTER_S);
    ck_assert_uint_eq(cluster_snapshots(cl, leader), 1); /* not even the usual number */
    write_many(40, "small");
    ck_assert_uint_eq(saved(), 1);
    struct coord_request q = {.op = COORD_OP_GET, .path = bytes_of("/n")};
    for (raft_id id = 1; id <= 3; id++) {
        cluster_isolate(cl, id, false);
    }
    (void)client_send(
        c, &q); /* which waits for the others: that is not quiet, and no reason to run on */
    uint64_t runs = cluster_runs(cl, leader);
    cluster_run(cl, 600 * CLUSTER_MS);
    ck_assert(!client_has(c, q.number));
    ck_assert_uint_lt(cluster_runs(cl, leader) - runs, 500);
    ck_assert_uint_eq(cluster_snapshots(cl, leader), 1);
    cluster_heal(cl);
    runs = cluster_runs(cl, leader);
    cluster_run(cl, CLUSTER_S);
    ck_assert_uint_eq(cluster_snapshots(cl, leader), 2);
    ck_assert_uint_lt(cluster_runs(cl, leader) - runs, 1000); /* it slept meanwhile */
}
END_TEST

/* Two of the longest distances fit into three quarters of the log, so it still reaches back to the snapshot before:
 * a member that was away for less needs the log alone. */
START_TEST(the_log_reaches_back_to_the_snapshot_before)
{
    options.node.snapshot_entries = 150;
    options.node.raft.log_slots = 512;
    begin();
    raft_id away = cluster_other(cl, leader);
    make_nodes(BIG_IN_MIB, big);
    write_many(150, "small");
    ck_assert_uint_eq(saved(), 1);
    write_many(170, "small");
    ck_assert_uint_eq(saved(), 1);
    cluster_isolate(cl, away, true);
    write_many(40, "small");
    ck_assert_uint_eq(saved(), 2); /* at 192 */
    write_many(100, "small");
    ck_assert_uint_eq(saved(), 2);
    cluster_heal(cl);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
    ck_assert_uint_eq(cluster_log_count(cl, away, "snapshot installed"), 0);
}
END_TEST

/* One that was away for longer than the log of large values reaches back is given a snapshot, which is smaller. */
START_TEST(a_member_that_lags_by_bytes_is_caught_up)
{
    begin();
    raft_id away = cluster_other(cl, leader);
    cluster_isolate(cl, away, true);
    write_many(100 * BIG_IN_MIB, big);
    ck_assert_uint_eq(saved(), 3);
    cluster_heal(cl);
    ck_assert(cluster_wait_equal(cl, 20 * CLUSTER_S));
    ck_assert_uint_ge(cluster_log_count(cl, away, "snapshot installed"), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("node: when a snapshot is due");
    TCase *tc = tcase_create("cadence");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_small_state_is_saved_by_bytes);
    tcase_add_test(tc, a_larger_state_waits_for_more_bytes);
    tcase_add_test(tc, no_more_bytes_than_configured);
    tcase_add_test(tc, a_large_state_is_saved_at_twice_the_entries);
    tcase_add_test(tc, a_small_state_is_saved_at_the_entries);
    tcase_add_test(tc, a_quiet_moment_is_used);
    tcase_add_test(tc, the_log_reaches_back_to_the_snapshot_before);
    tcase_add_test(tc, a_member_that_lags_by_bytes_is_caught_up);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
