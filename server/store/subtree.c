/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subtree.c: what concerns a node and all below it: deleting it, giving it another path, what it holds and
 * what it may hold (quotas).
 *
 * An operation on a subtree is one change of the tree at one revision, and bounded by the number of nodes:
 * an entry that took seconds to apply would cost every member its leader.
 *
 * A rename is a delete there and a create here: the nodes at the new path are created at this revision, with
 * version 0, so that nobody takes them for nodes that were at that path before; their data, kinds, owners,
 * quotas and sequence counters move along.
 */
#include <assert.h>
#include <string.h>
#include <coord/error.h>
#include "server/store/store.h"
#include "server/store/store_internal.h"
#include "server/store/znode.h"

/* --- what a subtree holds ---------------------------------------------------------------------- */

void store_usage(const struct znode *node, struct store_usage *ret_usage)
{
    const struct znode_extra *x = znode_extra(node);
    *ret_usage = (struct store_usage){.nodes = 1, .bytes = node->data_bytes};
    if (x != NULL) {
        ret_usage->nodes += x->below_nodes;
        ret_usage->bytes += x->below_bytes;
        ret_usage->quota_nodes = x->quota == NULL ? 0 : x->quota->nodes;
        ret_usage->quota_bytes = x->quota == NULL ? 0 : x->quota->bytes;
    }
}

int store_quota_admit(const struct znode *parent, uint64_t nodes, uint64_t bytes)
{
    for (const struct znode *at = parent; at != NULL; at = at->parent) {
        if (znode_extra(at) == NULL || znode_extra(at)->quota == NULL) {
            continue;
        }
        struct store_usage u;
        store_usage(at, &u);
        if ((nodes > 0 && u.quota_nodes != 0 && u.nodes + nodes > u.quota_nodes) ||
            (bytes > 0 && u.quota_bytes != 0 && u.bytes + bytes > u.quota_bytes)) {
            return COORD_EQUOTA;
        }
    }
    return 0;
}

int store_quota_put(struct store *s, struct znode *node, uint64_t nodes, uint64_t bytes)
{
    store_guard_node(s, node);
    if (nodes == 0 && bytes == 0) {
        if (znode_extra(node) != NULL) {
            pool_free(s->pool, znode_extra(node)->quota, sizeof(*znode_extra(node)->quota));
            znode_extra(node)->quota = NULL;
        }
        return 0;
    }
    struct znode_extra *x = store_node_extra(s, node);
    if (x == NULL) {
        return COORD_ENOMEM;
    }
    if (x->quota == NULL) {
        x->quota = pool_alloc(s->pool, sizeof(*x->quota));
        if (x->quota == NULL) {
            return COORD_ENOMEM;
        }
    }
    *x->quota = (struct znode_quota){nodes, bytes};
    return 0;
}

int store_quota_set(struct store *s, struct znode *node, uint64_t nodes, uint64_t bytes)
{
    char path[COORD_PATH_BYTES_MAX];
    size_t len = store_path(node, path);
    int rc = store_quota_put(s, node, nodes, bytes);
    if (rc == 0) {
        rc = store_record_quota(s, (struct coord_bytes){(const uint8_t *)path, (uint32_t)len});
    }
    return rc;
}

/* --- the nodes of a subtree -------------------------------------------------------------------- */

/* A subtree as it stood: its nodes in path order, the top first. In the arena of the operation. */
struct listing {
    struct znode **nodes;
    uint32_t count;
};

/* Return: 0, COORD_ENOMEM, or COORD_ELIMIT when it has more nodes than `limit`. */
static int list_subtree(struct store *s, struct znode *top, uint64_t limit, struct listing *ret_l)
{
    struct store_usage u;
    struct store_walk w;
    uint32_t depth = 0;
    store_usage(top, &u);
    if (u.nodes > limit) {
        return COORD_ELIMIT;
    }
    ret_l->nodes = arena_alloc(&s->paths, (size_t)u.nodes * sizeof(ret_l->nodes[0]));
    if (ret_l->nodes == NULL) {
        return COORD_ENOMEM;
    }
    ret_l->count = 0;
    ret_l->nodes[ret_l->count++] = top;
    store_walk_begin(&w, top, true, (struct coord_bytes){NULL, 0});
    for (const struct znode *at; (at = store_walk_next(&w, &depth)) != NULL;) {
        assert(ret_l->count < u.nodes);
        ret_l->nodes[ret_l->count++] = (struct znode *)at; /* our own: the walk only reads */
    }
    assert(ret_l->count == u.nodes);
    return 0;
}

/* Children before their parents. */
static int delete_listed(struct store *s, const struct listing *l)
{
    int rc = 0;
    for (uint32_t i = l->count; i > 0 && rc == 0; i--) {
        char path[COORD_PATH_BYTES_MAX];
        size_t len = store_path(l->nodes[i - 1], path);
        rc = store_delete_node(s, l->nodes[i - 1],
                               (struct coord_bytes){(const uint8_t *)path, (uint32_t)len});
    }
    return rc;
}

/* --- delete ------------------------------------------------------------------------------------ */

int store_delete_subtree(struct store *s, struct coord_bytes path,
                         const struct store_condition *cond, uint64_t limit, uint64_t *ret_count)
{
    struct listing l;
    struct znode *node = store_find(s, path);
    if (node == NULL) {
        return COORD_ENONODE;
    }
    if (node == s->root) {
        return COORD_ERESERVED;
    }
    int rc = store_condition_check(node, cond);
    if (rc == 0) {
        rc = list_subtree(s, node, limit, &l);
    }
    if (rc == 0) {
        *ret_count = l.count;
        rc = delete_listed(s, &l);
    }
    return rc;
}

