/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snap_thread.c: see snap_thread.h. The worker keeps the file it writes open between its parts, and the file
 * it receives and the file it sends from between chunks, because opening one verifies all of it.
 */
#include "server/shell/snap_thread.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/shell/clock.h"
#include "server/shell/log.h"

#define SNAP_RECV_STALE_NS \
    (60 * CLOCK_NS_PER_S) /* a transfer without a chunk for so long is over */
#define SNAP_STATE_TYPE 1 /* chunk type of the machine's state */

struct snap_list {
    struct snap_job *first;
    struct snap_job **last;
};

struct snap_thread {
    struct snap_thread_options o;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct snap_list jobs;    /* under mutex */
    struct snap_list results; /* under mutex */
    bool stop;                /* under mutex */

    /* The worker's: the file being written, the one being received and the one being sent. */
    struct raft_snap_writer *writer;
    int writer_error;              /* why there is none, when there should be */
    struct raft_snap_meta written; /* the last one completed; index 0 none */
    struct raft_snap_recv *recv;
    raft_index recv_index;
    raft_term recv_term;
    uint64_t recv_ns; /* when its last chunk came */
    struct raft_snap_reader *reader;
    raft_index reader_index;
    raft_term reader_term;
};

static void list_push(struct snap_list *l, struct snap_job *job)
{
    job->next = NULL;
    *l->last = job;
    l->last = &job->next;
}

static struct snap_job *list_pop(struct snap_list *l)
{
    struct snap_job *job = l->first;
    if (job != NULL) {
        l->first = job->next;
        if (l->first == NULL) {
            l->last = &l->first;
        }
        job->next = NULL;
    }
    return job;
}

void snap_job_destroy(struct snap_job *job)
{
    if (job != NULL) {
        coord_buf_unref(job->header);
        coord_buf_unref(job->buf);
        machine_loader_destroy(job->state);
        free(job);
    }
}

/* --- the worker -------------------------------------------------------------------------------- */

static void writer_drop(struct snap_thread *t)
{
    raft_snap_abort(t->writer);
    t->writer = NULL;
}

/* What goes wrong here is told with the first part that follows. */
static void job_begin(struct snap_thread *t, const struct snap_job *job)
{
    struct raft_snap_meta meta = {.cluster_id = t->o.cluster_id,
                                  .index = job->meta.index,
                                  .term = job->meta.term,
                                  .config_index = job->meta.config_index,
                                  .config = job->meta.config};
    writer_drop(t);
    t->writer_error = raft_snap_create(t->o.fs, &meta, &t->writer);
    if (t->writer_error < 0) {
        t->writer = NULL;
    }
}

static int job_write(struct snap_thread *t, struct snap_job *job)
{
    if (t->writer == NULL) {
        job->known = t->writer_error == -ECANCELED;
        int rc = t->writer_error;
        t->writer_error = -ECANCELED; /* the rest of this file is of no use */
        return rc;
    }
    int rc = raft_snap_write(t->writer, SNAP_STATE_TYPE, job->buf->data, job->buf->len);
    if (rc < 0) {
        writer_drop(t);
        t->writer_error = -ECANCELED;
    }
    return rc;
}

static int job_end(struct snap_thread *t, struct snap_job *job)
{
    struct raft_snap_meta meta;
    if (t->writer == NULL) {
        job->known = t->writer_error == -ECANCELED;
        return t->writer_error;
    }
    int rc = raft_snap_commit(t->writer, &meta);
    t->writer = NULL;
    t->writer_error = -ECANCELED;
    (void)malloc_trim(
        0); /* what the copy, and the entries before it, have left of the heap: some MB */
    if (rc < 0) {
        return rc;
    }
    t->written = meta;
    job->meta.bytes = meta.bytes;
    memcpy(job->digest, meta.digest, sizeof(job->digest));
    return 0;
}

static void recv_drop(struct snap_thread *t)
{
    if (t->recv != NULL) {
        raft_snap_recv_abort(t->recv);
        t->recv = NULL;
    }
}

static int job_store(struct snap_thread *t, struct snap_job *job)
{
    const struct raft_msg *m = &job->msg;
    if (t->recv != NULL && (t->recv_index != m->index || t->recv_term != m->log_term)) {
        recv_drop(t);
    }
    if (t->recv == NULL) {
        uint64_t have = 0;
        int rc = raft_snap_recv_open(t->o.fs, t->o.cluster_id, m->log_term, m->index, m->total,
                                     &t->recv, &have);
        if (rc < 0) {
            t->recv = NULL;
            return rc;
        }
        t->recv_index = m->index;
        t->recv_term = m->log_term;
    }
    int rc = raft_snap_recv_write(t->recv, m->offset, job->buf->data, job->buf->len);
    if (rc < 0) {
        return rc; /* the same chunk is tried again: what is stored stays */
    }
    t->recv_ns = clock_mono_ns();
    job->through = m->offset + job->buf->len;
    return 0;
}

