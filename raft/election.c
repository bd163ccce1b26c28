/* SPDX-License-Identifier: Apache-2.0 */
/*
 * election.c: roles, votes, and when a member stands for election (Raft 5.2, 5.4.1; thesis 3.10,
 * 6.2, 9.6).
 *
 *            election_at, or                  a quorum would vote,
 *            link to the leader broke         or ordered by the leader
 *   FOLLOWER ----------------> PRECANDIDATE ----------------> CANDIDATE ---------> LEADER
 *      ^                          |                              |  a quorum voted   |
 *      +--------------------------+------------------------------+-------------------+
 *         a later term, a leader of this term, or (leader) quorum lost, disk stalled
 *
 *   FOLLOWER -> PRECANDIDATE, CANDIDATE : raft__campaign     any -> FOLLOWER : raft__become_follower
 *   CANDIDATE -> LEADER : raft__become_leader (leader.c)     LEADER -> FOLLOWER : raft__step_down
 *
 * A vote is worth nothing before it is on disk: the own vote is counted, requests are sent and
 * grants are told only when durable_term and durable_vote say so. A pre-vote binds nobody.
 *
 * Stickiness: while a leader was heard within election_min, votes are refused without looking at
 * their term, unless the leader itself ordered the election. Being leader is no such contact: one
 * that stepped down supports whoever comes next. A member that has just booted is patient for a shorter time
 * (boot.c), unless there are leases.
 *
 * Thread: the owner of the member. Invariants:
 *   1. vote changes only together with term, or from none.
 *   2. A leader of a term is known or not, but never replaced by another of that term.
 */
#include "raft/internal.h"

/* --- roles ---------------------------------------------------------------------------------- */

static void draw_wait(struct raft *r)
{
    raft_ns span = r->o.election_max - r->o.election_min + 1;
    r->wait = (r->o.election_min + raft__random(r) % span) * r->o.priority;
}

void raft__become_follower(struct raft *r, raft_term term, raft_id leader)
{
    RAFT_INVARIANT(term >= r->term);
    RAFT_INVARIANT(r->role != RAFT_FAULTED);
    raft__trace(r, RAFT_TRACE_FOLLOWER,
                (struct raft__note){.peer = leader, .a = term, .b = r->role});
    if (r->role == RAFT_LEADER) {
        r->quorum_contact = raft__quorum_contact(r);
        r->sticky = 0;
    }
    if (r->role == RAFT_LEADER || r->leader != leader || r->term != term) {
        raft__reads_fail(r, leader == 0 || r->role == RAFT_LEADER ? RAFT_READ_NO_LEADER
                                                                  : RAFT_READ_RETRY);
    }
    if (term > r->term) {
        r->term = term;
        r->vote = 0;
        r->grant_to = 0;
        r->verified = 0;
        r->leader_seq = 0;
        r->ack_seq = r->beat_seq = 0;
        r->ack_sent = 0;
        r->ack_due = r->nack_due = 0;
        r->rx.from = 0; /* rx.seq is a number of the old term: nothing to answer with it */
        r->rx.reply_due = 0;
        r->rx.done_to = 0;
        for (uint32_t i = 0; i < r->peers_count; i++) {
            r->peers[i].heard = 0;
        }
    }
    r->role = RAFT_FOLLOWER;
    r->leader = leader;
    r->transfer_to = 0;
    r->transfer_sent = 0;
    r->leaving = 0;
    r->transfer_vote = 0;
    r->votes = r->rejects = 0;
    draw_wait(r);
    r->election_at = raft__after(r->now, r->wait);
}

void raft__step_down(struct raft *r, uint64_t why)
{
    RAFT_INVARIANT(r->role == RAFT_LEADER);
    raft__trace(r, RAFT_TRACE_STEP_DOWN, (struct raft__note){.a = r->term, .b = why});
    raft__become_follower(r, r->term, 0);
}

