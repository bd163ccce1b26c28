/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: transactions are all or nothing, and the operations on subtrees, counters and quotas keep their rules.
 * Method: small trees through machine_apply; after each refusal the whole state must be the bytes it was, but
 * for its revision and time. Random ones against a model: test_machine_model.
 */
#include <stdio.h>
#include "server/machine/machine_internal.h"
#include "tests/unit/test_machine_fixture.h"

/* --- transactions, written down ---------------------------------------------------------------- */

struct draft {
    struct coord_request q;
    struct coord_buf *ifs;
    struct coord_buf *thens;
    struct coord_buf *elses;
};

static void put_if(struct draft *d, enum coord_when kind, const char *path, uint64_t number,
                   const char *data)
{
    struct coord_if c = {.kind = kind, .path = str(path), .number = number, .data = str(data)};
    ck_assert_int_eq(coord_if_encode(&c, &d->ifs), 0);
    d->q.ifs.count++;
}

static void put_op(struct draft *d, bool then, struct coord_request q)
{
    struct coord_items *items = then ? &d->q.thens : &d->q.elses;
    ck_assert_int_eq(coord_txn_op_encode(&q, then ? &d->thens : &d->elses), 0);
    items->count++;
}

static struct coord_bytes raw_of(const struct coord_buf *b)
{
    return (struct coord_bytes){b == NULL ? NULL : b->data, b == NULL ? 0 : b->len};
}

/* Apply it in a session (0: none) with that number. Return: the error of the request as a whole. */
static int commit(struct fixture *f, struct draft *d, uint64_t session, uint64_t number)
{
    d->q.op = COORD_OP_TXN;
    d->q.number = number;
    d->q.ifs.raw = raw_of(d->ifs);
    d->q.thens.raw = raw_of(d->thens);
    d->q.elses.raw = raw_of(d->elses);
    int error = fixture_request(f, session, session, &d->q);
    coord_buf_unref(d->ifs);
    coord_buf_unref(d->thens);
    coord_buf_unref(d->elses);
    memset(d, 0, sizeof(*d));
    return error;
}

static struct coord_result result_of(const struct fixture *f, uint32_t i)
{
    struct coord_bytes cursor = f->res.results.raw;
    struct coord_result res;
    enum coord_op op;
    for (uint32_t n = 0; n <= i; n++) {
        ck_assert_int_eq(coord_txn_result_next(&cursor, &op, &res), 1);
    }
    return res;
}

static struct coord_request op_of(enum coord_op op, const char *path, const char *data)
{
    return (struct coord_request){.op = op,
                                  .path = str(path),
                                  .data = str(data),
                                  .expect_version = op == COORD_OP_CREATE ? 0 : COORD_VERSION_ANY};
}

static struct coord_request create_of(const char *path, uint32_t flags)
{
    struct coord_request q = op_of(COORD_OP_CREATE, path, "x");
    q.flags = flags;
    return q;
}

/* The state without what every entry moves: its revision and time. */
static uint64_t digest(const struct fixture *f)
{
    struct coord_buf *saved = machine_save(f->m);
    uint64_t hash = 14695981039346656037u;
    for (uint32_t i = 40; i < saved->len; i++) {
        hash = (hash ^ saved->data[i]) * 1099511628211u;
    }
    coord_buf_unref(saved);
    const char *wrong = store_check(f->m->state.store);
    ck_assert_msg(wrong == NULL, "%s", wrong);
    return hash;
}

