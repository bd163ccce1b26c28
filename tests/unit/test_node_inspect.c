/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_inspect.c
 * Goal: an operator sees the open sessions and what they own from any member at every level, sees at the
 * leader when each was heard of and through which member, and can end any of them.
 * Method: an ensemble of three in simulated time (node_cluster.h), at the level of protocol bytes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_fixture.h"

static struct coord_request list_request(uint64_t after, uint64_t limit, enum coord_level level)
{
    return (struct coord_request){
        .op = COORD_OP_SESSIONS, .session = after, .limit = limit, .level = level};
}

static struct coord_request one_request(uint64_t session, enum coord_level level)
{
    return (struct coord_request){
        .op = COORD_OP_SESSIONS, .session = session, .flags = COORD_SESSIONS_ONE, .level = level};
}

/* The one session as `member` tells it. Return: the error. */
static int look(raft_id member, uint64_t session, enum coord_level level,
                struct coord_session_info *ret_s, struct coord_result *ret_res)
{
    struct cluster_client *c = greeted(member);
    struct coord_request q = one_request(session, level);
    int rc = client_call(c, &q, ret_res);
    if (rc == 0) {
        struct coord_bytes cursor = ret_res->sessions.raw;
        ck_assert_uint_eq(ret_res->sessions.count, 1);
        ck_assert_int_eq(coord_session_next(&cursor, ret_s), 1);
    }
    return rc;
}

static bool exists(const char *path)
{
    struct cluster_client *c = greeted(leader);
    struct coord_request q = {.op = COORD_OP_EXISTS, .path = bytes_of(path)};
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    client_close(c);
    return res.exists;
}

/* --- looking ---------------------------------------------------------------------------------- */

START_TEST(the_leader_knows_who_was_heard_when_and_through_whom)
{
    struct coord_session_info s;
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, follower);
    uint64_t id = client_open_session(c, 30000, NULL);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    ck_assert_int_eq(look(leader, id, COORD_LEVEL_LINEARIZABLE, &s, &res), 0);
    ck_assert_uint_eq(s.session, id);
    ck_assert_uint_eq(s.epoch, id);
    ck_assert_uint_eq(s.timeout_ms, 30000);
    ck_assert_uint_eq(s.ephemerals, 1);
    ck_assert_uint_eq(s.member, follower);
    ck_assert_uint_lt(s.idle_ms, 200);
    ck_assert_ptr_null(s.address.data); /* it is not the leader's connection */
    cluster_run(cl, 7 * CLUSTER_S);
    ck_assert_int_eq(look(leader, id, COORD_LEVEL_LOCAL, &s, &res), 0);
    ck_assert_uint_ge(s.idle_ms, 6500); /* what was done before came with a TOUCH */
    ck_assert_uint_lt(s.idle_ms, 7500);
    /* Activity that costs no entry counts too. */
    struct coord_request get = {
        .op = COORD_OP_GET, .path = bytes_of("/e"), .level = COORD_LEVEL_LOCAL};
    ck_assert_int_eq(client_call(c, &get, NULL), 0);
    cluster_run(cl, 300 * CLUSTER_MS);
    ck_assert_int_eq(look(leader, id, COORD_LEVEL_LOCAL, &s, &res), 0);
    ck_assert_uint_lt(s.idle_ms, 500);
    ck_assert_uint_eq(s.member, follower);
}
END_TEST

START_TEST(a_follower_tells_what_it_knows_and_no_more)
{
    struct coord_session_info s;
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, follower);
    uint64_t id = client_open_session(c, 30000, NULL);
    ck_assert_int_eq(look(follower, id, COORD_LEVEL_LINEARIZABLE, &s, &res), 0);
    ck_assert_uint_eq(s.member, follower);
    ck_assert_uint_eq(s.idle_ms, COORD_IDLE_UNKNOWN);
    ck_assert_uint_gt(s.address.len, 0);
    ck_assert_int_eq(look(third, id, COORD_LEVEL_LINEARIZABLE, &s, &res), 0);
    ck_assert_uint_eq(s.member, 0);
    ck_assert_uint_eq(s.idle_ms, COORD_IDLE_UNKNOWN);
    ck_assert_ptr_null(s.address.data);
}
END_TEST

