/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: at most one owner at a time, tokens that grow, first come first served, waiters that wake
 * alone and leave cleanly, owners told in time that they lost; elections, values, observers.
 * Method: a real node in this process (tests/lib/client_server.h); overlaps are looked for by the
 * owners themselves.
 */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <coord/recipes.h>
#include "tests/lib/client_server.h"

static struct client_server *server;

static void setup(void)
{
    server = client_server_start(NULL);
}

static void teardown(void)
{
    client_server_stop(server);
}

static struct coord *open_timeout(bool threaded, uint32_t session_ms)
{
    struct coord_options o;
    struct coord *c = NULL;
    char why[256];
    coord_options_init(&o);
    o.servers = client_server_address(server);
    o.session_timeout_ms = session_ms;
    int err = threaded ? coord_open_threaded(&o, &c, why, sizeof(why))
                       : coord_open(&o, &c, why, sizeof(why));
    ck_assert_msg(err == 0, "open: %s", why);
    return c;
}

static struct coord *open_plain(bool threaded)
{
    return open_timeout(threaded, 5000);
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct coord_lock_options wait_for(uint32_t ms)
{
    struct coord_lock_options o;
    coord_lock_options_init(&o);
    o.wait_ms = ms;
    return o;
}

static size_t in_line(struct coord *c, const char *name)
{
    struct coord_queue *q;
    ck_assert_int_eq(coord_lock_list_sync(c, name, NULL, &q), 0);
    size_t count = q->count;
    coord_queue_free(q);
    return count;
}

/* --- locks ------------------------------------------------------------------------------------ */

struct contest {
    struct coord *c;
    _Atomic int *inside;
    _Atomic uint64_t *token;
    int turns;
    int bad;
};

static void *contend(void *arg)
{
    struct contest *k = arg;
    for (int i = 0; i < 20; i++) {
        struct coord_lock *lock;
        uint64_t token;
        if (coord_lock_acquire_sync(k->c, "x", NULL, &lock, &token) < 0) {
            k->bad++;
            break;
        }
        k->bad += atomic_fetch_add(k->inside, 1) != 0;
        k->bad += atomic_exchange(k->token, token) >= token;
        k->bad += !coord_lock_held(lock) || coord_lock_token(lock) != token;
        k->turns++;
        atomic_fetch_sub(k->inside, 1);
        k->bad += coord_lock_release_sync(lock) != 0;
    }
    return NULL;
}

/* Half of them share a threaded handle; the server drops connections meanwhile. */
START_TEST(one_owner_at_a_time)
{
    _Atomic int inside = 0;
    _Atomic uint64_t token = 0;
    struct coord *shared = open_plain(true);
    struct contest k[6];
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) {
        struct coord *c = i < 3 ? shared : open_plain(false);
        k[i] = (struct contest){.c = c, .inside = &inside, .token = &token};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, contend, &k[i]), 0);
    }
    for (int i = 0; _i == 1 && i < 10; i++) {
        (void)poll(NULL, 0, 20);
        client_server_kick(server);
    }
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(k[i].bad, 0);
        ck_assert_int_eq(k[i].turns, 20);
        if (i >= 3) {
            coord_close(k[i].c);
        }
    }
    ck_assert_uint_eq(in_line(shared, "x"), 0);
    coord_close(shared);
}
END_TEST

struct waiter {
    _Atomic int told;
    int error;
    uint64_t token;
    _Atomic int lost;
    int lost_error;
    _Atomic int released;
    int release_error;
    _Atomic int *order;
    int place;
    bool release_in_callback;
};

static void released(struct coord *c, int error, void *arg)
{
    struct waiter *w = arg;
    (void)c;
    w->release_error = error;
    w->released++;
}

static void told(struct coord_lock *lock, int error, uint64_t token, void *arg)
{
    struct waiter *w = arg;
    w->error = error;
    w->token = token;
    if (w->order != NULL) {
        w->place = atomic_fetch_add(w->order, 1);
    }
    w->told++;
    if (w->release_in_callback) {
        ck_assert_int_eq(coord_lock_release(lock, released, w), 0);
    }
}

