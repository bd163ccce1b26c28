/* SPDX-License-Identifier: Apache-2.0 */
/* watchdog.c: see watchdog.h. A thread of its own that shares only the marks. */
#include "server/shell/watchdog.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "server/shell/log.h"

#define WATCHDOG_SUBJECTS_MAX 4

struct watchdog {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool stop; /* under mutex */
    uint32_t count;
    struct {
        struct watchdog_subject subject;
        uint64_t piece;
        uint32_t turns;
    } watched[WATCHDOG_SUBJECTS_MAX];
};

void watch_begin(struct watch_mark *m)
{
    uint64_t piece = atomic_fetch_add_explicit(&m->piece, 1, memory_order_relaxed);
    assert((piece & 1) == 0);
    (void)piece;
}

void watch_end(struct watch_mark *m)
{
    uint64_t piece = atomic_fetch_add_explicit(&m->piece, 1, memory_order_relaxed);
    assert((piece & 1) == 1);
    (void)piece;
}

static void watchdog_look(struct watchdog *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        uint64_t piece =
            atomic_load_explicit(&w->watched[i].subject.mark->piece, memory_order_relaxed);
        bool same = piece == w->watched[i].piece && (piece & 1) == 1;
        w->watched[i].piece = piece;
        w->watched[i].turns = same ? w->watched[i].turns + 1 : 0;
        if (w->watched[i].turns >= w->watched[i].subject.turns_max) {
            log_write(CONF_LOG_ERROR, "%s has not come back for %u s: stopping this process",
                      w->watched[i].subject.what, (unsigned)w->watched[i].turns);
            abort();
        }
    }
}

static void *watchdog_run(void *arg)
{
    struct watchdog *w = arg;
    (void)pthread_mutex_lock(&w->mutex);
    while (!w->stop) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        int rc = 0;
        while (!w->stop && rc != ETIMEDOUT) {
            rc = pthread_cond_timedwait(&w->cond, &w->mutex, &until);
        }
        if (!w->stop) {
            watchdog_look(w);
        }
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return NULL;
}

int watchdog_start(const struct watchdog_subject *subjects, uint32_t count, struct watchdog **ret_w)
{
    assert(count <= WATCHDOG_SUBJECTS_MAX);
    struct watchdog *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return -ENOMEM;
    }
    w->count = count;
    for (uint32_t i = 0; i < count; i++) {
        w->watched[i].subject = subjects[i];
    }
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&w->mutex, NULL);
    (void)pthread_cond_init(&w->cond, &attr);
    (void)pthread_condattr_destroy(&attr);
    int rc = pthread_create(&w->thread, NULL, watchdog_run, w);
    if (rc != 0) {
        (void)pthread_cond_destroy(&w->cond);
        (void)pthread_mutex_destroy(&w->mutex);
        free(w);
        return -rc;
    }
    *ret_w = w;
    return 0;
}

void watchdog_stop(struct watchdog *w)
{
    if (w == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&w->mutex);
    w->stop = true;
    (void)pthread_cond_signal(&w->cond);
    (void)pthread_mutex_unlock(&w->mutex);
    (void)pthread_join(w->thread, NULL);
    (void)pthread_cond_destroy(&w->cond);
    (void)pthread_mutex_destroy(&w->mutex);
    free(w);
}
