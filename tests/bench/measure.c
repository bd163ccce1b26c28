/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure.c: what a run cost and what came out of it. CPU time of the servers is user and system time of their
 * processes (all threads) from /proc, whose unit is a tick, 10 ms; that of this program from getrusage.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#include "tests/bench/load.h"
#include "tests/bench/usage.h"

#define STAT_BYTES 1024

/* The beginning of a file of /proc, read by one of the parsers, in seconds; 0 when it is not there any more. */
static double seconds_of(const char *path, bool (*parse)(const char *, uint64_t *))
{
    char text[STAT_BYTES];
    uint64_t ticks = 0;
    FILE *f = fopen(path, "re");

    if (f == NULL) {
        return 0;
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f); /* only read */
    text[n] = '\0';
    return parse(text, &ticks) ? (double)ticks / (double)sysconf(_SC_CLK_TCK) : 0;
}

void usage_take(const struct options *o, struct usage *ret_u)
{
    struct usage u = {0};
    struct rusage r;

    for (size_t i = 0; i < o->pids_count; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", o->pids[i]);
        u.server_s += seconds_of(path, usage_parse_stat);
    }
    u.machine_s = seconds_of("/proc/stat", usage_parse_machine);
    (void)getrusage(RUSAGE_SELF, &r); /* cannot fail for the process itself */
    u.own_s = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
              (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
    u.at_ns = load_clock();
    *ret_u = u;
}

static double per_100k(double cpu_s, uint64_t ops)
{
    return ops > 0 ? cpu_s * 1e5 / (double)ops : 0;
}

void report(const struct load *ld, const struct usage *from, const struct usage *to, uint64_t ops,
            uint64_t errors)
{
    const struct options *o = &ld->o;
    double secs = (double)(to->at_ns - from->at_ns) / 1e9;
    double server_s = to->server_s - from->server_s, own_s = to->own_s - from->own_s;

    printf("system=%s op=%s level=%s conns=%" PRIu64 " outstanding=%" PRIu64 " value=%" PRIu64
           " secs=%.3f ops=%" PRIu64 " errors=%" PRIu64 " ops_s=%.1f",
           load_wire.system, o->op_text, o->linearizable ? "linearizable" : "local", o->conns,
           o->outstanding, o->value_bytes, secs, ops, errors, secs > 0 ? (double)ops / secs : 0);
    printf(" p50_us=%.1f p90_us=%.1f p99_us=%.1f max_us=%.1f",
           (double)histogram_at(&ld->histogram, 0.5) / 1e3,
           (double)histogram_at(&ld->histogram, 0.9) / 1e3,
           (double)histogram_at(&ld->histogram, 0.99) / 1e3, (double)ld->histogram.max / 1e3);
    if (o->pids_count > 0) {
        double others_s = to->machine_s - from->machine_s - server_s - own_s;
        printf(" server_cpu_s=%.2f server_cpu_100k=%.3f", server_s, per_100k(server_s, ops));
        printf(" others_cores=%.2f", secs > 0 && others_s > 0 ? others_s / secs : 0);
    }
    printf(" own_cpu_s=%.3f own_cpu_100k=%.3f own_share=%.3f\n", own_s, per_100k(own_s, ops),
           secs > 0 ? own_s / secs : 0);
}
