/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: client connections deliver frames, write answers, keep to their limits and end in order, and the
 * host is told of each end exactly once. Method: a set of connections over socketpairs and over a real
 * listener on a free loopback port, turned by hand; the host notes what it is told.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "server/shell/base.h"
#include "server/shell/clock.h"
#include "server/shell/conn.h"
#include "server/shell/log.h"
#include "server/shell/net.h"

#define ROOM 48

static struct event_base *base;
static struct conn_set *set;
static struct {
    int opened;
    int frames;
    int bad;
    int closed;
    int drained;
    uint64_t last;      /* connection of the last event */
    char data[64];      /* of the last frame */
    bool close_at_once; /* answer a frame by closing */
    bool echo;
    struct coord_buf *answer; /* not NULL: answer each frame with this */
    uint64_t answers_bytes;   /* queued by us */
} seen;

static void on_opened(void *ctx, uint64_t conn, const char *source)
{
    (void)ctx;
    ck_assert_ptr_nonnull(source);
    seen.opened++;
    seen.last = conn;
}

static void on_frame(void *ctx, uint64_t conn, struct coord_buf *buf)
{
    (void)ctx;
    seen.frames++;
    seen.last = conn;
    memset(seen.data, 0, sizeof(seen.data));
    memcpy(seen.data, buf->data + ROOM, buf->len - ROOM < 63 ? buf->len - ROOM : 63);
    if (seen.echo) {
        conn_set_send(set, conn, buf);
    }
    if (seen.answer != NULL) {
        conn_set_send(set, conn, seen.answer);
        seen.answers_bytes += seen.answer->len;
    }
    if (seen.close_at_once) {
        conn_set_close(set, conn, "told to");
    }
    coord_buf_unref(buf);
}

static void on_bad(void *ctx, uint64_t conn, const char *why)
{
    (void)ctx;
    ck_assert_ptr_nonnull(why);
    seen.bad++;
    seen.last = conn;
}

static void on_closed(void *ctx, uint64_t conn)
{
    (void)ctx;
    seen.closed++;
    seen.last = conn;
}

static void on_drained(void *ctx, uint64_t conn)
{
    (void)ctx;
    seen.drained++;
    seen.last = conn;
}

static void make_all(uint32_t connections_max, uint32_t per_address_max, uint64_t output_max,
                     uint64_t total_max)
{
    struct conn_options o = {.base = base,
                             .host = {NULL, on_opened, on_frame, on_bad, on_closed, on_drained},
                             .head_room = ROOM,
                             .frame_bytes_max = 4 << 20,
                             .connections_max = connections_max,
                             .per_address_max = per_address_max,
                             .output_bytes_max = output_max,
                             .output_total_bytes_max = total_max,
                             .watch_output_bytes_max = output_max / 2};
    ck_assert_int_eq(conn_set_create(&o, &set), 0);
}

static void make(uint32_t connections_max, uint32_t per_address_max, uint64_t output_max)
{
    make_all(connections_max, per_address_max, output_max, 128 << 20);
}

static void make_total(uint32_t connections_max, uint64_t output_max, uint64_t total_max)
{
    make_all(connections_max, connections_max, output_max, total_max);
}

static void setup(void)
{
    base = base_create();
    ck_assert_ptr_nonnull(base);
    memset(&seen, 0, sizeof(seen));
    log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), CONF_LOG_DEBUG, CONF_LOG_TEXT, 1);
}

static void teardown(void)
{
    conn_set_destroy(set);
    set = NULL;
    base_destroy(base);
}

static void turn(void)
{
    base_turn(base, false);
    conn_set_resume(set);
    (void)conn_set_flush(set);
}

static uint64_t join(int *ret_ours)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *ret_ours = fds[0];
    return conn_set_adopt(set, fds[1], "test");
}

