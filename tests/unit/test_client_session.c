/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the session is kept alive and moved in time; the lease never outlives what the servers may
 * assume (testing.md E2, K6); an ended session ends what was sent in it.
 * Method: a client core against a scripted server (tests/lib/client_rig.h), time moved by the test.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/client_rig.h"

static struct rig rig;

static void start(uint32_t servers, enum coord_session_policy policy)
{
    struct coord__core_options o;
    rig_options(&o, servers);
    o.policy = policy;
    rig_init(&rig, &o);
}

static void stop(void)
{
    rig_finish(&rig);
}

static void ok(const struct rig_sent *s)
{
    struct coord_result res = {.error = 0};
    rig_answer(&rig, s, &res);
}

static struct coord_result opened(uint64_t id, uint64_t timeout_ms)
{
    static const uint8_t secret[COORD_SECRET_BYTES] = "sixteen bytes..";
    struct coord_result res = {.session = id, .timeout_ms = timeout_ms};
    res.secret = (struct coord_bytes){secret, sizeof(secret)};
    return res;
}

/* Milliseconds of lease left. */
static int64_t lease_ms(void)
{
    return ((int64_t)coord__core_lease_end(rig.core) - (int64_t)rig.now) / (int64_t)RIG_MS;
}

START_TEST(lease_counts_from_sending)
{
    start(1, COORD_SESSIONS_EAGER);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    struct rig_sent *open = rig_expect(&rig, COORD_OP_SESSION_OPEN);
    uint64_t begin = rig.now;
    rig_pass(&rig, 700); /* the answer takes its time: it does not lengthen the lease */
    struct coord_result res = opened(7, 10000);
    rig_answer(&rig, open, &res);
    ck_assert_int_eq(lease_ms(), 10000 - 100 - 50 - 700);
    /* Asked after a third of the timeout from the sending. */
    rig_pass(&rig, 3333 - 700);
    rig_expect_nothing(&rig);
    rig_pass(&rig, 1);
    struct rig_sent *ping = rig_expect(&rig, COORD_OP_PING);
    ck_assert_int_eq(ping->q.level, COORD_LEVEL_LINEARIZABLE);
    uint64_t sent = begin + 10000 * RIG_MS / 3;
    rig_pass(&rig, 500);
    ok(ping);
    ck_assert_uint_eq(coord__core_lease_end(rig.core), sent + 9850 * RIG_MS);
    stop();
}
END_TEST

/* A PING says when the next one comes, and from then on nothing else on that connection is as short. */
START_TEST(keep_alives_say_when_the_next_one_comes)
{
    static const enum coord_op ops[] = {COORD_OP_SYNC, COORD_OP_STATUS, COORD_OP_GET};
    start(1, COORD_SESSIONS_LAZY);
    rig_session(&rig, 10000);
    uint64_t first = rig_get(&rig, "/", COORD_LEVEL_LOCAL, 60000);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_GET);
    ck_assert_uint_lt(s->bytes, COORD_LOUD_BYTES);
    ok(s);
    rig_reply(&rig, first, 0);
    for (int i = 0; i < 200; i++) { /* numbers grow beyond a byte */
        rig_pass(&rig, 3334);
        s = rig_expect(&rig, COORD_OP_PING);
        ck_assert_uint_eq(s->q.level_arg, 3333);
        ck_assert_uint_lt(s->bytes, COORD_LOUD_BYTES);
        ok(s);
        enum coord_op op = ops[i % 3];
        uint64_t id = op == COORD_OP_GET ? rig_get(&rig, "/", COORD_LEVEL_LOCAL, 60000)
                                         : rig_op(&rig, op, 60000);
        s = rig_expect(&rig, op);
        ck_assert_uint_ge(s->bytes, COORD_LOUD_BYTES);
        ok(s);
        rig_reply(&rig, id, 0);
    }
    rig_break(&rig, "cut"); /* another connection: nothing was said on it */
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_RESUMED);
    rig_state(&rig, COORD_CONNECTED);
    (void)rig_get(&rig, "/", COORD_LEVEL_LOCAL, 60000);
    ck_assert_uint_lt(rig_expect(&rig, COORD_OP_GET)->bytes, COORD_LOUD_BYTES);
    stop();
}
END_TEST

