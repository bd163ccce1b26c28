/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_reap.c
 * Goal: containers and ttl nodes are removed by the leader in time: between ttl and ttl + 1 s of its clock,
 * across changes of leader, clocks that differ, snapshots and lost quorums; and nothing is written, and no
 * timer runs, when there is nothing to remove.
 * Method: ensembles in simulated time (node_cluster.h); a watch tells when each node went. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_fixture.h"

static int create(struct cluster_client *c, const char *path, uint32_t flags, uint64_t ttl_ms)
{
    struct coord_request q = {
        .op = COORD_OP_CREATE, .path = bytes_of(path), .flags = flags, .ttl_ms = ttl_ms};
    return client_call(c, &q, NULL);
}

static int delete (struct cluster_client *c, const char *path)
{
    struct coord_request q = {
        .op = COORD_OP_DELETE, .path = bytes_of(path), .expect_version = COORD_VERSION_ANY};
    return client_call(c, &q, NULL);
}

static bool exists_at(raft_id member, const char *path, enum coord_level level)
{
    struct cluster_client *c = greeted(member);
    struct coord_request q = {.op = COORD_OP_EXISTS, .path = bytes_of(path), .level = level};
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    client_close(c);
    return res.exists;
}

static bool exists(const char *path)
{
    return exists_at(cluster_leader(cl), path, COORD_LEVEL_LINEARIZABLE);
}

static void watch_deletes(struct cluster_client *c)
{
    struct coord_request q = {.op = COORD_OP_WATCH,
                              .watch = 1,
                              .path = bytes_of("/"),
                              .depth = COORD_DEPTH_SUBTREE,
                              .kinds = COORD_CHANGE_DELETED};
    ck_assert_int_eq(client_call(c, &q, NULL), 0);
}

/* When the watch of c was told that path is gone; 0: not yet. ret_revision may be NULL. */
static uint64_t gone_at(struct cluster_client *c, const char *path, uint64_t *ret_revision)
{
    for (struct cluster_frame *f = c->first; f != NULL; f = f->next) {
        struct coord_event ev;
        struct coord_change change;
        if (f->number != 0 || coord_event_decode(f->body->data, f->body->len, &ev, NULL, 0) != 0) {
            continue;
        }
        while (coord_change_next(&ev.changes_raw, &change) == 1) {
            if (change.path.len == strlen(path) &&
                memcmp(change.path.data, path, change.path.len) == 0) {
                if (ret_revision != NULL) {
                    *ret_revision = ev.revision;
                }
                return f->at;
            }
        }
    }
    return 0;
}

/* path went between from and to, in milliseconds after `since`. */
static void check_gone(struct cluster_client *w, const char *path, uint64_t since, uint64_t from_ms,
                       uint64_t to_ms)
{
    uint64_t at = gone_at(w, path, NULL);
    ck_assert_msg(at != 0, "%s is not gone", path);
    double after = (double)(at - since) / (double)CLUSTER_MS;
    ck_assert_msg(after >= (double)from_ms && after <= (double)to_ms, "%s went after %.1f ms", path,
                  after);
}

static uint64_t log_last(raft_id member)
{
    struct raft_status st;
    raft_status(node_raft(cluster_node(cl, member)), &st);
    return st.last;
}

/* The member `want` shall lead: the leader goes, and the third one's log lacks an entry. */
static void make_leader(raft_id want)
{
    raft_id was = leader, slow = 1 + 2 + 3 - want - was;
    ck_assert_uint_ne(want, was);
    cluster_kill(cl, slow);
    struct cluster_client *c = greeted(was);
    ck_assert_int_eq(client_create(c, "/ahead", NULL, 0), 0);
    client_close(c);
    cluster_kill(cl, was);
    ck_assert_int_eq(cluster_boot(cl, slow), 0);
    leader = cluster_wait_leader(cl, 10 * CLUSTER_S);
    ck_assert_uint_eq(leader, want);
    ck_assert_int_eq(cluster_boot(cl, was), 0);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
}

/* --- ttl -------------------------------------------------------------------------------------- */

