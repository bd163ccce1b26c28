/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c: what a large state costs, without network and disk: memory, copying and hashing it in slices with and
 * without changes in between, loading it, giving it back. Times are processor time of the one thread, as the
 * machine is usually shared.
 *
 *     state [NODES] [MICROS] [shuffle]
 *
 * NODES of 100 bytes below one parent (default 1,000,000); slices of MICROS (default 150; 0: of 256 records, as
 * without a clock) or 128 KiB; `shuffle`: created in random order, so that neighbours in the tree are none in
 * memory. Slices end by the clock on the wall, as a member's do, and are judged by processor time.
 *
 * Then the same with few large things: nodes of 1 MiB, sessions with 8 MiB of answers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <coord/error.h>
#include "server/machine/machine_internal.h"

#define VALUE_BYTES        100u
#define PATH_BYTES         16u
#define SLICE_BYTES        (128u << 10)
#define SLICES_MAX         4000000u
#define SLICE_RECORDS      256u /* without a clock */
#define SLICE_NS_MAX       200000u
#define SETS_A_SLICE       100u
#define READ_BYTES         (200u << 20)
#define LARGE_NODES        64u
#define LARGE_BYTES        (1u << 20)
#define LARGE_SESSIONS     8u
#define LARGE_ANSWERS      4096u
#define LARGE_ANSWER_BYTES 2000u

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

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t); /* cannot fail on Linux */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
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

static void apply_entry(struct machine *m, const uint8_t *bytes, uint32_t len)
{
    struct machine_outcome o;
    machine_apply(m, ++revision, bytes, len, &o);
    if (o.error != 0) {
        (void)fprintf(stderr, "state: refused: %s\n", coord_strerror(o.error));
        exit(1);
    }
}

/* One request as a log entry. */
static void apply(struct machine *m, const struct coord_request *q, uint64_t session)
{
    static uint8_t bytes[ENTRY_HEADER_BYTES + LARGE_BYTES + 1024];
    struct coord_buf *frame = NULL;
    if (coord_request_encode(q, &frame) != 0) {
        (void)need(NULL);
    }
    struct entry e = {.kind = ENTRY_REQUEST,
                      .session = session,
                      .epoch = session,
                      .time_ms = 1700000000000 + revision,
                      .body_bytes = frame->len - COORD_FRAME_HEADER_BYTES};
    entry_header_encode(&e, bytes);
    memcpy(bytes + ENTRY_HEADER_BYTES, frame->data + COORD_FRAME_HEADER_BYTES, e.body_bytes);
    apply_entry(m, bytes, ENTRY_HEADER_BYTES + e.body_bytes);
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
    apply(m, &q, 0);
}

static void fill(struct machine *m, uint32_t nodes, bool shuffle)
{
    uint32_t *order = need(malloc(nodes * sizeof(order[0])));
    const struct coord_request top = {
        .number = 1, .op = COORD_OP_CREATE, .path = {(const uint8_t *)"/b", 2}};
    apply(m, &top, 0);
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

static bool over(void *arg)
{
    return clock_ns(CLOCK_MONOTONIC) >= *(const uint64_t *)arg;
}

/* What is done to the state between two slices. */
typedef void (*between_fn)(struct machine *m, uint32_t nodes);

struct run {
    const char *what;
    uint64_t micros;
    bool hash;
    between_fn between; /* NULL: nothing */
    uint32_t nodes;
};

static void report(const struct run *r, uint32_t count, uint64_t bytes)
{
    uint64_t sum = 0;
    uint32_t late = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += slice_ns[i];
        late += slice_ns[i] > SLICE_NS_MAX;
    }
    qsort(slice_ns, count, sizeof(slice_ns[0]), compare);
    printf("%s: %" PRIu64
           " bytes, %.0f ms in %u slices: median %.0f us, p99 %.0f us, max %.0f us, %u above "
           "200 us",
           r->what, bytes, ms(sum), (unsigned)count, (double)slice_ns[count / 2] / 1e3,
           (double)slice_ns[count - 1 - count / 100] / 1e3, (double)slice_ns[count - 1] / 1e3,
           (unsigned)late);
}

