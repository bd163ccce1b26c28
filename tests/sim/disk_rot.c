/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_rot.c: see disk_rot.h. Thread: one at a time.
 */
#include "tests/sim/disk_rot.h"

#include <stdio.h>
#include <string.h>

#define PAGE_BYTES 4096U

/* A file of the log or of the snapshots, and how much of it may rot. */
struct victim {
    const struct rot_bounds *b;
    const char *dir;
    char path[ROT_PATH_BYTES];
    uint64_t bytes;
    uint64_t seen;
};

/* Bytes of the file that stand before the seal. */
static uint64_t attested_bytes(const struct rot_bounds *b, const char *path)
{
    uint64_t bytes = 0;
    if (sim_disk_data(b->disk, path, &bytes) == NULL) {
        return 0;
    }
    if (path[0] != 'w') {
        return bytes; /* snapshots are attested by their own digest */
    }
    int order = strcmp(path, b->sealed_path);
    if (b->sealed_path[0] == '\0' || order > 0) {
        return 0;
    }
    return order < 0 || bytes < b->sealed_end ? bytes : b->sealed_end;
}

static int choose_file(void *arg, const char *name)
{
    struct victim *v = arg;
    char path[ROT_PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", v->dir, name);
    uint64_t bytes = attested_bytes(v->b, path);
    if (bytes > 0 && rng_below(v->b->rng, ++v->seen) == 0) {
        memcpy(v->path, path, sizeof(path));
        v->bytes = bytes;
    }
    return 0;
}

static int choose(const struct rot_bounds *b, const char *dir, struct victim *ret_v)
{
    const struct raft_fs *fs = sim_disk_fs(b->disk);
    *ret_v = (struct victim){.b = b, .dir = dir};
    return fs->list(fs->ctx, dir, choose_file, ret_v) == 0 && ret_v->bytes > 0;
}

/* One bit anywhere, the seal included. */
static void flip(const struct victim *v, struct rot_done *d)
{
    uint64_t bytes = 0;
    if (sim_disk_data(v->b->disk, v->path, &bytes) != NULL && bytes > 0) {
        d->kind = ROT_FLIPPED;
        d->at = rng_below(v->b->rng, bytes);
        (void)sim_disk_flip(v->b->disk, v->path, d->at, (int)rng_below(v->b->rng, 8));
    }
}

static void scramble(const struct victim *v, struct rot_done *d)
{
    struct rng *r = v->b->rng;
    uint64_t at = rng_below(r, v->bytes);
    uint64_t len = rng_range(r, 1, 3000);
    if (rng_chance(r, 600)) {
        at -= at % 512;
        len += 512 - len % 512;
    }
    len = len < v->bytes - at ? len : v->bytes - at;
    int unreadable = rng_chance(r, 400);
    if (unreadable) { /* a disk loses whole pages: not that of the seal */
        uint64_t pages = v->path[0] == 'w' ? v->bytes / PAGE_BYTES * PAGE_BYTES : v->bytes;
        unreadable = at < pages;
        len = unreadable && len > pages - at ? pages - at : len;
    }
    d->kind = unreadable ? ROT_UNREADABLE : ROT_SCRAMBLED;
    d->at = at;
    d->len = len;
    if (unreadable) {
        (void)sim_disk_bad_range(v->b->disk, v->path, at, len);
    } else {
        (void)sim_disk_scramble(v->b->disk, v->path, at, len, rng_next(r));
    }
}

static void misdirect(const struct victim *v, struct rot_done *d)
{
    struct rng *r = v->b->rng;
    struct victim other;
    if (!choose(v->b, v->dir, &other)) {
        return;
    }
    uint64_t len = 512 * rng_range(r, 1, 8);
    uint64_t most = v->bytes < other.bytes ? v->bytes : other.bytes;
    len = len < most ? len : most;
    uint64_t from = rng_below(r, v->bytes - len + 1);
    uint64_t to = rng_below(r, other.bytes - len + 1);
    d->kind = ROT_MISDIRECTED;
    d->lost = rng_chance(r, 500);
    d->len = len;
    d->from = from - from % 512;
    d->at = to - to % 512;
    memcpy(d->from_path, v->path, sizeof(d->from_path));
    memcpy(d->path, other.path, sizeof(d->path));
    (void)sim_disk_misdirect(v->b->disk, v->path, d->from, other.path, d->at, len, d->lost);
}

int sim_disk_rot(const struct rot_bounds *b, const char *dir, struct rot_done *ret_done)
{
    struct victim v;
    if (!choose(b, dir, &v)) {
        return 0;
    }
    *ret_done = (struct rot_done){.kind = ROT_NONE};
    memcpy(ret_done->path, v.path, sizeof(ret_done->path));
    switch (rng_below(b->rng, 4)) {
    case 0:
        scramble(&v, ret_done);
        break;
    case 1:
        misdirect(&v, ret_done);
        break;
    default:
        flip(&v, ret_done);
        break;
    }
    return 1;
}
