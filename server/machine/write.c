/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write.c: what one operation does to the tree: create, set, delete, increment, rename, quota. Each is total,
 * and refuses before it changes anything, but for a rename over a quota, which its caller takes back
 * (store_rollback).
 *
 * The order of the checks is part of the state machine, see apply.c.
 */
#include <assert.h>
#include <string.h>
#include <coord/error.h>
#include "server/machine/machine_internal.h"

#define RESERVED         "/coord"
#define CREATE_FLAGS_ALL ((uint32_t)COORD_F_TTL * 2 - 1)
#define NUMBER_BYTES_MAX 20u /* "-9223372036854775808" */

/* --- one node ---------------------------------------------------------------------------------- */

/* With a number behind it, "/coord" is another name. */
static bool path_reserved(struct coord_bytes path, bool sequential)
{
    const size_t n = sizeof(RESERVED) - 1;
    return coord_path_reserved((const char *)path.data, path.len) && !(sequential && path.len == n);
}

/* What holds of every operation that names a path to change. */
static int path_admit(struct coord_bytes path, bool sequential)
{
    int rc = coord_path_check((const char *)path.data, path.len, NULL, 0);
    if (rc == 0 && path_reserved(path, sequential)) {
        rc = COORD_ERESERVED;
    }
    return rc;
}

/* The kind that the flags ask for. Return: 0, or COORD_EBADREQUEST when they contradict each other. */
static int create_kind(const struct coord_request *q, enum coord_node_kind *ret_kind)
{
    bool ephemeral = (q->flags & COORD_F_EPHEMERAL) != 0;
    bool container = (q->flags & COORD_F_CONTAINER) != 0;
    bool ttl = (q->flags & COORD_F_TTL) != 0;
    if ((q->flags & ~CREATE_FLAGS_ALL) != 0 || ephemeral + container + ttl > 1 ||
        ttl != (q->ttl_ms > 0) || q->ttl_ms >= STORE_COUNTER_MAX) {
        return COORD_EBADREQUEST;
    }
    *ret_kind = COORD_NODE_PERSISTENT;
    if (ephemeral) {
        *ret_kind = COORD_NODE_EPHEMERAL;
    } else if (container) {
        *ret_kind = COORD_NODE_CONTAINER;
    } else if (ttl) {
        *ret_kind = COORD_NODE_TTL;
    }
    return 0;
}

static int apply_create(struct machine *m, struct machine_step *st)
{
    const struct coord_request *q = st->q;
    struct store_create_args a = {
        .path = q->path,
        .data = q->data,
        .sequential = (q->flags & COORD_F_SEQUENTIAL) != 0,
        .parents = (q->flags & COORD_F_PARENTS) != 0,
        .ttl_ms = q->ttl_ms,
    };
    int rc = create_kind(q, &a.kind);
    if (rc == 0) {
        rc = path_admit(q->path, a.sequential);
    }
    if (rc != 0) {
        return rc;
    }
    if (q->data.len > m->state.limits.data_bytes) {
        return COORD_ETOOBIG;
    }
    if (a.kind == COORD_NODE_EPHEMERAL) {
        if (st->session == NULL) {
            return COORD_ENOSESSION;
        }
        a.owned = &st->session->owned;
    }
    struct znode *node = NULL;
    rc = store_create(m->state.store, &a, &node, &st->res.sequence);
    machine_must(rc);
    if (rc == 0) {
        uint32_t count;
        const struct coord_change *changes = store_changes(m->state.store, &count);
        assert(count > 0);
        /* Member by member: one load of both would wait for the stores that made them, and for all before these,
         * which are those of a new node, into memory that is in no cache. */
        st->res.path.data = changes[count - 1].path.data;
        st->res.path.len = changes[count - 1].path.len;
        store_stat(node, &st->res.stat);
    }
    return rc;
}

static struct store_condition condition_of(const struct coord_request *q)
{
    return (struct store_condition){q->expect_version, q->expect_modified, q->expect_created};
}

static int apply_set(struct machine *m, struct machine_step *st)
{
    const struct coord_request *q = st->q;
    int rc = path_admit(q->path, false);
    if (rc != 0) {
        return rc;
    }
    if (q->data.len > m->state.limits.data_bytes) {
        return COORD_ETOOBIG;
    }
    struct store_condition cond = condition_of(q);
    struct znode *node = NULL;
    rc = store_set(m->state.store, q->path, q->data, &cond, &node);
    machine_must(rc);
    if (rc == 0) {
        store_stat(node, &st->res.stat);
    }
    return rc;
}

