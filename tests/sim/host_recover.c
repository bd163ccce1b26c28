/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_recover.c: what a member finds on its disk when it starts, compared with what must be there.
 *
 * The shadow: n->durable is changed only by batches for which raft_wal_write has answered 0, so it
 * is what must be found after any crash. Recovery may find more only as a prefix of the batch under
 * way. Anything else, found or missing, is a failure of the log.
 *
 * A log with damage (RAFT_WAL_REPAIR) is no prefix of anything: its entries become the shadow as they
 * are found. What is compared is the hard state, unless the log says that it may be lost. A verdict
 * that was reached at an earlier boot must be the same until the member is whole.
 *
 * A member boots from the newest whole snapshot file, whether its mark became durable or not: the
 * state it holds was committed. So deleting all but the newest files is safe at any time.
 *
 * A read that fails says nothing about what is on the disk: the process ends, and is started again.
 */
#include "tests/sim/world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAPS_LISTED 8

static void mark_lost(struct world *w, const struct disk_queue *q, size_t from)
{
    for (size_t i = from; i < q->count; i++) {
        if (q->v[i].op.kind == RAFT_WAL_HARDSTATE && q->v[i].op.vote != 0) {
            MARK(w, VOTE_LOST_IN_CRASH);
        } else if (q->v[i].op.kind == RAFT_WAL_ENTRY) {
            MARK(w, ENTRIES_LOST_IN_CRASH);
        }
    }
}

/* Which prefix of the batch under way survived? n->durable becomes what was found. */
static void match_shadow(struct world *w, struct node *n, const struct raft_wal_state *found)
{
    char why[200];
    char first_why[200] = "";
    int open = n->flight_active && !(n->flight_written && n->flight_result == 0);
    size_t most = open ? n->flight.count : 0;
    struct image im = {0};
    image_copy(&im, &n->durable);
    size_t taken = 0;
    for (;;) {
        if (image_matches(&im, found, why, sizeof(why))) {
            break;
        }
        if (taken == 0) {
            memcpy(first_why, why, sizeof(why));
        }
        if (taken == most) {
            sim_fail(w, "n%u: recovery (%s) differs from what was written: %s; batch of %zu", n->id,
                     found->detail, first_why, most);
            break;
        }
        image_apply(&im, &n->flight.v[taken++]);
    }
    if (!w->failed) {
        if (most > 0 && taken == most) {
            MARK(w, VOTE_KEPT_IN_CRASH);
        }
        mark_lost(w, &n->flight, open ? taken : n->flight.count);
        mark_lost(w, &n->queue, 0);
        image_copy(&n->durable, &im);
    }
    image_finish(&im);
    n->flight_active = 0;
    n->flight.count = 0;
    n->queue.count = 0;
}

/* The hash of the committed prefix that a snapshot at index stands for. */
static uint64_t snapshot_chain(const struct world *w, const struct node *n, raft_index index)
{
    if (index == n->durable.snap_index) {
        return n->durable.snap_chain;
    }
    return index > 0 && index <= w->ledger.committed ? w->ledger.commits[index].chain : 0;
}

/* Is this the hard state that the shadow holds, or one of the batch that a crash cut off? */
static int hard_state_written(const struct node *n, const struct raft_wal_state *found)
{
    int written = found->term == n->durable.term && found->vote == n->durable.vote;
    for (size_t i = 0; n->flight_active && i < n->flight.count; i++) {
        const struct raft_wal_op *op = &n->flight.v[i].op;
        written |=
            op->kind == RAFT_WAL_HARDSTATE && op->term == found->term && op->vote == found->vote;
    }
    return written;
}

/* The highest commit index that can be on disk. */
static raft_index commit_written(const struct node *n)
{
    raft_index most = n->durable.commit;
    for (size_t i = 0; n->flight_active && i < n->flight.count; i++) {
        const struct raft_wal_op *op = &n->flight.v[i].op;
        int newer = op->kind == RAFT_WAL_HARDSTATE && op->index > most;
        most = newer ? op->index : most;
    }
    return most;
}

