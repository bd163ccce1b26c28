/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_protocol.c: goal: what is encoded is decoded to the same values, for every operation, error
 * and event, at the extremes too; the encoding is canonical; failures leave outputs alone.
 * Method: round trips of samples made from the codec's rows, and byte strings written by hand.
 */
#include <ctype.h>
#include <strings.h>
#include "tests/unit/test_protocol_samples.h"

static void bytes_equal(struct coord_bytes a, struct coord_bytes b, bool optional, const char *name)
{
    ck_assert_msg(a.len == b.len, "%s: %u bytes became %u", name, a.len, b.len);
    ck_assert_msg(!optional || (a.data == NULL) == (b.data == NULL), "%s: absent or not", name);
    ck_assert_msg(a.len == 0 || memcmp(a.data, b.data, a.len) == 0, "%s: other bytes", name);
}

static void plain_equal(const struct coord_field *f, const uint8_t *a, const uint8_t *b)
{
    struct coord_bytes left;
    struct coord_bytes right;
    size_t size = sizeof(uint32_t);
    if (f->kind == COORD_FK_U64 || f->kind == COORD_FK_INT || f->kind == COORD_FK_DELTA) {
        size = sizeof(uint64_t);
    } else if (f->kind == COORD_FK_BOOL) {
        size = sizeof(bool);
    } else if (f->kind >= COORD_FK_STR) {
        ck_assert(f->kind <= COORD_FK_SECRET || f->kind >= COORD_FK_IFS); /* items: their bytes */
        memcpy(&left, a + f->offset, sizeof(left));
        memcpy(&right, b + f->offset, sizeof(right));
        bytes_equal(left, right, f->kind > COORD_FK_STR && f->kind <= COORD_FK_SECRET, f->name);
        return;
    }
    ck_assert_msg(memcmp(a + f->offset, b + f->offset, size) == 0, "%s differs", f->name);
}

/* Rows that are plain, IDS or MEMBERS. */
static void flat_equal(const struct coord_field *fields, const void *a, const void *b)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    for (const struct coord_field *f = fields; f->kind != COORD_FK_END; f++) {
        if (f->kind != COORD_FK_IDS && f->kind != COORD_FK_MEMBERS) {
            plain_equal(f, left, right);
            continue;
        }
        uint32_t count;
        ck_assert_mem_eq(left + f->count_offset, right + f->count_offset, sizeof(count));
        memcpy(&count, left + f->count_offset, sizeof(count));
        if (f->kind == COORD_FK_IDS) {
            ck_assert_mem_eq(left + f->offset, right + f->offset, count * sizeof(uint32_t));
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            size_t at = f->offset + i * sizeof(struct coord_member_status);
            for (const struct coord_field *m = f->sub; m->kind != COORD_FK_END; m++) {
                plain_equal(m, left + at, right + at);
            }
        }
    }
}

static void entries_equal(const struct coord_result *sent, const struct coord_result *got)
{
    struct coord_bytes cursor = got->entries_raw;
    struct coord_list_entry e;
    ck_assert_uint_eq(sent->entries_count, got->entries_count);
    for (uint32_t i = 0; i < sent->entries_count; i++) {
        ck_assert_int_eq(coord_list_next(&cursor, &e), 1);
        bytes_equal(sent->entries[i].name, e.name, false, "name");
        ck_assert_int_eq(sent->entries[i].has_stat, e.has_stat);
        ck_assert_int_eq(sent->entries[i].has_data, e.has_data);
        flat_equal(coord__stat_fields, &sent->entries[i].stat, &e.stat);
        bytes_equal(sent->entries[i].data, e.data, true, "data");
    }
    ck_assert_int_eq(coord_list_next(&cursor, &e), 0);
    ck_assert_int_eq(coord_list_next(&cursor, &e), 0);
}

/* The length in front is right, the body is one msgpack value within the limits on depth. */
static void check_frame(const struct coord_buf *b)
{
    ck_assert_int_eq(coord_frame_size(b->data, b->len, UINT32_MAX), b->len);
    ck_assert_int_eq(coord_msgpack_scan(b->data + 4, b->len - 4, COORD_MSGPACK_DEPTH_MAX, 10000),
                     0);
}

