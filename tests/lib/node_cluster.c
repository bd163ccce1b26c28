/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_cluster.c: see node_cluster.h. The world: one list of events in order of time, members that are
 * run when an event reaches them or their deadline comes.
 */
#include "tests/lib/node_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_cluster_internal.h"

#define LOG_LINES_MAX  4096
#define SNAPSHOTS_KEPT 2

enum event_kind { EV_MESSAGE = 1, EV_PERSIST, EV_WRITTEN, EV_SAVED, EV_STORED, EV_LOADED };

struct world_event {
    struct world_event *next;
    uint64_t at;
    enum event_kind kind;
    raft_id to;
    raft_id from;
    uint64_t boot; /* of the member it belongs to: a killed member's disk work is lost */
    struct coord_buf *buf;
    struct raft_persist persist;
    struct raft_entry *metas;
    struct coord_buf **payloads;
    struct raft_snapshot meta;
    uint64_t a;
    uint64_t b;
};

struct disk_entry {
    struct raft_entry meta;
    struct coord_buf *payload;
};

struct disk {
    raft_term term;
    raft_id vote;
    raft_index commit;
    raft_index first;
    uint32_t count;
    uint32_t slots;
    struct disk_entry *entries;
    struct raft_snapshot snapshots[SNAPSHOTS_KEPT]; /* newest first */
    struct coord_buf *states[SNAPSHOTS_KEPT];
    struct coord_buf *outgoing; /* a snapshot being written */
    struct coord_buf *incoming;
    uint64_t incoming_id;
    uint32_t saved;
};

/* What the members' clocks show when the simulation begins. */
#define WALL_MS UINT64_C(1700000000000)

struct member {
    struct cluster *cl;
    raft_id id;
    struct node *node;
    uint64_t boot;
    bool dirty;
    uint64_t paused_until;
    bool stalled;
    uint64_t wall_ms;         /* its clock when the simulation began */
    struct world_event *held; /* disk work of a stalled disk, oldest first */
    uint64_t disk_free_at;
    struct disk disk;
    uint32_t cut_asked;
    uint64_t runs;
    char *lines[LOG_LINES_MAX];
    uint32_t lines_count;
};

struct cluster {
    struct cluster_options o;
    uint64_t now;
    uint64_t rng;
    uint64_t next_conn;
    uint64_t messages;
    struct world_event *events;
    struct member members[CLUSTER_MEMBERS_MAX];
    bool cut[CLUSTER_MEMBERS_MAX + 1][CLUSTER_MEMBERS_MAX + 1]; /* from, to */
    struct cluster_client *clients[CLUSTER_CLIENTS_MAX];
    uint32_t clients_count;
};

static _Noreturn void broken(const char *what)
{
    fprintf(stderr, "node_cluster: %s\n", what);
    abort();
}

static void *need(void *p)
{
    if (p == NULL) {
        broken("out of memory");
    }
    return p;
}

