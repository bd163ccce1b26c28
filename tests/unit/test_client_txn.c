/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: transactions, increments, renames, quotas and counts leave as the bytes that the protocol wants, their
 * answers arrive whole, and nothing half-built, misused or beyond the limits is ever sent.
 * Method: handles whose core is turned by the test instead of by sockets (tests/lib/client_rig.h); and once
 * all of it against a real member.
 */
#include <coord/recipes.h>
#include "client/core/mem.h"
#include "client/shell/handle.h"
#include "tests/lib/client_rig.h"
#include "tests/unit/test_client_fixture.h"

static struct rig rig;

/* The last reply, copied as far as the tests look. */
#define RESULTS_MAX 16
static struct {
    int count;
    struct coord_reply reply;
    char text[256];
    char path[128];
    struct coord_txn_result results[RESULTS_MAX];
    char paths[RESULTS_MAX][128];
    char data[RESULTS_MAX][64];
    bool has_data[RESULTS_MAX];
} last;

static void keep_reply(const struct coord_reply *reply, void *arg)
{
    (void)arg;
    last.count++;
    last.reply = *reply;
    ck_assert_uint_le(reply->results_count, RESULTS_MAX);
    (void)snprintf(last.text, sizeof(last.text), "%s", reply->text);
    (void)snprintf(last.path, sizeof(last.path), "%s", reply->path);
    for (size_t i = 0; i < reply->results_count; i++) {
        const struct coord_txn_result *r = &reply->results[i];
        last.results[i] = *r;
        last.has_data[i] = r->data != NULL;
        (void)snprintf(last.paths[i], sizeof(last.paths[i]), "%s", r->path);
        (void)snprintf(last.data[i], sizeof(last.data[i]), "%s",
                       r->data != NULL ? (const char *)r->data : "");
    }
}

/* A handle that is never dispatched: the rig turns its core. */
static struct coord *open_rigged(const char *prefix, enum coord_session_policy policy)
{
    struct coord_options o;
    struct coord *c = NULL;
    coord_options_init(&o);
    o.prefix = prefix;
    o.session = policy;
    ck_assert_int_eq(coord_open(&o, &c, NULL, 0), 0);
    memset(&rig, 0, sizeof(rig));
    memset(&last, 0, sizeof(last));
    rig.core = c->core;
    rig.now = coord__now();
    rig.epoch = 100;
    rig.reply = keep_reply;
    return c;
}

static struct coord *open_ready(const char *prefix)
{
    struct coord *c = open_rigged(prefix, COORD_SESSIONS_LAZY);
    rig_session(&rig, 10000);
    last.count = 0;
    return c;
}

static void close_rigged(struct coord *c)
{
    rig_expect_nothing(&rig);
    coord_close(c);
    coord__arena_finish(&rig.arena);
}

static bool is(struct coord_bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}

/* --- what is sent ------------------------------------------------------------------------------ */

static void add_conditions(struct coord_txn *t)
{
    ck_assert_int_eq(coord_txn_if_exists(t, "/e"), 0);
    ck_assert_int_eq(coord_txn_if_absent(t, "/a"), 0);
    ck_assert_int_eq(coord_txn_if_version(t, "/v", 0), 0);
    ck_assert_int_eq(coord_txn_if_modified(t, "/m", 12), 0);
    ck_assert_int_eq(coord_txn_if_created(t, "/c", 13), 0);
    ck_assert_int_eq(coord_txn_if_value(t, "/d", "x", 1), 0);
    ck_assert_int_eq(coord_txn_if_value(t, "/none", NULL, 0), 0);
    ck_assert_int_eq(coord_txn_if_value(t, "/empty", "", 0), 0);
    ck_assert_int_eq(coord_txn_if_children(t, "/", 3), 0);
    ck_assert_int_eq(coord_txn_if_owner(t, "/o", 77), 0);
    ck_assert_int_eq(coord_txn_if_held(t, "/locks/l", 99), 0);
}

/* prefix: what stands before each path on the wire. */
static void expect_conditions(const struct coord_items *ifs, const char *prefix)
{
    static const struct {
        enum coord_when kind;
        const char *path;
        uint64_t number;
        const char *data;
    } wanted[] = {{COORD_WHEN_EXISTS, "/e", 0, NULL},     {COORD_WHEN_ABSENT, "/a", 0, NULL},
                  {COORD_WHEN_VERSION, "/v", 0, NULL},    {COORD_WHEN_MODIFIED, "/m", 12, NULL},
                  {COORD_WHEN_CREATED, "/c", 13, NULL},   {COORD_WHEN_VALUE, "/d", 0, "x"},
                  {COORD_WHEN_VALUE, "/none", 0, NULL},   {COORD_WHEN_VALUE, "/empty", 0, ""},
                  {COORD_WHEN_CHILDREN, "/", 3, NULL},    {COORD_WHEN_OWNER, "/o", 77, NULL},
                  {COORD_WHEN_HELD, "/locks/l", 99, NULL}};
    struct coord_bytes cursor = ifs->raw;
    struct coord_if c;
    char path[64];
    ck_assert_uint_eq(ifs->count, sizeof(wanted) / sizeof(wanted[0]));
    for (size_t i = 0; i < ifs->count; i++) {
        bool top = prefix[0] != 0 && strcmp(wanted[i].path, "/") == 0;
        (void)snprintf(path, sizeof(path), "%s%s", prefix, top ? "" : wanted[i].path);
        ck_assert_int_eq(coord_if_next(&cursor, &c), 1);
        ck_assert_int_eq(c.kind, wanted[i].kind);
        ck_assert_msg(is(c.path, path), "condition %zu is about another path than %s", i, path);
        ck_assert_uint_eq(c.number, wanted[i].number);
        ck_assert_int_eq(c.data.data == NULL, wanted[i].data == NULL);
        ck_assert(wanted[i].data == NULL || is(c.data, wanted[i].data));
    }
    ck_assert_int_eq(coord_if_next(&cursor, &c), 0);
}

