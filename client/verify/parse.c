/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c: see parse.h. One record a line, fields separated by one blank; nested fields by ';', those
 * of a list's entries by '|'. docs/history.md is the specification.
 *
 *   H CLIENT coord-history/1 live|lost clock=boottime boot=ID pid=N at=NS wall=NS
 *   C CLIENT REQUEST TIME OPERATION [KEY=VALUE...]         a call, before it is sent
 *   R CLIENT REQUEST TIME ERROR OUTCOME [KEY=VALUE...]     its answer
 *   S CLIENT TIME STATE [session=N]                        an event of the session
 *   E CLIENT TIME closed|stopped                           the end of the recording
 *
 * A line that makes no sense is an error, but one for each recorder whose header says that it failed:
 * that is what it could still write.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/parse.h"

#include <stdio.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "client/verify/words.h"

struct parser {
    struct verify_history *h;
    uint32_t file;
    uint32_t line;
    struct verify_slice rest; /* of the line */
    char *why;
    size_t why_bytes;
    uint32_t bad; /* lines that made no sense; why tells of the first */
};

static int wrong(struct parser *p, const char *what, struct verify_slice s)
{
    (void)snprintf(p->why, p->why_bytes, "line %u: %s '%.*s'", p->line, what,
                   (int)(s.len < 60 ? s.len : 60), s.at); /* cut when too long */
    return COORD_EINVAL;
}

/* --- values ------------------------------------------------------------------------------------ */

static bool number(struct verify_slice s, uint64_t *ret_n)
{
    return verify_words_digits(s, 10, ret_n);
}

static int take_path(struct parser *p, struct verify_slice s, uint32_t *ret_path)
{
    char text[VERIFY_TEXT_BYTES_MAX + 1];
    size_t n = verify_words_decode(s, text);
    bool whole = n > 0 && text[0] == '/' && (n == 1 || text[n - 1] != '/');
    if (!whole || strstr(text, "//") != NULL || n > COORD_PATH_MAX) {
        return wrong(p, "not a path:", s);
    }
    *ret_path = verify_path_number(p->h, text, n);
    return *ret_path == VERIFY_NOWHERE ? COORD_ENOMEM : 0;
}

static int take_value(struct parser *p, struct verify_slice s, uint32_t *ret_value)
{
    bool typed = s.len >= 2 && s.at[1] == ':' && (s.at[0] == 's' || s.at[0] == 'h');
    if (!typed && !verify_words_equal(s, "none")) {
        return wrong(p, "not a value:", s);
    }
    *ret_value = verify_value_number(p->h, s.at, s.len);
    return *ret_value == VERIFY_NOWHERE ? COORD_ENOMEM : 0;
}

static int take_number(struct parser *p, struct verify_slice s, uint64_t *ret_n)
{
    return number(s, ret_n) ? 0 : wrong(p, "not a number:", s);
}

static int take_stat(struct parser *p, struct verify_slice s, struct verify_stat *ret_stat)
{
    uint64_t n[10];
    if (!verify_words_numbers(s, n, 10)) {
        return wrong(p, "not a stat:", s);
    }
    *ret_stat = (struct verify_stat){n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9]};
    return 0;
}

/* --- calls ------------------------------------------------------------------------------------- */

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

static int take_after(struct parser *p, struct verify_slice s, struct verify_action *a)
{
    char text[VERIFY_TEXT_BYTES_MAX + 1];
    size_t n = verify_words_decode(s, text);
    if (n == 0) {
        return wrong(p, "not a name:", s);
    }
    a->after = verify_text_keep(p->h, text, n);
    return a->after == NULL ? COORD_ENOMEM : 0;
}

static int take_condition_number(struct parser *p, struct verify_slice v, struct verify_action *a,
                                 uint32_t bit, uint64_t *out)
{
    a->conditions |= bit;
    return take_number(p, v, out);
}

