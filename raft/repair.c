/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair.c: a member whose disk lost what it had promised (RAFT_EV_BOOT_DAMAGE), until it has it again.
 *
 * A member promises two things. "These entries are on my disk": a leader counts that towards a commit,
 * and whoever votes holds back candidates that lack them (Raft 5.4.1). "In this term I follow nobody
 * else": its term and its vote. Rot, or a write that a disk claimed to have done, breaks such promises
 * without telling those who rely on them. Three findings, from mild to bad:
 *
 *   TAIL   an unfinished write was cut off. It was never acknowledged, unless the disk lied about a
 *          sync. For two election_max after boot this member votes, for itself too, only for a log that
 *          holds at least the furthest entry that was seen in the cut. Then it votes as ever: a group
 *          whose disks all lied must start again. One that is alone does not wait at all.
 *   HOLE   acknowledged entries are lost, term and vote are known.
 *   VOTE   and term and vote may be lost as well. It implies HOLE.
 *
 *              a leader's last entry, told since
 *   HOLE ----- this boot, is durable here ---------> whole
 *    ^
 *    +-------- every voter told its term ----- VOTE
 *
 * HOLE: no vote, no pre-vote, no candidacy; everything else as ever. What it acknowledges is true: it
 * claims what is durable now. So leaders may count it, and refill it like any follower.
 *   When may it vote again? Let T be the term in which it follows a leader L, and let L have said since
 * this boot (the answer to a READ with a number of this boot) that its log ends at E. The member is
 * whole once its log agrees with L through E, durably, in term T. For:
 *   1. All it ever acknowledged, it acknowledged in terms <= T, because its term was never lost.
 *   2. What it acknowledged to L in T had come from L, and a leader removes nothing: it is at or before
 *      E. So every acknowledgement of T, one that still travels or stands in L's book too, is true again.
 *   3. An entry that was or will be committed in a term before T, this member's lost copy counted: when
 *      L was elected, its quorum shared a voter with the one that commits. Had that been only this
 *      member, it had voted for L while it still had the entry (now it votes for nobody), so L's log had
 *      it as well. L holds the entry, at or before E, and so does this member.
 * Until then an entry may stand on L alone while this member is counted for it; nobody can be elected
 * without it then, since the member grants no votes. The index of the damage plays no part: it is but a
 * lower bound of what was lost, and what was never committed may be gone from every log.
 *
 * VOTE: it may have promised a later term T" to somebody. Every answer to a leader would break that, so
 * it answers none: all but elections is deaf to it. It asks every other voter of its configuration for
 * its term (PREVOTE with RAFT_FLAG_ASK, no side effects), and adopts the highest. Whoever it voted for,
 * or followed, in T" had T" on disk before it asked for the vote; so once all have answered, its term is
 * at least T". In that very term it may have voted: unless its vote of the term is known it votes for
 * itself there, which nobody asks for.
 *   An answer does not count when the voter knows a newer configuration: then there may be voters that
 * this member does not know of. Nor does a member under VOTE itself answer. When a voter never answers,
 * the doubt stays, and the member is to be replaced by one with another id. Not covered is a vote for
 * a candidate whose configuration no voter of ours has in its log any more.
 *
 * Crashes: nothing of this is on disk here. The host hands in BOOT_DAMAGE at each boot until it has
 * seen status.repairing fall to 0 and told its log (raft_wal_repaired).
 *
 * Thread: the owner of the member. Invariants:
 *   1. HOLE or VOTE: the member is a FOLLOWER that has no vote to tell.
 *   2. VOTE: it knows no leader, and has taken nothing from one since boot.
 *   3. repair_target holds for repair_term only.
 */
#include "raft/internal.h"

#define NOT_WHOLE (RAFT_DAMAGE_HOLE | RAFT_DAMAGE_VOTE)

int raft__repair_boot(struct raft *r, const struct raft_event *ev)
{
    const uint64_t known = RAFT_DAMAGE_TAIL | RAFT_DAMAGE_HOLE | RAFT_DAMAGE_VOTE;
    if (r->boot != RAFT__BOOT_HARDSTATE || ev->value == 0 || (ev->value & ~known) != 0 ||
        ev->index > RAFT__INDEX_MAX || ev->hardstate.term > RAFT__TERM_MAX) {
        return RAFT_EINVAL;
    }
    r->damage |= (uint32_t)ev->value;
    if ((r->damage & RAFT_DAMAGE_VOTE) != 0) {
        r->damage |= RAFT_DAMAGE_HOLE;
    }
    r->damage_index = ev->index;
    r->damage_term = ev->hardstate.term;
    return 0;
}

void raft__repair_begin(struct raft *r)
{
    r->caution_until = raft__after(r->now, 2 * r->o.election_max);
    r->repair_at = r->now;
    r->campaign++; /* of the questions: as random as that of an election */
    r->repair_number = r->campaign;
}

/* --- what it may not do ------------------------------------------------------------------------ */

static int holds(const struct raft *r, raft_term last_term, raft_index last)
{
    if ((r->damage & NOT_WHOLE) != 0 && !RAFT_BUG(48)) {
        return 0;
    }
    if ((r->damage & RAFT_DAMAGE_TAIL) == 0 || r->now >= r->caution_until) {
        return 1;
    }
    return last_term > r->damage_term || (last_term == r->damage_term && last >= r->damage_index);
}

