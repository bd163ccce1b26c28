/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c: see report.h.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "client/bench/clock.h"
#include "client/bench/load.h"
#include "client/bench/report.h"

static const struct {
    const char *key;
    double share;
} marks[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}};
#define MARKS (sizeof marks / sizeof marks[0])

static double us(uint64_t ns)
{
    return (double)ns / 1000;
}

void report_latency_json(struct json *j, const char *prefix, const struct histogram *h)
{
    char key[64];

    for (size_t i = 0; i < MARKS; i++) {
        (void)snprintf(key, sizeof key, "%s%s_us", prefix, marks[i].key);
        json_real(j, key, us(histogram_at(h, marks[i].share)));
    }
    (void)snprintf(key, sizeof key, "%smax_us", prefix);
    json_real(j, key, us(h->max));
    (void)snprintf(key, sizeof key, "%smean_us", prefix);
    json_real(j, key, histogram_mean(h) / 1000);
}

void report_latency_text(const struct histogram *h)
{
    for (size_t i = 0; i < MARKS; i++) {
        printf("%s %.0f  ", marks[i].key, us(histogram_at(h, marks[i].share)));
    }
    printf("max %.0f\n", us(h->max));
}

static double rate(const struct load *l)
{
    double seconds = (double)(l->to_ns - l->from_ns) / 1e9;

    return seconds > 0 ? (double)l->done / seconds : 0;
}

/* Seconds of CPU for each 100,000 operations. */
static double per_100k(const struct load *l, double seconds)
{
    return l->done > 0 ? seconds * 1e5 / (double)l->done : 0;
}

/* The level of reads, as it is given on the command line. */
static const char *level(const struct cli *cli, char *text, size_t bytes)
{
    switch (cli->call.consistency) {
    case COORD_SESSION:
        return "session";
    case COORD_BOUNDED:
        (void)snprintf(text, bytes, "bounded:%" PRIu64 "ms", (uint64_t)cli->call.bound_ms);
        return text;
    case COORD_LOCAL:
        return "local";
    case COORD_DEFAULT:
    case COORD_LINEARIZABLE:
        break;
    }
    return "linearizable";
}

static void json_ops(struct json *j, const struct load *l)
{
    json_open(j, "per_op");
    for (unsigned i = 0; i < BENCH_OPS; i++) {
        if (l->of[i] != NULL) {
            json_open(j, bench_op_row(i)->name);
            json_number(j, "ops", l->done_of[i]);
            report_latency_json(j, "", l->of[i]);
            json_close(j);
        }
    }
    json_close(j);
}

static void load_json(const struct load *l)
{
    const struct plan *p = l->plan;
    struct json j = json_begin(stdout);
    char text[48];

    json_text(&j, "op", p->op_text);
    json_text(&j, "client", l->transport->name);
    json_text(&j, "consistency", level(l->cli, text, sizeof text));
    json_number(&j, "conns", p->conns);
    json_number(&j, "outstanding", p->outstanding);
    json_number(&j, "value", p->value_min);
    json_number(&j, "value_max", p->value_max);
    json_number(&j, "keys", p->keys);
    json_text(&j, "dist", p->keys_text);
    json_number(&j, "rate", p->rate);
    json_real(&j, "secs", (double)(l->to_ns - l->from_ns) / 1e9);
    json_number(&j, "ops", l->done);
    json_real(&j, "ops_s", rate(l));
    report_latency_json(&j, "", l->all);
    json_number(&j, "errors", l->errors);
    json_number(&j, "extra", l->extra);
    json_number(&j, "unsent", l->unsent);
    json_real(&j, "stall_ms", (double)l->series.stall_ns / 1e6);
    json_real(&j, "stall_at_ms", (double)(l->series.stall_from_ns - l->from_ns) / 1e6);
    json_number(&j, "slot_min", series_least(&l->series));
    json_number(&j, "slot_max", series_greatest(&l->series));
    if (l->servers_cpu >= 0) {
        json_number(&j, "servers_local", l->servers.count);
        json_decimal(&j, "server_cpu_s", l->servers_cpu, 2);
        json_decimal(&j, "server_cpu_s_per_100k", per_100k(l, l->servers_cpu), 3);
    }
    json_decimal(&j, "client_cpu_s", l->own_cpu, 2);
    json_decimal(&j, "client_cpu_s_per_100k", per_100k(l, l->own_cpu), 3);
    if (mix_count(&p->mix) > 1) {
        json_ops(&j, l);
    }
    if (p->series) {
        json_numbers(&j, "series_100ms", l->series.slots, l->series.count);
    }
    json_end(&j);
}

