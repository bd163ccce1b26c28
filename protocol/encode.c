/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.c: structs to frames, by the rows of ops.c. msgpack-c writes the values straight into the
 * caller's buffer; the 4 bytes of the length are patched when the end is known.
 *
 *   bytes 0..3   length of what follows, big-endian
 *   bytes 4..    one msgpack array (message.h)
 *   a body       (coord_body_encode) has no length: it is the msgpack array of the items behind the
 *                receipt, so that coord_reply_join learns their number from its header
 *
 * Leaves to others: limits on frames (the caller knows them), whether values make sense (decode.c
 * checks what arrives; values here come from our own code or, in the client, go to a server that
 * checks them).
 * Thread: any; the buffer is the caller's and unshared.
 *
 * Invariants
 *   1. Canonical: every number, length and count takes its smallest msgpack form, so equal structs
 *      give equal bytes. Only coord_request_loud makes longer forms, of requests, whose bytes nobody compares.
 *   2. On error the buffer has the bytes it had before.
 *   3. The count in each array header is the number of items written behind it.
 */
#include "protocol/message.h"

#include <assert.h>
#include <endian.h>
#include <msgpack.h>
#include <string.h>
#include "protocol/codec.h"
#include "protocol/cursor.h"

#define UINT_BYTES_MAX 9 /* of a number: its format and 64 bits */

/* Where the bytes go: [at, end) is the room that is left in *out, whose length is set at the end. The
 * first failure sticks: what is written after it is dropped, so that only the end of a message has to look. */
struct writer {
    struct coord_buf **out;
    bool was_null;
    uint32_t start; /* *out's length before the message */
    int error;
    uint8_t *at;
    uint8_t *end;
    msgpack_packer pk;
};

/* *out has its room, or w->error is set: find out where to write. */
static void writer_place(struct writer *w)
{
    struct coord_buf *b = *w->out;
    w->at = w->error == 0 ? b->data + b->len : NULL;
    w->end = w->error == 0 ? b->data + b->cap : NULL;
}

/* The guess was too small: more room for len bytes. Return: 0 or negative. */
static int writer_grow(struct writer *w, size_t len)
{
    if (w->error != 0) {
        return -1;
    }
    (*w->out)->len = (uint32_t)(w->at - (*w->out)->data);
    w->error = coord__buf_reserve(w->out, len);
    writer_place(w);
    return w->error;
}

static int writer_write(void *data, const char *bytes, size_t len)
{
    struct writer *w = data;
    if (len > (size_t)(w->end - w->at) && writer_grow(w, len) < 0) {
        return -1;
    }
    if (len > 0) {
        memcpy(w->at, bytes, len);
        w->at += len;
    }
    return 0;
}

/* A value that is one byte. */
static void writer_byte(struct writer *w, uint8_t byte)
{
    if (w->at < w->end || writer_grow(w, 1) == 0) {
        *w->at++ = byte;
    }
}

/* hint_bytes: a guess at the size; being right avoids moving the buffer. */
static void writer_begin(struct writer *w, struct coord_buf **out, size_t hint_bytes)
{
    assert(out != NULL);
    w->out = out;
    w->was_null = *out == NULL;
    w->start = *out != NULL ? (*out)->len : 0;
    w->error = coord__buf_reserve(out, hint_bytes);
    writer_place(w);
    msgpack_packer_init(&w->pk, w, writer_write);
}

static int writer_end(struct writer *w)
{
    if (w->error == 0) {
        (*w->out)->len = (uint32_t)(w->at - (*w->out)->data);
        assert((*w->out)->len > w->start);
        assert((*w->out)->len <= (*w->out)->cap);
        return 0;
    }
    if (w->was_null) {
        coord_buf_unref(*w->out);
        *w->out = NULL;
    } else {
        (*w->out)->len = w->start;
    }
    return w->error;
}

static void frame_begin(struct writer *w, struct coord_buf **out, size_t hint_bytes)
{
    static const char no_length[COORD_FRAME_HEADER_BYTES] = {0};
    writer_begin(w, out, hint_bytes);
    (void)writer_write(w, no_length, sizeof(no_length)); /* a failure sticks in w */
}

static int frame_end(struct writer *w)
{
    if (w->error == 0) {
        uint8_t *at = (*w->out)->data + w->start;
        uint32_t body = (uint32_t)(w->at - at) - COORD_FRAME_HEADER_BYTES;
        assert(body > 0);
        at[0] = (uint8_t)(body >> 24);
        at[1] = (uint8_t)(body >> 16);
        at[2] = (uint8_t)(body >> 8);
        at[3] = (uint8_t)body;
    }
    return writer_end(w);
}