static void add_operations(struct coord_txn *t, enum coord_branch b)
{
    struct coord_call create = {.flags = COORD_TTL | COORD_SEQUENTIAL, .ttl_ms = 500};
    struct coord_call guarded = {.conditions =
                                     COORD_IF_VERSION | COORD_IF_MODIFIED | COORD_IF_CREATED,
                                 .version = 4,
                                 .modified = 5,
                                 .created = 6};
    struct coord_call recursive = guarded;
    recursive.flags = COORD_RECURSIVE;
    ck_assert_int_eq(coord_txn_create(t, b, "/n", "new", 3, &create), 0);
    ck_assert_int_eq(coord_txn_get(t, b, "/n"), 0);
    ck_assert_int_eq(coord_txn_set(t, b, "/n", "", 0, &guarded), 0);
    ck_assert_int_eq(coord_txn_delete(t, b, "/n", &recursive), 0);
    ck_assert_int_eq(coord_txn_exists(t, b, "/"), 0);
    ck_assert_int_eq(coord_txn_stat(t, b, "/n"), 0);
    ck_assert_int_eq(coord_txn_increment(t, b, "/n", INT64_MIN, &guarded), 0);
    ck_assert_int_eq(coord_txn_rename(t, b, "/n", "/to", &guarded), 0);
}

static void expect_guarded(const struct coord_request *q)
{
    ck_assert_int_eq(q->expect_version, 4);
    ck_assert_uint_eq(q->expect_modified, 5);
    ck_assert_uint_eq(q->expect_created, 6);
}

static void expect_operations(const struct coord_items *ops, const char *node, const char *top,
                              const char *to)
{
    static const enum coord_op kinds[] = {COORD_OP_CREATE,    COORD_OP_GET,    COORD_OP_SET,
                                          COORD_OP_DELETE,    COORD_OP_EXISTS, COORD_OP_STAT,
                                          COORD_OP_INCREMENT, COORD_OP_RENAME};
    struct coord_bytes cursor = ops->raw;
    struct coord_request q[8];
    ck_assert_uint_eq(ops->count, 8);
    for (size_t i = 0; i < 8; i++) {
        ck_assert_int_eq(coord_txn_op_next(&cursor, &q[i]), 1);
        ck_assert_int_eq(q[i].op, kinds[i]);
        ck_assert(is(q[i].path, i == 4 ? top : node));
    }
    ck_assert_int_eq(coord_txn_op_next(&cursor, &q[0]), 0);
    ck_assert(is(q[0].data, "new") && q[0].ttl_ms == 500);
    ck_assert_uint_eq(q[0].flags, COORD_F_TTL | COORD_F_SEQUENTIAL);
    ck_assert(q[2].data.data != NULL && q[2].data.len == 0);
    expect_guarded(&q[2]);
    expect_guarded(&q[3]);
    ck_assert_uint_eq(q[3].flags, COORD_DELETE_RECURSIVE);
    ck_assert_int_eq(q[6].delta, INT64_MIN);
    expect_guarded(&q[6]);
    expect_guarded(&q[7]);
    ck_assert(is(q[7].to, to));
}

START_TEST(all_of_it_is_sent)
{
    bool prefixed = _i == 1;
    const char *prefix = prefixed ? "/app" : "";
    struct coord *c = open_ready(prefixed ? "/app" : NULL);
    struct coord_txn *t = coord_txn_new();
    add_conditions(t);
    add_operations(t, COORD_THEN);
    add_operations(t, COORD_ELSE);
    ck_assert_int_eq(coord_txn_commit(c, t, NULL, NULL, NULL), 0);
    coord_txn_free(t);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_TXN);
    expect_conditions(&s->q.ifs, prefix);
    for (int branch = 0; branch < 2; branch++) {
        expect_operations(branch == 0 ? &s->q.thens : &s->q.elses, prefixed ? "/app/n" : "/n",
                          prefixed ? "/app" : "/", prefixed ? "/app/to" : "/to");
    }
    close_rigged(c);
}
END_TEST

/* Each commit is a transaction of its own; what is added later is not in the earlier one. */
START_TEST(a_transaction_can_be_committed_again)
{
    struct coord *c = open_ready(NULL);
    struct coord_txn *t = coord_txn_new();
    ck_assert_int_eq(coord_txn_increment(t, COORD_THEN, "/n", 1, NULL), 0);
    ck_assert_int_eq(coord_txn_commit(c, t, NULL, NULL, NULL), 0);
    ck_assert_int_eq(coord_txn_increment(t, COORD_THEN, "/n", 2, NULL), 0);
    ck_assert_int_eq(coord_txn_commit(c, t, NULL, NULL, NULL), 0);
    coord_txn_free(t);
    struct rig_sent *a = rig_expect(&rig, COORD_OP_TXN);
    struct rig_sent *b = rig_expect(&rig, COORD_OP_TXN);
    ck_assert_uint_eq(a->q.thens.count, 1);
    ck_assert_uint_eq(b->q.thens.count, 2);
    ck_assert_uint_eq(a->q.ifs.count + a->q.elses.count, 0);
    ck_assert_uint_lt(a->q.number, b->q.number);
    close_rigged(c);
}
END_TEST

