/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a watch is told each change once, in order of revisions, across any number of connections,
 * or is told GAP; it is told READY first and ENDED last.
 * Method: a client core against a scripted server (tests/lib/client_rig.h).
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

static void registered(uint64_t revision, bool gap)
{
    struct coord_result res = {.revision = revision, .gap = gap};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_WATCH), &res);
}

/* Connected, and watching "/w" from revision 50 on. Return: its number. */
static uint64_t watching(uint32_t flags)
{
    uint64_t id = rig_watch(&rig, "/w", flags, 0);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    registered(50, false);
    ck_assert_uint_eq(rig_watch_event(&rig, id, COORD_WATCH_READY)->revision, 50);
    return id;
}

START_TEST(changes_are_told_in_order_and_once)
{
    start(1);
    uint64_t id = watching(0);
    rig_event(&rig, id, 51, COORD_EVENT_CHANGES, "/w");
    rig_event(&rig, id, 52, COORD_EVENT_CHANGES, "/w");
    rig_event(&rig, id, 52, COORD_EVENT_CHANGES, "/w"); /* again: not told */
    rig_event(&rig, id, 40, COORD_EVENT_CHANGES, "/w"); /* older: not told */
    rig_event(&rig, id, 60, COORD_EVENT_PROGRESS, NULL);
    rig_event(&rig, id + 1, 61, COORD_EVENT_CHANGES, "/x"); /* nobody's */
    const struct rig_told *t = rig_watch_event(&rig, id, COORD_WATCH_CHANGES);
    ck_assert_uint_eq(t->revision, 51);
    ck_assert_uint_eq(t->changes, 1);
    ck_assert_str_eq(t->path, "/w");
    ck_assert_uint_eq(rig_watch_event(&rig, id, COORD_WATCH_CHANGES)->revision, 52);
    ck_assert_uint_eq(rig_watch_event(&rig, id, COORD_WATCH_PROGRESS)->revision, 60);
    rig_told_nothing(&rig);
    stop();
}
END_TEST

START_TEST(a_watch_goes_on_elsewhere_without_loss_or_repetition)
{
    start(2);
    uint64_t id = watching(0);
    rig_event(&rig, id, 55, COORD_EVENT_CHANGES, "/w");
    rig_watch_event(&rig, id, COORD_WATCH_CHANGES);
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    ck_assert_uint_eq(rig_greet(&rig, COORD_SESSION_NONE), 1);
    rig_state(&rig, COORD_CONNECTED);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_WATCH);
    ck_assert_uint_eq(s->q.revision, 55);
    ck_assert_uint_eq(s->q.watch, id);
    /* What was missed comes before the answer. */
    rig_event(&rig, id, 55, COORD_EVENT_CHANGES, "/w"); /* a server that repeats too much */
    rig_event(&rig, id, 57, COORD_EVENT_CHANGES, "/w");
    struct coord_result res = {.revision = 58};
    rig_answer(&rig, s, &res);
    ck_assert_uint_eq(rig_watch_event(&rig, id, COORD_WATCH_CHANGES)->revision, 57);
    rig_told_nothing(&rig); /* no second READY */
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_NONE);
    ck_assert_uint_eq(rig_expect(&rig, COORD_OP_WATCH)->q.revision, 58);
    stop();
}
END_TEST

START_TEST(lost_history_is_a_gap)
{
    start(1);
    uint64_t id = watching(0);
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    registered(90, true);
    ck_assert_uint_eq(rig_watch_event(&rig, id, COORD_WATCH_GAP)->revision, 90);
    rig_event(&rig, id, 89, COORD_EVENT_CHANGES, "/w"); /* before the gap's end: not told */
    rig_event(&rig, id, 91, COORD_EVENT_CHANGES, "/w");
    ck_assert_uint_eq(rig_watch_event(&rig, id, COORD_WATCH_CHANGES)->revision, 91);
    rig_event(&rig, id, 95, COORD_EVENT_GAP, NULL);
    ck_assert_uint_eq(rig_watch_event(&rig, id, COORD_WATCH_GAP)->revision, 95);
    stop();
}
END_TEST

