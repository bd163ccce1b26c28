/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.c: the process around one node: its env, its loop and clock, its beginning and its ends.
 *
 * A turn is that of server/shell/loop.c: what came is handed over, node_run decides, the log's batch is given to
 * the disk. Threads: one.
 */
#include "tests/service/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/shell/conf.h"
#include "tests/sim/util.h"

#define ROUNDS_MAX 100000

bool member_up(const struct member *m)
{
    return m->node != NULL;
}

uint64_t member_now(const struct member *m)
{
    return clk_local(&m->clk, m->w->now);
}

static uint64_t wall_ms(const struct member *m)
{
    return (uint64_t)((int64_t)(1700000000000 + m->w->now / SVC_MS) + m->wall_ms);
}

bool member_leads(const struct member *m)
{
    struct raft_status st;
    if (m->node == NULL) {
        return false;
    }
    raft_status(node_raft(m->node), &st);
    return st.role == RAFT_LEADER && st.leader_ready;
}

raft_index member_last(const struct member *m)
{
    struct raft_status st;
    raft_status(node_raft(m->node), &st);
    return st.last;
}

bool member_log_reaches(const struct world *w, raft_index last)
{
    struct raft_status st = {0};
    const struct member *m = &w->members[w->leader];
    if (w->leader != 0 && m->node != NULL) {
        raft_status(node_raft(m->node), &st);
    }
    return st.first <= last + 1;
}

/* --- the env ------------------------------------------------------------------------------------- */

static void env_conn_send(void *ctx, uint64_t conn, struct coord_buf *frames)
{
    stream_member_send(ctx, conn, frames);
}

static void env_conn_close(void *ctx, uint64_t conn, const char *why)
{
    stream_member_close(ctx, conn, why);
}

static void env_conn_pause(void *ctx, uint64_t conn, bool paused)
{
    stream_member_pause(ctx, conn, paused);
}

static bool env_conn_full(void *ctx, uint64_t conn)
{
    return stream_member_full(ctx, conn);
}

static void env_peer_send(void *ctx, raft_id peer, struct coord_buf *const *parts, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += parts[i]->len;
    }
    struct coord_buf *whole = coord_buf_create(bytes + 1);
    if (whole == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < count; i++) {
        memcpy(whole->data + whole->len, parts[i]->data, parts[i]->len);
        whole->len += parts[i]->len;
    }
    peers_send(ctx, peer, whole);
}

static void env_peer_send_chunk(void *ctx, raft_id peer, struct coord_buf *header,
                                const struct raft_msg *msg)
{
    struct media_job job = {
        .kind = JOB_CHUNK, .peer = peer, .msg = *msg, .header = coord_buf_ref(header)};
    media_job_put(ctx, &job);
}

static void env_peer_cut(void *ctx, const raft_id *peers, uint32_t count)
{
    struct member *m = ctx;
    (void)peers;
    world_fail(m->w, "member %u cuts links to %u peers although it is no lab", m->id, count);
}

static void env_persist(void *ctx, const struct raft_persist *p, const struct raft_entry *metas,
                        struct coord_buf *const *payloads)
{
    media_persist(ctx, p, metas, payloads);
}

static void env_snapshot_write(void *ctx, enum node_snapshot_part part,
                               const struct raft_snapshot *meta, struct coord_buf *bytes)
{
    static const enum media_job_kind kinds[] = {[NODE_SNAPSHOT_BEGIN] = JOB_BEGIN,
                                                [NODE_SNAPSHOT_CHUNK] = JOB_WRITE,
                                                [NODE_SNAPSHOT_END] = JOB_END,
                                                [NODE_SNAPSHOT_ABORT] = JOB_ABORT};
    struct media_job job = {.kind = kinds[part], .meta = *meta, .buf = coord_buf_ref(bytes)};
    media_job_put(ctx, &job);
}

static void env_snapshot_store(void *ctx, const struct raft_msg *msg, const uint8_t *bytes,
                               uint32_t len)
{
    struct media_job job = {.kind = JOB_STORE, .msg = *msg, .buf = coord_buf_copy(bytes, len)};
    if (job.buf == NULL) {
        abort();
    }
    media_job_put(ctx, &job);
}

static void env_snapshot_load(void *ctx, const struct raft_snapshot *meta)
{
    struct media_job job = {.kind = JOB_LOAD, .meta = *meta};
    media_job_put(ctx, &job);
}

static void env_log_read(void *ctx, raft_index first, uint32_t count, struct coord_buf **bufs)
{
    media_read(ctx, first, count, bufs);
}

static bool env_conn_behind(void *ctx, uint64_t conn)
{
    return stream_member_behind(ctx, conn);
}

static void env_frame_limit(void *ctx, uint32_t bytes)
{
    stream_member_limit(ctx, bytes);
}

