/* SPDX-License-Identifier: Apache-2.0 */
/*
 * media_snap.c: the jobs of a member's snapshot files, one after the other, as server/shell/snap_thread.c does
 * them; and what server/shell/bridge.c makes of their results. Threads: one.
 */
#include "tests/service/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "server/shell/snap_thread.h"
#include "tests/sim/util.h"

#define SNAP_STATE_TYPE 1 /* as in server/shell/snap_thread.c */
#define RETRY_NS        SVC_SEC

void media_digest_keep(struct media *d, raft_index index, const uint64_t digest[2])
{
    uint32_t at = d->digests_next++ % MEDIA_DIGESTS;
    d->digests[at].index = index;
    memcpy(d->digests[at].digest, digest, sizeof(d->digests[at].digest));
}

static void job_free(struct media_job *job)
{
    coord_buf_unref(job->buf);
    machine_loader_destroy(job->state);
    coord_buf_unref(job->header);
    free(job);
}

static void writer_drop(struct media *d)
{
    raft_snap_abort(d->writer);
    d->writer = NULL;
}

static void jobs_free(struct media_job **jobs)
{
    while (*jobs != NULL) {
        struct media_job *job = *jobs;
        *jobs = job->next;
        job_free(job);
    }
}

void media_jobs_drop(struct media *d)
{
    jobs_free(&d->jobs);
    jobs_free(&d->retries);
    writer_drop(d);
    raft_snap_recv_abort(d->recv);
    raft_snap_close(d->reader);
    d->recv = NULL;
    d->reader = NULL;
}

/* What goes wrong here is told with the first part that follows. */
static void job_begin(struct media *d, const struct media_job *job)
{
    const struct raft_snap_meta meta = {.cluster_id = d->boot.cluster_id,
                                        .index = job->meta.index,
                                        .term = job->meta.term,
                                        .config_index = job->meta.config_index,
                                        .config = job->meta.config};
    writer_drop(d);
    d->writer_error = raft_snap_create(&d->boot.fs, &meta, &d->writer);
    if (d->writer_error < 0) {
        d->writer = NULL;
    }
}

static int job_write(struct media *d, struct media_job *job)
{
    if (d->writer == NULL) {
        return d->writer_error;
    }
    int rc = raft_snap_write(d->writer, SNAP_STATE_TYPE, job->buf->data, job->buf->len);
    if (rc < 0) {
        writer_drop(d);
        d->writer_error = rc;
    }
    return rc;
}

static int job_end(struct media *d, struct media_job *job)
{
    struct raft_snap_meta meta;
    if (d->writer == NULL) {
        return d->writer_error;
    }
    int rc = raft_snap_commit(d->writer, &meta);
    d->writer = NULL;
    d->writer_error = -ECANCELED;
    if (rc == 0) {
        job->meta.bytes = meta.bytes;
        memcpy(job->digest, meta.digest, sizeof(job->digest));
    }
    return rc;
}

static int job_store(struct media *d, struct media_job *job)
{
    const struct raft_msg *msg = &job->msg;
    if (d->recv != NULL && (d->recv_index != msg->index || d->recv_term != msg->log_term)) {
        raft_snap_recv_abort(d->recv);
        d->recv = NULL;
    }
    if (d->recv == NULL) {
        uint64_t have = 0;
        int rc = raft_snap_recv_open(&d->boot.fs, d->boot.cluster_id, msg->log_term, msg->index,
                                     msg->total, &d->recv, &have);
        if (rc < 0) {
            d->recv = NULL;
            return rc;
        }
        d->recv_index = msg->index;
        d->recv_term = msg->log_term;
    }
    job->through = msg->offset + job->buf->len;
    return raft_snap_recv_write(d->recv, msg->offset, job->buf->data, job->buf->len);
}

static int job_load(struct media *d, struct media_job *job)
{
    struct raft_snap_meta meta;
    if (d->recv != NULL && d->recv_index == job->meta.index && d->recv_term == job->meta.term) {
        int rc = raft_snap_recv_commit(d->recv, &meta);
        d->recv = NULL;
        if (rc < 0) {
            return rc;
        }
    }
    int rc = snap_state_read(&d->boot.fs, d->boot.cluster_id, job->meta.term, job->meta.index,
                             &meta, &job->state);
    if (rc == 0) {
        job->meta.bytes = meta.bytes;
        job->meta.config = meta.config;
        job->meta.config_index = meta.config_index;
        memcpy(job->digest, meta.digest, sizeof(job->digest));
    }
    return rc;
}

static int job_chunk(struct media *d, struct media_job *job)
{
    const struct raft_msg *msg = &job->msg;
    if (d->reader != NULL && (d->reader_index != msg->index || d->reader_term != msg->log_term)) {
        raft_snap_close(d->reader);
        d->reader = NULL;
    }
    if (d->reader == NULL) {
        int rc =
            raft_snap_open(&d->boot.fs, d->boot.cluster_id, msg->log_term, msg->index, &d->reader);
        if (rc < 0) {
            d->reader = NULL;
            return rc;
        }
        d->reader_index = msg->index;
        d->reader_term = msg->log_term;
    }
    job->buf = coord_buf_create((size_t)msg->count + job->header->len);
    if (job->buf == NULL) {
        abort();
    }
    memcpy(job->buf->data, job->header->data, job->header->len);
    int64_t n =
        raft_snap_pread(d->reader, job->buf->data + job->header->len, msg->count, msg->offset);
    if (n != (int64_t)msg->count) {
        return n < 0 ? (int)n : RAFT_STORE_ENOENT;
    }
    job->buf->len = job->header->len + msg->count;
    return 0;
}

