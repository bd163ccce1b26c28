/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_files.c: the life of segment files: made ready, begun, released, recycled or deleted.
 *
 *     (none) --prepare--> ready --begin--> in the log --release--> orphan --tidy--> (none)
 *                           ^                                        |
 *                           +------------- recycled -----------------+
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
 *   4. One segment is prepared at a time; while another thread does it (w->prep.out), w->prep is that
 *      thread's, and no other name is given out.
 *   5. Recycled files become ready at once, with new names: an orphan would be read again at the next start.
 *
 * Thread: the WAL's, but for raft_wal_prep_run.
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

/* Give the open file its length, in pieces, each on disk before the next is made: the log's own syncs do
 * not have to wait behind a whole segment. */
static int fill(const struct raft_fs *fs, int fd, uint64_t bytes)
{
    uint64_t have = 0;
    int rc = fs->size(fs->ctx, fd, &have);
    while (rc == 0 && have < bytes) {
        have = bytes - have < WAL_FILL_BYTES ? bytes : have + WAL_FILL_BYTES;
        rc = fs->allocate(fs->ctx, fd, have);
        if (rc == 0 && have < bytes) {
            rc = fs->fdatasync(fs->ctx, fd);
        }
    }
    return rc;
}

/* Give the open file of p its length and see it and its name to disk. */
static int complete(struct raft_wal_prep *p)
{
    const struct raft_fs *fs = p->fs;
    int rc = fill(fs, p->fd, p->bytes);
    if (rc == 0) {
        rc = fs->size(fs->ctx, p->fd, &p->bytes); /* a recycled file may be longer */
    }
    if (rc == 0) {
        rc = fs->fdatasync(fs->ctx, p->fd);
    }
    if (rc == 0 && !RAFT_BUG(5)) {
        rc = fs->sync_dir(fs->ctx, "wal");
    }
    return rc;
}

void raft_wal_prep_run(struct raft_wal_prep *p)
{
    char path[SEGMENT_PATH_BYTES];
    int flags = RAFT_FS_READ | RAFT_FS_WRITE | RAFT_FS_CREATE;
    MUST(p->out);
    raft__segment_path(path, p->seq);
    if (p->from != 0) {
        char old[SEGMENT_PATH_BYTES];
        raft__segment_path(old, p->from);
        p->rc = p->fs->rename(p->fs->ctx, old, path);
        if (p->rc != 0 && p->rc != -ENOENT) {
            return;
        }
        p->from = 0;
        flags = p->rc == 0 ? RAFT_FS_READ | RAFT_FS_WRITE : flags;
    }
    p->rc = p->fs->open(p->fs->ctx, path, flags, &p->fd);
    if (p->rc == 0) {
        p->rc = complete(p);
        if (p->rc == 0) {
            return;
        }
        (void)p->fs->close(p->fs->ctx, p->fd); /* the file is given up */
    }
    p->fd = -1;
    (void)p->fs->unlink(p->fs->ctx, path); /* a left-over is a spare for the next start */
}

static int ready_reserve(struct raft_wal *w)
{
    struct wal_ready *list =
        raft__wal_grow(w->ready, w->ready_count + 1, &w->ready_room, sizeof *list);
    if (list == NULL) {
        return -ENOMEM;
    }
    w->ready = list;
    return 0;
}

static void ready_add(struct raft_wal *w, uint64_t seq, uint64_t bytes, int fd)
{
    MUST(w->ready_count < w->ready_room);
    MUST(w->ready_count == 0 || w->ready[w->ready_count - 1].seq < seq);
    bytes = bytes < SEGMENT_BYTES_MAX ? bytes : SEGMENT_BYTES_MAX;
    w->ready[w->ready_count++] = (struct wal_ready){.seq = seq, .bytes = bytes, .fd = fd};
}

/* Before the log goes on, an orphan may be missed yet: what follows it may be in the page cache only. */
static int orphan_usable(const struct raft_wal *w)
{
    return w->orphans_count > 0 && w->orphans[w->orphans_count - 1] > w->unfit_through &&
           !w->repair && w->resumed;
}

