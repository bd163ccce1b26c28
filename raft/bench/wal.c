/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal.c: the cost of the log on disk: group commits of 1, 32 and 256 entries of 256 bytes, and for
 * comparison the plain fdatasync of a 4 KiB write into a file of full length, which is the floor.
 */
#include "raft/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <coord/raft_storage.h>

#define BATCH_MAX   256u
#define ENTRY_BYTES 256u
#define SAMPLES_MAX 200000u
#define FILE_BYTES  (16u << 20)

struct samples {
    uint32_t count;
    uint64_t ns[SAMPLES_MAX];
};

static void print(const char *name, uint32_t batch, struct samples *s, uint64_t allocations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        sum += s->ns[i];
    }
    qsort(s->ns, s->count, sizeof(s->ns[0]), bench_order);
    printf("wal     %-10s %5" PRIu32 " %10.0f %8.0f %8.0f %8.0f %8.0f %12.3f\n", name, batch,
           (double)s->count * batch * 1e9 / (double)sum, (double)s->ns[s->count / 2] / 1e3,
           (double)s->ns[(uint64_t)s->count * 9 / 10] / 1e3,
           (double)s->ns[(uint64_t)s->count * 99 / 100] / 1e3, (double)s->ns[s->count - 1] / 1e3,
           (double)allocations / s->count);
}

static int measure_wal(struct raft_wal *wal, uint32_t batch, double seconds, struct samples *s)
{
    static uint8_t payload[ENTRY_BYTES];
    static struct raft_wal_op ops[BATCH_MAX + 1];
    static raft_index next = 1;
    uint64_t until = bench_now_ns() + (uint64_t)(seconds * 1e9);
    uint64_t allocations = bench_allocations();
    s->count = 0;
    while (s->count < SAMPLES_MAX && bench_now_ns() < until) {
        for (uint32_t i = 0; i < batch; i++) {
            ops[i] = (struct raft_wal_op){.kind = RAFT_WAL_ENTRY,
                                          .term = 1,
                                          .index = next++,
                                          .type = RAFT_ENTRY_COMMAND,
                                          .bytes = ENTRY_BYTES,
                                          .data = payload};
        }
        uint64_t begun = bench_now_ns();
        int rc = raft_wal_write(wal, ops, batch);
        s->ns[s->count++] = bench_now_ns() - begun;
        if (rc == 0 && next % 65536 < batch) { /* keep the log short, outside of the measurement */
            struct raft_wal_op mark = {.kind = RAFT_WAL_SNAPMARK, .term = 1, .index = next - 1};
            rc = raft_wal_write(wal, &mark, 1);
            raft_wal_compact(wal, next - 1);
        }
        if (rc == 0 && raft_wal_room(wal) < FILE_BYTES / 2) {
            rc = raft_wal_idle(wal); /* as the writer does when it has a moment */
        }
        if (rc < 0) {
            (void)fprintf(stderr, "bench_raft: write: %s\n", raft_store_strerror(rc));
            return 1;
        }
    }
    print("group", batch, s, bench_allocations() - allocations);
    return 0;
}

static int measure_floor(const char *dir, double seconds, struct samples *s)
{
    static uint8_t page[4096];
    char path[4300];
    (void)snprintf(path, sizeof(path), "%s/floor", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        (void)fprintf(stderr, "bench_raft: %s: %s\n", path, strerror(errno));
        return 1;
    }
    int rc = 0;
    for (off_t at = 0; at < (off_t)FILE_BYTES && rc == 0; at += (off_t)sizeof(page)) {
        rc = pwrite(fd, page, sizeof(page), at) == sizeof(page) ? 0 : -1;
    }
    rc = rc == 0 ? fsync(fd) : rc;
    uint64_t until = bench_now_ns() + (uint64_t)(seconds * 1e9);
    s->count = 0;
    while (rc == 0 && s->count < SAMPLES_MAX && bench_now_ns() < until) {
        off_t at = (off_t)((uint64_t)s->count * sizeof(page) % FILE_BYTES);
        uint64_t begun = bench_now_ns();
        rc = pwrite(fd, page, sizeof(page), at) == sizeof(page) ? fdatasync(fd) : -1;
        s->ns[s->count++] = bench_now_ns() - begun;
    }
    (void)close(fd);
    (void)unlink(path);
    if (rc == 0) {
        print("floor", 1, s, 0);
    }
    return rc == 0 ? 0 : 1;
}

static int remove_name(void *arg, const char *name)
{
    const struct raft_fs *fs = arg;
    char path[64];
    if (name[0] != '.' && strlen(name) < 40) {
        (void)snprintf(path, sizeof(path), "wal/%s", name);
        (void)fs->unlink(fs->ctx, path); /* what stays is reported by rmdir */
    }
    return 0;
}

static int run(const char *dir, double seconds)
{
    static struct samples s;
    static const uint32_t batches[] = {1, 32, 256};
    struct raft_fs fs;
    struct raft_wal_options o;
    struct raft_wal *wal = NULL;
    char why[256] = "";
    int rc = raft_fs_posix_open(dir, &fs);
    if (rc < 0) {
        (void)fprintf(stderr, "bench_raft: %s: %s\n", dir, raft_store_strerror(rc));
        return 1;
    }
    raft_wal_options_init(&o);
    o.fs = &fs;
    o.cluster_id = 1;
    o.node_id = 1;
    o.salt_seed = bench_now_ns();
    rc = raft_wal_open(&o, &wal, why, sizeof(why));
    if (rc < 0) {
        (void)fprintf(stderr, "bench_raft: %s: %s\n", dir, why);
    }
    for (uint32_t i = 0; i < 3 && rc == 0; i++) {
        rc = measure_wal(wal, batches[i], seconds, &s);
    }
    rc = rc == 0 ? measure_floor(dir, seconds, &s) : rc;
    raft_wal_close(wal);
    (void)fs.list(fs.ctx, "wal", remove_name, &fs); /* likewise */
    raft_fs_posix_close(&fs);
    return rc == 0 ? 0 : 1;
}

int bench_wal(const char *dir, double seconds)
{
    char own[4096];
    char wal[4200];
    if (snprintf(own, sizeof(own), "%s/bench-raft.XXXXXX", dir) >= (int)sizeof(own) ||
        mkdtemp(own) == NULL) {
        (void)fprintf(stderr, "bench_raft: %s: %s\n", dir, strerror(errno));
        return 1;
    }
    printf("the log in %s, entries of %u bytes, microseconds per write and fdatasync\n", dir,
           ENTRY_BYTES);
    printf("        %-10s %5s %10s %8s %8s %8s %8s %12s\n", "way", "batch", "records/s", "p50",
           "p90", "p99", "max", "allocations");
    int rc = run(own, seconds);
    (void)snprintf(wal, sizeof(wal), "%s/wal", own);
    if (rmdir(wal) < 0 || rmdir(own) < 0) {
        (void)fprintf(stderr, "bench_raft: %s is left behind: %s\n", own, strerror(errno));
    }
    return rc;
}
