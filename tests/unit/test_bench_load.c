/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_bench_load.c: the engine of bench: what is counted, and from when.
 * Method: a transport without servers that answers at once, stalls, refuses or loses its lanes as the test says. Times are
 * the machine's, so only what a slow machine makes larger is compared, and from below.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "client/bench/clock.h"
#include "client/bench/load.h"

#define SHOTS_MAX 64

/* What the transport does. */
static struct {
    struct shot *waiting[SHOTS_MAX];
    size_t count;
    uint64_t stall_after, stall_ns; /* after so many answers, no answer for so long; 0: never */
    uint64_t stalled_until;
    uint64_t answered, acts[ACTION_CLOSE + 1];
    bool silent; /* never answers */
    int error;   /* of every answer */
    int refuse;  /* every act */
    bool lanes_down;
    char last[LOAD_PATH_BYTES], last2[LOAD_PATH_BYTES];
} fake;

static int fake_start(struct load *l)
{
    (void)l; /* there is nothing to connect */
    return EXIT_DONE;
}

static int fake_act(struct load *l, struct shot *s)
{
    (void)l; /* the shot has it */
    if (fake.lanes_down) {
        s->lane->down = true;
        return COORD_EAGAIN;
    }
    if (fake.refuse != 0) {
        return fake.refuse;
    }
    ck_assert_uint_lt(fake.count, SHOTS_MAX);
    fake.acts[s->action]++;
    load_path(s, fake.last);
    load_path2(s, fake.last2);
    fake.waiting[fake.count++] = s;
    return 0;
}

static void nap(uint64_t ns)
{
    struct timespec ts = {.tv_nsec = (long)(ns < 200000 ? ns : 200000)};

    (void)nanosleep(&ts, NULL); /* shorter is as good */
}

static int fake_turn(struct load *l, uint64_t timeout_ns)
{
    uint64_t now = bench_now();
    struct shot *batch[SHOTS_MAX];
    size_t count = fake.count;

    if (fake.stall_ns != 0 && fake.answered >= fake.stall_after && fake.stalled_until == 0) {
        fake.stalled_until = now + fake.stall_ns;
    }
    if (fake.silent || now < fake.stalled_until || count == 0) {
        nap(timeout_ns);
        return 0;
    }
    memcpy(batch, fake.waiting, count * sizeof batch[0]);
    fake.count = 0;
    for (size_t i = 0; i < count; i++) {
        fake.answered++;
        load_done(l, batch[i], fake.error, bench_now());
    }
    return 0;
}

static void fake_stop(struct load *l)
{
    (void)l; /* nothing is open */
}

static const struct transport transport = {
    .name = "fake", .start = fake_start, .act = fake_act, .turn = fake_turn, .stop = fake_stop};

static struct cli cli = {.call = {.timeout_ms = 50}};

static struct plan plan_for(enum bench_op op, uint64_t conns, uint64_t outstanding)
{
    struct plan p = {.op_text = "test",
                     .conns = conns,
                     .outstanding = outstanding,
                     .keys = 10,
                     .keys_text = "uniform",
                     .value_min = 1,
                     .value_max = 1,
                     .secs = 1,
                     .seed = 1};

    p.mix.weights[op] = 1;
    p.mix.sum = 1;
    return p;
}

static struct load *run(const struct plan *p, int expected)
{
    struct load *l = load_create(&cli, p, &transport);

    ck_assert_ptr_nonnull(l);
    ck_assert_int_eq(load_execute(l), expected);
    return l;
}

/* How many took longer than that. */
static uint64_t slower(const struct load *l, uint64_t ns)
{
    uint64_t low = 0;

    while (low < l->all->total &&
           histogram_at(l->all, (double)(low + 1) / (double)l->all->total) <= ns) {
        low++;
    }
    return l->all->total - low;
}

/* 1,000 a second, one at a time, and for 60 ms nothing is answered: all that became due in that time have waited, some
 * 60 of them, not only the one that was under way. */
START_TEST(open_loop_counts_from_the_due_time)
{
    struct plan p = plan_for(BENCH_GET, 1, 1);

    p.rate = 1000;
    p.ops = 300;
    fake.stall_after = 100;
    fake.stall_ns = 60 * BENCH_NS_PER_MS;
    struct load *l = run(&p, EXIT_DONE);
    ck_assert_uint_ge(l->done, 300);
    ck_assert_uint_ge(l->all->max, 55 * BENCH_NS_PER_MS);
    ck_assert_uint_ge(slower(l, 10 * BENCH_NS_PER_MS), 40);
    ck_assert_uint_ge(l->series.stall_ns, 55 * BENCH_NS_PER_MS);
    load_destroy(l);
}
END_TEST

