/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leader.c: what only a leader does besides replicating: begin its term, take proposals, hand
 * leadership over (thesis 3.10), and notice that it leads no more. Changing who the members are is
 * change.c's.
 *
 * A leader steps down, and with that all its traffic stops, when no quorum answered a request that
 * left within election_min (thesis 6.2), or when its disk has been silent for disk_stall. Contact is
 * dated by when the request left, not by when its answer came: an old answer is no news.
 *
 * Thread: the owner of the member. Invariants:
 *   1. The first entry of a term is the leader's own NOOP; nothing is committed or read before it.
 *   2. uncommitted_bytes is the sum of the entries after the commit index.
 */
#include "raft/internal.h"

void raft__become_leader(struct raft *r)
{
    RAFT_INVARIANT(r->role == RAFT_CANDIDATE);
    RAFT_INVARIANT(r->durable_term == r->term && r->durable_vote == r->o.id);
    RAFT_INVARIANT(raft__quorum_has(r, r->votes));
    if (raft__log_room(r) == 0 || raft__rx_installing(r)) {
        /* Has no place for its first entry, or its state is being replaced by the host: what could
         * not stand for election may not win one either. */
        raft__become_follower(r, r->term, 0);
        return;
    }
    raft__trace(r, RAFT_TRACE_LEADER, (struct raft__note){.a = r->term, .b = r->last});
    r->role = RAFT_LEADER;
    r->leader = r->o.id;
    r->election_at = RAFT__NEVER;
    r->lead_since = r->now;
    r->beat_at = raft__after(r->now, r->o.heartbeat);
    r->seq = r->round_seq = 0;
    r->samples_head = r->samples_count = 0;
    r->leader_ready = 0;
    r->transfer_to = 0;
    r->transfer_stall = 0;
    r->transfer_sent = 0;
    r->leaving = 0;
    r->uncommitted_bytes = 0;
    r->rx.phase = RAFT__RX_NONE; /* what was received of a snapshot has no use any more */
    r->rx.chunk_due = 0;
    for (raft_index i = r->commit + 1; i <= r->last; i++) {
        r->uncommitted_bytes += raft__entry(r, i)->bytes;
    }
    for (uint32_t i = 0; i < r->peers_count; i++) {
        raft__peer_reset(r, &r->peers[i], r->last + 1);
        r->peers[i].beat_due = 1;
    }
    if (!RAFT_BUG(42)) {
        raft__log_append(r, r->term, 0, RAFT_ENTRY_NOOP);
    }
    raft__advance_commit(r);
}

int raft__propose(struct raft *r, const struct raft_event *ev, struct raft_accept *accept)
{
    uint64_t bytes = 0;
    if (r->role != RAFT_LEADER) {
        return RAFT_ENOTLEADER;
    }
    if (r->transfer_to != 0) {
        return RAFT_ETRANSFER;
    }
    if (r->disk_full) {
        return RAFT_ENOSPACE;
    }
    if (ev->count == 0 || ev->entries == NULL) {
        return RAFT_EINVAL;
    }
    if ((uint64_t)ev->count + raft__log_reserve(r) > raft__log_room(r)) {
        return RAFT_EFULL;
    }
    for (uint32_t i = 0; i < ev->count; i++) {
        bytes += ev->entries[i].bytes;
    }
    if (r->uncommitted_bytes > 0 && r->uncommitted_bytes + bytes > r->o.uncommitted_bytes_max) {
        return RAFT_EFULL;
    }
    raft_index first = r->last + 1;
    for (uint32_t i = 0; i < ev->count; i++) {
        raft__log_append(r, r->term, ev->entries[i].bytes, RAFT_ENTRY_COMMAND);
    }
    r->uncommitted_bytes += bytes;
    r->own_first = r->own_first == 0 ? first : r->own_first;
    r->own_last = r->last;
    raft__accept(accept, r->term, first, 0, ev->count);
    return 0;
}

/* --- contact -------------------------------------------------------------------------------- */

