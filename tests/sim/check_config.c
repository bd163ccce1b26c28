/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_config.c: R10, which configurations there may be and whose word counts in them.
 *
 *   - the one in force at a member is the last of its log, else its snapshot's
 *   - each follows from the one before it: voters change only through a joint one, whose halves are
 *     the voters before and after; every quorum of the one meets every quorum of the other
 *   - a leader appends one only when the one before it and an entry of its own term are committed
 *   - a leader was elected by voters only, by both halves while joint
 *   - a snapshot carries the one that was in force where it stands
 *
 * That commit counts voters only is checked in check_log.c, against the disks.
 */
#include "tests/sim/world.h"

#include <inttypes.h>

/* Is there a quorum of a that leaves out a quorum of b? Sets over at most SIM_NODES_MAX ids. */
static int can_miss(const struct raft_config *a, const struct raft_config *b)
{
    uint32_t all =
        cfg_who(a, RAFT_VOTER | RAFT_VOTER_OLD) | cfg_who(b, RAFT_VOTER | RAFT_VOTER_OLD);
    for (uint32_t s = all;; s = (s - 1) & all) {
        if (cfg_quorum(a, s) && cfg_quorum(b, all & ~s)) {
            return 1;
        }
        if (s == 0) {
            return 0;
        }
    }
}

static const char *wrong_step(const struct raft_config *from, const struct raft_config *to)
{
    uint32_t voters = cfg_who(from, RAFT_VOTER);
    if (cfg_joint(from) && (cfg_joint(to) || cfg_who(to, RAFT_VOTER) != voters)) {
        return "does not end the joint one before it";
    }
    if (!cfg_joint(from) && cfg_joint(to) && cfg_who(to, RAFT_VOTER_OLD) != voters) {
        return "is joint with others than the voters before it";
    }
    if (!cfg_joint(from) && !cfg_joint(to) && cfg_who(to, RAFT_VOTER) != voters) {
        return "changes the voters without being joint";
    }
    return can_miss(from, to) ? "has a quorum that misses one of the configuration before it"
                              : NULL;
}

