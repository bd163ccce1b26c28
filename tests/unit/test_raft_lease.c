/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a leader with a lease answers reads at once, and never when another may lead already.
 * Method: ensembles of cores in memory; a read that was answered is compared with what anybody has
 * committed by then. Time moves in small steps, so that the edges of the lease are met.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/raft_ensemble.h"

#define MS       ((raft_ns)ENS_MS)
#define ELECTION (500 * MS)
#define ID(n)    ((uint32_t)1 << ((n)-1))

static void leases(struct raft_options *o)
{
    o->link_hint = 0;
    o->lease_drift_ppm = 1000;
}

static int lease_read(struct ens *c, raft_id id, uint64_t cookie)
{
    return ens_step(c, id, (struct raft_event){.type = RAFT_EV_READ, .cookie = cookie, .value = 1});
}

/* Is a read answered without a single message? */
static int served_alone(struct ens *c, raft_id id)
{
    static uint64_t cookie = 1000;
    uint64_t before = ens_node(c, id)->sent[RAFT_MSG_HEARTBEAT];
    raft_index index = 0;
    ens_node(c, id)->reads_count = 0;
    ck_assert_int_eq(lease_read(c, id, ++cookie), 0);
    int now = ens_read_result(c, id, cookie, &index) == RAFT_READ_OK;
    if (now) {
        ck_assert_uint_eq(ens_node(c, id)->sent[RAFT_MSG_HEARTBEAT], before);
        ck_assert_uint_eq(index, c->committed); /* nobody has committed more */
    }
    return now;
}

/* Three members, 1 leads and has just been heard. */
static struct ens *group(uint64_t seed)
{
    struct ens *c = ens_new(3, seed, leases);
    ens_run(c, ELECTION); /* patience after booting */
    ens_make_leader(c, 1);
    ens_run(c, 100 * MS);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_run(c, 100 * MS);
    return c;
}

START_TEST(the_option_needs_patience_that_lasts)
{
    struct raft_options o;
    raft_options_init(&o);
    o.id = 1;
    o.lease_drift_ppm = 100;
    ck_assert_uint_eq(raft_size(&o), 0);
    o.link_hint = 0;
    ck_assert_uint_ne(raft_size(&o), 0);
    o.lease_drift_ppm = 1000000;
    ck_assert_uint_eq(raft_size(&o), 0);
}
END_TEST

START_TEST(a_leader_answers_at_once)
{
    struct ens *c = group(1);
    ck_assert_uint_gt(ens_status(c, 1).lease_until, c->now);
    ck_assert_uint_le(ens_status(c, 1).lease_until, c->now + ELECTION - ELECTION / 1000);
    ck_assert_int_eq(served_alone(c, 1), 1);
    ck_assert_int_eq(served_alone(c, 2), 0);
    ck_assert_uint_eq(ens_status(c, 2).lease_until, 0);
    ens_free(c);
}
END_TEST

START_TEST(not_asked_for_or_not_configured_means_a_round)
{
    struct ens *c = group(1);
    ens_hold(c, 0, RAFT_MSG_HEARTBEAT_REPLY);
    ck_assert_int_eq(ens_read(c, 1, 5), 0);
    ck_assert_int_eq(ens_read_result(c, 1, 5, NULL), 0);
    ens_settle(c);
    ck_assert_int_eq(ens_read_result(c, 1, 5, NULL), 0);
    ens_release(c);
    ens_settle(c);
    ck_assert_int_eq(ens_read_result(c, 1, 5, NULL), RAFT_READ_OK);
    ens_free(c);
    c = ens_new(3, 1, NULL);
    ens_make_leader(c, 1);
    ens_run(c, 200 * MS);
    ck_assert_uint_eq(ens_status(c, 1).lease_until, 0);
    ck_assert_int_eq(served_alone(c, 1), 0);
    ens_free(c);
}
END_TEST

