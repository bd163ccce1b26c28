/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the write-ahead log gives back what was written to it, in its limits, on either file system.
 * Method: each case runs on the simulated disk (loop 0) and on files in a directory of its own
 * (loop 1): batches are written, the log is closed and opened, and compared with a model.
 */
#include "tests/lib/walkit.h"
#include "tests/sim/disk.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_BYTES 16384u

/* One of the two file systems. */
struct place {
    struct sim_disk *disk;
    struct raft_fs fs;
    char dir[64];
    uint64_t salt;
};

static void place_init(struct place *p, int real)
{
    memset(p, 0, sizeof *p);
    if (real) {
        (void)snprintf(p->dir, sizeof p->dir, "/tmp/coord-test-wal-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(p->dir));
        ck_assert_int_eq(raft_fs_posix_open(p->dir, &p->fs), 0);
    } else {
        p->disk = sim_disk_create(1);
        p->fs = *sim_disk_fs(p->disk);
    }
}

static int remove_name(void *arg, const char *name)
{
    const struct place *p = arg;
    char path[128];
    (void)snprintf(path, sizeof path, "wal/%s", name);
    return p->fs.unlink(p->fs.ctx, path);
}

static void place_finish(struct place *p)
{
    if (p->disk != NULL) {
        sim_disk_destroy(p->disk);
        return;
    }
    char sub[128];
    (void)p->fs.list(p->fs.ctx, "wal", remove_name, p); /* best effort: leave no litter */
    (void)snprintf(sub, sizeof sub, "%s/wal", p->dir);
    (void)rmdir(sub);
    raft_fs_posix_close(&p->fs);
    ck_assert_int_eq(rmdir(p->dir), 0);
}

static struct raft_wal *place_open(struct place *p, uint64_t segment_bytes)
{
    struct raft_wal_options o;
    struct raft_wal *w;
    char why[256];
    walkit_options(&o, &p->fs, segment_bytes, ++p->salt);
    int rc = raft_wal_open(&o, &w, why, sizeof why);
    ck_assert_msg(rc == 0, "%d %s", rc, why);
    return w;
}

static void check_same(struct raft_wal *w, const struct walkit_model *m)
{
    char why[256];
    ck_assert_int_ne(raft_wal_state(w)->health, RAFT_WAL_REPAIR);
    ck_assert_msg(walkit_compare(w, m, why, sizeof why) == 0, "%s", why);
}

static int count_name(void *arg, const char *name)
{
    (void)name;
    ++*(int *)arg;
    return 0;
}

static int count_files(const struct raft_fs *fs)
{
    int count = 0;
    ck_assert_int_eq(fs->list(fs->ctx, "wal", count_name, &count), 0);
    return count;
}

static struct walkit_batch batch;
static struct walkit_model model;

/* Close the log and open it again: it is what it was. */
static struct raft_wal *open_same(struct place *p, struct raft_wal *w, uint64_t segment_bytes)
{
    raft_wal_close(w);
    w = place_open(p, segment_bytes);
    check_same(w, &model);
    return w;
}

static void setup(void)
{
    memset(&batch, 0, sizeof batch);
    walkit_model_init(&model);
}

START_TEST(a_fresh_log_is_empty)
{
    struct place p;
    place_init(&p, _i);
    for (int i = 0; i < 3; i++) {
        struct raft_wal *w = place_open(&p, SEGMENT_BYTES);
        const struct raft_wal_state *s = raft_wal_state(w);
        ck_assert_int_eq(s->fresh, i == 0);
        ck_assert_int_eq(s->health, RAFT_WAL_OK);
        ck_assert_uint_eq(s->first, 1);
        ck_assert_uint_eq(s->count, 0);
        ck_assert_uint_eq(s->term, 0);
        raft_wal_close(w);
    }
    place_finish(&p);
}
END_TEST

START_TEST(round_trip)
{
    struct place p;
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, SEGMENT_BYTES);
    for (uint32_t i = 1; i <= 20; i++) {
        batch.count = 0;
        walkit_hardstate(&batch, i, 1 + i % 3, i - 1);
        walkit_entry(&batch, 2 * i - 1, i, i == 7 ? 0 : i * 31 % 97);
        walkit_entry(&batch, 2 * i, i, i * 31);
        ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
    }
    raft_wal_close(w);
    for (int i = 0; i < 3; i++) { /* reading it changes nothing */
        w = place_open(&p, SEGMENT_BYTES);
        check_same(w, &model);
        ck_assert_uint_eq(raft_wal_state(w)->first, 1);
        raft_wal_close(w);
    }
    place_finish(&p);
}
END_TEST

