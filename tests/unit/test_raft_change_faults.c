/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a change of members survives lost leaders, old messages, snapshots and restarts, wholly or not at
 * all, and any number of changes can follow each other.
 * Method: as test_raft_change.c; links are slow, so that a test can stop in the middle of a change.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/raft_ensemble.h"

#define MS    ((raft_ns)ENS_MS)
#define ID(n) ((uint32_t)1 << ((n)-1))

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
    ens_slow(c, 3 * MS);
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

/* Bug 37, camunda #62842: that the joint entry is committed is known here, but the new leader has committed
 * nothing of its own term yet. */
START_TEST(a_new_leader_leaves_joint_after_its_first_entry)
{
    struct ens *c = group(3, 2, NULL);
    ens_slow(c, 4 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(4) | ID(5), 0), 0);
    ens_run_until_joint(c, 4);
    raft_index joint = ens_status(c, 4).config;
    for (raft_id id = 2; id <= 5; id++) {
        ens_link(c, 1, id)->drop_type = RAFT_MSG_APPEND; /* the outcome reaches nobody, beats do */
    }
    ens_run(c, 200 * MS);
    ck_assert_uint_eq(ens_status(c, 4).config, joint);
    ck_assert_uint_ge(ens_status(c, 4).commit, joint);
    ens_isolate(c, 1, 0);
    for (raft_id a = 2; a <= 5; a++) {
        for (raft_id b = 2; b <= 5; b++) {
            ens_link(c, a, b)->drop_type = RAFT_MSG_APPEND;
        }
    }
    for (int i = 0; i < 100 && ens_leader(c) != 4; i++) {
        (void)ens_step(c, 4, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
        ens_run(c, 25 * MS);
    }
    ck_assert_uint_eq(ens_leader(c), 4);
    for (int i = 0; i < 100; i++) {
        ens_run(c, 2 * MS);
        check_haste(c);
    }
    ck_assert_int_eq(ens_status(c, 4).leader_ready, 0);
    ck_assert_uint_eq(ens_status(c, 4).config, joint);
    for (raft_id a = 1; a <= 5; a++) {
        for (raft_id b = 1; b <= 5; b++) {
            ens_link(c, a, b)->drop_type = 0;
        }
    }
    ens_heal_all(c, 0);
    ens_await_config(c, ID(1) | ID(4) | ID(5), 0);
    ens_run(c, 1000 * MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* One half alone, the old (0) or the new one (1), neither commits nor elects. */
START_TEST(joint_needs_both_majorities)
{
    struct ens *c = group(3, 2, NULL);
    raft_id a = _i == 0 ? 4 : 2;
    ens_slow(c, 2 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(4) | ID(5), 0), 0);
    ens_run_until_joint(c, 1);
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
    ens_slow(c, 4 * MS);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(4) | ID(5), 0), 0);
    ens_run_until_joint(c, 4);
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

int main(void)
{
    Suite *s = suite_create("raft_change_faults");
    TCase *t = tcase_create("change");
    tcase_add_test(t, a_new_leader_rolls_an_uncommitted_change_back);
    tcase_add_loop_test(t, a_change_survives_its_leader_at_any_moment, 0, 60);
    tcase_add_test(t, a_new_leader_leaves_joint_after_its_first_entry);
    tcase_add_loop_test(t, joint_needs_both_majorities, 0, 2);
    tcase_add_test(t, an_old_answer_of_a_member_let_in_again_proves_nothing);
    tcase_add_test(t, a_snapshot_supersedes_an_uncommitted_change);
    tcase_add_test(t, restart_from_a_snapshot_taken_while_joint);
    tcase_add_test(t, many_changes_without_a_snapshot);
    tcase_add_test(t, a_leader_whose_host_lags_refuses_further_changes);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
