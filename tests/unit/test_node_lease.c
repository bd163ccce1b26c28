/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: with the option a leader answers linearizable reads by its lease, without a message, and never from
 * a state that is older than what had been acknowledged anywhere when the read was sent; without a lease it
 * asks the others as ever.
 * Method: three members in simulated time. A writer goes on at the other members and a reader at the leader,
 * while the leader, whose clock is as slow as the option allows, is cut off, paused, or its disk stalls, in
 * small steps and with many seeds. The rules of the lease itself: test_raft_lease.c and the simulator.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_fixture.h"

#define STEP_NS (2 * CLUSTER_MS)

static void setup_lease(void)
{
    setup();
    options.node.raft.lease_drift_ppm = 1000;
    options.node.raft.link_hint = 0;
}

static struct coord_status status_of(raft_id id)
{
    struct cluster_client *c = greeted(id);
    struct coord_request q = {.op = COORD_OP_STATUS};
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    client_close(c);
    return res.status;
}

static uint64_t send_get(struct cluster_client *c)
{
    struct coord_request q = {.op = COORD_OP_GET, .path = bytes_of("/v")};
    return client_send(c, &q);
}

/* Is a linearizable read answered while no time passes, so that no message can have arrived? */
static bool served_at_once(struct cluster_client *c)
{
    uint64_t number = send_get(c);
    cluster_run(cl, 0);
    bool at_once = client_has(c, number);
    struct coord_result res;
    ck_assert_int_eq(client_wait(c, number, COORD_OP_GET, &res, 5 * CLUSTER_S), 0);
    ck_assert_int_eq(res.receipt.level, COORD_LEVEL_LINEARIZABLE);
    return at_once;
}

START_TEST(the_leader_answers_at_once_and_says_so)
{
    begin();
    struct cluster_client *at_leader = greeted(leader);
    ck_assert_int_eq(client_create(at_leader, "/v", "0", 0), 0);
    uint64_t before = status_of(leader).lease_rounds;
    for (int i = 0; i < 50; i++) {
        ck_assert(served_at_once(at_leader));
        cluster_run(cl, 7 * CLUSTER_MS);
    }
    struct coord_status s = status_of(leader);
    ck_assert(s.lease);
    ck_assert_uint_ge(s.lease_rounds, before + 50);
    /* Other members ask it with a message, as ever. */
    raft_id other = cluster_other(cl, leader);
    struct cluster_client *at_other = greeted(other);
    ck_assert(!served_at_once(at_other));
    ck_assert_uint_eq(status_of(other).lease_rounds, 0);
}
END_TEST

START_TEST(without_the_option_every_read_takes_a_round)
{
    options.node.raft.lease_drift_ppm = 0;
    begin();
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(client_create(c, "/v", "0", 0), 0);
    for (int i = 0; i < 20; i++) {
        ck_assert(!served_at_once(c));
    }
    struct coord_status s = status_of(leader);
    ck_assert(!s.lease);
    ck_assert_uint_eq(s.lease_rounds, 0);
}
END_TEST

START_TEST(when_the_lease_is_over_a_round_takes_its_place)
{
    /* A third of drift: the lease ends long before the leader gives up for want of answers. */
    options.node.raft.lease_drift_ppm = 300000;
    begin();
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(client_create(c, "/v", "0", 0), 0);
    ck_assert(served_at_once(c));
    uint64_t election = options.node.raft.election_min;
    for (raft_id id = 1; id <= 3; id++) {
        if (id != leader) {
            cluster_pause(cl, id, election * 8 / 10);
        }
    }
    cluster_run(cl, election * 72 / 100);
    struct raft_status st;
    raft_status(node_raft(cluster_node(cl, leader)), &st);
    ck_assert_int_eq(st.role, RAFT_LEADER);
    ck_assert(!served_at_once(c)); /* but served, when the others answer again */
    ck_assert_uint_eq(cluster_leader(cl), leader);
    cluster_run(cl, 200 * CLUSTER_MS);
    ck_assert(served_at_once(c));
}
END_TEST

