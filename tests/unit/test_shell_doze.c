/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: connections that only keep alive are read when their keep-alives are due and wake nobody; everything else on
 * them is told of at once, and a client that is late, slow or gone is treated as ever.
 * Method: a set of connections over loopback TCP, turned by hand and looked at in a time of the test's own. Keep-alives
 * are an hour apart: what is delivered without a look was told of by the kernel. That bytes have come is asked of the
 * receiving socket, so what is not delivered then was not told of.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "server/shell/base.h"
#include "server/shell/clock.h"
#include "server/shell/conn.h"
#include "server/shell/log.h"

#define LOUD    24
#define HOUR_NS (3600 * CLOCK_NS_PER_S)
/* A look this long after a keep-alive was due has found it. */
#define LATEST_NS  (200 * CLOCK_NS_PER_MS)
#define PATIENCE_S 5
#define CLIENTS    300
#define FDS_MAX    1024

static struct event_base *base;
static struct conn_set *set;
static struct sockaddr_in where;
static struct {
    int opened, frames, closed;
    uint64_t last; /* connection of the last event */
} seen;

static void on_opened(void *ctx, uint64_t conn, const char *source)
{
    (void)ctx, (void)source;
    seen.opened++;
    seen.last = conn;
}

static void on_frame(void *ctx, uint64_t conn, struct coord_buf *buf)
{
    (void)ctx;
    seen.frames++;
    seen.last = conn;
    coord_buf_unref(buf);
}

static void on_bad(void *ctx, uint64_t conn, const char *why)
{
    (void)ctx, (void)conn;
    ck_abort_msg("bad: %s", why);
}

static void on_closed(void *ctx, uint64_t conn)
{
    (void)ctx;
    seen.closed++;
    seen.last = conn;
}

static void on_drained(void *ctx, uint64_t conn)
{
    (void)ctx, (void)conn;
}

static void setup(void)
{
    struct conn_options o = {.host = {NULL, on_opened, on_frame, on_bad, on_closed, on_drained},
                             .frame_bytes_max = 1 << 20,
                             .connections_max = CLIENTS,
                             .per_address_max = CLIENTS,
                             .output_bytes_max = 1 << 20,
                             .output_total_bytes_max = 1 << 20,
                             .watch_output_bytes_max = 1 << 20,
                             .loud_bytes = LOUD};
    struct rlimit limit = {0, 0};
    socklen_t len = sizeof(where);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    base = base_create();
    ck_assert_ptr_nonnull(base);
    memset(&seen, 0, sizeof(seen));
    log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), CONF_LOG_DEBUG, CONF_LOG_TEXT, 1);
    o.base = base;
    ck_assert_int_eq(conn_set_create(&o, &set), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    where = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    ck_assert_int_eq(listen(fd, CLIENTS), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&where, &len), 0);
    ck_assert_int_eq(conn_set_listen(set, fd), 0);
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

/* Turn until *count is that; nothing is looked at meanwhile. */
static void turn_until(const int *count, int wanted)
{
    uint64_t end = clock_mono_ns() + PATIENCE_S * CLOCK_NS_PER_S;
    while (*count < wanted && clock_mono_ns() < end) {
        turn();
    }
    ck_assert_int_eq(*count, wanted);
}

/* The set's end of the connection fd: it is in this process. */
static int other_end(int fd)
{
    struct sockaddr_in ours, peer;
    socklen_t len = sizeof(ours);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ours, &len), 0);
    for (int i = 3; i < FDS_MAX; i++) {
        len = sizeof(peer);
        if (i != fd && getpeername(i, (struct sockaddr *)&peer, &len) == 0 &&
            peer.sin_port == ours.sin_port) {
            return i;
        }
    }
    ck_abort_msg("no other end");
}

/* Write bytes, and wait until the other end's kernel has them. */
static void put(int fd, const void *bytes, size_t len)
{
    int there = 0, before = 0, to = other_end(fd);
    uint64_t end = clock_mono_ns() + PATIENCE_S * CLOCK_NS_PER_S;
    ck_assert_int_eq(ioctl(to, FIONREAD, &before), 0);
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
    while (there < before + (int)len && clock_mono_ns() < end) {
        ck_assert_int_eq(ioctl(to, FIONREAD, &there), 0);
    }
    ck_assert_int_eq(there, before + (int)len);
}

