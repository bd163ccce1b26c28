/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership.c: which members there are: the stack of configurations, and majorities over them.
 *
 * A configuration is in force from the moment its entry is appended (Raft section 6), so the newest
 * in the log decides, committed or not. The stack holds the newest ones of the log without a gap, and,
 * when there are few, the one in force at the log's base: appending pushes, truncating pops, a snapshot
 * replaces the whole (rule D4). The peer table always mirrors the top; what is known of a member that
 * stays is kept.
 *
 * The stack is small and the log may hold any number of configurations, so a full stack forgets from
 * its bottom. That costs no safety: a leader appends a configuration only when the one before is committed
 * (change.c), so of the configurations in one log only the last can ever be cut, whether this member
 * knows that the others are committed or not. Refusing an entry instead could stop a group for good: a
 * leader cannot commit the first entry of its term before a quorum has taken the configurations in front
 * of it. What is forgotten may be missed by a host that wants a snapshot at its applied index; so a leader
 * begins no change while its own host lags that far.
 *
 * While a configuration is joint, a majority means one of the new voters and one of the old voters.
 *
 * Thread: the owner of the member. Invariants:
 *   1. Configurations ascend; but for the first, which may be older than the log, each stands at a
 *      CONFIG entry, and no CONFIG entry behind the first is without one.
 *   2. peers[] equals the members of the top, in order; lanes are distinct.
 */
#include "raft/internal.h"

/* 1 when a member may have these roles in a configuration that is joint or not. */
static int roles_valid(uint32_t roles, int joint)
{
    uint32_t mark = roles & (RAFT_PROMOTE | RAFT_DEMOTE | RAFT_REMOVE);
    switch (roles & ~mark) {
    case RAFT_VOTER:
        return mark == 0 || (!joint && mark != RAFT_PROMOTE && (mark & (mark - 1)) == 0);
    case RAFT_VOTER | RAFT_VOTER_OLD:
        return mark == 0;
    case RAFT_VOTER_OLD:
        return mark == 0 || mark == RAFT_DEMOTE || mark == RAFT_REMOVE;
    case RAFT_LEARNER:
        return mark == 0 || mark == RAFT_REMOVE || (!joint && mark == RAFT_PROMOTE);
    default:
        return 0;
    }
}

int raft__config_valid(const struct raft_config *c)
{
    int joint = 0;
    if (c->count > RAFT_NODES_MAX) {
        return 0;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        joint |= (c->members[i].roles & RAFT_VOTER_OLD) != 0;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->members[i].id == 0 || !roles_valid(c->members[i].roles, joint)) {
            return 0;
        }
        if (i > 0 && c->members[i].id <= c->members[i - 1].id) {
            return 0;
        }
    }
    return 1;
}

uint32_t raft__roles_in(const struct raft_config *c, raft_id id)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->members[i].id == id) {
            return c->members[i].roles;
        }
    }
    return 0;
}

const struct raft_config_at *raft__config(const struct raft *r)
{
    RAFT_INVARIANT(r->configs_count > 0);
    return &r->configs[r->configs_count - 1];
}

static void copy_config(struct raft_config_at *to, raft_index index, const struct raft_config *c)
{
    memset(to, 0, sizeof(*to)); /* slots beyond count stay equal, for raft_hash */
    to->index = index;
    to->config.count = c->count;
    memcpy(to->config.members, c->members, c->count * sizeof(c->members[0]));
}

/* A window that none of the first `count` peers owns. */
static uint32_t free_lane(const struct raft__peer *peers, uint32_t count)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        used |= (uint32_t)1 << peers[i].lane;
    }
    uint32_t lane = 0;
    while (used >> lane & 1) {
        lane++;
    }
    RAFT_INVARIANT(lane < RAFT_NODES_MAX);
    return lane;
}

