/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_model_tree.c: the model's tree: every path that ever existed with all its versions, so that a read
 * can be compared at any revision. Paths stand in one sorted array; what is below a node is a stretch of it.
 *
 * Invariants
 *   1. A node has at most one version of a revision; versions are in order.
 *   2. touched[] are exactly the nodes with a version of the tree's revision, so taking them back is taking
 *      the revision back.
 */
#include "tests/service/oracle_int.h"

#include <assert.h>
#include <string.h>

/* --- paths -------------------------------------------------------------------------------------- */

/* Path order: as bytes, but '/' is below all others; "/" first. */
static int path_compare(struct coord_bytes a, struct coord_bytes b)
{
    uint32_t at_a = a.len == 1 ? 1 : 0;
    uint32_t at_b = b.len == 1 ? 1 : 0;
    for (; at_a < a.len && at_b < b.len; at_a++, at_b++) {
        int x = a.data[at_a] == '/' ? 0 : a.data[at_a] + 1;
        int y = b.data[at_b] == '/' ? 0 : b.data[at_b] + 1;
        if (x != y) {
            return x - y;
        }
    }
    return (at_a < a.len) - (at_b < b.len);
}

struct coord_bytes oracle__parent_path(struct coord_bytes path)
{
    uint32_t len = path.len;
    assert(len > 1);
    while (path.data[len - 1] != '/') {
        len--;
    }
    return (struct coord_bytes){path.data, len == 1 ? 1 : len - 1};
}

uint64_t oracle__node_bytes(const struct oracle_node *n)
{
    uint32_t parent = n->parent->path.len == 1 ? 0 : n->parent->path.len;
    return ORACLE_NODE_BYTES + (n->path.len - parent - 1);
}

