/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_bench.c: the parts of bench that only compute: histogram, keys, mixes, schedule, series, /proc, arguments.
 * Method: the histogram against exact percentiles of sorted values, at every power of two; distributions against their
 * likelihoods; everything else against tables of inputs and outcomes.
 */
#include <arpa/inet.h>
#include <check.h>
#include <ifaddrs.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "client/bench/clock.h"
#include "client/bench/cpu.h"
#include "client/bench/histogram.h"
#include "client/bench/mix.h"
#include "client/bench/pace.h"
#include "client/bench/pick.h"
#include "client/bench/plan.h"
#include "client/bench/series.h"
#include "client/bench/targets.h"
#include "client/cli/cli.h"

/* --- histogram ----------------------------------------------------------------------------------- */

static struct histogram *new_histogram(void)
{
    struct histogram *h = calloc(1, sizeof *h);

    ck_assert_ptr_nonnull(h);
    return h;
}

START_TEST(histogram_of_nothing)
{
    struct histogram *h = new_histogram();

    ck_assert_uint_eq(histogram_at(h, 0.5), 0);
    ck_assert(histogram_mean(h) == 0);
    histogram_add(h, 0);
    ck_assert_uint_eq(histogram_at(h, 0.5), 0);
    ck_assert_uint_eq(h->total, 1);
    free(h);
}
END_TEST

/* Alone in a histogram with a greater one, each value is told within 1/1024, never too low; below 2048 exactly. */
START_TEST(histogram_precision)
{
    for (int bits = 0; bits < 64; bits++) {
        for (int offset = -1; offset <= 1; offset++) {
            uint64_t value = (UINT64_C(1) << bits) + (uint64_t)(int64_t)offset;
            struct histogram *h = new_histogram();
            histogram_add(h, value);
            histogram_add(h, UINT64_MAX);
            uint64_t told = histogram_at(h, 0.5);
            ck_assert_uint_ge(told, value);
            ck_assert_uint_le(told - value, value / 1024);
            if (value < 2048) {
                ck_assert_uint_eq(told, value);
            }
            ck_assert_uint_eq(h->min, value);
            free(h);
        }
    }
}
END_TEST

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

START_TEST(histogram_percentiles)
{
    static const double shares[] = {0, 0.001, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    static uint64_t values[10000];
    struct histogram *h = new_histogram();
    struct pick p;
    double sum = 0;

    pick_init(&p, PICK_UNIFORM, 0, 1, 7);
    for (size_t i = 0; i < 10000; i++) {
        values[i] = pick_below(&p, UINT64_C(1) << pick_between(&p, 1, 40));
        sum += (double)values[i];
        histogram_add(h, values[i]);
    }
    qsort(values, 10000, sizeof values[0], compare);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        long rank = lround(shares[i] * 10000); /* all of these are whole */
        uint64_t exact = values[rank > 0 ? rank - 1 : 0], told = histogram_at(h, shares[i]);
        ck_assert_msg(told >= exact && told - exact <= exact / 1024, "%f: %ju instead of %ju",
                      shares[i], (uintmax_t)told, (uintmax_t)exact);
    }
    ck_assert_uint_eq(histogram_at(h, 1), values[9999]);
    ck_assert(fabs(histogram_mean(h) * 10000 / sum - 1) < 1e-9);
    free(h);
}
END_TEST

/* 0.999 times 1000 is a hair more than 999 in binary: it is still the 999th of 1000. */
START_TEST(histogram_ranks_are_not_off_by_one)
{
    struct histogram *h = new_histogram();

    for (uint64_t i = 1; i <= 1000; i++) {
        histogram_add(h, i);
    }
    ck_assert_uint_eq(histogram_at(h, 0.5), 500);
    ck_assert_uint_eq(histogram_at(h, 0.99), 990);
    ck_assert_uint_eq(histogram_at(h, 0.999), 999);
    ck_assert_uint_eq(histogram_at(h, 0.9991), 1000);
    free(h);
}
END_TEST

