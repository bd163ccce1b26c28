/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: damage is told apart: a torn, never acknowledged tail is cut and the log goes on; anything
 * acknowledged that is damaged or gone ends as REPAIR or as a clear error, never as a log that is
 * silently shorter or different (faults D2, D8, D12, D13, D17).
 * Method: a small log on a simulated disk is spoiled byte by byte, by whole records, headers and
 * files; after each the log that opens is compared with what was written.
 */
#include "tests/lib/walkit.h"
#include "tests/sim/disk.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SEGMENT_BYTES 8192u
#define FOUR_PAGES    16384u

/* A log of a few batches over more than one segment. */
struct made {
    struct sim_disk *disk;
    struct walkit_model all;
    struct walkit_model before; /* without the last batch */
    uint64_t segments;          /* that were begun: 1 .. segments */
    uint64_t last_begin;        /* of the last batch, in the newest segment */
    uint64_t last_end;
};

static void segment_path(char *path, size_t n, uint64_t seq)
{
    (void)snprintf(path, n, "wal/%016" PRIx64 ".seg", seq);
}

static int open_wal(struct sim_disk *d, uint64_t salt, struct raft_wal **w, char *why, size_t n)
{
    struct raft_wal_options o;
    walkit_options(&o, sim_disk_fs(d), SEGMENT_BYTES, salt);
    return raft_wal_open(&o, w, why, n);
}

/* The number of the newest begun segment, and where its records end (from its headers alone: the
 * bytes that a crash-free write left). */
static uint64_t newest_segment(struct sim_disk *d)
{
    uint64_t newest = 0;
    for (uint64_t seq = 1; seq < 100; seq++) {
        char path[64];
        uint64_t bytes;
        segment_path(path, sizeof path, seq);
        const uint8_t *p = sim_disk_data(d, path, &bytes);
        uint64_t named;
        if (p == NULL || bytes == 0 || memcmp(p, "CWAL", 4) != 0) {
            continue;
        }
        memcpy(&named, p + 32, sizeof named); /* else the header of an earlier life */
        newest = named == seq ? seq : newest;
    }
    return newest;
}

static uint64_t used_bytes(struct sim_disk *d, uint64_t seq)
{
    char path[64];
    uint64_t bytes;
    segment_path(path, sizeof path, seq);
    const uint8_t *p = sim_disk_data(d, path, &bytes);
    while (bytes > 0 && p[bytes - 1] == 0) {
        bytes--;
    }
    return (bytes + 7) & ~(uint64_t)7;
}

static void make_log(struct made *made, int batches, uint32_t entry_bytes, int sealed)
{
    struct raft_wal *w;
    static struct walkit_batch b;
    char why[256];
    memset(made, 0, sizeof *made);
    made->disk = sim_disk_create(1);
    walkit_model_init(&made->all);
    ck_assert_int_eq(open_wal(made->disk, 1, &w, why, sizeof why), 0);
    for (int i = 0; i < batches; i++) {
        made->before = made->all;
        made->segments = newest_segment(made->disk);
        made->last_begin = used_bytes(made->disk, made->segments);
        b.count = 0;
        walkit_hardstate(&b, 1 + (raft_term)i / 3, 3, made->all.last);
        for (int k = 0; k < 3; k++) {
            walkit_entry(&b, made->all.last + 1 + (raft_index)k, 1 + (raft_term)i / 3, entry_bytes);
        }
        ck_assert_int_eq(walkit_write(w, &made->all, &b), 0);
    }
    ck_assert_uint_eq(made->segments, newest_segment(made->disk)); /* no roll in the last one */
    made->last_end = used_bytes(made->disk, made->segments);
    if (sealed) {
        ck_assert_int_eq(raft_wal_idle(w), 0);
    }
    raft_wal_close(w);
    sim_disk_kill(made->disk);
}

/* A log in REPAIR: what it has must be right, and must be said to be a part. */
static void check_repair(struct raft_wal *w, const struct made *made, const char *what)
{
    const struct raft_wal_state *s = raft_wal_state(w);
    raft_index last = s->first + s->count - 1;
    ck_assert_uint_le(last, made->all.last);
    ck_assert_uint_le(s->commit, last);
    ck_assert_uint_ge(s->repair_index, last);
    ck_assert_msg(strstr(s->detail, "wal/0000") != NULL, "%s", s->detail);
    for (raft_index i = s->first; i <= last; i++) {
        uint8_t buf[WALKIT_BYTES_MAX];
        const struct raft_entry *e = &s->entries[i - s->first];
        ck_assert_msg(e->term == made->all.entries[i].term &&
                          e->bytes == made->all.entries[i].bytes,
                      "%s: entry %lu is not what was written", what, (unsigned long)i);
        ck_assert_int_eq(raft_wal_read(w, i, buf, sizeof buf), e->bytes);
    }
}

