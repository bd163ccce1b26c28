/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_model_entry.c: a log entry on the model: sessions, attachments, kept answers, what is removed by itself.
 */
#include "tests/service/oracle_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_BYTES 48u

/* --- entries -------------------------------------------------------------------------------------- */

static bool body_is_whole(const uint8_t *bytes, size_t len)
{
    return len >= ENTRY_BYTES && len - ENTRY_BYTES == (oracle__u64(bytes + 40) & UINT32_MAX);
}

void oracle__entry_decode(const uint8_t *bytes, size_t len, struct oracle_entry *ret_e)
{
    *ret_e = (struct oracle_entry){.kind = ORACLE_OTHER};
    if (!body_is_whole(bytes, len)) {
        return;
    }
    struct oracle_entry *e = ret_e;
    e->code = bytes[0];
    e->kind = e->code >= ORACLE_REQUEST && e->code <= ORACLE_LIMITS ? (enum oracle_kind)e->code
                                                                    : ORACLE_OTHER;
    e->origin = (uint32_t)(oracle__u64(bytes) >> 32);
    e->session = oracle__u64(bytes + 16);
    e->epoch = oracle__u64(bytes + 24);
    e->time_ms = oracle__u64(bytes + 32);
    e->body = (struct coord_bytes){bytes + ENTRY_BYTES, (uint32_t)(len - ENTRY_BYTES)};
    struct coord_bytes frame = e->body;
    if (e->kind == ORACLE_OPEN && frame.len >= COORD_SECRET_BYTES) {
        frame.data += COORD_SECRET_BYTES;
        frame.len -= COORD_SECRET_BYTES;
    }
    if (e->kind == ORACLE_REQUEST || e->kind == ORACLE_OPEN) {
        e->has_q = coord_request_decode(frame.data, frame.len, &e->q, NULL, 0) == 0;
    }
}

uint64_t oracle__fingerprint(const struct coord_request *q)
{
    struct coord_request same = *q;
    struct coord_buf *b = NULL;
    same.number = 1;
    same.acked = 0;
    uint64_t h = 0;
    if (coord_request_encode(&same, &b) == 0) {
        h = oracle__hash(b->data, b->len, 3);
        h = h == 0 ? 1 : h;
    }
    coord_buf_unref(b);
    return h;
}

/* --- sessions ------------------------------------------------------------------------------------- */

struct oracle_session *oracle__session(struct oracle *o, uint64_t id)
{
    for (uint32_t i = o->sessions_count; i > 0; i--) {
        if (o->sessions[i - 1]->id == id) {
            return o->sessions[i - 1];
        }
    }
    return NULL;
}

static struct oracle_session *session_open(struct oracle *o, uint64_t id)
{
    struct oracle_session *s = oracle__session(o, id);
    return s == NULL || s->ended != 0 ? NULL : s;
}

static void session_end(struct oracle *o, struct oracle_session *s)
{
    s->ended = o->tree.revision;
    oracle__delete_owned(o, s->id);
}

static void epoch_begin(struct oracle *o, struct oracle_session *s)
{
    s->epoch = o->tree.revision;
    s->epochs = oracle__grow(o, s->epochs, s->epochs_count, &s->epochs_cap, sizeof(s->epochs[0]));
    s->epochs[s->epochs_count++] = s->epoch;
}

static int apply_open(struct oracle *o, const struct oracle_entry *e, struct coord_result *res)
{
    const struct oracle_limits *l = &o->options.limits;
    if (!e->has_q || e->q.op != COORD_OP_SESSION_OPEN) {
        return COORD_EBADREQUEST;
    }
    uint32_t open = 0;
    for (uint32_t i = 0; i < o->sessions_count; i++) {
        open += o->sessions[i]->ended == 0;
    }
    if (open >= l->sessions) {
        return COORD_ELIMIT;
    }
    o->sessions = oracle__grow(o, o->sessions, o->sessions_count, &o->sessions_cap,
                               sizeof(struct oracle_session *));
    struct oracle_session *s = oracle__alloc(o, sizeof(*s));
    o->sessions[o->sessions_count++] = s;
    s->id = o->tree.revision;
    epoch_begin(o, s);
    s->opened = o->tree.revision;
    s->timeout_ms = e->q.timeout_ms < l->session_min_ms   ? l->session_min_ms
                    : e->q.timeout_ms > l->session_max_ms ? l->session_max_ms
                                                          : e->q.timeout_ms;
    memcpy(s->secret, e->body.data, COORD_SECRET_BYTES);
    res->session = s->id;
    res->secret = (struct coord_bytes){s->secret, COORD_SECRET_BYTES};
    res->timeout_ms = s->timeout_ms;
    return 0;
}

