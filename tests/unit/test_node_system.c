/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_system.c
 * Goal: /coord tells of members, limits and quotas, alike on every member at the level asked for, also after
 * snapshots and restarts; its changes reach watches with the change that made them; nobody writes there,
 * and nothing of it is seen from "/".
 * Method: an ensemble of three in simulated time (node_cluster.h), at the level of protocol bytes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_fixture.h"

static int quota(struct cluster_client *c, const char *path, uint64_t nodes, uint64_t bytes)
{
    struct coord_request q = {
        .op = COORD_OP_QUOTA, .path = bytes_of(path), .quota_nodes = nodes, .quota_bytes = bytes};
    return client_call(c, &q, NULL);
}

static int read_at(raft_id member, enum coord_op op, const char *path, enum coord_level level,
                   struct coord_result *res)
{
    struct coord_request q = {.op = op, .path = bytes_of(path), .level = level};
    return client_call(greeted(member), &q, res);
}

static bool is(struct coord_bytes b, const char *text)
{
    return b.data != NULL && b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}

static void expect_data(raft_id member, const char *path, const char *data)
{
    struct coord_result res;
    ck_assert_int_eq(read_at(member, COORD_OP_GET, path, COORD_LEVEL_LINEARIZABLE, &res), 0);
    ck_assert_msg(is(res.data, data), "%s: %.*s", path, (int)res.data.len,
                  (const char *)res.data.data);
}

/* All names below path, with data, one a line. */
static const char *tree_at(raft_id member, const char *path, enum coord_level level)
{
    static char all[2][8192];
    static int turn;
    char *out = all[turn = !turn];
    struct coord_request q = {.op = COORD_OP_LIST,
                              .path = bytes_of(path),
                              .level = level,
                              .flags = COORD_LIST_RECURSIVE | COORD_LIST_DATA | COORD_LIST_STATS};
    struct coord_result res;
    struct coord_list_entry e;
    size_t at = 0;
    ck_assert_int_eq(client_call(greeted(member), &q, &res), 0);
    ck_assert(!res.more);
    struct coord_bytes cursor = res.entries_raw;
    while (coord_list_next(&cursor, &e) == 1) {
        at += (size_t)snprintf(out + at, sizeof(all[0]) - at, "%.*s %.*s r%llu\n", (int)e.name.len,
                               (const char *)e.name.data, (int)e.data.len,
                               e.data.data == NULL ? "" : (const char *)e.data.data,
                               (unsigned long long)e.stat.modify_revision);
        ck_assert_uint_lt(at, sizeof(all[0]));
    }
    out[at] = '\0';
    return out;
}

static void expect_alike(void)
{
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
    char first[8192];
    (void)snprintf(first, sizeof(first), "%s", tree_at(1, "/coord", COORD_LEVEL_LOCAL));
    for (raft_id id = 2; id <= 3; id++) {
        const char *other = tree_at(id, "/coord", COORD_LEVEL_LOCAL);
        ck_assert_msg(strcmp(first, other) == 0, "member %u:\n%s\nmember 1:\n%s", id, other, first);
    }
}

/* --- reading ---------------------------------------------------------------------------------- */

START_TEST(what_it_tells)
{
    struct coord_result res;
    char want[64];
    begin();
    expect_data(third, "/coord/config/limits.request", "1048576");
    expect_data(follower, "/coord/config/sessions.max", "60000");
    ck_assert_int_eq(read_at(third, COORD_OP_GET, "/coord/config/cluster", 0, &res), 0);
    ck_assert_uint_gt(res.data.len, 0);
    ck_assert_int_eq(read_at(third, COORD_OP_GET, "/coord/members/2", 0, &res), 0);
    (void)snprintf(want, sizeof(want), "{\"id\": 2, \"role\": \"voter\", \"client\": \"");
    ck_assert_uint_gt(res.data.len, strlen(want));
    ck_assert_mem_eq(res.data.data, want, strlen(want));
    ck_assert_int_eq(read_at(leader, COORD_OP_STAT, "/coord/members", 0, &res), 0);
    ck_assert_uint_eq(res.stat.children, 3);
    ck_assert_uint_eq(res.stat.create_revision + res.stat.child_revision + res.stat.version, 0);
    ck_assert_uint_eq(res.stat.created_ms + res.stat.modified_ms + res.stat.child_version, 0);
    ck_assert_int_eq(read_at(leader, COORD_OP_EXISTS, "/coord", 0, &res), 0);
    ck_assert(res.exists);
    ck_assert_int_eq(read_at(leader, COORD_OP_EXISTS, "/coord/nothing", 0, &res), 0);
    ck_assert(!res.exists);
    ck_assert_int_eq(read_at(leader, COORD_OP_GET, "/coord/members/9", 0, &res), COORD_ENONODE);
    ck_assert_int_eq(read_at(leader, COORD_OP_USAGE, "/coord/members", 0, &res), 0);
    ck_assert_uint_eq(res.usage.nodes, 4);
    struct coord_request q = {.op = COORD_OP_LIST, .path = bytes_of("/coord"), .limit = 2};
    ck_assert_int_eq(client_call(greeted(leader), &q, &res), 0);
    ck_assert(res.more && res.entries_count == 2 && res.count == 3);
    expect_alike();
}
END_TEST

