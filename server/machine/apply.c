/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.c: what one log entry does to the state. Total: every entry, well formed or not, has an outcome.
 *
 * The order of the checks of a request is part of the state machine: members of different versions
 * must decide alike. It is: entry, body, kind of operation, session, attachment, number, arguments,
 * then what the tree says (write.c, txn.c), and at last whether the store may grow (limits.c).
 *
 * Invariants: those of machine.h. Memory running out stops the process (must), since the members that
 * had enough went on.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/machine/bytes.h"
#include "server/machine/machine_internal.h"
#include "server/mutant.h"

#define EXPIRE_PAIR 16u
#define ENDED_FIRST 16u

/* --- sessions ---------------------------------------------------------------------------------- */

static void ended_add(struct machine *m, uint64_t id)
{
    if (m->ended_count == m->ended_cap) {
        uint32_t cap = m->ended_cap == 0 ? ENDED_FIRST : m->ended_cap * 2;
        uint64_t *ended = realloc(m->ended, (size_t)cap * sizeof(*ended));
        assert(ended != NULL);
        m->ended = ended;
        m->ended_cap = cap;
    }
    m->ended[m->ended_count++] = id;
}

/* A session is over, and with it all it owns. */
static void session_end(struct machine *m, struct session *s)
{
    ended_add(m, s->id);
    if (SERVER_BUG(10)) {
        return;
    }
    machine_session_changes(m, s);
    machine_must(store_delete_owned(m->state.store, &s->owned));
    m->state.sessions_bytes -= machine_session_bytes(s);
    sessions_close(m->state.sessions, s);
}

static int apply_open(struct machine *m, const struct entry *e, struct machine_outcome *o,
                      struct coord_result *res)
{
    struct coord_request q;
    if (e->body_bytes < COORD_SECRET_BYTES ||
        coord_request_decode(e->body + COORD_SECRET_BYTES, e->body_bytes - COORD_SECRET_BYTES, &q,
                             NULL, 0) != 0 ||
        q.op != COORD_OP_SESSION_OPEN) {
        return COORD_EBADREQUEST;
    }
    if (sessions_count(m->state.sessions) >= m->state.limits.sessions) {
        return COORD_ELIMIT;
    }
    uint64_t timeout_ms = q.timeout_ms;
    if (timeout_ms < m->state.limits.session_min_ms) {
        timeout_ms = m->state.limits.session_min_ms;
    }
    if (timeout_ms > m->state.limits.session_max_ms) {
        timeout_ms = m->state.limits.session_max_ms;
    }
    struct session *s = NULL;
    machine_must(sessions_open(m->state.sessions, m->state.revision, e->body, timeout_ms, &s));
    m->state.sessions_bytes += machine_session_bytes(s);
    o->session = s->id;
    o->attached_epoch = s->epoch;
    o->attached_timeout_ms = s->timeout_ms;
    res->session = s->id;
    res->secret = (struct coord_bytes){s->secret, COORD_SECRET_BYTES};
    res->timeout_ms = s->timeout_ms;
    return 0;
}

static int apply_attach(struct machine *m, const struct entry *e, struct machine_outcome *o)
{
    o->session = e->session;
    if (e->body_bytes != COORD_SECRET_BYTES) {
        return COORD_EBADREQUEST;
    }
    struct session *s = sessions_find(m->state.sessions, e->session);
    if (s == NULL) {
        return COORD_EEXPIRED;
    }
    if (!session_secret_equal(s, e->body)) {
        return COORD_EAUTH;
    }
    machine_session_changes(m, s);
    s->epoch = m->state.revision;
    if (SERVER_BUG(3)) {
        m->state.sessions_bytes -= machine_session_bytes(s);
        answers_drop(&s->answers, m->state.pool, UINT64_MAX);
        m->state.sessions_bytes += machine_session_bytes(s);
    }
    o->attached_epoch = s->epoch;
    o->attached_timeout_ms = s->timeout_ms;
    return 0;
}