/* When request seq left, or a little earlier. Return: 0 when that is too long ago to know. */
static raft_ns sent_at(const struct raft *r, raft_seq seq)
{
    for (uint32_t i = r->samples_count; i > 0; i--) {
        const struct raft__sample *s = &r->samples[(r->samples_head + i - 1) % RAFT__SAMPLES];
        if (s->seq <= seq) {
            return s->at;
        }
    }
    return 0;
}

void raft__contact(struct raft *r, struct raft__peer *p, const struct raft_msg *m)
{
    RAFT_INVARIANT(m->seq <= r->seq);
    p->stalled = (m->flags & RAFT_FLAG_STALLED) != 0;
    if ((m->flags & RAFT_FLAG_REJECT) == 0) {
        p->waits = (m->flags & RAFT_FLAG_WAITS) != 0;
    }
    if (m->seq <= p->acked_seq) {
        return;
    }
    p->acked_seq = m->seq;
    raft_ns at = sent_at(r, m->seq);
    p->contact = at > p->contact ? at : p->contact;
    if (r->reads_count > 0) {
        raft__reads_confirm(r);
    }
}

raft_ns raft__quorum_heard(const struct raft *r)
{
    uint64_t at[RAFT_NODES_MAX];
    for (uint32_t i = 0; i < r->peers_count; i++) {
        at[i] = i == r->self ? r->now : r->peers[i].contact;
    }
    return raft__quorum_value(r, at);
}

raft_ns raft__quorum_contact(const struct raft *r)
{
    raft_ns quorum = raft__quorum_heard(r);
    return quorum > r->campaign_at ? quorum : r->campaign_at; /* a quorum voted after that */
}

/* When this leader must give up unless more answers come. */
static raft_ns lease_end(const struct raft *r)
{
    raft_ns from = raft__quorum_contact(r);
    from = from > r->lead_since ? from : r->lead_since;
    return RAFT_BUG(33) ? RAFT__NEVER : raft__after(from, r->o.election_min);
}

/* --- transfer ------------------------------------------------------------------------------- */

static int fit_target(const struct raft *r, uint32_t slot)
{
    const struct raft__peer *p = &r->peers[slot];
    return slot != r->self && (r->voters >> slot & 1) != 0 &&
           (p->roles & (RAFT_DEMOTE | RAFT_REMOVE)) == 0 && p->link != RAFT__LINK_DOWN &&
           !p->stalled && raft__active(r, p);
}

/* The reachable voter that holds most. Return: its id, or 0. */
static raft_id best_target(const struct raft *r)
{
    const struct raft__peer *best = NULL;
    for (uint32_t i = 0; i < r->peers_count; i++) {
        if (fit_target(r, i) && (best == NULL || r->peers[i].match > best->match)) {
            best = &r->peers[i];
        }
    }
    return best == NULL ? 0 : best->id;
}

static void begin_transfer(struct raft *r, raft_id to)
{
    RAFT_INVARIANT(r->role == RAFT_LEADER && to != 0);
    r->transfer_to = to;
    r->transfer_until = RAFT_BUG(35) ? RAFT__NEVER : raft__after(r->now, r->o.election_max);
    r->transfer_told = 0;
    raft__trace(r, RAFT_TRACE_TRANSFER, (struct raft__note){.peer = to, .a = 1});
}

int raft__transfer(struct raft *r, raft_id peer)
{
    if (r->role != RAFT_LEADER) {
        return RAFT_ENOTLEADER;
    }
    if (r->transfer_to != 0) {
        return RAFT_EBUSY;
    }
    raft_id to = peer != 0 ? peer : best_target(r);
    struct raft__peer *p = raft__peer_find(r, to);
    if (to == 0 || p == NULL || to == r->o.id || (p->roles & RAFT_VOTER) == 0) {
        return RAFT_EINVAL;
    }
    begin_transfer(r, to);
    return 0;
}

