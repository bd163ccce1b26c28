/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys.c: see sys.h. Names with __wrap_ are called in place of the system's; __real_ ones are the system's.
 * Threads: one.
 */
#include "tests/service/sys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "tests/sim/util.h"

/* NOLINTBEGIN: the linker demands these names */
int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
ssize_t __real_getrandom(void *out, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags);
int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __real_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev);
int __real_epoll_wait(int ep, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int ep, struct epoll_event *events, int max, int timeout);
int __real_timerfd_create(int clock, int flags);
int __wrap_timerfd_create(int clock, int flags);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *to, struct itimerspec *old);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *to, struct itimerspec *old);
int __real_eventfd(unsigned initial, int flags);
int __wrap_eventfd(unsigned initial, int flags);
ssize_t __real_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len);
ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);
ssize_t __real_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
ssize_t __real_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);
int __real_raft_fs_posix_open(const char *dir, struct raft_fs *ret_fs);
int __wrap_raft_fs_posix_open(const char *dir, struct raft_fs *ret_fs);
void __real_raft_fs_posix_close(struct raft_fs *fs);
void __wrap_raft_fs_posix_close(struct raft_fs *fs);
void __real_raft_wal_options_init(struct raft_wal_options *o);
void __wrap_raft_wal_options_init(struct raft_wal_options *o);
/* NOLINTEND */

/* --- descriptors --------------------------------------------------------------------------------- */

static struct world *world_of_fds; /* of whoever made descriptors last: one world at a time */

static void fds_begin(struct world *w)
{
    if (w->fds_count == 0) {
        w->fds_cap = 64;
        w->fds = sim_realloc(NULL, w->fds_cap * sizeof(w->fds[0]));
        w->fds[w->fds_count++] = (struct sim_fd){.kind = FD_MEMBER, .open = true};
    }
    world_of_fds = w;
}

static int fd_new(struct world *w, enum fd_kind kind, struct actor *a)
{
    fds_begin(w);
    for (uint32_t i = 1; i < w->fds_count; i++) { /* 0: the members' */
        if (!w->fds[i].open) {
            w->fds[i] = (struct sim_fd){.kind = kind, .open = true, .actor = a};
            return SYS_FD_BASE + (int)i;
        }
    }
    if (w->fds_count == w->fds_cap) {
        w->fds_cap *= 2;
        w->fds = sim_realloc(w->fds, w->fds_cap * sizeof(w->fds[0]));
    }
    w->fds[w->fds_count] = (struct sim_fd){.kind = kind, .open = true, .actor = a};
    return SYS_FD_BASE + (int)w->fds_count++;
}

static struct sim_fd *fd_of(int fd)
{
    struct world *w = world_of_fds;
    if (fd < SYS_FD_BASE) {
        return NULL;
    }
    if (w == NULL || (uint32_t)(fd - SYS_FD_BASE) >= w->fds_count ||
        !w->fds[fd - SYS_FD_BASE].open) {
        abort(); /* a descriptor that was never given out, or is closed */
    }
    return &w->fds[fd - SYS_FD_BASE];
}

int sys_member_fd(struct stream *s)
{
    struct world *w = s->w;
    fds_begin(w);
    /* Number 0 belongs to whichever member reads now: it never waits for it. */
    w->fds[0] = (struct sim_fd){.kind = FD_MEMBER, .open = true, .stream = s};
    return SYS_FD_BASE;
}

static uint32_t ready_events(const struct sim_fd *f)
{
    const struct stream *s = f->stream;
    switch (f->kind) {
    case FD_EVENT:
        return f->value > 0 ? EPOLLIN : 0;
    case FD_TIMER:
        return f->value != 0 && f->value <= client_now(f->actor) ? EPOLLIN : 0;
    case FD_SOCKET:
        if (s == NULL) {
            return 0;
        }
        return ((stream_client_readable(s) ? EPOLLIN : 0u) |
                (stream_client_writable(s) ? EPOLLOUT : 0u)) &
               f->interest;
    default:
        return 0;
    }
}

