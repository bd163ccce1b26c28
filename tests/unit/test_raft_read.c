/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a linearizable read never misses what was committed before it, and always gets an answer.
 * Method: ensembles in memory; answers of peers held back, repeated or altered.
 */
#include <check.h>
#include <stdlib.h>
#include "tests/lib/raft_cluster.h"

static struct cluster *led_by_1(uint32_t members, void (*tweak)(struct raft_options *))
{
    struct cluster *c = cluster_new(members, 5, tweak);
    cluster_make_leader(c, 1);
    ck_assert_int_eq(cluster_propose(c, 1, 5), 0);
    cluster_settle(c);
    return c;
}

START_TEST(leader_and_followers_answer)
{
    struct cluster *c = led_by_1(3, NULL);
    for (raft_id id = 1; id <= 3; id++) {
        raft_index index = 0;
        ck_assert_int_eq(cluster_read(c, id, id), 0);
        cluster_settle(c);
        ck_assert_int_eq(cluster_read_result(c, id, id, &index), RAFT_READ_OK);
        ck_assert_uint_eq(index, cluster_status(c, 1).commit);
    }
    cluster_free(c);
}
END_TEST

START_TEST(single_voter_answers_at_once)
{
    struct cluster *c = cluster_new(1, 5, NULL);
    ck_assert_int_eq(cluster_read(c, 1, 77), 0);
    ck_assert_int_eq(cluster_read_result(c, 1, 77, NULL), RAFT_READ_OK);
    cluster_free(c);
}
END_TEST

START_TEST(many_reads_share_one_round)
{
    struct cluster *c = led_by_1(3, NULL);
    struct raft_event ev = {.type = RAFT_EV_READ, .now = c->now};
    uint64_t beats = cluster_node(c, 1)->sent[RAFT_MSG_HEARTBEAT];
    for (uint64_t k = 1; k <= 50; k++) {
        ev.cookie = k;
        ck_assert_int_eq(raft_step(cluster_node(c, 1)->raft, &ev, NULL), 0);
    }
    ck_assert_int_eq(cluster_read(c, 1, 51), 0);
    cluster_settle(c);
    for (uint64_t k = 1; k <= 51; k++) {
        ck_assert_int_eq(cluster_read_result(c, 1, k, NULL), RAFT_READ_OK);
    }
    ck_assert_uint_eq(cluster_node(c, 1)->sent[RAFT_MSG_HEARTBEAT], beats + 2);
    /* And those of a follower share one question. */
    uint64_t asked = cluster_node(c, 2)->sent[RAFT_MSG_READ];
    for (uint64_t k = 101; k <= 150; k++) {
        ev.cookie = k;
        ck_assert_int_eq(raft_step(cluster_node(c, 2)->raft, &ev, NULL), 0);
    }
    ck_assert_int_eq(cluster_read(c, 2, 151), 0);
    cluster_settle(c);
    ck_assert_int_eq(cluster_read_result(c, 2, 101, NULL), RAFT_READ_OK);
    ck_assert_int_eq(cluster_read_result(c, 2, 151, NULL), RAFT_READ_OK);
    ck_assert_uint_eq(cluster_node(c, 2)->sent[RAFT_MSG_READ], asked + 1);
    cluster_free(c);
}
END_TEST

/* A confirmation needs no disk of anybody. */
START_TEST(reads_do_not_wait_for_disks)
{
    struct cluster *c = led_by_1(3, NULL);
    for (raft_id id = 1; id <= 3; id++) {
        cluster_node(c, id)->disk_manual = 1;
    }
    ck_assert_int_eq(cluster_propose(c, 1, 5), 0);
    ck_assert_int_eq(cluster_read(c, 1, 1), 0);
    cluster_settle(c);
    ck_assert_int_eq(cluster_read_result(c, 1, 1, NULL), RAFT_READ_OK);
    cluster_free(c);
}
END_TEST

/* Bug 34: an answer to an earlier request confirms no later read. */
START_TEST(old_answers_confirm_nothing)
{
    struct cluster *c = led_by_1(3, NULL);
    cluster_run(c, 100 * CLUSTER_MS);
    cluster_hold(c, 0, RAFT_MSG_HEARTBEAT_REPLY);
    cluster_run(c, 60 * CLUSTER_MS);
    ck_assert_uint_gt(c->held_count, 0);
    c->hold_type = 0;
    cluster_link(c, 1, 2)->cut = 1; /* no new request arrives anywhere */
    cluster_link(c, 1, 3)->cut = 1;
    ck_assert_int_eq(cluster_read(c, 1, 1), 0);
    cluster_release(c);
    cluster_settle(c);
    ck_assert_int_eq(cluster_read_result(c, 1, 1, NULL), 0);
    cluster_run(c, 600 * CLUSTER_MS);
    ck_assert_int_ne(cluster_read_result(c, 1, 1, NULL), 0);
    ck_assert_int_ne(cluster_read_result(c, 1, 1, NULL), RAFT_READ_OK);
    cluster_free(c);
}
END_TEST

START_TEST(deposed_leader_answers_no_read)
{
    struct cluster *c = led_by_1(3, NULL);
    cluster_isolate(c, 1, 0);
    cluster_run(c, 300 * CLUSTER_MS); /* still believes to lead */
    ck_assert_int_eq(cluster_status(c, 1).role, RAFT_LEADER);
    ck_assert_int_eq(cluster_read(c, 1, 1), 0);
    cluster_run(c, 2500 * (raft_ns)CLUSTER_MS);
    ck_assert_uint_ne(cluster_leader(c), 1);
    ck_assert_int_ne(cluster_read_result(c, 1, 1, NULL), 0);
    ck_assert_int_ne(cluster_read_result(c, 1, 1, NULL), RAFT_READ_OK);
    ck_assert_int_eq(cluster_read(c, 1, 2), 0);
    ck_assert_int_eq(cluster_read_result(c, 1, 2, NULL), RAFT_READ_NO_LEADER);
    cluster_free(c);
}
END_TEST

