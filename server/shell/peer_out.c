/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_out.c: the connection that this member opens to a peer, on which it only sends: connecting with
 * back-off, the handshake, writing. States: see peer.h. The loop's thread.
 */
#include "server/shell/peer_set.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "server/shell/clock.h"

static void out_state(struct peer *p, enum peer_out_state state)
{
    p->state = state;
    p->since_ns = clock_mono_ns();
}

/* xorshift64: spreads reconnects, decides nothing else. */
static uint64_t jitter(struct peer_set *s, uint64_t bound)
{
    s->rng ^= s->rng << 13;
    s->rng ^= s->rng >> 7;
    s->rng ^= s->rng << 17;
    return bound == 0 ? 0 : s->rng % bound;
}

static void out_complain(struct peer *p, enum conf_log_level level, const char *why)
{
    uint32_t kept = 0;
    if (log_limit_pass(&p->complaints, PEER_LINES_PER_WINDOW, clock_mono_ns(), &kept)) {
        log_write(level, "cannot reach member %u at %s: %s", (unsigned)p->id, p->name, why);
    }
}

/* Close what there is and wait for the next attempt. */
void peer_out_close(struct peer *p, const char *why)
{
    if (p->fd >= 0) {
        (void)event_del(&p->readable);
        (void)event_del(&p->writable);
        (void)close(p->fd);
        p->fd = -1;
    }
    outq_clear(&p->out);
    frame_clear(&p->reader);
    p->broken = false;
    p->blocked = false;
    p->dirty = false;
    out_state(p, PEER_OUT_WAITING);
    peer_link_update(p, why);
    if (p->cut != NULL) {
        (void)event_del(&p->timer);
    } else {
        peer_out_retry(p, p->wait_ns);
    }
}

void peer_out_retry(struct peer *p, uint64_t wait_ns)
{
    uint64_t half = wait_ns / 2;
    uint64_t us = (half + jitter(p->set, half + 1)) / 1000;
    struct timeval tv = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
    (void)event_add(&p->timer, &tv);
    p->wait_ns = wait_ns < PEER_WAIT_MIN_NS ? PEER_WAIT_MIN_NS : wait_ns * 2;
    if (p->wait_ns > PEER_WAIT_MAX_NS) {
        p->wait_ns = PEER_WAIT_MAX_NS;
    }
}

/* --- the handshake ----------------------------------------------------------------------------- */

/* The peer's answer to our hello. */
static void welcome_take(struct peer *p, const struct coord_buf *buf)
{
    struct handshake ours;
    struct handshake theirs;
    char why[HANDSHAKE_TEXT_BYTES + 100];
    peer_self(p->set, HANDSHAKE_HELLO, p->id, &ours);
    p->broken = true; /* unless all is well */
    if (handshake_decode(buf->data, buf->len, &theirs) < 0 || theirs.kind == HANDSHAKE_HELLO) {
        out_complain(p, CONF_LOG_ERROR, "what answers there is no member of coord");
        return;
    }
    if (theirs.kind == HANDSHAKE_REFUSAL) {
        (void)snprintf(why, sizeof(why), "it refuses this member: %s", theirs.text);
        out_complain(p, CONF_LOG_ERROR, why);
        p->wait_ns = PEER_WAIT_MAX_NS;
        return;
    }
    if (handshake_check(&ours, &theirs, why, sizeof(why)) < 0) {
        out_complain(p, CONF_LOG_ERROR, why);
        p->wait_ns = PEER_WAIT_MAX_NS;
        return;
    }
    p->broken = false;
    p->incarnation = theirs.incarnation;
    p->wait_ns = PEER_WAIT_MIN_NS;
    out_state(p, PEER_OUT_READY);
    peer_link_update(p, "");
}

static int out_deliver(void *arg, struct coord_buf *buf)
{
    struct peer *p = arg;
    if (p->state == PEER_OUT_GREETING) {
        welcome_take(p, buf);
    } else {
        p->broken = true; /* nothing is sent this way after the welcome */
    }
    coord_buf_unref(buf);
    return p->broken;
}

static void out_readable(evutil_socket_t fd, short what, void *arg)
{
    struct peer *p = arg;
    (void)what;
    assert(fd == p->fd);
    ssize_t n = frame_read(&p->reader, fd, p->set->scratch, out_deliver, p);
    if (n < 0) {
        peer_out_close(p, frame_strerror((int)n));
    } else if (p->broken) {
        peer_out_close(p, "the handshake failed");
    }
}

