/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_impl.h: the body of struct raft_wal, shared by wal*.c and nobody else.
 *
 * wal.c         the public functions            wal_batch.c    batches: packing, writing, syncing
 * wal_log.c     index -> place on disk          wal_files.c    segments: made ready, begun, released
 * wal_recover.c open: what the log says         wal_scan.c     reading the records of one segment
 * wal_chain.c   open: which files are the log   wal_resume.c   open: where to go on writing
 * wal_ballast.c the reserve of a full disk
 *
 * Thread: the WAL's.
 */
#ifndef COORD_RAFT_STORAGE_WAL_IMPL_H
#define COORD_RAFT_STORAGE_WAL_IMPL_H

#include "raft/mutant.h"
#include "raft/storage/must.h"
#include "raft/storage/segment.h"

#define WAL_BATCH_BYTES_MAX   (1u << 20) /* one write; a larger entry goes alone */
#define WAL_BATCH_RECORDS_MAX 4096u      /* bounds the two arrays a batch is assembled in */
#define WAL_FILL_BYTES        (2u << 20) /* of a new segment, between two syncs */
#define WAL_SPARE_MAX         32u /* ready segments above those asked for: they are descriptors */

/* A batch with nothing but a SNAPMARK. */
#define WAL_EMPTIED_BYTES (RECORD_BATCH_BYTES + RECORD_HEADER_BYTES + RECORD_SNAPMARK_BODY)

/* ------------------------------------------------------------------------------------------- */
/* wal_log.c: where the entries are                                                              */

struct wal_place {
    raft_term term;
    uint32_t segment; /* ordinal, see raft_wal.segments_base */
    uint32_t offset;  /* of the record */
    uint32_t bytes;   /* of the payload */
    uint8_t type;
};

struct wal_log {
    struct wal_place *ring; /* the place of index i is at i modulo slots */
    uint32_t slots;         /* power of two, or 0 */
    raft_index first;       /* 1 when nothing was ever there */
    uint32_t count;
};

static inline raft_index raft__wal_log_last(const struct wal_log *log)
{
    return log->first + log->count - 1;
}

/* Make room for `more` entries behind the last. Errors: -ENOMEM. */
int raft__wal_log_reserve(struct wal_log *log, uint32_t more);

/* The entry at index is at place; those at or after index are forgotten first. index is at most
 * last + 1; below first it begins the log anew. Room must be reserved. */
void raft__wal_log_put(struct wal_log *log, raft_index index, const struct wal_place *place);

/* NULL when index is not in the log. Valid until the log changes. */
const struct wal_place *raft__wal_log_at(const struct wal_log *log, raft_index index);

/* The log is empty and goes on after index. */
void raft__wal_log_empty(struct wal_log *log, raft_index index);

/* A snapshot stands at index and term: the entries after it stay if the one at index is its, else
 * (Raft figure 13, rule 7) the log is empty and goes on after index. An older one changes nothing.
 * Return: 1 when it emptied the log, else 0. */
int raft__wal_log_snapmark(struct wal_log *log, raft_index index, raft_term term);

/* Forget the entries at or before index. */
void raft__wal_log_compact(struct wal_log *log, raft_index index);

void raft__wal_log_finish(struct wal_log *log);

/* ------------------------------------------------------------------------------------------- */
/* Segments                                                                                      */

/* One that belongs to the log. */
struct wal_segment {
    uint64_t seq;
    uint64_t bytes;
    uint64_t salt;
    int fd;
    uint64_t last_batch; /* that counts */
    uint32_t last_chain;
};

/* One that may be written next: full length, contents and name on disk. */
struct wal_ready {
    uint64_t seq;
    uint64_t bytes;
    int fd;
};

/* One that is being made ready, by whatever thread while `out`. */
struct raft_wal_prep {
    const struct raft_fs *fs;
    int out;
    int rc;
    int fd;
    uint64_t seq;
    uint64_t bytes;
    uint64_t from; /* the file that is to be renamed; 0 none, or no longer */
};