static const char *wrong_form(const struct raft_config *c)
{
    if (cfg_who(c, RAFT_VOTER) == 0) {
        return "has no voter";
    }
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t roles = c->members[i].roles;
        uint32_t votes = roles & (RAFT_VOTER | RAFT_VOTER_OLD);
        if ((votes == 0) != ((roles & RAFT_LEARNER) != 0) ||
            ((roles & RAFT_PROMOTE) != 0 && (roles & RAFT_LEARNER) == 0) ||
            ((roles & RAFT_DEMOTE) != 0 && votes == 0) ||
            (roles & (RAFT_DEMOTE | RAFT_REMOVE)) == (RAFT_DEMOTE | RAFT_REMOVE)) {
            return "has roles that contradict each other";
        }
        if (i > 0 && c->members[i].id <= c->members[i - 1].id) {
            return "has its members out of order";
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------- */

static void mark_step(struct world *w, struct node *n, const struct raft_config *from,
                      const struct raft_config *to)
{
    if (n->st.role != RAFT_LEADER) {
        return;
    }
    if (cfg_joint(to)) {
        MARK(w, JOINT_ENTERED);
    }
    if ((cfg_who(to, RAFT_LEARNER) & ~cfg_who(from, UINT32_MAX)) != 0) {
        MARK(w, LEARNER_ADDED);
    }
    if ((cfg_who(from, RAFT_LEARNER) & cfg_who(to, RAFT_VOTER)) != 0) {
        MARK(w, LEARNER_PROMOTED);
    }
    if ((cfg_who(to, RAFT_LEARNER) & cfg_who(from, RAFT_VOTER | RAFT_VOTER_OLD)) != 0) {
        MARK(w, VOTER_DEMOTED);
    }
    uint32_t gone = cfg_who(from, UINT32_MAX) & ~cfg_who(to, UINT32_MAX);
    if ((gone & cfg_who(from, RAFT_VOTER | RAFT_VOTER_OLD)) != 0) {
        MARK(w, VOTER_REMOVED);
    }
    if (__builtin_popcount(gone) > 1) {
        MARK(w, SEVERAL_REPLACED);
    }
}

static raft_term term_seen(const struct world *w, raft_index index)
{
    return index > 0 && index <= w->ledger.committed ? w->ledger.commits[index].term : 0;
}

static void mark_committed(struct world *w, const struct node *n,
                           const struct raft_config_at *before, const struct raft_config_at *now)
{
    raft_term term = term_seen(w, now->index);
    if (cfg_joint(&before->config)) {
        MARK(w, JOINT_LEFT);
        if (term_seen(w, before->index) != term) {
            MARK(w, JOINT_LEFT_BY_OTHER);
        }
    }
    if (!cfg_joint(&now->config) && (cfg_who(&now->config, RAFT_VOTER) & cfg_bit(n->id)) == 0) {
        MARK(w, LEADER_REMOVED_ITSELF);
    }
}

static void note_seen(struct world *w, raft_index index, raft_term term,
                      const struct raft_config *c)
{
    struct ledger *l = &w->ledger;
    for (size_t i = 0; i < l->configs_count; i++) {
        if (l->configs[i].index == index && l->configs[i].term == term) {
            return;
        }
    }
    if (l->configs_count == l->configs_cap) {
        l->configs_cap = l->configs_cap ? l->configs_cap * 2 : 16;
        l->configs = sim_realloc(l->configs, l->configs_cap * sizeof(l->configs[0]));
    }
    l->configs[l->configs_count++] =
        (struct config_rec){.index = index, .term = term, .config = *c};
}

void check_config_entry(struct world *w, struct node *n, raft_index index, const struct item *it)
{
    struct raft_config c;
    const struct raft_config_at *before = cfg_newest(n);
    const struct raft_config_at *core = raft_config_at(n->raft, index);
    if (!cfg_of_item(it, &c) || core == NULL || core->index != index ||
        !cfg_equal(&core->config, &c)) {
        sim_fail(w, "n%u: configuration at %" PRIu64 " is not what its entry carries (R10)", n->id,
                 index);
        return;
    }
    const char *wrong = wrong_form(&c);
    if (wrong == NULL && before->config.count > 0) {
        wrong = wrong_step(&before->config, &c);
    }
    if (wrong != NULL) {
        sim_fail(w, "n%u: configuration at %" PRIu64 " %s (R10)", n->id, index, wrong);
        return;
    }
    if (n->st.role == RAFT_LEADER && it->term == n->st.term) {
        if (before->index > n->st.commit) {
            sim_fail(w,
                     "n%u: appends a configuration at %" PRIu64 ", the one at %" PRIu64
                     " is not committed (R10)",
                     n->id, index, before->index);
        } else if (elog_term(&n->log, n->st.commit) != it->term) {
            sim_fail(w,
                     "n%u: appends a configuration at %" PRIu64
                     " before anything of its term is committed (R10)",
                     n->id, index);
        }
    }
    trace_add(&w->trace,
              &(struct trace_rec){.at = w->now,
                                  .kind = TR_MEMBERS,
                                  .node = (uint8_t)n->id,
                                  .a = index,
                                  .b = cfg_who(&c, RAFT_VOTER) >> 1,
                                  .c = cfg_who(&c, RAFT_VOTER_OLD) >> 1,
                                  .d = cfg_who(&c, RAFT_LEARNER) >> 1,
                                  .e = cfg_who(&c, RAFT_PROMOTE | RAFT_DEMOTE | RAFT_REMOVE) >> 1});
    mark_step(w, n, &before->config, &c);
    note_seen(w, index, it->term, &c);
    cfg_push(n, index, &c);
}

void check_config_committed(struct world *w, struct node *n, raft_index index,
                            const struct item *it)
{
    struct ledger *l = &w->ledger;
    struct raft_config c;
    if (!cfg_of_item(it, &c)) {
        sim_fail(w, "n%u: commits a configuration that cannot be read at %" PRIu64, n->id, index);
        return;
    }
    if (l->history_count == l->history_cap) {
        l->history_cap = l->history_cap ? l->history_cap * 2 : 16;
        l->history = sim_realloc(l->history, l->history_cap * sizeof(l->history[0]));
    }
    l->history[l->history_count++] = (struct raft_config_at){.index = index, .config = c};
    mark_committed(w, n, &l->history[l->history_count - 2], &l->history[l->history_count - 1]);
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        struct node *m = &w->nodes[id];
        m->member |= cfg_roles(&c, id) != 0;
        m->left = m->member && cfg_roles(&c, id) == 0;
    }
    /* What others hold at or before it can never be committed any more. */
    size_t kept = 0;
    for (size_t i = 0; i < l->configs_count; i++) {
        if (l->configs[i].index > index) {
            l->configs[kept++] = l->configs[i];
        }
    }
    l->configs_count = kept;
}

void check_config_begin(struct world *w)
{
    struct ledger *l = &w->ledger;
    l->history_cap = 16;
    l->history = sim_alloc(l->history_cap * sizeof(l->history[0]));
    l->history_count = 1;
    cfg_first(w, &l->history[0].config);
}

const struct raft_config_at *check_config_at(const struct world *w, raft_index index)
{
    size_t i = w->ledger.history_count;
    while (i > 1 && w->ledger.history[i - 1].index > index) {
        i--;
    }
    return &w->ledger.history[i - 1];
}

void check_config_force(struct world *w, struct node *n)
{
    const struct raft_status *st = &n->st;
    const struct raft_config_at *c = cfg_newest(n);
    int same = st->config == c->index && st->peers_count == c->config.count &&
               (st->joint != 0) == cfg_joint(&c->config);
    for (uint32_t i = 0; i < c->config.count && same; i++) {
        same = st->peers[i].id == c->config.members[i].id &&
               st->peers[i].roles == c->config.members[i].roles;
    }
    if (!same) {
        sim_fail(w,
                 "n%u: the configuration in force is that of %" PRIu64 ", its log says %" PRIu64
                 " (R10)",
                 n->id, st->config, c->index);
    }
}

void check_elected(struct world *w, struct node *n)
{
    const struct term_rec *t = check_term(w, n->st.term);
    uint32_t votes = 0;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        votes |= t->votes[id] == n->id ? cfg_bit(id) : 0;
    }
    if (n->durable.term == n->st.term && n->durable.vote == n->id) {
        votes |= cfg_bit(n->id);
    }
    const struct raft_config_at *c = cfg_newest(n);
    if (!cfg_quorum(&c->config, votes)) {
        sim_fail(w,
                 "n%u: leads term %" PRIu64 " with the votes of members 0x%x, voters are 0x%x and "
                 "0x%x (R10)",
                 n->id, n->st.term, votes >> 1, cfg_who(&c->config, RAFT_VOTER) >> 1,
                 cfg_who(&c->config, RAFT_VOTER_OLD) >> 1);
    }
}

void check_snapshot_config(struct world *w, struct node *n, const struct raft_snapshot *snap)
{
    if (snap->index > w->ledger.committed) {
        return; /* check_snapshot reports it */
    }
    const struct raft_config_at *want = check_config_at(w, snap->index);
    int empty = snap->config.count == 0 && want->index == 0; /* of one that joined later */
    if (!empty && (snap->config_index != want->index || !cfg_equal(&snap->config, &want->config))) {
        sim_fail(w,
                 "n%u: snapshot at %" PRIu64 " has the configuration of %" PRIu64
                 ", in force is that of %" PRIu64 " (R10)",
                 n->id, snap->index, snap->config_index, want->index);
    }
}
