/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_call.c: the calls of a history: C records, with the conditions and operations of a transaction.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/parse_int.h"

static bool kind_named(struct verify_slice s, enum verify_kind *ret_kind)
{
    static const struct {
        const char *name;
        enum verify_kind kind;
    } kinds[] = {{"create", VERIFY_CREATE},       {"set", VERIFY_SET},
                 {"delete", VERIFY_DELETE},       {"get", VERIFY_GET},
                 {"exists", VERIFY_EXISTS},       {"stat", VERIFY_STAT},
                 {"list", VERIFY_LIST},           {"sync", VERIFY_SYNC},
                 {"close", VERIFY_CLOSE},         {"txn", VERIFY_TXN},
                 {"increment", VERIFY_INCREMENT}, {"rename", VERIFY_RENAME}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (verify_words_equal(s, kinds[i].name)) {
            *ret_kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

static int take_after(struct verify_parser *p, struct verify_slice s, struct verify_action *a)
{
    char text[VERIFY_TEXT_BYTES_MAX + 1];
    size_t n = verify_words_decode(s, text);
    if (n == 0) {
        return verify_parse_wrong(p, "not a name:", s);
    }
    a->after = verify_text_keep(p->h, text, n);
    return a->after == NULL ? COORD_ENOMEM : 0;
}

static int take_condition_number(struct verify_parser *p, struct verify_slice v,
                                 struct verify_action *a, uint32_t bit, uint64_t *out)
{
    a->conditions |= bit;
    return verify_parse_number(p, v, out);
}

/* An argument of an action. Return: 0, negative, or 1 when the key is none of an action's. */
static int action_key(struct verify_parser *p, struct verify_action *a, struct verify_slice key,
                      struct verify_slice v)
{
    uint64_t n = 0;
    if (verify_words_equal(key, "path")) {
        return verify_parse_path(p, v, &a->path);
    }
    if (verify_words_equal(key, "data")) {
        return verify_parse_value(p, v, &a->value);
    }
    if (verify_words_equal(key, "to")) {
        return verify_parse_path(p, v, &a->made);
    }
    if (verify_words_equal(key, "delta")) {
        return verify_parse_signed(v.at, v.len, &a->delta)
                   ? 0
                   : verify_parse_wrong(p, "not a number:", v);
    }
    if (verify_words_equal(key, "flags")) {
        int err = verify_parse_number(p, v, &n);
        a->flags = (uint32_t)n;
        return err;
    }
    if (verify_words_equal(key, "ver")) {
        return take_condition_number(p, v, a, COORD_IF_VERSION, &a->version);
    }
    if (verify_words_equal(key, "mod")) {
        return take_condition_number(p, v, a, COORD_IF_MODIFIED, &a->modified);
    }
    if (verify_words_equal(key, "cre")) {
        return take_condition_number(p, v, a, COORD_IF_CREATED, &a->created);
    }
    if (verify_words_equal(key, "after")) {
        return take_after(p, v, a);
    }
    if (verify_words_equal(key, "ttl") || verify_words_equal(key, "limit")) {
        return verify_parse_number(p, v, &n); /* what it does shows in the answer */
    }
    return 1;
}

static const struct verify_action action_unanswered = {
    .value = VERIFY_VALUE_NONE, .path = VERIFY_NOWHERE, .after = "", .made = VERIFY_NOWHERE};

static bool needs_path(enum verify_kind kind)
{
    return kind != VERIFY_SYNC && kind != VERIFY_CLOSE && kind != VERIFY_TXN;
}

/* Has it the paths it needs? What an increment finds is not known before its answer. */
static bool action_whole(struct verify_action *a)
{
    if (a->kind == VERIFY_INCREMENT) {
        a->value = VERIFY_VALUE_UNKNOWN;
    }
    return a->path != VERIFY_NOWHERE && (a->kind != VERIFY_RENAME || a->made != VERIFY_NOWHERE);
}

/* "KIND;key=value;..." of a transaction. */
static int txn_action(struct verify_parser *p, struct verify_slice s, struct verify_txn *t,
                      int branch)
{
    struct verify_action a = action_unanswered;
    struct verify_slice one, key, value;
    uint32_t at;
    if (!verify_words_next(&s, ';', &one) || !kind_named(one, &a.kind) || !needs_path(a.kind)) {
        return verify_parse_wrong(p, "not an operation:", s);
    }
    while (verify_words_next(&s, ';', &one)) {
        int err = verify_words_split(one, &key, &value) ? action_key(p, &a, key, value) : 1;
        if (err != 0) {
            return err < 0 ? err : verify_parse_wrong(p, "unknown argument", one);
        }
    }
    if (!action_whole(&a)) {
        return verify_parse_wrong(p, "an operation without a path", s);
    }
    int err = verify_action_add(p->h, &a, &at);
    if (err == 0) {
        t->branch[branch] = t->branch_count[branch] == 0 ? at : t->branch[branch];
        if (at != t->branch[branch] + t->branch_count[branch]) {
            return verify_parse_wrong(p, "then and else are mixed", s);
        }
        t->branch_count[branch]++;
    }
    return err;
}

static bool condition_named(struct verify_slice s, enum verify_condition_kind *ret_kind)
{
    static const char *const names[] = {"",        "exists", "absent",   "version", "modified",
                                        "created", "value",  "children", "owner",   "held"};
    for (uint32_t i = VERIFY_IF_EXISTS; i <= VERIFY_IF_HELD; i++) {
        if (verify_words_equal(s, names[i])) {
            *ret_kind = (enum verify_condition_kind)i;
            return true;
        }
    }
    return false;
}

/* "KIND;PATH[;NUMBER or VALUE]" */
static int txn_condition(struct verify_parser *p, struct verify_slice s, struct verify_txn *t)
{
    struct verify_condition c = {.value = VERIFY_VALUE_NONE};
    struct verify_slice whole = s, one;
    uint32_t at;
    if (!verify_words_next(&s, ';', &one) || !condition_named(one, &c.kind) ||
        !verify_words_next(&s, ';', &one)) {
        return verify_parse_wrong(p, "not a condition:", whole);
    }
    int err = verify_parse_path(p, one, &c.path);
    if (err == 0 && verify_words_next(&s, ';', &one)) {
        err = c.kind == VERIFY_IF_VALUE ? verify_parse_value(p, one, &c.value)
                                        : verify_parse_number(p, one, &c.number);
    } else if (err == 0 && c.kind > VERIFY_IF_ABSENT) {
        return verify_parse_wrong(p, "a condition without its value:", whole);
    }
    err = err < 0 ? err : verify_condition_add(p->h, &c, &at);
    if (err == 0) {
        t->conditions = t->conditions_count == 0 ? at : t->conditions;
        t->conditions_count++;
    }
    return err;
}

static int call_key(struct verify_parser *p, struct verify_op *op, struct verify_slice key,
                    struct verify_slice v)
{
    if (verify_words_equal(key, "level")) {
        return verify_words_level(v, &op->level) ? 0 : verify_parse_wrong(p, "not a level:", v);
    }
    if (verify_words_equal(key, "bound")) {
        return verify_parse_number(p, v, &op->bound_ms);
    }
    if (op->act.kind == VERIFY_TXN) {
        if (verify_words_equal(key, "if")) {
            return txn_condition(p, v, &op->txn);
        }
        if (verify_words_equal(key, "then") || verify_words_equal(key, "else")) {
            return txn_action(p, v, &op->txn, verify_words_equal(key, "then") ? 0 : 1);
        }
        return verify_parse_wrong(p, "unknown argument", key);
    }
    int err = action_key(p, &op->act, key, v);
    return err == 1 ? verify_parse_wrong(p, "unknown argument", key) : err;
}

int verify_parse_call(struct verify_parser *p, struct verify_slice client)
{
    struct verify_op op = {.returned = VERIFY_NEVER,
                           .outcome = COORD_OUTCOME_UNKNOWN,
                           .level = COORD_LINEARIZABLE,
                           .revision = VERIFY_UNKNOWN,
                           .age_ms = VERIFY_UNKNOWN,
                           .act = action_unanswered,
                           .line = p->line,
                           .file = p->file};
    struct verify_slice request, at, kind, one, key, value;
    uint32_t added;
    int err = verify_parse_client(p, client, &op.client);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &request) ||
        !verify_words_digits(request, 10, &op.request) || !verify_words_next(&p->rest, ' ', &at)) {
        return err < 0 ? err : verify_parse_wrong(p, "not a call:", client);
    }
    err = verify_parse_time(p, at, op.client, &op.called);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &kind)) {
        return err < 0 ? err : verify_parse_wrong(p, "not a call:", client);
    }
    if (verify_words_equal(kind, "open")) {
        return 0; /* a session's life is told by S records */
    }
    if (!kind_named(kind, &op.act.kind)) {
        return verify_parse_wrong(p, "unknown operation", kind);
    }
    while (verify_words_next(&p->rest, ' ', &one)) {
        err = verify_words_split(one, &key, &value)
                  ? call_key(p, &op, key, value)
                  : verify_parse_wrong(p, "unknown argument", one);
        if (err < 0) {
            return err;
        }
    }
    if (needs_path(op.act.kind) && !action_whole(&op.act)) {
        return verify_parse_wrong(p, "a call without a path:", kind);
    }
    err = verify_op_add(p->h, &op, &added);
    return err == COORD_EEXISTS
               ? verify_parse_wrong(p, "this request was recorded before:", request)
               : err;
}
