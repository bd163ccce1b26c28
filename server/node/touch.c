/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touch.c: how activity of sessions reaches the leader, and PING.
 *
 * Every request is activity of its connection's session. The leader notes that of its own connections at
 * once; a follower gathers sessions and sends them in a TOUCH: for the PINGs that wait, else every two
 * heartbeats at most. Writes need no TOUCH (the leader sees their session), and no activity ever costs a log
 * entry.
 *
 * A PING after a pause is placed at once; then those of the next half of a heartbeat are gathered and placed
 * together, and the leader begins at most one round a heartbeat for them, from whichever member they are. So
 * many idle sessions cost what receiving and answering their PINGs costs: a round among the members for each would be
 * most of it. The delay is small beside any session's timeout (node__leisure), which counts from when the client sent
 * its PING, and a request that waits behind a PING ends it: it is in a hurry, and so is the TOUCH sent for it.
 *
 * PING (testing.md E2, E4) is answered only when the leader has the activity, was confirmed as leader by
 * a quorum round begun after that, and this member has applied everything up to that round and up to the
 * last EXPIRE that leader had proposed: a session that the leader had given up is then gone here too, and
 * the PING is answered EEXPIRED.
 *
 *   PING at the leader:   note activity -> join a read round -> round done, applied >= expire_index
 *   PING at a follower:   TOUCH(round k) -> leader notes, joins a read round -> done -> TOUCHED(k, index)
 *                         -> applied >= index
 * When the leader changes, or a TOUCH seems lost, waiting PINGs begin again. Each TOUCH carries the sessions of
 * all PINGs that wait, so an answer to a later one speaks for them whichever was lost.
 *
 * Invariant: an answered PING's activity was taken by the leader of that term before it gave up the
 * session, hence the session lives one timeout from then on.
 */
#include "server/node/internal.h"

#include <stdlib.h>
#include <string.h>
#include "server/mutant.h"

#define ACTIVE_MIN 64u

void node__touch_init(struct node *n)
{
    n->touch.batch = 1;
    n->touch.retry_at = NODE_NEVER;
    node__list_init(&n->touch.pings);
}

void node__touch_release(struct node *n)
{
    free(n->touch.active);
    n->touch.active = NULL;
    n->touch.active_count = 0;
    n->touch.active_slots = 0;
}

/* --- gathering ------------------------------------------------------------------------------ */

static void gather(struct node *n, struct conn *c)
{
    struct touch *t = &n->touch;
    if (c->session == 0 || c->touch_batch == t->batch || t->active_count == PEER_SESSIONS_MAX) {
        return;
    }
    if (t->active_count == t->active_slots) {
        size_t slots = t->active_slots == 0 ? ACTIVE_MIN : t->active_slots * 2;
        uint64_t *bigger = realloc(t->active, slots * sizeof(bigger[0]));
        if (bigger == NULL) {
            return; /* the session's next request tries again */
        }
        t->active = bigger;
        t->active_slots = slots;
    }
    if (t->active_count == 0) {
        t->active_since = n->now;
    }
    t->active[t->active_count++] = c->session;
    c->touch_batch = t->batch;
}

static void gathered(struct touch *t)
{
    t->active_count = 0;
    t->batch++;
}

void node__touch_conn(struct node *n, struct conn *c)
{
    gather(n, c);
}

static uint64_t gather_delay(const struct node *n)
{
    return node__leisure(n) / 2;
}

/* Are there PINGs to look at now? */
static bool pings_due(const struct node *n)
{
    const struct touch *t = &n->touch;
    return n->now >= t->retry_at ||
           (t->fresh && (t->hurry || n->now >= t->placed_at + gather_delay(n)));
}

void node__touch_ping(struct node *n, struct request *r)
{
    r->placed = false;
    r->heard = false;
    node__list_add(&n->touch.pings, &r->ping);
    n->touch.fresh = true;
    n->touch.hurry = n->touch.hurry || r->next != NULL;
    n->again = n->again || pings_due(n);
}

static uint64_t touch_delay(const struct node *n)
{
    return 2 * n->o.raft.heartbeat;
}

static uint64_t touch_retry(const struct node *n)
{
    return 4 * n->o.raft.heartbeat;
}

/* --- sending -------------------------------------------------------------------------------- */

/* Which waiting PINGs have to go out (again)? Return: how many. */
static uint32_t unplaced(struct node *n)
{
    struct touch *t = &n->touch;
    uint32_t count = 0;
    t->retry_at = NODE_NEVER;
    for (struct node_link *l = t->pings.next; l != &t->pings; l = l->next) {
        struct request *r = NODE_CONTAINER(l, struct request, ping);
        if (r->placed && !r->heard && n->now - r->placed_at >= touch_retry(n)) {
            r->placed = false;
        }
        if (r->placed && !r->heard && r->placed_at + touch_retry(n) < t->retry_at) {
            t->retry_at = r->placed_at + touch_retry(n);
        }
        count += !r->placed && r->conn->session != 0; /* else it is told again when it has one */
    }
    return count;
}

