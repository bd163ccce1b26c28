/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h: lean connections: the client protocol (docs/protocol.md) on one socket each, for loads where the
 * library's own work would be measured too, or where there are too many connections for a handle each.
 *
 * What a connection does by itself: hello, opening a session if asked to, numbering, matching replies with requests by
 * their order. What it leaves to others: reconnecting (wire_connect again), keeping its session alive, errors of
 * requests, repeating anything.
 *
 *   CLOSED --wire_connect--> CONNECTING --> GREETING --> (OPENING) --> READY --lost--> CLOSED
 *
 * Rules
 *   1. Handlers may call wire_send on any connection of the set, nothing else of this header.
 *   2. Each accepted request is answered once: by its reply, or with COORD_ECONNECT when the connection is lost;
 *      `down` is called after the last of these.
 *   3. Everything sent in a turn leaves with one send per connection at its end.
 *
 * A connection without bytes on their way holds no buffers: some 150 bytes and a descriptor.
 * Thread: one for a set and all its connections.
 */
#ifndef COORD_BENCH_WIRE_H
#define COORD_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "client/bench/targets.h"
#include "protocol/message.h"

struct wire;

struct wire_reply {
    enum coord_op op;
    int error;           /* 0 or negative */
    const uint8_t *body; /* of the frame, for coord_result_decode; NULL when none came */
    size_t body_bytes;
    uint64_t now_ns; /* when the bytes were taken from the socket */
};

struct wire_handlers {
    void (*up)(struct wire *w);
    void (*down)(struct wire *w, int error);
    void (*reply)(struct wire *w, void *tag, const struct wire_reply *r);
    void (*event)(struct wire *w, const uint8_t *body, size_t bytes, uint64_t now_ns);
};

struct wire_set {
    int epoll;
    struct targets targets;
    const struct wire_handlers *handlers;
    uint32_t sources; /* connect from so many addresses 127.0.1.1 ...; 0: as the system likes */
    bool session;     /* open one on each connection */
    uint64_t session_timeout_ms; /* asked for */
    uint8_t *bytes;              /* what was read just now */
    struct wire *dirty;          /* have output */
};

enum wire_state { WIRE_CLOSED = 0, WIRE_CONNECTING, WIRE_GREETING, WIRE_OPENING, WIRE_READY };

struct wire_tag {
    void *tag;
    uint8_t op;
};

struct wire {
    struct wire_set *set;
    void *owner; /* the user's */
    int fd;
    enum wire_state state;
    uint32_t index;    /* among the connections of the set: chooses the source address */
    uint32_t attempt;  /* chooses the server */
    uint64_t number;   /* of the last request */
    uint64_t seen;     /* the highest revision told */
    uint64_t asked_ns; /* since then the oldest request waits without any answer having come */
    struct wire_tag *ring;
    uint32_t ring_mask, head, count;
    bool dirty, want_out;
    struct wire *next_dirty;
    struct coord_buf *out, *in;
    uint32_t out_at;
};

/* Return: false when memory or descriptors are out, or the list of servers is not understood. */
bool wire_set_init(struct wire_set *s, const char *servers, const struct wire_handlers *handlers);
/* The connections were finished before. Accepts one whose init failed. */
void wire_set_finish(struct wire_set *s);

/* flying: how many requests may be without an answer; index: its first server is number index % servers.
 * Return: false when memory is out. */
bool wire_init(struct wire *w, struct wire_set *s, uint32_t index, uint32_t flying, void *owner);
/* Closes it without telling anybody. Accepts a zeroed one. */
void wire_finish(struct wire *w);

/* Begin to connect a CLOSED one, to the next server after a failure. Return: 0, or a negative error when it failed at
 * once (then it is CLOSED still and nobody is told). */
int wire_connect(struct wire *w);

/* Send a request: number and acked are filled in.
 * Return: 0; COORD_ECONNECT when it is not READY; COORD_EBUSY when as many as allowed are under way; COORD_ENOMEM,
 * COORD_EINVAL (not encodable). */
int wire_send(struct wire *w, struct coord_request *q, void *tag);

/* Give a connection up as if it had been lost. Not in handlers. */
void wire_drop(struct wire *w, int error);

/* Has it waited without any progress since before that time? */
bool wire_overdue(const struct wire *w, uint64_t before_ns);

/* Send what is to be sent, wait at most timeout_ns for something to come, handle all that came. Return: how many
 * connections had something; negative on an error of the system. */
int wire_set_turn(struct wire_set *s, uint64_t timeout_ns);

#endif
