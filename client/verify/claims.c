/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claims.c: what revisions and receipts claim, against time and against each other.
 *
 * An answer A "is known before" an operation B when A came before B was called. Then:
 *   a linearizable read, a sync or a refused write B tells at least A's revision; a change B more
 *   a session read B of the same client tells at least A's revision
 *   B's state was current at most age_ms before B's answer, so at least A's revision is in it for
 *   every A that came earlier than B's call less its age
 *
 * One sweep each, over answers in the order of time. Ages are given a margin for clocks that tick at
 * different speeds.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/verify.h"

#include <stdlib.h>
#include <string.h>
#include "client/core/mem.h"

#define AGE_SLACK_NS 2000000u /* rounding to milliseconds, at both ends */
#define AGE_DRIFT    50u      /* one part in so many */

struct sweep {
    const struct verify_history *h;
    struct verify_report *r;
    const struct verify_op **answered; /* by the time of the answer */
    uint32_t answered_count;
    const struct verify_op **asked; /* by the time that matters */
    uint64_t *highest;              /* by client */
    const struct verify_op **whose; /* by client: who told it */
};

static bool failed(const struct sweep *w)
{
    return w->r->verdict == VERIFY_VIOLATION;
}

/* Report that B contradicts A (NULL: itself). */
static int report(struct sweep *w, enum verify_cause cause, const struct verify_op *a,
                  const struct verify_op *b)
{
    struct verify_report *r = w->r;
    r->items = coord__alloc(2 * sizeof(*r->items));
    if (r->items == NULL) {
        return COORD_ENOMEM;
    }
    r->verdict = VERIFY_VIOLATION;
    r->cause = cause;
    r->because = VERIFY_NOWHERE;
    if (a != NULL) {
        r->because = r->items_count;
        r->items[r->items_count++] = verify_item_of(a, VERIFY_BY_TIME, 0);
    }
    r->culprit = r->items_count;
    r->items[r->items_count++] = verify_item_of(b, VERIFY_BY_TIME, 0);
    return 0;
}

static int by_answer(const void *pa, const void *pb)
{
    const struct verify_op *a = *(const struct verify_op *const *)pa;
    const struct verify_op *b = *(const struct verify_op *const *)pb;
    return a->returned < b->returned ? -1 : a->returned > b->returned;
}

static int by_revision(const void *pa, const void *pb)
{
    const struct verify_op *a = *(const struct verify_op *const *)pa;
    const struct verify_op *b = *(const struct verify_op *const *)pb;
    return a->revision < b->revision ? -1 : a->revision > b->revision;
}

static uint64_t age_from(const struct verify_op *op)
{
    uint64_t age = op->age_ms < UINT64_MAX / 2000000 ? op->age_ms * 1000000 : UINT64_MAX / 2;
    age += age / AGE_DRIFT + AGE_SLACK_NS;
    return op->called > age ? op->called - age : 0;
}

static int by_age_from(const void *pa, const void *pb)
{
    uint64_t a = age_from(*(const struct verify_op *const *)pa);
    uint64_t b = age_from(*(const struct verify_op *const *)pb);
    return a < b ? -1 : a > b;
}

/* Is op a change that tells the very revision it made? */
static bool changes(const struct verify_op *op)
{
    return op->returned != VERIFY_NEVER && op->outcome == COORD_OUTCOME_DONE &&
           !verify_kind_reads(op->act.kind) && op->act.kind != VERIFY_CLOSE &&
           op->revision != VERIFY_UNKNOWN;
}

static bool tells_revision(const struct verify_op *op)
{
    return op->returned != VERIFY_NEVER && op->revision != VERIFY_UNKNOWN;
}

/* Was op decided on a state? What was refused without effect may come from a member cut off. */
static bool decided(const struct verify_op *op)
{
    return tells_revision(op) &&
           (op->outcome == COORD_OUTCOME_DONE || op->outcome == COORD_OUTCOME_FAILED);
}

/* --- what needs no other operation ------------------------------------------------------------- */

static bool list_in_order(const struct verify_history *h, const struct verify_action *a)
{
    for (uint32_t i = 1; i < a->entries_count; i++) {
        const char *before = h->paths[h->entries[a->entries + i - 1].path].text;
        const char *after = h->paths[h->entries[a->entries + i].path].text;
        if (verify_name_compare(before, after) >= 0) {
            return false;
        }
    }
    return true;
}

static int check_alone(struct sweep *w, const struct verify_op *op)
{
    bool served = op->returned != VERIFY_NEVER && op->error == 0 && op->has_receipt;
    bool reads = verify_kind_reads(op->act.kind) && op->act.kind != VERIFY_SYNC;
    if (served && reads && op->served != op->level) {
        return report(w, VERIFY_CAUSE_LEVEL, NULL, op);
    }
    if (served && reads && op->level == COORD_BOUNDED && op->age_ms > op->bound_ms) {
        return report(w, VERIFY_CAUSE_BOUND, NULL, op);
    }
    if (op->returned != VERIFY_NEVER && !list_in_order(w->h, &op->act)) {
        return report(w, VERIFY_CAUSE_LIST, NULL, op);
    }
    return 0;
}

