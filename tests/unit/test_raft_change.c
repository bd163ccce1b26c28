/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a group goes from one set of members to another, step by step, as it was asked to.
 * Method: ensembles of cores in memory (tests/lib/raft_ensemble.h), which compare logs, votes and disks
 * after every event; members join with an empty configuration. What fails on the way is the matter of
 * test_raft_change_faults.c.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/raft_ensemble.h"

#define MS    ((raft_ns)ENS_MS)
#define ID(n) ((uint32_t)1 << ((n)-1))

/* A group of `voters` members led by 1, and `more` that wait to be let in. */
static struct ens *group(uint32_t voters, uint32_t more, void (*tweak)(struct raft_options *))
{
    struct ens *c = ens_new(voters, 1, tweak);
    for (uint32_t i = 0; i < more; i++) {
        (void)ens_join(c, tweak);
    }
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 20), 0);
    ens_run(c, 100 * MS);
    return c;
}

/* --- adding and removing -------------------------------------------------------------------- */

START_TEST(a_voter_is_added_and_counts)
{
    struct ens *c = group(1, 1, NULL);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2), 0), 0);
    ens_await_config(c, ID(1) | ID(2), 0);
    ens_run(c, 500 * MS);
    ens_assert_equal(c);
    ck_assert_uint_eq(ens_roles(c, 2, 1), RAFT_VOTER);
    ck_assert_int_eq(ens_status(c, 2).joint, 0);
    /* Two voters: nothing is committed without the new one. */
    ens_cut(c, 1, 2, 0);
    raft_index before = ens_status(c, 1).commit;
    ck_assert_int_eq(ens_propose(c, 1, 1), 0);
    ens_settle(c);
    ck_assert_uint_eq(ens_status(c, 1).commit, before);
    ens_heal(c, 1, 2, 0);
    (void)ens_elect(c);
    ens_run(c, 1000 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* Bug 38: nobody sends it anything any more; it asks, is told so, and rests. */
START_TEST(a_removed_follower_disturbs_nobody_and_learns_of_it)
{
    struct ens *c = group(3, 0, NULL);
    raft_term term = ens_status(c, 1).term;
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2), 0), 0);
    ens_await_config(c, ID(1) | ID(2), 0);
    for (int i = 0; i < 100; i++) {
        ens_run(c, 200 * MS);
        ck_assert_uint_eq(ens_leader(c), 1);
    }
    ck_assert_uint_eq(ens_status(c, 1).term, term);
    ck_assert_uint_eq(ens_status(c, 3).term, term);
    ck_assert_int_eq(ens_status(c, 3).removed, 1);
    ck_assert_int_eq(ens_status(c, 2).removed, 0);
    ck_assert_uint_le(ens_node(c, 3)->sent[RAFT_MSG_PREVOTE], 4);
    ck_assert_uint_eq(ens_node(c, 3)->sent[RAFT_MSG_VOTE], 0);
    /* After a restart it asks once more, no longer. */
    ens_crash(c, 3);
    ens_restart(c, 3);
    ens_run(c, 20000 * MS);
    ck_assert_int_eq(ens_status(c, 3).removed, 1);
    ck_assert_uint_le(ens_node(c, 3)->sent[RAFT_MSG_PREVOTE], 8);
    ck_assert_uint_eq(ens_status(c, 1).term, term);
    /* Let in again it is a member like others. */
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3), 0), 0);
    ens_await_config(c, ID(1) | ID(2) | ID(3), 0);
    ens_run(c, 500 * MS);
    ck_assert_int_eq(ens_status(c, 3).removed, 0);
    ens_crash(c, 1);
    ck_assert_uint_ne(ens_elect(c), 1);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(several_are_replaced_at_once)
{
    struct ens *c = group(3, 2, NULL);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(4) | ID(5), 0), 0);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(ens_propose(c, 1, 3), 0);
        ens_run(c, 5 * MS);
    }
    ens_await_config(c, ID(1) | ID(4) | ID(5), 0);
    ens_crash(c, 2);
    ens_crash(c, 3);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_run(c, 500 * MS);
    ens_assert_equal(c);
    ck_assert_uint_eq(ens_status(c, 4).commit, ens_status(c, 1).last);
    ens_free(c);
}
END_TEST

