/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest.c: see rest.h.
 */
#include "server/machine/rest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/machine/snapshot.h"

int rest_data(struct rest *r, struct pool *p, struct coord_bytes data)
{
    /* Whoever holds only reads. */
    union {
        const uint8_t *read;
        void *hold;
    } at = {.read = data.data};
    memset(r, 0, sizeof(*r));
    if (!pool_hold(p, at.hold, data.len)) {
        return COORD_ENOMEM;
    }
    *r = (struct rest){.pool = p, .held = at.hold, .bytes = data.data, .left = data.len};
    return 0;
}

int rest_answers(struct rest *r, const struct answers *a)
{
    memset(r, 0, sizeof(*r));
    if (a->count == 0) {
        return 0;
    }
    r->answers = malloc(a->count * sizeof(r->answers[0]));
    if (r->answers == NULL) {
        return COORD_ENOMEM;
    }
    r->answers_count = a->count;
    for (uint32_t i = 0; i < a->count; i++) {
        r->answers[i] = *answers_at(a, i);
    }
    return 0;
}

bool rest_any(const struct rest *r)
{
    return r->left > 0 || r->answers_at < r->answers_count;
}

uint64_t rest_give(struct rest *r, const struct machine_sink *sink, uint64_t max)
{
    uint64_t given = 0;
    assert(rest_any(r));
    if (r->left == 0) {
        const struct answer *a = &r->answers[r->answers_at++];
        given = snapshot_put_answer(sink, a);
        r->bytes = a->body;
        r->left = a->body_bytes;
    }
    uint64_t some = r->left < max ? r->left : max;
    if (some > 0) {
        sink->put(sink->arg, r->bytes, (size_t)some);
        r->bytes += some;
        r->left -= some;
    }
    if (!rest_any(r)) {
        rest_finish(r);
    }
    return given + some;
}

void rest_finish(struct rest *r)
{
    if (r->held != NULL) {
        pool_unhold(r->pool, r->held);
    }
    free(r->answers);
    memset(r, 0, sizeof(*r));
}
