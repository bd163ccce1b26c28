/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.c: the blocking forms: how a call waits for its request, and coord_*_sync.
 *
 *   loop-driven   the caller's thread runs the loop until its request is complete
 *   threaded      the caller sleeps on a condition that the handle's thread signals
 *
 * A handle closed while calls wait: they get COORD_ECLOSED; whoever frees the handle waits until
 * the last of them has left (handle.c).
 *
 * Leaves to others: what is asked (request.c).
 * Thread: any but the loop's own, which gets COORD_EDEADLK.
 */
#include "client/shell/sync.h"

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include "client/shell/request.h"

/* A reply with the arena that holds it. */
struct owned_reply {
    struct coord__arena arena;
    struct coord_reply reply;
};

int coord__wait_enter(struct coord *c)
{
    int err = coord__handle_enter(c);
    if (err < 0) {
        return err;
    }
    err = coord__on_loop(c) ? COORD_EDEADLK : c->closing ? COORD_ECLOSED : 0;
    if (err < 0) {
        coord__handle_leave(c);
    }
    return err;
}

void coord__wait_leave(struct coord *c)
{
    coord__handle_leave(c);
}

/* Return: as coord__wait. */
static bool wait_thread(struct coord *c, struct coord__waiter *w, uint64_t deadline_ns)
{
    bool in_time = true;
    c->waiters++;
    while (!w->done && in_time) {
        if (deadline_ns == UINT64_MAX) {
            (void)pthread_cond_wait(&c->changed, &c->lock); /* cannot fail: the lock is held */
            continue;
        }
        uint64_t now = coord__now();
        struct timespec at;
        (void)clock_gettime(CLOCK_MONOTONIC, &at); /* cannot fail: the clock exists */
        uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
        uint64_t ns = (uint64_t)at.tv_nsec + left;
        at.tv_sec += (time_t)(ns / 1000000000u);
        at.tv_nsec = (long)(ns % 1000000000u);
        (void)pthread_cond_timedwait(&c->changed, &c->lock, &at); /* the time is looked at below */
        in_time = coord__now() < deadline_ns;
    }
    c->waiters--;
    (void)pthread_cond_broadcast(&c->changed); /* for who waits to free the handle; cannot fail */
    if (w->done) {
        coord__handle_leave(c);
    }
    return w->done;
}

/* Return: as coord__wait. */
static bool wait_loop(struct coord *c, struct coord__waiter *w, uint64_t deadline_ns)
{
    for (;;) {
        if (coord__turn(c)) {
            coord__finalize(c);
            coord__free_handle(c, false);
            assert(w->done);
            return true;
        }
        if (w->done) {
            return true;
        }
        uint64_t now = coord__now();
        if (now >= deadline_ns) {
            return false;
        }
        int timeout_ms = -1; /* the descriptor becomes ready at the core's deadlines */
        if (deadline_ns != UINT64_MAX) {
            uint64_t ms = (deadline_ns - now + 999999) / 1000000;
            timeout_ms = ms > 3600000 ? 3600000 : (int)ms;
        }
        struct pollfd p = {.fd = c->epoll_fd, .events = POLLIN};
        (void)poll(&p, 1, timeout_ms); /* interrupted or not, all is looked at anew */
    }
}

bool coord__wait(struct coord *c, struct coord__waiter *w, uint64_t deadline_ns)
{
    return c->threaded ? wait_thread(c, w, deadline_ns) : wait_loop(c, w, deadline_ns);
}

static void signal_waiter(struct coord *c, struct coord__waiter *w)
{
    w->done = true;
    if (c->threaded) {
        (void)pthread_cond_broadcast(&c->changed); /* cannot fail */
    }
}