static void lost(struct coord_lock *lock, int error, void *arg)
{
    struct waiter *w = arg;
    w->lost_error = error;
    w->lost++;
    if (w->release_in_callback) {
        ck_assert_int_eq(coord_lock_release(lock, released, w), 0);
    }
}

static void drive(struct coord *c, int ms)
{
    struct pollfd p = {.fd = coord_fd(c), .events = POLLIN};
    (void)poll(&p, 1, ms);
    ck_assert_int_eq(coord_dispatch(c), 0);
}

static void until(struct coord *c, const _Atomic int *what)
{
    int64_t end = now_ms() + 10000;
    while (*what == 0 && now_ms() < end) {
        drive(c, 100);
    }
    ck_assert_int_ne(*what, 0);
}

/* Twenty waiters of one handle, asked for one after the other, are served in that order, each woken
 * by the release of the one in front. */
START_TEST(first_come_first_served)
{
    enum { COUNT = 20 };
    struct coord *c = open_plain(false);
    struct waiter w[COUNT];
    struct coord_lock *locks[COUNT];
    _Atomic int order = 0;
    memset(w, 0, sizeof(w));
    for (int i = 0; i < COUNT; i++) {
        w[i].order = &order;
        w[i].release_in_callback = i > 0;
        ck_assert_int_eq(coord_lock_acquire(c, "fifo", NULL, told, &w[i], &locks[i]), 0);
        ck_assert_int_eq(w[i].told, 0);
    }
    until(c, &w[0].told);
    ck_assert_uint_eq(in_line(c, "fifo"), COUNT);
    ck_assert_int_eq(order, 1);
    ck_assert_int_eq(coord_lock_release(locks[0], released, &w[0]), 0);
    until(c, &w[COUNT - 1].released);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(w[i].error, 0);
        ck_assert_int_eq(w[i].place, i);
        ck_assert_int_eq(w[i].told, 1);
        ck_assert_int_eq(w[i].released, 1);
        ck_assert_int_eq(w[i].release_error, 0);
        ck_assert_int_eq(w[i].lost, 0);
        ck_assert(i == 0 || w[i].token > w[i - 1].token);
    }
    coord_close(c);
}
END_TEST

static void count_watches(struct coord *c, const struct coord_reply *reply, void *arg)
{
    uint64_t *watches = arg;
    (void)c;
    ck_assert_int_eq(reply->error, 0);
    *watches = reply->status->watches;
}

/* No herd: n waiters hold n watches, each of another node. */
START_TEST(each_watches_only_the_one_in_front)
{
    enum { COUNT = 10 };
    struct coord *c = open_plain(false);
    struct waiter w[COUNT];
    struct coord_lock *locks[COUNT];
    uint64_t watches = 0;
    memset(w, 0, sizeof(w));
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(coord_lock_acquire(c, "herd", NULL, told, &w[i], &locks[i]), 0);
    }
    until(c, &w[0].told);
    int64_t end = now_ms() + 5000;
    while (watches != COUNT && now_ms() < end) { /* the owner watches its own node */
        ck_assert_int_eq(coord_status(c, NULL, count_watches, &watches), 0);
        drive(c, 100);
    }
    ck_assert_uint_eq(watches, COUNT);
    /* Those in the middle leave: nobody becomes owner, nobody is woken for nothing. */
    for (int i = 1; i < COUNT - 1; i++) {
        ck_assert_int_eq(coord_lock_release(locks[i], released, &w[i]), 0);
        until(c, &w[i].released);
        ck_assert_int_eq(w[i].error, COORD_ECANCELED);
    }
    ck_assert_int_eq(w[COUNT - 1].told, 0);
    ck_assert_int_eq(coord_lock_release(locks[0], released, &w[0]), 0);
    until(c, &w[COUNT - 1].told);
    ck_assert_int_eq(w[COUNT - 1].error, 0);
    ck_assert_int_eq(coord_lock_release(locks[COUNT - 1], NULL, NULL), 0);
    coord_close(c);
}
END_TEST

