/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_set.h: the inside of the links between members, shared by peer.c (the set and its links),
 * peer_out.c (connections we opened) and peer_in.c (connections we accepted). Private to these three.
 */
#ifndef COORD_SERVER_SHELL_PEER_SET_H
#define COORD_SERVER_SHELL_PEER_SET_H

#include "server/shell/peer.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include "server/shell/frame.h"
#include "server/shell/handshake.h"
#include "server/shell/log.h"
#include "server/shell/net.h"
#include "server/shell/outq.h"
#include "server/shell/resolver.h"

#define PEER_PENDING_MAX      32 /* accepted connections that have not named themselves yet */
#define PEER_HANDSHAKE_NS     (5 * CLOCK_NS_PER_S)
#define PEER_WAIT_MIN_NS      (10 * CLOCK_NS_PER_MS)
#define PEER_WAIT_MAX_NS      CLOCK_NS_PER_S
#define PEER_LINES_PER_WINDOW 2 /* log lines in ten seconds about refusals and failures */

enum peer_out_state {
    PEER_OUT_WAITING = 1,
    PEER_OUT_CONNECTING = 2,
    PEER_OUT_GREETING = 3,
    PEER_OUT_READY = 4
};

struct peer_set;

/* An accepted connection. */
struct peer_in {
    struct peer_set *set;
    struct peer *peer; /* NULL until it named itself */
    int fd;            /* -1: this place is free */
    uint64_t opened_ns;
    uint64_t incarnation;
    bool broken; /* to be closed by whoever called into the frame reader */
    struct event readable;
    struct frame_reader reader;
    char source[NET_SOURCE_BYTES];
};

struct peer {
    struct peer_set *set;
    uint32_t place; /* among conf's members */
    raft_id id;
    struct conf_address address;
    char name[CONF_HOST_BYTES_MAX + 16]; /* the address, for the log */

    enum peer_out_state state;
    int fd; /* -1: none */
    bool broken;
    uint64_t since_ns; /* of state */
    uint64_t wait_ns;  /* the next wait, before jitter */
    uint64_t incarnation;
    struct event timer;
    struct event readable;
    struct event writable;
    bool blocked; /* READY and the socket is full */
    bool dirty;   /* READY and something was queued */
    struct frame_reader reader;
    struct outq out;
    uint64_t dropped;
    struct log_limit complaints;

    struct peer_in *in; /* established, NULL none */
    bool up;            /* as the host was told */
    const char *cut;    /* why there is to be no link, or NULL; it lives as long as the program */
};

struct peer_set {
    struct peer_options o;
    uint32_t count;
    struct peer peers[CONF_MEMBERS_MAX];
    struct peer_in ins[PEER_PENDING_MAX + CONF_MEMBERS_MAX];
    struct resolver *resolver;
    uint64_t rng;
    int listener;
    struct event acceptable;
    bool resting;                             /* the listener, until the next sweep */
    const char *cut_wanted[CONF_MEMBERS_MAX]; /* by place in peers; as peer.cut */
    bool cut_changed;
    bool told;
    struct log_limit complaints;
    uint8_t scratch[FRAME_SCRATCH_BYTES];
};

/* peer.c */
struct peer *peer_find(struct peer_set *s, raft_id id);
/* What we say to `to` (0 when unknown). */
void peer_self(const struct peer_set *s, enum handshake_kind kind, raft_id to,
               struct handshake *ret_h);
/* Compare both sides of the link and tell the host when that changed it. why: for "down". */
void peer_link_update(struct peer *p, const char *why);

/* peer_out.c: go to WAITING, whatever the state, and connect after the wait (0: at once). */
void peer_out_init(struct peer *p);
void peer_out_close(struct peer *p, const char *why);
void peer_out_retry(struct peer *p, uint64_t wait_ns);
void peer_out_flush(struct peer *p);
void peer_out_sweep(struct peer *p, uint64_t now);

/* peer_in.c */
int peer_in_begin(struct peer_set *s, int listener);
void peer_in_close(struct peer_in *in, const char *why);
void peer_in_sweep(struct peer_set *s, uint64_t now);

#endif
