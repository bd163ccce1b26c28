/* SPDX-License-Identifier: Apache-2.0 */
/* test_node.c
 * Goal: one member alone: requests at the level of protocol bytes, their order, refusals,
 * back-pressure, restart, shutdown, faults. Sessions and watches: test_node_session.c.
 * Method: an ensemble of one in simulated time (node_cluster.h). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/node/peer_wire.h"
#include "tests/lib/node_cluster.h"

static struct cluster *cl;
static struct cluster_options options;

static void setup(void)
{
    cluster_options_init(&options, 1);
}

static void begin(void)
{
    cl = cluster_create(&options);
    ck_assert_uint_eq(cluster_wait_leader(cl, 5 * CLUSTER_S), 1);
}

static void teardown(void)
{
    if (cl != NULL) {
        cluster_destroy(cl);
    }
    cl = NULL;
}

static struct cluster_client *greeted(void)
{
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_int_eq(client_hello(c), 0);
    return c;
}

static struct coord_request get_request(const char *path, enum coord_level level, uint64_t arg)
{
    return (struct coord_request){
        .op = COORD_OP_GET, .path = bytes_of(path), .level = level, .level_arg = arg};
}

static struct coord_request set_request(const char *path, const char *data)
{
    return (struct coord_request){.op = COORD_OP_SET,
                                  .path = bytes_of(path),
                                  .data = bytes_of(data),
                                  .expect_version = COORD_VERSION_ANY};
}

static bool text_has(const struct coord_result *res, const char *part)
{
    char text[512] = "";
    size_t len = res->text.len < sizeof(text) - 1 ? res->text.len : sizeof(text) - 1;
    memcpy(text, res->text.data, len);
    return strstr(text, part) != NULL;
}

static bool data_is(const struct coord_result *res, const char *s)
{
    return res->data.len == strlen(s) && memcmp(res->data.data, s, res->data.len) == 0;
}

/* --- serving ---------------------------------------------------------------------------------- */

START_TEST(write_and_read)
{
    begin();
    struct cluster_client *c = greeted();
    ck_assert_int_eq(client_create(c, "/a", "one", 0), 0);
    ck_assert_int_eq(client_get(c, "/a", "one"), 0);
    ck_assert_int_eq(client_set(c, "/a", "two"), 0);
    ck_assert_int_eq(client_get(c, "/a", "two"), 0);
    ck_assert_int_eq(client_create(c, "/a", "three", 0), COORD_EEXISTS);
    ck_assert_int_eq(client_get(c, "/none", ""), COORD_ENONODE);
}
END_TEST

START_TEST(replies_keep_the_order_of_requests)
{
    begin();
    struct cluster_client *c = greeted();
    ck_assert_int_eq(client_create(c, "/a", "0", 0), 0);
    uint32_t before = c->frames;
    uint64_t first = c->next_number + 1;
    for (int i = 0; i < 60; i++) {
        struct coord_request q = {.op = COORD_OP_STATUS};
        if (i % 5 == 0) {
            q = set_request("/a", "x");
        } else if (i % 5 == 1) {
            q = get_request("/a", COORD_LEVEL_LINEARIZABLE, 0);
        } else if (i % 5 == 2) {
            q = get_request("/a", COORD_LEVEL_LOCAL, 0);
        } else if (i % 5 == 3) {
            q = get_request("no path", COORD_LEVEL_LOCAL, 0);
        }
        (void)client_send(c, &q);
    }
    cluster_run(cl, CLUSTER_S);
    ck_assert_uint_eq(c->frames, before + 60);
    for (uint32_t i = 0; i < 60; i++) {
        ck_assert_uint_eq(client_position(c, first + i), before + i);
    }
}
END_TEST

/* A pipelined read never sees the write behind it, and always the one before it, whatever is done
 * first inside. */
START_TEST(reads_and_writes_of_a_connection_keep_their_order)
{
    begin();
    struct cluster_client *c = greeted();
    ck_assert_int_eq(client_create(c, "/a", "0", 0), 0);
    enum { ROUNDS = 40 };
    uint64_t reads[ROUNDS];
    char values[ROUNDS][16];
    for (int i = 0; i < ROUNDS; i++) {
        enum coord_level level = i % 2 == 0 ? COORD_LEVEL_LINEARIZABLE : COORD_LEVEL_LOCAL;
        struct coord_request g = get_request("/a", level, 0);
        reads[i] = client_send(c, &g);
        (void)snprintf(values[i], sizeof(values[i]), "%d", i + 1);
        struct coord_request s = set_request("/a", values[i]);
        (void)client_send(c, &s);
    }
    for (int i = 0; i < ROUNDS; i++) {
        struct coord_result res;
        ck_assert_int_eq(client_wait(c, reads[i], COORD_OP_GET, &res, CLUSTER_S), 0);
        ck_assert(data_is(&res, i == 0 ? "0" : values[i - 1]));
    }
}
END_TEST

