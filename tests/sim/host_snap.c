/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_snap.c: snapshots of a member: taking them, sending their bytes, receiving and loading them.
 *
 * All files are written by the real code of raft/storage over the simulated disk. The worker that
 * writes or loads a file does its work at one instant, either when the job begins or when it ends;
 * a crash in between falls before it, behind it, or inside it (host_end).
 *
 * A file is named by term and index, so both ends of a transfer derive the same snap_id.
 */
#include "raft/mutant.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

uint64_t snap_id_of(raft_term term, raft_index index)
{
    return term << 32 | index;
}

/* ------------------------------------------------------------------------------------------- */
/* Taking                                                                                        */

static uint64_t snap_interval(const struct world *w)
{
    /* The log must not fill before: a full log takes no proposals. */
    uint64_t most = w->k.raft.log_slots / 4;
    return w->k.snap_every < most ? w->k.snap_every : most;
}

/* A follower's log fills with what is not committed yet, and takes no more until it is compacted:
 * every applied entry that can go must go. */
int snap_nearly_full(const struct world *w, const struct node *n)
{
    return n->log.count * 4 >= (uint64_t)w->k.raft.log_slots * 3;
}

void snap_maybe_take(struct world *w, struct node *n)
{
    raft_index base = n->snap.index > n->taken_for ? n->snap.index : n->taken_for;
    raft_index interval = snap_nearly_full(w, n) ? 1 : snap_interval(w);
    if (n->take.active || n->install.active || n->machine.applied < base + interval) {
        return;
    }
    snap_begin(w, n);
}

void snap_begin(struct world *w, struct node *n)
{
    if (n->take.active || n->install.active || n->machine.applied <= n->snap.index) {
        return;
    }
    const struct raft_config_at *config = raft_config_at(n->raft, n->machine.applied);
    if (config == NULL) {
        return; /* far behind, and the core remembers only newer ones: later */
    }
    n->take = (struct snap_job){.active = 1, .machine = n->machine};
    n->take.meta.index = n->machine.applied;
    n->take.meta.term = n->machine.term;
    n->take.meta.config_index = config->index;
    n->take.meta.config = config->config;
    n->taken_for = n->machine.applied;
    check_snapshot_config(w, n, &n->take.meta);
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_SNAP_BEGIN,
                                             .node = (uint8_t)n->id,
                                             .a = n->take.meta.index,
                                             .b = n->take.meta.term});
    if (n->doomed != 0) {
        host_later(w, n, 0, (struct ev){.kind = EV_CRASH, .a = (uint64_t)n->doomed});
    } else if (rng_chance(&w->rng_host, 300)) {
        snap_write_job(w, n);
    }
    host_later(w, n, 3 * w->k.disk_ns + disk_latency(w, n), (struct ev){.kind = EV_SNAP_TAKEN});
}

void snap_write_job(struct world *w, struct node *n)
{
    struct snap_job *job = &n->take;
    const struct raft_snap_meta meta = {.cluster_id = SIM_CLUSTER_ID,
                                        .index = job->meta.index,
                                        .term = job->meta.term,
                                        .config_index = job->meta.config_index,
                                        .config = job->meta.config};
    struct raft_snap_meta done;
    struct raft_snap_writer *writer = NULL;
    size_t bytes = machine_bytes(w->k.state_pad);
    uint8_t *state = sim_alloc(bytes);
    machine_save(RAFT_BUG(13) ? &n->machine : &job->machine, w->k.state_pad, state);
    size_t half = bytes / 2;
    job->written = 1;
    int result = raft_snap_create(sim_disk_fs(n->disk), &meta, &writer);
    if (result == 0) {
        result = raft_snap_write(writer, 1, state, half);
        result = result != 0 ? result : raft_snap_write(writer, 2, state + half, bytes - half);
        if (result != 0) {
            raft_snap_abort(writer);
        } else {
            result = raft_snap_commit(writer, &done);
        }
    }
    if (result == 0) {
        job->meta.bytes = done.bytes;
        job->meta.snap_id = snap_id_of(meta.term, meta.index);
        memcpy(job->digest, done.digest, sizeof(job->digest));
        check_snapshot(w, n, &job->machine, done.digest);
    }
    job->failed = result;
    free(state);
}

