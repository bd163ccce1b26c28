/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: however the bytes of a stream are cut, the frames come out whole and in order, or the stream is
 * refused before anything large is allocated; and what is queued for a socket arrives byte for byte.
 * Method: a socketpair, one end written in pieces chosen by the test, the other read by frame_read; the
 * output queue against a socket with a small buffer.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "server/shell/frame.h"
#include "server/shell/outq.h"

#define ROOM 48
#define MAX  (4U * 1024 * 1024)

static int pair[2];
static uint8_t scratch[FRAME_SCRATCH_BYTES];

struct got {
    struct coord_buf *frames[4096];
    int count;
    int stop_at; /* -1 never */
};
static struct got got;

static int take(void *arg, struct coord_buf *buf)
{
    struct got *g = arg;
    ck_assert_int_lt(g->count, 4096);
    g->frames[g->count++] = buf;
    return g->count == g->stop_at;
}

static void setup(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    memset(&got, 0, sizeof(got));
    got.stop_at = -1;
}

static void teardown(void)
{
    for (int i = 0; i < got.count; i++) {
        coord_buf_unref(got.frames[i]);
    }
    close(pair[0]);
    close(pair[1]);
}

static struct frame_reader client_reader(void)
{
    return (struct frame_reader){
        .header_bytes = FRAME_CLIENT_HEADER_BYTES, .head_room = ROOM, .body_bytes_max = MAX};
}

static void put(const void *bytes, size_t len)
{
    ck_assert_int_eq(write(pair[0], bytes, len), (ssize_t)len);
}

static size_t frame_make(uint8_t *out, uint32_t len, uint8_t seed)
{
    out[0] = (uint8_t)(len >> 24);
    out[1] = (uint8_t)(len >> 16);
    out[2] = (uint8_t)(len >> 8);
    out[3] = (uint8_t)len;
    for (uint32_t i = 0; i < len; i++) {
        out[4 + i] = (uint8_t)(seed + i * 7);
    }
    return 4 + (size_t)len;
}

static void frame_expect(int at, uint32_t len, uint8_t seed)
{
    ck_assert_int_lt(at, got.count);
    const struct coord_buf *b = got.frames[at];
    ck_assert_uint_eq(b->len, ROOM + len);
    for (uint32_t i = 0; i < ROOM; i++) {
        ck_assert_uint_eq(b->data[i], 0); /* no old memory in the room */
    }
    for (uint32_t i = 0; i < len; i++) {
        ck_assert_uint_eq(b->data[ROOM + i], (uint8_t)(seed + i * 7));
    }
}

START_TEST(bytes_come_one_at_a_time)
{
    struct frame_reader r = client_reader();
    uint8_t bytes[600];
    size_t n = frame_make(bytes, 1, 3);
    n += frame_make(bytes + n, 100, 5);
    n += frame_make(bytes + n, 257, 9);
    for (size_t i = 0; i < n; i++) {
        put(bytes + i, 1);
        ck_assert_int_eq(frame_read(&r, pair[1], scratch, take, &got), 1);
        bool between = i + 1 == 5 || i + 1 == 109 || i + 1 == n;
        ck_assert_int_eq(frame_inside(&r), !between);
    }
    ck_assert_int_eq(got.count, 3);
    frame_expect(0, 1, 3);
    frame_expect(1, 100, 5);
    frame_expect(2, 257, 9);
    ck_assert_int_eq(frame_read(&r, pair[1], scratch, take, &got), 0); /* nothing there */
}
END_TEST

START_TEST(many_frames_come_in_one_read)
{
    struct frame_reader r = client_reader();
    uint8_t bytes[FRAME_SCRATCH_BYTES];
    size_t n = 0;
    int frames = 0;
    while (n + 4 + 60 < sizeof(bytes) / 2) {
        n += frame_make(bytes + n, (uint32_t)(1 + frames % 60), (uint8_t)frames);
        frames++;
    }
    put(bytes, n);
    ck_assert_int_eq(frame_read(&r, pair[1], scratch, take, &got), (ssize_t)n);
    ck_assert_int_eq(got.count, frames);
    for (int i = 0; i < frames; i++) {
        frame_expect(i, (uint32_t)(1 + i % 60), (uint8_t)i);
    }
}
END_TEST

/* Cut a stream of small, large and small frames at every multiple of a step. */
START_TEST(large_frames_survive_any_cut)
{
    static const size_t steps[] = {4095, 4096, 5000, 65536, 70000, 131072};
    static uint8_t bytes[700000];
    struct frame_reader r = client_reader();
    size_t n = frame_make(bytes, 10, 1);
    n += frame_make(bytes + n, 300000, 2);
    n += frame_make(bytes + n, 20, 3);
    n += frame_make(bytes + n, 65536, 4);
    n += frame_make(bytes + n, 65532, 5);
    n += frame_make(bytes + n, 1, 6);
    size_t step = steps[_i];
    for (size_t at = 0; at < n;) {
        size_t piece = n - at < step ? n - at : step;
        ssize_t w = write(pair[0], bytes + at, piece);
        ck_assert(w > 0 || errno == EAGAIN);
        at += w > 0 ? (size_t)w : 0;
        ck_assert_int_ge(frame_read(&r, pair[1], scratch, take, &got), 0);
    }
    while (frame_read(&r, pair[1], scratch, take, &got) > 0) {
    }
    ck_assert_int_eq(got.count, 6);
    frame_expect(0, 10, 1);
    frame_expect(1, 300000, 2);
    frame_expect(2, 20, 3);
    frame_expect(3, 65536, 4);
    frame_expect(4, 65532, 5);
    frame_expect(5, 1, 6);
}
END_TEST

