/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the worker for snapshot files saves, sends, receives, loads and deletes them, and answers every
 * job once, also when the file is damaged. Method: two directories, a worker on each; the file of one is
 * carried chunk by chunk to the other, as peers do.
 */
#include <check.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "server/machine/machine_internal.h"
#include "server/shell/log.h"
#include "server/shell/snap_thread.h"

#define CLUSTER     77
#define STATE_BYTES 900000
#define CHUNK       100000

static struct side {
    char dir[64];
    struct raft_fs fs;
    struct wake waker;
    struct snap_thread *thread;
} from, to;

static void side_begin(struct side *s)
{
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/test_shell_snap.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(s->dir));
    ck_assert_int_eq(raft_fs_posix_open(s->dir, &s->fs), 0);
    ck_assert_int_eq(wake_init(&s->waker), 0);
    struct snap_thread_options o = {
        .fs = &s->fs, .cluster_id = CLUSTER, .keep = 2, .wake = &s->waker};
    ck_assert_int_eq(snap_thread_start(&o, &s->thread), 0);
}

static int file_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void side_end(struct side *s)
{
    snap_thread_stop(s->thread);
    wake_finish(&s->waker);
    raft_fs_posix_close(&s->fs);
    ck_assert_int_eq(nftw(s->dir, file_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void setup(void)
{
    log_init(STDERR_FILENO, CONF_LOG_ERROR, CONF_LOG_TEXT, 1);
    side_begin(&from);
    side_begin(&to);
}

static void teardown(void)
{
    side_end(&from);
    side_end(&to);
}

/* The next result, waiting for it as the loop does. */
static struct snap_job *result_await(struct side *s, enum snap_job_kind kind)
{
    struct snap_job *job = NULL;
    while ((job = snap_thread_take(s->thread)) == NULL) {
        struct pollfd p = {.fd = s->waker.fd, .events = POLLIN};
        uint64_t value;
        ck_assert_int_eq(poll(&p, 1, 10000), 1);
        ck_assert_int_eq(read(s->waker.fd, &value, sizeof(value)), sizeof(value));
        wake_clear(&s->waker);
    }
    ck_assert_int_eq(job->kind, kind);
    return job;
}

/* A machine at that revision, with four nodes of a fourth of STATE_BYTES each. */
static struct machine *machine_make(raft_index index)
{
    static uint8_t data[STATE_BYTES / 4];
    struct machine_limits limits;
    struct znode *node;
    uint64_t sequence;
    machine_limits_init(&limits);
    struct machine *m = machine_create(&limits);
    store_begin(m->state.store, 1, 0);
    for (uint32_t k = 0; k < 4; k++) {
        char path[8];
        for (uint32_t i = 0; i < sizeof(data); i++) {
            data[i] = (uint8_t)(i * 31 + i / 257 + index + k);
        }
        (void)snprintf(path, sizeof(path), "/n%u", k);
        const struct store_create_args a = {.path = {(const uint8_t *)path, 3},
                                            .data = {data, sizeof(data)}};
        ck_assert_int_eq(store_create(m->state.store, &a, &node, &sequence), 0);
    }
    machine_skip(m, index);
    return m;
}

static struct coord_buf *state_make(raft_index index)
{
    struct machine *m = machine_make(index);
    struct coord_buf *b = machine_save(m);
    ck_assert_uint_gt(b->len, STATE_BYTES);
    machine_destroy(m);
    return b;
}

static struct raft_snapshot meta_of(raft_index index)
{
    struct raft_snapshot m = {
        .index = index, .term = 3, .config_index = 1, .snap_id = index + 1000};
    m.config.count = 1;
    m.config.members[0] = (struct raft_member){1, RAFT_VOTER};
    return m;
}

static void part_put(enum snap_job_kind kind, raft_index index, struct coord_buf *bytes)
{
    struct snap_job job = {.kind = kind, .meta = meta_of(index), .buf = bytes};
    snap_thread_put(from.thread, &job);
}

/* Put the state in so many parts. */
static void parts_put(raft_index index, uint32_t parts)
{
    struct coord_buf *state = state_make(index);
    part_put(SNAP_BEGIN, index, NULL);
    for (uint32_t i = 0; i < parts; i++) {
        uint32_t start = (uint32_t)((uint64_t)state->len * i / parts);
        uint32_t end = (uint32_t)((uint64_t)state->len * (i + 1) / parts);
        part_put(SNAP_WRITE, index, coord_buf_copy(state->data + start, end - start));
    }
    coord_buf_unref(state);
}

/* Each part is answered: 0, or the error once and then only that it is known. Return: how many failed. */
static uint32_t parts_await(uint32_t parts)
{
    uint32_t failed = 0;
    for (uint32_t i = 0; i < parts; i++) {
        struct snap_job *done = result_await(&from, SNAP_WRITE);
        ck_assert_ptr_null(done->buf); /* not kept any longer than needed */
        ck_assert_int_eq(done->known, failed > 0);
        failed += done->error != 0;
        snap_job_destroy(done);
    }
    return failed;
}

/* Save a snapshot at index on `from`. Return: the size of its file. */
static uint64_t save(raft_index index)
{
    parts_put(index, 4);
    part_put(SNAP_END, index, NULL);
    ck_assert_uint_eq(parts_await(4), 0);
    struct snap_job *done = result_await(&from, SNAP_END);
    uint64_t bytes = done->meta.bytes;
    ck_assert_int_eq(done->error, 0);
    ck_assert_uint_gt(bytes, STATE_BYTES);
    ck_assert(done->digest[0] != 0 || done->digest[1] != 0);
    ck_assert_uint_eq(done->meta.snap_id, index + 1000);
    snap_job_destroy(done);
    return bytes;
}

static struct raft_msg msg_of(raft_index index, uint64_t offset, uint64_t total)
{
    uint64_t rest = total - offset;
    return (struct raft_msg){.type = RAFT_MSG_SNAPSHOT,
                             .index = index,
                             .log_term = 3,
                             .snap_id = index + 1000,
                             .offset = offset,
                             .count = (uint32_t)(rest < CHUNK ? rest : CHUNK),
                             .total = total};
}

/* Read one chunk on `from`; its header comes back with it. */
static struct coord_buf *chunk_read(const struct raft_msg *m)
{
    struct snap_job job = {
        .kind = SNAP_CHUNK, .msg = *m, .peer = 2, .header = coord_buf_copy("h", 1)};
    snap_thread_put(from.thread, &job);
    struct snap_job *done = result_await(&from, SNAP_CHUNK);
    ck_assert_int_eq(done->error, 0);
    ck_assert_uint_eq(done->peer, 2);
    ck_assert_uint_eq(done->header->len, 1);
    ck_assert_uint_eq(done->buf->len, m->count);
    struct coord_buf *chunk = coord_buf_ref(done->buf);
    snap_job_destroy(done);
    return chunk;
}

/* Carry the file over; damage_at: flip a bit there, UINT64_MAX: nowhere. */
static void carry(raft_index index, uint64_t total, uint64_t damage_at)
{
    for (uint64_t offset = 0; offset < total; offset += CHUNK) {
        struct raft_msg m = msg_of(index, offset, total);
        struct snap_job job = {.kind = SNAP_STORE, .msg = m, .buf = chunk_read(&m)};
        if (damage_at >= offset && damage_at < offset + m.count) {
            job.buf->data[damage_at - offset] ^= 1;
        }
        snap_thread_put(to.thread, &job);
        struct snap_job *done = result_await(&to, SNAP_STORE);
        ck_assert_int_eq(done->error, 0);
        ck_assert_uint_eq(done->through, offset + m.count);
        ck_assert_uint_eq(done->msg.snap_id, index + 1000);
        snap_job_destroy(done);
    }
}

static struct snap_job *load(raft_index index)
{
    struct snap_job job = {.kind = SNAP_LOAD, .meta = meta_of(index)};
    snap_thread_put(to.thread, &job);
    return result_await(&to, SNAP_LOAD);
}

START_TEST(file_is_carried_and_loaded)
{
    uint64_t total = save(50);
    carry(50, total, UINT64_MAX);
    struct snap_job *done = load(50);
    struct machine *want = machine_make(50);
    struct machine *got = machine_make(7);
    ck_assert_int_eq(done->error, 0);
    ck_assert_uint_eq(done->meta.bytes, total);
    ck_assert_uint_eq(done->meta.config.count, 1);
    ck_assert_uint_eq(machine_loader_revision(done->state), 50);
    machine_replace(got, done->state);
    ck_assert_uint_eq(machine_digest(got), machine_digest(want));
    machine_destroy(got);
    machine_destroy(want);
    snap_job_destroy(done);
}
END_TEST

START_TEST(damage_on_the_way_is_found)
{
    static const uint64_t places[] = {0, 100, 5000, 450000};
    uint64_t total = save(50);
    carry(50, total, _i == 4 ? total - 1 : places[_i]);
    struct snap_job *done = load(50);
    ck_assert_int_lt(done->error, 0);
    ck_assert_ptr_null(done->state);
    snap_job_destroy(done);
    carry(50, total, UINT64_MAX); /* from the beginning, as the leader does after a rejection */
    done = load(50);
    ck_assert_int_eq(done->error, 0);
    snap_job_destroy(done);
}
END_TEST

/* Every byte of the file is as it was written, and still it is no state. */
START_TEST(a_file_without_a_state_is_refused)
{
    part_put(SNAP_BEGIN, 50, NULL);
    part_put(SNAP_WRITE, 50, coord_buf_copy("what is this?", 13));
    part_put(SNAP_END, 50, NULL);
    ck_assert_uint_eq(parts_await(1), 0);
    struct snap_job *done = result_await(&from, SNAP_END);
    uint64_t total = done->meta.bytes;
    ck_assert_int_eq(done->error, 0);
    snap_job_destroy(done);
    carry(50, total, UINT64_MAX);
    done = load(50);
    ck_assert_int_eq(done->error, RAFT_STORE_ECORRUPT);
    ck_assert_ptr_null(done->state);
    snap_job_destroy(done);
}
END_TEST

START_TEST(newer_transfer_takes_the_place_of_the_older)
{
    uint64_t first = save(50);
    uint64_t second = save(60);
    struct raft_msg m = msg_of(50, 0, first);
    struct snap_job job = {.kind = SNAP_STORE, .msg = m, .buf = chunk_read(&m)};
    snap_thread_put(to.thread, &job);
    snap_job_destroy(result_await(&to, SNAP_STORE));
    carry(60, second, UINT64_MAX);
    struct snap_job *done = load(60);
    ck_assert_int_eq(done->error, 0);
    snap_job_destroy(done);
    done = load(50); /* never came whole */
    ck_assert_int_lt(done->error, 0);
    snap_job_destroy(done);
}
END_TEST

START_TEST(what_is_not_there_is_an_error)
{
    uint64_t total = save(50);
    struct raft_msg wrong[3] = {msg_of(50, 0, total), msg_of(51, 0, total), msg_of(50, 0, total)};
    wrong[0].offset = total - 10; /* reaches beyond the end */
    wrong[2].log_term = 9;
    for (int i = 0; i < 3; i++) {
        struct snap_job job = {
            .kind = SNAP_CHUNK, .msg = wrong[i], .header = coord_buf_copy("h", 1)};
        snap_thread_put(from.thread, &job);
        struct snap_job *done = result_await(&from, SNAP_CHUNK);
        ck_assert_int_lt(done->error, 0);
        snap_job_destroy(done);
    }
}
END_TEST

START_TEST(prune_keeps_the_newest)
{
    struct raft_snap_meta metas[8];
    struct snap_job prune = {.kind = SNAP_PRUNE};
    for (raft_index i = 1; i <= 4; i++) {
        (void)save(i * 10);
    }
    ck_assert_int_eq(raft_snap_list(&from.fs, CLUSTER, metas, 8), 4);
    snap_thread_put(from.thread, &prune);
    (void)save(100); /* its result says that the prune before it is done */
    ck_assert_int_eq(raft_snap_list(&from.fs, CLUSTER, metas, 8), 3);
    ck_assert_uint_eq(metas[0].index, 100);
    ck_assert_uint_eq(metas[1].index, 40);
    ck_assert_uint_eq(metas[2].index, 30);
}
END_TEST

START_TEST(prune_spares_a_transfer_under_way)
{
    struct snap_job prune = {.kind = SNAP_PRUNE};
    uint64_t total = save(50);
    for (uint64_t offset = 0; offset < total; offset += CHUNK) {
        struct raft_msg m = msg_of(50, offset, total);
        struct snap_job job = {.kind = SNAP_STORE, .msg = m, .buf = chunk_read(&m)};
        snap_thread_put(to.thread, &job);
        snap_thread_put(to.thread, &prune);
        snap_job_destroy(result_await(&to, SNAP_STORE));
    }
    struct snap_job *done = load(50);
    ck_assert_int_eq(done->error, 0);
    snap_job_destroy(done);
}
END_TEST

START_TEST(a_snapshot_given_up_leaves_no_file)
{
    struct raft_snap_meta metas[8];
    char path[128];
    parts_put(7, 3);
    part_put(SNAP_ABORT, 7, NULL);
    ck_assert_uint_eq(parts_await(3), 0);
    (void)save(8); /* the one before is over by then */
    ck_assert_int_eq(raft_snap_list(&from.fs, CLUSTER, metas, 8), 1);
    (void)snprintf(path, sizeof(path), "%s/snap/%016x-%016x.tmp", from.dir, 3, 7);
    ck_assert_int_ne(access(path, F_OK), 0);
    /* The same one again. */
    (void)save(7);
    ck_assert_int_eq(raft_snap_list(&from.fs, CLUSTER, metas, 8), 2);
}
END_TEST

START_TEST(a_file_that_cannot_be_made_is_told_once)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/snap", from.dir);
    FILE *in_the_way = fopen(path, "we");
    ck_assert_ptr_nonnull(in_the_way);
    (void)fclose(in_the_way);
    parts_put(7, 3);
    part_put(SNAP_END, 7, NULL);
    ck_assert_uint_eq(parts_await(3), 3);
    struct snap_job *done = result_await(&from, SNAP_END);
    ck_assert_int_lt(done->error, 0);
    ck_assert(done->known);
    snap_job_destroy(done);
    ck_assert_int_eq(remove(path), 0);
    (void)save(7);
}
END_TEST

START_TEST(stop_drops_what_waits)
{
    for (raft_index i = 1; i <= 5; i++) {
        parts_put(i, 2);
        part_put(SNAP_END, i, NULL);
    }
    parts_put(6, 2);               /* one begun and never ended */
    snap_thread_stop(from.thread); /* the sanitizer sees what is not given back */
    from.thread = NULL;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shell_snap");
    TCase *t = tcase_create("snap_thread");
    tcase_set_timeout(t, 20);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, file_is_carried_and_loaded);
    tcase_add_loop_test(t, damage_on_the_way_is_found, 0, 5);
    tcase_add_test(t, a_file_without_a_state_is_refused);
    tcase_add_test(t, newer_transfer_takes_the_place_of_the_older);
    tcase_add_test(t, what_is_not_there_is_an_error);
    tcase_add_test(t, prune_keeps_the_newest);
    tcase_add_test(t, prune_spares_a_transfer_under_way);
    tcase_add_test(t, a_snapshot_given_up_leaves_no_file);
    tcase_add_test(t, a_file_that_cannot_be_made_is_told_once);
    tcase_add_test(t, stop_drops_what_waits);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
