/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c: frames to structs. The bytes are those of an unknown sender: every form that message.h
 * does not describe is refused, with a text that names the field and the byte.
 *
 * Strict: the number of items must be exactly that of the operation, a value must have the type of
 * its row and lie in its range, unknown flag bits are refused, nothing may follow the message.
 * Lenient in one thing: an integer, length or count may take a longer msgpack form than needed, as
 * encoders of other languages produce.
 *
 * Leaves to others: single values (take.c), frame limits (the caller of coord_frame_size knows
 * them), rules of paths (path.c), what a request may do.
 * Thread: any.
 *
 * Invariants
 *   1. Nothing is allocated; byte values are borrowed from the body.
 *   2. The struct of the caller is written only when the whole message was good (but for
 *      coord_request_decode_over).
 *   3. After coord_result_decode and coord_event_decode succeeded, walking entries_raw or
 *      changes_raw cannot fail: every item was read once already.
 */
#include "protocol/message.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "protocol/take.h"

int64_t coord_frame_size(const uint8_t *bytes, size_t len, size_t max_bytes)
{
    if (len < COORD_FRAME_HEADER_BYTES) {
        return 0;
    }
    uint32_t body = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
                    (uint32_t)bytes[3];
    if (body == 0 || body > max_bytes) {
        return COORD_ETOOBIG;
    }
    return (int64_t)body + COORD_FRAME_HEADER_BYTES;
}

/* An unsigned integer at a fixed place of every message. */
static int take_head(struct coord_decoder *d, uint32_t place, const char *field, uint64_t max,
                     uint64_t *ret_value)
{
    if (coord__cursor_quick_uint(&d->c, max, ret_value)) {
        return 0;
    }
    coord__take_enter(d, "item", place, field);
    return coord__take_uint(d, max, ret_value);
}

/* The number of a request or a reply, never 0; zero_text: what is wrong with 0 here. */
static int take_number(struct coord_decoder *d, const char *zero_text, uint64_t *ret_number)
{
    const uint8_t *before = d->c.p;
    int r = take_head(d, 1, "number", UINT64_MAX, ret_number);
    if (r == 0 && *ret_number == 0) {
        d->c.p = before;
        coord__take_enter(d, "item", 1, "number");
        return coord__refuse(d, zero_text);
    }
    return r;
}

static int take_end(struct coord_decoder *d)
{
    if (d->c.p == d->c.end) {
        return 0;
    }
    d->field = NULL;
    return coord__refuse(d, "bytes behind its end");
}

/* Compare the items of the whole message with what it must have; the text points at its start. */
static int check_items(struct coord_decoder *d, const char *name, uint32_t items, uint32_t expected)
{
    if (items == expected) {
        return 0;
    }
    char what[96];
    d->c.p = d->start;
    d->field = NULL;
    (void)snprintf(what, sizeof(what), "%s is an array of %u items, not of %u", name, expected,
                   items);
    return coord__refuse(d, what);
}

/* The count of items and the first of a request. */
static int take_request_number(struct coord_decoder *d, uint32_t *ret_items, uint64_t *ret_number)
{
    int r = coord__take_array(d, ret_items);
    if (r < 0) {
        return r;
    }
    if (*ret_items < COORD_REQUEST_HEAD_ITEMS) {
        d->c.p = d->start;
        return coord__refuse(d, "a request has at least three items");
    }
    return take_number(d, "requests are numbered from 1", ret_number);
}

int coord_request_peek(const uint8_t *body, size_t len, uint64_t *ret_number, uint64_t *ret_op)
{
    struct coord_decoder d;
    uint64_t number;
    uint64_t op;
    uint32_t items;
    coord__decoder_init(&d, body, len, COORD_EBADREQUEST, NULL, 0);
    int r = take_request_number(&d, &items, &number);
    if (r == 0) {
        r = take_head(&d, 2, "operation", UINT64_MAX, &op);
    }
    if (r == 0) {
        *ret_number = number;
        *ret_op = op;
    }
    return r;
}

