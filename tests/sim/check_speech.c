/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_speech.c: durability before speech (R7) and one vote a term (R6), for every message at the
 * instant it leaves, against what the sender's disk is known to hold (n->durable).
 *
 * The table is the one at the top of raft.h.
 */
#include "tests/sim/world.h"

#include <inttypes.h>

/* voter gave its vote of this term to candidate, in public. */
static void promise(struct world *w, struct node *n, raft_term term, raft_id candidate)
{
    struct term_rec *t = check_term(w, term);
    if (t->votes[n->id] != 0 && t->votes[n->id] != candidate) {
        sim_fail(w, "n%u: votes for %u and for %u in term %" PRIu64 " (R6)", n->id, t->votes[n->id],
                 candidate, term);
        return;
    }
    t->votes[n->id] = candidate;
    if (n->durable.term != term || n->durable.vote != candidate) {
        sim_fail(w,
                 "n%u: speaks of its vote for %u in term %" PRIu64 ", on disk is %u in %" PRIu64
                 " (R7)",
                 n->id, candidate, term, n->durable.vote, n->durable.term);
        return;
    }
    n->promised_term = term;
    n->promised_vote = candidate;
}

static void check_matched(struct world *w, struct node *n, const struct raft_msg *m)
{
    if (n->durable.term < m->term) {
        sim_fail(w, "n%u: acknowledges in term %" PRIu64 ", on disk is term %" PRIu64 " (R7)",
                 n->id, m->term, n->durable.term);
        return;
    }
    uint64_t chain = elog_chain(&n->log, m->index);
    if (m->index > elog_last(&n->log)) {
        sim_fail(w, "n%u: acknowledges %" PRIu64 ", its log ends at %" PRIu64, n->id, m->index,
                 elog_last(&n->log));
    } else if (m->index >= n->log.base && !check_holds(n, m->index, chain)) {
        sim_fail(w, "n%u: acknowledges %" PRIu64 ", its disk holds %" PRIu64 "..%" PRIu64 " (R7)",
                 n->id, m->index, n->durable.snap_index + 1, elog_last(&n->durable.log));
    }
}

void check_speech(struct world *w, struct node *n, const struct raft_msg *m)
{
    int reject = (m->flags & RAFT_FLAG_REJECT) != 0;
    if (n->st.role == RAFT_FAULTED) {
        sim_fail(w, "n%u: faulted and sends a message of type %u", n->id, m->type);
        return;
    }
    check_repair_speech(w, n, m);
    switch (m->type) {
    case RAFT_MSG_VOTE:
        promise(w, n, m->term, n->id);
        break;
    case RAFT_MSG_VOTE_REPLY:
        if (!reject) {
            promise(w, n, m->term, m->to);
        }
        break;
    case RAFT_MSG_APPEND:
    case RAFT_MSG_HEARTBEAT:
    case RAFT_MSG_SNAPSHOT:
    case RAFT_MSG_TIMEOUT_NOW:
        if (check_term(w, m->term)->leader != n->id) {
            sim_fail(w, "n%u: speaks as the leader of term %" PRIu64 ", which it is not", n->id,
                     m->term);
        }
        break;
    case RAFT_MSG_APPEND_REPLY:
        if (!reject) {
            check_matched(w, n, m);
        }
        break;
    default:
        break;
    }
}
