/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions.c: sessions as a member sees them: which connection has which, when the leader gives one up,
 * and what applied entries change about that.
 *
 * Only the leader gives a session up, by its own monotonic clock, and only through an EXPIRE entry. It
 * names the attachment it judged (epoch), so a session that was attached anew in between stays.
 *
 * Invariants
 *   1. A new leader gives every session one full timeout; so does one whose loop stood still for longer
 *      than half an election timeout (faults.md P5): what came meanwhile is read first.
 *   2. A session for which an EXPIRE is in the log is not revived by activity (touch.c relies on it).
 *   3. A session has at most one connection here; when it is attached anew anywhere, the older
 *      connection is told EMOVED for everything it waits for, which then cannot be applied any more
 *      (the machine refuses its epoch), and closed (E5).
 *   4. No secret is ever logged.
 *
 * The table of activity is scanned when the earliest of its deadlines may have come. Activity moves
 * deadlines only later, so the earliest one seen by a scan is a lower bound until the next.
 */
#include "server/node/internal.h"

#include <stdlib.h>
#include <string.h>
#include "server/mutant.h"

#define SCAN_MIN (20 * NODE_MS) /* scans are at least this far apart */

/* --- the leader's table --------------------------------------------------------------------- */

static void forget_all(struct touch *t)
{
    size_t cursor = 0;
    struct activity *a;
    while ((a = node__map_next(&t->sessions, &cursor)) != NULL) {
        free(a);
    }
    node__map_release(&t->sessions);
    t->scan_at = NODE_NEVER;
    t->expire_index = 0;
}

void node__sessions_release(struct node *n)
{
    forget_all(&n->touch);
}

/* Begin, or begin again, to wait for session's activity. */
static void watch_session(struct node *n, uint64_t session, uint64_t timeout_ms, raft_id via)
{
    struct touch *t = &n->touch;
    struct activity *a = node__map_get(&t->sessions, session);
    if (a == NULL) {
        /* Forgetting a session here would let it live for ever. */
        a = node__must_alloc(calloc(1, sizeof(*a)));
        if (node__map_put(&t->sessions, session, a) != 0) {
            (void)node__must_alloc(NULL);
        }
    }
    *a = (struct activity){
        .session = session, .heard = n->now, .timeout = timeout_ms * NODE_MS, .via = via};
    if (n->now + a->timeout < t->scan_at) {
        t->scan_at = n->now + a->timeout;
    }
}

void node__sessions_regime(struct node *n)
{
    struct machine_session s;
    uint64_t after = 0;
    forget_all(&n->touch);
    if (!node__is_leader(n)) {
        return;
    }
    while (machine_session_next(n->machine, after, &s)) {
        watch_session(n, s.id, SERVER_BUG(8) ? s.timeout_ms / 2 : s.timeout_ms, 0);
        after = s.id;
    }
}

void node__sessions_heard(struct node *n, uint64_t session, raft_id via)
{
    struct activity *a = node__map_get(&n->touch.sessions, session);
    if (a != NULL && !a->expiring) {
        a->heard = n->now;
        a->via = via;
    }
}

void node__sessions_rearm(struct node *n)
{
    size_t cursor = 0;
    struct activity *a;
    while ((a = node__map_next(&n->touch.sessions, &cursor)) != NULL) {
        if (!a->expiring) {
            a->heard = n->now;
        }
    }
}

/* --- expiry --------------------------------------------------------------------------------- */

static void put64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

/* Propose the end of `count` sessions; body holds their ids and epochs. */
static bool propose_expire(struct node *n, const uint8_t *body, uint32_t count)
{
    struct entry e = {.kind = ENTRY_EXPIRE, .body_bytes = count * 16};
    struct coord_buf *b = coord_buf_create((size_t)ENTRY_HEADER_BYTES + e.body_bytes);
    if (b == NULL) {
        return false;
    }
    entry_header_encode(&e, b->data);
    memcpy(b->data + ENTRY_HEADER_BYTES, body, e.body_bytes);
    b->len = ENTRY_HEADER_BYTES + e.body_bytes;
    if (node__propose_now(n, b, &n->touch.expire_index) != 0) {
        coord_buf_unref(b);
        return false;
    }
    n->again = true;
    return true;
}

