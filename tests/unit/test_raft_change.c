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

#define MS    ENS_MS
#define ID(n) ((uint32_t)1 << ((n)-1))

START_TEST(a_voter_is_added_and_counts)
{
    struct ens *c = ens_new(1, 1, NULL);
    raft_id two = ens_join(c, NULL);
    ck_assert_uint_eq(ens_elect(c), 1);
    ck_assert_int_eq(ens_propose(c, 1, 20), 0);
    ck_assert_int_eq(ens_change(c, 1, ID(1) | ID(2), 0), 0);
    ens_await_config(c, ID(1) | ID(2), 0);
    ens_run(c, 500 * MS);
    ens_assert_equal(c);
    ck_assert_uint_eq(ens_roles(c, two, 1), RAFT_VOTER);
    ck_assert_int_eq(ens_status(c, two).joint, 0);
    /* Two voters: nothing is committed without the new one. */
    ens_cut(c, 1, 2, 0);
    raft_index before = ens_status(c, 1).commit;
    ck_assert_int_eq(ens_propose(c, 1, 1), 0);
    ens_settle(c);
    ck_assert_uint_eq(ens_status(c, 1).commit, before);
    ens_heal(c, 1, 2, 0);
    (void)ens_elect(c);
    ens_run(c, 1000 * (raft_ns)MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_change");
    TCase *t = tcase_create("change");
    tcase_add_test(t, a_voter_is_added_and_counts);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
