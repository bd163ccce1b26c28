/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_recover.c: what the log says: one forward reading of its segments.
 *
 * The meaning of the records, in the order of the log:
 *     HARDSTATE   replaces term, vote and commit
 *     ENTRY i     forgets every entry at or after i, then is entry i (truncation has no record)
 *     SNAPMARK    a snapshot stands at (index, term); with its flag, the log is empty and goes on after
 *                 index (the writer had no entry of that term there), else it stays as it is
 *     END         the segment that is named follows
 * The header of each segment repeats the hard state and the last SNAPMARK.
 *
 * Torn or rotten. Let L be the last batch that is valid in order, and D the highest batch that any
 * intact BATCH record or header, before or behind the bad place, says was on disk when it was written.
 *
 *     where reading stops                         | finding | what is done
 *     --------------------------------------------+---------+--------------------------------------
 *     in a segment that another one follows       | rot     | REPAIR: the log ends at L
 *     in the newest one, D > L                    | rot     | REPAIR: the log ends at L
 *     in the newest one, the disk cannot read on  | rot     | REPAIR: the log ends at L
 *     in the newest one, D <= L, debris behind L  | torn    | the log ends at L, the rest is void
 *     in the newest one, D <= L, no debris        | end     |
 *
 * A torn batch was never acknowledged: its sync did not return. Behind rot, hard states and SNAPMARKs
 * are still believed (terms must not go back), entries are only counted.
 *
 * What cannot be told: rot of the very last batch before anything attests it. The SEAL that
 * raft_wal_idle writes closes that window.
 *
 * Nothing is changed on disk in here. Thread: the WAL's.
 */
#include "raft/storage/wal_impl.h"
#include "raft/storage/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ------------------------------------------------------------------------------------------- */
/* Records                                                                                       */

static void take_hardstate(struct raft_wal *w, const struct record *r)
{
    w->term = r->term;
    w->vote = get_u32(r->body);
    w->commit = r->index;
    w->repair = (r->flags & SEGMENT_REPAIR) != 0;
}

static struct wal_snapmark snapmark_of(const struct record *r)
{
    return (struct wal_snapmark){r->index, r->term, {get_u64(r->body), get_u64(r->body + 8)}};
}

static void take_snapshot(struct raft_wal *w, const struct wal_snapmark *mark)
{
    if (mark->index > w->snapshot.index) {
        w->snapshot = *mark;
    }
}

/* Behind damage the log cannot be known to reach the snapshot. */
static void take_snapshot_behind(struct raft_wal *w, const struct wal_snapmark *mark)
{
    take_snapshot(w, mark);
    if (raft__wal_log_snapmark(&w->log, mark->index, mark->term)) {
        w->emptied = *mark;
    }
}

static void take_entry(struct wal_recovery *rec, const struct record *r, uint64_t offset)
{
    struct raft_wal *w = rec->w;
    if (r->index == 0 || r->index > w->log.first + w->log.count) {
        raft__wal_say(&rec->why,
                      "wal/%016" PRIx64 ".seg at offset %" PRIu64 ": entry %" PRIu64
                      " does not follow entry %" PRIu64,
                      rec->scan.seq, offset, r->index, raft__wal_log_last(&w->log));
        rec->rc = RAFT_STORE_ECORRUPT;
        return;
    }
    if (RAFT_BUG(7) && r->index <= raft__wal_log_last(&w->log)) {
        return; /* what it supersedes comes back */
    }
    rec->rc = raft__wal_log_reserve(&w->log, 1);
    if (rec->rc != 0) {
        return;
    }
    struct wal_place place = {.term = r->term,
                              .segment = w->segments_base + w->segments_count - 1,
                              .offset = (uint32_t)offset,
                              .bytes = r->len,
                              .type = r->flags};
    raft__wal_log_put(&w->log, r->index, &place);
}