START_TEST(requests_round_trip)
{
    enum coord_op op = (enum coord_op)_i;
    for (int variant = 0; variant < SAMPLES; variant++) {
        struct coord_request sent = sample_request(op, variant);
        struct coord_buf *b = sample_encode_request(op, variant);
        struct coord_request got;
        uint64_t number = 0;
        uint64_t peeked = 0;
        char why[200] = "";
        check_frame(b);
        int r = coord_request_decode(b->data + 4, b->len - 4, &got, why, sizeof(why));
        ck_assert_msg(r == 0, "%s %d: %s", coord_op_name(op), variant, why);
        ck_assert_uint_eq(got.number, sent.number);
        ck_assert_uint_eq(got.acked, sent.acked);
        ck_assert_int_eq(got.op, op);
        flat_equal(coord__op_row(op)->args, &sent, &got);
        ck_assert_int_eq(coord_request_peek(b->data + 4, b->len - 4, &number, &peeked), 0);
        ck_assert_uint_eq(number, sent.number);
        ck_assert_uint_eq(peeked, (uint64_t)op);
        coord_buf_unref(b);
    }
}
END_TEST

START_TEST(results_round_trip)
{
    enum coord_op op = (enum coord_op)_i;
    for (int variant = 0; variant < SAMPLES; variant++) {
        struct coord_result sent = sample_result(op, variant);
        struct coord_buf *b = sample_encode_result(op, variant);
        struct coord_result got;
        uint64_t number = 0;
        bool is_event = true;
        char why[200] = "";
        check_frame(b);
        int r = coord_result_decode(op, b->data + 4, b->len - 4, &got, why, sizeof(why));
        ck_assert_msg(r == 0, "%s %d: %s", coord_op_name(op), variant, why);
        ck_assert_uint_eq(got.number, sent.number);
        ck_assert_int_eq(got.error, 0);
        flat_equal(coord__receipt_fields, &sent.receipt, &got.receipt);
        for (const struct coord_field *f = coord__op_row(op)->results; f->kind != COORD_FK_END;
             f++) {
            if (f->kind == COORD_FK_STRUCT) {
                flat_equal(f->sub, (uint8_t *)&sent + f->offset, (uint8_t *)&got + f->offset);
            } else if (f->kind == COORD_FK_ENTRIES) {
                entries_equal(&sent, &got);
            } else {
                plain_equal(f, (uint8_t *)&sent, (uint8_t *)&got);
            }
        }
        ck_assert_int_eq(coord_reply_peek(b->data + 4, b->len - 4, &number, &is_event), 0);
        ck_assert_uint_eq(number, sent.number);
        ck_assert(!is_event);
        coord_buf_unref(b);
    }
}
END_TEST

static const int all_errors[] = {
#define X(name, number, cls, text) COORD_##name,
    COORD_ERRORS(X)
#undef X
        - 1000000,
    -INT32_MAX,
};
#define ALL_ERRORS (int)(sizeof(all_errors) / sizeof(all_errors[0]))

START_TEST(errors_round_trip)
{
    for (int variant = 0; variant < SAMPLES; variant++) {
        bool detail = variant % 2 == 1 || variant == 4;
        struct coord_result sent = sample_error(all_errors[_i], detail, variant);
        struct coord_buf *b = NULL;
        struct coord_result got;
        char why[200] = "";
        /* An unknown operation can be answered too: an error looks the same for all. */
        enum coord_op op = variant == 2 ? (enum coord_op)4711 : COORD_OP_SET;
        ck_assert_int_eq(coord_result_encode(op, &sent, &b), 0);
        check_frame(b);
        int r = coord_result_decode(op, b->data + 4, b->len - 4, &got, why, sizeof(why));
        ck_assert_msg(r == 0, "%s", why);
        ck_assert_int_eq(got.error, all_errors[_i]);
        ck_assert_int_eq(got.has_no_quorum, detail);
        bytes_equal(sent.text, got.text, true, "text");
        if (detail) {
            flat_equal(coord__error_fields, &sent, &got);
        }
        coord_buf_unref(b);
    }
}
END_TEST

