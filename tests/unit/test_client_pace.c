/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a client in trouble is no storm. Whatever it is asked and whatever servers do, it begins no more connections
 * than pace.c allows; what all servers said a moment ago is said again without asking them; and nothing of this
 * makes it find a server later than back-off alone would.
 * Method: a client core against scripted servers (tests/lib/client_rig.h), each connection noted with its time.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/client_rig.h"

#define LINKS_MAX 65536

static struct rig rig;
static uint64_t begun[LINKS_MAX];
static size_t links;
static uint64_t last_link;

static enum coord_session_policy policy;

static void start(uint32_t servers)
{
    struct coord__core_options o;
    rig_options(&o, servers);
    o.policy = policy;
    rig_init(&rig, &o);
    links = 0;
    last_link = 0;
}

static void stop(void)
{
    rig_finish(&rig);
}

/* --- many requests, and servers that are of no use ---------------------------------------------- */

/* What is in the way of the servers. */
enum trouble {
    NO_QUORUM,      /* all are there, and refuse */
    ONE_IS_DEAD,    /* the last is not there, the others refuse */
    NOBODY,         /* no server is there */
    GOOD_THEN_DEAF, /* they attach the session, and end the connection at the next request */
    BUSY,           /* they attach it, and are too busy for any write */
    NONSENSE,       /* they attach it, and say what cannot be understood */
    TROUBLES
};

struct busy {
    enum trouble trouble;
    uint32_t servers;
    bool wait_quorum;
    uint64_t greeted; /* answered hellos */
    uint64_t served;
};

/* Requests made so far, by what is done with their answers: nobody looks at them. */
static void note_link(void)
{
    uint64_t id = coord__core_link(rig.core).id;
    if (id != 0 && id != last_link) {
        ck_assert_uint_lt(links, LINKS_MAX);
        begun[links++] = rig.now;
        last_link = id;
    }
}

/* Forget what was looked at: the logs of the rig are short. */
static void clear_logs(void)
{
    rig_run(&rig);
    rig.told_count = rig.told_at = 0;
    rig.sent_count = rig.sent_at = 0;
}

static void answer_hello(const struct busy *b, struct rig_sent *s)
{
    struct coord_result res = {.version = COORD_PROTOCOL_VERSION, .member = rig.server + 1};
    res.limits.frame_bytes = 1u << 22;
    res.limits.data_bytes = 1u << 20;
    res.limits.outstanding = 8; /* the log of the rig is short */
    res.limits.watches = 10000;
    res.limits.txn_operations = 1024;
    res.session_state = s->q.session != 0 ? COORD_SESSION_RESUMED : COORD_SESSION_NONE;
    bool refuses = b->trouble == NO_QUORUM || b->trouble == ONE_IS_DEAD;
    if (s->q.session != 0 && refuses) {
        rig_answer_no_quorum(&rig, s, COORD_ENOQUORUM);
    } else {
        rig_answer(&rig, s, &res);
    }
}

static void answer_one(struct busy *b, struct rig_sent *s)
{
    struct coord_result data = {.data = {(const uint8_t *)"d", 1}};
    if (s->q.op == COORD_OP_HELLO) {
        b->greeted++;
        answer_hello(b, s);
    } else if (b->trouble == GOOD_THEN_DEAF) {
        rig_break(&rig, "cut");
    } else if (b->trouble == NONSENSE) {
        rig_bytes(&rig, "\0\0\0\3abc", 7);
    } else if (b->trouble == BUSY && s->q.op == COORD_OP_CREATE) {
        rig_answer_error(&rig, s, COORD_EBUSY);
    } else if (s->q.op == COORD_OP_GET && s->q.level == COORD_LEVEL_LOCAL) {
        b->served++;
        rig_answer(&rig, s, &data);
    } else {
        rig_answer_no_quorum(&rig, s, COORD_ENOQUORUM);
    }
}

