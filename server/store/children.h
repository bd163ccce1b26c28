/* SPDX-License-Identifier: Apache-2.0 */
/*
 * children.h: the children of one node in order of their names (bytes, then length): a B+tree of
 * pointers to nodes. Insert, delete and seek cost O(log n); a short list is one small array.
 *
 * Invariants
 *   1. Items of a leaf, and leaves among each other, ascend strictly by name.
 *   2. mins[i] of an inner node is the smallest item under kids[i]; no leaf and no inner node is empty.
 *   3. All leaves have the same depth, `height`; each has room for at most CHILDREN_LEAF_MAX items.
 *
 * Threads: none; one owner. Nodes and memory are the caller's pool's.
 */
#ifndef COORD_SERVER_STORE_CHILDREN_H
#define COORD_SERVER_STORE_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;
struct znode;

#define CHILDREN_LEAF_MAX   126 /* items; its bytes are just below POOL_SMALL_MAX */
#define CHILDREN_INNER_MAX  32  /* kids */
#define CHILDREN_HEIGHT_MAX 16  /* 2^32 items need 11 at the sparsest that remove leaves behind */

struct children_leaf {
    uint16_t count;
    uint16_t cap;
    uint32_t reserved;
    struct znode *items[];
};

struct children {
    void *root;     /* a leaf when height is 1, an inner node above */
    uint32_t count; /* of all items */
    uint8_t height; /* 0: no items */
};

/* A place in the order. Valid until the next insert or remove. */
struct children_cursor {
    const struct children_leaf *leaf; /* NULL: behind the last */
    uint32_t pos;
};

/* How names compare: negative, 0, positive. */
int children_name_compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes);

/* Where the last insert was; zero: nowhere. Whoever changes any of the trees in another way, or gives one up, makes it
 * zero. */
struct children_near {
    const struct children *tree;
    struct children_leaf *leaf;
};

/* Add a node whose name is not there. near: of all trees of one owner; spares the way when names come one beside
 * the other. Return: 0, or COORD_ENOMEM with nothing changed. */
int children_insert(struct children *c, struct pool *p, struct znode *node,
                    struct children_near *near);

/* The same for a name that is behind all others: nothing is compared. */
int children_append(struct children *c, struct pool *p, struct znode *node);

/* Take out a node that is there. Needs no memory. */
void children_remove(struct children *c, struct pool *p, const struct znode *node);

/* Take out the last one: nothing is compared, nor are sparse nodes joined, as all are to go.
 * Return: NULL when there is none. Needs no memory. */
struct znode *children_pop(struct children *c, struct pool *p);

/* Forget all items. */
void children_clear(struct children *c, struct pool *p);

/* Place the cursor at the first item whose name is not before (beyond: is behind) this one. */
void children_seek(const struct children *c, const char *name, size_t name_bytes, bool beyond,
                   struct children_cursor *ret_cur);
void children_first(const struct children *c, struct children_cursor *ret_cur);

/* The item at the cursor, which moves on. Return: NULL at the end. */
struct znode *children_next(const struct children *c, struct children_cursor *cur);

/* Return: the child of that name, or NULL. */
struct znode *children_find(const struct children *c, const char *name, size_t name_bytes);

/* Check the invariants above, for tests. Return: NULL, or what is wrong. */
const char *children_check(const struct children *c);

#endif
