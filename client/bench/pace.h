/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.h: when the requests of an open loop are due: request i at start + i * 1 s / rate, whatever became of those
 * before it. Computed from i, so that nothing adds up over a long run.
 *
 * Latency counts from the due time: a request that could not be sent because all before it were waiting has been
 * waiting too (no coordinated omission). Pure. Thread: the owner's.
 */
#ifndef COORD_BENCH_PACE_H
#define COORD_BENCH_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    uint64_t start_ns;
    uint64_t rate; /* a second, 1 .. 10,000,000 */
    uint64_t next; /* the number of the next request */
};

void pace_init(struct pace *p, uint64_t start_ns, uint64_t rate);

/* When the next request is due. */
uint64_t pace_due(const struct pace *p);

/* Take the next request if it is due by now. Return: false when it is not; else its due time. */
bool pace_take(struct pace *p, uint64_t now_ns, uint64_t *ret_due_ns);

#endif
