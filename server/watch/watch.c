/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c: publishes changes to watches.
 *
 * A revision is published in two passes. The first asks the registry whom each change concerns and chains
 * the changes of each group; the second encodes one event frame a group and hands it to every watch of
 * it: watches with equal numbers share the very buffer, for others only the number in the head is
 * replaced. So a change costs a few probes, and a thousand watchers of it one encoding.
 *
 * A connection that leaves too much unread (its sink says so) is handed nothing any more; each of its
 * watches that misses a change by that is told one GAP when it has caught up.
 *
 * Memory running out here stops the process: an event that is left out in silence is worse.
 */
#include "server/watch/watch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/mutant.h"
#include "server/watch/frame.h"
#include "server/watch/history.h"
#include "server/watch/registry.h"

#define HISTORY_EVENTS 65536u
#define HISTORY_BYTES  (64ull * 1024 * 1024)
#define PER_CONNECTION 10000u
#define FRAME_BYTES    (4u * 1024u * 1024u)

/* A change that a group wants. */
struct match {
    uint32_t change;
    uint32_t next; /* of the same group, or NO_MATCH */
};

struct watch_hub {
    struct watch_limits limits;
    watch_sink sink;
    void *arg;
    struct registry registry;
    struct history history;

    /* Scratch of the revision being published. */
    struct match *matches;
    uint32_t matches_count;
    uint32_t matches_cap;
    struct group **touched;
    uint32_t touched_count;
    uint32_t touched_cap;
    struct coord_change *selected;
    uint32_t selected_cap;
};

void watch_limits_init(struct watch_limits *l)
{
    *l = (struct watch_limits){
        .history_events = HISTORY_EVENTS,
        .history_bytes = HISTORY_BYTES,
        .per_connection = PER_CONNECTION,
        .frame_bytes = FRAME_BYTES,
    };
}

struct watch_hub *watch_hub_create(const struct watch_limits *l, watch_sink sink, void *arg)
{
    struct watch_hub *h = calloc(1, sizeof(*h));
    if (h == NULL) {
        return NULL;
    }
    h->limits = *l;
    h->sink = sink;
    h->arg = arg;
    registry_init(&h->registry);
    history_init(&h->history, l->history_events, l->history_bytes);
    return h;
}

void watch_hub_destroy(struct watch_hub *h)
{
    if (h == NULL) {
        return;
    }
    registry_finish(&h->registry);
    history_finish(&h->history);
    free(h->matches);
    free(h->touched);
    free(h->selected);
    free(h);
}

void watch_frame_limit(struct watch_hub *h, uint32_t bytes)
{
    h->limits.frame_bytes = bytes;
}

uint64_t watch_count(const struct watch_hub *h)
{
    return h->registry.count;
}

/* Room for one more of item_bytes each. Stops the process when memory is out. */
static void *room(void *items, uint32_t count, uint32_t *cap, size_t item_bytes)
{
    if (count < *cap) {
        return items;
    }
    *cap = *cap == 0 ? 16 : *cap * 2;
    items = realloc(items, *cap * item_bytes);
    assert(items != NULL);
    return items;
}

/* --- telling ----------------------------------------------------------------------------------- */

/* Hand a frame to a watch. A one-shot watch is gone after one with changes: a gap tells of none, and the
 * client waits on. Return: whether it is gone. */
static bool tell(struct watch_hub *h, struct watch *w, struct frame *f)
{
    if (!w->owner->behind) {
        struct coord_buf *frame = frame_for(f, w->number);
        assert(frame != NULL);
        w->owner->behind = !h->sink(h->arg, w->conn, frame);
        coord_buf_unref(frame);
    }
    if (w->owner->behind) {
        w->lost = w->lost || f->event.state != COORD_EVENT_PROGRESS;
        return false;
    }
    w->told = f->event.revision;
    if (f->event.state == COORD_EVENT_PROGRESS) {
        w->heard = false;
        return false;
    }
    w->heard = true;
    if (!w->once || f->event.state != COORD_EVENT_CHANGES) {
        return false;
    }
    registry_remove(&h->registry, w);
    return true;
}