START_TEST(try_and_timed)
{
    struct coord *owner = open_plain(true);
    struct coord *c = open_plain(_i == 1);
    struct coord_lock *lock;
    struct coord_lock *other = NULL;
    uint64_t token;
    uint64_t none = 7;
    struct coord_lock_options o = wait_for(COORD_TRY);
    o.label = "holder";
    o.label_bytes = 6;
    ck_assert_int_eq(coord_lock_acquire_sync(owner, "t", &o, &lock, &token), 0);
    ck_assert_uint_gt(token, 0);
    ck_assert_int_eq(coord_lock_acquire_sync(c, "t", &o, &other, &none), COORD_EAGAIN);
    o = wait_for(150);
    int64_t begin = now_ms();
    ck_assert_int_eq(coord_lock_acquire_sync(c, "t", &o, &other, &none), COORD_ETIMEOUT);
    ck_assert_int_ge(now_ms() - begin, 149);
    ck_assert_ptr_null(other);
    ck_assert_uint_eq(none, 7);
    struct coord_queue *q;
    ck_assert_int_eq(coord_lock_list_sync(c, "t", NULL, &q),
                     0); /* behind the leaving, so it shows */
    ck_assert_uint_eq(q->count, 1);
    ck_assert_uint_eq(q->entries[0].token, token);
    ck_assert_uint_eq(q->entries[0].session, coord_session_id(owner));
    ck_assert_uint_eq(q->entries[0].label_bytes, 6);
    ck_assert_int_eq(memcmp(q->entries[0].label, "holder", 6), 0);
    coord_queue_free(q);
    ck_assert_int_eq(coord_lock_release_sync(lock), 0);
    ck_assert_int_eq(coord_lock_acquire_sync(c, "t", &o, &other, &none), 0);
    ck_assert_uint_gt(none, token);
    char path[COORD_PATH_MAX + 1];
    ck_assert_int_eq(coord_lock_path(other, path, sizeof(path)), 0);
    ck_assert_int_eq(strncmp(path, "/locks/t/", 9), 0);
    ck_assert_int_eq(coord_lock_path(other, path, 5), COORD_ETOOBIG);
    ck_assert_int_eq(coord_lock_release_sync(other), 0);
    ck_assert_uint_eq(in_line(c, "never-taken"), 0);
    coord_close(c);
    coord_close(owner);
}
END_TEST

START_TEST(bad_arguments)
{
    struct coord *c = open_plain(false);
    struct coord_lock *lock;
    uint64_t token;
    char name[1000];
    memset(name, 'x', sizeof(name));
    name[999] = 0;
    struct coord_lock_options o = wait_for(0);
    o.label_bytes = 5000;
    o.label = name;
    ck_assert_int_eq(coord_lock_acquire(c, "", NULL, told, NULL, &lock), COORD_EINVAL);
    ck_assert_int_eq(coord_lock_acquire(c, NULL, NULL, told, NULL, &lock), COORD_EINVAL);
    ck_assert_int_eq(coord_lock_acquire(c, name, NULL, told, NULL, &lock), COORD_EINVAL);
    ck_assert_int_eq(coord_lock_acquire(c, "a", &o, told, NULL, &lock), COORD_EINVAL);
    ck_assert_int_eq(coord_lock_acquire(c, "a//b", NULL, told, NULL, &lock), COORD_EBADPATH);
    ck_assert_int_eq(coord_lock_acquire(c, "/", NULL, told, NULL, &lock), COORD_EBADPATH);
    ck_assert_int_eq(coord_lock_acquire(NULL, "a", NULL, told, NULL, &lock), COORD_EINVAL);
    ck_assert_int_eq(coord_lock_acquire_sync(c, "a", NULL, &lock, NULL), COORD_EINVAL);
    ck_assert_int_eq(coord_lock_release(NULL, NULL, NULL), COORD_EINVAL);
    ck_assert(!coord_lock_held(NULL));
    /* A path of one's own, through a prefix of its own. */
    ck_assert_int_eq(coord_lock_acquire_sync(c, "/my/own", NULL, &lock, &token), 0);
    bool exists;
    ck_assert_int_eq(coord_exists_sync(c, "/my/own", NULL, &exists), 0);
    ck_assert(exists);
    ck_assert_int_eq(coord_lock_release_sync(lock), 0);
    coord_close(c);
}
END_TEST

