/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_format.c: the format of a snapshot file, snap/<term>-<index>.snap (%016x each).
 *
 * All numbers are little-endian. The file is a function of the state and of (cluster, term, index,
 * configuration): no clock, no member id, nothing random; so members at one index have equal files
 * and a transfer may go on from another member.
 *
 *     header, 4096 bytes
 *       0   4  "CSNP"
 *       4   4  version
 *       8   4  crc32c over bytes 0..7 and 12..N-1
 *      12   4  N: bytes of the header that are used (176 in version 1)
 *      16   8  cluster id
 *      24   8  index: the last entry that is in the state
 *      32   8  its term
 *      40   8  index of the entry with the configuration
 *      48   4  members of the configuration, at most 15
 *      52   4  bytes of a full chunk
 *      56 120  15 times: u32 id, u32 roles; unused ones are zero
 *     176      zeros
 *     chunks, each aligned to 8 bytes and padded with zeros
 *       0   4  crc32c over bytes 4..15 and the payload
 *       4   4  number, from 1
 *       8   4  bytes of the payload: 1 .. 262144
 *      12   1  type, the host's
 *      13   3  zeros
 *      16      payload
 *     table: for each chunk
 *       0   8  offset of the chunk in the file
 *       8   4  bytes of its payload
 *      12   4  its crc
 *     trailer, 64 bytes, the last of the file
 *       0   4  "CSNF"
 *       4   4  crc32c over bytes 8..63
 *       8   8  offset of the table
 *      16   4  number of chunks
 *      20   4  crc32c over the table
 *      24   8  bytes of the file
 *      32  16  digest: XXH3-128 over the header page and the crc of each chunk; low half first
 *      48  16  zeros
 *
 * A file is good only as a whole: raft__snap_verify reads every byte, padding included.
 *
 * Thread: any.
 */
#include "raft/storage/snapshot_format.h"
#include "raft/storage/bytes.h"
#include "raft/storage/crc32c.h"
#include "raft/storage/must.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES (56u + 8u * RAFT_NODES_MAX)

_Static_assert(HEADER_BYTES == 176, "the table above says so");
_Static_assert(SNAP_CHUNK_BYTES % 8 == 0, "full chunks need no padding");

static uint32_t header_crc(const uint8_t *p, uint32_t bytes)
{
    return raft__crc32c(raft__crc32c(0, p, 8), p + 12, bytes - 12);
}

void raft__snap_header_encode(uint8_t page[SNAP_HEADER_BYTES], const struct raft_snap_meta *meta)
{
    MUST(meta->config.count <= RAFT_NODES_MAX);
    memset(page, 0, SNAP_HEADER_BYTES);
    memcpy(page, "CSNP", 4);
    put_u32(page + 4, SNAP_VERSION);
    put_u32(page + 12, HEADER_BYTES);
    put_u64(page + 16, meta->cluster_id);
    put_u64(page + 24, meta->index);
    put_u64(page + 32, meta->term);
    put_u64(page + 40, meta->config_index);
    put_u32(page + 48, meta->config.count);
    put_u32(page + 52, SNAP_CHUNK_BYTES);
    for (uint32_t i = 0; i < meta->config.count; i++) {
        put_u32(page + 56 + 8 * i, meta->config.members[i].id);
        put_u32(page + 60 + 8 * i, meta->config.members[i].roles);
    }
    put_u32(page + 8, header_crc(page, HEADER_BYTES));
}

int raft__snap_header_decode(const uint8_t page[SNAP_HEADER_BYTES], struct raft_snap_meta *ret_meta)
{
    struct raft_snap_meta m = {0};
    uint32_t used = get_u32(page + 12);
    if (memcmp(page, "CSNP", 4) != 0 || used < 16 || used > SNAP_HEADER_BYTES ||
        get_u32(page + 8) != header_crc(page, used)) {
        return RAFT_STORE_ECORRUPT;
    }
    if (get_u32(page + 4) > SNAP_VERSION) {
        return RAFT_STORE_EVERSION;
    }
    m.cluster_id = get_u64(page + 16);
    m.index = get_u64(page + 24);
    m.term = get_u64(page + 32);
    m.config_index = get_u64(page + 40);
    m.config.count = get_u32(page + 48);
    if (used != HEADER_BYTES || m.config.count > RAFT_NODES_MAX) {
        return RAFT_STORE_ECORRUPT;
    }
    for (uint32_t i = 0; i < m.config.count; i++) {
        m.config.members[i].id = get_u32(page + 56 + 8 * i);
        m.config.members[i].roles = get_u32(page + 60 + 8 * i);
    }
    *ret_meta = m;
    return 0;
}

