/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c: one turn of a handle, however it is driven: what epoll tells, the connection, the core's
 * outputs, its timers.
 *
 *   epoll descriptor (coord_fd)
 *     +- wake_fd    eventfd: a call from outside the loop changed the core
 *     +- timer_fd   CLOCK_BOOTTIME: the core's next deadline
 *     +- the socket
 *   lease_fd        CLOCK_BOOTTIME: the end of the lease; not in epoll, it is the user's
 *
 * Answers are taken before timers, so that a loop that was held up does not take for lost what has
 * arrived meanwhile.
 *
 * Leaves to others: calling the user (deliver.c).
 * Thread: the loop's. Locked by the caller, but while callbacks run.
 */
#include "client/shell/handle.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Turns without a pause in one dispatch, before the caller's loop gets its chance. */
#define ROUNDS_MAX 8

/* The lease's descriptor may be this much early, to spare a call for each write. */
#define LEASE_COARSE_NS 10000000ull

void coord__wake(struct coord *c)
{
    uint64_t one = 1;
    if (c->woken || (c->in_turn && coord__on_loop(c))) {
        return;
    }
    c->woken = true;
    ssize_t n = write(c->wake_fd, &one, sizeof(one));
    (void)n; /* it fails only when the counter is full, and then the descriptor is ready */
}

static void drain_fd(int fd)
{
    uint64_t value;
    ssize_t n = read(fd, &value, sizeof(value));
    (void)n; /* not ready: then there is nothing to drain */
}

static void take_events(struct coord *c)
{
    struct epoll_event events[4];
    int count = epoll_wait(c->epoll_fd, events, 4, 0);
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        if (fd == c->wake_fd) {
            drain_fd(fd);
            c->woken = false;
        } else if (fd == c->timer_fd) {
            drain_fd(fd);
            c->timer_at = 0;
        } else if (fd == c->net.fd) {
            uint32_t in = EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP;
            c->net.readable = (events[i].events & in) != 0;
            c->net.writable = (events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0;
        }
    }
}

/* Give out all that the core has. Return: false when the handle is being closed. */
static bool drain(struct coord *c)
{
    struct coord__out out;
    while (!c->closing && coord__core_next(c->core, &out)) {
        coord__deliver(c, &out);
    }
    return !c->closing;
}

static void arm(int fd, uint64_t at_ns)
{
    struct itimerspec spec = {{0, 0}, {0, 0}};
    if (at_ns != 0) {
        spec.it_value.tv_sec = (time_t)(at_ns / 1000000000u);
        spec.it_value.tv_nsec = (long)(at_ns % 1000000000u);
    }
    int r = timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL);
    assert(r == 0); /* the descriptor and the time are good */
    (void)r;
}

uint64_t coord__next_turn(const struct coord *c)
{
    uint64_t at = coord__core_deadline(c->core);
    if (coord__resolving(c) && at != 0) {
        uint64_t poll_at = coord__now() + COORD__RESOLVE_POLL_NS;
        at = poll_at < at ? poll_at : at;
    }
    return at;
}

static void arm_timers(struct coord *c)
{
    uint64_t at = coord__next_turn(c);
    at = at == 0 ? 1 : at; /* 0 would disarm */
    if (at != UINT64_MAX && (c->timer_at == 0 || at < c->timer_at)) {
        arm(c->timer_fd, at);
        c->timer_at = at;
    }
    uint64_t end = coord__core_lease_end(c->core);
    if (end == 0) {
        if (c->lease_at > 1) {
            arm(c->lease_fd, 1); /* the session is over: long past */
            c->lease_at = 1;
        }
    } else if (end < c->lease_at || end - c->lease_at >= LEASE_COARSE_NS) {
        arm(c->lease_fd, end);
        c->lease_at = end;
    }
}

static bool round_once(struct coord *c)
{
    take_events(c);
    coord__resolve_poll(c);
    coord__net_connect(c);
    coord__net_read(c);
    if (!drain(c)) {
        return false;
    }
    coord__core_tick(c->core, coord__now());
    if (!drain(c)) {
        return false;
    }
    coord__net_follow(c);
    coord__net_write(c);
    coord__net_follow(c);
    return drain(c);
}

bool coord__turn(struct coord *c)
{
    assert(!c->in_turn);
    if (c->closing) {
        return true;
    }
    c->in_turn = true;
    bool going = true;
    for (int i = 0; i < ROUNDS_MAX && going; i++) {
        going = round_once(c);
        if (!c->net.readable && coord__core_deadline(c->core) != 0) {
            break;
        }
    }
    c->in_turn = false;
    coord__record_flush(c->recorder);
    if (going) {
        arm_timers(c);
        if (c->net.readable) {
            coord__wake(c);
        }
    }
    return !going;
}

void coord__finalize(struct coord *c)
{
    struct coord__out out;
    assert(c->closing && !c->in_turn);
    c->in_turn = true;
    coord__core_close(c->core, coord__now());
    coord__net_write(c); /* the session's end; as far as the socket takes it */
    coord__net_close(c);
    while (coord__core_next(c->core, &out)) {
        coord__deliver(c, &out);
    }
    coord__record_close(c->recorder, "closed", coord__now());
    c->recorder = NULL;
    c->in_turn = false;
    arm_timers(c);
}

/* --- the loop-driven form --------------------------------------------------------------------- */

int coord_fd(const struct coord *c)
{
    if (c == NULL || c->threaded) {
        return COORD_EINVAL;
    }
    return coord__forked(c) ? COORD_EFORKED : c->epoll_fd;
}

short coord_events(const struct coord *c)
{
    (void)c; /* the same for all */
    return POLLIN;
}

int coord_timeout_ms(const struct coord *c)
{
    if (c == NULL || c->threaded || coord__forked(c)) {
        return -1;
    }
    uint64_t at = coord__next_turn(c);
    uint64_t now = coord__now();
    if (at == UINT64_MAX) {
        return -1;
    }
    if (at <= now) {
        return 0;
    }
    uint64_t ms = (at - now + 999999) / 1000000;
    return ms > 86400000 ? 86400000 : (int)ms;
}

int coord_dispatch(struct coord *c)
{
    if (c == NULL || c->threaded) {
        return COORD_EINVAL;
    }
    if (coord__forked(c)) {
        return COORD_EFORKED;
    }
    if (c->in_callback || c->in_turn) {
        return COORD_EDEADLK;
    }
    if (!coord__turn(c)) {
        return 0;
    }
    coord__finalize(c);
    coord__free_handle(c, false);
    return 1;
}
