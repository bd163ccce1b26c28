/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a handle keeps what coord.h promises with real sockets: both forms of it, blocking calls
 * from several threads, closing and forking at any moment, servers that vanish, names and
 * addresses.
 * Method: a real node in this process, on a loopback port (tests/lib/client_server.h). Waiting is
 * for conditions, with a deadline far beyond what is needed.
 */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>
#include <coord/coord.h>
#include "tests/lib/client_server.h"

/* Of libevent, whose headers only shells include: what a program's own loop needs. */
struct event_base *event_base_new(void);
void event_base_free(struct event_base *base);
int event_base_dispatch(struct event_base *base);
int event_base_loopbreak(struct event_base *base);
int event_base_got_break(struct event_base *base);
int event_base_loopexit(struct event_base *base, const struct timeval *after);

static struct client_server *server;

static void setup(void)
{
    server = client_server_start(NULL);
}

static void teardown(void)
{
    client_server_stop(server);
}

static struct coord_options options(void)
{
    struct coord_options o;
    coord_options_init(&o);
    o.servers = client_server_address(server);
    o.session_timeout_ms = 2000;
    return o;
}

static struct coord *open_with(const struct coord_options *o, bool threaded)
{
    char why[256];
    struct coord *c = NULL;
    int err = threaded ? coord_open_threaded(o, &c, why, sizeof(why))
                       : coord_open(o, &c, why, sizeof(why));
    ck_assert_msg(err == 0, "open: %s", why);
    return c;
}

static struct coord *open_plain(bool threaded)
{
    struct coord_options o = options();
    return open_with(&o, threaded);
}

/* Drive a handle until *done. */
static void run_until(struct coord *c, const _Atomic bool *done)
{
    for (int i = 0; i < 10000 && !*done; i++) {
        struct pollfd p = {.fd = coord_fd(c), .events = coord_events(c)};
        (void)poll(&p, 1, 1000);
        ck_assert_int_eq(coord_dispatch(c), 0);
    }
    ck_assert_msg(*done, "it does not happen");
}

/* What a callback was told. */
struct seen {
    _Atomic bool done;
    int count;
    int error;
    enum coord_outcome outcome;
    char text[200];
    char data[64];
    int dispatch; /* what coord_dispatch said inside it */
    int sync;     /* what a blocking call said inside it */
    bool close;   /* close the handle in it */
};

static void note(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct seen *s = arg;
    s->count++;
    s->error = reply->error;
    s->outcome = reply->outcome;
    (void)snprintf(s->text, sizeof(s->text), "%s", reply->text);
    (void)snprintf(s->data, sizeof(s->data), "%s",
                   reply->data != NULL ? (const char *)reply->data : "");
    s->dispatch = coord_dispatch(c);
    s->sync = coord_sync_sync(c, NULL, NULL);
    if (s->close) {
        coord_close(c);
    }
    s->done = true;
}

/* --- both forms ------------------------------------------------------------------------------- */