/* Collect what is overdue into body and mark it. Return: how many; *ret_next: the earliest deadline of
 * what is left. */
static uint32_t collect(struct node *n, uint8_t *body, struct activity **marked, uint64_t *ret_next)
{
    size_t cursor = 0;
    uint32_t count = 0;
    uint64_t next = NODE_NEVER;
    struct activity *a;
    while ((a = node__map_next(&n->touch.sessions, &cursor)) != NULL) {
        struct machine_session s;
        uint64_t at = a->heard + a->timeout;
        if (a->expiring) {
            continue;
        }
        if (at > n->now || count == NODE_EXPIRE_SESSIONS) {
            next = at < next ? at : next;
            continue;
        }
        if (!machine_session_get(n->machine, a->session, &s)) {
            continue; /* ended; its removal is on the way here */
        }
        put64(body + (size_t)count * 16, s.id);
        put64(body + (size_t)count * 16 + 8, s.epoch);
        marked[count++] = a;
    }
    *ret_next = next;
    return count;
}

void node__sessions_run(struct node *n)
{
    static const size_t body_bytes = (size_t)NODE_EXPIRE_SESSIONS * 16;
    struct touch *t = &n->touch;
    if (!node__is_leader(n) || !n->st.leader_ready || n->now < t->scan_at || n->leaving ||
        node__diverged(n)) {
        return;
    }
    uint8_t *body = malloc(body_bytes);
    struct activity **marked = malloc(NODE_EXPIRE_SESSIONS * sizeof(struct activity *));
    uint64_t next = n->now;
    if (body != NULL && marked != NULL) {
        uint32_t count = collect(n, body, marked, &next);
        if (count > 0 && propose_expire(n, body, count)) {
            node__log(n, NODE_LOG_INFO, "sessions given up: count=%u first=%016llx term=%llu",
                      count, (unsigned long long)marked[0]->session,
                      (unsigned long long)n->st.term);
            for (uint32_t i = 0; i < count; i++) {
                marked[i]->expiring = true;
            }
        } else if (count > 0) {
            next = n->now; /* no room in the log: soon again */
        }
    }
    t->scan_at = next < n->now + SCAN_MIN ? n->now + SCAN_MIN : next;
    free(marked);
    free(body);
}

/* --- connections ---------------------------------------------------------------------------- */

/* c's session is attached elsewhere now. */
static void move_away(struct node *n, struct conn *c)
{
    uint32_t told = 0;
    node__log(n, NODE_LOG_INFO, "session moved: session=%016llx conn=%llu source=%s",
              (unsigned long long)c->session, (unsigned long long)c->id, c->source);
    for (struct request *r = c->head; r != NULL; r = r->next) {
        if (r->stage != REQUEST_DONE) {
            node__answer_error(n, r, COORD_EMOVED, NULL);
            told++;
        }
    }
    node__conn_advance(n, c);
    if (told == 0) {
        node__conn_abandon(n, c, COORD_EMOVED, coord_strerror(COORD_EMOVED), "session moved");
    } else {
        node__conn_close(n, c, "session moved");
    }
    if (node__map_get(&n->session_conns, c->session) == c) {
        (void)node__map_remove(&n->session_conns, c->session); /* it is c, as just seen */
    }
}

static void session_ended(struct node *n, uint64_t session)
{
    free(node__map_remove(&n->touch.sessions, session));
    struct conn *c = node__map_remove(&n->session_conns, session);
    if (c != NULL) {
        c->lost = true;
        c->session = 0;
        c->epoch = 0;
        c->touch_batch = 0; /* what was noted was the old session's */
        node__conn_ready(n, c);
    }
}

void node__sessions_applied(struct node *n, const struct machine_outcome *o, struct request *r)
{
    if (o->op == COORD_OP_SESSION_END && o->ended_count > 0 && r != NULL) {
        node__log(n, NODE_LOG_INFO, "session ended on request: session=%016llx conn=%llu source=%s",
                  (unsigned long long)o->ended[0], (unsigned long long)r->conn->id,
                  r->conn->source);
    }
    for (uint32_t i = 0; i < o->ended_count; i++) {
        session_ended(n, o->ended[i]);
    }
    if (o->attached_epoch == 0) {
        return;
    }
    struct conn *older = node__map_get(&n->session_conns, o->session);
    if (older != NULL && (r == NULL || r->conn != older)) {
        move_away(n, older);
    }
    if (node__is_leader(n)) {
        watch_session(n, o->session, o->attached_timeout_ms, o->origin);
    }
}

