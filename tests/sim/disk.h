/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h: a simulated disk: one `struct raft_fs` in memory that can lose what was not synced.
 *
 * Object model
 *   One `struct sim_disk` is the data directory of one member. It holds, for every file and every
 *   directory, two images: what the process sees, and what would be found after a power cut, with
 *   the list of operations between the two. A sync moves the second forward; a crash draws, for
 *   every operation not yet synced, what became of it.
 *
 * What it can do to a member
 *   sim_disk_crash     power cut: unsynced writes are applied, dropped, torn at 512-byte sectors,
 *                      replaced by zeros or garbage, each by its own draw; of the unsynced operations
 *                      of a directory (create, rename, unlink) a prefix survives, so a rename may
 *                      survive without the data of its file
 *   sim_disk_kill      the process dies, the machine stays up: nothing is lost, nothing becomes
 *                      durable either
 *   sim_disk_stop_at   the process stops inside the n-th changing operation (then crash or kill)
 *   sim_disk_fail      the n-th operation of some kinds fails with an errno
 *   sim_disk_fail_sync the n-th fdatasync fails with EIO, once; later ones succeed
 *   sim_disk_set_capacity  ENOSPC
 *   sim_disk_flip, sim_disk_scramble, sim_disk_bad_range, sim_disk_lose_write   rot and lies
 *
 * A write that is under way when the power fails: let the host carry out the WAL call only when its
 * completion is due; to crash inside it, call sim_disk_stop_at(d, sim_disk_counts(d)->changes + 1 + k)
 * for a small k, carry the call out (it fails), then sim_disk_crash.
 *
 * Rules
 *   1. Deterministic: everything follows from the calls and their seeds. No clock, no global.
 *   2. A file descriptor number is never used twice; those of before a crash answer -EBADF.
 *   3. While stopped, every operation answers -EIO.
 *   4. Paths have at most one directory ("wal/x"); "." is the root. Other depths answer -EINVAL.
 *   5. Running out of real memory aborts the program: this is a test tool.
 *
 * Threads: one at a time.
 */
#ifndef COORD_SIM_DISK_H
#define COORD_SIM_DISK_H

#include <coord/raft_storage.h>

struct sim_disk;

/* Make an empty disk. seed: of the draws that no call brings a seed for.
 * Ownership: release with sim_disk_destroy, after everything that uses its raft_fs.
 * Return: never NULL. */
struct sim_disk *sim_disk_create(uint64_t seed);

/* NULL is accepted. */
void sim_disk_destroy(struct sim_disk *d);

/* A copy of both images and the pending operations, without open files, lock, or injected faults
 * other than bad ranges and capacity. Ownership: as sim_disk_create. */
struct sim_disk *sim_disk_clone(const struct sim_disk *d);

/* The file system on this disk. Ownership: d's; valid as long as d, across crashes. */
const struct raft_fs *sim_disk_fs(struct sim_disk *d);

/* ------------------------------------------------------------------------------------------- */
/* Ends of a process                                                                             */

enum sim_disk_crash_kind {
    SIM_DISK_CRASH_RANDOM = 1, /* every pending operation by its own draw */
    SIM_DISK_CRASH_DROP = 2,   /* nothing that was not synced survives */
    SIM_DISK_CRASH_KEEP = 3,   /* everything survives */
    SIM_DISK_CRASH_TORN = 4,   /* all survives, but the last pending write of each file is torn */
    SIM_DISK_CRASH_NAMES = 5   /* directory operations survive, file data does not */
};

/* Cut the power and boot again: pending operations are settled, open files become invalid, the lock
 * is released, stop_at, fail and fail_sync are disarmed. */
void sim_disk_crash(struct sim_disk *d, enum sim_disk_crash_kind kind, uint64_t seed);

/* Before a crash of kind KEEP: let the pending write number `which` (from 0, over all files) be the one
 * that does not survive, or only its first sectors when torn. Return: 1, or 0 when there is none. */
int sim_disk_lose_pending(struct sim_disk *d, uint64_t which, int torn);

/* The process dies and nothing else: open files become invalid, the lock is released, faults are
 * disarmed; pending operations stay pending. */
void sim_disk_kill(struct sim_disk *d);

/* Release the lock, as closing the file system does. */
void sim_disk_unlock(struct sim_disk *d);

/* Stop inside changing operation number `change` (counted from 1 since creation, see
 * sim_disk_counts): a write, create, rename or unlink is pending, a sync is not done; it and every
 * later operation answers -EIO until crash or kill. 0 disarms. */
