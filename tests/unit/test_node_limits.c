/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the limits in force are the same on every member and are those of the leader's file; a leader puts
 * its own in force once in its term; every member judges by what is in force, tells it, and says when its
 * own file differs. A client that does not read costs no memory and no other client anything.
 * Method: ensembles in simulated time (node_cluster.h) whose members have different files, with kills and
 * restarts; requests at a limit and one past it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_fixture.h"

static struct coord_limits told(raft_id id)
{
    struct cluster_client *c = client_connect(cl, id);
    struct coord_request q = {.op = COORD_OP_HELLO, .version = COORD_PROTOCOL_VERSION};
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    client_close(c);
    return res.limits;
}

static const struct machine_limits *in_force(raft_id id)
{
    return machine_limits(node_machine(cluster_node(cl, id)));
}

static uint64_t revision_of(raft_id id)
{
    struct machine_stats s;
    machine_stats(node_machine(cluster_node(cl, id)), &s);
    return s.revision;
}

/* What each member's file says: data of 100 * id bytes. */
static void own_data(raft_id id, struct node_options *o)
{
    o->machine.data_bytes = 100 * id;
    o->machine.frame_bytes = 100000 * id;
}

/* The file is edited while the member is down. */
static bool file_changed;

static void later(raft_id id, struct node_options *o)
{
    if (file_changed) {
        own_data(id, o);
    }
}

/* --- one file for all -------------------------------------------------------------------------- */

START_TEST(the_defaults_need_no_entry)
{
    begin();
    uint64_t before = revision_of(1);
    ck_assert_uint_eq(before, 1); /* the leader's first, empty one */
    cluster_run(cl, 20 * CLUSTER_S);
    for (raft_id id = 1; id <= 3; id++) {
        ck_assert_uint_eq(revision_of(id), before);
        ck_assert_uint_eq(cluster_log_count(cl, id, "limits"), 0);
    }
}
END_TEST

START_TEST(a_file_is_in_force_everywhere_and_told)
{
    options.node.machine.data_bytes = 10;
    options.node.machine.sessions = 2;
    options.node.machine.txn_operations = 7;
    options.node.machine.store_bytes = 1 << 20;
    options.node.machine.frame_bytes = 1 << 20;
    options.node.watch.per_connection = 3;
    options.node.connections_max = 77;
    begin();
    ck_assert(cluster_wait_equal(cl, CLUSTER_S));
    for (raft_id id = 1; id <= 3; id++) {
        struct coord_limits l = told(id);
        ck_assert_uint_eq(l.data_bytes, 10);
        ck_assert_uint_eq(l.sessions, 2);
        ck_assert_uint_eq(l.txn_operations, 7);
        ck_assert_uint_eq(l.store_bytes, 1 << 20);
        ck_assert_uint_eq(l.frame_bytes, 1 << 20);
        ck_assert_uint_eq(l.watches, 3);
        ck_assert_uint_eq(l.connections, 77);
        ck_assert_uint_eq(l.history_events, 65536);
        ck_assert_uint_eq(cluster_log_count(cl, id, "limits changed"), 1);
        ck_assert_uint_eq(cluster_log_count(cl, id, "limits differ"), 0);
    }
}
END_TEST

START_TEST(at_a_limit_and_one_past_it)
{
    options.node.machine.data_bytes = 10;
    options.node.machine.sessions = 2;
    options.node.watch.per_connection = 2;
    begin();
    for (raft_id id = 1; id <= 3; id++) {
        struct cluster_client *c = greeted(id);
        char path[8];
        (void)snprintf(path, sizeof(path), "/n%u", id);
        ck_assert_int_eq(client_create(c, path, "01234567890", 0), COORD_ETOOBIG);
        ck_assert_int_eq(client_create(c, path, "0123456789", 0), 0);
        ck_assert_int_eq(client_set(c, path, "01234567890"), COORD_ETOOBIG);
        ck_assert_int_eq(client_get(c, path, "0123456789"), 0);
        for (uint64_t number = 1; number <= 3; number++) {
            struct coord_request q = {.op = COORD_OP_WATCH,
                                      .watch = number,
                                      .path = bytes_of("/"),
                                      .kinds = COORD_CHANGE_CREATED};
            struct coord_result res;
            ck_assert_int_eq(client_call(c, &q, &res), number <= 2 ? 0 : COORD_ELIMIT);
            ck_assert(number <= 2 || memmem(res.text.data, res.text.len, "2 watches", 9) != NULL);
        }
    }
    uint8_t secret[COORD_SECRET_BYTES];
    ck_assert_uint_ne(client_open_session(client_connect(cl, 1), 5000, secret), 0);
    ck_assert_uint_ne(client_open_session(client_connect(cl, 2), 5000, secret), 0);
    struct cluster_client *one_more = greeted(3);
    struct coord_request q = {.op = COORD_OP_SESSION_OPEN, .timeout_ms = 5000};
    struct coord_result res;
    ck_assert_int_eq(client_call(one_more, &q, &res), COORD_ELIMIT);
}
END_TEST