START_TEST(ttl_nodes_go_within_a_second_of_their_time)
{
    uint64_t since[40];
    char path[16];
    begin();
    struct cluster_client *c = greeted(follower);
    struct cluster_client *w = greeted(third);
    watch_deletes(w);
    for (uint32_t i = 0; i < 40; i++) {
        (void)snprintf(path, sizeof(path), "/t%u", i);
        since[i] = cluster_now(cl);
        ck_assert_int_eq(create(c, path, COORD_F_TTL, 100 + i * 171), 0);
        cluster_run(cl, (i * 37 % 100) * CLUSTER_MS);
    }
    cluster_run(cl, 9 * CLUSTER_S);
    for (uint32_t i = 0; i < 40; i++) {
        (void)snprintf(path, sizeof(path), "/t%u", i);
        check_gone(w, path, since[i], 100 + i * 171, 100 + i * 171 + 1000);
    }
    ck_assert(cluster_wait_equal(cl, 5 * CLUSTER_S));
}
END_TEST

START_TEST(a_node_that_is_set_in_time_stays)
{
    begin();
    struct cluster_client *c = greeted(follower);
    struct cluster_client *w = greeted(third);
    watch_deletes(w);
    ck_assert_int_eq(create(c, "/t", COORD_F_TTL, 1000), 0);
    uint64_t since = 0;
    for (int i = 0; i < 10; i++) {
        cluster_run(cl, 900 * CLUSTER_MS);
        since = cluster_now(cl);
        ck_assert_int_eq(client_set(c, "/t", "alive"), 0);
    }
    ck_assert(exists("/t"));
    cluster_run(cl, 3 * CLUSTER_S);
    check_gone(w, "/t", since, 1000, 2000);
}
END_TEST

START_TEST(a_child_keeps_it_and_the_last_one_takes_it_along)
{
    begin();
    struct cluster_client *c = greeted(leader);
    struct cluster_client *w = greeted(third);
    watch_deletes(w);
    ck_assert_int_eq(create(c, "/t", COORD_F_TTL, 1000), 0);
    ck_assert_int_eq(create(c, "/t/a", 0, 0), 0);
    cluster_run(cl, 5 * CLUSTER_S);
    uint64_t since = cluster_now(cl);
    ck_assert_int_eq(delete (c, "/t/a"), 0);
    cluster_run(cl, 2 * CLUSTER_S);
    check_gone(w, "/t", since, 0, 1000);
}
END_TEST

START_TEST(the_next_leader_goes_on_with_it)
{
    begin();
    struct cluster_client *c = greeted(leader);
    struct cluster_client *w = greeted(third);
    uint64_t since = cluster_now(cl);
    ck_assert_int_eq(create(c, "/soon", COORD_F_TTL, 1000), 0);
    ck_assert_int_eq(create(c, "/later", COORD_F_TTL, 6000), 0);
    cluster_run(cl, 500 * CLUSTER_MS);
    watch_deletes(w);
    cluster_kill(cl, leader);
    cluster_run(cl, 9 * CLUSTER_S);
    roles();
    check_gone(w, "/soon", since, 1000, 4000); /* an election stands in between */
    check_gone(w, "/later", since, 6000, 7000);
}
END_TEST

/* The clocks of leaders differ: what was modified under one is not judged early by one that is behind, and not
 * late either, as its time goes on from what the log says. */
START_TEST(a_leader_whose_clock_is_behind_does_not_stop_time)
{
    begin();
    for (raft_id id = 1; id <= 3; id++) {
        cluster_clock(cl, id, id == leader ? 60000 : 0);
    }
    struct cluster_client *c = greeted(leader);
    struct cluster_client *w = greeted(third);
    uint64_t since = cluster_now(cl);
    ck_assert_int_eq(create(c, "/old", COORD_F_TTL, 6000), 0);
    cluster_kill(cl, leader);
    roles();
    watch_deletes(w);
    uint64_t later = cluster_now(cl);
    ck_assert_int_eq(create(greeted(leader), "/new", COORD_F_TTL, 3000), 0);
    cluster_run(cl, 10 * CLUSTER_S);
    /* From the new leader's entry of its term on; the election before it is not counted. */
    check_gone(w, "/old", since, 6000, 6000 + 1000 + (later - since) / CLUSTER_MS);
    check_gone(w, "/new", later, 3000, 4000);
}
END_TEST

