/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a snapshot file is found again byte for byte or not at all; a damaged one is never used; its
 * transfer goes on after interruptions; pruning never deletes the last good one (faults D3, D5, D9).
 * Method: files on a simulated disk are written, spoiled byte by byte, received in pieces, and a run
 * of create, receive and prune is stopped inside each of its disk operations in turn.
 */
#include "raft/storage/crc32c.h"
#include "raft/storage/snapshot_format.h"
#include "tests/sim/disk.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTER   99u
#define STATE_MAX (900u * 1024u)

static uint8_t state[STATE_MAX];

static void fill_state(uint64_t seed)
{
    for (size_t i = 0; i < sizeof state; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        state[i] = (uint8_t)(seed >> 56);
    }
}

static struct raft_snap_meta make_meta(raft_term term, raft_index index)
{
    struct raft_snap_meta m = {
        .cluster_id = CLUSTER, .term = term, .index = index, .config_index = index - 1};
    m.config.count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        m.config.members[i] = (struct raft_member){i + 1, RAFT_VOTER};
    }
    return m;
}

/* Write len bytes of state in pieces: the first third as type 1, the rest as type 2. */
static int write_file(const struct raft_fs *fs, raft_term term, raft_index index, size_t len,
                      size_t piece, struct raft_snap_meta *ret_meta)
{
    struct raft_snap_writer *w;
    struct raft_snap_meta m = make_meta(term, index);
    int rc = raft_snap_create(fs, &m, &w);
    if (rc != 0) {
        return rc;
    }
    size_t at = 0;
    while (at < len && rc == 0) {
        size_t end = at < len / 3 ? len / 3 : len;
        size_t some = end - at < piece ? end - at : piece;
        rc = raft_snap_write(w, at < len / 3 ? 1 : 2, state + at, some);
        at += some;
    }
    int end = raft_snap_commit(w, ret_meta);
    ck_assert(rc == 0 || end == rc); /* an error lasts */
    return end;
}

static void check_file(const struct raft_fs *fs, raft_term term, raft_index index, size_t len)
{
    struct raft_snap_reader *r;
    uint8_t type;
    const void *data;
    size_t at = 0;
    ck_assert_int_eq(raft_snap_open(fs, CLUSTER, term, index, &r), 0);
    ck_assert_uint_eq(raft_snap_meta(r)->index, index);
    ck_assert_uint_eq(raft_snap_meta(r)->config.count, 3);
    ck_assert_uint_eq(raft_snap_meta(r)->config.members[2].id, 3);
    int64_t n;
    while ((n = raft_snap_next(r, &type, &data)) > 0) {
        ck_assert_uint_le(at + (size_t)n, len);
        ck_assert_int_eq(type, at < len / 3 ? 1 : 2);
        ck_assert_int_eq(memcmp(data, state + at, (size_t)n), 0);
        at += (size_t)n;
    }
    ck_assert_int_eq(n, 0);
    ck_assert_uint_eq(at, len);
    raft_snap_close(r);
}

/* Read it as a stream. Return: 0 when it said at its end that all is well, or its error. */
static int stream_file(const struct raft_fs *fs, raft_term term, raft_index index, size_t len)
{
    struct raft_snap_reader *r;
    uint8_t type;
    const void *data;
    size_t at = 0;
    int64_t n = raft_snap_stream(fs, CLUSTER, term, index, &r);
    if (n < 0) {
        return (int)n;
    }
    while ((n = raft_snap_next(r, &type, &data)) > 0) {
        ck_assert_uint_le(at + (size_t)n, len);
        ck_assert_int_eq(memcmp(data, state + at, (size_t)n),
                         0); /* a chunk is verified by itself */
        at += (size_t)n;
    }
    ck_assert(n < 0 || at == len);
    raft_snap_close(r);
    return (int)n;
}

START_TEST(round_trips)
{
    static const size_t lens[] = {0, 1, 2, 7, 8, 9, 1000, 262144, 262145, 786432, 800001};
    struct sim_disk *d = sim_disk_create(1);
    fill_state(1);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct raft_snap_meta m;
        ck_assert_int_eq(write_file(sim_disk_fs(d), 3, i + 1, lens[i], 100000, &m), 0);
        sim_disk_crash(d, SIM_DISK_CRASH_DROP, i); /* commit made it durable */
        check_file(sim_disk_fs(d), 3, i + 1, lens[i]);
        ck_assert_int_eq(stream_file(sim_disk_fs(d), 3, i + 1, lens[i]), 0);
    }
    sim_disk_destroy(d);
}
END_TEST