START_TEST(histogram_merging)
{
    struct histogram *a = new_histogram(), *b = new_histogram();

    histogram_merge(a, b);
    ck_assert_uint_eq(a->total, 0);
    histogram_add(b, 9);
    histogram_add(b, 5);
    histogram_merge(a, b);
    ck_assert_uint_eq(a->min, 5);
    ck_assert_uint_eq(a->max, 9);
    histogram_add(a, 1);
    histogram_merge(b, a);
    ck_assert_uint_eq(b->total, 5);
    ck_assert_uint_eq(b->min, 1);
    ck_assert_uint_eq(histogram_at(b, 0.6), 5);
    free(a);
    free(b);
}
END_TEST

/* --- keys and sizes ------------------------------------------------------------------------------ */

#define DRAWS 100000u

/* How often each of the first keys came in DRAWS draws. */
static void draw(enum pick_kind kind, uint64_t param, uint64_t keys, uint32_t *seen, size_t first)
{
    struct pick p;

    pick_init(&p, kind, param, keys, 42);
    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t key = pick_key(&p);
        ck_assert_uint_lt(key, keys);
        seen[key < first ? key : first]++;
    }
}

START_TEST(uniform_keys)
{
    uint32_t seen[11] = {0};

    draw(PICK_UNIFORM, 0, 10, seen, 10);
    for (int i = 0; i < 10; i++) { /* 10,000 each, deviation 95 */
        ck_assert_msg(seen[i] > 9500 && seen[i] < 10500, "key %d: %u", i, seen[i]);
    }
}
END_TEST

START_TEST(sequential_keys)
{
    struct pick p;

    pick_init(&p, PICK_SEQUENTIAL, 0, 3, 1);
    for (uint64_t i = 0; i < 10; i++) {
        ck_assert_uint_eq(pick_key(&p), i % 3);
    }
}
END_TEST

START_TEST(zipf_keys)
{
    static const uint64_t thetas[] = {50, 80, 99};

    for (size_t t = 0; t < 3; t++) {
        uint32_t seen[3] = {0};
        double theta = (double)thetas[t] / 100, zeta = 0;
        for (int i = 1; i <= 1000; i++) {
            zeta += pow(i, -theta);
        }
        draw(PICK_ZIPF, thetas[t], 1000, seen, 2);
        /* The two first are exact in the method, the others are close: it is enough that they are in order. */
        ck_assert_msg(fabs(seen[0] * zeta / DRAWS - 1) < 0.05, "%u", seen[0]);
        ck_assert_msg(fabs(seen[1] * zeta / DRAWS * pow(2, theta) - 1) < 0.08, "%u", seen[1]);
    }
    for (uint64_t keys = 1; keys <= 3; keys++) {
        uint32_t seen[4] = {0};
        draw(PICK_ZIPF, 99, keys, seen, 3);
        ck_assert(keys == 1 || seen[0] > seen[1]);
        ck_assert(keys < 3 || (seen[1] > seen[2] && seen[2] > 0));
    }
}
END_TEST

START_TEST(hot_keys)
{
    uint32_t seen[2] = {0};

    draw(PICK_HOT, 75, 100, seen, 1);
    ck_assert_msg(seen[0] > 74300 && seen[0] < 75700, "%u", seen[0]);
    memset(seen, 0, sizeof seen);
    draw(PICK_HOT, 100, 100, seen, 1);
    ck_assert_uint_eq(seen[0], DRAWS);
    memset(seen, 0, sizeof seen);
    draw(PICK_HOT, 1, 1, seen, 1);
    ck_assert_uint_eq(seen[0], DRAWS);
}
END_TEST