START_TEST(while_leadership_is_handed_over_there_is_no_lease)
{
    options.net_ns = 10 * CLUSTER_MS; /* so that handing over takes its time */
    begin();
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(client_create(c, "/v", "0", 0), 0);
    ck_assert(served_at_once(c));
    cluster_stall_disk(cl, leader, true); /* it gives leadership away for that */
    struct coord_request q = {.op = COORD_OP_SET,
                              .path = bytes_of("/v"),
                              .data = bytes_of("1"),
                              .expect_version = COORD_VERSION_ANY};
    (void)client_send(c, &q);
    uint32_t seen = 0;
    for (int i = 0; i < 2000 && seen < 5; i++) {
        struct raft_status st;
        cluster_run(cl, CLUSTER_MS);
        raft_status(node_raft(cluster_node(cl, leader)), &st);
        if (st.role != RAFT_LEADER || st.transfer_to == 0) {
            continue;
        }
        seen++;
        struct cluster_client *reader = client_connect(cl, leader);
        struct coord_request hello = {.op = COORD_OP_HELLO, .version = COORD_PROTOCOL_VERSION};
        (void)client_send(reader, &hello);
        uint64_t number = send_get(reader);
        cluster_run(cl, 0);
        ck_assert(!client_has(reader, number));
    }
    ck_assert_uint_ge(seen, 3);
}
END_TEST

/* --- nothing stale ----------------------------------------------------------------------------- */

struct reader {
    struct cluster_client *c;
    uint64_t numbers[4096];
    uint32_t expected[4096]; /* acknowledged when the read was sent */
    uint32_t sent;
    uint32_t answered;
    uint32_t served;
};

struct writer {
    struct cluster_client *c;
    uint64_t number; /* 0: none under way */
    uint32_t next;
    uint32_t acked;
};

static void write_on(struct writer *w)
{
    struct coord_result res;
    if (w->number != 0 && client_has(w->c, w->number)) {
        int rc = client_wait(w->c, w->number, COORD_OP_SET, &res, 0);
        w->acked = rc == 0 ? w->next : w->acked;
        w->number = 0;
    }
    if (w->number == 0) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%u", ++w->next);
        struct coord_request q = {.op = COORD_OP_SET,
                                  .path = bytes_of("/v"),
                                  .data = bytes_of(text),
                                  .expect_version = COORD_VERSION_ANY};
        w->number = client_send(w->c, &q);
    }
}

static void read_on(struct reader *r, uint32_t acked)
{
    struct coord_result res;
    while (r->answered < r->sent && client_has(r->c, r->numbers[r->answered])) {
        int rc = client_wait(r->c, r->numbers[r->answered], COORD_OP_GET, &res, 0);
        if (rc == 0) {
            char text[16] = "";
            ck_assert_uint_lt(res.data.len, sizeof(text));
            memcpy(text, res.data.data, res.data.len);
            uint32_t value = (uint32_t)strtoul(text, NULL, 10);
            ck_assert_msg(value >= r->expected[r->answered],
                          "stale: read %u after %u was acknowledged (seed %llu)", value,
                          r->expected[r->answered], (unsigned long long)options.seed);
            r->served++;
        }
        r->answered++;
    }
    if (r->c->open && r->sent < sizeof(r->numbers) / sizeof(r->numbers[0])) {
        r->numbers[r->sent] = send_get(r->c);
        r->expected[r->sent++] = acked;
    }
}

enum trouble { CUT_OFF, PAUSED, STALLED_DISK, KILLED_FOLLOWER, TROUBLES };

static void make_trouble(enum trouble what)
{
    switch (what) {
    case CUT_OFF:
        cluster_isolate(cl, leader, options.seed % 2 == 0);
        break;
    case PAUSED:
        cluster_pause(cl, leader, (300 + options.seed * 137 % 1500) * CLUSTER_MS);
        break;
    case STALLED_DISK:
        cluster_stall_disk(cl, leader, true);
        break;
    default:
        /* One that has answered a moment ago forgets all it has not written down. */
        for (raft_id id = 1; id <= 3; id++) {
            if (id != leader) {
                cluster_cut_one_way(cl, leader, id);
            }
        }
        cluster_kill(cl, cluster_other(cl, leader));
        break;
    }
}

