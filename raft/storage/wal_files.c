/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_files.c: the life of segment files: made ready, begun, released, recycled or deleted.
 *
 *     (none) --make_ready--> ready --begin--> in the log --release--> orphan --tidy--> (none)
 *                              ^                                         |
 *                              +------------- recycled ------------------+
 *
 *     ready    full length, its bytes and its name are on disk; nothing of this life is in it
 *     in log   it or a later segment names it as the one before
 *     orphan   no entry of the log is in it; only the file is left
 *
 * Invariants
 *   1. Sequence numbers only grow: a segment that begins is above every file there ever was in the
 *      log, so the newest valid header is that of the log's end.
 *   2. Only ready segments are begun: the path of a write makes no file and no directory entry.
 *   3. A failure in here leaves the log as it was.
 *
 * Thread: the WAL's.
 */
#include "raft/storage/wal_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint64_t raft__wal_draw(struct raft_wal *w)
{
    w->rng += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = w->rng;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void *raft__wal_grow(void *p, uint32_t count, uint32_t *room, size_t size)
{
    if (count <= *room) {
        return p;
    }
    uint32_t more = *room < 8 ? 8 : *room * 2;
    more = more < count ? count : more;
    void *q = realloc(p, more * size);
    if (q != NULL) {
        *room = more;
    }
    return q;
}

/* Give the open file its length and see it and its name to disk. */
static int complete_ready(struct raft_wal *w, uint64_t seq, int fd, uint64_t bytes)
{
    struct wal_ready *list =
        raft__wal_grow(w->ready, w->ready_count + 1, &w->ready_room, sizeof *list);
    if (list == NULL) {
        return -ENOMEM;
    }
    w->ready = list;
    int rc = w->fs->allocate(w->fs->ctx, fd, bytes);
    if (rc != 0) {
        return rc;
    }
    rc = w->fs->size(w->fs->ctx, fd, &bytes); /* a recycled file may be longer */
    if (rc != 0) {
        return rc;
    }
    rc = w->fs->fdatasync(w->fs->ctx, fd);
    if (rc != 0) {
        return rc;
    }
    rc = RAFT_BUG(5) ? 0 : w->fs->sync_dir(w->fs->ctx, "wal");
    if (rc != 0) {
        return rc;
    }
    MUST(w->ready_count == 0 || w->ready[w->ready_count - 1].seq < seq);
    bytes = bytes < SEGMENT_BYTES_MAX ? bytes : SEGMENT_BYTES_MAX;
    w->ready[w->ready_count++] = (struct wal_ready){.seq = seq, .bytes = bytes, .fd = fd};
    return 0;
}

int raft__wal_make_ready(struct raft_wal *w, uint64_t bytes)
{
    char path[SEGMENT_PATH_BYTES];
    uint64_t seq = w->next_seq;
    int flags = RAFT_FS_READ | RAFT_FS_WRITE;
    raft__segment_path(path, seq);
    if (w->orphans_count > 0 && !w->repair && w->orphans[w->orphans_count - 1] > w->unfit_through) {
        char old[SEGMENT_PATH_BYTES];
        raft__segment_path(old, w->orphans[w->orphans_count - 1]);
        int rc = w->fs->rename(w->fs->ctx, old, path);
        if (rc != 0 && rc != -ENOENT) {
            return rc;
        }
        w->orphans_count--;
        flags |= rc != 0 ? RAFT_FS_CREATE : 0;
    } else {
        flags |= RAFT_FS_CREATE;
    }
    w->next_seq++; /* also when the rest fails: the name may be taken */
    int fd;
    int rc = w->fs->open(w->fs->ctx, path, flags, &fd);
    if (rc == 0) {
        rc = complete_ready(w, seq, fd, bytes);
        if (rc == 0) {
            return 0;
        }
        (void)w->fs->close(w->fs->ctx, fd); /* the file is given up */
    }
    (void)w->fs->unlink(w->fs->ctx, path); /* a left-over is a spare for the next start */
    return rc;
}

int raft__wal_adopt_ready(struct raft_wal *w, uint64_t seq)
{
    char path[SEGMENT_PATH_BYTES];
    int fd;
    raft__segment_path(path, seq);
    int rc = w->fs->open(w->fs->ctx, path, RAFT_FS_READ | RAFT_FS_WRITE, &fd);
    if (rc != 0) {
        return rc;
    }
    rc = complete_ready(w, seq, fd, w->o.segment_bytes);
    if (rc != 0) {
        (void)w->fs->close(w->fs->ctx, fd); /* nothing was written that matters */
    }
    return rc;
}

/* The header of a segment that follows the last one. */
static void make_header(struct raft_wal *w, const struct wal_ready *r)
{
    struct segment_header *h = &w->header;
    memset(h, 0, sizeof *h);
    h->cluster_id = w->o.cluster_id;
    h->node_id = w->o.node_id;
    h->seq = r->seq;
    h->bytes = r->bytes;
    h->salt = raft__wal_draw(w);
    h->first_index = w->log.first + w->log.count;
    h->first_batch = w->next_batch;
    h->durable_batch = w->durable_batch;
    if (w->segments_count > 0) {
        const struct wal_segment *prev = raft__wal_last_segment(w);
        MUST(prev->seq < r->seq);
        h->prev_seq = prev->seq;
        h->prev_batch = prev->last_batch;
        h->prev_chain = prev->last_chain;
    } else {
        h->prev_seq = w->before.seq;
        h->prev_batch = w->before.batch;
        h->prev_chain = w->before.chain;
    }
    h->vote = RAFT_BUG(4) ? 0 : w->vote;
    h->term = RAFT_BUG(4) ? 0 : w->term;
    h->commit = w->commit;
    h->snapshot_index = w->snapshot.index;
    h->snapshot_term = w->snapshot.term;
    h->snapshot_digest[0] = w->snapshot.digest[0];
    h->snapshot_digest[1] = w->snapshot.digest[1];
    if (w->repair) {
        h->flags = raft__wal_flags(w);
        h->damage_seq = w->damage.seq;
        h->damage_offset = w->damage.offset;
        h->damage_index = w->damage.index;
    }
}

int raft__wal_begin(struct raft_wal *w)
{
    MUST(w->ready_count > 0);
    MUST(!w->dirty);
    struct wal_segment *list =
        raft__wal_grow(w->segments, w->segments_count + 1, &w->segments_room, sizeof *list);
    if (list == NULL) {
        return -ENOMEM;
    }
    w->segments = list;
    struct wal_ready r = w->ready[0];
    make_header(w, &r);
    w->ready_count--;
    memmove(w->ready, w->ready + 1, w->ready_count * sizeof *w->ready);
    w->chain = raft__segment_header_encode(w->page, &w->header);
    w->segments[w->segments_count++] = (struct wal_segment){.seq = r.seq,
                                                            .bytes = r.bytes,
                                                            .salt = w->header.salt,
                                                            .fd = r.fd,
                                                            .last_batch = w->next_batch - 1,
                                                            .last_chain = w->chain};
    w->pos = SEGMENT_HEADER_BYTES;
    w->active = 1;
    w->header_pending = 1;
    return 0;
}

int raft__wal_add_orphan(struct raft_wal *w, uint64_t seq)
{
    uint64_t *list =
        raft__wal_grow(w->orphans, w->orphans_count + 1, &w->orphans_room, sizeof *list);
    if (list == NULL) {
        return -ENOMEM;
    }
    w->orphans = list;
    w->orphans[w->orphans_count++] = seq;
    return 0;
}

int raft__wal_release_oldest(struct raft_wal *w)
{
    MUST(w->segments_count > 1);
    int rc = raft__wal_add_orphan(w, w->segments[0].seq);
    if (rc != 0) {
        return rc;
    }
    (void)w->fs->close(w->fs->ctx, w->segments[0].fd); /* all of it is synced, or not wanted */
    w->before.seq = w->segments[0].seq;
    w->before.batch = w->segments[0].last_batch;
    w->before.chain = w->segments[0].last_chain;
    w->segments_count--;
    w->segments_base++;
    memmove(w->segments, w->segments + 1, w->segments_count * sizeof *w->segments);
    return 0;
}

int raft__wal_tidy_files(struct raft_wal *w)
{
    while (w->ready_count < w->o.segments_ready) { /* takes orphans first */
        int rc = raft__wal_make_ready(w, w->o.segment_bytes);
        if (rc != 0) {
            return rc;
        }
    }
    if (w->repair || w->orphans_count == 0) {
        return 0; /* while in repair nothing that may hold a good copy is thrown away */
    }
    while (w->orphans_count > 0) {
        char path[SEGMENT_PATH_BYTES];
        raft__segment_path(path, w->orphans[w->orphans_count - 1]);
        int rc = w->fs->unlink(w->fs->ctx, path);
        if (rc != 0 && rc != -ENOENT) {
            return rc;
        }
        w->orphans_count--;
    }
    return w->fs->sync_dir(w->fs->ctx, "wal");
}