/* The first of the sorted paths that is not before `path`. */
static uint32_t place_of(const struct oracle_tree *t, struct coord_bytes path)
{
    uint32_t low = 0;
    uint32_t high = t->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (path_compare(t->sorted[mid]->path, path) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static uint32_t bucket_of(struct coord_bytes path)
{
    return (uint32_t)(oracle__hash(path.data, path.len, 2) % ORACLE_BUCKETS);
}

struct oracle_node *oracle__node(const struct oracle_tree *t, struct coord_bytes path)
{
    struct oracle_node *n = t->buckets[bucket_of(path)];
    while (n != NULL && !oracle__same(n->path, path)) {
        n = n->bucket_next;
    }
    return n;
}

static struct oracle_node *node_add(struct oracle *o, struct coord_bytes path,
                                    struct oracle_node *parent)
{
    struct oracle_tree *t = &o->tree;
    struct oracle_node *n = oracle__alloc(o, sizeof(*n));
    n->path = oracle__keep(o, path);
    n->parent = parent;
    n->depth = parent == NULL ? 0 : parent->depth + 1;
    n->bucket_next = t->buckets[bucket_of(path)];
    t->buckets[bucket_of(path)] = n;
    uint32_t place = place_of(t, path);
    t->sorted = oracle__grow(o, t->sorted, t->count, &t->cap, sizeof(struct oracle_node *));
    memmove(&t->sorted[place + 1], &t->sorted[place],
            (t->count - place) * sizeof(struct oracle_node *));
    t->sorted[place] = n;
    t->count++;
    return n;
}

struct oracle_node *oracle__node_make(struct oracle *o, struct coord_bytes path)
{
    struct oracle_node *n = oracle__node(&o->tree, path);
    while (n == NULL) {
        /* Make the highest one that is missing, until it is this one. */
        struct coord_bytes step = path;
        struct oracle_node *parent = oracle__node(&o->tree, oracle__parent_path(step));
        while (parent == NULL) {
            step = oracle__parent_path(step);
            parent = oracle__node(&o->tree, oracle__parent_path(step));
        }
        struct oracle_node *made = node_add(o, step, parent);
        n = step.len == path.len ? made : NULL;
    }
    return n;
}

/* --- versions ----------------------------------------------------------------------------------- */

const struct oracle_version *oracle__version(const struct oracle_node *n, uint64_t revision)
{
    uint32_t low = 0;
    uint32_t high = n == NULL ? 0 : n->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (n->versions[mid].revision <= revision) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low == 0 || !n->versions[low - 1].exists ? NULL : &n->versions[low - 1];
}

const struct oracle_version *oracle__now(const struct oracle_node *n)
{
    return oracle__version(n, UINT64_MAX);
}

struct oracle_version *oracle__edit(struct oracle *o, struct oracle_node *n)
{
    struct oracle_tree *t = &o->tree;
    if (n->count > 0 && n->versions[n->count - 1].revision == t->revision) {
        return &n->versions[n->count - 1];
    }
    n->versions = oracle__grow(o, n->versions, n->count, &n->cap, sizeof(n->versions[0]));
    struct oracle_version *v = &n->versions[n->count];
    *v = (struct oracle_version){.exists = false};
    if (n->count > 0) {
        *v = n->versions[n->count - 1];
    }
    v->revision = t->revision;
    n->count++;
    t->touched = oracle__grow(o, t->touched, t->touched_count, &t->touched_cap,
                              sizeof(struct oracle_node *));
    t->touched[t->touched_count++] = n;
    return v;
}

void oracle__tree_init(struct oracle *o)
{
    static const uint8_t slash[] = "/";
    struct oracle_node *root = node_add(o, (struct coord_bytes){slash, 1}, NULL);
    oracle__edit(o, root)->exists = true;
    o->tree.bytes = ORACLE_NODE_BYTES;
}

void oracle__tree_begin(struct oracle *o, uint64_t revision, uint64_t time_ms)
{
    o->tree.revision = revision;
    o->tree.touched_count = 0;
    o->tree.changes_count = 0;
    o->tree.bytes_before = o->tree.bytes;
    if (time_ms > o->tree.time_ms) {
        o->tree.time_ms = time_ms;
    }
}

void oracle__tree_rollback(struct oracle *o)
{
    struct oracle_tree *t = &o->tree;
    for (uint32_t i = 0; i < t->touched_count; i++) {
        struct oracle_node *n = t->touched[i];
        assert(n->count > 0 && n->versions[n->count - 1].revision == t->revision);
        n->count--;
    }
    t->touched_count = 0;
    t->changes_count = 0;
    t->bytes = t->bytes_before;
}

/* --- subtrees ----------------------------------------------------------------------------------- */

static bool is_below(struct coord_bytes path, struct coord_bytes top)
{
    if (top.len == 1) {
        return path.len > 1;
    }
    return path.len > top.len && path.data[top.len] == '/' &&
           memcmp(path.data, top.data, top.len) == 0;
}

void oracle__below(const struct oracle_tree *t, const struct oracle_node *n, uint32_t *ret_first,
                   uint32_t *ret_end)
{
    uint32_t first = place_of(t, n->path) + 1;
    uint32_t low = first;
    uint32_t high = t->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (is_below(t->sorted[mid]->path, n->path)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *ret_first = first;
    *ret_end = low;
}

void oracle__usage(const struct oracle_tree *t, const struct oracle_node *n, uint64_t revision,
                   struct coord_usage *ret_u)
{
    const struct oracle_version *v = oracle__version(n, revision);
    uint32_t first;
    uint32_t end;
    *ret_u = (struct coord_usage){1, v->data.len, v->quota_nodes, v->quota_bytes};
    oracle__below(t, n, &first, &end);
    for (uint32_t i = first; i < end; i++) {
        const struct oracle_version *b = oracle__version(t->sorted[i], revision);
        if (b != NULL) {
            ret_u->nodes++;
            ret_u->bytes += b->data.len;
        }
    }
}

bool oracle__quota_allows(const struct oracle_tree *t, const struct oracle_node *parent,
                          uint64_t nodes, uint64_t bytes)
{
    for (const struct oracle_node *n = parent; n != NULL; n = n->parent) {
        const struct oracle_version *v = oracle__now(n);
        if (v == NULL || (v->quota_nodes == 0 && v->quota_bytes == 0)) {
            continue;
        }
        struct coord_usage u;
        oracle__usage(t, n, UINT64_MAX, &u);
        if ((nodes > 0 && u.quota_nodes != 0 && u.nodes + nodes > u.quota_nodes) ||
            (bytes > 0 && u.quota_bytes != 0 && u.bytes + bytes > u.quota_bytes)) {
            return false;
        }
    }
    return true;
}
