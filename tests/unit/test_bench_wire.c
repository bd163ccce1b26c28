/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_bench_wire.c: goal: the load generators of tests/bench say what they mean and understand what they hear, in the
 * frames of ZooKeeper, etcd and coord. Method: frames of the first two against bytes written down by hand from
 * the formats (jute.h, grpc.h), those of coord against the codec that the servers use; every cut of a frame
 * is "not whole yet"; lengths that cannot be are refused.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "protocol/message.h"
#include "tests/bench/bytes.h"
#include "tests/bench/coordmsg.h"
#include "tests/bench/grpc.h"
#include "tests/bench/jute.h"

#define EXPECT(b, ...)                                        \
    do {                                                      \
        static const uint8_t wanted_[] = {__VA_ARGS__};       \
        ck_assert(!(b)->failed);                              \
        ck_assert_uint_eq((b)->len, sizeof wanted_);          \
        ck_assert_mem_eq((b)->data, wanted_, sizeof wanted_); \
        (b)->len = 0;                                         \
    } while (0)

/* --- bytes ------------------------------------------------------------------------------------- */

START_TEST(bytes_grow_and_keep)
{
    struct bytes b = {0};
    for (uint32_t i = 0; i < 5000; i++) {
        bytes_put_u32(&b, i);
    }
    ck_assert_uint_eq(b.len, 20000);
    for (uint32_t i = 0; i < 5000; i++) {
        ck_assert_uint_eq(bytes_get_u32(b.data + 4 * (size_t)i), i);
    }
    bytes_drop(&b, 8);
    ck_assert_uint_eq(b.len, 19992);
    ck_assert_uint_eq(bytes_get_u32(b.data), 2);
    bytes_set_u32(&b, 0, 0xdeadbeef);
    ck_assert_uint_eq(bytes_get_u32(b.data), 0xdeadbeef);
    ck_assert_uint_eq(bytes_get_u32(b.data + 4), 3);
    bytes_set_u32(&b, b.len - 3, 7); /* not wholly inside: left alone */
    ck_assert_uint_eq(bytes_get_u32(b.data + b.len - 4), 4999);
    bytes_drop(&b, b.len + 1);
    ck_assert_uint_eq(b.len, 0);
    bytes_put_u64(&b, 0x0102030405060708ull);
    ck_assert_uint_eq(bytes_get_u64(b.data), 0x0102030405060708ull);
    bytes_clear(&b);
    ck_assert_ptr_null(b.data);
}
END_TEST

/* --- jute -------------------------------------------------------------------------------------- */

