/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the decision table of recovery (raft/storage/README.md, "What recovery answers") holds row by
 * row: what is answered, which entries survive, what the core is told of it (enum raft_damage), and
 * that neither a refusal nor a verdict of REPAIR changes a byte on disk.
 * Method: one log of many segments on a simulated disk, spoiled in one way per row at places that are
 * found by walking its records; the same row is then opened, written to, crashed and opened again.
 */
#include "raft/storage/crc32c.h"
#include "raft/storage/segment.h"
#include "tests/lib/walkit.h"
#include "tests/sim/disk.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILE_BYTES  8192u
#define BATCHES     17
#define ENTRY_BYTES 400u
#define SMALL_BYTES 60u
#define RECORDS_MAX 256

/* How the log was written. */
enum shape {
    SEALED,   /* every batch begins with a hard state; in the end a SEAL */
    UNSEALED, /* no SEAL: nothing attests the newest batch */
    QUIET     /* the newest hard state is in the batch before the last two, small ones; no SEAL */
};

struct place {
    uint64_t seq;
    uint64_t offset;
    uint64_t index;
    uint32_t len;
    uint8_t type;
    int batch; /* the place of its BATCH record */
};

struct log {
    struct sim_disk *disk;
    struct walkit_model all;
    uint64_t newest; /* segment */
    struct place places[RECORDS_MAX];
    int count;
    raft_index keeps; /* the last entry that must survive */
    raft_index tail;  /* with TAIL: the furthest readable entry */
    uint64_t cluster_id;
    raft_id node_id;
    int must_exist;
};

/* ------------------------------------------------------------------------------------------- */
/* Making and walking                                                                            */

static int open_log(const struct log *l, uint64_t salt, struct raft_wal **w, char *why, size_t n)
{
    struct raft_wal_options o;
    walkit_options(&o, sim_disk_fs(l->disk), FILE_BYTES, salt);
    o.cluster_id = l->cluster_id != 0 ? l->cluster_id : o.cluster_id;
    o.node_id = l->node_id != 0 ? l->node_id : o.node_id;
    o.must_exist = l->must_exist;
    return raft_wal_open(&o, w, why, n);
}

static const uint8_t *segment_data(const struct log *l, uint64_t seq, char path[64])
{
    uint64_t bytes;
    (void)snprintf(path, 64, "wal/%016" PRIx64 ".seg", seq);
    return sim_disk_data(l->disk, path, &bytes);
}

static void walk_segment(struct log *l, uint64_t seq)
{
    char path[64];
    const uint8_t *p = segment_data(l, seq, path);
    int batch = -1;
    for (uint64_t at = SEGMENT_HEADER_BYTES;
         raft__record_plausible(p + at, FILE_BYTES - at) && l->count < RECORDS_MAX;) {
        struct place *r = &l->places[l->count];
        memcpy(&r->len, p + at + 8, 4);
        memcpy(&r->index, p + at + 16, 8);
        r->type = p[at + 12];
        r->seq = seq;
        r->offset = at;
        batch = r->type == RECORD_BATCH ? l->count : batch;
        r->batch = batch;
        l->count++;
        at += raft__record_bytes(r->len);
        if (at + RECORD_HEADER_BYTES > FILE_BYTES) {
            break;
        }
    }
}

/* The record number `back` of a type, counted from the end of the log, 0 the last. */
static int find_back(const struct log *l, uint8_t type, int back)
{
    for (int i = l->count - 1; i >= 0; i--) {
        if (l->places[i].type == type && back-- == 0) {
            return i;
        }
    }
    ck_abort_msg("no such record");
    return 0;
}

