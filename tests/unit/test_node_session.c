/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_session.c
 * Goal: sessions and watches of a member at the level of protocol bytes: opening, resuming, moving,
 * expiry, exactly-once, PING; order of events and replies, resuming a watch, progress marks.
 * Method: an ensemble of one in simulated time (node_cluster.h). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_cluster.h"

static struct cluster *cl;
static struct cluster_options options;

static void setup(void)
{
    cluster_options_init(&options, 1);
    cl = cluster_create(&options);
    ck_assert_uint_eq(cluster_wait_leader(cl, 5 * CLUSTER_S), 1);
}

static void teardown(void)
{
    cluster_destroy(cl);
}

static struct cluster_client *greeted(void)
{
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_int_eq(client_hello(c), 0);
    return c;
}

static struct coord_request create_request(const char *path, uint32_t flags)
{
    return (struct coord_request){.op = COORD_OP_CREATE, .path = bytes_of(path), .flags = flags};
}

static struct coord_request watch_request(uint64_t watch, const char *path, uint64_t revision)
{
    return (struct coord_request){.op = COORD_OP_WATCH,
                                  .watch = watch,
                                  .path = bytes_of(path),
                                  .depth = COORD_DEPTH_SUBTREE,
                                  .kinds = COORD_CHANGE_CREATED | COORD_CHANGE_CHANGED |
                                           COORD_CHANGE_DELETED,
                                  .revision = revision};
}

static bool exists(const char *path)
{
    struct cluster_client *c = greeted();
    struct coord_request q = {.op = COORD_OP_EXISTS, .path = bytes_of(path)};
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    client_close(c);
    return res.exists;
}

/* --- sessions --------------------------------------------------------------------------------- */

START_TEST(an_ephemeral_lives_as_long_as_its_session)
{
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_uint_ne(client_open_session(c, 4000, NULL), 0);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    ck_assert(exists("/e"));
    struct coord_request q = {.op = COORD_OP_SESSION_CLOSE};
    ck_assert_int_eq(client_call(c, &q, NULL), 0);
    ck_assert(!exists("/e"));
    ck_assert_int_eq(client_create(c, "/x", "", 0), COORD_EEXPIRED);
}
END_TEST

START_TEST(a_silent_session_expires_in_time)
{
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_uint_ne(client_open_session(c, 4000, NULL), 0);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    client_close(c);
    cluster_run(cl, 3900 * CLUSTER_MS);
    ck_assert(exists("/e"));
    cluster_run(cl, 300 * CLUSTER_MS);
    ck_assert(!exists("/e"));
    ck_assert_uint_eq(cluster_log_count(cl, 1, "sessions given up: count=1"), 1);
}
END_TEST

START_TEST(any_request_keeps_a_session_and_costs_no_entry)
{
    struct cluster_client *c = client_connect(cl, 1);
    struct raft_status before;
    struct raft_status after;
    ck_assert_uint_ne(client_open_session(c, 2000, NULL), 0);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    raft_status(node_raft(cluster_node(cl, 1)), &before);
    for (int i = 0; i < 10; i++) {
        cluster_run(cl, 1500 * CLUSTER_MS);
        struct coord_request q = {
            .op = COORD_OP_GET, .path = bytes_of("/e"), .level = COORD_LEVEL_LOCAL};
        ck_assert_int_eq(i % 2 == 0 ? client_ping(c) : client_call(c, &q, NULL), 0);
    }
    raft_status(node_raft(cluster_node(cl, 1)), &after);
    ck_assert_uint_eq(after.last, before.last);
    ck_assert(exists("/e"));
}
END_TEST