bool sys_ready(const struct actor *a)
{
    const struct world *w = a->w;
    for (uint32_t i = 0; i < w->fds_count; i++) {
        const struct sim_fd *f = &w->fds[i];
        if (f->open && f->actor == a && f->watched_by != 0 && ready_events(f) != 0) {
            return true;
        }
    }
    return false;
}

static void fd_close(struct sim_fd *f, bool silent)
{
    f->open = false;
    if (f->kind == FD_SOCKET && f->stream != NULL) {
        stream_client_close(f->stream, silent);
        if (f->actor->conn == f->stream->id) {
            hooks_conn_ended(f->actor);
        }
        f->actor->socket = 0;
    }
}

void sys_process_ended(struct actor *a, bool silent)
{
    struct world *w = a->w;
    for (uint32_t i = 0; i < w->fds_count; i++) {
        struct sim_fd *f = &w->fds[i];
        if (f->open && f->actor == a && f->kind == FD_SOCKET && f->stream != NULL) {
            stream_client_close(f->stream, silent);
        }
    }
}

/* --- time and chance ----------------------------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
    const struct actor *a = world_actor();
    const struct member *m = world_member();
    if (a == NULL && m == NULL) {
        return __real_clock_gettime(id, ts);
    }
    uint64_t ns = a != NULL ? client_now(a) : member_now(m);
    if (id == CLOCK_REALTIME) {
        ns = 1700000000 * SVC_SEC + (a != NULL ? a->w->now : m->w->now);
    }
    ts->tv_sec = (time_t)(ns / SVC_SEC);
    ts->tv_nsec = (long)(ns % SVC_SEC);
    return 0;
}

ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags)
{
    struct actor *a = world_actor();
    struct member *m = world_member();
    uint8_t *bytes = out;
    if (a == NULL && m == NULL) {
        return __real_getrandom(out, len, flags);
    }
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)rng_next(a != NULL ? &a->rng : &m->rng);
    }
    return (ssize_t)len;
}

/* --- waiting ------------------------------------------------------------------------------------- */

int __wrap_epoll_create1(int flags)
{
    struct actor *a = world_actor();
    return a == NULL ? __real_epoll_create1(flags) : fd_new(a->w, FD_EPOLL, a);
}

int __wrap_timerfd_create(int clock, int flags)
{
    struct actor *a = world_actor();
    return a == NULL ? __real_timerfd_create(clock, flags) : fd_new(a->w, FD_TIMER, a);
}

int __wrap_eventfd(unsigned initial, int flags)
{
    struct actor *a = world_actor();
    return a == NULL ? __real_eventfd(initial, flags) : fd_new(a->w, FD_EVENT, a);
}

int __wrap_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
    struct sim_fd *f = fd_of(fd);
    if (f == NULL) {
        return __real_epoll_ctl(ep, op, fd, ev);
    }
    f->watched_by = op == EPOLL_CTL_DEL ? 0 : ep;
    f->interest = ev->events;
    return 0;
}

int __wrap_epoll_wait(int ep, struct epoll_event *events, int max, int timeout)
{
    const struct actor *a = world_actor();
    int count = 0;
    if (ep < SYS_FD_BASE || a == NULL) {
        return __real_epoll_wait(ep, events, max, timeout);
    }
    for (uint32_t i = 0; i < a->w->fds_count && count < max; i++) {
        const struct sim_fd *f = &a->w->fds[i];
        uint32_t ready = f->open && f->watched_by == ep ? ready_events(f) : 0;
        if (ready != 0) {
            events[count].events = ready;
            events[count++].data.fd = SYS_FD_BASE + (int)i;
        }
    }
    return count;
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *to, struct itimerspec *old)
{
    struct sim_fd *f = fd_of(fd);
    if (f == NULL) {
        return __real_timerfd_settime(fd, flags, to, old);
    }
    f->value = (uint64_t)to->it_value.tv_sec * SVC_SEC + (uint64_t)to->it_value.tv_nsec;
    return 0;
}