static uint32_t chunk_crc(const uint8_t *header, const void *payload, uint32_t bytes)
{
    return raft__crc32c(raft__crc32c(0, header + 4, SNAP_CHUNK_HEADER - 4), payload, bytes);
}

void raft__snap_chunk_encode(uint8_t out[SNAP_CHUNK_HEADER], struct snap_chunk *c,
                             const void *payload)
{
    MUST(c->bytes > 0);
    MUST(c->bytes <= SNAP_CHUNK_BYTES);
    memset(out, 0, SNAP_CHUNK_HEADER);
    put_u32(out + 4, c->seq);
    put_u32(out + 8, c->bytes);
    out[12] = c->type;
    c->crc = chunk_crc(out, payload, c->bytes);
    put_u32(out, c->crc);
}

int raft__snap_chunk_decode(const uint8_t in[SNAP_CHUNK_HEADER], struct snap_chunk *ret_c)
{
    struct snap_chunk c = {
        .crc = get_u32(in), .seq = get_u32(in + 4), .bytes = get_u32(in + 8), .type = in[12]};
    if (c.bytes == 0 || c.bytes > SNAP_CHUNK_BYTES) {
        return RAFT_STORE_ECORRUPT;
    }
    *ret_c = c;
    return 0;
}

int raft__snap_chunk_valid(const uint8_t in[SNAP_CHUNK_HEADER], const struct snap_chunk *c,
                           const uint8_t *payload)
{
    uint64_t padding = raft__snap_chunk_bytes(c->bytes) - SNAP_CHUNK_HEADER - c->bytes;
    for (uint64_t i = 0; i < padding; i++) {
        if (payload[c->bytes + i] != 0) {
            return 0;
        }
    }
    return chunk_crc(in, payload, c->bytes) == c->crc;
}

void raft__snap_table_encode(uint8_t out[SNAP_TABLE_ENTRY], uint64_t offset,
                             const struct snap_chunk *c)
{
    put_u64(out, offset);
    put_u32(out + 8, c->bytes);
    put_u32(out + 12, c->crc);
}

void raft__snap_trailer_encode(uint8_t out[SNAP_TRAILER_BYTES], const struct snap_trailer *t)
{
    memset(out, 0, SNAP_TRAILER_BYTES);
    memcpy(out, "CSNF", 4);
    put_u64(out + 8, t->table_offset);
    put_u32(out + 16, t->chunks);
    put_u32(out + 20, t->table_crc);
    put_u64(out + 24, t->bytes);
    put_u64(out + 32, t->digest[0]);
    put_u64(out + 40, t->digest[1]);
    put_u32(out + 4, raft__crc32c(0, out + 8, SNAP_TRAILER_BYTES - 8));
}

int raft__snap_trailer_decode(const uint8_t in[SNAP_TRAILER_BYTES], struct snap_trailer *ret_t)
{
    if (memcmp(in, "CSNF", 4) != 0 ||
        get_u32(in + 4) != raft__crc32c(0, in + 8, SNAP_TRAILER_BYTES - 8)) {
        return RAFT_STORE_ECORRUPT;
    }
    struct snap_trailer t = {.table_offset = get_u64(in + 8),
                             .chunks = get_u32(in + 16),
                             .table_crc = get_u32(in + 20),
                             .bytes = get_u64(in + 24),
                             .digest = {get_u64(in + 32), get_u64(in + 40)}};
    uint64_t table = (uint64_t)t.chunks * SNAP_TABLE_ENTRY;
    if (t.table_offset < SNAP_HEADER_BYTES || t.bytes < table + SNAP_TRAILER_BYTES ||
        t.table_offset != t.bytes - table - SNAP_TRAILER_BYTES) {
        return RAFT_STORE_ECORRUPT;
    }
    *ret_t = t;
    return 0;
}