START_TEST(a_clock_that_is_set_back_does_not_stop_time)
{
    begin();
    struct cluster_client *c = greeted(leader);
    struct cluster_client *w = greeted(third);
    watch_deletes(w);
    uint64_t since = cluster_now(cl);
    ck_assert_int_eq(create(c, "/t", COORD_F_TTL, 3000), 0);
    cluster_run(cl, CLUSTER_S);
    cluster_clock(cl, leader, -3600000);
    cluster_run(cl, 4 * CLUSTER_S);
    check_gone(w, "/t", since, 3000, 4000);
}
END_TEST

START_TEST(many_at_once_go_quickly)
{
    char path[16];
    begin();
    struct cluster_client *c = greeted(leader);
    uint64_t since = cluster_now(cl);
    struct coord_result res;
    uint64_t last = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        (void)snprintf(path, sizeof(path), "/t%u", i);
        struct coord_request q = {
            .op = COORD_OP_CREATE, .path = bytes_of(path), .flags = COORD_F_TTL, .ttl_ms = 2000};
        last = client_send(c, &q);
    }
    ck_assert_int_eq(client_wait(c, last, COORD_OP_CREATE, &res, 5 * CLUSTER_S), 0);
    ck_assert_uint_lt(cluster_now(cl) - since, CLUSTER_S);
    uint64_t before = log_last(leader);
    cluster_run(cl, since + 4 * CLUSTER_S - cluster_now(cl));
    for (uint32_t i = 0; i < 3000; i += 100) {
        (void)snprintf(path, sizeof(path), "/t%u", i);
        ck_assert_msg(!exists(path), "%s", path);
    }
    uint64_t entries = log_last(leader) - before;
    ck_assert_msg(entries >= 3 && entries <= 12, "%llu entries", (unsigned long long)entries);
}
END_TEST

/* --- containers ------------------------------------------------------------------------------- */

START_TEST(the_directories_of_a_lock_go_with_its_last_holder)
{
    begin();
    struct cluster_client *w = greeted(third);
    watch_deletes(w);
    struct cluster_client *c = greeted(follower);
    ck_assert_int_eq(create(c, "/locks", COORD_F_CONTAINER, 0), 0);
    ck_assert_int_eq(create(c, "/locks/a", COORD_F_CONTAINER, 0), 0);
    ck_assert_int_eq(create(c, "/locks/b", COORD_F_CONTAINER, 0), 0);
    struct cluster_client *s = client_connect(cl, follower);
    ck_assert_uint_ne(client_open_session(s, 2000, NULL), 0);
    ck_assert_int_eq(
        client_create(s, "/locks/a/place-", "", COORD_F_EPHEMERAL | COORD_F_SEQUENTIAL), 0);
    ck_assert_int_eq(
        client_create(s, "/locks/b/place-", "", COORD_F_EPHEMERAL | COORD_F_SEQUENTIAL), 0);
    client_close(s);
    cluster_run(cl, 5 * CLUSTER_S);
    uint64_t last = gone_at(w, "/locks/b/place-0000000000", NULL);
    ck_assert_uint_ne(last, 0);
    check_gone(w, "/locks/a", last, 500, 1000);
    check_gone(w, "/locks/b", last, 500, 1000);
    check_gone(w, "/locks", last, 500, 1000);
    uint64_t together[2];
    (void)gone_at(w, "/locks/a", &together[0]);
    (void)gone_at(w, "/locks/b", &together[1]);
    ck_assert_uint_eq(together[0], together[1]);
    ck_assert(cluster_wait_equal(cl, 5 * CLUSTER_S));
}
END_TEST

START_TEST(one_that_is_in_use_stays_and_costs_no_entries)
{
    begin();
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(create(c, "/c", COORD_F_CONTAINER, 0), 0);
    uint64_t before = log_last(leader);
    for (int i = 0; i < 30; i++) {
        ck_assert_int_eq(create(c, "/c/x", 0, 0), 0);
        cluster_run(cl, 100 * CLUSTER_MS);
        ck_assert_int_eq(delete (c, "/c/x"), 0);
        cluster_run(cl, 100 * CLUSTER_MS);
    }
    ck_assert_uint_eq(log_last(leader), before + 60);
    cluster_run(cl, 2 * CLUSTER_S);
    ck_assert(!exists("/c"));
    ck_assert_uint_eq(log_last(leader), before + 61);
}
END_TEST

