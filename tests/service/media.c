/* SPDX-License-Identifier: Apache-2.0 */
/*
 * media.c: the disk of a member and the two threads that use it: one writes the log in batches, the other does
 * the jobs of snapshots in their order. A batch or a job is carried out when its completion is due, so that
 * a power cut finds it not begun, or inside (member.c).
 *
 * What server/shell does with threads (wal_thread.c, snap_thread.c, bridge.c) is done here with events; recovery is
 * the shipped one (server/shell/boot.c). Threads: one.
 */
#include "tests/service/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/shell/snap_thread.h"
#include "tests/sim/util.h"

#define BATCH_BYTES     (1u << 20)
#define IDLE_NS         (20 * SVC_MS)
#define CAPACITY_BYTES  (96u << 20) /* too little for the ballast, too much to be used up */
#define SNAP_STATE_TYPE 1           /* as in server/shell/snap_thread.c */

void media_init(struct media *d, uint64_t seed)
{
    d->disk = sim_disk_create(seed);
    sim_disk_set_capacity(d->disk, CAPACITY_BYTES);
}

void media_finish(struct media *d)
{
    free(d->pending.ops);
    free(d->pending.notes);
    free(d->work.ops);
    free(d->work.notes);
    sim_disk_destroy(d->disk);
}

static void keep_digest(struct media *d, raft_index index, const uint64_t digest[2])
{
    uint32_t at = d->digests_next++ % MEDIA_DIGESTS;
    d->digests[at].index = index;
    memcpy(d->digests[at].digest, digest, sizeof(d->digests[at].digest));
}

int media_open(struct member *m, char *why, size_t n)
{
    struct media *d = &m->media;
    char err[BOOT_ERROR_BYTES] = "";
    if (boot_open(m->conf, &d->boot, err) < 0) {
        (void)snprintf(why, n, "%.*s", (int)n - 1, err);
        return -1;
    }
    if (raft_wal_state(d->boot.wal)->health == RAFT_WAL_TORN) {
        MARK(m->w, TORN_TAIL);
    }
    if (raft_wal_state(d->boot.wal)->health == RAFT_WAL_REPAIR) {
        world_fail(m->w, "member %u: nothing was damaged, but recovery says: %s", m->id,
                   raft_wal_state(d->boot.wal)->detail);
    }
    if (d->boot.node.snapshot.index > 0) {
        keep_digest(d, d->boot.node.snapshot.index, d->boot.digest);
    }
    d->open = true;
    d->writer_error = -ECANCELED;
    return 0;
}

static void queue_clear(struct media_queue *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        coord_buf_unref(q->notes[i].payload);
    }
    q->count = 0;
}

static void job_free(struct media_job *job)
{
    coord_buf_unref(job->buf);
    machine_loader_destroy(job->state);
    coord_buf_unref(job->header);
    free(job);
}

static void read_drop(struct media *d)
{
    for (uint32_t i = 0; d->read_bufs != NULL && i < d->read_count; i++) {
        coord_buf_unref(d->read_bufs[i]);
    }
    free(d->read_bufs);
    d->read_bufs = NULL;
}

static void writer_drop(struct media *d)
{
    raft_snap_abort(d->writer);
    d->writer = NULL;
}

void media_close(struct member *m)
{
    struct media *d = &m->media;
    queue_clear(&d->pending);
    queue_clear(&d->work);
    while (d->jobs != NULL) {
        struct media_job *job = d->jobs;
        d->jobs = job->next;
        job_free(job);
    }
    writer_drop(d);
    raft_snap_recv_abort(d->recv);
    raft_snap_close(d->reader);
    d->recv = NULL;
    d->reader = NULL;
    read_drop(d);
    d->busy = d->job_busy = d->owed = d->owed_job = d->failed = d->stalled = false;
    d->prune_after = d->durable = 0;
    if (d->open) {
        world_enter_member(m);
        boot_close(&d->boot);
        d->open = false;
    }
}

/* --- the log ------------------------------------------------------------------------------------- */

static struct media_note *queue_add(struct media_queue *q, const struct raft_wal_op *op,
                                    struct coord_buf *payload)
{
    if (q->count == q->cap) {
        q->cap = q->cap == 0 ? 32 : q->cap * 2;
        q->ops = sim_realloc(q->ops, q->cap * sizeof(q->ops[0]));
        q->notes = sim_realloc(q->notes, q->cap * sizeof(q->notes[0]));
    }
    q->ops[q->count] = *op;
    q->notes[q->count] = (struct media_note){.payload = coord_buf_ref(payload)};
    return &q->notes[q->count++];
}

