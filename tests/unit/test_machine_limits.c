/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the limits are a part of the state that only a LIMITS entry changes; each is kept at its value and
 * refused one past it; above the high-water mark only what does not let the tree grow is taken.
 * Method: LIMITS entries, good and bad, through machine_apply on small trees; requests at a limit and one
 * past it; after each refusal the tree must hold the bytes it held.
 */
#include <stdio.h>
#include "server/machine/machine_internal.h"
#include "server/machine/snapshot.h"
#include "tests/unit/test_machine_fixture.h"

static int apply_limits(struct fixture *f, const struct machine_limits *l)
{
    uint8_t body[MACHINE_LIMITS_BYTES];
    machine_limits_encode(l, body);
    return fixture_apply(f, (struct entry){.kind = ENTRY_LIMITS}, NULL, 0, body, sizeof(body));
}

static struct machine_limits in_force(const struct fixture *f)
{
    return *machine_limits(f->m);
}

static struct machine_stats stats(const struct fixture *f)
{
    struct machine_stats s;
    machine_stats(f->m, &s);
    return s;
}

/* --- the limits themselves --------------------------------------------------------------------- */

START_TEST(every_limit_has_bounds)
{
    struct machine_limits standard;
    struct machine_limits l;
    uint8_t bytes[MACHINE_LIMITS_BYTES];
    machine_limits_init(&standard);
    ck_assert_ptr_null(machine_limits_check(&standard));
    for (uint32_t i = 0; i < MACHINE_LIMITS_COUNT; i++) {
        static const uint64_t bad[] = {0, UINT64_MAX};
        for (size_t k = 0; k < 2; k++) {
            machine_limits_encode(&standard, bytes);
            memcpy(bytes + (size_t)i * 8, &bad[k], 8);
            memset(&l, 0x55, sizeof(l));
            const struct machine_limits before = l;
            ck_assert_msg(!machine_limits_decode(bytes, sizeof(bytes), &l), "%s",
                          machine_limits_name(i));
            ck_assert_mem_eq(&l, &before, sizeof(l));
        }
        for (uint32_t k = 0; k < i; k++) {
            ck_assert_str_ne(machine_limits_name(i), machine_limits_name(k));
        }
    }
    machine_limits_encode(&standard, bytes);
    ck_assert(!machine_limits_decode(bytes, sizeof(bytes) - 1, &l));
    ck_assert(machine_limits_decode(bytes, sizeof(bytes), &l));
    ck_assert(machine_limits_equal(&l, &standard));
    l.session_min_ms = l.session_max_ms + 1;
    ck_assert_str_eq(machine_limits_check(&l), "sessions.max");
    ck_assert(!machine_limits_equal(&l, &standard));
}
END_TEST

START_TEST(only_an_entry_changes_them)
{
    struct fixture f;
    struct machine_limits l;
    fixture_open(&f, NULL);
    machine_limits_init(&l);
    ck_assert(machine_limits_equal(machine_limits(f.m), &l));
    l.data_bytes = 10;
    l.store_bytes = UINT64_C(1) << 40;
    ck_assert_int_eq(apply_limits(&f, &l), 0);
    ck_assert(machine_limits_equal(machine_limits(f.m), &l));
    ck_assert_uint_eq(f.o.changes_count, 0);
    ck_assert_uint_eq(stats(&f).revision, f.revision);
    /* What is no limits changes none. */
    const struct machine_limits before = in_force(&f);
    uint8_t body[MACHINE_LIMITS_BYTES + 1] = {0};
    const struct entry e = {.kind = ENTRY_LIMITS};
    for (size_t len = 0; len <= sizeof(body); len++) {
        ck_assert_int_eq(fixture_apply(&f, e, NULL, 0, body, len), COORD_EBADREQUEST);
    }
    l.sessions = 0;
    ck_assert_int_eq(apply_limits(&f, &l), COORD_EBADREQUEST);
    ck_assert(machine_limits_equal(machine_limits(f.m), &before));
    fixture_close(&f);
}
END_TEST

