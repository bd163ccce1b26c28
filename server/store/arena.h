/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h: bytes that all end together. What was allocated stays where it is until arena_reset.
 * Threads: none; one owner.
 */
#ifndef COORD_SERVER_STORE_ARENA_H
#define COORD_SERVER_STORE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
};

void arena_init(struct arena *a);
void arena_finish(struct arena *a); /* accepts a zeroed struct */

/* End all allocations; one block is kept for the next. */
void arena_reset(struct arena *a);

/* bytes may be 0. Return: memory aligned for 8 bytes, or NULL when memory is out. */
void *arena_alloc(struct arena *a, size_t bytes);

/* Return: a copy of the bytes, or NULL when memory is out. */
void *arena_copy(struct arena *a, const void *bytes, size_t len);

#endif
