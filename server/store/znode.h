/* SPDX-License-Identifier: Apache-2.0 */
/*
 * znode.h: how a node lies in memory. Only server/store and the machine's snapshot code look inside.
 *
 * The common node is 63 bytes and its name; what few nodes have (children, an owner, a time to live)
 * stands in a side struct, where their data is named too. The path is not stored: it is the names of the ancestors.
 *
 * Invariants
 *   1. A node without a side struct never had a child, has no owner, no ttl and no quota.
 *   2. data is NULL exactly when data_bytes is 0; absent tells absent from empty.
 *   3. Only kind EPHEMERAL has an owner, only kind TTL a ttl_ms; an ephemeral never has children. What stands
 *      in the union, and in the links behind it, is told by the kind alone.
 *   4. sequence = creates of children, child_version = creates + deletes, hence
 *      children.count = 2 * sequence - child_version.
 *   5. below_nodes and below_bytes are the sums over all descendants.
 */
#ifndef COORD_SERVER_STORE_ZNODE_H
#define COORD_SERVER_STORE_ZNODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "server/store/children.h"

struct store_owned;

/* What a subtree may hold at most, the node it is set on included; 0: any. */
struct znode_quota {
    uint64_t nodes;
    uint64_t bytes;
};

struct znode_extra {
    uint8_t *data;
    struct children children;
    uint64_t sequence;
    uint64_t child_version;
    uint64_t child_revision;
    uint64_t below_nodes;      /* of the subtree, without this node */
    uint64_t below_bytes;      /* of their data */
    struct znode_quota *quota; /* NULL: none */
    uint64_t ttl_ms;
    union {
        struct store_owned
            *owned;      /* EPHEMERAL: its owner's list; CONTAINER: that of empty ones, or NULL */
        uint64_t due_at; /* TTL: its place in the heap of deadlines plus 1; 0: not in it */
    };
    struct znode *owned_prev;
    struct znode *owned_next;
};

struct znode {
    struct znode *parent; /* NULL: the root */
    union {
        struct znode_extra *extra; /* when it is extended */
        uint8_t *data;
    } side;
    uint64_t create_revision;
    uint64_t modify_revision;
    uint64_t version;
    uint64_t created_ms;
    uint64_t modified_ms;
    uint32_t data_bytes;
    uint8_t kind; /* enum coord_node_kind */
    bool absent : 1;
    bool extended : 1;
    uint8_t name_bytes;
    char name[];
};

_Static_assert(offsetof(struct znode, name) == 63, "the common node is 63 bytes and its name");

/* The side struct, or NULL. */
static inline struct znode_extra *znode_extra(const struct znode *node)
{
    return node->extended ? node->side.extra : NULL;
}

static inline uint8_t *znode_data(const struct znode *node)
{
    return node->extended ? node->side.extra->data : node->side.data;
}

/* What was there is the caller's. */
static inline void znode_data_put(struct znode *node, uint8_t *data)
{
    if (node->extended) {
        node->side.extra->data = data;
    } else {
        node->side.data = data;
    }
}

#endif