START_TEST(the_other_requests_are_sent)
{
    struct coord *c = open_ready("/p");
    struct coord_call guarded = {.conditions =
                                     COORD_IF_VERSION | COORD_IF_MODIFIED | COORD_IF_CREATED,
                                 .version = 4,
                                 .modified = 5,
                                 .created = 6};
    struct coord_call counting = {.flags = COORD_COUNT_ONLY | COORD_RECURSIVE,
                                  .consistency = COORD_LOCAL};
    struct coord_call recursive = {.flags = COORD_RECURSIVE};
    ck_assert_int_eq(coord_increment(c, "/n", -7, &guarded, NULL, NULL), 0);
    ck_assert_int_eq(coord_rename(c, "/n", "/m/k", &guarded, NULL, NULL), 0);
    ck_assert_int_eq(coord_quota(c, "/", 10, 1 << 20, NULL, NULL, NULL), 0);
    ck_assert_int_eq(coord_usage(c, "/n", &counting, NULL, NULL), 0);
    ck_assert_int_eq(coord_list(c, "/n", &counting, NULL, NULL), 0);
    ck_assert_int_eq(coord_delete(c, "/n", &recursive, NULL, NULL), 0);
    ck_assert_int_eq(coord_delete(c, "/n", NULL, NULL, NULL), 0);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_INCREMENT);
    ck_assert_int_eq(s->q.delta, -7);
    expect_guarded(&s->q);
    s = rig_expect(&rig, COORD_OP_RENAME);
    ck_assert_str_eq(s->path, "/p/n");
    ck_assert_str_eq(s->to, "/p/m/k");
    expect_guarded(&s->q);
    s = rig_expect(&rig, COORD_OP_QUOTA);
    ck_assert_str_eq(s->path, "/p");
    ck_assert_uint_eq(s->q.quota_nodes, 10);
    ck_assert_uint_eq(s->q.quota_bytes, 1 << 20);
    s = rig_expect(&rig, COORD_OP_USAGE);
    ck_assert_int_eq(s->q.level, COORD_LEVEL_LOCAL);
    s = rig_expect(&rig, COORD_OP_LIST);
    ck_assert_uint_eq(s->q.flags, COORD_LIST_COUNT | COORD_LIST_RECURSIVE);
    ck_assert_uint_eq(rig_expect(&rig, COORD_OP_DELETE)->q.flags, COORD_DELETE_RECURSIVE);
    ck_assert_uint_eq(rig_expect(&rig, COORD_OP_DELETE)->q.flags, 0);
    close_rigged(c);
}
END_TEST

/* --- what is answered -------------------------------------------------------------------------- */

static void put_result(struct coord_buf **out, enum coord_op op, const struct coord_result *res)
{
    ck_assert_int_eq(coord_txn_result_encode(op, res, out), 0);
}

