/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_told.c: R15, what is committed is told in time. A leader tells each member what it holds durably and is
 * committed: at once when somebody waits for it there, else within commit_delay, whether messages arrive or
 * not. Looked at when a round of actions is over, with what its messages said, as of the event before it.
 */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <string.h>

/* What is known belongs to one term of one life as leader. */
static struct told *told_of(struct node *n)
{
    if (n->told.term != n->st.term || n->told.boot != n->boot) {
        memset(&n->told, 0, sizeof(n->told));
        n->told.term = n->st.term;
        n->told.boot = n->boot;
    }
    return &n->told;
}

void check_told_speech(struct node *n, const struct raft_msg *m)
{
    if (m->type == RAFT_MSG_APPEND || m->type == RAFT_MSG_HEARTBEAT) {
        struct told *t = told_of(n);
        t->commit[m->to] = m->commit > t->commit[m->to] ? m->commit : t->commit[m->to];
    }
}

static int has_peer(const struct node *n, raft_id id)
{
    for (uint32_t i = 0; i < n->st.peers_count; i++) {
        if (n->st.peers[i].id == id) {
            return 1;
        }
    }
    return 0;
}

void check_told_awaited(struct node *n, raft_id peer, raft_index index)
{
    struct told *t = told_of(n);
    if (has_peer(n, peer)) {
        t->awaited[peer] = index > t->awaited[peer] ? index : t->awaited[peer];
    }
}

static void check_peer(struct world *w, struct node *n, const struct raft_peer_status *p)
{
    struct told *t = told_of(n);
    uint64_t now = n->event_at;
    raft_index usable = n->st.commit < p->match ? n->st.commit : p->match;
    if (t->commit[p->id] >= usable) {
        t->since[p->id] = 0;
        return;
    }
    t->since[p->id] = t->since[p->id] == 0 ? now : t->since[p->id];
    raft_index awaited = t->awaited[p->id] < usable ? t->awaited[p->id] : usable;
    uint64_t late = now - t->since[p->id];
    if (late > w->k.raft.commit_delay || t->commit[p->id] < awaited) {
        sim_fail(w,
                 "n%u: n%u holds %" PRIu64 ", which is committed, and was told %" PRIu64
                 ", for %" PRIu64 " us (R15)",
                 n->id, p->id, usable, t->commit[p->id], late / 1000);
    }
}

void check_told(struct world *w, struct node *n)
{
    for (raft_id id = 1; id <= w->k.nodes && n->st.role == RAFT_LEADER; id++) {
        if (!has_peer(n, id)) { /* it left: what was known of it goes with it */
            told_of(n)->commit[id] = told_of(n)->awaited[id] = told_of(n)->since[id] = 0;
        }
    }
    for (uint32_t i = 0; n->st.role == RAFT_LEADER && i < n->st.peers_count && !w->failed; i++) {
        if (n->st.peers[i].id != n->id) {
            check_peer(w, n, &n->st.peers[i]);
        }
    }
}