/* All members go at once, the leader among them. */
START_TEST(a_group_moves_to_other_members)
{
    struct ens *c = group(3, 3, NULL);
    ck_assert_int_eq(ens_change(c, 1, ID(4) | ID(5) | ID(6), 0), 0);
    ens_await_config(c, ID(4) | ID(5) | ID(6), 0);
    for (raft_id id = 1; id <= 3; id++) {
        ens_crash(c, id);
    }
    raft_id leader = ens_elect(c);
    ck_assert_uint_ge(leader, 4);
    ck_assert_int_eq(ens_propose(c, leader, 5), 0);
    ens_run(c, 500 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(learners_follow_and_never_count)
{
    struct ens *c = group(3, 2, NULL);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3), ID(4) | ID(5)), 0);
    /* Nobody's vote is at stake: one entry does. */
    ck_assert_uint_eq(ens_status(c, 1).config, ens_status(c, 1).last);
    ens_await_config(c, ID(1) | ID(2) | ID(3), ID(4) | ID(5));
    ck_assert_int_eq(ens_propose(c, 1, 10), 0);
    ens_run(c, 200 * MS);
    ens_assert_equal(c);
    ck_assert_uint_eq(ens_node(c, 4)->applied, c->committed);
    ens_crash(c, 2);
    ens_crash(c, 3);
    raft_index before = ens_status(c, 1).commit;
    ck_assert_int_eq(ens_propose(c, 1, 1), 0);
    ens_run(c, 5000 * MS);
    ck_assert_uint_eq(ens_status(c, 1).commit, before);
    ck_assert_int_ne(ens_status(c, 1).role, RAFT_LEADER);
    ck_assert_uint_eq(ens_node(c, 4)->sent[RAFT_MSG_PREVOTE], 0);
    ens_restart(c, 2);
    (void)ens_elect(c);
    ck_assert_int_eq(ens_change(c, ens_leader(c), ID(1) | ID(2) | ID(3), 0), 0);
    ens_await_config(c, ID(1) | ID(2) | ID(3), 0);
    ens_free(c);
}
END_TEST

/* Bug 38 again: who may vote is for the candidate to know, not for the voter. */
START_TEST(a_learner_votes_when_asked)
{
    struct ens *c = group(3, 1, NULL);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3), ID(4)), 0);
    ens_await_config(c, ID(1) | ID(2) | ID(3), ID(4));
    ens_run(c, 200 * MS);
    ens_crash(c, 1);
    ens_crash(c, 2);
    ens_crash(c, 3);
    ens_run(c, 2000 * MS);
    struct raft_status s = ens_status(c, 4);
    struct raft_msg m = {.type = RAFT_MSG_VOTE,
                         .from = 2,
                         .to = 4,
                         .term = s.term + 1,
                         .seq = 7,
                         .index = s.last,
                         .log_term = raft_entry_at(ens_node(c, 4)->raft, s.last)->term};
    ens_inject(c, &m, 0);
    ck_assert_uint_eq(ens_status(c, 4).vote, 2);
    ens_free(c);
}
END_TEST

/* --- the leader itself ---------------------------------------------------------------------- */