/* Not while a transfer is under way, whose file would go as well. */
static int job_prune(struct media *d)
{
    raft_snap_close(d->reader);
    d->reader = NULL;
    return d->recv != NULL ? 0 : raft_snap_prune(&d->boot.fs, d->boot.cluster_id, 2, NULL);
}

static struct ev of_member(const struct member *m, enum svc_event kind)
{
    return (struct ev){.kind = (uint8_t)kind, .node = (uint8_t)m->id, .boot = m->boot};
}

static void begin_job(struct member *m)
{
    if (m->media.jobs != NULL && !m->media.job_busy) {
        m->media.job_busy = true;
        world_later(m->w, 2 * media_time(m), of_member(m, SE_SNAP));
    }
}

static void push(struct media_job **at, struct media_job *job)
{
    while (*at != NULL) {
        at = &(*at)->next;
    }
    job->next = NULL;
    *at = job;
}

void media_job_put(struct member *m, const struct media_job *job)
{
    struct media_job *copy = sim_alloc(sizeof(*copy));
    *copy = *job;
    if (job->kind == JOB_STORE) {
        m->media.store_index = job->msg.index;
        m->media.store_term = job->msg.log_term;
    }
    push(&m->media.jobs, copy);
    begin_job(m);
}

/* The core has counted a chunk that could not be stored as on its way to the disk: it can only be tried
 * again, and is, unless another transfer has begun. */
void media_retry(struct member *m)
{
    struct media *d = &m->media;
    while (d->retries != NULL) {
        struct media_job *job = d->retries;
        d->retries = job->next;
        if (job->msg.index == d->store_index && job->msg.log_term == d->store_term) {
            job->error = 0;
            push(&d->jobs, job);
        } else {
            job_free(job);
        }
    }
    begin_job(m);
}

static void retry_keep(struct member *m, struct media_job *job)
{
    if (m->media.retries == NULL) {
        world_later(m->w, RETRY_NS, of_member(m, SE_RETRY));
    }
    push(&m->media.retries, job);
    MARK(m->w, CHUNK_STORED_LATER);
}

static void job_do(struct media *d, struct media_job *job)
{
    switch (job->kind) {
    case JOB_BEGIN:
        job_begin(d, job);
        break;
    case JOB_WRITE:
        job->error = job_write(d, job);
        break;
    case JOB_END:
        job->error = job_end(d, job);
        break;
    case JOB_ABORT:
        writer_drop(d);
        break;
    case JOB_STORE:
        job->error = job_store(d, job);
        break;
    case JOB_LOAD:
        job->error = job_load(d, job);
        break;
    case JOB_CHUNK:
        job->error = job_chunk(d, job);
        break;
    case JOB_PRUNE:
        job->error = job_prune(d);
        break;
    }
}

static void tell(struct member *m, struct media_job *job)
{
    uint64_t now = member_now(m);
    switch (job->kind) {
    case JOB_WRITE:
        node_snapshot_written(m->node, job->error, now);
        break;
    case JOB_END:
        node_snapshot_saved(m->node, &job->meta, job->error, now);
        break;
    case JOB_STORE:
        if (job->error == 0) {
            if (job->msg.offset > 0) {
                MARK(m->w, SNAPSHOT_IN_PIECES);
            }
            node_snapshot_stored(m->node, job->msg.snap_id, job->through, now);
        }
        break;
    case JOB_LOAD:
        node_snapshot_loaded(m->node, &job->meta, job->state, job->error, now);
        job->state = NULL; /* the node's now */
        break;
    case JOB_CHUNK:
        if (job->error == 0) {
            peers_send_chunk(m, job->peer, coord_buf_ref(job->buf), &job->msg);
        }
        break;
    case JOB_BEGIN:
    case JOB_ABORT:
    case JOB_PRUNE:
        break;
    }
}

void media_job_done(struct member *m)
{
    struct media *d = &m->media;
    struct media_job *job = d->jobs;
    if (d->stalled) {
        d->owed_job = true;
        return;
    }
    job_do(d, job);
    d->jobs = job->next;
    d->job_busy = false;
    world_trace(m->w, TR_SNAP, 'n', m->id, job->kind,
                job->meta.index != 0 ? job->meta.index : job->msg.index,
                (uint64_t)(int64_t)job->error, 0, NULL);
    if (job->error == 0 && (job->kind == JOB_END || job->kind == JOB_LOAD)) {
        media_digest_keep(d, job->meta.index, job->digest);
    }
    if (job->error == -ENOSPC) {
        MARK(m->w, SNAPSHOT_NO_ROOM);
    }
    world_enter_member(m);
    tell(m, job);
    world_leave();
    if (job->kind == JOB_STORE && job->error < 0) {
        retry_keep(m, job);
    } else {
        job_free(job);
    }
    begin_job(m);
    member_poke(m);
}
