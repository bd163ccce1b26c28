/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.c: connections of clients: their queue of requests, the order of the replies, the output, and
 * back-pressure. What a request asks for is decided elsewhere (request.c and the files it names).
 *
 * A connection is in up to three lists: ready (look at its first request again in this pass), blocked
 * (its first request waits for a condition; whoever changes a condition makes all blocked ones ready)
 * and flush (it has output).
 *
 * Invariants
 *   1. Replies are written when their request is the first of the queue, so they keep its order.
 *   2. Events are written when they are published, so they stand before every reply written later (W8).
 *   3. A request leaves the queue answered, or the connection is gone.
 *   4. A connection is freed by node_conn_closed or at the end of node_run, never inside a pass.
 *   5. Once an event was left out because the client does not read, nothing is answered before its
 *      watches were told GAP (W8 again).
 *   6. A client that does not read makes us keep no more than what env->conn_full allows, one answer
 *      and conn_bytes_max of answers: reads behind that are not carried out before there is room.
 */
#include "server/node/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/mutant.h"

/* --- requests ------------------------------------------------------------------------------- */

struct request *node__request_create(struct node *n)
{
    struct request *r = n->free_requests;
    if (r == NULL) {
        r = malloc(sizeof(*r));
        if (r == NULL) {
            return NULL;
        }
    } else {
        n->free_requests = r->next;
    }
    memset(r, 0, offsetof(struct request, q)); /* q is decoded into as a whole */
    n->requests++;
    return r;
}

void node__request_free(struct node *n, struct request *r)
{
    NODE_ASSERT(n->requests > 0);
    node__list_remove(&r->ping);
    coord_buf_unref(r->entry);
    coord_buf_unref(r->body);
    r->next = n->free_requests;
    n->free_requests = r;
    n->requests--;
}

static void push(struct node *n, struct conn *c, struct request *r)
{
    r->conn = c;
    if (c->tail == NULL) {
        c->head = r;
        node__list_add(&n->busy, &c->busy);
    } else {
        n->touch.hurry = true; /* what it waits behind may be a PING */
        c->tail->next = r;
    }
    c->tail = r;
    c->count++;
    c->bytes += r->bytes;
    c->waiting++;
    r->stage = REQUEST_WAITING;
}

static void pop(struct node *n, struct conn *c)
{
    struct request *r = c->head;
    c->head = r->next;
    if (c->head == NULL) {
        c->tail = NULL;
        node__list_remove(&c->busy);
    }
    NODE_ASSERT(c->count > 0);
    c->count--;
    c->bytes -= r->bytes;
    c->kept -= r->body != NULL ? r->body->len : 0;
    node__request_free(n, r);
}

/* --- answers -------------------------------------------------------------------------------- */

/* Leave whatever stage r was in. */
static void settle(struct node *n, struct request *r)
{
    NODE_ASSERT(r->stage != REQUEST_DONE);
    if (r->stage == REQUEST_WAITING) {
        NODE_ASSERT(r->conn->waiting > 0);
        r->conn->waiting--;
    } else if (r->stage != REQUEST_HELD) {
        node__write_forget(n, r);
    }
    r->stage = REQUEST_DONE;
    node__list_remove(&r->ping);
    node__conn_ready(n, r->conn);
}

static void wrote(struct node *n, struct conn *c, int rv)
{
    if (rv != 0) {
        node__conn_close(n, c, "out of memory");
        return;
    }
    node__list_add(&n->flush, &c->flush);
}

static void seen(struct conn *c, const struct coord_receipt *receipt)
{
    if (receipt->revision > c->seen) {
        c->seen = receipt->revision;
    }
}

/* Is there no room for another answer? Asked again only when something was handed over since. */
static bool full(struct node *n, struct conn *c)
{
    if (!c->full && c->out == NULL && n->env.conn_full != NULL) {
        c->full = n->env.conn_full(n->env.ctx, c->id);
    }
    return c->full;
}

