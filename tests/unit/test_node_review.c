/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_review.c
 * Goal: promises of a member at their edges: expiry next to idle watches, PINGs whose TOUCH was lost, errors
 * that say "not applied", connections whose session could not be settled, the order of what a write
 * overtakes, one-shot watches and gaps.
 * Method: an ensemble of three (or one) in simulated time, faults placed by hand (node_cluster.h). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/node/peer_wire.h"
#include "tests/lib/node_fixture.h"

static struct coord_request watch_request(uint64_t watch, const char *path, uint32_t flags)
{
    return (struct coord_request){.op = COORD_OP_WATCH,
                                  .watch = watch,
                                  .path = bytes_of(path),
                                  .depth = COORD_DEPTH_SUBTREE,
                                  .kinds = COORD_CHANGE_CREATED | COORD_CHANGE_CHANGED |
                                           COORD_CHANGE_DELETED,
                                  .flags = flags};
}

static bool has_session(raft_id id, uint64_t session)
{
    struct machine_session s;
    return machine_session_get(node_machine(cluster_node(cl, id)), session, &s);
}

/* Writes at `id` until it has saved enough snapshots that the others need one of them. */
static void fill(raft_id id)
{
    struct cluster_client *c = greeted(id);
    for (int i = 0; i < 60; i++) {
        char path[16];
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_create(c, path, "", 0), 0);
    }
    client_close(c);
}

/* `third` hears nobody, but is heard. */
static void deafen(void)
{
    cluster_cut_one_way(cl, leader, third);
    cluster_cut_one_way(cl, follower, third);
}

static void small_logs(void)
{
    options.node.snapshot_entries = 10;
    options.node.raft.log_slots = 64;
}

/* --- expiry and PING -------------------------------------------------------------------------- */

/* Writes that come now and then, on a member with a watch, are no sign that its loop stood still. */
START_TEST(a_session_expires_while_others_write)
{
    options.members = 1;
    begin();
    struct cluster_client *w = greeted(leader);
    struct coord_request q = watch_request(1, "/", 0);
    ck_assert_int_eq(client_call(w, &q, NULL), 0);
    struct cluster_client *s = client_connect(cl, leader);
    uint64_t session = client_open_session(s, 5000, NULL);
    ck_assert_uint_ne(session, 0);
    client_close(s);
    for (int i = 0; i < 4; i++) {
        char path[16];
        (void)snprintf(path, sizeof(path), "/%d", i);
        ck_assert(has_session(leader, session) == (i < 3));
        cluster_run(cl, 2 * CLUSTER_S);
        ck_assert_int_eq(client_create(w, path, "", 0), 0);
    }
    ck_assert_uint_eq(cluster_log_count(cl, leader, "stood still"), 0);
}
END_TEST

/* The loop was late by less than counts as a pause: what came before the deadline is read before the
 * session is judged. */
START_TEST(what_came_in_time_counts_first)
{
    options.members = 1;
    begin();
    struct cluster_client *c = client_connect(cl, leader);
    uint64_t session = client_open_session(c, 2000, NULL);
    uint64_t opened = cluster_now(cl);
    cluster_run(cl, 1900 * CLUSTER_MS);
    cluster_pause(cl, leader, 200 * CLUSTER_MS);
    cluster_run(cl, 50 * CLUSTER_MS);
    struct coord_request q = {.op = COORD_OP_PING};
    struct coord_result res;
    (void)client_send(c, &q);
    ck_assert_uint_lt(cluster_now(cl), opened + 2 * CLUSTER_S);
    ck_assert_int_eq(client_wait(c, q.number, q.op, &res, CLUSTER_S), 0);
    ck_assert(has_session(leader, session));
}
END_TEST

/* The TOUCH of a PING is lost, that of a later PING arrives: the answer to the later one says nothing of
 * the earlier one. */
