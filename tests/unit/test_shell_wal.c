/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the thread that writes the log keeps the order, publishes only what is durable, shares one sync
 * among what gathered meanwhile, and stops for good after a failure but not for a full disk. Method: a
 * real log in a temporary directory, over a file system whose sync can be held, counted and failed.
 */
#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "server/shell/clock.h"
#include "server/shell/log.h"
#include "server/shell/wal_queue.h"
#include "server/shell/wal_thread.h"

#define SEGMENT_BYTES (256 * 1024)

static char dir[64];
static struct raft_fs posix;
static struct raft_fs fs;
static struct raft_wal *wal;
static struct wake waker;
static struct wal_thread *thread;

/* The disk's moods; under the mutex. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool hold;   /* syncs wait */
    int inside;  /* syncs that wait now */
    int syncs;   /* finished */
    int fail_at; /* the n-th sync fails; 0 none */
    bool full;   /* no new segment can be made */
    int refused; /* so often was one asked for */
    bool slow;   /* segments wait to be filled */
    int filling; /* those that wait now */
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

/* Is it a segment that the log has begun, and not one that is being prepared beside it? */
static bool begun(int fd)
{
    char magic[4] = "";
    return pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && memcmp(magic, "CWAL", 4) == 0;
}

static int moody_sync(void *ctx, int fd)
{
    if (!begun(fd)) {
        return posix.fdatasync(ctx, fd);
    }
    pthread_mutex_lock(&disk.mutex);
    disk.inside++;
    pthread_cond_broadcast(&disk.cond);
    while (disk.hold) {
        pthread_cond_wait(&disk.cond, &disk.mutex);
    }
    disk.inside--;
    int count = ++disk.syncs;
    bool fail = disk.fail_at != 0 && count == disk.fail_at;
    pthread_mutex_unlock(&disk.mutex);
    return fail ? -EIO : posix.fdatasync(ctx, fd);
}

static int moody_allocate(void *ctx, int fd, uint64_t bytes)
{
    pthread_mutex_lock(&disk.mutex);
    bool full = disk.full;
    disk.filling++;
    pthread_cond_broadcast(&disk.cond);
    while (disk.slow) {
        pthread_cond_wait(&disk.cond, &disk.mutex);
    }
    disk.filling--;
    disk.refused += full;
    pthread_cond_broadcast(&disk.cond);
    pthread_mutex_unlock(&disk.mutex);
    return full ? -ENOSPC : posix.allocate(ctx, fd, bytes);
}

static void wal_begin(void)
{
    struct raft_wal_options o;
    char why[256] = "";
    raft_wal_options_init(&o);
    o.fs = &fs;
    o.cluster_id = 7;
    o.node_id = 1;
    o.salt_seed = 99;
    o.segment_bytes = SEGMENT_BYTES;
    ck_assert_msg(raft_wal_open(&o, &wal, why, sizeof(why)) == 0, "%s", why);
}