/* A frame of so many bytes in all, of which the first `sent` are sent. */
static void put_part(int fd, uint8_t bytes, size_t sent)
{
    char frame[256] = {0, 0, 0, (char)(bytes - 4)};
    put(fd, frame, sent);
}

static void put_frame(int fd, uint8_t bytes)
{
    put_part(fd, bytes, bytes);
}

static void keep_alive(int fd)
{
    put_frame(fd, 12);
}

static int dial(uint64_t *ret_id)
{
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    turn_until(&seen.opened, seen.opened + 1);
    *ret_id = seen.last;
    return fd;
}

/* As the host does: a connection without answers is given only a few frames. */
static void answer(int fd, uint64_t id)
{
    char c;
    struct coord_buf *b = coord_buf_copy("!", 1);
    conn_set_send(set, id, b);
    coord_buf_unref(b);
    (void)conn_set_flush(set);
    ck_assert_int_eq(recv(fd, &c, 1, 0), 1);
}

/* One that dozes: it has kept alive once, and will again after ns. */
static int doze(uint64_t ns, uint64_t *ret_id)
{
    int fd = dial(ret_id);
    keep_alive(fd);
    turn_until(&seen.frames, seen.frames + 1);
    conn_set_doze(set, *ret_id, ns);
    return fd;
}

/* Nothing has been told of although there is something. */
static void assert_silent(int frames)
{
    for (int i = 0; i < 3; i++) {
        turn();
    }
    ck_assert_int_eq(seen.frames, frames);
}

START_TEST(keep_alives_wait_for_the_look)
{
    uint64_t id;
    uint64_t before = clock_boot_ns();
    int fd = doze(HOUR_NS, &id);
    uint64_t after = clock_boot_ns();
    for (uint64_t round = 1; round <= 3; round++) {
        int frames = seen.frames;
        keep_alive(fd);
        assert_silent(frames);
        conn_set_look(set, before + round * HOUR_NS); /* not before it could be there */
        ck_assert_int_eq(seen.frames, frames);
        /* However late the last look was, this one is due an hour after that was. */
        uint64_t late = round == 2 ? 60 * CLOCK_NS_PER_S : 0;
        conn_set_look(set, after + round * HOUR_NS + LATEST_NS + late);
        ck_assert_int_eq(seen.frames, frames + 1);
        if (round != 1) { /* nobody has to say so each time */
            conn_set_doze(set, id, HOUR_NS);
        }
    }
    close(fd);
}
END_TEST

/* A request, a short one behind a keep-alive, one that comes in pieces, an end, an error. */
START_TEST(what_is_loud_is_told_of_at_once)
{
    uint64_t id;
    int fd = doze(HOUR_NS, &id);
    int frames = seen.frames;
    if (_i == 0) {
        put_frame(fd, LOUD);
        turn_until(&seen.frames, frames + 1);
    } else if (_i == 1) {
        keep_alive(fd);
        assert_silent(frames);
        put_frame(fd, LOUD);
        turn_until(&seen.frames, frames + 2);
    } else if (_i == 2) {
        put_part(fd, 200, 10);
        assert_silent(frames);
        put(fd, (char[190]){0}, 190);
        turn_until(&seen.frames, frames + 1);
    } else if (_i == 3) {
        keep_alive(fd);
        close(fd);
        turn_until(&seen.closed, 1);
        ck_assert_int_eq(seen.frames, frames + 1);
    } else {
        struct linger reset = {.l_onoff = 1};
        ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        close(fd);
        turn_until(&seen.closed, 1);
    }
    if (_i < 3) { /* and it dozes as before */
        frames = seen.frames;
        keep_alive(fd);
        assert_silent(frames);
        conn_set_look(set, clock_boot_ns() + HOUR_NS + LATEST_NS);
        ck_assert_int_eq(seen.frames, frames + 1);
        close(fd);
    }
}
END_TEST

