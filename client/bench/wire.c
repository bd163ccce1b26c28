/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c: see wire.h.
 *
 * Replies are looked at only as far as needed: number, error, and the revision of the receipt. Who wants more decodes
 * the body.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "client/bench/clock.h"
#include "client/bench/wire.h"

#define READ_BYTES      (256u * 1024)
#define FRAME_BYTES_MAX (64u * 1024 * 1024)
#define EVENTS_PER_TURN 256
#define SOURCE_FIRST    0x7f000101u /* 127.0.1.1 */

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

bool wire_set_init(struct wire_set *s, const char *servers, const struct wire_handlers *handlers)
{
    *s = (struct wire_set){.epoll = -1, .handlers = handlers};
    if (!targets_parse(servers, &s->targets)) {
        return false;
    }
    s->bytes = malloc(READ_BYTES);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    return s->bytes != NULL && s->epoll >= 0;
}

void wire_set_finish(struct wire_set *s)
{
    if (s->epoll >= 0) {
        (void)close(s->epoll); /* nothing was written to it */
    }
    s->epoll = -1;
    free(s->bytes);
    s->bytes = NULL;
}

bool wire_init(struct wire *w, struct wire_set *s, uint32_t index, uint32_t flying, void *owner)
{
    uint32_t slots = 4;

    while (slots < flying + 1) { /* one more than asked for: a keep-alive among them */
        slots *= 2;
    }
    *w = (struct wire){.set = s, .owner = owner, .fd = -1, .index = index, .attempt = index};
    w->ring = calloc(slots, sizeof *w->ring);
    w->ring_mask = slots - 1;
    return w->ring != NULL;
}

static void drop_buffers(struct wire *w)
{
    coord_buf_unref(w->in);
    coord_buf_unref(w->out);
    w->in = NULL;
    w->out = NULL;
    w->out_at = 0;
}

void wire_finish(struct wire *w)
{
    if (w->set == NULL) {
        return;
    }
    if (w->fd >= 0) {
        (void)close(w->fd); /* what the peer has not read is not wanted any more */
    }
    w->fd = -1;
    drop_buffers(w);
    free(w->ring);
    w->ring = NULL;
}

/* --- connecting ---------------------------------------------------------------------------------- */

static int open_socket(struct wire *w, const struct sockaddr_in *to)
{
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* only better with it */
    if (w->set->sources > 0) {
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(SOURCE_FIRST + w->index % w->set->sources);
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on); /* likewise */
        if (bind(fd, (const struct sockaddr *)&from, sizeof from) != 0) {
            (void)close(fd);
            return -1;
        }
    }
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) != 0 && errno != EINPROGRESS) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

int wire_connect(struct wire *w)
{
    struct wire_set *s = w->set;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = w};

    assert(w->state == WIRE_CLOSED && w->count == 0);
    w->fd = open_socket(w, &s->targets.addresses[w->attempt++ % s->targets.count]);
    if (w->fd < 0) {
        return COORD_ECONNECT;
    }
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, w->fd, &ev) != 0) {
        (void)close(w->fd);
        w->fd = -1;
        return COORD_ESYSTEM;
    }
    w->want_out = true;
    w->state = WIRE_CONNECTING;
    w->asked_ns = bench_now();
    w->number = 0;
    return 0;
}

void wire_drop(struct wire *w, int error)
{
    enum wire_state was = w->state;

    if (was == WIRE_CLOSED) {
        return;
    }
    (void)close(w->fd); /* it is lost anyway */
    w->fd = -1;
    w->state = WIRE_CLOSED;
    drop_buffers(w);
    struct wire_reply r = {.error = error, .now_ns = bench_now()};
    while (w->count > 0) {
        struct wire_tag t = w->ring[w->head & w->ring_mask];
        w->head++;
        w->count--;
        r.op = t.op;
        if (was == WIRE_READY) { /* before, they are this file's own */
            w->set->handlers->reply(w, t.tag, &r);
        }
    }
    w->set->handlers->down(w, error);
}

/* --- sending ------------------------------------------------------------------------------------- */

static int put(struct wire *w, struct coord_request *q, void *tag)
{
    if (w->count > w->ring_mask) {
        return COORD_EBUSY;
    }
    q->number = w->number + 1;
    q->acked = w->number - w->count;
    uint32_t before = w->out != NULL ? w->out->len : 0;
    int rc = coord_request_encode(q, &w->out);
    if (rc == 0 && w->set->session) { /* as the library does on connections that keep alive */
        rc = coord_request_loud(q, before, &w->out);
    }
    if (rc != 0) {
        return rc;
    }
    if (w->count == 0) {
        w->asked_ns = bench_now();
    }
    w->number++;
    w->ring[(w->head + w->count++) & w->ring_mask] = (struct wire_tag){tag, (uint8_t)q->op};
    if (!w->dirty) {
        w->dirty = true;
        w->next_dirty = w->set->dirty;
        w->set->dirty = w;
    }
    return 0;
}

