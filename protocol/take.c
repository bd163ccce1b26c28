/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take.c: single values, arrays and lists of a message into structs, by the rows of ops.c; what
 * encode.c's put_ functions write, these read. The refusal texts are made here.
 *
 * Leaves to others: msgpack itself (cursor.c), the order and number of a message's items (decode.c).
 * Thread: any.
 *
 * Invariants
 *   1. Nothing is allocated; byte values are borrowed from the body.
 *   2. A refusal leaves the cursor at the value that is wrong, for the offset in the text.
 *   3. What coord__take_raw_list has accepted, coord_list_next and coord_change_next accept.
 *   4. Work is linear in the bytes of the body: each loop turn consumes at least one byte.
 */
#include "protocol/take.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void coord__decoder_init(struct coord_decoder *d, const uint8_t *body, size_t len, int error,
                         char *why, size_t why_bytes)
{
    assert(body != NULL || len == 0);
    *d = (struct coord_decoder){
        .error = error, .index = COORD_NO_INDEX, .why = why, .why_bytes = why_bytes};
    d->start = body;
    d->c.p = body;
    d->c.end = len > 0 ? body + len : body;
}

/* Say what is wrong at the cursor: "argument 3 (flags) at byte 17: expected ...". */
int coord__refuse(const struct coord_decoder *d, const char *what)
{
    assert(what != NULL);
    if (d->why == NULL || d->why_bytes == 0) {
        return d->error;
    }
    size_t at = (size_t)(d->c.p - d->start);
    if (d->field == NULL) {
        (void)snprintf(d->why, d->why_bytes, "the message at byte %zu: %s", at, what);
        return d->error;
    }
    char index[24] = "";
    if (d->index != COORD_NO_INDEX) {
        (void)snprintf(index, sizeof(index), "[%lld]", (long long)d->index);
    }
    (void)snprintf(d->why, d->why_bytes, "%s %u (%s%s%s%s) at byte %zu: %s", d->part, d->place,
                   d->field, index, d->inner != NULL ? "." : "", d->inner != NULL ? d->inner : "",
                   at, what);
    return d->error;
}

void coord__take_enter(struct coord_decoder *d, const char *part, uint32_t place, const char *field)
{
    d->part = part;
    d->place = place;
    d->field = field;
    d->index = COORD_NO_INDEX;
    d->inner = NULL;
}

/* --- values ------------------------------------------------------------------------------------ */

int coord__take_uint(struct coord_decoder *d, uint64_t max, uint64_t *ret_value)
{
    const char *wrong = coord__cursor_uint(&d->c, max, ret_value);
    return wrong == NULL ? 0 : coord__refuse(d, wrong);
}

int coord__take_array(struct coord_decoder *d, uint32_t *ret_count)
{
    const char *wrong = coord__cursor_array(&d->c, ret_count);
    return wrong == NULL ? 0 : coord__refuse(d, wrong);
}

/* An array of a known number of items. */
static int take_array_of(struct coord_decoder *d, uint32_t items)
{
    struct coord_cursor before = d->c;
    uint32_t count;
    int r = coord__take_array(d, &count);
    if (r < 0) {
        return r;
    }
    if (count != items) {
        char what[64];
        d->c = before;
        (void)snprintf(what, sizeof(what), "expected an array of %u, not of %u", items, count);
        return coord__refuse(d, what);
    }
    return 0;
}

/* The values kept in 32 bits. */
static int take_u32(struct coord_decoder *d, const struct coord_field *f, uint8_t *at)
{
    struct coord_cursor before = d->c;
    uint64_t value;
    int r = coord__take_uint(d, f->kind == COORD_FK_ENUM ? f->limit : UINT32_MAX, &value);
    if (r < 0) {
        return r;
    }
    uint32_t u32 = (uint32_t)value;
    bool is_set = f->kind == COORD_FK_BITS || f->kind == COORD_FK_BIT;
    if (is_set && (u32 & ~f->limit) != 0) {
        d->c = before;
        return coord__refuse(d, "a bit that is not known is set");
    }
    if (f->kind == COORD_FK_BIT && (u32 == 0 || (u32 & (u32 - 1)) != 0)) {
        d->c = before;
        return coord__refuse(d, "expected exactly one bit");
    }
    memcpy(at, &u32, sizeof(u32));
    return 0;
}