/* --- values ------------------------------------------------------------------------------------ */

/* The results of msgpack_pack_* are those of writer_write, whose failure sticks in w. */

/* Counts and numbers are most of what is written, and most are one byte: without the way through the
 * packer. */

static void put_array(struct writer *w, size_t count)
{
    if (count < 16) {
        writer_byte(w, (uint8_t)(0x90u | count));
    } else {
        (void)msgpack_pack_array(&w->pk, count);
    }
}

/* 0xcc to 0xcf: big-endian, of the fewest bytes that hold it. at has room for the longest.
 * Return: behind it. */
static uint8_t *uint_long(uint8_t *at, uint64_t value)
{
    uint32_t log2 = (uint32_t)(value > UINT8_MAX) + (value > UINT16_MAX) + (value > UINT32_MAX);
    uint32_t bytes = 1u << log2;
    uint64_t big = htobe64(value << (64 - 8 * bytes));
    *at = (uint8_t)(0xccu + log2);
    memcpy(at + 1, &big, sizeof(big));
    return at + 1 + bytes;
}

static void put_uint(struct writer *w, uint64_t value)
{
    if (value < 128) {
        writer_byte(w, (uint8_t)value);
    } else if (w->end - w->at >= UINT_BYTES_MAX) {
        w->at = uint_long(w->at, value);
    } else {
        uint8_t out[UINT_BYTES_MAX];
        (void)writer_write(w, (const char *)out,
                           (size_t)(uint_long(out, value) - out)); /* sticks */
    }
}

static void put_bool(struct writer *w, bool value)
{
    (void)(value ? msgpack_pack_true(&w->pk) : msgpack_pack_false(&w->pk));
}

static void put_str(struct writer *w, struct coord_bytes s)
{
    uint32_t len = s.data != NULL ? s.len : 0;
    if (len < 32) {
        writer_byte(w, (uint8_t)(0xa0u | len));
    } else {
        (void)msgpack_pack_str(&w->pk, len);
    }
    (void)writer_write(w, (const char *)s.data, len); /* a failure sticks in w */
}

static void put_bin(struct writer *w, struct coord_bytes s)
{
    assert(s.data != NULL);
    (void)msgpack_pack_bin(&w->pk, s.len);
    (void)msgpack_pack_bin_body(&w->pk, s.data, s.len);
}

static void put_bytes(struct writer *w, enum coord_field_kind kind, const void *at)
{
    struct coord_bytes s;
    memcpy(&s, at, sizeof(s));
    if (s.data == NULL && kind != COORD_FK_STR) {
        (void)msgpack_pack_nil(&w->pk);
    } else if (kind == COORD_FK_STR || kind == COORD_FK_STR_OPT) {
        put_str(w, s);
    } else {
        put_bin(w, s);
    }
}

/* One plain value of the struct at base. */
static void put_plain(struct writer *w, const struct coord_field *f, const uint8_t *base)
{
    const uint8_t *at = base + f->offset;
    uint64_t u64;
    uint32_t u32;
    int64_t i64;
    bool b;
    switch (f->kind) {
    case COORD_FK_U64:
        memcpy(&u64, at, sizeof(u64));
        put_uint(w, u64);
        break;
    case COORD_FK_U32:
    case COORD_FK_ENUM:
    case COORD_FK_BITS:
    case COORD_FK_BIT:
        memcpy(&u32, at, sizeof(u32));
        put_uint(w, u32);
        break;
    case COORD_FK_INT:
    case COORD_FK_DELTA:
        memcpy(&i64, at, sizeof(i64));
        (void)msgpack_pack_int64(&w->pk, i64);
        break;
    case COORD_FK_BOOL:
        memcpy(&b, at, sizeof(b));
        put_bool(w, b);
        break;
    default:
        assert(f->kind >= COORD_FK_STR && f->kind <= COORD_FK_SECRET);
        put_bytes(w, f->kind, at);
        break;
    }
}

