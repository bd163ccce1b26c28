/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.c: see place.h for the states, the invariants and the threads.
 *
 * Why it is safe
 *   - The order of the queue is that of the servers' sequence numbers, so two places never both see
 *     nobody in front of them in a linearizable list.
 *   - The one in front is watched from the revision of the list that showed it, so its end cannot
 *     fall between the two.
 *   - An owner is told that it lost at LAPSED: the lease ends by this machine's clock before the
 *     servers may end the session and with it the node.
 *
 * Leaves to others: nodes left behind (reaper.c), what a lock or a leader is (lock.c, election.c).
 */
#include "client/recipes/place.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "client/core/mem.h"

#define RETRY_MS 200u

static void list_again(struct coord__place *p);

static void lock(struct coord__place *p)
{
    (void)pthread_mutex_lock(&p->mutex); /* cannot fail: never taken twice by a thread */
}

/* Unlock, dropping `drop` references; frees the place with the last. */
static void unlock(struct coord__place *p, uint32_t drop)
{
    assert(p->refs >= drop);
    p->refs -= drop;
    bool last = p->refs == 0;
    (void)pthread_mutex_unlock(&p->mutex); /* cannot fail: held */
    if (last) {
        (void)pthread_mutex_destroy(&p->mutex);
        coord__free(p);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

static void stop_watch(struct coord__place *p)
{
    if (p->watch != 0) {
        coord_watch_id watch = p->watch;
        p->watch = 0;
        int err = coord_unwatch(p->c, watch);
        (void)err; /* ended by itself: then its ENDED drops the reference all the same */
    }
}

static void stop_timer(struct coord__place *p)
{
    if (p->timer != 0) {
        coord_cancel_after(p->c, p->timer);
        p->timer = 0;
    }
}

/* It is over with error, by itself: tell, and get rid of the node. Locked; unlocks meanwhile. */
static void fail(struct coord__place *p, int error)
{
    bool owned = p->state == COORD__OWNER;
    if (p->state == COORD__OVER) {
        return;
    }
    p->state = COORD__OVER;
    stop_watch(p);
    stop_timer(p);
    if (p->path[0] != 0 && error != COORD_ELOST && error != COORD_ECLOSED && !owned) {
        coord__reap(p->c, p->path, p->token, p->session);
        p->path[0] = 0;
    }
    if (p->released) {
        return; /* the release tells */
    }
    p->told = true;
    (void)pthread_mutex_unlock(&p->mutex); /* cannot fail: held */
    if (owned) {
        p->calls->lost(p, error);
    } else {
        p->calls->told(p, error, 0);
    }
    lock(p);
}

/* --- in line ---------------------------------------------------------------------------------- */

static void own(struct coord__place *p)
{
    if (coord_session_id(p->c) != p->session) {
        fail(p, COORD_EEXPIRED);
        return;
    }
    if (coord_lease_remaining_ms(p->c) == 0) {
        p->again = true; /* what the list said may be over: look again when CONNECTED is told */
        return;
    }
    p->state = COORD__OWNER;
    p->told = true;
    p->acquired = true;
    stop_timer(p);
    uint64_t token = p->token;
    (void)pthread_mutex_unlock(&p->mutex); /* cannot fail: held */
    p->calls->told(p, 0, token);
    lock(p);
}

static void retry(struct coord *c, int error, void *arg)
{
    struct coord__place *p = arg;
    (void)c;
    lock(p);
    if (error == 0 && !p->released && p->state != COORD__OVER) {
        list_again(p);
    }
    unlock(p, 1);
}

static void retry_later(struct coord__place *p)
{
    p->refs++;
    if (coord_after(p->c, RETRY_MS, retry, p, NULL) < 0) {
        p->refs--;
        fail(p, COORD_ENOMEM);
    }
}

/* What happens to the node that is watched: the one in front, or the own one of an owner. */
static void seen(struct coord *c, const struct coord_watch_event *event, void *arg)
{
    struct coord__place *p = arg;
    (void)c;
    lock(p);
    bool mine = event->watch == p->watch && !p->released;
    bool changed = event->state == COORD_WATCH_CHANGES || event->state == COORD_WATCH_GAP ||
                   (event->state == COORD_WATCH_ENDED && event->error != COORD_ECLOSED);
    bool waits = p->state == COORD__WAITING || p->state == COORD__OWNER;
    if (mine && event->state == COORD_WATCH_ENDED) {
        p->watch = 0; /* refused: ask again, but not at once */
        if (waits && changed) {
            retry_later(p);
        }
    } else if (mine && waits && changed) {
        stop_watch(p);
        list_again(p);
    }
    unlock(p, event->state == COORD_WATCH_ENDED ? 1 : 0);
}

static void watch_node(struct coord__place *p, const char *path, uint64_t revision)
{
    struct coord_watch_options o = {.kinds = COORD_DELETED, .from_revision = revision};
    p->refs++;
    if (coord_watch(p->c, path, &o, seen, p, &p->watch) < 0) {
        p->refs--;
        p->watch = 0;
        retry_later(p);
    }
}

/* The whole list is read: where do we stand? */
static void decide(struct coord__place *p, uint64_t revision)
{
    if (!p->found) {
        fail(p, COORD_ELOST);
    } else if (p->state == COORD__OWNER) {
        watch_node(p, p->path, revision); /* a gap, and the node is still there */
    } else if (p->front[0] == 0) {
        own(p);
        if (p->state == COORD__OWNER && !p->released) {
            watch_node(p, p->path, revision);
        }
    } else if (p->trying) {
        fail(p, COORD_EAGAIN);
    } else {
        p->state = COORD__WAITING;
        watch_node(p, p->front, revision);
    }
}

static void take_entry(struct coord__place *p, const char *name)
{
    uint64_t sequence;
    if (!coord__recipe_sequence(name, &sequence)) {
        return; /* not made by a place */
    }
    if (sequence == p->sequence && strncmp(name, p->id, COORD__RECIPE_ID_BYTES) == 0) {
        p->found = true;
    } else if (sequence < p->sequence && (p->front[0] == 0 || sequence > p->front_sequence)) {
        bool fits = coord__recipe_join(p->front, p->dir, name);
        assert(fits); /* it is a node of the servers, no longer than the own one's path may be */
        (void)fits;
        p->front_sequence = sequence;
    }
}

static void ask_list(struct coord__place *p);

static void listed(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct coord__place *p = arg;
    (void)c;
    lock(p);
    if (p->released || p->state == COORD__OVER || reply->error == COORD_ECLOSED) {
        unlock(p, 1);
        return;
    }
    if (reply->error != 0 && reply->error != COORD_ENONODE) {
        retry_later(p); /* if the session ends meanwhile, the listener is told */
        unlock(p, 1);
        return;
    }
    for (size_t i = 0; i < reply->entries_count; i++) {
        take_entry(p, reply->entries[i].name);
    }
    if (reply->more && reply->entries_count > 0) {
        (void)snprintf(p->after, sizeof(p->after), "%s",
                       reply->entries[reply->entries_count - 1].name);
        ask_list(p);
    } else {
        decide(p, reply->receipt.revision);
    }
    unlock(p, 1);
}

static void ask_list(struct coord__place *p)
{
    struct coord_call call = {.consistency = COORD_LINEARIZABLE,
                              .after = p->after[0] != 0 ? p->after : NULL};
    p->refs++;
    if (coord_list(p->c, p->dir, &call, listed, p) < 0) {
        p->refs--;
        retry_later(p);
    }
}

static void list_again(struct coord__place *p)
{
    if (p->state != COORD__OWNER) {
        p->state = COORD__LISTING;
    }
    p->again = false;
    p->found = false;
    p->front[0] = 0;
    p->front_sequence = 0;
    p->after[0] = 0;
    ask_list(p);
}

/* --- the session ------------------------------------------------------------------------------ */

static void session_state(struct coord *c, enum coord_state state, void *arg)
{
    struct coord__place *p = arg;
    (void)c;
    lock(p);
    switch (state) {
    case COORD_EXPIRED:
        if (p->state != COORD__CREATING) {
            fail(p, COORD_EEXPIRED);
        }
        break;
    case COORD_LAPSED:
        if (p->state == COORD__OWNER) {
            fail(p, COORD_EEXPIRED);
        }
        break;
    case COORD_CONNECTED:
        if (p->again && p->state == COORD__LISTING && !p->released) {
            list_again(p);
        }
        break;
    case COORD_CLOSED:
        fail(p, COORD_ECLOSED);
        p->listener = 0;
        /* The listener's reference, and that of a user who cannot release any more. */
        unlock(p, p->finishing ? 1 : 2);
        return;
    default:
        break;
    }
    unlock(p, 0);
}

/* --- entering --------------------------------------------------------------------------------- */

static void finish_release(struct coord__place *p, int error);

static void created(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct coord__place *p = arg;
    lock(p);
    if (reply->error == 0) {
        (void)snprintf(p->path, sizeof(p->path), "%s", reply->path);
        p->sequence = reply->sequence;
        p->token = reply->stat.create_revision;
        p->session = reply->stat.owner;
    } else if (reply->outcome == COORD_OUTCOME_UNKNOWN && reply->error != COORD_EEXPIRED &&
               reply->error != COORD_ECLOSED) {
        coord__reap_unknown(c, p->dir, p->id, p->request);
    }
    bool over = p->state == COORD__OVER; /* its time was over before the answer came */
    if ((p->released || over) && p->path[0] != 0) {
        coord__reap(c, p->path, p->token, p->session);
        p->path[0] = 0;
    }
    if (p->released) {
        if (!over) {
            finish_release(p, reply->error == COORD_ECLOSED ? COORD_ECLOSED : 0);
        }
    } else if (!over && reply->error != 0) {
        fail(p, reply->error);
    } else if (!over) {
        list_again(p);
    }
    unlock(p, 1);
}

static void time_over(struct coord *c, int error, void *arg)
{
    struct coord__place *p = arg;
    (void)c;
    lock(p);
    p->timer = 0;
    if (error == 0 && p->state != COORD__OWNER && !p->released) {
        fail(p, COORD_ETIMEOUT);
    }
    unlock(p, 1);
}

/* The timer, the listener and the create: each with its reference. Locked. */
static int begin(struct coord__place *p, const struct coord__place_request *q)
{
    char stem[COORD_PATH_MAX + 1];
    if (!coord__recipe_join(stem, p->dir, p->id)) {
        return COORD_EBADPATH;
    }
    int err = coord_listen(p->c, session_state, p, &p->listener);
    if (err < 0) {
        return err;
    }
    p->refs++;
    if (q->wait_ms != COORD_WAIT_FOREVER && q->wait_ms != COORD_TRY) {
        err = coord_after(p->c, q->wait_ms, time_over, p, &p->timer);
        if (err < 0) {
            return err;
        }
        p->refs++;
    }
    struct coord_call call = {.flags = COORD_EPHEMERAL | COORD_SEQUENTIAL | COORD_PARENTS,
                              .ret_request = &p->request};
    err = coord_create(p->c, stem, q->data, q->data_bytes, &call, created, p);
    if (err == 0) {
        p->refs++;
    }
    return err;
}

int coord__place_enter(struct coord *c, const struct coord__place_request *q,
                       struct coord__place *p)
{
    int err = c == NULL ? COORD_EINVAL : coord__recipe_dir(q->base, q->name, p->dir);
    if (err == 0 && pthread_mutex_init(&p->mutex, NULL) != 0) {
        err = COORD_ENOMEM;
    }
    if (err < 0) {
        coord__free(p);
        return err;
    }
    coord__recipe_id(p->id);
    p->c = c;
    p->refs = 1;
    p->state = COORD__CREATING;
    p->trying = q->wait_ms == COORD_TRY;
    lock(p);
    err = begin(p, q);
    if (err == 0) {
        unlock(p, 0);
        return 0;
    }
    coord_listener_id listener = p->listener;
    p->listener = 0;
    p->state = COORD__OVER;
    p->released = true; /* nothing is told */
    stop_timer(p);
    unlock(p, 0);
    if (listener != 0) {
        coord_unlisten(c, listener); /* it may be under way, and want the mutex */
    }
    lock(p);
    unlock(p, listener != 0 ? 2 : 1);
    return err;
}

/* --- release ---------------------------------------------------------------------------------- */

/* The last of a place, on the handle's thread: tell, and drop the listener's and the user's
 * references. Locked; unlocks meanwhile. */
static void finish_release(struct coord__place *p, int error)
{
    bool tell = !p->told;
    coord_release_cb cb = p->release_cb;
    p->told = true;
    p->state = COORD__OVER;
    stop_watch(p);
    stop_timer(p);
    if (p->listener != 0) {
        coord_unlisten(p->c, p->listener);
        p->listener = 0;
        p->refs--;
    }
    (void)pthread_mutex_unlock(&p->mutex); /* cannot fail: held */
    if (tell) {
        p->calls->told(p, error == COORD_ECLOSED ? COORD_ECLOSED : COORD_ECANCELED, 0);
    }
    if (cb != NULL) {
        cb(p->c, error, p->release_arg);
    }
    lock(p);
    assert(p->refs > 1);
    p->refs--; /* the user's; the caller of this holds another */
}

static void deleted(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct coord__place *p = arg;
    int error = reply->error;
    lock(p);
    if (error == COORD_ENONODE || error == COORD_EEXPIRED || error == COORD_ECONDITION) {
        error = 0; /* it is not there: that is what was asked for */
    } else if (error != 0 && error != COORD_ECLOSED) {
        coord__reap(c, p->path, p->token, p->session);
    }
    finish_release(p, error);
    unlock(p, 1);
}

static void nothing_to_delete(struct coord *c, int error, void *arg)
{
    struct coord__place *p = arg;
    (void)c;
    lock(p);
    finish_release(p, error);
    unlock(p, 1);
}

int coord__place_release(struct coord__place *p, coord_release_cb cb, void *arg)
{
    lock(p);
    int err = 0;
    bool creating = p->state == COORD__CREATING;
    assert(!p->released);
    p->released = true;
    p->release_cb = cb;
    p->release_arg = arg;
    stop_watch(p);
    stop_timer(p);
    p->finishing = true; /* by created(), or by what follows */
    if (!creating) {
        p->state = COORD__OVER;
        p->refs++;
        struct coord_call call = {.conditions = COORD_IF_CREATED, .created = p->token};
        err = p->path[0] != 0 ? coord_delete(p->c, p->path, &call, deleted, p) : COORD_EAGAIN;
        if (err < 0) {
            err = coord_after(p->c, 0, nothing_to_delete, p, NULL);
            if (err == 0 && p->path[0] != 0) {
                coord__reap(p->c, p->path, p->token, p->session);
            }
        }
        if (err < 0) {
            p->refs--; /* forked, closing, or no memory: COORD_CLOSED frees it */
            p->finishing = false;
        }
    }
    unlock(p, 0);
    return err;
}

/* --- questions -------------------------------------------------------------------------------- */

/* The mutex is no part of what const promises. */
static struct coord__place *mutable(const struct coord__place *p)
{
    return (struct coord__place *)p;
}

uint64_t coord__place_token(const struct coord__place *p)
{
    lock(mutable(p));
    uint64_t token = p->acquired ? p->token : 0;
    unlock(mutable(p), 0);
    return token;
}

uint64_t coord__place_remaining_ms(const struct coord__place *p)
{
    lock(mutable(p));
    uint64_t ms = 0;
    if (p->state == COORD__OWNER && coord_session_id(p->c) == p->session) {
        ms = coord_lease_remaining_ms(p->c);
    }
    unlock(mutable(p), 0);
    return ms;
}

bool coord__place_held(const struct coord__place *p)
{
    return coord__place_remaining_ms(p) > 0;
}

int coord__place_path(const struct coord__place *p, char *path, size_t bytes)
{
    lock(mutable(p));
    int n = snprintf(path, bytes, "%s", p->path);
    unlock(mutable(p), 0);
    return n < 0 || (size_t)n >= bytes ? COORD_ETOOBIG : 0;
}

int coord__place_guard(const struct coord__place *p, struct coord_txn *t)
{
    if (!coord__place_held(p)) {
        return COORD_ELOST;
    }
    /* dir does not change, nor does the token once it was acquired. */
    return coord_txn_if_held(t, p->dir, coord__place_token(p));
}