/* Damage was found just now: what is there becomes the shadow. Return: 1, or 0 when a read failed. */
static int adopt_damaged(struct world *w, struct node *n, const struct raft_wal_state *found)
{
    struct image *im = &n->durable;
    raft_index last = found->first + found->count - 1;
    raft_index claimed = elog_last(&im->log);
    claimed = claimed > im->snap_index ? claimed : im->snap_index;
    n->claimed = claimed > n->claimed ? claimed : n->claimed;
    int regained = (n->reads_failed & 2) != 0; /* what could not be read then can be read now */
    if ((found->damage & RAFT_DAMAGE_VOTE) == 0 && !regained && !hard_state_written(n, found)) {
        sim_fail(w, "n%u: recovery knows of term %" PRIu64 " vote %u, it wrote %" PRIu64 " vote %u",
                 n->id, found->term, found->vote, im->term, im->vote);
        return 0;
    }
    if (found->commit > commit_written(n) || found->snapshot_index > w->ledger.committed) {
        sim_fail(w, "n%u: recovery found commit %" PRIu64 " snapshot %" PRIu64, n->id,
                 found->commit, found->snapshot_index);
        return 0;
    }
    uint64_t chain = snapshot_chain(w, n, found->snapshot_index);
    elog_reset(&im->log, found->snapshot_index, found->snapshot_term, chain);
    for (raft_index i = found->snapshot_index + 1; i <= last && !w->failed; i++) {
        const struct raft_entry *e = &found->entries[i - found->first];
        uint8_t *data = arena_alloc(&w->arena, e->bytes + 1);
        if (raft_wal_read(n->wal, i, data, e->bytes + 1) != e->bytes) {
            if (n->reads_fail) {
                return 0;
            }
            sim_fail(w, "n%u: entry %" PRIu64 " before the damage cannot be read", n->id, i);
        }
        const struct item it = {.term = e->term, .data = data, .bytes = e->bytes, .type = e->type};
        elog_push(&im->log, &it);
    }
    im->term = found->term;
    im->vote = found->vote;
    im->commit = found->commit;
    im->snap_index = found->snapshot_index;
    im->snap_term = found->snapshot_term;
    im->snap_chain = chain;
    n->flight_active = 0;
    n->flight.count = 0;
    n->queue.count = 0;
    return 1;
}

/* What the log is believed to be worth. Return: 0 when the test has failed. */
static int note_verdict(struct world *w, struct node *n, const struct raft_wal_state *found)
{
    uint32_t before = n->repaired ? 0 : n->verdict;
    uint32_t now = found->damage & ~(uint32_t)RAFT_DAMAGE_TAIL;
    int cut =
        n->repair_cut && now == 0; /* its last word was that it is whole, and reached the disk */
    n->repair_cut = 0;
    if (!n->spoiled && now != before && !cut) {
        sim_fail(w, "n%u: the verdict on its log was %u and is %u: %s", n->id, before, now,
                 found->detail);
        return 0;
    }
    if (!n->spoiled && before != 0) {
        MARK(w, REPAIR_CRASHED);
    }
    if (found->health == RAFT_WAL_REPAIR && n->spoiled) {
        MARK(w, LOG_REPAIR);
    }
    if (found->health == RAFT_WAL_TORN) {
        MARK(w, TORN_TAIL_CUT);
    }
    n->verdict = now;
    n->repaired = n->repaired && now == 0;
    n->damage = found->damage;
    /* A host may doubt more than its log does; flips of bits alone hardly ever take the vote. */
    n->doubts = now != 0 && (n->spoiled ? rng_chance(&w->rng_disk, 300) : n->doubts);
    n->damage |= n->doubts ? RAFT_DAMAGE_VOTE : 0u;
    if ((n->damage & RAFT_DAMAGE_VOTE) != 0) {
        MARK(w, VOTE_IN_DOUBT);
    }
    n->damage_index = found->damage_index;
    n->damage_term = found->damage_term;
    return 1;
}

int disk_tell_damage(struct node *n, struct raft_event *ev)
{
    ev->type = RAFT_EV_BOOT_DAMAGE;
    ev->value = n->damage;
    ev->index = n->damage_index;
    ev->hardstate.term = n->damage_term;
    return raft_step(n->raft, ev, NULL);
}