static void make_log(struct log *l, enum shape shape)
{
    static struct walkit_batch b;
    struct raft_wal *w;
    char why[256];
    memset(l, 0, sizeof *l);
    l->disk = sim_disk_create(1);
    walkit_model_init(&l->all);
    ck_assert_int_eq(open_log(l, 1, &w, why, sizeof why), 0);
    for (int i = 0; i < BATCHES; i++) {
        b.count = 0;
        int small = shape == QUIET && i >= BATCHES - 3; /* they share the newest segment */
        if (shape != QUIET || i < BATCHES - 2) {
            walkit_hardstate(&b, 1 + (raft_term)i, 3, l->all.last);
        }
        for (int k = 0; k < (small ? 2 : 3); k++) {
            walkit_entry(&b, l->all.last + 1 + (raft_index)k, 1 + (raft_term)i,
                         small ? SMALL_BYTES : ENTRY_BYTES);
        }
        ck_assert_int_eq(walkit_write(w, &l->all, &b), 0);
    }
    if (shape == SEALED) {
        ck_assert_int_eq(raft_wal_idle(w), 0);
    }
    raft_wal_close(w);
    sim_disk_kill(l->disk);
    char path[64];
    for (uint64_t seq = 1;
         segment_data(l, seq, path) != NULL && memcmp(segment_data(l, seq, path), "CWAL", 4) == 0;
         seq++) {
        l->newest = seq;
        walk_segment(l, seq);
    }
    ck_assert_uint_ge(l->newest, 4);
    ck_assert_int_lt(l->count, RECORDS_MAX);
    l->keeps = l->all.last;
    if (shape == QUIET) {
        ck_assert_uint_eq(l->places[find_back(l, RECORD_HARDSTATE, 0)].seq, l->newest);
    }
}

static int find_in(const struct log *l, uint64_t seq, uint8_t type, int nth)
{
    for (int i = 0; i < l->count; i++) {
        if (l->places[i].seq == seq && l->places[i].type == type && nth-- == 0) {
            return i;
        }
    }
    ck_abort_msg("no such record");
    return 0;
}

/* The batch of record i is lost: what is before it survives. */
static void loses(struct log *l, int i)
{
    raft_index last = 0;
    for (int k = 0; k < l->places[i].batch; k++) {
        last = l->places[k].type == RECORD_ENTRY ? l->places[k].index : last;
    }
    l->keeps = last;
}

static void flip(struct log *l, int i, uint64_t at)
{
    char path[64];
    (void)segment_data(l, l->places[i].seq, path);
    ck_assert_int_eq(sim_disk_flip(l->disk, path, l->places[i].offset + at, 4), 0);
}

static void overwrite(struct log *l, uint64_t seq, uint64_t offset, const void *data, size_t n)
{
    const struct raft_fs *fs = sim_disk_fs(l->disk);
    struct iovec iov = {(void *)(uintptr_t)data, n};
    char path[64];
    int fd;
    (void)segment_data(l, seq, path);
    ck_assert_int_eq(fs->open(fs->ctx, path, RAFT_FS_READ | RAFT_FS_WRITE, &fd), 0);
    ck_assert_int_eq(fs->pwritev(fs->ctx, fd, &iov, 1, offset), 0);
    ck_assert_int_eq(fs->fdatasync(fs->ctx, fd), 0);
    ck_assert_int_eq(fs->close(fs->ctx, fd), 0);
}

/* From record i to behind record last of its batch or the end of the log. */
static uint64_t span(const struct log *l, int i, int last)
{
    return l->places[last].offset + raft__record_bytes(l->places[last].len) - l->places[i].offset;
}

static int batch_end(const struct log *l, int batch)
{
    int i = batch;
    while (i + 1 < l->count && l->places[i + 1].batch == batch) {
        i++;
    }
    return i;
}

/* ------------------------------------------------------------------------------------------- */
/* The ways to spoil it                                                                          */

static void nothing(struct log *l)
{
    (void)l;
}

/* The last entry of the newest batch did not arrive; the others of the batch did. */
static void newest_batch_torn(struct log *l)
{
    int i = find_back(l, RECORD_ENTRY, 0);
    flip(l, i, 100);
    loses(l, i);
    l->tail = l->places[i].index - 1;
}

static void newest_batch_head_torn(struct log *l)
{
    int i = find_back(l, RECORD_BATCH, 0);
    flip(l, i, 40);
    loses(l, i);
    l->tail = l->all.last;
}

static void newest_batch_never_arrived(struct log *l)
{
    static const uint8_t zeros[FILE_BYTES];
    int i = find_back(l, RECORD_BATCH, 0);
    overwrite(l, l->places[i].seq, l->places[i].offset, zeros, span(l, i, l->count - 1));
    loses(l, i);
}

static void batch_record(struct log *l)
{
    int i = l->places[find_back(l, RECORD_ENTRY, 0)].batch;
    flip(l, i, 36);
    loses(l, i);
}

static void entry_header(struct log *l)
{
    int i = find_back(l, RECORD_ENTRY, 1);
    flip(l, i, 24);
    loses(l, i);
}