/* The same state at the same index is the same file, however it was cut into calls. */
START_TEST(bytes_are_deterministic)
{
    struct sim_disk *a = sim_disk_create(1);
    struct sim_disk *b = sim_disk_create(2);
    struct raft_snap_meta ma;
    struct raft_snap_meta mb;
    uint64_t na;
    uint64_t nb;
    fill_state(2);
    ck_assert_int_eq(write_file(sim_disk_fs(a), 2, 9, 700000, 700000, &ma), 0);
    ck_assert_int_eq(write_file(sim_disk_fs(b), 2, 9, 700000, 777, &mb), 0);
    const char *path = "snap/0000000000000002-0000000000000009.snap";
    const uint8_t *pa = sim_disk_data(a, path, &na);
    const uint8_t *pb = sim_disk_data(b, path, &nb);
    ck_assert_ptr_nonnull(pa);
    ck_assert_ptr_nonnull(pb);
    ck_assert_uint_eq(na, nb);
    ck_assert_int_eq(memcmp(pa, pb, na), 0);
    ck_assert_uint_eq(ma.bytes, na);
    ck_assert_int_eq(memcmp(ma.digest, mb.digest, sizeof ma.digest), 0);
    sim_disk_destroy(a);
    sim_disk_destroy(b);
}
END_TEST

/* Every flipped byte is noticed when the file is opened, or by the end of a stream. */
START_TEST(every_flipped_byte)
{
    struct sim_disk *d = sim_disk_create(1);
    const struct raft_fs *fs = sim_disk_fs(d);
    struct raft_snap_meta m;
    struct raft_snap_reader *r;
    const char *path = "snap/0000000000000001-0000000000000005.snap";
    fill_state(3);
    ck_assert_int_eq(write_file(fs, 1, 5, 701, 701, &m), 0);
    for (uint64_t offset = 0; offset < m.bytes; offset++) {
        int bit = (int)(offset * 3 % 8);
        ck_assert_int_eq(sim_disk_flip(d, path, offset, bit), 0);
        int rc = raft_snap_open(fs, CLUSTER, 1, 5, &r);
        ck_assert_msg(rc == RAFT_STORE_ECORRUPT, "byte %lu: %d", (unsigned long)offset, rc);
        rc = stream_file(fs, 1, 5, 701);
        ck_assert_msg(rc == RAFT_STORE_ECORRUPT, "stream, byte %lu: %d", (unsigned long)offset, rc);
        ck_assert_int_eq(sim_disk_flip(d, path, offset, bit), 0);
    }
    check_file(fs, 1, 5, 701);
    sim_disk_destroy(d);
}
END_TEST

START_TEST(every_truncated_length)
{
    struct sim_disk *d = sim_disk_create(1);
    const struct raft_fs *fs = sim_disk_fs(d);
    static uint8_t copy[8192];
    struct raft_snap_meta m;
    struct raft_snap_reader *r;
    uint64_t bytes;
    const char *path = "snap/0000000000000001-0000000000000005.snap";
    fill_state(3);
    ck_assert_int_eq(write_file(fs, 1, 5, 701, 701, &m), 0);
    memcpy(copy, sim_disk_data(d, path, &bytes), m.bytes);
    for (uint64_t keep = 0; keep < m.bytes; keep += 13) {
        int fd;
        struct iovec iov = {copy, keep};
        ck_assert_int_eq(fs->open(fs->ctx, path, RAFT_FS_WRITE | RAFT_FS_TRUNCATE, &fd), 0);
        ck_assert_int_eq(fs->pwritev(fs->ctx, fd, &iov, 1, 0), 0);
        ck_assert_int_eq(fs->close(fs->ctx, fd), 0);
        ck_assert_int_eq(raft_snap_open(fs, CLUSTER, 1, 5, &r), RAFT_STORE_ECORRUPT);
        ck_assert_int_eq(stream_file(fs, 1, 5, 701), RAFT_STORE_ECORRUPT);
    }
    sim_disk_destroy(d);
}
END_TEST

