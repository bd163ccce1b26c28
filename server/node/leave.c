/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leave.c: an orderly end (SIGTERM): new requests are refused, leadership is handed over, what is under
 * way is answered. Bounded: after two election timeouts the member counts as drained whatever is left.
 */
#include "server/node/internal.h"

void node_shutdown(struct node *n, uint64_t now)
{
    n->now = now > n->now ? now : n->now;
    if (n->leaving) {
        return;
    }
    n->leaving = true;
    n->leave_until = n->now + 2 * n->o.raft.election_max;
    n->transfer_at = n->now;
    node__log(n, NODE_LOG_INFO, "leaving: member=%u term=%llu requests=%llu", n->o.raft.id,
              (unsigned long long)n->st.term, (unsigned long long)n->requests);
}

/* Is there another voter to hand leadership to? */
static bool has_heir(const struct node *n)
{
    for (uint32_t i = 0; i < n->st.peers_count; i++) {
        if (n->st.peers[i].id != n->o.raft.id && (n->st.peers[i].roles & RAFT_VOTER) != 0) {
            return true;
        }
    }
    return false;
}

void node__leave_run(struct node *n)
{
    if (!n->leaving || !node__is_leader(n) || !has_heir(n) || n->now < n->transfer_at ||
        n->now >= n->leave_until) {
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_TRANSFER, .peer = 0};
    (void)node__step(n, &ev, NULL); /* busy or nobody reachable: again below, until leave_until */
    n->transfer_at = n->now + 2 * n->o.raft.heartbeat;
    n->again = true;
}

uint64_t node__leave_deadline(const struct node *n)
{
    if (!n->leaving || n->now >= n->leave_until) {
        return NODE_NEVER;
    }
    return node__is_leader(n) && has_heir(n) ? n->transfer_at : n->leave_until;
}

bool node_drained(const struct node *n)
{
    if (!n->leaving) {
        return false;
    }
    if (n->now >= n->leave_until || n->fault[0] != '\0') {
        return true;
    }
    return n->requests == 0 && !(node__is_leader(n) && has_heir(n));
}
