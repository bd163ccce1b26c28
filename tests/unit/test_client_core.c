/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: each request completes exactly once, with the right outcome; writes are repeated under
 * their number and nothing else is; servers are tried in the right order.
 * Method: a client core against a scripted server (tests/lib/client_rig.h), time moved by the test.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/client_rig.h"

static struct rig rig;

static void start(uint32_t servers)
{
    struct coord__core_options o;
    rig_options(&o, servers);
    rig_init(&rig, &o);
}

static void stop(void)
{
    rig_finish(&rig);
}

static struct coord_result got(const char *data)
{
    struct coord_result res = {.error = 0};
    res.data.data = (const uint8_t *)data;
    res.data.len = (uint32_t)strlen(data);
    return res;
}

START_TEST(read_needs_no_session)
{
    start(1);
    uint64_t id = rig_get(&rig, "/a", COORD_LEVEL_LOCAL, 1000);
    ck_assert_uint_eq(rig_greet(&rig, COORD_SESSION_NONE), 0);
    rig_state(&rig, COORD_CONNECTED);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_GET);
    ck_assert_str_eq(s->path, "/a");
    ck_assert_int_eq(s->q.level, COORD_LEVEL_LOCAL);
    struct coord_result res = got("x\0y");
    res.data.len = 3;
    rig_answer(&rig, s, &res);
    const struct rig_told *t = rig_reply(&rig, id, 0);
    ck_assert_str_eq(t->data, "x");
    ck_assert_str_eq(t->path, "/a");
    ck_assert_uint_eq(t->revision, 100);
    ck_assert_int_eq(t->outcome, COORD_OUTCOME_DONE);
    rig_expect_nothing(&rig);
    stop();
}
END_TEST

START_TEST(write_opens_the_session_and_order_is_kept)
{
    start(1);
    uint64_t write = rig_create(&rig, "/w", 0, 1000);
    uint64_t read = rig_get(&rig, "/w", COORD_LEVEL_LINEARIZABLE, 1000);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    struct rig_sent *open = rig_expect(&rig, COORD_OP_SESSION_OPEN);
    ck_assert_uint_eq(open->q.timeout_ms, 10000);
    rig_expect_nothing(&rig); /* the read waits behind the write, which waits for the session */
    static const uint8_t secret[COORD_SECRET_BYTES] = {1};
    struct coord_result res = {.session = 5, .timeout_ms = 4000};
    res.secret = (struct coord_bytes){secret, sizeof(secret)};
    rig_answer(&rig, open, &res);
    struct rig_sent *w = rig_expect(&rig, COORD_OP_CREATE);
    struct rig_sent *r = rig_expect(&rig, COORD_OP_GET);
    ck_assert_str_eq(w->data, "data");
    ck_assert_uint_lt(w->q.number, r->q.number);
    ck_assert_uint_eq(coord__core_session(rig.core), 5);
    ck_assert_uint_eq(coord__core_session_timeout_ms(rig.core), 4000);
    struct coord_result ok = {.path = {(const uint8_t *)"/w", 2}, .stat = {.create_revision = 9}};
    rig_answer(&rig, w, &ok);
    ck_assert_uint_eq(rig_reply(&rig, write, 0)->revision, 9);
    struct coord_result data = got("data");
    rig_answer(&rig, r, &data);
    rig_reply(&rig, read, 0);
    stop();
}
END_TEST

/* acked is the highest number with nothing open at or below it. */
START_TEST(watermark_follows_the_answers)
{
    start(1);
    rig_session(&rig, 10000);
    uint64_t a = rig_create(&rig, "/a", 0, 1000);
    uint64_t b = rig_create(&rig, "/b", 0, 1000);
    struct rig_sent *sa = rig_expect(&rig, COORD_OP_CREATE);
    struct rig_sent *sb = rig_expect(&rig, COORD_OP_CREATE);
    ck_assert_uint_eq(sa->q.acked, sa->q.number - 1);
    ck_assert_uint_eq(sb->q.acked, sa->q.number - 1);
    rig_answer_error(&rig, sa, COORD_EEXISTS);
    ck_assert_int_eq(rig_reply(&rig, a, COORD_EEXISTS)->outcome, COORD_OUTCOME_FAILED);
    rig_create(&rig, "/c", 0, 1000);
    struct rig_sent *sc = rig_expect(&rig, COORD_OP_CREATE);
    ck_assert_uint_eq(sc->q.acked, sb->q.number - 1);
    rig_answer_error(&rig, sb, COORD_EEXISTS);
    rig_reply(&rig, b, COORD_EEXISTS);
    rig_get(&rig, "/d", COORD_LEVEL_LOCAL, 1000);
    ck_assert_uint_eq(rig_expect(&rig, COORD_OP_GET)->q.acked, sc->q.number - 1);
    stop();
}
END_TEST

