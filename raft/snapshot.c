/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c: snapshots taken here, sent to a peer, and received from the leader (Raft section 7).
 *
 * Transfer. The leader sends the file in chunks: one at first, then up to chunks_inflight_max beyond
 * what the receiver has stored. The receiver takes chunks in order only and says through which offset
 * it has stored them, so a transfer that broke goes on where it stood, also from another leader that
 * offers the same file (snap_id, index, term, size). A gap is refused with the offset wanted.
 *
 *   receiver:  NONE -> CHUNKS -> STORED -> INSTALLING -> NONE
 *     CHUNKS      chunks go to the host (snap_chunk), which says SNAP_STORED
 *     STORED      the file is complete: snap_install leaves with the next round
 *     INSTALLING  the host verifies and loads it; the log waits, no APPEND is taken, no election
 *                 begun, until SNAP_INSTALLED or SNAP_REJECTED
 *
 * Only one chunk may wait for a round: a host polls after each SNAPSHOT message it hands in.
 *
 * Installing replaces log, configuration and waiting proposals as one: when the entry at the
 * snapshot's index has the snapshot's term, what follows is kept, otherwise the whole log goes.
 * The closing reply waits until the mark in the log is durable.
 *
 * Thread: the owner of the member. Invariants:
 *   1. stored <= accepted <= bytes of the snapshot being received.
 *   2. The commit index does not move while a snapshot is being installed.
 */
#include "raft/internal.h"

int raft__snapshot_valid(const struct raft_snapshot *s)
{
    return s != NULL && s->index > 0 && s->index <= RAFT__INDEX_MAX && s->term > 0 &&
           s->term <= RAFT__TERM_MAX && s->config_index <= s->index &&
           raft__config_valid(&s->config);
}

/* --- taken here ----------------------------------------------------------------------------- */

static int same_config(const struct raft_config *a, const struct raft_config *b)
{
    if (a->count != b->count) {
        return 0;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->members[i].id != b->members[i].id || a->members[i].roles != b->members[i].roles) {
            return 0;
        }
    }
    return 1;
}

int raft__snap_taken(struct raft *r, const struct raft_event *ev)
{
    const struct raft_snapshot *s = ev->snapshot;
    if (!raft__snapshot_valid(s) || s->index > r->applied) {
        return RAFT_EINVAL;
    }
    if (s->index < r->snapshot.index) {
        return 0; /* a newer one was installed while this was being written */
    }
    /* What was in force there may be forgotten, when it took long and many changes followed. */
    const struct raft_config_at *c = raft_config_at(r, s->index);
    if (raft__log_term(r, s->index) != s->term ||
        (c != NULL && (c->index != s->config_index || !same_config(&c->config, &s->config)))) {
        return RAFT_EINVAL; /* a snapshot that forgets a member would split the group later */
    }
    memcpy(&r->snapshot, s, sizeof(*s));
    r->compact_to = raft__max(r->compact_to, raft__min(ev->index, s->index));
    r->mark_taken = 1;
    return 0;
}

void raft__snap_make_room(struct raft *r)
{
    if (raft__log_room(r) > raft__log_reserve(r) || r->snapshot.index <= r->base ||
        raft__rx_installing(r)) {
        return;
    }
    /* Entries kept behind the snapshot only spare slow followers a transfer. With nothing more to
     * commit no newer snapshot would come, and a group of full logs never commit again. */
    r->compact_to = r->snapshot.index;
    r->mark_taken = 1;
}

/* --- sending -------------------------------------------------------------------------------- */