/* The damage is remembered until somebody says that it is repaired. */
static void check_repair_lasts(struct sim_disk *d, struct raft_wal *w)
{
    static struct walkit_batch b;
    struct walkit_model m;
    char why[256];
    struct raft_wal *again;
    const struct raft_wal_state *s = raft_wal_state(w);
    raft_index next = s->first + s->count;
    walkit_model_init(&m);
    b.count = 0;
    walkit_entry(&b, next, 9, 20);
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    raft_wal_close(w);
    sim_disk_crash(d, SIM_DISK_CRASH_DROP, 1);
    ck_assert_msg(open_wal(d, 5, &again, why, sizeof why) == 0, "%s", why);
    s = raft_wal_state(again);
    ck_assert_int_eq(s->health, RAFT_WAL_REPAIR);
    ck_assert_uint_eq(s->first + s->count - 1, next);
    ck_assert_int_eq(raft_wal_repaired(again), 0);
    raft_wal_close(again);
    sim_disk_crash(d, SIM_DISK_CRASH_DROP, 1);
    ck_assert_msg(open_wal(d, 6, &again, why, sizeof why) == 0, "%s", why);
    s = raft_wal_state(again);
    ck_assert_int_ne(s->health, RAFT_WAL_REPAIR);
    ck_assert_uint_eq(s->first + s->count - 1, next);
    raft_wal_close(again);
}

/* Flip one bit at every offset of a segment, each on a fresh copy of the disk. */
static void flip_through(const struct made *made, uint64_t seq, int sealed, uint64_t from,
                         uint64_t to)
{
    int counts[4] = {0};
    char path[64];
    segment_path(path, sizeof path, seq);
    for (uint64_t offset = from; offset < to; offset++) {
        struct sim_disk *d = sim_disk_clone(made->disk);
        struct raft_wal *w;
        char why[256] = "";
        char what[128];
        (void)snprintf(what, sizeof what, "%s, byte %" PRIu64, path, offset);
        ck_assert_int_eq(sim_disk_flip(d, path, offset, (int)(offset * 5 % 8)), 0);
        int rc = open_wal(d, 2, &w, why, sizeof why);
        ck_assert_msg(rc == 0, "%s: %d %s", what, rc, why);
        const struct raft_wal_state *s = raft_wal_state(w);
        int in_last =
            seq == made->segments && offset >= made->last_begin && offset < made->last_end;
        counts[s->health]++;
        if (s->health == RAFT_WAL_REPAIR) {
            check_repair(w, made, what);
            if (offset % 61 == 0) {
                check_repair_lasts(d, w);
                w = NULL;
            }
        } else if (walkit_compare(w, &made->all, why, sizeof why) != 0) {
            ck_assert_msg(in_last && !sealed && s->health == RAFT_WAL_TORN, "%s: health %d, %s",
                          what, s->health, why);
            ck_assert_msg(walkit_compare(w, &made->before, why, sizeof why) == 0, "%s: %s", what,
                          why);
        }
        raft_wal_close(w);
        sim_disk_destroy(d);
    }
    /* The test would prove nothing if most flips went unnoticed. */
    ck_assert_int_gt(counts[RAFT_WAL_REPAIR], 0);
}

START_TEST(every_flipped_byte_sealed)
{
    static struct made made;
    make_log(&made, 5, 25, 1);
    flip_through(&made, 1, 1, 0, used_bytes(made.disk, 1));
    sim_disk_destroy(made.disk);
}
END_TEST

START_TEST(every_flipped_byte_unsealed)
{
    static struct made made;
    make_log(&made, 5, 25, 0);
    flip_through(&made, 1, 0, 0, used_bytes(made.disk, 1));
    sim_disk_destroy(made.disk);
}
END_TEST