START_TEST(foreign_newer_and_missing)
{
    struct sim_disk *d = sim_disk_create(1);
    const struct raft_fs *fs = sim_disk_fs(d);
    struct raft_snap_meta m;
    struct raft_snap_reader *r;
    uint8_t page[SNAP_HEADER_BYTES];
    ck_assert_int_eq(raft_snap_list(fs, CLUSTER, &m, 1), 0); /* no directory yet */
    ck_assert_int_eq(raft_snap_open(fs, CLUSTER, 1, 5, &r), RAFT_STORE_ENOENT);
    ck_assert_int_eq(write_file(fs, 1, 5, 100, 100, &m), 0);
    ck_assert_int_eq(raft_snap_open(fs, CLUSTER + 1, 1, 5, &r), RAFT_STORE_EFOREIGN);
    ck_assert_int_eq(raft_snap_stream(fs, CLUSTER + 1, 1, 5, &r), RAFT_STORE_EFOREIGN);
    ck_assert_int_eq(raft_snap_stream(fs, CLUSTER, 1, 6, &r), RAFT_STORE_ENOENT);
    ck_assert_int_eq(raft_snap_open(fs, CLUSTER, 1, 6, &r), RAFT_STORE_ENOENT);
    raft__snap_header_encode(page, &m);
    page[4] = 2;                                                               /* the version */
    ck_assert_int_eq(raft__snap_header_decode(page, &m), RAFT_STORE_ECORRUPT); /* a flip, or so */
    uint32_t crc = raft__crc32c(raft__crc32c(0, page, 8), page + 12, 176 - 12);
    for (int i = 0; i < 4; i++) {
        page[8 + i] = (uint8_t)(crc >> (8 * i));
    }
    ck_assert_int_eq(raft__snap_header_decode(page, &m), RAFT_STORE_EVERSION);
    /* A good file under another name is not that file. */
    ck_assert_int_eq(fs->rename(fs->ctx, "snap/0000000000000001-0000000000000005.snap",
                                "snap/0000000000000001-0000000000000006.snap"),
                     0);
    ck_assert_int_eq(raft_snap_open(fs, CLUSTER, 1, 6, &r), RAFT_STORE_ECORRUPT);
    ck_assert_int_eq(raft_snap_list(fs, CLUSTER, &m, 1), 0);
    sim_disk_destroy(d);
}
END_TEST

START_TEST(list_is_newest_first)
{
    struct sim_disk *d = sim_disk_create(1);
    const struct raft_fs *fs = sim_disk_fs(d);
    struct raft_snap_meta m[8];
    fill_state(4);
    ck_assert_int_eq(write_file(fs, 2, 20, 10, 10, m), 0);
    ck_assert_int_eq(write_file(fs, 5, 30, 10, 10, m), 0);
    ck_assert_int_eq(write_file(fs, 1, 10, 10, 10, m), 0);
    ck_assert_int_eq(raft_snap_list(fs, CLUSTER, m, 8), 3);
    ck_assert_uint_eq(m[0].index, 30);
    ck_assert_uint_eq(m[1].index, 20);
    ck_assert_uint_eq(m[2].index, 10);
    ck_assert_uint_gt(m[0].bytes, 4096);
    ck_assert_int_eq(raft_snap_list(fs, CLUSTER, m, 2), 2);
    ck_assert_uint_eq(m[0].index, 30);
    sim_disk_destroy(d);
}
END_TEST

static int exists(struct sim_disk *d, const char *path)
{
    uint64_t bytes;
    return sim_disk_data(d, path, &bytes) != NULL;
}

START_TEST(prune_counts_only_verified_ones)
{
    struct sim_disk *d = sim_disk_create(1);
    const struct raft_fs *fs = sim_disk_fs(d);
    struct raft_snap_meta m;
    struct raft_snap_writer *older;
    struct raft_snap_writer *newer;
    fill_state(5);
    for (raft_index i = 1; i <= 5; i++) {
        ck_assert_int_eq(write_file(fs, 1, i * 10, 1000, 1000, &m), 0);
    }
    m = make_meta(1, 15);
    ck_assert_int_eq(raft_snap_create(fs, &m, &older), 0);
    m = make_meta(1, 60);
    ck_assert_int_eq(raft_snap_create(fs, &m, &newer), 0);
    ck_assert_int_eq(sim_disk_flip(d, "snap/0000000000000001-0000000000000032.snap", 4200, 0), 0);
    ck_assert_int_eq(raft_snap_prune(fs, CLUSTER, 0, NULL), -EINVAL);
    ck_assert_int_eq(raft_snap_prune(fs, CLUSTER, 2, NULL), 0);
    ck_assert(!exists(d, "snap/0000000000000001-0000000000000032.snap")); /* 50: damaged */
    ck_assert(exists(d, "snap/0000000000000001-0000000000000028.snap"));
    ck_assert(exists(d, "snap/0000000000000001-000000000000001e.snap"));
    ck_assert(!exists(d, "snap/0000000000000001-0000000000000014.snap"));
    ck_assert(!exists(d, "snap/0000000000000001-000000000000000a.snap"));
    ck_assert(!exists(d, "snap/0000000000000001-000000000000000f.tmp"));
    ck_assert(exists(d, "snap/0000000000000001-000000000000003c.tmp")); /* under way */
    raft_snap_abort(older);
    raft_snap_abort(newer);
    /* When none is good, all stay. */
    ck_assert_int_eq(sim_disk_flip(d, "snap/0000000000000001-0000000000000028.snap", 4200, 0), 0);
    ck_assert_int_eq(sim_disk_flip(d, "snap/0000000000000001-000000000000001e.snap", 4200, 0), 0);
    ck_assert_int_eq(raft_snap_prune(fs, CLUSTER, 1, NULL), 0);
    ck_assert(exists(d, "snap/0000000000000001-0000000000000028.snap"));
    sim_disk_destroy(d);
}
END_TEST

