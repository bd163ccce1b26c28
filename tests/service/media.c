/* SPDX-License-Identifier: Apache-2.0 */
/*
 * media.c: the disk of a member and the thread that writes its log in batches. A batch is carried out when its
 * completion is due, so that a power cut finds it not begun, or inside (member.c). Snapshots: media_snap.c.
 *
 * What server/shell does with a thread (wal_thread.c, bridge.c) is done here with events; recovery is the shipped
 * one (server/shell/boot.c). Threads: one.
 */
#include "tests/service/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/util.h"

#define BATCH_BYTES    (1u << 20)
#define IDLE_NS        (20 * SVC_MS)
#define RETRY_NS       SVC_SEC     /* upkeep, or a batch without room, is tried again */
#define CAPACITY_BYTES (96u << 20) /* too little for the ballast, too much to be used up */
#define SLOWEST_NS     (3 * SVC_SEC)

static struct ev of_member(const struct member *m, enum svc_event kind)
{
    return (struct ev){.kind = (uint8_t)kind, .node = (uint8_t)m->id, .boot = m->boot};
}

void media_init(struct media *d, uint64_t seed)
{
    d->disk = sim_disk_create(seed);
    media_capacity(d, UINT64_MAX);
}

void media_capacity(struct media *d, uint64_t left)
{
    d->full = left != UINT64_MAX;
    sim_disk_set_capacity(d->disk, d->full ? sim_disk_used(d->disk) + left : CAPACITY_BYTES);
}

void media_finish(struct media *d)
{
    free(d->pending.ops);
    free(d->pending.notes);
    free(d->work.ops);
    free(d->work.notes);
    sim_disk_destroy(d->disk);
}

enum media_opened media_open_failed(struct member *m, const char *why)
{
    struct media *d = &m->media;
    if (d->reads_fail) {
        MARK(m->w, READ_FAILED);
        return MEDIA_AGAIN;
    }
    if (d->full && strstr(why, strerror(ENOSPC)) != NULL) {
        MARK(m->w, BOOT_WITHOUT_ROOM);
        return MEDIA_AGAIN;
    }
    /* What coordd cannot repair, as the operations page says. */
    if (m->rotted && (strstr(why, "snapshot files is whole and fits") != NULL ||
                      strstr(why, "log entry ") != NULL || strstr(why, "is damaged") != NULL ||
                      strstr(why, "window is full") != NULL)) {
        MARK(m->w, KEPT_OUT);
        return MEDIA_LOST;
    }
    return MEDIA_WRONG;
}

static void judge_health(struct member *m)
{
    const struct raft_wal_state *found = raft_wal_state(m->media.boot.wal);
    if (found->health == RAFT_WAL_TORN) {
        MARK(m->w, TORN_TAIL);
    }
    if (found->health == RAFT_WAL_REPAIR) {
        struct node_boot *b = &m->media.boot.node;
        MARK(m->w, LOG_REPAIR);
        /* A member may doubt more than its log does; little rot ever takes the vote. */
        m->doubts = m->spoiled ? rng_chance(&m->w->rng_disk, 300) : m->doubts;
        b->damage |= m->doubts ? RAFT_DAMAGE_VOTE : 0u;
        if ((b->damage & RAFT_DAMAGE_VOTE) != 0) {
            MARK(m->w, VOTE_IN_DOUBT);
        }
    }
    if (found->health == RAFT_WAL_REPAIR && !m->rotted) {
        world_fail(m->w, "member %u: nothing was damaged, but recovery says: %s", m->id,
                   found->detail);
    }
    if (m->spoiled && m->media.boot.snapshots_bad > 0) {
        MARK(m->w, SNAPSHOT_ROTTEN);
    }
}

enum media_opened media_open(struct member *m, char *why, size_t n)
{
    struct media *d = &m->media;
    char err[BOOT_ERROR_BYTES] = "";
    d->reads_fail = d->bad_reads > 0;
    if (d->reads_fail) {
        d->bad_reads--;
        sim_disk_fail(d->disk, SIM_DISK_READ, 1 + (uint32_t)rng_below(&m->w->rng_disk, 30), 1, EIO);
    }
    int rc = boot_open(m->conf, &d->boot, err);
    if (d->reads_fail) {
        sim_disk_fail(d->disk, SIM_DISK_READ, 1, 0, EIO);
    }
    if (rc < 0) {
        (void)snprintf(why, n, "%.*s", (int)n - 1, err);
        return media_open_failed(m, err);
    }
    judge_health(m);
    if (d->boot.node.snapshot.index > 0) {
        media_digest_keep(d, d->boot.node.snapshot.index, d->boot.digest);
    }
    d->open = true;
    d->room = true;
    d->writer_error = -ECANCELED;
    return MEDIA_OPEN;
}

