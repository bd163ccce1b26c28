/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane_lib.c: lanes that are handles of libcoord: what programs get, with its retries, sessions and recipes. All handles
 * in one loop of this thread.
 *
 * Leaves to the library: reconnecting, keeping sessions alive, trying again. A lane is never down.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <coord/recipes.h>
#include "client/bench/clock.h"
#include "client/bench/load.h"

#define EVENTS_PER_TURN 64

/* transport_data */
struct lib {
    int epoll;
};

static void on_reply(struct coord *c, const struct coord_reply *r, void *arg)
{
    struct shot *s = arg;

    (void)c; /* the lane has it */
    load_done(s->lane->load, s, r->error, bench_now());
}

/* --- locks and transactions ---------------------------------------------------------------------- */

static void on_acquired(struct coord_lock *lock, int error, uint64_t token, void *arg)
{
    struct shot *s = arg;

    (void)token; /* nothing is protected by it here */
    if (error != 0) {
        s->lock = NULL;
        int rc = coord_lock_release(lock, NULL, NULL);
        (void)rc; /* the error is told already */
    }
    load_done(s->lane->load, s, error, bench_now());
}

static void on_released(struct coord *c, int error, void *arg)
{
    struct shot *s = arg;

    (void)c; /* the lane has it */
    load_done(s->lane->load, s, error, bench_now());
}

static int acquire(struct coord *c, struct shot *s)
{
    char name[64];
    struct coord_lock_options o;

    coord_lock_options_init(&o);
    o.wait_ms = s->lane->load->cli->call.timeout_ms;
    (void)snprintf(name, sizeof name, "bench-%" PRIu64, s->key);
    return coord_lock_acquire(c, name, &o, on_acquired, s, &s->lock);
}

static int release(struct shot *s)
{
    struct coord_lock *lock = s->lock;

    s->lock = NULL;
    return coord_lock_release(lock, on_released, s);
}

/* If the first node exists, set both. */
static int txn(struct load *l, struct coord *c, struct shot *s, const char *path)
{
    char second[LOAD_PATH_BYTES];
    struct coord_txn *t = coord_txn_new();

    load_path2(s, second);
    /* What goes wrong with one of these the commit tells. */
    (void)coord_txn_if_exists(t, path);
    (void)coord_txn_set(t, COORD_THEN, path, l->value, load_value_bytes(l), NULL);
    (void)coord_txn_set(t, COORD_THEN, second, l->value, load_value_bytes(l), NULL);
    int rc = coord_txn_commit(c, t, &l->cli->call, on_reply, s);
    coord_txn_free(t);
    return rc;
}

static int list(struct load *l, struct coord *c, struct shot *s, const char *path)
{
    struct coord_call call = l->cli->call;

    call.limit = 100;
    return coord_list(c, path, &call, on_reply, s);
}

static int create_next(struct load *l, struct coord *c, struct shot *s, const char *path)
{
    struct coord_call call = l->cli->call;

    call.flags = COORD_SEQUENTIAL;
    return coord_create(c, path, l->value, load_value_bytes(l), &call, on_reply, s);
}

static int lib_act(struct load *l, struct shot *s)
{
    struct coord *c = s->lane->to;
    const struct coord_call *call = &l->cli->call;
    char path[LOAD_PATH_BYTES], second[LOAD_PATH_BYTES];

    load_path(s, path);
    switch (s->action) {
    case ACTION_SET:
        return coord_set(c, path, l->value, load_value_bytes(l), call, on_reply, s);
    case ACTION_CREATE:
    case ACTION_CREATE_OWN:
        return coord_create(c, path, l->value, load_value_bytes(l), call, on_reply, s);
    case ACTION_CREATE_NEXT:
        return create_next(l, c, s, path);
    case ACTION_DELETE:
        return coord_delete(c, path, call, on_reply, s);
    case ACTION_GET:
        return coord_get(c, path, call, on_reply, s);
    case ACTION_EXISTS:
        return coord_exists(c, path, call, on_reply, s);
    case ACTION_STAT:
        return coord_stat(c, path, call, on_reply, s);
    case ACTION_LIST:
        return list(l, c, s, path);
    case ACTION_USAGE:
        return coord_usage(c, path, call, on_reply, s);
    case ACTION_INCREMENT:
        return coord_increment(c, path, 1, call, on_reply, s);
    case ACTION_TXN:
        return txn(l, c, s, path);
    case ACTION_RENAME:
        load_path2(s, second);
        return coord_rename(c, path, second, call, on_reply, s);
    case ACTION_SYNC:
        return coord_sync(c, call, on_reply, s);
    case ACTION_ACQUIRE:
        return acquire(c, s);
    case ACTION_RELEASE:
        return release(s);
    case ACTION_OPEN:
        return coord_session_open(c, call, on_reply, s);
    case ACTION_CLOSE:
        return coord_session_close(c, call, on_reply, s);
    case ACTION_PING: /* refused by plan.c */
    case ACTION_NONE:
        break;
    }
    return COORD_EINVAL;
}