/* The answer to a WATCH can come behind events; the gap is then told in front of them and not again. */
START_TEST(a_gap_told_by_an_event_is_told_once)
{
    start(1);
    uint64_t id = watching(0);
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    rig_event(&rig, id, 90, COORD_EVENT_GAP, NULL);
    rig_event(&rig, id, 93, COORD_EVENT_CHANGES, "/w");
    registered(90, true);
    ck_assert_uint_eq(rig_watch_event(&rig, id, COORD_WATCH_GAP)->revision, 90);
    ck_assert_uint_eq(rig_watch_event(&rig, id, COORD_WATCH_CHANGES)->revision, 93);
    rig_told_nothing(&rig);
    stop();
}
END_TEST

START_TEST(from_a_revision)
{
    start(1);
    uint64_t id = rig_watch(&rig, "/w", 0, 30);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_WATCH);
    ck_assert_uint_eq(s->q.revision, 30);
    rig_event(&rig, id, 33, COORD_EVENT_CHANGES, "/w");
    ck_assert_uint_eq(rig_watch_event(&rig, id, COORD_WATCH_READY)->revision, 30);
    ck_assert_uint_eq(rig_watch_event(&rig, id, COORD_WATCH_CHANGES)->revision, 33);
    struct coord_result res = {.revision = 50};
    rig_answer(&rig, s, &res);
    rig_told_nothing(&rig);
    uint64_t old = rig_watch(&rig, "/old", 0, 1);
    registered(50, true);
    rig_watch_event(&rig, old, COORD_WATCH_READY);
    ck_assert_uint_eq(rig_watch_event(&rig, old, COORD_WATCH_GAP)->revision, 50);
    stop();
}
END_TEST

START_TEST(once_is_once)
{
    start(1);
    uint64_t id = watching(COORD_WATCH_ONCE);
    rig_event(&rig, id, 51, COORD_EVENT_CHANGES, "/w");
    rig_event(&rig, id, 52, COORD_EVENT_CHANGES, "/w");
    rig_watch_event(&rig, id, COORD_WATCH_CHANGES);
    ck_assert_int_eq(rig_watch_event(&rig, id, COORD_WATCH_ENDED)->error, 0);
    rig_told_nothing(&rig);
    rig_break(&rig, "cut");
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_expect_nothing(&rig);
    stop();
}
END_TEST

START_TEST(unwatch_at_every_stage)
{
    start(1);
    uint64_t early = rig_watch(&rig, "/early", 0, 0);
    ck_assert_int_eq(coord__core_unwatch(rig.core, early, rig.now), 0);
    ck_assert_int_eq(rig_watch_event(&rig, early, COORD_WATCH_ENDED)->error, COORD_ECANCELED);
    uint64_t id = watching(0); /* the early one is not asked for */
    uint64_t asked = rig_watch(&rig, "/asked", 0, 0);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_WATCH);
    ck_assert_int_eq(coord__core_unwatch(rig.core, asked, rig.now), 0);
    rig_watch_event(&rig, asked, COORD_WATCH_ENDED);
    struct rig_sent *un = rig_expect(&rig, COORD_OP_UNWATCH);
    ck_assert_uint_eq(un->q.watch, asked);
    struct coord_result res = {.revision = 60};
    rig_answer(&rig, s, &res);
    rig_answer(&rig, un, &res);
    rig_told_nothing(&rig);
    ck_assert_int_eq(coord__core_unwatch(rig.core, asked, rig.now), COORD_ENONODE);
    ck_assert_int_eq(coord__core_unwatch(rig.core, id, rig.now), 0);
    rig_watch_event(&rig, id, COORD_WATCH_ENDED);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_UNWATCH), &res);
    rig_event(&rig, id, 70, COORD_EVENT_CHANGES, "/w"); /* was on its way */
    rig_told_nothing(&rig);
    stop();
}
END_TEST

START_TEST(refusals_pass_or_end)
{
    start(1);
    uint64_t id = rig_watch(&rig, "/w", 0, 500);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_state(&rig, COORD_CONNECTED);
    rig_answer_error(&rig, rig_expect(&rig, COORD_OP_WATCH), COORD_ETOOSTALE);
    rig_told_nothing(&rig);
    rig_pass(&rig, 99);
    rig_expect_nothing(&rig);
    rig_pass(&rig, 1);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_WATCH);
    ck_assert_uint_eq(s->q.revision, 500);
    struct coord_result res = {.revision = 500};
    rig_answer(&rig, s, &res);
    rig_watch_event(&rig, id, COORD_WATCH_READY);
    uint64_t many = rig_watch(&rig, "/many", 0, 0);
    rig_answer_error(&rig, rig_expect(&rig, COORD_OP_WATCH), COORD_ELIMIT);
    ck_assert_int_eq(rig_watch_event(&rig, many, COORD_WATCH_ENDED)->error, COORD_ELIMIT);
    stop();
}
END_TEST