static void out_greet(struct peer *p)
{
    struct handshake h;
    uint8_t header[FRAME_PEER_HEADER_BYTES];
    peer_self(p->set, HANDSHAKE_HELLO, p->id, &h);
    struct coord_buf *buf = handshake_encode(&h);
    if (buf == NULL || frame_peer_header(&buf, 1, HANDSHAKE_BYTES_MAX, header) < 0 ||
        outq_head(&p->out, header, sizeof(header)) < 0 || outq_buf(&p->out, buf) < 0 ||
        event_add(&p->readable, NULL) < 0) {
        coord_buf_unref(buf);
        peer_out_close(p, "out of memory");
        return;
    }
    coord_buf_unref(buf);
    out_state(p, PEER_OUT_GREETING);
    peer_out_flush(p);
}

/* --- writing and connecting -------------------------------------------------------------------- */

void peer_out_flush(struct peer *p)
{
    int rc = outq_flush(&p->out, p->fd);
    p->dirty = false;
    p->blocked = rc == 0;
    if (rc < 0) {
        peer_out_close(p, strerror(-rc));
    } else if (rc == 0) {
        (void)event_add(&p->writable, NULL);
    }
}

static void out_connected(struct peer *p)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
        const char *why = strerror(error != 0 ? error : errno);
        out_complain(p, CONF_LOG_WARN, why);
        peer_out_close(p, why);
        return;
    }
    out_greet(p);
}

static void out_writable(evutil_socket_t fd, short what, void *arg)
{
    struct peer *p = arg;
    (void)what;
    assert(fd == p->fd);
    if (p->state == PEER_OUT_CONNECTING) {
        out_connected(p);
    } else {
        peer_out_flush(p);
    }
}

/* How long the kernel may keep trying in vain: two elections, but no less than a second. */
static unsigned dead_ms(const struct conf *c)
{
    uint64_t ms = 2 * c->election_ns / CLOCK_NS_PER_MS;
    return ms < 1000 ? 1000U : (unsigned)ms;
}

static void out_connect(struct peer *p, const struct net_address *to)
{
    p->fd = socket(to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0) {
        out_complain(p, CONF_LOG_WARN, strerror(errno));
        peer_out_close(p, "no descriptor");
        return;
    }
    net_tune(p->fd, dead_ms(p->set->o.conf));
    p->reader = (struct frame_reader){.header_bytes = FRAME_PEER_HEADER_BYTES,
                                      .body_bytes_max = HANDSHAKE_BYTES_MAX};
    (void)event_assign(&p->readable, p->set->o.base, p->fd, EV_READ | EV_PERSIST, out_readable, p);
    (void)event_assign(&p->writable, p->set->o.base, p->fd, EV_WRITE, out_writable, p);
    out_state(p, PEER_OUT_CONNECTING);
    if (connect(p->fd, (const struct sockaddr *)&to->addr, to->len) < 0 && errno != EINPROGRESS) {
        const char *why = strerror(errno);
        out_complain(p, CONF_LOG_WARN, why);
        peer_out_close(p, why);
        return;
    }
    if (event_add(&p->writable, NULL) < 0) {
        peer_out_close(p, "cannot be watched");
    }
}

static void out_timer(evutil_socket_t fd, short what, void *arg)
{
    struct peer *p = arg;
    struct net_address to;
    const char *why = NULL;
    (void)fd, (void)what;
    if (p->state != PEER_OUT_WAITING || p->cut != NULL) {
        return;
    }
    switch (resolver_ask(p->set->resolver, p->place, &p->address, &to, &why)) {
    case RESOLVER_OK:
        out_connect(p, &to);
        break;
    case RESOLVER_PENDING:
        peer_out_retry(p, 10 * PEER_WAIT_MIN_NS);
        break;
    case RESOLVER_FAILED:
        out_complain(p, CONF_LOG_WARN, why);
        peer_out_retry(p, PEER_WAIT_MAX_NS);
        break;
    }
}

void peer_out_init(struct peer *p)
{
    p->fd = -1;
    p->wait_ns = PEER_WAIT_MIN_NS;
    out_state(p, PEER_OUT_WAITING);
    (void)event_assign(&p->timer, p->set->o.base, -1, 0, out_timer, p);
}

void peer_out_sweep(struct peer *p, uint64_t now)
{
    bool unfinished = p->state == PEER_OUT_CONNECTING || p->state == PEER_OUT_GREETING;
    if (unfinished && now > p->since_ns + PEER_HANDSHAKE_NS) {
        out_complain(p, CONF_LOG_WARN, "no answer within 5 s");
        peer_out_close(p, "no answer");
    }
}
