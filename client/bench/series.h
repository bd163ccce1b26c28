/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series.h: how many operations were completed in each slot of time, and the longest time without any.
 *
 * The longest stall counts from the beginning and to the end of the measurement too: a run in which nothing happens is one
 * stall. Slots are SERIES_SLOT_MS wide; beyond SERIES_SLOTS_MAX of them (an hour) they are not noted any more, the
 * stall is. Pure. Thread: the owner's.
 */
#ifndef COORD_BENCH_SERIES_H
#define COORD_BENCH_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIES_SLOT_MS   100u
#define SERIES_SLOTS_MAX (3600u * 1000u / SERIES_SLOT_MS)

struct series {
    uint64_t start_ns;
    uint64_t last_ns;       /* of the newest operation; first the start */
    uint64_t stall_ns;      /* the longest so far ... */
    uint64_t stall_from_ns; /* ... began here */
    uint32_t *slots;
    size_t count; /* slots begun */
};

/* Return: false when memory is out. series_finish ends it; accepts a zeroed one. */
bool series_init(struct series *s, uint64_t start_ns);
void series_finish(struct series *s);

/* One more operation was completed; times do not go back. */
void series_add(struct series *s, uint64_t now_ns);

/* The measurement is over. */
void series_end(struct series *s, uint64_t end_ns);

/* Least and greatest slot, without the last one, which was cut short; 0 when there is none. */
uint32_t series_least(const struct series *s);
uint32_t series_greatest(const struct series *s);

#endif