START_TEST(a_lost_touch_is_not_confirmed_by_the_next)
{
    begin();
    struct cluster_client *a = client_connect(cl, follower);
    struct cluster_client *b = client_connect(cl, follower);
    uint64_t session = client_open_session(a, 2000, NULL);
    ck_assert_uint_ne(client_open_session(b, 2000, NULL), 0);
    cluster_run(cl, 1500 * CLUSTER_MS);
    uint64_t sent = cluster_now(cl);
    struct coord_request qa = {.op = COORD_OP_PING};
    struct coord_request qb = {.op = COORD_OP_PING};
    cluster_cut_one_way(cl, follower, leader);
    (void)client_send(a, &qa);
    cluster_run(cl, 3 * CLUSTER_MS);
    cluster_heal(cl);
    (void)client_send(b, &qb);
    struct coord_result res;
    ck_assert_int_eq(client_wait(b, qb.number, COORD_OP_PING, &res, CLUSTER_S), 0);
    ck_assert_int_eq(client_wait(a, qa.number, COORD_OP_PING, &res, CLUSTER_S), 0);
    cluster_run(cl, sent + 1990 * CLUSTER_MS - cluster_now(cl));
    ck_assert(has_session(leader, session));
    cluster_run(cl, 500 * CLUSTER_MS);
    ck_assert(!has_session(leader, session));
}
END_TEST

/* A connection gives its session up and opens another: what the first was noted for does not count for
 * the second. */
START_TEST(a_ping_counts_for_the_session_it_is_of)
{
    begin();
    struct cluster_client *c = client_connect(cl, follower);
    ck_assert_uint_ne(client_open_session(c, 2000, NULL), 0);
    cluster_run(cl, 500 * CLUSTER_MS);
    struct coord_request close = {.op = COORD_OP_SESSION_CLOSE};
    struct coord_request open = {.op = COORD_OP_SESSION_OPEN, .timeout_ms = 2000};
    struct coord_request ping = {.op = COORD_OP_PING};
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &close, NULL), 0);
    ck_assert_int_eq(client_call(c, &open, &res), 0);
    uint64_t session = res.session;
    cluster_run(cl, 80 * CLUSTER_MS);
    uint64_t sent = cluster_now(cl);
    ck_assert_int_eq(client_call(c, &ping, NULL), 0);
    cluster_run(cl, sent + 1990 * CLUSTER_MS - cluster_now(cl));
    ck_assert(has_session(leader, session));
}
END_TEST

/* A member that has stopped has nothing to be in time for. */
START_TEST(a_faulted_member_rests)
{
    begin();
    struct cluster_client *c = client_connect(cl, follower);
    ck_assert_uint_ne(client_open_session(c, 10000, NULL), 0);
    struct coord_request q[3] = {get_request("/", COORD_LEVEL_LOCAL, 0), create_request("/a", 0),
                                 get_request("/", COORD_LEVEL_LINEARIZABLE, 0)};
    for (int i = 0; i < 3; i++) {
        (void)client_send(c, &q[i]);
    }
    cluster_run(cl, 0);
    node_io_failed(cluster_node(cl, follower), "fdatasync: Input/output error", cluster_now(cl));
    uint64_t now = cluster_now(cl);
    for (int i = 0; i < 20; i++) {
        bool more = false;
        now += 100 * CLUSTER_MS;
        node_run(cluster_node(cl, follower), now, 1, &more);
        ck_assert(!more);
        ck_assert_uint_gt(node_deadline(cluster_node(cl, follower)), now);
    }
}
END_TEST

/* --- connections whose session could not be settled ------------------------------------------- */

/* No disk has room, or all have again; the leader last, knowing of the others: else it would hand over to one
 * that has room. */
static void disks_have_room(bool room)
{
    for (raft_id id = 1; id <= 3; id++) {
        if (id != leader) {
            node_disk_room(cluster_node(cl, id), room, cluster_now(cl));
        }
    }
    cluster_run(cl, 300 * CLUSTER_MS);
    node_disk_room(cluster_node(cl, leader), room, cluster_now(cl));
}

/* SESSION_OPEN and writes behind it, refused for want of room: all are answered, and the connection goes
 * on when there is room again. */