void raft__snap_digest_chunk(XXH3_state_t *state, uint32_t crc)
{
    uint8_t bytes[4];
    put_u32(bytes, crc);
    (void)XXH3_128bits_update(state, bytes, sizeof bytes); /* fails only for a NULL input */
}

void raft__snap_digest_end(const XXH3_state_t *state, uint64_t ret_digest[2])
{
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    ret_digest[0] = hash.low64;
    ret_digest[1] = hash.high64;
}

/* ------------------------------------------------------------------------------------------- */
/* Names                                                                                         */

static const char *const endings[] = {"", ".snap", ".tmp", ".recv"};

void raft__snap_path(char path[SNAP_PATH_BYTES], enum snap_kind kind, raft_term term,
                     raft_index index)
{
    (void)snprintf(path, SNAP_PATH_BYTES, "snap/%016" PRIx64 "-%016" PRIx64 "%s", term, index,
                   endings[kind]); /* always fits */
}

/* 16 lower-case hexadecimal digits. Return: 0, or -1. */
static int parse_hex(const char *p, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        if (p[i] >= '0' && p[i] <= '9') {
            value = value << 4 | (uint64_t)(p[i] - '0');
        } else if (p[i] >= 'a' && p[i] <= 'f') {
            value = value << 4 | (uint64_t)(p[i] - 'a' + 10);
        } else {
            return -1;
        }
    }
    *ret_value = value;
    return 0;
}

