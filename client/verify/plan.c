/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.c: see plan.h. In four passes over the history: which KIDS objects are changed and seen, what
 * transactions join, which operations take part where, and what is said about operations without an
 * answer.
 *
 * Leaves to others: which objects an operation touches (touch.c), what goes by itself (alone.c), where an
 * operation stands on an axis (item.c), the search (search.c).
 * Thread: none; one at a time.
 */
#include "client/verify/plan_int.h"

#include <stdlib.h>
#include <string.h>
#include "client/core/mem.h"

/* --- what is changed and what is seen ---------------------------------------------------------- */

/* What is moved to `path` may have children that nobody named, which go by themselves; a node of a session
 * goes with it, and what a session takes is found by the nodes it owns, not by their children. What is
 * told of the children at such a path is not judged: nothing can be missed of an ephemeral node, which has
 * none, and little of a moved one. */
static void note_vague(struct verify_planner *w, uint32_t path, bool below)
{
    const struct verify_history *h = w->plan->h;
    w->vague[path] = 1;
    for (uint32_t p = 0; below && p < h->paths_count; p++) {
        w->vague[p] |= verify_path_within(h, p, path);
    }
}

static void note_create(struct verify_planner *w, const struct verify_action *a, bool answered)
{
    uint32_t path = verify_planner_made(a, answered);
    uint32_t parent = parent_of(w, a->path);
    bool ephemeral = (a->flags & COORD_EPHEMERAL) != 0;
    bool goes = (a->flags & (COORD_EPHEMERAL | COORD_CONTAINER | COORD_TTL)) != 0;
    if (parent == VERIFY_NOWHERE || (answered && a->error != 0)) {
        return;
    }
    w->changes[parent]++;
    w->shown[parent] |= (a->flags & COORD_SEQUENTIAL) != 0;
    if (path != VERIFY_NOWHERE) {
        w->creates[path]++;
        w->goes[path] |= goes;
        if (ephemeral) {
            note_vague(w, path, false);
        }
    }
    for (uint32_t c = w->first[parent]; path == VERIFY_NOWHERE && c != VERIFY_NOWHERE;
         c = w->next[c]) {
        if (ephemeral && verify_path_numbered(w->plan->h, a->path, c)) {
            note_vague(w, c, false);
        }
    }
    for (uint32_t at = parent; (a->flags & COORD_PARENTS) != 0 && at != 0; at = parent_of(w, at)) {
        w->changes[parent_of(w, at)]++;
        w->implied[at] = 1;
    }
}

/* Everything at and below path goes, or comes, as one. */
static void note_subtree(struct verify_planner *w, uint32_t path, bool goes)
{
    const struct verify_history *h = w->plan->h;
    for (uint32_t p = 0; p < h->paths_count; p++) {
        if (verify_path_within(h, p, path)) {
            w->goes[p] |= goes;
            w->changes[p]++;
        }
    }
    if (path != 0) {
        w->changes[parent_of(w, path)]++;
    }
}

static void note_action(struct verify_planner *w, const struct verify_action *a, bool answered)
{
    bool done = !answered || a->error == 0;
    if (a->kind == VERIFY_CREATE) {
        note_create(w, a, answered);
    } else if (a->kind == VERIFY_RENAME && done) {
        w->renames = true;
        note_subtree(w, a->path, true);
        note_subtree(w, a->made, false);
        note_vague(w, a->made, true);
    } else if (a->kind == VERIFY_DELETE && (a->flags & COORD_RECURSIVE) != 0) {
        w->deletes[a->path] += answered && a->error == 0;
        if (done) {
            note_subtree(w, a->path, true);
        }
    } else if (a->kind == VERIFY_DELETE) {
        w->shown[a->path] |= done || a->error == COORD_ENOTEMPTY;
        w->goes[a->path] |= done;
        w->deletes[a->path] += answered && a->error == 0;
        if (done && a->path != 0) {
            w->changes[parent_of(w, a->path)]++;
        }
    } else if (answered && a->kind == VERIFY_LIST) {
        w->shown[a->path] = 1;
        bool deep = (a->flags & COORD_RECURSIVE) != 0;
        for (uint32_t p = 0; deep && p < w->plan->h->paths_count; p++) {
            w->shown[p] |= verify_path_within(w->plan->h, p, a->path);
        }
    } else if (answered && a->kind != VERIFY_CLOSE && a->has_stat) {
        w->shown[a->path] = 1;
    }
}