START_TEST(every_operation_blocking)
{
    struct coord *c = open_plain(_i == 1);
    struct coord_reply *r;
    struct coord_call call = {.flags = COORD_PARENTS};
    ck_assert_int_eq(coord_create_sync(c, "/a/b", "one", 3, &call, &r), 0);
    ck_assert_str_eq(r->path, "/a/b");
    uint64_t created = r->revision;
    ck_assert_uint_eq(r->stat.create_revision, created);
    ck_assert_uint_eq(r->receipt.member, 1);
    ck_assert_uint_eq(r->receipt.role, COORD_ROLE_LEADER);
    coord_reply_free(r);
    ck_assert_int_eq(coord_get_sync(c, "/a/b", NULL, &r), 0);
    ck_assert_uint_eq(r->data_bytes, 3);
    ck_assert_str_eq(r->data, "one");
    ck_assert_int_eq(r->receipt.level, COORD_LINEARIZABLE);
    coord_reply_free(r);
    call = (struct coord_call){.conditions = COORD_IF_VERSION, .version = 0};
    ck_assert_int_eq(coord_set_sync(c, "/a/b", NULL, 0, &call, &r), 0);
    ck_assert_uint_eq(r->stat.version, 1);
    coord_reply_free(r);
    ck_assert_int_eq(coord_set_sync(c, "/a/b", "x", 1, &call, &r), COORD_ECONDITION);
    ck_assert_int_eq(r->outcome, COORD_OUTCOME_FAILED);
    ck_assert_int_gt((int)strlen(r->text), 0);
    coord_reply_free(r);
    call = (struct coord_call){.consistency = COORD_LOCAL};
    ck_assert_int_eq(coord_get_sync(c, "/a/b", &call, &r), 0);
    ck_assert_ptr_null(r->data); /* absent, as stored */
    ck_assert_int_eq(r->receipt.level, COORD_LOCAL);
    coord_reply_free(r);
    ck_assert_int_eq(coord_stat_sync(c, "/a", NULL, &r), 0);
    ck_assert_uint_eq(r->stat.children, 1);
    coord_reply_free(r);
    bool exists = true;
    ck_assert_int_eq(coord_exists_sync(c, "/none", NULL, &exists), 0);
    ck_assert(!exists);
    call = (struct coord_call){.flags = COORD_WITH_DATA | COORD_WITH_STATS, .limit = 1};
    ck_assert_int_eq(coord_create_sync(c, "/a/c", "three", 5, NULL, NULL), 0);
    ck_assert_int_eq(coord_list_sync(c, "/a", &call, &r), 0);
    ck_assert_uint_eq(r->entries_count, 1);
    ck_assert_str_eq(r->entries[0].name, "b");
    ck_assert(r->entries[0].has_stat && r->entries[0].has_data && r->more);
    coord_reply_free(r);
    call.after = "b";
    ck_assert_int_eq(coord_list_sync(c, "/a", &call, &r), 0);
    ck_assert_str_eq(r->entries[0].data, "three");
    ck_assert(!r->more);
    coord_reply_free(r);
    ck_assert_int_eq(coord_delete_sync(c, "/a", NULL, NULL), COORD_ENOTEMPTY);
    call = (struct coord_call){.conditions = COORD_IF_CREATED, .created = created};
    ck_assert_int_eq(coord_delete_sync(c, "/a/b", &call, &r), 0);
    ck_assert_uint_gt(r->revision, created);
    coord_reply_free(r);
    ck_assert_int_eq(coord_sync_sync(c, NULL, &r), 0);
    ck_assert_uint_gt(r->revision, created);
    coord_reply_free(r);
    ck_assert_int_eq(coord_status_sync(c, NULL, &r), 0);
    ck_assert_uint_eq(r->status->leader, 1);
    ck_assert_str_eq(r->status->cluster, "test");
    ck_assert_uint_eq(r->status->members_count, 1);
    coord_reply_free(r);
    ck_assert_int_eq(coord_partition_sync(c, NULL, 0, NULL, NULL), COORD_EDENIED);
    coord_close(c);
}
END_TEST

START_TEST(bad_arguments_are_refused_at_once)
{
    struct coord *c = open_plain(false);
    struct coord_call call = {.flags = 32};
    ck_assert_int_eq(coord_get(c, "a", NULL, note, NULL), COORD_EBADPATH);
    ck_assert_int_eq(coord_get(c, "/a/", NULL, note, NULL), COORD_EBADPATH);
    ck_assert_int_eq(coord_get(c, NULL, NULL, note, NULL), COORD_EINVAL);
    ck_assert_int_eq(coord_get(NULL, "/a", NULL, note, NULL), COORD_EINVAL);
    ck_assert_int_eq(coord_create(c, "/a", NULL, 4, NULL, note, NULL), COORD_EINVAL);
    ck_assert_int_eq(coord_create(c, "/a", "", 0, &call, note, NULL), COORD_EINVAL);
    ck_assert_int_eq(coord_list(c, "/a", &call, note, NULL), COORD_EINVAL);
    call = (struct coord_call){.conditions = 8};
    ck_assert_int_eq(coord_delete(c, "/a", &call, note, NULL), COORD_EINVAL);
    call = (struct coord_call){.conditions = COORD_IF_MODIFIED};
    ck_assert_int_eq(coord_delete(c, "/a", &call, note, NULL), COORD_EINVAL);
    call = (struct coord_call){.consistency = (enum coord_consistency)9};
    ck_assert_int_eq(coord_get(c, "/a", &call, note, NULL), COORD_EINVAL);
    call = (struct coord_call){.timeout_ms = UINT32_MAX};
    ck_assert_int_eq(coord_get(c, "/a", &call, note, NULL), COORD_EINVAL);
    char path[COORD_PATH_MAX + 2];
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = 0;
    ck_assert_int_eq(coord_get(c, path, NULL, note, NULL), COORD_EBADPATH);
    struct coord_watch_options w = {.kinds = 64};
    ck_assert_int_eq(coord_watch(c, "/a", &w, NULL, NULL, NULL), COORD_EINVAL);
    ck_assert_int_eq(coord_unwatch(c, 17), COORD_ENONODE);
    coord_close(c);
}
END_TEST

START_TEST(options_are_checked)
{
    static const char *const bad[] = {"",        "a:0",  "a:65536", "a:7410x",     "[::1",
                                      "[x]:741", "a,,b", ":7410",   "[::1]7410",   "::1:7410",
                                      "a:",      "a:-1", "a:+1",    "[::1]:7410,", "a:0x10"};
    char why[256];
    struct coord *c;
    struct coord_options o = options();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        o.servers = bad[i];
        ck_assert_msg(coord_open(&o, &c, why, sizeof(why)) == COORD_EINVAL, "'%s'", bad[i]);
        ck_assert_ptr_nonnull(strstr(why, "servers"));
    }
    o = options();
    o.prefix = "no/slash";
    ck_assert_int_eq(coord_open(&o, &c, why, sizeof(why)), COORD_EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "prefix"));
    o = options();
    o.request_timeout_ms = 0;
    ck_assert_int_eq(coord_open(&o, &c, NULL, 0), COORD_EINVAL);
    o = options();
    o.backoff_min_ms = o.backoff_max_ms + 1;
    ck_assert_int_eq(coord_open(&o, &c, why, sizeof(why)), COORD_EINVAL);
    o = options();
    o.servers = " a:1 , [::1]:2, b";
    ck_assert_int_eq(coord_open(&o, &c, why, sizeof(why)), 0);
    coord_close(c);
}
END_TEST