START_TEST(operations_see_each_other_and_share_a_revision)
{
    struct fixture f;
    struct draft d = {0};
    fixture_open(&f, NULL);
    put_op(&d, true, create_of("/a", 0));
    put_op(&d, true, create_of("/a/n-", COORD_F_SEQUENTIAL));
    put_op(&d, true, create_of("/a/n-", COORD_F_SEQUENTIAL));
    put_op(&d, true, op_of(COORD_OP_SET, "/a", "one"));
    put_op(&d, true, op_of(COORD_OP_SET, "/a", "two"));
    put_op(&d, true, op_of(COORD_OP_GET, "/a", NULL));
    put_op(&d, true, op_of(COORD_OP_EXISTS, "/b", NULL));
    put_op(&d, true, op_of(COORD_OP_DELETE, "/a/n-0000000000", NULL));
    put_op(&d, true, op_of(COORD_OP_STAT, "/a", NULL));
    ck_assert_int_eq(commit(&f, &d, 0, 1), 0);
    ck_assert_int_eq(f.res.branch, COORD_TXN_THEN);
    ck_assert_uint_eq(f.res.failed, 0);
    ck_assert_uint_eq(f.res.revision, f.revision);
    ck_assert_uint_eq(f.res.results.count, 9);
    ck_assert(is(result_of(&f, 1).path, "/a/n-0000000000"));
    ck_assert_uint_eq(result_of(&f, 2).sequence, 1);
    ck_assert(is(result_of(&f, 5).data, "two"));
    ck_assert_uint_eq(result_of(&f, 5).stat.version, 2);
    ck_assert_int_eq(result_of(&f, 6).exists, 0);
    ck_assert_uint_eq(result_of(&f, 8).stat.children, 1);
    ck_assert_uint_eq(result_of(&f, 8).stat.create_revision, f.revision);
    ck_assert_uint_eq(f.o.changes_count, 6);
    (void)digest(&f);
    fixture_close(&f);
}
END_TEST