/* A record of a valid batch, in order. */
static void visit_valid(void *arg, const struct record *r, uint64_t offset)
{
    struct wal_recovery *rec = arg;
    if (rec->rc != 0) {
        return;
    }
    if (r->type == RECORD_HARDSTATE) {
        take_hardstate(rec->w, r);
    } else if (r->type == RECORD_ENTRY) {
        take_entry(rec, r, offset);
    } else if (r->type == RECORD_SNAPMARK) {
        struct wal_snapmark mark = snapmark_of(r);
        take_snapshot(rec->w, &mark);
        if ((r->flags & SNAPMARK_EMPTIED) != 0) {
            raft__wal_log_empty(&rec->w->log, r->index);
            rec->emptied.segment = rec->w->segments_base + rec->w->segments_count - 1;
            rec->emptied.offset = offset;
            rec->emptied.mark = mark;
        }
    }
}

/* An intact record behind damage. */
static void visit_behind(void *arg, const struct record *r, uint64_t offset)
{
    struct wal_recovery *rec = arg;
    (void)offset;
    if (r->type == RECORD_HARDSTATE && r->term >= rec->w->term) {
        take_hardstate(rec->w, r);
    } else if (r->type == RECORD_ENTRY) {
        rec->seen_entries++;
        rec->seen_index = max_u64(rec->seen_index, r->index);
    } else if (r->type == RECORD_SNAPMARK && r->index > rec->w->snapshot.index) {
        struct wal_snapmark mark = snapmark_of(r);
        take_snapshot_behind(rec->w, &mark);
    }
}

/* ------------------------------------------------------------------------------------------- */
/* Segments                                                                                      */

/* What the header of a segment repeats. */
static void take_header(struct wal_recovery *rec, const struct segment_header *h)
{
    struct raft_wal *w = rec->w;
    rec->batch_max = max_u64(rec->batch_max, h->first_batch - 1);
    rec->durable = max_u64(rec->durable, h->durable_batch);
    if (!rec->damaged || h->term >= w->term) {
        w->term = h->term;
        w->vote = h->vote;
        w->commit = h->commit;
    }
    struct wal_snapmark mark = {
        h->snapshot_index, h->snapshot_term, {h->snapshot_digest[0], h->snapshot_digest[1]}};
    if (!rec->damaged) {
        take_snapshot(w, &mark);
    } else if (mark.index > w->snapshot.index) {
        take_snapshot_behind(w, &mark);
    }
    if (rec->damaged) {
        rec->seen_index = max_u64(rec->seen_index, h->first_index - 1);
    } else {
        w->repair = (h->flags & SEGMENT_REPAIR) != 0;
        w->damage.seq = h->damage_seq;
        w->damage.offset = h->damage_offset;
        w->damage.index = h->damage_index;
    }
}

/* Open the file for reading and writing and read it. On 0 it is the last of w->segments. */
static int load_segment(struct wal_recovery *rec, const struct wal_file *file)
{
    struct raft_wal *w = rec->w;
    char path[SEGMENT_PATH_BYTES];
    int fd;
    struct wal_segment *list =
        raft__wal_grow(w->segments, w->segments_count + 1, &w->segments_room, sizeof *list);
    if (list == NULL) {
        return -ENOMEM;
    }
    w->segments = list;
    raft__segment_path(path, file->seq);
    int rc = w->fs->open(w->fs->ctx, path, RAFT_FS_READ | RAFT_FS_WRITE, &fd);
    if (rc != 0) {
        raft__wal_say(&rec->why, "%s: %s", path, raft_store_strerror(rc));
        return rc;
    }
    w->segments[w->segments_count++] = (struct wal_segment){.seq = file->seq,
                                                            .bytes = file->header.bytes,
                                                            .salt = file->header.salt,
                                                            .fd = fd,
                                                            .last_batch = file->header.first_batch};
    rc = raft__wal_files_read(w, &rec->files, fd, file->header.bytes);
    if (rc != 0) {
        raft__wal_say(&rec->why, "%s: %s", path, raft_store_strerror(rc));
        return rc;
    }
    rec->begin = (struct wal_scan){.data = rec->files.data,
                                   .bytes = file->header.bytes,
                                   .seq = file->seq,
                                   .salt = file->header.salt,
                                   .pos = SEGMENT_HEADER_BYTES,
                                   .chain = file->chain};
    if (file->kind == WAL_FILE_SEGMENT) {
        rec->begin.batch = file->header.first_batch - 1;
    }
    rec->scan = rec->begin;
    return 0;
}

