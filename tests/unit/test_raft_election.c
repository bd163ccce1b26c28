/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: elections end with one leader, quickly, and nobody is disturbed without need.
 * Method: ensembles in memory (tests/lib/raft_cluster.h) under chosen losses of links and members;
 * the harness checks the rules of Raft after every event.
 */
#include <check.h>
#include <stdlib.h>
#include "tests/lib/raft_cluster.h"

START_TEST(fresh_ensemble_elects_within_one_timeout)
{
    struct cluster *c = cluster_new(3, (uint64_t)_i + 1, NULL);
    cluster_run(c, 1100 * CLUSTER_MS);
    raft_id leader = cluster_leader(c);
    ck_assert_uint_ne(leader, 0);
    ck_assert_int_eq(cluster_status(c, leader).leader_ready, 1);
    cluster_run(c, 100 * CLUSTER_MS);
    for (raft_id id = 1; id <= 3; id++) {
        ck_assert_uint_eq(cluster_status(c, id).leader, leader);
    }
    ck_assert_int_eq(cluster_propose(c, leader, 20), 0);
    cluster_settle(c);
    cluster_assert_equal(c);
    cluster_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_election");
    TCase *t = tcase_create("elections");
    tcase_add_loop_test(t, fresh_ensemble_elects_within_one_timeout, 0, 20);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
