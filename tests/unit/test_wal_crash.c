/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: after a crash at any point everything acknowledged is in the log and recovery never fails.
 * Method: a scripted run (writes, truncations, rolls over small segments, snapshots, compaction,
 * reopening) is stopped inside each of its changing disk operations in turn. From the disk as it is
 * then, several images of a power cut are taken; the log found on each must be what was acknowledged
 * plus a beginning of what was being written. Then it must go on: more is written, the power is cut
 * again, also in the midst of recovery.
 */
#include "tests/lib/walkit.h"
#include "tests/sim/disk.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_BYTES 8192u

#if defined(__SANITIZE_ADDRESS__) /* several times slower */
#define SWEEPS 1
#define LIVES  15
#else
#define SWEEPS 4
#define LIVES  40
#endif

/* The state of a run: what the log must hold, and what is being written to it. */
struct run {
    struct sim_disk *disk;
    struct raft_wal *wal;
    struct walkit_model acked;
    struct walkit_batch batch; /* being written; empty outside of a write */
    uint64_t rng;
    uint64_t salt;
};

static int run_open(struct run *r)
{
    struct raft_wal_options o;
    char why[256];
    walkit_options(&o, sim_disk_fs(r->disk), SEGMENT_BYTES, ++r->salt * 7919u);
    return raft_wal_open(&o, &r->wal, why, sizeof why);
}

/* One step. Return: 0, or the error when the disk stopped. */
static int step_write(struct run *r)
{
    struct walkit_model *m = &r->acked;
    struct walkit_batch *b = &r->batch;
    raft_term term = m->term;
    if (walkit_draw(&r->rng) % 4 == 0) {
        term++;
    }
    raft_index next = m->last + 1;
    if (term > m->term && m->last > m->commit && walkit_draw(&r->rng) % 2 == 0) {
        next = m->commit + 1 + walkit_draw(&r->rng) % (m->last - m->commit);
        next = next < m->first ? m->first : next;
    }
    b->count = 0;
    if (term > m->term || walkit_draw(&r->rng) % 3 == 0) {
        walkit_hardstate(b, term, (raft_id)(1 + term % 3), m->commit);
    }
    uint32_t n = (uint32_t)(1 + walkit_draw(&r->rng) % 6);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bytes = (uint32_t)(walkit_draw(&r->rng) % 700);
        walkit_entry(b, next + i, term == 0 ? 1 : term, bytes);
    }
    if (walkit_draw(&r->rng) % 2 == 0) {
        walkit_hardstate(b, term, (raft_id)(1 + term % 3), next + n / 2);
    }
    int rc = walkit_write(r->wal, m, b);
    if (rc == 0) {
        b->count = 0;
    }
    return rc;
}

/* A segment is made beside the log, as by another thread: writes go on in between, in whatever order. */
static int step_prep(struct run *r)
{
    struct raft_wal_prep *prep = NULL;
    int rc = raft_wal_prep(r->wal, &prep);
    if (rc != 1) {
        return rc < 0 ? rc : step_write(r);
    }
    uint64_t before = walkit_draw(&r->rng) % 3;
    uint64_t after = walkit_draw(&r->rng) % 3;
    for (uint64_t i = 0; i < before + after && rc >= 0; i++) {
        if (i == before) {
            raft_wal_prep_run(prep);
        }
        rc = step_write(r);
        if (rc == -EBUSY) { /* it needs what is being made: refused without effect */
            r->batch.count = 0;
            rc = raft_wal_idle(r->wal);
        }
    }
    if (after == 0 || rc < 0) {
        raft_wal_prep_run(prep);
    }
    int end = raft_wal_prep_end(r->wal);
    return rc < 0 ? rc : end;
}

static int step_snapshot(struct run *r)
{
    struct walkit_model *m = &r->acked;
    struct walkit_batch *b = &r->batch;
    b->count = 0;
    if (m->commit <= m->snapshot_index || m->commit < m->first || m->commit > m->last) {
        return 0;
    }
    walkit_snapmark(b, m->commit, m->entries[m->commit].term);
    int rc = walkit_write(r->wal, m, b);
    if (rc != 0) {
        return rc;
    }
    b->count = 0;
    raft_wal_compact(r->wal, m->snapshot_index - walkit_draw(&r->rng) % 3);
    m->first = m->snapshot_index + 1;
    return raft_wal_idle(r->wal);
}

