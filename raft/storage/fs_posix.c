/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs_posix.c: struct raft_fs on a directory of the real file system.
 *
 * Every path is resolved from a descriptor of the directory, so a rename of the directory or a change
 * of the working directory does not lead elsewhere; symbolic links in the last place are refused.
 * Directories are made with mode 0700, files with 0600, descriptors are close-on-exec.
 *
 * allocate() writes zeros after posix_fallocate: reserved but unwritten blocks would make the first
 * fdatasync of each of them change the file's metadata too, which costs many times a plain one.
 *
 * Thread: as safe as the system calls; open and close of the file system itself: one thread.
 */
#include <coord/raft_storage.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

#define ZEROS_BYTES (256u * 1024u)

struct posix {
    int dir_fd;
    int lock_fd; /* -1 none */
};

static int posix_open(void *ctx, const char *path, int flags, int *ret_fd)
{
    const struct posix *p = ctx;
    int how = O_CLOEXEC | O_NOFOLLOW;
    if ((flags & RAFT_FS_WRITE) != 0) {
        how |= (flags & RAFT_FS_READ) != 0 ? O_RDWR : O_WRONLY;
    } else {
        how |= O_RDONLY;
    }
    how |= (flags & RAFT_FS_CREATE) != 0 ? O_CREAT : 0;
    how |= (flags & RAFT_FS_EXCLUSIVE) != 0 ? O_EXCL : 0;
    how |= (flags & RAFT_FS_TRUNCATE) != 0 ? O_TRUNC : 0;
    int fd = openat(p->dir_fd, path, how, 0600);
    if (fd < 0) {
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

static int posix_close(void *ctx, int fd)
{
    (void)ctx;
    return close(fd) == 0 ? 0 : -errno;
}

static int64_t posix_pread(void *ctx, int fd, void *buf, size_t len, uint64_t offset)
{
    (void)ctx;
    size_t got = 0;
    while (got < len) {
        ssize_t n = pread(fd, (char *)buf + got, len - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0) {
            break;
        }
        got += (size_t)n;
    }
    return (int64_t)got;
}

/* Write one buffer from its byte `skip` on, whatever the number of calls it takes. */
static int write_rest(int fd, const struct iovec *iov, size_t skip, uint64_t offset)
{
    const char *p = iov->iov_base;
    while (skip < iov->iov_len) {
        ssize_t n = pwrite(fd, p + skip, iov->iov_len - skip, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        skip += (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int posix_pwritev(void *ctx, int fd, const struct iovec *iov, int count, uint64_t offset)
{
    (void)ctx;
    while (count > 0) {
        int some = count < IOV_MAX ? count : IOV_MAX;
        ssize_t n = pwritev(fd, iov, some, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        size_t left = (size_t)n;
        offset += left;
        while (count > 0 && left >= iov->iov_len) { /* whole buffers that went out */
            left -= iov->iov_len;
            iov++;
            count--;
        }
        if (n == 0 && count > 0) {
            return -EIO;
        }
        if (left > 0) { /* a short write ended within a buffer */
            int rc = write_rest(fd, iov, left, offset);
            if (rc != 0) {
                return rc;
            }
            offset += iov->iov_len - left;
            iov++;
            count--;
        }
    }
    return 0;
}

static int posix_fdatasync(void *ctx, int fd)
{
    (void)ctx;
    return fdatasync(fd) == 0 ? 0 : -errno; /* never repeated: a second one may lie */
}

static int posix_size(void *ctx, int fd, uint64_t *ret_bytes)
{
    (void)ctx;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return -EINVAL;
    }
    *ret_bytes = (uint64_t)st.st_size;
    return 0;
}

static int posix_allocate(void *ctx, int fd, uint64_t bytes)
{
    static const char zeros[ZEROS_BYTES];
    uint64_t have;
    int rc = posix_size(ctx, fd, &have);
    if (rc != 0 || have >= bytes) {
        return rc;
    }
    rc = posix_fallocate(fd, (off_t)have, (off_t)(bytes - have));
    if (rc != 0 && rc != EOPNOTSUPP && rc != EINVAL) {
        return -rc;
    }
    while (have < bytes) {
        size_t n = bytes - have < sizeof zeros ? (size_t)(bytes - have) : sizeof zeros;
        struct iovec iov = {.iov_base = (void *)(uintptr_t)zeros, .iov_len = n};
        rc = write_rest(fd, &iov, 0, have);
        if (rc != 0) {
            return rc;
        }
        have += n;
    }
    return 0;
}

static int posix_rename(void *ctx, const char *from, const char *to)
{
    const struct posix *p = ctx;
    return renameat(p->dir_fd, from, p->dir_fd, to) == 0 ? 0 : -errno;
}

static int posix_unlink(void *ctx, const char *path)
{
    const struct posix *p = ctx;
    return unlinkat(p->dir_fd, path, 0) == 0 ? 0 : -errno;
}

static int posix_mkdir(void *ctx, const char *path)
{
    const struct posix *p = ctx;
    struct stat st;
    if (mkdirat(p->dir_fd, path, 0700) == 0) {
        return 0;
    }
    if (errno != EEXIST) {
        return -errno;
    }
    if (fstatat(p->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return -errno;
    }
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int open_dir(const struct posix *p, const char *path)
{
    int fd = openat(p->dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 ? fd : -errno;
}

static int posix_sync_dir(void *ctx, const char *path)
{
    int fd = open_dir(ctx, path);
    if (fd < 0) {
        return fd;
    }
    int rc = fsync(fd) == 0 ? 0 : -errno;
    (void)close(fd); /* nothing was written through it */
    return rc;
}

static int posix_list(void *ctx, const char *path, raft_fs_visit visit, void *arg)
{
    int fd = open_dir(ctx, path);
    if (fd < 0) {
        return fd;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int rc = -errno;
        (void)close(fd); /* nothing was written through it */
        return rc;
    }
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (e == NULL) {
            rc = -errno;
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            rc = visit(arg, e->d_name);
        }
    }
    (void)closedir(dir); /* nothing was written through it */
    return rc;
}

static int posix_lock(void *ctx, const char *path)
{
    struct posix *p = ctx;
    int fd = -1;
    if (p->lock_fd >= 0) {
        return -EWOULDBLOCK;
    }
    int rc = posix_open(ctx, path, RAFT_FS_READ | RAFT_FS_WRITE | RAFT_FS_CREATE, &fd);
    if (rc != 0) {
        return rc;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        rc = -errno;
        (void)close(fd); /* nothing was written through it */
        return rc;
    }
    p->lock_fd = fd;
    return 0;
}

static int posix_space(void *ctx, uint64_t *ret_free_bytes)
{
    const struct posix *p = ctx;
    struct statvfs st;
    if (fstatvfs(p->dir_fd, &st) != 0) {
        return -errno;
    }
    *ret_free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

int raft_fs_posix_open(const char *dir, struct raft_fs *ret_fs)
{
    struct posix *p = malloc(sizeof *p);
    if (p == NULL) {
        return -ENOMEM;
    }
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        int rc = -errno;
        free(p);
        return rc;
    }
    p->lock_fd = -1;
    p->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir_fd < 0) {
        int rc = -errno;
        free(p);
        return rc;
    }
    *ret_fs = (struct raft_fs){.ctx = p,
                               .open = posix_open,
                               .close = posix_close,
                               .pread = posix_pread,
                               .pwritev = posix_pwritev,
                               .fdatasync = posix_fdatasync,
                               .allocate = posix_allocate,
                               .size = posix_size,
                               .rename = posix_rename,
                               .unlink = posix_unlink,
                               .mkdir = posix_mkdir,
                               .sync_dir = posix_sync_dir,
                               .list = posix_list,
                               .lock = posix_lock,
                               .space = posix_space};
    return 0;
}

void raft_fs_posix_close(struct raft_fs *fs)
{
    if (fs == NULL || fs->ctx == NULL) {
        return;
    }
    struct posix *p = fs->ctx;
    if (p->lock_fd >= 0) {
        (void)close(p->lock_fd); /* gives the lock back; nothing was written through it */
    }
    (void)close(p->dir_fd); /* a directory */
    free(p);
    memset(fs, 0, sizeof *fs);
}