START_TEST(acknowledged_writes_keep_alive_but_refused_ones_do_not)
{
    start(1, COORD_SESSIONS_LAZY);
    rig_session(&rig, 10000);
    rig_pass(&rig, 2000);
    uint64_t a = rig_create(&rig, "/a", 0, 5000);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_CREATE);
    rig_pass(&rig, 1000);
    rig_answer_error(&rig, s, COORD_EEXISTS); /* it went through the log */
    rig_reply(&rig, a, COORD_EEXISTS);
    ck_assert_int_eq(lease_ms(), 9850 - 1000);
    rig_pass(&rig, 1000);
    uint64_t b = rig_create(&rig, "/b", 0, 5000);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_CREATE), COORD_ENOQUORUM);
    rig_reply(&rig, b, COORD_ENOQUORUM);
    ck_assert_int_eq(lease_ms(), 9850 - 2000);
    uint64_t c = rig_get(&rig, "/c", COORD_LEVEL_LINEARIZABLE, 5000);
    rig_answer_error(&rig, rig_expect(&rig, COORD_OP_GET), COORD_ENONODE);
    rig_reply(&rig, c, COORD_ENONODE);
    ck_assert_int_eq(lease_ms(), 9850 - 2000);
    stop();
}
END_TEST

/* A write that was sent twice keeps alive only from when it was first sent: the answer may be the
 * one that was stored then. */
START_TEST(repeated_writes_count_from_the_first_copy)
{
    start(1, COORD_SESSIONS_LAZY);
    rig_session(&rig, 10000);
    uint64_t begin = rig.now;
    rig_pass(&rig, 1000);
    uint64_t a = rig_create(&rig, "/a", 0, 9000);
    rig_expect(&rig, COORD_OP_CREATE);
    rig_pass(&rig, 500);
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_RESUMED);
    rig_state(&rig, COORD_CONNECTED);
    /* Resuming alone is no keep-alive. */
    ck_assert_uint_eq(coord__core_lease_end(rig.core), begin + 9850 * RIG_MS);
    struct coord_result res = {.path = {(const uint8_t *)"/a", 2}};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_CREATE), &res);
    rig_reply(&rig, a, 0);
    ck_assert_uint_eq(coord__core_lease_end(rig.core), begin + 10850 * RIG_MS);
    stop();
}
END_TEST

START_TEST(jeopardy_then_lapsed_then_back)
{
    start(1, COORD_SESSIONS_LAZY);
    rig_session(&rig, 3000);
    uint64_t kept = rig.now;
    rig_pass(&rig, 1000);
    struct rig_sent *ping = rig_expect(&rig, COORD_OP_PING);
    rig_pass(&rig, 999);
    rig_told_nothing(&rig);
    rig_pass(&rig, 1); /* silence: the connection is given up too */
    rig_state(&rig, COORD_JEOPARDY);
    rig_told_nothing(&rig);
    ck_assert_uint_eq(rig.now, kept + 2000 * RIG_MS);
    rig_pass(&rig, 919);
    rig_told_nothing(&rig);
    rig_pass(&rig, 1); /* 3000 - 30 - 50 */
    rig_state(&rig, COORD_LAPSED);
    ck_assert_int_eq(lease_ms(), 0);
    (void)ping;
    rig_pass(&rig, 5000);
    rig_told_nothing(&rig);
    rig_greet(&rig, COORD_SESSION_RESUMED);
    rig_told_nothing(&rig); /* not proven yet */
    ok(rig_expect(&rig, COORD_OP_PING));
    rig_state(&rig, COORD_CONNECTED);
    ck_assert_int_eq(lease_ms(), 3000 - 30 - 50);
    stop();
}
END_TEST

/* The bound of E2, at random: whatever is answered when, the lease ends before the servers,
 * counting from the arrival of what they acknowledged, may end the session. */
START_TEST(the_lease_never_outlives_the_servers)
{
    uint64_t seed = (uint64_t)_i * 2654435761u + 1;
    start(1, COORD_SESSIONS_LAZY);
    rig_session(&rig, 4000);
    uint64_t heard = rig.now; /* the newest request the server has acknowledged arrived then */
    for (int i = 0; i < 60; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        rig_pass(&rig, (seed >> 33) % 400);
        if (rig.sent_at < rig.sent_count && rig.link != 0) {
            struct rig_sent *s = &rig.sent[rig.sent_at++];
            uint64_t arrived = rig.now; /* it may have been sent long before, never after */
            if (s->q.op == COORD_OP_PING) {
                rig_pass(&rig, (seed >> 50) % 300);
                if (rig.link != 0) {
                    ok(s);
                    heard = arrived;
                }
            } else if (s->q.op == COORD_OP_HELLO) {
                break;
            }
        }
        ck_assert_uint_lt(coord__core_lease_end(rig.core) + 40 * RIG_MS, heard + 4000 * RIG_MS);
    }
    stop();
}
END_TEST

START_TEST(another_server_after_two_thirds_without_acknowledgement)
{
    start(2, COORD_SESSIONS_LAZY);
    rig_session(&rig, 6000);
    rig_pass(&rig, 2000);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_PING), COORD_ENOQUORUM);
    rig_told_nothing(&rig);
    for (int i = 0; i < 3; i++) {
        rig_pass(&rig, 500);
        rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_PING), COORD_ENOQUORUM);
    }
    ck_assert_uint_eq(rig.server, 0);
    rig_pass(&rig, 500);
    rig_state(&rig, COORD_JEOPARDY);
    ck_assert_uint_eq(rig_greet(&rig, COORD_SESSION_RESUMED), 1);
    ok(rig_expect(&rig, COORD_OP_PING));
    rig_state(&rig, COORD_CONNECTED);
    stop();
}
END_TEST