static uint64_t rnd(struct cluster *cl)
{
    uint64_t z = (cl->rng += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool chance(struct cluster *cl, uint32_t percent)
{
    return percent > 0 && rnd(cl) % 100 < percent;
}

static struct member *member_of(struct cluster *cl, raft_id id)
{
    if (id == 0 || id > cl->o.members) {
        broken("no such member");
    }
    return &cl->members[id - 1];
}

struct coord_bytes bytes_of(const char *s)
{
    return (struct coord_bytes){(const uint8_t *)s, s == NULL ? 0 : (uint32_t)strlen(s)};
}

/* --- events ----------------------------------------------------------------------------------- */

static struct world_event *event_new(struct member *m, enum event_kind kind, uint64_t at)
{
    struct world_event *e = need(calloc(1, sizeof(*e)));
    e->kind = kind;
    e->at = at;
    e->to = m->id;
    e->boot = m->boot;
    return e;
}

static void event_add(struct cluster *cl, struct world_event *e)
{
    struct world_event **p = &cl->events;
    while (*p != NULL && (*p)->at <= e->at) {
        p = &(*p)->next;
    }
    e->next = *p;
    *p = e;
}

static void event_free(struct world_event *e)
{
    coord_buf_unref(e->buf);
    for (uint32_t i = 0; e->payloads != NULL && i < e->persist.count; i++) {
        coord_buf_unref(e->payloads[i]);
    }
    free(e->payloads);
    free(e->metas);
    free(e);
}

/* --- disk ------------------------------------------------------------------------------------- */

static void disk_cut(struct disk *d, raft_index from)
{
    while (d->count > 0 && d->first + d->count > from) {
        d->count--;
        coord_buf_unref(d->entries[d->count].payload);
    }
}

static void disk_drop(struct disk *d, raft_index through)
{
    uint32_t drop = 0;
    while (drop < d->count && d->first + drop <= through) {
        coord_buf_unref(d->entries[drop].payload);
        drop++;
    }
    memmove(d->entries, d->entries + drop, (d->count - drop) * sizeof(d->entries[0]));
    d->count -= drop;
    d->first += drop;
    if (d->count == 0) {
        d->first = through + 1;
    }
}

static void disk_write(struct disk *d, const struct world_event *e)
{
    const struct raft_persist *p = &e->persist;
    if (p->kind == RAFT_PERSIST_HARDSTATE) {
        d->term = p->term;
        d->vote = p->vote;
        d->commit = p->commit;
        return;
    }
    if (p->kind == RAFT_PERSIST_SNAPMARK) {
        disk_drop(d, p->compact);
        return;
    }
    disk_cut(d, p->first);
    if (d->count == 0) {
        d->first = p->first;
    }
    if (d->first + d->count != p->first) {
        broken("a gap in the log on disk");
    }
    for (uint32_t i = 0; i < p->count; i++) {
        if (d->count == d->slots) {
            d->slots = d->slots == 0 ? 64 : d->slots * 2;
            d->entries = need(realloc(d->entries, d->slots * sizeof(d->entries[0])));
        }
        d->entries[d->count++] = (struct disk_entry){e->metas[i], coord_buf_ref(e->payloads[i])};
    }
}

static void disk_keep_snapshot(struct disk *d, const struct raft_snapshot *meta,
                               struct coord_buf *state)
{
    coord_buf_unref(d->states[1]);
    d->snapshots[1] = d->snapshots[0];
    d->states[1] = d->states[0];
    d->snapshots[0] = *meta;
    d->states[0] = coord_buf_ref(state);
    d->saved++;
}

static void disk_free(struct disk *d)
{
    disk_cut(d, 0);
    free(d->entries);
    coord_buf_unref(d->states[0]);
    coord_buf_unref(d->states[1]);
    coord_buf_unref(d->outgoing);
    coord_buf_unref(d->incoming);
}

/* --- env -------------------------------------------------------------------------------------- */

static struct cluster_client *client_find(struct cluster *cl, uint64_t conn)
{
    for (uint32_t i = 0; i < cl->clients_count; i++) {
        if (cl->clients[i]->conn == conn) {
            return cl->clients[i];
        }
    }
    broken("no such connection");
}

static void env_conn_send(void *ctx, uint64_t conn, struct coord_buf *frames)
{
    struct member *m = ctx;
    struct cluster_client *c = client_find(m->cl, conn);
    uint32_t at = 0;
    if (!c->open) {
        broken("output for a connection that is closed");
    }
    while (at < frames->len) {
        int64_t size = coord_frame_size(frames->data + at, frames->len - at, 64u << 20);
        bool is_event = false;
        struct cluster_frame *f = need(calloc(1, sizeof(*f)));
        if (size <= 0 || (uint64_t)size > frames->len - at) {
            broken("output that is not whole frames");
        }
        f->at = m->cl->now;
        f->body = need(coord_buf_copy(frames->data + at + COORD_FRAME_HEADER_BYTES,
                                      (size_t)size - COORD_FRAME_HEADER_BYTES));
        if (coord_reply_peek(f->body->data, f->body->len, &f->number, &is_event) != 0) {
            broken("a frame without a number");
        }
        if (c->last == NULL) {
            c->first = f;
        } else {
            c->last->next = f;
        }
        c->last = f;
        c->frames++;
        at += (uint32_t)size;
    }
}

static void env_conn_close(void *ctx, uint64_t conn, const char *why)
{
    struct member *m = ctx;
    struct cluster_client *c = client_find(m->cl, conn);
    if (!c->open) {
        broken("a connection is closed twice");
    }
    c->open = false;
    (void)snprintf(c->close_why, sizeof(c->close_why), "%s", why);
}

static void env_conn_pause(void *ctx, uint64_t conn, bool paused)
{
    struct member *m = ctx;
    struct cluster_client *c = client_find(m->cl, conn);
    if (c->paused == paused) {
        broken("paused twice");
    }
    c->paused = paused;
}

static void deliver_later(struct member *m, raft_id peer, struct coord_buf *whole)
{
    struct cluster *cl = m->cl;
    uint64_t at = cl->now + cl->o.net_ns;
    cl->messages++;
    if (cl->cut[m->id][peer] || chance(cl, cl->o.loss_percent)) {
        coord_buf_unref(whole);
        return;
    }
    uint32_t copies = chance(cl, cl->o.duplicate_percent) ? 2 : 1;
    for (uint32_t i = 0; i < copies; i++) {
        struct world_event *e = event_new(member_of(cl, peer), EV_MESSAGE, at);
        if (chance(cl, cl->o.reorder_percent) || i > 0) {
            e->at += rnd(cl) % (10 * cl->o.net_ns + 1);
        }
        e->from = m->id;
        e->boot = 0; /* reaches whoever runs there then */
        /* Each receiver owns its frame alone, as from a socket. */
        e->buf = need(coord_buf_copy(whole->data, whole->len));
        event_add(cl, e);
    }
    coord_buf_unref(whole);
}

static void env_peer_send(void *ctx, raft_id peer, struct coord_buf *const *parts, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += parts[i]->len;
    }
    struct coord_buf *whole = need(coord_buf_create(bytes + 1));
    for (uint32_t i = 0; i < count; i++) {
        memcpy(whole->data + whole->len, parts[i]->data, parts[i]->len);
        whole->len += parts[i]->len;
    }
    deliver_later(ctx, peer, whole);
}

static void env_peer_send_chunk(void *ctx, raft_id peer, struct coord_buf *header,
                                const struct raft_msg *msg)
{
    struct member *m = ctx;
    for (int i = 0; i < SNAPSHOTS_KEPT; i++) {
        const struct raft_snapshot *s = &m->disk.snapshots[i];
        if (s->index != msg->index || s->term != msg->log_term || m->disk.states[i] == NULL) {
            continue;
        }
        const struct coord_buf *state = m->disk.states[i];
        if (msg->offset + msg->count > state->len) {
            broken("a chunk beyond the file");
        }
        struct coord_buf *whole = need(coord_buf_create((size_t)header->len + msg->count));
        memcpy(whole->data, header->data, header->len);
        memcpy(whole->data + header->len, state->data + msg->offset, msg->count);
        whole->len = header->len + msg->count;
        deliver_later(m, peer, whole);
        return;
    }
    broken("a chunk of a snapshot that is not here");
}

static void env_peer_cut(void *ctx, const raft_id *peers, uint32_t count)
{
    struct member *m = ctx;
    m->cut_asked = count;
    for (uint32_t i = 0; i < count; i++) {
        if (peers[i] == m->id) {
            broken("cut from itself");
        }
    }
}

/* Disk work is done one after the other. */
static uint64_t disk_time(struct member *m)
{
    uint64_t start = m->disk_free_at > m->cl->now ? m->disk_free_at : m->cl->now;
    m->disk_free_at = start + m->cl->o.disk_ns;
    return m->disk_free_at;
}

static void env_persist(void *ctx, const struct raft_persist *p, const struct raft_entry *metas,
                        struct coord_buf *const *payloads)
{
    struct member *m = ctx;
    struct world_event *e = event_new(m, EV_PERSIST, disk_time(m));
    e->persist = *p;
    if (p->kind == RAFT_PERSIST_ENTRIES && p->count > 0) {
        e->metas = need(calloc(p->count, sizeof(e->metas[0])));
        e->payloads = need(calloc(p->count, sizeof(struct coord_buf *)));
        for (uint32_t i = 0; i < p->count; i++) {
            e->metas[i] = metas[i];
            e->payloads[i] = coord_buf_ref(payloads[i]);
        }
    }
    event_add(m->cl, e);
}

static void env_snapshot_write(void *ctx, enum node_snapshot_part part,
                               const struct raft_snapshot *meta, struct coord_buf *bytes)
{
    struct member *m = ctx;
    struct disk *d = &m->disk;
    if ((d->outgoing == NULL) != (part == NODE_SNAPSHOT_BEGIN)) {
        broken("parts of a snapshot out of order");
    }
    switch (part) {
    case NODE_SNAPSHOT_BEGIN:
        d->outgoing = need(coord_buf_create(64));
        break;
    case NODE_SNAPSHOT_CHUNK:
        if (coord_buf_append(&d->outgoing, bytes->data, bytes->len) != 0) {
            broken("out of memory");
        }
        event_add(m->cl, event_new(m, EV_WRITTEN, m->cl->now + m->cl->o.disk_ns));
        break;
    case NODE_SNAPSHOT_END: {
        struct world_event *e = event_new(m, EV_SAVED, m->cl->now + 5 * m->cl->o.disk_ns);
        e->meta = *meta;
        e->buf = d->outgoing;
        d->outgoing = NULL;
        event_add(m->cl, e);
        break;
    }
    case NODE_SNAPSHOT_ABORT:
        coord_buf_unref(d->outgoing);
        d->outgoing = NULL;
        break;
    }
}

static void env_snapshot_store(void *ctx, const struct raft_msg *msg, const uint8_t *bytes,
                               uint32_t len)
{
    struct member *m = ctx;
    struct disk *d = &m->disk;
    if (d->incoming == NULL || d->incoming_id != msg->snap_id || msg->offset == 0) {
        coord_buf_unref(d->incoming);
        d->incoming = need(coord_buf_create(64));
        d->incoming_id = msg->snap_id;
    }
    if (d->incoming->len != msg->offset) {
        broken("chunks out of order");
    }
    if (coord_buf_append(&d->incoming, bytes, len) != 0) {
        broken("out of memory");
    }
    struct world_event *e = event_new(m, EV_STORED, m->cl->now + m->cl->o.disk_ns);
    e->a = msg->snap_id;
    e->b = msg->offset + len;
    event_add(m->cl, e);
}

static void env_snapshot_load(void *ctx, const struct raft_snapshot *meta)
{
    struct member *m = ctx;
    struct world_event *e = event_new(m, EV_LOADED, m->cl->now + 5 * m->cl->o.disk_ns);
    e->meta = *meta;
    event_add(m->cl, e);
}

static void env_random(void *ctx, void *out, size_t len)
{
    struct member *m = ctx;
    uint8_t *p = out;
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(rnd(m->cl) >> 11);
    }
}

