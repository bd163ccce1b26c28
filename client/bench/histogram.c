/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.c: see histogram.h. With p = HISTOGRAM_PARTS: values below 2p have a bucket each; a value of b bits
 * above that is shifted right by s = b - 1 - HISTOGRAM_PART_BITS, which leaves p .. 2p - 1, and goes to bucket
 * s * p + shifted. Buckets of shift s are 2^s wide and begin at p * 2^s: a relative width of at most 1/p.
 */
#include "client/bench/histogram.h"

static unsigned bucket_of(uint64_t value)
{
    if (value < 2 * HISTOGRAM_PARTS) {
        return (unsigned)value;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_PART_BITS;
    return shift * HISTOGRAM_PARTS + (unsigned)(value >> shift);
}

static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_PARTS) {
        return bucket;
    }
    unsigned shift = bucket / HISTOGRAM_PARTS - 1;
    uint64_t part = bucket % HISTOGRAM_PARTS + HISTOGRAM_PARTS;
    return ((part + 1) << shift) - 1; /* of the last bucket: 2^64 - 1, by wrapping round */
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->counts[bucket_of(value)]++;
    h->min = h->total == 0 || value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
    h->sum += (double)value;
    h->total++;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    if (from->total == 0) {
        return;
    }
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        h->counts[i] += from->counts[i];
    }
    h->min = h->total == 0 || from->min < h->min ? from->min : h->min;
    h->max = from->max > h->max ? from->max : h->max;
    h->sum += from->sum;
    h->total += from->total;
}

uint64_t histogram_at(const struct histogram *h, double share)
{
    /* 0.999 * 1000 is a little more than 999 in binary: a hair is taken off before rounding up. */
    double wanted = share * (double)h->total * (1 - 1e-12);
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

double histogram_mean(const struct histogram *h)
{
    return h->total > 0 ? h->sum / (double)h->total : 0;
}
