/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: connections that only keep alive are read together a little later while many such come, and nothing
 * else ever waits: no other connection, no first request once the flood is over or an event was told, no end
 * of a connection. Method: sets of connections over socketpairs, turned by hand. A frame is a keep-alive when it
 * begins with a p. "At once" is one turn that does not sleep; what may wait is waited for, and that the wait has
 * its bound is read off the timer that ends it.
 */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "server/shell/base.h"
#include "server/shell/clock.h"
#include "server/shell/conn_set.h"

#define PAIRS   24
#define WAIT_NS (10 * CLOCK_NS_PER_S)

static struct event_base *base;
static struct conn_set *set;
static struct pair {
    int ours;
    uint64_t id;
    uint64_t sent; /* frames */
    uint64_t got;
    bool closed; /* as the host was told */
} pairs[PAIRS];
static uint64_t delivered;
static bool answering;

static struct pair *pair_of(uint64_t id)
{
    for (int i = 0; i < PAIRS; i++) {
        if (pairs[i].id == id) {
            return &pairs[i];
        }
    }
    ck_abort_msg("no such connection");
    return NULL;
}

static void on_opened(void *ctx, uint64_t conn, const char *source)
{
    (void)ctx, (void)conn, (void)source;
}

static void on_frame(void *ctx, uint64_t conn, struct coord_buf *buf)
{
    (void)ctx;
    delivered++;
    pair_of(conn)->got++;
    if (answering) {
        conn_set_send(set, conn, buf);
    }
    coord_buf_unref(buf);
}

static void on_closed(void *ctx, uint64_t conn)
{
    (void)ctx;
    ck_assert(!pair_of(conn)->closed);
    pair_of(conn)->closed = true;
}

static void on_bad(void *ctx, uint64_t conn, const char *why)
{
    (void)ctx, (void)conn, (void)why;
    ck_abort_msg("bad");
}

static void on_drained(void *ctx, uint64_t conn)
{
    (void)ctx, (void)conn;
}

static bool keep_alive(void *ctx, const struct coord_buf *buf)
{
    (void)ctx;
    return buf->data[0] == 'p';
}

static void setup(void)
{
    struct conn_options o = {
        .host = {NULL, on_opened, on_frame, on_bad, on_closed, on_drained, keep_alive},
        .frame_bytes_max = 4 << 20,
        .connections_max = PAIRS,
        .per_address_max = PAIRS,
        .output_bytes_max = 1 << 20,
        .output_total_bytes_max = 1 << 24,
        .watch_output_bytes_max = 1 << 19};
    base = base_create();
    ck_assert_ptr_nonnull(base);
    o.base = base;
    log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), CONF_LOG_DEBUG, CONF_LOG_TEXT, 1);
    ck_assert_int_eq(conn_set_create(&o, &set), 0);
    delivered = 0;
    answering = true;
    memset(pairs, 0, sizeof(pairs));
    for (int i = 0; i < PAIRS; i++) {
        int fds[2];
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        pairs[i].ours = fds[0];
        pairs[i].id = conn_set_adopt(set, fds[1], "test");
        ck_assert_uint_ne(pairs[i].id, 0);
    }
}

static void teardown(void)
{
    conn_set_destroy(set);
    base_destroy(base);
    for (int i = 0; i < PAIRS; i++) {
        close(pairs[i].ours);
    }
}

static void rest_of_turn(void)
{
    conn_set_resume(set);
    (void)conn_set_flush(set);
}

static void turn(void)
{
    base_turn(base, false);
    rest_of_turn();
}

static void frames(struct pair *p, char kind, int count)
{
    char frame[5] = {0, 0, 0, 1, kind};
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(write(p->ours, frame, sizeof(frame)), (ssize_t)sizeof(frame));
        p->sent++;
    }
}

static void read_answers(void)
{
    static char in[65536];
    for (int i = 0; i < PAIRS; i++) {
        while (pairs[i].ours >= 0 && read(pairs[i].ours, in, sizeof(in)) > 0) {
        }
    }
}

static bool all_came(void)
{
    for (int i = 0; i < PAIRS; i++) {
        if (!pairs[i].closed && pairs[i].got != pairs[i].sent) {
            return false;
        }
    }
    return true;
}

/* Turn, sleeping in it, until what() or WAIT_NS have passed. */
static void turn_until(bool (*what)(void))
{
    uint64_t end = clock_mono_ns() + WAIT_NS;
    while (!what()) {
        ck_assert_uint_lt(clock_mono_ns(), end);
        base_turn_within(base, 50);
        rest_of_turn();
    }
}

static bool quiet(const struct pair *p)
{
    const struct conn *c = conn_find(set, p->id);
    return c != NULL && c->quiet;
}

/* Each of pairs[first..] has sent so many keep-alives that it counts as quiet. */
static void make_quiet(int first)
{
    for (int round = 0; round < 3; round++) {
        for (int i = first; i < PAIRS; i++) {
            ck_assert(!quiet(&pairs[i]));
            frames(&pairs[i], 'p', 1);
        }
        turn();
        ck_assert(all_came());
    }
    read_answers();
    for (int i = first; i < PAIRS; i++) {
        ck_assert(quiet(&pairs[i]));
    }
}