START_TEST(events_round_trip)
{
    struct coord_event sent = sample_event(_i);
    struct coord_buf *b = NULL;
    struct coord_event got;
    struct coord_change ch;
    uint64_t number = 1;
    bool is_event = false;
    char why[200] = "";
    ck_assert_int_eq(coord_event_encode(&sent, &b), 0);
    check_frame(b);
    int r = coord_event_decode(b->data + 4, b->len - 4, &got, why, sizeof(why));
    ck_assert_msg(r == 0, "%s", why);
    flat_equal(coord__event_fields, &sent, &got);
    ck_assert_uint_eq(got.changes_count, sent.changes_count);
    struct coord_bytes cursor = got.changes_raw;
    for (uint32_t i = 0; i < sent.changes_count; i++) {
        ck_assert_int_eq(coord_change_next(&cursor, &ch), 1);
        flat_equal(coord__change_fields, &sent.changes[i], &ch);
        ck_assert_int_eq(ch.has_value, sent.changes[i].has_value);
        ck_assert_int_eq(ch.has_previous, sent.changes[i].has_previous);
        bytes_equal(sent.changes[i].value, ch.value, true, "value");
        bytes_equal(sent.changes[i].previous, ch.previous, true, "previous");
    }
    ck_assert_int_eq(coord_change_next(&cursor, &ch), 0);
    ck_assert_int_eq(coord_reply_peek(b->data + 4, b->len - 4, &number, &is_event), 0);
    ck_assert_uint_eq(number, 0);
    ck_assert(is_event);
    coord_buf_unref(b);
}
END_TEST

/* Only an error without a number and without detail is a last word. */
START_TEST(last_word_is_told_from_the_rest)
{
    struct coord_result errors[] = {{.error = COORD_EMOVED},
                                    {.number = 1, .error = COORD_EMOVED},
                                    {.error = 0},
                                    {.error = COORD_ENOQUORUM, .has_no_quorum = true}};
    static const bool is[] = {true, false, true, true};
    static const int decoded[] = {0, COORD_EPROTO, COORD_EPROTO, COORD_EPROTO};
    struct coord_result got;
    for (size_t i = 0; i < 4; i++) {
        struct coord_buf *b = NULL;
        ck_assert_int_eq(coord_result_encode(COORD_OP_UNWATCH, &errors[i], &b), 0);
        ck_assert_int_eq(coord_last_word_is(b->data + 4, b->len - 4), is[i]);
        ck_assert_int_eq(coord_last_word_decode(b->data + 4, b->len - 4, &got, NULL, 0),
                         decoded[i]);
        for (size_t len = 0; len < b->len - 4; len++) {
            uint8_t *cut = sample_exact(b->data + 4, len);
            (void)coord_last_word_is(cut, len);
            ck_assert_int_eq(coord_last_word_decode(cut, len, &got, NULL, 0), COORD_EPROTO);
            free(cut);
        }
        coord_buf_unref(b);
    }
    struct coord_event ev = {.watch = 1, .revision = 2, .state = COORD_EVENT_PROGRESS};
    struct coord_buf *b = NULL;
    ck_assert_int_eq(coord_event_encode(&ev, &b), 0);
    ck_assert(!coord_last_word_is(b->data + 4, b->len - 4));
    coord_buf_unref(b);
    static const uint8_t zero[] = {0x94, 0x00, 0x00, 0x96, 0, 0, 0, 0, 0, 0, 0xc0};
    char why[100];
    ck_assert(coord_last_word_is(zero, sizeof(zero)));
    ck_assert_int_eq(coord_last_word_decode(zero, sizeof(zero), &got, why, sizeof(why)),
                     COORD_EPROTO);
    ck_assert_ptr_nonnull(strstr(why, "a last word is an error"));
}
END_TEST

/* A stored body joined with a head is byte for byte the reply encoded at once. */
static void join_equals(enum coord_op op, const struct coord_result *res)
{
    struct coord_buf *whole = NULL;
    struct coord_buf *body = NULL;
    struct coord_buf *joined = NULL;
    ck_assert_int_eq(coord_result_encode(op, res, &whole), 0);
    ck_assert_int_eq(coord_body_encode(op, res, &body), 0);
    ck_assert_int_eq(coord_msgpack_scan(body->data, body->len, 4, 10000), 0);
    struct coord_bytes stored = {body->data, body->len};
    ck_assert_int_eq(coord_reply_join(res->number, res->error, &res->receipt, stored, &joined), 0);
    ck_assert_uint_eq(joined->len, whole->len);
    ck_assert_mem_eq(joined->data, whole->data, whole->len);
    coord_buf_unref(whole);
    coord_buf_unref(body);
    coord_buf_unref(joined);
}

