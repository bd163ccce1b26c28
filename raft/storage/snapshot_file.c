/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_file.c: writing a snapshot file and reading one. The format is in snapshot_format.c.
 *
 *     writer:  create --> .tmp --write*--> --commit--> synced, renamed to .snap, directory synced
 *                           \--abort, or any error--> deleted
 *     reader:  open (every byte verified) --next*, pread*--> close
 *
 * A snapshot exists under its name only complete and on disk; whoever deletes log because of it waits
 * for commit and then for the SNAPMARK in the log.
 *
 * Invariants
 *   1. The bytes are a function of the meta and of what was written, not of how it was cut into calls
 *      (a change of type ends a chunk).
 *   2. After an error a writer takes nothing more, and commit answers that error.
 *
 * Thread: any one per handle.
 */
#include "raft/storage/snapshot_format.h"
#include "raft/storage/crc32c.h"
#include "raft/storage/must.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct raft_snap_writer {
    const struct raft_fs *fs;
    struct raft_snap_meta meta;
    int fd; /* -1 none */
    int error;
    uint8_t type;
    uint32_t filled; /* of payload */
    uint64_t offset; /* of the next chunk */
    uint32_t chunks;
    uint8_t *table;
    uint64_t table_room;
    XXH3_state_t *digest;
    uint8_t *payload; /* SNAP_CHUNK_BYTES */
};

static void writer_free(struct raft_snap_writer *w)
{
    if (w->fd >= 0) {
        (void)w->fs->close(w->fs->ctx, w->fd); /* synced before, or given up */
    }
    (void)XXH3_freeState(w->digest); /* cannot fail */
    free(w->table);
    free(w->payload);
    free(w);
}

static void remove_temporary(const struct raft_snap_writer *w)
{
    char path[SNAP_PATH_BYTES];
    raft__snap_path(path, SNAP_KIND_WRITTEN, w->meta.term, w->meta.index);
    (void)w->fs->unlink(w->fs->ctx, path); /* else raft_snap_prune does it */
}

static int writer_put(struct raft_snap_writer *w, struct iovec *iov, int count, uint64_t offset)
{
    int rc = w->fs->pwritev(w->fs->ctx, w->fd, iov, count, offset);
    if (rc != 0) {
        w->error = rc;
    }
    return rc;
}

static int begin_file(struct raft_snap_writer *w)
{
    char path[SNAP_PATH_BYTES];
    uint8_t page[SNAP_HEADER_BYTES];
    int rc = raft__snap_make_dir(w->fs);
    if (rc != 0) {
        return rc;
    }
    raft__snap_path(path, SNAP_KIND_WRITTEN, w->meta.term, w->meta.index);
    rc = w->fs->open(w->fs->ctx, path, RAFT_FS_WRITE | RAFT_FS_CREATE | RAFT_FS_TRUNCATE, &w->fd);
    if (rc != 0) {
        w->fd = -1;
        return rc;
    }
    raft__snap_header_encode(page, &w->meta);
    (void)XXH3_128bits_reset(w->digest); /* fails only for a NULL state */
    (void)XXH3_128bits_update(w->digest, page, sizeof page);
    struct iovec iov = {page, sizeof page};
    rc = writer_put(w, &iov, 1, 0);
    if (rc != 0) {
        remove_temporary(w);
    }
    return rc;
}

int raft_snap_create(const struct raft_fs *fs, const struct raft_snap_meta *meta,
                     struct raft_snap_writer **ret_writer)
{
    if (meta->config.count > RAFT_NODES_MAX || meta->index == 0) {
        return -EINVAL;
    }
    struct raft_snap_writer *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return -ENOMEM;
    }
    w->fs = fs;
    w->meta = *meta;
    w->fd = -1;
    w->offset = SNAP_HEADER_BYTES;
    w->payload = malloc(SNAP_CHUNK_BYTES);
    w->digest = XXH3_createState();
    int rc = w->payload == NULL || w->digest == NULL ? -ENOMEM : begin_file(w);
    if (rc != 0) {
        writer_free(w);
        return rc;
    }
    *ret_writer = w;
    return 0;
}

static int note_chunk(struct raft_snap_writer *w, const struct snap_chunk *c)
{
    uint64_t need = ((uint64_t)w->chunks + 1) * SNAP_TABLE_ENTRY;
    if (need > w->table_room) {
        uint64_t room = w->table_room * 2 + 64 * SNAP_TABLE_ENTRY;
        uint8_t *table = realloc(w->table, room);
        if (table == NULL) {
            w->error = -ENOMEM;
            return w->error;
        }
        w->table = table;
        w->table_room = room;
    }
    raft__snap_table_encode(w->table + need - SNAP_TABLE_ENTRY, w->offset, c);
    raft__snap_digest_chunk(w->digest, c->crc);
    return 0;
}

