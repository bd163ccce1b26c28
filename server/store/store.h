/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h: the tree of znodes. Pure: what it holds is decided by the calls made to it and their order.
 *
 * The store knows paths, data, stats and kinds. It leaves to others: sessions (an ephemeral is put in
 * the list of its owner, and that is all that is known here), rights, what a request looks like, when
 * time is up.
 *
 * How a change is made: store_begin says at which revision and time; then any number of store_create,
 * store_set, store_delete and the like; then store_changes tells what happened, for watches, or
 * store_rollback takes all of it back.
 *
 * Invariants
 *   1. A refused operation changes nothing: not the tree, not a counter, not a stat. There are two
 *      exceptions: store_rename refused with COORD_EQUOTA is to be followed by store_rollback; and after
 *      COORD_ENOMEM the store is fit for store_destroy and nothing else.
 *   2. Every node but "/" has a parent, which is not ephemeral.
 *   3. Stats are those of service.md: create_revision = modify_revision = child_revision at create,
 *      child_revision moves on create and delete of a direct child only, child_version counts those,
 *      the sequence counter counts the creates and never goes back.
 *
 * Path order, here and in snapshots, is the order in which a walk of the tree meets the nodes: parent
 * before child, children by the bytes of their names.
 *
 * Threads: none; one owner.
 */
#ifndef COORD_SERVER_STORE_STORE_H
#define COORD_SERVER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "protocol/message.h"
#include "server/store/children.h"
#include "server/store/pool.h"

struct store;
struct znode;

/* Versions and counters stay below this, so that none wraps or leaves the range of int64_t. */
#define STORE_COUNTER_MAX ((uint64_t)1 << 62)

/* The nodes of one owner, oldest first. Lies in the owner; the store links nodes in and out. */
struct store_owned {
    uint64_t owner; /* session */
    uint64_t count;
    uint64_t expected; /* while loading: how many more are to come; else 0 */
    struct znode *first;
    struct znode *last;
};

/* Memory comes from p, which must outlive the store. Return: NULL when memory is out. */
struct store *store_create_empty(struct pool *p);
void store_destroy(struct store *s);

/* --- changes ----------------------------------------------------------------------------------- */

/* What follows happens at this revision and time (milliseconds). Changes told before become invalid.
 * Neither goes back: revision exceeds those before. */
void store_begin(struct store *s, uint64_t revision, uint64_t time_ms);

struct store_create_args {
    struct coord_bytes path; /* valid by coord_path_check */
    struct coord_bytes data;
    enum coord_node_kind kind;
    bool sequential;
    bool parents;
    uint64_t ttl_ms;           /* of kind TTL, else 0 */
    struct store_owned *owned; /* of kind EPHEMERAL, else NULL */
};

/* Errors: COORD_EEXISTS, COORD_ENONODE (no parent), COORD_EEPHEMERAL (the parent is), COORD_EBADPATH (the
 * name with its number is too long), COORD_ELIMIT (the counter is used up), COORD_EQUOTA, COORD_ENOMEM.
 * Return: 0 or negative; on 0 *ret_node, and *ret_sequence (0 when not sequential). */
int store_create(struct store *s, const struct store_create_args *a, struct znode **ret_node,
                 uint64_t *ret_sequence);

/* What must hold of a node for a conditional set or delete. */
struct store_condition {
    int64_t version;   /* COORD_VERSION_ANY: any */
    uint64_t modified; /* modify_revision; 0 any */
    uint64_t created;  /* create_revision; 0 any */
};

/* Errors: COORD_ENONODE, COORD_ECONDITION, COORD_EQUOTA, COORD_ENOMEM. Return: 0 or negative. */
int store_set(struct store *s, struct coord_bytes path, struct coord_bytes data,
              const struct store_condition *cond, struct znode **ret_node);

/* Errors: COORD_ENONODE, COORD_ECONDITION, COORD_ENOTEMPTY, COORD_ERESERVED ("/"), COORD_ENOMEM. */
int store_delete(struct store *s, struct coord_bytes path, const struct store_condition *cond);

/* Delete every node of this owner, in path order. Errors: COORD_ENOMEM. Return: 0 or negative. */
int store_delete_owned(struct store *s, struct store_owned *owned);