START_TEST(every_flipped_byte_over_segments)
{
    static struct made made;
    make_log(&made, 7, 400, 0);
    ck_assert_uint_ge(made.segments, 2);
    flip_through(&made, 1, 0, 4096, used_bytes(made.disk, 1));
    flip_through(&made, made.segments, 0, 4096, used_bytes(made.disk, made.segments) + 64);
    sim_disk_destroy(made.disk);
}
END_TEST

/* In the spare space behind the log nothing matters. */
START_TEST(flips_behind_the_log_change_nothing)
{
    static struct made made;
    make_log(&made, 3, 25, 1);
    /* The log ends with a SEAL, and that with zeros. */
    for (uint64_t offset = used_bytes(made.disk, 1) + 32; offset < SEGMENT_BYTES; offset += 7) {
        struct sim_disk *d = sim_disk_clone(made.disk);
        struct raft_wal *w;
        char why[256];
        ck_assert_int_eq(sim_disk_flip(d, "wal/0000000000000001.seg", offset, 3), 0);
        ck_assert_int_eq(open_wal(d, 2, &w, why, sizeof why), 0);
        ck_assert_int_eq(raft_wal_state(w)->health, RAFT_WAL_OK);
        ck_assert_msg(walkit_compare(w, &made.all, why, sizeof why) == 0, "%s", why);
        raft_wal_close(w);
        sim_disk_destroy(d);
    }
    sim_disk_destroy(made.disk);
}
END_TEST

/* Scrambled ranges of any size, also over several records, never yield anything that was not written. */
START_TEST(scrambled_ranges)
{
    static struct made made;
    uint64_t rng = 77 + (uint64_t)_i;
    int sealed = _i % 2;
    make_log(&made, 9, 300, sealed);
    for (int i = 0; i < 400; i++) {
        struct sim_disk *d = sim_disk_clone(made.disk);
        struct raft_wal *w;
        char path[64];
        char why[256] = "";
        uint64_t seq = 1 + walkit_draw(&rng) % made.segments;
        uint64_t offset = walkit_draw(&rng) % SEGMENT_BYTES;
        uint64_t len = 1 + walkit_draw(&rng) % 3000;
        len = len > SEGMENT_BYTES - offset ? SEGMENT_BYTES - offset : len;
        segment_path(path, sizeof path, seq);
        uint64_t witness = sealed ? made.last_end : made.last_begin;
        if (seq == made.segments && offset < witness && offset + len > witness) {
            len = witness - offset; /* no log can tell when the last batches and what attests
                                       them go together */
        }
        ck_assert_int_eq(sim_disk_scramble(d, path, offset, len, walkit_draw(&rng)), 0);
        int rc = open_wal(d, 2, &w, why, sizeof why);
        ck_assert_msg(rc == 0 || rc == RAFT_STORE_ECORRUPT, "%d %s", rc, why);
        if (rc == 0 && raft_wal_state(w)->health == RAFT_WAL_REPAIR) {
            check_repair(w, &made, path);
        } else if (rc == 0 && walkit_compare(w, &made.all, why, sizeof why) != 0) {
            /* Only the last batch may go, and only unsealed. */
            ck_assert_msg(!sealed && seq == made.segments && offset + len > made.last_begin,
                          "%s offset %lu len %lu: %s", path, (unsigned long)offset,
                          (unsigned long)len, why);
            ck_assert_msg(walkit_compare(w, &made.before, why, sizeof why) == 0, "%s", why);
        }
        raft_wal_close(rc == 0 ? w : NULL);
        sim_disk_destroy(d);
    }
    sim_disk_destroy(made.disk);
}
END_TEST

START_TEST(a_lost_segment_is_an_error)
{
    static struct made made;
    make_log(&made, 20, 400, 1);
    ck_assert_uint_ge(made.segments, 4);
    for (uint64_t seq = 1; seq <= made.segments; seq++) {
        struct sim_disk *d = sim_disk_clone(made.disk);
        const struct raft_fs *fs = sim_disk_fs(d);
        struct raft_wal *w;
        char path[64];
        char why[256] = "";
        segment_path(path, sizeof path, seq);
        ck_assert_int_eq(fs->unlink(fs->ctx, path), 0);
        uint64_t changes = sim_disk_counts(d)->changes;
        ck_assert_int_eq(open_wal(d, 2, &w, why, sizeof why), RAFT_STORE_ECORRUPT);
        ck_assert_msg(strstr(why, path) != NULL, "%s is not in: %s", path, why);
        ck_assert_uint_eq(sim_disk_counts(d)->changes, changes); /* nothing was written */
        sim_disk_destroy(d);
    }
    sim_disk_destroy(made.disk);
}
END_TEST