/* Rows of numbers are most of what is written: where each has room in its longest form nothing else is looked at. */
static void put_rows(struct writer *w, const struct coord_field *fields, uint32_t count,
                     const void *base)
{
    const uint8_t *from = base;
    uint8_t *at = w->at;
    for (const struct coord_field *f = fields; f < fields + count; f++) {
        uint64_t value = 0;
        if (f->kind == COORD_FK_U64) {
            memcpy(&value, from + f->offset, sizeof(value));
        } else if (f->kind == COORD_FK_U32 || f->kind == COORD_FK_ENUM) {
            uint32_t u32;
            memcpy(&u32, from + f->offset, sizeof(u32));
            value = u32;
        }
        bool number =
            f->kind == COORD_FK_U64 || f->kind == COORD_FK_U32 || f->kind == COORD_FK_ENUM;
        if (!number || w->end - at < UINT_BYTES_MAX) {
            w->at = at;
            put_plain(w, f, base);
            at = w->at;
        } else if (value < 128) {
            *at++ = (uint8_t)value;
        } else {
            at = uint_long(at, value);
        }
    }
    w->at = at;
}

static void put_plains(struct writer *w, const struct coord_field *fields, const void *base)
{
    put_rows(w, fields, coord__fields_count(fields), base);
}

static uint32_t list_count(struct writer *w, const struct coord_field *f, const uint8_t *base)
{
    uint32_t count;
    memcpy(&count, base + f->count_offset, sizeof(count));
    if (count > f->limit) {
        if (w->error == 0) {
            w->error = COORD_EINVAL;
        }
        return 0;
    }
    return count;
}

static void put_ids(struct writer *w, const struct coord_field *f, const uint8_t *base)
{
    uint32_t count = list_count(w, f, base);
    put_array(w, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id;
        memcpy(&id, base + f->offset + i * sizeof(id), sizeof(id));
        put_uint(w, id);
    }
}

static void put_members(struct writer *w, const struct coord_field *f, const uint8_t *base)
{
    uint32_t count = list_count(w, f, base);
    uint32_t items = coord__fields_count(f->sub);
    put_array(w, count);
    for (uint32_t i = 0; i < count; i++) {
        put_array(w, items);
        put_plains(w, f->sub, base + f->offset + i * sizeof(struct coord_member_status));
    }
}

/* count: coord__fields_count(fields). */
static void put_struct(struct writer *w, const struct coord_field *fields, uint32_t count,
                       const void *base)
{
    bool members = fields[count - 1].kind == COORD_FK_MEMBERS; /* they stand last */
    put_array(w, count);
    put_rows(w, fields, members ? count - 1 : count, base);
    if (members) {
        put_members(w, &fields[count - 1], base);
    }
}

/* [name], [name, stat] or [name, stat or false, data]: what was not asked for is left out. */
static void put_entry(struct writer *w, const struct coord_list_entry *e)
{
    put_array(w, e->has_data ? 3 : (e->has_stat ? 2 : 1));
    put_plains(w, coord__name_field, e);
    if (e->has_stat) {
        put_struct(w, coord__stat_fields, coord__fields_count(coord__stat_fields), &e->stat);
    } else if (e->has_data) {
        put_bool(w, false);
    }
    if (e->has_data) {
        put_plains(w, coord__entry_data_field, e);
    }
}

/* Items that are encoded already. */
static void put_items(struct writer *w, const struct coord_field *f, const uint8_t *base)
{
    struct coord_bytes raw;
    uint32_t count;
    memcpy(&raw, base + f->offset, sizeof(raw));
    memcpy(&count, base + f->count_offset, sizeof(count));
    put_array(w, count);
    if (raw.len > 0) {
        (void)writer_write(w, (const char *)raw.data, raw.len); /* a failure sticks in w */
    }
}

/* The rows of an operation, from struct coord_request or struct coord_result. */
static void put_fields(struct writer *w, const struct coord_field *fields, uint32_t count,
                       const void *base)
{
    const struct coord_result *res = base; /* only read for ENTRIES, a row of results */
    const uint8_t *at = base;
    for (const struct coord_field *f = fields; f < fields + count; f++) {
        switch (f->kind) {
        case COORD_FK_STRUCT:
            put_struct(w, f->sub, f->limit, at + f->offset);
            break;
        case COORD_FK_IDS:
            put_ids(w, f, at);
            break;
        case COORD_FK_ENTRIES:
            put_array(w, res->entries_count);
            for (uint32_t i = 0; i < res->entries_count && w->error == 0; i++) {
                put_entry(w, &res->entries[i]);
            }
            break;
        case COORD_FK_IFS:
        case COORD_FK_TXN_OPS:
        case COORD_FK_TXN_RESULTS:
        case COORD_FK_SESSIONS:
            put_items(w, f, at);
            break;
        default:
            put_plain(w, f, at);
            break;
        }
    }
}

/* --- messages ---------------------------------------------------------------------------------- */