/* c has this session from now on. */
static bool bind_session(struct node *n, struct conn *c, uint64_t session, uint64_t epoch)
{
    if (node__map_put(&n->session_conns, session, c) != 0) {
        node__conn_close(n, c, "out of memory");
        return false;
    }
    c->session = session;
    c->epoch = epoch;
    c->lost = false;
    return true;
}

/* The answer to a HELLO with a session. */
static void answer_attach(struct node *n, struct request *r, const struct machine_outcome *o)
{
    struct conn *c = r->conn;
    struct coord_result res;
    if (o->error == 0) {
        if (!bind_session(n, c, r->q.session, o->attached_epoch)) {
            return;
        }
        c->greeted = true;
        node__hello_result(n, COORD_SESSION_RESUMED, r->q.session, &res);
        node__answer(n, r, &res);
        node__requests_release(n, c, 0);
    } else if (o->error == COORD_EEXPIRED || o->error == COORD_ENOSESSION) {
        c->greeted = true;
        c->lost = true;
        node__hello_result(n, COORD_SESSION_GONE, 0, &res);
        node__answer(n, r, &res);
        node__requests_release(n, c, COORD_EEXPIRED);
    } else {
        int error = o->error;
        node__log_fault(n, "session not resumed: session=%016llx conn=%llu source=%s error=%s",
                        (unsigned long long)r->q.session, (unsigned long long)c->id, c->source,
                        coord_errname(error));
        node__answer_body(n, r, error, o->body);
        node__requests_release(n, c, error);
        node__conn_close(n, c, "session not resumed");
    }
}

void node__session_answer(struct node *n, struct request *r, const struct machine_outcome *o)
{
    struct conn *c = r->conn;
    c->settling = false;
    if (r->q.op == COORD_OP_HELLO) {
        answer_attach(n, r, o);
        return;
    }
    int error = o->error;
    if (error == 0 && !bind_session(n, c, o->session, o->attached_epoch)) {
        return;
    }
    node__answer_body(n, r, error, o->body);
    node__requests_release(n, c, error);
}

/* The session of c is not settled: nothing that was sent in the belief that it is may be carried out. */
static void refuse_behind(struct node *n, struct conn *c, int error)
{
    for (struct request *r = c->head; r != NULL; r = r->next) {
        bool waits = r->stage == REQUEST_WAITING && (r->q.op == COORD_OP_PING || !c->greeted);
        if (waits || r->stage == REQUEST_HELD) {
            node__answer_error(n, r, error, NULL);
        }
    }
}

void node__write_end(struct node *n, struct request *r, int error)
{
    struct conn *c = r->conn;
    bool settles = r->q.op == COORD_OP_HELLO || r->q.op == COORD_OP_SESSION_OPEN;
    if (error == COORD_EINDOUBT) {
        node__noquorum_answer(n, r, error);
    } else {
        node__answer_error(n, r, error, NULL);
    }
    if (settles) {
        c->settling = false; /* it may be asked for again */
        refuse_behind(n, c, error == COORD_EINDOUBT ? COORD_EBUSY : error);
    }
}

void node__sessions_reconcile(struct node *n)
{
    size_t cursor = 0;
    uint64_t gone_count = 0;
    struct conn *c;
    for (struct node_link *l = n->all.next; l != &n->all; l = l->next) {
        struct machine_session s;
        c = NODE_CONTAINER(l, struct conn, all);
        if (c->session == 0 || c->close_why != NULL) {
            continue;
        }
        if (!machine_session_get(n->machine, c->session, &s)) {
            gone_count++;
            session_ended(n, c->session);
        } else if (s.epoch != c->epoch) {
            move_away(n, c);
        }
    }
    if (gone_count > 0) {
        node__log(n, NODE_LOG_INFO, "sessions ended unseen: connections=%llu",
                  (unsigned long long)gone_count);
    }
    /* A member that installs a snapshot follows another leader: it keeps no table. */
    NODE_ASSERT(!node__is_leader(n) || node__map_next(&n->touch.sessions, &cursor) == NULL);
}