START_TEST(a_prefix_is_put_on_and_taken_off)
{
    struct coord *plain = open_plain(false);
    struct coord_call parents = {.flags = COORD_PARENTS};
    ck_assert_int_eq(coord_create_sync(plain, "/apps/one", NULL, 0, &parents, NULL), 0);
    struct coord_options o = options();
    o.prefix = "/apps/one";
    struct coord *c = open_with(&o, false);
    struct coord_reply *r;
    struct coord_call call = {.flags = COORD_SEQUENTIAL};
    ck_assert_int_eq(coord_create_sync(c, "/n-", "x", 1, &call, &r), 0);
    ck_assert_str_eq(r->path, "/n-0000000000");
    coord_reply_free(r);
    ck_assert_int_eq(coord_list_sync(c, "/", NULL, &r), 0);
    ck_assert_str_eq(r->path, "/");
    ck_assert_str_eq(r->entries[0].name, "n-0000000000");
    coord_reply_free(r);
    ck_assert_int_eq(coord_get_sync(plain, "/apps/one/n-0000000000", NULL, &r), 0);
    ck_assert_str_eq(r->data, "x");
    coord_reply_free(r);
    coord_close(c);
    coord_close(plain);
}
END_TEST

START_TEST(loop_driven_by_poll)
{
    struct coord *c = open_plain(false);
    struct seen s = {0};
    uint64_t id = 0;
    struct coord_call call = {.ret_request = &id};
    ck_assert_int_eq(coord_create(c, "/a", "x", 1, &call, note, &s), 0);
    ck_assert_int_eq(s.count, 0); /* not from inside the call */
    ck_assert_int_eq(coord_outcome(c, id), COORD_OUTCOME_PENDING);
    run_until(c, &s.done);
    ck_assert_int_eq(s.error, 0);
    ck_assert_int_eq(s.dispatch, COORD_EDEADLK);
    ck_assert_int_eq(s.sync, COORD_EDEADLK);
    ck_assert_int_eq(coord_outcome(c, id), COORD_OUTCOME_DONE);
    ck_assert_int_eq(s.count, 1);
    coord_close(c);
}
END_TEST

static void break_loop(struct coord *c, const struct coord_reply *reply, void *arg)
{
    (void)c;
    ck_assert_int_eq(reply->error, 0);
    (void)event_base_loopbreak(arg);
}

static void close_in_loop(struct coord *c, const struct coord_reply *reply, void *arg)
{
    ck_assert_int_eq(reply->error, 0);
    coord_close(c);
    (void)event_base_loopbreak(arg);
}

START_TEST(driven_by_libevent)
{
    struct event_base *base = event_base_new();
    struct timeval limit = {10, 0};
    struct coord *c = open_plain(false);
    ck_assert_int_eq(coord_attach_event_base(c, base), 0);
    (void)event_base_loopexit(base, &limit);
    ck_assert_int_eq(coord_create(c, "/a", "x", 1, NULL, break_loop, base), 0);
    ck_assert_int_eq(event_base_dispatch(base), 0);
    ck_assert(event_base_got_break(base));
    ck_assert_int_eq(coord_get(c, "/a", NULL, close_in_loop, base), 0);
    ck_assert_int_eq(event_base_dispatch(base), 0);
    ck_assert(event_base_got_break(base)); /* and the handle is gone, its event with it */
    event_base_free(base);
}
END_TEST

/* --- threads ---------------------------------------------------------------------------------- */

struct worker {
    struct coord *c;
    int number;
    int failed;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    char path[32];
    (void)snprintf(path, sizeof(path), "/w%d", w->number);
    w->failed += coord_create_sync(w->c, path, "0", 1, NULL, NULL) != 0;
    for (int i = 0; i < 50; i++) {
        char value[16];
        struct coord_reply *r;
        int len = snprintf(value, sizeof(value), "%d", i);
        w->failed += coord_set_sync(w->c, path, value, (size_t)len, NULL, NULL) != 0;
        w->failed += coord_get_sync(w->c, path, NULL, &r) != 0;
        w->failed += r == NULL || strcmp(r->data, value) != 0;
        coord_reply_free(r);
    }
    return NULL;
}