int wire_send(struct wire *w, struct coord_request *q, void *tag)
{
    return w->state == WIRE_READY ? put(w, q, tag) : COORD_ECONNECT;
}

/* Return: false when the connection is lost. */
static bool want_out(struct wire *w, bool want)
{
    struct epoll_event ev = {.events = want ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = w};

    if (w->want_out == want) {
        return true;
    }
    w->want_out = want;
    return epoll_ctl(w->set->epoll, EPOLL_CTL_MOD, w->fd, &ev) == 0;
}

/* Return: false when the connection is lost. */
static bool flush(struct wire *w)
{
    while (w->out != NULL && w->out_at < w->out->len) {
        ssize_t n = send(w->fd, w->out->data + w->out_at, w->out->len - w->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return (errno == EAGAIN || errno == EWOULDBLOCK) && want_out(w, true);
        }
        w->out_at += (uint32_t)n;
    }
    w->out_at = 0;
    if (w->ring_mask < 8) { /* one of very many: keep no buffer */
        coord_buf_unref(w->out);
        w->out = NULL;
    } else if (w->out != NULL) {
        w->out->len = 0;
    }
    return want_out(w, false);
}

static void flush_all(struct wire_set *s)
{
    while (s->dirty != NULL) {
        struct wire *w = s->dirty;
        s->dirty = w->next_dirty;
        w->dirty = false;
        if (w->state > WIRE_CONNECTING && !flush(w)) {
            wire_drop(w, COORD_ECONNECT);
        }
    }
}

/* --- receiving ----------------------------------------------------------------------------------- */

/* An unsigned integer of msgpack at *at. Return: false when there is none. */
static bool take_uint(const uint8_t **at, const uint8_t *end, uint64_t *ret_n)
{
    const uint8_t *p = *at;
    uint64_t n = 0;

    if (p >= end) {
        return false;
    }
    unsigned first = *p++;
    if (first >= 0x80 && (first < 0xcc || first > 0xcf)) {
        return false;
    }
    size_t bytes = first < 0x80 ? 0 : (size_t)1 << (first - 0xcc);
    if ((size_t)(end - p) < bytes) {
        return false;
    }
    n = bytes == 0 ? first : 0;
    for (size_t i = 0; i < bytes; i++) {
        n = n << 8 | p[i];
    }
    *at = p + bytes;
    *ret_n = n;
    return true;
}

/* [number, error, [member, role, term, revision ... Return: false when it does not look like that. */
static bool peek(const uint8_t *body, size_t len, uint64_t *ret_number, uint64_t *ret_error,
                 uint64_t *ret_revision)
{
    const uint8_t *at = body + 1, *end = body + len;
    uint64_t skipped = 0;

    if (len < 4 || (body[0] & 0xf0) != 0x90 || !take_uint(&at, end, ret_number)) {
        return false;
    }
    if (*ret_number == 0) {
        return true; /* an event */
    }
    if (!take_uint(&at, end, ret_error) || at >= end || (*at & 0xf0) != 0x90) {
        return false;
    }
    at++;
    return take_uint(&at, end, &skipped) && take_uint(&at, end, &skipped) &&
           take_uint(&at, end, &skipped) && take_uint(&at, end, ret_revision);
}

static int greet(struct wire *w)
{
    struct coord_request q = {.op = COORD_OP_HELLO, .version = COORD_PROTOCOL_VERSION};

    q.client.data = (const uint8_t *)"bench";
    q.client.len = 5;
    w->state = WIRE_GREETING;
    return put(w, &q, NULL);
}

/* A reply to one of this file's own requests. Return: 0 or an error that ends the connection. */
static int step_up(struct wire *w, int error)
{
    if (error != 0) {
        return error;
    }
    if (w->state == WIRE_GREETING && w->set->session) {
        struct coord_request q = {.op = COORD_OP_SESSION_OPEN,
                                  .timeout_ms = w->set->session_timeout_ms};
        w->state = WIRE_OPENING;
        return put(w, &q, NULL);
    }
    w->state = WIRE_READY;
    w->set->handlers->up(w);
    return 0;
}

