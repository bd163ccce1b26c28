/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c: the calls about watches.
 *
 * Leaves to others: all that matters (client/core/watch.c), telling (deliver.c).
 * Thread: as coord.h says for the handle.
 */
#include "client/shell/request.h"
#include "client/shell/sync.h"

#include <string.h>

#define ALL_KINDS (COORD_CREATED | COORD_CHANGED | COORD_DELETED)

static int make_watch(struct coord *c, const char *path, const struct coord_watch_options *o,
                      struct coord__submission *s)
{
    static const struct coord_watch_options defaults;
    o = o != NULL ? o : &defaults;
    coord__make_plain(COORD_OP_WATCH, s);
    if (o->depth > COORD_WATCH_SUBTREE || (o->kinds & ~(uint32_t)ALL_KINDS) != 0) {
        return COORD_EINVAL;
    }
    s->q.depth = (enum coord_depth)o->depth;
    s->q.kinds = o->kinds != 0 ? o->kinds : ALL_KINDS;
    s->q.flags = (o->with_value ? COORD_WATCH_VALUE : 0u) |
                 (o->with_previous ? COORD_WATCH_PREVIOUS : 0u) | (o->once ? COORD_WATCH_ONCE : 0u);
    s->q.revision = o->from_revision;
    return coord__make_path(c, path, s);
}

/* Locked by the caller. */
static int add_watch(struct coord *c, const struct coord__submission *s, bool progress,
                     coord_watch_cb cb, void *arg, coord_watch_id *ret_watch)
{
    struct coord__watch *w = coord__watch_create(&s->q);
    if (w == NULL) {
        return COORD_ENOMEM;
    }
    w->cb = cb;
    w->arg = arg;
    w->progress = progress;
    w->prefix_bytes = c->prefix_bytes;
    int err = coord__core_watch(c->core, w, coord__now());
    if (err < 0) {
        coord__watch_free(w);
        return err;
    }
    if (c->recorder != NULL) {
        coord__record_watch(c->recorder, w, coord__now());
    }
    *ret_watch = w->id;
    return 0;
}

int coord_watch(struct coord *c, const char *path, const struct coord_watch_options *o,
                coord_watch_cb cb, void *arg, coord_watch_id *ret_watch)
{
    struct coord__submission s;
    coord_watch_id id;
    int err = cb == NULL ? COORD_EINVAL : make_watch(c, path, o, &s);
    err = err < 0 ? err : coord__handle_enter(c);
    if (err < 0) {
        return err;
    }
    err = add_watch(c, &s, o != NULL && o->progress, cb, arg, &id);
    if (err == 0) {
        if (ret_watch != NULL) {
            *ret_watch = id;
        }
        coord__wake(c);
    }
    coord__handle_leave(c);
    return err;
}

int coord_watch_sync(struct coord *c, const char *path, const struct coord_watch_options *o,
                     coord_watch_cb cb, void *arg, coord_watch_id *ret_watch)
{
    struct coord__submission s;
    struct coord__waiter w = {0};
    int err = cb == NULL ? COORD_EINVAL : make_watch(c, path, o, &s);
    err = err < 0 ? err : coord__wait_enter(c);
    if (err < 0) {
        return err;
    }
    err = add_watch(c, &s, o != NULL && o->progress, cb, arg, &w.watch);
    if (err < 0) {
        coord__wait_leave(c);
        return err;
    }
    if (ret_watch != NULL) {
        *ret_watch = w.watch;
    }
    coord__list_append(&c->watch_waiters, &w.link);
    coord__wake(c);
    if (coord__wait(c, &w, coord__now() + c->request_timeout_ms * UINT64_C(1000000))) {
        return w.error;
    }
    coord__list_remove(&w.link);
    (void)coord__core_unwatch(c->core, w.watch, coord__now()); /* it was there a moment ago */
    coord__wake(c);
    coord__wait_leave(c);
    return COORD_ETIMEOUT;
}

int coord_unwatch(struct coord *c, coord_watch_id watch)
{
    int err = coord__handle_enter(c);
    if (err < 0) {
        return err;
    }
    err = coord__core_unwatch(c->core, watch, coord__now());
    coord__wake(c);
    coord__handle_leave(c);
    return err;
}

int coord_unwatch_sync(struct coord *c, coord_watch_id watch)
{
    struct coord__waiter w = {.watch = watch, .for_end = true};
    int err = coord__wait_enter(c);
    if (err < 0) {
        return err;
    }
    err = coord__core_unwatch(c->core, watch, coord__now());
    if (err < 0) {
        coord__wait_leave(c);
        return err;
    }
    coord__list_append(&c->watch_waiters, &w.link);
    coord__wake(c);
    (void)coord__wait(c, &w, UINT64_MAX); /* ENDED is queued already */
    return w.error;
}
