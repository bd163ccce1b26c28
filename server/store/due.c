/* SPDX-License-Identifier: Apache-2.0 */
/*
 * due.c: the nodes that are removed by themselves: ttl nodes without children in a heap by their deadline,
 * containers that had children and have none in a list in the order in which they became empty.
 *
 * It is an index, no state: what is here follows from the tree, so a state that is loaded makes it anew, and
 * the order among equals decides nothing, as store_reap looks at the node alone. A node that is neither
 * costs nothing: the place in the heap and the links of the list lie where an ephemeral has its owner's.
 *
 * Leaves to others: when to look, and what to propose (server/node/reaper.c).
 *
 * Invariants
 *   1. In the heap: exactly the ttl nodes of the tree that have no children; heap[due_at - 1] is the node.
 *   2. In the list: exactly the containers of the tree that had a child and have none.
 *   3. heap_cap >= ttl_nodes, so that taking something back never needs memory for the heap.
 */
#include <assert.h>
#include <stdlib.h>
#include <coord/error.h>
#include "server/mutant.h"
#include "server/store/store.h"
#include "server/store/store_internal.h"
#include "server/store/znode.h"

#define HEAP_FIRST 64u

static uint64_t deadline(const struct znode *node)
{
    uint64_t since = SERVER_BUG(15) ? node->created_ms : node->modified_ms;
    uint64_t at = since + znode_extra(node)->ttl_ms;
    return at < since ? UINT64_MAX : at;
}

/* --- the heap ---------------------------------------------------------------------------------- */

static void heap_put(struct store_due *d, uint32_t i, struct znode *node)
{
    d->heap[i] = node;
    znode_extra(node)->due_at = (uint64_t)i + 1;
}