/* Read every entry's payload back and compare it with what was written. Return: 1 when all are good. */
static int load_entries(struct world *w, struct node *n)
{
    elog_reset(&n->log, n->durable.snap_index, n->durable.snap_term, n->durable.snap_chain);
    raft_index last = elog_last(&n->durable.log);
    for (raft_index i = n->durable.snap_index + 1; i <= last; i++) {
        const struct item *want = elog_at(&n->durable.log, i);
        struct item it = *want;
        uint8_t *data = arena_alloc(&w->arena, want->bytes + 1);
        int64_t got = raft_wal_read(n->wal, i, data, want->bytes + 1);
        if (got != want->bytes) {
            if (!n->rotted && !n->reads_fail) {
                sim_fail(w, "n%u: entry %" PRIu64 " cannot be read back: %" PRId64, n->id, i, got);
            }
            return 0;
        }
        it.data = data;
        elog_push(&n->log, &it);
        if (elog_chain(&n->log, i) != want->chain) {
            sim_fail(w, "n%u: entry %" PRIu64 " was read back with other bytes", n->id, i);
            return 0;
        }
    }
    return 1;
}

static void adopt_snapshot(struct world *w, struct node *n, const struct raft_snap_meta *meta)
{
    n->snap = (struct raft_snapshot){.index = meta->index,
                                     .term = meta->term,
                                     .config_index = meta->config_index,
                                     .config = meta->config,
                                     .snap_id = snap_id_of(meta->term, meta->index),
                                     .bytes = meta->bytes};
    memcpy(n->snap_digest, meta->digest, sizeof(meta->digest));
    check_snapshot(w, n, &n->machine, meta->digest);
    MARK(w, BOOT_FROM_SNAPSHOT);
    if (meta->index > n->durable.snap_index) {
        MARK(w, BOOT_FROM_UNMARKED);
    }
    n->boot_snap = meta->index;
}

/* The newest snapshot file that is whole, at or behind the one that the log is marked with: a file may
 * have become durable before its mark did. Return: 1 when there is what must be there. */
static int load_snapshot(struct world *w, struct node *n)
{
    struct raft_snap_meta metas[SNAPS_LISTED];
    raft_index held = n->boot_snap > n->durable.snap_index ? n->boot_snap : n->durable.snap_index;
    int count = raft_snap_list(sim_disk_fs(n->disk), SIM_CLUSTER_ID, metas, SNAPS_LISTED);
    n->machine = (struct machine){0};
    n->snap = (struct raft_snapshot){0};
    n->boot_snap = 0;
    for (int i = 0; i < count && metas[i].index >= n->durable.snap_index; i++) {
        struct raft_snap_meta meta;
        int result = snap_read_state(w, n, metas[i].term, metas[i].index, &n->machine, &meta);
        if (result == 0) {
            adopt_snapshot(w, n, &meta);
            break;
        }
        if (!n->rotted && !n->reads_fail && !sim_disk_stopped(n->disk)) {
            sim_fail(w, "n%u: snapshot at %" PRIu64 " cannot be read: %s", n->id, metas[i].index,
                     raft_store_strerror(result));
            return 0;
        }
    }
    if (n->snap.index < held && !n->rotted && !n->reads_fail && !sim_disk_stopped(n->disk)) {
        sim_fail(w, "n%u: the snapshot at %" PRIu64 " is gone, the newest is at %" PRIu64, n->id,
                 held, n->snap.index);
    }
    return n->snap.index >= held;
}

static int stay_out(struct world *w, struct node *n, const char *what)
{
    if (!n->rotted) {
        sim_fail(w, "n%u: recovery claims damage, none was done: %s", n->id, what);
        return 0;
    }
    MARK(w, KEPT_OUT);
    raft_wal_close(n->wal);
    n->wal = NULL;
    n->state = HOST_OUT;
    n->flight_active = 0;
    return 0;
}

/* Some read of this recovery may fail, once. */
static void begin_bad_reads(struct world *w, struct node *n)
{
    n->reads_fail = n->bad_reads > 0;
    if (n->reads_fail) {
        n->bad_reads--;
        sim_disk_fail(n->disk, SIM_DISK_READ, (uint32_t)rng_range(&w->rng_disk, 1, 30), 1, EIO);
    }
}

static void end_bad_reads(struct node *n)
{
    if (n->reads_fail) {
        sim_disk_fail(n->disk, SIM_DISK_READ, 1, 0, EIO);
    }
    n->reads_fail = 0;
}

