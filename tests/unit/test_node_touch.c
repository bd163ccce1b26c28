/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_node_touch.c: what keeping many idle sessions alive costs: PINGs are gathered and share rounds, without any log
 * entry, and nobody who is in a hurry waits for it.
 * Method: ensembles in simulated time; messages between members and turns of the loop are counted, answers are timed.
 */
#include <check.h>
#include <stdlib.h>
#include "tests/lib/node_fixture.h"

#define SESSIONS 200

static struct cluster_client *clients[SESSIONS];

static void open_sessions(raft_id member, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        clients[i] = client_connect(cl, member);
        ck_assert_uint_ne(client_open_session(clients[i], 30000, NULL), 0);
    }
    cluster_run(cl, CLUSTER_S); /* what was gathered while they opened is gone */
}

static uint64_t send_ping(struct cluster_client *c)
{
    struct coord_request q = {.op = COORD_OP_PING};

    return client_send(c, &q);
}

static uint64_t log_last(raft_id member)
{
    struct cluster_client *c = greeted(member);
    struct coord_request q = {.op = COORD_OP_STATUS};
    struct coord_result res;

    ck_assert_int_eq(client_call(c, &q, &res), 0);
    client_close(c);
    return res.status.log_last;
}

/* How long until the answer is here. */
static uint64_t wait_ns(struct cluster_client *c, uint64_t number, int expected)
{
    uint64_t from = cluster_now(cl);
    struct coord_result res;

    ck_assert_int_eq(client_wait(c, number, COORD_OP_PING, &res, 5 * CLUSTER_S), expected);
    return cluster_now(cl) - from;
}

static void idle_sessions_share_rounds(raft_id member)
{
    uint64_t numbers[SESSIONS];

    open_sessions(member, SESSIONS);
    uint64_t log = log_last(member), before = cluster_messages(cl), runs = cluster_runs(cl, member);
    for (int i = 0; i < SESSIONS; i++) {
        numbers[i] = send_ping(clients[i]);
        cluster_run(cl, CLUSTER_S / SESSIONS);
    }
    uint64_t messages = cluster_messages(cl) - before;
    /* 80 heartbeats and answers; every 25 ms at most a TOUCH, every 50 ms a round of four messages and a TOUCHED. All of
     * these for each PING would be 1,200. */
    ck_assert_uint_le(messages, 80 + 40 + 20 * 5 + 40);
    ck_assert_uint_le(cluster_runs(cl, member) - runs, 3000);
    for (int i = 0; i < SESSIONS; i++) {
        ck_assert_uint_le(wait_ns(clients[i], numbers[i], 0), 85 * CLUSTER_MS);
    }
    ck_assert_uint_eq(log_last(member), log);
}

/* Those of all members share the leader's rounds. */
START_TEST(idle_sessions_everywhere)
{
    open_sessions(follower, SESSIONS);
    uint32_t half = SESSIONS / 2;
    for (uint32_t i = half; i < SESSIONS; i++) {
        client_close(clients[i]);
        clients[i] = client_connect(cl, i % 2 == 0 ? leader : 6 - leader - follower);
        ck_assert_uint_ne(client_open_session(clients[i], 30000, NULL), 0);
    }
    cluster_run(cl, CLUSTER_S);
    uint64_t before = cluster_messages(cl);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        (void)send_ping(clients[i * 7 % SESSIONS]);
        cluster_run(cl, CLUSTER_S / SESSIONS);
    }
    ck_assert_uint_le(cluster_messages(cl) - before, 80 + 2 * 40 + 20 * 6 + 40);
}
END_TEST

/* Where sessions may be short, nobody is put off for long. */
START_TEST(short_sessions_are_not_put_off)
{
    struct cluster_options o;

    cluster_destroy(cl);
    cluster_options_init(&o, 3);
    o.node.machine.session_min_ms = 500;
    cl = cluster_create(&o);
    leader = cluster_wait_leader(cl, 10 * CLUSTER_S);
    follower = cluster_other(cl, leader);
    open_sessions(follower, 2);
    for (int i = 0; i < 20; i++) {
        (void)send_ping(clients[0]);
        cluster_run(cl, 3 * CLUSTER_MS);
        ck_assert_uint_le(wait_ns(clients[1], send_ping(clients[1]), 0), 45 * CLUSTER_MS);
    }
}
END_TEST