/* A snapshot of another member, far ahead, replaces the log. */
static int step_install(struct run *r)
{
    struct walkit_model *m = &r->acked;
    struct walkit_batch *b = &r->batch;
    raft_index index = m->last + 5;
    b->count = 0;
    walkit_snapmark(b, index, m->term + 1);
    walkit_hardstate(b, m->term + 1, 0, index);
    int rc = walkit_write(r->wal, m, b);
    if (rc != 0) {
        return rc;
    }
    b->count = 0;
    raft_wal_compact(r->wal, index);
    return 0;
}

static int step_reopen(struct run *r)
{
    char why[256];
    raft_wal_close(r->wal);
    r->wal = NULL;
    sim_disk_kill(r->disk);
    int rc = run_open(r);
    if (rc == 0) {
        ck_assert_msg(walkit_compare(r->wal, &r->acked, why, sizeof why) == 0, "%s", why);
    }
    return rc;
}

/* Run the script from an empty disk, stopping inside change `stop`; 0 never. */
static void run_script(struct run *r, uint64_t seed, uint64_t stop, int steps)
{
    memset(r, 0, sizeof *r);
    r->disk = sim_disk_create(seed);
    r->rng = seed;
    walkit_model_init(&r->acked);
    sim_disk_stop_at(r->disk, stop);
    int rc = run_open(r);
    for (int i = 0; i < steps && rc == 0; i++) {
        switch (walkit_draw(&r->rng) % 12) {
        case 0:
        case 1:
            rc = raft_wal_idle(r->wal);
            break;
        case 2:
            rc = step_snapshot(r);
            break;
        case 3:
            rc = walkit_draw(&r->rng) % 6 == 0 ? step_install(r) : step_write(r);
            break;
        case 4: /* the stop would be disarmed; reopen only in runs without one */
            rc = stop == 0 ? step_reopen(r) : 0;
            break;
        default:
            rc = step_write(r);
            break;
        }
    }
    ck_assert_msg(rc == 0 || sim_disk_stopped(r->disk), "the script failed with %d", rc);
    raft_wal_close(r->wal);
    r->wal = NULL;
}

/* Does the opened log hold what was acknowledged and a beginning of what was not? The model becomes
 * what is there. */
static void adopt_outcome(struct run *r, struct raft_wal *w, const char *where, uint64_t at)
{
    struct walkit_model m = r->acked;
    char why[256];
    char first_why[256] = "";
    uint32_t k = 0;
    while (walkit_compare(w, &m, why, sizeof why) != 0) {
        if (k == 0) {
            memcpy(first_why, why, sizeof why);
        }
        ck_assert_msg(k < r->batch.count, "%s, stop %lu: nothing fits: %s; %s", where,
                      (unsigned long)at, first_why, why);
        walkit_model_apply(&m, &r->batch.ops[k++]);
    }
    r->acked = m;
    r->batch.count = 0;
}

