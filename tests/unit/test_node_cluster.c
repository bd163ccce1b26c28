/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_cluster.c
 * Goal: three members: forwarding, leader changes without errors or doubled writes, refusal in a
 * minority, PING, moving sessions, watches and snapshots across members.
 * Method: an ensemble of three in simulated time with cuts, kills, pauses (node_cluster.h). Random
 * faults: test_node_chaos.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_fixture.h"

static bool exists_at(raft_id id, const char *path, enum coord_level level)
{
    struct cluster_client *c = greeted(id);
    struct coord_request q = {.op = COORD_OP_EXISTS, .path = bytes_of(path), .level = level};
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    client_close(c);
    return res.exists;
}

static uint64_t children(raft_id id, const char *path)
{
    struct cluster_client *c = greeted(id);
    struct coord_request q = {.op = COORD_OP_STAT, .path = bytes_of(path)};
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    client_close(c);
    return res.stat.children;
}

/* --- forwarding ------------------------------------------------------------------------------- */

START_TEST(any_member_takes_writes)
{
    begin();
    struct cluster_client *a = greeted(follower);
    struct cluster_client *b = greeted(third);
    ck_assert_int_eq(client_create(a, "/a", "1", 0), 0);
    ck_assert_int_eq(client_get(b, "/a", "1"), 0);
    ck_assert_int_eq(client_set(b, "/a", "2"), 0);
    ck_assert_int_eq(client_get(a, "/a", "2"), 0);
    ck_assert(cluster_wait_equal(cl, CLUSTER_S));
}
END_TEST

/* Messages between members get lost, doubled and out of order: every write is answered once and took
 * effect once, in the order of its connection. */
START_TEST(a_bad_network_doubles_no_write)
{
    options.loss_percent = 15;
    options.duplicate_percent = 15;
    options.reorder_percent = 15;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        options.seed = seed;
        begin();
        struct cluster_client *c = greeted(follower);
        struct coord_request parent = create_request("/p", 0);
        struct coord_result res;
        uint64_t number = client_send(c, &parent);
        ck_assert_int_eq(client_wait(c, number, COORD_OP_CREATE, &res, 30 * CLUSTER_S), 0);
        enum { WRITES = 200 };
        uint64_t numbers[WRITES];
        for (int i = 0; i < WRITES; i++) {
            struct coord_request q = create_request("/p/n-", COORD_F_SEQUENTIAL);
            numbers[i] = client_send(c, &q);
            cluster_run(cl, CLUSTER_MS);
        }
        uint64_t last = 0;
        for (int i = 0; i < WRITES; i++) {
            int rv = client_wait(c, numbers[i], COORD_OP_CREATE, &res, 30 * CLUSTER_S);
            ck_assert_int_eq(rv, 0);
            ck_assert_uint_gt(res.stat.create_revision, last);
            last = res.stat.create_revision;
        }
        ck_assert_uint_eq(children(leader, "/p"), WRITES);
        teardown();
    }
}
END_TEST

START_TEST(a_broken_link_to_the_leader_loses_no_write)
{
    begin();
    struct cluster_client *c = greeted(follower);
    ck_assert_int_eq(client_create(c, "/p", "", 0), 0);
    uint64_t numbers[100];
    for (int i = 0; i < 100; i++) {
        struct coord_request q = create_request("/p/n-", COORD_F_SEQUENTIAL);
        numbers[i] = client_send(c, &q);
        cluster_run(cl, CLUSTER_MS / 2);
        if (i == 40) {
            cluster_link(cl, follower, leader, false, false);
        } else if (i == 60) {
            cluster_link(cl, follower, leader, true, true);
        }
    }
    struct coord_result res;
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(client_wait(c, numbers[i], COORD_OP_CREATE, &res, 5 * CLUSTER_S), 0);
    }
    ck_assert_uint_eq(children(third, "/p"), 100);
}
END_TEST

/* Pipelined reads and writes at a follower, whose rounds and commits overtake each other when messages
 * get lost: a read sees the write before it and none behind it; a watch misses none behind it. */
START_TEST(a_connection_keeps_its_order_at_a_follower)
{
    options.loss_percent = 15;
    options.reorder_percent = 15;
    begin();
    for (uint64_t k = 0; k < 60; k++) {
        struct cluster_client *c = greeted(follower);
        struct coord_result res;
        char path[32];
        (void)snprintf(path, sizeof(path), "/n%llu", (unsigned long long)k);
        struct coord_request create = create_request(path, 0);
        struct coord_request watch = {.op = COORD_OP_WATCH,
                                      .watch = 1,
                                      .path = bytes_of(path),
                                      .kinds = COORD_CHANGE_CHANGED};
        struct coord_request reads[4];
        struct coord_request sets[4];
        (void)client_send(c, &create);
        (void)client_send(c, &watch);
        for (int i = 0; i < 4; i++) {
            static const char *const values[] = {"1", "2", "3", "4"};
            reads[i] = get_request(path, COORD_LEVEL_LINEARIZABLE, 0);
            (void)client_send(c, &reads[i]);
            sets[i] = (struct coord_request){.op = COORD_OP_SET,
                                             .path = bytes_of(path),
                                             .data = bytes_of(values[i]),
                                             .expect_version = COORD_VERSION_ANY};
            (void)client_send(c, &sets[i]);
        }
        for (uint32_t i = 0; i < 4; i++) {
            ck_assert_int_eq(client_wait(c, reads[i].number, COORD_OP_GET, &res, 10 * CLUSTER_S),
                             0);
            ck_assert_uint_eq(res.stat.version, i);
            ck_assert_int_eq(client_wait(c, sets[i].number, COORD_OP_SET, &res, 10 * CLUSTER_S), 0);
            ck_assert_uint_eq(res.stat.version, i + 1);
        }
        struct coord_event ev;
        for (uint32_t i = 0; i < 4; i++) {
            ck_assert(client_event(c, i, &ev, NULL));
            ck_assert_int_eq(ev.state, COORD_EVENT_CHANGES);
        }
        client_close(c);
    }
}
END_TEST

