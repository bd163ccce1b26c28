/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_protocol_hostile.c: goal: no bytes whatever make a decoder crash, read behind the end or
 * accept what the protocol does not allow; a refusal names the field and the byte. Faults I2..I5,
 * I7, I9 and I13 of the catalogue.
 * Method: every truncation and single-byte mutation of a sample of every message, msgpack bombs at
 * every place, wrong types for every argument, random bytes; buffers are exact, so that the address
 * sanitizer sees each byte read too far. The scanner is compared with msgpack-c's own parser.
 */
#include <msgpack.h>
#include <stdio.h>
#include "protocol/cursor.h"
#include "tests/unit/test_protocol_samples.h"

/* Check's own assertions write to a file even when they hold: too dear for the inner loops. */
#define REQUIRE(condition)                            \
    do {                                              \
        if (!(condition)) {                           \
            ck_abort_msg("not true: %s", #condition); \
        }                                             \
    } while (0)

/* Read bytes as everything they could be. What is accepted must hold together: lists can be walked,
 * and the message can be encoded and decoded again. */
static void swallow(enum coord_op op, const uint8_t *bytes, size_t len)
{
    struct coord_request q;
    struct coord_result res;
    struct coord_event ev;
    struct coord_list_entry entry;
    struct coord_change change;
    struct coord_buf *b = NULL;
    uint64_t number;
    uint64_t number_op;
    bool is_event;
    char why[120];
    int r = coord_request_peek(bytes, len, &number, &number_op);
    REQUIRE(r == 0 || r == COORD_EBADREQUEST);
    r = coord_request_decode(bytes, len, &q, why, sizeof(why));
    REQUIRE(r == 0 || r == COORD_EBADREQUEST);
    if (r == 0) {
        REQUIRE(coord_request_encode(&q, &b) == 0);
        REQUIRE(coord_request_decode(b->data + 4, b->len - 4, &q, NULL, 0) == 0);
        b->len = 0;
    }
    r = coord_reply_peek(bytes, len, &number, &is_event);
    REQUIRE(r == 0 || r == COORD_EPROTO);
    r = coord_result_decode(op, bytes, len, &res, why, sizeof(why));
    REQUIRE(r == 0 || r == COORD_EPROTO);
    for (uint32_t i = 0; r == 0 && i < res.entries_count; i++) {
        REQUIRE(coord_list_next(&res.entries_raw, &entry) == 1);
    }
    REQUIRE(r < 0 || coord_list_next(&res.entries_raw, &entry) == 0);
    r = coord_event_decode(bytes, len, &ev, why, sizeof(why));
    REQUIRE(r == 0 || r == COORD_EPROTO);
    for (uint32_t i = 0; r == 0 && i < ev.changes_count; i++) {
        REQUIRE(coord_change_next(&ev.changes_raw, &change) == 1);
    }
    REQUIRE(r < 0 || coord_change_next(&ev.changes_raw, &change) == 0);
    r = coord_last_word_decode(bytes, len, &res, why, sizeof(why));
    REQUIRE(r == 0 || r == COORD_EPROTO);
    REQUIRE(r < 0 || (coord_last_word_is(bytes, len) && res.error < 0 && res.number == 0));
    r = coord_msgpack_scan(bytes, len, COORD_MSGPACK_DEPTH_MAX, 10000);
    REQUIRE(r == 0 || r == COORD_EBADREQUEST);
    coord_buf_unref(b);
}

/* Two messages: an operation's request and result, or, for operation 0, an error and an event.
 * Caller unrefs. */
#define BODIES 2
static void bodies_of(int op, int variant, struct coord_buf *out[BODIES])
{
    if (op != 0) {
        out[0] = sample_encode_request((enum coord_op)op, variant);
        out[1] = sample_encode_result((enum coord_op)op, variant);
        return;
    }
    struct coord_result error = sample_error(COORD_ENOQUORUM, true, variant);
    struct coord_event ev = sample_event(variant);
    out[0] = NULL;
    out[1] = NULL;
    ck_assert_int_eq(coord_result_encode(COORD_OP_SET, &error, &out[0]), 0);
    ck_assert_int_eq(coord_event_encode(&ev, &out[1]), 0);
}

START_TEST(truncations)
{
    enum coord_op op = (enum coord_op)_i;
    for (int variant = 0; variant < 4; variant++) {
        struct coord_buf *bodies[BODIES];
        bodies_of(_i, variant, bodies);
        for (size_t i = 0; i < BODIES; i++) {
            size_t whole = bodies[i]->len - 4;
            size_t step = 1 + whole / 1000;
            for (size_t len = 0; len < whole; len += step) {
                uint8_t *bytes = sample_exact(bodies[i]->data + 4, len);
                struct coord_request q;
                struct coord_result res;
                struct coord_event ev;
                REQUIRE(coord_request_decode(bytes, len, &q, NULL, 0) < 0);
                REQUIRE(coord_result_decode(op, bytes, len, &res, NULL, 0) < 0);
                REQUIRE(coord_event_decode(bytes, len, &ev, NULL, 0) < 0);
                REQUIRE(coord_msgpack_scan(bytes, len, 8, 10000) < 0);
                free(bytes);
            }
            coord_buf_unref(bodies[i]);
        }
    }
}
END_TEST

START_TEST(mutations)
{
    /* First bytes of every msgpack type, and numbers at the edges. */
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x91, 0x9f, 0xa0,
                                     0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc9,
                                     0xca, 0xcb, 0xcc, 0xcf, 0xd0, 0xd3, 0xd4, 0xd8, 0xd9,
                                     0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff};
    enum coord_op op = (enum coord_op)_i;
    for (int variant = 0; variant < 4; variant++) {
        struct coord_buf *bodies[BODIES];
        bodies_of(_i, variant, bodies);
        for (size_t i = 0; i < BODIES; i++) {
            size_t len = bodies[i]->len - 4;
            uint8_t *bytes = sample_exact(bodies[i]->data + 4, len);
            size_t step = 1 + len / 150;
            for (size_t at = 0; at < len; at += step) {
                uint8_t before = bytes[at];
                for (size_t v = 0; v < sizeof(values); v++) {
                    bytes[at] = values[v];
                    swallow(op, bytes, len);
                }
                bytes[at] = before;
            }
            free(bytes);
            coord_buf_unref(bodies[i]);
        }
    }
}
END_TEST