static struct coord_bytes bytes(const char *text)
{
    return (struct coord_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* Answers to what add_operations adds, in order. */
static struct coord_buf *all_results(void)
{
    struct coord_buf *out = NULL;
    struct coord_result created = {
        .path = bytes("/app/n0000000007"), .sequence = 7, .stat = {.create_revision = 50}};
    struct coord_result got = {.data = bytes("val"), .stat = {.version = 2}};
    struct coord_result set = {.stat = {.version = 3}};
    struct coord_result gone = {.revision = 50, .count = 5};
    struct coord_result exists = {.exists = true};
    struct coord_result stat = {.stat = {.children = 9}};
    struct coord_result sum = {.value = -3, .stat = {.version = 4}};
    struct coord_result moved = {.count = 6, .stat = {.create_revision = 51}};
    put_result(&out, COORD_OP_CREATE, &created);
    put_result(&out, COORD_OP_GET, &got);
    put_result(&out, COORD_OP_SET, &set);
    put_result(&out, COORD_OP_DELETE, &gone);
    put_result(&out, COORD_OP_EXISTS, &exists);
    put_result(&out, COORD_OP_STAT, &stat);
    put_result(&out, COORD_OP_INCREMENT, &sum);
    put_result(&out, COORD_OP_RENAME, &moved);
    return out;
}

START_TEST(all_of_it_is_answered)
{
    bool then = _i == 0;
    struct coord *c = open_ready("/app");
    struct coord_txn *t = coord_txn_new();
    add_operations(t, then ? COORD_THEN : COORD_ELSE);
    ck_assert_int_eq(coord_txn_get(t, then ? COORD_ELSE : COORD_THEN, "/other"), 0);
    ck_assert_int_eq(coord_txn_commit(c, t, NULL, NULL, NULL), 0);
    coord_txn_free(t);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_TXN);
    struct coord_buf *raw = all_results();
    struct coord_result res = {.branch = then ? COORD_TXN_THEN : COORD_TXN_ELSE,
                               .revision = 50,
                               .results = {8, {raw->data, raw->len}}};
    rig_answer(&rig, s, &res);
    coord_buf_unref(raw);
    ck_assert_int_eq(last.count, 1);
    ck_assert_int_eq(last.reply.error, 0);
    ck_assert_int_eq(last.reply.outcome, COORD_OUTCOME_DONE);
    ck_assert_int_eq(last.reply.branch, then ? COORD_THEN : COORD_ELSE);
    ck_assert_uint_eq(last.reply.revision, 50);
    ck_assert_uint_eq(last.reply.failed, 0);
    ck_assert_uint_eq(last.reply.results_count, 8);
    ck_assert_str_eq(last.paths[0], "/n0000000007");
    ck_assert_uint_eq(last.results[0].sequence, 7);
    ck_assert(last.results[0].has_stat && last.results[0].stat.create_revision == 50);
    ck_assert_str_eq(last.data[1], "val");
    ck_assert(!last.has_data[2] && last.results[2].stat.version == 3);
    ck_assert(last.results[3].count == 5 && !last.results[3].has_stat);
    ck_assert(last.results[4].exists && !last.results[4].has_stat);
    ck_assert_str_eq(last.paths[4], "/");
    ck_assert_uint_eq(last.results[5].stat.children, 9);
    ck_assert_int_eq(last.results[6].value, -3);
    ck_assert_str_eq(last.paths[7], "/to");
    ck_assert_uint_eq(last.results[7].count, 6);
    ck_assert_str_eq(last.results[7].operation, "rename");
    close_rigged(c);
}
END_TEST

static struct coord_txn *three_operations(void)
{
    struct coord_txn *t = coord_txn_new();
    ck_assert_int_eq(coord_txn_set(t, COORD_THEN, "/a", "1", 1, NULL), 0);
    ck_assert_int_eq(coord_txn_set(t, COORD_THEN, "/b", "2", 1, NULL), 0);
    ck_assert_int_eq(coord_txn_get(t, COORD_THEN, "/c"), 0);
    return t;
}

/* The second of three_operations failed with error. */
static void answer_failure(const struct rig_sent *s, int error, uint64_t failed)
{
    struct coord_buf *raw = NULL;
    struct coord_result aborted = {.error = COORD_EABORTED};
    struct coord_result bad = {.error = error};
    put_result(&raw, COORD_OP_SET, &aborted);
    put_result(&raw, COORD_OP_SET, &bad);
    put_result(&raw, COORD_OP_GET, &aborted);
    struct coord_result res = {.branch = COORD_TXN_THEN,
                               .failed = failed,
                               .revision = 60,
                               .results = {3, {raw->data, raw->len}}};
    rig_answer(&rig, s, &res);
    coord_buf_unref(raw);
}

START_TEST(a_failed_operation_is_the_error)
{
    static const int errors[] = {COORD_ENONODE, COORD_ETOOBIG, COORD_ENOSESSION, COORD_EQUOTA};
    struct coord *c = open_ready(NULL);
    struct coord_txn *t = three_operations();
    uint64_t id = 0;
    struct coord_call call = {.ret_request = &id};
    char text[128];
    ck_assert_int_eq(coord_txn_commit(c, t, &call, NULL, NULL), 0);
    coord_txn_free(t);
    answer_failure(rig_expect(&rig, COORD_OP_TXN), errors[_i], 2);
    ck_assert_int_eq(last.count, 1);
    ck_assert_int_eq(last.reply.error, errors[_i]);
    /* Decided for good, whatever the class of the error says of requests that were not. */
    ck_assert_int_eq(last.reply.outcome, COORD_OUTCOME_FAILED);
    ck_assert_int_eq(coord_outcome(c, id), COORD_OUTCOME_FAILED);
    ck_assert_int_eq(last.reply.branch, COORD_THEN);
    ck_assert_uint_eq(last.reply.failed, 2);
    ck_assert_uint_eq(last.reply.results_count, 3);
    ck_assert_int_eq(last.results[0].error, COORD_EABORTED);
    ck_assert_int_eq(last.results[1].error, errors[_i]);
    ck_assert(!last.results[1].has_stat);
    ck_assert_int_eq(last.results[2].error, COORD_EABORTED);
    ck_assert_str_eq(last.paths[1], "/b");
    (void)snprintf(text, sizeof(text), "operation 2 of 3 (set /b): %s", coord_strerror(errors[_i]));
    ck_assert_str_eq(last.text, text);
    /* The session is as it was: the next write is sent in it. */
    ck_assert_uint_eq(coord_session_id(c), 77);
    close_rigged(c);
}
END_TEST

/* Sent twice under one number, and the answer that counts says that it failed. */
START_TEST(a_repeated_transaction_fails_for_certain)
{
    struct coord *c = open_ready(NULL);
    struct coord_txn *t = three_operations();
    ck_assert_int_eq(coord_txn_commit(c, t, NULL, NULL, NULL), 0);
    coord_txn_free(t);
    uint64_t number = rig_expect(&rig, COORD_OP_TXN)->q.number;
    rig_break(&rig, "cut");
    (void)rig_greet(&rig, COORD_SESSION_RESUMED);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_TXN);
    ck_assert_uint_eq(s->q.number, number);
    ck_assert_uint_eq(s->q.thens.count, 3);
    answer_failure(s, COORD_ETOOBIG, 2);
    ck_assert_int_eq(last.reply.error, COORD_ETOOBIG);
    ck_assert_int_eq(last.reply.outcome, COORD_OUTCOME_FAILED);
    close_rigged(c);
}
END_TEST

/* It timed out; what its late answer says is still learnt. */
START_TEST(a_late_failure_is_remembered)
{
    struct coord *c = open_ready(NULL);
    struct coord_txn *t = three_operations();
    uint64_t id = 0;
    struct coord_call call = {.ret_request = &id, .timeout_ms = 100};
    ck_assert_int_eq(coord_txn_commit(c, t, &call, NULL, NULL), 0);
    coord_txn_free(t);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_TXN);
    rig_pass(&rig, 1000);
    ck_assert_int_eq(last.reply.error, COORD_ETIMEOUT);
    ck_assert_int_eq(last.reply.branch, COORD_NEITHER);
    ck_assert_int_eq(coord_outcome(c, id), COORD_OUTCOME_UNKNOWN);
    answer_failure(s, COORD_ENONODE, 2);
    ck_assert_int_eq(coord_outcome(c, id), COORD_OUTCOME_FAILED);
    close_rigged(c);
}
END_TEST