START_TEST(the_connection_of_an_expired_session_is_told)
{
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_uint_ne(client_open_session(c, 2000, NULL), 0);
    cluster_run(cl, 3 * CLUSTER_S);
    ck_assert(c->open);
    ck_assert_int_eq(client_ping(c), COORD_EEXPIRED);
    ck_assert_int_eq(client_create(c, "/a", "", 0), COORD_EEXPIRED);
    ck_assert_int_eq(client_get(c, "/", ""), 0);
    struct coord_request q = {.op = COORD_OP_SESSION_OPEN, .timeout_ms = 2000};
    ck_assert_int_eq(client_call(c, &q, NULL), 0);
    ck_assert_int_eq(client_create(c, "/a", "", 0), 0);
}
END_TEST

START_TEST(a_pause_of_the_loop_expires_nobody)
{
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_uint_ne(client_open_session(c, 2000, NULL), 0);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    cluster_pause(cl, 1, 10 * CLUSTER_S);
    cluster_run(cl, 10 * CLUSTER_S + CLUSTER_MS);
    ck_assert_int_eq(client_ping(c), 0);
    ck_assert(exists("/e"));
    client_close(c);
    cluster_run(cl, 3 * CLUSTER_S);
    ck_assert(!exists("/e"));
}
END_TEST

/* The leader has given the session up, but the disk is slow: a PING that comes then must not be told
 * that the session lives on. */
START_TEST(a_ping_does_not_rescue_a_session_given_up)
{
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_uint_ne(client_open_session(c, 2000, NULL), 0);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    cluster_run(cl, 1900 * CLUSTER_MS);
    cluster_stall_disk(cl, 1, true);
    cluster_run(cl, 200 * CLUSTER_MS);
    ck_assert_uint_eq(cluster_log_count(cl, 1, "sessions given up"), 1);
    struct coord_request q = {.op = COORD_OP_PING};
    uint64_t number = client_send(c, &q);
    cluster_run(cl, 100 * CLUSTER_MS);
    ck_assert(!client_has(c, number));
    cluster_stall_disk(cl, 1, false);
    struct coord_result res;
    ck_assert_int_eq(client_wait(c, number, COORD_OP_PING, &res, CLUSTER_S), COORD_EEXPIRED);
    ck_assert(!exists("/e"));
}
END_TEST

START_TEST(a_session_is_resumed_with_its_secret_only)
{
    uint8_t secret[COORD_SECRET_BYTES];
    uint8_t wrong[COORD_SECRET_BYTES] = {0};
    uint32_t state = 99;
    struct cluster_client *c = client_connect(cl, 1);
    uint64_t session = client_open_session(c, 4000, secret);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    client_close(c);
    struct cluster_client *thief = client_connect(cl, 1);
    ck_assert_int_eq(client_resume(thief, session, wrong, NULL), COORD_EAUTH);
    ck_assert(!thief->open);
    struct cluster_client *d = client_connect(cl, 1);
    ck_assert_int_eq(client_resume(d, session, secret, &state), 0);
    ck_assert_uint_eq(state, COORD_SESSION_RESUMED);
    for (int i = 0; i < 4; i++) {
        cluster_run(cl, 2 * CLUSTER_S);
        ck_assert_int_eq(client_ping(d), 0);
    }
    ck_assert(exists("/e"));
}
END_TEST

START_TEST(a_lost_session_is_gone_and_its_writes_with_it)
{
    uint8_t secret[COORD_SECRET_BYTES];
    uint32_t state = 99;
    struct cluster_client *c = client_connect(cl, 1);
    uint64_t session = client_open_session(c, 2000, secret);
    client_close(c);
    cluster_run(cl, 4 * CLUSTER_S);
    struct cluster_client *d = client_connect(cl, 1);
    d->next_number = 100;
    /* Pipelined behind the HELLO: a write of the old session must not be carried out without it. */
    struct coord_request hello = {.op = COORD_OP_HELLO,
                                  .version = COORD_PROTOCOL_VERSION,
                                  .client = bytes_of("test"),
                                  .session = session,
                                  .secret = {secret, sizeof(secret)}};
    struct coord_request write = create_request("/late", 0);
    uint64_t first = client_send(d, &hello);
    uint64_t second = client_send(d, &write);
    struct coord_result res;
    ck_assert_int_eq(client_wait(d, first, COORD_OP_HELLO, &res, CLUSTER_S), 0);
    ck_assert_uint_eq(res.session_state, COORD_SESSION_GONE);
    ck_assert_int_eq(client_wait(d, second, COORD_OP_CREATE, &res, CLUSTER_S), COORD_EEXPIRED);
    ck_assert_int_eq(client_create(d, "/late", "", 0), COORD_EEXPIRED);
    ck_assert(!exists("/late"));
    struct cluster_client *e = client_connect(cl, 1);
    ck_assert_int_eq(client_resume(e, 12345, secret, &state), 0);
    ck_assert_uint_eq(state, COORD_SESSION_GONE);
}
END_TEST

