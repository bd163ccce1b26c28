/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h: the newest changes, copied, so that a watch that comes back is told what it missed.
 *
 * Invariants
 *   1. It holds every change of the revisions above `floor`, and none of those up to it: revisions come
 *      and go as a whole.
 *   2. At most `events` changes and `bytes` bytes, in order of revision.
 *
 * Threads: none; one owner.
 */
#ifndef COORD_SERVER_WATCH_HISTORY_H
#define COORD_SERVER_WATCH_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include "protocol/message.h"

struct history_record;
struct history_segment;

struct history {
    uint64_t floor;
    uint64_t bytes;
    uint64_t bytes_max;
    uint32_t events_max;
    uint32_t count;
    struct history_record **ring; /* in order; a power of two */
    uint32_t head;
    uint32_t cap;
    struct history_segment *oldest;
    struct history_segment *newest;
    struct history_segment *spare;
};

void history_init(struct history *h, uint32_t events_max, uint64_t bytes_max);
void history_finish(struct history *h);

/* Add the changes of a revision above all others. What does not fit, by the bounds or for want of
 * memory, ends the history there: floor rises. */
void history_add(struct history *h, uint64_t revision, const struct coord_change *changes,
                 uint32_t count);

/* Forget everything; the history begins above `floor`. */
void history_reset(struct history *h, uint64_t floor);

/* The place of the first change above `revision`, for history_at; h->count when there is none. */
uint32_t history_seek(const struct history *h, uint64_t revision);

/* The i-th change, i < count, borrowed until the next history_add, and its revision. */
uint64_t history_at(const struct history *h, uint32_t i, struct coord_change *ret_change);

#endif
