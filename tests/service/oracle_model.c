/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_model.c: an entry on the model, compared with what the member did that applied it first: error,
 * answer, every change with its values, sessions ended.
 *
 * Changes of different paths are compared in the order of their paths, those of one path as they came: in
 * which order an entry changes different paths is documented nowhere.
 *
 * Rule M1; where the difference is about something that has a name of its own it is told under that: the end
 * of a session E1, a repeated number X5, an older attachment E5, a node removed by itself C1, a new
 * session E6.
 */
#include "tests/service/oracle_int.h"

#include <string.h>

static const char *rule_of(const struct oracle_entry *e, bool repeat, int error)
{
    if (repeat) {
        return "X5";
    }
    if (error == COORD_EMOVED) {
        return "E5";
    }
    if (e->kind == ORACLE_EXPIRE ||
        (e->has_q && (e->q.op == COORD_OP_SESSION_CLOSE || e->q.op == COORD_OP_SESSION_END)) ||
        error == COORD_EEXPIRED) {
        return "E1";
    }
    if (e->kind == ORACLE_OPEN) {
        return "E6";
    }
    return e->kind == ORACLE_REAP ? "C1" : "M1";
}

/* --- changes -------------------------------------------------------------------------------------- */

static int path_order(struct coord_bytes a, struct coord_bytes b)
{
    uint32_t n = a.len < b.len ? a.len : b.len;
    int d = n == 0 ? 0 : memcmp(a.data, b.data, n);
    return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

/* Stable; entries change few nodes, and those mostly in order. */
static void sort_changes(struct oracle_change *c, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct oracle_change x = c[i];
        uint32_t at = i;
        for (; at > 0 && path_order(c[at - 1].path, x.path) > 0; at--) {
            c[at] = c[at - 1];
        }
        c[at] = x;
    }
}

static const char *change_difference(const struct oracle_change *want,
                                     const struct oracle_change *got)
{
    if (!oracle__same(want->path, got->path)) {
        return "another path";
    }
    if (want->kind != got->kind) {
        return "another kind";
    }
    if (want->version != got->version) {
        return "another version";
    }
    if (want->create_revision != got->create_revision) {
        return "another create revision";
    }
    if (!oracle__same(want->value, got->value)) {
        return "another value";
    }
    return oracle__same(want->previous, got->previous) ? NULL : "another previous value";
}

/* What was done, as told; *ret_sorted a copy for comparing. */
static const struct oracle_change *changes_keep(struct oracle *o, const struct oracle_applied *a,
                                                struct oracle_change **ret_sorted)
{
    const struct coord_bytes none = {NULL, 0};
    struct oracle_change *kept = oracle__alloc(o, a->changes_count * sizeof(kept[0]));
    struct oracle_change *sorted = oracle__alloc(o, a->changes_count * sizeof(kept[0]));
    for (uint32_t i = 0; i < a->changes_count; i++) {
        const struct coord_change *c = &a->changes[i];
        kept[i] = (struct oracle_change){
            .kind = c->kind,
            .path = oracle__keep(o, c->path),
            .version = c->version,
            .create_revision = c->create_revision,
            .value = c->has_value ? oracle__keep(o, c->value) : none,
            .previous = c->has_previous ? oracle__keep(o, c->previous) : none,
        };
        sorted[i] = kept[i];
    }
    *ret_sorted = sorted;
    return kept;
}

static const char *compare_changes(struct oracle *o, const struct oracle_applied *a,
                                   const char *rule, struct oracle_truth *t)
{
    struct oracle_change *got;
    struct oracle_change *want = o->tree.changes;
    t->changes = changes_keep(o, a, &got);
    if (a->changes_count != o->tree.changes_count) {
        return oracle__fail(o, "%s: index %llu makes %u changes, the model %u (error %d)", rule,
                            (unsigned long long)a->revision, a->changes_count,
                            o->tree.changes_count, a->error);
    }
    sort_changes(got, a->changes_count);
    sort_changes(want, a->changes_count);
    for (uint32_t i = 0; i < a->changes_count; i++) {
        const char *why = change_difference(&want[i], &got[i]);
        if (why != NULL) {
            return oracle__fail(o, "%s: index %llu changes %.*s: %s (model: %.*s, version %llu)",
                                rule, (unsigned long long)a->revision, ORACLE_PATH(got[i].path),
                                why, ORACLE_PATH(want[i].path),
                                (unsigned long long)want[i].version);
        }
    }
    return NULL;
}

/* --- sessions ------------------------------------------------------------------------------------- */

static const char *compare_ended(struct oracle *o, const struct oracle_applied *a)
{
    uint32_t ended = 0;
    for (uint32_t i = 0; i < o->sessions_count; i++) {
        ended += o->sessions[i]->ended == a->revision;
    }
    for (uint32_t i = 0; i < a->ended_count; i++) {
        const struct oracle_session *s = oracle__session(o, a->ended[i]);
        if (s == NULL || s->ended != a->revision) {
            return oracle__fail(o, "E1: index %llu ends session %llu, which it does not concern",
                                (unsigned long long)a->revision, (unsigned long long)a->ended[i]);
        }
    }
    if (ended != a->ended_count) {
        return oracle__fail(o, "E1: index %llu ends %u sessions, should end %u",
                            (unsigned long long)a->revision, a->ended_count, ended);
    }
    return NULL;
}

/* --- the whole ------------------------------------------------------------------------------------ */

const char *oracle__model_apply(struct oracle *o, const struct oracle_applied *a,
                                const struct oracle_entry *e, struct oracle_truth *t)
{
    bool repeat = false;
    int rc = 0;
    oracle__tree_begin(o, a->revision, e->kind == ORACLE_NONE ? 0 : e->time_ms);
    if (e->kind == ORACLE_NONE || (e->kind == ORACLE_OTHER && e->code != 0)) {
        rc = a->error; /* no entry of the tree's: whatever it is, it changes no node */
    } else if (e->kind == ORACLE_LIMITS) {
        rc = oracle__limits_apply(o, e, a->error);
    } else {
        rc = oracle__entry_apply(o, e, &repeat);
    }
    t->repeat = repeat;
    o->counts.repeats += repeat;
    const char *rule = rule_of(e, repeat, rc);
    if (rc != a->error) {
        return oracle__fail(o, "%s: index %llu (%s of session %llu): error %d, the model says %d",
                            rule, (unsigned long long)a->revision,
                            e->has_q ? coord_op_name(e->q.op) : "no request",
                            (unsigned long long)e->session, a->error, rc);
    }
    ORACLE_TRY(compare_changes(o, a, rule, t));
    ORACLE_TRY(compare_ended(o, a));
    if (a->body != NULL && rc == 0 && e->has_q &&
        !oracle__same((struct coord_bytes){a->body->data, a->body->len},
                      (struct coord_bytes){o->body->data, o->body->len})) {
        return oracle__fail(o, "%s: index %llu (%s): the answer is not the model's", rule,
                            (unsigned long long)a->revision, coord_op_name(e->q.op));
    }
    return NULL;
}
