/* SPDX-License-Identifier: Apache-2.0 */
/* wal_prep.c: see wal_prep.h. */
#include "server/shell/wal_prep.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct wal_prep {
    pthread_t thread;
    void (*done)(void *arg);
    void *arg;
    bool busy; /* the log's thread's */

    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct raft_wal_prep *job; /* under mutex, as the rest; NULL none */
    bool finished;             /* and not taken */
    bool stop;
};

static void *prep_run(void *arg)
{
    struct wal_prep *p = arg;
    (void)pthread_mutex_lock(&p->mutex);
    for (;;) {
        while (p->job == NULL && !p->stop) {
            (void)pthread_cond_wait(&p->cond, &p->mutex);
        }
        struct raft_wal_prep *job = p->job;
        if (job == NULL) {
            (void)pthread_mutex_unlock(&p->mutex);
            return NULL;
        }
        (void)pthread_mutex_unlock(&p->mutex);
        raft_wal_prep_run(job);
        (void)pthread_mutex_lock(&p->mutex);
        p->job = NULL;
        p->finished = true;
        (void)pthread_cond_broadcast(&p->cond);
        (void)pthread_mutex_unlock(&p->mutex);
        p->done(p->arg);
        (void)pthread_mutex_lock(&p->mutex);
    }
}

int wal_prep_start(void (*done)(void *arg), void *arg, struct wal_prep **ret_p)
{
    struct wal_prep *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return -ENOMEM;
    }
    p->done = done;
    p->arg = arg;
    (void)pthread_mutex_init(&p->mutex, NULL);
    (void)pthread_cond_init(&p->cond, NULL);
    int rc = pthread_create(&p->thread, NULL, prep_run, p);
    if (rc != 0) {
        (void)pthread_cond_destroy(&p->cond);
        (void)pthread_mutex_destroy(&p->mutex);
        free(p);
        return -rc;
    }
    *ret_p = p;
    return 0;
}

void wal_prep_put(struct wal_prep *p, struct raft_wal_prep *job)
{
    assert(!p->busy);
    p->busy = true;
    (void)pthread_mutex_lock(&p->mutex);
    assert(p->job == NULL);
    p->job = job;
    (void)pthread_cond_broadcast(&p->cond);
    (void)pthread_mutex_unlock(&p->mutex);
}

bool wal_prep_busy(const struct wal_prep *p)
{
    return p->busy;
}

bool wal_prep_take(struct wal_prep *p, bool wait)
{
    if (!p->busy) {
        return false;
    }
    (void)pthread_mutex_lock(&p->mutex);
    while (wait && !p->finished) {
        (void)pthread_cond_wait(&p->cond, &p->mutex);
    }
    bool finished = p->finished;
    p->finished = false;
    (void)pthread_mutex_unlock(&p->mutex);
    p->busy = !finished;
    return finished;
}

void wal_prep_stop(struct wal_prep *p)
{
    if (p == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&p->mutex);
    p->stop = true;
    (void)pthread_cond_broadcast(&p->cond);
    (void)pthread_mutex_unlock(&p->mutex);
    (void)pthread_join(p->thread, NULL);
    (void)pthread_cond_destroy(&p->cond);
    (void)pthread_mutex_destroy(&p->mutex);
    free(p);
}
