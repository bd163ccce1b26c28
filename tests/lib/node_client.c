/* SPDX-License-Identifier: Apache-2.0 */
/* node_client.c: the clients of node_cluster.h: requests and replies as the bytes of the protocol. */
#include "tests/lib/node_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_cluster_internal.h"

struct cluster_client *client_connect(struct cluster *cl, raft_id member)
{
    struct cluster_client *c = cluster_client_new(cl, member);
    char source[32];
    (void)snprintf(source, sizeof(source), "test:%u", (unsigned)c->conn);
    node_conn_open(cluster_node(cl, member), c->conn, source, cluster_member_now(cl, member));
    cluster_touch(cl, member);
    return c;
}

void client_stall(struct cluster_client *c, bool stalled)
{
    bool drained = c->stalled && !stalled;
    c->stalled = stalled;
    if (drained && c->open) {
        node_conn_drained(cluster_node(c->cl, c->member), c->conn,
                          cluster_member_now(c->cl, c->member));
        cluster_touch(c->cl, c->member);
    }
}

void client_close(struct cluster_client *c)
{
    if (c->open) {
        c->open = false;
        node_conn_closed(cluster_node(c->cl, c->member), c->conn,
                         cluster_member_now(c->cl, c->member));
        cluster_touch(c->cl, c->member);
    }
}

void client_send_raw(struct cluster_client *c, const void *body, size_t len)
{
    struct coord_buf *b = coord_buf_create(ENTRY_HEADER_BYTES + len + 1);
    if (b == NULL || !c->open) {
        abort();
    }
    memset(b->data, 0, ENTRY_HEADER_BYTES);
    memcpy(b->data + ENTRY_HEADER_BYTES, body, len);
    b->len = (uint32_t)(ENTRY_HEADER_BYTES + len);
    node_conn_frame(cluster_node(c->cl, c->member), c->conn, b,
                    cluster_member_now(c->cl, c->member));
    cluster_touch(c->cl, c->member);
}

uint64_t client_send(struct cluster_client *c, struct coord_request *q)
{
    struct coord_buf *b = NULL;
    if (q->number == 0) {
        q->number = ++c->next_number;
    }
    if (coord_request_encode(q, &b) != 0) {
        abort();
    }
    /* A connection that was closed meanwhile takes nothing; the test sees no reply. */
    if (c->open) {
        client_send_raw(c, b->data + COORD_FRAME_HEADER_BYTES, b->len - COORD_FRAME_HEADER_BYTES);
    }
    coord_buf_unref(b);
    return q->number;
}

static struct cluster_frame *frame_of(struct cluster_client *c, uint64_t number)
{
    for (struct cluster_frame *f = c->first; f != NULL; f = f->next) {
        if (f->number == number) {
            return f;
        }
    }
    return NULL;
}

bool client_has(struct cluster_client *c, uint64_t number)
{
    return frame_of(c, number) != NULL;
}

struct waiting {
    struct cluster_client *c;
    uint64_t number;
};

static bool arrived(void *arg)
{
    struct waiting *w = arg;
    return client_has(w->c, w->number) || !w->c->open;
}

int client_wait(struct cluster_client *c, uint64_t number, enum coord_op op,
                struct coord_result *ret, uint64_t ns)
{
    struct waiting w = {c, number};
    char why[256];
    (void)cluster_run_until(c->cl, arrived, &w, ns); /* looked at below */
    struct cluster_frame *f = frame_of(c, number);
    if (f == NULL) {
        return COORD_ETIMEOUT;
    }
    if (coord_result_decode(op, f->body->data, f->body->len, ret, why, sizeof(why)) != 0) {
        fprintf(stderr, "node_client: malformed reply to %s: %s\n", coord_op_name(op), why);
        abort();
    }
    return ret->error;
}

int client_call(struct cluster_client *c, struct coord_request *q, struct coord_result *ret)
{
    struct coord_result res;
    uint64_t number = client_send(c, q);
    int rv = client_wait(c, number, q->op, &res, 5 * CLUSTER_S);
    if (ret != NULL && rv != COORD_ETIMEOUT) {
        *ret = res;
    }
    return rv;
}

int client_hello(struct cluster_client *c)
{
    struct coord_request q = {
        .op = COORD_OP_HELLO, .version = COORD_PROTOCOL_VERSION, .client = bytes_of("test")};
    return client_call(c, &q, NULL);
}

int client_resume(struct cluster_client *c, uint64_t session, const uint8_t *secret,
                  uint32_t *ret_state)
{
    struct coord_request q = {.op = COORD_OP_HELLO,
                              .version = COORD_PROTOCOL_VERSION,
                              .client = bytes_of("test"),
                              .session = session,
                              .secret = {secret, COORD_SECRET_BYTES}};
    struct coord_result res;
    int rv = client_call(c, &q, &res);
    if (rv == 0 && ret_state != NULL) {
        *ret_state = res.session_state;
    }
    return rv;
}

uint64_t client_open_session(struct cluster_client *c, uint64_t timeout_ms, uint8_t *secret)
{
    struct coord_request q = {.op = COORD_OP_SESSION_OPEN, .timeout_ms = timeout_ms};
    struct coord_result res;
    if (client_hello(c) != 0 || client_call(c, &q, &res) != 0) {
        return 0;
    }
    if (secret != NULL) {
        memcpy(secret, res.secret.data, COORD_SECRET_BYTES);
    }
    return res.session;
}

int client_create(struct cluster_client *c, const char *path, const char *data, uint32_t flags)
{
    struct coord_request q = {
        .op = COORD_OP_CREATE, .path = bytes_of(path), .data = bytes_of(data), .flags = flags};
    return client_call(c, &q, NULL);
}

int client_set(struct cluster_client *c, const char *path, const char *data)
{
    struct coord_request q = {.op = COORD_OP_SET,
                              .path = bytes_of(path),
                              .data = bytes_of(data),
                              .expect_version = COORD_VERSION_ANY};
    return client_call(c, &q, NULL);
}

int client_get(struct cluster_client *c, const char *path, const char *expect)
{
    struct coord_request q = {.op = COORD_OP_GET, .path = bytes_of(path)};
    struct coord_result res;
    int rv = client_call(c, &q, &res);
    if (rv != 0) {
        return rv;
    }
    size_t len = strlen(expect);
    return res.data.len != len || (len > 0 && memcmp(res.data.data, expect, len) != 0);
}

int client_ping(struct cluster_client *c)
{
    struct coord_request q = {.op = COORD_OP_PING};
    return client_call(c, &q, NULL);
}

bool client_event(struct cluster_client *c, uint32_t i, struct coord_event *ret,
                  uint32_t *ret_position)
{
    uint32_t position = 0;
    char why[256];
    for (struct cluster_frame *f = c->first; f != NULL; f = f->next, position++) {
        if (f->number != 0) {
            continue;
        }
        if (i-- > 0) {
            continue;
        }
        if (coord_event_decode(f->body->data, f->body->len, ret, why, sizeof(why)) != 0) {
            return false; /* an error frame */
        }
        if (ret_position != NULL) {
            *ret_position = position;
        }
        return true;
    }
    return false;
}

uint32_t client_position(struct cluster_client *c, uint64_t number)
{
    uint32_t position = 0;
    for (struct cluster_frame *f = c->first; f != NULL; f = f->next, position++) {
        if (f->number == number) {
            return position;
        }
    }
    return UINT32_MAX;
}
