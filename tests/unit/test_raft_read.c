/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a linearizable read never misses what was committed before it, and always gets an answer.
 * Method: ensembles in memory; answers of peers held back, repeated or altered.
 */
#include <check.h>
#include <stdlib.h>
#include "tests/lib/raft_ensemble.h"

static struct ens *led_by_1(uint32_t members, void (*tweak)(struct raft_options *))
{
    struct ens *c = ens_new(members, 5, tweak);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_settle(c);
    return c;
}

START_TEST(leader_and_followers_answer)
{
    struct ens *c = led_by_1(3, NULL);
    for (raft_id id = 1; id <= 3; id++) {
        raft_index index = 0;
        ck_assert_int_eq(ens_read(c, id, id), 0);
        ens_settle(c);
        ck_assert_int_eq(ens_read_result(c, id, id, &index), RAFT_READ_OK);
        ck_assert_uint_eq(index, ens_status(c, 1).commit);
    }
    ens_free(c);
}
END_TEST

START_TEST(single_voter_answers_at_once)
{
    struct ens *c = ens_new(1, 5, NULL);
    ck_assert_int_eq(ens_read(c, 1, 77), 0);
    ck_assert_int_eq(ens_read_result(c, 1, 77, NULL), RAFT_READ_OK);
    ens_free(c);
}
END_TEST

START_TEST(many_reads_share_one_round)
{
    struct ens *c = led_by_1(3, NULL);
    struct raft_event ev = {.type = RAFT_EV_READ, .now = c->now};
    uint64_t beats = ens_node(c, 1)->sent[RAFT_MSG_HEARTBEAT];
    for (uint64_t k = 1; k <= 50; k++) {
        ev.cookie = k;
        ck_assert_int_eq(raft_step(ens_node(c, 1)->raft, &ev, NULL), 0);
    }
    ck_assert_int_eq(ens_read(c, 1, 51), 0);
    ens_settle(c);
    for (uint64_t k = 1; k <= 51; k++) {
        ck_assert_int_eq(ens_read_result(c, 1, k, NULL), RAFT_READ_OK);
    }
    ck_assert_uint_eq(ens_node(c, 1)->sent[RAFT_MSG_HEARTBEAT], beats + 2);
    /* And those of a follower share one question. */
    uint64_t asked = ens_node(c, 2)->sent[RAFT_MSG_READ];
    for (uint64_t k = 101; k <= 150; k++) {
        ev.cookie = k;
        ck_assert_int_eq(raft_step(ens_node(c, 2)->raft, &ev, NULL), 0);
    }
    ck_assert_int_eq(ens_read(c, 2, 151), 0);
    ens_settle(c);
    ck_assert_int_eq(ens_read_result(c, 2, 101, NULL), RAFT_READ_OK);
    ck_assert_int_eq(ens_read_result(c, 2, 151, NULL), RAFT_READ_OK);
    ck_assert_uint_eq(ens_node(c, 2)->sent[RAFT_MSG_READ], asked + 1);
    ens_free(c);
}
END_TEST

/* A confirmation needs no disk of anybody. */
START_TEST(reads_do_not_wait_for_disks)
{
    struct ens *c = led_by_1(3, NULL);
    for (raft_id id = 1; id <= 3; id++) {
        ens_node(c, id)->disk_manual = 1;
    }
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ck_assert_int_eq(ens_read(c, 1, 1), 0);
    ens_settle(c);
    ck_assert_int_eq(ens_read_result(c, 1, 1, NULL), RAFT_READ_OK);
    ens_free(c);
}
END_TEST

/* Bug 34: an answer to an earlier request confirms no later read. */
START_TEST(old_answers_confirm_nothing)
{
    struct ens *c = led_by_1(3, NULL);
    ens_run(c, 100 * ENS_MS);
    ens_hold(c, 0, RAFT_MSG_HEARTBEAT_REPLY);
    ens_run(c, 60 * ENS_MS);
    ck_assert_uint_gt(c->held_count, 0);
    c->hold_type = 0;
    ens_link(c, 1, 2)->cut = 1; /* no new request arrives anywhere */
    ens_link(c, 1, 3)->cut = 1;
    ck_assert_int_eq(ens_read(c, 1, 1), 0);
    ens_release(c);
    ens_settle(c);
    ck_assert_int_eq(ens_read_result(c, 1, 1, NULL), 0);
    ens_run(c, 600 * ENS_MS);
    ck_assert_int_ne(ens_read_result(c, 1, 1, NULL), 0);
    ck_assert_int_ne(ens_read_result(c, 1, 1, NULL), RAFT_READ_OK);
    ens_free(c);
}
END_TEST

START_TEST(deposed_leader_answers_no_read)
{
    struct ens *c = led_by_1(3, NULL);
    ens_isolate(c, 1, 0);
    ens_run(c, 300 * ENS_MS); /* still believes to lead */
    ck_assert_int_eq(ens_status(c, 1).role, RAFT_LEADER);
    ck_assert_int_eq(ens_read(c, 1, 1), 0);
    ens_run(c, 2500 * (raft_ns)ENS_MS);
    ck_assert_uint_ne(ens_leader(c), 1);
    ck_assert_int_ne(ens_read_result(c, 1, 1, NULL), 0);
    ck_assert_int_ne(ens_read_result(c, 1, 1, NULL), RAFT_READ_OK);
    ck_assert_int_eq(ens_read(c, 1, 2), 0);
    ck_assert_int_eq(ens_read_result(c, 1, 2, NULL), RAFT_READ_NO_LEADER);
    ens_free(c);
}
END_TEST