START_TEST(blocking_calls_from_several_threads)
{
    struct coord *c = open_plain(true);
    pthread_t threads[4];
    struct worker workers[4];
    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){c, i, 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(workers[i].failed, 0);
    }
    ck_assert_uint_eq(client_server_sessions(server), 1);
    ck_assert_int_eq(coord_fd(c), COORD_EINVAL);
    ck_assert_int_eq(coord_dispatch(c), COORD_EINVAL);
    coord_close(c);
}
END_TEST

static void note_threaded(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct seen *s = arg;
    s->error = reply->error;
    s->sync = coord_sync_sync(c, NULL, NULL);
    if (s->close) {
        coord_close(c);
    }
    s->done = true;
}

static void wait_done(const _Atomic bool *done)
{
    for (int i = 0; i < 10000 && !*done; i++) {
        (void)poll(NULL, 0, 1);
    }
    ck_assert(*done);
}

START_TEST(callbacks_come_on_the_handles_thread)
{
    struct coord *c = open_plain(true);
    struct seen s = {0};
    ck_assert_int_eq(coord_status(c, NULL, note_threaded, &s), 0);
    wait_done(&s.done);
    ck_assert_int_eq(s.error, 0);
    ck_assert_int_eq(s.sync, COORD_EDEADLK);
    coord_close(c);
}
END_TEST

/* --- closing
 *   -------------------------------------------------------------------------------------- */

struct closing {
    _Atomic int replies;
    _Atomic int states;
    _Atomic int ended;
    enum coord_state last;
};

static void closed_reply(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct closing *k = arg;
    if (reply->error == COORD_ECLOSED) {
        k->replies++;
        ck_assert_int_eq(coord_status(c, NULL, closed_reply, arg), COORD_ECLOSED);
        coord_close(c); /* twice, and inside: of no effect */
    }
}

static void closed_state(struct coord *c, enum coord_state state, void *arg)
{
    struct closing *k = arg;
    (void)c;
    k->last = state;
    k->states += state == COORD_CLOSED;
}

static void closed_watch(struct coord *c, const struct coord_watch_event *event, void *arg)
{
    struct closing *k = arg;
    (void)c;
    k->ended += event->state == COORD_WATCH_ENDED;
}

START_TEST(close_with_requests_under_way)
{
    bool threaded = _i % 2 == 1;
    struct closing k = {0};
    coord_listener_id listener;
    struct coord_options o = options();
    o.state = closed_state;
    o.state_arg = &k;
    struct coord *c = open_with(&o, threaded);
    ck_assert_int_eq(coord_create_sync(c, "/a", NULL, 0, NULL, NULL), 0);
    client_server_freeze(server, true);
    ck_assert_int_eq(coord_listen(c, closed_state, &k, &listener), 0);
    ck_assert_int_eq(coord_watch(c, "/a", NULL, closed_watch, &k, NULL), 0);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(coord_set(c, "/a", "x", 1, NULL, closed_reply, &k), 0);
    }
    coord_close(c);
    ck_assert_int_eq(k.replies, 100);
    ck_assert_int_eq(k.states, 2);
    ck_assert_int_eq(k.ended, 1);
    ck_assert_int_eq(k.last, COORD_CLOSED);
    client_server_freeze(server, false);
}
END_TEST

START_TEST(close_in_a_callback)
{
    struct coord *c = open_plain(false);
    struct seen s = {.close = true};
    struct closing k = {0};
    ck_assert_int_eq(coord_status(c, NULL, note, &s), 0);
    ck_assert_int_eq(coord_watch(c, "/a", NULL, closed_watch, &k, NULL), 0);
    int r = 0;
    for (int i = 0; i < 10000 && r == 0; i++) {
        struct pollfd p = {.fd = coord_fd(c), .events = POLLIN};
        (void)poll(&p, 1, 1000);
        r = coord_dispatch(c);
    }
    ck_assert_int_eq(r, 1);
    ck_assert_int_eq(k.ended, 1);
}
END_TEST

START_TEST(close_in_a_callback_of_a_threaded_handle)
{
    struct coord *c = open_plain(true);
    struct seen s = {.close = true};
    struct closing k = {0};
    ck_assert_int_eq(coord_watch(c, "/a", NULL, closed_watch, &k, NULL), 0);
    ck_assert_int_eq(coord_status(c, NULL, note_threaded, &s), 0);
    for (int i = 0; i < 10000 && k.ended == 0; i++) {
        (void)poll(NULL, 0, 1);
    }
    ck_assert_int_eq(k.ended, 1);
}
END_TEST

static void close_it(struct coord *c, const struct coord_watch_event *event, void *arg)
{
    (void)arg;
    if (event->state == COORD_WATCH_CHANGES) {
        coord_close(c);
    }
}

/* A watch's callback closes the handle while a blocking call runs the loop. */
START_TEST(close_inside_a_blocking_call)
{
    struct coord *c = open_plain(false);
    coord_watch_id id;
    ck_assert_int_eq(coord_watch_sync(c, "/a", NULL, close_it, NULL, &id), 0);
    int err = coord_create_sync(c, "/a", NULL, 0, NULL, NULL);
    ck_assert(err == 0 || err == COORD_ECLOSED);
}
END_TEST

