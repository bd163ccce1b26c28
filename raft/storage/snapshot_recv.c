/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_recv.c: receiving a snapshot file from a peer, in pieces, across interruptions.
 *
 *     open --> .recv --write*--> complete --commit--> verified, renamed to .snap
 *       ^        |                                \-> damaged: deleted, the next open begins at 0
 *       +--------+ abort, crash: the verified beginning is kept for the next open
 *
 * The file is self-describing from its beginning, so what an earlier attempt left is believed only
 * chunk by chunk, as far as checksums go: unsynced bytes of before a power cut cannot slip in.
 *
 * Invariant: bytes 0 .. stored - 1 of the file have been received.
 *
 * Thread: any one per handle.
 */
#include "raft/storage/snapshot_format.h"
#include "raft/storage/must.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct raft_snap_recv {
    const struct raft_fs *fs;
    struct raft_snap_meta want; /* cluster, term, index, bytes */
    int fd;
    uint64_t stored;
};

static void recv_free(struct raft_snap_recv *s)
{
    (void)s->fs->close(s->fs->ctx, s->fd); /* synced before, or not yet complete */
    free(s);
}

/* How much of what an earlier attempt left can be believed. */
static int find_verified(struct raft_snap_recv *s)
{
    uint8_t page[SNAP_HEADER_BYTES];
    struct raft_snap_meta meta;
    struct snap_chunk c;
    int rc = raft__snap_read(s->fs, s->fd, page, sizeof page, 0);
    if (rc == 0) {
        rc = raft__snap_header_decode(page, &meta);
    }
    if (rc != 0 || meta.cluster_id != s->want.cluster_id || meta.term != s->want.term ||
        meta.index != s->want.index) {
        return 0;
    }
    uint8_t *buf = malloc(SNAP_CHUNK_BUFFER);
    if (buf == NULL) {
        return -ENOMEM;
    }
    s->stored = SNAP_HEADER_BYTES;
    for (uint32_t seq = 1; raft__snap_read_chunk(s->fs, s->fd, s->stored, seq, buf, &c) == 0;
         seq++) { /* ends with the file */
        s->stored += raft__snap_chunk_bytes(c.bytes);
    }
    free(buf);
    return 0;
}

static int recv_begin(struct raft_snap_recv *s)
{
    char path[SNAP_PATH_BYTES];
    uint64_t bytes;
    int flags = RAFT_FS_READ | RAFT_FS_WRITE | RAFT_FS_CREATE;
    int rc = raft__snap_make_dir(s->fs);
    if (rc != 0) {
        return rc;
    }
    raft__snap_path(path, SNAP_KIND_RECEIVED, s->want.term, s->want.index);
    rc = s->fs->open(s->fs->ctx, path, flags, &s->fd);
    if (rc != 0) {
        return rc;
    }
    rc = s->fs->size(s->fs->ctx, s->fd, &bytes);
    if (rc == 0 && bytes <= s->want.bytes) {
        rc = find_verified(s);
    }
    if (rc != 0 || s->stored > 0 || bytes == 0) {
        if (rc != 0) {
            (void)s->fs->close(s->fs->ctx, s->fd); /* was only read */
        }
        return rc;
    }
    (void)s->fs->close(s->fs->ctx, s->fd); /* what is in it is of no use: begin anew */
    return s->fs->open(s->fs->ctx, path, flags | RAFT_FS_TRUNCATE, &s->fd);
}

int raft_snap_recv_open(const struct raft_fs *fs, uint64_t cluster_id, raft_term term,
                        raft_index index, uint64_t total_bytes, struct raft_snap_recv **ret_recv,
                        uint64_t *ret_offset)
{
    if (index == 0 || total_bytes < SNAP_HEADER_BYTES + SNAP_TRAILER_BYTES) {
        return -EINVAL;
    }
    struct raft_snap_recv *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return -ENOMEM;
    }
    s->fs = fs;
    s->want = (struct raft_snap_meta){
        .cluster_id = cluster_id, .term = term, .index = index, .bytes = total_bytes};
    int rc = recv_begin(s);
    if (rc != 0) {
        free(s);
        return rc;
    }
    MUST(s->stored <= total_bytes);
    *ret_recv = s;
    *ret_offset = s->stored;
    return 0;
}

int raft_snap_recv_write(struct raft_snap_recv *s, uint64_t offset, const void *data, size_t len)
{
    if (offset > s->stored || len > s->want.bytes || offset > s->want.bytes - len) {
        return -EINVAL;
    }
    if (offset + len <= s->stored) {
        return 0; /* sent twice */
    }
    size_t skip = (size_t)(s->stored - offset);
    struct iovec iov = {(uint8_t *)(uintptr_t)data + skip, len - skip};
    int rc = s->fs->pwritev(s->fs->ctx, s->fd, &iov, 1, s->stored);
    if (rc == 0) {
        s->stored = offset + len;
    }
    return rc;
}

int raft_snap_recv_commit(struct raft_snap_recv *s, struct raft_snap_meta *ret_meta)
{
    char from[SNAP_PATH_BYTES];
    char to[SNAP_PATH_BYTES];
    struct snap_trailer trailer;
    struct raft_snap_meta meta;
    if (s->stored != s->want.bytes) {
        recv_free(s);
        return -EINVAL;
    }
    raft__snap_path(from, SNAP_KIND_RECEIVED, s->want.term, s->want.index);
    raft__snap_path(to, SNAP_KIND_FILE, s->want.term, s->want.index);
    int rc = s->fs->fdatasync(s->fs->ctx, s->fd);
    if (rc == 0) {
        rc = raft__snap_verify(s->fs, s->fd, s->want.cluster_id, s->want.term, s->want.index, &meta,
                               &trailer);
    }
    if (rc != 0) { /* after a failed sync, too, the bytes cannot be trusted any more */
        (void)s->fs->unlink(s->fs->ctx, from); /* else the next open looks at it again */
        recv_free(s);
        return rc;
    }
    rc = s->fs->rename(s->fs->ctx, from, to);
    if (rc == 0 && !RAFT_BUG(6)) {
        rc = s->fs->sync_dir(s->fs->ctx, "snap");
    }
    recv_free(s);
    if (rc == 0) {
        *ret_meta = meta;
    }
    return rc;
}

void raft_snap_recv_abort(struct raft_snap_recv *s)
{
    if (s != NULL) {
        recv_free(s);
    }
}
