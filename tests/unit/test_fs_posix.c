/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: both file systems keep the contract of struct raft_fs, so that what is tested on the simulated
 * disk holds for files; and the real one is safe in what only it has (modes, links, locks).
 * Method: the same calls on the simulated disk (loop 0) and in a directory made for the case (loop 1);
 * then the real one alone.
 */
#include "tests/sim/disk.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct raft_fs fs;
static struct sim_disk *disk;
static char dir[64];

static void begin(int real)
{
    if (real) {
        (void)snprintf(dir, sizeof dir, "/tmp/coord-test-fs-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
        ck_assert_int_eq(raft_fs_posix_open(dir, &fs), 0);
    } else {
        disk = sim_disk_create(1);
        fs = *sim_disk_fs(disk);
    }
}

static void end(int real)
{
    if (real) {
        char command[128];
        raft_fs_posix_close(&fs);
        raft_fs_posix_close(&fs); /* twice is harmless */
        (void)snprintf(command, sizeof command, "rm -r '%s'", dir);
        ck_assert_int_eq(system(command), 0);
    } else {
        sim_disk_destroy(disk);
    }
}

static int open_file(const char *path, int flags)
{
    int fd = -1;
    int rc = fs.open(fs.ctx, path, flags, &fd);
    return rc == 0 ? fd : rc;
}

#define RW   (RAFT_FS_READ | RAFT_FS_WRITE)
#define MAKE (RW | RAFT_FS_CREATE)

static void put(int fd, uint64_t offset, const char *text)
{
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    ck_assert_int_eq(fs.pwritev(fs.ctx, fd, &iov, 1, offset), 0);
}

START_TEST(open_flags)
{
    begin(_i);
    ck_assert_int_eq(open_file("a", RW), -ENOENT);
    ck_assert_int_eq(open_file("d/a", MAKE), -ENOENT);
    int fd = open_file("a", MAKE);
    ck_assert_int_ge(fd, 0);
    put(fd, 0, "hello");
    ck_assert_int_eq(open_file("a", MAKE | RAFT_FS_EXCLUSIVE), -EEXIST);
    int again = open_file("a", RAFT_FS_READ);
    ck_assert_int_ge(again, 0);
    char letter = 'x';
    struct iovec iov = {&letter, 1};
    ck_assert_int_eq(fs.pwritev(fs.ctx, again, &iov, 1, 0), -EBADF); /* only for reading */
    uint64_t bytes = 0;
    ck_assert_int_eq(fs.size(fs.ctx, again, &bytes), 0);
    ck_assert_uint_eq(bytes, 5);
    ck_assert_int_eq(fs.close(fs.ctx, again), 0);
    again = open_file("a", RW | RAFT_FS_TRUNCATE);
    ck_assert_int_eq(fs.size(fs.ctx, fd, &bytes), 0);
    ck_assert_uint_eq(bytes, 0);
    ck_assert_int_eq(fs.close(fs.ctx, again), 0);
    ck_assert_int_eq(fs.close(fs.ctx, fd), 0);
    end(_i);
}
END_TEST

START_TEST(reads_and_writes)
{
    char buf[64];
    begin(_i);
    int fd = open_file("a", MAKE);
    put(fd, 10, "world"); /* behind a hole */
    put(fd, 0, "hello");
    ck_assert_int_eq(fs.pread(fs.ctx, fd, buf, sizeof buf, 0), 15); /* short at the end */
    ck_assert_int_eq(memcmp(buf, "hello\0\0\0\0\0world", 15), 0);
    ck_assert_int_eq(fs.pread(fs.ctx, fd, buf, 3, 11), 3);
    ck_assert_int_eq(memcmp(buf, "orl", 3), 0);
    ck_assert_int_eq(fs.pread(fs.ctx, fd, buf, 3, 15), 0);
    ck_assert_int_eq(fs.pread(fs.ctx, fd, buf, 3, 1000), 0);
    ck_assert_int_eq(fs.fdatasync(fs.ctx, fd), 0);
    ck_assert_int_eq(fs.close(fs.ctx, fd), 0);
    end(_i);
}
END_TEST

/* More pieces than one system call takes, with empty ones among them. */
START_TEST(writes_of_many_pieces)
{
    enum { PIECES = 3000 };
    static struct iovec iov[PIECES];
    static uint8_t data[PIECES * 4];
    static uint8_t got[PIECES * 4];
    size_t at = 0;
    begin(_i);
    int fd = open_file("a", MAKE);
    for (int i = 0; i < PIECES; i++) {
        size_t len = (size_t)(i % 5);
        iov[i] = (struct iovec){data + at, len};
        for (size_t k = 0; k < len; k++) {
            data[at + k] = (uint8_t)(i * 3 + (int)k);
        }
        at += len;
    }
    ck_assert_int_eq(fs.pwritev(fs.ctx, fd, iov, PIECES, 7), 0);
    ck_assert_int_eq(fs.pread(fs.ctx, fd, got, sizeof got, 7), (int64_t)at);
    ck_assert_int_eq(memcmp(got, data, at), 0);
    ck_assert_int_eq(fs.close(fs.ctx, fd), 0);
    end(_i);
}
END_TEST

START_TEST(allocate_makes_zeros)
{
    static char got[600000];
    uint64_t bytes = 0;
    begin(_i);
    int fd = open_file("a", MAKE);
    put(fd, 0, "hello");
    ck_assert_int_eq(fs.allocate(fs.ctx, fd, 600000), 0);
    ck_assert_int_eq(fs.size(fs.ctx, fd, &bytes), 0);
    ck_assert_uint_eq(bytes, 600000);
    ck_assert_int_eq(fs.pread(fs.ctx, fd, got, sizeof got, 0), 600000);
    ck_assert_int_eq(memcmp(got, "hello", 5), 0);
    size_t zeros = 0;
    for (size_t i = 5; i < sizeof got; i++) {
        zeros += got[i] == 0;
    }
    ck_assert_uint_eq(zeros, sizeof got - 5);
    put(fd, 599998, "xy");
    ck_assert_int_eq(fs.allocate(fs.ctx, fd, 1000), 0); /* never shorter */
    ck_assert_int_eq(fs.size(fs.ctx, fd, &bytes), 0);
    ck_assert_uint_eq(bytes, 600000);
    ck_assert_int_eq(fs.pread(fs.ctx, fd, got, 2, 599998), 2);
    ck_assert_int_eq(memcmp(got, "xy", 2), 0);
    ck_assert_int_eq(fs.close(fs.ctx, fd), 0);
    end(_i);
}
END_TEST

static int gather(void *arg, const char *name)
{
    char *text = arg;
    size_t len = strlen(text);
    (void)snprintf(text + len, 256 - len, "%s ", name);
    return strcmp(name, "stop") == 0 ? 77 : 0;
}

START_TEST(names)
{
    char text[256] = "";
    begin(_i);
    ck_assert_int_eq(fs.list(fs.ctx, "d", gather, text), -ENOENT);
    ck_assert_int_eq(fs.sync_dir(fs.ctx, "d"), -ENOENT);
    ck_assert_int_eq(fs.mkdir(fs.ctx, "d"), 0);
    ck_assert_int_eq(fs.mkdir(fs.ctx, "d"), 0);
    ck_assert_int_eq(fs.sync_dir(fs.ctx, "."), 0);
    int fd = open_file("d/a", MAKE);
    put(fd, 0, "one");
    ck_assert_int_eq(fs.rename(fs.ctx, "d/a", "d/b"), 0);
    ck_assert_int_eq(fs.rename(fs.ctx, "d/a", "d/c"), -ENOENT);
    ck_assert_int_eq(fs.sync_dir(fs.ctx, "d"), 0);
    ck_assert_int_eq(fs.list(fs.ctx, "d", gather, text), 0);
    ck_assert_str_eq(text, "b ");
    ck_assert_int_eq(fs.unlink(fs.ctx, "d/b"), 0);
    ck_assert_int_eq(fs.unlink(fs.ctx, "d/b"), -ENOENT);
    char got[3];
    ck_assert_int_eq(fs.pread(fs.ctx, fd, got, 3, 0), 3); /* open files outlive their name */
    ck_assert_int_eq(fs.close(fs.ctx, fd), 0);
    fd = open_file("stop", MAKE);
    ck_assert_int_eq(fs.close(fs.ctx, fd), 0);
    text[0] = '\0';
    ck_assert_int_eq(fs.list(fs.ctx, ".", gather, text), 77); /* the visitor's answer comes back */
    uint64_t space = 0;
    ck_assert_int_eq(fs.space(fs.ctx, &space), 0);
    ck_assert_uint_gt(space, 0);
    end(_i);
}
END_TEST

/* ------------------------------------------------------------------------------------------- */
/* The real one alone                                                                            */

START_TEST(lock_is_exclusive)
{
    struct raft_fs other;
    begin(1);
    ck_assert_int_eq(fs.lock(fs.ctx, "LOCK"), 0);
    ck_assert_int_eq(fs.lock(fs.ctx, "LOCK"), -EWOULDBLOCK);
    ck_assert_int_eq(raft_fs_posix_open(dir, &other), 0);
    ck_assert_int_eq(other.lock(other.ctx, "LOCK"), -EWOULDBLOCK);
    raft_fs_posix_close(&fs); /* gives it back */
    ck_assert_int_eq(other.lock(other.ctx, "LOCK"), 0);
    raft_fs_posix_close(&other);
    ck_assert_int_eq(raft_fs_posix_open(dir, &fs), 0);
    end(1);
}
END_TEST

START_TEST(the_simulated_lock_too)
{
    begin(0);
    ck_assert_int_eq(fs.lock(fs.ctx, "LOCK"), 0);
    ck_assert_int_eq(fs.lock(fs.ctx, "LOCK"), -EWOULDBLOCK);
    sim_disk_unlock(disk);
    ck_assert_int_eq(fs.lock(fs.ctx, "LOCK"), 0);
    sim_disk_kill(disk);
    ck_assert_int_eq(fs.lock(fs.ctx, "LOCK"), 0);
    end(0);
}
END_TEST

START_TEST(modes_and_descriptors)
{
    struct stat st;
    char path[128];
    mode_t mask = umask(0);
    begin(1);
    ck_assert_int_eq(fs.mkdir(fs.ctx, "d"), 0);
    int fd = open_file("d/a", MAKE);
    (void)umask(mask);
    ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    (void)snprintf(path, sizeof path, "%s/d", dir);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    ck_assert_int_eq(fs.close(fs.ctx, fd), 0);
    end(1);
}
END_TEST

/* Links planted in the data directory lead nowhere. */
START_TEST(symbolic_links_are_refused)
{
    char path[128];
    char text[256] = "";
    begin(1);
    (void)snprintf(path, sizeof path, "%s/link", dir);
    ck_assert_int_eq(symlink("/tmp", path), 0);
    (void)snprintf(path, sizeof path, "%s/file", dir);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    ck_assert_int_eq(open_file("file", RAFT_FS_READ), -ELOOP);
    ck_assert_int_lt(fs.list(fs.ctx, "link", gather, text), 0);
    ck_assert_int_eq(fs.mkdir(fs.ctx, "link"), -ENOTDIR);
    end(1);
}
END_TEST

START_TEST(opening_the_directory)
{
    struct raft_fs other;
    struct stat st;
    char path[128];
    begin(1);
    (void)snprintf(path, sizeof path, "%s/new", dir);
    ck_assert_int_eq(raft_fs_posix_open(path, &other), 0); /* made */
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0077, 0);
    raft_fs_posix_close(&other);
    (void)snprintf(path, sizeof path, "%s/no/such", dir);
    ck_assert_int_eq(raft_fs_posix_open(path, &other), -ENOENT);
    int fd = open_file("plain", MAKE);
    ck_assert_int_eq(fs.close(fs.ctx, fd), 0);
    (void)snprintf(path, sizeof path, "%s/plain", dir);
    ck_assert_int_eq(raft_fs_posix_open(path, &other), -ENOTDIR);
    end(1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs");
    TCase *tc = tcase_create("contract");
    tcase_add_loop_test(tc, open_flags, 0, 2);
    tcase_add_loop_test(tc, reads_and_writes, 0, 2);
    tcase_add_loop_test(tc, writes_of_many_pieces, 0, 2);
    tcase_add_loop_test(tc, allocate_makes_zeros, 0, 2);
    tcase_add_loop_test(tc, names, 0, 2);
    tcase_add_test(tc, lock_is_exclusive);
    tcase_add_test(tc, the_simulated_lock_too);
    tcase_add_test(tc, modes_and_descriptors);
    tcase_add_test(tc, symbolic_links_are_refused);
    tcase_add_test(tc, opening_the_directory);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
