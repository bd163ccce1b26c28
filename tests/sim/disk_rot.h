/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_rot.h: rot of a member's disk, at a random place, within what a member is asked to survive.
 *
 * Damage behind the last record that something later attests cannot be told from a torn write, and a member
 * that forgets it would have to be believed (docs/testing.md). So the host seals its log first, as it may do
 * at any idle moment, and says where the last batch before the seal ends: what stands before may rot. The seal
 * itself stays whole, but for one flipped bit, which takes the seal or what it attests, not both. Snapshot
 * files have digests of their own and may rot anywhere.
 *
 * Thread: one at a time.
 */
#ifndef COORD_SIM_DISK_ROT_H
#define COORD_SIM_DISK_ROT_H

#include "tests/sim/disk.h"
#include "tests/sim/rng.h"

#define ROT_PATH_BYTES 80

struct rot_bounds {
    struct sim_disk *disk;
    struct rng *rng;
    const char *sealed_path; /* the file of the last batch; empty: nothing of the log may rot */
    uint64_t sealed_end;     /* where in it the batch ends */
};

enum rot_kind {
    ROT_NONE = 0,
    ROT_FLIPPED = 1,   /* one bit */
    ROT_SCRAMBLED = 2, /* a few sectors, or a piece of one, hold something else */
    ROT_UNREADABLE = 3,
    ROT_MISDIRECTED = 4 /* a write went to another place of the folder */
};

struct rot_done {
    enum rot_kind kind;
    char path[ROT_PATH_BYTES];
    uint64_t at;
    uint64_t len;
    char from_path[ROT_PATH_BYTES]; /* MISDIRECTED: where the bytes belong */
    uint64_t from;
    int lost; /* and they are not there either */
};

/* Spoil some file of a folder ("wal" or "snap").
 * Return: 0 when there is nothing that may rot; else 1 and *ret_done (kind NONE: nothing happened after all). */
int sim_disk_rot(const struct rot_bounds *b, const char *dir, struct rot_done *ret_done);

#endif