START_TEST(lost_writes_are_sent_again_under_their_numbers)
{
    start(2);
    rig_session(&rig, 10000);
    uint64_t a = rig_create(&rig, "/a", 0, 5000);
    uint64_t r = rig_get(&rig, "/r", COORD_LEVEL_LINEARIZABLE, 5000);
    uint64_t b = rig_create(&rig, "/b", 0, 5000);
    uint64_t na = rig_expect(&rig, COORD_OP_CREATE)->q.number;
    uint64_t nr = rig_expect(&rig, COORD_OP_GET)->q.number;
    uint64_t nb = rig_expect(&rig, COORD_OP_CREATE)->q.number;
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    ck_assert_uint_eq(rig_connect(&rig), 1);
    struct rig_sent *hello = rig_expect(&rig, COORD_OP_HELLO);
    ck_assert_uint_eq(hello->q.session, 77);
    ck_assert_uint_eq(hello->q.secret.len, COORD_SECRET_BYTES);
    ck_assert_uint_eq(hello->q.revision, 100);
    ck_assert_uint_lt(hello->q.acked, na);
    struct coord_result res = {.version = 1, .member = 2, .session_state = COORD_SESSION_RESUMED};
    res.limits = (struct coord_limits){.frame_bytes = 1u << 22,
                                       .data_bytes = 1u << 20,
                                       .outstanding = 1024,
                                       .watches = 100,
                                       .session_min_ms = 2000,
                                       .session_max_ms = 60000,
                                       .list_entries = 1000,
                                       .txn_operations = 1024,
                                       .subtree_nodes = 10000};
    rig_answer(&rig, hello, &res);
    rig_state(&rig, COORD_CONNECTED);
    struct rig_sent *sa = rig_expect(&rig, COORD_OP_CREATE);
    struct rig_sent *sr = rig_expect(&rig, COORD_OP_GET);
    struct rig_sent *sb = rig_expect(&rig, COORD_OP_CREATE);
    ck_assert_uint_eq(sa->q.number, na);
    ck_assert_uint_ne(sr->q.number, nr);
    ck_assert_uint_eq(sb->q.number, nb);
    ck_assert_uint_eq(sr->q.acked, na - 1);
    ck_assert_uint_eq(sb->q.acked, na - 1);
    struct coord_result ok = {.path = {(const uint8_t *)"/a", 2}};
    rig_answer(&rig, sa, &ok);
    ck_assert_int_eq(rig_reply(&rig, a, 0)->outcome, COORD_OUTCOME_DONE);
    struct coord_result data = got("d");
    rig_answer(&rig, sr, &data);
    rig_reply(&rig, r, 0);
    rig_answer_error(&rig, sb,
                     COORD_EEXISTS); /* the stored answer is final although it was in doubt */
    ck_assert_int_eq(rig_reply(&rig, b, COORD_EEXISTS)->outcome, COORD_OUTCOME_FAILED);
    stop();
}
END_TEST

START_TEST(refused_writes_try_each_other_server_once)
{
    start(3);
    rig_session(&rig, 10000);
    uint64_t id = rig_create(&rig, "/a", 0, 5000);
    uint64_t number = 0;
    for (uint32_t i = 0; i < 3; i++) {
        struct rig_sent *s = rig_expect(&rig, COORD_OP_CREATE);
        ck_assert(number == 0 || s->q.number == number);
        number = s->q.number;
        ck_assert_uint_eq(rig.server, i);
        rig_told_nothing(&rig);
        rig_answer_no_quorum(&rig, s, COORD_ENOQUORUM);
        if (i < 2) {
            rig_state(&rig, COORD_CONNECTING);
            rig_greet(&rig, COORD_SESSION_RESUMED);
            rig_state(&rig, COORD_CONNECTED);
        }
    }
    const struct rig_told *t = rig_reply(&rig, id, COORD_ENOQUORUM);
    ck_assert_int_eq(t->outcome, COORD_OUTCOME_NOT_APPLIED);
    ck_assert(t->has_no_quorum);
    ck_assert_uint_eq(t->needed, 2);
    ck_assert_str_eq(t->text, "1 of 3 members reachable");
    stop();
}
END_TEST

/* EBUSY of a write: another member may get somewhere with it. The order of the writes is kept. */
START_TEST(a_busy_server_is_left_for_another)
{
    start(2);
    rig_session(&rig, 10000);
    uint64_t a = rig_create(&rig, "/a", 0, 5000);
    uint64_t b = rig_create(&rig, "/b", 0, 5000);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_CREATE);
    uint64_t number = s->q.number;
    (void)rig_expect(&rig, COORD_OP_CREATE);
    rig_answer_error(&rig, s, COORD_EBUSY);
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_RESUMED);
    rig_state(&rig, COORD_CONNECTED);
    s = rig_expect(&rig, COORD_OP_CREATE);
    ck_assert_uint_eq(s->q.number, number);
    struct coord_result ok = {.path = {(const uint8_t *)"/a", 2}};
    rig_answer(&rig, s, &ok);
    rig_reply(&rig, a, 0);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_CREATE), &ok);
    rig_reply(&rig, b, 0);
    /* When all are busy, that is the answer; a read is not moved for it. */
    a = rig_create(&rig, "/a", 0, 5000);
    rig_answer_error(&rig, rig_expect(&rig, COORD_OP_CREATE), COORD_EBUSY);
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_RESUMED);
    rig_state(&rig, COORD_CONNECTED);
    rig_answer_error(&rig, rig_expect(&rig, COORD_OP_CREATE), COORD_EBUSY);
    ck_assert_int_eq(rig_reply(&rig, a, COORD_EBUSY)->outcome, COORD_OUTCOME_NOT_APPLIED);
    uint64_t g = rig_get(&rig, "/a", COORD_LEVEL_LINEARIZABLE, 5000);
    rig_answer_error(&rig, rig_expect(&rig, COORD_OP_GET), COORD_EBUSY);
    rig_reply(&rig, g, COORD_EBUSY);
    stop();
}
END_TEST