/* --- lanes --------------------------------------------------------------------------------------- */

/* Lane i talks to server i modulo their number first, and to the others if that one fails. */
static char *servers_from(const char *all, uint64_t first)
{
    size_t len = strlen(all), count = 1, at = 0;
    char *out = malloc(len + 2);

    for (size_t i = 0; i < len; i++) {
        count += all[i] == ',' ? 1 : 0;
    }
    for (uint64_t skip = first % count; skip > 0; skip--) {
        at += strcspn(all + at, ",") + 1;
    }
    if (out != NULL) {
        (void)snprintf(out, len + 2, "%s%s%.*s", all + at, at > 0 ? "," : "",
                       (int)(at > 0 ? at - 1 : 0), all);
    }
    return out;
}

static int open_lane(struct load *l, uint64_t i)
{
    struct lib *lib = l->transport_data;
    struct cli one = *l->cli;
    struct coord *c = NULL;
    struct epoll_event ev = {.events = EPOLLIN};
    const char *all = l->cli->options.servers;
    char *servers = servers_from(all != NULL ? all : "127.0.0.1:7410", i);

    if (servers == NULL) {
        return EXIT_OTHER;
    }
    one.options.servers = servers;
    one.options.in_order = true;
    one.options.session_timeout_ms = (uint32_t)l->plan->session_timeout_ms;
    int rc = cli_open(&one, &c);
    free(servers);
    if (rc != EXIT_DONE) {
        return rc;
    }
    l->lanes[i].to = c;
    ev.data.ptr = c;
    if (epoll_ctl(lib->epoll, EPOLL_CTL_ADD, coord_fd(c), &ev) != 0) {
        perror("coordctl: epoll_ctl");
        return EXIT_OTHER;
    }
    if (mix_writes(&l->plan->mix)) {
        int error = coord_session_open_sync(c, &l->cli->call);
        rc = error != 0 ? cli_fail(l->cli, "opening a session", error, NULL) : EXIT_DONE;
    }
    return rc;
}

static int lib_start(struct load *l)
{
    struct lib *lib = calloc(1, sizeof *lib);
    int rc = EXIT_DONE;

    if (lib == NULL) {
        return EXIT_OTHER;
    }
    l->transport_data = lib;
    lib->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (lib->epoll < 0) {
        perror("coordctl: epoll_create1");
        return EXIT_OTHER;
    }
    for (uint64_t i = 0; rc == EXIT_DONE && i < l->plan->conns; i++) {
        rc = open_lane(l, i);
    }
    return rc;
}

static int lib_turn(struct load *l, uint64_t timeout_ns)
{
    struct lib *lib = l->transport_data;
    struct epoll_event events[EVENTS_PER_TURN];
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / BENCH_NS_PER_S),
                          .tv_nsec = (long)(timeout_ns % BENCH_NS_PER_S)};
    int n = epoll_pwait2(lib->epoll, events, EVENTS_PER_TURN, &ts, NULL);

    if (n < 0) {
        return errno == EINTR ? 0 : COORD_ESYSTEM;
    }
    for (int i = 0; i < n; i++) {
        int rc = coord_dispatch(events[i].data.ptr);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static void lib_stop(struct load *l)
{
    struct lib *lib = l->transport_data;

    for (uint64_t i = 0; i < l->plan->conns; i++) {
        coord_close(l->lanes[i].to);
        l->lanes[i].to = NULL;
    }
    if (lib != NULL && lib->epoll >= 0) {
        (void)close(lib->epoll); /* nothing was written to it */
    }
    free(lib);
}

const struct transport lane_lib = {
    .name = "lib", .start = lib_start, .act = lib_act, .turn = lib_turn, .stop = lib_stop};
