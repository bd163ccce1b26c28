/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_ballast.c: a file of no use, `ballast` in the data directory, that an operator deletes when the
 * disk is full: then there is room at once, for the next segments and for whatever it takes to clean up.
 *
 * It is made in idle moments, a piece at a time, so that no write waits long behind it. It is not made
 * where it would take a large part of what is free, and not made again before the next opening: what an
 * operator has just freed must not be taken away again.
 *
 * It is no part of any promise: whatever fails here is left alone.
 *
 * Thread: the WAL's.
 */
#include "raft/storage/wal_impl.h"

#define BALLAST_PATH  "ballast"
#define BALLAST_PIECE (1u << 20)
#define BALLAST_PART  4u /* of what is free it takes this part at most */

/* Make the open file longer. Return: 1 when there is more to do. */
static int grow(struct raft_wal *w, int fd, uint64_t have)
{
    uint64_t want = w->o.ballast_bytes;
    uint64_t free_bytes;
    uint64_t next = want - have < BALLAST_PIECE ? want : have + BALLAST_PIECE;
    if (w->fs->space(w->fs->ctx, &free_bytes) != 0 || (want - have) > free_bytes / BALLAST_PART) {
        return 0;
    }
    if (w->fs->allocate(w->fs->ctx, fd, next) != 0 || w->fs->fdatasync(w->fs->ctx, fd) != 0 ||
        w->fs->sync_dir(w->fs->ctx, ".") != 0) {
        return 0;
    }
    return next < want;
}

int raft__wal_ballast(struct raft_wal *w)
{
    uint64_t have = 0;
    int fd;
    if (w->o.ballast_bytes == 0 || w->ballast_done) {
        return 0;
    }
    w->ballast_done = 1;
    if (w->fs->open(w->fs->ctx, BALLAST_PATH, RAFT_FS_READ | RAFT_FS_WRITE | RAFT_FS_CREATE, &fd) !=
        0) {
        return 0;
    }
    if (w->fs->size(w->fs->ctx, fd, &have) == 0 && have < w->o.ballast_bytes) {
        w->ballast_done = !grow(w, fd, have);
        (void)w->fs->size(w->fs->ctx, fd, &have); /* stays as it was */
    }
    (void)w->fs->close(w->fs->ctx, fd); /* nothing in it matters */
    if (have == 0) {
        (void)w->fs->unlink(w->fs->ctx, BALLAST_PATH); /* an empty one would only puzzle */
    }
    return !w->ballast_done;
}