void coord__waiter_reply(struct coord *c, struct coord__waiter *w, const struct coord__out *out)
{
    w->error = out->error;
    if (w->keep) {
        struct owned_reply *owned = coord__alloc(sizeof(*owned));
        struct coord_reply *reply = owned != NULL ? coord__convert_reply(out, &owned->arena) : NULL;
        if (reply != NULL) {
            owned->reply = *reply;
            w->reply = &owned->reply;
        } else {
            if (owned != NULL) {
                coord__arena_finish(&owned->arena);
            }
            coord__free(owned);
            w->error = w->error != 0 ? w->error : COORD_ENOMEM;
        }
    }
    signal_waiter(c, w);
}

int coord__wait_check(struct coord *c)
{
    int err = coord__wait_enter(c);
    if (err == 0) {
        coord__wait_leave(c);
    }
    return err;
}

void coord__wait_for(struct coord *c, struct coord__waiter *w)
{
    if (coord__handle_enter(c) == 0) {
        (void)coord__wait(c, w, UINT64_MAX); /* there is no other end */
    }
}

void coord__wait_signal(struct coord *c, struct coord__waiter *w, int error)
{
    if (coord__handle_enter(c) == 0) {
        w->error = error;
        signal_waiter(c, w);
        coord__handle_leave(c);
    }
}

void coord_reply_free(struct coord_reply *reply)
{
    if (reply != NULL) {
        struct owned_reply *owned = COORD__ENTRY(reply, struct owned_reply, reply);
        coord__arena_finish(&owned->arena);
        coord__free(owned);
    }
}

void coord__waiter_watch(struct coord *c, coord_watch_id watch, enum coord_watch_event_state state,
                         int error)
{
    for (struct coord__list *at = c->watch_waiters.next; at != &c->watch_waiters;) {
        struct coord__waiter *w = COORD__ENTRY(at, struct coord__waiter, link);
        at = at->next;
        if (w->watch == watch && (state == COORD_WATCH_ENDED || !w->for_end)) {
            w->error = state == COORD_WATCH_ENDED && !w->for_end ? error : 0;
            coord__list_remove(&w->link);
            signal_waiter(c, w);
        }
    }
}

int coord__ask(struct coord *c, const struct coord__submission *s, const struct coord_call *call,
               struct coord_reply **ret_reply)
{
    struct coord__waiter w = {.keep = ret_reply != NULL};
    if (ret_reply != NULL) {
        *ret_reply = NULL;
    }
    int err = coord__wait_enter(c);
    if (err < 0) {
        return err;
    }
    err = coord__submit_locked(c, s, call, NULL, NULL, &w);
    if (err < 0) {
        coord__wait_leave(c);
        return err;
    }
    if (c->threaded) {
        coord__wake(c);
    }
    bool done = coord__wait(c, &w, UINT64_MAX);
    assert(done);
    (void)done;
    if (ret_reply != NULL) {
        *ret_reply = w.reply;
    }
    return w.error;
}

int coord_create_sync(struct coord *c, const char *path, const void *data, size_t data_bytes,
                      const struct coord_call *call, struct coord_reply **ret_reply)
{
    struct coord__submission s;
    int err = coord__make_create(c, path, data, data_bytes, call, &s);
    return err < 0 ? coord__no_reply(err, ret_reply) : coord__ask(c, &s, call, ret_reply);
}

int coord_set_sync(struct coord *c, const char *path, const void *data, size_t data_bytes,
                   const struct coord_call *call, struct coord_reply **ret_reply)
{
    struct coord__submission s;
    int err = coord__make_set(c, path, data, data_bytes, call, &s);
    return err < 0 ? coord__no_reply(err, ret_reply) : coord__ask(c, &s, call, ret_reply);
}

int coord_delete_sync(struct coord *c, const char *path, const struct coord_call *call,
                      struct coord_reply **ret_reply)
{
    struct coord__submission s;
    int err = coord__make_delete(c, path, call, &s);
    return err < 0 ? coord__no_reply(err, ret_reply) : coord__ask(c, &s, call, ret_reply);
}