/* --- sweeps ------------------------------------------------------------------------------------ */

static const struct verify_op *teller(const struct sweep *w, const struct verify_op *b)
{
    for (uint32_t i = 0; i < w->answered_count; i++) {
        if (w->answered[i]->revision == b->floor) {
            return w->answered[i];
        }
    }
    return NULL;
}

static int check_floor(struct sweep *w, const struct verify_op *op)
{
    bool reads = verify_kind_reads(op->act.kind);
    if (!decided(op) || op->act.kind == VERIFY_CLOSE ||
        (reads && op->act.kind != VERIFY_SYNC && op->level != COORD_LINEARIZABLE)) {
        return 0;
    }
    bool old = changes(op) && op->floor > 0 ? op->revision <= op->floor : op->revision < op->floor;
    return old ? report(w, VERIFY_CAUSE_OLD, teller(w, op), op) : 0;
}

static int check_revisions(struct sweep *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->h->ops_count; i++) {
        if (changes(&w->h->ops[i])) {
            w->asked[n++] = &w->h->ops[i];
        }
    }
    qsort(w->asked, n, sizeof(*w->asked), by_revision);
    for (uint32_t i = 1; i < n; i++) {
        if (w->asked[i]->revision == w->asked[i - 1]->revision) {
            return report(w, VERIFY_CAUSE_SAME_REVISION, w->asked[i - 1], w->asked[i]);
        }
    }
    return 0;
}

/* ops are in the order of their calls. */
static int check_sessions(struct sweep *w)
{
    uint32_t at = 0;
    memset(w->highest, 0, (w->h->clients_count + 1) * sizeof(*w->highest));
    for (uint32_t i = 0; i < w->h->ops_count; i++) {
        const struct verify_op *op = &w->h->ops[i];
        for (; at < w->answered_count && w->answered[at]->returned < op->called; at++) {
            const struct verify_op *a = w->answered[at];
            if (a->revision >= w->highest[a->client]) {
                w->highest[a->client] = a->revision;
                w->whose[a->client] = a;
            }
        }
        bool session = verify_kind_reads(op->act.kind) && op->level == COORD_SESSION;
        if (session && decided(op) && op->revision < w->highest[op->client]) {
            return report(w, VERIFY_CAUSE_SESSION, w->whose[op->client], op);
        }
    }
    return 0;
}

static int check_ages(struct sweep *w)
{
    uint32_t n = 0;
    uint32_t at = 0;
    const struct verify_op *highest = NULL;
    for (uint32_t i = 0; i < w->h->ops_count; i++) {
        const struct verify_op *op = &w->h->ops[i];
        if (op->has_receipt && decided(op) && op->age_ms != VERIFY_UNKNOWN) {
            w->asked[n++] = op;
        }
    }
    qsort(w->asked, n, sizeof(*w->asked), by_age_from);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t from = age_from(w->asked[i]);
        for (; at < w->answered_count && w->answered[at]->returned < from; at++) {
            bool higher = highest == NULL || w->answered[at]->revision > highest->revision;
            highest = higher ? w->answered[at] : highest;
        }
        if (highest != NULL && highest->revision > w->asked[i]->applied) {
            return report(w, VERIFY_CAUSE_AGE, highest, w->asked[i]);
        }
    }
    return 0;
}

static int check_each(struct sweep *w)
{
    for (uint32_t i = 0; i < w->h->ops_count && !failed(w); i++) {
        const struct verify_op *op = &w->h->ops[i];
        int err = check_alone(w, op);
        err = err < 0 || failed(w) ? err : check_floor(w, op);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int verify_claims(const struct verify_history *h, struct verify_report *r)
{
    struct sweep w = {.h = h, .r = r};
    w.answered = coord__alloc((h->ops_count + 1) * sizeof(*w.answered));
    w.asked = coord__alloc((h->ops_count + 1) * sizeof(*w.asked));
    w.highest = coord__alloc((h->clients_count + 1) * sizeof(*w.highest));
    w.whose = coord__alloc((h->clients_count + 1) * sizeof(*w.whose));
    int err = COORD_ENOMEM;
    if (w.answered != NULL && w.asked != NULL && w.highest != NULL && w.whose != NULL) {
        for (uint32_t i = 0; i < h->ops_count; i++) {
            if (tells_revision(&h->ops[i])) {
                w.answered[w.answered_count++] = &h->ops[i];
            }
        }
        qsort(w.answered, w.answered_count, sizeof(*w.answered), by_answer);
        err = check_each(&w);
        err = err < 0 || failed(&w) ? err : check_revisions(&w);
        err = err < 0 || failed(&w) ? err : check_sessions(&w);
        err = err < 0 || failed(&w) ? err : check_ages(&w);
    }
    coord__free(w.answered);
    coord__free(w.asked);
    coord__free(w.highest);
    coord__free(w.whose);
    return err;
}