static void lock_in_callback(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct waiter *w = arg;
    struct coord_lock *lock;
    struct coord_queue *q;
    uint64_t token;
    (void)reply;
    w->error = coord_lock_acquire_sync(c, "x", NULL, &lock, &token);
    w->lost_error = coord_lock_list_sync(c, "x", NULL, &q);
    w->told = 1;
}

START_TEST(blocking_in_a_callback_is_refused)
{
    struct coord *c = open_plain(false);
    struct waiter w = {0};
    ck_assert_int_eq(coord_sync(c, NULL, lock_in_callback, &w), 0);
    until(c, &w.told);
    ck_assert_int_eq(w.error, COORD_EDEADLK);
    ck_assert_int_eq(w.lost_error, COORD_EDEADLK);
    coord_close(c);
}
END_TEST

/* --- loss ------------------------------------------------------------------------------------- */

/* The owner is told before the server can give the lock away, although it hears nothing from it. */
START_TEST(an_owner_without_contact_is_told_in_time)
{
    struct coord *c = open_timeout(_i == 1, 600);
    struct coord *heir = open_timeout(true, 5000);
    struct waiter w = {0};
    struct waiter next = {0};
    struct coord_lock *lock;
    struct coord_lock *heirs;
    struct coord_lock_options o = wait_for(COORD_WAIT_FOREVER);
    o.lost = lost;
    o.lost_arg = &w;
    ck_assert_int_eq(coord_lock_acquire(c, "l", &o, told, &w, &lock), 0);
    int64_t end = now_ms() + 10000;
    while (w.told == 0 && now_ms() < end) {
        if (_i == 0) {
            drive(c, 100);
        } else {
            (void)poll(NULL, 0, 1);
        }
    }
    ck_assert_int_eq(w.error, 0);
    ck_assert(coord_lock_held(lock));
    ck_assert_int_eq(coord_lock_acquire(heir, "l", NULL, told, &next, &heirs), 0);
    while (in_line(heir, "l") != 2 && now_ms() < end) {
        if (_i == 0) {
            drive(c, 1);
        }
    }
    client_server_deafen(server, true); /* for all; the heir's session lasts longer */
    struct pollfd lease = {.fd = coord_lease_fd(c), .events = POLLIN};
    ck_assert_int_eq(poll(&lease, 1, 5000), 1);
    ck_assert_int_eq(next.told, 0);
    ck_assert_uint_le(coord_lock_remaining_ms(lock), 10);
    while (w.lost == 0 && now_ms() < end) {
        if (_i == 0) {
            drive(c, 1);
        } else {
            (void)poll(NULL, 0, 1);
        }
    }
    ck_assert_int_eq(w.lost, 1);
    ck_assert_int_eq(w.lost_error, COORD_EEXPIRED);
    ck_assert_int_eq(next.told, 0); /* not yet: the server is later */
    ck_assert(!coord_lock_held(lock));
    ck_assert_uint_eq(coord_lock_token(lock), w.token);
    while (client_server_sessions(server) > 1 && now_ms() < end) {
        (void)poll(NULL, 0, 1);
    }
    client_server_deafen(server, false);
    client_server_kick(server);
    while (next.told == 0 && now_ms() < end) {
        (void)poll(NULL, 0, 1);
    }
    ck_assert_int_eq(next.error, 0);
    ck_assert_uint_gt(next.token, w.token);
    ck_assert_int_eq(coord_lock_release(lock, released, &w), 0);
    while (w.released == 0 && now_ms() < end) {
        if (_i == 0) {
            drive(c, 10);
        } else {
            (void)poll(NULL, 0, 1);
        }
    }
    ck_assert_int_eq(w.release_error, 0);
    ck_assert_int_eq(w.lost, 1);
    ck_assert_int_eq(coord_lock_release_sync(heirs), 0);
    coord_close(heir);
    coord_close(c);
}
END_TEST

