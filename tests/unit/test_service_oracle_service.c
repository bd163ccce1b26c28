/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: answers about sessions and from /coord are judged by the model at their revision (M3 of
 * tests/service/oracle.h). Method: a real state machine's history; one answer as it must be, then with one thing
 * changed.
 */
#include "tests/unit/test_service_oracle_rig.h"

#define EPHEMERAL "/e"
#define LIMIT     "/coord/config/limits.sessions"
#define QUOTA     "/coord/quotas/%2Fa"

static struct rig r;
static struct coord_buf *raw;   /* of the sessions */
static struct coord_buf *frame; /* of the answer */

static void setup(void)
{
    rig_open(&r);
    rig_session(&r, 5000);
    raw = NULL;
    frame = NULL;
    RIG_OK(rig_write(&r, (struct coord_request){.op = COORD_OP_CREATE,
                                                .path = str(EPHEMERAL),
                                                .flags = COORD_F_EPHEMERAL}));
    RIG_OK(rig_write(&r, (struct coord_request){.op = COORD_OP_CREATE, .path = str("/a")}));
    RIG_OK(rig_write(
        &r, (struct coord_request){.op = COORD_OP_QUOTA, .path = str("/a"), .quota_nodes = 7}));
}

static void teardown(void)
{
    coord_buf_unref(raw);
    coord_buf_unref(frame);
    rig_close(&r);
}

/* The answer as a client decodes it. */
static const char *answer(const struct coord_request *q, struct coord_result *res)
{
    struct coord_result got;
    char why[128];
    uint64_t call = rig_call(&r, q);
    res->number = 1;
    res->receipt = (struct coord_receipt){.member = 1,
                                          .role = 4,
                                          .term = 1,
                                          .revision = r.f.revision,
                                          .age_ms = UINT64_MAX,
                                          .level = q->level};
    coord_buf_unref(frame);
    frame = NULL;
    ck_assert_int_eq(coord_result_encode(q->op, res, &frame), 0);
    ck_assert_int_eq(coord_result_decode(q->op, frame->data + COORD_FRAME_HEADER_BYTES,
                                         frame->len - COORD_FRAME_HEADER_BYTES, &got, why,
                                         sizeof(why)),
                     0);
    got.receipt.age_ms = UINT64_MAX;
    return rig_answer(&r, call, &got);
}

/* --- sessions ------------------------------------------------------------------------------------- */

static struct coord_session_info own_info(void)
{
    return (struct coord_session_info){.session = r.session,
                                       .epoch = r.epoch,
                                       .timeout_ms = 5000,
                                       .ephemerals = 1,
                                       .idle_ms = COORD_IDLE_UNKNOWN};
}

static void add_info(struct coord_result *res, const struct coord_session_info *info)
{
    ck_assert_int_eq(coord_session_encode(info, &raw), 0);
    res->sessions.raw = (struct coord_bytes){raw->data, raw->len};
    res->sessions.count++;
}

START_TEST(test_sessions)
{
    const struct coord_request q = {.op = COORD_OP_SESSIONS, .level = COORD_LEVEL_LINEARIZABLE};
    struct coord_result res = {.count = 1};
    struct coord_session_info info = own_info();
    info.timeout_ms += _i == 1;
    info.ephemerals += _i == 2;
    info.epoch += _i == 3;
    res.count += _i == 4;
    res.more = _i == 5;
    if (_i != 6) {
        add_info(&res, &info);
    }
    if (_i == 7) {
        info.session++;
        add_info(&res, &info);
    }
    if (_i == 0) {
        RIG_OK(answer(&q, &res));
    } else {
        RIG_BREAKS("M3", answer(&q, &res));
    }
}
END_TEST

START_TEST(test_ended_session)
{
    const struct coord_request q = {.op = COORD_OP_SESSIONS, .level = COORD_LEVEL_LINEARIZABLE};
    struct coord_result res = {.count = (uint64_t)_i};
    struct coord_session_info info = own_info();
    r.now += 20000 * RIG_MS;
    RIG_OK(rig_expire(&r));
    if (_i == 0) {
        RIG_OK(answer(&q, &res));
    } else {
        add_info(&res, &info);
        RIG_BREAKS("M3", answer(&q, &res));
    }
}
END_TEST

START_TEST(test_shown_session)
{
    const struct coord_request q = {.op = COORD_OP_SESSIONS,
                                    .level = COORD_LEVEL_LINEARIZABLE,
                                    .session = r.session,
                                    .flags = COORD_SESSIONS_ONE};
    const struct coord_list_entry entry = {.name = str(_i == 1 ? "/other" : EPHEMERAL)};
    struct coord_result res = {.count = 1, .entries_count = 1, .entries = &entry};
    struct coord_session_info info = own_info();
    res.entries_count = _i == 2 ? 0 : 1;
    res.error = _i == 3 ? COORD_EGONE : 0;
    add_info(&res, &info);
    if (_i == 0) {
        RIG_OK(answer(&q, &res));
    } else {
        RIG_BREAKS("M3", answer(&q, &res));
    }
}
END_TEST

/* --- /coord ---------------------------------------------------------------------------------------- */

START_TEST(test_service_data)
{
    static const struct {
        const char *path;
        const char *data;
        int error;
        bool right;
    } rows[] = {{LIMIT, "200000", 0, true},
                {LIMIT, "200001", 0, false},
                {LIMIT, "", COORD_ENONODE, false},
                {QUOTA, "{\"path\": \"/a\", \"nodes\": 7, \"bytes\": 0}", 0, true},
                {QUOTA, "{\"path\": \"/a\", \"nodes\": 8, \"bytes\": 0}", 0, false},
                {QUOTA, "", COORD_ENONODE, false},
                {"/coord/quotas/%2Fe", "", COORD_ENONODE, true},
                {"/coord/quotas/%2Fe", "{}", 0, false},
                {"/coord/nothing", "", COORD_ENONODE, true},
                {"/coord/nothing", "", 0, false}};
    const struct coord_request q = {
        .op = COORD_OP_GET, .path = str(rows[_i].path), .level = COORD_LEVEL_LINEARIZABLE};
    struct coord_result res = {.error = rows[_i].error, .data = str(rows[_i].data)};
    res.stat.kind = COORD_NODE_PERSISTENT;
    if (rows[_i].right) {
        RIG_OK(answer(&q, &res));
        res.stat.version = 1;
        if (res.error == 0) {
            RIG_BREAKS("M3", answer(&q, &res)); /* they have no history */
        }
    } else {
        RIG_BREAKS("M3", answer(&q, &res));
    }
}
END_TEST

START_TEST(test_service_list)
{
    const struct coord_request q = {
        .op = COORD_OP_LIST, .path = str("/coord/quotas"), .level = COORD_LEVEL_LINEARIZABLE};
    const struct coord_list_entry entry = {.name = str(_i == 1 ? "%2Fe" : "%2Fa")};
    struct coord_result res = {.count = 1, .entries_count = 1, .entries = &entry};
    res.stat.kind = COORD_NODE_PERSISTENT;
    res.count += _i == 2;
    if (_i == 0) {
        RIG_OK(answer(&q, &res));
    } else {
        RIG_BREAKS("M3", answer(&q, &res));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("service oracle: what the service tells of itself");
    TCase *t = tcase_create("answers");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_sessions, 0, 8);
    tcase_add_loop_test(t, test_ended_session, 0, 2);
    tcase_add_loop_test(t, test_shown_session, 0, 4);
    tcase_add_loop_test(t, test_service_data, 0, 10);
    tcase_add_loop_test(t, test_service_list, 0, 3);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
