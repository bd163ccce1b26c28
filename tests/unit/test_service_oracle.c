/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: each rule of tests/service/oracle.h about the log, calls and sessions holds of a right history and is
 * named by a history that breaks it. Method: one test a rule; what happens comes from a real state machine, then
 * one thing is told to the oracle as it should not have been. (The model: test_service_oracle_model.c; watches
 * and locks: test_service_oracle_watch.c.)
 */
#include "tests/unit/test_service_oracle_rig.h"

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

static struct coord_request create(const char *path)
{
    return (struct coord_request){
        .op = COORD_OP_CREATE, .path = str(path), .data = str("1"), .number = ++r.number};
}

static struct coord_request get(const char *path, enum coord_level level, uint64_t arg)
{
    return (struct coord_request){
        .op = COORD_OP_GET, .path = str(path), .level = level, .level_arg = arg};
}

/* An answer to q from the state now. */
static struct coord_result answer_of(const struct coord_request *q)
{
    rig_read(&r, q);
    return r.f.res;
}

/* --- the log -------------------------------------------------------------------------------------- */

START_TEST(test_log_order)
{
    struct coord_request q = create("/a");
    RIG_OK(rig_write(&r, q));
    r.f.revision++;
    q = create("/b");
    (void)rig_call(&r, &q);
    RIG_BREAKS("R5", rig_apply(&r, &q));
}
END_TEST

START_TEST(test_log_hole)
{
    RIG_OK(rig_write(&r, create("/a")));
    struct oracle_applied a = r.a;
    a.member = 2;
    RIG_BREAKS("R5", oracle_applied(r.o, &a, r.now)); /* it lacks the first */
}
END_TEST

START_TEST(test_log_other)
{
    RIG_OK(rig_write(&r, create("/a")));
    struct oracle_applied a = r.a;
    a.member = 2;
    RIG_OK(oracle_member_state(r.o, 2, r.f.revision - 1, 0, r.now));
    if (_i == 0) {
        RIG_OK(oracle_applied(r.o, &a, r.now));
        return;
    }
    a.error = COORD_EEXISTS;
    RIG_BREAKS("R5", oracle_applied(r.o, &a, r.now));
}
END_TEST

START_TEST(test_log_state)
{
    RIG_OK(oracle_member_state(r.o, 2, r.f.revision, 17, r.now));
    RIG_OK(oracle_member_digest(r.o, 1, r.f.revision, 17));
    if (_i == 0) {
        RIG_BREAKS("R5", oracle_member_digest(r.o, 1, r.f.revision, 18));
    } else if (_i == 1) {
        RIG_BREAKS("R5", oracle_member_state(r.o, 2, r.f.revision + 1, 0, r.now));
    } else {
        RIG_BREAKS("R5", oracle_member_state(r.o, 1, r.f.revision - 1, 0, r.now));
    }
}
END_TEST

/* --- time ----------------------------------------------------------------------------------------- */

START_TEST(test_future)
{
    struct coord_request q = get("/", COORD_LEVEL_LOCAL, 0);
    struct coord_result res = answer_of(&q);
    uint64_t call = rig_call(&r, &q);
    res.receipt.revision++;
    RIG_BREAKS("M2", rig_answer(&r, call, &res));
}
END_TEST

START_TEST(test_linearizable)
{
    struct coord_request q = get("/", COORD_LEVEL_LINEARIZABLE, 0);
    struct coord_result res = answer_of(&q);
    uint64_t early = rig_call(&r, &q);
    RIG_OK(rig_write(&r, create("/a")));
    uint64_t late = rig_call(&r, &q);
    res.receipt.age_ms = UINT64_MAX;
    RIG_OK(rig_answer(&r, early, &res));
    RIG_BREAKS("X1", rig_answer(&r, late, &res));
}
END_TEST

START_TEST(test_sync)
{
    struct coord_request q = {.op = COORD_OP_SYNC};
    struct coord_result res = {.revision = r.f.revision,
                               .receipt = {.revision = r.f.revision, .age_ms = UINT64_MAX}};
    RIG_OK(rig_answer(&r, rig_call(&r, &q), &res));
    RIG_OK(rig_write(&r, create("/a")));
    res.receipt.revision = r.f.revision;
    RIG_BREAKS("X1", rig_answer(&r, rig_call(&r, &q), &res));
}
END_TEST