/* The number of the failed operation is none of the branch. */
START_TEST(an_impossible_failure_is_no_success)
{
    struct coord *c = open_ready(NULL);
    struct coord_txn *t = three_operations();
    ck_assert_int_eq(coord_txn_commit(c, t, NULL, NULL, NULL), 0);
    coord_txn_free(t);
    answer_failure(rig_expect(&rig, COORD_OP_TXN), COORD_ENONODE, 17);
    ck_assert_int_eq(last.reply.error, COORD_EPROTO);
    close_rigged(c);
}
END_TEST

START_TEST(the_other_requests_are_answered)
{
    struct coord *c = open_ready("/p");
    struct coord_call counting = {.flags = COORD_COUNT_ONLY};
    struct coord_call recursive = {.flags = COORD_RECURSIVE};
    struct coord_result sum = {.value = INT64_MIN, .stat = {.modify_revision = 8, .version = 2}};
    ck_assert_int_eq(coord_increment(c, "/n", 1, NULL, NULL, NULL), 0);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_INCREMENT), &sum);
    ck_assert(last.reply.value == INT64_MIN && last.reply.revision == 8);
    ck_assert_str_eq(last.path, "/n");
    struct coord_result moved = {.count = 4, .stat = {.create_revision = 9}};
    ck_assert_int_eq(coord_rename(c, "/n", "/m", NULL, NULL, NULL), 0);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_RENAME), &moved);
    ck_assert(last.reply.count == 4 && last.reply.revision == 9);
    ck_assert_str_eq(last.path, "/m");
    struct coord_result usage = {.usage = {3, 100, 10, 0}};
    ck_assert_int_eq(coord_usage(c, "/", NULL, NULL, NULL), 0);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_USAGE), &usage);
    ck_assert(last.reply.has_usage && last.reply.usage.nodes == 3);
    ck_assert(last.reply.usage.bytes == 100 && last.reply.usage.quota_nodes == 10);
    struct coord_result listed = {.count = 12345};
    ck_assert_int_eq(coord_list(c, "/", &counting, NULL, NULL), 0);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_LIST), &listed);
    ck_assert(last.reply.count == 12345 && last.reply.entries_count == 0 && !last.reply.has_usage);
    struct coord_result gone = {.count = 5, .revision = 11};
    ck_assert_int_eq(coord_delete(c, "/n", &recursive, NULL, NULL), 0);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_DELETE), &gone);
    ck_assert(last.reply.count == 5 && last.reply.revision == 11);
    ck_assert_int_eq(last.reply.branch, COORD_NEITHER);
    close_rigged(c);
}
END_TEST

/* --- limits and misuse ------------------------------------------------------------------------- */

/* Connect to a server that takes so many operations, and frames of so many bytes. */
static void greet_limited(uint64_t operations, uint64_t frame)
{
    (void)rig_connect(&rig);
    struct coord_result res = {.version = COORD_PROTOCOL_VERSION, .member = 1};
    res.limits.frame_bytes = frame;
    res.limits.outstanding = 64;
    res.limits.txn_operations = operations;
    rig_answer(&rig, rig_expect(&rig, COORD_OP_HELLO), &res);
}

START_TEST(the_servers_limit_is_kept)
{
    static const char *const words[] = {"conditions", "operations in its then",
                                        "operations in its else"};
    struct coord *c = open_rigged(NULL, COORD_SESSIONS_OFF);
    struct coord_txn *t = coord_txn_new();
    char text[128];
    greet_limited(3, 1u << 22);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(_i == 0   ? coord_txn_if_exists(t, "/a")
                         : _i == 1 ? coord_txn_get(t, COORD_THEN, "/a")
                                   : coord_txn_get(t, COORD_ELSE, "/a"),
                         0);
        ck_assert_int_eq(coord_txn_commit(c, t, NULL, NULL, NULL), 0);
        if (i < 3) {
            (void)rig_expect(&rig, COORD_OP_TXN);
        }
    }
    coord_txn_free(t);
    rig_expect_nothing(&rig);
    ck_assert_int_eq(last.count, 1);
    ck_assert_int_eq(last.reply.error, COORD_ELIMIT);
    ck_assert_int_eq(last.reply.outcome, COORD_OUTCOME_NOT_APPLIED);
    (void)snprintf(text, sizeof(text),
                   "a limit is reached: the transaction has 4 %s, the server takes 3", words[_i]);
    ck_assert_str_eq(last.text, text);
    close_rigged(c);
}
END_TEST

START_TEST(the_servers_frame_is_kept)
{
    static const char big[8192];
    struct coord *c = open_rigged(NULL, COORD_SESSIONS_OFF);
    struct coord_txn *t = coord_txn_new();
    greet_limited(10, 4096);
    ck_assert_int_eq(coord_txn_set(t, COORD_THEN, "/a", big, sizeof(big), NULL), 0);
    ck_assert_int_eq(coord_txn_commit(c, t, NULL, NULL, NULL), 0);
    coord_txn_free(t);
    rig_expect_nothing(&rig);
    ck_assert_int_eq(last.reply.error, COORD_ETOOBIG);
    ck_assert_int_eq(last.reply.outcome, COORD_OUTCOME_NOT_APPLIED);
    close_rigged(c);
}
END_TEST