static void text_series(const struct series *s)
{
    printf("  operations each second:");
    for (size_t i = 0; i < s->count; i += 10) {
        uint64_t sum = 0;
        for (size_t k = i; k < i + 10 && k < s->count; k++) {
            sum += s->slots[k];
        }
        printf(" %" PRIu64, sum);
    }
    printf("\n");
}

static void load_text(const struct load *l)
{
    const struct plan *p = l->plan;
    char text[48];

    printf("%s: %" PRIu64 " connections x %" PRIu64 " outstanding (%s), ", p->op_text, p->conns,
           p->outstanding, l->transport->name);
    if (mix_reads(&p->mix)) {
        printf("%s, ", level(l->cli, text, sizeof text));
    }
    if (p->value_min == p->value_max) {
        printf("%" PRIu64 "-byte values, ", p->value_min);
    } else {
        printf("values of %" PRIu64 " to %" PRIu64 " bytes, ", p->value_min, p->value_max);
    }
    printf("%.1f s\n", (double)(l->to_ns - l->from_ns) / 1e9);
    printf("  %" PRIu64 " operations, %.0f a second, %" PRIu64 " errors", l->done, rate(l),
           l->errors);
    if (p->rate != 0) {
        printf(", %" PRIu64 " due but never sent", l->unsent);
    }
    printf("\n  latency in microseconds: ");
    report_latency_text(l->all);
    for (unsigned i = 0; i < BENCH_OPS; i++) {
        if (l->of[i] != NULL) {
            printf("    %-10s %" PRIu64 ": ", bench_op_row(i)->name, l->done_of[i]);
            report_latency_text(l->of[i]);
        }
    }
    printf("  longest stall %.1f ms, %.1f s after the beginning\n",
           (double)l->series.stall_ns / 1e6, (double)(l->series.stall_from_ns - l->from_ns) / 1e9);
    if (l->servers_cpu >= 0) {
        printf("  CPU of %zu local servers: %.2f s, %.2f s for each 100,000 operations\n",
               l->servers.count, l->servers_cpu, per_100k(l, l->servers_cpu));
    }
    printf("  CPU of this client: %.2f s, %.2f s for each 100,000 operations\n", l->own_cpu,
           per_100k(l, l->own_cpu));
    if (p->series) {
        text_series(&l->series);
    }
}

void report_load(const struct load *l)
{
    if (l->cli->format == FORMAT_JSON) {
        load_json(l);
    } else {
        load_text(l);
    }
}

bool report_due(uint64_t *last_ns, uint64_t now_ns)
{
    if (now_ns < *last_ns + BENCH_NS_PER_S) {
        return false;
    }
    *last_ns = now_ns;
    return true;
}

void report_line(const char *format, ...)
{
    va_list args;

    if (isatty(STDERR_FILENO) != 1) {
        return;
    }
    (void)fputc('\r', stderr); /* a line of progress that is not seen is no error */
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputs("\033[K", stderr);
}

void report_progress(const struct load *l, uint64_t now_ns, uint64_t ns, uint64_t done)
{
    report_line("%4.0f s  %9.0f/s  p99 %8.0f us  errors %" PRIu64 " ",
                (double)(now_ns - l->from_ns) / 1e9, (double)done * 1e9 / (double)ns,
                us(histogram_at(l->all, 0.99)), l->errors);
}

void report_progress_end(void)
{
    if (isatty(STDERR_FILENO) == 1) {
        (void)fputs("\r\033[K", stderr);
    }
}