/* A failed operation at each place of a transaction of everything that can be done. */
START_TEST(nothing_is_left_of_a_failed_one)
{
    struct fixture f;
    struct draft d = {0};
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 7, 5000);
    ck_assert_int_eq(do_create(&f, "/a", "1", 0), 0);
    ck_assert_int_eq(do_create(&f, "/a/deep", "22", 0), 0);
    ck_assert_int_eq(do_create(&f, "/a/deep/er", NULL, 0), 0);
    ck_assert_int_eq(do_create(&f, "/count", "41", 0), 0);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/mine", COORD_F_EPHEMERAL), 0);
    struct coord_request op[] = {
        op_of(COORD_OP_SET, "/a", "something longer"),
        create_of("/a/new/er/est", COORD_F_PARENTS),
        create_of("/lock-", COORD_F_SEQUENTIAL | COORD_F_EPHEMERAL),
        op_of(COORD_OP_DELETE, "/mine", NULL),
        op_of(COORD_OP_INCREMENT, "/count", NULL),
        op_of(COORD_OP_RENAME, "/a", NULL),
        op_of(COORD_OP_SET, "/moved/deep", NULL),
        op_of(COORD_OP_DELETE, "/moved", NULL),
    };
    op[4].delta = 1;
    op[5].to = str("/moved");
    op[7].flags = COORD_DELETE_RECURSIVE;
    const uint32_t count = sizeof(op) / sizeof(op[0]);
    uint64_t before = digest(&f);
    for (uint32_t fail = 0; fail < count; fail++) {
        for (uint32_t i = 0; i < count; i++) {
            put_op(&d, true, i == fail ? op_of(COORD_OP_DELETE, "/none", NULL) : op[i]);
        }
        ck_assert_int_eq(commit(&f, &d, s, 10 + fail), 0);
        ck_assert_uint_eq(f.res.failed, fail + 1);
        ck_assert_uint_eq(f.o.changes_count, 0);
        for (uint32_t i = 0; i < count; i++) {
            int error = result_of(&f, i).error;
            ck_assert_int_eq(error, i == fail ? COORD_ENONODE : COORD_EABORTED);
        }
    }
    struct machine_session got;
    ck_assert(machine_session_get(f.m, s, &got));
    ck_assert_uint_eq(got.ephemerals, 1);
    ck_assert(is(do_read(&f, COORD_OP_GET, "/a").data, "1"));
    ck_assert_uint_eq(stat_of(&f, "/").children, 3);
    /* The kept answers are part of the state, so once more without a session. */
    before = digest(&f);
    for (uint32_t fail = 0; fail < count; fail++) {
        for (uint32_t i = 0; i < count; i++) {
            struct coord_request q = op[i];
            q.flags &= q.op == COORD_OP_CREATE ? ~(uint32_t)COORD_F_EPHEMERAL : UINT32_MAX;
            put_op(&d, true, i == fail ? op_of(COORD_OP_DELETE, "/none", NULL) : q);
        }
        ck_assert_int_eq(commit(&f, &d, 0, 1), 0);
        ck_assert_uint_ne(f.res.failed, 0);
        ck_assert_uint_eq(digest(&f), before);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(conditions_choose_the_branch)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 7, 5000);
    ck_assert_int_eq(do_create(&f, "/a", "v", 0), 0);
    uint64_t created = f.revision;
    ck_assert_int_eq(do_set(&f, "/a", "w"), 0);
    uint64_t modified = f.revision;
    ck_assert_int_eq(do_create(&f, "/lock", NULL, 0), 0);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/lock/1", COORD_F_EPHEMERAL), 0);
    uint64_t token = f.revision;
    ck_assert_int_eq(do_create(&f, "/lock/2", NULL, 0), 0);
    const struct {
        enum coord_when kind;
        const char *path;
        uint64_t number;
        const char *data;
        bool holds;
    } row[] = {
        {COORD_WHEN_EXISTS, "/a", 0, NULL, true},
        {COORD_WHEN_EXISTS, "/b", 0, NULL, false},
        {COORD_WHEN_ABSENT, "/b", 0, NULL, true},
        {COORD_WHEN_ABSENT, "/a", 0, NULL, false},
        {COORD_WHEN_VERSION, "/a", 1, NULL, true},
        {COORD_WHEN_VERSION, "/a", 0, NULL, false},
        {COORD_WHEN_VERSION, "/b", 0, NULL, false},
        {COORD_WHEN_MODIFIED, "/a", modified, NULL, true},
        {COORD_WHEN_MODIFIED, "/a", created, NULL, false},
        {COORD_WHEN_CREATED, "/a", created, NULL, true},
        {COORD_WHEN_CREATED, "/a", modified, NULL, false},
        {COORD_WHEN_VALUE, "/a", 0, "w", true},
        {COORD_WHEN_VALUE, "/a", 0, "v", false},
        {COORD_WHEN_VALUE, "/a", 0, NULL, false},
        {COORD_WHEN_VALUE, "/lock", 0, NULL, true},
        {COORD_WHEN_VALUE, "/lock", 0, "", false},
        {COORD_WHEN_CHILDREN, "/lock", 2, NULL, true},
        {COORD_WHEN_CHILDREN, "/lock", 1, NULL, false},
        {COORD_WHEN_OWNER, "/lock/1", s, NULL, true},
        {COORD_WHEN_OWNER, "/lock/1", s + 1, NULL, false},
        {COORD_WHEN_OWNER, "/lock/2", 0, NULL, true},
        {COORD_WHEN_HELD, "/lock", token, NULL, true},
        {COORD_WHEN_HELD, "/lock", token + 1, NULL, false},
        {COORD_WHEN_HELD, "/a", 0, NULL, false},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct draft d = {0};
        put_if(&d, COORD_WHEN_EXISTS, "/", 0, NULL);
        put_if(&d, row[i].kind, row[i].path, row[i].number, row[i].data);
        put_op(&d, true, op_of(COORD_OP_SET, "/lock/2", "then"));
        put_op(&d, false, op_of(COORD_OP_SET, "/lock/2", "else"));
        ck_assert_int_eq(commit(&f, &d, 0, 1), 0);
        ck_assert_msg(f.res.branch == (row[i].holds ? COORD_TXN_THEN : COORD_TXN_ELSE), "row %zu",
                      i);
        ck_assert(is(do_read(&f, COORD_OP_GET, "/lock/2").data, row[i].holds ? "then" : "else"));
    }
    /* The lock goes to the next: the token is worth nothing any more. */
    ck_assert_int_eq(do_delete(&f, "/lock/1"), 0);
    struct draft d = {0};
    put_if(&d, COORD_WHEN_HELD, "/lock", token, NULL);
    put_op(&d, true, op_of(COORD_OP_SET, "/a", "written without the lock"));
    ck_assert_int_eq(commit(&f, &d, 0, 1), 0);
    ck_assert_int_eq(f.res.branch, COORD_TXN_ELSE);
    ck_assert(is(do_read(&f, COORD_OP_GET, "/a").data, "w"));
    fixture_close(&f);
}
END_TEST