static void open_on_a_full_disk(raft_id id)
{
    struct cluster_client *c = greeted(id);
    struct coord_request open = {.op = COORD_OP_SESSION_OPEN, .timeout_ms = 10000};
    struct coord_request held = create_request("/e", COORD_F_EPHEMERAL | COORD_F_SEQUENTIAL);
    struct coord_request ping = {.op = COORD_OP_PING};
    struct coord_result res;
    disks_have_room(false);
    (void)client_send(c, &open);
    (void)client_send(c, &held);
    (void)client_send(c, &ping);
    ck_assert_int_eq(client_wait(c, open.number, open.op, &res, CLUSTER_S), COORD_ENOSPACE);
    ck_assert_int_eq(client_wait(c, held.number, held.op, &res, CLUSTER_S), COORD_ENOSPACE);
    ck_assert_int_eq(client_wait(c, ping.number, ping.op, &res, CLUSTER_S), COORD_ENOSPACE);
    disks_have_room(true);
    open.number = held.number = ping.number = 0;
    ck_assert_int_eq(client_call(c, &open, &res), 0);
    ck_assert_int_eq(client_call(c, &held, NULL), 0);
    ck_assert_int_eq(client_call(c, &ping, NULL), 0);
}

START_TEST(a_session_refused_by_a_full_disk_may_be_asked_for_again)
{
    begin();
    open_on_a_full_disk(leader);
    open_on_a_full_disk(follower);
}
END_TEST

START_TEST(a_hello_refused_by_a_full_disk_may_be_said_again)
{
    begin();
    uint8_t secret[COORD_SECRET_BYTES];
    struct cluster_client *c = client_connect(cl, leader);
    uint64_t session = client_open_session(c, 30000, secret);
    raft_id ids[2] = {leader, follower};
    for (int i = 0; i < 2; i++) {
        struct cluster_client *d = client_connect(cl, ids[i]);
        disks_have_room(false);
        ck_assert_int_eq(client_resume(d, session, secret, NULL), COORD_ENOSPACE);
        disks_have_room(true);
        ck_assert_int_eq(client_resume(d, session, secret, NULL), 0);
        ck_assert_int_eq(client_ping(d), 0);
    }
}
END_TEST

/* However many writes are refused at once, each is told. */
START_TEST(every_refused_write_hears_of_it)
{
    begin();
    struct cluster_client *c = greeted(follower);
    struct coord_request q[400];
    struct coord_result res;
    disks_have_room(false);
    for (int i = 0; i < 400; i++) {
        q[i] = create_request("/x", COORD_F_SEQUENTIAL);
        (void)client_send(c, &q[i]);
    }
    for (int i = 0; i < 400; i++) {
        ck_assert_int_eq(client_wait(c, q[i].number, q[i].op, &res, CLUSTER_S), COORD_ENOSPACE);
    }
}
END_TEST

static uint64_t send_sized(struct cluster_client *c, const uint8_t *data, uint32_t bytes)
{
    struct coord_request q = create_request("/x", COORD_F_SEQUENTIAL);
    q.data = (struct coord_bytes){data, bytes};
    return client_send(c, &q);
}

/* When the leader has no room for more of what others forward, nothing is refused: the rest waits where it came
 * in, and all is applied once room is made. */
START_TEST(every_write_too_many_waits)
{
    static uint8_t data[1000000];
    options.node.raft.disk_stall = 60 * CLUSTER_S;
    options.node.raft.uncommitted_bytes_max = 1u << 20;
    begin();
    struct cluster_client *c = greeted(follower);
    uint64_t numbers[400];
    struct coord_result res;
    for (raft_id id = 1; id <= 3; id++) {
        cluster_stall_disk(cl, id, true);
    }
    for (uint32_t bytes = sizeof(data); bytes >= 1000; bytes /= 10) {
        for (int i = 0; i < 70; i++) {
            (void)send_sized(c, data, bytes);
        }
        cluster_run(cl, 5 * CLUSTER_MS);
    }
    for (int i = 0; i < 400; i++) {
        numbers[i] = send_sized(c, data, 1000);
    }
    cluster_run(cl, 400 * CLUSTER_MS);
    for (raft_id id = 1; id <= 3; id++) {
        cluster_stall_disk(cl, id, false);
    }
    for (int i = 0; i < 400; i++) {
        int error = client_wait(c, numbers[i], COORD_OP_CREATE, &res, 2 * CLUSTER_S);
        ck_assert_msg(error == 0, "%d: %s", i, coord_errname(error));
    }
}
END_TEST

