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

struct coord_bytes bytes_of(const char *s)
{
    return (struct coord_bytes){(const uint8_t *)s, s == NULL ? 0 : (uint32_t)strlen(s)};
}

/* --- delivery --------------------------------------------------------------------------------- */

/* A stalled disk completes nothing; what it has to do waits. Return: does this? */
static bool hold(struct member *m, struct world_event *e)
{
    struct world_event **p = &m->held;
    if (!m->stalled) {
        return false;
    }
    while (*p != NULL) {
        p = &(*p)->next;
    }
    e->next = NULL;
    *p = e;
    return true;
}

/* Entries that are asked for again; some that the log has lost meanwhile are an error. */
static void deliver_read(struct member *m, struct world_event *e)
{
    const struct disk *d = &m->disk;
    int error = 0;
    if (hold(m, e)) {
        return;
    }
    for (uint32_t i = 0; i < e->persist.count && error == 0; i++) {
        struct coord_buf *to = e->payloads[i];
        uint64_t at = e->a + i - d->first;
        if (e->a + i < d->first || at >= d->count) {
            error = RAFT_ENOSPACE; /* any */
        } else if (to != NULL) {
            const struct coord_buf *from = d->entries[at].payload;
            if (from == NULL || from->len != to->cap) {
                broken("an entry on disk is not what was asked for");
            }
            memcpy(to->data, from->data, from->len);
            to->len = from->len;
        }
    }
    m->reads++;
    struct coord_buf **bufs = e->payloads;
    e->payloads = NULL;
    cluster__event_free(e);
    node_log_read(m->node, bufs, error, cluster__member_now(m));
}

static void deliver_persist(struct member *m, struct world_event *e)
{
    uint64_t seq = e->persist.io_seq;
    if (hold(m, e)) {
        return;
    }
    cluster__disk_write(&m->disk, e);
    cluster__event_free(e);
    node_io_done(m->node, seq, cluster__member_now(m));
}

/* What a file holds, as the worker reads it. */
static struct machine_loader *state_of(const struct coord_buf *file)
{
    struct machine_loader *state = NULL;
    char why[128] = "";
    if (machine_loader_read(file->data, file->len, &state, why, sizeof(why)) != 0) {
        broken(why);
    }
    return state;
}

static void deliver_loaded(struct member *m, struct world_event *e)
{
    struct disk *d = &m->disk;
    int error = 0;
    if (d->incoming == NULL || d->incoming->len != e->meta.bytes) {
        error = COORD_EPROTO;
    } else {
        cluster__disk_keep_snapshot(d, &e->meta, d->incoming);
    }
    node_snapshot_loaded(m->node, &e->meta, error == 0 ? state_of(d->states[0]) : NULL, error,
                         cluster__member_now(m));
    cluster__event_free(e);
}

static void deliver(struct cluster *cl, struct world_event *e)
{
    struct member *m = member_of(cl, e->to);
    if (m->node == NULL || (e->boot != 0 && e->boot != m->boot)) {
        cluster__event_free(e);
        return;
    }
    if (m->paused_until > cl->now) {
        e->at = m->paused_until;
        cluster__event_add(cl, e);
        return;
    }
    m->dirty = true;
    switch (e->kind) {
    case EV_MESSAGE:
        if (!cl->cut[e->from][e->to]) {
            node_peer_frame(m->node, e->from, coord_buf_ref(e->buf), cluster__member_now(m));
        }
        break;
    case EV_PERSIST:
        deliver_persist(m, e);
        return;
    case EV_WRITTEN:
        node_snapshot_written(m->node, 0, cluster__member_now(m));
        break;
    case EV_SAVED:
        e->meta.bytes = e->buf->len;
        cluster__disk_keep_snapshot(&m->disk, &e->meta, e->buf);
        node_snapshot_saved(m->node, &e->meta, 0, cluster__member_now(m));
        break;
    case EV_STORED:
        node_snapshot_stored(m->node, e->a, e->b, cluster__member_now(m));
        break;
    case EV_LOADED:
        deliver_loaded(m, e);
        return;
    case EV_READ:
        deliver_read(m, e);
        return;
    }
    cluster__event_free(e);
}