/* The operation of a request, which must be known. */
static int take_op(struct coord_decoder *d, enum coord_op *ret_op,
                   const struct coord_op_row **ret_row)
{
    const uint8_t *before = d->c.p;
    uint64_t op;
    int r = take_head(d, 2, "operation", UINT64_MAX, &op);
    if (r < 0) {
        return r;
    }
    *ret_row = coord__op_row(op);
    if (*ret_row == NULL) {
        d->c.p = before;
        coord__take_enter(d, "item", 2, "operation");
        return coord__refuse(d, "there is no such operation");
    }
    *ret_op = (enum coord_op)op;
    return 0;
}

int coord_request_decode_over(const uint8_t *body, size_t len, struct coord_request *q, char *why,
                              size_t why_bytes)
{
    struct coord_decoder d;
    const struct coord_op_row *row;
    uint32_t items;
    memset(q, 0, sizeof(*q));
    coord__decoder_init(&d, body, len, COORD_EBADREQUEST, why, why_bytes);
    int r = take_request_number(&d, &items, &q->number);
    if (r == 0) {
        r = take_op(&d, &q->op, &row);
    }
    if (r == 0) {
        r = take_head(&d, 3, "acked", UINT64_MAX, &q->acked);
    }
    if (r == 0) {
        r = check_items(&d, row->name, items, COORD_REQUEST_HEAD_ITEMS + row->args_count);
    }
    if (r == 0) {
        r = coord__take_fields(&d, "argument", row->args, row->args_count, q);
    }
    return r == 0 ? take_end(&d) : r;
}

int coord_request_decode(const uint8_t *body, size_t len, struct coord_request *ret_q, char *why,
                         size_t why_bytes)
{
    struct coord_request q;
    int r = coord_request_decode_over(body, len, &q, why, why_bytes);
    if (r == 0) {
        *ret_q = q;
    }
    return r;
}

int coord_reply_peek(const uint8_t *body, size_t len, uint64_t *ret_number, bool *ret_is_event)
{
    struct coord_decoder d;
    uint64_t number;
    uint32_t items;
    coord__decoder_init(&d, body, len, COORD_EPROTO, NULL, 0);
    int r = coord__take_array(&d, &items);
    if (r == 0) {
        r = take_head(&d, 1, "number", UINT64_MAX, &number);
    }
    if (r == 0) {
        *ret_number = number;
        *ret_is_event = number == 0;
    }
    return r;
}

/* The text of an error and, when there is more, its detail. */
static int take_error(struct coord_decoder *d, uint32_t items, struct coord_result *res)
{
    uint32_t all = coord__fields_count(coord__error_fields);
    res->has_no_quorum = items == COORD_REPLY_HEAD_ITEMS + all;
    uint32_t count = res->has_no_quorum ? all : COORD_ERROR_ITEMS_MIN;
    int r = check_items(d, "an error", items, COORD_REPLY_HEAD_ITEMS + count);
    if (r < 0) {
        return r;
    }
    return coord__take_fields(d, "detail", coord__error_fields, count, res);
}

static int take_result(struct coord_decoder *d, enum coord_op op, uint32_t items,
                       struct coord_result *res)
{
    const struct coord_op_row *row = coord__op_row(op);
    if (row == NULL) {
        d->field = NULL;
        return coord__refuse(d, "the result of no known operation");
    }
    int r = check_items(d, row->name, items, COORD_REPLY_HEAD_ITEMS + row->results_count);
    if (r < 0) {
        return r;
    }
    return coord__take_fields(d, "result", row->results, row->results_count, res);
}

int coord_result_decode(enum coord_op op, const uint8_t *body, size_t len,
                        struct coord_result *ret_res, char *why, size_t why_bytes)
{
    struct coord_decoder d;
    struct coord_result res = {0};
    uint64_t error;
    uint32_t items;
    coord__decoder_init(&d, body, len, COORD_EPROTO, why, why_bytes);
    int r = coord__take_array(&d, &items);
    if (r == 0) {
        r = take_number(&d, "an event is no reply", &res.number);
    }
    if (r == 0) {
        r = take_head(&d, 2, "error", INT32_MAX, &error);
    }
    if (r < 0) {
        return r;
    }
    res.error = -(int)error;
    coord__take_enter(&d, "item", 3, "receipt");
    r = coord__take_struct(&d, coord__receipt_fields, &res.receipt);
    if (r == 0) {
        r = res.error == 0 ? take_result(&d, op, items, &res) : take_error(&d, items, &res);
    }
    if (r == 0) {
        r = take_end(&d);
    }
    if (r == 0) {
        *ret_res = res;
    }
    return r;
}

