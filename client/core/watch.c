/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c: watches: asking for them on each link anew from the last revision told, and telling each
 * change once.
 *
 *   asked ------> registered ------> ended
 *     ^  \            |
 *     |   v           v
 *     +-- idle <------+     the link ended, or the server cannot serve it yet (retry_at)
 *
 *   A server replays what a watch missed before it answers the request for it, so events may come
 *   while a watch is still `asked`.
 *
 * Leaves to others: what changes hold (client/core/convert.c).
 * Thread: none; one at a time. Invariant 7 of core.h is kept here: w->revision only grows, and
 * events at or below it are dropped.
 */
#include "client/core/core_int.h"

#include <assert.h>
#include <string.h>
#include "client/core/mem.h"

struct coord__watch *coord__watch_create(const struct coord_request *q)
{
    struct coord__watch *w = coord__alloc(sizeof(*w) + q->path.len + 1);
    if (w == NULL) {
        return NULL;
    }
    coord__list_init(&w->link);
    coord__list_init(&w->bucket);
    coord__list_init(&w->told);
    w->q = *q;
    w->q.op = COORD_OP_WATCH;
    memcpy(w->storage, q->path.data, q->path.len);
    w->q.path.data = w->storage;
    return w;
}

void coord__watch_free(struct coord__watch *w)
{
    if (w != NULL) {
        assert(coord__list_empty(&w->link) && coord__list_empty(&w->told));
        coord__free(w);
    }
}

static struct coord__watch *find(struct coord__core *k, uint64_t id)
{
    struct coord__list *head = &k->watch_buckets[id % COORD__WATCH_BUCKETS];
    for (struct coord__list *at = head->next; at != head; at = at->next) {
        struct coord__watch *w = COORD__ENTRY(at, struct coord__watch, bucket);
        if (w->id == id) {
            return w;
        }
    }
    return NULL;
}

static void tell(struct coord__core *k, struct coord__watch *w)
{
    if (coord__list_empty(&w->told)) {
        coord__list_append(&k->watch_out, &w->told);
    }
}

static void end(struct coord__core *k, struct coord__watch *w, int error)
{
    assert(!w->ended && k->watches_count > 0);
    k->watches_count--;
    coord__list_remove(&w->link);
    coord__list_remove(&w->bucket);
    w->ended = true;
    w->error = error;
    tell(k, w);
}

static void retry(struct coord__core *k, struct coord__watch *w)
{
    w->asked = false;
    w->retry_at = k->now + COORD__WATCH_RETRY_NS;
    k->watch_retry = w->retry_at < k->watch_retry ? w->retry_at : k->watch_retry;
}

/* Ask the link's server for w, from where it stands. */
static void ask(struct coord__core *k, struct coord__watch *w)
{
    struct coord_request q = w->q;
    assert(!w->asked && !w->registered && !w->ended);
    q.revision = w->ready ? w->revision : w->q.revision;
    w->retry_at = 0;
    w->gap = 0;
    if (coord__send_own(k, COORD__WATCH, &q) == 0) {
        w->asked = true;
    } else {
        retry(k, w);
    }
}

int coord__core_watch(struct coord__core *k, struct coord__watch *w, uint64_t now)
{
    if (k->closed) {
        return COORD_ECLOSED;
    }
    bool told = k->link.state == COORD__LINK_READY && k->limits.watches > 0;
    if (k->watches_count >= COORD_WATCHES_MAX || (told && k->watches_count >= k->limits.watches)) {
        return COORD_ELIMIT;
    }
    w->id = k->last_watch + 1;
    w->q.watch = w->id;
    struct coord__request *r = coord__request_create(COORD__WATCH, &w->q);
    if (r == NULL) {
        w->id = 0;
        return COORD_ENOMEM;
    }
    coord__clock(k, now);
    k->last_watch = w->id;
    coord__list_append(&k->watches, &w->link);
    coord__list_append(&k->watch_buckets[w->id % COORD__WATCH_BUCKETS], &w->bucket);
    k->watches_count++;
    /* Behind the requests made before it, so that it does not tell their changes. */
    w->asked = true;
    coord__list_append(&k->waiting, &r->link);
    coord__link_tick(k);
    coord__pump(k);
    return 0;
}

int coord__core_unwatch(struct coord__core *k, uint64_t id, uint64_t now)
{
    struct coord__watch *w = k->closed ? NULL : find(k, id);
    if (w == NULL) {
        return k->closed ? COORD_ECLOSED : COORD_ENONODE;
    }
    coord__clock(k, now);
    for (struct coord__list *at = k->waiting.next; at != &k->waiting;) {
        struct coord__request *r = COORD__ENTRY(at, struct coord__request, link);
        at = at->next;
        if (r->role == COORD__WATCH && r->q.watch == id) {
            coord__drop(k, r);
        }
    }
    if (k->link.state == COORD__LINK_READY && (w->asked || w->registered)) {
        struct coord_request q = {.op = COORD_OP_UNWATCH, .watch = id};
        (void)coord__send_own(k, COORD__UNWATCH, &q); /* else its events are ignored */
    }
    end(k, w, COORD_ECANCELED);
    return 0;
}

