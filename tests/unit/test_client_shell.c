/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a handle keeps what coord.h promises with real sockets: both forms of it, blocking calls
 * from several threads, closing and forking at any moment, servers that vanish, names and
 * addresses.
 * Method: a real node in this process, on a loopback port (tests/lib/client_server.h). Waiting is
 * for conditions, with a deadline far beyond what is needed.
 */
#include <pthread.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/unit/test_client_fixture.h"

/* Of libevent, whose headers only shells include: what a program's own loop needs. */
struct event_base *event_base_new(void);
void event_base_free(struct event_base *base);
int event_base_dispatch(struct event_base *base);
int event_base_loopbreak(struct event_base *base);
int event_base_got_break(struct event_base *base);
int event_base_loopexit(struct event_base *base, const struct timeval *after);

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
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