void snap_taken(struct world *w, struct node *n)
{
    struct snap_job *job = &n->take;
    if (!job->active) {
        snap_maybe_take(w, n); /* after one that found no room */
        return;
    }
    if (!job->written) {
        snap_write_job(w, n);
    }
    job->active = 0;
    if (job->failed == -ENOSPC) {
        MARK(w, SNAPSHOT_NO_ROOM);
        n->taken_for = 0;
        host_later(w, n, rng_range(&w->rng_disk, 10 * SIM_MS, 500 * SIM_MS),
                   (struct ev){.kind = EV_SNAP_TAKEN});
        return;
    }
    if (job->failed) {
        if (!n->io_failed) {
            disk_failed(w, n);
        }
        return;
    }
    if (n->install.active || job->meta.index <= n->snap.index) {
        return; /* overtaken by an installed one */
    }
    MARK(w, SNAPSHOT_TAKEN);
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_SNAP_TAKEN,
                                             .node = (uint8_t)n->id,
                                             .a = job->meta.index,
                                             .b = job->meta.term,
                                             .c = job->meta.bytes});
    n->snap = job->meta;
    memcpy(n->snap_digest, job->digest, sizeof(job->digest));
    struct raft_snapshot snap = job->meta;
    uint64_t keep = rng_below(&w->rng_host, 2) * rng_below(&w->rng_host, snap_interval(w));
    keep += w->k.snap_keep;
    if (snap_nearly_full(w, n)) {
        keep = 0;
    }
    struct raft_event ev = {.type = RAFT_EV_SNAP_TAKEN,
                            .snapshot = &snap,
                            .index = snap.index > keep ? snap.index - keep : 0};
    int result = host_step(w, n, &ev);
    if (result != 0 && result != RAFT_EFAULTED) {
        sim_fail(w, "n%u: SNAP_TAKEN at %" PRIu64 " refused: %s", n->id, snap.index,
                 raft_strerror(result));
    }
    if (result == 0 && !w->failed) {
        snap_maybe_take(w, n); /* much may have been applied while the file was written */
    }
}

/* ------------------------------------------------------------------------------------------- */
/* Reading                                                                                       */

int snap_read_state(struct world *w, struct node *n, raft_term term, raft_index index,
                    struct machine *ret_m, struct raft_snap_meta *ret_meta)
{
    struct raft_snap_reader *reader = NULL;
    int result = raft_snap_open(sim_disk_fs(n->disk), SIM_CLUSTER_ID, term, index, &reader);
    if (result != 0) {
        return result;
    }
    size_t cap = machine_bytes(w->k.state_pad);
    uint8_t *state = sim_alloc(cap);
    size_t bytes = 0;
    for (;;) {
        uint8_t type = 0;
        const void *data = NULL;
        int64_t got = raft_snap_next(reader, &type, &data);
        if (got <= 0 || bytes + (uint64_t)got > cap) {
            result = got < 0 ? (int)got : got > 0 ? RAFT_STORE_ECORRUPT : 0;
            break;
        }
        memcpy(state + bytes, data, (size_t)got);
        bytes += (size_t)got;
    }
    *ret_meta = *raft_snap_meta(reader);
    if (result == 0 && (!machine_load(ret_m, w->k.state_pad, state, bytes) ||
                        ret_m->applied != index || ret_m->term != term)) {
        result = RAFT_STORE_ECORRUPT;
    }
    free(state);
    raft_snap_close(reader);
    return result;
}

int snap_attach(struct world *w, struct node *n, struct packet *p)
{
    const struct raft_msg *m = &p->msg;
    if (m->snap_id != snap_id_of(m->log_term, m->index) || m->snap_id == 0) {
        sim_fail(w, "n%u: sends snapshot %" PRIu64 " as index %" PRIu64 " term %" PRIu64, n->id,
                 m->snap_id, m->index, m->log_term);
        return 0;
    }
    if (n->reader_id != m->snap_id) {
        raft_snap_close(n->reader);
        n->reader = NULL;
        n->reader_id = 0;
        if (raft_snap_open(sim_disk_fs(n->disk), SIM_CLUSTER_ID, m->log_term, m->index,
                           &n->reader) != 0) {
            n->reader = NULL;
            return 0; /* deleted meanwhile: the message is not sent */
        }
        n->reader_id = m->snap_id;
    }
    const struct raft_snap_meta *meta = raft_snap_meta(n->reader);
    p->config.index = meta->config_index;
    p->config.config = meta->config;
    if (m->offset + m->count > meta->bytes || m->total != meta->bytes ||
        ((m->flags & RAFT_FLAG_LAST) != 0) != (m->offset + m->count == meta->bytes)) {
        sim_fail(w,
                 "n%u: chunk %" PRIu64 "+%u of a snapshot of %" PRIu64 " bytes (total %" PRIu64 ")",
                 n->id, m->offset, m->count, meta->bytes, m->total);
        return 0;
    }
    return raft_snap_pread(n->reader, p->data, m->count, m->offset) == (int64_t)m->count;
}