/* A number with its sign. Return: false for anything else. */
static bool signed_number(const char *text, size_t len, int64_t *ret_n)
{
    bool negative = len > 0 && text[0] == '-';
    struct verify_slice digits = {text + (negative ? 1 : 0), len - (negative ? 1 : 0)};
    uint64_t n;
    if (!verify_words_digits(digits, 10, &n) || n > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *ret_n = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

/* An increment tells the number behind it, and so the one before. */
static int take_sum(struct parser *p, struct verify_action *a)
{
    char text[32];
    int64_t sum;
    if (a->kind != VERIFY_INCREMENT || a->got == VERIFY_VALUE_UNKNOWN) {
        return 0;
    }
    const char *told = p->h->values[a->got].text;
    if (strncmp(told, "s:", 2) != 0 || !signed_number(told + 2, strlen(told + 2), &sum) ||
        __builtin_sub_overflow(sum, a->delta, &sum)) {
        return 0; /* no service that is correct says so; it is then held against other answers */
    }
    int n = snprintf(text, sizeof(text), "s:%" PRId64, sum);
    a->value = verify_value_number(p->h, text, (size_t)n);
    return a->value == VERIFY_NOWHERE ? COORD_ENOMEM : 0;
}

/* An argument of an action. Return: 0, negative, or 1 when the key is none of an action's. */
static int action_key(struct parser *p, struct verify_action *a, struct verify_slice key,
                      struct verify_slice v)
{
    uint64_t n = 0;
    if (verify_words_equal(key, "path")) {
        return take_path(p, v, &a->path);
    }
    if (verify_words_equal(key, "data")) {
        return take_value(p, v, &a->value);
    }
    if (verify_words_equal(key, "to")) {
        return take_path(p, v, &a->made);
    }
    if (verify_words_equal(key, "delta")) {
        return signed_number(v.at, v.len, &a->delta) ? 0 : wrong(p, "not a number:", v);
    }
    if (verify_words_equal(key, "flags")) {
        int err = take_number(p, v, &n);
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
        return take_number(p, v, &n); /* what it does shows in the answer */
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
static int txn_action(struct parser *p, struct verify_slice s, struct verify_txn *t, int branch)
{
    struct verify_action a = action_unanswered;
    struct verify_slice one, key, value;
    uint32_t at;
    if (!verify_words_next(&s, ';', &one) || !kind_named(one, &a.kind) || !needs_path(a.kind)) {
        return wrong(p, "not an operation:", s);
    }
    while (verify_words_next(&s, ';', &one)) {
        int err = verify_words_split(one, &key, &value) ? action_key(p, &a, key, value) : 1;
        if (err != 0) {
            return err < 0 ? err : wrong(p, "unknown argument", one);
        }
    }
    if (!action_whole(&a)) {
        return wrong(p, "an operation without a path", s);
    }
    int err = verify_action_add(p->h, &a, &at);
    if (err == 0) {
        t->branch[branch] = t->branch_count[branch] == 0 ? at : t->branch[branch];
        if (at != t->branch[branch] + t->branch_count[branch]) {
            return wrong(p, "then and else are mixed", s);
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
static int txn_condition(struct parser *p, struct verify_slice s, struct verify_txn *t)
{
    struct verify_condition c = {.value = VERIFY_VALUE_NONE};
    struct verify_slice whole = s, one;
    uint32_t at;
    if (!verify_words_next(&s, ';', &one) || !condition_named(one, &c.kind) ||
        !verify_words_next(&s, ';', &one)) {
        return wrong(p, "not a condition:", whole);
    }
    int err = take_path(p, one, &c.path);
    if (err == 0 && verify_words_next(&s, ';', &one)) {
        err = c.kind == VERIFY_IF_VALUE ? take_value(p, one, &c.value)
                                        : take_number(p, one, &c.number);
    } else if (err == 0 && c.kind > VERIFY_IF_ABSENT) {
        return wrong(p, "a condition without its value:", whole);
    }
    err = err < 0 ? err : verify_condition_add(p->h, &c, &at);
    if (err == 0) {
        t->conditions = t->conditions_count == 0 ? at : t->conditions;
        t->conditions_count++;
    }
    return err;
}

static int call_key(struct parser *p, struct verify_op *op, struct verify_slice key,
                    struct verify_slice v)
{
    if (verify_words_equal(key, "level")) {
        return verify_words_level(v, &op->level) ? 0 : wrong(p, "not a level:", v);
    }
    if (verify_words_equal(key, "bound")) {
        return take_number(p, v, &op->bound_ms);
    }
    if (op->act.kind == VERIFY_TXN) {
        if (verify_words_equal(key, "if")) {
            return txn_condition(p, v, &op->txn);
        }
        if (verify_words_equal(key, "then") || verify_words_equal(key, "else")) {
            return txn_action(p, v, &op->txn, verify_words_equal(key, "then") ? 0 : 1);
        }
        return wrong(p, "unknown argument", key);
    }
    int err = action_key(p, &op->act, key, v);
    return err == 1 ? wrong(p, "unknown argument", key) : err;
}

/* The client's number and then the time, which is its last now. */
static int take_client(struct parser *p, struct verify_slice s, uint32_t *ret_client)
{
    uint64_t id;
    if (!verify_words_digits(s, 16, &id)) {
        return wrong(p, "not a client:", s);
    }
    *ret_client = verify_client_number(p->h, id);
    return *ret_client == VERIFY_NOWHERE ? COORD_ENOMEM : 0;
}

static int take_time(struct parser *p, struct verify_slice s, uint32_t client, uint64_t *ret_at)
{
    if (!number(s, ret_at) || *ret_at == VERIFY_NEVER) {
        return wrong(p, "not a time:", s);
    }
    struct verify_client *c = &p->h->clients[client];
    c->last = *ret_at > c->last ? *ret_at : c->last;
    return 0;
}

static bool four(struct parser *p, struct verify_slice f[4])
{
    for (int i = 0; i < 4; i++) {
        if (!verify_words_next(&p->rest, ' ', &f[i])) {
            return false;
        }
    }
    return true;
}

static int parse_call(struct parser *p, struct verify_slice client)
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
    int err = take_client(p, client, &op.client);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &request) || !number(request, &op.request) ||
        !verify_words_next(&p->rest, ' ', &at)) {
        return err < 0 ? err : wrong(p, "not a call:", client);
    }
    err = take_time(p, at, op.client, &op.called);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &kind)) {
        return err < 0 ? err : wrong(p, "not a call:", client);
    }
    if (verify_words_equal(kind, "open")) {
        return 0; /* a session's life is told by S records */
    }
    if (!kind_named(kind, &op.act.kind)) {
        return wrong(p, "unknown operation", kind);
    }
    while (verify_words_next(&p->rest, ' ', &one)) {
        err = verify_words_split(one, &key, &value) ? call_key(p, &op, key, value)
                                                    : wrong(p, "unknown argument", one);
        if (err < 0) {
            return err;
        }
    }
    if (needs_path(op.act.kind) && !action_whole(&op.act)) {
        return wrong(p, "a call without a path:", kind);
    }
    err = verify_op_add(p->h, &op, &added);
    return err == COORD_EEXISTS ? wrong(p, "this request was recorded before:", request) : err;
}

/* --- answers ----------------------------------------------------------------------------------- */

/* A name, or a relative path. */
static bool take_name(struct verify_slice s, char out[VERIFY_TEXT_BYTES_MAX + 1])
{
    size_t n = verify_words_decode(s, out);
    return n > 0 && n <= COORD_PATH_MAX && out[0] != '/' && out[n - 1] != '/' &&
           strstr(out, "//") == NULL;
}

/* "name|value|stat" of a list. */
static int list_entry(struct parser *p, struct verify_action *a, struct verify_slice s)
{
    struct verify_entry e = {.value = VERIFY_VALUE_UNKNOWN};
    struct verify_slice one, whole = s;
    char name[VERIFY_TEXT_BYTES_MAX + 1];
    uint32_t at;
    if (a->kind != VERIFY_LIST || !verify_words_next(&s, '|', &one) || !take_name(one, name)) {
        return wrong(p, "not a name:", whole);
    }
    e.path = verify_path_below(p->h, a->path, name);
    int err = e.path == VERIFY_NOWHERE ? COORD_ENOMEM : 0;
    if (err == 0 && verify_words_next(&s, '|', &one) && one.len > 0) {
        err = take_value(p, one, &e.value);
    }
    if (err == 0 && verify_words_next(&s, '|', &one)) {
        e.has_stat = true;
        err = take_stat(p, one, &e.stat);
    }
    err = err < 0 ? err : verify_entry_add(p->h, &e, &at);
    if (err == 0) {
        a->entries = a->entries_count == 0 ? at : a->entries;
        a->entries_count++;
    }
    return err;
}

/* What an action was answered. Return: 0, negative, or 1 when the key is none of an action's. */
static int answer_key(struct parser *p, struct verify_action *a, struct verify_slice key,
                      struct verify_slice v)
{
    if (verify_words_equal(key, "stat")) {
        a->has_stat = true;
        return take_stat(p, v, &a->stat);
    }
    if (verify_words_equal(key, "data")) {
        return take_value(p, v, &a->got);
    }
    if (verify_words_equal(key, "path")) {
        return take_path(p, v, &a->made);
    }
    if (verify_words_equal(key, "seq")) {
        a->has_sequence = true;
        return take_number(p, v, &a->sequence);
    }
    if (verify_words_equal(key, "exists") || verify_words_equal(key, "more")) {
        bool yes = verify_words_equal(v, "1");
        *(verify_words_equal(key, "more") ? &a->more : &a->exists) = yes;
        return yes || verify_words_equal(v, "0") ? 0 : wrong(p, "neither 0 nor 1:", v);
    }
    return verify_words_equal(key, "e") ? list_entry(p, a, v) : 1;
}

/* "ERROR;key=value;..." or "-": the n-th operation's answer in a transaction. */
static int txn_answer(struct parser *p, struct verify_op *op, uint32_t n, struct verify_slice s)
{
    const struct verify_txn *t = &op->txn;
    struct verify_slice one, key, value;
    if (n >= t->branch_count[t->taken] || !verify_words_next(&s, ';', &one)) {
        return wrong(p, "an answer to no operation:", s);
    }
    struct verify_action *a = &p->h->actions[t->branch[t->taken] + n];
    if (verify_words_equal(one, "-")) {
        a->error = COORD_ECANCELED; /* not tried: one before it failed */
        return 0;
    }
    if (!verify_words_error(one, &a->error)) {
        return wrong(p, "unknown error", one);
    }
    a->made = a->made == VERIFY_NOWHERE ? a->path : a->made;
    while (verify_words_next(&s, ';', &one)) {
        int err = verify_words_split(one, &key, &value) ? answer_key(p, a, key, value) : 1;
        if (err != 0) {
            return err < 0 ? err : wrong(p, "unknown answer", one);
        }
    }
    return take_sum(p, a);
}

static int take_receipt(struct parser *p, struct verify_op *op, struct verify_slice s)
{
    uint64_t n[5];
    if (!verify_words_numbers(s, n, 5) || n[4] < COORD_LINEARIZABLE || n[4] > COORD_LOCAL) {
        return wrong(p, "not a receipt:", s);
    }
    op->has_receipt = true;
    op->member = (uint32_t)n[0];
    op->term = n[1];
    op->revision = op->revision == VERIFY_UNKNOWN ? n[2] : op->revision;
    op->applied = n[2];
    op->age_ms = n[3];
    op->served = (enum coord_consistency)n[4];
    return 0;
}

static int reply_key(struct parser *p, struct verify_op *op, struct verify_slice key,
                     struct verify_slice v, uint32_t *answers)
{
    if (verify_words_equal(key, "rcpt")) {
        return take_receipt(p, op, v);
    }
    if (verify_words_equal(key, "rev")) {
        return take_number(p, v, &op->revision);
    }
    if (verify_words_equal(key, "session")) {
        return take_number(p, v, &op->session);
    }
    if (op->act.kind == VERIFY_TXN && verify_words_equal(key, "branch")) {
        op->txn.taken = verify_words_equal(v, "else") ? 1 : 0;
        return verify_words_equal(v, "else") || verify_words_equal(v, "then")
                   ? 0
                   : wrong(p, "no branch:", v);
    }
    if (op->act.kind == VERIFY_TXN && verify_words_equal(key, "r")) {
        return txn_answer(p, op, (*answers)++, v);
    }
    int err = answer_key(p, &op->act, key, v);
    return err == 1 ? wrong(p, "unknown answer", key) : err;
}

static bool outcome_named(struct verify_slice s, enum coord_outcome *ret_outcome)
{
    static const char *const names[] = {"pending", "done", "failed", "notapplied", "unknown"};
    for (uint32_t i = COORD_OUTCOME_DONE; i <= COORD_OUTCOME_UNKNOWN; i++) {
        if (verify_words_equal(s, names[i])) {
            *ret_outcome = (enum coord_outcome)i;
            return true;
        }
    }
    return false;
}

/* What must hold of an answer before it is believed to be one. */
static int judge_reply(struct parser *p, struct verify_op *op, uint64_t at, uint32_t answers,
                       struct verify_slice request)
{
    if (at < op->called) {
        return wrong(p, "answered before it was called:", request);
    }
    if (op->act.kind == VERIFY_TXN && op->outcome == COORD_OUTCOME_DONE &&
        answers != op->txn.branch_count[op->txn.taken]) {
        return wrong(p, "a transaction without all its answers:", request);
    }
    op->returned = op->outcome == COORD_OUTCOME_UNKNOWN ? VERIFY_NEVER : at;
    if (op->act.kind == VERIFY_CREATE && op->outcome == COORD_OUTCOME_DONE &&
        op->act.made == VERIFY_NOWHERE) {
        op->act.made = op->act.path;
    }
    return op->outcome == COORD_OUTCOME_DONE ? take_sum(p, &op->act) : 0;
}

static int parse_reply(struct parser *p, struct verify_slice client)
{
    struct verify_slice request, at, error, outcome, f[4], one, key, value;
    uint64_t n, when = 0;
    uint32_t who, answers = 0;
    int err = take_client(p, client, &who);
    if (err < 0 || !four(p, f) || !number(f[0], &n)) {
        return err < 0 ? err : wrong(p, "not an answer:", client);
    }
    request = f[0];
    at = f[1];
    error = f[2];
    outcome = f[3];
    err = take_time(p, at, who, &when);
    uint32_t number_of = verify_op_find(p->h, who, n);
    if (err < 0 || number_of == VERIFY_NOWHERE) {
        return err; /* an answer to what is not looked at, as the opening of a session */
    }
    struct verify_op *op = &p->h->ops[number_of];
    if (!verify_words_error(error, &op->error) || !outcome_named(outcome, &op->outcome)) {
        return wrong(p, "unknown error or outcome", error);
    }
    op->act.error = op->error;
    while (verify_words_next(&p->rest, ' ', &one)) {
        err = verify_words_split(one, &key, &value) ? reply_key(p, op, key, value, &answers)
                                                    : wrong(p, "unknown answer", one);
        if (err < 0) {
            return err;
        }
    }
    return judge_reply(p, op, when, answers, request);
}

/* --- the other records ------------------------------------------------------------------------- */

static int take_boot(struct parser *p, struct verify_slice s, uint32_t client)
{
    struct verify_history *h = p->h;
    for (uint32_t i = 0; i < h->boots_count; i++) {
        if (verify_words_equal(s, h->boots[i])) {
            h->clients[client].boot = i;
            return 0;
        }
    }
    if (!verify_room((void **)&h->boots, h->boots_count, &h->boots_cap, sizeof(*h->boots))) {
        return COORD_ENOMEM;
    }
    h->boots[h->boots_count] = verify_text_keep(h, s.at, s.len);
    h->clients[client].boot = h->boots_count++;
    return h->boots[h->boots_count - 1] == NULL ? COORD_ENOMEM : 0;
}

static int parse_header(struct parser *p, struct verify_slice client)
{
    struct verify_slice version, state, one, key, value;
    uint32_t who;
    uint64_t at = 0, wall = 0, pid;
    int err = take_client(p, client, &who);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &version) ||
        !verify_words_equal(version, "coord-history/1") ||
        !verify_words_next(&p->rest, ' ', &state)) {
        return err < 0 ? err : wrong(p, "not a history of format 1:", version);
    }
    p->h->clients[who].broken = !verify_words_equal(state, "live");
    while (err == 0 && verify_words_next(&p->rest, ' ', &one)) {
        if (!verify_words_split(one, &key, &value)) {
            return wrong(p, "unknown field", one);
        }
        if (verify_words_equal(key, "boot")) {
            err = take_boot(p, value, who);
        } else if (verify_words_equal(key, "at")) {
            err = take_time(p, value, who, &at);
        } else if (verify_words_equal(key, "wall")) {
            err = take_number(p, value, &wall);
        } else if (verify_words_equal(key, "pid")) {
            err = take_number(p, value, &pid);
        } else if (!verify_words_equal(key, "clock") || !verify_words_equal(value, "boottime")) {
            err = wrong(p, "unknown field", one);
        }
    }
    p->h->clients[who].offset_ns = (int64_t)(wall - at);
    return err;
}

