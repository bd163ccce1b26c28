/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: containers and ttl nodes go exactly when a REAP entry names them and they are due by the tree and the
 * entry's time; and the index by which the leader finds them fits the tree after everything.
 * Method: small trees through machine_apply; candidates are collected before something happens to them, and
 * applied after. store_check looks at the index each time. Random ones: test_machine_model.
 */
#include <stdio.h>
#include "server/machine/machine_internal.h"
#include "tests/unit/test_machine_fixture.h"

#define TTL 5000u /* of do_create */

static uint8_t body[1 << 20];
static struct machine_reap_found found;

static struct fixture f;

static void setup(void)
{
    fixture_open(&f, NULL);
}

static void teardown(void)
{
    fixture_close(&f);
}

static void check_index(void)
{
    const char *wrong = store_check(f.m->state.store);
    ck_assert_msg(wrong == NULL, "%s", wrong);
}

/* What a leader finds whose clock shows that much more than the last entry's. */
static uint32_t collect_at(uint64_t later_ms, uint32_t nodes_max)
{
    const struct machine_reap_ask ask = {.time_ms = f.time_ms + later_ms,
                                         .since = UINT64_MAX,
                                         .nodes_max = nodes_max,
                                         .bytes_max = sizeof(body),
                                         .out = body};
    check_index();
    machine_reap_collect(f.m, &ask, &found);
    return found.count;
}

static uint32_t collect(uint64_t later_ms)
{
    return collect_at(later_ms, MACHINE_REAP_NODES_MAX);
}

/* Apply what was collected. Return: how many nodes went. */
static uint32_t reap(uint64_t later_ms)
{
    struct entry e = {.kind = ENTRY_REAP, .time_ms = f.time_ms + later_ms};
    ck_assert_int_eq(fixture_apply(&f, e, NULL, 0, body, found.bytes), 0);
    f.time_ms = e.time_ms;
    check_index();
    for (uint32_t i = 0; i < f.o.changes_count; i++) {
        ck_assert_int_eq(f.o.changes[i].kind, COORD_CHANGE_DELETED);
    }
    ck_assert_ptr_null(f.o.body);
    return f.o.changes_count;
}

static void load_again(void)
{
    char why[128] = "";
    struct machine_limits l;
    machine_limits_init(&l);
    struct coord_buf *saved = machine_save(f.m);
    struct machine *fresh = machine_create(&l);
    int rc = machine_load(fresh, saved->data, saved->len, why, sizeof(why));
    ck_assert_msg(rc == 0, "%s", why);
    coord_buf_unref(saved);
    machine_destroy(f.m);
    f.m = fresh;
    check_index();
}

/* --- containers -------------------------------------------------------------------------------- */

START_TEST(a_container_goes_when_its_last_child_has_gone)
{
    ck_assert_int_eq(do_create(&f, "/c", "x", COORD_F_CONTAINER), 0);
    ck_assert(!machine_reap_empty(f.m));
    ck_assert_uint_eq(collect(1000000), 0); /* it never had one */
    ck_assert_int_eq(do_create(&f, "/c/a", NULL, 0), 0);
    ck_assert_int_eq(do_create(&f, "/c/b", NULL, 0), 0);
    ck_assert_int_eq(do_delete(&f, "/c/a"), 0);
    ck_assert_uint_eq(collect(1000000), 0);
    ck_assert_int_eq(do_delete(&f, "/c/b"), 0);
    ck_assert(machine_reap_empty(f.m));
    ck_assert_uint_eq(collect(0), 1);
    ck_assert_uint_eq(found.containers, 1);
    ck_assert(found.all);
    ck_assert_uint_eq(reap(1), 1);
    ck_assert(is(f.o.changes[0].path, "/c"));
    ck_assert(is(f.o.changes[0].previous, "x"));
    ck_assert(!exists(&f, "/c"));
    ck_assert(!machine_reap_empty(f.m));
}
END_TEST