START_TEST(body_and_join_make_the_reply)
{
    for (int variant = 0; variant < SAMPLES; variant++) {
        struct coord_result res = sample_result((enum coord_op)_i, variant);
        join_equals((enum coord_op)_i, &res);
        res = sample_error(COORD_EINDOUBT, variant % 2 == 0, variant);
        join_equals((enum coord_op)_i, &res);
    }
}
END_TEST

/* Every kind of item of a transaction, through the walkers. */
START_TEST(transaction_items_round_trip)
{
    uint64_t state = 5;
    for (int variant = 0; variant < SAMPLES; variant++) {
        for (int i = 1; i < COORD_OP_END; i++) {
            enum coord_op op = (enum coord_op)i;
            struct coord_buf *b = NULL;
            struct coord_if sent_if = sample_if(variant, &state);
            struct coord_if got_if;
            ck_assert_int_eq(coord_if_encode(&sent_if, &b), 0);
            struct coord_bytes cursor = {b->data, b->len};
            ck_assert_int_eq(coord_if_next(&cursor, &got_if), 1);
            flat_equal(coord__if_fields, &sent_if, &got_if);
            ck_assert_int_eq(coord_if_next(&cursor, &got_if), 0);
            struct coord_request q = {.op = op};
            struct coord_result res = {0};
            b->len = 0;
            if (!coord_op_in_txn(op)) {
                ck_assert_int_eq(coord_txn_op_encode(&q, &b), COORD_EINVAL);
                ck_assert_int_eq(coord_txn_result_encode(op, &res, &b), COORD_EINVAL);
                ck_assert_uint_eq(b->len, 0);
                coord_buf_unref(b);
                continue;
            }
            q = sample_txn_op(op, variant, &state);
            res = sample_txn_result(op, variant, &state);
            struct coord_request got_q;
            struct coord_result got_res;
            enum coord_op got_op;
            ck_assert_int_eq(coord_txn_op_encode(&q, &b), 0);
            cursor = (struct coord_bytes){b->data, b->len};
            ck_assert_int_eq(coord_txn_op_next(&cursor, &got_q), 1);
            ck_assert_int_eq(got_q.op, op);
            flat_equal(coord__op_row(op)->args, &q, &got_q);
            ck_assert_int_eq(coord_txn_op_next(&cursor, &got_q), 0);
            b->len = 0;
            ck_assert_int_eq(coord_txn_result_encode(op, &res, &b), 0);
            cursor = (struct coord_bytes){b->data, b->len};
            ck_assert_int_eq(coord_txn_result_next(&cursor, &got_op, &got_res), 1);
            ck_assert_int_eq(got_op, op);
            ck_assert_int_eq(got_res.error, res.error);
            ck_assert_int_eq(coord_txn_result_next(&cursor, &got_op, &got_res), 0);
            coord_buf_unref(b);
        }
    }
}
END_TEST

START_TEST(join_of_odd_bodies)
{
    static const uint8_t no_array[] = {0x81, 0x01, 0x02};
    static const uint8_t bomb[] = {0xdd, 0xff, 0xff, 0xff, 0xff};
    const struct coord_receipt receipt = {.member = 3, .term = 9};
    struct coord_bytes none = {NULL, 0};
    struct coord_buf *b = NULL;
    struct coord_result got;
    ck_assert_int_eq(coord_reply_join(5, COORD_EBUSY, &receipt, none, &b), 0);
    ck_assert_int_eq(coord_result_decode(COORD_OP_SET, b->data + 4, b->len - 4, &got, NULL, 0), 0);
    ck_assert_int_eq(got.error, COORD_EBUSY);
    ck_assert_ptr_null(got.text.data);
    b->len = 0;
    ck_assert_int_eq(coord_reply_join(5, 0, &receipt, none, &b), 0);
    ck_assert_int_eq(coord_result_decode(COORD_OP_PING, b->data + 4, b->len - 4, &got, NULL, 0), 0);
    ck_assert_uint_eq(got.receipt.term, 9);
    uint32_t len = b->len;
    struct coord_bytes bad = {no_array, sizeof(no_array)};
    ck_assert_int_eq(coord_reply_join(5, 0, &receipt, bad, &b), COORD_EINVAL);
    bad = (struct coord_bytes){bomb, sizeof(bomb)};
    ck_assert_int_eq(coord_reply_join(5, 0, &receipt, bad, &b), COORD_EINVAL);
    ck_assert_uint_eq(b->len, len);
    coord_buf_unref(b);
}
END_TEST