START_TEST(frames_go_in_and_answers_come_out)
{
    int fd;
    char in[64];
    make(4, 4, 1 << 20);
    uint64_t id = join(&fd);
    ck_assert_uint_ne(id, 0);
    ck_assert_int_eq(seen.opened, 1);
    ck_assert_int_eq(write(fd, "\0\0\0\3abc\0\0\0\2de", 13), 13);
    turn();
    ck_assert_int_eq(seen.frames, 2);
    ck_assert_str_eq(seen.data, "de");
    struct coord_buf *b = coord_buf_copy("answer", 6);
    conn_set_send(set, id, b);
    conn_set_send(set, id, b);
    ck_assert_int_eq(read(fd, in, sizeof(in)), -1); /* nothing before the flush */
    ck_assert(conn_set_pending(set));
    ck_assert(!conn_set_flush(set));
    ck_assert(!conn_set_pending(set));
    ck_assert_int_eq(read(fd, in, sizeof(in)), 12);
    ck_assert_int_eq(memcmp(in, "answeranswer", 12), 0);
    ck_assert_uint_eq(b->refs, 1);
    coord_buf_unref(b);
    close(fd);
    turn();
    ck_assert_int_eq(seen.closed, 1);
    ck_assert_uint_eq(seen.last, id);
    ck_assert_uint_eq(conn_set_count(set), 0);
}
END_TEST

START_TEST(numbers_are_never_used_twice)
{
    int fd;
    uint64_t before = 0;
    make(1, 4, 1 << 20);
    for (int i = 0; i < 100; i++) {
        uint64_t id = join(&fd);
        ck_assert_uint_gt(id, before);
        before = id;
        close(fd);
        turn();
        conn_set_send(set, id, NULL); /* of a connection that is gone: not even looked at */
    }
    ck_assert_int_eq(seen.closed, 100);
}
END_TEST

START_TEST(pause_stops_reading)
{
    int fd;
    make(4, 4, 1 << 20);
    uint64_t id = join(&fd);
    conn_set_pause(set, id, true);
    conn_set_pause(set, id, true);
    ck_assert_int_eq(write(fd, "\0\0\0\1a", 5), 5);
    turn();
    ck_assert_int_eq(seen.frames, 0);
    conn_set_pause(set, id, false);
    turn();
    ck_assert_int_eq(seen.frames, 1);
    close(fd);
}
END_TEST

/* Close by the host: what is queued is sent first, and the host is not told again. */
START_TEST(close_sends_what_is_queued)
{
    int fd;
    char in[16];
    make(4, 4, 1 << 20);
    (void)join(&fd);
    seen.echo = true;
    seen.close_at_once = true;
    ck_assert_int_eq(write(fd, "\0\0\0\3bye\0\0\0\3two", 14), 14);
    turn();
    ck_assert_int_eq(seen.frames, 1); /* the second is not delivered any more */
    char skip[ROOM];
    ck_assert_int_eq(read(fd, skip, ROOM), ROOM);
    ck_assert_int_eq(read(fd, in, sizeof(in)), 3);
    ck_assert_int_eq(memcmp(in, "bye", 3), 0);
    ck_assert_int_eq(read(fd, in, sizeof(in)), 0); /* their side is shut down */
    ck_assert_uint_eq(conn_set_count(set), 1);     /* lingering */
    ck_assert_int_eq(write(fd, "more", 4), 4);     /* is dropped */
    turn();
    close(fd);
    turn();
    ck_assert_uint_eq(conn_set_count(set), 0);
    ck_assert_int_eq(seen.closed, 0);
}
END_TEST

START_TEST(lingering_ends_by_itself)
{
    int fd;
    make(4, 4, 1 << 20);
    uint64_t id = join(&fd);
    conn_set_close(set, id, "test");
    turn();
    ck_assert_uint_eq(conn_set_count(set), 1);
    ck_assert(!conn_set_sweep(set, clock_mono_ns() + 2 * CLOCK_NS_PER_S));
    ck_assert_uint_eq(conn_set_count(set), 0);
    ck_assert_int_eq(seen.closed, 0);
    close(fd);
}
END_TEST

START_TEST(bad_stream_is_told_and_ends)
{
    int fd;
    char in[16];
    make(4, 4, 1 << 20);
    uint64_t id = join(&fd);
    ck_assert_int_eq(write(fd, "\0\0\0\1a\xff\xff\xff\xff", 9), 9);
    turn();
    ck_assert_int_eq(seen.frames, 1);
    ck_assert_int_eq(seen.bad, 1);
    if (_i == 0) { /* the host says so to the client, and closes */
        struct coord_buf *b = coord_buf_copy("bad", 3);
        conn_set_send(set, id, b);
        coord_buf_unref(b);
        conn_set_close(set, id, "bad");
        turn();
        ck_assert_int_eq(read(fd, in, sizeof(in)), 3);
        ck_assert_int_eq(read(fd, in, sizeof(in)), 0);
        ck_assert_int_eq(seen.closed, 0);
    } else {                            /* the host does nothing: it ends all the same */
        conn_set_pause(set, id, false); /* and is not read again */
        turn();
        ck_assert(conn_set_sweep(set, clock_mono_ns() + 6 * CLOCK_NS_PER_S));
        ck_assert_int_eq(seen.closed, 1);
    }
    close(fd);
}
END_TEST