START_TEST(nothing_of_it_is_seen_from_the_root)
{
    struct coord_result res;
    begin();
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(client_create(c, "/coordinates", "", 0), 0);
    ck_assert_int_eq(quota(c, "/coordinates", 5, 0), 0);
    ck_assert_str_eq(tree_at(leader, "/", COORD_LEVEL_LINEARIZABLE) + strlen("coordinates"),
                     strchr(tree_at(leader, "/", COORD_LEVEL_LINEARIZABLE), ' '));
    ck_assert_int_eq(read_at(leader, COORD_OP_STAT, "/", 0, &res), 0);
    ck_assert_uint_eq(res.stat.children, 1);
    ck_assert_int_eq(read_at(leader, COORD_OP_USAGE, "/", 0, &res), 0);
    ck_assert_uint_eq(res.usage.nodes, 2);
}
END_TEST

START_TEST(the_levels_hold)
{
    struct coord_result res;
    begin();
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(client_create(c, "/a", "", 0), 0);
    ck_assert(cluster_wait_equal(cl, CLUSTER_S));
    cluster_isolate(cl, third, true);
    ck_assert_int_eq(quota(c, "/a", 5, 0), 0);
    expect_data(follower, "/coord/quotas/%2Fa", "{\"path\": \"/a\", \"nodes\": 5, \"bytes\": 0}");
    cluster_run(cl, 3 * CLUSTER_S);
    ck_assert_int_eq(read_at(third, COORD_OP_GET, "/coord/quotas/%2Fa", COORD_LEVEL_LOCAL, &res),
                     COORD_ENONODE);
    ck_assert_int_eq(read_at(third, COORD_OP_GET, "/coord/members/1", 0, &res), COORD_ENOQUORUM);
    ck_assert_int_eq(read_at(third, COORD_OP_GET, "/coord/members/1", COORD_LEVEL_LOCAL, &res), 0);
    cluster_heal(cl);
    expect_alike();
    expect_data(third, "/coord/quotas/%2Fa", "{\"path\": \"/a\", \"nodes\": 5, \"bytes\": 0}");
}
END_TEST

