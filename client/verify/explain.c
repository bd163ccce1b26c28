/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.c: a counterexample in words: one sentence that says what contradicts, then the operations
 * in the order of their calls, each with a bar that shows what it overlapped.
 *
 *     #   overlap      client   called      answered    operation
 *     1   [====]       3f01     0.000 ms    1.203 ms    set /k "4": ok, version 4, revision 120
 *     2          [==]  9a77     2.100 ms    2.733 ms    get /k: "3", version 3, revision 118
 *
 * The bars show the order of the ends of all operations, not their lengths in time.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/core/mem.h"

#define BAR_MAX     24u
#define VALUE_SHOWN 40

static double ms(uint64_t from, uint64_t to)
{
    return to >= from ? (double)(to - from) / 1e6 : -((double)(from - to) / 1e6);
}

void verify_describe_value(const struct verify_history *h, uint32_t value, struct verify_text *t)
{
    const char *text = h->values[value].text;
    if (value == VERIFY_VALUE_UNKNOWN) {
        verify_text_add(t, "a value not known");
    } else if (value == VERIFY_VALUE_NONE) {
        verify_text_add(t, "no value");
    } else if (text[0] == 'h') {
        const char *sum = strchr(text + 2, ':');
        verify_text_add(t, "<%" PRIu64 " bytes, %.8s>", h->values[value].bytes,
                        sum != NULL ? sum + 1 : "");
    } else {
        bool cut = strlen(text + 2) > VALUE_SHOWN;
        verify_text_add(t, "\"%.*s%s\"", VALUE_SHOWN, text + 2, cut ? "..." : "");
    }
}

static void describe_conditions(const struct verify_action *a, struct verify_text *t)
{
    if ((a->conditions & COORD_IF_VERSION) != 0) {
        verify_text_add(t, " if version is %" PRIu64, a->version);
    }
    if ((a->conditions & COORD_IF_MODIFIED) != 0) {
        verify_text_add(t, " if revision is %" PRIu64, a->modified);
    }
    if ((a->conditions & COORD_IF_CREATED) != 0) {
        verify_text_add(t, " if created at %" PRIu64, a->created);
    }
}

static void describe_create_flags(uint32_t flags, struct verify_text *t)
{
    static const char *const words[] = {" ephemeral", " sequential", " with parents", " container",
                                        " with ttl"};
    for (uint32_t i = 0; i < 5; i++) {
        if ((flags & (1u << i)) != 0) {
            verify_text_add(t, "%s", words[i]);
        }
    }
}

static void describe_asked(const struct verify_history *h, const struct verify_action *a,
                           struct verify_text *t)
{
    static const char *const words[] = {"?",           "create",
                                        "set",         "delete",
                                        "get",         "exists",
                                        "stat",        "list",
                                        "sync",        "close of the session",
                                        "transaction", "increment",
                                        "rename",      "may go by itself:"};
    bool ends = a->kind == VERIFY_CLOSE && a->made_up;
    verify_text_add(t, "%s", ends ? "the session may have ended by itself" : words[a->kind]);
    if (a->kind == VERIFY_CREATE) {
        describe_create_flags(a->flags, t);
    }
    if (a->kind != VERIFY_SYNC && a->kind != VERIFY_CLOSE && a->kind != VERIFY_TXN) {
        verify_text_add(t, " %s", h->paths[a->path].text);
    }
    if (a->kind == VERIFY_CREATE || a->kind == VERIFY_SET) {
        verify_text_add(t, " ");
        verify_describe_value(h, a->value, t);
    }
    if (a->kind == VERIFY_INCREMENT) {
        verify_text_add(t, " by %" PRId64, a->delta);
    } else if (a->kind == VERIFY_RENAME) {
        verify_text_add(t, " to %s", h->paths[a->made].text);
    } else if (a->kind == VERIFY_DELETE && (a->flags & COORD_RECURSIVE) != 0) {
        verify_text_add(t, " and all below");
    }
    describe_conditions(a, t);
}

static void describe_entries(const struct verify_history *h, const struct verify_action *a,
                             struct verify_text *t)
{
    verify_text_add(t, "%u name%s", a->entries_count, a->entries_count == 1 ? "" : "s");
    for (uint32_t i = 0; i < a->entries_count && i < 8; i++) {
        const struct verify_path *p = &h->paths[h->entries[a->entries + i].path];
        verify_text_add(t, "%s%s", i == 0 ? " (" : " ", p->text + p->name);
    }
    if (a->entries_count > 0) {
        verify_text_add(t, "%s", a->entries_count > 8 || a->more ? " ...)" : ")");
    }
}