static int flush_chunk(struct raft_snap_writer *w)
{
    static const uint8_t zeros[8];
    uint8_t header[SNAP_CHUNK_HEADER];
    struct snap_chunk c = {.seq = w->chunks + 1, .bytes = w->filled, .type = w->type};
    if (w->filled == 0) {
        return 0;
    }
    raft__snap_chunk_encode(header, &c, w->payload);
    uint64_t bytes = raft__snap_chunk_bytes(c.bytes);
    struct iovec iov[3] = {{header, sizeof header},
                           {w->payload, c.bytes},
                           {(void *)(uintptr_t)zeros, bytes - sizeof header - c.bytes}};
    int rc = writer_put(w, iov, 3, w->offset);
    if (rc == 0) {
        rc = note_chunk(w, &c);
    }
    if (rc != 0) {
        return rc;
    }
    w->offset += bytes;
    w->chunks++;
    w->filled = 0;
    return 0;
}

int raft_snap_write(struct raft_snap_writer *w, uint8_t type, const void *data, size_t len)
{
    const uint8_t *p = data;
    if (w->error == 0 && type != w->type) {
        (void)flush_chunk(w); /* leaves its error in w */
        w->type = type;
    }
    while (w->error == 0 && len > 0) {
        size_t some = SNAP_CHUNK_BYTES - w->filled;
        some = some < len ? some : len;
        memcpy(w->payload + w->filled, p, some);
        w->filled += (uint32_t)some;
        p += some;
        len -= some;
        if (w->filled == SNAP_CHUNK_BYTES) {
            (void)flush_chunk(w); /* leaves its error in w */
        }
    }
    return w->error;
}

static int write_end(struct raft_snap_writer *w)
{
    uint8_t bytes[SNAP_TRAILER_BYTES];
    uint64_t table = (uint64_t)w->chunks * SNAP_TABLE_ENTRY;
    struct snap_trailer t = {.table_offset = w->offset,
                             .chunks = w->chunks,
                             .bytes = w->offset + table + SNAP_TRAILER_BYTES,
                             .table_crc = raft__crc32c(0, w->table, table)};
    raft__snap_digest_end(w->digest, t.digest);
    raft__snap_trailer_encode(bytes, &t);
    struct iovec iov[2] = {{w->table, table}, {bytes, sizeof bytes}};
    w->meta.bytes = t.bytes;
    w->meta.digest[0] = t.digest[0];
    w->meta.digest[1] = t.digest[1];
    return writer_put(w, iov, 2, w->offset);
}

static int publish(struct raft_snap_writer *w)
{
    char from[SNAP_PATH_BYTES];
    char to[SNAP_PATH_BYTES];
    int rc = RAFT_BUG(57) ? 0 : w->fs->fdatasync(w->fs->ctx, w->fd);
    if (rc != 0) {
        return rc;
    }
    raft__snap_path(from, SNAP_KIND_WRITTEN, w->meta.term, w->meta.index);
    raft__snap_path(to, SNAP_KIND_FILE, w->meta.term, w->meta.index);
    rc = w->fs->rename(w->fs->ctx, from, to);
    return rc == 0 && !RAFT_BUG(6) ? w->fs->sync_dir(w->fs->ctx, "snap") : rc;
}

int raft_snap_commit(struct raft_snap_writer *w, struct raft_snap_meta *ret_meta)
{
    int rc = w->error;
    if (rc == 0) {
        rc = flush_chunk(w);
    }
    if (rc == 0) {
        rc = write_end(w);
    }
    if (rc == 0) {
        rc = publish(w);
    }
    if (rc != 0) {
        raft_snap_abort(w);
        return rc;
    }
    *ret_meta = w->meta;
    writer_free(w);
    return 0;
}

void raft_snap_abort(struct raft_snap_writer *w)
{
    if (w == NULL) {
        return;
    }
    remove_temporary(w);
    writer_free(w);
}

/* ------------------------------------------------------------------------------------------- */
/* Reading                                                                                       */

struct raft_snap_reader {
    const struct raft_fs *fs;
    int fd;
    struct raft_snap_meta meta;
    struct snap_trailer trailer;
    uint64_t offset; /* of the next chunk */
    uint32_t done;   /* chunks returned */
    uint8_t *buf;    /* SNAP_CHUNK_BUFFER */

    /* Of a stream: what verifies the whole at its end. */
    XXH3_state_t *digest; /* NULL: it was verified before */
    uint8_t *table;       /* as it must be, one entry a chunk */
};

static int open_file(const struct raft_fs *fs, raft_term term, raft_index index,
                     struct raft_snap_reader **ret_reader)
{
    char path[SNAP_PATH_BYTES];
    struct raft_snap_reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return -ENOMEM;
    }
    r->fs = fs;
    r->offset = SNAP_HEADER_BYTES;
    r->buf = malloc(SNAP_CHUNK_BUFFER);
    if (r->buf == NULL) {
        free(r);
        return -ENOMEM;
    }
    raft__snap_path(path, SNAP_KIND_FILE, term, index);
    int rc = fs->open(fs->ctx, path, RAFT_FS_READ, &r->fd);
    if (rc != 0) {
        free(r->buf);
        free(r);
        return rc == -ENOENT ? RAFT_STORE_ENOENT : rc;
    }
    *ret_reader = r;
    return 0;
}