/* Add a change to those selected, as far as the flags of a group ask. */
static uint32_t select_change(struct watch_hub *h, uint32_t count, const struct coord_change *c,
                              uint32_t flags)
{
    h->selected = room(h->selected, count, &h->selected_cap, sizeof(h->selected[0]));
    struct coord_change *to = &h->selected[count];
    *to = *c;
    to->has_value = c->has_value && (flags & COORD_WATCH_VALUE) != 0;
    to->has_previous = c->has_previous && (flags & COORD_WATCH_PREVIOUS) != 0;
    return count + 1;
}

/* The frame of the selected changes, or that of a gap where they would be too long for one. */
static void frame_of_selected(struct watch_hub *h, uint64_t revision, uint32_t count,
                              struct frame *ret_f)
{
    struct coord_event ev = {
        .revision = revision,
        .state = COORD_EVENT_CHANGES,
        .changes_count = count,
        .changes = h->selected,
    };
    frame_init(ret_f, &ev, h->limits.frame_bytes);
}

/* --- publishing -------------------------------------------------------------------------------- */

static void group_match(struct watch_hub *h, struct group *g, uint32_t change)
{
    h->matches = room(h->matches, h->matches_count, &h->matches_cap, sizeof(h->matches[0]));
    uint32_t at = h->matches_count++;
    h->matches[at] = (struct match){change, NO_MATCH};
    if (g->match_first == NO_MATCH) {
        g->match_first = at;
        h->touched = room(h->touched, h->touched_count, &h->touched_cap, sizeof(h->touched[0]));
        h->touched[h->touched_count++] = g;
    } else {
        h->matches[g->match_last].next = at;
    }
    g->match_last = at;
    g->match_count++;
}

/* Find the groups of the target at path that reach as deep as the change is below it. */
static void target_match(struct watch_hub *h, const uint8_t *path, uint32_t path_bytes,
                         enum coord_depth depth, enum coord_change_kind kind, uint32_t change)
{
    const struct target *t = registry_target(&h->registry, path, path_bytes);
    if (t == NULL) {
        return;
    }
    for (struct group *g = t->groups; g != NULL; g = g->next) {
        if (g->depth >= depth && (g->kinds & (uint32_t)kind) != 0) {
            group_match(h, g, change);
        }
    }
}

static void change_match(struct watch_hub *h, const struct coord_change *c, uint32_t change)
{
    const struct registry *r = &h->registry;
    const uint8_t *path = c->path.data;
    target_match(h, path, c->path.len, COORD_DEPTH_NODE, c->kind, change);
    if (r->by_depth[COORD_DEPTH_CHILDREN] + r->by_depth[COORD_DEPTH_SUBTREE] == 0) {
        return;
    }
    enum coord_depth depth = COORD_DEPTH_CHILDREN;
    size_t len = coord_path_parent_len((const char *)path, c->path.len);
    /* "/" does not have the service's own nodes below it. */
    size_t least = coord_path_reserved((const char *)path, c->path.len) ? 2 : 1;
    while (len >= least) {
        target_match(h, path, (uint32_t)len, depth, c->kind, change);
        if (r->by_depth[COORD_DEPTH_SUBTREE] == 0) {
            return;
        }
        depth = COORD_DEPTH_SUBTREE;
        len = coord_path_parent_len((const char *)path, len);
    }
}

static void group_tell(struct watch_hub *h, struct group *g, uint64_t revision,
                       const struct coord_change *changes)
{
    uint32_t count = 0;
    for (uint32_t at = g->match_first; at != NO_MATCH; at = h->matches[at].next) {
        count = select_change(h, count, &changes[h->matches[at].change], g->flags);
    }
    assert(count == g->match_count);
    count -= SERVER_BUG(29) && count > 1;
    g->match_first = NO_MATCH;
    g->match_count = 0;
    struct frame f;
    frame_of_selected(h, revision, count, &f);
    struct watch *next;
    for (struct watch *w = g->first; w != NULL; w = next) {
        next = w->group_next;
        (void)tell(h, w, &f); /* gone or not, the next one is known */
    }
    frame_finish(&f);
}

void watch_publish(struct watch_hub *h, uint64_t revision, const struct coord_change *changes,
                   uint32_t count)
{
    if (count == 0) {
        return;
    }
    if (h->registry.count > 0) {
        h->matches_count = 0;
        h->touched_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            change_match(h, &changes[i], i);
        }
        for (uint32_t i = 0; i < h->touched_count; i++) {
            group_tell(h, h->touched[i], revision, changes);
        }
    }
    history_add(&h->history, revision, changes, count);
}

