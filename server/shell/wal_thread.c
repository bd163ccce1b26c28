/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_thread.c: see wal_thread.h. Three queues of records (wal_queue.h): `gather` is the loop's, `pending`
 * is shared under the mutex, `work` is the thread's; handing over and taking are swaps where possible.
 * Segments are made by a worker of this thread's (wal_prep.h).
 */
#include "server/shell/wal_thread.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "server/shell/clock.h"
#include "server/shell/log.h"
#include "server/shell/wal_prep.h"
#include "server/shell/wal_queue.h"

#define WAL_BUSY_IDLE_NS  CLOCK_NS_PER_S       /* under load, upkeep all the same this often */
#define WAL_RETRY_IDLE_NS CLOCK_NS_PER_S       /* upkeep failed: try again after this */
#define WAL_SLOW_NS       (CLOCK_NS_PER_S / 2) /* a write worth a log line */

struct wal_thread {
    struct raft_wal *wal;
    struct wake *wake;
    uint64_t room_min_bytes;
    pthread_t thread;
    struct watch_mark mark;

    struct wal_queue gather; /* the loop's */

    sem_t kick; /* posted when `sleeping` is cleared: a wake-up costs one call on either side */
    pthread_mutex_t mutex;
    struct wal_queue pending; /* under mutex */
    bool sleeping;            /* under mutex: the thread waits for kick, or is about to */
    bool prepared;            /* under mutex: the worker has made a segment, or failed to */
    bool stop;                /* under mutex */
    bool repaired;            /* under mutex: the log is to be told */
    struct wal_read asked;    /* under mutex: count 0 none; the thread takes it away */
    struct wal_read answer;   /* under mutex: likewise, the loop */

    struct wal_prep *prep; /* the thread's */
    struct wal_queue work; /* the thread's */
    struct wal_read read;  /* the thread's: under way */
    uint64_t upkeep_ns;    /* the thread's: when raft_wal_idle ran last */
    bool upkeep_due;       /* the thread's: something was written since, or it failed */
    bool upkeep_failed;
    int upkeep_error; /* of the last one that failed */

    _Atomic uint64_t durable;
    _Atomic bool wanted;   /* the loop's: it sleeps until durable moves */
    _Atomic bool answered; /* there is an answer */
    _Atomic bool failed;   /* set after why */
    _Atomic bool room;
    char why[256];
};

/* --- the loop's side --------------------------------------------------------------------------- */

void wal_thread_put(struct wal_thread *t, const struct raft_persist *p,
                    const struct raft_entry *metas, struct coord_buf *const *payloads,
                    const uint64_t digest[2])
{
    wal_queue_put(&t->gather, p, metas, payloads, digest);
}

/* Wake the thread if it sleeps. Called with the mutex held, and gives it back. */
static void thread_wake(struct wal_thread *t)
{
    bool sleeping = t->sleeping;
    t->sleeping = false;
    (void)pthread_mutex_unlock(&t->mutex);
    if (sleeping) {
        (void)sem_post(&t->kick); /* it can only fail beyond SEM_VALUE_MAX posts */
    }
}

void wal_thread_submit(struct wal_thread *t)
{
    if (t->gather.count == 0) {
        return;
    }
    (void)pthread_mutex_lock(&t->mutex);
    wal_queue_move(&t->pending, &t->gather);
    thread_wake(t);
}

/* Both sides write theirs and then read the other's, in one total order: one of them sees it. */
void wal_thread_wanted(struct wal_thread *t, bool wanted)
{
    if (atomic_load_explicit(&t->wanted, memory_order_relaxed) != wanted) {
        atomic_store(&t->wanted, wanted);
    }
}

uint64_t wal_thread_durable(const struct wal_thread *t)
{
    return atomic_load(&t->durable);
}

bool wal_thread_failed(const struct wal_thread *t, const char **ret_why)
{
    if (!atomic_load_explicit(&t->failed, memory_order_acquire)) {
        return false;
    }
    *ret_why = t->why;
    return true;
}

bool wal_thread_room(const struct wal_thread *t)
{
    return atomic_load_explicit(&t->room, memory_order_relaxed);
}

void wal_thread_repaired(struct wal_thread *t)
{
    (void)pthread_mutex_lock(&t->mutex);
    t->repaired = true;
    thread_wake(t);
}

void wal_thread_read(struct wal_thread *t, raft_index first, uint32_t count,
                     struct coord_buf **bufs)
{
    assert(count > 0);
    (void)pthread_mutex_lock(&t->mutex);
    assert(t->asked.count == 0);
    t->asked = (struct wal_read){.first = first, .count = count, .bufs = bufs};
    thread_wake(t);
}

