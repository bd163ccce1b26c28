/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe.c: following an election: a watch on its directory, and after each change a look at who
 * is first. Changes that come while one look is under way are answered by one more look.
 *
 * Leaves to others: reading the queue (list.c).
 * Thread: the handle's for callbacks; the mutex guards against coord_observer_stop from another.
 *
 * Invariants
 *   1. The last state of the election is told: a look begins after each event.
 *   2. refs counts the watch, a look, a timer, and the user.
 */
#include "client/recipes/list.h"

#include <assert.h>
#include <string.h>
#include "client/core/mem.h"

#define RETRY_MS 200u

struct coord_observer {
    struct coord *c;
    coord_observe_cb cb;
    void *arg;
    pthread_mutex_t mutex;
    uint32_t refs;
    char dir[COORD_PATH_MAX + 1];
    coord_watch_id watch;
    bool stopped; /* nothing is told any more */
    bool looking;
    bool again;     /* something changed during the look */
    bool told;      /* something was told, and this: */
    uint64_t token; /* 0: nobody leads */
    uint32_t value_bytes;
    uint64_t value_hash;
};

static void lock(struct coord_observer *o)
{
    (void)pthread_mutex_lock(&o->mutex); /* cannot fail: never taken twice by a thread */
}

static void unlock(struct coord_observer *o, uint32_t drop)
{
    assert(o->refs >= drop);
    o->refs -= drop;
    bool last = o->refs == 0;
    (void)pthread_mutex_unlock(&o->mutex); /* cannot fail: held */
    if (last) {
        (void)pthread_mutex_destroy(&o->mutex);
        coord__free(o);
    }
}

/* FNV-1a: only to see whether a value is another than the last one told. */
static uint64_t hash(const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t h = data != NULL ? 14695981039346656037ull : 1;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ at[i]) * 1099511628211ull;
    }
    return h;
}

static void look(struct coord_observer *o);

/* Tell the leader if it is news. Locked; unlocks meanwhile. */
static void tell(struct coord_observer *o, const struct coord_queue_entry *leader)
{
    uint64_t token = leader != NULL ? leader->token : 0;
    uint32_t bytes = leader != NULL ? (uint32_t)leader->label_bytes : 0;
    uint64_t value = leader != NULL ? hash(leader->label, leader->label_bytes) : 0;
    if (o->told && token == o->token && bytes == o->value_bytes && value == o->value_hash) {
        return;
    }
    o->told = true;
    o->token = token;
    o->value_bytes = bytes;
    o->value_hash = value;
    (void)pthread_mutex_unlock(&o->mutex); /* cannot fail: held */
    o->cb(o->c, 0, leader, o->arg);
    lock(o);
}

static void retry(struct coord *c, int error, void *arg)
{
    struct coord_observer *o = arg;
    (void)c;
    lock(o);
    if (error == 0 && !o->stopped && !o->looking) {
        look(o);
    }
    unlock(o, 1);
}

static void retry_later(struct coord_observer *o)
{
    o->refs++;
    if (coord_after(o->c, RETRY_MS, retry, o, NULL) < 0) {
        o->refs--; /* the next event looks again */
    }
}

static void looked(struct coord *c, int error, const struct coord_queue *queue, void *arg)
{
    struct coord_observer *o = arg;
    (void)c;
    lock(o);
    o->looking = false;
    if (!o->stopped && error == 0) {
        tell(o, queue->count > 0 ? &queue->entries[0] : NULL);
    } else if (!o->stopped && error != COORD_ECLOSED) {
        retry_later(o);
    }
    if (o->again && !o->stopped && !o->looking) {
        look(o);
    }
    unlock(o, 1);
}

static void look(struct coord_observer *o)
{
    /* The reply that told of the change is older than this read: level SESSION shows it. */
    struct coord_call call = {.consistency = COORD_SESSION};
    o->again = false;
    o->looking = true;
    o->refs++;
    if (coord__queue_read(o->c, o->dir, &call, looked, o) < 0) {
        o->looking = false;
        o->refs--;
        retry_later(o);
    }
}

static void seen(struct coord *c, const struct coord_watch_event *event, void *arg)
{
    struct coord_observer *o = arg;
    bool ended = event->state == COORD_WATCH_ENDED;
    lock(o);
    if (!o->stopped && !ended && event->state != COORD_WATCH_PROGRESS) {
        if (o->looking) {
            o->again = true;
        } else {
            look(o);
        }
    }
    bool tell_end = ended && !o->stopped;
    if (tell_end) {
        o->stopped = true;
        (void)pthread_mutex_unlock(&o->mutex); /* cannot fail: held */
        o->cb(c, event->error, NULL, o->arg);
        lock(o);
    }
    unlock(o, tell_end ? 2 : ended ? 1 : 0); /* after an error the user's is dropped too */
}

int coord_election_observe(struct coord *c, const char *name, coord_observe_cb cb, void *arg,
                           struct coord_observer **ret_observer)
{
    struct coord_watch_options watch = {.depth = COORD_WATCH_CHILDREN};
    if (c == NULL || cb == NULL || ret_observer == NULL) {
        return COORD_EINVAL;
    }
    struct coord_observer *o = coord__alloc(sizeof(*o));
    if (o == NULL) {
        return COORD_ENOMEM;
    }
    int err = coord__recipe_dir("/elections/", name, o->dir);
    if (err == 0 && pthread_mutex_init(&o->mutex, NULL) != 0) {
        err = COORD_ENOMEM;
    }
    if (err < 0) {
        coord__free(o);
        return err;
    }
    o->c = c;
    o->cb = cb;
    o->arg = arg;
    o->refs = 2;
    *ret_observer = o; /* before the first callback can come */
    lock(o);
    err = coord_watch(c, o->dir, &watch, seen, o, &o->watch);
    if (err < 0) {
        *ret_observer = NULL;
    }
    unlock(o, err < 0 ? 2 : 0);
    return err;
}

void coord_observer_stop(struct coord_observer *o)
{
    if (o == NULL) {
        return;
    }
    lock(o);
    o->stopped = true;
    int err = coord_unwatch(o->c, o->watch);
    (void)err; /* ended by itself: its ENDED comes or came all the same */
    unlock(o, 1);
}