/* The servers do what they do at this moment. */
static void serve(struct busy *b)
{
    for (int turns = 0; turns < 50; turns++) {
        rig_run(&rig);
        note_link();
        struct coord__link_wish wish = coord__core_link(rig.core);
        bool dead =
            b->trouble == NOBODY || (b->trouble == ONE_IS_DEAD && wish.server + 1 == b->servers);
        if (wish.id != 0 && wish.id != rig.link && dead) {
            rig.link = 0;
            coord__core_lost(rig.core, wish.id, "connection refused", rig.now);
        } else if (wish.id != 0 && wish.id != rig.link) {
            rig.link = wish.id;
            rig.server = wish.server;
            rig.sent_at = rig.sent_count;
            coord__core_connected(rig.core, wish.id, rig.now);
        } else if (rig.sent_at < rig.sent_count && rig.link != 0) {
            uint64_t link = rig.link;
            answer_one(b, &rig.sent[rig.sent_at++]);
            rig.sent_at = rig.link == link ? rig.sent_at : rig.sent_count;
        } else {
            return;
        }
    }
}

/* Ask every two milliseconds, for so long. */
static void ask_on(struct busy *b, uint64_t ms)
{
    for (uint64_t i = 0; i < ms / 2; i++) {
        rig.wait_quorum = b->wait_quorum && i % 3 == 0;
        switch (i % 4) {
        case 0:
            (void)rig_create(&rig, "/a", 0, 500);
            break;
        case 1:
            (void)rig_get(&rig, "/a", COORD_LEVEL_LOCAL, 500);
            break;
        default:
            (void)rig_get(&rig, "/a", COORD_LEVEL_LINEARIZABLE, 500);
            break;
        }
        serve(b);
        clear_logs();
        rig.now += 2 * RIG_MS;
        coord__core_tick(rig.core, rig.now);
        serve(b);
    }
}

/* No more than that in any time. */
static void check_pace(uint32_t servers)
{
    for (size_t i = 0; i < links; i++) {
        for (size_t j = i; j < links && begun[j] - begun[i] <= 20000 * RIG_MS; j++) {
            uint64_t span = begun[j] - begun[i];
            uint64_t most = servers * (6 * 1000 * RIG_MS + 4 * span) / (1000 * RIG_MS) + 1;
            ck_assert_msg(j - i + 1 <= most, "%zu connections in %llu ms, at most %llu are allowed",
                          j - i + 1, (unsigned long long)(span / RIG_MS), (unsigned long long)most);
        }
    }
}

static struct busy trouble_of(int number)
{
    struct busy b = {.trouble = (enum trouble)(number % TROUBLES),
                     .servers = 1 + 2 * (uint32_t)(number / TROUBLES % 3),
                     .wait_quorum = number >= 3 * TROUBLES};
    return b;
}

START_TEST(connections_are_bounded_whatever_is_asked)
{
    struct busy b = trouble_of(_i);
    start(b.servers);
    rig_session(&rig, 10000);
    ask_on(&b, 10000);
    check_pace(b.servers);
    stop();
}
END_TEST

/* Who serves what needs no quorum is left now and then only. */
START_TEST(a_minority_goes_on_serving_local_reads)
{
    struct busy b = trouble_of(_i);
    start(b.servers);
    rig_session(&rig, 10000);
    rig_break(&rig, "cut");
    ask_on(&b, 1000);
    uint64_t before = b.served;
    ask_on(&b, 10000);
    ck_assert_uint_gt(b.served - before, 10000 / 8 * 9 / 10); /* nine in ten of those asked for */
    stop();
}
END_TEST

/* The same for who has no session: none is wanted, or none could be opened. */
START_TEST(a_minority_serves_who_has_no_session)
{
    static const struct busy troubles[] = {{.trouble = NO_QUORUM, .servers = 1},
                                           {.trouble = NO_QUORUM, .servers = 3},
                                           {.trouble = ONE_IS_DEAD, .servers = 3},
                                           {.trouble = ONE_IS_DEAD, .servers = 5}};
    struct busy b = troubles[_i / 4];
    b.wait_quorum = _i % 2 == 1;
    policy = _i / 2 % 2 == 0 ? COORD_SESSIONS_LAZY : COORD_SESSIONS_OFF;
    start(b.servers);
    ask_on(&b, 1000);
    uint64_t before = b.served;
    ask_on(&b, 10000);
    check_pace(b.servers);
    ck_assert_uint_gt(b.served - before, 10000 / 8 * 9 / 10);
    stop();
}
END_TEST

/* --- what is refused without asking ------------------------------------------------------------- */

