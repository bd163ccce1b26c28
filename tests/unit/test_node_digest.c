/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: members compare their states, a wrong one is found within one period, refuses with words and hands
 * leadership over, the others go on; and nobody is accused wrongly (server/node/digest.c). Snapshots are taken
 * in many slices while writes go on, and wait for a slow disk.
 * Method: ensembles in simulated time (node_cluster.h); one member's tree is changed behind its back.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/machine/machine_internal.h"
#include "server/store/znode.h"
#include "tests/lib/node_fixture.h"

#define PERIOD 50

static void setup_digests(void)
{
    setup();
    options.node.digest_entries = PERIOD;
    options.node.digest_interval_ns = 0;
    options.node.slice_records = 5;
}

/* So many writes through a member that serves. */
static void write_some(raft_id through, int count)
{
    static int next;
    struct cluster_client *c = greeted(through);
    char path[32];
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof(path), "/w%d", next++);
        ck_assert_int_eq(client_create(c, path, path, 0), 0);
    }
    client_close(c);
}

/* Flip a bit of a node's data at one member, as broken memory would. */
static void corrupt(raft_id id, const char *path)
{
    const struct machine *m = node_machine(cluster_node(cl, id));
    const struct znode *node = store_find(m->state.store, bytes_of(path));
    ck_assert_ptr_nonnull(node);
    struct coord_bytes data = store_data(node);
    ck_assert_uint_gt(data.len, 0);
    *(uint8_t *)(uintptr_t)data.data ^= 1;
}

static raft_id another(raft_id a, raft_id b)
{
    for (raft_id id = 1; id <= options.members; id++) {
        if (id != a && id != b) {
            return id;
        }
    }
    return 0;
}

static uint32_t count_all(const char *text)
{
    uint32_t count = 0;
    for (raft_id id = 1; id <= options.members; id++) {
        count += cluster_log_count(cl, id, text);
    }
    return count;
}

static void expect_nobody_accused(void)
{
    ck_assert_uint_eq(count_all("diverged"), 0);
    ck_assert_uint_eq(count_all("differ"), 0);
}

struct expect {
    raft_id id;
    const char *text;
    uint32_t count;
};

static bool has_said(void *arg)
{
    const struct expect *e = arg;
    return cluster_log_count(cl, e->id, e->text) >= e->count;
}

static bool wait_said(raft_id id, const char *text, uint32_t count)
{
    struct expect e = {id, text, count};
    return cluster_run_until(cl, has_said, &e, 10 * CLUSTER_S);
}

static void status_fault(raft_id id, char out[512])
{
    struct cluster_client *c = greeted(id);
    struct coord_request q = {.op = COORD_OP_STATUS};
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    (void)snprintf(out, 512, "%.*s", (int)res.status.fault.len,
                   (const char *)res.status.fault.data);
    client_close(c);
}

/* It says what is wrong with it, and serves nobody. */
static void expect_refuses(raft_id id)
{
    char fault[512];
    struct coord_result res;
    status_fault(id, fault);
    ck_assert_ptr_nonnull(strstr(fault, "differs from that of a majority"));
    struct cluster_client *c = greeted(id);
    struct coord_request get = {
        .op = COORD_OP_GET, .path = bytes_of("/w0"), .level = COORD_LEVEL_LOCAL};
    ck_assert_int_eq(client_call(c, &get, &res), COORD_ESHUTDOWN);
    ck_assert_ptr_nonnull(res.text.data);
    char text[512];
    (void)snprintf(text, sizeof(text), "%.*s", (int)res.text.len, (const char *)res.text.data);
    ck_assert_str_eq(text, fault);
    struct coord_request set = {
        .op = COORD_OP_SET, .path = bytes_of("/w0"), .expect_version = COORD_VERSION_ANY};
    ck_assert_int_eq(client_call(c, &set, &res), COORD_ESHUTDOWN);
    struct coord_request watch = {.op = COORD_OP_WATCH,
                                  .watch = 1,
                                  .path = bytes_of("/"),
                                  .depth = COORD_DEPTH_SUBTREE,
                                  .kinds = COORD_CHANGE_CREATED};
    ck_assert_int_eq(client_call(c, &watch, &res), COORD_ESHUTDOWN);
    client_close(c);
}

