/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.c: the lists and indexes of watches.
 */
#include "server/watch/registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>

#define SHARED_FLAGS ((uint32_t)COORD_WATCH_VALUE | (uint32_t)COORD_WATCH_PREVIOUS)

struct watch_key {
    uint64_t conn;
    uint64_t number;
};

static bool watch_match(const void *item, const void *key)
{
    const struct watch *w = item;
    const struct watch_key *k = key;
    return w->conn == k->conn && w->number == k->number;
}

static bool conn_match(const void *item, const void *key)
{
    return ((const struct watch_conn *)item)->conn == *(const uint64_t *)key;
}

static bool target_match(const void *item, const void *key)
{
    const struct target *t = item;
    const struct coord_bytes *path = key;
    return t->path_bytes == path->len && memcmp(t->path, path->data, path->len) == 0;
}

void registry_init(struct registry *r)
{
    memset(r, 0, sizeof(*r));
}

void registry_finish(struct registry *r)
{
    while (r->first != NULL) {
        registry_remove(r, r->first);
    }
    slots_finish(&r->targets);
    slots_finish(&r->watches);
    slots_finish(&r->conns);
}

struct watch *registry_find(const struct registry *r, uint64_t conn, uint64_t number)
{
    struct watch_key key = {conn, number};
    return slots_find(&r->watches, slots_hash_u64(conn, number), watch_match, &key);
}

struct watch_conn *registry_conn(const struct registry *r, uint64_t conn)
{
    return slots_find(&r->conns, slots_hash_u64(conn, 0), conn_match, &conn);
}

struct target *registry_target(const struct registry *r, const uint8_t *path, uint32_t path_bytes)
{
    struct coord_bytes key = {path, path_bytes};
    return slots_find(&r->targets, slots_hash(path, path_bytes), target_match, &key);
}

/* --- making what a watch hangs on -------------------------------------------------------------- */

static struct watch_conn *conn_of(struct registry *r, uint64_t conn)
{
    struct watch_conn *c = registry_conn(r, conn);
    if (c != NULL || slots_reserve(&r->conns) != 0) {
        return c;
    }
    c = calloc(1, sizeof(*c));
    if (c != NULL) {
        c->conn = conn;
        slots_add(&r->conns, slots_hash_u64(conn, 0), c);
    }
    return c;
}

static void conn_settle(struct registry *r, struct watch_conn *c)
{
    if (c != NULL && c->first == NULL) {
        slots_remove(&r->conns, slots_hash_u64(c->conn, 0), c);
        free(c);
    }
}

static struct target *target_of(struct registry *r, struct coord_bytes path)
{
    struct target *t = registry_target(r, path.data, path.len);
    if (t != NULL || slots_reserve(&r->targets) != 0) {
        return t;
    }
    t = calloc(1, sizeof(*t) + path.len);
    if (t != NULL) {
        t->hash = slots_hash(path.data, path.len);
        t->path_bytes = path.len;
        memcpy(t->path, path.data, path.len);
        slots_add(&r->targets, t->hash, t);
    }
    return t;
}

static void target_settle(struct registry *r, struct target *t)
{
    if (t != NULL && t->groups == NULL) {
        slots_remove(&r->targets, t->hash, t);
        free(t);
    }
}

static struct group *group_of(struct target *t, const struct coord_request *q)
{
    uint32_t flags = q->flags & SHARED_FLAGS;
    for (struct group *g = t->groups; g != NULL; g = g->next) {
        if (g->depth == q->depth && g->kinds == q->kinds && g->flags == flags) {
            return g;
        }
    }
    struct group *g = calloc(1, sizeof(*g));
    if (g == NULL) {
        return NULL;
    }
    g->target = t;
    g->depth = q->depth;
    g->kinds = q->kinds;
    g->flags = flags;
    g->match_first = NO_MATCH;
    g->next = t->groups;
    if (g->next != NULL) {
        g->next->prev = g;
    }
    t->groups = g;
    return g;
}

