/* SPDX-License-Identifier: Apache-2.0 */
/*
 * noquorum.c: no request waits for ever. A member that has been in touch with no quorum for one election
 * timeout answers everything that needs one: ENOQUORUM for what was not sent to a log (it did not happen),
 * EINDOUBT for what was (it may have), with who is reachable, how many are needed, since when, and which
 * levels of reads are served meanwhile. A shorter time without a leader, an election after a crash, is a
 * delay and no error.
 *
 * Second net: a request that gets nowhere for several election timeouts although a leader is heard (a
 * link that works in one direction only, a disk that hangs) is answered too. A write that waits for its turn
 * behind others does get somewhere, however long that takes: its client decides how long it waits.
 *
 * Invariants (node.h 5)
 *   1. ENOQUORUM is never given to a write whose entry may be in some log.
 *   2. While there is no quorum nothing of that kind is left waiting after a node_run.
 */
#include "server/node/internal.h"

#include <string.h>
#include "server/mutant.h"

#define STUCK_WINDOWS 4u

uint64_t node__quorum_contact(const struct node *n)
{
    return n->st.quorum_contact > n->booted ? n->st.quorum_contact : n->booted;
}

void node__noquorum_detail(struct node *n, const struct conn *c, struct coord_no_quorum *ret)
{
    uint32_t ids[RAFT_NODES_MAX];
    memset(ret, 0, sizeof(*ret));
    ret->reachable_count = node__reachable(n, ids);
    for (uint32_t i = 0; i < ret->reachable_count; i++) {
        ret->reachable[i] = ids[i];
    }
    ret->needed = node__needed(n);
    ret->since_ms = (n->now - node__quorum_contact(n)) / NODE_MS;
    ret->term = n->st.term;
    ret->levels = 1u << COORD_LEVEL_LOCAL;
    if (n->applied >= c->seen) {
        ret->levels |= 1u << COORD_LEVEL_SESSION;
    }
}

void node__noquorum_answer(struct node *n, struct request *r, int error)
{
    struct coord_result res;
    memset(&res, 0, sizeof(res));
    res.error = error;
    const char *text = coord_strerror(error);
    res.text = (struct coord_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
    res.has_no_quorum = true;
    node__noquorum_detail(n, r->conn, &res.no_quorum);
    node__answer(n, r, &res);
}

/* Does r, WAITING, need a quorum that it does not have yet? */
static bool needs_quorum(const struct node *n, const struct request *r)
{
    if (r->q.op == COORD_OP_PING) {
        return true;
    }
    return r->round != 0 && r->q.level != COORD_LEVEL_BOUNDED && n->reads.done < r->round;
}

static void refuse(struct node *n, struct request *r, int waiting_error)
{
    int error = r->stage == REQUEST_SENT && !SERVER_BUG(19) ? COORD_EINDOUBT : waiting_error;
    if (n->fault[0] != '\0' && error == COORD_ENOQUORUM) {
        node__answer_error(n, r, COORD_ESHUTDOWN, "this member has stopped after a fault: %s",
                           n->fault);
        return;
    }
    if (error == COORD_EBUSY) {
        node__answer_error(n, r, error, NULL);
        return;
    }
    node__noquorum_answer(n, r, error);
}

/* Nothing of c that needs a quorum waits on. */
static void sweep(struct node *n, struct conn *c)
{
    for (struct request *r = c->head; r != NULL; r = r->next) {
        if (r->stage == REQUEST_DONE) {
            continue;
        }
        bool settled = c->greeted || c->settling || r->q.op == COORD_OP_HELLO;
        if (r->stage == REQUEST_WAITING && settled && !needs_quorum(n, r)) {
            continue;
        }
        if (r->stage != REQUEST_WAITING && r->stage != REQUEST_HELD &&
            (r->q.op == COORD_OP_HELLO || r->q.op == COORD_OP_SESSION_OPEN)) {
            c->settling = false; /* HELLO may be said again; what stands behind it is refused */
        }
        refuse(n, r, COORD_ENOQUORUM);
    }
}

/* Does what this member's clients write only wait for its turn? Entries are applied, and the leader, who takes
 * them in order, has what was sent to it. */
static bool in_turn(const struct node *n, uint64_t limit)
{
    return n->now - n->applied_at < limit &&
           (node__is_leader(n) || n->now - n->writes.taken_at < limit);
}

/* Requests that get nowhere although a leader is heard. */
static void sweep_stuck(struct node *n)
{
    uint64_t limit = STUCK_WINDOWS * node__window(n);
    for (struct node_link *l = n->busy.next; l != &n->busy; l = l->next) {
        struct conn *c = NODE_CONTAINER(l, struct conn, busy);
        for (struct request *r = c->head; r != NULL; r = r->next) {
            uint64_t since = r->stage == REQUEST_SENT ? r->sent_at : r->arrived;
            if (n->now - since < limit) {
                break; /* what came later is younger */
            }
            bool write = r->stage == REQUEST_SENT || r->stage == REQUEST_QUEUED;
            if (write && in_turn(n, limit)) {
                continue;
            }
            if (!write && !(r->stage == REQUEST_WAITING && needs_quorum(n, r))) {
                continue;
            }
            if (write && (r->q.op == COORD_OP_HELLO || r->q.op == COORD_OP_SESSION_OPEN)) {
                sweep(n, c);
                break;
            }
            refuse(n, r, write ? COORD_EBUSY : COORD_ENOQUORUM);
        }
    }
}

void node__noquorum_run(struct node *n)
{
    bool before = n->no_quorum;
    n->no_quorum = n->fault[0] != '\0' || n->now - node__quorum_contact(n) >= node__window(n);
    if (n->no_quorum != before) {
        uint32_t ids[RAFT_NODES_MAX];
        node__log(n, NODE_LOG_WARN, "quorum %s: member=%u term=%llu reachable=%u needed=%u",
                  n->no_quorum ? "lost" : "back", n->o.raft.id, (unsigned long long)n->st.term,
                  node__reachable(n, ids), node__needed(n));
        node__conns_ready_blocked(n);
    }
    if (n->requests == 0) {
        return;
    }
    if (n->no_quorum) {
        for (struct node_link *l = n->busy.next; l != &n->busy; l = l->next) {
            sweep(n, NODE_CONTAINER(l, struct conn, busy));
        }
    } else if (n->now >= n->sweep_at) {
        n->sweep_at = n->now + node__window(n) / 4;
        sweep_stuck(n);
    }
}

uint64_t node__noquorum_deadline(const struct node *n)
{
    if (n->no_quorum) {
        return NODE_NEVER; /* new requests bring their own run */
    }
    uint64_t at = node__quorum_contact(n) + node__window(n);
    if (n->requests > 0 && n->sweep_at < at) {
        at = n->sweep_at;
    }
    return at;
}