/* Take a name, and a released file when there is one, for the next segment. */
static int prep_begin(struct raft_wal *w, uint64_t bytes)
{
    struct raft_wal_prep *p = &w->prep;
    if (p->out) {
        return -EBUSY; /* its name stands before the next one */
    }
    int rc = ready_reserve(w);
    if (rc != 0) {
        return rc;
    }
    *p = (struct raft_wal_prep){
        .fs = w->fs, .out = 1, .seq = w->next_seq++, .bytes = bytes, .fd = -1};
    if (orphan_usable(w)) {
        p->from = w->orphans[--w->orphans_count];
    }
    return 0;
}

int raft_wal_prep_end(struct raft_wal *w)
{
    struct raft_wal_prep *p = &w->prep;
    MUST(p->out);
    p->out = 0;
    if (p->rc == 0) {
        ready_add(w, p->seq, p->bytes, p->fd);
    } else if (p->from != 0) {
        (void)raft__wal_add_orphan(w, p->from); /* without memory: found again at the next start */
    }
    return p->rc;
}

/* So many segments may be ready: what the log gave up is kept for as much again as the log is long, for
 * a file that is there already costs neither room nor the time to fill it. */
static uint32_t ready_max(const struct raft_wal *w)
{
    uint32_t more = w->segments_count < WAL_SPARE_MAX ? w->segments_count : WAL_SPARE_MAX;
    return w->o.segments_ready + more;
}

static int ready_wanted(const struct raft_wal *w)
{
    return w->ready_count < w->o.segments_ready ||
           (w->ready_count < ready_max(w) && orphan_usable(w));
}

int raft_wal_prep(struct raft_wal *w, struct raft_wal_prep **ret_p)
{
    if (w->failed) {
        return RAFT_STORE_EFAILED;
    }
    if (w->prep.out || !ready_wanted(w)) {
        return 0;
    }
    int rc = prep_begin(w, w->o.segment_bytes);
    if (rc != 0) {
        return rc;
    }
    *ret_p = &w->prep;
    return 1;
}

int raft__wal_make_ready(struct raft_wal *w, uint64_t bytes)
{
    int rc = prep_begin(w, bytes);
    if (rc != 0) {
        return rc;
    }
    raft_wal_prep_run(&w->prep);
    return raft_wal_prep_end(w);
}

int raft__wal_adopt_ready(struct raft_wal *w, uint64_t seq)
{
    char path[SEGMENT_PATH_BYTES];
    struct raft_wal_prep p = {.fs = w->fs, .bytes = w->o.segment_bytes};
    raft__segment_path(path, seq);
    int rc = ready_reserve(w);
    if (rc == 0) {
        rc = w->fs->open(w->fs->ctx, path, RAFT_FS_READ | RAFT_FS_WRITE, &p.fd);
    }
    if (rc != 0) {
        return rc;
    }
    rc = complete(&p);
    if (rc != 0) {
        (void)w->fs->close(w->fs->ctx, p.fd); /* nothing was written that matters */
        return rc;
    }
    ready_add(w, seq, p.bytes, p.fd);
    return 0;
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

/* Delete the ready segments that the log has become too short for; the last ones, for the names go on
 * from there. */
static int ready_trim(struct raft_wal *w)
{
    while (w->ready_count > ready_max(w)) {
        char path[SEGMENT_PATH_BYTES];
        const struct wal_ready *r = &w->ready[w->ready_count - 1];
        raft__segment_path(path, r->seq);
        int rc = w->fs->unlink(w->fs->ctx, path);
        if (rc != 0 && rc != -ENOENT) {
            return rc;
        }
        (void)w->fs->close(w->fs->ctx, r->fd); /* nothing in it matters */
        w->ready_count--;
    }
    return 0;
}

int raft__wal_tidy_files(struct raft_wal *w)
{
    while (!w->prep.out && ready_wanted(w)) { /* takes orphans first */
        int rc = raft__wal_make_ready(w, w->o.segment_bytes);
        if (rc != 0) {
            return rc;
        }
    }
    if (w->prep.out || w->repair) {
        return 0; /* while in repair nothing that may hold a good copy is thrown away */
    }
    if (w->orphans_count == 0) {
        return ready_trim(w);
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