/* The same in a closed loop: only what was under way has seen the stall. */
START_TEST(closed_loop_counts_from_the_call)
{
    struct plan p = plan_for(BENCH_GET, 1, 1);

    p.ops = 300;
    fake.stall_after = 100;
    fake.stall_ns = 60 * BENCH_NS_PER_MS;
    struct load *l = run(&p, EXIT_DONE);
    ck_assert_uint_eq(l->done, 300);
    ck_assert_uint_ge(l->all->max, 55 * BENCH_NS_PER_MS);
    ck_assert_uint_ge(slower(l, 55 * BENCH_NS_PER_MS), 1);
    ck_assert_uint_ge(l->series.stall_ns, 55 * BENCH_NS_PER_MS);
    load_destroy(l);
}
END_TEST

/* Nobody answers: what was due and never sent is counted with the time it waited. */
START_TEST(open_loop_counts_what_it_could_not_send)
{
    struct plan p = plan_for(BENCH_GET, 1, 2);

    p.rate = 1000;
    fake.silent = true;
    struct load *l = run(&p, EXIT_DONE);
    ck_assert_uint_eq(l->done, 0);
    ck_assert_uint_ge(l->unsent, 990);
    ck_assert_uint_eq(l->all->total, l->unsent);
    ck_assert_uint_ge(l->all->max, 990 * BENCH_NS_PER_MS);
    ck_assert_uint_ge(l->series.stall_ns, 990 * BENCH_NS_PER_MS);
    load_destroy(l);
}
END_TEST

/* Everybody answers at once: whatever was due was sent, also in the last moment. */
START_TEST(open_loop_sends_all_that_is_due)
{
    struct plan p = plan_for(BENCH_GET, 4, 16);

    p.rate = 500;
    struct load *l = run(&p, EXIT_DONE);
    if (l->series.stall_ns < 60 * BENCH_NS_PER_MS) { /* a machine that slept longer has an excuse */
        ck_assert_uint_eq(l->unsent, 0);
    }
    ck_assert_uint_ge(l->done + l->unsent, 495);
    ck_assert_uint_le(l->done, 505);
    load_destroy(l);
}
END_TEST

START_TEST(no_more_than_outstanding)
{
    struct plan p = plan_for(BENCH_SET, 4, 3);

    p.rate = 1000000;
    p.ops = 600;
    struct load *l = run(&p, EXIT_DONE);
    ck_assert_uint_ge(l->done, 600);
    ck_assert_uint_le(fake.acts[ACTION_SET], 600 + 12);
    load_destroy(l);
}
END_TEST

START_TEST(two_actions)
{
    static const struct {
        enum bench_op op;
        enum bench_action first, second;
        bool extra;
    } table[] = {{BENCH_DELETE, ACTION_CREATE, ACTION_DELETE, true},
                 {BENCH_LOCK, ACTION_ACQUIRE, ACTION_RELEASE, false},
                 {BENCH_SESSION, ACTION_OPEN, ACTION_CLOSE, false}};

    for (size_t i = 0; i < 3; i++) {
        struct plan p = plan_for(table[i].op, 1, 1);
        memset(&fake, 0, sizeof fake);
        p.ops = 50;
        struct load *l = run(&p, EXIT_DONE);
        ck_assert_uint_eq(l->done, 50);
        ck_assert_uint_eq(fake.acts[table[i].first], fake.acts[table[i].second]);
        ck_assert_uint_eq(fake.acts[table[i].first], 50);
        ck_assert_uint_eq(l->extra, table[i].extra ? 50 : 0);
        load_destroy(l);
    }
}
END_TEST

/* Each shot makes a node of its own once and moves it to and fro. */
START_TEST(renames_go_to_and_fro)
{
    struct plan p = plan_for(BENCH_RENAME, 1, 2);

    p.ops = 40;
    struct load *l = run(&p, EXIT_DONE);
    ck_assert_uint_eq(fake.acts[ACTION_CREATE_OWN], 2);
    ck_assert_uint_ge(fake.acts[ACTION_RENAME], 40);
    size_t n = strlen(fake.last);
    ck_assert_uint_eq(n, strlen(fake.last2));
    ck_assert_int_eq(strncmp(fake.last, fake.last2, n - 1), 0);
    ck_assert_int_ne(fake.last[n - 1], fake.last2[n - 1]);
    load_destroy(l);
}
END_TEST

START_TEST(errors_are_counted_apart)
{
    struct plan p = plan_for(BENCH_SET, 2, 2);

    p.ops = 20;
    fake.error = COORD_ENOQUORUM;
    struct load *l = run(&p, EXIT_DONE);
    ck_assert_uint_eq(l->done, 0);
    ck_assert_uint_ge(l->errors, 20);
    ck_assert_int_eq(l->first_error, COORD_ENOQUORUM);
    load_destroy(l);
}
END_TEST