/* The same with all below it, as one change; *ret_count nodes are gone. Errors: those of store_delete but
 * ENOTEMPTY; COORD_ELIMIT (it has more than `limit` nodes). */
int store_delete_subtree(struct store *s, struct coord_bytes path,
                         const struct store_condition *cond, uint64_t limit, uint64_t *ret_count);

struct store_rename_args {
    struct coord_bytes from;
    struct coord_bytes to; /* both valid by coord_path_check */
    struct store_condition cond;
    uint64_t limit; /* nodes of the subtree, at most */
};

/* Give a node and all below it another path: deleted there and created here, at one revision (subtree.c).
 * Errors: COORD_ENONODE (no such node, or no parent for the new path), COORD_EEXISTS, COORD_EEPHEMERAL,
 * COORD_ECONDITION, COORD_EINSIDE (to is below from), COORD_ELIMIT, COORD_EBADPATH (a path would be too
 * long), COORD_EQUOTA (roll back), COORD_ERESERVED ("/"), COORD_ENOMEM. */
int store_rename(struct store *s, const struct store_rename_args *a, struct znode **ret_node,
                 uint64_t *ret_count);

/* Take back everything since store_begin; there are no changes then. Errors: COORD_ENOMEM. */
int store_rollback(struct store *s);

/* The changes since store_begin, in order. Valid until the next store_begin. */
const struct coord_change *store_changes(const struct store *s, uint32_t *ret_count);

/* --- owners ------------------------------------------------------------------------------------ */

/* The nodes of this owner whose paths stand behind `after` (empty: all), the first `max` of them in path order;
 * *ret_more: there are others. after need not be the path of a node. Valid until the next change. Cost: linear
 * in what the owner has, times the logarithm of max. Return: how many. */
uint32_t store_owned_page(const struct store_owned *owned, struct coord_bytes after,
                          const struct znode **out, uint32_t max, bool *ret_more);

/* --- subtrees ---------------------------------------------------------------------------------- */

/* What a node and all below it hold, and may hold (0: any). */
struct store_usage {
    uint64_t nodes;
    uint64_t bytes; /* of data */
    uint64_t quota_nodes;
    uint64_t quota_bytes;
};
void store_usage(const struct znode *node, struct store_usage *ret_usage);

/* What may be under this node, itself included; 0 and 0: anything. What is there already stays, even if it
 * is more. It goes with the node. Errors: COORD_ENOMEM. Return: 0 or negative. */
int store_quota_set(struct store *s, struct znode *node, uint64_t nodes, uint64_t bytes);

/* Paths of nodes that were given a quota, or lost one, or went or came with one, since store_begin, or since the
 * store was made when it was restored; each perhaps more than once. Valid until the next store_begin. */
const struct coord_bytes *store_quotas_touched(const struct store *s, uint32_t *ret_count);

/* --- what is removed by itself -------------------------------------------------------------------- */

/* When the first ttl node without children will not have been modified for its ttl (milliseconds, by the
 * clock of store_begin); UINT64_MAX: there is none. Cost: constant. */
uint64_t store_ttl_next(const struct store *s);

/* Fill out with ttl nodes for which that time has come by time_ms, at most `max`, in no order; they are valid
 * until the next change. Cost: linear in what is found. Return: how many. */
uint32_t store_ttl_due(const struct store *s, uint64_t time_ms, const struct znode **out,
                       uint32_t max);

/* Containers that had children and have none: how many, and one after the other (after NULL: the first), those
 * that have been so for longest first, except after a load. */
uint64_t store_empty_count(const struct store *s);
const struct znode *store_empty_next(const struct store *s, const struct znode *after);

/* Delete the node at path if it was created at that revision and is due: a container that had children and has
 * none, or a ttl node without children, unmodified for its ttl by the time of store_begin. Anything else is no
 * error: nothing happens. Errors: COORD_ENOMEM. Return: 0 or negative. */
int store_reap(struct store *s, struct coord_bytes path, uint64_t create_revision, bool *ret_gone);

/* --- reading ----------------------------------------------------------------------------------- */

