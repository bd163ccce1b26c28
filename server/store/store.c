/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c: the life of the store, and finding a node. What changes the tree stands in create.c, modify.c
 * and subtree.c, what came of it in record.c, what is removed by itself in due.c, walks in walk.c, putting back what was saved in restore.c.
 *
 * A node is found by the hash of its whole path; a hit is verified by comparing the names of the node
 * and its ancestors with the path from its end. "/" is not in the index.
 */
#include "server/store/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/store/slots_fill.h"
#include "server/store/store_internal.h"
#include "server/store/znode.h"

#define LARGE_INDEX_BYTES (UINT64_C(1) << 20) /* about what a processor keeps at hand */

/* --- lifetime ---------------------------------------------------------------------------------- */

struct store *store_create_empty(struct pool *p)
{
    struct store *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    s->pool = p;
    slots_init(&s->index);
    arena_init(&s->paths);
    s->root = pool_alloc(p, offsetof(struct znode, name));
    if (s->root == NULL) {
        free(s);
        return NULL;
    }
    memset(s->root, 0, offsetof(struct znode, name));
    s->root->absent = 1;
    s->nodes = 1;
    return s;
}

void store_node_free(struct store *s, struct znode *node)
{
    store_forget_near(s);
    struct znode_extra *x = znode_extra(node);
    if (x != NULL) {
        children_clear(&x->children, s->pool);
        pool_free(s->pool, x->quota, sizeof(*x->quota));
        pool_free(s->pool, x, sizeof(*x));
    }
    pool_free(s->pool, node, offsetof(struct znode, name) + node->name_bytes);
}

void store_destroy(struct store *s)
{
    if (s == NULL) {
        return;
    }
    struct znode *at = s->root;
    store_record_reset(s);
    for (;;) {
        struct znode_extra *x = znode_extra(at);
        struct znode *child = x == NULL ? NULL : children_pop(&x->children, s->pool);
        if (child != NULL) {
            at = child;
            continue;
        }
        struct znode *parent = at->parent;
        pool_free(s->pool, znode_data(at), at->data_bytes);
        store_node_free(s, at);
        if (parent == NULL) {
            break;
        }
        at = parent;
    }
    slots_fill_destroy(s->fill);
    slots_finish(&s->index);
    store_due_finish(s);
    arena_finish(&s->paths);
    free(s->changes);
    free(s->dead);
    free(s->undo);
    free(s->touched);
    free(s);
}

void store_begin(struct store *s, uint64_t revision, uint64_t time_ms)
{
    assert(revision > s->revision);
    assert(time_ms >= s->time_ms);
    s->revision = revision;
    s->time_ms = time_ms;
    store_record_reset(s);
    store_due_shrink(s);
}

void store_guard_set(struct store *s, const struct store_guard *g)
{
    s->guard = g;
}

/* --- finding ----------------------------------------------------------------------------------- */

static bool path_match(const void *item, const void *key)
{
    const struct znode *node = item;
    const struct coord_bytes *path = key;
    size_t end = path->len;
    for (; node->parent != NULL; node = node->parent) {
        size_t n = node->name_bytes;
        if (end < n + 1 || path->data[end - n - 1] != '/' ||
            memcmp(path->data + end - n, node->name, n) != 0) {
            return false;
        }
        end -= n + 1;
    }
    return end == 0;
}

bool store_node_is_at(const struct znode *node, struct coord_bytes path)
{
    return path_match(node, &path);
}

struct znode *store_find(const struct store *s, struct coord_bytes path)
{
    if (path.len == 1 && path.data[0] == '/') {
        return s->root;
    }
    return slots_find(&s->index, slots_hash(path.data, path.len), path_match, &path);
}

bool store_is_large(const struct store *s)
{
    return slots_bytes(&s->index) > LARGE_INDEX_BYTES;
}

/* The place in the index is asked for at once, the node that stands there when the place has come: half the way
 * later. */
void store_ahead(struct store *s, struct coord_bytes path)
{
    uint32_t at = s->ahead_next++ % STORE_AHEAD;
    uint32_t earlier = s->ahead[(at + STORE_AHEAD / 2) % STORE_AHEAD];
    s->ahead[at] = slots_hash(path.data, path.len);
    slots_prefetch(&s->index, s->ahead[at]);
    const struct znode *node = earlier == 0 ? NULL : slots_likely(&s->index, earlier);
    if (node != NULL) {
        __builtin_prefetch(node, 1);
        __builtin_prefetch(node->name, 1);
    }
}

struct znode *store_root(const struct store *s)
{
    return s->root;
}
