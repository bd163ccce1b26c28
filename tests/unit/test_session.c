/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the table of sessions and the ring of answers hold what was put, in order, whatever the order of
 * coming and going. Method: random operations against plain arrays.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "server/session/session.h"

static uint64_t seed_state = 0xda3e39cb94b95bdb;

static uint64_t rnd(uint64_t below)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return seed_state % below;
}

START_TEST(sessions_are_found_and_ordered)
{
    enum { IDS = 20000 };
    static bool open[IDS];
    static const uint8_t secret[COORD_SECRET_BYTES] = {1};
    struct pool *p = pool_create();
    struct sessions *ss = sessions_create(p);
    uint64_t count = 0;
    for (uint64_t id = 1; id < IDS; id++) {
        struct session *s = NULL;
        ck_assert_int_eq(sessions_open(ss, id, secret, id * 3, &s), 0);
        ck_assert_uint_eq(s->id, id);
        ck_assert_uint_eq(s->epoch, id);
        ck_assert_uint_eq(s->owned.owner, id);
        open[id] = true;
        count++;
        for (int i = 0; i < 2; i++) {
            uint64_t other = id > 3000 ? 1 + rnd(id) : id;
            s = sessions_find(ss, other);
            ck_assert_int_eq(s != NULL, open[other]);
            if (s != NULL && rnd(3) != 0) {
                sessions_close(ss, s);
                open[other] = false;
                count--;
            }
        }
        ck_assert_uint_eq(sessions_count(ss), count);
    }
    uint64_t last = 0;
    uint64_t met = 0;
    for (const struct session *s = sessions_next(ss, 0); s != NULL; s = sessions_next(ss, last)) {
        for (uint64_t id = last + 1; id < s->id; id++) {
            ck_assert(!open[id]);
        }
        ck_assert(open[s->id]);
        ck_assert_uint_eq(s->timeout_ms, s->id * 3);
        last = s->id;
        met++;
    }
    ck_assert_uint_eq(met, count);
    sessions_destroy(ss);
    ck_assert_uint_eq(pool_bytes(p), 0);
    pool_destroy(p);
}
END_TEST

START_TEST(secrets_compare_by_every_byte)
{
    struct session s = {0};
    uint8_t secret[COORD_SECRET_BYTES];
    for (size_t i = 0; i < COORD_SECRET_BYTES; i++) {
        s.secret[i] = (uint8_t)(i * 17);
        secret[i] = (uint8_t)(i * 17);
    }
    ck_assert(session_secret_equal(&s, secret));
    for (size_t bit = 0; bit < sizeof(secret) * 8; bit++) {
        secret[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!session_secret_equal(&s, secret));
        secret[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(answers_are_kept_by_number)
{
    enum { NUMBERS = 3000 };
    static bool there[NUMBERS];
    struct pool *p = pool_create();
    struct answers a = {0};
    uint64_t acked = 0;
    uint64_t high = 1;
    for (int round = 0; round < 30000; round++) {
        uint64_t number = rnd(3) == 0 ? acked + 1 + rnd(100) : high++;
        if (high >= NUMBERS - 100) {
            break;
        }
        high = number >= high ? number + 1 : high;
        uint8_t body[100];
        uint32_t bytes = (uint32_t)(number * 31 % sizeof(body));
        memset(body, (int)(uint8_t)number, sizeof(body));
        if (!there[number]) {
            bool failed = bytes == 0;
            ck_assert_int_eq(
                answers_put(&a, p, number, failed ? -4 : 0, (struct coord_bytes){body, bytes}), 0);
            there[number] = true;
        }
        const struct answer *kept = answers_find(&a, number);
        ck_assert_ptr_nonnull(kept);
        ck_assert_uint_eq(kept->body_bytes, bytes);
        ck_assert(bytes == 0 || memcmp(kept->body, body, bytes) == 0);
        if (rnd(40) == 0) {
            acked += rnd(high - acked);
            answers_drop(&a, p, acked);
            answers_drop(&a, p, acked);
        }
        uint32_t count = 0;
        uint64_t last = acked;
        for (uint64_t n = acked + 1; n < NUMBERS; n++) {
            count += there[n];
        }
        ck_assert_uint_eq(a.count, count);
        for (uint32_t i = 0; i < a.count; i++) {
            ck_assert_uint_gt(answers_at(&a, i)->number, last);
            last = answers_at(&a, i)->number;
        }
        uint64_t probe = rnd(NUMBERS);
        ck_assert_int_eq(answers_find(&a, probe) != NULL, probe > acked && there[probe]);
    }
    ck_assert_uint_gt(acked, 100);
    answers_finish(&a, p);
    answers_finish(&a, p);
    ck_assert_uint_eq(pool_bytes(p), 0);
    pool_destroy(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("session");
    TCase *c = tcase_create("session");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, sessions_are_found_and_ordered);
    tcase_add_test(c, secrets_compare_by_every_byte);
    tcase_add_test(c, answers_are_kept_by_number);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