START_TEST(payloads_of_every_length)
{
    struct place p;
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, SEGMENT_BYTES);
    for (uint32_t bytes = 0; bytes < 64; bytes += 32) {
        batch.count = 0;
        for (uint32_t i = 0; i < 32; i++) {
            walkit_entry(&batch, model.last + 1 + i, 1, bytes + i);
        }
        ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
    }
    w = open_same(&p, w, SEGMENT_BYTES);
    raft_wal_close(w);
    place_finish(&p);
}
END_TEST

START_TEST(roll_over_many_segments)
{
    struct place p;
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, 8192);
    for (int i = 0; i < 60; i++) {
        batch.count = 0;
        walkit_hardstate(&batch, 3, 2, model.last);
        for (raft_index k = 1; k <= 5; k++) {
            walkit_entry(&batch, model.last + k, 3, (uint32_t)(50 + 200 * k));
        }
        ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
        if (i % 7 == 0) {
            ck_assert_int_eq(raft_wal_idle(w), 0);
        }
    }
    ck_assert_int_gt(count_files(&p.fs), 20);
    w = open_same(&p, w, 8192);
    raft_wal_close(w);
    place_finish(&p);
}
END_TEST

/* One write that needs several segments and several batches. */
START_TEST(a_large_write_is_split)
{
    struct place p;
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, 8192);
    for (raft_index i = 1; i <= 40; i++) {
        walkit_entry(&batch, i, 1, 1500);
    }
    ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
    w = open_same(&p, w, 8192);
    raft_wal_close(w);
    place_finish(&p);
}
END_TEST

/* More records than one writev takes, and than one batch has. */
START_TEST(many_small_records_in_one_write)
{
    enum { COUNT = 5000 };
    static struct raft_wal_op ops[COUNT];
    static uint8_t data[COUNT];
    struct place p;
    uint8_t got[8];
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, 1u << 20);
    for (uint32_t i = 0; i < COUNT; i++) {
        data[i] = (uint8_t)(i * 7);
        ops[i] = (struct raft_wal_op){.kind = RAFT_WAL_ENTRY,
                                      .term = 1,
                                      .index = i + 1,
                                      .type = RAFT_ENTRY_COMMAND,
                                      .bytes = 1,
                                      .data = &data[i]};
    }
    ck_assert_int_eq(raft_wal_write(w, ops, COUNT), 0);
    raft_wal_close(w);
    w = place_open(&p, 1u << 20);
    ck_assert_uint_eq(raft_wal_state(w)->count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        ck_assert_int_eq(raft_wal_read(w, i + 1, got, sizeof got), 1);
        ck_assert_uint_eq(got[0], data[i]);
    }
    raft_wal_close(w);
    place_finish(&p);
}
END_TEST

START_TEST(truncation_within_and_across_segments)
{
    struct place p;
    uint64_t rng = 5;
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, 8192);
    for (raft_term term = 1; term <= 40; term++) {
        raft_index from = model.last + 1;
        if (model.last > 20) {
            from -= walkit_draw(&rng) % 20; /* three entries or so fill a segment */
        }
        batch.count = 0;
        walkit_hardstate(&batch, term, 0, 0);
        for (raft_index i = 0; i < 8; i++) {
            walkit_entry(&batch, from + i, term, 900);
        }
        ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
        ck_assert_int_eq(raft_wal_read(w, model.last + 1, batch.data[0], 900), RAFT_STORE_ENOENT);
        if (term % 5 == 0) {
            w = open_same(&p, w, 8192);
        }
    }
    raft_wal_close(w);
    place_finish(&p);
}
END_TEST