START_TEST(messages_append)
{
    struct coord_buf *b = NULL;
    for (int op = 1; op < COORD_OP_END; op++) {
        struct coord_request q = sample_request((enum coord_op)op, 3);
        ck_assert_int_eq(coord_request_encode(&q, &b), 0);
    }
    const uint8_t *p = b->data;
    const uint8_t *end = b->data + b->len;
    for (int op = 1; op < COORD_OP_END; op++) {
        struct coord_request q;
        int64_t size = coord_frame_size(p, (size_t)(end - p), 1 << 22);
        ck_assert_int_gt(size, 4);
        ck_assert_int_eq(coord_request_decode(p + 4, (size_t)size - 4, &q, NULL, 0), 0);
        ck_assert_int_eq((int)q.op, op);
        p += size;
    }
    ck_assert_ptr_eq(p, end);
    coord_buf_unref(b);
}
END_TEST

START_TEST(failed_encoding_changes_nothing)
{
    struct coord_buf *b = coord_buf_copy("before", 6);
    struct coord_buf *none = NULL;
    struct coord_request q = sample_request(COORD_OP_SET, 3);
    /* Too long for any buffer: refused before a byte is read. */
    q.data = (struct coord_bytes){(const uint8_t *)"x", UINT32_MAX};
    ck_assert_int_eq(coord_request_encode(&q, &b), COORD_ENOMEM);
    ck_assert_int_eq(coord_request_encode(&q, &none), COORD_ENOMEM);
    ck_assert_ptr_null(none);
    /* Found out in the middle of the message. */
    q = sample_request(COORD_OP_PARTITION, SAMPLE_MAX);
    q.members_count = COORD_MEMBERS_MAX + 1;
    ck_assert_int_eq(coord_request_encode(&q, &b), COORD_EINVAL);
    ck_assert_int_eq(coord_request_encode(&q, &none), COORD_EINVAL);
    ck_assert_ptr_null(none);
    q.op = COORD_OP_END;
    ck_assert_int_eq(coord_request_encode(&q, &b), COORD_EINVAL);
    q.op = COORD_OP_EVENT;
    ck_assert_int_eq(coord_request_encode(&q, &b), COORD_EINVAL);
    struct coord_result res = {.number = 1};
    ck_assert_int_eq(coord_result_encode(COORD_OP_END, &res, &b), COORD_EINVAL);
    ck_assert_int_eq(coord_body_encode(COORD_OP_EVENT, &res, &b), COORD_EINVAL);
    ck_assert_uint_eq(b->len, 6);
    ck_assert_mem_eq(b->data, "before", 6);
    coord_buf_unref(b);
}
END_TEST

START_TEST(failed_decoding_changes_nothing)
{
    static const uint8_t bad[] = {0x93, 0x01, 0x0c, 0xc0};
    struct coord_request q;
    struct coord_request untouched;
    struct coord_result res;
    struct coord_result res_untouched;
    memset(&q, 0x5a, sizeof(q));
    memset(&untouched, 0x5a, sizeof(untouched));
    memset(&res, 0x5a, sizeof(res));
    memset(&res_untouched, 0x5a, sizeof(res_untouched));
    ck_assert_int_eq(coord_request_decode(bad, sizeof(bad), &q, NULL, 0), COORD_EBADREQUEST);
    ck_assert_mem_eq(&q, &untouched, sizeof(q));
    ck_assert_int_eq(coord_result_decode(COORD_OP_GET, bad, sizeof(bad), &res, NULL, 0),
                     COORD_EPROTO);
    ck_assert_mem_eq(&res, &res_untouched, sizeof(res));
}
END_TEST

START_TEST(numbers_take_the_smallest_form)
{
    static const struct {
        uint64_t value;
        uint32_t bytes;
    } rows[] = {
        {1, 1},     {127, 1},   {128, 2},        {255, 2},        {256, 3},
        {65535, 3}, {65536, 5}, {UINT32_MAX, 5}, {1ull << 32, 9}, {UINT64_MAX, 9},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct coord_buf *b = NULL;
        struct coord_request q = {.op = COORD_OP_SYNC, .number = rows[i].value};
        ck_assert_int_eq(coord_request_encode(&q, &b), 0);
        /* length, array, number, operation, acked */
        ck_assert_uint_eq(b->len, 4 + 1 + rows[i].bytes + 1 + 1);
        coord_buf_unref(b);
    }
}
END_TEST