START_TEST(everything_may_be_sent_at_once)
{
    struct cluster_client *c = client_connect(cl, 1);
    struct coord_request q[5] = {
        {.op = COORD_OP_HELLO, .version = COORD_PROTOCOL_VERSION, .client = bytes_of("test")},
        {.op = COORD_OP_SESSION_OPEN, .timeout_ms = 4000},
        create_request("/e", COORD_F_EPHEMERAL),
        {.op = COORD_OP_PING},
        {.op = COORD_OP_GET, .path = bytes_of("/e")}};
    for (int i = 0; i < 5; i++) {
        (void)client_send(c, &q[i]);
    }
    for (int i = 0; i < 5; i++) {
        struct coord_result res;
        ck_assert_int_eq(client_wait(c, q[i].number, q[i].op, &res, CLUSTER_S), 0);
        ck_assert_uint_eq(client_position(c, q[i].number), (uint32_t)i);
    }
}
END_TEST

START_TEST(the_newer_connection_wins)
{
    uint8_t secret[COORD_SECRET_BYTES];
    struct cluster_client *c = client_connect(cl, 1);
    uint64_t session = client_open_session(c, 4000, secret);
    struct cluster_client *d = client_connect(cl, 1);
    ck_assert_int_eq(client_resume(d, session, secret, NULL), 0);
    cluster_run(cl, CLUSTER_MS);
    ck_assert(!c->open);
    ck_assert_str_eq(c->close_why, "session moved");
    /* docs/protocol.md, last word: four items, no number, the error. */
    const uint8_t head[] = {0x94, 0, -COORD_EMOVED};
    ck_assert_uint_gt(c->last->body->len, sizeof(head));
    ck_assert_mem_eq(c->last->body->data, head, sizeof(head));
    ck_assert_int_eq(client_create(d, "/e", "", COORD_F_EPHEMERAL), 0);
    /* With requests waiting, those are told. */
    cluster_stall_disk(cl, 1, true);
    struct coord_request w = create_request("/queued", 0);
    uint64_t number = client_send(d, &w);
    cluster_run(cl, CLUSTER_MS);
    struct cluster_client *e = client_connect(cl, 1);
    struct coord_request hello = {.op = COORD_OP_HELLO,
                                  .version = COORD_PROTOCOL_VERSION,
                                  .client = bytes_of("test"),
                                  .session = session,
                                  .secret = {secret, sizeof(secret)}};
    (void)client_send(e, &hello);
    struct coord_request late = create_request("/late", 0);
    uint64_t late_number = client_send(d, &late);
    cluster_run(cl, CLUSTER_MS);
    cluster_stall_disk(cl, 1, false);
    struct coord_result res;
    ck_assert_int_eq(client_wait(e, hello.number, COORD_OP_HELLO, &res, CLUSTER_S), 0);
    ck_assert_int_eq(client_wait(d, number, COORD_OP_CREATE, &res, CLUSTER_S), 0);
    ck_assert_int_eq(client_wait(d, late_number, COORD_OP_CREATE, &res, CLUSTER_S), COORD_EMOVED);
    ck_assert(!d->open);
    ck_assert(exists("/queued"));
    ck_assert(!exists("/late"));
}
END_TEST

