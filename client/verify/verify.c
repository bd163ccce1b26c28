/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.c: see verify.h: the four checks, one after the other.
 *
 * Leaves to others: the parts (plan.c), the orders (search.c), the claims (claims.c), the watches
 * (watches.c), making a counterexample small (shrink.c), words (explain.c).
 * Thread: none; one at a time.
 */
#include "client/verify/verify.h"

#include <stdio.h>
#include <string.h>
#include "client/core/mem.h"

#define EXPLAINED_MAX 4u /* parts that are made small; the smallest is shown */

struct checker {
    struct verify_history *h;
    struct verify_plan *plan;
    struct verify_search *search;
    struct verify_report *r;
};

static int search_part(struct checker *k, const struct verify_part *part, enum verify_axis axis,
                       struct verify_found *found)
{
    const struct verify_plan *p = k->plan;
    int err = verify_search_run(k->search, p->places + part->places, part->places_count, p->empty,
                                p->items + part->items[axis], part->items_count[axis], found);
    if (err == 0 && found->states > k->r->states) {
        k->r->states = found->states;
    }
    return err;
}

/* Keep the EXPLAINED_MAX parts with the fewest operations, the smallest first. */
static void note_violated(const struct verify_part **parts, uint32_t *count,
                          const struct verify_part *part, enum verify_axis axis)
{
    uint32_t at = *count;
    while (at > 0 && part->items_count[axis] < parts[at - 1]->items_count[axis]) {
        at--;
    }
    if (at == EXPLAINED_MAX) {
        return;
    }
    uint32_t last = *count < EXPLAINED_MAX ? (*count)++ : EXPLAINED_MAX - 1;
    for (; last > at; last--) {
        parts[last] = parts[last - 1];
    }
    parts[at] = part;
}

/* The smallest counterexample that any of the parts gives. */
static int explain_parts(struct checker *k, const struct verify_part **parts, uint32_t count,
                         enum verify_axis axis)
{
    int err = 0;
    for (uint32_t i = 0; i < count && err == 0; i++) {
        struct verify_report one = {.because = VERIFY_NOWHERE};
        err = verify_shrink(k->plan, parts[i], axis, k->search, &one);
        if (err == 0 && (i == 0 || one.items_count < k->r->items_count)) {
            coord__free(k->r->items);
            k->r->items = one.items;
            k->r->items_count = one.items_count;
            k->r->culprit = one.culprit;
            k->r->because = one.because;
            one.items = NULL;
        }
        coord__free(one.items);
    }
    return err;
}

/* Search all parts, and explain those without an order. */
static int check_axis(struct checker *k, enum verify_axis axis, uint8_t *undecided)
{
    struct verify_plan *p = k->plan;
    const struct verify_part *violated[EXPLAINED_MAX];
    uint32_t count = 0;
    struct verify_found found;
    for (uint32_t i = 0; i < p->parts_count; i++) {
        int err = search_part(k, &p->parts[i], axis, &found);
        if (err < 0) {
            return err;
        }
        undecided[i] |= found.verdict == VERIFY_UNDECIDED;
        if (found.verdict == VERIFY_VIOLATION) {
            k->r->violated += axis == VERIFY_BY_TIME;
            note_violated(violated, &count, &p->parts[i], axis);
        }
    }
    if (count == 0) {
        return 0;
    }
    k->r->verdict = VERIFY_VIOLATION;
    k->r->cause = axis == VERIFY_BY_TIME ? VERIFY_CAUSE_TIME : VERIFY_CAUSE_REVISION;
    return explain_parts(k, violated, count, axis);
}

static int check_all(struct checker *k)
{
    uint8_t *undecided = coord__alloc((size_t)k->plan->parts_count + 1);
    if (undecided == NULL) {
        return COORD_ENOMEM;
    }
    int err = check_axis(k, VERIFY_BY_TIME, undecided);
    if (err == 0 && k->r->verdict == VERIFY_OK) {
        err = verify_claims(k->h, k->r);
    }
    if (err == 0 && k->r->verdict == VERIFY_OK) {
        err = check_axis(k, VERIFY_BY_REVISION, undecided);
    }
    if (err == 0 && k->r->verdict == VERIFY_OK) {
        err = verify_watches(k->h, k->plan->empty, k->plan->within, k->r);
    }
    for (uint32_t i = 0; i < k->plan->parts_count; i++) {
        k->r->undecided += undecided[i];
    }
    if (k->r->verdict == VERIFY_OK && k->r->undecided > 0) {
        k->r->verdict = VERIFY_UNDECIDED;
    }
    coord__free(undecided);
    return err;
}

static void count(const struct verify_history *h, struct verify_report *r)
{
    r->operations = h->ops_count;
    r->clients = h->clients_count;
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct verify_op *op = &h->ops[i];
        r->unanswered += op->returned == VERIFY_NEVER && !verify_kind_reads(op->act.kind);
    }
}

static int find_scope(struct verify_history *h, const struct verify_options *o,
                      uint32_t *ret_within)
{
    *ret_within = 0;
    if (o->within == NULL) {
        return 0;
    }
    size_t n = strlen(o->within);
    if (n == 0 || n > COORD_PATH_MAX || o->within[0] != '/' || (n > 1 && o->within[n - 1] == '/') ||
        strstr(o->within, "//") != NULL) {
        return COORD_EBADPATH;
    }
    *ret_within = verify_path_number(h, o->within, n);
    return *ret_within == VERIFY_NOWHERE ? COORD_ENOMEM : 0;
}

int verify_check(struct verify_history *h, const struct verify_options *o,
                 struct verify_report *ret_report, struct verify_plan **ret_plan)
{
    struct verify_report r = {.because = VERIFY_NOWHERE, .watch = VERIFY_NOWHERE};
    struct checker k = {.h = h, .r = &r};
    uint32_t within;
    int err = find_scope(h, o, &within);
    if (err == 0) {
        err = verify_plan_create(h, o->empty, within, &k.plan);
    }
    if (err < 0) {
        return err;
    }
    struct verify_model *m = verify_model_create(h);
    uint64_t budget = o->budget != 0 ? o->budget : VERIFY_BUDGET_DEFAULT;
    k.search = m != NULL ? verify_search_create(m, budget) : NULL;
    err = COORD_ENOMEM;
    if (k.search != NULL) {
        count(h, &r);
        r.parts = k.plan->parts_count;
        err = check_all(&k);
    }
    verify_search_destroy(k.search);
    verify_model_destroy(m);
    if (err < 0) {
        verify_report_finish(&r);
        verify_plan_destroy(k.plan);
        return err;
    }
    if (r.watch != VERIFY_NOWHERE) {
        (void)snprintf(r.object, sizeof(r.object), "%s", h->paths[r.change.path].text);
    } else if (r.items_count > 0) {
        const struct verify_op *op = r.items[r.culprit].op;
        const char *path = op->act.path < h->paths_count ? h->paths[op->act.path].text : "";
        (void)snprintf(r.object, sizeof(r.object), "%s", path); /* cut when too long */
    }
    *ret_report = r;
    *ret_plan = k.plan;
    return 0;
}

void verify_report_finish(struct verify_report *r)
{
    coord__free(r->items);
    memset(r, 0, sizeof(*r));
}