/* What the process has just written is not read again, unless its ends say that it is another file. */
START_TEST(prune_believes_what_was_just_written)
{
    static const char newest[] = "snap/0000000000000001-0000000000000028.snap";
    struct sim_disk *d = sim_disk_create(1);
    const struct raft_fs *fs = sim_disk_fs(d);
    struct raft_snap_meta m = {0};
    fill_state(5);
    for (raft_index i = 1; i <= 4; i++) {
        ck_assert_int_eq(write_file(fs, 1, i * 10, 1000, 1000, &m), 0);
    }
    ck_assert_int_eq(sim_disk_flip(d, newest, 4200, 0), 0); /* what reading it would have found */
    ck_assert_int_eq(raft_snap_prune(fs, CLUSTER, 2, &m), 0);
    ck_assert(exists(d, newest));
    ck_assert(exists(d, "snap/0000000000000001-000000000000001e.snap"));
    ck_assert(!exists(d, "snap/0000000000000001-0000000000000014.snap"));
    m.digest[1]++;
    ck_assert_int_eq(raft_snap_prune(fs, CLUSTER, 2, &m), 0);
    ck_assert(!exists(d, newest));
    ck_assert(exists(d, "snap/0000000000000001-000000000000001e.snap"));
    /* All others are read, the one before it too. */
    ck_assert_int_eq(write_file(fs, 1, 50, 1000, 1000, &m), 0);
    ck_assert_int_eq(sim_disk_flip(d, "snap/0000000000000001-000000000000001e.snap", 4200, 0), 0);
    ck_assert_int_eq(raft_snap_prune(fs, CLUSTER, 2, &m), 0);
    ck_assert(!exists(d, "snap/0000000000000001-000000000000001e.snap"));
    ck_assert(exists(d, "snap/0000000000000001-0000000000000032.snap"));
    sim_disk_destroy(d);
}
END_TEST

START_TEST(a_failing_disk_leaves_no_snapshot)
{
    static const int ops[] = {SIM_DISK_WRITE, SIM_DISK_SYNC, SIM_DISK_RENAME, SIM_DISK_MKDIR};
    struct raft_snap_meta m;
    fill_state(6);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct sim_disk *d = sim_disk_create(1);
        const struct raft_fs *fs = sim_disk_fs(d);
        sim_disk_fail(d, ops[i], 1 + (uint32_t)(ops[i] == SIM_DISK_WRITE), 1, EIO);
        ck_assert_int_eq(write_file(fs, 1, 5, 600000, 5000, &m), -EIO);
        ck_assert_int_eq(raft_snap_list(fs, CLUSTER, &m, 1), 0);
        ck_assert(!exists(d, "snap/0000000000000001-0000000000000005.tmp"));
        ck_assert_int_eq(write_file(fs, 1, 5, 600000, 5000, &m), 0); /* nothing is in the way */
        sim_disk_destroy(d);
    }
    struct sim_disk *d = sim_disk_create(1);
    sim_disk_set_capacity(d, 300000);
    ck_assert_int_eq(write_file(sim_disk_fs(d), 1, 5, 600000, 5000, &m), -ENOSPC);
    ck_assert_uint_eq(sim_disk_used(d), 0);
    sim_disk_destroy(d);
}
END_TEST

/* ------------------------------------------------------------------------------------------- */
/* Receiving                                                                                     */

