/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.c: new nodes: one under its parent, with missing parents, with a number from the parent's counter.
 * Everything that can refuse is looked at before anything changes.
 */
#include <assert.h>
#include <string.h>
#include <coord/error.h>
#include "server/mutant.h"
#include "server/store/store.h"
#include "server/store/store_internal.h"
#include "server/store/znode.h"

#define SEQUENCE_DIGITS_MIN 10u
#define SEQUENCE_DIGITS_MAX 20u

int store_create_under(struct store *s, struct znode *parent, const struct store_create_args *a,
                       struct coord_bytes path, struct znode **ret_node)
{
    struct coord_bytes kept;
    if (!store_record_room(s) || !store_record_path(s, path, &kept)) {
        return COORD_ENOMEM;
    }
    size_t parent_len = coord_path_parent_len((const char *)path.data, path.len);
    struct znode *node = store_node_create(s, store_path_name(path, parent_len), a->data);
    if (node == NULL) {
        return COORD_ENOMEM;
    }
    node->kind = (uint8_t)a->kind;
    node->create_revision = s->revision;
    node->modify_revision = s->revision;
    node->created_ms = s->time_ms;
    node->modified_ms = s->time_ms;
    store_guard_node(s, parent);
    if (a->owned != NULL) {
        store_guard_owned(s, a->owned);
    }
    bool extra = a->ttl_ms > 0 || a->owned != NULL;
    int rc = extra && store_node_extra(s, node) == NULL ? COORD_ENOMEM : 0;
    if (rc == 0 && a->ttl_ms > 0) {
        znode_extra(node)->ttl_ms = a->ttl_ms;
    }
    if (rc == 0) {
        rc = store_node_place(s, parent, node, kept);
    }
    if (rc != 0) {
        pool_free(s->pool, znode_data(node), node->data_bytes);
        store_node_free(s, node);
        return rc;
    }
    if (a->owned != NULL) {
        store_owned_link(a->owned, node);
    }
    store_record_create(s, node, kept);
    znode_extra(parent)->sequence++;
    znode_extra(parent)->child_version++;
    znode_extra(parent)->child_revision = s->revision;
    *ret_node = node;
    return 0;
}

/* The nearest ancestor there is. *ret_path_len: bytes of its path. Many creates in a row are below one parent:
 * the last one is asked first. */
static struct znode *nearest(struct store *s, struct coord_bytes path, size_t *ret_path_len)
{
    struct coord_bytes at = path;
    struct znode *node = NULL;
    at.len = (uint32_t)coord_path_parent_len((const char *)at.data, at.len);
    if (s->last_parent != NULL && at.len > 1 && store_node_is_at(s->last_parent, at)) {
        *ret_path_len = at.len;
        return s->last_parent;
    }
    at = path;
    while (node == NULL) {
        at.len = (uint32_t)coord_path_parent_len((const char *)at.data, at.len);
        assert(at.len > 0);
        node = store_find(s, at);
    }
    *ret_path_len = at.len;
    s->last_parent = node;
    return node;
}

/* Create what is missing between the node at path[0, have) and the parent of path. */
static int create_parents(struct store *s, struct coord_bytes path, size_t have,
                          struct znode **inout_parent)
{
    static const struct store_create_args plain = {.kind = COORD_NODE_PERSISTENT};
    size_t parent_len = coord_path_parent_len((const char *)path.data, path.len);
    while (have < parent_len) {
        have = have == 1 ? 0 : have;
        do {
            have++;
        } while (path.data[have] != '/');
        struct coord_bytes step = {path.data, (uint32_t)have};
        int rc = store_create_under(s, *inout_parent, &plain, step, inout_parent);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* Nodes that a create of path makes, when the nearest there is stands at path[0, have). */
static uint64_t nodes_missing(struct coord_bytes path, size_t have)
{
    uint64_t missing = 1;
    for (size_t i = have + 1; i < path.len; i++) {
        missing += path.data[i] == '/';
    }
    return missing;
}

/* path with the number behind it, at least ten digits. Return: 0 or COORD_EBADPATH. */
static int sequence_path(struct coord_bytes path, uint64_t number,
                         uint8_t out[COORD_PATH_BYTES_MAX], struct coord_bytes *ret_path)
{
    uint8_t digits[SEQUENCE_DIGITS_MAX];
    uint32_t count = 0;
    while (number > 0 || count < SEQUENCE_DIGITS_MIN) {
        digits[count++] = (uint8_t)('0' + number % 10);
        number /= 10;
    }
    size_t parent_len = coord_path_parent_len((const char *)path.data, path.len);
    if (path.len + count > COORD_PATH_BYTES_MAX ||
        store_path_name(path, parent_len).len + count > COORD_NAME_BYTES_MAX) {
        return COORD_EBADPATH;
    }
    memcpy(out, path.data, path.len);
    for (uint32_t i = 0; i < count; i++) {
        out[path.len + i] = digits[count - 1 - i];
    }
    *ret_path = (struct coord_bytes){out, path.len + count};
    return 0;
}

int store_create(struct store *s, const struct store_create_args *a, struct znode **ret_node,
                 uint64_t *ret_sequence)
{
    assert((a->kind == COORD_NODE_EPHEMERAL) == (a->owned != NULL));
    assert((a->kind == COORD_NODE_TTL) == (a->ttl_ms > 0));
    if (a->path.len == 1) {
        return COORD_EEXISTS;
    }
    size_t have;
    struct znode *parent = nearest(s, a->path, &have);
    bool direct = have == coord_path_parent_len((const char *)a->path.data, a->path.len);
    if (parent->kind == COORD_NODE_EPHEMERAL) {
        return COORD_EEPHEMERAL;
    }
    if (!direct && !a->parents) {
        return COORD_ENONODE;
    }
    uint64_t number = direct ? store_sequence(parent) : 0;
    if (SERVER_BUG(13) && number > 0) {
        number = znode_extra(parent)->children.count;
    }
    if (store_sequence(parent) >= STORE_COUNTER_MAX) {
        return COORD_ELIMIT;
    }
    uint8_t numbered[COORD_PATH_BYTES_MAX];
    struct coord_bytes path = a->path;
    if (a->sequential) {
        int rc = sequence_path(a->path, number, numbered, &path);
        if (rc != 0) {
            return rc;
        }
    }
    if (direct && store_find(s, path) != NULL) {
        return COORD_EEXISTS;
    }
    int rc = store_quota_admit(parent, nodes_missing(path, have), a->data.len);
    if (rc == 0) {
        rc = create_parents(s, path, have, &parent);
    }
    if (rc == 0) {
        rc = store_create_under(s, parent, a, path, ret_node);
    }
    if (rc == 0) {
        *ret_sequence = a->sequential ? number : 0;
    }
    return rc;
}