START_TEST(a_saved_state_has_them)
{
    struct fixture f;
    struct fixture g;
    struct machine_limits l;
    char why[100];
    fixture_open(&f, NULL);
    fixture_open(&g, NULL);
    uint64_t digest = machine_digest(f.m);
    machine_limits_init(&l);
    l.txn_operations = 7;
    l.session_max_ms = 61000;
    ck_assert_int_eq(apply_limits(&f, &l), 0);
    machine_skip(g.m, 1);
    ck_assert_uint_ne(machine_digest(f.m), digest);
    ck_assert_uint_ne(machine_digest(f.m), machine_digest(g.m));
    struct coord_buf *saved = machine_save(f.m);
    ck_assert_int_eq(machine_load(g.m, saved->data, saved->len, why, sizeof(why)), 0);
    ck_assert(machine_limits_equal(machine_limits(g.m), &l));
    ck_assert_uint_eq(machine_digest(f.m), machine_digest(g.m));
    coord_buf_unref(saved);
    fixture_close(&f);
    fixture_close(&g);
}
END_TEST

START_TEST(a_state_of_the_first_version_has_the_defaults)
{
    struct fixture f;
    struct machine_limits standard;
    char why[100];
    machine_limits_init(&standard);
    fixture_open(&f, NULL);
    do_create(&f, "/a", "x", 0);
    struct coord_buf *saved = machine_save(f.m);
    /* As that version wrote it: no limits behind the head. */
    uint8_t *rest = saved->data + SNAPSHOT_HEAD_BYTES;
    saved->len -= MACHINE_LIMITS_BYTES;
    memmove(rest, rest + MACHINE_LIMITS_BYTES, saved->len - SNAPSHOT_HEAD_BYTES);
    saved->data[8] = SNAPSHOT_VERSION_MIN;
    saved->data[16] = (uint8_t)saved->len;
    saved->data[17] = (uint8_t)(saved->len >> 8);
    struct machine_limits l = standard;
    l.data_bytes = 5;
    ck_assert_int_eq(apply_limits(&f, &l), 0);
    ck_assert_int_eq(machine_load(f.m, saved->data, saved->len, why, sizeof(why)), 0);
    ck_assert(machine_limits_equal(machine_limits(f.m), &standard));
    ck_assert(exists(&f, "/a"));
    coord_buf_unref(saved);
    fixture_close(&f);
}
END_TEST

/* --- at each limit, and one past it ------------------------------------------------------------ */

START_TEST(what_exists_outlives_a_lower_limit)
{
    struct fixture f;
    struct machine_limits l;
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_create(&f, "/a", "0123456789", 0), 0);
    uint64_t s = fixture_session(&f, 1, 30000);
    uint64_t t = fixture_session(&f, 2, 30000);
    machine_limits_init(&l);
    l.data_bytes = 4;
    l.sessions = 1;
    l.session_max_ms = 5000;
    ck_assert_int_eq(apply_limits(&f, &l), 0);
    ck_assert(is(do_read(&f, COORD_OP_GET, "/a").data, "0123456789"));
    ck_assert_int_eq(do_set(&f, "/a", "01234"), COORD_ETOOBIG);
    ck_assert(is(do_read(&f, COORD_OP_GET, "/a").data, "0123456789"));
    ck_assert_int_eq(do_create(&f, "/b", "01234", 0), COORD_ETOOBIG);
    ck_assert_int_eq(do_create(&f, "/b", "0123", 0), 0);
    ck_assert_int_eq(do_set(&f, "/a", "0123"), 0);
    struct machine_session info;
    ck_assert(machine_session_get(f.m, s, &info));
    ck_assert_uint_eq(info.timeout_ms, 30000); /* granted is granted */
    ck_assert_uint_eq(fixture_session(&f, 3, 30000), 0);
    ck_assert_int_eq(f.o.error, COORD_ELIMIT);
    uint64_t pairs[] = {s, s, t, t};
    ck_assert_int_eq(fixture_expire(&f, pairs, 2), 0);
    uint64_t u = fixture_session(&f, 3, 30000);
    ck_assert_uint_ne(u, 0);
    ck_assert_uint_eq(f.res.timeout_ms, 5000);
    ck_assert_uint_eq(fixture_session(&f, 4, 30000), 0);
    fixture_close(&f);
}
END_TEST

