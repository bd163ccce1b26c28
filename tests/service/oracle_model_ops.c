/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_model_ops.c: what each writing operation does to the model's tree, as docs/protocol.md tells it
 * (renames and quotas: oracle_model_subtree.c).
 * An operation that fails may leave the tree half changed: its caller takes the revision back.
 */
#include "tests/service/oracle_int.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- parts --------------------------------------------------------------------------------------- */

static void change(struct oracle *o, enum coord_change_kind kind, const struct oracle_node *n,
                   const struct oracle_version *v, struct coord_bytes previous)
{
    struct oracle_tree *t = &o->tree;
    t->changes =
        oracle__grow(o, t->changes, t->changes_count, &t->changes_cap, sizeof(t->changes[0]));
    t->changes[t->changes_count++] = (struct oracle_change){
        .kind = kind,
        .path = n->path,
        .version = v->stat.version,
        .create_revision = v->stat.create_revision,
        .value = kind == COORD_CHANGE_DELETED ? (struct coord_bytes){NULL, 0} : v->data,
        .previous = previous,
    };
}

static bool is_reserved(struct coord_bytes path, bool sequential)
{
    static const char top[] = "/coord";
    const uint32_t n = sizeof(top) - 1;
    if (path.len < n || memcmp(path.data, top, n) != 0) {
        return false;
    }
    return path.len > n ? path.data[n] == '/' : !sequential;
}

int oracle__admit(struct coord_bytes path, bool sequential)
{
    int rc = coord_path_check((const char *)path.data, path.len, NULL, 0);
    return rc == 0 && is_reserved(path, sequential) ? COORD_ERESERVED : rc;
}

bool oracle__condition_holds(const struct oracle_version *v, const struct coord_request *q)
{
    if (q->expect_version != COORD_VERSION_ANY &&
        (q->expect_version < 0 || (uint64_t)q->expect_version != v->stat.version)) {
        return false;
    }
    if (q->expect_modified != 0 && q->expect_modified != v->stat.modify_revision) {
        return false;
    }
    return q->expect_created == 0 || q->expect_created == v->stat.create_revision;
}

/* The node that an operation names, which exists. Return: 0 or why not. */
int oracle__target(struct oracle *o, const struct coord_request *q, struct oracle_node **ret_n)
{
    int rc = oracle__admit(q->path, false);
    if (rc != 0) {
        return rc;
    }
    *ret_n = oracle__node(&o->tree, q->path);
    return oracle__now(*ret_n) == NULL ? COORD_ENONODE : 0;
}

/* --- create and delete --------------------------------------------------------------------------- */

/* Under a parent that exists, where nothing is. */
struct oracle_node *oracle__place(struct oracle *o, struct coord_bytes path,
                                  const struct oracle_shape *s)
{
    struct oracle_node *n = oracle__node_make(o, path);
    struct oracle_version *v = oracle__edit(o, n);
    const uint64_t now = o->tree.revision;
    assert(!v->exists);
    *v = (struct oracle_version){.revision = now,
                                 .exists = true,
                                 .data = s->data,
                                 .stat = {.create_revision = now,
                                          .modify_revision = now,
                                          .child_revision = now,
                                          .created_ms = o->tree.time_ms,
                                          .modified_ms = o->tree.time_ms,
                                          .kind = s->kind,
                                          .owner = s->owner,
                                          .ttl_ms = s->ttl_ms,
                                          .data_bytes = s->data.len}};
    change(o, COORD_CHANGE_CREATED, n, v, (struct coord_bytes){NULL, 0});
    o->tree.bytes += oracle__node_bytes(n) + s->data.len;
    struct oracle_version *p = oracle__edit(o, n->parent);
    p->sequence++;
    p->stat.children++;
    p->stat.child_version++;
    p->stat.child_revision = now;
    return n;
}

void oracle__delete_node(struct oracle *o, struct oracle_node *n)
{
    struct oracle_version *v = oracle__edit(o, n);
    assert(v->exists && n->parent != NULL);
    change(o, COORD_CHANGE_DELETED, n, v, v->data);
    v->exists = false;
    o->tree.bytes -= oracle__node_bytes(n) + v->data.len;
    struct oracle_version *p = oracle__edit(o, n->parent);
    p->stat.children--;
    p->stat.child_version++;
    p->stat.child_revision = o->tree.revision;
}

void oracle__delete_owned(struct oracle *o, uint64_t session)
{
    for (uint32_t i = 0; i < o->tree.count; i++) {
        struct oracle_node *n = o->tree.sorted[i];
        const struct oracle_version *v = oracle__now(n);
        if (v != NULL && v->stat.kind == COORD_NODE_EPHEMERAL && v->stat.owner == session) {
            oracle__delete_node(o, n);
        }
    }
}