void node__answer(struct node *n, struct request *r, struct coord_result *res)
{
    struct conn *c = r->conn;
    if (r->unsure && res->error != 0 && coord_errclass(res->error) == COORD_NOT_APPLIED) {
        node__noquorum_answer(n, r, COORD_EINDOUBT); /* it may have been applied before */
        return;
    }
    settle(n, r);
    if (r->q.op == COORD_OP_PING) {
        node__touch_answered(n, r, res->error);
    }
    node__receipt(n, r, &r->receipt);
    r->error = res->error;
    if (c->head == r && c->close_why == NULL && !c->lagging) {
        res->number = r->q.number;
        res->receipt = r->receipt;
        r->written = true;
        (void)full(n, c); /* this one still; it is no reason for more */
        seen(c, &r->receipt);
        wrote(n, c, coord_result_encode(r->q.op, res, &c->out));
        return;
    }
    if (coord_body_encode(r->q.op, res, &r->body) != 0) {
        node__conn_close(n, c, "out of memory");
    }
    c->kept += r->body != NULL ? r->body->len : 0;
}

void node__answer_error(struct node *n, struct request *r, int error, const char *format, ...)
{
    char text[NODE_TEXT_BYTES];
    struct coord_result res = {.error = error};
    if (format != NULL) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args); /* a text that is too long is cut */
        va_end(args);
    } else {
        (void)snprintf(text, sizeof(text), "%s", coord_strerror(error));
    }
    res.text = (struct coord_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
    node__answer(n, r, &res);
}

void node__answer_body(struct node *n, struct request *r, int error, struct coord_buf *body)
{
    /* The machine looks at the attachment and the number before it knows a write again; and what it has no
     * room to answer now it may carry out when another copy comes that is still under way. */
    bool moved =
        r->unsure && (error == COORD_EMOVED || error == COORD_EBADREQUEST || error == COORD_EBUSY);
    if ((body == NULL && error != 0) || moved) {
        node__answer_error(n, r, error, NULL);
        return;
    }
    settle(n, r);
    node__receipt(n, r, &r->receipt);
    r->error = error;
    r->body = coord_buf_ref(body);
    r->conn->kept += body != NULL ? body->len : 0;
    /* The usual case, and then nothing needs to be kept: it is its connection's turn. */
    if (r->conn->head == r) {
        node__conn_advance(n, r->conn);
    }
}

static void write_reply(struct node *n, struct conn *c, struct request *r)
{
    if (r->written) {
        return;
    }
    struct coord_bytes body = {NULL, 0};
    if (r->body != NULL) {
        body = (struct coord_bytes){r->body->data, r->body->len};
    }
    seen(c, &r->receipt);
    wrote(n, c, coord_reply_join(r->q.number, r->error, &r->receipt, body, &c->out));
}

/* --- progress of a connection --------------------------------------------------------------- */

static void pause_or_go(struct node *n, struct conn *c)
{
    bool full = c->count >= n->o.outstanding_max || c->bytes >= n->o.conn_bytes_max;
    bool low = c->count <= n->o.outstanding_max / 4 * 3 && c->bytes <= n->o.conn_bytes_max / 4 * 3;
    if (full && !c->paused) {
        c->paused = true;
        n->env.conn_pause(n->env.ctx, c->id, true);
    } else if (low && c->paused) {
        c->paused = false;
        n->env.conn_pause(n->env.ctx, c->id, false);
    }
}

/* It has read what it had: watches that missed something hear so before anything else is answered. */
static void catch_up(struct node *n, struct conn *c)
{
    if (c->lagging && !c->full && c->close_why == NULL) {
        c->lagging = false;
        watch_catch_up(n->hub, c->id, n->applied);
    }
}

void node__conn_advance(struct node *n, struct conn *c)
{
    node__list_remove(&c->blocked);
    catch_up(n, c);
    while (c->head != NULL && c->close_why == NULL && !full(n, c)) {
        struct request *r = c->head;
        if (r->stage == REQUEST_WAITING && !node__request_try(n, r)) {
            node__list_add(&n->blocked, &c->blocked);
            break;
        }
        if (r->stage != REQUEST_DONE) {
            break;
        }
        write_reply(n, c, r);
        pop(n, c);
        if (c->out != NULL && c->out->len >= NODE_OUT_BYTES) {
            n->env.conn_send(n->env.ctx, c->id, c->out);
            coord_buf_unref(c->out);
            c->out = NULL;
        }
    }
}