/* The age in a receipt counts from the beginning of the round, however long that took. */
START_TEST(an_age_is_a_bound)
{
    options.net_ns = 40 * CLUSTER_MS;
    begin();
    struct cluster_client *c = greeted(follower);
    struct coord_result res;
    uint64_t before = cluster_now(cl);
    struct coord_request q = {.op = COORD_OP_EXISTS, .path = bytes_of("/")};
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    uint64_t took_ms = (cluster_now(cl) - before) / CLUSTER_MS;
    ck_assert_uint_ge(took_ms, 80);
    ck_assert_uint_ge(res.receipt.age_ms, took_ms - 1);
    ck_assert_uint_le(res.receipt.age_ms, took_ms + 1);
    /* So a bound below the way there and back cannot be kept, and is not pretended to be. */
    cluster_run(cl, CLUSTER_S);
    q = (struct coord_request){.op = COORD_OP_EXISTS,
                               .path = bytes_of("/"),
                               .level = COORD_LEVEL_BOUNDED,
                               .level_arg = 20};
    ck_assert_int_eq(client_call(c, &q, &res), COORD_ETOOSTALE);
    q.number = 0;
    q.level_arg = 500;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_le(res.receipt.age_ms, 500);
}
END_TEST

/* An idle ensemble is cut: what each side of it last proved is not older than its beacon, so a bound that leaves
 * room for that is kept for as long as it says, at a follower and at the leader, and then no longer. */
START_TEST(an_idle_member_knows_its_age)
{
    begin();
    raft_id cut = _i == 0 ? follower : leader;
    struct cluster_client *c = greeted(cut);
    cluster_run(cl, 60 * CLUSTER_S);
    struct coord_request q = get_request("/", COORD_LEVEL_LOCAL, 0);
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_le(res.receipt.age_ms, _i == 0 ? 4010 : 60);
    cluster_isolate(cl, cut, false);
    uint64_t at = cluster_now(cl);
    cluster_run(cl, 3 * CLUSTER_S);
    q = get_request("/", COORD_LEVEL_BOUNDED, 8000);
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_ge(res.receipt.age_ms, (cluster_now(cl) - at) / CLUSTER_MS - 1);
    cluster_run(cl, 5 * CLUSTER_S);
    q.number = 0;
    ck_assert_int_eq(client_call(c, &q, &res), COORD_ETOOSTALE);
}
END_TEST

/* --- leader changes --------------------------------------------------------------------------- */

START_TEST(a_killed_leader_is_a_short_delay)
{
    begin();
    struct cluster_client *c = greeted(follower);
    struct cluster_client *d = greeted(third);
    ck_assert_int_eq(client_create(c, "/p", "", 0), 0);
    uint64_t numbers[60];
    uint64_t reads[60];
    for (int i = 0; i < 60; i++) {
        struct coord_request q = create_request("/p/n-", COORD_F_SEQUENTIAL);
        numbers[i] = client_send(c, &q);
        struct coord_request g = get_request("/p", COORD_LEVEL_LINEARIZABLE, 0);
        reads[i] = client_send(d, &g);
        cluster_run(cl, CLUSTER_MS);
        if (i == 30) {
            cluster_kill(cl, leader);
        }
    }
    struct coord_result res;
    for (int i = 0; i < 60; i++) {
        ck_assert_int_eq(client_wait(c, numbers[i], COORD_OP_CREATE, &res, CLUSTER_S), 0);
        ck_assert_int_eq(client_wait(d, reads[i], COORD_OP_GET, &res, CLUSTER_S), 0);
    }
    ck_assert_uint_eq(children(follower, "/p"), 60);
    ck_assert_int_eq(cluster_boot(cl, leader), 0);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
}
END_TEST

/* The writes of a leader that is cut off and deposed: it learns that they are lost and sends them to
 * the new leader, when the cut is short. */
START_TEST(a_deposed_leader_sends_its_writes_on)
{
    begin();
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(client_create(c, "/p", "", 0), 0);
    raft_id old = leader;
    cluster_isolate(cl, old, true);
    uint64_t numbers[10];
    for (int i = 0; i < 10; i++) {
        struct coord_request q = create_request("/p/n-", COORD_F_SEQUENTIAL);
        numbers[i] = client_send(c, &q);
    }
    cluster_run(cl, 300 * CLUSTER_MS);
    ck_assert_uint_ne(cluster_leader(cl), old);
    cluster_heal(cl);
    struct coord_result res;
    uint64_t last = 0;
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(client_wait(c, numbers[i], COORD_OP_CREATE, &res, CLUSTER_S), 0);
        ck_assert_uint_gt(res.stat.create_revision, last);
        last = res.stat.create_revision;
    }
    ck_assert_uint_eq(children(old, "/p"), 10);
    ck_assert_uint_ge(cluster_log_count(cl, old, "writes sent again"), 1);
}
END_TEST

