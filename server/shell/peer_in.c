/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_in.c: connections that peers opened to this member, on which it only receives: accepting, the
 * handshake, frames. A connection is nobody's until it has named itself rightly; then it is the peer's
 * one and only. The loop's thread.
 *
 * Strangers cannot keep members out: when all places are taken, the connection that has been nameless
 * for longest gives way. Out of descriptors the listener rests until the next sweep: it would stay
 * readable, and the loop would spin.
 */
#include "server/shell/peer_set.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "server/shell/clock.h"

/* How long the kernel waits before it looks whether a silent peer is still there. Two followers have
 * nothing to say to each other, so this is what finds a vanished host: within about 3 s. */
#define PEER_IN_DEAD_MS 2000

static void in_complain(struct peer_in *in, const char *why)
{
    uint32_t kept = 0;
    if (log_limit_pass(&in->set->complaints, PEER_LINES_PER_WINDOW, clock_mono_ns(), &kept)) {
        log_write(CONF_LOG_ERROR, "peer connection from %s refused: %s", in->source, why);
    }
}

void peer_in_close(struct peer_in *in, const char *why)
{
    struct peer *p = in->peer;
    (void)event_del(&in->readable);
    (void)close(in->fd);
    frame_clear(&in->reader);
    in->fd = -1;
    in->peer = NULL;
    if (p != NULL) {
        assert(p->in == in);
        p->in = NULL;
        peer_link_update(p, why);
    }
}

/* The answer to a hello, written at once: the socket is new, so its buffer has room for it. A reply
 * that does not get out whole is a connection that fails, and the peer tries again. */
static int in_answer(struct peer_in *in, const struct handshake *h)
{
    struct outq out = {.items = NULL};
    uint8_t header[FRAME_PEER_HEADER_BYTES];
    struct coord_buf *buf = handshake_encode(h);
    int rc = -1;
    if (buf != NULL && frame_peer_header(&buf, 1, HANDSHAKE_BYTES_MAX, header) > 0 &&
        outq_head(&out, header, sizeof(header)) == 0 && outq_buf(&out, buf) == 0) {
        rc = outq_flush(&out, in->fd) == 1 ? 0 : -1;
    }
    coord_buf_unref(buf);
    outq_clear(&out);
    return rc;
}

static void in_refuse(struct peer_in *in, raft_id to, const char *why)
{
    struct handshake h;
    peer_self(in->set, HANDSHAKE_REFUSAL, to, &h);
    (void)snprintf(h.text, sizeof(h.text), "%s", why);
    in_complain(in, why);
    (void)in_answer(in, &h); /* best effort: it is closed next */
    in->broken = true;
}