START_TEST(byte_lengths_take_the_smallest_form)
{
    static const struct {
        uint32_t len;
        uint32_t str_head;
        uint32_t bin_head;
    } rows[] = {
        {0, 1, 2}, {31, 1, 2}, {32, 2, 2}, {255, 2, 2}, {256, 3, 3}, {65535, 3, 3}, {65536, 5, 5},
    };
    static uint8_t bytes[65536];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct coord_buf *b = NULL;
        struct coord_request got;
        struct coord_request q = {.op = COORD_OP_SET, .number = 1, .expect_version = -1};
        q.path = (struct coord_bytes){bytes, rows[i].len};
        q.data = q.path;
        ck_assert_int_eq(coord_request_encode(&q, &b), 0);
        ck_assert_uint_eq(b->len,
                          4 + 4 + 2 * rows[i].len + rows[i].str_head + rows[i].bin_head + 3);
        ck_assert_int_eq(coord_request_decode(b->data + 4, b->len - 4, &got, NULL, 0), 0);
        ck_assert_uint_eq(got.path.len, rows[i].len);
        ck_assert_uint_eq(got.data.len, rows[i].len);
        coord_buf_unref(b);
    }
}
END_TEST

START_TEST(longer_forms_are_understood)
{
    /* [1, 7, 0, "/a", bin "x", -1, 2, 3] as an encoder that never shrinks would write it. */
    static const uint8_t body[] = {
        0xdd, 0,    0,    0,    8,                            /* array32 */
        0xcf, 0,    0,    0,    0,    0,    0,    0,    1,    /* uint64 */
        0xd2, 0,    0,    0,    7,                            /* int32 */
        0xcc, 0,                                              /* uint8 */
        0xdb, 0,    0,    0,    2,    '/',  'a',              /* str32 */
        0xc6, 0,    0,    0,    1,    'x',                    /* bin32 */
        0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* int64 */
        0xd1, 0,    2,                                        /* int16 */
        0xcd, 0,    3,                                        /* uint16 */
    };
    struct coord_request q;
    char why[200] = "";
    int r = coord_request_decode(body, sizeof(body), &q, why, sizeof(why));
    ck_assert_msg(r == 0, "%s", why);
    ck_assert_int_eq(q.op, COORD_OP_SET);
    ck_assert_uint_eq(q.number, 1);
    ck_assert_mem_eq(q.path.data, "/a", 2);
    ck_assert_uint_eq(q.data.len, 1);
    ck_assert_int_eq(q.expect_version, -1);
    ck_assert_uint_eq(q.expect_modified, 2);
    ck_assert_uint_eq(q.expect_created, 3);
}
END_TEST

/* Beside PINGs no frame is as short as those, once it was made loud; it says the same, and what stands before it stays. */
START_TEST(short_requests_can_be_made_loud)
{
    enum coord_op op = (enum coord_op)_i;
    static const uint64_t numbers[] = {1, 200, 40000, 70000, UINT32_MAX, UINT64_MAX};
    for (size_t n = 0; n < 6; n++) {
        for (int variant = 0; variant < SAMPLES; variant++) {
            struct coord_request q = sample_request(op, variant);
            struct coord_request got;
            struct coord_buf *b = coord_buf_copy("before", 6);
            struct coord_buf *short_one = NULL;
            struct coord_buf *again = NULL;
            char why[200] = "";
            q.number = numbers[n];
            q.acked = numbers[n] - 1;
            ck_assert_int_eq(coord_request_encode(&q, &short_one), 0);
            ck_assert_int_eq(coord_request_encode(&q, &b), 0);
            ck_assert_int_eq(coord_request_loud(&q, 6, &b), 0);
            ck_assert_mem_eq(b->data, "before", 6);
            uint32_t len = b->len - 6;
            if (op == COORD_OP_PING || short_one->len >= COORD_LOUD_BYTES) {
                ck_assert_uint_eq(len, short_one->len);
                ck_assert_mem_eq(b->data + 6, short_one->data, len);
            } else {
                ck_assert_uint_ge(len, COORD_LOUD_BYTES);
            }
            ck_assert_int_eq(coord_frame_size(b->data + 6, len, UINT32_MAX), len);
            int r = coord_request_decode(b->data + 10, len - 4, &got, why, sizeof(why));
            ck_assert_msg(r == 0, "%s %d: %s", coord_op_name(op), variant, why);
            ck_assert_int_eq(coord_request_encode(&got, &again), 0);
            ck_assert_uint_eq(again->len, short_one->len);
            ck_assert_mem_eq(again->data, short_one->data, again->len);
            coord_buf_unref(b);
            coord_buf_unref(short_one);
            coord_buf_unref(again);
        }
    }
}
END_TEST

