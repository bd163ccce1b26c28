/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_end.c: the second phase of a seed (R14) and the budgets of messages (R13).
 *
 *   CHAOS  -> SETTLE : at the end of the faults; nothing new is proposed
 *   SETTLE -> PROBE  : one leader, known to all, and equal logs and states everywhere
 *   PROBE  -> QUIET  : a fresh proposal is applied everywhere, a read is answered everywhere
 *   QUIET  -> DONE   : a while with nothing but heartbeats; every proposal and read has its fate
 */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>

#define WATCH_NS       (20 * SIM_MS)
#define STORM_PART_MAX 3.0 /* twice what was ever seen in 10,000 seeds */

/* How long nothing at all may be achieved, and how long the whole may take. */
static uint64_t idle_bound(const struct world *w)
{
    return 10 * w->k.raft.election_max * (w->k.priorities ? 3 : 1) + 5 * SIM_SEC;
}
#define HEAL_BOUND (600 * SIM_SEC)

/* A group with one message of one entry under way needs its time: what counts is that it moves. */
static void note_progress(struct world *w)
{
    uint64_t sum = ((uint64_t)w->phase << 48) + w->chunks_stored;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        sum += w->nodes[id].machine.applied + w->nodes[id].st.stable;
    }
    if (sum > w->progress) {
        w->progress = sum;
        w->progress_at = w->now;
    }
}

/* Does it take part in the group that this leader leads, now that everything is healed? Removed members
 * do not matter; lost disks do not come back. */
static int takes_part(const struct world *w, const struct node *leader, raft_id id)
{
    enum host_state state = w->nodes[id].state;
    return state != HOST_OUT && state != HOST_GONE && state != HOST_ABSENT &&
           !check_repair_stuck(w, &w->nodes[id]) && cfg_roles(&cfg_newest(leader)->config, id) != 0;
}

/* The leader of the newest term, if all who take part follow it. */
static struct node *one_leader(struct world *w)
{
    struct node *leader = NULL;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        struct node *n = world_node(w, id);
        if (n->state == HOST_UP && n->st.role == RAFT_LEADER &&
            (leader == NULL || n->st.term > leader->st.term)) {
            leader = n;
        }
    }
    for (raft_id id = 1; id <= w->k.nodes && leader != NULL; id++) {
        const struct node *n = world_node(w, id);
        if (takes_part(w, leader, id) &&
            (n->state == HOST_DOWN || n->paused || n->st.leader != leader->id)) {
            return NULL;
        }
    }
    return leader != NULL && leader->st.leader_ready ? leader : NULL;
}

/* Does a voter that n knows of take part, so that it can tell n what became of the group? One whose log
 * ends in a later configuration, never committed, takes the group's for an older one: it is not told. */
static int can_be_told(const struct world *w, const struct node *leader, const struct node *n)
{
    if (n->st.config > leader->st.config) {
        return 0;
    }
    uint32_t voters = cfg_who(&cfg_newest(n)->config, RAFT_VOTER | RAFT_VOTER_OLD);
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        if ((voters & cfg_bit(id)) != 0 && takes_part(w, leader, id)) {
            return 1;
        }
    }
    return 0;
}

/* Whoever was removed, runs on and believes to vote must find out, or it asks for votes for ever. */
static int removed_know(const struct world *w, const struct node *leader)
{
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        const struct node *n = &w->nodes[id];
        int votes = n->state == HOST_UP && !n->st.repairing && n->st.role != RAFT_FAULTED &&
                    (cfg_roles(&cfg_newest(n)->config, id) & (RAFT_VOTER | RAFT_VOTER_OLD)) != 0;
        if (votes && !n->st.removed && cfg_roles(&cfg_newest(leader)->config, id) == 0 &&
            can_be_told(w, leader, n)) {
            return 0;
        }
    }
    return 1;
}

static int all_equal(struct world *w, const struct node *leader)
{
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        const struct node *n = world_node(w, id);
        if (!takes_part(w, leader, id)) {
            continue;
        }
        if (n->st.repairing || n->st.last != leader->st.last || n->st.commit != leader->st.last ||
            n->machine.applied != leader->st.last || n->machine.chain != leader->machine.chain ||
            n->st.applied != n->st.commit || n->st.stable != n->st.last || n->install.active ||
            n->flight_active) {
            return 0;
        }
    }
    return member_settled(w, leader) && removed_know(w, leader);
}

