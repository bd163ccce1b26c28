/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cadence.c: when a snapshot is worth its cost.
 *
 * A snapshot costs what the state is large, and spares what the log has grown: it is worth it when the log has
 * grown by CADENCE_WORTH times the newest snapshot. So it is begun
 *   by bytes     when it is worth it, but not below CADENCE_BYTES_MIN and at the latest at o.snapshot_bytes: a
 *                small state with large values is saved often, its log stays short, and the segments of it in the
 *                page cache;
 *   by entries   after o.snapshot_entries, and after twice as many when it is not worth it by then: a large state
 *                is not written many times over for each time that the log has grown by as much. When nothing has
 *                been applied for CADENCE_QUIET, it is begun at o.snapshot_entries all the same: nobody is kept
 *                waiting then, and a restart has less to apply.
 * All three count from the begin of the newest snapshot. With a log that is nearly full it is begun anyway.
 *
 * Invariants
 *   1. Twice the entries by which one is begun at the latest fit into three quarters of the log: so it reaches
 *      back to the older of the two newest snapshots when the next is begun (pace.c).
 */
#include "server/node/internal.h"

#define CADENCE_WORTH     4u
#define CADENCE_BYTES_MIN (UINT64_C(32) << 20) /* two segments of the log */
#define CADENCE_QUIET     (500 * NODE_MS)      /* so long nothing is applied */

/* How much log is worth a snapshot. */
static uint64_t bytes_worth(const struct node *n)
{
    uint64_t most = n->o.snapshot_bytes;
    uint64_t size = n->snaps.newest.bytes;
    return size < most / CADENCE_WORTH ? CADENCE_WORTH * size : most;
}

/* By how many bytes it is begun at the latest. */
static uint64_t bytes_max(const struct node *n)
{
    uint64_t most = n->o.snapshot_bytes;
    uint64_t least = most < CADENCE_BYTES_MIN ? most : CADENCE_BYTES_MIN;
    uint64_t worth = bytes_worth(n);
    return worth < least ? least : worth;
}

/* By how many entries. */
static uint64_t entries_max(const struct node *n)
{
    uint64_t entries = n->o.snapshot_entries;
    uint64_t fit = n->o.raft.log_slots / 8 * 3;
    uint64_t twice = entries <= fit / 2 ? 2 * entries : fit;
    return n->snaps.bytes < bytes_worth(n) && twice > entries ? twice : entries;
}

/* Nobody waits for anything, nor has lately. */
bool node__quiet(const struct node *n)
{
    return n->requests == 0 && n->now >= n->applied_at + CADENCE_QUIET;
}

/* Due, once it is quiet. */
static bool due_in_quiet(const struct node *n)
{
    return n->snaps.entries >= n->o.snapshot_entries;
}

bool node__snapshot_due(const struct node *n)
{
    const struct snapshots *s = &n->snaps;
    uint64_t log_entries = n->st.last + 1 - n->st.first;
    if (s->owed || s->entries >= entries_max(n) || s->bytes >= bytes_max(n)) {
        return true;
    }
    if (due_in_quiet(n) && node__quiet(n)) {
        return true;
    }
    /* A log that runs full stops the group: the fuller it is, the fewer applied entries are reason enough
     * to cut it. */
    uint64_t slots = n->o.raft.log_slots;
    return (log_entries >= slots / 4 * 3 && s->entries >= slots / 16) ||
           log_entries >= slots - slots / 16;
}

uint64_t node__snapshot_due_at(const struct node *n)
{
    /* A request that ends brings a run by itself. */
    return due_in_quiet(n) && n->requests == 0 ? n->applied_at + CADENCE_QUIET : NODE_NEVER;
}