static void env_random(void *ctx, void *out, size_t len)
{
    struct member *m = ctx;
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)rng_next(&m->rng);
    }
}

static void env_log(void *ctx, enum node_log_level level, const char *text)
{
    struct member *m = ctx;
    if (level <= NODE_LOG_INFO) {
        world_trace(m->w, TR_LOG, 'n', m->id, 0, 0, 0, 0, text);
    }
    if (strstr(text, "snapshot installed") != NULL) {
        MARK(m->w, SNAPSHOT_INSTALLED);
        if (m->conns > 0) {
            MARK(m->w, INSTALLED_WITH_CLIENTS);
        }
    }
}

static void fill_env(struct member *m, struct node_env *env)
{
    *env = (struct node_env){.ctx = m,
                             .conn_send = env_conn_send,
                             .conn_close = env_conn_close,
                             .conn_pause = env_conn_pause,
                             .conn_full = env_conn_full,
                             .peer_send = env_peer_send,
                             .peer_send_chunk = env_peer_send_chunk,
                             .peer_cut = env_peer_cut,
                             .persist = env_persist,
                             .snapshot_write = env_snapshot_write,
                             .snapshot_store = env_snapshot_store,
                             .snapshot_load = env_snapshot_load,
                             .log_read = env_log_read,
                             .conn_behind = env_conn_behind,
                             .frame_limit = env_frame_limit,
                             .random = env_random,
                             .log = env_log};
}

/* --- beginning and end --------------------------------------------------------------------------- */

static struct conf *make_conf(const struct world *w, raft_id id)
{
    struct conf *c = sim_alloc(sizeof(*c));
    conf_init(c);
    c->id = id;
    (void)snprintf(c->data_dir, sizeof(c->data_dir), "/nonexistent/sim-%u", id);
    (void)snprintf(c->cluster, sizeof(c->cluster), "%s", SVC_CLUSTER_NAME);
    c->members_count = w->k.members;
    for (uint32_t i = 0; i < w->k.members; i++) {
        struct conf_member *t = &c->members[i];
        t->id = i + 1;
        (void)snprintf(t->peer.host, sizeof(t->peer.host), "127.0.0.1");
        (void)snprintf(t->client.host, sizeof(t->client.host), "127.0.0.1");
        t->peer.port = (uint16_t)(7500 + i);
        t->client.port = (uint16_t)(7411 + i);
    }
    return c;
}

void member_init(struct world *w, raft_id id)
{
    struct member *m = &w->members[id];
    m->w = w;
    m->id = id;
    rng_init(&m->rng, w->seed, 100 + id);
    m->clk = (struct clk){.base = rng_below(&m->rng, 1000000) * SVC_SEC, .since = w->now};
    if (w->k.drift_ppm > 0) {
        m->clk.ppm = (int64_t)rng_below(&m->rng, 2 * w->k.drift_ppm + 1) - (int64_t)w->k.drift_ppm;
    }
    if (w->k.wild) {
        m->clk.ppm = m->clk.ppm < 0 ? -(int64_t)w->k.drift_ppm : (int64_t)w->k.drift_ppm;
    }
    m->wall_ms = (int64_t)rng_below(&m->rng, 2000000) - 1000000;
    media_init(&m->media, rng_next(&w->rng_disk));
    m->conf = make_conf(w, id);
}

void member_finish(struct member *m)
{
    if (m->node != NULL) {
        world_enter_member(m);
        node_destroy(m->node);
        m->node = NULL;
        world_leave();
    }
    media_close(m);
    world_leave();
    media_finish(&m->media);
    free(m->conf);
}

static void fill_options(struct member *m, struct node_options *o)
{
    *o = m->w->k.node;
    o->raft.id = m->id;
    o->raft.rng_seed = rng_next(&m->rng);
    o->cluster = SVC_CLUSTER_NAME;
    o->members_count = m->w->k.members;
    if (m->w->k.differ) { /* in force is what the leader's file says */
        o->machine.answers += m->id;
        o->machine.sessions += m->id;
        o->machine.txn_operations += m->id;
        o->machine.subtree_nodes += m->id;
        o->machine.list_entries += m->id;
    }
    for (uint32_t i = 0; i < o->members_count; i++) {
        struct node_member *t = &o->members[i];
        t->id = i + 1;
        conf_address_format(&m->conf->members[i].peer, t->peer_address, sizeof(t->peer_address));
        conf_address_format(&m->conf->members[i].client, t->client_address,
                            sizeof(t->client_address));
    }
}

static void boot_again(struct member *m)
{
    world_later(m->w, SVC_SEC, (struct ev){.kind = SE_BOOT, .node = (uint8_t)m->id});
}

