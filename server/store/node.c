/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c: one node apart from any operation: making it, its side struct, its place in the tree and in the
 * index, its owner's list, and what the subtrees that it is in hold (below_nodes, below_bytes).
 */
#include <assert.h>
#include <string.h>
#include <coord/error.h>
#include "server/store/slots_fill.h"
#include "server/store/store.h"
#include "server/store/store_internal.h"
#include "server/store/znode.h"

struct znode *store_node_create(struct store *s, struct coord_bytes name, struct coord_bytes data)
{
    assert(name.len <= COORD_NAME_BYTES_MAX);
    struct znode *node = pool_alloc(s->pool, offsetof(struct znode, name) + name.len);
    if (node == NULL) {
        return NULL;
    }
    memset(node, 0, offsetof(struct znode, name));
    memcpy(node->name, name.data, name.len);
    node->name_bytes = (uint8_t)name.len;
    node->absent = data.data == NULL;
    if (data.data != NULL && data.len > 0) {
        node->side.data = pool_alloc(s->pool, data.len);
        if (node->side.data == NULL) {
            store_node_free(s, node);
            return NULL;
        }
        memcpy(node->side.data, data.data, data.len);
        node->data_bytes = data.len;
    }
    return node;
}

struct znode_extra *store_node_extra(struct store *s, struct znode *node)
{
    if (node->extended) {
        return node->side.extra;
    }
    struct znode_extra *x = pool_alloc(s->pool, sizeof(*x));
    if (x != NULL) {
        memset(x, 0, sizeof(*x));
        x->child_revision = node->create_revision;
        x->data = node->side.data;
        node->side.extra = x;
        node->extended = true;
    }
    return x;
}

void store_owned_link(struct store_owned *owned, struct znode *node)
{
    struct znode_extra *x = znode_extra(node);
    x->owned = owned;
    x->owned_prev = owned->last;
    x->owned_next = NULL;
    if (owned->last != NULL) {
        znode_extra(owned->last)->owned_next = node;
    } else {
        owned->first = node;
    }
    owned->last = node;
    owned->count++;
}

void store_owned_unlink(struct znode *node)
{
    struct znode_extra *x = znode_extra(node);
    struct store_owned *owned = x->owned;
    assert(owned->count > 0);
    if (x->owned_prev != NULL) {
        znode_extra(x->owned_prev)->owned_next = x->owned_next;
    } else {
        owned->first = x->owned_next;
    }
    if (x->owned_next != NULL) {
        znode_extra(x->owned_next)->owned_prev = x->owned_prev;
    } else {
        owned->last = x->owned_prev;
    }
    owned->count--;
    x->owned = NULL;
}

/* Everything but the index, in which there is room then. */
static int place(struct store *s, struct znode *parent, struct znode *node, bool last)
{
    struct znode_extra *x = store_node_extra(s, parent);
    bool ttl = node->kind == COORD_NODE_TTL;
    if (x == NULL || slots_reserve(&s->index) != 0 || (ttl && store_due_expect(s) != 0)) {
        return COORD_ENOMEM;
    }
    if (last) {
        store_forget_near(s);
    }
    int rc = last ? children_append(&x->children, s->pool, node)
                  : children_insert(&x->children, s->pool, node, &s->near);
    if (rc != 0) {
        return rc;
    }
    node->parent = parent;
    s->nodes++;
    s->name_bytes += node->name_bytes;
    s->due.ttl_nodes += ttl;
    store_usage_add(s, parent, 1, node->data_bytes);
    store_due_update(s, parent);
    store_due_update(s, node);
    return 0;
}

int store_node_place(struct store *s, struct znode *parent, struct znode *node,
                     struct coord_bytes path)
{
    int rc = place(s, parent, node, false);
    if (rc == 0) {
        slots_add(&s->index, slots_hash(path.data, path.len), node);
    }
    return rc;
}

int store_node_place_last(struct store *s, struct znode *parent, struct znode *node,
                          struct coord_bytes path)
{
    int rc = place(s, parent, node, true);
    if (rc == 0) {
        uint32_t hash = slots_hash(path.data, path.len);
        if (s->fill != NULL) {
            slots_fill_add(s->fill, hash, node);
        } else {
            slots_add(&s->index, hash, node);
        }
    }
    return rc;
}

void store_node_displace(struct store *s, struct znode *node, struct coord_bytes path)
{
    store_forget_near(s);
    store_due_forget(s, node);
    s->due.ttl_nodes -= node->kind == COORD_NODE_TTL;
    children_remove(&znode_extra(node->parent)->children, s->pool, node);
    slots_remove(&s->index, slots_hash(path.data, path.len), node);
    s->nodes--;
    s->name_bytes -= node->name_bytes;
    store_usage_add(s, node->parent, -1, -(int64_t)node->data_bytes);
    store_due_update(s, node->parent);
}

void store_usage_add(struct store *s, struct znode *from, int64_t nodes, int64_t bytes)
{
    s->data_bytes += (uint64_t)bytes;
    if (nodes == 0 && bytes == 0) {
        return;
    }
    for (struct znode *at = from; at != NULL; at = at->parent) {
        znode_extra(at)->below_nodes += (uint64_t)nodes;
        znode_extra(at)->below_bytes += (uint64_t)bytes;
    }
}

struct coord_bytes store_path_name(struct coord_bytes path, size_t parent_len)
{
    size_t from = parent_len == 1 ? 1 : parent_len + 1;
    return (struct coord_bytes){path.data + from, (uint32_t)(path.len - from)};
}
