/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_repair.c: a member whose log lost what it had acknowledged (R11).
 *
 *   - it neither votes, grants a pre-vote, nor stands, until its core calls itself whole
 *   - then it holds on disk everything that the group had committed when it booted, in terms up to its
 *     own
 *   - whoever gave its vote in a term answers no leader of an earlier one, forgotten or not
 *
 * What the damaged disk held before still counts for others until then (node.claimed, check_log.c): its
 * acknowledgements cannot be called back. Everything committed without reason would break R4.
 */
#include "tests/sim/world.h"

#include <inttypes.h>

void check_repair(struct world *w, struct node *n)
{
    const struct raft_status *st = &n->st;
    if ((n->damage & (RAFT_DAMAGE_HOLE | RAFT_DAMAGE_VOTE)) == 0) {
        if (st->repairing) {
            sim_fail(w, "n%u: under repair without damage (R11)", n->id);
        }
        return;
    }
    if (st->repairing) {
        if (st->role != RAFT_FOLLOWER && st->role != RAFT_FAULTED) {
            sim_fail(w, "n%u: under repair and in role %d (R11)", n->id, (int)st->role);
        }
        return;
    }
    if (n->whole) {
        return;
    }
    n->whole = 1;
    n->claimed = 0;
    for (raft_index i = n->committed_before; i > n->log.base; i--) {
        const struct commit_rec *c = &w->ledger.commits[i];
        if (c->by_term > st->term) {
            continue;
        }
        if (!check_holds(n, i, c->chain)) {
            sim_fail(w, "n%u: calls itself whole without entry %" PRIu64 " (R11)", n->id, i);
        }
        return; /* the hash covers everything before */
    }
}

void check_repair_speech(struct world *w, struct node *n, const struct raft_msg *m)
{
    int reject = (m->flags & RAFT_FLAG_REJECT) != 0;
    int votes = m->type == RAFT_MSG_VOTE ||
                (m->type == RAFT_MSG_PREVOTE && (m->flags & RAFT_FLAG_ASK) == 0) ||
                ((m->type == RAFT_MSG_VOTE_REPLY || m->type == RAFT_MSG_PREVOTE_REPLY) && !reject);
    int answers = m->type == RAFT_MSG_APPEND_REPLY || m->type == RAFT_MSG_HEARTBEAT_REPLY;
    if (n->st.repairing && votes) {
        sim_fail(w, "n%u: under repair and sends a message of type %u (R11)", n->id, m->type);
    } else if (answers && m->term < n->promised_term) {
        sim_fail(w, "n%u: answers the leader of term %" PRIu64 ", it voted in %" PRIu64 " (R11)",
                 n->id, m->term, n->promised_term);
    }
}

int check_repair_stuck(const struct world *w, const struct node *n)
{
    if (n->state != HOST_UP || !n->st.repairing || (n->damage & RAFT_DAMAGE_VOTE) == 0) {
        return 0;
    }
    const struct raft_config_at *c = cfg_newest(n);
    uint32_t voters = cfg_who(&c->config, RAFT_VOTER | RAFT_VOTER_OLD);
    if ((voters & ~cfg_bit(n->id)) == 0) {
        return 1; /* as far as it knows nobody else votes: whom should it ask? */
    }
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        const struct node *m = &w->nodes[id];
        if (m == n || (voters & cfg_bit(id)) == 0) {
            continue;
        }
        if (m->state == HOST_OUT || m->state == HOST_GONE ||
            (m->st.repairing && (m->damage & RAFT_DAMAGE_VOTE) != 0) ||
            (m->cfgs.count > 0 && cfg_newest(m)->index > c->index)) {
            return 1; /* it will not answer, or knows of voters that n does not know of */
        }
    }
    return 0;
}
