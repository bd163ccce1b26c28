/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_disk.c: the disk thread of a member.
 *
 * One batch is under way at a time; what the core asks for meanwhile waits and leaves as the next
 * one. raft_wal_write is called either when the batch begins (it is durable, but the core does not
 * know yet) or when it ends (a crash before finds nothing of it, a crash inside finds a part).
 *
 * The shadow: n->durable is changed only by batches for which raft_wal_write has answered 0, so it
 * is what must be found after any crash; host_recover.c compares.
 *
 * A batch that finds no room on the disk is refused as a whole; it is tried again until there is some,
 * and the core is told (RAFT_EV_DISK).
 */
#include "tests/sim/world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_NS    (50 * SIM_MS)
#define SNAPS_KEPT 2

static struct disk_op *queue_add(struct disk_queue *q)
{
    if (q->count == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 32;
        q->v = sim_realloc(q->v, q->cap * sizeof(q->v[0]));
    }
    struct disk_op *op = &q->v[q->count++];
    *op = (struct disk_op){0};
    return op;
}

void disk_queue_clear(struct disk_queue *q)
{
    q->count = 0;
}

static void enqueue_entries(struct world *w, struct node *n, const struct raft_persist *p)
{
    for (raft_index i = p->first; i < p->first + p->count; i++) {
        const struct item *it = elog_at(&n->log, i);
        if (it == NULL) {
            sim_fail(w, "n%u: told to write entry %" PRIu64 ", which is not in its log", n->id, i);
            return;
        }
        struct disk_op *op = queue_add(&n->queue);
        op->io_seq = p->io_seq;
        op->op = (struct raft_wal_op){.kind = RAFT_WAL_ENTRY,
                                      .term = it->term,
                                      .index = i,
                                      .type = it->type,
                                      .bytes = it->bytes,
                                      .data = it->data};
    }
}

static void enqueue_mark(struct world *w, struct node *n, const struct raft_persist *p)
{
    struct disk_op *op = queue_add(&n->queue);
    op->io_seq = p->io_seq;
    op->compact = p->compact;
    op->chain = elog_chain(&n->log, p->first);
    op->op = (struct raft_wal_op){
        .kind = RAFT_WAL_SNAPMARK, .term = elog_term(&n->log, p->first), .index = p->first};
    if (p->first != n->snap.index || op->op.term != n->snap.term) {
        sim_fail(w, "n%u: told to mark a snapshot at %" PRIu64 ", the newest file is at %" PRIu64,
                 n->id, p->first, n->snap.index);
        return;
    }
    memcpy(op->op.digest, n->snap_digest, sizeof(op->op.digest));
    if (p->compact > p->first) {
        sim_fail(w, "n%u: compaction to %" PRIu64 " beyond the snapshot at %" PRIu64, n->id,
                 p->compact, p->first);
    }
    elog_trim(&n->log, p->compact);
}

void disk_enqueue(struct world *w, struct node *n, const struct raft_persist *p)
{
    trace_add(&w->trace,
              &(struct trace_rec){.at = w->now,
                                  .kind = TR_PERSIST,
                                  .node = (uint8_t)n->id,
                                  .a = p->kind,
                                  .b = p->io_seq,
                                  .c = p->kind == RAFT_PERSIST_HARDSTATE ? p->term : p->first,
                                  .d = p->kind == RAFT_PERSIST_HARDSTATE ? p->vote : p->count,
                                  .e = p->kind == RAFT_PERSIST_SNAPMARK ? p->compact : p->commit});
    switch (p->kind) {
    case RAFT_PERSIST_HARDSTATE: {
        struct disk_op *op = queue_add(&n->queue);
        op->io_seq = p->io_seq;
        op->op = (struct raft_wal_op){
            .kind = RAFT_WAL_HARDSTATE, .vote = p->vote, .term = p->term, .index = p->commit};
        break;
    }
    case RAFT_PERSIST_ENTRIES:
        enqueue_entries(w, n, p);
        break;
    case RAFT_PERSIST_SNAPMARK:
        enqueue_mark(w, n, p);
        break;
    }
}

