/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watches.c: was each watch told everything, once, in order, and nothing that did not happen?
 *
 * The writes that were answered say at which revision they made which changes. So, of each watch:
 *   - revisions grow; two events of one revision are one too many
 *   - a change that it was told is of its path and kinds
 *   - at a revision that is a write's, it is a change that this write makes, with its value and version
 *   - at another one it is a change that a write whose revision is not known can have made, or, where a node went, one
 *     that can have gone by itself
 *   - of two neighbouring events, unless the second is a GAP, no write's change lies between them, and all of the
 *     second's revision are in it
 *
 * What cannot be known is not judged: a recursive delete, a rename and the parents of a create tell of nodes that nobody named; changes of a
 * transaction that touches a path twice; what happened before anything was answered; what lies behind the last event.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/verify.h"

#include <stdlib.h>
#include <string.h>
#include "client/core/mem.h"

struct watcher {
    const struct verify_history *h;
    struct verify_report *r;
    bool empty;
    uint32_t within;
    const struct verify_op **known; /* changes that told their revision, in its order */
    uint32_t known_count;
    const struct verify_op *
        *open; /* writes that may have been made, at a revision that nobody told */
    uint32_t open_count;
    uint8_t *goes; /* by path: a node that goes by itself can have been there */
    uint64_t base; /* no later revision is of a time before the recording */
};

/* A change that a write makes for certain. */
struct sure {
    uint32_t kind;
    uint32_t path;
};

/* --- what writes make -------------------------------------------------------------------------- */

static uint32_t made_path(const struct verify_action *a)
{
    return a->made != VERIFY_NOWHERE ? a->made : a->path;
}

/* Is it known where a create made its node? Of a sequential one only an answer tells. */
static bool is_named(const struct verify_action *a, bool answered)
{
    return (a->flags & COORD_SEQUENTIAL) == 0 || (answered && made_path(a) != a->path);
}

/* Can it have made such a change there? */
static bool may_make(const struct verify_history *h, const struct verify_action *a, bool answered,
                     const struct verify_change *c)
{
    switch (a->kind) {
    case VERIFY_CREATE:
        if (c->kind != COORD_CREATED) {
            return false;
        }
        if ((a->flags & COORD_PARENTS) != 0 && c->path != a->path &&
            verify_path_within(h, a->path, c->path)) {
            return true;
        }
        return is_named(a, answered) ? c->path == made_path(a)
                                     : verify_path_numbered(h, a->path, c->path);
    case VERIFY_SET:
    case VERIFY_INCREMENT:
        return c->kind == COORD_CHANGED && c->path == a->path;
    case VERIFY_DELETE:
        return c->kind == COORD_DELETED &&
               (c->path == a->path ||
                ((a->flags & COORD_RECURSIVE) != 0 && verify_path_within(h, c->path, a->path)));
    case VERIFY_RENAME:
        return (c->kind == COORD_DELETED && verify_path_within(h, c->path, a->path)) ||
               (c->kind == COORD_CREATED && verify_path_within(h, c->path, a->made));
    default:
        return false;
    }
}

static bool is(uint64_t told, uint64_t must)
{
    return told == VERIFY_UNKNOWN || must == VERIFY_UNKNOWN || told == must;
}

static bool has_value(const struct verify_change *c, uint32_t value)
{
    return c->value == VERIFY_VALUE_UNKNOWN || value == VERIFY_VALUE_UNKNOWN || c->value == value;
}

/* Numbers and values of a change that may_make allows. revision: at which it was told. */
static bool fits(const struct verify_action *a, bool answered, uint64_t revision,
                 const struct verify_change *c)
{
    if (c->kind == COORD_CREATED) {
        bool create = a->kind == VERIFY_CREATE && is_named(a, answered);
        uint32_t itself = c->path == made_path(a) ? a->value : VERIFY_VALUE_NONE;
        uint32_t value = create ? itself : VERIFY_VALUE_UNKNOWN;
        return is(c->version, 0) && is(c->created, revision) && has_value(c, value);
    }
    if (c->kind == COORD_DELETED) {
        return true;
    }
    uint32_t value = a->kind == VERIFY_SET ? a->value : answered ? a->got : VERIFY_VALUE_UNKNOWN;
    bool stat = answered && a->has_stat;
    return has_value(c, value) && (!stat || is(c->version, a->stat.version)) &&
           (!stat || is(c->created, a->stat.created));
}

