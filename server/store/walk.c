/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c: what reads the tree: stats, paths, and walks in path order. A walk keeps one cursor per level
 * and never recurses; depth is bounded by the length of a path.
 */
#include <assert.h>
#include <string.h>
#include "server/store/store.h"
#include "server/store/store_internal.h"
#include "server/store/znode.h"

uint64_t store_sequence(const struct znode *node)
{
    return znode_extra(node) == NULL ? 0 : znode_extra(node)->sequence;
}

struct coord_bytes store_data(const struct znode *node)
{
    static const uint8_t empty[1] = {0};
    if (node->absent) {
        return (struct coord_bytes){NULL, 0};
    }
    return (struct coord_bytes){znode_data(node) == NULL ? empty : znode_data(node),
                                node->data_bytes};
}

struct coord_bytes store_name(const struct znode *node)
{
    return (struct coord_bytes){(const uint8_t *)node->name, node->name_bytes};
}

void store_stat(const struct znode *node, struct coord_node_stat *ret_stat)
{
    const struct znode_extra *x = znode_extra(node);
    *ret_stat = (struct coord_node_stat){
        .create_revision = node->create_revision,
        .modify_revision = node->modify_revision,
        .child_revision = node->create_revision,
        .version = node->version,
        .created_ms = node->created_ms,
        .modified_ms = node->modified_ms,
        .kind = (enum coord_node_kind)node->kind,
        .data_bytes = node->data_bytes,
    };
    if (x != NULL) {
        ret_stat->child_revision = x->child_revision;
        ret_stat->child_version = x->child_version;
        if (node->kind == COORD_NODE_EPHEMERAL && x->owned != NULL) {
            ret_stat->owner = x->owned->owner;
        }
        ret_stat->ttl_ms = x->ttl_ms;
        ret_stat->children = x->children.count;
    }
}

uint64_t store_children(const struct znode *node)
{
    return znode_extra(node) == NULL ? 0 : znode_extra(node)->children.count;
}

size_t store_path(const struct znode *node, char out[COORD_PATH_BYTES_MAX])
{
    size_t len = 0;
    if (node->parent == NULL) {
        out[0] = '/';
        return 1;
    }
    for (const struct znode *at = node; at->parent != NULL; at = at->parent) {
        len += at->name_bytes + 1u;
    }
    assert(len <= COORD_PATH_BYTES_MAX);
    size_t end = len;
    for (const struct znode *at = node; at->parent != NULL; at = at->parent) {
        end -= at->name_bytes;
        memcpy(out + end, at->name, at->name_bytes);
        out[--end] = '/';
    }
    assert(end == 0);
    return len;
}

uint64_t store_nodes(const struct store *s)
{
    return s->nodes;
}

uint64_t store_data_bytes(const struct store *s)
{
    return s->data_bytes;
}

uint64_t store_name_bytes(const struct store *s)
{
    return s->name_bytes;
}

uint64_t store_index_bytes(const struct store *s)
{
    return slots_bytes(&s->index) + (uint64_t)s->due.heap_cap * sizeof(s->due.heap[0]);
}

/* --- walking ----------------------------------------------------------------------------------- */

static bool has_children(const struct znode *node)
{
    return znode_extra(node) != NULL && znode_extra(node)->children.count > 0;
}

static struct store_walk_level *level_push(struct store_walk *w, const struct znode *parent)
{
    assert(w->depth <= STORE_DEPTH_MAX);
    struct store_walk_level *l = &w->level[w->depth++];
    l->parent = parent;
    return l;
}

/* Place a level at the first child not before name. Return: the child of that very name, gone past. */
static const struct znode *level_seek(struct store_walk_level *l, const char *name, size_t bytes)
{
    const struct children *c = &znode_extra(l->parent)->children;
    children_seek(c, name, bytes, false, &l->cursor);
    if (l->cursor.leaf == NULL) {
        return NULL;
    }
    const struct znode *at = l->cursor.leaf->items[l->cursor.pos];
    if (children_name_compare(at->name, at->name_bytes, name, bytes) != 0) {
        return NULL;
    }
    return children_next(c, &l->cursor);
}

void store_walk_begin(struct store_walk *w, const struct znode *top, bool deep,
                      struct coord_bytes after)
{
    w->top = top;
    w->deep = deep;
    w->depth = 0;
    const char *at = (const char *)after.data;
    size_t left = after.data == NULL ? 0 : after.len;
    while (top != NULL && has_children(top)) {
        struct store_walk_level *l = level_push(w, top);
        if (left == 0) {
            children_first(&znode_extra(top)->children, &l->cursor);
            return;
        }
        const char *slash = deep ? memchr(at, '/', left) : NULL;
        size_t name_bytes = slash == NULL ? left : (size_t)(slash - at);
        top = level_seek(l, at, name_bytes);
        size_t step = slash == NULL ? name_bytes : name_bytes + 1;
        at += step;
        left -= step;
        if (!deep) {
            return;
        }
    }
}

