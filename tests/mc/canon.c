/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canon.c: one form for equal situations of the core.
 *
 * Two blocks may differ in bytes and yet have the same future: their clocks show different times,
 * their write numbers began elsewhere, their rings are turned, and what is over has left traces. Here
 * a block, taken between two rounds, is rewritten into the form all of them share:
 *
 *   1. The clock shows MC_NOW; times move with it. A time longer ago than any option counts becomes
 *      "long ago". 0 (never) and the end of time stay.
 *   2. Write numbers begin after 0. Rings begin at slot 0, unused slots are zero.
 *   3. Fields that are set before they are read again hold one value: a leader's while it does not
 *      lead, a campaign's while there is none, those of a transfer that is over, and statistics. What
 *      a leader must reset holds a harmful one, so that the rules notice if it does not.
 *   4. The random generator stands where the caller says (the member's boot), so that one draw more
 *      or less makes no other member. The options leave it nothing that matters for safety.
 *
 * That the rewritten member behaves as the original is itself tested: main.c runs both side by side.
 * This file knows struct raft (raft/internal.h); the rest of the checker does not.
 */
#include "raft/internal.h"
#include "tests/mc/mc.h"

#define POISON ((uint64_t)1 << 40)

/* Member of time: 0 and the end stay. */
static raft_ns moved(const struct raft *r, raft_ns at)
{
    const raft_ns old = mc_long_ns();
    if (at == 0 || at == RAFT__NEVER) {
        return at;
    }
    if (at + old < r->now) {
        return MC_NOW - old;
    }
    return at > r->now ? MC_NOW + (at - r->now) : MC_NOW - (r->now - at);
}

static void turn_io(struct raft *r)
{
    struct raft__io io[RAFT_IO_MAX];
    uint64_t done = r->io_done;
    for (uint32_t i = 0; i < r->io_count; i++) {
        io[i] = r->io[(r->io_head + i) % RAFT_IO_MAX];
        io[i].seq -= done;
        io[i].at = moved(r, io[i].at);
    }
    memcpy(r->io, io, r->io_count * sizeof(io[0]));
    memset(r->io + r->io_count, 0, (RAFT_IO_MAX - r->io_count) * sizeof(io[0]));
    r->io_head = 0;
    r->io_seq -= done;
    r->io_done = 0;
}

static void turn_samples(struct raft *r)
{
    struct raft__sample samples[RAFT__SAMPLES];
    for (uint32_t i = 0; i < r->samples_count; i++) {
        samples[i] = r->samples[(r->samples_head + i) % RAFT__SAMPLES];
        samples[i].at = moved(r, samples[i].at);
    }
    memcpy(r->samples, samples, r->samples_count * sizeof(samples[0]));
    memset(r->samples + r->samples_count, 0,
           (RAFT__SAMPLES - r->samples_count) * sizeof(samples[0]));
    r->samples_head = 0;
}

static void turn_reads(struct raft *r)
{
    struct raft__read reads[MC_READS * 2];
    RAFT_INVARIANT(r->o.reads_max <= MC_READS * 2);
    for (uint32_t i = 0; i < r->reads_count; i++) {
        reads[i] = *raft__read_at(r, i);
        reads[i].at = moved(r, reads[i].at);
    }
    r->reads_head = 0;
    struct raft__read *ring = raft__read_at(r, 0);
    memset(ring, 0, r->o.reads_max * sizeof(ring[0]));
    memcpy(ring, reads, r->reads_count * sizeof(ring[0]));
    struct raft_read *results = (struct raft_read *)(void *)((char *)r + r->results_offset);
    memset(results + r->results_count, 0, (r->o.reads_max - r->results_count) * sizeof(results[0]));
}

/* The windows of peers, each in the lane of its peer's slot; a leader's only. */
static void turn_windows(struct raft *r)
{
    struct raft__inflight live[RAFT_NODES_MAX][MC_INFLIGHT];
    uint32_t max = r->o.inflight_msgs_max;
    RAFT_INVARIANT(max <= MC_INFLIGHT);
    memset(live, 0, sizeof(live));
    for (uint32_t i = 0; i < r->peers_count; i++) {
        struct raft__peer *p = &r->peers[i];
        struct raft__inflight *w = raft__window(r, p);
        for (uint32_t k = 0; k < p->inflight_count; k++) {
            live[i][k] = w[(p->inflight_head + k) % max];
        }
        p->inflight_head = 0;
        p->lane = i;
    }
    struct raft__inflight *all = (struct raft__inflight *)(void *)((char *)r + r->inflight_offset);
    for (uint32_t i = 0; i < RAFT_NODES_MAX; i++) {
        memcpy(all + (size_t)i * max, live[i], max * sizeof(live[i][0]));
    }
}

static void clear_log(struct raft *r)
{
    for (raft_index i = 0; i < r->o.log_slots; i++) {
        raft_index at = r->base + 1 + i;
        if (at > r->last) {
            memset(raft__slot(r, at), 0, sizeof(struct raft_entry));
        }
    }
    memset(r->configs + r->configs_count, 0,
           (RAFT_CONFIGS_MAX - r->configs_count) * sizeof(r->configs[0]));
}

static void clear_rx(struct raft *r)
{
    struct raft__rx *x = &r->rx;
    if (x->phase == RAFT__RX_NONE) {
        memset(&x->snapshot, 0, sizeof(x->snapshot));
        x->accepted = x->stored = 0;
        x->seq = 0;
        x->from = 0;
        x->reply_due = 0;
    }
    if (!x->chunk_due) {
        memset(&x->chunk, 0, sizeof(x->chunk));
    }
    if (x->done_to == 0) {
        x->done_seq = x->done_id = x->done_total = 0;
        x->done_index = 0;
    }
}

/* Of a peer, as a leader sees it. */
static void canon_peer(struct raft *r, struct raft__peer *p, int leads)
{
    p->heard = 0; /* told in the status only */
    p->appended = 0;
    if (leads) {
        p->contact = moved(r, p->contact);
        p->retry_at = moved(r, p->retry_at);
        p->round_at = moved(r, p->round_at);
        p->vote_due = 0;
        if (p->state != RAFT__SNAPSHOT) {
            p->snap_id = p->snap_total = p->snap_next = p->snap_acked = 0;
            p->snap_index = 0;
            p->snap_term = 0;
            p->snap_open = 0;
        }
        return;
    }
    struct raft__peer kept = *p;
    memset(p, 0, sizeof(*p));
    p->id = kept.id;
    p->roles = kept.roles;
    p->link = kept.link;
    p->lane = kept.lane;
    p->vote_due = r->role == RAFT_FOLLOWER ? 0 : kept.vote_due;
    p->match = p->next = p->sent_commit = p->stream_from = POISON;
    p->min_seq = p->append_seq = p->acked_seq = POISON;
    p->contact = p->round_at = MC_NOW;
    p->stalled = p->caught_up = 1;
}

static void canon_role(struct raft *r)
{
    int leads = r->role == RAFT_LEADER;
    int asks = r->role == RAFT_PRECANDIDATE || r->role == RAFT_CANDIDATE;
    for (uint32_t i = 0; i < r->peers_count; i++) {
        canon_peer(r, &r->peers[i], leads);
    }
    if (!leads) {
        r->seq = r->round_seq = POISON;
        r->lead_since = MC_NOW;
        r->beat_at = RAFT__NEVER;
        r->leader_ready = 1;
        r->transfer_to = 0;
        r->transfer_stall = r->transfer_sent = r->leaving = 1;
        r->samples_count = 0;
        r->uncommitted_bytes = POISON;
    } else {
        r->beat_at = moved(r, r->beat_at);
        r->lead_since = moved(r, r->lead_since);
    }
    if (!leads || r->transfer_to == 0) {
        r->transfer_until = 0;
        r->transfer_told = 0;
    }
    if (!asks) {
        r->votes = r->rejects = 0;
        r->own_vote = 0;
        r->transfer_vote = 0;
    }
    r->campaign_at = asks || leads ? moved(r, r->campaign_at) : 0;
    r->transfer_until = moved(r, r->transfer_until);
    r->election_at = moved(r, r->election_at);
    if (!mc_loyal(r)) {
        r->sticky = 0;
        r->contact = 0;
    }
    r->contact = moved(r, r->contact);
    r->quorum_contact = 0;
}

static void canon_repair(struct raft *r)
{
    r->seen_damage = 0;
    if ((r->damage & RAFT_DAMAGE_TAIL) == 0 || r->now >= r->caution_until) {
        r->caution_until = 0;
    }
    r->caution_until = moved(r, r->caution_until);
    r->repair_at = r->repair_at <= r->now ? MC_NOW : moved(r, r->repair_at);
    if (!raft__repair_deaf(r)) {
        r->repair_answers = 0;
        r->repair_number = 0;
    }
    if (r->repair_term != r->term || !raft__repairing(r)) {
        r->repair_term = r->repair_target = 0;
    }
    if (!raft__repairing(r)) {
        r->repair_first = 0;
        r->repair_at = 0;
    }
    if (r->damage == 0) {
        r->damage_index = r->damage_term = 0;
    }
}

int mc_loyal(const struct raft *r)
{
    return r->role != RAFT_LEADER && r->sticky && r->now - r->contact < r->o.election_min;
}

void mc_canon(struct raft *r, uint64_t rng)
{
    canon_role(r);
    turn_windows(r);
    turn_io(r);
    turn_samples(r);
    turn_reads(r);
    clear_log(r);
    clear_rx(r);
    canon_repair(r);
    if (!r->nack_due) {
        r->nack_seq = 0;
        r->nack_index = r->nack_hint = 0;
        r->nack_hint_term = 0;
    }
    r->grant_seq = r->grant_to == 0 ? 0 : r->grant_seq;
    r->rng = rng;
    r->ignored = 0;
    r->quiet = 0; /* only saves building a round that would be empty */
    r->now = MC_NOW;
    r->seen_role = 0;
    r->seen_term = 0;
    r->seen_leader = 0;
    r->seen_fault = 0;
    r->more = 0;
    r->drops_count = 0;
    r->trace_count = 0;
    memset(r->drops, 0, sizeof(r->drops));
    memset(r->trace, 0, sizeof(r->trace));
    memset(r->persist, 0, sizeof(r->persist));
    memset(r->sends + r->sends_count, 0, (RAFT__SENDS_MAX - r->sends_count) * sizeof(r->sends[0]));
    memset(&r->chunk_out, 0, sizeof(r->chunk_out));
    memset(&r->install_out, 0, sizeof(r->install_out));
}

/* --- rules of the core, bent for the self-test ---------------------------------------------- */

void mc_bend(struct raft *r, enum mc_mutant mutant, uint32_t event)
{
    struct raft_config_at *top = &r->configs[r->configs_count - 1];
    for (uint32_t i = 0; i < r->peers_count && mutant == MC_M_COUNT_LEARNER; i++) {
        r->voters |= (uint32_t)((r->peers[i].roles & RAFT_LEARNER) != 0) << i;
    }
    if (mutant == MC_M_JOINT_HALF) {
        r->voters_old = 0;
    }
    if (mutant == MC_M_LEAVE_EARLY && r->voters_old != 0 && r->role == RAFT_LEADER) {
        top->index = raft__min(top->index, r->commit);
    }
    if (mutant == MC_M_CHANGE_EARLY && r->role == RAFT_LEADER && event == RAFT_EV_PROPOSE_CONFIG) {
        r->leader_ready = 1;
    }
}

void mc_unbend(struct raft *r)
{
    r->voters = r->voters_old = 0;
    for (uint32_t i = 0; i < r->peers_count; i++) {
        r->voters |= (uint32_t)((r->peers[i].roles & RAFT_VOTER) != 0) << i;
        r->voters_old |= (uint32_t)((r->peers[i].roles & RAFT_VOTER_OLD) != 0) << i;
    }
    if (r->role == RAFT_LEADER && r->commit > 0) {
        r->leader_ready = raft__log_term(r, r->commit) == r->term;
    }
    raft_index at =
        r->last; /* the newest configuration stands at the newest CONFIG entry, and so on */
    for (uint32_t i = r->configs_count; i > 1; i--) {
        while (at > r->base && raft__entry(r, at)->type != RAFT_ENTRY_CONFIG) {
            at--;
        }
        r->configs[i - 1].index = at--;
    }
}

void mc_set_random(struct raft *r, uint64_t rng)
{
    r->rng = rng;
}

void mc_pass(struct raft *r, raft_ns by)
{
    r->now += by;
}

raft_ns mc_clock(const struct raft *r)
{
    return r->now;
}

uint64_t mc_io_done(const struct raft *r)
{
    return r->io_done;
}

uint64_t mc_last_seq(const struct raft *r)
{
    return r->seq;
}