START_TEST(receipt_tells_who_answered_and_how)
{
    begin();
    struct cluster_client *c = greeted();
    struct coord_result res;
    struct coord_request q = {.op = COORD_OP_CREATE, .path = bytes_of("/a")};
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    uint64_t revision = res.stat.create_revision;
    ck_assert_uint_eq(res.receipt.member, 1);
    ck_assert_uint_eq(res.receipt.role, RAFT_LEADER);
    ck_assert_uint_ge(res.receipt.term, 1);
    ck_assert_uint_ge(res.receipt.revision, revision);
    q = get_request("/a", COORD_LEVEL_SESSION, revision);
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_int_eq(res.receipt.level, COORD_LEVEL_SESSION);
    q = get_request("/a", COORD_LEVEL_LOCAL, 0);
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_int_eq(res.receipt.level, COORD_LEVEL_LOCAL);
    /* The last write bounds the age: it arrived a moment ago. */
    ck_assert_uint_le(res.receipt.age_ms, 5);
    cluster_run(cl, 3 * CLUSTER_S);
    q.number = 0;
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    /* It needs nobody to know that no other leads; a member of several: test_node_cluster. */
    ck_assert_uint_le(res.receipt.age_ms, 5);
    q = get_request("/a", COORD_LEVEL_LINEARIZABLE, 0);
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_le(res.receipt.age_ms, 5);
}
END_TEST

START_TEST(bounded_and_session_levels)
{
    begin();
    struct cluster_client *c = greeted();
    struct coord_result res;
    ck_assert_int_eq(client_create(c, "/a", "1", 0), 0);
    cluster_run(cl, 2 * CLUSTER_S);
    struct coord_request q = get_request("/a", COORD_LEVEL_BOUNDED, 100);
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_le(res.receipt.age_ms, 100);
    q = get_request("/a", COORD_LEVEL_SESSION, 1000000);
    uint64_t before = cluster_now(cl);
    ck_assert_int_eq(client_call(c, &q, &res), COORD_ETOOSTALE);
    uint64_t waited = cluster_now(cl) - before;
    ck_assert_uint_ge(waited, options.node.raft.election_max);
    ck_assert_uint_le(waited, options.node.raft.election_max + 100 * CLUSTER_MS);
}
END_TEST

START_TEST(sync_tells_the_revision)
{
    begin();
    struct cluster_client *c = greeted();
    struct coord_result res;
    struct coord_request q = {.op = COORD_OP_CREATE, .path = bytes_of("/a")};
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    uint64_t revision = res.stat.create_revision;
    q = (struct coord_request){.op = COORD_OP_SYNC};
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_ge(res.revision, revision);
}
END_TEST

START_TEST(status_tells_the_state)
{
    begin();
    struct cluster_client *c = greeted();
    struct coord_result res;
    ck_assert_int_eq(client_create(c, "/a", "1", 0), 0);
    struct coord_request q = {.op = COORD_OP_STATUS};
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_eq(res.status.member, 1);
    ck_assert_uint_eq(res.status.leader, 1);
    ck_assert_uint_eq(res.status.role, RAFT_LEADER);
    ck_assert_uint_eq(res.status.needed, 1);
    ck_assert_uint_eq(res.status.reachable, 1);
    ck_assert_uint_eq(res.status.no_quorum_ms, 0);
    ck_assert_uint_eq(res.status.connections, 1);
    ck_assert_uint_eq(res.status.commit, res.status.applied);
    ck_assert_uint_eq(res.status.members_count, 1);
    ck_assert(res.status.fault.data == NULL);
}
END_TEST

/* --- refusals --------------------------------------------------------------------------------- */

START_TEST(a_connection_begins_with_hello)
{
    begin();
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_int_eq(client_get(c, "/", ""), COORD_EBADREQUEST);
    ck_assert(!c->open);
    struct cluster_client *d = greeted();
    ck_assert_int_eq(client_hello(d), COORD_EBADREQUEST);
    ck_assert(d->open);
}
END_TEST