START_TEST(the_rest_of_a_frame_is_never_waited_for)
{
    uint64_t id;
    int fd = doze(HOUR_NS, &id);
    int frames = seen.frames;
    put_part(fd, 60, 50); /* is read */
    assert_silent(frames);
    put(fd, (char[10]){0}, 10); /* few, and yet */
    turn_until(&seen.frames, frames + 1);
    keep_alive(fd); /* it is awake until it keeps alive again */
    turn_until(&seen.frames, frames + 2);
    close(fd);
}
END_TEST

/* Half a frame, loud or not, is closed within its time from when it was seen. */
START_TEST(half_a_frame_ends)
{
    uint64_t id;
    uint64_t now = clock_mono_ns();
    int fd = doze(HOUR_NS, &id);
    int frames = seen.frames;
    put_part(fd, 60, _i == 0 ? 50 : 10);
    assert_silent(frames);
    ck_assert(!conn_set_sweep(set, now + CLOCK_NS_PER_S));
    if (_i == 1) {
        now += 100 * CLOCK_NS_PER_S;
        ck_assert(!conn_set_sweep(set, now)); /* not seen yet */
        conn_set_look(set, clock_boot_ns() + HOUR_NS + LATEST_NS);
    }
    ck_assert(!conn_set_sweep(set, now + 2 * CLOCK_NS_PER_S));
    ck_assert(!conn_set_sweep(set, now + 5 * CLOCK_NS_PER_S));
    ck_assert(conn_set_sweep(set, now + 8 * CLOCK_NS_PER_S));
    ck_assert_int_eq(seen.closed, 1);
    close(fd);
}
END_TEST

START_TEST(a_late_client_is_waited_for_awake)
{
    uint64_t id;
    int fd = doze(HOUR_NS, &id);
    int frames = seen.frames;
    conn_set_look(set, clock_boot_ns() + HOUR_NS + LATEST_NS); /* nothing is there */
    ck_assert_int_eq(seen.frames, frames);
    ck_assert_int_eq(seen.closed, 0);
    keep_alive(fd);
    turn_until(&seen.frames, frames + 1);
    conn_set_doze(set, id, HOUR_NS); /* and from this one on as before */
    keep_alive(fd);
    assert_silent(frames + 1);
    conn_set_look(set, clock_boot_ns() + HOUR_NS + LATEST_NS);
    ck_assert_int_eq(seen.frames, frames + 2);
    close(fd);
}
END_TEST

/* Now and then one is told of by itself, lest looks come ever later after a client whose clock is fast. */
START_TEST(the_phase_is_learnt_again)
{
    uint64_t id;
    int fd = doze(HOUR_NS, &id);
    for (int round = 0; round < 2; round++) {
        uint64_t begin = clock_boot_ns();
        int frames = seen.frames;
        for (uint64_t i = 1; i <= 128; i++) {
            keep_alive(fd);
            turn();
            ck_assert_int_eq(seen.frames, frames);
            conn_set_look(set, begin + i * HOUR_NS + LATEST_NS);
            ck_assert_int_eq(seen.frames, ++frames);
            conn_set_doze(set, id, HOUR_NS);
            answer(fd, id);
        }
        keep_alive(fd);
        turn_until(&seen.frames, frames + 1);
        conn_set_doze(set, id, HOUR_NS);
    }
    close(fd);
}
END_TEST

