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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_SMALL_MAX 1024

struct pool;

/* Return: NULL when memory is out. */
struct pool *pool_create(void);

/* Gives back every slab, with what is still in it; objects above POOL_SMALL_MAX must be freed before, and
 * nothing held any more. Accepts NULL. */
void pool_destroy(struct pool *p);

/* bytes >= 1, any alignment up to 8. Return: NULL when memory is out. */
void *pool_alloc(struct pool *p, size_t bytes);

/* bytes: as given to pool_alloc. Accepts NULL. */
void pool_free(struct pool *p, void *ptr, size_t bytes);

/* --- keeping for somebody who still reads -------------------------------------------------------- */

/* Keep an object of more than POOL_SMALL_MAX bytes although its owner may free it: that is carried out with
 * the last pool_unhold. What it holds may not change meanwhile. Return: false when memory is out. */
bool pool_hold(struct pool *p, void *ptr, size_t bytes);
void pool_unhold(struct pool *p, void *ptr);

/* From pool_late_begin to as many calls of pool_late_end, what is given to pool_free_late stays as it is. It
 * is given back afterwards a few objects at a time: with every later pool_free_late, and with
 * pool_late_some. Out of memory ends the process, as whoever reads cannot be told. */
void pool_late_begin(struct pool *p);
void pool_late_end(struct pool *p);
void pool_free_late(struct pool *p, void *ptr, size_t bytes);
void pool_late_some(struct pool *p);
/* Bytes that wait so. */
uint64_t pool_late_bytes(const struct pool *p);

/* Bytes taken from the system for objects alive now: slabs in use, and large objects with what malloc
 * adds to them. */
uint64_t pool_bytes(const struct pool *p);

#endif