static void env_log(void *ctx, enum node_log_level level, const char *text)
{
    struct member *m = ctx;
    (void)level;
    if (getenv("NODE_CLUSTER_LOG") != NULL) {
        fprintf(stderr, "%8llu.%03llu ms  m%u  %s\n", (unsigned long long)(m->cl->now / CLUSTER_MS),
                (unsigned long long)(m->cl->now / 1000 % 1000), m->id, text);
    }
    if (m->lines_count < LOG_LINES_MAX) {
        m->lines[m->lines_count++] = need(strdup(text));
    }
}

/* --- delivery --------------------------------------------------------------------------------- */

static void deliver_persist(struct member *m, struct world_event *e)
{
    uint64_t seq = e->persist.io_seq;
    if (m->stalled) {
        struct world_event **p = &m->held;
        while (*p != NULL) {
            p = &(*p)->next;
        }
        e->next = NULL;
        *p = e;
        return;
    }
    disk_write(&m->disk, e);
    event_free(e);
    node_io_done(m->node, seq, m->cl->now);
}

static void deliver_loaded(struct member *m, struct world_event *e)
{
    struct disk *d = &m->disk;
    int error = 0;
    if (d->incoming == NULL || d->incoming->len != e->meta.bytes) {
        error = COORD_EPROTO;
    } else {
        disk_keep_snapshot(d, &e->meta, d->incoming);
    }
    node_snapshot_loaded(m->node, &e->meta, error == 0 ? d->states[0] : NULL, error, m->cl->now);
    event_free(e);
}