static void entry_length(struct log *l)
{
    int i = find_back(l, RECORD_ENTRY, 1);
    flip(l, i, 9);
    loses(l, i);
}

static void entry_body(struct log *l)
{
    int i = find_back(l, RECORD_ENTRY, 4);
    flip(l, i, 32 + 17);
    loses(l, i);
}

/* Two entries and what is between them. */
static void entry_range(struct log *l)
{
    char path[64];
    int i = find_back(l, RECORD_ENTRY, 2);
    (void)segment_data(l, l->places[i].seq, path);
    ck_assert_int_eq(
        sim_disk_scramble(l->disk, path, l->places[i].offset + 50, ENTRY_BYTES + 100, 7), 0);
    loses(l, i);
}

static void hardstate_record(struct log *l)
{
    int i = find_back(l, RECORD_HARDSTATE, 0);
    flip(l, i, 24);
    loses(l, i);
}

static void seal_record(struct log *l)
{
    flip(l, find_back(l, RECORD_SEAL, 0), 4);
}

static void end_record(struct log *l)
{
    int i = find_back(l, RECORD_END, 1);
    flip(l, i, 40);
    loses(l, i);
}

static void header_copy(struct log *l)
{
    char path[64];
    for (uint64_t seq = 1; seq <= l->newest; seq++) {
        (void)segment_data(l, seq, path);
        uint64_t half = seq % 2 == 0 ? SEGMENT_COPY_OFFSET : 0;
        ck_assert_int_eq(sim_disk_scramble(l->disk, path, half, SEGMENT_COPY_OFFSET, seq), 0);
    }
}

static void header_of(struct log *l, uint64_t seq)
{
    char path[64];
    (void)segment_data(l, seq, path);
    ck_assert_int_eq(sim_disk_scramble(l->disk, path, 0, SEGMENT_HEADER_BYTES, 3), 0);
    loses(l, find_in(l, seq, RECORD_BATCH, 0));
}

static void header_first(struct log *l)
{
    header_of(l, 1);
}

static void header_middle(struct log *l)
{
    header_of(l, 3);
}

static void header_newest(struct log *l)
{
    header_of(l, l->newest);
}

/* Nothing is left of the newest segment but the SEAL, which says that there was something before it. */
static void all_but_the_seal(struct log *l)
{
    static const uint8_t zeros[FILE_BYTES];
    int seal = l->places[find_back(l, RECORD_SEAL, 0)].batch;
    ck_assert_uint_eq(l->places[seal].seq, l->newest);
    overwrite(l, l->newest, 0, zeros, l->places[seal].offset);
    loses(l, find_in(l, l->newest, RECORD_BATCH, 0));
}

static void header_and_vote(struct log *l)
{
    flip(l, find_back(l, RECORD_HARDSTATE, 0), 32);
    header_of(l, l->newest);
}

static void lose_file(struct log *l, uint64_t seq)
{
    const struct raft_fs *fs = sim_disk_fs(l->disk);
    char path[64];
    ck_assert_ptr_nonnull(segment_data(l, seq, path));
    ck_assert_int_eq(fs->unlink(fs->ctx, path), 0);
    ck_assert_int_eq(fs->sync_dir(fs->ctx, "wal"), 0);
}

static void file_first(struct log *l)
{
    lose_file(l, 1);
}

static void file_middle(struct log *l)
{
    lose_file(l, 3);
}

static void file_newest(struct log *l)
{
    lose_file(l, l->newest);
}

static void file_all(struct log *l)
{
    char path[64];
    for (uint64_t seq = 1; seq <= l->newest; seq++) {
        lose_file(l, seq);
    }
    ck_assert_ptr_nonnull(segment_data(l, l->newest + 1, path)); /* what was prepared is left */
}

static void file_prepared(struct log *l)
{
    lose_file(l, l->newest + 1);
}

static void file_newest_zeroed(struct log *l)
{
    static const uint8_t zeros[FILE_BYTES];
    overwrite(l, l->newest, 0, zeros, sizeof zeros);
    loses(l, find_in(l, l->newest, RECORD_BATCH, 0));
}