static void *block(void *arg)
{
    struct worker *w = arg;
    w->failed = coord_set_sync(w->c, "/a", "x", 1, NULL, NULL);
    return NULL;
}

START_TEST(close_while_others_block)
{
    struct coord *c = open_plain(true);
    pthread_t threads[3];
    struct worker workers[3];
    ck_assert_int_eq(coord_create_sync(c, "/a", NULL, 0, NULL, NULL), 0);
    client_server_freeze(server, true);
    for (int i = 0; i < 3; i++) {
        workers[i] = (struct worker){c, i, 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, block, &workers[i]), 0);
    }
    (void)poll(NULL, 0, 100); /* most likely they wait; if not yet, they must not be hurt either */
    struct seen s = {0};
    ck_assert_int_eq(coord_status(c, NULL, note_threaded, &s), 0);
    coord_close(c);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(workers[i].failed, COORD_ECLOSED);
    }
    ck_assert_int_eq(s.error, COORD_ECLOSED);
    client_server_freeze(server, false);
}
END_TEST

START_TEST(closing_ends_the_session)
{
    struct coord *c = open_plain(false);
    struct coord_call call = {.flags = COORD_EPHEMERAL};
    ck_assert_int_eq(coord_create_sync(c, "/e", NULL, 0, &call, NULL), 0);
    ck_assert_uint_ne(coord_session_id(c), 0);
    ck_assert_uint_eq(coord_session_timeout_ms(c), 2000);
    ck_assert_int_eq(coord_session_close_sync(c, NULL), 0);
    ck_assert_uint_eq(coord_session_id(c), 0);
    bool exists = true;
    ck_assert_int_eq(coord_exists_sync(c, "/e", NULL, &exists), 0);
    ck_assert(!exists);
    ck_assert_int_eq(coord_create_sync(c, "/e", NULL, 0, &call, NULL), 0); /* in a new one */
    coord_close(c);
    for (int i = 0; i < 5000 && client_server_sessions(server) > 0; i++) {
        (void)poll(NULL, 0, 1);
    }
    ck_assert_uint_eq(client_server_sessions(server), 0);
}
END_TEST

/* --- fork ------------------------------------------------------------------------------------- */

START_TEST(fork_is_noticed)
{
    struct coord *c = open_plain(_i == 1);
    ck_assert_int_eq(coord_create_sync(c, "/a", "x", 1, NULL, NULL), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct coord_call call = {.timeout_ms = 10};
        int good = coord_get_sync(c, "/a", &call, NULL) == COORD_EFORKED &&
                   coord_set(c, "/a", "y", 1, NULL, NULL, NULL) == COORD_EFORKED &&
                   coord_lease_fd(c) == COORD_EFORKED && coord_lease_remaining_ms(c) == 0 &&
                   coord_state(c) == COORD_CLOSED;
        coord_close(c); /* of no effect */
        coord_after_fork_child(c);
        _exit(good ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    struct coord_reply *r; /* the parent is not disturbed */
    ck_assert_int_eq(coord_get_sync(c, "/a", NULL, &r), 0);
    ck_assert_str_eq(r->data, "x");
    coord_reply_free(r);
    coord_close(c);
}
END_TEST

/* --- servers that vanish
 *   --------------------------------------------------------------------------- */

START_TEST(a_broken_connection_is_not_noticed_by_calls)
{
    struct coord *c = open_plain(_i == 1);
    ck_assert_int_eq(coord_create_sync(c, "/a", "0", 1, NULL, NULL), 0);
    uint64_t session = coord_session_id(c);
    for (int i = 0; i < 20; i++) {
        struct coord_reply *r;
        client_server_kick(server);
        ck_assert_int_eq(coord_set_sync(c, "/a", "x", 1, NULL, &r), 0);
        ck_assert_uint_eq(r->stat.version, (uint64_t)i + 1); /* once each */
        coord_reply_free(r);
    }
    ck_assert_uint_eq(coord_session_id(c), session);
    ck_assert_uint_gt(client_server_accepted(server), 10);
    coord_close(c);
}
END_TEST

START_TEST(nobody_listens)
{
    struct coord_options o = options();
    char text[300];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, len), 0); /* taken, and not listened on */
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", (unsigned)ntohs(a.sin_port));
    o.servers = address;
    struct coord *c = open_with(&o, _i == 1);
    struct coord_reply *r;
    struct coord_call call = {.fail_fast = true};
    ck_assert_int_eq(coord_status_sync(c, &call, &r), COORD_ECONNECT);
    ck_assert_ptr_nonnull(strstr(r->text, address));
    ck_assert_ptr_nonnull(strstr(r->text, "refused"));
    ck_assert_int_eq(r->outcome, COORD_OUTCOME_NOT_APPLIED);
    coord_reply_free(r);
    coord_describe(c, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "not connected"));
    call = (struct coord_call){.timeout_ms = 150};
    ck_assert_int_eq(coord_create_sync(c, "/a", NULL, 0, &call, &r), COORD_ECONNECT);
    coord_reply_free(r);
    ck_assert_int_eq(coord_state(c), COORD_CONNECTING);
    coord_close(c);
    (void)close(fd);
}
END_TEST

