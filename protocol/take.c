/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take.c: single values, arrays and lists of a message into structs, by the rows of ops.c; what
 * encode.c's put_ functions write, these read. The refusal texts are made here.
 *
 * Leaves to others: msgpack itself (cursor.c), lists and their items (take_list.c), the order and number of a
 * message's items (decode.c).
 * Thread: any.
 *
 * Invariants
 *   1. Nothing is allocated; byte values are borrowed from the body.
 *   2. A refusal leaves the cursor at the value that is wrong, for the offset in the text.
 *   3. Work is linear in the bytes of the body: each loop turn consumes at least one byte.
 */
#include "protocol/take.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void coord__decoder_init(struct coord_decoder *d, const uint8_t *body, size_t len, int error,
                         char *why, size_t why_bytes)
{
    assert(body != NULL || len == 0);
    d->c.p = body;
    d->c.end = len > 0 ? body + len : body;
    d->start = body;
    d->error = error;
    coord__take_enter(d, NULL, 0, NULL);
    d->why = why;
    d->why_bytes = why_bytes;
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
    const uint8_t *before = d->c.p;
    uint32_t count;
    int r = coord__take_array(d, &count);
    if (r < 0) {
        return r;
    }
    if (count != items) {
        char what[64];
        d->c.p = before;
        (void)snprintf(what, sizeof(what), "expected an array of %u, not of %u", items, count);
        return coord__refuse(d, what);
    }
    return 0;
}

/* The values kept in 32 bits. */
static int take_u32(struct coord_decoder *d, const struct coord_field *f, uint8_t *at)
{
    const uint8_t *before = d->c.p;
    uint64_t value;
    int r = coord__take_uint(d, f->kind == COORD_FK_ENUM ? f->limit : UINT32_MAX, &value);
    if (r < 0) {
        return r;
    }
    uint32_t u32 = (uint32_t)value;
    bool is_set = f->kind == COORD_FK_BITS || f->kind == COORD_FK_BIT;
    if (is_set && (u32 & ~f->limit) != 0) {
        d->c.p = before;
        return coord__refuse(d, "a bit that is not known is set");
    }
    if (f->kind == COORD_FK_BIT && (u32 == 0 || (u32 & (u32 - 1)) != 0)) {
        d->c.p = before;
        return coord__refuse(d, "expected exactly one bit");
    }
    memcpy(at, &u32, sizeof(u32));
    return 0;
}

static int take_bytes(struct coord_decoder *d, const struct coord_field *f, uint8_t *at)
{
    const uint8_t *before = d->c.p;
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
        d->c.p = before;
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

int coord__take_inner(struct coord_decoder *d, const struct coord_field *fields, void *base)
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
    const uint8_t *before = d->c.p;
    uint32_t count;
    int r = coord__take_array(d, &count);
    if (r < 0) {
        return r;
    }
    if (count > f->limit) {
        d->c.p = before;
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
            r = coord__take_inner(d, f->sub,
                                  base + f->offset + i * sizeof(struct coord_member_status));
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

/* --- rows of an operation ---------------------------------------------------------------------- */

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

/* A plain value in the form that nearly every one has. Return: false, with nothing moved or written, when it has another;
 * then coord__take_plain reads it, or says what is wrong with it. */
static bool take_quick(struct coord_cursor *c, const struct coord_field *f, uint8_t *base)
{
    uint8_t *at = base + f->offset;
    struct coord_bytes s;
    uint64_t value;
    uint32_t u32;
    int64_t i64;
    switch (f->kind) {
    case COORD_FK_U64:
        if (!coord__cursor_quick_uint(c, UINT64_MAX, &value)) {
            return false;
        }
        memcpy(at, &value, sizeof(value));
        return true;
    case COORD_FK_U32:
    case COORD_FK_ENUM:
        if (!coord__cursor_quick_uint(c, f->kind == COORD_FK_ENUM ? f->limit : UINT32_MAX,
                                      &value)) {
            return false;
        }
        u32 = (uint32_t)value;
        memcpy(at, &u32, sizeof(u32));
        return true;
    case COORD_FK_BITS:
        if (c->p == c->end || *c->p >= 0x80 || (*c->p & ~f->limit) != 0) {
            return false;
        }
        u32 = *c->p++;
        memcpy(at, &u32, sizeof(u32));
        return true;
    case COORD_FK_INT:
        if (c->p == c->end || (int8_t)*c->p < COORD_VERSION_ANY) {
            return false;
        }
        i64 = (int8_t)*c->p++;
        memcpy(at, &i64, sizeof(i64));
        return true;
    case COORD_FK_STR:
    case COORD_FK_BIN_OPT:
        if (!(f->kind == COORD_FK_STR ? coord__cursor_quick_str(c, &s)
                                      : coord__cursor_quick_bin(c, &s))) {
            return false;
        }
        /* Member by member, as it is read soon: a wider load has to wait for narrower stores. */
        memcpy(at + offsetof(struct coord_bytes, data), &s.data, sizeof(s.data));
        memcpy(at + offsetof(struct coord_bytes, len), &s.len, sizeof(s.len));
        return true;
    default:
        return false;
    }
}

/* The rows of an operation into struct coord_request or struct coord_result. */
int coord__take_fields(struct coord_decoder *d, const char *part, const struct coord_field *fields,
                       uint32_t count, void *base)
{
    uint8_t *at = base;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        const struct coord_field *f = &fields[i];
        if (take_quick(&d->c, f, at)) {
            continue;
        }
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
        case COORD_FK_SESSIONS:
            r = take_items(d, f, at);
            break;
        default:
            r = coord__take_plain(d, f, at);
            break;
        }
    }
    return r;
}