START_TEST(a_leader_removes_itself)
{
    struct ens *c = group(3, 0, NULL);
    raft_term term = ens_status(c, 1).term;
    ck_assert_int_eq(ens_change(c, 1, ID(2) | ID(3), 0), 0);
    ens_settle(c);
    ens_run(c, 100 * MS);
    raft_id leader = ens_leader(c);
    ck_assert_uint_ne(leader, 1); /* handed over, no timeout needed */
    ck_assert_uint_eq(ens_status(c, leader).term, term + 1);
    ens_await_config(c, ID(2) | ID(3), 0);
    ens_run(c, 3000 * MS);
    ck_assert_int_eq(ens_status(c, 1).role, RAFT_FOLLOWER);
    ck_assert_int_eq(ens_status(c, 1).removed, 1);
    ck_assert_int_eq(ens_propose(c, 1, 1), RAFT_ENOTLEADER);
    ck_assert_uint_eq(ens_status(c, leader).term, term + 1);
    ck_assert_int_eq(ens_propose(c, leader, 1), 0);
    ens_run(c, 100 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* etcd #10563. */
START_TEST(the_leader_of_two_removes_itself)
{
    struct ens *c = group(2, 0, NULL);
    ck_assert_int_eq(ens_change(c, 1, ID(2), 0), 0);
    ens_run(c, 200 * MS);
    ck_assert_uint_eq(ens_leader(c), 2);
    ens_await_config(c, ID(2), 0);
    ens_crash(c, 1);
    ck_assert_int_eq(ens_propose(c, 2, 3), 0);
    ens_run(c, 10 * MS);
    ens_assert_equal(c);
    /* The last one may not go. */
    ck_assert_int_eq(ens_change(c, 2, 0, ID(2)), RAFT_EINVAL);
    ens_free(c);
}
END_TEST

/* TIMEOUT_NOW is lost for good: it steps down by itself, and the others elect. */
START_TEST(a_leader_that_cannot_hand_over_steps_down)
{
    struct ens *c = group(3, 0, NULL);
    for (raft_id id = 2; id <= 3; id++) {
        ens_link(c, 1, id)->drop_type = RAFT_MSG_TIMEOUT_NOW;
    }
    ck_assert_int_eq(ens_change(c, 1, ID(2) | ID(3), 0), 0);
    ens_settle(c);
    ck_assert_int_eq(ens_propose(c, 1, 1), RAFT_ETRANSFER);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2), 0), RAFT_ETRANSFER);
    ck_assert_uint_ne(ens_status(c, 1).transfer_to, 0);
    ens_run(c, 1100 * MS);
    ck_assert_int_eq(ens_status(c, 1).role, RAFT_FOLLOWER);
    raft_id leader = ens_elect(c);
    ck_assert_uint_ne(leader, 1);
    ens_await_config(c, ID(2) | ID(3), 0);
    ens_run(c, 200 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(a_demoted_leader_hands_over_and_learns)
{
    struct ens *c = group(3, 0, NULL);
    ck_assert_int_eq(ens_change(c, 1, ID(2) | ID(3), ID(1)), 0);
    ens_run(c, 300 * MS);
    raft_id leader = ens_elect(c);
    ck_assert_uint_ne(leader, 1);
    ens_await_config(c, ID(2) | ID(3), ID(1));
    ck_assert_int_eq(ens_propose(c, leader, 3), 0);
    ens_run(c, 300 * MS);
    ens_assert_equal(c);
    ck_assert_uint_eq(ens_node(c, 1)->applied, c->committed);
    ck_assert_int_eq(ens_status(c, 1).removed, 0);
    /* And back. */
    ck_assert_int_eq(ens_change(c, leader, ID(1) | ID(2) | ID(3), 0), 0);
    ens_await_config(c, ID(1) | ID(2) | ID(3), 0);
    ens_free(c);
}
END_TEST

/* openraft #2091: the removed one alone holds the entry that removes it; it may stand, and must be able to. */
START_TEST(a_member_left_out_by_what_only_it_holds_may_lead)
{
    struct ens *c = group(2, 0, NULL);
    ens_slow(c, 10 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(2), 0), 0);
    ens_run_until_joint(c, 1);
    for (int i = 0; i < 100 && ens_status(c, 1).joint; i++) {
        ens_run(c, MS); /* until the outcome is appended at 1, and under way to 2 */
    }
    ck_assert_uint_eq(ens_roles(c, 1, 1), 0);
    ck_assert_uint_gt(ens_status(c, 1).config, ens_status(c, 1).commit);
    ens_cut(c, 1, 2, 0);
    ens_run(c, 3000 * MS);
    ck_assert_uint_eq(ens_leader(c), 0); /* 2 needs the vote of 1, by the joint one */
    ens_heal(c, 1, 2, 0);
    (void)ens_elect(c);
    ens_await_config(c, ID(2), 0);
    ens_run(c, 500 * MS);
    ck_assert_uint_eq(ens_leader(c), 2);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* --- catching up ---------------------------------------------------------------------------- */

START_TEST(a_learner_catches_up_by_snapshot_and_is_promoted)
{
    struct ens *c = group(3, 1, NULL);
    ck_assert_int_eq(ens_propose(c, 1, 300), 0);
    ens_settle(c);
    for (raft_id id = 1; id <= 3; id++) {
        ens_snapshot(c, id, 1000000, 0);
    }
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3) | ID(4), 0), 0);
    ens_await_config(c, ID(1) | ID(2) | ID(3) | ID(4), 0);
    ck_assert_uint_gt(ens_status(c, 4).first, 300);
    ens_run(c, 200 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(promotion_waits_for_a_slow_learner)
{
    struct ens *c = group(3, 1, NULL);
    /* Each answer takes longer than a round may. */
    ens_link(c, 4, 1)->delay = 650 * MS;
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3) | ID(4), 0), 0);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(ens_propose(c, 1, 1), 0);
        ens_run(c, 100 * MS);
        ck_assert_uint_eq(ens_roles(c, 1, 4), RAFT_LEARNER | RAFT_PROMOTE);
        ck_assert_int_eq(ens_status(c, 1).joint, 0);
    }
    ck_assert_uint_eq(ens_leader(c), 1);
    ck_assert_uint_eq(ens_status(c, 1).commit, ens_status(c, 1).last); /* it holds up nobody */
    ens_link(c, 4, 1)->delay = 0;
    ens_await_config(c, ID(1) | ID(2) | ID(3) | ID(4), 0);
    ens_run(c, 500 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(promotion_waits_for_all_and_for_disks)
{
    struct ens *c = group(1, 2, NULL);
    ens_node(c, 3)->disk_manual = 1;
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3), 0), 0);
    ens_run(c, 3000 * MS);
    ck_assert_uint_eq(ens_roles(c, 1, 2), RAFT_LEARNER | RAFT_PROMOTE);
    ck_assert_uint_eq(ens_status(c, 1).commit, ens_status(c, 1).last);
    ens_node(c, 3)->disk_manual = 0;
    ens_disk(c, 3, RAFT_IO_MAX);
    ens_await_config(c, ID(1) | ID(2) | ID(3), 0);
    ens_free(c);
}
END_TEST