START_TEST(the_second_server_is_found)
{
    char servers[128];
    struct coord_options o = options();
    (void)snprintf(servers, sizeof(servers), "127.0.0.1:1,%s", client_server_address(server));
    o.servers = servers;
    o.in_order = true;
    struct coord *c = open_with(&o, false);
    char text[200];
    ck_assert_int_eq(coord_sync_sync(c, NULL, NULL), 0);
    coord_describe(c, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, client_server_address(server)));
    coord_close(c);
}
END_TEST

START_TEST(names_are_resolved)
{
    char servers[64];
    struct coord_options o = options();
    (void)snprintf(servers, sizeof(servers), "localhost:%u", (unsigned)client_server_port(server));
    o.servers = servers;
    struct coord *c = open_with(&o, _i == 1);
    ck_assert_int_eq(coord_sync_sync(c, NULL, NULL), 0);
    coord_close(c);
    o.servers = "no-such-host.invalid:7410";
    c = open_with(&o, _i == 1);
    struct coord_call call = {.timeout_ms = 50};
    struct coord_reply *r;
    int err = coord_status_sync(c, &call, &r); /* whether there are name servers here or not */
    ck_assert(err == COORD_ETIMEOUT || err == COORD_ECONNECT);
    coord_reply_free(r);
    coord_close(c); /* a name being resolved or not */
}
END_TEST

START_TEST(six)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    bool have = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (!have) {
        return; /* no IPv6 on this machine */
    }
    struct client_server_options so = {.v6 = true};
    struct client_server *v6 = client_server_start(&so);
    struct coord_options o = options();
    o.servers = client_server_address(v6);
    struct coord *c = open_with(&o, false);
    ck_assert_int_eq(coord_sync_sync(c, NULL, NULL), 0);
    coord_close(c);
    client_server_stop(v6);
}
END_TEST

START_TEST(a_minority_refuses_and_serves)
{
    struct client_server_options so = {.no_quorum = true};
    struct client_server *alone = client_server_start(&so);
    struct coord_options o = options();
    o.servers = client_server_address(alone);
    struct coord *c = open_with(&o, false);
    struct coord_reply *r;
    ck_assert_int_eq(coord_create_sync(c, "/a", NULL, 0, NULL, &r), COORD_ENOQUORUM);
    ck_assert_ptr_nonnull(r->no_quorum);
    ck_assert_uint_eq(r->no_quorum->needed, 2);
    ck_assert_uint_eq(r->no_quorum->reachable_count, 1);
    ck_assert((r->no_quorum->levels & 1u << COORD_LOCAL) != 0);
    ck_assert((r->no_quorum->levels & 1u << COORD_LINEARIZABLE) == 0);
    ck_assert_int_eq(r->outcome, COORD_OUTCOME_NOT_APPLIED);
    coord_reply_free(r);
    ck_assert_int_eq(coord_get_sync(c, "/", NULL, NULL), COORD_ENOQUORUM);
    struct coord_call local = {.consistency = COORD_LOCAL};
    ck_assert_int_eq(coord_get_sync(c, "/", &local, &r), 0);
    ck_assert_uint_ne(r->receipt.role, COORD_ROLE_LEADER);
    coord_reply_free(r);
    ck_assert_int_eq(coord_status_sync(c, NULL, &r), 0);
    ck_assert_uint_eq(r->status->leader, 0);
    coord_reply_free(r);
    coord_close(c);
    client_server_stop(alone);
}
END_TEST

/* --- the lease
 *   ------------------------------------------------------------------------------------- */

static void record_state(struct coord *c, enum coord_state state, void *arg)
{
    struct closing *k = arg;
    (void)c;
    k->last = state;
    k->states |= 1 << state;
}