/* --- rename ------------------------------------------------------------------------------------ */

static bool stands_in(struct coord_bytes path, struct coord_bytes top)
{
    return path.len > top.len && path.data[top.len] == '/' &&
           memcmp(path.data, top.data, top.len) == 0;
}

/* May something be created at path? Return: 0 and the parent, or the error. */
static int place_check(const struct store *s, struct coord_bytes path, struct znode **ret_parent)
{
    struct coord_bytes up = path;
    if (store_find(s, path) != NULL) {
        return COORD_EEXISTS;
    }
    up.len = (uint32_t)coord_path_parent_len((const char *)path.data, path.len);
    struct znode *parent = store_find(s, up);
    if (parent == NULL) {
        return COORD_ENONODE;
    }
    if (parent->kind == COORD_NODE_EPHEMERAL) {
        return COORD_EEPHEMERAL;
    }
    *ret_parent = parent;
    return store_sequence(parent) >= STORE_COUNTER_MAX ? COORD_ELIMIT : 0;
}

/* The paths that the nodes will have. Return: 0, COORD_ENOMEM, or COORD_EBADPATH when one is too long. */
static int new_paths(struct store *s, const struct listing *l, size_t from_len,
                     struct coord_bytes to, struct coord_bytes **ret_paths)
{
    struct coord_bytes *paths = arena_alloc(&s->paths, l->count * sizeof(paths[0]));
    for (uint32_t i = 0; paths != NULL && i < l->count; i++) {
        char old[COORD_PATH_BYTES_MAX];
        size_t rest = store_path(l->nodes[i], old) - from_len;
        if (to.len + rest > COORD_PATH_BYTES_MAX) {
            return COORD_EBADPATH;
        }
        uint8_t *path = arena_alloc(&s->paths, to.len + rest);
        if (path == NULL) {
            return COORD_ENOMEM;
        }
        memcpy(path, to.data, to.len);
        memcpy(path + to.len, old + from_len, rest);
        paths[i] = (struct coord_bytes){path, (uint32_t)(to.len + rest)};
    }
    *ret_paths = paths;
    return paths == NULL ? COORD_ENOMEM : 0;
}

/* What the deleted node `was` had, at another path. */
static int create_again(struct store *s, const struct znode *was, struct store_owned *owned,
                        struct coord_bytes path, struct znode **ret_node)
{
    const struct znode_extra *x = znode_extra(was);
    struct coord_bytes up = path;
    up.len = (uint32_t)coord_path_parent_len((const char *)path.data, path.len);
    struct znode *parent = store_find(s, up);
    const struct store_create_args a = {.data = store_data(was),
                                        .kind = (enum coord_node_kind)was->kind,
                                        .ttl_ms = x == NULL ? 0 : x->ttl_ms,
                                        .owned = owned};
    assert(parent != NULL);
    int rc = store_quota_admit(parent, 1, was->data_bytes);
    if (rc == 0) {
        rc = store_create_under(s, parent, &a, path, ret_node);
    }
    if (rc == 0 && x != NULL && x->quota != NULL) {
        rc = store_quota_set(s, *ret_node, x->quota->nodes, x->quota->bytes);
    }
    return rc;
}

/* The counters go on where they were: a number given once is not given again. */
static int counters_move(struct store *s, const struct znode *was, struct znode *node)
{
    if (store_sequence(was) == 0) {
        return 0;
    }
    struct znode_extra *x = store_node_extra(s, node);
    if (x == NULL) {
        return COORD_ENOMEM;
    }
    x->sequence = znode_extra(was)->sequence;
    x->child_version = x->sequence * 2 - x->children.count;
    store_due_update(s, node); /* it had children */
    return 0;
}

static int move_listed(struct store *s, const struct listing *l, const struct coord_bytes *paths)
{
    struct store_owned **owned = arena_alloc(&s->paths, l->count * sizeof(owned[0]));
    struct znode **now = arena_alloc(&s->paths, l->count * sizeof(now[0]));
    if (owned == NULL || now == NULL) {
        return COORD_ENOMEM;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        bool ephemeral = l->nodes[i]->kind == COORD_NODE_EPHEMERAL;
        owned[i] = ephemeral ? znode_extra(l->nodes[i])->owned : NULL;
    }
    int rc = delete_listed(s, l);
    for (uint32_t i = 0; i < l->count && rc == 0; i++) {
        rc = create_again(s, l->nodes[i], owned[i], paths[i], &now[i]);
    }
    for (uint32_t i = 0; i < l->count && rc == 0; i++) {
        rc = counters_move(s, l->nodes[i], now[i]);
    }
    return rc;
}

int store_rename(struct store *s, const struct store_rename_args *a, struct znode **ret_node,
                 uint64_t *ret_count)
{
    struct listing l;
    struct coord_bytes *paths = NULL;
    struct znode *parent = NULL;
    struct znode *node = store_find(s, a->from);
    if (node == NULL) {
        return COORD_ENONODE;
    }
    if (node == s->root) {
        return COORD_ERESERVED;
    }
    if (stands_in(a->to, a->from)) {
        return COORD_EINSIDE;
    }
    int rc = store_condition_check(node, &a->cond);
    if (rc == 0) {
        rc = place_check(s, a->to, &parent);
    }
    if (rc == 0) {
        rc = list_subtree(s, node, a->limit, &l);
    }
    if (rc == 0) {
        rc = new_paths(s, &l, a->from.len, a->to, &paths);
    }
    if (rc == 0) {
        rc = move_listed(s, &l, paths);
    }
    if (rc == 0) {
        *ret_count = l.count;
        *ret_node = store_find(s, a->to);
    }
    return rc;
}