/* Call back for the action of op, or each of a transaction's that may have happened. */
static void each_action(struct verify_planner *w, const struct verify_op *op,
                        void (*visit)(struct verify_planner *, const struct verify_op *,
                                      const struct verify_action *))
{
    const struct verify_txn *t = &op->txn;
    if (op->act.kind != VERIFY_TXN) {
        visit(w, op, &op->act);
        return;
    }
    for (uint32_t branch = 0; branch < 2; branch++) {
        if (op->returned != VERIFY_NEVER && branch != t->taken) {
            continue;
        }
        for (uint32_t i = 0; i < t->branch_count[branch]; i++) {
            visit(w, op, &w->plan->h->actions[t->branch[branch] + i]);
        }
    }
}

static void visit_note(struct verify_planner *w, const struct verify_op *op,
                       const struct verify_action *a)
{
    bool undone = op->act.kind == VERIFY_TXN && op->returned != VERIFY_NEVER && op->error != 0;
    if (op->outcome != COORD_OUTCOME_NOT_APPLIED && !undone) {
        note_action(w, a, op->returned != VERIFY_NEVER);
    }
}

static void note_conditions(struct verify_planner *w, const struct verify_txn *t)
{
    for (uint32_t i = 0; i < t->conditions_count; i++) {
        const struct verify_condition *q = &w->plan->h->conditions[t->conditions + i];
        w->shown[q->path] |= q->kind == VERIFY_IF_CHILDREN;
    }
}

static void visit_transient(struct verify_planner *w, const struct verify_op *op,
                            const struct verify_action *a)
{
    if (op->outcome != COORD_OUTCOME_NOT_APPLIED) {
        verify_planner_transient(w, op, a);
    }
}

/* --- the parts --------------------------------------------------------------------------------- */

static void take_part(struct verify_planner *w, const struct verify_op *op)
{
    bool optional;
    if (!verify_item_counts(op, VERIFY_BY_TIME, &optional) &&
        !verify_item_counts(op, VERIFY_BY_REVISION, &optional)) {
        return;
    }
    verify_planner_touch(w, op);
    for (uint32_t i = 0; i < w->touched_count; i++) {
        uint32_t root = verify_planner_leader(w, w->touched[i]);
        bool twice = false;
        for (uint32_t j = 0; j < i && !twice; j++) {
            twice = verify_planner_leader(w, w->touched[j]) == root;
        }
        if (twice) {
            continue;
        }
        if (!verify_room((void **)&w->members, w->members_count, &w->members_cap,
                         sizeof(*w->members))) {
            w->out_of_memory = true;
            return;
        }
        w->members[w->members_count++] = (struct verify_member){root, op};
    }
}

static int by_root(const void *pa, const void *pb)
{
    const struct verify_member *a = pa;
    const struct verify_member *b = pb;
    if (a->root != b->root) {
        return a->root < b->root ? -1 : 1;
    }
    if (a->op->called != b->op->called) {
        return a->op->called < b->op->called ? -1 : 1;
    }
    return a->op < b->op ? -1 : a->op > b->op;
}

static void place_add(struct verify_planner *w, uint32_t path, enum verify_role role)
{
    struct verify_plan *p = w->plan;
    if (!verify_room((void **)&p->places, p->places_count, &p->places_cap, sizeof(*p->places))) {
        w->out_of_memory = true;
        return;
    }
    p->places[p->places_count++] = (struct verify_place){path, role};
}

