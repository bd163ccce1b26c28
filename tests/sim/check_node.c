/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_node.c: what must hold at one member after every step of its core.
 *
 *   R1   at most one leader in a term
 *   R6   term, commit and vote are monotone, across restarts too
 *   R9   and all else that a member can see for itself: raft_check
 *   R14  a leader whose disk is silent, or whom no quorum answers, does not lead on
 *   -    the host's log is the core's log; a failed write stops the member and nothing else does
 */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <string.h>

struct term_rec *check_term(struct world *w, raft_term term)
{
    struct ledger *l = &w->ledger;
    if (term >= 1000000) {
        sim_fail(w, "term %" PRIu64 ": elections without end", term);
        term = 0;
    }
    if (term >= l->terms_cap) {
        size_t cap = l->terms_cap ? l->terms_cap : 64;
        while (cap <= term) {
            cap *= 2;
        }
        l->terms = sim_realloc(l->terms, cap * sizeof(l->terms[0]));
        memset(l->terms + l->terms_cap, 0, (cap - l->terms_cap) * sizeof(l->terms[0]));
        l->terms_cap = cap;
    }
    return &l->terms[term];
}

static int other_leader(const struct world *w, const struct node *n)
{
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        const struct node *m = &w->nodes[id];
        if (m != n && m->state == HOST_UP && m->st.role == RAFT_LEADER) {
            return 1;
        }
    }
    return 0;
}

static void became_leader(struct world *w, struct node *n)
{
    struct term_rec *t = check_term(w, n->st.term); /* before any other call may move the table */
    MARK(w, LEADER_ELECTED);
    if (t->leader != 0 && t->leader != n->id) {
        sim_fail(w, "n%u and n%u both lead term %" PRIu64 " (R1)", t->leader, n->id, n->st.term);
        return;
    }
    t->leader = n->id;
    n->led_at = host_now(w, n);
    if (other_leader(w, n)) {
        MARK(w, TWO_LEADERS);
    }
    if (n->st.term > 1 && check_term(w, n->st.term - 1)->transfer_to == n->id) {
        MARK(w, TRANSFERRED);
    }
    if (cfg_joint(&cfg_newest(n)->config)) {
        MARK(w, ELECTED_WHILE_JOINT);
    }
    check_elected(w, n);
    check_leader_log(w, n);
}

static void note_role(struct world *w, struct node *n, raft_term term_before)
{
    const struct raft_status *st = &n->st;
    if (st->role == RAFT_LEADER && st->transfer_to != 0) {
        check_term(w, st->term)->transfer_to = st->transfer_to;
    }
    if (st->role == n->seen_role && st->term == term_before) {
        return;
    }
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_ROLE,
                                             .node = (uint8_t)n->id,
                                             .a = st->role,
                                             .b = st->term,
                                             .c = st->leader,
                                             .d = st->commit,
                                             .e = st->last});
    if (st->role == RAFT_LEADER && (n->seen_role != RAFT_LEADER || st->term != term_before)) {
        became_leader(w, n);
    }
    if (n->seen_role == RAFT_LEADER && st->role == RAFT_FOLLOWER && st->term == term_before) {
        MARK(w, STEPPED_DOWN_SAME_TERM);
    }
    if (st->role == RAFT_PRECANDIDATE && n->seen_role != RAFT_PRECANDIDATE && n->left) {
        MARK(w, REMOVED_ASKS);
    }
    if (n->seen_role == RAFT_CANDIDATE && st->role == RAFT_PRECANDIDATE) {
        MARK(w, ELECTION_RETRIED);
    }
    n->seen_role = st->role;
}

static void check_monotone(struct world *w, struct node *n)
{
    const struct raft_status *st = &n->st;
    if (st->term < n->seen_term) {
        sim_fail(w, "n%u: term fell from %" PRIu64 " to %" PRIu64 " (R6)", n->id, n->seen_term,
                 st->term);
    } else if (st->term == n->seen_term && n->seen_vote != 0 && st->vote != n->seen_vote) {
        sim_fail(w, "n%u: vote in term %" PRIu64 " changed from %u to %u (R6)", n->id, st->term,
                 n->seen_vote, st->vote);
    } else if (st->commit < n->seen_commit) {
        sim_fail(w, "n%u: commit fell from %" PRIu64 " to %" PRIu64 " (R6)", n->id, n->seen_commit,
                 st->commit);
    }
}