/* SESSION_OPEN may be inside a snapshot that was installed: in doubt, and the connection goes on. */
START_TEST(a_session_in_doubt_leaves_nothing_waiting)
{
    small_logs();
    begin();
    struct cluster_client *c = greeted(third);
    struct coord_request open = {.op = COORD_OP_SESSION_OPEN, .timeout_ms = 10000};
    struct coord_request held = create_request("/e", COORD_F_EPHEMERAL | COORD_F_SEQUENTIAL);
    struct coord_result res;
    deafen();
    (void)client_send(c, &open);
    (void)client_send(c, &held);
    cluster_run(cl, 10 * CLUSTER_MS);
    fill(leader);
    cluster_heal(cl);
    ck_assert_int_eq(client_wait(c, open.number, open.op, &res, 2 * CLUSTER_S), COORD_EINDOUBT);
    ck_assert_uint_ge(cluster_log_count(cl, third, "snapshot installed"), 1);
    int error = client_wait(c, held.number, held.op, &res, 2 * CLUSTER_S);
    ck_assert_int_eq(coord_errclass(error), COORD_NOT_APPLIED);
    open.number = held.number = 0;
    ck_assert_int_eq(client_call(c, &open, &res), 0);
    ck_assert_int_eq(client_call(c, &held, &res), 0);
}
END_TEST

/* The entry of a HELLO stands behind a snapshot that is installed: whatever is answered, no second entry
 * of it throws the connection out of its own session. */
START_TEST(a_hello_behind_a_snapshot_attaches_once)
{
    small_logs();
    begin();
    uint8_t secret[COORD_SECRET_BYTES];
    struct cluster_client *c = client_connect(cl, leader);
    uint64_t session = client_open_session(c, 30000, secret);
    client_close(c);
    deafen();
    fill(leader);
    struct cluster_client *d = client_connect(cl, third);
    struct coord_request hello = {.op = COORD_OP_HELLO,
                                  .version = COORD_PROTOCOL_VERSION,
                                  .session = session,
                                  .secret = {secret, COORD_SECRET_BYTES}};
    struct coord_result res;
    (void)client_send(d, &hello);
    cluster_run(cl, 10 * CLUSTER_MS);
    cluster_heal(cl);
    int error = client_wait(d, hello.number, hello.op, &res, 2 * CLUSTER_S);
    ck_assert_uint_ge(cluster_log_count(cl, third, "snapshot installed"), 1);
    if (error != 0) {
        ck_assert_int_eq(coord_errclass(error), COORD_UNKNOWN);
        ck_assert_int_eq(client_resume(d, session, secret, NULL), 0);
    }
    cluster_run(cl, CLUSTER_S);
    ck_assert(d->open);
    ck_assert_int_eq(client_ping(d), 0);
}
END_TEST

/* --- errors that say "not applied" ------------------------------------------------------------ */

/* Its session moved while the member saw nothing: what it had sent was applied all the same. */
START_TEST(a_write_inside_a_snapshot_is_not_called_moved)
{
    small_logs();
    begin();
    uint8_t secret[COORD_SECRET_BYTES];
    struct cluster_client *c = client_connect(cl, third);
    uint64_t session = client_open_session(c, 60000, secret);
    struct coord_request q = create_request("/w", 0);
    struct coord_result res;
    deafen();
    (void)client_send(c, &q);
    cluster_run(cl, 10 * CLUSTER_MS);
    struct cluster_client *d = client_connect(cl, leader);
    ck_assert_int_eq(client_get(greeted(leader), "/w", ""), 0);
    ck_assert_int_eq(client_resume(d, session, secret, NULL), 0);
    fill(leader);
    cluster_heal(cl);
    ck_assert_int_eq(client_wait(c, q.number, q.op, &res, 2 * CLUSTER_S), COORD_EINDOUBT);
    ck_assert_uint_ge(cluster_log_count(cl, third, "snapshot installed"), 1);
}
END_TEST

/* The session keeps as many answers as it may, so the machine has no room for one more, and remembers nothing
 * of the write. Sent again from behind a snapshot it is refused once more; but the first copy may still be
 * under way to the leader, and is then carried out as soon as there is room: as this shows, by sending it. */