static const uint8_t *source_file(struct sim_disk **ret_disk, struct raft_snap_meta *ret_meta)
{
    uint64_t bytes;
    fill_state(7);
    *ret_disk = sim_disk_create(50);
    ck_assert_int_eq(write_file(sim_disk_fs(*ret_disk), 4, 40, STATE_MAX, STATE_MAX, ret_meta), 0);
    return sim_disk_data(*ret_disk, "snap/0000000000000004-0000000000000028.snap", &bytes);
}

START_TEST(receiving_goes_on_after_interruptions)
{
    struct sim_disk *source;
    struct sim_disk *d = sim_disk_create(8);
    const struct raft_fs *fs = sim_disk_fs(d);
    struct raft_snap_meta m;
    struct raft_snap_meta got;
    struct raft_snap_recv *s;
    const uint8_t *bytes = source_file(&source, &m);
    uint64_t offset;
    uint64_t sent = 0;
    uint64_t best = 0;
    for (int attempt = 0;; attempt++) {
        ck_assert_int_lt(attempt, 40);
        ck_assert_int_eq(raft_snap_recv_open(fs, CLUSTER, 4, 40, m.bytes, &s, &offset), 0);
        ck_assert_uint_le(offset, sent);
        ck_assert_int_eq(raft_snap_recv_write(s, offset + 1, bytes, 10), -EINVAL); /* a gap */
        best = offset > best ? offset : best;
        for (int i = 0; i < 3 && offset < m.bytes; i++) {
            uint64_t some = m.bytes - offset < 150000 ? m.bytes - offset : 150000;
            ck_assert_int_eq(raft_snap_recv_write(s, offset, bytes + offset, some), 0);
            ck_assert_int_eq(raft_snap_recv_write(s, offset, bytes + offset, some), 0); /* again */
            offset += some;
        }
        sent = offset > sent ? offset : sent;
        if (offset == m.bytes) {
            break;
        }
        if (attempt % 2 == 0) {
            raft_snap_recv_abort(s);
        } else {
            raft_snap_recv_abort(s);
            sim_disk_crash(d, SIM_DISK_CRASH_TORN, (uint64_t)attempt);
        }
    }
    ck_assert_uint_gt(best, 0);
    ck_assert_int_eq(raft_snap_recv_commit(s, &got), 0);
    ck_assert_int_eq(memcmp(got.digest, m.digest, sizeof m.digest), 0);
    sim_disk_crash(d, SIM_DISK_CRASH_DROP, 1);
    check_file(fs, 4, 40, STATE_MAX);
    sim_disk_destroy(d);
    sim_disk_destroy(source);
}
END_TEST

START_TEST(a_damaged_transfer_is_thrown_away)
{
    struct sim_disk *source;
    struct sim_disk *d = sim_disk_create(8);
    const struct raft_fs *fs = sim_disk_fs(d);
    struct raft_snap_meta m;
    struct raft_snap_meta got;
    struct raft_snap_recv *s;
    uint64_t offset;
    uint8_t wrong = 0x5a;
    const uint8_t *bytes = source_file(&source, &m);
    ck_assert_int_eq(raft_snap_recv_open(fs, CLUSTER, 4, 40, m.bytes, &s, &offset), 0);
    ck_assert_int_eq(raft_snap_recv_write(s, 0, bytes, 500000), 0);
    wrong ^= bytes[500000];
    ck_assert_int_eq(raft_snap_recv_write(s, 500000, &wrong, 1), 0);
    ck_assert_int_eq(raft_snap_recv_write(s, 500001, bytes + 500001, m.bytes - 500001), 0);
    ck_assert_int_eq(raft_snap_recv_commit(s, &got), RAFT_STORE_ECORRUPT);
    ck_assert_int_eq(raft_snap_list(fs, CLUSTER, &got, 1), 0);
    ck_assert_int_eq(raft_snap_recv_open(fs, CLUSTER, 4, 40, m.bytes, &s, &offset), 0);
    ck_assert_uint_eq(offset, 0);
    ck_assert_int_eq(raft_snap_recv_write(s, 0, bytes, m.bytes), 0);
    ck_assert_int_eq(raft_snap_recv_commit(s, &got), 0);
    check_file(fs, 4, 40, STATE_MAX);
    /* The wrong cluster, and too few bytes. */
    ck_assert_int_eq(raft_snap_recv_open(fs, CLUSTER + 1, 4, 40, m.bytes, &s, &offset), 0);
    ck_assert_int_eq(raft_snap_recv_write(s, 0, bytes, m.bytes), 0);
    ck_assert_int_eq(raft_snap_recv_commit(s, &got), RAFT_STORE_EFOREIGN);
    ck_assert_int_eq(raft_snap_recv_open(fs, CLUSTER, 4, 40, m.bytes, &s, &offset), 0);
    ck_assert_int_eq(raft_snap_recv_commit(s, &got), -EINVAL);
    ck_assert_int_eq(raft_snap_recv_open(fs, CLUSTER, 4, 40, 100, &s, &offset), -EINVAL);
    sim_disk_destroy(d);
    sim_disk_destroy(source);
}
END_TEST