START_TEST(members_agree_again_and_again)
{
    begin();
    write_some(leader, 5 * PERIOD);
    cluster_run(cl, CLUSTER_S);
    for (raft_id id = 1; id <= options.members; id++) {
        ck_assert_uint_ge(cluster_log_count(cl, id, "states agree"), 4);
    }
    expect_nobody_accused();
}
END_TEST

START_TEST(a_wrong_follower_stops_serving)
{
    begin();
    raft_id wrong = another(leader, 0);
    raft_id right = another(leader, wrong);
    struct cluster_client *open = greeted(wrong);
    struct cluster_client *idle = greeted(wrong);
    struct coord_result res;
    struct coord_event ev;
    struct coord_request watch = {.op = COORD_OP_WATCH,
                                  .watch = 1,
                                  .path = bytes_of("/"),
                                  .depth = COORD_DEPTH_SUBTREE,
                                  .kinds = COORD_CHANGE_CREATED};
    ck_assert_int_eq(client_call(idle, &watch, &res), 0);
    write_some(leader, PERIOD + 10);
    ck_assert(wait_said(wrong, "states agree", 1));
    corrupt(wrong, "/w3");
    write_some(leader, PERIOD);
    ck_assert(wait_said(wrong, "state diverged, not serving", 1));
    ck_assert(wait_said(leader, "state of another member differs", 1));
    ck_assert(wait_said(right, "state of another member differs", 1));
    /* Who was connected is told and let go. */
    cluster_run(cl, 100 * CLUSTER_MS);
    ck_assert(!open->open);
    ck_assert(!idle->open);
    ck_assert_str_eq(idle->close_why, "diverged");
    ck_assert(client_event(idle, 0, &ev, NULL));
    expect_refuses(wrong);
    /* The others go on, also when it takes this member's vote and log for a quorum. */
    write_some(leader, PERIOD);
    cluster_kill(cl, right);
    write_some(leader, 10);
    ck_assert_int_eq(cluster_boot(cl, right), 0);
    cluster_run(cl, CLUSTER_S);
    ck_assert_uint_eq(cluster_log_count(cl, leader, "diverged"), 0);
    ck_assert_uint_eq(cluster_log_count(cl, right, "diverged"), 0);
    /* The operator's answer: a restart. Its log and snapshots are as they should be. */
    cluster_kill(cl, wrong);
    ck_assert_int_eq(cluster_boot(cl, wrong), 0);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
    uint32_t before = cluster_log_count(cl, wrong, "states agree");
    write_some(wrong, 2 * PERIOD);
    ck_assert(wait_said(wrong, "states agree", before + 1));
    ck_assert_uint_eq(cluster_log_count(cl, wrong, "diverged"), 1);
}
END_TEST

START_TEST(a_wrong_leader_hands_over)
{
    begin();
    uint8_t secret[COORD_SECRET_BYTES];
    raft_id wrong = leader;
    raft_id right = another(leader, 0);
    struct cluster_client *s = client_connect(cl, right);
    uint64_t session = client_open_session(s, 60000, secret);
    ck_assert_uint_ne(session, 0);
    write_some(right, PERIOD / 2);
    corrupt(wrong, "/w1");
    write_some(right, PERIOD);
    ck_assert(wait_said(wrong, "state diverged, not serving", 1));
    cluster_run(cl, 2 * CLUSTER_S);
    ck_assert_uint_ne(cluster_leader(cl), wrong);
    expect_refuses(wrong);
    write_some(right, 2 * PERIOD);
    ck_assert_int_eq(client_create(s, "/mine", "", COORD_F_EPHEMERAL), 0);
    /* Even as the only one left beside one other it does not stay leader. */
    cluster_kill(cl, another(wrong, right));
    cluster_run(cl, 5 * CLUSTER_S);
    ck_assert_uint_eq(cluster_wait_leader(cl, 10 * CLUSTER_S), right);
    write_some(right, 5);
}
END_TEST