/* Can op have made the change that was told at this revision? */
static bool explains(const struct verify_history *h, const struct verify_op *op, uint64_t revision,
                     const struct verify_change *c)
{
    bool answered = op->returned != VERIFY_NEVER;
    if (op->act.kind != VERIFY_TXN) {
        return may_make(h, &op->act, answered, c) && fits(&op->act, answered, revision, c);
    }
    for (uint32_t b = 0; b < 2; b++) {
        for (uint32_t i = 0; i < op->txn.branch_count[b]; i++) {
            const struct verify_action *a = &h->actions[op->txn.branch[b] + i];
            /* Others of the transaction may touch the node too: its numbers are not judged. */
            if ((!answered || b == op->txn.taken) && may_make(h, a, answered, c)) {
                return true;
            }
        }
    }
    return false;
}

/* The changes that a makes for certain when it succeeded. Return: how many, 2 at most. */
static uint32_t sure_of(const struct verify_action *a, struct sure out[2])
{
    switch (a->kind) {
    case VERIFY_CREATE:
        if (!is_named(a, true)) {
            return 0;
        }
        out[0] = (struct sure){COORD_CREATED, made_path(a)};
        return 1;
    case VERIFY_SET:
    case VERIFY_INCREMENT:
        out[0] = (struct sure){COORD_CHANGED, a->path};
        return 1;
    case VERIFY_DELETE:
        out[0] = (struct sure){COORD_DELETED, a->path};
        return 1;
    case VERIFY_RENAME:
        out[0] = (struct sure){COORD_DELETED, a->path};
        out[1] = (struct sure){COORD_CREATED, a->made};
        return 2;
    default:
        return 0;
    }
}

/* Does another operation of the transaction touch the path, or what is above or below it? */
static bool touched_twice(const struct verify_history *h, const struct verify_txn *t, uint32_t self,
                          uint32_t path)
{
    for (uint32_t i = 0; i < t->branch_count[t->taken]; i++) {
        const struct verify_action *a = &h->actions[t->branch[t->taken] + i];
        struct sure s[2];
        uint32_t n = i != self ? sure_of(a, s) : 0;
        while (n-- > 0) {
            if (verify_path_within(h, s[n].path, path) || verify_path_within(h, path, s[n].path)) {
                return true;
            }
        }
    }
    return false;
}

/* --- what the history knows -------------------------------------------------------------------- */

static bool judged(const struct watcher *w, uint32_t path)
{
    return verify_path_within(w->h, path, w->within) && !verify_is_reserved(w->h->paths[path].text);
}

static bool wanted(const struct watcher *w, const struct verify_watch *x, uint32_t kind,
                   uint32_t path)
{
    bool there = path == x->path ||
                 (x->depth == COORD_WATCH_CHILDREN && w->h->paths[path].parent == x->path) ||
                 (x->depth == COORD_WATCH_SUBTREE && verify_path_within(w->h, path, x->path));
    return there && (x->kinds & kind) != 0;
}

static int by_revision(const void *pa, const void *pb)
{
    const struct verify_op *a = *(const struct verify_op *const *)pa;
    const struct verify_op *b = *(const struct verify_op *const *)pb;
    return a->revision < b->revision ? -1 : a->revision > b->revision;
}

/* The first of the known changes whose revision is at least this. */
static uint32_t known_from(const struct watcher *w, uint64_t revision)
{
    uint32_t from = 0;
    uint32_t to = w->known_count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        bool below = w->known[mid]->revision < revision;
        from = below ? mid + 1 : from;
        to = below ? to : mid;
    }
    return from;
}

/* A node that goes by itself may be made, or may have been moved, to these paths. */
static void note_goes(struct watcher *w, const struct verify_action *a, bool answered)
{
    bool transient = (a->flags & (COORD_EPHEMERAL | COORD_CONTAINER | COORD_TTL)) != 0;
    if (a->kind == VERIFY_CREATE && transient && is_named(a, answered)) {
        w->goes[made_path(a)] = 1;
    } else if (a->kind == VERIFY_RENAME || (a->kind == VERIFY_CREATE && transient)) {
        for (uint32_t p = 0; p < w->h->paths_count; p++) {
            w->goes[p] |= a->kind == VERIFY_RENAME ? verify_path_within(w->h, p, a->made)
                                                   : verify_path_numbered(w->h, a->path, p);
        }
    }
}

