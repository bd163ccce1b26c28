/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c: what a large state costs, without network and disk: memory, copying and hashing it in slices with and
 * without changes in between, loading it, giving it back. Times are processor time of the one thread, as the
 * machine is usually shared.
 *
 *     state [NODES] [RECORDS] [shuffle]
 *
 * NODES of 100 bytes below one parent (default 1,000,000); slices of RECORDS (default 256) or 128 KiB;
 * `shuffle`: created in random order, so that neighbours in the tree are none in memory.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <coord/error.h>
#include "server/machine/machine_internal.h"

#define VALUE_BYTES  100u
#define PATH_BYTES   16u
#define SLICE_BYTES  (128u << 10)
#define SLICES_MAX   4000000u
#define SETS_A_SLICE 100u

static uint64_t revision;
static uint64_t seed = 88172645463325252ull;
static uint64_t slice_ns[SLICES_MAX];

static uint64_t rnd(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* cannot fail on Linux */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static void *need(void *p)
{
    if (p == NULL) {
        (void)fprintf(stderr, "state: out of memory\n");
        exit(1);
    }
    return p;
}

/* One request as a log entry. */
static void apply(struct machine *m, const struct coord_request *q)
{
    static uint8_t bytes[ENTRY_HEADER_BYTES + 1024];
    struct coord_buf *frame = NULL;
    struct machine_outcome o;
    if (coord_request_encode(q, &frame) != 0) {
        (void)need(NULL);
    }
    struct entry e = {.kind = ENTRY_REQUEST,
                      .time_ms = 1700000000000 + revision,
                      .body_bytes = frame->len - COORD_FRAME_HEADER_BYTES};
    entry_header_encode(&e, bytes);
    memcpy(bytes + ENTRY_HEADER_BYTES, frame->data + COORD_FRAME_HEADER_BYTES, e.body_bytes);
    machine_apply(m, ++revision, bytes, ENTRY_HEADER_BYTES + e.body_bytes, &o);
    if (o.error != 0) {
        (void)fprintf(stderr, "state: refused: %s\n", coord_strerror(o.error));
        exit(1);
    }
    coord_buf_unref(frame);
}

static void apply_to(struct machine *m, enum coord_op op, uint32_t which)
{
    static uint8_t value[VALUE_BYTES];
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof(path), "/b/%08u", (unsigned)which);
    const struct coord_request q = {.number = 1,
                                    .op = op,
                                    .path = {(const uint8_t *)path, (uint32_t)len},
                                    .data = {value, sizeof(value)},
                                    .expect_version = op == COORD_OP_SET ? COORD_VERSION_ANY : 0};
    apply(m, &q);
}

