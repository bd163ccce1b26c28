/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.c: how a leader leads a group from one set of members to another (Raft section 6; thesis 4.2.1,
 * 4.2.2, 4.3).
 *
 *   plain --PROPOSE_CONFIG, someone new is to vote--> learning --all of them caught up--> joint --> plain
 *     |                                                 |  ^ |                              ^
 *     |                                                 +--+ +--given up, or only learners--+ (no joint)
 *     +--PROPOSE_CONFIG, voters only go or stay--> joint                                    |
 *     +--PROPOSE_CONFIG, only learners come or go-------------------------------------------+
 *
 * Each arrow is one CONFIG entry, appended only when the entry before is committed. What is to become of
 * whom stands as marks in the entry itself, so that whoever leads next goes on from there; nothing about a
 * change is remembered elsewhere, and a change that its leader's successor does not have is gone as a whole.
 *
 *   learning   the voters of before. Who is to vote is LEARNER|PROMOTE and is sent the log; who is to go
 *              is marked REMOVE or DEMOTE. May be replaced by another PROPOSE_CONFIG, for instance because
 *              a new member never catches up: naming the members of before gives the change up. It ends
 *              only while a majority of the voters to be is in touch, lest the group be stuck in joint;
 *              a change that needs nobody new begins with it, too, when that is not so.
 *   joint      new voters VOTER, old ones VOTER_OLD, staying ones both; a quorum is one of each. Cannot be
 *              replaced: the leader appends the outcome as soon as the joint entry is committed.
 *
 * Caught up: the log is sent in rounds. The goal of a round is the last index at its start; who reaches it
 * within election_min would hold up the group no longer than an election if it voted now.
 *
 * Why a leader may not begin, nor leave the joint configuration, before an entry of its own term is
 * committed: until then it cannot know that a configuration before its newest is not the one another leader
 * counts by (Ongaro's correction of 2015), nor that the joint entry is committed by both halves.
 *
 * The voters of two consecutive configurations are equal, or one of the two is joint and its outgoing
 * (incoming) half are the voters of the one before (after): so any two quorums meet.
 *
 * Left to others: the stack, majorities and the peer table (membership.c); handing over (leader.c).
 * Thread: the owner of the member. Invariants:
 *   1. A leader has at most one configuration that is not committed once an entry of its term is.
 *   2. Of two configurations in one log all but the last are committed, on whatever member.
 *   3. A configuration made here has a voter, and is valid by raft__config_valid.
 */
#include "raft/internal.h"

/* --- configurations, as values -------------------------------------------------------------- */

static int is_joint(const struct raft_config *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if ((c->members[i].roles & RAFT_VOTER_OLD) != 0) {
            return 1;
        }
    }
    return 0;
}

/* Put one more member at the end; ids come ascending, roles 0 is no member. */
static void add(struct raft_config *c, raft_id id, uint32_t roles)
{
    if (roles == 0) {
        return;
    }
    RAFT_INVARIANT(c->count < RAFT_NODES_MAX);
    RAFT_INVARIANT(c->count == 0 || c->members[c->count - 1].id < id);
    c->members[c->count++] = (struct raft_member){id, roles};
}

/* What the marks will make of a member. */
static uint32_t role_in_the_end(uint32_t roles)
{
    if ((roles & RAFT_REMOVE) != 0 || roles == RAFT_VOTER_OLD) {
        return 0;
    }
    if ((roles & RAFT_DEMOTE) != 0) {
        return RAFT_LEARNER;
    }
    return (roles & (RAFT_VOTER | RAFT_PROMOTE)) != 0 ? RAFT_VOTER : RAFT_LEARNER;
}

static void config_in_the_end(const struct raft_config *c, struct raft_config *ret_c)
{
    memset(ret_c, 0, sizeof(*ret_c));
    for (uint32_t i = 0; i < c->count; i++) {
        add(ret_c, c->members[i].id, role_in_the_end(c->members[i].roles));
    }
}

/* As if nothing had been asked for: voters and learners of now. */
static void config_of_now(const struct raft_config *c, struct raft_config *ret_c)
{
    memset(ret_c, 0, sizeof(*ret_c));
    for (uint32_t i = 0; i < c->count; i++) {
        add(ret_c, c->members[i].id, c->members[i].roles & (RAFT_VOTER | RAFT_LEARNER));
    }
}

static int same_members(const struct raft_config *a, const struct raft_config *b)
{
    return a->count == b->count &&
           memcmp(a->members, b->members, a->count * sizeof(a->members[0])) == 0;
}