START_TEST(slow_reader_is_closed_at_the_limit)
{
    int fd;
    make(4, 4, 1 << 20);
    uint64_t id = join(&fd);
    struct coord_buf *b = coord_buf_create(100000);
    memset(b->data, 1, 100000);
    b->len = 100000;
    int sent = 0;
    while (seen.closed == 0 && sent < 100) {
        conn_set_send(set, id, b);
        turn();
        sent++;
    }
    /* a little over 1 MiB: what the kernel took, and the bound */
    ck_assert_int_ge(sent, 11);
    ck_assert_int_lt(sent, 40);
    ck_assert_int_eq(seen.closed, 1);
    ck_assert_uint_eq(b->refs, 1);
    ck_assert(!conn_set_pending(set));
    coord_buf_unref(b);
    close(fd);
}
END_TEST

/* Unread events pile up to the budget, at it no more are taken; once half of it is left the host hears. */
START_TEST(a_reader_behind_is_told_of_once_it_has_read)
{
    int fd;
    static char in[100000];
    make(4, 4, 4 << 20); /* of which half for events */
    uint64_t id = join(&fd);
    struct coord_buf *b = coord_buf_create(100000);
    memset(b->data, 1, 100000);
    b->len = 100000;
    uint64_t sent = 0;
    while (!conn_set_behind(set, id) && sent < 100) {
        conn_set_send(set, id, b);
        turn();
        sent++;
    }
    /* 2 MiB here, and what the kernel took. */
    ck_assert_uint_ge(sent, 21);
    ck_assert_uint_lt(sent, 40);
    ck_assert(conn_set_full(set, id));
    ck_assert_int_eq(seen.closed, 0);
    uint64_t got = 0;
    while (seen.drained == 0 && got < sent * 100000) {
        ssize_t n = read(fd, in, sizeof(in));
        got += n > 0 ? (uint64_t)n : 0;
        turn();
    }
    ck_assert_int_eq(seen.drained, 1);
    ck_assert_uint_ge(got, 1000000); /* a good part of it was read before */
    ck_assert_uint_lt(got, sent * 100000);
    ck_assert(!conn_set_behind(set, id));
    ck_assert(!conn_set_full(set, id));
    coord_buf_unref(b);
    close(fd);
}
END_TEST

/* When all connections together leave too much, nobody who has anything unread gets more. */
START_TEST(all_together_are_bounded_too)
{
    enum { CLIENTS = 8 };
    int fds[CLIENTS + 1];
    uint64_t ids[CLIENTS + 1];
    make_total(16, 4 << 20, 1 << 20);
    struct coord_buf *b = coord_buf_create(400000);
    memset(b->data, 1, 400000);
    b->len = 400000;
    for (int i = 0; i <= CLIENTS; i++) {
        ids[i] = join(&fds[i]);
    }
    int taken = 0;
    for (int i = 0; i < CLIENTS; i++) {
        for (int k = 0; k < 2; k++) { /* the kernel takes the better part of the first */
            if (!conn_set_behind(set, ids[i])) {
                conn_set_send(set, ids[i], b);
                taken++;
            }
            turn();
        }
    }
    ck_assert_int_lt(taken, 2 * CLIENTS);
    ck_assert(conn_set_behind(set, ids[0]));
    ck_assert(!conn_set_behind(set, ids[CLIENTS])); /* it has read all it was sent: nothing */
    coord_buf_unref(b);
    for (int i = 0; i <= CLIENTS; i++) {
        close(fds[i]);
    }
}
END_TEST

