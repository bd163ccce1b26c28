/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snap_thread.h: the one worker that reads and writes snapshot files, so that neither the loop nor the
 * log waits for them. Jobs go in and results come out in one order.
 *
 * Invariants
 *   1. A result is handed out exactly once for every job but BEGIN, ABORT and PRUNE, whatever happens.
 *   2. A file becomes a snapshot only whole and verified (raft_storage.h); a failed job leaves at most a
 *      temporary file that the next prune removes.
 * Bound: the queue is bounded by the senders: one file written and one LOAD at a time, a few WRITEs (the
 * node's rules), chunks by chunks_inflight_max a peer.
 * Threads: all functions are the loop's.
 */
#ifndef COORD_SERVER_SHELL_SNAP_THREAD_H
#define COORD_SERVER_SHELL_SNAP_THREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <coord/raft.h>
#include <coord/raft_storage.h>
#include "protocol/buf.h"
#include "server/machine/loader.h"
#include "server/shell/wake.h"

struct snap_thread;

enum snap_job_kind {
    SNAP_BEGIN = 1, /* begin the file of meta */
    SNAP_WRITE = 2, /* append buf to it */
    SNAP_END = 3,   /* make it a snapshot */
    SNAP_ABORT = 4, /* delete it */
    SNAP_STORE = 5, /* store the chunk buf that msg announced */
    SNAP_LOAD = 6,  /* verify the stored file and read its state */
    SNAP_CHUNK = 7, /* read the chunk that msg asks for into buf, to be sent behind header */
    SNAP_PRUNE = 8  /* delete old files */
};

/* A job, and its result once it was done. */
struct snap_job {
    enum snap_job_kind kind;
    struct raft_snapshot meta;    /* BEGIN to ABORT (result of END: bytes set), LOAD */
    struct raft_msg msg;          /* STORE, CHUNK */
    raft_id peer;                 /* CHUNK */
    struct coord_buf *header;     /* CHUNK */
    struct coord_buf *buf;        /* WRITE, STORE: bytes. Result of CHUNK: chunk */
    struct machine_loader *state; /* result of LOAD */
    uint64_t digest[2];           /* result of END and LOAD */
    uint64_t through;             /* result of STORE: stored through this offset */
    int error;                    /* result: 0 or negative (raft_storage.h) */
    bool known;                   /* a WRITE failed before in this file: the error was told */
    struct snap_job *next;
};

struct snap_thread_options {
    const struct raft_fs *fs; /* outlives the thread */
    uint64_t cluster_id;
    int keep;          /* snapshots that PRUNE leaves */
    struct wake *wake; /* signalled when results are there */
};

/* Verify one snapshot and read its state, in one go over the file; also for boot, before the thread exists.
 * Ownership: *ret_state is the caller's. Errors: those of raft_snap_open; RAFT_STORE_ECORRUPT also when the
 * file is intact and holds no state, which is logged here. Return: 0 or negative. */
int snap_state_read(const struct raft_fs *fs, uint64_t cluster_id, raft_term term, raft_index index,
                    struct raft_snap_meta *ret_meta, struct machine_loader **ret_state);

/* Return: 0 or a negative errno. */
int snap_thread_start(const struct snap_thread_options *o, struct snap_thread **ret_t);
/* Ownership: takes job->header and job->buf over, as references; the rest is copied. Out of memory
 * stops the process: an unanswered job would stop the member anyway, silently. */
void snap_thread_put(struct snap_thread *t, const struct snap_job *job);
/* Return: the oldest result, the caller's until snap_job_destroy; NULL when there is none. */
struct snap_job *snap_thread_take(struct snap_thread *t);
void snap_job_destroy(struct snap_job *job);

/* End after the job under way; the others are dropped. NULL is accepted. */
void snap_thread_stop(struct snap_thread *t);

#endif
