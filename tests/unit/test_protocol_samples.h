/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_protocol_samples.h: messages for the tests of the codec, made from the codec's own rows, so
 * that a new operation is tested without a new line here. Values are zero, the largest, or drawn
 * from a seed. What is written from the rows is compared with docs/protocol.md elsewhere.
 */
#ifndef TEST_PROTOCOL_SAMPLES_H
#define TEST_PROTOCOL_SAMPLES_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "protocol/codec.h"

#define SAMPLE_ZERO   0 /* numbers 0, bytes absent, lists empty */
#define SAMPLE_MAX    1 /* numbers at their maximum, bytes present but empty, lists full */
#define SAMPLE_RANDOM 2 /* and above: seeds */
#define SAMPLES       8

static inline uint64_t sample_random(uint64_t *state)
{
    /* splitmix64: every seed gives a different, well spread sequence. */
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* A number of a random width, so that every msgpack form occurs. */
static inline uint64_t sample_number(uint64_t *state)
{
    return sample_random(state) >> (sample_random(state) % 64);
}

static inline struct coord_bytes sample_bytes(enum coord_field_kind kind, int variant,
                                              uint64_t *state)
{
    static uint8_t pool[70000];
    struct coord_bytes b = {NULL, 0};
    for (size_t i = 0; pool[1] == 0 && i < sizeof(pool); i++) {
        pool[i] = (uint8_t)('a' + i % 23);
    }
    if (variant == SAMPLE_ZERO) {
        return b;
    }
    b.data = pool;
    if (kind == COORD_FK_SECRET) {
        b.len = COORD_SECRET_BYTES;
    } else if (variant != SAMPLE_MAX) {
        static const uint32_t lengths[] = {1, 5, 31, 32, 40, 255, 256, 300};
        b.len = lengths[sample_random(state) % 8];
        b.data = pool + sample_random(state) % 23;
    }
    return b;
}

static inline uint32_t sample_u32(const struct coord_field *f, int variant, uint64_t *state)
{
    uint32_t random = (uint32_t)sample_number(state);
    bool zero = variant == SAMPLE_ZERO;
    bool max = variant == SAMPLE_MAX;
    switch (f->kind) {
    case COORD_FK_ENUM:
        return zero ? 0 : (max ? f->limit : random % (f->limit + 1));
    case COORD_FK_BITS:
        return zero ? 0 : (max ? f->limit : random & f->limit);
    case COORD_FK_BIT:
        return zero ? 1 : (max ? (f->limit + 1) / 2 : 2);
    default:
        return zero ? 0 : (max ? UINT32_MAX : random);
    }
}

static inline void sample_plain(const struct coord_field *f, uint8_t *base, int variant,
                                uint64_t *state)
{
    uint64_t u64 = sample_number(state);
    uint32_t u32 = sample_u32(f, variant, state);
    struct coord_bytes bytes;
    int64_t i64;
    bool b = variant == SAMPLE_MAX || (variant != SAMPLE_ZERO && (u64 & 1) != 0);
    switch (f->kind) {
    case COORD_FK_U64:
        u64 = variant == SAMPLE_ZERO ? 0 : (variant == SAMPLE_MAX ? UINT64_MAX : u64);
        memcpy(base + f->offset, &u64, sizeof(u64));
        break;
    case COORD_FK_INT:
        i64 = variant == SAMPLE_ZERO ? -1 : (variant == SAMPLE_MAX ? INT64_MAX : (int64_t)u32);
        memcpy(base + f->offset, &i64, sizeof(i64));
        break;
    case COORD_FK_DELTA:
        i64 = variant == SAMPLE_ZERO ? INT64_MIN
                                     : (variant == SAMPLE_MAX ? INT64_MAX : -(int64_t)u32);
        memcpy(base + f->offset, &i64, sizeof(i64));
        break;
    case COORD_FK_BOOL:
        memcpy(base + f->offset, &b, sizeof(b));
        break;
    case COORD_FK_U32:
    case COORD_FK_ENUM:
    case COORD_FK_BITS:
    case COORD_FK_BIT:
        memcpy(base + f->offset, &u32, sizeof(u32));
        break;
    default:
        bytes = sample_bytes(f->kind, variant, state);
        memcpy(base + f->offset, &bytes, sizeof(bytes));
        break;
    }
}

static inline uint32_t sample_count(const struct coord_field *f, uint8_t *base, int variant,
                                    uint64_t *state)
{
    uint32_t count = variant == SAMPLE_ZERO ? 0 : f->limit;
    if (variant >= SAMPLE_RANDOM) {
        count = (uint32_t)(sample_random(state) % (f->limit + 1));
    }
    memcpy(base + f->count_offset, &count, sizeof(count));
    return count;
}

/* Rows that are plain, IDS or MEMBERS; lists of a transaction are left empty (sample_items fills them). */
static inline void sample_flat(const struct coord_field *fields, void *at, int variant,
                               uint64_t *state)
{
    uint8_t *base = at;
    for (const struct coord_field *f = fields; f->kind != COORD_FK_END; f++) {
        uint32_t count = 0;
        if (f->kind == COORD_FK_IDS || f->kind == COORD_FK_MEMBERS) {
            count = sample_count(f, base, variant, state);
        } else if (f->kind < COORD_FK_IFS) {
            sample_plain(f, base, variant, state);
        }
        for (uint32_t i = 0; i < count; i++) {
            if (f->kind == COORD_FK_IDS) {
                uint32_t id = variant == SAMPLE_MAX ? UINT32_MAX : (uint32_t)sample_number(state);
                memcpy(base + f->offset + i * sizeof(id), &id, sizeof(id));
                continue;
            }
            uint8_t *member = base + f->offset + i * sizeof(struct coord_member_status);
            for (const struct coord_field *m = f->sub; m->kind != COORD_FK_END; m++) {
                sample_plain(m, member, variant, state);
            }
        }
    }
}

static inline struct coord_if sample_if(int variant, uint64_t *state)
{
    struct coord_if c;
    memset(&c, 0, sizeof(c));
    sample_flat(coord__if_fields, &c, variant, state);
    c.kind = c.kind == 0 ? COORD_WHEN_EXISTS : c.kind;
    return c;
}

/* An operation of a transaction: nothing but its arguments without the level. */
static inline struct coord_request sample_txn_op(enum coord_op op, int variant, uint64_t *state)
{
    struct coord_request q;
    memset(&q, 0, sizeof(q));
    sample_flat(coord__op_row(op)->args, &q, variant, state);
    q.op = op;
    q.level = COORD_LEVEL_LINEARIZABLE;
    q.level_arg = 0;
    return q;
}

static inline struct coord_result sample_txn_result(enum coord_op op, int variant, uint64_t *state)
{
    struct coord_result res;
    memset(&res, 0, sizeof(res));
    res.error = variant == SAMPLE_ZERO ? COORD_EABORTED : 0;
    for (const struct coord_field *f = coord__op_row(op)->results;
         res.error == 0 && f->kind != COORD_FK_END; f++) {
        if (f->kind == COORD_FK_STRUCT) {
            sample_flat(f->sub, (uint8_t *)&res + f->offset, variant, state);
        } else {
            sample_plain(f, (uint8_t *)&res, variant, state);
        }
    }
    return res;
}

/* A list of a transaction with every operation that can stand in one. Its bytes live until the program
 * ends: samples are copied around. */
static inline struct coord_items sample_items(enum coord_field_kind list, int variant,
                                              uint64_t *state)
{
    struct coord_items items = {0, {NULL, 0}};
    struct coord_buf *raw = NULL;
    for (int i = 1; i < COORD_OP_END && (variant != SAMPLE_ZERO || i < 8); i++) {
        enum coord_op op = (enum coord_op)i;
        int r = COORD_EINVAL;
        if (list == COORD_FK_SESSIONS) {
            struct coord_session_info s = {0};
            sample_flat(coord__session_fields, &s, variant, state);
            r = coord_session_encode(&s, &raw);
        } else if (list == COORD_FK_IFS) {
            struct coord_if c = sample_if(variant, state);
            r = coord_if_encode(&c, &raw);
        } else if (coord_op_in_txn(op) && list == COORD_FK_TXN_OPS) {
            struct coord_request q = sample_txn_op(op, variant, state);
            r = coord_txn_op_encode(&q, &raw);
        } else if (coord_op_in_txn(op)) {
            struct coord_result res = sample_txn_result(op, variant, state);
            r = coord_txn_result_encode(op, &res, &raw);
        }
        items.count += r == 0;
    }
    static struct coord_buf *kept[4096];
    static size_t kept_count;
    ck_assert_uint_lt(kept_count, sizeof(kept) / sizeof(kept[0]));
    kept[kept_count++] = raw;
    items.raw = (struct coord_bytes){raw->data, raw->len};
    return items;
}

static inline void sample_lists(const struct coord_field *fields, void *at, int variant,
                                uint64_t *state)
{
    for (const struct coord_field *f = fields; f->kind != COORD_FK_END; f++) {
        if (f->kind >= COORD_FK_IFS) {
            struct coord_items items = sample_items(f->kind, variant, state);
            memcpy((uint8_t *)at + f->offset, &items.raw, sizeof(items.raw));
            memcpy((uint8_t *)at + f->count_offset, &items.count, sizeof(items.count));
        }
    }
}

/* Every combination of what an entry may carry. Ownership: static, until the next call. */
static inline struct coord_list_entry *sample_entries(int variant, uint64_t *state,
                                                      uint32_t *ret_count)
{
    static struct coord_list_entry entries[40];
    *ret_count = variant == SAMPLE_ZERO ? 0 : (variant == SAMPLE_MAX ? 40 : 5);
    for (uint32_t i = 0; i < *ret_count; i++) {
        struct coord_list_entry *e = &entries[i];
        memset(e, 0, sizeof(*e));
        e->name = sample_bytes(COORD_FK_STR, variant, state);
        e->has_stat = (i & 1) != 0;
        e->has_data = (i & 2) != 0;
        if (e->has_stat) {
            sample_flat(coord__stat_fields, &e->stat, variant, state);
        }
        if (e->has_data && (i & 4) == 0) {
            e->data = sample_bytes(COORD_FK_BIN_OPT, variant, state);
        }
    }
    return entries;
}

static inline struct coord_request sample_request(enum coord_op op, int variant)
{
    uint64_t state = (uint64_t)variant * 1000 + (uint64_t)op;
    struct coord_request q;
    memset(&q, 0, sizeof(q));
    q.op = op;
    q.number = variant == SAMPLE_ZERO ? 1 : UINT64_MAX;
    q.acked = variant == SAMPLE_ZERO ? 0 : UINT64_MAX - 1;
    if (variant >= SAMPLE_RANDOM) {
        q.number = sample_number(&state) | 1;
        q.acked = sample_number(&state);
    }
    sample_flat(coord__op_row(op)->args, &q, variant, &state);
    sample_lists(coord__op_row(op)->args, &q, variant, &state);
    return q;
}

/* The result of a success. */
static inline struct coord_result sample_result(enum coord_op op, int variant)
{
    uint64_t state = (uint64_t)variant * 1000 + (uint64_t)op + 500;
    struct coord_result res;
    memset(&res, 0, sizeof(res));
    res.number = variant == SAMPLE_ZERO ? 1 : (sample_number(&state) | 1);
    sample_flat(coord__receipt_fields, &res.receipt, variant, &state);
    for (const struct coord_field *f = coord__op_row(op)->results; f->kind != COORD_FK_END; f++) {
        if (f->kind == COORD_FK_STRUCT) {
            sample_flat(f->sub, (uint8_t *)&res + f->offset, variant, &state);
        } else if (f->kind == COORD_FK_ENTRIES) {
            res.entries = sample_entries(variant, &state, &res.entries_count);
        } else if (f->kind < COORD_FK_IFS) {
            sample_plain(f, (uint8_t *)&res, variant, &state);
        }
    }
    sample_lists(coord__op_row(op)->results, &res, variant, &state);
    return res;
}

static inline struct coord_result sample_error(int error, bool detail, int variant)
{
    uint64_t state = (uint64_t)variant + 77;
    struct coord_result res;
    memset(&res, 0, sizeof(res));
    sample_flat(coord__error_fields, &res, variant, &state);
    sample_flat(coord__receipt_fields, &res.receipt, variant, &state);
    res.number = 7;
    res.error = error;
    res.has_no_quorum = detail;
    return res;
}

/* Every combination of what a change may carry. Ownership: static, until the next call. */
static inline struct coord_event sample_event(int variant)
{
    static struct coord_change changes[24];
    uint64_t state = (uint64_t)variant + 99;
    struct coord_event ev;
    memset(&ev, 0, sizeof(ev));
    sample_flat(coord__event_fields, &ev, variant, &state);
    ev.changes = changes;
    ev.changes_count = variant == SAMPLE_ZERO ? 0 : (variant == SAMPLE_MAX ? 24 : 7);
    for (uint32_t i = 0; i < ev.changes_count; i++) {
        struct coord_change *ch = &changes[i];
        memset(ch, 0, sizeof(*ch));
        sample_flat(coord__change_fields, ch, variant, &state);
        ch->has_value = (i & 1) != 0;
        ch->has_previous = (i & 2) != 0;
        if (ch->has_value && (i & 4) == 0) {
            ch->value = sample_bytes(COORD_FK_BIN_OPT, variant, &state);
        }
        if (ch->has_previous && (i & 8) == 0) {
            ch->previous = sample_bytes(COORD_FK_BIN_OPT, variant, &state);
        }
    }
    return ev;
}

static inline struct coord_buf *sample_encode_request(enum coord_op op, int variant)
{
    struct coord_buf *b = NULL;
    struct coord_request q = sample_request(op, variant);
    ck_assert_int_eq(coord_request_encode(&q, &b), 0);
    return b;
}

static inline struct coord_buf *sample_encode_result(enum coord_op op, int variant)
{
    struct coord_buf *b = NULL;
    struct coord_result res = sample_result(op, variant);
    ck_assert_int_eq(coord_result_encode(op, &res, &b), 0);
    return b;
}

/* A copy without a byte to spare, so that the sanitizer sees reads behind the end. Caller frees. */
static inline uint8_t *sample_exact(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    ck_assert_ptr_nonnull(copy);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

#endif
