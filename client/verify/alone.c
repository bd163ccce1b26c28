/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alone.c: what goes by itself: ephemeral nodes with their session, containers and ttl nodes one by one,
 * and whatever was moved, whose kind is not followed. No client says that it went, so an operation that may, but
 * need not, happen is made up for each.
 *
 * Leaves to others: what takes part where (touch.c, plan.c).
 * Thread: none; one at a time.
 */
#include "client/verify/plan_int.h"

#include <stdlib.h>

static int by_session(const void *pa, const void *pb)
{
    const struct verify_session_use *a = pa;
    const struct verify_session_use *b = pb;
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

void verify_planner_sessions(struct verify_planner *w)
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
        w->uses[w->uses_count++] = (struct verify_session_use){op->session, op->called};
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
        w->owned[w->owned_count++] = (struct verify_owned){owner, op->client, path, deleted, op};
    }
    if (!deleted && (!ephemeral || owner == VERIFY_UNKNOWN)) {
        (void)make_up(w, op, VERIFY_VANISH, owner, path); /* out_of_memory says the rest */
    }
}

static int by_owner(const void *pa, const void *pb)
{
    const struct verify_owned *a = pa;
    const struct verify_owned *b = pb;
    if (a->session != b->session) {
        return a->session < b->session ? -1 : 1;
    }
    return a->made < b->made ? -1 : a->made > b->made;
}

/* Sessions that own a node nobody deleted may end by themselves, once, with all they own; not before
 * the last write that they are known to have made. */
void verify_planner_ends(struct verify_planner *w)
{
    if (w->owned_count > 0) {
        qsort(w->owned, w->owned_count, sizeof(*w->owned), by_owner);
    }
    for (uint32_t i = 0, next; i < w->owned_count; i = next) {
        const struct verify_owned *last = &w->owned[i];
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
void verify_planner_transient(struct verify_planner *w, const struct verify_op *op,
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
    uint32_t path = verify_planner_made(a, answered);
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
