/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots_fill.h: many items into an index that has room for all of them (slots_presize), in any order.
 *
 * Added one by one, each item of a million lands in memory that is in no cache, and whose page the processor has
 * to look up. So they are gathered by the part of the table where they belong, and added part by part.
 *
 * Threads: none; one owner.
 */
#ifndef COORD_SERVER_STORE_SLOTS_FILL_H
#define COORD_SERVER_STORE_SLOTS_FILL_H

#include <stdint.h>

struct slots;
struct slots_fill;

/* s: borrowed until the end. Return: NULL when memory is out. */
struct slots_fill *slots_fill_create(struct slots *s);

/* Add an item that is not there; until slots_fill_end it may not be found. */
void slots_fill_add(struct slots_fill *f, uint32_t hash, void *item);

/* That was the last one: all are found from here on. f is destroyed. Accepts NULL. */
void slots_fill_end(struct slots_fill *f);

/* Forget what was not added to the index yet. Accepts NULL. */
void slots_fill_destroy(struct slots_fill *f);

#endif
