/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a member starts from exactly what its disk vouches for, and refuses in one line, changing nothing,
 * whatever it must not run on. Method: data directories made with the log and snapshot writers, damaged
 * in chosen places, opened by boot_open.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "server/shell/boot.h"
#include "server/shell/log.h"

static char root[64];
static struct conf conf;
static struct boot boot;
static char err[BOOT_ERROR_BYTES];

static void setup(void)
{
    log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), CONF_LOG_DEBUG, CONF_LOG_TEXT, 1);
    (void)snprintf(root, sizeof(root), "/tmp/test_shell_boot.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    conf_dev(7410, "", &conf);
    (void)snprintf(conf.data_dir, sizeof(conf.data_dir), "%s/data", root);
    memset(err, 0, sizeof(err));
}

static int file_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void teardown(void)
{
    boot_close(&boot);
    ck_assert_int_eq(nftw(root, file_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* --- making data ------------------------------------------------------------------------------- */

static struct raft_fs fs;
static struct raft_wal *wal;

static void data_begin(void)
{
    struct raft_wal_options o;
    char why[256] = "";
    ck_assert_int_eq(raft_fs_posix_open(conf.data_dir, &fs), 0);
    raft_wal_options_init(&o);
    o.fs = &fs;
    o.cluster_id = conf_cluster_id(&conf);
    o.node_id = conf.id;
    o.salt_seed = 5;
    o.segment_bytes = 65536;
    ck_assert_msg(raft_wal_open(&o, &wal, why, sizeof(why)) == 0, "%s", why);
}

static void data_end(void)
{
    raft_wal_close(wal);
    raft_fs_posix_close(&fs);
}

static void hardstate_write(void)
{
    struct raft_wal_op op = {.kind = RAFT_WAL_HARDSTATE, .term = 4, .vote = 1, .index = 3};
    ck_assert_int_eq(raft_wal_write(wal, &op, 1), 0);
}

static uint32_t payload_of(raft_index index, char out[64])
{
    if (index % 7 == 0) {
        return 0;
    }
    return (uint32_t)snprintf(out, 64, "payload number %" PRIu64, index);
}

static void entries_write(raft_index first, raft_index last)
{
    for (raft_index i = first; i <= last; i++) {
        char data[64];
        struct raft_wal_op op = {.kind = RAFT_WAL_ENTRY, .term = 2, .index = i, .type = 2};
        op.bytes = payload_of(i, data);
        op.data = op.bytes > 0 ? data : NULL;
        ck_assert_int_eq(raft_wal_write(wal, &op, 1), 0);
    }
}

static void snapshot_write(raft_index index, raft_term term, bool mark)
{
    struct raft_snap_meta meta = {
        .cluster_id = conf_cluster_id(&conf), .index = index, .term = term};
    struct raft_snap_writer *w = NULL;
    struct machine_limits limits;
    machine_limits_init(&limits);
    struct machine *m = machine_create(&limits);
    machine_skip(m, index);
    struct coord_buf *state = machine_save(m);
    meta.config.count = conf.members_count;
    for (uint32_t i = 0; i < conf.members_count; i++) {
        meta.config.members[i] = (struct raft_member){conf.members[i].id, RAFT_VOTER};
    }
    ck_assert_int_eq(raft_snap_create(&fs, &meta, &w), 0);
    ck_assert_int_eq(raft_snap_write(w, 1, state->data, state->len), 0);
    ck_assert_int_eq(raft_snap_commit(w, &meta), 0);
    coord_buf_unref(state);
    machine_destroy(m);
    if (mark) {
        struct raft_wal_op op = {.kind = RAFT_WAL_SNAPMARK, .term = term, .index = index};
        memcpy(op.digest, meta.digest, sizeof(op.digest));
        ck_assert_int_eq(raft_wal_write(wal, &op, 1), 0);
    }
}

/* Flip a bit of the byte at `offset` of the only file that matches. */
static void damage(const char *pattern, off_t offset)
{
    char path[CONF_PATH_BYTES_MAX + 64];
    glob_t found;
    unsigned char byte;
    (void)snprintf(path, sizeof(path), "%s/%s", conf.data_dir, pattern);
    ck_assert_int_eq(glob(path, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, 1);
    int fd = open(found.gl_pathv[0], O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, offset), 1);
    byte ^= 4;
    ck_assert_int_eq(pwrite(fd, &byte, 1, offset), 1);
    ck_assert_int_eq(close(fd), 0);
    globfree(&found);
}

static void open_expect(void)
{
    ck_assert_msg(boot_open(&conf, &boot, err) == 0, "%s", err);
}

static void refusal_expect(const char *part)
{
    ck_assert_int_eq(boot_open(&conf, &boot, err), -1);
    ck_assert_msg(strstr(err, part) != NULL, "said '%s', wanted '%s'", err, part);
    ck_assert_ptr_null(strchr(err, '\n'));
}

static void entries_expect(raft_index first, raft_index last)
{
    ck_assert_uint_eq(boot.node.first, first);
    ck_assert_uint_eq(boot.node.count, last + 1 - first);
    for (raft_index i = first; i <= last; i++) {
        char want[64];
        uint32_t bytes = payload_of(i, want);
        const struct coord_buf *got = boot.node.payloads[i - first];
        ck_assert_uint_eq(boot.node.metas[i - first].bytes, bytes);
        ck_assert_uint_eq(boot.node.metas[i - first].term, 2);
        ck_assert((got == NULL) == (bytes == 0));
        ck_assert(got == NULL || (got->len == bytes && memcmp(got->data, want, bytes) == 0));
    }
}

static void state_expect(raft_index index)
{
    ck_assert_uint_eq(boot.node.snapshot.index, index);
    ck_assert_ptr_nonnull(boot.node.state);
    ck_assert_uint_eq(machine_loader_revision(boot.node.state), index);
    ck_assert_uint_gt(boot.node.snapshot.bytes, 0);
}

/* --- starting ---------------------------------------------------------------------------------- */

START_TEST(first_start_takes_the_configured_members)
{
    struct stat st;
    open_expect();
    ck_assert_uint_eq(boot.node.snapshot.index, 0);
    ck_assert_ptr_null(boot.node.state);
    ck_assert_uint_eq(boot.node.snapshot.config.count, 1);
    ck_assert_uint_eq(boot.node.snapshot.config.members[0].id, 1);
    ck_assert_uint_eq(boot.node.first, 1);
    ck_assert_uint_eq(boot.node.count, 0);
    ck_assert_int_eq(stat(conf.data_dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
}
END_TEST

START_TEST(log_is_found_with_its_payloads)
{
    data_begin();
    hardstate_write();
    entries_write(1, 100);
    data_end();
    open_expect();
    ck_assert_uint_eq(boot.node.term, 4);
    ck_assert_uint_eq(boot.node.vote, 1);
    ck_assert_uint_eq(boot.node.commit, 3);
    entries_expect(1, 100);
    boot_release_entries(&boot);
    boot_release_entries(&boot); /* twice is once */
}
END_TEST

START_TEST(log_goes_on_after_the_snapshot)
{
    data_begin();
    entries_write(1, 50);
    snapshot_write(30, 2, true);
    data_end();
    open_expect();
    state_expect(30);
    entries_expect(31, 50);
}
END_TEST

START_TEST(snapshot_at_the_end_leaves_no_entries)
{
    data_begin();
    entries_write(1, 30);
    snapshot_write(30, 2, true);
    data_end();
    open_expect();
    state_expect(30);
    ck_assert_uint_eq(boot.node.first, 31);
    ck_assert_uint_eq(boot.node.count, 0);
}
END_TEST

START_TEST(rotten_newest_snapshot_falls_back_to_the_older)
{
    data_begin();
    entries_write(1, 50);
    snapshot_write(10, 2, true);
    snapshot_write(30, 2, true);
    data_end();
    damage("snap/*-000000000000001e.snap", 4096 + 25);
    open_expect();
    ck_assert_int_eq(boot.snapshots_bad, 1);
    state_expect(10);
    entries_expect(11, 50);
}
END_TEST

START_TEST(snapshot_without_its_mark_counts_if_the_log_has_its_entry)
{
    data_begin();
    entries_write(1, 50);
    snapshot_write(10, 2, true);
    snapshot_write(40, _i == 0 ? 2 : 3, false); /* term 3: of another history */
    data_end();
    open_expect();
    state_expect(_i == 0 ? 40 : 10);
    entries_expect(_i == 0 ? 41 : 11, 50);
}
END_TEST

START_TEST(snapshot_beyond_the_log_counts)
{
    /* Received and verified, then killed before the log was marked: it is of committed state. */
    data_begin();
    entries_write(1, 50);
    snapshot_write(10, 2, true);
    snapshot_write(60, _i == 0 ? 2 : 3, false);
    data_end();
    open_expect();
    state_expect(60);
    ck_assert_uint_eq(boot.node.first, 61);
    ck_assert_uint_eq(boot.node.count, 0);
}
END_TEST

START_TEST(open_directory_is_closed_to_others)
{
    struct stat st;
    ck_assert_int_eq(mkdir(conf.data_dir, 0755), 0);
    ck_assert_int_eq(chmod(conf.data_dir, 0755), 0);
    open_expect();
    ck_assert_int_eq(stat(conf.data_dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
}
END_TEST

/* --- refusing ---------------------------------------------------------------------------------- */

START_TEST(directory_in_use_is_refused)
{
    struct boot other;
    open_expect();
    ck_assert_int_eq(boot_open(&conf, &other, err), -1);
    ck_assert_ptr_nonnull(strstr(err, "another process uses this data directory"));
    ck_assert_ptr_nonnull(strstr(err, conf.data_dir));
}
END_TEST

START_TEST(what_is_no_directory_is_refused)
{
    int fd = open(conf.data_dir, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    refusal_expect("not a directory");
    ck_assert_int_eq(unlink(conf.data_dir), 0);
    ck_assert_int_eq(symlink("/tmp", conf.data_dir), 0);
    refusal_expect("not a directory");
    (void)snprintf(conf.data_dir, sizeof(conf.data_dir), "%s/no/such/parent", root);
    refusal_expect("No such file");
}
END_TEST

START_TEST(foreign_data_is_refused)
{
    data_begin();
    entries_write(1, 5);
    data_end();
    if (_i == 0) {
        (void)snprintf(conf.cluster, sizeof(conf.cluster), "another");
    } else {
        conf.id = 9;
        conf.members[0].id = 9;
    }
    refusal_expect("another cluster or member");
}
END_TEST

START_TEST(other_members_are_refused)
{
    data_begin();
    entries_write(1, 50);
    snapshot_write(30, 2, true);
    data_end();
    conf.members_count = 3;
    conf.members[1] = conf.members[2] = conf.members[0];
    conf.members[1].id = 2;
    conf.members[2].id = 3;
    refusal_expect("its data belongs to the members 1, the configuration names 1,2,3");
}
END_TEST

START_TEST(log_without_its_snapshot_is_refused)
{
    data_begin();
    entries_write(1, 50);
    snapshot_write(60, 2, true); /* received: the log begins anew after it */
    entries_write(61, 70);
    data_end();
    damage("snap/*.snap", 4096 + 25);
    refusal_expect(
        "begins at index 61 after a snapshot at 60, but none of 1 snapshot files is whole");
}
END_TEST

START_TEST(whole_log_does_without_its_snapshot)
{
    data_begin();
    entries_write(1, 50);
    snapshot_write(30, 2, true);
    data_end();
    damage("snap/*.snap", 4096 + 25);
    open_expect();
    ck_assert_int_eq(boot.snapshots_bad, 1);
    ck_assert_uint_eq(boot.node.snapshot.index, 0);
    entries_expect(1, 50);
}
END_TEST

START_TEST(snapshot_without_a_log_is_refused)
{
    char path[CONF_PATH_BYTES_MAX + 64];
    glob_t found;
    data_begin();
    entries_write(1, 50);
    snapshot_write(30, 2, true);
    data_end();
    (void)snprintf(path, sizeof(path), "%s/wal/*.seg", conf.data_dir);
    ck_assert_int_eq(glob(path, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        ck_assert_int_eq(unlink(found.gl_pathv[i]), 0);
    }
    globfree(&found);
    refusal_expect("there are snapshots but no log");
    refusal_expect("there are snapshots but no log"); /* the refusal has made none */
    (void)snprintf(path, sizeof(path), "%s/wal/0000000000000001.seg", conf.data_dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    refusal_expect("there are snapshots but no log"); /* an empty file is none */
    ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
    refusal_expect("there are snapshots but no log"); /* nor is one of zeros */
    for (off_t at = 0; at < 1 << 20; at += 8) {
        uint64_t noise = (uint64_t)at * UINT64_C(0x9e3779b97f4a7c15) + 1;
        ck_assert_int_eq(pwrite(fd, &noise, 8, at), 8);
    }
    ck_assert_int_eq(close(fd), 0);
    refusal_expect("there are snapshots but no log"); /* nor one of noise */
    refusal_expect("there are snapshots but no log");
}
END_TEST

/* Read the oldest segment whole. */
static size_t segment_read(char path[CONF_PATH_BYTES_MAX + 64], uint8_t *out, size_t out_bytes)
{
    glob_t found;
    char pattern[CONF_PATH_BYTES_MAX + 64];
    (void)snprintf(pattern, sizeof(pattern), "%s/wal/*.seg", conf.data_dir);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    (void)snprintf(path, CONF_PATH_BYTES_MAX + 64, "%s", found.gl_pathv[0]);
    globfree(&found);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, out, out_bytes);
    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(close(fd), 0);
    return (size_t)n;
}

/* A log of 100 entries, acknowledged, of which number 50 is damaged. */
static void damaged_log_make(char path[CONF_PATH_BYTES_MAX + 64])
{
    static uint8_t bytes[65536];
    data_begin();
    hardstate_write();
    entries_write(1, 100);
    ck_assert_int_eq(raft_wal_idle(wal), 0);
    data_end();
    size_t n = segment_read(path, bytes, sizeof(bytes));
    uint8_t *at = memmem(bytes, n, "payload number 50", 17);
    ck_assert_ptr_nonnull(at);
    damage("wal/0000000000000001.seg", at - bytes + 3);
}

START_TEST(damaged_log_of_a_member_alone_is_refused_and_left_alone)
{
    static uint8_t before[65536];
    static uint8_t after[65536];
    char path[CONF_PATH_BYTES_MAX + 64];
    damaged_log_make(path);
    size_t n = segment_read(path, before, sizeof(before));
    refusal_expect("refusing to start: wal/0000000000000001.seg at offset ");
    ck_assert_ptr_nonnull(strstr(err, "raft-wal repair"));
    ck_assert_ptr_nonnull(strstr(err, "lose entries 50 to 100"));
    ck_assert_uint_eq(segment_read(path, after, sizeof(after)), n);
    ck_assert_int_eq(memcmp(before, after, n), 0);
}
END_TEST

/* With others there is somebody to replace what is lost: the member starts, and the core is told. */
START_TEST(damaged_log_of_one_of_three_is_taken_with_its_damage)
{
    char path[CONF_PATH_BYTES_MAX + 64];
    damaged_log_make(path);
    conf.members_count = 3;
    conf.members[1] = conf.members[2] = conf.members[0];
    conf.members[1].id = conf.members[0].id + 1;
    conf.members[2].id = conf.members[0].id + 2;
    open_expect();
    ck_assert_uint_eq(boot.node.count, 49);
    ck_assert_uint_eq(boot.node.damage, RAFT_DAMAGE_HOLE);
    ck_assert_uint_eq(boot.node.damage_index, 100);
    boot_close(&boot);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shell_boot");
    TCase *t = tcase_create("boot");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, first_start_takes_the_configured_members);
    tcase_add_test(t, log_is_found_with_its_payloads);
    tcase_add_test(t, log_goes_on_after_the_snapshot);
    tcase_add_test(t, snapshot_at_the_end_leaves_no_entries);
    tcase_add_test(t, rotten_newest_snapshot_falls_back_to_the_older);
    tcase_add_loop_test(t, snapshot_without_its_mark_counts_if_the_log_has_its_entry, 0, 2);
    tcase_add_loop_test(t, snapshot_beyond_the_log_counts, 0, 2);
    tcase_add_test(t, open_directory_is_closed_to_others);
    tcase_add_test(t, directory_in_use_is_refused);
    tcase_add_test(t, what_is_no_directory_is_refused);
    tcase_add_loop_test(t, foreign_data_is_refused, 0, 2);
    tcase_add_test(t, other_members_are_refused);
    tcase_add_test(t, log_without_its_snapshot_is_refused);
    tcase_add_test(t, whole_log_does_without_its_snapshot);
    tcase_add_test(t, snapshot_without_a_log_is_refused);
    tcase_add_test(t, damaged_log_of_a_member_alone_is_refused_and_left_alone);
    tcase_add_test(t, damaged_log_of_one_of_three_is_taken_with_its_damage);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