/* One record of a batch being assembled: padding of the record before, header, small body. */
struct wal_slot {
    uint8_t pad[8];
    uint8_t header[RECORD_HEADER_BYTES];
    uint8_t body[24];
};
_Static_assert(sizeof(struct wal_slot) == 64, "header and body lie behind one another");

struct wal_snapmark {
    raft_index index; /* 0: none */
    raft_term term;
    uint64_t digest[2];
};

struct wal_damage {
    uint64_t seq;
    uint64_t offset;
    raft_index index; /* the highest known to have been there */
};

struct raft_wal {
    struct raft_wal_options o;
    const struct raft_fs *fs;
    uint64_t rng;
    uint64_t nonce;   /* of this opening */
    int failed;       /* sticky */
    int ballast_done; /* made, or given up until the next opening */

    struct wal_log log;
    raft_term term;
    raft_id vote;
    raft_index commit;
    struct wal_snapmark snapshot; /* the newest */
    int repair;
    int doubt; /* with repair: a later term and vote may be lost */
    struct wal_damage damage;

    struct wal_segment *segments; /* oldest first */
    uint32_t segments_count;
    uint32_t segments_room;
    uint32_t segments_base; /* ordinal of segments[0] */
    struct {
        uint64_t seq;
        uint64_t batch;
        uint32_t chain;
    } before;                /* the segment before segments[0], which may be gone */
    struct wal_ready *ready; /* in order of seq, all above every segment */
    uint32_t ready_count;
    uint32_t ready_room;
    struct raft_wal_prep prep;
    uint64_t *orphans; /* seq of files that are of no use any more */
    uint32_t orphans_count;
    uint32_t orphans_room;
    uint64_t
        unfit_through; /* files through this seq are not used again: they were part of a damaged
                               log, or the disk could not read one, or nobody has read one */
    uint64_t next_seq; /* above every file */
    int resumed; /* opened: where the log goes on is on disk, so what it gave up may be changed */

    /* Writing. The last of segments is written while active. */
    int active;
    struct wal_snapmark emptied; /* to be written before anything else: the log in memory no longer
                                    follows what the segments before hold */
    int header_pending;          /* its header goes out with the next batch */
    int dirty;                   /* written since the last sync */
    int sealed;                  /* the last batch is attested, or there is nothing to attest */
    uint64_t pos;
    uint32_t chain;
    uint64_t next_batch;
    uint64_t durable_batch;
    uint8_t *page; /* SEGMENT_HEADER_BYTES */
    struct segment_header header;
    uint8_t batch_record[RECORD_BATCH_BYTES];
    struct wal_slot *slots; /* WAL_BATCH_RECORDS_MAX + 1 */
    struct iovec *iov;

    struct raft_wal_state state;
    struct raft_entry *entries; /* of state, until the first write */
};

/* What headers and hard states say of it: enum segment_flag. */
static inline uint8_t raft__wal_flags(const struct raft_wal *w)
{
    return (uint8_t)((w->repair ? SEGMENT_REPAIR : 0) |
                     (w->repair && w->doubt ? SEGMENT_DOUBT : 0));
}

static inline struct wal_segment *raft__wal_last_segment(const struct raft_wal *w)
{
    MUST(w->segments_count > 0);
    return &w->segments[w->segments_count - 1];
}

/* The next random number of w. */
uint64_t raft__wal_draw(struct raft_wal *w);

/* Make array p of elements of `size` bytes hold at least count; *room is updated.
 * Return: the array, or NULL (p is then as it was). */
void *raft__wal_grow(void *p, uint32_t count, uint32_t *room, size_t size);

/* ------------------------------------------------------------------------------------------- */
/* wal_files.c                                                                                   */

/* Make one more segment ready, at least bytes long, from a released file or a new one.
 * Errors: negative errno, never final; -EBUSY while another thread prepares one. Nothing is left behind
 * that recovery minds. */
int raft__wal_make_ready(struct raft_wal *w, uint64_t bytes);

