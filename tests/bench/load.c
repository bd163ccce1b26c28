/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c: lanes on one epoll. Reads what a socket has, lets the wire take what is whole, and writes each lane once
 * for all that its input led to. See load.h for the invariants.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "tests/bench/load.h"

#define EVENTS_PER_TURN 256
#define READ_BYTES      (64 * 1024)
/* Edge-triggered: the kernel looks at a socket once for each arrival, not again after it was read. */
#define LANE_EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)
#define QUIET_NS    (3 * NS_PER_S) /* a lane that sent nothing for so long pings */
#define LEAVE_S     3.0

uint64_t load_clock(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* xorshift64*: picks keys; nothing depends on its quality. */
uint64_t load_random(struct load *ld)
{
    ld->random ^= ld->random >> 12;
    ld->random ^= ld->random << 25;
    ld->random ^= ld->random >> 27;
    return ld->random * 2685821657736338717ull;
}

int load_init(struct load *ld, size_t lanes, size_t shots)
{
    ld->lanes = calloc(lanes, sizeof *ld->lanes);
    ld->shots = calloc(shots, sizeof *ld->shots);
    ld->value = malloc(LOAD_VALUE_MAX);
    ld->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (ld->lanes == NULL || ld->shots == NULL || ld->value == NULL || ld->epoll < 0) {
        fprintf(stderr, "%s: no memory for the load\n", load_wire.system);
        return -1;
    }
    ld->lanes_count = lanes;
    memset(ld->value, 'x', LOAD_VALUE_MAX);
    for (size_t i = 0; i < lanes; i++) {
        ld->lanes[i] = (struct lane){.load = ld, .fd = -1};
    }
    for (size_t i = 0; i < shots; i++) {
        load_give_back(ld, &ld->shots[i]);
    }
    ld->run_id = load_clock();
    ld->random = ld->run_id | 1;
    return 0;
}

void load_finish(struct load *ld)
{
    for (size_t i = 0; ld->lanes != NULL && i < ld->lanes_count; i++) {
        lane_close(&ld->lanes[i]);
    }
    if (ld->epoll >= 0) {
        (void)close(ld->epoll);
    }
    bytes_clear(&ld->spare);
    free(ld->lanes);
    free(ld->shots);
    free(ld->value);
}

/* --- shots ------------------------------------------------------------------------------------- */

struct shot *load_shot(struct load *ld)
{
    struct shot *s = ld->free_shots;

    if (s != NULL) {
        ld->free_shots = s->next;
        s->next = NULL;
    }
    return s;
}

void load_give_back(struct load *ld, struct shot *s)
{
    s->lane = NULL;
    s->next = ld->free_shots;
    ld->free_shots = s;
}

struct shot *lane_oldest(struct lane *l)
{
    struct shot *s = l->oldest;

    if (s != NULL) {
        l->oldest = s->next;
        s->next = NULL;
    }
    return s;
}

static void queue_newest(struct lane *l, struct shot *s)
{
    s->next = NULL;
    if (l->oldest == NULL) {
        l->oldest = s;
    } else {
        l->newest->next = s;
    }
    l->newest = s;
}

static int lane_break(struct lane *l, const char *why)
{
    struct load *ld = l->load;

    if (l->state != LANE_BROKEN) {
        l->state = LANE_BROKEN;
        ld->broken_lanes++;
        ld->broken_why = why;
    }
    return -1;
}

int lane_shoot(struct lane *l, struct shot *s)
{
    if (l->state != LANE_READY) {
        load_give_back(l->load, s);
        return -1;
    }
    s->lane = l;
    s->start_ns = l->load->now_ns;
    l->touched_ns = s->start_ns;
    l->under_way++;
    l->load->under_way++;
    if (load_wire.in_order) {
        queue_newest(l, s);
    }
    return load_wire.send(l, s) == 0 ? 0 : lane_break(l, "a request could not be sent");
}

/* --- called by the wire ------------------------------------------------------------------------ */

void lane_ready(struct lane *l)
{
    if (l->state == LANE_OPENING) {
        l->state = LANE_READY;
        l->load->ready_lanes++;
    }
}

void lane_done(struct lane *l, struct shot *s, enum load_result result, int64_t code)
{
    if (result == RESULT_FAILED && l->load->first_error == 0) {
        l->load->first_error = code;
    }
    l->under_way--;
    l->load->under_way--;
    l->load->on_done(l->load, s, result);
}

void lane_told(struct lane *l)
{
    if (l->load->on_told != NULL) {
        l->load->on_told(l->load, l);
    }
}

void lane_left(struct lane *l)
{
    if (l->state == LANE_LEAVING) {
        l->state = LANE_GONE;
        l->load->left_lanes++;
    }
}

/* --- sockets ----------------------------------------------------------------------------------- */

int lane_open(struct load *ld, size_t i, size_t server)
{
    struct lane *l = &ld->lanes[i];
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct epoll_event ev = {.events = LANE_EVENTS, .data.ptr = l};
    int on = 1;

    to.sin_port = htons(ld->o.servers[server].port);
    if (inet_pton(AF_INET, ld->o.servers[server].host, &to.sin_addr) != 1) {
        return lane_break(l, "a server's address is not numeric");
    }
    l->server = server;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        return lane_break(l, "no socket");
    }
    /* On loopback connecting is a matter of microseconds, so it may block; afterwards nothing does. */
    if (connect(l->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        return lane_break(l, "a server refuses connections");
    }
    (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* only slower without */
    if (epoll_ctl(ld->epoll, EPOLL_CTL_ADD, l->fd, &ev) != 0) {
        return lane_break(l, "epoll_ctl failed");
    }
    l->state = LANE_OPENING;
    l->touched_ns = load_clock();
    ld->open_lanes++;
    if (load_wire.hello(l) != 0 || lane_flush(l) != 0) {
        return lane_break(l, "the connection could not be opened");
    }
    if (load_wire.ready_at_once) {
        lane_ready(l);
    }
    return 0;
}

void lane_close(struct lane *l)
{
    struct load *ld = l->load;

    if (ld == NULL) {
        return;
    }
    if (load_wire.finish != NULL) {
        load_wire.finish(l);
    }
    for (struct shot *s = lane_oldest(l); s != NULL; s = lane_oldest(l)) {
        load_give_back(ld, s);
    }
    if (l->fd >= 0) {
        (void)close(l->fd);
    }
    ld->under_way -= l->under_way;
    bytes_clear(&l->in);
    bytes_clear(&l->out);
    *l = (struct lane){.load = ld, .fd = -1};
}

static int want_write(struct lane *l, bool wanted)
{
    struct epoll_event ev = {.events = LANE_EVENTS | (wanted ? EPOLLOUT : 0u), .data.ptr = l};

    if (l->write_wanted == wanted) {
        return 0;
    }
    l->write_wanted = wanted;
    return epoll_ctl(l->load->epoll, EPOLL_CTL_MOD, l->fd, &ev) == 0
               ? 0
               : lane_break(l, "epoll_ctl failed");
}

int lane_flush(struct lane *l)
{
    if (l->state == LANE_CLOSED || l->state == LANE_BROKEN) {
        return -1;
    }
    if (load_wire.pump != NULL && load_wire.pump(l) != 0) {
        return lane_break(l, "requests could not be framed");
    }
    if (l->out.failed) {
        return lane_break(l, "no memory");
    }
    while (l->out_sent < l->out.len) {
        ssize_t n = send(l->fd, l->out.data + l->out_sent, l->out.len - l->out_sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return want_write(l, true);
        }
        if (n < 0) {
            return lane_break(l, "a server closed the connection");
        }
        l->out_sent += (size_t)n;
    }
    l->out.len = 0;
    l->out_sent = 0;
    return want_write(l, false);
}

/* What one read of a socket came to. */
enum read_some { READ_BROKEN, READ_NOTHING, READ_LESS, READ_FULL };

/* Into the buffer and the wire. READ_LESS: less than there was room for, so the socket is empty unless it ends. */
static enum read_some read_some(struct lane *l)
{
    uint8_t *to = bytes_room(&l->in, READ_BYTES);

    if (to == NULL) {
        (void)lane_break(l, "no memory");
        return READ_BROKEN;
    }
    ssize_t n = recv(l->fd, to, READ_BYTES, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) {
        return READ_FULL;
    }
    if (n < 0 && errno == EAGAIN) {
        return READ_NOTHING;
    }
    if (n <= 0) {
        (void)lane_break(l, "a server closed the connection");
        return READ_BROKEN;
    }
    l->in.len += (size_t)n;
    l->load->now_ns = load_clock();
    if (load_wire.input(l) != 0) {
        (void)lane_break(l, "a server said what this program does not understand");
        return READ_BROKEN;
    }
    return n == READ_BYTES ? READ_FULL : READ_LESS;
}

/* Read all there is. A lane without the beginning of a frame borrows the one buffer that stays in the cache. */
static int lane_read(struct lane *l, bool to_the_end)
{
    struct load *ld = l->load;
    enum read_some got;

    if (l->in.data == NULL) {
        l->in = ld->spare;
        ld->spare = (struct bytes){0};
    }
    do {
        got = read_some(l);
    } while (got == READ_FULL || (got == READ_LESS && to_the_end));
    if (l->in.len == 0 && ld->spare.data == NULL) {
        ld->spare = l->in;
        l->in = (struct bytes){0};
    }
    return got == READ_BROKEN ? -1 : 0;
}

/* --- turns ------------------------------------------------------------------------------------- */

static int surprise(struct load *ld)
{
    if (ld->broken_lanes == 0 || ld->stopping) {
        return 0;
    }
    fprintf(stderr, "%s: %llu connections lost: %s\n", load_wire.system,
            (unsigned long long)ld->broken_lanes, ld->broken_why);
    return -1;
}

int load_turn(struct load *ld, uint64_t wait_ns)
{
    struct epoll_event events[EVENTS_PER_TURN];
    /* Rounded up, so that the last millisecond is not spent spinning. */
    int wait_ms = (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS);
    int n = epoll_wait(ld->epoll, events, EVENTS_PER_TURN, wait_ms);

    ld->now_ns = load_clock();
    for (int i = 0; i < n; i++) {
        struct lane *l = events[i].data.ptr;
        if (l->state == LANE_BROKEN || l->state == LANE_CLOSED) {
            continue; /* what came before it broke */
        }
        bool ends = (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0 && lane_read(l, ends) != 0) {
            continue;
        }
        (void)lane_flush(l); /* a lane that breaks is counted */
    }
    return surprise(ld);
}

static void ping_quiet(struct load *ld)
{
    uint64_t now = load_clock();

    for (size_t i = 0; load_wire.ping != NULL && i < ld->lanes_count; i++) {
        struct lane *l = &ld->lanes[i];
        if (l->state == LANE_READY && now - l->touched_ns > QUIET_NS) {
            l->touched_ns = now;
            if (load_wire.ping(l) == 0) {
                (void)lane_flush(l); /* a lane that breaks is counted */
            }
        }
    }
}

int load_until(struct load *ld, const uint64_t *count, uint64_t wanted, double secs,
               const char *what)
{
    uint64_t start = load_clock(), end = start + (uint64_t)(secs * 1e9);
    uint64_t look = start + NS_PER_S;

    while (*count != wanted) {
        uint64_t now = load_clock();
        if (now > end) {
            fprintf(stderr, "%s: waited %.1f s in vain: %s (%llu of %llu)\n", load_wire.system,
                    secs, what, (unsigned long long)*count, (unsigned long long)wanted);
            return -1;
        }
        if (now > look) {
            ping_quiet(ld);
            look = now + NS_PER_S;
        }
        if (load_turn(ld, 100 * NS_PER_MS) != 0) {
            return -1;
        }
    }
    return 0;
}

/* A hundred at a time: listeners' backlogs are short. */
int load_open_all(struct load *ld)
{
    for (size_t i = 0; i < ld->lanes_count; i++) {
        if (lane_open(ld, i, i % ld->o.servers_count) != 0) {
            return surprise(ld);
        }
        if ((i % 100 == 99 || i + 1 == ld->lanes_count) &&
            load_until(ld, &ld->ready_lanes, i + 1, 30, "connections are ready") != 0) {
            return -1;
        }
    }
    return 0;
}

void load_close_all(struct load *ld)
{
    uint64_t leaving = 0;

    ld->stopping = true;
    for (size_t i = 0; i < ld->lanes_count; i++) {
        struct lane *l = &ld->lanes[i];
        if (load_wire.bye != NULL && l->state == LANE_READY) {
            l->state = LANE_LEAVING;
            leaving += load_wire.bye(l) == 0 && lane_flush(l) == 0 ? 1 : 0;
        }
    }
    uint64_t end = load_clock() + (uint64_t)(LEAVE_S * 1e9);
    /* A server may close without an answer: that is an end as well. */
    while (ld->left_lanes + ld->broken_lanes < leaving && load_clock() < end) {
        (void)load_turn(ld, 100 * NS_PER_MS); /* lanes break now, as they should */
    }
    for (size_t i = 0; i < ld->lanes_count; i++) {
        lane_close(&ld->lanes[i]);
    }
}