/* The item at i may be too early or too late for its place. */
static void heap_settle(struct store_due *d, uint32_t i)
{
    struct znode *node = d->heap[i];
    const uint64_t at = deadline(node);
    while (i > 0 && at < deadline(d->heap[(i - 1) / 2])) {
        heap_put(d, i, d->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (uint32_t below = 2 * i + 1; below < d->heap_count; below = 2 * i + 1) {
        if (below + 1 < d->heap_count && deadline(d->heap[below + 1]) < deadline(d->heap[below])) {
            below++;
        }
        if (at <= deadline(d->heap[below])) {
            break;
        }
        heap_put(d, i, d->heap[below]);
        i = below;
    }
    heap_put(d, i, node);
}

static void heap_add(struct store_due *d, struct znode *node)
{
    assert(d->heap_count < d->heap_cap);
    heap_put(d, d->heap_count++, node);
    heap_settle(d, d->heap_count - 1);
}

static void heap_remove(struct store_due *d, struct znode *node)
{
    uint32_t i = (uint32_t)(znode_extra(node)->due_at - 1);
    assert(i < d->heap_count);
    assert(d->heap[i] == node);
    struct znode *last = d->heap[--d->heap_count];
    znode_extra(node)->due_at = 0;
    if (last != node) {
        heap_put(d, i, last);
        heap_settle(d, i);
    }
}

int store_due_expect(struct store *s)
{
    struct store_due *d = &s->due;
    if (d->ttl_nodes < d->heap_cap) {
        return 0;
    }
    uint32_t cap = d->heap_cap == 0 ? HEAP_FIRST : d->heap_cap * 2;
    struct znode **heap = realloc(d->heap, (size_t)cap * sizeof(heap[0]));
    if (heap == NULL) {
        return COORD_ENOMEM;
    }
    d->heap = heap;
    d->heap_cap = cap;
    return 0;
}

void store_due_shrink(struct store *s)
{
    struct store_due *d = &s->due;
    if (d->heap_cap <= HEAP_FIRST || d->ttl_nodes >= d->heap_cap / 4) {
        return;
    }
    struct znode **heap = realloc(d->heap, (size_t)(d->heap_cap / 2) * sizeof(heap[0]));
    if (heap != NULL) {
        d->heap = heap;
        d->heap_cap /= 2;
    }
}

void store_due_finish(struct store *s)
{
    free(s->due.heap);
    s->due = (struct store_due){0};
}

/* --- what the tree tells ----------------------------------------------------------------------- */

static bool has_children(const struct znode *node)
{
    return znode_extra(node)->children.count > 0;
}

void store_due_update(struct store *s, struct znode *node)
{
    struct store_due *d = &s->due;
    const struct znode_extra *x = znode_extra(node);
    if (node->kind == COORD_NODE_TTL) {
        if (has_children(node)) {
            store_due_forget(s, node);
        } else if (x->due_at == 0) {
            heap_add(d, node);
        } else {
            heap_settle(d, (uint32_t)(x->due_at - 1));
        }
    } else if (node->kind == COORD_NODE_CONTAINER && x != NULL) {
        bool empty = x->sequence > 0 && !has_children(node);
        if (!empty) {
            store_due_forget(s, node);
        } else if (x->owned == NULL) {
            store_owned_link(&d->empty, node);
        }
    }
}

void store_due_forget(struct store *s, struct znode *node)
{
    if (node->kind == COORD_NODE_TTL && znode_extra(node)->due_at != 0) {
        heap_remove(&s->due, node);
    } else if (node->kind == COORD_NODE_CONTAINER && znode_extra(node) != NULL &&
               znode_extra(node)->owned != NULL) {
        assert(znode_extra(node)->owned == &s->due.empty);
        store_owned_unlink(node);
    }
}

/* --- questions and removal --------------------------------------------------------------------- */

uint64_t store_ttl_next(const struct store *s)
{
    return s->due.heap_count == 0 ? UINT64_MAX : deadline(s->due.heap[0]);
}

uint32_t store_ttl_due(const struct store *s, uint64_t time_ms, const struct znode **out,
                       uint32_t max)
{
    const struct store_due *d = &s->due;
    uint32_t count = 0;
    if (max > 0 && d->heap_count > 0 && deadline(d->heap[0]) <= time_ms) {
        out[count++] = d->heap[0];
    }
    /* What is found is itself the queue of places whose children are to be looked at. */
    for (uint32_t i = 0; i < count; i++) {
        uint64_t below = znode_extra(out[i])->due_at * 2 - 1;
        for (uint64_t k = below; k < below + 2 && k < d->heap_count && count < max; k++) {
            if (deadline(d->heap[k]) <= time_ms) {
                out[count++] = d->heap[k];
            }
        }
    }
    return count;
}

uint64_t store_empty_count(const struct store *s)
{
    return s->due.empty.count;
}

const struct znode *store_empty_next(const struct store *s, const struct znode *after)
{
    return after == NULL ? s->due.empty.first : znode_extra(after)->owned_next;
}

int store_reap(struct store *s, struct coord_bytes path, uint64_t create_revision, bool *ret_gone)
{
    struct znode *node = store_find(s, path);
    *ret_gone = false;
    if (node == NULL || node->create_revision != create_revision) {
        return 0;
    }
    bool due = false;
    if (node->kind == COORD_NODE_TTL) {
        due = !has_children(node) && s->time_ms >= deadline(node);
    } else if (node->kind == COORD_NODE_CONTAINER) {
        due = znode_extra(node) != NULL && znode_extra(node)->sequence > 0 && !has_children(node);
    }
    int rc = due ? store_delete_node(s, node, path) : 0;
    *ret_gone = due && rc == 0;
    return rc;
}

/* --- checking ---------------------------------------------------------------------------------- */

void store_due_count(const struct store *s, const struct znode *node, struct store_due_census *c)
{
    const struct znode_extra *x = znode_extra(node);
    if (node->kind == COORD_NODE_TTL) {
        bool in = x->due_at > 0;
        c->ttl_nodes++;
        c->ttl_due += in;
        c->wrong = c->wrong || in == has_children(node) ||
                   (in && (x->due_at > s->due.heap_count || s->due.heap[x->due_at - 1] != node));
    } else if (node->kind == COORD_NODE_CONTAINER && x != NULL) {
        bool in = x->owned == &s->due.empty;
        c->empty += in;
        c->wrong =
            c->wrong || in != (x->sequence > 0 && !has_children(node)) || (!in && x->owned != NULL);
    }
}

const char *store_due_check(const struct store *s, const struct store_due_census *c)
{
    const struct store_due *d = &s->due;
    if (c->wrong || c->ttl_due != d->heap_count || c->empty != d->empty.count) {
        return "the index of what is removed by itself does not fit the tree";
    }
    if (c->ttl_nodes != d->ttl_nodes || d->heap_cap < d->ttl_nodes) {
        return "the number of ttl nodes is wrong";
    }
    for (uint32_t i = 1; i < d->heap_count; i++) {
        if (deadline(d->heap[i]) < deadline(d->heap[(i - 1) / 2])) {
            return "the heap of deadlines is out of order";
        }
    }
    uint64_t count = 0;
    const struct znode *last = NULL;
    for (const struct znode *at = d->empty.first; at != NULL; at = znode_extra(at)->owned_next) {
        if (znode_extra(at)->owned_prev != last || count++ == d->empty.count) {
            return "the list of empty containers is broken";
        }
        last = at;
    }
    return count == d->empty.count && last == d->empty.last
               ? NULL
               : "the list of empty containers is broken";
}
