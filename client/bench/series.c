/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series.c: see series.h.
 */
#include <assert.h>
#include <stdlib.h>
#include "client/bench/series.h"

#define SLOT_NS (SERIES_SLOT_MS * 1000000ull)

bool series_init(struct series *s, uint64_t start_ns)
{
    *s = (struct series){.start_ns = start_ns, .last_ns = start_ns, .stall_from_ns = start_ns};
    s->slots = calloc(SERIES_SLOTS_MAX, sizeof *s->slots);
    return s->slots != NULL;
}

void series_finish(struct series *s)
{
    free(s->slots);
    s->slots = NULL;
}

static void note_gap(struct series *s, uint64_t now_ns)
{
    assert(now_ns >= s->last_ns);
    if (now_ns - s->last_ns > s->stall_ns) {
        s->stall_ns = now_ns - s->last_ns;
        s->stall_from_ns = s->last_ns;
    }
    s->last_ns = now_ns;
}

void series_add(struct series *s, uint64_t now_ns)
{
    size_t slot = (size_t)((now_ns - s->start_ns) / SLOT_NS);

    note_gap(s, now_ns);
    if (slot < SERIES_SLOTS_MAX) {
        s->slots[slot]++;
        s->count = slot + 1;
    }
}

void series_end(struct series *s, uint64_t end_ns)
{
    size_t slots = (size_t)((end_ns - s->start_ns + SLOT_NS - 1) / SLOT_NS);

    note_gap(s, end_ns);
    slots = slots < SERIES_SLOTS_MAX ? slots : SERIES_SLOTS_MAX;
    s->count = slots > s->count ? slots : s->count;
}

uint32_t series_least(const struct series *s)
{
    uint32_t least = s->count > 1 ? s->slots[0] : 0;

    for (size_t i = 1; i + 1 < s->count; i++) {
        least = s->slots[i] < least ? s->slots[i] : least;
    }
    return least;
}

uint32_t series_greatest(const struct series *s)
{
    uint32_t greatest = 0;

    for (size_t i = 0; i + 1 < s->count; i++) {
        greatest = s->slots[i] > greatest ? s->slots[i] : greatest;
    }
    return greatest;
}