void coord__watches_lost(struct coord__core *k)
{
    for (struct coord__list *at = k->watches.next; at != &k->watches; at = at->next) {
        struct coord__watch *w = COORD__ENTRY(at, struct coord__watch, link);
        w->registered = false;
        w->asked = false;
        w->retry_at = 0;
    }
    /* Requests not sent yet still are to be: their watches keep their place. */
    for (struct coord__list *at = k->waiting.next; at != &k->waiting; at = at->next) {
        struct coord__request *r = COORD__ENTRY(at, struct coord__request, link);
        struct coord__watch *w = r->role == COORD__WATCH ? find(k, r->q.watch) : NULL;
        if (w != NULL) {
            w->asked = true;
        }
    }
    k->watch_retry = UINT64_MAX;
}

void coord__watches_ask(struct coord__core *k)
{
    for (struct coord__list *at = k->watches.next; at != &k->watches; at = at->next) {
        struct coord__watch *w = COORD__ENTRY(at, struct coord__watch, link);
        if (!w->asked && !w->registered && k->link.state == COORD__LINK_READY) {
            ask(k, w);
        }
    }
}

void coord__watch_unsent(struct coord__core *k, uint64_t id)
{
    struct coord__watch *w = find(k, id);
    if (w != NULL) {
        retry(k, w);
    }
}

static bool is_passing(int error)
{
    return error == COORD_ETOOSTALE || error == COORD_ENOQUORUM || error == COORD_EBUSY ||
           error == COORD_ESHUTDOWN || error == COORD_EMOVED;
}

void coord__watch_answered(struct coord__core *k, const struct coord__request *r,
                           const struct coord_result *res)
{
    struct coord__watch *w = find(k, r->q.watch);
    if (w == NULL || !w->asked) {
        return;
    }
    w->asked = false;
    if (is_passing(res->error)) {
        retry(k, w);
        return;
    }
    if (res->error != 0) {
        end(k, w, res->error);
        return;
    }
    w->registered = true;
    w->revision = res->revision > w->revision ? res->revision : w->revision;
    if (!w->ready) {
        w->ready = true;
        w->tell_ready = true;
        tell(k, w);
    }
    if (res->gap && w->gap != res->revision) { /* else an event in front of the answer told it */
        w->tell_gap = true;
        tell(k, w);
    }
}

static void give(struct coord__watch *w, enum coord_watch_event_state event, uint64_t revision,
                 struct coord__out *out)
{
    out->kind = COORD__OUT_WATCH;
    out->watch = w;
    out->event = event;
    out->revision = revision;
}

bool coord__watch_next(struct coord__core *k, struct coord__out *ret_out)
{
    if (coord__list_empty(&k->watch_out)) {
        return false;
    }
    struct coord__watch *w = COORD__ENTRY(k->watch_out.next, struct coord__watch, told);
    if (w->tell_ready && !(w->ended && w->error == COORD_ECANCELED)) {
        w->tell_ready = false;
        give(w, COORD_WATCH_READY, w->revision, ret_out);
    } else if (w->tell_gap && !w->ended) {
        w->tell_gap = false;
        give(w, COORD_WATCH_GAP, w->revision, ret_out);
    } else {
        assert(w->ended);
        coord__list_remove(&w->told);
        give(w, COORD_WATCH_ENDED, w->revision, ret_out);
        ret_out->error = w->error;
        return true;
    }
    if (!w->tell_ready && !w->tell_gap && !w->ended) {
        coord__list_remove(&w->told);
    }
    return true;
}

int coord__watch_event(struct coord__core *k, const struct coord_event *ev,
                       struct coord__out *ret_out)
{
    struct coord__watch *w = find(k, ev->watch);
    if (w == NULL || !(w->asked || w->registered)) {
        return 0; /* ended while the event was on its way */
    }
    k->seen = ev->revision > k->seen ? ev->revision : k->seen;
    if (!w->ready) {
        w->ready = true;
        w->revision = w->q.revision > 0 || ev->revision == 0 ? w->q.revision : ev->revision - 1;
        give(w, COORD_WATCH_READY, w->revision, ret_out);
        return 2;
    }
    if (ev->state == COORD_EVENT_GAP) {
        w->revision = ev->revision > w->revision ? ev->revision : w->revision;
        w->gap = ev->revision;
        give(w, COORD_WATCH_GAP, w->revision, ret_out);
        return 1;
    }
    if (ev->revision <= w->revision) {
        return 0;
    }
    w->revision = ev->revision;
    if (ev->state == COORD_EVENT_PROGRESS) {
        give(w, COORD_WATCH_PROGRESS, w->revision, ret_out);
        return w->progress ? 1 : 0;
    }
    give(w, COORD_WATCH_CHANGES, w->revision, ret_out);
    ret_out->changes = ev->changes_raw;
    ret_out->changes_count = ev->changes_count;
    if ((w->q.flags & COORD_WATCH_ONCE) != 0) {
        end(k, w, 0);
    }
    return 1;
}

void coord__watches_tick(struct coord__core *k)
{
    if (k->now < k->watch_retry || k->link.state != COORD__LINK_READY) {
        return;
    }
    k->watch_retry = UINT64_MAX;
    for (struct coord__list *at = k->watches.next; at != &k->watches; at = at->next) {
        struct coord__watch *w = COORD__ENTRY(at, struct coord__watch, link);
        if (w->retry_at != 0 && w->retry_at <= k->now) {
            ask(k, w);
        } else if (w->retry_at != 0 && w->retry_at < k->watch_retry) {
            k->watch_retry = w->retry_at;
        }
    }
}

void coord__watches_close(struct coord__core *k)
{
    while (!coord__list_empty(&k->watches)) {
        end(k, COORD__ENTRY(k->watches.next, struct coord__watch, link), COORD_ECLOSED);
    }
}