/* Read all of the state of an open snapshot. */
static int state_read(struct raft_snap_reader *r, struct machine_loader *state)
{
    for (;;) {
        uint8_t type = 0;
        const void *data = NULL;
        int64_t n = raft_snap_next(r, &type, &data);
        if (n < 0) {
            return (int)n;
        }
        int rc = COORD_EPROTO;
        if (n == 0) {
            rc = machine_loader_end(state);
        } else if (type == SNAP_STATE_TYPE) {
            rc = machine_loader_feed(state, data, (size_t)n);
        }
        if (rc == COORD_ENOMEM) {
            return -ENOMEM;
        }
        if (rc != 0 || n == 0) {
            return rc == 0 ? 0 : RAFT_STORE_ECORRUPT;
        }
    }
}

int snap_state_read(const struct raft_fs *fs, uint64_t cluster_id, raft_term term, raft_index index,
                    struct raft_snap_meta *ret_meta, struct machine_loader **ret_state)
{
    struct raft_snap_reader *r = NULL;
    int rc = raft_snap_stream(fs, cluster_id, term, index, &r);
    if (rc < 0) {
        return rc;
    }
    struct machine_loader *state = machine_loader_create(raft_snap_meta(r)->bytes);
    rc = state == NULL ? -ENOMEM : state_read(r, state);
    if (rc == 0) {
        *ret_meta = *raft_snap_meta(r);
        *ret_state = state;
    } else {
        char why[128] = "";
        if (state != NULL && machine_loader_failed(state)) {
            machine_loader_why(state, why, sizeof(why));
            log_write(CONF_LOG_ERROR, "snapshot at index %" PRIu64 ": its state: %s", index, why);
        }
        machine_loader_destroy(state);
    }
    raft_snap_close(r);
    return rc;
}

static int job_load(struct snap_thread *t, struct snap_job *job)
{
    struct raft_snap_meta meta;
    if (t->recv != NULL && t->recv_index == job->meta.index && t->recv_term == job->meta.term) {
        int rc = raft_snap_recv_commit(t->recv, &meta);
        t->recv = NULL;
        if (rc < 0) {
            return rc;
        }
    }
    int rc = snap_state_read(t->o.fs, t->o.cluster_id, job->meta.term, job->meta.index, &meta,
                             &job->state);
    if (rc < 0) {
        return rc;
    }
    job->meta.bytes = meta.bytes;
    job->meta.config = meta.config;
    job->meta.config_index = meta.config_index;
    memcpy(job->digest, meta.digest, sizeof(job->digest));
    return 0;
}

static void reader_drop(struct snap_thread *t)
{
    if (t->reader != NULL) {
        raft_snap_close(t->reader);
        t->reader = NULL;
    }
}

static int job_chunk(struct snap_thread *t, struct snap_job *job)
{
    const struct raft_msg *m = &job->msg;
    if (t->reader != NULL && (t->reader_index != m->index || t->reader_term != m->log_term)) {
        reader_drop(t);
    }
    if (t->reader == NULL) {
        int rc = raft_snap_open(t->o.fs, t->o.cluster_id, m->log_term, m->index, &t->reader);
        if (rc < 0) {
            t->reader = NULL;
            return rc;
        }
        t->reader_index = m->index;
        t->reader_term = m->log_term;
    }
    job->buf = coord_buf_create(m->count);
    if (job->buf == NULL) {
        return -ENOMEM;
    }
    int64_t n = raft_snap_pread(t->reader, job->buf->data, m->count, m->offset);
    if (n < 0) {
        return (int)n;
    }
    if (n != (int64_t)m->count) {
        return RAFT_STORE_ENOENT; /* the header promises more than the file has */
    }
    job->buf->len = m->count;
    return 0;
}

