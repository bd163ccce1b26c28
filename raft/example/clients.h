/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients.h: lines from TCP clients and answers to them, and the socket between members. Plain sockets
 * and poll; of Raft only names. One thread. A client sends one request at a time: its next line waits
 * until `wants` is 0 again.
 */
#ifndef RAFT_EXAMPLE_CLIENTS_H
#define RAFT_EXAMPLE_CLIENTS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <coord/raft.h>

#define CLIENTS_MAX 32u

struct client {
    int fd;        /* -1: free */
    int wants;     /* the host's: what it waits for; 0 nothing */
    uint64_t key;  /* the host's */
    char line[64]; /* the request, without its end */
    char in[128];  /* what came and is not a request yet */
    size_t used;
};

struct clients {
    int listen_fd;
    int peers_fd;
    struct client list[CLIENTS_MAX];
};

/* 127.0.0.1 and port. Thread: any. */
struct sockaddr_in loopback(uint16_t port);

/* Take clients on TCP, and peers on UDP, at 127.0.0.1:port.
 * Ownership: the sockets last as long as the process. Return: 0 or -1 with errno. */
int clients_open(struct clients *cs, uint16_t port);

/* Nanoseconds on the monotonic clock. Thread: any. */
raft_ns now_ns(void);

/* Wait at most timeout_ms (-1: for ever) for something to do; take new clients and read what came. A
 * client that is gone or sends nonsense is closed. Return: 0 when the time passed with nothing. */
int clients_wait(struct clients *cs, int timeout_ms);

/* A client that wants nothing and has sent a line: it is in ->line now. Return: NULL when none has. */
struct client *clients_next(struct clients *cs);

/* Send a line, its end included; the client wants nothing any more. Never waits: who does not read
 * gets nothing. */
void client_answer(struct client *cl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Answer who votes, and what is under way. */
void answer_members(struct client *cl, const struct raft_status *s);

/* Has it sent "voters ID...": with which members? Return: 1 or 0. */
int voters_asked(const struct client *cl, struct raft_config *ret_target);

#endif
