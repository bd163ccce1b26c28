/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h: the clock of a measurement. Thread: any.
 */
#ifndef COORD_BENCH_CLOCK_H
#define COORD_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

#define BENCH_NS_PER_S  1000000000ull
#define BENCH_NS_PER_MS 1000000ull

static inline uint64_t bench_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * BENCH_NS_PER_S + (uint64_t)ts.tv_nsec;
}

#endif