START_TEST(idle_sessions_at_a_follower)
{
    idle_sessions_share_rounds(follower);
}
END_TEST

START_TEST(idle_sessions_at_the_leader)
{
    idle_sessions_share_rounds(leader);
}
END_TEST

/* Four hops of 1 ms at a follower, two at the leader: no gathering after a pause. */
START_TEST(a_ping_after_a_pause_goes_at_once)
{
    open_sessions(follower, 1);
    ck_assert_uint_le(wait_ns(clients[0], send_ping(clients[0]), 0), 6 * CLUSTER_MS);
    open_sessions(leader, 1);
    ck_assert_uint_le(wait_ns(clients[0], send_ping(clients[0]), 0), 4 * CLUSTER_MS);
}
END_TEST

static void behind_a_ping(raft_id member)
{
    struct coord_request get = {.op = COORD_OP_GET, .level = COORD_LEVEL_LOCAL};
    struct coord_result res;

    open_sessions(member, 3);
    (void)send_ping(clients[0]); /* from now on others are gathered */
    cluster_run(cl, CLUSTER_MS / 2);
    uint64_t gathered = send_ping(clients[1]);
    cluster_run(cl, 8 * CLUSTER_MS);
    ck_assert(!client_has(clients[1], gathered));
    uint64_t from = cluster_now(cl);
    get.path = (struct coord_bytes){(const uint8_t *)"/", 1};
    (void)send_ping(clients[2]);
    uint64_t number = client_send(clients[2], &get);
    ck_assert_int_eq(client_wait(clients[2], number, COORD_OP_GET, &res, CLUSTER_S), 0);
    /* 4 ms of hops, where the gathering had 4 ms to go before them. */
    ck_assert_uint_le(cluster_now(cl) - from, 5 * CLUSTER_MS);
    ck_assert(client_has(clients[1], gathered));
}

START_TEST(a_request_behind_a_ping_does_not_wait)
{
    behind_a_ping(follower);
}
END_TEST

START_TEST(a_request_behind_a_ping_does_not_wait_at_the_leader)
{
    behind_a_ping(leader);
}
END_TEST

/* Gathered PINGs are not lost with the leader they would have gone to. */
START_TEST(gathered_pings_survive_the_leader)
{
    open_sessions(follower, 3);
    (void)send_ping(clients[0]);
    cluster_run(cl, CLUSTER_MS / 2);
    uint64_t gathered = send_ping(clients[1]);
    cluster_run(cl, CLUSTER_MS / 2);
    cluster_kill(cl, leader);
    (void)wait_ns(clients[1], gathered, 0);
}
END_TEST

/* A PING sent behind its SESSION_OPEN waits for that, and meanwhile the loop does not go round for it. */
START_TEST(a_ping_behind_its_session)
{
    struct cluster_client *c = client_connect(cl, follower);
    struct coord_request open = {.op = COORD_OP_SESSION_OPEN, .timeout_ms = 30000};

    ck_assert_int_eq(client_hello(c), 0);
    cluster_stall_disk(cl, leader, true);
    cluster_stall_disk(cl, follower, true);
    (void)client_send(c, &open);
    uint64_t number = send_ping(c);
    uint64_t runs = cluster_runs(cl, follower);
    cluster_run(cl, 200 * CLUSTER_MS);
    ck_assert_uint_le(cluster_runs(cl, follower) - runs, 100);
    ck_assert(!client_has(c, number));
    cluster_stall_disk(cl, leader, false);
    cluster_stall_disk(cl, follower, false);
    (void)wait_ns(c, number, 0);
}
END_TEST