START_TEST(another_protocol_version_is_refused)
{
    begin();
    struct cluster_client *c = client_connect(cl, 1);
    struct coord_request q = {.op = COORD_OP_HELLO, .version = 99, .client = bytes_of("new")};
    ck_assert_int_eq(client_call(c, &q, NULL), COORD_EVERSION);
    ck_assert(!c->open);
}
END_TEST

START_TEST(a_malformed_request_keeps_the_connection)
{
    begin();
    struct cluster_client *c = greeted();
    static const uint8_t no_arguments[] = {0x93, 0x4d, 0x06, 0x00}; /* [77, GET, 0] */
    static const uint8_t bad_operation[] = {0x93, 0x4e, 0x60, 0x00};
    struct coord_result res;
    client_send_raw(c, no_arguments, sizeof(no_arguments));
    client_send_raw(c, bad_operation, sizeof(bad_operation));
    ck_assert_int_eq(client_wait(c, 77, COORD_OP_GET, &res, CLUSTER_S), COORD_EBADREQUEST);
    ck_assert_uint_gt(res.text.len, 0);
    ck_assert_int_eq(client_wait(c, 78, COORD_OP_GET, &res, CLUSTER_S), COORD_EBADREQUEST);
    ck_assert(c->open);
    ck_assert_int_eq(client_create(c, "/a", "1", 0), 0);
}
END_TEST

START_TEST(a_frame_without_a_number_ends_the_connection)
{
    static const uint8_t junk[] = {0xc1, 0xff, 0x00};
    begin();
    struct cluster_client *c = greeted();
    client_send_raw(c, junk, sizeof(junk));
    cluster_run(cl, 10 * CLUSTER_MS);
    ck_assert(!c->open);
    ck_assert_uint_eq(c->last->number, 0);
}
END_TEST

START_TEST(a_bad_frame_is_told_and_ends_the_connection)
{
    begin();
    struct cluster_client *c = greeted();
    uint32_t frames = c->frames;
    node_conn_bad(cluster_node(cl, 1), c->conn, "frame of 99 MiB", cluster_now(cl));
    bool more;
    node_run(cluster_node(cl, 1), cluster_now(cl), 1, &more);
    ck_assert(!c->open);
    ck_assert_uint_eq(c->frames, frames + 1);
    ck_assert_uint_eq(c->last->number, 0);
    ck_assert_uint_eq(cluster_log_count(cl, 1, "frame of 99 MiB"), 1);
}
END_TEST

START_TEST(bad_paths_and_sizes_never_reach_the_log)
{
    begin();
    struct cluster_client *c = greeted();
    struct raft_status before;
    struct raft_status after;
    raft_status(node_raft(cluster_node(cl, 1)), &before);
    ck_assert_int_eq(client_create(c, "relative", "1", 0), COORD_EBADPATH);
    ck_assert_int_eq(client_create(c, "/a//b", "1", 0), COORD_EBADPATH);
    ck_assert_int_eq(client_create(c, "/e", "1", COORD_F_EPHEMERAL), COORD_ENOSESSION);
    char *big = malloc((1u << 20) + 2);
    memset(big, 'x', (1u << 20) + 1);
    big[(1u << 20) + 1] = '\0';
    ck_assert_int_eq(client_create(c, "/a", big, 0), COORD_ETOOBIG);
    free(big);
    ck_assert_int_eq(client_ping(c), COORD_ENOSESSION);
    raft_status(node_raft(cluster_node(cl, 1)), &after);
    ck_assert_uint_eq(after.last, before.last);
}
END_TEST

START_TEST(the_demonstration_gate)
{
    begin();
    struct cluster_client *c = greeted();
    struct coord_result res;
    struct coord_request q = {.op = COORD_OP_PARTITION};
    ck_assert_int_eq(client_call(c, &q, &res), COORD_EDENIED);
    ck_assert(text_has(&res, "lab: true"));
    ck_assert_uint_eq(cluster_partition_count(cl, 1), UINT32_MAX);
    teardown();
    options.members = 3;
    options.node.lab = true;
    cl = cluster_create(&options);
    c = greeted();
    q = (struct coord_request){.op = COORD_OP_PARTITION, .members_count = 1, .members = {9}};
    ck_assert_int_eq(client_call(c, &q, &res), COORD_EBADREQUEST);
    q = (struct coord_request){.op = COORD_OP_PARTITION, .members_count = 2, .members = {2, 3}};
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_eq(cluster_partition_count(cl, 1), 2);
}
END_TEST