START_TEST(a_truncated_segment_is_an_error)
{
    static struct made made;
    make_log(&made, 20, 400, 1);
    for (uint64_t seq = 1; seq <= made.segments; seq++) {
        for (uint64_t keep = 0; keep < SEGMENT_BYTES; keep += 1365) {
            struct sim_disk *d = sim_disk_clone(made.disk);
            const struct raft_fs *fs = sim_disk_fs(d);
            struct raft_wal *w;
            static uint8_t copy[SEGMENT_BYTES];
            char path[64];
            char why[256] = "";
            int fd;
            uint64_t bytes;
            segment_path(path, sizeof path, seq);
            memcpy(copy, sim_disk_data(d, path, &bytes), sizeof copy);
            int how = RAFT_FS_READ | RAFT_FS_WRITE | RAFT_FS_TRUNCATE;
            ck_assert_int_eq(fs->open(fs->ctx, path, how, &fd), 0);
            struct iovec iov = {copy, keep};
            ck_assert_int_eq(fs->pwritev(fs->ctx, fd, &iov, 1, 0), 0);
            ck_assert_int_eq(fs->close(fs->ctx, fd), 0);
            int rc = open_wal(d, 2, &w, why, sizeof why);
            ck_assert_msg(rc == RAFT_STORE_ECORRUPT, "%s of %lu bytes: %d %s", path,
                          (unsigned long)keep, rc, why);
            ck_assert_msg(strstr(why, path) != NULL, "%s is not in: %s", path, why);
            sim_disk_destroy(d);
        }
    }
    sim_disk_destroy(made.disk);
}
END_TEST

/* Both copies of a header gone: what was acknowledged behind it is not forgotten. */
START_TEST(a_lost_header_is_repair)
{
    static struct made made;
    make_log(&made, 20, 400, 1);
    for (uint64_t seq = 1; seq <= made.segments; seq++) {
        struct sim_disk *d = sim_disk_clone(made.disk);
        struct raft_wal *w;
        char path[64];
        char why[256] = "";
        segment_path(path, sizeof path, seq);
        ck_assert_int_eq(sim_disk_scramble(d, path, 0, 4096, 3), 0);
        ck_assert_msg(open_wal(d, 2, &w, why, sizeof why) == 0, "%s", why);
        ck_assert_int_eq(raft_wal_state(w)->health, RAFT_WAL_REPAIR);
        check_repair(w, &made, path);
        ck_assert_uint_ge(raft_wal_state(w)->repair_index, made.all.last);
        ck_assert_uint_eq(raft_wal_state(w)->term, made.all.term); /* terms never go back */
        check_repair_lasts(d, w);
        sim_disk_destroy(d);
    }
    sim_disk_destroy(made.disk);
}
END_TEST

/* Opening a damaged log changes nothing on disk, however often. */
START_TEST(opening_in_repair_writes_nothing)
{
    static struct made made;
    struct raft_wal *w;
    char why[256];
    make_log(&made, 5, 25, 1);
    ck_assert_int_eq(sim_disk_flip(made.disk, "wal/0000000000000001.seg", 4096 + 100, 1), 0);
    for (int i = 0; i < 3; i++) {
        uint64_t writes = sim_disk_counts(made.disk)->writes;
        ck_assert_int_eq(open_wal(made.disk, 2, &w, why, sizeof why), 0);
        ck_assert_int_eq(raft_wal_state(w)->health, RAFT_WAL_REPAIR);
        ck_assert_uint_eq(raft_wal_state(w)->repair_index, made.all.last);
        ck_assert_uint_eq(raft_wal_state(w)->term, made.all.term); /* believed from behind */
        raft_wal_close(w);
        ck_assert_uint_eq(sim_disk_counts(made.disk)->writes, writes);
    }
    sim_disk_destroy(made.disk);
}
END_TEST

static int segment_is_there(struct sim_disk *d, uint64_t seq)
{
    char path[64];
    uint64_t bytes;
    segment_path(path, sizeof path, seq);
    const uint8_t *p = sim_disk_data(d, path, &bytes);
    return p != NULL && memcmp(p, "CWAL", 4) == 0;
}