static void slices(struct machine *m, const struct run *r)
{
    struct coord_buf *chunk = NULL;
    const struct machine_sink sink = {&chunk, chunk_put};
    struct machine_saver *s = NULL;
    struct machine_saver_info info;
    uint64_t images_most = 0;
    uint64_t between_ns = 0;
    uint32_t count = 0;
    if (machine_saver_create(m, r->hash ? NULL : &sink, &s) != 0) {
        (void)need(NULL);
    }
    for (int rc = 1; rc == 1 && count < SLICES_MAX; count++) {
        uint64_t end = clock_ns(CLOCK_MONOTONIC) + r->micros * 1000;
        uint64_t start = cpu_ns();
        machine_saver_ask(s, r->micros == 0 ? NULL : over, &end);
        rc = machine_saver_step(s, r->micros == 0 ? SLICE_RECORDS : UINT32_MAX, SLICE_BYTES);
        slice_ns[count] = cpu_ns() - start;
        if (r->between != NULL) {
            start = cpu_ns();
            r->between(m, r->nodes);
            between_ns += cpu_ns() - start;
        }
        machine_saver_info(s, &info);
        images_most = info.images_bytes > images_most ? info.images_bytes : images_most;
    }
    report(r, count, info.bytes);
    if (r->between != NULL) {
        printf("; changes between two slices %.0f us; at most %.1f MiB kept aside",
               (double)between_ns / 1e3 / count, (double)images_most / (1 << 20));
    }
    printf("\n");
    machine_saver_destroy(s);
    coord_buf_unref(chunk);
}

/* Slices that do nothing but wait, or read at random in memory that was written before: what lies above 200 us
 * here is the machine's. */
static void machine_slices(uint64_t micros, bool reads)
{
    volatile uint8_t *memory = need(malloc(READ_BYTES));
    uint32_t count = 0;
    for (size_t i = 0; i < READ_BYTES; i += 64) {
        memory[i] = 1;
    }
    for (; micros > 0 && count < 2000; count++) {
        uint64_t end = clock_ns(CLOCK_MONOTONIC) + micros * 1000;
        uint64_t start = cpu_ns();
        while (!over(&end)) {
            for (uint32_t i = 0; reads && i < 16; i++) {
                (void)memory[rnd(READ_BYTES)];
            }
        }
        slice_ns[count] = cpu_ns() - start;
    }
    if (count > 0) {
        const char *what = reads ? "the machine: reading" : "the machine: waiting";
        report(&(struct run){what, micros, false, NULL, 0}, count, 0);
        printf("\n");
    }
    free((void *)memory);
}

static void random_sets(struct machine *m, uint32_t nodes)
{
    for (uint32_t i = 0; i < SETS_A_SLICE; i++) {
        apply_to(m, COORD_OP_SET, (uint32_t)rnd(nodes));
    }
}

/* --- few large things --------------------------------------------------------------------------- */

static uint64_t session[LARGE_SESSIONS];

static void apply_large(struct machine *m, enum coord_op op, uint32_t which)
{
    static uint8_t value[LARGE_BYTES];
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof(path), "/l%08u", (unsigned)which);
    const struct coord_request q = {.number = 1,
                                    .op = op,
                                    .path = {(const uint8_t *)path, (uint32_t)len},
                                    .data = {value, op == COORD_OP_SET ? 100 : sizeof(value)},
                                    .expect_version = op == COORD_OP_SET ? COORD_VERSION_ANY : 0};
    apply(m, &q, 0);
}

static void open_large(struct machine *m, uint32_t i)
{
    static uint8_t body[LARGE_ANSWER_BYTES];
    struct session *s = NULL;
    session[i] = ++revision;
    if (sessions_open(m->state.sessions, session[i], body, 10000, &s) != 0) {
        (void)need(NULL);
    }
    for (uint32_t k = 0; k < LARGE_ANSWERS; k++) {
        const struct coord_bytes b = {body, sizeof(body)};
        if (answers_put(&s->answers, m->state.pool, k + 2, 0, b) != 0) {
            (void)need(NULL);
        }
    }
    m->state.sessions_bytes += machine_session_bytes(s);
}

static uint64_t worst_set_ns;
static uint64_t worst_ack_ns;