uint64_t disk_latency(struct world *w, struct node *n)
{
    uint64_t wait = w->k.disk_ns / 4 + rng_exp(&w->rng_disk, w->k.disk_ns);
    if (rng_chance(&w->rng_disk, w->k.disk_slow_permille)) {
        wait *= 20;
    }
    if (n->slow_until > w->now) {
        uint64_t most = 3 * w->k.raft.election_max;
        wait = wait * n->slow_factor < most ? wait * n->slow_factor : most;
    }
    if (n->stall_until > w->now) {
        wait += n->stall_until - w->now;
    }
    /* Healed disks may be slow, but not so that a leader would rather hand over. */
    uint64_t most = w->k.raft.disk_stall / 2;
    return w->phase == PHASE_CHAOS || wait < most ? wait : most;
}

static void note_place(struct node *n)
{
    uint64_t at = 0;
    uint64_t len = 0;
    if (!sim_disk_last_write(n->disk, n->attested_path, sizeof(n->attested_path), &at, &len)) {
        n->attested_path[0] = '\0';
    }
    n->attested_end = at + len;
}

void disk_write_flight(struct world *w, struct node *n)
{
    uint32_t count = (uint32_t)n->flight.count;
    struct raft_wal_op *ops = sim_alloc(count * sizeof(ops[0]));
    for (uint32_t i = 0; i < count; i++) {
        ops[i] = n->flight.v[i].op;
    }
    int result = raft_wal_write(n->wal, ops, count);
    free(ops);
    n->flight_written = 1;
    n->flight_result = result;
    n->sealed = 0;
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_WRITE,
                                             .node = (uint8_t)n->id,
                                             .a = count,
                                             .b = (uint64_t)result,
                                             .c = n->flight.v[count - 1].io_seq});
    if (result != 0) {
        return;
    }
    note_place(n);
    int marked = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct disk_op *op = &n->flight.v[i];
        image_apply(&n->durable, op);
        if (op->op.kind == RAFT_WAL_SNAPMARK) {
            raft_wal_compact(n->wal, op->compact);
            marked = 1;
        }
    }
    if (marked && rng_chance(&w->rng_disk, 800)) {
        (void)raft_snap_prune(sim_disk_fs(n->disk), SIM_CLUSTER_ID, SNAPS_KEPT, NULL);
    }
}

/* The core calls itself whole: the log may forget its verdict. */
static void tell_repaired(struct world *w, struct node *n)
{
    if (!n->whole || n->repaired || n->io_failed) {
        return;
    }
    int result = raft_wal_repaired(n->wal);
    if (result == 0) {
        n->repaired = 1;
        MARK(w, LOG_REPAIRED);
        if ((n->damage & RAFT_DAMAGE_VOTE) != 0) {
            MARK(w, VOTE_RESOLVED);
        }
    } else if (raft_wal_failed(n->wal)) {
        n->repair_cut = 1;
        disk_failed(w, n);
    }
}

void disk_kick(struct world *w, struct node *n)
{
    tell_repaired(w, n);
    if (n->flight_active || n->queue.count == 0 || n->io_failed) {
        return;
    }
    struct disk_queue empty = n->flight;
    n->flight = n->queue;
    n->queue = empty;
    n->queue.count = 0;
    n->flight_active = 1;
    n->flight_at = host_now(w, n);
    n->flight_written = 0;
    n->flight_number++;
    if (n->doomed != 0) {
        host_later(w, n, 0, (struct ev){.kind = EV_CRASH, .a = (uint64_t)n->doomed});
        return;
    }
    if (rng_chance(&w->rng_disk, 400)) {
        disk_write_flight(w, n);
    }
    host_later(w, n, disk_latency(w, n), (struct ev){.kind = EV_DISK_DONE});
}

void disk_failed(struct world *w, struct node *n)
{
    trace_add(&w->trace,
              &(struct trace_rec){.at = w->now, .kind = TR_IO_FAIL, .node = (uint8_t)n->id});
    n->io_failed = 1;
    MARK(w, IO_FAULTED);
    struct raft_event ev = {.type = RAFT_EV_IO_FAILED};
    (void)host_step(w, n, &ev);
    enum host_end how = rng_chance(&w->rng_disk, 500) ? HOST_END_KILL : HOST_END_POWER;
    host_later(w, n, rng_below(&w->rng_disk, w->k.raft.election_max),
               (struct ev){.kind = EV_CRASH, .a = (uint64_t)how});
}