START_TEST(what_a_snapshot_brought_is_removed_too)
{
    char path[16];
    options.node.snapshot_entries = 50;
    options.node.raft.log_slots = 256;
    options.node.raft.chunk_bytes = 1024;
    begin();
    cluster_isolate(cl, third, true);
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(create(c, "/c", COORD_F_CONTAINER, 0), 0);
    ck_assert_int_eq(create(c, "/c/x", 0, 0), 0);
    ck_assert_int_eq(create(c, "/t", COORD_F_TTL, 120000), 0);
    uint64_t since = cluster_now(cl);
    for (int i = 0; i < 500; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_create(c, path, path, 0), 0);
    }
    cluster_heal(cl);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
    ck_assert_uint_ge(cluster_log_count(cl, third, "snapshot installed"), 1);
    make_leader(third);
    ck_assert_uint_lt(cluster_now(cl) - since, 110 * CLUSTER_S);
    struct cluster_client *w = greeted(third);
    watch_deletes(w);
    uint64_t empty = cluster_now(cl);
    ck_assert_int_eq(delete (greeted(third), "/c/x"), 0);
    cluster_run(cl, since + 122 * CLUSTER_S - cluster_now(cl));
    check_gone(w, "/c", empty, 500, 1100);
    check_gone(w, "/t", since, 120000 - 100, 121000);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
}
END_TEST

/* --- when nothing is to be done ---------------------------------------------------------------- */

START_TEST(nothing_due_writes_nothing)
{
    begin();
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(create(c, "/never-used", COORD_F_CONTAINER, 0), 0);
    ck_assert_int_eq(create(c, "/full", COORD_F_CONTAINER, 0), 0);
    ck_assert_int_eq(create(c, "/full/x", 0, 0), 0);
    ck_assert_int_eq(create(c, "/far", COORD_F_TTL, 3600000), 0);
    cluster_run(cl, CLUSTER_S);
    uint64_t before = log_last(leader);
    cluster_run(cl, 20 * CLUSTER_S);
    ck_assert_uint_eq(log_last(leader), before);
    ck_assert_uint_eq(cluster_leader(cl), leader);
}
END_TEST

/* How often the loop turns in so much time without anything to do. */
static uint64_t runs_in(uint64_t ns)
{
    cluster_run(cl, 2 * CLUSTER_S);
    uint64_t before = cluster_runs(cl, 1);
    cluster_run(cl, ns);
    return cluster_runs(cl, 1) - before;
}

START_TEST(a_member_alone_wakes_for_nothing)
{
    options.members = 1;
    cl = cluster_create(&options);
    ck_assert_uint_eq(cluster_wait_leader(cl, 10 * CLUSTER_S), 1);
    struct cluster_client *c = greeted(1);
    ck_assert_int_eq(create(c, "/full", COORD_F_CONTAINER, 0), 0);
    ck_assert_int_eq(create(c, "/full/x", 0, 0), 0);
    uint64_t idle = runs_in(5 * CLUSTER_S);
    ck_assert_int_eq(create(c, "/far", COORD_F_TTL, 86400000), 0);
    ck_assert_uint_le(runs_in(5 * CLUSTER_S), idle + 2);
    ck_assert_int_eq(delete (c, "/far"), 0);
    ck_assert_int_eq(delete (c, "/full/x"), 0);
    cluster_run(cl, 3 * CLUSTER_S);
    ck_assert(!exists("/full"));
    ck_assert_uint_le(runs_in(5 * CLUSTER_S), idle + 2);
}
END_TEST

