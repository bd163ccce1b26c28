/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the calls for operators (coord_sessions, coord_session_show, coord_session_end) send what the protocol
 * wants and bring back all that is told; and against a member, a session that was ended is expired.
 * Method: handles whose core is turned by the test (tests/lib/client_rig.h); and once a real member.
 */
#include "client/core/mem.h"
#include "client/shell/handle.h"
#include "tests/lib/client_rig.h"
#include "tests/unit/test_client_fixture.h"

static struct rig rig;

/* The last reply, copied as far as the tests look. */
static struct {
    int count;
    struct coord_reply reply;
    struct coord_session_entry sessions[4];
    char addresses[4][64];
    char names[4][64];
} last;

static void keep_reply(const struct coord_reply *reply, void *arg)
{
    (void)arg;
    last.count++;
    last.reply = *reply;
    ck_assert_uint_le(reply->sessions_count, 4);
    ck_assert_uint_le(reply->entries_count, 4);
    for (size_t i = 0; i < reply->sessions_count; i++) {
        const char *address = reply->sessions[i].address;
        last.sessions[i] = reply->sessions[i];
        (void)snprintf(last.addresses[i], 64, "%s", address != NULL ? address : "(null)");
    }
    for (size_t i = 0; i < reply->entries_count; i++) {
        (void)snprintf(last.names[i], 64, "%s", reply->entries[i].name);
    }
}

static struct coord *open_ready(void)
{
    struct coord_options o;
    struct coord *c = NULL;
    coord_options_init(&o);
    o.prefix = "/p";
    ck_assert_int_eq(coord_open(&o, &c, NULL, 0), 0);
    memset(&rig, 0, sizeof(rig));
    rig.core = c->core;
    rig.now = coord__now();
    rig.epoch = 100;
    rig.reply = keep_reply;
    rig_session(&rig, 10000);
    memset(&last, 0, sizeof(last));
    return c;
}

static void close_rigged(struct coord *c)
{
    rig_expect_nothing(&rig);
    coord_close(c);
    coord__arena_finish(&rig.arena);
}

START_TEST(what_is_asked)
{
    struct coord *c = open_ready();
    struct coord_call page = {.consistency = COORD_LOCAL, .limit = 7, .after = "/x/y"};
    ck_assert_int_eq(coord_sessions(c, 41, &page, NULL, NULL), 0);
    ck_assert_int_eq(coord_session_show(c, 42, &page, NULL, NULL), 0);
    ck_assert_int_eq(coord_session_end(c, UINT64_MAX, NULL, NULL, NULL), 0);
    struct rig_sent *s = rig_expect(&rig, COORD_OP_SESSIONS);
    ck_assert_uint_eq(s->q.session, 41);
    ck_assert_uint_eq(s->q.flags, 0);
    ck_assert_uint_eq(s->q.limit, 7);
    ck_assert_int_eq(s->q.level, COORD_LEVEL_LOCAL);
    s = rig_expect(&rig, COORD_OP_SESSIONS);
    ck_assert_uint_eq(s->q.session, 42);
    ck_assert_uint_eq(s->q.flags, COORD_SESSIONS_ONE);
    ck_assert_uint_eq(s->q.after.len, 4); /* as the servers know it: no prefix */
    s = rig_expect(&rig, COORD_OP_SESSION_END);
    ck_assert_uint_eq(s->q.session, UINT64_MAX);
    close_rigged(c);
}
END_TEST