/* One EINDOUBT among the refusals: nobody can say any more that it was not applied. */
START_TEST(doubt_outweighs_refusal)
{
    start(2);
    rig_session(&rig, 10000);
    uint64_t id = rig_create(&rig, "/a", 0, 5000);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_CREATE), COORD_EINDOUBT);
    rig_greet(&rig, COORD_SESSION_RESUMED);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_CREATE), COORD_ENOQUORUM);
    rig_state(&rig, COORD_CONNECTING);
    rig_state(&rig, COORD_CONNECTED);
    const struct rig_told *t = rig_reply(&rig, id, COORD_EINDOUBT);
    ck_assert_int_eq(t->outcome, COORD_OUTCOME_UNKNOWN);
    stop();
}
END_TEST

START_TEST(a_single_server_is_believed_at_once)
{
    start(1);
    rig_session(&rig, 10000);
    uint64_t a = rig_create(&rig, "/a", 0, 5000);
    uint64_t g = rig_get(&rig, "/a", COORD_LEVEL_LINEARIZABLE, 5000);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_CREATE), COORD_ENOQUORUM);
    ck_assert_int_eq(rig_reply(&rig, a, COORD_ENOQUORUM)->outcome, COORD_OUTCOME_NOT_APPLIED);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_GET), COORD_ENOQUORUM);
    ck_assert(rig_reply(&rig, g, COORD_ENOQUORUM)->has_no_quorum);
    rig_told_nothing(&rig); /* still connected, still attached */
    uint64_t l = rig_get(&rig, "/a", COORD_LEVEL_LOCAL, 5000);
    struct coord_result data = got("old");
    rig_answer(&rig, rig_expect(&rig, COORD_OP_GET), &data);
    rig_reply(&rig, l, 0);
    stop();
}
END_TEST

/* Refuse the create that was sent and be connected to the next server. */
static uint64_t refuse_and_move(int error, enum coord_session_state state)
{
    struct rig_sent *s = rig_expect(&rig, COORD_OP_CREATE);
    rig_answer_no_quorum(&rig, s, error);
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, state);
    rig_state(&rig, COORD_CONNECTED);
    return s->q.number;
}

static void refuse_get(void)
{
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_GET), COORD_ENOQUORUM);
}

/* The get that was sent is refused; the next server is asked. */
static void refuse_get_and_move(void)
{
    refuse_get();
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
}

static uint64_t linearizable_get(void)
{
    return rig_get(&rig, "/a", COORD_LEVEL_LINEARIZABLE, 5000);
}

/* What all have refused a moment ago is refused by the first that is asked; a little later all are asked again, and
 * once a quorum was seen nothing is known any more. */
START_TEST(a_minority_is_not_asked_all_over_for_each_request)
{
    struct coord__core_options o;
    rig_options(&o, 3);
    o.policy = COORD_SESSIONS_OFF;
    rig_init(&rig, &o);
    uint64_t id = linearizable_get();
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    refuse_get_and_move();
    refuse_get_and_move();
    refuse_get();
    rig_reply(&rig, id, COORD_ENOQUORUM);
    for (int i = 0; i < 5; i++) {
        id = linearizable_get();
        refuse_get();
        rig_reply(&rig, id, COORD_ENOQUORUM);
        rig_told_nothing(&rig); /* still connected */
    }
    rig_pass(&rig, 250);
    id = linearizable_get();
    refuse_get_and_move();
    struct coord_result data = got("d");
    rig_answer(&rig, rig_expect(&rig, COORD_OP_GET), &data);
    rig_reply(&rig, id, 0);
    /* A write shows a quorum: what was known of the others is forgotten. */
    id = rig_create(&rig, "/b", 0, 5000);
    struct coord_result ok = {.path = {(const uint8_t *)"/b", 2}};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_CREATE), &ok);
    rig_reply(&rig, id, 0);
    (void)linearizable_get();
    refuse_get_and_move();
    (void)rig_expect(&rig, COORD_OP_GET);
    stop();
}
END_TEST

/* Two rounds of refusals, with doubt among them, are no answer to a request that waits for a quorum. */
START_TEST(who_waits_for_a_quorum_is_refused_by_nobody)
{
    start(3);
    rig_session(&rig, 10000);
    rig.wait_quorum = true;
    uint64_t id = rig_create(&rig, "/a", 0, 5000);
    uint64_t number = refuse_and_move(COORD_EINDOUBT, COORD_SESSION_RESUMED);
    uint64_t began = rig.now;
    for (int i = 1; i < 6; i++) {
        ck_assert_uint_eq(refuse_and_move(COORD_ENOQUORUM, COORD_SESSION_RESUMED), number);
    }
    ck_assert_uint_gt(rig.now, began); /* between the rounds is a pause */
    struct rig_sent *s = rig_expect(&rig, COORD_OP_CREATE);
    ck_assert_uint_eq(s->q.number, number);
    struct coord_result ok = {.path = {(const uint8_t *)"/a", 2}};
    rig_answer(&rig, s, &ok);
    ck_assert_int_eq(rig_reply(&rig, id, 0)->outcome, COORD_OUTCOME_DONE);
    stop();
}
END_TEST

/* At the end of its time it learns as much as is known. */
START_TEST(who_waits_for_a_quorum_waits_no_longer_than_told)
{
    static const int errors[] = {COORD_ENOQUORUM, COORD_EINDOUBT};
    start(2);
    rig_session(&rig, 10000);
    rig.wait_quorum = true;
    uint64_t id = rig_create(&rig, "/a", 0, 1000);
    uint64_t until = rig.now + 1000 * RIG_MS;
    (void)refuse_and_move(errors[_i], COORD_SESSION_RESUMED);
    (void)refuse_and_move(COORD_ENOQUORUM, COORD_SESSION_RESUMED);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_CREATE), COORD_ENOQUORUM);
    rig_state(&rig, COORD_CONNECTING);
    ck_assert_uint_lt(rig.now, until);
    rig_told_nothing(&rig);
    rig_pass(&rig, (until - rig.now) / RIG_MS + 1);
    ck_assert_int_eq(rig_reply(&rig, id, errors[_i])->outcome,
                     _i == 0 ? COORD_OUTCOME_NOT_APPLIED : COORD_OUTCOME_UNKNOWN);
    stop();
}
END_TEST

