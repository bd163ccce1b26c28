/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h: memory for many small objects of few sizes, without a header before each of them.
 *
 * Objects up to POOL_SMALL_MAX bytes are cut from slabs of one size each; larger ones come from malloc.
 * The owner of an object knows its size, so the pool does not store it. A slab that becomes empty can
 * serve another size next, and a region whose slabs are all empty goes back to the system but for one.
 *
 * What is allocated never depends on addresses or time; addresses never reach the state.
 * Threads: none; one owner. Built with AddressSanitizer every object comes from malloc, so that the
 * sanitizer sees each one.
 */
#ifndef COORD_SERVER_STORE_POOL_H
#define COORD_SERVER_STORE_POOL_H

#include <stddef.h>
#include <stdint.h>

#define POOL_SMALL_MAX 1024

struct pool;

/* Return: NULL when memory is out. */
struct pool *pool_create(void);

/* Gives back every slab, with what is still in it; objects above POOL_SMALL_MAX must be freed before.
 * Accepts NULL. */
void pool_destroy(struct pool *p);

/* bytes >= 1, any alignment up to 8. Return: NULL when memory is out. */
void *pool_alloc(struct pool *p, size_t bytes);

/* bytes: as given to pool_alloc. Accepts NULL. */
void pool_free(struct pool *p, void *ptr, size_t bytes);

/* Bytes taken from the system for objects alive now: slabs in use, and large objects with what malloc
 * adds to them. */
uint64_t pool_bytes(const struct pool *p);

#endif
