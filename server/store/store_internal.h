/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_internal.h: what the files of server/store share and nobody else sees.
 */
#ifndef COORD_SERVER_STORE_STORE_INTERNAL_H
#define COORD_SERVER_STORE_STORE_INTERNAL_H

#include <stdint.h>
#include "protocol/message.h"
#include "server/store/arena.h"
#include "server/store/children.h"
#include "server/store/pool.h"
#include "server/store/slots.h"
#include "server/store/store.h"

/* Data no node holds any more, still pointed at by changes. */
struct store_dead {
    uint8_t *data;
    uint32_t bytes;
};

/* What a set replaced. */
struct store_former {
    uint8_t *data;
    uint32_t data_bytes;
    uint8_t absent;
    uint64_t modify_revision;
    uint64_t modified_ms;
};

enum store_undo_kind { STORE_UNDO_CREATE = 1, STORE_UNDO_SET, STORE_UNDO_DELETE };

/* How to take back one change. */
struct store_undo {
    enum store_undo_kind kind;
    struct znode *node;
    uint64_t child_revision;    /* CREATE, DELETE: of the parent, before */
    struct store_owned *owned;  /* DELETE: of an ephemeral */
    struct store_former former; /* SET */
};

/* The index of what is removed by itself: due.c. */
struct store_due {
    struct znode **heap; /* ttl nodes without children, the earliest deadline first */
    uint32_t heap_count;
    uint32_t heap_cap;
    uint32_t ttl_nodes;       /* of the tree */
    struct store_owned empty; /* containers that had children; owner 0 */
};

/* What a walk met, to be compared with the index. */
struct store_due_census {
    uint64_t ttl_nodes;
    uint64_t ttl_due;
    uint64_t empty;
    bool wrong;
};

#define STORE_AHEAD 8u /* paths are named so many operations before they are needed */

struct store {
    struct pool *pool;
    struct slots index; /* hash of a path -> node; "/" is not in it */
    struct znode *root;
    struct store_due due;
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
    struct store_undo *undo;
    uint32_t undo_count;
    uint32_t undo_cap;
    struct coord_bytes *touched; /* paths whose quotas changed */
    uint32_t touched_count;
    uint32_t touched_cap;
    struct arena paths;              /* of the changes, and scratch of one operation */
    struct slots_fill *fill;         /* while restoring; NULL: not needed */
    const struct store_guard *guard; /* NULL: none */
    struct znode *last_parent;       /* of the last create ... */
    struct children_near near;       /* ... and where it was put; store_forget_near */
    uint32_t ahead[STORE_AHEAD];     /* hashes of the paths named last, a ring; 0: none */
    uint32_t ahead_next;
};

/* Something is taken out, or put in otherwise: nothing is known of the last create any more. */
static inline void store_forget_near(struct store *s)
{
    s->last_parent = NULL;
    s->near = (struct children_near){0};
}

/* Is this the path of the node, which is in the tree? */
bool store_node_is_at(const struct znode *node, struct coord_bytes path);

/* The node is about to change or to go. */
static inline void store_guard_node(const struct store *s, const struct znode *node)
{
    if (__builtin_expect(s->guard != NULL, 0)) {
        s->guard->node(s->guard->arg, node);
    }
}

/* One is about to be added to what the owner has, or taken out. */
static inline void store_guard_owned(const struct store *s, const struct store_owned *owned)
{
    if (__builtin_expect(s->guard != NULL, 0)) {
        s->guard->owned(s->guard->arg, owned);
    }
}

/* --- node.c ------------------------------------------------------------------------------------ */

/* The last component of a path whose parent's has parent_len bytes. */
struct coord_bytes store_path_name(struct coord_bytes path, size_t parent_len);

/* A node that stands nowhere yet. Return: NULL when memory is out. */
struct znode *store_node_create(struct store *s, struct coord_bytes name, struct coord_bytes data);

/* Give back what nothing but this node holds; its data is the caller's to free or to keep. */
void store_node_free(struct store *s, struct znode *node);

