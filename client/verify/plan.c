/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.c: see plan.h. In four passes over the history: which KIDS objects are changed and seen, what
 * transactions join, which operations take part where, and what is said about operations without an
 * answer.
 *
 * Leaves to others: where an operation stands on an axis (item.c), the search (search.c).
 * Thread: none; one at a time.
 */
#include "client/verify/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "client/core/mem.h"

/* An object: 2 * path for NODE, 2 * path + 1 for KIDS. */
#define NODE(path)   (2 * (path))
#define KIDS(path)   (2 * (path) + 1)
#define PATH_OF(obj) ((obj) / 2)
#define IS_KIDS(obj) (((obj)&1) != 0)

struct member {
    uint32_t root;
    const struct verify_op *op;
};

/* An ephemeral node: who owns it. */
struct owned {
    uint64_t session; /* VERIFY_UNKNOWN: its create has no answer */
    uint32_t client;
    uint32_t path;
    bool deleted; /* by somebody, so it did not go with its session */
    const struct verify_op *made;
};

struct session_use {
    uint64_t session;
    uint64_t last; /* call of its last write that was answered */
};

struct verify_planner {
    struct verify_plan *plan;
    uint32_t *changes; /* by path: creates and deletes of children */
    uint8_t *shown;    /* by path: somebody saw something of its children */
    uint8_t *goes;     /* by path: it may be deleted, or go by itself */
    uint8_t *vague;    /* by path: its children are not judged, see note_vague */
    uint8_t *implied;  /* by path: a create with COORD_PARENTS may have made it */
    uint32_t *creates; /* by path */
    uint32_t *deletes; /* by path, answered with success */
    uint32_t *next;    /* by path: the next child of the same parent; first: by parent */
    uint32_t *first;
    uint32_t *leader; /* by object: union-find */
    uint8_t *used;    /* by object: some operation takes part */
    struct member *members;
    uint32_t members_count, members_cap;
    uint32_t *touched;
    uint32_t touched_count, touched_cap;
    struct owned *owned;
    uint32_t owned_count, owned_cap;
    struct session_use *uses;
    uint32_t uses_count, uses_cap;
    bool renames; /* something was moved */
    bool out_of_memory;
};

/* --- what is changed and what is seen ---------------------------------------------------------- */

static uint32_t parent_of(const struct verify_planner *w, uint32_t path)
{
    return w->plan->h->paths[path].parent;
}

/* What is below /coord changes without a write of any client: nothing is said about it. */
static bool in_scope(const struct verify_planner *w, uint32_t path)
{
    return verify_path_within(w->plan->h, path, w->plan->within) &&
           !verify_is_reserved(w->plan->h->paths[path].text);
}

static uint32_t made_path(const struct verify_action *a, bool answered)
{
    if (answered && a->error == 0 && a->made != VERIFY_NOWHERE) {
        return a->made;
    }
    return (a->flags & COORD_SEQUENTIAL) != 0 ? VERIFY_NOWHERE : a->path;
}

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
    uint32_t path = made_path(a, answered);
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

/* --- transactions join ------------------------------------------------------------------------- */

static uint32_t leader(struct verify_planner *w, uint32_t object)
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
    uint32_t path = made_path(a, answered);
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
        const struct owned *o = &w->owned[i];
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

/* All objects that op touches, in w->touched. */
static void touch_op(struct verify_planner *w, const struct verify_op *op)
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

static void join(struct verify_planner *w)
{
    for (uint32_t i = 1; i < w->touched_count; i++) {
        uint32_t a = leader(w, w->touched[0]);
        uint32_t b = leader(w, w->touched[i]);
        w->leader[b] = a;
    }
}

/* --- what goes by itself ----------------------------------------------------------------------- */

static int by_session(const void *pa, const void *pb)
{
    const struct session_use *a = pa;
    const struct session_use *b = pb;
    if (a->session != b->session) {
        return a->session < b->session ? -1 : 1;
    }
    return a->last < b->last ? -1 : a->last > b->last;
}

/* The last call that the session answered: it was not over then. 0: none. */
static uint64_t session_last(const struct verify_planner *w, uint64_t session)
{
    uint32_t from = 0;
    uint32_t to = w->uses_count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        bool upto = w->uses[mid].session <= session;
        from = upto ? mid + 1 : from;
        to = upto ? to : mid;
    }
    return from > 0 && w->uses[from - 1].session == session ? w->uses[from - 1].last : 0;
}

static void note_sessions(struct verify_planner *w)
{
    const struct verify_history *h = w->plan->h;
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct verify_op *op = &h->ops[i];
        bool write = !verify_kind_reads(op->act.kind) && op->act.kind != VERIFY_CLOSE;
        if (!write || op->session == 0 || op->outcome != COORD_OUTCOME_DONE) {
            continue;
        }
        if (!verify_room((void **)&w->uses, w->uses_count, &w->uses_cap, sizeof(*w->uses))) {
            w->out_of_memory = true;
            return;
        }
        w->uses[w->uses_count++] = (struct session_use){op->session, op->called};
    }
    if (w->uses_count > 0) {
        qsort(w->uses, w->uses_count, sizeof(*w->uses), by_session);
    }
}

/* Something that may happen by itself after op, without an answer. */
static struct verify_op *make_up(struct verify_planner *w, const struct verify_op *op,
                                 enum verify_kind kind, uint64_t session, uint32_t path)
{
    struct verify_plan *p = w->plan;
    if (!verify_room((void **)&p->made_up, p->made_up_count, &p->made_up_cap,
                     sizeof(*p->made_up))) {
        w->out_of_memory = true;
        return NULL;
    }
    struct verify_op *v = &p->made_up[p->made_up_count++];
    *v = *op;
    v->returned = VERIFY_NEVER;
    v->error = 0;
    v->outcome = COORD_OUTCOME_UNKNOWN;
    v->revision = VERIFY_UNKNOWN;
    v->has_receipt = false;
    v->session = session;
    v->act = (struct verify_action){.kind = kind, .path = path, .after = "", .made_up = true};
    return v;
}