/* Without a session a second copy of what is in doubt might be applied too. */
START_TEST(without_a_session_doubt_ends_the_wait_for_a_quorum)
{
    struct coord__core_options o;
    rig_options(&o, 2);
    o.policy = COORD_SESSIONS_OFF;
    rig_init(&rig, &o);
    rig.wait_quorum = true;
    uint64_t id = rig_create(&rig, "/a", 0, 5000);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    uint64_t number = refuse_and_move(COORD_ENOQUORUM, COORD_SESSION_NONE);
    /* Both have refused: the second one is asked again, after pauses that grow from 0 .. 20 ms. */
    for (int i = 0; i < 3; i++) {
        struct rig_sent *s = rig_expect(&rig, COORD_OP_CREATE);
        ck_assert_uint_eq(s->q.number, number);
        rig_answer_no_quorum(&rig, s, COORD_ENOQUORUM);
        rig_told_nothing(&rig);
        rig_pass(&rig, 20 << i);
    }
    /* What it said of the first one is old by now: that is asked again too. */
    rig_pass(&rig, 200);
    (void)refuse_and_move(COORD_ENOQUORUM, COORD_SESSION_NONE);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_CREATE), COORD_EINDOUBT);
    ck_assert_int_eq(rig_reply(&rig, id, COORD_EINDOUBT)->outcome, COORD_OUTCOME_UNKNOWN);
    stop();
}
END_TEST

static void turn_away(struct rig_sent *s)
{
    static const char words[] = "this member has stopped after a fault";
    struct coord_result res = {.error = COORD_ESHUTDOWN};
    res.text = (struct coord_bytes){(const uint8_t *)words, sizeof(words) - 1};
    rig_answer(&rig, s, &res);
}

/* Servers that say that they do not serve are as good as none: who wants to know at once is told, in their words. */
START_TEST(servers_that_are_shut_count_as_not_reached)
{
    start(2);
    rig_session(&rig, 10000);
    struct coord_request q = {.op = COORD_OP_GET, .path = {(const uint8_t *)"/a", 2}};
    uint64_t id = rig_submit(&rig, &q, 5000, true);
    uint64_t patient = rig_get(&rig, "/b", COORD_LEVEL_LOCAL, 5000);
    turn_away(rig_expect(&rig, COORD_OP_GET));
    (void)rig_expect(&rig, COORD_OP_GET);
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_RESUMED);
    rig_state(&rig, COORD_CONNECTED);
    turn_away(rig_expect(&rig, COORD_OP_GET));
    (void)rig_expect(&rig, COORD_OP_GET);
    const struct rig_told *t = rig_reply(&rig, id, COORD_ECONNECT);
    ck_assert_str_eq(t->text, "this member has stopped after a fault");
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_RESUMED);
    rig_state(&rig, COORD_CONNECTED);
    struct coord_result data = got("d");
    rig_answer(&rig, rig_expect(&rig, COORD_OP_GET), &data);
    rig_reply(&rig, patient, 0);
    stop();
}
END_TEST

/* One server is shut and the other has no quorum: nothing is left to wait for. */
START_TEST(a_shut_server_beside_one_without_quorum_is_no_hope)
{
    start(2);
    rig_session(&rig, 10000);
    uint64_t id = rig_create(&rig, "/a", 0, 5000);
    turn_away(rig_expect(&rig, COORD_OP_CREATE));
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_RESUMED);
    rig_state(&rig, COORD_CONNECTED);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_CREATE), COORD_ENOQUORUM);
    rig_reply(&rig, id, COORD_ENOQUORUM);
    stop();
}
END_TEST

START_TEST(a_server_that_cannot_be_reached_counts_as_tried)
{
    start(3);
    rig_session(&rig, 10000);
    uint64_t id = rig_create(&rig, "/a", 0, 5000);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_CREATE), COORD_ENOQUORUM);
    ck_assert_uint_eq(coord__core_link(rig.core).server, 1);
    rig_break(&rig, "refused");
    ck_assert_uint_eq(coord__core_link(rig.core).server, 2);
    rig_break(&rig, "refused");
    rig_run(&rig);
    bool replied = false;
    for (size_t i = rig.told_at; i < rig.told_count; i++) { /* beside the states */
        replied = replied || (rig.told[i].kind == COORD__OUT_REPLY && rig.told[i].id == id &&
                              rig.told[i].error == COORD_ENOQUORUM);
    }
    ck_assert(replied);
    stop();
}
END_TEST

