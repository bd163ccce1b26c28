/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shrink.c: a part that has no order, made as small as can be while it still has none.
 *
 * Every step keeps the answers it leaves meaningful; what could make a contradiction that was not
 * there before is not done:
 *   cut      leave out what was called behind a moment; what was under way then was not answered yet,
 *            and may or may not have happened. A prefix of a history that has an order has one.
 *   leave    leave out operations that change nothing. Without them an order is still one.
 *   forget   leave a place out of the model. What is not held constrains nothing.
 *   begin    begin later: leave out all that was answered before a moment at which nothing was under
 *            way. Every order has it in front, and the state before an order is unknown anyway.
 *   trim     leave out the first or the last change, if no answer that stays shows it.
 *   doubt    take a change for one without an answer: an order that gives the answer is one without it
 *            too. Only of few operations, since each in doubt makes the search longer.
 *   drop     at last, leave out operations without an answer, which may but need not happen: nothing
 *            has an order without them that has none with them.
 *
 * An answer that came behind the cut must be forgotten, not kept for the case that it happened: an
 * operation that was told a lie would fit nowhere then, be dropped, and not be shown, though without
 * the lie it explains what is shown.
 *
 * Each step is tried and kept only when the search still finds no order. A search that gives up
 * counts as one that found an order. The number of searches is bounded, and each gives up when it becomes much
 * longer than that of the whole part: what is in doubt can make it so.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/verify.h"

#include <stdlib.h>
#include <string.h>
#include "client/core/mem.h"

#define TRIALS_MAX   4000u
#define TRIAL_STATES 10000u  /* and twice those of all there is */
#define LAST_STATES  100000u /* when few operations are left */
#define ROUNDS_MAX   6u
#define DOUBTS_MAX   24u /* operations left, for doubt() */

/* An operation as if its answer had not come. */
struct unanswered {
    struct unanswered *next;
    const struct verify_op *was;
    struct verify_op op;
};

struct shrinker {
    const struct verify_history *h;
    struct verify_search *search;
    enum verify_axis axis;
    bool empty;
    struct verify_item *items;
    uint32_t count;
    struct verify_place *places;
    uint32_t places_count;
    /* What is tried instead. */
    struct verify_item *trial;
    uint32_t trial_count;
    struct verify_place *trial_places;
    uint32_t trial_places_count;
    struct unanswered *unanswered; /* that items and trial point to, the latest first */
    const struct verify_op *stuck; /* of the last kept trial: what could not be answered */
    uint32_t trials;
    int err;
};

/* Search the trial; keep it when it has no order. */
static bool keep_if_violated(struct shrinker *k, bool empty)
{
    struct verify_found found;
    if (k->err < 0 || k->trials >= TRIALS_MAX) {
        return false;
    }
    k->trials++;
    k->err = verify_search_run(k->search, k->trial_places, k->trial_places_count, empty, k->trial,
                               k->trial_count, &found);
    if (k->err < 0 || found.verdict != VERIFY_VIOLATION) {
        return false;
    }
    memcpy(k->items, k->trial, k->trial_count * sizeof(*k->items));
    memcpy(k->places, k->trial_places, k->trial_places_count * sizeof(*k->places));
    k->count = k->trial_count;
    k->places_count = k->trial_places_count;
    k->empty = empty;
    if (k->trials == 1) { /* all there is */
        verify_search_limit(k->search, TRIAL_STATES + 2 * found.states);
    }
    k->stuck = found.stuck != VERIFY_NOWHERE ? k->items[found.stuck].op : NULL;
    return true;
}

static void same_places(struct shrinker *k)
{
    memcpy(k->trial_places, k->places, k->places_count * sizeof(*k->places));
    k->trial_places_count = k->places_count;
}

static void same_items(struct shrinker *k)
{
    memcpy(k->trial, k->items, k->count * sizeof(*k->items));
    k->trial_count = k->count;
}

/* --- without an answer ------------------------------------------------------------------------- */

/* Into the trial: `it`, of which nobody knows whether it happened. A transaction may have taken either
 * branch. */