/* Such a node at path, made by op: its owner; or that it may go at any time from then on. */
static void note_owner(struct verify_planner *w, const struct verify_op *op, bool ephemeral,
                       uint64_t owner, uint32_t path)
{
    bool once = w->creates[path] == 1 && w->implied[path] == 0 && !w->renames;
    bool deleted = once && w->deletes[path] > 0;
    if (!in_scope(w, path)) {
        return;
    }
    if (!verify_room((void **)&w->owned, w->owned_count, &w->owned_cap, sizeof(*w->owned))) {
        w->out_of_memory = true;
        return;
    }
    if (ephemeral) {
        w->owned[w->owned_count++] = (struct owned){owner, op->client, path, deleted, op};
    }
    if (!deleted && (!ephemeral || owner == VERIFY_UNKNOWN)) {
        (void)make_up(w, op, VERIFY_VANISH, owner, path); /* out_of_memory says the rest */
    }
}

static int by_owner(const void *pa, const void *pb)
{
    const struct owned *a = pa;
    const struct owned *b = pb;
    if (a->session != b->session) {
        return a->session < b->session ? -1 : 1;
    }
    return a->made < b->made ? -1 : a->made > b->made;
}

/* Sessions that own a node nobody deleted may end by themselves, once, with all they own; not before
 * the last write that they are known to have made. */
static void make_up_ends(struct verify_planner *w)
{
    if (w->owned_count > 0) {
        qsort(w->owned, w->owned_count, sizeof(*w->owned), by_owner);
    }
    for (uint32_t i = 0, next; i < w->owned_count; i = next) {
        const struct owned *last = &w->owned[i];
        bool deleted = true;
        for (next = i; next < w->owned_count && w->owned[next].session == last->session; next++) {
            deleted = deleted && w->owned[next].deleted;
        }
        last = &w->owned[next - 1];
        if (deleted || last->session == VERIFY_UNKNOWN) {
            continue;
        }
        struct verify_op *v = make_up(w, last->made, VERIFY_CLOSE, last->session, VERIFY_NOWHERE);
        uint64_t active = session_last(w, last->session);
        if (v != NULL && active > v->called) {
            v->called = active;
        }
    }
}

/* What was moved can be of a kind that goes by itself; whose it is, is not followed. */
static void note_moved(struct verify_planner *w, const struct verify_op *op,
                       const struct verify_action *a)
{
    const struct verify_history *h = w->plan->h;
    for (uint32_t p = 0; p < h->paths_count; p++) {
        if (verify_path_within(h, p, a->made)) {
            note_owner(w, op, false, VERIFY_UNKNOWN, p);
        }
    }
}

/* A node that may go by itself, made by op's action a. */
static void note_transient(struct verify_planner *w, const struct verify_op *op,
                           const struct verify_action *a)
{
    bool answered = op->returned != VERIFY_NEVER;
    bool ephemeral = (a->flags & COORD_EPHEMERAL) != 0;
    bool transient = (a->flags & (COORD_EPHEMERAL | COORD_CONTAINER | COORD_TTL)) != 0;
    if (a->kind == VERIFY_RENAME && !(answered && op->error != 0)) {
        note_moved(w, op, a);
    }
    if (a->kind != VERIFY_CREATE || !transient || (answered && op->error != 0)) {
        return;
    }
    uint32_t path = made_path(a, answered);
    uint64_t owner = ephemeral ? (answered && a->has_stat ? a->stat.owner : VERIFY_UNKNOWN) : 0;
    if (path != VERIFY_NOWHERE) {
        note_owner(w, op, ephemeral, owner, path);
        return;
    }
    uint32_t parent = parent_of(w, a->path);
    for (uint32_t c = w->first[parent]; c != VERIFY_NOWHERE; c = w->next[c]) {
        if (w->creates[c] == 0 && verify_path_numbered(w->plan->h, a->path, c)) {
            note_owner(w, op, ephemeral, owner, c); /* any of these may be the one */
        }
    }
    /* Or one that nobody named: of it only the number of children tells that it went. */
    struct verify_op *v =
        in_scope(w, parent) ? make_up(w, op, VERIFY_VANISH, VERIFY_UNKNOWN, parent) : NULL;
    if (v != NULL) {
        v->act.flags = COORD_SEQUENTIAL;
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
        note_transient(w, op, a);
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
    touch_op(w, op);
    for (uint32_t i = 0; i < w->touched_count; i++) {
        uint32_t root = leader(w, w->touched[i]);
        bool twice = false;
        for (uint32_t j = 0; j < i && !twice; j++) {
            twice = leader(w, w->touched[j]) == root;
        }
        if (twice) {
            continue;
        }
        if (!verify_room((void **)&w->members, w->members_count, &w->members_cap,
                         sizeof(*w->members))) {
            w->out_of_memory = true;
            return;
        }
        w->members[w->members_count++] = (struct member){root, op};
    }
}

static int by_root(const void *pa, const void *pb)
{
    const struct member *a = pa;
    const struct member *b = pb;
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
            uint32_t root = leader(w, o);
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
    note_sessions(w);
    for (uint32_t i = 0; i < h->ops_count; i++) {
        each_action(w, &h->ops[i], visit_transient);
    }
    make_up_ends(w);
    for (uint32_t i = 0; i < h->ops_count; i++) {
        if (h->ops[i].act.kind == VERIFY_TXN) {
            touch_op(w, &h->ops[i]);
            join(w);
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