static int apply_expire(struct machine *m, const struct entry *e)
{
    if (e->body_bytes % EXPIRE_PAIR != 0) {
        return COORD_EBADREQUEST;
    }
    for (uint32_t at = 0; at < e->body_bytes; at += EXPIRE_PAIR) {
        uint64_t id = bytes_get_u64(e->body + at);
        uint64_t epoch = bytes_get_u64(e->body + at + 8);
        struct session *s = sessions_find(m->state.sessions, id);
        if (s != NULL && (s->epoch == epoch || SERVER_BUG(20))) {
            session_end(m, s);
        }
    }
    return 0;
}

/* --- requests ---------------------------------------------------------------------------------- */

static int apply_close(struct machine *m, struct machine_step *st)
{
    if (st->session == NULL) {
        return COORD_ENOSESSION;
    }
    session_end(m, st->session);
    st->session = NULL;
    return 0;
}

/* Any session, that of the request itself too. */
static int apply_end(struct machine *m, struct machine_step *st)
{
    struct session *s = sessions_find(m->state.sessions, st->q->session);
    if (s == NULL) {
        return COORD_EGONE;
    }
    if (s == st->session) {
        st->session = NULL; /* nobody is there to whom the answer could be repeated */
    }
    st->res.revision = m->state.revision;
    st->res.count = s->owned.count;
    session_end(m, s);
    return 0;
}

static int apply_write(struct machine *m, struct machine_step *st)
{
    switch (st->q->op) {
    case COORD_OP_SESSION_CLOSE:
        return apply_close(m, st);
    case COORD_OP_SESSION_END:
        return apply_end(m, st);
    case COORD_OP_TXN:
        return machine_txn(m, st);
    default:
        return machine_write(m, st);
    }
}

/* --- exactly once ------------------------------------------------------------------------------ */

/* Make m->body an empty buffer that nobody else holds. */
static void body_begin(struct machine *m)
{
    if (m->body != NULL && __atomic_load_n(&m->body->refs, __ATOMIC_ACQUIRE) == 1) {
        m->body->len = 0;
        return;
    }
    coord_buf_unref(m->body);
    m->body = NULL;
}

static void body_encode(struct machine *m, enum coord_op op, const struct coord_result *res)
{
    body_begin(m);
    machine_must(coord_body_encode(op, res, &m->body));
}

/* The request comes from a session: may it be applied? *ret_kept is the answer it has already.
 * Return: 0, or why not. */
static int session_admit(struct machine *m, struct machine_step *st, const struct answer **ret_kept)
{
    struct session *s = sessions_find(m->state.sessions, st->entry->session);
    *ret_kept = NULL;
    if (s == NULL) {
        return SERVER_BUG(7) ? 0 : COORD_EEXPIRED;
    }
    if (s->epoch != st->entry->epoch && !SERVER_BUG(16)) {
        return COORD_EMOVED;
    }
    const struct coord_request *q = st->q;
    if (q->number <= s->acked || q->acked >= q->number) {
        return COORD_EBADREQUEST;
    }
    *ret_kept = answers_find(&s->answers, q->number);
    if (*ret_kept != NULL) {
        return 0;
    }
    if (q->acked > s->acked) {
        machine_session_changes(m, s);
        s->acked = q->acked;
        m->state.sessions_bytes -= machine_session_bytes(s);
        answers_drop(&s->answers, m->state.pool, q->acked);
        m->state.sessions_bytes += machine_session_bytes(s);
    }
    bool full = s->answers.count >= m->state.limits.answers ||
                s->answers.bytes >= m->state.limits.answers_bytes;
    if (full && q->op != COORD_OP_SESSION_CLOSE) {
        return COORD_EBUSY;
    }
    st->session = s;
    return 0;
}

/* Give the kept answer again. */
static int answer_repeat(struct machine *m, const struct answer *kept)
{
    if (kept->error == 0) {
        body_begin(m);
        if (m->body == NULL) {
            m->body = coord_buf_create(kept->body_bytes);
            assert(m->body != NULL);
        }
        machine_must(coord_buf_append(&m->body, kept->body, kept->body_bytes));
    }
    return kept->error;
}

