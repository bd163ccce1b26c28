/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delay.c: longer wires. Connections to each port A are carried to port B of 127.0.0.1, and each byte arrives MS
 * milliseconds after it came, in both directions; as much may be on its way as comes.
 *
 *   delay MS A:B...
 *
 * Method: an event base; what is read goes into a chunk with its time; a timer of the direction writes what is due. A
 * direction that has more than PENDING_MAX on its way is not read until some has left.
 * Thread: one.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <event2/event.h>

#define CHUNK_BYTES 65536u
#define PENDING_MAX (256u * 1024 * 1024)
#define NS_PER_MS   1000000ull

struct chunk {
    STAILQ_ENTRY(chunk) next;
    uint64_t due_ns;
    size_t at, len; /* len 0: the end of the stream */
    uint8_t bytes[];
};

struct pair;

/* One direction of a connection. */
struct way {
    struct pair *pair;
    int from, to;
    struct event *readable, *writable, *timer;
    STAILQ_HEAD(, chunk) chunks;
    size_t pending;
    bool ended; /* its end was passed on */
};

struct pair {
    struct way ways[2];
};

static struct event_base *base;
static uint64_t delay_ns;

static uint64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void pair_free(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        struct way *w = &p->ways[i];
        event_free(w->readable);
        event_free(w->writable);
        event_free(w->timer);
        while (!STAILQ_EMPTY(&w->chunks)) {
            struct chunk *c = STAILQ_FIRST(&w->chunks);
            STAILQ_REMOVE_HEAD(&w->chunks, next);
            free(c);
        }
    }
    (void)close(p->ways[0].from); /* lost or at its end */
    (void)close(p->ways[0].to);
    free(p);
}

/* Wait until the first chunk is due. */
static void arm(struct way *w)
{
    struct chunk *c = STAILQ_FIRST(&w->chunks);
    uint64_t now = now_ns();

    if (c == NULL) {
        return;
    }
    uint64_t ns = c->due_ns > now ? c->due_ns - now : 0;
    struct timeval tv = {.tv_sec = (time_t)(ns / 1000000000ull),
                         .tv_usec = (suseconds_t)((ns % 1000000000ull + 999) / 1000)};
    (void)event_add(w->timer, &tv); /* without memory the direction stands still */
}

/* Write what is due. Return: false when the pair is at its end. */
static bool push(struct way *w)
{
    for (struct chunk *c = STAILQ_FIRST(&w->chunks); c != NULL && c->due_ns <= now_ns();
         c = STAILQ_FIRST(&w->chunks)) {
        if (c->len == 0) {
            (void)shutdown(w->to, SHUT_WR); /* it may be gone already */
            w->ended = true;
        } else {
            ssize_t n = send(w->to, c->bytes + c->at, c->len - c->at, MSG_NOSIGNAL);
            if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                (void)event_add(w->writable, NULL);
                return true;
            }
            if (n < 0) {
                return false;
            }
            c->at += (size_t)n;
            w->pending -= (size_t)n;
            if (c->at < c->len) {
                continue;
            }
        }
        STAILQ_REMOVE_HEAD(&w->chunks, next);
        free(c);
    }
    if (w->pending < PENDING_MAX && !w->ended) {
        (void)event_add(w->readable, NULL);
    }
    arm(w);
    return !(w->pair->ways[0].ended && w->pair->ways[1].ended);
}

static void on_push(evutil_socket_t fd, short what, void *arg)
{
    struct way *w = arg;

    (void)fd, (void)what;
    if (!push(w)) {
        pair_free(w->pair);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct way *w = arg;
    struct chunk *c = malloc(sizeof *c + CHUNK_BYTES);

    (void)what;
    if (c == NULL) {
        pair_free(w->pair);
        return;
    }
    ssize_t n = recv(fd, c->bytes, CHUNK_BYTES, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        free(c);
        return;
    }
    c->len = n > 0 ? (size_t)n : 0;
    c->at = 0;
    c->due_ns = now_ns() + delay_ns;
    struct chunk *smaller = realloc(c, sizeof *c + c->len);
    c = smaller != NULL ? smaller : c;
    bool first = STAILQ_EMPTY(&w->chunks);
    STAILQ_INSERT_TAIL(&w->chunks, c, next);
    w->pending += c->len;
    if (c->len == 0 || w->pending >= PENDING_MAX) {
        (void)event_del(w->readable);
    }
    if (delay_ns == 0) {
        on_push(fd, 0, w);
    } else if (first) {
        arm(w);
    }
}

static struct pair *pair_create(int a, int b)
{
    struct pair *p = calloc(1, sizeof *p);

    if (p == NULL) {
        return NULL;
    }
    for (int i = 0; i < 2; i++) {
        struct way *w = &p->ways[i];
        w->pair = p;
        w->from = i == 0 ? a : b;
        w->to = i == 0 ? b : a;
        STAILQ_INIT(&w->chunks);
        w->readable = event_new(base, w->from, EV_READ | EV_PERSIST, on_readable, w);
        w->writable = event_new(base, w->to, EV_WRITE, on_push, w);
        w->timer = event_new(base, -1, 0, on_push, w);
        if (w->readable == NULL || w->writable == NULL || w->timer == NULL) {
            exit(1);
        }
        (void)event_add(w->readable, NULL);
    }
    return p;
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void no_delay(int fd)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* only better with it */
    (void)evutil_make_socket_nonblocking(fd);
}

static void on_connection(evutil_socket_t listener, short what, void *arg)
{
    const uint16_t *port = arg;
    struct sockaddr_in to = loopback(*port);
    int a = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    int b = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)what;
    /* Blocking: the other end is on this machine and answers, or refuses, at once. */
    if (a < 0 || b < 0 || connect(b, (struct sockaddr *)&to, sizeof to) != 0) {
        (void)close(a);
        (void)close(b);
        return;
    }
    no_delay(a);
    no_delay(b);
    if (pair_create(a, b) == NULL) {
        exit(1);
    }
}

/* "A:B". Return: false when it is not. */
static bool listen_for(const char *text)
{
    char *end = NULL;
    long from = strtol(text, &end, 10);
    long to = *end == ':' ? strtol(end + 1, &end, 10) : 0;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint16_t *port = malloc(sizeof *port);

    if (*end != '\0' || from < 1 || from > 65535 || to < 1 || to > 65535 || fd < 0 ||
        port == NULL) {
        return false;
    }
    struct sockaddr_in a = loopback((uint16_t)from);
    *port = (uint16_t)to;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* only better with it */
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0) {
        perror(text);
        return false;
    }
    (void)evutil_make_socket_nonblocking(fd);
    struct event *e = event_new(base, fd, EV_READ | EV_PERSIST, on_connection, port);
    return e != NULL && event_add(e, NULL) == 0;
}

int main(int argc, char **argv)
{
    char *end = NULL;
    long ms = argc > 2 ? strtol(argv[1], &end, 10) : -1;

    base = event_base_new();
    if (base == NULL || ms < 0 || *end != '\0') {
        fputs("usage: delay MS A:B...\n", stderr);
        return 2;
    }
    delay_ns = (uint64_t)ms * NS_PER_MS;
    for (int i = 2; i < argc; i++) {
        if (!listen_for(argv[i])) {
            fprintf(stderr, "delay: cannot listen for '%s'\n", argv[i]);
            return 1;
        }
    }
    return event_base_dispatch(base) < 0 ? 1 : 0;
}