/* Cut off, it serves until the lease ends and not a moment longer; nobody else leads before. */
START_TEST(a_lease_ends_before_anybody_can_be_elected)
{
    struct ens *c = group((uint64_t)_i + 1);
    ens_run(c, (raft_ns)_i * 7 * MS);
    raft_ns until = ens_status(c, 1).lease_until;
    ens_isolate(c, 1, 1);
    (void)ens_step(c, 2, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    while (c->now < until) {
        ck_assert_int_eq(served_alone(c, 1), 1);
        ck_assert_uint_eq(ens_leader(c), 1);
        ens_run(c, until - c->now > 5 * MS ? 5 * MS : until - c->now);
    }
    ck_assert_int_eq(served_alone(c, 1), 0);
    ck_assert_uint_eq(ens_status(c, 1).lease_until, 0);
    for (int i = 0; i < 500 && ens_leader(c) < 2; i++) {
        ens_run(c, 10 * MS);
    }
    ck_assert_uint_ge(ens_leader(c), 2);
    ck_assert_int_eq(ens_propose(c, ens_leader(c), 1), 0);
    ck_assert_int_eq(served_alone(c, 1), 0);
    ens_free(c);
}
END_TEST

/* What counts is when the request left, not when its answer came: answers may be held up. */
START_TEST(late_answers_make_no_lease)
{
    struct ens *c = group(3);
    ens_link(c, 2, 1)->delay = 400 * MS;
    ens_link(c, 3, 1)->delay = 400 * MS;
    ens_run(c, 1000 * MS);
    if (ens_status(c, 1).role == RAFT_LEADER) {
        raft_ns until = ens_status(c, 1).lease_until;
        ck_assert_uint_le(until, c->now + 100 * MS);
    }
    ens_free(c);
}
END_TEST

/* Bugs 34, openraft #1747: TIMEOUT_NOW may arrive after the transfer was given up. */
START_TEST(a_transfer_ends_the_lease_for_good)
{
    struct ens *c = group(4);
    ens_hold(c, 1, RAFT_MSG_TIMEOUT_NOW);
    ck_assert_int_eq(ens_step(c, 1, (struct raft_event){.type = RAFT_EV_TRANSFER, .peer = 2}), 0);
    ck_assert_int_eq(served_alone(c, 1), 0);
    ens_run(c, 3000 * MS);
    ck_assert_uint_eq(ens_status(c, 1).transfer_to, 0);
    ck_assert_uint_eq(ens_leader(c), 1);
    ck_assert_uint_eq(ens_status(c, 1).lease_until, 0);
    ck_assert_int_eq(served_alone(c, 1), 0);
    ck_assert_uint_gt(c->held_count, 0);
    ens_isolate(c, 1, 0); /* the order arrives by another way */
    ens_link(c, 1, 2)->cut = 0;
    ens_release(c);
    ens_settle(c);
    ck_assert_uint_eq(ens_leader(c), 2);
    ck_assert_int_eq(ens_propose(c, 2, 1), 0);
    ck_assert_int_eq(served_alone(c, 1), 0);
    /* The next leader begins anew. */
    ens_heal_all(c, 0);
    ens_run(c, 500 * MS);
    ck_assert_int_eq(served_alone(c, 2), 1);
    ens_free(c);
}
END_TEST

/* A transfer whose target never held everything, so that no order left: the lease comes back. */
START_TEST(a_transfer_that_was_never_ordered_only_suspends)
{
    struct ens *c = group(5);
    ens_cut(c, 1, 2, 0);
    ck_assert_int_eq(ens_propose(c, 1, 1), 0);
    ens_settle(c);
    ck_assert_int_eq(ens_step(c, 1, (struct raft_event){.type = RAFT_EV_TRANSFER, .peer = 2}), 0);
    ck_assert_int_eq(served_alone(c, 1), 0);
    ens_run(c, 1100 * MS);
    ck_assert_uint_eq(ens_leader(c), 1);
    ck_assert_int_eq(served_alone(c, 1), 1);
    ens_free(c);
}
END_TEST

/* Bug 34, braft #365: a member that answered and restarted must not help to elect another. With nothing on
 * its disk (_i 1) it may have answered all the same. */
START_TEST(a_restarted_voter_keeps_its_patience)
{
    struct ens *c = ens_new(3, 6, leases);
    ens_run(c, ELECTION);
    ens_isolate(c, 3, 0);
    ens_make_leader(c, 1);
    ens_run(c, 600 * MS);
    if (_i == 1) {
        ens_node(c, 3)->disk_manual = 1;
    }
    ens_heal_all(c, 0);
    ens_cut(c, 1, 2, 0); /* from here on only 3 answers 1, and 2 knows no leader soon */
    ens_cut(c, 2, 3, 0);
    ens_run(c, 2000 * MS);
    ck_assert_uint_eq(ens_leader(c), 1);
    ck_assert_uint_ne(ens_status(c, 1).lease_until, 0);
    raft_ns until = ens_status(c, 1).lease_until;
    ens_isolate(c, 1, 0);
    ens_crash(c, 3);
    ens_node(c, 3)->disk_manual = 0;
    ens_restart(c, 3);
    ens_heal(c, 2, 3, 0);
    if (_i == 1) {
        ck_assert_uint_eq(ens_status(c, 3).term, 0);
    }
    while (c->now < until) {
        (void)ens_step(c, 2, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
        ens_settle(c);
        ck_assert_uint_eq(ens_leader(c), 1);
        (void)served_alone(c, 1);
        ens_run(c, 5 * MS);
    }
    ens_run(c, 5000 * MS);
    ck_assert_uint_ge(ens_leader(c), 2);
    ens_free(c);
}
END_TEST

/* A stranger's later term reaches a patient member by an answer, and its request for a vote after that. */
START_TEST(a_later_term_does_not_end_patience)
{
    struct ens *c = group(7);
    struct raft_status s = ens_status(c, 2);
    struct raft_msg answer = {.type = RAFT_MSG_APPEND_REPLY,
                              .flags = RAFT_FLAG_REJECT,
                              .from = 3,
                              .to = 2,
                              .term = s.term + 1};
    struct raft_msg vote = {.type = RAFT_MSG_VOTE,
                            .from = 3,
                            .to = 2,
                            .term = s.term + 1,
                            .seq = 9,
                            .index = s.last,
                            .log_term = raft_entry_at(ens_node(c, 2)->raft, s.last)->term};
    ens_isolate(c, 2, 0);
    ens_link(c, 3, 2)->cut = 0;
    ens_inject(c, &answer, 0);
    ck_assert_uint_eq(ens_status(c, 2).term, s.term + 1);
    ens_inject(c, &vote, 0);
    ck_assert_uint_eq(ens_status(c, 2).vote, 0);
    ens_run(c, 501 * MS);
    ens_inject(c, &vote, 0);
    ck_assert_uint_eq(ens_status(c, 2).vote, 3); /* patience has an end */
    ens_free(c);
}
END_TEST

START_TEST(a_new_leader_waits_for_its_first_entry)
{
    struct ens *c = group(8);
    ens_crash(c, 1);
    ens_link(c, 2, 3)->drop_type = RAFT_MSG_APPEND;
    ens_link(c, 3, 2)->drop_type = RAFT_MSG_APPEND;
    for (int i = 0; i < 300 && ens_leader(c) == 0; i++) {
        ens_run(c, 10 * MS);
    }
    raft_id leader = ens_leader(c);
    ck_assert_uint_ge(leader, 2);
    ens_run(c, 100 * MS);
    ck_assert_uint_eq(ens_status(c, leader).lease_until, 0);
    ck_assert_int_eq(served_alone(c, leader), 0);
    ens_link(c, 2, 3)->drop_type = 0;
    ens_link(c, 3, 2)->drop_type = 0;
    (void)ens_elect(c);
    ens_run(c, 100 * MS);
    ck_assert_int_eq(served_alone(c, ens_leader(c)), 1);
    ens_free(c);
}
END_TEST

/* The leader goes (0), or stays (1). */
START_TEST(no_lease_while_joint_or_without_a_vote)
{
    struct ens *c = group(9);
    uint32_t target = _i == 0 ? ID(2) | ID(3) : ID(1) | ID(2);
    for (uint32_t a = 1; a <= 3; a++) {
        for (uint32_t b = 1; b <= 3; b++) {
            ens_link(c, a, b)->delay = 5 * MS;
        }
    }
    ens_run(c, 200 * MS);
    ck_assert_int_eq(served_alone(c, 1), 1);
    ck_assert_int_eq(ens_change(c, 1, target, 0), 0);
    int joint = 0;
    while (ens_status(c, 1).role == RAFT_LEADER && (_i == 0 || ens_status(c, 1).joint)) {
        joint += ens_status(c, 1).joint;
        ck_assert_int_eq(served_alone(c, 1), 0);
        ens_run(c, MS);
    }
    ck_assert_int_gt(joint, 5);
    ens_await_config(c, target, 0);
    ens_run(c, 200 * MS);
    ck_assert_int_eq(served_alone(c, ens_leader(c)), 1);
    ens_free(c);
}
END_TEST

/* 2 has just answered the leader; 3 would vote for anybody. */
START_TEST(an_operator_cannot_break_a_lease)
{
    struct ens *c = group(11);
    ens_cut(c, 1, 3, 0);
    ens_cut(c, 2, 3, 0);
    ens_run(c, 1000 * MS);
    ck_assert_uint_eq(ens_leader(c), 1);
    raft_ns until = ens_status(c, 1).lease_until;
    ck_assert_uint_gt(until, c->now + 400 * MS);
    ens_cut(c, 1, 2, 0);
    ens_heal(c, 2, 3, 0);
    while (c->now < until) {
        (void)ens_step(c, 2, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
        ens_settle(c);
        ck_assert_uint_eq(ens_leader(c), 1);
        ens_run(c, 10 * MS);
    }
    (void)ens_step(c, 2, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    ens_settle(c);
    ck_assert_uint_eq(ens_leader(c), 2);
    ens_free(c);
}
END_TEST

START_TEST(alone_a_lease_never_ends)
{
    struct ens *c = ens_new(1, 10, leases);
    ck_assert_uint_eq(ens_elect(c), 1);
    ck_assert_int_eq(served_alone(c, 1), 1);
    ens_run(c, 5000 * MS);
    ck_assert_int_eq(served_alone(c, 1), 1);
    ens_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_lease");
    TCase *t = tcase_create("lease");
    tcase_add_test(t, the_option_needs_patience_that_lasts);
    tcase_add_test(t, a_leader_answers_at_once);
    tcase_add_test(t, not_asked_for_or_not_configured_means_a_round);
    tcase_add_loop_test(t, a_lease_ends_before_anybody_can_be_elected, 0, 12);
    tcase_add_test(t, late_answers_make_no_lease);
    tcase_add_test(t, a_transfer_ends_the_lease_for_good);
    tcase_add_test(t, a_transfer_that_was_never_ordered_only_suspends);
    tcase_add_loop_test(t, a_restarted_voter_keeps_its_patience, 0, 2);
    tcase_add_test(t, a_later_term_does_not_end_patience);
    tcase_add_test(t, a_new_leader_waits_for_its_first_entry);
    tcase_add_loop_test(t, no_lease_while_joint_or_without_a_vote, 0, 2);
    tcase_add_test(t, an_operator_cannot_break_a_lease);
    tcase_add_test(t, alone_a_lease_never_ends);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
