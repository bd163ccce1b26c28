/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.c: struct raft_fs on the simulated disk.
 *
 * Every operation first asks whether it shall fail (fault), then has its effect on what is seen and
 * adds the pending change. An operation that the disk stops in has its effect and answers -EIO; a
 * sync that it stops in has none. Leaves the images to disk_model.c, crashes to disk_fault.c.
 * Thread: one at a time.
 */
#include "tests/sim/disk_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------- */
/* Faults                                                                                        */

/* Shall this operation fail? */
static int fault(struct sim_disk *d, int op)
{
    if (d->stopped) {
        return -EIO;
    }
    if ((d->fail_ops & op) != 0 && d->fail_times > 0) {
        if (d->fail_nth > 1) {
            d->fail_nth--;
        } else {
            d->fail_times--;
            return -d->fail_error;
        }
    }
    return 0;
}

/* Count a changing operation; it may be the one to stop in. */
static void count_change(struct sim_disk *d)
{
    if (d->watch != NULL) {
        d->watch(d->watch_arg);
    }
    d->counts.changes++;
    if (d->stop_at != 0 && d->counts.changes >= d->stop_at) {
        d->stopped = 1;
    }
}

/* The answer of an operation that has had its effect. */
static int done(const struct sim_disk *d)
{
    return d->stopped ? -EIO : 0;
}