static const struct raft__peer *known_peer(const struct raft__peer *peers, uint32_t n, raft_id id)
{
    for (uint32_t i = 0; i < n; i++) {
        if (peers[i].id == id) {
            return &peers[i];
        }
    }
    return NULL;
}

/* Move a set of slots of the old table to the slots that the same members have now. */
static uint32_t move_slots(const struct raft *r, const struct raft__peer *old, uint32_t old_count,
                           uint32_t slots)
{
    uint32_t moved = 0;
    for (uint32_t i = 0; i < r->peers_count; i++) {
        const struct raft__peer *p = known_peer(old, old_count, r->peers[i].id);
        if (p != NULL && (slots >> (p - old) & 1) != 0) {
            moved |= (uint32_t)1 << i;
        }
    }
    return moved;
}

/* Make the peer table mirror the newest configuration. */
static void sync_peers(struct raft *r)
{
    const struct raft_config *c = &raft__config(r)->config;
    struct raft__peer old[RAFT_NODES_MAX];
    uint32_t old_count = r->peers_count;
    uint32_t fresh = 0;
    uint32_t marks = 0;
    memcpy(old, r->peers, sizeof(old));
    memset(r->peers, 0, sizeof(r->peers));
    r->peers_count = c->count;
    r->self = RAFT__NO_SLOT;
    r->voters = r->voters_old = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct raft__peer *known = known_peer(old, old_count, c->members[i].id);
        if (known != NULL) {
            r->peers[i] = *known;
        } else {
            r->peers[i].id = c->members[i].id;
            r->peers[i].lane = RAFT_NODES_MAX;
            fresh |= (uint32_t)1 << i;
        }
        r->peers[i].roles = c->members[i].roles;
        marks |= c->members[i].roles & ~(uint32_t)(RAFT_VOTER | RAFT_LEARNER);
        uint32_t voting = RAFT_BUG(44) ? RAFT_VOTER | RAFT_LEARNER : RAFT_VOTER;
        r->voters |= (uint32_t)((c->members[i].roles & voting) != 0) << i;
        r->voters_old |= (uint32_t)((c->members[i].roles & RAFT_VOTER_OLD) != 0) << i;
        if (c->members[i].id == r->o.id) {
            r->self = i;
            r->was_member = 1;
        }
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if ((fresh >> i & 1) != 0) {
            r->peers[i].lane = free_lane(r->peers, c->count);
            raft__peer_reset(r, &r->peers[i], r->last + 1);
        } else {
            raft__round_begin(r, &r->peers[i]);
        }
    }
    r->unsettled = marks != 0 || r->self == RAFT__NO_SLOT || (r->voters >> r->self & 1) == 0;
    if (r->removed_at <= raft__config(r)->index) {
        r->removed_at = 0;
    }
    r->votes = move_slots(r, old, old_count, r->votes);
    r->rejects = move_slots(r, old, old_count, r->rejects);
    raft__trace(r, RAFT_TRACE_CONFIG,
                (struct raft__note){.a = raft__config(r)->index, .b = c->count});
}

int raft__configs_room(const struct raft *r)
{
    return r->configs_count < RAFT_CONFIGS_MAX || r->configs[1].index <= r->applied;
}

/* The oldest `count` are forgotten. */
static void drop_bottom(struct raft *r, uint32_t count)
{
    RAFT_INVARIANT(count < r->configs_count);
    r->configs_count -= count;
    memmove(r->configs, r->configs + count, r->configs_count * sizeof(r->configs[0]));
    memset(r->configs + r->configs_count, 0, count * sizeof(r->configs[0]));
}

void raft__configs_push(struct raft *r, const struct raft_config_at *c)
{
    RAFT_INVARIANT(r->configs_count == 0 || c->index > raft__config(r)->index);
    if (r->configs_count == RAFT_CONFIGS_MAX) {
        drop_bottom(r, 1);
    }
    copy_config(&r->configs[r->configs_count++], c->index, &c->config);
    sync_peers(r);
}

