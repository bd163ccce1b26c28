/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the checksum is CRC-32C, whichever way it is computed.
 * Method: published answers (RFC 3720 B.4), a bit-by-bit computation of its own, and the table against
 * the processor's instruction for random inputs, alignments and cuts.
 */
#include "raft/storage/crc32c.h"
#include "tests/lib/walkit.h"

#include <check.h>
#include <string.h>

/* The definition, one bit at a time. */
static uint32_t by_bits(const uint8_t *p, size_t len)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
        }
    }
    return ~crc;
}

START_TEST(published_answers)
{
    uint8_t buf[32];
    ck_assert_uint_eq(raft__crc32c(0, "", 0), 0);
    ck_assert_uint_eq(raft__crc32c(0, "123456789", 9), 0xe3069283u);
    memset(buf, 0, sizeof buf);
    ck_assert_uint_eq(raft__crc32c(0, buf, sizeof buf), 0x8a9136aau);
    memset(buf, 0xff, sizeof buf);
    ck_assert_uint_eq(raft__crc32c(0, buf, sizeof buf), 0x62a8ab43u);
    for (int i = 0; i < 32; i++) {
        buf[i] = (uint8_t)(31 - i);
    }
    ck_assert_uint_eq(raft__crc32c(0, buf, sizeof buf), 0x113fdb5cu);
}
END_TEST

START_TEST(all_ways_agree)
{
    static uint8_t buf[5000];
    uint64_t rng = 11;
    for (size_t i = 0; i < sizeof buf; i++) {
        buf[i] = (uint8_t)walkit_draw(&rng);
    }
    for (int i = 0; i < 2000; i++) {
        size_t at = walkit_draw(&rng) % 64;
        size_t len = walkit_draw(&rng) % (i % 10 == 0 ? 4900 : 70);
        size_t cut = len == 0 ? 0 : walkit_draw(&rng) % len;
        uint32_t crc = by_bits(buf + at, len);
        ck_assert_uint_eq(raft__crc32c(0, buf + at, len), crc);
        ck_assert_uint_eq(raft__crc32c_table(0, buf + at, len), crc);
        uint32_t first = raft__crc32c(0, buf + at, cut);
        ck_assert_uint_eq(raft__crc32c(first, buf + at + cut, len - cut), crc);
        ck_assert_uint_eq(raft__crc32c_table(first, buf + at + cut, len - cut), crc);
    }
}
END_TEST

/* On the machines that this is meant for the instruction is in use. */
START_TEST(the_instruction_is_used)
{
#if defined(__x86_64__)
    ck_assert_int_eq(raft__crc32c_is_hardware(), __builtin_cpu_supports("sse4.2") != 0);
#else
    ck_assert_int_ge(raft__crc32c_is_hardware(), 0);
#endif
}
END_TEST

int main(void)
{
    Suite *s = suite_create("crc32c");
    TCase *tc = tcase_create("crc32c");
    tcase_add_test(tc, published_answers);
    tcase_add_test(tc, all_ways_agree);
    tcase_add_test(tc, the_instruction_is_used);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