START_TEST(time_outs_say_what_is_known)
{
    start(1);
    uint64_t early = rig_create(&rig, "/never-sent", 0, 100);
    rig_pass(&rig, 150);
    const struct rig_told *t = rig_reply(&rig, early, COORD_ETIMEOUT);
    ck_assert_int_eq(t->outcome, COORD_OUTCOME_NOT_APPLIED);
    rig_session(&rig, 10000);
    uint64_t w = rig_create(&rig, "/sent", 0, 200);
    uint64_t r = rig_get(&rig, "/sent", COORD_LEVEL_LINEARIZABLE, 100);
    struct rig_sent *sw = rig_expect(&rig, COORD_OP_CREATE);
    struct rig_sent *sr = rig_expect(&rig, COORD_OP_GET);
    rig_pass(&rig, 99);
    rig_told_nothing(&rig);
    rig_pass(&rig, 1);
    ck_assert_int_eq(rig_reply(&rig, r, COORD_ETIMEOUT)->outcome, COORD_OUTCOME_NOT_APPLIED);
    rig_pass(&rig, 100);
    ck_assert_int_eq(rig_reply(&rig, w, COORD_ETIMEOUT)->outcome, COORD_OUTCOME_UNKNOWN);
    ck_assert_int_eq(coord__core_outcome(rig.core, w), COORD_OUTCOME_UNKNOWN);
    /* The late answers meet the right requests, and teach what happened. */
    struct coord_result ok = {.path = {(const uint8_t *)"/sent", 5}};
    rig_answer(&rig, sw, &ok);
    ck_assert_int_eq(coord__core_outcome(rig.core, w), COORD_OUTCOME_DONE);
    struct coord_result data = got("d");
    rig_answer(&rig, sr, &data);
    rig_told_nothing(&rig);
    ck_assert_int_eq(coord__core_outcome(rig.core, 999), COORD_OUTCOME_UNKNOWN);
    stop();
}
END_TEST

START_TEST(nobody_there_is_econnect_with_the_reason)
{
    start(2);
    struct coord_request q = {.op = COORD_OP_STATUS};
    uint64_t fast = rig_submit(&rig, &q, 5000, true);
    uint64_t slow = rig_submit(&rig, &q, 300, false);
    rig_run(&rig);
    rig_break(&rig, "10.0.0.1:7410: Connection refused");
    rig_told_nothing(&rig);
    rig_break(&rig, "10.0.0.2:7410: Connection refused");
    const struct rig_told *t = rig_reply(&rig, fast, COORD_ECONNECT);
    ck_assert_str_eq(t->text, "10.0.0.2:7410: Connection refused");
    /* Back-off: a pause below the bound, then the next round, until the time is up. */
    rig_pass(&rig, 20);
    ck_assert_uint_ne(coord__core_link(rig.core).id, 0);
    rig_break(&rig, "again");
    rig_pass(&rig, 280);
    t = rig_reply(&rig, slow, COORD_ECONNECT);
    ck_assert_int_eq(t->outcome, COORD_OUTCOME_NOT_APPLIED);
    stop();
}
END_TEST

START_TEST(pauses_grow_with_full_jitter)
{
    start(1);
    coord__core_tick(rig.core, rig.now);
    uint64_t longest = 0;
    uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < 60; i++) {
        rig_break(&rig, "refused");
        ck_assert_uint_eq(coord__core_link(rig.core).id, 0);
        uint64_t pause = coord__core_deadline(rig.core) - rig.now;
        uint64_t bound = i < 6 ? 20 * RIG_MS << i : 1000 * RIG_MS;
        bound = bound < 1000 * RIG_MS ? bound : 1000 * RIG_MS;
        ck_assert_uint_le(pause, bound);
        longest = i > 6 && pause > longest ? pause : longest;
        shortest = i > 6 && pause < shortest ? pause : shortest;
        rig.now += pause;
        coord__core_tick(rig.core, rig.now);
    }
    ck_assert_uint_gt(longest, 700 * RIG_MS);
    ck_assert_uint_lt(shortest, 300 * RIG_MS);
    stop();
}
END_TEST

START_TEST(hello_and_connect_are_given_up)
{
    start(2);
    coord__core_tick(rig.core, rig.now);
    uint64_t first = coord__core_link(rig.core).id;
    rig_pass(&rig, 1999);
    ck_assert_uint_eq(coord__core_link(rig.core).id, first);
    rig_pass(&rig, 1);
    ck_assert_uint_ne(coord__core_link(rig.core).id, first);
    ck_assert_uint_eq(rig_connect(&rig), 1);
    rig_expect(&rig, COORD_OP_HELLO);
    rig_pass(&rig, 2100);
    ck_assert_uint_ne(coord__core_link(rig.core).server, 1);
    stop();
}
END_TEST

START_TEST(a_server_that_leaves_is_left)
{
    start(2);
    rig_session(&rig, 10000);
    uint64_t id = rig_create(&rig, "/a", 0, 5000);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_CREATE);
    uint64_t number = s->q.number;
    rig_answer_error(&rig, s, COORD_ESHUTDOWN);
    rig_state(&rig, COORD_CONNECTING);
    ck_assert_uint_eq(rig_greet(&rig, COORD_SESSION_RESUMED), 1);
    rig_state(&rig, COORD_CONNECTED);
    s = rig_expect(&rig, COORD_OP_CREATE);
    ck_assert_uint_eq(s->q.number, number);
    struct coord_result ok = {.path = {(const uint8_t *)"/a", 2}};
    rig_answer(&rig, s, &ok);
    rig_reply(&rig, id, 0);
    stop();
}
END_TEST

/* The server says why it closes a connection: no bad stream, however often, and nothing is said about what was under
 * way, which goes on elsewhere under its number. */
