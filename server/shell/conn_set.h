/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_set.h: the inside of a set of client connections, shared by conn.c (a connection's life), conn_accept.c
 * (its beginning) and conn_doze.c (how it is read while it only keeps alive). Private to these three.
 */
#ifndef COORD_SERVER_SHELL_CONN_SET_H
#define COORD_SERVER_SHELL_CONN_SET_H

#include "server/shell/conn.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include "server/shell/frame.h"
#include "server/shell/log.h"
#include "server/shell/net.h"
#include "server/shell/outq.h"

/* Pipelined requests are handed to the host a few at a time, so that a burst of requests with large
 * answers does not fill the memory before the first answer could leave. */
#define CONN_CREDIT_FIRST 8
#define CONN_CREDIT_MAX   1024
#define CONN_QUEUE_HIGH   (1024U * 1024) /* more unsent bytes than this: nothing is handed over */

/* Connections are counted per address in this many buckets. Two addresses that share one are counted
 * together: with a secret seed that only makes the limit a little stricter, now and then. */
#define CONN_BUCKETS 16384

/* The wheel of those that doze (conn_doze.c): each slot holds those to be looked at together. */
#define CONN_DOZE_SLOTS 1024

enum conn_state { CONN_OPEN = 1, CONN_DRAINING = 2, CONN_LINGERING = 3 };

/* Frames in order; bounded by what one read brings. */
struct conn_inbox {
    struct coord_buf **frames;
    uint32_t cap;
    uint32_t first;
    uint32_t count; /* behind first */
};

struct conn {
    struct conn_set *set;
    uint64_t id;
    int fd;
    enum conn_state state;
    bool paused;   /* nothing is read: by the host, or after bad */
    bool bad;      /* the stream is broken */
    bool blocked;  /* the socket is full: its writable event flushes */
    bool overflow; /* too much output: closed at the next flush */
    bool full;     /* the host waits to be told that it is drained */
    bool behind;   /* likewise, when little is left */
    bool dirty;    /* in the set's list */
    bool held;     /* in the set's list of those with an inbox */
    struct conn *next_dirty;
    struct conn *next_held;
    struct conn *next_timed;
    struct conn **prev_timed; /* NULL: no limit on time can concern it */
    struct conn *next_dozing;
    struct conn **prev_dozing; /* NULL: awake */
    uint64_t due_ns;           /* dozing: when its next keep-alive should be here */
    uint64_t doze_ns;          /* and how far they are apart */
    bool looked;               /* its last bytes were found by a look, not told of */
    uint8_t looks_count;       /* in a row */
    struct event readable;
    struct event writable;
    struct frame_reader reader;
    struct outq out;
    uint64_t turn;          /* the set's, when something was queued last */
    uint64_t backlog_bytes; /* of out: what turns before that one left */
    struct conn_inbox
        inbox;            /* read, and not handed over yet; while there is any, nothing is read */
    uint32_t credit;      /* frames to hand over in this turn */
    uint32_t credit_max;  /* in a turn: halved when answers pile up, doubled when they do not */
    uint64_t heard_ns;    /* opened; once there was a frame: when bytes were told of last */
    uint64_t progress_ns; /* inside a frame: since when progress_bytes counts; 0 not yet */
    uint64_t progress_bytes; /* reader.bytes at that time */
    uint64_t deadline_ns;    /* not 0: gone by then */
    uint32_t address_bucket;
    char source[NET_SOURCE_BYTES];
};

struct conn_set {
    struct conn_options o;
    struct conn **conns; /* by place; cap of them */
    uint32_t *free_slots;
    uint32_t free_count;
    uint32_t cap;
    uint32_t count;
    uint64_t serial;
    uint64_t turn; /* counts flushes */
    struct conn *dirty;
    struct conn *held;
    struct conn *timed;
    struct conn *dozing[CONN_DOZE_SLOTS];
    struct conn *looks;      /* taken from the wheel, to be looked at */
    uint64_t doze_next;      /* the first slot, counted from time 0, that was not taken yet */
    uint64_t doze_timer_end; /* the slot whose end the timer is set to; UINT64_MAX: to none */
    struct event doze_timer;
    bool doze_due; /* there may be some to look at now */
    uint32_t dozing_count;
    uint64_t now_ns; /* clock_boot_ns in turn ... */
    uint64_t now_turn;
    uint64_t queued_bytes;        /* of all output queues */
    bool told;                    /* the host was told of an end since this was cleared */
    struct log_limit complaints;  /* about what clients did */
    struct log_limit refusals[2]; /* of connections, of too many from an address */

    int listener; /* -1: none */
    int spare; /* a descriptor kept back so that one connection can be refused when there are no more */
    bool accepting;
    struct event acceptable;
    uint64_t bucket_seed;
    uint32_t buckets[CONN_BUCKETS];
    uint8_t scratch[FRAME_SCRATCH_BYTES];
};

/* Make a connection of fd, counted already in its bucket. Return: its number, 0 when refused. */
uint64_t conn_open(struct conn_set *s, int fd, const char *source, uint32_t address_bucket);

/* NULL: it is gone. */
struct conn *conn_find(const struct conn_set *s, uint64_t id);

/* Read what there is and hand it on. Return: bytes, 0 when there were none, negative when it must not be touched any
 * more: it is gone, or ending. */
ssize_t conn_read(struct conn *c);

/* When this turn began, about. */
uint64_t conn_set_now(struct conn_set *s);

/* conn_doze.c */
void conn_doze_init(struct conn_set *s);
void conn_doze_finish(struct conn_set *s);
/* Be told of every byte again. Awake: nothing happens. */
void conn_wake(struct conn *c);
/* c is about to be freed. */
void conn_doze_forget(struct conn *c);
/* Look at those that are due, if it is time to. */
void conn_doze_resume(struct conn_set *s);

/* A connection of this bucket is gone. */
void conn_accept_closed(struct conn_set *s, uint32_t address_bucket);
/* Accept again, if it was only stopped for want of descriptors or places. */
void conn_accept_resume(struct conn_set *s);

#endif