/* Floods of keep-alives of pairs[first..] until they are read by the timer. A machine that stands still may make one
 * look slow. */
static void make_patient(int first)
{
    uint64_t end = clock_mono_ns() + WAIT_NS;
    while (!set->quiet.patient) {
        ck_assert_uint_lt(clock_mono_ns(), end);
        for (int i = first; i < PAIRS; i++) {
            frames(&pairs[i], 'p', 1);
        }
        turn();
        read_answers();
    }
    turn_until(all_came);
}

static bool is_eager(void)
{
    return !set->quiet.patient;
}

START_TEST(only_keep_alives_make_quiet)
{
    for (int round = 0; round < 10; round++) {
        frames(&pairs[0], 'p', 2);
        turn();
        frames(&pairs[0], 'x', 1);
        turn();
        ck_assert(!quiet(&pairs[0]));
    }
    make_quiet(1);
    for (int i = 1; i < PAIRS; i++) { /* and anything else ends it */
        frames(&pairs[i], 'x', 1);
    }
    turn();
    for (int i = 1; i < PAIRS; i++) {
        ck_assert(!quiet(&pairs[i]));
    }
    ck_assert(all_came());
}
END_TEST

START_TEST(without_a_flood_nothing_waits)
{
    make_quiet(0);
    for (int i = 0; i < PAIRS; i++) {
        frames(&pairs[i], i % 2 == 0 ? 'p' : 'x', 1);
        turn();
        ck_assert(all_came());
        ck_assert_int_eq(quiet(&pairs[i]), i % 2 == 0);
        ck_assert(!set->quiet.patient || i >= 16);
    }
}
END_TEST

START_TEST(in_a_flood_only_the_quiet_wait_and_not_long)
{
    struct timeval period;
    make_quiet(2);
    make_patient(2);
    uint64_t before = delivered;
    frames(&pairs[0], 'x', 1); /* two that are not quiet */
    frames(&pairs[1], 'p', 1);
    turn();
    ck_assert_uint_ge(delivered, before + 2);
    ck_assert_uint_eq(pairs[0].got, pairs[0].sent);
    ck_assert_uint_eq(pairs[1].got, pairs[1].sent);
    /* The others are looked at by a timer of so many milliseconds and no more. */
    ck_assert(event_pending(&set->quiet.due, EV_TIMEOUT, NULL));
    ck_assert(!event_pending(&set->quiet.ready, EV_READ, NULL));
    period = set->quiet.due.ev_.ev_io.ev_timeout;
    ck_assert_int_eq(period.tv_sec, 0);
    ck_assert_int_eq(period.tv_usec, CONN_QUIET_MS * 1000);
    ck_assert_int_le(CONN_QUIET_MS, 1);
    /* One look brings all of them, those with another request too, which is quiet no more. */
    for (int i = 2; i < PAIRS; i++) {
        frames(&pairs[i], i == 5 ? 'x' : 'p', 1);
    }
    uint32_t looks = set->quiet.looks;
    while (set->quiet.looks == looks) {
        base_turn_within(base, 50);
    }
    rest_of_turn();
    ck_assert(all_came());
    ck_assert(!quiet(&pairs[5]));
    frames(&pairs[5], 'x', 1);
    turn();
    ck_assert(all_came());
}
END_TEST

START_TEST(after_a_flood_nothing_waits)
{
    make_quiet(0);
    make_patient(0);
    turn_until(is_eager);
    for (int i = 0; i < 8; i++) {
        frames(&pairs[i], 'x', 1);
        turn();
        ck_assert(all_came());
    }
    ck_assert(!event_pending(&set->quiet.due, EV_TIMEOUT, NULL)); /* and nothing ticks */
}
END_TEST

/* Its reader may want something now: he does not wait, nor does anybody for a while, whatever comes. */
START_TEST(an_event_ends_the_waiting)
{
    make_quiet(0);
    make_patient(0);
    read_answers();
    struct coord_buf *b = coord_buf_copy("event", 5);
    conn_set_send(set, pairs[3].id, b);
    coord_buf_unref(b);
    (void)conn_set_flush(set);
    ck_assert(!set->quiet.patient);
    uint64_t until = set->quiet.haste_until_ns;
    while (clock_mono_ns() < until) {
        for (int i = 0; i < PAIRS; i++) {
            frames(&pairs[i], 'p', 1);
        }
        turn();
        read_answers();
        ck_assert(all_came());
        ck_assert(!set->quiet.patient || clock_mono_ns() >= until);
    }
    make_patient(0); /* then it may begin again */
}
END_TEST