static int take_bytes(struct coord_decoder *d, const struct coord_field *f, uint8_t *at)
{
    struct coord_cursor before = d->c;
    struct coord_bytes s;
    const char *wrong;
    if (f->kind == COORD_FK_STR || f->kind == COORD_FK_STR_OPT) {
        wrong = coord__cursor_str(&d->c, f->kind == COORD_FK_STR_OPT, &s);
    } else {
        wrong = coord__cursor_bin(&d->c, true, &s);
    }
    if (wrong != NULL) {
        return coord__refuse(d, wrong);
    }
    if (f->kind == COORD_FK_SECRET && s.data != NULL && s.len != COORD_SECRET_BYTES) {
        d->c = before;
        return coord__refuse(d, "a secret has 16 bytes");
    }
    memcpy(at, &s, sizeof(s));
    return 0;
}

/* One plain value into the struct at base. */
int coord__take_plain(struct coord_decoder *d, const struct coord_field *f, uint8_t *base)
{
    uint8_t *at = base + f->offset;
    const char *wrong;
    uint64_t u64;
    int64_t i64;
    bool b;
    int r;
    switch (f->kind) {
    case COORD_FK_U64:
        r = coord__take_uint(d, UINT64_MAX, &u64);
        if (r == 0) {
            memcpy(at, &u64, sizeof(u64));
        }
        return r;
    case COORD_FK_U32:
    case COORD_FK_ENUM:
    case COORD_FK_BITS:
    case COORD_FK_BIT:
        return take_u32(d, f, at);
    case COORD_FK_INT:
        wrong = coord__cursor_int(&d->c, COORD_VERSION_ANY, &i64);
        if (wrong != NULL) {
            return coord__refuse(d, wrong);
        }
        memcpy(at, &i64, sizeof(i64));
        return 0;
    case COORD_FK_DELTA:
        wrong = coord__cursor_int(&d->c, INT64_MIN, &i64);
        if (wrong != NULL) {
            return coord__refuse(d, wrong);
        }
        memcpy(at, &i64, sizeof(i64));
        return 0;
    case COORD_FK_BOOL:
        wrong = coord__cursor_bool(&d->c, &b);
        if (wrong != NULL) {
            return coord__refuse(d, wrong);
        }
        memcpy(at, &b, sizeof(b));
        return 0;
    default:
        assert(f->kind >= COORD_FK_STR && f->kind <= COORD_FK_SECRET);
        return take_bytes(d, f, at);
    }
}

/* Plain values of an array inside the message; texts name them as d->field.name. */
static int take_inner(struct coord_decoder *d, const struct coord_field *fields, void *base)
{
    for (const struct coord_field *f = fields; f->kind != COORD_FK_END; f++) {
        d->inner = f->name;
        int r = coord__take_plain(d, f, base);
        if (r < 0) {
            return r;
        }
    }
    d->inner = NULL;
    return 0;
}

/* The header of a bounded list; its count goes into the struct at base. */
static int take_count(struct coord_decoder *d, const struct coord_field *f, uint8_t *base,
                      uint32_t *ret_count)
{
    struct coord_cursor before = d->c;
    uint32_t count;
    int r = coord__take_array(d, &count);
    if (r < 0) {
        return r;
    }
    if (count > f->limit) {
        d->c = before;
        return coord__refuse(d, "the list is too long");
    }
    memcpy(base + f->count_offset, &count, sizeof(count));
    *ret_count = count;
    return 0;
}