static void deliver(struct cluster *cl, struct world_event *e)
{
    struct member *m = member_of(cl, e->to);
    if (m->node == NULL || (e->boot != 0 && e->boot != m->boot)) {
        event_free(e);
        return;
    }
    if (m->paused_until > cl->now) {
        e->at = m->paused_until;
        event_add(cl, e);
        return;
    }
    m->dirty = true;
    switch (e->kind) {
    case EV_MESSAGE:
        if (!cl->cut[e->from][e->to]) {
            node_peer_frame(m->node, e->from, coord_buf_ref(e->buf), cl->now);
        }
        break;
    case EV_PERSIST:
        deliver_persist(m, e);
        return;
    case EV_WRITTEN:
        node_snapshot_written(m->node, 0, cl->now);
        break;
    case EV_SAVED:
        e->meta.bytes = e->buf->len;
        disk_keep_snapshot(&m->disk, &e->meta, e->buf);
        node_snapshot_saved(m->node, &e->meta, 0, cl->now);
        break;
    case EV_STORED:
        node_snapshot_stored(m->node, e->a, e->b, cl->now);
        break;
    case EV_LOADED:
        deliver_loaded(m, e);
        return;
    }
    event_free(e);
}

static uint64_t next_time(const struct cluster *cl)
{
    uint64_t at = cl->events != NULL ? cl->events->at : UINT64_MAX;
    for (uint32_t i = 0; i < cl->o.members; i++) {
        const struct member *m = &cl->members[i];
        if (m->node == NULL) {
            continue;
        }
        uint64_t due = m->dirty ? cl->now : node_deadline(m->node);
        if (due < m->paused_until) {
            due = m->paused_until;
        }
        at = due < at ? due : at;
    }
    return at < cl->now ? cl->now : at;
}