static const char *state_name(enum host_state state)
{
    switch (state) {
    case HOST_DOWN:
        return "down";
    case HOST_UP:
        return "up";
    case HOST_OUT:
        return "out";
    case HOST_ABSENT:
        return "absent";
    case HOST_GONE:
        return "gone";
    }
    return "?";
}

static void explain(struct world *w, const char *what)
{
    char text[600];
    size_t at = 0;
    for (raft_id id = 1; id <= w->k.nodes && at < sizeof(text); id++) {
        const struct node *n = world_node(w, id);
        int got =
            snprintf(text + at, sizeof(text) - at,
                     " n%u:%s role %d term %" PRIu64 " %" PRIu64 "..%" PRIu64 " commit %" PRIu64
                     " applied %" PRIu64 " of n%u%s;",
                     id, state_name(n->state), (int)n->st.role, n->st.term, n->st.first, n->st.last,
                     n->st.commit, n->machine.applied, n->st.leader, n->paused ? " paused" : "");
        at += got > 0 ? (size_t)got : 0;
    }
    sim_fail(w, "%" PRIu64 " s after it was healed the group %s (R14):%s",
             (w->now - w->healed_at) / SIM_SEC, what, text);
}

static void start_probe(struct world *w, struct node *leader)
{
    if (w->probe_id != 0 && (w->client.proposals[w->probe_id].state == PROPOSAL_LOST ||
                             w->client.proposals[w->probe_id].state == PROPOSAL_DROPPED)) {
        w->probe_id = 0; /* a last crash took its proposer: another one */
    }
    if (w->probe_id == 0 && client_propose(w, leader, 1, &w->probe_id) != 0) {
        w->probe_id = 0; /* tried again at the next look */
        return;
    }
    for (raft_id id = 1; id <= w->k.nodes && !w->failed; id++) {
        struct node *n = world_node(w, id);
        if (!takes_part(w, leader, id) || n->state != HOST_UP) {
            continue;
        }
        uint64_t cookie = w->probe_cookie[id];
        const struct read *r = cookie != 0 ? &w->client.reads[cookie] : NULL;
        int again = r == NULL || (r->answered && !r->done && n->waits_count == 0);
        if (again && client_read(w, n, &cookie) == 0) {
            w->probe_cookie[id] = cookie;
        }
    }
}

static int probe_done(struct world *w, const struct node *leader)
{
    if (w->probe_id == 0 || w->client.proposals[w->probe_id].state != PROPOSAL_COMMITTED) {
        return 0;
    }
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        uint64_t cookie = w->probe_cookie[id];
        if (takes_part(w, leader, id) && (cookie == 0 || !w->client.reads[cookie].done)) {
            return 0;
        }
    }
    return 1;
}

static void enter(struct world *w, enum phase phase)
{
    w->phase = phase;
    trace_add(&w->trace, &(struct trace_rec){.at = w->now, .kind = TR_PHASE, .a = (uint64_t)phase});
}

static uint64_t quiet_ns(const struct world *w)
{
    return 10 * w->k.raft.heartbeat + w->k.raft.election_max;
}

/* Every read is answered. What a removed member still waited for it will never learn. */
static void check_fates(struct world *w, const struct node *leader)
{
    for (raft_id id = 1; id <= w->k.nodes && !w->failed; id++) {
        const struct node *n = world_node(w, id);
        int open = takes_part(w, leader, id) && (n->pend.count > 0 || n->waits_count > 0);
        if (n->state == HOST_UP && (open || n->reads_open > 0)) {
            sim_fail(w,
                     "n%u: in the end %zu proposals have no fate, %" PRIu64
                     " reads no answer, %zu confirmed reads wait",
                     n->id, n->pend.count, n->reads_open, n->waits_count);
        }
    }
}

static void finish(struct world *w)
{
    const struct node *leader = one_leader(w);
    if (leader == NULL || leader->st.term != w->quiet_term) {
        explain(w, "has changed its leader while nothing happened");
    } else {
        check_fates(w, leader);
    }
    check_load(w);
    enter(w, PHASE_DONE);
}