/* The segment just read adds nothing to the log: it is kept as a file only. */
static int drop_segment(struct raft_wal *w)
{
    const struct wal_segment *s = raft__wal_last_segment(w);
    int rc = raft__wal_add_orphan(w, s->seq);
    if (rc != 0) {
        return rc;
    }
    (void)w->fs->close(w->fs->ctx, s->fd); /* was only read */
    w->segments_count--;
    return 0;
}

/* Acknowledged data is damaged at rec->scan.pos: the log ends there. */
static int note_damage(struct wal_recovery *rec)
{
    struct raft_wal *w = rec->w;
    struct wal_debris debris;
    rec->damaged = 1;
    rec->seen_index = max_u64(rec->seen_index, raft__wal_log_last(&w->log));
    w->damage.seq = rec->scan.seq;
    w->damage.offset = rec->scan.pos;
    raft__wal_scan_debris(&rec->scan, visit_behind, rec, &debris);
    rec->batch_max = max_u64(max_u64(rec->batch_max, debris.batch), rec->scan.batch);
    rec->durable = max_u64(rec->durable, debris.durable);
    if (rec->scan.pos == SEGMENT_HEADER_BYTES) {
        return drop_segment(w); /* none of its batches counts */
    }
    struct wal_segment *s = raft__wal_last_segment(w);
    s->last_batch = rec->scan.batch;
    s->last_chain = rec->scan.chain;
    return 0;
}

/* A segment behind the damage. */
static int read_behind(struct wal_recovery *rec, const struct wal_file *file)
{
    struct wal_debris debris;
    int rc = load_segment(rec, file);
    if (rc != 0) {
        return rc;
    }
    if (file->kind == WAL_FILE_SEGMENT) {
        take_header(rec, &file->header);
    }
    raft__wal_scan_debris(&rec->scan, visit_behind, rec, &debris);
    rec->batch_max = max_u64(rec->batch_max, debris.batch);
    rec->durable = max_u64(rec->durable, debris.durable);
    return drop_segment(rec->w);
}