/* All PINGs that can be are placed. */
static void placed(struct node *n)
{
    n->touch.fresh = false;
    n->touch.hurry = false;
    n->touch.placed_at = n->now;
}

/* A TOUCH goes out: it carries the session of every PING without an answer, those of earlier ones that are
 * under way too. So TOUCHED(k) speaks for all PINGs placed up to k although an earlier TOUCH was lost. */
static void gather_pings(struct node *n)
{
    for (struct node_link *l = n->touch.pings.next; l != &n->touch.pings; l = l->next) {
        struct request *r = NODE_CONTAINER(l, struct request, ping);
        if (!r->heard) {
            gather(n, r->conn);
        }
    }
}

static void place_pings(struct node *n)
{
    struct touch *t = &n->touch;
    bool left = false;
    for (struct node_link *l = t->pings.next; l != &t->pings; l = l->next) {
        struct request *r = NODE_CONTAINER(l, struct request, ping);
        if (r->heard) {
            continue;
        }
        if (r->conn->touch_batch != t->batch) {
            r->placed = false; /* it found no room, or has no session yet */
            left = left || r->conn->session != 0;
        } else if (!r->placed) {
            r->placed = true;
            r->round = 0;
            r->touch = t->round;
            r->placed_at = n->now;
            if (n->now + touch_retry(n) < t->retry_at) {
                t->retry_at = n->now + touch_retry(n);
            }
        }
    }
    placed(n);
    t->fresh = left;
}

/* They cannot be placed now: a little later again. */
static void put_off(struct node *n)
{
    n->touch.placed_at = n->now;
    n->touch.hurry = false;
}

static void run_leader(struct node *n)
{
    struct touch *t = &n->touch;
    for (size_t i = 0; i < t->active_count; i++) {
        node__sessions_heard(n, t->active[i], n->o.raft.id);
    }
    gathered(t);
    if (!pings_due(n)) {
        return;
    }
    t->retry_at = NODE_NEVER; /* nothing of a leader's own gets lost */
    for (struct node_link *l = t->pings.next; l != &t->pings; l = l->next) {
        struct request *r = NODE_CONTAINER(l, struct request, ping);
        if (r->placed || r->conn->session == 0) {
            continue;
        }
        r->placed = true;
        r->heard = true;
        r->placed_at = n->now;
        /* Also where gathering it found no memory. */
        node__sessions_heard(n, r->conn->session, n->o.raft.id);
        r->round = t->hurry ? node__read_round(n) : node__read_round_lazy(n);
        r->after = t->expire_index;
    }
    placed(n);
}

static void run_follower(struct node *n)
{
    struct touch *t = &n->touch;
    uint32_t pings = 0;
    if (pings_due(n)) {
        pings = unplaced(n);
        t->fresh = pings > 0;
    }
    bool due = t->active_count > 0 && n->now - t->active_since >= touch_delay(n);
    if (pings == 0 && !due) {
        return;
    }
    if (node__peer(n, n->st.leader) == NULL) {
        put_off(n);
        return;
    }
    gather_pings(n);
    struct peer_touch m = {.term = n->st.term,
                           .nonce = n->writes.nonce,
                           .round = ++t->round,
                           .hurry = t->hurry,
                           .count = (uint32_t)t->active_count};
    struct coord_buf *b = peer_touch_encode(&m, t->active);
    if (b == NULL) {
        put_off(n);
        return;
    }
    node__peer_send(n, n->st.leader, b);
    coord_buf_unref(b);
    place_pings(n);
    gathered(t);
}

void node__touch_run(struct node *n)
{
    if (node__is_leader(n)) {
        run_leader(n);
    } else if (n->st.leader != 0) {
        run_follower(n);
    }
}

void node__touch_regime(struct node *n)
{
    for (struct node_link *l = n->touch.pings.next; l != &n->touch.pings; l = l->next) {
        struct request *r = NODE_CONTAINER(l, struct request, ping);
        r->placed = false;
        r->heard = false;
        r->round = 0;
        n->again = true;
    }
    n->touch.fresh = n->touch.fresh || !node__list_empty(&n->touch.pings);
    n->touch.hurry = n->touch.hurry || n->touch.fresh;
    n->touch.retry_at = NODE_NEVER;
    for (uint32_t i = 0; i < n->peers_count; i++) {
        memset(n->peers[i].waits, 0, sizeof(n->peers[i].waits));
    }
}

uint64_t node__touch_deadline(const struct node *n)
{
    const struct touch *t = &n->touch;
    uint64_t at = NODE_NEVER;
    if (n->st.leader == 0) {
        return at;
    }
    if (t->active_count > 0) {
        at = t->active_since + touch_delay(n);
    }
    if (t->fresh) {
        uint64_t gathered_at = t->hurry ? n->now : t->placed_at + gather_delay(n);
        at = gathered_at < at ? gathered_at : at;
    }
    return t->retry_at < at ? t->retry_at : at;
}