/* The first change of one that may not have been saved yet: data replaced; all answers acknowledged. */
static void large_changes(struct machine *m, uint32_t i)
{
    const struct coord_request q = {.number = LARGE_ANSWERS + 10 + i,
                                    .acked = LARGE_ANSWERS + 9 + i,
                                    .op = COORD_OP_SET,
                                    .path = {(const uint8_t *)"/", 1},
                                    .expect_version = COORD_VERSION_ANY};
    uint64_t start = cpu_ns();
    apply_large(m, COORD_OP_SET, i % LARGE_NODES);
    uint64_t middle = cpu_ns();
    apply(m, &q, session[i % LARGE_SESSIONS]);
    uint64_t end = cpu_ns();
    worst_set_ns = middle - start > worst_set_ns ? middle - start : worst_set_ns;
    worst_ack_ns = end - middle > worst_ack_ns ? end - middle : worst_ack_ns;
}

static struct machine *large_make(void)
{
    struct machine_limits limits;
    machine_limits_init(&limits);
    limits.answers_bytes = 16u << 20;
    limits.answers = LARGE_ANSWERS * 2;
    struct machine *m = need(machine_create(&limits));
    for (uint32_t i = 0; i < LARGE_NODES; i++) {
        apply_large(m, COORD_OP_CREATE, i);
    }
    for (uint32_t i = 0; i < LARGE_SESSIONS; i++) {
        open_large(m, i);
    }
    return m;
}

/* What the first change of each costs, without a copy under way and with one that has just begun. */
static void large_first_changes(bool copied)
{
    struct machine *m = large_make();
    struct machine_saver *s = NULL;
    struct machine_saver_info info = {.images = 0};
    worst_set_ns = worst_ack_ns = 0;
    if (copied && machine_saver_create(m, NULL, &s) != 0) {
        (void)need(NULL);
    }
    for (uint32_t i = 0; i < LARGE_SESSIONS; i++) {
        large_changes(m, i);
    }
    if (copied) {
        machine_saver_info(s, &info);
    }
    printf("first changes%s: data of 1 MiB replaced: at most %.0f us, all answers acknowledged: at "
           "most "
           "%.0f us; %.1f MiB kept aside\n",
           copied ? " beside a copy" : "", (double)worst_set_ns / 1e3, (double)worst_ack_ns / 1e3,
           (double)info.images_bytes / (1 << 20));
    machine_saver_destroy(s);
    machine_destroy(m);
}

static void large(uint64_t micros)
{
    struct machine *m = large_make();
    printf("%u nodes of 1 MiB, %u sessions with %u answers of %u bytes\n", LARGE_NODES,
           LARGE_SESSIONS, LARGE_ANSWERS, LARGE_ANSWER_BYTES);
    slices(m, &(struct run){"large copy", micros, false, NULL, 0});
    slices(m, &(struct run){"large digest", micros, true, NULL, 0});
    machine_destroy(m);
    large_first_changes(false);
    large_first_changes(true);
}

/* --- loading ------------------------------------------------------------------------------------- */

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
    unsigned long micros = argc > 2 ? strtoul(argv[2], NULL, 10) : 150;
    if (nodes == 0 || nodes > 99999999 || micros > 1000000) {
        (void)fprintf(stderr, "usage: state [NODES] [MICROS] [shuffle]\n");
        return 2;
    }
    machine_limits_init(&limits);
    limits.store_bytes = UINT64_MAX >> 1;
    struct machine *m = need(machine_create(&limits));
    fill(m, (uint32_t)nodes, argc > 3);
    machine_slices(micros, false);
    machine_slices(micros, true);
    slices(m, &(struct run){"copy", micros, false, NULL, 0});
    slices(m, &(struct run){"digest", micros, true, NULL, 0});
    slices(m, &(struct run){"copy beside sets", micros, false, random_sets, (uint32_t)nodes});
    uint64_t start = cpu_ns();
    for (uint32_t i = 0; i < 200000; i++) {
        apply_to(m, COORD_OP_SET, (uint32_t)rnd(nodes));
    }
    printf("sets without a copy under way: %.0f ns each\n", (double)(cpu_ns() - start) / 200000);
    load(m);
    machine_destroy(m);
    large(micros);
    return 0;
}
