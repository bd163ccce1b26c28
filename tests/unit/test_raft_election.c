/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: elections end with one leader, quickly, and nobody is disturbed without need.
 * Method: ensembles in memory (tests/lib/raft_ensemble.h) under chosen losses of links and members;
 * the harness checks the rules of Raft after every event.
 */
#include <check.h>
#include <stdlib.h>
#include "tests/lib/raft_ensemble.h"

START_TEST(fresh_ensemble_elects_within_one_timeout)
{
    struct ens *c = ens_new(3, (uint64_t)_i + 1, NULL);
    ens_run(c, 1100 * ENS_MS);
    raft_id leader = ens_leader(c);
    ck_assert_uint_ne(leader, 0);
    ck_assert_int_eq(ens_status(c, leader).leader_ready, 1);
    ens_run(c, 100 * ENS_MS);
    for (raft_id id = 1; id <= 3; id++) {
        ck_assert_uint_eq(ens_status(c, id).leader, leader);
    }
    ck_assert_int_eq(ens_propose(c, leader, 20), 0);
    ens_settle(c);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* Give a member that is down a log with these terms, as if it had been there. */
static void set_disk(struct ens *c, raft_id id, const raft_term *terms, uint32_t count,
                     raft_term term)
{
    struct ens_node *n = ens_node(c, id);
    for (uint32_t i = 0; i < count; i++) {
        n->disk.entries[i + 1] = (struct raft_entry){.term = terms[i], .type = RAFT_ENTRY_COMMAND};
        n->disk.values[i + 1] = terms[i] * 100000 + i + 1;
    }
    n->disk.last = count;
    n->disk_term = term;
    n->disk_vote = 0;
}

START_TEST(single_voter_leads_at_once)
{
    struct ens *c = ens_new(1, 7, NULL);
    ck_assert_int_eq(ens_status(c, 1).role, RAFT_LEADER);
    ck_assert_int_eq(ens_status(c, 1).leader_ready, 1);
    ens_free(c);
}
END_TEST

/* Bug 32: the only electable log sits in an older term than a member that cannot win. */
START_TEST(refused_prevote_teaches_the_later_term)
{
    struct ens *c = ens_new(3, (uint64_t)_i + 1, NULL);
    ens_make_leader(c, 1);
    ens_crash(c, 3);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_settle(c);
    ens_node(c, 3)->disk_term = 10;
    ens_node(c, 3)->disk_vote = 0;
    ens_crash(c, 1);
    ens_restart(c, 3);
    ens_run(c, 4000 * (raft_ns)ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 2);
    ck_assert_uint_gt(ens_status(c, 2).term, 10);
    ens_free(c);
}
END_TEST

START_TEST(votes_are_refused_while_a_leader_is_heard)
{
    struct ens *c = ens_new(3, 3, NULL);
    ens_make_leader(c, 1);
    ens_run(c, 100 * ENS_MS);
    raft_term term = ens_status(c, 1).term;
    struct raft_msg m = {.type = RAFT_MSG_VOTE,
                         .from = 3,
                         .to = 2,
                         .term = term + 5,
                         .seq = 1,
                         .index = 1000,
                         .log_term = term + 4};
    ens_inject(c, &m, 0);
    ck_assert_uint_eq(ens_status(c, 2).term, term);
    ck_assert_uint_eq(ens_status(c, 2).vote, 1);
    m.to = 1;
    m.from = 2;
    ens_inject(c, &m, 0);
    ck_assert_int_eq(ens_status(c, 1).role, RAFT_LEADER);
    ens_free(c);
}
END_TEST

/* A member that hears nothing but can speak does not raise the term. */
START_TEST(deaf_member_disturbs_nobody)
{
    struct ens *c = ens_new(3, (uint64_t)_i + 1, NULL);
    ens_make_leader(c, 1);
    raft_term term = ens_status(c, 1).term;
    ens_link(c, 1, 3)->cut = 1;
    ens_link(c, 2, 3)->cut = 1;
    ens_run(c, 10000 * (raft_ns)ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 1);
    ck_assert_uint_eq(ens_status(c, 1).term, term);
    ens_heal_all(c, 0);
    ens_run(c, 1000 * ENS_MS);
    ck_assert_uint_eq(ens_status(c, 1).term, term);
    ck_assert_uint_eq(ens_status(c, 3).leader, 1);
    ens_free(c);
}
END_TEST

START_TEST(broken_links_to_the_leader_elect_within_two_hints)
{
    struct ens *c = ens_new(_i % 2 == 0 ? 3 : 5, (uint64_t)_i + 1, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_run(c, 300 * ENS_MS);
    ens_crash(c, 1);
    ens_isolate(c, 1, 1);
    ens_run(c, 21 * ENS_MS);
    raft_id leader = ens_leader(c);
    ck_assert_uint_gt(leader, 1);
    ck_assert_int_eq(ens_status(c, leader).leader_ready, 1);
    ens_free(c);
}
END_TEST

/* All begin anew one after the other, and their links come up: who is patient then is so for nobody. */
START_TEST(members_that_boot_together_elect_once_they_are_in_touch)
{
    uint32_t count = _i % 2 == 0 ? 3 : 5;
    struct ens *c = ens_new(count, (uint64_t)_i + 1, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_run(c, 300 * ENS_MS);
    for (raft_id id = 1; id <= count; id++) {
        ens_crash(c, id);
    }
    for (raft_id id = 1; id <= count; id++) {
        /* In half of the cases the first of them has asked in vain before. */
        ens_run(c, (_i % 4 < 2 ? 5 : 90) * ENS_MS);
        ens_restart(c, id);
        for (raft_id other = 1; other < id; other++) {
            ens_run(c, ENS_MS);
            ens_heal(c, id, other, 1);
        }
    }
    ens_run(c, 50 * ENS_MS);
    raft_id leader = ens_leader(c);
    ck_assert_uint_ne(leader, 0);
    ck_assert_int_eq(ens_status(c, leader).leader_ready, 1);
    ens_free(c);
}
END_TEST

/* One of them does so while a leader lives, whose first word to it takes long. */
START_TEST(member_that_boots_alone_waits_for_the_leader)
{
    struct ens *c = ens_new(3, (uint64_t)_i + 1, NULL);
    ens_make_leader(c, 1);
    ens_run(c, 300 * ENS_MS);
    raft_term term = ens_status(c, 1).term;
    ens_crash(c, 3);
    ens_run(c, 300 * ENS_MS);
    ens_restart(c, 3);
    ens_cut(c, 2, 1,
            0); /* nor does the other one hear the leader any more, and asks the one that booted */
    ens_link(c, 1, 3)->delay = 15 * ENS_MS;
    ens_heal(c, 3, 2, 1);
    ens_step(c, 3, (struct raft_event){.type = RAFT_EV_PEER_LINK, .peer = 1, .value = 1});
    ens_step(c, 1, (struct raft_event){.type = RAFT_EV_PEER_LINK, .peer = 3, .value = 1});
    ens_run(c, 5 * ENS_MS);
    ens_step(c, 2, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    ens_run(c, 400 * ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 1);
    ck_assert_uint_eq(ens_status(c, 3).leader, 1);
    ck_assert_uint_eq(ens_status(c, 1).term, term);
    ens_free(c);
}
END_TEST

START_TEST(one_broken_link_does_not_move_the_leader)
{
    struct ens *c = ens_new(3, (uint64_t)_i + 1, NULL);
    ens_make_leader(c, 1);
    raft_term term = ens_status(c, 1).term;
    ens_run(c, 200 * ENS_MS);
    ens_cut(c, 1, 3, 1);
    ens_run(c, 5000 * (raft_ns)ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 1);
    ck_assert_uint_eq(ens_status(c, 2).term, term);
    ens_heal(c, 1, 3, 1);
    ens_run(c, 200 * ENS_MS);
    ck_assert_uint_eq(ens_status(c, 3).leader, 1);
    ck_assert_uint_eq(ens_status(c, 3).term, term);
    ens_free(c);
}
END_TEST

START_TEST(grant_waits_for_the_disk)
{
    struct ens *c = ens_new(3, 5, NULL);
    ens_crash(c, 3);
    ens_node(c, 2)->disk_manual = 1;
    (void)ens_step(c, 1, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    ens_settle(c);
    ck_assert_int_eq(ens_status(c, 1).role, RAFT_CANDIDATE);
    ck_assert_uint_eq(ens_status(c, 2).vote, 1);
    ck_assert_uint_eq(ens_node(c, 2)->sent[RAFT_MSG_VOTE_REPLY], 0);
    /* A crash now forgets the vote, and nobody was told of it. */
    ens_crash(c, 2);
    ens_restart(c, 2);
    ck_assert_uint_eq(ens_status(c, 2).vote, 0);
    ens_node(c, 2)->disk_manual = 0;
    ens_run(c, 3000 * (raft_ns)ENS_MS);
    ck_assert_uint_ne(ens_leader(c), 0);
    ens_free(c);
}
END_TEST

START_TEST(own_vote_waits_for_the_disk)
{
    struct ens *c = ens_new(3, 5, NULL);
    ens_node(c, 1)->disk_manual = 1;
    (void)ens_step(c, 1, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    ens_settle(c);
    ck_assert_int_eq(ens_status(c, 1).role, RAFT_CANDIDATE);
    ck_assert_uint_eq(ens_node(c, 1)->sent[RAFT_MSG_VOTE], 0);
    ens_disk(c, 1, 1);
    ens_settle(c);
    ck_assert_int_eq(ens_status(c, 1).role, RAFT_LEADER);
    ens_free(c);
}
END_TEST

START_TEST(vote_survives_a_restart)
{
    struct ens *c = ens_new(3, 5, NULL);
    ens_make_leader(c, 1);
    raft_term term = ens_status(c, 1).term;
    ens_crash(c, 2);
    ens_restart(c, 2);
    ens_run(c, 600 * ENS_MS); /* contact of before the restart is over */
    struct raft_msg m = {.type = RAFT_MSG_VOTE,
                         .from = 3,
                         .to = 2,
                         .term = term,
                         .seq = 1,
                         .index = 1000,
                         .log_term = term};
    uint64_t before = ens_node(c, 2)->sent[RAFT_MSG_VOTE_REPLY];
    ens_hold(c, 2, RAFT_MSG_VOTE_REPLY);
    ens_inject(c, &m, 0);
    ck_assert_uint_eq(ens_node(c, 2)->sent[RAFT_MSG_VOTE_REPLY], before + 1);
    ck_assert_uint_eq(c->held[0]->msg.flags & RAFT_FLAG_REJECT, RAFT_FLAG_REJECT);
    ck_assert_uint_eq(ens_node(c, 2)->disk_vote, 1);
    ens_free(c);
}
END_TEST

/* A restarted member may have supported a leader a moment ago. */
START_TEST(booting_member_respects_the_old_leader)
{
    struct ens *c = ens_new(3, 5, NULL);
    ens_make_leader(c, 1);
    ens_crash(c, 2);
    ens_restart(c, 2);
    ens_isolate(c, 1, 0);
    (void)ens_step(c, 3, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    ens_settle(c);
    ck_assert_int_eq(ens_status(c, 3).role, RAFT_PRECANDIDATE);
    ens_run(c, 2500 * (raft_ns)ENS_MS);
    ck_assert_uint_gt(ens_leader(c), 1);
    ens_free(c);
}
END_TEST

/* Bug 36: logs are compared by last term first, then by length. */
START_TEST(newer_last_term_beats_the_longer_log)
{
    static const raft_term longer[] = {1, 1, 1, 1, 1};
    static const raft_term newer[] = {1, 2};
    struct ens *c = ens_new(3, (uint64_t)_i + 1, NULL);
    for (raft_id id = 1; id <= 3; id++) {
        ens_crash(c, id);
    }
    set_disk(c, 1, longer, 5, 2);
    set_disk(c, 2, newer, 2, 2);
    ens_restart(c, 1);
    ens_restart(c, 2);
    ens_run(c, 6000 * (raft_ns)ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 2);
    ens_restart(c, 3);
    ens_run(c, 1000 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* Bug 33: the leader reaches one member only, and that one must not stay loyal. */
START_TEST(leader_without_quorum_falls_silent)
{
    struct ens *c = ens_new(5, (uint64_t)_i + 1, NULL);
    ens_make_leader(c, 1);
    ens_run(c, 300 * ENS_MS);
    for (raft_id id = 3; id <= 5; id++) {
        ens_cut(c, 1, id, 0);
    }
    ens_run(c, 600 * ENS_MS);
    ck_assert_int_ne(ens_status(c, 1).role, RAFT_LEADER);
    uint64_t beats = ens_node(c, 1)->sent[RAFT_MSG_HEARTBEAT];
    ens_run(c, 4000 * (raft_ns)ENS_MS);
    raft_id leader = ens_leader(c);
    ck_assert_uint_ne(leader, 0);
    if (leader != 1) {
        ck_assert_uint_eq(ens_node(c, 1)->sent[RAFT_MSG_HEARTBEAT], beats);
    }
    ck_assert_int_eq(ens_propose(c, leader, 1), 0);
    ens_settle(c);
    ck_assert_uint_eq(ens_status(c, leader).commit, ens_status(c, leader).last);
    ens_free(c);
}
END_TEST

/* Answers that stopped coming count from when their request left. */
START_TEST(quorum_contact_is_dated_by_the_request)
{
    struct ens *c = ens_new(3, 2, NULL);
    ens_make_leader(c, 1);
    ens_run(c, 400 * ENS_MS);
    raft_ns before = ens_status(c, 1).quorum_contact;
    ck_assert_uint_ge(before + 70 * ENS_MS, c->now);
    ens_hold(c, 0, RAFT_MSG_HEARTBEAT_REPLY);
    ens_run(c, 300 * ENS_MS);
    raft_ns stale = ens_status(c, 1).quorum_contact;
    ck_assert_uint_le(stale, c->now - 290 * ENS_MS);
    ens_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_election");
    TCase *t = tcase_create("elections");
    tcase_add_loop_test(t, fresh_ensemble_elects_within_one_timeout, 0, 20);
    tcase_add_test(t, single_voter_leads_at_once);
    tcase_add_loop_test(t, refused_prevote_teaches_the_later_term, 0, 10);
    tcase_add_test(t, votes_are_refused_while_a_leader_is_heard);
    tcase_add_loop_test(t, deaf_member_disturbs_nobody, 0, 5);
    tcase_add_loop_test(t, broken_links_to_the_leader_elect_within_two_hints, 0, 40);
    tcase_add_loop_test(t, one_broken_link_does_not_move_the_leader, 0, 10);
    tcase_add_test(t, grant_waits_for_the_disk);
    tcase_add_test(t, own_vote_waits_for_the_disk);
    tcase_add_loop_test(t, members_that_boot_together_elect_once_they_are_in_touch, 0, 12);
    tcase_add_loop_test(t, member_that_boots_alone_waits_for_the_leader, 0, 5);
    tcase_add_test(t, vote_survives_a_restart);
    tcase_add_test(t, booting_member_respects_the_old_leader);
    tcase_add_loop_test(t, newer_last_term_beats_the_longer_log, 0, 5);
    tcase_add_loop_test(t, leader_without_quorum_falls_silent, 0, 10);
    tcase_add_test(t, quorum_contact_is_dated_by_the_request);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
