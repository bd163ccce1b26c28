/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_reply.c: the answers of a history: R records. An answer is put to its call, which stands before it.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/parse_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* An increment tells the number behind it, and so the one before. */
static int take_sum(struct verify_parser *p, struct verify_action *a)
{
    char text[32];
    int64_t sum;
    if (a->kind != VERIFY_INCREMENT || a->got == VERIFY_VALUE_UNKNOWN) {
        return 0;
    }
    const char *told = p->h->values[a->got].text;
    if (strncmp(told, "s:", 2) != 0 || !verify_parse_signed(told + 2, strlen(told + 2), &sum) ||
        __builtin_sub_overflow(sum, a->delta, &sum)) {
        return 0; /* no service that is correct says so; it is then held against other answers */
    }
    int n = snprintf(text, sizeof(text), "s:%" PRId64, sum);
    a->value = verify_value_number(p->h, text, (size_t)n);
    return a->value == VERIFY_NOWHERE ? COORD_ENOMEM : 0;
}

static bool four(struct verify_parser *p, struct verify_slice f[4])
{
    for (int i = 0; i < 4; i++) {
        if (!verify_words_next(&p->rest, ' ', &f[i])) {
            return false;
        }
    }
    return true;
}

/* A name, or a relative path. */
static bool take_name(struct verify_slice s, char out[VERIFY_TEXT_BYTES_MAX + 1])
{
    size_t n = verify_words_decode(s, out);
    return n > 0 && n <= COORD_PATH_MAX && out[0] != '/' && out[n - 1] != '/' &&
           strstr(out, "//") == NULL;
}

/* "name|value|stat" of a list. */
static int list_entry(struct verify_parser *p, struct verify_action *a, struct verify_slice s)
{
    struct verify_entry e = {.value = VERIFY_VALUE_UNKNOWN};
    struct verify_slice one, whole = s;
    char name[VERIFY_TEXT_BYTES_MAX + 1];
    uint32_t at;
    if (a->kind != VERIFY_LIST || !verify_words_next(&s, '|', &one) || !take_name(one, name)) {
        return verify_parse_wrong(p, "not a name:", whole);
    }
    e.path = verify_path_below(p->h, a->path, name);
    int err = e.path == VERIFY_NOWHERE ? COORD_ENOMEM : 0;
    if (err == 0 && verify_words_next(&s, '|', &one) && one.len > 0) {
        err = verify_parse_value(p, one, &e.value);
    }
    if (err == 0 && verify_words_next(&s, '|', &one)) {
        e.has_stat = true;
        err = verify_parse_stat(p, one, &e.stat);
    }
    err = err < 0 ? err : verify_entry_add(p->h, &e, &at);
    if (err == 0) {
        a->entries = a->entries_count == 0 ? at : a->entries;
        a->entries_count++;
    }
    return err;
}

/* What an action was answered. Return: 0, negative, or 1 when the key is none of an action's. */
static int answer_key(struct verify_parser *p, struct verify_action *a, struct verify_slice key,
                      struct verify_slice v)
{
    if (verify_words_equal(key, "stat")) {
        a->has_stat = true;
        return verify_parse_stat(p, v, &a->stat);
    }
    if (verify_words_equal(key, "data")) {
        return verify_parse_value(p, v, &a->got);
    }
    if (verify_words_equal(key, "path")) {
        return verify_parse_path(p, v, &a->made);
    }
    if (verify_words_equal(key, "seq")) {
        a->has_sequence = true;
        return verify_parse_number(p, v, &a->sequence);
    }
    if (verify_words_equal(key, "exists") || verify_words_equal(key, "more")) {
        bool yes = verify_words_equal(v, "1");
        *(verify_words_equal(key, "more") ? &a->more : &a->exists) = yes;
        return yes || verify_words_equal(v, "0") ? 0 : verify_parse_wrong(p, "neither 0 nor 1:", v);
    }
    return verify_words_equal(key, "e") ? list_entry(p, a, v) : 1;
}

