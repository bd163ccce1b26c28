/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: no bytes of a server, and no lack of memory, crash the client, make a request complete
 * twice or never, or let a wrong answer pass for a right one.
 * Method: answers cut at every byte, split at every size, with every byte damaged, out of order,
 * too long, at random; and the same conversation with each allocation failing in turn. Run it with
 * VARIANT=asan to see reads beyond bounds.
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
    rig_session(&rig, 10000);
}

static void stop(void)
{
    rig_finish(&rig);
}

/* How often a request was told, and its last error. */
static int told_times(uint64_t id, int *ret_error)
{
    int times = 0;
    for (size_t i = 0; i < rig.told_count; i++) {
        if (rig.told[i].kind == COORD__OUT_REPLY && rig.told[i].id == id) {
            times++;
            *ret_error = rig.told[i].error;
        }
    }
    return times;
}

static struct coord_result list_of_two(void)
{
    static const struct coord_list_entry entries[2] = {
        {.name = {(const uint8_t *)"a", 1},
         .has_stat = true,
         .has_data = true,
         .data = {(const uint8_t *)"xyz", 3}},
        {.name = {(const uint8_t *)"bb", 2}, .has_stat = true, .has_data = true},
    };
    struct coord_result res = {.entries = entries, .entries_count = 2};
    return res;
}

/* A frame is fed up to its nth byte, then the connection ends: it is as if nothing had come. */
START_TEST(truncation_at_every_byte)
{
    start(1);
    struct coord_request q = {.op = COORD_OP_LIST, .flags = 3, .path = {(const uint8_t *)"/", 1}};
    uint64_t id = rig_submit(&rig, &q, 5000, false);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_LIST);
    struct coord_result res = list_of_two();
    struct coord_buf *frame = rig_frame(&rig, s, &res);
    size_t cut = (size_t)_i < frame->len ? (size_t)_i : frame->len - 1;
    rig_bytes(&rig, frame->data, cut);
    rig_told_nothing(&rig);
    rig_break(&rig, "cut");
    rig_greet(&rig, COORD_SESSION_RESUMED);
    s = rig_expect(&rig, COORD_OP_LIST);
    coord_buf_unref(frame);
    rig.split = (size_t)_i + 1; /* this time whole, but in pieces */
    rig_answer(&rig, s, &res);
    int error = -1;
    ck_assert_int_eq(told_times(id, &error), 1);
    ck_assert_int_eq(error, 0);
    stop();
}
END_TEST

/* The length announces less than the body holds: what was cut off is read as the next frame. */
START_TEST(a_body_cut_short_inside_its_frame)
{
    start(1);
    struct coord_request q = {.op = COORD_OP_LIST, .flags = 3, .path = {(const uint8_t *)"/", 1}};
    uint64_t id = rig_submit(&rig, &q, 5000, false);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_LIST);
    struct coord_result res = list_of_two();
    struct coord_buf *frame = rig_frame(&rig, s, &res);
    uint32_t body = frame->len - COORD_FRAME_HEADER_BYTES;
    uint32_t shorter = (uint32_t)_i + 1 < body ? (uint32_t)_i + 1 : body - 1;
    frame->data[2] = (uint8_t)(shorter >> 8);
    frame->data[3] = (uint8_t)shorter;
    rig_bytes(&rig, frame->data, COORD_FRAME_HEADER_BYTES + shorter);
    coord_buf_unref(frame);
    int error = -1;
    ck_assert_uint_eq(rig.link, 0); /* the connection is given up */
    ck_assert_int_le(told_times(id, &error), 1);
    rig_pass(&rig, 6000);
    ck_assert_int_eq(told_times(id, &error), 1);
    ck_assert(error == COORD_EPROTO || error == COORD_ECONNECT || error == COORD_ETIMEOUT);
    stop();
}
END_TEST

/* Each byte of an answer to a write is damaged. Whatever is made of it, the write completes once,
 * and never as applied under another path than the frame says. */
START_TEST(damage_at_every_byte)
{
    start(1);
    uint64_t id = rig_create(&rig, "/a", 0, 3000);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_CREATE);
    struct coord_result res = {.path = {(const uint8_t *)"/a", 2},
                               .stat = {.create_revision = 300}};
    struct coord_buf *frame = rig_frame(&rig, s, &res);
    size_t at = (size_t)_i / 8 < frame->len ? (size_t)_i / 8 : frame->len - 1;
    frame->data[at] ^= (uint8_t)(1u << (_i % 8));
    rig_bytes(&rig, frame->data, frame->len);
    coord_buf_unref(frame);
    rig_pass(&rig, 4000);
    int error = -1;
    ck_assert_int_eq(told_times(id, &error), 1);
    stop();
}
END_TEST