static void report_done(struct world *w, struct node *n, uint64_t io_seq)
{
    n->io_owed = 0;
    if (w->k.lazy_disk && !raft_io_awaited(n->raft)) {
        n->io_owed = io_seq; /* as a server's loop is not woken for it */
        MARK(w, IO_NOT_AWAITED);
        return;
    }
    trace_add(
        &w->trace,
        &(struct trace_rec){.at = w->now, .kind = TR_IO_DONE, .node = (uint8_t)n->id, .a = io_seq});
    struct raft_event ev = {.type = RAFT_EV_IO_DONE, .io_seq = io_seq};
    int result = host_step(w, n, &ev);
    if (result != 0 && n->st.role != RAFT_FAULTED) {
        sim_fail(w, "n%u: IO_DONE %" PRIu64 " refused: %s", n->id, io_seq, raft_strerror(result));
    }
}

void disk_owed(struct world *w, struct node *n)
{
    if (n->io_owed != 0) {
        struct raft_event ev = {.type = RAFT_EV_IO_DONE, .io_seq = n->io_owed};
        n->io_owed = 0;
        (void)host_feed(w, n, &ev, NULL, NULL); /* fails only when faulted, which check_node sees */
    }
}

/* Tell the core, when that is news, whether more entries would find room. */
static void tell_room(struct world *w, struct node *n, int room)
{
    if (n->no_room != room || n->io_failed) {
        return;
    }
    if (room) {
        MARK(w, ROOM_AGAIN);
    } else {
        MARK(w, NO_ROOM);
    }
    n->no_room = !room;
    struct raft_event ev = {.type = RAFT_EV_DISK, .value = (uint64_t)room};
    (void)host_step(w, n, &ev); /* fails only when faulted, which check_node sees */
}

/* The batch was refused as a whole, for want of room: it is tried again. */
static void wait_for_room(struct world *w, struct node *n)
{
    MARK(w, BATCH_WAITED);
    n->flight_written = 0;
    host_later(w, n, rng_range(&w->rng_disk, 10 * SIM_MS, 200 * SIM_MS),
               (struct ev){.kind = EV_DISK_DONE});
    tell_room(w, n, 0);
}

void disk_done(struct world *w, struct node *n)
{
    if (!n->flight_written) {
        disk_write_flight(w, n);
    }
    if (n->flight_result == -ENOSPC && !raft_wal_failed(n->wal)) {
        wait_for_room(w, n);
        return;
    }
    if (n->flight_result != 0) {
        disk_failed(w, n); /* the batch stays in flight: a part of it may be found later */
        return;
    }
    uint64_t last = n->flight.v[n->flight.count - 1].io_seq;
    uint64_t middle = n->flight.v[rng_below(&w->rng_disk, n->flight.count)].io_seq;
    n->flight_active = 0;
    if (middle - 1 > 0 && middle != n->flight.v[0].io_seq && rng_chance(&w->rng_disk, 200)) {
        report_done(w, n, middle - 1); /* cumulative: a host may report in steps */
    }
    if (!w->failed) {
        report_done(w, n, last);
    }
    if (w->failed) {
        return;
    }
    snap_maybe_take(w, n); /* the mark of the last one may have become durable */
    disk_kick(w, n);
    if (!n->flight_active) {
        host_later(w, n, IDLE_NS, (struct ev){.kind = EV_DISK_IDLE, .a = n->flight_number});
    } else if (rng_chance(&w->rng_disk, 30)) {
        disk_idle(w, n, n->flight_number);
    }
}

void disk_idle(struct world *w, struct node *n, uint64_t number)
{
    if (number != n->flight_number || n->io_failed) {
        return;
    }
    int result = raft_wal_idle(n->wal);
    if (result != 0 && result != -ENOSPC) {
        disk_failed(w, n);
        return;
    }
    if (result == 0) {
        n->sealed = !n->flight_active;
    } else {
        host_later(w, n, 4 * IDLE_NS, (struct ev){.kind = EV_DISK_IDLE, .a = number});
    }
    tell_room(w, n, result == 0 || raft_wal_room(n->wal) >= w->k.segment_bytes / 2);
}
