/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c: see loop.h. One turn of the loop is
 *
 *     sleep until a socket, a thread, a timer or a signal has something
 *     read sockets                    events of the node
 *     drain the disk threads          events of the node
 *     node_run                        all decisions; output gathers in queues
 *     flush peers                     first: what a write waits for is their disks, and a message's way
 *     submit the log's batch          our own disk works while theirs do
 *     flush clients                   one sendmsg a connection
 *
 * Batches come from this and nothing else: what arrives while a turn or the disk is busy is the next
 * turn's. There is no timer for a request.
 *
 * Invariants
 *   1. The node is called from here only, with one reading of the clock for a turn.
 *   2. Ports are opened before the data directory is touched; nothing is accepted before the node runs.
 *   3. Every end passes through shell_finish.
 */
#include "server/shell/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "server/shell/base.h"
#include "server/shell/clock.h"
#include "server/shell/log.h"
#include "server/shell/net.h"
#include "server/shell/options.h"
#include "server/shell/shell.h"

#define LOOP_STOP_S           2   /* SIGTERM: this long for handing over and answering */
#define LOOP_STALL_TURNS      10  /* seconds in one turn until the watchdog ends the process */
#define LOOP_DISK_STALL_TURNS 30  /* seconds in one write of the log, likewise */
#define LOOP_OWN_DESCRIPTORS  128 /* log, snapshots, peers, listeners: never given to clients */

uint64_t shell_now(struct shell *s)
{
    if (!s->now_known) {
        s->now = clock_boot_ns();
        s->now_known = true;
        watch_begin(&s->mark);
    }
    return s->now;
}

/* --- timers and signals ------------------------------------------------------------------------ */

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct shell *s = arg;
    (void)fd, (void)what;
    s->deadline_ns = UINT64_MAX;
}

static void on_woken(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg; /* the turn looks at the threads anyway */
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct shell *s = arg;
    uint64_t now = clock_mono_ns();
    (void)fd, (void)what;
    (void)shell_now(s); /* the turn begins */
    (void)conn_set_sweep(s->conns, now);
    (void)peer_set_sweep(s->peers, now);
    bridge_retry(s);
}

static void on_stop_end(evutil_socket_t fd, short what, void *arg)
{
    struct shell *s = arg;
    (void)fd, (void)what;
    log_write(CONF_LOG_WARN, "not everything was answered within %d s, stopping all the same",
              LOOP_STOP_S);
    s->stop_now = true;
}

static void on_stop(evutil_socket_t number, short what, void *arg)
{
    struct shell *s = arg;
    struct timeval tv = {.tv_sec = LOOP_STOP_S};
    (void)what;
    if (s->stopping) {
        log_write(CONF_LOG_WARN, "signal %d again: stopping at once", (int)number);
        s->stop_now = true;
        return;
    }
    log_write(CONF_LOG_INFO, "signal %d: handing over and stopping", (int)number);
    s->stopping = true;
    conn_set_listen_end(s->conns);
    node_shutdown(s->node, shell_now(s));
    (void)event_add(&s->stop_end, &tv);
}

/* Only the log level is taken anew; a file with errors changes nothing. */
static void on_hangup(evutil_socket_t number, short what, void *arg)
{
    static struct conf fresh; /* large for a stack */
    static char err[CONF_ERROR_BYTES_MAX];
    struct shell *s = arg;
    (void)number, (void)what;
    if (s->file == NULL) {
        log_write(CONF_LOG_INFO, "SIGHUP: there is no configuration file to read");
    } else if (conf_load(s->file, &fresh, err) < 0) {
        log_write(CONF_LOG_ERROR, "SIGHUP: nothing changed: %s", err);
    } else {
        log_level_set(fresh.log_level);
        log_write(CONF_LOG_INFO, "SIGHUP: log level read again; other settings need a restart");
    }
}

static int events_make(struct shell *s)
{
    struct timeval second = {.tv_sec = 1};
    (void)event_assign(&s->deadline, s->base, -1, 0, on_deadline, s);
    (void)event_assign(&s->stop_end, s->base, -1, 0, on_stop_end, s);
    (void)event_assign(&s->second, s->base, -1, EV_PERSIST, on_second, s);
    (void)event_assign(&s->woken, s->base, s->wake.fd, EV_READ | EV_PERSIST | EV_ET, on_woken, s);
    (void)event_assign(&s->term, s->base, SIGTERM, EV_SIGNAL | EV_PERSIST, on_stop, s);
    (void)event_assign(&s->interrupt, s->base, SIGINT, EV_SIGNAL | EV_PERSIST, on_stop, s);
    (void)event_assign(&s->hangup, s->base, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hangup, s);
    s->events_made = true;
    if (event_add(&s->second, &second) < 0 || event_add(&s->woken, NULL) < 0 ||
        event_add(&s->term, NULL) < 0 || event_add(&s->interrupt, NULL) < 0 ||
        event_add(&s->hangup, NULL) < 0) {
        return -1;
    }
    return 0;
}

