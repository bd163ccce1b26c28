/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nemesis_disk.c: disks that stall, freeze, are slow, fail, fill up and rot.
 *
 * Rot is bounded twice: it hits only what a later record attests (tests/sim/disk_rot.h), and of an ensemble of
 * three or five one member at a time, until it is whole again: two that doubt their votes would answer
 * neither each other nor anybody. A member whose disk is damaged beyond what coordd repairs stays out.
 * Threads: one.
 */
#include "tests/service/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool lacks(const struct member *m)
{
    return m->out || m->spoiled || m->repairing;
}

struct member *nemesis_rot_target(struct world *w)
{
    raft_id from = (raft_id)rng_below(&w->rng_nemesis, w->k.members);
    struct member *found = NULL;
    for (uint32_t i = 0; i < w->k.members && w->k.members > 1; i++) {
        struct member *m = &w->members[(from + i) % w->k.members + 1];
        if (lacks(m)) {
            from = m->id - 1; /* the same one again, or nobody */
            found = m->node != NULL && media_seal(m) ? m : NULL;
            break;
        }
    }
    for (uint32_t i = 0; i < w->k.members && found == NULL && w->k.members > 1; i++) {
        struct member *m = &w->members[(from + i) % w->k.members + 1];
        if (lacks(m)) {
            return NULL;
        }
        if (m->node != NULL && m->paused_until <= w->now && media_seal(m)) {
            found = m;
        }
    }
    return found;
}

static void rot(struct world *w, struct member *m)
{
    struct rot_done d = {.kind = ROT_NONE};
    struct media *x = &m->media;
    char path[ROT_PATH_BYTES];
    memcpy(path, x->sealed_path, sizeof(path)); /* the end of the process forgets it */
    const struct rot_bounds b = {
        .disk = x->disk, .rng = &w->rng_disk, .sealed_path = path, .sealed_end = x->sealed_end};
    member_end(m, END_KILL);
    if (!sim_disk_rot(&b, rng_chance(&w->rng_disk, 700) ? "wal" : "snap", &d) ||
        d.kind == ROT_NONE) {
        return;
    }
    MARK(w, ROTTED);
    m->rotted = true;
    m->spoiled = true;
    world_trace(w, TR_ROT, 'n', m->id, d.kind,
                d.path[0] == 'w' ? strtoull(d.path + 4, NULL, 16) : 0, d.at, d.len, d.path);
}

static void fail(struct world *w, struct member *m)
{
    uint32_t nth = 1 + (uint32_t)rng_below(&w->rng_nemesis, 5);
    switch (rng_below(&w->rng_nemesis, 4)) {
    case 0:
        sim_disk_fail_sync(m->media.disk, nth, SIM_DISK_SYNC_KEEP);
        break;
    case 1:
        sim_disk_fail_sync(m->media.disk, nth, SIM_DISK_SYNC_REVERT);
        break;
    default:
        sim_disk_fail(m->media.disk, SIM_DISK_WRITE, nth, 1, EIO);
        break;
    }
}

void nemesis_disk(struct world *w, struct member *m, enum svc_fault f, uint64_t ns)
{
    switch (f) {
    case FAULT_STALL:
        if (member_leads(m)) {
            MARK(w, STALLED_LEADER);
        }
        media_stall(m, true);
        nemesis_undo_later(w, f, m->id, m->boot, ns);
        break;
    case FAULT_FREEZE: /* until the end, or until the process ends */
        MARK(w, DISK_FROZEN);
        media_stall(m, true);
        nemesis_undo_later(w, f, m->id, m->boot, 20 * SVC_SEC);
        break;
    case FAULT_SLOW:
        MARK(w, DISK_SLOW);
        m->media.slow_until = w->now + ns;
        m->media.slow_factor = 3 + rng_below(&w->rng_nemesis, 48);
        break;
    case FAULT_FULL:
        media_capacity(&m->media, rng_below(&w->rng_nemesis, w->k.segment_bytes));
        nemesis_undo_later(w, f, m->id, 0, 2 * SVC_SEC + ns);
        break;
    case FAULT_BAD_READ:
        m->media.bad_reads = 1 + (int)rng_below(&w->rng_nemesis, 3);
        break;
    case FAULT_ROT:
        rot(w, m);
        break;
    default:
        fail(w, m);
        break;
    }
}

void nemesis_disk_undo(struct world *w, enum svc_fault f, raft_id id, uint64_t boot)
{
    struct member *m = &w->members[id];
    if (f == FAULT_FULL) {
        media_capacity(&m->media, UINT64_MAX);
    } else if (m->boot == boot && m->node != NULL) {
        media_stall(m, false);
    }
}

void nemesis_disk_heal(struct member *m)
{
    struct media *d = &m->media;
    sim_disk_fail_sync(d->disk, 0, SIM_DISK_SYNC_KEEP);
    sim_disk_fail(d->disk, 0, 0, 0, 0);
    media_capacity(d, UINT64_MAX);
    d->bad_reads = 0;
    d->slow_until = 0;
    if (m->node != NULL) {
        media_stall(m, false);
    }
}