START_TEST(test_session_read)
{
    struct coord_request q = get("/", COORD_LEVEL_SESSION, 0);
    struct coord_result res = answer_of(&q);
    RIG_OK(rig_answer(&r, rig_call(&r, &q), &res));
    RIG_OK(rig_write(&r, create("/a")));
    res.receipt.age_ms = UINT64_MAX;
    RIG_BREAKS("X3", rig_answer(&r, rig_call(&r, &q), &res));
}
END_TEST

START_TEST(test_session_arg)
{
    struct coord_request q = get("/", COORD_LEVEL_SESSION, r.f.revision + 1);
    struct coord_result res = answer_of(&q);
    RIG_BREAKS("X3", rig_answer(&r, rig_call(&r, &q), &res));
}
END_TEST

START_TEST(test_own_write)
{
    struct coord_request q = create("/a");
    uint64_t call = rig_call(&r, &q);
    RIG_OK(rig_apply(&r, &q));
    struct coord_result res = r.f.res;
    res.receipt = (struct coord_receipt){.revision = r.f.revision - 1, .age_ms = UINT64_MAX};
    RIG_BREAKS("X3", rig_answer(&r, call, &res));
}
END_TEST

/* The answer to a write that was there before it was called. */
START_TEST(test_write_order)
{
    struct coord_request q = create("/a");
    (void)rig_call(&r, &q);
    RIG_OK(rig_apply(&r, &q));
    uint64_t call = rig_call(&r, &q);
    RIG_BREAKS("X1", rig_answer(&r, call, NULL));
}
END_TEST

/* The state was overtaken 20 ms before the call. */
START_TEST(test_age)
{
    struct coord_request q = get("/", _i < 2 ? COORD_LEVEL_LOCAL : COORD_LEVEL_BOUNDED, 10);
    struct coord_result res = answer_of(&q);
    RIG_OK(rig_write(&r, create("/a")));
    r.now += 20 * RIG_MS;
    res.receipt.age_ms = _i == 0 ? 100 : 10;
    uint64_t call = rig_call(&r, &q);
    if (_i == 0) {
        RIG_OK(rig_answer(&r, call, &res));
    } else {
        RIG_BREAKS("A1", rig_answer(&r, call, &res));
    }
}
END_TEST

START_TEST(test_bound)
{
    struct coord_request q = get("/", COORD_LEVEL_BOUNDED, 10);
    struct coord_result res = answer_of(&q);
    res.receipt.age_ms = 10;
    RIG_OK(rig_answer(&r, rig_call(&r, &q), &res));
    res.receipt.age_ms = _i == 0 ? 11 : UINT64_MAX;
    RIG_BREAKS("A1", rig_answer(&r, rig_call(&r, &q), &res));
}
END_TEST

START_TEST(test_level)
{
    struct coord_request q = get("/", COORD_LEVEL_LINEARIZABLE, 0);
    struct coord_result res = answer_of(&q);
    res.receipt.level = COORD_LEVEL_LOCAL;
    RIG_BREAKS("A2", rig_answer(&r, rig_call(&r, &q), &res));
}
END_TEST

/* --- once ----------------------------------------------------------------------------------------- */

static const char *conclude(uint64_t call, int error, enum coord_error_class how)
{
    const struct oracle_reply reply = {
        .client = 1, .call = call, .error = error, .error_class = how};
    return oracle_reply(r.o, &reply, r.now);
}

/* A set that can happen again and again. */
static struct coord_request set(uint64_t number)
{
    return (struct coord_request){.op = COORD_OP_SET,
                                  .path = str("/a"),
                                  .data = str("2"),
                                  .number = number,
                                  .expect_version = COORD_VERSION_ANY};
}

START_TEST(test_no_session_twice)
{
    RIG_OK(rig_write(&r, create("/a")));
    struct coord_request q = set(1);
    r.session = 0;
    uint64_t call = rig_call(&r, &q);
    RIG_OK(rig_apply(&r, &q));
    RIG_OK(conclude(call, COORD_EINDOUBT, COORD_UNKNOWN));
    RIG_BREAKS("X4", rig_apply(&r, &q));
}
END_TEST

