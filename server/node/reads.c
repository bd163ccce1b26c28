/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reads.c: reads at their consistency level (service.md), and how old the state here may be.
 *
 * Rounds. All reads that arrive between two rounds share the next one: one READ event of raft, confirmed
 * by a quorum after it began (thesis 6.4). A read that joined round k may be answered once a round >= k
 * is confirmed and its index applied. A round that is lost (no leader, leader new) is asked for again;
 * noquorum.c ends the waiting.
 *
 * With a lease (option of raft) a leader's round is confirmed as it begins, without a message: what other
 * members ask for takes a round of messages always.
 *
 * Age. When a round began at time T and its index is applied, the state here holds everything that was
 * committed anywhere by T. The same is true of a write of this member that arrived at T and is applied:
 * every entry committed by T stands before it. A leader that has applied all that is committed knows the like
 * of its heartbeats: when a quorum answered what left at T, nobody else led at T. `fresh` is the latest such T;
 * now - fresh bounds the age. Nothing else is used: the time at which a leader sent what was received is not
 * known here.
 *
 * The beacon. A follower that nobody asks would know nothing of its age, and once it is cut off it could prove
 * nothing but the time since it was asked last. So it begins a round by itself when its bound is older than
 * eight election timeouts: a few messages among the hundreds of heartbeats of that time.
 *
 * Order within a connection. A read is answered when it is the first. When a write that came after it
 * is about to be applied first, the read is answered from the state just before that write: that state
 * holds everything committed when the read came (as above), so this is linearizable, and the client never
 * sees its later write in an earlier read. It also registers a watch before the writes behind it.
 *
 * Invariants
 *   1. fresh never goes back. 2. done <= ids of rounds begun. 3. A round's id is never used again.
 */
#include "server/node/internal.h"

#include <string.h>
#include "server/mutant.h"

#define BEACON_ELECTIONS 8u /* election timeouts after which a follower asks by itself */

void node__reads_init(struct node *n)
{
    n->reads.next = 1;
    n->reads.retry_at = NODE_NEVER;
    n->reads.blocked_at = NODE_NEVER;
}

uint64_t node__read_round(struct node *n)
{
    n->reads.wanted = true;
    return n->reads.next;
}

uint64_t node__leisure(const struct node *n)
{
    uint64_t shortest = machine_limits(n->machine)->session_min_ms * NODE_MS / 20;
    return shortest < n->o.raft.heartbeat ? shortest : n->o.raft.heartbeat;
}

uint64_t node__read_round_lazy(struct node *n)
{
    struct reads *rd = &n->reads;
    if (!rd->lazy) {
        rd->lazy = true;
        rd->lazy_at = rd->begun_at + node__leisure(n);
    }
    return rd->next;
}

void node__read_join(struct node *n, struct request *r)
{
    r->round = node__read_round(n);
}

void node__reads_fresh(struct node *n, uint64_t at)
{
    if (!n->reads.fresh_known || at > n->reads.fresh) {
        n->reads.fresh = at;
        n->reads.fresh_known = true;
    }
}

uint64_t node__age_ms(const struct node *n)
{
    if (!n->reads.fresh_known) {
        return UINT64_MAX;
    }
    return (n->now - n->reads.fresh + NODE_MS - 1) / NODE_MS; /* rounded up: it is a bound */
}

/* --- rounds --------------------------------------------------------------------------------- */

/* When a follower's bound becomes too old to be left alone. A leader's heartbeats tell it enough. */
static uint64_t beacon_at(const struct node *n)
{
    const struct reads *rd = &n->reads;
    uint64_t from = rd->fresh_known && rd->fresh > rd->begun_at ? rd->fresh : rd->begun_at;
    if (n->st.leader == 0 || node__is_leader(n) || rd->retry_at != NODE_NEVER) {
        return NODE_NEVER;
    }
    return from + BEACON_ELECTIONS * n->o.raft.election_min;
}

/* A quorum has answered what this leader sent at quorum_contact: whoever is elected next was not yet then, so all
 * that was committed by then, by anybody, is within this leader's commit index. */
static void heartbeats_prove(struct node *n)
{
    if (node__is_leader(n) && n->st.leader_ready && n->applied >= n->st.commit) {
        node__reads_fresh(n, n->st.quorum_contact);
    }
}

static struct round *round_of(struct reads *rd, uint64_t id)
{
    for (uint32_t i = 0; i < NODE_ROUNDS_MAX; i++) {
        if (rd->rounds[i].id == id) {
            return &rd->rounds[i];
        }
    }
    return NULL;
}

uint64_t node__reads_deadline(const struct node *n)
{
    const struct reads *rd = &n->reads;
    bool room = false;
    for (uint32_t i = 0; i < NODE_ROUNDS_MAX; i++) {
        room = room || rd->rounds[i].id == 0;
    }
    uint64_t at = beacon_at(n);
    at = rd->lazy && rd->lazy_at < at ? rd->lazy_at : at;
    /* Without room the end of a round brings a run. */
    return room && at < rd->retry_at ? at : rd->retry_at;
}

/* Can the leader's lease stand for a round as of n->now? raft has been told of n->now by the tick of this
 * run, so it decides alike. */