/* Roles of one who is `was` now and is to be `will`, both VOTER, LEARNER or 0, while others learn. */
static uint32_t marked(uint32_t was, uint32_t will)
{
    if (was == RAFT_VOTER) {
        uint32_t mark = will == RAFT_LEARNER ? RAFT_DEMOTE : RAFT_REMOVE;
        return will == RAFT_VOTER ? RAFT_VOTER : RAFT_VOTER | mark;
    }
    if (will == RAFT_VOTER) {
        return RAFT_LEARNER | RAFT_PROMOTE;
    }
    return will == RAFT_LEARNER ? RAFT_LEARNER : RAFT_LEARNER | RAFT_REMOVE;
}

/* Everybody of now and of the target, with marks. Return: 0, or -1 when these are too many. */
static int learning_config(const struct raft_config *now, const struct raft_config *target,
                           struct raft_config *ret_c)
{
    uint32_t a = 0;
    uint32_t b = 0;
    memset(ret_c, 0, sizeof(*ret_c));
    while (a < now->count || b < target->count) {
        raft_id left = a < now->count ? now->members[a].id : UINT32_MAX;
        raft_id right = b < target->count ? target->members[b].id : UINT32_MAX;
        raft_id id = left < right ? left : right;
        uint32_t was = a < now->count && left == id ? now->members[a++].roles : 0;
        uint32_t will = b < target->count && right == id ? target->members[b++].roles : 0;
        if (ret_c->count == RAFT_NODES_MAX) {
            return -1;
        }
        add(ret_c, id, marked(was, will));
    }
    return 0;
}

static uint32_t joint_roles(uint32_t roles)
{
    int was = (roles & RAFT_VOTER) != 0;
    int will = role_in_the_end(roles) == RAFT_VOTER;
    if (was && will) {
        return RAFT_VOTER | RAFT_VOTER_OLD;
    }
    if (was) {
        return RAFT_VOTER_OLD | (roles & (RAFT_DEMOTE | RAFT_REMOVE));
    }
    return will ? RAFT_VOTER : RAFT_LEARNER | (roles & RAFT_REMOVE);
}

/* What comes after c: the joint configuration, if the voters will not be those of now, or the end. */
static void config_after(const struct raft_config *c, struct raft_config *ret_c)
{
    int same_voters = 1;
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t roles = c->members[i].roles;
        same_voters &= ((roles & RAFT_VOTER) != 0) == (role_in_the_end(roles) == RAFT_VOTER);
    }
    if (same_voters || is_joint(c)) {
        config_in_the_end(c, ret_c);
        return;
    }
    memset(ret_c, 0, sizeof(*ret_c));
    for (uint32_t i = 0; i < c->count; i++) {
        add(ret_c, c->members[i].id, joint_roles(c->members[i].roles));
    }
}

static int has_roles(const struct raft_config *c, uint32_t roles)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if ((c->members[i].roles & roles) != 0) {
            return 1;
        }
    }
    return 0;
}

/* --- appending ------------------------------------------------------------------------------ */

static void append_config(struct raft *r, const struct raft_config *c)
{
    struct raft_config_at at;
    RAFT_INVARIANT(r->role == RAFT_LEADER && (r->leader_ready || RAFT_BUG(37)));
    RAFT_INVARIANT(raft__config_committed(r));
    RAFT_INVARIANT(raft__config_valid(c) && has_roles(c, RAFT_VOTER));
    raft__log_append(r, r->term, r->o.config_bytes, RAFT_ENTRY_CONFIG);
    r->uncommitted_bytes += r->o.config_bytes;
    at.index = r->last;
    memcpy(&at.config, c, sizeof(*c));
    raft__configs_push(r, &at);
    raft__trace(r, RAFT_TRACE_CHANGE,
                (struct raft__note){.a = at.index, .b = c->count, .c = r->voters_old != 0});
}

/* May another configuration follow the newest one at all? */
static int settled(const struct raft *r)
{
    return raft__config_committed(r) && raft__configs_room(r);
}

/* A configuration as a caller may ask for it. */
static int target_valid(const struct raft_config *c)
{
    if (c == NULL || !raft__config_valid(c) || !has_roles(c, RAFT_VOTER)) {
        return 0;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->members[i].roles != RAFT_VOTER && c->members[i].roles != RAFT_LEARNER) {
            return 0;
        }
    }
    return 1;
}

/* Is a majority of those who vote in the end in touch with this leader? */
static int quorum_to_be(struct raft *r, const struct raft_config *c)
{
    uint32_t voters = 0;
    uint32_t there = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if (role_in_the_end(c->members[i].roles) != RAFT_VOTER) {
            continue;
        }
        const struct raft__peer *p = raft__peer_find(r, c->members[i].id);
        voters++;
        there += c->members[i].id == r->o.id || (p != NULL && raft__active(r, p));
    }
    return there * 2 > voters;
}

