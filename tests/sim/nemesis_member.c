/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nemesis_member.c: who belongs to the group: an operator who changes his mind a lot.
 *
 * Targets are random: members added, learning first; several replaced; demoted, promoted; a leader
 * that is to remove itself; a change that takes the place of one under way. Removed members keep
 * running, are added again later with the disk that they have, or leave for good; a member whose disk
 * is lost is replaced under a fresh id. An id is never used for another disk.
 *
 * Kept: a target always has a voter, and a majority of its voters has its disk.
 */
#include "tests/sim/world.h"

#include <inttypes.h>

static uint32_t ids_in(const struct world *w, enum host_state state)
{
    uint32_t ids = 0;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        ids |= w->nodes[id].state == state ? cfg_bit(id) : 0;
    }
    return ids;
}

/* One of the set, or 0. */
static raft_id one_of(struct world *w, uint32_t ids)
{
    uint64_t skip = rng_below(&w->rng_nemesis, (uint64_t)__builtin_popcount(ids));
    for (; ids != 0; ids &= ids - 1) {
        if (skip-- == 0) {
            return (raft_id)__builtin_ctz(ids);
        }
    }
    return 0;
}

static uint32_t bit_of(raft_id id)
{
    return id == 0 ? 0 : cfg_bit(id);
}

struct target {
    uint32_t voters;
    uint32_t learners;
};

/* What c comes to when all its steps are done. */
static struct target target_of(const struct raft_config *c)
{
    struct target t = {.voters = cfg_voters_to_be(c)};
    t.learners = cfg_who(c, RAFT_LEARNER | RAFT_DEMOTE) & ~t.voters;
    t.learners &= ~(cfg_who(c, RAFT_REMOVE) & ~cfg_who(c, RAFT_DEMOTE));
    return t;
}

static void set_voters(struct target *t, uint32_t voters)
{
    t->voters = voters;
    t->learners &= ~voters;
}

enum wish {
    WISH_ADD_VOTER = 0,
    WISH_ADD_LEARNER,
    WISH_PROMOTE,
    WISH_DEMOTE,
    WISH_REMOVE_VOTER,
    WISH_REMOVE_LEARNER,
    WISH_REMOVE_LEADER,
    WISH_REPLACE,
    WISH_ANYTHING,
    WISH_END
};

static void draw_target(struct world *w, const struct node *leader, struct target *t)
{
    uint32_t pool = ((cfg_bit(w->k.nodes) << 1) - 2) & ~ids_in(w, HOST_GONE);
    uint32_t in = t->voters | t->learners;
    uint32_t one = 0;
    switch ((enum wish)rng_below(&w->rng_nemesis, WISH_END)) {
    case WISH_ADD_VOTER:
        set_voters(t, t->voters | bit_of(one_of(w, pool & ~in)));
        break;
    case WISH_ADD_LEARNER:
        t->learners |= bit_of(one_of(w, pool & ~in));
        break;
    case WISH_PROMOTE:
        set_voters(t, t->voters | bit_of(one_of(w, t->learners)));
        break;
    case WISH_DEMOTE:
        one = bit_of(one_of(w, t->voters));
        t->voters &= ~one;
        t->learners |= one;
        break;
    case WISH_REMOVE_VOTER:
        t->voters &= ~bit_of(one_of(w, t->voters));
        break;
    case WISH_REMOVE_LEARNER:
        t->learners &= ~bit_of(one_of(w, t->learners));
        break;
    case WISH_REMOVE_LEADER:
        t->voters &= ~cfg_bit(leader->id);
        break;
    case WISH_REPLACE: /* of a group of the same size, anybody else */
        one = t->voters;
        for (int i = __builtin_popcount(one); i > 0 && rng_chance(&w->rng_nemesis, 600); i--) {
            t->voters &= ~bit_of(one_of(w, t->voters & one));
            set_voters(t, t->voters | bit_of(one_of(w, pool & ~one)));
        }
        break;
    default:
        set_voters(t, (uint32_t)rng_next(&w->rng_nemesis) & pool);
        t->learners = (uint32_t)rng_next(&w->rng_nemesis) & pool & ~t->voters;
        break;
    }
    if (t->voters == 0) {
        set_voters(t, bit_of(one_of(w, in != 0 ? in & pool : pool)));
    }
}