static void group_settle(struct group *g)
{
    if (g == NULL || g->first != NULL) {
        return;
    }
    if (g->prev != NULL) {
        g->prev->next = g->next;
    } else {
        g->target->groups = g->next;
    }
    if (g->next != NULL) {
        g->next->prev = g->prev;
    }
    free(g);
}

/* --- adding and removing ----------------------------------------------------------------------- */

static void watch_link(struct registry *r, struct watch *w)
{
    struct group *g = w->group;
    w->group_prev = g->last;
    if (g->last != NULL) {
        g->last->group_next = w;
    } else {
        g->first = w;
    }
    g->last = w;
    w->conn_next = w->owner->first;
    if (w->conn_next != NULL) {
        w->conn_next->conn_prev = w;
    }
    w->owner->first = w;
    w->owner->count++;
    w->all_prev = r->last;
    if (r->last != NULL) {
        r->last->all_next = w;
    } else {
        r->first = w;
    }
    r->last = w;
    r->count++;
    r->by_depth[g->depth]++;
}

int registry_add(struct registry *r, uint64_t conn, const struct coord_request *q,
                 struct watch **ret_w)
{
    assert((uint32_t)q->depth < REGISTRY_DEPTHS);
    struct watch *w = calloc(1, sizeof(*w));
    struct watch_conn *c = conn_of(r, conn);
    struct target *t = target_of(r, q->path);
    struct group *g = t == NULL ? NULL : group_of(t, q);
    if (w == NULL || c == NULL || g == NULL || slots_reserve(&r->watches) != 0) {
        group_settle(g);
        target_settle(r, t);
        conn_settle(r, c);
        free(w);
        return COORD_ENOMEM;
    }
    w->conn = conn;
    w->number = q->watch;
    w->group = g;
    w->owner = c;
    w->once = (q->flags & COORD_WATCH_ONCE) != 0;
    watch_link(r, w);
    slots_add(&r->watches, slots_hash_u64(conn, w->number), w);
    *ret_w = w;
    return 0;
}

static void watch_unlink(struct registry *r, struct watch *w)
{
    struct group *g = w->group;
    if (w->group_prev != NULL) {
        w->group_prev->group_next = w->group_next;
    } else {
        g->first = w->group_next;
    }
    if (w->group_next != NULL) {
        w->group_next->group_prev = w->group_prev;
    } else {
        g->last = w->group_prev;
    }
    if (w->conn_prev != NULL) {
        w->conn_prev->conn_next = w->conn_next;
    } else {
        w->owner->first = w->conn_next;
    }
    if (w->conn_next != NULL) {
        w->conn_next->conn_prev = w->conn_prev;
    }
    if (w->all_prev != NULL) {
        w->all_prev->all_next = w->all_next;
    } else {
        r->first = w->all_next;
    }
    if (w->all_next != NULL) {
        w->all_next->all_prev = w->all_prev;
    } else {
        r->last = w->all_prev;
    }
    w->owner->count--;
    r->count--;
    r->by_depth[g->depth]--;
}

void registry_remove(struct registry *r, struct watch *w)
{
    struct group *g = w->group;
    struct target *t = g->target;
    slots_remove(&r->watches, slots_hash_u64(w->conn, w->number), w);
    watch_unlink(r, w);
    conn_settle(r, w->owner);
    group_settle(g);
    target_settle(r, t);
    free(w);
}

bool group_wants(const struct group *g, enum coord_change_kind kind, struct coord_bytes path)
{
    const struct target *t = g->target;
    if ((g->kinds & (uint32_t)kind) == 0 || path.len < t->path_bytes ||
        memcmp(path.data, t->path, t->path_bytes) != 0) {
        return false;
    }
    if (path.len == t->path_bytes) {
        return true;
    }
    if (t->path_bytes == 1 && coord_path_reserved((const char *)path.data, path.len)) {
        return false; /* "/" does not have the service's own nodes below it */
    }
    if (t->path_bytes > 1 && path.data[t->path_bytes] != '/') {
        return false;
    }
    if (g->depth == COORD_DEPTH_CHILDREN) {
        return coord_path_parent_len((const char *)path.data, path.len) == t->path_bytes;
    }
    return g->depth == COORD_DEPTH_SUBTREE;
}