/* A new leader does not know what is committed until an entry of its own is: reads are held. */
START_TEST(reads_wait_for_the_first_own_commit)
{
    struct ens *c = led_by_1(3, NULL);
    raft_index committed = ens_status(c, 1).commit;
    for (raft_id id = 1; id <= 3; id++) {
        ens_crash(c, id);
    }
    for (raft_id id = 1; id <= 3; id++) {
        ens_node(c, id)->disk_commit = 0; /* restarted members may know little */
        ens_restart(c, id);
    }
    c->now += 600 * ENS_MS;
    ens_link(c, 2, 1)->drop_type = RAFT_MSG_APPEND_REPLY;
    ens_link(c, 3, 1)->drop_type = RAFT_MSG_APPEND_REPLY;
    ens_hold(c, 0, RAFT_MSG_HEARTBEAT_REPLY);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_status(c, 1).leader_ready, 0);
    raft_index index = 0;
    ck_assert_int_eq(ens_read(c, 1, 1), 0);
    ck_assert_int_eq(ens_read(c, 2, 2), 0);
    /* A quorum confirms the leader, but says nothing of what it holds: that releases no read. */
    ens_settle(c);
    ck_assert_uint_ge(c->held_count, 4);
    for (uint32_t i = 0; i < c->held_count; i++) {
        c->held[i]->msg.index = c->held[i]->msg.hint = 0;
    }
    ens_release(c);
    ens_settle(c);
    ck_assert_int_eq(ens_read_result(c, 1, 1, NULL), 0);
    ens_link(c, 2, 1)->drop_type = 0;
    ens_link(c, 3, 1)->drop_type = 0;
    ens_run(c, 120 * ENS_MS);
    ck_assert_int_eq(ens_read_result(c, 1, 1, &index), RAFT_READ_OK);
    ck_assert_uint_gt(index, committed);
    ck_assert_int_eq(ens_read_result(c, 2, 2, &index), RAFT_READ_OK);
    ck_assert_uint_gt(index, committed);
    ens_free(c);
}
END_TEST

START_TEST(lost_question_is_answered_in_time)
{
    struct ens *c = led_by_1(3, NULL);
    ens_link(c, 2, 1)->drop_type = RAFT_MSG_READ;
    ck_assert_int_eq(ens_read(c, 2, 1), 0);
    ens_run(c, 510 * ENS_MS);
    ck_assert_int_eq(ens_read_result(c, 2, 1, NULL), RAFT_READ_RETRY);
    ens_link(c, 2, 1)->drop_type = 0;
    ens_link(c, 1, 2)->drop_type = RAFT_MSG_READ_REPLY;
    ck_assert_int_eq(ens_read(c, 2, 2), 0);
    ens_run(c, 510 * ENS_MS);
    ck_assert_int_eq(ens_read_result(c, 2, 2, NULL), RAFT_READ_RETRY);
    ens_free(c);
}
END_TEST

/* An answer to a question of an earlier life of the asker fits no question of this one. */
START_TEST(answers_to_an_earlier_life_do_not_fit)
{
    struct ens *c = led_by_1(3, NULL);
    ens_hold(c, 1, RAFT_MSG_READ_REPLY);
    ck_assert_int_eq(ens_read(c, 2, 1), 0);
    ens_settle(c);
    ck_assert_uint_eq(c->held_count, 1);
    c->hold_type = 0;
    ens_crash(c, 2);
    ens_restart(c, 2);
    ens_run(c, 100 * ENS_MS);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_settle(c);
    ens_link(c, 2, 1)->drop_type = RAFT_MSG_READ;
    ck_assert_int_eq(ens_read(c, 2, 2), 0);
    ens_release(c);
    ens_settle(c);
    ck_assert_int_ne(ens_read_result(c, 2, 2, NULL), RAFT_READ_OK);
    ens_free(c);
}
END_TEST

static void reads_few(struct raft_options *o)
{
    o->reads_max = 3;
}

START_TEST(too_many_reads_are_refused)
{
    struct ens *c = led_by_1(3, reads_few);
    ens_isolate(c, 1, 0);
    for (uint64_t k = 1; k <= 3; k++) {
        ck_assert_int_eq(ens_read(c, 1, k), 0);
    }
    ck_assert_int_eq(ens_read(c, 1, 4), RAFT_EBUSY);
    ens_heal_all(c, 0);
    ens_run(c, 100 * ENS_MS);
    ck_assert_int_eq(ens_read_result(c, 1, 3, NULL), RAFT_READ_OK);
    ck_assert_int_eq(ens_read(c, 1, 5), 0);
    ens_settle(c);
    ck_assert_int_eq(ens_read_result(c, 1, 5, NULL), RAFT_READ_OK);
    ens_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_read");
    TCase *t = tcase_create("reads");
    tcase_add_test(t, leader_and_followers_answer);
    tcase_add_test(t, single_voter_answers_at_once);
    tcase_add_test(t, many_reads_share_one_round);
    tcase_add_test(t, reads_do_not_wait_for_disks);
    tcase_add_test(t, old_answers_confirm_nothing);
    tcase_add_test(t, deposed_leader_answers_no_read);
    tcase_add_test(t, reads_wait_for_the_first_own_commit);
    tcase_add_test(t, lost_question_is_answered_in_time);
    tcase_add_test(t, answers_to_an_earlier_life_do_not_fit);
    tcase_add_test(t, too_many_reads_are_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