static void refuse_hello(void)
{
    (void)rig_connect(&rig);
    struct rig_sent *hello = rig_expect(&rig, COORD_OP_HELLO);
    ck_assert_uint_eq(hello->q.session, 77);
    rig_answer_no_quorum(&rig, hello, COORD_ENOQUORUM);
}

/* Three servers, the first two refuse to attach the session and the last is not there; a local read makes a
 * detached link to the second one, and is answered. */
static void detach(void)
{
    start(3);
    rig_session(&rig, 10000);
    rig_break(&rig, "cut");
    refuse_hello();
    rig_break(&rig, "connection refused"); /* with the link that broke, that was each server */
    refuse_hello();
    refuse_hello();
    rig_break(&rig, "connection refused");
    uint64_t local = rig_get(&rig, "/a", COORD_LEVEL_LOCAL, 5000);
    ck_assert_uint_eq(rig_greet(&rig, COORD_SESSION_NONE), 1);
    struct coord_result data = {.data = {(const uint8_t *)"d", 1}};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_GET), &data);
    rig_state(&rig, COORD_CONNECTING);
    rig_state(&rig, COORD_CONNECTED);
    rig_reply(&rig, local, 0);
}

START_TEST(what_needs_the_session_is_refused_on_a_detached_link)
{
    detach();
    uint64_t link = rig.link;
    uint64_t id = rig_create(&rig, "/w", 0, 5000);
    const struct rig_told *t = rig_reply(&rig, id, COORD_ENOQUORUM);
    ck_assert_int_eq(t->outcome, COORD_OUTCOME_NOT_APPLIED);
    ck_assert(t->has_no_quorum);
    ck_assert_uint_eq(t->needed, 2);
    ck_assert_uint_eq(coord__core_link(rig.core).id, link);
    /* A little later it waits for the next attempt. */
    rig_pass(&rig, 250);
    id = rig_create(&rig, "/w", 0, 5000);
    rig_told_nothing(&rig);
    rig_expect_nothing(&rig);
    rig_pass(&rig, 600);
    rig_state(&rig, COORD_CONNECTING);
    ck_assert_uint_ne(coord__core_link(rig.core).id, link);
    rig_greet(&rig, COORD_SESSION_RESUMED);
    rig_state(&rig, COORD_CONNECTED);
    struct coord_result ok = {.path = {(const uint8_t *)"/w", 2}};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_CREATE), &ok);
    rig_reply(&rig, id, 0);
    stop();
}
END_TEST

/* A server that is not there is none to ask, as one that refused. */
START_TEST(a_dead_server_is_not_tried_for_each_request)
{
    detach();
    uint64_t link = rig.link;
    for (int i = 0; i < 5; i++) {
        uint64_t id = rig_get(&rig, "/a", COORD_LEVEL_LINEARIZABLE, 5000);
        rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_GET), COORD_ENOQUORUM);
        rig_reply(&rig, id, COORD_ENOQUORUM);
        ck_assert_uint_eq(coord__core_link(rig.core).id, link);
    }
    rig_pass(&rig, 250);
    (void)rig_get(&rig, "/a", COORD_LEVEL_LINEARIZABLE, 5000);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_GET), COORD_ENOQUORUM);
    ck_assert_uint_ne(coord__core_link(rig.core).id, link);
    stop();
}
END_TEST

/* Who waits for a quorum waits where others are served, and goes on when the session is attached. */
START_TEST(who_waits_for_a_quorum_does_not_take_the_link_from_others)
{
    detach();
    uint64_t link = rig.link;
    rig.wait_quorum = true;
    uint64_t id = rig_get(&rig, "/a", COORD_LEVEL_LINEARIZABLE, 5000);
    uint64_t write = rig_create(&rig, "/w", 0, 5000);
    rig_answer_no_quorum(&rig, rig_expect(&rig, COORD_OP_GET), COORD_ENOQUORUM);
    rig_told_nothing(&rig);
    rig_expect_nothing(&rig);
    ck_assert_uint_eq(coord__core_link(rig.core).id, link);
    rig_pass(&rig, 900);
    rig_state(&rig, COORD_CONNECTING);
    rig_greet(&rig, COORD_SESSION_RESUMED);
    rig_state(&rig, COORD_CONNECTED);
    struct coord_result data = {.data = {(const uint8_t *)"d", 1}};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_GET), &data);
    rig_reply(&rig, id, 0);
    struct coord_result ok = {.path = {(const uint8_t *)"/w", 2}};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_CREATE), &ok);
    rig_reply(&rig, write, 0);
    stop();
}
END_TEST