static void patient_with_disks(struct raft_options *o)
{
    o->disk_stall = 3600 * 1000 * MS;
}

/* Its disk takes everything, 800 ms late: it answers beats at once, and yet would hold up each commit. */
START_TEST(promotion_waits_for_rounds_that_are_short)
{
    struct ens *c = group(3, 1, patient_with_disks);
    ens_node(c, 4)->disk_manual = 1;
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3) | ID(4), 0), 0);
    for (int i = 0; i < 80; i++) {
        ck_assert_int_eq(ens_propose(c, 1, 1), 0);
        ens_run(c, 50 * MS);
        if (ens_node(c, 4)->writes_count > 16) {
            ens_disk(c, 4, ens_node(c, 4)->writes_count - 16);
        }
        ck_assert_uint_eq(ens_roles(c, 1, 4), RAFT_LEARNER | RAFT_PROMOTE);
    }
    ck_assert_uint_gt(ens_node(c, 4)->disk.last, 60);
    ens_node(c, 4)->disk_manual = 0;
    ens_disk(c, 4, RAFT_IO_MAX);
    ens_await_config(c, ID(1) | ID(2) | ID(3) | ID(4), 0);
    ens_free(c);
}
END_TEST

/* One has caught up and is gone when the other has, too: nothing new was to be held by it. */
START_TEST(promotion_waits_for_those_who_are_there)
{
    struct ens *c = group(1, 2, patient_with_disks);
    ens_node(c, 3)->disk_manual = 1;
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3), 0), 0);
    ens_run(c, 500 * MS);
    ck_assert_uint_eq(ens_status(c, 2).last, ens_status(c, 1).last);
    ens_isolate(c, 2, 0);
    ens_run(c, 2000 * MS);
    ens_node(c, 3)->disk_manual = 0;
    ens_disk(c, 3, RAFT_IO_MAX);
    ens_run(c, 2000 * MS);
    ck_assert_uint_eq(ens_roles(c, 1, 2), RAFT_LEARNER | RAFT_PROMOTE);
    ck_assert_int_eq(ens_status(c, 1).joint, 0);
    ens_heal_all(c, 0);
    ens_await_config(c, ID(1) | ID(2) | ID(3), 0);
    ens_free(c);
}
END_TEST