START_TEST(what_is_answered)
{
    struct coord *c = open_ready();
    struct coord_buf *items = NULL;
    const struct coord_session_info known = {.session = 7,
                                             .epoch = 9,
                                             .timeout_ms = 5000,
                                             .ephemerals = 2,
                                             .member = 3,
                                             .idle_ms = 12,
                                             .address = {(const uint8_t *)"1.2.3.4:5", 9}};
    const struct coord_session_info unknown = {.session = 8, .idle_ms = UINT64_MAX};
    ck_assert_int_eq(coord_session_encode(&known, &items), 0);
    ck_assert_int_eq(coord_session_encode(&unknown, &items), 0);
    struct coord_result res = {
        .sessions = {2, {items->data, items->len}}, .more = true, .count = 12};
    ck_assert_int_eq(coord_sessions(c, 0, NULL, NULL, NULL), 0);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_SESSIONS), &res);
    ck_assert_int_eq(last.reply.error, 0);
    ck_assert(last.reply.more && last.reply.count == 12 && last.reply.sessions_count == 2);
    ck_assert_uint_eq(last.sessions[0].session, 7);
    ck_assert_uint_eq(last.sessions[0].attached_revision, 9);
    ck_assert_uint_eq(last.sessions[0].timeout_ms, 5000);
    ck_assert_uint_eq(last.sessions[0].ephemerals, 2);
    ck_assert_uint_eq(last.sessions[0].member, 3);
    ck_assert_uint_eq(last.sessions[0].idle_ms, 12);
    ck_assert_str_eq(last.addresses[0], "1.2.3.4:5");
    ck_assert_str_eq(last.addresses[1], "(null)");
    ck_assert_uint_eq(last.sessions[1].idle_ms, COORD_IDLE_UNKNOWN);
    const struct coord_list_entry owned = {.name = {(const uint8_t *)"/q/e", 4}};
    res = (struct coord_result){
        .sessions = {2, {items->data, items->len}}, .entries_count = 1, .entries = &owned};
    ck_assert_int_eq(coord_session_show(c, 7, NULL, NULL, NULL), 0);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_SESSIONS), &res);
    ck_assert_uint_eq(last.reply.entries_count, 1);
    ck_assert_str_eq(last.names[0], "/q/e");
    res = (struct coord_result){.revision = 33, .count = 2};
    ck_assert_int_eq(coord_session_end(c, 7, NULL, NULL, NULL), 0);
    rig_answer(&rig, rig_expect(&rig, COORD_OP_SESSION_END), &res);
    ck_assert(last.reply.revision == 33 && last.reply.count == 2);
    ck_assert_int_eq(last.reply.outcome, COORD_OUTCOME_DONE);
    coord_buf_unref(items);
    close_rigged(c);
}
END_TEST

START_TEST(misuse_is_told_at_once)
{
    struct coord *c = open_ready();
    char far[COORD_PATH_MAX + 2];
    memset(far, 'x', sizeof(far) - 1);
    far[sizeof(far) - 1] = '\0';
    struct coord_call call = {.after = far};
    ck_assert_int_eq(coord_session_show(c, 7, &call, NULL, NULL), COORD_EINVAL);
    ck_assert_int_eq(coord_sessions(NULL, 0, NULL, NULL, NULL), COORD_EINVAL);
    close_rigged(c);
}
END_TEST

START_TEST(a_member_ends_a_session)
{
    struct coord *victim = open_plain(true);
    struct coord *op = open_plain(false);
    struct coord_reply *r = NULL;
    struct coord_call ephemeral = {.flags = COORD_EPHEMERAL};
    ck_assert_int_eq(coord_create_sync(victim, "/e", NULL, 0, &ephemeral, NULL), 0);
    uint64_t id = coord_session_id(victim);
    ck_assert_int_eq(coord_sessions_sync(op, 0, NULL, &r), 0);
    ck_assert_uint_ge(r->sessions_count, 1);
    ck_assert_uint_eq(r->sessions[0].session, id);
    ck_assert_uint_eq(r->sessions[0].member, 1);
    ck_assert_ptr_nonnull(r->sessions[0].address);
    coord_reply_free(r);
    ck_assert_int_eq(coord_session_show_sync(op, id, NULL, &r), 0);
    ck_assert_uint_eq(r->entries_count, 1);
    ck_assert_str_eq(r->entries[0].name, "/e");
    coord_reply_free(r);
    ck_assert_int_eq(coord_session_end_sync(op, id, NULL, &r), 0);
    ck_assert_uint_eq(r->count, 1);
    coord_reply_free(r);
    ck_assert_int_eq(coord_session_end_sync(op, id, NULL, NULL), COORD_EGONE);
    ck_assert_int_eq(coord_session_show_sync(op, id, NULL, NULL), COORD_EGONE);
    int error = coord_create_sync(victim, "/f", NULL, 0, &ephemeral, NULL);
    ck_assert_msg(error == COORD_EEXPIRED || coord_session_id(victim) != id,
                  "the ended session still writes");
    coord_close(victim);
    coord_close(op);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client: sessions for operators");
    TCase *t = tcase_create("rigged");
    tcase_add_test(t, what_is_asked);
    tcase_add_test(t, what_is_answered);
    tcase_add_test(t, misuse_is_told_at_once);
    suite_add_tcase(s, t);
    t = tcase_create("member");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, a_member_ends_a_session);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