static int apply_attach(struct oracle *o, const struct oracle_entry *e)
{
    struct oracle_session *s = session_open(o, e->session);
    if (e->body.len != COORD_SECRET_BYTES) {
        return COORD_EBADREQUEST;
    }
    if (s == NULL) {
        return COORD_EEXPIRED;
    }
    if (memcmp(s->secret, e->body.data, COORD_SECRET_BYTES) != 0) {
        return COORD_EAUTH;
    }
    epoch_begin(o, s);
    return 0;
}

static int apply_expire(struct oracle *o, const struct oracle_entry *e)
{
    if (e->body.len % 16 != 0) {
        return COORD_EBADREQUEST;
    }
    for (uint32_t at = 0; at < e->body.len; at += 16) {
        struct oracle_session *s = session_open(o, oracle__u64(e->body.data + at));
        if (s != NULL && s->epoch == oracle__u64(e->body.data + at + 8)) {
            s->expired = true;
            session_end(o, s);
        }
    }
    return 0;
}

bool oracle__is_due(const struct oracle_version *v, uint64_t time_ms)
{
    if (v->stat.children > 0) {
        return false;
    }
    if (v->stat.kind == COORD_NODE_CONTAINER) {
        return v->sequence > 0; /* it had some */
    }
    return v->stat.kind == COORD_NODE_TTL && time_ms >= v->stat.modified_ms &&
           time_ms - v->stat.modified_ms >= v->stat.ttl_ms;
}

/* Candidates: { create_revision u64, path_bytes u16, path } repeated; only those that are due go. */
static int apply_reap(struct oracle *o, const struct oracle_entry *e)
{
    const uint8_t *at = e->body.data;
    uint32_t left = e->body.len;
    while (left >= 10) {
        uint32_t len = (uint32_t)at[8] | (uint32_t)at[9] << 8;
        if (len == 0 || len > left - 10) {
            break;
        }
        struct oracle_node *n = oracle__node(&o->tree, (struct coord_bytes){at + 10, len});
        const struct oracle_version *v = oracle__now(n);
        if (v != NULL && v->stat.create_revision == oracle__u64(at) &&
            oracle__is_due(v, o->tree.time_ms)) {
            oracle__delete_node(o, n);
        }
        at += 10 + len;
        left -= 10 + len;
    }
    if (left > 0) {
        oracle__tree_rollback(o);
    }
    return left > 0 ? COORD_EBADREQUEST : 0;
}

/* --- requests ------------------------------------------------------------------------------------- */

static void body_set(struct oracle *o, enum coord_op op, const struct coord_result *res)
{
    coord_buf_unref(o->body);
    o->body = NULL;
    /* There is nothing to tell of an entry that is no request and succeeded. */
    int rc = op == COORD_OP_EVENT && res->error == 0 ? 0 : coord_body_encode(op, res, &o->body);
    assert(rc == 0);
}

/* An operator ends a session. */
static int end_other(struct oracle *o, uint64_t id, struct coord_result *res)
{
    struct oracle_session *s = session_open(o, id);
    if (s == NULL) {
        return COORD_EGONE;
    }
    session_end(o, s);
    res->revision = o->tree.revision;
    res->count = o->tree.changes_count; /* its nodes */
    return 0;
}

/* Above the high-water mark the tree does not grow. */
static bool may_grow(const struct oracle *o)
{
    uint64_t bytes = o->tree.bytes;
    for (uint32_t i = 0; i < o->sessions_count; i++) {
        const struct oracle_session *s = o->sessions[i];
        bytes += s->ended == 0 ? ORACLE_SESSION_BYTES : 0;
        for (uint32_t k = 0; s->ended == 0 && k < s->answers_count; k++) {
            bytes += ORACLE_ANSWER_BYTES + s->answers[k].body.len;
        }
    }
    return o->tree.bytes <= o->tree.bytes_before || bytes <= o->options.limits.store_bytes;
}