START_TEST(a_deleted_node_is_a_lost_lock)
{
    struct coord *c = open_plain(false);
    struct waiter w = {.release_in_callback = false};
    struct waiter second = {0};
    struct coord_lock *lock;
    struct coord_lock *other;
    char path[COORD_PATH_MAX + 1];
    struct coord_lock_options o = wait_for(COORD_WAIT_FOREVER);
    o.lost = lost;
    o.lost_arg = &w;
    ck_assert_int_eq(coord_lock_acquire(c, "d", &o, told, &w, &lock), 0);
    until(c, &w.told);
    ck_assert_int_eq(coord_lock_acquire(c, "d", NULL, told, &second, &other), 0);
    while (in_line(c, "d") != 2) {
        drive(c, 10);
    }
    ck_assert_int_eq(coord_lock_path(lock, path, sizeof(path)), 0);
    ck_assert_int_eq(coord_delete_sync(c, path, NULL, NULL), 0);
    until(c, &w.lost);
    ck_assert_int_eq(w.lost_error, COORD_ELOST);
    until(c, &second.told);
    ck_assert_int_eq(second.error, 0);
    ck_assert(!coord_lock_held(lock));
    ck_assert_int_eq(coord_lock_release_sync(lock), 0);
    ck_assert_int_eq(coord_lock_release_sync(other), 0);
    coord_close(c);
}
END_TEST

/* A waiter whose place somebody deleted learns it when its turn would come. */
START_TEST(a_deleted_place_is_lost)
{
    struct coord *c = open_plain(false);
    struct waiter w[2] = {{0}, {0}};
    struct coord_lock *locks[2];
    struct coord_queue *q;
    char path[COORD_PATH_MAX + 1];
    ck_assert_int_eq(coord_lock_acquire(c, "p", NULL, told, &w[0], &locks[0]), 0);
    ck_assert_int_eq(coord_lock_acquire(c, "p", NULL, told, &w[1], &locks[1]), 0);
    until(c, &w[0].told);
    ck_assert_int_eq(coord_lock_list_sync(c, "p", NULL, &q), 0);
    ck_assert_uint_eq(q->count, 2);
    (void)snprintf(path, sizeof(path), "/locks/p/%s", q->entries[1].name);
    coord_queue_free(q);
    ck_assert_int_eq(coord_delete_sync(c, path, NULL, NULL), 0);
    ck_assert_int_eq(coord_lock_release_sync(locks[0]), 0);
    until(c, &w[1].told);
    ck_assert_int_eq(w[1].error, COORD_ELOST);
    ck_assert_int_eq(coord_lock_release_sync(locks[1]), 0);
    coord_close(c);
}
END_TEST

START_TEST(close_ends_all_of_them)
{
    struct coord *c = open_plain(_i == 1);
    struct waiter w[3];
    struct coord_lock *locks[3];
    memset(w, 0, sizeof(w));
    struct coord_lock_options o = wait_for(COORD_WAIT_FOREVER);
    for (int i = 0; i < 3; i++) {
        w[i].release_in_callback = i == 2;
        o.lost = lost;
        o.lost_arg = &w[i];
        ck_assert_int_eq(coord_lock_acquire(c, "c", i == 0 ? &o : NULL, told, &w[i], &locks[i]), 0);
    }
    int64_t end = now_ms() + 10000;
    while (w[0].told == 0 && now_ms() < end) {
        ck_assert_int_eq(coord_sync_sync(c, NULL, NULL), 0);
    }
    w[2].release_in_callback = false;
    coord_close(c);
    ck_assert_int_eq(w[0].lost, 1);
    ck_assert_int_eq(w[0].lost_error, COORD_ECLOSED);
    ck_assert_int_eq(w[1].error, COORD_ECLOSED);
    ck_assert_int_eq(w[1].told, 1);
    ck_assert_int_eq(w[2].error, COORD_ECLOSED);
}
END_TEST

/* Connections break at every moment of the making of a place; whatever answer is lost, no node is
 * left behind and the lock is free afterwards. */
