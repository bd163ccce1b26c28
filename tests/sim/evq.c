/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evq.c: the heap of evq.h. Invariant: a parent is never later than its children.
 */
#include "tests/sim/evq.h"

#include "tests/sim/util.h"

#include <stdlib.h>

static int before(const struct ev *x, const struct ev *y)
{
    return x->at != y->at ? x->at < y->at : x->tie < y->tie;
}

void evq_push(struct evq *q, const struct ev *e)
{
    if (q->count == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 256;
        q->heap = sim_realloc(q->heap, q->cap * sizeof(q->heap[0]));
    }
    size_t at = q->count++;
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!before(e, &q->heap[parent])) {
            break;
        }
        q->heap[at] = q->heap[parent];
        at = parent;
    }
    q->heap[at] = *e;
}

int evq_pop(struct evq *q, struct ev *ret_e)
{
    if (q->count == 0) {
        return 0;
    }
    *ret_e = q->heap[0];
    struct ev last = q->heap[--q->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= q->count) {
            break;
        }
        if (child + 1 < q->count && before(&q->heap[child + 1], &q->heap[child])) {
            child++;
        }
        if (!before(&q->heap[child], &last)) {
            break;
        }
        q->heap[at] = q->heap[child];
        at = child;
    }
    if (q->count > 0) {
        q->heap[at] = last;
    }
    return 1;
}

void evq_finish(struct evq *q)
{
    free(q->heap);
    *q = (struct evq){0};
}