/* Answers to a crowd of keep-alives are no reason to keep others waiting: a run gives some, the next more. */
static void crowd(raft_id member)
{
    uint64_t numbers[SESSIONS];

    open_sessions(member, SESSIONS);
    for (int i = 0; i < SESSIONS; i++) {
        numbers[i] = send_ping(clients[i]);
    }
    for (int i = 0; i < SESSIONS; i++) {
        ck_assert_uint_le(wait_ns(clients[i], numbers[i], 0), 85 * CLUSTER_MS);
    }
    ck_assert_uint_le(cluster_sends_most(cl, member), 32);
    ck_assert_uint_gt(cluster_sends_most(cl, member), 16);
}

START_TEST(a_crowd_is_answered_in_parts)
{
    crowd(_i == 0 ? follower : leader);
}
END_TEST

static void ping_next(struct cluster_client *c, uint64_t next_ms, int expected)
{
    struct coord_request q = {.op = COORD_OP_PING, .level_arg = next_ms};

    (void)wait_ns(c, client_send(c, &q), expected);
}

/* When the next PING comes is passed on while it holds, and taken back when it does not. */
START_TEST(what_is_said_of_the_next_ping_is_passed_on)
{
    struct coord_request ping = {.op = COORD_OP_PING, .level_arg = 9000};
    struct coord_request get = {.op = COORD_OP_GET, .level = COORD_LEVEL_LOCAL};
    struct coord_result res;

    get.path = (struct coord_bytes){(const uint8_t *)"/", 1};
    open_sessions(_i == 0 ? follower : leader, 1);
    struct cluster_client *c = clients[0];
    ping_next(c, 0, 0);
    ck_assert_uint_eq(c->doze_ns, 0);
    ping_next(c, 10000, 0);
    ck_assert_uint_eq(c->doze_ns, 10 * CLUSTER_S);
    ping_next(c, 15000, 0); /* the timeout is 30 s */
    ck_assert_uint_eq(c->doze_ns, 15 * CLUSTER_S);
    ping_next(c, 15001, 0); /* that would be dangerously late */
    ck_assert_uint_eq(c->doze_ns, 0);
    ping_next(c, UINT64_MAX, 0);
    ck_assert_uint_eq(c->doze_ns, 0);
    ping_next(c, 10000, 0);
    uint32_t dozes = c->dozes; /* something is under way, or asked: nothing changes */
    (void)client_send(c, &ping);
    uint64_t number = client_send(c, &get);
    ck_assert_int_eq(client_wait(c, number, COORD_OP_GET, &res, CLUSTER_S), 0);
    ck_assert_uint_eq(c->dozes, dozes);
    ck_assert_uint_eq(c->doze_ns, 10 * CLUSTER_S);
    for (raft_id id = 1; id <= 3; id++) {
        if (id != c->member) {
            cluster_kill(cl, id);
        }
    }
    ping_next(c, 10000, COORD_ENOQUORUM); /* it will try again much sooner */
    ck_assert_uint_eq(c->doze_ns, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node_touch");
    TCase *t = tcase_create("touch");
    SRunner *r = srunner_create(s);

    tcase_set_timeout(t, 20);
    tcase_add_checked_fixture(t, setup_and_begin, teardown);
    tcase_add_test(t, idle_sessions_everywhere);
    tcase_add_test(t, short_sessions_are_not_put_off);
    tcase_add_test(t, idle_sessions_at_a_follower);
    tcase_add_test(t, idle_sessions_at_the_leader);
    tcase_add_test(t, a_ping_after_a_pause_goes_at_once);
    tcase_add_test(t, a_request_behind_a_ping_does_not_wait);
    tcase_add_test(t, a_request_behind_a_ping_does_not_wait_at_the_leader);
    tcase_add_test(t, gathered_pings_survive_the_leader);
    tcase_add_test(t, a_ping_behind_its_session);
    tcase_add_loop_test(t, a_crowd_is_answered_in_parts, 0, 2);
    tcase_add_loop_test(t, what_is_said_of_the_next_ping_is_passed_on, 0, 2);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