START_TEST(lost_answers_leave_no_node)
{
    struct coord *c = open_plain(true);
    struct coord *d = open_plain(true);
    uint64_t token;
    struct coord_lock *lock;
    for (int i = 0; i < 25; i++) {
        struct coord_lock_options o = wait_for(5000);
        client_server_kick(server);
        ck_assert_int_eq(coord_lock_acquire_sync(c, "n", &o, &lock, &token), 0);
        client_server_kick(server);
        ck_assert_int_eq(coord_lock_release_sync(lock), 0);
    }
    struct coord_lock_options try = wait_for(COORD_TRY);
    ck_assert_int_eq(coord_lock_acquire_sync(d, "n", &try, &lock, &token), 0);
    ck_assert_int_eq(coord_lock_release_sync(lock), 0);
    coord_close(c);
    coord_close(d);
}
END_TEST

/* The answer to the making never comes in the request's time: the acquire fails, and the node,
 * which was made all the same, is found and removed. */
START_TEST(an_unanswered_place_is_reaped)
{
    struct coord_options co;
    struct coord *c;
    struct coord *d = open_plain(true);
    char why[100];
    uint64_t token;
    struct coord_lock *lock;
    coord_options_init(&co);
    co.servers = client_server_address(server);
    co.request_timeout_ms = 100;
    ck_assert_int_eq(coord_open_threaded(&co, &c, why, sizeof(why)), 0);
    ck_assert_int_eq(coord_session_open_sync(c, NULL), 0);
    client_server_freeze(server, true);
    ck_assert_int_eq(coord_lock_acquire_sync(c, "u", NULL, &lock, &token), COORD_ETIMEOUT);
    client_server_freeze(server, false);
    int64_t end = now_ms() + 8000;
    size_t left = 1;
    struct coord_queue *q;
    bool seen = false;
    while ((left > 0 || !seen) && now_ms() < end) {
        int err = coord_lock_list_sync(d, "u", NULL, &q);
        ck_assert_int_eq(err, 0);
        left = q->count;
        coord_queue_free(q);
        bool made = false;
        ck_assert_int_eq(coord_exists_sync(d, "/locks/u", NULL, &made), 0);
        seen = seen || made; /* the create was applied: its directory exists */
    }
    ck_assert(seen);
    ck_assert_uint_eq(left, 0);
    coord_close(c);
    coord_close(d);
}
END_TEST

/* --- elections -------------------------------------------------------------------------------- */

struct observed {
    _Atomic int count;
    _Atomic int ended;
    int error;
    uint64_t token;
    char value[32];
};

static void observe(struct coord *c, int error, const struct coord_queue_entry *leader, void *arg)
{
    struct observed *o = arg;
    (void)c;
    if (error != 0) {
        o->error = error;
        o->ended++;
        return;
    }
    o->token = leader != NULL ? leader->token : 0;
    (void)snprintf(o->value, sizeof(o->value), "%.*s",
                   leader != NULL ? (int)leader->label_bytes : 0,
                   leader != NULL && leader->label != NULL ? (const char *)leader->label : "");
    o->count++;
}

static void until_value(struct observed *o, struct coord *c, const char *value)
{
    int64_t end = now_ms() + 10000;
    while ((o->count == 0 || strcmp(o->value, value) != 0) && now_ms() < end) {
        drive(c, 20);
    }
    ck_assert_str_eq(o->value, value);
}