static void note_write(struct watcher *w, const struct verify_op *op)
{
    bool answered = op->returned != VERIFY_NEVER;
    if (op->act.kind != VERIFY_TXN) {
        note_goes(w, &op->act, answered);
    }
    for (uint32_t b = 0; b < 2; b++) {
        for (uint32_t i = 0; i < op->txn.branch_count[b] && op->act.kind == VERIFY_TXN; i++) {
            note_goes(w, &w->h->actions[op->txn.branch[b] + i], answered);
        }
    }
    if (answered && op->revision != VERIFY_UNKNOWN) {
        w->known[w->known_count++] = op;
    } else {
        w->open[w->open_count++] = op;
    }
}

static void note_all(struct watcher *w)
{
    w->base = UINT64_MAX;
    for (uint32_t i = 0; i < w->h->ops_count; i++) {
        const struct verify_op *op = &w->h->ops[i];
        bool answered = op->returned != VERIFY_NEVER;
        bool reads = verify_kind_reads(op->act.kind);
        if (op->act.kind == VERIFY_CLOSE || op->outcome == COORD_OUTCOME_NOT_APPLIED ||
            op->outcome == COORD_OUTCOME_FAILED) {
            continue;
        }
        bool newest = !reads || op->act.kind == VERIFY_SYNC || op->level == COORD_LINEARIZABLE;
        if (answered && newest && op->revision < w->base) {
            w->base = op->revision;
        }
        if (!reads) {
            note_write(w, op);
        }
    }
    qsort(w->known, w->known_count, sizeof(*w->known), by_revision);
}

/* --- one watch --------------------------------------------------------------------------------- */

/* Report what is wrong with event e of watch x. write: the operation in question, or NULL. */
static int report(struct watcher *w, enum verify_cause cause, const struct verify_watch *x,
                  uint32_t e, const struct verify_op *write)
{
    struct verify_report *r = w->r;
    r->verdict = VERIFY_VIOLATION;
    r->cause = cause;
    r->watch = (uint32_t)(x - w->h->watches);
    r->event = e;
    r->before = VERIFY_NOWHERE;
    for (uint32_t at = x->first; at != e; at = w->h->events[at].next) {
        r->before = at;
    }
    if (write != NULL) {
        r->items = coord__alloc(sizeof(*r->items));
        if (r->items == NULL) {
            return COORD_ENOMEM;
        }
        r->items[0] = verify_item_of(write, VERIFY_BY_TIME, 0);
        r->items_count = 1;
        r->culprit = 0;
    }
    return 0;
}

/* Can any write whose revision is not known have made the change that e tells? */
static bool may_be(const struct watcher *w, const struct verify_event *e,
                   const struct verify_change *c)
{
    if (e->revision <= w->base ||
        (c->kind == COORD_DELETED && (!w->empty || w->goes[c->path] != 0))) {
        return true;
    }
    for (uint32_t i = 0; i < w->open_count; i++) {
        const struct verify_op *op = w->open[i];
        if (op->called <= e->at && op->floor < e->revision && explains(w->h, op, e->revision, c)) {
            return true;
        }
    }
    return false;
}

static int check_change(struct watcher *w, const struct verify_watch *x, uint32_t e,
                        const struct verify_change *c)
{
    const struct verify_event *event = &w->h->events[e];
    uint32_t at = known_from(w, event->revision);
    const struct verify_op *write =
        at < w->known_count && w->known[at]->revision == event->revision ? w->known[at] : NULL;
    enum verify_cause cause = VERIFY_CAUSE_NONE;
    if (!judged(w, c->path)) {
        return 0;
    }
    if (!wanted(w, x, c->kind, c->path)) {
        cause = VERIFY_CAUSE_WATCH_SCOPE;
    } else if (write != NULL &&
               (write->called > event->at || !explains(w->h, write, event->revision, c))) {
        cause = VERIFY_CAUSE_WATCH_WRONG;
    } else if (write == NULL && !may_be(w, event, c)) {
        cause = VERIFY_CAUSE_WATCH_MADE_UP;
    }
    if (cause == VERIFY_CAUSE_NONE) {
        return 0;
    }
    w->r->change = *c;
    return report(w, cause, x, e, write);
}