static void run_member(struct cluster *cl, struct member *m)
{
    bool more = true;
    uint32_t rounds = 0;
    m->dirty = false;
    while (more) {
        m->runs++;
        node_run(m->node, cl->now, m->wall_ms + cl->now / CLUSTER_MS, &more);
        if (++rounds > 100000) {
            broken("node_run never comes to an end");
        }
    }
    char why[256];
    if (raft_check(node_raft(m->node), why, sizeof(why)) != 0) {
        broken(why);
    }
}

/* Everything due at the next moment, at most `until`. Return: false when nothing is. */
static bool step(struct cluster *cl, uint64_t until)
{
    uint64_t at = next_time(cl);
    if (at > until) {
        cl->now = until;
        return false;
    }
    cl->now = at;
    while (cl->events != NULL && cl->events->at <= cl->now) {
        struct world_event *e = cl->events;
        cl->events = e->next;
        deliver(cl, e);
    }
    for (uint32_t i = 0; i < cl->o.members; i++) {
        struct member *m = &cl->members[i];
        if (m->node != NULL && m->paused_until <= cl->now &&
            (m->dirty || node_deadline(m->node) <= cl->now)) {
            run_member(cl, m);
        }
    }
    return true;
}

uint64_t cluster_now(const struct cluster *cl)
{
    return cl->now;
}

void cluster_run(struct cluster *cl, uint64_t ns)
{
    uint64_t until = cl->now + ns;
    while (step(cl, until)) {
    }
}

bool cluster_run_until(struct cluster *cl, bool (*ready)(void *arg), void *arg, uint64_t ns)
{
    uint64_t until = cl->now + ns;
    while (!ready(arg)) {
        if (!step(cl, until)) {
            return ready(arg);
        }
    }
    return true;
}

