/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge.c: what goes between the node and the modules around it: the node's env as calls into
 * connections, peers and disk threads, and what these report as events of the node. Only translation:
 * nothing is decided here. The loop's thread.
 */
#include "server/shell/shell.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "server/shell/clock.h"
#include "server/shell/log.h"

/* --- the node's env ---------------------------------------------------------------------------- */

static void env_conn_send(void *ctx, uint64_t conn, struct coord_buf *frames)
{
    struct shell *s = ctx;
    conn_set_send(s->conns, conn, frames);
}

static void env_conn_close(void *ctx, uint64_t conn, const char *why)
{
    struct shell *s = ctx;
    conn_set_close(s->conns, conn, why);
}

static void env_conn_pause(void *ctx, uint64_t conn, bool paused)
{
    struct shell *s = ctx;
    conn_set_pause(s->conns, conn, paused);
}

static void env_conn_doze(void *ctx, uint64_t conn, uint64_t ns)
{
    struct shell *s = ctx;
    conn_set_doze(s->conns, conn, ns);
}

static bool env_conn_full(void *ctx, uint64_t conn)
{
    struct shell *s = ctx;
    return conn_set_full(s->conns, conn);
}

static bool env_conn_behind(void *ctx, uint64_t conn)
{
    struct shell *s = ctx;
    return conn_set_behind(s->conns, conn);
}

static void env_frame_limit(void *ctx, uint32_t bytes)
{
    struct shell *s = ctx;
    conn_set_frame_limit(s->conns, bytes);
}

static void env_peer_send(void *ctx, raft_id peer, struct coord_buf *const *parts, uint32_t count)
{
    struct shell *s = ctx;
    peer_set_send(s->peers, peer, parts, count);
}

static void env_peer_send_chunk(void *ctx, raft_id peer, struct coord_buf *header,
                                const struct raft_msg *msg)
{
    struct shell *s = ctx;
    struct snap_job job = {
        .kind = SNAP_CHUNK, .peer = peer, .msg = *msg, .header = coord_buf_ref(header)};
    snap_thread_put(s->snaps, &job);
}

static void env_peer_cut(void *ctx, const raft_id *peers, uint32_t count)
{
    struct shell *s = ctx;
    peer_set_cut(s->peers, peers, count);
}

static void env_persist(void *ctx, const struct raft_persist *p, const struct raft_entry *metas,
                        struct coord_buf *const *payloads)
{
    struct shell *s = ctx;
    uint64_t digest[2] = {0, 0};
    if (p->kind == RAFT_PERSIST_SNAPMARK) {
        for (uint32_t i = 0; i < SHELL_DIGESTS; i++) {
            if (s->digests[i].index == p->first) {
                memcpy(digest, s->digests[i].digest, sizeof(digest));
            }
        }
        s->prune_after = p->io_seq;
    }
    wal_thread_put(s->wal, p, metas, payloads, digest);
}

static void env_snapshot_write(void *ctx, enum node_snapshot_part part,
                               const struct raft_snapshot *meta, struct coord_buf *bytes)
{
    static const enum snap_job_kind kinds[] = {[NODE_SNAPSHOT_BEGIN] = SNAP_BEGIN,
                                               [NODE_SNAPSHOT_CHUNK] = SNAP_WRITE,
                                               [NODE_SNAPSHOT_END] = SNAP_END,
                                               [NODE_SNAPSHOT_ABORT] = SNAP_ABORT};
    struct shell *s = ctx;
    struct snap_job job = {.kind = kinds[part], .meta = *meta, .buf = coord_buf_ref(bytes)};
    snap_thread_put(s->snaps, &job);
}

static void env_snapshot_store(void *ctx, const struct raft_msg *msg, const uint8_t *bytes,
                               uint32_t len)
{
    struct shell *s = ctx;
    struct snap_job job = {.kind = SNAP_STORE, .msg = *msg};
    s->store_index = msg->index;
    s->store_term = msg->log_term;
    job.buf = coord_buf_copy(bytes, len);
    if (job.buf == NULL) {
        log_write(CONF_LOG_ERROR, "out of memory for a snapshot's chunk: it is dropped");
        return; /* as if it had been lost on the way: the leader sends it again */
    }
    snap_thread_put(s->snaps, &job);
}

static void env_snapshot_load(void *ctx, const struct raft_snapshot *meta)
{
    struct shell *s = ctx;
    struct snap_job job = {.kind = SNAP_LOAD, .meta = *meta};
    snap_thread_put(s->snaps, &job);
}