START_TEST(only_containers_empty_for_long_enough_are_proposed)
{
    ck_assert_int_eq(do_create(&f, "/c", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create(&f, "/c/a", NULL, 0), 0);
    ck_assert_int_eq(do_delete(&f, "/c/a"), 0);
    uint64_t empty_since = f.revision;
    struct machine_reap_ask ask = {
        .since = empty_since - 1, .nodes_max = 8, .bytes_max = sizeof(body), .out = body};
    machine_reap_collect(f.m, &ask, &found);
    ck_assert_uint_eq(found.count, 0);
    ask.also = empty_since;
    machine_reap_collect(f.m, &ask, &found);
    ck_assert_uint_eq(found.count, 1);
    ask.also = 0;
    ask.since = empty_since;
    machine_reap_collect(f.m, &ask, &found);
    ck_assert_uint_eq(found.count, 1);
}
END_TEST

START_TEST(a_child_added_before_the_entry_is_applied_saves_it)
{
    ck_assert_int_eq(do_create(&f, "/c", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create(&f, "/c/a", NULL, 0), 0);
    ck_assert_int_eq(do_delete(&f, "/c/a"), 0);
    ck_assert_uint_eq(collect(0), 1);
    ck_assert_int_eq(do_create(&f, "/c/b", NULL, 0), 0);
    ck_assert_uint_eq(reap(1), 0);
    ck_assert(exists(&f, "/c/b"));
}
END_TEST

START_TEST(one_made_anew_at_the_same_path_is_another)
{
    for (uint32_t kind = COORD_F_CONTAINER; kind <= COORD_F_TTL; kind *= 2) {
        ck_assert_int_eq(do_create(&f, "/c", NULL, kind), 0);
        ck_assert_int_eq(do_create(&f, "/c/a", NULL, 0), 0);
        ck_assert_int_eq(do_delete(&f, "/c/a"), 0);
        ck_assert_uint_eq(collect(TTL), 1);
        ck_assert_int_eq(do_delete(&f, "/c"), 0);
        ck_assert_uint_eq(reap(1), 0); /* it is not there */
        ck_assert_int_eq(do_create(&f, "/c", NULL, kind), 0);
        ck_assert_int_eq(do_create(&f, "/c/a", NULL, 0), 0);
        ck_assert_int_eq(do_delete(&f, "/c/a"), 0);
        ck_assert_uint_eq(reap(TTL * 2), 0);
        ck_assert(exists(&f, "/c"));
        ck_assert_int_eq(do_create(&f, "/d", NULL, 0), 0);
        ck_assert_uint_eq(collect(0), 1); /* but it may be proposed itself */
        ck_assert_uint_eq(reap(1), 1);
        ck_assert_int_eq(do_delete(&f, "/d"), 0);
    }
}
END_TEST

START_TEST(containers_empty_each_other_one_entry_after_the_other)
{
    ck_assert_int_eq(do_create(&f, "/a", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create(&f, "/a/b", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create(&f, "/a/b/c", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create(&f, "/a/b/c/d", NULL, 0), 0);
    ck_assert_int_eq(do_delete(&f, "/a/b/c/d"), 0);
    for (uint32_t left = 3; left > 0; left--) {
        ck_assert_uint_eq(collect(0), 1);
        ck_assert_uint_eq(reap(1), 1);
    }
    ck_assert_uint_eq(collect(0), 0);
    ck_assert(!exists(&f, "/a"));
}
END_TEST

START_TEST(a_session_that_ends_empties_a_container)
{
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_int_eq(do_create(&f, "/c", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/c/e", COORD_F_EPHEMERAL), 0);
    ck_assert_int_eq(do_create_in(&f, s, 2, "/c/f", COORD_F_EPHEMERAL), 0);
    uint64_t pair[] = {s, s};
    ck_assert_int_eq(fixture_expire(&f, pair, 1), 0);
    ck_assert_uint_eq(collect(0), 1);
    ck_assert_uint_eq(reap(1), 1);
}
END_TEST

/* --- ttl --------------------------------------------------------------------------------------- */

START_TEST(a_ttl_node_goes_when_its_time_has_come_and_not_before)
{
    ck_assert_int_eq(do_create(&f, "/t", "x", COORD_F_TTL), 0);
    uint64_t modified_ms = f.time_ms;
    ck_assert_uint_eq(machine_reap_next_ms(f.m), modified_ms + TTL);
    ck_assert_uint_eq(collect(TTL - 1), 0);
    ck_assert_uint_eq(collect(TTL), 1);
    ck_assert_uint_eq(found.containers, 0);
    ck_assert_uint_eq(reap(TTL - 1), 0); /* whatever its proposer believed */
    ck_assert_uint_eq(reap(1), 1);
    ck_assert_uint_eq(machine_reap_next_ms(f.m), UINT64_MAX);
}
END_TEST

START_TEST(time_is_that_of_the_entries_and_never_goes_back)
{
    ck_assert_int_eq(do_create(&f, "/t", NULL, COORD_F_TTL), 0);
    ck_assert_uint_eq(collect(TTL), 1);
    struct entry early = {.kind = ENTRY_REAP, .time_ms = 1};
    ck_assert_int_eq(fixture_apply(&f, early, NULL, 0, body, found.bytes), 0);
    ck_assert_uint_eq(f.o.changes_count,
                      0); /* raised to the time of the state, which is not enough */
    f.time_ms += TTL;
    ck_assert_int_eq(do_create(&f, "/u", NULL, 0), 0);
    ck_assert_int_eq(fixture_apply(&f, early, NULL, 0, body, found.bytes), 0);
    ck_assert_uint_eq(f.o.changes_count, 1); /* but now it is */
}
END_TEST

START_TEST(one_modified_in_between_stays)
{
    ck_assert_int_eq(do_create(&f, "/t", "0", COORD_F_TTL), 0);
    f.time_ms += TTL / 2;
    ck_assert_uint_eq(collect(TTL), 1);
    ck_assert_int_eq(do_set(&f, "/t", "1"), 0);
    ck_assert_uint_eq(machine_reap_next_ms(f.m), f.time_ms + TTL);
    ck_assert_uint_eq(reap(TTL - 1), 0);
    ck_assert(exists(&f, "/t"));
    ck_assert_uint_eq(collect(1), 1);
    ck_assert_uint_eq(reap(1), 1);
}
END_TEST

START_TEST(children_keep_a_ttl_node_and_are_no_modification)
{
    ck_assert_int_eq(do_create(&f, "/t", NULL, COORD_F_TTL), 0);
    ck_assert_uint_eq(collect(TTL), 1);
    ck_assert_int_eq(do_create(&f, "/t/a", NULL, 0), 0);
    ck_assert_uint_eq(machine_reap_next_ms(f.m), UINT64_MAX);
    ck_assert_uint_eq(reap(TTL), 0);
    ck_assert_uint_eq(collect(TTL), 0);
    ck_assert_int_eq(do_delete(&f, "/t/a"), 0);
    ck_assert_uint_eq(collect(0), 1);
    ck_assert_uint_eq(reap(1), 1);
}
END_TEST

START_TEST(a_ttl_beyond_all_times_is_never_due)
{
    struct coord_request q = {.number = 1,
                              .op = COORD_OP_CREATE,
                              .path = str("/t"),
                              .flags = COORD_F_TTL,
                              .ttl_ms = STORE_COUNTER_MAX - 1};
    struct entry far = {.kind = ENTRY_REAP, .time_ms = UINT64_MAX - 10};
    ck_assert_int_eq(fixture_apply(&f, far, NULL, 0, NULL, 0), 0);
    ck_assert_int_eq(fixture_request(&f, 0, 0, &q), 0);
    ck_assert_uint_eq(machine_reap_next_ms(f.m), UINT64_MAX);
    check_index();
}
END_TEST

/* --- bounds and bodies ------------------------------------------------------------------------- */

START_TEST(many_go_a_bounded_number_at_a_time)
{
    char path[32];
    for (int i = 0; i < 1500; i++) {
        (void)snprintf(path, sizeof(path), "/t%d", (i * 7919) % 1500);
        ck_assert_int_eq(do_create(&f, path, NULL, COORD_F_TTL), 0);
    }
    uint64_t before = store_index_bytes(f.m->state.store);
    ck_assert_uint_eq(collect_at(TTL, 100), 100);
    ck_assert(!found.all);
    ck_assert_uint_eq(reap(TTL), 100);
    ck_assert_uint_eq(collect(0), 1024);
    ck_assert_uint_eq(reap(1), 1024);
    ck_assert_uint_eq(collect(0), 376);
    ck_assert(found.all);
    ck_assert_uint_eq(reap(1), 376);
    ck_assert_uint_eq(collect(TTL), 0);
    ck_assert_uint_eq(store_nodes(f.m->state.store), 1);
    /* What the index took is given back. */
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(do_set(&f, "/", "x"), 0);
    }
    ck_assert_uint_lt(store_index_bytes(f.m->state.store), before);
}
END_TEST

START_TEST(an_entry_has_a_bound_in_bytes_too)
{
    char path[301];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    path[0] = '/';
    path[150] = '/';
    ck_assert_int_eq(do_create(&f, path, NULL, COORD_F_PARENTS | COORD_F_TTL), 0);
    for (char c = 'a'; c < 'a' + 20; c++) {
        path[299] = c;
        ck_assert_int_eq(do_create(&f, path, NULL, COORD_F_TTL), 0);
    }
    struct machine_reap_ask ask = {
        .time_ms = f.time_ms + TTL, .nodes_max = 100, .bytes_max = 2048, .out = body};
    machine_reap_collect(f.m, &ask, &found);
    ck_assert_uint_eq(found.count, 6);
    ck_assert(!found.all);
    ck_assert_uint_eq(found.bytes, 6 * 310);
    ck_assert_uint_eq(reap(TTL), 6);
}
END_TEST

START_TEST(a_malformed_body_changes_nothing)
{
    ck_assert_int_eq(do_create(&f, "/t", NULL, COORD_F_TTL), 0);
    ck_assert_uint_eq(collect(TTL), 1);
    const uint32_t good = found.bytes;
    for (uint32_t bytes = 1; bytes < good; bytes++) {
        struct entry e = {.kind = ENTRY_REAP, .time_ms = f.time_ms + TTL};
        ck_assert_int_eq(fixture_apply(&f, e, NULL, 0, body, bytes), COORD_EBADREQUEST);
    }
    memcpy(body + good, body, good); /* one that is right, and behind it one that is not */
    body[good + 8] = 0;
    struct entry e = {.kind = ENTRY_REAP, .time_ms = f.time_ms + TTL};
    ck_assert_int_eq(fixture_apply(&f, e, NULL, 0, body, good * 2), COORD_EBADREQUEST);
    ck_assert_uint_eq(f.o.changes_count, 0);
    memcpy(body + good, body, good); /* twice the same is harmless */
    ck_assert_int_eq(fixture_apply(&f, e, NULL, 0, body, good * 2), 0);
    ck_assert_uint_eq(f.o.changes_count, 1);
    check_index();
}
END_TEST

START_TEST(only_what_is_made_for_it_goes)
{
    static const char *const paths[] = {"/", "/p", "/e", "/never", "/coord", "x", "/p/"};
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_int_eq(do_create(&f, "/p", NULL, 0), 0);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/e", COORD_F_EPHEMERAL), 0);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        for (uint64_t revision = 0; revision <= f.revision && revision < 12; revision++) {
            memset(body, 0, 10);
            body[0] = (uint8_t)revision;
            body[8] = (uint8_t)strlen(paths[i]);
            memcpy(body + 10, paths[i], strlen(paths[i]));
            found.bytes = 10 + (uint32_t)strlen(paths[i]);
            ck_assert_uint_eq(reap(TTL), 0);
        }
    }
}
END_TEST

/* --- the index --------------------------------------------------------------------------------- */

START_TEST(what_is_taken_back_leaves_the_index_as_it_was)
{
    ck_assert_int_eq(do_create(&f, "/c", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create(&f, "/full", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create(&f, "/full/x", NULL, 0), 0);
    ck_assert_int_eq(do_create(&f, "/t", NULL, COORD_F_TTL), 0);
    ck_assert_int_eq(do_create(&f, "/u", NULL, COORD_F_TTL), 0);
    uint64_t next = machine_reap_next_ms(f.m);
    uint64_t digest_before = machine_digest(f.m);
    /* Each makes or undoes a reason to be removed; the last fails. */
    const struct coord_request ops[] = {
        {.op = COORD_OP_DELETE, .path = str("/full/x")},
        {.op = COORD_OP_CREATE, .path = str("/c/first")},
        {.op = COORD_OP_DELETE, .path = str("/c/first")},
        {.op = COORD_OP_SET, .path = str("/t"), .data = str("now")},
        {.op = COORD_OP_DELETE, .path = str("/u")},
        {.op = COORD_OP_CREATE, .path = str("/v"), .flags = COORD_F_TTL, .ttl_ms = 7},
        {.op = COORD_OP_CREATE, .path = str("/v/w")},
        {.op = COORD_OP_RENAME, .path = str("/full"), .to = str("/moved")},
        {.op = COORD_OP_DELETE, .path = str("/not-there")},
    };
    struct coord_request txn = {.number = 1, .op = COORD_OP_TXN};
    struct coord_buf *thens = NULL;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        struct coord_request q = ops[i];
        q.expect_version = q.op == COORD_OP_CREATE ? 0 : COORD_VERSION_ANY;
        ck_assert_int_eq(coord_txn_op_encode(&q, &thens), 0);
        txn.thens.count++;
    }
    txn.thens.raw = (struct coord_bytes){thens->data, thens->len};
    uint64_t time_ms = f.time_ms;
    struct entry e = {.kind = ENTRY_REQUEST, .time_ms = time_ms};
    struct coord_buf *b = NULL;
    ck_assert_int_eq(coord_request_encode(&txn, &b), 0);
    ck_assert_int_eq(fixture_apply(&f, e, NULL, 0, b->data + COORD_FRAME_HEADER_BYTES,
                                   b->len - COORD_FRAME_HEADER_BYTES),
                     0);
    ck_assert_uint_eq(f.res.failed, 9);
    check_index();
    ck_assert(!machine_reap_empty(f.m));
    ck_assert_uint_eq(machine_reap_next_ms(f.m), next);
    ck_assert_uint_eq(collect(TTL), 2);
    ck_assert_uint_ne(digest_before, machine_digest(f.m)); /* the revision */
    coord_buf_unref(thens);
    coord_buf_unref(b);
}
END_TEST

START_TEST(a_renamed_one_keeps_its_kind_and_begins_its_time_anew)
{
    ck_assert_int_eq(do_create(&f, "/d", NULL, 0), 0);
    ck_assert_int_eq(do_create(&f, "/d/t", NULL, COORD_F_TTL), 0);
    ck_assert_int_eq(do_create(&f, "/d/c", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create(&f, "/d/c/x", NULL, 0), 0);
    ck_assert_int_eq(do_delete(&f, "/d/c/x"), 0);
    ck_assert_uint_eq(collect(TTL), 2);
    struct coord_request q = {.number = 1,
                              .op = COORD_OP_RENAME,
                              .path = str("/d"),
                              .to = str("/e"),
                              .expect_version = COORD_VERSION_ANY};
    ck_assert_int_eq(fixture_request(&f, 0, 0, &q), 0);
    ck_assert_uint_eq(reap(TTL), 0); /* those are gone, and these are others */
    ck_assert_uint_eq(collect(0), 2);
    ck_assert_uint_eq(reap(1), 2);
    ck_assert(exists(&f, "/e"));
}
END_TEST

START_TEST(a_loaded_state_finds_them_too)
{
    ck_assert_int_eq(do_create(&f, "/c", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create(&f, "/c/a", NULL, 0), 0);
    ck_assert_int_eq(do_create(&f, "/full", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create(&f, "/full/a", NULL, 0), 0);
    ck_assert_int_eq(do_create(&f, "/new", NULL, COORD_F_CONTAINER), 0);
    ck_assert_int_eq(do_create(&f, "/t", NULL, COORD_F_TTL), 0);
    ck_assert_int_eq(do_create(&f, "/held", NULL, COORD_F_TTL), 0);
    ck_assert_int_eq(do_create(&f, "/held/a", NULL, 0), 0);
    ck_assert_int_eq(do_delete(&f, "/c/a"), 0);
    uint64_t next = machine_reap_next_ms(f.m);
    load_again();
    ck_assert(machine_reap_empty(f.m));
    ck_assert_uint_eq(machine_reap_next_ms(f.m), next);
    ck_assert_uint_eq(collect(TTL), 2);
    ck_assert_uint_eq(reap(TTL), 2);
    ck_assert(!exists(&f, "/c"));
    ck_assert(!exists(&f, "/t"));
    ck_assert_int_eq(do_delete(&f, "/held/a"), 0);
    ck_assert_int_eq(do_delete(&f, "/full/a"), 0);
    ck_assert_uint_eq(collect(0), 2);
    load_again();
    ck_assert_uint_eq(reap(1), 2);
    ck_assert(exists(&f, "/new"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("machine: nodes that are removed by themselves");
    TCase *c = tcase_create("reap");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_container_goes_when_its_last_child_has_gone);
    tcase_add_test(c, only_containers_empty_for_long_enough_are_proposed);
    tcase_add_test(c, a_child_added_before_the_entry_is_applied_saves_it);
    tcase_add_test(c, one_made_anew_at_the_same_path_is_another);
    tcase_add_test(c, containers_empty_each_other_one_entry_after_the_other);
    tcase_add_test(c, a_session_that_ends_empties_a_container);
    tcase_add_test(c, a_ttl_node_goes_when_its_time_has_come_and_not_before);
    tcase_add_test(c, time_is_that_of_the_entries_and_never_goes_back);
    tcase_add_test(c, one_modified_in_between_stays);
    tcase_add_test(c, children_keep_a_ttl_node_and_are_no_modification);
    tcase_add_test(c, a_ttl_beyond_all_times_is_never_due);
    tcase_add_test(c, many_go_a_bounded_number_at_a_time);
    tcase_add_test(c, an_entry_has_a_bound_in_bytes_too);
    tcase_add_test(c, a_malformed_body_changes_nothing);
    tcase_add_test(c, only_what_is_made_for_it_goes);
    tcase_add_test(c, what_is_taken_back_leaves_the_index_as_it_was);
    tcase_add_test(c, a_renamed_one_keeps_its_kind_and_begins_its_time_anew);
    tcase_add_test(c, a_loaded_state_finds_them_too);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