static bool has_lease(const struct node *n)
{
    struct raft_status st;
    if (n->o.raft.lease_drift_ppm == 0 || !node__is_leader(n)) {
        return false;
    }
    raft_status(n->raft, &st);
    return st.lease_until > n->now;
}

void node__reads_run(struct node *n)
{
    struct reads *rd = &n->reads;
    bool retry = n->now >= rd->retry_at;
    struct round *free_one = round_of(rd, 0);
    bool lazy = n->now >= beacon_at(n) ||
                (rd->lazy && (n->now >= rd->lazy_at || has_lease(n))); /* it costs nothing then */
    if ((!rd->wanted && !retry && !lazy) || n->st.leader == 0 || free_one == NULL) {
        return;
    }
    bool lease = has_lease(n);
    if (SERVER_BUG(32) && n->o.raft.lease_drift_ppm != 0 && node__is_leader(n) &&
        n->st.leader_ready) {
        *free_one = (struct round){
            .id = rd->next++, .started = n->now, .confirmed = true, .index = n->st.commit};
        rd->wanted = rd->lazy = false;
        rd->retry_at = NODE_NEVER;
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_READ, .cookie = rd->next, .value = lease ? 1 : 0};
    if (node__step(n, &ev, NULL) != 0) {
        rd->retry_at = n->now + n->o.raft.heartbeat / 8;
        rd->wanted = rd->wanted || rd->lazy;
        rd->lazy = false;
        return;
    }
    *free_one = (struct round){.id = rd->next, .started = n->now};
    rd->next++;
    rd->leased += lease;
    rd->wanted = false;
    rd->lazy = false;
    rd->begun_at = n->now;
    rd->retry_at = NODE_NEVER;
}

void node__reads_result(struct node *n, const struct raft_read *result)
{
    struct reads *rd = &n->reads;
    struct round *round = round_of(rd, result->cookie);
    if (round == NULL || round->id == 0) {
        return;
    }
    if (result->result == RAFT_READ_OK) {
        round->confirmed = true;
        round->index = result->index;
        return;
    }
    round->id = 0;
    if (rd->retry_at == NODE_NEVER) {
        rd->retry_at = n->now + n->o.raft.heartbeat / 8;
    }
}

void node__reads_regime(struct node *n)
{
    /* What was lost is asked of the new leader at once. */
    if (n->st.leader != 0 && n->reads.retry_at != NODE_NEVER) {
        n->reads.retry_at = n->now;
        n->again = true;
    }
}

void node__reads_finish(struct node *n)
{
    struct reads *rd = &n->reads;
    bool news = false;
    for (uint32_t i = 0; i < NODE_ROUNDS_MAX; i++) {
        struct round *round = &rd->rounds[i];
        if (round->id == 0 || !round->confirmed || round->index > n->applied) {
            continue;
        }
        if (round->id > rd->done) {
            rd->done = round->id;
            rd->done_index = round->index;
        }
        node__reads_fresh(n, SERVER_BUG(12) ? n->now : round->started);
        round->id = 0;
        round->confirmed = false;
        news = true;
        n->again = n->again || rd->wanted || (rd->lazy && n->now >= rd->lazy_at);
    }
    heartbeats_prove(n);
    if (news) {
        node__touch_confirm(n);
        node__conns_ready_blocked(n);
    }
}

/* --- execution ------------------------------------------------------------------------------ */

static void execute(struct node *n, struct request *r)
{
    struct coord_result res;
    coord_result_clear(&res);
    if (r->q.op == COORD_OP_SYNC) {
        res.revision = n->applied;
        node__answer(n, r, &res);
        return;
    }
    if (r->q.op == COORD_OP_SESSIONS) {
        node__sessions_answer(n, r);
        return;
    }
    int rv = node__system_owns(&r->q) ? node__system_read(n, &r->q, &res)
                                      : machine_read(n->machine, &r->q, &res);
    const uint64_t most = machine_limits(n->machine)->frame_bytes;
    if (rv == 0 && res.data.len > most) {
        node__answer_error(n, r, COORD_ETOOBIG,
                           "the data has %u bytes, from a time of higher limits; a frame has %llu",
                           res.data.len, (unsigned long long)most);
        return;
    }
    if (rv != 0 && res.text.data == NULL) {
        node__answer_error(n, r, rv, NULL);
        return;
    }
    res.error = rv;
    node__answer(n, r, &res);
}

/* Events of a watch may leave before the reply to its WATCH, which waits for the replies in front: then the
 * gap has to be told in front of them, or they would look like all there was. */
static void gap_tell(struct node *n, const struct request *r, uint64_t revision)
{
    const struct coord_event ev = {
        .watch = r->q.watch, .revision = revision, .state = COORD_EVENT_GAP};
    struct coord_buf *frame = NULL;
    if (coord_event_encode(&ev, &frame) != 0) {
        node__conn_close(n, r->conn, "out of memory");
        return;
    }
    node__conn_write(n, r->conn, frame);
    coord_buf_unref(frame);
}