START_TEST(a_repeated_number_gets_the_first_answer)
{
    uint8_t secret[COORD_SECRET_BYTES];
    struct cluster_client *c = client_connect(cl, 1);
    uint64_t session = client_open_session(c, 4000, secret);
    struct coord_request q = create_request("/q-", COORD_F_SEQUENTIAL);
    struct coord_result first;
    struct coord_result again;
    q.number = 50;
    ck_assert_int_eq(client_call(c, &q, &first), 0);
    struct cluster_client *d = client_connect(cl, 1);
    ck_assert_int_eq(client_resume(d, session, secret, NULL), 0);
    d->next_number = 60;
    ck_assert_int_eq(client_call(d, &q, &again), 0);
    ck_assert_uint_eq(again.stat.create_revision, first.stat.create_revision);
    ck_assert_uint_eq(again.path.len, first.path.len);
    ck_assert_mem_eq(again.path.data, first.path.data, first.path.len);
    /* After a restart too. */
    cluster_kill(cl, 1);
    ck_assert_int_eq(cluster_boot(cl, 1), 0);
    ck_assert_uint_eq(cluster_wait_leader(cl, 5 * CLUSTER_S), 1);
    struct cluster_client *e = client_connect(cl, 1);
    ck_assert_int_eq(client_resume(e, session, secret, NULL), 0);
    ck_assert_int_eq(client_call(e, &q, &again), 0);
    ck_assert_uint_eq(again.stat.create_revision, first.stat.create_revision);
}
END_TEST

START_TEST(one_session_per_connection)
{
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_uint_ne(client_open_session(c, 4000, NULL), 0);
    struct coord_request q = {.op = COORD_OP_SESSION_OPEN, .timeout_ms = 4000};
    ck_assert_int_eq(client_call(c, &q, NULL), COORD_EBADREQUEST);
}
END_TEST

/* --- watches ---------------------------------------------------------------------------------- */

START_TEST(an_event_stands_before_the_reply_that_shows_it)
{
    struct cluster_client *c = greeted();
    struct cluster_client *d = greeted();
    struct coord_event ev;
    uint32_t position = 0;
    struct coord_request w = watch_request(7, "/", 0);
    ck_assert_int_eq(client_call(c, &w, NULL), 0);
    struct coord_request q = create_request("/a", 0);
    (void)client_send(d, &q);
    struct coord_request own = create_request("/b", 0);
    ck_assert_int_eq(client_call(c, &own, NULL), 0);
    ck_assert(client_event(c, 0, &ev, &position));
    ck_assert_uint_eq(ev.watch, 7);
    ck_assert_uint_lt(position, client_position(c, own.number));
    struct coord_event second;
    ck_assert(client_event(c, 1, &second, &position));
    ck_assert_uint_gt(second.revision, ev.revision);
    ck_assert_uint_lt(position, client_position(c, own.number));
}
END_TEST

START_TEST(a_watch_sees_the_writes_sent_behind_it)
{
    struct cluster_client *c = greeted();
    struct coord_event ev;
    struct coord_request w = watch_request(1, "/", 0);
    struct coord_request q = create_request("/a", 0);
    (void)client_send(c, &w);
    ck_assert_int_eq(client_call(c, &q, NULL), 0);
    ck_assert(client_event(c, 0, &ev, NULL));
    ck_assert_int_eq(ev.state, COORD_EVENT_CHANGES);
    ck_assert(!client_event(c, 1, &ev, NULL));
}
END_TEST

START_TEST(a_watch_resumes_where_it_was)
{
    struct cluster_client *c = greeted();
    struct coord_result res;
    struct coord_request q = create_request("/a", 0);
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    uint64_t seen = res.stat.create_revision;
    ck_assert_int_eq(client_create(c, "/b", "", 0), 0);
    ck_assert_int_eq(client_create(c, "/c", "", 0), 0);
    struct cluster_client *d = greeted();
    struct coord_request w = watch_request(3, "/", seen);
    ck_assert_int_eq(client_call(d, &w, &res), 0);
    ck_assert(!res.gap);
    struct coord_event ev;
    ck_assert(client_event(d, 0, &ev, NULL));
    ck_assert_uint_gt(ev.revision, seen);
    ck_assert(client_event(d, 1, &ev, NULL));
    ck_assert(!client_event(d, 2, &ev, NULL));
    /* A revision that was never reached here cannot be waited from. */
    w = watch_request(4, "/", 1u << 30);
    ck_assert_int_eq(client_call(d, &w, &res), COORD_ETOOSTALE);
}
END_TEST