bool wal_thread_read_take(struct wal_thread *t, struct wal_read *ret_r)
{
    if (!atomic_load_explicit(&t->answered, memory_order_acquire)) {
        return false;
    }
    (void)pthread_mutex_lock(&t->mutex);
    *ret_r = t->answer;
    t->answer = (struct wal_read){.bufs = NULL};
    atomic_store_explicit(&t->answered, false, memory_order_relaxed);
    (void)pthread_mutex_unlock(&t->mutex);
    return true;
}

struct watch_mark *wal_thread_mark(struct wal_thread *t)
{
    return &t->mark;
}

/* --- what the thread tells the loop ------------------------------------------------------------ */

static void thread_fail(struct wal_thread *t, const char *what, int error)
{
    if (atomic_load_explicit(&t->failed, memory_order_relaxed)) {
        return;
    }
    (void)snprintf(t->why, sizeof(t->why), "%s the log: %s", what, raft_store_strerror(error));
    atomic_store_explicit(&t->failed, true, memory_order_release);
    wake_signal(t->wake);
}

/* Tell the loop, and the log, when room comes or goes. rc: why there is none. */
static void thread_room_set(struct wal_thread *t, bool room, int rc)
{
    bool before = atomic_exchange_explicit(&t->room, room, memory_order_relaxed);
    if (before == room) {
        return;
    }
    if (room) {
        log_write(CONF_LOG_INFO, "the disk has room for the log again");
    } else {
        log_write(CONF_LOG_ERROR, "no room for the log: cannot prepare a segment: %s",
                  raft_store_strerror(rc));
    }
    wake_signal(t->wake);
}

/* --- segments made beside -------------------------------------------------------------------- */

/* The worker's thread: something for the log's to take. */
static void prep_done(void *arg)
{
    struct wal_thread *t = arg;
    (void)pthread_mutex_lock(&t->mutex);
    t->prepared = true;
    thread_wake(t);
}

/* Take the segment that the worker has made, if it has, and let it make the next one that is wanted.
 * wait: until it has. A failure is left to upkeep, which tries again and tells. */
static void prep_turn(struct wal_thread *t, bool wait)
{
    struct raft_wal_prep *job = NULL;
    int rc = wal_prep_take(t->prep, wait) ? raft_wal_prep_end(t->wal) : 0;
    if (rc == 0 && !t->upkeep_failed && !wal_prep_busy(t->prep)) {
        rc = raft_wal_prep(t->wal, &job);
    }
    if (job != NULL) {
        wal_prep_put(t->prep, job);
    }
    t->upkeep_due |= rc < 0;
}

/* --- the thread's side --------------------------------------------------------------------------- */

/* Attest the last batch, delete what is of no use (raft_wal_idle); segments that the worker could not
 * make are tried here, and what that says is told. */
static void thread_upkeep(struct wal_thread *t)
{
    watch_begin(&t->mark);
    int rc = raft_wal_idle(t->wal);
    watch_end(&t->mark);
    t->upkeep_ns = clock_mono_ns();
    t->upkeep_failed = rc < 0;
    t->upkeep_error = rc < 0 ? rc : t->upkeep_error;
    t->upkeep_due = rc != 0; /* tried again, or more to do */
    if (rc < 0 && raft_wal_failed(t->wal)) {
        t->upkeep_due = false;
        thread_fail(t, "cannot write", rc);
        return;
    }
    thread_room_set(t, rc >= 0 || raft_wal_room(t->wal) >= t->room_min_bytes, rc);
}

/* The records from `at` that make one batch. */
static uint32_t batch_count(const struct wal_queue *q, uint32_t at)
{
    uint32_t n = 0;
    uint64_t bytes = 0;
    while (at + n < q->count) {
        bytes += q->ops[at + n].bytes + 64; /* its header and padding, roughly */
        if (n > 0 && bytes > WAL_BATCH_BYTES) {
            break;
        }
        n++;
    }
    return n;
}

static struct timespec time_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / CLOCK_NS_PER_S),
                             .tv_nsec = (long)(ns % CLOCK_NS_PER_S)};
}

/* Sleep until kicked, or until the time. Called with the mutex held, and left so.
 * Return: false when it was the time. */
