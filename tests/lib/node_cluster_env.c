/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_cluster_env.c: what the nodes of an ensemble find around them: events to come, simulated disks, and
 * the env by which they reach disk, peers and clients. Time and members: node_cluster.c.
 * Threads: one.
 */
#include "tests/lib/node_cluster_internal.h"

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

void cluster__event_add(struct cluster *cl, struct world_event *e)
{
    struct world_event **p = &cl->events;
    while (*p != NULL && (*p)->at <= e->at) {
        p = &(*p)->next;
    }
    e->next = *p;
    *p = e;
}

void cluster__event_free(struct world_event *e)
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

void cluster__disk_write(struct disk *d, const struct world_event *e)
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

void cluster__disk_keep_snapshot(struct disk *d, const struct raft_snapshot *meta,
                                 struct coord_buf *state)
{
    coord_buf_unref(d->states[1]);
    d->snapshots[1] = d->snapshots[0];
    d->states[1] = d->states[0];
    d->snapshots[0] = *meta;
    d->states[0] = coord_buf_ref(state);
    d->saved++;
}

void cluster__disk_free(struct disk *d)
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
    m->sends++;
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

static void env_conn_doze(void *ctx, uint64_t conn, uint64_t ns)
{
    struct member *m = ctx;
    struct cluster_client *c = client_find(m->cl, conn);
    c->dozes++;
    c->doze_ns = ns;
}

static bool env_conn_full(void *ctx, uint64_t conn)
{
    struct member *m = ctx;
    return client_find(m->cl, conn)->stalled;
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
        cluster__event_add(cl, e);
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

/* When a part of a snapshot is written that takes so many times the time of one. */
static uint64_t snapshot_time(struct member *m, uint64_t times)
{
    if (m->cl->o.snapshot_ns == 0) {
        return m->cl->now + times * m->cl->o.disk_ns;
    }
    uint64_t start = m->snapshot_free_at > m->cl->now ? m->snapshot_free_at : m->cl->now;
    m->snapshot_free_at = start + times * m->cl->o.snapshot_ns;
    return m->snapshot_free_at;
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
    cluster__event_add(m->cl, e);
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
        cluster__event_add(m->cl, event_new(m, EV_WRITTEN, snapshot_time(m, 1)));
        break;
    case NODE_SNAPSHOT_END: {
        struct world_event *e = event_new(m, EV_SAVED, snapshot_time(m, 5));
        e->meta = *meta;
        e->buf = d->outgoing;
        d->outgoing = NULL;
        cluster__event_add(m->cl, e);
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
    cluster__event_add(m->cl, e);
}

static void env_snapshot_load(void *ctx, const struct raft_snapshot *meta)
{
    struct member *m = ctx;
    struct world_event *e = event_new(m, EV_LOADED, m->cl->now + 5 * m->cl->o.disk_ns);
    e->meta = *meta;
    cluster__event_add(m->cl, e);
}

static void env_log_read(void *ctx, raft_index first, uint32_t count, struct coord_buf **bufs)
{
    struct member *m = ctx;
    struct world_event *e = event_new(m, EV_READ, disk_time(m));
    e->a = first;
    e->persist.count = count;
    e->payloads = bufs;
    cluster__event_add(m->cl, e);
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

void cluster__fill_env(struct member *m, struct node_env *env)
{
    *env = (struct node_env){.ctx = m,
                             .conn_send = env_conn_send,
                             .conn_close = env_conn_close,
                             .conn_pause = env_conn_pause,
                             .conn_doze = env_conn_doze,
                             .conn_full = env_conn_full,
                             .conn_behind = env_conn_full,
                             .peer_send = env_peer_send,
                             .peer_send_chunk = env_peer_send_chunk,
                             .peer_cut = env_peer_cut,
                             .persist = env_persist,
                             .snapshot_write = env_snapshot_write,
                             .snapshot_store = env_snapshot_store,
                             .snapshot_load = env_snapshot_load,
                             .log_read = m->cl->o.no_log_read ? NULL : env_log_read,
                             .random = env_random,
                             .log = env_log};
}
