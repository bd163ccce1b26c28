/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h: an index from a 32-bit hash to items, by open addressing. It holds pointers only: the key
 * stands in the item, and the caller says by a callback whether an item is the one meant.
 *
 * The hashes lie apart from the pointers, so that a probe reads one or two cache lines and then, nearly
 * always, only the item that is meant. Growing and shrinking is spread over later changes: no single
 * one of them pays for all items.
 *
 * Invariants
 *   1. Every item is in exactly one of the two tables, at or after the slot its hash names, with no
 *      empty slot between.
 *   2. The order of items is never visible: there is no way to walk them.
 *
 * Threads: none; one owner.
 */
#ifndef COORD_SERVER_STORE_SLOTS_H
#define COORD_SERVER_STORE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slots_table {
    uint32_t *hashes; /* 0 empty, 1 left behind by a move, else the item's */
    void **items;
    uint64_t cap; /* a power of two, or 0 */
};

struct slots {
    struct slots_table now; /* takes new items */
    struct slots_table old; /* being emptied into `now`; cap 0 when there is none */
    uint64_t moved;         /* slots of `old` seen to */
    uint64_t count;         /* items in both */
};

typedef bool (*slots_match)(const void *item, const void *key);

void slots_init(struct slots *s);
/* The items are the caller's. Accepts a zeroed struct. */
void slots_finish(struct slots *s);

/* Of a key. The same on every machine, for tests that compare; nothing else depends on it. */
uint32_t slots_hash(const void *bytes, size_t len);
uint32_t slots_hash_u64(uint64_t a, uint64_t b);

/* Return: the item with this hash that match accepts, or NULL. */
void *slots_find(const struct slots *s, uint32_t hash, slots_match match, const void *key);

/* Make room for one more item. Return: 0, or COORD_ENOMEM with nothing changed. */
int slots_reserve(struct slots *s);

/* Make room for `count` items at once, in an index that is empty. Return: 0, or COORD_ENOMEM with
 * nothing changed. */
int slots_presize(struct slots *s, uint64_t count);

/* Add an item that is not there. slots_reserve was called since the last one was added. */
void slots_add(struct slots *s, uint32_t hash, void *item);

/* One with this hash is about to be added or looked for: have its place at hand. */
void slots_prefetch(const struct slots *s, uint32_t hash);

/* Return: some item with this hash, most likely the one that is meant, or NULL. */
void *slots_likely(const struct slots *s, uint32_t hash);

/* Take out this very item, which is there. */
void slots_remove(struct slots *s, uint32_t hash, const void *item);

/* Bytes of the tables. */
uint64_t slots_bytes(const struct slots *s);

#endif