int raft__snap_parse(const char *name, raft_term *ret_term, raft_index *ret_index)
{
    if (strlen(name) < 33 || parse_hex(name, ret_term) != 0 || name[16] != '-' ||
        parse_hex(name + 17, ret_index) != 0) {
        return 0;
    }
    for (int kind = SNAP_KIND_FILE; kind <= SNAP_KIND_RECEIVED; kind++) {
        if (strcmp(name + 33, endings[kind]) == 0) {
            return kind;
        }
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------- */
/* Whole files                                                                                   */

int raft__snap_read(const struct raft_fs *fs, int fd, void *buf, size_t len, uint64_t offset)
{
    int64_t n = fs->pread(fs->ctx, fd, buf, len, offset);
    if (n < 0) {
        return (int)n;
    }
    return (size_t)n == len ? 0 : RAFT_STORE_ECORRUPT;
}

int raft__snap_make_dir(const struct raft_fs *fs)
{
    int rc = fs->mkdir(fs->ctx, "snap");
    return rc == 0 ? fs->sync_dir(fs->ctx, ".") : rc;
}

static int peek(const struct raft_fs *fs, int fd, uint8_t *page, const struct raft_snap_meta *want,
                struct raft_snap_meta *ret_meta, struct snap_trailer *ret_trailer)
{
    uint8_t trailer[SNAP_TRAILER_BYTES];
    struct raft_snap_meta meta;
    struct snap_trailer t;
    uint64_t bytes;
    int rc = fs->size(fs->ctx, fd, &bytes);
    if (rc != 0) {
        return rc;
    }
    if (bytes < SNAP_HEADER_BYTES + SNAP_TRAILER_BYTES) {
        return RAFT_STORE_ECORRUPT;
    }
    rc = raft__snap_read(fs, fd, page, SNAP_HEADER_BYTES, 0);
    if (rc == 0) {
        rc = raft__snap_header_decode(page, &meta);
    }
    if (rc == 0) {
        rc = raft__snap_read(fs, fd, trailer, sizeof trailer, bytes - sizeof trailer);
    }
    if (rc == 0) {
        rc = raft__snap_trailer_decode(trailer, &t);
    }
    if (rc != 0) {
        return rc;
    }
    if (meta.cluster_id != want->cluster_id) {
        return RAFT_STORE_EFOREIGN;
    }
    if (t.bytes != bytes || meta.term != want->term || meta.index != want->index) {
        return RAFT_STORE_ECORRUPT;
    }
    meta.bytes = bytes;
    meta.digest[0] = t.digest[0];
    meta.digest[1] = t.digest[1];
    *ret_meta = meta;
    *ret_trailer = t;
    return 0;
}

int raft__snap_peek(const struct raft_fs *fs, int fd, uint64_t cluster_id, raft_term term,
                    raft_index index, struct raft_snap_meta *ret_meta,
                    struct snap_trailer *ret_trailer)
{
    uint8_t page[SNAP_HEADER_BYTES];
    struct raft_snap_meta want = {.cluster_id = cluster_id, .term = term, .index = index};
    return peek(fs, fd, page, &want, ret_meta, ret_trailer);
}

int raft__snap_read_chunk(const struct raft_fs *fs, int fd, uint64_t offset, uint32_t seq,
                          uint8_t *buf, struct snap_chunk *ret_c)
{
    struct snap_chunk c;
    int rc = raft__snap_read(fs, fd, buf, SNAP_CHUNK_HEADER, offset);
    if (rc == 0) {
        rc = raft__snap_chunk_decode(buf, &c);
    }
    if (rc == 0) {
        size_t rest = (size_t)raft__snap_chunk_bytes(c.bytes) - SNAP_CHUNK_HEADER;
        rc = raft__snap_read(fs, fd, buf + SNAP_CHUNK_HEADER, rest, offset + SNAP_CHUNK_HEADER);
    }
    if (rc != 0) {
        return rc;
    }
    if (c.seq != seq || !raft__snap_chunk_valid(buf, &c, buf + SNAP_CHUNK_HEADER)) {
        return RAFT_STORE_ECORRUPT;
    }
    *ret_c = c;
    return 0;
}

/* Read all chunks against the table and build the digest. */
static int verify_chunks(const struct raft_fs *fs, int fd, const struct snap_trailer *t,
                         uint8_t *buf, XXH3_state_t *state)
{
    uint64_t offset = SNAP_HEADER_BYTES;
    uint32_t table_crc = 0;
    for (uint32_t i = 0; i < t->chunks; i++) {
        struct snap_chunk c;
        uint8_t entry[SNAP_TABLE_ENTRY];
        uint8_t want[SNAP_TABLE_ENTRY];
        int rc = raft__snap_read(fs, fd, entry, sizeof entry,
                                 t->table_offset + (uint64_t)i * SNAP_TABLE_ENTRY);
        if (rc == 0) {
            rc = raft__snap_read_chunk(fs, fd, offset, i + 1, buf, &c);
        }
        if (rc != 0) {
            return rc;
        }
        raft__snap_table_encode(want, offset, &c);
        if (memcmp(entry, want, sizeof entry) != 0) {
            return RAFT_STORE_ECORRUPT;
        }
        table_crc = raft__crc32c(table_crc, entry, sizeof entry);
        raft__snap_digest_chunk(state, c.crc);
        offset += raft__snap_chunk_bytes(c.bytes);
    }
    return offset == t->table_offset && table_crc == t->table_crc ? 0 : RAFT_STORE_ECORRUPT;
}

int raft__snap_verify(const struct raft_fs *fs, int fd, uint64_t cluster_id, raft_term term,
                      raft_index index, struct raft_snap_meta *ret_meta,
                      struct snap_trailer *ret_trailer)
{
    uint8_t page[SNAP_HEADER_BYTES];
    struct raft_snap_meta want = {.cluster_id = cluster_id, .term = term, .index = index};
    struct raft_snap_meta meta;
    struct snap_trailer t;
    uint64_t digest[2];
    int rc = peek(fs, fd, page, &want, &meta, &t);
    if (rc != 0) {
        return rc;
    }
    uint8_t *buf = malloc(SNAP_CHUNK_BUFFER);
    XXH3_state_t *state = XXH3_createState();
    if (buf == NULL || state == NULL) {
        rc = -ENOMEM;
    } else {
        (void)XXH3_128bits_reset(state); /* fails only for a NULL state */
        (void)XXH3_128bits_update(state, page, sizeof page);
        rc = verify_chunks(fs, fd, &t, buf, state);
    }
    if (rc == 0) {
        raft__snap_digest_end(state, digest);
        rc = memcmp(digest, t.digest, sizeof digest) == 0 ? 0 : RAFT_STORE_ECORRUPT;
    }
    free(buf);
    (void)XXH3_freeState(state); /* cannot fail */
    if (rc == 0) {
        *ret_meta = meta;
        *ret_trailer = t;
    }
    return rc;
}
