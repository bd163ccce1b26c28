/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_log.c: the group's one log.
 *
 *   R2   a leader discards nothing of its log
 *   R3   two logs that have an entry of one index and term are equal up to it: the hash of the whole
 *        prefix is noted at the first sight of (index, term) and compared at every later one
 *   R4   a new leader's log holds everything that was committed in earlier terms
 *   R5   what is applied at an index is the same everywhere, and so is every snapshot's content
 *   R8   only a leader moves the group's commit, by an entry of its own term, and a quorum of disks
 *        holds the prefix; nothing committed is ever discarded
 */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct pair_rec *pair_slot(struct pair_rec *pairs, size_t cap, raft_index index,
                                  raft_term term)
{
    uint64_t h = rng_mix(index * 0x9e3779b97f4a7c15U + term);
    for (size_t i = 0; i < cap; i++) {
        struct pair_rec *p = &pairs[(h + i) & (cap - 1)];
        if (p->index == 0 || (p->index == index && p->term == term)) {
            return p;
        }
    }
    return NULL;
}

static void pairs_grow(struct ledger *l)
{
    size_t cap = l->pairs_cap ? l->pairs_cap * 2 : 4096;
    struct pair_rec *pairs = sim_alloc(cap * sizeof(pairs[0]));
    for (size_t i = 0; i < l->pairs_cap; i++) {
        if (l->pairs[i].index != 0) {
            *pair_slot(pairs, cap, l->pairs[i].index, l->pairs[i].term) = l->pairs[i];
        }
    }
    free(l->pairs);
    l->pairs = pairs;
    l->pairs_cap = cap;
}

void check_entry(struct world *w, struct node *n, raft_index index, const struct item *it)
{
    struct ledger *l = &w->ledger;
    if (l->pairs_count * 2 >= l->pairs_cap) {
        pairs_grow(l);
    }
    const struct raft_entry *e = raft_entry_at(n->raft, index);
    if (e == NULL || e->term != it->term || e->bytes != it->bytes || e->type != it->type) {
        sim_fail(w, "n%u: core and host hold different entries at %" PRIu64, n->id, index);
        return;
    }
    if (it->type == RAFT_ENTRY_COMMAND && payload_id(it->data, it->bytes) == 0) {
        sim_fail(w, "n%u: entry %" PRIu64 " holds bytes that nobody proposed", n->id, index);
        return;
    }
    if (it->type == RAFT_ENTRY_CONFIG) {
        check_config_entry(w, n, index, it);
    }
    struct pair_rec *p = pair_slot(l->pairs, l->pairs_cap, index, it->term);
    if (p->index == 0) {
        *p = (struct pair_rec){.index = index, .term = it->term, .chain = it->chain};
        l->pairs_count++;
    } else if (p->chain != it->chain) {
        sim_fail(w, "n%u: its log differs from another's that has %" PRIu64 "/%" PRIu64 " too (R3)",
                 n->id, index, it->term);
    }
}

void check_truncate(struct world *w, struct node *n, raft_index first)
{
    MARK(w, TRUNCATED);
    if (first <= n->seen_commit || first <= n->commit) {
        sim_fail(w, "n%u: discards from %" PRIu64 ", committed is %" PRIu64 " (R8)", n->id, first,
                 n->seen_commit);
        return;
    }
    if (n->st.role == RAFT_LEADER) {
        sim_fail(w, "n%u: discards from %" PRIu64 " while leading (R2)", n->id, first);
        return;
    }
    for (raft_index i = first; i <= elog_last(&n->log); i++) {
        if (i <= w->ledger.committed && w->ledger.commits[i].chain == elog_chain(&n->log, i) &&
            w->ledger.commits[i].by_term <= n->st.term) {
            sim_fail(w, "n%u: discards %" PRIu64 ", which the group committed (R8)", n->id, i);
            return;
        }
        MARK(w, OLD_ENTRY_DROPPED);
    }
}

/* ------------------------------------------------------------------------------------------- */

static void new_commit(struct world *w, struct node *n, raft_index index)
{
    struct ledger *l = &w->ledger;
    const struct item *it = elog_at(&n->log, index);
    if (it == NULL) {
        sim_fail(w, "n%u: commits %" PRIu64 ", which is not in its log", n->id, index);
        return;
    }
    if (index >= l->commits_cap) {
        l->commits_cap = l->commits_cap ? l->commits_cap * 2 : 1024;
        l->commits = sim_realloc(l->commits, l->commits_cap * sizeof(l->commits[0]));
    }
    l->commits[index] =
        (struct commit_rec){.term = it->term, .by_term = n->st.term, .chain = it->chain};
    l->committed = index;
    w->net.window_work++;
    if (it->term < n->st.term) {
        MARK(w, OLD_ENTRY_KEPT);
    }
    if (it->type == RAFT_ENTRY_CONFIG) {
        check_config_committed(w, n, index, it);
    }
    if (it->type != RAFT_ENTRY_COMMAND) {
        return;
    }
    uint64_t id = payload_id(it->data, it->bytes);
    struct proposal *p = &w->client.proposals[id];
    if (id == 0 || id > w->client.proposals_count || p->state == PROPOSAL_REFUSED) {
        sim_fail(w, "n%u: commits proposal %" PRIu64 ", which was refused", n->id, id);
        return;
    }
    if (p->committed_at != 0) {
        sim_fail(w, "proposal %" PRIu64 " is committed at %" PRIu64 " and at %" PRIu64, id,
                 p->committed_at, index);
        return;
    }
    p->committed_at = index;
    if (p->state == PROPOSAL_LOST) {
        MARK(w, PROPOSAL_AFTER_CRASH);
    }
}