void node__conn_ready(struct node *n, struct conn *c)
{
    node__list_add(&n->ready, &c->ready);
}

void node__conns_ready_blocked(struct node *n)
{
    while (!node__list_empty(&n->blocked)) {
        struct conn *c = NODE_CONTAINER(n->blocked.next, struct conn, blocked);
        node__list_remove(&c->blocked);
        node__list_add(&n->ready, &c->ready);
    }
}

void node__conns_run(struct node *n)
{
    /* What becomes ready while this runs joins the end; every turn answers a request or blocks. */
    while (!node__list_empty(&n->ready)) {
        struct conn *c = NODE_CONTAINER(n->ready.next, struct conn, ready);
        node__list_remove(&c->ready);
        node__conn_advance(n, c);
        if (c->close_why == NULL) {
            pause_or_go(n, c);
        }
    }
}

/* --- output and the end --------------------------------------------------------------------- */

void node__conn_write(struct node *n, struct conn *c, struct coord_buf *frames)
{
    if (c->close_why != NULL) {
        return;
    }
    if (frames->len >= NODE_OUT_BYTES / 16) {
        /* Large ones are shared, not copied; what stands before them goes first. */
        if (c->out != NULL) {
            n->env.conn_send(n->env.ctx, c->id, c->out);
            coord_buf_unref(c->out);
            c->out = NULL;
        }
        n->env.conn_send(n->env.ctx, c->id, frames);
        return;
    }
    wrote(n, c, coord_buf_append(&c->out, frames->data, frames->len));
}

bool node__conn_event(struct node *n, struct conn *c, struct coord_buf *frames)
{
    if (c->close_why != NULL) {
        return true; /* nothing reaches it any more */
    }
    if (c->out != NULL && c->out->len >= NODE_OUT_BYTES) {
        n->env.conn_send(n->env.ctx, c->id, c->out);
        coord_buf_unref(c->out);
        c->out = NULL;
    }
    if (n->env.conn_behind != NULL && !SERVER_BUG(31) && n->env.conn_behind(n->env.ctx, c->id)) {
        c->full = true;
        c->lagging = true;
        return false;
    }
    node__conn_write(n, c, frames);
    return true;
}

void node__conn_close(struct node *n, struct conn *c, const char *why)
{
    if (c->close_why == NULL) {
        c->close_why = why;
    }
    node__list_add(&n->flush, &c->flush);
}

