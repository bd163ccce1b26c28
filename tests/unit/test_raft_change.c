/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a group goes from one set of members to another, whatever fails in between, and never has two
 * leaders of a term nor loses what is committed.
 * Method: ensembles of cores in memory (tests/lib/raft_ensemble.h), which compare logs, votes and disks
 * after every event; members join with an empty configuration.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/raft_ensemble.h"

#define MS    ((raft_ns)ENS_MS)
#define ID(n) ((uint32_t)1 << ((n)-1))

/* --- small steps ---------------------------------------------------------------------------- */

/* Every message takes this long, so that a test can stop in the middle of a change. */
static void slow_links(struct ens *c, raft_ns delay)
{
    for (uint32_t a = 1; a <= c->count; a++) {
        for (uint32_t b = 1; b <= c->count; b++) {
            ens_link(c, a, b)->delay = delay;
        }
    }
}

/* Nobody appends a configuration before it has committed an entry of its own term (bug 37). */
static void check_haste(struct ens *c)
{
    for (raft_id id = 1; id <= c->count; id++) {
        struct ens_node *n = ens_node(c, id);
        if (n->raft == NULL) {
            continue;
        }
        struct raft_status s = ens_status(c, id);
        const struct raft_entry *e = raft_entry_at(n->raft, s.last);
        if (s.role == RAFT_LEADER && !s.leader_ready && e->type == RAFT_ENTRY_CONFIG) {
            ck_assert_uint_lt(e->term, s.term);
        }
    }
}

/* Let time pass in small steps until the newest configuration at `id` is joint. */
static void run_until_joint(struct ens *c, raft_id id)
{
    for (int i = 0; i < 3000 && !ens_status(c, id).joint; i++) {
        ens_run(c, MS);
    }
    ck_assert_int_eq(ens_status(c, id).joint, 1);
}

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
    slow_links(c, 10 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(2), 0), 0);
    run_until_joint(c, 1);
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

/* --- changes of leaders in between ---------------------------------------------------------- */

START_TEST(a_new_leader_rolls_an_uncommitted_change_back)
{
    struct ens *c = group(3, 1, NULL);
    ens_isolate(c, 1, 0);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(4), 0), 0);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3), 0), RAFT_EBUSY);
    raft_index lost = ens_status(c, 1).config;
    ens_run(c, 3000 * MS);
    raft_id leader = ens_elect(c);
    ck_assert_uint_ne(leader, 1);
    ens_heal_all(c, 0);
    ens_run(c, 1000 * MS);
    ens_assert_equal(c);
    ck_assert_uint_eq(ens_roles(c, 1, 4), 0);
    ck_assert_uint_eq(ens_roles(c, 1, 2), RAFT_VOTER);
    ck_assert_uint_eq(ens_status(c, 1).config, 0);
    ck_assert_uint_eq(ens_node(c, 1)->drops_count, 1);
    ck_assert_uint_eq(ens_node(c, 1)->drops[0].first, lost);
    ens_free(c);
}
END_TEST

/* The leader is lost for good after so many milliseconds: the change is wholly there or not at all in the
 * end, and no step is ever skipped. Members: 1 2 3 become 2 4 5, with 1 a learner. */