/* Delete /top with `below` children while a subtree may have four nodes. */
static int delete_with(uint32_t below)
{
    struct fixture f;
    struct machine_limits l;
    machine_limits_init(&l);
    l.subtree_nodes = 4;
    fixture_open(&f, NULL);
    ck_assert_int_eq(apply_limits(&f, &l), 0);
    do_create(&f, "/top", NULL, 0);
    for (uint32_t i = 0; i < below; i++) {
        ck_assert_int_eq(do_create(&f, "/top/n", NULL, COORD_F_SEQUENTIAL), 0);
    }
    struct coord_request q = {.number = 1,
                              .op = COORD_OP_DELETE,
                              .path = str("/top"),
                              .flags = COORD_DELETE_RECURSIVE,
                              .expect_version = COORD_VERSION_ANY};
    int rc = fixture_request(&f, 0, 0, &q);
    ck_assert_int_eq(exists(&f, "/top"), rc != 0);
    if (rc == 0) {
        ck_assert_uint_eq(f.res.count, below + 1);
    }
    fixture_close(&f);
    return rc;
}

START_TEST(a_subtree_at_the_limit)
{
    ck_assert_int_eq(delete_with(3), 0);
    ck_assert_int_eq(delete_with(4), COORD_ELIMIT);
}
END_TEST

START_TEST(answers_at_the_limit)
{
    struct fixture f;
    struct machine_limits l;
    machine_limits_init(&l);
    l.answers = 2;
    fixture_open(&f, NULL);
    ck_assert_int_eq(apply_limits(&f, &l), 0);
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/a", 0), 0);
    ck_assert_int_eq(do_create_in(&f, s, 2, "/b", 0), 0);
    ck_assert_int_eq(do_create_in(&f, s, 3, "/c", 0), COORD_EBUSY);
    ck_assert(!exists(&f, "/c"));
    ck_assert_int_eq(do_create_in(&f, s, 2, "/b", 0), 0); /* the kept one, again */
    struct coord_request q = {.number = 3, .acked = 1, .op = COORD_OP_CREATE, .path = str("/c")};
    ck_assert_int_eq(fixture_request(&f, s, s, &q), 0);
    /* By bytes: an answer may be kept while those there are below the limit. */
    l.answers = 100;
    l.answers_bytes = 1;
    ck_assert_int_eq(apply_limits(&f, &l), 0);
    ck_assert_int_eq(do_create_in(&f, s, 4, "/d", 0), COORD_EBUSY);
    fixture_close(&f);
}
END_TEST

/* --- the high-water mark ----------------------------------------------------------------------- */

/* Put the mark `room` bytes above what the store has. */
static void mark(struct fixture *f, uint64_t room)
{
    struct machine_limits l = in_force(f);
    l.store_bytes = stats(f).store_bytes + room;
    ck_assert_int_eq(apply_limits(f, &l), 0);
}

/* What "/x" with ten bytes of data costs, told by trying. */
static uint64_t node_cost(void)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t before = stats(&f).store_bytes;
    ck_assert_int_eq(do_create(&f, "/x", "0123456789", 0), 0);
    uint64_t cost = stats(&f).store_bytes - before;
    ck_assert_int_eq(do_delete(&f, "/x"), 0);
    ck_assert_uint_eq(stats(&f).store_bytes, before);
    fixture_close(&f);
    return cost;
}