START_TEST(sizes_of_values)
{
    struct pick p;
    uint32_t seen[4] = {0};

    pick_init(&p, PICK_UNIFORM, 0, 1, 3);
    for (int i = 0; i < 4000; i++) {
        uint64_t n = pick_between(&p, 10, 13);
        ck_assert(n >= 10 && n <= 13);
        seen[n - 10]++;
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_msg(seen[i] > 850 && seen[i] < 1150, "%d: %u", i, seen[i]);
    }
    ck_assert_uint_eq(pick_between(&p, 7, 7), 7);
}
END_TEST

START_TEST(names_of_distributions)
{
    static const struct {
        const char *text;
        bool ok;
        enum pick_kind kind;
        uint64_t param;
    } table[] = {{"uniform", true, PICK_UNIFORM, 0},
                 {"seq", true, PICK_SEQUENTIAL, 0},
                 {"zipf", true, PICK_ZIPF, 99},
                 {"zipf:50", true, PICK_ZIPF, 50},
                 {"hot", true, PICK_HOT, 90},
                 {"hot:100", true, PICK_HOT, 100},
                 {"zipf:0", false, 0, 0},
                 {"zipf:100", false, 0, 0},
                 {"hot:101", false, 0, 0},
                 {"hot:", false, 0, 0},
                 {"seq:1", false, 0, 0},
                 {"uniformly", false, 0, 0},
                 {"", false, 0, 0}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        enum pick_kind kind = PICK_UNIFORM;
        uint64_t param = 0;
        ck_assert_msg(pick_parse(table[i].text, &kind, &param) == table[i].ok, "%s", table[i].text);
        ck_assert(!table[i].ok || (kind == table[i].kind && param == table[i].param));
    }
}
END_TEST

/* --- mixes --------------------------------------------------------------------------------------- */

START_TEST(mixes)
{
    struct bench_mix m;
    const char *bad = NULL;

    ck_assert(mix_parse("set", &m, &bad) && m.sum == 1 && m.weights[BENCH_SET] == 1);
    ck_assert_uint_eq(mix_count(&m), 1);
    ck_assert(mix_writes(&m) && mix_keys(&m));
    ck_assert(mix_parse("mixed:90", &m, &bad) && m.weights[BENCH_GET] == 90 &&
              m.weights[BENCH_SET] == 10);
    ck_assert(mix_parse("mixed:100", &m, &bad) && mix_count(&m) == 1 && !mix_writes(&m));
    ck_assert(mix_parse("get:9,set,list:2", &m, &bad) && m.sum == 12 && mix_count(&m) == 3);
    ck_assert(mix_parse("sync", &m, &bad) && !mix_writes(&m) && !mix_keys(&m));
    static const char *const wrong[] = {"",         "set,",  "set:0",     "set:x",       "gets",
                                        ",set",     "mixed", "mixed:101", "set:1000001", "set:1:2",
                                        "ping,,set"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(!mix_parse(wrong[i], &m, &bad), "%s", wrong[i]);
        ck_assert_ptr_nonnull(bad);
    }
}
END_TEST

START_TEST(mixes_keep_their_weights)
{
    struct bench_mix m;
    struct pick p;
    const char *bad = NULL;
    uint32_t seen[BENCH_OPS] = {0};

    pick_init(&p, PICK_UNIFORM, 0, 1, 5);
    ck_assert(mix_parse("get:7,session:2,set:1", &m, &bad));
    for (int i = 0; i < 100000; i++) {
        seen[mix_pick(&m, &p)]++;
    }
    ck_assert_msg(seen[BENCH_GET] > 69000 && seen[BENCH_GET] < 71000, "%u", seen[BENCH_GET]);
    ck_assert_msg(seen[BENCH_SESSION] > 19300 && seen[BENCH_SESSION] < 20700, "%u",
                  seen[BENCH_SESSION]);
    ck_assert_uint_eq(seen[BENCH_GET] + seen[BENCH_SESSION] + seen[BENCH_SET], 100000);
}
END_TEST