START_TEST(a_full_connection_is_paused)
{
    options.node.outstanding_max = 8;
    begin();
    struct cluster_client *c = greeted();
    ck_assert_int_eq(client_create(c, "/a", "0", 0), 0);
    uint64_t last = 0;
    for (int i = 0; i < 20; i++) {
        struct coord_request q = set_request("/a", "x");
        last = client_send(c, &q);
    }
    cluster_run(cl, 0);
    ck_assert(c->paused);
    struct coord_result res;
    ck_assert_int_eq(client_wait(c, last, COORD_OP_SET, &res, CLUSTER_S), 0);
    ck_assert(!c->paused);
}
END_TEST

START_TEST(a_connection_may_go_with_requests_under_way)
{
    begin();
    struct cluster_client *c = greeted();
    for (int i = 0; i < 10; i++) {
        char path[16];
        (void)snprintf(path, sizeof(path), "/n%d", i);
        struct coord_request q = {.op = COORD_OP_CREATE, .path = bytes_of(path)};
        (void)client_send(c, &q);
        struct coord_request g = get_request(path, COORD_LEVEL_LINEARIZABLE, 0);
        (void)client_send(c, &g);
        if (i == 4) {
            cluster_run(cl, 0); /* the first half is proposed */
        }
    }
    client_close(c);
    cluster_run(cl, CLUSTER_S);
    struct cluster_client *d = greeted();
    ck_assert_int_eq(client_get(d, "/n4", ""), 0);
    ck_assert_int_eq(client_get(d, "/n5", ""), COORD_ENONODE);
}
END_TEST

START_TEST(a_full_disk_refuses_writes_only)
{
    begin();
    struct cluster_client *c = greeted();
    ck_assert_int_eq(client_create(c, "/a", "1", 0), 0);
    node_disk_room(cluster_node(cl, 1), false, cluster_now(cl));
    ck_assert_int_eq(client_set(c, "/a", "2"), COORD_ENOSPACE);
    ck_assert_int_eq(client_get(c, "/a", "1"), 0);
    node_disk_room(cluster_node(cl, 1), true, cluster_now(cl));
    ck_assert_int_eq(client_set(c, "/a", "3"), 0);
}
END_TEST

START_TEST(a_full_window_holds_writes_back)
{
    options.node.raft.uncommitted_bytes_max = 2000;
    begin();
    struct cluster_client *c = greeted();
    ck_assert_int_eq(client_create(c, "/a", "0", 0), 0);
    uint64_t numbers[100];
    for (int i = 0; i < 100; i++) {
        struct coord_request q = set_request("/a", "some value of some size");
        numbers[i] = client_send(c, &q);
    }
    for (int i = 0; i < 100; i++) {
        struct coord_result res;
        ck_assert_int_eq(client_wait(c, numbers[i], COORD_OP_SET, &res, 5 * CLUSTER_S), 0);
        ck_assert_uint_eq(res.stat.version, (uint64_t)i + 1);
    }
}
END_TEST

/* --- the end, and again ----------------------------------------------------------------------- */

START_TEST(a_restart_finds_everything_acknowledged)
{
    begin();
    struct cluster_client *c = greeted();
    char path[32];
    for (int i = 0; i < 50; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_create(c, path, path, 0), 0);
    }
    cluster_kill(cl, 1);
    ck_assert_int_eq(cluster_boot(cl, 1), 0);
    ck_assert_uint_eq(cluster_wait_leader(cl, 5 * CLUSTER_S), 1);
    c = greeted();
    for (int i = 0; i < 50; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_get(c, path, path), 0);
    }
}
END_TEST

START_TEST(snapshots_are_taken_and_booted_from)
{
    options.node.snapshot_entries = 20;
    options.node.raft.log_slots = 64;
    begin();
    struct cluster_client *c = greeted();
    char path[32];
    for (int i = 0; i < 150; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_create(c, path, path, 0), 0);
    }
    ck_assert_uint_ge(cluster_snapshots(cl, 1), 5);
    struct coord_result res;
    struct coord_request q = {.op = COORD_OP_STATUS};
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_gt(res.status.snapshot, 100);
    ck_assert_uint_gt(res.status.log_first, 100);
    cluster_kill(cl, 1);
    ck_assert_int_eq(cluster_boot(cl, 1), 0);
    ck_assert_uint_eq(cluster_wait_leader(cl, 5 * CLUSTER_S), 1);
    c = greeted();
    for (int i = 0; i < 150; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_get(c, path, path), 0);
    }
}
END_TEST

