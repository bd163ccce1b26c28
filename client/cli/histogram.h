/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.h: counts of durations with a bounded relative error, after the published scheme of high dynamic
 * range histograms: a bucket for each power of two, cut into equal parts. 64 parts: within 1.6 %.
 */
#ifndef COORD_CLI_HISTOGRAM_H
#define COORD_CLI_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_PARTS   64
#define HISTOGRAM_BUCKETS ((64 - 5) * HISTOGRAM_PARTS)

/* All zero is empty. */
struct histogram {
    uint64_t total;
    uint64_t max;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);

/* The value that at least `share` (0 .. 1) of all do not exceed, as the upper end of its bucket and at most
 * the greatest value; 0 when empty. */
uint64_t histogram_at(const struct histogram *h, double share);

#endif
