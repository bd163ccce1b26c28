/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c: a lock is a place in a queue (place.h); its owner holds the lock.
 *
 * Leaves to others: the queue (place.c), lists of owners and waiters (list.c).
 * Thread: as recipes.h says.
 */
#include "client/recipes/place.h"

#include "client/core/mem.h"
#include "client/shell/sync.h"

#define LABEL_BYTES_MAX 4096u

struct coord_lock {
    struct coord__place place; /* first: the place frees the whole */
    coord_lock_cb cb;
    void *arg;
    coord_lock_lost_cb lost;
    void *lost_arg;
};

void coord_lock_options_init(struct coord_lock_options *o)
{
    *o = (struct coord_lock_options){.wait_ms = COORD_WAIT_FOREVER};
}

static void told(struct coord__place *p, int error, uint64_t token)
{
    struct coord_lock *lock = (struct coord_lock *)p;
    if (lock->cb != NULL) {
        lock->cb(lock, error, token, lock->arg);
    }
}

static void lost(struct coord__place *p, int error)
{
    struct coord_lock *lock = (struct coord_lock *)p;
    if (lock->lost != NULL) {
        lock->lost(lock, error, lock->lost_arg);
    }
}

int coord_lock_acquire(struct coord *c, const char *name, const struct coord_lock_options *o,
                       coord_lock_cb cb, void *arg, struct coord_lock **ret_lock)
{
    static const struct coord__place_calls calls = {told, lost};
    struct coord_lock_options plain;
    coord_lock_options_init(&plain);
    o = o != NULL ? o : &plain;
    if (ret_lock == NULL || o->label_bytes > LABEL_BYTES_MAX) {
        return COORD_EINVAL;
    }
    struct coord_lock *lock = coord__alloc(sizeof(*lock));
    if (lock == NULL) {
        return COORD_ENOMEM;
    }
    lock->place.calls = &calls;
    lock->cb = cb;
    lock->arg = arg;
    lock->lost = o->lost;
    lock->lost_arg = o->lost_arg;
    struct coord__place_request q = {"/locks/", name, o->wait_ms, o->label, o->label_bytes};
    *ret_lock = lock; /* before the first callback can come */
    int err = coord__place_enter(c, &q, &lock->place);
    if (err < 0) {
        *ret_lock = NULL;
    }
    return err;
}

struct wait {
    struct coord *c;
    struct coord__waiter w;
    uint64_t token;
};

static void acquired(struct coord_lock *lock, int error, uint64_t token, void *arg)
{
    struct wait *wait = arg;
    wait->token = token;
    coord__wait_signal(wait->c, &wait->w, error);
    (void)lock;
}

int coord_lock_acquire_sync(struct coord *c, const char *name, const struct coord_lock_options *o,
                            struct coord_lock **ret_lock, uint64_t *ret_token)
{
    struct wait wait = {.c = c};
    struct coord_lock *lock;
    int err = ret_token == NULL || ret_lock == NULL ? COORD_EINVAL : coord__wait_check(c);
    if (err == 0) {
        err = coord_lock_acquire(c, name, o, acquired, &wait, &lock);
    }
    if (err < 0) {
        return err;
    }
    coord__wait_for(c, &wait.w);
    if (wait.w.error == 0) {
        *ret_lock = lock;
        *ret_token = wait.token;
    } else if (wait.w.error != COORD_ECLOSED) { /* else it ended with the handle */
        int ignored = coord_lock_release(lock, NULL, NULL);
        (void)ignored; /* what the acquire told matters more */
    }
    return wait.w.error;
}

int coord_lock_release(struct coord_lock *lock, coord_release_cb cb, void *arg)
{
    return lock == NULL ? COORD_EINVAL : coord__place_release(&lock->place, cb, arg);
}

static void released(struct coord *c, int error, void *arg)
{
    coord__wait_signal(c, arg, error);
}

int coord_lock_release_sync(struct coord_lock *lock)
{
    struct coord__waiter w = {0};
    if (lock == NULL) {
        return COORD_EINVAL;
    }
    struct coord *c = lock->place.c;
    int err = coord__wait_check(c);
    if (err == 0) {
        err = coord_lock_release(lock, released, &w);
    }
    if (err < 0) {
        return err;
    }
    coord__wait_for(c, &w);
    return w.error;
}

bool coord_lock_held(const struct coord_lock *lock)
{
    return lock != NULL && coord__place_held(&lock->place);
}

uint64_t coord_lock_token(const struct coord_lock *lock)
{
    return lock != NULL ? coord__place_token(&lock->place) : 0;
}

uint64_t coord_lock_remaining_ms(const struct coord_lock *lock)
{
    return lock != NULL ? coord__place_remaining_ms(&lock->place) : 0;
}

int coord_lock_path(const struct coord_lock *lock, char *path, size_t bytes)
{
    return lock == NULL ? COORD_EINVAL : coord__place_path(&lock->place, path, bytes);
}

int coord_lock_guard(const struct coord_lock *lock, struct coord_txn *t)
{
    return lock == NULL ? COORD_EINVAL : coord__place_guard(&lock->place, t);
}
