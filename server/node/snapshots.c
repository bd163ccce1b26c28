/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshots.c: sending chunks of the newest snapshot, storing the chunks of a leader's, and standing on it
 * once it is loaded. Taking one is saving.c.
 *
 *   receiving: SNAPSHOT message -> raft -> env->snapshot_store ... node_snapshot_stored -> SNAP_STORED
 *              ... last one -> env->snapshot_load, which reads it into a state of its own beside the loop
 *              ... node_snapshot_loaded -> machine_replace
 *              -> SNAP_INSTALLED (or SNAP_REJECTED, and the leader begins again)
 *
 * Invariants
 *   1. None is begun while one is loaded, and what is being copied of the old state is abandoned.
 *   2. While a snapshot is loaded nothing is applied; afterwards `applied` is its index.
 *   3. The log reaches back to the older of the two newest snapshots, as long as it has room.
 */
#include "server/node/internal.h"

#include <string.h>

void node__snapshots_init(struct node *n, const struct raft_snapshot *boot)
{
    n->snaps.newest = *boot;
}

void node__snapshots_release(struct node *n)
{
    struct snapshots *s = &n->snaps;
    while (s->chunks_count > 0) {
        coord_buf_unref(s->chunks[s->chunks_head].buf);
        s->chunks_head = (s->chunks_head + 1) % NODE_CHUNKS_MAX;
        s->chunks_count--;
    }
    machine_loader_destroy(s->loaded_state);
    s->loaded_state = NULL;
    node__saving_release(n);
    node__digest_drop(n);
}

/* --- sending -------------------------------------------------------------------------------- */

void node__snapshot_send(struct node *n, const struct raft_send *s)
{
    const struct raft_msg *m = &s->msg;
    const struct raft_snapshot *newest = &n->snaps.newest;
    if (node__diverged(n)) {
        return; /* nobody is given a state that may be wrong */
    }
    struct raft_config_at at = {.index = newest->config_index, .config = newest->config};
    if (newest->index != m->index || newest->term != m->log_term) {
        const struct raft_config_at *known = raft_config_at(n->raft, m->index);
        if (known == NULL) {
            return; /* a newer snapshot took its place; raft begins that one */
        }
        at = *known;
    }
    struct coord_buf *head = peer_raft_encode(m, NULL, &at);
    if (head == NULL) {
        return; /* as if the network had lost it */
    }
    n->env.peer_send_chunk(n->env.ctx, m->to, head, m);
    coord_buf_unref(head);
}

/* --- receiving ------------------------------------------------------------------------------ */

void node__chunk_receive(struct node *n, raft_id peer, struct coord_buf *buf)
{
    struct snapshots *s = &n->snaps;
    if (s->chunks_count == NODE_CHUNKS_MAX) {
        coord_buf_unref(buf); /* more than the leader's window: sent again */
        return;
    }
    s->chunks[(s->chunks_head + s->chunks_count) % NODE_CHUNKS_MAX] =
        (struct kept_message){.peer = peer, .buf = buf};
    s->chunks_count++;
}

static void stand_on(struct node *n, const struct raft_snapshot *meta)
{
    struct raft_event ev = {.type = RAFT_EV_SNAP_INSTALLED, .snapshot = meta};
    n->applied = meta->index;
    n->applied_term = meta->term;
    n->commit = meta->index > n->commit ? meta->index : n->commit;
    n->snaps.newest = *meta;
    n->snaps.owed = false;
    n->snaps.retry_at = 0; /* what came to nothing was of the state before */
    n->snaps.entries = 0;
    n->snaps.bytes = 0;
    (void)node__step(n, &ev, NULL); /* only a faulted member refuses it */
    node__log(n, NODE_LOG_INFO, "snapshot installed: revision=%llu term=%llu bytes=%llu",
              (unsigned long long)meta->index, (unsigned long long)meta->term,
              (unsigned long long)meta->bytes);
    node__limits_follow(n);
    node__system_reset(n);
    n->limits.changed = n->applied; /* perhaps there and back again */
    watch_reset(n->hub, meta->index);
    node__digest_replaced(n);
    node__writes_doubt(n);
    node__sessions_reconcile(n);
    if (n->writes.sent_count > 0) {
        node__writes_unsure(n);
    }
    node__conns_ready_blocked(n);
}

static void finish_load(struct node *n)
{
    struct snapshots *s = &n->snaps;
    const char *why = s->loaded_error != 0 ? "the file failed its verification" : NULL;
    s->loading = false;
    s->loaded = false;
    if (why == NULL && s->loaded_meta.index <= n->applied) {
        why = "it is older than the state";
    }
    if (why == NULL && machine_loader_revision(s->loaded_state) != s->loaded_meta.index) {
        why = "its state is of another revision";
    }
    if (why == NULL) {
        node__saving_abandon(n, "another state is loaded");
        node__digest_drop(n);
        machine_replace(n->machine, s->loaded_state);
    }
    machine_loader_destroy(s->loaded_state);
    s->loaded_state = NULL;
    if (why == NULL) {
        stand_on(n, &s->loaded_meta);
        return;
    }
    node__log(n, NODE_LOG_ERROR, "snapshot rejected: revision=%llu why=\"%s\"",
              (unsigned long long)s->loaded_meta.index, why);
    struct raft_event ev = {.type = RAFT_EV_SNAP_REJECTED, .snap_id = s->loaded_meta.snap_id};
    (void)node__step(n, &ev, NULL); /* only a faulted member refuses it */
}

void node__snapshots_receive(struct node *n)
{
    struct snapshots *s = &n->snaps;
    if (s->loaded) {
        finish_load(n);
    }
    while (s->chunks_count > 0) {
        struct kept_message kept = s->chunks[s->chunks_head];
        struct peer *p = node__peer(n, kept.peer);
        struct peer_raft m;
        s->chunks_head = (s->chunks_head + 1) % NODE_CHUNKS_MAX;
        s->chunks_count--;
        NODE_ASSERT(p != NULL);
        node__raft_receive(n, p, kept.buf, &m);
        node__poll(n, m.msg.type != 0 ? &m : NULL);
        coord_buf_unref(kept.buf);
    }
}

void node__snapshot_load(struct node *n, const struct raft_snapshot *meta)
{
    n->snaps.loading = true;
    n->env.snapshot_load(n->env.ctx, meta);
}

void node_snapshot_stored(struct node *n, uint64_t snap_id, uint64_t through, uint64_t now)
{
    n->now = now > n->now ? now : n->now;
    struct raft_event ev = {.type = RAFT_EV_SNAP_STORED, .snap_id = snap_id, .offset = through};
    (void)node__step(n, &ev, NULL); /* a transfer that was given up meanwhile is no concern */
}

void node_snapshot_loaded(struct node *n, const struct raft_snapshot *meta,
                          struct machine_loader *state, int error, uint64_t now)
{
    struct snapshots *s = &n->snaps;
    n->now = now > n->now ? now : n->now;
    if (!s->loading || s->loaded) {
        machine_loader_destroy(state);
        return;
    }
    s->loaded = true;
    s->loaded_error = error == 0 && state == NULL ? COORD_EPROTO : error;
    s->loaded_meta = *meta;
    s->loaded_state = state;
}
