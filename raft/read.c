/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.c: linearizable reads without a log entry (ReadIndex, thesis 6.4).
 *
 * On the leader a read gets the commit index as it stands, and waits until a quorum has answered a
 * request that left after the read came: then no later leader existed at that moment. Requests are
 * numbered in one sequence over all peers, so "left after" is a comparison with the last number, and
 * all reads of a moment share one round of heartbeats. Before an entry of this term is committed the
 * commit index may be outdated; reads are held and get their index then.
 *
 * A follower asks the leader (READ, READ_REPLY): one question for all reads of a round, numbered from
 * a random start so that no answer to an earlier life of this member fits.
 *
 * Both queues are one ring in order of arrival, so answers always leave from its head.
 *
 * The lease (thesis 6.4.1; option lease_drift_ppm) spares a leader's own reads the round. Claim: while
 * now < S + election_min * (1 - drift), where a quorum answered requests of this term that left at S or
 * later, no other leader has been elected; so the commit index, complete since an entry of this term is
 * committed, is that of the group. Argument:
 *   a. Who answers has taken this member for its leader at S or later, and from then on refuses
 *      (pre-)votes for election_min by its own clock (stickiness, election.c); the drift turns that into
 *      this member's clock. contact is dated by when the request left, never later (sent_at).
 *   b. Whoever is elected next holds what this leader has committed, an entry of this term among it (Raft
 *      5.4.3), so it counts by this leader's newest configuration or by the one before, which is committed.
 *      A joint configuration gives no lease; then any quorum of either has a majority of the voters of the
 *      newest in it (change.c), hence one of those who answered.
 *   c. Everything by which a member forgets its patience is shut out: a link that broke ends it only with
 *      link_hint, which the option forbids; a later term that a stranger brings does not end it; CAMPAIGN
 *      waits for it (raft.c); the own election timer never fires earlier; and whoever boots, even with
 *      nothing on its disk, behaves as if it had just heard a leader, for it may have answered one before
 *      it went down (boot.c). One that boots as the only voter does not wait: so a leader that does not
 *      vote itself has no lease.
 *   d. An election that this leader orders overrides patience. So there is no lease while a transfer is
 *      under way, nor, once TIMEOUT_NOW has left, for the rest of the term: it may arrive at any time in
 *      it. Votes asked for by such an order carry the next term: a later leader's followers ignore them.
 *   e. A pause of this process between raft_step and the answer is harmless, for the read took effect at
 *      `now`. But `now` must be read from the clock after the read arrived, by a clock that goes on while
 *      the machine sleeps; and all members of a group must have the option, or none.
 * Reads that a follower asks for always take a round.
 * Thread: the owner of the member. Invariants:
 *   1. Marks never fall along the ring; on a follower the last reads_fresh have none yet.
 *   2. reads_count + results_count <= reads_max.
 *   3. No read waits longer than election_min.
 */
#include "raft/internal.h"

static void push_result(struct raft *r, uint64_t cookie, enum raft_read_result result,
                        raft_index index)
{
    struct raft_read *results = (struct raft_read *)(void *)((char *)r + r->results_offset);
    RAFT_INVARIANT(r->results_count < r->o.reads_max);
    struct raft_read *a = &results[r->results_count++];
    a->cookie = cookie;
    a->result = result;
    a->index = index;
}

/* The first of the ring leaves with an answer. */
static void pop(struct raft *r, enum raft_read_result result, raft_index index)
{
    RAFT_INVARIANT(r->reads_count > 0);
    struct raft__read read = *raft__read_at(r, 0);
    r->reads_head = r->reads_head + 1 == r->o.reads_max ? 0 : r->reads_head + 1;
    r->reads_count--;
    r->reads_fresh = r->reads_fresh < r->reads_count ? r->reads_fresh : r->reads_count;
    if (read.from == 0) {
        push_result(r, read.cookie, result, index);
        return;
    }
    if (r->role != RAFT_LEADER) {
        return; /* the asker learns of the new leader, or asks again by its own clock */
    }
    struct raft_msg *reply = raft__reply(r, RAFT_MSG_READ_REPLY, read.from);
    if (reply != NULL) {
        reply->seq = read.cookie;
        reply->index = index;
        reply->hint = r->last;
        reply->flags = result == RAFT_READ_OK ? 0 : RAFT_FLAG_REJECT;
    }
}

static int full(const struct raft *r)
{
    return r->reads_count + r->results_count >= r->o.reads_max;
}

static void push(struct raft *r, uint64_t cookie, raft_id from)
{
    RAFT_INVARIANT(!full(r));
    struct raft__read *read = raft__read_at(r, r->reads_count++);
    int leads = r->role == RAFT_LEADER;
    read->cookie = cookie;
    read->from = from;
    read->at = r->now;
    read->index = r->commit;
    read->mark = leads && !RAFT_BUG(34) ? r->seq : 0;
    read->held = leads && !r->leader_ready;
    r->reads_fresh += !leads;
    if (leads) {
        raft__reads_confirm(r); /* alone: at once */
    }
}