static int send_chunk(struct raft *r, struct raft__peer *p)
{
    struct raft_send *s = raft__send(r, RAFT_MSG_SNAPSHOT, p->id);
    if (s == NULL) {
        return 0;
    }
    uint64_t left = p->snap_total - p->snap_next;
    s->msg.count = left < r->o.chunk_bytes ? (uint32_t)left : r->o.chunk_bytes;
    s->bytes = s->msg.count;
    s->msg.seq = raft__next_seq(r);
    s->msg.index = p->snap_index;
    s->msg.log_term = p->snap_term;
    s->msg.snap_id = p->snap_id;
    s->msg.offset = p->snap_next;
    s->msg.total = p->snap_total;
    p->snap_next += s->msg.count;
    s->msg.flags = p->snap_next == p->snap_total ? RAFT_FLAG_LAST : 0;
    return 1;
}

/* Where to look for the peer's log when a transfer ended without a word. */
static raft_index probe_after(const struct raft *r, const struct raft__peer *p)
{
    return raft__max(p->snap_index, r->base) + 1;
}

void raft__send_chunks(struct raft *r, struct raft__peer *p)
{
    RAFT_INVARIANT(p->state == RAFT__SNAPSHOT);
    if (r->now >= p->retry_at) {
        raft__peer_probe(r, p, probe_after(r, p), r->now);
        return;
    }
    uint64_t window = (uint64_t)r->o.chunk_bytes * (p->snap_open ? r->o.chunks_inflight_max : 1);
    while (p->snap_next < p->snap_total && p->snap_next - p->snap_acked < window) {
        if (!send_chunk(r, p)) {
            return;
        }
    }
}

/* The receiver asks for another offset than the next. */
static void rewind_chunks(struct raft *r, struct raft__peer *p, uint64_t offset)
{
    if (offset == 0 && p->snap_acked > 0) {
        /* It threw the file away: begin again, but not in a hurry. */
        raft__peer_probe(r, p, probe_after(r, p), raft__after(r->now, raft__retry_ns(r)));
        return;
    }
    p->snap_next = p->snap_acked = offset;
    p->min_seq = r->seq + 1; /* refusals of chunks already on their way say the same */
    p->snap_open = 1;
}

void raft__handle_snapshot_reply(struct raft *r, const struct raft_msg *m)
{
    struct raft__peer *p = raft__peer_find(r, m->from);
    if (r->role != RAFT_LEADER || p == NULL || m->seq > r->seq || m->seq == 0) {
        r->ignored++;
        return;
    }
    raft__contact(r, p, m);
    if (m->seq < p->min_seq || p->state != RAFT__SNAPSHOT || m->snap_id != p->snap_id ||
        m->index != p->snap_index || m->offset > p->snap_total) {
        return;
    }
    if ((m->flags & RAFT_FLAG_REJECT) != 0) {
        rewind_chunks(r, p, m->offset);
        return;
    }
    if (m->offset == p->snap_total) {
        raft__peer_agrees(r, p, p->snap_index, p->snap_index);
        return;
    }
    if ((m->offset > p->snap_acked || !p->snap_open) && !RAFT_BUG(31)) {
        p->retry_at = raft__after(r->now, 2 * r->o.election_max);
    }
    p->snap_open = 1;
    p->snap_acked = m->offset > p->snap_acked ? m->offset : p->snap_acked;
    p->snap_next = p->snap_next > p->snap_acked ? p->snap_next : p->snap_acked;
}

/* --- receiving ------------------------------------------------------------------------------ */

static int chunk_sane(const struct raft_event *ev)
{
    const struct raft_msg *m = ev->msg;
    int last = (m->flags & RAFT_FLAG_LAST) != 0;
    return m->index > 0 && m->index <= RAFT__INDEX_MAX && m->log_term > 0 &&
           m->log_term <= m->term && m->snap_id != 0 && m->count > 0 && m->total > 0 &&
           m->offset < m->total && m->count <= m->total - m->offset &&
           (m->offset + m->count == m->total) == last && ev->configs_count == 1 &&
           ev->configs != NULL && ev->configs[0].index <= m->index &&
           raft__config_valid(&ev->configs[0].config);
}