static void cut_file(struct log *l, uint64_t seq, size_t keep)
{
    static uint8_t copy[FILE_BYTES];
    const struct raft_fs *fs = sim_disk_fs(l->disk);
    char path[64];
    int fd;
    memcpy(copy, segment_data(l, seq, path), sizeof copy);
    int how = RAFT_FS_READ | RAFT_FS_WRITE | RAFT_FS_TRUNCATE;
    ck_assert_int_eq(fs->open(fs->ctx, path, how, &fd), 0);
    struct iovec iov = {copy, keep};
    ck_assert_int_eq(fs->pwritev(fs->ctx, fd, &iov, 1, 0), 0);
    ck_assert_int_eq(fs->close(fs->ctx, fd), 0);
}

static void cut_middle(struct log *l)
{
    cut_file(l, 3, 5000);
}

static void cut_newest(struct log *l)
{
    cut_file(l, l->newest, 5000);
}

static void cut_newest_header(struct log *l)
{
    cut_file(l, l->newest, 1000);
}

static void cut_prepared(struct log *l)
{
    cut_file(l, l->newest + 1, 100);
}

static void other_cluster(struct log *l)
{
    l->cluster_id = 99;
}

static void other_member(struct log *l)
{
    l->node_id = 3;
}

/* A header of version 2 with the right checksum. */
static void newer_version(struct log *l)
{
    uint8_t page[SEGMENT_HEADER_BYTES];
    char path[64];
    memcpy(page, segment_data(l, 3, path), sizeof page);
    for (uint64_t at = 0; at <= SEGMENT_COPY_OFFSET; at += SEGMENT_COPY_OFFSET) {
        uint8_t *p = page + at;
        uint32_t bytes;
        memcpy(&bytes, p + 12, 4);
        p[4] = 2;
        uint32_t crc = raft__crc32c(raft__crc32c(0, p, 8), p + 12, bytes - 12);
        memcpy(p + 8, &crc, 4);
    }
    overwrite(l, 3, 0, page, sizeof page);
}

/* What an earlier life of a recycled file left behind the newest batch: records of another salt. */
static void recycled_bytes(struct log *l)
{
    char path[64];
    uint8_t old[600];
    int last = l->count - 1;
    uint64_t end = l->places[last].offset + raft__record_bytes(l->places[last].len);
    memcpy(old, segment_data(l, 1, path) + SEGMENT_HEADER_BYTES, sizeof old);
    ck_assert_uint_le(end + sizeof old, FILE_BYTES);
    overwrite(l, l->newest, end, old, sizeof old);
}

static uint64_t take_batch(const struct log *l, int batch, uint8_t out[FILE_BYTES])
{
    char path[64];
    uint64_t n = span(l, batch, batch_end(l, batch));
    memcpy(out, segment_data(l, l->places[batch].seq, path) + l->places[batch].offset, n);
    return n;
}

/* A batch was written over the one before it, in the same segment. */
static void misdirected_within(struct log *l)
{
    uint8_t bytes[FILE_BYTES];
    int second = find_in(l, 2, RECORD_BATCH, 1);
    int first = find_in(l, 2, RECORD_BATCH, 0);
    uint64_t n = take_batch(l, second, bytes);
    uint64_t room = span(l, first, batch_end(l, first));
    overwrite(l, 2, l->places[first].offset, bytes, n < room ? n : room);
    loses(l, first);
}

/* A batch of one segment was written into another one. */
static void misdirected_elsewhere(struct log *l)
{
    uint8_t bytes[FILE_BYTES];
    int from = find_in(l, 4, RECORD_BATCH, 0);
    int to = find_in(l, 2, RECORD_BATCH, 1);
    uint64_t n = take_batch(l, from, bytes);
    uint64_t room = span(l, to, batch_end(l, to));
    overwrite(l, 2, l->places[to].offset, bytes, n < room ? n : room);
    loses(l, to);
}

/* An older batch came once more behind the newest: it is of this segment, and intact. */
static void misdirected_behind(struct log *l)
{
    uint8_t bytes[FILE_BYTES];
    int last = l->count - 1;
    uint64_t end = l->places[last].offset + raft__record_bytes(l->places[last].len);
    uint64_t n = take_batch(l, find_in(l, l->newest, RECORD_BATCH, 0), bytes);
    n = n < FILE_BYTES - end ? n : FILE_BYTES - end;
    overwrite(l, l->newest, end, bytes, n);
}

