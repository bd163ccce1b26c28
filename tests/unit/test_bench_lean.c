/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_bench_lean.c: lean connections: each request is answered once whatever arrives in whatever pieces, nonsense ends the
 * connection, and members can be asked for what they are.
 * Method: a server in the same thread, which the test lets answer what and in what pieces it likes.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "client/bench/wire.h"

#define TURNS 200

/* The server's side. */
static int listener = -1, peer = -1;
static uint8_t got[65536];
static size_t got_bytes;
static char address[64];

/* What the connection was told. */
static struct {
    int ups, downs, down_error, replies, events, after_down;
    int errors[16];
    void *tags[16];
    struct coord_event event;
} seen;

static struct wire_set set;
static struct wire w;
static char tag_bytes[16];

static void on_up(struct wire *c)
{
    (void)c;
    seen.ups++;
}

static void on_down(struct wire *c, int error)
{
    (void)c;
    seen.downs++;
    seen.down_error = error;
}

static void on_reply(struct wire *c, void *tag, const struct wire_reply *r)
{
    (void)c;
    ck_assert_int_lt(seen.replies, 16);
    seen.after_down += seen.downs;
    seen.tags[seen.replies] = tag;
    seen.errors[seen.replies++] = r->error;
}

static void on_event(struct wire *c, const uint8_t *body, size_t bytes, uint64_t now_ns)
{
    char why[64];

    (void)c, (void)now_ns;
    seen.events++;
    ck_assert_int_eq(coord_event_decode(body, bytes, &seen.event, why, sizeof why), 0);
}

static const struct wire_handlers handlers = {on_up, on_down, on_reply, on_event};

static void setup(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;

    memset(&seen, 0, sizeof seen);
    got_bytes = 0;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(listener, 4), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(a.sin_port));
    ck_assert(wire_set_init(&set, address, &handlers));
}

static void teardown(void)
{
    wire_finish(&w);
    wire_set_finish(&set);
    close(peer);
    close(listener);
    peer = -1;
}

static void turn(void)
{
    ck_assert_int_ge(wire_set_turn(&set, 1000000), 0);
}