static int same_snapshot(const struct raft__rx *x, const struct raft_msg *m)
{
    return x->phase != RAFT__RX_NONE && x->snapshot.index == m->index &&
           x->snapshot.term == m->log_term && x->snapshot.snap_id == m->snap_id &&
           x->snapshot.bytes == m->total;
}

static void begin_receiving(struct raft *r, const struct raft_event *ev)
{
    struct raft__rx *x = &r->rx;
    const struct raft_msg *m = ev->msg;
    const struct raft_config_at *c = &ev->configs[0];
    memset(&x->snapshot, 0, sizeof(x->snapshot));
    x->snapshot.index = m->index;
    x->snapshot.term = m->log_term;
    x->snapshot.snap_id = m->snap_id;
    x->snapshot.bytes = m->total;
    x->snapshot.config_index = c->index;
    x->snapshot.config.count = c->config.count;
    memcpy(x->snapshot.config.members, c->config.members,
           c->config.count * sizeof(c->config.members[0]));
    x->accepted = x->stored = 0;
    x->chunk_due = 0;
    x->reply_due = 0;
    x->phase = RAFT__RX_CHUNKS;
}

/* What the snapshot holds is committed here already: say so, once it is durable. */
static void have_already(struct raft *r, const struct raft_msg *m)
{
    struct raft__rx *x = &r->rx;
    r->verified = raft__max(r->verified, r->commit);
    x->done_to = m->from;
    x->done_seq = m->seq;
    x->done_index = m->index;
    x->done_id = m->snap_id;
    x->done_total = m->total;
}

void raft__handle_snapshot(struct raft *r, const struct raft_event *ev)
{
    struct raft__rx *x = &r->rx;
    const struct raft_msg *m = ev->msg;
    if (!chunk_sane(ev)) {
        r->ignored++;
        return;
    }
    if (raft__rx_installing(r)) {
        if (same_snapshot(x, m)) {
            x->from = m->from;
            x->seq = m->seq;
        }
        return; /* the host is busy with one; the leader asks again */
    }
    if (m->index <= r->commit) {
        have_already(r, m);
        return;
    }
    if (!same_snapshot(x, m)) {
        if (x->phase == RAFT__RX_CHUNKS && x->from == m->from && x->seq > m->seq) {
            return; /* late: of a transfer that the leader gave up for this one */
        }
        begin_receiving(r, ev);
    }
    x->from = m->from;
    x->seq = m->seq;
    if (m->offset != x->accepted) {
        x->reply_due = m->offset > x->accepted ? 2 : 1;
        return;
    }
    if (x->chunk_due) {
        return; /* as if lost: the host did not poll in between */
    }
    memcpy(&x->chunk, m, sizeof(*m));
    x->chunk_due = 1;
    x->accepted += m->count;
}

int raft__snap_stored(struct raft *r, const struct raft_event *ev)
{
    struct raft__rx *x = &r->rx;
    if (x->phase != RAFT__RX_CHUNKS || ev->snap_id != x->snapshot.snap_id) {
        return 0; /* of a transfer that was given up */
    }
    if (ev->offset > x->accepted) {
        return RAFT_EINVAL;
    }
    x->stored = ev->offset > x->stored ? ev->offset : x->stored;
    if (x->stored == x->snapshot.bytes) {
        x->phase = RAFT__RX_STORED;
    } else if (x->reply_due == 0) {
        x->reply_due = 1;
    }
    return 0;
}