/* The nodes of a lock's queue have names that begin with random digits: who came first is not the first in
 * order of names. */
START_TEST(a_lock_is_held_by_who_came_first)
{
    static const char *const names[] = {"/lock/7f-", "/lock/03-", "/lock/ff-"};
    struct fixture f;
    uint64_t tokens[3];
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_create(&f, "/lock", NULL, 0), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(do_create(&f, names[i], NULL, COORD_F_SEQUENTIAL), 0);
        tokens[i] = f.revision;
    }
    for (int front = 0; front < 2; front++) {
        for (int i = 0; i < 3; i++) {
            struct draft d = {0};
            put_if(&d, COORD_WHEN_HELD, "/lock", tokens[i], NULL);
            ck_assert_int_eq(commit(&f, &d, 0, 1), 0);
            ck_assert_msg(f.res.branch == (i == front ? COORD_TXN_THEN : COORD_TXN_ELSE),
                          "%d in front, token of %d", front, i);
        }
        ck_assert_int_eq(do_delete(&f, "/lock/7f-0000000000"), front == 0 ? 0 : COORD_ENONODE);
    }
    fixture_close(&f);
}
END_TEST

/* X5: a repeated number gets the answer again, the one of a failed transaction too. */
START_TEST(a_repeated_one_is_answered_from_memory)
{
    struct fixture f;
    struct draft d = {0};
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 7, 5000);
    put_op(&d, true, create_of("/n-", COORD_F_SEQUENTIAL));
    ck_assert_int_eq(commit(&f, &d, s, 1), 0);
    ck_assert(is(result_of(&f, 0).path, "/n-0000000000"));
    put_op(&d, true, create_of("/n-", COORD_F_SEQUENTIAL));
    ck_assert_int_eq(commit(&f, &d, s, 1), 0);
    ck_assert(is(result_of(&f, 0).path, "/n-0000000000"));
    ck_assert_uint_eq(f.o.changes_count, 0);
    put_op(&d, true, op_of(COORD_OP_SET, "/none", "x"));
    ck_assert_int_eq(commit(&f, &d, s, 2), 0);
    ck_assert_uint_eq(f.res.failed, 1);
    ck_assert_int_eq(do_create(&f, "/none", NULL, 0), 0);
    put_op(&d, true, op_of(COORD_OP_SET, "/none", "x"));
    ck_assert_int_eq(commit(&f, &d, s, 2), 0);
    ck_assert_uint_eq(f.res.failed, 1);
    ck_assert_int_eq(result_of(&f, 0).error, COORD_ENONODE);
    fixture_close(&f);
}
END_TEST

