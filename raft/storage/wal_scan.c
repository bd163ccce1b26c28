/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_scan.c: reading the records of one segment that is in memory.
 *
 * In order (raft__wal_scan_batch): a batch counts if its number is the next, its own checksums and
 * the chain are right, and it is complete. Behind the last such batch (raft__wal_scan_debris): every
 * 8 bytes could begin a record that survived; what survived tells whether the damage is that of a
 * write which was never acknowledged.
 *
 * Pure. Bounds: scanning in order is linear; searching debris computes checksums over at most
 * DEBRIS_WORK times the bytes searched, so contents made to look like long records cannot stall it.
 * Thread: any.
 */
#include "raft/storage/wal_impl.h"
#include "raft/storage/bytes.h"

#include <string.h>

#define DEBRIS_WORK 8u

static void note_end(struct wal_scan *s, const struct record *r)
{
    s->ended = r->type == RECORD_END;
    if (s->ended) {
        s->end_seq = get_u64(r->body);
        s->end_bytes = get_u64(r->body + 8);
    }
}

/* Is the batch at s->pos complete? Return: the chain behind it through *ret_chain. */
static int batch_is_valid(const struct wal_scan *s, struct record *ret_head,
                          struct record_batch *ret_batch, uint32_t *ret_chain)
{
    struct record r;
    struct record_batch b;
    uint64_t pos = s->pos;
    uint64_t n = raft__record_decode(s->data + pos, s->bytes - pos, s->salt, &r);
    if (n == 0 || r.type != RECORD_BATCH || r.index != s->batch + 1 || r.term >= r.index) {
        return 0;
    }
    raft__record_batch_decode(r.body, &b);
    if (b.seq != s->seq || b.salt != s->salt || b.bytes > s->bytes - pos - n || b.records == 0) {
        return 0;
    }
    *ret_head = r;
    *ret_batch = b;
    uint32_t chain = raft__record_chain(s->chain, r.crc);
    uint64_t end = pos + n + b.bytes;
    for (uint32_t i = 0; r.chain == chain || RAFT_BUG(47); i++) {
        pos += n;
        if (i == b.records) {
            break;
        }
        n = raft__record_decode(s->data + pos, end - pos, s->salt, &r);
        if (n == 0 || r.type == RECORD_BATCH) {
            return 0;
        }
        chain = raft__record_chain(chain, r.crc);
    }
    *ret_chain = chain;
    return (r.chain == chain || RAFT_BUG(47)) && pos == end;
}

int raft__wal_scan_batch(struct wal_scan *s, uint64_t limit, wal_visit visit, void *arg)
{
    struct record head;
    struct record_batch b;
    uint32_t chain;
    MUST(s->pos <= s->bytes);
    if (s->batch >= limit || !batch_is_valid(s, &head, &b, &chain)) {
        return 0;
    }
    uint64_t pos = s->pos + RECORD_BATCH_BYTES;
    for (uint32_t i = 0; i < b.records; i++) {
        struct record r;
        uint64_t n = raft__record_decode(s->data + pos, s->bytes - pos, s->salt, &r);
        MUST(n > 0);
        if (visit != NULL) {
            visit(arg, &r, pos);
        }
        note_end(s, &r);
        pos += n;
    }
    s->pos = pos;
    s->chain = chain;
    s->batch = head.index;
    s->durable = head.term > s->durable ? head.term : s->durable;
    return 1;
}

/* Does the next batch seem to begin at s->pos, though it is not valid? */
static int batch_begun(const struct wal_scan *s)
{
    const uint8_t *p = s->data + s->pos;
    if (s->bytes - s->pos < RECORD_BATCH_BYTES || !raft__record_plausible(p, s->bytes - s->pos)) {
        return 0;
    }
    return p[12] == RECORD_BATCH && get_u64(p + 16) == s->batch + 1 &&
           get_u64(p + RECORD_HEADER_BYTES + 8) == s->salt;
}

static void debris_note(const struct wal_scan *s, const struct record *r, struct wal_debris *d)
{
    if (r->type == RECORD_BATCH) {
        struct record_batch b;
        raft__record_batch_decode(r->body, &b);
        if (b.seq != s->seq || b.salt != s->salt || r->term >= r->index) {
            return;
        }
        d->batch = r->index > d->batch ? r->index : d->batch;
        d->durable = r->term > d->durable ? r->term : d->durable;
    } else if (r->type == RECORD_ENTRY) {
        d->entries++;
        if (r->term > d->term || (r->term == d->term && r->index > d->index)) {
            d->term = r->term;
            d->index = r->index;
        }
    }
    d->records++;
}

void raft__wal_scan_debris(const struct wal_scan *s, wal_visit visit, void *arg,
                           struct wal_debris *ret_debris)
{
    struct wal_debris d = {.begun = batch_begun(s)};
    uint64_t work = (s->bytes - s->pos) * DEBRIS_WORK;
    uint64_t pos = s->pos;
    while (s->bytes - pos >= RECORD_HEADER_BYTES) {
        const uint8_t *p = s->data + pos;
        struct record r;
        uint64_t n = 0;
        if (raft__record_plausible(p, s->bytes - pos)) {
            uint64_t cost = raft__record_bytes(get_u32(p + 8));
            if (cost <= work) {
                work -= cost;
                n = raft__record_decode(p, s->bytes - pos, s->salt, &r);
            }
        }
        if (n > 0) {
            debris_note(s, &r, &d);
            if (visit != NULL) {
                visit(arg, &r, pos);
            }
        }
        pos += n > 0 ? n : 8;
    }
    *ret_debris = d;
}

int raft__wal_scan_headless(const uint8_t *data, uint64_t bytes, uint64_t seq, int any,
                            uint64_t *ret_salt)
{
    uint64_t lowest = UINT64_MAX;
    for (uint64_t pos = SEGMENT_HEADER_BYTES; pos + RECORD_BATCH_BYTES <= bytes; pos += 8) {
        const uint8_t *p = data + pos;
        struct record r;
        if (p[12] != RECORD_BATCH || !raft__record_plausible(p, bytes - pos)) {
            continue;
        }
        uint64_t salt = get_u64(p + RECORD_HEADER_BYTES + 8);
        if (get_u64(p + RECORD_HEADER_BYTES + 16) != seq ||
            raft__record_decode(p, bytes - pos, salt, &r) == 0 || r.term >= r.index) {
            continue;
        }
        /* The first batch of a segment stands at its beginning: another one has a predecessor here. */
        uint64_t first = pos == SEGMENT_HEADER_BYTES || r.index == 0 ? r.index : r.index - 1;
        lowest = first < lowest ? first : lowest;
        if (any || r.term >= lowest) {
            *ret_salt = salt;
            return 1;
        }
    }
    return 0;
}
