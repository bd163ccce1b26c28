/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a member whose disk lost what it had promised neither votes nor stands until it cannot break a
 * promise any more, and then it is a full member again by itself (raft/repair.c; faults D8, D12).
 * Method: groups of the ensemble whose disks are cut behind their backs. Where the order of messages is
 * what matters: test_raft_repair_alone.c.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/raft_ensemble.h"

#define MS ENS_MS

/* ------------------------------------------------------------------------------------------- */
/* Groups                                                                                        */

static int repairing(struct ens *c, raft_id id)
{
    return ens_status(c, id).repairing;
}

/* The host has seen the end of the repair and told the log. */
static void told(struct ens *c, raft_id id)
{
    ck_assert(!repairing(c, id));
    ens_node(c, id)->damage = 0;
}

static uint64_t asked_for_votes(struct ens *c, raft_id id)
{
    const struct ens_node *n = ens_node(c, id);
    return n->sent[RAFT_MSG_VOTE] + n->sent[RAFT_MSG_PREVOTE];
}

/* Three members, 1 leads, ten entries are committed everywhere; 3 is down and has lost those after keep. */
static struct ens *hole_at_three(raft_index keep)
{
    struct ens *c = ens_new(3, 7, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 10), 0);
    ens_run(c, 200 * MS);
    ens_assert_equal(c);
    ens_crash(c, 3);
    ens_rot(c, 3, keep);
    return c;
}

START_TEST(neither_votes_nor_stands)
{
    struct ens *c = hole_at_three(5);
    ens_crash(c, 1);
    ens_restart(c, 3);
    uint64_t before = asked_for_votes(c, 3);
    raft_term term = ens_status(c, 2).term;
    ens_run(c, 10000 * MS);
    ck_assert_uint_eq(ens_status(c, 2).term, term); /* no pre-vote either */
    ck_assert_uint_eq(ens_leader(c), 0);            /* 2 alone is no majority */
    (void)ens_step(c, 3, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    ens_settle(c);
    struct raft_status s = ens_status(c, 3);
    struct raft_msg now = {
        .type = RAFT_MSG_TIMEOUT_NOW, .from = 2, .to = 3, .term = s.term, .index = s.last};
    ens_inject(c, &now, 0);
    ens_run(c, 3000 * MS);
    ck_assert_uint_eq(asked_for_votes(c, 3), before);
    ck_assert(repairing(c, 3));
    ck_assert_uint_eq(ens_status(c, 3).vote == 2, 0);

    ens_restart(c, 1); /* somebody who has it all may lead, and refills it */
    (void)ens_elect(c);
    ens_run(c, 1000 * MS);
    ens_assert_equal(c);
    told(c, 3);
    raft_id leader = ens_leader(c);
    ens_crash(c, leader); /* now its vote is needed, and counts */
    (void)ens_elect(c);
    ens_free(c);
}
END_TEST

START_TEST(is_refilled_and_whole_by_itself)
{
    struct ens *c = hole_at_three((raft_index)_i);
    ens_restart(c, 3);
    ck_assert(repairing(c, 3));
    ens_run(c, 1500 * MS);
    ens_assert_equal(c);
    told(c, 3);
    ens_free(c);
}
END_TEST

/* The entries it had acknowledged last are committed by what the leader remembers of that. While the
 * member does not have them again, nobody may be elected without them. */
START_TEST(what_others_count_on_is_not_lost)
{
    struct ens *c = ens_new(5, 3, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 9), 0);
    ens_run(c, 200 * MS);
    for (raft_id id = 2; id <= 5; id++) {
        if (id != 3) {
            ens_cut(c, 1, id, 0);
        }
    }
    ck_assert_int_eq(ens_propose(c, 1, 1), 0); /* on 1 and 3 */
    ens_settle(c);
    raft_index last = ens_status(c, 1).last;
    ck_assert_uint_eq(ens_node(c, 3)->disk.last, last);
    ens_crash(c, 3);
    ens_rot(c, 3, last - 1);
    ens_link(c, 1, 3)->drop_type = RAFT_MSG_APPEND;
    ens_restart(c, 3);
    ens_heal(c, 1, 2, 0);
    ens_run(c, 300 * MS); /* 2 takes it: with what 3 had said that is a quorum */
    ck_assert_uint_eq(ens_status(c, 1).commit, last);
    ens_crash(c, 1);
    ens_crash(c, 2);
    ens_heal_all(c, 0);
    ens_run(c, 10000 * MS);
    ck_assert_uint_eq(ens_leader(c), 0);
    ck_assert(repairing(c, 3));
    ens_restart(c, 2);
    (void)ens_elect(c);
    ens_run(c, 2000 * MS);
    told(c, 3);
    ck_assert_uint_ge(ens_status(c, 3).commit, last);
    ens_free(c);
}
END_TEST

