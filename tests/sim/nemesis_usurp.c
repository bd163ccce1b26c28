/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nemesis_usurp.c: the moments that leases are about: a leader sleeps a little while others might put
 * somebody else in its place, and is asked the instant it wakes up.
 *
 * Two ways to get there: it has just been told to hand over, or everybody else has just started again and
 * one of them is told to stand for election. A sleep is shorter than election_min, so its lease may well
 * hold when it wakes up; then nobody may have been elected meanwhile. Chance alone meets this rarely.
 */
#include "tests/sim/world.h"

void usurp_pause(struct world *w, struct node *n)
{
    if (w->phase != PHASE_CHAOS || n->state != HOST_UP || n->paused) {
        return;
    }
    uint64_t most = w->k.raft.election_min;
    n->paused = 1;
    if (n->st.role == RAFT_LEADER) {
        MARK(w, PAUSED_LEADER);
    }
    world_later(w, rng_range(&w->rng_nemesis, most / 4, most),
                (struct ev){.kind = EV_RESUME, .node = (uint8_t)n->id});
}

void usurp_campaign(struct world *w, struct node *n)
{
    if (w->phase != PHASE_CHAOS || n->state != HOST_UP || n->paused) {
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_CAMPAIGN};
    (void)host_step(w, n, &ev); /* nothing to do for a leader or a faulted one */
}

/* Everybody but the leader starts again at once, one of them stands for election. */
static void bounce_others(struct world *w, const struct node *leader)
{
    raft_id last = 0;
    uint64_t moment = w->k.raft.election_min / 20;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        struct node *n = world_node(w, id);
        if (n == leader || n->state != HOST_UP || n->paused) {
            continue;
        }
        last = id;
        host_end(w, n, rng_chance(&w->rng_nemesis, 500) ? HOST_END_KILL : HOST_END_POWER);
        world_later(w, rng_below(&w->rng_nemesis, moment),
                    (struct ev){.kind = EV_BOOT, .node = (uint8_t)id});
    }
    for (uint64_t i = 1; i <= 4 && last != 0; i++) { /* links take their time to come up */
        world_later(w, i * 2 * moment, (struct ev){.kind = EV_CAMPAIGN, .node = (uint8_t)last});
    }
}

void usurp(struct world *w)
{
    struct node *leader = member_leader(w);
    if (leader == NULL) {
        return;
    }
    MARK(w, USURPED);
    if (rng_chance(&w->rng_nemesis, 500)) {
        leader->sleep_when_told = 1; /* it falls asleep as its TIMEOUT_NOW leaves */
        nemesis_transfer(w, leader);
        return;
    }
    usurp_pause(w, leader);
    bounce_others(w, leader);
}
