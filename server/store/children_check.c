/* SPDX-License-Identifier: Apache-2.0 */
/*
 * children_check.c: are the invariants of children.h kept? For tests and store_check.
 */
#include "server/store/children_internal.h"
#include "server/store/znode.h"

static bool ascends(const struct znode *a, const struct znode *b)
{
    return children_name_compare(a->name, a->name_bytes, b->name, b->name_bytes) < 0;
}

/* What is wrong with the node at depth `depth` and its place under `up`, or NULL. */
static const char *check_one(const struct children *c, const void *at, uint32_t depth,
                             const struct znode *min, const struct znode **last)
{
    bool is_leaf = depth + 1 == c->height;
    uint32_t count =
        is_leaf ? ((const struct children_leaf *)at)->count : ((const struct inner *)at)->count;
    if (count == 0) {
        return "a node is empty";
    }
    if (min != NULL && node_min(at, is_leaf) != min) {
        return "a separator is not the smallest below it";
    }
    if (!is_leaf) {
        return NULL;
    }
    const struct children_leaf *l = at;
    if (l->count > l->cap || l->cap > CHILDREN_LEAF_MAX) {
        return "a leaf has the wrong room";
    }
    for (uint32_t i = 0; i < l->count; i++) {
        if (*last != NULL && !ascends(*last, l->items[i])) {
            return "names do not ascend";
        }
        *last = l->items[i];
    }
    return NULL;
}

const char *children_check(const struct children *c)
{
    const struct inner *node[CHILDREN_HEIGHT_MAX];
    uint32_t next[CHILDREN_HEIGHT_MAX];
    uint32_t depth = 0;
    uint64_t items = 0;
    const struct znode *last = NULL;
    if (c->height == 0) {
        return c->count == 0 && c->root == NULL ? NULL : "no tree, but items";
    }
    const void *at = c->root;
    const struct znode *min = NULL;
    for (;;) {
        const char *wrong = check_one(c, at, depth, min, &last);
        if (wrong != NULL) {
            return wrong;
        }
        if (depth + 1u < c->height) {
            node[depth] = at;
            next[depth++] = 0;
        } else {
            items += ((const struct children_leaf *)at)->count;
        }
        while (depth > 0 && next[depth - 1] == node[depth - 1]->count) {
            depth--;
        }
        if (depth == 0) {
            return items == c->count ? NULL : "the count is wrong";
        }
        min = node[depth - 1]->mins[next[depth - 1]];
        at = node[depth - 1]->kids[next[depth - 1]++];
    }
}
