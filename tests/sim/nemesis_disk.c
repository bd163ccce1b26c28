/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nemesis_disk.c: disks that stall, fail, fill up, lie and rot.
 *
 * Rot is bounded twice. First, nemesis_may_lose: a majority of every configuration keeps its disk.
 * Second, it hits only what a later record attests: damage behind the last attested record cannot be
 * told from a torn write, and a member that forgets it would have to be believed (docs/testing.md). So
 * the log is sealed first, as a host may do at any idle moment, and the seal itself stays whole. One
 * flipped bit is always within that: it takes the seal or what the seal attests, not both.
 */
#include "tests/sim/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096U

/* A file of the log or of the snapshots, and how much of it may rot. */
struct victim {
    struct world *w;
    const struct node *n;
    const char *dir;
    char path[SIM_PATH_BYTES];
    uint64_t bytes;
    uint64_t seen;
};

/* Bytes of the file that stand before the seal. */
static uint64_t attested_bytes(const struct node *n, const char *path)
{
    uint64_t bytes = 0;
    if (sim_disk_data(n->disk, path, &bytes) == NULL) {
        return 0;
    }
    if (path[0] != 'w') {
        return bytes; /* snapshots are attested by their own digest */
    }
    int order = strcmp(path, n->attested_path);
    if (n->attested_path[0] == '\0' || order > 0) {
        return 0;
    }
    return order < 0 || bytes < n->attested_end ? bytes : n->attested_end;
}

static int choose_file(void *arg, const char *name)
{
    struct victim *v = arg;
    char path[SIM_PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", v->dir, name);
    uint64_t bytes = attested_bytes(v->n, path);
    if (bytes > 0 && rng_below(&v->w->rng_disk, ++v->seen) == 0) {
        memcpy(v->path, path, sizeof(path));
        v->bytes = bytes;
    }
    return 0;
}

static int choose(struct world *w, struct node *n, const char *dir, struct victim *ret_v)
{
    const struct raft_fs *fs = sim_disk_fs(n->disk);
    *ret_v = (struct victim){.w = w, .n = n, .dir = dir};
    return fs->list(fs->ctx, dir, choose_file, ret_v) == 0 && ret_v->bytes > 0;
}

static void note(struct world *w, const struct node *n, const char *path, struct trace_rec rec)
{
    rec.at = w->now;
    rec.kind = TR_ROT;
    rec.node = (uint8_t)n->id;
    rec.b = path[0] == 'w' ? strtoull(path + 4, NULL, 16) : 0;
    trace_add(&w->trace, &rec);
}

/* One bit anywhere, the seal included. */
static void flip(struct world *w, struct node *n, const struct victim *v)
{
    uint64_t bytes = 0;
    if (sim_disk_data(n->disk, v->path, &bytes) != NULL && bytes > 0) {
        MARK(w, BIT_FLIPPED);
        uint64_t at = rng_below(&w->rng_disk, bytes);
        (void)sim_disk_flip(n->disk, v->path, at, (int)rng_below(&w->rng_disk, 8));
        note(w, n, v->path, (struct trace_rec){.a = 1, .c = at});
    }
}

/* A few sectors, or a piece of one, hold something else. */
static void scramble(struct world *w, struct node *n, const struct victim *v)
{
    uint64_t at = rng_below(&w->rng_disk, v->bytes);
    uint64_t len = rng_range(&w->rng_disk, 1, 3000);
    if (rng_chance(&w->rng_disk, 600)) {
        at -= at % 512;
        len += 512 - len % 512;
    }
    len = len < v->bytes - at ? len : v->bytes - at;
    int unreadable = rng_chance(&w->rng_disk, 400);
    if (unreadable) { /* a disk loses whole pages: not that of the seal */
        uint64_t pages = v->path[0] == 'w' ? v->bytes / PAGE_BYTES * PAGE_BYTES : v->bytes;
        unreadable = at < pages;
        len = unreadable && len > pages - at ? pages - at : len;
    }
    note(w, n, v->path, (struct trace_rec){.a = unreadable ? 3 : 2, .c = at, .d = len});
    if (unreadable) {
        MARK(w, SECTOR_UNREADABLE);
        (void)sim_disk_bad_range(n->disk, v->path, at, len);
    } else {
        MARK(w, SECTORS_SCRAMBLED);
        (void)sim_disk_scramble(n->disk, v->path, at, len, rng_next(&w->rng_disk));
    }
}

/* A write went to another place, in this file or another one of the directory. */
static void misdirect(struct world *w, struct node *n, const struct victim *v)
{
    struct victim other;
    if (!choose(w, n, v->dir, &other)) {
        return;
    }
    uint64_t len = 512 * rng_range(&w->rng_disk, 1, 8);
    uint64_t most = v->bytes < other.bytes ? v->bytes : other.bytes;
    len = len < most ? len : most;
    uint64_t from = rng_below(&w->rng_disk, v->bytes - len + 1);
    uint64_t to = rng_below(&w->rng_disk, other.bytes - len + 1);
    int lost = rng_chance(&w->rng_disk, 500);
    from -= from % 512;
    to -= to % 512;
    MARK(w, WRITE_MISDIRECTED);
    note(w, n, other.path, (struct trace_rec){.a = 4, .c = to, .d = len, .e = from});
    if (lost) {
        note(w, n, v->path, (struct trace_rec){.a = 5, .c = from, .d = len});
    }
    (void)sim_disk_misdirect(n->disk, v->path, from, other.path, to, len, lost);
}

void disk_rot(struct world *w, struct node *n)
{
    struct victim v;
    if (!choose(w, n, rng_chance(&w->rng_disk, 700) ? "wal" : "snap", &v)) {
        return;
    }
    n->rotted = 1;
    n->spoiled = 1;
    switch (rng_below(&w->rng_disk, 4)) {
    case 0:
        scramble(w, n, &v);
        break;
    case 1:
        misdirect(w, n, &v);
        break;
    default:
        flip(w, n, &v);
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