START_TEST(a_moved_session_is_seen_where_it_is)
{
    uint8_t secret[COORD_SECRET_BYTES];
    struct coord_session_info s;
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, follower);
    uint64_t id = client_open_session(c, 30000, secret);
    struct cluster_client *d = client_connect(cl, third);
    ck_assert_int_eq(client_resume(d, id, secret, NULL), 0);
    ck_assert_int_eq(look(leader, id, COORD_LEVEL_LINEARIZABLE, &s, &res), 0);
    ck_assert_uint_eq(s.member, third);
    ck_assert_uint_gt(s.epoch, id);
    ck_assert_int_eq(look(follower, id, COORD_LEVEL_LINEARIZABLE, &s, &res), 0);
    ck_assert_uint_eq(s.member, 0);
    ck_assert_ptr_null(s.address.data);
}
END_TEST

START_TEST(a_new_leader_knows_once_it_heard)
{
    struct coord_session_info s;
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, follower);
    uint64_t id = client_open_session(c, 30000, NULL);
    cluster_kill(cl, leader);
    leader = cluster_wait_leader(cl, 10 * CLUSTER_S);
    ck_assert_int_eq(look(leader, id, COORD_LEVEL_LINEARIZABLE, &s, &res), 0);
    ck_assert_uint_ne(s.idle_ms, COORD_IDLE_UNKNOWN);
    ck_assert_int_eq(client_ping(c), 0);
    ck_assert_int_eq(look(leader, id, COORD_LEVEL_LINEARIZABLE, &s, &res), 0);
    ck_assert_uint_eq(s.member, follower);
    ck_assert_uint_lt(s.idle_ms, 100);
}
END_TEST

START_TEST(pages_of_sessions)
{
    uint64_t ids[25];
    uint64_t after = 0;
    uint32_t seen = 0;
    struct cluster_client *c = greeted(third);
    for (uint32_t i = 0; i < 25; i++) {
        ids[i] = client_open_session(client_connect(cl, i % 3 + 1), 30000, NULL);
    }
    for (bool more = true; more;) {
        struct coord_request q = list_request(after, 10, COORD_LEVEL_LINEARIZABLE);
        struct coord_result res;
        struct coord_session_info s;
        ck_assert_int_eq(client_call(c, &q, &res), 0);
        ck_assert_uint_eq(res.count, 25);
        ck_assert_uint_le(res.sessions.count, 10);
        struct coord_bytes cursor = res.sessions.raw;
        while (coord_session_next(&cursor, &s) == 1) {
            ck_assert_uint_lt(seen, 25);
            ck_assert_uint_eq(s.session, ids[seen++]);
            after = s.session;
        }
        ck_assert_uint_eq(res.entries_count, 0);
        more = res.more;
        ck_assert_int_eq(more, seen < 25);
    }
    ck_assert_uint_eq(seen, 25);
}
END_TEST

START_TEST(pages_of_what_one_owns)
{
    char path[32];
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, follower);
    uint64_t id = client_open_session(c, 30000, NULL);
    for (int i = 0; i < 25; i++) {
        (void)snprintf(path, sizeof(path), "/e%02d", i * 7 % 25);
        ck_assert_int_eq(client_create(c, path, "", COORD_F_EPHEMERAL), 0);
    }
    struct cluster_client *d = greeted(third);
    struct coord_request q = one_request(id, COORD_LEVEL_LINEARIZABLE);
    q.after = bytes_of("/e06");
    q.limit = 10;
    ck_assert_int_eq(client_call(d, &q, &res), 0);
    ck_assert(res.more);
    ck_assert_uint_eq(res.count, 25);
    ck_assert_uint_eq(res.entries_count, 10);
    struct coord_bytes cursor = res.entries_raw;
    struct coord_list_entry e;
    for (int i = 7; i < 17; i++) {
        (void)snprintf(path, sizeof(path), "/e%02d", i);
        ck_assert_int_eq(coord_list_next(&cursor, &e), 1);
        ck_assert_uint_eq(e.name.len, 4);
        ck_assert_mem_eq(e.name.data, path, 4);
    }
}
END_TEST

