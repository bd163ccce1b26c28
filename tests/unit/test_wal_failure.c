/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a write or sync that fails is final and loses nothing that was acknowledged; trouble in making
 * segments ready is not final; bytes of a recycled file's earlier life are never read (faults D2, D4,
 * D6, D7).
 * Method: a simulated disk fails chosen operations, runs full, or is full of old records; afterwards
 * the log is opened again and compared with a model.
 */
#include "tests/lib/walkit.h"
#include "tests/sim/disk.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_BYTES 8192u

static struct walkit_batch batch;
static struct walkit_model model;
static struct sim_disk *disk;
static uint64_t salt;

static void setup(void)
{
    memset(&batch, 0, sizeof batch);
    walkit_model_init(&model);
    disk = sim_disk_create(1);
    salt = 0;
}

static void teardown(void)
{
    sim_disk_destroy(disk);
}

static int try_open(struct raft_wal **ret_wal)
{
    struct raft_wal_options o;
    char why[256];
    walkit_options(&o, sim_disk_fs(disk), SEGMENT_BYTES, ++salt);
    return raft_wal_open(&o, ret_wal, why, sizeof why);
}

static struct raft_wal *open_log(void)
{
    struct raft_wal *w;
    ck_assert_int_eq(try_open(&w), 0);
    return w;
}

static void check_same(struct raft_wal *w)
{
    char why[256];
    ck_assert_int_ne(raft_wal_state(w)->health, RAFT_WAL_REPAIR);
    ck_assert_msg(walkit_compare(w, &model, why, sizeof why) == 0, "%s", why);
}

/* The process ends, the power is cut, and what was acknowledged is there again. */
static struct raft_wal *power_cut(struct raft_wal *w, enum sim_disk_crash_kind how, uint64_t seed)
{
    raft_wal_close(w);
    sim_disk_crash(disk, how, seed);
    w = open_log();
    check_same(w);
    return w;
}

static int write_entries(struct raft_wal *w, uint32_t count, uint32_t bytes)
{
    batch.count = 0;
    for (uint32_t i = 0; i < count; i++) {
        walkit_entry(&batch, model.last + 1 + i, 1, bytes);
    }
    return walkit_write(w, &model, &batch);
}

/* Everything is refused once the log has failed. */
static void check_failed(struct raft_wal *w)
{
    uint8_t buf[WALKIT_BYTES_MAX];
    ck_assert_int_eq(raft_wal_failed(w), 1);
    ck_assert_int_eq(write_entries(w, 1, 10), RAFT_STORE_EFAILED);
    ck_assert_int_eq(raft_wal_idle(w), RAFT_STORE_EFAILED);
    ck_assert_int_eq(raft_wal_repaired(w), RAFT_STORE_EFAILED);
    ck_assert_int_eq(raft_wal_read(w, 1, buf, sizeof buf), RAFT_STORE_EFAILED);
}

/* Loop: which page model; whether the power is cut afterwards. */
START_TEST(a_failed_sync_is_final)
{
    enum sim_disk_sync_failure how = _i % 2 == 0 ? SIM_DISK_SYNC_KEEP : SIM_DISK_SYNC_REVERT;
    struct raft_wal *w = open_log();
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(write_entries(w, 3, 100), 0);
    }
    sim_disk_fail_sync(disk, 1, how);
    ck_assert_int_eq(write_entries(w, 2, 100), -EIO);
    check_failed(w);
    raft_wal_close(w);
    if (_i / 2 == 0) {
        sim_disk_kill(disk);
    } else {
        sim_disk_crash(disk, SIM_DISK_CRASH_DROP, 1);
    }
    /* What was not acknowledged may be there (pages kept, no power cut), and then it is copied, so
     * that the next power cut does not take it: the disk never got it. */
    w = open_log();
    if (raft_wal_state(w)->count == 11) {
        ck_assert_int_eq(_i, 0);
        batch.count = 0;
        walkit_entry(&batch, 10, 1, 100);
        walkit_entry(&batch, 11, 1, 100);
        walkit_model_apply(&model, &batch.ops[0]);
        walkit_model_apply(&model, &batch.ops[1]);
    } else {
        ck_assert_int_ne(_i, 0);
    }
    w = power_cut(w, SIM_DISK_CRASH_DROP, 1);
    ck_assert_int_eq(write_entries(w, 3, 100), 0);
    w = power_cut(w, SIM_DISK_CRASH_DROP, 2);
    raft_wal_close(w);
}
END_TEST