START_TEST(transactions_are_bounded)
{
    struct machine_limits l;
    struct fixture f;
    struct draft d = {0};
    machine_limits_init(&l);
    l.txn_operations = 3;
    l.list_bytes = 100;
    fixture_open(&f, &l);
    ck_assert_int_eq(do_create(&f, "/a", "0123456789012345678901234567890123456789", 0), 0);
    for (int i = 0; i < 4; i++) {
        put_op(&d, true, op_of(COORD_OP_EXISTS, "/a", NULL));
    }
    ck_assert_int_eq(commit(&f, &d, 0, 1), COORD_ELIMIT);
    for (int i = 0; i < 4; i++) {
        put_if(&d, COORD_WHEN_EXISTS, "/a", 0, NULL);
    }
    ck_assert_int_eq(commit(&f, &d, 0, 1), COORD_ELIMIT);
    put_op(&d, true, op_of(COORD_OP_SET, "/a", "changed"));
    put_op(&d, true, op_of(COORD_OP_GET, "/a", NULL));
    put_op(&d, true, op_of(COORD_OP_GET, "/a", NULL));
    ck_assert_int_eq(commit(&f, &d, 0, 1), 0);
    ck_assert_uint_ne(f.res.failed, 0); /* results over the limit: taken back like any failure */
    ck_assert_int_eq(result_of(&f, (uint32_t)f.res.failed - 1).error, COORD_ETOOBIG);
    ck_assert(!is(do_read(&f, COORD_OP_GET, "/a").data, "changed"));
    put_if(&d, COORD_WHEN_EXISTS, "a", 0, NULL);
    ck_assert_int_eq(commit(&f, &d, 0, 1), COORD_EBADPATH);
    put_op(&d, true, create_of("/e", COORD_F_EPHEMERAL));
    ck_assert_int_eq(commit(&f, &d, 0, 1), 0);
    ck_assert_int_eq(result_of(&f, 0).error, COORD_ENOSESSION);
    ck_assert_int_eq(commit(&f, &d, 0, 1), 0); /* nothing to do is done */
    ck_assert_uint_eq(f.res.results.count, 0);
    fixture_close(&f);
}
END_TEST

/* --- increment --------------------------------------------------------------------------------- */

static int do_increment(struct fixture *f, const char *path, int64_t delta)
{
    struct coord_request q = op_of(COORD_OP_INCREMENT, path, NULL);
    q.number = 1;
    q.delta = delta;
    return fixture_request(f, 0, 0, &q);
}

START_TEST(increment_is_exact)
{
    static const struct {
        const char *from;
        int64_t delta;
        int error;
        const char *to;
    } row[] = {
        {"0", 1, 0, "1"},
        {"-1", 1, 0, "0"},
        {"41", 1, 0, "42"},
        {"1", -2, 0, "-1"},
        {"9223372036854775806", 1, 0, "9223372036854775807"},
        {"9223372036854775807", 1, COORD_ENOTNUMBER, NULL},
        {"-9223372036854775807", -1, 0, "-9223372036854775808"},
        {"-9223372036854775808", 0, 0, "-9223372036854775808"},
        {"-9223372036854775808", -1, COORD_ENOTNUMBER, NULL},
        {"9223372036854775808", 0, COORD_ENOTNUMBER, NULL},
        {"-9223372036854775809", 0, COORD_ENOTNUMBER, NULL},
        {"99999999999999999999", 0, COORD_ENOTNUMBER, NULL},
        {"", 1, COORD_ENOTNUMBER, NULL},
        {NULL, 1, COORD_ENOTNUMBER, NULL},
        {"-", 1, COORD_ENOTNUMBER, NULL},
        {"-0", 1, COORD_ENOTNUMBER, NULL},
        {"01", 1, COORD_ENOTNUMBER, NULL},
        {"+1", 1, COORD_ENOTNUMBER, NULL},
        {"1 ", 1, COORD_ENOTNUMBER, NULL},
        {"1x", 1, COORD_ENOTNUMBER, NULL},
    };
    struct fixture f;
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_increment(&f, "/n", 1), COORD_ENONODE);
    ck_assert_int_eq(do_create(&f, "/n", "0", 0), 0);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ck_assert_int_eq(do_set(&f, "/n", row[i].from), 0);
        uint64_t version = stat_of(&f, "/n").version;
        ck_assert_msg(do_increment(&f, "/n", row[i].delta) == row[i].error, "row %zu", i);
        ck_assert_uint_eq(stat_of(&f, "/n").version, version + (row[i].error == 0));
        if (row[i].error == 0) {
            ck_assert(is(do_read(&f, COORD_OP_GET, "/n").data, row[i].to));
        }
    }
    fixture_close(&f);
}
END_TEST