static void item_add(struct verify_planner *w, struct verify_part *part, enum verify_axis axis,
                     const struct verify_op *op)
{
    struct verify_plan *p = w->plan;
    bool optional;
    uint32_t variants = op->act.kind == VERIFY_TXN && op->returned == VERIFY_NEVER ? 2 : 1;
    if (!verify_item_counts(op, axis, &optional)) {
        return;
    }
    for (uint32_t v = 0; v < variants; v++) {
        if (!verify_room((void **)&p->items, p->items_count, &p->items_cap, sizeof(*p->items))) {
            w->out_of_memory = true;
            return;
        }
        p->items[p->items_count++] = verify_item_of(op, axis, v);
        part->items_count[axis]++;
    }
}

/* The objects of a part, by following `same`: lists of objects by root. */
static void add_places(struct verify_planner *w, uint32_t root, const uint32_t *head,
                       const uint32_t *same)
{
    for (uint32_t o = head[root]; o != VERIFY_NOWHERE; o = same[o]) {
        uint32_t path = PATH_OF(o);
        if (!IS_KIDS(o)) {
            place_add(w, path, VERIFY_NODE);
            continue;
        }
        place_add(w, path, VERIFY_KIDS);
        for (uint32_t c = w->first[path]; c != VERIFY_NOWHERE; c = w->next[c]) {
            place_add(w, c, VERIFY_KID);
        }
    }
}

/* members[from, to) are those of one root. */
static void make_part(struct verify_planner *w, uint32_t from, uint32_t to, const uint32_t *head,
                      const uint32_t *same)
{
    struct verify_plan *p = w->plan;
    if (!verify_room((void **)&p->parts, p->parts_count, &p->parts_cap, sizeof(*p->parts))) {
        w->out_of_memory = true;
        return;
    }
    struct verify_part *part = &p->parts[p->parts_count++];
    memset(part, 0, sizeof(*part));
    part->places = p->places_count;
    add_places(w, w->members[from].root, head, same);
    part->places_count = p->places_count - part->places;
    for (int axis = VERIFY_BY_TIME; axis <= VERIFY_BY_REVISION; axis++) {
        part->items[axis] = p->items_count;
        for (uint32_t i = from; i < to; i++) {
            item_add(w, part, (enum verify_axis)axis, w->members[i].op);
        }
    }
}

static void make_parts(struct verify_planner *w)
{
    uint32_t objects = 2 * w->plan->h->paths_count;
    uint32_t *head = coord__alloc((objects + 1) * sizeof(*head));
    uint32_t *same = coord__alloc((objects + 1) * sizeof(*same));
    if (head == NULL || same == NULL) {
        w->out_of_memory = true;
    } else {
        memset(head, 0xff, objects * sizeof(*head));
        for (uint32_t o = objects; o-- > 0;) {
            uint32_t root = verify_planner_leader(w, o);
            if (w->used[o] != 0) {
                same[o] = head[root];
                head[root] = o;
            }
        }
        if (w->members_count > 0) {
            qsort(w->members, w->members_count, sizeof(*w->members), by_root);
        }
        for (uint32_t i = 0, j; i < w->members_count && !w->out_of_memory; i = j) {
            for (j = i; j < w->members_count && w->members[j].root == w->members[i].root; j++) {
            }
            make_part(w, i, j, head, same);
        }
    }
    coord__free(head);
    coord__free(same);
}

/* --- life -------------------------------------------------------------------------------------- */