START_TEST(a_failed_write_is_final)
{
    static const int errors[] = {EIO, ENOSPC};
    struct raft_wal *w = open_log();
    ck_assert_int_eq(write_entries(w, 3, 100), 0);
    sim_disk_fail(disk, SIM_DISK_WRITE, 1, 1, errors[_i]);
    ck_assert_int_eq(write_entries(w, 2, 100), -errors[_i]);
    check_failed(w);
    w = power_cut(w, SIM_DISK_CRASH_RANDOM, 1);
    raft_wal_close(w);
}
END_TEST

START_TEST(a_failed_seal_is_final)
{
    struct raft_wal *w = open_log();
    ck_assert_int_eq(write_entries(w, 3, 100), 0);
    sim_disk_fail(disk, SIM_DISK_SYNC, 1, 1, EIO);
    ck_assert_int_eq(raft_wal_idle(w), -EIO);
    check_failed(w);
    w = power_cut(w, SIM_DISK_CRASH_RANDOM, 1);
    raft_wal_close(w);
}
END_TEST

/* Each operation of making segments ready fails in turn: nothing is final, nothing is lost. */
START_TEST(trouble_in_preparation_is_not_final)
{
    static const struct {
        int op;
        int error;
    } troubles[] = {{SIM_DISK_OPEN, EMFILE},  {SIM_DISK_ALLOCATE, ENOSPC}, {SIM_DISK_SYNC, EIO},
                    {SIM_DISK_SYNC_DIR, EIO}, {SIM_DISK_ALLOCATE, EDQUOT}, {SIM_DISK_UNLINK, EIO}};
    struct raft_wal *w = open_log();
    ck_assert_int_eq(write_entries(w, 3, 100), 0);
    while (raft_wal_room(w) > 1000) { /* no segment is ready yet */
        ck_assert_int_eq(write_entries(w, 1, 500), 0);
    }
    sim_disk_fail(disk, troubles[_i].op, 1, 1, troubles[_i].error);
    int rc = write_entries(w, 3, 900);
    ck_assert_int_eq(rc, troubles[_i].op == SIM_DISK_UNLINK ? 0 : -troubles[_i].error);
    ck_assert_int_eq(raft_wal_failed(w), 0);
    sim_disk_fail(disk, troubles[_i].op, 1, 0, 0);
    ck_assert_int_eq(write_entries(w, 3, 900), 0);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    w = power_cut(w, SIM_DISK_CRASH_DROP, 1);
    raft_wal_close(w);
}
END_TEST

/* The disk runs full: writes are refused before anything is accepted, and go on when there is room. */
START_TEST(a_full_disk_recovers)
{
    struct raft_wal *w = open_log();
    sim_disk_set_capacity(disk, 4 * SEGMENT_BYTES);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    int rc = 0;
    for (int i = 0; i < 100 && rc == 0; i++) {
        rc = write_entries(w, 2, 700);
    }
    ck_assert_int_eq(rc, -ENOSPC);
    ck_assert_int_eq(raft_wal_failed(w), 0);
    ck_assert_int_eq(raft_wal_idle(w), -ENOSPC);
    ck_assert_int_eq(write_entries(w, 2, 700), -ENOSPC);
    raft_wal_close(w);
    sim_disk_crash(disk, SIM_DISK_CRASH_DROP, 1);
    sim_disk_set_capacity(disk, 6 * SEGMENT_BYTES);
    w = open_log();
    check_same(w);
    /* A snapshot lets old segments go; then it works in the same space for good. */
    for (int i = 0; i < 30; i++) {
        batch.count = 0;
        walkit_snapmark(&batch, model.last, 1);
        ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
        raft_wal_compact(w, model.last);
        model.first = model.last + 1;
        (void)raft_wal_idle(w); /* may still be short of a second ready segment */
        ck_assert_int_eq(write_entries(w, 3, 700), 0);
    }
    w = power_cut(w, SIM_DISK_CRASH_DROP, 1);
    raft_wal_close(w);
}
END_TEST

/* A sync fails while a log is opened (the first, or the copy of an unattested tail), the page cache
 * keeps what the disk does not have: the next opening must not build on it. */
static uint64_t ballast(void)
{
    uint64_t bytes = 0;
    return sim_disk_data(disk, "ballast", &bytes) == NULL ? 0 : bytes;
}

static struct raft_wal *open_with_ballast(uint64_t bytes)
{
    struct raft_wal_options o;
    struct raft_wal *w;
    char why[256];
    walkit_options(&o, sim_disk_fs(disk), SEGMENT_BYTES, ++salt);
    o.ballast_bytes = bytes;
    ck_assert_int_eq(raft_wal_open(&o, &w, why, sizeof why), 0);
    return w;
}

/* The reserve is made piece by piece, and kept; a full disk goes on as soon as it is deleted, without a
 * restart, and it is not made again on what was just freed. */