int coord_event_decode(const uint8_t *body, size_t len, struct coord_event *ret_ev, char *why,
                       size_t why_bytes)
{
    struct coord_decoder d;
    struct coord_event ev = {0};
    uint64_t number;
    uint32_t items;
    coord__decoder_init(&d, body, len, COORD_EPROTO, why, why_bytes);
    int r = coord__take_array(&d, &items);
    if (r == 0) {
        r = check_items(&d, "an event", items, COORD_EVENT_ITEMS);
    }
    if (r == 0) {
        r = take_head(&d, 1, "number", 0, &number);
    }
    for (uint32_t i = 0; r == 0 && coord__event_fields[i].kind != COORD_FK_END; i++) {
        coord__take_enter(&d, "item", i + 2, coord__event_fields[i].name);
        r = coord__take_plain(&d, &coord__event_fields[i], (uint8_t *)&ev);
    }
    if (r == 0) {
        coord__take_enter(&d, "item", COORD_EVENT_ITEMS, "changes");
        r = coord__take_raw_list(&d, COORD_FK_END, &ev.changes_count, &ev.changes_raw);
    }
    if (r == 0) {
        r = take_end(&d);
    }
    if (r == 0) {
        *ret_ev = ev;
    }
    return r;
}

bool coord_last_word_is(const uint8_t *body, size_t len)
{
    struct coord_decoder d;
    struct coord_item third;
    uint64_t number;
    uint64_t second;
    uint32_t items;
    coord__decoder_init(&d, body, len, COORD_EPROTO, NULL, 0);
    return coord__take_array(&d, &items) == 0 && take_head(&d, 1, "number", 0, &number) == 0 &&
           take_head(&d, 2, "error", UINT64_MAX, &second) == 0 &&
           coord__cursor_header(&d.c, &third) == NULL && third.type == COORD_ITEM_ARRAY;
}

/* The error of a last word, never 0. */
static int take_last_error(struct coord_decoder *d, int *ret_error)
{
    const uint8_t *before = d->c.p;
    uint64_t error;
    int r = take_head(d, 2, "error", INT32_MAX, &error);
    if (r < 0) {
        return r;
    }
    if (error == 0) {
        d->c.p = before;
        coord__take_enter(d, "item", 2, "error");
        return coord__refuse(d, "a last word is an error");
    }
    *ret_error = -(int)error;
    return 0;
}

int coord_last_word_decode(const uint8_t *body, size_t len, struct coord_result *ret_res, char *why,
                           size_t why_bytes)
{
    struct coord_decoder d;
    struct coord_result res = {0};
    uint32_t items;
    coord__decoder_init(&d, body, len, COORD_EPROTO, why, why_bytes);
    int r = coord__take_array(&d, &items);
    if (r == 0) {
        r = check_items(&d, "a last word", items, COORD_REPLY_HEAD_ITEMS + COORD_ERROR_ITEMS_MIN);
    }
    if (r == 0) {
        r = take_head(&d, 1, "number", 0, &res.number);
    }
    if (r == 0) {
        r = take_last_error(&d, &res.error);
    }
    if (r == 0) {
        coord__take_enter(&d, "item", 3, "receipt");
        r = coord__take_struct(&d, coord__receipt_fields, &res.receipt);
    }
    if (r == 0) {
        r = coord__take_fields(&d, "detail", coord__error_fields, COORD_ERROR_ITEMS_MIN, &res);
    }
    if (r == 0) {
        r = take_end(&d);
    }
    if (r == 0) {
        *ret_res = res;
    }
    return r;
}
