/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_server.c: see client_server.h. One thread polls the sockets, feeds the node, and lets it
 * run; its writes are done as soon as they are asked for.
 *
 * Leaves to others: everything a server decides (server/node).
 * Thread: the server's; `lock` guards the switches that tests turn.
 */
#include "tests/lib/client_server.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "server/node/node.h"

#define CONNS_MAX  64
#define WRITES_MAX 256

struct server_conn {
    uint64_t id;
    int fd; /* -1: free */
    bool closing;
    bool paused;
    struct coord_buf *in;
    struct coord_buf *out;
    uint32_t out_at;
};

struct client_server {
    pthread_t thread;
    pthread_mutex_t lock;
    int listen_fd;
    int wake_fd;
    uint16_t port;
    char address[64];
    struct node *node;
    struct server_conn conns[CONNS_MAX];
    uint64_t last_conn;
    uint64_t writes[WRITES_MAX]; /* asked for, to be told done */
    uint32_t writes_count;
    uint64_t accepted;
    bool stop;
    bool kick;
    bool hidden;
    bool frozen;
    bool deaf;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t wall_ms(void)
{
    struct timespec t;
    ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &t), 0);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* --- what the node asks for ------------------------------------------------------------------- */

static struct server_conn *find(struct client_server *s, uint64_t id)
{
    for (int i = 0; i < CONNS_MAX; i++) {
        if (s->conns[i].fd >= 0 && s->conns[i].id == id) {
            return &s->conns[i];
        }
    }
    return NULL;
}

static void env_send(void *ctx, uint64_t conn, struct coord_buf *frames)
{
    struct server_conn *c = find(ctx, conn);
    if (c != NULL) {
        ck_assert_int_eq(coord_buf_append(&c->out, frames->data, frames->len), 0);
    }
}

static void env_close(void *ctx, uint64_t conn, const char *why)
{
    struct server_conn *c = find(ctx, conn);
    (void)why;
    if (c != NULL) {
        c->closing = true;
    }
}

static void env_pause(void *ctx, uint64_t conn, bool paused)
{
    struct server_conn *c = find(ctx, conn);
    if (c != NULL) {
        c->paused = paused;
    }
}

static void env_peer_send(void *ctx, raft_id peer, struct coord_buf *const *parts, uint32_t count)
{
    (void)ctx, (void)peer, (void)parts, (void)count; /* nobody is there */
}

static void env_peer_chunk(void *ctx, raft_id peer, struct coord_buf *header,
                           const struct raft_msg *msg)
{
    (void)ctx, (void)peer, (void)header, (void)msg;
}

static void env_peer_cut(void *ctx, const raft_id *peers, uint32_t count)
{
    (void)ctx, (void)peers, (void)count;
}

static void env_persist(void *ctx, const struct raft_persist *p, const struct raft_entry *metas,
                        struct coord_buf *const *payloads)
{
    struct client_server *s = ctx;
    (void)metas, (void)payloads;
    ck_assert_uint_lt(s->writes_count, WRITES_MAX);
    s->writes[s->writes_count++] = p->io_seq;
}

static void env_snapshot_write(void *ctx, enum node_snapshot_part part,
                               const struct raft_snapshot *meta, struct coord_buf *bytes)
{
    (void)ctx, (void)part, (void)meta, (void)bytes;
    ck_abort_msg("tests are too short for a snapshot");
}

static void env_snapshot_store(void *ctx, const struct raft_msg *msg, const uint8_t *bytes,
                               uint32_t len)
{
    (void)ctx, (void)msg, (void)bytes, (void)len;
}

static void env_snapshot_load(void *ctx, const struct raft_snapshot *meta)
{
    (void)ctx, (void)meta;
}

static void env_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    ck_assert_int_eq(getrandom(out, len, 0), (ssize_t)len);
}

static void env_log(void *ctx, enum node_log_level level, const char *text)
{
    (void)ctx, (void)level, (void)text;
}