START_TEST(a_write_without_room_for_its_answer_is_not_called_refused)
{
    small_logs();
    options.node.machine.answers = 16;
    begin();
    uint8_t secret[COORD_SECRET_BYTES];
    struct cluster_client *c = client_connect(cl, third);
    uint64_t session = client_open_session(c, 60000, secret);
    uint64_t before = c->next_number;
    for (int i = 0; i < 16; i++) {
        ck_assert_int_eq(client_create(c, "/kept", "", COORD_F_SEQUENTIAL), 0);
    }
    struct coord_request q = create_request("/w", 0);
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &q, &res), COORD_EBUSY); /* nothing is in doubt yet */
    q.number = 0;
    deafen();
    (void)client_send(c, &q);
    cluster_run(cl, 10 * CLUSTER_MS);
    fill(leader);
    cluster_heal(cl);
    ck_assert_int_eq(client_wait(c, q.number, q.op, &res, 2 * CLUSTER_S), COORD_EINDOUBT);
    ck_assert_uint_ge(cluster_log_count(cl, third, "snapshot installed"), 1);
    ck_assert_int_eq(client_get(greeted(leader), "/w", ""), COORD_ENONODE);
    struct cluster_client *d = client_connect(cl, leader);
    ck_assert_int_eq(client_resume(d, session, secret, NULL), 0);
    q.acked = before + 8; /* there is room */
    ck_assert_int_eq(client_call(d, &q, &res), 0);
}
END_TEST

static bool installed(void *arg)
{
    (void)arg;
    return cluster_log_count(cl, third, "snapshot installed") > 0;
}

/* The write is inside a snapshot, waits to be sent again to hear its answer, and the majority is lost. */
START_TEST(a_write_inside_a_snapshot_is_not_called_refused)
{
    small_logs();
    begin();
    struct cluster_client *c = client_connect(cl, third);
    ck_assert_uint_ne(client_open_session(c, 60000, NULL), 0);
    struct coord_request q = create_request("/w", 0);
    struct coord_result res;
    deafen();
    (void)client_send(c, &q);
    cluster_run(cl, 10 * CLUSTER_MS);
    ck_assert_int_eq(client_get(greeted(leader), "/w", ""), 0);
    fill(leader);
    cluster_heal(cl);
    /* The link on which it would be sent again is down when it is to be. */
    node_peer_link(cluster_node(cl, third), leader, false, cluster_now(cl));
    ck_assert(cluster_run_until(cl, installed, NULL, 2 * CLUSTER_S));
    ck_assert(!client_has(c, q.number));
    cluster_isolate(cl, third, false);
    ck_assert_int_eq(client_wait(c, q.number, q.op, &res, 5 * CLUSTER_S), COORD_EINDOUBT);
}
END_TEST

/* --- order ------------------------------------------------------------------------------------ */

/* A write that overtakes WATCH, UNWATCH, WATCH leaves them in their order. */
START_TEST(a_write_does_not_turn_watches_around)
{
    begin();
    struct cluster_client *c = greeted(follower);
    struct coord_request q[7] = {get_request("/", COORD_LEVEL_LINEARIZABLE, 0),
                                 watch_request(7, "/", 0),
                                 {.op = COORD_OP_UNWATCH, .watch = 7},
                                 watch_request(7, "/w", 0),
                                 create_request("/w", 0),
                                 create_request("/w/x", 0),
                                 create_request("/w/y", 0)};
    struct coord_result res;
    /* No read round is confirmed for a while, but writes are: its READ is lost. */
    cluster_cut_one_way(cl, follower, leader);
    for (int i = 0; i < 4; i++) {
        (void)client_send(c, &q[i]);
    }
    cluster_run(cl, 2 * CLUSTER_MS);
    cluster_heal(cl);
    (void)client_send(c, &q[4]);
    (void)client_send(c, &q[5]);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(client_wait(c, q[i].number, q[i].op, &res, 2 * CLUSTER_S), 0);
    }
    ck_assert_int_eq(client_call(c, &q[6], &res), 0);
    struct coord_event ev;
    ck_assert(client_event(c, 2, &ev, NULL));
    ck_assert_uint_eq(ev.watch, 7);
    ck_assert_uint_eq(ev.revision, res.receipt.revision);
}
END_TEST