/* With numbers that fit 32 bits and an hour until the next one. */
START_TEST(pings_are_not_loud)
{
    struct coord_request q = {
        .op = COORD_OP_PING, .number = UINT32_MAX, .acked = UINT32_MAX, .level_arg = 3600 * 1000};
    struct coord_buf *b = NULL;
    ck_assert_int_eq(coord_request_encode(&q, &b), 0);
    ck_assert_uint_lt(b->len, COORD_LOUD_BYTES);
    coord_buf_unref(b);
}
END_TEST

START_TEST(absent_is_not_empty)
{
    struct coord_request q = {.op = COORD_OP_SET, .number = 1};
    struct coord_request got;
    struct coord_buf *b = NULL;
    q.path = (struct coord_bytes){(const uint8_t *)"/a", 2};
    ck_assert_int_eq(coord_request_encode(&q, &b), 0);
    ck_assert_int_eq(coord_request_decode(b->data + 4, b->len - 4, &got, NULL, 0), 0);
    ck_assert_ptr_null(got.data.data);
    b->len = 0;
    q.data = (struct coord_bytes){(const uint8_t *)"", 0};
    ck_assert_int_eq(coord_request_encode(&q, &b), 0);
    ck_assert_int_eq(coord_request_decode(b->data + 4, b->len - 4, &got, NULL, 0), 0);
    ck_assert_ptr_nonnull(got.data.data);
    ck_assert_uint_eq(got.data.len, 0);
    coord_buf_unref(b);
}
END_TEST

START_TEST(frame_sizes)
{
    static const uint8_t f[] = {0, 0, 0, 5, 9};
    ck_assert_int_eq(coord_frame_size(NULL, 0, 100), 0);
    for (size_t len = 0; len < 4; len++) {
        ck_assert_int_eq(coord_frame_size(f, len, 100), 0);
    }
    ck_assert_int_eq(coord_frame_size(f, 4, 100), 9);
    ck_assert_int_eq(coord_frame_size(f, 5, 5), 9);
    ck_assert_int_eq(coord_frame_size(f, 5, 4), COORD_ETOOBIG);
    ck_assert_int_eq(coord_frame_size((const uint8_t *)"\0\0\0\0", 4, 100), COORD_ETOOBIG);
    ck_assert_int_eq(coord_frame_size((const uint8_t *)"\x7f\xff\xff\xff", 4, 4 << 20),
                     COORD_ETOOBIG);
    ck_assert_int_eq(coord_frame_size((const uint8_t *)"\xff\xff\xff\xff", 4, 4 << 20),
                     COORD_ETOOBIG);
    ck_assert_int_eq(coord_frame_size((const uint8_t *)"\xff\xff\xff\xff", 4, UINT32_MAX),
                     (int64_t)UINT32_MAX + 4);
    /* What other protocols begin with. */
    ck_assert_int_eq(coord_frame_size((const uint8_t *)"GET / HTTP", 10, 4 << 20), COORD_ETOOBIG);
    ck_assert_int_eq(coord_frame_size((const uint8_t *)"\x16\x03\x01\x02\x00", 5, 4 << 20),
                     COORD_ETOOBIG);
}
END_TEST

