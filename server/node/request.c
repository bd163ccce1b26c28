/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.c: what a decoded request asks for: checks that need no state, then by kind to writes.c,
 * reads.c, touch.c, status.c, or answered here (HELLO, UNWATCH).
 *
 * Invariants
 *   1. Nothing reaches the log that the state machine would refuse for its form: paths, sizes and
 *      sessions are checked here first (and by the machine again). Except sizes, of a session older than
 *      the last change of limits: a write that was applied before and is repeated gets its answer.
 *   2. A write of a connection whose session is being settled waits for that (HELD): only then the
 *      epoch of its entry is known.
 *   3. After its session ended a connection's writes are refused until it opens a new one: a write that
 *      was under way with a number of the old session must not be carried out without it (X5).
 */
#include "server/node/internal.h"

#include <stdio.h>
#include <string.h>
#include "server/mutant.h"

/* --- checks --------------------------------------------------------------------------------- */

static bool has_path(enum coord_op op)
{
    switch (op) {
    case COORD_OP_CREATE:
    case COORD_OP_GET:
    case COORD_OP_SET:
    case COORD_OP_DELETE:
    case COORD_OP_EXISTS:
    case COORD_OP_STAT:
    case COORD_OP_LIST:
    case COORD_OP_WATCH:
    case COORD_OP_INCREMENT:
    case COORD_OP_RENAME:
    case COORD_OP_QUOTA:
    case COORD_OP_USAGE:
        return true;
    default:
        return false;
    }
}

/* Paths and data of one operation. Return: 0, or an error with its text in why. */
static int check_operation(const struct node *n, const struct coord_request *q, char *why,
                           size_t why_bytes)
{
    int rv = 0;
    if (has_path(q->op)) {
        rv = coord_path_check((const char *)q->path.data, q->path.len, why, why_bytes);
    }
    if (rv == 0 && q->op == COORD_OP_RENAME) {
        rv = coord_path_check((const char *)q->to.data, q->to.len, why, why_bytes);
    }
    if (rv == 0 && q->data.len > machine_limits(n->machine)->data_bytes) {
        (void)snprintf(why, why_bytes, "the data has %u bytes, at most %u are allowed", q->data.len,
                       machine_limits(n->machine)->data_bytes);
        rv = COORD_ETOOBIG;
    }
    return rv;
}

/* Put the place of a wrong item in front of its text. */
static int blame(const char *list, uint32_t number, int error, char *why, size_t why_bytes)
{
    char text[NODE_TEXT_BYTES - 64];
    (void)snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, why);
    (void)snprintf(why, why_bytes, "%s %u of the transaction: %s", list, number, text);
    return error;
}

static int check_conditions(const struct coord_items *ifs, char *why, size_t why_bytes)
{
    struct coord_bytes cursor = ifs->raw;
    struct coord_if c;
    for (uint32_t i = 1; coord_if_next(&cursor, &c) == 1; i++) {
        int rv = coord_path_check((const char *)c.path.data, c.path.len, why, why_bytes);
        if (rv != 0) {
            return blame("condition", i, rv, why, why_bytes);
        }
    }
    return 0;
}

static int check_branch(const struct node *n, const char *list, const struct coord_items *ops,
                        char *why, size_t why_bytes)
{
    struct coord_bytes cursor = ops->raw;
    struct coord_request q;
    for (uint32_t i = 1; coord_txn_op_next(&cursor, &q) == 1; i++) {
        int rv = check_operation(n, &q, why, why_bytes);
        if (rv != 0) {
            return blame(list, i, rv, why, why_bytes);
        }
    }
    return 0;
}

static int check_txn(const struct node *n, const struct coord_request *q, char *why,
                     size_t why_bytes)
{
    const uint32_t most = machine_limits(n->machine)->txn_operations;
    if (q->ifs.count > most || q->thens.count > most || q->elses.count > most) {
        (void)snprintf(why, why_bytes,
                       "the transaction has %u conditions, %u and %u operations, at most %u of "
                       "each are allowed",
                       q->ifs.count, q->thens.count, q->elses.count, most);
        return COORD_ELIMIT;
    }
    int rv = check_conditions(&q->ifs, why, why_bytes);
    if (rv == 0) {
        rv = check_branch(n, "operation", &q->thens, why, why_bytes);
    }
    if (rv == 0) {
        rv = check_branch(n, "otherwise operation", &q->elses, why, why_bytes);
    }
    return rv;
}

/* Limits may have been lowered since the session sent this for the first time: then the machine, which
 * knows what it answered, must see it. */
static bool may_be_older(const struct node *n, const struct request *r)
{
    const struct conn *c = r->conn;
    return coord_op_kind(r->q.op) == COORD_KIND_WRITE &&
           (c->settling || (c->session != 0 && c->session <= n->limits.changed));
}