/* The leader dies with a session's write under way; the client retries the number elsewhere. */
START_TEST(a_retry_on_another_member_is_applied_once)
{
    for (uint64_t wait = 0; wait <= 6; wait++) {
        uint8_t secret[COORD_SECRET_BYTES];
        struct coord_result res;
        begin();
        struct cluster_client *c = client_connect(cl, leader);
        uint64_t session = client_open_session(c, 10000, secret);
        ck_assert_uint_ne(session, 0);
        ck_assert_int_eq(client_create(c, "/p", "", 0), 0);
        struct coord_request q = create_request("/p/n-", COORD_F_SEQUENTIAL);
        uint64_t number = client_send(c, &q);
        cluster_run(cl, wait * CLUSTER_MS / 2);
        cluster_kill(cl, leader);
        struct cluster_client *d = client_connect(cl, follower);
        d->next_number = number + 10;
        ck_assert_int_eq(client_resume(d, session, secret, NULL), 0);
        ck_assert_int_eq(client_call(d, &q, &res), 0);
        uint64_t revision = res.stat.create_revision;
        ck_assert_uint_eq(children(third, "/p"), 1);
        ck_assert_int_eq(cluster_boot(cl, leader), 0);
        ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
        struct cluster_client *e = client_connect(cl, leader);
        ck_assert_int_eq(client_resume(e, session, secret, NULL), 0);
        ck_assert_int_eq(client_call(e, &q, &res), 0);
        ck_assert_uint_eq(res.stat.create_revision, revision);
        teardown();
    }
}
END_TEST

START_TEST(shutdown_hands_leadership_over)
{
    begin();
    struct cluster_client *c = greeted(follower);
    raft_id old = leader;
    ck_assert_int_eq(client_create(c, "/p", "", 0), 0);
    struct cluster_client *d = greeted(old);
    struct coord_request w = create_request("/p/own", 0);
    uint64_t number = client_send(d, &w);
    node_shutdown(cluster_node(cl, old), cluster_now(cl));
    cluster_run(cl, 100 * CLUSTER_MS);
    ck_assert(node_drained(cluster_node(cl, old)));
    ck_assert_uint_ne(cluster_leader(cl), old);
    struct coord_result res;
    ck_assert_int_eq(client_wait(d, number, COORD_OP_CREATE, &res, 0), 0);
    uint64_t before = cluster_now(cl);
    ck_assert_int_eq(client_create(c, "/p/after", "", 0), 0);
    ck_assert_uint_le(cluster_now(cl) - before, 200 * CLUSTER_MS);
}
END_TEST

/* --- no quorum -------------------------------------------------------------------------------- */

START_TEST(a_minority_refuses_in_time_and_says_why)
{
    begin();
    struct cluster_client *c = greeted(follower);
    struct coord_result res;
    ck_assert_int_eq(client_create(c, "/a", "1", 0), 0);
    cluster_isolate(cl, follower, true);
    uint64_t cut = cluster_now(cl);
    /* What comes at once waits for an election, but no longer than its timeout. */
    struct coord_request q = create_request("/b", 0);
    uint64_t number = client_send(c, &q);
    int rv = client_wait(c, number, COORD_OP_CREATE, &res, 5 * CLUSTER_S);
    uint64_t waited = cluster_now(cl) - cut;
    ck_assert(rv == COORD_ENOQUORUM || rv == COORD_EINDOUBT);
    ck_assert_uint_le(waited, options.node.raft.election_max + 10 * CLUSTER_MS);
    /* After that at once. */
    uint64_t before = cluster_now(cl);
    q = get_request("/a", COORD_LEVEL_LINEARIZABLE, 0);
    ck_assert_int_eq(client_call(c, &q, &res), COORD_ENOQUORUM);
    ck_assert(res.has_no_quorum);
    ck_assert_uint_eq(res.no_quorum.reachable_count, 1);
    ck_assert_uint_eq(res.no_quorum.reachable[0], follower);
    ck_assert_uint_eq(res.no_quorum.needed, 2);
    ck_assert_uint_ge(res.no_quorum.since_ms, 900);
    ck_assert_uint_eq(res.no_quorum.levels,
                      (1u << COORD_LEVEL_LOCAL) | (1u << COORD_LEVEL_SESSION));
    ck_assert_int_eq(client_create(c, "/c", "", 0), COORD_ENOQUORUM);
    struct coord_request w = {
        .op = COORD_OP_WATCH, .watch = 1, .path = bytes_of("/"), .kinds = COORD_CHANGE_CREATED};
    ck_assert_int_eq(client_call(c, &w, NULL), COORD_ENOQUORUM);
    struct coord_request sync = {.op = COORD_OP_SYNC};
    ck_assert_int_eq(client_call(c, &sync, NULL), COORD_ENOQUORUM);
    ck_assert_uint_eq(cluster_now(cl), before);
    /* The weaker levels are served, as far as they can be proven. */
    q = get_request("/a", COORD_LEVEL_LOCAL, 0);
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_ge(res.receipt.age_ms, 900);
    q = get_request("/a", COORD_LEVEL_SESSION, res.receipt.revision);
    ck_assert_int_eq(client_call(c, &q, NULL), 0);
    q = get_request("/a", COORD_LEVEL_SESSION, res.receipt.revision + 1);
    ck_assert_int_eq(client_call(c, &q, NULL), COORD_ETOOSTALE);
    q = get_request("/a", COORD_LEVEL_BOUNDED, 60000);
    ck_assert_int_eq(client_call(c, &q, NULL), 0);
    q = get_request("/a", COORD_LEVEL_BOUNDED, 500);
    ck_assert_int_eq(client_call(c, &q, NULL), COORD_ETOOSTALE);
    /* Status says the same, and the other side goes on. */
    struct coord_request s = {.op = COORD_OP_STATUS};
    ck_assert_int_eq(client_call(c, &s, &res), 0);
    ck_assert_uint_ge(res.status.no_quorum_ms, 900);
    ck_assert_uint_eq(res.status.reachable, 1);
    ck_assert(!exists_at(third, "/c", COORD_LEVEL_LINEARIZABLE));
    /* And it ends. */
    cluster_heal(cl);
    cluster_run(cl, 2 * CLUSTER_S);
    ck_assert_int_eq(client_create(c, "/d", "", 0), 0);
    ck_assert(cluster_wait_equal(cl, CLUSTER_S));
    ck_assert_uint_eq(cluster_log_count(cl, follower, "quorum lost"), 1);
    ck_assert_uint_eq(cluster_log_count(cl, follower, "quorum back"), 1);
}
END_TEST