/* Likewise when the write waits to be sent again while its first entry is applied. */
START_TEST(a_read_does_not_see_a_write_behind_it)
{
    small_logs();
    begin();
    struct cluster_client *c = client_connect(cl, third);
    ck_assert_uint_ne(client_open_session(c, 30000, NULL), 0);
    deafen();
    fill(leader);
    struct coord_request q[2] = {get_request("/w", COORD_LEVEL_LINEARIZABLE, 0),
                                 create_request("/w", 0)};
    struct coord_result res;
    (void)client_send(c, &q[0]);
    (void)client_send(c, &q[1]);
    cluster_run(cl, 10 * CLUSTER_MS);
    cluster_heal(cl);
    node_peer_link(cluster_node(cl, third), leader, false, cluster_now(cl));
    ck_assert(cluster_run_until(cl, installed, NULL, 2 * CLUSTER_S));
    ck_assert_int_eq(client_wait(c, q[0].number, q[0].op, &res, 2 * CLUSTER_S), COORD_ENONODE);
    node_peer_link(cluster_node(cl, third), leader, true, cluster_now(cl));
    ck_assert_int_eq(client_wait(c, q[1].number, q[1].op, &res, 2 * CLUSTER_S), 0);
}
END_TEST

/* The revisions of replies never go back, also where a write overtakes what was asked before it. */
START_TEST(revisions_on_a_connection_never_go_back)
{
    begin();
    struct cluster_client *c = client_connect(cl, follower);
    ck_assert_uint_ne(client_open_session(c, 10000, NULL), 0);
    struct coord_request q[6] = {
        {.op = COORD_OP_PING},   {.op = COORD_OP_SYNC},   get_request("/", COORD_LEVEL_LOCAL, 0),
        {.op = COORD_OP_STATUS}, create_request("/a", 0), create_request("/b", 0)};
    struct coord_result res;
    cluster_cut_one_way(cl, follower, leader);
    for (int i = 0; i < 4; i++) {
        (void)client_send(c, &q[i]);
    }
    cluster_run(cl, 2 * CLUSTER_MS);
    cluster_heal(cl);
    (void)client_send(c, &q[4]);
    (void)client_send(c, &q[5]);
    uint64_t last = 0;
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(client_wait(c, q[i].number, q[i].op, &res, 2 * CLUSTER_S), 0);
        ck_assert_uint_ge(res.receipt.revision, last);
        last = res.receipt.revision;
    }
}
END_TEST

/* --- watches ---------------------------------------------------------------------------------- */

/* A gap is no change: a one-shot watch goes on behind it, and fires once. */
START_TEST(a_gap_does_not_use_up_a_watch)
{
    small_logs();
    begin();
    struct cluster_client *c = greeted(third);
    struct coord_request q = watch_request(1, "/w", COORD_WATCH_ONCE);
    ck_assert_int_eq(client_call(c, &q, NULL), 0);
    cluster_isolate(cl, third, true);
    fill(leader);
    cluster_heal(cl);
    ck_assert(cluster_run_until(cl, installed, NULL, 2 * CLUSTER_S));
    struct cluster_client *d = greeted(leader);
    ck_assert_int_eq(client_create(d, "/w", "", 0), 0);
    ck_assert_int_eq(client_set(d, "/w", "1"), 0);
    ck_assert(cluster_wait_equal(cl, CLUSTER_S));
    struct coord_event ev;
    ck_assert(client_event(c, 0, &ev, NULL));
    ck_assert_int_eq((int)ev.state, COORD_EVENT_GAP);
    ck_assert(client_event(c, 1, &ev, NULL));
    ck_assert_int_eq((int)ev.state, COORD_EVENT_CHANGES);
    ck_assert(!client_event(c, 2, &ev, NULL));
}
END_TEST