START_TEST(deleted_ballast_makes_room)
{
    const struct raft_fs *fs = sim_disk_fs(disk);
    const uint64_t want = 10u << 20;
    int calls = 0;
    sim_disk_set_capacity(disk, 64u << 20);
    struct raft_wal *w = open_with_ballast(want);
    ck_assert_uint_eq(ballast(), 0); /* opening makes none */
    while (raft_wal_idle(w) == 1) {
        calls++;
        ck_assert_uint_lt(ballast(), want);
        ck_assert_int_lt(calls, 10);
    }
    ck_assert_int_ge(calls, 2);
    ck_assert_uint_eq(ballast(), want);
    sim_disk_set_capacity(disk, sim_disk_used(disk)); /* others have filled the disk */
    int rc = 0;
    while ((rc = write_entries(w, 1, 3000)) == 0) {
        (void)raft_wal_idle(w); /* cannot make a segment */
        ck_assert_uint_lt(model.last, 100);
    }
    ck_assert_int_eq(rc, -ENOSPC);
    ck_assert_int_eq(raft_wal_failed(w), 0);
    ck_assert_int_eq(raft_wal_idle(w), -ENOSPC);
    ck_assert_int_eq(fs->unlink(fs->ctx, "ballast"), 0);
    ck_assert_int_eq(write_entries(w, 1, 3000), 0);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    ck_assert_uint_eq(ballast(), 0);
    raft_wal_close(w);
    w = open_with_ballast(want); /* nor at the next start: too little is free */
    check_same(w);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    ck_assert_uint_eq(ballast(), 0);
    raft_wal_close(w);
    sim_disk_set_capacity(disk, 64u << 20);
    w = open_with_ballast(want);
    while (raft_wal_idle(w) == 1) {
    }
    ck_assert_uint_eq(ballast(), want);
    raft_wal_close(w);
}
END_TEST

/* Trouble with the reserve is nobody's trouble. */
START_TEST(ballast_that_cannot_be_made_is_done_without)
{
    sim_disk_set_capacity(disk, 64u << 20);
    for (uint32_t nth = 1; nth < 6; nth++) {
        struct raft_wal *w = open_with_ballast(8u << 20);
        ck_assert_int_eq(write_entries(w, 1, 100), 0);
        ck_assert_int_ge(raft_wal_idle(w), 0); /* segments are ready after this one */
        sim_disk_fail(disk, SIM_DISK_ALLOCATE | SIM_DISK_OPEN | SIM_DISK_SYNC_DIR, nth, 1, EIO);
        ck_assert_int_ge(raft_wal_idle(w), 0);
        sim_disk_fail(disk, 0, 0, 0, 0);
        ck_assert_int_eq(write_entries(w, 1, 100), 0);
        raft_wal_close(w);
        struct raft_wal *again = open_log();
        check_same(again);
        raft_wal_close(again);
        const struct raft_fs *fs = sim_disk_fs(disk);
        (void)fs->unlink(fs->ctx, "ballast");
    }
}
END_TEST

START_TEST(a_failed_sync_while_opening)
{
    for (uint32_t nth = 1; nth < 8; nth++) {
        struct raft_wal *w;
        int rc;
        teardown();
        setup();
        if (_i == 1) {
            w = open_log();
            ck_assert_int_eq(write_entries(w, 3, 100), 0);
            raft_wal_close(w);
            sim_disk_kill(disk);
        }
        sim_disk_fail_sync(disk, nth, SIM_DISK_SYNC_KEEP);
        rc = try_open(&w);
        ck_assert(rc == 0 || rc == -EIO);
        raft_wal_close(rc == 0 ? w : NULL);
        sim_disk_kill(disk);
        w = open_log();
        check_same(w);
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(write_entries(w, 3, 100), 0);
        }
        w = power_cut(w, SIM_DISK_CRASH_DROP, nth);
        raft_wal_close(w);
    }
}
END_TEST

/* Opening fails when the disk does, cleanly, and works the next time. */
START_TEST(opening_survives_any_error)
{
    struct raft_wal *w = open_log();
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(write_entries(w, 3, 500), 0);
    }
    raft_wal_close(w);
    for (uint32_t nth = 1;; nth++) {
        struct sim_disk *original = disk;
        struct raft_wal_options o;
        char why[256];
        disk = sim_disk_clone(original);
        sim_disk_fail(disk, SIM_DISK_ALL & ~SIM_DISK_READ, nth, 1, EACCES);
        walkit_options(&o, sim_disk_fs(disk), SEGMENT_BYTES, 5);
        int rc = raft_wal_open(&o, &w, why, sizeof why);
        ck_assert_msg(rc == 0 || (rc == -EACCES && why[0] != '\0'), "%d %s", rc, why);
        if (rc == 0) {
            check_same(w);
            raft_wal_close(w);
        }
        int reached = sim_disk_counts(disk)->opens > 0 && rc != 0;
        sim_disk_crash(disk, SIM_DISK_CRASH_RANDOM, nth);
        w = open_log();
        check_same(w);
        raft_wal_close(w);
        sim_disk_destroy(disk);
        disk = original;
        if (!reached && nth > 30) {
            break;
        }
    }
}
END_TEST

