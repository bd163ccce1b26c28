/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.c: the format of a WAL segment, wal/%016x.seg.
 *
 * All numbers are little-endian. A segment is a header page and then records; it has its full length
 * from the beginning, and what lies behind the last record is zeros or the rest of an earlier life of
 * the file.
 *
 * Header page, 4096 bytes: the header below at 0 and once more at 2048, zeros elsewhere.
 *
 *     at   bytes
 *      0   4   "CWAL"
 *      4   4   version
 *      8   4   crc32c over bytes 0..7 and 12..N-1
 *     12   4   N: bytes of the header (208 in version 1; a later version may append)
 *     16   8   cluster id
 *     24   4   node id
 *     28   4   flags (1: acknowledged data was found damaged and is not replaced yet; 2: a term and
 *              vote later than those known may be among it)
 *     32   8   sequence number, as in the file's name
 *     40   8   bytes of the file
 *     48   8   salt: random, goes into every record's checksum; tells the bytes of this life of the
 *              file from those of an earlier one
 *     56   8   index of the next entry when the segment began, or of the first that was copied into it
 *     64   8   number of the first batch
 *     72   8   number of the last batch known to be on disk
 *     80   8   sequence number of the segment before; 0: none
 *     88   8   the last batch of it that counts; what follows it there is void
 *     96   4   the chain there
 *    100   4   vote      \
 *    104   8   term       } the hard state when the segment began, so that older
 *    112   8   commit    /  segments can go
 *    120   8   index of the last SNAPMARK; 0: none
 *    128   8   its term
 *    136  16   its digest
 *    152   8   with flag 1: segment with the damage
 *    160   8   with flag 1: offset in it
 *    168   8   with flag 1: the highest index known to have been there
 *    176  32   zeros
 *
 * Records follow at 4096, each aligned to 8 bytes and padded with zeros.
 *
 *      0   4   crc32c over: the salt, bytes 8..31, the body
 *      4   4   chain: crc32c over the previous record's chain and this crc. It starts, in a segment,
 *              from crc32c over the chain in the header and the crc32c of the salt
 *      8   4   bytes of the body
 *     12   1   type
 *     13   1   flags
 *     14   2   version of this record header (1)
 *     16   8   index
 *     24   8   term
 *     32       body
 *
 *     type        index         term            flags        body
 *     1 BATCH     its number    last batch      0            u32 records, u32 bytes that follow,
 *                               known on disk                u64 salt, u64 segment, u64 nonce of
 *                                                            the process that wrote it
 *     2 HARDSTATE commit        term            as the       u32 vote, u32 zero
 *                                               header's
 *     3 ENTRY     its own       its own         entry type   payload
 *     4 SNAPMARK  of snapshot   of snapshot     1: the log   16 bytes digest
 *                                               is empty now
 *     5 SEAL      vote          term            0            none: attests the batch before, and repeats
 *                                                            the hard state
 *     6 END       0             0               0            u64 next segment, u64 its bytes
 *
 * A batch is a BATCH record and those it counts; it is valid as a whole or not at all.
 * What a sequence of records means is told in wal_recover.c.
 *
 * Thread: any.
 */
#include "raft/storage/segment.h"
#include "raft/storage/bytes.h"
#include "raft/storage/crc32c.h"
#include "raft/storage/must.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEADER_BYTES   208u
#define RECORD_VERSION 1u

_Static_assert(HEADER_BYTES <= SEGMENT_COPY_OFFSET, "the copies do not overlap");
_Static_assert(HEADER_BYTES <= 512, "a header never crosses a sector");
_Static_assert(SEGMENT_HEADER_BYTES - SEGMENT_COPY_OFFSET >= SEGMENT_COPY_OFFSET, "copy fits");
_Static_assert(SEGMENT_HEADER_BYTES + SEGMENT_END_BYTES < SEGMENT_BYTES_MIN, "room for records");

static uint32_t header_crc(const uint8_t *p, uint32_t bytes)
{
    uint32_t crc = raft__crc32c(0, p, 8);
    return raft__crc32c(crc, p + 12, bytes - 12);
}

/* The chain that the first record continues. */
static uint32_t first_chain(const struct segment_header *h)
{
    uint8_t salt[8];
    put_u64(salt, h->salt);
    return raft__record_chain(h->prev_chain, raft__crc32c(0, salt, sizeof salt));
}