/* A log of the same entries again and again, snapshots and compaction: the directory stays small and
 * files are used again. */
START_TEST(compaction_recycles_segments)
{
    struct place p;
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, 8192);
    for (int i = 0; i < 120; i++) {
        batch.count = 0;
        for (raft_index k = 1; k <= 4; k++) {
            walkit_entry(&batch, model.last + k, 2, 700);
        }
        walkit_hardstate(&batch, 2, 1, model.last + 4);
        ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
        if (i % 5 == 4) {
            batch.count = 0;
            walkit_snapmark(&batch, model.last - 3, 2);
            ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
            raft_wal_compact(w, model.snapshot_index);
            model.first = model.snapshot_index + 1;
            ck_assert_int_eq(raft_wal_idle(w), 0);
            ck_assert_int_le(count_files(&p.fs), 8);
        }
        if (i % 17 == 16) {
            w = open_same(&p, w, 8192);
        }
    }
    ck_assert_int_eq(raft_wal_read(w, model.first - 4, batch.data[0], 900), RAFT_STORE_ENOENT);
    raft_wal_close(w);
    if (p.disk != NULL) {
        ck_assert_uint_gt(sim_disk_counts(p.disk)->renames, 20);
    }
    place_finish(&p);
}
END_TEST

/* Compaction never takes what no snapshot covers. */
START_TEST(compaction_stops_at_the_snapshot)
{
    struct place p;
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, 8192);
    for (raft_index i = 1; i <= 40; i++) {
        walkit_entry(&batch, i, 1, 700);
    }
    ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
    batch.count = 0;
    walkit_snapmark(&batch, 20, 1);
    ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
    raft_wal_compact(w, 35);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    ck_assert_int_eq(raft_wal_read(w, 21, batch.data[0], 900), 700);
    raft_wal_close(w);
    model.first = 21;
    w = place_open(&p, 8192);
    check_same(w, &model);
    raft_wal_close(w);
    place_finish(&p);
}
END_TEST

/* A snapshot from another member: ahead of the log, or at an index where the log has another term. */
START_TEST(an_installed_snapshot_replaces_the_log)
{
    struct place p;
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, 8192);
    for (raft_index i = 1; i <= 10; i++) {
        walkit_entry(&batch, i, 1, 100);
    }
    walkit_snapmark(&batch, 7, 2); /* conflicts */
    walkit_entry(&batch, 8, 2, 50);
    walkit_hardstate(&batch, 2, 0, 8);
    ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
    w = open_same(&p, w, 8192);
    ck_assert_uint_eq(raft_wal_state(w)->first, 8);
    batch.count = 0;
    walkit_snapmark(&batch, 100, 3); /* far ahead */
    walkit_hardstate(&batch, 3, 0, 100);
    walkit_entry(&batch, 101, 3, 10);
    ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
    batch.count = 0;
    walkit_entry(&batch, 103, 3, 10);
    ck_assert_int_eq(walkit_write(w, &model, &batch), -EINVAL); /* leaves a gap */
    raft_wal_compact(w, 100);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    w = open_same(&p, w, 8192);
    raft_wal_close(w);
    place_finish(&p);
}
END_TEST