/* Begin to ask: everybody who votes gets a request, this member votes for itself. */
static void begin_campaign(struct raft *r, enum raft_role role)
{
    r->role = role;
    r->leader = 0;
    r->campaign++;
    r->campaign_at = r->now;
    r->votes = r->rejects = 0;
    r->own_vote = 0;
    for (uint32_t i = 0; i < r->peers_count; i++) {
        r->peers[i].vote_due = i != r->self && ((r->voters | r->voters_old) >> i & 1) != 0;
    }
    draw_wait(r);
    r->election_at = raft__after(r->now, r->wait);
}

static uint32_t self_mask(const struct raft *r)
{
    return r->self == RAFT__NO_SLOT ? 0 : (uint32_t)1 << r->self;
}

static void become_candidate(struct raft *r)
{
    RAFT_INVARIANT(r->role == RAFT_FOLLOWER || r->role == RAFT_PRECANDIDATE ||
                   r->role == RAFT_CANDIDATE);
    uint32_t ordered = r->transfer_vote;
    raft__become_follower(r, r->term + 1, 0);
    r->transfer_vote = ordered;
    r->vote = r->o.id;
    begin_campaign(r, RAFT_CANDIDATE);
    raft__trace(r, RAFT_TRACE_CANDIDATE,
                (struct raft__note){.a = r->term, .b = r->last, .c = r->campaign});
}

void raft__campaign(struct raft *r, int transfer)
{
    RAFT_INVARIANT(r->role != RAFT_LEADER && r->role != RAFT_FAULTED);
    r->transfer_vote = transfer != 0;
    if (transfer || raft__quorum_has(r, self_mask(r))) {
        become_candidate(r);
        return;
    }
    if (r->role != RAFT_PRECANDIDATE) {
        raft__become_follower(r, r->term, 0);
    }
    begin_campaign(r, RAFT_PRECANDIDATE);
    r->votes = self_mask(r);
    raft__trace(r, RAFT_TRACE_PRECANDIDATE,
                (struct raft__note){.a = r->term, .b = r->last, .c = r->campaign});
}

/* --- requests ------------------------------------------------------------------------------- */

int raft__leader_heard(const struct raft *r)
{
    return r->role == RAFT_LEADER || (r->sticky && r->now - r->contact < r->patience);
}

/* The candidate's log is at least as complete (Raft 5.4.1): later last term, or the same and as
 * long. */
static int up_to_date(const struct raft *r, const struct raft_msg *m)
{
    return (m->log_term > r->last_term && (m->index >= r->last || !RAFT_BUG(36))) ||
           (m->log_term == r->last_term && m->index >= r->last) || RAFT_BUG(55);
}

/* The committed configuration that has no such member, as far as this one knows. Whoever asks for votes
 * while its log does not reach that entry misses a committed one, cannot win, and may as well rest: the
 * leader that removed it told it nothing. Return: its index, or 0. */
static raft_index removed_since(const struct raft *r, raft_id id)
{
    const struct raft_config_at *c = raft__config(r);
    return raft__config_committed(r) && raft__roles_in(&c->config, id) == 0 ? c->index : 0;
}

/* Try again soon, but apart from others who do so too. */
static void soon_again(struct raft *r)
{
    raft_ns low = r->o.election_min / 8;
    raft_ns again = raft__after(r->now, low + raft__random(r) % (3 * low + 1));
    r->election_at = again < r->election_at ? again : r->election_at;
}

/* Two ask at the same moment. Would both go on they split the vote, since each votes for itself, and
 * where no third one can decide they lose a whole wait. So one gives way: who has the older log, among
 * equals who has the larger id. On one connection the request of either arrives before its grant, so
 * two alone never both go on. granted: this member just promised m's sender its vote. */