START_TEST(a_change_survives_its_leader_at_any_moment)
{
    struct ens *c = group(3, 2, NULL);
    slow_links(c, 3 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(2) | ID(4) | ID(5), ID(1)), 0);
    for (int i = 0; i < _i; i++) {
        ens_run(c, 2 * MS);
        check_haste(c);
    }
    raft_id lost = ens_leader(c);
    ck_assert_uint_ne(lost, 0);
    if (_i % 2 == 0) {
        ens_crash(c, lost);
    } else {
        ens_isolate(c, lost, 0);
    }
    for (int i = 0; i < 800; i++) {
        ens_run(c, 5 * MS);
        check_haste(c);
    }
    raft_id leader = ens_elect(c);
    ck_assert_uint_ne(leader, lost);
    struct raft_status s = ens_status(c, leader);
    ck_assert_int_eq(s.joint, 0);
    if (ens_roles(c, leader, 4) == 0) {
        ens_await_config(c, ID(1) | ID(2) | ID(3), 0);
    } else {
        ens_await_config(c, ID(2) | ID(4) | ID(5), ID(1));
    }
    ck_assert_int_eq(ens_propose(c, ens_leader(c), 3), 0);
    if (_i % 2 == 0) {
        ens_restart(c, lost);
    } else {
        ens_heal_all(c, 0);
    }
    ens_run(c, 3000 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* One half alone, the old (0) or the new one (1), neither commits nor elects. */
START_TEST(joint_needs_both_majorities)
{
    struct ens *c = group(3, 2, NULL);
    raft_id a = _i == 0 ? 4 : 2;
    slow_links(c, 2 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(4) | ID(5), 0), 0);
    run_until_joint(c, 1);
    raft_index joint = ens_status(c, 1).config;
    ens_isolate(c, a, 0);
    ens_isolate(c, a + 1, 0);
    ens_run(c, 200 * MS);
    ck_assert_uint_eq(ens_status(c, 6 - a).last, joint);
    ck_assert_uint_lt(ens_status(c, 1).commit, joint);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3), 0), RAFT_EBUSY);
    ens_run(c, 5000 * MS);
    ck_assert_uint_eq(ens_leader(c), 0);
    ens_heal_all(c, 0);
    ens_isolate(c, 1, 0);
    raft_id leader = ens_elect(c); /* 2 3 and 4 5 */
    ck_assert_uint_ne(leader, 1);
    ens_heal_all(c, 0);
    ens_run(c, 2000 * MS);
    ck_assert_int_eq(ens_status(c, leader).joint, 0);
    ens_await_config(c, ID(1) | ID(4) | ID(5), 0);
    ens_run(c, 2000 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* Bug 21: the old answer says that 3 holds everything; the 3 of now is empty. */
START_TEST(an_old_answer_of_a_member_let_in_again_proves_nothing)
{
    struct ens *c = group(3, 0, NULL);
    ens_hold(c, 3, RAFT_MSG_APPEND_REPLY);
    ck_assert_int_eq(ens_propose(c, 1, 30), 0);
    ens_settle(c);
    ck_assert_uint_gt(c->held_count, 0);
    raft_index then = ens_status(c, 1).last;
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2), 0), 0);
    ens_await_config(c, ID(1) | ID(2), 0);
    ens_crash(c, 3);
    struct ens_node *n = ens_node(c, 3); /* its disk is gone too: it should have got a new id */
    n->disk.base = n->disk.last = 0;
    n->disk_term = 0;
    n->disk_vote = 0;
    n->disk_commit = 0;
    ens_restart(c, 3);
    ens_cut(c, 1, 3, 0);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3), 0), 0);
    ens_link(c, 3, 1)->cut = 0;
    ens_release(c);
    ens_settle(c);
    struct raft_status s = ens_status(c, 1);
    ck_assert_uint_eq(s.peers[2].id, 3);
    ck_assert_uint_eq(s.peers[2].match, 0);
    ck_assert_uint_lt(ens_node(c, 3)->disk.last, then);
    ens_heal_all(c, 0);
    ens_await_config(c, ID(1) | ID(2) | ID(3), 0);
    ens_run(c, 300 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* --- snapshots, restarts, and many of them -------------------------------------------------- */

/* Bug 28. */
START_TEST(a_snapshot_supersedes_an_uncommitted_change)
{
    struct ens *c = group(3, 1, NULL);
    ens_isolate(c, 1, 0);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2) | ID(3) | ID(4), 0), 0);
    ck_assert_uint_eq(ens_roles(c, 1, 4), RAFT_LEARNER | RAFT_PROMOTE);
    ens_run(c, 2000 * MS);
    raft_id leader = ens_elect(c);
    ck_assert_int_eq(ens_propose(c, leader, 100), 0);
    ens_run(c, 300 * MS);
    ens_snapshot(c, leader, 5000, 0);
    ens_heal_all(c, 0);
    ens_run(c, 2000 * MS);
    ens_assert_equal(c);
    ck_assert_uint_gt(ens_status(c, 1).first, 50);
    ck_assert_uint_eq(ens_roles(c, 1, 4), 0);
    ck_assert_uint_eq(ens_status(c, 1).config, 0);
    ens_free(c);
}
END_TEST

START_TEST(restart_from_a_snapshot_taken_while_joint)
{
    struct ens *c = group(3, 2, NULL);
    slow_links(c, 4 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(4) | ID(5), 0), 0);
    run_until_joint(c, 4);
    raft_index joint = ens_status(c, 4).config;
    for (int i = 0; i < 1000 && ens_node(c, 4)->applied < joint; i++) {
        ens_run(c, MS);
    }
    ck_assert_uint_ge(ens_node(c, 4)->applied, joint);
    ens_snapshot(c, 4, 1000, 0);
    ens_isolate(c, 4, 0);
    ens_crash(c, 4);
    ens_node(c, 4)->disk.last = ens_node(c, 4)->disk.base; /* nothing but the snapshot is left */
    ens_restart(c, 4);
    ck_assert_int_eq(ens_status(c, 4).joint, 1);
    ck_assert_uint_eq(ens_roles(c, 4, 1), RAFT_VOTER | RAFT_VOTER_OLD);
    ck_assert_uint_eq(ens_roles(c, 4, 2), RAFT_VOTER_OLD | RAFT_REMOVE);
    ck_assert_uint_eq(ens_roles(c, 4, 4), RAFT_VOTER);
    ens_heal_all(c, 0);
    ens_await_config(c, ID(1) | ID(4) | ID(5), 0);
    ens_run(c, 5000 * MS);
    ck_assert_int_eq(ens_status(c, 4).joint, 0);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* Far more configurations than anybody remembers: they are taken all the same, also by a member that reads
 * them from its disk, or from a leader, all at once. */