START_TEST(names_of_quotas)
{
    char deep[402];
    struct coord_result res;
    begin();
    struct cluster_client *c = greeted(leader);
    memset(deep, 'd', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    deep[0] = '/';
    deep[200] = '/';
    struct coord_request q = {
        .op = COORD_OP_CREATE, .path = bytes_of(deep), .flags = COORD_F_PARENTS};
    ck_assert_int_eq(client_call(c, &q, NULL), 0);
    ck_assert_int_eq(client_create(c, "/50%", "", 0), 0);
    ck_assert_int_eq(client_create(c, "/say \"x\"", "", 0), 0);
    ck_assert_int_eq(quota(c, "/", 100, 0), 0);
    ck_assert_int_eq(quota(c, "/50%", 1, 2), 0);
    ck_assert_int_eq(quota(c, "/say \"x\"", 1, 2), 0);
    ck_assert_int_eq(quota(c, deep, 7, 0), 0);
    expect_data(third, "/coord/quotas/%2F", "{\"path\": \"/\", \"nodes\": 100, \"bytes\": 0}");
    expect_data(third, "/coord/quotas/%2F50%25",
                "{\"path\": \"/50%\", \"nodes\": 1, \"bytes\": 2}");
    expect_data(third, "/coord/quotas/%2Fsay \"x\"",
                "{\"path\": \"/say \\\"x\\\"\", \"nodes\": 1, \"bytes\": 2}");
    struct coord_list_entry e;
    q = (struct coord_request){
        .op = COORD_OP_LIST, .path = bytes_of("/coord/quotas"), .flags = COORD_LIST_DATA};
    ck_assert_int_eq(client_call(c, &q, &res), 0);
    ck_assert_uint_eq(res.entries_count, 4);
    struct coord_bytes cursor = res.entries_raw;
    bool found = false;
    while (coord_list_next(&cursor, &e) == 1) { /* the one that does not fit has a short name */
        found = found || (e.name.len == 17 && e.data.len > sizeof(deep) &&
                          memcmp(e.data.data + 10, deep, sizeof(deep) - 1) == 0);
    }
    ck_assert(found);
    expect_alike();
}
END_TEST

START_TEST(snapshots_and_restarts_make_it_anew)
{
    char path[32];
    char data[80];
    options.node.snapshot_entries = 50;
    options.node.raft.log_slots = 256;
    options.node.raft.chunk_bytes = 1024;
    begin();
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(client_create(c, "/gone", "", 0), 0);
    ck_assert_int_eq(quota(c, "/gone", 5, 0), 0);
    ck_assert(cluster_wait_equal(cl, CLUSTER_S));
    cluster_isolate(cl, third, true);
    ck_assert_int_eq(quota(c, "/gone", 0, 0), 0);
    for (int i = 0; i < 500; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        ck_assert_int_eq(client_create(c, path, path, 0), 0);
        if (i % 100 == 0) {
            ck_assert_int_eq(quota(c, path, (uint64_t)i + 1, 0), 0);
        }
    }
    cluster_heal(cl);
    ck_assert(cluster_wait_equal(cl, 10 * CLUSTER_S));
    ck_assert_uint_ge(cluster_log_count(cl, third, "snapshot installed"), 1);
    expect_alike();
    for (raft_id id = 1; id <= 3; id++) {
        cluster_kill(cl, id);
    }
    for (raft_id id = 1; id <= 3; id++) {
        ck_assert_int_eq(cluster_boot(cl, id), 0);
    }
    leader = cluster_wait_leader(cl, 10 * CLUSTER_S);
    ck_assert_uint_ne(leader, 0);
    for (int i = 0; i < 500; i += 100) {
        (void)snprintf(path, sizeof(path), "/coord/quotas/%%2Fn%d", i);
        (void)snprintf(data, sizeof(data), "{\"path\": \"/n%d\", \"nodes\": %d, \"bytes\": 0}", i,
                       i + 1);
        expect_data(leader, path, data);
    }
    expect_alike();
}
END_TEST

/* --- watches ---------------------------------------------------------------------------------- */

static void watch(struct cluster_client *c, uint64_t id, const char *path)
{
    struct coord_request q = {.op = COORD_OP_WATCH,
                              .watch = id,
                              .path = bytes_of(path),
                              .depth = COORD_DEPTH_SUBTREE,
                              .kinds = COORD_CHANGE_CREATED | COORD_CHANGE_CHANGED |
                                       COORD_CHANGE_DELETED,
                              .flags = COORD_WATCH_VALUE | COORD_WATCH_PREVIOUS};
    ck_assert_int_eq(client_call(c, &q, NULL), 0);
}

/* What c was told since it was asked last: "watch+path=value" for each change. */
static const char *told(struct cluster_client *c)
{
    static char out[4096];
    static struct cluster_client *whose;
    static uint32_t next;
    size_t at = 0;
    struct coord_event ev;
    next = whose == c ? next : 0;
    whose = c;
    out[0] = '\0';
    cluster_run(cl, 50 * CLUSTER_MS);
    for (; client_event(c, next, &ev, NULL); next++) {
        struct coord_bytes cursor = ev.changes_raw;
        struct coord_change ch;
        while (ev.state == COORD_EVENT_CHANGES && coord_change_next(&cursor, &ch) == 1) {
            ck_assert(ch.path.len < 6 || memcmp(ch.path.data, "/coord", 6) != 0 ||
                      (ch.version == 0 && ch.create_revision == 0));
            at += (size_t)snprintf(
                out + at, sizeof(out) - at, "%llu%c%.*s ", (unsigned long long)ev.watch,
                "?+~?-"[ch.kind <= 4 ? ch.kind : 0], (int)ch.path.len, (const char *)ch.path.data);
        }
    }
    return out;
}

START_TEST(changes_of_quotas_are_told)
{
    begin();
    struct cluster_client *c = greeted(leader);
    struct cluster_client *w = greeted(third);
    ck_assert_int_eq(client_create(c, "/a", "", 0), 0);
    ck_assert_int_eq(client_create(c, "/a/b", "", 0), 0);
    ck_assert(cluster_wait_equal(cl, CLUSTER_S));
    watch(w, 1, "/coord/quotas");
    watch(w, 2, "/");
    ck_assert_int_eq(quota(c, "/a/b", 3, 0), 0);
    ck_assert_str_eq(told(w), "1+/coord/quotas/%2Fa%2Fb ");
    ck_assert_int_eq(quota(c, "/a/b", 4, 0), 0);
    ck_assert_str_eq(told(w), "1~/coord/quotas/%2Fa%2Fb ");
    ck_assert_int_eq(quota(c, "/a/b", 4, 0), 0); /* no change */
    ck_assert_str_eq(told(w), "");
    struct coord_request mv = {.op = COORD_OP_RENAME,
                               .path = bytes_of("/a"),
                               .to = bytes_of("/z"),
                               .expect_version = COORD_VERSION_ANY};
    ck_assert_int_eq(client_call(c, &mv, NULL), 0);
    const char *moved = told(w);
    ck_assert_ptr_nonnull(strstr(moved, "1-/coord/quotas/%2Fa%2Fb "));
    ck_assert_ptr_nonnull(strstr(moved, "1+/coord/quotas/%2Fz%2Fb "));
    ck_assert_ptr_nonnull(strstr(moved, "2+/z/b "));
    ck_assert_ptr_null(strstr(moved, "2+/coord"));
    struct coord_request rm = {.op = COORD_OP_DELETE,
                               .path = bytes_of("/z"),
                               .flags = COORD_DELETE_RECURSIVE,
                               .expect_version = COORD_VERSION_ANY};
    ck_assert_int_eq(client_call(c, &rm, NULL), 0);
    const char *gone = told(w);
    ck_assert_ptr_nonnull(strstr(gone, "1-/coord/quotas/%2Fz%2Fb "));
    ck_assert_ptr_nonnull(strstr(gone, "2-/z "));
    expect_alike();
}
END_TEST

START_TEST(a_change_of_quotas_has_the_revision_of_its_cause)
{
    struct coord_event one;
    struct coord_event two;
    begin();
    struct cluster_client *c = greeted(leader);
    struct cluster_client *w = greeted(third);
    ck_assert_int_eq(client_create(c, "/c", "", COORD_F_CONTAINER), 0);
    ck_assert_int_eq(client_create(c, "/c/x", "", 0), 0);
    ck_assert_int_eq(quota(c, "/c", 3, 0), 0);
    ck_assert(cluster_wait_equal(cl, CLUSTER_S));
    watch(w, 1, "/coord");
    watch(w, 2, "/c");
    struct coord_request rm = {
        .op = COORD_OP_DELETE, .path = bytes_of("/c/x"), .expect_version = COORD_VERSION_ANY};
    ck_assert_int_eq(client_call(c, &rm, NULL), 0);
    cluster_run(cl, 2 * CLUSTER_S); /* the container goes, and its quota with it */
    ck_assert(client_event(w, 1, &one, NULL));
    ck_assert(client_event(w, 2, &two, NULL));
    ck_assert_uint_ne(one.watch, two.watch);
    ck_assert_uint_eq(one.revision, two.revision);
}
END_TEST

/* One who comes back is replayed them from the history, where it asks for them. */
START_TEST(what_was_missed_is_replayed)
{
    begin();
    struct cluster_client *c = greeted(leader);
    ck_assert_int_eq(client_create(c, "/a", "", 0), 0);
    ck_assert_int_eq(quota(c, "/a", 3, 0), 0);
    ck_assert_int_eq(client_create(c, "/b", "", 0), 0);
    ck_assert(cluster_wait_equal(cl, CLUSTER_S));
    struct cluster_client *w = greeted(third);
    struct coord_request q = {.op = COORD_OP_WATCH,
                              .watch = 1,
                              .path = bytes_of("/"),
                              .depth = COORD_DEPTH_SUBTREE,
                              .kinds = COORD_CHANGE_CREATED,
                              .revision = 1};
    ck_assert_int_eq(client_call(w, &q, NULL), 0);
    ck_assert_str_eq(told(w), "1+/a 1+/b ");
    w = greeted(third);
    q.path = bytes_of("/coord");
    q.number = 0;
    ck_assert_int_eq(client_call(w, &q, NULL), 0);
    ck_assert_str_eq(told(w), "1+/coord/quotas/%2Fa ");
}
END_TEST

/* What is refused as a whole, or taken back, changes nothing there. */
START_TEST(what_is_taken_back_is_not_told)
{
    begin();
    struct cluster_client *c = greeted(leader);
    struct cluster_client *w = greeted(leader);
    ck_assert_int_eq(client_create(c, "/a", "", 0), 0);
    ck_assert_int_eq(quota(c, "/a", 3, 0), 0);
    watch(w, 1, "/coord");
    struct coord_buf *ops = NULL;
    const struct coord_request rm = {
        .op = COORD_OP_DELETE, .path = bytes_of("/a"), .expect_version = COORD_VERSION_ANY};
    const struct coord_request bad = {
        .op = COORD_OP_SET, .path = bytes_of("/none"), .expect_version = COORD_VERSION_ANY};
    ck_assert_int_eq(coord_txn_op_encode(&rm, &ops), 0);
    ck_assert_int_eq(coord_txn_op_encode(&bad, &ops), 0);
    struct coord_request txn = {.op = COORD_OP_TXN, .thens = {2, {ops->data, ops->len}}};
    struct coord_result res;
    ck_assert_int_eq(client_call(c, &txn, &res), 0);
    ck_assert_uint_eq(res.failed, 2);
    ck_assert_str_eq(told(w), "");
    expect_data(follower, "/coord/quotas/%2Fa", "{\"path\": \"/a\", \"nodes\": 3, \"bytes\": 0}");
    coord_buf_unref(ops);
}
END_TEST

static void tune(raft_id id, struct node_options *o)
{
    o->machine.txn_operations = 70 + id;
}

static bool limits_of_leader(void *arg)
{
    char want[16];
    struct coord_result res;
    (void)arg;
    (void)snprintf(want, sizeof(want), "%u", 70 + cluster_leader(cl));
    return read_at(third, COORD_OP_GET, "/coord/config/limits.operations", COORD_LEVEL_LOCAL,
                   &res) == 0 &&
           is(res.data, want);
}

START_TEST(new_limits_are_told)
{
    options.tune = tune;
    begin();
    struct cluster_client *w = greeted(third);
    for (int i = 0; i < 100 && !limits_of_leader(NULL); i++) {
        cluster_run(cl, 20 * CLUSTER_MS);
    }
    watch(w, 1, "/coord/config");
    ck_assert_str_eq(told(w), "");
    raft_id was = leader;
    cluster_kill(cl, leader); /* the next one's file says something else */
    leader = cluster_wait_leader(cl, 10 * CLUSTER_S);
    ck_assert_uint_ne(leader, 0);
    for (int i = 0; i < 100 && !limits_of_leader(NULL); i++) {
        cluster_run(cl, 20 * CLUSTER_MS);
    }
    ck_assert(limits_of_leader(NULL));
    ck_assert_str_eq(told(w), "1~/coord/config/limits.operations ");
    ck_assert_int_eq(cluster_boot(cl, was), 0);
    expect_alike();
}
END_TEST

/* --- writing ---------------------------------------------------------------------------------- */

START_TEST(nobody_writes_there)
{
    static const char *const paths[] = {"/coord", "/coord/members/1", "/coord/new",
                                        "/coord/quotas/x"};
    begin();
    struct cluster_client *c = greeted(follower);
    ck_assert_int_eq(client_create(c, "/a", "", 0), 0);
    char before[8192];
    (void)snprintf(before, sizeof(before), "%s", tree_at(leader, "/coord", 0));
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct coord_bytes p = bytes_of(paths[i]);
        const struct coord_request writes[] = {
            {.op = COORD_OP_CREATE, .path = p},
            {.op = COORD_OP_CREATE, .path = p, .flags = COORD_F_PARENTS},
            {.op = COORD_OP_SET, .path = p, .expect_version = COORD_VERSION_ANY},
            {.op = COORD_OP_DELETE, .path = p, .expect_version = COORD_VERSION_ANY},
            {.op = COORD_OP_DELETE,
             .path = p,
             .flags = COORD_DELETE_RECURSIVE,
             .expect_version = COORD_VERSION_ANY},
            {.op = COORD_OP_INCREMENT, .path = p, .expect_version = COORD_VERSION_ANY},
            {.op = COORD_OP_RENAME,
             .path = p,
             .to = bytes_of("/b"),
             .expect_version = COORD_VERSION_ANY},
            {.op = COORD_OP_RENAME,
             .path = bytes_of("/a"),
             .to = p,
             .expect_version = COORD_VERSION_ANY},
            {.op = COORD_OP_QUOTA, .path = p, .quota_nodes = 1},
        };
        for (size_t k = 0; k < sizeof(writes) / sizeof(writes[0]); k++) {
            struct coord_request q = writes[k];
            ck_assert_msg(client_call(c, &q, NULL) == COORD_ERESERVED, "%s %zu", paths[i], k);
            if (q.op == COORD_OP_QUOTA) {
                continue;
            }
            struct coord_buf *op = NULL;
            struct coord_result res;
            ck_assert_int_eq(coord_txn_op_encode(&writes[k], &op), 0);
            struct coord_request txn = {.op = COORD_OP_TXN, .thens = {1, {op->data, op->len}}};
            struct coord_bytes cursor;
            enum coord_op of;
            struct coord_result first;
            ck_assert_int_eq(client_call(c, &txn, &res), 0);
            ck_assert_uint_eq(res.failed, 1);
            cursor = res.results.raw;
            ck_assert_int_eq(coord_txn_result_next(&cursor, &of, &first), 1);
            ck_assert_int_eq(first.error, COORD_ERESERVED);
            coord_buf_unref(op);
        }
    }
    struct coord_request root = {.op = COORD_OP_DELETE,
                                 .path = bytes_of("/"),
                                 .flags = COORD_DELETE_RECURSIVE,
                                 .expect_version = COORD_VERSION_ANY};
    ck_assert_int_eq(client_call(c, &root, NULL), COORD_ERESERVED);
    ck_assert_str_eq(tree_at(leader, "/coord", 0), before);
}
END_TEST