/* What is left of the log behind the damage may be the only good copy of it: it stays until the member
 * has been repaired, through restarts, and goes then. */
START_TEST(evidence_stays_until_repaired)
{
    static struct made made;
    static struct walkit_batch b;
    struct walkit_model m;
    struct raft_wal *w;
    char why[256];
    make_log(&made, 20, 400, 1);
    ck_assert_int_eq(sim_disk_flip(made.disk, "wal/0000000000000002.seg", 4096 + 300, 1), 0);
    for (int life = 0; life < 3; life++) {
        ck_assert_int_eq(open_wal(made.disk, 10 + (uint64_t)life, &w, why, sizeof why), 0);
        ck_assert_int_eq(raft_wal_state(w)->health, RAFT_WAL_REPAIR);
        walkit_model_init(&m);
        b.count = 0;
        walkit_entry(&b, raft_wal_state(w)->first + raft_wal_state(w)->count, 9, 20);
        ck_assert_int_eq(walkit_write(w, &m, &b), 0);
        ck_assert_int_eq(raft_wal_idle(w), 0);
        ck_assert_int_eq(raft_wal_idle(w), 0);
        for (uint64_t seq = 1; seq <= made.segments; seq++) {
            ck_assert(segment_is_there(made.disk, seq));
        }
        if (life == 2) {
            uint64_t renames = sim_disk_counts(made.disk)->renames;
            ck_assert_int_eq(raft_wal_repaired(w), 0);
            for (int i = 0; i < 30; i++) { /* needs new files, but does not use these again */
                b.count = 0;
                walkit_entry(&b, m.last + 1, 9, 1000);
                ck_assert_int_eq(walkit_write(w, &m, &b), 0);
            }
            ck_assert_int_eq(raft_wal_idle(w), 0);
            ck_assert_uint_eq(sim_disk_counts(made.disk)->renames, renames);
            ck_assert(segment_is_there(made.disk, 1));
            ck_assert(!segment_is_there(made.disk, made.segments));
        }
        raft_wal_close(w);
        sim_disk_kill(made.disk);
    }
    ck_assert_int_eq(open_wal(made.disk, 20, &w, why, sizeof why), 0);
    ck_assert_int_eq(raft_wal_state(w)->health, RAFT_WAL_OK);
    raft_wal_close(w);
    sim_disk_destroy(made.disk);
}
END_TEST

/* Two records of a batch have changed places: each is intact by itself. */
START_TEST(order_is_checked)
{
    static struct walkit_batch b;
    struct walkit_model m;
    struct sim_disk *d = sim_disk_create(3);
    const struct raft_fs *fs = sim_disk_fs(d);
    struct raft_wal *w;
    uint8_t records[80];
    char why[256];
    uint64_t bytes;
    int fd;
    walkit_model_init(&m);
    ck_assert_int_eq(open_wal(d, 1, &w, why, sizeof why), 0);
    walkit_hardstate(&b, 5, 2, 0);
    walkit_hardstate(&b, 4, 1, 0);
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    raft_wal_close(w);
    /* The first batch is the SEAL of a new log, 96 bytes; then a BATCH record of 64. */
    uint64_t offset = 4096 + 96 + 64;
    const char *path = "wal/0000000000000001.seg";
    memcpy(records, sim_disk_data(d, path, &bytes) + offset + 40, 40);
    memcpy(records + 40, sim_disk_data(d, path, &bytes) + offset, 40);
    ck_assert_int_eq(fs->open(fs->ctx, path, RAFT_FS_READ | RAFT_FS_WRITE, &fd), 0);
    struct iovec iov = {records, sizeof records};
    ck_assert_int_eq(fs->pwritev(fs->ctx, fd, &iov, 1, offset), 0);
    ck_assert_int_eq(open_wal(d, 2, &w, why, sizeof why), 0);
    ck_assert_int_eq(raft_wal_state(w)->health, RAFT_WAL_REPAIR);
    raft_wal_close(w);
    sim_disk_destroy(d);
}
END_TEST