static int take_ids(struct coord_decoder *d, const struct coord_field *f, uint8_t *base)
{
    uint32_t count;
    int r = take_count(d, f, base, &count);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        uint64_t value = 0;
        d->index = i;
        r = coord__take_uint(d, UINT32_MAX, &value);
        uint32_t id = (uint32_t)value;
        memcpy(base + f->offset + i * sizeof(id), &id, sizeof(id));
    }
    d->index = r == 0 ? COORD_NO_INDEX : d->index;
    return r;
}

static int take_members(struct coord_decoder *d, const struct coord_field *f, uint8_t *base)
{
    uint32_t items = coord__fields_count(f->sub);
    uint32_t count;
    int r = take_count(d, f, base, &count);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        d->index = i;
        d->inner = NULL;
        r = take_array_of(d, items);
        if (r == 0) {
            r = take_inner(d, f->sub, base + f->offset + i * sizeof(struct coord_member_status));
        }
    }
    return r;
}

int coord__take_struct(struct coord_decoder *d, const struct coord_field *fields, void *base)
{
    int r = take_array_of(d, coord__fields_count(fields));
    for (const struct coord_field *f = fields; r == 0 && f->kind != COORD_FK_END; f++) {
        d->inner = f->name;
        r = f->kind == COORD_FK_MEMBERS ? take_members(d, f, base) : coord__take_plain(d, f, base);
    }
    if (r == 0) {
        d->inner = NULL;
    }
    return r;
}

/* --- items of lists ---------------------------------------------------------------------------- */

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
        r = take_inner(d, coord__name_field, e);
    }
    if (r == 0 && count >= 2) {
        e->has_stat = count == 2 || !coord__cursor_skip_false(&d->c);
        d->inner = "stat";
        r = e->has_stat ? coord__take_struct(d, coord__stat_fields, &e->stat) : 0;
    }
    if (r == 0 && count == 3) {
        e->has_data = true;
        r = take_inner(d, coord__entry_data_field, e);
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
        r = take_inner(d, coord__change_fields, ch);
    }
    if (r == 0 && count > COORD_CHANGE_ITEMS_MIN) {
        ch->has_value = count == COORD_CHANGE_ITEMS_MIN + 1 || !coord__cursor_skip_false(&d->c);
        r = ch->has_value ? take_inner(d, coord__value_field, ch) : 0;
    }
    if (r == 0 && count == COORD_CHANGE_ITEMS_MIN + 2) {
        ch->has_previous = true;
        r = take_inner(d, coord__previous_field, ch);
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
        struct coord_request op;
        struct coord_result result;
    } item;
    enum coord_op op;
    switch (list) {
    case COORD_FK_ENTRIES:
        return take_entry(d, &item.entry);
    case COORD_FK_IFS:
        return take_if(d, &item.condition);
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

static int take_items(struct coord_decoder *d, const struct coord_field *f, uint8_t *base)
{
    struct coord_bytes raw;
    uint32_t count;
    int r = coord__take_raw_list(d, f->kind, &count, &raw);
    if (r == 0) {
        memcpy(base + f->offset, &raw, sizeof(raw));
        memcpy(base + f->count_offset, &count, sizeof(count));
    }
    return r;
}

/* The rows of an operation into struct coord_request or struct coord_result. */
int coord__take_fields(struct coord_decoder *d, const char *part, const struct coord_field *fields,
                       uint32_t count, void *base)
{
    uint8_t *at = base;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        const struct coord_field *f = &fields[i];
        coord__take_enter(d, part, i + 1, f->name);
        switch (f->kind) {
        case COORD_FK_STRUCT:
            r = coord__take_struct(d, f->sub, at + f->offset);
            break;
        case COORD_FK_IDS:
            r = take_ids(d, f, at);
            break;
        case COORD_FK_ENTRIES:
        case COORD_FK_IFS:
        case COORD_FK_TXN_OPS:
        case COORD_FK_TXN_RESULTS:
            r = take_items(d, f, at);
            break;
        default:
            r = coord__take_plain(d, f, at);
            break;
        }
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
