/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modify.c: set and delete of one node, and delete of all that one owner has. Conditions are looked at before
 * anything changes.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/store/store.h"
#include "server/store/store_internal.h"
#include "server/store/znode.h"

int store_condition_check(const struct znode *node, const struct store_condition *cond)
{
    if (cond->version != COORD_VERSION_ANY &&
        (cond->version < 0 || (uint64_t)cond->version != node->version)) {
        return COORD_ECONDITION;
    }
    if (cond->modified != 0 && cond->modified != node->modify_revision) {
        return COORD_ECONDITION;
    }
    if (cond->created != 0 && cond->created != node->create_revision) {
        return COORD_ECONDITION;
    }
    return 0;
}

int store_set(struct store *s, struct coord_bytes path, struct coord_bytes data,
              const struct store_condition *cond, struct znode **ret_node)
{
    struct znode *node = store_find(s, path);
    if (node == NULL) {
        return COORD_ENONODE;
    }
    int rc = store_condition_check(node, cond);
    if (rc != 0) {
        return rc;
    }
    uint32_t bytes = data.data == NULL ? 0 : data.len;
    if (bytes > node->data_bytes) {
        rc = store_quota_admit(node, 0, bytes - node->data_bytes);
        if (rc != 0) {
            return rc;
        }
    }
    struct coord_bytes kept;
    if (!store_record_room(s) || !store_record_path(s, path, &kept)) {
        return COORD_ENOMEM;
    }
    uint8_t *copy = NULL;
    if (bytes > 0) {
        copy = pool_alloc(s->pool, bytes);
        if (copy == NULL) {
            return COORD_ENOMEM;
        }
        memcpy(copy, data.data, bytes);
    }
    store_guard_node(s, node);
    const struct store_former former = {.data = znode_data(node),
                                        .data_bytes = node->data_bytes,
                                        .absent = node->absent,
                                        .modify_revision = node->modify_revision,
                                        .modified_ms = node->modified_ms};
    struct coord_bytes previous = store_data(node);
    store_usage_add(s, node->parent, 0, (int64_t)bytes - (int64_t)node->data_bytes);
    znode_data_put(node, copy);
    node->data_bytes = bytes;
    node->absent = data.data == NULL;
    node->version++;
    node->modify_revision = s->revision;
    node->modified_ms = s->time_ms;
    store_due_update(s, node);
    store_record_set(s, &former, node, kept, previous);
    *ret_node = node;
    return 0;
}

int store_delete_node(struct store *s, struct znode *node, struct coord_bytes path)
{
    struct coord_bytes kept;
    if (!store_record_room(s) || !store_record_path(s, path, &kept)) {
        return COORD_ENOMEM;
    }
    store_guard_node(s, node);
    store_guard_node(s, node->parent);
    if (node->kind == COORD_NODE_EPHEMERAL) {
        store_guard_owned(s, znode_extra(node)->owned);
    }
    if (znode_extra(node) != NULL && znode_extra(node)->quota != NULL &&
        store_record_quota(s, kept) != 0) {
        return COORD_ENOMEM;
    }
    store_record_delete(s, node, kept);
    struct znode_extra *x = znode_extra(node->parent);
    store_node_displace(s, node, kept);
    x->child_version++;
    x->child_revision = s->revision;
    if (node->kind == COORD_NODE_EPHEMERAL) {
        store_owned_unlink(node);
    }
    return 0;
}

int store_delete(struct store *s, struct coord_bytes path, const struct store_condition *cond)
{
    struct znode *node = store_find(s, path);
    if (node == NULL) {
        return COORD_ENONODE;
    }
    if (node == s->root) {
        return COORD_ERESERVED;
    }
    int rc = store_condition_check(node, cond);
    if (rc != 0) {
        return rc;
    }
    if (znode_extra(node) != NULL && znode_extra(node)->children.count > 0) {
        return COORD_ENOTEMPTY;
    }
    return store_delete_node(s, node, path);
}

static uint32_t depth_of(const struct znode *node)
{
    uint32_t depth = 0;
    for (; node->parent != NULL; node = node->parent) {
        depth++;
    }
    return depth;
}

/* Path order, for nodes that have no children. */
static int owned_compare(const void *pa, const void *pb)
{
    const struct znode *a = *(struct znode *const *)pa;
    const struct znode *b = *(struct znode *const *)pb;
    uint32_t depth_a = depth_of(a);
    uint32_t depth_b = depth_of(b);
    for (; depth_a > depth_b; depth_a--) {
        a = a->parent;
    }
    for (; depth_b > depth_a; depth_b--) {
        b = b->parent;
    }
    while (a->parent != b->parent) {
        a = a->parent;
        b = b->parent;
    }
    return children_name_compare(a->name, a->name_bytes, b->name, b->name_bytes);
}

int store_delete_owned(struct store *s, struct store_owned *owned)
{
    if (owned->count == 0) {
        return 0;
    }
    size_t count = (size_t)owned->count;
    struct znode **nodes = malloc(count * sizeof(nodes[0]));
    if (nodes == NULL) {
        return COORD_ENOMEM;
    }
    size_t n = 0;
    for (struct znode *at = owned->first; at != NULL; at = znode_extra(at)->owned_next) {
        nodes[n++] = at;
    }
    assert(n == count);
    qsort(nodes, count, sizeof(nodes[0]), owned_compare);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        char path[COORD_PATH_BYTES_MAX];
        size_t len = store_path(nodes[i], path);
        rc = store_delete_node(s, nodes[i],
                               (struct coord_bytes){(const uint8_t *)path, (uint32_t)len});
    }
    free(nodes);
    return rc;
}