/* --- subtrees ---------------------------------------------------------------------------------- */

static int do_rename(struct fixture *f, const char *from, const char *to)
{
    struct coord_request q = op_of(COORD_OP_RENAME, from, NULL);
    q.number = 1;
    q.to = str(to);
    return fixture_request(f, 0, 0, &q);
}

static int do_delete_all(struct fixture *f, const char *path)
{
    struct coord_request q = op_of(COORD_OP_DELETE, path, NULL);
    q.number = 1;
    q.flags = COORD_DELETE_RECURSIVE;
    return fixture_request(f, 0, 0, &q);
}

START_TEST(subtrees_are_bounded)
{
    struct machine_limits l;
    struct fixture f;
    machine_limits_init(&l);
    l.subtree_nodes = 5;
    fixture_open(&f, &l);
    ck_assert_int_eq(do_create(&f, "/t/a/b/c", "x", COORD_F_PARENTS), 0);
    ck_assert_int_eq(do_create(&f, "/t/d", "y", 0), 0);
    uint64_t before = digest(&f);
    ck_assert_int_eq(do_create(&f, "/t/e", NULL, 0), 0);
    ck_assert_int_eq(do_rename(&f, "/t", "/u"), COORD_ELIMIT);
    ck_assert_int_eq(do_delete_all(&f, "/t"), COORD_ELIMIT);
    ck_assert(exists(&f, "/t/a/b/c"));
    ck_assert_int_eq(do_delete(&f, "/t/e"), 0);
    ck_assert_uint_ne(digest(&f), before); /* the counter of /t does not go back */
    ck_assert_int_eq(do_rename(&f, "/t", "/u"), 0);
    ck_assert_uint_eq(f.res.count, 5);
    ck_assert(is(do_read(&f, COORD_OP_GET, "/u/a/b/c").data, "x"));
    ck_assert(!exists(&f, "/t"));
    ck_assert_int_eq(do_create(&f, "/u/n-", NULL, COORD_F_SEQUENTIAL), 0);
    ck_assert_uint_eq(f.res.sequence, 3); /* goes on where /t was: a, d and e were created there */
    ck_assert_int_eq(do_delete(&f, "/u/n-0000000003"), 0);
    ck_assert_int_eq(do_delete_all(&f, "/u"), 0);
    ck_assert_uint_eq(f.res.count, 5);
    ck_assert_uint_eq(f.o.changes_count, 5);
    ck_assert(is(f.o.changes[4].path, "/u")); /* children before their parents */
    ck_assert_int_eq(do_delete_all(&f, "/"), COORD_ERESERVED);
    (void)digest(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(rename_refuses)
{
    struct fixture f;
    char long_name[900];
    char to[1000];
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 7, 5000);
    ck_assert_int_eq(do_create(&f, "/a/b", "x", COORD_F_PARENTS), 0);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/a/e", COORD_F_EPHEMERAL), 0);
    ck_assert_int_eq(do_create(&f, "/c", NULL, 0), 0);
    uint64_t before = digest(&f);
    ck_assert_int_eq(do_rename(&f, "/none", "/x"), COORD_ENONODE);
    ck_assert_int_eq(do_rename(&f, "/a", "/c"), COORD_EEXISTS);
    ck_assert_int_eq(do_rename(&f, "/a", "/a"), COORD_EEXISTS);
    ck_assert_int_eq(do_rename(&f, "/a", "/a/b/x"), COORD_EINSIDE);
    ck_assert_int_eq(do_rename(&f, "/a", "/none/x"), COORD_ENONODE);
    ck_assert_int_eq(do_rename(&f, "/c", "/a/e/x"), COORD_EEPHEMERAL);
    ck_assert_int_eq(do_rename(&f, "/", "/x"), COORD_ERESERVED);
    ck_assert_int_eq(do_rename(&f, "/a", "/coord"), COORD_ERESERVED);
    ck_assert_int_eq(do_rename(&f, "/a", "x"), COORD_EBADPATH);
    ck_assert_uint_eq(digest(&f), before);
    /* A path within the limit, below which one node would be over it. */
    for (size_t i = 0; i < sizeof(long_name) - 1; i++) {
        long_name[i] = i % 200 == 0 ? '/' : 'l';
    }
    long_name[sizeof(long_name) - 1] = '\0';
    ck_assert_int_eq(do_create(&f, long_name, NULL, COORD_F_PARENTS), 0);
    (void)snprintf(to, sizeof(to), "%s/a", long_name);
    ck_assert_int_eq(do_create(&f,
                               "/a/b/"
                               "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
                               "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm",
                               NULL, 0),
                     0);
    before = digest(&f);
    ck_assert_int_eq(do_rename(&f, "/a", to), COORD_EBADPATH);
    ck_assert_uint_eq(digest(&f), before);
    /* The owner keeps what moved, and takes it along when it ends. */
    ck_assert_int_eq(do_rename(&f, "/a", "/d"), 0);
    ck_assert_uint_eq(stat_of(&f, "/d/e").owner, s);
    ck_assert_uint_eq(stat_of(&f, "/d/b").create_revision, f.revision);
    uint64_t pair[] = {s, s};
    ck_assert_int_eq(fixture_expire(&f, pair, 1), 0);
    ck_assert(!exists(&f, "/d/e"));
    (void)digest(&f);
    fixture_close(&f);
}
END_TEST

/* --- quotas ------------------------------------------------------------------------------------ */

static int do_quota(struct fixture *f, const char *path, uint64_t nodes, uint64_t bytes)
{
    struct coord_request q = op_of(COORD_OP_QUOTA, path, NULL);
    q.number = 1;
    q.quota_nodes = nodes;
    q.quota_bytes = bytes;
    return fixture_request(f, 0, 0, &q);
}

START_TEST(quotas_hold_on_nested_paths)
{
    struct fixture f;
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_create(&f, "/q/in", NULL, COORD_F_PARENTS), 0);
    ck_assert_int_eq(do_quota(&f, "/none", 1, 1), COORD_ENONODE);
    ck_assert_int_eq(do_quota(&f, "/q", 4, 10), 0);
    ck_assert_uint_eq(f.res.usage.nodes, 2);
    ck_assert_int_eq(do_quota(&f, "/q/in", 0, 6), 0);
    ck_assert_int_eq(do_create(&f, "/q/in/a", "123456", 0), 0); /* 6 of 6 and of 10 bytes */
    uint64_t before = digest(&f);
    ck_assert_int_eq(do_set(&f, "/q/in/a", "1234567"), COORD_EQUOTA);
    ck_assert_int_eq(do_create(&f, "/q/b/c", NULL, COORD_F_PARENTS), COORD_EQUOTA); /* 5 of 4 */
    ck_assert_int_eq(do_create(&f, "/q/b", "12345", 0), COORD_EQUOTA);
    ck_assert_int_eq(do_set(&f, "/q", "12345"), COORD_EQUOTA); /* the node itself counts */
    ck_assert_uint_eq(digest(&f), before);
    ck_assert_int_eq(do_create(&f, "/q/b", "1234", 0), 0); /* to the brim: 4 nodes, 10 bytes */
    ck_assert_int_eq(do_create(&f, "/q/c", NULL, 0), COORD_EQUOTA);
    ck_assert_int_eq(do_set(&f, "/q/b", "12345"), COORD_EQUOTA);
    ck_assert_int_eq(do_set(&f, "/q/b", "123"), 0); /* less is always possible */
    ck_assert_uint_eq(do_read(&f, COORD_OP_USAGE, "/q").usage.bytes, 9);
    /* Below the quota of /q nothing grows by moving; out of it, it does; into it, it may not. */
    ck_assert_int_eq(do_rename(&f, "/q/in", "/q/inner"), 0);
    ck_assert_uint_eq(do_read(&f, COORD_OP_USAGE, "/q/inner").usage.quota_bytes, 6);
    ck_assert_int_eq(do_rename(&f, "/q/inner", "/out"), 0);
    ck_assert_int_eq(do_set(&f, "/q/b", "1234567890"), 0);
    before = digest(&f);
    ck_assert_int_eq(do_rename(&f, "/out", "/q/in"), COORD_EQUOTA);
    ck_assert_uint_eq(digest(&f), before);
    /* A quota below what is there refuses growth and nothing else; none lets all through again. */
    ck_assert_int_eq(do_quota(&f, "/q", 1, 1), 0);
    ck_assert_int_eq(do_set(&f, "/q/b", "123456789"), 0);
    ck_assert_int_eq(do_create(&f, "/q/c", NULL, 0), COORD_EQUOTA);
    ck_assert_int_eq(do_quota(&f, "/q", 0, 0), 0);
    ck_assert_int_eq(do_create(&f, "/q/c", "any", 0), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(quotas_are_saved)
{
    struct fixture f;
    struct machine_limits l;
    char why[128] = "";
    machine_limits_init(&l);
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_create(&f, "/q", NULL, 0), 0);
    ck_assert_int_eq(do_quota(&f, "/", 100, 0), 0);
    ck_assert_int_eq(do_quota(&f, "/q", 2, 7), 0);
    struct coord_buf *saved = machine_save(f.m);
    struct machine *again = machine_create(&l);
    ck_assert_msg(machine_load(again, saved->data, saved->len, why, sizeof(why)) == 0, "%s", why);
    ck_assert_uint_eq(machine_digest(again), machine_digest(f.m));
    struct coord_request q = {.number = 1, .op = COORD_OP_USAGE, .path = str("/q")};
    struct coord_result res;
    ck_assert_int_eq(machine_read(again, &q, &res), 0);
    ck_assert_uint_eq(res.usage.quota_nodes, 2);
    ck_assert_uint_eq(res.usage.quota_bytes, 7);
    machine_destroy(again);
    coord_buf_unref(saved);
    fixture_close(&f);
}
END_TEST

START_TEST(lists_can_be_counted)
{
    struct fixture f;
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_create(&f, "/a/b/c", NULL, COORD_F_PARENTS), 0);
    ck_assert_int_eq(do_create(&f, "/a/d", NULL, 0), 0);
    struct coord_request q = {
        .number = 1, .op = COORD_OP_LIST, .path = str("/a"), .flags = COORD_LIST_COUNT};
    struct coord_result res;
    ck_assert_int_eq(machine_read(f.m, &q, &res), 0);
    ck_assert_uint_eq(res.count, 2);
    ck_assert_uint_eq(res.entries_count, 0);
    q.flags |= COORD_LIST_RECURSIVE;
    ck_assert_int_eq(machine_read(f.m, &q, &res), 0);
    ck_assert_uint_eq(res.count, 3);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("machine: transactions and subtrees");
    TCase *c = tcase_create("transactions");
    tcase_add_test(c, operations_see_each_other_and_share_a_revision);
    tcase_add_test(c, nothing_is_left_of_a_failed_one);
    tcase_add_test(c, conditions_choose_the_branch);
    tcase_add_test(c, a_lock_is_held_by_who_came_first);
    tcase_add_test(c, a_repeated_one_is_answered_from_memory);
    tcase_add_test(c, transactions_are_bounded);
    suite_add_tcase(s, c);
    c = tcase_create("subtrees");
    tcase_add_test(c, increment_is_exact);
    tcase_add_test(c, subtrees_are_bounded);
    tcase_add_test(c, rename_refuses);
    tcase_add_test(c, quotas_hold_on_nested_paths);
    tcase_add_test(c, quotas_are_saved);
    tcase_add_test(c, lists_can_be_counted);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