START_TEST(random_bytes)
{
    uint64_t state = (uint64_t)_i;
    for (uint32_t n = 0; n < 20000; n++) {
        size_t len = sample_random(&state) % 80;
        uint8_t bytes[80];
        for (size_t i = 0; i < len; i++) {
            uint64_t r = sample_random(&state);
            /* Mostly bytes that begin something short, so that some get far. */
            bytes[i] = (uint8_t)((r & 0x300) == 0 ? r : r % 16);
        }
        if (len > 0 && (n & 1) == 0) {
            bytes[0] = (uint8_t)(0x93 + n / 2 % 8);
        }
        uint8_t *exact = sample_exact(bytes, len);
        swallow((enum coord_op)(1 + n % (COORD_OP_END - 1)), exact, len);
        free(exact);
    }
}
END_TEST

/* Headers that announce up to 4 Gi of everything, in place of every value of every message. */
START_TEST(bombs_at_every_place)
{
    static const uint8_t heads[] = {0xdd, 0xdf, 0xdb, 0xc6, 0xc9, 0xdc, 0xde, 0xda, 0xc5, 0xc8};
    enum coord_op op = (enum coord_op)_i;
    struct coord_buf *bodies[BODIES];
    bodies_of(_i, 3, bodies);
    for (size_t i = 0; i < BODIES; i++) {
        size_t whole = bodies[i]->len - 4;
        for (size_t at = 0; at < whole; at++) {
            uint8_t *bytes = sample_exact(bodies[i]->data, at + 5);
            memcpy(bytes, bodies[i]->data + 4, at);
            memset(bytes + at, 0xff, 5);
            for (size_t h = 0; h < sizeof(heads); h++) {
                bytes[at] = heads[h];
                swallow(op, bytes, at + 5);
            }
            free(bytes);
        }
        coord_buf_unref(bodies[i]);
    }
}
END_TEST

START_TEST(deep_nesting)
{
    static const size_t depths[] = {9, 33, 1000, 1000000};
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        for (uint8_t open = 0x81; open <= 0x91; open += 0x10) {
            /* Maps of one pair and arrays of one, opened again and again, then a nil. */
            uint8_t *bytes = malloc(depths[i] + 1);
            ck_assert_ptr_nonnull(bytes);
            memset(bytes, open, depths[i]);
            bytes[depths[i]] = 0xc0;
            ck_assert_int_eq(coord_msgpack_scan(bytes, depths[i] + 1, UINT32_MAX, UINT32_MAX),
                             COORD_EBADREQUEST);
            swallow(COORD_OP_STATUS, bytes, depths[i] + 1);
            free(bytes);
        }
    }
}
END_TEST

