/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handle.c: the life of a handle: open, close, fork.
 *
 * Closing
 *   loop-driven, outside callbacks   at once
 *   loop-driven, in a callback       by coord_dispatch, or the blocking call that ran the loop,
 *                                    when the callback has returned
 *   threaded, from another thread    by the handle's thread, which is joined
 *   threaded, in a callback          by the handle's thread, which then frees the handle
 *
 * Fork: a counter that every fork raises in the child is compared with the one the handle was made
 * under. The child's copies of descriptors refer to the parent's epoll and sockets, so it only
 * closes them.
 *
 * Leaves to others: the loop (loop.c), the thread (thread.c).
 * Thread: as coord.h says.
 */
#include "client/shell/handle.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static unsigned fork_generation; /* forks between the first process and this one */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error;

static void in_child(void)
{
    fork_generation++; /* the child has one thread */
}

static void watch_forks(void)
{
    fork_error = pthread_atfork(NULL, NULL, in_child);
}

uint64_t coord__now(void)
{
    struct timespec t;
    int r = clock_gettime(CLOCK_BOOTTIME, &t);
    assert(r == 0); /* Linux has had this clock since 2.6.39 */
    (void)r;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool coord__forked(const struct coord *c)
{
    return c->fork_generation != fork_generation;
}

/* The lock is no part of what const promises. */
static pthread_mutex_t *lock_of(const struct coord *c)
{
    return (pthread_mutex_t *)&c->lock;
}

int coord__handle_enter(const struct coord *c)
{
    if (c == NULL) {
        return COORD_EINVAL;
    }
    if (coord__forked(c)) {
        return COORD_EFORKED;
    }
    if (c->threaded) {
        (void)pthread_mutex_lock(
            lock_of(c)); /* cannot fail: never held across a call by a caller */
    }
    return 0;
}

void coord__handle_leave(const struct coord *c)
{
    if (c->threaded) {
        (void)pthread_mutex_unlock(lock_of(c)); /* cannot fail: entered before */
    }
}

bool coord__on_loop(const struct coord *c)
{
    return c->threaded ? pthread_equal(c->thread, pthread_self()) != 0 : c->in_callback;
}

static int add_fd(struct coord *c, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data = {.fd = fd}};
    return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? COORD_ESYSTEM : 0;
}

static int open_fds(struct coord *c)
{
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    c->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    c->lease_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (c->epoll_fd < 0 || c->timer_fd < 0 || c->wake_fd < 0 || c->lease_fd < 0) {
        return COORD_ESYSTEM;
    }
    int err = add_fd(c, c->timer_fd);
    return err < 0 ? err : add_fd(c, c->wake_fd);
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd); /* nothing was written that could be lost */
    }
}

void coord__free_handle(struct coord *c, bool child)
{
    if (c == NULL) {
        return;
    }
    if (child) {
        close_fd(c->net.fd); /* without a word to the server */
    } else {
        coord__net_close(c);
    }
    coord__detach_event(c);
    coord__resolver_free(c->resolver, child);
    coord__core_destroy(c->core);
    while (!coord__list_empty(&c->listeners)) {
        struct coord__listener *l = COORD__ENTRY(c->listeners.next, struct coord__listener, link);
        coord__list_remove(&l->link);
        coord__free(l);
    }
    coord__arena_finish(&c->scratch);
    coord__record_close(c->recorder, NULL, 0); /* a handle that was closed has none any more */
    close_fd(c->epoll_fd);
    close_fd(c->timer_fd);
    close_fd(c->wake_fd);
    close_fd(c->lease_fd);
    if (c->threaded && !child) {
        (void)pthread_mutex_destroy(&c->lock); /* a child's may be held by a thread it has not */
        (void)pthread_cond_destroy(&c->changed);
    }
    coord__free(c->servers);
    coord__free(c->prefix);
    coord__free(c);
}

/* A condition on the clock that coord__wait uses. */
static int init_lock(struct coord *c)
{
    pthread_condattr_t attr;
    if (pthread_mutex_init(&c->lock, NULL) != 0) {
        return COORD_ENOMEM;
    }
    if (pthread_condattr_init(&attr) != 0) {
        (void)pthread_mutex_destroy(&c->lock);
        return COORD_ENOMEM;
    }
    int r = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    r = r != 0 ? r : pthread_cond_init(&c->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (r != 0) {
        (void)pthread_mutex_destroy(&c->lock);
        return COORD_ENOMEM;
    }
    c->threaded = true;
    return 0;
}

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
        seed = coord__now() ^ (uint64_t)getpid() << 40; /* jitter needs no secrets */
    }
    return seed;
}

