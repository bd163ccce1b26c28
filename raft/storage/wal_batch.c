/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_batch.c: writing: operations are packed into batches, a batch is one write.
 *
 * A batch is assembled as a list of pieces: for each record a slot of 64 bytes (the padding of the
 * record before, the header, a small body) and the payload where the host has it; or, where the host has
 * left room around the payload, the record in its place, one piece together with those beside it. Payloads
 * are read once, for the checksum, and never copied; nothing is allocated.
 *
 * Where a segment has no room for the next record, an END record joins the batch that fills it, the
 * segment is synced, and the next one begins with its header and first batch in one write.
 *
 * Invariants
 *   1. Before a batch goes into a segment, everything in the segments before is on disk.
 *   2. A BATCH record names as durable only what a sync has returned for.
 *   3. SEGMENT_END_BYTES stay free, so a segment can always be ended.
 *   4. After a failed write or sync nothing is written any more (w->failed).
 *
 * Thread: the WAL's.
 */
#include "raft/storage/wal_impl.h"
#include "raft/storage/bytes.h"

#include <string.h>

_Static_assert(RAFT_WAL_ROOM == RECORD_HEADER_BYTES, "a record's header fits into the room");

uint64_t raft__wal_capacity(uint64_t segment_bytes)
{
    MUST(segment_bytes >= SEGMENT_BYTES_MIN);
    return segment_bytes - SEGMENT_HEADER_BYTES - RECORD_BATCH_BYTES - SEGMENT_END_BYTES;
}

uint64_t raft__wal_batch_room(const struct raft_wal *w)
{
    if (!w->active) {
        return 0;
    }
    uint64_t bytes = raft__wal_last_segment(w)->bytes;
    uint64_t taken = w->pos + RECORD_BATCH_BYTES + SEGMENT_END_BYTES;
    return taken >= bytes ? 0 : bytes - taken;
}

static uint32_t op_body_bytes(const struct raft_wal_op *op)
{
    switch (op->kind) {
    case RAFT_WAL_HARDSTATE:
        return RECORD_HARDSTATE_BODY;
    case RAFT_WAL_ENTRY:
        return op->bytes;
    case RAFT_WAL_SNAPMARK:
        return RECORD_SNAPMARK_BODY;
    }
    return 0;
}

struct wal_pack raft__wal_pack(const struct raft_wal_op *ops, uint32_t count, uint64_t room)
{
    struct wal_pack pack = {0};
    while (pack.count < count) {
        uint64_t bytes = raft__record_bytes(op_body_bytes(&ops[pack.count]));
        if (pack.bytes + bytes > room) {
            pack.full = 1;
            break;
        }
        if (pack.count > 0 &&
            (pack.bytes + bytes > WAL_BATCH_BYTES_MAX || pack.count == WAL_BATCH_RECORDS_MAX)) {
            break;
        }
        pack.bytes += (uint32_t)bytes;
        pack.count++;
    }
    return pack;
}

/* What an operation means for the log in memory. Done before the write: should that fail, nothing is
 * ever answered from memory again. Return: flags of its record. */
static uint8_t take_over(struct raft_wal *w, const struct raft_wal_op *op, uint64_t offset)
{
    switch (op->kind) {
    case RAFT_WAL_HARDSTATE:
        w->term = op->term;
        w->vote = op->vote;
        w->commit = op->index;
        return raft__wal_flags(w);
    case RAFT_WAL_ENTRY: {
        struct wal_place place = {.term = op->term,
                                  .segment = w->segments_base + w->segments_count - 1,
                                  .offset = (uint32_t)offset,
                                  .bytes = op->bytes,
                                  .type = op->type};
        raft__wal_log_put(&w->log, op->index, &place);
        return op->type;
    }
    case RAFT_WAL_SNAPMARK:
        if (op->index > w->snapshot.index) {
            w->snapshot =
                (struct wal_snapmark){op->index, op->term, {op->digest[0], op->digest[1]}};
        }
        if (w->emptied.index != 0) { /* it is this one; the log in memory is as it should be */
            MUST(w->emptied.index == op->index);
            return SNAPMARK_EMPTIED;
        }
        return raft__wal_log_snapmark(&w->log, op->index, op->term) ? SNAPMARK_EMPTIED : 0;
    }
    return 0;
}