START_TEST(scan_limits_are_exact)
{
    uint8_t nested[9];
    memset(nested, 0x91, sizeof(nested));
    nested[8] = 0xc0; /* eight arrays around a nil */
    ck_assert_int_eq(coord_msgpack_scan(nested, 9, 8, 9), 0);
    ck_assert_int_eq(coord_msgpack_scan(nested, 9, 8, 8), COORD_EBADREQUEST);
    ck_assert_int_eq(coord_msgpack_scan(nested, 9, 7, 9), COORD_EBADREQUEST);
    ck_assert_int_eq(coord_msgpack_scan(nested, 9, 1000, 9), 0);
    ck_assert_int_eq(coord_msgpack_scan(nested + 8, 1, 0, 1), 0);
    ck_assert_int_eq(coord_msgpack_scan(nested + 7, 2, 0, 9), COORD_EBADREQUEST);
    ck_assert_int_eq(coord_msgpack_scan(nested, 0, 8, 9), COORD_EBADREQUEST);
    ck_assert_int_eq(coord_msgpack_scan(NULL, 0, 8, 9), COORD_EBADREQUEST);
}
END_TEST

START_TEST(a_mebibyte_of_nils)
{
    size_t len = (1u << 20) + 5;
    uint8_t *bytes = malloc(len);
    struct coord_request q;
    struct coord_event ev;
    char why[120];
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 0xc0, len);
    memcpy(bytes, "\xdd\x00\x10\x00\x00", 5);
    ck_assert_int_eq(coord_msgpack_scan(bytes, len, 8, 10000), COORD_EBADREQUEST);
    ck_assert_int_eq(coord_msgpack_scan(bytes, len, 8, (1u << 20) + 1), 0);
    ck_assert_int_eq(coord_request_decode(bytes, len, &q, why, sizeof(why)), COORD_EBADREQUEST);
    ck_assert_str_eq(why, "item 1 (number) at byte 5: expected an unsigned integer");
    ck_assert_int_eq(coord_event_decode(bytes, len, &ev, why, sizeof(why)), COORD_EPROTO);
    ck_assert_str_eq(why, "the message at byte 0: an event is an array of 5 items, not of 1048576");
    free(bytes);
}
END_TEST

/* The header and payload of one value of a sample, with all that it contains. */
static size_t value_bytes(const uint8_t *p, const uint8_t *end)
{
    struct coord_cursor c = {p, end};
    struct coord_item item;
    size_t bytes = 0;
    for (uint64_t left = 1; left > 0; left--) {
        c.p = p + bytes;
        ck_assert_ptr_null(coord__cursor_header(&c, &item));
        bytes += item.header_bytes + item.payload_bytes;
        left += item.type == COORD_ITEM_ARRAY ? item.children_count : 0;
    }
    return bytes;
}

/* Whether a row takes a value that begins with this byte. */
static bool takes(enum coord_field_kind kind, uint8_t first)
{
    bool number = kind <= COORD_FK_DELTA || (kind >= COORD_FK_ENUM && kind <= COORD_FK_BIT);
    switch (first) {
    case 0x01:
        return number;
    case 0xff: /* -1 */
        return kind == COORD_FK_INT || kind == COORD_FK_DELTA;
    case 0xc0:
        return kind == COORD_FK_STR_OPT || kind == COORD_FK_BIN_OPT || kind == COORD_FK_SECRET;
    case 0xa0:
        return kind == COORD_FK_STR || kind == COORD_FK_STR_OPT;
    case 0xc4:
        return kind == COORD_FK_BIN_OPT;
    case 0x90:
        return kind == COORD_FK_IDS || kind >= COORD_FK_IFS;
    case 0xc2:
        return kind == COORD_FK_BOOL;
    default:
        return false;
    }
}