/* --- files that differ ------------------------------------------------------------------------- */

START_TEST(the_file_of_the_leader_wins)
{
    options.tune = own_data;
    begin();
    cluster_run(cl, 10 * CLUSTER_S);
    for (raft_id id = 1; id <= 3; id++) {
        ck_assert_uint_eq(in_force(id)->data_bytes, 100 * leader);
        ck_assert_uint_eq(told(id).data_bytes, 100 * leader);
        ck_assert_uint_eq(cluster_log_count(cl, id, "limits changed"), 1);
        /* Who differs says so, once. */
        ck_assert_uint_eq(cluster_log_count(cl, id, "limits differ"), id == leader ? 0 : 1);
    }
    ck_assert_uint_eq(revision_of(leader), 2); /* its empty entry, and this one */
}
END_TEST

START_TEST(each_change_of_leaders_makes_one_entry)
{
    options.tune = own_data;
    begin();
    uint32_t entries = 1;
    raft_id wanted = cluster_leader(cl);
    for (int change = 0; change < 6; change++) {
        raft_id old = cluster_leader(cl);
        cluster_kill(cl, old);
        ck_assert_uint_ne(cluster_wait_leader(cl, 10 * CLUSTER_S), 0);
        ck_assert_int_eq(cluster_boot(cl, old), 0);
        cluster_run(cl, 3 * CLUSTER_S);
        raft_id now = cluster_leader(cl);
        entries += now != wanted;
        wanted = now;
        ck_assert(cluster_wait_equal(cl, CLUSTER_S));
        uint64_t revision = revision_of(now);
        for (raft_id id = 1; id <= 3; id++) {
            ck_assert_uint_eq(in_force(id)->data_bytes, 100 * now);
        }
        cluster_run(cl, 10 * CLUSTER_S); /* and no more: nobody answers with its own */
        ck_assert_uint_eq(cluster_leader(cl), now);
        ck_assert_uint_eq(revision_of(now), revision);
        ck_assert_uint_eq(revision, (uint64_t)change + 2 + entries);
    }
    ck_assert_uint_gt(entries, 2);
}
END_TEST

START_TEST(a_member_comes_back_to_what_is_in_force)
{
    /* Through its log, and through a snapshot. */
    options.tune = own_data;
    options.node.snapshot_entries = 20;
    begin();
    cluster_kill(cl, follower);
    ck_assert_int_eq(cluster_boot(cl, follower), 0);
    cluster_run(cl, CLUSTER_S);
    ck_assert_uint_eq(in_force(follower)->data_bytes, 100 * leader);
    cluster_kill(cl, follower);
    struct cluster_client *c = greeted(leader);
    for (int i = 0; i < 60; i++) {
        ck_assert_int_eq(client_create(c, "/n", "x", COORD_F_SEQUENTIAL), 0);
    }
    ck_assert_uint_gt(cluster_snapshots(cl, leader), 0);
    ck_assert_int_eq(cluster_boot(cl, follower), 0);
    ck_assert(cluster_wait_equal(cl, 5 * CLUSTER_S));
    ck_assert_uint_eq(in_force(follower)->data_bytes, 100 * leader);
    cluster_kill(cl, third); /* from its own snapshot */
    ck_assert_int_eq(cluster_boot(cl, third), 0);
    ck_assert_uint_eq(in_force(third)->data_bytes, 100 * leader);
}
END_TEST