const struct znode *store_walk_next(struct store_walk *w, uint32_t *ret_depth)
{
    while (w->depth > 0) {
        struct store_walk_level *l = &w->level[w->depth - 1];
        const struct znode *node = children_next(&znode_extra(l->parent)->children, &l->cursor);
        if (node == NULL) {
            w->depth--;
            continue;
        }
        *ret_depth = w->depth;
        if (w->deep && has_children(node)) {
            struct store_walk_level *below = level_push(w, node);
            children_first(&znode_extra(node)->children, &below->cursor);
        }
        return node;
    }
    return NULL;
}

/* --- checking ---------------------------------------------------------------------------------- */

static const char *check_node(const struct store *s, const struct znode *node)
{
    const struct znode_extra *x = znode_extra(node);
    char path[COORD_PATH_BYTES_MAX];
    struct coord_bytes key = {(const uint8_t *)path, 0};
    key.len = (uint32_t)store_path(node, path);
    if (store_find(s, key) != node) {
        return "the index does not lead to a node of the tree";
    }
    if ((znode_data(node) == NULL) != (node->data_bytes == 0) ||
        (node->absent && znode_data(node) != NULL)) {
        return "data and its length do not fit";
    }
    bool owned = x != NULL && node->kind <= COORD_NODE_EPHEMERAL && x->owned != NULL;
    if (owned != (node->kind == COORD_NODE_EPHEMERAL)) {
        return "owned and ephemeral do not go together";
    }
    if ((node->kind == COORD_NODE_TTL) != (x != NULL && x->ttl_ms > 0)) {
        return "ttl and its kind do not go together";
    }
    if (node->parent != NULL && node->parent->kind == COORD_NODE_EPHEMERAL) {
        return "an ephemeral has a child";
    }
    if (x != NULL && x->children.count != 2 * x->sequence - x->child_version) {
        return "creates and deletes do not explain the children";
    }
    return x == NULL ? NULL : children_check(&x->children);
}

/* Sums along a walk: one level for each ancestor of the node met last, and that one. */
struct sums {
    uint32_t depth;
    struct {
        const struct znode *node;
        uint64_t nodes; /* below, as far as met */
        uint64_t bytes;
    } level[STORE_DEPTH_MAX + 1];
};

/* No more nodes follow below those from this depth on. */
static const char *sums_close(struct sums *u, uint32_t depth)
{
    for (; u->depth > depth; u->depth--) {
        const struct znode *node = u->level[u->depth - 1].node;
        uint64_t nodes = znode_extra(node) == NULL ? 0 : znode_extra(node)->below_nodes;
        uint64_t bytes = znode_extra(node) == NULL ? 0 : znode_extra(node)->below_bytes;
        if (nodes != u->level[u->depth - 1].nodes || bytes != u->level[u->depth - 1].bytes) {
            return "the sums of a subtree are wrong";
        }
    }
    return NULL;
}

static const char *sums_meet(struct sums *u, const struct znode *node, uint32_t depth)
{
    const char *wrong = sums_close(u, depth);
    for (uint32_t i = 0; i < depth; i++) {
        u->level[i].nodes++;
        u->level[i].bytes += node->data_bytes;
    }
    u->level[depth].node = node;
    u->level[depth].nodes = 0;
    u->level[depth].bytes = 0;
    u->depth = depth + 1;
    return wrong;
}

const char *store_check(const struct store *s)
{
    static struct sums u; /* for tests: large, and one at a time */
    struct store_due_census due = {0};
    struct store_walk w;
    uint64_t nodes = 0;
    uint64_t data_bytes = 0;
    uint64_t name_bytes = 0;
    uint32_t depth = 0;
    const char *wrong;
    u.depth = 0;
    store_walk_begin(&w, s->root, true, (struct coord_bytes){NULL, 0});
    for (const struct znode *at = s->root; at != NULL; at = store_walk_next(&w, &depth)) {
        wrong = check_node(s, at);
        if (wrong == NULL) {
            wrong = sums_meet(&u, at, depth);
        }
        if (wrong != NULL) {
            return wrong;
        }
        store_due_count(s, at, &due);
        nodes++;
        data_bytes += at->data_bytes;
        name_bytes += at->name_bytes;
    }
    wrong = sums_close(&u, 0);
    if (wrong == NULL) {
        wrong = store_due_check(s, &due);
    }
    if (wrong != NULL) {
        return wrong;
    }
    if (nodes != s->nodes || nodes != s->index.count + 1) {
        return "the number of nodes is wrong";
    }
    if (name_bytes != s->name_bytes) {
        return "the sum of names is wrong";
    }
    return data_bytes == s->data_bytes ? NULL : "the sum of data is wrong";
}