START_TEST(a_leader_cut_off_leaves_its_writes_in_doubt)
{
    begin();
    struct cluster_client *c = greeted(leader);
    struct coord_result res;
    ck_assert_int_eq(client_create(c, "/a", "1", 0), 0);
    raft_id old = leader;
    cluster_isolate(cl, old, false);
    uint64_t cut = cluster_now(cl);
    struct coord_request q = create_request("/doubt", 0);
    uint64_t number = client_send(c, &q);
    struct coord_request g = get_request("/a", COORD_LEVEL_LINEARIZABLE, 0);
    uint64_t read = client_send(c, &g);
    ck_assert_int_eq(client_wait(c, number, COORD_OP_CREATE, &res, 5 * CLUSTER_S), COORD_EINDOUBT);
    ck_assert(res.has_no_quorum);
    ck_assert_int_eq(client_wait(c, read, COORD_OP_GET, &res, 0), COORD_ENOQUORUM);
    ck_assert_uint_le(cluster_now(cl) - cut, options.node.raft.election_max + 10 * CLUSTER_MS);
    ck_assert_int_eq(client_create(c, "/never", "", 0), COORD_ENOQUORUM);
    raft_id now_leads = cluster_wait_leader(cl, 5 * CLUSTER_S);
    ck_assert_uint_ne(now_leads, old);
    cluster_heal(cl);
    ck_assert(cluster_wait_equal(cl, 5 * CLUSTER_S));
    ck_assert(!exists_at(old, "/never", COORD_LEVEL_LINEARIZABLE));
    ck_assert_uint_eq(cluster_leader(cl), now_leads);
}
END_TEST

/* It hears the leader but cannot be heard: nothing there may wait for ever. */
START_TEST(a_member_that_is_not_heard_answers_too)
{
    begin();
    struct cluster_client *c = greeted(follower);
    struct coord_result res;
    ck_assert_int_eq(client_create(c, "/a", "1", 0), 0);
    cluster_cut_one_way(cl, follower, leader);
    struct coord_request q = create_request("/b", 0);
    uint64_t write = client_send(c, &q);
    struct cluster_client *d = greeted(follower);
    struct coord_request g = get_request("/a", COORD_LEVEL_LINEARIZABLE, 0);
    uint64_t read = client_send(d, &g);
    int rv = client_wait(d, read, COORD_OP_GET, &res, 10 * CLUSTER_S);
    ck_assert(rv == COORD_ENOQUORUM || rv == 0);
    ck_assert_int_ne(client_wait(c, write, COORD_OP_CREATE, &res, 10 * CLUSTER_S), COORD_ETIMEOUT);
}
END_TEST

/* A session cannot be resumed there, but the connection is good for local reads, and for the session
 * once the minority is over. */
START_TEST(hello_may_be_said_again_after_a_refusal)
{
    begin();
    uint8_t secret[COORD_SECRET_BYTES];
    struct cluster_client *c = client_connect(cl, leader);
    uint64_t session = client_open_session(c, 30000, secret);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    cluster_run(cl, 100 * CLUSTER_MS);
    cluster_isolate(cl, follower, true);
    cluster_run(cl, 2 * CLUSTER_S);
    struct cluster_client *d = client_connect(cl, follower);
    ck_assert_int_eq(client_resume(d, session, secret, NULL), COORD_ENOQUORUM);
    ck_assert(d->open);
    struct cluster_client *e = client_connect(cl, follower);
    ck_assert_int_eq(client_resume(e, session, secret, NULL), COORD_ENOQUORUM);
    ck_assert_int_eq(client_hello(e), 0);
    struct coord_request q = get_request("/e", COORD_LEVEL_LOCAL, 0);
    ck_assert_int_eq(client_call(e, &q, NULL), 0);
    cluster_heal(cl);
    cluster_run(cl, 2 * CLUSTER_S);
    uint32_t state = 99;
    ck_assert_int_eq(client_resume(d, session, secret, &state), 0);
    ck_assert_uint_eq(state, COORD_SESSION_RESUMED);
    ck_assert_int_eq(client_ping(d), 0);
}
END_TEST