START_TEST(bad_lengths_are_refused_from_the_header)
{
    static const uint8_t headers[][4] = {{0, 0, 0, 0},
                                         {0xff, 0xff, 0xff, 0xff},
                                         {0x7f, 0xff, 0xff, 0xff},
                                         {0, 0x40, 0, 1},
                                         {'G', 'E', 'T', ' '}};
    struct frame_reader r = client_reader();
    put(headers[_i], 4);
    ck_assert_int_eq(frame_read(&r, pair[1], scratch, take, &got), FRAME_ETOOBIG);
    ck_assert_ptr_null(r.buf);
    put("\0\0\0\1x", 5); /* sticky: a good frame behind it changes nothing */
    ck_assert_int_eq(frame_read(&r, pair[1], scratch, take, &got), FRAME_ETOOBIG);
    ck_assert_int_eq(got.count, 0);
}
END_TEST

START_TEST(frame_at_the_limit_is_taken)
{
    struct frame_reader r = client_reader();
    r.body_bytes_max = 1000;
    uint8_t bytes[1100];
    put(bytes, frame_make(bytes, 1000, 1));
    ck_assert_int_gt(frame_read(&r, pair[1], scratch, take, &got), 0);
    frame_expect(0, 1000, 1);
    put(bytes, frame_make(bytes, 1001, 1));
    ck_assert_int_eq(frame_read(&r, pair[1], scratch, take, &got), FRAME_ETOOBIG);
}
END_TEST

START_TEST(memory_follows_what_arrived)
{
    struct frame_reader r = client_reader();
    put("\0\x40\0\0abc", 7); /* 4 MiB announced, three bytes sent */
    ck_assert_int_eq(frame_read(&r, pair[1], scratch, take, &got), 7);
    ck_assert_ptr_nonnull(r.buf);
    ck_assert_uint_le(r.buf->cap, 8192);
    frame_clear(&r);
    ck_assert_int_eq(frame_inside(&r), 0);
}
END_TEST

START_TEST(end_of_stream_says_where)
{
    struct frame_reader r = client_reader();
    put("\0\0\0\1x", 5);
    if (_i == 1) {
        put("\0\0", 2);
    } else if (_i == 2) {
        put("\0\0\0\5abc", 7);
    }
    ck_assert_int_eq(shutdown(pair[0], SHUT_WR), 0);
    ck_assert_int_gt(frame_read(&r, pair[1], scratch, take, &got), 0);
    ck_assert_int_eq(frame_read(&r, pair[1], scratch, take, &got), _i == 0 ? FRAME_EOF : FRAME_CUT);
    ck_assert_int_eq(got.count, 1);
    frame_clear(&r);
}
END_TEST

START_TEST(deliver_can_stop)
{
    struct frame_reader r = client_reader();
    put("\0\0\0\1x\0\0\0\1y\0\0\0\1z", 15);
    got.stop_at = 2;
    ck_assert_int_eq(frame_read(&r, pair[1], scratch, take, &got), 15);
    ck_assert_int_eq(got.count, 2);
}
END_TEST

/* --- peer frames and the output queue ---------------------------------------------------------- */

static struct frame_reader peer_reader(void)
{
    return (struct frame_reader){.header_bytes = FRAME_PEER_HEADER_BYTES, .body_bytes_max = MAX};
}

/* Queue a frame of `count` parts and send it all. */
static void peer_send(struct outq *q, struct coord_buf *const *parts, uint32_t count)
{
    uint8_t header[FRAME_PEER_HEADER_BYTES];
    ck_assert_int_gt(frame_peer_header(parts, count, MAX, header), 0);
    ck_assert_int_eq(outq_head(q, header, sizeof(header)), 0);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_int_eq(outq_buf(q, parts[i]), 0);
    }
    ck_assert_int_eq(outq_flush(q, pair[0]), 1);
    ck_assert_uint_eq(q->bytes, 0);
}

