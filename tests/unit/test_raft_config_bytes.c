/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the payload of a CONFIG entry is exactly what its format says, and nothing else is taken for one.
 * Method: an encoding compared byte for byte; every configuration that makes sense comes back; every single
 * changed byte either is refused or decodes to a configuration that encodes to these very bytes.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <coord/raft_storage.h>

static struct raft_config full(void)
{
    struct raft_config c;
    memset(&c, 0, sizeof(c));
    c.count = RAFT_NODES_MAX;
    for (uint32_t i = 0; i < c.count; i++) {
        c.members[i].id = 100000 * (i + 1);
        c.members[i].roles = i % 2 == 0 ? RAFT_VOTER : RAFT_LEARNER;
    }
    return c;
}

START_TEST(the_bytes_are_those_of_the_format)
{
    static const unsigned char head[] = {2, 0, 0, 0, 1, 0, 0, 0, 4,  3, 2, 1,
                                         3, 0, 0, 0, 9, 3, 2, 1, 34, 0, 0, 0};
    unsigned char bytes[RAFT_CONFIG_BYTES];
    struct raft_config c;
    memset(&c, 0xee, sizeof(c)); /* what is beyond the count must not show */
    c.count = 2;
    c.members[0] = (struct raft_member){0x01020304, RAFT_VOTER | RAFT_VOTER_OLD};
    c.members[1] = (struct raft_member){0x01020309, RAFT_VOTER_OLD | RAFT_REMOVE};
    memset(bytes, 0xcc, sizeof(bytes));
    raft_config_encode(&c, bytes);
    ck_assert_mem_eq(bytes, head, sizeof(head));
    for (size_t i = sizeof(head); i < sizeof(bytes); i++) {
        ck_assert_uint_eq(bytes[i], 0);
    }
}
END_TEST

START_TEST(what_was_encoded_comes_back)
{
    unsigned char bytes[RAFT_CONFIG_BYTES + 40];
    struct raft_config c = full();
    for (c.count = 0; c.count <= RAFT_NODES_MAX; c.count++) {
        struct raft_config back;
        struct raft_config wanted = c;
        memset(wanted.members + c.count, 0, (RAFT_NODES_MAX - c.count) * sizeof(wanted.members[0]));
        memset(&back, 0x55, sizeof(back));
        memset(bytes, 0x77, sizeof(bytes)); /* a host's own bytes may follow */
        raft_config_encode(&c, bytes);
        ck_assert_int_eq(raft_config_decode(bytes, sizeof(bytes), &back), 0);
        ck_assert_mem_eq(&back, &wanted, sizeof(back));
    }
}
END_TEST

START_TEST(nonsense_is_refused)
{
    unsigned char bytes[RAFT_CONFIG_BYTES];
    struct raft_config c = full();
    struct raft_config back = c;
    raft_config_encode(&c, bytes);
    for (size_t len = 0; len < RAFT_CONFIG_BYTES; len++) {
        ck_assert_int_eq(raft_config_decode(bytes, len, &back), RAFT_STORE_ECORRUPT);
    }
    ck_assert_int_eq(raft_config_decode(NULL, 0, &back), RAFT_STORE_ECORRUPT);
    bytes[4] = 2; /* a later version */
    ck_assert_int_eq(raft_config_decode(bytes, sizeof(bytes), &back), RAFT_STORE_ECORRUPT);
    bytes[4] = 1;
    bytes[0] = RAFT_NODES_MAX + 1;
    ck_assert_int_eq(raft_config_decode(bytes, sizeof(bytes), &back), RAFT_STORE_ECORRUPT);
    bytes[0] = RAFT_NODES_MAX - 1; /* a member beyond the count */
    ck_assert_int_eq(raft_config_decode(bytes, sizeof(bytes), &back), RAFT_STORE_ECORRUPT);
    ck_assert_mem_eq(&back, &c, sizeof(c)); /* written on success only */
}
END_TEST

START_TEST(each_configuration_has_one_encoding)
{
    unsigned char bytes[RAFT_CONFIG_BYTES];
    unsigned char again[RAFT_CONFIG_BYTES];
    struct raft_config c = full();
    struct raft_config back;
    int taken = 0;
    c.count = 9;
    raft_config_encode(&c, bytes);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        unsigned char was = bytes[i];
        for (int v = 0; v < 256; v++) {
            bytes[i] = (unsigned char)v;
            if (raft_config_decode(bytes, sizeof(bytes), &back) == 0) {
                raft_config_encode(&back, again);
                ck_assert_mem_eq(again, bytes, sizeof(bytes));
                taken++;
            }
        }
        bytes[i] = was;
    }
    ck_assert_int_gt(taken, (int)sizeof(bytes));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_config_bytes");
    TCase *t = tcase_create("payload");
    tcase_add_test(t, the_bytes_are_those_of_the_format);
    tcase_add_test(t, what_was_encoded_comes_back);
    tcase_add_test(t, nonsense_is_refused);
    tcase_add_test(t, each_configuration_has_one_encoding);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