/* --- connections ------------------------------------------------------------------------------ */

static void drop(struct client_server *s, struct server_conn *c, bool tell)
{
    (void)close(c->fd);
    c->fd = -1;
    coord_buf_unref(c->in);
    coord_buf_unref(c->out);
    c->in = NULL;
    c->out = NULL;
    if (tell) {
        node_conn_closed(s->node, c->id, now_ns());
    }
}

static void accept_one(struct client_server *s)
{
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (s->hidden) {
        (void)close(fd);
        return;
    }
    int on = 1;
    ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    for (int i = 0; i < CONNS_MAX; i++) {
        struct server_conn *c = &s->conns[i];
        if (c->fd < 0) {
            *c = (struct server_conn){.id = ++s->last_conn, .fd = fd};
            s->accepted++;
            node_conn_open(s->node, c->id, "test", now_ns());
            return;
        }
    }
    ck_abort_msg("too many connections");
}

static void take_frames(struct client_server *s, struct server_conn *c)
{
    uint32_t at = 0;
    while (c->fd >= 0 && c->in != NULL) {
        int64_t size = coord_frame_size(c->in->data + at, c->in->len - at, 1u << 22);
        ck_assert_int_ge(size, 0);
        if (size == 0 || (uint64_t)size > c->in->len - at) {
            break;
        }
        uint32_t body = (uint32_t)size - COORD_FRAME_HEADER_BYTES;
        struct coord_buf *b = coord_buf_create(ENTRY_HEADER_BYTES + body);
        ck_assert_ptr_nonnull(b);
        memset(b->data, 0, ENTRY_HEADER_BYTES);
        memcpy(b->data + ENTRY_HEADER_BYTES, c->in->data + at + COORD_FRAME_HEADER_BYTES, body);
        b->len = ENTRY_HEADER_BYTES + body;
        at += (uint32_t)size;
        if (s->deaf) {
            coord_buf_unref(b);
        } else {
            node_conn_frame(s->node, c->id, b, now_ns());
        }
    }
    if (c->in != NULL && at > 0) {
        memmove(c->in->data, c->in->data + at, c->in->len - at);
        c->in->len -= at;
    }
}

static void read_some(struct client_server *s, struct server_conn *c)
{
    uint8_t bytes[65536];
    ssize_t got = recv(c->fd, bytes, sizeof(bytes), 0);
    if (got > 0) {
        ck_assert_int_eq(coord_buf_append(&c->in, bytes, (size_t)got), 0);
        take_frames(s, c);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop(s, c, !c->closing);
    }
}

static void write_some(struct client_server *s, struct server_conn *c)
{
    while (c->fd >= 0 && c->out != NULL && c->out_at < c->out->len) {
        ssize_t sent = send(c->fd, c->out->data + c->out_at, c->out->len - c->out_at, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                drop(s, c, !c->closing);
            }
            return;
        }
        c->out_at += (uint32_t)sent;
    }
    if (c->out != NULL) {
        c->out->len = 0;
        c->out_at = 0;
    }
    if (c->closing && c->fd >= 0) {
        drop(s, c, false);
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

static void run_node(struct client_server *s)
{
    bool more = true;
    while (more || s->writes_count > 0) {
        uint32_t count = s->writes_count;
        uint64_t writes[WRITES_MAX];
        memcpy(writes, s->writes, sizeof(writes));
        s->writes_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            node_io_done(s->node, writes[i], now_ns());
        }
        node_run(s->node, now_ns(), wall_ms(), &more);
    }
}

static int timeout_ms(const struct client_server *s)
{
    uint64_t at = node_deadline(s->node);
    uint64_t now = now_ns();
    if (s->frozen || at == UINT64_MAX) {
        return -1;
    }
    return at <= now ? 0 : (int)((at - now) / 1000000u + 1);
}