START_TEST(every_member_down_but_one)
{
    begin();
    cluster_kill(cl, leader);
    cluster_kill(cl, follower);
    struct cluster_client *c = client_connect(cl, third);
    uint64_t before = cluster_now(cl);
    ck_assert_int_eq(client_hello(c), 0);
    ck_assert_int_eq(client_create(c, "/a", "", 0), COORD_ENOQUORUM);
    ck_assert_uint_le(cluster_now(cl) - before, options.node.raft.election_max + 100 * CLUSTER_MS);
    ck_assert_int_eq(cluster_boot(cl, leader), 0);
    cluster_run(cl, 3 * CLUSTER_S);
    ck_assert_int_eq(client_create(c, "/a", "", 0), 0);
}
END_TEST

/* --- sessions --------------------------------------------------------------------------------- */

START_TEST(activity_at_a_follower_keeps_a_session)
{
    begin();
    struct cluster_client *c = client_connect(cl, follower);
    struct cluster_client *d = client_connect(cl, third);
    ck_assert_uint_ne(client_open_session(c, 2000, NULL), 0);
    ck_assert_uint_ne(client_open_session(d, 2000, NULL), 0);
    ck_assert_int_eq(client_create(c, "/ping", "", COORD_F_EPHEMERAL), 0);
    ck_assert_int_eq(client_create(d, "/read", "", COORD_F_EPHEMERAL), 0);
    struct raft_status before;
    struct raft_status after;
    raft_status(node_raft(cluster_node(cl, leader)), &before);
    for (int i = 0; i < 8; i++) {
        cluster_run(cl, 1200 * CLUSTER_MS);
        ck_assert_int_eq(client_ping(c), 0);
        struct coord_request q = get_request("/read", COORD_LEVEL_LOCAL, 0);
        ck_assert_int_eq(client_call(d, &q, NULL), 0);
    }
    raft_status(node_raft(cluster_node(cl, leader)), &after);
    ck_assert_uint_eq(after.last, before.last);
    ck_assert(exists_at(leader, "/ping", COORD_LEVEL_LINEARIZABLE));
    ck_assert(exists_at(leader, "/read", COORD_LEVEL_LINEARIZABLE));
    /* And without activity they go, everywhere. */
    cluster_run(cl, 2500 * CLUSTER_MS);
    for (raft_id id = 1; id <= 3; id++) {
        ck_assert(!exists_at(id, "/ping", COORD_LEVEL_LINEARIZABLE));
        ck_assert(!exists_at(id, "/read", COORD_LEVEL_LOCAL));
    }
}
END_TEST

START_TEST(a_ping_is_never_answered_without_the_leader)
{
    begin();
    struct cluster_client *c = client_connect(cl, follower);
    struct cluster_client *d = client_connect(cl, leader);
    struct coord_result res;
    ck_assert_uint_ne(client_open_session(c, 10000, NULL), 0);
    ck_assert_uint_ne(client_open_session(d, 10000, NULL), 0);
    raft_id old = leader;
    cluster_isolate(cl, follower, false);
    cluster_isolate(cl, old, false);
    struct coord_request q = {.op = COORD_OP_PING};
    struct coord_request p = {.op = COORD_OP_PING};
    uint64_t a = client_send(c, &q);
    uint64_t b = client_send(d, &p);
    ck_assert_int_eq(client_wait(c, a, COORD_OP_PING, &res, 5 * CLUSTER_S), COORD_ENOQUORUM);
    ck_assert_int_eq(client_wait(d, b, COORD_OP_PING, &res, 5 * CLUSTER_S), COORD_ENOQUORUM);
    cluster_heal(cl);
    cluster_run(cl, 3 * CLUSTER_S);
    ck_assert_int_eq(client_ping(c), 0);
    ck_assert_int_eq(client_ping(d), 0);
}
END_TEST

/* E2: from the sending of the last PING that was answered OK, the session lives a timeout at least,
 * whatever happens to the leaders meanwhile. */
START_TEST(an_answered_ping_buys_a_full_timeout)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        options.seed = seed;
        begin();
        struct cluster_client *c = client_connect(cl, follower);
        ck_assert_uint_ne(client_open_session(c, 2000, NULL), 0);
        ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
        uint64_t last_ok = cluster_now(cl);
        for (int i = 0; i < 6; i++) {
            cluster_run(cl, (seed * 131 + (uint64_t)i * 257) % 1300 * CLUSTER_MS);
            uint64_t sent = cluster_now(cl);
            struct coord_request q = {.op = COORD_OP_PING};
            struct coord_result res;
            uint64_t number = client_send(c, &q);
            if (i == 2) {
                cluster_pause(cl, leader, 1500 * CLUSTER_MS);
            }
            if (client_wait(c, number, COORD_OP_PING, &res, 1900 * CLUSTER_MS) == 0) {
                last_ok = sent;
            }
        }
        uint64_t until = last_ok + 2 * CLUSTER_S;
        while (cluster_now(cl) + 20 * CLUSTER_MS < until) {
            ck_assert(exists_at(third, "/e", COORD_LEVEL_LOCAL));
            cluster_run(cl, 10 * CLUSTER_MS);
        }
        teardown();
    }
}
END_TEST

