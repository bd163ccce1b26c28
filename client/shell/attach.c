/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.c: a loop-driven handle in somebody's libevent loop: one event on the handle's descriptor,
 * which becomes ready for its timers too.
 *
 * Leaves to others: everything else.
 * Thread: the base's, which is the handle's.
 */
#include "client/shell/handle.h"

#include <event2/event.h>

static void ready(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    /* Whether it was closed meanwhile is of no interest: its event is gone with it then. */
    int r = coord_dispatch(arg);
    (void)r;
}

void coord__detach_event(struct coord *c)
{
    if (c->attached != NULL) {
        event_free(c->attached);
        c->attached = NULL;
    }
}

int coord_attach_event_base(struct coord *c, struct event_base *base)
{
    if (c == NULL || c->threaded) {
        return COORD_EINVAL;
    }
    if (coord__forked(c)) {
        return COORD_EFORKED;
    }
    coord__detach_event(c);
    if (base == NULL) {
        return 0;
    }
    c->attached = event_new(base, c->epoll_fd, EV_READ | EV_PERSIST, ready, c);
    if (c->attached == NULL) {
        return COORD_ENOMEM;
    }
    if (event_add(c->attached, NULL) < 0) {
        coord__detach_event(c);
        return COORD_ENOMEM;
    }
    return 0;
}