/* Open and complete the file seq, known to be of no use as it is, as a ready segment. */
int raft__wal_adopt_ready(struct raft_wal *w, uint64_t seq);

/* Let the first ready segment (there is one) follow the last segment of the log; its header is in
 * w->header and w->page and pending. Errors: -ENOMEM. */
int raft__wal_begin(struct raft_wal *w);

/* Give up the oldest segment of the log: its file becomes an orphan. Errors: -ENOMEM. */
int raft__wal_release_oldest(struct raft_wal *w);
int raft__wal_add_orphan(struct raft_wal *w, uint64_t seq);

/* Recycle or delete the orphans, and make segments ready. Errors: negative errno, never final. */
int raft__wal_tidy_files(struct raft_wal *w);

/* ------------------------------------------------------------------------------------------- */
/* wal_ballast.c                                                                                 */

/* Make a piece of the ballast file, if one is wanted. Return: 1 when there is more to make, else 0. */
int raft__wal_ballast(struct raft_wal *w);

/* ------------------------------------------------------------------------------------------- */
/* wal_batch.c                                                                                   */

enum wal_tail { WAL_TAIL_NONE = 0, WAL_TAIL_SEAL = RECORD_SEAL, WAL_TAIL_END = RECORD_END };

struct wal_pack {
    uint32_t count; /* operations that fit */
    uint32_t bytes; /* of their records */
    int full;       /* the next one would not fit into this segment */
};

/* Bytes of records that one more batch of the active segment may have. */
uint64_t raft__wal_batch_room(const struct raft_wal *w);
uint64_t raft__wal_capacity(uint64_t segment_bytes);

/* How many of ops fit into one batch of at most room bytes. */
struct wal_pack raft__wal_pack(const struct raft_wal_op *ops, uint32_t count, uint64_t room);

/* Write one batch, without a sync, and take its operations over into memory. With WAL_TAIL_END a
 * segment is ready. Errors: negative errno; final. */
int raft__wal_emit(struct raft_wal *w, const struct raft_wal_op *ops, const struct wal_pack *pack,
                   enum wal_tail tail);

/* Errors: negative errno; final. */
int raft__wal_sync(struct raft_wal *w);

/* End the active segment and begin the next (one is ready). Errors: as emit, -ENOMEM; final. */
int raft__wal_roll(struct raft_wal *w);

/* Write all of ops, rolling as needed; enough segments are ready. Errors: final. */
int raft__wal_put(struct raft_wal *w, const struct raft_wal_op *ops, uint32_t count);

/* ------------------------------------------------------------------------------------------- */
/* wal_scan.c                                                                                    */

/* What reading a segment record by record shows; offsets are in the file. */
struct wal_scan {
    const uint8_t *data; /* the file */
    uint64_t bytes;
    uint64_t seq;
    uint64_t salt;
    uint64_t pos;     /* behind the last valid batch */
    uint32_t chain;   /* there */
    uint64_t batch;   /* the last valid one */
    uint64_t durable; /* the highest that a valid BATCH record here claims to be on disk */
    int ended;        /* END was the last record; then */
    uint64_t end_seq; /* the segment it names */
    uint64_t end_bytes;
};

typedef void (*wal_visit)(void *arg, const struct record *r, uint64_t offset);

/* Read the batch at s->pos if it is valid and its number is at most `limit`.
 * visit: called for each record of a valid batch, may be NULL.
 * Return: 1 when there was one (s moved on), else 0. */
int raft__wal_scan_batch(struct wal_scan *s, uint64_t limit, wal_visit visit, void *arg);

/* What lies behind the last valid batch. */
struct wal_debris {
    uint32_t records; /* intact ones of this life of the segment */
    uint32_t entries; /* ENTRY among them */
    raft_index index; /* the furthest of those, by term and index */
    raft_term term;
    uint64_t batch;   /* the highest number of a BATCH record */
    uint64_t durable; /* the highest batch that a BATCH record claims to be on disk */
    int begun;        /* something that looks like the next batch begins at s->pos */
};