int raft_snap_open(const struct raft_fs *fs, uint64_t cluster_id, raft_term term, raft_index index,
                   struct raft_snap_reader **ret_reader)
{
    struct raft_snap_reader *r;
    int rc = open_file(fs, term, index, &r);
    if (rc != 0) {
        return rc;
    }
    rc = raft__snap_verify(fs, r->fd, cluster_id, term, index, &r->meta, &r->trailer);
    if (rc != 0) {
        raft_snap_close(r);
        return rc;
    }
    *ret_reader = r;
    return 0;
}

/* What a stream needs before its first chunk. */
static int stream_begin(struct raft_snap_reader *r)
{
    uint8_t page[SNAP_HEADER_BYTES];
    /* Each chunk takes room in the file: a trailer that says more is not believed. */
    if (r->trailer.chunks > r->meta.bytes / SNAP_CHUNK_HEADER) {
        return RAFT_STORE_ECORRUPT;
    }
    int rc = raft__snap_read(r->fs, r->fd, page, sizeof page, 0);
    if (rc != 0) {
        return rc;
    }
    r->table = malloc((size_t)r->trailer.chunks * SNAP_TABLE_ENTRY + 1);
    r->digest = XXH3_createState();
    if (r->table == NULL || r->digest == NULL) {
        return -ENOMEM;
    }
    (void)XXH3_128bits_reset(r->digest); /* fails only for a NULL state */
    (void)XXH3_128bits_update(r->digest, page, sizeof page);
    return 0;
}

int raft_snap_stream(const struct raft_fs *fs, uint64_t cluster_id, raft_term term,
                     raft_index index, struct raft_snap_reader **ret_reader)
{
    struct raft_snap_reader *r;
    int rc = open_file(fs, term, index, &r);
    if (rc != 0) {
        return rc;
    }
    rc = raft__snap_peek(fs, r->fd, cluster_id, term, index, &r->meta, &r->trailer);
    if (rc == 0) {
        rc = stream_begin(r);
    }
    if (rc != 0) {
        raft_snap_close(r);
        return rc;
    }
    *ret_reader = r;
    return 0;
}

/* The last chunk of a stream is read: the table, its checksum and the digest. */
static int stream_end(struct raft_snap_reader *r)
{
    const struct snap_trailer *t = &r->trailer;
    size_t bytes = (size_t)t->chunks * SNAP_TABLE_ENTRY;
    uint64_t digest[2];
    if (r->digest == NULL) {
        return 0;
    }
    raft__snap_digest_end(r->digest, digest);
    if (r->offset != t->table_offset || raft__crc32c(0, r->table, bytes) != t->table_crc ||
        memcmp(digest, t->digest, sizeof digest) != 0) {
        return RAFT_STORE_ECORRUPT;
    }
    uint8_t *there = malloc(bytes + 1);
    if (there == NULL) {
        return -ENOMEM;
    }
    int rc = raft__snap_read(r->fs, r->fd, there, bytes, t->table_offset);
    if (rc == 0 && memcmp(there, r->table, bytes) != 0) {
        rc = RAFT_STORE_ECORRUPT;
    }
    free(there);
    return rc;
}

const struct raft_snap_meta *raft_snap_meta(const struct raft_snap_reader *r)
{
    return &r->meta;
}

int64_t raft_snap_next(struct raft_snap_reader *r, uint8_t *ret_type, const void **ret_data)
{
    struct snap_chunk c;
    if (r->done == r->trailer.chunks) {
        return stream_end(r);
    }
    int rc = raft__snap_read_chunk(r->fs, r->fd, r->offset, r->done + 1, r->buf, &c);
    if (rc != 0) {
        return rc;
    }
    if (r->digest != NULL) {
        raft__snap_table_encode(r->table + (size_t)r->done * SNAP_TABLE_ENTRY, r->offset, &c);
        raft__snap_digest_chunk(r->digest, c.crc);
    }
    r->done++;
    r->offset += raft__snap_chunk_bytes(c.bytes);
    *ret_type = c.type;
    *ret_data = r->buf + SNAP_CHUNK_HEADER;
    return c.bytes;
}

int64_t raft_snap_pread(struct raft_snap_reader *r, void *buf, size_t len, uint64_t offset)
{
    return r->fs->pread(r->fs->ctx, r->fd, buf, len, offset);
}

void raft_snap_close(struct raft_snap_reader *r)
{
    if (r == NULL) {
        return;
    }
    (void)r->fs->close(r->fs->ctx, r->fd); /* was only read */
    (void)XXH3_freeState(r->digest);       /* cannot fail */
    free(r->table);
    free(r->buf);
    free(r);
}
