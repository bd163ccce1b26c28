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
 * A torn batch was never acknowledged: its sync did not return. Behind rot, terms, votes and SNAPMARKs
 * are still believed (terms must not go back), entries are only counted, and commit indexes are not
 * looked at: the entries before the rot may have been superseded within it, and be others than those
 * that were committed.
 *
 * Is the vote known, when there is rot? It is when a hard state (HARDSTATE, SEAL, header of a segment)
 * stands behind the rot and all that follows it to the end of the log is whole; or when what was lost
 * cannot have been a hard state, for the checksums chain around it and its length is not that of one.
 * Else it is in doubt, and the verdict says so (RAFT_DAMAGE_VOTE).
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
    w->doubt = (r->flags & SEGMENT_DOUBT) != 0;
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

/* A term and vote behind damage. Not its commit index: the entries in front of the damage may have been
 * superseded by lost ones, which were the committed ones then. */
static void take_vote_behind(struct wal_recovery *rec, raft_term term, raft_id vote, uint32_t flags)
{
    struct raft_wal *w = rec->w;
    if (term >= w->term) {
        w->term = term;
        w->vote = vote;
    }
    w->doubt |= (flags & SEGMENT_DOUBT) != 0;
    rec->behind.known = 1;
}

/* Can what was lost between the record before and r (at offset) have been a hard state? Not when the
 * checksums chain one record to r whose length is not that of a hard state. */
static int gap_is_harmless(const struct wal_recovery *rec, const struct record *r, uint64_t offset)
{
    uint64_t bytes = offset - rec->behind.next;
    if (bytes < RECORD_HEADER_BYTES || bytes == raft__record_bytes(RECORD_HARDSTATE_BODY)) {
        return 0;
    }
    const uint8_t *lost = rec->scan.data + rec->behind.next;
    uint32_t chain = get_u32(lost + 4);
    return chain == raft__record_chain(rec->behind.chain, get_u32(lost)) &&
           r->chain == raft__record_chain(chain, r->crc);
}

/* r (at offset) is the next intact record behind damage: was anything lost that matters? */
static void follow_behind(struct wal_recovery *rec, const struct record *r, uint64_t offset)
{
    int next =
        offset == rec->behind.next && r->chain == raft__record_chain(rec->behind.chain, r->crc);
    if (!next && !gap_is_harmless(rec, r, offset)) {
        rec->behind.known = 0;
    }
    rec->behind.next = offset + raft__record_bytes(r->len);
    rec->behind.chain = r->chain;
}

/* An intact record behind damage. */
static void visit_behind(void *arg, const struct record *r, uint64_t offset)
{
    struct wal_recovery *rec = arg;
    follow_behind(rec, r, offset);
    if (r->type == RECORD_HARDSTATE) {
        take_vote_behind(rec, r->term, get_u32(r->body), r->flags);
    } else if (r->type == RECORD_SEAL && r->term > 0 && r->index <= UINT32_MAX) {
        take_vote_behind(rec, r->term, (raft_id)r->index, 0);
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
    if (rec->damaged) {
        take_vote_behind(rec, h->term, h->vote, h->flags);
    } else {
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
        w->doubt = (h->flags & SEGMENT_DOUBT) != 0;
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
    if (rec->files.bad_end > 0) {
        w->unfit_through = max_u64(w->unfit_through, file->seq);
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

/* Acknowledged data is damaged at rec->scan.pos: the log ends there. headed: the header of that segment is
 * there. */
static int note_damage(struct wal_recovery *rec, int headed)
{
    struct raft_wal *w = rec->w;
    struct wal_debris debris;
    rec->damaged = 1;
    rec->seen_index = max_u64(rec->seen_index, raft__wal_log_last(&w->log));
    w->damage.seq = rec->scan.seq;
    w->damage.offset = rec->scan.pos;
    rec->behind.next = rec->scan.pos;
    rec->behind.chain = rec->scan.chain;
    rec->behind.known = headed; /* through there */
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
    rec->behind.next = SEGMENT_HEADER_BYTES;
    rec->behind.chain = rec->scan.chain;
    if (file->kind == WAL_FILE_SEGMENT) {
        take_header(rec, &file->header);
    } else {
        rec->behind.known = 0;
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
        return note_damage(rec, 0);
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
        return note_damage(rec, 1);
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
        return note_damage(rec, 1);
    }
    rec->torn = debris.records > 0 || debris.begun;
    if (rec->torn) {
        rec->seen_entries = debris.entries;
        rec->torn_index = debris.index;
        rec->torn_term = debris.term;
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

/* What the core is to be told (enum raft_damage). */
static void conclude_damage(const struct wal_recovery *rec, raft_index last)
{
    const struct raft_wal *w = rec->w;
    struct raft_wal_state *s = &rec->w->state;
    const struct wal_place *place = raft__wal_log_at(&w->log, last);
    raft_term last_term = place != NULL ? place->term : w->snapshot.term;
    if (w->repair) {
        s->damage = RAFT_DAMAGE_HOLE | (w->doubt ? RAFT_DAMAGE_VOTE : 0u);
        s->damage_index = w->damage.index;
    }
    if (rec->torn &&
        (rec->torn_term > last_term || (rec->torn_term == last_term && rec->torn_index > last))) {
        s->damage |= RAFT_DAMAGE_TAIL;
        s->damage_index = rec->torn_index;
        s->damage_term = rec->torn_term;
    }
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
        /* The last hard state seen stands only if what follows it is whole to the end of the log. */
        w->doubt |= !rec->behind.known || rec->files.bad_end > rec->behind.next;
        w->damage.index = max_u64(max_u64(rec->seen_index, w->commit), last);
    }
    w->commit = w->commit < last ? w->commit : last;
    conclude_damage(rec, last);
    if (w->repair) {
        s->health = RAFT_WAL_REPAIR;
        raft__wal_say(
            &detail,
            "wal/%016" PRIx64 ".seg at offset %" PRIu64 ": acknowledged data is damaged%s; "
            "entries through %" PRIu64 " are intact, entries through %" PRIu64 " were there%s",
            w->damage.seq, w->damage.offset, rec->damaged ? "" : " (found earlier)", last,
            w->damage.index, w->doubt ? ", and perhaps a later vote" : "");
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