/* A write that the disk claimed to have done: zeros where an attested batch should be. */
static void lost_write(struct log *l)
{
    static const uint8_t zeros[FILE_BYTES];
    int i = find_in(l, 3, RECORD_BATCH, 1);
    overwrite(l, 3, l->places[i].offset, zeros, span(l, i, batch_end(l, i)));
    loses(l, i);
}

static void two_damages(struct log *l)
{
    int i = find_in(l, 4, RECORD_ENTRY, 0);
    flip(l, i, 50);
    i = find_in(l, 2, RECORD_HARDSTATE, 0);
    flip(l, i, 3);
    loses(l, i);
}

/* The second one takes the newest hard state. */
static void two_damages_and_the_vote(struct log *l)
{
    int i = find_back(l, RECORD_HARDSTATE, 0);
    flip(l, i, 32);
    i = find_in(l, 2, RECORD_ENTRY, 1);
    flip(l, i, 60);
    loses(l, i);
}

/* The disk cannot read on from the newest batch. */
static void unreadable_end(struct log *l)
{
    char path[64];
    int i = l->places[find_back(l, RECORD_ENTRY, 0)].batch;
    (void)segment_data(l, l->newest, path);
    ck_assert_int_eq(
        sim_disk_bad_range(l->disk, path, l->places[i].offset, FILE_BYTES - l->places[i].offset),
        0);
    /* Read page by page, all of that page is lost. */
    loses(l, find_in(l, l->newest, RECORD_BATCH, 0));
}

/* The head of one segment was written over that of another one, both copies. */
static void misdirected_header(struct log *l)
{
    char path[64];
    uint8_t page[SEGMENT_HEADER_BYTES];
    memcpy(page, segment_data(l, l->newest - 1, path), sizeof page);
    overwrite(l, l->newest, 0, page, sizeof page);
    loses(l, find_in(l, l->newest, RECORD_BATCH, 0));
}

static void unreadable_file(struct log *l, uint64_t seq)
{
    char path[64];
    ck_assert_ptr_nonnull(segment_data(l, seq, path));
    ck_assert_int_eq(sim_disk_bad_range(l->disk, path, 0, FILE_BYTES), 0);
}

static void unreadable_middle(struct log *l)
{
    unreadable_file(l, 3);
    loses(l, find_in(l, 3, RECORD_BATCH, 0));
}

static void unreadable_newest(struct log *l)
{
    unreadable_file(l, l->newest);
    loses(l, find_in(l, l->newest, RECORD_BATCH, 0));
}

/* Nothing tells that it was not begun. */
static void unreadable_prepared(struct log *l)
{
    unreadable_file(l, l->newest + 1);
}

static void unreadable_prepared_second(struct log *l)
{
    unreadable_file(l, l->newest + 2);
}

/* Snapshots, and no log. */
static void no_log_but_snapshots(struct log *l)
{
    struct raft_snap_meta meta = {.cluster_id = 42, .index = 9, .term = 2};
    struct raft_snap_writer *w;
    sim_disk_destroy(l->disk);
    l->disk = sim_disk_create(2);
    ck_assert_int_eq(raft_snap_create(sim_disk_fs(l->disk), &meta, &w), 0);
    ck_assert_int_eq(raft_snap_write(w, 1, "state", 5), 0);
    ck_assert_int_eq(raft_snap_commit(w, &meta), 0);
    l->must_exist = 1; /* as a host says that finds snapshots */
}

/* ------------------------------------------------------------------------------------------- */
/* The table                                                                                     */

#define OK     RAFT_WAL_OK
#define TORN   RAFT_WAL_TORN
#define REPAIR RAFT_WAL_REPAIR
#define HOLE   RAFT_DAMAGE_HOLE
#define VOTE   (RAFT_DAMAGE_HOLE | RAFT_DAMAGE_VOTE)
#define TAIL   RAFT_DAMAGE_TAIL
#define LOST   RAFT_STORE_ECORRUPT