/* Return: 0, or an error with its text in why. */
static int check_form(const struct node *n, const struct request *r, char *why, size_t why_bytes)
{
    int rv = check_operation(n, &r->q, why, why_bytes);
    if (rv == 0 && r->q.op == COORD_OP_TXN) {
        rv = check_txn(n, &r->q, why, why_bytes);
    }
    return (rv == COORD_ETOOBIG || rv == COORD_ELIMIT) && may_be_older(n, r) ? 0 : rv;
}

/* May this member serve the request at all? */
static int check_member(const struct node *n, const struct coord_request *q, char *why,
                        size_t why_bytes)
{
    bool always = q->op == COORD_OP_STATUS || q->op == COORD_OP_UNWATCH ||
                  (q->op == COORD_OP_HELLO && q->session == 0);
    if (n->fault[0] != '\0' && !always) {
        (void)snprintf(why, why_bytes, "this member has stopped after a fault: %s", n->fault);
        return COORD_ESHUTDOWN;
    }
    if (node__diverged(n) && !always) {
        (void)snprintf(why, why_bytes, "%s", node__stopped(n));
        return COORD_ESHUTDOWN;
    }
    if (n->leaving && !always) {
        (void)snprintf(why, why_bytes, "%s", coord_strerror(COORD_ESHUTDOWN));
        return COORD_ESHUTDOWN;
    }
    return 0;
}

static bool creates_ephemeral(const struct coord_request *q)
{
    return q->op == COORD_OP_CREATE && (q->flags & COORD_F_EPHEMERAL) != 0;
}

static bool branch_makes_ephemeral(const struct coord_items *ops)
{
    struct coord_bytes cursor = ops->raw;
    struct coord_request q;
    while (coord_txn_op_next(&cursor, &q) == 1) {
        if (creates_ephemeral(&q)) {
            return true;
        }
    }
    return false;
}

static bool makes_ephemeral(const struct coord_request *q)
{
    return creates_ephemeral(q) || (q->op == COORD_OP_TXN && (branch_makes_ephemeral(&q->thens) ||
                                                              branch_makes_ephemeral(&q->elses)));
}

static int check_session(const struct conn *c, const struct coord_request *q, char *why,
                         size_t why_bytes)
{
    bool write = coord_op_kind(q->op) == COORD_KIND_WRITE;
    if (c->lost && q->op != COORD_OP_SESSION_OPEN && (write || coord_op_needs_session(q->op)) &&
        !SERVER_BUG(7)) {
        (void)snprintf(why, why_bytes, "the session of this connection has ended");
        return COORD_EEXPIRED;
    }
    if (q->op == COORD_OP_SESSION_OPEN && (c->session != 0 || c->settling)) {
        (void)snprintf(why, why_bytes, "this connection has a session already");
        return COORD_EBADREQUEST;
    }
    if ((coord_op_needs_session(q->op) || makes_ephemeral(q)) && c->session == 0 && !c->settling) {
        (void)snprintf(why, why_bytes, "%s", coord_strerror(COORD_ENOSESSION));
        return COORD_ENOSESSION;
    }
    return 0;
}

/* --- HELLO ---------------------------------------------------------------------------------- */

void node__hello_result(const struct node *n, enum coord_session_state state, uint64_t session,
                        struct coord_result *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->version = COORD_PROTOCOL_VERSION;
    ret->member = n->o.raft.id;
    ret->cluster = (struct coord_bytes){(const uint8_t *)n->cluster, (uint32_t)strlen(n->cluster)};
    node__limits_tell(n, &ret->limits);
    ret->session_state = (uint32_t)state;
    ret->session = session;
}

static void admit_hello(struct node *n, struct request *r)
{
    struct conn *c = r->conn;
    if (c->greeted || c->settling) {
        node__answer_error(n, r, COORD_EBADREQUEST, "this connection has said hello already");
        return;
    }
    if (r->q.version != COORD_PROTOCOL_VERSION) {
        node__answer_error(n, r, COORD_EVERSION,
                           "protocol version %llu is not served here, only version %d",
                           (unsigned long long)r->q.version, COORD_PROTOCOL_VERSION);
        node__conn_close(n, c, "protocol version");
        return;
    }
    c->seen = r->q.revision;
    if (r->q.session == 0) {
        c->greeted = true; /* answered when it is its turn, which is at once */
        return;
    }
    if (r->q.secret.data == NULL || r->q.secret.len != COORD_SECRET_BYTES) {
        node__answer_error(n, r, COORD_EBADREQUEST, "secret: %d bytes are needed with a session",
                           COORD_SECRET_BYTES);
        node__conn_close(n, c, "malformed hello");
        return;
    }
    c->settling = true;
    c->waiting--;
    node__write_submit(n, r);
}

/* --- admission ------------------------------------------------------------------------------ */

