/* SPDX-License-Identifier: Apache-2.0 */
/* wal_queue.c: see wal_queue.h. The thread that owns the queue. */
#include "server/shell/wal_queue.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "server/shell/log.h"

_Noreturn static void no_memory(void)
{
    log_write(CONF_LOG_ERROR, "out of memory for the queue of the log: stopping this process");
    abort();
}

static void queue_reserve(struct wal_queue *q, uint32_t more)
{
    if (q->cap - q->count >= more) {
        return;
    }
    uint32_t cap = q->cap == 0 ? 64 : q->cap;
    while (cap - q->count < more) {
        assert(cap <= UINT32_MAX / 2);
        cap *= 2;
    }
    struct raft_wal_op *ops = realloc(q->ops, (size_t)cap * sizeof(*ops));
    struct wal_note *notes = realloc(q->notes, (size_t)cap * sizeof(*notes));
    if (ops == NULL || notes == NULL) {
        no_memory();
    }
    q->ops = ops;
    q->notes = notes;
    q->cap = cap;
}

/* --- copies of small payloads ------------------------------------------------------------------ */

static void chunk_add(struct wal_queue *q)
{
    struct wal_chunk *c = q->spare;
    if (c != NULL) {
        q->spare = c->next;
        q->spare_count--;
    } else {
        c = malloc(WAL_CHUNK_BYTES);
        if (c == NULL) {
            no_memory();
        }
    }
    c->next = NULL;
    c->used = 0;
    if (q->last != NULL) {
        q->last->next = c;
    } else {
        q->first = c;
    }
    q->last = c;
}

/* A copy with room for its record (raft_wal_op.has_room). */
static const uint8_t *payload_copy(struct wal_queue *q, const struct coord_buf *payload)
{
    uint64_t bytes = RAFT_WAL_ROOM + (((uint64_t)payload->len + 7) & ~UINT64_C(7));
    if (q->last == NULL || q->last->used + bytes > WAL_CHUNK_BYTES - sizeof(struct wal_chunk)) {
        chunk_add(q);
    }
    uint8_t *to = q->last->bytes + q->last->used + RAFT_WAL_ROOM;
    memcpy(to, payload->data, payload->len);
    q->last->used += bytes;
    return to;
}

static void chunks_clear(struct wal_queue *q, uint32_t keep)
{
    while (q->first != NULL) {
        struct wal_chunk *c = q->first;
        q->first = c->next;
        c->next = q->spare;
        q->spare = c;
        q->spare_count++;
    }
    q->last = NULL;
    while (q->spare_count > keep) {
        struct wal_chunk *c = q->spare;
        q->spare = c->next;
        q->spare_count--;
        free(c);
    }
}

/* --- records ----------------------------------------------------------------------------------- */

static void entries_put(struct wal_queue *q, const struct raft_persist *p,
                        const struct raft_entry *metas, struct coord_buf *const *payloads)
{
    for (uint32_t i = 0; i < p->count; i++) {
        struct coord_buf *payload = payloads[i];
        uint32_t bytes = payload == NULL ? 0 : payload->len;
        bool copied = bytes > 0 && bytes <= WAL_COPY_BYTES;
        const uint8_t *data = payload == NULL ? NULL : payload->data;
        assert(bytes == metas[i].bytes);
        q->ops[q->count] = (struct raft_wal_op){.kind = RAFT_WAL_ENTRY,
                                                .term = metas[i].term,
                                                .index = p->first + i,
                                                .type = metas[i].type,
                                                .bytes = bytes,
                                                .data = copied ? payload_copy(q, payload) : data,
                                                .has_room = copied};
        q->notes[q->count] = (struct wal_note){.payload = copied ? NULL : coord_buf_ref(payload)};
        q->count++;
    }
}

void wal_queue_put(struct wal_queue *q, const struct raft_persist *p,
                   const struct raft_entry *metas, struct coord_buf *const *payloads,
                   const uint64_t digest[2])
{
    queue_reserve(q, p->kind == RAFT_PERSIST_ENTRIES ? p->count : 1);
    switch (p->kind) {
    case RAFT_PERSIST_ENTRIES:
        assert(p->count > 0);
        entries_put(q, p, metas, payloads);
        break;
    case RAFT_PERSIST_HARDSTATE:
        q->ops[q->count] = (struct raft_wal_op){
            .kind = RAFT_WAL_HARDSTATE, .term = p->term, .vote = p->vote, .index = p->commit};
        q->notes[q->count++] = (struct wal_note){.payload = NULL};
        break;
    case RAFT_PERSIST_SNAPMARK:
        q->ops[q->count] =
            (struct raft_wal_op){.kind = RAFT_WAL_SNAPMARK, .term = p->term, .index = p->first};
        memcpy(q->ops[q->count].digest, digest, sizeof(q->ops[q->count].digest));
        q->notes[q->count++] = (struct wal_note){.compact = p->compact};
        break;
    }
    q->notes[q->count - 1].io_seq = p->io_seq;
}

void wal_queue_move(struct wal_queue *to, struct wal_queue *from)
{
    if (from->count == 0) {
        return;
    }
    if (to->count == 0) {
        struct wal_queue swap = *to;
        *to = *from;
        *from = swap;
        return;
    }
    queue_reserve(to, from->count);
    memcpy(to->ops + to->count, from->ops, from->count * sizeof(*to->ops));
    memcpy(to->notes + to->count, from->notes, from->count * sizeof(*to->notes));
    to->count += from->count;
    from->count = 0;
    if (from->first != NULL) {
        if (to->last != NULL) {
            to->last->next = from->first;
        } else {
            to->first = from->first;
        }
        to->last = from->last;
        from->first = from->last = NULL;
    }
}

void wal_queue_clear(struct wal_queue *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        coord_buf_unref(q->notes[i].payload);
    }
    q->count = 0;
    chunks_clear(q, WAL_CHUNKS_KEPT);
}

void wal_queue_finish(struct wal_queue *q)
{
    wal_queue_clear(q);
    chunks_clear(q, 0);
    free(q->ops);
    free(q->notes);
    *q = (struct wal_queue){.ops = NULL};
}