START_TEST(the_lease_is_kept_and_runs_out)
{
    struct closing k = {0};
    struct coord_options o = options();
    o.session_timeout_ms = 600;
    o.state = record_state;
    o.state_arg = &k;
    struct coord *c = open_with(&o, _i == 1);
    struct pollfd lease = {.fd = coord_lease_fd(c), .events = POLLIN};
    ck_assert_int_eq(poll(&lease, 1, 0), 0);
    ck_assert_uint_eq(coord_lease_remaining_ms(c), 0);
    ck_assert_int_eq(coord_session_open_sync(c, NULL), 0);
    uint64_t session = coord_session_id(c);
    /* Kept alive for several timeouts. */
    for (int i = 0; i < 15; i++) {
        struct pollfd both[2] = {{.fd = _i == 1 ? -1 : coord_fd(c), .events = POLLIN}, lease};
        (void)poll(both, 2, 100);
        ck_assert_int_eq(both[1].revents, 0);
        if (_i == 0) {
            ck_assert_int_eq(coord_dispatch(c), 0);
        }
        ck_assert_uint_gt(coord_lease_remaining_ms(c), 0);
        ck_assert_uint_le(coord_lease_remaining_ms(c), 600 - 6 - 50);
    }
    client_server_deafen(server, true);
    ck_assert_int_eq(poll(&lease, 1, 5000), 1); /* without any dispatch */
    ck_assert_uint_le(coord_lease_remaining_ms(c), 10);
    for (int i = 0; i < 5000 && (k.states & 1 << COORD_LAPSED) == 0; i++) {
        (void)poll(NULL, 0, 1);
        if (_i == 0) {
            ck_assert_int_eq(coord_dispatch(c), 0);
        }
    }
    ck_assert((k.states & 1 << COORD_LAPSED) != 0);
    ck_assert_uint_eq(coord_session_id(c), session); /* nobody has said that it ended */
    /* The server ends it; when it listens again, the client is told. */
    for (int i = 0; i < 5000 && client_server_sessions(server) > 0; i++) {
        (void)poll(NULL, 0, 1);
    }
    client_server_deafen(server, false);
    client_server_kick(server);
    bool exists;
    ck_assert_int_eq(coord_exists_sync(c, "/", NULL, &exists), 0);
    for (int i = 0; i < 5000 && (k.states & 1 << COORD_EXPIRED) == 0; i++) {
        ck_assert_int_eq(coord_sync_sync(c, NULL, NULL), 0);
    }
    ck_assert((k.states & 1 << COORD_EXPIRED) != 0);
    ck_assert_int_eq(coord_session_open_sync(c, NULL), 0);
    ck_assert_uint_ne(coord_session_id(c), session);
    ck_assert_uint_gt(coord_lease_remaining_ms(c), 0);
    ck_assert_int_eq(poll(&lease, 1, 0), 0);
    coord_close(c);
}
END_TEST

/* --- watches, listeners, timers
 *   ---------------------------------------------------------------------- */

struct watching {
    int ready;
    int gaps;
    int ended;
    int error;
    uint64_t last;
    int versions;
    bool ordered;
};

static void watch_all(struct coord *c, const struct coord_watch_event *event, void *arg)
{
    struct watching *w = arg;
    (void)c;
    w->ready += event->state == COORD_WATCH_READY;
    w->gaps += event->state == COORD_WATCH_GAP;
    if (event->state == COORD_WATCH_CHANGES) {
        w->ordered = w->ordered && event->revision > w->last;
        w->last = event->revision;
        w->versions += (int)event->changes_count;
    }
    if (event->state == COORD_WATCH_ENDED) {
        w->ended++;
        w->error = event->error;
    }
}

START_TEST(watches_survive_broken_connections)
{
    struct watching w = {.ordered = true};
    struct coord_watch_options o = {.depth = COORD_WATCH_SUBTREE};
    struct coord *watcher = open_plain(_i == 1);
    struct coord *writer = open_plain(false);
    coord_watch_id id;
    ck_assert_int_eq(coord_create_sync(writer, "/w", NULL, 0, NULL, NULL), 0);
    ck_assert_int_eq(coord_watch_sync(watcher, "/w", &o, watch_all, &w, &id), 0);
    ck_assert_int_eq(w.ready, 1);
    struct coord_reply *r = NULL;
    for (int i = 0; i < 60; i++) {
        coord_reply_free(r);
        ck_assert_int_eq(coord_set_sync(writer, "/w", "x", 1, NULL, &r), 0);
        if (i % 7 == 3) {
            client_server_kick(server);
        }
        if (i % 5 == 0) {
            ck_assert_int_eq(coord_sync_sync(watcher, NULL, NULL), 0);
        }
    }
    for (int i = 0; i < 5000 && w.last < r->revision; i++) {
        ck_assert_int_eq(coord_sync_sync(watcher, NULL, NULL), 0);
    }
    coord_reply_free(r);
    ck_assert_int_eq(coord_unwatch_sync(watcher, id), 0);
    ck_assert_int_eq(w.ended, 1);
    ck_assert_int_eq(w.error, COORD_ECANCELED);
    ck_assert_int_eq(w.versions, 60);
    ck_assert(w.ordered);
    ck_assert_int_eq(w.gaps, 0);
    ck_assert_int_eq(w.ready, 1);
    coord_close(writer);
    coord_close(watcher);
}
END_TEST

START_TEST(a_watch_that_cannot_be_made_in_time)
{
    struct watching w = {.ordered = true};
    struct coord_options o = options();
    o.request_timeout_ms = 100;
    struct coord *c = open_with(&o, _i == 1);
    coord_watch_id id;
    client_server_hide(server, true);
    ck_assert_int_eq(coord_watch_sync(c, "/w", NULL, watch_all, &w, &id), COORD_ETIMEOUT);
    ck_assert_int_eq(coord_unwatch(c, id), COORD_ENONODE);
    client_server_hide(server, false);
    struct coord_call call = {.timeout_ms = 5000};
    ck_assert_int_eq(coord_sync_sync(c, &call, NULL), 0);
    ck_assert_int_eq(w.ended, 1);
    ck_assert_int_eq(w.ready, 0);
    coord_close(c);
}
END_TEST

