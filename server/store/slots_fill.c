/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots_fill.c: see slots_fill.h. A part of the table is named by the highest bits of a hash, as places are
 * (slots.c). With 256 parts those of a million items are 64 KiB each: 128 items that are added together share
 * what the processor knows of their pages, and their cache lines are asked for all at once.
 */
#include "server/store/slots_fill.h"

#include <stdlib.h>
#include <string.h>
#include "server/store/slots.h"

#define PART_SHIFT 24u
#define PARTS      256u
#define PART_ITEMS 128u /* with them all is 400 KB, which stays in the cache */

struct slots_fill {
    struct slots *to;
    uint32_t counts[PARTS];
    uint32_t hashes[PARTS][PART_ITEMS]; /* from here on: large, and set before it is read */
    void *items[PARTS][PART_ITEMS];
};

struct slots_fill *slots_fill_create(struct slots *s)
{
    struct slots_fill *f = malloc(sizeof(*f));
    if (f != NULL) {
        memset(f, 0, offsetof(struct slots_fill, hashes));
        f->to = s;
    }
    return f;
}

static void part_add(struct slots_fill *f, uint32_t part)
{
    const uint32_t *hashes = f->hashes[part];
    uint32_t count = f->counts[part];
    for (uint32_t i = 0; i < count; i++) {
        slots_prefetch(f->to, hashes[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        slots_add(f->to, hashes[i], f->items[part][i]);
    }
    f->counts[part] = 0;
}

void slots_fill_add(struct slots_fill *f, uint32_t hash, void *item)
{
    uint32_t part = hash >> PART_SHIFT;
    uint32_t at = f->counts[part]++;
    f->hashes[part][at] = hash;
    f->items[part][at] = item;
    if (at + 1 == PART_ITEMS) {
        part_add(f, part);
    }
}

void slots_fill_end(struct slots_fill *f)
{
    for (uint32_t i = 0; f != NULL && i < PARTS; i++) {
        part_add(f, i);
    }
    slots_fill_destroy(f);
}

void slots_fill_destroy(struct slots_fill *f)
{
    free(f);
}