START_TEST(a_snapshot_of_the_leader_heals)
{
    options.node.snapshot_entries = 60;
    options.node.raft.log_slots = 256;
    begin();
    raft_id wrong = another(leader, 0);
    write_some(leader, 10);
    corrupt(wrong, "/w2");
    write_some(leader, PERIOD);
    ck_assert(wait_said(wrong, "state diverged, not serving", 1));
    uint32_t taken = cluster_log_count(cl, wrong, "snapshot begun");
    write_some(leader, 100); /* the others take one meanwhile */
    cluster_run(cl, CLUSTER_S);
    ck_assert_uint_eq(cluster_log_count(cl, wrong, "snapshot begun"), taken);
    cluster_isolate(cl, wrong, true);
    write_some(leader, 400);
    cluster_heal(cl);
    ck_assert(wait_said(wrong, "state replaced, serving again", 1));
    ck_assert_uint_eq(cluster_log_count(cl, wrong, "snapshot begun"), taken);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
    char fault[512];
    status_fault(wrong, fault);
    ck_assert_str_eq(fault, "");
    write_some(wrong, 2 * PERIOD);
    cluster_run(cl, CLUSTER_S);
    ck_assert_uint_eq(cluster_log_count(cl, wrong, "diverged"), 1);
}
END_TEST

/* Three members, three states: nobody can say who is right, everybody says so, all serve on. */
START_TEST(without_a_majority_all_say_so)
{
    begin();
    write_some(leader, PERIOD / 2);
    corrupt(1, "/w0");
    corrupt(2, "/w1");
    write_some(leader, PERIOD);
    cluster_run(cl, CLUSTER_S);
    ck_assert_uint_eq(count_all("no majority agrees"), 3);
    ck_assert_uint_eq(count_all("diverged"), 0);
    write_some(leader, 10);
}
END_TEST

/* One member is away: two that differ cannot know, until it is back. */
START_TEST(two_that_differ_wait_for_the_third)
{
    begin();
    raft_id wrong = another(leader, 0);
    raft_id away = another(leader, wrong);
    write_some(leader, PERIOD / 2);
    cluster_kill(cl, away);
    corrupt(wrong, "/w0");
    write_some(leader, PERIOD);
    cluster_run(cl, CLUSTER_S);
    ck_assert_uint_eq(count_all("diverged"), 0);
    ck_assert_uint_eq(cluster_log_count(cl, leader, "state of another member differs"), 1);
    /* It comes to the same entry and is told what the others said when the link comes up. */
    ck_assert_int_eq(cluster_boot(cl, away), 0);
    ck_assert(wait_said(wrong, "state diverged, not serving", 1));
    ck_assert(wait_said(away, "state of another member differs", 1));
    ck_assert_uint_eq(cluster_log_count(cl, leader, "diverged"), 0);
    ck_assert_uint_eq(cluster_log_count(cl, away, "diverged"), 0);
}
END_TEST

START_TEST(two_of_five_are_found)
{
    cluster_options_init(&options, 5);
    setup_digests();
    options.members = 5;
    begin();
    raft_id a = another(leader, 0);
    raft_id b = another(leader, a);
    write_some(leader, PERIOD / 2);
    corrupt(a, "/w0");
    corrupt(b, "/w1");
    write_some(leader, PERIOD);
    ck_assert(wait_said(a, "state diverged, not serving", 1));
    ck_assert(wait_said(b, "state diverged, not serving", 1));
    cluster_run(cl, CLUSTER_S);
    ck_assert_uint_eq(count_all("diverged"), 2);
    write_some(leader, 3 * PERIOD);
    cluster_run(cl, CLUSTER_S);
    ck_assert_uint_eq(count_all("diverged"), 2);
}
END_TEST

/* Leaders change, members restart and are given snapshots, all in the middle of comparisons. */
START_TEST(nobody_is_accused_wrongly)
{
    options.node.snapshot_entries = 70;
    options.node.raft.log_slots = 256;
    options.node.digest_entries = 20;
    options.members = _i == 0 ? 3 : 5;
    begin();
    for (int round = 0; round < 8; round++) {
        raft_id victim = round % 2 == 0 ? cluster_leader(cl) : another(cluster_leader(cl), 0);
        write_some(cluster_other(cl, victim), 30);
        cluster_kill(cl, victim);
        ck_assert_uint_ne(cluster_wait_leader(cl, 10 * CLUSTER_S), 0);
        write_some(cluster_leader(cl), round % 3 == 0 ? 300 : 15); /* 300: it needs a snapshot */
        ck_assert_int_eq(cluster_boot(cl, victim), 0);
        cluster_run(cl, 300 * CLUSTER_MS);
    }
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
    ck_assert_uint_gt(count_all("states agree"), 10);
    ck_assert_uint_gt(count_all("snapshot installed"), 0);
    expect_nobody_accused();
}
END_TEST