void raft__configs_truncate(struct raft *r, raft_index from)
{
    uint32_t before = r->configs_count;
    while (r->configs_count > 1 && raft__config(r)->index >= from) {
        r->configs_count--;
        memset(&r->configs[r->configs_count], 0, sizeof(r->configs[0]));
    }
    RAFT_INVARIANT(raft__config(r)->index < from);
    if (r->configs_count != before) {
        sync_peers(r);
    }
}

void raft__configs_compact(struct raft *r, raft_index base)
{
    uint32_t gone = 0;
    while (gone + 1 < r->configs_count && r->configs[gone + 1].index <= base) {
        gone++;
    }
    if (gone > 0) {
        drop_bottom(r, gone);
    }
}

void raft__configs_restore(struct raft *r, const struct raft_snapshot *s, int keep)
{
    struct raft_config_at later[RAFT_CONFIGS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; (keep || RAFT_BUG(28)) && i < r->configs_count; i++) {
        if (r->configs[i].index > s->index) {
            later[count++] = r->configs[i];
        }
    }
    memset(r->configs, 0, sizeof(r->configs));
    r->configs_count = 0;
    if (count < RAFT_CONFIGS_MAX) { /* else there may be a gap between it and the later ones */
        copy_config(&r->configs[r->configs_count++], s->config_index, &s->config);
    }
    memcpy(r->configs + r->configs_count, later, count * sizeof(later[0]));
    r->configs_count += count;
    sync_peers(r);
}

static int majority(uint32_t slots, uint32_t voters)
{
    return __builtin_popcount(slots & voters) * 2 > __builtin_popcount(voters);
}

int raft__quorum_has(const struct raft *r, uint32_t slots)
{
    return majority(slots, r->voters) && (r->voters_old == 0 || majority(slots, r->voters_old));
}

/* The largest v that a majority of voters has at least. */
static uint64_t majority_value(const uint64_t *values, uint32_t voters)
{
    uint64_t sorted[RAFT_NODES_MAX]; /* descending */
    uint32_t n = 0;
    for (uint32_t rest = voters; rest != 0; rest &= rest - 1) {
        uint64_t v = values[__builtin_ctz(rest)];
        uint32_t at = n++;
        while (at > 0 && sorted[at - 1] < v) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = v;
    }
    return n == 0 ? 0 : sorted[n / 2];
}

uint64_t raft__quorum_value(const struct raft *r, const uint64_t *values)
{
    uint64_t v = majority_value(values, r->voters);
    if (r->voters_old != 0) {
        uint64_t old = majority_value(values, r->voters_old);
        v = old < v ? old : v;
    }
    return v;
}

int raft__removed(const struct raft *r)
{
    return r->removed_at > raft__config(r)->index;
}

int raft__is_out(const struct raft *r)
{
    int left_out = r->was_member && r->self == RAFT__NO_SLOT && raft__config_committed(r);
    return r->leader == 0 && (left_out || raft__removed(r));
}

int raft__may_campaign(const struct raft *r)
{
    if (raft__rx_installing(r) || raft__log_room(r) == 0 || raft__io_stalled(r)) {
        return 0; /* could not lead: its state, its log or its disk is not at hand */
    }
    if (raft__removed(r)) {
        return 0; /* misses a committed entry: could not win */
    }
    if (r->damage != 0 && !raft__repair_may_stand(r)) {
        return 0; /* may have forgotten what it promised */
    }
    /* A member that the newest configuration leaves out may be the only one that holds it: while
     * that is not known to be committed, it may stand (rule D4). */
    for (uint32_t i = r->configs_count; i > 0; i--) {
        if (raft__votes(raft__roles_in(&r->configs[i - 1].config, r->o.id))) {
            return 1;
        }
        if (r->configs[i - 1].index <= r->commit || RAFT_BUG(38)) {
            return 0;
        }
    }
    return 0;
}
