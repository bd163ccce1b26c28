/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_resume.c: where the log goes on after recovery.
 *
 * What was read came through the system's page cache: after a crash of the process, or a failed sync
 * whose pages were then called clean, the disk itself may not have it. Only batches through D (see
 * wal_recover.c) are known to be on disk.
 *
 *     finding                                   | the log goes on
 *     ------------------------------------------+----------------------------------------------------
 *     no log                                    | in a first segment, begun here
 *     nothing behind D but SEAL and END,        | in place, over them
 *     and room to end the segment               |
 *     batches with data behind D, torn, full    | in a new segment, into which the entries behind D
 *                                               | are copied; its header declares the rest of the old
 *                                               | one void. An old segment that is hardly used is
 *                                               | copied whole, so that a process that keeps crashing
 *                                               | does not fill the disk
 *     rot                                       | in a new segment, begun with the first write: an
 *                                               | opening alone changes nothing
 *
 * The copies are written and synced before the header: until the header is there the old segment
 * counts, and afterwards nothing of it does that was not known to be on disk. The copies are attested
 * by the first batch after them, which is written only when the header is on disk, too. In place, the nonce of
 * this opening makes every checksum chain differ from that of whatever the old process left behind.
 *
 * Thread: the WAL's.
 */
#include "raft/storage/wal_impl.h"
#include "raft/storage/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A segment of which less than this part is used is copied whole. */
#define WHOLE_DIVISOR 8u

/* A spare that the disk does not give. It goes at once: were it the next one at some later start, it would
 * have to be taken for a segment (wal_chain.c). With damage nothing is changed. */
static int drop_unreadable(const struct wal_recovery *rec, uint64_t seq)
{
    const struct raft_fs *fs = rec->w->fs;
    char path[SEGMENT_PATH_BYTES];
    if (rec->damaged) {
        return 0;
    }
    raft__segment_path(path, seq);
    int rc = fs->unlink(fs->ctx, path);
    return rc == 0 ? fs->sync_dir(fs->ctx, "wal") : rc;
}