START_TEST(many_changes_without_a_snapshot)
{
    struct ens *c = group(3, 2, NULL);
    uint32_t all = ID(1) | ID(2) | ID(3);
    ens_isolate(c, 3, 0);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(ens_change(c, 1, all, i % 2 == 0 ? ID(4) : 0), 0);
        ens_await_config(c, all, i % 2 == 0 ? ID(4) : 0);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(ens_change(c, 1, i % 2 == 0 ? all | ID(4) : all, 0), 0);
        ens_settle(c);
        ens_await_config(c, i % 2 == 0 ? all | ID(4) : all, 0);
    }
    ck_assert_ptr_null(raft_config_at(ens_node(c, 1)->raft, 22));
    ck_assert_ptr_nonnull(raft_config_at(ens_node(c, 1)->raft, c->committed));
    ens_heal_all(c, 0);
    ens_run(c, 8000 * MS); /* 3 takes a few at a time */
    ens_assert_equal(c);
    for (raft_id id = 1; id <= 3; id++) { /* from disk, with hardly anything known as committed */
        ens_crash(c, id);
        ens_node(c, id)->disk_commit = 0;
    }
    for (raft_id id = 1; id <= 3; id++) {
        ens_restart(c, id);
    }
    raft_id leader = ens_elect(c);
    ck_assert_int_eq(ens_change(c, leader, all | ID(5), 0), 0);
    ens_await_config(c, all | ID(5), 0);
    ens_run(c, 8000 * MS);
    ens_assert_equal(c);
    ck_assert_uint_eq(ens_node(c, 5)->applied, c->committed);
    ens_free(c);
}
END_TEST

/* A host that applies nothing for a while: the leader refuses rather than forget what may be asked for. */
START_TEST(a_leader_whose_host_lags_refuses_further_changes)
{
    struct ens *c = group(1, 0, NULL);
    struct raft *r = ens_node(c, 1)->raft;
    int rv = 0;
    uint32_t changes = 0;
    while (rv == 0 && changes < 50) {
        struct raft_config target = ens_config(ID(1), changes % 2 == 0 ? ID(2) : 0);
        struct raft_event ev = {.type = RAFT_EV_PROPOSE_CONFIG, .now = c->now, .config = &target};
        struct raft_accept accept;
        rv = raft_step(r, &ev, &accept);
        changes += rv == 0;
        const struct raft_actions *a = raft_poll(r);
        uint64_t seq = a->persist_count > 0 ? a->persist[a->persist_count - 1].io_seq : 0;
        raft_done(r);
        if (seq > 0) {
            ev = (struct raft_event){.type = RAFT_EV_IO_DONE, .now = c->now, .io_seq = seq};
            ck_assert_int_eq(raft_step(r, &ev, NULL), 0);
        }
        ck_assert_int_eq(raft_check(r, NULL, 0), 0);
    }
    ck_assert_int_eq(rv, RAFT_EBUSY);
    ck_assert_uint_eq(changes, RAFT_CONFIGS_MAX - 1);
    struct raft_event ev = {
        .type = RAFT_EV_APPLIED, .now = c->now, .index = ens_status(c, 1).commit};
    ck_assert_int_eq(raft_step(r, &ev, NULL), 0);
    struct raft_config target = ens_config(ID(1), changes % 2 == 0 ? ID(2) : 0);
    struct raft_accept accept;
    ev = (struct raft_event){.type = RAFT_EV_PROPOSE_CONFIG, .now = c->now, .config = &target};
    ck_assert_int_eq(raft_step(r, &ev, &accept), 0);
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
    tcase_add_test(t, a_pending_change_is_given_up_or_replaced);
    tcase_add_test(t, a_new_leader_rolls_an_uncommitted_change_back);
    tcase_add_loop_test(t, a_change_survives_its_leader_at_any_moment, 0, 60);
    tcase_add_loop_test(t, joint_needs_both_majorities, 0, 2);
    tcase_add_test(t, an_old_answer_of_a_member_let_in_again_proves_nothing);
    tcase_add_test(t, a_snapshot_supersedes_an_uncommitted_change);
    tcase_add_test(t, restart_from_a_snapshot_taken_while_joint);
    tcase_add_test(t, many_changes_without_a_snapshot);
    tcase_add_test(t, a_leader_whose_host_lags_refuses_further_changes);
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