/* Turn until so many bytes of requests are at the server. */
static void pump(void)
{
    turn();
    if (peer < 0) {
        peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
    ssize_t n = peer >= 0 ? recv(peer, got + got_bytes, sizeof got - got_bytes, 0) : 0;
    got_bytes += n > 0 ? (size_t)n : 0;
}

/* The next request that came. */
static struct coord_request next_request(void)
{
    struct coord_request q;
    char why[128];
    static uint8_t frame[65536];

    for (int i = 0; i < TURNS; i++) {
        int64_t size = coord_frame_size(got, got_bytes, sizeof got);
        ck_assert_int_ge(size, 0);
        if (size > 0 && (size_t)size <= got_bytes) {
            memcpy(frame, got, (size_t)size);
            got_bytes -= (size_t)size;
            memmove(got, got + size, got_bytes);
            ck_assert_int_eq(coord_request_decode(frame + COORD_FRAME_HEADER_BYTES,
                                                  (size_t)size - COORD_FRAME_HEADER_BYTES, &q, why,
                                                  sizeof why),
                             0);
            return q;
        }
        pump();
    }
    ck_abort_msg("no request came");
    return q;
}

static void send_all(const struct coord_buf *b, size_t piece)
{
    for (size_t at = 0; at < b->len;) {
        size_t n = b->len - at < piece ? b->len - at : piece;
        ck_assert_int_eq(send(peer, b->data + at, n, MSG_NOSIGNAL), (ssize_t)n);
        at += n;
        if (piece < b->len) {
            turn();
        }
    }
}

static void answer(enum coord_op op, uint64_t number, int error, size_t piece)
{
    struct coord_buf *b = NULL;
    struct coord_result res = {.number = number, .error = error};

    res.version = 1;
    res.receipt.revision = 100 + number;
    res.session = 77;
    ck_assert_int_eq(coord_result_encode(op, &res, &b), 0);
    send_all(b, piece);
    coord_buf_unref(b);
}

/* Connect, and answer the hello (and the opening of a session). */
static void bring_up(uint32_t flying)
{
    ck_assert(wire_init(&w, &set, 0, flying, NULL));
    ck_assert_int_eq(wire_connect(&w), 0);
    struct coord_request q = next_request();
    ck_assert_int_eq((int)q.op, COORD_OP_HELLO);
    ck_assert_uint_eq(q.number, 1);
    answer(COORD_OP_HELLO, 1, 0, 1000);
    if (set.session) {
        q = next_request();
        ck_assert_int_eq((int)q.op, COORD_OP_SESSION_OPEN);
        ck_assert_uint_eq(q.timeout_ms, set.session_timeout_ms);
        answer(COORD_OP_SESSION_OPEN, q.number, 0, 1000);
    }
    for (int i = 0; i < TURNS && seen.ups == 0; i++) {
        turn();
    }
    ck_assert_int_eq(seen.ups, 1);
}

static int send_exists(int tag)
{
    struct coord_request q = {
        .op = COORD_OP_EXISTS, .path = {(const uint8_t *)"/a", 2}, .level = COORD_LEVEL_LOCAL};

    return wire_send(&w, &q, &tag_bytes[tag]);
}

static void until_replies(int count)
{
    for (int i = 0; i < TURNS && seen.replies < count; i++) {
        turn();
    }
    ck_assert_int_eq(seen.replies, count);
}

/* Byte by byte, with an event in between. */
START_TEST(answers_in_pieces)
{
    struct coord_buf *b = NULL;
    struct coord_event ev = {.watch = 5, .revision = 9, .state = COORD_EVENT_PROGRESS};

    set.session = true;
    set.session_timeout_ms = 4321;
    bring_up(4);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(send_exists(i), 0);
    }
    uint64_t first = next_request().number;
    ck_assert_uint_eq(first, 3);
    ck_assert_uint_eq(next_request().number, 4);
    ck_assert_uint_eq(next_request().number, 5);
    answer(COORD_OP_EXISTS, 3, 0, 1);
    ck_assert_int_eq(coord_event_encode(&ev, &b), 0);
    send_all(b, 1);
    coord_buf_unref(b);
    answer(COORD_OP_EXISTS, 4, COORD_ENONODE, 3);
    answer(COORD_OP_EXISTS, 5, 0, 1000);
    until_replies(3);
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_eq(seen.tags[i], &tag_bytes[i]);
        ck_assert_int_eq(seen.errors[i], i == 1 ? COORD_ENONODE : 0);
    }
    ck_assert_int_eq(seen.events, 1);
    ck_assert_uint_eq(seen.event.revision, 9);
    ck_assert_uint_eq(w.seen, 105);
    ck_assert_int_eq(seen.downs, 0);
    /* And what was answered is told as seen. */
    ck_assert_int_eq(send_exists(3), 0);
    ck_assert_uint_eq(next_request().acked, 5);
}
END_TEST

START_TEST(no_more_than_allowed)
{
    bring_up(3); /* rounded up to 4, one of which is for a keep-alive */
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(send_exists(i), 0);
    }
    ck_assert_int_eq(send_exists(4), COORD_EBUSY);
}
END_TEST

/* Everything under way is answered with ECONNECT, once, and then the end is told. */
START_TEST(a_lost_connection)
{
    bring_up(4);
    ck_assert_int_eq(send_exists(0), 0);
    ck_assert_int_eq(send_exists(1), 0);
    (void)next_request();
    close(peer);
    peer = -1;
    until_replies(2);
    ck_assert_int_eq(seen.errors[0], COORD_ECONNECT);
    ck_assert_int_eq(seen.errors[1], COORD_ECONNECT);
    ck_assert_int_eq(seen.downs, 1);
    ck_assert_int_eq(seen.after_down, 0);
    ck_assert_int_eq(send_exists(2), COORD_ECONNECT);
    /* It can be connected again and begins anew. */
    wire_finish(&w);
    seen.ups = 0;
    got_bytes = 0;
    bring_up(4);
}
END_TEST