static int shape_of(struct oracle *o, const struct coord_request *q, uint64_t session,
                    struct oracle_shape *ret_s)
{
    const uint32_t kinds = q->flags & (COORD_F_EPHEMERAL | COORD_F_CONTAINER | COORD_F_TTL);
    const uint32_t known = kinds | COORD_F_SEQUENTIAL | COORD_F_PARENTS;
    bool ttl = (kinds & COORD_F_TTL) != 0;
    if ((q->flags & ~known) != 0 || (kinds & (kinds - 1)) != 0 || ttl != (q->ttl_ms > 0) ||
        q->ttl_ms >= ORACLE_COUNTER_MAX) {
        return COORD_EBADREQUEST;
    }
    *ret_s = (struct oracle_shape){.kind = COORD_NODE_PERSISTENT, .ttl_ms = q->ttl_ms};
    if (kinds != 0) {
        ret_s->kind = ttl                                ? COORD_NODE_TTL
                      : (kinds & COORD_F_EPHEMERAL) != 0 ? COORD_NODE_EPHEMERAL
                                                         : COORD_NODE_CONTAINER;
    }
    int rc = oracle__admit(q->path, (q->flags & COORD_F_SEQUENTIAL) != 0);
    if (rc != 0) {
        return rc;
    }
    if (q->data.len > o->options.limits.data_bytes) {
        return COORD_ETOOBIG;
    }
    if (ret_s->kind == COORD_NODE_EPHEMERAL) {
        ret_s->owner = session;
        return session == 0 ? COORD_ENOSESSION : 0;
    }
    return 0;
}

/* path, or path with the number behind it. Return: 0 or COORD_EBADPATH. */
static int numbered(const struct coord_request *q, uint64_t number,
                    char out[COORD_PATH_BYTES_MAX + 24], struct coord_bytes *ret_path)
{
    *ret_path = q->path;
    if ((q->flags & COORD_F_SEQUENTIAL) == 0) {
        return 0;
    }
    int len =
        snprintf(out, COORD_PATH_BYTES_MAX + 24, "%.*s%010" PRIu64, ORACLE_PATH(q->path), number);
    *ret_path = (struct coord_bytes){(const uint8_t *)out, (uint32_t)len};
    return coord_path_check(out, (size_t)len, NULL, 0) == 0 ? 0 : COORD_EBADPATH;
}

static int do_create(struct oracle *o, const struct coord_request *q, uint64_t session,
                     struct coord_result *res)
{
    struct oracle_shape s;
    char buf[COORD_PATH_BYTES_MAX + 24];
    struct coord_bytes path;
    int rc = shape_of(o, q, session, &s);
    if (rc != 0) {
        return rc;
    }
    if (q->path.len == 1) {
        return COORD_EEXISTS;
    }
    uint64_t missing = 1;
    struct coord_bytes up = oracle__parent_path(q->path);
    while (oracle__now(oracle__node(&o->tree, up)) == NULL) {
        up = oracle__parent_path(up);
        missing++;
    }
    const struct oracle_node *have = oracle__node(&o->tree, up);
    const struct oracle_version *parent = oracle__now(have);
    if (parent->stat.kind == COORD_NODE_EPHEMERAL) {
        return COORD_EEPHEMERAL;
    }
    if (missing > 1 && (q->flags & COORD_F_PARENTS) == 0) {
        return COORD_ENONODE;
    }
    uint64_t number = missing == 1 ? parent->sequence : 0;
    rc = numbered(q, number, buf, &path);
    if (rc != 0) {
        return rc;
    }
    if (missing == 1 && oracle__now(oracle__node(&o->tree, path)) != NULL) {
        return COORD_EEXISTS;
    }
    if (!oracle__quota_allows(&o->tree, have, missing, q->data.len)) {
        return COORD_EQUOTA;
    }
    const struct oracle_shape plain = {.kind = COORD_NODE_PERSISTENT};
    for (uint32_t at = up.len == 1 ? 1 : up.len + 1; at < path.len; at++) {
        if (path.data[at] == '/') {
            (void)oracle__place(o, (struct coord_bytes){path.data, at}, &plain);
        }
    }
    s.data = oracle__keep(o, q->data);
    const struct oracle_node *n = oracle__place(o, path, &s);
    res->path = n->path;
    res->sequence = (q->flags & COORD_F_SEQUENTIAL) != 0 ? number : 0;
    res->stat = oracle__now(n)->stat;
    return 0;
}

/* n and all below it that exists, last first: children before parents. */
void oracle__delete_all(struct oracle *o, struct oracle_node *n, uint32_t first, uint32_t end)
{
    for (uint32_t i = end; i > first; i--) {
        if (oracle__now(o->tree.sorted[i - 1]) != NULL) {
            oracle__delete_node(o, o->tree.sorted[i - 1]);
        }
    }
    oracle__delete_node(o, n);
}