/* --- members ---------------------------------------------------------------------------------- */

void cluster_options_init(struct cluster_options *o, uint32_t members)
{
    memset(o, 0, sizeof(*o));
    o->members = members;
    o->net_ns = CLUSTER_MS;
    o->disk_ns = CLUSTER_MS / 5;
    o->seed = 1;
    node_options_init(&o->node);
    o->node.raft.log_slots = 4096;
}

static void fill_env(struct member *m, struct node_env *env)
{
    *env = (struct node_env){.ctx = m,
                             .conn_send = env_conn_send,
                             .conn_close = env_conn_close,
                             .conn_pause = env_conn_pause,
                             .peer_send = env_peer_send,
                             .peer_send_chunk = env_peer_send_chunk,
                             .peer_cut = env_peer_cut,
                             .persist = env_persist,
                             .snapshot_write = env_snapshot_write,
                             .snapshot_store = env_snapshot_store,
                             .snapshot_load = env_snapshot_load,
                             .random = env_random,
                             .log = env_log};
}

static void fill_options(struct member *m, struct node_options *o)
{
    *o = m->cl->o.node;
    o->raft.id = m->id;
    o->raft.rng_seed = rnd(m->cl);
    o->cluster = "test";
    o->members_count = m->cl->o.members;
    for (uint32_t i = 0; i < m->cl->o.members; i++) {
        struct node_member *t = &o->members[i];
        t->id = i + 1;
        (void)snprintf(t->peer_address, sizeof(t->peer_address), "127.0.0.1:%u", 7411 + 10 * i);
        (void)snprintf(t->client_address, sizeof(t->client_address), "127.0.0.1:%u", 7410 + 10 * i);
    }
}

static void fill_boot(struct member *m, struct node_boot *b)
{
    struct disk *d = &m->disk;
    memset(b, 0, sizeof(*b));
    b->term = d->term;
    b->vote = d->vote;
    b->commit = d->commit;
    b->snapshot = d->snapshots[0];
    b->state = d->states[0];
    if (d->states[0] == NULL) {
        b->snapshot.config.count = m->cl->o.members;
        for (uint32_t i = 0; i < m->cl->o.members; i++) {
            b->snapshot.config.members[i] = (struct raft_member){i + 1, RAFT_VOTER};
        }
    }
    b->first = d->first;
    b->count = d->count;
}

static void tell_links(struct cluster *cl, struct member *m, bool up)
{
    for (uint32_t i = 0; i < cl->o.members; i++) {
        struct member *p = &cl->members[i];
        if (p == m || p->node == NULL || (up && (cl->cut[m->id][p->id] || cl->cut[p->id][m->id]))) {
            continue;
        }
        node_peer_link(p->node, m->id, up, cl->now);
        p->dirty = true;
        if (up) {
            node_peer_link(m->node, p->id, true, cl->now);
        }
    }
}

int cluster_boot(struct cluster *cl, raft_id id)
{
    struct member *m = member_of(cl, id);
    struct node_options o;
    struct node_env env;
    struct node_boot b;
    char why[256] = "";
    fill_options(m, &o);
    fill_env(m, &env);
    fill_boot(m, &b);
    struct raft_entry *metas = need(calloc(b.count + 1, sizeof(metas[0])));
    struct coord_buf **payloads = need(calloc(b.count + 1, sizeof(payloads[0])));
    for (uint32_t i = 0; i < b.count; i++) {
        metas[i] = m->disk.entries[i].meta;
        payloads[i] = m->disk.entries[i].payload;
    }
    b.metas = metas;
    b.payloads = payloads;
    m->boot++;
    m->cut_asked = UINT32_MAX;
    m->disk_free_at = 0;
    m->stalled = false;
    m->paused_until = 0;
    int rv = node_create(&o, &env, &b, cl->now, m->wall_ms + cl->now / CLUSTER_MS, &m->node, why,
                         sizeof(why));
    free(metas);
    free(payloads);
    if (rv != 0) {
        fprintf(stderr, "node_cluster: node_create: %s\n", why);
        m->node = NULL;
        return rv;
    }
    m->dirty = true;
    tell_links(cl, m, true);
    return 0;
}