/* Whom an operator has to replace: lost, refused by its own disk, or in doubt about its vote for ever. */
static uint32_t never_back(const struct world *w)
{
    uint32_t ids = ids_in(w, HOST_GONE) | ids_in(w, HOST_OUT);
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        ids |= check_repair_stuck(w, &w->nodes[id]) ? cfg_bit(id) : 0;
    }
    return ids;
}

static uint32_t lost_ids(const struct world *w)
{
    uint32_t lost = never_back(w);
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        const struct node *n = &w->nodes[id];
        int whole = n->state == HOST_UP && !n->spoiled && !n->st.repairing;
        lost |= n->rotted && !whole ? cfg_bit(id) : 0;
    }
    return lost;
}

static int majority_keeps(uint32_t voters, uint32_t lost)
{
    return voters == 0 || __builtin_popcount(voters & lost) * 2 < __builtin_popcount(voters);
}

static int config_keeps(const struct raft_config *c, uint32_t lost)
{
    return majority_keeps(cfg_who(c, RAFT_VOTER), lost) &&
           majority_keeps(cfg_who(c, RAFT_VOTER_OLD), lost) &&
           majority_keeps(cfg_voters_to_be(c), lost);
}

int nemesis_may_lose(const struct world *w, raft_id id)
{
    const struct ledger *l = &w->ledger;
    uint32_t lost = lost_ids(w) | cfg_bit(id);
    for (size_t i = 0; i < l->configs_count; i++) {
        if (!config_keeps(&l->configs[i].config, lost)) {
            return 0;
        }
    }
    return config_keeps(&l->history[l->history_count - 1].config, lost);
}

/* Processes for those that have none yet; some are late. */
static void start_joiners(struct world *w, const struct target *t)
{
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        struct node *n = world_node(w, id);
        if (n->state == HOST_ABSENT && ((t->voters | t->learners) & cfg_bit(id)) != 0) {
            n->state = HOST_DOWN;
            world_later(w, rng_below(&w->rng_nemesis, 3 * w->k.raft.election_max),
                        (struct ev){.kind = EV_BOOT, .node = (uint8_t)id});
        }
    }
}

static int same_target(const struct target *a, const struct target *b)
{
    return a->voters == b->voters && a->learners == b->learners;
}

static int has_marks(const struct raft_config *c)
{
    return cfg_who(c, RAFT_PROMOTE | RAFT_DEMOTE | RAFT_REMOVE) != 0;
}

/* The core keeps so many configurations behind its newest snapshot. */
static int stack_full(const struct node *n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n->cfgs.count; i++) {
        kept += n->cfgs.v[i].index > n->log.base;
    }
    return kept + 2 >= RAFT_CONFIGS_MAX;
}

/* Is this what the answer may be? before: status and newest configuration when it was asked. */
static int right_answer(int result, const struct node *n, const struct raft_status *before,
                        const struct raft_config *config, const struct target *t)
{
    struct target now = target_of(config);
    switch (result) {
    case 0:
        return before->role == RAFT_LEADER && before->leader_ready && !before->joint &&
               before->config <= before->commit && before->transfer_to == 0;
    case RAFT_ENOTLEADER:
        return before->role != RAFT_LEADER;
    case RAFT_EBUSY:
        return before->joint || before->config > before->commit || stack_full(n) ||
               (has_marks(config) && same_target(&now, t));
    case RAFT_ENOTREADY:
        return !before->leader_ready;
    case RAFT_ETRANSFER:
        return before->transfer_to != 0;
    case RAFT_EINVAL:
        return same_target(&now, t);
    case RAFT_EFULL:
    case RAFT_ENOSPACE:
    case RAFT_EFAULTED:
        return 1;
    default:
        return 0;
    }
}

static void mark_answer(struct world *w, int result, const struct raft_config *config)
{
    if (result == RAFT_EBUSY) {
        MARK(w, CONFIG_BUSY);
    } else if (result == RAFT_ENOTREADY) {
        MARK(w, CONFIG_NOT_READY);
    } else if (result == 0) {
        MARK(w, CONFIG_TAKEN);
        if (has_marks(config)) {
            MARK(w, CONFIG_SUPERSEDED);
        }
    }
}