int coord_increment_sync(struct coord *c, const char *path, int64_t delta,
                         const struct coord_call *call, struct coord_reply **ret_reply)
{
    struct coord__submission s;
    int err = coord__make_increment(c, path, delta, call, &s);
    return err < 0 ? coord__no_reply(err, ret_reply) : coord__ask(c, &s, call, ret_reply);
}

int coord_rename_sync(struct coord *c, const char *path, const char *to,
                      const struct coord_call *call, struct coord_reply **ret_reply)
{
    struct coord__submission s;
    int err = coord__make_rename(c, path, to, call, &s);
    return err < 0 ? coord__no_reply(err, ret_reply) : coord__ask(c, &s, call, ret_reply);
}

int coord_quota_sync(struct coord *c, const char *path, uint64_t nodes, uint64_t bytes,
                     const struct coord_call *call, struct coord_reply **ret_reply)
{
    struct coord__submission s;
    int err = coord__make_quota(c, path, nodes, bytes, &s);
    return err < 0 ? coord__no_reply(err, ret_reply) : coord__ask(c, &s, call, ret_reply);
}

static int read_sync(struct coord *c, enum coord_op op, const char *path,
                     const struct coord_call *call, struct coord_reply **ret_reply)
{
    struct coord__submission s;
    int err = coord__make_read(c, op, path, call, &s);
    return err < 0 ? coord__no_reply(err, ret_reply) : coord__ask(c, &s, call, ret_reply);
}

int coord_get_sync(struct coord *c, const char *path, const struct coord_call *call,
                   struct coord_reply **ret_reply)
{
    return read_sync(c, COORD_OP_GET, path, call, ret_reply);
}

int coord_stat_sync(struct coord *c, const char *path, const struct coord_call *call,
                    struct coord_reply **ret_reply)
{
    return read_sync(c, COORD_OP_STAT, path, call, ret_reply);
}

int coord_list_sync(struct coord *c, const char *path, const struct coord_call *call,
                    struct coord_reply **ret_reply)
{
    return read_sync(c, COORD_OP_LIST, path, call, ret_reply);
}

int coord_usage_sync(struct coord *c, const char *path, const struct coord_call *call,
                     struct coord_reply **ret_reply)
{
    return read_sync(c, COORD_OP_USAGE, path, call, ret_reply);
}

int coord_exists_sync(struct coord *c, const char *path, const struct coord_call *call,
                      bool *ret_exists)
{
    struct coord_reply *reply;
    int err = read_sync(c, COORD_OP_EXISTS, path, call, &reply);
    if (err == 0) {
        *ret_exists = reply->exists;
    }
    coord_reply_free(reply);
    return err;
}

static int plain_sync(struct coord *c, enum coord_op op, const struct coord_call *call,
                      struct coord_reply **ret_reply)
{
    struct coord__submission s;
    coord__make_plain(op, &s);
    return coord__ask(c, &s, call, ret_reply);
}

int coord_sync_sync(struct coord *c, const struct coord_call *call, struct coord_reply **ret_reply)
{
    return plain_sync(c, COORD_OP_SYNC, call, ret_reply);
}

int coord_status_sync(struct coord *c, const struct coord_call *call,
                      struct coord_reply **ret_reply)
{
    return plain_sync(c, COORD_OP_STATUS, call, ret_reply);
}

int coord_session_open_sync(struct coord *c, const struct coord_call *call)
{
    return plain_sync(c, COORD_OP_SESSION_OPEN, call, NULL);
}

int coord_session_close_sync(struct coord *c, const struct coord_call *call)
{
    return plain_sync(c, COORD_OP_SESSION_CLOSE, call, NULL);
}

int coord_partition_sync(struct coord *c, const uint32_t *members, uint32_t count,
                         const struct coord_call *call, struct coord_reply **ret_reply)
{
    struct coord__submission s;
    int err = coord__make_partition(members, count, &s);
    return err < 0 ? coord__no_reply(err, ret_reply) : coord__ask(c, &s, call, ret_reply);
}