static void add_unanswered(struct shrinker *k, const struct verify_item *it)
{
    struct unanswered *u = coord__alloc(sizeof(*u));
    if (u == NULL) {
        k->err = COORD_ENOMEM;
        return;
    }
    *u = (struct unanswered){k->unanswered, it->op, *it->op};
    k->unanswered = u;
    verify_op_forget_answer(&u->op);
    uint32_t variants = u->op.act.kind == VERIFY_TXN ? 2 : 1;
    for (uint32_t v = 0; v < variants; v++) {
        struct verify_item *to = &k->trial[k->trial_count++];
        *to = verify_item_of(&u->op, k->axis, v);
        to->call = it->call < to->call ? it->call : to->call;
    }
}

/* Free those that came after `mark`: of a trial that was not kept. */
static void free_unanswered(struct shrinker *k, const struct unanswered *mark)
{
    while (k->unanswered != mark) {
        struct unanswered *u = k->unanswered;
        k->unanswered = u->next;
        coord__free(u);
    }
}

/* What outlives this is the history's own. */
static void point_to_history(struct shrinker *k)
{
    for (const struct unanswered *u = k->unanswered; u != NULL; u = u->next) {
        for (uint32_t i = 0; i < k->count; i++) {
            k->items[i].op = k->items[i].op == &u->op ? u->was : k->items[i].op;
        }
    }
}

/* --- cut --------------------------------------------------------------------------------------- */

static bool changes_nothing(const struct verify_item *it)
{
    return verify_kind_reads(it->op->act.kind) ||
           (it->op->returned != VERIFY_NEVER && it->op->error != 0);
}

static bool cut_at(struct shrinker *k, uint64_t key)
{
    const struct unanswered *mark = k->unanswered;
    same_places(k);
    k->trial_count = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        const struct verify_item *it = &k->items[i];
        bool pending = !it->optional && it->ret > key;
        if (it->call > key || (pending && verify_kind_reads(it->op->act.kind))) {
            continue;
        }
        if (pending) {
            add_unanswered(k, it);
        } else {
            k->trial[k->trial_count++] = *it;
        }
    }
    bool kept = keep_if_violated(k, k->empty);
    if (!kept) {
        free_unanswered(k, mark);
    }
    return kept;
}

static int by_number(const void *pa, const void *pb)
{
    uint64_t a = *(const uint64_t *)pa;
    uint64_t b = *(const uint64_t *)pb;
    return a < b ? -1 : a > b;
}

/* The earliest answer up to which there is no order. */
static void cut(struct shrinker *k)
{
    uint64_t *keys = coord__alloc(((size_t)k->count + 1) * sizeof(*keys));
    uint32_t n = 0;
    if (keys == NULL) {
        k->err = COORD_ENOMEM;
        return;
    }
    for (uint32_t i = 0; i < k->count; i++) {
        if (!k->items[i].optional) {
            keys[n++] = k->items[i].ret;
        }
    }
    qsort(keys, n, sizeof(*keys), by_number);
    uint32_t from = 0;
    uint32_t to = n;
    while (from < to && k->err == 0) {
        uint32_t mid = from + (to - from) / 2;
        if (cut_at(k, keys[mid])) {
            to = mid;
        } else {
            from = mid + 1;
        }
    }
    coord__free(keys);
}

/* --- leave ------------------------------------------------------------------------------------- */

/* Try without items[from, to), as far as they may be left out. Return: how many remain of them. */
static bool leave_range(struct shrinker *k, uint32_t from, uint32_t to,
                        bool (*may)(const struct verify_item *))
{
    bool any = false;
    same_places(k);
    k->trial_count = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        bool out = i >= from && i < to && may(&k->items[i]);
        any = any || out;
        if (!out) {
            k->trial[k->trial_count++] = k->items[i];
        }
    }
    return any && keep_if_violated(k, k->empty);
}

/* Ever smaller groups, down to single ones. Return: something was left out. */
static bool leave(struct shrinker *k, bool (*may)(const struct verify_item *))
{
    uint32_t before = k->count;
    for (uint32_t size = k->count; size > 0 && k->err == 0; size /= 2) {
        for (uint32_t at = 0; at < k->count && k->err == 0;) {
            at += leave_range(k, at, at + size, may) ? 0 : size;
        }
    }
    return k->count < before;
}