static int do_delete(struct oracle *o, const struct coord_request *q, struct coord_result *res)
{
    struct oracle_node *n;
    int rc = oracle__admit(q->path, false);
    if (rc == 0 && (q->flags & ~(uint32_t)COORD_DELETE_RECURSIVE) != 0) {
        rc = COORD_EBADREQUEST;
    }
    if (rc == 0) {
        rc = oracle__target(o, q, &n);
    }
    if (rc != 0) {
        return rc;
    }
    if (n->parent == NULL) {
        return COORD_ERESERVED;
    }
    struct coord_usage u;
    uint32_t first;
    uint32_t end;
    oracle__usage(&o->tree, n, UINT64_MAX, &u);
    if (!oracle__condition_holds(oracle__now(n), q)) {
        return COORD_ECONDITION;
    }
    if ((q->flags & COORD_DELETE_RECURSIVE) == 0 && u.nodes > 1) {
        return COORD_ENOTEMPTY;
    }
    if ((q->flags & COORD_DELETE_RECURSIVE) != 0 && u.nodes > o->options.limits.subtree_nodes) {
        return COORD_ELIMIT;
    }
    oracle__below(&o->tree, n, &first, &end);
    oracle__delete_all(o, n, first, end);
    res->revision = o->tree.revision;
    res->count = u.nodes;
    return 0;
}

/* --- set and increment ---------------------------------------------------------------------------- */

static int put(struct oracle *o, struct oracle_node *n, const struct coord_request *q,
               struct coord_bytes data, struct coord_result *res)
{
    uint32_t before = oracle__now(n)->data.len;
    if (!oracle__condition_holds(oracle__now(n), q)) {
        return COORD_ECONDITION;
    }
    if (data.len > before && !oracle__quota_allows(&o->tree, n, 0, data.len - before)) {
        return COORD_EQUOTA;
    }
    struct oracle_version *v = oracle__edit(o, n);
    struct coord_bytes previous = v->data;
    o->tree.bytes += data.len;
    o->tree.bytes -= previous.len;
    v->data = oracle__keep(o, data);
    v->stat.version++;
    v->stat.data_bytes = data.len;
    v->stat.modify_revision = o->tree.revision;
    v->stat.modified_ms = o->tree.time_ms;
    change(o, COORD_CHANGE_CHANGED, n, v, previous);
    res->stat = v->stat;
    return 0;
}

static int do_set(struct oracle *o, const struct coord_request *q, struct coord_result *res)
{
    struct oracle_node *n;
    int rc = oracle__admit(q->path, false);
    if (rc == 0 && q->data.len > o->options.limits.data_bytes) {
        rc = COORD_ETOOBIG;
    }
    if (rc == 0) {
        rc = oracle__target(o, q, &n);
    }
    return rc != 0 ? rc : put(o, n, q, q->data, res);
}

/* Data that strtoll understands and that printf would write the same way. */
static bool number_of(struct coord_bytes data, int64_t *ret_value)
{
    char text[32];
    char again[32];
    char *end;
    if (data.data == NULL || data.len == 0 || data.len >= sizeof(text)) {
        return false;
    }
    memcpy(text, data.data, data.len);
    text[data.len] = '\0';
    *ret_value = strtoll(text, &end, 10);
    (void)snprintf(again, sizeof(again), "%" PRId64, *ret_value);
    return strlen(text) == data.len && strcmp(text, again) == 0;
}

static int do_increment(struct oracle *o, const struct coord_request *q, struct coord_result *res)
{
    struct oracle_node *n;
    int64_t value;
    char text[32];
    int rc = oracle__target(o, q, &n);
    if (rc != 0) {
        return rc;
    }
    if (!number_of(oracle__now(n)->data, &value) ||
        __builtin_add_overflow(value, q->delta, &value)) {
        return COORD_ENOTNUMBER;
    }
    int len = snprintf(text, sizeof(text), "%" PRId64, value);
    res->value = value;
    return put(o, n, q, (struct coord_bytes){(const uint8_t *)text, (uint32_t)len}, res);
}

int oracle__write(struct oracle *o, const struct coord_request *q, uint64_t session,
                  struct coord_result *res)
{
    switch (q->op) {
    case COORD_OP_CREATE:
        return do_create(o, q, session, res);
    case COORD_OP_SET:
        return do_set(o, q, res);
    case COORD_OP_DELETE:
        return do_delete(o, q, res);
    case COORD_OP_INCREMENT:
        return do_increment(o, q, res);
    case COORD_OP_RENAME:
        return oracle__rename(o, q, res);
    case COORD_OP_QUOTA:
        return oracle__quota(o, q, res);
    default:
        return COORD_EBADREQUEST;
    }
}
