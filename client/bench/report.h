/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h: telling what was measured: lines for people, one JSON object for programs, a line of progress on a terminal.
 * Latencies are told in microseconds. Thread: one.
 */
#ifndef COORD_BENCH_REPORT_H
#define COORD_BENCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include "client/bench/histogram.h"
#include "client/cli/json.h"

struct load;

/* On stdout. */
void report_load(const struct load *l);

/* Has a second passed since *last_ns? Then it is now_ns. */
bool report_due(uint64_t *last_ns, uint64_t now_ns);
/* The line of progress, on stderr when that is a terminal; each replaces the one before. */
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* That of a load: `done` operations in the last `ns`. */
void report_progress(const struct load *l, uint64_t now_ns, uint64_t ns, uint64_t done);
/* Leave the line of progress. */
void report_progress_end(void);

/* PREFIXp50_us ... PREFIXmax_us, of a histogram of nanoseconds. */
void report_latency_json(struct json *j, const char *prefix, const struct histogram *h);
/* "p50 12.3  p90 ..." and the end of the line. */
void report_latency_text(const struct histogram *h);

#endif