/* Return: the node, or NULL. One hash probe. */
struct znode *store_find(const struct store *s, struct coord_bytes path);

/* This path is looked for, or created, about eight calls of store_ahead later: have in the processor's caches by
 * then what that will touch. Of use in a tree that is too large for them; changes nothing, and any bytes will do. */
void store_ahead(struct store *s, struct coord_bytes path);
bool store_is_large(const struct store *s);
struct znode *store_root(const struct store *s);
void store_stat(const struct znode *node, struct coord_node_stat *ret_stat);
uint64_t store_children(const struct znode *node);       /* how many: those of its stat */
struct coord_bytes store_data(const struct znode *node); /* valid until the next store_begin */
struct coord_bytes store_name(const struct znode *node); /* valid while the node lives */
/* Write the node's path. Return: its bytes, at most COORD_PATH_BYTES_MAX. */
size_t store_path(const struct znode *node, char out[COORD_PATH_BYTES_MAX]);

uint64_t store_nodes(const struct store *s);      /* "/" included */
uint64_t store_data_bytes(const struct store *s); /* of all nodes */
uint64_t store_name_bytes(const struct store *s); /* of all nodes */
/* Bytes of the index from path to node, and of that of ttl nodes; with pool_bytes that is all the store takes. */
uint64_t store_index_bytes(const struct store *s);

/* --- walking, in path order --------------------------------------------------------------------- */

#define STORE_DEPTH_MAX (COORD_PATH_BYTES_MAX / 2)

struct store_walk_level {
    const struct znode *parent;
    struct children_cursor cursor;
};

/* A walk below `top`, which is not met itself. Invalid after any change. */
struct store_walk {
    const struct znode *top;
    bool deep; /* below children too */
    uint32_t depth;
    struct store_walk_level level[STORE_DEPTH_MAX + 1];
};

/* Start behind `after`, a path relative to top ("b/c"; without deep: a name) that need not exist;
 * absent or empty: from the start. */
void store_walk_begin(struct store_walk *w, const struct znode *top, bool deep,
                      struct coord_bytes after);

/* The next node. Its depth below top (1: a child) is *ret_depth. Return: NULL at the end. */
const struct znode *store_walk_next(struct store_walk *w, uint32_t *ret_depth);

/* --- guarding ----------------------------------------------------------------------------------- */

/* Who must see a node, or what an owner has, as it was before it changes (a copy of the state that is made
 * while changes go on). Told before every change; the same one may be told many times. What is taken back
 * by store_rollback is told of only when it is done. */
struct store_guard {
    void *arg;
    void (*node)(void *arg, const struct znode *node);         /* it changes or goes */
    void (*owned)(void *arg, const struct store_owned *owned); /* one comes or goes */
};

/* g: NULL for none; borrowed until the next call. Cost without one: a branch per change. */
void store_guard_set(struct store *s, const struct store_guard *g);

/* --- restoring ---------------------------------------------------------------------------------- */

/* Make room in the index for so many nodes, in a store that has none. Errors: COORD_ENOMEM. Return: 0 or
 * negative. */
int store_expect(struct store *s, uint64_t nodes);

/* A node with all it holds, for loading what was saved. */
struct store_restore_args {
    struct znode *parent;    /* NULL: "/", which exists and takes on what is given */
    struct coord_bytes path; /* whose last component is the name, behind all children of parent */
    struct coord_bytes data;
    struct coord_node_stat stat; /* children and data_bytes are not read */
    uint64_t sequence;
    uint64_t quota_nodes;
    uint64_t quota_bytes;
    struct store_owned *owned;
};

/* Put one node back. Its stats are taken as they are, those of the parent do not change: the caller has
 * checked them and the order. Errors: COORD_ENOMEM. Return: 0 or negative. */
int store_restore(struct store *s, const struct store_restore_args *a, struct znode **ret_node);

/* That was the last one: now nodes can be found. */
void store_restore_end(struct store *s);

/* The sequence counter of a node: creates below it so far. */
uint64_t store_sequence(const struct znode *node);

/* Check invariants 2 and those of znode.h over the whole tree, for tests. Return: NULL, or what is
 * wrong. Cost: linear. */
const char *store_check(const struct store *s);

#endif
