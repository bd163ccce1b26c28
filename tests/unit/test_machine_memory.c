/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a node costs at most 110 bytes over its name and its data (performance.md), and what is deleted is
 * given back. Method: 100,000 nodes with names of 16 bytes, in several shapes and orders, through
 * machine_apply; counted twice: by the store's own account and by malloc's.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include "server/machine/machine_internal.h"
#include "tests/unit/test_machine_fixture.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0 /* else every object comes from a malloc that adds to it as it likes */
#endif

#define NODES    (SANITIZED ? 10000u : 100000u)
#define PER_NODE 110u
#define REGION   (1100u * 1024u) /* of the pool, taken from malloc at once and not yet full */

struct shape {
    const char *name;
    uint32_t per_parent; /* children of each; 0: one parent has all */
    bool shuffled;
    uint32_t data_bytes;
};

static const struct shape shapes[] = {
    {"one parent, ascending", 0, false, 100},     {"one parent, shuffled", 0, true, 100},
    {"100 a parent, ascending", 100, false, 100}, {"100 a parent, shuffled", 100, true, 100},
    {"100 a parent, no data", 100, false, 0},     {"10 a parent, ascending", 10, false, 100},
};

/* A ck_assert for each of many requests would take longer than they do. */
static void apply_request(struct machine *m, uint64_t revision, const struct coord_request *q)
{
    static struct coord_buf *b;
    struct machine_outcome o;
    struct entry e = {.kind = ENTRY_REQUEST, .time_ms = 1};
    uint8_t bytes[512];
    if (b != NULL) {
        b->len = 0;
    }
    if (coord_request_encode(q, &b) != 0 || b->len > sizeof(bytes) - ENTRY_HEADER_BYTES) {
        ck_abort_msg("the request does not encode");
    }
    e.body_bytes = b->len - COORD_FRAME_HEADER_BYTES;
    entry_header_encode(&e, bytes);
    memcpy(bytes + ENTRY_HEADER_BYTES, b->data + COORD_FRAME_HEADER_BYTES, e.body_bytes);
    machine_apply(m, revision, bytes, ENTRY_HEADER_BYTES + e.body_bytes, &o);
    if (o.error != 0) {
        ck_abort_msg("refused: %d", o.error);
    }
}

/* The path of the i-th node: names have 16 bytes. */
static void path_of(const struct shape *s, uint32_t i, char *out, size_t out_bytes)
{
    uint64_t key = s->shuffled ? (i * 2654435761ull) % 4294967296ull : i;
    (void)snprintf(out, out_bytes, "/p%06u/node-%011" PRIu64,
                   s->per_parent == 0 ? 0 : i / s->per_parent, key);
}

static uint64_t store_bytes(const struct machine *m)
{
    return pool_bytes(m->state.pool) + store_index_bytes(m->state.store);
}

static uint64_t malloc_bytes(void)
{
    struct mallinfo2 i = mallinfo2();
    return (uint64_t)i.uordblks + i.hblkhd;
}

START_TEST(a_node_costs_little)
{
    const struct shape *s = &shapes[_i];
    uint8_t data[100] = {1};
    char path[64];
    struct machine_limits l;
    machine_limits_init(&l);
    uint64_t malloc_before = malloc_bytes();
    struct machine *m = machine_create(&l);
    uint64_t empty = store_bytes(m);
    for (uint32_t i = 0; i < NODES; i++) {
        path_of(s, i, path, sizeof(path));
        struct coord_request q = {.number = 1,
                                  .op = COORD_OP_CREATE,
                                  .path = str(path),
                                  .data = {s->data_bytes == 0 ? NULL : data, s->data_bytes},
                                  .flags = COORD_F_PARENTS};
        apply_request(m, i + 1, &q);
    }
    struct machine_stats st;
    machine_stats(m, &st);
    uint64_t payload = st.data_bytes + store_name_bytes(m->state.store);
    double own = (double)(store_bytes(m) - payload) / (double)st.nodes;
    printf("%-26s %6.1f bytes a node over name and data\n", s->name, own);
    ck_assert_uint_eq(st.data_bytes, (uint64_t)NODES * s->data_bytes);
    if (!SANITIZED) {
        uint64_t taken = malloc_bytes() - malloc_before;
        double real = (double)(taken - REGION - payload) / (double)st.nodes;
        printf("%-26s %6.1f by malloc's account\n", "", real);
        ck_assert_double_le(own, PER_NODE);
        ck_assert_double_le(real, PER_NODE);
    }
    for (uint32_t i = 0; i < NODES; i++) {
        path_of(s, i, path, sizeof(path));
        struct coord_request q = {.number = 1,
                                  .op = COORD_OP_DELETE,
                                  .path = str(path),
                                  .expect_version = COORD_VERSION_ANY};
        apply_request(m, NODES + i + 1, &q);
    }
    uint32_t parents = s->per_parent == 0 ? 1 : NODES / s->per_parent;
    for (uint32_t i = 0; i < parents; i++) {
        (void)snprintf(path, sizeof(path), "/p%06u", i);
        struct coord_request q = {.number = 1,
                                  .op = COORD_OP_DELETE,
                                  .path = str(path),
                                  .expect_version = COORD_VERSION_ANY};
        apply_request(m, 2 * NODES + i + 1, &q);
    }
    machine_stats(m, &st);
    ck_assert_uint_eq(st.nodes, 1);
    ck_assert_uint_lt(store_bytes(m), empty + 512 * 1024);
    machine_destroy(m);
}
END_TEST

START_TEST(setting_again_and_again_takes_no_more)
{
    static uint8_t data[3000];
    struct machine_limits l;
    machine_limits_init(&l);
    struct machine *m = machine_create(&l);
    uint64_t revision = 0;
    uint64_t after_warm_up = 0;
    struct coord_request q = {.number = 1, .op = COORD_OP_CREATE, .path = str("/a")};
    apply_request(m, ++revision, &q);
    for (uint32_t i = 0; i < 20000; i++) {
        q = (struct coord_request){.number = 1,
                                   .op = COORD_OP_SET,
                                   .path = str("/a"),
                                   .data = {data, 1 + (i * 37) % 300},
                                   .expect_version = COORD_VERSION_ANY};
        apply_request(m, ++revision, &q);
        if (i == 1099) { /* the sizes at hand are those of the end */
            after_warm_up = store_bytes(m);
        }
    }
    ck_assert_uint_le(store_bytes(m), after_warm_up + (SANITIZED ? 1000 : 0));
    machine_destroy(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("machine: memory");
    TCase *c = tcase_create("memory");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, a_node_costs_little, 0, sizeof(shapes) / sizeof(shapes[0]));
    tcase_add_test(c, setting_again_and_again_takes_no_more);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