START_TEST(the_limit_on_frames_can_change)
{
    int fd;
    make(4, 4, 1 << 20);
    (void)join(&fd);
    conn_set_frame_limit(set, 3);
    ck_assert_int_eq(write(fd, "\0\0\0\3abc", 7), 7);
    turn();
    ck_assert_int_eq(seen.frames, 1);
    conn_set_frame_limit(set, 4);
    ck_assert_int_eq(write(fd, "\0\0\0\4abcd", 8), 8);
    turn();
    ck_assert_int_eq(seen.frames, 2);
    ck_assert_int_eq(write(fd, "\0\0\0\5abcde", 9), 9);
    turn();
    ck_assert_int_eq(seen.frames, 2);
    ck_assert_int_eq(seen.bad, 1);
    close(fd);
    (void)join(&fd); /* new ones too */
    ck_assert_int_eq(write(fd, "\0\0\0\5abcde", 9), 9);
    turn();
    ck_assert_int_eq(seen.bad, 2);
    close(fd);
}
END_TEST

/* 60 requests at once, each with an answer of 1 MB: the client is slowed down, not closed, and what waits
 * for it stays bounded. */
START_TEST(asking_faster_than_reading_is_slowed_down)
{
    int fd;
    static char in[300000];
    char requests[60 * 5];
    uint64_t got = 0;
    make(4, 4, 16 << 20);
    (void)join(&fd);
    seen.answer = coord_buf_create(1000000);
    seen.answer->len = 1000000;
    memset(seen.answer->data, 1, 1000000);
    for (int i = 0; i < 60; i++) {
        memcpy(requests + i * 5, "\0\0\0\1a", 5);
    }
    ck_assert_int_eq(write(fd, requests, sizeof(requests)), (ssize_t)sizeof(requests));
    uint64_t end = clock_mono_ns() + 10 * CLOCK_NS_PER_S;
    while (got < 60000000 && clock_mono_ns() < end) {
        turn();
        ck_assert_int_eq(seen.closed, 0);
        ck_assert_uint_le(seen.answers_bytes - got,
                          12000000); /* the first few, then one at a time */
        ssize_t n = read(fd, in, sizeof(in));
        got += n > 0 ? (uint64_t)n : 0;
    }
    ck_assert_int_eq(seen.frames, 60);
    ck_assert_uint_eq(got, 60000000);
    coord_buf_unref(seen.answer);
    close(fd);
}
END_TEST

START_TEST(small_requests_are_soon_taken_at_once)
{
    int fd;
    char requests[1000 * 5];
    make(4, 4, 16 << 20);
    (void)join(&fd);
    for (int i = 0; i < 1000; i++) {
        memcpy(requests + i * 5, "\0\0\0\1a", 5);
    }
    int turns = 0;
    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(write(fd, requests, sizeof(requests)), (ssize_t)sizeof(requests));
        for (turns = 0; seen.frames < 1000 * (round + 1); turns++) {
            ck_assert_int_lt(turns, 20);
            turn();
        }
    }
    ck_assert_int_le(turns, 2); /* by the third time */
    close(fd);
}
END_TEST

START_TEST(times_are_limited)
{
    int fd;
    make(4, 4, 1 << 20);
    (void)join(&fd);
    uint64_t now = clock_mono_ns();
    if (_i == 0) { /* nothing at all */
        ck_assert(!conn_set_sweep(set, now + 4 * CLOCK_NS_PER_S));
        ck_assert(conn_set_sweep(set, now + 6 * CLOCK_NS_PER_S));
    } else if (_i == 1) { /* a whole frame, then silence: stays */
        ck_assert_int_eq(write(fd, "\0\0\0\1a", 5), 5);
        turn();
        ck_assert(!conn_set_sweep(set, now + 600 * CLOCK_NS_PER_S));
        ck_assert_uint_eq(conn_set_count(set), 1);
    } else if (_i == 2) { /* a whole frame, then one that trickles */
        ck_assert_int_eq(write(fd, "\0\0\0\1a\0\1\0\0", 9), 9);
        turn();
        for (uint64_t s = 1; s <= 6; s++) {
            ck_assert_int_eq(write(fd, "x", 1), 1);
            turn();
            ck_assert(!conn_set_sweep(set, now + s * CLOCK_NS_PER_S));
        }
        ck_assert(conn_set_sweep(set, now + 7 * CLOCK_NS_PER_S));
    } else if (_i == 3) { /* a whole frame, silence that was looked at, then one that trickles */
        ck_assert_int_eq(write(fd, "\0\0\0\1a", 5), 5);
        turn();
        ck_assert(!conn_set_sweep(set, now + 10 * CLOCK_NS_PER_S));
        ck_assert(!conn_set_sweep(set, now + 100 * CLOCK_NS_PER_S));
        ck_assert_int_eq(write(fd, "\0", 1), 1);
        turn();
        ck_assert(!conn_set_sweep(set, now + 101 * CLOCK_NS_PER_S));
        ck_assert(!conn_set_sweep(set, now + 106 * CLOCK_NS_PER_S));
        ck_assert(conn_set_sweep(set, now + 107 * CLOCK_NS_PER_S));
    } else { /* a large frame that comes fast enough */
        char chunk[6000] = {0};
        ck_assert_int_eq(write(fd, "\0\0\0\1a\0\1\0\0", 9), 9);
        for (uint64_t s = 1; s <= 10; s++) {
            ck_assert_int_eq(write(fd, chunk, sizeof(chunk)), (ssize_t)sizeof(chunk));
            turn();
            ck_assert(!conn_set_sweep(set, now + 5 * s * CLOCK_NS_PER_S));
        }
    }
    ck_assert_int_eq(seen.closed, _i == 0 || _i == 2 || _i == 3);
    close(fd);
}
END_TEST