static void meet_rival(struct raft *r, const struct raft_msg *m, int granted)
{
    struct raft__peer *p = raft__peer_find(r, m->from);
    int newer = m->log_term > r->last_term || (m->log_term == r->last_term && m->index > r->last);
    if (RAFT_BUG(61)) {
        return;
    }
    if (granted && (newer || m->from < r->o.id)) {
        raft__become_follower(r, r->term, 0);
        soon_again(r);
    } else if (p != NULL && !up_to_date(r, m) && raft__votes(p->roles) &&
               (r->votes >> raft__slot_of(r, p) & 1) == 0) {
        /* It cannot win here. When it was asked it may have heard the leader still; that is over. */
        p->vote_due = 1;
    }
}

void raft__handle_prevote(struct raft *r, const struct raft_msg *m)
{
    if ((m->flags & RAFT_FLAG_ASK) != 0) {
        raft__repair_answer(r, m);
        return;
    }
    /* m->term is the term it would campaign in. */
    int grant = m->term > r->term && !raft__leader_heard(r) && up_to_date(r, m) &&
                raft__repair_may_grant(r, m);
    struct raft_msg *reply = raft__reply(r, RAFT_MSG_PREVOTE_REPLY, m->from);
    if (reply != NULL) {
        reply->seq = m->seq;
        reply->flags = grant ? 0 : RAFT_FLAG_REJECT;
        reply->term = grant ? m->term : r->term;
        reply->hint = removed_since(r, m->from);
    }
    if (r->role == RAFT_PRECANDIDATE) {
        meet_rival(r, m, grant);
    } else if (grant && r->role == RAFT_FOLLOWER && r->o.link_hint > 0) {
        /* It will probably win: do not run into its election a moment from now. */
        raft_ns later = raft__after(r->now, 2 * r->o.link_hint);
        r->election_at = r->election_at > later ? r->election_at : later;
    }
}

void raft__handle_vote(struct raft *r, const struct raft_msg *m)
{
    int ordered = (m->flags & RAFT_FLAG_TRANSFER) != 0;
    if (m->term > r->term && (ordered || !raft__leader_heard(r))) {
        raft__become_follower(r, m->term, 0);
    }
    /* The term may be this member's own already, brought by a stranger. A leader with a lease counts on
     * patience all the same (read.c). */
    int patient = !ordered && r->o.lease_drift_ppm > 0 && raft__leader_heard(r);
    int grant = m->term == r->term && !patient &&
                (r->vote == m->from || (r->vote == 0 && r->leader == 0) || RAFT_BUG(54)) &&
                up_to_date(r, m) && raft__repair_may_grant(r, m) &&
                (!RAFT_BUG(38) || raft__votes(raft__roles_in(&raft__config(r)->config, r->o.id)));
    if (!grant) {
        struct raft_msg *reply = raft__reply(r, RAFT_MSG_VOTE_REPLY, m->from);
        if (reply != NULL) {
            reply->seq = m->seq;
            reply->flags = RAFT_FLAG_REJECT;
        }
        return;
    }
    RAFT_INVARIANT(r->role == RAFT_FOLLOWER || r->role == RAFT_PRECANDIDATE);
    if (r->role == RAFT_PRECANDIDATE) {
        raft__become_follower(r, r->term, 0);
    }
    r->vote = m->from;
    r->grant_to = m->from; /* told once durable: raft__election_round */
    r->grant_seq = m->seq;
    r->election_at = raft__after(r->now, r->wait);
    raft__trace(r, RAFT_TRACE_VOTE_GRANTED, (struct raft__note){.peer = m->from, .a = r->term});
}

void raft__handle_timeout_now(struct raft *r, const struct raft_msg *m)
{
    /* Only what is on the own disk counts: the leader believed so, but check (the target of a
     * transfer that has less would lose the election and cost a term). */
    if (r->role != RAFT_FOLLOWER || r->leader != m->from ||
        (m->index > r->stable && !RAFT_BUG(35)) || m->index < r->base ||
        (raft__log_term(r, m->index) != m->log_term && !RAFT_BUG(35)) || !raft__may_campaign(r)) {
        r->ignored++;
        return;
    }
    raft__campaign(r, 1);
}