/* ------------------------------------------------------------------------------------------- */
/* Receiving                                                                                     */

static void drop_recv(struct node *n)
{
    raft_snap_recv_abort(n->recv);
    n->recv = NULL;
    n->recv_id = 0;
    n->recv_stored = 0;
}

static void reject(struct world *w, struct node *n, uint64_t snap_id)
{
    MARK(w, SNAPSHOT_REJECTED);
    struct raft_event ev = {.type = RAFT_EV_SNAP_REJECTED, .snap_id = snap_id};
    (void)host_step(w, n, &ev);
}

/* A chunk cannot be stored: the transfer must begin again. The core hears of it after this poll. */
static void drop_recv_later(struct world *w, struct node *n)
{
    uint64_t snap_id = n->recv_id;
    drop_recv(n);
    host_later(w, n, disk_latency(w, n),
               (struct ev){.kind = EV_CHUNK_STORED, .a = snap_id, .b = UINT64_MAX});
}

void snap_store_chunk(struct world *w, struct node *n, const struct raft_msg *chunk)
{
    const struct packet *p = n->recv_now;
    if (p == NULL || p->msg.type != RAFT_MSG_SNAPSHOT || p->msg.snap_id != chunk->snap_id ||
        p->msg.offset != chunk->offset || p->msg.count != chunk->count) {
        sim_fail(w, "n%u: told to store chunk %" PRIu64 "+%u, which has not just arrived", n->id,
                 chunk->offset, chunk->count);
        return;
    }
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_CHUNK,
                                             .node = (uint8_t)n->id,
                                             .a = chunk->snap_id,
                                             .b = chunk->offset,
                                             .c = chunk->count,
                                             .d = chunk->total});
    if (n->install.active) {
        sim_fail(w, "n%u: told to store a chunk while a snapshot is being loaded", n->id);
        return;
    }
    if (chunk->offset > 0 && n->recv == NULL) {
        return; /* of a transfer that is being given up: the core will hear of it */
    }
    if (n->recv_id != chunk->snap_id || chunk->offset == 0) {
        drop_recv(n);
        uint64_t have = 0;
        if (raft_snap_recv_open(sim_disk_fs(n->disk), SIM_CLUSTER_ID, chunk->log_term, chunk->index,
                                chunk->total, &n->recv, &have) != 0) {
            n->recv = NULL;
            n->recv_id = chunk->snap_id;
            drop_recv_later(w, n);
            return;
        }
        n->recv_id = chunk->snap_id;
        n->recv_stored = have;
    }
    if (chunk->offset > n->recv_stored) {
        sim_fail(w, "n%u: told to store chunk at %" PRIu64 ", stored through %" PRIu64, n->id,
                 chunk->offset, n->recv_stored);
        return;
    }
    if (raft_snap_recv_write(n->recv, chunk->offset, p->data, p->data_bytes) != 0) {
        drop_recv_later(w, n);
        return;
    }
    w->chunks_stored++;
    if (chunk->offset > 0) {
        MARK(w, SNAPSHOT_CHUNKS);
    }
    if (chunk->offset + chunk->count > n->recv_stored) {
        n->recv_stored = chunk->offset + chunk->count;
    }
    host_later(w, n, disk_latency(w, n),
               (struct ev){.kind = EV_CHUNK_STORED,
                           .a = chunk->snap_id,
                           .b = chunk->offset + chunk->count});
}

void snap_chunk_stored(struct world *w, struct node *n, const struct ev *e)
{
    if (e->b == UINT64_MAX && !n->install.active) {
        if (n->recv_id == e->a) {
            drop_recv(n); /* begun again meanwhile; the core knows of the failure only now */
        }
        reject(w, n, e->a);
        return;
    }
    if (n->recv_id != e->a || n->install.active) {
        return; /* another transfer began meanwhile */
    }
    struct raft_event ev = {.type = RAFT_EV_SNAP_STORED, .snap_id = e->a, .offset = e->b};
    (void)host_step(w, n, &ev); /* the core ignores what it no longer waits for */
}