/* The node's side struct, made when it has none. Return: NULL when memory is out. */
struct znode_extra *store_node_extra(struct store *s, struct znode *node);

/* Put a node under its parent and into the index; the counts of the subtrees follow. The path is its own.
 * Return: 0 or COORD_ENOMEM. */
int store_node_place(struct store *s, struct znode *parent, struct znode *node,
                     struct coord_bytes path);
/* The same for a node behind all children of its parent; it goes into the index later, at store_restore_end
 * at the latest. */
int store_node_place_last(struct store *s, struct znode *parent, struct znode *node,
                          struct coord_bytes path);
/* Take it out again; it keeps its parent. */
void store_node_displace(struct store *s, struct znode *node, struct coord_bytes path);

/* So many nodes and bytes of data came or went below `from` and all above it (NULL: the data of "/"). */
void store_usage_add(struct store *s, struct znode *from, int64_t nodes, int64_t bytes);

/* Put a node at the end of its owner's list, or take it out. It has its side struct. */
void store_owned_link(struct store_owned *owned, struct znode *node);
void store_owned_unlink(struct znode *node);

/* --- create.c, modify.c ------------------------------------------------------------------------ */

/* Create one node under a parent that may have it, and tell it. Return: 0 or COORD_ENOMEM. */
int store_create_under(struct store *s, struct znode *parent, const struct store_create_args *a,
                       struct coord_bytes path, struct znode **ret_node);

/* Delete a node without children, and tell it. path is its own. Return: 0 or COORD_ENOMEM. */
int store_delete_node(struct store *s, struct znode *node, struct coord_bytes path);

/* Return: 0 or COORD_ECONDITION. */
int store_condition_check(const struct znode *node, const struct store_condition *cond);

/* Would so much more under `parent` keep within the quotas there and above? Return: 0 or COORD_EQUOTA. */
int store_quota_admit(const struct znode *parent, uint64_t nodes, uint64_t bytes);

/* --- due.c ------------------------------------------------------------------------------------- */

/* Room for one more ttl node in the tree. Return: 0 or COORD_ENOMEM. */
int store_due_expect(struct store *s);
/* Give back what has not been needed for long; nothing is to be taken back any more. */
void store_due_shrink(struct store *s);
void store_due_finish(struct store *s);
/* The node stands in the tree, and its children, its time or its counters changed: put it into the index or
 * out of it. Any kind. */
void store_due_update(struct store *s, struct znode *node);
/* It leaves the tree. Any kind. */
void store_due_forget(struct store *s, struct znode *node);
/* Count one node met by a walk; then compare. Return: NULL, or what is wrong. */
void store_due_count(const struct store *s, const struct znode *node, struct store_due_census *c);
const char *store_due_check(const struct store *s, const struct store_due_census *c);

/* --- subtree.c --------------------------------------------------------------------------------- */

/* Give a node its quota without a word about it: 0 and 0: none. Return: 0 or COORD_ENOMEM. */
int store_quota_put(struct store *s, struct znode *node, uint64_t nodes, uint64_t bytes);

/* --- record.c ---------------------------------------------------------------------------------- */

/* Room for the record of one more change. Return: false when memory is out. */
bool store_record_room(struct store *s);
/* A copy of path that lives as long as the changes do. Return: false when memory is out. */
bool store_record_path(struct store *s, struct coord_bytes path, struct coord_bytes *ret_kept);
/* Write down what was done, after store_record_room. path: kept. CREATE and DELETE: called before the
 * parent's counters move; DELETE: before the node leaves its owner's list. */
void store_record_create(struct store *s, struct znode *node, struct coord_bytes path);
void store_record_set(struct store *s, const struct store_former *former, struct znode *node,
                      struct coord_bytes path, struct coord_bytes previous);
void store_record_delete(struct store *s, struct znode *node, struct coord_bytes path);
/* The quota at path (which is copied) may have changed. Return: 0 or COORD_ENOMEM. */
int store_record_quota(struct store *s, struct coord_bytes path);
/* Forget it all: what was kept for it goes. */
void store_record_reset(struct store *s);

#endif