START_TEST(a_last_word_ends_the_link_in_its_words)
{
    static const struct {
        int error;
        const char *text;
        const char *why;
    } words[] = {
        {COORD_EMOVED, "moved", "the server closed the connection: moved"},
        {COORD_EMOVED, "",
         "the server closed the connection: the session has moved to a newer connection"},
        {COORD_EBADREQUEST, "a frame of 0 bytes",
         "the server closed the connection: a frame of 0 bytes"},
        {COORD_ESHUTDOWN, "it needs a restart", "it needs a restart"},
        {-4711, "tired", "the server closed the connection: tired"},
    };
    start(2);
    rig_session(&rig, 10000);
    uint64_t w = rig_create(&rig, "/w", 0, 60000);
    uint64_t g = rig_get(&rig, "/g", COORD_LEVEL_LOCAL, 60000);
    struct rig_sent *sw = rig_expect(&rig, COORD_OP_CREATE);
    struct rig_sent *sg = rig_expect(&rig, COORD_OP_GET);
    uint64_t number = sw->q.number;
    rig.split = _i == 0 ? 0 : 1;
    for (int round = 0; round < 5; round++) { /* more than bad streams are borne */
        rig_last_word(&rig, words[_i].error, words[_i].text);
        ck_assert_str_eq(coord__core_why(rig.core), words[_i].why);
        rig_state(&rig, COORD_CONNECTING);
        rig_told_nothing(&rig);
        (void)rig_greet(&rig, COORD_SESSION_RESUMED);
        rig_state(&rig, COORD_CONNECTED);
        sw = rig_expect(&rig, COORD_OP_CREATE);
        ck_assert_uint_eq(sw->q.number, number);
        sg = rig_expect(&rig, COORD_OP_GET);
    }
    struct coord_result ok = {.path = {(const uint8_t *)"/w", 2}};
    rig_answer(&rig, sw, &ok);
    rig_reply(&rig, w, 0);
    struct coord_result data = got("d");
    rig_answer(&rig, sg, &data);
    rig_reply(&rig, g, 0);
    stop();
}
END_TEST

/* It may come anywhere, before the hello was answered too. */
START_TEST(a_last_word_may_be_all_a_server_says)
{
    start(1);
    struct coord_request q = {.op = COORD_OP_GET, .path = {(const uint8_t *)"/a", 2}};
    uint64_t id = rig_submit(&rig, &q, 5000, true);
    (void)rig_connect(&rig);
    (void)rig_expect(&rig, COORD_OP_HELLO);
    rig_last_word(&rig, COORD_ESHUTDOWN, "it needs a restart");
    ck_assert_str_eq(rig_reply(&rig, id, COORD_ECONNECT)->text, "it needs a restart");
    stop();
}
END_TEST

/* What a member that does not serve says last counts like its answers: it is as good as not reached. */
START_TEST(a_last_word_of_a_shut_server_counts_as_not_reached)
{
    start(1);
    rig_session(&rig, 10000);
    struct coord_request q = {.op = COORD_OP_GET, .path = {(const uint8_t *)"/a", 2}};
    uint64_t id = rig_submit(&rig, &q, 5000, true);
    (void)rig_expect(&rig, COORD_OP_GET);
    rig_last_word(&rig, COORD_ESHUTDOWN, "it needs a restart");
    ck_assert_str_eq(rig_reply(&rig, id, COORD_ECONNECT)->text, "it needs a restart");
    stop();
}
END_TEST

/* Nothing is known of a write without a session that was under way. */
START_TEST(without_sessions_a_last_word_leaves_a_write_in_doubt)
{
    struct coord__core_options o;
    rig_options(&o, 1);
    o.policy = COORD_SESSIONS_OFF;
    rig_init(&rig, &o);
    uint64_t id = rig_create(&rig, "/a", 0, 5000);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    (void)rig_expect(&rig, COORD_OP_CREATE);
    rig_last_word(&rig, COORD_EBADREQUEST, "a frame of 0 bytes");
    ck_assert_int_eq(rig_reply(&rig, id, COORD_EINDOUBT)->outcome, COORD_OUTCOME_UNKNOWN);
    stop();
}
END_TEST

/* A session that no server can attach must not keep reads from being served that need no quorum. */
START_TEST(minority_serves_local_reads_on_a_detached_link)
{
    start(1);
    rig_session(&rig, 10000);
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    uint64_t w = rig_create(&rig, "/w", 0, 5000);
    uint64_t g = rig_get(&rig, "/g", COORD_LEVEL_LOCAL, 5000);
    rig_connect(&rig);
    struct rig_sent *hello = rig_expect(&rig, COORD_OP_HELLO);
    ck_assert_uint_eq(hello->q.session, 77);
    rig_answer_no_quorum(&rig, hello, COORD_ENOQUORUM);
    ck_assert(rig_reply(&rig, w, COORD_ENOQUORUM)->has_no_quorum);
    rig_connect(&rig);
    hello = rig_expect(&rig, COORD_OP_HELLO);
    ck_assert_uint_eq(hello->q.session, 0);
    struct coord_result res = {.version = 1, .member = 1};
    res.limits = (struct coord_limits){.frame_bytes = 1u << 22,
                                       .data_bytes = 1u << 20,
                                       .outstanding = 1024,
                                       .watches = 100,
                                       .session_min_ms = 2000,
                                       .session_max_ms = 60000,
                                       .list_entries = 1000,
                                       .txn_operations = 1024,
                                       .subtree_nodes = 10000};
    rig_answer(&rig, hello, &res);
    rig_state(&rig, COORD_CONNECTED);
    struct coord_result data = got("stale");
    rig_answer(&rig, rig_expect(&rig, COORD_OP_GET), &data);
    rig_reply(&rig, g, 0);
    /* After a while attaching is tried again. */
    rig_pass(&rig, 900);
    rig_connect(&rig);
    ck_assert_uint_eq(rig_expect(&rig, COORD_OP_HELLO)->q.session, 77);
    stop();
}
END_TEST

