/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reaper.c: the leader removes containers that have lost their last child, and ttl nodes that were not
 * modified for their ttl, through REAP entries. Also the leader's clock, by which ttls run.
 *
 * When. A ttl node is due when the time of entries reaches its modified time plus its ttl; the store knows
 * the earliest, and the loop's timer is set to it. A container is proposed when its list of children is what it
 * was at the look before, REAP_HOLD ago at least: a lock's directory that empties and fills all the time does
 * not cost an entry each time. A container that became empty by our own REAP goes with the next one at once.
 * When nothing is due, and no container is empty, there is no timer and nothing is proposed.
 *
 * What. The state applied here may be behind the log: an entry holds candidates only, and each is judged again
 * when the entry is applied (server/machine/reap.c). One entry is under way at a time, of bounded size;
 * when there was more, the next follows as soon as it is applied.
 *
 * The clock. Entries are stamped with the leader's wall clock, but while a member leads, its stamps go on
 * at least as fast as its monotonic clock does, from the time of the state on: a leader whose clock is
 * behind that of its predecessor, or is set back, does not make time stand still, and ttls with it.
 *
 * Invariants
 *   1. Only the leader proposes, with a quorum in touch, and only from a state that holds an entry of its term
 *      and so everything that was acknowledged before it.
 *   2. At most one REAP of this member is in the log unapplied.
 *   3. What came before a REAP was proposed is in the log before it (it runs after writes.c): a set that was
 *      received in time counts.
 */
#include "server/node/internal.h"

#include <stdlib.h>
#include <string.h>

#define REAP_GAP   (100 * NODE_MS) /* between looks, unless there was more to remove */
#define REAP_HOLD  (500 * NODE_MS) /* a container stays at least so long after it became empty */
#define REAP_RETRY (500 * NODE_MS) /* after the log had no room */
#define REAP_CALM \
    (200 * NODE_MS)             /* after the loop stood still: what came meanwhile is heard first */
#define REAP_BYTES (128u << 10) /* of one entry: 1,024 nodes with paths of 100 bytes fit */

void node__reaper_regime(struct node *n)
{
    n->reaper = (struct reaper){.held_at = n->now};
}

void node__reaper_calm(struct node *n)
{
    if (n->reaper.look_at < n->now + REAP_CALM) {
        n->reaper.look_at = n->now + REAP_CALM;
    }
}

uint64_t node__stamp_ms(struct node *n, uint64_t wall_ms)
{
    struct machine_stats stats;
    const uint64_t here = n->now / NODE_MS;
    if (!node__is_leader(n)) {
        return wall_ms;
    }
    machine_stats(n->machine, &stats);
    uint64_t at = stats.time_ms > wall_ms ? stats.time_ms : wall_ms;
    if (at > here && at - here > n->reaper.clock_ahead_ms) {
        n->reaper.clock_ahead_ms = at - here;
    }
    return here + n->reaper.clock_ahead_ms;
}

/* May this member propose to remove something? */
static bool in_charge(const struct node *n)
{
    return node__is_leader(n) && n->st.leader_ready && n->applied_term == n->st.term &&
           !n->no_quorum && !n->leaving && !n->snaps.loading && !node__diverged(n) &&
           n->reaper.index == 0;
}

/* When the next look is due; NODE_NEVER: nothing to remove in sight. */
static uint64_t due_at(const struct node *n)
{
    const struct reaper *rp = &n->reaper;
    uint64_t at = NODE_NEVER;
    uint64_t ttl_ms = machine_reap_next_ms(n->machine);
    if (ttl_ms <= n->wall_ms) {
        at = n->now;
    } else if (ttl_ms - n->wall_ms < (NODE_NEVER - n->now) / NODE_MS) {
        at = n->now + (ttl_ms - n->wall_ms) * NODE_MS;
    }
    if (machine_reap_empty(n->machine)) {
        uint64_t empty_at = rp->again ? n->now : rp->held_at + REAP_HOLD;
        at = empty_at < at ? empty_at : at;
    }
    return at < rp->look_at ? rp->look_at : at;
}

uint64_t node__reaper_deadline(const struct node *n)
{
    return in_charge(n) ? due_at(n) : NODE_NEVER;
}

/* The entry was applied: its containers may have emptied others, and there may have been more. */
static void reaped(struct node *n)
{
    struct reaper *rp = &n->reaper;
    if (rp->index != 0 && n->applied >= rp->index) {
        rp->last = rp->index;
        rp->index = 0;
        rp->again = rp->containers > 0 || !rp->all;
        if (rp->again) {
            rp->look_at = n->now;
        }
    }
}

/* Propose the removal of what was found. Return: false when there is no room for it. */
static bool propose(struct node *n, const uint8_t *body, const struct machine_reap_found *found)
{
    struct reaper *rp = &n->reaper;
    struct entry e = {.kind = ENTRY_REAP, .body_bytes = found->bytes};
    struct coord_buf *b = coord_buf_create((size_t)ENTRY_HEADER_BYTES + found->bytes);
    if (b == NULL) {
        return false;
    }
    entry_header_encode(&e, b->data);
    memcpy(b->data + ENTRY_HEADER_BYTES, body, found->bytes);
    b->len = ENTRY_HEADER_BYTES + found->bytes;
    if (node__propose_now(n, b, &rp->index) != 0) {
        coord_buf_unref(b);
        return false;
    }
    rp->containers = found->containers;
    rp->all = found->all;
    n->again = true;
    node__log(n, NODE_LOG_DEBUG, "nodes removed by themselves: count=%u containers=%u term=%llu",
              found->count, found->containers, (unsigned long long)n->st.term);
    return true;
}

/* Look for what is due and propose its removal. Return: false when that has to wait. */
static bool look(struct node *n, bool hold_over)
{
    struct machine_reap_found found;
    struct machine_reap_ask ask = {.time_ms = n->wall_ms,
                                   .since = hold_over ? n->reaper.held : 0,
                                   .also = n->reaper.last,
                                   .nodes_max = MACHINE_REAP_NODES_MAX,
                                   .bytes_max = REAP_BYTES,
                                   .out = malloc(REAP_BYTES)};
    if (ask.out == NULL) {
        return false;
    }
    machine_reap_collect(n->machine, &ask, &found);
    bool done = found.count == 0 || propose(n, ask.out, &found);
    free(ask.out);
    return done;
}

void node__reaper_run(struct node *n)
{
    struct reaper *rp = &n->reaper;
    reaped(n);
    if (!in_charge(n) || n->now < due_at(n)) {
        return;
    }
    bool hold_over = n->now >= rp->held_at + REAP_HOLD;
    if (!look(n, hold_over)) {
        rp->look_at = n->now + REAP_RETRY;
        return;
    }
    rp->look_at = n->now + REAP_GAP;
    rp->again = false;
    if (hold_over) {
        rp->held_at = n->now;
        rp->held = n->applied;
    }
}
