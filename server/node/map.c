/* SPDX-License-Identifier: Apache-2.0 */
/* map.c: see map.h for what it is and its invariants. */
#include "server/node/map.h"

#include <stdlib.h>
#include <coord/error.h>
#include "server/node/invariant.h"

#define SLOTS_MIN 16u

static size_t home_of(const struct node_map *m, uint64_t key)
{
    /* The finaliser of splitmix64: neighbouring numbers land far apart. */
    uint64_t z = key + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (size_t)(z ^ (z >> 31)) & (m->slots - 1);
}

void node__map_release(struct node_map *m)
{
    free(m->keys);
    free(m->values);
    *m = (struct node_map){0};
}

/* The slot of key, or the free one where it would go. */
static size_t slot_of(const struct node_map *m, uint64_t key)
{
    size_t i = home_of(m, key);
    while (m->values[i] != NULL && m->keys[i] != key) {
        i = (i + 1) & (m->slots - 1);
    }
    return i;
}

void *node__map_get(const struct node_map *m, uint64_t key)
{
    return m->slots == 0 ? NULL : m->values[slot_of(m, key)];
}

static int grow(struct node_map *m)
{
    struct node_map bigger = {.slots = m->slots == 0 ? SLOTS_MIN : m->slots * 2};
    bigger.keys = calloc(bigger.slots, sizeof(bigger.keys[0]));
    bigger.values = calloc(bigger.slots, sizeof(bigger.values[0]));
    if (bigger.keys == NULL || bigger.values == NULL) {
        node__map_release(&bigger);
        return COORD_ENOMEM;
    }
    for (size_t i = 0; i < m->slots; i++) {
        if (m->values[i] != NULL) {
            size_t at = slot_of(&bigger, m->keys[i]);
            bigger.keys[at] = m->keys[i];
            bigger.values[at] = m->values[i];
        }
    }
    bigger.count = m->count;
    node__map_release(m);
    *m = bigger;
    return 0;
}

int node__map_put(struct node_map *m, uint64_t key, void *value)
{
    NODE_ASSERT(value != NULL);
    if (m->count + 1 > m->slots / 4 * 3) {
        int rv = grow(m);
        if (rv != 0) {
            return rv;
        }
    }
    size_t i = slot_of(m, key);
    if (m->values[i] == NULL) {
        m->count++;
    }
    m->keys[i] = key;
    m->values[i] = value;
    return 0;
}

void *node__map_remove(struct node_map *m, uint64_t key)
{
    if (m->slots == 0) {
        return NULL;
    }
    size_t hole = slot_of(m, key);
    void *value = m->values[hole];
    if (value == NULL) {
        return NULL;
    }
    size_t mask = m->slots - 1;
    for (size_t i = (hole + 1) & mask; m->values[i] != NULL; i = (i + 1) & mask) {
        /* An entry may move back to the hole unless its home lies behind the hole. */
        size_t home = home_of(m, m->keys[i]);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->keys[hole] = m->keys[i];
            m->values[hole] = m->values[i];
            hole = i;
        }
    }
    m->values[hole] = NULL;
    m->count--;
    return value;
}

void *node__map_next(const struct node_map *m, size_t *cursor)
{
    while (*cursor < m->slots) {
        void *value = m->values[(*cursor)++];
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