/* Delete old files; not while a transfer is under way, whose temporary file would go as well. */
static int job_prune(struct snap_thread *t)
{
    reader_drop(t);
    if (t->recv != NULL && clock_mono_ns() - t->recv_ns < SNAP_RECV_STALE_NS) {
        return 0; /* the next snapshot asks again */
    }
    recv_drop(t);
    int rc = raft_snap_prune(t->o.fs, t->o.cluster_id, t->o.keep, &t->written);
    if (rc < 0) {
        log_write(CONF_LOG_WARN, "cannot delete old snapshots: %s", raft_store_strerror(rc));
    }
    return rc;
}

static void job_do(struct snap_thread *t, struct snap_job *job)
{
    switch (job->kind) {
    case SNAP_BEGIN:
        job_begin(t, job);
        break;
    case SNAP_WRITE:
        job->error = job_write(t, job);
        break;
    case SNAP_END:
        job->error = job_end(t, job);
        break;
    case SNAP_ABORT:
        writer_drop(t);
        break;
    case SNAP_STORE:
        job->error = job_store(t, job);
        break;
    case SNAP_LOAD:
        job->error = job_load(t, job);
        break;
    case SNAP_CHUNK:
        job->error = job_chunk(t, job);
        break;
    case SNAP_PRUNE:
        job->error = job_prune(t);
        break;
    }
    if (job->kind == SNAP_WRITE) {
        coord_buf_unref(job->buf); /* not kept until the loop looks */
        job->buf = NULL;
    }
}

static void *snap_thread_run(void *arg)
{
    struct snap_thread *t = arg;
    (void)pthread_mutex_lock(&t->mutex);
    while (!t->stop) {
        struct snap_job *job = list_pop(&t->jobs);
        if (job == NULL) {
            (void)pthread_cond_wait(&t->cond, &t->mutex);
            continue;
        }
        (void)pthread_mutex_unlock(&t->mutex);
        job_do(t, job);
        (void)pthread_mutex_lock(&t->mutex);
        if (job->kind == SNAP_PRUNE || job->kind == SNAP_BEGIN || job->kind == SNAP_ABORT) {
            snap_job_destroy(job);
        } else {
            list_push(&t->results, job);
            wake_signal(t->o.wake);
        }
    }
    (void)pthread_mutex_unlock(&t->mutex);
    return NULL;
}

/* --- the loop's side --------------------------------------------------------------------------- */

void snap_thread_put(struct snap_thread *t, const struct snap_job *job)
{
    struct snap_job *copy = malloc(sizeof(*copy));
    if (copy == NULL) {
        log_write(CONF_LOG_ERROR, "out of memory for a snapshot's job: stopping this process");
        abort();
    }
    *copy = *job;
    (void)pthread_mutex_lock(&t->mutex);
    list_push(&t->jobs, copy);
    (void)pthread_cond_signal(&t->cond);
    (void)pthread_mutex_unlock(&t->mutex);
}

struct snap_job *snap_thread_take(struct snap_thread *t)
{
    (void)pthread_mutex_lock(&t->mutex);
    struct snap_job *job = list_pop(&t->results);
    (void)pthread_mutex_unlock(&t->mutex);
    return job;
}

int snap_thread_start(const struct snap_thread_options *o, struct snap_thread **ret_t)
{
    assert(o->keep >= 1);
    struct snap_thread *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return -ENOMEM;
    }
    t->o = *o;
    t->jobs.last = &t->jobs.first;
    t->results.last = &t->results.first;
    t->writer_error = -ECANCELED;
    (void)pthread_mutex_init(&t->mutex, NULL);
    (void)pthread_cond_init(&t->cond, NULL);
    int rc = pthread_create(&t->thread, NULL, snap_thread_run, t);
    if (rc != 0) {
        (void)pthread_cond_destroy(&t->cond);
        (void)pthread_mutex_destroy(&t->mutex);
        free(t);
        return -rc;
    }
    *ret_t = t;
    return 0;
}

void snap_thread_stop(struct snap_thread *t)
{
    if (t == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&t->mutex);
    t->stop = true;
    (void)pthread_cond_signal(&t->cond);
    (void)pthread_mutex_unlock(&t->mutex);
    (void)pthread_join(t->thread, NULL);
    for (struct snap_job *job = list_pop(&t->jobs); job != NULL; job = list_pop(&t->jobs)) {
        snap_job_destroy(job);
    }
    for (struct snap_job *job = list_pop(&t->results); job != NULL; job = list_pop(&t->results)) {
        snap_job_destroy(job);
    }
    writer_drop(t);
    recv_drop(t);
    reader_drop(t);
    (void)pthread_cond_destroy(&t->cond);
    (void)pthread_mutex_destroy(&t->mutex);
    free(t);
}
