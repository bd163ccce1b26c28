/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_set.h: the inside of a set of client connections, shared by conn.c (a connection's life),
 * conn_accept.c (its beginning) and conn_quiet.c (its silence). Private to these.
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

#define CONN_QUIET_MS 1 /* what quiet connections send may wait so long to be read: conn_quiet.c */

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
    bool quiet;    /* read through the set's quiet.fd, not by `readable` */
    uint8_t rests; /* keep-alives since anything else came, counted as far as matters */
    bool pinged;   /* a keep-alive was not answered yet */
    struct conn *next_timed;
    struct conn **prev_timed; /* NULL: no limit on time can concern it */
    struct conn *next_dirty;
    struct conn *next_held;
    struct event readable;
    struct event writable;
    struct frame_reader reader;
    struct outq out;
    uint64_t turn;          /* the set's, when something was queued last */
    uint64_t backlog_bytes; /* of out: what turns before that one left */
    struct conn_inbox
        inbox;           /* read, and not handed over yet; while there is any, nothing is read */
    uint32_t credit;     /* frames to hand over in this turn */
    uint32_t credit_max; /* in a turn: halved when answers pile up, doubled when they do not */
    uint64_t opened_ns;
    uint64_t progress_ns;    /* inside a frame: since when progress_bytes counts; 0 not yet */
    uint64_t progress_bytes; /* reader.bytes at that time */
    uint64_t deadline_ns;    /* not 0: gone by then */
    uint32_t address_bucket;
    char source[NET_SOURCE_BYTES];
};

/* conn_quiet.c */
struct conn_quiet {
    int fd; /* epoll, of all quiet connections */
    bool made;
    bool patient;
    struct event ready;      /* eager: fd has something */
    struct event anchor;     /* always there, never active */
    struct event due;        /* patient: time to look */
    uint32_t frames;         /* that came through fd since ... */
    uint64_t since_ns;       /* ... then (eager) */
    uint32_t looks;          /* ... so many looks ago (patient) */
    uint64_t haste_until_ns; /* eager until then */
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
    struct conn_quiet quiet;
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
/* Something is there to be read. */
void conn_read(struct conn *c);

/* Begin and stop to read from c; the second also when it is not read. */
void conn_read_on(struct conn *c);
void conn_read_off(struct conn *c);

/* Return: 0 or negative errno. */
int conn_quiet_begin(struct conn_set *s);
void conn_quiet_end(struct conn_set *s);
/* c has sent this frame. */
void conn_quiet_frame(struct conn *c, const struct coord_buf *buf);
/* One read of c is over; full: there may be more. */
void conn_quiet_read(struct conn *c, bool full);
/* Something is sent to c. */
void conn_quiet_sent(struct conn *c);

/* A connection of this bucket is gone. */
void conn_accept_closed(struct conn_set *s, uint32_t address_bucket);
/* Accept again, if it was only stopped for want of descriptors or places. */
void conn_accept_resume(struct conn_set *s);

#endif