/* The same number has an effect again: what a machine does that has lost its answers. */
START_TEST(test_number_twice)
{
    RIG_OK(rig_write(&r, create("/a")));
    struct coord_request q = set(++r.number);
    uint64_t call = rig_call(&r, &q);
    RIG_OK(rig_apply(&r, &q));
    RIG_OK(rig_answer(&r, call, NULL));
    if (_i == 0) {
        RIG_OK(rig_apply(&r, &q)); /* the machine knows it */
        return;
    }
    (void)fixture_request(&r.f, 0, 0, &q); /* this one has no session to know it by */
    struct entry e = {.kind = ENTRY_REQUEST,
                      .origin = 1,
                      .session = r.session,
                      .epoch = r.epoch,
                      .time_ms = r.f.time_ms,
                      .body_bytes = r.f.entry->len - ENTRY_HEADER_BYTES};
    entry_header_encode(&e, r.f.entry->data);
    RIG_BREAKS("X5", rig_tell(&r));
}
END_TEST

START_TEST(test_number_other_answer)
{
    struct coord_request q = create("/a");
    RIG_OK(rig_write(&r, q));
    (void)fixture_request(&r.f, r.session, r.epoch, &q);
    r.f.o.error = COORD_EEXISTS;
    RIG_BREAKS("X5", rig_tell(&r));
}
END_TEST

START_TEST(test_refused_is_absent)
{
    struct coord_request q = create("/a");
    uint64_t call = rig_call(&r, &q);
    if (_i == 0) {
        RIG_OK(conclude(call, COORD_ENOQUORUM, COORD_NOT_APPLIED));
    } else if (_i == 1) {
        /* Without a session, and nobody else asked for the same. */
        r.session = 0;
        q.path = str("/b");
        call = rig_call(&r, &q);
        RIG_OK(conclude(call, COORD_ENOQUORUM, COORD_NOT_APPLIED));
    } else {
        const struct oracle_reply reply = {.client = 1,
                                           .call = call,
                                           .session = r.session,
                                           .number = q.number,
                                           .error = COORD_ENOQUORUM,
                                           .error_class = COORD_NOT_APPLIED};
        RIG_OK(rig_apply(&r, &q));
        RIG_BREAKS("X6", oracle_reply(r.o, &reply, r.now));
        return;
    }
    RIG_BREAKS("X6", rig_apply(&r, &q));
}
END_TEST

START_TEST(test_answered_is_there)
{
    struct coord_request q = create("/a");
    RIG_OK(rig_write(&r, q));
    q = create("/b");
    uint64_t call = rig_call(&r, &q);
    RIG_BREAKS("X6", rig_answer(&r, call, NULL));
}
END_TEST

START_TEST(test_answer_of_another)
{
    RIG_OK(rig_write(&r, create("/a")));
    struct coord_result res = r.f.res;
    struct coord_request q = create("/b");
    uint64_t call = rig_call(&r, &q);
    RIG_OK(rig_apply(&r, &q));
    res.path = str("/a");
    res.receipt = (struct coord_receipt){.revision = r.f.revision};
    RIG_BREAKS("M3", rig_answer(&r, call, &res));
}
END_TEST

START_TEST(test_nobody_asked)
{
    struct coord_request q = create("/a");
    RIG_BREAKS("X7", rig_apply(&r, &q));
}
END_TEST

START_TEST(test_answered_twice)
{
    struct coord_request q = create("/a");
    uint64_t call = rig_call(&r, &q);
    RIG_OK(rig_apply(&r, &q));
    RIG_OK(rig_answer(&r, call, NULL));
    RIG_BREAKS("X7", rig_answer(&r, call, NULL));
}
END_TEST

/* --- sessions ------------------------------------------------------------------------------------- */

static struct coord_request ephemeral(const char *path)
{
    struct coord_request q = create(path);
    q.flags = COORD_F_EPHEMERAL;
    return q;
}

START_TEST(test_expire_in_time)
{
    RIG_OK(rig_write(&r, ephemeral("/e")));
    RIG_OK(oracle_alive(r.o, 1, r.session, r.now, r.f.revision));
    r.now += 5000 * RIG_MS;
    RIG_OK(rig_expire(&r));
    RIG_OK(oracle_session_gone(r.o, 1, r.session, r.now));
    ck_assert_uint_eq(r.a.changes_count, 1);
}
END_TEST

START_TEST(test_expire_early)
{
    r.now += 4000 * RIG_MS;
    if (_i == 0) {
        RIG_OK(oracle_alive(r.o, 1, r.session, r.now - 1000 * RIG_MS, 0));
        r.now += 3000 * RIG_MS;
    } else if (_i == 1) {
        RIG_OK(rig_write(&r, create("/a")));
        r.now += 3000 * RIG_MS;
    } else if (_i == 2) {
        (void)fixture_attach(&r.f, r.session, 7);
        RIG_OK(rig_tell(&r));
        r.epoch = r.f.revision;
        r.now += 3000 * RIG_MS;
    }
    RIG_BREAKS("E2", rig_expire(&r));
}
END_TEST

