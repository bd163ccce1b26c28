/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h: telling what was measured: lines for people, one JSON object for programs, a line of progress on a terminal.
 * Latencies are told in microseconds. Thread: one.
 */
#ifndef COORD_BENCH_REPORT_H
#define COORD_BENCH_REPORT_H

#include <stdint.h>
#include "client/bench/histogram.h"
#include "client/cli/json.h"

struct load;

/* On stdout. */
void report_load(const struct load *l);

/* On stderr when that is a terminal: `done` operations in the last `ns`. */
void report_progress(const struct load *l, uint64_t now_ns, uint64_t ns, uint64_t done);
/* Leave the line of progress. */
void report_progress_end(const struct load *l);

/* PREFIXp50_us ... PREFIXmax_us, of a histogram of nanoseconds. */
void report_latency_json(struct json *j, const char *prefix, const struct histogram *h);
/* "p50 12.3  p90 ..." and the end of the line. */
void report_latency_text(const struct histogram *h);

#endif