/* --- replies -------------------------------------------------------------------------------- */

/* Those who cannot be asked: after the end of a leader it is one of them. */
static uint32_t out_of_reach(const struct raft *r)
{
    uint32_t slots = 0;
    for (uint32_t i = 0; i < r->peers_count; i++) {
        slots |= (uint32_t)(i != r->self && r->peers[i].link == RAFT__LINK_DOWN) << i;
    }
    return RAFT_BUG(62) ? 0 : slots;
}

/* Can no quorum be had any more? Then the vote is split: the next attempt need not wait in full. */
static void lost_campaign(struct raft *r)
{
    uint32_t all = r->voters | r->voters_old;
    if (!raft__quorum_has(r, all & ~(r->rejects | out_of_reach(r)))) {
        soon_again(r);
    }
}

void raft__handle_prevote_reply(struct raft *r, const struct raft_msg *m)
{
    int refused = (m->flags & RAFT_FLAG_REJECT) != 0;
    struct raft__peer *p = raft__peer_find(r, m->from);
    if ((m->flags & RAFT_FLAG_ASK) != 0) {
        raft__repair_told(r, m);
        return;
    }
    if (refused && r->role == RAFT_PRECANDIDATE && m->seq == r->campaign &&
        m->hint > raft__config(r)->index) {
        r->removed_at = m->hint;
    }
    if (refused && m->term > r->term && !RAFT_BUG(32)) {
        /* Adopt it, or this member could never be heard again (the longest log may sit here). */
        raft__become_follower(r, m->term, 0);
        return;
    }
    if (r->role != RAFT_PRECANDIDATE || m->seq != r->campaign || p == NULL || refused ||
        m->term != r->term + 1) {
        return;
    }
    r->votes |= (uint32_t)1 << raft__slot_of(r, p);
    if (raft__quorum_has(r, r->votes)) {
        become_candidate(r);
    }
}

static void maybe_win(struct raft *r)
{
    if (r->own_vote && raft__quorum_has(r, r->votes)) {
        raft__become_leader(r);
    }
}

void raft__handle_vote_reply(struct raft *r, const struct raft_msg *m)
{
    int refused = (m->flags & RAFT_FLAG_REJECT) != 0;
    struct raft__peer *p = raft__peer_find(r, m->from);
    if (m->term > r->term) {
        raft__become_follower(r, m->term, 0);
        return;
    }
    if (r->role != RAFT_CANDIDATE || m->term != r->term || m->seq != r->campaign || p == NULL) {
        return;
    }
    p->heard = r->now;
    if (refused) {
        r->rejects |= (uint32_t)1 << raft__slot_of(r, p);
        lost_campaign(r);
        return;
    }
    r->votes |= (uint32_t)1 << raft__slot_of(r, p);
    maybe_win(r);
}

void raft__vote_durable(struct raft *r)
{
    RAFT_INVARIANT(r->role == RAFT_CANDIDATE);
    if (r->own_vote || r->durable_term != r->term || r->durable_vote != r->o.id) {
        return;
    }
    r->own_vote = 1;
    r->votes |= self_mask(r);
    maybe_win(r);
}

/* --- rounds and time ------------------------------------------------------------------------ */

/* When this member asks after the link to the leader broke: between 1 and 2 link_hint, in a slice
 * of that span that belongs to its place among the members, so that two rarely ask at once. */
static raft_ns hint_delay(struct raft *r)
{
    raft_ns hint = r->o.link_hint;
    uint64_t places = r->peers_count > 0 ? r->peers_count : 1;
    uint64_t place = r->self == RAFT__NO_SLOT ? 0 : r->self;
    raft_ns slice = hint / places;
    return hint + slice * place + raft__random(r) % (slice / 2 + 1);
}