int raft__repair_may_grant(const struct raft *r, const struct raft_msg *m)
{
    return holds(r, m->log_term, m->index);
}

int raft__repair_may_stand(const struct raft *r)
{
    int alone = r->self != RAFT__NO_SLOT && raft__quorum_has(r, (uint32_t)1 << r->self);
    return (alone && (r->damage & NOT_WHOLE) == 0) || holds(r, r->last_term, r->last);
}

/* --- VOTE: the terms of the others ------------------------------------------------------------- */

void raft__repair_answer(struct raft *r, const struct raft_msg *m)
{
    if (raft__repair_deaf(r)) {
        return; /* what it believes its term to be is worth nothing */
    }
    struct raft_msg *reply = raft__reply(r, RAFT_MSG_PREVOTE_REPLY, m->from);
    if (reply != NULL) {
        reply->seq = m->seq;
        reply->flags = RAFT_FLAG_REJECT | RAFT_FLAG_ASK;
        reply->index = raft__config(r)->index;
    }
}

static uint32_t others(const struct raft *r)
{
    uint32_t voters = r->voters | r->voters_old;
    return r->self == RAFT__NO_SLOT ? voters : voters & ~((uint32_t)1 << r->self);
}

void raft__repair_told(struct raft *r, const struct raft_msg *m)
{
    const struct raft__peer *p = raft__peer_find(r, m->from);
    if (!raft__repair_deaf(r) || m->seq != r->repair_number || p == NULL ||
        (m->flags & RAFT_FLAG_REJECT) == 0) {
        r->ignored++;
        return;
    }
    if (m->term > r->term) {
        raft__become_follower(r, m->term, 0);
    }
    if (m->index > raft__config(r)->index) {
        return; /* there may be voters that this member cannot ask */
    }
    r->repair_answers |= (uint32_t)1 << raft__slot_of(r, p);
    if ((others(r) & ~r->repair_answers) != 0) {
        return;
    }
    r->damage &= ~(uint32_t)RAFT_DAMAGE_VOTE;
    r->repair_at = r->now;
    if (r->vote == 0 && r->term > 0) {
        r->vote = r->o.id; /* whom it voted for in this term, if for anybody, it cannot know */
    }
}

static void ask_terms(struct raft *r)
{
    uint32_t open = others(r) & ~r->repair_answers;
    for (uint32_t i = 0; i < r->peers_count; i++) {
        struct raft_send *s;
        if ((open >> i & 1) == 0) {
            continue;
        }
        s = raft__send(r, RAFT_MSG_PREVOTE, r->peers[i].id);
        if (s == NULL) {
            return;
        }
        s->msg.term = r->term + 1;
        s->msg.seq = r->repair_number;
        s->msg.flags = RAFT_FLAG_ASK;
    }
    r->repair_at = raft__after(r->now, raft__retry_ns(r));
}

/* --- HOLE: the end of the leader's log --------------------------------------------------------- */

void raft__repair_read(struct raft *r, const struct raft_msg *m)
{
    if (m->seq < r->repair_first || r->repair_first == 0 || r->repair_term == r->term ||
        (m->flags & RAFT_FLAG_REJECT) != 0 || m->hint == 0 || m->hint < m->index) {
        return;
    }
    r->repair_term = r->term;
    r->repair_target = m->hint;
}

static void ask_end(struct raft *r)
{
    struct raft_send *s = raft__send(r, RAFT_MSG_READ, r->leader);
    if (s == NULL) {
        return;
    }
    s->msg.seq = raft__read_question(r);
    if (r->repair_first == 0) {
        r->repair_first = s->msg.seq;
    }
    r->repair_at = raft__after(r->now, r->o.election_min);
}

static int whole(const struct raft *r)
{
    return r->leader != 0 && r->repair_term == r->term && raft__term_durable(r) &&
           raft__min(r->verified, r->stable) >= r->repair_target;
}

/* --- rounds and time --------------------------------------------------------------------------- */

void raft__repair_round(struct raft *r)
{
    RAFT_INVARIANT((r->damage & NOT_WHOLE) != 0);
    RAFT_INVARIANT(r->role == RAFT_FOLLOWER);
    if (raft__repair_deaf(r)) {
        if (r->now >= r->repair_at) {
            ask_terms(r);
        }
        return;
    }
    if (whole(r)) {
        r->damage &= ~(uint32_t)RAFT_DAMAGE_HOLE;
        raft__trace(
            r, RAFT_TRACE_REPAIRED,
            (struct raft__note){.peer = r->leader, .a = r->repair_target, .b = r->damage_index});
        return;
    }
    if (r->leader != 0 && r->repair_term != r->term && r->now >= r->repair_at) {
        ask_end(r);
    }
}

raft_ns raft__repair_deadline(const struct raft *r)
{
    int asks =
        raft__repair_deaf(r) || (raft__repairing(r) && r->leader != 0 && r->repair_term != r->term);
    return asks ? r->repair_at : RAFT__NEVER;
}
