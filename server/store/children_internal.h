/* SPDX-License-Identifier: Apache-2.0 */
/*
 * children_internal.h: the inner nodes of the B+tree of children, for children.c and its check.
 */
#ifndef COORD_SERVER_STORE_CHILDREN_INTERNAL_H
#define COORD_SERVER_STORE_CHILDREN_INTERNAL_H

#include "server/store/children.h"

struct inner {
    uint32_t count;
    uint32_t reserved;
    struct znode *mins[CHILDREN_INNER_MAX];
    void *kids[CHILDREN_INNER_MAX];
};

/* The smallest item below a node. */
static inline struct znode *node_min(const void *node, bool is_leaf)
{
    if (is_leaf) {
        return ((const struct children_leaf *)node)->items[0];
    }
    return ((const struct inner *)node)->mins[0];
}

#endif
