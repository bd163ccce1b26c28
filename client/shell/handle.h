/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handle.h: the body of a handle, for the files of client/shell only.
 *
 * Invariants
 *   1. Only the loop (coord__turn and what it calls) takes outputs of the core and touches sockets.
 *      In the threaded form that is the handle's thread; calls from others only change the core,
 *      under `lock`, and wake the loop.
 *   2. `lock` is not held while a callback runs, nor while the loop waits.
 *   3. A callback may do anything but wait: what it starts is carried on when it returns.
 *   4. Once `closing` is set nothing but the closing itself is given out.
 * Threads: see 1. A loop-driven handle has no lock; the functions below then do nothing about it.
 */
#ifndef COORD_CLIENT_SHELL_HANDLE_H
#define COORD_CLIENT_SHELL_HANDLE_H

#include <pthread.h>
#include <sys/socket.h>
#include "client/core/convert.h"
#include "client/core/core.h"
#include "client/shell/record.h"

#define COORD__HOST_BYTES    256 /* of a server's name, with its NUL */
#define COORD__ADDRESSES_MAX 16  /* of one name that are tried */
#define COORD__DEFAULT_PORT  7410
#define COORD__RESOLVE_POLL_NS \
    5000000ull /* libevent's descriptor cannot be waited for: look so often */

struct coord__address {
    struct sockaddr_storage addr;
    socklen_t len;
};

struct coord__server {
    char host[COORD__HOST_BYTES];
    uint16_t port;
    bool numeric; /* `address` is set; otherwise host is resolved for each attempt */
    struct coord__address address;
};

/* The connection that the core wishes. */
struct coord__net {
    uint64_t link; /* the core's number for it; 0 none */
    uint32_t server;
    int fd;         /* -1: none yet, or no more */
    bool connected; /* the core was told */
    bool readable;  /* said by epoll in this turn */
    bool writable;
    uint32_t interest; /* epoll events asked for */
    struct coord__address addresses[COORD__ADDRESSES_MAX];
    uint32_t addresses_count;
    uint32_t addresses_next;
    char why[160]; /* of the last address that failed */
};

/* A blocking call that waits; on its stack. */
struct coord__waiter {
    struct coord__list link; /* handle->watch_waiters, when it waits for a watch */
    coord_watch_id watch;
    bool for_end; /* of the watch; otherwise READY is enough */
    bool done;
    int error;
    bool keep;                 /* the reply is wanted */
    struct coord_reply *reply; /* for coord_reply_free */
};

struct coord__listener {
    struct coord__list link;
    coord_listener_id id;
    coord_state_cb cb;
    void *arg;
};

struct coord__resolver;
struct event;

struct coord {
    struct coord__core *core;
    unsigned fork_generation;
    bool threaded;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a waiter is done, or the last one left */
    uint32_t waiters;       /* blocking calls of other threads under way */
    bool in_callback;
    bool in_turn; /* the loop runs: no need to wake it from its own thread */
    bool closing;
    bool closed_by_itself; /* in a callback: the loop frees the handle */

    char *prefix; /* "" none */
    size_t prefix_bytes;
    uint32_t request_timeout_ms;
    enum coord_consistency consistency;
    uint64_t bound_ms;
    coord_state_cb state_cb;
    void *state_arg;

    struct coord__server *servers;
    uint32_t servers_count;

    int epoll_fd;
    int timer_fd;
    int wake_fd;
    int lease_fd;
    bool woken;
    uint64_t timer_at; /* ns, 0: not armed */
    uint64_t lease_at; /* ns, 0: not armed */

    struct coord__net net;
    struct coord__resolver *resolver; /* NULL until a name is first needed */
    struct coord__arena scratch;      /* of the callback under way */
    struct coord__list listeners;     /* by id */
    coord_listener_id last_listener;
    coord_listener_id called_listener; /* its callback is under way; 0 none */
    struct coord__list watch_waiters;
    struct event *attached;
    struct coord__recorder *recorder; /* NULL: nothing is recorded */
    uint8_t read_bytes[65536];
};

/* handle.c */
uint64_t coord__now(void);
/* Check and lock: COORD_EINVAL for NULL, COORD_EFORKED in a child, else 0 with the lock held. */
int coord__handle_enter(const struct coord *c);
void coord__handle_leave(const struct coord *c);
bool coord__forked(const struct coord *c);
/* Is the caller inside a callback, so that it must not wait? */
bool coord__on_loop(const struct coord *c);
/* Free everything; nobody uses c any more. child: of a fork, so nothing shared may be touched. */
void coord__free_handle(struct coord *c, bool child);

/* options.c */
/* Check o and take it over into c and *k. Return: 0, COORD_EINVAL with why, COORD_ENOMEM. */
int coord__options_take(const struct coord_options *o, struct coord *c,
                        struct coord__core_options *k, char *why, size_t why_bytes);

/* loop.c */
/* Make the loop look, from another thread or from outside it. */
void coord__wake(struct coord *c);
/* Do all that is due. Locked by the caller. Return: true when the handle is to be closed. */
bool coord__turn(struct coord *c);
/* Complete and tell everything, for the last time. Locked by the caller. */
void coord__finalize(struct coord *c);
/* When the loop is to turn although nothing comes; UINT64_MAX never; 0 at once. */
uint64_t coord__next_turn(const struct coord *c);

/* deliver.c */
/* Tell one output to whom it concerns; unlocks meanwhile. */
void coord__deliver(struct coord *c, const struct coord__out *out);

/* thread.c */
int coord__thread_start(struct coord *c);

/* net.c */
void coord__net_init(struct coord__net *n);
/* Have the connection that the core wishes. */
void coord__net_follow(struct coord *c);
/* Carry on with a connection being made, read, and write, as far as is possible without waiting. */
void coord__net_connect(struct coord *c);
void coord__net_read(struct coord *c);
void coord__net_write(struct coord *c);
void coord__net_close(struct coord *c);
/* The addresses of the name that was asked for, or why there are none. */
void coord__net_resolved(struct coord *c, uint64_t link, const struct coord__address *addresses,
                         uint32_t count, const char *why);

/* resolve.c */
/* Resolve a name for a link; coord__net_resolved is called from coord__resolve_poll, or before this
 * returns. Return: 0 or COORD_ENOMEM. */
int coord__resolve(struct coord *c, const char *host, uint16_t port, uint64_t link);
void coord__resolve_cancel(struct coord *c);
void coord__resolve_poll(struct coord *c);
bool coord__resolving(const struct coord *c);
void coord__resolver_free(struct coord__resolver *r, bool child);

/* attach.c */
void coord__detach_event(struct coord *c);

#endif
