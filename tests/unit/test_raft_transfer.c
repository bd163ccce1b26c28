/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: leadership moves on request, at once, without losing anything, or stays where it was.
 * Method: ensembles in memory; the target is slow, unreachable or the order gets lost.
 */
#include <check.h>
#include <stdlib.h>
#include "tests/lib/raft_ensemble.h"

static struct ens *led_by_1(uint32_t members)
{
    struct ens *c = ens_new(members, 9, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_run(c, 100 * ENS_MS);
    return c;
}

static int transfer(struct ens *c, raft_id from, raft_id to)
{
    return ens_step(c, from, (struct raft_event){.type = RAFT_EV_TRANSFER, .peer = to});
}

START_TEST(leadership_moves_without_waiting)
{
    struct ens *c = led_by_1(3);
    raft_term term = ens_status(c, 1).term;
    ck_assert_int_eq(transfer(c, 1, 3), 0);
    ens_settle(c);
    ck_assert_uint_eq(ens_leader(c), 3);
    ck_assert_uint_eq(ens_status(c, 3).term, term + 1);
    ck_assert_int_eq(ens_propose(c, 3, 5), 0);
    ens_settle(c);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(the_best_target_is_chosen)
{
    struct ens *c = led_by_1(3);
    ens_isolate(c, 2, 1);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_run(c, 100 * ENS_MS);
    ck_assert_int_eq(transfer(c, 1, 0), 0);
    ens_settle(c);
    ck_assert_uint_eq(ens_leader(c), 3);
    ens_free(c);
}
END_TEST

START_TEST(impossible_transfers_are_refused)
{
    struct ens *c = led_by_1(3);
    ck_assert_int_eq(transfer(c, 2, 1), RAFT_ENOTLEADER);
    ck_assert_int_eq(transfer(c, 1, 1), RAFT_EINVAL);
    ck_assert_int_eq(transfer(c, 1, 9), RAFT_EINVAL);
    ens_isolate(c, 2, 0);
    ck_assert_int_eq(transfer(c, 1, 2), 0);
    ck_assert_int_eq(transfer(c, 1, 3), RAFT_EBUSY);
    ens_free(c);
    c = ens_new(1, 3, NULL);
    ck_assert_int_eq(transfer(c, 1, 0), RAFT_EINVAL);
    ens_free(c);
}
END_TEST

/* Bug 35: the target gets the order only when its disk has everything. */
START_TEST(slow_target_is_waited_for)
{
    struct ens *c = led_by_1(3);
    ens_node(c, 2)->disk_manual = 1;
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_settle(c);
    ck_assert_int_eq(transfer(c, 1, 2), 0);
    ens_settle(c);
    ck_assert_uint_eq(ens_leader(c), 1);
    ck_assert_int_eq(ens_propose(c, 1, 1), RAFT_ETRANSFER);
    ens_run(c, 200 * ENS_MS);
    ck_assert_uint_eq(ens_node(c, 1)->sent[RAFT_MSG_TIMEOUT_NOW], 0);
    ens_node(c, 2)->disk_manual = 0;
    ens_disk(c, 2, RAFT_IO_MAX);
    ens_settle(c);
    ck_assert_uint_eq(ens_leader(c), 2);
    ens_run(c, 100 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(order_beyond_the_own_disk_is_ignored)
{
    struct ens *c = led_by_1(3);
    struct raft_status s = ens_status(c, 2);
    struct raft_msg m = {.type = RAFT_MSG_TIMEOUT_NOW,
                         .from = 1,
                         .to = 2,
                         .term = s.term,
                         .seq = 1000,
                         .index = s.last + 1,
                         .log_term = s.term};
    ens_inject(c, &m, 0);
    ck_assert_int_eq(ens_status(c, 2).role, RAFT_FOLLOWER);
    m.index = s.last;
    m.from = 3; /* not the leader */
    ens_inject(c, &m, 0);
    ck_assert_int_eq(ens_status(c, 2).role, RAFT_FOLLOWER);
    m.from = 1;
    ens_inject(c, &m, 0);
    ck_assert_int_eq(ens_status(c, 2).role, RAFT_CANDIDATE);
    ens_free(c);
}
END_TEST

START_TEST(failed_transfer_ends_and_the_leader_goes_on)
{
    struct ens *c = led_by_1(3);
    ens_link(c, 1, 2)->drop_type = RAFT_MSG_TIMEOUT_NOW;
    ck_assert_int_eq(transfer(c, 1, 2), 0);
    ens_run(c, 500 * ENS_MS);
    ck_assert_uint_eq(ens_status(c, 1).transfer_to, 2);
    ck_assert_int_eq(ens_propose(c, 1, 1), RAFT_ETRANSFER);
    ens_run(c, 510 * ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 1);
    ck_assert_uint_eq(ens_status(c, 1).transfer_to, 0);
    ck_assert_int_eq(ens_propose(c, 1, 1), 0);
    ens_free(c);
}
END_TEST

START_TEST(lost_order_is_repeated)
{
    struct ens *c = led_by_1(3);
    ens_link(c, 1, 2)->drop_type = RAFT_MSG_TIMEOUT_NOW;
    ck_assert_int_eq(transfer(c, 1, 2), 0);
    ens_settle(c);
    ens_link(c, 1, 2)->drop_type = 0;
    ens_run(c, 60 * ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 2);
    ens_free(c);
}
END_TEST

START_TEST(reads_go_on_during_a_transfer)
{
    struct ens *c = led_by_1(3);
    ens_isolate(c, 2, 0);
    ck_assert_int_eq(transfer(c, 1, 2), 0);
    ck_assert_int_eq(ens_read(c, 1, 1), 0);
    ens_settle(c);
    ck_assert_int_eq(ens_read_result(c, 1, 1, NULL), RAFT_READ_OK);
    ens_free(c);
}
END_TEST

static void disk_full(struct ens *c, raft_id id, int is_full)
{
    struct raft_event ev = {.type = RAFT_EV_DISK, .value = is_full ? 0 : 1};
    ck_assert_int_eq(ens_step(c, id, ev), 0);
}

/* faults.md D6: two members with room can serve writes, so one of them leads. */
START_TEST(full_disk_hands_over_to_one_with_room)
{
    struct ens *c = led_by_1(3);
    disk_full(c, 2, 1);
    ens_run(c, 200 * ENS_MS); /* it tells the leader with its next answer */
    disk_full(c, 1, 1);
    ens_run(c, 200 * ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 1); /* others may be about to say the same */
    ens_run(c, 800 * ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 3);
    ck_assert_int_eq(ens_propose(c, 3, 5), 0);
    disk_full(c, 1, 0);
    disk_full(c, 2, 0);
    ens_run(c, 500 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* A leader's first entry needs no more than the reserve: without it there would be no reads either. */
START_TEST(full_everywhere_a_new_leader_serves_reads)
{
    struct ens *c = led_by_1(3);
    disk_full(c, 1, 1);
    disk_full(c, 2, 1);
    disk_full(c, 3, 1);
    ck_assert_int_eq(transfer(c, 1, 2), 0);
    ens_run(c, 300 * ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 2);
    ck_assert(ens_status(c, 2).leader_ready);
    ck_assert_int_eq(ens_propose(c, 2, 1), RAFT_ENOSPACE);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(full_everywhere_leads_on)
{
    struct ens *c = led_by_1(3);
    raft_term term = ens_status(c, 1).term;
    disk_full(c, 2, 1);
    disk_full(c, 3, 1);
    ens_run(c, 200 * ENS_MS);
    disk_full(c, 1, 1);
    ens_run(c, 3000 * ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 1);
    ck_assert_uint_eq(ens_status(c, 1).term, term);
    ck_assert_int_eq(ens_propose(c, 1, 1), RAFT_ENOSPACE);
    disk_full(c, 1, 0);
    disk_full(c, 2, 0);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_run(c, 200 * ENS_MS);
    ck_assert_uint_eq(ens_leader(c), 1);
    ens_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_transfer");
    TCase *t = tcase_create("transfer");
    tcase_add_test(t, leadership_moves_without_waiting);
    tcase_add_test(t, the_best_target_is_chosen);
    tcase_add_test(t, impossible_transfers_are_refused);
    tcase_add_test(t, slow_target_is_waited_for);
    tcase_add_test(t, order_beyond_the_own_disk_is_ignored);
    tcase_add_test(t, failed_transfer_ends_and_the_leader_goes_on);
    tcase_add_test(t, lost_order_is_repeated);
    tcase_add_test(t, full_disk_hands_over_to_one_with_room);
    tcase_add_test(t, full_everywhere_leads_on);
    tcase_add_test(t, full_everywhere_a_new_leader_serves_reads);
    tcase_add_test(t, reads_go_on_during_a_transfer);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