/* Open a crashed disk, look, go on writing, cut the power again, look again. */
static void survive(const struct run *from, enum sim_disk_crash_kind kind, uint64_t seed,
                    uint64_t at, const char *where)
{
    static struct run r;
    char why[256] = "";
    struct raft_wal_options o;
    r = *from;
    r.disk = sim_disk_clone(from->disk);
    if (seed % 3 == 1) { /* the process dies, recovers from the page cache, then the power fails */
        sim_disk_kill(r.disk);
    } else {
        sim_disk_crash(r.disk, kind, seed);
    }
    if (seed % 4 == 2) { /* and once more within recovery */
        walkit_options(&o, sim_disk_fs(r.disk), SEGMENT_BYTES, seed + 17);
        sim_disk_stop_at(r.disk, sim_disk_counts(r.disk)->changes + 1 + seed % 7);
        if (raft_wal_open(&o, &r.wal, why, sizeof why) == 0) {
            raft_wal_close(r.wal);
        }
        sim_disk_crash(r.disk, SIM_DISK_CRASH_RANDOM, seed + 3);
    }
    walkit_options(&o, sim_disk_fs(r.disk), SEGMENT_BYTES, seed + 1);
    int rc = raft_wal_open(&o, &r.wal, why, sizeof why);
    ck_assert_msg(rc == 0, "%s, stop %lu, crash %d seed %lu: open: %d %s", where, (unsigned long)at,
                  kind, (unsigned long)seed, rc, why);
    ck_assert_msg(raft_wal_state(r.wal)->health != RAFT_WAL_REPAIR, "%s, stop %lu: %s", where,
                  (unsigned long)at, raft_wal_state(r.wal)->detail);
    adopt_outcome(&r, r.wal, where, at);
    raft_wal_close(r.wal);
    /* What recovery reported is on disk by now, whatever the page cache held. */
    sim_disk_crash(r.disk, SIM_DISK_CRASH_DROP, seed);
    walkit_options(&o, sim_disk_fs(r.disk), SEGMENT_BYTES, seed + 2);
    rc = raft_wal_open(&o, &r.wal, why, sizeof why);
    ck_assert_msg(rc == 0, "%s, stop %lu: second open: %d %s", where, (unsigned long)at, rc, why);
    ck_assert_msg(walkit_compare(r.wal, &r.acked, why, sizeof why) == 0, "%s, stop %lu: %s", where,
                  (unsigned long)at, why);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(step_write(&r), 0);
        if (i == 2) {
            ck_assert_int_eq(raft_wal_idle(r.wal), 0);
        }
    }
    raft_wal_close(r.wal);
    sim_disk_crash(r.disk, SIM_DISK_CRASH_RANDOM, seed + 5);
    walkit_options(&o, sim_disk_fs(r.disk), SEGMENT_BYTES, seed + 3);
    rc = raft_wal_open(&o, &r.wal, why, sizeof why);
    ck_assert_msg(rc == 0, "%s, stop %lu: third open: %d %s", where, (unsigned long)at, rc, why);
    ck_assert_msg(walkit_compare(r.wal, &r.acked, why, sizeof why) == 0, "%s, stop %lu: %s", where,
                  (unsigned long)at, why);
    raft_wal_close(r.wal);
    sim_disk_destroy(r.disk);
}

START_TEST(crash_at_every_operation)
{
    static struct run r;
    static const enum sim_disk_crash_kind kinds[] = {SIM_DISK_CRASH_DROP, SIM_DISK_CRASH_KEEP,
                                                     SIM_DISK_CRASH_TORN, SIM_DISK_CRASH_NAMES};
    uint64_t seed = 100 + (uint64_t)_i;
    run_script(&r, seed, 0, 45);
    uint64_t changes = sim_disk_counts(r.disk)->changes;
    sim_disk_destroy(r.disk);
    ck_assert_uint_gt(changes, 60);
    for (uint64_t stop = 1; stop <= changes; stop++) {
        run_script(&r, seed, stop, 45);
        for (uint64_t k = 0; k < 4; k++) {
            survive(&r, kinds[k], k * 3, stop, "all of a kind");
        }
        for (uint64_t k = 0; k < 8; k++) {
            survive(&r, SIM_DISK_CRASH_RANDOM, stop * 1000 + k, stop, "random");
        }
        sim_disk_destroy(r.disk);
    }
}
END_TEST

/* How a life will end: the disk stops inside an operation, or a sync fails, now or later. */
static void arm(struct run *r)
{
    uint64_t dice = walkit_draw(&r->rng);
    if (dice % 2 == 0) {
        sim_disk_stop_at(r->disk, sim_disk_counts(r->disk)->changes + 1 + dice / 2 % 40);
    } else {
        sim_disk_fail_sync(r->disk, (uint32_t)(1 + dice / 4 % 30),
                           dice / 2 % 2 == 0 ? SIM_DISK_SYNC_KEEP : SIM_DISK_SYNC_REVERT);
    }
}