void sim_disk_stop_at(struct sim_disk *d, uint64_t change);

/* Call watch before every changing operation; NULL: no longer. */
void sim_disk_watch(struct sim_disk *d, void (*watch)(void *arg), void *arg);

/* How many writes to files and how many operations of directories a power cut could lose now. */
void sim_disk_pending(const struct sim_disk *d, uint64_t *ret_writes, uint64_t *ret_names);

/* 1 when stopped. */
int sim_disk_stopped(const struct sim_disk *d);

/* ------------------------------------------------------------------------------------------- */
/* Failing operations                                                                            */

enum sim_disk_op {
    SIM_DISK_OPEN = 1,
    SIM_DISK_READ = 2,
    SIM_DISK_WRITE = 4,
    SIM_DISK_SYNC = 8,
    SIM_DISK_ALLOCATE = 16,
    SIM_DISK_RENAME = 32,
    SIM_DISK_UNLINK = 64,
    SIM_DISK_SYNC_DIR = 128,
    SIM_DISK_MKDIR = 256,
    SIM_DISK_LIST = 512,
    SIM_DISK_ALL = 1023
};

/* Let the nth (1: the next) operation among `ops` (enum sim_disk_op) fail, and `times` - 1 more of
 * them after it, with -error and without effect. times 0 disarms. One such rule at a time. */
void sim_disk_fail(struct sim_disk *d, int ops, uint32_t nth, uint32_t times, int error);

enum sim_disk_sync_failure {
    SIM_DISK_SYNC_KEEP = 1,  /* reads go on returning the new data, which never reaches the disk */
    SIM_DISK_SYNC_REVERT = 2 /* reads return the old data again */
};

/* Let the nth (1: the next) fdatasync fail with -EIO; syncs after it succeed. 0 disarms. */
void sim_disk_fail_sync(struct sim_disk *d, uint32_t nth, enum sim_disk_sync_failure how);

/* Bytes that all files together may have; UINT64_MAX (the default) is no limit. A write beyond it
 * writes what fits and answers -ENOSPC. */
void sim_disk_set_capacity(struct sim_disk *d, uint64_t bytes);

/* ------------------------------------------------------------------------------------------- */
/* Rot: changes both images. Return: 0, -ENOENT when there is no such file, -EINVAL beyond its end. */

int sim_disk_flip(struct sim_disk *d, const char *path, uint64_t offset, int bit);
int sim_disk_scramble(struct sim_disk *d, const char *path, uint64_t offset, uint64_t len,
                      uint64_t seed);

/* A write of len bytes that belongs at `from` went to `to`: these bytes stand there now; when lost is
 * not 0, zeros stand where they belong. */
int sim_disk_misdirect(struct sim_disk *d, const char *from_path, uint64_t from,
                       const char *to_path, uint64_t to, uint64_t len, int lost);

/* Reads that touch the range answer -EIO until it has been written. One range per file. */
int sim_disk_bad_range(struct sim_disk *d, const char *path, uint64_t offset, uint64_t len);

/* The nth (1: the next) write answers 0 and its data is seen, but never reaches the disk, not even
 * by a sync. 0 disarms. */
void sim_disk_lose_write(struct sim_disk *d, uint32_t nth);

/* ------------------------------------------------------------------------------------------- */
/* Looking                                                                                       */

struct sim_disk_counts {
    uint64_t changes; /* operations that may change the disk: creates, writes, syncs, allocates,
                         renames, unlinks, mkdirs, directory syncs */
    uint64_t opens;
    uint64_t reads;
    uint64_t writes;
    uint64_t write_bytes;
    uint64_t syncs;
    uint64_t allocates;
    uint64_t renames;
    uint64_t unlinks;
    uint64_t dir_syncs;
    uint64_t crashes;
};

/* Ownership: d's, kept up to date. */
const struct sim_disk_counts *sim_disk_counts(const struct sim_disk *d);

/* Where the last write went. Return: 1 and its place, path in at most n bytes, or 0 when there was none
 * or its file is gone. */
int sim_disk_last_write(const struct sim_disk *d, char *ret_path, size_t n, uint64_t *ret_offset,
                        uint64_t *ret_len);

/* Bytes of all files, as the process sees them. */
uint64_t sim_disk_used(const struct sim_disk *d);

/* The file as the process sees it. Ownership: d's, valid until the next call that changes the disk.
 * Return: NULL when there is no such file. */
const uint8_t *sim_disk_data(const struct sim_disk *d, const char *path, uint64_t *ret_bytes);

#endif