static void timer_over(struct coord *c, int error, void *arg)
{
    struct seen *s = arg;
    (void)c;
    s->error = error;
    s->count++;
    s->done = true;
}

START_TEST(timers)
{
    struct coord *c = open_plain(false);
    struct seen late = {0};
    struct seen early = {0};
    struct seen cancelled = {0};
    struct seen open = {0};
    coord_timer_id id;
    ck_assert_int_eq(coord_after(c, 60, timer_over, &late, NULL), 0);
    ck_assert_int_eq(coord_after(c, 0, timer_over, &early, NULL), 0);
    ck_assert_int_eq(coord_after(c, 50, timer_over, &cancelled, &id), 0);
    ck_assert_int_eq(coord_after(c, 60000, timer_over, &open, NULL), 0);
    coord_cancel_after(c, id);
    coord_cancel_after(c, 4711);
    ck_assert_int_eq(early.count + cancelled.count, 0);
    run_until(c, &early.done);
    run_until(c, &cancelled.done);
    ck_assert_int_eq(early.error, 0);
    ck_assert_int_eq(cancelled.error, COORD_ECANCELED);
    ck_assert_int_eq(late.count, 0);
    run_until(c, &late.done);
    ck_assert_int_eq(late.error, 0);
    coord_close(c);
    ck_assert_int_eq(open.error, COORD_ECLOSED);
    ck_assert_int_eq(open.count + late.count + early.count + cancelled.count, 4);
}
END_TEST

static void remove_itself(struct coord *c, enum coord_state state, void *arg)
{
    struct closing *k = arg;
    k->states++;
    k->last = state;
    coord_unlisten(c, (coord_listener_id)k->replies);
}

START_TEST(listeners_come_and_go)
{
    struct coord *c = open_plain(false);
    struct closing once = {0};
    struct closing all = {0};
    coord_listener_id id;
    ck_assert_int_eq(coord_listen(c, remove_itself, &once, &id), 0);
    once.replies = (int)id;
    ck_assert_int_eq(coord_listen(c, record_state, &all, &id), 0);
    ck_assert_int_eq(coord_sync_sync(c, NULL, NULL), 0);
    client_server_kick(server);
    for (int i = 0; i < 5000 && (all.states & 1 << COORD_CONNECTING) == 0; i++) {
        ck_assert_int_eq(coord_sync_sync(c, NULL, NULL), 0);
    }
    ck_assert_int_eq(once.states, 1);
    ck_assert_int_eq(once.last, COORD_CONNECTED);
    coord_unlisten(c, id);
    all.states = 0;
    coord_close(c);
    ck_assert_int_eq(all.states, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_shell");
    TCase *t = tcase_create("calls");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, every_operation_blocking, 0, 2);
    tcase_add_test(t, bad_arguments_are_refused_at_once);
    tcase_add_test(t, options_are_checked);
    tcase_add_test(t, a_prefix_is_put_on_and_taken_off);
    tcase_add_test(t, loop_driven_by_poll);
    tcase_add_test(t, driven_by_libevent);
    tcase_add_test(t, blocking_calls_from_several_threads);
    tcase_add_test(t, callbacks_come_on_the_handles_thread);
    suite_add_tcase(s, t);
    t = tcase_create("end");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, close_with_requests_under_way, 0, 2);
    tcase_add_test(t, close_in_a_callback);
    tcase_add_test(t, close_in_a_callback_of_a_threaded_handle);
    tcase_add_test(t, close_inside_a_blocking_call);
    tcase_add_test(t, close_while_others_block);
    tcase_add_test(t, closing_ends_the_session);
    tcase_add_loop_test(t, fork_is_noticed, 0, 2);
    suite_add_tcase(s, t);
    t = tcase_create("servers");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_loop_test(t, a_broken_connection_is_not_noticed_by_calls, 0, 2);
    tcase_add_loop_test(t, nobody_listens, 0, 2);
    tcase_add_test(t, the_second_server_is_found);
    tcase_add_loop_test(t, names_are_resolved, 0, 2);
    tcase_add_test(t, six);
    tcase_add_test(t, a_minority_refuses_and_serves);
    tcase_add_loop_test(t, the_lease_is_kept_and_runs_out, 0, 2);
    suite_add_tcase(s, t);
    t = tcase_create("events");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, watches_survive_broken_connections, 0, 2);
    tcase_add_loop_test(t, a_watch_that_cannot_be_made_in_time, 0, 2);
    tcase_add_test(t, timers);
    tcase_add_test(t, listeners_come_and_go);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