START_TEST(long_lives_with_many_crashes)
{
    static struct run r;
    memset(&r, 0, sizeof r);
    r.rng = 5000 + (uint64_t)_i;
    r.disk = sim_disk_create(r.rng);
    walkit_model_init(&r.acked);
    for (int life = 0; life < 80 && r.acked.last < WALKIT_ENTRIES_MAX - 300; life++) {
        struct raft_wal_options o;
        char why[256];
        int armed = walkit_draw(&r.rng) % 4 == 0; /* in time for recovery */
        if (armed) {
            arm(&r);
        }
        walkit_options(&o, sim_disk_fs(r.disk), SEGMENT_BYTES, walkit_draw(&r.rng));
        int rc = raft_wal_open(&o, &r.wal, why, sizeof why);
        ck_assert_msg(rc == 0 || (armed && rc == -EIO), "life %d: open: %d %s", life, rc, why);
        if (rc == 0 && sim_disk_stopped(r.disk)) {
            rc = -EIO; /* in an operation that opening can do without */
        } else if (rc == 0) {
            ck_assert_int_ne(raft_wal_state(r.wal)->health, RAFT_WAL_REPAIR);
            adopt_outcome(&r, r.wal, "life", (uint64_t)life);
            if (!armed) {
                arm(&r);
            }
        }
        for (int step = 0; rc == 0 && step < 40; step++) {
            uint64_t dice = walkit_draw(&r.rng) % 10;
            rc = dice == 0   ? step_snapshot(&r)
                 : dice == 1 ? raft_wal_idle(r.wal)
                 : dice == 2 ? step_prep(&r)
                             : step_write(&r);
        }
        ck_assert(rc == 0 || rc == -EIO); /* what was armed may have hit what is not needed */
        raft_wal_close(r.wal);
        r.wal = NULL;
        if (walkit_draw(&r.rng) % 3 == 0) {
            sim_disk_crash(r.disk, SIM_DISK_CRASH_RANDOM, walkit_draw(&r.rng));
        } else {
            sim_disk_kill(r.disk);
        }
    }
    sim_disk_destroy(r.disk);
}
END_TEST

/* One call that is several batches under a single sync: any of them may be lost, a later one may be
 * there. What came before is kept, of the call a beginning, and nothing looks like rot. */
START_TEST(batches_under_one_sync)
{
    enum { COUNT = 9000, BEFORE = 10 };
    static struct raft_wal_op ops[COUNT];
    struct raft_wal_options o;
    char why[256];
    struct sim_disk *d = sim_disk_create(9);
    struct raft_wal *w;
    for (uint32_t i = 0; i < COUNT; i++) {
        ops[i] = (struct raft_wal_op){
            .kind = RAFT_WAL_ENTRY, .term = 1, .index = i + 1, .bytes = 8, .data = "8 bytes."};
    }
    walkit_options(&o, sim_disk_fs(d), 1u << 20, 1);
    ck_assert_int_eq(raft_wal_open(&o, &w, why, sizeof why), 0);
    ck_assert_int_eq(raft_wal_write(w, ops, BEFORE), 0);
    uint64_t writes = sim_disk_counts(d)->writes;
    sim_disk_stop_at(d, sim_disk_counts(d)->changes + 4); /* the sync behind three writes */
    ck_assert_int_eq(raft_wal_write(w, ops + BEFORE, COUNT - BEFORE), -EIO);
    ck_assert_uint_eq(sim_disk_counts(d)->writes, writes + 3);
    raft_wal_close(w);
    int torn = 0;
    for (uint64_t image = 0; image < 60; image++) {
        struct sim_disk *c = sim_disk_clone(d);
        sim_disk_crash(c, SIM_DISK_CRASH_RANDOM, image);
        for (uint64_t life = 0; life < 2; life++) {
            walkit_options(&o, sim_disk_fs(c), 1u << 20, 2 + life);
            ck_assert_int_eq(raft_wal_open(&o, &w, why, sizeof why), 0);
            const struct raft_wal_state *s = raft_wal_state(w);
            ck_assert_msg(s->health != RAFT_WAL_REPAIR, "%s", s->detail);
            torn += s->health == RAFT_WAL_TORN;
            ck_assert(s->count == BEFORE || s->count == BEFORE + 4096 ||
                      s->count == BEFORE + 8192 || s->count == COUNT);
            ck_assert_int_eq(raft_wal_read(w, s->count, why, sizeof why), 8);
            raft_wal_close(w);
            sim_disk_crash(c, SIM_DISK_CRASH_DROP, image);
        }
        sim_disk_destroy(c);
    }
    ck_assert_int_gt(torn, 10);
    sim_disk_destroy(d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wal crash");
    TCase *tc = tcase_create("sweep");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, crash_at_every_operation, 0, SWEEPS);
    tcase_add_loop_test(tc, long_lives_with_many_crashes, 0, LIVES);
    tcase_add_test(tc, batches_under_one_sync);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