/* Take r from WAITING into the hands of writes.c. */
static void admit_write(struct node *n, struct request *r)
{
    struct conn *c = r->conn;
    NODE_ASSERT(c->waiting > 0);
    c->waiting--;
    if (c->settling) {
        r->stage = REQUEST_HELD;
        return;
    }
    if (r->q.op == COORD_OP_SESSION_OPEN) {
        c->settling = true;
    }
    node__write_submit(n, r);
}

static void admit_read(struct node *n, struct request *r)
{
    if (r->q.op == COORD_OP_PING) {
        node__touch_ping(n, r);
        return;
    }
    if (r->q.op == COORD_OP_SYNC || r->q.op == COORD_OP_WATCH ||
        r->q.level == COORD_LEVEL_LINEARIZABLE) {
        node__read_join(n, r);
    } else if (r->q.level == COORD_LEVEL_SESSION && r->q.level_arg > r->conn->seen) {
        r->conn->seen = r->q.level_arg;
    }
}

void node__request_admit(struct node *n, struct request *r)
{
    char why[NODE_TEXT_BYTES] = "";
    struct conn *c = r->conn;
    if (r->q.op != COORD_OP_HELLO && !c->greeted && !c->settling) {
        node__answer_error(n, r, COORD_EBADREQUEST, "a connection begins with hello, not with %s",
                           coord_op_name(r->q.op));
        node__log_fault(n, "request before hello: conn=%llu source=%s", (unsigned long long)c->id,
                        c->source);
        node__conn_close(n, c, "request before hello");
        return;
    }
    int rv = check_member(n, &r->q, why, sizeof(why));
    if (rv == 0) {
        rv = check_form(n, r, why, sizeof(why));
    }
    if (rv == 0 && r->q.op != COORD_OP_HELLO) {
        rv = check_session(c, &r->q, why, sizeof(why));
    }
    if (rv != 0) {
        node__answer_error(n, r, rv, "%s", why);
        return;
    }
    node__touch_conn(n, c);
    if (r->q.op == COORD_OP_HELLO) {
        admit_hello(n, r);
    } else if (coord_op_kind(r->q.op) == COORD_KIND_WRITE) {
        admit_write(n, r);
    } else if (coord_op_kind(r->q.op) == COORD_KIND_READ) {
        admit_read(n, r);
    }
}

void node__requests_release(struct node *n, struct conn *c, int error)
{
    char why[NODE_TEXT_BYTES] = "";
    for (struct request *r = c->head; r != NULL; r = r->next) {
        bool held = r->stage == REQUEST_HELD;
        if (!held && !(r->stage == REQUEST_WAITING && r->q.op == COORD_OP_PING)) {
            continue;
        }
        int rv = error != 0 ? error : check_session(c, &r->q, why, sizeof(why));
        if (rv != 0) {
            node__answer_error(n, r, rv, "%s", why[0] != '\0' ? why : coord_strerror(rv));
        } else if (held && c->settling) {
            continue; /* behind a SESSION_OPEN that was set going just now */
        } else if (held) {
            if (r->q.op == COORD_OP_SESSION_OPEN) {
                c->settling = true;
            }
            node__write_submit(n, r);
        } else {
            node__touch_ping(n, r);
        }
    }
}

/* --- what needs no state -------------------------------------------------------------------- */

static void answer_hello(struct node *n, struct request *r)
{
    struct coord_result res;
    node__hello_result(n, COORD_SESSION_NONE, 0, &res);
    node__answer(n, r, &res);
}

static void answer_unwatch(struct node *n, struct request *r)
{
    struct coord_result res = {.error = 0};
    /* Ending a watch that is gone already (a one-shot that fired) is no error. */
    (void)watch_remove(n->hub, r->conn->id, r->q.watch);
    node__answer(n, r, &res);
}

bool node__request_try(struct node *n, struct request *r)
{
    switch (r->q.op) {
    case COORD_OP_HELLO:
        answer_hello(n, r);
        return true;
    case COORD_OP_UNWATCH:
        answer_unwatch(n, r);
        return true;
    case COORD_OP_STATUS:
        node__status_answer(n, r);
        return true;
    case COORD_OP_PARTITION:
        node__partition_answer(n, r);
        return true;
    case COORD_OP_PING:
        return node__ping_try(n, r);
    default:
        return node__read_try(n, r);
    }
}

void node__receipt(const struct node *n, const struct request *r, struct coord_receipt *ret)
{
    *ret = (struct coord_receipt){.member = n->o.raft.id,
                                  .role = (uint32_t)n->st.role,
                                  .term = n->st.term,
                                  .revision = SERVER_BUG(24) ? n->commit : n->applied,
                                  .age_ms = node__age_ms(n),
                                  .level = COORD_LEVEL_LINEARIZABLE};
    if (r != NULL && coord_op_kind(r->q.op) == COORD_KIND_READ) {
        ret->level = r->q.level;
    }
    if (r != NULL && r->shown != 0 && r->shown < ret->revision) {
        ret->revision = r->shown; /* revisions on a connection never go back (X3) */
    }
}
