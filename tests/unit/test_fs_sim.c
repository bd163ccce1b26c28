/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the simulated disk loses exactly what a real one may lose: never what was synced, anything of
 * what was not; and every fault that a test asks for comes.
 * Method: small sequences with known outcomes; for the random crash, that over many seeds every kind of
 * outcome is seen and nothing else.
 */
#include "tests/sim/disk.h"

#include <check.h>
#include <errno.h>
#include <string.h>

static struct sim_disk *disk;
static const struct raft_fs *fs;

static void setup(void)
{
    disk = sim_disk_create(1);
    fs = sim_disk_fs(disk);
}

static void teardown(void)
{
    sim_disk_destroy(disk);
}

static int make(const char *path)
{
    int fd = -1;
    int flags = RAFT_FS_READ | RAFT_FS_WRITE | RAFT_FS_CREATE;
    ck_assert_int_eq(fs->open(fs->ctx, path, flags, &fd), 0);
    return fd;
}

static int put(int fd, uint64_t offset, char byte, size_t len)
{
    static char data[8192];
    struct iovec iov = {data, len};
    memset(data, byte, len);
    return fs->pwritev(fs->ctx, fd, &iov, 1, offset);
}

/* A durable file f of 4096 letters 'a', with 2048 letters 'b' over its second half pending. */
static int half_written(void)
{
    int fd = make("f");
    ck_assert_int_eq(put(fd, 0, 'a', 4096), 0);
    ck_assert_int_eq(fs->fdatasync(fs->ctx, fd), 0);
    ck_assert_int_eq(fs->sync_dir(fs->ctx, "."), 0);
    ck_assert_int_eq(put(fd, 2048, 'b', 2048), 0);
    return fd;
}

static char byte_at(uint64_t offset)
{
    uint64_t bytes;
    const uint8_t *p = sim_disk_data(disk, "f", &bytes);
    ck_assert_ptr_nonnull(p);
    return offset < bytes ? (char)p[offset] : '\0';
}

START_TEST(synced_data_survives_and_the_rest_does_not)
{
    int fd = half_written();
    sim_disk_crash(disk, SIM_DISK_CRASH_DROP, 1);
    ck_assert_int_eq(byte_at(2047), 'a');
    ck_assert_int_eq(byte_at(2048), 'a');
    ck_assert_int_eq(put(fd, 0, 'x', 1), -EBADF); /* from before the crash */
}
END_TEST

START_TEST(a_kill_loses_nothing_and_saves_nothing)
{
    (void)half_written();
    sim_disk_kill(disk);
    ck_assert_int_eq(byte_at(2048), 'b');
    sim_disk_crash(disk, SIM_DISK_CRASH_DROP, 1);
    ck_assert_int_eq(byte_at(2048), 'a');
}
END_TEST

START_TEST(unsynced_names_are_lost)
{
    int fd = make("f");
    ck_assert_int_eq(put(fd, 0, 'a', 100), 0);
    ck_assert_int_eq(fs->fdatasync(fs->ctx, fd), 0);
    ck_assert_int_eq(fs->mkdir(fs->ctx, "d"), 0);
    (void)make("d/x");
    ck_assert_int_eq(fs->sync_dir(fs->ctx, "d"), 0); /* but d itself is not durable */
    sim_disk_crash(disk, SIM_DISK_CRASH_DROP, 1);
    uint64_t bytes;
    ck_assert_ptr_null(sim_disk_data(disk, "f", &bytes));
    ck_assert_ptr_null(sim_disk_data(disk, "d/x", &bytes));
    ck_assert_uint_eq(sim_disk_used(disk), 0);
    /* A deletion or a rename that was not synced comes undone. */
    (void)half_written();
    ck_assert_int_eq(fs->rename(fs->ctx, "f", "g"), 0);
    ck_assert_int_eq(fs->unlink(fs->ctx, "g"), 0);
    sim_disk_crash(disk, SIM_DISK_CRASH_DROP, 1);
    ck_assert_int_eq(byte_at(0), 'a');
}
END_TEST

START_TEST(a_name_may_survive_without_the_data)
{
    int fd = make("t");
    ck_assert_int_eq(put(fd, 0, 'a', 100), 0);
    ck_assert_int_eq(fs->rename(fs->ctx, "t", "f"), 0);
    sim_disk_crash(disk, SIM_DISK_CRASH_NAMES, 1);
    uint64_t bytes = 7;
    ck_assert_ptr_nonnull(sim_disk_data(disk, "f", &bytes));
    ck_assert_uint_eq(bytes, 0);
}
END_TEST

/* Over many seeds: all, nothing, a beginning, scattered sectors, zeros and garbage; never a change to
 * what was synced and not being written. */