static struct media_note *add_entries(struct media_queue *q, const struct raft_persist *p,
                                      const struct raft_entry *metas,
                                      struct coord_buf *const *payloads)
{
    struct media_note *last = NULL;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct raft_wal_op op = {.kind = RAFT_WAL_ENTRY,
                                       .term = metas[i].term,
                                       .index = p->first + i,
                                       .type = metas[i].type,
                                       .bytes = metas[i].bytes,
                                       .data = payloads[i] == NULL ? NULL : payloads[i]->data};
        last = queue_add(q, &op, payloads[i]);
    }
    return last;
}

void media_persist(struct member *m, const struct raft_persist *p, const struct raft_entry *metas,
                   struct coord_buf *const *payloads)
{
    struct media *d = &m->media;
    struct raft_wal_op op = {.term = p->term};
    struct media_note *note = NULL;
    switch (p->kind) {
    case RAFT_PERSIST_ENTRIES:
        note = add_entries(&d->pending, p, metas, payloads);
        break;
    case RAFT_PERSIST_HARDSTATE:
        op.kind = RAFT_WAL_HARDSTATE;
        op.vote = p->vote;
        op.index = p->commit;
        note = queue_add(&d->pending, &op, NULL);
        break;
    case RAFT_PERSIST_SNAPMARK:
        op.kind = RAFT_WAL_SNAPMARK;
        op.index = p->first;
        for (uint32_t i = 0; i < MEDIA_DIGESTS; i++) {
            if (d->digests[i].index == p->first) {
                memcpy(op.digest, d->digests[i].digest, sizeof(op.digest));
            }
        }
        note = queue_add(&d->pending, &op, NULL);
        note->compact = p->compact;
        d->prune_after = p->io_seq;
        break;
    }
    note->io_seq = p->io_seq;
}

static uint64_t write_time(struct member *m)
{
    struct world *w = m->w;
    uint64_t ns = 1 + rng_exp(&w->rng_disk, w->k.disk_ns);
    bool slow = rng_chance(&w->rng_disk, w->k.disk_slow_permille);
    return slow ? ns * 20 : ns;
}

static struct ev of_member(const struct member *m, enum svc_event kind)
{
    return (struct ev){.kind = (uint8_t)kind, .node = (uint8_t)m->id, .boot = m->boot};
}

void media_submit(struct member *m)
{
    struct media *d = &m->media;
    if (d->busy || d->failed || d->pending.count == 0) {
        return;
    }
    struct media_queue swap = d->work;
    d->work = d->pending;
    d->pending = swap;
    d->busy = true;
    d->batches++;
    world_later(m->w, write_time(m), of_member(m, SE_WRITTEN));
}

static uint32_t batch_count(const struct media_queue *q, uint32_t at)
{
    uint64_t bytes = 0;
    uint32_t n = 0;
    while (at + n < q->count) {
        bytes += q->ops[at + n].bytes + 64;
        if (n > 0 && bytes > BATCH_BYTES) {
            break;
        }
        n++;
    }
    return n;
}

/* --- what persist wrote, read again --- */

void media_read(struct member *m, raft_index first, uint32_t count, struct coord_buf **bufs)
{
    struct media *d = &m->media;
    d->read_first = first;
    d->read_count = count;
    d->read_bufs = bufs;
    world_later(m->w, write_time(m), of_member(m, SE_READ));
}

void media_read_done(struct member *m)
{
    struct media *d = &m->media;
    struct coord_buf **bufs = d->read_bufs;
    int error = 0;
    if (bufs == NULL) {
        return;
    }
    if (d->stalled || d->busy) {
        world_later(m->w, write_time(m), of_member(m, SE_READ)); /* behind what is under way */
        return;
    }
    for (uint32_t i = 0; i < d->read_count && error == 0; i++) {
        if (bufs[i] != NULL) {
            int64_t n = raft_wal_read(d->boot.wal, d->read_first + i, bufs[i]->data, bufs[i]->cap);
            bool whole = n == (int64_t)bufs[i]->cap;
            bufs[i]->len = whole ? bufs[i]->cap : 0;
            error = whole ? 0 : n < 0 ? (int)n : RAFT_STORE_ECORRUPT;
        }
    }
    MARK(m->w, LOG_READ_BACK);
    d->read_bufs = NULL;
    world_enter_member(m);
    node_log_read(m->node, bufs, error, member_now(m));
    world_leave();
    member_poke(m);
}