/* The record for an operation, with a small body in the slot. */
static struct record op_record(const struct raft_wal_op *op, uint8_t flags, struct wal_slot *slot)
{
    struct record r = {
        .index = op->index, .term = op->term, .len = op_body_bytes(op), .flags = flags};
    r.body = slot->body;
    switch (op->kind) {
    case RAFT_WAL_HARDSTATE:
        r.type = RECORD_HARDSTATE;
        put_u64(slot->body, op->vote);
        break;
    case RAFT_WAL_ENTRY:
        r.type = RECORD_ENTRY;
        r.body = op->data;
        break;
    case RAFT_WAL_SNAPMARK:
        r.type = RECORD_SNAPMARK;
        put_u64(slot->body, op->digest[0]);
        put_u64(slot->body + 8, op->digest[1]);
        break;
    }
    return r;
}

static struct record tail_record(const struct raft_wal *w, enum wal_tail tail,
                                 struct wal_slot *slot)
{
    struct record r = {.type = (uint8_t)tail, .body = slot->body};
    if (tail == WAL_TAIL_SEAL) {
        r.index = w->vote;
        r.term = w->term;
    }
    if (tail == WAL_TAIL_END) {
        MUST(w->ready_count > 0);
        r.len = RECORD_END_BODY;
        put_u64(slot->body, w->ready[0].seq);
        put_u64(slot->body + 8, w->ready[0].bytes);
    }
    return r;
}

static const uint8_t zeros[8];

/* A batch being assembled. */
struct assembly {
    int iov_count;
    uint32_t pad; /* of the record before */
    uint32_t chain;
};

static void assemble(struct raft_wal *w, struct assembly *a, struct wal_slot *slot,
                     struct record *r)
{
    uint64_t salt = raft__wal_last_segment(w)->salt;
    a->chain = raft__record_encode(slot->header, r, salt, a->chain);
    struct iovec *v = &w->iov[a->iov_count++];
    v->iov_base = (uint8_t *)slot + sizeof slot->pad - a->pad;
    v->iov_len = a->pad + RECORD_HEADER_BYTES;
    if (r->body == slot->body) {
        v->iov_len += r->len;
    } else if (r->len > 0) {
        v = &w->iov[a->iov_count++];
        v->iov_base = (void *)(uintptr_t)r->body;
        v->iov_len = r->len;
    }
    a->pad = (uint32_t)(raft__record_bytes(r->len) - RECORD_HEADER_BYTES - r->len);
}

/* The same for a record that has room around its body. */
static void assemble_in_place(struct raft_wal *w, struct assembly *a, struct record *r)
{
    uint64_t salt = raft__wal_last_segment(w)->salt;
    uint8_t *header = (uint8_t *)(uintptr_t)r->body - RECORD_HEADER_BYTES;
    uint64_t bytes = raft__record_bytes(r->len);
    a->chain = raft__record_encode(header, r, salt, a->chain);
    memset(header + RECORD_HEADER_BYTES + r->len, 0, bytes - RECORD_HEADER_BYTES - r->len);
    if (a->pad > 0) {
        w->iov[a->iov_count++] = (struct iovec){(void *)(uintptr_t)zeros, a->pad};
        a->pad = 0;
    }
    struct iovec *last = &w->iov[a->iov_count - 1]; /* a batch begins with its own record */
    if ((uint8_t *)last->iov_base + last->iov_len == header) {
        last->iov_len += bytes;
    } else {
        w->iov[a->iov_count++] = (struct iovec){header, bytes};
    }
}

static void assemble_batch_record(struct raft_wal *w, struct assembly *a, uint32_t records,
                                  uint32_t bytes)
{
    const struct wal_segment *s = raft__wal_last_segment(w);
    struct record_batch b = {
        .records = records, .bytes = bytes, .salt = s->salt, .seq = s->seq, .nonce = w->nonce};
    struct record r = {.type = RECORD_BATCH,
                       .len = RECORD_BATCH_BODY,
                       .index = w->next_batch,
                       .term = w->durable_batch,
                       .body = w->batch_record + RECORD_HEADER_BYTES};
    raft__record_batch_encode(w->batch_record + RECORD_HEADER_BYTES, &b);
    a->chain = raft__record_encode(w->batch_record, &r, s->salt, w->chain);
    if (w->header_pending) {
        w->iov[a->iov_count++] = (struct iovec){w->page, SEGMENT_HEADER_BYTES};
    }
    w->iov[a->iov_count++] = (struct iovec){w->batch_record, RECORD_BATCH_BYTES};
}