START_TEST(jute_requests_are_as_specified)
{
    struct bytes b = {0};

    jute_connect(&b, 30000);
    EXPECT(&b, 0, 0, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x75, 0x30, 0, 0, 0, 0, 0, 0,
           0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    jute_set(&b, 7, "/a", "xyz", 3);
    EXPECT(&b, 0, 0, 0, 25, 0, 0, 0, 7, 0, 0, 0, 5, 0, 0, 0, 2, '/', 'a', 0, 0, 0, 3, 'x', 'y', 'z',
           0xff, 0xff, 0xff, 0xff);
    jute_create(&b, 258, "/a", "", 0);
    EXPECT(&b, 0, 0, 0, 49, 0, 0, 1, 2, 0, 0, 0, 1, 0, 0, 0, 2, '/', 'a', 0, 0, 0, 0, 0, 0, 0, 1, 0,
           0, 0, 31, 0, 0, 0, 5, 'w', 'o', 'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e',
           0, 0, 0, 0);
    jute_read(&b, 9, JUTE_EXISTS, "/a", true);
    EXPECT(&b, 0, 0, 0, 15, 0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 2, '/', 'a', 1);
    jute_read(&b, 9, JUTE_GET_DATA, "/a", false);
    EXPECT(&b, 0, 0, 0, 15, 0, 0, 0, 9, 0, 0, 0, 4, 0, 0, 0, 2, '/', 'a', 0);
    jute_sync(&b, 1, "/");
    EXPECT(&b, 0, 0, 0, 13, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, '/');
    jute_bare(&b, JUTE_XID_PING, JUTE_PING);
    EXPECT(&b, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 11);
    jute_bare(&b, 3, JUTE_CLOSE);
    EXPECT(&b, 0, 0, 0, 8, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xf5);
    bytes_clear(&b);
}
END_TEST

START_TEST(jute_frames_are_found)
{
    static const uint8_t two[] = {0, 0, 0, 2, 8, 9, 0, 0, 0, 0};
    static const uint8_t negative[] = {0xff, 0xff, 0xff, 0xff, 0};

    for (size_t n = 0; n < 6; n++) {
        ck_assert_int_eq(jute_frame(two, n), 0);
    }
    ck_assert_int_eq(jute_frame(two, 6), 6);
    ck_assert_int_eq(jute_frame(two, 10), 6);
    ck_assert_int_eq(jute_frame(two + 6, 4), 4);
    ck_assert_int_eq(jute_frame(negative, 5), -1);
}
END_TEST

START_TEST(jute_responses_are_read)
{
    static const uint8_t no_node[] = {0, 0, 1, 2,    0,    0,    0,    1, 0,
                                      0, 0, 5, 0xff, 0xff, 0xff, 0x92, 1};
    static const uint8_t connected[] = {0, 0, 0, 0, 0, 0, 0x75, 0x30, 0, 0, 0, 0, 0, 0, 0, 9};
    struct jute_response r;
    int32_t timeout_ms = -1;

    ck_assert(jute_take_response(no_node, sizeof no_node, &r));
    ck_assert_int_eq(r.xid, 258);
    ck_assert_int_eq(r.zxid, 0x100000005);
    ck_assert_int_eq(r.error, JUTE_ERROR_EXISTS);
    ck_assert_uint_eq(r.body_bytes, 1);
    ck_assert(!jute_take_response(no_node, 15, &r));
    ck_assert(jute_take_connected(connected, sizeof connected, &timeout_ms));
    ck_assert_int_eq(timeout_ms, 30000);
    ck_assert(!jute_take_connected(connected, sizeof connected - 1, &timeout_ms));
}
END_TEST

/* --- etcd -------------------------------------------------------------------------------------- */

START_TEST(varints_go_there_and_back)
{
    static const uint64_t values[] = {
        0, 1, 127, 128, 300, 16383, 16384, UINT32_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 1};
    static const size_t wide[] = {1, 1, 1, 2, 2, 2, 3, 5, 10, 10, 10};
    struct bytes b = {0};

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint64_t v = 42;
        b.len = 0;
        grpc_put_varint(&b, values[i]);
        ck_assert_uint_eq(b.len, wide[i]);
        ck_assert_uint_eq(grpc_take_varint(b.data, b.len, &v), b.len);
        ck_assert_uint_eq(v, values[i]);
        for (size_t cut = 0; cut < b.len; cut++) {
            ck_assert_uint_eq(grpc_take_varint(b.data, cut, &v), 0);
        }
    }
    b.len = 0;
    grpc_put_varint(&b, 300);
    EXPECT(&b, 0xac, 0x02);
    bytes_clear(&b);
}
END_TEST

START_TEST(varints_beyond_64_bits_are_refused)
{
    static const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0};
    static const uint8_t too_much[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
    uint64_t v;

    ck_assert_uint_eq(grpc_take_varint(eleven, sizeof eleven, &v), 0);
    ck_assert_uint_eq(grpc_take_varint(too_much, sizeof too_much, &v), 0);
}
END_TEST