bool node__watch_try(struct node *n, struct request *r)
{
    struct coord_result res;
    coord_result_clear(&res);
    int rv = watch_add(n->hub, r->conn->id, &r->q, n->applied, &res.revision, &res.gap);
    if (rv == COORD_ETOOSTALE) {
        node__answer_error(n, r, rv,
                           "this member has applied revision %llu, the watch begins at %llu",
                           (unsigned long long)n->applied, (unsigned long long)r->q.revision);
    } else if (rv == COORD_ELIMIT) {
        node__answer_error(n, r, rv, "this connection has %u watches, more are not allowed",
                           n->o.watch.per_connection);
    } else if (rv != 0) {
        node__answer_error(n, r, rv, NULL);
    } else {
        if (res.gap && r->conn->head != r) {
            gap_tell(n, r, res.revision);
        }
        node__answer(n, r, &res);
    }
    return true;
}

/* Wait on, at most until `until`; noquorum: it will not get better. Return: false, it waits. */
static bool wait_or_refuse(struct node *n, struct request *r, uint64_t until)
{
    if (!n->no_quorum && n->now < until) {
        if (until < n->reads.blocked_at) {
            n->reads.blocked_at = until;
        }
        return false;
    }
    if (r->q.level == COORD_LEVEL_SESSION) {
        node__answer_error(n, r, COORD_ETOOSTALE,
                           "this member has applied revision %llu, the read asks for %llu",
                           (unsigned long long)n->applied, (unsigned long long)r->q.level_arg);
    } else if (n->reads.fresh_known) {
        node__answer_error(n, r, COORD_ETOOSTALE,
                           "this member's data may be %llu ms old, the read allows %llu",
                           (unsigned long long)node__age_ms(n), (unsigned long long)r->q.level_arg);
    } else {
        node__answer_error(n, r, COORD_ETOOSTALE,
                           "this member cannot tell the age of its data, the read allows %llu ms",
                           (unsigned long long)r->q.level_arg);
    }
    return true;
}

static bool try_session(struct node *n, struct request *r)
{
    if (n->applied < r->q.level_arg && !SERVER_BUG(11)) {
        return wait_or_refuse(n, r, r->arrived + node__window(n));
    }
    execute(n, r);
    return true;
}

static bool try_bounded(struct node *n, struct request *r)
{
    if (n->reads.fresh_known && (node__age_ms(n) <= r->q.level_arg || SERVER_BUG(22))) {
        execute(n, r);
        return true;
    }
    if (r->round == 0) {
        node__read_join(n, r);
        n->again = true;
    } else if (n->reads.done >= r->round) {
        /* A round began after it came, and even so the age is beyond its bound. */
        return wait_or_refuse(n, r, 0);
    }
    return wait_or_refuse(n, r, r->arrived + node__window(n));
}

bool node__read_try(struct node *n, struct request *r)
{
    if (r->round != 0 && r->q.level != COORD_LEVEL_BOUNDED) {
        if (n->reads.done < r->round && !SERVER_BUG(1)) {
            return false; /* noquorum.c ends it when no round can be confirmed */
        }
        if (r->q.op == COORD_OP_WATCH) {
            return node__watch_try(n, r);
        }
        execute(n, r);
        return true;
    }
    switch (r->q.level) {
    case COORD_LEVEL_SESSION:
        return try_session(n, r);
    case COORD_LEVEL_BOUNDED:
        return try_bounded(n, r);
    default:
        execute(n, r);
        return true;
    }
}

/* A read overtaken by a write behind it; the state is that just before the write. */
static void force(struct node *n, struct request *r)
{
    switch (r->q.op) {
    case COORD_OP_GET:
    case COORD_OP_EXISTS:
    case COORD_OP_STAT:
    case COORD_OP_LIST:
    case COORD_OP_USAGE:
    case COORD_OP_SESSIONS:
        if (r->conn->kept > n->o.conn_bytes_max) {
            node__answer_error(n, r, COORD_EBUSY,
                               "too many large reads are under way in front of a write");
            return;
        }
        node__reads_fresh(n, r->arrived);
        if ((r->q.level == COORD_LEVEL_SESSION && n->applied < r->q.level_arg) ||
            (r->q.level == COORD_LEVEL_BOUNDED && node__age_ms(n) > r->q.level_arg)) {
            (void)wait_or_refuse(n, r, 0); /* refuses, as no time is left to wait */
            return;
        }
        execute(n, r);
        return;
    case COORD_OP_WATCH:
        (void)node__watch_try(n, r); /* always answers */
        return;
    case COORD_OP_SYNC:
        execute(n, r);
        return;
    case COORD_OP_PING:
        if (r->shown == 0) {
            r->shown = n->applied; /* it waits on, but answers behind it have this revision */
        }
        return;
    default:
        (void)node__request_try(n, r); /* needs no state: UNWATCH keeps its place among WATCHes */
        return;
    }
}

void node__reads_force(struct node *n, struct conn *c, const struct request *until)
{
    for (struct request *r = c->head; r != until && c->waiting > 0; r = r->next) {
        NODE_ASSERT(r != NULL);
        if (r->stage == REQUEST_WAITING) {
            force(n, r);
        }
    }
}