/* --- and nothing comes later for it -------------------------------------------------------------- */

/* A read that a quorum answered is a reason to attach at once. */
START_TEST(a_quorum_that_is_seen_is_used_at_once)
{
    detach();
    uint64_t link = rig.link;
    uint64_t id = rig_get(&rig, "/a", COORD_LEVEL_LINEARIZABLE, 5000);
    struct coord_result data = {.data = {(const uint8_t *)"d", 1}};
    rig_answer(&rig, rig_expect(&rig, COORD_OP_GET), &data);
    rig_reply(&rig, id, 0);
    rig_state(&rig, COORD_CONNECTING);
    ck_assert_uint_ne(coord__core_link(rig.core).id, link);
    ck_assert_uint_eq(rig_greet(&rig, COORD_SESSION_RESUMED), 1);
    rig_state(&rig, COORD_CONNECTED);
    stop();
}
END_TEST

/* Servers that are away for a while are looked for as often as back-off says: each pause is within its bound. */
START_TEST(back_off_alone_is_not_slowed_down)
{
    uint32_t servers = 1 + 2 * (uint32_t)_i;
    start(servers);
    coord__core_tick(rig.core, rig.now);
    for (int round = 0; round < 300; round++) {
        for (uint32_t i = 0; i < servers; i++) {
            ck_assert_uint_ne(coord__core_link(rig.core).id, 0);
            rig.now += RIG_MS / 2;
            rig_break(&rig, "refused");
        }
        uint64_t bound = round < 6 ? 20 * RIG_MS << round : 1000 * RIG_MS;
        bound = bound < 1000 * RIG_MS ? bound : 1000 * RIG_MS;
        ck_assert_uint_eq(coord__core_link(rig.core).id, 0);
        ck_assert_uint_le(coord__core_deadline(rig.core), rig.now + bound);
        rig.now = coord__core_deadline(rig.core);
        coord__core_tick(rig.core, rig.now);
    }
    stop();
}
END_TEST

/* Sessions that are closed as asked are no trouble: each takes a connection, none waits. */
START_TEST(closing_sessions_is_not_slowed_down)
{
    start(1);
    for (int i = 0; i < 100; i++) {
        rig_session(&rig, 10000);
        uint64_t began = rig.now;
        uint64_t id = rig_op(&rig, COORD_OP_SESSION_CLOSE, 1000);
        struct coord_result ok = {.error = 0};
        rig_answer(&rig, rig_expect(&rig, COORD_OP_SESSION_CLOSE), &ok);
        rig_reply(&rig, id, 0);
        ck_assert_uint_ne(coord__core_link(rig.core).id, 0);
        ck_assert_uint_eq(rig.now, began);
        clear_logs();
    }
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_pace");
    TCase *t = tcase_create("bound");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, connections_are_bounded_whatever_is_asked, 0, 6 * TROUBLES);
    tcase_add_loop_test(t, a_minority_goes_on_serving_local_reads, TROUBLES, TROUBLES + 2);
    tcase_add_loop_test(t, a_minority_goes_on_serving_local_reads, 4 * TROUBLES, 4 * TROUBLES + 2);
    tcase_add_loop_test(t, a_minority_serves_who_has_no_session, 0, 16);
    suite_add_tcase(s, t);
    t = tcase_create("refused");
    tcase_add_test(t, what_needs_the_session_is_refused_on_a_detached_link);
    tcase_add_test(t, a_dead_server_is_not_tried_for_each_request);
    tcase_add_test(t, who_waits_for_a_quorum_does_not_take_the_link_from_others);
    suite_add_tcase(s, t);
    t = tcase_create("not later");
    tcase_add_test(t, a_quorum_that_is_seen_is_used_at_once);
    tcase_add_loop_test(t, back_off_alone_is_not_slowed_down, 0, 3);
    tcase_add_test(t, closing_sessions_is_not_slowed_down);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
