/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll.c: carry out what raft says: persist, send, read results, snapshot tasks, how far to apply.
 *
 * raft's lost proposals (drops) are not read here: writes.c concludes the same from the terms of what is
 * applied, for writes proposed here and forwarded alike.
 */
#include "server/node/internal.h"

static void persist(struct node *n, const struct raft_persist *p)
{
    uint32_t count = p->kind == RAFT_PERSIST_ENTRIES ? p->count : 0;
    node__scratch(n, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct raft_entry *meta = raft_entry_at(n->raft, p->first + i);
        NODE_ASSERT(meta != NULL);
        n->metas[i] = *meta;
        n->parts[i] = node__payloads_get(&n->log, p->first + i);
        NODE_ASSERT(meta->bytes == (n->parts[i] == NULL ? 0 : n->parts[i]->len));
    }
    n->env.persist(n->env.ctx, p, n->metas, n->parts);
}

/* The chunk that raft wants stored is the one stepped just before this poll. */
static void store_chunk(struct node *n, const struct raft_msg *wanted,
                        const struct peer_raft *chunk)
{
    if (chunk == NULL || chunk->msg.snap_id != wanted->snap_id ||
        chunk->msg.offset != wanted->offset || chunk->payload_bytes != wanted->count) {
        return; /* the leader sends it again */
    }
    n->env.snapshot_store(n->env.ctx, wanted, chunk->payload, chunk->payload_bytes);
}

static void carry_out(struct node *n, const struct raft_actions *a, const struct peer_raft *chunk)
{
    for (uint32_t i = 0; i < a->persist_count; i++) {
        persist(n, &a->persist[i]);
    }
    for (uint32_t i = 0; i < a->sends_count; i++) {
        node__raft_send(n, &a->sends[i]);
    }
    node__append_forget(n);
    for (uint32_t i = 0; i < a->reads_count; i++) {
        node__reads_result(n, &a->reads[i]);
    }
    if (a->snap_chunk != NULL) {
        store_chunk(n, a->snap_chunk, chunk);
    }
    if (a->snap_install != NULL) {
        node__snapshot_load(n, a->snap_install);
    }
    if (a->commit > n->commit) {
        n->commit = a->commit;
    }
}

void node__poll(struct node *n, const struct peer_raft *chunk)
{
    int more = 1;
    /* Bounded: raft stops saying `more` once its queues are empty; nothing is stepped in between. */
    while (more) {
        const struct raft_actions *a = raft_poll(n->raft);
        more = a->more;
        carry_out(n, a, chunk);
        raft_done(n->raft);
    }
    node__refresh(n);
}