void check_watch(struct world *w)
{
    struct node *leader = one_leader(w);
    if (leader != NULL && w->phase == PHASE_SETTLE) {
        member_settle(w, leader);
    } else if (w->phase == PHASE_SETTLE && w->now > w->progress_at + idle_bound(w) / 2) {
        nemesis_widen(w);
    }
    int equal = leader != NULL && all_equal(w, leader);
    if (w->phase == PHASE_SETTLE && equal) {
        w->converged_ns = w->now - w->healed_at;
        MARK(w, CONVERGED);
        enter(w, PHASE_PROBE);
    }
    if (w->phase == PHASE_PROBE && leader != NULL) {
        start_probe(w, leader);
        if (!w->failed && equal && probe_done(w, leader)) {
            enter(w, PHASE_QUIET);
            w->quiet_from = w->now;
            w->quiet_term = leader->st.term;
            w->quiet_sent = w->net.sent;
        }
    }
    if (w->phase == PHASE_QUIET && w->now >= w->quiet_from + quiet_ns(w)) {
        finish(w);
        return;
    }
    note_progress(w);
    if ((w->now > w->progress_at + idle_bound(w) || w->now > w->healed_at + HEAL_BOUND) &&
        !w->failed) {
        explain(w, w->phase == PHASE_SETTLE  ? "has not converged"
                   : w->phase == PHASE_PROBE ? "does not answer"
                                             : "is not quiet");
    }
    if (!w->failed) {
        world_later(w, WATCH_NS, (struct ev){.kind = EV_WATCH});
    }
}

/* Storms: a quiet group sends its heartbeats and their answers, a busy one a bounded number of
 * messages an entry. The factors are four times what healthy runs were seen to need. */
void check_load(struct world *w)
{
    uint64_t pairs = (uint64_t)w->k.nodes * (w->k.nodes - 1);
    uint64_t beats = (w->now - w->quiet_from) / w->k.raft.heartbeat + 2;
    uint64_t sent = w->net.sent - w->quiet_sent;
    if (w->quiet_from > 0 && sent > 4 * pairs * beats + 20) {
        sim_fail(w, "a quiet group sent %" PRIu64 " messages in %" PRIu64 " heartbeats (R13)", sent,
                 beats);
    }
}

/* A message that moves entries, bytes of a snapshot or an acknowledgement is work; everything else is
 * overhead, and what may be spent of it in a second follows from timers and from work. */
static int is_overhead(const struct raft_msg *m)
{
    return !((m->type == RAFT_MSG_APPEND && m->count > 0) || m->type == RAFT_MSG_SNAPSHOT ||
             m->type == RAFT_MSG_SNAPSHOT_REPLY ||
             (m->type == RAFT_MSG_APPEND_REPLY && (m->flags & RAFT_FLAG_REJECT) == 0));
}

void check_storm(struct world *w, const struct raft_msg *m)
{
    struct net *net = &w->net;
    net->overhead += (uint64_t)is_overhead(m);
    if (w->now < net->window_from + SIM_SEC) {
        return;
    }
    uint64_t seconds = (w->now - net->window_from) / SIM_SEC + 1;
    uint64_t pairs = (uint64_t)w->k.nodes * (w->k.nodes - 1);
    uint64_t beats = seconds * SIM_SEC / w->k.raft.heartbeat + 1;
    uint64_t allowed = pairs * (beats + 20) + w->k.nodes * net->window_work;
    if (w->rough_network) {
        allowed *=
            1 + w->k.raft.inflight_msgs_max; /* one gap refuses all that was sent behind it */
    }
    double part = (double)net->overhead / (double)allowed;
    if (part > STORM_PART_MAX) {
        sim_fail(w,
                 "%" PRIu64 " messages of overhead in %" PRIu64 " s, allowed are %" PRIu64 " (R13)",
                 net->overhead, seconds, allowed);
    }

    if (part > w->storm_max) {
        w->storm_max = part;
    }
    net->overhead = 0;
    net->window_work = 0;
    net->window_from = w->now;
}
