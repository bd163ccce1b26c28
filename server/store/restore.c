/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.c: nodes as they were, for loading a saved state. The caller has checked what it gives: that
 * stats and counters can be, and that nodes come in path order.
 *
 * The index of a million nodes does not fit into the processor's caches, and each node lands elsewhere in
 * it: nodes are gathered by where they go and put there many at a time (slots_fill.h).
 */
#include <assert.h>
#include <string.h>
#include <coord/error.h>
#include "server/store/slots_fill.h"
#include "server/store/store.h"
#include "server/store/store_internal.h"
#include "server/store/znode.h"

int store_expect(struct store *s, uint64_t nodes)
{
    assert(s->nodes == 1);
    int rc = slots_presize(&s->index, nodes);
    if (rc == 0 && store_is_large(s)) {
        s->fill = slots_fill_create(&s->index);
        rc = s->fill == NULL ? COORD_ENOMEM : 0;
    }
    return rc;
}

/* Give "/" the data it had. */
static int root_restore(struct store *s, struct coord_bytes data)
{
    struct znode *root = s->root;
    assert(znode_data(root) == NULL);
    if (data.data == NULL) {
        return 0;
    }
    root->absent = 0;
    if (data.len > 0) {
        uint8_t *copy = pool_alloc(s->pool, data.len);
        if (copy == NULL) {
            return COORD_ENOMEM;
        }
        memcpy(copy, data.data, data.len);
        znode_data_put(root, copy);
        root->data_bytes = data.len;
        s->data_bytes += data.len;
    }
    return 0;
}

static int stat_restore(struct store *s, const struct store_restore_args *a, struct znode *node)
{
    node->kind = (uint8_t)a->stat.kind;
    node->create_revision = a->stat.create_revision;
    node->modify_revision = a->stat.modify_revision;
    node->version = a->stat.version;
    node->created_ms = a->stat.created_ms;
    node->modified_ms = a->stat.modified_ms;
    int rc = store_quota_put(s, node, a->quota_nodes, a->quota_bytes);
    if (rc != 0 || (a->sequence == 0 && a->owned == NULL && a->stat.ttl_ms == 0)) {
        return rc;
    }
    struct znode_extra *x = store_node_extra(s, node);
    if (x == NULL) {
        return COORD_ENOMEM;
    }
    x->sequence = a->sequence;
    x->child_version = a->stat.child_version;
    x->child_revision = a->stat.child_revision;
    x->ttl_ms = a->stat.ttl_ms;
    return 0;
}

void store_restore_end(struct store *s)
{
    slots_fill_end(s->fill);
    s->fill = NULL;
}

static int restore(struct store *s, const struct store_restore_args *a, struct znode **ret_node)
{
    int rc;
    struct znode *node = s->root;
    if (a->parent == NULL) {
        rc = root_restore(s, a->data);
        if (rc == 0) {
            rc = stat_restore(s, a, node);
        }
        *ret_node = node;
        return rc;
    }
    size_t parent_len = coord_path_parent_len((const char *)a->path.data, a->path.len);
    node = store_node_create(s, store_path_name(a->path, parent_len), a->data);
    if (node == NULL) {
        return COORD_ENOMEM;
    }
    rc = stat_restore(s, a, node);
    if (rc == 0) {
        rc = store_node_place_last(s, a->parent, node, a->path);
    }
    if (rc != 0) {
        pool_free(s->pool, znode_data(node), node->data_bytes);
        store_node_free(s, node);
        return rc;
    }
    if (a->owned != NULL) {
        store_owned_link(a->owned, node);
    }
    *ret_node = node;
    return 0;
}

int store_restore(struct store *s, const struct store_restore_args *a, struct znode **ret_node)
{
    int rc = restore(s, a, ret_node);
    if (rc == 0 && (a->quota_nodes != 0 || a->quota_bytes != 0)) {
        rc = store_record_quota(s, a->path);
    }
    return rc;
}