START_TEST(wrong_types_are_named)
{
    static const struct {
        uint8_t bytes[9];
        size_t len;
    } values[] = {
        {{0x01}, 1},       {{0xff}, 1},          {{0xc0}, 1}, {{0xa0}, 1},
        {{0xc4, 0x00}, 2}, {{0x90}, 1},          {{0x80}, 1}, {{0xc2}, 1},
        {{0xc1}, 1},       {{0xcb, 1, 2, 3}, 9}, {{0xd4}, 3}, {{0xdd, 0xff, 0xff, 0xff, 0xff}, 5},
    };
    enum coord_op op = (enum coord_op)_i;
    const struct coord_op_row *row = coord__op_row(op);
    struct coord_buf *b = sample_encode_request(op, 3);
    const uint8_t *end = b->data + b->len;
    const uint8_t *p = b->data + 4 + 1; /* behind the array's header */
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 3; i++) {
        p += value_bytes(p, end);
    }
    for (uint32_t i = 0; i < row->args_count; i++) {
        size_t at = (size_t)(p - b->data) - 4;
        size_t old = value_bytes(p, end);
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            struct coord_buf *changed = coord_buf_copy(b->data + 4, at);
            struct coord_request q;
            char why[120] = "";
            char expected[120];
            ck_assert_int_eq(coord_buf_append(&changed, values[v].bytes, values[v].len), 0);
            ck_assert_int_eq(coord_buf_append(&changed, p + old, (size_t)(end - p) - old), 0);
            int r = coord_request_decode(changed->data, changed->len, &q, why, sizeof(why));
            if (takes(row->args[i].kind, values[v].bytes[0])) {
                ck_assert_msg(r == 0, "%s %u value %zu: %s", row->name, i, v, why);
            } else {
                (void)snprintf(expected, sizeof(expected), "argument %u (%s) at byte %zu: ", i + 1,
                               row->args[i].name, at);
                ck_assert_msg(r == COORD_EBADREQUEST, "%s %u value %zu accepted", row->name, i, v);
                ck_assert_msg(strncmp(why, expected, strlen(expected)) == 0, "%s: %s", row->name,
                              why);
                refused++;
            }
            coord_buf_unref(changed);
        }
        p += old;
    }
    ck_assert_ptr_eq(p, end);
    ck_assert_uint_ge(refused, row->args_count * 8);
    coord_buf_unref(b);
}
END_TEST

START_TEST(missing_extra_and_trailing)
{
    enum coord_op op = (enum coord_op)_i;
    const struct coord_op_row *row = coord__op_row(op);
    struct coord_buf *b = sample_encode_request(op, 3);
    struct coord_request q;
    char why[120] = "";
    char expected[120];
    uint8_t nil = 0xc0;
    ck_assert_int_eq(coord_buf_append(&b, &nil, 1), 0);
    ck_assert_int_eq(coord_request_decode(b->data + 4, b->len - 4, &q, why, sizeof(why)),
                     COORD_EBADREQUEST);
    (void)snprintf(expected, sizeof(expected), "the message at byte %u: bytes behind its end",
                   b->len - 5);
    ck_assert_str_eq(why, expected);
    /* The same bytes, announced as one item more, and with one item fewer. */
    uint32_t items = row->args_count + 3;
    b->data[4] = (uint8_t)(0x90 + items + 1);
    ck_assert_int_eq(coord_request_decode(b->data + 4, b->len - 4, &q, why, sizeof(why)),
                     COORD_EBADREQUEST);
    (void)snprintf(expected, sizeof(expected),
                   "the message at byte 0: %s is an array of %u items, not of %u", row->name, items,
                   items + 1);
    ck_assert_str_eq(why, expected);
    b->data[4] = (uint8_t)(0x90 + items - 1);
    ck_assert_int_eq(coord_request_decode(b->data + 4, b->len - 5, &q, why, sizeof(why)),
                     COORD_EBADREQUEST);
    coord_buf_unref(b);
}
END_TEST

#define ROW(text, bytes)               \
    {                                  \
        text, bytes, sizeof(bytes) - 1 \
    }