int raft__wal_emit(struct raft_wal *w, const struct raft_wal_op *ops, const struct wal_pack *pack,
                   enum wal_tail tail)
{
    MUST(w->active);
    MUST(!w->failed);
    MUST(pack->count <= WAL_BATCH_RECORDS_MAX);
    struct wal_segment *s = raft__wal_last_segment(w);
    struct assembly a = {.chain = w->chain};
    uint32_t bytes = pack->bytes;
    if (tail != WAL_TAIL_NONE) {
        bytes += RECORD_HEADER_BYTES + (tail == WAL_TAIL_END ? RECORD_END_BODY : 0);
    }
    MUST(w->pos + RECORD_BATCH_BYTES + bytes <= s->bytes);
    assemble_batch_record(w, &a, pack->count + (tail != WAL_TAIL_NONE), bytes);
    uint64_t offset = w->pos + RECORD_BATCH_BYTES;
    for (uint32_t i = 0; i < pack->count; i++) {
        struct record r = op_record(&ops[i], take_over(w, &ops[i], offset), &w->slots[i]);
        if (ops[i].kind == RAFT_WAL_ENTRY && ops[i].has_room && r.len > 0) {
            assemble_in_place(w, &a, &r);
        } else {
            assemble(w, &a, &w->slots[i], &r);
        }
        offset += raft__record_bytes(r.len);
    }
    if (tail != WAL_TAIL_NONE) {
        struct record r = tail_record(w, tail, &w->slots[pack->count]);
        assemble(w, &a, &w->slots[pack->count], &r);
    }
    if (a.pad > 0) {
        w->iov[a.iov_count++] = (struct iovec){(void *)(uintptr_t)zeros, a.pad};
    }
    uint64_t at = w->header_pending ? 0 : w->pos;
    int rc = w->fs->pwritev(w->fs->ctx, s->fd, w->iov, a.iov_count, at);
    if (rc != 0 && !RAFT_BUG(12)) {
        w->failed = 1;
        return rc;
    }
    w->pos += RECORD_BATCH_BYTES + bytes;
    w->chain = a.chain;
    s->last_batch = w->next_batch++;
    s->last_chain = a.chain;
    w->header_pending = 0;
    w->dirty = 1;
    w->sealed = tail == WAL_TAIL_SEAL;
    return 0;
}

int raft__wal_sync(struct raft_wal *w)
{
    MUST(w->active);
    if (!w->dirty) {
        return 0;
    }
    int rc = w->fs->fdatasync(w->fs->ctx, raft__wal_last_segment(w)->fd);
    if (rc != 0 && RAFT_BUG(51)) {
        rc = w->fs->fdatasync(w->fs->ctx, raft__wal_last_segment(w)->fd);
    }
    if (rc != 0 && !RAFT_BUG(12)) {
        w->failed = 1; /* what the disk has now is unknown, a second sync would not tell */
        return rc;
    }
    w->dirty = 0;
    w->durable_batch = w->next_batch - 1;
    return 0;
}

/* The segment has its END: sync it and go on to the next. */
static int roll_over(struct raft_wal *w)
{
    int rc = raft__wal_sync(w);
    if (rc != 0) {
        return rc;
    }
    rc = raft__wal_begin(w);
    if (rc != 0) {
        w->failed = 1;
    }
    return rc;
}

int raft__wal_roll(struct raft_wal *w)
{
    const struct wal_pack nothing = {0};
    int rc = raft__wal_emit(w, NULL, &nothing, WAL_TAIL_END);
    return rc != 0 ? rc : roll_over(w);
}

/* Write the SNAPMARK that recovery found to be due. */
static int put_emptied(struct raft_wal *w)
{
    struct raft_wal_op op = {.kind = RAFT_WAL_SNAPMARK,
                             .index = w->emptied.index,
                             .term = w->emptied.term,
                             .digest = {w->emptied.digest[0], w->emptied.digest[1]}};
    struct wal_pack pack = raft__wal_pack(&op, 1, raft__wal_batch_room(w));
    MUST(pack.count == 1);
    int rc = raft__wal_emit(w, &op, &pack, WAL_TAIL_NONE);
    w->emptied.index = 0;
    return rc;
}

int raft__wal_put(struct raft_wal *w, const struct raft_wal_op *ops, uint32_t count)
{
    uint32_t i = 0;
    if (!w->active) {
        int rc = raft__wal_begin(w);
        if (rc != 0) {
            return rc; /* nothing is written yet: not final */
        }
    }
    if (w->emptied.index != 0) {
        int rc = put_emptied(w);
        if (rc != 0) {
            return rc;
        }
    }
    while (i < count) {
        struct wal_pack pack = raft__wal_pack(ops + i, count - i, raft__wal_batch_room(w));
        MUST(pack.count > 0 || pack.full);
        int rc = raft__wal_emit(w, ops + i, &pack, pack.full ? WAL_TAIL_END : WAL_TAIL_NONE);
        if (rc == 0 && pack.full) {
            rc = roll_over(w);
        }
        if (rc != 0) {
            return rc;
        }
        i += pack.count;
    }
    return RAFT_BUG(50) ? 0 : raft__wal_sync(w);
}
