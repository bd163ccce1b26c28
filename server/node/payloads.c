/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payloads.c: the payloads of the log entries that raft may still ask for, in a ring by index with as
 * many slots as raft's own ring. It follows what raft says: cut at what raft_accept overwrites, released
 * behind what raft compacts. The oldest ones may be given up before that, when they are on the disk
 * (recall.c).
 *
 * Invariants
 *   1. Slots outside [kept, last] are NULL. Entries without payload are NULL inside it.
 *   2. first <= kept <= last + 1.
 */
#include "server/node/internal.h"

#include <stdlib.h>

int node__payloads_init(struct payloads *p, uint32_t slots)
{
    NODE_ASSERT(slots > 0 && (slots & (slots - 1)) == 0);
    p->slots = calloc(slots, sizeof(p->slots[0]));
    p->mask = slots - 1;
    p->first = p->kept = 1;
    p->last = 0;
    return p->slots == NULL ? COORD_ENOMEM : 0;
}

/* What a payload takes: its bytes, its header, and the allocator's. */
static uint64_t weight(const struct coord_buf *b)
{
    return b == NULL ? 0 : sizeof(*b) + 16 + (uint64_t)b->cap;
}

static void drop(struct payloads *p, raft_index index)
{
    struct coord_buf **slot = &p->slots[index & p->mask];
    p->bytes -= weight(*slot);
    coord_buf_unref(*slot);
    *slot = NULL;
}

void node__payloads_release(struct payloads *p)
{
    if (p->slots != NULL) {
        node__payloads_cut(p, p->first);
        free(p->slots);
    }
    *p = (struct payloads){0};
}

void node__payloads_cut(struct payloads *p, raft_index index)
{
    raft_index from = index < p->first ? p->first : index;
    while (p->last >= from) {
        drop(p, p->last);
        p->last--;
    }
    if (index < p->first) {
        p->first = index;
        p->last = index - 1;
    }
    p->kept = p->kept > p->last + 1 ? p->last + 1 : p->kept;
}

void node__payloads_compact(struct payloads *p, raft_index index)
{
    while (p->first <= index && p->first <= p->last) {
        drop(p, p->first);
        p->first++;
    }
    if (p->first <= index) {
        p->first = index + 1;
        p->last = index;
    }
    p->kept = p->kept < p->first ? p->first : p->kept;
}

void node__payloads_trim(struct payloads *p, raft_index index, uint64_t bytes_max)
{
    while (p->bytes > bytes_max && p->kept <= index && p->kept <= p->last) {
        drop(p, p->kept);
        p->kept++;
    }
}

void node__payloads_put(struct payloads *p, raft_index index, struct coord_buf *b)
{
    NODE_ASSERT(index > p->last);
    if (p->first > p->last) {
        p->first = p->kept = index;
    }
    NODE_ASSERT(index - p->first <= p->mask);
    NODE_ASSERT(p->slots[index & p->mask] == NULL);
    p->slots[index & p->mask] = b;
    p->bytes += weight(b);
    p->last = index;
}

struct coord_buf *node__payloads_get(const struct payloads *p, raft_index index)
{
    if (index < p->kept || index > p->last) {
        return NULL;
    }
    return p->slots[index & p->mask];
}