static void describe_answer(const struct verify_history *h, const struct verify_action *a,
                            struct verify_text *t)
{
    if (a->error != 0) {
        verify_text_add(t, "%s", coord_errname(a->error));
        return;
    }
    switch (a->kind) {
    case VERIFY_GET:
    case VERIFY_INCREMENT:
        verify_describe_value(h, a->got, t);
        break;
    case VERIFY_EXISTS:
        verify_text_add(t, "%s", a->exists ? "there" : "not there");
        break;
    case VERIFY_LIST:
        describe_entries(h, a, t);
        break;
    case VERIFY_CREATE:
        verify_text_add(t, "ok");
        if (a->made != VERIFY_NOWHERE && a->made != a->path) {
            verify_text_add(t, ", %s", h->paths[a->made].text);
        }
        break;
    default:
        verify_text_add(t, "ok");
        break;
    }
    if (a->has_stat && a->kind != VERIFY_LIST && a->kind != VERIFY_CREATE) {
        verify_text_add(t, ", version %" PRIu64, a->stat.version);
        if (a->kind != VERIFY_SET && a->stat.modified != VERIFY_UNKNOWN) {
            verify_text_add(t, " of revision %" PRIu64, a->stat.modified);
        }
    }
}

static void describe_txn(const struct verify_history *h, const struct verify_op *op,
                         struct verify_text *t)
{
    const struct verify_txn *x = &op->txn;
    bool answered = op->returned != VERIFY_NEVER;
    verify_text_add(t, "transaction (");
    for (uint32_t b = 0; b < 2; b++) {
        for (uint32_t i = 0; i < x->branch_count[b] && (!answered || b == x->taken); i++) {
            const struct verify_action *a = &h->actions[x->branch[b] + i];
            verify_text_add(t, i > 0 ? "; " : b == 0 ? "then " : "else ");
            describe_asked(h, a, t);
            if (answered) {
                verify_text_add(t, ": ");
                describe_answer(h, a, t);
            }
        }
    }
    verify_text_add(t, ")");
}

void verify_describe(const struct verify_history *h, const struct verify_op *op,
                     struct verify_text *t)
{
    static const char *const levels[] = {"", "", " (session)", " (bounded)", " (local)"};
    if (op->act.kind == VERIFY_TXN) {
        describe_txn(h, op, t);
    } else {
        describe_asked(h, &op->act, t);
    }
    if (op->returned == VERIFY_NEVER) {
        verify_text_add(t, "%s", op->act.made_up ? "" : ": no answer");
        return;
    }
    verify_text_add(t, "%s: ", levels[op->level]);
    if (op->act.kind == VERIFY_TXN) {
        verify_text_add(t, "%s", op->error == 0 ? "ok" : coord_errname(op->error));
    } else {
        describe_answer(h, &op->act, t);
    }
    if (op->revision != VERIFY_UNKNOWN) {
        bool change = !verify_kind_reads(op->act.kind) && op->error == 0;
        verify_text_add(t, ", %s %" PRIu64, change ? "revision" : "at revision", op->revision);
    }
}

/* --- the timeline ------------------------------------------------------------------------------ */

struct mark {
    uint64_t at;
    uint32_t item;
    bool is_return;
};

static int by_time(const void *pa, const void *pb)
{
    const struct mark *a = pa;
    const struct mark *b = pb;
    if (a->at != b->at) {
        return a->at < b->at ? -1 : 1;
    }
    if (a->is_return != b->is_return) {
        return a->is_return ? 1 : -1;
    }
    return a->item < b->item ? -1 : a->item > b->item;
}

static void draw_bar(char *bar, uint32_t width, uint32_t from, uint32_t to, bool open)
{
    memset(bar, ' ', width);
    bar[width] = 0;
    for (uint32_t i = from; i <= to && i < width; i++) {
        bar[i] = '=';
    }
    bar[from] = '[';
    bar[to] = open ? '>' : ']';
}