static const struct {
    const char *why;
    const char *bytes;
    size_t len;
} refusals[] = {
    ROW("the message at byte 0: the message ends here", ""),
    ROW("the message at byte 0: expected an array", "\x80"),
    ROW("the message at byte 0: a request has at least three items", "\x92\x01\x07"),
    ROW("the message at byte 0: announces more items than bytes follow", "\xdd\xff\xff\xff\xff"),
    ROW("item 1 (number) at byte 1: requests are numbered from 1", "\x93\x00\x0c\x00"),
    ROW("item 1 (number) at byte 1: expected an unsigned integer", "\x93\xff\x0c\x00"),
    ROW("item 2 (operation) at byte 2: there is no such operation", "\x93\x01\x00\x00"),
    ROW("item 2 (operation) at byte 2: there is no such operation", "\x93\x01\x7f\x00"),
    ROW("item 2 (operation) at byte 2: there is no such operation",
        "\x93\x01\xcf\x00\x00\x00\x01\x00\x00\x00\x0c\x00"),
    ROW("item 3 (acked) at byte 3: expected an unsigned integer", "\x93\x01\x0c\xc0"),
    /* create: path, data, flags, ttl */
    ROW("argument 1 (path) at byte 4: expected a str", "\x97\x01\x05\x00\xc4\x01/\xc0\x00\x00"),
    ROW("argument 2 (data) at byte 6: expected a bin or nil", "\x97\x01\x05\x00\xa1/\xa1x\x00\x00"),
    ROW("argument 3 (flags) at byte 7: a bit that is not known is set",
        "\x97\x01\x05\x00\xa1/\xc0\x20\x00"),
    ROW("argument 3 (flags) at byte 7: the number is too large",
        "\x97\x01\x05\x00\xa1/\xc0\xcf\x00\x00\x00\x01\x00\x00\x00\x00\x00"),
    ROW("argument 4 (ttl_ms) at byte 8: the message ends here", "\x97\x01\x05\x00\xa1/\xc0\x01"),
    /* get: path, level, level_arg */
    ROW("argument 2 (level) at byte 6: the number is too large", "\x96\x01\x06\x00\xa1/\x04\x00"),
    /* set: path, data, versions */
    ROW("argument 3 (expect_version) at byte 7: the number is too small",
        "\x98\x01\x07\x00\xa1/\xc0\xfe\x00\x00"),
    ROW("argument 3 (expect_version) at byte 7: the number is too large",
        "\x98\x01\x07\x00\xa1/\xc0\xcf\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
    /* hello: version, client, session, secret, revision */
    ROW("argument 4 (secret) at byte 7: a secret has 16 bytes",
        "\x98\x01\x01\x00\x01\xc0\x00\xc4\x01x\x00"),
    /* partition: members */
    ROW("argument 1 (members) at byte 4: the list is too long",
        "\x94\x01\x10\x00\xdc\x00\x10\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
        "\x01"),
    ROW("argument 1 (members[1]) at byte 6: expected an unsigned integer",
        "\x94\x01\x10\x00\x92\x01\xc0"),
};

START_TEST(texts_of_refusals)
{
    struct coord_request q;
    char why[120] = "";
    uint8_t *bytes = sample_exact((const uint8_t *)refusals[_i].bytes, refusals[_i].len);
    ck_assert_int_eq(coord_request_decode(bytes, refusals[_i].len, &q, why, sizeof(why)),
                     COORD_EBADREQUEST);
    ck_assert_str_eq(why, refusals[_i].why);
    free(bytes);
}
END_TEST

START_TEST(texts_inside_lists_and_structs)
{
    struct coord_result res = sample_result(COORD_OP_LIST, SAMPLE_ZERO);
    struct coord_list_entry entries[3];
    memset(entries, 0, sizeof(entries));
    entries[0].has_stat = true;
    entries[1].has_stat = true;
    struct coord_buf *b = NULL;
    struct coord_result got;
    char why[160] = "";
    res.entries = entries;
    res.entries_count = 3;
    ck_assert_int_eq(coord_result_encode(COORD_OP_LIST, &res, &b), 0);
    /* 4 length, 1 array, number, error, 7 receipt, 1 entries; an entry is 2 + 1 + 13. */
    size_t second = 4 + 1 + 2 + 7 + 1 + 16;
    ck_assert_uint_eq(b->data[second], 0x92);
    ck_assert_uint_eq(b->data[second + 2], 0x9d);
    b->data[second + 6] = 0xc3; /* the fourth of its stat */
    ck_assert_int_eq(
        coord_result_decode(COORD_OP_LIST, b->data + 4, b->len - 4, &got, why, sizeof(why)),
        COORD_EPROTO);
    ck_assert_str_eq(why, "result 1 (entries[1].version) at byte 33: expected an unsigned integer");
    b->data[second + 2] = 0x9c;
    ck_assert_int_eq(
        coord_result_decode(COORD_OP_LIST, b->data + 4, b->len - 4, &got, why, sizeof(why)),
        COORD_EPROTO);
    ck_assert_str_eq(why,
                     "result 1 (entries[1].stat) at byte 29: expected an array of 13, not of 12");
    b->data[4 + 1 + 2 + 2] = 0xc3;
    ck_assert_int_eq(
        coord_result_decode(COORD_OP_LIST, b->data + 4, b->len - 4, &got, why, sizeof(why)),
        COORD_EPROTO);
    ck_assert_str_eq(why, "item 3 (receipt.role) at byte 5: expected an unsigned integer");
    coord_buf_unref(b);
}
END_TEST

START_TEST(replies_that_are_none)
{
    static const uint8_t event_number[] = {0x94, 0x00, 0x00, 0x96, 0, 0, 0, 0, 0, 0, 0x01};
    static const uint8_t huge_error[] = {0x94, 0x01, 0xce, 0x80, 0, 0, 0,   0x96,
                                         0,    0,    0,    0,    0, 0, 0xc0};
    static const uint8_t half_detail[] = {0x95, 0x01, 0x01, 0x96, 0, 0, 0, 0, 0, 0, 0xc0, 0x90};
    static const uint8_t reply[] = {0x94, 0x01, 0x00, 0x96, 0, 0, 0, 0, 0, 0, 0x01};
    struct coord_result res;
    struct coord_event ev;
    char why[120] = "";
    ck_assert_int_eq(coord_result_decode(COORD_OP_SYNC, event_number, sizeof(event_number), &res,
                                         why, sizeof(why)),
                     COORD_EPROTO);
    ck_assert_str_eq(why, "item 1 (number) at byte 1: an event is no reply");
    ck_assert_int_eq(
        coord_result_decode(COORD_OP_SYNC, huge_error, sizeof(huge_error), &res, why, sizeof(why)),
        COORD_EPROTO);
    ck_assert_str_eq(why, "item 2 (error) at byte 2: the number is too large");
    ck_assert_int_eq(coord_result_decode(COORD_OP_SYNC, half_detail, sizeof(half_detail), &res, why,
                                         sizeof(why)),
                     COORD_EPROTO);
    ck_assert_str_eq(why, "the message at byte 0: an error is an array of 4 items, not of 5");
    ck_assert_int_eq(coord_result_decode(COORD_OP_SYNC, reply, sizeof(reply), &res, NULL, 0), 0);
    ck_assert_int_eq(
        coord_result_decode((enum coord_op)99, reply, sizeof(reply), &res, why, sizeof(why)),
        COORD_EPROTO);
    ck_assert_int_eq(coord_event_decode(reply, sizeof(reply), &ev, why, sizeof(why)), COORD_EPROTO);
}
END_TEST

/* `false` holds a place only when something follows; what is not sent at the end is left out. */
START_TEST(placeholders_hold_a_place)
{
    static const uint8_t name_false[] = {0x92, 0xa1, 'a', 0xc2};
    static const uint8_t name_false_nil[] = {0x93, 0xa1, 'a', 0xc2, 0xc0};
    static const uint8_t name_true_nil[] = {0x93, 0xa1, 'a', 0xc3, 0xc0};
    static const uint8_t change_false[] = {0x95, 0x01, 0xa1, '/', 0, 0, 0xc2};
    static const uint8_t change_false_nil[] = {0x96, 0x01, 0xa1, '/', 0, 0, 0xc2, 0xc0};
    static const uint8_t change_false_false[] = {0x96, 0x01, 0xa1, '/', 0, 0, 0xc2, 0xc2};
    static const uint8_t change_no_kind[] = {0x94, 0x03, 0xa1, '/', 0, 0};
    struct coord_list_entry e;
    struct coord_change ch;
    struct coord_bytes c = {name_false, sizeof(name_false)};
    ck_assert_int_eq(coord_list_next(&c, &e), COORD_EPROTO);
    ck_assert_ptr_eq(c.data, name_false);
    c = (struct coord_bytes){name_true_nil, sizeof(name_true_nil)};
    ck_assert_int_eq(coord_list_next(&c, &e), COORD_EPROTO);
    c = (struct coord_bytes){name_false_nil, sizeof(name_false_nil)};
    ck_assert_int_eq(coord_list_next(&c, &e), 1);
    ck_assert(!e.has_stat && e.has_data && e.data.data == NULL);
    c = (struct coord_bytes){change_false, sizeof(change_false)};
    ck_assert_int_eq(coord_change_next(&c, &ch), COORD_EPROTO);
    c = (struct coord_bytes){change_false_false, sizeof(change_false_false)};
    ck_assert_int_eq(coord_change_next(&c, &ch), COORD_EPROTO);
    c = (struct coord_bytes){change_no_kind, sizeof(change_no_kind)};
    ck_assert_int_eq(coord_change_next(&c, &ch), COORD_EPROTO);
    c = (struct coord_bytes){change_false_nil, sizeof(change_false_nil)};
    ck_assert_int_eq(coord_change_next(&c, &ch), 1);
    ck_assert(!ch.has_value && ch.has_previous && ch.previous.data == NULL);
}
END_TEST

START_TEST(why_of_any_size)
{
    static const uint8_t bad[] = {0x93, 0x01, 0x0c, 0xc0};
    struct coord_request q;
    char whole[200];
    ck_assert_int_lt(coord_request_decode(bad, sizeof(bad), &q, whole, sizeof(whole)), 0);
    for (size_t size = 0; size < sizeof(whole); size++) {
        char *why = malloc(size + 1);
        ck_assert_ptr_nonnull(why);
        why[size] = '!';
        ck_assert_int_lt(coord_request_decode(bad, sizeof(bad), &q, why, size), 0);
        ck_assert_int_eq(why[size], '!');
        if (size > 0) {
            size_t expected = strlen(whole) < size ? strlen(whole) : size - 1;
            ck_assert_uint_eq(strlen(why), expected);
            ck_assert_mem_eq(why, whole, expected);
        }
        free(why);
    }
}
END_TEST

/* msgpack-c's parser as a second opinion. Announcements of 2^32 items are left out: it would try to
 * allocate them. */
START_TEST(scan_agrees_with_msgpack_c)
{
    uint64_t state = (uint64_t)_i + 40;
    uint32_t good = 0;
    for (uint32_t n = 0; n < 20000; n++) {
        uint8_t bytes[8];
        size_t len = 1 + sample_random(&state) % sizeof(bytes);
        for (size_t i = 0; i < len; i++) {
            uint64_t r = sample_random(&state);
            bytes[i] = (uint8_t)((r & 0x100) == 0 ? r : (r & 0x200) == 0 ? 0x90 + r % 4 : r % 4);
            bytes[i] = bytes[i] == 0xdd || bytes[i] == 0xdf ? 0x92 : bytes[i];
        }
        msgpack_unpacked unpacked;
        msgpack_unpacked_init(&unpacked);
        size_t used = 0;
        msgpack_unpack_return r = msgpack_unpack_next(&unpacked, (const char *)bytes, len, &used);
        bool expected = r == MSGPACK_UNPACK_SUCCESS && used == len;
        bool got = coord_msgpack_scan(bytes, len, 8, 1000) == 0;
        REQUIRE(expected == got);
        good += got ? 1 : 0;
        msgpack_unpacked_destroy(&unpacked);
    }
    ck_assert_uint_gt(good, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("protocol, hostile");
    TCase *bytes = tcase_create("bytes");
    tcase_set_timeout(bytes, 60);
    tcase_add_loop_test(bytes, truncations, 0, COORD_OP_END);
    tcase_add_loop_test(bytes, mutations, 0, COORD_OP_END);
    tcase_add_loop_test(bytes, random_bytes, 0, 3);
    tcase_add_loop_test(bytes, bombs_at_every_place, 0, COORD_OP_END);
    tcase_add_test(bytes, deep_nesting);
    tcase_add_test(bytes, scan_limits_are_exact);
    tcase_add_test(bytes, a_mebibyte_of_nils);
    tcase_add_loop_test(bytes, scan_agrees_with_msgpack_c, 0, 3);
    suite_add_tcase(suite, bytes);
    TCase *texts = tcase_create("texts");
    tcase_add_loop_test(texts, wrong_types_are_named, 1, COORD_OP_END);
    tcase_add_loop_test(texts, missing_extra_and_trailing, 1, COORD_OP_END);
    tcase_add_loop_test(texts, texts_of_refusals, 0, (int)(sizeof(refusals) / sizeof(refusals[0])));
    tcase_add_test(texts, texts_inside_lists_and_structs);
    tcase_add_test(texts, replies_that_are_none);
    tcase_add_test(texts, placeholders_hold_a_place);
    tcase_add_test(texts, why_of_any_size);
    suite_add_tcase(suite, texts);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