static void turn_switches(struct client_server *s)
{
    for (int i = 0; i < CONNS_MAX && (s->kick || s->hidden); i++) {
        if (s->conns[i].fd >= 0) {
            drop(s, &s->conns[i], !s->conns[i].closing);
        }
    }
    s->kick = false;
}

/* Locked, but for the wait. */
static void turn(struct client_server *s)
{
    struct pollfd p[CONNS_MAX + 2] = {{.fd = s->wake_fd, .events = POLLIN},
                                      {.fd = s->listen_fd, .events = POLLIN}};
    for (int i = 0; i < CONNS_MAX; i++) {
        struct server_conn *c = &s->conns[i];
        bool unsent = c->out != NULL && c->out_at < c->out->len;
        p[i + 2].fd = s->frozen ? -1 : c->fd;
        p[i + 2].events = (short)((c->paused ? 0 : POLLIN) | (unsent ? POLLOUT : 0));
    }
    int wait_ms = timeout_ms(s);
    ck_assert_int_eq(pthread_mutex_unlock(&s->lock), 0);
    (void)poll(p, CONNS_MAX + 2, wait_ms); /* whatever it says, all is looked at */
    ck_assert_int_eq(pthread_mutex_lock(&s->lock), 0);
    uint64_t value;
    (void)!read(s->wake_fd, &value, sizeof(value));
    turn_switches(s);
    if (s->frozen) {
        return;
    }
    accept_one(s);
    for (int i = 0; i < CONNS_MAX; i++) {
        if (s->conns[i].fd >= 0 && !s->conns[i].paused) {
            read_some(s, &s->conns[i]);
        }
    }
    run_node(s);
    for (int i = 0; i < CONNS_MAX; i++) {
        if (s->conns[i].fd >= 0) {
            write_some(s, &s->conns[i]);
        }
    }
}

static void *run(void *arg)
{
    struct client_server *s = arg;
    ck_assert_int_eq(pthread_mutex_lock(&s->lock), 0);
    while (!s->stop) {
        turn(s);
    }
    ck_assert_int_eq(pthread_mutex_unlock(&s->lock), 0);
    return NULL;
}

/* --- from the tests --------------------------------------------------------------------------- */

static void listen_on_loopback(struct client_server *s, bool v6)
{
    struct sockaddr_in v4_addr = {.sin_family = AF_INET};
    struct sockaddr_in6 v6_addr = {.sin6_family = AF_INET6};
    v4_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6_addr.sin6_addr = in6addr_loopback;
    struct sockaddr *addr = v6 ? (struct sockaddr *)&v6_addr : (struct sockaddr *)&v4_addr;
    socklen_t len = v6 ? sizeof(v6_addr) : sizeof(v4_addr);
    s->listen_fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(s->listen_fd, 0);
    ck_assert_int_eq(bind(s->listen_fd, addr, len), 0);
    ck_assert_int_eq(listen(s->listen_fd, 64), 0);
    ck_assert_int_eq(getsockname(s->listen_fd, addr, &len), 0);
    s->port = ntohs(v6 ? v6_addr.sin6_port : v4_addr.sin_port);
    (void)snprintf(s->address, sizeof(s->address), "%s:%u", v6 ? "[::1]" : "127.0.0.1",
                   (unsigned)s->port);
}