START_TEST(limits_are_kept)
{
    start(1);
    rig_connect(&rig);
    struct coord_result res = {.version = 1, .member = 1};
    res.limits = (struct coord_limits){.frame_bytes = 4096,
                                       .data_bytes = 40,
                                       .outstanding = 2,
                                       .watches = 100,
                                       .session_min_ms = 2000,
                                       .session_max_ms = 60000,
                                       .list_entries = 1000,
                                       .txn_operations = 1024,
                                       .subtree_nodes = 10000};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_HELLO), &res);
    rig_state(&rig, COORD_CONNECTED);
    uint64_t ids[4];
    for (int i = 0; i < 4; i++) {
        ids[i] = rig_get(&rig, "/a", COORD_LEVEL_LOCAL, 1000);
    }
    struct rig_sent *first = rig_expect(&rig, COORD_OP_GET);
    rig_expect(&rig, COORD_OP_GET);
    rig_expect_nothing(&rig); /* two outstanding */
    struct coord_result data = got("d");
    rig_answer(&rig, first, &data);
    rig_reply(&rig, ids[0], 0);
    rig_expect(&rig, COORD_OP_GET);
    rig_expect_nothing(&rig);
    char path[5001];
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[5000] = 0;
    struct rig_sent *second = first + 1;
    uint64_t big = rig_get(&rig, path, COORD_LEVEL_LOCAL, 1000);
    rig_answer(&rig, second, &data);
    rig_reply(&rig, ids[1], 0);
    rig_answer(&rig, second + 1, &data);
    rig_reply(&rig, ids[2], 0);
    ck_assert_int_eq(rig_reply(&rig, big, COORD_ETOOBIG)->outcome, COORD_OUTCOME_NOT_APPLIED);
    stop();
}
END_TEST

/* What the server told is refused here with its own errors, unless it was sent before. */
START_TEST(what_the_server_told_is_refused_here)
{
    struct coord__core_options o;
    rig_options(&o, 1);
    o.policy = COORD_SESSIONS_OFF;
    rig_init(&rig, &o);
    ck_assert_ptr_null(coord__core_limits(rig.core));
    rig_connect(&rig);
    struct coord_result res = {.version = 1, .member = 1};
    res.limits = (struct coord_limits){.frame_bytes = 65536,
                                       .data_bytes = 10,
                                       .outstanding = 100,
                                       .watches = 2,
                                       .txn_operations = 10};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_HELLO), &res);
    rig_state(&rig, COORD_CONNECTED);
    ck_assert_uint_eq(coord__core_limits(rig.core)->data_bytes, 10);
    for (uint32_t bytes = 10; bytes <= 11; bytes++) {
        struct coord_request q = {.op = COORD_OP_SET,
                                  .path = {(const uint8_t *)"/a", 2},
                                  .data = {(const uint8_t *)"0123456789a", bytes},
                                  .expect_version = COORD_VERSION_ANY};
        uint64_t id = rig_submit(&rig, &q, 1000, false);
        if (bytes == 10) {
            (void)rig_expect(&rig, COORD_OP_SET);
        } else {
            rig_expect_nothing(&rig);
            const struct rig_told *t = rig_reply(&rig, id, COORD_ETOOBIG);
            ck_assert_int_eq(t->outcome, COORD_OUTCOME_NOT_APPLIED);
        }
    }
    (void)rig_watch(&rig, "/a", 0, 0);
    (void)rig_watch(&rig, "/b", 0, 0);
    struct coord_request q = {.op = COORD_OP_WATCH, .path = {(const uint8_t *)"/c", 2}, .kinds = 7};
    struct coord__watch *w = coord__watch_create(&q);
    ck_assert_int_eq(coord__core_watch(rig.core, w, rig.now), COORD_ELIMIT);
    coord__watch_free(w);
    stop();
}
END_TEST

/* Into such frames not even the client's own questions fit, and it would ask them again and again. */
START_TEST(a_server_of_tiny_frames_is_left)
{
    start(1);
    rig_connect(&rig);
    struct coord_result res = {.version = 1, .member = 1};
    res.limits = (struct coord_limits){.frame_bytes = 100,
                                       .data_bytes = 40,
                                       .outstanding = 2,
                                       .watches = 100,
                                       .session_min_ms = 2000,
                                       .session_max_ms = 60000,
                                       .list_entries = 1000,
                                       .txn_operations = 1024,
                                       .subtree_nodes = 10000};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_HELLO), &res);
    ck_assert_uint_eq(rig.link, 0);
    rig_told_nothing(&rig); /* as when it is refused */
    ck_assert_ptr_nonnull(strstr(coord__core_why(rig.core), "too small"));
    ck_assert_uint_gt(coord__core_deadline(rig.core), rig.now);
    stop();
}
END_TEST

START_TEST(too_much_under_way_is_busy)
{
    start(1);
    struct coord_request q = {.op = COORD_OP_SYNC};
    for (int i = 0; i < COORD_REQUESTS_MAX; i++) {
        rig_submit(&rig, &q, 100, false);
    }
    struct coord__request *r = coord__request_create(COORD__USER, &q);
    ck_assert_int_eq(coord__core_submit(rig.core, r, 100, rig.now), COORD_EBUSY);
    coord__request_free(r);
    coord__core_close(rig.core, rig.now);
    struct coord__out out;
    int count = 0;
    while (coord__core_next(rig.core, &out)) {
        if (out.kind == COORD__OUT_REPLY) {
            ck_assert_int_eq(out.error, COORD_ECLOSED);
            coord__core_release(rig.core, out.request);
            count++;
        }
    }
    ck_assert_int_eq(count, COORD_REQUESTS_MAX);
    coord__core_destroy(rig.core);
}
END_TEST

