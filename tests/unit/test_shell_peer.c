/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: two members find each other, carry messages whole and in order, notice the end of a link at once
 * and mend it; everybody who does not belong is refused with a reason, in both directions. Method: sets
 * of two members in one event base over loopback, and plain sockets that speak the handshake wrongly.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "server/shell/base.h"
#include "server/shell/clock.h"
#include "server/shell/frame.h"
#include "server/shell/handshake.h"
#include "server/shell/log.h"
#include "server/shell/net.h"
#include "server/shell/peer.h"

#define WAIT_NS (10 * CLOCK_NS_PER_S)

static struct event_base *base;

struct member {
    struct conf conf;
    struct peer_set *set;
    bool up;
    int ups;
    int downs;
    int frames;
    uint32_t next; /* number expected in the next message */
    uint64_t bytes;
};
static struct member a; /* id 1 */
static struct member b; /* id 2 */

static void on_link(void *ctx, raft_id peer, bool up)
{
    struct member *m = ctx;
    ck_assert_uint_eq(peer, m->conf.id == 1 ? 2 : 1);
    ck_assert(m->up != up); /* each change once */
    m->up = up;
    m->ups += up;
    m->downs += !up;
}

/* Messages begin with their number. */
static void on_frame(void *ctx, raft_id peer, struct coord_buf *buf)
{
    struct member *m = ctx;
    uint32_t number;
    ck_assert_uint_eq(peer, m->conf.id == 1 ? 2 : 1);
    ck_assert_uint_ge(buf->len, 4);
    memcpy(&number, buf->data, 4);
    ck_assert_uint_eq(number, m->next);
    m->next++;
    m->frames++;
    m->bytes += buf->len;
    coord_buf_unref(buf);
}

/* A listener on a free port of loopback. */
static int listener_make(uint16_t *ret_port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(in);
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static int listener_a;
static int listener_b;
static uint16_t port_a;
static uint16_t port_b;

static void conf_make(struct conf *c, uint32_t id)
{
    conf_init(c);
    c->id = id;
    c->members_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        c->members[i].id = i + 1;
        (void)snprintf(c->members[i].peer.host, 16, "127.0.0.1");
        c->members[i].peer.port = i == 0 ? port_a : port_b;
    }
}

static void member_make(struct member *m, uint32_t id, uint64_t incarnation)
{
    struct peer_options o = {.base = base,
                             .host = {.ctx = m, .link = on_link, .frame = on_frame},
                             .conf = &m->conf,
                             .incarnation = incarnation};
    memset(m, 0, sizeof(*m));
    conf_make(&m->conf, id);
    ck_assert_int_eq(peer_set_create(&o, &m->set), 0);
}

static void setup(void)
{
    base = base_create();
    log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), CONF_LOG_DEBUG, CONF_LOG_TEXT, 1);
    listener_a = listener_make(&port_a);
    listener_b = listener_make(&port_b);
    member_make(&a, 1, 111);
    member_make(&b, 2, 222);
}

static void teardown(void)
{
    peer_set_destroy(a.set);
    peer_set_destroy(b.set);
    base_destroy(base);
}

static void turn(void)
{
    base_turn_within(base, 2);
    if (a.set != NULL) {
        (void)peer_set_flush(a.set);
    }
    if (b.set != NULL) {
        (void)peer_set_flush(b.set);
    }
}

