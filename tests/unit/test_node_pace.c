/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_pace.c
 * Goal: with a quorum and a disk that keeps pace, no load makes a write wait for a snapshot, and none is
 * refused or in doubt; a disk that is too slow for the load slows it down evenly.
 * Method: an ensemble of three in simulated time with a small log, a state that takes many times longer to copy
 * at the usual pace than the log has room for, and clients that write as fast as they are answered. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_cluster.h"

#define CLIENTS_MAX 400u

struct writer {
    struct cluster_client *c;
    uint64_t number; /* 0: nothing is under way */
    uint64_t sent_at;
};

static struct cluster *cl;
static struct cluster_options options;
static raft_id leader;
static raft_id follower;
static struct writer writers[CLIENTS_MAX];
static uint32_t clients;
static uint64_t longest; /* that a write waited */
static uint64_t silence; /* the longest time without any answer */
static uint64_t answer_at;
static uint32_t refused;
static uint32_t answered;
static uint32_t names;
static char value[1024];

static void setup(void)
{
    cluster_options_init(&options, 3);
    options.node.snapshot_entries = 150;
    options.node.raft.log_slots = 512;
    memset(value, 'v', sizeof(value));
    names = 0;
    clients = 48;
}

static void teardown(void)
{
    if (cl != NULL) {
        cluster_destroy(cl);
    }
    cl = NULL;
}

static void start(void)
{
    cl = cluster_create(&options);
    leader = cluster_wait_leader(cl, 10 * CLUSTER_S);
    ck_assert_uint_ne(leader, 0);
    follower = cluster_other(cl, leader);
    cluster_run(cl, 200 * CLUSTER_MS); /* followers know */
}

/* The clients, in turns at one and the other. */
static void connect_to(raft_id one, raft_id other)
{
    for (uint32_t i = 0; i < clients; i++) {
        writers[i] = (struct writer){.c = client_connect(cl, i % 2 == 0 ? one : other)};
        ck_assert_int_eq(client_hello(writers[i].c), 0);
    }
}

static void begin(void)
{
    start();
    connect_to(leader, follower);
}

static void take_answer(struct writer *w)
{
    struct coord_result res;
    char why[256];
    const struct cluster_frame *f = w->c->last;
    if (w->number == 0 || f == NULL || f->number != w->number) {
        return;
    }
    ck_assert_int_eq(
        coord_result_decode(COORD_OP_CREATE, f->body->data, f->body->len, &res, why, sizeof(why)),
        0);
    refused += res.error != 0;
    if (f->at > answer_at) {
        silence = f->at - answer_at > silence ? f->at - answer_at : silence;
        answer_at = f->at;
    }
    longest = f->at - w->sent_at > longest ? f->at - w->sent_at : longest;
    answered++;
    w->number = 0;
}

/* So many creates of values of such a size, each client one after the other. */
static void load(uint32_t count, uint32_t bytes)
{
    char path[32];
    uint32_t sent = 0;
    uint64_t give_up = cluster_now(cl) + 600 * CLUSTER_S;
    longest = silence = refused = answered = 0;
    answer_at = cluster_now(cl);
    while (answered < count && cluster_now(cl) < give_up) {
        for (uint32_t i = 0; i < clients; i++) {
            struct writer *w = &writers[i];
            take_answer(w);
            if (w->number != 0 || sent == count) {
                continue;
            }
            (void)snprintf(path, sizeof(path), "/n%08u", names++);
            struct coord_request q = {.op = COORD_OP_CREATE,
                                      .path = bytes_of(path),
                                      .data = {(const uint8_t *)value, bytes}};
            w->number = client_send(w->c, &q);
            w->sent_at = cluster_now(cl);
            sent++;
        }
        cluster_run(cl, CLUSTER_MS / 2);
    }
    ck_assert_uint_eq(answered, count);
}

/* At the usual pace a copy of this state takes 3 s, in which some 10,000 writes come: 30 times what the log
 * has room for. */
START_TEST(no_write_waits_for_a_snapshot)
{
    options.node.slice_records = 1;
    begin();
    load(3000, 10);
    uint32_t before = cluster_snapshots(cl, leader);
    load(3000, 10);
    ck_assert_uint_eq(refused, 0);
    ck_assert_uint_ge(cluster_snapshots(cl, leader) - before, 10);
    ck_assert_uint_lt(longest, 30 * CLUSTER_MS);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
}
END_TEST

/* A snapshot's file takes 0.8 s, in which the log could be filled several times. Writes go on as the file
 * grows; only its end, which takes 0.1 s, may be waited for. */
START_TEST(a_slow_disk_slows_writes_down_evenly)
{
    begin();
    load(8000, sizeof(value));
    cluster_snapshot_time(cl, 20 * CLUSTER_MS);
    uint32_t before = cluster_snapshots(cl, leader);
    load(2000, sizeof(value));
    ck_assert_uint_eq(refused, 0);
    ck_assert_uint_ge(cluster_snapshots(cl, leader) - before, 5);
    ck_assert_uint_lt(silence, 150 * CLUSTER_MS);
    ck_assert(cluster_wait_equal(cl, 20 * CLUSTER_S));
}
END_TEST

/* Behind many others a write waits longer than anything that gets nowhere may: it is no error, neither at the
 * leader nor at a member that has nothing of its own applied for that long. */
START_TEST(a_long_queue_is_no_error)
{
    clients = CLIENTS_MAX;
    begin();
    load(8000, sizeof(value));
    cluster_snapshot_time(cl, 100 * CLUSTER_MS);
    load(2000, sizeof(value));
    ck_assert_uint_eq(refused, 0);
    ck_assert_uint_gt(longest, 4 * options.node.raft.election_max);
}
END_TEST

static bool is_saving(raft_id id)
{
    return cluster_log_count(cl, id, "snapshot begun") > cluster_snapshots(cl, id);
}

static bool is_replaced(void *arg)
{
    return cluster_log_count(cl, *(raft_id *)arg, "snapshot installed") > 0;
}

/* A member is in the middle of a snapshot when it is given the leader's in place of its state. That is no failure
 * of its disk: the next one is begun as soon as its log wants it, and a write that needs this member for its
 * majority does not wait. */
START_TEST(a_state_from_the_leader_puts_no_snapshot_off)
{
    options.node.slice_records = 1;
    start();
    raft_id third = 6 - leader - follower;
    connect_to(leader, leader);
    load(3000, 10);
    for (uint32_t i = 0; i < 50 && !is_saving(third); i++) {
        load(10, 10);
    }
    ck_assert(is_saving(third));
    cluster_isolate(cl, third, true);
    load(1000, 10); /* twice what the leader's log holds */
    cluster_heal(cl);
    ck_assert(cluster_run_until(cl, is_replaced, &third, CLUSTER_S));
    ck_assert_uint_eq(cluster_log_count(cl, third, "another state is loaded"), 1);
    ck_assert(cluster_wait_equal(cl, CLUSTER_S));
    cluster_kill(cl, follower);
    load(1000, 10);
    ck_assert_uint_eq(refused, 0);
    ck_assert_uint_lt(longest, 30 * CLUSTER_MS);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("node: the pace of snapshots");
    TCase *tc = tcase_create("pace");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, no_write_waits_for_a_snapshot);
    tcase_add_test(tc, a_slow_disk_slows_writes_down_evenly);
    tcase_add_test(tc, a_long_queue_is_no_error);
    tcase_add_test(tc, a_state_from_the_leader_puts_no_snapshot_off);
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
