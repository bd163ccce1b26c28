/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touch.c: which objects an operation takes part in (plan.h), and which of them a transaction joins.
 *
 * Leaves to others: what is changed and seen at all, so that it is worth a search (plan.c, before).
 * Thread: none; one at a time.
 */
#include "client/verify/plan_int.h"

uint32_t verify_planner_made(const struct verify_action *a, bool answered)
{
    if (answered && a->error == 0 && a->made != VERIFY_NOWHERE) {
        return a->made;
    }
    return (a->flags & COORD_SEQUENTIAL) != 0 ? VERIFY_NOWHERE : a->path;
}

uint32_t verify_planner_leader(struct verify_planner *w, uint32_t object)
{
    while (w->leader[object] != object) {
        w->leader[object] = w->leader[w->leader[object]];
        object = w->leader[object];
    }
    return object;
}

static void touch(struct verify_planner *w, uint32_t object)
{
    uint32_t path = PATH_OF(object);
    if (path >= w->plan->h->paths_count || !in_scope(w, path) || /* "/" has no parent */
        (IS_KIDS(object) &&
         (w->changes[path] == 0 || w->shown[path] == 0 || w->vague[path] != 0))) {
        return;
    }
    if (!verify_room((void **)&w->touched, w->touched_count, &w->touched_cap,
                     sizeof(*w->touched))) {
        w->out_of_memory = true;
        return;
    }
    w->touched[w->touched_count++] = object;
    w->used[object] = 1;
}

static void touch_create(struct verify_planner *w, const struct verify_action *a, bool answered)
{
    uint32_t parent = parent_of(w, a->path);
    uint32_t path = verify_planner_made(a, answered);
    if (parent == VERIFY_NOWHERE) {
        return; /* "/" is there */
    }
    if (path != VERIFY_NOWHERE) {
        touch(w, NODE(path));
        touch(w, KIDS(path));
    } else if (!answered) { /* any sibling whose name fits may be the one */
        for (uint32_t c = w->first[parent]; c != VERIFY_NOWHERE; c = w->next[c]) {
            if (w->creates[c] == 0 && verify_path_numbered(w->plan->h, a->path, c)) {
                touch(w, NODE(c));
            }
        }
    }
    touch(w, KIDS(parent));
    if (w->goes[parent] != 0 || (answered && a->error == COORD_EEPHEMERAL)) {
        touch(w, NODE(parent));
    }
    for (uint32_t at = parent; (a->flags & COORD_PARENTS) != 0 && at != 0; at = parent_of(w, at)) {
        touch(w, NODE(at));
        touch(w, KIDS(at));
        touch(w, KIDS(parent_of(w, at)));
    }
}

static void touch_list(struct verify_planner *w, const struct verify_action *a)
{
    const struct verify_history *h = w->plan->h;
    bool deep = (a->flags & COORD_RECURSIVE) != 0;
    bool nodes = (a->flags & (COORD_WITH_STATS | COORD_WITH_DATA)) != 0;
    touch(w, NODE(a->path));
    touch(w, KIDS(a->path));
    if (a->error != 0) {
        return;
    }
    for (uint32_t p = 0; deep && p < h->paths_count; p++) {
        if (p != a->path && verify_path_within(h, p, a->path)) {
            touch(w, NODE(p));
            touch(w, KIDS(p));
        }
    }
    for (uint32_t c = w->first[a->path]; !deep && nodes && c != VERIFY_NOWHERE; c = w->next[c]) {
        touch(w, NODE(c));
    }
}

static void touch_subtree(struct verify_planner *w, uint32_t path)
{
    const struct verify_history *h = w->plan->h;
    for (uint32_t p = 0; p < h->paths_count; p++) {
        if (verify_path_within(h, p, path)) {
            touch(w, NODE(p));
            touch(w, KIDS(p));
        }
    }
    if (path != 0) {
        touch(w, KIDS(parent_of(w, path)));
    }
}

static void touch_owned(struct verify_planner *w, const struct verify_op *op)
{
    for (uint32_t i = 0; i < w->owned_count; i++) {
        const struct verify_owned *o = &w->owned[i];
        bool its =
            o->session == op->session || (o->session == VERIFY_UNKNOWN && o->client == op->client);
        if (its) {
            touch(w, NODE(o->path));
            touch(w, KIDS(parent_of(w, o->path)));
        }
    }
}

static void touch_action(struct verify_planner *w, const struct verify_op *op,
                         const struct verify_action *a)
{
    bool answered = op->returned != VERIFY_NEVER;
    switch (a->kind) {
    case VERIFY_CREATE:
        touch_create(w, a, answered);
        break;
    case VERIFY_RENAME:
        touch_subtree(w, a->path);
        touch_subtree(w, a->made);
        break;
    case VERIFY_DELETE:
    case VERIFY_VANISH:
        if (a->kind == VERIFY_DELETE && (a->flags & COORD_RECURSIVE) != 0) {
            touch_subtree(w, a->path);
            break;
        }
        if (a->kind == VERIFY_VANISH && (a->flags & COORD_SEQUENTIAL) != 0) {
            touch(w, KIDS(a->path));
            break;
        }
        touch(w, NODE(a->path));
        touch(w, KIDS(a->path));
        if (a->path != 0) {
            touch(w, KIDS(parent_of(w, a->path)));
        }
        break;
    case VERIFY_LIST:
        touch_list(w, a);
        break;
    case VERIFY_CLOSE:
        touch_owned(w, op);
        break;
    case VERIFY_SYNC:
    case VERIFY_TXN:
        break;
    default:
        touch(w, NODE(a->path));
        if (a->has_stat) {
            touch(w, KIDS(a->path));
        }
        break;
    }
}

void verify_planner_touch(struct verify_planner *w, const struct verify_op *op)
{
    const struct verify_history *h = w->plan->h;
    const struct verify_txn *t = &op->txn;
    w->touched_count = 0;
    if (op->act.kind != VERIFY_TXN) {
        touch_action(w, op, &op->act);
        return;
    }
    for (int branch = 0; branch < 2; branch++) {
        for (uint32_t i = 0; i < t->branch_count[branch]; i++) {
            touch_action(w, op, &h->actions[t->branch[branch] + i]);
        }
    }
    for (uint32_t i = 0; i < t->conditions_count; i++) {
        const struct verify_condition *q = &h->conditions[t->conditions + i];
        touch(w, NODE(q->path));
        if (q->kind == VERIFY_IF_CHILDREN) {
            touch(w, KIDS(q->path));
        }
    }
}

void verify_planner_join(struct verify_planner *w)
{
    for (uint32_t i = 1; i < w->touched_count; i++) {
        uint32_t a = verify_planner_leader(w, w->touched[0]);
        uint32_t b = verify_planner_leader(w, w->touched[i]);
        w->leader[b] = a;
    }
}