START_TEST(an_unreadable_range_is_repair)
{
    static struct made made;
    struct raft_wal *w;
    char why[256];
    make_log(&made, 5, 25, 1);
    ck_assert_int_eq(sim_disk_bad_range(made.disk, "wal/0000000000000001.seg", 4096 + 600, 100), 0);
    ck_assert_msg(open_wal(made.disk, 2, &w, why, sizeof why) == 0, "%s", why);
    ck_assert_int_eq(raft_wal_state(w)->health, RAFT_WAL_REPAIR);
    check_repair(w, &made, "unreadable");
    raft_wal_close(w);
    sim_disk_destroy(made.disk);
}
END_TEST

/* Entries behind the last one, a snapshot of them and compaction: up to three files' worth. */
static void turn_over(struct raft_wal *w, raft_index last, int batches)
{
    static struct walkit_batch b;
    static struct walkit_model m;
    walkit_model_init(&m);
    for (int i = 0; i < batches; i++) {
        b.count = 0;
        for (int k = 0; k < 10; k++) {
            walkit_entry(&b, ++last, 50, 400);
        }
        walkit_snapmark(&b, last - 1, 50);
        ck_assert_int_eq(walkit_write(w, &m, &b), 0);
        raft_wal_compact(w, last - 1);
    }
    ck_assert_int_eq(raft_wal_idle(w), 0);
}

/* A sector that cannot be read stays so until it is written. Were the file used again, it would be taken for
 * a part of the log that is lost, wherever the log ends before it. */
START_TEST(an_unreadable_file_is_not_used_again)
{
    struct raft_wal_options o;
    struct sim_disk *d = sim_disk_create(3);
    struct raft_wal *w;
    char why[256];
    walkit_options(&o, sim_disk_fs(d), FOUR_PAGES, 1);
    ck_assert_int_eq(raft_wal_open(&o, &w, why, sizeof why), 0);
    turn_over(w, 0, 2);
    raft_wal_close(w);
    ck_assert_int_eq(sim_disk_bad_range(d, "wal/0000000000000001.seg", 4096 + 5000, 100), 0);
    for (int life = 0; life < 20; life++) {
        sim_disk_kill(d);
        ck_assert_msg(raft_wal_open(&o, &w, why, sizeof why) == 0, "%s", why);
        const struct raft_wal_state *s = raft_wal_state(w);
        raft_index last = s->first + s->count - 1;
        ck_assert_msg((s->health == RAFT_WAL_REPAIR) == (life == 0), "%d: %s", life, s->detail);
        if (life == 0) {
            ck_assert_int_eq(raft_wal_repaired(w), 0);
        }
        if (life >= _i) { /* told in this life of the process, or in an earlier one */
            turn_over(w, last, 1 + life % 5);
        }
        raft_wal_close(w);
    }
    sim_disk_destroy(d);
}
END_TEST

/* The same of a file that was left behind when its few entries were copied, and that nobody has read since. */
START_TEST(a_file_that_nobody_read_is_not_used_again)
{
    static struct walkit_batch b;
    static struct walkit_model m;
    struct raft_wal_options o;
    struct sim_disk *d = sim_disk_create(3);
    struct raft_wal *w;
    char why[256];
    walkit_options(&o, sim_disk_fs(d), FOUR_PAGES, 1);
    walkit_model_init(&m);
    ck_assert_int_eq(raft_wal_open(&o, &w, why, sizeof why), 0);
    walkit_entry(&b, 1, 1, 20);
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    raft_wal_close(w); /* nothing attests the entry: the next life copies it */
    sim_disk_kill(d);
    ck_assert_int_eq(raft_wal_open(&o, &w, why, sizeof why), 0);
    raft_wal_close(w);
    ck_assert_int_eq(sim_disk_bad_range(d, "wal/0000000000000001.seg", 4096 + 9000, 100), 0);
    for (int life = 0; life < 20; life++) {
        sim_disk_kill(d);
        ck_assert_msg(raft_wal_open(&o, &w, why, sizeof why) == 0, "%s", why);
        const struct raft_wal_state *s = raft_wal_state(w);
        ck_assert_msg(s->health != RAFT_WAL_REPAIR, "%d: %s", life, s->detail);
        ck_assert_int_eq(raft_wal_idle(w), 0);
        turn_over(w, s->first + s->count - 1, 1 + life % 2);
        raft_wal_close(w);
    }
    sim_disk_destroy(d);
}
END_TEST