/* The target of a transfer is to hold everything: nothing is appended meanwhile. */
START_TEST(promotion_waits_for_a_transfer)
{
    struct ens *c = group(3, 1, NULL);
    ens_cut(c, 1, 4, 0);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3) | ID(4), 0), 0);
    ens_run(c, 300 * MS);
    ens_cut(c, 1, 2, 0);
    ck_assert_int_eq(ens_step(c, 1, (struct raft_event){.type = RAFT_EV_TRANSFER, .peer = 2}), 0);
    ens_heal(c, 1, 4, 0);
    ens_run(c, 900 * MS);
    ck_assert_uint_eq(ens_status(c, 1).transfer_to, 2);
    ck_assert_uint_eq(ens_status(c, 4).last, ens_status(c, 1).last);
    ck_assert_uint_eq(ens_roles(c, 1, 4), RAFT_LEARNER | RAFT_PROMOTE);
    ens_heal_all(c, 0);
    ens_await_config(c, ID(1) | ID(2) | ID(3) | ID(4), 0);
    ens_free(c);
}
END_TEST

/* 3 is down, and 1 3 are to be the voters: joint, the group could do nothing, not even turn back. */
START_TEST(a_change_to_voters_that_are_not_there_waits)
{
    struct ens *c = group(3, 0, NULL);
    ens_isolate(c, 3, 0);
    ens_run(c, 1000 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(3), 0), 0);
    ck_assert_uint_eq(ens_roles(c, 1, 2), RAFT_VOTER | RAFT_REMOVE);
    ens_run(c, 3000 * MS);
    ck_assert_uint_eq(ens_leader(c), 1);
    ck_assert_int_eq(ens_status(c, 1).joint, 0);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2), 0), 0); /* better this one */
    ens_await_config(c, ID(1) | ID(2), 0);
    ens_heal_all(c, 0);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3), 0), 0);
    ens_await_config(c, ID(1) | ID(2) | ID(3), 0);
    ens_isolate(c, 3, 0);
    ens_run(c, 1000 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(3), 0), 0);
    ens_run(c, 1000 * MS);
    ens_heal_all(c, 0);
    ens_await_config(c, ID(1) | ID(3), 0);
    ens_run(c, 500 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* What it reads of times before it was let in says nothing of its removal. */
START_TEST(a_newcomer_is_not_removed)
{
    struct ens *c = group(3, 1, NULL);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2), 0), 0);
    ens_await_config(c, ID(1) | ID(2), 0);
    ck_assert_int_eq(ens_propose(c, 1, 200), 0);
    ens_slow(c, 5 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(4), 0), 0);
    for (int i = 0; i < 100; i++) {
        ens_run(c, 2 * MS);
        ck_assert_int_eq(ens_status(c, 4).removed, 0);
        if (ens_status(c, 4).last > 10) {
            ens_isolate(c, 4, 0);
        }
    }
    ens_run(c, 3000 * MS);
    ck_assert_int_eq(ens_status(c, 4).removed, 0);
    ens_free(c);
}
END_TEST