int coord_request_encode(const struct coord_request *q, struct coord_buf **out)
{
    const struct coord_op_row *row = coord__op_row(q->op);
    if (row == NULL) {
        return COORD_EINVAL;
    }
    struct writer w;
    /* Heads and numbers of the longest request stay below 192 bytes. */
    frame_begin(&w, out,
                (size_t)192 + q->path.len + q->to.len + q->data.len + q->ifs.raw.len +
                    q->thens.raw.len + q->elses.raw.len);
    put_array(&w, (size_t)COORD_REQUEST_HEAD_ITEMS + row->args_count);
    put_uint(&w, q->number);
    put_uint(&w, q->op);
    put_uint(&w, q->acked);
    put_fields(&w, row->args, row->args_count, q);
    return frame_end(&w);
}

/* Bytes of what put_uint writes. */
static uint32_t uint_bytes(uint64_t value)
{
    if (value < 128) {
        return 1;
    }
    return value <= UINT8_MAX ? 2 : value <= UINT16_MAX ? 3 : value <= UINT32_MAX ? 5 : 9;
}

static uint8_t *uint_longest(uint8_t *at, uint64_t value)
{
    at[0] = 0xcf;
    for (uint32_t i = 8; i > 0; i--) {
        at[i] = (uint8_t)value;
        value >>= 8;
    }
    return at + 9;
}

int coord_request_loud(const struct coord_request *q, uint32_t start, struct coord_buf **out)
{
    uint32_t bytes = (*out)->len - start;
    uint32_t more = 18 - uint_bytes(q->number) - uint_bytes(q->acked);
    if (q->op == COORD_OP_PING || bytes >= COORD_LOUD_BYTES) {
        return 0;
    }
    if (coord__buf_reserve(out, more) != 0) {
        return COORD_ENOMEM;
    }
    uint8_t *frame = (*out)->data + start;
    uint32_t head = COORD_FRAME_HEADER_BYTES + 1 + uint_bytes(q->number) + 1 + uint_bytes(q->acked);
    assert(q->op < 128); /* one byte, like the array's head */
    memmove(frame + head + more, frame + head, bytes - head);
    uint8_t *at = uint_longest(frame + COORD_FRAME_HEADER_BYTES + 1, q->number);
    *at = (uint8_t)q->op;
    (void)uint_longest(at + 1, q->acked);
    frame[COORD_FRAME_HEADER_BYTES - 1] = (uint8_t)(bytes + more - COORD_FRAME_HEADER_BYTES);
    (*out)->len += more;
    assert(bytes + more >= COORD_LOUD_BYTES);
    return 0;
}

/* --- items of a transaction -------------------------------------------------------------------- */

int coord_if_encode(const struct coord_if *c, struct coord_buf **out)
{
    struct writer w;
    writer_begin(&w, out, (size_t)32 + c->path.len + c->data.len);
    put_array(&w, coord__fields_count(coord__if_fields));
    put_plains(&w, coord__if_fields, c);
    return writer_end(&w);
}

int coord_session_encode(const struct coord_session_info *s, struct coord_buf **out)
{
    struct writer w;
    writer_begin(&w, out, (size_t)64 + s->address.len);
    put_array(&w, coord__fields_count(coord__session_fields));
    put_plains(&w, coord__session_fields, s);
    return writer_end(&w);
}

int coord_txn_op_encode(const struct coord_request *q, struct coord_buf **out)
{
    const struct coord_op_row *row = coord__op_row(q->op);
    if (row == NULL || !coord_op_in_txn(q->op)) {
        return COORD_EINVAL;
    }
    struct writer w;
    uint32_t args = coord__txn_args_count(row);
    writer_begin(&w, out, (size_t)96 + q->path.len + q->data.len);
    put_array(&w, (size_t)1 + args);
    put_uint(&w, q->op);
    put_fields(&w, row->args, args, q);
    return writer_end(&w);
}

int coord_txn_result_encode(enum coord_op op, const struct coord_result *res,
                            struct coord_buf **out)
{
    const struct coord_op_row *row = coord__op_row(op);
    if (row == NULL || !coord_op_in_txn(op)) {
        return COORD_EINVAL;
    }
    struct writer w;
    uint32_t results = res->error == 0 ? row->results_count : 0;
    writer_begin(&w, out, (size_t)128 + res->data.len);
    put_array(&w, (size_t)COORD_TXN_RESULT_HEAD_ITEMS + results);
    put_uint(&w, op);
    put_uint(&w, (uint64_t)(-(int64_t)res->error));
    put_fields(&w, row->results, results, res);
    return writer_end(&w);
}