START_TEST(close_completes_everything)
{
    start(1);
    rig_session(&rig, 10000);
    uint64_t sent = rig_create(&rig, "/sent", 0, 5000);
    rig_expect(&rig, COORD_OP_CREATE);
    uint64_t dead = rig_create(&rig, "/dead", 0, 100);
    rig_expect(&rig, COORD_OP_CREATE);
    rig_pass(&rig, 100);
    rig_reply(&rig, dead, COORD_ETIMEOUT);
    uint64_t watch = rig_watch(&rig, "/w", 0, 0);
    rig_expect(&rig, COORD_OP_WATCH);
    coord__core_close(rig.core, rig.now);
    rig_watch_event(&rig, watch, COORD_WATCH_ENDED);
    ck_assert_int_eq(rig_reply(&rig, sent, COORD_ECLOSED)->outcome, COORD_OUTCOME_UNKNOWN);
    rig_state(&rig, COORD_CLOSED);
    rig_told_nothing(&rig);
    rig_expect(&rig, COORD_OP_SESSION_CLOSE); /* so that its nodes go at once */
    struct coord_request q = {.op = COORD_OP_SYNC};
    struct coord__request *r = coord__request_create(COORD__USER, &q);
    ck_assert_int_eq(coord__core_submit(rig.core, r, 100, rig.now), COORD_ECLOSED);
    coord__request_free(r);
    stop();
}
END_TEST

START_TEST(without_sessions_a_broken_write_is_not_repeated)
{
    struct coord__core_options o;
    rig_options(&o, 2);
    o.policy = COORD_SESSIONS_OFF;
    rig_init(&rig, &o);
    uint64_t w = rig_create(&rig, "/w", 0, 5000);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    rig_expect(&rig, COORD_OP_CREATE);
    struct coord_request e = {.op = COORD_OP_CREATE, .flags = COORD_F_EPHEMERAL};
    struct coord__request *r = coord__request_create(COORD__USER, &e);
    ck_assert_int_eq(coord__core_submit(rig.core, r, 100, rig.now), COORD_ENOSESSION);
    coord__request_free(r);
    rig_break(&rig, "cut");
    ck_assert_int_eq(rig_reply(&rig, w, COORD_EINDOUBT)->outcome, COORD_OUTCOME_UNKNOWN);
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_expect_nothing(&rig);
    stop();
}
END_TEST

START_TEST(session_reads_carry_what_was_seen)
{
    start(1);
    uint64_t a = rig_get(&rig, "/a", COORD_LEVEL_SESSION, 1000);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_GET);
    ck_assert_uint_eq(s->q.level_arg, 0);
    rig.epoch = 4711;
    struct coord_result data = got("d");
    rig_answer(&rig, s, &data);
    rig_reply(&rig, a, 0);
    uint64_t b = rig_get(&rig, "/a", COORD_LEVEL_SESSION, 1000);
    s = rig_expect(&rig, COORD_OP_GET);
    ck_assert_uint_eq(s->q.level_arg, 4711);
    rig_answer_error(&rig, s, COORD_ETOOSTALE);
    ck_assert_int_eq(rig_reply(&rig, b, COORD_ETOOSTALE)->outcome, COORD_OUTCOME_NOT_APPLIED);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_core");
    TCase *t = tcase_create("requests");
    tcase_add_test(t, read_needs_no_session);
    tcase_add_test(t, write_opens_the_session_and_order_is_kept);
    tcase_add_test(t, watermark_follows_the_answers);
    tcase_add_test(t, lost_writes_are_sent_again_under_their_numbers);
    tcase_add_test(t, time_outs_say_what_is_known);
    tcase_add_test(t, limits_are_kept);
    tcase_add_test(t, what_the_server_told_is_refused_here);
    tcase_add_test(t, a_server_of_tiny_frames_is_left);
    tcase_add_test(t, too_much_under_way_is_busy);
    tcase_add_test(t, close_completes_everything);
    tcase_add_test(t, without_sessions_a_broken_write_is_not_repeated);
    tcase_add_test(t, session_reads_carry_what_was_seen);
    suite_add_tcase(s, t);
    t = tcase_create("servers");
    tcase_add_test(t, refused_writes_try_each_other_server_once);
    tcase_add_test(t, a_busy_server_is_left_for_another);
    tcase_add_test(t, doubt_outweighs_refusal);
    tcase_add_test(t, a_single_server_is_believed_at_once);
    tcase_add_test(t, a_minority_is_not_asked_all_over_for_each_request);
    tcase_add_test(t, who_waits_for_a_quorum_is_refused_by_nobody);
    tcase_add_loop_test(t, who_waits_for_a_quorum_waits_no_longer_than_told, 0, 2);
    tcase_add_test(t, without_a_session_doubt_ends_the_wait_for_a_quorum);
    tcase_add_test(t, servers_that_are_shut_count_as_not_reached);
    tcase_add_test(t, a_shut_server_beside_one_without_quorum_is_no_hope);
    tcase_add_test(t, a_server_that_cannot_be_reached_counts_as_tried);
    tcase_add_test(t, nobody_there_is_econnect_with_the_reason);
    tcase_add_test(t, pauses_grow_with_full_jitter);
    tcase_add_test(t, hello_and_connect_are_given_up);
    tcase_add_test(t, a_server_that_leaves_is_left);
    tcase_add_loop_test(t, a_last_word_ends_the_link_in_its_words, 0, 5);
    tcase_add_test(t, a_last_word_may_be_all_a_server_says);
    tcase_add_test(t, a_last_word_of_a_shut_server_counts_as_not_reached);
    tcase_add_test(t, without_sessions_a_last_word_leaves_a_write_in_doubt);
    tcase_add_test(t, minority_serves_local_reads_on_a_detached_link);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