static int write_work(struct member *m, uint64_t *ret_io_seq)
{
    struct media *d = &m->media;
    struct media_queue *q = &d->work;
    for (uint32_t at = 0; at < q->count;) {
        uint32_t count = batch_count(q, at);
        int rc = raft_wal_write(d->boot.wal, q->ops + at, count);
        world_trace(m->w, TR_WRITE, 'n', m->id, count, (uint64_t)(int64_t)rc,
                    q->notes[at + count - 1].io_seq, 0, NULL);
        if (rc < 0) {
            return rc;
        }
        for (uint32_t i = at; i < at + count; i++) {
            *ret_io_seq = q->notes[i].io_seq != 0 ? q->notes[i].io_seq : *ret_io_seq;
            if (q->notes[i].compact != 0) {
                raft_wal_compact(d->boot.wal, q->notes[i].compact);
            }
        }
        at += count;
    }
    return 0;
}

void media_written(struct member *m)
{
    struct media *d = &m->media;
    uint64_t io_seq = 0;
    if (d->stalled) {
        d->owed = true;
        return;
    }
    int rc = write_work(m, &io_seq);
    queue_clear(&d->work);
    d->busy = false;
    world_enter_member(m);
    if (io_seq > d->durable) {
        d->durable = io_seq;
        node_io_done(m->node, io_seq, member_now(m));
    }
    if (rc < 0) {
        d->failed = true;
        node_io_failed(m->node, raft_store_strerror(rc), member_now(m));
    }
    world_leave();
    if (d->prune_after != 0 && d->durable >= d->prune_after) {
        const struct media_job job = {.kind = JOB_PRUNE};
        d->prune_after = 0;
        media_job_put(m, &job);
    }
    media_submit(m);
    if (!d->busy) {
        struct ev e = of_member(m, SE_IDLE);
        e.a = d->batches;
        world_later(m->w, IDLE_NS, e);
    }
    member_poke(m);
}

void media_idle(struct member *m, uint64_t batches)
{
    struct media *d = &m->media;
    if (d->busy || d->failed || d->stalled || batches != d->batches) {
        return;
    }
    int rc = raft_wal_idle(d->boot.wal);
    if (rc < 0 && raft_wal_failed(d->boot.wal)) {
        d->failed = true;
        world_enter_member(m);
        node_io_failed(m->node, raft_store_strerror(rc), member_now(m));
        world_leave();
        member_poke(m);
    } else if (rc > 0) {
        struct ev e = of_member(m, SE_IDLE);
        e.a = batches;
        world_later(m->w, IDLE_NS, e);
    }
}

void media_stall(struct member *m, bool stalled)
{
    struct media *d = &m->media;
    d->stalled = stalled;
    if (stalled || m->node == NULL) {
        return;
    }
    if (d->owed) {
        d->owed = false;
        media_written(m);
    }
    if (d->owed_job) {
        d->owed_job = false;
        media_job_done(m);
    }
}

/* --- snapshots ----------------------------------------------------------------------------------- */

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
    return d->recv != NULL ? 0 : raft_snap_prune(&d->boot.fs, d->boot.cluster_id, 2);
}

static void begin_job(struct member *m)
{
    if (m->media.jobs != NULL && !m->media.job_busy) {
        m->media.job_busy = true;
        world_later(m->w, 2 * write_time(m), of_member(m, SE_SNAP));
    }
}

void media_job_put(struct member *m, const struct media_job *job)
{
    struct media_job **at = &m->media.jobs;
    struct media_job *copy = sim_alloc(sizeof(*copy));
    *copy = *job;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = copy;
    begin_job(m);
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
            node_snapshot_stored(m->node, job->msg.snap_id, job->through, now);
        }
        break;
    case JOB_LOAD:
        node_snapshot_loaded(m->node, &job->meta, job->state, job->error, now);
        job->state = NULL; /* the node's now */
        break;
    case JOB_CHUNK:
        if (job->error == 0) {
            peers_send(m, job->peer, coord_buf_ref(job->buf));
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
        keep_digest(d, job->meta.index, job->digest);
    }
    world_enter_member(m);
    tell(m, job);
    world_leave();
    job_free(job);
    begin_job(m);
    member_poke(m);
}