START_TEST(operations_are_described)
{
    for (unsigned i = 0; i < BENCH_OPS; i++) {
        const struct bench_op_row *row = bench_op_row(i);
        ck_assert_ptr_nonnull(row->name);
        ck_assert(row->first != ACTION_NONE);
        ck_assert(!row->counts_second || row->second != ACTION_NONE);
        ck_assert(!row->lib_only || !row->wire_only);
    }
}
END_TEST

/* --- schedule and series ------------------------------------------------------------------------- */

START_TEST(schedule_does_not_drift)
{
    struct pace p;
    uint64_t due = 0;

    pace_init(&p, 1000, 3);
    ck_assert(pace_take(&p, 1000, &due) && due == 1000);
    ck_assert(!pace_take(&p, 333334332, &due));
    ck_assert(pace_take(&p, 333334333, &due) && due == 333334333);
    ck_assert(pace_take(&p, UINT64_MAX, &due) && due == 666667666);
    ck_assert(pace_take(&p, UINT64_MAX, &due) && due == 1000001000);
    /* A day at the highest rate: the product would have left 64 bits. */
    p = (struct pace){.start_ns = 5, .rate = 10000000, .next = 86400ull * 10000000 + 1};
    ck_assert_uint_eq(pace_due(&p), 5 + 86400ull * 1000000000 + 100);
}
END_TEST

/* After a stall all that became due meanwhile is handed out, each with the time it was due. */
START_TEST(schedule_after_a_stall)
{
    struct pace p;
    uint64_t due = 0, count = 0;

    pace_init(&p, 0, 1000);
    while (pace_take(&p, 50 * BENCH_NS_PER_MS, &due)) {
        ck_assert_uint_eq(due, count * BENCH_NS_PER_MS);
        count++;
    }
    ck_assert_uint_eq(count, 51);
}
END_TEST

START_TEST(series_and_stalls)
{
    struct series s;
    const uint64_t ms = BENCH_NS_PER_MS, start = 7000 * ms;

    ck_assert(series_init(&s, start));
    series_add(&s, start + 10 * ms);
    series_add(&s, start + 99 * ms);
    series_add(&s, start + 100 * ms);
    series_add(&s, start + 450 * ms);
    series_end(&s, start + 510 * ms);
    ck_assert_uint_eq(s.count, 6);
    ck_assert_uint_eq(s.slots[0], 2);
    ck_assert_uint_eq(s.slots[1], 1);
    ck_assert_uint_eq(s.slots[2], 0);
    ck_assert_uint_eq(s.slots[4], 1);
    ck_assert_uint_eq(s.stall_ns, 350 * ms);
    ck_assert_uint_eq(s.stall_from_ns, start + 100 * ms);
    ck_assert_uint_eq(series_least(&s), 0);
    ck_assert_uint_eq(series_greatest(&s), 2);
    series_finish(&s);
}
END_TEST

START_TEST(series_of_nothing_is_one_stall)
{
    struct series s;

    ck_assert(series_init(&s, 5));
    series_end(&s, 5 + 3 * BENCH_NS_PER_S);
    ck_assert_uint_eq(s.stall_ns, 3 * BENCH_NS_PER_S);
    ck_assert_uint_eq(s.count, 30);
    ck_assert_uint_eq(series_least(&s), 0);
    /* Longer than it notes: the stall is still told. */
    series_add(&s, 5 + 4000 * BENCH_NS_PER_S);
    ck_assert_uint_eq(s.stall_ns, 3997 * BENCH_NS_PER_S);
    ck_assert_uint_eq(s.count, 30);
    series_finish(&s);
}
END_TEST

/* --- /proc --------------------------------------------------------------------------------------- */

