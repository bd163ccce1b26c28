/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nemesis_disk.c: disks that stall, fail, fill up, lie and rot.
 *
 * Rot is bounded twice. First, nemesis_may_lose: a majority of every configuration keeps its disk.
 * Second, it hits only what a later record attests (disk_rot.h).
 */
#include "tests/sim/disk_rot.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note(struct world *w, const struct node *n, const char *path, struct trace_rec rec)
{
    rec.at = w->now;
    rec.kind = TR_ROT;
    rec.node = (uint8_t)n->id;
    rec.b = path[0] == 'w' ? strtoull(path + 4, NULL, 16) : 0;
    trace_add(&w->trace, &rec);
}

static void mark_rot(struct world *w, enum rot_kind kind)
{
    switch (kind) {
    case ROT_FLIPPED:
        MARK(w, BIT_FLIPPED);
        break;
    case ROT_SCRAMBLED:
        MARK(w, SECTORS_SCRAMBLED);
        break;
    case ROT_UNREADABLE:
        MARK(w, SECTOR_UNREADABLE);
        break;
    case ROT_MISDIRECTED:
        MARK(w, WRITE_MISDIRECTED);
        break;
    case ROT_NONE:
        break;
    }
}

void disk_rot(struct world *w, struct node *n)
{
    struct rot_done d;
    const struct rot_bounds b = {.disk = n->disk,
                                 .rng = &w->rng_disk,
                                 .sealed_path = n->attested_path,
                                 .sealed_end = n->attested_end};
    if (!sim_disk_rot(&b, rng_chance(&w->rng_disk, 700) ? "wal" : "snap", &d)) {
        return;
    }
    n->rotted = 1;
    n->spoiled = 1;
    mark_rot(w, d.kind);
    if (d.kind != ROT_NONE) {
        note(w, n, d.path,
             (struct trace_rec){.a = (uint64_t)d.kind, .c = d.at, .d = d.len, .e = d.from});
    }
    if (d.lost) {
        note(w, n, d.from_path, (struct trace_rec){.a = 5, .c = d.from, .d = d.len});
    }
}

struct node *disk_rot_target(struct world *w)
{
    raft_id from = (raft_id)rng_below(&w->rng_nemesis, w->k.nodes);
    for (uint32_t i = 0; i < w->k.nodes; i++) {
        struct node *n = world_node(w, (from + i) % w->k.nodes + 1);
        if (n->state != HOST_UP || n->paused || n->flight_active || n->io_failed ||
            !nemesis_may_lose(w, n->id)) {
            continue;
        }
        if (!n->sealed) {
            disk_idle(w, n, n->flight_number);
        }
        if (n->sealed && !w->failed) {
            return n;
        }
    }
    return NULL;
}

void disk_trouble(struct world *w, struct node *n, enum sim_fault kind, uint64_t time)
{
    uint64_t until = w->now + time;
    switch (kind) {
    case FAULT_STALL:
        n->stall_until = w->now + time / 3;
        if (time / 3 > w->k.raft.disk_stall) {
            MARK(w, DISK_STALLED);
        }
        break;
    case FAULT_FREEZE: /* until chaos ends, or a crash ends it */
        MARK(w, DISK_FROZEN);
        until = w->now + (5 + rng_below(&w->rng_nemesis, 10)) * w->k.raft.election_max;
        n->stall_until = until < w->k.chaos_ns ? until : w->k.chaos_ns;
        break;
    case FAULT_SLOW:
        MARK(w, DISK_SLOW);
        n->slow_until = until;
        n->slow_factor = rng_range(&w->rng_nemesis, 3, 50);
        break;
    case FAULT_BADREAD:
        n->bad_reads = (int)rng_range(&w->rng_nemesis, 1, 3);
        break;
    default:
        if (rng_chance(&w->rng_disk, 700)) {
            sim_disk_fail_sync(n->disk, (uint32_t)rng_range(&w->rng_disk, 1, 4),
                               rng_chance(&w->rng_disk, 500) ? SIM_DISK_SYNC_KEEP
                                                             : SIM_DISK_SYNC_REVERT);
        } else {
            sim_disk_fail(n->disk, SIM_DISK_WRITE, (uint32_t)rng_range(&w->rng_disk, 1, 4), 1, EIO);
        }
    }
}