/* "ERROR;key=value;..." or "-": the n-th operation's answer in a transaction. */
static int txn_answer(struct verify_parser *p, struct verify_op *op, uint32_t n,
                      struct verify_slice s)
{
    const struct verify_txn *t = &op->txn;
    struct verify_slice one, key, value;
    if (n >= t->branch_count[t->taken] || !verify_words_next(&s, ';', &one)) {
        return verify_parse_wrong(p, "an answer to no operation:", s);
    }
    struct verify_action *a = &p->h->actions[t->branch[t->taken] + n];
    if (verify_words_equal(one, "-")) {
        a->error = COORD_ECANCELED; /* not tried: one before it failed */
        return 0;
    }
    if (!verify_words_error(one, &a->error)) {
        return verify_parse_wrong(p, "unknown error", one);
    }
    a->made = a->made == VERIFY_NOWHERE ? a->path : a->made;
    while (verify_words_next(&s, ';', &one)) {
        int err = verify_words_split(one, &key, &value) ? answer_key(p, a, key, value) : 1;
        if (err != 0) {
            return err < 0 ? err : verify_parse_wrong(p, "unknown answer", one);
        }
    }
    return take_sum(p, a);
}

static int take_receipt(struct verify_parser *p, struct verify_op *op, struct verify_slice s)
{
    uint64_t n[5];
    if (!verify_words_numbers(s, n, 5) || n[4] < COORD_LINEARIZABLE || n[4] > COORD_LOCAL) {
        return verify_parse_wrong(p, "not a receipt:", s);
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

static int reply_key(struct verify_parser *p, struct verify_op *op, struct verify_slice key,
                     struct verify_slice v, uint32_t *answers)
{
    if (verify_words_equal(key, "rcpt")) {
        return take_receipt(p, op, v);
    }
    if (verify_words_equal(key, "rev")) {
        return verify_parse_number(p, v, &op->revision);
    }
    if (verify_words_equal(key, "session")) {
        return verify_parse_number(p, v, &op->session);
    }
    if (op->act.kind == VERIFY_TXN && verify_words_equal(key, "branch")) {
        op->txn.taken = verify_words_equal(v, "else") ? 1 : 0;
        return verify_words_equal(v, "else") || verify_words_equal(v, "then")
                   ? 0
                   : verify_parse_wrong(p, "no branch:", v);
    }
    if (op->act.kind == VERIFY_TXN && verify_words_equal(key, "r")) {
        return txn_answer(p, op, (*answers)++, v);
    }
    int err = answer_key(p, &op->act, key, v);
    return err == 1 ? verify_parse_wrong(p, "unknown answer", key) : err;
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
static int judge_reply(struct verify_parser *p, struct verify_op *op, uint64_t at, uint32_t answers,
                       struct verify_slice request)
{
    if (at < op->called) {
        return verify_parse_wrong(p, "answered before it was called:", request);
    }
    if (op->act.kind == VERIFY_TXN && op->outcome == COORD_OUTCOME_DONE &&
        answers != op->txn.branch_count[op->txn.taken]) {
        return verify_parse_wrong(p, "a transaction without all its answers:", request);
    }
    op->returned = op->outcome == COORD_OUTCOME_UNKNOWN ? VERIFY_NEVER : at;
    if (op->act.kind == VERIFY_CREATE && op->outcome == COORD_OUTCOME_DONE &&
        op->act.made == VERIFY_NOWHERE) {
        op->act.made = op->act.path;
    }
    return op->outcome == COORD_OUTCOME_DONE ? take_sum(p, &op->act) : 0;
}

int verify_parse_reply(struct verify_parser *p, struct verify_slice client)
{
    struct verify_slice request, at, error, outcome, f[4], one, key, value;
    uint64_t n, when = 0;
    uint32_t who, answers = 0;
    int err = verify_parse_client(p, client, &who);
    if (err < 0 || !four(p, f) || !verify_words_digits(f[0], 10, &n)) {
        return err < 0 ? err : verify_parse_wrong(p, "not an answer:", client);
    }
    request = f[0];
    at = f[1];
    error = f[2];
    outcome = f[3];
    err = verify_parse_time(p, at, who, &when);
    uint32_t number_of = verify_op_find(p->h, who, n);
    if (err < 0 || number_of == VERIFY_NOWHERE) {
        return err; /* an answer to what is not looked at, as the opening of a session */
    }
    struct verify_op *op = &p->h->ops[number_of];
    if (!verify_words_error(error, &op->error) || !outcome_named(outcome, &op->outcome)) {
        return verify_parse_wrong(p, "unknown error or outcome", error);
    }
    op->act.error = op->error;
    while (verify_words_next(&p->rest, ' ', &one)) {
        err = verify_words_split(one, &key, &value) ? reply_key(p, op, key, value, &answers)
                                                    : verify_parse_wrong(p, "unknown answer", one);
        if (err < 0) {
            return err;
        }
    }
    return judge_reply(p, op, when, answers, request);
}