static void env_log_read(void *ctx, raft_index first, uint32_t count, struct coord_buf **bufs)
{
    struct shell *s = ctx;
    wal_thread_read(s->wal, first, count, bufs);
}

static uint64_t env_clock(void *ctx)
{
    (void)ctx;
    return clock_mono_ns();
}

static void env_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    clock_random(out, len);
}

static void env_log(void *ctx, enum node_log_level level, const char *text)
{
    static const enum conf_log_level levels[] = {[NODE_LOG_ERROR] = CONF_LOG_ERROR,
                                                 [NODE_LOG_WARN] = CONF_LOG_WARN,
                                                 [NODE_LOG_INFO] = CONF_LOG_INFO,
                                                 [NODE_LOG_DEBUG] = CONF_LOG_DEBUG};
    struct shell *s = ctx;
    uint32_t kept = 0;
    /* Warnings are mostly about what clients send: they may not fill the disk with them. */
    if (level == NODE_LOG_WARN &&
        !log_limit_pass(&s->warnings, SHELL_WARNINGS_PER_WINDOW, clock_mono_ns(), &kept)) {
        return;
    }
    if (kept > 0) {
        log_write(CONF_LOG_WARN, "%u more warnings were left out", (unsigned)kept);
    }
    log_write(levels[level], "%s", text);
}

void bridge_env(struct shell *s, struct node_env *ret_env)
{
    *ret_env = (struct node_env){.ctx = s,
                                 .conn_send = env_conn_send,
                                 .conn_close = env_conn_close,
                                 .conn_pause = env_conn_pause,
                                 .conn_doze = env_conn_doze,
                                 .conn_full = env_conn_full,
                                 .conn_behind = env_conn_behind,
                                 .frame_limit = env_frame_limit,
                                 .peer_send = env_peer_send,
                                 .peer_send_chunk = env_peer_send_chunk,
                                 .peer_cut = env_peer_cut,
                                 .persist = env_persist,
                                 .snapshot_write = env_snapshot_write,
                                 .snapshot_store = env_snapshot_store,
                                 .snapshot_load = env_snapshot_load,
                                 .log_read = env_log_read,
                                 .clock = env_clock,
                                 .random = env_random,
                                 .log = env_log};
}

/* --- sockets to node --------------------------------------------------------------------------- */

static void host_opened(void *ctx, uint64_t conn, const char *source)
{
    struct shell *s = ctx;
    node_conn_open(s->node, conn, source, shell_now(s));
}

static void host_frame(void *ctx, uint64_t conn, struct coord_buf *buf)
{
    struct shell *s = ctx;
    node_conn_frame(s->node, conn, buf, shell_now(s));
}

static void host_bad(void *ctx, uint64_t conn, const char *why)
{
    struct shell *s = ctx;
    node_conn_bad(s->node, conn, why, shell_now(s));
}

static void host_closed(void *ctx, uint64_t conn)
{
    struct shell *s = ctx;
    node_conn_closed(s->node, conn, shell_now(s));
}

static void host_peer_link(void *ctx, raft_id peer, bool up)
{
    struct shell *s = ctx;
    node_peer_link(s->node, peer, up, shell_now(s));
}

static void host_peer_frame(void *ctx, raft_id peer, struct coord_buf *buf)
{
    struct shell *s = ctx;
    node_peer_frame(s->node, peer, buf, shell_now(s));
}

static void host_drained(void *ctx, uint64_t conn)
{
    struct shell *s = ctx;
    node_conn_drained(s->node, conn, shell_now(s));
}

void bridge_conn_host(struct shell *s, struct conn_host *ret_host)
{
    *ret_host = (struct conn_host){.ctx = s,
                                   .opened = host_opened,
                                   .frame = host_frame,
                                   .bad = host_bad,
                                   .closed = host_closed,
                                   .drained = host_drained};
}

void bridge_peer_host(struct shell *s, struct peer_host *ret_host)
{
    *ret_host = (struct peer_host){.ctx = s, .link = host_peer_link, .frame = host_peer_frame};
}

/* --- disk to node ------------------------------------------------------------------------------ */

void bridge_digest_keep(struct shell *s, raft_index index, const uint64_t digest[2])
{
    uint32_t at = s->digests_next++ % SHELL_DIGESTS;
    s->digests[at].index = index;
    memcpy(s->digests[at].digest, digest, sizeof(s->digests[at].digest));
}