/* One frame. Return: 0 or an error that ends the connection. */
static int take_frame(struct wire *w, const uint8_t *body, size_t len, uint64_t now)
{
    uint64_t number = 0, error = 0, revision = 0;

    if (!peek(body, len, &number, &error, &revision)) {
        return COORD_EPROTO;
    }
    if (number == 0) {
        w->set->handlers->event(w, body, len, now);
        return 0;
    }
    if (w->count == 0 || number != w->number - w->count + 1 || error > INT32_MAX) {
        return COORD_EPROTO; /* replies come in the order of requests */
    }
    struct wire_tag t = w->ring[w->head & w->ring_mask];
    w->head++;
    w->count--;
    w->asked_ns = now;
    w->seen = revision > w->seen ? revision : w->seen;
    if (w->state != WIRE_READY) {
        return step_up(w, -(int)error);
    }
    struct wire_reply r = {
        .op = t.op, .error = -(int)error, .body = body, .body_bytes = len, .now_ns = now};
    w->set->handlers->reply(w, t.tag, &r);
    return 0;
}

/* The whole frames at the beginning of bytes. Return: 0 or an error; *ret_taken: bytes. */
static int take_frames(struct wire *w, const uint8_t *bytes, size_t len, uint64_t now,
                       size_t *ret_taken)
{
    size_t at = 0;
    int rc = 0;

    while (rc == 0) {
        int64_t size = coord_frame_size(bytes + at, len - at, FRAME_BYTES_MAX);
        if (size < 0) {
            return (int)size;
        }
        if (size == 0 || (size_t)size > len - at) {
            break;
        }
        rc = take_frame(w, bytes + at + COORD_FRAME_HEADER_BYTES,
                        (size_t)size - COORD_FRAME_HEADER_BYTES, now);
        at += (size_t)size;
    }
    *ret_taken = at;
    return rc;
}

/* Bytes came. Return: 0 or an error that ends the connection. */
static int take_bytes(struct wire *w, const uint8_t *bytes, size_t len)
{
    uint64_t now = bench_now();
    size_t taken = 0;
    int rc = 0;

    if (w->in == NULL) {
        rc = take_frames(w, bytes, len, now, &taken);
        if (rc == 0 && taken < len) {
            w->in = coord_buf_copy(bytes + taken, len - taken);
            rc = w->in != NULL ? 0 : COORD_ENOMEM;
        }
        return rc;
    }
    rc = coord_buf_append(&w->in, bytes, len);
    if (rc != 0) {
        return rc;
    }
    rc = take_frames(w, w->in->data, w->in->len, now, &taken);
    if (rc == 0 && taken == w->in->len) {
        coord_buf_unref(w->in);
        w->in = NULL;
    } else if (rc == 0 && taken > 0) {
        memmove(w->in->data, w->in->data + taken, w->in->len - taken);
        w->in->len -= (uint32_t)taken;
    }
    return rc;
}

/* Return: 0 or an error that ends the connection. */
static int receive(struct wire *w)
{
    for (;;) {
        ssize_t n = recv(w->fd, w->set->bytes, READ_BYTES, 0);
        if (n == 0) {
            return COORD_ECONNECT;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : COORD_ECONNECT;
        }
        int rc = take_bytes(w, w->set->bytes, (size_t)n);
        if (rc != 0 || n < (ssize_t)READ_BYTES) {
            return rc;
        }
    }
}

static int connected(struct wire *w)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        return COORD_ECONNECT;
    }
    return greet(w);
}

static void handle(struct wire *w, uint32_t events)
{
    int rc = 0;

    if (w->state == WIRE_CLOSED) {
        return;
    }
    if (w->state == WIRE_CONNECTING) {
        rc = connected(w);
    } else {
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
            rc = receive(w);
        }
        if (rc == 0 && (events & EPOLLOUT) != 0 && !flush(w)) {
            rc = COORD_ECONNECT;
        }
    }
    if (rc != 0) {
        wire_drop(w, rc);
    }
}

bool wire_overdue(const struct wire *w, uint64_t before_ns)
{
    return w->state != WIRE_CLOSED && (w->count > 0 || w->state == WIRE_CONNECTING) &&
           w->asked_ns < before_ns;
}

int wire_set_turn(struct wire_set *s, uint64_t timeout_ns)
{
    struct epoll_event events[EVENTS_PER_TURN];
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / BENCH_NS_PER_S),
                          .tv_nsec = (long)(timeout_ns % BENCH_NS_PER_S)};

    flush_all(s);
    int n = epoll_pwait2(s->epoll, events, EVENTS_PER_TURN, &ts, NULL);
    if (n < 0) {
        return errno == EINTR ? 0 : COORD_ESYSTEM;
    }
    for (int i = 0; i < n; i++) {
        handle(events[i].data.ptr, events[i].events);
    }
    flush_all(s);
    return n;
}
