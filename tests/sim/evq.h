/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evq.h: the queue of what happens next in virtual time: a binary heap by (time, tie-break).
 *
 * The tie-break is drawn from the seed, so two events of one instant come in either order, but in
 * the same order in every run of the seed. Threads: none.
 */
#ifndef COORD_SIM_EVQ_H
#define COORD_SIM_EVQ_H

#include <stddef.h>
#include <stdint.h>

enum ev_kind {
    EV_DELIVER = 1,  /* p: struct packet, for node */
    EV_CONNECT,      /* try to connect node and peer */
    EV_LINK,         /* node learns that its link to peer is up (a 1) or broke (a 0) */
    EV_TICK,         /* a: generation of the timer */
    EV_POLL,         /* the end of an iteration of the host's loop */
    EV_APPLY,        /* apply what is committed */
    EV_DISK_DONE,    /* the batch under way is finished */
    EV_DISK_IDLE,    /* a: number of the batch after which the disk was idle */
    EV_SNAP_TAKEN,   /* the snapshot being written is finished */
    EV_CHUNK_STORED, /* a: snap_id, b: offset, c: length is stored */
    EV_SNAP_LOADED,  /* the snapshot received is verified and loaded */
    EV_BOOT,         /* start the process again */
    EV_CRASH,        /* a: enum host_end */
    EV_RESUME,       /* the paused process goes on */
    EV_PAUSE,        /* the process sleeps for a moment */
    EV_CAMPAIGN,     /* the process is told to stand for election */
    EV_CLIENT,       /* one step of the load */
    EV_ASK,          /* a client that reads from node again and again; a: how often yet */
    EV_NEMESIS,      /* one fault */
    EV_UNDO,         /* a: number of the fault that ends */
    EV_HEAL,         /* chaos ends */
    EV_WATCH         /* look whether the healed group has converged */
};

struct ev {
    uint64_t at;
    uint64_t tie;
    uint8_t kind; /* enum ev_kind */
    uint8_t node; /* 0: of no node */
    uint8_t peer;
    uint32_t boot; /* of node; an event of an earlier life of its process is void */
    uint64_t a;
    uint64_t b;
    uint64_t c;
    void *p;
};

struct evq {
    struct ev *heap;
    size_t count;
    size_t cap;
};

/* Ownership: the queue copies *e. Return: none. */
void evq_push(struct evq *q, const struct ev *e);

/* Return: 1 and *ret_e, or 0 when empty. */
int evq_pop(struct evq *q, struct ev *ret_e);

/* Frees the heap, not what the events point to. */
void evq_finish(struct evq *q);

#endif