void node__conn_abandon(struct node *n, struct conn *c, int error, const char *text,
                        const char *why)
{
    struct coord_result res = {.error = error};
    if (c->close_why != NULL) {
        return;
    }
    node__receipt(n, NULL, &res.receipt);
    res.text = (struct coord_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
    wrote(n, c, coord_result_encode(COORD_OP_STATUS, &res, &c->out));
    node__conn_close(n, c, why);
}

static void conn_free(struct node *n, struct conn *c)
{
    while (c->head != NULL) {
        struct request *r = c->head;
        if (r->stage == REQUEST_QUEUED || r->stage == REQUEST_SENT) {
            node__write_forget(n, r);
        }
        pop(n, c);
    }
    watch_remove_conn(n->hub, c->id);
    if (c->session != 0 && node__map_get(&n->session_conns, c->session) == c) {
        (void)node__map_remove(&n->session_conns, c->session); /* it is c, as just seen */
    }
    node__list_remove(&c->all);
    node__list_remove(&c->ready);
    node__list_remove(&c->blocked);
    node__list_remove(&c->flush);
    (void)node__map_remove(&n->conns, c->id); /* it is c */
    coord_buf_unref(c->out);
    free(c);
}

void node__conns_flush(struct node *n)
{
    while (!node__list_empty(&n->flush)) {
        struct conn *c = NODE_CONTAINER(n->flush.next, struct conn, flush);
        node__list_remove(&c->flush);
        if (c->out != NULL) {
            n->env.conn_send(n->env.ctx, c->id, c->out);
            coord_buf_unref(c->out);
            c->out = NULL;
        }
        if (c->close_why != NULL) {
            n->env.conn_close(n->env.ctx, c->id, c->close_why);
            conn_free(n, c);
        }
    }
}

void node__conns_destroy(struct node *n)
{
    while (n->all.next != NULL && !node__list_empty(&n->all)) {
        conn_free(n, NODE_CONTAINER(n->all.next, struct conn, all));
    }
    node__map_release(&n->conns);
    node__map_release(&n->session_conns);
    while (n->free_requests != NULL) {
        struct request *r = n->free_requests;
        n->free_requests = r->next;
        free(r);
    }
}

/* --- events of node.h ----------------------------------------------------------------------- */

void node_conn_open(struct node *n, uint64_t conn, const char *source, uint64_t now)
{
    n->now = now > n->now ? now : n->now;
    NODE_ASSERT(node__map_get(&n->conns, conn) == NULL);
    struct conn *c = calloc(1, sizeof(*c));
    if (c == NULL || node__map_put(&n->conns, conn, c) != 0) {
        free(c);
        n->env.conn_close(n->env.ctx, conn, "out of memory");
        return;
    }
    c->id = conn;
    (void)snprintf(c->source, sizeof(c->source), "%s", source); /* cut: it is for log lines */
    node__list_add(&n->all, &c->all);
}

void node_conn_closed(struct node *n, uint64_t conn, uint64_t now)
{
    n->now = now > n->now ? now : n->now;
    struct conn *c = node__map_get(&n->conns, conn);
    if (c != NULL) {
        conn_free(n, c);
    }
}

void node_conn_bad(struct node *n, uint64_t conn, const char *why, uint64_t now)
{
    n->now = now > n->now ? now : n->now;
    struct conn *c = node__map_get(&n->conns, conn);
    if (c == NULL || c->close_why != NULL) {
        return;
    }
    node__log_fault(n, "bad frame: conn=%llu source=%s why=\"%s\"", (unsigned long long)conn,
                    c->source, why);
    node__conn_abandon(n, c, COORD_EBADREQUEST, why, "bad frame");
}

void node_conn_drained(struct node *n, uint64_t conn, uint64_t now)
{
    n->now = now > n->now ? now : n->now;
    struct conn *c = node__map_get(&n->conns, conn);
    if (c != NULL) {
        c->full = false;
        node__conn_ready(n, c);
    }
}

/* Decode the frame of r. Return: false when the connection cannot go on. */
static bool decode(struct node *n, struct conn *c, struct request *r)
{
    char why[NODE_TEXT_BYTES] = "";
    const uint8_t *body = r->entry->data + ENTRY_HEADER_BYTES;
    size_t len = r->entry->len - ENTRY_HEADER_BYTES;
    int rv = coord_request_decode_over(body, len, &r->q, why, sizeof(why));
    if (rv == 0) {
        return true;
    }
    uint64_t number = 0;
    uint64_t op = 0;
    node__log_fault(n, "malformed request: conn=%llu source=%s why=\"%s\"",
                    (unsigned long long)c->id, c->source, why);
    if (coord_request_peek(body, len, &number, &op) != 0 || number == 0) {
        node__conn_abandon(n, c, COORD_EBADREQUEST, why, "malformed request without a number");
        return false;
    }
    memset(&r->q, 0, sizeof(r->q));
    r->q.number = number;
    r->q.op = COORD_OP_STATUS; /* any: an error is encoded alike for all */
    push(n, c, r);
    node__answer_error(n, r, rv, "%s", why);
    if (!c->greeted && !c->settling) {
        node__conn_close(n, c, "malformed first request");
    }
    return true;
}

void node_conn_frame(struct node *n, uint64_t conn, struct coord_buf *buf, uint64_t now)
{
    n->now = now > n->now ? now : n->now;
    struct conn *c = node__map_get(&n->conns, conn);
    if (c == NULL || c->close_why != NULL) {
        coord_buf_unref(buf);
        return;
    }
    NODE_ASSERT(buf->len >= ENTRY_HEADER_BYTES);
    struct request *r = node__request_create(n);
    if (r == NULL) {
        coord_buf_unref(buf);
        node__conn_close(n, c, "out of memory");
        return;
    }
    r->entry = buf;
    r->bytes = buf->len;
    r->arrived = n->now;
    if (!decode(n, c, r)) {
        node__request_free(n, r);
        return;
    }
    if (r->conn == NULL) {
        push(n, c, r);
        node__request_admit(n, r);
    }
    node__conn_ready(n, c);
}