START_TEST(it_takes_no_part_in_transactions)
{
    begin();
    struct cluster_client *c = greeted(leader);
    for (uint32_t kind = COORD_WHEN_EXISTS; kind <= COORD_WHEN_HELD; kind++) {
        struct coord_buf *raw = NULL;
        const struct coord_if when = {
            .kind = (enum coord_when)kind, .path = bytes_of("/coord/members"), .number = 1};
        ck_assert_int_eq(coord_if_encode(&when, &raw), 0);
        struct coord_request txn = {.op = COORD_OP_TXN, .ifs = {1, {raw->data, raw->len}}};
        ck_assert_int_eq(client_call(c, &txn, NULL), COORD_ERESERVED);
        coord_buf_unref(raw);
    }
    static const enum coord_op reads[] = {COORD_OP_GET, COORD_OP_EXISTS, COORD_OP_STAT};
    for (size_t i = 0; i < 3; i++) {
        struct coord_buf *raw = NULL;
        const struct coord_request q = {.op = reads[i], .path = bytes_of("/coord/members/1")};
        struct coord_result res;
        ck_assert_int_eq(coord_txn_op_encode(&q, &raw), 0);
        struct coord_request txn = {.op = COORD_OP_TXN, .thens = {1, {raw->data, raw->len}}};
        ck_assert_int_eq(client_call(c, &txn, &res), 0);
        ck_assert_uint_eq(res.failed, 1);
        coord_buf_unref(raw);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node: /coord");
    TCase *t = tcase_create("reads");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_it_tells);
    tcase_add_test(t, nothing_of_it_is_seen_from_the_root);
    tcase_add_test(t, the_levels_hold);
    tcase_add_test(t, names_of_quotas);
    tcase_add_test(t, snapshots_and_restarts_make_it_anew);
    suite_add_tcase(s, t);
    t = tcase_create("watches");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, changes_of_quotas_are_told);
    tcase_add_test(t, a_change_of_quotas_has_the_revision_of_its_cause);
    tcase_add_test(t, what_was_missed_is_replayed);
    tcase_add_test(t, what_is_taken_back_is_not_told);
    tcase_add_test(t, new_limits_are_told);
    suite_add_tcase(s, t);
    t = tcase_create("writes");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, nobody_writes_there);
    tcase_add_test(t, it_takes_no_part_in_transactions);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
