/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.c: see look.h. Files that exist are opened for reading only; one that is to be written and does
 * not exist (it would have been made, or renamed to that) is an imaginary one. Whatever changes
 * something answers 0 and does nothing; only lengths are remembered. What was written can not be read
 * back, therefore: a log opened this way answers raft_wal_state and no more.
 *
 * Thread: as the file system below.
 */
#include "raft/tools/look.h"

#include <errno.h>

#define IMAGINARY_FD 0x40000000 /* above every real one */

static const struct raft_fs *below(void *ctx)
{
    const struct look *l = ctx;
    return l->below;
}

static int look_open(void *ctx, const char *path, int flags, int *ret_fd)
{
    int rc = below(ctx)->open(below(ctx)->ctx, path, RAFT_FS_READ, ret_fd);
    if (rc == -ENOENT && (flags & RAFT_FS_WRITE) != 0) {
        *ret_fd = IMAGINARY_FD;
        return 0;
    }
    return rc;
}

static int look_close(void *ctx, int fd)
{
    return fd == IMAGINARY_FD ? 0 : below(ctx)->close(below(ctx)->ctx, fd);
}

static int64_t look_pread(void *ctx, int fd, void *buf, size_t len, uint64_t offset)
{
    return fd == IMAGINARY_FD ? 0 : below(ctx)->pread(below(ctx)->ctx, fd, buf, len, offset);
}

static int look_size(void *ctx, int fd, uint64_t *ret_bytes)
{
    const struct look *l = ctx;
    uint64_t bytes = 0;
    int rc = fd == IMAGINARY_FD ? 0 : l->below->size(l->below->ctx, fd, &bytes);
    if (rc == 0) {
        *ret_bytes = bytes > l->allocated ? bytes : l->allocated;
    }
    return rc;
}

static int pretend_allocate(void *ctx, int fd, uint64_t bytes)
{
    struct look *l = ctx;
    (void)fd;
    l->allocated = bytes > l->allocated ? bytes : l->allocated;
    return 0;
}

static int look_list(void *ctx, const char *path, raft_fs_visit visit, void *arg)
{
    return below(ctx)->list(below(ctx)->ctx, path, visit, arg);
}

static int look_space(void *ctx, uint64_t *ret_free_bytes)
{
    return below(ctx)->space(below(ctx)->ctx, ret_free_bytes);
}

static int pretend_pwritev(void *ctx, int fd, const struct iovec *iov, int count, uint64_t offset)
{
    (void)ctx, (void)fd, (void)iov, (void)count, (void)offset;
    return 0;
}

static int pretend_fd(void *ctx, int fd)
{
    (void)ctx, (void)fd;
    return 0;
}

static int pretend_path(void *ctx, const char *path)
{
    (void)ctx, (void)path;
    return 0;
}

static int pretend_rename(void *ctx, const char *from, const char *to)
{
    (void)ctx, (void)from, (void)to;
    return 0;
}

void look_fs(struct look *l, const struct raft_fs *fs, struct raft_fs *ret_fs)
{
    *l = (struct look){.below = fs};
    *ret_fs = (struct raft_fs){.ctx = l,
                               .open = look_open,
                               .close = look_close,
                               .pread = look_pread,
                               .pwritev = pretend_pwritev,
                               .fdatasync = pretend_fd,
                               .allocate = pretend_allocate,
                               .size = look_size,
                               .rename = pretend_rename,
                               .unlink = pretend_path,
                               .mkdir = pretend_path,
                               .sync_dir = pretend_path,
                               .list = look_list,
                               .lock = pretend_path,
                               .space = look_space};
}
