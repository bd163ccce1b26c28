/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h: what happened in a world, as small records: the last ones are kept for a failure report,
 * and all of them flow into one rolling hash by which two runs of a seed are compared.
 */
#ifndef COORD_SIM_TRACE_H
#define COORD_SIM_TRACE_H

#include <coord/raft.h>

#include <stdint.h>
#include <stdio.h>

#define TRACE_KEPT 4096 /* records, a power of two */

enum trace_kind {
    TR_SEND = 1, /* msg: node -> peer */
    TR_RECV,     /* msg: peer -> node */
    TR_LOST,     /* msg: node -> peer, a: enum trace_lost */
    TR_TICK,
    TR_ROLE,    /* a role, b term, c leader, d commit, e last */
    TR_PERSIST, /* a kind, b io_seq, c term or first, d vote or count, e commit or compact */
    TR_WRITE,   /* a ops, b result, c last io_seq */
    TR_IO_DONE, /* a io_seq */
    TR_IO_FAIL,
    TR_PROPOSE,       /* a result, b term, c first, d count */
    TR_READ,          /* a cookie, b floor */
    TR_ANSWER,        /* a cookie, b result, c index */
    TR_DROP,          /* a first, b last, c term */
    TR_COMMIT,        /* a commit, b hash of the prefix */
    TR_APPLIED,       /* a applied */
    TR_SNAP_BEGIN,    /* a index, b term */
    TR_SNAP_TAKEN,    /* a index, b term, c bytes */
    TR_CHUNK,         /* a snap_id, b offset, c length, d total */
    TR_INSTALL,       /* a index, b term, c result */
    TR_INSTALL_BEGIN, /* a index, b term */
    TR_BOOT,          /* a health, b term, c vote, d snapshot, e last */
    TR_CRASH,         /* a enum host_end */
    TR_LINK,          /* a up, peer */
    TR_FAULT,         /* a number of the fault, b class, c on or off, d and e its details */
    TR_ROT,     /* a 1 flip 2 scramble 3 unreadable 4 misdirect 5 and lost, b number of the segment
                         (0: snapshot), c offset, d bytes, e offset of the misdirected write */
    TR_CONFIG,  /* a result, b voters, c learners (bits), d index */
    TR_MEMBERS, /* a index, b voters, c outgoing voters, d learners, e those with marks (bits) */
    TR_PHASE    /* a: 1 healed, 2 converged */
};

struct trace_rec {
    uint64_t at;
    uint8_t kind;
    uint8_t node;
    uint8_t peer;
    uint8_t msg_type;
    uint8_t msg_flags;
    uint8_t reserved[3];
    uint64_t a;
    uint64_t b;
    uint64_t c;
    uint64_t d;
    uint64_t e;
};

struct trace {
    uint64_t hash;
    uint64_t count;
    FILE *live; /* every record is printed here too; NULL: no */
    void (*watch)(void *arg, const struct trace_rec *rec); /* is told every record; NULL: nobody */
    void *watch_arg;
    struct trace_rec ring[TRACE_KEPT];
};

/* Keep one record. Return: none. */
void trace_add(struct trace *t, const struct trace_rec *rec);

/* Print the last n records. */
void trace_dump(const struct trace *t, FILE *to, uint64_t n);

#endif