static int propose(struct world *w, struct node *n, const struct target *t)
{
    struct raft_config c = {0};
    struct raft_config config = cfg_newest(n)->config;
    struct raft_status before = n->st;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        uint32_t roles = (t->voters & cfg_bit(id)) != 0     ? RAFT_VOTER
                         : (t->learners & cfg_bit(id)) != 0 ? RAFT_LEARNER
                                                            : 0;
        if (roles != 0) {
            c.members[c.count++] = (struct raft_member){.id = id, .roles = roles};
        }
    }
    struct raft_event ev = {.type = RAFT_EV_PROPOSE_CONFIG, .config = &c};
    struct raft_accept acc = {0};
    raft_index expected = elog_last(&n->log) + 1;
    int result = host_feed(w, n, &ev, NULL, &acc);
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_CONFIG,
                                             .node = (uint8_t)n->id,
                                             .a = (uint64_t)(int64_t)result,
                                             .b = t->voters >> 1,
                                             .c = t->learners >> 1,
                                             .d = acc.first});
    if (!right_answer(result, n, &before, &config, t)) {
        sim_fail(w, "n%u: PROPOSE_CONFIG answered %d (%s)", n->id, result, raft_strerror(result));
    } else if (result == 0 && (acc.first != expected || acc.term != before.term)) {
        sim_fail(w, "n%u: configuration accepted at %" PRIu64 ", expected at %" PRIu64, n->id,
                 acc.first, expected);
    }
    mark_answer(w, result, &config);
    w->net.window_work++;
    host_react(w, n, &ev);
    return result;
}

/* ------------------------------------------------------------------------------------------- */

struct node *member_leader(struct world *w)
{
    struct node *leader = NULL;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        struct node *n = world_node(w, id);
        if (n->state == HOST_UP && !n->paused && n->st.role == RAFT_LEADER &&
            (leader == NULL || n->st.term > leader->st.term)) {
            leader = n;
        }
    }
    return leader;
}

/* Could this member be asked for, in any log? */
static int is_named(const struct world *w, raft_id id)
{
    const struct ledger *l = &w->ledger;
    for (size_t i = 0; i < l->configs_count; i++) {
        if (cfg_roles(&l->configs[i].config, id) != 0) {
            return 1;
        }
    }
    return cfg_roles(&l->history[l->history_count - 1].config, id) != 0;
}

static void leave(struct world *w, struct node *n)
{
    host_end(w, n, HOST_END_POWER);
    n->state = HOST_GONE;
}

/* One that was removed is switched off for good. */
static void retire(struct world *w)
{
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        struct node *n = world_node(w, id);
        if (n->left && n->state == HOST_UP && !n->paused && n->st.role != RAFT_LEADER &&
            !is_named(w, id)) {
            MARK(w, MEMBER_RETIRED);
            leave(w, n);
            return;
        }
    }
}

void member_change(struct world *w)
{
    if (rng_chance(&w->rng_nemesis, 100)) {
        retire(w);
        return;
    }
    struct node *n = rng_chance(&w->rng_nemesis, 850) ? member_leader(w) : nemesis_target(w);
    if (n == NULL) {
        return;
    }
    struct target t = target_of(&cfg_newest(n)->config);
    draw_target(w, n, &t);
    if (!majority_keeps(t.voters, lost_ids(w))) {
        return;
    }
    uint32_t again = 0;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        again |= w->nodes[id].left ? cfg_bit(id) & (t.voters | t.learners) : 0;
    }
    if (propose(w, n, &t) == 0) {
        start_joiners(w, &t);
        if (again != 0) {
            MARK(w, MEMBER_CAME_BACK);
        }
    }
}

void member_wipe(struct world *w)
{
    struct node *n = nemesis_target(w);
    if (n == NULL || !is_named(w, n->id) || !nemesis_may_lose(w, n->id)) {
        return;
    }
    MARK(w, DISK_LOST);
    leave(w, n);
}

void member_settle(struct world *w, struct node *leader)
{
    struct target t = target_of(&cfg_newest(leader)->config);
    uint32_t gone = never_back(w);
    const struct raft_status *st = &leader->st;
    if (((t.voters | t.learners) & gone) == 0 || st->joint || st->config > st->commit ||
        !st->leader_ready || st->transfer_to != 0) {
        return;
    }
    t.voters &= ~gone;
    t.learners &= ~gone;
    (void)propose(w, leader, &t); /* when the log is full: again at the next look */
}

int member_settled(const struct world *w, const struct node *leader)
{
    const struct raft_config_at *c = cfg_newest(leader);
    return c->index <= leader->st.commit && !cfg_joint(&c->config) && !has_marks(&c->config) &&
           (cfg_who(&c->config, UINT32_MAX) & never_back(w)) == 0;
}
