/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver.c: one output of the core, told to the callback, the blocking call or the listeners it is
 * for.
 *
 * Leaves to others: when (loop.c), the public structs (client/core/convert.c).
 * Thread: the loop's. Locked by the caller; unlocked while a callback runs. What a callback is
 * given lives in the handle's scratch arena, which only the loop uses.
 */
#include "client/shell/handle.h"

#include <assert.h>
#include <string.h>
#include "client/shell/sync.h"

static void enter_callback(struct coord *c)
{
    assert(!c->in_callback);
    c->in_callback = true;
    if (c->threaded) {
        (void)pthread_mutex_unlock(&c->lock); /* cannot fail: the loop holds it */
    }
}

static void leave_callback(struct coord *c)
{
    if (c->threaded) {
        (void)pthread_mutex_lock(&c->lock); /* cannot fail: the loop does not hold it */
    }
    c->in_callback = false;
}

static void deliver_reply(struct coord *c, const struct coord__out *out)
{
    struct coord__request *r = out->request;
    struct coord_reply bare;
    if (c->recorder != NULL) {
        coord__record_reply(c->recorder, out, coord__core_session(c->core), coord__now());
    }
    if (r->waiter != NULL) {
        coord__waiter_reply(c, r->waiter, out);
    } else if (r->cb != NULL) {
        struct coord_reply *reply = coord__convert_reply(out, &c->scratch);
        if (reply == NULL) {
            coord__convert_reply_bare(out, &bare);
            reply = &bare;
        }
        enter_callback(c);
        r->cb(c, reply, r->arg);
        leave_callback(c);
        coord__arena_clear(&c->scratch);
    }
    coord__core_release(c->core, r);
}

static void deliver_watch(struct coord *c, const struct coord__out *out)
{
    struct coord__watch *w = out->watch;
    struct coord_watch_event event;
    if (!coord__convert_event(out, &c->scratch, &event)) {
        /* Without memory the changes cannot be told: that they are missing can. */
        event.state = COORD_WATCH_GAP;
        event.changes = NULL;
        event.changes_count = 0;
    }
    if (c->recorder != NULL) {
        coord__record_event(c->recorder, out, event.state, coord__now());
    }
    enter_callback(c);
    w->cb(c, &event, w->arg);
    leave_callback(c);
    coord__arena_clear(&c->scratch);
    coord__waiter_watch(c, event.watch, event.state, event.error);
    if (out->event == COORD_WATCH_ENDED) {
        coord__watch_free(w);
    }
}

/* The listener with the lowest number above `after`: the list may change while one is called. */
static struct coord__listener *next_listener(struct coord *c, coord_listener_id after)
{
    for (struct coord__list *at = c->listeners.next; at != &c->listeners; at = at->next) {
        struct coord__listener *l = COORD__ENTRY(at, struct coord__listener, link);
        if (l->id > after) {
            return l;
        }
    }
    return NULL;
}

static void deliver_state(struct coord *c, enum coord_state state)
{
    if (c->recorder != NULL) {
        coord__record_state(c->recorder, state, coord__core_session(c->core), coord__now());
    }
    if (c->state_cb != NULL) {
        enter_callback(c);
        c->state_cb(c, state, c->state_arg);
        leave_callback(c);
    }
    coord_listener_id last = c->last_listener; /* those added from now on hear the next state */
    struct coord__listener *l = next_listener(c, 0);
    while (l != NULL && l->id <= last) {
        coord_listener_id id = l->id;
        coord_state_cb cb = l->cb;
        void *arg = l->arg;
        c->called_listener = id;
        enter_callback(c);
        cb(c, state, arg);
        leave_callback(c);
        c->called_listener = 0;
        if (c->threaded) {
            (void)pthread_cond_broadcast(&c->changed); /* for coord_unlisten; cannot fail */
        }
        l = next_listener(c, id);
    }
}

void coord__deliver(struct coord *c, const struct coord__out *out)
{
    switch (out->kind) {
    case COORD__OUT_REPLY:
        deliver_reply(c, out);
        break;
    case COORD__OUT_WATCH:
        deliver_watch(c, out);
        break;
    case COORD__OUT_TIMER:
        enter_callback(c);
        out->timer->cb(c, out->error, out->timer->arg);
        leave_callback(c);
        coord__free(out->timer);
        break;
    case COORD__OUT_STATE:
        deliver_state(c, out->state);
        break;
    }
}