static void answer_keep(struct machine *m, struct session *s, uint64_t number, int error)
{
    struct coord_bytes body = {NULL, 0};
    if (error == 0) {
        body = (struct coord_bytes){m->body->data, m->body->len};
    }
    machine_session_changes(m, s);
    m->state.sessions_bytes -= machine_session_bytes(s);
    machine_must(answers_put(&s->answers, m->state.pool, number, error, body));
    m->state.sessions_bytes += machine_session_bytes(s);
}

/* Return: the error of the outcome. On 0 m->body is encoded. */
static int apply_request(struct machine *m, const struct entry *e, struct machine_outcome *o)
{
    struct coord_request q;
    o->session = e->session;
    if (coord_request_decode_over(e->body, e->body_bytes, &q, NULL, 0) != 0) {
        return COORD_EBADREQUEST;
    }
    o->op = q.op;
    if (coord_op_kind(q.op) != COORD_KIND_WRITE || q.op == COORD_OP_SESSION_OPEN) {
        return COORD_EBADREQUEST;
    }
    struct machine_step st;
    machine_step_begin(&st, e, &q, NULL);
    if (e->session != 0) {
        const struct answer *kept;
        int rc = session_admit(m, &st, &kept);
        if (rc != 0) {
            return rc;
        }
        if (kept != NULL) {
            return answer_repeat(m, kept);
        }
    }
    const uint64_t before = machine_tree_bytes(&m->state);
    int error = apply_write(m, &st);
    if (error == 0) {
        error = machine_growth_admit(&m->state, before);
    }
    if (error != 0) {
        machine_must(store_rollback(m->state.store)); /* most have changed nothing */
    } else {
        body_encode(m, q.op, &st.res);
    }
    if (st.session != NULL) {
        answer_keep(m, st.session, q.number, error);
    }
    return error;
}

/* --- entries ----------------------------------------------------------------------------------- */

static int apply_entry(struct machine *m, const struct entry *e, struct machine_outcome *o)
{
    switch (e->kind) {
    case ENTRY_REQUEST:
        return apply_request(m, e, o);
    case ENTRY_OPEN: {
        struct coord_result res = {0};
        o->op = COORD_OP_SESSION_OPEN;
        int rc = apply_open(m, e, o, &res);
        if (rc == 0) {
            body_encode(m, COORD_OP_SESSION_OPEN, &res);
        }
        return rc;
    }
    case ENTRY_ATTACH:
        return apply_attach(m, e, o);
    case ENTRY_EXPIRE:
        return apply_expire(m, e);
    case ENTRY_REAP:
        return machine_reap(m, e);
    case ENTRY_LIMITS:
        return machine_apply_limits(m, e);
    case ENTRY_DIGEST:
        return e->body_bytes == 0 ? 0 : COORD_EBADREQUEST; /* revision and time, no more */
    default:
        return COORD_EBADREQUEST; /* entry_decode lets no other kind through */
    }
}

void machine_apply(struct machine *m, uint64_t revision, const uint8_t *bytes, size_t len,
                   struct machine_outcome *ret_o)
{
    struct entry e = {0};
    *ret_o = (struct machine_outcome){0};
    machine_skip(m, revision);
    m->ended_count = 0;
    bool valid = entry_decode(bytes, len, &e);
    if (valid && e.time_ms > m->state.time_ms) {
        m->state.time_ms = e.time_ms;
    }
    store_begin(m->state.store, revision, m->state.time_ms);
    ret_o->origin = e.origin;
    ret_o->cookie = e.cookie;
    const int error = valid ? apply_entry(m, &e, ret_o) : COORD_EBADREQUEST;
    ret_o->error = error;
    if (error != 0) {
        struct coord_result refused;
        coord_result_clear(&refused);
        refused.error = error;
        body_encode(m, ret_o->op, &refused);
    }
    ret_o->body = error != 0 || ret_o->op != 0 ? m->body : NULL;
    ret_o->changes = store_changes(m->state.store, &ret_o->changes_count);
    ret_o->ended = m->ended;
    ret_o->ended_count = m->ended_count;
}
