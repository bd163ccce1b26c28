/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: one iteration of a member. Events have taken note; here everything due is done, in passes:
 *
 *   what sessions need -> propose or forward writes -> remove what is due -> begin a read round
 *   -> poll raft (persist, send) -> apply what is committed -> reads whose round is done
 *   -> connections that can go on
 *
 * A pass that made work for the next is followed by one, a few times; the rest waits for the next call.
 *
 * Invariants
 *   1. A change of role, term or leader is acted on (node__refresh) before any decision that rests on it.
 *   2. Connections are flushed and freed at the end only.
 *   3. If nothing happens before node_deadline, calling node_run would do nothing.
 */
#include "server/mutant.h"
#include "server/node/internal.h"

#define PROGRESS_NS (1000 * NODE_MS)

/* --- state of raft -------------------------------------------------------------------------- */

static void regime(struct node *n, const struct raft_status *before)
{
    bool was_leader = before->role == RAFT_LEADER;
    node__log_state(n, before);
    if (before->term == n->st.term && before->leader == n->st.leader &&
        was_leader == node__is_leader(n)) {
        return;
    }
    n->again = true;
    if (SERVER_BUG(28)) {
        node__writes_lost(n);
    }
    if (was_leader || node__is_leader(n)) {
        node__writes_drop_foreign(n);
        node__sessions_regime(n);
        node__reaper_regime(n);
        for (uint32_t i = 0; i < n->peers_count; i++) {
            n->peers[i].nonce = 0; /* streams of forwards belong to one term */
            n->peers[i].stream = 0;
        }
    }
    node__touch_regime(n);
    node__reads_regime(n);
    node__limits_regime(n);
}

void node__refresh(struct node *n)
{
    struct raft_status before = n->st;
    raft_status(n->raft, &n->st);
    if (n->st.fault != NULL) {
        node__fault(n, n->st.fault);
    }
    /* raft's log is the measure: nothing outside it is asked for again. */
    node__payloads_compact(&n->log, n->st.first - 1);
    node__payloads_cut(&n->log, n->st.last + 1);
    if (before.repairing && !n->st.repairing) {
        node__log(n, NODE_LOG_INFO, "log repaired: member=%u votes again; last=%llu", n->st.id,
                  (unsigned long long)n->st.last);
    }
    if (before.role != n->st.role || before.term != n->st.term || before.leader != n->st.leader) {
        regime(n, &before);
    }
}

/* --- timers --------------------------------------------------------------------------------- */

/* The loop stood still: nobody is judged by a silence that may be our own (faults.md P5, C2). */
static void after_pause(struct node *n)
{
    uint64_t late = n->deadline == NODE_NEVER || n->now < n->deadline ? 0 : n->now - n->deadline;
    if (late <= n->o.raft.election_min / 2) {
        return;
    }
    node__log(n, NODE_LOG_WARN, "the loop stood still: member=%u late_ms=%llu", n->o.raft.id,
              (unsigned long long)(late / NODE_MS));
    n->booted = n->now;
    if (!SERVER_BUG(21)) {
        node__sessions_rearm(n);
    }
    node__reaper_calm(n);
}

static void progress_marks(struct node *n)
{
    if (n->now < n->progress_at || n->progress_revision == n->applied) {
        return;
    }
    if (watch_count(n->hub) > 0) {
        watch_progress(n->hub, n->applied + SERVER_BUG(23));
    }
    n->progress_revision = n->applied;
    n->progress_at = n->now + PROGRESS_NS;
}

static void timers(struct node *n)
{
    if (n->now >= n->reads.blocked_at) {
        n->reads.blocked_at = NODE_NEVER;
        node__conns_ready_blocked(n);
    }
    node__noquorum_run(n);
    progress_marks(n);
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t deadline(const struct node *n)
{
    uint64_t at = raft_deadline(n->raft);
    at = earliest(at, node__noquorum_deadline(n));
    at = earliest(at, node__touch_deadline(n));
    at = earliest(at, n->reads.blocked_at);
    at = earliest(at, n->limits.check_at);
    if (n->st.leader != 0) {
        at = earliest(at, node__reads_deadline(n));
        at = earliest(at, n->writes.probe_at);
    }
    if (node__is_leader(n) && n->st.leader_ready && !n->leaving && !node__diverged(n)) {
        at = earliest(at, n->touch.scan_at);
    }
    at = earliest(at, node__reaper_deadline(n));
    if (watch_count(n->hub) > 0 && n->progress_revision != n->applied) {
        at = earliest(at, n->progress_at);
    }
    at = earliest(at, node__leave_deadline(n));
    at = earliest(at, node__saving_deadline(n));
    at = earliest(at, node__digest_deadline(n));
    return at;
}

uint64_t node_deadline(const struct node *n)
{
    return n->deadline;
}

/* Watches and reads that wait here want to hear at once what is committed; without any the leader may take
 * its time (raft's commit_delay). For writes that were forwarded it knows by itself. */
static void tell_waits(struct node *n)
{
    bool waits = watch_count(n->hub) > 0 || !node__list_empty(&n->blocked);
    if (waits != n->waits) {
        struct raft_event ev = {.type = RAFT_EV_WAITS, .value = waits ? 1 : 0};
        n->waits = waits;
        (void)node__step(n, &ev, NULL); /* only a faulted member refuses it */
    }
}

/* --- the iteration -------------------------------------------------------------------------- */

static void pass(struct node *n)
{
    n->again = false;
    if (n->fault[0] == '\0') {
        node__touch_run(n); /* what has come counts before anybody is judged */
        node__sessions_run(n);
        node__limits_run(n);
        node__writes_run(n);
        node__reaper_run(n);
        node__forward_timers(n);
        node__reads_run(n);
        node__poll(n, NULL);
        node__recall_run(n);
        node__apply(n);
        node__reads_finish(n);
    }
    node__conns_run(n);
}

void node_run(struct node *n, uint64_t now, uint64_t wall_ms, bool *ret_more)
{
    n->now = now > n->now ? now : n->now;
    n->wall_ms = node__stamp_ms(n, wall_ms);
    n->apply_entries = NODE_APPLY_ENTRIES;
    n->apply_bytes = NODE_APPLY_BYTES;
    n->sliced = false;
    after_pause(n);
    node__touch_begin(n);
    node__snapshots_receive(n);
    struct raft_event ev = {.type = RAFT_EV_TICK};
    (void)node__step(n, &ev, NULL); /* only a faulted member refuses it */
    node__refresh(n);
    timers(n);
    tell_waits(n);
    node__saving_begin(
        n); /* right behind the last one, before the log takes what has waited for it */
    uint32_t passes = 0;
    do {
        pass(n);
        passes++;
    } while (n->again && passes < NODE_PASSES_MAX);
    node__saving_run(n);
    node__digest_run(n);
    node__leave_run(n);
    node__peers_flush(n);
    node__conns_flush(n);
    n->deadline = deadline(n);
    if (n->deadline < n->now) {
        n->deadline = n->now; /* due at once; how late we are then counts from here */
    }
    *ret_more = n->again || node__touch_more(n);
}
