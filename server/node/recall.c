/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recall.c: followers that lag behind what is kept in memory. Applied entries are on the disk, so their
 * payloads are given up beyond o.log_memory_bytes (node__payloads_trim); an APPEND that needs some again
 * waits here while the host reads them. For the core that is a slow network.
 *
 *   node__raft_send -> queue -> env->log_read ... node_log_read -> node_run sends it -> the next one
 *
 * Invariants
 *   1. APPENDs to one peer leave in the order in which the core made them; other messages overtake them.
 *   2. A message leaves only while this member leads in the term it was made in: until then its log does
 *      not change but at the end, so what the disk gives for an index is what the message says.
 *   3. One read is under way at a time; what it reads is bounded by one message.
 */
#include "server/node/internal.h"

#include <stdlib.h>

static const struct raft_msg *first_waiting(const struct node *n)
{
    return &n->recalls.queue[n->recalls.head];
}

/* The last entry of m that is on the disk only; 0 when none is. */
static raft_index last_missing(const struct node *n, const struct raft_msg *m)
{
    raft_index last = m->index + m->count;
    if (m->count == 0 || m->index + 1 >= n->log.kept) {
        return 0;
    }
    return last < n->log.kept ? last : n->log.kept - 1;
}

bool node__recall_wanted(const struct node *n, const struct raft_msg *m)
{
    const struct recalls *rc = &n->recalls;
    if (m->type != RAFT_MSG_APPEND) {
        return false;
    }
    for (uint32_t i = 0; i < rc->count; i++) {
        if (rc->queue[(rc->head + i) % NODE_RECALLS_MAX].to == m->to) {
            return true;
        }
    }
    return last_missing(n, m) != 0;
}

void node__recall_add(struct node *n, const struct raft_msg *m)
{
    struct recalls *rc = &n->recalls;
    if (rc->count == NODE_RECALLS_MAX) {
        return;
    }
    rc->queue[(rc->head + rc->count) % NODE_RECALLS_MAX] = *m;
    rc->count++;
}

struct coord_buf *node__recall_get(const struct node *n, raft_index index)
{
    const struct recalls *rc = &n->recalls;
    if (!rc->here || index < rc->first || index - rc->first >= rc->entries) {
        return NULL;
    }
    return rc->bufs[index - rc->first];
}

/* What was read is of no use any more. */
static void forget(struct recalls *rc)
{
    for (uint32_t i = 0; rc->bufs != NULL && i < rc->entries; i++) {
        coord_buf_unref(rc->bufs[i]);
    }
    free(rc->bufs);
    rc->bufs = NULL;
    rc->entries = 0;
    rc->here = false;
}

void node__recall_release(struct node *n)
{
    forget(&n->recalls);
    n->recalls.count = 0;
}

static void pop(struct recalls *rc)
{
    rc->head = (rc->head + 1) % NODE_RECALLS_MAX;
    rc->count--;
}

/* Is m still what the core would say? */
static bool valid(const struct node *n, const struct raft_msg *m)
{
    return node__is_leader(n) && m->term == n->st.term && m->index + 1 >= n->st.first;
}

/* The last entry of m that is on the disk: what is in memory now may not be when the answer comes. */
static raft_index all_on_disk(const struct node *n, const struct raft_msg *m)
{
    raft_index last = m->index + m->count;
    return last < n->st.stable ? last : n->st.stable;
}

/* Have the entries first .. last read. */
static void ask(struct node *n, raft_index first, raft_index last)
{
    struct recalls *rc = &n->recalls;
    uint32_t count = (uint32_t)(last - first) + 1;
    struct coord_buf **bufs = node__must_alloc(calloc(count, sizeof(bufs[0])));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bytes = raft_entry_at(n->raft, first + i)->bytes;
        bufs[i] = bytes == 0 ? NULL : node__must_alloc(coord_buf_create(bytes));
    }
    rc->first = first;
    rc->entries = count;
    rc->asked = true;
    n->env.log_read(n->env.ctx, first, count, bufs);
}

/* Does what was read hold all that m lacks in memory? */
static bool has(const struct node *n, const struct raft_msg *m, raft_index missing)
{
    const struct recalls *rc = &n->recalls;
    return missing == 0 ||
           (rc->here && rc->first <= m->index + 1 && missing < rc->first + rc->entries);
}

void node__recall_run(struct node *n)
{
    struct recalls *rc = &n->recalls;
    if (rc->asked) {
        return;
    }
    if (rc->error != 0 && rc->count > 0) {
        node__log_fault(n, "entries cannot be read again: first=%llu peer=%u error=%d",
                        (unsigned long long)rc->first, first_waiting(n)->to, rc->error);
        pop(rc); /* the core asks again after a while, or sends a snapshot */
    }
    rc->error = 0;
    while (rc->count > 0 && !rc->asked) {
        const struct raft_msg m = *first_waiting(n);
        raft_index missing = last_missing(n, &m);
        if (!valid(n, &m)) {
            pop(rc);
        } else if (has(n, &m, missing)) {
            node__append_send(n, &m);
            node__append_forget(n);
            pop(rc);
        } else {
            forget(rc);
            ask(n, m.index + 1, all_on_disk(n, &m));
        }
    }
    if (rc->count == 0) {
        forget(rc);
    }
}

void node_log_read(struct node *n, struct coord_buf **bufs, int error, uint64_t now)
{
    struct recalls *rc = &n->recalls;
    n->now = now > n->now ? now : n->now;
    NODE_ASSERT(rc->asked && rc->bufs == NULL);
    rc->asked = false;
    rc->error = error;
    rc->bufs = bufs;
    rc->here = true;
    for (uint32_t i = 0; i < rc->entries && error == 0; i++) {
        NODE_ASSERT(bufs[i] == NULL || bufs[i]->len == bufs[i]->cap);
    }
    if (error != 0) {
        forget(rc);
    }
}