START_TEST(random_crashes_show_every_outcome)
{
    int all = 0;
    int nothing = 0;
    int beginning = 0;
    int scattered = 0;
    int zeros = 0;
    int garbage = 0;
    (void)half_written();
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct sim_disk *whole = disk;
        disk = sim_disk_clone(whole);
        sim_disk_crash(disk, SIM_DISK_CRASH_RANDOM, seed);
        char sectors[5] = "....";
        int kept = 0;
        for (uint64_t i = 0; i < 2048; i++) {
            kept += byte_at(i) == 'a';
        }
        ck_assert_int_eq(kept, 2048);
        for (uint64_t i = 0; i < 4; i++) {
            sectors[i] = byte_at(2048 + i * 512 + 17);
        }
        if (strcmp(sectors, "bbbb") == 0) {
            all++;
        } else if (strcmp(sectors, "aaaa") == 0) {
            nothing++;
        } else if (strcmp(sectors, "baaa") == 0 || strcmp(sectors, "bbaa") == 0) {
            beginning++;
        } else if (strspn(sectors, "ab") == 4) {
            scattered++;
        } else if (memcmp(sectors, "\0\0\0\0", 4) == 0) {
            zeros++;
        } else {
            garbage++;
        }
        sim_disk_destroy(disk);
        disk = whole;
    }
    ck_assert_int_gt(all, 30);
    ck_assert_int_gt(nothing, 30);
    ck_assert_int_gt(beginning, 5);
    ck_assert_int_gt(scattered, 5);
    ck_assert_int_gt(zeros, 3);
    ck_assert_int_gt(garbage, 3);
}
END_TEST

START_TEST(crashes_are_deterministic)
{
    (void)half_written();
    struct sim_disk *a = sim_disk_clone(disk);
    struct sim_disk *b = sim_disk_clone(disk);
    uint64_t na;
    uint64_t nb;
    for (uint64_t seed = 0; seed < 20; seed++) {
        sim_disk_crash(a, SIM_DISK_CRASH_RANDOM, seed);
        sim_disk_crash(b, SIM_DISK_CRASH_RANDOM, seed);
        const uint8_t *pa = sim_disk_data(a, "f", &na);
        const uint8_t *pb = sim_disk_data(b, "f", &nb);
        ck_assert_uint_eq(na, nb);
        ck_assert_int_eq(memcmp(pa, pb, na), 0);
        sim_disk_destroy(a);
        sim_disk_destroy(b);
        a = sim_disk_clone(disk);
        b = sim_disk_clone(disk);
    }
    sim_disk_destroy(a);
    sim_disk_destroy(b);
}
END_TEST

START_TEST(failed_syncs)
{
    int fd = half_written();
    sim_disk_fail_sync(disk, 2, SIM_DISK_SYNC_KEEP);
    ck_assert_int_eq(fs->fdatasync(fs->ctx, fd), 0);
    ck_assert_int_eq(put(fd, 0, 'c', 512), 0);
    ck_assert_int_eq(fs->fdatasync(fs->ctx, fd), -EIO);
    ck_assert_int_eq(fs->fdatasync(fs->ctx, fd), 0); /* and lies */
    ck_assert_int_eq(byte_at(0), 'c');
    sim_disk_crash(disk, SIM_DISK_CRASH_KEEP, 1);
    ck_assert_int_eq(byte_at(0), 'a');
    ck_assert_int_eq(byte_at(2048), 'b');
    ck_assert_int_eq(fs->open(fs->ctx, "f", RAFT_FS_READ | RAFT_FS_WRITE, &fd), 0);
    ck_assert_int_eq(put(fd, 0, 'd', 512), 0);
    sim_disk_fail_sync(disk, 1, SIM_DISK_SYNC_REVERT);
    ck_assert_int_eq(fs->fdatasync(fs->ctx, fd), -EIO);
    ck_assert_int_eq(byte_at(0), 'a');
}
END_TEST

START_TEST(stopping_inside_an_operation)
{
    int fd = half_written();
    uint64_t at = sim_disk_counts(disk)->changes;
    sim_disk_stop_at(disk, at + 2);
    ck_assert_int_eq(put(fd, 0, 'c', 512), 0);
    ck_assert_int_eq(sim_disk_stopped(disk), 0);
    ck_assert_int_eq(put(fd, 512, 'd', 512), -EIO); /* pending all the same */
    ck_assert_int_eq(sim_disk_stopped(disk), 1);
    char buf[1];
    ck_assert_int_eq(fs->pread(fs->ctx, fd, buf, 1, 0), -EIO);
    ck_assert_int_eq(fs->fdatasync(fs->ctx, fd), -EIO);
    sim_disk_crash(disk, SIM_DISK_CRASH_KEEP, 1);
    ck_assert_int_eq(byte_at(512), 'd');
    ck_assert_int_eq(sim_disk_stopped(disk), 0);
    /* A sync that it stops in has not happened. */
    ck_assert_int_eq(fs->open(fs->ctx, "f", RAFT_FS_READ | RAFT_FS_WRITE, &fd), 0);
    ck_assert_int_eq(put(fd, 0, 'e', 512), 0);
    sim_disk_stop_at(disk, sim_disk_counts(disk)->changes + 1);
    ck_assert_int_eq(fs->fdatasync(fs->ctx, fd), -EIO);
    sim_disk_crash(disk, SIM_DISK_CRASH_DROP, 1);
    ck_assert_int_eq(byte_at(0), 'c');
}
END_TEST

