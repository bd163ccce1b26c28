/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: each rule of tests/service/oracle.h about watches and locks holds of a right history and is named by one
 * that breaks it. Method: a real state machine makes the changes, events and locks are told by hand.
 */
#include "tests/unit/test_service_oracle_rig.h"

#define ALL ((uint32_t)(COORD_CHANGE_CREATED | COORD_CHANGE_CHANGED | COORD_CHANGE_DELETED))

static struct rig r;

static void setup(void)
{
    rig_open(&r);
    rig_session(&r, 5000);
}

static void teardown(void)
{
    rig_close(&r);
}

/* --- watches -------------------------------------------------------------------------------------- */

static void create(const char *path)
{
    RIG_OK(rig_write(
        &r, (struct coord_request){.op = COORD_OP_CREATE, .path = str(path), .data = str("1")}));
}

static void set(const char *path, const char *data)
{
    RIG_OK(rig_write(&r, (struct coord_request){.op = COORD_OP_SET,
                                                .path = str(path),
                                                .data = str(data),
                                                .expect_version = COORD_VERSION_ANY}));
}

static void drop(const char *path, uint32_t flags)
{
    RIG_OK(rig_write(&r, (struct coord_request){.op = COORD_OP_DELETE,
                                                .path = str(path),
                                                .flags = flags,
                                                .expect_version = COORD_VERSION_ANY}));
}

/* Watch 1, armed on connection 9 from now on. */
static void watch(const char *path, enum coord_depth depth, uint32_t kinds, uint32_t flags)
{
    const struct coord_request q = {.op = COORD_OP_WATCH,
                                    .watch = 1,
                                    .path = str(path),
                                    .depth = depth,
                                    .kinds = kinds,
                                    .flags = flags};
    RIG_OK(oracle_watch(r.o, 1, 1, &q, r.now));
    RIG_OK(oracle_watch_armed(r.o, 1, 9, r.f.revision, false, r.now));
}

/* An event through the codec. */
static const char *event(enum coord_watch_state state, uint64_t revision,
                         const struct coord_change *changes, uint32_t count)
{
    struct coord_event ev = {.watch = 1,
                             .revision = revision,
                             .state = state,
                             .changes = changes,
                             .changes_count = count};
    struct coord_buf *b = NULL;
    struct coord_event got;
    char why[128];
    ck_assert_int_eq(coord_event_encode(&ev, &b), 0);
    ck_assert_int_eq(coord_event_decode(b->data + COORD_FRAME_HEADER_BYTES,
                                        b->len - COORD_FRAME_HEADER_BYTES, &got, why, sizeof(why)),
                     0);
    const char *said = oracle_watch_event(r.o, 1, got.state, got.revision, got.changes_raw, r.now);
    coord_buf_unref(b);
    return said;
}

/* The last entry's changes, without values. */
static uint32_t bare(struct coord_change out[8])
{
    for (uint32_t i = 0; i < r.f.o.changes_count; i++) {
        out[i] = r.f.o.changes[i];
        out[i].has_value = false;
        out[i].has_previous = false;
    }
    return r.f.o.changes_count;
}

static const char *told_bare(void)
{
    struct coord_change c[8];
    uint32_t n = bare(c);
    return event(COORD_EVENT_CHANGES, r.f.revision, c, n);
}

static const char *mark(uint64_t revision)
{
    return event(COORD_EVENT_PROGRESS, revision, NULL, 0);
}

START_TEST(test_right)
{
    struct oracle_counts c;
    watch("/a", COORD_DEPTH_SUBTREE, ALL, 0);
    create("/a");
    RIG_OK(told_bare());
    create("/b");
    RIG_OK(mark(r.f.revision));
    create("/a/x");
    RIG_OK(told_bare());
    drop("/a", COORD_DELETE_RECURSIVE);
    ck_assert_uint_eq(r.f.o.changes_count, 2);
    RIG_OK(told_bare());
    RIG_OK(oracle_end(r.o, true, r.now));
    oracle_counts(r.o, &c);
    ck_assert_uint_eq(c.events, 3);
    ck_assert_uint_eq(c.marks, 1);
}
END_TEST