int raft__snap_installed(struct raft *r, const struct raft_event *ev)
{
    struct raft__rx *x = &r->rx;
    const struct raft_snapshot *s = ev->snapshot;
    if (x->phase != RAFT__RX_INSTALLING || !raft__snapshot_valid(s) ||
        s->index != x->snapshot.index || s->term != x->snapshot.term ||
        s->config_index != x->snapshot.config_index ||
        !same_config(&s->config, &x->snapshot.config)) {
        return RAFT_EINVAL;
    }
    RAFT_INVARIANT(r->role != RAFT_LEADER);
    RAFT_INVARIANT(s->index > r->commit);
    int kept = raft__log_restore(r, s);
    raft__trace(r, RAFT_TRACE_INSTALLED, (struct raft__note){.a = s->index, .b = (uint64_t)kept});
    raft__commit_to(r, s->index);
    r->applied = s->index;
    r->verified = raft__max(r->verified, s->index);
    r->mark_install = 1;
    r->mark_taken = 0;
    x->phase = RAFT__RX_NONE;
    x->done_to = x->from;
    x->done_seq = x->seq;
    x->done_index = s->index;
    x->done_id = x->snapshot.snap_id;
    x->done_total = x->snapshot.bytes;
    return 0;
}

int raft__snap_rejected(struct raft *r, const struct raft_event *ev)
{
    struct raft__rx *x = &r->rx;
    if (x->phase == RAFT__RX_NONE || ev->snap_id != x->snapshot.snap_id) {
        return 0;
    }
    x->phase = RAFT__RX_CHUNKS;
    x->accepted = x->stored = 0;
    x->chunk_due = 0;
    x->reply_due = 2;
    return 0;
}

/* --- rounds --------------------------------------------------------------------------------- */

static void reply_progress(struct raft *r)
{
    struct raft__rx *x = &r->rx;
    struct raft_send *s = raft__send(r, RAFT_MSG_SNAPSHOT_REPLY, r->leader);
    if (s == NULL) {
        return;
    }
    s->msg.seq = x->seq;
    s->msg.index = x->snapshot.index;
    s->msg.snap_id = x->snapshot.snap_id;
    s->msg.flags = x->reply_due == 2 ? RAFT_FLAG_REJECT : 0;
    s->msg.offset = x->reply_due == 2 ? x->accepted : x->stored;
    x->reply_due = 0;
}

static void reply_done(struct raft *r)
{
    struct raft__rx *x = &r->rx;
    struct raft_send *s = raft__send(r, RAFT_MSG_SNAPSHOT_REPLY, x->done_to);
    if (s == NULL) {
        return;
    }
    s->msg.seq = x->done_seq;
    s->msg.index = x->done_index;
    s->msg.snap_id = x->done_id;
    s->msg.offset = x->done_total;
    x->done_to = 0;
}

/* The entries arrived by themselves while the file was on its way: it is of no use any more. */
static void give_up_overtaken(struct raft *r)
{
    struct raft__rx *x = &r->rx;
    int waits = x->phase == RAFT__RX_CHUNKS || x->phase == RAFT__RX_STORED;
    if (!waits || x->snapshot.index > r->commit || RAFT_BUG(58)) {
        return;
    }
    x->phase = RAFT__RX_NONE;
    x->chunk_due = 0;
    x->reply_due = 0;
    x->done_to = x->from;
    x->done_seq = x->seq;
    x->done_index = x->snapshot.index;
    x->done_id = x->snapshot.snap_id;
    x->done_total = x->snapshot.bytes;
}

void raft__rx_round(struct raft *r)
{
    struct raft__rx *x = &r->rx;
    give_up_overtaken(r);
    if (x->chunk_due) {
        memcpy(&r->chunk_out, &x->chunk, sizeof(x->chunk));
        x->chunk_due = 0;
    }
    if (x->phase == RAFT__RX_STORED) {
        memcpy(&r->install_out, &x->snapshot, sizeof(x->snapshot));
        x->phase = RAFT__RX_INSTALLING;
    }
    if (r->role != RAFT_FOLLOWER || r->leader == 0) {
        return;
    }
    if (x->phase == RAFT__RX_CHUNKS && x->reply_due != 0 && x->from == r->leader) {
        reply_progress(r);
    }
    if (x->done_to == r->leader && raft__term_durable(r) && r->stable >= x->done_index) {
        reply_done(r);
    }
}