START_TEST(parts_arrive_joined_and_checked)
{
    struct frame_reader r = peer_reader();
    struct outq q = {.items = NULL};
    struct coord_buf *parts[3] = {coord_buf_copy("head", 4), coord_buf_copy("", 0),
                                  coord_buf_copy("tail!", 5)};
    peer_send(&q, parts, 3);
    peer_send(&q, parts, 1);
    while (frame_read(&r, pair[1], scratch, take, &got) > 0) {
    }
    ck_assert_int_eq(got.count, 2);
    ck_assert_uint_eq(got.frames[0]->len, 9);
    ck_assert_int_eq(memcmp(got.frames[0]->data, "headtail!", 9), 0);
    ck_assert_int_eq(memcmp(got.frames[1]->data, "head", 4), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(parts[i]->refs, 1); /* the queue gave its references back */
        coord_buf_unref(parts[i]);
    }
    outq_clear(&q);
}
END_TEST

START_TEST(flipped_bit_is_found)
{
    struct frame_reader r = peer_reader();
    struct coord_buf *part = coord_buf_copy("a message of the core", 21);
    uint8_t bytes[FRAME_PEER_HEADER_BYTES + 21];
    ck_assert_int_eq(frame_peer_header(&part, 1, MAX, bytes), 21);
    memcpy(bytes + FRAME_PEER_HEADER_BYTES, part->data, 21);
    bytes[4 + _i % 25] ^= (uint8_t)(1 << (_i % 8)); /* check or body */
    put(bytes, sizeof(bytes));
    ck_assert_int_eq(frame_read(&r, pair[1], scratch, take, &got), FRAME_ECHECK);
    ck_assert_int_eq(got.count, 0);
    frame_clear(&r);
    coord_buf_unref(part);
}
END_TEST

START_TEST(empty_and_oversize_messages_have_no_header)
{
    uint8_t header[FRAME_PEER_HEADER_BYTES];
    struct coord_buf *empty = coord_buf_copy("", 0);
    struct coord_buf *ten = coord_buf_copy("0123456789", 10);
    ck_assert_int_eq(frame_peer_header(&empty, 1, MAX, header), -1);
    ck_assert_int_eq(frame_peer_header(&ten, 1, 9, header), -1);
    ck_assert_int_eq(frame_peer_header(&ten, 1, 10, header), 10);
    coord_buf_unref(empty);
    coord_buf_unref(ten);
}
END_TEST

START_TEST(queue_waits_for_a_full_socket)
{
    int small = 4096;
    struct outq q = {.items = NULL};
    struct coord_buf *bufs[40];
    static uint8_t in[40 * 5001];
    size_t have = 0;
    ck_assert_int_eq(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    for (int i = 0; i < 40; i++) {
        bufs[i] = coord_buf_create(5001);
        memset(bufs[i]->data, i, 5001);
        bufs[i]->len = 5001;
        ck_assert_int_eq(outq_buf(&q, bufs[i]), 0);
    }
    ck_assert_uint_eq(q.bytes, 40 * 5001);
    int full = 0;
    while (have < sizeof(in)) {
        int rc = outq_flush(&q, pair[0]);
        ck_assert_int_ge(rc, 0);
        full += rc == 0;
        ssize_t n = read(pair[1], in + have, 777);
        have += n > 0 ? (size_t)n : 0;
        ck_assert_uint_le(q.bytes, sizeof(in) - have);
    }
    ck_assert_int_gt(full, 10);
    for (size_t i = 0; i < sizeof(in); i++) {
        ck_assert_uint_eq(in[i], (uint8_t)(i / 5001));
    }
    for (int i = 0; i < 40; i++) {
        ck_assert_uint_eq(bufs[i]->refs, 1);
        coord_buf_unref(bufs[i]);
    }
    outq_clear(&q);
}
END_TEST

START_TEST(queue_says_when_the_other_end_is_gone)
{
    struct outq q = {.items = NULL};
    struct coord_buf *b = coord_buf_copy("x", 1);
    ck_assert_int_eq(outq_buf(&q, b), 0);
    ck_assert_int_eq(close(pair[1]), 0);
    pair[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(outq_flush(&q, pair[0]), -EPIPE);
    ck_assert_uint_eq(b->refs, 2);
    outq_clear(&q);
    ck_assert_uint_eq(b->refs, 1);
    coord_buf_unref(b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shell_frame");
    TCase *t = tcase_create("frame");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, bytes_come_one_at_a_time);
    tcase_add_test(t, many_frames_come_in_one_read);
    tcase_add_loop_test(t, large_frames_survive_any_cut, 0, 6);
    tcase_add_loop_test(t, bad_lengths_are_refused_from_the_header, 0, 5);
    tcase_add_test(t, frame_at_the_limit_is_taken);
    tcase_add_test(t, memory_follows_what_arrived);
    tcase_add_loop_test(t, end_of_stream_says_where, 0, 3);
    tcase_add_test(t, deliver_can_stop);
    tcase_add_test(t, parts_arrive_joined_and_checked);
    tcase_add_loop_test(t, flipped_bit_is_found, 0, 25);
    tcase_add_test(t, empty_and_oversize_messages_have_no_header);
    tcase_add_test(t, queue_waits_for_a_full_socket);
    tcase_add_test(t, queue_says_when_the_other_end_is_gone);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
