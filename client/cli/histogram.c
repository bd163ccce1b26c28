/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.c: see histogram.h. Values below 128 have a bucket each; above, bucket = 64 * power + part.
 */
#include <string.h>
#include "client/cli/histogram.h"

#define PART_BITS 6

static unsigned bucket_of(uint64_t value)
{
    if (value < 2 * HISTOGRAM_PARTS) {
        return (unsigned)value;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - PART_BITS;
    return shift * HISTOGRAM_PARTS + (unsigned)(value >> shift);
}

static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_PARTS) {
        return bucket;
    }
    unsigned shift = bucket / HISTOGRAM_PARTS - 1;
    uint64_t part = bucket % HISTOGRAM_PARTS + HISTOGRAM_PARTS;
    return ((part + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->counts[bucket_of(value)]++;
    h->total++;
    if (value > h->max) {
        h->max = value;
    }
}

uint64_t histogram_at(const struct histogram *h, double share)
{
    double wanted = share * (double)h->total;
    uint64_t seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && h->total > 0; i++) {
        seen += h->counts[i];
        if (h->counts[i] > 0 && (double)seen >= wanted) {
            uint64_t end = bucket_end(i);
            return end < h->max ? end : h->max;
        }
    }
    return h->max;
}