/* By what it says, by back-pressure, by an interval that is too short: then even what has come is told of. */
START_TEST(some_do_not_doze)
{
    uint64_t id;
    int fd = doze(_i == 0 ? CLOCK_NS_PER_S / 2 : HOUR_NS, &id);
    int frames = seen.frames;
    keep_alive(fd);
    if (_i == 1) {
        assert_silent(frames);
        conn_set_doze(set, id, 0);
    } else if (_i == 2 || _i == 4) {
        assert_silent(frames);
        conn_set_pause(set, id, true);
        if (_i == 4) {
            conn_set_doze(set, id, HOUR_NS); /* not while it is paused */
        }
        conn_set_look(set, clock_boot_ns() + HOUR_NS + LATEST_NS);
        int unread = 0;
        ck_assert_int_eq(ioctl(other_end(fd), FIONREAD, &unread), 0);
        ck_assert_int_eq(unread, 12); /* nobody reads what is paused */
        ck_assert_int_eq(seen.frames, frames);
        conn_set_pause(set, id, false);
    } else if (_i == 3) {
        assert_silent(frames);
        conn_set_close(set, id, "test");
        turn();
        keep_alive(fd); /* is read and dropped, so that our end is not reset */
        turn();
        char c;
        ck_assert_int_eq(recv(fd, &c, 1, 0), 0);
        close(fd);
        uint64_t end = clock_mono_ns() + PATIENCE_S * CLOCK_NS_PER_S;
        while (conn_set_count(set) > 0 && clock_mono_ns() < end) {
            turn();
        }
        ck_assert_uint_eq(conn_set_count(set), 0);
        return;
    }
    turn_until(&seen.frames, frames + 1);
    close(fd);
}
END_TEST

/* All that are due are read without a wake-up between them, but no more of them in a turn than others can wait for. */
START_TEST(those_due_are_read_together)
{
    static int fds[CLIENTS];
    uint64_t id;
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = doze(HOUR_NS, &id);
    }
    int frames = seen.frames;
    for (int i = 0; i < CLIENTS; i++) {
        keep_alive(fds[i]);
    }
    assert_silent(frames);
    uint64_t at = clock_boot_ns() + HOUR_NS + LATEST_NS;
    conn_set_look(set, at);
    ck_assert_int_gt(seen.frames, frames + CLIENTS / 10);
    ck_assert_int_lt(seen.frames, frames + CLIENTS);
    while (seen.frames < frames + CLIENTS && conn_set_ready(set)) { /* the loop does not sleep */
        conn_set_look(set, at);
    }
    ck_assert_int_eq(seen.frames, frames + CLIENTS);
    ck_assert(!conn_set_ready(set));
    for (int i = 0; i < CLIENTS; i += 2) { /* some end while they doze, the others with the set */
        close(fds[i]);
    }
    turn_until(&seen.closed, CLIENTS / 2);
    conn_set_look(set, clock_boot_ns() + 2 * HOUR_NS + 2 * LATEST_NS);
    turn();
    ck_assert_uint_eq(conn_set_count(set), CLIENTS / 2);
    for (int i = 1; i < CLIENTS; i += 2) {
        close(fds[i]);
    }
}
END_TEST

/* The wheel turns by itself: the loop sleeps, and only the timer can end that. */
START_TEST(a_timer_looks)
{
    uint64_t id, far;
    uint64_t begin = clock_mono_ns();
    int later = doze(HOUR_NS, &far);
    int fd = doze(CLOCK_NS_PER_S, &id);
    int frames = seen.frames;
    keep_alive(fd);
    for (int i = 0; i < 20 && seen.frames == frames; i++) {
        base_turn(base, true);
        conn_set_resume(set);
        (void)conn_set_flush(set);
    }
    ck_assert_int_eq(seen.frames, frames + 1);
    ck_assert_uint_eq(seen.last, id);
    ck_assert_uint_ge(clock_mono_ns() - begin, CLOCK_NS_PER_S);
    close(fd);
    close(later);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shell_doze");
    TCase *t = tcase_create("doze");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, keep_alives_wait_for_the_look);
    tcase_add_loop_test(t, what_is_loud_is_told_of_at_once, 0, 5);
    tcase_add_test(t, the_rest_of_a_frame_is_never_waited_for);
    tcase_add_loop_test(t, half_a_frame_ends, 0, 2);
    tcase_add_test(t, a_late_client_is_waited_for_awake);
    tcase_add_test(t, the_phase_is_learnt_again);
    tcase_add_loop_test(t, some_do_not_doze, 0, 5);
    tcase_add_test(t, those_due_are_read_together);
    tcase_add_test(t, a_timer_looks);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