static void release_held(struct cluster *cl, struct member *m, bool drop);

void cluster_kill(struct cluster *cl, raft_id id)
{
    struct member *m = member_of(cl, id);
    for (uint32_t i = 0; i < cl->clients_count; i++) {
        struct cluster_client *c = cl->clients[i];
        if (c->member == id && c->open) {
            c->open = false;
            (void)snprintf(c->close_why, sizeof(c->close_why), "killed");
        }
    }
    node_destroy(m->node);
    m->node = NULL;
    release_held(cl, m, true);
    coord_buf_unref(m->disk.outgoing);
    m->disk.outgoing = NULL;
    coord_buf_unref(m->disk.incoming);
    m->disk.incoming = NULL;
    tell_links(cl, m, false);
}

struct cluster *cluster_create(const struct cluster_options *o)
{
    struct cluster *cl = need(calloc(1, sizeof(*cl)));
    cl->o = *o;
    cl->rng = o->seed;
    cl->now = 1000 * CLUSTER_S;
    cl->next_conn = 1;
    for (uint32_t i = 0; i < o->members; i++) {
        cl->members[i].cl = cl;
        cl->members[i].id = i + 1;
        cl->members[i].wall_ms = WALL_MS;
        cl->members[i].disk.first = 1;
    }
    for (uint32_t i = 0; i < o->members; i++) {
        if (cluster_boot(cl, i + 1) != 0) {
            broken("a fresh member does not start");
        }
    }
    return cl;
}

struct cluster_client *cluster_client_new(struct cluster *cl, raft_id member)
{
    if (cl->clients_count == CLUSTER_CLIENTS_MAX) {
        broken("too many clients");
    }
    struct cluster_client *c = need(calloc(1, sizeof(*c)));
    c->cl = cl;
    c->conn = cl->next_conn++;
    c->member = member;
    c->open = true;
    cl->clients[cl->clients_count++] = c;
    return c;
}

void cluster_touch(struct cluster *cl, raft_id member)
{
    member_of(cl, member)->dirty = true;
}

static void client_free(struct cluster_client *c)
{
    while (c->first != NULL) {
        struct cluster_frame *f = c->first;
        c->first = f->next;
        coord_buf_unref(f->body);
        free(f);
    }
    free(c);
}

void cluster_destroy(struct cluster *cl)
{
    for (uint32_t i = 0; i < cl->o.members; i++) {
        struct member *m = &cl->members[i];
        node_destroy(m->node);
        release_held(cl, m, true);
        disk_free(&m->disk);
        for (uint32_t k = 0; k < m->lines_count; k++) {
            free(m->lines[k]);
        }
    }
    while (cl->events != NULL) {
        struct world_event *e = cl->events;
        cl->events = e->next;
        event_free(e);
    }
    for (uint32_t i = 0; i < cl->clients_count; i++) {
        client_free(cl->clients[i]);
    }
    free(cl);
}

struct node *cluster_node(struct cluster *cl, raft_id id)
{
    return member_of(cl, id)->node;
}

raft_id cluster_leader(struct cluster *cl)
{
    raft_id best = 0;
    raft_term term = 0;
    for (uint32_t i = 0; i < cl->o.members; i++) {
        struct raft_status st;
        if (cl->members[i].node == NULL) {
            continue;
        }
        raft_status(node_raft(cl->members[i].node), &st);
        if (st.role == RAFT_LEADER && st.leader_ready && st.term > term) {
            best = st.id;
            term = st.term;
        }
    }
    return best;
}

static bool has_leader(void *arg)
{
    return cluster_leader(arg) != 0;
}

raft_id cluster_wait_leader(struct cluster *cl, uint64_t ns)
{
    return cluster_run_until(cl, has_leader, cl, ns) ? cluster_leader(cl) : 0;
}

raft_id cluster_other(struct cluster *cl, raft_id id)
{
    for (uint32_t i = 0; i < cl->o.members; i++) {
        if (cl->members[i].id != id && cl->members[i].node != NULL) {
            return cl->members[i].id;
        }
    }
    return 0;
}