START_TEST(a_leader_without_a_quorum_proposes_nothing)
{
    begin();
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(create(c, "/t", COORD_F_TTL, 5000), 0);
    cluster_run(cl, CLUSTER_S);
    uint64_t before = log_last(leader);
    cluster_isolate(cl, leader, true);
    cluster_run(cl, 10 * CLUSTER_S);
    ck_assert_uint_eq(log_last(leader), before);
    ck_assert(exists_at(leader, "/t", COORD_LEVEL_LOCAL));
    cluster_heal(cl);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
    ck_assert(!exists_at(leader, "/t", COORD_LEVEL_LOCAL));
}
END_TEST

/* The log has no room while the others' disks stand still; then it goes on. */
START_TEST(a_full_log_delays_it)
{
    char path[16];
    options.node.raft.log_slots = 64;
    begin();
    struct cluster_client *c = greeted(leader);
    struct coord_result res;
    ck_assert_int_eq(create(c, "/t", COORD_F_TTL, 1000), 0);
    cluster_stall_disk(cl, follower, true);
    cluster_stall_disk(cl, third, true);
    uint64_t last = 0;
    for (uint32_t i = 0; i < 100; i++) {
        (void)snprintf(path, sizeof(path), "/n%u", i);
        struct coord_request q = {.op = COORD_OP_CREATE, .path = bytes_of(path)};
        last = client_send(c, &q);
    }
    cluster_run(cl, 1500 * CLUSTER_MS);
    ck_assert_uint_eq(cluster_leader(cl), leader);
    ck_assert(exists_at(leader, "/t", COORD_LEVEL_LOCAL));
    cluster_stall_disk(cl, follower, false);
    cluster_stall_disk(cl, third, false);
    ck_assert_int_eq(client_wait(c, last, COORD_OP_CREATE, &res, 5 * CLUSTER_S), 0);
    cluster_run(cl, CLUSTER_S);
    ck_assert(!exists("/t"));
    ck_assert(cluster_wait_equal(cl, 5 * CLUSTER_S));
}
END_TEST

/* The loop of the only member stands still while a set waits in its socket: it is heard first. */
START_TEST(what_came_while_the_loop_stood_still_counts)
{
    options.members = 1;
    cl = cluster_create(&options);
    ck_assert_uint_eq(cluster_wait_leader(cl, 10 * CLUSTER_S), 1);
    leader = 1;
    struct cluster_client *c = greeted(1);
    ck_assert_int_eq(create(c, "/t", COORD_F_TTL, 2000), 0);
    cluster_pause(cl, 1, 10 * CLUSTER_S);
    cluster_run(cl, 9990 * CLUSTER_MS);
    struct coord_request q = {.op = COORD_OP_SET,
                              .path = bytes_of("/t"),
                              .data = bytes_of("x"),
                              .expect_version = COORD_VERSION_ANY};
    struct coord_result res;
    uint64_t number = client_send(c, &q);
    ck_assert_int_eq(client_wait(c, number, COORD_OP_SET, &res, 11 * CLUSTER_S), 0);
    ck_assert(exists("/t"));
    cluster_run(cl, 3100 * CLUSTER_MS);
    ck_assert(!exists("/t"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node: nodes that are removed by themselves");
    TCase *t = tcase_create("reap");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, ttl_nodes_go_within_a_second_of_their_time);
    tcase_add_test(t, a_node_that_is_set_in_time_stays);
    tcase_add_test(t, a_child_keeps_it_and_the_last_one_takes_it_along);
    tcase_add_test(t, the_next_leader_goes_on_with_it);
    tcase_add_test(t, a_leader_whose_clock_is_behind_does_not_stop_time);
    tcase_add_test(t, a_clock_that_is_set_back_does_not_stop_time);
    tcase_add_test(t, many_at_once_go_quickly);
    tcase_add_test(t, the_directories_of_a_lock_go_with_its_last_holder);
    tcase_add_test(t, one_that_is_in_use_stays_and_costs_no_entries);
    tcase_add_test(t, what_a_snapshot_brought_is_removed_too);
    tcase_add_test(t, nothing_due_writes_nothing);
    tcase_add_test(t, a_member_alone_wakes_for_nothing);
    tcase_add_test(t, a_leader_without_a_quorum_proposes_nothing);
    tcase_add_test(t, a_full_log_delays_it);
    tcase_add_test(t, what_came_while_the_loop_stood_still_counts);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