/* A read failed, which says nothing about what is on the disk, or there is no room to begin. The process
 * ends and is started again. */
static int try_again(struct world *w, struct node *n)
{
    if (n->reads_fail) {
        MARK(w, READ_FAILED);
    } else {
        MARK(w, BOOT_WITHOUT_ROOM);
    }
    raft_wal_close(n->wal);
    n->wal = NULL;
    sim_disk_kill(n->disk);
    world_later(w, w->k.raft.election_max, (struct ev){.kind = EV_BOOT, .node = (uint8_t)n->id});
    return 0;
}

/* The power failed in the midst of recovery: whoever cut it boots again. */
static int cut_again(struct node *n, int open)
{
    raft_wal_close(open ? n->wal : NULL);
    n->wal = NULL;
    return 0;
}

/* Return: what raft_wal_open returns. */
static int open_log(struct world *w, struct node *n, char *why, size_t why_bytes)
{
    struct raft_wal_options o;
    raft_wal_options_init(&o);
    o.fs = sim_disk_fs(n->disk);
    o.cluster_id = SIM_CLUSTER_ID;
    o.node_id = n->id;
    o.segment_bytes = w->k.segment_bytes;
    o.segments_ready = w->k.segments_ready;
    o.salt_seed = rng_next(&w->rng_disk);
    begin_bad_reads(w, n);
    /* In a log that is damaged already, what cannot be read now is one more damage; and it may be less
     * again the next time. */
    n->reads_failed = (n->reads_failed << 1 | n->reads_fail) & 3;
    n->spoiled |= n->verdict != 0 && !n->repaired && n->reads_failed != 0;
    n->attested_path[0] = '\0';
    return raft_wal_open(&o, &n->wal, why, why_bytes);
}

/* The log did not open, which may only be if something was done to the disk. */
static int not_opened(struct world *w, struct node *n, int result, const char *why)
{
    n->wal = NULL;
    if (n->reads_fail || result == -ENOSPC) {
        return try_again(w, n);
    }
    if (n->rotted) {
        return stay_out(w, n, why);
    }
    sim_fail(w, "n%u: log does not open: %s (%s)", n->id, raft_store_strerror(result), why);
    return 0;
}

static void trace_boot(struct world *w, const struct node *n, const struct raft_wal_state *found)
{
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_BOOT,
                                             .node = (uint8_t)n->id,
                                             .a = found->health,
                                             .b = found->term,
                                             .c = found->vote,
                                             .d = found->snapshot_index,
                                             .e = found->first + found->count - 1});
}

/* Hold what was found in the log against what must be there. Return: 1 when the member can go on with it. */
static int judge_log(struct world *w, struct node *n)
{
    const struct raft_wal_state *found = raft_wal_state(n->wal);
    trace_boot(w, n, found);
    if (found->health == RAFT_WAL_REPAIR && !n->rotted) {
        sim_fail(w, "n%u: recovery claims damage, none was done: %s", n->id, found->detail);
    }
    if (w->failed || !note_verdict(w, n, found)) {
        return 0;
    }
    if (found->health == RAFT_WAL_REPAIR && n->spoiled) {
        if (!adopt_damaged(w, n, found)) {
            return w->failed ? 0 : try_again(w, n);
        }
    } else {
        match_shadow(w, n, found);
    }
    n->spoiled = 0;
    return !w->failed;
}

/* Read entries and snapshot. Return: 1 when all is there. */
static int load_state(struct world *w, struct node *n)
{
    int loaded = load_entries(w, n) && load_snapshot(w, n);
    if (sim_disk_stopped(n->disk)) {
        return cut_again(n, 1);
    }
    if (loaded || w->failed) {
        return loaded;
    }
    return n->reads_fail ? try_again(w, n) : stay_out(w, n, "snapshot or entry damaged");
}

int disk_recover(struct world *w, struct node *n)
{
    char why[256] = "";
    int result = open_log(w, n, why, sizeof(why));
    if (sim_disk_stopped(n->disk)) {
        return cut_again(n, result == 0);
    }
    if (result != 0) {
        return not_opened(w, n, result, why);
    }
    if (!judge_log(w, n) || !load_state(w, n)) {
        return 0;
    }
    end_bad_reads(n);
    n->sealed = 0;
    return 1;
}