/* --- PING ----------------------------------------------------------------------------------- */

/* What the client says about its next keep-alive holds when it lives, is as near as it has to be, and nothing else is
 * under way. */
void node__touch_answered(struct node *n, const struct request *r, int error)
{
    struct machine_session s;
    const uint64_t next_ms = r->q.level_arg;
    if (n->env.conn_doze == NULL || r->conn->count > 1) {
        return;
    }
    bool holds = error == 0 && machine_session_get(n->machine, r->conn->session, &s) &&
                 next_ms <= s.timeout_ms / 2;
    n->env.conn_doze(n->env.ctx, r->conn->id, holds ? next_ms * NODE_MS : 0);
}

/* Has everything come that the answer to r waits for? */
static bool answerable(const struct node *n, const struct request *r)
{
    return r->placed && r->heard && (n->reads.done >= r->round || SERVER_BUG(18)) &&
           n->applied >= r->after;
}

bool node__touch_more(const struct node *n)
{
    return n->touch.answers >= NODE_PINGS_ANSWERED;
}

void node__touch_begin(struct node *n)
{
    struct touch *t = &n->touch;
    uint32_t left = node__touch_more(n) ? NODE_PINGS_ANSWERED : 0;
    t->answers = 0;
    for (struct node_link *l = t->pings.next; l != &t->pings && left > 0; l = l->next) {
        struct request *r = NODE_CONTAINER(l, struct request, ping);
        if (r->conn->head == r && !r->conn->full && answerable(n, r)) {
            node__conn_ready(n, r->conn);
            left--;
        }
    }
}

bool node__ping_try(struct node *n, struct request *r)
{
    struct machine_session s;
    struct coord_result res = {.error = 0};
    if (r->conn->settling && r->conn->session == 0) {
        return false; /* behind its SESSION_OPEN or HELLO, which is answered first */
    }
    if (r->conn->lost) {
        node__answer_error(n, r, COORD_EEXPIRED, NULL);
        return true;
    }
    if (!answerable(n, r) || (node__touch_more(n) && r->next == NULL)) {
        return false; /* where only its turn is missing node__touch_begin sees to that */
    }
    n->touch.answers++;
    if (!machine_session_get(n->machine, r->conn->session, &s)) {
        node__answer_error(n, r, COORD_EEXPIRED, NULL);
    } else if (s.epoch != r->conn->epoch) {
        node__answer_error(n, r, COORD_EMOVED, NULL);
    } else {
        node__answer(n, r, &res);
    }
    return true;
}

/* --- between members ------------------------------------------------------------------------ */

void node__touch_receive(struct node *n, struct peer *p, const struct peer_touch *t)
{
    if (!node__is_leader(n) || t->term != n->st.term) {
        return; /* it learns of the leader and sends again */
    }
    for (uint32_t i = 0; i < t->count && !SERVER_BUG(9); i++) {
        node__sessions_heard(n, peer_touch_session(t, i), p->id);
    }
    /* The newest waits behind the one under way, so that a steady flow never starves. */
    struct touch_wait *w = p->waits[0].set ? &p->waits[1] : &p->waits[0];
    *w = (struct touch_wait){.set = true,
                             .nonce = t->nonce,
                             .round = t->round,
                             .need = t->hurry ? node__read_round(n) : node__read_round_lazy(n),
                             .index = n->touch.expire_index};
}

void node__touch_confirm(struct node *n)
{
    if (!node__is_leader(n)) {
        return;
    }
    for (uint32_t i = 0; i < n->peers_count; i++) {
        struct peer *p = &n->peers[i];
        while (p->waits[0].set && n->reads.done >= p->waits[0].need) {
            const struct touch_wait *w = &p->waits[0];
            uint64_t index = w->index > n->reads.done_index ? w->index : n->reads.done_index;
            struct coord_buf *b = peer_notice_encode(&(struct peer_notice){.kind = PEER_TOUCHED,
                                                                           .term = n->st.term,
                                                                           .nonce = w->nonce,
                                                                           .a = w->round,
                                                                           .b = index});
            if (b != NULL) {
                node__peer_send(n, p->id, b);
            }
            coord_buf_unref(b);
            p->waits[0] = p->waits[1];
            p->waits[1].set = false;
        }
    }
}

void node__touched_receive(struct node *n, struct peer *p, const struct peer_notice *m)
{
    if (m->nonce != n->writes.nonce || m->term != n->st.term || p->id != n->st.leader) {
        return;
    }
    for (struct node_link *l = n->touch.pings.next; l != &n->touch.pings; l = l->next) {
        struct request *r = NODE_CONTAINER(l, struct request, ping);
        if (r->placed && !r->heard && r->touch <= m->a) {
            r->heard = true;
            r->after = m->b;
            node__conn_ready(n, r->conn);
        }
    }
}