START_TEST(answers_out_of_order_break_the_link)
{
    start(2);
    uint64_t a = rig_create(&rig, "/a", 0, 5000);
    uint64_t b = rig_create(&rig, "/b", 0, 5000);
    struct rig_sent *sa = rig_expect(&rig, COORD_OP_CREATE);
    struct rig_sent *sb = rig_expect(&rig, COORD_OP_CREATE);
    struct coord_result res = {.path = {(const uint8_t *)"/b", 2}};
    rig_answer(&rig, sb, &res);
    rig_state(&rig, COORD_CONNECTING);
    rig_told_nothing(&rig);
    ck_assert_uint_eq(rig_greet(&rig, COORD_SESSION_RESUMED), 1);
    rig_state(&rig, COORD_CONNECTED);
    struct rig_sent *again = rig_expect(&rig, COORD_OP_CREATE);
    ck_assert_uint_eq(again->q.number, sa->q.number);
    res.path.data = (const uint8_t *)"/a";
    rig_answer(&rig, again, &res);
    rig_reply(&rig, a, 0);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_CREATE), &res);
    rig_reply(&rig, b, 0);
    struct rig_sent ghost = *again;
    ghost.q.number = 4000;
    rig_answer(&rig, &ghost, &res); /* to nothing */
    rig_state(&rig, COORD_CONNECTING);
    stop();
}
END_TEST

START_TEST(an_answer_of_another_shape_is_eproto)
{
    start(1);
    uint64_t id = rig_get(&rig, "/a", COORD_LEVEL_LOCAL, 5000);
    struct rig_sent s = *rig_expect(&rig, COORD_OP_GET);
    s.q.op = COORD_OP_SYNC; /* the right number, but the result of a SYNC */
    struct coord_result res = {.revision = 7};
    rig_answer(&rig, &s, &res);
    ck_assert_int_eq(rig_reply(&rig, id, COORD_EPROTO)->outcome, COORD_OUTCOME_NOT_APPLIED);
    rig_state(&rig, COORD_CONNECTING);
    stop();
}
END_TEST

/* A server that always breaks the stream does not keep a request going round until its time is
 * up. */
START_TEST(broken_streams_are_counted)
{
    static const uint8_t junk[] = {0, 0, 0, 1, 0xc1};
    start(1);
    uint64_t id = rig_create(&rig, "/a", 0, 60000);
    for (int i = 0; i < 3; i++) {
        rig_expect(&rig, COORD_OP_CREATE);
        rig_bytes(&rig, junk, sizeof(junk));
        if (i < 2) {
            rig_greet(&rig, COORD_SESSION_RESUMED);
        }
    }
    int error = 0;
    ck_assert_int_eq(told_times(id, &error), 1);
    ck_assert_int_eq(error, COORD_EPROTO);
    ck_assert_int_eq(coord__core_outcome(rig.core, id), COORD_OUTCOME_UNKNOWN);
    stop();
}
END_TEST

START_TEST(lengths_out_of_bounds)
{
    static const uint32_t lengths[] = {0, 0x7fffffff, 0xffffffff, (1u << 22) + 70000};
    start(1);
    uint32_t len = lengths[_i];
    uint8_t bytes[] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                       (uint8_t)len};
    rig_bytes(&rig, bytes, sizeof(bytes));
    rig_state(&rig, COORD_CONNECTING); /* from the header alone */
    stop();
}
END_TEST

START_TEST(an_event_before_the_hello)
{
    struct coord__core_options o;
    rig_options(&o, 1);
    rig_init(&rig, &o);
    rig_connect(&rig);
    rig_event(&rig, 1, 5, COORD_EVENT_CHANGES, "/a");
    ck_assert_uint_eq(rig.link, 0);
    stop();
}
END_TEST

START_TEST(random_bytes)
{
    uint64_t seed = (uint64_t)_i + 99;
    start(1);
    uint64_t id = rig_create(&rig, "/a", 0, 2000);
    rig_watch(&rig, "/w", 0, 0);
    for (int i = 0; i < 40; i++) {
        uint8_t bytes[64];
        for (size_t j = 0; j < sizeof(bytes); j++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[j] = (uint8_t)(seed >> 56);
        }
        if (i % 2 == 0) {
            bytes[0] = bytes[1] = bytes[2] = 0; /* a frame that comes to its end */
            bytes[3] &= 31;
            bytes[4] = 0x90 | (bytes[4] & 15);
        }
        if (rig.link != 0) {
            rig_bytes(&rig, bytes, sizeof(bytes));
        } else {
            rig_pass(&rig, 50);
            if (coord__core_link(rig.core).id != 0) {
                rig_connect(&rig);
            }
        }
    }
    rig_pass(&rig, 3000);
    int error;
    ck_assert_int_eq(told_times(id, &error), 1);
    stop();
}
END_TEST