START_TEST(test_order)
{
    struct coord_change c[8];
    watch("/a", COORD_DEPTH_SUBTREE, ALL, 0);
    create("/a");
    uint32_t n = bare(c);
    c[0].path = str("/a");
    uint64_t first = r.f.revision;
    RIG_OK(event(COORD_EVENT_CHANGES, first, c, n));
    if (_i == 0) {
        RIG_BREAKS("W2", event(COORD_EVENT_CHANGES, first, c, n));
        return;
    }
    create("/a/x");
    RIG_OK(told_bare());
    RIG_BREAKS("W1", event(COORD_EVENT_CHANGES, first, c, n));
}
END_TEST

START_TEST(test_left_out)
{
    watch("/a", COORD_DEPTH_SUBTREE, ALL, 0);
    create("/a");
    if (_i == 0) {
        create("/a/x");
        RIG_BREAKS("W3", told_bare());
    } else if (_i == 1) {
        RIG_BREAKS("W3", oracle_end(r.o, true, r.now));
    } else if (_i == 2) {
        RIG_OK(oracle_conn_ended(r.o, 9, r.now));
        RIG_OK(oracle_end(r.o, true, r.now)); /* nobody owes it anything now */
        RIG_BREAKS("W3", oracle_watch_armed(r.o, 1, 10, r.f.revision, false, r.now));
    } else {
        RIG_OK(oracle_watch_armed(r.o, 1, 10, r.f.revision, true, r.now)); /* a gap */
        RIG_OK(oracle_end(r.o, true, r.now));
    }
}
END_TEST

START_TEST(test_whole)
{
    struct coord_change c[8];
    watch("/a", COORD_DEPTH_SUBTREE, _i == 3 ? (uint32_t)COORD_CHANGE_CREATED : ALL, 0);
    create("/a");
    RIG_OK(told_bare());
    create("/a/x");
    RIG_OK(told_bare());
    drop("/a", COORD_DELETE_RECURSIVE);
    uint32_t n = bare(c);
    ck_assert_uint_eq(n, 2);
    if (_i == 0) {
        n = 1;
    } else if (_i == 1) {
        struct coord_change first = c[0];
        c[0] = c[1];
        c[1] = first;
    } else if (_i == 2) {
        c[n++] = (struct coord_change){.kind = COORD_CHANGE_CREATED, .path = str("/a/y")};
    }
    RIG_BREAKS("W4", event(COORD_EVENT_CHANGES, r.f.revision, c, n));
}
END_TEST

START_TEST(test_marks)
{
    watch("/a", COORD_DEPTH_NODE, ALL, 0);
    if (_i == 0) {
        RIG_BREAKS("W6", mark(r.f.revision + 1));
        return;
    }
    RIG_OK(mark(r.f.revision));
    create("/a");
    if (_i == 1) {
        RIG_BREAKS("W6", mark(r.f.revision));
    } else if (_i == 2) {
        RIG_OK(told_bare());
        RIG_BREAKS("W6", mark(r.f.revision - 1));
    } else if (_i == 3) {
        RIG_OK(event(COORD_EVENT_GAP, r.f.revision, NULL, 0));
        RIG_OK(mark(r.f.revision));
    }
}
END_TEST

START_TEST(test_values)
{
    struct coord_change c[8];
    create("/a");
    watch("/a", COORD_DEPTH_NODE, ALL, COORD_WATCH_VALUE | COORD_WATCH_PREVIOUS);
    set("/a", "2");
    (void)bare(c);
    c[0].has_value = true;
    c[0].value = str("2");
    c[0].has_previous = true;
    c[0].previous = str("1");
    switch (_i) {
    case 0:
        RIG_OK(event(COORD_EVENT_CHANGES, r.f.revision, c, 1));
        return;
    case 1:
        c[0].value = str("1");
        break;
    case 2:
        c[0].previous = str("0");
        break;
    case 3:
        c[0].has_previous = false;
        break;
    case 4:
        c[0].version++;
        break;
    default:
        c[0].create_revision++;
        break;
    }
    RIG_BREAKS("W7", event(COORD_EVENT_CHANGES, r.f.revision, c, 1));
}
END_TEST

/* Depths and kinds: what is not wanted is not owed. */
START_TEST(test_wanted)
{
    watch("/a", (enum coord_depth)(_i % 3), _i < 3 ? ALL : (uint32_t)COORD_CHANGE_CHANGED, 0);
    create("/a");
    bool all = _i < 3;
    if (all) {
        RIG_OK(told_bare());
    }
    create("/a/x");
    if (all && _i >= COORD_DEPTH_CHILDREN) {
        RIG_OK(told_bare());
    }
    create("/a/x/y");
    if (all && _i == COORD_DEPTH_SUBTREE) {
        RIG_OK(told_bare());
    }
    create("/ab");
    RIG_OK(mark(r.f.revision));
    set("/a", "2");
    RIG_BREAKS("W6", mark(r.f.revision));
}
END_TEST