ssize_t __wrap_read(int fd, void *buf, size_t len)
{
    struct sim_fd *f = fd_of(fd);
    if (f == NULL) {
        return __real_read(fd, buf, len);
    }
    if (ready_events(f) == 0) {
        errno = EAGAIN;
        return -1;
    }
    uint64_t value = f->kind == FD_EVENT ? f->value : 1;
    f->value = 0;
    memcpy(buf, &value, sizeof(value));
    return (ssize_t)sizeof(value);
}

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
    struct sim_fd *f = fd_of(fd);
    if (f == NULL) {
        return __real_write(fd, buf, len);
    }
    f->value++;
    client_poke(f->actor);
    return (ssize_t)len;
}

/* --- connections --------------------------------------------------------------------------------- */

int __wrap_socket(int domain, int type, int protocol)
{
    struct actor *a = world_actor();
    return a == NULL ? __real_socket(domain, type, protocol) : fd_new(a->w, FD_SOCKET, a);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    return fd_of(fd) == NULL ? __real_setsockopt(fd, level, name, value, len) : 0;
}

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    struct sim_fd *f = fd_of(fd);
    if (f == NULL) {
        return __real_connect(fd, addr, len);
    }
    const struct sockaddr_in *in = (const void *)addr;
    raft_id member = (raft_id)(ntohs(in->sin_port) - 7411 + 1);
    client_connects(f->actor);
    f->stream = stream_connect(f->actor, member);
    f->actor->socket = fd;
    f->actor->conn = f->stream == NULL ? 0 : f->stream->id;
    errno = f->stream == NULL ? ECONNREFUSED : EINPROGRESS;
    return -1;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    struct sim_fd *f = fd_of(fd);
    if (f == NULL) {
        return __real_getsockopt(fd, level, name, value, len);
    }
    int error = f->stream->error;
    memcpy(value, &error, sizeof(error));
    return 0;
}

ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
    struct sim_fd *f = fd_of(fd);
    return f == NULL ? __real_send(fd, buf, len, flags)
                     : (ssize_t)stream_client_write(f->stream, buf, len);
}

ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)
{
    struct sim_fd *f = fd_of(fd);
    if (f == NULL) {
        return __real_recv(fd, buf, len, flags);
    }
    struct iovec whole = {buf, len};
    return f->kind == FD_MEMBER ? (ssize_t)stream_member_readv(f->stream, &whole, 1)
                                : (ssize_t)stream_client_read(f->stream, buf, len);
}

ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
    struct sim_fd *f = fd_of(fd);
    return f == NULL ? __real_readv(fd, iov, count)
                     : (ssize_t)stream_member_readv(f->stream, iov, count);
}

int __wrap_shutdown(int fd, int how)
{
    return fd_of(fd) == NULL ? __real_shutdown(fd, how) : 0; /* close follows at once */
}

int __wrap_close(int fd)
{
    struct sim_fd *f = fd_of(fd);
    if (f == NULL) {
        return __real_close(fd);
    }
    fd_close(f, false);
    return 0;
}

/* --- the disk ------------------------------------------------------------------------------------ */

int __wrap_raft_fs_posix_open(const char *dir, struct raft_fs *ret_fs)
{
    const struct member *m = world_member();
    if (m == NULL) {
        return __real_raft_fs_posix_open(dir, ret_fs);
    }
    *ret_fs = *sim_disk_fs(m->media.disk);
    return 0;
}

void __wrap_raft_fs_posix_close(struct raft_fs *fs)
{
    const struct member *m = world_member();
    if (m == NULL) {
        __real_raft_fs_posix_close(fs);
        return;
    }
    sim_disk_unlock(m->media.disk);
    memset(fs, 0, sizeof(*fs));
}

void __wrap_raft_wal_options_init(struct raft_wal_options *o)
{
    __real_raft_wal_options_init(o);
    if (world_member() != NULL) {
        o->segment_bytes = world_member()->w->k.segment_bytes;
        o->segments_ready = world_member()->w->k.segments_ready;
    }
}
