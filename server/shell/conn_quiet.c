/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_quiet.c: connections that send nothing but keep-alives. A hundred thousand of them wake a member
 * thousands of times a second, each time for a few bytes that nobody is in a hurry for, and most of what
 * they cost is the wake-up and the turn of the loop. So they have an epoll instance of their own, which is
 * read in one of two ways:
 *
 *   EAGER    as soon as it has something: the instance itself is one descriptor of the loop
 *   PATIENT  every CONN_QUIET_MS, by a timer, all that came meanwhile in one turn
 *
 *   EAGER -> PATIENT    CONN_QUIET_MANY frames within as many milliseconds
 *   PATIENT -> EAGER    less than half of that; or an event was sent to one of them, because its reader may
 *                       have something to say now (then for CONN_QUIET_HASTE_NS at least)
 *
 * A connection comes here after CONN_QUIET_AFTER keep-alives in a row and goes back to the loop with the
 * first frame that is something else. So what waits, for CONN_QUIET_MS at most, is the first request of a
 * connection that was idle for about a session's timeout, while keep-alives come at a rate of some thousand
 * a second. Peers, the disk, timers, new connections and all others are read as ever: nothing sleeps but
 * the one timer.
 *
 * Entering the instance into the loop's makes the kernel walk all that it holds; so it stays there, waiting for what
 * an instance never is, writable, and only being readable is asked for and not (`anchor`).
 *
 * The instance is edge-triggered: otherwise the kernel would ask each socket a second time whether it is
 * empty now. Hence whatever a single read may not have brought to light (a full buffer, the other end's
 * close) sends the connection back to the loop, which is not.
 */
#include "server/shell/conn_set.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "server/shell/clock.h"

#define CONN_QUIET_AFTER    3 /* keep-alives in a row: a timeout has passed */
#define CONN_QUIET_MANY     16
#define CONN_QUIET_HASTE_NS (50 * CLOCK_NS_PER_MS)
#define CONN_QUIET_BATCH    256 /* events of one look ... */
#define CONN_QUIET_LOOKS    16  /* ... and looks of one turn */

static void go_back(struct conn *c)
{
    conn_read_off(c);
    conn_read_on(c);
}

static void eager(struct conn_set *s)
{
    struct conn_quiet *q = &s->quiet;
    q->patient = false;
    q->frames = 0;
    q->since_ns = clock_mono_ns();
    (void)event_del(&q->due);
    (void)event_add(&q->ready, NULL);
}

static void patient(struct conn_set *s)
{
    struct conn_quiet *q = &s->quiet;
    struct timeval tv = {.tv_usec = CONN_QUIET_MS * 1000};
    q->patient = true;
    q->frames = 0;
    q->looks = 0;
    (void)event_del(&q->ready);
    (void)event_add(&q->due, &tv);
}

static void look(struct conn_set *s)
{
    struct epoll_event found[CONN_QUIET_BATCH];
    int n = CONN_QUIET_BATCH;
    for (int i = 0; i < CONN_QUIET_LOOKS && n == CONN_QUIET_BATCH; i++) {
        n = epoll_wait(s->quiet.fd, found, CONN_QUIET_BATCH, 0);
        for (int k = 0; k < n; k++) {
            struct conn *c = conn_find(s, found[k].data.u64);
            if (c == NULL || !c->quiet) {
                continue; /* it left while this look was worked on */
            }
            if ((found[k].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
                go_back(c);
            } else {
                conn_read(c);
            }
        }
    }
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct conn_set *s = arg;
    struct conn_quiet *q = &s->quiet;
    (void)fd, (void)what;
    look(s);
    if (q->frames < CONN_QUIET_MANY) {
        return;
    }
    uint64_t now = clock_mono_ns();
    bool many = now - q->since_ns <= CONN_QUIET_MANY * CLOCK_NS_PER_MS;
    if (many && now >= q->haste_until_ns) {
        patient(s);
    } else {
        q->frames = 0;
        q->since_ns = now;
    }
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct conn_set *s = arg;
    struct conn_quiet *q = &s->quiet;
    (void)fd, (void)what;
    look(s);
    if (++q->looks < CONN_QUIET_MANY) {
        return;
    }
    if (q->frames < CONN_QUIET_MANY * CONN_QUIET_MS / 2) {
        eager(s);
    }
    q->frames = 0;
    q->looks = 0;
}

static void on_never(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

int conn_quiet_begin(struct conn_set *s)
{
    struct conn_quiet *q = &s->quiet;
    q->fd = epoll_create1(EPOLL_CLOEXEC);
    if (q->fd < 0) {
        return -errno;
    }
    (void)event_assign(&q->ready, s->o.base, q->fd, EV_READ | EV_PERSIST, on_ready, s);
    (void)event_assign(&q->anchor, s->o.base, q->fd, EV_WRITE | EV_PERSIST, on_never, s);
    (void)event_assign(&q->due, s->o.base, -1, EV_PERSIST, on_due, s);
    (void)event_add(&q->anchor, NULL);
    q->made = true;
    eager(s);
    return 0;
}

void conn_quiet_end(struct conn_set *s)
{
    struct conn_quiet *q = &s->quiet;
    if (q->made) {
        (void)event_del(&q->ready);
        (void)event_del(&q->anchor);
        (void)event_del(&q->due);
        (void)close(q->fd);
        q->made = false;
    }
}

void conn_read_on(struct conn *c)
{
    assert(!c->quiet);
    (void)event_add(&c->readable, NULL);
}

void conn_read_off(struct conn *c)
{
    if (c->quiet) {
        c->quiet = false;
        (void)epoll_ctl(c->set->quiet.fd, EPOLL_CTL_DEL, c->fd, NULL); /* it is there */
    } else {
        (void)event_del(&c->readable);
    }
}

void conn_quiet_frame(struct conn *c, const struct coord_buf *buf)
{
    struct conn_set *s = c->set;
    if (s->o.host.keep_alive == NULL || !s->o.host.keep_alive(s->o.host.ctx, buf)) {
        c->rests = 0;
        if (c->quiet) {
            go_back(c);
        }
        return;
    }
    c->pinged = true;
    s->quiet.frames += c->quiet;
    c->rests = (uint8_t)(c->rests + (c->rests < CONN_QUIET_AFTER));
}

void conn_quiet_sent(struct conn *c)
{
    struct conn_set *s = c->set;
    if (c->pinged) {
        c->pinged = false; /* most likely this is its answer */
    } else if (c->quiet) {
        s->quiet.haste_until_ns = clock_mono_ns() + CONN_QUIET_HASTE_NS;
        if (s->quiet.patient) {
            eager(s);
        }
    }
}

void conn_quiet_read(struct conn *c, bool full)
{
    if (c->quiet) {
        if (full) {
            go_back(c);
        }
        return;
    }
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u64 = c->id};
    if (c->rests < CONN_QUIET_AFTER || full || c->paused || c->held || c->state != CONN_OPEN ||
        epoll_ctl(c->set->quiet.fd, EPOLL_CTL_ADD, c->fd, &ev) < 0) {
        return;
    }
    (void)event_del(&c->readable);
    c->quiet = true;
}