/* W8's order as far as the client can spoil it: events before the reply that follows them. */
START_TEST(events_stay_before_the_replies_behind_them)
{
    start(1);
    uint64_t id = watching(0);
    uint64_t get = rig_get(&rig, "/w", COORD_LEVEL_LOCAL, 1000);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_GET);
    struct coord_change change = {.kind = COORD_CHANGE_CHANGED, .path = {(const uint8_t *)"/w", 2}};
    struct coord_event ev = {.watch = id, .revision = 51, .changes = &change, .changes_count = 1};
    struct coord_result res = {.data = {(const uint8_t *)"new", 3}};
    struct coord_buf *reply = rig_frame(&rig, s, &res);
    struct coord_buf *both = NULL;
    ck_assert_int_eq(coord_event_encode(&ev, &both), 0);
    ck_assert_int_eq(coord_buf_append(&both, reply->data, reply->len), 0);
    rig_bytes(&rig, both->data, both->len);
    coord_buf_unref(both);
    coord_buf_unref(reply);
    rig_watch_event(&rig, id, COORD_WATCH_CHANGES);
    ck_assert_str_eq(rig_reply(&rig, get, 0)->data, "new");
    stop();
}
END_TEST

START_TEST(asked_for_after_the_writes_before_it)
{
    start(1);
    uint64_t w = rig_create(&rig, "/w", 0, 1000);
    rig_watch(&rig, "/w", 0, 0);
    rig_greet(&rig, COORD_SESSION_NONE);
    rig_expect(&rig, COORD_OP_SESSION_OPEN);
    rig_expect_nothing(&rig);
    (void)w;
    stop();
}
END_TEST

/* A connection without a session that only watches is asked whether it lives. */
START_TEST(silence_is_noticed_while_watching)
{
    start(2);
    uint64_t id = watching(0);
    rig_pass(&rig, 3300);
    rig_expect_nothing(&rig);
    rig_pass(&rig, 100);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_STATUS);
    struct coord_result res = {.error = 0};
    rig_answer(&rig, s, &res);
    rig_told_nothing(&rig);
    rig_pass(&rig, 3400);
    rig_expect(&rig, COORD_OP_STATUS);
    rig_pass(&rig, 6700);
    rig_state(&rig, COORD_CONNECTING);
    ck_assert_uint_eq(rig_greet(&rig, COORD_SESSION_NONE), 1);
    ck_assert_uint_eq(rig_expect(&rig, COORD_OP_WATCH)->q.watch, id);
    stop();
}
END_TEST

START_TEST(there_is_a_limit)
{
    start(1);
    for (int i = 0; i < COORD_WATCHES_MAX; i++) {
        rig_watch(&rig, "/w", 0, 0);
    }
    struct coord_request q = {.path = {(const uint8_t *)"/w", 2}, .kinds = 7};
    struct coord__watch *w = coord__watch_create(&q);
    ck_assert_int_eq(coord__core_watch(rig.core, w, rig.now), COORD_ELIMIT);
    coord__watch_free(w);
    coord__core_close(rig.core, rig.now);
    struct coord__out out;
    int ended = 0;
    while (coord__core_next(rig.core, &out)) {
        if (out.kind == COORD__OUT_WATCH) {
            ck_assert_int_eq(out.event, COORD_WATCH_ENDED);
            coord__watch_free(out.watch);
            ended++;
        }
    }
    ck_assert_int_eq(ended, COORD_WATCHES_MAX);
    coord__core_destroy(rig.core);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_watch");
    TCase *t = tcase_create("watches");
    tcase_add_test(t, changes_are_told_in_order_and_once);
    tcase_add_test(t, a_watch_goes_on_elsewhere_without_loss_or_repetition);
    tcase_add_test(t, lost_history_is_a_gap);
    tcase_add_test(t, a_gap_told_by_an_event_is_told_once);
    tcase_add_test(t, from_a_revision);
    tcase_add_test(t, once_is_once);
    tcase_add_test(t, unwatch_at_every_stage);
    tcase_add_test(t, refusals_pass_or_end);
    tcase_add_test(t, events_stay_before_the_replies_behind_them);
    tcase_add_test(t, asked_for_after_the_writes_before_it);
    tcase_add_test(t, silence_is_noticed_while_watching);
    tcase_add_test(t, there_is_a_limit);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
