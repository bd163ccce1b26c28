/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h: a hash map from a 64-bit number to a pointer: connections by number, connections and
 * activity by session.
 *
 * Open addressing with linear probing; removal moves later entries back, so there are no tombstones.
 * Invariants
 *   1. A value is never NULL: NULL marks a free slot.
 *   2. At most three quarters of the slots are used.
 * The order of iteration depends on the numbers only; nothing that leaves the member depends on it.
 * Threads: none; owned by the loop thread.
 */
#ifndef COORD_SERVER_NODE_MAP_H
#define COORD_SERVER_NODE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct node_map {
    uint64_t *keys;
    void **values;
    size_t slots; /* a power of two, or 0 */
    size_t count;
};

/* Zeroed is empty and valid. release frees the table, not the values. */
void node__map_release(struct node_map *m);

/* Return: NULL when there is no such key. */
void *node__map_get(const struct node_map *m, uint64_t key);

/* Add or replace. value is not NULL. Return: 0, or COORD_ENOMEM with the map as it was. */
int node__map_put(struct node_map *m, uint64_t key, void *value);

/* Return: what was there, or NULL. */
void *node__map_remove(struct node_map *m, uint64_t key);

/* Walk: *cursor starts as 0. The map must not change meanwhile. Return: NULL at the end. */
void *node__map_next(const struct node_map *m, size_t *cursor);

#endif