raft_ns raft__lease_until(const struct raft *r)
{
    if (r->o.lease_drift_ppm == 0 || r->role != RAFT_LEADER || !r->leader_ready ||
        ((r->transfer_to != 0 || r->transfer_sent) && !RAFT_BUG(52)) || r->voters_old != 0 ||
        r->self == RAFT__NO_SLOT || (r->voters >> r->self & 1) == 0) {
        return 0;
    }
    raft_ns heard = raft__quorum_heard(r);
    raft_ns drift = r->o.election_min / 1000000u * r->o.lease_drift_ppm +
                    r->o.election_min % 1000000u * r->o.lease_drift_ppm / 1000000u + 1;
    raft_ns until = heard == 0 ? 0 : raft__after(heard, r->o.election_min - drift);
    return until > r->now || RAFT_BUG(43) ? until : 0;
}

int raft__read(struct raft *r, uint64_t cookie, int lease)
{
    if (full(r)) {
        return RAFT_EBUSY;
    }
    if (r->leader == 0) {
        push_result(r, cookie, RAFT_READ_NO_LEADER, 0);
    } else if (lease && raft__lease_until(r) != 0) {
        push_result(r, cookie, RAFT_READ_OK, r->commit);
    } else {
        push(r, cookie, 0);
    }
    return 0;
}

void raft__handle_read(struct raft *r, const struct raft_msg *m)
{
    if (r->role == RAFT_LEADER && !full(r)) {
        push(r, m->seq, m->from);
        return;
    }
    struct raft_msg *reply = raft__reply(r, RAFT_MSG_READ_REPLY, m->from);
    if (reply != NULL) {
        reply->seq = m->seq;
        reply->flags = RAFT_FLAG_REJECT;
    }
}

void raft__handle_read_reply(struct raft *r, const struct raft_msg *m)
{
    int refused = (m->flags & RAFT_FLAG_REJECT) != 0;
    if (r->role != RAFT_FOLLOWER || r->leader != m->from || m->seq > r->read_number) {
        r->ignored++;
        return;
    }
    if (raft__repairing(r)) {
        raft__repair_read(r, m);
    }
    /* A later question was answered: that holds for the earlier ones just as well. */
    while (r->reads_count > r->reads_fresh && raft__read_at(r, 0)->mark <= m->seq) {
        pop(r, refused ? RAFT_READ_RETRY : RAFT_READ_OK, m->index);
    }
}

void raft__reads_fail(struct raft *r, enum raft_read_result result)
{
    while (r->reads_count > 0) {
        pop(r, result, 0);
    }
}

void raft__reads_ready(struct raft *r)
{
    RAFT_INVARIANT(r->role == RAFT_LEADER && r->leader_ready);
    for (uint32_t i = 0; i < r->reads_count; i++) {
        struct raft__read *read = raft__read_at(r, i);
        read->held = 0;
        read->index = r->commit;
    }
    raft__reads_confirm(r);
}

void raft__reads_confirm(struct raft *r)
{
    RAFT_INVARIANT(r->role == RAFT_LEADER);
    uint64_t answered[RAFT_NODES_MAX];
    if (r->reads_count == 0 || raft__read_at(r, 0)->held) {
        return;
    }
    for (uint32_t i = 0; i < r->peers_count; i++) {
        answered[i] = i == r->self ? UINT64_MAX : r->peers[i].acked_seq;
    }
    raft_seq through = raft__quorum_value(r, answered);
    while (r->reads_count > 0 && raft__read_at(r, 0)->mark < through) {
        pop(r, RAFT_READ_OK, raft__read_at(r, 0)->index);
    }
}

int raft__reads_want_round(const struct raft *r)
{
    if (r->reads_count == 0) {
        return 0;
    }
    uint32_t tail = (r->reads_head + r->reads_count - 1) % r->o.reads_max;
    const struct raft__read *ring =
        (const struct raft__read *)(const void *)((const char *)r + r->reads_offset);
    return ring[tail].mark > r->round_seq;
}

uint64_t raft__read_question(struct raft *r)
{
    if (r->read_number == 0) {
        r->read_number =
            RAFT_BUG(45) ? 1 : raft__random(r) >> 1; /* half the range is left to count in */
    }
    return ++r->read_number;
}

void raft__reads_round(struct raft *r)
{
    if (r->role != RAFT_FOLLOWER || r->reads_fresh == 0) {
        return;
    }
    RAFT_INVARIANT(r->leader != 0);
    struct raft_send *s = raft__send(r, RAFT_MSG_READ, r->leader);
    if (s == NULL) {
        return;
    }
    s->msg.seq = raft__read_question(r);
    for (uint32_t i = r->reads_count - r->reads_fresh; i < r->reads_count; i++) {
        raft__read_at(r, i)->mark = r->read_number;
    }
    r->reads_fresh = 0;
}

void raft__reads_tick(struct raft *r)
{
    while (r->reads_count > 0 &&
           r->now >= raft__after(raft__read_at(r, 0)->at, r->o.election_min)) {
        pop(r, RAFT_READ_RETRY, 0);
    }
}

raft_ns raft__reads_deadline(const struct raft *r)
{
    if (r->reads_count == 0) {
        return RAFT__NEVER;
    }
    const struct raft__read *ring =
        (const struct raft__read *)(const void *)((const char *)r + r->reads_offset);
    return raft__after(ring[r->reads_head].at, r->o.election_min);
}