static const struct row {
    const char *what;
    enum shape shape;
    void (*spoil)(struct log *l);
    int answer; /* enum raft_wal_health, or an error */
    uint32_t damage;
} rows[] = {
    {"nothing, sealed", SEALED, nothing, OK, 0},
    {"nothing, not sealed", UNSEALED, nothing, OK, 0},
    {"newest batch torn in the middle", UNSEALED, newest_batch_torn, TORN, TAIL},
    {"newest batch, its head torn", UNSEALED, newest_batch_head_torn, TORN, TAIL},
    {"newest batch never arrived", UNSEALED, newest_batch_never_arrived, OK, 0},
    {"BATCH record, attested", SEALED, batch_record, REPAIR, HOLE},
    {"header of an entry, attested", SEALED, entry_header, REPAIR, HOLE},
    {"length of an entry, attested", SEALED, entry_length, REPAIR, HOLE},
    {"body of an entry, attested", SEALED, entry_body, REPAIR, HOLE},
    {"body of an entry, attested by a batch", UNSEALED, entry_body, REPAIR, HOLE},
    {"body of an entry, no hard state behind", QUIET, entry_body, REPAIR, HOLE},
    {"a range of entries, attested", SEALED, entry_range, REPAIR, HOLE},
    {"newest hard state, a SEAL behind", SEALED, hardstate_record, REPAIR, HOLE},
    {"newest hard state, none behind", QUIET, hardstate_record, REPAIR, VOTE},
    {"SEAL", SEALED, seal_record, TORN, 0},
    {"END", SEALED, end_record, REPAIR, HOLE},
    {"one copy of each header", SEALED, header_copy, OK, 0},
    {"header of the first segment", SEALED, header_first, REPAIR, HOLE},
    {"header of a middle segment", SEALED, header_middle, REPAIR, HOLE},
    {"header of the newest segment, sealed", SEALED, header_newest, REPAIR, HOLE},
    {"header of the newest segment, hard state behind", QUIET, header_newest, REPAIR, HOLE},
    {"header and last hard state of the newest segment", QUIET, header_and_vote, REPAIR, VOTE},
    {"all of the newest segment but its SEAL", SEALED, all_but_the_seal, REPAIR, HOLE},
    {"first segment gone", SEALED, file_first, LOST, 0},
    {"middle segment gone", SEALED, file_middle, LOST, 0},
    {"newest segment gone", SEALED, file_newest, LOST, 0},
    {"all gone but what was prepared", SEALED, file_all, LOST, 0},
    {"prepared segment gone", SEALED, file_prepared, OK, 0},
    {"newest segment all zeros", SEALED, file_newest_zeroed, OK, 0},
    {"middle segment cut short", SEALED, cut_middle, LOST, 0},
    {"newest segment cut short", SEALED, cut_newest, LOST, 0},
    {"newest segment cut within its header", SEALED, cut_newest_header, LOST, 0},
    {"prepared segment cut short", SEALED, cut_prepared, OK, 0},
    {"of another cluster", SEALED, other_cluster, RAFT_STORE_EFOREIGN, 0},
    {"of another member", SEALED, other_member, RAFT_STORE_EFOREIGN, 0},
    {"of a newer version", SEALED, newer_version, RAFT_STORE_EVERSION, 0},
    {"recycled bytes behind the log", SEALED, recycled_bytes, OK, 0},
    {"batch written over another", SEALED, misdirected_within, REPAIR, HOLE},
    {"batch written into another segment", SEALED, misdirected_elsewhere, REPAIR, HOLE},
    {"older batch again behind the log", SEALED, misdirected_behind, TORN, 0},
    {"write that never arrived, attested", SEALED, lost_write, REPAIR, HOLE},
    {"two damages", SEALED, two_damages, REPAIR, HOLE},
    {"two damages, one in the newest hard state", QUIET, two_damages_and_the_vote, REPAIR, VOTE},
    {"unreadable from the newest batch on", SEALED, unreadable_end, REPAIR, VOTE},
    {"header of another segment", SEALED, misdirected_header, REPAIR, HOLE},
    {"middle segment unreadable", SEALED, unreadable_middle, REPAIR, HOLE},
    {"newest segment unreadable", SEALED, unreadable_newest, REPAIR, VOTE},
    {"next prepared segment unreadable", SEALED, unreadable_prepared, REPAIR, VOTE},
    {"other prepared segment unreadable", SEALED, unreadable_prepared_second, OK, 0},
    {"snapshots and no log", SEALED, no_log_but_snapshots, RAFT_STORE_ENOENT, 0},
};

static void check_entries(struct raft_wal *w, const struct log *l, raft_index last)
{
    const struct raft_wal_state *s = raft_wal_state(w);
    uint8_t buf[WALKIT_BYTES_MAX];
    ck_assert_uint_eq(s->first + s->count - 1, last);
    for (raft_index i = s->first; i <= last; i++) {
        const struct raft_entry *e = &s->entries[i - s->first];
        ck_assert_uint_eq(e->term, l->all.entries[i].term);
        ck_assert_int_eq(raft_wal_read(w, i, buf, sizeof buf), e->bytes);
    }
}