START_TEST(a_new_leader_gives_a_full_timeout)
{
    begin();
    struct cluster_client *c = client_connect(cl, follower);
    ck_assert_uint_ne(client_open_session(c, 3000, NULL), 0);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    client_close(c);
    cluster_run(cl, 2800 * CLUSTER_MS);
    cluster_kill(cl, leader);
    raft_id next = cluster_wait_leader(cl, 5 * CLUSTER_S);
    uint64_t elected = cluster_now(cl);
    cluster_run(cl, 2800 * CLUSTER_MS);
    ck_assert(exists_at(next, "/e", COORD_LEVEL_LINEARIZABLE));
    cluster_run(cl, elected + 3300 * CLUSTER_MS - cluster_now(cl));
    ck_assert(!exists_at(next, "/e", COORD_LEVEL_LINEARIZABLE));
}
END_TEST

START_TEST(a_session_moves_between_members)
{
    begin();
    uint8_t secret[COORD_SECRET_BYTES];
    struct cluster_client *c = client_connect(cl, follower);
    uint64_t session = client_open_session(c, 4000, secret);
    ck_assert_int_eq(client_create(c, "/e", "", COORD_F_EPHEMERAL), 0);
    struct cluster_client *d = client_connect(cl, third);
    uint32_t state = 99;
    ck_assert_int_eq(client_resume(d, session, secret, &state), 0);
    ck_assert_uint_eq(state, COORD_SESSION_RESUMED);
    cluster_run(cl, 200 * CLUSTER_MS);
    ck_assert(!c->open);
    ck_assert_str_eq(c->close_why, "session moved");
    ck_assert_int_eq(client_ping(d), 0);
    ck_assert(exists_at(leader, "/e", COORD_LEVEL_LINEARIZABLE));
}
END_TEST

/* The old member is cut off and does not know: its connection's write must not apply any more. */
START_TEST(a_write_through_the_old_attachment_is_void)
{
    begin();
    uint8_t secret[COORD_SECRET_BYTES];
    struct cluster_client *c = client_connect(cl, follower);
    uint64_t session = client_open_session(c, 20000, secret);
    cluster_isolate(cl, follower, false);
    struct coord_request q = create_request("/late", 0);
    (void)client_send(c, &q);
    struct cluster_client *d = client_connect(cl, third);
    ck_assert_int_eq(client_resume(d, session, secret, NULL), 0);
    ck_assert_int_eq(client_create(d, "/early", "", 0), 0);
    cluster_run(cl, 100 * CLUSTER_MS);
    cluster_heal(cl);
    cluster_run(cl, 3 * CLUSTER_S);
    ck_assert(!c->open);
    ck_assert(!exists_at(leader, "/late", COORD_LEVEL_LINEARIZABLE));
    ck_assert(exists_at(leader, "/early", COORD_LEVEL_LINEARIZABLE));
}
END_TEST

/* --- watches and snapshots -------------------------------------------------------------------- */

START_TEST(a_watch_moves_between_members)
{
    begin();
    struct cluster_client *c = greeted(follower);
    struct cluster_client *w = greeted(leader);
    struct coord_request q = {.op = COORD_OP_WATCH,
                              .watch = 1,
                              .path = bytes_of("/"),
                              .depth = COORD_DEPTH_SUBTREE,
                              .kinds = COORD_CHANGE_CREATED};
    struct coord_event ev;
    ck_assert_int_eq(client_call(c, &q, NULL), 0);
    ck_assert_int_eq(client_create(w, "/a", "", 0), 0);
    ck_assert_int_eq(client_create(w, "/b", "", 0), 0);
    /* W8 across members: a linearizable read here comes behind the events. */
    ck_assert_int_eq(client_get(c, "/b", ""), 0);
    uint32_t position = 0;
    ck_assert(client_event(c, 1, &ev, &position));
    ck_assert_uint_lt(position, c->frames - 1);
    ck_assert(client_event(c, 0, &ev, NULL));
    uint64_t seen = ev.revision;
    client_close(c);
    struct cluster_client *d = greeted(third);
    q.number = 0;
    q.revision = seen;
    struct coord_result res;
    ck_assert_int_eq(client_call(d, &q, &res), 0);
    ck_assert(!res.gap);
    ck_assert(client_event(d, 0, &ev, NULL));
    ck_assert_uint_gt(ev.revision, seen);
    ck_assert(!client_event(d, 1, &ev, NULL));
}
END_TEST

/* Nothing but the size of the log asks for a snapshot here: writes go on through many times its slots,
 * also where only part of a full log is applied yet. */
