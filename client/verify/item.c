/* SPDX-License-Identifier: Apache-2.0 */
/*
 * item.c: where an operation may stand on each of the two axes.
 *
 * By time it stands between its call and its answer. By revision:
 *
 *   a change that was answered      4 r              r its revision
 *   what went by itself             4 r + 3 ...      r the floor of what made it
 *   a read                          4 r + 2          r the revision it was served at
 *   a write decided against         4 f + 3 .. 4 r + 2   f its floor; r that of the answering member,
 *                                   which can be later than the decision when the answer is a
 *                                   repeated one
 *   a change without an answer      4 f + 3 ...
 *
 * Thread: none; nothing is shared.
 */
#include "client/verify/plan.h"

/* Errors that say something of the state. */
static bool error_tells(int error)
{
    return error == 0 || error == COORD_ENONODE || error == COORD_EEXISTS ||
           error == COORD_ECONDITION || error == COORD_ENOTEMPTY || error == COORD_EEPHEMERAL;
}

bool verify_item_counts(const struct verify_op *op, enum verify_axis axis, bool *ret_optional)
{
    bool reads = verify_kind_reads(op->act.kind);
    bool unknown = op->returned == VERIFY_NEVER;
    *ret_optional = unknown;
    if (op->outcome == COORD_OUTCOME_NOT_APPLIED || (reads && unknown) ||
        (!unknown && !error_tells(op->error))) {
        return false;
    }
    if (op->act.kind == VERIFY_SYNC || (op->act.kind == VERIFY_CLOSE && op->session == 0)) {
        return false;
    }
    if (axis == VERIFY_BY_TIME) {
        return !reads || op->level == COORD_LINEARIZABLE;
    }
    if (!unknown && op->revision == VERIFY_UNKNOWN) {
        *ret_optional = true; /* no server said when: a close that found the session gone */
        return !reads;
    }
    return true;
}

static uint64_t key(uint64_t revision, uint64_t offset)
{
    return revision >= VERIFY_NEVER / 8 ? VERIFY_NEVER - 8 : 4 * revision + offset;
}

static void place_by_revision(const struct verify_op *op, struct verify_item *it)
{
    bool reads = verify_kind_reads(op->act.kind);
    it->call = key(op->floor, 3);
    it->ret = VERIFY_NEVER;
    if (it->optional) {
        return;
    }
    if (reads) {
        it->call = key(op->revision, 2);
        it->ret = it->call;
    } else if (op->act.kind == VERIFY_CLOSE) {
        it->ret = key(op->revision, 1);
    } else if (op->error == 0) {
        it->call = key(op->revision, 0);
        it->ret = it->call;
    } else {
        it->ret = key(op->revision, 2);
    }
    it->call = it->call < it->ret ? it->call : it->ret;
}

struct verify_item verify_item_of(const struct verify_op *op, enum verify_axis axis,
                                  uint32_t variant)
{
    struct verify_item it = {.op = op, .variant = variant, .hint = VERIFY_NEVER};
    (void)verify_item_counts(op, axis, &it.optional); /* the caller knows that it does */
    if (!it.optional && op->revision != VERIFY_UNKNOWN) {
        bool change = !verify_kind_reads(op->act.kind) && op->error == 0;
        it.hint = key(op->revision, change ? 0 : 2);
    }
    if (axis == VERIFY_BY_TIME) {
        it.call = op->called;
        it.ret = op->returned;
    } else {
        place_by_revision(op, &it);
    }
    return it;
}