static void tell_all(struct watch_hub *h, uint64_t revision, enum coord_watch_state state)
{
    struct coord_event ev = {.revision = revision, .state = state};
    struct frame f;
    frame_init(&f, &ev, h->limits.frame_bytes);
    struct watch *next;
    for (struct watch *w = h->registry.first; w != NULL; w = next) {
        next = w->all_next;
        if (state == COORD_EVENT_PROGRESS && (w->heard || w->told >= revision)) {
            w->heard = false;
            continue;
        }
        (void)tell(h, w, &f); /* neither state ends a watch */
    }
    frame_finish(&f);
}

void watch_progress(struct watch_hub *h, uint64_t revision)
{
    tell_all(h, revision, COORD_EVENT_PROGRESS);
}

void watch_catch_up(struct watch_hub *h, uint64_t conn, uint64_t revision)
{
    struct watch_conn *c = registry_conn(&h->registry, conn);
    if (c == NULL || !c->behind) {
        return;
    }
    struct coord_event ev = {.revision = revision, .state = COORD_EVENT_GAP};
    struct frame f;
    frame_init(&f, &ev, h->limits.frame_bytes);
    c->behind = false;
    for (struct watch *w = c->first; w != NULL && !c->behind; w = w->conn_next) {
        if (w->lost) {
            w->lost = false;
            (void)tell(h, w, &f); /* a gap ends no watch; it may be lost again */
        }
    }
    frame_finish(&f);
}

void watch_reset(struct watch_hub *h, uint64_t revision)
{
    history_reset(&h->history, revision);
    if (!SERVER_BUG(25)) {
        tell_all(h, revision, COORD_EVENT_GAP);
    }
}

/* --- registering ------------------------------------------------------------------------------- */

/* Send w what history has above `from`, a frame for each revision. */
static void replay(struct watch_hub *h, struct watch *w, uint64_t from)
{
    const struct group *g = w->group;
    uint32_t at = history_seek(&h->history, from - SERVER_BUG(6));
    while (at + SERVER_BUG(5) < h->history.count) {
        struct coord_change c;
        uint64_t revision = history_at(&h->history, at, &c);
        uint32_t count = 0;
        for (; at < h->history.count && history_at(&h->history, at, &c) == revision; at++) {
            if (group_wants(g, c.kind, c.path)) {
                count = select_change(h, count, &c, g->flags);
            }
        }
        if (count > 0) {
            struct frame f;
            frame_of_selected(h, revision, count, &f);
            bool gone = tell(h, w, &f);
            frame_finish(&f);
            if (gone || w->owner->behind) {
                return;
            }
        }
    }
}

int watch_add(struct watch_hub *h, uint64_t conn, const struct coord_request *q, uint64_t now,
              uint64_t *ret_from, bool *ret_gap)
{
    if (q->revision > now) {
        return COORD_ETOOSTALE;
    }
    struct watch *old = registry_find(&h->registry, conn, q->watch);
    const struct watch_conn *c = registry_conn(&h->registry, conn);
    if (old == NULL && c != NULL && c->count >= h->limits.per_connection) {
        return COORD_ELIMIT;
    }
    struct watch *w;
    int rc = registry_add(&h->registry, conn, q, &w);
    if (rc != 0) {
        return rc;
    }
    if (old != NULL) {
        registry_remove(&h->registry, old);
    }
    bool resume = q->revision > 0 && q->revision >= h->history.floor;
    w->told = now;
    *ret_from = resume ? q->revision : now;
    *ret_gap = q->revision > 0 && !resume;
    if (resume) {
        replay(h, w, q->revision);
    }
    return 0;
}

bool watch_remove(struct watch_hub *h, uint64_t conn, uint64_t number)
{
    struct watch *w = registry_find(&h->registry, conn, number);
    if (w == NULL) {
        return false;
    }
    registry_remove(&h->registry, w);
    return true;
}

void watch_remove_conn(struct watch_hub *h, uint64_t conn)
{
    struct watch_conn *c = registry_conn(&h->registry, conn);
    for (uint64_t left = c == NULL ? 0 : c->count; left > 0; left--) {
        registry_remove(&h->registry, c->first); /* the last one takes c with it */
    }
}
