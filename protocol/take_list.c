/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take_list.c: lists whose items are structs of their own: entries of a list, changes of an event, sessions,
 * and the conditions, operations and results of a transaction. Decoding a message reads each item once and remembers
 * where the list lies; the walkers then read it again, item by item, without a way to fail.
 *
 * Thread: any.
 *
 * Invariants
 *   1. Nothing is allocated; byte values are borrowed from the body.
 *   2. What coord__take_raw_list has accepted, the walkers accept.
 */
#include "protocol/take.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static int take_array_between(struct coord_decoder *d, uint32_t min, uint32_t max,
                              uint32_t *ret_count)
{
    struct coord_cursor before = d->c;
    int r = coord__take_array(d, ret_count);
    if (r == 0 && (*ret_count < min || *ret_count > max)) {
        char what[64];
        d->c = before;
        (void)snprintf(what, sizeof(what), "expected an array of %u to %u, not of %u", min, max,
                       *ret_count);
        return coord__refuse(d, what);
    }
    return r;
}

/* [name], [name, stat] or [name, stat or false, data] */
static int take_entry(struct coord_decoder *d, struct coord_list_entry *e)
{
    uint32_t count;
    memset(e, 0, sizeof(*e));
    int r = take_array_between(d, 1, 3, &count);
    if (r == 0) {
        r = coord__take_inner(d, coord__name_field, e);
    }
    if (r == 0 && count >= 2) {
        e->has_stat = count == 2 || !coord__cursor_skip_false(&d->c);
        d->inner = "stat";
        r = e->has_stat ? coord__take_struct(d, coord__stat_fields, &e->stat) : 0;
    }
    if (r == 0 && count == 3) {
        e->has_data = true;
        r = coord__take_inner(d, coord__entry_data_field, e);
    }
    return r;
}

/* [kind, path, version, create revision], [..., value] or [..., value or false, previous] */
static int take_change(struct coord_decoder *d, struct coord_change *ch)
{
    uint32_t count;
    memset(ch, 0, sizeof(*ch));
    int r = take_array_between(d, COORD_CHANGE_ITEMS_MIN, COORD_CHANGE_ITEMS_MIN + 2, &count);
    if (r == 0) {
        r = coord__take_inner(d, coord__change_fields, ch);
    }
    if (r == 0 && count > COORD_CHANGE_ITEMS_MIN) {
        ch->has_value = count == COORD_CHANGE_ITEMS_MIN + 1 || !coord__cursor_skip_false(&d->c);
        r = ch->has_value ? coord__take_inner(d, coord__value_field, ch) : 0;
    }
    if (r == 0 && count == COORD_CHANGE_ITEMS_MIN + 2) {
        ch->has_previous = true;
        r = coord__take_inner(d, coord__previous_field, ch);
    }
    return r;
}

/* [kind, path, number, data] */
static int take_if(struct coord_decoder *d, struct coord_if *c)
{
    memset(c, 0, sizeof(*c));
    struct coord_cursor before = d->c;
    int r = coord__take_struct(d, coord__if_fields, c);
    if (r == 0 && c->kind == 0) {
        d->c = before;
        return coord__refuse(d, "there is no such condition");
    }
    return r;
}

static int take_session(struct coord_decoder *d, struct coord_session_info *s)
{
    memset(s, 0, sizeof(*s));
    return coord__take_struct(d, coord__session_fields, s);
}

/* The number of an operation that may stand in a transaction. */
static int take_txn_op_number(struct coord_decoder *d, enum coord_op *ret_op,
                              const struct coord_op_row **ret_row)
{
    struct coord_cursor before = d->c;
    uint64_t op;
    int r = coord__take_uint(d, UINT64_MAX, &op);
    if (r < 0) {
        return r;
    }
    *ret_row = coord__op_row(op);
    if (*ret_row == NULL || !coord_op_in_txn((enum coord_op)op)) {
        d->c = before;
        return coord__refuse(d, "no operation that can stand in a transaction");
    }
    *ret_op = (enum coord_op)op;
    return 0;
}

static int expect_items(struct coord_decoder *d, struct coord_cursor before, uint32_t count,
                        uint32_t expected)
{
    if (count == expected) {
        return 0;
    }
    char what[64];
    d->c = before;
    (void)snprintf(what, sizeof(what), "expected an array of %u, not of %u", expected, count);
    return coord__refuse(d, what);
}

/* Plain values and structs; nothing else stands in the rows of these operations. */
static int take_rows(struct coord_decoder *d, const struct coord_field *fields, uint32_t count,
                     uint8_t *base)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        const struct coord_field *f = &fields[i];
        d->inner = f->name;
        r = f->kind == COORD_FK_STRUCT ? coord__take_struct(d, f->sub, base + f->offset)
                                       : coord__take_plain(d, f, base);
    }
    return r;
}

/* [operation, arguments...] */
static int take_txn_op(struct coord_decoder *d, struct coord_request *q)
{
    struct coord_cursor before = d->c;
    const struct coord_op_row *row;
    uint32_t count;
    memset(q, 0, sizeof(*q));
    int r = coord__take_array(d, &count);
    if (r == 0) {
        r = take_txn_op_number(d, &q->op, &row);
    }
    if (r == 0) {
        r = expect_items(d, before, count, 1 + coord__txn_args_count(row));
    }
    return r < 0 ? r : take_rows(d, row->args, coord__txn_args_count(row), (uint8_t *)q);
}