/* On a copy of the disk: write until it stops, tear the last write, look. The model is left as it was. */
static void tear_into_recycled(uint64_t image)
{
    static struct walkit_model base;
    static struct walkit_model acked;
    struct sim_disk *original = disk;
    base = model;
    disk = sim_disk_clone(original);
    struct raft_wal *w = open_log();
    sim_disk_stop_at(disk, sim_disk_counts(disk)->changes + 2 + image % 3);
    while (write_entries(w, 2, 300) == 0) {
    }
    acked = model;
    raft_wal_close(w);
    sim_disk_crash(disk, image < 5 ? SIM_DISK_CRASH_TORN : SIM_DISK_CRASH_RANDOM, image);
    w = open_log();
    raft_index last = raft_wal_state(w)->first + raft_wal_state(w)->count - 1;
    ck_assert_uint_ge(last, acked.last);
    ck_assert_uint_le(last, acked.last + 2);
    for (raft_index i = acked.last; i < last;
         i++) { /* the unacknowledged ones, if they are there */
        walkit_model_apply(&model, &batch.ops[i - acked.last]);
    }
    check_same(w);
    raft_wal_close(w);
    sim_disk_destroy(disk);
    disk = original;
    model = base;
}

/* A ready segment full of intact records of its earlier life, some of them with the very batch numbers
 * that come next: they are not taken for the log, whatever of the new one is torn. */
START_TEST(an_earlier_life_is_never_read)
{
    struct raft_wal *w = open_log();
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 4; i++) {
            ck_assert_int_eq(write_entries(w, 4, 400), 0);
        }
        batch.count = 0;
        walkit_snapmark(&batch, model.last - 2, 1);
        ck_assert_int_eq(walkit_write(w, &model, &batch), 0);
        raft_wal_compact(w, model.snapshot_index);
        model.first = model.snapshot_index + 1;
        ck_assert_int_eq(raft_wal_idle(w), 0);
        for (uint64_t image = 0; image < 10; image++) {
            tear_into_recycled(image);
        }
    }
    raft_wal_close(w);
}
END_TEST

/* A log whose only begun segment is gone, but files made for later are there, is not a fresh one. */
START_TEST(prepared_files_alone_are_not_a_fresh_log)
{
    struct raft_wal *w = open_log();
    ck_assert_int_eq(write_entries(w, 3, 100), 0);
    ck_assert_int_eq(raft_wal_idle(w), 0);
    raft_wal_close(w);
    const struct raft_fs *fs = sim_disk_fs(disk);
    ck_assert_int_eq(fs->unlink(fs->ctx, "wal/0000000000000001.seg"), 0);
    ck_assert_int_eq(try_open(&w), RAFT_STORE_ECORRUPT);
}
END_TEST

START_TEST(errors_have_texts)
{
    ck_assert_str_eq(raft_store_strerror(0), "success");
    ck_assert_ptr_nonnull(strstr(raft_store_strerror(RAFT_STORE_ECORRUPT), "damaged"));
    ck_assert_str_eq(raft_store_strerror(-ENOSPC), "No space left on device");
    ck_assert_str_eq(raft_store_strerror(-9999), "unknown storage error");
    ck_assert_str_eq(raft_store_strerror(5), "unknown storage error");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wal failure");
    TCase *tc = tcase_create("failing disk");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_failed_sync_is_final, 0, 4);
    tcase_add_loop_test(tc, a_failed_write_is_final, 0, 2);
    tcase_add_test(tc, a_failed_seal_is_final);
    tcase_add_loop_test(tc, trouble_in_preparation_is_not_final, 0, 6);
    tcase_add_test(tc, a_full_disk_recovers);
    tcase_add_test(tc, deleted_ballast_makes_room);
    tcase_add_test(tc, ballast_that_cannot_be_made_is_done_without);
    tcase_add_loop_test(tc, a_failed_sync_while_opening, 0, 2);
    tcase_add_test(tc, opening_survives_any_error);
    tcase_add_test(tc, an_earlier_life_is_never_read);
    tcase_add_test(tc, prepared_files_alone_are_not_a_fresh_log);
    tcase_add_test(tc, errors_have_texts);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