static struct coord *handle_create(void)
{
    struct coord *c = coord__alloc(sizeof(*c));
    if (c == NULL) {
        return NULL;
    }
    c->epoll_fd = -1;
    c->timer_fd = -1;
    c->wake_fd = -1;
    c->lease_fd = -1;
    c->fork_generation = fork_generation;
    coord__net_init(&c->net);
    coord__list_init(&c->listeners);
    coord__list_init(&c->watch_waiters);
    return c;
}

/* Record what whoever started this program wants recorded. A program that runs with more rights than
 * they have does not listen. */
static int record_asked(struct coord *c, char *why, size_t why_bytes)
{
    const char *file = secure_getenv("COORD_RECORD");
    if (file == NULL || file[0] == 0) {
        return 0;
    }
    int err = coord__record_open(file, coord__now(), &c->recorder);
    if (err == COORD_ESYSTEM && why != NULL) {
        (void)snprintf(why, why_bytes, "COORD_RECORD: %s: %s", file, strerror(errno));
    }
    return err;
}

static int open_handle(const struct coord_options *o, bool threaded, struct coord **ret_c,
                       char *why, size_t why_bytes)
{
    struct coord_options plain;
    struct coord__core_options k = {0};
    coord_options_init(&plain);
    if (pthread_once(&fork_once, watch_forks) != 0 || fork_error != 0) {
        return COORD_ENOMEM;
    }
    struct coord *c = handle_create();
    if (c == NULL) {
        return COORD_ENOMEM;
    }
    int err = coord__options_take(o != NULL ? o : &plain, c, &k, why, why_bytes);
    k.seed = random_seed();
    if (err == 0) {
        err = coord__core_create(&k, coord__now(), &c->core);
    }
    if (err == 0) {
        err = open_fds(c);
    }
    if (err == 0 && threaded) {
        err = init_lock(c);
    }
    if (err == 0) {
        err = record_asked(c, why, why_bytes);
    }
    if (err == 0) {
        coord__wake(c); /* the first turn begins to connect */
        err = threaded ? coord__thread_start(c) : 0;
    }
    if (err < 0) {
        coord__free_handle(c, false);
        return err;
    }
    *ret_c = c;
    return 0;
}

/* Without why the caller still learns the code; with it, codes without words get the table's. */
static int open_said(const struct coord_options *o, bool threaded, struct coord **ret_c, char *why,
                     size_t why_bytes)
{
    if (why != NULL && why_bytes > 0) {
        why[0] = 0;
    }
    int err = open_handle(o, threaded, ret_c, why, why_bytes);
    if (err < 0 && why != NULL && why_bytes > 0 && why[0] == 0) {
        (void)snprintf(why, why_bytes, "%s", coord_strerror(err)); /* cut when too long */
    }
    return err;
}

int coord_open(const struct coord_options *o, struct coord **ret_c, char *why, size_t why_bytes)
{
    return open_said(o, false, ret_c, why, why_bytes);
}

int coord_open_threaded(const struct coord_options *o, struct coord **ret_c, char *why,
                        size_t why_bytes)
{
    return open_said(o, true, ret_c, why, why_bytes);
}

static void close_threaded(struct coord *c)
{
    bool own = coord__on_loop(c);
    if (coord__handle_enter(c) < 0) {
        return;
    }
    if (c->closing) {
        coord__handle_leave(c);
        return;
    }
    c->closing = true;
    c->closed_by_itself = own;
    pthread_t thread = c->thread;
    coord__wake(c);
    coord__handle_leave(c);
    if (own) {
        return; /* the thread does the rest when the callback has returned */
    }
    (void)pthread_join(thread, NULL); /* cannot fail: it is ours and was never joined */
    coord__free_handle(c, false);
}

void coord_close(struct coord *c)
{
    if (c == NULL || coord__forked(c)) {
        return; /* in a child there is nothing to close: coord_after_fork_child frees */
    }
    if (c->threaded) {
        close_threaded(c);
        return;
    }
    if (c->closing) {
        return;
    }
    c->closing = true;
    if (!c->in_callback) {
        coord__finalize(c);
        coord__free_handle(c, false);
    }
}

void coord_after_fork_child(struct coord *c)
{
    if (c != NULL && coord__forked(c)) {
        coord__free_handle(c, true);
    }
}
