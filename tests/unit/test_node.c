/* SPDX-License-Identifier: Apache-2.0 */
/* test_node.c
 * Goal: one member alone: requests at the level of protocol bytes, their order, sessions, watches,
 * refusals, back-pressure, restart. Method: an ensemble of one in simulated time (node_cluster.h). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_cluster.h"

static struct cluster *cl;
static struct cluster_options options;

static void setup_options(void)
{
    cluster_options_init(&options, 1);
}

static void begin(void)
{
    cl = cluster_create(&options);
    ck_assert_uint_eq(cluster_wait_leader(cl, 5 * CLUSTER_S), 1);
}

static void teardown(void)
{
    cluster_destroy(cl);
    cl = NULL;
}

START_TEST(write_and_read)
{
    begin();
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_int_eq(client_hello(c), 0);
    ck_assert_int_eq(client_create(c, "/a", "one", 0), 0);
    ck_assert_int_eq(client_get(c, "/a", "one"), 0);
    ck_assert_int_eq(client_set(c, "/a", "two"), 0);
    ck_assert_int_eq(client_get(c, "/a", "two"), 0);
    ck_assert_int_eq(client_create(c, "/a", "three", 0), COORD_EEXISTS);
    ck_assert_int_eq(client_get(c, "/none", ""), COORD_ENONODE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node");
    TCase *t = tcase_create("one member");
    tcase_add_checked_fixture(t, setup_options, teardown);
    tcase_add_test(t, write_and_read);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