START_TEST(grpc_messages_are_as_specified)
{
    struct bytes b = {0};

    grpc_put(&b, "/a", "xyz", 3);
    EXPECT(&b, 0, 0, 0, 0, 9, 0x0a, 2, '/', 'a', 0x12, 3, 'x', 'y', 'z');
    grpc_range(&b, "/a", false);
    EXPECT(&b, 0, 0, 0, 0, 4, 0x0a, 2, '/', 'a');
    grpc_range(&b, "/a", true);
    EXPECT(&b, 0, 0, 0, 0, 6, 0x0a, 2, '/', 'a', 0x38, 1);
    grpc_create(&b, "/a", "x", 1);
    EXPECT(&b, 0, 0, 0, 0, 21, 0x0a, 8, 0x10, 1, 0x1a, 2, '/', 'a', 0x28, 0, 0x12, 9, 0x12, 7, 0x0a,
           2, '/', 'a', 0x12, 1, 'x');
    grpc_watch(&b, "/a");
    EXPECT(&b, 0, 0, 0, 0, 6, 0x0a, 4, 0x0a, 2, '/', 'a');
    bytes_clear(&b);
}
END_TEST

/* Lengths of lengths: the nested messages of a create stay right when a length takes two bytes. */
START_TEST(grpc_create_nests_at_every_size)
{
    static const size_t sizes[] = {0,   1,   100, 116, 117, 118, 119,
                                   120, 121, 122, 123, 127, 128, 1024};
    static const char value[1024];
    struct bytes b = {0};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned count = 0;
        uint64_t v = 0;
        b.len = 0;
        grpc_create(&b, "/bench/k100-1", value, sizes[i]);
        ck_assert_int_eq(grpc_message(b.data, b.len), (int64_t)b.len);
        const uint8_t *p = b.data + GRPC_PREFIX_BYTES;
        size_t n = b.len - GRPC_PREFIX_BYTES;
        ck_assert(grpc_field(p, n, 1, &count, &v));
        ck_assert_uint_eq(count, 1);
        ck_assert(grpc_field(p, n, 2, &count, &v));
        ck_assert_uint_eq(count, 1);
        /* The operation is the tail; the put in it is the tail of that; the value is the tail of the put. */
        const uint8_t *operation = p + n - v;
        uint64_t put = 0, data = 0;
        ck_assert(grpc_field(operation, (size_t)v, 2, &count, &put));
        ck_assert_uint_eq(count, 1);
        ck_assert(grpc_field(p + n - put, (size_t)put, 2, &count, &data));
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(data, sizes[i]);
    }
    bytes_clear(&b);
}
END_TEST

START_TEST(grpc_messages_are_found)
{
    static const uint8_t message[] = {0, 0, 0, 0, 2, 0x18, 1, 0};
    static const uint8_t compressed[] = {1, 0, 0, 0, 0};
    static const uint8_t huge[] = {0, 0x7f, 0, 0, 0};

    for (size_t n = 0; n < 7; n++) {
        ck_assert_int_eq(grpc_message(message, n), 0);
    }
    ck_assert_int_eq(grpc_message(message, sizeof message), 7);
    ck_assert_int_eq(grpc_message(compressed, sizeof compressed), -1);
    ck_assert_int_eq(grpc_message(huge, sizeof huge), -1);
}
END_TEST

START_TEST(grpc_fields_are_read)
{
    /* 3: true; 11: two events of 1 and 0 bytes; 5: 64 bits, 6: 32 bits, passed over */
    static const uint8_t m[] = {0x18, 1, 0x5a, 1,    9, 0x29, 1, 2, 3, 4, 5,
                                6,    7, 8,    0x5a, 0, 0x35, 1, 2, 3, 4};
    static const uint8_t group[] = {0x0b};
    unsigned count = 9;
    uint64_t v = 9;

    ck_assert(grpc_field(m, sizeof m, 3, &count, &v));
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(v, 1);
    ck_assert(grpc_field(m, sizeof m, 11, &count, &v));
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(v, 0);
    ck_assert(grpc_field(m, sizeof m, 4, &count, &v));
    ck_assert_uint_eq(count, 0);
    ck_assert(!grpc_field(m, sizeof m - 1, 3, &count, &v));
    ck_assert(!grpc_field(m, 4, 3, &count, &v));
    ck_assert(!grpc_field(group, 1, 1, &count, &v));
    ck_assert(grpc_field(m, 0, 1, &count, &v));
}
END_TEST