static const char *read_on(uint64_t conn)
{
    struct coord_request q = {.op = COORD_OP_GET, .path = str("/"), .level = COORD_LEVEL_LOCAL};
    rig_read(&r, &q);
    uint64_t call = rig_call(&r, &q);
    const struct oracle_reply reply = {.client = 1, .call = call, .result = &r.f.res, .conn = conn};
    return oracle_reply(r.o, &reply, r.now);
}

START_TEST(test_before_reply)
{
    watch("/a", COORD_DEPTH_NODE, ALL, 0);
    create("/a");
    RIG_OK(read_on(10)); /* another connection */
    if (_i == 0) {
        RIG_BREAKS("W8", read_on(9));
    } else if (_i == 1) {
        RIG_OK(told_bare());
        create("/b");
        RIG_OK(read_on(9));
    } else {
        RIG_OK(oracle_unwatch(r.o, 1, r.now));
        RIG_OK(read_on(9));
    }
}
END_TEST

START_TEST(test_once)
{
    watch("/a", COORD_DEPTH_SUBTREE, ALL, COORD_WATCH_ONCE);
    create("/a");
    RIG_OK(told_bare());
    create("/a/x");
    RIG_OK(read_on(9)); /* nothing is owed any more */
    create("/a/y");
    RIG_BREAKS("W9", told_bare());
}
END_TEST

START_TEST(test_fold)
{
    struct coord_request q = {
        .op = COORD_OP_LIST, .path = str("/a"), .flags = COORD_LIST_RECURSIVE | COORD_LIST_STATS};
    create("/a");
    create("/a/x");
    create("/a/y");
    watch("/a", COORD_DEPTH_SUBTREE, ALL, 0);
    rig_read(&r, &q);
    RIG_OK(oracle_watch_listed(r.o, 1, &r.f.res, r.f.revision, r.now));
    set("/a/x", "3");
    RIG_OK(told_bare());
    drop("/a/y", 0);
    RIG_OK(told_bare());
    create("/a/z");
    RIG_OK(told_bare());
    RIG_OK(mark(r.f.revision));
}
END_TEST

/* A listing may be newer than what the watch was told last, if nothing was to be told since. */
START_TEST(test_fold_later)
{
    struct coord_request q = {
        .op = COORD_OP_LIST, .path = str("/a"), .flags = COORD_LIST_RECURSIVE | COORD_LIST_STATS};
    create("/a");
    create("/a/x");
    watch("/a", COORD_DEPTH_SUBTREE, ALL, 0);
    create("/b");
    rig_read(&r, &q);
    struct coord_result list = r.f.res;
    list.stat.version += _i == 1;
    RIG_OK(oracle_watch_listed(r.o, 1, &list, r.f.revision, r.now));
    if (_i == 0) {
        RIG_OK(mark(r.f.revision));
    } else {
        RIG_BREAKS("W5", oracle_end(r.o, true, r.now));
    }
}
END_TEST

START_TEST(test_fold_broken)
{
    struct coord_request q = {
        .op = COORD_OP_LIST, .path = str("/a"), .flags = COORD_LIST_RECURSIVE | COORD_LIST_STATS};
    create("/a");
    create("/a/x");
    create("/a/y");
    watch("/a", COORD_DEPTH_SUBTREE, ALL, 0);
    rig_read(&r, &q);
    struct coord_result list = r.f.res;
    if (_i == 0) {
        struct coord_list_entry e;
        (void)coord_list_next(&list.entries_raw, &e);
    } else {
        list.stat.version++;
    }
    RIG_OK(oracle_watch_listed(r.o, 1, &list, r.f.revision, r.now));
    RIG_BREAKS("W5", mark(r.f.revision));
}
END_TEST

/* --- locks ---------------------------------------------------------------------------------------- */

#define LOCK "/lock"

/* A place in line. Return: its token. */
static uint64_t stand(uint64_t client)
{
    RIG_OK(oracle_lock_asked(r.o, client, LOCK, r.now));
    RIG_OK(rig_write(&r, (struct coord_request){.op = COORD_OP_CREATE,
                                                .path = str(LOCK "/n-"),
                                                .flags = COORD_F_EPHEMERAL | COORD_F_SEQUENTIAL}));
    RIG_OK(oracle_lock_queued(r.o, client, LOCK, r.f.revision, r.now));
    return r.f.revision;
}

