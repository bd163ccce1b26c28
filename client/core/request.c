/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.c: see request.h. Leaves to others: when it is sent (pump.c), what an answer means
 * (recv.c).
 * Thread: that of the core.
 */
#include "client/core/request.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "client/core/mem.h"

/* Room behind what may be beyond a limit for the line that says why it was not sent. */
#define NOTE_BYTES 160u

/* Copy *b to at and point it there. Return: behind the copy. */
static uint8_t *take_bytes(struct coord_bytes *b, uint8_t *at)
{
    if (b->data == NULL) {
        return at;
    }
    if (b->len > 0) {
        memcpy(at, b->data, b->len);
    }
    b->data = at;
    return at + b->len;
}

struct coord__request *coord__request_create(enum coord__role role, const struct coord_request *q)
{
    /* Only what has data or operations can exceed what a server told (coord__request_check). */
    size_t note = q->op == COORD_OP_TXN || q->data.len > 0 ? NOTE_BYTES : 0;
    size_t bytes = (size_t)q->path.len + 1 + q->data.len + q->after.len + q->client.len +
                   q->secret.len + q->to.len + q->ifs.raw.len + q->thens.raw.len +
                   q->elses.raw.len + note;
    struct coord__request *r = coord__alloc(sizeof(*r) + bytes);
    if (r == NULL) {
        return NULL;
    }
    coord__list_init(&r->link);
    coord__list_init(&r->order);
    coord__list_init(&r->done);
    r->role = role;
    r->q = *q;
    r->q.number = 0;
    r->write = coord_op_kind(q->op) == COORD_KIND_WRITE;
    r->bytes = sizeof(*r) + bytes;
    uint8_t *at = take_bytes(&r->q.path, r->storage);
    *at++ = 0; /* behind the path */
    at = take_bytes(&r->q.data, at);
    at = take_bytes(&r->q.after, at);
    at = take_bytes(&r->q.client, at);
    at = take_bytes(&r->q.secret, at);
    at = take_bytes(&r->q.to, at);
    at = take_bytes(&r->q.ifs.raw, at);
    at = take_bytes(&r->q.thens.raw, at);
    at = take_bytes(&r->q.elses.raw, at);
    r->note = (char *)at;
    r->note_bytes = note;
    assert(at + note <= r->storage + bytes);
    return r;
}

void coord__request_free(struct coord__request *r)
{
    if (r != NULL) {
        assert(coord__list_empty(&r->link) && coord__list_empty(&r->order));
        coord__free(r);
    }
}

bool coord__request_needs_session(const struct coord__request *r)
{
    return r->role == COORD__USER && r->write;
}

/* Does one of the operations make an ephemeral node? */
static bool makes_ephemeral(const struct coord_items *ops)
{
    struct coord_bytes cursor = ops->raw;
    struct coord_request q;
    while (coord_txn_op_next(&cursor, &q) == 1) {
        if (q.op == COORD_OP_CREATE && (q.flags & COORD_F_EPHEMERAL) != 0) {
            return true;
        }
    }
    return false;
}

bool coord__request_owns(const struct coord__request *r)
{
    switch (r->q.op) {
    case COORD_OP_SESSION_OPEN:
        return true;
    case COORD_OP_CREATE:
        return (r->q.flags & COORD_F_EPHEMERAL) != 0;
    case COORD_OP_TXN:
        return makes_ephemeral(&r->q.thens) || makes_ephemeral(&r->q.elses);
    default:
        return false;
    }
}

static int too_many(struct coord__request *r, uint32_t count, const char *what, uint64_t most)
{
    if (count <= most) {
        return 0;
    }
    (void)snprintf(r->note, r->note_bytes,
                   "a limit is reached: the transaction has %" PRIu32
                   " %s, the server takes %" PRIu64,
                   count, what, most);
    return COORD_ELIMIT;
}

static int too_big(struct coord__request *r, uint32_t bytes, uint64_t most)
{
    if (bytes <= most || most == 0) {
        return 0;
    }
    assert(r->note_bytes > 0);
    (void)snprintf(r->note, r->note_bytes,
                   "the data has %" PRIu32 " bytes, at most %" PRIu64 " are allowed", bytes, most);
    return COORD_ETOOBIG;
}

static int branch_too_big(struct coord__request *r, const struct coord_items *ops, uint64_t most)
{
    struct coord_bytes cursor = ops->raw;
    struct coord_request q;
    int err = 0;
    if (ops->raw.len <= most) {
        return 0; /* then none of them is */
    }
    while (err == 0 && coord_txn_op_next(&cursor, &q) == 1) {
        err = too_big(r, q.data.len, most);
    }
    return err;
}

int coord__request_check(struct coord__request *r, const struct coord_limits *limits)
{
    if (r->first_sent != 0) {
        return 0; /* it may have been applied under other limits: the servers know */
    }
    if (r->q.op != COORD_OP_TXN) {
        return too_big(r, r->q.data.len, limits->data_bytes);
    }
    const uint64_t most = limits->txn_operations;
    int err = too_many(r, r->q.ifs.count, "conditions", most);
    if (err == 0) {
        err = too_many(r, r->q.thens.count, "operations in its then", most);
    }
    if (err == 0) {
        err = too_many(r, r->q.elses.count, "operations in its else", most);
    }
    if (err == 0) {
        err = branch_too_big(r, &r->q.thens, limits->data_bytes);
    }
    return err != 0 ? err : branch_too_big(r, &r->q.elses, limits->data_bytes);
}

int coord__request_verdict(struct coord__request *r, const struct coord_result *res)
{
    struct coord_bytes cursor = res->results.raw;
    struct coord_result one;
    enum coord_op op;
    r->decided = r->q.op == COORD_OP_TXN && res->error == 0;
    if (!r->decided || res->failed == 0) {
        return res->error;
    }
    for (uint64_t number = 1; coord_txn_result_next(&cursor, &op, &one) == 1; number++) {
        if (number == res->failed && one.error != 0) {
            return one.error;
        }
    }
    return COORD_EPROTO;
}

enum coord_outcome coord__request_outcome(const struct coord__request *r, int error)
{
    if (error == 0) {
        return COORD_OUTCOME_DONE;
    }
    if (r->decided || coord_errclass(error) == COORD_FAILED) {
        return COORD_OUTCOME_FAILED;
    }
    if (!r->write || (!r->unsure && r->first_sent == 0)) {
        return COORD_OUTCOME_NOT_APPLIED; /* nothing to apply, or never sent */
    }
    if (coord_errclass(error) == COORD_NOT_APPLIED && !r->unsure) {
        return COORD_OUTCOME_NOT_APPLIED;
    }
    return COORD_OUTCOME_UNKNOWN;
}
