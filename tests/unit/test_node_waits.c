/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_node_waits.c: with raft's commit_delay a leader tells followers with its next message what is committed; but
 * nobody who waits at a follower, for a write or for an event, waits longer for that.
 * Method: ensembles in simulated time with a delay that could not be overlooked; answers are timed, messages counted.
 */
#include <check.h>
#include <stdlib.h>
#include "tests/lib/node_cluster.h"

#define DELAY_NS (40 * CLUSTER_MS)
#define SOON_NS  (10 * CLUSTER_MS) /* four messages and a write to the disk are 5 ms */

static struct cluster *cl;
static raft_id leader, follower, third;
static struct cluster_client *at_leader, *at_follower;

static void setup(void)
{
    struct cluster_options o;

    cluster_options_init(&o, 3);
    o.node.raft.commit_delay = DELAY_NS;
    cl = cluster_create(&o);
    ck_assert_ptr_nonnull(cl);
    leader = cluster_wait_leader(cl, 10 * CLUSTER_S);
    ck_assert_uint_ne(leader, 0);
    follower = cluster_other(cl, leader);
    third = 6 - leader - follower;
    at_leader = client_connect(cl, leader);
    at_follower = client_connect(cl, follower);
    ck_assert_int_eq(client_hello(at_leader), 0);
    ck_assert_int_eq(client_hello(at_follower), 0);
    ck_assert_int_eq(client_create(at_leader, "/n", "0", 0), 0);
    cluster_run(cl, CLUSTER_S);
}

static void teardown(void)
{
    cluster_destroy(cl);
}

static uint64_t timed_set(struct cluster_client *c)
{
    uint64_t from = cluster_now(cl);

    ck_assert_int_eq(client_set(c, "/n", "1"), 0);
    return cluster_now(cl) - from;
}

static uint64_t applied(raft_id id)
{
    struct cluster_client *c = client_connect(cl, id);
    struct coord_request q = {.op = COORD_OP_STATUS};
    struct coord_result res;

    ck_assert_int_eq(client_hello(c), 0);
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    client_close(c);
    return res.status.applied;
}

/* Two messages for each write and follower, not three; and the last write is told after the delay. */
START_TEST(nobody_waits_and_it_rides)
{
    uint64_t before = cluster_messages(cl);
    uint64_t from = cluster_now(cl);

    for (int i = 0; i < 100; i++) {
        ck_assert_uint_le(timed_set(at_leader), SOON_NS);
    }
    uint64_t beats = (cluster_now(cl) - from) / (50 * CLUSTER_MS) + 1;
    ck_assert_uint_le(cluster_messages(cl) - before, 400 + 4 * beats);
    cluster_run(cl, DELAY_NS + 2 * CLUSTER_MS);
    ck_assert_uint_eq(applied(follower), applied(leader));
    ck_assert_uint_eq(applied(third), applied(leader));
}
END_TEST

START_TEST(a_forwarded_write_is_answered_at_once)
{
    ck_assert_uint_le(timed_set(at_follower), SOON_NS); /* the first one, too */
    cluster_run(cl, CLUSTER_S);
    for (int i = 0; i < 20; i++) {
        ck_assert_uint_le(timed_set(at_follower), SOON_NS);
    }
}
END_TEST

/* Beside one of the leader's own in the same batch, and of the other follower. */
START_TEST(forwarded_writes_of_several_are_answered_at_once)
{
    struct coord_request q = {.op = COORD_OP_SET,
                              .path = bytes_of("/n"),
                              .data = bytes_of("2"),
                              .expect_version = COORD_VERSION_ANY};
    struct cluster_client *at_third = client_connect(cl, third);
    struct cluster_client *all[] = {at_follower, at_third, at_leader, at_third, at_follower};
    uint64_t numbers[5];
    struct coord_result res;

    ck_assert_int_eq(client_hello(at_third), 0);
    for (int round = 0; round < 10; round++) {
        uint64_t from = cluster_now(cl);
        for (int i = 0; i < 5; i++) {
            q.number = 0;
            numbers[i] = client_send(all[i], &q);
        }
        for (int i = 0; i < 5; i++) {
            ck_assert_int_eq(client_wait(all[i], numbers[i], q.op, &res, CLUSTER_S), 0);
        }
        ck_assert_uint_le(cluster_now(cl) - from, SOON_NS);
        cluster_run(cl, 100 * CLUSTER_MS);
    }
}
END_TEST

static bool has_event(void *arg)
{
    uint32_t *i = arg;
    struct coord_event ev;

    return client_event(at_follower, *i, &ev, NULL);
}

START_TEST(a_watch_is_told_at_once)
{
    struct coord_request q = {
        .op = COORD_OP_WATCH, .watch = 1, .path = bytes_of("/n"), .kinds = COORD_CHANGE_CHANGED};
    struct coord_result res;

    ck_assert_int_eq(client_call(at_follower, &q, &res), 0);
    cluster_run(cl, 100 * CLUSTER_MS); /* a heartbeat's answer has said so */
    for (uint32_t i = 0; i < 10; i++) {
        uint64_t from = cluster_now(cl);
        ck_assert_int_eq(client_set(at_leader, "/n", "3"), 0);
        ck_assert(cluster_run_until(cl, has_event, &i, CLUSTER_S));
        ck_assert_uint_le(cluster_now(cl) - from, SOON_NS);
        cluster_run(cl, 100 * CLUSTER_MS);
    }
}
END_TEST

/* It asks the leader, whose round carries the commit index. */
START_TEST(a_linearizable_read_is_answered_at_once)
{
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(client_set(at_leader, "/n", "4"), 0);
        uint64_t from = cluster_now(cl);
        ck_assert_int_eq(client_get(at_follower, "/n", "4"), 0);
        ck_assert_uint_le(cluster_now(cl) - from, SOON_NS);
        ck_assert_int_eq(client_set(at_leader, "/n", "5"), 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node_waits");
    TCase *tc = tcase_create("node_waits");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nobody_waits_and_it_rides);
    tcase_add_test(tc, a_forwarded_write_is_answered_at_once);
    tcase_add_test(tc, forwarded_writes_of_several_are_answered_at_once);
    tcase_add_test(tc, a_watch_is_told_at_once);
    tcase_add_test(tc, a_linearizable_read_is_answered_at_once);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