/* A write that the device claimed to have done and did not. */
START_TEST(a_lost_write_is_noticed)
{
    static struct walkit_batch b;
    static struct walkit_model m;
    struct sim_disk *d = sim_disk_create(3);
    struct raft_wal *w;
    char why[256];
    walkit_model_init(&m);
    ck_assert_int_eq(open_wal(d, 1, &w, why, sizeof why), 0);
    for (int i = 0; i < 8; i++) {
        if (i == 4) {
            sim_disk_lose_write(d, 1);
        }
        b.count = 0;
        walkit_entry(&b, m.last + 1, 1, 100);
        ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    }
    raft_wal_close(w);
    sim_disk_crash(d, SIM_DISK_CRASH_DROP, 1);
    ck_assert_msg(open_wal(d, 2, &w, why, sizeof why) == 0, "%s", why);
    ck_assert_int_eq(raft_wal_state(w)->health, RAFT_WAL_REPAIR);
    ck_assert_uint_eq(raft_wal_state(w)->count, 4);
    ck_assert_uint_eq(raft_wal_state(w)->repair_index, 8);
    raft_wal_close(w);
    sim_disk_destroy(d);
}
END_TEST

/* Rot in an entry is noticed when it is read later, not only when the log is opened. */
START_TEST(rot_after_opening_is_noticed_by_reading)
{
    static struct made made;
    struct raft_wal *w;
    char why[256];
    uint8_t buf[512];
    make_log(&made, 3, 200, 1);
    ck_assert_int_eq(open_wal(made.disk, 2, &w, why, sizeof why), 0);
    ck_assert_int_eq(raft_wal_read(w, 2, buf, sizeof buf), 200);
    for (uint64_t offset = 4096; offset < 4096 + 1000; offset += 50) {
        ck_assert_int_eq(
            sim_disk_scramble(made.disk, "wal/0000000000000001.seg", offset, 8, offset), 0);
    }
    ck_assert_int_eq(raft_wal_read(w, 2, buf, sizeof buf), RAFT_STORE_ECORRUPT);
    raft_wal_close(w);
    sim_disk_destroy(made.disk);
}
END_TEST

/* Entries that lost ones had superseded are back when the rot took those. That they are behind a commit
 * index that stands behind the rot does not make them the committed ones. */
START_TEST(a_commit_index_behind_rot_is_not_believed)
{
    static struct walkit_batch b;
    static struct walkit_model m;
    struct sim_disk *d = sim_disk_create(3);
    struct raft_wal *w;
    char why[256];
    walkit_model_init(&m);
    ck_assert_int_eq(open_wal(d, 1, &w, why, sizeof why), 0);
    b.count = 0;
    walkit_hardstate(&b, 1, 2, 0);
    for (raft_index i = 1; i <= 10; i++) {
        walkit_entry(&b, i, 1, 20);
    }
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    b.count = 0;
    walkit_hardstate(&b, 2, 3, 3);
    walkit_entry(&b, 3, 1, 20);
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    uint64_t offset = used_bytes(d, 1);
    b.count = 0;
    walkit_entry(&b, 4, 2, 20); /* supersedes 4 .. 10 */
    walkit_entry(&b, 5, 2, 20);
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    b.count = 0;
    walkit_hardstate(&b, 2, 3, 5);
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    raft_wal_close(w);
    ck_assert_int_eq(sim_disk_flip(d, "wal/0000000000000001.seg", offset + 64 + 40, 1), 0);
    ck_assert_int_eq(open_wal(d, 2, &w, why, sizeof why), 0);
    const struct raft_wal_state *s = raft_wal_state(w);
    ck_assert_int_eq(s->health, RAFT_WAL_REPAIR);
    ck_assert_uint_eq(s->count, 3);
    ck_assert_uint_eq(s->term, 2);
    ck_assert_uint_eq(s->vote, 3);
    ck_assert_uint_eq(s->commit, 3);
    ck_assert_uint_eq(s->repair_index, 5);
    raft_wal_close(w);
    sim_disk_destroy(d);
}
END_TEST