START_TEST(test_alive_then_expired)
{
    uint64_t sent = r.now + 4000 * RIG_MS;
    r.now += 6000 * RIG_MS;
    RIG_OK(rig_expire(&r));
    RIG_BREAKS("E2", oracle_alive(r.o, 1, r.session, sent, 0));
}
END_TEST

START_TEST(test_alive_after_end)
{
    r.now += 6000 * RIG_MS;
    RIG_OK(rig_expire(&r));
    RIG_BREAKS("E4", oracle_alive(r.o, 1, r.session, r.now + 1, 0));
}
END_TEST

START_TEST(test_alive_unconfirmed)
{
    uint64_t revision = r.f.revision;
    uint64_t early = r.now;
    RIG_OK(rig_write(&r, create("/a")));
    RIG_OK(oracle_alive(r.o, 1, r.session, early, revision)); /* sent before it */
    RIG_BREAKS("X1", oracle_alive(r.o, 1, r.session, r.now, revision));
}
END_TEST

START_TEST(test_left_behind)
{
    RIG_OK(rig_write(&r, ephemeral("/e")));
    r.now += 6000 * RIG_MS;
    uint8_t body[16];
    rig_id_epoch(body, r.session, r.epoch);
    (void)fixture_apply(&r.f, (struct entry){.kind = ENTRY_EXPIRE}, NULL, 0, body, sizeof(body));
    ck_assert_uint_eq(r.f.o.changes_count, 1);
    r.f.o.changes_count = _i == 0 ? 0 : 1;
    r.f.o.ended_count = _i == 0 ? 1 : 0;
    RIG_BREAKS("E1", rig_tell(&r));
}
END_TEST

/* The machine refuses; here it is told as if it had not. */
static const char *as_if_applied(const char *path)
{
    struct coord_request q = create(path);
    (void)rig_call(&r, &q);
    (void)fixture_request(&r.f, r.session, r.epoch, &q);
    ck_assert_int_ne(r.f.o.error, 0);
    const struct coord_change c = {
        .kind = COORD_CHANGE_CREATED, .path = str(path), .create_revision = r.f.revision};
    r.f.o.error = 0;
    r.f.o.changes = &c;
    r.f.o.changes_count = 1;
    return rig_tell(&r);
}

START_TEST(test_write_after_end)
{
    r.now += 6000 * RIG_MS;
    RIG_OK(rig_expire(&r));
    RIG_BREAKS("E1", as_if_applied("/a"));
}
END_TEST

START_TEST(test_write_after_move)
{
    (void)fixture_attach(&r.f, r.session, 7);
    RIG_OK(rig_tell(&r));
    RIG_BREAKS("E5", as_if_applied("/a"));
}
END_TEST

START_TEST(test_id_again)
{
    (void)fixture_session(&r.f, 9, 5000);
    struct coord_result res = r.f.res;
    struct coord_buf *b = NULL;
    res.session = r.session;
    ck_assert_int_eq(coord_body_encode(COORD_OP_SESSION_OPEN, &res, &b), 0);
    r.f.o.body = b;
    RIG_BREAKS("E6", rig_tell(&r));
    coord_buf_unref(b);
}
END_TEST

START_TEST(test_gone)
{
    RIG_BREAKS("E7", oracle_session_gone(r.o, 1, r.session, r.now));
}
END_TEST

/* --- what is removed by itself -------------------------------------------------------------------- */

#define REAP 5

/* A REAP entry naming `path`, told as having removed it or not. */
static const char *reap(const char *path, uint64_t created, uint64_t after_ms, bool removed)
{
    uint8_t bytes[ENTRY_HEADER_BYTES + 10 + 64];
    const size_t len = strlen(path);
    struct entry e = {.kind = ENTRY_REQUEST,
                      .origin = 0,
                      .time_ms = r.f.time_ms + after_ms,
                      .body_bytes = (uint32_t)(10 + len)};
    const struct coord_change c = {
        .kind = COORD_CHANGE_DELETED, .path = str(path), .create_revision = created};
    entry_header_encode(&e, bytes);
    bytes[0] = REAP;
    memset(bytes + ENTRY_HEADER_BYTES, 0, 10);
    bytes[ENTRY_HEADER_BYTES] = (uint8_t)created;
    bytes[ENTRY_HEADER_BYTES + 8] = (uint8_t)len;
    memcpy(bytes + ENTRY_HEADER_BYTES + 10, path, len);
    const struct oracle_applied a = {.member = 1,
                                     .revision = ++r.f.revision,
                                     .bytes = bytes,
                                     .len = ENTRY_HEADER_BYTES + 10 + len,
                                     .changes_count = removed,
                                     .changes = &c};
    return oracle_applied(r.o, &a, r.now);
}