START_TEST(every_operation_has_its_row)
{
    static const struct {
        const char *capitals;
        enum coord_op op;
        enum coord_op_kind kind;
        int session;
    } rows[] = {
#define X(op_name, number, kind, session, args, results) \
    {#op_name, COORD_OP_##op_name, COORD_KIND_##kind, session},
        COORD_OPS(X)
#undef X
    };
    size_t count = sizeof(rows) / sizeof(rows[0]);
    ck_assert_uint_eq(count, COORD_OP_END - 1);
    for (size_t i = 0; i < count; i++) {
        const struct coord_op_row *row = coord__op_row(rows[i].op);
        ck_assert_ptr_nonnull(row);
        ck_assert_int_eq(strcasecmp(row->name, rows[i].capitals), 0);
        ck_assert_str_eq(coord_op_name(rows[i].op), row->name);
        ck_assert_int_eq(coord_op_kind(rows[i].op), rows[i].kind);
        ck_assert_int_eq(coord_op_needs_session(rows[i].op), rows[i].session);
        ck_assert_uint_eq(coord__fields_count(row->args), row->args_count);
        ck_assert_uint_eq(coord__fields_count(row->results), row->results_count);
        for (const char *c = row->name; *c != '\0'; c++) {
            ck_assert(islower((unsigned char)*c) || *c == '_');
        }
    }
}
END_TEST

START_TEST(unknown_operations_have_none)
{
    static const uint32_t unknown[] = {0, COORD_OP_END, 100, UINT32_MAX};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        enum coord_op op = (enum coord_op)unknown[i];
        ck_assert_ptr_null(coord_op_name(op));
        ck_assert_int_eq(coord_op_kind(op), 0);
        ck_assert(!coord_op_needs_session(op));
    }
    ck_assert_ptr_null(coord__op_row(UINT64_MAX));
    ck_assert_ptr_null(coord__op_row((1ull << 32) + COORD_OP_SET));
}
END_TEST

START_TEST(error_table)
{
    static const struct {
        const char *name;
        int number;
        int class;
        const char *text;
    } rows[] = {
#define X(name, number, cls, text) {#name, number, COORD_##cls, text},
        COORD_ERRORS(X)
#undef X
    };
    size_t count = sizeof(rows) / sizeof(rows[0]);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_gt(rows[i].number, 0);
        ck_assert_str_eq(coord_strerror(-rows[i].number), rows[i].text);
        ck_assert_str_eq(coord_errname(-rows[i].number), rows[i].name);
        ck_assert_int_eq(coord_errclass(-rows[i].number), rows[i].class);
        for (size_t j = 0; j < i; j++) {
            ck_assert_int_ne(rows[i].number, rows[j].number);
            ck_assert_str_ne(rows[i].name, rows[j].name);
            ck_assert_str_ne(rows[i].text, rows[j].text);
        }
    }
    ck_assert_str_eq(coord_strerror(0), "success");
    ck_assert_str_eq(coord_errname(0), "OK");
    ck_assert_int_eq(coord_errclass(0), 0);
    static const int unknown[] = {-63, -1000, 1, 7, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        ck_assert_str_eq(coord_strerror(unknown[i]), "unknown error");
        ck_assert_str_eq(coord_errname(unknown[i]), "EUNKNOWN");
        ck_assert_int_eq(coord_errclass(unknown[i]), COORD_UNKNOWN);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("protocol");
    TCase *trips = tcase_create("round trips");
    tcase_add_loop_test(trips, requests_round_trip, 1, COORD_OP_END);
    tcase_add_loop_test(trips, results_round_trip, 1, COORD_OP_END);
    tcase_add_loop_test(trips, errors_round_trip, 0, ALL_ERRORS);
    tcase_add_loop_test(trips, events_round_trip, 0, SAMPLES);
    tcase_add_test(trips, last_word_is_told_from_the_rest);
    tcase_add_loop_test(trips, body_and_join_make_the_reply, 1, COORD_OP_END);
    tcase_add_test(trips, join_of_odd_bodies);
    tcase_add_test(trips, transaction_items_round_trip);
    tcase_add_test(trips, messages_append);
    suite_add_tcase(suite, trips);
    TCase *forms = tcase_create("forms");
    tcase_add_test(forms, failed_encoding_changes_nothing);
    tcase_add_test(forms, failed_decoding_changes_nothing);
    tcase_add_test(forms, numbers_take_the_smallest_form);
    tcase_add_test(forms, byte_lengths_take_the_smallest_form);
    tcase_add_test(forms, longer_forms_are_understood);
    tcase_add_loop_test(forms, short_requests_can_be_made_loud, 1, COORD_OP_END);
    tcase_add_test(forms, pings_are_not_loud);
    tcase_add_test(forms, absent_is_not_empty);
    tcase_add_test(forms, frame_sizes);
    suite_add_tcase(suite, forms);
    TCase *tables = tcase_create("tables");
    tcase_add_test(tables, every_operation_has_its_row);
    tcase_add_test(tables, unknown_operations_have_none);
    tcase_add_test(tables, error_table);
    suite_add_tcase(suite, tables);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
