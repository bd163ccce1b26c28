/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h: which parts of a history can be judged by themselves, and what is to be ordered in each.
 *
 * Linearizability is local: a history is linearizable when what happened to each object is (Herlihy
 * and Wing, 1990, theorem 1). The objects here are aspects of a path:
 *   NODE(p)   the node: there or not, value, versions, owner
 *   KIDS(p)   the set of its children, their number and its counters
 * An operation on one node takes part in each object it touches, with the part of its answer that
 * concerns the object. An operation on several nodes at once (a transaction) joins its objects to one.
 *
 * What is given up: a create or a delete touches NODE(p) and KIDS(parent), and a recursive list or
 * the end of a session many objects. These are ordered in each object by themselves, not in all at
 * the same place. That can miss a violation; it cannot invent one. The check by revisions puts a
 * create, a delete or a recursive list at the revision it claims, so there the objects agree as far as
 * claims do; the end of a session is not tied together across objects at all.
 *
 * A KIDS object is left out where children may go that nobody named: at and below a path to which a node was
 * moved, and at one where a node of a session was. It is also left out when nothing in the history shows it
 * (nobody lists, counts or numbers the children): that is what keeps a thousand nodes under one parent a thousand small searches.
 *
 * Thread: none; one at a time.
 */
#ifndef COORD_CLIENT_VERIFY_PLAN_H
#define COORD_CLIENT_VERIFY_PLAN_H

#include "client/verify/model.h"

/* The line along which operations are ordered. */
enum verify_axis {
    VERIFY_BY_TIME = 0,    /* between call and answer; revisions are not believed */
    VERIFY_BY_REVISION = 1 /* at the revision that was told; all reads of whatever level */
};

/* One operation in one part. Keys are nanoseconds or, by revision, 4 * revision and an offset. */
struct verify_item {
    const struct verify_op *op;
    uint32_t variant; /* of a transaction without an answer: the branch */
    bool optional;    /* need not happen: its answer is not known */
    uint64_t call;
    uint64_t ret;  /* VERIFY_NEVER when optional */
    uint64_t hint; /* where to look first; nothing depends on it */
};

struct verify_part {
    uint32_t places, places_count; /* in plan->places */
    uint32_t items[2];             /* by axis, in plan->items */
    uint32_t items_count[2];
};

struct verify_plan {
    const struct verify_history *h;
    bool empty;      /* nothing was there before the history */
    uint32_t within; /* only what is at or below this path */
    struct verify_part *parts;
    uint32_t parts_count, parts_cap;
    struct verify_place *places;
    uint32_t places_count, places_cap;
    struct verify_item *items;
    uint32_t items_count, items_cap;
    struct verify_op *made_up; /* VANISH */
    uint32_t made_up_count, made_up_cap;
};

/* Return: 0 or COORD_ENOMEM; *ret_plan is the caller's on 0. h must outlive it, unchanged. */
int verify_plan_create(const struct verify_history *h, bool empty, uint32_t within,
                       struct verify_plan **ret_plan);
void verify_plan_destroy(struct verify_plan *p);

/* Does op take part in the search along the axis at all? *ret_optional: without an answer. */
bool verify_item_counts(const struct verify_op *op, enum verify_axis axis, bool *ret_optional);

/* The keys of op along the axis, for an item of it. */
struct verify_item verify_item_of(const struct verify_op *op, enum verify_axis axis,
                                  uint32_t variant);

#endif
