/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c: what happened since store_begin: the changes told to watches, and how to take them back.
 *
 * Data that is replaced or deleted, and nodes that are deleted, are kept until the next store_begin: changes
 * point at the data, so nothing is copied for them but paths; store_rollback puts nodes and data back where
 * they were. Every record is taken back in the reverse order of what was done, so each finds the tree as
 * the operation had left it.
 *
 * Invariants
 *   1. There is an undo record for every change of the tree since store_begin, in order.
 *   2. A node named by a DELETE record stands nowhere, and keeps its data and its parent.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/store/store.h"
#include "server/store/store_internal.h"
#include "server/store/znode.h"

#define RECORDS_FIRST 16u

/* Make room for one more item of an array. Return: false when memory is out. */
static bool room_for_one(void **items, uint32_t count, uint32_t *cap, size_t item_bytes)
{
    if (count < *cap) {
        return true;
    }
    uint32_t more = *cap == 0 ? RECORDS_FIRST : *cap * 2;
    void *to = realloc(*items, more * item_bytes);
    if (to == NULL) {
        return false;
    }
    *items = to;
    *cap = more;
    return true;
}

bool store_record_room(struct store *s)
{
    return room_for_one((void **)&s->changes, s->changes_count, &s->changes_cap,
                        sizeof(s->changes[0])) &&
           room_for_one((void **)&s->dead, s->dead_count, &s->dead_cap, sizeof(s->dead[0])) &&
           room_for_one((void **)&s->undo, s->undo_count, &s->undo_cap, sizeof(s->undo[0]));
}

bool store_record_path(struct store *s, struct coord_bytes path, struct coord_bytes *ret_kept)
{
    uint8_t *copy = arena_copy(&s->paths, path.data, path.len);
    *ret_kept = (struct coord_bytes){copy, path.len};
    return copy != NULL;
}

int store_record_quota(struct store *s, struct coord_bytes path)
{
    struct coord_bytes kept;
    if (!room_for_one((void **)&s->touched, s->touched_count, &s->touched_cap,
                      sizeof(s->touched[0])) ||
        !store_record_path(s, path, &kept)) {
        return COORD_ENOMEM;
    }
    s->touched[s->touched_count++] = kept;
    return 0;
}

const struct coord_bytes *store_quotas_touched(const struct store *s, uint32_t *ret_count)
{
    *ret_count = s->touched_count;
    return s->touched;
}

void store_record_reset(struct store *s)
{
    for (uint32_t i = 0; i < s->dead_count; i++) {
        pool_free(s->pool, s->dead[i].data, s->dead[i].bytes);
    }
    for (uint32_t i = 0; i < s->undo_count; i++) {
        if (s->undo[i].kind == STORE_UNDO_DELETE) {
            store_node_free(s, s->undo[i].node);
        }
    }
    s->dead_count = 0;
    s->undo_count = 0;
    s->changes_count = 0;
    s->touched_count = 0;
    arena_reset(&s->paths);
}

/* --- writing down ------------------------------------------------------------------------------ */

static struct coord_change *change_add(struct store *s, enum coord_change_kind kind,
                                       struct coord_bytes path, const struct znode *node)
{
    assert(s->changes_count < s->changes_cap);
    struct coord_change *c = &s->changes[s->changes_count++];
    memset(c, 0, sizeof(*c));
    c->kind = kind;
    c->path = path;
    c->version = node->version;
    c->create_revision = node->create_revision;
    return c;
}

static struct store_undo *undo_add(struct store *s, enum store_undo_kind kind, struct znode *node)
{
    assert(s->undo_count < s->undo_cap);
    struct store_undo *u = &s->undo[s->undo_count++];
    memset(u, 0, sizeof(*u));
    u->kind = kind;
    u->node = node;
    return u;
}

static void data_bury(struct store *s, uint8_t *data, uint32_t bytes)
{
    if (data != NULL) {
        assert(s->dead_count < s->dead_cap);
        s->dead[s->dead_count++] = (struct store_dead){data, bytes};
    }
}

