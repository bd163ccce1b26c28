/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: with real sockets: servers that vanish, names and addresses, a minority, the lease and its
 * descriptor, watches across connections, timers, listeners.
 * Method: a real node in this process, on a loopback port (tests/lib/client_server.h). Waiting is for
 * conditions, with a deadline far beyond what is needed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/unit/test_client_fixture.h"

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
    Suite *s = suite_create("client_net");
    TCase *t = tcase_create("servers");
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