static bool is_optional(const struct verify_item *it)
{
    return it->optional;
}

/* --- forget ------------------------------------------------------------------------------------ */

/* May the end of a session touch what is held? Only what it may own. */
static bool close_concerns(const struct shrinker *k, uint64_t session)
{
    for (uint32_t i = 0; i < k->places_count; i++) {
        if (k->places[i].role != VERIFY_NODE) {
            return true; /* children have no owner that is told */
        }
    }
    for (uint32_t i = 0; i < k->count; i++) {
        const struct verify_action *a = &k->items[i].op->act;
        if ((a->has_stat && a->stat.owner == session) ||
            (!a->has_stat && (a->flags & COORD_EPHEMERAL) != 0) || a->kind == VERIFY_LIST) {
            return true;
        }
    }
    return false;
}

/* Does an item have to do with what is held? Of what is concerned, something becomes known. */
static bool item_concerns(const struct shrinker *k, const struct verify_item *it)
{
    struct verify_model *m = verify_search_model(k->search);
    if (it->op->act.kind == VERIFY_CLOSE) {
        return close_concerns(k, it->op->session);
    }
    if (verify_model_load(m, k->places, k->places_count, false) < 0) {
        return true;
    }
    return !verify_model_step(m, it->op, it->variant) || verify_model_mark(m) > 0;
}

/* Leave out what has nothing to do with what is still held. */
static void leave_unconcerned(struct shrinker *k)
{
    same_places(k);
    k->trial_count = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        if (item_concerns(k, &k->items[i])) {
            k->trial[k->trial_count++] = k->items[i];
        }
    }
    if (k->trial_count < k->count) {
        (void)keep_if_violated(k, k->empty); /* as it was otherwise */
    }
}

static bool forget(struct shrinker *k)
{
    uint32_t before = k->places_count;
    for (uint32_t size = k->places_count; size > 0 && k->err == 0; size /= 2) {
        for (uint32_t at = 0; at < k->places_count && k->err == 0;) {
            same_items(k);
            k->trial_places_count = 0;
            for (uint32_t i = 0; i < k->places_count; i++) {
                if (i < at || i >= at + size) {
                    k->trial_places[k->trial_places_count++] = k->places[i];
                }
            }
            at += k->trial_places_count > 0 && keep_if_violated(k, k->empty) ? 0 : size;
        }
    }
    leave_unconcerned(k);
    return k->places_count < before;
}

/* --- begin later ------------------------------------------------------------------------------- */

static int by_item_call(const void *pa, const void *pb)
{
    const struct verify_item *a = pa;
    const struct verify_item *b = pb;
    if (a->call != b->call) {
        return a->call < b->call ? -1 : 1;
    }
    return a->op < b->op ? -1 : a->op > b->op;
}

/* Everything from `from` on, and what has no answer and so may have happened behind. */
static bool begin_at(struct shrinker *k, uint64_t from)
{
    same_places(k);
    k->trial_count = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        if (k->items[i].call >= from || k->items[i].optional) {
            k->trial[k->trial_count++] = k->items[i];
        }
    }
    return keep_if_violated(k, false);
}

/* The latest moment from which on there is no order. */
static bool begin_later(struct shrinker *k)
{
    uint64_t highest = 0;
    uint32_t n = 0;
    uint64_t *moments = coord__alloc(((size_t)k->count + 1) * sizeof(*moments));
    if (moments == NULL) {
        k->err = COORD_ENOMEM;
        return false;
    }
    qsort(k->items, k->count, sizeof(*k->items), by_item_call);
    for (uint32_t i = 0; i < k->count; i++) {
        const struct verify_item *it = &k->items[i];
        if (it->optional) {
            continue;
        }
        if (it->call > highest && highest > 0) {
            moments[n++] = it->call;
        }
        highest = it->ret > highest ? it->ret : highest;
    }
    bool any = false;
    while (n > 0 && !any && k->err == 0) {
        any = begin_at(k, moments[--n]);
    }
    coord__free(moments);
    return any;
}