#define TURN_UNTIL(condition)                                         \
    do {                                                              \
        uint64_t end_ns = clock_mono_ns() + WAIT_NS;                  \
        while (!(condition) && clock_mono_ns() < end_ns) {            \
            turn();                                                   \
        }                                                             \
        ck_assert_msg((condition), "waited in vain: %s", #condition); \
    } while (0)

static void both_begin(void)
{
    ck_assert_int_eq(peer_set_begin(a.set, listener_a), 0);
    ck_assert_int_eq(peer_set_begin(b.set, listener_b), 0);
    TURN_UNTIL(a.up && b.up);
}

/* Send message number n of len bytes in three parts. */
static void message_send(struct member *from, raft_id to, uint32_t n, uint32_t len)
{
    struct coord_buf *parts[3] = {coord_buf_copy(&n, 4), coord_buf_create(len),
                                  coord_buf_create(1)};
    memset(parts[1]->data, (int)n, len);
    parts[1]->len = len;
    peer_set_send(from->set, to, parts, 3);
    for (int i = 0; i < 3; i++) {
        coord_buf_unref(parts[i]);
    }
}

START_TEST(messages_go_both_ways_in_order)
{
    both_begin();
    for (uint32_t i = 0; i < 500; i++) {
        message_send(&a, 2, i, i % 50 == 0 ? 200000 : i);
        message_send(&b, 1, i, 3);
        if (i % 10 == 0) {
            turn();
        }
    }
    TURN_UNTIL(a.frames == 500 && b.frames == 500);
    ck_assert_int_eq(a.ups, 1);
    ck_assert_int_eq(a.downs, 0);
    struct peer_stats stats;
    ck_assert(peer_set_stats(a.set, 2, &stats));
    ck_assert_uint_eq(stats.dropped, 0);
    ck_assert(!peer_set_stats(a.set, 9, &stats));
}
END_TEST

START_TEST(nothing_is_sent_while_the_link_is_down)
{
    message_send(&a, 2, 77, 10); /* dropped */
    both_begin();
    message_send(&a, 2, 0, 10);
    TURN_UNTIL(b.frames == 1);
    message_send(&a, 9, 1, 10); /* nobody */
}
END_TEST

START_TEST(full_queue_drops_and_counts)
{
    struct peer_stats stats;
    both_begin();
    struct coord_buf *big = coord_buf_create(16 << 20);
    big->len = 16 << 20;
    memset(big->data, 0, 4);
    for (int i = 0; i < 5; i++) {
        peer_set_send(a.set, 2, &big, 1);
    }
    ck_assert(peer_set_stats(a.set, 2, &stats));
    ck_assert_uint_eq(stats.dropped, 2); /* four and their headers are more than the bound */
    ck_assert_uint_le(stats.queued_bytes, PEER_QUEUE_BYTES_MAX);
    ck_assert(a.up);
    coord_buf_unref(big);
}
END_TEST

START_TEST(end_of_a_member_is_noticed_and_mended)
{
    both_begin();
    peer_set_destroy(b.set);
    b.set = NULL;
    TURN_UNTIL(!a.up);
    ck_assert_int_eq(a.downs, 1);
    listener_b = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(port_b)};
    int one = 1;
    ck_assert_int_eq(setsockopt(listener_b, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    ck_assert_int_eq(bind(listener_b, (struct sockaddr *)&in, sizeof(in)), 0);
    ck_assert_int_eq(listen(listener_b, 16), 0);
    member_make(&b, 2, 333); /* the same member, another run */
    ck_assert_int_eq(peer_set_begin(b.set, listener_b), 0);
    TURN_UNTIL(a.up && b.up);
    message_send(&a, 2, 0, 10);
    TURN_UNTIL(b.frames == 1);
}
END_TEST

static void no_link_for_a_while(void)
{
    uint64_t end = clock_mono_ns() + CLOCK_NS_PER_S / 3;
    while (clock_mono_ns() < end) {
        turn();
        ck_assert(!a.up && !b.up);
    }
}

START_TEST(cut_links_stay_cut_until_mended)
{
    raft_id two = 2;
    both_begin();
    peer_set_cut(a.set, &two, 1);
    ck_assert(a.up); /* not from inside the call */
    ck_assert(peer_set_flush(a.set));
    ck_assert(!a.up);
    TURN_UNTIL(!b.up);
    no_link_for_a_while(); /* b keeps trying, in vain */
    peer_set_cut(a.set, NULL, 0);
    TURN_UNTIL(a.up && b.up);
    ck_assert_int_eq(a.downs, 1);
    ck_assert_int_eq(b.downs, 1);
    message_send(&b, 1, 0, 10);
    TURN_UNTIL(a.frames == 1);
}
END_TEST

START_TEST(peers_are_told_when_a_member_leaves)
{
    both_begin();
    peer_set_leave(a.set);
    ck_assert(a.up); /* not from inside the call */
    ck_assert(peer_set_flush(a.set));
    TURN_UNTIL(!a.up && !b.up);
    no_link_for_a_while();
    ck_assert_int_eq(b.downs, 1);
}
END_TEST

/* --- those who do not belong ------------------------------------------------------------------- */

static struct handshake hello_of(uint32_t from, uint32_t to)
{
    return (struct handshake){.kind = HANDSHAKE_HELLO,
                              .version = HANDSHAKE_VERSION,
                              .from = from,
                              .to = to,
                              .cluster = conf_cluster_id(&a.conf),
                              .members = conf_members_hash(&a.conf),
                              .incarnation = 444};
}

static int dial(uint16_t port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void handshake_send(int fd, const struct handshake *h)
{
    uint8_t header[FRAME_PEER_HEADER_BYTES];
    struct coord_buf *buf = handshake_encode(h);
    ck_assert_int_gt(frame_peer_header(&buf, 1, 4096, header), 0);
    ck_assert_int_eq(write(fd, header, sizeof(header)), (ssize_t)sizeof(header));
    ck_assert_int_eq(write(fd, buf->data, buf->len), (ssize_t)buf->len);
    coord_buf_unref(buf);
}

/* Turn until the other end has closed; what it said before is decoded.
 * Return: 1 it said something, 0 it only closed. */
static int answer_await(int fd, struct handshake *ret_h)
{
    uint8_t in[4096];
    size_t have = 0;
    uint64_t end = clock_mono_ns() + WAIT_NS;
    for (;;) {
        turn();
        ssize_t n = read(fd, in + have, sizeof(in) - have);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            break;
        }
        have += n > 0 ? (size_t)n : 0;
        ck_assert_msg(clock_mono_ns() < end, "the connection is not closed");
    }
    if (have == 0) {
        return 0;
    }
    ck_assert_uint_gt(have, FRAME_PEER_HEADER_BYTES);
    ck_assert_int_eq(
        handshake_decode(in + FRAME_PEER_HEADER_BYTES, have - FRAME_PEER_HEADER_BYTES, ret_h), 0);
    return 1;
}

static const struct {
    const char *what;
    const char *refusal;
} wrongs[] = {
    {"another cluster", "another ensemble"},
    {"an id that is not in the list", "member 3 is not in the list of members of member 1"},
    {"meant for somebody else", "wrong member: member 2 meant to reach member 5"},
    {"our own id", "two processes run as member 1"},
    {"id 0", "two processes run as member"},
    {"another version", "version of the peer protocol differs"},
    {"another list of members", "the list of members of member 2 differs"},
    {"with leases", "reads.lease (or with it timing.election) of member 2 differs"}};

START_TEST(wrong_hello_is_refused_with_the_reason)
{
    struct handshake h = hello_of(2, 1);
    struct handshake answer;
    ck_assert_int_eq(peer_set_begin(a.set, listener_a), 0);
    h.cluster += _i == 0;
    h.from = _i == 1 ? 3 : _i == 3 ? 1 : _i == 4 ? 0 : 2;
    h.to = _i == 2 ? 5 : 1;
    h.version = (uint16_t)(HANDSHAKE_VERSION + (_i == 5));
    h.members += _i == 6;
    h.lease_ms += _i == 7 ? 500 : 0;
    int fd = dial(port_a);
    handshake_send(fd, &h);
    ck_assert_msg(answer_await(fd, &answer) == 1, "no answer to %s", wrongs[_i].what);
    ck_assert_int_eq(answer.kind, HANDSHAKE_REFUSAL);
    ck_assert_uint_eq(answer.from, 1);
    ck_assert_msg(strncmp(answer.text, wrongs[_i].refusal, strlen(wrongs[_i].refusal)) == 0,
                  "%s: said '%s'", wrongs[_i].what, answer.text);
    ck_assert_int_eq(a.ups, 0);
    close(fd);
}
END_TEST

START_TEST(noise_is_closed_without_an_answer)
{
    static const char *const noise[] = {"GET / HTTP/1.0\r\n\r\n", "\0\0\0\0\0\0\0\0",
                                        "\0\0\0\4abcdefgh", "\xff\xff\xff\xff\xff\xff\xff\xff"};
    static const size_t lens[] = {18, 8, 12, 8};
    struct handshake answer;
    ck_assert_int_eq(peer_set_begin(a.set, listener_a), 0);
    int fd = dial(port_a);
    ck_assert_int_eq(write(fd, noise[_i], lens[_i]), (ssize_t)lens[_i]);
    ck_assert_int_eq(answer_await(fd, &answer), 0);
    close(fd);
}
END_TEST

START_TEST(silence_is_closed_after_five_seconds)
{
    struct handshake answer;
    ck_assert_int_eq(peer_set_begin(a.set, listener_a), 0);
    int fd = dial(port_a);
    for (int i = 0; i < 10; i++) {
        turn();
    }
    (void)peer_set_sweep(a.set, clock_mono_ns() + 6 * CLOCK_NS_PER_S);
    ck_assert_int_eq(answer_await(fd, &answer), 0);
    close(fd);
}
END_TEST

/* More strangers than there are places, before and after the member comes: it gets in, and stays. */
START_TEST(strangers_keep_no_member_out)
{
    int fds[100];
    ck_assert_int_eq(peer_set_begin(a.set, listener_a), 0);
    for (int i = 0; i < 100; i++) {
        fds[i] = dial(port_a);
        turn(); /* one is accepted a turn */
    }
    uint64_t begun = clock_mono_ns();
    ck_assert_int_eq(peer_set_begin(b.set, listener_b), 0);
    TURN_UNTIL(a.up && b.up);
    /* Not only once the strangers have been closed for their silence. */
    ck_assert_uint_lt(clock_mono_ns() - begun, 4 * CLOCK_NS_PER_S);
    for (int i = 0; i < 100; i++) {
        (void)close(fds[i]);
        fds[i] = dial(port_a);
        turn();
    }
    ck_assert_int_eq(a.downs, 0);
    message_send(&b, 1, 0, 10);
    TURN_UNTIL(a.frames == 1);
    for (int i = 0; i < 100; i++) {
        (void)close(fds[i]);
    }
}
END_TEST

/* The listener stays readable when nothing can be accepted: that must not keep the loop busy. */
START_TEST(no_descriptors_is_no_busy_loop)
{
    struct rlimit before;
    int last = dup(0); /* the lowest that is free */
    ck_assert_int_ge(last, 0);
    int fd = dial(port_a);
    ck_assert_int_eq(peer_set_begin(a.set, listener_a), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    (void)close(last);
    struct rlimit none = {.rlim_cur = (rlim_t)last, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int turns = 0;
    for (uint64_t end = clock_mono_ns() + CLOCK_NS_PER_S / 2; clock_mono_ns() < end; turns++) {
        base_turn_within(base, 20);
    }
    ck_assert_int_lt(turns, 500);
    struct handshake answer;
    struct handshake hello = hello_of(3, 1);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    (void)peer_set_sweep(a.set, clock_mono_ns());
    handshake_send(fd, &hello);
    ck_assert_int_eq(answer_await(fd, &answer), 1);
    ck_assert_int_eq(answer.kind, HANDSHAKE_REFUSAL);
    (void)close(fd);
}
END_TEST

START_TEST(second_process_with_the_same_id_is_refused)
{
    struct handshake h = hello_of(2, 1);
    struct handshake answer;
    both_begin();
    int fd = dial(port_a);
    handshake_send(fd, &h);
    ck_assert_int_eq(answer_await(fd, &answer), 1);
    ck_assert_int_eq(answer.kind, HANDSHAKE_REFUSAL);
    ck_assert_ptr_nonnull(strstr(answer.text, "another process is connected as member 2"));
    ck_assert(a.up);
    ck_assert_int_eq(a.downs, 0);
    close(fd);
}
END_TEST

/* Take a's connection at b's address. */
static int accept_await(void)
{
    int fd = -1;
    uint64_t end = clock_mono_ns() + WAIT_NS;
    while (fd < 0 && clock_mono_ns() < end) {
        turn();
        fd = accept4(listener_b, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    ck_assert_int_ge(fd, 0);
    return fd;
}

/* The way out is checked as well: who answers at b's address must be b. */
START_TEST(wrong_welcome_is_not_believed)
{
    struct handshake h = hello_of(2, 1);
    ck_assert_int_eq(peer_set_begin(a.set, listener_a), 0);
    h.kind = HANDSHAKE_WELCOME;
    h.cluster += _i == 0;
    h.from = _i == 1 ? 1 : 2;
    h.members += _i == 2;
    int in = dial(port_a); /* b's side of the link is right */
    struct handshake ours = hello_of(2, 1);
    handshake_send(in, &ours);
    int fd = accept_await();
    handshake_send(fd, &h);
    struct handshake hello;
    ck_assert_int_eq(answer_await(fd, &hello), 1); /* its hello, then the end */
    ck_assert_int_eq(hello.kind, HANDSHAKE_HELLO);
    ck_assert_uint_eq(hello.to, 2);
    ck_assert_int_eq(a.ups, 0);
    close(fd);
    close(in);
    close(listener_b);
}
END_TEST

START_TEST(other_run_on_the_way_in_is_no_link)
{
    ck_assert_int_eq(peer_set_begin(a.set, listener_a), 0);
    struct handshake hello = hello_of(2, 1);
    int in = dial(port_a);
    handshake_send(in, &hello); /* incarnation 444 */
    int fd = accept_await();
    struct handshake welcome = hello_of(2, 1);
    welcome.kind = HANDSHAKE_WELCOME;
    welcome.incarnation = 555;
    handshake_send(fd, &welcome);
    uint64_t end = clock_mono_ns() + CLOCK_NS_PER_S / 5;
    while (clock_mono_ns() < end) {
        turn();
    }
    ck_assert_int_eq(a.ups, 0);
    close(fd);
    close(in);
    close(listener_b);
}
END_TEST

START_TEST(handshakes_are_read_strictly)
{
    struct handshake h = hello_of(1, 2);
    struct handshake back;
    h.kind = HANDSHAKE_REFUSAL;
    memset(h.text, 'x', HANDSHAKE_TEXT_BYTES);
    struct coord_buf *buf = handshake_encode(&h);
    ck_assert_uint_eq(buf->len, HANDSHAKE_BYTES_MAX);
    ck_assert_int_eq(handshake_decode(buf->data, buf->len, &back), 0);
    ck_assert_str_eq(back.text, h.text);
    ck_assert_uint_eq(back.cluster, h.cluster);
    ck_assert_uint_eq(back.incarnation, 444);
    for (uint32_t len = 0; len < HANDSHAKE_BYTES; len++) {
        ck_assert_int_eq(handshake_decode(buf->data, len, &back), -1);
    }
    buf->data[10] = HANDSHAKE_HELLO; /* carries no text */
    ck_assert_int_eq(handshake_decode(buf->data, buf->len, &back), -1);
    ck_assert_int_eq(handshake_decode(buf->data, HANDSHAKE_BYTES, &back), 0);
    buf->data[10] = 4;
    ck_assert_int_eq(handshake_decode(buf->data, HANDSHAKE_BYTES, &back), -1);
    buf->data[10] = HANDSHAKE_HELLO;
    buf->data[0] ^= 1;
    ck_assert_int_eq(handshake_decode(buf->data, HANDSHAKE_BYTES, &back), -1);
    coord_buf_unref(buf);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shell_peer");
    TCase *t = tcase_create("peer");
    tcase_set_timeout(t, 20);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, messages_go_both_ways_in_order);
    tcase_add_test(t, nothing_is_sent_while_the_link_is_down);
    tcase_add_test(t, full_queue_drops_and_counts);
    tcase_add_test(t, end_of_a_member_is_noticed_and_mended);
    tcase_add_test(t, cut_links_stay_cut_until_mended);
    tcase_add_test(t, peers_are_told_when_a_member_leaves);
    tcase_add_loop_test(t, wrong_hello_is_refused_with_the_reason, 0, 8);
    tcase_add_loop_test(t, noise_is_closed_without_an_answer, 0, 4);
    tcase_add_test(t, silence_is_closed_after_five_seconds);
    tcase_add_test(t, strangers_keep_no_member_out);
    tcase_add_test(t, no_descriptors_is_no_busy_loop);
    tcase_add_test(t, second_process_with_the_same_id_is_refused);
    tcase_add_loop_test(t, wrong_welcome_is_not_believed, 0, 3);
    tcase_add_test(t, other_run_on_the_way_in_is_no_link);
    tcase_add_test(t, handshakes_are_read_strictly);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
