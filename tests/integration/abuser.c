/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abuser.c: clients that do what they should not, over plain sockets, so that a test can see that the
 * others do not suffer. It speaks just enough of docs/protocol.md.
 *
 *   abuser hog PORTS PATH CONNS SECONDS   watch everything, ask for PATH 2,000 times, never read
 *   abuser idle PORTS CONNS               say nothing, or half a frame: all must be closed within 15 s
 *   abuser crowd PORTS CONNS              connect all at once: each must be greeted within 15 s
 *   abuser fuzz PORTS SEED SECONDS        requests with bytes changed at random, and noise
 *   abuser trickle PORTS CONNS            a byte a second, half of them after a hello: all must be closed
 *                                         within 20 s
 *   abuser storm PORTS CONNS FROM SECONDS connect all at once from the address FROM, without waiting for
 *                                         any; say how many were greeted, refused, and left without a
 *                                         word; hold those that were greeted
 *
 * PORTS: of 127.0.0.1, separated by commas; connections go round. Exit: 0, or 1 with what went wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX   12000
#define HOG_READS   2000
#define PATIENCE_MS 15000
#define TRICKLE_MS  20000
#define STORM_MS    30000

static uint16_t ports[16];
static size_t ports_count;
static int fds[CONNS_MAX];

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void ports_read(const char *text)
{
    char *end = NULL;
    while (ports_count < sizeof ports / sizeof ports[0]) {
        ports[ports_count++] = (uint16_t)strtoul(text, &end, 10);
        if (*end != ',') {
            return;
        }
        text = end + 1;
    }
}

static int dial(size_t i)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int small = 4096;

    to.sin_port = htons(ports[i % ports_count]);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) < 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        perror("abuser: connect");
        exit(EXIT_FAILURE);
    }
    return fd;
}

/* --- requests ---------------------------------------------------------------------------------- */

struct out {
    uint8_t data[256];
    size_t len;
};

static void byte(struct out *o, unsigned value)
{
    o->data[o->len++] = (uint8_t)value;
}

static void number(struct out *o, uint64_t value)
{
    byte(o, 0xcf);
    for (int i = 7; i >= 0; i--) {
        byte(o, (unsigned)(value >> (8 * i)) & 0xff);
    }
}

static void text(struct out *o, const char *value)
{
    size_t len = strlen(value) & 0xff;
    byte(o, 0xd9);
    byte(o, (unsigned)len);
    memcpy(o->data + o->len, value, len);
    o->len += len;
}

/* A request's beginning; the length in front is filled in by finish. */
static void begin(struct out *o, uint64_t n, unsigned op, unsigned args)
{
    o->len = 4;
    byte(o, 0x90 | (3 + args));
    number(o, n);
    byte(o, op);
    byte(o, 0); /* acked */
}

static void finish(struct out *o)
{
    size_t body = o->len - 4;
    o->data[0] = 0;
    o->data[1] = 0;
    o->data[2] = (uint8_t)(body >> 8);
    o->data[3] = (uint8_t)body;
}

static void hello(struct out *o)
{
    begin(o, 1, 1, 5);
    byte(o, 1);
    text(o, "abuser");
    byte(o, 0);
    byte(o, 0xc0);
    byte(o, 0);
    finish(o);
}

static void get(struct out *o, uint64_t n, const char *path)
{
    begin(o, n, 6, 3);
    text(o, path);
    byte(o, 0);
    byte(o, 0);
    finish(o);
}

static void watch(struct out *o, uint64_t n)
{
    begin(o, n, 13, 6);
    byte(o, 1);
    text(o, "/");
    byte(o, 2);
    byte(o, 7);
    byte(o, 3);
    byte(o, 0);
    finish(o);
}