uint32_t raft__segment_header_encode(uint8_t *page, const struct segment_header *h)
{
    MUST(h->seq != 0);
    MUST(h->bytes >= SEGMENT_BYTES_MIN);
    MUST(h->prev_seq < h->seq);
    memset(page, 0, SEGMENT_HEADER_BYTES);
    memcpy(page, "CWAL", 4);
    put_u32(page + 4, SEGMENT_VERSION);
    put_u32(page + 12, HEADER_BYTES);
    put_u64(page + 16, h->cluster_id);
    put_u32(page + 24, h->node_id);
    put_u32(page + 28, h->flags);
    put_u64(page + 32, h->seq);
    put_u64(page + 40, h->bytes);
    put_u64(page + 48, h->salt);
    put_u64(page + 56, h->first_index);
    put_u64(page + 64, h->first_batch);
    put_u64(page + 72, h->durable_batch);
    put_u64(page + 80, h->prev_seq);
    put_u64(page + 88, h->prev_batch);
    put_u32(page + 96, h->prev_chain);
    put_u32(page + 100, h->vote);
    put_u64(page + 104, h->term);
    put_u64(page + 112, h->commit);
    put_u64(page + 120, h->snapshot_index);
    put_u64(page + 128, h->snapshot_term);
    put_u64(page + 136, h->snapshot_digest[0]);
    put_u64(page + 144, h->snapshot_digest[1]);
    put_u64(page + 152, h->damage_seq);
    put_u64(page + 160, h->damage_offset);
    put_u64(page + 168, h->damage_index);
    uint32_t crc = header_crc(page, HEADER_BYTES);
    put_u32(page + 8, crc);
    memcpy(page + SEGMENT_COPY_OFFSET, page, HEADER_BYTES);
    return first_chain(h);
}

/* A well-formed header that says what no writer writes is damage all the same. */
static int header_possible(const struct segment_header *h)
{
    const uint64_t numbers[] = {h->seq,           h->first_index, h->first_batch, h->durable_batch,
                                h->prev_batch,    h->term,        h->commit,      h->snapshot_index,
                                h->snapshot_term, h->damage_index};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i] > SEGMENT_NUMBER_MAX) {
            return 0;
        }
    }
    return h->seq != 0 && h->prev_seq < h->seq && h->bytes >= SEGMENT_BYTES_MIN &&
           h->bytes <= SEGMENT_BYTES_MAX && h->first_batch != 0 && h->first_index != 0;
}

static int header_decode_copy(const uint8_t *p, struct segment_header *h, uint32_t *ret_chain)
{
    uint32_t bytes = get_u32(p + 12);
    if (memcmp(p, "CWAL", 4) != 0 || bytes < 16 || bytes > SEGMENT_COPY_OFFSET) {
        return RAFT_STORE_ECORRUPT;
    }
    uint32_t crc = header_crc(p, bytes);
    if (get_u32(p + 8) != crc) {
        return RAFT_STORE_ECORRUPT;
    }
    if (get_u32(p + 4) > SEGMENT_VERSION) {
        return RAFT_STORE_EVERSION;
    }
    if (bytes < HEADER_BYTES) {
        return RAFT_STORE_ECORRUPT;
    }
    h->cluster_id = get_u64(p + 16);
    h->node_id = get_u32(p + 24);
    h->flags = get_u32(p + 28);
    h->seq = get_u64(p + 32);
    h->bytes = get_u64(p + 40);
    h->salt = get_u64(p + 48);
    h->first_index = get_u64(p + 56);
    h->first_batch = get_u64(p + 64);
    h->durable_batch = get_u64(p + 72);
    h->prev_seq = get_u64(p + 80);
    h->prev_batch = get_u64(p + 88);
    h->prev_chain = get_u32(p + 96);
    h->vote = get_u32(p + 100);
    h->term = get_u64(p + 104);
    h->commit = get_u64(p + 112);
    h->snapshot_index = get_u64(p + 120);
    h->snapshot_term = get_u64(p + 128);
    h->snapshot_digest[0] = get_u64(p + 136);
    h->snapshot_digest[1] = get_u64(p + 144);
    h->damage_seq = get_u64(p + 152);
    h->damage_offset = get_u64(p + 160);
    h->damage_index = get_u64(p + 168);
    *ret_chain = first_chain(h);
    return header_possible(h) ? 0 : RAFT_STORE_ECORRUPT;
}

int raft__segment_header_decode(const uint8_t *page, struct segment_header *ret_h,
                                uint32_t *ret_chain)
{
    struct segment_header h;
    uint32_t chain;
    int rc = header_decode_copy(page, &h, &chain);
    if (rc == RAFT_STORE_ECORRUPT) {
        rc = header_decode_copy(page + SEGMENT_COPY_OFFSET, &h, &chain);
    }
    if (rc == 0) {
        *ret_h = h;
        *ret_chain = chain;
    }
    return rc;
}