static int parse_end(struct parser *p, struct verify_slice client)
{
    struct verify_slice at, how;
    uint32_t who;
    uint64_t when = 0;
    int err = take_client(p, client, &who);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &at) ||
        !verify_words_next(&p->rest, ' ', &how)) {
        return err < 0 ? err : wrong(p, "not an end:", client);
    }
    err = take_time(p, at, who, &when);
    if (err == 0 && verify_words_equal(how, "stopped")) {
        p->h->clients[who].lost_at = when;
    } else if (err == 0 && !verify_words_equal(how, "closed")) {
        err = wrong(p, "not an end:", how);
    }
    return err;
}

static int parse_event(struct parser *p, struct verify_slice client)
{
    struct verify_slice at;
    uint32_t who;
    uint64_t when;
    int err = take_client(p, client, &who);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &at)) {
        return err < 0 ? err : wrong(p, "not an event:", client);
    }
    return take_time(p, at, who, &when); /* for people; the checks go by the answers */
}

static int parse_line(struct parser *p)
{
    struct verify_slice type, client;
    struct verify_slice whole = p->rest;
    if (!verify_words_next(&p->rest, ' ', &type) || !verify_words_next(&p->rest, ' ', &client) ||
        type.len != 1) {
        return wrong(p, "not a record:", whole);
    }
    switch (type.at[0]) {
    case 'H':
        return parse_header(p, client);
    case 'C':
        return parse_call(p, client);
    case 'R':
        return parse_reply(p, client);
    case 'S':
        return parse_event(p, client);
    case 'E':
        return parse_end(p, client);
    default:
        return wrong(p, "unknown record", type);
    }
}

static int whole_line(struct parser *p, struct verify_slice line)
{
    char why[256];
    struct parser one = *p;
    one.rest = line;
    one.why = p->bad > 0 ? why : p->why;
    one.why_bytes = p->bad > 0 ? sizeof(why) : p->why_bytes;
    int err = parse_line(&one);
    if (err == COORD_EINVAL) {
        p->bad++;
        err = 0;
    }
    return err;
}

int verify_parse(struct verify_history *h, uint32_t file, const char *text, size_t bytes, char *why,
                 size_t why_bytes)
{
    struct parser p = {.h = h, .file = file, .why = why, .why_bytes = why_bytes};
    const char *end;
    while (bytes > 0 && (end = memchr(text, '\n', bytes)) != NULL) {
        struct verify_slice line = {text, (size_t)(end - text)};
        p.line++;
        int err = line.len > 0 && line.at[0] != '#' ? whole_line(&p, line) : 0;
        if (err < 0) {
            return err;
        }
        bytes -= line.len + 1;
        text = end + 1;
    }
    uint32_t broken = 0;
    for (uint32_t i = 0; i < h->clients_count; i++) {
        broken += h->clients[i].broken;
    }
    return p.bad > broken ? COORD_EINVAL : 0;
}