void raft__transfer_round(struct raft *r)
{
    if (r->transfer_to == 0 || r->transfer_told) {
        return;
    }
    const struct raft__peer *p = raft__peer_find(r, r->transfer_to);
    if (p == NULL || (p->match != r->last && !RAFT_BUG(35))) {
        return;
    }
    struct raft_send *s = raft__send(r, RAFT_MSG_TIMEOUT_NOW, p->id);
    if (s != NULL) {
        s->msg.seq = raft__next_seq(r);
        s->msg.index = r->last;
        s->msg.log_term = r->last_term;
        r->transfer_told = 1;
        r->transfer_sent = 1;
        raft__trace(r, RAFT_TRACE_TRANSFER, (struct raft__note){.peer = p->id, .a = 2});
    }
}

static void end_transfer(struct raft *r)
{
    raft__trace(r, RAFT_TRACE_TRANSFER, (struct raft__note){.peer = r->transfer_to, .a = 3});
    r->transfer_to = 0;
}

void raft__hand_over(struct raft *r)
{
    RAFT_INVARIANT(r->role == RAFT_LEADER);
    RAFT_INVARIANT(r->self == RAFT__NO_SLOT || (r->voters >> r->self & 1) == 0);
    if (r->transfer_to != 0) {
        return; /* under way already; comes here again if it fails */
    }
    raft_id to = best_target(r);
    if (to == 0) {
        raft__step_down(r, 3);
        return;
    }
    r->leaving = 1;
    begin_transfer(r, to);
}

/* --- time ----------------------------------------------------------------------------------- */

/* Alone, a leader with a slow disk is still the best there is. */
static int may_yield(const struct raft *r)
{
    return r->self == RAFT__NO_SLOT || !raft__quorum_has(r, (uint32_t)1 << r->self);
}

/* The disk is stalled: give the group a leader whose disk works. */
static void yield_stalled(struct raft *r)
{
    if (r->transfer_to != 0) {
        return; /* under way already; its end decides */
    }
    raft_id to = r->transfer_stall ? 0 : best_target(r);
    if (to == 0) {
        raft__step_down(r, 2);
        return;
    }
    r->transfer_stall = 1;
    begin_transfer(r, to);
}

/* The disk is full: lead on, for reads, unless somebody who has room can. Not at once: disks that fill
 * up do so together, and who else is full is known from the next answers only. */
static void yield_full(struct raft *r)
{
    if (r->now < raft__after(r->full_at, r->o.election_min)) {
        return;
    }
    raft_id to = r->transfer_to != 0 ? 0 : best_target(r);
    if (to != 0) {
        begin_transfer(r, to);
    }
}

void raft__leader_tick(struct raft *r)
{
    RAFT_INVARIANT(r->role == RAFT_LEADER);
    if (r->now >= lease_end(r)) {
        raft__step_down(r, 1);
        return;
    }
    if (r->transfer_to != 0 && r->now >= r->transfer_until) {
        end_transfer(r);
        if (r->leaving) {
            raft__step_down(r, 3);
            return;
        }
    }
    if (!raft__io_stalled(r)) {
        r->transfer_stall = 0;
    } else if (may_yield(r)) {
        yield_stalled(r);
        if (r->role != RAFT_LEADER) {
            return;
        }
    }
    if (r->disk_full && may_yield(r)) {
        yield_full(r);
    }
    if (r->now >= r->beat_at) {
        r->beat_at = raft__after(r->now, r->o.heartbeat);
        r->round_seq = r->seq;
        r->transfer_told = 0; /* TIMEOUT_NOW may be lost: say it again */
        for (uint32_t i = 0; i < r->peers_count; i++) {
            r->peers[i].beat_due = 1;
        }
    }
}

raft_ns raft__leader_deadline(const struct raft *r)
{
    raft_ns at = lease_end(r);
    raft_ns stall = raft__io_stall_at(r);
    at = r->beat_at < at ? r->beat_at : at;
    if (r->transfer_to != 0) {
        at = r->transfer_until < at ? r->transfer_until : at;
    } else if (may_yield(r)) {
        at = stall < at ? stall : at;
    }
    for (uint32_t i = 0; i < r->peers_count; i++) {
        const struct raft__peer *p = &r->peers[i];
        if (i != r->self) {
            at = p->retry_at < at ? p->retry_at : at;
            at = p->tell_at < at ? p->tell_at : at;
        }
    }
    return at;
}