START_TEST(shutdown_answers_what_is_under_way)
{
    begin();
    struct cluster_client *c = greeted();
    struct coord_request q = {.op = COORD_OP_CREATE, .path = bytes_of("/a")};
    struct coord_result res;
    uint64_t number = client_send(c, &q);
    cluster_run(cl, 0);
    struct node *n = cluster_node(cl, 1);
    ck_assert(!node_drained(n));
    node_shutdown(n, cluster_now(cl));
    ck_assert(!node_drained(n));
    ck_assert_int_eq(client_set(c, "/a", "x"), COORD_ESHUTDOWN);
    ck_assert_int_eq(client_wait(c, number, COORD_OP_CREATE, &res, CLUSTER_S), 0);
    cluster_run(cl, CLUSTER_MS);
    ck_assert(node_drained(n));
}
END_TEST

START_TEST(a_faulted_member_refuses_and_says_why)
{
    begin();
    struct cluster_client *c = greeted();
    struct coord_result res;
    ck_assert_int_eq(client_create(c, "/a", "1", 0), 0);
    cluster_stall_disk(cl, 1, true);
    struct coord_request q = set_request("/a", "2");
    uint64_t under_way = client_send(c, &q);
    cluster_run(cl, 0);
    const char *why = NULL;
    ck_assert(!node_faulted(cluster_node(cl, 1), &why));
    node_io_failed(cluster_node(cl, 1), "fdatasync: Input/output error", cluster_now(cl));
    ck_assert(node_faulted(cluster_node(cl, 1), &why));
    ck_assert_str_eq(why, "fdatasync: Input/output error");
    ck_assert_int_eq(client_wait(c, under_way, COORD_OP_SET, &res, CLUSTER_S), COORD_EINDOUBT);
    q = get_request("/a", COORD_LEVEL_LOCAL, 0);
    ck_assert_int_eq(client_call(c, &q, &res), COORD_ESHUTDOWN);
    ck_assert(text_has(&res, "Input/output error"));
    q = (struct coord_request){.op = COORD_OP_STATUS};
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_eq(res.status.role, RAFT_FAULTED);
    ck_assert_ptr_nonnull(res.status.fault.data);
    ck_assert_uint_eq(cluster_log_count(cl, 1, "member stopped"), 1);
}
END_TEST

START_TEST(options_are_checked)
{
    struct node *n = NULL;
    struct node_env env = {0};
    struct node_boot boot = {0};
    char why[128];
    struct node_options o;
    node_options_init(&o);
    o.cluster = "x";
    o.raft.id = 1;
    ck_assert_int_eq(node_create(&o, &env, &boot, 1, 1, &n, why, sizeof(why)), COORD_EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "members"));
    o.members_count = 2;
    o.members[0].id = 2;
    o.members[1].id = 2;
    ck_assert_int_eq(node_create(&o, &env, &boot, 1, 1, &n, why, sizeof(why)), COORD_EINVAL);
    o.members[1].id = 3;
    ck_assert_int_eq(node_create(&o, &env, &boot, 1, 1, &n, why, sizeof(why)), COORD_EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "own id"));
    o.members[1].id = 1;
    o.raft.heartbeat = o.raft.election_min;
    ck_assert_int_eq(node_create(&o, &env, &boot, 1, 1, &n, why, sizeof(why)), COORD_EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "raft"));
    ck_assert_ptr_null(n);
    node_destroy(NULL);
}
END_TEST

static void no_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    memset(out, 7, len);
}

static void no_log(void *ctx, enum node_log_level level, const char *text)
{
    (void)ctx, (void)level, (void)text;
}

#define LOG_CONFIGS 20 /* more than the core remembers */