/* --- a real listener --------------------------------------------------------------------------- */

static struct sockaddr_in where;

static void listen_begin(void)
{
    socklen_t len = sizeof(where);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    where = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&where, &len), 0);
    ck_assert_int_eq(conn_set_listen(set, fd), 0);
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    return fd;
}

/* Turn until the other end of fd is closed, at most 5 s. */
static bool refused(int fd)
{
    char c;
    uint64_t end = clock_mono_ns() + 5 * CLOCK_NS_PER_S;
    while (clock_mono_ns() < end) {
        turn();
        ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            return true;
        }
    }
    return false;
}

static void turn_until_opened(int count)
{
    uint64_t end = clock_mono_ns() + 5 * CLOCK_NS_PER_S;
    while (seen.opened < count && clock_mono_ns() < end) {
        turn();
    }
    ck_assert_int_eq(seen.opened, count);
}

START_TEST(limits_on_connections_hold)
{
    int fds[3];
    make(_i == 0 ? 2 : 100, _i == 0 ? 100 : 2, 1 << 20);
    listen_begin();
    fds[0] = dial();
    fds[1] = dial();
    turn_until_opened(2);
    fds[2] = dial();
    ck_assert(refused(fds[2]));
    close(fds[0]);
    uint64_t end = clock_mono_ns() + 5 * CLOCK_NS_PER_S;
    while (seen.closed == 0 && clock_mono_ns() < end) {
        turn();
    }
    fds[0] = dial(); /* there is room again */
    turn_until_opened(3);
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
}
END_TEST

START_TEST(running_out_of_descriptors_is_survived)
{
    struct rlimit limit = {0, 0};
    int fds[4];
    make(100, 100, 1 << 20);
    listen_begin();
    fds[0] = dial();
    turn_until_opened(1);
    fds[1] = dial();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)fds[1] + 1; /* none left */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert(refused(fds[1]));
    ck_assert_int_eq(seen.opened, 1);
    /* everybody who comes meanwhile hears at once, and a turn has nothing more to do */
    close(fds[1]);
    fds[1] = dial();
    ck_assert(refused(fds[1]));
    ck_assert_int_eq(seen.opened, 1);
    limit.rlim_cur = 200;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    fds[2] = dial();
    turn_until_opened(2);
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shell_conn");
    TCase *t = tcase_create("conn");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, frames_go_in_and_answers_come_out);
    tcase_add_test(t, numbers_are_never_used_twice);
    tcase_add_test(t, pause_stops_reading);
    tcase_add_test(t, close_sends_what_is_queued);
    tcase_add_test(t, lingering_ends_by_itself);
    tcase_add_loop_test(t, bad_stream_is_told_and_ends, 0, 2);
    tcase_add_test(t, slow_reader_is_closed_at_the_limit);
    tcase_add_test(t, a_reader_behind_is_told_of_once_it_has_read);
    tcase_add_test(t, all_together_are_bounded_too);
    tcase_add_test(t, the_limit_on_frames_can_change);
    tcase_add_test(t, asking_faster_than_reading_is_slowed_down);
    tcase_add_test(t, small_requests_are_soon_taken_at_once);
    tcase_add_loop_test(t, times_are_limited, 0, 5);
    tcase_add_loop_test(t, limits_on_connections_hold, 0, 2);
    tcase_add_test(t, running_out_of_descriptors_is_survived);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