/* Columns of the ends of each item: their ranks, scaled to what fits. Return: how many columns. */
static uint32_t find_columns(const struct verify_report *r, struct mark *marks, uint32_t *from,
                             uint32_t *to)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->items_count; i++) {
        marks[n++] = (struct mark){r->items[i].op->called, i, false};
        marks[n++] = (struct mark){r->items[i].op->returned, i, true};
    }
    qsort(marks, n, sizeof(*marks), by_time);
    uint32_t width = n < BAR_MAX ? n : BAR_MAX;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t column = n <= BAR_MAX ? i : (uint32_t)((uint64_t)i * (BAR_MAX - 1) / (n - 1));
        *(marks[i].is_return ? &to[marks[i].item] : &from[marks[i].item]) = column;
    }
    return width;
}

static void add_row(const struct verify_history *h, const struct verify_report *r, uint32_t i,
                    const char *bar, struct verify_text *t)
{
    const struct verify_op *op = r->items[i].op;
    char returned[32] = "-";
    if (op->returned != VERIFY_NEVER) {
        (void)snprintf(returned, sizeof(returned), "%.3f", ms(h->origin, op->returned));
    }
    verify_text_add(t, "  #%-3u %s  %-6.6s %10.3f %10s  ", i + 1, bar, h->clients[op->client].name,
                    ms(h->origin, op->called), returned);
    verify_describe(h, op, t);
    verify_text_add(t, "%s\n", i == r->culprit ? "   <--" : "");
}

static void add_timeline(const struct verify_history *h, const struct verify_report *r,
                         struct verify_text *t)
{
    size_t n = (size_t)r->items_count + 1;
    char bar[BAR_MAX + 1];
    struct mark *marks = coord__alloc(2 * n * sizeof(*marks));
    uint32_t *columns = coord__alloc(2 * n * sizeof(*columns));
    if (marks == NULL || columns == NULL) {
        t->failed = true;
    } else {
        uint32_t width = find_columns(r, marks, columns, columns + n);
        verify_text_add(t, "  #    %-*s  client  called ms  answered  operation\n", (int)width,
                        "overlap");
        for (uint32_t i = 0; i < r->items_count; i++) {
            bool open = r->items[i].op->returned == VERIFY_NEVER;
            draw_bar(bar, width, columns[i], columns[n + i], open);
            add_row(h, r, i, bar, t);
        }
    }
    coord__free(marks);
    coord__free(columns);
}

/* --- the sentence ------------------------------------------------------------------------------ */

/* Did any operation on the path, answered or not, write the value before `until`? */
static bool was_written(const struct verify_history *h, uint32_t path, uint32_t value,
                        uint64_t until)
{
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct verify_op *op = &h->ops[i];
        const struct verify_action *a = &op->act;
        bool here = (a->made != VERIFY_NOWHERE ? a->made : a->path) == path || a->path == path;
        if (a->kind == VERIFY_TXN || a->kind == VERIFY_INCREMENT || a->kind == VERIFY_RENAME) {
            return true; /* not looked into */
        }
        if ((a->kind == VERIFY_SET || a->kind == VERIFY_CREATE) && here && a->value == value &&
            op->called <= until && op->outcome != COORD_OUTCOME_NOT_APPLIED) {
            return true;
        }
    }
    return false;
}

/* The operation of the counterexample whose change the culprit shows. */
static uint32_t shown_change(const struct verify_report *r)
{
    const struct verify_op *x = r->items[r->culprit].op;
    for (uint32_t i = 0; i < r->items_count; i++) {
        const struct verify_op *op = r->items[i].op;
        bool change = (op->act.kind == VERIFY_SET || op->act.kind == VERIFY_CREATE) &&
                      op->error == 0 && i != r->culprit;
        if (change && x->act.has_stat && op->revision == x->act.stat.modified) {
            return i;
        }
        if (change && !x->act.has_stat && x->act.kind == VERIFY_GET &&
            op->act.value == x->act.got) {
            return i;
        }
    }
    return VERIFY_NOWHERE;
}