/* What stands behind the receipt of a reply. */
struct tail {
    const struct coord_field *fields;
    uint32_t count;
};

/* Return: 0, or COORD_EINVAL for the result of an unknown operation. An error has the same form for
 * every operation, so that also a request with an unknown one can be answered. */
static int tail_of(enum coord_op op, const struct coord_result *res, struct tail *ret_tail)
{
    if (res->error != 0) {
        ret_tail->fields = coord__error_fields;
        ret_tail->count =
            res->has_no_quorum ? coord__fields_count(coord__error_fields) : COORD_ERROR_ITEMS_MIN;
        return 0;
    }
    const struct coord_op_row *row = coord__op_row(op);
    if (row == NULL) {
        return COORD_EINVAL;
    }
    ret_tail->fields = row->results;
    ret_tail->count = row->results_count;
    return 0;
}

static void put_reply_head(struct writer *w, uint64_t number, int error,
                           const struct coord_receipt *receipt, uint32_t tail_count)
{
    assert(error <= 0);
    put_array(w, (size_t)COORD_REPLY_HEAD_ITEMS + tail_count);
    put_uint(w, number);
    put_uint(w, (uint64_t)(-(int64_t)error));
    put_struct(w, coord__receipt_fields, COORD_RECEIPT_ITEMS, receipt);
}

int coord_result_encode(enum coord_op op, const struct coord_result *res, struct coord_buf **out)
{
    struct tail tail;
    int r = tail_of(op, res, &tail);
    if (r < 0) {
        return r;
    }
    struct writer w;
    frame_begin(&w, out, (size_t)256 + res->data.len);
    put_reply_head(&w, res->number, res->error, &res->receipt, tail.count);
    put_fields(&w, tail.fields, tail.count, res);
    return frame_end(&w);
}

int coord_body_encode(enum coord_op op, const struct coord_result *res, struct coord_buf **out)
{
    struct tail tail;
    int r = tail_of(op, res, &tail);
    if (r < 0) {
        return r;
    }
    struct writer w;
    writer_begin(&w, out, (size_t)192 + res->data.len + res->results.raw.len);
    put_array(&w, tail.count);
    put_fields(&w, tail.fields, tail.count, res);
    return writer_end(&w);
}

int coord_reply_join(uint64_t number, int error, const struct coord_receipt *receipt,
                     struct coord_bytes body, struct coord_buf **out)
{
    static const uint8_t no_items[] = {0x90};      /* [] */
    static const uint8_t no_text[] = {0x91, 0xc0}; /* [nil] */
    if (body.len == 0) {
        body.data = error == 0 ? no_items : no_text;
        body.len = error == 0 ? sizeof(no_items) : sizeof(no_text);
    }
    struct coord_cursor c = {.p = body.data, .end = body.data + body.len};
    uint32_t count;
    if (coord__cursor_array(&c, &count) != NULL) {
        return COORD_EINVAL;
    }
    struct writer w;
    frame_begin(&w, out, (size_t)96 + body.len);
    put_reply_head(&w, number, error, receipt, count);
    (void)writer_write(&w, (const char *)c.p, (size_t)(c.end - c.p)); /* a failure sticks in w */
    return frame_end(&w);
}

/* [kind, path, version, create revision], then value and previous value as far as they are sent. */
static void put_change(struct writer *w, const struct coord_change *ch)
{
    uint32_t extra = ch->has_previous ? 2 : (ch->has_value ? 1 : 0);
    put_array(w, (size_t)COORD_CHANGE_ITEMS_MIN + extra);
    put_plains(w, coord__change_fields, ch);
    if (ch->has_value) {
        put_plains(w, coord__value_field, ch);
    } else if (ch->has_previous) {
        put_bool(w, false);
    }
    if (ch->has_previous) {
        put_plains(w, coord__previous_field, ch);
    }
}

int coord_event_encode(const struct coord_event *ev, struct coord_buf **out)
{
    struct writer w;
    frame_begin(&w, out, 128);
    put_array(&w, COORD_EVENT_ITEMS);
    put_uint(&w, 0); /* the number of no request */
    put_plains(&w, coord__event_fields, ev);
    put_array(&w, ev->changes_count);
    for (uint32_t i = 0; i < ev->changes_count && w.error == 0; i++) {
        put_change(&w, &ev->changes[i]);
    }
    return frame_end(&w);
}
