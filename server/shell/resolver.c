/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.c: see resolver.h. One thread that shares a small table under a mutex. */
#include "server/shell/resolver.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum entry_state { ENTRY_IDLE = 0, ENTRY_WANTED, ENTRY_BUSY, ENTRY_DONE };

struct resolver {
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool stop;
    struct {
        enum entry_state state;
        struct conf_address address;
        struct net_address result;
        const char *why; /* NULL: result is good */
    } entries[CONF_MEMBERS_MAX];
};

/* Return: the place of an entry that is to be looked up, -1 for none. Under the mutex. */
static int wanted_find(const struct resolver *r)
{
    for (int i = 0; i < CONF_MEMBERS_MAX; i++) {
        if (r->entries[i].state == ENTRY_WANTED) {
            return i;
        }
    }
    return -1;
}

static void *resolver_run(void *arg)
{
    struct resolver *r = arg;
    (void)pthread_mutex_lock(&r->mutex);
    while (!r->stop) {
        int at = wanted_find(r);
        if (at < 0) {
            (void)pthread_cond_wait(&r->cond, &r->mutex);
            continue;
        }
        struct conf_address address = r->entries[at].address;
        struct net_address result = {.len = 0};
        r->entries[at].state = ENTRY_BUSY;
        (void)pthread_mutex_unlock(&r->mutex);
        const char *why = net_address_resolve(&address, &result);
        (void)pthread_mutex_lock(&r->mutex);
        r->entries[at].result = result;
        r->entries[at].why = why;
        r->entries[at].state = ENTRY_DONE;
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return NULL;
}

int resolver_create(struct resolver **ret_r)
{
    struct resolver *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&r->mutex, NULL);
    (void)pthread_cond_init(&r->cond, NULL);
    *ret_r = r;
    return 0;
}

void resolver_destroy(struct resolver *r)
{
    if (r == NULL) {
        return;
    }
    if (r->started) {
        (void)pthread_mutex_lock(&r->mutex);
        r->stop = true;
        (void)pthread_cond_signal(&r->cond);
        (void)pthread_mutex_unlock(&r->mutex);
        (void)pthread_join(r->thread, NULL);
    }
    (void)pthread_cond_destroy(&r->cond);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
}

enum resolver_answer resolver_ask(struct resolver *r, unsigned place, const struct conf_address *a,
                                  struct net_address *ret_n, const char **ret_why)
{
    assert(place < CONF_MEMBERS_MAX);
    if (net_address_numeric(a, ret_n)) {
        return RESOLVER_OK;
    }
    if (!r->started) {
        int rc = pthread_create(&r->thread, NULL, resolver_run, r);
        if (rc != 0) {
            *ret_why = "cannot start a thread to look the name up";
            return RESOLVER_FAILED;
        }
        r->started = true;
    }
    enum resolver_answer answer = RESOLVER_PENDING;
    (void)pthread_mutex_lock(&r->mutex);
    if (r->entries[place].state == ENTRY_DONE) {
        r->entries[place].state = ENTRY_IDLE;
        *ret_n = r->entries[place].result;
        *ret_why = r->entries[place].why;
        answer = *ret_why == NULL ? RESOLVER_OK : RESOLVER_FAILED;
    } else if (r->entries[place].state == ENTRY_IDLE) {
        r->entries[place].address = *a;
        r->entries[place].state = ENTRY_WANTED;
        (void)pthread_cond_signal(&r->cond);
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return answer;
}