static uint64_t next_time(const struct cluster *cl)
{
    uint64_t at = cl->events != NULL ? cl->events->at : UINT64_MAX;
    for (uint32_t i = 0; i < cl->o.members; i++) {
        const struct member *m = &cl->members[i];
        if (m->node == NULL) {
            continue;
        }
        uint64_t due = m->dirty ? cl->now : cluster__member_due(m);
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
        m->sends = 0;
        node_run(m->node, cluster__member_now(m), m->wall_ms + cl->now / CLUSTER_MS, &more);
        m->sends_most = m->sends > m->sends_most ? m->sends : m->sends_most;
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
            (m->dirty || cluster__member_due(m) <= cl->now)) {
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
    if (m->cl->o.tune != NULL) {
        m->cl->o.tune(m->id, o);
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
    b->state = d->states[0] == NULL ? NULL : state_of(d->states[0]);
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
        node_peer_link(p->node, m->id, up, cluster__member_now(p));
        p->dirty = true;
        if (up) {
            node_peer_link(m->node, p->id, true, cluster__member_now(m));
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
    cluster__fill_env(m, &env);
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
    m->snapshot_free_at = 0;
    m->stalled = false;
    m->paused_until = 0;
    int rv = node_create(&o, &env, &b, cluster__member_now(m), m->wall_ms + cl->now / CLUSTER_MS,
                         &m->node, why, sizeof(why));
    free(metas);
    free(payloads);
    machine_loader_destroy(b.state);
    if (rv != 0) {
        fprintf(stderr, "node_cluster: node_create: %s\n", why);
        m->node = NULL;
        return rv;
    }
    m->dirty = true;
    tell_links(cl, m, true);
    return 0;
}

void cluster_slow_clock(struct cluster *cl, raft_id id, uint32_t percent)
{
    struct member *m = member_of(cl, id);
    uint64_t now = cluster__member_now(m);
    m->slow_lost = cl->now - now;
    m->slow_since = cl->now;
    m->slow_percent = percent;
}

uint64_t cluster_member_now(struct cluster *cl, raft_id id)
{
    return cluster__member_now(member_of(cl, id));
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
        cluster__disk_free(&m->disk);
        for (uint32_t k = 0; k < m->lines_count; k++) {
            free(m->lines[k]);
        }
    }
    while (cl->events != NULL) {
        struct world_event *e = cl->events;
        cl->events = e->next;
        cluster__event_free(e);
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
        node_peer_link(x->node, b, up && y->node != NULL, cluster__member_now(x));
        x->dirty = true;
    }
    if (y->node != NULL) {
        node_peer_link(y->node, a, up && x->node != NULL, cluster__member_now(y));
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
            cluster__event_free(e);
        } else {
            cluster__event_add(cl, e);
        }
    }
}

void cluster_clock(struct cluster *cl, raft_id id, int64_t ahead_ms)
{
    member_of(cl, id)->wall_ms = (uint64_t)((int64_t)WALL_MS + ahead_ms);
}

void cluster_snapshot_time(struct cluster *cl, uint64_t ns)
{
    cl->o.snapshot_ns = ns;
}

uint64_t cluster_runs(struct cluster *cl, raft_id id)
{
    return member_of(cl, id)->runs;
}

uint32_t cluster_sends_most(struct cluster *cl, raft_id id)
{
    return member_of(cl, id)->sends_most;
}

void cluster_stall_disk(struct cluster *cl, raft_id id, bool stalled)
{
    struct member *m = member_of(cl, id);
    m->stalled = stalled;
    if (!stalled) {
        release_held(cl, m, false);
    }
}

static uint32_t running(const struct cluster *cl)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cl->o.members; i++) {
        count += cl->members[i].node != NULL;
    }
    return count;
}

void cluster_disturb(struct cluster *cl, raft_id id, uint64_t draw)
{
    uint64_t more = draw / 6;
    switch (draw % 6) {
    case 0:
    case 1:
        if (running(cl) > 1) {
            cluster_kill(cl, id);
        }
        break;
    case 2:
        cluster_isolate(cl, id, more % 2 == 0);
        break;
    case 3:
        cluster_cut_one_way(cl, id, id % cl->o.members + 1);
        break;
    case 4:
        cluster_pause(cl, id, (100 + more % 2500) * CLUSTER_MS);
        break;
    default:
        cluster_stall_disk(cl, id, true);
        break;
    }
}

void cluster_mend(struct cluster *cl)
{
    for (raft_id id = 1; id <= cl->o.members; id++) {
        if (cluster_node(cl, id) == NULL && cluster_boot(cl, id) != 0) {
            abort();
        }
        cluster_stall_disk(cl, id, false);
    }
    cluster_heal(cl);
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

uint32_t cluster_log_reads(struct cluster *cl, raft_id id)
{
    return member_of(cl, id)->reads;
}
