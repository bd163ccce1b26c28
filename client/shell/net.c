/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c: the one connection of a handle: made, read, written and closed as the core wishes, without
 * ever waiting.
 *
 *   no connection -> (resolving) -> connecting, address by address -> connected -> closed
 *
 * Leaves to others: which server and when (the core), names (resolve.c), when to look (loop.c).
 * Thread: the loop's.
 *
 * Invariants
 *   1. net.link is the core's wish after coord__net_follow; bytes are exchanged only while it is.
 *   2. fd is registered with the epoll descriptor exactly while it is >= 0.
 */
#include "client/shell/handle.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Read at most so often before others get their turn. */
#define READS_MAX    16
#define KEEP_IDLE_S  10
#define KEEP_EVERY_S 5
#define KEEP_PROBES  3

void coord__net_init(struct coord__net *n)
{
    memset(n, 0, sizeof(*n));
    n->fd = -1;
}

static void forget_fd(struct coord *c)
{
    struct coord__net *n = &c->net;
    if (n->fd >= 0) {
        (void)close(n->fd); /* epoll forgets it with that; what close reports is of no use here */
    }
    n->fd = -1;
    n->connected = false;
    n->readable = false;
    n->writable = false;
    n->interest = 0;
}

void coord__net_close(struct coord *c)
{
    coord__resolve_cancel(c);
    if (c->net.fd >= 0 && c->net.connected) {
        (void)shutdown(c->net.fd, SHUT_WR); /* what was sent arrives before the end */
    }
    forget_fd(c);
    c->net.link = 0;
    c->net.addresses_count = 0;
    c->net.addresses_next = 0;
}

static void lost(struct coord *c, const char *what)
{
    char why[COORD__HOST_BYTES + 200];
    const struct coord__server *s = &c->servers[c->net.server];
    bool v6 = strchr(s->host, ':') != NULL;
    (void)snprintf(why, sizeof(why), "%s%s%s:%u: %s", v6 ? "[" : "", s->host, v6 ? "]" : "",
                   (unsigned)s->port, what);
    uint64_t link = c->net.link;
    coord__net_close(c);
    coord__core_lost(c->core, link, why, coord__now());
}

static void note_errno(struct coord__net *n, int err)
{
    char text[128];
    /* The GNU form: the text may or may not be put into the buffer. */
    (void)snprintf(n->why, sizeof(n->why), "%s", strerror_r(err, text, sizeof(text)));
}

/* Return: false when the descriptor cannot be watched. */
static bool set_interest(struct coord *c, uint32_t events)
{
    struct coord__net *n = &c->net;
    struct epoll_event ev = {.events = events, .data = {.fd = n->fd}};
    if (n->interest == events) {
        return true;
    }
    int op = n->interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(c->epoll_fd, op, n->fd, &ev) < 0) {
        note_errno(n, errno);
        return false;
    }
    n->interest = events;
    return true;
}

