/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.c: how fast the state is copied, and how fast the log may grow meanwhile, so that a snapshot is
 * complete before the log is full: a full log takes no write until it is.
 *
 * The budget of a snapshot is the room that the log has at its begin, in entries; what the log holds of before
 * the snapshot before it counts as room, for it can be released at any time. It is a third of the log at
 * most: another member takes its snapshots at other times, and its log may have to hold two budgets and more
 * until one is complete. Of that budget
 *   the first half    is what may be appended until all is copied: as soon as the copy is behind, its slices
 *                     follow each other without a pause, many a run;
 *   the second half   is for the disk to finish the file.
 * A leader that appends faster than that all the same (the disk takes the copy too slowly, the state is too
 * large) proposes only what the part of the copy that is written allows. So writes are slowed down evenly by
 * a disk that is too slow for them, in place of none for a long time.
 *
 * Invariants
 *   1. While there is a snapshot to be finished and its disk makes progress, a leader has entries to propose.
 *   2. The log is released behind the newest snapshot, and not the one before, only when it is three quarters
 *      full.
 */
#include "server/node/internal.h"

#define PARTS UINT64_C(65536) /* of a state */

/* The budget: entries that the log takes until it is full, once it is released through the newest snapshot. */
static uint64_t budget(const struct node *n)
{
    uint64_t slots = n->o.raft.log_slots;
    uint64_t usable = slots - slots / 32; /* the core keeps some back for leaders' first entries */
    raft_index kept = n->snaps.newest.index;
    kept = kept + 1 > n->st.first ? kept : n->st.first - 1;
    uint64_t used = n->st.last - kept;
    uint64_t left = usable > used ? usable - used : 0;
    return left < usable / 3 ? left : usable / 3;
}

/* Of PARTS of the state, how many are copied. */
static uint64_t copied(const struct node *n)
{
    const struct snapshots *s = &n->snaps;
    struct machine_saver_info info;
    if (s->saver == NULL) {
        return PARTS;
    }
    machine_saver_info(s->saver, &info);
    return info.records < s->pace.records ? info.records * PARTS / s->pace.records : PARTS - 1;
}

/* And of these, how many are written. */
static uint64_t written(const struct node *n)
{
    const struct snapshots *s = &n->snaps;
    uint64_t under_way = (uint64_t)s->writing * NODE_SAVE_CHUNK_BYTES;
    if (under_way == 0) {
        return copied(n);
    }
    return under_way < s->pace.bytes ? copied(n) * (s->pace.bytes - under_way) / s->pace.bytes : 0;
}

void node__pace_begin(struct node *n)
{
    struct machine_stats stats;
    machine_stats(n->machine, &stats);
    n->snaps.pace = (struct pace){.from = n->st.last,
                                  .room = budget(n),
                                  .records = stats.nodes + stats.sessions,
                                  .released = n->snaps.pace.released};
}

static uint64_t appended(const struct node *n)
{
    /* n->st is of the last poll; what was proposed since then has its payload already. */
    raft_index last = n->st.last > n->log.last ? n->st.last : n->log.last;
    raft_index from = n->snaps.pace.from;
    return last > from ? last - from : 0; /* some may have been cut off again */
}

bool node__pace_behind(const struct node *n)
{
    const struct snapshots *s = &n->snaps;
    if (s->saver == NULL || s->writing >= NODE_SAVE_CHUNKS) {
        return false;
    }
    return copied(n) * s->pace.room < appended(n) * 2 * PARTS;
}

uint32_t node__pace_proposals(const struct node *n, uint32_t most)
{
    const struct snapshots *s = &n->snaps;
    if (!s->saving) {
        return most;
    }
    /* A quarter at once, half as the file grows, and the last quarter while the disk finishes it. */
    bool finishing = s->saver == NULL && s->writing == 0;
    uint64_t quarters = finishing ? 3 * PARTS : 2 * written(n);
    uint64_t allowed = s->pace.room * (PARTS + quarters) / (4 * PARTS);
    uint64_t so_far = appended(n);
    uint64_t left = allowed > so_far ? allowed - so_far : 0;
    return left < most ? (uint32_t)left : most;
}

void node__pace_release(struct node *n)
{
    struct snapshots *s = &n->snaps;
    raft_index newest = s->newest.index;
    if (n->st.last + 1 - n->st.first < n->o.raft.log_slots / 4 * 3 || newest < n->st.first ||
        s->pace.released == newest || s->loading) {
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_SNAP_TAKEN, .snapshot = &s->newest, .index = newest};
    s->pace.released = newest;
    (void)node__step(n, &ev, NULL); /* only a faulted member refuses it */
    n->again = true;
}