/* Send all of o. Return: false when the server closed, or takes no more. */
static bool push(int fd, const struct out *o)
{
    size_t done = 0;
    while (done < o->len) {
        ssize_t n = send(fd, o->data + done, o->len - done, MSG_NOSIGNAL);
        if (n < 0) {
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

/* --- what it does ------------------------------------------------------------------------------ */

static int hog(const char *path, size_t count, int64_t ms)
{
    struct out o;
    for (size_t i = 0; i < count; i++) {
        fds[i] = dial(i);
        hello(&o);
        (void)push(fds[i], &o);
        watch(&o, 2);
        (void)push(fds[i], &o);
        bool open = true;
        for (uint64_t n = 0; n < HOG_READS && open; n++) {
            get(&o, n + 3, path);
            open = push(fds[i], &o); /* false: the server reads no more, as it should */
        }
    }
    (void)poll(NULL, 0, (int)ms);
    return EXIT_SUCCESS;
}

/* Read and drop. Return: true when the other end has closed. */
static bool is_closed(int fd)
{
    uint8_t in[4096];
    ssize_t n = recv(fd, in, sizeof in, 0);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static int idle(size_t count)
{
    struct out o;
    hello(&o);
    for (size_t i = 0; i < count; i++) {
        fds[i] = dial(i);
        o.len = i % 2 == 0 ? 0 : 9; /* nothing, or the beginning of a frame */
        (void)push(fds[i], &o);
    }
    size_t left = count;
    for (int64_t end = now_ms() + PATIENCE_MS; left > 0 && now_ms() < end;) {
        for (size_t i = 0; i < count; i++) {
            if (fds[i] >= 0 && is_closed(fds[i])) {
                (void)close(fds[i]);
                fds[i] = -1;
                left--;
            }
        }
        (void)poll(NULL, 0, 50);
    }
    if (left > 0) {
        fprintf(stderr, "abuser: %zu idle connections are still open\n", left);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int crowd(size_t count)
{
    struct out o;
    size_t greeted = 0;
    hello(&o);
    for (size_t i = 0; i < count; i++) {
        fds[i] = dial(i);
    }
    for (size_t i = 0; i < count; i++) {
        (void)push(fds[i], &o);
    }
    int64_t end = now_ms() + PATIENCE_MS;
    for (size_t i = 0; i < count && now_ms() < end; i++) {
        struct pollfd p = {.fd = fds[i], .events = POLLIN};
        uint8_t in[4096];
        int64_t wait = end - now_ms();
        if (poll(&p, 1, (int)(wait > 0 ? wait : 0)) == 1 && recv(fds[i], in, sizeof in, 0) > 0) {
            greeted++;
        }
    }
    if (greeted < count) {
        fprintf(stderr, "abuser: %zu of %zu connections were greeted\n", greeted, count);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

/* A byte a second: of a hello, or, behind one, of a frame that announces a megabyte. */
static int trickle(size_t count)
{
    struct out o;
    size_t left = count;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        fds[i] = dial(i);
        hello(&o);
        (void)push(fds[i], &o);
    }
    for (size_t i = 0; i < count; i += 2) { /* half of them begin anew, without a word */
        (void)close(fds[i]);
        fds[i] = dial(i);
    }
    hello(&o);
    for (int64_t end = now_ms() + TRICKLE_MS; left > 0 && now_ms() < end; at++) {
        static const uint8_t announced[] = {0, 0x10, 0, 0, 0x90};
        for (size_t i = 0; i < count; i++) {
            if (fds[i] >= 0 && is_closed(fds[i])) {
                (void)close(fds[i]);
                fds[i] = -1;
                left--;
            }
            const uint8_t *p = i % 2 == 0 ? o.data + at % o.len : announced + (at < 5 ? at : 4);
            if (fds[i] >= 0) {
                (void)send(fds[i], p, 1, MSG_NOSIGNAL); /* told by is_closed when it fails */
            }
        }
        (void)poll(NULL, 0, 1000);
    }
    if (left > 0) {
        fprintf(stderr, "abuser: %zu connections of a byte a second are still open\n", left);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

/* --- a storm ----------------------------------------------------------------------------------- */

enum fate { CALLING = 0, SAID_HELLO, GREETED, REFUSED };

static struct pollfd polls[CONNS_MAX];
static uint8_t fates[CONNS_MAX];

static void storm_call(size_t i, const char *from)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in self = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;
    to.sin_port = htons(ports[i % ports_count]);
    /* The port is chosen when it connects, or there would be none left. */
    if (fd < 0 || inet_pton(AF_INET, from, &self.sin_addr) != 1 ||
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&self, sizeof self) < 0 ||
        (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)) {
        perror("abuser: storm");
        exit(EXIT_FAILURE);
    }
    polls[i] = (struct pollfd){.fd = fd, .events = POLLOUT};
}

/* Something happened on connection i. */
static void storm_look(size_t i, const struct out *greeting)
{
    int error = 0;
    socklen_t len = sizeof error;
    uint8_t in[4096];
    (void)getsockopt(polls[i].fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error == 0 && fates[i] == CALLING) {
        bool sent = push(polls[i].fd, greeting);
        fates[i] = sent ? SAID_HELLO : REFUSED;
        polls[i].events = POLLIN;
    } else if (error == 0) {
        ssize_t n = recv(polls[i].fd, in, sizeof in, 0);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        fates[i] = n > 0 ? GREETED : REFUSED;
    } else {
        fates[i] = REFUSED;
    }
    if (fates[i] == REFUSED) {
        (void)close(polls[i].fd);
    }
    if (fates[i] == REFUSED || fates[i] == GREETED) {
        polls[i].fd = -1 - polls[i].fd; /* poll passes over it; it stays open */
    }
}

static int storm(size_t count, const char *from, int64_t hold_ms)
{
    struct out o;
    size_t by_fate[4] = {0};
    hello(&o);
    for (size_t i = 0; i < count; i++) {
        storm_call(i, from);
    }
    for (int64_t end = now_ms() + STORM_MS; now_ms() < end;) {
        size_t open = 0;
        int n = poll(polls, count, 100);
        for (size_t i = 0; i < count; i++) {
            if (n > 0 && polls[i].fd >= 0 && polls[i].revents != 0) {
                storm_look(i, &o);
            }
            open += polls[i].fd >= 0;
        }
        if (open == 0) {
            break;
        }
    }
    for (size_t i = 0; i < count; i++) {
        by_fate[fates[i]]++;
    }
    printf("greeted=%zu refused=%zu stuck=%zu\n", by_fate[GREETED], by_fate[REFUSED],
           by_fate[CALLING] + by_fate[SAID_HELLO]);
    (void)fflush(stdout);
    (void)poll(NULL, 0, (int)hold_ms);
    return EXIT_SUCCESS;
}

static uint64_t rng;

static uint64_t draw(uint64_t below)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % below;
}

/* A request of any operation with arguments of any kind. */
static void any_request(struct out *o, uint64_t n)
{
    static const char *const paths[] = {"/", "/f", "/f/a", "/f/b", "", "a", "//", "/f/", "/f/../x"};
    unsigned args = (unsigned)draw(8);
    begin(o, n, (unsigned)draw(18), args);
    for (unsigned i = 0; i < args; i++) {
        switch (draw(6)) {
        case 0:
            number(o, draw(2) == 0 ? UINT64_MAX : draw(9));
            break;
        case 1:
            byte(o, 0xc0);
            break;
        case 2:
            byte(o, (unsigned)draw(256));
            break;
        default:
            if (i == 0) {
                text(o, paths[draw(sizeof paths / sizeof paths[0])]);
            } else {
                byte(o, (unsigned)draw(4));
            }
        }
    }
    finish(o);
}

static void mutate(struct out *o)
{
    for (uint64_t i = draw(4); i > 0; i--) {
        size_t at = draw(20) == 0 ? draw(o->len) : 4 + draw(o->len - 4);
        unsigned value = draw(2) == 0 ? (unsigned)draw(256) : o->data[at] ^ 1U << draw(8);
        o->data[at] = (uint8_t)value;
    }
}

static int fuzz(uint64_t seed, int64_t ms)
{
    struct out o;
    uint64_t sent = 0;
    uint64_t connections = 0;
    rng = seed * 2654435761U + 1;
    for (int64_t end = now_ms() + ms; now_ms() < end; connections++) {
        int fd = dial(connections);
        bool open = true;
        hello(&o);
        open = push(fd, &o);
        for (uint64_t n = 2; open && n < 200; n++) {
            if (draw(3) == 0) {
                get(&o, n, "/f");
            } else {
                any_request(&o, n);
            }
            mutate(&o);
            open = push(fd, &o) && !is_closed(fd);
            sent++;
        }
        (void)close(fd);
    }
    printf("%llu requests on %llu connections\n", (unsigned long long)sent,
           (unsigned long long)connections);
    return sent > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc >= 4) {
        ports_read(argv[2]);
        size_t count = strtoul(argv[argc == 6 ? 4 : 3], NULL, 10);
        count = count < CONNS_MAX ? count : CONNS_MAX;
        if (argc == 6 && strcmp(argv[1], "hog") == 0) {
            return hog(argv[3], count, strtol(argv[5], NULL, 10) * 1000);
        }
        if (argc == 4 && strcmp(argv[1], "idle") == 0) {
            return idle(count);
        }
        if (argc == 4 && strcmp(argv[1], "crowd") == 0) {
            return crowd(count);
        }
        if (argc == 4 && strcmp(argv[1], "trickle") == 0) {
            return trickle(count);
        }
        if (argc == 6 && strcmp(argv[1], "storm") == 0) {
            count = strtoul(argv[3], NULL, 10);
            count = count < CONNS_MAX ? count : CONNS_MAX;
            return storm(count, argv[4], strtol(argv[5], NULL, 10) * 1000);
        }
        if (argc == 5 && strcmp(argv[1], "fuzz") == 0) {
            return fuzz(count, strtol(argv[4], NULL, 10) * 1000);
        }
    }
    fprintf(stderr, "usage: abuser hog PORTS PATH CONNS SECONDS\n"
                    "       abuser idle PORTS CONNS\n"
                    "       abuser crowd PORTS CONNS\n"
                    "       abuser fuzz PORTS SEED SECONDS\n"
                    "       abuser trickle PORTS CONNS\n"
                    "       abuser storm PORTS CONNS FROM SECONDS\n");
    return 2;
}