static void fill(struct machine *m, uint32_t nodes, bool shuffle)
{
    uint32_t *order = need(malloc(nodes * sizeof(order[0])));
    const struct coord_request top = {
        .number = 1, .op = COORD_OP_CREATE, .path = {(const uint8_t *)"/b", 2}};
    apply(m, &top);
    for (uint32_t i = 0; i < nodes; i++) {
        uint32_t j = shuffle ? (uint32_t)rnd(i + 1) : i;
        order[i] = order[j];
        order[j] = i;
    }
    uint64_t start = cpu_ns();
    for (uint32_t i = 0; i < nodes; i++) {
        apply_to(m, COORD_OP_CREATE, order[i]);
    }
    printf("%u creates: %.0f ns each; the state takes %.1f MiB\n", (unsigned)nodes,
           (double)(cpu_ns() - start) / nodes,
           (double)(pool_bytes(m->state.pool) + store_index_bytes(m->state.store)) / (1 << 20));
    free(order);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Chunks as a member makes them: filled, given away, made anew. */
static void chunk_put(void *arg, const void *bytes, size_t len)
{
    struct coord_buf **chunk = arg;
    if (*chunk != NULL && (*chunk)->len + len > (*chunk)->cap) {
        coord_buf_unref(*chunk);
        *chunk = NULL;
    }
    if (*chunk == NULL) {
        *chunk = need(coord_buf_create(256u << 10));
    }
    memcpy((*chunk)->data + (*chunk)->len, bytes, len);
    (*chunk)->len += (uint32_t)len;
}

static void slices(struct machine *m, const char *what, uint32_t records, bool hash, uint32_t sets,
                   uint32_t nodes)
{
    struct coord_buf *chunk = NULL;
    const struct machine_sink sink = {&chunk, chunk_put};
    struct machine_saver *s = NULL;
    struct machine_saver_info info;
    uint64_t images_most = 0;
    uint64_t sets_ns = 0;
    uint64_t sum = 0;
    uint32_t count = 0;
    if (machine_saver_create(m, hash ? NULL : &sink, &s) != 0) {
        (void)need(NULL);
    }
    for (int rc = 1; rc == 1 && count < SLICES_MAX; count++) {
        uint64_t start = cpu_ns();
        rc = machine_saver_step(s, records, SLICE_BYTES);
        slice_ns[count] = cpu_ns() - start;
        sum += slice_ns[count];
        start = cpu_ns();
        for (uint32_t i = 0; i < sets; i++) {
            apply_to(m, COORD_OP_SET, (uint32_t)rnd(nodes));
        }
        sets_ns += cpu_ns() - start;
        machine_saver_info(s, &info);
        images_most = info.images_bytes > images_most ? info.images_bytes : images_most;
    }
    qsort(slice_ns, count, sizeof(slice_ns[0]), compare);
    printf("%s: %" PRIu64 " bytes, %.0f ms in %u slices: median %.0f us, p99 %.0f us, max %.0f us",
           what, info.bytes, ms(sum), (unsigned)count, (double)slice_ns[count / 2] / 1e3,
           (double)slice_ns[count - 1 - count / 100] / 1e3, (double)slice_ns[count - 1] / 1e3);
    if (sets > 0) {
        printf("; a set %.0f ns; at most %.1f MiB kept aside", (double)sets_ns / sets / count,
               (double)images_most / (1 << 20));
    }
    printf("\n");
    machine_saver_destroy(s);
    coord_buf_unref(chunk);
}

static void load(struct machine *m)
{
    struct machine_limits limits;
    char why[128] = "";
    struct machine_loader *l = NULL;
    struct coord_buf *saved = need(machine_save(m));
    machine_limits_init(&limits);
    struct machine *fresh = need(machine_create(&limits));
    uint64_t start = cpu_ns();
    if (machine_loader_read(saved->data, saved->len, &l, why, sizeof(why)) != 0) {
        (void)fprintf(stderr, "state: does not load: %s\n", why);
        exit(1);
    }
    machine_replace(fresh, l);
    uint64_t loaded = cpu_ns();
    machine_loader_destroy(l);
    machine_destroy(fresh);
    printf("load: %.0f ms; give it back: %.0f ms\n", ms(loaded - start), ms(cpu_ns() - loaded));
    coord_buf_unref(saved);
}

int main(int argc, char **argv)
{
    struct machine_limits limits;
    unsigned long nodes = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    unsigned long records = argc > 2 ? strtoul(argv[2], NULL, 10) : 256;
    if (nodes == 0 || nodes > 99999999 || records == 0 || records > UINT32_MAX) {
        (void)fprintf(stderr, "usage: state [NODES] [RECORDS] [shuffle]\n");
        return 2;
    }
    machine_limits_init(&limits);
    limits.store_bytes = UINT64_MAX >> 1;
    struct machine *m = need(machine_create(&limits));
    fill(m, (uint32_t)nodes, argc > 3);
    slices(m, "copy", (uint32_t)records, false, 0, (uint32_t)nodes);
    slices(m, "digest", (uint32_t)records, true, 0, (uint32_t)nodes);
    slices(m, "copy beside sets", (uint32_t)records, false, SETS_A_SLICE, (uint32_t)nodes);
    uint64_t start = cpu_ns();
    for (uint32_t i = 0; i < 200000; i++) {
        apply_to(m, COORD_OP_SET, (uint32_t)rnd(nodes));
    }
    printf("sets without a copy under way: %.0f ns each\n", (double)(cpu_ns() - start) / 200000);
    load(m);
    machine_destroy(m);
    return 0;
}