/* --- the start --------------------------------------------------------------------------------- */

static int listeners_open(struct shell *s)
{
    char err[512];
    const struct conf_member *self = conf_self(s->conf);
    s->client_listener = net_listen(&self->client, "clients", err, sizeof(err));
    if (s->client_listener < 0) {
        log_write(CONF_LOG_ERROR, "%s", err);
        return -1;
    }
    if (s->conf->members_count > 1) {
        s->peer_listener = net_listen(&self->peer, "peers", err, sizeof(err));
        if (s->peer_listener < 0) {
            log_write(CONF_LOG_ERROR, "%s", err);
            return -1;
        }
    }
    return 0;
}

/* Threads begin with all signals blocked, so that only the loop's thread takes them. */
static int threads_start(struct shell *s)
{
    sigset_t all;
    sigset_t before;
    struct snap_thread_options o = {.fs = &s->boot.fs,
                                    .cluster_id = s->boot.cluster_id,
                                    .keep = (int)s->conf->snapshot_keep,
                                    .wake = &s->wake};
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int rc = wal_thread_start(s->boot.wal, WAL_ROOM_MIN_BYTES, &s->wake, &s->wal);
    if (rc == 0) {
        rc = snap_thread_start(&o, &s->snaps);
    }
    if (rc == 0) {
        const struct watchdog_subject subjects[] = {
            {"the event loop", LOOP_STALL_TURNS, &s->mark},
            {"a write of the log", LOOP_DISK_STALL_TURNS, wal_thread_mark(s->wal)}};
        rc = watchdog_start(subjects, 2, &s->watchdog);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static uint32_t connections_max(const struct conf *c)
{
    uint64_t room = net_descriptors_raise();
    room = room > 2 * LOOP_OWN_DESCRIPTORS ? room - LOOP_OWN_DESCRIPTORS : room / 2;
    if (c->connections > room) {
        log_write(CONF_LOG_WARN,
                  "limits.connections is %" PRIu64
                  ", but the system's limit on open files leaves %" PRIu64,
                  c->connections, room);
        return (uint32_t)room;
    }
    return (uint32_t)c->connections;
}

static int sockets_make(struct shell *s)
{
    struct conn_options co = {.base = s->base,
                              .head_room = ENTRY_HEADER_BYTES,
                              .frame_bytes_max = (uint32_t)s->conf->frame_bytes,
                              .connections_max = connections_max(s->conf),
                              .per_address_max = (uint32_t)s->conf->connections_per_address,
                              .output_bytes_max = s->conf->output_bytes,
                              .output_total_bytes_max = s->conf->output_total_bytes,
                              .watch_output_bytes_max = s->conf->watch_output_bytes,
                              .loud_bytes = COORD_LOUD_BYTES};
    struct peer_options po = {.base = s->base, .conf = s->conf};
    bridge_conn_host(s, &co.host);
    bridge_peer_host(s, &po.host);
    clock_random(&po.incarnation, sizeof(po.incarnation));
    int rc = conn_set_create(&co, &s->conns);
    return rc < 0 ? rc : peer_set_create(&po, &s->peers);
}

static int node_make(struct shell *s)
{
    static struct node_options o; /* large for a stack */
    struct node_env env;
    char why[512] = "";
    uint64_t seed = 0;
    clock_random(&seed, sizeof(seed));
    options_fill(s->conf, seed, &o);
    bridge_env(s, &env);
    int rc = node_create(&o, &env, &s->boot.node, shell_now(s), clock_wall_ms(), &s->node, why,
                         sizeof(why));
    if (rc < 0) {
        log_write(CONF_LOG_ERROR, "cannot start from %s: %s: %s", s->conf->data_dir,
                  coord_strerror(rc), why);
        return -1;
    }
    boot_release_entries(&s->boot);
    s->repairing = node_repairing(s->node);
    return 0;
}

/* Everything but the sockets' begin: nothing is accepted before the node exists. */
static int shell_start(struct shell *s)
{
    char err[BOOT_ERROR_BYTES];
    if (listeners_open(s) < 0) {
        return -1;
    }
    if (boot_open(s->conf, &s->boot, err) < 0) {
        log_write(CONF_LOG_ERROR, "%s", err);
        return -1;
    }
    if (s->boot.node.snapshot.index > 0) {
        bridge_digest_keep(s, s->boot.node.snapshot.index, s->boot.digest);
    }
    log_write(CONF_LOG_INFO,
              "recovered data_dir=%s snapshot=%" PRIu64 " entries=%u term=%" PRIu64
              " commit=%" PRIu64,
              s->conf->data_dir, s->boot.node.snapshot.index, (unsigned)s->boot.node.count,
              s->boot.node.term, s->boot.node.commit);
    s->base = base_create();
    int rc = s->base == NULL ? -ENOMEM : wake_init(&s->wake);
    rc = rc < 0 ? rc : threads_start(s);
    rc = rc < 0 ? rc : sockets_make(s);
    rc = rc < 0 ? rc : events_make(s);
    if (rc < 0) {
        log_write(CONF_LOG_ERROR, "cannot start: %s", strerror(-rc));
        return -1;
    }
    return node_make(s);
}

static int sockets_begin(struct shell *s)
{
    int rc = 0;
    if (s->peer_listener >= 0) {
        rc = peer_set_begin(s->peers, s->peer_listener);
        s->peer_listener = -1;
    }
    if (rc == 0) {
        rc = conn_set_listen(s->conns, s->client_listener);
        s->client_listener = -1;
    }
    if (rc < 0) {
        log_write(CONF_LOG_ERROR, "cannot start: %s", strerror(-rc));
    }
    return rc;
}

static void listeners_close(struct shell *s)
{
    if (s->client_listener >= 0) {
        (void)close(s->client_listener);
    }
    if (s->peer_listener >= 0) {
        (void)close(s->peer_listener);
    }
}

static void events_drop(struct shell *s)
{
    struct event *events[] = {&s->deadline, &s->stop_end,  &s->second, &s->woken,
                              &s->term,     &s->interrupt, &s->hangup};
    for (size_t i = 0; s->events_made && i < sizeof(events) / sizeof(events[0]); i++) {
        (void)event_del(events[i]);
    }
}

static void shell_finish(struct shell *s)
{
    watchdog_stop(s->watchdog);
    conn_set_destroy(s->conns);
    peer_set_destroy(s->peers);
    wal_thread_stop(s->wal);
    snap_thread_stop(s->snaps);
    bridge_finish(s);
    node_destroy(s->node);
    boot_close(&s->boot);
    listeners_close(s);
    events_drop(s);
    base_destroy(s->base);
    wake_finish(&s->wake);
}

/* --- turns ------------------------------------------------------------------------------------- */

/* See that the timer fires by the node's deadline. Under load that moves away with every turn; the timer
 * stays where it is then, and a turn that comes too early sets it anew. libevent's timers tick in
 * milliseconds: rounded up, so that the turn does not go round in vain. */
static void deadline_set(struct shell *s)
{
    uint64_t due = node_deadline(s->node);
    if (due >= s->deadline_ns) {
        return;
    }
    s->deadline_ns = due;
    uint64_t ns = due > s->now ? due - s->now : 0;
    uint64_t ms = (ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    (void)event_add(&s->deadline, &tv);
}

/* Only a word of the disk that something waits for is worth a turn; another one is heard in the next.
 * Return: it is there already. */
static bool disk_came(struct shell *s)
{
    bool awaited = node_io_awaited(s->node);
    wal_thread_wanted(s->wal, awaited);
    return awaited && wal_thread_durable(s->wal) > s->durable;
}

static void shell_turn(struct shell *s)
{
    bool more = false;
    deadline_set(s);
    if (s->now_known) {
        watch_end(&s->mark);
        s->now_known = false;
    }
    base_turn(s->base, !s->again);
    (void)shell_now(s);
    conn_set_resume(s->conns);
    bridge_disk(s);
    s->now = clock_boot_ns(); /* nothing that came is younger than this */
    node_run(s->node, s->now, clock_wall_ms(), &more);
    more = more || (s->repairing && !node_repairing(s->node)); /* told in the next turn */
    if (!s->left && node_faulted(s->node, NULL)) {
        s->left = true;
        peer_set_leave(s->peers);
    }
    bool told = peer_set_flush(s->peers);
    wal_thread_submit(s->wal);
    told = conn_set_flush(s->conns) || told;
    s->again = more || told || conn_set_ready(s->conns) || disk_came(s);
    if (s->stopping && node_drained(s->node) && !conn_set_pending(s->conns)) {
        s->stop_now = true;
    }
}

int loop_main(const struct conf *c, const char *file, void (*started)(const struct conf *c))
{
    struct shell *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        log_write(CONF_LOG_ERROR, "out of memory");
        return 1;
    }
    coord_buf_pool_begin();
    s->conf = c;
    s->file = file;
    s->wake.fd = -1;
    s->client_listener = -1;
    s->peer_listener = -1;
    s->room = true;
    s->deadline_ns = UINT64_MAX;
    s->again = true; /* the first turn does not sleep: the node may have something to do */
    const char *why = NULL;
    int code = 1;
    if (shell_start(s) == 0 && sockets_begin(s) == 0) {
        char address[CONF_HOST_BYTES_MAX + 16];
        conf_address_format(&conf_self(c)->client, address, sizeof(address));
        log_write(CONF_LOG_INFO, "running cluster=%s members=%u clients=%s version=%s", c->cluster,
                  (unsigned)c->members_count, address, COORD_VERSION);
        if (started != NULL) {
            started(c);
        }
        while (!s->stop_now) {
            shell_turn(s);
        }
        code = node_faulted(s->node, &why) ? 1 : 0;
        log_write(CONF_LOG_INFO, "stopped");
    }
    shell_finish(s);
    coord_buf_pool_end();
    free(s);
    return code;
}
