/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.h: the bytes of a WAL segment: its header and its records. The format is in segment.c.
 *
 * Pure: works on memory only. Thread: any.
 */
#ifndef COORD_RAFT_STORAGE_SEGMENT_H
#define COORD_RAFT_STORAGE_SEGMENT_H

#include <coord/raft_storage.h>

#define SEGMENT_VERSION       1u
#define SEGMENT_HEADER_BYTES  4096u
#define SEGMENT_COPY_OFFSET   2048u /* of the second copy of the header */
#define SEGMENT_BYTES_MIN     8192u
#define SEGMENT_BYTES_MAX     (1u << 30) /* offsets are kept in 32 bits */
#define SEGMENT_PATH_BYTES    32u
#define RECORD_HEADER_BYTES   32u
#define RECORD_BATCH_BODY     32u
#define RECORD_BATCH_BYTES    (RECORD_HEADER_BYTES + RECORD_BATCH_BODY)
#define RECORD_HARDSTATE_BODY 8u
#define RECORD_SNAPMARK_BODY  16u
#define RECORD_END_BODY       16u
/* No index, term or number of a batch or segment comes near the end of counting; one that does is
 * damage. Counts of 32 bits can be added to those below without a look. */
#define SEGMENT_NUMBER_MAX (UINT64_MAX - UINT32_MAX)
/* Kept free in every segment: a batch that holds only END. */
#define SEGMENT_END_BYTES (RECORD_BATCH_BYTES + RECORD_HEADER_BYTES + RECORD_END_BODY)

enum record_type {
    RECORD_BATCH = 1,
    RECORD_HARDSTATE = 2,
    RECORD_ENTRY = 3,
    RECORD_SNAPMARK = 4,
    RECORD_SEAL = 5,
    RECORD_END = 6
};

enum segment_flag {
    SEGMENT_REPAIR = 1, /* acknowledged data was found damaged and is not replaced yet */
    SEGMENT_DOUBT = 2   /* and a later term and vote may be among it */
};

enum snapmark_flag {
    SNAPMARK_EMPTIED = 1 /* no entry before this record counts; the log goes on after index */
};

struct segment_header {
    uint64_t cluster_id;
    raft_id node_id;
    uint32_t flags; /* enum segment_flag */
    uint64_t seq;
    uint64_t bytes; /* of the file */
    uint64_t salt;
    raft_index first_index; /* of the next entry when the segment began */
    uint64_t first_batch;
    uint64_t durable_batch; /* batches known to be on disk when the header was written */
    uint64_t prev_seq;      /* the segment before; 0 none */
    uint64_t prev_batch;    /* its last batch that counts */
    uint32_t prev_chain;    /* the chain there */
    raft_id vote;
    raft_term term;
    raft_index commit;
    raft_index snapshot_index;
    raft_term snapshot_term;
    uint64_t snapshot_digest[2];
    uint64_t damage_seq; /* with SEGMENT_REPAIR: where, and the highest index that was there */
    uint64_t damage_offset;
    raft_index damage_index;
};

struct record {
    uint32_t crc;
    uint32_t chain;
    uint32_t len; /* of the body */
    uint8_t type; /* enum record_type */
    uint8_t flags;
    uint64_t index; /* BATCH: its number. HARDSTATE: commit */
    uint64_t term;  /* BATCH: durable_batch */
    const uint8_t *body;
};

struct record_batch {
    uint32_t records; /* behind the BATCH record */
    uint32_t bytes;   /* of them, with padding */
    uint64_t salt;    /* of the segment */
    uint64_t seq;     /* of the segment */
    uint64_t nonce;   /* of the opening that wrote it */
};

/* Bytes of a record in the file, padding included. */
static inline uint64_t raft__record_bytes(uint64_t body)
{
    return (RECORD_HEADER_BYTES + body + 7) & ~(uint64_t)7;
}

/* Write the header, both copies, into page (SEGMENT_HEADER_BYTES).
 * Return: the chain with which the segment's first record continues. */
uint32_t raft__segment_header_encode(uint8_t *page, const struct segment_header *h);

/* Read the header from page, from whichever copy is intact.
 * Errors: RAFT_STORE_ECORRUPT (no copy is intact), RAFT_STORE_EVERSION.
 * Return: 0 or negative; *ret_h and *ret_chain are set on 0 only. */
int raft__segment_header_decode(const uint8_t *page, struct segment_header *ret_h,
                                uint32_t *ret_chain);

/* Write the 32 bytes of a record's header: r->type, flags, len, index, term, body are given.
 * chain: of the record before. Return: the new chain; *r has crc and chain. */
uint32_t raft__record_encode(uint8_t *out, struct record *r, uint64_t salt, uint32_t chain);

/* Read the record at p of which at most `room` bytes are there, and check its own checksum.
 * Return: its bytes in the file, or 0 when there is no intact record. */
uint64_t raft__record_decode(const uint8_t *p, uint64_t room, uint64_t salt, struct record *ret_r);

/* The same with the body elsewhere; the caller knows that it has the length the header states. */
uint64_t raft__record_verify(const uint8_t *p, const uint8_t *body, uint64_t salt,
                             struct record *ret_r);

/* Could a record begin at p (RECORD_HEADER_BYTES there)? Looks at type, version and length only. */
int raft__record_plausible(const uint8_t *p, uint64_t room);

/* The chain after a record with this checksum. */
uint32_t raft__record_chain(uint32_t chain, uint32_t crc);

void raft__record_batch_encode(uint8_t body[RECORD_BATCH_BODY], const struct record_batch *b);
void raft__record_batch_decode(const uint8_t *body, struct record_batch *ret_b);

/* "wal/%016x.seg". */
void raft__segment_path(char path[SEGMENT_PATH_BYTES], uint64_t seq);

/* Return: the sequence number in a name of the directory, 0 when it is not a segment's. */
uint64_t raft__segment_parse(const char *name);

#endif