/* A new leader does not know what is committed until an entry of its own is: reads are held. */
START_TEST(reads_wait_for_the_first_own_commit)
{
    struct cluster *c = led_by_1(3, NULL);
    raft_index committed = cluster_status(c, 1).commit;
    for (raft_id id = 1; id <= 3; id++) {
        cluster_crash(c, id);
    }
    for (raft_id id = 1; id <= 3; id++) {
        cluster_node(c, id)->disk_commit = 0; /* restarted members may know little */
        cluster_restart(c, id);
    }
    c->now += 600 * CLUSTER_MS;
    cluster_link(c, 2, 1)->drop_type = RAFT_MSG_APPEND_REPLY;
    cluster_link(c, 3, 1)->drop_type = RAFT_MSG_APPEND_REPLY;
    cluster_hold(c, 0, RAFT_MSG_HEARTBEAT_REPLY);
    cluster_make_leader(c, 1);
    ck_assert_int_eq(cluster_status(c, 1).leader_ready, 0);
    raft_index index = 0;
    ck_assert_int_eq(cluster_read(c, 1, 1), 0);
    ck_assert_int_eq(cluster_read(c, 2, 2), 0);
    /* A quorum confirms the leader, but says nothing of what it holds: that releases no read. */
    cluster_settle(c);
    ck_assert_uint_ge(c->held_count, 4);
    for (uint32_t i = 0; i < c->held_count; i++) {
        c->held[i]->msg.index = c->held[i]->msg.hint = 0;
    }
    cluster_release(c);
    cluster_settle(c);
    ck_assert_int_eq(cluster_read_result(c, 1, 1, NULL), 0);
    cluster_link(c, 2, 1)->drop_type = 0;
    cluster_link(c, 3, 1)->drop_type = 0;
    cluster_run(c, 120 * CLUSTER_MS);
    ck_assert_int_eq(cluster_read_result(c, 1, 1, &index), RAFT_READ_OK);
    ck_assert_uint_gt(index, committed);
    ck_assert_int_eq(cluster_read_result(c, 2, 2, &index), RAFT_READ_OK);
    ck_assert_uint_gt(index, committed);
    cluster_free(c);
}
END_TEST

START_TEST(lost_question_is_answered_in_time)
{
    struct cluster *c = led_by_1(3, NULL);
    cluster_link(c, 2, 1)->drop_type = RAFT_MSG_READ;
    ck_assert_int_eq(cluster_read(c, 2, 1), 0);
    cluster_run(c, 510 * CLUSTER_MS);
    ck_assert_int_eq(cluster_read_result(c, 2, 1, NULL), RAFT_READ_RETRY);
    cluster_link(c, 2, 1)->drop_type = 0;
    cluster_link(c, 1, 2)->drop_type = RAFT_MSG_READ_REPLY;
    ck_assert_int_eq(cluster_read(c, 2, 2), 0);
    cluster_run(c, 510 * CLUSTER_MS);
    ck_assert_int_eq(cluster_read_result(c, 2, 2, NULL), RAFT_READ_RETRY);
    cluster_free(c);
}
END_TEST

/* An answer to a question of an earlier life of the asker fits no question of this one. */
START_TEST(answers_to_an_earlier_life_do_not_fit)
{
    struct cluster *c = led_by_1(3, NULL);
    cluster_hold(c, 1, RAFT_MSG_READ_REPLY);
    ck_assert_int_eq(cluster_read(c, 2, 1), 0);
    cluster_settle(c);
    ck_assert_uint_eq(c->held_count, 1);
    c->hold_type = 0;
    cluster_crash(c, 2);
    cluster_restart(c, 2);
    cluster_run(c, 100 * CLUSTER_MS);
    ck_assert_int_eq(cluster_propose(c, 1, 5), 0);
    cluster_settle(c);
    cluster_link(c, 2, 1)->drop_type = RAFT_MSG_READ;
    ck_assert_int_eq(cluster_read(c, 2, 2), 0);
    cluster_release(c);
    cluster_settle(c);
    ck_assert_int_ne(cluster_read_result(c, 2, 2, NULL), RAFT_READ_OK);
    cluster_free(c);
}
END_TEST

static void reads_few(struct raft_options *o)
{
    o->reads_max = 3;
}

START_TEST(too_many_reads_are_refused)
{
    struct cluster *c = led_by_1(3, reads_few);
    cluster_isolate(c, 1, 0);
    for (uint64_t k = 1; k <= 3; k++) {
        ck_assert_int_eq(cluster_read(c, 1, k), 0);
    }
    ck_assert_int_eq(cluster_read(c, 1, 4), RAFT_EBUSY);
    cluster_heal_all(c, 0);
    cluster_run(c, 100 * CLUSTER_MS);
    ck_assert_int_eq(cluster_read_result(c, 1, 3, NULL), RAFT_READ_OK);
    ck_assert_int_eq(cluster_read(c, 1, 5), 0);
    cluster_settle(c);
    ck_assert_int_eq(cluster_read_result(c, 1, 5, NULL), RAFT_READ_OK);
    cluster_free(c);
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
