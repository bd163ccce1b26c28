/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.h: memory of the client library: one place through which a test can make the nth allocation
 * fail, and a bump allocator for what lives as long as one reply.
 *
 * Invariants
 *   1. Every allocation of client/ but those of the shared codec's buffers comes from here.
 *   2. What an arena gave out is valid until coord__arena_clear or _finish.
 * Threads: the functions any; an arena that of its owner. The hook is set by tests only, before
 *          use.
 */
#ifndef COORD_CLIENT_CORE_MEM_H
#define COORD_CLIENT_CORE_MEM_H

#include <stddef.h>
#include <stdint.h>

/* Test only: asked before each allocation; returning 0 makes it fail. NULL: none. */
extern int (*coord__alloc_hook)(size_t bytes);

/* Zeroed memory for coord__free, or NULL. */
void *coord__alloc(size_t bytes);
/* As realloc; new bytes are not zeroed. On NULL the old block is as it was. */
void *coord__realloc(void *block, size_t bytes);
void coord__free(void *block);
/* A copy of a string that ends with a NUL, or NULL when memory is out. */
char *coord__strdup(const char *text);

struct coord__chunk;

/* All zero is an empty arena. */
struct coord__arena {
    struct coord__chunk *chunks; /* newest first */
};

/* Zeroed, aligned for any type. Return: NULL when memory is out. */
void *coord__arena_alloc(struct coord__arena *a, size_t bytes);
/* A copy of len bytes with a NUL behind that is not counted. Return: NULL when memory is out. */
char *coord__arena_copy(struct coord__arena *a, const void *bytes, size_t len);
/* Give everything back but one chunk of moderate size. */
void coord__arena_clear(struct coord__arena *a);
void coord__arena_finish(struct coord__arena *a);

#endif