START_TEST(no_read_is_ever_stale)
{
    static struct reader r; /* large for a stack */
    options.node.raft.lease_drift_ppm = 400000;
    uint32_t changes = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        options.seed = seed;
        begin();
        raft_id writer_at = leader % 3 + 1;
        raft_id killed = cluster_other(cl, leader);
        if (_i == KILLED_FOLLOWER && killed == writer_at) {
            writer_at = 6 - leader - killed;
        }
        struct writer w = {.c = greeted(writer_at)};
        ck_assert_int_eq(client_create(w.c, "/v", "0", 0), 0);
        memset(&r, 0, sizeof(r));
        r.c = greeted(leader);
        cluster_slow_clock(cl, leader, 39);
        for (int step = 0; step < 1500; step++) {
            if (step == 100) {
                ck_assert_uint_gt(status_of(leader).lease_rounds, 90);
                make_trouble((enum trouble)_i);
            }
            if (_i == KILLED_FOLLOWER && step == 110) {
                ck_assert_int_eq(cluster_boot(cl, killed), 0);
            }
            write_on(&w);
            read_on(&r, w.acked);
            cluster_run(cl, STEP_NS);
        }
        ck_assert_uint_gt(r.served, 90);
        ck_assert_uint_gt(w.acked, 30);
        changes += cluster_leader(cl) != leader;
        teardown();
    }
    ck_assert_uint_gt(changes, 5); /* else it has shown nothing */
}
END_TEST

START_TEST(a_ping_is_confirmed_by_the_lease_too)
{
    begin();
    uint8_t secret[COORD_SECRET_BYTES];
    struct cluster_client *c = client_connect(cl, leader);
    ck_assert_uint_ne(client_open_session(c, 5000, secret), 0);
    struct coord_request q = {.op = COORD_OP_PING};
    struct coord_result res;
    uint64_t number = client_send(c, &q);
    cluster_run(cl, 0);
    ck_assert(client_has(c, number));
    ck_assert_int_eq(client_wait(c, number, COORD_OP_PING, &res, 0), 0);
    /* Cut off, it keeps no session beyond the lease. */
    cluster_isolate(cl, leader, false);
    cluster_run(cl, options.node.raft.election_min);
    q.number = 0;
    number = client_send(c, &q);
    ck_assert_int_ne(client_wait(c, number, COORD_OP_PING, &res, 5 * CLUSTER_S), 0);
}
END_TEST

START_TEST(a_lease_and_link_hints_exclude_each_other)
{
    options.node.raft.link_hint = CLUSTER_MS;
    struct node_env env = {.ctx = NULL};
    struct node_boot boot = {.term = 0};
    struct node *n = NULL;
    char why[200] = "";
    struct node_options o = options.node;
    o.cluster = "test";
    o.members_count = 1;
    o.members[0].id = 1;
    o.raft.id = 1;
    ck_assert_int_eq(node_create(&o, &env, &boot, 0, 0, &n, why, sizeof(why)), COORD_EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "raft"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("node_lease");
    TCase *tc = tcase_create("lease");
    tcase_add_checked_fixture(tc, setup_lease, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_leader_answers_at_once_and_says_so);
    tcase_add_test(tc, without_the_option_every_read_takes_a_round);
    tcase_add_test(tc, when_the_lease_is_over_a_round_takes_its_place);
    tcase_add_test(tc, while_leadership_is_handed_over_there_is_no_lease);
    tcase_add_loop_test(tc, no_read_is_ever_stale, 0, TROUBLES);
    tcase_add_test(tc, a_ping_is_confirmed_by_the_lease_too);
    tcase_add_test(tc, a_lease_and_link_hints_exclude_each_other);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