static void set_socket_options(int fd)
{
    /* Each only improves matters: failing is no reason not to connect. */
    int on = 1;
    int idle = KEEP_IDLE_S;
    int every = KEEP_EVERY_S;
    int probes = KEEP_PROBES;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

/* Begin with one address. Return: false when it failed at once. */
static bool begin_address(struct coord *c, const struct coord__address *a)
{
    struct coord__net *n = &c->net;
    n->fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (n->fd < 0) {
        note_errno(n, errno);
        return false;
    }
    set_socket_options(n->fd);
    if (connect(n->fd, (const struct sockaddr *)&a->addr, a->len) < 0 && errno != EINPROGRESS) {
        note_errno(n, errno);
        forget_fd(c);
        return false;
    }
    if (!set_interest(c, EPOLLIN | EPOLLOUT)) {
        forget_fd(c);
        return false;
    }
    return true;
}

static void next_address(struct coord *c)
{
    struct coord__net *n = &c->net;
    while (n->addresses_next < n->addresses_count) {
        if (begin_address(c, &n->addresses[n->addresses_next++])) {
            return;
        }
    }
    char why[sizeof(n->why)];
    memcpy(why, n->why, sizeof(why));
    lost(c, why);
}

void coord__net_resolved(struct coord *c, uint64_t link, const struct coord__address *addresses,
                         uint32_t count, const char *why)
{
    struct coord__net *n = &c->net;
    if (n->link != link || n->fd >= 0) {
        return;
    }
    if (count == 0) {
        lost(c, why);
        return;
    }
    n->addresses_count = count < COORD__ADDRESSES_MAX ? count : COORD__ADDRESSES_MAX;
    n->addresses_next = 0;
    memcpy(n->addresses, addresses, n->addresses_count * sizeof(addresses[0]));
    next_address(c);
}

static void begin(struct coord *c, struct coord__link_wish wish)
{
    struct coord__net *n = &c->net;
    const struct coord__server *s = &c->servers[wish.server];
    n->link = wish.id;
    n->server = wish.server;
    (void)snprintf(n->why, sizeof(n->why), "no address");
    if (s->numeric) {
        coord__net_resolved(c, wish.id, &s->address, 1, "");
    } else if (coord__resolve(c, s->host, s->port, wish.id) < 0) {
        lost(c, coord_strerror(COORD_ENOMEM));
    }
}

void coord__net_follow(struct coord *c)
{
    /* Each turn of this loop begins with another server; after a round the core asks for a
     * pause. */
    for (;;) {
        struct coord__link_wish wish = coord__core_link(c->core);
        if (wish.id == c->net.link) {
            return;
        }
        coord__net_close(c);
        if (wish.id == 0) {
            return;
        }
        begin(c, wish);
    }
}

void coord__net_connect(struct coord *c)
{
    struct coord__net *n = &c->net;
    if (n->fd < 0 || n->connected || !(n->readable || n->writable)) {
        return;
    }
    int err = 0;
    socklen_t len = sizeof(err);
    if (getsockopt(n->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0) {
        err = errno;
    }
    if (err != 0) {
        note_errno(n, err);
        forget_fd(c);
        next_address(c);
        return;
    }
    if (!set_interest(c, EPOLLIN)) {
        lost(c, "the connection cannot be watched");
        return;
    }
    n->connected = true;
    coord__core_connected(c->core, n->link, coord__now());
}

void coord__net_read(struct coord *c)
{
    struct coord__net *n = &c->net;
    uint64_t link = n->link;
    for (int i = 0; i < READS_MAX && n->fd >= 0 && n->connected && n->readable; i++) {
        ssize_t got = recv(n->fd, c->read_bytes, sizeof(c->read_bytes), 0);
        if (got > 0) {
            coord__core_bytes(c->core, link, c->read_bytes, (size_t)got, coord__now());
            n->readable = (size_t)got == sizeof(c->read_bytes); /* else epoll tells of more */
            continue;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        n->readable = false;
        if (i > 0) {
            return; /* what came before the end is taken first; epoll tells of the end again */
        }
        if (got == 0) {
            lost(c, "the server closed the connection");
        } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
            note_errno(n, errno);
            lost(c, n->why);
        }
    }
}

void coord__net_write(struct coord *c)
{
    struct coord__net *n = &c->net;
    const uint8_t *bytes;
    size_t len;
    if (n->fd < 0 || !n->connected ||
        (coord__core_link(c->core).id != n->link && coord__core_link(c->core).id != 0)) {
        return;
    }
    coord__record_flush(c->recorder); /* a call is recorded before it is sent */
    while ((len = coord__core_output(c->core, &bytes)) > 0) {
        ssize_t sent = send(n->fd, bytes, len, MSG_NOSIGNAL);
        if (sent > 0) {
            coord__core_sent(c->core, (size_t)sent);
            continue;
        }
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            note_errno(n, errno);
            lost(c, n->why);
            return;
        }
        break;
    }
    uint32_t events = len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN;
    if (!set_interest(c, events)) {
        lost(c, "the connection cannot be watched");
    }
}