static int decide(struct oracle *o, const struct oracle_entry *e, struct oracle_session *s)
{
    struct coord_result res = {.error = 0};
    struct coord_buf *results = NULL;
    int rc;
    if (e->q.op == COORD_OP_SESSION_CLOSE) {
        rc = s == NULL ? COORD_ENOSESSION : 0;
        if (rc == 0) {
            session_end(o, s);
        }
    } else if (e->q.op == COORD_OP_SESSION_END) {
        rc = end_other(o, e->q.session, &res);
    } else if (e->q.op == COORD_OP_TXN) {
        rc = oracle__txn(o, &e->q, s == NULL ? 0 : s->id, &res, &results);
    } else {
        rc = oracle__write(o, &e->q, s == NULL ? 0 : s->id, &res);
    }
    if (rc == 0 && !may_grow(o)) {
        rc = COORD_ESTOREFULL;
    }
    if (rc != 0) {
        oracle__tree_rollback(o);
        res = (struct coord_result){.error = rc};
    }
    body_set(o, e->q.op, &res);
    coord_buf_unref(results);
    return rc;
}

/* The answers that are kept: dropped up to `acked`, then is there room for one more? */
static bool answers_room(struct oracle *o, struct oracle_session *s, uint64_t acked)
{
    uint32_t kept = 0;
    uint64_t bytes = 0;
    if (acked > s->acked) {
        s->acked = acked;
    }
    for (uint32_t i = 0; i < s->answers_count; i++) {
        if (s->answers[i].number > s->acked) {
            bytes += s->answers[i].body.len;
            s->answers[kept++] = s->answers[i];
        }
    }
    s->answers_count = kept;
    return kept < o->options.limits.answers && bytes < o->options.limits.answers_bytes;
}

static void answer_keep(struct oracle *o, struct oracle_session *s, uint64_t number, int rc)
{
    s->answers =
        oracle__grow(o, s->answers, s->answers_count, &s->answers_cap, sizeof(s->answers[0]));
    struct coord_bytes body = {NULL, 0};
    if (rc == 0) {
        body = oracle__keep(o, (struct coord_bytes){o->body->data, o->body->len});
    }
    s->answers[s->answers_count++] = (struct oracle_answer){number, rc, body};
}

static int refuse(struct oracle *o, enum coord_op op, int rc)
{
    const struct coord_result res = {.error = rc};
    body_set(o, op, &res);
    return rc;
}

static int apply_request(struct oracle *o, const struct oracle_entry *e, bool *ret_repeat)
{
    struct oracle_session *s = session_open(o, e->session);
    if (!e->has_q) {
        return refuse(o, COORD_OP_EVENT, COORD_EBADREQUEST);
    }
    const struct coord_request *q = &e->q;
    if (coord_op_kind(q->op) != COORD_KIND_WRITE || q->op == COORD_OP_SESSION_OPEN) {
        return refuse(o, q->op, COORD_EBADREQUEST);
    }
    if (e->session == 0) {
        return decide(o, e, NULL);
    }
    if (s == NULL) {
        return refuse(o, q->op, COORD_EEXPIRED);
    }
    if (s->epoch != e->epoch) {
        return refuse(o, q->op, COORD_EMOVED);
    }
    if (q->number <= s->acked || q->acked >= q->number) {
        return refuse(o, q->op, COORD_EBADREQUEST);
    }
    for (uint32_t i = 0; i < s->answers_count; i++) {
        const struct oracle_answer *a = &s->answers[i];
        if (a->number == q->number) {
            *ret_repeat = true;
            (void)refuse(o, q->op, a->error);
            if (a->error == 0) {
                o->body->len = 0;
                int rc = coord_buf_append(&o->body, a->body.data, a->body.len);
                assert(rc == 0);
            }
            return a->error;
        }
    }
    if (!answers_room(o, s, q->acked) && q->op != COORD_OP_SESSION_CLOSE) {
        return refuse(o, q->op, COORD_EBUSY);
    }
    int rc = decide(o, e, s);
    answer_keep(o, s, q->number, rc);
    return rc;
}

int oracle__entry_apply(struct oracle *o, const struct oracle_entry *e, bool *ret_repeat)
{
    struct coord_result res = {.error = 0};
    int rc;
    *ret_repeat = false;
    switch (e->kind) {
    case ORACLE_REQUEST:
        return apply_request(o, e, ret_repeat);
    case ORACLE_OPEN:
        rc = apply_open(o, e, &res);
        res.error = rc;
        body_set(o, COORD_OP_SESSION_OPEN, &res);
        return rc;
    case ORACLE_ATTACH:
        return refuse(o, COORD_OP_EVENT, apply_attach(o, e));
    case ORACLE_EXPIRE:
        return refuse(o, COORD_OP_EVENT, apply_expire(o, e));
    case ORACLE_REAP:
        return refuse(o, COORD_OP_EVENT, apply_reap(o, e));
    default:
        return refuse(o, COORD_OP_EVENT, COORD_EBADREQUEST);
    }
}