/* Has the other end closed this connection, although we have not read so far yet? */
static bool in_is_over(const struct peer_in *in)
{
    struct pollfd p = {.fd = in->fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* Which peer is this, and may it connect? Return: the peer, or NULL with why. */
static struct peer *in_identify(struct peer_in *in, const struct handshake *theirs, char *why,
                                size_t why_bytes)
{
    struct handshake ours;
    peer_self(in->set, HANDSHAKE_WELCOME, 0, &ours);
    if (handshake_check(&ours, theirs, why, why_bytes) < 0) {
        return NULL;
    }
    struct peer *p = peer_find(in->set, theirs->from);
    if (p == NULL) {
        (void)snprintf(why, why_bytes, "member %u is not in the list of members of member %u",
                       (unsigned)theirs->from, (unsigned)ours.from);
        return NULL;
    }
    if (p->cut != NULL) {
        (void)snprintf(why, why_bytes, "the link between members %u and %u is %s", (unsigned)p->id,
                       (unsigned)ours.from, p->cut);
        return NULL;
    }
    if (p->in != NULL && p->in->incarnation != theirs->incarnation && !in_is_over(p->in)) {
        (void)snprintf(why, why_bytes, "another process is connected as member %u, from %s",
                       (unsigned)p->id, p->in->source);
        return NULL;
    }
    return p;
}

static void hello_take(struct peer_in *in, const struct coord_buf *buf)
{
    struct handshake theirs;
    struct handshake ours;
    char why[HANDSHAKE_TEXT_BYTES];
    if (handshake_decode(buf->data, buf->len, &theirs) < 0 || theirs.kind != HANDSHAKE_HELLO) {
        in_complain(in, "it does not speak the peer protocol of coord");
        in->broken = true;
        return;
    }
    struct peer *p = in_identify(in, &theirs, why, sizeof(why));
    if (p == NULL) {
        in_refuse(in, theirs.from, why);
        return;
    }
    peer_self(in->set, HANDSHAKE_WELCOME, p->id, &ours);
    if (in_answer(in, &ours) < 0) {
        in->broken = true;
        return;
    }
    if (p->in != NULL) {
        peer_in_close(p->in, "the peer connected anew");
    }
    in->peer = p;
    in->incarnation = theirs.incarnation;
    in->reader.body_bytes_max = PEER_FRAME_BYTES_MAX;
    p->in = in;
    peer_link_update(p, "its process was started anew");
    /* It is there: do not wait any longer to connect the other way. */
    if (p->state == PEER_OUT_WAITING) {
        peer_out_retry(p, 0);
    }
}

static int in_deliver(void *arg, struct coord_buf *buf)
{
    struct peer_in *in = arg;
    if (in->peer == NULL) {
        hello_take(in, buf);
        coord_buf_unref(buf);
    } else {
        /* Even while the way back is not open yet: raft takes messages late, double or not at all. */
        in->set->o.host.frame(in->set->o.host.ctx, in->peer->id, buf);
    }
    return in->broken;
}

static void in_readable(evutil_socket_t fd, short what, void *arg)
{
    struct peer_in *in = arg;
    (void)what;
    assert(fd == in->fd);
    ssize_t n = frame_read(&in->reader, fd, in->set->scratch, in_deliver, in);
    if (n < 0) {
        if (n != FRAME_EOF && n != FRAME_ESYSTEM) {
            in_complain(in, frame_strerror((int)n));
        }
        peer_in_close(in, frame_strerror((int)n));
    } else if (in->broken) {
        peer_in_close(in, "the handshake failed");
    }
}

/* A place for a new connection. There are more places than members, so one without a name exists. */
static struct peer_in *in_place(struct peer_set *s)
{
    struct peer_in *oldest = NULL;
    for (size_t i = 0; i < sizeof(s->ins) / sizeof(s->ins[0]); i++) {
        struct peer_in *in = &s->ins[i];
        if (in->fd < 0) {
            return in;
        }
        if (in->peer == NULL && (oldest == NULL || in->opened_ns < oldest->opened_ns)) {
            oldest = in;
        }
    }
    assert(oldest != NULL);
    in_complain(oldest, "too many connections without a handshake");
    peer_in_close(oldest, "others wait");
    return oldest;
}

/* Return: is there no use in trying again before something was closed? */
static bool descriptors_out(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void in_rest(struct peer_set *s, int error)
{
    uint32_t kept = 0;
    (void)event_del(&s->acceptable);
    s->resting = true;
    if (log_limit_pass(&s->complaints, PEER_LINES_PER_WINDOW, clock_mono_ns(), &kept)) {
        log_write(CONF_LOG_ERROR, "members cannot connect: %s", strerror(error));
    }
}

static void in_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct peer_set *s = arg;
    struct net_address from;
    (void)what;
    int peer_fd = net_accept(fd, &from);
    if (peer_fd < 0) {
        if (descriptors_out(errno)) {
            in_rest(s, errno);
        }
        return; /* whoever it was tries again */
    }
    struct peer_in *in = in_place(s);
    *in = (struct peer_in){.set = s, .fd = peer_fd, .opened_ns = clock_mono_ns()};
    in->reader.header_bytes = FRAME_PEER_HEADER_BYTES;
    in->reader.body_bytes_max = HANDSHAKE_BYTES_MAX;
    net_address_format(&from, in->source);
    net_tune(peer_fd, PEER_IN_DEAD_MS);
    (void)event_assign(&in->readable, s->o.base, peer_fd, EV_READ | EV_PERSIST, in_readable, in);
    if (event_add(&in->readable, NULL) < 0) {
        peer_in_close(in, "cannot be watched");
    }
}

int peer_in_begin(struct peer_set *s, int listener)
{
    s->listener = listener;
    (void)event_assign(&s->acceptable, s->o.base, listener, EV_READ | EV_PERSIST, in_acceptable, s);
    return event_add(&s->acceptable, NULL) < 0 ? -EIO : 0;
}

void peer_in_sweep(struct peer_set *s, uint64_t now)
{
    for (size_t i = 0; i < sizeof(s->ins) / sizeof(s->ins[0]); i++) {
        struct peer_in *in = &s->ins[i];
        if (in->fd >= 0 && in->peer == NULL && now > in->opened_ns + PEER_HANDSHAKE_NS) {
            in_complain(in, "no handshake within 5 s");
            peer_in_close(in, "no handshake");
        }
    }
    if (s->resting && event_add(&s->acceptable, NULL) == 0) {
        s->resting = false;
    }
}