START_TEST(a_gone_session_ends_what_was_sent_in_it)
{
    start(1, COORD_SESSIONS_LAZY);
    rig_session(&rig, 10000);
    uint64_t sent = rig_create(&rig, "/sent", 0, 5000);
    uint64_t read = rig_get(&rig, "/read", COORD_LEVEL_LINEARIZABLE, 5000);
    rig_expect(&rig, COORD_OP_CREATE);
    rig_expect(&rig, COORD_OP_GET);
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    uint64_t later = rig_create(&rig, "/later", 0, 5000);
    rig_greet(&rig, COORD_SESSION_GONE);
    ck_assert_int_eq(rig_reply(&rig, sent, COORD_EEXPIRED)->outcome, COORD_OUTCOME_UNKNOWN);
    rig_state(&rig, COORD_EXPIRED);
    rig_state(&rig, COORD_CONNECTED);
    /* What was not sent goes on, in a new session. */
    rig_answer_error(&rig, rig_expect(&rig, COORD_OP_GET), COORD_ENONODE);
    rig_reply(&rig, read, COORD_ENONODE);
    struct coord_result res = opened(8, 10000);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_SESSION_OPEN), &res);
    ck_assert_uint_eq(coord__core_session(rig.core), 8);
    struct coord_result created = {.path = {(const uint8_t *)"/later", 6}};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_CREATE), &created);
    rig_reply(&rig, later, 0);
    stop();
}
END_TEST

START_TEST(expiry_told_by_an_answer_or_a_ping)
{
    start(1, COORD_SESSIONS_LAZY);
    rig_session(&rig, 10000);
    uint64_t a = rig_create(&rig, "/a", 0, 5000);
    uint64_t b = rig_create(&rig, "/b", 0, 5000);
    struct rig_sent *sa = rig_expect(&rig, COORD_OP_CREATE);
    rig_expect(&rig, COORD_OP_CREATE);
    rig_answer_error(&rig, sa, COORD_EEXPIRED);
    rig_reply(&rig, a, COORD_EEXPIRED);
    rig_reply(&rig, b, COORD_EEXPIRED);
    rig_state(&rig, COORD_EXPIRED);
    rig_state(&rig, COORD_CONNECTING);
    ck_assert_uint_eq(coord__core_session(rig.core), 0);
    ck_assert_uint_eq(coord__core_lease_end(rig.core), 0);
    rig_session(&rig, 10000); /* on a new connection, without the old session */
    rig_pass(&rig, 3334);
    rig_answer_error(&rig, rig_expect(&rig, COORD_OP_PING), COORD_EEXPIRED);
    rig_state(&rig, COORD_EXPIRED);
    rig_state(&rig, COORD_CONNECTING);
    stop();
}
END_TEST

START_TEST(open_and_close_by_request)
{
    start(1, COORD_SESSIONS_LAZY);
    uint64_t nothing = rig_op(&rig, COORD_OP_SESSION_CLOSE, 1000);
    uint64_t open = rig_op(&rig, COORD_OP_SESSION_OPEN, 1000);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_reply(&rig, nothing, 0); /* there is none to close */
    rig_state(&rig, COORD_CONNECTED);
    struct coord_result res = opened(9, 10000);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_SESSION_OPEN), &res);
    rig_reply(&rig, open, 0);
    uint64_t again = rig_op(&rig, COORD_OP_SESSION_OPEN, 1000);
    rig_reply(&rig, again, 0);
    rig_expect_nothing(&rig);
    uint64_t write = rig_create(&rig, "/a", 0, 1000);
    uint64_t close = rig_op(&rig, COORD_OP_SESSION_CLOSE, 1000);
    uint64_t read = rig_get(&rig, "/a", COORD_LEVEL_LOCAL, 1000);
    struct rig_sent *sw = rig_expect(&rig, COORD_OP_CREATE);
    struct rig_sent *sc = rig_expect(&rig, COORD_OP_SESSION_CLOSE);
    rig_expect_nothing(&rig); /* what comes after it waits */
    struct coord_result created = {.path = {(const uint8_t *)"/a", 2}};
    rig_answer(&rig, sw, &created);
    rig_reply(&rig, write, 0);
    ok(sc);
    rig_reply(&rig, close, 0);
    ck_assert_uint_eq(coord__core_session(rig.core), 0);
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    rig_answer_error(&rig, rig_expect(&rig, COORD_OP_GET), COORD_ENONODE);
    rig_reply(&rig, read, COORD_ENONODE);
    stop();
}
END_TEST

