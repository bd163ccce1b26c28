/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_buf.c: goal: a buffer keeps its bytes while it grows and is shared, lives exactly as long as
 * it has holders (two threads counting at once included), and refuses sizes it cannot have.
 * Method: direct calls; leaks and use after free are the address sanitizer's to find.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "protocol/buf.h"

START_TEST(create_is_empty_and_aligned)
{
    struct coord_buf *b = coord_buf_create(100);
    ck_assert_ptr_nonnull(b);
    ck_assert_uint_eq(b->refs, 1);
    ck_assert_uint_eq(b->len, 0);
    ck_assert_uint_ge(b->cap, 100);
    ck_assert_uint_eq((uintptr_t)b->data % sizeof(uint64_t), 0);
    memset(b->data, 0xa5, b->cap);
    coord_buf_unref(b);
}
END_TEST

START_TEST(copy_holds_the_bytes)
{
    static const uint8_t bytes[] = {0, 1, 2, 255};
    struct coord_buf *b = coord_buf_copy(bytes, sizeof(bytes));
    ck_assert_ptr_nonnull(b);
    ck_assert_uint_eq(b->len, sizeof(bytes));
    ck_assert_mem_eq(b->data, bytes, sizeof(bytes));
    coord_buf_unref(b);
    b = coord_buf_copy(NULL, 0);
    ck_assert_ptr_nonnull(b);
    ck_assert_uint_eq(b->len, 0);
    coord_buf_unref(b);
}
END_TEST

START_TEST(null_is_accepted)
{
    ck_assert_ptr_null(coord_buf_ref(NULL));
    coord_buf_unref(NULL);
}
END_TEST

START_TEST(last_unref_frees)
{
    struct coord_buf *b = coord_buf_copy("x", 1);
    ck_assert_ptr_eq(coord_buf_ref(b), b);
    ck_assert_uint_eq(b->refs, 2);
    coord_buf_unref(b);
    ck_assert_uint_eq(b->refs, 1);
    ck_assert_uint_eq(b->data[0], 'x');
    coord_buf_unref(b);
}
END_TEST

START_TEST(append_grows_and_keeps)
{
    struct coord_buf *b = NULL;
    uint32_t moves = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t cap = b != NULL ? b->cap : 0;
        uint8_t byte = (uint8_t)(i * 7 + i / 256);
        ck_assert_int_eq(coord_buf_append(&b, &byte, 1), 0);
        moves += b->cap != cap ? 1 : 0;
    }
    ck_assert_uint_eq(b->len, 100000);
    /* Doubling: about log2(100000 / 64) moves, not one per byte. */
    ck_assert_uint_le(moves, 14);
    for (uint32_t i = 0; i < b->len; i++) {
        ck_assert_uint_eq(b->data[i], (uint8_t)(i * 7 + i / 256));
    }
    ck_assert_int_eq(coord_buf_append(&b, NULL, 0), 0);
    ck_assert_uint_eq(b->len, 100000);
    coord_buf_unref(b);
}
END_TEST

START_TEST(append_into_room_does_not_move)
{
    struct coord_buf *b = coord_buf_create(8);
    struct coord_buf *before = b;
    ck_assert_int_eq(coord_buf_append(&b, "12345678", 8), 0);
    ck_assert_ptr_eq(b, before);
    ck_assert_mem_eq(b->data, "12345678", 8);
    coord_buf_unref(b);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
    ck_assert_ptr_null(coord_buf_create(SIZE_MAX));
    ck_assert_ptr_null(coord_buf_create((size_t)UINT32_MAX + 1));
    ck_assert_ptr_null(coord_buf_create(UINT32_MAX));
    struct coord_buf *b = coord_buf_copy("abc", 3);
    struct coord_buf *before = b;
    /* The size is refused before a byte is looked at. */
    ck_assert_int_eq(coord_buf_append(&b, "abc", SIZE_MAX), COORD_ENOMEM);
    ck_assert_int_eq(coord_buf_append(&b, "abc", UINT32_MAX), COORD_ENOMEM);
    ck_assert_ptr_eq(b, before);
    ck_assert_uint_eq(b->len, 3);
    ck_assert_mem_eq(b->data, "abc", 3);
    coord_buf_unref(b);
    b = NULL;
    ck_assert_int_eq(coord_buf_append(&b, "abc", SIZE_MAX), COORD_ENOMEM);
    ck_assert_ptr_null(b);
}
END_TEST