/* Stop inside every operation of: write 10, write 20, prune to 1, receive 40. After the power cut each
 * snapshot that was reported as committed is there (10 may be pruned once 20 is), all that are listed
 * are good, and the work can be done again. */
START_TEST(crash_at_every_operation)
{
    struct sim_disk *source;
    struct raft_snap_meta m;
    struct raft_snap_meta got;
    const uint8_t *bytes = source_file(&source, &m);
    for (uint64_t stop = 1;; stop++) {
        struct sim_disk *d = sim_disk_create(stop);
        const struct raft_fs *fs = sim_disk_fs(d);
        struct raft_snap_recv *s = NULL;
        uint64_t offset = 0;
        raft_index newest = 0;
        sim_disk_stop_at(d, stop);
        newest = write_file(fs, 1, 10, 300000, 300000, &got) == 0 ? 10 : newest;
        newest = write_file(fs, 2, 20, 300000, 300000, &got) == 0 ? 20 : newest;
        (void)raft_snap_prune(fs, CLUSTER, 1, NULL); /* may have been stopped */
        if (raft_snap_recv_open(fs, CLUSTER, 4, 40, m.bytes, &s, &offset) == 0) {
            (void)raft_snap_recv_write(s, 0, bytes, m.bytes); /* commit tells */
            newest = raft_snap_recv_commit(s, &got) == 0 ? 40 : newest;
        }
        int finished = !sim_disk_stopped(d);
        for (uint64_t image = 0; image < 6; image++) {
            struct sim_disk *c = sim_disk_clone(d);
            const struct raft_fs *cfs = sim_disk_fs(c);
            struct raft_snap_meta metas[4];
            struct raft_snap_reader *r;
            sim_disk_crash(c,
                           image == 0   ? SIM_DISK_CRASH_DROP
                           : image == 1 ? SIM_DISK_CRASH_NAMES
                                        : SIM_DISK_CRASH_RANDOM,
                           image * 77 + stop);
            int n = raft_snap_list(cfs, CLUSTER, metas, 4);
            ck_assert_int_ge(n, newest > 0 ? 1 : 0);
            ck_assert(newest == 0 || metas[0].index >= newest);
            for (int i = 0; i < n; i++) { /* under its name only complete */
                ck_assert_int_eq(raft_snap_open(cfs, CLUSTER, metas[i].term, metas[i].index, &r),
                                 0);
                raft_snap_close(r);
            }
            ck_assert_int_eq(write_file(cfs, 2, 20, 300000, 300000, &got), 0);
            ck_assert_int_eq(raft_snap_prune(cfs, CLUSTER, 2, NULL), 0);
            ck_assert_int_eq(raft_snap_recv_open(cfs, CLUSTER, 4, 40, m.bytes, &s, &offset), 0);
            ck_assert_int_eq(raft_snap_recv_write(s, offset, bytes + offset, m.bytes - offset), 0);
            ck_assert_int_eq(raft_snap_recv_commit(s, &got), 0);
            check_file(cfs, 4, 40, STATE_MAX);
            sim_disk_destroy(c);
        }
        sim_disk_destroy(d);
        if (finished) {
            ck_assert_uint_gt(stop, 15);
            break;
        }
    }
    sim_disk_destroy(source);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("snapshot file");
    TCase *tc = tcase_create("files");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, round_trips);
    tcase_add_test(tc, bytes_are_deterministic);
    tcase_add_test(tc, every_flipped_byte);
    tcase_add_test(tc, every_truncated_length);
    tcase_add_test(tc, foreign_newer_and_missing);
    tcase_add_test(tc, list_is_newest_first);
    tcase_add_test(tc, prune_counts_only_verified_ones);
    tcase_add_test(tc, prune_believes_what_was_just_written);
    tcase_add_test(tc, a_failing_disk_leaves_no_snapshot);
    tcase_add_test(tc, receiving_goes_on_after_interruptions);
    tcase_add_test(tc, a_damaged_transfer_is_thrown_away);
    tcase_add_test(tc, crash_at_every_operation);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