START_TEST(chosen_failures)
{
    int fd = half_written();
    sim_disk_fail(disk, SIM_DISK_WRITE | SIM_DISK_SYNC, 2, 2, EROFS);
    ck_assert_int_eq(put(fd, 0, 'c', 1), 0);
    ck_assert_int_eq(fs->fdatasync(fs->ctx, fd), -EROFS);
    ck_assert_int_eq(put(fd, 0, 'd', 1), -EROFS);
    ck_assert_int_eq(put(fd, 0, 'e', 1), 0);
    ck_assert_int_eq(byte_at(0), 'e');
}
END_TEST

START_TEST(capacity)
{
    int fd = make("f");
    sim_disk_set_capacity(disk, 1000);
    uint64_t space;
    ck_assert_int_eq(fs->space(fs->ctx, &space), 0);
    ck_assert_uint_eq(space, 1000);
    ck_assert_int_eq(fs->allocate(fs->ctx, fd, 1001), -ENOSPC);
    ck_assert_int_eq(fs->allocate(fs->ctx, fd, 600), 0);
    ck_assert_int_eq(put(fd, 0, 'a', 600), 0); /* in place */
    ck_assert_int_eq(put(fd, 500, 'b', 600), -ENOSPC);
    ck_assert_uint_eq(sim_disk_used(disk), 1000); /* what fits is written */
    ck_assert_int_eq(fs->unlink(fs->ctx, "f"), 0);
    ck_assert_int_eq(fs->close(fs->ctx, fd), 0);
    ck_assert_int_eq(fs->space(fs->ctx, &space), 0);
    ck_assert_uint_eq(space, 1000);
}
END_TEST

START_TEST(rot_and_lies)
{
    int fd = half_written();
    char buf[8];
    ck_assert_int_eq(sim_disk_flip(disk, "f", 4096, 0), -EINVAL);
    ck_assert_int_eq(sim_disk_flip(disk, "nothing", 0, 0), -ENOENT);
    ck_assert_int_eq(sim_disk_flip(disk, "f", 9, 1), 0);
    ck_assert_int_eq(byte_at(9), 'a' ^ 2);
    ck_assert_int_eq(sim_disk_bad_range(disk, "f", 100, 50), 0);
    ck_assert_int_eq(fs->pread(fs->ctx, fd, buf, 8, 92), 8);
    ck_assert_int_eq(fs->pread(fs->ctx, fd, buf, 8, 93), -EIO);
    ck_assert_int_eq(put(fd, 100, 'c', 25), 0); /* heals half of it */
    ck_assert_int_eq(fs->pread(fs->ctx, fd, buf, 8, 110), 8);
    ck_assert_int_eq(fs->pread(fs->ctx, fd, buf, 8, 130), -EIO);
    sim_disk_lose_write(disk, 2);
    ck_assert_int_eq(put(fd, 0, 'd', 10), 0);
    ck_assert_int_eq(put(fd, 20, 'e', 10), 0);
    ck_assert_int_eq(put(fd, 40, 'f', 10), 0);
    ck_assert_int_eq(fs->fdatasync(fs->ctx, fd), 0);
    ck_assert_int_eq(byte_at(20), 'e');
    sim_disk_crash(disk, SIM_DISK_CRASH_DROP, 1);
    ck_assert_int_eq(byte_at(0), 'd');
    ck_assert_int_eq(byte_at(20), 'a');
    ck_assert_int_eq(byte_at(40), 'f');
}
END_TEST

int main(void)
{
    Suite *s = suite_create("simulated disk");
    TCase *tc = tcase_create("disk");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, synced_data_survives_and_the_rest_does_not);
    tcase_add_test(tc, a_kill_loses_nothing_and_saves_nothing);
    tcase_add_test(tc, unsynced_names_are_lost);
    tcase_add_test(tc, a_name_may_survive_without_the_data);
    tcase_add_test(tc, random_crashes_show_every_outcome);
    tcase_add_test(tc, crashes_are_deterministic);
    tcase_add_test(tc, failed_syncs);
    tcase_add_test(tc, stopping_inside_an_operation);
    tcase_add_test(tc, chosen_failures);
    tcase_add_test(tc, capacity);
    tcase_add_test(tc, rot_and_lies);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