static int all_voters_in_reach(const struct raft *r)
{
    for (uint32_t i = 0; i < r->peers_count; i++) {
        int votes = ((r->voters | r->voters_old) >> i & 1) != 0;
        if (votes && i != r->self && r->peers[i].link != RAFT__LINK_UP) {
            return 0;
        }
    }
    return 1;
}

/* This member has just booted (boot.c) and has a link to everybody who votes. A leader among them says something
 * at once when a link to it comes up: when none did after 2 link_hint there is none, and nobody to be patient
 * for. So an ensemble that is started as a whole does not wait until each has waited for itself. */
static void gather(struct raft *r)
{
    raft_ns quiet = 2 * r->o.link_hint;
    int booted = r->patience < r->o.election_min;
    if (!booted || quiet == 0 || r->leader != 0 ||
        (r->role != RAFT_FOLLOWER && r->role != RAFT_PRECANDIDATE) || !all_voters_in_reach(r)) {
        return;
    }
    r->patience = raft__min(r->patience, r->now - r->contact + quiet);
    raft_ns at = raft__after(r->now, (quiet + hint_delay(r)) * r->o.priority);
    r->election_at = at < r->election_at ? at : r->election_at;
}

void raft__election_link(struct raft *r, raft_id peer, int up)
{
    struct raft__peer *p = raft__peer_find(r, peer);
    if (up) {
        gather(r);
        int asks = r->role == RAFT_PRECANDIDATE || r->role == RAFT_CANDIDATE;
        uint32_t bit = (uint32_t)1 << raft__slot_of(r, p);
        if (asks && ((r->votes | r->rejects) & bit) == 0 &&
            ((r->voters | r->voters_old) & bit) != 0) {
            p->vote_due = 1; /* the first request may have had no way */
        }
        return;
    }
    if (r->role != RAFT_FOLLOWER || r->leader != peer || r->o.link_hint == 0) {
        return;
    }
    r->sticky = 0;
    raft_ns at = raft__after(r->now, hint_delay(r) * r->o.priority);
    r->election_at = at < r->election_at ? at : r->election_at;
}

static void send_requests(struct raft *r)
{
    int pre = r->role == RAFT_PRECANDIDATE;
    for (uint32_t i = 0; i < r->peers_count; i++) {
        struct raft__peer *p = &r->peers[i];
        if (!p->vote_due) {
            continue;
        }
        struct raft_send *s = raft__send(r, pre ? RAFT_MSG_PREVOTE : RAFT_MSG_VOTE, p->id);
        if (s == NULL) {
            return;
        }
        p->vote_due = 0;
        s->msg.term = pre ? r->term + 1 : r->term;
        s->msg.seq = r->campaign;
        s->msg.index = r->last;
        s->msg.log_term = r->last_term;
        s->msg.flags = r->transfer_vote ? RAFT_FLAG_TRANSFER : 0;
    }
}

void raft__election_round(struct raft *r)
{
    if (r->role == RAFT_PRECANDIDATE || (r->role == RAFT_CANDIDATE && r->own_vote)) {
        send_requests(r);
    }
    if (r->grant_to != 0 &&
        ((r->durable_term == r->term && r->durable_vote == r->grant_to) || RAFT_BUG(56))) {
        struct raft_send *s = raft__send(r, RAFT_MSG_VOTE_REPLY, r->grant_to);
        if (s != NULL) {
            s->msg.seq = r->grant_seq;
            r->grant_to = 0;
        }
    }
}

void raft__election_tick(struct raft *r)
{
    if (r->now < r->election_at) {
        return;
    }
    if (raft__may_campaign(r)) {
        raft__campaign(r, 0);
        return;
    }
    if (r->role != RAFT_FOLLOWER || r->leader != 0) {
        raft__become_follower(r, r->term, 0); /* may not stand, but knows no leader any more */
        return;
    }
    draw_wait(r);
    r->election_at = raft__after(r->now, r->wait);
}

raft_ns raft__election_deadline(const struct raft *r)
{
    return r->election_at;
}