/* The same where the superseded entries really come back. */
START_TEST(superseded_entries_that_are_back_are_not_committed)
{
    static struct walkit_batch b;
    static struct walkit_model m;
    struct sim_disk *d = sim_disk_create(3);
    struct raft_wal *w;
    char why[256];
    walkit_model_init(&m);
    ck_assert_int_eq(open_wal(d, 1, &w, why, sizeof why), 0);
    b.count = 0;
    walkit_hardstate(&b, 1, 2, 0);
    for (raft_index i = 1; i <= 10; i++) {
        walkit_entry(&b, i, 1, 20);
    }
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    uint64_t offset = used_bytes(d, 1);
    b.count = 0;
    walkit_entry(&b, 4, 2, 20);
    walkit_entry(&b, 5, 2, 20);
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    b.count = 0;
    walkit_hardstate(&b, 2, 3, 5);
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    raft_wal_close(w);
    ck_assert_int_eq(sim_disk_flip(d, "wal/0000000000000001.seg", offset + 64 + 40, 1), 0);
    ck_assert_int_eq(open_wal(d, 2, &w, why, sizeof why), 0);
    const struct raft_wal_state *s = raft_wal_state(w);
    ck_assert_int_eq(s->health, RAFT_WAL_REPAIR);
    ck_assert_uint_eq(s->count, 10); /* 4 and 5 of term 1 */
    ck_assert_uint_eq(s->term, 2);
    ck_assert_uint_eq(s->commit, 0);
    raft_wal_close(w);
    sim_disk_destroy(d);
}
END_TEST

/* A segment into which the log was copied whole begins with its first entry, not behind its last. */
START_TEST(rot_in_a_copied_log_leaves_nothing)
{
    static struct walkit_batch b;
    static struct walkit_model m;
    struct sim_disk *d = sim_disk_create(3);
    struct raft_wal *w;
    char why[256];
    walkit_model_init(&m);
    ck_assert_int_eq(open_wal(d, 1, &w, why, sizeof why), 0);
    b.count = 0;
    walkit_hardstate(&b, 1, 2, 0);
    for (raft_index i = 1; i <= 4; i++) {
        walkit_entry(&b, i, 1, 20);
    }
    ck_assert_int_eq(walkit_write(w, &m, &b), 0);
    raft_wal_close(w); /* not attested: the next opening copies it */
    sim_disk_kill(d);
    ck_assert_int_eq(open_wal(d, 2, &w, why, sizeof why), 0);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    raft_wal_close(w);
    char path[64];
    ck_assert_uint_gt(newest_segment(d), 1);
    segment_path(path, sizeof path, newest_segment(d));
    ck_assert_int_eq(sim_disk_flip(d, path, 4096 + 64 + 50, 1), 0);
    ck_assert_int_eq(open_wal(d, 3, &w, why, sizeof why), 0);
    const struct raft_wal_state *s = raft_wal_state(w);
    ck_assert_int_eq(s->health, RAFT_WAL_REPAIR);
    ck_assert_uint_eq(s->first, 1);
    ck_assert_uint_eq(s->count, 0);
    ck_assert_uint_eq(s->term, 1);
    ck_assert_ptr_nonnull(strstr(s->detail, "entries through 0 are intact"));
    raft_wal_close(w);
    sim_disk_destroy(d);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("wal damage");
    TCase *tc = tcase_create("rot");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, every_flipped_byte_sealed);
    tcase_add_test(tc, every_flipped_byte_unsealed);
    tcase_add_test(tc, every_flipped_byte_over_segments);
    tcase_add_test(tc, flips_behind_the_log_change_nothing);
    tcase_add_loop_test(tc, scrambled_ranges, 0, 4);
    tcase_add_test(tc, a_lost_segment_is_an_error);
    tcase_add_test(tc, a_truncated_segment_is_an_error);
    tcase_add_test(tc, a_lost_header_is_repair);
    tcase_add_test(tc, opening_in_repair_writes_nothing);
    tcase_add_test(tc, evidence_stays_until_repaired);
    tcase_add_test(tc, order_is_checked);
    tcase_add_test(tc, an_unreadable_range_is_repair);
    tcase_add_loop_test(tc, an_unreadable_file_is_not_used_again, 0, 2);
    tcase_add_test(tc, a_file_that_nobody_read_is_not_used_again);
    tcase_add_test(tc, a_lost_write_is_noticed);
    tcase_add_test(tc, rot_after_opening_is_noticed_by_reading);
    tcase_add_test(tc, a_commit_index_behind_rot_is_not_believed);
    tcase_add_test(tc, superseded_entries_that_are_back_are_not_committed);
    tcase_add_test(tc, rot_in_a_copied_log_leaves_nothing);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(make_suite());
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