static int apply_delete(struct machine *m, struct machine_step *st)
{
    const struct coord_request *q = st->q;
    int rc = path_admit(q->path, false);
    if (rc == 0 && (q->flags & ~(uint32_t)COORD_DELETE_RECURSIVE) != 0) {
        rc = COORD_EBADREQUEST;
    }
    if (rc == 0) {
        struct store_condition cond = condition_of(q);
        st->res.count = 1;
        if ((q->flags & COORD_DELETE_RECURSIVE) != 0) {
            rc = store_delete_subtree(m->state.store, q->path, &cond, m->state.limits.subtree_nodes,
                                      &st->res.count);
        } else {
            rc = store_delete(m->state.store, q->path, &cond);
        }
        machine_must(rc);
    }
    if (rc == 0) {
        st->res.revision = m->state.revision;
    }
    return rc;
}

/* --- increment --------------------------------------------------------------------------------- */

/* The number that the bytes write in decimal, as this file writes them: no blank, no plus, no needless
 * zero. Return: false for anything else, and what 64 bits do not hold. */
static bool number_read(struct coord_bytes data, int64_t *ret_value)
{
    bool negative = data.len > 0 && data.data[0] == '-';
    uint32_t at = negative ? 1 : 0;
    uint64_t value = 0;
    if (data.len == at || data.len > NUMBER_BYTES_MAX ||
        (data.data[at] == '0' && (negative || data.len > 1))) {
        return false;
    }
    for (; at < data.len; at++) {
        uint8_t digit = (uint8_t)(data.data[at] - '0');
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    if (value > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static uint32_t number_write(int64_t value, uint8_t out[NUMBER_BYTES_MAX])
{
    uint8_t digits[NUMBER_BYTES_MAX];
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint32_t count = 0;
    uint32_t at = 0;
    do {
        digits[count++] = (uint8_t)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        out[at++] = '-';
    }
    while (count > 0) {
        out[at++] = digits[--count];
    }
    return at;
}

static int apply_increment(struct machine *m, struct machine_step *st)
{
    const struct coord_request *q = st->q;
    int rc = path_admit(q->path, false);
    if (rc != 0) {
        return rc;
    }
    struct znode *node = store_find(m->state.store, q->path);
    int64_t value;
    if (node == NULL) {
        return COORD_ENONODE;
    }
    if (!number_read(store_data(node), &value) || __builtin_add_overflow(value, q->delta, &value)) {
        return COORD_ENOTNUMBER;
    }
    uint8_t text[NUMBER_BYTES_MAX];
    struct coord_bytes data = {text, number_write(value, text)};
    struct store_condition cond = condition_of(q);
    rc = store_set(m->state.store, q->path, data, &cond, &node);
    machine_must(rc);
    if (rc == 0) {
        st->res.value = value;
        store_stat(node, &st->res.stat);
    }
    return rc;
}

/* --- subtrees ---------------------------------------------------------------------------------- */

static int apply_rename(struct machine *m, struct machine_step *st)
{
    const struct coord_request *q = st->q;
    int rc = path_admit(q->path, false);
    if (rc == 0) {
        rc = path_admit(q->to, false);
    }
    if (rc != 0) {
        return rc;
    }
    const struct store_rename_args a = {.from = q->path,
                                        .to = q->to,
                                        .cond = condition_of(q),
                                        .limit = m->state.limits.subtree_nodes};
    struct znode *node = NULL;
    rc = store_rename(m->state.store, &a, &node, &st->res.count);
    machine_must(rc);
    if (rc == 0) {
        store_stat(node, &st->res.stat);
    }
    return rc;
}

void machine_usage(const struct znode *node, struct coord_usage *ret_usage)
{
    struct store_usage u;
    store_usage(node, &u);
    *ret_usage = (struct coord_usage){u.nodes, u.bytes, u.quota_nodes, u.quota_bytes};
}

static int apply_quota(struct machine *m, struct machine_step *st)
{
    const struct coord_request *q = st->q;
    int rc = path_admit(q->path, false);
    if (rc != 0) {
        return rc;
    }
    struct znode *node = store_find(m->state.store, q->path);
    if (node == NULL) {
        return COORD_ENONODE;
    }
    if (q->quota_nodes >= STORE_COUNTER_MAX || q->quota_bytes >= STORE_COUNTER_MAX) {
        return COORD_EBADREQUEST;
    }
    rc = store_quota_set(m->state.store, node, q->quota_nodes, q->quota_bytes);
    machine_must(rc);
    machine_usage(node, &st->res.usage);
    return rc;
}

int machine_write(struct machine *m, struct machine_step *st)
{
    switch (st->q->op) {
    case COORD_OP_CREATE:
        return apply_create(m, st);
    case COORD_OP_SET:
        return apply_set(m, st);
    case COORD_OP_DELETE:
        return apply_delete(m, st);
    case COORD_OP_INCREMENT:
        return apply_increment(m, st);
    case COORD_OP_RENAME:
        return apply_rename(m, st);
    case COORD_OP_QUOTA:
        return apply_quota(m, st);
    default:
        return COORD_EBADREQUEST; /* not a write, or not one that arrives as a REQUEST */
    }
}