/* --- trim -------------------------------------------------------------------------------------- */

static bool is_change(const struct verify_item *it)
{
    enum verify_kind kind = it->op->act.kind;
    return !it->optional && !changes_nothing(it) && it->op->revision != VERIFY_UNKNOWN &&
           (kind == VERIFY_SET || kind == VERIFY_CREATE ||
            (kind == VERIFY_DELETE && (it->op->act.flags & COORD_RECURSIVE) == 0));
}

/* Does what `it` was answered show the change w? */
static bool shows(const struct verify_item *it, const struct verify_op *w, bool last)
{
    const struct verify_action *a = &it->op->act;
    if (it->op == w) {
        return false;
    }
    bool subtree =
        a->kind == VERIFY_RENAME || (a->kind == VERIFY_DELETE && (a->flags & COORD_RECURSIVE) != 0);
    if (a->kind == VERIFY_TXN || a->kind == VERIFY_LIST || a->kind == VERIFY_CLOSE ||
        a->kind == VERIFY_INCREMENT || subtree) {
        return true; /* not looked into */
    }
    bool token = a->has_stat &&
                 (a->stat.modified == w->revision || (last && a->stat.created == w->revision));
    bool value = a->kind == VERIFY_GET && a->error == 0 && w->act.kind != VERIFY_DELETE &&
                 a->got == w->act.value;
    bool asked = (a->conditions & COORD_IF_MODIFIED) != 0 && a->modified == w->revision;
    bool missing = w->act.kind == VERIFY_DELETE &&
                   (a->error == COORD_ENONODE || (a->kind == VERIFY_EXISTS && !a->exists) ||
                    a->kind == VERIFY_CREATE);
    bool there = w->act.kind == VERIFY_CREATE &&
                 ((a->kind == VERIFY_EXISTS && a->exists) || a->error == COORD_EEXISTS ||
                  (!a->has_stat && a->kind != VERIFY_CREATE));
    return (token && !changes_nothing(it)) ? it->op->revision < w->revision
                                           : token || value || asked || missing || there;
}

/* The change with the lowest (or highest) revision, unless an answer shows it. */
static uint32_t trimmable(const struct shrinker *k, bool last)
{
    uint32_t best = VERIFY_NOWHERE;
    for (uint32_t i = 0; i < k->count; i++) {
        const struct verify_op *op = k->items[i].op;
        if (!is_change(&k->items[i])) {
            continue;
        }
        bool better =
            best == VERIFY_NOWHERE || (op->revision < k->items[best].op->revision) != last;
        best = better ? i : best;
    }
    for (uint32_t i = 0; i < k->count && best != VERIFY_NOWHERE; i++) {
        if (shows(&k->items[i], k->items[best].op, last)) {
            return VERIFY_NOWHERE;
        }
    }
    return best;
}

static bool trim(struct shrinker *k, bool last)
{
    bool any = false;
    if (k->places_count != 1 || k->places[0].role != VERIFY_NODE) {
        return false; /* only the states of one node follow each other in one line */
    }
    for (;;) { /* each turn leaves one out */
        uint32_t out = trimmable(k, last);
        if (out == VERIFY_NOWHERE) {
            return any;
        }
        same_places(k);
        k->trial_count = 0;
        for (uint32_t i = 0; i < k->count; i++) {
            if (i != out) {
                k->trial[k->trial_count++] = k->items[i];
            }
        }
        if (!keep_if_violated(k, last && k->empty)) {
            return any;
        }
        any = true;
    }
}

/* --- doubt ------------------------------------------------------------------------------------- */

static bool doubt_one(struct shrinker *k, uint32_t which)
{
    const struct unanswered *mark = k->unanswered;
    same_places(k);
    k->trial_count = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        if (i == which) {
            add_unanswered(k, &k->items[i]);
        } else {
            k->trial[k->trial_count++] = k->items[i];
        }
    }
    bool kept = keep_if_violated(k, k->empty);
    if (!kept) {
        free_unanswered(k, mark);
    }
    return kept;
}