static void check_state(struct raft_wal *w, const struct log *l, const struct row *row)
{
    const struct raft_wal_state *s = raft_wal_state(w);
    ck_assert_int_eq((int)s->health, row->answer);
    ck_assert_uint_eq(s->damage, row->damage);
    check_entries(w, l, l->keeps);
    if ((row->damage & RAFT_DAMAGE_VOTE) == 0 && l->keeps == l->all.last) {
        ck_assert_uint_eq(s->term, l->all.term);
    }
    if (row->answer == REPAIR) {
        ck_assert_msg(strstr(s->detail, "wal/0000") != NULL &&
                          strstr(s->detail, "at offset ") != NULL,
                      "%s", s->detail);
        ck_assert_uint_ge(s->repair_index, l->keeps);
        ck_assert_uint_eq(s->damage_index, s->repair_index);
        ck_assert_uint_le(s->commit, l->keeps);
        if ((row->damage & RAFT_DAMAGE_VOTE) == 0) {
            ck_assert_uint_eq(s->term, l->all.term); /* known, so it is the newest */
            ck_assert_uint_eq(s->vote, l->all.vote);
        }
    } else {
        ck_assert_uint_eq(s->repair_index, 0);
    }
    if (row->damage == TAIL) {
        ck_assert_uint_eq(s->damage_index, l->tail);
        ck_assert_uint_eq(s->damage_term, l->all.entries[l->tail].term);
    }
}

/* The verdict lasts through a write and a crash until the log is told; it costs nothing then. */
static void check_lasts(struct log *l, const struct row *row, struct raft_wal *w)
{
    static struct walkit_batch b;
    static struct walkit_model m;
    struct raft_wal *again;
    char why[256];
    walkit_model_init(&m);
    b.count = 0;
    walkit_hardstate(&b, 90, 2, 0);
    walkit_entry(&b, l->keeps + 1, 90, 20);
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    raft_wal_close(w);
    for (int life = 0; life < 2; life++) {
        sim_disk_crash(l->disk, SIM_DISK_CRASH_DROP, 1);
        ck_assert_msg(open_log(l, 5, &again, why, sizeof why) == 0, "%s", why);
        const struct raft_wal_state *s = raft_wal_state(again);
        ck_assert_int_eq((int)s->health, life == 0 ? REPAIR : OK);
        ck_assert_uint_eq(s->damage, life == 0 ? row->damage : 0u);
        ck_assert_uint_eq(s->first + s->count - 1, l->keeps + 1);
        ck_assert_uint_eq(s->term, 90);
        if (life == 0) {
            ck_assert_uint_ge(s->repair_index, l->keeps);
            ck_assert_int_eq(raft_wal_repaired(again), 0);
            ck_assert_int_eq(raft_wal_idle(again), 0);
        }
        raft_wal_close(again);
    }
}

START_TEST(a_row)
{
    static struct log l;
    const struct row *row = &rows[_i];
    struct raft_wal *w = NULL;
    char why[512] = "";
    make_log(&l, row->shape);
    row->spoil(&l);
    uint64_t changes = sim_disk_counts(l.disk)->changes;
    uint64_t writes = sim_disk_counts(l.disk)->writes;
    int rc = open_log(&l, 2, &w, why, sizeof why);
    if (row->answer < 0) {
        ck_assert_msg(rc == row->answer, "%s: %d %s", row->what, rc, why);
        ck_assert_uint_gt(strlen(why), 0);
        ck_assert_uint_eq(sim_disk_counts(l.disk)->changes, changes);
    } else {
        ck_assert_msg(rc == 0, "%s: %d %s", row->what, rc, why);
        check_state(w, &l, row);
        if (row->answer == REPAIR) {
            ck_assert_uint_eq(sim_disk_counts(l.disk)->writes, writes);
            check_lasts(&l, row, w);
        } else {
            raft_wal_close(w);
        }
    }
    sim_disk_destroy(l.disk);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wal table");
    TCase *tc = tcase_create("rows");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_row, 0, (int)(sizeof rows / sizeof rows[0]));
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