START_TEST(listeners)
{
    static const char line[] = "   3: 0100007F:1CF2 00000000:0000 0A 00000000:00000000 00:00000000 "
                               "00000000     0        0 48213 1 0000000000000000 100 0 0 10 0\n";
    static const char connected[] =
        "   4: 0100007F:1CF2 0100007F:9C40 01 00000000:00000000 02:000006D6 "
        "00000000     0        0 48214 2 0000000000000000 20 4 30 10 -1\n";
    static const char any[] = "  0: 00000000:1CF2 00000000:0000 0A 00000000:00000000 00:00000000 "
                              "00000000     0        0 77 1 0000000000000000 100 0 0 10 0\n";
    uint32_t here = htonl(INADDR_LOOPBACK), there = htonl(0x7f000002);

    ck_assert_uint_eq(cpu_listener(line, here, 7410), 48213);
    ck_assert_uint_eq(cpu_listener(line, there, 7410), 0);
    ck_assert_uint_eq(cpu_listener(line, here, 7411), 0);
    ck_assert_uint_eq(cpu_listener(connected, here, 7410), 0);
    ck_assert_uint_eq(cpu_listener(any, there, 7410), 77);
    ck_assert_uint_eq(cpu_listener("  sl  local_address rem_address   st\n", here, 7410), 0);
    ck_assert_uint_eq(cpu_listener("", here, 7410), 0);
}
END_TEST

START_TEST(stat_lines)
{
    uint64_t ticks = 0;

    ck_assert(
        cpu_stat_ticks("12 (coordd) S 1 12 12 0 -1 4194560 1 2 3 4 250 17 0 0 20 0 5 0\n", &ticks));
    ck_assert_uint_eq(ticks, 267);
    ck_assert(cpu_stat_ticks("12 (a) b (c) 9) R -1 1 1 0 -1 0 1 2 3 4 5 6 0 0", &ticks));
    ck_assert_uint_eq(ticks, 11);
    ck_assert(!cpu_stat_ticks("12 (coordd) S 1 12", &ticks));
    ck_assert(!cpu_stat_ticks("", &ticks));
}
END_TEST

START_TEST(status_lines)
{
    static const char text[] = "Name:\tcoordd\nVmHWM:\t  900 kB\nVmRSS:\t   812 kB\nThreads:\t5\n";

    ck_assert_uint_eq(cpu_status_kib(text, "VmRSS"), 812);
    ck_assert_uint_eq(cpu_status_kib(text, "VmHWM"), 900);
    ck_assert_uint_eq(cpu_status_kib(text, "VmSwap"), 0);
    ck_assert_uint_eq(cpu_status_kib("", "VmRSS"), 0);
}
END_TEST

/* This process listens itself, and so must be found. */
START_TEST(finding_the_process_behind_a_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    struct cpu_servers found;
    char list[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    (void)snprintf(list, sizeof list, "localhost:%u", ntohs(a.sin_port));
    ck_assert(cpu_find(list, &found));
    ck_assert_uint_eq(found.count, 1);
    ck_assert_int_eq(found.pids[0], getpid());
    ck_assert_uint_eq(found.ports[0], ntohs(a.sin_port));
    ck_assert(cpu_seconds(&found) >= 0);
    /* What is elsewhere is passed over, wherever it stands in the list; all of this machine's addresses are local. */
    (void)snprintf(list, sizeof list, "192.0.2.250:1,127.0.0.1:%u", ntohs(a.sin_port));
    ck_assert(!cpu_find(list, &found));
    ck_assert_uint_eq(found.count, 1);
    (void)snprintf(list, sizeof list, "localhost:%u", ntohs(a.sin_port));
    ck_assert_uint_gt(cpu_resident_kib(&found, 0), 0);
    close(fd);
    ck_assert(!cpu_find(list, &found));
    ck_assert_uint_eq(found.count, 0);
    ck_assert(!cpu_find("10.1.2.3:7410", &found));
    found = (struct cpu_servers){.count = 1, .pids = {0x7fffffff}};
    ck_assert(cpu_seconds(&found) < 0);
}
END_TEST

/* An address of this machine that is not of the loopback. */
static bool outer_address(struct sockaddr_in *ret_address)
{
    struct ifaddrs *all = NULL;
    bool found = false;

    ck_assert_int_eq(getifaddrs(&all), 0);
    for (struct ifaddrs *i = all; i != NULL && !found; i = i->ifa_next) {
        if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET) {
            memcpy(ret_address, i->ifa_addr, sizeof *ret_address);
            found = ntohl(ret_address->sin_addr.s_addr) >> 24 != 127;
        }
    }
    freeifaddrs(all);
    return found;
}