START_TEST(refusals_have_no_effect)
{
    struct place p;
    static uint8_t big[SEGMENT_BYTES];
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, SEGMENT_BYTES);
    walkit_entry(&batch, 1, 1, 10);
    ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
    struct raft_wal_op op = {
        .kind = RAFT_WAL_ENTRY, .term = 1, .index = 2, .bytes = SEGMENT_BYTES - 4000, .data = big};
    ck_assert_int_eq(raft_wal_write(w, &op, 1), RAFT_STORE_ETOOBIG);
    op.bytes = 10;
    op.index = 3;
    ck_assert_int_eq(raft_wal_write(w, &op, 1), -EINVAL);
    op.index = 0;
    ck_assert_int_eq(raft_wal_write(w, &op, 1), -EINVAL);
    op.index = 2;
    op.data = NULL;
    ck_assert_int_eq(raft_wal_write(w, &op, 1), -EINVAL);
    op.kind = (enum raft_wal_op_kind)9;
    ck_assert_int_eq(raft_wal_write(w, &op, 1), -EINVAL);
    ck_assert_int_eq(raft_wal_write(w, NULL, 0), 0);
    ck_assert_int_eq(raft_wal_read(w, 1, big, 9), -EINVAL);
    ck_assert_int_eq(raft_wal_read(w, 0, big, 9), RAFT_STORE_ENOENT);
    ck_assert_int_eq(raft_wal_failed(w), 0);
    /* The largest entry that fits does fit. */
    op = (struct raft_wal_op){.kind = RAFT_WAL_ENTRY, .term = 1, .index = 2, .data = big};
    op.bytes = SEGMENT_BYTES - 4096 - 64 - 112 - 32;
    ck_assert_int_eq(raft_wal_write(w, &op, 1), 0);
    op.bytes++;
    ck_assert_int_eq(raft_wal_write(w, &op, 1), RAFT_STORE_ETOOBIG);
    raft_wal_close(w);
    w = place_open(&p, SEGMENT_BYTES);
    ck_assert_uint_eq(raft_wal_state(w)->count, 2);
    raft_wal_close(w);
    place_finish(&p);
}
END_TEST

START_TEST(bad_options_are_refused)
{
    struct place p;
    struct raft_wal_options o;
    struct raft_wal *w = NULL;
    char why[256];
    place_init(&p, _i);
    walkit_options(&o, &p.fs, 100, 1);
    ck_assert_int_eq(raft_wal_open(&o, &w, why, sizeof why), -EINVAL);
    ck_assert_str_ne(why, "");
    o.segment_bytes = (uint64_t)1 << 40;
    ck_assert_int_eq(raft_wal_open(&o, &w, why, sizeof why), -EINVAL);
    ck_assert_int_eq(raft_wal_open(&o, &w, NULL, 0), -EINVAL);
    ck_assert_ptr_null(w);
    place_finish(&p);
}
END_TEST

/* Another segment size at the next start changes nothing for what is there. */
START_TEST(segment_size_may_change)
{
    static const uint64_t sizes[] = {32768, 8192, 65536, 8192, 16384};
    struct place p;
    place_init(&p, _i);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct raft_wal *w = place_open(&p, sizes[i]);
        check_same(w, &model);
        for (int n = 0; n < 6; n++) {
            batch.count = 0;
            for (raft_index k = 1; k <= 7; k++) {
                walkit_entry(&batch, model.last + k, 1, 600);
            }
            ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
        }
        ck_assert_int_eq(raft_wal_idle(w), 0);
        raft_wal_close(w);
    }
    place_finish(&p);
}
END_TEST

