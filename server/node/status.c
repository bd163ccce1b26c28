/* SPDX-License-Identifier: Apache-2.0 */
/* status.c: what a member says about itself, and the demonstration gate (PARTITION). */
#include "server/node/internal.h"

#include <string.h>

#ifndef COORD_VERSION
#define COORD_VERSION "0"
#endif

/* In touch: the link is up and something came over it lately. Followers of a healthy leader have
 * nothing to say to each other, so there the link alone counts. */
static bool in_touch(const struct node *n, const struct peer *p)
{
    bool quiet = !n->no_quorum && n->st.role == RAFT_FOLLOWER && p->id != n->st.leader;
    bool lately = p->heard != 0 && n->now - p->heard < 2 * node__window(n);
    return p->link_up && (quiet || lately);
}

uint32_t node__reachable(const struct node *n, uint32_t ids[RAFT_NODES_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->o.members_count; i++) {
        raft_id id = n->o.members[i].id;
        if (id == n->o.raft.id) {
            ids[count++] = id;
            continue;
        }
        for (uint32_t k = 0; k < n->peers_count; k++) {
            if (n->peers[k].id == id && in_touch(n, &n->peers[k])) {
                ids[count++] = id;
            }
        }
    }
    return count;
}

uint32_t node__needed(const struct node *n)
{
    uint32_t voters = 0;
    for (uint32_t i = 0; i < n->st.peers_count; i++) {
        voters += (n->st.peers[i].roles & RAFT_VOTER) != 0;
    }
    return voters / 2 + 1;
}

static struct coord_bytes text_of(const char *s)
{
    return (struct coord_bytes){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static void fill_members(const struct node *n, struct coord_status *s)
{
    uint32_t ids[RAFT_NODES_MAX];
    uint32_t count = node__reachable(n, ids);
    s->reachable = count;
    s->members_count = n->o.members_count;
    for (uint32_t i = 0; i < n->o.members_count; i++) {
        const struct node_member *m = &n->o.members[i];
        struct coord_member_status *t = &s->members[i];
        t->id = m->id;
        t->client_address = text_of(m->client_address);
        t->peer_address = text_of(m->peer_address);
        for (uint32_t k = 0; k < count; k++) {
            t->reachable = t->reachable || ids[k] == m->id;
        }
        for (uint32_t k = 0; k < n->st.peers_count; k++) {
            if (n->st.peers[k].id == m->id) {
                t->match = n->st.peers[k].match;
            }
        }
    }
}

void node__status_answer(struct node *n, struct request *r)
{
    struct coord_result res;
    struct machine_stats stats;
    struct coord_status *s = &res.status;
    memset(&res, 0, sizeof(res));
    machine_stats(n->machine, &stats);
    s->member = n->o.raft.id;
    s->role = (uint32_t)n->st.role;
    s->term = n->st.term;
    s->leader = n->st.leader;
    s->commit = n->commit;
    s->applied = n->applied;
    s->snapshot = n->snaps.newest.index;
    s->log_first = n->st.first;
    s->log_last = n->st.last;
    s->needed = node__needed(n);
    s->no_quorum_ms = n->no_quorum ? (n->now - node__quorum_contact(n)) / NODE_MS : 0;
    s->sessions = stats.sessions;
    s->nodes = stats.nodes;
    s->watches = watch_count(n->hub);
    s->connections = n->conns.count;
    s->uptime_ms = (n->now - n->created) / NODE_MS;
    s->store_bytes = stats.store_bytes;
    s->limits_differ = node__limits_differ(n);
    s->lease_rounds = n->reads.leased;
    s->lease = n->o.raft.lease_drift_ppm > 0;
    s->lab = n->o.lab;
    s->version = text_of(COORD_VERSION);
    s->cluster = text_of(n->cluster);
    const char *stopped = node__stopped(n);
    s->fault = stopped != NULL ? text_of(stopped) : (struct coord_bytes){NULL, 0};
    if (s->fault.data == NULL && n->st.repairing) {
        s->fault = text_of("repairing: its log lost acknowledged entries; it does not vote until "
                           "the leader has replaced them");
    }
    fill_members(n, s);
    node__answer(n, r, &res);
}

void node__partition_answer(struct node *n, struct request *r)
{
    struct coord_result res = {.error = 0};
    if (!n->o.lab) {
        node__answer_error(n, r, COORD_EDENIED,
                           "the demonstration gate is off: start the member with `lab: true`");
        return;
    }
    for (uint32_t i = 0; i < r->q.members_count; i++) {
        if (node__peer(n, r->q.members[i]) == NULL) {
            node__answer_error(n, r, COORD_EBADREQUEST, "member %u is not another member",
                               r->q.members[i]);
            return;
        }
    }
    node__log(n, NODE_LOG_WARN, "demonstration: links cut: count=%u source=%s", r->q.members_count,
              r->conn->source);
    n->env.peer_cut(n->env.ctx, r->q.members, r->q.members_count);
    node__answer(n, r, &res);
}
