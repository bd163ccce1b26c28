/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_model_txn.c: transactions on the model: conditions, then one of two lists, all of it or nothing.
 */
#include "tests/service/oracle_int.h"

#include <assert.h>
#include <string.h>

/* Of a lock's directory: who stands in front is the oldest. */
static bool oldest_child_is(struct oracle *o, const struct oracle_node *n, uint64_t created)
{
    uint32_t first;
    uint32_t end;
    bool found = false;
    oracle__below(&o->tree, n, &first, &end);
    for (uint32_t i = first; i < end; i++) {
        const struct oracle_version *v = oracle__now(o->tree.sorted[i]);
        if (v == NULL || o->tree.sorted[i]->parent != n) {
            continue;
        }
        if (v->stat.create_revision < created) {
            return false;
        }
        found = found || v->stat.create_revision == created;
    }
    return found;
}

static bool holds(struct oracle *o, const struct coord_if *c)
{
    const struct oracle_node *n = oracle__node(&o->tree, c->path);
    const struct oracle_version *v = oracle__now(n);
    if (v == NULL || c->kind == COORD_WHEN_ABSENT) {
        return v == NULL && c->kind == COORD_WHEN_ABSENT;
    }
    switch (c->kind) {
    case COORD_WHEN_EXISTS:
        return true;
    case COORD_WHEN_VERSION:
        return v->stat.version == c->number;
    case COORD_WHEN_MODIFIED:
        return v->stat.modify_revision == c->number;
    case COORD_WHEN_CREATED:
        return v->stat.create_revision == c->number;
    case COORD_WHEN_VALUE:
        return oracle__same(v->data, c->data);
    case COORD_WHEN_CHILDREN:
        return v->stat.children == c->number;
    case COORD_WHEN_OWNER:
        return v->stat.owner == c->number;
    case COORD_WHEN_HELD:
        return c->number != 0 && oldest_child_is(o, n, c->number);
    default:
        return false;
    }
}

static int txn_op(struct oracle *o, const struct coord_request *q, uint64_t session,
                  struct coord_result *res)
{
    memset(res, 0, sizeof(*res));
    if (coord_op_kind(q->op) == COORD_KIND_WRITE) {
        return oracle__write(o, q, session, res);
    }
    return oracle__read(o, q, UINT64_MAX, res);
}

static void txn_results(const struct coord_items *ops, uint32_t failed, int error,
                        struct coord_buf **out)
{
    struct coord_bytes cursor = ops->raw;
    struct coord_request q;
    for (uint32_t i = 1; coord_txn_op_next(&cursor, &q) == 1; i++) {
        const struct coord_result res = {.error = i == failed ? error : COORD_EABORTED};
        int rc = coord_txn_result_encode(q.op, &res, out);
        assert(rc == 0);
    }
}

int oracle__txn(struct oracle *o, const struct coord_request *q, uint64_t session,
                struct coord_result *res, struct coord_buf **out)
{
    const uint32_t most = o->options.limits.txn_operations;
    struct coord_bytes cursor = q->ifs.raw;
    struct coord_request op;
    struct coord_if c;
    bool hold = true;
    if (q->ifs.count > most || q->thens.count > most || q->elses.count > most) {
        return COORD_ELIMIT;
    }
    while (coord_if_next(&cursor, &c) == 1) {
        if (coord_path_check((const char *)c.path.data, c.path.len, NULL, 0) != 0) {
            return COORD_EBADPATH;
        }
        hold = holds(o, &c) && hold;
    }
    const struct coord_items *ops = hold ? &q->thens : &q->elses;
    cursor = ops->raw;
    int rc = 0;
    for (uint32_t i = 1; rc == 0 && coord_txn_op_next(&cursor, &op) == 1; i++) {
        struct coord_result r;
        rc = txn_op(o, &op, session, &r);
        if (rc == 0 && coord_txn_result_encode(op.op, &r, out) == 0) {
            rc = (*out)->len > o->options.limits.list_bytes ? COORD_ETOOBIG : 0;
        }
        if (rc != 0) {
            res->failed = i;
        }
    }
    if (res->failed != 0) {
        oracle__tree_rollback(o);
        coord_buf_unref(*out);
        *out = NULL;
        txn_results(ops, (uint32_t)res->failed, rc, out);
    }
    res->branch = hold ? COORD_TXN_THEN : COORD_TXN_ELSE;
    res->revision = o->tree.revision;
    res->results.count = ops->count;
    if (*out != NULL) {
        res->results.raw = (struct coord_bytes){(*out)->data, (*out)->len};
    }
    return 0;
}