static const char *held(uint64_t client, uint64_t token)
{
    return oracle_lock_held(r.o, client, LOCK, token, r.now + 1000 * RIG_MS, r.now);
}

START_TEST(test_lock_right)
{
    create(LOCK);
    uint64_t a = stand(1);
    uint64_t b = stand(2);
    RIG_OK(held(1, a));
    RIG_OK(oracle_lock_until(r.o, 1, r.now + 2000 * RIG_MS, r.now));
    RIG_OK(oracle_lock_ended(r.o, 1, LOCK, r.now));
    drop(LOCK "/n-0000000000", 0);
    RIG_OK(oracle_lock_woken(r.o, 2, LOCK, str(LOCK "/n-0000000000"), r.f.revision, r.now));
    RIG_OK(held(2, b));
}
END_TEST

START_TEST(test_lock_two)
{
    create(LOCK);
    uint64_t a = stand(1);
    uint64_t b = stand(2);
    RIG_OK(held(1, a));
    drop(LOCK "/n-0000000000", 0);
    r.now += 990 * RIG_MS;
    if (_i == 0) {
        RIG_BREAKS("K2", held(2, b));
    } else if (_i == 1) {
        r.now += 20 * RIG_MS; /* its lease is over */
        RIG_OK(held(2, b));
        RIG_BREAKS("K2", oracle_lock_until(r.o, 1, r.now + 1000 * RIG_MS, r.now));
    } else {
        RIG_OK(oracle_lock_ended(r.o, 1, LOCK, r.now)); /* it was told */
        RIG_OK(held(2, b));
    }
}
END_TEST

START_TEST(test_lock_tokens)
{
    create(LOCK);
    uint64_t a = stand(1);
    uint64_t b = stand(2);
    if (_i == 0) {
        RIG_BREAKS("K1", held(1, a - 1));
    } else if (_i == 1) {
        RIG_BREAKS("K1", held(1, b));
    } else if (_i == 2) {
        RIG_BREAKS("K1", held(3, b + 10));
    } else {
        RIG_OK(held(1, a));
        RIG_OK(oracle_lock_ended(r.o, 1, LOCK, r.now));
        RIG_BREAKS("K1", held(3, a));
    }
}
END_TEST

START_TEST(test_lock_line)
{
    create(LOCK);
    (void)stand(1);
    uint64_t b = stand(2);
    RIG_BREAKS("K4", held(2, b));
}
END_TEST

START_TEST(test_lock_woken)
{
    create(LOCK);
    for (uint64_t client = 1; client <= 3; client++) {
        (void)stand(client);
    }
    uint64_t now = r.f.revision;
    struct coord_bytes front = str(LOCK "/n-0");
    struct coord_bytes other = str(LOCK "/n-1"); /* two may end at once */
    RIG_OK(oracle_lock_woken(r.o, 1, LOCK, front, now, r.now));
    RIG_OK(oracle_lock_woken(r.o, 1, LOCK, front, now, r.now));
    RIG_OK(oracle_lock_woken(r.o, 2, LOCK, other, now, r.now));
    RIG_OK(oracle_lock_woken(r.o, 4, LOCK, front, now, r.now)); /* it does not wait */
    RIG_BREAKS("K5", oracle_lock_woken(r.o, 3, LOCK, front, now, r.now));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("service oracle: watches and locks");
    TCase *t = tcase_create("watches");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_right);
    tcase_add_loop_test(t, test_order, 0, 2);
    tcase_add_loop_test(t, test_left_out, 0, 4);
    tcase_add_loop_test(t, test_whole, 0, 4);
    tcase_add_loop_test(t, test_marks, 0, 4);
    tcase_add_loop_test(t, test_values, 0, 6);
    tcase_add_loop_test(t, test_wanted, 0, 6);
    tcase_add_loop_test(t, test_before_reply, 0, 3);
    tcase_add_test(t, test_once);
    tcase_add_test(t, test_fold);
    tcase_add_loop_test(t, test_fold_later, 0, 2);
    tcase_add_loop_test(t, test_fold_broken, 0, 2);
    suite_add_tcase(s, t);
    t = tcase_create("locks");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_lock_right);
    tcase_add_loop_test(t, test_lock_two, 0, 3);
    tcase_add_loop_test(t, test_lock_tokens, 0, 4);
    tcase_add_test(t, test_lock_line);
    tcase_add_test(t, test_lock_woken);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