START_TEST(the_levels_hold)
{
    struct coord_session_info s;
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, leader);
    uint64_t id = client_open_session(c, 30000, NULL);
    struct cluster_client *d = greeted(third);
    ck_assert(cluster_wait_equal(cl, CLUSTER_S));
    cluster_isolate(cl, third, true);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    cluster_run(cl, 3 * CLUSTER_S);
    struct coord_request q = one_request(id, COORD_LEVEL_LINEARIZABLE);
    ck_assert_int_eq(client_call(d, &q, &res), COORD_ENOQUORUM);
    q = list_request(0, 0, COORD_LEVEL_BOUNDED);
    q.level_arg = 1000;
    ck_assert_int_eq(client_call(d, &q, &res), COORD_ETOOSTALE);
    q = one_request(id, COORD_LEVEL_LOCAL);
    ck_assert_int_eq(client_call(d, &q, &res), 0);
    struct coord_bytes cursor = res.sessions.raw;
    ck_assert_int_eq(coord_session_next(&cursor, &s), 1);
    ck_assert_uint_eq(s.ephemerals, 0); /* as of then */
    ck_assert_int_eq(look(leader, id + 1, COORD_LEVEL_LINEARIZABLE, &s, &res), COORD_EGONE);
}
END_TEST

/* A read that is overtaken by a write of its own connection is answered from the state before it. */
START_TEST(an_overtaken_one_is_answered_too)
{
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, follower);
    uint64_t id = client_open_session(c, 30000, NULL);
    struct coord_request q = one_request(id, COORD_LEVEL_LINEARIZABLE);
    struct coord_request w = {
        .op = COORD_OP_CREATE, .path = bytes_of("/e"), .flags = COORD_F_EPHEMERAL};
    uint64_t first = client_send(c, &q);
    uint64_t second = client_send(c, &w);
    ck_assert_int_eq(client_wait(c, first, COORD_OP_SESSIONS, &res, CLUSTER_S), 0);
    ck_assert_uint_eq(res.count, 0);
    ck_assert_int_eq(client_wait(c, second, COORD_OP_CREATE, &res, CLUSTER_S), 0);
}
END_TEST

/* --- ending ----------------------------------------------------------------------------------- */

static int end_session(struct cluster_client *c, uint64_t id, struct coord_result *res)
{
    struct coord_request q = {.op = COORD_OP_SESSION_END, .session = id};
    return client_call(c, &q, res);
}