static int misuse(struct coord_txn *t, int which)
{
    static const struct coord_call bad_flags = {.flags = 1u << 20};
    static const struct coord_call bad_conditions = {.conditions = 64};
    static const struct coord_call no_revision = {.conditions = COORD_IF_MODIFIED};
    switch (which) {
    case 0:
        return coord_txn_if_exists(t, "a");
    case 1:
        return coord_txn_get(t, COORD_THEN, "/a/");
    case 2:
        return coord_txn_rename(t, COORD_THEN, "/a", "/b//c", NULL);
    case 3:
        return coord_txn_get(t, COORD_NEITHER, "/a");
    case 4:
        return coord_txn_get(t, (enum coord_branch)7, "/a");
    case 5:
        return coord_txn_if_modified(t, "/a", 0);
    case 6:
        return coord_txn_if_held(t, "/a", 0);
    case 7:
        return coord_txn_if_value(t, "/a", NULL, 3);
    case 8:
        return coord_txn_set(t, COORD_THEN, "/a", NULL, 3, NULL);
    case 9:
        return coord_txn_create(t, COORD_THEN, "/a", NULL, 0, &bad_flags);
    case 10:
        return coord_txn_delete(t, COORD_THEN, "/a", &bad_flags);
    case 11:
        return coord_txn_set(t, COORD_THEN, "/a", NULL, 0, &bad_conditions);
    case 12:
        return coord_txn_increment(t, COORD_THEN, "/a", 1, &no_revision);
    case 13:
        return coord_txn_if_exists(t, NULL);
    default:
        return coord_txn_rename(t, COORD_THEN, "/a", NULL, NULL);
    }
}
#define MISUSES 15

START_TEST(nothing_half_built_is_sent)
{
    struct coord *c = open_ready(NULL);
    struct coord_txn *t = three_operations();
    struct coord_reply *reply = (struct coord_reply *)t;
    int error = misuse(t, _i);
    ck_assert_int_eq(error, _i <= 2 ? COORD_EBADPATH : COORD_EINVAL);
    /* It is kept, and what is right comes too late. */
    ck_assert_int_eq(coord_txn_get(t, COORD_THEN, "/fine"), error);
    ck_assert_int_eq(misuse(t, 3), error);
    ck_assert_int_eq(coord_txn_commit(c, t, NULL, NULL, NULL), error);
    ck_assert_int_eq(coord_txn_commit_sync(c, t, NULL, &reply), error);
    ck_assert_ptr_null(reply);
    coord_txn_free(t);
    ck_assert_int_eq(last.count, 0);
    close_rigged(c);
}
END_TEST

START_TEST(no_transaction_is_an_error)
{
    struct coord *c = open_ready(NULL);
    for (int i = 0; i < MISUSES; i++) {
        ck_assert_int_eq(misuse(NULL, i), COORD_ENOMEM);
    }
    ck_assert_int_eq(coord_txn_if_value(NULL, "/a", "x", 1), COORD_ENOMEM);
    ck_assert_int_eq(coord_txn_commit(c, NULL, NULL, NULL, NULL), COORD_ENOMEM);
    coord_txn_free(NULL);
    struct coord_txn *t = coord_txn_new();
    ck_assert_int_eq(coord_txn_commit(NULL, t, NULL, NULL, NULL), COORD_EINVAL);
    coord_txn_free(t);
    close_rigged(c);
}
END_TEST

/* A path that is fine alone and too long behind the handle's prefix. */
START_TEST(the_prefix_counts)
{
    struct coord *c = open_ready("/prefix");
    struct coord_txn *t = coord_txn_new();
    char path[COORD_PATH_MAX + 1];
    for (size_t i = 0; i < COORD_PATH_MAX; i++) {
        path[i] = i % 100 == 0 ? '/' : 'x';
    }
    path[COORD_PATH_MAX] = 0;
    ck_assert_int_eq(_i == 0   ? coord_txn_if_exists(t, path)
                     : _i == 1 ? coord_txn_get(t, COORD_ELSE, path)
                               : coord_txn_rename(t, COORD_THEN, "/a", path, NULL),
                     0);
    ck_assert_int_eq(coord_txn_commit(c, t, NULL, NULL, NULL), COORD_EBADPATH);
    coord_txn_free(t);
    close_rigged(c);
}
END_TEST

START_TEST(no_ephemeral_without_sessions)
{
    struct coord *c = open_rigged(NULL, COORD_SESSIONS_OFF);
    struct coord_call call = {.flags = COORD_EPHEMERAL};
    struct coord_txn *t = coord_txn_new();
    greet_limited(10, 1u << 20);
    ck_assert_int_eq(coord_txn_get(t, COORD_THEN, "/a"), 0);
    ck_assert_int_eq(coord_txn_create(t, _i == 0 ? COORD_THEN : COORD_ELSE, "/a", NULL, 0, &call),
                     0);
    ck_assert_int_eq(coord_txn_commit(c, t, NULL, NULL, NULL), COORD_ENOSESSION);
    coord_txn_free(t);
    close_rigged(c);
}
END_TEST

