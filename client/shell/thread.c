/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread.c: the thread of a threaded handle: waits, turns the loop, and ends it.
 *
 * Leaves to others: what a turn does (loop.c).
 * Thread: this one. It holds the handle's lock except while it waits and while callbacks run.
 */
#include "client/shell/handle.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>

/* Tell everything for the last time; then wait until no blocking call is left inside. */
static void end(struct coord *c)
{
    coord__finalize(c);
    while (c->waiters > 0) {
        (void)pthread_cond_wait(&c->changed, &c->lock); /* cannot fail: the lock is held */
    }
    bool own = c->closed_by_itself;
    coord__handle_leave(c);
    if (own) {
        (void)pthread_detach(pthread_self()); /* nobody joins it; cannot fail */
        coord__free_handle(c, false);
    }
}

static void *run(void *arg)
{
    struct coord *c = arg;
    (void)pthread_setname_np(pthread_self(), "libcoord"); /* only for people's eyes */
    (void)coord__handle_enter(c);                         /* cannot fail: made in this process */
    c->thread = pthread_self();
    while (!coord__turn(c)) {
        struct pollfd p = {.fd = c->epoll_fd, .events = POLLIN};
        coord__handle_leave(c);
        (void)poll(&p, 1, -1); /* timers are descriptors too; interrupted or not, look anew */
        (void)coord__handle_enter(c); /* cannot fail: the process is the same */
    }
    end(c);
    return NULL;
}

int coord__thread_start(struct coord *c)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all); /* cannot fail */
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) {
        return COORD_ESYSTEM;
    }
    (void)coord__handle_enter(c); /* so that c->thread is set before anybody looks */
    int r = pthread_create(&c->thread, NULL, run, c);
    coord__handle_leave(c);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* cannot fail: it was in force */
    return r == 0 ? 0 : COORD_ENOMEM;
}