START_TEST(a_node_beyond_a_lower_limit_is_still_read_or_says_why_not)
{
    options.members = 1;
    options.tune = later;
    file_changed = false;
    begin();
    char big[200001];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    struct cluster_client *c = greeted(1);
    ck_assert_int_eq(client_create(c, "/big", big, 0), 0);
    big[100000] = '\0';
    ck_assert_int_eq(client_create(c, "/small", big, 0), 0);
    cluster_kill(cl, 1);
    file_changed = true;
    ck_assert_int_eq(cluster_boot(cl, 1), 0);
    ck_assert_uint_ne(cluster_wait_leader(cl, 10 * CLUSTER_S), 0);
    cluster_run(cl, 500 * CLUSTER_MS);
    c = greeted(1);
    ck_assert_uint_eq(told(1).data_bytes, 100);
    ck_assert_int_eq(client_get(c, "/small", big), 0); /* a frame of 100,000 bytes and the rest */
    ck_assert_int_eq(client_get(c, "/big", NULL), COORD_ETOOBIG);
    ck_assert_int_eq(client_set(c, "/big", "y"), 0);
    ck_assert_int_eq(client_get(c, "/big", "y"), 0);
}
END_TEST

START_TEST(a_write_from_before_a_lower_limit_is_not_done_twice)
{
    options.members = 1;
    options.tune = later;
    file_changed = false;
    begin();
    char data[151];
    memset(data, 'x', sizeof(data) - 1);
    data[sizeof(data) - 1] = '\0';
    uint8_t secret[COORD_SECRET_BYTES];
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, 1);
    uint64_t session = client_open_session(c, 30000, secret);
    struct coord_request q = {
        .op = COORD_OP_CREATE, .path = bytes_of("/a"), .data = bytes_of(data)};
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    cluster_kill(cl, 1); /* as if the answer had been lost */
    file_changed = true;
    ck_assert_int_eq(cluster_boot(cl, 1), 0);
    ck_assert_uint_ne(cluster_wait_leader(cl, 10 * CLUSTER_S), 0);
    cluster_run(cl, 500 * CLUSTER_MS);
    ck_assert_uint_eq(in_force(1)->data_bytes, 100);
    c = client_connect(cl, 1);
    c->next_number = q.number + 1;
    ck_assert_int_eq(client_resume(c, session, secret, NULL), 0);
    ck_assert_int_eq(client_call(c, &q, &res), 0); /* the same number: the answer of then */
    q.number = 0;
    q.path = bytes_of("/b");
    ck_assert_int_eq(client_call(c, &q, &res), COORD_ETOOBIG); /* by the machine */
    /* Who came later is refused before the log. */
    uint64_t before = revision_of(1);
    struct cluster_client *young = client_connect(cl, 1);
    ck_assert_uint_ne(client_open_session(young, 30000, secret), 0);
    q.number = 0;
    ck_assert_int_eq(client_call(young, &q, &res), COORD_ETOOBIG);
    ck_assert_uint_eq(revision_of(1), before + 1); /* the session */
}
END_TEST

/* --- clients that do not read ------------------------------------------------------------------ */

START_TEST(requests_at_the_limit_are_read_and_one_more_is_not)
{
    options.members = 1;
    options.node.outstanding_max = 8;
    begin();
    struct cluster_client *c = greeted(1);
    ck_assert_int_eq(client_create(c, "/a", "0", 0), 0);
    uint64_t last = 0;
    for (int i = 1; i <= 8; i++) {
        struct coord_request q = {.op = COORD_OP_SET,
                                  .path = bytes_of("/a"),
                                  .data = bytes_of("x"),
                                  .expect_version = COORD_VERSION_ANY};
        last = client_send(c, &q);
        cluster_run(cl, 0);
        ck_assert_int_eq(c->paused, i == 8);
    }
    struct coord_result res;
    ck_assert_int_eq(client_wait(c, last, COORD_OP_SET, &res, CLUSTER_S), 0);
    ck_assert(!c->paused);
}
END_TEST

static void watch_all(struct cluster_client *c, uint64_t number, const char *path)
{
    struct coord_request q = {.op = COORD_OP_WATCH,
                              .watch = number,
                              .path = bytes_of(path),
                              .depth = COORD_DEPTH_SUBTREE,
                              .kinds = COORD_CHANGE_CREATED};
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
}

/* Refusals, too, wait until there is room: one is under way, the others follow when it reads. */
START_TEST(a_client_that_does_not_read_gets_one_refusal)
{
    begin();
    struct cluster_client *slow = greeted(1);
    uint64_t numbers[20];
    cluster_isolate(cl, 1, true);
    uint32_t frames = slow->frames;
    for (int i = 0; i < 20; i++) {
        struct coord_request q = {.op = COORD_OP_EXISTS, .path = bytes_of("/a")};
        numbers[i] = client_send(slow, &q);
    }
    cluster_run(cl, 5 * CLUSTER_MS); /* they wait for a quorum */
    ck_assert_uint_eq(slow->frames, frames);
    client_stall(slow, true);
    cluster_run(cl, 3 * CLUSTER_S);
    ck_assert_uint_le(slow->frames, frames + 1);
    client_stall(slow, false);
    for (int i = 0; i < 20; i++) {
        struct coord_result res;
        ck_assert_int_eq(client_wait(slow, numbers[i], COORD_OP_EXISTS, &res, CLUSTER_S),
                         COORD_ENOQUORUM);
    }
}
END_TEST