/* Members of this machine that are spoken to by its other addresses are local too. */
START_TEST(finding_the_process_behind_an_outer_address)
{
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    struct cpu_servers found;
    char list[64];

    if (!outer_address(&a)) {
        return; /* this machine has none */
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_port = 0;
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    (void)snprintf(list, sizeof list, "%s:%u", inet_ntoa(a.sin_addr), ntohs(a.sin_port));
    ck_assert(cpu_find(list, &found));
    ck_assert_int_eq(found.pids[0], getpid());
    close(fd);
}
END_TEST

START_TEST(lists_of_servers)
{
    struct targets t;

    ck_assert(targets_parse(NULL, &t) && t.count == 1 && ntohs(t.addresses[0].sin_port) == 7410);
    ck_assert(targets_parse("10.0.0.1:1,localhost", &t) && t.count == 2);
    ck_assert_uint_eq(ntohl(t.addresses[0].sin_addr.s_addr), 0x0a000001);
    ck_assert_uint_eq(ntohl(t.addresses[1].sin_addr.s_addr), 0x7f000001);
    static const char *const wrong[] = {
        "", ",", "a:1", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:1,", "[::1]:1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(!targets_parse(wrong[i], &t), "%s", wrong[i]);
        ck_assert_int_eq(targets_need(wrong[i]), EXIT_USAGE);
    }
}
END_TEST

/* --- arguments ----------------------------------------------------------------------------------- */

/* words: separated by single spaces. */
static int plan_of(const char *words, struct plan *ret_plan)
{
    static char text[512];
    char *argv[32] = {0};
    int argc = 0;

    (void)snprintf(text, sizeof text, "bench %s", words);
    for (char *w = text, *next = NULL; w != NULL && argc < 31; w = next) {
        next = strchr(w, ' ');
        if (next != NULL) {
            *next++ = '\0';
        }
        if (*w != '\0') {
            argv[argc++] = w;
        }
    }
    return plan_parse(argc, argv, ret_plan);
}

START_TEST(plans)
{
    struct plan p;

    ck_assert_int_eq(plan_of("", &p), EXIT_DONE);
    ck_assert(p.mode == PLAN_LOAD && p.conns == 16 && p.outstanding == 1 && p.value_min == 100 &&
              p.value_max == 100 && p.keys == 1000 && p.secs == 10 && p.warmup == 1 && !p.wire);
    ck_assert_int_eq(plan_of("--op get:3,set:1 --dist hot:50 --value 10-20 --wire --rate 5", &p),
                     EXIT_DONE);
    ck_assert(p.keys_kind == PICK_HOT && p.keys_param == 50 && p.value_min == 10 &&
              p.value_max == 20 && p.wire && p.rate == 5);
    ck_assert_int_eq(plan_of("--watchers 10 --conns 3", &p), EXIT_DONE);
    ck_assert(p.mode == PLAN_WATCH);
    ck_assert_int_eq(plan_of("--sessions 10 --session-timeout 30s", &p), EXIT_DONE);
    ck_assert(p.mode == PLAN_IDLE && p.session_timeout_ms == 30000);
    ck_assert_int_eq(
        plan_of("--watchers 10 --conns 3 --wire --value 5 --ops 7 --rate 2 --sources 9", &p),
        EXIT_DONE);
    ck_assert(p.ops == 7 && !p.secs_given);
    ck_assert_int_eq(plan_of("--sessions 10 --sources 9 --rate 2 --secs 3", &p), EXIT_DONE);
    ck_assert(p.secs == 3 && p.secs_given);
    ck_assert_int_eq(plan_of("--op session", &p), EXIT_DONE);
    ck_assert_int_eq(plan_of("--op lock", &p), EXIT_DONE);
    ck_assert_int_eq(plan_of("--op ping --wire", &p), EXIT_DONE);
}
END_TEST

START_TEST(mistaken_plans)
{
    static const char *const wrong[] = {"--op nothing",
                                        "--op set,,get",
                                        "--conns 0",
                                        "--conns 100001",
                                        "--outstanding 0",
                                        "--outstanding 4097",
                                        "--conns 1000 --outstanding 1001",
                                        "--value x",
                                        "--value 20-10",
                                        "--value 1-",
                                        "--value 2000000",
                                        "--keys 0",
                                        "--dist triangle",
                                        "--secs 0",
                                        "--rate 10000001",
                                        "--session-timeout 10",
                                        "--session-timeout 10ms",
                                        "--sources 255",
                                        "--watchers 1 --sessions 1",
                                        "--watchers 0",
                                        "--sessions 0",
                                        "--rate 0",
                                        "--ops 0",
                                        "--sources 0",
                                        "--sources 2",
                                        "--watchers 1 --op set",
                                        "--watchers 1 --outstanding 1",
                                        "--watchers 1 --value 5-6",
                                        "--watchers 1 --keys 5",
                                        "--watchers 1 --dist seq",
                                        "--watchers 1 --seed 3",
                                        "--watchers 1 --series",
                                        "--watchers 1 --no-prepare",
                                        "--watchers 1 --session-timeout 5s",
                                        "--sessions 1 --conns 1",
                                        "--sessions 1 --value 5",
                                        "--sessions 1 --ops 5",
                                        "--sessions 1 --op get",
                                        "--op lock --wire",
                                        "--op ping",
                                        "--op session --outstanding 2",
                                        "--op session,get",
                                        "--frob",
                                        "more"};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct plan p = {.conns = 77};
        ck_assert_msg(plan_of(wrong[i], &p) == EXIT_USAGE, "%s", wrong[i]);
        ck_assert_uint_eq(p.conns, 77); /* left alone */
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bench");
    TCase *t = NULL;
    SRunner *r = srunner_create(s);

    t = tcase_create("histogram");
    tcase_add_test(t, histogram_of_nothing);
    tcase_add_test(t, histogram_precision);
    tcase_add_test(t, histogram_percentiles);
    tcase_add_test(t, histogram_ranks_are_not_off_by_one);
    tcase_add_test(t, histogram_merging);
    suite_add_tcase(s, t);
    t = tcase_create("pick");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, uniform_keys);
    tcase_add_test(t, sequential_keys);
    tcase_add_test(t, zipf_keys);
    tcase_add_test(t, hot_keys);
    tcase_add_test(t, sizes_of_values);
    tcase_add_test(t, names_of_distributions);
    suite_add_tcase(s, t);
    t = tcase_create("mix");
    tcase_add_test(t, mixes);
    tcase_add_test(t, mixes_keep_their_weights);
    tcase_add_test(t, operations_are_described);
    suite_add_tcase(s, t);
    t = tcase_create("time");
    tcase_add_test(t, schedule_does_not_drift);
    tcase_add_test(t, schedule_after_a_stall);
    tcase_add_test(t, series_and_stalls);
    tcase_add_test(t, series_of_nothing_is_one_stall);
    suite_add_tcase(s, t);
    t = tcase_create("proc");
    tcase_set_timeout(t, 60); /* of a machine with 100,000 connections /proc is long */
    tcase_add_test(t, listeners);
    tcase_add_test(t, stat_lines);
    tcase_add_test(t, status_lines);
    tcase_add_test(t, finding_the_process_behind_a_port);
    tcase_add_test(t, finding_the_process_behind_an_outer_address);
    tcase_add_test(t, lists_of_servers);
    suite_add_tcase(s, t);
    t = tcase_create("plan");
    tcase_add_test(t, plans);
    tcase_add_test(t, mistaken_plans);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