static bool was_told(const struct watcher *w, const struct verify_event *e, const struct sure *s)
{
    for (uint32_t i = 0; i < e->changes_count; i++) {
        const struct verify_change *c = &w->h->changes[e->changes + i];
        if (c->kind == s->kind && c->path == s->path) {
            return true;
        }
    }
    return false;
}

/* Is the change of op, which lies in front of event e or at its revision, missing? */
static bool is_missing(struct watcher *w, const struct verify_watch *x,
                       const struct verify_event *e, const struct verify_op *op,
                       const struct verify_action *a, uint32_t self)
{
    struct sure s[2];
    bool here = e->state == COORD_WATCH_CHANGES && e->revision == op->revision;
    for (uint32_t n = sure_of(a, s); n-- > 0;) {
        bool twice = op->act.kind == VERIFY_TXN && touched_twice(w->h, &op->txn, self, s[n].path);
        if (!twice && judged(w, s[n].path) && wanted(w, x, s[n].kind, s[n].path) &&
            !(here && (e->more || was_told(w, e, &s[n])))) {
            w->r->change = (struct verify_change){.kind = s[n].kind, .path = s[n].path};
            return true;
        }
    }
    return false;
}

/* Everything behind `from` up to event e was told by e. */
static int check_between(struct watcher *w, const struct verify_watch *x, uint64_t from, uint32_t e)
{
    const struct verify_event *event = &w->h->events[e];
    for (uint32_t i = known_from(w, from + 1);
         i < w->known_count && w->known[i]->revision <= event->revision; i++) {
        const struct verify_op *op = w->known[i];
        const struct verify_txn *t = &op->txn;
        bool txn = op->act.kind == VERIFY_TXN;
        uint32_t n = txn ? t->branch_count[t->taken] : 1;
        for (uint32_t k = 0; k < n; k++) {
            const struct verify_action *a =
                txn ? &w->h->actions[t->branch[t->taken] + k] : &op->act;
            if (is_missing(w, x, event, op, a, k)) {
                return report(w, VERIFY_CAUSE_WATCH_LOST, x, e, op);
            }
        }
    }
    return 0;
}

static int check_watch(struct watcher *w, const struct verify_watch *x)
{
    const struct verify_event *before = NULL;
    int err = 0;
    for (uint32_t at = x->first; at != VERIFY_NOWHERE && err == 0; at = w->h->events[at].next) {
        const struct verify_event *e = &w->h->events[at];
        bool changes = e->state == COORD_WATCH_CHANGES;
        if (e->state == 0 || e->state == COORD_WATCH_ENDED) {
            break;
        }
        if (before != NULL &&
            (e->revision < before->revision || (changes && e->revision == before->revision))) {
            w->r->change.path = x->path;
            return report(w, VERIFY_CAUSE_WATCH_ORDER, x, at, NULL);
        }
        for (uint32_t i = 0; i < e->changes_count && err == 0 && w->r->verdict == VERIFY_OK; i++) {
            err = check_change(w, x, at, &w->h->changes[e->changes + i]);
        }
        bool whole = before != NULL && (changes || e->state == COORD_WATCH_PROGRESS);
        if (err == 0 && w->r->verdict == VERIFY_OK && whole) {
            err = check_between(w, x, before->revision, at);
        }
        if (w->r->verdict != VERIFY_OK) {
            break;
        }
        before = e;
    }
    return err;
}

int verify_watches(const struct verify_history *h, bool empty, uint32_t within,
                   struct verify_report *r)
{
    struct watcher w = {.h = h, .r = r, .empty = empty, .within = within};
    int err = COORD_ENOMEM;
    if (h->watches_count == 0) {
        return 0;
    }
    w.known = coord__alloc(((size_t)h->ops_count + 1) * sizeof(*w.known));
    w.open = coord__alloc(((size_t)h->ops_count + 1) * sizeof(*w.open));
    w.goes = coord__alloc(h->paths_count);
    if (w.known != NULL && w.open != NULL && w.goes != NULL) {
        err = 0;
        note_all(&w);
        for (uint32_t i = 0; i < h->watches_count && err == 0 && r->verdict == VERIFY_OK; i++) {
            err = check_watch(&w, &h->watches[i]);
        }
    }
    coord__free(w.known);
    coord__free(w.open);
    coord__free(w.goes);
    return err;
}