static void *hold_and_let_go(void *arg)
{
    struct coord_buf *b = arg;
    for (uint32_t i = 0; i < 200000; i++) {
        coord_buf_unref(coord_buf_ref(b));
    }
    coord_buf_unref(b);
    return NULL;
}

START_TEST(threads_count_together)
{
    pthread_t threads[3];
    struct coord_buf *b = coord_buf_copy("shared", 6);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_and_let_go, coord_buf_ref(b)), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_eq(b->refs, 1);
    ck_assert_mem_eq(b->data, "shared", 6);
    coord_buf_unref(b);
}
END_TEST

/* A thread that keeps memory: what is freed is used again, whatever size of its class is asked for next,
 * and a buffer may be freed by a thread that keeps none. Under the address sanitizer nothing is kept. */
START_TEST(a_pool_keeps_memory)
{
    coord_buf_pool_begin();
    for (size_t cap = 0; cap < 70000; cap += 1 + cap / 7) {
        struct coord_buf *b = coord_buf_create(cap);
        ck_assert_ptr_nonnull(b);
        ck_assert_uint_eq(b->cap, cap);
        memset(b->data, 0x5a, cap);
        coord_buf_unref(b);
    }
    struct coord_buf *first = coord_buf_create(1000);
    uintptr_t place = (uintptr_t)first;
    coord_buf_unref(first);
    struct coord_buf *again = coord_buf_create(1001);
    ck_assert_uint_eq(again->refs, 1);
    ck_assert_uint_eq(again->len, 0);
    ck_assert_uint_eq(again->cap, 1001);
#if !defined(__SANITIZE_ADDRESS__)
    ck_assert_uint_eq((uintptr_t)again, place);
#else
    (void)place;
#endif
    for (uint32_t i = 0; i < 9000; i++) { /* beyond its class */
        uint8_t byte = (uint8_t)(i % 251);
        ck_assert_int_eq(coord_buf_append(&again, &byte, 1), 0);
    }
    for (uint32_t i = 0; i < 9000; i++) {
        ck_assert_uint_eq(again->data[i], i % 251);
    }
    coord_buf_unref(again);
    struct coord_buf *many[600];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 600; i++) {
            many[i] = coord_buf_create(900 + i);
            ck_assert_ptr_nonnull(many[i]);
            many[i]->len = many[i]->cap;
            memset(many[i]->data, (int)(i & 0xff), many[i]->len);
        }
        for (size_t i = 0; i < 600; i++) {
            ck_assert_uint_eq(many[i]->data[0], i & 0xff);
            ck_assert_uint_eq(many[i]->data[many[i]->len - 1], i & 0xff);
            coord_buf_unref(many[i]);
        }
    }
    struct coord_buf *elsewhere = coord_buf_create(500);
    coord_buf_pool_end();
    coord_buf_unref(elsewhere); /* nothing is kept any more */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf");
    TCase *tc = tcase_create("buf");
    tcase_add_test(tc, create_is_empty_and_aligned);
    tcase_add_test(tc, copy_holds_the_bytes);
    tcase_add_test(tc, null_is_accepted);
    tcase_add_test(tc, a_pool_keeps_memory);
    tcase_add_test(tc, last_unref_frees);
    tcase_add_test(tc, append_grows_and_keeps);
    tcase_add_test(tc, append_into_room_does_not_move);
    tcase_add_test(tc, impossible_sizes_are_refused);
    tcase_add_test(tc, threads_count_together);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
