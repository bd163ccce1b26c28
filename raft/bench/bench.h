/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h: what the parts of the benchmark share: the clock, the order of numbers, the count of
 * allocations. One thread.
 */
#ifndef RAFT_BENCH_BENCH_H
#define RAFT_BENCH_BENCH_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* Calls of malloc, calloc and realloc so far, whoever made them in this program's own objects and
 * libraries linked into it (the linker's --wrap). */
uint64_t bench_allocations(void);

/* What a commit costs in memory. entries: how many for each run. Return: 0, or 1 when the library
 * allocated. */
int bench_commit(uint32_t entries, uint32_t runs);

/* What the log on disk costs, in a directory of its own under dir. seconds: for each measurement.
 * Return: 0, or 1 with a line on stderr. */
int bench_wal(const char *dir, double seconds);

static inline uint64_t bench_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline int bench_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

#endif