static void create_node(struct client_server *s, const struct client_server_options *o)
{
    struct node_options n;
    node_options_init(&n);
    struct node_env env = {.ctx = s,
                           .conn_send = env_send,
                           .conn_close = env_close,
                           .conn_pause = env_pause,
                           .peer_send = env_peer_send,
                           .peer_send_chunk = env_peer_chunk,
                           .peer_cut = env_peer_cut,
                           .persist = env_persist,
                           .snapshot_write = env_snapshot_write,
                           .snapshot_store = env_snapshot_store,
                           .snapshot_load = env_snapshot_load,
                           .random = env_random,
                           .log = env_log};
    struct node_boot boot = {.first = 1};
    char why[256] = "";
    n.raft.id = 1;
    n.raft.rng_seed = 42;
    n.raft.election_min = 50000000;
    n.raft.election_max = 100000000;
    n.raft.heartbeat = 10000000;
    n.raft.disk_stall = 5000000000u;
    n.machine.session_min_ms = o->session_min_ms != 0 ? o->session_min_ms : 100;
    n.cluster = "test";
    n.members_count = o->no_quorum ? 3 : 1;
    for (uint32_t i = 0; i < n.members_count; i++) {
        n.members[i].id = i + 1;
        (void)snprintf(n.members[i].peer_address, sizeof(n.members[i].peer_address), "127.0.0.1:%u",
                       i + 1);
        (void)snprintf(n.members[i].client_address, sizeof(n.members[i].client_address), "%s",
                       s->address);
        boot.snapshot.config.members[i] = (struct raft_member){i + 1, RAFT_VOTER};
    }
    boot.snapshot.config.count = n.members_count;
    int err = node_create(&n, &env, &boot, now_ns(), wall_ms(), &s->node, why, sizeof(why));
    ck_assert_msg(err == 0, "node_create: %s", why);
}

struct client_server *client_server_start(const struct client_server_options *o)
{
    struct client_server_options plain = {.no_quorum = false};
    struct client_server *s = calloc(1, sizeof(*s));
    ck_assert_ptr_nonnull(s);
    o = o != NULL ? o : &plain;
    for (int i = 0; i < CONNS_MAX; i++) {
        s->conns[i].fd = -1;
    }
    listen_on_loopback(s, o->v6);
    create_node(s, o);
    s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ck_assert_int_ge(s->wake_fd, 0);
    ck_assert_int_eq(pthread_mutex_init(&s->lock, NULL), 0);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, run, s), 0);
    return s;
}

static void turn_switch(struct client_server *s, bool *which, bool value)
{
    uint64_t one = 1;
    ck_assert_int_eq(pthread_mutex_lock(&s->lock), 0);
    *which = value;
    ck_assert_int_eq(pthread_mutex_unlock(&s->lock), 0);
    ck_assert_int_eq(write(s->wake_fd, &one, sizeof(one)), (ssize_t)sizeof(one));
}

void client_server_stop(struct client_server *s)
{
    turn_switch(s, &s->stop, true);
    ck_assert_int_eq(pthread_join(s->thread, NULL), 0);
    for (int i = 0; i < CONNS_MAX; i++) {
        if (s->conns[i].fd >= 0) {
            drop(s, &s->conns[i], !s->conns[i].closing);
        }
    }
    node_destroy(s->node);
    (void)close(s->listen_fd);
    (void)close(s->wake_fd);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

uint16_t client_server_port(const struct client_server *s)
{
    return s->port;
}

const char *client_server_address(const struct client_server *s)
{
    return s->address;
}

void client_server_kick(struct client_server *s)
{
    turn_switch(s, &s->kick, true);
}

void client_server_hide(struct client_server *s, bool hidden)
{
    turn_switch(s, &s->hidden, hidden);
}

void client_server_freeze(struct client_server *s, bool frozen)
{
    turn_switch(s, &s->frozen, frozen);
}

void client_server_deafen(struct client_server *s, bool deaf)
{
    turn_switch(s, &s->deaf, deaf);
}

uint64_t client_server_accepted(struct client_server *s)
{
    ck_assert_int_eq(pthread_mutex_lock(&s->lock), 0);
    uint64_t accepted = s->accepted;
    ck_assert_int_eq(pthread_mutex_unlock(&s->lock), 0);
    return accepted;
}

uint64_t client_server_sessions(struct client_server *s)
{
    struct machine_stats stats;
    ck_assert_int_eq(pthread_mutex_lock(&s->lock), 0);
    machine_stats(node_machine(s->node), &stats);
    ck_assert_int_eq(pthread_mutex_unlock(&s->lock), 0);
    return stats.sessions;
}