/* Find out what to append for the target. Return: 0, or why it cannot be. */
static int plan(struct raft *r, const struct raft_config *target, struct raft_config *ret_c)
{
    const struct raft_config *newest = &raft__config(r)->config;
    struct raft_config now;
    struct raft_config learning;
    config_in_the_end(newest, &now);
    int again = same_members(&now, target);
    config_of_now(newest, &now);
    if (again) {
        return same_members(&now, newest) ? RAFT_EINVAL : RAFT_EBUSY;
    }
    if (learning_config(&now, target, &learning) != 0) {
        return RAFT_EINVAL;
    }
    config_after(&learning, ret_c);
    if (has_roles(&learning, RAFT_PROMOTE) || (is_joint(ret_c) && !quorum_to_be(r, &learning))) {
        memcpy(ret_c, &learning, sizeof(learning));
    }
    return 0;
}

int raft__propose_config(struct raft *r, const struct raft_event *ev, struct raft_accept *accept)
{
    struct raft_config next;
    if (r->role != RAFT_LEADER) {
        return RAFT_ENOTLEADER;
    }
    if (r->transfer_to != 0) {
        return RAFT_ETRANSFER;
    }
    if (!target_valid(ev->config)) {
        return RAFT_EINVAL;
    }
    if (!r->leader_ready && !RAFT_BUG(37)) {
        return RAFT_ENOTREADY;
    }
    if (r->disk_full) {
        return RAFT_ENOSPACE;
    }
    if (r->voters_old != 0 || !settled(r)) {
        return RAFT_EBUSY;
    }
    int rv = plan(r, ev->config, &next);
    if (rv != 0) {
        return rv;
    }
    if (raft__log_room(r) <= raft__log_reserve(r) ||
        (r->uncommitted_bytes > 0 &&
         r->uncommitted_bytes + r->o.config_bytes > r->o.uncommitted_bytes_max)) {
        return RAFT_EFULL;
    }
    append_config(r, &next);
    r->own_first = r->own_first == 0 ? r->last : r->own_first;
    r->own_last = r->last;
    raft__accept(accept, r->term, r->last, 0, 1);
    return 0;
}

/* --- steps that follow by themselves -------------------------------------------------------- */

void raft__round_begin(const struct raft *r, struct raft__peer *p)
{
    int watch = (p->roles & RAFT_PROMOTE) != 0;
    p->round_goal = watch ? r->last : 0;
    p->round_at = watch ? r->now : 0;
    p->caught_up = 0;
}

/* Where p stands in its round. Return: 1 when it could vote now without holding the group up. */
static int watch_round(const struct raft *r, struct raft__peer *p)
{
    int in_time = r->now - p->round_at <= r->o.election_min;
    if (p->match >= p->round_goal) {
        raft__round_begin(r, p);
        p->caught_up = (uint32_t)in_time;
    } else if (!in_time) {
        p->caught_up = 0; /* its next round decides */
    }
    return p->caught_up && !p->stalled && raft__active(r, p);
}

static int all_caught_up(struct raft *r)
{
    int all = 1;
    for (uint32_t i = 0; i < r->peers_count; i++) {
        if ((r->peers[i].roles & RAFT_PROMOTE) != 0 && i != r->self) {
            all &= watch_round(r, &r->peers[i]);
        }
    }
    return all;
}

void raft__change_step(struct raft *r)
{
    struct raft_config next;
    RAFT_INVARIANT(r->role == RAFT_LEADER);
    if ((!r->leader_ready && !RAFT_BUG(37)) || !raft__config_committed(r)) {
        return;
    }
    const struct raft_config *newest = &raft__config(r)->config;
    config_after(newest, &next);
    if (same_members(&next, newest)) {
        if ((r->self == RAFT__NO_SLOT || (r->voters >> r->self & 1) == 0) && !RAFT_BUG(38)) {
            raft__hand_over(r);
        }
        return;
    }
    /* Elections need their reserve of slots; leaving the joint configuration may take of it. */
    uint32_t reserve = raft__log_reserve(r) / (r->voters_old != 0 ? 2 : 1);
    int ready = r->voters_old != 0 || (all_caught_up(r) && quorum_to_be(r, newest));
    if (!ready || r->transfer_to != 0 || r->disk_full || !settled(r) ||
        raft__log_room(r) <= reserve || !has_roles(&next, RAFT_VOTER)) {
        return; /* each of these ends with an event, and events lead here again */
    }
    append_config(r, &next);
}