static void setup(void)
{
    log_init(STDERR_FILENO, CONF_LOG_ERROR, CONF_LOG_TEXT, 1);
    (void)snprintf(dir, sizeof(dir), "/tmp/test_shell_wal.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(raft_fs_posix_open(dir, &posix), 0);
    fs = posix;
    fs.fdatasync = moody_sync;
    fs.allocate = moody_allocate;
    wal_begin();
    ck_assert_int_eq(wake_init(&waker), 0);
    ck_assert_int_eq(wal_thread_start(wal, SEGMENT_BYTES / 2, &waker, &thread), 0);
}

static int file_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void teardown(void)
{
    wal_thread_stop(thread);
    raft_wal_close(wal);
    wake_finish(&waker);
    raft_fs_posix_close(&posix);
    ck_assert_int_eq(nftw(dir, file_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Wait for a wake-up, as the loop does; fails after 10 s. */
static void wake_await(void)
{
    struct pollfd p = {.fd = waker.fd, .events = POLLIN};
    uint64_t value;
    ck_assert_int_eq(poll(&p, 1, 10000), 1);
    ck_assert_int_eq(read(waker.fd, &value, sizeof(value)), sizeof(value));
    wake_clear(&waker);
}

static void durable_await(uint64_t io_seq)
{
    while (wal_thread_durable(thread) < io_seq) {
        wake_await();
    }
}

#define PAYLOAD_BYTES_MAX (2 * WAL_COPY_BYTES)

/* Most are short, of any length; some just fit what the queue copies, and some are beyond it. */
static struct coord_buf *payload_of(raft_index index)
{
    char text[PAYLOAD_BYTES_MAX];
    memset(text, (int)('a' + index % 26), sizeof(text));
    int n = snprintf(text, 64, "payload of entry %llu", (unsigned long long)index);
    size_t len = (size_t)n + index % 17;
    if (index % 19 == 0) {
        len = WAL_COPY_BYTES - 8 + index % 16;
    } else if (index % 23 == 0) {
        len = PAYLOAD_BYTES_MAX - index % 100;
    }
    return coord_buf_copy(text, len);
}

/* Gather the entries first .. first + count - 1 as one action. */
static void entries_put(uint64_t io_seq, raft_index first, uint32_t count)
{
    struct raft_entry metas[64];
    struct coord_buf *payloads[64];
    ck_assert_uint_le(count, 64);
    for (uint32_t i = 0; i < count; i++) {
        payloads[i] = (first + i) % 5 == 0 ? NULL : payload_of(first + i);
        metas[i] = (struct raft_entry){.term = 3, .type = RAFT_ENTRY_COMMAND};
        metas[i].bytes = payloads[i] == NULL ? 0 : payloads[i]->len;
    }
    struct raft_persist p = {
        .io_seq = io_seq, .kind = RAFT_PERSIST_ENTRIES, .first = first, .count = count};
    wal_thread_put(thread, &p, metas, payloads, NULL);
    for (uint32_t i = 0; i < count; i++) {
        coord_buf_unref(payloads[i]);
    }
}

static void hardstate_put(uint64_t io_seq, raft_term term)
{
    struct raft_persist p = {
        .io_seq = io_seq, .kind = RAFT_PERSIST_HARDSTATE, .term = term, .vote = 2, .commit = 1};
    wal_thread_put(thread, &p, NULL, NULL, NULL);
}

/* Close and open the log again, and compare it with what was put. */
static void log_expect(raft_index count)
{
    wal_thread_stop(thread);
    thread = NULL;
    raft_wal_close(wal);
    wal_begin();
    const struct raft_wal_state *s = raft_wal_state(wal);
    ck_assert_int_ne(s->health, RAFT_WAL_REPAIR);
    ck_assert_uint_eq(s->count, count);
    for (raft_index i = 1; i <= count; i++) {
        char got[PAYLOAD_BYTES_MAX];
        struct coord_buf *want = i % 5 == 0 ? coord_buf_copy("", 0) : payload_of(i);
        ck_assert_int_eq(raft_wal_read(wal, i, got, sizeof(got)), (int64_t)want->len);
        ck_assert_int_eq(memcmp(got, want->data, want->len), 0);
        coord_buf_unref(want);
    }
}

/* Nobody is woken for what nobody waits for, and it is durable all the same. */
START_TEST(not_wanted_is_not_woken)
{
    struct pollfd p = {.fd = waker.fd, .events = POLLIN};
    wal_thread_wanted(thread, false);
    entries_put(1, 1, 2);
    wal_thread_submit(thread);
    while (wal_thread_durable(thread) < 1) { /* check's time-out ends it */
        (void)sched_yield();
    }
    wal_thread_stop(thread);
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    ck_assert_int_eq(wal_thread_start(wal, SEGMENT_BYTES / 2, &waker, &thread), 0);
    log_expect(2);
}
END_TEST

/* Whatever the moment at which it is wanted again: it is there already, or somebody is woken. */
START_TEST(no_wake_up_is_lost)
{
    for (uint64_t i = 1; i <= 500; i++) {
        wal_thread_wanted(thread, false);
        entries_put(i, i, 1);
        wal_thread_submit(thread);
        for (volatile uint64_t spin = 0; spin < i * 7919 % 100000; spin++) {
        }
        wal_thread_wanted(thread, true);
        durable_await(i);
    }
}
END_TEST

START_TEST(order_is_kept_and_everything_is_found)
{
    raft_index next = 1;
    uint64_t io_seq = 0;
    uint64_t seen = 0;
    hardstate_put(++io_seq, 3);
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t count = 1 + i % 7;
        entries_put(++io_seq, next, count);
        next += count;
        if (i % 3 == 0) {
            wal_thread_submit(thread);
        }
        uint64_t now = wal_thread_durable(thread);
        ck_assert_uint_ge(now, seen); /* never back, never beyond */
        ck_assert_uint_le(now, io_seq);
        seen = now;
    }
    wal_thread_submit(thread);
    durable_await(io_seq);
    ck_assert_uint_eq(wal_thread_durable(thread), io_seq);
    log_expect(next - 1);
    ck_assert_uint_eq(raft_wal_state(wal)->term, 3);
    ck_assert_uint_eq(raft_wal_state(wal)->vote, 2);
}
END_TEST

static void hold(bool on)
{
    pthread_mutex_lock(&disk.mutex);
    disk.hold = on;
    pthread_cond_broadcast(&disk.cond);
    pthread_mutex_unlock(&disk.mutex);
}

static void sync_await(void)
{
    pthread_mutex_lock(&disk.mutex);
    while (disk.inside == 0) {
        pthread_cond_wait(&disk.cond, &disk.mutex);
    }
    pthread_mutex_unlock(&disk.mutex);
}

START_TEST(what_gathers_during_a_sync_shares_the_next)
{
    entries_put(1, 1, 1);
    wal_thread_submit(thread);
    durable_await(1); /* the first segment is made by now */
    hold(true);
    entries_put(2, 2, 1);
    wal_thread_submit(thread);
    sync_await();
    ck_assert_uint_eq(wal_thread_durable(thread), 1); /* not before the disk has answered */
    for (uint64_t i = 3; i <= 200; i++) {
        entries_put(i, i, 1);
        wal_thread_submit(thread);
    }
    ck_assert_uint_eq(wal_thread_durable(thread), 1);
    pthread_mutex_lock(&disk.mutex);
    int before = disk.syncs;
    pthread_mutex_unlock(&disk.mutex);
    hold(false);
    durable_await(200);
    pthread_mutex_lock(&disk.mutex);
    int syncs = disk.syncs - before;
    pthread_mutex_unlock(&disk.mutex);
    ck_assert_int_le(syncs, 3); /* the one that was held, the batch, perhaps the upkeep's */
    log_expect(200);
}
END_TEST

START_TEST(failed_sync_is_final)
{
    const char *why = NULL;
    entries_put(1, 1, 3);
    wal_thread_submit(thread);
    durable_await(1);
    ck_assert(!wal_thread_failed(thread, &why));
    pthread_mutex_lock(&disk.mutex);
    disk.fail_at = disk.syncs + 1;
    pthread_mutex_unlock(&disk.mutex);
    entries_put(2, 4, 1);
    entries_put(3, 5, 1);
    wal_thread_submit(thread);
    while (!wal_thread_failed(thread, &why)) {
        wake_await();
    }
    ck_assert_ptr_nonnull(strstr(why, "cannot write the log"));
    ck_assert_ptr_nonnull(strstr(why, "Input/output error"));
    entries_put(4, 6, 1); /* taken, never published, its buffers given back */
    wal_thread_submit(thread);
    wal_thread_stop(thread);
    thread = NULL;
}
END_TEST

#define BIG_BYTES 60000 /* four fill a segment */

/* One entry of BIG_BYTES. */
static void big_put(uint64_t io_seq)
{
    static uint8_t bytes[BIG_BYTES];
    struct coord_buf *big = coord_buf_copy(bytes, sizeof(bytes));
    struct raft_entry meta = {.term = 1, .bytes = sizeof(bytes), .type = RAFT_ENTRY_COMMAND};
    struct raft_persist p = {
        .io_seq = io_seq, .kind = RAFT_PERSIST_ENTRIES, .first = io_seq, .count = 1};
    wal_thread_put(thread, &p, &meta, &big, NULL);
    wal_thread_submit(thread);
    coord_buf_unref(big);
}

static void full_set(bool full)
{
    pthread_mutex_lock(&disk.mutex);
    disk.full = full;
    pthread_mutex_unlock(&disk.mutex);
}

/* Until the disk has refused to make a segment so often from now on. */
static void refusals_await(int count)
{
    pthread_mutex_lock(&disk.mutex);
    int until = disk.refused + count;
    while (disk.refused < until) {
        pthread_cond_wait(&disk.cond, &disk.mutex);
    }
    pthread_mutex_unlock(&disk.mutex);
}

START_TEST(full_disk_is_waited_for)
{
    const char *why = NULL;
    uint64_t io_seq = 0;
    full_set(true);
    while (wal_thread_room(thread) && io_seq < 100) {
        big_put(++io_seq);
        wake_await();
    }
    ck_assert_uint_lt(io_seq, 100);
    /* What is under way when room runs out still fits, perhaps. These cannot all: three segments' worth, and
     * at most one could be on its way to be made. */
    for (uint64_t last = io_seq + 3 * SEGMENT_BYTES / BIG_BYTES; io_seq < last;) {
        big_put(++io_seq);
    }
    refusals_await(2); /* tried, and tried again */
    ck_assert(!wal_thread_failed(thread, &why));
    ck_assert(!wal_thread_room(thread));
    ck_assert_uint_lt(wal_thread_durable(thread), io_seq);
    full_set(false);
    durable_await(io_seq); /* tried again, without anybody asking */
    while (!wal_thread_room(thread)) {
        wake_await();
    }
}
END_TEST

static void slow(bool on)
{
    pthread_mutex_lock(&disk.mutex);
    disk.slow = on;
    pthread_cond_broadcast(&disk.cond);
    pthread_mutex_unlock(&disk.mutex);
}

/* Segments are made beside the writes: while one is filled, what is ready is written; when that is used
 * up, a write waits for it, and nothing is lost or refused. */
START_TEST(writes_go_on_while_a_segment_is_filled)
{
    slow(true);
    big_put(1);
    durable_await(1);
    pthread_mutex_lock(&disk.mutex);
    while (disk.filling == 0) {
        pthread_cond_wait(&disk.cond, &disk.mutex);
    }
    pthread_mutex_unlock(&disk.mutex);
    for (uint64_t i = 2; i <= 4; i++) {
        big_put(i);
        durable_await(i); /* the worker has not come on meanwhile */
    }
    for (uint64_t i = 5; i <= 30; i++) {
        big_put(i); /* there is no room for all of these */
    }
    ck_assert_uint_lt(wal_thread_durable(thread), 30);
    slow(false);
    durable_await(30);
    ck_assert(wal_thread_room(thread));
}
END_TEST

/* An array as wal_thread_read wants it, for entries of entries_put. */
static struct coord_buf **bufs_make(raft_index first, uint32_t count)
{
    struct coord_buf **bufs = calloc(count, sizeof(bufs[0]));
    ck_assert_ptr_nonnull(bufs);
    for (uint32_t i = 0; i < count; i++) {
        struct coord_buf *want = payload_of(first + i);
        bufs[i] = (first + i) % 5 == 0 ? NULL : coord_buf_create(want->len);
        coord_buf_unref(want);
    }
    return bufs;
}

static struct wal_read read_await(raft_index first, uint32_t count)
{
    struct wal_read r;
    wal_thread_read(thread, first, count, bufs_make(first, count));
    while (!wal_thread_read_take(thread, &r)) {
        wake_await();
    }
    ck_assert_uint_eq(r.first, first);
    ck_assert_uint_eq(r.count, count);
    return r;
}

START_TEST(entries_can_be_read_again)
{
    for (uint64_t i = 0; i < 20; i++) {
        entries_put(i + 1, 1 + i * 40, 40);
    }
    wal_thread_submit(thread);
    durable_await(20);
    struct wal_read r = read_await(101, 600); /* more than a slice */
    ck_assert_int_eq(r.error, 0);
    for (uint32_t i = 0; i < 600; i++) {
        struct coord_buf *want = (101 + i) % 5 == 0 ? NULL : payload_of(101 + i);
        ck_assert(want == NULL || want->len == r.bufs[i]->len);
        ck_assert(want == NULL || memcmp(want->data, r.bufs[i]->data, want->len) == 0);
        coord_buf_unref(want);
    }
    wal_read_finish(&r);
    r = read_await(790, 20); /* the log ends at 800 */
    ck_assert_int_eq(r.error, RAFT_STORE_ENOENT);
    wal_read_finish(&r);
    wal_thread_read(thread, 1, 10, bufs_make(1, 10)); /* nobody takes it: freed at the end */
}
END_TEST

START_TEST(stop_writes_what_was_submitted)
{
    for (uint64_t i = 1; i <= 50; i++) {
        entries_put(i, i, 1);
    }
    wal_thread_submit(thread);
    entries_put(51, 51, 1); /* never submitted */
    log_expect(50);
}
END_TEST

START_TEST(truncation_and_marks_reach_the_log)
{
    uint64_t digest[2] = {1, 2};
    struct raft_persist mark = {
        .io_seq = 3, .kind = RAFT_PERSIST_SNAPMARK, .first = 20, .term = 3, .compact = 20};
    entries_put(1, 1, 40);
    entries_put(2, 30, 1); /* discards 31 .. 40 */
    wal_thread_put(thread, &mark, NULL, NULL, digest);
    wal_thread_submit(thread);
    durable_await(3);
    wal_thread_stop(thread);
    thread = NULL;
    raft_wal_close(wal);
    wal_begin();
    const struct raft_wal_state *s = raft_wal_state(wal);
    ck_assert_uint_eq(s->snapshot_index, 20);
    ck_assert_uint_eq(s->snapshot_term, 3);
    ck_assert_uint_eq(s->first + s->count - 1, 30);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shell_wal");
    TCase *t = tcase_create("wal_thread");
    tcase_set_timeout(t, 20);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, not_wanted_is_not_woken);
    tcase_add_test(t, no_wake_up_is_lost);
    tcase_add_test(t, order_is_kept_and_everything_is_found);
    tcase_add_test(t, what_gathers_during_a_sync_shares_the_next);
    tcase_add_test(t, failed_sync_is_final);
    tcase_add_test(t, full_disk_is_waited_for);
    tcase_add_test(t, writes_go_on_while_a_segment_is_filled);
    tcase_add_test(t, entries_can_be_read_again);
    tcase_add_test(t, stop_writes_what_was_submitted);
    tcase_add_test(t, truncation_and_marks_reach_the_log);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