uint32_t raft__record_chain(uint32_t chain, uint32_t crc)
{
    uint8_t both[8];
    put_u32(both, chain);
    put_u32(both + 4, crc);
    return raft__crc32c(0, both, sizeof both);
}

static uint32_t record_crc(const uint8_t *header, const uint8_t *body, uint32_t len, uint64_t salt)
{
    uint8_t salt_bytes[8];
    put_u64(salt_bytes, salt);
    uint32_t crc = raft__crc32c(0, salt_bytes, sizeof salt_bytes);
    crc = raft__crc32c(crc, header + 8, RECORD_HEADER_BYTES - 8);
    return len == 0 ? crc : raft__crc32c(crc, body, len);
}

uint32_t raft__record_encode(uint8_t *out, struct record *r, uint64_t salt, uint32_t chain)
{
    MUST(r->type >= RECORD_BATCH);
    MUST(r->type <= RECORD_END);
    MUST(r->len == 0 || r->body != NULL);
    put_u32(out + 8, r->len);
    out[12] = r->type;
    out[13] = r->flags;
    put_u16(out + 14, RECORD_VERSION);
    put_u64(out + 16, r->index);
    put_u64(out + 24, r->term);
    r->crc = record_crc(out, r->body, r->len, salt);
    r->chain = raft__record_chain(chain, r->crc);
    put_u32(out, r->crc);
    put_u32(out + 4, r->chain);
    return r->chain;
}

int raft__record_plausible(const uint8_t *p, uint64_t room)
{
    if (room < RECORD_HEADER_BYTES || p[12] < RECORD_BATCH || p[12] > RECORD_END ||
        get_u16(p + 14) != RECORD_VERSION) {
        return 0;
    }
    uint32_t len = get_u32(p + 8);
    switch ((enum record_type)p[12]) {
    case RECORD_BATCH:
        return len == RECORD_BATCH_BODY && room >= RECORD_BATCH_BYTES;
    case RECORD_HARDSTATE:
        return len == RECORD_HARDSTATE_BODY && room >= raft__record_bytes(len);
    case RECORD_ENTRY:
        return len <= SEGMENT_BYTES_MAX && room >= raft__record_bytes(len);
    case RECORD_SNAPMARK:
        return len == RECORD_SNAPMARK_BODY && room >= raft__record_bytes(len);
    case RECORD_SEAL:
        return len == 0;
    case RECORD_END:
        return len == RECORD_END_BODY && room >= raft__record_bytes(len);
    }
    return 0;
}

uint64_t raft__record_decode(const uint8_t *p, uint64_t room, uint64_t salt, struct record *ret_r)
{
    if (!raft__record_plausible(p, room)) {
        return 0;
    }
    return raft__record_verify(p, p + RECORD_HEADER_BYTES, salt, ret_r);
}

uint64_t raft__record_verify(const uint8_t *p, const uint8_t *body, uint64_t salt,
                             struct record *ret_r)
{
    struct record r = {.crc = get_u32(p),
                       .chain = get_u32(p + 4),
                       .len = get_u32(p + 8),
                       .type = p[12],
                       .flags = p[13],
                       .index = get_u64(p + 16),
                       .term = get_u64(p + 24),
                       .body = body};
    if (r.index > SEGMENT_NUMBER_MAX || r.term > SEGMENT_NUMBER_MAX ||
        record_crc(p, r.body, r.len, salt) != r.crc) {
        return 0;
    }
    *ret_r = r;
    return raft__record_bytes(r.len);
}

void raft__record_batch_encode(uint8_t body[RECORD_BATCH_BODY], const struct record_batch *b)
{
    put_u32(body, b->records);
    put_u32(body + 4, b->bytes);
    put_u64(body + 8, b->salt);
    put_u64(body + 16, b->seq);
    put_u64(body + 24, b->nonce);
}

void raft__record_batch_decode(const uint8_t *body, struct record_batch *ret_b)
{
    ret_b->records = get_u32(body);
    ret_b->bytes = get_u32(body + 4);
    ret_b->salt = get_u64(body + 8);
    ret_b->seq = get_u64(body + 16);
    ret_b->nonce = get_u64(body + 24);
}

void raft__segment_path(char path[SEGMENT_PATH_BYTES], uint64_t seq)
{
    (void)snprintf(path, SEGMENT_PATH_BYTES, "wal/%016" PRIx64 ".seg", seq); /* always fits */
}

uint64_t raft__segment_parse(const char *name)
{
    uint64_t seq = 0;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        if (c >= '0' && c <= '9') {
            seq = seq << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            seq = seq << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return 0;
        }
    }
    return strcmp(name + 16, ".seg") == 0 && seq <= SEGMENT_NUMBER_MAX ? seq : 0;
}