/* Use what spares there are; what cannot be used is deleted when idle. */
static int adopt_files(struct wal_recovery *rec)
{
    struct raft_wal *w = rec->w;
    const struct wal_files *f = &rec->files;
    uint64_t newest = f->log_count == 0 ? 0 : f->list[f->log[f->log_count - 1]].seq;
    for (uint32_t i = 0; i < f->count; i++) {
        int rc = 0;
        if (f->list[i].in_log) {
            continue;
        }
        if (f->list[i].unreadable) {
            rc = drop_unreadable(rec, f->list[i].seq);
        } else if (f->list[i].seq < newest || raft__wal_adopt_ready(w, f->list[i].seq) != 0) {
            rc = raft__wal_add_orphan(w, f->list[i].seq);
            /* One that was begun and left behind was not read: what the disk does not give of it would be
             * taken for lost, wherever the log ends before it. */
            if (f->list[i].kind == WAL_FILE_SEGMENT && f->list[i].seq > w->unfit_through) {
                w->unfit_through = f->list[i].seq;
            }
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int begin_first(struct raft_wal *w)
{
    const struct wal_pack nothing = {0};
    int rc = w->fs->mkdir(w->fs->ctx, "wal");
    if (rc == 0) {
        rc = RAFT_BUG(40) ? 0 : w->fs->sync_dir(w->fs->ctx, ".");
    }
    if (rc == 0 && w->ready_count == 0) {
        rc = raft__wal_make_ready(w, w->o.segment_bytes);
    }
    if (rc == 0) {
        rc = raft__wal_begin(w);
    }
    if (rc == 0) {
        rc = raft__wal_emit(w, NULL, &nothing, WAL_TAIL_SEAL);
    }
    return rc == 0 ? raft__wal_sync(w) : rc;
}

static void visit_data(void *arg, const struct record *r, uint64_t offset)
{
    int *data = arg;
    (void)offset;
    *data |= r->type == RECORD_ENTRY || r->type == RECORD_HARDSTATE || r->type == RECORD_SNAPMARK;
}

/* Go on at the end of what is known to be on disk. A segment of which no batch is known to be there
 * may lack its header too. */
static int resume_in_place(struct raft_wal *w, const struct wal_scan *mark)
{
    struct wal_segment *s = raft__wal_last_segment(w);
    if (mark->pos == SEGMENT_HEADER_BYTES) {
        struct iovec iov = {(void *)(uintptr_t)mark->data, SEGMENT_HEADER_BYTES};
        int rc = w->fs->pwritev(w->fs->ctx, s->fd, &iov, 1, 0);
        if (rc == 0) {
            rc = w->fs->fdatasync(w->fs->ctx, s->fd);
        }
        if (rc != 0) {
            return rc;
        }
    }
    w->pos = mark->pos;
    w->chain = mark->chain;
    s->last_batch = mark->batch;
    s->last_chain = mark->chain;
    w->next_batch = mark->batch + 1;
    w->durable_batch = mark->batch;
    w->active = 1;
    w->sealed = 0; /* the SEAL that attested the last batch may be about to be overwritten */
    return 0;
}

/* The live entries of the newest segment from an offset on, as operations on its bytes in memory.
 * Ownership: the caller frees. Return: NULL when memory is out. */
static struct raft_wal_op *collect(const struct wal_recovery *rec, uint64_t from,
                                   uint32_t *ret_count)
{
    const struct raft_wal *w = rec->w;
    uint32_t newest = w->segments_base + w->segments_count - 1;
    uint32_t count = 0;
    struct raft_wal_op *ops = calloc(w->log.count + 1u, sizeof *ops);
    if (ops == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < w->log.count; i++) {
        raft_index index = w->log.first + i;
        const struct wal_place *place = raft__wal_log_at(&w->log, index);
        if (place->segment != newest || place->offset < from) {
            continue;
        }
        ops[count++] =
            (struct raft_wal_op){.kind = RAFT_WAL_ENTRY,
                                 .term = place->term,
                                 .index = index,
                                 .type = place->type,
                                 .bytes = place->bytes,
                                 .data = rec->scan.data + place->offset + RECORD_HEADER_BYTES};
    }
    *ret_count = count;
    return ops;
}

/* The first ready segment has at least so many bytes. */
static int ensure_ready(struct raft_wal *w, uint64_t bytes)
{
    if (w->ready_count == 0) {
        return raft__wal_make_ready(w, bytes);
    }
    struct wal_ready *r = &w->ready[0];
    if (r->bytes >= bytes) {
        return 0;
    }
    int rc = w->fs->allocate(w->fs->ctx, r->fd, bytes);
    if (rc == 0) {
        rc = w->fs->fdatasync(w->fs->ctx, r->fd);
    }
    if (rc == 0) {
        r->bytes = bytes;
    }
    return rc;
}

/* Write the copies, then the header that makes them count. */
static int write_copies(struct raft_wal *w, const struct raft_wal_op *ops, uint32_t count)
{
    int rc = raft__wal_begin(w);
    if (rc != 0) {
        return rc;
    }
    if (count > 0) { /* it holds these, not only what comes after them */
        w->header.first_index = ops[0].index;
        w->chain = raft__segment_header_encode(w->page, &w->header);
    }
    w->header_pending = 0;
    uint64_t seq = w->header.seq;
    rc = raft__wal_put(w, ops, count);
    if (rc != 0) {
        return rc;
    }
    MUST(w->header.seq == seq); /* they came from a segment no larger */
    struct iovec iov = {w->page, SEGMENT_HEADER_BYTES};
    rc = w->fs->pwritev(w->fs->ctx, raft__wal_last_segment(w)->fd, &iov, 1, 0);
    if (rc != 0) {
        return rc;
    }
    w->dirty = 1;
    w->sealed = 0; /* the header attests nothing: it may be in the page cache only, too */
    return raft__wal_sync(w);
}

static int resume_copying(struct wal_recovery *rec, const struct wal_scan *mark)
{
    struct raft_wal *w = rec->w;
    struct wal_segment *old = raft__wal_last_segment(w);
    int whole = mark->pos == SEGMENT_HEADER_BYTES || /* its header may not be on disk either */
                rec->scan.pos - SEGMENT_HEADER_BYTES <= w->o.segment_bytes / WHOLE_DIVISOR;
    uint64_t from = whole ? SEGMENT_HEADER_BYTES : mark->pos;
    uint64_t bytes = old->bytes > w->o.segment_bytes ? old->bytes : w->o.segment_bytes;
    uint32_t count;
    if (rec->emptied.mark.index != 0 && rec->emptied.offset >= from &&
        rec->emptied.segment == w->segments_base + w->segments_count - 1) {
        w->emptied = rec->emptied.mark; /* its record is among those left behind */
        bytes += WAL_EMPTIED_BYTES;
    }
    int rc = ensure_ready(w, bytes);
    if (rc != 0) {
        return rc;
    }
    struct raft_wal_op *ops = collect(rec, from, &count);
    if (ops == NULL) {
        return -ENOMEM;
    }
    old->last_batch = mark->batch;
    old->last_chain = mark->chain;
    if (whole) {
        rc = raft__wal_add_orphan(w, old->seq);
        if (rc != 0) {
            free(ops);
            return rc;
        }
        (void)w->fs->close(w->fs->ctx, old->fd); /* was only read */
        w->segments_count--;
    }
    w->next_batch = rec->batch_max + 1;
    w->durable_batch = rec->batch_max;
    rc = write_copies(w, ops, count);
    free(ops);
    return rc;
}

int raft__wal_resume(struct wal_recovery *rec)
{
    struct raft_wal *w = rec->w;
    int data = 0;
    int rc = adopt_files(rec);
    if (rc != 0) {
        return rc;
    }
    if (rec->fresh) {
        return begin_first(w);
    }
    if (rec->damaged) {
        w->next_batch = rec->batch_max + 1;
        w->durable_batch = rec->batch_max;
        return 0;
    }
    struct wal_scan mark = rec->begin;
    while (raft__wal_scan_batch(&mark, rec->durable, NULL, NULL)) {
    }
    struct wal_scan tail = mark;
    while (raft__wal_scan_batch(&tail, UINT64_MAX, visit_data, &data)) {
    }
    MUST(tail.pos == rec->scan.pos);
    if (RAFT_BUG(8) && rec->torn) {
        rec->scan.pos += RECORD_BATCH_BYTES; /* leaves what is broken where it is */
        return resume_in_place(w, &rec->scan);
    }
    /* Bytes that were made up may leave no place for the END, which a writer always does. */
    int can_end = mark.pos + SEGMENT_END_BYTES <= raft__wal_last_segment(w)->bytes;
    if (!rec->torn && !data && can_end) {
        return resume_in_place(w, &mark);
    }
    return resume_copying(rec, &mark);
}