/* Search from s->pos to the end for records of this segment; visit as above, for intact records in
 * the order of the file. */
void raft__wal_scan_debris(const struct wal_scan *s, wal_visit visit, void *arg,
                           struct wal_debris *ret_debris);

/* Is there, in a segment whose header is lost, a batch known to have been on disk (any: a batch)?
 * Return: 1 and its salt, else 0. */
int raft__wal_scan_headless(const uint8_t *data, uint64_t bytes, uint64_t seq, int any,
                            uint64_t *ret_salt);

/* ------------------------------------------------------------------------------------------- */
/* wal_chain.c                                                                                   */

enum wal_file_kind {
    WAL_FILE_SPARE = 1,   /* never begun, in this life */
    WAL_FILE_SEGMENT = 2, /* its header is valid */
    WAL_FILE_HEADLESS = 3 /* its header is lost, but batches in it were acknowledged */
};

struct wal_file {
    uint64_t seq;
    uint64_t bytes;
    enum wal_file_kind kind;
    int in_log;
    int unreadable;               /* the disk does not give its header, nor any batch */
    struct segment_header header; /* SEGMENT; HEADLESS: seq, salt only */
    uint32_t chain;               /* SEGMENT: with which its first record continues */
};

struct wal_files {
    struct wal_file *list; /* ascending by seq */
    uint32_t count;
    uint32_t room;
    uint32_t *log; /* numbers of those that are the log, oldest first */
    uint32_t log_count;
    uint64_t missing; /* the segment that should precede the oldest one and is not there; or 0 */
    uint8_t *data;    /* of the segment read last */
    uint64_t data_room;
    uint64_t bad_end; /* of the last page of it that could not be read; 0 none */
};

/* Where an error goes: text of n bytes. */
struct wal_why {
    char *text;
    size_t n;
};
void raft__wal_say(const struct wal_why *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* List and classify wal/, and find the files that are the log.
 * Errors: RAFT_STORE_EFOREIGN, EVERSION, ECORRUPT, negative errno; why says more.
 * Ownership: raft__wal_files_finish in any case. */
int raft__wal_files_find(struct raft_wal *w, struct wal_files *f, const struct wal_why *why);
void raft__wal_files_finish(struct wal_files *f);

/* Read the first `bytes` of an open file into f->data; pages that the disk cannot read are filled so
 * that they count as damage. Errors: negative errno. */
int raft__wal_files_read(struct raft_wal *w, struct wal_files *f, int fd, uint64_t bytes);

/* ------------------------------------------------------------------------------------------- */
/* wal_recover.c, wal_resume.c                                                                   */

struct wal_recovery {
    struct raft_wal *w;
    struct wal_why why;
    struct wal_files files;
    struct wal_scan begin; /* the newest segment, where its records begin */
    struct wal_scan scan;  /* the same behind its last valid batch */
    uint64_t durable;      /* highest batch known to have been on disk */
    uint64_t batch_max;    /* highest number seen anywhere */
    struct {
        uint32_t segment; /* ordinal */
        uint64_t offset;
        struct wal_snapmark mark;
    } emptied; /* the last SNAPMARK that emptied the log */
    int fresh;
    int torn;
    int damaged;           /* now, not at an earlier start */
    int rc;                /* of a visit */
    raft_index seen_index; /* highest entry seen behind damage, */
    uint32_t seen_entries; /* and how many */
    raft_index torn_index; /* the furthest entry of a torn tail */
    raft_term torn_term;
    struct {
        uint64_t
            next; /* behind damage: where the next record should begin, in the segment read now, */
        uint32_t chain; /* the chain there, */
        int known;      /* no hard state can have been lost since the last one that was seen */
    } behind;
};

/* Read the log into w. Errors: as raft_wal_open. */
int raft__wal_recover(struct wal_recovery *rec);

/* Bring w to where it can write: in place, in a new segment into which what is not known to be on
 * disk is copied, or (REPAIR) at the first write. Errors: as raft_wal_open. */
int raft__wal_resume(struct wal_recovery *rec);

#endif