int check_holds(const struct node *n, raft_index index, uint64_t chain)
{
    return index <= n->boot_snap || image_holds(&n->durable, index, chain);
}

/* A member under repair counts for what its disk held before: nobody can know yet. */
static int check_counts(const struct node *n, raft_index index, uint64_t chain)
{
    return n->state != HOST_ABSENT && (index <= n->claimed || check_holds(n, index, chain));
}

/* Who holds the prefix through index, as bits. */
static uint32_t holders_of(const struct world *w, const struct node *n, raft_index index)
{
    uint64_t chain = elog_chain(&n->log, index);
    uint32_t holders = 0;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        holders |= check_counts(&w->nodes[id], index, chain) ? cfg_bit(id) : 0;
    }
    return holders;
}

/* The configuration in force before the step or behind it decides: a step may do both, commit and
 * append one. */
static void check_quorum(struct world *w, struct node *n, raft_index index)
{
    uint32_t holders = holders_of(w, n, index);
    const struct raft_config_at *before = cfg_at(n, n->config_before);
    const struct raft_config_at *after = cfg_newest(n);
    if (!cfg_quorum(&before->config, holders) && !cfg_quorum(&after->config, holders)) {
        sim_fail(w,
                 "n%u: commits %" PRIu64 ", which is on the disks of members 0x%x; voters are 0x%x "
                 "and 0x%x (R7, R8, R10)",
                 n->id, index, holders >> 1, cfg_who(&after->config, RAFT_VOTER) >> 1,
                 cfg_who(&after->config, RAFT_VOTER_OLD) >> 1);
    }
}

void check_commit(struct world *w, struct node *n, raft_index commit)
{
    struct ledger *l = &w->ledger;
    if (commit > l->committed) {
        /* One that removed itself may commit that and lead no more, in one step. */
        if (n->st.role != RAFT_LEADER && n->led_before != n->st.term) {
            sim_fail(w, "n%u: commits %" PRIu64 " beyond the group's %" PRIu64 " without leading",
                     n->id, commit, l->committed);
            return;
        }
        if (elog_term(&n->log, commit) != n->st.term) {
            sim_fail(w,
                     "n%u: commits %" PRIu64 " of term %" PRIu64 " by counting in term %" PRIu64
                     " (R8)",
                     n->id, commit, elog_term(&n->log, commit), n->st.term);
            return;
        }
        check_quorum(w, n, commit);
        while (l->committed < commit && !w->failed) {
            new_commit(w, n, l->committed + 1);
        }
        return;
    }
    if (commit > n->log.base && elog_chain(&n->log, commit) != l->commits[commit].chain) {
        sim_fail(w, "n%u: commits another prefix through %" PRIu64 " than the group (R5)", n->id,
                 commit);
    }
}

void check_applied(struct world *w, struct node *n)
{
    raft_index index = n->machine.applied;
    if (index > w->ledger.committed || w->ledger.commits[index].chain != n->machine.chain) {
        sim_fail(w, "n%u: applies another entry at %" PRIu64 " than the group (R5)", n->id, index);
    }
}

void check_leader_log(struct world *w, struct node *n)
{
    const struct ledger *l = &w->ledger;
    for (raft_index i = l->committed; i > n->log.base; i--) {
        if (l->commits[i].by_term >= n->st.term) {
            continue;
        }
        if (elog_chain(&n->log, i) != l->commits[i].chain) {
            sim_fail(w,
                     "n%u: leads term %" PRIu64 " without entry %" PRIu64
                     ", committed in term %" PRIu64 " (R4)",
                     n->id, n->st.term, i, l->commits[i].by_term);
        }
        return; /* the hash covers everything before */
    }
}

void check_snapshot(struct world *w, struct node *n, const struct machine *m,
                    const uint64_t digest[2])
{
    if (m->applied > w->ledger.committed || w->ledger.commits[m->applied].chain != m->chain) {
        sim_fail(w, "n%u: snapshot at %" PRIu64 " is of another history (R5)", n->id, m->applied);
        return;
    }
    struct commit_rec *c = &w->ledger.commits[m->applied];
    if (w->k.join_empty && check_config_at(w, m->applied)->index == 0) {
        return; /* who joined later does not know the first configuration */
    }
    if ((c->snap_digest[0] | c->snap_digest[1]) == 0) {
        memcpy(c->snap_digest, digest, sizeof(c->snap_digest));
    } else if (memcmp(c->snap_digest, digest, sizeof(c->snap_digest)) != 0) {
        sim_fail(w, "n%u: snapshot at %" PRIu64 " differs in bytes from another's (T1)", n->id,
                 m->applied);
    }
}