START_TEST(crashes_while_it_is_refilled)
{
    struct ens *c = hole_at_three(2);
    ens_node(c, 3)->disk_manual = 1;
    for (int life = 0; life < 5; life++) {
        ens_restart(c, 3);
        ens_run(c, 700 * MS);
        ck_assert(repairing(c, 3)); /* nothing of it is on disk yet */
        ens_crash(c, 3);
    }
    ens_node(c, 3)->disk_manual = 0;
    ens_restart(c, 3);
    ens_run(c, 1500 * MS);
    told(c, 3);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(leader_changes_while_it_is_refilled)
{
    struct ens *c = ens_new(5, 11, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 20), 0);
    ens_run(c, 200 * MS);
    ens_crash(c, 3);
    ens_rot(c, 3, 4);
    ens_node(c, 3)->disk_manual = 1;
    ens_restart(c, 3);
    ens_run(c, 700 * MS);
    ens_crash(c, 1);
    raft_id leader = ens_elect(c);
    ck_assert_uint_ne(leader, 3);
    ens_node(c, 3)->disk_manual = 0;
    ens_disk(c, 3, 100);
    ens_run(c, 2000 * MS);
    told(c, 3);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(is_refilled_by_a_snapshot)
{
    struct ens *c = hole_at_three(5);
    ck_assert_int_eq(ens_propose(c, 1, 20), 0);
    ens_run(c, 200 * MS);
    ens_snapshot(c, 1, 5000, 0);
    ens_settle(c);
    ck_assert_uint_gt(ens_status(c, 1).first, 6);
    ens_restart(c, 3);
    ens_run(c, 3000 * MS);
    told(c, 3);
    ck_assert_uint_gt(ens_node(c, 3)->disk.base, 5);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* A leader hands over to nobody who would not stand. */
START_TEST(no_leadership_is_handed_to_it)
{
    struct ens *c = ens_new(3, 7, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 10), 0);
    ens_run(c, 200 * MS);
    ens_crash(c, 2);
    ens_rot(c, 2, 5);
    ens_link(c, 1, 2)->drop_type = RAFT_MSG_READ_REPLY;
    ens_restart(c, 2);
    ens_run(c, 1000 * MS);
    ck_assert(repairing(c, 2)); /* though it holds as much as 3, and comes before it */
    ck_assert_int_eq(ens_step(c, 1, (struct raft_event){.type = RAFT_EV_TRANSFER}), 0);
    ens_settle(c);
    ens_run(c, 300 * MS);
    ck_assert_uint_eq(ens_leader(c), 3);
    ens_free(c);
}
END_TEST

/* It voted for 2 in the newest term and has forgotten that. The other one that stands in that term must
 * not get its vote, not even while 2 cannot be asked. */
START_TEST(a_forgotten_vote_is_not_given_again)
{
    struct ens *c = hole_at_three(5);
    struct ens_node *n = ens_node(c, 3);
    raft_term term = n->disk_term;
    n->damage |= RAFT_DAMAGE_VOTE;
    n->disk_term = 0;
    n->disk_vote = 0;
    ens_cut(c, 2, 3, 0);
    ens_restart(c, 3);
    ens_run(c, 2000 * MS);
    ck_assert(repairing(c, 3));
    ck_assert_uint_eq(ens_status(c, 3).term, term); /* 1 has told it that much */
    ck_assert_uint_eq(n->disk.last, 5);             /* but it answers no leader yet */
    ck_assert_uint_eq(ens_status(c, 3).leader, 0);

    struct raft_msg vote = {.type = RAFT_MSG_VOTE,
                            .flags = RAFT_FLAG_TRANSFER,
                            .from = 2,
                            .to = 3,
                            .term = term,
                            .index = 1000,
                            .log_term = term};
    ens_inject(c, &vote, 0);
    ens_settle(c);
    ck_assert_uint_eq(ens_status(c, 3).vote, 0);

    ens_heal(c, 2, 3, 0); /* answers late */
    ens_run(c, 300 * MS);
    ck_assert_uint_eq(n->disk_vote, 3); /* its vote of that term, given to nobody else */
    ens_run(c, 1500 * MS);
    told(c, 3);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(two_that_doubt_do_not_believe_each_other)
{
    struct ens *c = hole_at_three(5);
    ens_crash(c, 2);
    ens_rot(c, 2, 5);
    for (raft_id id = 2; id <= 3; id++) {
        ens_node(c, id)->damage |= RAFT_DAMAGE_VOTE;
        ens_node(c, id)->disk_term = 0;
        ens_node(c, id)->disk_vote = 0;
        ens_restart(c, id);
    }
    ens_run(c, 5000 * MS);
    ck_assert_uint_eq(ens_status(c, 2).leader, 0);
    ck_assert_uint_eq(ens_status(c, 3).leader, 0);
    ck_assert(repairing(c, 2) && repairing(c, 3));
    ens_free(c);
}
END_TEST

START_TEST(one_that_is_alone_stays_out)
{
    struct ens *c = ens_new(1, 5, NULL);
    (void)ens_elect(c);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_settle(c);
    ens_crash(c, 1);
    ens_rot(c, 1, 3);
    ens_node(c, 1)->damage |= _i ? RAFT_DAMAGE_VOTE : 0u;
    ens_restart(c, 1);
    ens_run(c, 5000 * MS);
    (void)ens_step(c, 1, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    ck_assert_uint_eq(ens_leader(c), 0);
    ck_assert(repairing(c, 1));
    ens_free(c);
}
END_TEST

/* A cut tail: careful for two election waits, then as ever. */
START_TEST(a_cut_tail_gives_way)
{
    struct ens *c = ens_new(3, 9, NULL);
    (void)ens_elect(c);
    ck_assert_int_eq(ens_propose(c, ens_leader(c), 4), 0);
    ens_run(c, 200 * MS);
    raft_ns wait = 2 * ens_node(c, 1)->options.election_max;
    for (raft_id id = 1; id <= 3; id++) { /* all disks lied about the same entry */
        ens_crash(c, id);
        ens_node(c, id)->damage = RAFT_DAMAGE_TAIL;
        ens_node(c, id)->damage_index = ens_node(c, id)->disk.last + 1;
        ens_node(c, id)->damage_term = ens_node(c, id)->disk_term;
    }
    for (raft_id id = 1; id <= 3; id++) {
        ens_restart(c, id);
        ck_assert(!repairing(c, id));
    }
    ens_run(c, wait - MS);
    ck_assert_uint_eq(ens_leader(c), 0);
    ens_run(c, 3 * wait);
    ck_assert_uint_ne(ens_leader(c), 0);
    ens_free(c);
}
END_TEST

START_TEST(a_cut_tail_does_not_delay_one_that_is_alone)
{
    struct ens *c = ens_new(1, 5, NULL);
    (void)ens_elect(c);
    ens_crash(c, 1);
    ens_node(c, 1)->damage = RAFT_DAMAGE_TAIL;
    ens_node(c, 1)->damage_index = 100;
    ens_node(c, 1)->damage_term = 9;
    ens_restart(c, 1);
    ck_assert_uint_eq(ens_leader(c), 1);
    ens_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft repair");
    TCase *groups = tcase_create("groups");
    tcase_set_timeout(groups, 60);
    tcase_add_test(groups, neither_votes_nor_stands);
    tcase_add_loop_test(groups, is_refilled_and_whole_by_itself, 0, 10);
    tcase_add_test(groups, what_others_count_on_is_not_lost);
    tcase_add_test(groups, crashes_while_it_is_refilled);
    tcase_add_test(groups, leader_changes_while_it_is_refilled);
    tcase_add_test(groups, is_refilled_by_a_snapshot);
    tcase_add_test(groups, no_leadership_is_handed_to_it);
    tcase_add_test(groups, a_forgotten_vote_is_not_given_again);
    tcase_add_test(groups, two_that_doubt_do_not_believe_each_other);
    tcase_add_loop_test(groups, one_that_is_alone_stays_out, 0, 2);
    tcase_add_test(groups, a_cut_tail_gives_way);
    tcase_add_test(groups, a_cut_tail_does_not_delay_one_that_is_alone);
    suite_add_tcase(s, groups);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