static void check_log_equal(struct world *w, struct node *n)
{
    const struct raft_status *st = &n->st;
    if (n->install.active) {
        return;
    }
    if (st->last != elog_last(&n->log) || st->stable > st->last || st->commit > st->last ||
        st->applied > st->commit || st->first > n->commit + 1) {
        sim_fail(w,
                 "n%u: core has first %" PRIu64 " last %" PRIu64 " stable %" PRIu64
                 " commit %" PRIu64 " applied %" PRIu64 ", host has %" PRIu64 "..%" PRIu64,
                 n->id, st->first, st->last, st->stable, st->commit, st->applied, n->log.base + 1,
                 elog_last(&n->log));
    }
    if (st->stable > elog_last(&n->durable.log) && st->stable > n->durable.snap_index &&
        st->stable > n->boot_snap) {
        sim_fail(w, "n%u: core believes %" PRIu64 " durable, the disk holds %" PRIu64 " (R7)",
                 n->id, st->stable, elog_last(&n->durable.log));
    }
}

void check_node(struct world *w, struct node *n)
{
    char why[200] = "";
    const struct raft_status *st = &n->st;
    if (raft_check(n->raft, why, sizeof(why)) != 0) {
        sim_fail(w, "n%u: raft_check: %s", n->id, why);
        return;
    }
    if ((st->role == RAFT_FAULTED) != (n->io_failed != 0)) {
        sim_fail(w, "n%u: role %d, write failed: %d, fault: %s", n->id, (int)st->role, n->io_failed,
                 st->fault ? st->fault : "none");
        return;
    }
    check_monotone(w, n);
    raft_term term_before = n->seen_term;
    n->seen_term = st->term;
    n->seen_vote = st->vote;
    n->seen_commit = st->commit;
    if (!w->failed) {
        check_log_equal(w, n);
    }
    if (!w->failed && !n->install.active) {
        check_config_force(w, n);
    }
    if (!w->failed) {
        note_role(w, n, term_before);
    }
    if (!w->failed) {
        check_commit(w, n, st->commit);
    }
    if (!w->failed) {
        check_repair(w, n);
    }
}

/* A leader whose disk has been silent for too long hands over or has given up. */
static void check_silent_disk(struct world *w, struct node *n)
{
    const struct raft_status *st = &n->st;
    uint64_t silent = n->flight_active ? host_now(w, n) - n->flight_at : 0;
    int others = 0;
    for (uint32_t i = 0; i < st->peers_count; i++) {
        int votes = (st->peers[i].roles & (RAFT_VOTER | RAFT_VOTER_OLD)) != 0;
        others |= votes && st->peers[i].id != n->id;
    }
    if (st->config != n->config_before) {
        return; /* who else votes was decided just now: the next tick sees to it */
    }
    if (others && st->transfer_to == 0 && silent >= w->k.raft.disk_stall) {
        sim_fail(w, "n%u: leads on, its disk has been silent for %" PRIu64 " ms (R14)", n->id,
                 silent / SIM_MS);
    }
}

/* Its timer has run. */
void check_ticked(struct world *w, struct node *n)
{
    const struct raft_status *st = &n->st;
    if (st->role != RAFT_LEADER) {
        return;
    }
    uint64_t since = st->quorum_contact > n->led_at ? st->quorum_contact : n->led_at;
    uint64_t now = host_now(w, n);
    if (now >= since + w->k.raft.election_min) {
        sim_fail(w, "n%u: leads on, no quorum has answered for %" PRIu64 " ms (R14)", n->id,
                 (now - since) / SIM_MS);
        return;
    }
    check_silent_disk(w, n);
}

void check_booted(struct world *w, struct node *n)
{
    const struct raft_status *st = &n->st;
    n->seen_term = st->term;
    n->seen_vote = st->vote;
    n->seen_commit = st->commit;
    n->seen_role = st->role;
    n->committed_before = w->ledger.committed;
    n->whole = 0;
    n->repaired = 0;
    int doubt = (n->damage & RAFT_DAMAGE_VOTE) != 0; /* it knows that it may have forgotten */
    if (!doubt && (st->term < n->promised_term ||
                   (st->term == n->promised_term && st->vote != n->promised_vote))) {
        sim_fail(w,
                 "n%u: boots with term %" PRIu64 " vote %u, it gave its vote to %u in %" PRIu64
                 " (R6)",
                 n->id, st->term, st->vote, n->promised_vote, n->promised_term);
    }
    if (st->role != RAFT_FOLLOWER && !cfg_quorum(&cfg_newest(n)->config, cfg_bit(n->id))) {
        sim_fail(w, "n%u: boots into role %d", n->id, (int)st->role);
    }
}