/* What is left is needed, each of it, with its answer. */
static bool doubt(struct shrinker *k)
{
    bool any = false;
    for (uint32_t i = 0; i < k->count && k->count <= DOUBTS_MAX && k->err == 0; i++) {
        if (!k->items[i].optional && !changes_nothing(&k->items[i])) {
            any = doubt_one(k, i) || any;
        }
    }
    return any;
}

/* --- all of it --------------------------------------------------------------------------------- */

static bool shrinker_alloc(struct shrinker *k)
{
    size_t items = 2 * (size_t)k->count + 1; /* each transaction may become two */
    size_t places = (size_t)k->places_count + 1;
    k->items = coord__alloc(items * sizeof(*k->items));
    k->trial = coord__alloc(items * sizeof(*k->trial));
    k->places = coord__alloc(places * sizeof(*k->places));
    k->trial_places = coord__alloc(places * sizeof(*k->trial_places));
    return k->items != NULL && k->trial != NULL && k->places != NULL && k->trial_places != NULL;
}

static void shrink(struct shrinker *k)
{
    same_places(k);
    same_items(k);
    (void)keep_if_violated(k, k->empty); /* it is: how long does that take? */
    cut(k);
    bool more = true;
    for (uint32_t round = 0; round < ROUNDS_MAX && more && k->err == 0; round++) {
        more = leave(k, changes_nothing);
        more = forget(k) || more;
        more = begin_later(k) || more;
        more = trim(k, false) || more;
        more = trim(k, true) || more;
        more = doubt(k) || more;
    }
    if (k->count <= DOUBTS_MAX) { /* few: they are worth longer searches */
        verify_search_limit(k->search, LAST_STATES);
        (void)doubt(k);
        (void)leave(k, changes_nothing);
        (void)forget(k);
        (void)doubt(k);
    }
    (void)leave(k, is_optional); /* what could be left out is */
}

static int by_call(const void *pa, const void *pb)
{
    const struct verify_item *a = pa;
    const struct verify_item *b = pb;
    if (a->op->called != b->op->called) {
        return a->op->called < b->op->called ? -1 : 1;
    }
    return a->op < b->op ? -1 : a->op > b->op;
}

/* The answer that does not fit, and the latest change that was answered before it was asked. */
static void point_out(struct shrinker *k, struct verify_report *r)
{
    qsort(k->items, k->count, sizeof(*k->items), by_call);
    r->culprit = k->count > 0 ? k->count - 1 : 0;
    r->because = VERIFY_NOWHERE;
    for (uint32_t i = 0; i < k->count; i++) {
        r->culprit = k->items[i].op == k->stuck ? i : r->culprit;
    }
    for (uint32_t i = 0; i < k->count; i++) {
        const struct verify_item *it = &k->items[i];
        bool before = it->op->returned < k->items[r->culprit].op->called;
        bool later =
            r->because == VERIFY_NOWHERE || it->op->returned > k->items[r->because].op->returned;
        if (!changes_nothing(it) && before && later) {
            r->because = i;
        }
    }
}

int verify_shrink(const struct verify_plan *p, const struct verify_part *part,
                  enum verify_axis axis, struct verify_search *s, struct verify_report *r)
{
    struct shrinker k = {.h = p->h, .search = s, .axis = axis, .empty = p->empty};
    k.count = part->items_count[axis];
    k.places_count = part->places_count;
    if (!shrinker_alloc(&k)) {
        k.err = COORD_ENOMEM;
    } else {
        memcpy(k.items, p->items + part->items[axis], k.count * sizeof(*k.items));
        memcpy(k.places, p->places + part->places, k.places_count * sizeof(*k.places));
        shrink(&k);
    }
    verify_search_limit(s, UINT64_MAX);
    point_to_history(&k);
    free_unanswered(&k, NULL);
    if (k.err == 0) {
        point_out(&k, r);
        r->items = k.items;
        r->items_count = k.count;
        k.items = NULL;
    }
    coord__free(k.items);
    coord__free(k.trial);
    coord__free(k.places);
    coord__free(k.trial_places);
    return k.err;
}