START_TEST(zero_means_never)
{
    options.node.digest_entries = 0;
    begin();
    write_some(leader, 3 * PERIOD);
    cluster_run(cl, CLUSTER_S);
    ck_assert_uint_eq(count_all("states agree"), 0);
}
END_TEST

START_TEST(comparisons_keep_their_distance)
{
    options.node.digest_interval_ns = 5 * CLUSTER_S;
    begin();
    uint64_t start = cluster_now(cl);
    while (cluster_now(cl) - start < 20 * CLUSTER_S) {
        write_some(leader, PERIOD / 2);
        cluster_run(cl, 100 * CLUSTER_MS);
    }
    uint32_t count = cluster_log_count(cl, leader, "states agree");
    ck_assert_uint_ge(count, 3);
    ck_assert_uint_le(count, 5);
}
END_TEST

/* --- snapshots in slices ----------------------------------------------------------------------- */

START_TEST(a_snapshot_goes_on_beside_writes)
{
    options.node.digest_entries = 0;
    options.node.snapshot_entries = 600;
    options.node.slice_records = 3;
    begin();
    write_some(leader, 590);
    ck_assert_uint_eq(cluster_snapshots(cl, leader), 0);
    write_some(leader, 60); /* it has begun by now, and is not over: 200 slices, 1 ms apart */
    ck_assert_uint_eq(cluster_log_count(cl, leader, "snapshot begun"), 1);
    ck_assert_uint_eq(cluster_log_count(cl, leader, "snapshot saved"), 0);
    ck_assert(wait_said(leader, "snapshot saved", 1));
    /* What it holds is the state of its beginning: the log behind it makes the same of it. */
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
    for (raft_id id = 1; id <= 3; id++) {
        ck_assert(wait_said(id, "snapshot saved", 1));
        cluster_kill(cl, id);
        ck_assert_int_eq(cluster_boot(cl, id), 0);
    }
    ck_assert_uint_ne(cluster_wait_leader(cl, 10 * CLUSTER_S), 0);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
}
END_TEST

/* A member that dies in the middle of a snapshot starts without it. */
START_TEST(a_kill_in_the_middle_loses_only_the_snapshot)
{
    options.node.digest_entries = 0;
    options.node.snapshot_entries = 300;
    options.node.slice_records = 1;
    begin();
    write_some(leader, 310);
    raft_id victim = another(leader, 0);
    ck_assert(wait_said(victim, "snapshot begun", 1));
    ck_assert_uint_eq(cluster_log_count(cl, victim, "snapshot saved"), 0);
    cluster_kill(cl, victim);
    ck_assert_int_eq(cluster_boot(cl, victim), 0);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
    ck_assert(wait_said(victim, "snapshot saved", 1));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node_digest");
    TCase *t = tcase_create("states compared");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup_digests, teardown);
    tcase_add_test(t, members_agree_again_and_again);
    tcase_add_test(t, a_wrong_follower_stops_serving);
    tcase_add_test(t, a_wrong_leader_hands_over);
    tcase_add_test(t, a_snapshot_of_the_leader_heals);
    tcase_add_test(t, without_a_majority_all_say_so);
    tcase_add_test(t, two_that_differ_wait_for_the_third);
    tcase_add_test(t, two_of_five_are_found);
    tcase_add_loop_test(t, nobody_is_accused_wrongly, 0, 2);
    tcase_add_test(t, zero_means_never);
    tcase_add_test(t, comparisons_keep_their_distance);
    tcase_add_test(t, a_snapshot_goes_on_beside_writes);
    tcase_add_test(t, a_kill_in_the_middle_loses_only_the_snapshot);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
