/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn.c: a transaction: conditions, then one of two lists of operations, all of them or none.
 *
 * Operations see what earlier ones of the same transaction did. When one fails, everything is taken back
 * (store_rollback) and the results say which one it was; that is an answer like any other, with error 0 and
 * `failed` set, so that it is kept and repeated like one.
 *
 * Invariants
 *   1. After a failed operation the state is what it was, sequence counters included.
 *   2. All changes carry the one revision of the entry.
 *   3. The results take at most limits.list_bytes.
 */
#include <assert.h>
#include <string.h>
#include <coord/error.h>
#include "server/machine/machine_internal.h"
#include "server/mutant.h"

/* --- conditions -------------------------------------------------------------------------------- */

static bool same_bytes(struct coord_bytes a, struct coord_bytes b)
{
    return (a.data == NULL) == (b.data == NULL) && a.len == b.len &&
           (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The create_revision of the oldest child; 0: it has none. Names do not tell: those of a lock's queue begin with
 * random digits. Cost: linear in the children, as a queue is short. */
static uint64_t oldest_child_created(const struct znode *node)
{
    struct store_walk w;
    struct coord_node_stat stat;
    uint32_t depth;
    uint64_t oldest = 0;
    store_walk_begin(&w, node, false, (struct coord_bytes){NULL, 0});
    for (const struct znode *at; (at = store_walk_next(&w, &depth)) != NULL;) {
        store_stat(at, &stat);
        oldest = oldest == 0 || stat.create_revision < oldest ? stat.create_revision : oldest;
    }
    return oldest;
}

static bool holds_of(const struct znode *node, const struct coord_if *c)
{
    struct coord_node_stat stat;
    store_stat(node, &stat);
    switch (c->kind) {
    case COORD_WHEN_EXISTS:
        return true;
    case COORD_WHEN_VERSION:
        return stat.version == c->number;
    case COORD_WHEN_MODIFIED:
        return stat.modify_revision == c->number;
    case COORD_WHEN_CREATED:
        return stat.create_revision == c->number;
    case COORD_WHEN_VALUE:
        return same_bytes(store_data(node), c->data);
    case COORD_WHEN_CHILDREN:
        return stat.children == c->number;
    case COORD_WHEN_OWNER:
        return stat.owner == c->number;
    case COORD_WHEN_HELD:
        return c->number != 0 && (oldest_child_created(node) == c->number || SERVER_BUG(17));
    default:
        return false;
    }
}

/* Return: 0 and whether all hold, or an error of their form. */
static int conditions_hold(const struct machine *m, const struct coord_items *ifs, bool *ret_hold)
{
    struct coord_bytes cursor = ifs->raw;
    struct coord_if c;
    *ret_hold = true;
    while (coord_if_next(&cursor, &c) == 1) {
        int rc = coord_path_check((const char *)c.path.data, c.path.len, NULL, 0);
        if (rc == 0 && coord_path_reserved((const char *)c.path.data, c.path.len)) {
            rc = COORD_ERESERVED; /* it is no part of the replicated tree */
        }
        if (rc != 0) {
            return rc;
        }
        const struct znode *node = store_find(m->state.store, c.path);
        bool holds = node == NULL ? c.kind == COORD_WHEN_ABSENT : holds_of(node, &c);
        *ret_hold = *ret_hold && holds;
    }
    return 0;
}

/* --- operations -------------------------------------------------------------------------------- */

/* Return: the error of the operation, as in st->res.error. */
static int operate(struct machine *m, struct machine_step *st)
{
    if (coord_op_kind(st->q->op) == COORD_KIND_WRITE) {
        st->res.error = machine_write(m, st);
        return st->res.error;
    }
    return machine_read(m, st->q, &st->res);
}

static void results_begin(struct machine *m)
{
    if (m->results != NULL) {
        m->results->len = 0;
    }
}

static void result_put(struct machine *m, enum coord_op op, const struct coord_result *res)
{
    machine_must(coord_txn_result_encode(op, res, &m->results));
}

/* Operate until one fails. Return: its number from 1 and *ret_error, or 0. */
static uint32_t run(struct machine *m, const struct machine_step *txn,
                    const struct coord_items *ops, int *ret_error)
{
    struct coord_bytes cursor = ops->raw;
    struct coord_request q;
    uint32_t number = 0;
    results_begin(m);
    while (coord_txn_op_next(&cursor, &q) == 1) {
        struct machine_step st;
        machine_step_begin(&st, txn->entry, &q, txn->session);
        int rc = operate(m, &st);
        number++;
        if (rc == 0) {
            result_put(m, q.op, &st.res);
            rc = m->results->len > m->state.limits.list_bytes ? COORD_ETOOBIG : 0;
        }
        if (rc != 0) {
            *ret_error = rc;
            return number;
        }
    }
    return 0;
}

/* Nothing was applied: the one that failed has its error, the others say so. */
static void results_of_failure(struct machine *m, const struct coord_items *ops, uint32_t failed,
                               int error)
{
    struct coord_bytes cursor = ops->raw;
    struct coord_request q;
    uint32_t number = 0;
    results_begin(m);
    while (coord_txn_op_next(&cursor, &q) == 1) {
        number++;
        const struct coord_result res = {.error = number == failed ? error : COORD_EABORTED};
        result_put(m, q.op, &res);
    }
}

int machine_txn(struct machine *m, struct machine_step *st)
{
    const struct coord_request *q = st->q;
    const uint32_t most = m->state.limits.txn_operations;
    bool hold = false;
    if (q->ifs.count > most || q->thens.count > most || q->elses.count > most) {
        return COORD_ELIMIT;
    }
    int rc = conditions_hold(m, &q->ifs, &hold);
    if (rc != 0) {
        return rc;
    }
    const struct coord_items *ops = hold ? &q->thens : &q->elses;
    int error = 0;
    uint32_t failed = run(m, st, ops, &error);
    if (failed != 0) {
        machine_must(SERVER_BUG(14) ? 0 : store_rollback(m->state.store));
        results_of_failure(m, ops, failed, error);
    }
    st->res.branch = hold ? COORD_TXN_THEN : COORD_TXN_ELSE;
    st->res.failed = failed;
    st->res.revision = m->state.revision;
    st->res.results.count = ops->count;
    if (m->results != NULL) {
        st->res.results.raw = (struct coord_bytes){m->results->data, m->results->len};
    }
    return 0;
}
