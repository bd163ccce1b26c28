/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_format.h: the bytes of a snapshot file, and its verification. The format is in
 * snapshot_format.c. Thread: any.
 */
#ifndef COORD_RAFT_STORAGE_SNAPSHOT_FORMAT_H
#define COORD_RAFT_STORAGE_SNAPSHOT_FORMAT_H

#include <coord/raft_storage.h>
#include <xxhash.h>
#include "raft/mutant.h"

#define SNAP_VERSION       1u
#define SNAP_HEADER_BYTES  4096u
#define SNAP_CHUNK_HEADER  16u
#define SNAP_CHUNK_BYTES   (256u * 1024u) /* payload of a full chunk; none is larger */
#define SNAP_TABLE_ENTRY   16u
#define SNAP_TRAILER_BYTES 64u
#define SNAP_PATH_BYTES    48u

enum snap_kind {
    SNAP_KIND_FILE = 1,    /* .snap: complete */
    SNAP_KIND_WRITTEN = 2, /* .tmp: being written here */
    SNAP_KIND_RECEIVED = 3 /* .recv: being received from a peer */
};

struct snap_chunk {
    uint32_t crc;
    uint32_t seq; /* from 1 */
    uint32_t bytes;
    uint8_t type;
};

struct snap_trailer {
    uint64_t table_offset;
    uint32_t chunks;
    uint64_t bytes; /* of the file */
    uint64_t digest[2];
    uint32_t table_crc;
};

/* Bytes of a chunk in the file: header, payload, padding. */
static inline uint64_t raft__snap_chunk_bytes(uint32_t payload)
{
    return ((uint64_t)SNAP_CHUNK_HEADER + payload + 7) & ~(uint64_t)7;
}

void raft__snap_header_encode(uint8_t page[SNAP_HEADER_BYTES], const struct raft_snap_meta *meta);

/* Errors: RAFT_STORE_ECORRUPT, EVERSION. *ret_meta (without bytes and digest) is set on 0 only. */
int raft__snap_header_decode(const uint8_t page[SNAP_HEADER_BYTES],
                             struct raft_snap_meta *ret_meta);

/* Write the header of a chunk; c->crc is set. */
void raft__snap_chunk_encode(uint8_t out[SNAP_CHUNK_HEADER], struct snap_chunk *c,
                             const void *payload);
/* Read it; whether the payload fits is for raft__snap_chunk_valid. Return: 0, or ECORRUPT. */
int raft__snap_chunk_decode(const uint8_t in[SNAP_CHUNK_HEADER], struct snap_chunk *ret_c);
/* payload is followed by its padding. Return: 1 when header, payload and padding are intact. */
int raft__snap_chunk_valid(const uint8_t in[SNAP_CHUNK_HEADER], const struct snap_chunk *c,
                           const uint8_t *payload);

void raft__snap_table_encode(uint8_t out[SNAP_TABLE_ENTRY], uint64_t offset,
                             const struct snap_chunk *c);
void raft__snap_trailer_encode(uint8_t out[SNAP_TRAILER_BYTES], const struct snap_trailer *t);
int raft__snap_trailer_decode(const uint8_t in[SNAP_TRAILER_BYTES], struct snap_trailer *ret_t);

/* The digest: header page, then the checksum of each chunk. Ownership of the state: the caller's. */
void raft__snap_digest_chunk(XXH3_state_t *state, uint32_t crc);
void raft__snap_digest_end(const XXH3_state_t *state, uint64_t ret_digest[2]);

/* "snap/%016x-%016x" and the ending of the kind. */
void raft__snap_path(char path[SNAP_PATH_BYTES], enum snap_kind kind, raft_term term,
                     raft_index index);
/* Return: the kind of a name in the directory, 0 when it is none of ours. */
int raft__snap_parse(const char *name, raft_term *ret_term, raft_index *ret_index);

/* Read exactly len bytes. Errors: RAFT_STORE_ECORRUPT when the file ends before, negative errno. */
int raft__snap_read(const struct raft_fs *fs, int fd, void *buf, size_t len, uint64_t offset);

/* Header and trailer of an open file of any kind, against its name.
 * Errors: RAFT_STORE_ECORRUPT, EFOREIGN, EVERSION, negative errno. */
int raft__snap_peek(const struct raft_fs *fs, int fd, uint64_t cluster_id, raft_term term,
                    raft_index index, struct raft_snap_meta *ret_meta,
                    struct snap_trailer *ret_trailer);

/* The same and every byte in between. */
int raft__snap_verify(const struct raft_fs *fs, int fd, uint64_t cluster_id, raft_term term,
                      raft_index index, struct raft_snap_meta *ret_meta,
                      struct snap_trailer *ret_trailer);

/* The chunk at offset, into buf (SNAP_CHUNK_HEADER + SNAP_CHUNK_BYTES + 8), verified; its payload
 * begins at buf + SNAP_CHUNK_HEADER. seq: the number it must have. Errors: as raft__snap_read. */
int raft__snap_read_chunk(const struct raft_fs *fs, int fd, uint64_t offset, uint32_t seq,
                          uint8_t *buf, struct snap_chunk *ret_c);
#define SNAP_CHUNK_BUFFER (SNAP_CHUNK_HEADER + SNAP_CHUNK_BYTES + 8u)

/* Make snap/ and see its name to disk. */
int raft__snap_make_dir(const struct raft_fs *fs);

#endif