/* --- memory ----------------------------------------------------------------------------------- */

static int allocations_left;

static int fail_at_zero(size_t bytes)
{
    (void)bytes;
    return allocations_left-- != 0;
}

/* A whole conversation with the nth allocation failing: it may go wrong, but every request that was
 * accepted completes once, and nothing leaks (asan). */
START_TEST(each_allocation_may_fail)
{
    struct coord__core_options o;
    struct coord_request q = {.op = COORD_OP_CREATE, .path = {(const uint8_t *)"/a", 2}};
    q.expect_version = COORD_VERSION_ANY;
    rig_options(&o, 2);
    rig_init(&rig, &o);
    allocations_left = _i;
    coord__alloc_hook = fail_at_zero;
    struct coord__request *r = coord__request_create(COORD__USER, &q);
    uint64_t id = 0;
    if (r != NULL) {
        ck_assert_int_eq(coord__core_submit(rig.core, r, 1000, rig.now), 0);
        id = r->id;
    }
    struct coord__watch *w = coord__watch_create(&q);
    if (w != NULL && coord__core_watch(rig.core, w, rig.now) < 0) {
        coord__watch_free(w);
    }
    /* Whatever is asked is answered. */
    for (int i = 0; i < 40; i++) {
        coord__core_tick(rig.core, rig.now);
        if (coord__core_link(rig.core).id != 0 && rig.link == 0) {
            rig.link = coord__core_link(rig.core).id;
            coord__core_connected(rig.core, rig.link, rig.now);
        }
        coord__alloc_hook = NULL; /* the rig's own are not meant */
        rig_run(&rig);
        while (rig.sent_at < rig.sent_count && rig.link != 0) {
            static const uint8_t secret[COORD_SECRET_BYTES] = {7};
            struct rig_sent *s = &rig.sent[rig.sent_at++];
            struct coord_result res = {.version = 1, .session = 5, .timeout_ms = 9000};
            res.secret = (struct coord_bytes){secret, sizeof(secret)};
            res.path = (struct coord_bytes){(const uint8_t *)"/a", 2};
            res.limits = (struct coord_limits){.frame_bytes = 1u << 22,
                                               .data_bytes = 1u << 20,
                                               .outstanding = 1024,
                                               .watches = 100,
                                               .session_min_ms = 1,
                                               .session_max_ms = 2,
                                               .list_entries = 3,
                                               .txn_operations = 1024,
                                               .subtree_nodes = 10000};
            res.session_state = s->q.session != 0 ? COORD_SESSION_RESUMED : COORD_SESSION_NONE;
            struct coord_buf *frame = rig_frame(&rig, s, &res);
            coord__alloc_hook = fail_at_zero;
            coord__core_bytes(rig.core, rig.link, frame->data, frame->len, rig.now);
            coord__alloc_hook = NULL;
            coord_buf_unref(frame);
            rig_run(&rig);
        }
        rig.now += 50 * RIG_MS;
        coord__alloc_hook = fail_at_zero;
    }
    coord__alloc_hook = NULL;
    rig_run(&rig);
    int error = -1;
    ck_assert_int_eq(told_times(id, &error), r != NULL ? 1 : 0);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_hostile");
    TCase *t = tcase_create("bytes");
    tcase_add_loop_test(t, truncation_at_every_byte, 0, 90);
    tcase_add_loop_test(t, a_body_cut_short_inside_its_frame, 0, 90);
    tcase_add_loop_test(t, damage_at_every_byte, 0, 8 * 40);
    tcase_add_test(t, answers_out_of_order_break_the_link);
    tcase_add_test(t, an_answer_of_another_shape_is_eproto);
    tcase_add_test(t, broken_streams_are_counted);
    tcase_add_loop_test(t, lengths_out_of_bounds, 0, 4);
    tcase_add_test(t, an_event_before_the_hello);
    tcase_add_loop_test(t, random_bytes, 0, 100);
    suite_add_tcase(s, t);
    t = tcase_create("memory");
    tcase_add_loop_test(t, each_allocation_may_fail, 0, 12);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