static struct handle *find_handle(struct sim_disk *d, int fd)
{
    for (size_t i = 0; i < d->handles_count; i++) {
        if (d->handles[i].fd == fd) {
            return &d->handles[i];
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------- */
/* struct raft_fs                                                                                */

static int disk_open_file(struct sim_disk *d, struct dir *dir, const char *name, int flags,
                          int *ret_inode)
{
    const struct entry *e = sd_names_find(&dir->seen, name);
    if (e == NULL) {
        if ((flags & RAFT_FS_CREATE) == 0) {
            return -ENOENT;
        }
        count_change(d);
        int inode = sd_inode_new(d);
        sd_names_put(&dir->seen, name, inode);
        sd_dir_add_op(dir, DIR_CREATE, name, "", inode);
        *ret_inode = inode;
        return done(d);
    }
    if ((flags & RAFT_FS_EXCLUSIVE) != 0) {
        return -EEXIST;
    }
    *ret_inode = e->inode;
    struct inode *f = &d->inodes[e->inode];
    if ((flags & RAFT_FS_TRUNCATE) != 0 && f->seen.len > 0) {
        count_change(d);
        (void)sd_inode_add_change(f, CHANGE_TRUNCATE, 0);
        sd_bytes_resize(&f->seen, 0);
        return done(d);
    }
    return 0;
}

static int disk_open(void *ctx, const char *path, int flags, int *ret_fd)
{
    struct sim_disk *d = ctx;
    struct dir *dir;
    const char *name;
    int inode;
    int rc = fault(d, SIM_DISK_OPEN);
    if (rc != 0) {
        return rc;
    }
    d->counts.opens++;
    rc = sd_parse_path(d, path, &dir, &name);
    if (rc != 0) {
        return rc;
    }
    if (name[0] == '\0' || (dir == &d->dirs[0] && sd_find_dir(d, name) != NULL)) {
        return -EISDIR;
    }
    rc = disk_open_file(d, dir, name, flags, &inode);
    if (rc != 0) {
        return rc;
    }
    if (d->handles_count == d->handles_room) {
        d->handles_room = d->handles_room * 2 + 8;
        d->handles = sd_grow(d->handles, d->handles_room * sizeof *d->handles);
    }
    d->handles[d->handles_count++] = (struct handle){d->next_fd, inode, flags};
    *ret_fd = d->next_fd++;
    return 0;
}

static int disk_close(void *ctx, int fd)
{
    struct sim_disk *d = ctx;
    struct handle *h = find_handle(d, fd);
    if (h == NULL) {
        return -EBADF;
    }
    *h = d->handles[--d->handles_count];
    sd_collect(d);
    return 0;
}

static int64_t disk_pread(void *ctx, int fd, void *buf, size_t len, uint64_t offset)
{
    struct sim_disk *d = ctx;
    int rc = fault(d, SIM_DISK_READ);
    if (rc != 0) {
        return rc;
    }
    const struct handle *h = find_handle(d, fd);
    if (h == NULL || (h->flags & RAFT_FS_READ) == 0) {
        return -EBADF;
    }
    d->counts.reads++;
    const struct inode *f = &d->inodes[h->inode];
    if (offset >= f->seen.len || len == 0) {
        return 0;
    }
    uint64_t n = f->seen.len - offset < len ? f->seen.len - offset : len;
    if (f->bad_len > 0 && offset < f->bad_offset + f->bad_len && f->bad_offset < offset + n) {
        return -EIO;
    }
    memcpy(buf, f->seen.data + offset, n);
    return (int64_t)n;
}

static uint64_t disk_free_bytes(const struct sim_disk *d)
{
    if (d->capacity == UINT64_MAX) {
        return UINT64_MAX; /* no need to add everything up */
    }
    uint64_t used = sim_disk_used(d);
    return used >= d->capacity ? 0 : d->capacity - used;
}

/* A written range is readable again. */
static void inode_heal(struct inode *f, uint64_t offset, uint64_t len)
{
    uint64_t bad_end = f->bad_offset + f->bad_len;
    if (offset <= f->bad_offset && offset + len > f->bad_offset) {
        uint64_t end = offset + len < bad_end ? offset + len : bad_end;
        f->bad_len = bad_end - end;
        f->bad_offset = end;
    } else if (offset < bad_end && offset + len >= bad_end) {
        f->bad_len = offset - f->bad_offset;
    }
}

static int disk_pwritev(void *ctx, int fd, const struct iovec *iov, int count, uint64_t offset)
{
    struct sim_disk *d = ctx;
    int rc = fault(d, SIM_DISK_WRITE);
    if (rc != 0) {
        return rc;
    }
    const struct handle *h = find_handle(d, fd);
    if (h == NULL || (h->flags & RAFT_FS_WRITE) == 0) {
        return -EBADF;
    }
    struct inode *f = &d->inodes[h->inode];
    struct bytes data = {0};
    for (int i = 0; i < count; i++) {
        sd_bytes_put(&data, data.len, iov[i].iov_base, iov[i].iov_len);
    }
    count_change(d);
    d->counts.writes++;
    d->counts.write_bytes += data.len;
    uint64_t limit = f->seen.len + disk_free_bytes(d);
    if (limit >= f->seen.len && offset + data.len > limit) {
        rc = -ENOSPC;
        sd_bytes_resize(&data, offset < limit ? limit - offset : 0);
    }
    sd_bytes_put(&f->seen, offset, data.data, data.len);
    inode_heal(f, offset, data.len);
    d->last_inode = h->inode;
    d->last_offset = offset;
    d->last_len = data.len;
    int lost = d->lose_write_nth == 1;
    d->lose_write_nth -= d->lose_write_nth > 0;
    if (lost || data.len == 0) {
        sd_bytes_free(&data);
    } else {
        sd_inode_add_change(f, CHANGE_WRITE, offset)->data = data;
    }
    return rc != 0 ? rc : done(d);
}

static int disk_fdatasync(void *ctx, int fd)
{
    struct sim_disk *d = ctx;
    int rc = fault(d, SIM_DISK_SYNC);
    if (rc != 0) {
        return rc;
    }
    const struct handle *h = find_handle(d, fd);
    if (h == NULL) {
        return -EBADF;
    }
    count_change(d);
    d->counts.syncs++;
    if (d->stopped) {
        return -EIO;
    }
    struct inode *f = &d->inodes[h->inode];
    if (d->fail_sync_nth > 0 && --d->fail_sync_nth == 0) {
        sd_inode_forget_pending(f);
        if (d->fail_sync_how == SIM_DISK_SYNC_REVERT) {
            sd_bytes_copy(&f->seen, &f->kept);
        }
        return -EIO;
    }
    for (size_t i = 0; i < f->pending_count; i++) {
        sd_change_apply(&f->kept, &f->pending[i]);
    }
    sd_inode_forget_pending(f);
    return 0;
}

static int disk_allocate(void *ctx, int fd, uint64_t bytes)
{
    struct sim_disk *d = ctx;
    int rc = fault(d, SIM_DISK_ALLOCATE);
    if (rc != 0) {
        return rc;
    }
    const struct handle *h = find_handle(d, fd);
    if (h == NULL || (h->flags & RAFT_FS_WRITE) == 0) {
        return -EBADF;
    }
    struct inode *f = &d->inodes[h->inode];
    d->counts.allocates++;
    if (bytes <= f->seen.len) {
        return 0;
    }
    if (bytes - f->seen.len > disk_free_bytes(d)) {
        return -ENOSPC;
    }
    count_change(d);
    (void)sd_inode_add_change(f, CHANGE_EXTEND, bytes);
    sd_bytes_resize(&f->seen, bytes);
    return done(d);
}

static int disk_size(void *ctx, int fd, uint64_t *ret_bytes)
{
    struct sim_disk *d = ctx;
    const struct handle *h = find_handle(d, fd);
    if (d->stopped) {
        return -EIO;
    }
    if (h == NULL) {
        return -EBADF;
    }
    *ret_bytes = d->inodes[h->inode].seen.len;
    return 0;
}

static int disk_rename(void *ctx, const char *from, const char *to)
{
    struct sim_disk *d = ctx;
    struct dir *dir;
    struct dir *to_dir;
    const char *name;
    const char *to_name;
    int rc = fault(d, SIM_DISK_RENAME);
    if (rc != 0) {
        return rc;
    }
    rc = sd_parse_path(d, from, &dir, &name);
    if (rc != 0) {
        return rc;
    }
    rc = sd_parse_path(d, to, &to_dir, &to_name);
    if (rc != 0) {
        return rc;
    }
    const struct entry *e = sd_names_find(&dir->seen, name);
    if (e == NULL || to_dir != dir) {
        return e == NULL ? -ENOENT : -EXDEV;
    }
    count_change(d);
    d->counts.renames++;
    int inode = e->inode;
    sd_names_remove(&dir->seen, name);
    sd_names_put(&dir->seen, to_name, inode);
    sd_dir_add_op(dir, DIR_RENAME, name, to_name, inode);
    return done(d);
}

static int disk_unlink(void *ctx, const char *path)
{
    struct sim_disk *d = ctx;
    struct dir *dir;
    const char *name;
    int rc = fault(d, SIM_DISK_UNLINK);
    if (rc != 0) {
        return rc;
    }
    rc = sd_parse_path(d, path, &dir, &name);
    if (rc != 0) {
        return rc;
    }
    if (sd_names_find(&dir->seen, name) == NULL) {
        return -ENOENT;
    }
    count_change(d);
    d->counts.unlinks++;
    sd_names_remove(&dir->seen, name);
    sd_dir_add_op(dir, DIR_UNLINK, name, "", 0);
    return done(d);
}

static int disk_mkdir(void *ctx, const char *path)
{
    struct sim_disk *d = ctx;
    int rc = fault(d, SIM_DISK_MKDIR);
    if (rc != 0) {
        return rc;
    }
    if (strchr(path, '/') != NULL || strlen(path) >= NAME_BYTES) {
        return -EINVAL;
    }
    if (sd_find_dir(d, path) != NULL) {
        return 0;
    }
    int at = 1;
    while (at < d->dirs_count && strcmp(d->dirs[at].name, path) != 0) {
        at++;
    }
    if (at == DIRS_MAX) {
        return -ENOSPC;
    }
    d->dirs_count = at == d->dirs_count ? at + 1 : d->dirs_count;
    count_change(d);
    sd_name_set(d->dirs[at].name, path);
    d->dirs[at].seen_there = 1;
    sd_dir_add_op(&d->dirs[0], DIR_MKDIR, path, "", at);
    return done(d);
}

static int disk_sync_dir(void *ctx, const char *path)
{
    struct sim_disk *d = ctx;
    int rc = fault(d, SIM_DISK_SYNC_DIR);
    if (rc != 0) {
        return rc;
    }
    struct dir *dir = sd_find_dir(d, path);
    if (dir == NULL) {
        return -ENOENT;
    }
    count_change(d);
    d->counts.dir_syncs++;
    if (d->stopped) {
        return -EIO;
    }
    for (size_t i = 0; i < dir->pending_count; i++) {
        sd_dir_op_apply(d, dir, &dir->pending[i]);
    }
    dir->pending_count = 0;
    sd_collect(d);
    return 0;
}

static int disk_list(void *ctx, const char *path, raft_fs_visit visit, void *arg)
{
    struct sim_disk *d = ctx;
    int rc = fault(d, SIM_DISK_LIST);
    if (rc != 0) {
        return rc;
    }
    const struct dir *dir = sd_find_dir(d, path);
    if (dir == NULL) {
        return -ENOENT;
    }
    struct names copy = {0}; /* visit may change the directory */
    sd_names_copy(&copy, &dir->seen);
    for (int i = 1; i < d->dirs_count && dir == &d->dirs[0]; i++) {
        if (d->dirs[i].seen_there) {
            sd_names_put(&copy, d->dirs[i].name, 0);
        }
    }
    for (size_t i = 0; i < copy.count && rc == 0; i++) {
        rc = visit(arg, copy.list[i].name);
    }
    free(copy.list);
    return rc;
}

static int disk_lock(void *ctx, const char *path)
{
    struct sim_disk *d = ctx;
    int fd;
    if (d->locked) {
        return -EWOULDBLOCK;
    }
    int rc = disk_open(d, path, RAFT_FS_READ | RAFT_FS_WRITE | RAFT_FS_CREATE, &fd);
    if (rc != 0) {
        return rc;
    }
    d->locked = 1;
    return disk_close(d, fd);
}

static int disk_space(void *ctx, uint64_t *ret_free_bytes)
{
    struct sim_disk *d = ctx;
    if (d->stopped) {
        return -EIO;
    }
    *ret_free_bytes = disk_free_bytes(d);
    return 0;
}

void sd_bind(struct sim_disk *d)
{
    d->fs = (struct raft_fs){.ctx = d,
                             .open = disk_open,
                             .close = disk_close,
                             .pread = disk_pread,
                             .pwritev = disk_pwritev,
                             .fdatasync = disk_fdatasync,
                             .allocate = disk_allocate,
                             .size = disk_size,
                             .rename = disk_rename,
                             .unlink = disk_unlink,
                             .mkdir = disk_mkdir,
                             .sync_dir = disk_sync_dir,
                             .list = disk_list,
                             .lock = disk_lock,
                             .space = disk_space};
}