START_TEST(a_full_log_is_cut_in_time)
{
    options.node.snapshot_entries = 1000000;
    options.node.raft.log_slots = 64;
    begin();
    struct cluster_client *c = greeted(leader);
    struct coord_result res;
    char path[32];
    for (int round = 0; round < 4; round++) {
        uint64_t numbers[60];
        for (int i = 0; i < 60; i++) {
            (void)snprintf(path, sizeof(path), "/r%d-%d", round, i);
            struct coord_request q = {.op = COORD_OP_CREATE, .path = bytes_of(path)};
            numbers[i] = client_send(c, &q);
        }
        for (int i = 0; i < 60; i++) {
            ck_assert_int_eq(client_wait(c, numbers[i], COORD_OP_CREATE, &res, CLUSTER_S), 0);
        }
    }
    ck_assert_uint_ge(cluster_snapshots(cl, leader), 3);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
}
END_TEST

START_TEST(a_member_far_behind_gets_a_snapshot)
{
    options.node.snapshot_entries = 50;
    options.node.raft.log_slots = 256;
    options.node.raft.chunk_bytes = 1024;
    begin();
    uint8_t secret[COORD_SECRET_BYTES];
    struct cluster_client *s = client_connect(cl, third);
    uint64_t session = client_open_session(s, 60000, secret);
    struct cluster_client *watcher = greeted(third);
    struct coord_request wq = {.op = COORD_OP_WATCH,
                               .watch = 1,
                               .path = bytes_of("/"),
                               .depth = COORD_DEPTH_SUBTREE,
                               .kinds = COORD_CHANGE_CREATED};
    ck_assert_int_eq(client_call(watcher, &wq, NULL), 0);
    cluster_isolate(cl, third, true);
    struct cluster_client *c = greeted(leader);
    char path[32];
    for (int i = 0; i < 400; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_create(c, path, path, 0), 0);
    }
    /* Its session moves away meanwhile: the member sees it only in the snapshot. */
    struct cluster_client *moved = client_connect(cl, follower);
    ck_assert_int_eq(client_resume(moved, session, secret, NULL), 0);
    for (int i = 400; i < 550; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_create(c, path, path, 0), 0);
    }
    cluster_heal(cl);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
    ck_assert_uint_ge(cluster_log_count(cl, third, "snapshot installed"), 1);
    ck_assert(exists_at(third, "/n399", COORD_LEVEL_LOCAL));
    cluster_run(cl, CLUSTER_S);
    struct coord_event ev;
    ck_assert(client_event(watcher, 0, &ev, NULL));
    ck_assert_int_eq(ev.state, COORD_EVENT_GAP);
    ck_assert(!s->open);
    ck_assert_str_eq(s->close_why, "session moved");
    ck_assert_int_eq(client_create(watcher, "/again", "", 0), 0);
    ck_assert(client_event(watcher, 1, &ev, NULL));
    ck_assert_int_eq(ev.state, COORD_EVENT_CHANGES);
    /* It restarts from what it was given. */
    cluster_kill(cl, third);
    ck_assert_int_eq(cluster_boot(cl, third), 0);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
}
END_TEST

/* Writes are forwarded and applied, but the member learns of it only by a snapshot: the session's are
 * asked for again and get their first answer, the other is in doubt. */
START_TEST(a_snapshot_leaves_no_write_without_an_answer)
{
    options.node.snapshot_entries = 10;
    options.node.raft.log_slots = 64;
    begin();
    struct cluster_client *s = client_connect(cl, third);
    struct cluster_client *l = greeted(third);
    struct cluster_client *c = greeted(leader);
    ck_assert_uint_ne(client_open_session(s, 60000, NULL), 0);
    cluster_cut_one_way(cl, leader, third);
    cluster_cut_one_way(cl, follower, third);
    struct coord_request q[2] = {create_request("/session", COORD_F_SEQUENTIAL),
                                 create_request("/loose", COORD_F_SEQUENTIAL)};
    (void)client_send(s, &q[0]);
    (void)client_send(l, &q[1]);
    cluster_run(cl, 10 * CLUSTER_MS);
    for (int i = 0; i < 60; i++) {
        char path[16];
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_create(c, path, "", 0), 0);
    }
    cluster_heal(cl);
    struct coord_result res;
    ck_assert_int_eq(client_wait(s, q[0].number, COORD_OP_CREATE, &res, 2 * CLUSTER_S), 0);
    ck_assert_uint_lt(res.stat.create_revision, 20);
    ck_assert_int_eq(client_wait(l, q[1].number, COORD_OP_CREATE, &res, 0), COORD_EINDOUBT);
    ck_assert_uint_ge(cluster_log_count(cl, third, "snapshot installed"), 1);
    ck_assert_uint_eq(children(third, "/"), 60 + 2);
}
END_TEST

START_TEST(all_members_restart)
{
    begin();
    struct cluster_client *c = greeted(follower);
    char path[32];
    for (int i = 0; i < 30; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_create(c, path, path, 0), 0);
    }
    for (raft_id id = 1; id <= 3; id++) {
        cluster_kill(cl, id);
    }
    for (raft_id id = 1; id <= 3; id++) {
        ck_assert_int_eq(cluster_boot(cl, id), 0);
    }
    roles();
    c = greeted(leader);
    for (int i = 0; i < 30; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_get(c, path, path), 0);
    }
}
END_TEST