static bool thread_sleep(struct wal_thread *t, const struct timespec *until)
{
    int rc = 0;
    t->sleeping = true;
    (void)pthread_mutex_unlock(&t->mutex);
    do {
        rc = until == NULL ? sem_wait(&t->kick) : sem_clockwait(&t->kick, CLOCK_MONOTONIC, until);
    } while (rc != 0 && errno == EINTR);
    (void)pthread_mutex_lock(&t->mutex);
    bool kicked =
        !t->sleeping; /* maybe only just now: then a post is left over, which does no harm */
    t->sleeping = false;
    return kicked;
}

/* Wait a second, or until the end. Return: false at the end. */
static bool retry_wait(struct wal_thread *t)
{
    struct timespec until = time_of(clock_mono_ns() + WAL_RETRY_IDLE_NS);
    bool kicked = true;
    (void)pthread_mutex_lock(&t->mutex);
    while (!t->stop && kicked) {
        kicked = thread_sleep(t, &until);
    }
    bool stop = t->stop;
    (void)pthread_mutex_unlock(&t->mutex);
    return !stop;
}

/* Is this want of something that may come back: room on the disk, a descriptor for the next segment? */
static bool error_passes(int rc)
{
    return rc == -ENOSPC || rc == -EDQUOT || rc == -EMFILE || rc == -ENFILE;
}

/* Write one batch. A disk without room for another segment has refused it without any effect: then it
 * is tried again each second, and the core is told meanwhile. Return: 0 or negative. */
static int batch_write(struct wal_thread *t, const struct wal_queue *q, uint32_t at, uint32_t count)
{
    for (;;) {
        uint64_t begun = clock_mono_ns();
        watch_begin(&t->mark);
        int rc = raft_wal_write(t->wal, q->ops + at, count);
        while (rc == -EBUSY) { /* faster than the worker: at most as often as segments are wanted */
            prep_turn(t, true);
            rc = raft_wal_write(t->wal, q->ops + at, count);
        }
        watch_end(&t->mark);
        uint64_t took = clock_mono_ns() - begun;
        if (took > WAL_SLOW_NS) {
            log_write(CONF_LOG_WARN, "the disk took %" PRIu64 " ms to write %u records of the log",
                      took / CLOCK_NS_PER_MS, (unsigned)count);
        }
        bool full = error_passes(rc) && !raft_wal_failed(t->wal);
        if (!full) {
            return rc;
        }
        thread_room_set(t, false, rc);
        if (!retry_wait(t)) {
            return rc;
        }
    }
}

/* Write everything in t->work, batch by batch. */
static void work_write(struct wal_thread *t)
{
    struct wal_queue *q = &t->work;
    bool failed = atomic_load_explicit(&t->failed, memory_order_relaxed);
    for (uint32_t at = 0; at < q->count && !failed;) {
        uint32_t count = batch_count(q, at);
        int rc = batch_write(t, q, at, count);
        if (rc < 0) {
            thread_fail(t, "cannot write", rc);
            failed = true;
            break;
        }
        uint64_t io_seq = 0;
        for (uint32_t i = at; i < at + count; i++) {
            io_seq = q->notes[i].io_seq != 0 ? q->notes[i].io_seq : io_seq;
            if (q->notes[i].compact != 0) {
                raft_wal_compact(t->wal, q->notes[i].compact);
            }
        }
        if (io_seq != 0) {
            atomic_store(&t->durable, io_seq);
            if (atomic_load(&t->wanted)) {
                wake_signal(t->wake);
            }
        }
        at += count;
        t->upkeep_due = true;
        prep_turn(t, false);
        if (t->upkeep_failed && raft_wal_room(t->wal) < t->room_min_bytes) {
            thread_room_set(t, false, t->upkeep_error); /* a second from now may be too late */
        }
    }
    wal_queue_clear(q);
}

/* Read a slice of what is asked for. */
static void read_turn(struct wal_thread *t)
{
    if (t->read.count == 0) {
        return;
    }
    watch_begin(&t->mark);
    bool done = wal_read_slice(&t->read, t->wal);
    watch_end(&t->mark);
    if (!done) {
        return;
    }
    (void)pthread_mutex_lock(&t->mutex);
    t->answer = t->read;
    (void)pthread_mutex_unlock(&t->mutex);
    t->read = (struct wal_read){.bufs = NULL};
    atomic_store_explicit(&t->answered, true, memory_order_release);
    wake_signal(t->wake);
}

