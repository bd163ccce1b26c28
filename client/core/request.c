/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.c: see request.h. Leaves to others: when it is sent (pump.c), what an answer means
 * (recv.c).
 * Thread: that of the core.
 */
#include "client/core/request.h"

#include <assert.h>
#include <string.h>
#include "client/core/mem.h"

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
    size_t bytes =
        (size_t)q->path.len + 1 + q->data.len + q->after.len + q->client.len + q->secret.len;
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
    assert(at <= r->storage + bytes);
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

enum coord_outcome coord__request_outcome(const struct coord__request *r, int error)
{
    if (error == 0) {
        return COORD_OUTCOME_DONE;
    }
    if (coord_errclass(error) == COORD_FAILED) {
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