START_TEST(arguments_of_the_others_are_checked)
{
    struct coord *c = open_ready(NULL);
    struct coord_call bad = {.flags = COORD_COUNT_ONLY};
    struct coord_call conditions = {.conditions = 128};
    ck_assert_int_eq(coord_delete(c, "/a", &bad, NULL, NULL), COORD_EINVAL);
    ck_assert_int_eq(coord_increment(c, "/a", 1, &conditions, NULL, NULL), COORD_EINVAL);
    ck_assert_int_eq(coord_rename(c, "/a", NULL, NULL, NULL, NULL), COORD_EINVAL);
    ck_assert_int_eq(coord_rename(c, "/a", "b", NULL, NULL, NULL), COORD_EBADPATH);
    ck_assert_int_eq(coord_rename(c, "a", "/b", NULL, NULL, NULL), COORD_EBADPATH);
    ck_assert_int_eq(coord_quota(c, "a", 1, 1, NULL, NULL, NULL), COORD_EBADPATH);
    ck_assert_int_eq(coord_usage(NULL, "/a", NULL, NULL, NULL), COORD_EINVAL);
    close_rigged(c);
}
END_TEST

/* --- memory ------------------------------------------------------------------------------------ */

static int countdown;

static int fail_one(size_t size)
{
    (void)size;
    return --countdown != 0;
}

/* The nth allocation fails: an error, and nothing is sent or leaks. */
START_TEST(memory_can_run_out)
{
    struct coord *c = open_ready("/app");
    bool clean = false;
    int n = 0;
    while (!clean) {
        countdown = ++n;
        coord__alloc_hook = fail_one;
        struct coord_txn *t = coord_txn_new();
        (void)coord_txn_if_exists(t, "/a");
        (void)coord_txn_set(t, COORD_THEN, "/a", "x", 1, NULL);
        int err = coord_txn_commit(c, t, NULL, NULL, NULL);
        coord__alloc_hook = NULL;
        clean = countdown > 0;
        ck_assert_int_eq(err, clean ? 0 : COORD_ENOMEM);
        coord_txn_free(t);
        if (!clean) {
            rig_expect_nothing(&rig);
        }
        ck_assert_int_lt(n, 50);
    }
    ck_assert_int_gt(n, 1);
    (void)rig_expect(&rig, COORD_OP_TXN);
    close_rigged(c);
}
END_TEST

/* --- a real member ----------------------------------------------------------------------------- */

static int64_t number_at(struct coord *c, const char *path)
{
    struct coord_reply *r = NULL;
    ck_assert_int_eq(coord_get_sync(c, path, NULL, &r), 0);
    int64_t n = strtoll(r->data, NULL, 10);
    coord_reply_free(r);
    return n;
}

static void make(struct coord *c, const char *path, const char *data)
{
    struct coord_call parents = {.flags = COORD_PARENTS};
    ck_assert_int_eq(coord_create_sync(c, path, data, strlen(data), &parents, NULL), 0);
}

START_TEST(a_member_decides)
{
    struct coord *c = open_plain(_i == 1);
    struct coord_reply *r = NULL;
    make(c, "/bank/a", "100");
    make(c, "/bank/b", "0");
    struct coord_txn *t = coord_txn_new();
    (void)coord_txn_if_version(t, "/bank/a", 0);
    (void)coord_txn_increment(t, COORD_THEN, "/bank/a", -30, NULL);
    (void)coord_txn_increment(t, COORD_THEN, "/bank/b", 30, NULL);
    (void)coord_txn_get(t, COORD_ELSE, "/bank/a");
    ck_assert_int_eq(coord_txn_commit_sync(c, t, NULL, &r), 0);
    ck_assert_int_eq(r->branch, COORD_THEN);
    ck_assert_uint_eq(r->results_count, 2);
    ck_assert_int_eq(r->results[0].value, 70);
    ck_assert_int_eq(r->results[1].value, 30);
    ck_assert_uint_eq(r->results[0].stat.modify_revision, r->revision);
    ck_assert_uint_eq(r->results[1].stat.modify_revision, r->revision);
    coord_reply_free(r);
    ck_assert_int_eq(coord_txn_commit_sync(c, t, NULL, &r), 0);
    ck_assert_int_eq(r->branch, COORD_ELSE);
    ck_assert_str_eq(r->results[0].data, "70");
    coord_reply_free(r);
    coord_txn_free(t);
    t = coord_txn_new();
    (void)coord_txn_increment(t, COORD_THEN, "/bank/a", -30, NULL);
    (void)coord_txn_increment(t, COORD_THEN, "/bank/nobody", 30, NULL);
    ck_assert_int_eq(coord_txn_commit_sync(c, t, NULL, &r), COORD_ENONODE);
    ck_assert_uint_eq(r->failed, 2);
    ck_assert_int_eq(r->outcome, COORD_OUTCOME_FAILED);
    coord_reply_free(r);
    coord_txn_free(t);
    ck_assert_int_eq(number_at(c, "/bank/a"), 70);
    coord_close(c);
}
END_TEST