/* Its answer is no event. */
START_TEST(answers_do_not_end_the_waiting)
{
    make_quiet(0);
    make_patient(0);
    answering = false;
    for (int i = 0; i < PAIRS; i++) {
        frames(&pairs[i], 'p', 1);
    }
    turn_until(all_came);
    struct coord_buf *b = coord_buf_copy("answer", 6);
    uint64_t haste = set->quiet.haste_until_ns;
    for (int i = 0; i < PAIRS; i++) {
        conn_set_send(set, pairs[i].id, b);
    }
    coord_buf_unref(b);
    (void)conn_set_flush(set);
    ck_assert_uint_eq(set->quiet.haste_until_ns, haste);
}
END_TEST

static bool first_is_closed(void)
{
    return pairs[0].closed;
}

/* The end is noticed, alone and behind a last frame that is read with it. */
START_TEST(an_end_is_noticed)
{
    make_quiet(0);
    if ((_i & 1) != 0) {
        make_patient(0);
    }
    if ((_i & 2) != 0) {
        frames(&pairs[0], (_i & 4) != 0 ? 'p' : 'x', 1);
    }
    answering = false;
    ck_assert_int_eq((_i & 8) != 0 ? shutdown(pairs[0].ours, SHUT_WR) : close(pairs[0].ours), 0);
    if ((_i & 8) == 0) {
        pairs[0].ours = -1;
    }
    turn_until(first_is_closed);
    ck_assert_uint_eq(pairs[0].got, pairs[0].sent);
    ck_assert_uint_eq(conn_set_count(set), PAIRS - 1);
}
END_TEST

/* More than one read brings. */
START_TEST(a_burst_comes_whole)
{
    make_quiet(0);
    answering = false;
    int size = 1 << 20;
    ck_assert_int_eq(setsockopt(pairs[0].ours, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    static char many[5 * 40000];
    for (int i = 0; i < 40000; i++) {
        memcpy(many + (size_t)i * 5, _i == 0 ? "\0\0\0\1p" : "\0\0\0\1x", 5);
    }
    ssize_t n = write(pairs[0].ours, many, sizeof(many));
    ck_assert_int_gt(n, FRAME_SCRATCH_BYTES + 5);
    pairs[0].sent += (uint64_t)n / 5;
    turn_until(all_came);
}
END_TEST

START_TEST(who_is_paused_or_closed_is_not_read)
{
    make_quiet(0);
    if (_i == 1) {
        make_patient(0);
    }
    conn_set_pause(set, pairs[0].id, true);
    conn_set_close(set, pairs[1].id, "test");
    frames(&pairs[0], 'x', 1);
    (void)!write(pairs[1].ours, "\0\0\0\1x", 5);
    for (int i = 2; i < PAIRS; i++) {
        frames(&pairs[i], 'p', 1);
    }
    pairs[0].sent--;
    turn_until(all_came);
    ck_assert(!quiet(&pairs[0]));
    ck_assert(!quiet(&pairs[1]));
    pairs[0].sent++;
    conn_set_pause(set, pairs[0].id, false);
    turn();
    ck_assert_uint_eq(pairs[0].got, pairs[0].sent);
}
END_TEST

/* Anything in any order: every frame comes, in whatever state its connection is. */
START_TEST(random_traffic_comes_whole)
{
    unsigned seed = (unsigned)_i + 1;
    bool paused[PAIRS] = {false};
    struct coord_buf *b = coord_buf_copy("event", 5);
    for (int step = 0; step < 3000; step++) {
        seed = seed * 1103515245u + 12345u;
        int i = (int)(seed >> 8) % PAIRS;
        unsigned what = (seed >> 16) % 64;
        if (what < 50) {
            frames(&pairs[i], 'p', 1);
        } else if (what < 54) {
            frames(&pairs[i], 'x', 1 + (int)(what % 3));
        } else if (what < 56) {
            paused[i] = !paused[i];
            conn_set_pause(set, pairs[i].id, paused[i]);
        } else if (what == 56) {
            conn_set_send(set, pairs[i].id, b);
        } else {
            base_turn_within(base, what % 2);
            rest_of_turn();
        }
        read_answers();
    }
    for (int i = 0; i < PAIRS; i++) {
        conn_set_pause(set, pairs[i].id, false);
    }
    turn_until(all_came);
    coord_buf_unref(b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shell_quiet");
    TCase *t = tcase_create("quiet");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, only_keep_alives_make_quiet);
    tcase_add_test(t, without_a_flood_nothing_waits);
    tcase_add_test(t, in_a_flood_only_the_quiet_wait_and_not_long);
    tcase_add_test(t, after_a_flood_nothing_waits);
    tcase_add_test(t, an_event_ends_the_waiting);
    tcase_add_test(t, answers_do_not_end_the_waiting);
    tcase_add_loop_test(t, an_end_is_noticed, 0, 16);
    tcase_add_loop_test(t, a_burst_comes_whole, 0, 2);
    tcase_add_loop_test(t, who_is_paused_or_closed_is_not_read, 0, 2);
    tcase_add_loop_test(t, random_traffic_comes_whole, 0, 20);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