void snap_begin_install(struct world *w, struct node *n, const struct raft_snapshot *meta)
{
    if (n->install.active || n->recv_id != meta->snap_id || n->recv == NULL) {
        sim_fail(w, "n%u: told to install snapshot %" PRIu64 ", received is %" PRIu64, n->id,
                 meta->snap_id, n->recv_id);
        return;
    }
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_INSTALL_BEGIN,
                                             .node = (uint8_t)n->id,
                                             .a = meta->index,
                                             .b = meta->term});
    n->install = (struct snap_job){.active = 1, .meta = *meta};
    if (n->doomed != 0) {
        host_later(w, n, 0, (struct ev){.kind = EV_CRASH, .a = (uint64_t)n->doomed});
    } else if (rng_chance(&w->rng_host, 400)) {
        snap_load_job(w, n);
    }
    host_later(w, n, 3 * w->k.disk_ns + disk_latency(w, n), (struct ev){.kind = EV_SNAP_LOADED});
}

void snap_load_job(struct world *w, struct node *n)
{
    struct snap_job *job = &n->install;
    struct raft_snap_meta meta;
    job->written = 1;
    job->failed = raft_snap_recv_commit(n->recv, &meta) != 0;
    n->recv = NULL; /* gone either way */
    n->recv_id = 0;
    n->recv_stored = 0;
    if (job->failed) {
        return;
    }
    job->failed = snap_read_state(w, n, job->meta.term, job->meta.index, &job->machine, &meta) != 0;
    memcpy(job->digest, meta.digest, sizeof(job->digest));
    job->meta.bytes = meta.bytes;
    if (!job->failed && (meta.config_index != job->meta.config_index ||
                         memcmp(&meta.config, &job->meta.config, sizeof(meta.config)) != 0)) {
        sim_fail(w, "n%u: snapshot at %" PRIu64 " arrived with another configuration", n->id,
                 meta.index);
    }
}

/* The state machine stands at the snapshot; see to it that the log of payloads agrees. */
static void stand_at(struct world *w, struct node *n, const struct snap_job *job)
{
    raft_index index = job->meta.index;
    client_installed(w, n);
    cfg_restore(n, &job->meta, elog_term(&n->log, index) == job->meta.term);
    if (elog_term(&n->log, index) == job->meta.term) {
        MARK(w, SNAPSHOT_KEPT_SUFFIX);
        elog_trim(&n->log, index);
    } else {
        if (elog_last(&n->log) > n->machine.applied) {
            MARK(w, SNAPSHOT_OVER_CONFLICT);
        }
        elog_reset(&n->log, index, job->meta.term, job->machine.chain);
    }
    n->machine = job->machine;
    client_release_reads(w, n);
    n->commit = index;
    n->snap = job->meta;
    memcpy(n->snap_digest, job->digest, sizeof(job->digest));
}

void snap_loaded(struct world *w, struct node *n)
{
    struct snap_job *job = &n->install;
    if (!job->active) {
        return;
    }
    if (!job->written) {
        snap_load_job(w, n);
    }
    job->active = 0;
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_INSTALL,
                                             .node = (uint8_t)n->id,
                                             .a = job->meta.index,
                                             .b = job->meta.term,
                                             .c = (uint64_t)job->failed});
    if (w->failed || n->io_failed) {
        return;
    }
    if (job->failed) {
        reject(w, n, job->meta.snap_id);
        return;
    }
    check_snapshot(w, n, &job->machine, job->digest);
    check_snapshot_config(w, n, &job->meta);
    if (job->meta.index <= n->machine.applied) {
        sim_fail(w, "n%u: installs a snapshot at %" PRIu64 " over a state at %" PRIu64, n->id,
                 job->meta.index, n->machine.applied);
    }
    if (w->failed) {
        return;
    }
    MARK(w, SNAPSHOT_INSTALLED);
    if (cfg_joint(&job->meta.config) || cfg_joint(&cfg_newest(n)->config)) {
        MARK(w, SNAPSHOT_WHILE_JOINT);
    }
    n->take.active = 0;
    stand_at(w, n, job);
    struct raft_snapshot snap = job->meta;
    struct raft_event ev = {.type = RAFT_EV_SNAP_INSTALLED, .snapshot = &snap};
    int result = host_step(w, n, &ev);
    if (result != 0 && result != RAFT_EFAULTED) {
        sim_fail(w, "n%u: SNAP_INSTALLED at %" PRIu64 " refused: %s", n->id, snap.index,
                 raft_strerror(result));
    }
}

void snap_close(struct node *n)
{
    drop_recv(n);
    raft_snap_close(n->reader);
    n->reader = NULL;
    n->reader_id = 0;
}
