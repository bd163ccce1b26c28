/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.h: counts of durations with a bounded relative error, after the published scheme of high dynamic
 * range histograms: each power of two is cut into HISTOGRAM_PARTS equal parts. Values below twice that have a
 * bucket of their own.
 *
 * Error: what histogram_at gives is never less than the exact value of that rank and at most 1/1024 (0.1 %)
 * above it, for all values of 64 bits; total, sum, least and greatest value are exact. 450 KB each, of which a run
 * touches what it meets. Adding costs a count of leading zeros and one increment.
 * Thread: the owner's.
 */
#ifndef COORD_BENCH_HISTOGRAM_H
#define COORD_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_PART_BITS 10
#define HISTOGRAM_PARTS     (1u << HISTOGRAM_PART_BITS)
#define HISTOGRAM_BUCKETS   ((64u - HISTOGRAM_PART_BITS + 1) * HISTOGRAM_PARTS)

/* All zero is empty. */
struct histogram {
    uint64_t total;
    uint64_t min; /* of an empty one 0 */
    uint64_t max;
    double sum;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);

/* Add everything of `from` to h. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/* The value of rank ceil(share * total) (share 0 .. 1; at least the first): that many do not exceed it. Told as
 * the upper end of its bucket and at most the greatest value; 0 when empty. */
uint64_t histogram_at(const struct histogram *h, double share);

/* The exact mean; 0 when empty. */
double histogram_mean(const struct histogram *h);

#endif