START_TEST(a_lost_close_is_found_done)
{
    start(1, COORD_SESSIONS_LAZY);
    rig_session(&rig, 10000);
    uint64_t close = rig_op(&rig, COORD_OP_SESSION_CLOSE, 5000);
    rig_expect(&rig, COORD_OP_SESSION_CLOSE);
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_GONE);
    rig_reply(&rig, close, 0);
    stop();
}
END_TEST

START_TEST(opening_is_refused)
{
    start(2, COORD_SESSIONS_LAZY);
    uint64_t w = rig_create(&rig, "/w", 0, 5000);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_SESSION_OPEN), COORD_EINDOUBT);
    ck_assert_uint_eq(rig_greet(&rig, COORD_SESSION_NONE), 1);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_SESSION_OPEN), COORD_ENOQUORUM);
    rig.told_at = rig.told_count;
    for (size_t i = 0; i < rig.told_count; i++) { /* beside the states */
        rig.told_at = rig.told[i].kind == COORD__OUT_REPLY ? i : rig.told_at;
    }
    const struct rig_told *t = rig_reply(&rig, w, COORD_ENOQUORUM);
    ck_assert_int_eq(t->outcome, COORD_OUTCOME_NOT_APPLIED); /* the write was never sent */
    ck_assert(t->has_no_quorum);
    stop();
}
END_TEST

START_TEST(opening_fails_for_good)
{
    start(2, COORD_SESSIONS_LAZY);
    uint64_t w = rig_create(&rig, "/w", 0, 5000);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    rig_answer_error(&rig, rig_expect(&rig, COORD_OP_SESSION_OPEN), COORD_ELIMIT);
    ck_assert_int_eq(rig_reply(&rig, w, COORD_ELIMIT)->outcome, COORD_OUTCOME_NOT_APPLIED);
    stop();
}
END_TEST

START_TEST(an_improper_session_is_not_taken)
{
    start(1, COORD_SESSIONS_LAZY);
    rig_create(&rig, "/w", 0, 500);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    struct coord_result res = {.session = 0, .timeout_ms = 10000};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_SESSION_OPEN), &res);
    rig_state(&rig, COORD_CONNECTING);
    ck_assert_uint_eq(coord__core_session(rig.core), 0);
    stop();
}
END_TEST

START_TEST(eager_sessions_come_back)
{
    start(1, COORD_SESSIONS_EAGER);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    struct coord_result res = opened(7, 10000);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_SESSION_OPEN), &res);
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_GONE);
    rig_state(&rig, COORD_EXPIRED);
    rig_state(&rig, COORD_CONNECTED);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_SESSION_OPEN), COORD_ENOQUORUM);
    rig_expect_nothing(&rig); /* not at once again */
    rig_pass(&rig, 1000);
    res = opened(8, 10000);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_SESSION_OPEN), &res);
    ck_assert_uint_eq(coord__core_session(rig.core), 8);
    stop();
}
END_TEST

START_TEST(a_wrong_secret_is_the_end_of_the_session)
{
    start(1, COORD_SESSIONS_LAZY);
    rig_session(&rig, 10000);
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    rig_connect(&rig);
    rig_answer_error(&rig, rig_expect(&rig, COORD_OP_HELLO), COORD_EAUTH);
    rig_state(&rig, COORD_EXPIRED);
    rig_state(&rig, COORD_CONNECTING);
    rig_connect(&rig);
    ck_assert_uint_eq(rig_expect(&rig, COORD_OP_HELLO)->q.session, 0);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_session");
    TCase *t = tcase_create("lease");
    tcase_add_test(t, lease_counts_from_sending);
    tcase_add_test(t, keep_alives_say_when_the_next_one_comes);
    tcase_add_test(t, acknowledged_writes_keep_alive_but_refused_ones_do_not);
    tcase_add_test(t, repeated_writes_count_from_the_first_copy);
    tcase_add_test(t, jeopardy_then_lapsed_then_back);
    tcase_add_loop_test(t, the_lease_never_outlives_the_servers, 0, 50);
    tcase_add_test(t, another_server_after_two_thirds_without_acknowledgement);
    suite_add_tcase(s, t);
    t = tcase_create("life");
    tcase_add_test(t, a_gone_session_ends_what_was_sent_in_it);
    tcase_add_test(t, expiry_told_by_an_answer_or_a_ping);
    tcase_add_test(t, open_and_close_by_request);
    tcase_add_test(t, a_lost_close_is_found_done);
    tcase_add_test(t, opening_is_refused);
    tcase_add_test(t, opening_fails_for_good);
    tcase_add_test(t, an_improper_session_is_not_taken);
    tcase_add_test(t, eager_sessions_come_back);
    tcase_add_test(t, a_wrong_secret_is_the_end_of_the_session);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