static uint64_t make(const char *path, uint32_t flags)
{
    struct coord_request q = {.op = COORD_OP_CREATE, .path = str(path), .flags = flags};
    q.ttl_ms = flags == COORD_F_TTL ? 1000 : 0;
    RIG_OK(rig_write(&r, q));
    return r.f.revision;
}

static void drop(const char *path)
{
    RIG_OK(rig_write(&r, (struct coord_request){.op = COORD_OP_DELETE,
                                                .path = str(path),
                                                .expect_version = COORD_VERSION_ANY}));
}

START_TEST(test_container)
{
    uint64_t c = make("/c", COORD_F_CONTAINER);
    if (_i == 0) {
        RIG_BREAKS("C1", reap("/c", c, 0, true)); /* never had a child */
        return;
    }
    (void)make("/c/x", 0);
    if (_i == 1) {
        RIG_BREAKS("C1", reap("/c", c, 0, true));
        return;
    }
    drop("/c/x");
    if (_i == 2) {
        RIG_OK(reap("/c", c, 0, true));
    } else {
        RIG_BREAKS("C1", reap("/c", c, 0, false));
    }
}
END_TEST

START_TEST(test_ttl)
{
    uint64_t t = make("/t", COORD_F_TTL);
    if (_i == 0) {
        RIG_BREAKS("C1", reap("/t", t, 999, true));
    } else if (_i == 1) {
        RIG_OK(reap("/t", t, 1000, true));
    } else if (_i == 2) {
        (void)make("/t/x", 0);
        RIG_BREAKS("C1", reap("/t", t, 5000, true));
    } else {
        RIG_BREAKS("C1", reap("/", 0, 5000, true));
    }
}
END_TEST

static void add_log(Suite *s)
{
    TCase *t = tcase_create("log");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_log_order);
    tcase_add_test(t, test_log_hole);
    tcase_add_loop_test(t, test_log_other, 0, 2);
    tcase_add_loop_test(t, test_log_state, 0, 3);
    suite_add_tcase(s, t);
    t = tcase_create("time");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_future);
    tcase_add_test(t, test_linearizable);
    tcase_add_test(t, test_sync);
    tcase_add_test(t, test_session_read);
    tcase_add_test(t, test_session_arg);
    tcase_add_test(t, test_own_write);
    tcase_add_test(t, test_write_order);
    tcase_add_loop_test(t, test_age, 0, 3);
    tcase_add_loop_test(t, test_bound, 0, 2);
    tcase_add_test(t, test_level);
    suite_add_tcase(s, t);
}

static void add_once(Suite *s)
{
    TCase *t = tcase_create("once");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_no_session_twice);
    tcase_add_loop_test(t, test_number_twice, 0, 2);
    tcase_add_test(t, test_number_other_answer);
    tcase_add_loop_test(t, test_refused_is_absent, 0, 3);
    tcase_add_test(t, test_answered_is_there);
    tcase_add_test(t, test_answer_of_another);
    tcase_add_test(t, test_nobody_asked);
    tcase_add_test(t, test_answered_twice);
    suite_add_tcase(s, t);
}

static void add_sessions(Suite *s)
{
    TCase *t = tcase_create("sessions");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_expire_in_time);
    tcase_add_loop_test(t, test_expire_early, 0, 4);
    tcase_add_test(t, test_alive_then_expired);
    tcase_add_test(t, test_alive_after_end);
    tcase_add_test(t, test_alive_unconfirmed);
    tcase_add_loop_test(t, test_left_behind, 0, 2);
    tcase_add_test(t, test_write_after_end);
    tcase_add_test(t, test_write_after_move);
    tcase_add_test(t, test_id_again);
    tcase_add_test(t, test_gone);
    tcase_add_loop_test(t, test_container, 0, 4);
    tcase_add_loop_test(t, test_ttl, 0, 4);
    suite_add_tcase(s, t);
}

int main(void)
{
    Suite *s = suite_create("service oracle");
    add_log(s);
    add_once(s);
    add_sessions(s);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