START_TEST(foreign_and_newer_logs_are_refused)
{
    struct place p;
    struct raft_wal_options o;
    struct raft_wal *w;
    char why[256];
    uint8_t page[4096];
    int fd;
    place_init(&p, _i);
    raft_wal_close(place_open(&p, 8192));
    walkit_options(&o, &p.fs, 8192, 1);
    o.cluster_id = 43;
    ck_assert_int_eq(raft_wal_open(&o, &w, why, sizeof why), RAFT_STORE_EFOREIGN);
    ck_assert_msg(strstr(why, "wal/0000000000000001.seg at offset 0") != NULL, "%s", why);
    o.cluster_id = 42;
    o.node_id = 8;
    ck_assert_int_eq(raft_wal_open(&o, &w, why, sizeof why), RAFT_STORE_EFOREIGN);
    ck_assert_msg(strstr(why, "member 7") != NULL, "%s", why);
    /* A header of version 2, intact. */
    const char *path = "wal/0000000000000001.seg";
    ck_assert_int_eq(p.fs.open(p.fs.ctx, path, RAFT_FS_READ | RAFT_FS_WRITE, &fd), 0);
    ck_assert_int_eq(p.fs.pread(p.fs.ctx, fd, page, sizeof page, 0), sizeof page);
    page[4] = 2;
    page[12] = 16; /* nothing but the fixed part, so that the checksum is that of 12 bytes */
    page[13] = 0;
    static const uint32_t polynomial = 0x82f63b78u;
    uint32_t crc = ~0u;
    for (int i = 0; i < 16; i++) { /* bit by bit, over bytes 0..7 and 12..15 */
        if (i >= 8 && i < 12) {
            continue;
        }
        crc ^= page[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? (crc >> 1) ^ polynomial : crc >> 1;
        }
    }
    crc = ~crc;
    for (int i = 0; i < 4; i++) {
        page[8 + i] = (uint8_t)(crc >> (8 * i));
    }
    struct iovec iov = {page, sizeof page};
    ck_assert_int_eq(p.fs.pwritev(p.fs.ctx, fd, &iov, 1, 0), 0);
    ck_assert_int_eq(p.fs.close(p.fs.ctx, fd), 0);
    o.node_id = 7;
    ck_assert_int_eq(raft_wal_open(&o, &w, why, sizeof why), RAFT_STORE_EVERSION);
    ck_assert_msg(strstr(why, "version 1") != NULL, "%s", why);
    place_finish(&p);
}
END_TEST

/* Starting again and again, each time after a little work and a crash of the process, does not fill
 * the disk. */
START_TEST(a_crash_loop_does_not_fill_the_disk)
{
    struct place p;
    place_init(&p, _i);
    for (int life = 0; life < 40; life++) {
        struct raft_wal *w = place_open(&p, 65536);
        check_same(w, &model);
        ck_assert_int_eq(raft_wal_idle(w), 0);
        batch.count = 0;
        walkit_hardstate(&batch, (raft_term)life + 1, 1, model.last);
        walkit_entry(&batch, model.last + 1, (raft_term)life + 1, 100);
        ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
        raft_wal_close(w);
        if (p.disk != NULL) {
            sim_disk_kill(p.disk);
        }
        ck_assert_int_le(count_files(&p.fs), 5);
    }
    place_finish(&p);
}
END_TEST

START_TEST(room_is_what_can_be_written)
{
    struct place p;
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, SEGMENT_BYTES);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    uint64_t room = raft_wal_room(w);
    ck_assert_uint_gt(room, 2 * SEGMENT_BYTES); /* one in use, two ready */
    ck_assert_uint_lt(room, 3 * SEGMENT_BYTES);
    int files = count_files(&p.fs);
    while (raft_wal_room(w) > SEGMENT_BYTES) {
        uint64_t before = raft_wal_room(w);
        batch.count = 0;
        walkit_entry(&batch, model.last + 1, 1, 1000);
        ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
        ck_assert_uint_lt(raft_wal_room(w), before);
    }
    ck_assert_int_eq(count_files(&p.fs), files); /* nothing had to be made */
    raft_wal_close(w);
    place_finish(&p);
}
END_TEST

/* Another thread makes the segments: what is ready can be written meanwhile, what needs more is refused
 * without effect, and a failure there is no failure of the log. */