/* Bytes that are no answer to what was asked end the connection. */
static void nonsense(const void *bytes, size_t len)
{
    bring_up(4);
    ck_assert_int_eq(send_exists(0), 0);
    (void)next_request();
    ck_assert_int_eq(send(peer, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
    until_replies(1);
    ck_assert_int_eq(seen.downs, 1);
    ck_assert_int_ne(seen.down_error, 0);
    ck_assert_int_ne(seen.errors[0], 0);
}

START_TEST(answers_that_are_none)
{
    static const struct {
        const char *bytes;
        size_t len;
    } table[] = {{"\0\0\0\0", 4},
                 {"\xff\xff\xff\xff", 4},
                 {"\0\0\0\1\x90", 5},
                 {"\0\0\0\4\xa3xyz", 8},
                 {"\0\0\0\4\x93\x02\x00\xc0", 8},
                 {"\0\0\0\4\x93\x02\xc0\xc0", 8},
                 {"\0\0\0\3\x93\xcf\x01", 7}};

    nonsense(table[_i].bytes, table[_i].len);
}
END_TEST

/* The answer to another request than the oldest. */
START_TEST(answers_out_of_order)
{
    bring_up(4);
    ck_assert_int_eq(send_exists(0), 0);
    ck_assert_int_eq(send_exists(1), 0);
    (void)next_request();
    answer(COORD_OP_EXISTS, 3, 0, 1000);
    until_replies(2);
    ck_assert_int_eq(seen.down_error, COORD_EPROTO);
}
END_TEST

START_TEST(a_refused_hello)
{
    ck_assert(wire_init(&w, &set, 0, 1, NULL));
    ck_assert_int_eq(wire_connect(&w), 0);
    (void)next_request();
    answer(COORD_OP_HELLO, 1, COORD_EVERSION, 1000);
    for (int i = 0; i < TURNS && seen.downs == 0; i++) {
        turn();
    }
    ck_assert_int_eq(seen.downs, 1);
    ck_assert_int_eq(seen.down_error, COORD_EVERSION);
    ck_assert_int_eq(seen.ups + seen.replies, 0);
}
END_TEST

START_TEST(nobody_is_there)
{
    close(listener);
    listener = -1;
    ck_assert(wire_init(&w, &set, 0, 1, NULL));
    if (wire_connect(&w) == 0) {
        for (int i = 0; i < TURNS && seen.downs == 0; i++) {
            turn();
        }
        ck_assert_int_eq(seen.down_error, COORD_ECONNECT);
    }
    ck_assert_int_eq((int)w.state, WIRE_CLOSED);
}
END_TEST

/* More than the socket takes at once goes out in its own time. */
START_TEST(more_than_a_socket_takes)
{
    static char value[1024 * 1024];
    uint64_t bytes = 0;

    bring_up(64);
    memset(value, 'x', sizeof value);
    for (int i = 0; i < 16; i++) {
        struct coord_request q = {.op = COORD_OP_SET,
                                  .path = {(const uint8_t *)"/a", 2},
                                  .data = {(const uint8_t *)value, sizeof value},
                                  .expect_version = COORD_VERSION_ANY};
        ck_assert_int_eq(wire_send(&w, &q, &tag_bytes[i]), 0);
    }
    for (int i = 0; i < 100000 && bytes < 16 * sizeof value; i++) {
        got_bytes = 0;
        pump();
        bytes += got_bytes;
    }
    ck_assert_uint_ge(bytes, 16 * sizeof value);
    ck_assert(!w.want_out || w.out_at == 0);
    ck_assert_int_eq(seen.downs, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bench_lean");
    TCase *t = tcase_create("wire");
    SRunner *r = srunner_create(s);

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, answers_in_pieces);
    tcase_add_test(t, no_more_than_allowed);
    tcase_add_test(t, a_lost_connection);
    tcase_add_loop_test(t, answers_that_are_none, 0, 7);
    tcase_add_test(t, answers_out_of_order);
    tcase_add_test(t, a_refused_hello);
    tcase_add_test(t, nobody_is_there);
    tcase_add_test(t, more_than_a_socket_takes);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