/* Read a segment in order. next: the one that follows it, or NULL. */
static int read_segment(struct wal_recovery *rec, const struct wal_file *file,
                        const struct wal_file *next)
{
    struct raft_wal *w = rec->w;
    uint64_t limit = UINT64_MAX;
    int rc = load_segment(rec, file);
    if (rc != 0) {
        return rc;
    }
    if (file->kind == WAL_FILE_HEADLESS) {
        return note_damage(rec);
    }
    take_header(rec, &file->header);
    if (next != NULL && next->kind == WAL_FILE_SEGMENT) {
        limit = next->header.prev_batch;
    }
    while (raft__wal_scan_batch(&rec->scan, limit, visit_valid, rec)) {
        if (rec->rc != 0) {
            return rec->rc;
        }
    }
    struct wal_segment *s = raft__wal_last_segment(w);
    s->last_batch = rec->scan.batch;
    s->last_chain = rec->scan.chain;
    rec->batch_max = max_u64(rec->batch_max, rec->scan.batch);
    rec->durable = max_u64(rec->durable, rec->scan.durable);
    if (next != NULL && limit != UINT64_MAX &&
        (rec->scan.batch != limit || rec->scan.chain != next->header.prev_chain)) {
        return note_damage(rec);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------- */
/* Judgement                                                                                     */

/* The newest segment was read in order to its last valid batch: is what follows torn or rotten? */
static int judge_tail(struct wal_recovery *rec)
{
    struct wal_debris debris;
    raft__wal_scan_debris(&rec->scan, NULL, NULL, &debris);
    rec->batch_max = max_u64(rec->batch_max, debris.batch);
    rec->durable = max_u64(rec->durable, debris.durable);
    if (rec->durable > rec->scan.batch || rec->files.bad_end > rec->scan.pos) {
        return note_damage(rec);
    }
    rec->torn = debris.records > 0 || debris.begun;
    if (rec->torn) {
        rec->seen_entries = debris.entries;
    }
    return 0;
}

/* The segment that END names was there, at its full length, before END was written. */
static int check_successor(struct wal_recovery *rec)
{
    const struct wal_files *f = &rec->files;
    if (rec->damaged || rec->torn || !rec->scan.ended) {
        return 0;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->list[i].seq == rec->scan.end_seq && f->list[i].bytes >= rec->scan.end_bytes) {
            return 0;
        }
    }
    raft__wal_say(&rec->why,
                  "wal/%016" PRIx64 ".seg at offset 0: the segment is missing or cut short, "
                  "wal/%016" PRIx64 ".seg says that it follows",
                  rec->scan.end_seq, rec->scan.seq);
    return RAFT_STORE_ECORRUPT;
}

/* Entries before the log's first must be covered by a snapshot. */
static int check_beginning(struct wal_recovery *rec)
{
    const struct raft_wal *w = rec->w;
    if (rec->files.missing == 0 || w->log.first - 1 <= w->snapshot.index) {
        return 0;
    }
    raft__wal_say(&rec->why,
                  "wal/%016" PRIx64 ".seg at offset 0: the segment is missing; the log begins at "
                  "entry %" PRIu64 ", but the last snapshot is of entry %" PRIu64,
                  rec->files.missing, w->log.first, w->snapshot.index);
    return RAFT_STORE_ECORRUPT;
}

static void conclude(struct wal_recovery *rec)
{
    struct raft_wal *w = rec->w;
    struct raft_wal_state *s = &w->state;
    struct wal_why detail = {s->detail, sizeof s->detail};
    raft_index last = max_u64(raft__wal_log_last(&w->log), w->snapshot.index);
    s->fresh = rec->fresh;
    s->torn_entries = rec->seen_entries;
    s->health = RAFT_WAL_OK;
    if (rec->damaged) {
        w->repair = 1;
        w->damage.index = max_u64(max_u64(rec->seen_index, w->commit), last);
    }
    w->commit = w->commit < last ? w->commit : last;
    if (w->repair) {
        s->health = RAFT_WAL_REPAIR;
        raft__wal_say(
            &detail,
            "wal/%016" PRIx64 ".seg at offset %" PRIu64 ": acknowledged data is damaged%s; "
            "entries through %" PRIu64 " are intact, entries through %" PRIu64 " were there",
            w->damage.seq, w->damage.offset, rec->damaged ? "" : " (found earlier)", last,
            w->damage.index);
    } else if (rec->torn) {
        s->health = RAFT_WAL_TORN;
        raft__wal_say(&detail,
                      "wal/%016" PRIx64 ".seg at offset %" PRIu64
                      ": an unfinished write was cut off; the log ends at entry %" PRIu64,
                      rec->scan.seq, rec->scan.pos, last);
    }
}

int raft__wal_recover(struct wal_recovery *rec)
{
    struct raft_wal *w = rec->w;
    struct wal_files *f = &rec->files;
    int rc = raft__wal_files_find(w, f, &rec->why);
    if (rc != 0) {
        return rc;
    }
    rec->fresh = f->log_count == 0;
    for (uint32_t i = 0; i < f->log_count && rc == 0; i++) {
        const struct wal_file *file = &f->list[f->log[i]];
        const struct wal_file *next = i + 1 < f->log_count ? &f->list[f->log[i + 1]] : NULL;
        if (i == 0 && file->kind == WAL_FILE_SEGMENT) {
            w->log.first = file->header.first_index;
            w->before.seq = file->header.prev_seq;
            w->before.batch = file->header.prev_batch;
            w->before.chain = file->header.prev_chain;
        }
        if (rec->damaged) {
            rc = read_behind(rec, file);
        } else {
            rc = read_segment(rec, file, next);
        }
    }
    if (rc == 0 && !rec->fresh && !rec->damaged) {
        rc = judge_tail(rec);
    }
    if (rc == 0) {
        rc = check_successor(rec);
    }
    if (rc == 0) {
        rc = check_beginning(rec);
    }
    if (rc == 0) {
        conclude(rec);
    }
    return rc;
}