/* --- coord ------------------------------------------------------------------------------------- */

/* The frame in b as the servers read it. */
static void decode(const struct bytes *b, struct coord_request *ret_q)
{
    char why[128] = "";

    ck_assert(!b->failed);
    ck_assert_int_eq(coordmsg_frame(b->data, b->len), (int64_t)b->len);
    ck_assert_msg(coord_request_decode(b->data + 4, b->len - 4, ret_q, why, sizeof why) == 0, "%s",
                  why);
}

START_TEST(coord_requests_are_what_servers_read)
{
    static const uint64_t numbers[] = {1, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, 1ull << 32};
    static const size_t sizes[] = {0, 1, 100, 255, 256, 1024, 65535, 65536};
    static const char value[65536];
    static const char *path = "/bench/a-name-that-is-longer-than-31-bytes";
    struct bytes b = {0};
    struct coord_request q;

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct coordmsg_head h = {.number = numbers[i], .acked = numbers[i] - 1};
        b.len = 0;
        coordmsg_set(&b, h, path, value, sizes[i % 8]);
        decode(&b, &q);
        ck_assert_int_eq(q.op, COORD_OP_SET);
        ck_assert_uint_eq(q.number, numbers[i]);
        ck_assert_uint_eq(q.acked, numbers[i] - 1);
        ck_assert_uint_eq(q.path.len, strlen(path));
        ck_assert_mem_eq(q.path.data, path, q.path.len);
        ck_assert_uint_eq(q.data.len, sizes[i % 8]);
        ck_assert_int_eq(q.expect_version, COORD_VERSION_ANY);
    }
    bytes_clear(&b);
}
END_TEST

START_TEST(coord_requests_of_each_kind)
{
    const struct coordmsg_head h = {.number = 5, .acked = 4};
    struct bytes b = {0};
    struct coord_request q;

    coordmsg_hello(&b, 1);
    decode(&b, &q);
    ck_assert_int_eq(q.op, COORD_OP_HELLO);
    ck_assert_uint_eq(q.version, COORD_PROTOCOL_VERSION);
    b.len = 0;
    coordmsg_open(&b, h, 30000);
    decode(&b, &q);
    ck_assert_int_eq(q.op, COORD_OP_SESSION_OPEN);
    ck_assert_uint_eq(q.timeout_ms, 30000);
    b.len = 0;
    coordmsg_close(&b, h);
    decode(&b, &q);
    ck_assert_int_eq(q.op, COORD_OP_SESSION_CLOSE);
    b.len = 0;
    coordmsg_ping(&b, h);
    decode(&b, &q);
    ck_assert_int_eq(q.op, COORD_OP_PING);
    b.len = 0;
    coordmsg_create(&b, h, "/a", "xyz", 3);
    decode(&b, &q);
    ck_assert_int_eq(q.op, COORD_OP_CREATE);
    ck_assert_uint_eq(q.flags, 0);
    ck_assert_mem_eq(q.data.data, "xyz", 3);
    b.len = 0;
    coordmsg_get(&b, h, "/a", true);
    decode(&b, &q);
    ck_assert_int_eq(q.op, COORD_OP_GET);
    ck_assert_int_eq(q.level, COORD_LEVEL_LINEARIZABLE);
    b.len = 0;
    coordmsg_get(&b, h, "/a", false);
    decode(&b, &q);
    ck_assert_int_eq(q.level, COORD_LEVEL_LOCAL);
    b.len = 0;
    coordmsg_watch(&b, h, 300, "/a");
    decode(&b, &q);
    ck_assert_int_eq(q.op, COORD_OP_WATCH);
    ck_assert_uint_eq(q.watch, 300);
    ck_assert_uint_eq(q.kinds, COORD_CHANGE_CREATED | COORD_CHANGE_CHANGED | COORD_CHANGE_DELETED);
    ck_assert_uint_eq(q.flags, COORD_WATCH_VALUE);
    bytes_clear(&b);
}
END_TEST