static bool all_equal(void *arg)
{
    struct cluster *cl = arg;
    uint64_t revision = UINT64_MAX;
    uint64_t digest = 0;
    for (uint32_t i = 0; i < cl->o.members; i++) {
        struct machine_stats s;
        struct raft_status st;
        if (cl->members[i].node == NULL) {
            continue;
        }
        const struct machine *mc = node_machine(cl->members[i].node);
        machine_stats(mc, &s);
        raft_status(node_raft(cl->members[i].node), &st);
        if (s.revision != st.last || (revision != UINT64_MAX && s.revision != revision)) {
            return false;
        }
        if (revision != UINT64_MAX && machine_digest(mc) != digest) {
            return false;
        }
        revision = s.revision;
        digest = machine_digest(mc);
    }
    return true;
}

bool cluster_wait_equal(struct cluster *cl, uint64_t ns)
{
    return cluster_run_until(cl, all_equal, cl, ns);
}

void cluster_link(struct cluster *cl, raft_id a, raft_id b, bool up, bool told)
{
    cl->cut[a][b] = !up;
    cl->cut[b][a] = !up;
    if (!told) {
        return;
    }
    struct member *x = member_of(cl, a);
    struct member *y = member_of(cl, b);
    if (x->node != NULL) {
        node_peer_link(x->node, b, up && y->node != NULL, cl->now);
        x->dirty = true;
    }
    if (y->node != NULL) {
        node_peer_link(y->node, a, up && x->node != NULL, cl->now);
        y->dirty = true;
    }
}

void cluster_cut_one_way(struct cluster *cl, raft_id a, raft_id b)
{
    cl->cut[a][b] = true;
}

void cluster_isolate(struct cluster *cl, raft_id id, bool told)
{
    for (uint32_t i = 1; i <= cl->o.members; i++) {
        if (i != id) {
            cluster_link(cl, id, i, false, told);
        }
    }
}

void cluster_heal(struct cluster *cl)
{
    for (uint32_t a = 1; a <= cl->o.members; a++) {
        for (uint32_t b = a + 1; b <= cl->o.members; b++) {
            if (cl->cut[a][b] || cl->cut[b][a]) {
                cluster_link(cl, a, b, true, true);
            }
        }
    }
}

void cluster_pause(struct cluster *cl, raft_id id, uint64_t ns)
{
    member_of(cl, id)->paused_until = cl->now + ns;
}

/* What waited is done next, in its order; drop: it is lost. */
static void release_held(struct cluster *cl, struct member *m, bool drop)
{
    while (m->held != NULL) {
        struct world_event *e = m->held;
        m->held = e->next;
        e->at = 0; /* before everything else, and in order */
        if (drop) {
            event_free(e);
        } else {
            event_add(cl, e);
        }
    }
}

void cluster_clock(struct cluster *cl, raft_id id, int64_t ahead_ms)
{
    member_of(cl, id)->wall_ms = (uint64_t)((int64_t)WALL_MS + ahead_ms);
}

uint64_t cluster_runs(struct cluster *cl, raft_id id)
{
    return member_of(cl, id)->runs;
}

void cluster_stall_disk(struct cluster *cl, raft_id id, bool stalled)
{
    struct member *m = member_of(cl, id);
    m->stalled = stalled;
    if (!stalled) {
        release_held(cl, m, false);
    }
}

uint32_t cluster_log_count(struct cluster *cl, raft_id id, const char *text)
{
    struct member *m = member_of(cl, id);
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->lines_count; i++) {
        count += strstr(m->lines[i], text) != NULL;
    }
    return count;
}

uint64_t cluster_messages(const struct cluster *cl)
{
    return cl->messages;
}

uint32_t cluster_partition_count(struct cluster *cl, raft_id id)
{
    return member_of(cl, id)->cut_asked;
}

uint32_t cluster_snapshots(struct cluster *cl, raft_id id)
{
    return member_of(cl, id)->disk.saved;
}