static void queue_clear(struct media_queue *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        coord_buf_unref(q->notes[i].payload);
    }
    q->count = 0;
}

static void read_drop(struct media *d)
{
    for (uint32_t i = 0; d->read_bufs != NULL && i < d->read_count; i++) {
        coord_buf_unref(d->read_bufs[i]);
    }
    free(d->read_bufs);
    d->read_bufs = NULL;
}

void media_close(struct member *m)
{
    struct media *d = &m->media;
    queue_clear(&d->pending);
    queue_clear(&d->work);
    media_jobs_drop(d);
    read_drop(d);
    d->busy = d->job_busy = d->owed = d->owed_job = d->failed = d->stalled = false;
    d->sealed = d->upkeep_failed = d->verdict_due = false;
    d->sealed_path[0] = '\0';
    d->prune_after = d->durable = d->slow_until = 0;
    d->work_at = 0;
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

uint64_t media_time(struct member *m)
{
    struct world *w = m->w;
    uint64_t ns = 1 + rng_exp(&w->rng_disk, w->k.disk_ns);
    bool slow = rng_chance(&w->rng_disk, w->k.disk_slow_permille);
    ns = slow ? ns * 20 : ns;
    if (m->media.slow_until > w->now) {
        ns = ns * m->media.slow_factor < SLOWEST_NS ? ns * m->media.slow_factor : SLOWEST_NS;
    }
    return ns;
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
    world_later(m->w, media_time(m), of_member(m, SE_WRITTEN));
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
    world_later(m->w, media_time(m), of_member(m, SE_READ));
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
        world_later(m->w, media_time(m), of_member(m, SE_READ)); /* behind what is under way */
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

/* --- room ---------------------------------------------------------------------------------------- */

/* Tell the node, when that is news. */
static void tell_room(struct member *m, bool room)
{
    struct media *d = &m->media;
    if (d->room == room || d->failed) {
        return;
    }
    d->room = room;
    if (room) {
        MARK(m->w, ROOM_AGAIN);
    } else {
        MARK(m->w, NO_ROOM);
    }
    world_trace(m->w, TR_ROOM, 'n', m->id, room, 0, 0, 0, NULL);
    world_enter_member(m);
    node_disk_room(m->node, room, member_now(m));
    world_leave();
    member_poke(m);
}

/* Half a segment, as in wal_thread.h. */
static bool is_short(const struct member *m)
{
    return raft_wal_room(m->media.boot.wal) < m->w->k.segment_bytes / 2;
}

static void fail(struct member *m, int rc)
{
    m->media.failed = true;
    world_enter_member(m);
    node_io_failed(m->node, raft_store_strerror(rc), member_now(m));
    world_leave();
    member_poke(m);
}

static void idle_later(struct member *m, uint64_t ns)
{
    struct ev e = of_member(m, SE_IDLE);
    e.a = m->media.batches;
    world_later(m->w, ns, e);
}

/* Attest the last batch, delete what is of no use, make segments ready. Return: as raft_wal_idle. */
static int upkeep(struct member *m)
{
    struct media *d = &m->media;
    int rc = raft_wal_idle(d->boot.wal);
    d->upkeep_at = m->w->now;
    d->upkeep_failed = rc < 0;
    d->sealed = rc == 0;
    if (rc < 0 && raft_wal_failed(d->boot.wal)) {
        fail(m, rc);
        return rc;
    }
    tell_room(m, rc >= 0 || !is_short(m));
    return rc;
}

/* Each second; and as soon as room gets short, so that a full disk is known while what is under way still
 * fits. */
static bool upkeep_overdue(const struct member *m)
{
    const struct media *d = &m->media;
    return m->w->now > d->upkeep_at + RETRY_NS || (!d->upkeep_failed && is_short(m));
}

void media_idle(struct member *m, uint64_t batches)
{
    struct media *d = &m->media;
    if (d->busy || d->failed || batches != d->batches) {
        return;
    }
    if (d->stalled) {
        idle_later(m, IDLE_NS);
        return;
    }
    int rc = upkeep(m);
    if (rc != 0 && !d->failed) {
        idle_later(m, rc < 0 ? RETRY_NS : IDLE_NS);
    }
}

bool media_seal(struct member *m)
{
    struct media *d = &m->media;
    if (d->busy || d->failed || d->stalled) {
        return false;
    }
    for (int i = 0; i < 8 && !d->sealed && !d->failed; i++) {
        (void)upkeep(m);
    }
    return d->sealed;
}

/* --- the verdict on a damaged log ------------------------------------------------------------------ */

void media_repaired(struct member *m)
{
    m->media.verdict_due = true;
    world_later(m->w, media_time(m), of_member(m, SE_REPAIRED));
}

void media_verdict(struct member *m)
{
    struct media *d = &m->media;
    if (!d->verdict_due || d->failed) {
        return;
    }
    if (d->stalled || d->busy) {
        world_later(m->w, media_time(m), of_member(m, SE_REPAIRED)); /* behind what is under way */
        return;
    }
    int rc = raft_wal_repaired(d->boot.wal);
    d->sealed = false;
    d->sealed_path[0] = '\0';
    if (rc == -ENOSPC && !raft_wal_failed(d->boot.wal)) {
        world_later(m->w, RETRY_NS, of_member(m, SE_REPAIRED));
    } else if (rc < 0) {
        fail(m, rc);
    } else {
        d->verdict_due = false;
        MARK(m->w, LOG_REPAIRED);
        idle_later(m, IDLE_NS);
    }
}

/* --- batches ------------------------------------------------------------------------------------- */

/* From here back the log is attested by what comes next. */
static void note_place(struct media *d)
{
    uint64_t at = 0;
    uint64_t len = 0;
    if (!sim_disk_last_write(d->disk, d->sealed_path, sizeof(d->sealed_path), &at, &len)) {
        d->sealed_path[0] = '\0';
    }
    d->sealed_end = at + len;
}

static int write_work(struct member *m, uint64_t *ret_io_seq)
{
    struct media *d = &m->media;
    struct media_queue *q = &d->work;
    while (d->work_at < q->count) {
        uint32_t at = d->work_at;
        uint32_t count = batch_count(q, at);
        int rc = raft_wal_write(d->boot.wal, q->ops + at, count);
        world_trace(m->w, TR_WRITE, 'n', m->id, count, (uint64_t)(int64_t)rc,
                    q->notes[at + count - 1].io_seq, 0, NULL);
        if (rc < 0) {
            return rc;
        }
        d->sealed = false;
        note_place(d);
        for (uint32_t i = at; i < at + count; i++) {
            *ret_io_seq = q->notes[i].io_seq != 0 ? q->notes[i].io_seq : *ret_io_seq;
            if (q->notes[i].compact != 0) {
                raft_wal_compact(d->boot.wal, q->notes[i].compact);
            }
        }
        d->work_at += count;
    }
    return 0;
}

static void prune_if_due(struct member *m)
{
    struct media *d = &m->media;
    if (d->prune_after != 0 && d->durable >= d->prune_after) {
        const struct media_job job = {.kind = JOB_PRUNE};
        d->prune_after = 0;
        media_job_put(m, &job);
    }
}

static void tell_durable(struct member *m, uint64_t io_seq)
{
    struct media *d = &m->media;
    if (io_seq > d->durable) {
        d->durable = io_seq;
        world_enter_member(m);
        node_io_done(m->node, io_seq, member_now(m));
        world_leave();
    }
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
    tell_durable(m, io_seq);
    if (rc == -ENOSPC && !raft_wal_failed(d->boot.wal)) { /* refused without any effect */
        MARK(m->w, BATCH_WAITED);
        tell_room(m, false);
        world_later(m->w, RETRY_NS, of_member(m, SE_WRITTEN));
        return;
    }
    queue_clear(&d->work);
    d->work_at = 0;
    d->busy = false;
    if (rc < 0) {
        fail(m, rc);
    } else if (upkeep_overdue(m)) {
        (void)upkeep(m);
    } else if (d->upkeep_failed && is_short(m)) {
        tell_room(m, false); /* a second from now may be too late */
    }
    prune_if_due(m);
    media_submit(m);
    if (!d->busy && !d->failed) {
        idle_later(m, IDLE_NS);
    }
    member_poke(m);
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