START_TEST(elections)
{
    struct coord *watcher = open_plain(false);
    struct coord *a = open_plain(true);
    struct coord *b = open_plain(true);
    struct observed seen = {0};
    struct coord_observer *observer;
    struct coord_election *ea;
    struct coord_election *eb;
    uint64_t ta;
    uint64_t tb;
    ck_assert_int_eq(coord_election_observe(watcher, "svc", observe, &seen, &observer), 0);
    until_value(&seen, watcher, "");
    ck_assert_uint_eq(seen.token, 0);
    struct coord_election_options o;
    coord_election_options_init(&o);
    o.value = "a:1";
    o.value_bytes = 3;
    ck_assert_int_eq(coord_election_campaign_sync(a, "svc", &o, &ea, &ta), 0);
    ck_assert(coord_election_leads(ea));
    until_value(&seen, watcher, "a:1");
    ck_assert_uint_eq(seen.token, ta);
    o.value = "b:1";
    o.wait_ms = COORD_TRY;
    ck_assert_int_eq(coord_election_campaign_sync(b, "svc", &o, &eb, &tb), COORD_EAGAIN);
    ck_assert_int_eq(coord_election_proclaim_sync(ea, "a:2", 3), 0);
    until_value(&seen, watcher, "a:2");
    struct coord_queue *q;
    ck_assert_int_eq(coord_election_list_sync(b, "svc", NULL, &q), 0);
    ck_assert_uint_eq(q->count, 1);
    coord_queue_free(q);
    ck_assert_int_eq(coord_election_resign_sync(ea), 0);
    ck_assert_int_eq(coord_election_campaign_sync(b, "svc", &o, &eb, &tb), 0);
    ck_assert_uint_gt(tb, ta);
    ck_assert_uint_eq(coord_election_token(eb), tb);
    until_value(&seen, watcher, "b:1");
    client_server_kick(server);
    ck_assert_int_eq(coord_election_proclaim_sync(eb, "b:2", 3), 0);
    until_value(&seen, watcher, "b:2");
    coord_close(b); /* the leader's handle ends, and its session */
    until_value(&seen, watcher, "");
    coord_observer_stop(observer);
    ck_assert_int_eq(coord_sync_sync(watcher, NULL, NULL), 0);
    ck_assert_int_eq(seen.ended, 0);
    coord_close(a);
    coord_close(watcher);
}
END_TEST

static void stopped(struct coord_election *e, int error, void *arg)
{
    struct waiter *w = arg;
    (void)e;
    w->lost_error = error;
    w->lost++;
}

START_TEST(a_leader_is_stopped)
{
    struct coord *c = open_timeout(true, 400);
    struct waiter w = {0};
    struct coord_election *e;
    uint64_t token;
    struct coord_election_options o;
    coord_election_options_init(&o);
    o.stop = stopped;
    o.stop_arg = &w;
    ck_assert_int_eq(coord_election_campaign_sync(c, "s", &o, &e, &token), 0);
    client_server_hide(server, true);
    int64_t end = now_ms() + 5000;
    while (w.lost == 0 && now_ms() < end) {
        (void)poll(NULL, 0, 1);
    }
    ck_assert_int_eq(w.lost, 1);
    ck_assert_int_eq(w.lost_error, COORD_EEXPIRED);
    ck_assert_int_eq(coord_election_proclaim_sync(e, "x", 1), COORD_ELOST);
    client_server_hide(server, false);
    ck_assert_int_eq(coord_election_resign_sync(e), 0);
    coord_close(c);
}
END_TEST

START_TEST(observers_end_with_the_handle)
{
    struct coord *c = open_plain(_i == 1);
    struct observed seen = {0};
    struct coord_observer *observer;
    ck_assert_int_eq(coord_election_observe(c, "svc", observe, &seen, &observer), 0);
    ck_assert_int_eq(coord_sync_sync(c, NULL, NULL), 0);
    coord_close(c);
    ck_assert_int_eq(seen.ended, 1);
    ck_assert_int_eq(seen.error, COORD_ECLOSED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("recipes");
    TCase *t = tcase_create("locks");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_loop_test(t, one_owner_at_a_time, 0, 2);
    tcase_add_test(t, first_come_first_served);
    tcase_add_test(t, each_watches_only_the_one_in_front);
    tcase_add_loop_test(t, try_and_timed, 0, 2);
    tcase_add_test(t, bad_arguments);
    tcase_add_test(t, blocking_in_a_callback_is_refused);
    suite_add_tcase(s, t);
    t = tcase_create("loss");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_loop_test(t, an_owner_without_contact_is_told_in_time, 0, 2);
    tcase_add_test(t, a_deleted_node_is_a_lost_lock);
    tcase_add_test(t, a_deleted_place_is_lost);
    tcase_add_loop_test(t, close_ends_all_of_them, 0, 2);
    tcase_add_test(t, lost_answers_leave_no_node);
    tcase_add_test(t, an_unanswered_place_is_reaped);
    suite_add_tcase(s, t);
    t = tcase_create("elections");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_test(t, elections);
    tcase_add_test(t, a_leader_is_stopped);
    tcase_add_loop_test(t, observers_end_with_the_handle, 0, 2);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
