/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients.c: see clients.h.
 */
#include "raft/example/clients.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

raft_ns now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (raft_ns)t.tv_sec * 1000000000u + (raft_ns)t.tv_nsec;
}

struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int bound(int type, const struct sockaddr_in *at)
{
    const int on = 1;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    /* After a kill -9 the port is still taken by connections that are closing. Not for UDP, where it
     * would let two processes share a port. */
    if (type == SOCK_STREAM) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

int clients_open(struct clients *cs, uint16_t port)
{
    struct sockaddr_in at = loopback(port);
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        cs->list[i].fd = -1;
    }
    cs->peers_fd = bound(SOCK_DGRAM, &at);
    cs->listen_fd = bound(SOCK_STREAM, &at);
    if (cs->peers_fd < 0 || cs->listen_fd < 0) {
        return -1;
    }
    return listen(cs->listen_fd, 16);
}

static void take_new(struct clients *cs)
{
    int fd = accept4(cs->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    for (uint32_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++) {
        if (cs->list[i].fd < 0) {
            cs->list[i] = (struct client){.fd = fd};
            return;
        }
    }
    if (fd >= 0) {
        (void)close(fd); /* full */
    }
}

static int has_line(const struct client *cl)
{
    return cl->fd >= 0 && cl->wants == 0 && memchr(cl->in, '\n', cl->used) != NULL;
}

static void read_some(struct client *cl)
{
    ssize_t n = recv(cl->fd, cl->in + cl->used, sizeof(cl->in) - cl->used, 0);
    cl->used += n > 0 ? (size_t)n : 0;
    int endless = cl->used == sizeof(cl->in) && memchr(cl->in, '\n', cl->used) == NULL;
    if (n <= 0 || endless) {
        (void)close(cl->fd);
        *cl = (struct client){.fd = -1};
    }
}

int clients_wait(struct clients *cs, int timeout_ms)
{
    struct pollfd fds[2 + CLIENTS_MAX] = {{.fd = cs->peers_fd, .events = POLLIN},
                                          {.fd = cs->listen_fd, .events = POLLIN}};
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        const struct client *cl = &cs->list[i];
        int reads = cl->wants == 0 && cl->used < sizeof(cl->in);
        fds[2 + i] = (struct pollfd){.fd = cl->fd, .events = reads ? POLLIN : 0};
        timeout_ms = has_line(cl) ? 0 : timeout_ms;
    }
    int ready = poll(fds, 2 + CLIENTS_MAX, timeout_ms);
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        if (ready > 0 && fds[2 + i].revents != 0) {
            read_some(&cs->list[i]);
        }
    }
    if (ready > 0 && fds[1].revents != 0) {
        take_new(cs);
    }
    return ready;
}

struct client *clients_next(struct clients *cs)
{
    for (struct client *cl = cs->list; cl < cs->list + CLIENTS_MAX; cl++) {
        if (!has_line(cl)) {
            continue;
        }
        size_t n = (size_t)((char *)memchr(cl->in, '\n', cl->used) - cl->in);
        size_t fits = n < sizeof(cl->line) ? n : sizeof(cl->line) - 1;
        memcpy(cl->line, cl->in, fits);
        cl->line[fits] = '\0';
        cl->used -= n + 1;
        memmove(cl->in, cl->in + n + 1, cl->used);
        return cl;
    }
    return NULL;
}

void client_answer(struct client *cl, const char *format, ...)
{
    char line[96];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    size_t bytes = n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1;
    (void)send(cl->fd, line, bytes, MSG_NOSIGNAL); /* a client that is gone shows in clients_wait */
    cl->wants = 0;
}

void answer_members(struct client *cl, const struct raft_status *s)
{
    char text[80] = "";
    size_t n = 0;
    for (uint32_t i = 0; i < s->peers_count && n < sizeof(text) - 12; i++) {
        if ((s->peers[i].roles & RAFT_VOTER) != 0) {
            n += (size_t)snprintf(text + n, sizeof(text) - n, " %u", (unsigned)s->peers[i].id);
        }
    }
    int changing = s->joint || s->config > s->commit;
    client_answer(cl, "voters%s%s%s\n", text, changing ? " changing" : "",
                  s->repairing ? " repairing" : "");
}

int voters_asked(const struct client *cl, struct raft_config *ret_target)
{
    struct raft_config c = {.count = 0};
    if (strncmp(cl->line, "voters ", 7) != 0) {
        return 0;
    }
    char *end = NULL;
    for (const char *at = cl->line + 7; c.count < RAFT_NODES_MAX; at = end) {
        raft_id id = (raft_id)strtoul(at, &end, 10);
        if (end == at) {
            break;
        }
        c.members[c.count++] = (struct raft_member){id, RAFT_VOTER};
    }
    *ret_target = c; /* ids that make no sense are refused by the core */
    return 1;
}