static void links_begin(struct member *m)
{
    for (raft_id id = 1; id <= m->w->k.members; id++) {
        m->w->link_up[m->id][id] = false;
        if (id != m->id) {
            peers_update(m->w, m->id, id, m->w->members[id].node != NULL);
        }
    }
}

static void not_started(struct member *m, enum media_opened how, const char *why)
{
    world_trace(m->w, TR_LOG, 'n', m->id, how, 0, 0, 0, why);
    sim_disk_kill(m->media.disk);
    if (how == MEDIA_AGAIN) {
        boot_again(m);
    } else if (how == MEDIA_LOST) {
        m->out = true;
    } else {
        world_fail(m->w, "member %u does not start: %s", m->id, why);
    }
}

void member_boot(struct member *m)
{
    struct world *w = m->w;
    struct node_options o;
    struct node_env env;
    char why[BOOT_ERROR_BYTES] = "";
    if (m->node != NULL || m->away || m->out) {
        return;
    }
    fill_options(m, &o);
    fill_env(m, &env);
    m->boot++;
    m->paused_until = 0;
    m->tick_at = 0;
    m->run_due = false;
    m->leaving = false;
    m->stopped = false;
    m->frame_bytes = w->k.node.machine.frame_bytes;
    world_enter_member(m);
    enum media_opened opened = media_open(m, why, sizeof(why));
    if (opened != MEDIA_OPEN) {
        world_leave();
        not_started(m, opened, why);
        return;
    }
    const struct node_boot *b = &m->media.boot.node;
    world_trace(w, TR_BOOT, 'n', m->id, b->term, b->snapshot.index, b->first, b->count, NULL);
    if (b->state != NULL) {
        MARK(w, BOOT_FROM_SNAPSHOT);
    }
    JUDGE(w, oracle_member_state(w->oracle, m->id, b->state != NULL ? b->snapshot.index : 0, 0,
                                 w->now));
    int rv = node_create(&o, &env, b, member_now(m), wall_ms(m), &m->node, why, sizeof(why));
    if (rv == 0) {
        boot_release_entries(&m->media.boot);
        m->repairing = node_repairing(m->node);
    }
    world_leave();
    if (rv != 0) { /* from an older snapshot the log may be longer than this member is made for */
        media_close(m);
        world_leave();
        not_started(m, media_open_failed(m, why), why);
        return;
    }
    m->spoiled = false;
    m->beyond_log = !member_log_reaches(w, member_last(m));
    if (m->beyond_log) {
        MARK(w, AWAY_TOO_LONG);
    }
    links_begin(m);
    world_later(w, SVC_SEC, (struct ev){.kind = SE_SWEEP, .node = (uint8_t)m->id, .boot = m->boot});
    member_poke(m);
}

static void cut_in_write(struct member *m)
{
    struct media *d = &m->media;
    if (d->busy && d->work.count > 0) {
        sim_disk_stop_at(d->disk,
                         sim_disk_counts(d->disk)->changes + 1 + rng_below(&m->w->rng_disk, 3));
        (void)raft_wal_write(d->boot.wal, d->work.ops + d->work_at,
                             d->work.count - d->work_at); /* fails */
        MARK(m->w, CUT_IN_WRITE);
    }
}

void member_end(struct member *m, enum member_end how)
{
    struct world *w = m->w;
    if (m->node == NULL) {
        return;
    }
    world_trace(w, TR_END, 'n', m->id, how, 0, 0, 0, NULL);
    world_enter_member(m);
    node_destroy(m->node);
    m->node = NULL;
    if (how == END_POWER_IN_WRITE) {
        cut_in_write(m);
    }
    media_close(m);
    world_leave();
    if (how == END_POWER || how == END_POWER_IN_WRITE) {
        MARK(w, POWER_CUT);
        sim_disk_crash(m->media.disk, SIM_DISK_CRASH_RANDOM, rng_next(&w->rng_disk));
    } else {
        MARK(w, KILLED);
        sim_disk_kill(m->media.disk);
    }
    JUDGE(w, oracle_member_ended(w->oracle, m->id, w->now));
    stream_member_died(m, how == END_KILL || how == END_LEFT);
    for (raft_id id = 1; id <= w->k.members; id++) {
        if (id != m->id && (how == END_KILL || how == END_LEFT)) {
            peers_update(w, m->id, id, false);
        }
    }
    m->conns = 0;
}

/* --- the loop ------------------------------------------------------------------------------------ */

void member_poke(struct member *m)
{
    if (m->run_due || m->node == NULL) {
        return;
    }
    m->run_due = true;
    uint64_t wait = m->w->k.loop_ns == 0 ? 0 : rng_below(&m->rng, m->w->k.loop_ns);
    world_later(m->w, wait, (struct ev){.kind = SE_RUN, .node = (uint8_t)m->id, .boot = m->boot});
}