START_TEST(a_watcher_that_does_not_read_is_told_gap_and_goes_on)
{
    begin();
    struct cluster_client *slow = greeted(1);
    struct cluster_client *quick = greeted(1);
    struct cluster_client *writer = greeted(2);
    struct coord_event ev;
    uint32_t at = 0;
    watch_all(slow, 1, "/");
    watch_all(slow, 2, "/elsewhere");
    watch_all(quick, 1, "/");
    client_stall(slow, true);
    uint32_t frames = slow->frames;
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(client_create(writer, "/n", "x", COORD_F_SEQUENTIAL), 0);
    }
    cluster_run(cl, 3 * CLUSTER_S);
    ck_assert_uint_eq(slow->frames, frames); /* nothing more is kept for it */
    ck_assert(slow->open);
    ck_assert(client_event(quick, 49, &ev, &at));
    /* A read and a bad request meanwhile are answered, behind the gap (W8). */
    struct coord_request bad = {.op = COORD_OP_EXISTS, .path = bytes_of("bad")};
    uint64_t refused = client_send(slow, &bad);
    struct coord_request q = {.op = COORD_OP_EXISTS, .path = bytes_of("/n0000000049")};
    uint64_t read = client_send(slow, &q);
    cluster_run(cl, CLUSTER_S);
    ck_assert(!client_has(slow, read));
    ck_assert(!client_has(slow, refused));
    client_stall(slow, false);
    struct coord_result res;
    ck_assert_int_eq(client_wait(slow, read, COORD_OP_EXISTS, &res, CLUSTER_S), 0);
    ck_assert(res.exists);
    ck_assert_int_eq(client_wait(slow, refused, COORD_OP_EXISTS, &res, CLUSTER_S), COORD_EBADPATH);
    ck_assert(client_event(slow, 0, &ev, &at));
    ck_assert_int_eq(ev.state, COORD_EVENT_GAP);
    ck_assert_uint_eq(ev.watch, 1);
    ck_assert_uint_ge(ev.revision, 50);
    ck_assert_uint_lt(at, client_position(slow, refused));
    ck_assert_uint_lt(at, client_position(slow, read));
    uint64_t gap = ev.revision;
    ck_assert_int_eq(client_create(writer, "/elsewhere", "x", 0), 0);
    cluster_run(cl, CLUSTER_S);
    uint32_t changes = 0;
    for (uint32_t i = 1; client_event(slow, i, &ev, &at); i++) {
        ck_assert_int_ne(ev.state, COORD_EVENT_GAP);
        changes += ev.state == COORD_EVENT_CHANGES;
        ck_assert_uint_ge(ev.revision, gap);
    }
    ck_assert_uint_eq(changes, 2); /* both watches are told of what came afterwards */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("node_limits");
    TCase *tc = tcase_create("limits");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_defaults_need_no_entry);
    tcase_add_test(tc, a_file_is_in_force_everywhere_and_told);
    tcase_add_test(tc, at_a_limit_and_one_past_it);
    tcase_add_test(tc, the_file_of_the_leader_wins);
    tcase_add_test(tc, each_change_of_leaders_makes_one_entry);
    tcase_add_test(tc, a_member_comes_back_to_what_is_in_force);
    tcase_add_test(tc, a_write_from_before_a_lower_limit_is_not_done_twice);
    tcase_add_test(tc, a_node_beyond_a_lower_limit_is_still_read_or_says_why_not);
    suite_add_tcase(suite, tc);
    TCase *pressure = tcase_create("back-pressure");
    tcase_add_checked_fixture(pressure, setup, teardown);
    tcase_add_test(pressure, requests_at_the_limit_are_read_and_one_more_is_not);
    tcase_add_test(pressure, a_client_that_does_not_read_gets_one_refusal);
    tcase_add_test(pressure, a_watcher_that_does_not_read_is_told_gap_and_goes_on);
    suite_add_tcase(suite, pressure);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
