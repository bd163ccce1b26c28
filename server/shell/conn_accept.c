/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_accept.c: where client connections come from: the listener, the limits on how many there may be,
 * and what happens when the process runs out of descriptors. The loop's thread.
 *
 * Out of descriptors (EMFILE): a listener stays readable, so a loop that only tries again would spin.
 * One descriptor is kept in reserve: it is given up to accept and at once close the connections that wait,
 * which tells those clients soon and empties the queue. Where even that fails the listener rests until a
 * connection ends or a second has passed.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "server/shell/clock.h"
#include "server/shell/conn_set.h"

#define CONN_ACCEPT_BATCH      64    /* of one iteration, so that others get their turn */
#define CONN_DEAD_MS           20000 /* a client that vanished is noticed after about this */
#define CONN_REFUSE_PER_WINDOW 5

static uint32_t bucket_of(const struct conn_set *s, const struct net_address *from)
{
    const void *bytes = "";
    size_t len = 0;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (from->addr.ss_family == AF_INET) {
        memcpy(&in, &from->addr, sizeof(in));
        bytes = &in.sin_addr;
        len = sizeof(in.sin_addr);
    } else if (from->addr.ss_family == AF_INET6) {
        memcpy(&in6, &from->addr, sizeof(in6));
        bytes = &in6.sin6_addr;
        len = 8; /* a /64 is one host for this purpose */
    }
    return (uint32_t)(XXH3_64bits_withSeed(bytes, len, s->bucket_seed) % CONN_BUCKETS);
}

static void spare_open(struct conn_set *s)
{
    if (s->spare < 0) {
        s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

static void accept_rest(struct conn_set *s)
{
    if (s->accepting) {
        (void)event_del(&s->acceptable);
        s->accepting = false;
    }
}

void conn_accept_resume(struct conn_set *s)
{
    if (s->listener < 0 || s->accepting || s->count >= s->cap) {
        return;
    }
    spare_open(s);
    if (event_add(&s->acceptable, NULL) == 0) {
        s->accepting = true;
    }
}

void conn_accept_closed(struct conn_set *s, uint32_t address_bucket)
{
    assert(s->buckets[address_bucket] > 0);
    s->buckets[address_bucket]--;
}

static void refusal_log(struct conn_set *s, bool of_address, const char *why)
{
    uint32_t kept = 0;
    if (log_limit_pass(&s->refusals[of_address], CONN_REFUSE_PER_WINDOW, clock_mono_ns(), &kept)) {
        log_write(CONF_LOG_WARN, "connections are refused: %s (%u are open)", why,
                  (unsigned)s->count);
    }
}

/* No descriptor is left: refuse those that wait, one after the other, with the spare one. When even that
 * is gone (a thread was quicker), rest. */
static void descriptors_out(struct conn_set *s)
{
    refusal_log(s, false, strerror(errno));
    int fd = -1;
    if (s->spare >= 0) {
        (void)close(s->spare);
        s->spare = -1;
    }
    for (int i = 0; i < CONN_ACCEPT_BATCH; i++) {
        struct net_address from;
        fd = net_accept(s->listener, &from);
        if (fd < 0) {
            break;
        }
        (void)close(fd);
    }
    bool empty = fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    spare_open(s);
    if (s->spare < 0 || (fd < 0 && !empty)) {
        accept_rest(s);
    }
}

/* Return: false when there is nothing more to accept now. */
static bool accept_one(struct conn_set *s)
{
    struct net_address from;
    char source[NET_SOURCE_BYTES];
    int fd = net_accept(s->listener, &from);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            descriptors_out(s);
            return false;
        }
        return errno == ECONNABORTED || errno == EINTR || errno == EPROTO;
    }
    uint32_t bucket = bucket_of(s, &from);
    if (s->count >= s->cap || s->buckets[bucket] >= s->o.per_address_max) {
        bool of_address = s->count < s->cap;
        refusal_log(s, of_address,
                    of_address ? "the limit on connections from one address is reached"
                               : "the limit on connections is reached");
        (void)close(fd);
        return true;
    }
    net_tune(fd, CONN_DEAD_MS);
    net_address_format(&from, source);
    s->buckets[bucket]++;
    (void)conn_open(s, fd, source, bucket);
    return true;
}

static void conn_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct conn_set *s = arg;
    (void)what;
    assert(fd == s->listener);
    for (int i = 0; i < CONN_ACCEPT_BATCH; i++) {
        if (!accept_one(s)) {
            return;
        }
    }
}

int conn_set_listen(struct conn_set *s, int fd)
{
    assert(s->listener < 0);
    s->listener = fd;
    (void)event_assign(&s->acceptable, s->o.base, fd, EV_READ | EV_PERSIST, conn_acceptable, s);
    conn_accept_resume(s);
    return s->accepting ? 0 : -EIO;
}

void conn_set_listen_end(struct conn_set *s)
{
    accept_rest(s);
    if (s->listener >= 0) {
        (void)close(s->listener);
    }
    if (s->spare >= 0) {
        (void)close(s->spare);
    }
    s->listener = -1;
    s->spare = -1;
}

uint64_t conn_set_adopt(struct conn_set *s, int fd, const char *source)
{
    s->buckets[0]++;
    return conn_open(s, fd, source, 0);
}