START_TEST(segments_can_be_made_beside)
{
    struct place p;
    struct raft_wal_prep *prep = NULL;
    struct raft_wal_prep *none = NULL;
    int rc = 0;
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, 8192);
    ck_assert_int_eq(raft_wal_prep(w, &prep), 1);
    ck_assert_int_eq(raft_wal_prep(w, &none), 0); /* one at a time */
    ck_assert_ptr_null(none);
    while (rc == 0) {
        batch.count = 0;
        walkit_entry(&batch, model.last + 1, 1, 900);
        rc = walkit_write(w, &model, &batch);
    }
    ck_assert_int_eq(rc, -EBUSY);
    ck_assert(!raft_wal_failed(w));
    ck_assert_int_eq(raft_wal_read(w, model.last + 1, batch.data[0], 900), RAFT_STORE_ENOENT);
    int files = count_files(&p.fs);
    ck_assert_int_eq(raft_wal_idle(w), 0); /* and makes none of its own */
    ck_assert_int_eq(count_files(&p.fs), files);
    raft_wal_prep_run(prep);
    ck_assert_int_eq(raft_wal_prep_end(w), 0);
    ck_assert_int_eq(walkit_write(w, &model, &batch), 0); /* the same again */
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(raft_wal_prep(w, &prep), 1);
        raft_wal_prep_run(prep);
        ck_assert_int_eq(raft_wal_prep_end(w), 0);
    }
    ck_assert_int_eq(raft_wal_prep(w, &prep), 0); /* there are enough */
    if (p.disk != NULL) {
        sim_disk_set_capacity(p.disk, sim_disk_used(p.disk));
        uint64_t room = raft_wal_room(w);
        batch.count = 0;
        for (raft_index i = 1; i <= 9; i++) {
            walkit_entry(&batch, model.last + i, 1, 900);
        }
        ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
        ck_assert_int_eq(raft_wal_prep(w, &prep), 1);
        raft_wal_prep_run(prep);
        ck_assert_int_eq(raft_wal_prep_end(w), -ENOSPC);
        ck_assert(!raft_wal_failed(w));
        ck_assert_uint_lt(raft_wal_room(w), room);
        sim_disk_set_capacity(p.disk, UINT64_MAX);
    }
    w = open_same(&p, w, 8192);
    raft_wal_close(w);
    place_finish(&p);
}
END_TEST

/* A log that was long leaves files for one as long again, and no more; a short one gives them back. */
START_TEST(released_files_are_kept_for_as_long_a_log)
{
    struct place p;
    place_init(&p, _i);
    struct raft_wal *w = place_open(&p, 8192);
    for (int i = 0; i < 60; i++) {
        batch.count = 0;
        for (raft_index k = 1; k <= 6; k++) {
            walkit_entry(&batch, model.last + k, 2, 1000);
        }
        ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
        if (i % 10 == 9) { /* half of it is released */
            batch.count = 0;
            walkit_snapmark(&batch, model.last - 30, 2);
            ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
            raft_wal_compact(w, model.snapshot_index);
            ck_assert_int_eq(raft_wal_idle(w), 0);
            ck_assert_int_le(count_files(&p.fs), 2 * 11 + 3); /* three entries fill one */
        }
    }
    ck_assert_int_gt(count_files(&p.fs), 10);
    batch.count = 0;
    walkit_snapmark(&batch, model.last, 2);
    ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
    raft_wal_compact(w, model.last);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    ck_assert_int_le(count_files(&p.fs), 4); /* one in use, two asked for, one for the log's own */
    raft_wal_close(w);
    place_finish(&p);
}
END_TEST

/* Put the payloads of b into out as a host does that leaves room, one behind the other; each third as it is. */
static void with_room(const struct walkit_batch *b, struct raft_wal_op *ops, uint8_t *out)
{
    memset(out, 0xaa, WALKIT_OPS_MAX * 256);
    memcpy(ops, b->ops, sizeof b->ops);
    for (uint32_t i = 0; i < b->count; i++) {
        if (ops[i].kind != RAFT_WAL_ENTRY || i % 3 == 2) {
            continue;
        }
        out += RAFT_WAL_ROOM;
        memcpy(out, ops[i].data, ops[i].bytes);
        ops[i].data = out;
        ops[i].has_room = 1;
        out += (ops[i].bytes + 7) & ~7u;
    }
}

