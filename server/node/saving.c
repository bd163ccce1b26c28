/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saving.c: taking a snapshot of the state now and then, in slices between other work (machine/saver.h says
 * how the state stays the one of the beginning while entries are applied).
 *
 *   due -> BEGIN -> a slice a run, its bytes in CHUNKs ... node_snapshot_written for each -> END
 *       ... node_snapshot_saved -> SNAP_TAKEN -> raft says SNAPMARK and forgets the log before it
 *   ABORT instead of END: out of memory, a chunk that could not be written, a disk so slow that what had to
 *   be kept aside grew past its bound, or another state was loaded.
 *
 * Pace: a slice ends after slice_ns by env->clock, which it asks every few records, and after slice_bytes in any
 * case; without a clock, in simulations, after slice_records, so that a run can be repeated. What is saved is the
 * same wherever slices end. The next one follows after a pause, so that a busy member gives at most a fifth of its
 * time; there is none while it has nothing else to do (cadence.c). When much had to be kept aside there is none
 * either, and beyond NODE_SLICE_LONGER the slices grow with it (without a clock at once): memory is worth more then.
 * Since nothing is kept twice, a copy ends under any load. A copy that the growing log overtakes makes no pause
 * either, and does many slices a run (pace.c).
 *
 * Invariants
 *   1. One is taken at a time, and begun only when every chunk of the one before was answered for.
 *   2. At most NODE_SAVE_CHUNKS chunks are on their way to the disk: then the copy waits.
 *   3. A snapshot that could not be saved leaves the log as it was; it is tried again later (D5), or as soon as
 *      it is due once another state was loaded: the file of that one was written meanwhile.
 */
#include "server/node/internal.h"

#include <string.h>

#define RETRY_NS (10 * 1000 * NODE_MS)

/* May one be begun? Whether it is due is for cadence.c. */
static bool possible(const struct node *n)
{
    const struct snapshots *s = &n->snaps;
    return !s->saving && s->writing == 0 && !s->loading && node__stopped(n) == NULL &&
           n->applied > s->newest.index && n->now >= s->retry_at;
}

/* --- the copy ------------------------------------------------------------------------------- */

static void chunk_hand_over(struct node *n)
{
    struct snapshots *s = &n->snaps;
    if (s->chunk == NULL || s->chunk->len == 0) {
        return;
    }
    s->writing++;
    s->pace.bytes += s->chunk->len;
    n->env.snapshot_write(n->env.ctx, NODE_SNAPSHOT_CHUNK, &s->saving_meta, s->chunk);
    coord_buf_unref(s->chunk);
    s->chunk = NULL;
}

/* The saver's bytes, into chunks of one size. */
static void put(void *arg, const void *bytes, size_t len)
{
    struct node *n = arg;
    struct snapshots *s = &n->snaps;
    const uint8_t *at = bytes;
    while (len > 0 && !s->out_of_memory) {
        if (s->chunk == NULL) {
            s->chunk = coord_buf_create(NODE_SAVE_CHUNK_BYTES);
            if (s->chunk == NULL) {
                s->out_of_memory = true;
                return;
            }
        }
        size_t room = NODE_SAVE_CHUNK_BYTES - s->chunk->len;
        size_t some = len < room ? len : room;
        memcpy(s->chunk->data + s->chunk->len, at, some);
        s->chunk->len += (uint32_t)some;
        at += some;
        len -= some;
        if (s->chunk->len == NODE_SAVE_CHUNK_BYTES) {
            chunk_hand_over(n);
        }
    }
}

static void copy_release(struct snapshots *s)
{
    machine_saver_destroy(s->saver);
    s->saver = NULL;
    coord_buf_unref(s->chunk);
    s->chunk = NULL;
    s->out_of_memory = false;
}

void node__saving_abandon(struct node *n, const char *why)
{
    struct snapshots *s = &n->snaps;
    if (s->saver == NULL) {
        return;
    }
    node__log(n, NODE_LOG_ERROR, "snapshot abandoned, the log is kept: revision=%llu why=\"%s\"",
              (unsigned long long)s->saving_meta.index, why);
    copy_release(s);
    n->env.snapshot_write(n->env.ctx, NODE_SNAPSHOT_ABORT, &s->saving_meta, NULL);
    s->saving = false;
    s->owed = true;
    s->retry_at = n->now + RETRY_NS;
}

void node__saving_release(struct node *n)
{
    copy_release(&n->snaps);
}

static void begin(struct node *n)
{
    struct snapshots *s = &n->snaps;
    const struct raft_config_at *config = raft_config_at(n->raft, n->applied);
    if (config == NULL) { /* far behind, and the core remembers only newer ones: later */
        s->retry_at = n->now + RETRY_NS;
        return;
    }
    struct raft_snapshot *meta = &s->saving_meta;
    memset(meta, 0, sizeof(*meta));
    meta->index = n->applied;
    meta->term = n->applied_term;
    meta->config_index = config->index;
    meta->config = config->config;
    /* Another member's file of the same index is another file: a transfer never mixes the two. */
    meta->snap_id = n->applied << 8 | (n->o.raft.id & 0xff);
    const struct machine_sink sink = {n, put};
    if (machine_saver_create(n->machine, &sink, &s->saver) != 0) {
        node__log(n, NODE_LOG_ERROR, "no snapshot: out of memory, revision=%llu",
                  (unsigned long long)n->applied);
        copy_release(s);
        s->retry_at = n->now + RETRY_NS;
        return;
    }
    s->saving = true;
    s->owed = false;
    s->entries = 0;
    s->bytes = 0;
    s->slice_at = n->now;
    node__pace_begin(n);
    node__log(n, NODE_LOG_INFO, "snapshot begun: revision=%llu term=%llu",
              (unsigned long long)meta->index, (unsigned long long)meta->term);
    n->env.snapshot_write(n->env.ctx, NODE_SNAPSHOT_BEGIN, meta, NULL);
}