START_TEST(a_refusal_ends_the_run)
{
    struct plan p = plan_for(BENCH_SET, 1, 1);

    fake.refuse = COORD_ETOOBIG;
    struct load *l = run(&p, EXIT_DONE);
    ck_assert_uint_eq(l->done, 0);
    ck_assert_int_eq(l->first_error, COORD_ETOOBIG);
    load_destroy(l);
}
END_TEST

/* A lane that is down parks its shots; what was due meanwhile has waited. */
START_TEST(lanes_that_are_down)
{
    struct plan p = plan_for(BENCH_SET, 1, 2);
    struct load *l = load_create(&cli, &p, &transport);
    struct shot *s = NULL;

    ck_assert_ptr_nonnull(l);
    fake.lanes_down = true;
    l->lanes[0].down = true;
    l->under_way = 2; /* as if both had been sent */
    l->shots[0].due_ns = l->shots[1].due_ns = bench_now();
    load_done(l, &l->shots[0], COORD_ECONNECT, bench_now());
    load_done(l, &l->shots[1], COORD_ECONNECT, bench_now());
    ck_assert_uint_eq(l->under_way, 0);
    ck_assert_uint_eq(fake.count, 0);
    for (s = l->lanes[0].parked; s != NULL; s = s->next) {
        fake.count++;
    }
    ck_assert_uint_eq(fake.count, 2);
    fake.count = 0;
    fake.lanes_down = false;
    load_up(&l->lanes[0]);
    ck_assert_ptr_null(l->lanes[0].parked);
    ck_assert_uint_eq(fake.count, 2);
    ck_assert_uint_eq(l->under_way, 2);
    load_destroy(l);
}
END_TEST

/* Nobody is there, and a count is all that would end it. */
START_TEST(a_count_that_is_never_reached)
{
    struct plan p = plan_for(BENCH_SET, 2, 2);

    p.ops = 1000;
    fake.lanes_down = true;
    struct load *l = run(&p, EXIT_DONE);
    ck_assert_uint_eq(l->done, 0);
    ck_assert_int_eq(l->first_error, COORD_ECONNECT);
    load_destroy(l);
}
END_TEST

/* A count and a time: whichever is first. */
START_TEST(a_count_within_a_time)
{
    struct plan p = plan_for(BENCH_SET, 1, 1);

    p.ops = UINT64_MAX;
    p.secs_given = true;
    struct load *l = run(&p, EXIT_DONE);
    ck_assert_uint_gt(l->done, 0);
    ck_assert_uint_ge(l->to_ns - l->from_ns, BENCH_NS_PER_S);
    load_destroy(l);
    memset(&fake, 0, sizeof fake); /* it holds what was under way */
    p.ops = 3;
    p.secs = 3600;
    l = run(&p, EXIT_DONE);
    ck_assert_uint_eq(l->done, 3);
    load_destroy(l);
}
END_TEST

START_TEST(mixed_operations_have_histograms_of_their_own)
{
    struct plan p = plan_for(BENCH_SET, 1, 4);

    p.mix.weights[BENCH_GET] = 3;
    p.mix.sum = 4;
    p.ops = 4000;
    struct load *l = run(&p, EXIT_DONE);
    ck_assert_uint_eq(l->done_of[BENCH_SET] + l->done_of[BENCH_GET], l->done);
    ck_assert_uint_eq(l->of[BENCH_GET]->total, l->done_of[BENCH_GET]);
    ck_assert_uint_gt(l->done_of[BENCH_GET], 2 * l->done_of[BENCH_SET]);
    ck_assert_uint_eq(l->all->total, l->done);
    load_destroy(l);
}
END_TEST

static void fresh(void)
{
    memset(&fake, 0, sizeof fake);
}

int main(void)
{
    Suite *s = suite_create("bench_load");
    TCase *t = tcase_create("load");
    SRunner *r = srunner_create(s);

    tcase_add_checked_fixture(t, fresh, NULL);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, open_loop_counts_from_the_due_time);
    tcase_add_test(t, closed_loop_counts_from_the_call);
    tcase_add_test(t, open_loop_counts_what_it_could_not_send);
    tcase_add_test(t, open_loop_sends_all_that_is_due);
    tcase_add_test(t, no_more_than_outstanding);
    tcase_add_test(t, two_actions);
    tcase_add_test(t, renames_go_to_and_fro);
    tcase_add_test(t, errors_are_counted_apart);
    tcase_add_test(t, a_refusal_ends_the_run);
    tcase_add_test(t, lanes_that_are_down);
    tcase_add_test(t, a_count_that_is_never_reached);
    tcase_add_test(t, a_count_within_a_time);
    tcase_add_test(t, mixed_operations_have_histograms_of_their_own);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