/* The reply to a WATCH waits for those in front of it; events that leave meanwhile come behind the gap. */
START_TEST(a_gap_is_told_before_what_comes_behind_it)
{
    small_logs();
    begin();
    cluster_isolate(cl, third, true);
    fill(leader);
    cluster_heal(cl);
    ck_assert(cluster_run_until(cl, installed, NULL, 2 * CLUSTER_S));
    struct cluster_client *c = greeted(third);
    struct coord_request q[3] = {watch_request(2, "/x", 0), watch_request(1, "/w", 0),
                                 create_request("/w", 0)};
    struct coord_result res;
    q[0].revision = q[1].revision = 1;
    cluster_cut_one_way(cl, third,
                        leader); /* the round they wait for is lost: the write is faster */
    (void)client_send(c, &q[0]);
    (void)client_send(c, &q[1]);
    cluster_run(cl, 2 * CLUSTER_MS);
    cluster_heal(cl);
    (void)client_send(c, &q[2]);
    ck_assert_int_eq(client_wait(c, q[2].number, q[2].op, &res, 2 * CLUSTER_S), 0);
    ck_assert_int_eq(client_wait(c, q[1].number, q[1].op, &res, 2 * CLUSTER_S), 0);
    ck_assert(res.gap);
    struct coord_event ev;
    uint32_t gap_at;
    uint32_t change_at;
    ck_assert(client_event(c, 0, &ev, &gap_at));
    if (ev.state == COORD_EVENT_GAP) {
        ck_assert_uint_eq(ev.revision, res.revision);
        ck_assert(client_event(c, 1, &ev, &change_at));
    } else {
        change_at = gap_at;
        gap_at = client_position(c, q[1].number); /* the reply itself was in time */
    }
    ck_assert_int_eq((int)ev.state, COORD_EVENT_CHANGES);
    ck_assert_uint_lt(gap_at, change_at);
}
END_TEST

/* --- hostile peers ---------------------------------------------------------------------------- */

/* A leader's entry for the state machine without a single byte changes nothing and stops nobody. */
START_TEST(an_empty_entry_stops_nobody)
{
    begin();
    struct raft_status st;
    raft_status(node_raft(cluster_node(cl, follower)), &st);
    struct raft_entry meta = {.term = st.term + 5, .bytes = 0, .type = RAFT_ENTRY_COMMAND};
    struct raft_msg m = {.type = RAFT_MSG_APPEND,
                         .from = leader,
                         .to = follower,
                         .count = 1,
                         .term = st.term + 5,
                         .seq = 1,
                         .index = st.last,
                         .log_term =
                             raft_entry_at(node_raft(cluster_node(cl, follower)), st.last)->term,
                         .commit = st.last + 1};
    struct coord_buf *b = peer_raft_encode(&m, &meta, NULL);
    ck_assert_ptr_nonnull(b);
    node_peer_frame(cluster_node(cl, follower), leader, b, cluster_now(cl));
    bool more = true;
    for (int i = 0; i < 100 && more; i++) {
        node_run(cluster_node(cl, follower), cluster_now(cl), 1, &more);
    }
    struct machine_stats stats;
    machine_stats(node_machine(cluster_node(cl, follower)), &stats);
    cluster_run(cl, 5 * CLUSTER_MS);
    machine_stats(node_machine(cluster_node(cl, follower)), &stats);
    ck_assert_uint_ge(stats.revision, st.last + 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node_review");
    TCase *t = tcase_create("edges");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_session_expires_while_others_write);
    tcase_add_test(t, what_came_in_time_counts_first);
    tcase_add_test(t, a_lost_touch_is_not_confirmed_by_the_next);
    tcase_add_test(t, a_ping_counts_for_the_session_it_is_of);
    tcase_add_test(t, a_faulted_member_rests);
    tcase_add_test(t, a_session_refused_by_a_full_disk_may_be_asked_for_again);
    tcase_add_test(t, a_hello_refused_by_a_full_disk_may_be_said_again);
    tcase_add_test(t, every_refused_write_hears_of_it);
    tcase_add_test(t, every_write_too_many_waits);
    tcase_add_test(t, a_session_in_doubt_leaves_nothing_waiting);
    tcase_add_test(t, a_hello_behind_a_snapshot_attaches_once);
    tcase_add_test(t, a_write_inside_a_snapshot_is_not_called_moved);
    tcase_add_test(t, a_write_inside_a_snapshot_is_not_called_refused);
    tcase_add_test(t, a_write_without_room_for_its_answer_is_not_called_refused);
    tcase_add_test(t, a_write_does_not_turn_watches_around);
    tcase_add_test(t, a_read_does_not_see_a_write_behind_it);
    tcase_add_test(t, revisions_on_a_connection_never_go_back);
    tcase_add_test(t, a_gap_does_not_use_up_a_watch);
    tcase_add_test(t, a_gap_is_told_before_what_comes_behind_it);
    tcase_add_test(t, an_empty_entry_stops_nobody);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