/* [operation, error, results...] */
static int take_txn_result(struct coord_decoder *d, enum coord_op *ret_op, struct coord_result *res)
{
    struct coord_cursor before = d->c;
    const struct coord_op_row *row;
    uint64_t error;
    uint32_t count;
    memset(res, 0, sizeof(*res));
    int r = coord__take_array(d, &count);
    if (r == 0) {
        r = take_txn_op_number(d, ret_op, &row);
    }
    if (r == 0) {
        r = coord__take_uint(d, INT32_MAX, &error);
    }
    if (r < 0) {
        return r;
    }
    res->error = -(int)error;
    uint32_t results = error == 0 ? row->results_count : 0;
    r = expect_items(d, before, count, COORD_TXN_RESULT_HEAD_ITEMS + results);
    return r < 0 ? r : take_rows(d, row->results, results, (uint8_t *)res);
}

/* One item of a list, read and forgotten. */
static int take_item(struct coord_decoder *d, enum coord_field_kind list)
{
    union {
        struct coord_list_entry entry;
        struct coord_change change;
        struct coord_if condition;
        struct coord_session_info session;
        struct coord_request op;
        struct coord_result result;
    } item;
    enum coord_op op;
    switch (list) {
    case COORD_FK_ENTRIES:
        return take_entry(d, &item.entry);
    case COORD_FK_IFS:
        return take_if(d, &item.condition);
    case COORD_FK_SESSIONS:
        return take_session(d, &item.session);
    case COORD_FK_TXN_OPS:
        return take_txn_op(d, &item.op);
    case COORD_FK_TXN_RESULTS:
        return take_txn_result(d, &op, &item.result);
    default:
        return take_change(d, &item.change);
    }
}

int coord__take_raw_list(struct coord_decoder *d, enum coord_field_kind list, uint32_t *ret_count,
                         struct coord_bytes *ret_raw)
{
    uint32_t count;
    int r = coord__take_array(d, &count);
    const uint8_t *begin = d->c.p;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        d->index = i;
        d->inner = NULL;
        r = take_item(d, list);
    }
    if (r == 0) {
        d->index = COORD_NO_INDEX;
        *ret_count = count;
        *ret_raw = (struct coord_bytes){.data = begin, .len = (uint32_t)(d->c.p - begin)};
    }
    return r;
}

/* --- walking lists that were checked ----------------------------------------------------------- */

static void walk_begin(struct coord_decoder *d, const struct coord_bytes *cursor)
{
    coord__decoder_init(d, cursor->data, cursor->len, COORD_EPROTO, NULL, 0);
}

/* Return: 1, with the cursor behind the item that was read, or COORD_EPROTO. */
static int walk_end(const struct coord_decoder *d, int r, struct coord_bytes *cursor)
{
    if (r < 0) {
        return COORD_EPROTO;
    }
    *cursor = (struct coord_bytes){.data = d->c.p, .len = (uint32_t)(d->c.end - d->c.p)};
    return 1;
}

int coord_list_next(struct coord_bytes *cursor, struct coord_list_entry *ret_entry)
{
    struct coord_decoder d;
    struct coord_list_entry entry;
    if (cursor->len == 0) {
        return 0;
    }
    walk_begin(&d, cursor);
    int r = walk_end(&d, take_entry(&d, &entry), cursor);
    if (r == 1) {
        *ret_entry = entry;
    }
    return r;
}

int coord_change_next(struct coord_bytes *cursor, struct coord_change *ret_change)
{
    struct coord_decoder d;
    struct coord_change change;
    if (cursor->len == 0) {
        return 0;
    }
    walk_begin(&d, cursor);
    int r = walk_end(&d, take_change(&d, &change), cursor);
    if (r == 1) {
        *ret_change = change;
    }
    return r;
}

int coord_if_next(struct coord_bytes *cursor, struct coord_if *ret_c)
{
    struct coord_decoder d;
    struct coord_if c;
    if (cursor->len == 0) {
        return 0;
    }
    walk_begin(&d, cursor);
    int r = walk_end(&d, take_if(&d, &c), cursor);
    if (r == 1) {
        *ret_c = c;
    }
    return r;
}

int coord_session_next(struct coord_bytes *cursor, struct coord_session_info *ret_s)
{
    struct coord_decoder d;
    struct coord_session_info s;
    if (cursor->len == 0) {
        return 0;
    }
    walk_begin(&d, cursor);
    int r = walk_end(&d, take_session(&d, &s), cursor);
    if (r == 1) {
        *ret_s = s;
    }
    return r;
}

int coord_txn_op_next(struct coord_bytes *cursor, struct coord_request *ret_q)
{
    struct coord_decoder d;
    struct coord_request q;
    if (cursor->len == 0) {
        return 0;
    }
    walk_begin(&d, cursor);
    int r = walk_end(&d, take_txn_op(&d, &q), cursor);
    if (r == 1) {
        *ret_q = q;
    }
    return r;
}

int coord_txn_result_next(struct coord_bytes *cursor, enum coord_op *ret_op,
                          struct coord_result *ret_res)
{
    struct coord_decoder d;
    struct coord_result res;
    enum coord_op op;
    if (cursor->len == 0) {
        return 0;
    }
    walk_begin(&d, cursor);
    int r = walk_end(&d, take_txn_result(&d, &op, &res), cursor);
    if (r == 1) {
        *ret_op = op;
        *ret_res = res;
    }
    return r;
}