START_TEST(a_member_does_the_others)
{
    struct coord *c = open_plain(false);
    struct coord_reply *r = NULL;
    struct coord_call recursive = {.flags = COORD_RECURSIVE};
    struct coord_call count = {.flags = COORD_RECURSIVE | COORD_COUNT_ONLY};
    make(c, "/a/b/c", "12");
    ck_assert_int_eq(coord_increment_sync(c, "/a/b/c", -13, NULL, &r), 0);
    ck_assert_int_eq(r->value, -1);
    coord_reply_free(r);
    ck_assert_int_eq(coord_rename_sync(c, "/a/b", "/z", NULL, &r), 0);
    ck_assert_str_eq(r->path, "/z");
    ck_assert_uint_eq(r->count, 2);
    coord_reply_free(r);
    ck_assert_int_eq(number_at(c, "/z/c"), -1);
    ck_assert_int_eq(coord_rename_sync(c, "/z", "/z/c/d", NULL, NULL), COORD_EINSIDE);
    ck_assert_int_eq(coord_quota_sync(c, "/z", 2, 0, NULL, &r), 0);
    ck_assert(r->usage.nodes == 2 && r->usage.quota_nodes == 2 && r->usage.bytes == 2);
    coord_reply_free(r);
    ck_assert_int_eq(coord_create_sync(c, "/z/d", NULL, 0, NULL, NULL), COORD_EQUOTA);
    ck_assert_int_eq(coord_list_sync(c, "/", &count, &r), 0);
    ck_assert(r->count == 3 && r->entries_count == 0);
    coord_reply_free(r);
    ck_assert_int_eq(coord_delete_sync(c, "/z", NULL, NULL), COORD_ENOTEMPTY);
    ck_assert_int_eq(coord_delete_sync(c, "/z", &recursive, &r), 0);
    ck_assert_uint_eq(r->count, 2);
    coord_reply_free(r);
    ck_assert_int_eq(coord_usage_sync(c, "/", NULL, &r), 0);
    ck_assert_uint_eq(r->usage.nodes, 2);
    coord_reply_free(r);
    ck_assert_int_eq(coord_increment_sync(c, "/a", 1, NULL, NULL), COORD_ENOTNUMBER);
    coord_close(c);
}
END_TEST

/* Whoever held the lock before, and does not know that it went, changes nothing. */
START_TEST(a_lock_guards)
{
    struct coord *c = open_plain(true);
    struct coord *other = open_plain(true);
    struct coord_lock *lock = NULL;
    struct coord_lock *next = NULL;
    struct coord_reply *r = NULL;
    uint64_t token = 0;
    uint64_t next_token = 0;
    char path[COORD_PATH_MAX + 1];
    make(c, "/n", "0");
    ck_assert_int_eq(coord_lock_acquire_sync(c, "l", NULL, &lock, &token), 0);
    struct coord_txn *t = coord_txn_new();
    ck_assert_int_eq(coord_lock_guard(NULL, t), COORD_EINVAL);
    ck_assert_int_eq(coord_election_guard(NULL, t), COORD_EINVAL);
    ck_assert_int_eq(coord_lock_guard(lock, t), 0);
    (void)coord_txn_increment(t, COORD_THEN, "/n", 1, NULL);
    ck_assert_int_eq(coord_txn_commit_sync(c, t, NULL, &r), 0);
    ck_assert_int_eq(r->branch, COORD_THEN);
    coord_reply_free(r);
    ck_assert_int_eq(coord_lock_path(lock, path, sizeof(path)), 0);
    ck_assert_int_eq(coord_delete_sync(other, path, NULL, NULL), 0); /* by hand */
    ck_assert_int_eq(coord_lock_acquire_sync(other, "l", NULL, &next, &next_token), 0);
    ck_assert_uint_gt(next_token, token);
    ck_assert_int_eq(coord_txn_commit_sync(c, t, NULL, &r), 0);
    ck_assert_int_eq(r->branch, COORD_ELSE);
    coord_reply_free(r);
    coord_txn_free(t);
    ck_assert_int_eq(number_at(c, "/n"), 1);
    t = coord_txn_new();
    ck_assert_int_eq(coord_lock_guard(next, t), 0);
    (void)coord_txn_increment(t, COORD_THEN, "/n", 1, NULL);
    ck_assert_int_eq(coord_txn_commit_sync(other, t, NULL, NULL), 0);
    coord_txn_free(t);
    ck_assert_int_eq(number_at(c, "/n"), 2);
    ck_assert_int_eq(coord_lock_release_sync(next), 0);
    (void)!coord_lock_release_sync(lock); /* it was lost: whether that is told by now is open */
    coord_close(other);
    coord_close(c);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_txn");
    TCase *t = tcase_create("bytes");
    tcase_add_loop_test(t, all_of_it_is_sent, 0, 2);
    tcase_add_test(t, a_transaction_can_be_committed_again);
    tcase_add_test(t, the_other_requests_are_sent);
    tcase_add_loop_test(t, all_of_it_is_answered, 0, 2);
    tcase_add_loop_test(t, a_failed_operation_is_the_error, 0, 4);
    tcase_add_test(t, a_repeated_transaction_fails_for_certain);
    tcase_add_test(t, a_late_failure_is_remembered);
    tcase_add_test(t, an_impossible_failure_is_no_success);
    tcase_add_test(t, the_other_requests_are_answered);
    suite_add_tcase(s, t);
    t = tcase_create("limits");
    tcase_add_loop_test(t, the_servers_limit_is_kept, 0, 3);
    tcase_add_test(t, the_servers_frame_is_kept);
    tcase_add_loop_test(t, nothing_half_built_is_sent, 0, MISUSES);
    tcase_add_test(t, no_transaction_is_an_error);
    tcase_add_loop_test(t, the_prefix_counts, 0, 3);
    tcase_add_loop_test(t, no_ephemeral_without_sessions, 0, 2);
    tcase_add_test(t, arguments_of_the_others_are_checked);
    tcase_add_test(t, memory_can_run_out);
    suite_add_tcase(s, t);
    t = tcase_create("member");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, a_member_decides, 0, 2);
    tcase_add_test(t, a_member_does_the_others);
    tcase_add_test(t, a_lock_guards);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
