/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answers.c: a ring of answers in order of request number.
 */
#include "server/session/answers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/mutant.h"

#define CAP_FIRST 4u
#define CAP_KEPT  64u /* an empty ring larger than this is given back */

static struct answer *slot(const struct answers *a, uint32_t i)
{
    return &a->ring[(a->head + i) & (a->cap - 1)];
}

/* How many answers have a number below this one. The end is looked at first. */
static uint32_t rank(const struct answers *a, uint64_t number)
{
    uint32_t low = 0;
    uint32_t high = a->count;
    if (a->count == 0 || slot(a, a->count - 1)->number < number) {
        return a->count;
    }
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (slot(a, mid)->number < number) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

void answers_finish(struct answers *a, struct pool *p)
{
    answers_drop(a, p, UINT64_MAX);
    free(a->ring);
    memset(a, 0, sizeof(*a));
}

const struct answer *answers_at(const struct answers *a, uint32_t i)
{
    assert(i < a->count);
    return slot(a, i);
}

const struct answer *answers_find(const struct answers *a, uint64_t number)
{
    uint32_t i = rank(a, number);
    if (i == a->count || slot(a, i)->number != number) {
        return NULL;
    }
    return slot(a, i);
}

static int grow(struct answers *a)
{
    uint32_t cap = a->cap == 0 ? CAP_FIRST : a->cap * 2;
    struct answer *ring = malloc(cap * sizeof(*ring));
    if (ring == NULL) {
        return COORD_ENOMEM;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        ring[i] = *slot(a, i);
    }
    free(a->ring);
    a->ring = ring;
    a->cap = cap;
    a->head = 0;
    return 0;
}

int answers_put(struct answers *a, struct pool *p, uint64_t number, int error,
                struct coord_bytes body)
{
    assert(error == 0 || body.len == 0);
    if (a->count == a->cap) {
        int rc = grow(a);
        if (rc != 0) {
            return rc;
        }
    }
    struct answer put = {number, NULL, body.len, error};
    if (body.len > 0) {
        put.body = pool_alloc(p, body.len);
        if (put.body == NULL) {
            return COORD_ENOMEM;
        }
        memcpy(put.body, body.data, body.len);
    }
    uint32_t at = rank(a, number);
    assert(at == a->count || slot(a, at)->number != number);
    a->count++;
    a->bytes += body.len;
    for (uint32_t i = a->count - 1; i > at; i--) {
        *slot(a, i) = *slot(a, i - 1);
    }
    *slot(a, at) = put;
    return 0;
}

void answers_drop(struct answers *a, struct pool *p, uint64_t acked)
{
    while (a->count > 0 && slot(a, 0)->number <= acked + SERVER_BUG(26)) {
        struct answer *first = slot(a, 0);
        pool_free_late(p, first->body, first->body_bytes); /* a copy may point at it */
        a->bytes -= first->body_bytes;
        a->head = (a->head + 1) & (a->cap - 1);
        a->count--;
    }
    if (a->count == 0 && a->cap > CAP_KEPT) {
        free(a->ring);
        memset(a, 0, sizeof(*a));
    }
}