/* A slice with a clock: when it ends. */
struct slice_end {
    const struct node *n;
    uint64_t at;
};

static bool slice_over(void *arg)
{
    const struct slice_end *end = arg;
    return end->n->env.clock(end->n->env.ctx) >= end->at;
}

static uint64_t slice_factor(const struct node *n, uint64_t images_bytes)
{
    uint64_t unit = n->env.clock != NULL ? NODE_SLICE_LONGER : NODE_SLICE_IMAGES;
    uint64_t factor = 1 + images_bytes / unit;
    return factor < NODE_SLICE_FACTOR_MAX ? factor : NODE_SLICE_FACTOR_MAX;
}

uint64_t node__slice(const struct node *n, struct machine_saver *saver, int *ret_rc)
{
    struct machine_saver_info info;
    struct slice_end end = {.n = n};
    machine_saver_info(saver, &info);
    uint64_t factor = slice_factor(n, info.images_bytes);
    uint64_t records = n->o.slice_records * factor;
    if (n->env.clock != NULL) {
        records = UINT32_MAX;
        end.at = n->env.clock(n->env.ctx) + n->o.slice_ns * factor;
        machine_saver_ask(saver, slice_over, &end);
    }
    *ret_rc = machine_saver_step(saver, records < UINT32_MAX ? (uint32_t)records : UINT32_MAX,
                                 n->o.slice_bytes * factor);
    machine_saver_ask(saver, NULL, NULL);
    bool at_once = info.images_bytes >= NODE_SLICE_IMAGES || node__quiet(n);
    return at_once ? n->now : n->now + NODE_SLICE_PAUSE;
}

static void slice(struct node *n)
{
    struct snapshots *s = &n->snaps;
    struct machine_saver_info info;
    int rc = 1;
    if (n->fault[0] != '\0') {
        node__saving_abandon(n, "the member has stopped");
        return;
    }
    if (s->writing >= NODE_SAVE_CHUNKS) {
        machine_saver_info(s->saver, &info);
        if (info.images_bytes > NODE_SAVE_IMAGES_MAX) {
            node__saving_abandon(n, "the disk is too slow for what changes meanwhile");
        }
        return;
    }
    s->slice_at = node__slice(n, s->saver, &rc);
    n->sliced = true;
    if (s->out_of_memory || rc < 0) {
        node__saving_abandon(n, coord_strerror(s->out_of_memory ? COORD_ENOMEM : rc));
    } else if (rc == 0) {
        chunk_hand_over(n);
        copy_release(s);
        n->env.snapshot_write(n->env.ctx, NODE_SNAPSHOT_END, &s->saving_meta, NULL);
    }
}

/* --- in a run ------------------------------------------------------------------------------- */

void node__saving_begin(struct node *n)
{
    if (possible(n) && node__snapshot_due(n)) {
        begin(n);
    }
}

void node__saving_run(struct node *n)
{
    node__saving_begin(n);
    node__pace_release(n);
    if (n->snaps.saver != NULL && n->now >= n->snaps.slice_at) {
        slice(n);
    }
    for (uint32_t i = 1; i < NODE_SLICES_MAX && node__pace_behind(n); i++) {
        slice(n);
    }
    if (node__pace_behind(n)) {
        n->snaps.slice_at = n->now;
    }
}

uint64_t node__saving_deadline(const struct node *n)
{
    const struct snapshots *s = &n->snaps;
    if (possible(n)) {
        return node__snapshot_due_at(n);
    }
    return s->saver == NULL || s->writing >= NODE_SAVE_CHUNKS ? NODE_NEVER : s->slice_at;
}

/* --- what the disk did ---------------------------------------------------------------------- */

void node_snapshot_written(struct node *n, int error, uint64_t now)
{
    struct snapshots *s = &n->snaps;
    n->now = now > n->now ? now : n->now;
    NODE_ASSERT(s->writing > 0);
    s->writing--;
    if (error != 0) {
        node__saving_abandon(n, "it cannot be written"); /* unless it was before */
    }
}

void node_snapshot_saved(struct node *n, const struct raft_snapshot *meta, int error, uint64_t now)
{
    struct snapshots *s = &n->snaps;
    n->now = now > n->now ? now : n->now;
    s->saving = false;
    if (error != 0) {
        node__log(n, NODE_LOG_ERROR, "snapshot abandoned, the log is kept: revision=%llu error=%d",
                  (unsigned long long)meta->index, error);
        s->owed = true;
        s->retry_at = n->now + RETRY_NS;
        return;
    }
    node__log(n, NODE_LOG_INFO, "snapshot saved: revision=%llu term=%llu bytes=%llu",
              (unsigned long long)meta->index, (unsigned long long)meta->term,
              (unsigned long long)meta->bytes);
    /* The log is kept behind the older of two snapshots, so that a newest file gone bad costs nothing;
     * unless the log has hardly room left. */
    bool tight = n->st.last + 1 - n->st.first >= n->o.raft.log_slots / 4 * 3;
    struct raft_event ev = {.type = RAFT_EV_SNAP_TAKEN,
                            .snapshot = meta,
                            .index = tight ? meta->index : s->newest.index};
    if (node__step(n, &ev, NULL) == 0 && meta->index > s->newest.index) {
        s->newest = *meta;
    }
}
