/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_internal.h: what the files of server/store share and nobody else sees.
 */
#ifndef COORD_SERVER_STORE_STORE_INTERNAL_H
#define COORD_SERVER_STORE_STORE_INTERNAL_H

#include <stdint.h>
#include "protocol/message.h"
#include "server/store/arena.h"
#include "server/store/pool.h"
#include "server/store/slots.h"
#include "server/store/store.h"

/* Data no node holds any more, still pointed at by changes. */
struct store_dead {
    uint8_t *data;
    uint32_t bytes;
};

struct store {
    struct pool *pool;
    struct slots index; /* hash of a path -> node; "/" is not in it */
    struct znode *root;
    uint64_t revision;
    uint64_t time_ms;
    uint64_t nodes;
    uint64_t data_bytes;
    uint64_t name_bytes;
    struct coord_change *changes;
    uint32_t changes_count;
    uint32_t changes_cap;
    uint32_t dead_count;
    uint32_t dead_cap;
    struct store_dead *dead;
    struct arena paths; /* of the changes */
};

/* The last component of a path whose parent's has parent_len bytes. */
struct coord_bytes store_path_name(struct coord_bytes path, size_t parent_len);

/* A node that stands nowhere yet. Return: NULL when memory is out. */
struct znode *store_node_create(struct store *s, struct coord_bytes name, struct coord_bytes data);

/* Give back what nothing but this node holds; its data is the caller's to free or to keep. */
void store_node_free(struct store *s, struct znode *node);

/* The node's side struct, made when it has none. Return: NULL when memory is out. */
struct znode_extra *store_node_extra(struct store *s, struct znode *node);

/* Put a node under its parent and into the index. The path is its own. Return: 0 or COORD_ENOMEM. */
int store_node_place(struct store *s, struct znode *parent, struct znode *node,
                     struct coord_bytes path);

/* Put a node at the end of its owner's list. It has its side struct. */
void store_owned_link(struct store_owned *owned, struct znode *node);

#endif