/* End the verdict on the log. Return: false when there is no room to say so now: to be tried again. */
static bool verdict_end(struct wal_thread *t)
{
    watch_begin(&t->mark);
    int rc = raft_wal_repaired(t->wal);
    watch_end(&t->mark);
    t->upkeep_due = true;
    if (rc < 0 && error_passes(rc) && !raft_wal_failed(t->wal)) {
        t->upkeep_failed = true; /* looks again after a second */
        return false;
    }
    if (rc < 0) {
        thread_fail(t, "cannot write", rc);
    } else {
        log_write(CONF_LOG_INFO, "log: whole again: what was damaged has been replaced");
    }
    return true;
}

/* Wait until there is work, upkeep is due, or the end. Called and left with the mutex held.
 * Return: true when upkeep is due. */
static bool thread_wait(struct wal_thread *t)
{
    uint64_t wait_ns = t->upkeep_failed ? WAL_RETRY_IDLE_NS : WAL_IDLE_MS * CLOCK_NS_PER_MS;
    struct timespec until = time_of(clock_mono_ns() + wait_ns);
    bool kicked = true;
    while (t->pending.count == 0 && !t->stop && !t->repaired && !t->prepared &&
           t->asked.count == 0 && kicked) {
        kicked = thread_sleep(t, t->upkeep_due ? &until : NULL);
    }
    return !kicked && t->pending.count == 0 && !t->stop;
}

/* Is upkeep due although records keep coming? Each second; and as soon as room gets short, so that a
 * full disk is known while what is under way still fits. */
static bool upkeep_overdue(const struct wal_thread *t)
{
    if (!t->upkeep_due) {
        return false;
    }
    uint64_t since = clock_mono_ns() - t->upkeep_ns;
    bool is_short = !t->upkeep_failed && raft_wal_room(t->wal) < t->room_min_bytes;
    return since > WAL_BUSY_IDLE_NS || is_short;
}

static void *thread_run(void *arg)
{
    struct wal_thread *t = arg;
    bool due = false; /* the verdict is to end */
    for (;;) {
        (void)pthread_mutex_lock(&t->mutex);
        bool upkeep = t->pending.count == 0 && t->read.count == 0 && thread_wait(t);
        wal_queue_move(&t->work, &t->pending);
        bool stop = t->stop;
        due |= t->repaired;
        t->repaired = false;
        t->prepared = false;
        if (t->asked.count > 0) {
            t->read = t->asked;
            t->asked = (struct wal_read){.bufs = NULL};
        }
        (void)pthread_mutex_unlock(&t->mutex);
        if (t->work.count == 0 && stop) {
            return NULL; /* a verdict that was to end is found, and ended, after the next start */
        }
        work_write(t);
        read_turn(t);
        if (wal_prep_busy(t->prep)) {
            prep_turn(t, false);
        }
        if (due && !atomic_load_explicit(&t->failed, memory_order_relaxed)) {
            due = !verdict_end(t);
        }
        if ((upkeep || upkeep_overdue(t)) &&
            !atomic_load_explicit(&t->failed, memory_order_relaxed)) {
            thread_upkeep(t);
        }
    }
}

static void thread_free(struct wal_thread *t)
{
    wal_prep_stop(t->prep);
    wal_queue_finish(&t->gather);
    wal_queue_finish(&t->pending);
    wal_queue_finish(&t->work);
    wal_read_finish(&t->asked);
    wal_read_finish(&t->answer);
    wal_read_finish(&t->read);
    (void)sem_destroy(&t->kick);
    (void)pthread_mutex_destroy(&t->mutex);
    free(t);
}

int wal_thread_start(struct raft_wal *wal, uint64_t room_min_bytes, struct wake *wake,
                     struct wal_thread **ret_t)
{
    struct wal_thread *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return -ENOMEM;
    }
    t->wal = wal;
    t->wake = wake;
    t->room_min_bytes = room_min_bytes;
    t->upkeep_ns = clock_mono_ns();
    atomic_init(&t->room, true);
    atomic_init(&t->wanted, true);
    (void)pthread_mutex_init(&t->mutex, NULL);
    (void)sem_init(&t->kick, 0, 0);
    int rc = wal_prep_start(prep_done, t, &t->prep);
    if (rc == 0) {
        rc = -pthread_create(&t->thread, NULL, thread_run, t);
    }
    if (rc != 0) {
        thread_free(t);
        return rc;
    }
    *ret_t = t;
    return 0;
}

void wal_thread_stop(struct wal_thread *t)
{
    if (t == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&t->mutex);
    t->stop = true;
    thread_wake(t);
    (void)pthread_join(t->thread, NULL);
    if (wal_prep_take(t->prep, true)) {
        (void)raft_wal_prep_end(t->wal); /* a spare for the next start, whatever became of it */
    }
    thread_free(t);
}