START_TEST(a_pending_change_is_given_up_or_replaced)
{
    struct ens *c = group(3, 2, NULL);
    uint32_t all = ID(1) | ID(2) | ID(3);
    ens_isolate(c, 4, 0);
    ck_assert_int_eq(ens_change(c, 1, all | ID(4), 0), 0);
    ens_run(c, 2000 * MS);
    ck_assert_uint_eq(ens_roles(c, 1, 4), RAFT_LEARNER | RAFT_PROMOTE);
    ck_assert_int_eq(ens_change(c, 1, all | ID(4), 0), RAFT_EBUSY); /* is under way already */
    ck_assert_int_eq(ens_change(c, 1, all, 0), 0);
    ck_assert_uint_eq(ens_roles(c, 1, 4), 0); /* at once: nobody's vote is at stake */
    ens_await_config(c, all, 0);
    ck_assert_int_eq(ens_change(c, 1, all, 0), RAFT_EINVAL);
    /* Replaced: 5 comes instead of 4, and 3 goes. */
    ck_assert_int_eq(ens_change(c, 1, all | ID(4), 0), 0);
    ens_run(c, 1000 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(5), 0), 0);
    ck_assert_uint_eq(ens_roles(c, 1, 3), RAFT_VOTER | RAFT_REMOVE);
    ck_assert_uint_eq(ens_roles(c, 1, 4), RAFT_LEARNER | RAFT_REMOVE);
    ck_assert_uint_eq(ens_roles(c, 1, 5), RAFT_LEARNER | RAFT_PROMOTE);
    ens_await_config(c, ID(1) | ID(2) | ID(5), 0);
    ens_run(c, 500 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* --- refusals ------------------------------------------------------------------------------- */

START_TEST(what_is_refused)
{
    struct ens *c = group(3, 1, NULL);
    uint32_t all = ID(1) | ID(2) | ID(3);
    struct raft_config odd = ens_config(all, 0);
    struct raft_event ev = {.type = RAFT_EV_PROPOSE_CONFIG, .config = &odd};
    ck_assert_int_eq(ens_change(c, 2, all | ID(4), 0), RAFT_ENOTLEADER);
    ck_assert_int_eq(ens_change(c, 1, all, 0), RAFT_EINVAL); /* in force already */
    ck_assert_int_eq(ens_change(c, 1, 0, all), RAFT_EINVAL); /* no voter */
    odd.members[1].id = 1;
    ck_assert_int_eq(ens_step(c, 1, ev), RAFT_EINVAL);
    odd = ens_config(all | ID(4), 0);
    odd.members[3].roles = RAFT_LEARNER | RAFT_PROMOTE;
    ck_assert_int_eq(ens_step(c, 1, ev), RAFT_EINVAL);
    odd.members[3].roles = RAFT_VOTER | RAFT_VOTER_OLD;
    ck_assert_int_eq(ens_step(c, 1, ev), RAFT_EINVAL);
    odd = ens_config(0x3fff8, 0); /* 15 others beside the 3 */
    ck_assert_int_eq(ens_step(c, 1, ev), RAFT_EINVAL);
    ev.config = NULL;
    ck_assert_int_eq(ens_step(c, 1, ev), RAFT_EINVAL);
    (void)ens_step(c, 1, (struct raft_event){.type = RAFT_EV_DISK, .value = 0});
    ck_assert_int_eq(ens_change(c, 1, all | ID(4), 0), RAFT_ENOSPACE);
    (void)ens_step(c, 1, (struct raft_event){.type = RAFT_EV_DISK, .value = 1});
    ens_isolate(c, 2, 0);
    ck_assert_int_eq(ens_step(c, 1, (struct raft_event){.type = RAFT_EV_TRANSFER, .peer = 2}), 0);
    ck_assert_int_eq(ens_change(c, 1, all | ID(4), 0), RAFT_ETRANSFER);
    ens_heal_all(c, 0);
    (void)ens_elect(c);
    ens_free(c);
}
END_TEST

START_TEST(a_new_leader_is_not_ready_for_changes)
{
    struct ens *c = group(3, 0, NULL);
    ens_link(c, 2, 1)->drop_type = RAFT_MSG_APPEND;
    ens_link(c, 2, 3)->drop_type = RAFT_MSG_APPEND;
    ens_crash(c, 1);
    for (int i = 0; i < 300 && ens_leader(c) != 2; i++) {
        (void)ens_step(c, 2, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
        ens_run(c, 10 * MS);
    }
    ck_assert_uint_eq(ens_leader(c), 2);
    ck_assert_int_eq(ens_status(c, 2).leader_ready, 0);
    ck_assert_int_eq(ens_change(c, 2, ID(2) | ID(3), 0), RAFT_ENOTREADY);
    ens_link(c, 2, 3)->drop_type = 0;
    ens_run(c, 500 * MS);
    ck_assert_int_eq(ens_change(c, 2, ID(2) | ID(3), 0), 0);
    ens_await_config(c, ID(2) | ID(3), 0);
    ens_free(c);
}
END_TEST

START_TEST(leadership_goes_to_voters_that_stay)
{
    struct ens *c = group(3, 1, NULL);
    struct raft_event to_learner = {.type = RAFT_EV_TRANSFER, .peer = 4};
    ens_isolate(c, 4, 0);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(3) | ID(4), 0), 0); /* 2 is marked, 4 not there */
    ens_run(c, 200 * MS);
    ck_assert_uint_eq(ens_roles(c, 1, 2), RAFT_VOTER | RAFT_REMOVE);
    ck_assert_int_eq(ens_step(c, 1, to_learner), RAFT_EINVAL);
    ck_assert_int_eq(ens_step(c, 1, (struct raft_event){.type = RAFT_EV_TRANSFER, .peer = 0}), 0);
    ck_assert_uint_eq(ens_status(c, 1).transfer_to, 3);
    ens_run(c, 500 * MS);
    ck_assert_uint_eq(ens_leader(c), 3);
    /* The next leader goes on: 4 comes back, 2 leaves. */
    ens_heal_all(c, 0);
    ens_await_config(c, ID(1) | ID(3) | ID(4), 0);
    ens_run(c, 500 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_change");
    TCase *t = tcase_create("change");
    tcase_add_test(t, a_voter_is_added_and_counts);
    tcase_add_test(t, a_removed_follower_disturbs_nobody_and_learns_of_it);
    tcase_add_test(t, several_are_replaced_at_once);
    tcase_add_test(t, a_group_moves_to_other_members);
    tcase_add_test(t, learners_follow_and_never_count);
    tcase_add_test(t, a_learner_votes_when_asked);
    tcase_add_test(t, a_leader_removes_itself);
    tcase_add_test(t, the_leader_of_two_removes_itself);
    tcase_add_test(t, a_leader_that_cannot_hand_over_steps_down);
    tcase_add_test(t, a_demoted_leader_hands_over_and_learns);
    tcase_add_test(t, a_member_left_out_by_what_only_it_holds_may_lead);
    tcase_add_test(t, a_learner_catches_up_by_snapshot_and_is_promoted);
    tcase_add_test(t, promotion_waits_for_a_slow_learner);
    tcase_add_test(t, promotion_waits_for_all_and_for_disks);
    tcase_add_test(t, promotion_waits_for_rounds_that_are_short);
    tcase_add_test(t, promotion_waits_for_those_who_are_there);
    tcase_add_test(t, promotion_waits_for_a_transfer);
    tcase_add_test(t, a_change_to_voters_that_are_not_there_waits);
    tcase_add_test(t, a_newcomer_is_not_removed);
    tcase_add_test(t, a_pending_change_is_given_up_or_replaced);
    tcase_add_test(t, what_is_refused);
    tcase_add_test(t, a_new_leader_is_not_ready_for_changes);
    tcase_add_test(t, leadership_goes_to_voters_that_stay);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