static void set_timer(struct member *m)
{
    uint64_t deadline = node_deadline(m->node);
    if (deadline == UINT64_MAX) {
        return;
    }
    uint64_t at = clk_world(&m->clk, deadline, m->w->now);
    if (m->tick_at != 0 && m->tick_at <= at) {
        return;
    }
    m->tick_at = at;
    m->tick_gen++;
    world_at(
        m->w, at,
        (struct ev){
            .kind = SE_RUN, .node = (uint8_t)m->id, .boot = m->boot, .a = 1, .b = m->tick_gen});
}

static void notice_leader(struct member *m)
{
    struct world *w = m->w;
    struct raft_status st;
    raft_status(node_raft(m->node), &st);
    if (st.role != RAFT_LEADER || st.term == m->led) {
        return;
    }
    m->led = st.term;
    if (st.term > w->leader_term) {
        if (w->leader != 0 && w->leader != m->id) {
            MARK(w, LEADER_CHANGED);
            if (member_leads(&w->members[w->leader])) {
                MARK(w, TWO_LEADERS);
                if (w->k.lease) {
                    MARK(w, LEASE_OVERTAKEN);
                }
            }
        }
        w->leader = m->id;
        w->leader_term = st.term;
    }
}

/* A member that has stopped tells its status until somebody restarts it. */
static void notice_stop(struct member *m)
{
    struct world *w = m->w;
    const char *why = NULL;
    if (m->stopped || !node_faulted(m->node, &why)) {
        return;
    }
    if (!m->media.failed) {
        world_fail(w, "member %u stops although its disk did not fail: %s", m->id, why);
        return;
    }
    m->stopped = true;
    MARK(w, WRITE_FAILED);
    if (m->conns > 0) {
        MARK(w, STOPPED_WITH_CLIENTS);
    }
    world_trace(w, TR_FAULT, 'n', m->id, 0, 0, 0, 0, why);
    world_later(w, rng_below(&w->rng_disk, 2 * SVC_SEC),
                (struct ev){.kind = SE_RESTART,
                            .node = (uint8_t)m->id,
                            .boot = m->boot,
                            .a = rng_below(&w->rng_disk, 2),
                            .b = rng_below(&w->rng_disk, SVC_SEC)});
}

/* A member whose log lost what it had acknowledged neither leads nor stands (R11). */
static void judge_repair(struct member *m)
{
    struct raft_status st;
    raft_status(node_raft(m->node), &st);
    if (st.repairing && st.role != RAFT_FOLLOWER && st.role != RAFT_FAULTED) {
        world_fail(m->w, "R11: member %u is under repair and in role %d", m->id, (int)st.role);
    }
}

static void turn(struct member *m)
{
    struct world *w = m->w;
    bool more = true;
    uint32_t rounds = 0;
    char why[256];
    world_enter_member(m);
    stream_member_pump(m);
    m->again = false;
    while (more && !w->failed) {
        node_run(m->node, member_now(m), wall_ms(m), &more);
        if (++rounds > ROUNDS_MAX) {
            world_fail(w, "node_run of member %u never comes to an end", m->id);
        }
    }
    if (raft_check(node_raft(m->node), why, sizeof(why)) != 0) {
        world_fail(w, "R9: member %u: %s", m->id, why);
    }
    judge_repair(m);
    media_submit(m);
    world_leave();
    if (m->again) {
        m->again = false;
        member_poke(m);
    }
    notice_leader(m);
}

void member_run(struct member *m, const struct ev *e)
{
    struct world *w = m->w;
    if (e->a == 1) {
        if (e->b != m->tick_gen) {
            return;
        }
        m->tick_at = 0;
    } else {
        m->run_due = false;
    }
    if (m->paused_until > w->now) {
        return; /* it looks around when it goes on */
    }
    if (e->a == 1 && m->run_due) {
        return; /* a turn is due anyway, very soon; it sets the timer */
    }
    turn(m);
    if (w->failed) {
        return;
    }
    notice_stop(m);
    if (m->repairing && !node_repairing(m->node)) {
        m->repairing = false;
        media_repaired(m);
    }
    if (m->leaving && node_drained(m->node)) {
        m->leaving = false;
        world_later(
            w, 0,
            (struct ev){
                .kind = SE_LEFT, .node = (uint8_t)m->id, .boot = m->boot, .a = 200 * SVC_MS});
    }
    set_timer(m);
}

void member_pause(struct member *m, uint64_t ns)
{
    uint64_t until = m->w->now + ns;
    if (m->node == NULL || until <= m->paused_until) {
        return;
    }
    if (member_leads(m)) {
        MARK(m->w, PAUSED_LEADER);
    }
    m->paused_until = until;
    world_at(m->w, until, (struct ev){.kind = SE_RESUME, .node = (uint8_t)m->id, .boot = m->boot});
}