START_TEST(a_watch_ends)
{
    struct cluster_client *c = greeted();
    struct cluster_client *d = greeted();
    struct coord_event ev;
    struct coord_request w = watch_request(1, "/", 0);
    ck_assert_int_eq(client_call(c, &w, NULL), 0);
    struct coord_request u = {.op = COORD_OP_UNWATCH, .watch = 1};
    ck_assert_int_eq(client_call(c, &u, NULL), 0);
    ck_assert_int_eq(client_create(d, "/a", "", 0), 0);
    ck_assert(!client_event(c, 0, &ev, NULL));
    w = watch_request(2, "/", 0);
    ck_assert_int_eq(client_call(c, &w, NULL), 0);
    client_close(c);
    ck_assert_int_eq(client_create(d, "/b", "", 0), 0);
    struct coord_request s = {.op = COORD_OP_STATUS};
    struct coord_result res;
    ck_assert_int_eq(client_call(d, &s, &res), 0);
    ck_assert_uint_eq(res.status.watches, 0);
}
END_TEST

START_TEST(an_idle_watch_gets_progress_marks)
{
    struct cluster_client *c = greeted();
    struct cluster_client *d = greeted();
    struct coord_event ev;
    ck_assert_int_eq(client_create(d, "/quiet", "", 0), 0);
    struct coord_request w = watch_request(1, "/quiet", 0);
    ck_assert_int_eq(client_call(c, &w, NULL), 0);
    cluster_run(cl, 3 * CLUSTER_S);
    uint32_t before = c->frames;
    for (int i = 0; i < 5; i++) {
        char path[16];
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_create(d, path, "", 0), 0);
    }
    cluster_run(cl, 3 * CLUSTER_S);
    uint32_t marks = c->frames - before;
    ck_assert_uint_ge(marks, 1);
    ck_assert_uint_le(marks, 3);
    ck_assert(client_event(c, 0, &ev, NULL));
    ck_assert_int_eq(ev.state, COORD_EVENT_PROGRESS);
    cluster_run(cl, 10 * CLUSTER_S);
    ck_assert_uint_eq(c->frames - before, marks);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node_session");
    TCase *t = tcase_create("sessions");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_ephemeral_lives_as_long_as_its_session);
    tcase_add_test(t, a_silent_session_expires_in_time);
    tcase_add_test(t, any_request_keeps_a_session_and_costs_no_entry);
    tcase_add_test(t, the_connection_of_an_expired_session_is_told);
    tcase_add_test(t, a_pause_of_the_loop_expires_nobody);
    tcase_add_test(t, a_ping_does_not_rescue_a_session_given_up);
    tcase_add_test(t, a_session_is_resumed_with_its_secret_only);
    tcase_add_test(t, a_lost_session_is_gone_and_its_writes_with_it);
    tcase_add_test(t, everything_may_be_sent_at_once);
    tcase_add_test(t, the_newer_connection_wins);
    tcase_add_test(t, a_repeated_number_gets_the_first_answer);
    tcase_add_test(t, one_session_per_connection);
    suite_add_tcase(s, t);
    t = tcase_create("watches");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_event_stands_before_the_reply_that_shows_it);
    tcase_add_test(t, a_watch_sees_the_writes_sent_behind_it);
    tcase_add_test(t, a_watch_resumes_where_it_was);
    tcase_add_test(t, a_watch_ends);
    tcase_add_test(t, an_idle_watch_gets_progress_marks);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