START_TEST(an_ended_session_is_told_as_if_it_had_expired)
{
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, follower);
    struct cluster_client *w = greeted(third);
    uint64_t id = client_open_session(c, 30000, NULL);
    ck_assert_int_eq(client_create(c, "/a", "", COORD_F_EPHEMERAL), 0);
    ck_assert_int_eq(client_create(c, "/b", "", COORD_F_EPHEMERAL), 0);
    struct coord_request watch = {.op = COORD_OP_WATCH,
                                  .watch = 1,
                                  .path = bytes_of("/"),
                                  .depth = COORD_DEPTH_SUBTREE,
                                  .kinds = COORD_CHANGE_DELETED};
    ck_assert_int_eq(client_call(w, &watch, NULL), 0);
    ck_assert_int_eq(end_session(w, id, &res), 0);
    ck_assert_uint_eq(res.count, 2);
    ck_assert(!exists("/a"));
    ck_assert(!exists("/b"));
    /* Both at the revision that the answer tells, and before it. */
    struct coord_event ev;
    uint32_t position = 0;
    ck_assert(client_event(w, 0, &ev, &position));
    ck_assert_uint_eq(ev.revision, res.revision);
    ck_assert(!client_event(w, 1, &ev, NULL) || ev.state == COORD_EVENT_PROGRESS);
    ck_assert_uint_lt(position, w->frames - 1);
    ck_assert_int_eq(client_ping(c), COORD_EEXPIRED);
    ck_assert_int_eq(client_create(c, "/c", "", 0), COORD_EEXPIRED);
    ck_assert(c->open);
    struct coord_request open = {.op = COORD_OP_SESSION_OPEN, .timeout_ms = 2000};
    ck_assert_int_eq(client_call(c, &open, NULL), 0);
    ck_assert_int_eq(end_session(w, id, &res), COORD_EGONE);
    ck_assert_uint_ge(cluster_log_count(cl, third, "session ended on request"), 1);
    ck_assert(cluster_wait_equal(cl, 5 * CLUSTER_S));
}
END_TEST

START_TEST(its_waiting_requests_are_answered)
{
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, follower);
    uint64_t id = client_open_session(c, 30000, NULL);
    struct cluster_client *d = greeted(leader);
    struct coord_request end = {.op = COORD_OP_SESSION_END, .session = id};
    struct coord_request w = {.op = COORD_OP_CREATE, .path = bytes_of("/x")};
    uint64_t ended = client_send(d, &end);
    cluster_run(cl, CLUSTER_MS / 10);
    uint64_t late = client_send(c, &w);
    ck_assert_int_eq(client_wait(d, ended, COORD_OP_SESSION_END, &res, CLUSTER_S), 0);
    ck_assert_int_eq(client_wait(c, late, COORD_OP_CREATE, &res, CLUSTER_S), COORD_EEXPIRED);
    ck_assert(!exists("/x"));
}
END_TEST

START_TEST(one_can_end_its_own)
{
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, follower);
    uint64_t id = client_open_session(c, 30000, NULL);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    ck_assert_int_eq(end_session(c, id, &res), 0);
    ck_assert_uint_eq(res.count, 1);
    ck_assert_int_eq(client_ping(c), COORD_EEXPIRED);
    ck_assert(!exists("/e"));
}
END_TEST

START_TEST(it_needs_a_quorum)
{
    struct coord_result res;
    struct cluster_client *c = client_connect(cl, leader);
    uint64_t id = client_open_session(c, 30000, NULL);
    struct cluster_client *d = greeted(third);
    cluster_isolate(cl, third, true);
    cluster_run(cl, 3 * CLUSTER_S);
    ck_assert_int_eq(end_session(d, id, &res), COORD_ENOQUORUM);
    ck_assert_int_eq(client_ping(c), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node: sessions for operators");
    TCase *t = tcase_create("look");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup_and_begin, teardown);
    tcase_add_test(t, the_leader_knows_who_was_heard_when_and_through_whom);
    tcase_add_test(t, a_follower_tells_what_it_knows_and_no_more);
    tcase_add_test(t, a_moved_session_is_seen_where_it_is);
    tcase_add_test(t, a_new_leader_knows_once_it_heard);
    tcase_add_test(t, pages_of_sessions);
    tcase_add_test(t, pages_of_what_one_owns);
    tcase_add_test(t, the_levels_hold);
    tcase_add_test(t, an_overtaken_one_is_answered_too);
    suite_add_tcase(s, t);
    t = tcase_create("end");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup_and_begin, teardown);
    tcase_add_test(t, an_ended_session_is_told_as_if_it_had_expired);
    tcase_add_test(t, its_waiting_requests_are_answered);
    tcase_add_test(t, one_can_end_its_own);
    tcase_add_test(t, it_needs_a_quorum);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