static void snap_failure_log(const struct snap_job *job)
{
    static const char *const what[] = {
        [SNAP_BEGIN] = "written", [SNAP_WRITE] = "written",  [SNAP_END] = "written",
        [SNAP_ABORT] = "deleted", [SNAP_STORE] = "received", [SNAP_LOAD] = "loaded",
        [SNAP_CHUNK] = "sent",    [SNAP_PRUNE] = "deleted"};
    bool by_msg = job->kind == SNAP_STORE || job->kind == SNAP_CHUNK;
    log_write(CONF_LOG_ERROR, "snapshot at index %" PRIu64 " cannot be %s: %s",
              by_msg ? job->msg.index : job->meta.index, what[job->kind],
              raft_store_strerror(job->error));
}

/* The core has counted this chunk as on its way to the disk: it can only be tried again. */
static void retry_keep(struct shell *s, struct snap_job *job)
{
    struct snap_job **at = &s->retries;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    job->next = NULL;
    *at = job;
}

void bridge_retry(struct shell *s)
{
    while (s->retries != NULL) {
        struct snap_job *job = s->retries;
        s->retries = job->next;
        if (job->msg.index == s->store_index && job->msg.log_term == s->store_term) {
            job->error = 0;
            snap_thread_put(s->snaps, job);
            free(job); /* its buffers went along */
        } else {
            snap_job_destroy(job); /* of a transfer that was given up */
        }
    }
}

void bridge_finish(struct shell *s)
{
    while (s->retries != NULL) {
        struct snap_job *job = s->retries;
        s->retries = job->next;
        snap_job_destroy(job);
    }
}

/* Return: true when the job was kept. */
static bool snap_result(struct shell *s, struct snap_job *job)
{
    if (job->error < 0 && !job->known) {
        snap_failure_log(job);
    }
    switch (job->kind) {
    case SNAP_WRITE:
        node_snapshot_written(s->node, job->error, shell_now(s));
        break;
    case SNAP_END:
        if (job->error == 0) {
            bridge_digest_keep(s, job->meta.index, job->digest);
        }
        node_snapshot_saved(s->node, &job->meta, job->error, shell_now(s));
        break;
    case SNAP_STORE:
        if (job->error < 0) {
            retry_keep(s, job);
            return true;
        }
        node_snapshot_stored(s->node, job->msg.snap_id, job->through, shell_now(s));
        break;
    case SNAP_LOAD:
        if (job->error == 0) {
            bridge_digest_keep(s, job->meta.index, job->digest);
        }
        node_snapshot_loaded(s->node, &job->meta, job->state, job->error, shell_now(s));
        job->state = NULL; /* the node's now */
        break;
    case SNAP_CHUNK:
        if (job->error == 0) {
            struct coord_buf *parts[2] = {job->header, job->buf};
            peer_set_send(s->peers, job->peer, parts, 2);
        }
        break;
    case SNAP_BEGIN:
    case SNAP_ABORT:
    case SNAP_PRUNE:
        break; /* they give no result */
    }
    return false;
}

void bridge_disk(struct shell *s)
{
    const char *why = NULL;
    wake_clear(&s->wake);
    if (s->repairing && !node_repairing(s->node)) {
        s->repairing = false;
        wal_thread_repaired(s->wal);
    }
    uint64_t durable = wal_thread_durable(s->wal);
    if (durable > s->durable) {
        s->durable = durable;
        node_io_done(s->node, durable, shell_now(s));
    }
    struct wal_read read;
    if (wal_thread_read_take(s->wal, &read)) {
        node_log_read(s->node, read.bufs, read.error, shell_now(s));
    }
    if (!s->failed && wal_thread_failed(s->wal, &why)) {
        s->failed = true;
        node_io_failed(s->node, why, shell_now(s));
    }
    bool room = wal_thread_room(s->wal);
    if (room != s->room) {
        s->room = room;
        node_disk_room(s->node, room, shell_now(s));
    }
    if (s->prune_after != 0 && s->durable >= s->prune_after) {
        struct snap_job job = {.kind = SNAP_PRUNE};
        s->prune_after = 0;
        snap_thread_put(s->snaps, &job);
    }
    for (struct snap_job *job = snap_thread_take(s->snaps); job != NULL;
         job = snap_thread_take(s->snaps)) {
        if (!snap_result(s, job)) {
            snap_job_destroy(job);
        }
    }
}