void store_record_create(struct store *s, struct znode *node, struct coord_bytes path)
{
    struct coord_change *c = change_add(s, COORD_CHANGE_CREATED, path, node);
    c->has_value = true;
    c->value = store_data(node);
    struct store_undo *u = undo_add(s, STORE_UNDO_CREATE, node);
    u->child_revision = znode_extra(node->parent)->child_revision;
}

void store_record_set(struct store *s, const struct store_former *former, struct znode *node,
                      struct coord_bytes path, struct coord_bytes previous)
{
    data_bury(s, former->data, former->data_bytes);
    struct coord_change *c = change_add(s, COORD_CHANGE_CHANGED, path, node);
    c->has_value = true;
    c->value = store_data(node);
    c->has_previous = true;
    c->previous = previous;
    undo_add(s, STORE_UNDO_SET, node)->former = *former;
}

void store_record_delete(struct store *s, struct znode *node, struct coord_bytes path)
{
    struct coord_change *c = change_add(s, COORD_CHANGE_DELETED, path, node);
    c->has_previous = true;
    c->previous = store_data(node);
    data_bury(s, znode_data(node), node->data_bytes);
    struct store_undo *u = undo_add(s, STORE_UNDO_DELETE, node);
    u->child_revision = znode_extra(node->parent)->child_revision;
    u->owned = node->kind == COORD_NODE_EPHEMERAL ? znode_extra(node)->owned : NULL;
}

const struct coord_change *store_changes(const struct store *s, uint32_t *ret_count)
{
    *ret_count = s->changes_count;
    return s->changes;
}

/* --- taking back ------------------------------------------------------------------------------- */

static struct coord_bytes path_of(const struct znode *node, char out[COORD_PATH_BYTES_MAX])
{
    size_t len = store_path(node, out);
    return (struct coord_bytes){(const uint8_t *)out, (uint32_t)len};
}

static void undo_create(struct store *s, const struct store_undo *u)
{
    struct znode *node = u->node;
    struct znode_extra *x = znode_extra(node->parent);
    char path[COORD_PATH_BYTES_MAX];
    store_node_displace(s, node, path_of(node, path));
    x->sequence--;
    x->child_version--;
    x->child_revision = u->child_revision;
    store_due_update(s, node->parent); /* without its first child it never had one */
    if (node->kind == COORD_NODE_EPHEMERAL) {
        store_owned_unlink(node);
    }
    pool_free(s->pool, znode_data(node), node->data_bytes);
    store_node_free(s, node);
}

static void undo_set(struct store *s, const struct store_undo *u)
{
    struct znode *node = u->node;
    int64_t less = (int64_t)u->former.data_bytes - (int64_t)node->data_bytes;
    store_usage_add(s, node->parent, 0, less);
    pool_free(s->pool, znode_data(node), node->data_bytes);
    znode_data_put(node, u->former.data);
    node->data_bytes = u->former.data_bytes;
    node->absent = u->former.absent;
    node->version--;
    node->modify_revision = u->former.modify_revision;
    node->modified_ms = u->former.modified_ms;
    store_due_update(s, node);
}

static int undo_delete(struct store *s, const struct store_undo *u)
{
    struct znode *node = u->node;
    char path[COORD_PATH_BYTES_MAX];
    int rc = store_node_place(s, node->parent, node, path_of(node, path));
    if (rc == 0) {
        struct znode_extra *x = znode_extra(node->parent);
        x->child_version--;
        x->child_revision = u->child_revision;
        if (u->owned != NULL) {
            store_owned_link(u->owned, node);
        }
    }
    return rc;
}

int store_rollback(struct store *s)
{
    int rc = 0;
    while (s->undo_count > 0 && rc == 0) {
        const struct store_undo *u = &s->undo[s->undo_count - 1];
        switch (u->kind) {
        case STORE_UNDO_CREATE:
            undo_create(s, u);
            break;
        case STORE_UNDO_SET:
            undo_set(s, u);
            break;
        case STORE_UNDO_DELETE:
            rc = undo_delete(s, u);
            break;
        default:
            assert(0);
        }
        s->undo_count -= rc == 0;
    }
    s->dead_count = 0; /* all of it is alive again */
    s->changes_count = 0;
    return rc;
}