static void explain_search(const struct verify_history *h, const struct verify_report *r,
                           struct verify_text *t)
{
    const struct verify_op *x = r->items[r->culprit].op;
    const struct verify_op *w = r->because != VERIFY_NOWHERE ? r->items[r->because].op : NULL;
    uint32_t shown = shown_change(r);
    bool reads = x->act.kind == VERIFY_GET && x->error == 0;
    if (r->cause == VERIFY_CAUSE_REVISION) {
        verify_text_add(t, "#%u is not what the history makes of %s at revision %" PRIu64 ".",
                        r->culprit + 1, r->object, x->revision);
        return;
    }
    if (reads && !was_written(h, x->act.path, x->act.got, x->returned) && r->items_count > 1) {
        verify_text_add(t, "#%u shows ", r->culprit + 1);
        verify_describe_value(h, x->act.got, t);
        verify_text_add(t,
                        ", which no recorded operation had written to %s by then. (Was there a "
                        "client that was not recorded?)",
                        r->object);
        return;
    }
    if (w != NULL && reads && w->act.path == x->act.path && shown != VERIFY_NOWHERE &&
        shown != r->because && r->items[shown].op->returned < w->called) {
        verify_text_add(t,
                        "#%u shows what #%u had written, although #%u, which came behind that, was "
                        "answered %.3f ms before #%u was sent.",
                        r->culprit + 1, shown + 1, r->because + 1, ms(w->returned, x->called),
                        r->culprit + 1);
        return;
    }
    if (w != NULL && x->act.has_stat && reads && w->act.has_stat &&
        x->act.stat.modified < w->act.stat.modified && w->act.path == x->act.path) {
        verify_text_add(t,
                        "#%u shows version %" PRIu64 ", although #%u, which made version %" PRIu64
                        ", was answered %.3f ms before #%u was sent.",
                        r->culprit + 1, x->act.stat.version, r->because + 1, w->act.stat.version,
                        ms(w->returned, x->called), r->culprit + 1);
        return;
    }
    if (r->items_count == 1) {
        verify_text_add(t, "#1 cannot be answered like that, in any state that is possible there.");
        return;
    }
    verify_text_add(t, "no order of these %u operations gives every answer", r->items_count);
    if (w != NULL) {
        verify_text_add(t,
                        ": #%u does not fit behind #%u, which was answered %.3f ms before it was "
                        "sent",
                        r->culprit + 1, r->because + 1, ms(w->returned, x->called));
    }
    verify_text_add(t, ".");
}

static void explain_claim(const struct verify_report *r, struct verify_text *t)
{
    const struct verify_op *b = r->items[r->culprit].op;
    const struct verify_op *a = r->because != VERIFY_NOWHERE ? r->items[r->because].op : b;
    uint32_t nb = r->culprit + 1;
    uint32_t na = r->because != VERIFY_NOWHERE ? r->because + 1 : 0;
    switch (r->cause) {
    case VERIFY_CAUSE_OLD:
        verify_text_add(t,
                        "#%u tells revision %" PRIu64 ", although #%u had told %" PRIu64
                        " %.3f ms before it was sent.",
                        nb, b->revision, na, a->revision, ms(a->returned, b->called));
        break;
    case VERIFY_CAUSE_SAME_REVISION:
        verify_text_add(t, "#%u and #%u are two changes, and both claim revision %" PRIu64 ".", na,
                        nb, b->revision);
        break;
    case VERIFY_CAUSE_SESSION:
        verify_text_add(t,
                        "#%u, a session read, tells revision %" PRIu64
                        ", although #%u had told the same client %" PRIu64 ".",
                        nb, b->revision, na, a->revision);
        break;
    case VERIFY_CAUSE_AGE:
        verify_text_add(t,
                        "#%u says that its state was current %" PRIu64
                        " ms before, but lacks revision %" PRIu64
                        ", which #%u had told %.3f ms before #%u was sent.",
                        nb, b->age_ms, a->revision, na, ms(a->returned, b->called), nb);
        break;
    case VERIFY_CAUSE_BOUND:
        verify_text_add(t,
                        "#%u was answered from a state %" PRIu64 " ms old; it asked for %" PRIu64
                        " ms at most.",
                        nb, b->age_ms, b->bound_ms);
        break;
    case VERIFY_CAUSE_LEVEL:
        verify_text_add(t, "#%u asked for level %s and was served at %s.", nb,
                        coord_consistency_name(b->level), coord_consistency_name(b->served));
        break;
    default:
        verify_text_add(t, "the names in #%u are not in order.", nb);
        break;
    }
}

void verify_explain(const struct verify_history *h, const struct verify_report *r,
                    struct verify_text *t)
{
    if (r->watch != VERIFY_NOWHERE) {
        verify_explain_watch(h, r, t);
    } else if (r->items_count == 0) {
        return;
    } else if (r->cause == VERIFY_CAUSE_TIME || r->cause == VERIFY_CAUSE_REVISION) {
        explain_search(h, r, t);
        verify_text_add(t, "\n");
    } else {
        explain_claim(r, t);
        verify_text_add(t, "\n");
    }
    if (r->items_count > 0) {
        verify_text_add(t, "\n");
        add_timeline(h, r, t);
    }
}