static int compare_file(void *arg, const char *name)
{
    static uint8_t bytes[2][4 * SEGMENT_BYTES];
    struct place *places = arg;
    int64_t got[2];
    for (int k = 0; k < 2; k++) {
        const struct raft_fs *fs = &places[k].fs;
        char path[128];
        int fd;
        (void)snprintf(path, sizeof path, "wal/%s", name);
        ck_assert_int_eq(fs->open(fs->ctx, path, RAFT_FS_READ, &fd), 0);
        got[k] = fs->pread(fs->ctx, fd, bytes[k], sizeof bytes[k], 0);
        ck_assert_int_eq(fs->close(fs->ctx, fd), 0);
    }
    ck_assert_int_ge(got[0], SEGMENT_BYTES);
    ck_assert_int_eq(got[0], got[1]);
    for (int64_t at = 0; at < got[0]; at++) {
        ck_assert_msg(bytes[0][at] == bytes[1][at], "%s differs at %lld", name, (long long)at);
    }
    return 0;
}

/* Goal: records made in place, around the payloads, are byte for byte those that are gathered. */
START_TEST(room_around_payloads_changes_no_byte)
{
    static struct raft_wal_op ops[WALKIT_OPS_MAX];
    static _Alignas(8) uint8_t out[WALKIT_OPS_MAX * 256];
    struct place p[2];
    struct raft_wal *w[2];
    uint64_t rng = 7;
    for (int k = 0; k < 2; k++) {
        place_init(&p[k], _i);
        w[k] = place_open(&p[k], SEGMENT_BYTES);
    }
    for (uint32_t round = 0; round < 60; round++) {
        batch.count = 0;
        raft_index from = model.last + 1;
        uint32_t count = 1 + (uint32_t)(walkit_draw(&rng) % 20);
        if (round % 4 == 1) {
            walkit_hardstate(&batch, 1, 2, model.last);
        }
        for (uint32_t i = 0; i < count; i++) {
            walkit_entry(&batch, from + i, 1, (uint32_t)(walkit_draw(&rng) % 120));
        }
        with_room(&batch, ops, out);
        ck_assert_int_eq(walkit_write(w[0], &model, &batch), 0);
        ck_assert_int_eq(raft_wal_write(w[1], ops, batch.count), 0);
    }
    ck_assert_int_gt(count_files(&p[0].fs), 3); /* it went over the ends of segments */
    ck_assert_int_eq(p[0].fs.list(p[0].fs.ctx, "wal", compare_file, p), 0);
    for (int k = 0; k < 2; k++) {
        w[k] = open_same(&p[k], w[k], SEGMENT_BYTES);
        raft_wal_close(w[k]);
        place_finish(&p[k]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wal");
    TCase *tc = tcase_create("both file systems");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, a_fresh_log_is_empty, 0, 2);
    tcase_add_loop_test(tc, round_trip, 0, 2);
    tcase_add_loop_test(tc, payloads_of_every_length, 0, 2);
    tcase_add_loop_test(tc, roll_over_many_segments, 0, 2);
    tcase_add_loop_test(tc, a_large_write_is_split, 0, 2);
    tcase_add_loop_test(tc, many_small_records_in_one_write, 0, 2);
    tcase_add_loop_test(tc, truncation_within_and_across_segments, 0, 2);
    tcase_add_loop_test(tc, compaction_recycles_segments, 0, 2);
    tcase_add_loop_test(tc, compaction_stops_at_the_snapshot, 0, 2);
    tcase_add_loop_test(tc, an_installed_snapshot_replaces_the_log, 0, 2);
    tcase_add_loop_test(tc, refusals_have_no_effect, 0, 2);
    tcase_add_loop_test(tc, bad_options_are_refused, 0, 2);
    tcase_add_loop_test(tc, segment_size_may_change, 0, 2);
    tcase_add_loop_test(tc, foreign_and_newer_logs_are_refused, 0, 2);
    tcase_add_loop_test(tc, a_crash_loop_does_not_fill_the_disk, 0, 2);
    tcase_add_loop_test(tc, room_is_what_can_be_written, 0, 2);
    tcase_add_loop_test(tc, segments_can_be_made_beside, 0, 2);
    tcase_add_loop_test(tc, released_files_are_kept_for_as_long_a_log, 0, 2);
    tcase_add_loop_test(tc, room_around_payloads_changes_no_byte, 0, 2);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