/* R13: an idle ensemble exchanges heartbeats and nothing else. */
START_TEST(an_idle_ensemble_is_quiet)
{
    begin();
    struct cluster_client *c = client_connect(cl, follower);
    ck_assert_uint_ne(client_open_session(c, 30000, NULL), 0);
    cluster_run(cl, CLUSTER_S);
    uint64_t before = cluster_messages(cl);
    cluster_run(cl, 10 * CLUSTER_S);
    /* Two followers, 20 heartbeats a second, each answered. */
    ck_assert_uint_le(cluster_messages(cl) - before, 10 * 2 * 20 * 2 + 40);
}
END_TEST

/* Write count nodes of about 100 bytes each through c. */
static void write_many(struct cluster_client *c, const char *prefix, int count)
{
    char path[32];
    char data[101];
    memset(data, 'x', 100);
    data[100] = '\0';
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof(path), "/%s%d", prefix, i);
        ck_assert_int_eq(client_create(c, path, data, 0), 0);
    }
}

/* What the leader no longer holds in memory reaches a follower that was away: read again from the disk,
 * in messages of many sizes, while writes go on. Without a host that can read, it stays in memory. */
START_TEST(a_follower_that_lags_is_served_from_the_disk)
{
    options.node.log_memory_bytes = 2000;
    options.node.raft.msg_bytes_max = 1500;
    options.no_log_read = _i == 1;
    begin();
    raft_id away = follower;
    struct cluster_client *c = client_connect(cl, leader);
    ck_assert_int_eq(client_hello(c), 0);
    cluster_kill(cl, away);
    write_many(c, "a", 200);
    ck_assert_uint_eq(cluster_log_reads(cl, leader), 0); /* the other one was never behind */
    ck_assert_int_eq(cluster_boot(cl, away), 0);
    write_many(c, "b", 20);
    ck_assert(cluster_wait_equal(cl, 5 * CLUSTER_S));
    ck_assert_uint_eq(cluster_snapshots(cl, leader), 0); /* none was needed */
    if (_i == 1) {
        ck_assert_uint_eq(cluster_log_reads(cl, leader), 0);
    } else {
        ck_assert_uint_gt(cluster_log_reads(cl, leader), 10);
    }
    ck_assert_uint_eq(cluster_log_count(cl, leader, "cannot be read"), 0);
}
END_TEST

/* The disk stands still inside such a read: followers keep their leader, which answers nothing wrong when
 * it comes back as the leader of nobody. */
START_TEST(a_read_of_the_log_may_take_long)
{
    options.node.log_memory_bytes = 2000;
    begin();
    raft_id away = follower;
    struct cluster_client *c = client_connect(cl, leader);
    ck_assert_int_eq(client_hello(c), 0);
    cluster_kill(cl, away);
    write_many(c, "a", 100);
    cluster_stall_disk(cl, leader, true);
    ck_assert_int_eq(cluster_boot(cl, away), 0);
    cluster_run(cl, CLUSTER_S / 5);
    ck_assert_uint_eq(cluster_leader(cl), leader); /* beats go on */
    cluster_isolate(cl, leader, true);
    cluster_run(cl, 5 * CLUSTER_S);
    ck_assert_uint_ne(cluster_leader(cl), leader);
    cluster_heal(cl);
    cluster_stall_disk(cl, leader, false);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node_cluster");
    TCase *t = tcase_create("three members");
    tcase_set_timeout(t, 20);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, any_member_takes_writes);
    tcase_add_test(t, a_bad_network_doubles_no_write);
    tcase_add_test(t, a_broken_link_to_the_leader_loses_no_write);
    tcase_add_test(t, a_connection_keeps_its_order_at_a_follower);
    tcase_add_test(t, an_age_is_a_bound);
    tcase_add_loop_test(t, an_idle_member_knows_its_age, 0, 2);
    tcase_add_test(t, a_killed_leader_is_a_short_delay);
    tcase_add_test(t, a_deposed_leader_sends_its_writes_on);
    tcase_add_test(t, a_retry_on_another_member_is_applied_once);
    tcase_add_test(t, shutdown_hands_leadership_over);
    tcase_add_test(t, a_minority_refuses_in_time_and_says_why);
    tcase_add_test(t, a_leader_cut_off_leaves_its_writes_in_doubt);
    tcase_add_test(t, a_member_that_is_not_heard_answers_too);
    tcase_add_test(t, hello_may_be_said_again_after_a_refusal);
    tcase_add_test(t, every_member_down_but_one);
    tcase_add_test(t, activity_at_a_follower_keeps_a_session);
    tcase_add_test(t, a_ping_is_never_answered_without_the_leader);
    tcase_add_test(t, an_answered_ping_buys_a_full_timeout);
    tcase_add_test(t, a_new_leader_gives_a_full_timeout);
    tcase_add_test(t, a_session_moves_between_members);
    tcase_add_test(t, a_write_through_the_old_attachment_is_void);
    tcase_add_test(t, a_watch_moves_between_members);
    tcase_add_test(t, a_full_log_is_cut_in_time);
    tcase_add_test(t, a_member_far_behind_gets_a_snapshot);
    tcase_add_test(t, a_snapshot_leaves_no_write_without_an_answer);
    tcase_add_test(t, all_members_restart);
    tcase_add_test(t, an_idle_ensemble_is_quiet);
    tcase_add_loop_test(t, a_follower_that_lags_is_served_from_the_disk, 0, 2);
    tcase_add_test(t, a_read_of_the_log_may_take_long);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