START_TEST(at_the_mark_and_one_past_it)
{
    struct fixture f;
    fixture_open(&f, NULL);
    mark(&f, node_cost() - 1);
    ck_assert_int_eq(do_create(&f, "/x", "0123456789", 0), COORD_ESTOREFULL);
    ck_assert_int_eq(coord_errclass(COORD_ESTOREFULL), COORD_FAILED);
    ck_assert(!exists(&f, "/x"));
    ck_assert_uint_eq(f.o.changes_count, 0);
    mark(&f, node_cost());
    ck_assert_int_eq(do_create(&f, "/x", "0123456789", 0), 0);
    ck_assert_uint_eq(stats(&f).store_bytes, in_force(&f).store_bytes);
    ck_assert_int_eq(do_create(&f, "/y", NULL, 0), COORD_ESTOREFULL);
    ck_assert_int_eq(do_set(&f, "/x", "0123456789a"), COORD_ESTOREFULL);
    ck_assert_uint_eq(stat_of(&f, "/x").version, 0);
    ck_assert_int_eq(do_set(&f, "/x", "9876543210"), 0); /* no more than there was */
    ck_assert_int_eq(do_set(&f, "/x", "123"), 0);
    ck_assert_int_eq(do_set(&f, "/x", "0123456789"), 0); /* and up to the mark again */
    ck_assert_int_eq(do_set(&f, "/x", "0123456789a"), COORD_ESTOREFULL);
    /* It clears by itself. */
    ck_assert_int_eq(do_delete(&f, "/x"), 0);
    ck_assert_int_eq(do_create(&f, "/y", NULL, 0), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(above_the_mark_everything_that_does_not_grow_passes)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/e", COORD_F_EPHEMERAL), 0);
    do_create(&f, "/dir/a", "0123456789", COORD_F_PARENTS);
    do_create(&f, "/dir/b", "0123456789", 0);
    do_create(&f, "/number", "99", 0);
    struct machine_limits l = in_force(&f);
    l.store_bytes = 1; /* far below: nothing that exists goes away */
    ck_assert_int_eq(apply_limits(&f, &l), 0);
    struct coord_request q = {.number = 1,
                              .op = COORD_OP_RENAME,
                              .path = str("/dir"),
                              .to = str("/rid"),
                              .expect_version = COORD_VERSION_ANY};
    ck_assert_int_eq(fixture_request(&f, 0, 0, &q), 0);
    q.path = str("/rid");
    q.to = str("/longer");
    ck_assert_int_eq(fixture_request(&f, 0, 0, &q), COORD_ESTOREFULL); /* by its name */
    ck_assert(exists(&f, "/rid/a"));
    ck_assert(!exists(&f, "/longer"));
    q = (struct coord_request){.number = 1,
                               .op = COORD_OP_INCREMENT,
                               .path = str("/number"),
                               .delta = 1,
                               .expect_version = COORD_VERSION_ANY};
    ck_assert_int_eq(fixture_request(&f, 0, 0, &q), COORD_ESTOREFULL); /* 100 is longer */
    q.delta = -1;
    ck_assert_int_eq(fixture_request(&f, 0, 0, &q), 0);
    /* A client that wants to make room may need a session for it, and its answers are kept. */
    uint64_t t = fixture_session(&f, 2, 5000);
    ck_assert_uint_ne(t, 0);
    q = (struct coord_request){.number = 1,
                               .op = COORD_OP_DELETE,
                               .path = str("/rid/b"),
                               .expect_version = COORD_VERSION_ANY};
    ck_assert_int_eq(fixture_request(&f, t, t, &q), 0);
    ck_assert_int_eq(do_create_in(&f, t, 2, "/no", 0), COORD_ESTOREFULL);
    ck_assert_int_eq(do_create_in(&f, t, 2, "/no", 0), COORD_ESTOREFULL); /* its answer */
    q = (struct coord_request){.number = 2, .acked = 1, .op = COORD_OP_SESSION_CLOSE};
    ck_assert_int_eq(fixture_request(&f, s, s, &q), 0);
    ck_assert(!exists(&f, "/e"));
    ck_assert_ptr_null(store_check(f.m->state.store));
    fixture_close(&f);
}
END_TEST

START_TEST(a_transaction_counts_as_a_whole)
{
    struct fixture f;
    fixture_open(&f, NULL);
    do_create(&f, "/old", "0123456789", 0);
    mark(&f, 0);
    for (int swap = 0; swap < 2; swap++) {
        struct coord_buf *ops = NULL;
        struct coord_request create = {.op = COORD_OP_CREATE,
                                       .path = str(swap != 0 ? "/new" : "/longer"),
                                       .data = str("0123456789"),
                                       .flags = 0};
        struct coord_request delete = {
            .op = COORD_OP_DELETE, .path = str("/old"), .expect_version = COORD_VERSION_ANY};
        struct coord_request q = {.number = 1, .op = COORD_OP_TXN, .thens = {.count = 2}};
        ck_assert_int_eq(coord_txn_op_encode(&create, &ops), 0);
        ck_assert_int_eq(coord_txn_op_encode(&delete, &ops), 0);
        q.thens.raw = (struct coord_bytes){ops->data, ops->len};
        uint64_t before = stats(&f).store_bytes;
        ck_assert_int_eq(fixture_request(&f, 0, 0, &q), swap != 0 ? 0 : COORD_ESTOREFULL);
        ck_assert_int_eq(exists(&f, "/old"), swap == 0);
        ck_assert(!exists(&f, "/longer"));
        ck_assert_uint_eq(stats(&f).store_bytes, before);
        coord_buf_unref(ops);
    }
    /* A number that was drawn for what was taken back is given back. */
    ck_assert_int_eq(do_create(&f, "/new/n", NULL, COORD_F_SEQUENTIAL), COORD_ESTOREFULL);
    mark(&f, 1000);
    ck_assert_int_eq(do_create(&f, "/new/n", NULL, COORD_F_SEQUENTIAL), 0);
    ck_assert_uint_eq(f.res.sequence, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(kept_answers_count_and_sessions_too)
{
    struct fixture f;
    fixture_open(&f, NULL);
    mark(&f, 2 * node_cost());
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_uint_ne(s, 0);
    for (uint64_t number = 1; number <= 3; number++) {
        (void)do_create_in(&f, s, number, "/none/there", 0); /* refused: only its answer is new */
    }
    ck_assert_uint_gt(stats(&f).store_bytes, in_force(&f).store_bytes);
    ck_assert_int_eq(do_create(&f, "/x", "0123456789", 0), COORD_ESTOREFULL);
    uint64_t pair[] = {s, s};
    ck_assert_int_eq(fixture_expire(&f, pair, 1), 0);
    ck_assert_int_eq(do_create(&f, "/x", "0123456789", 0), 0); /* cleared by itself */
    fixture_close(&f);
}
END_TEST

START_TEST(the_count_follows_the_state)
{
    /* Whatever happened: it is what a machine that loads the state counts. */
    struct fixture f;
    struct fixture g;
    char why[100];
    fixture_open(&f, NULL);
    fixture_open(&g, NULL);
    uint64_t s = fixture_session(&f, 1, 5000);
    uint64_t t = fixture_session(&f, 2, 5000);
    for (uint64_t i = 1; i <= 40; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "/n%u", (unsigned)(i / 2));
        struct coord_request q = {.number = i,
                                  .acked = i > 5 ? i - 5 : 0,
                                  .op = COORD_OP_CREATE,
                                  .path = str(path),
                                  .flags = i % 3 == 0 ? COORD_F_EPHEMERAL : 0};
        (void)fixture_request(&f, s, s, &q); /* every other name is there already */
        if (i == 20) {
            uint64_t pair[] = {t, t};
            ck_assert_int_eq(fixture_expire(&f, pair, 1), 0);
        }
        struct coord_buf *saved = machine_save(f.m);
        ck_assert_int_eq(machine_load(g.m, saved->data, saved->len, why, sizeof(why)), 0);
        ck_assert_uint_eq(stats(&g).store_bytes, stats(&f).store_bytes);
        coord_buf_unref(saved);
    }
    uint64_t with = stats(&f).store_bytes;
    struct coord_request q = {.number = 41, .acked = 36, .op = COORD_OP_SESSION_CLOSE};
    ck_assert_int_eq(fixture_request(&f, s, s, &q), 0);
    ck_assert_uint_lt(stats(&f).store_bytes, with);
    ck_assert_uint_eq(f.m->state.sessions_bytes, 0);
    fixture_close(&f);
    fixture_close(&g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("machine_limits");
    TCase *tc = tcase_create("limits");
    tcase_add_test(tc, every_limit_has_bounds);
    tcase_add_test(tc, only_an_entry_changes_them);
    tcase_add_test(tc, a_saved_state_has_them);
    tcase_add_test(tc, a_state_of_the_first_version_has_the_defaults);
    tcase_add_test(tc, what_exists_outlives_a_lower_limit);
    tcase_add_test(tc, a_subtree_at_the_limit);
    tcase_add_test(tc, answers_at_the_limit);
    tcase_add_test(tc, at_the_mark_and_one_past_it);
    tcase_add_test(tc, above_the_mark_everything_that_does_not_grow_passes);
    tcase_add_test(tc, a_transaction_counts_as_a_whole);
    tcase_add_test(tc, kept_answers_count_and_sessions_too);
    tcase_add_test(tc, the_count_follows_the_state);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
