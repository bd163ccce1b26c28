/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_model_subtree.c: renames and quotas on the model. A rename is a delete there and a create here.
 */
#include "tests/service/oracle_int.h"

#include <string.h>

static int rename_admit(struct oracle *o, const struct coord_request *q, struct oracle_node **ret_n)
{
    int rc = oracle__admit(q->path, false);
    if (rc == 0) {
        rc = oracle__admit(q->to, false);
    }
    if (rc == 0) {
        rc = oracle__target(o, q, ret_n);
    }
    if (rc != 0) {
        return rc;
    }
    if ((*ret_n)->parent == NULL) {
        return COORD_ERESERVED;
    }
    if (q->to.len > q->path.len && q->to.data[q->path.len] == '/' &&
        memcmp(q->to.data, q->path.data, q->path.len) == 0) {
        return COORD_EINSIDE;
    }
    if (!oracle__condition_holds(oracle__now(*ret_n), q)) {
        return COORD_ECONDITION;
    }
    if (oracle__now(oracle__node(&o->tree, q->to)) != NULL) {
        return COORD_EEXISTS;
    }
    const struct oracle_version *parent =
        oracle__now(oracle__node(&o->tree, oracle__parent_path(q->to)));
    if (parent == NULL) {
        return COORD_ENONODE;
    }
    return parent->stat.kind == COORD_NODE_EPHEMERAL ? COORD_EEPHEMERAL : 0;
}

/* One node of a renamed subtree, gone from its old place, at its new one. */
static int move_one(struct oracle *o, const struct oracle_version *was, struct coord_bytes path)
{
    const struct oracle_node *parent = oracle__node(&o->tree, oracle__parent_path(path));
    if (!oracle__quota_allows(&o->tree, parent, 1, was->data.len)) {
        return COORD_EQUOTA;
    }
    const struct oracle_shape s = {was->stat.kind, was->stat.owner, was->stat.ttl_ms, was->data};
    struct oracle_version *v = oracle__edit(o, oracle__place(o, path, &s));
    v->quota_nodes = was->quota_nodes;
    v->quota_bytes = was->quota_bytes;
    return 0;
}

int oracle__rename(struct oracle *o, const struct coord_request *q, struct coord_result *res)
{
    struct oracle_node *top;
    struct coord_usage u;
    uint32_t first;
    uint32_t end;
    uint32_t count = 0;
    int rc = rename_admit(o, q, &top);
    if (rc != 0) {
        return rc;
    }
    oracle__usage(&o->tree, top, UINT64_MAX, &u);
    if (u.nodes > o->options.limits.subtree_nodes) {
        return COORD_ELIMIT;
    }
    oracle__below(&o->tree, top, &first, &end);
    struct oracle_version *was = oracle__alloc(o, (size_t)u.nodes * sizeof(was[0]));
    struct coord_bytes *paths = oracle__alloc(o, (size_t)u.nodes * sizeof(paths[0]));
    for (uint32_t i = first - 1; i < end; i++) {
        const struct oracle_node *n = o->tree.sorted[i];
        if (oracle__now(n) == NULL) {
            continue;
        }
        uint32_t rest = n->path.len - q->path.len;
        if (q->to.len + rest > COORD_PATH_BYTES_MAX) {
            return COORD_EBADPATH;
        }
        uint8_t *path = oracle__alloc(o, (size_t)q->to.len + rest);
        memcpy(path, q->to.data, q->to.len);
        memcpy(path + q->to.len, n->path.data + q->path.len, rest);
        was[count] = *oracle__now(n);
        paths[count++] = (struct coord_bytes){path, q->to.len + rest};
    }
    oracle__delete_all(o, top, first, end);
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        rc = move_one(o, &was[i], paths[i]);
    }
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < count; i++) {
        /* The counter of names goes on; child_version is creations plus deletions, so it follows. */
        struct oracle_version *v = oracle__edit(o, oracle__node(&o->tree, paths[i]));
        if (was[i].sequence > 0) {
            v->sequence = was[i].sequence;
            v->stat.child_version = was[i].sequence * 2 - v->stat.children;
        }
    }
    res->stat = oracle__now(oracle__node(&o->tree, q->to))->stat;
    res->count = count;
    return 0;
}

int oracle__quota(struct oracle *o, const struct coord_request *q, struct coord_result *res)
{
    struct oracle_node *n;
    int rc = oracle__target(o, q, &n);
    if (rc != 0) {
        return rc;
    }
    if (q->quota_nodes >= ORACLE_COUNTER_MAX || q->quota_bytes >= ORACLE_COUNTER_MAX) {
        return COORD_EBADREQUEST;
    }
    struct oracle_version *v = oracle__edit(o, n);
    v->quota_nodes = q->quota_nodes;
    v->quota_bytes = q->quota_bytes;
    oracle__usage(&o->tree, n, UINT64_MAX, &res->usage);
    return 0;
}