/* The log of a member whose ensemble was changed again and again since its snapshot. */
static void fill_changes(struct raft_entry *metas, struct coord_buf **payloads)
{
    for (uint32_t i = 0; i < 2 * LOG_CONFIGS; i++) {
        struct raft_config c = {.count = 1 + i % 3};
        metas[i] = (struct raft_entry){.term = 1, .type = RAFT_ENTRY_NOOP};
        payloads[i] = NULL;
        if (i % 2 == 0) {
            continue;
        }
        for (uint32_t k = 0; k < c.count; k++) {
            c.members[k] = (struct raft_member){.id = k + 1, .roles = RAFT_VOTER};
        }
        payloads[i] = coord_buf_create(PEER_CONFIG_BYTES_MAX);
        ck_assert_ptr_nonnull(payloads[i]);
        payloads[i]->len = peer_config_encode(&c, payloads[i]->data);
        metas[i].type = RAFT_ENTRY_CONFIG;
        metas[i].bytes = payloads[i]->len;
    }
}

START_TEST(a_log_may_hold_any_number_of_configurations)
{
    struct raft_entry metas[2 * LOG_CONFIGS];
    struct coord_buf *payloads[2 * LOG_CONFIGS];
    struct node_env env = {.random = no_random, .log = no_log};
    struct node_boot boot = {
        .term = 1, .first = 1, .count = 2 * LOG_CONFIGS, .metas = metas, .payloads = payloads};
    struct node_options o;
    struct node *n = NULL;
    char why[128] = "";
    node_options_init(&o);
    o.cluster = "x";
    o.raft.id = 1;
    o.members_count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        o.members[i].id = i + 1;
        boot.snapshot.config.members[i] = (struct raft_member){.id = i + 1, .roles = RAFT_VOTER};
    }
    boot.snapshot.config.count = 3;
    fill_changes(metas, payloads);
    ck_assert_msg(node_create(&o, &env, &boot, 1, 1, &n, why, sizeof(why)) == 0, "%s", why);
    for (uint32_t i = 2 * LOG_CONFIGS - 2 * 4; i < 2 * LOG_CONFIGS; i++) {
        const struct raft_config_at *at = raft_config_at(node_raft(n), i + 1);
        ck_assert_ptr_nonnull(at);
        ck_assert_uint_eq(at->index, i % 2 == 1 ? i + 1 : i);
        ck_assert_uint_eq(at->config.count, 1 + (at->index - 1) % 3);
    }
    node_destroy(n);
    n = NULL;
    payloads[2 * LOG_CONFIGS - 1]->len--; /* the log says otherwise */
    ck_assert_int_eq(node_create(&o, &env, &boot, 1, 1, &n, why, sizeof(why)), COORD_EPROTO);
    metas[2 * LOG_CONFIGS - 1].bytes--; /* the same size, and no configuration */
    ck_assert_int_eq(node_create(&o, &env, &boot, 1, 1, &n, why, sizeof(why)), COORD_EPROTO);
    ck_assert_ptr_nonnull(strstr(why, "not well formed"));
    ck_assert_ptr_null(n);
    for (uint32_t i = 0; i < 2 * LOG_CONFIGS; i++) {
        coord_buf_unref(payloads[i]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node");
    TCase *t = tcase_create("one member");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, write_and_read);
    tcase_add_test(t, replies_keep_the_order_of_requests);
    tcase_add_test(t, reads_and_writes_of_a_connection_keep_their_order);
    tcase_add_test(t, receipt_tells_who_answered_and_how);
    tcase_add_test(t, bounded_and_session_levels);
    tcase_add_test(t, sync_tells_the_revision);
    tcase_add_test(t, status_tells_the_state);
    tcase_add_test(t, a_connection_begins_with_hello);
    tcase_add_test(t, another_protocol_version_is_refused);
    tcase_add_test(t, a_malformed_request_keeps_the_connection);
    tcase_add_test(t, a_frame_without_a_number_ends_the_connection);
    tcase_add_test(t, a_bad_frame_is_told_and_ends_the_connection);
    tcase_add_test(t, bad_paths_and_sizes_never_reach_the_log);
    tcase_add_test(t, the_demonstration_gate);
    tcase_add_test(t, a_full_connection_is_paused);
    tcase_add_test(t, a_connection_may_go_with_requests_under_way);
    tcase_add_test(t, a_full_disk_refuses_writes_only);
    tcase_add_test(t, a_full_window_holds_writes_back);
    tcase_add_test(t, a_restart_finds_everything_acknowledged);
    tcase_add_test(t, snapshots_are_taken_and_booted_from);
    tcase_add_test(t, shutdown_answers_what_is_under_way);
    tcase_add_test(t, a_faulted_member_refuses_and_says_why);
    tcase_add_test(t, options_are_checked);
    tcase_add_test(t, a_log_may_hold_any_number_of_configurations);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