START_TEST(coord_replies_and_events_are_read)
{
    struct coord_result res = {.number = 70000, .error = COORD_EEXISTS};
    const struct coord_change change = {.kind = COORD_CHANGE_CHANGED,
                                        .path = {(const uint8_t *)"/a", 2}};
    const struct coord_event told = {.watch = 300,
                                     .revision = 1ull << 40,
                                     .state = COORD_EVENT_CHANGES,
                                     .changes_count = 1,
                                     .changes = &change};
    const struct coord_event gap = {.watch = 7, .revision = 9, .state = COORD_EVENT_GAP};
    struct coord_buf *buf = NULL;
    struct coordmsg_reply r;

    ck_assert_int_eq(coord_result_encode(COORD_OP_CREATE, &res, &buf), 0);
    ck_assert_int_eq(coordmsg_frame(buf->data, buf->len), buf->len);
    ck_assert(coordmsg_take(buf->data + 4, buf->len - 4, &r));
    ck_assert_uint_eq(r.number, 70000);
    ck_assert_uint_eq(r.code, COORDMSG_EEXISTS);
    buf->len = 0;
    ck_assert_int_eq(coord_event_encode(&told, &buf), 0);
    ck_assert(coordmsg_take(buf->data + 4, buf->len - 4, &r));
    ck_assert_uint_eq(r.number, 0);
    ck_assert_uint_eq(r.watch, 300);
    ck_assert_uint_eq(r.code, COORD_EVENT_CHANGES);
    buf->len = 0;
    ck_assert_int_eq(coord_event_encode(&gap, &buf), 0);
    ck_assert(coordmsg_take(buf->data + 4, buf->len - 4, &r));
    ck_assert_uint_eq(r.code, COORD_EVENT_GAP);
    coord_buf_unref(buf);
}
END_TEST

START_TEST(coord_frames_are_found)
{
    static const uint8_t one[] = {0, 0, 0, 3, 0x92, 5, 0, 0, 0};
    static const uint8_t empty[] = {0, 0, 0, 0};
    static const uint8_t cut[] = {0x92, 0xce, 0, 0, 1};
    static const uint8_t text[] = {0x92, 0xa1, 'a', 0};
    struct coordmsg_reply r;

    for (size_t n = 0; n < 7; n++) {
        ck_assert_int_eq(coordmsg_frame(one, n), 0);
    }
    ck_assert_int_eq(coordmsg_frame(one, sizeof one), 7);
    ck_assert_int_eq(coordmsg_frame(empty, sizeof empty), -1);
    ck_assert(coordmsg_take(one + 4, 3, &r));
    ck_assert(!coordmsg_take(one + 4, 2, &r));
    ck_assert(!coordmsg_take(cut, sizeof cut, &r));
    ck_assert(!coordmsg_take(text, sizeof text, &r));
    ck_assert(!coordmsg_take(text, 0, &r));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench_wire");
    TCase *tc = tcase_create("bench_wire");
    tcase_add_test(tc, bytes_grow_and_keep);
    tcase_add_test(tc, jute_requests_are_as_specified);
    tcase_add_test(tc, jute_frames_are_found);
    tcase_add_test(tc, jute_responses_are_read);
    tcase_add_test(tc, varints_go_there_and_back);
    tcase_add_test(tc, varints_beyond_64_bits_are_refused);
    tcase_add_test(tc, grpc_messages_are_as_specified);
    tcase_add_test(tc, grpc_create_nests_at_every_size);
    tcase_add_test(tc, grpc_messages_are_found);
    tcase_add_test(tc, grpc_fields_are_read);
    tcase_add_test(tc, coord_requests_are_what_servers_read);
    tcase_add_test(tc, coord_requests_of_each_kind);
    tcase_add_test(tc, coord_replies_and_events_are_read);
    tcase_add_test(tc, coord_frames_are_found);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