static bool planner_alloc(struct verify_planner *w)
{
    const struct verify_history *h = w->plan->h;
    size_t paths = h->paths_count;
    w->changes = coord__alloc(paths * sizeof(*w->changes));
    w->shown = coord__alloc(paths);
    w->goes = coord__alloc(paths);
    w->vague = coord__alloc(paths);
    w->implied = coord__alloc(paths);
    w->creates = coord__alloc(paths * sizeof(*w->creates));
    w->deletes = coord__alloc(paths * sizeof(*w->deletes));
    w->next = coord__alloc(paths * sizeof(*w->next));
    w->first = coord__alloc(paths * sizeof(*w->first));
    w->leader = coord__alloc(2 * paths * sizeof(*w->leader));
    w->used = coord__alloc(2 * paths);
    if (w->changes == NULL || w->shown == NULL || w->goes == NULL || w->vague == NULL ||
        w->implied == NULL || w->creates == NULL || w->deletes == NULL || w->next == NULL ||
        w->first == NULL || w->leader == NULL || w->used == NULL) {
        return false;
    }
    memset(w->first, 0xff, paths * sizeof(*w->first));
    memset(w->next, 0xff, paths * sizeof(*w->next));
    for (uint32_t p = (uint32_t)paths; p-- > 1;) {
        if (verify_is_reserved(h->paths[p].text)) {
            continue; /* no child of "/" that a list shows */
        }
        w->next[p] = w->first[h->paths[p].parent];
        w->first[h->paths[p].parent] = p;
    }
    for (uint32_t o = 0; o < 2 * paths; o++) {
        w->leader[o] = o;
    }
    return true;
}

static void planner_free(struct verify_planner *w)
{
    coord__free(w->changes);
    coord__free(w->shown);
    coord__free(w->goes);
    coord__free(w->vague);
    coord__free(w->implied);
    coord__free(w->creates);
    coord__free(w->deletes);
    coord__free(w->next);
    coord__free(w->first);
    coord__free(w->leader);
    coord__free(w->used);
    coord__free(w->members);
    coord__free(w->touched);
    coord__free(w->owned);
    coord__free(w->uses);
}

static void plan_run(struct verify_planner *w)
{
    const struct verify_history *h = w->plan->h;
    for (uint32_t i = 0; i < h->ops_count; i++) {
        each_action(w, &h->ops[i], visit_note);
        note_conditions(w, &h->ops[i].txn);
    }
    verify_planner_sessions(w);
    for (uint32_t i = 0; i < h->ops_count; i++) {
        each_action(w, &h->ops[i], visit_transient);
    }
    verify_planner_ends(w);
    for (uint32_t i = 0; i < h->ops_count; i++) {
        if (h->ops[i].act.kind == VERIFY_TXN) {
            verify_planner_touch(w, &h->ops[i]);
            verify_planner_join(w);
        }
    }
    for (uint32_t i = 0; i < h->ops_count && !w->out_of_memory; i++) {
        take_part(w, &h->ops[i]);
    }
    for (uint32_t i = 0; i < w->plan->made_up_count && !w->out_of_memory; i++) {
        take_part(w, &w->plan->made_up[i]);
    }
    if (!w->out_of_memory) {
        make_parts(w);
    }
}

int verify_plan_create(const struct verify_history *h, bool empty, uint32_t within,
                       struct verify_plan **ret_plan)
{
    struct verify_plan *p = coord__alloc(sizeof(*p));
    struct verify_planner w = {.plan = p};
    if (p == NULL) {
        return COORD_ENOMEM;
    }
    p->h = h;
    p->empty = empty;
    p->within = within;
    w.out_of_memory = !planner_alloc(&w);
    if (!w.out_of_memory) {
        plan_run(&w);
    }
    planner_free(&w);
    if (w.out_of_memory) {
        verify_plan_destroy(p);
        return COORD_ENOMEM;
    }
    *ret_plan = p;
    return 0;
}

void verify_plan_destroy(struct verify_plan *p)
{
    if (p != NULL) {
        coord__free(p->parts);
        coord__free(p->places);
        coord__free(p->items);
        coord__free(p->made_up);
        coord__free(p);
    }
}
