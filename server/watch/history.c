/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c: records of changes in a chain of segments of 256 KiB: written at the newest, given up at the
 * oldest, and a ring of pointers to them for seeking. An emptied segment serves again as the newest.
 */
#include "server/watch/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_BYTES (256u * 1024u)
#define RING_FIRST    64u

enum value_form {
    FORM_NONE = 0,   /* not told */
    FORM_ABSENT = 1, /* told to be absent */
    FORM_BYTES = 2
};

/* A change; path, value and previous value follow. */
struct history_record {
    uint64_t revision;
    uint64_t version;
    uint64_t create_revision;
    uint32_t path_bytes;
    uint32_t value_bytes;
    uint32_t previous_bytes;
    uint8_t kind;
    uint8_t value_form;
    uint8_t previous_form;
    uint8_t reserved;
    uint8_t bytes[];
};

struct history_segment {
    struct history_segment *next;
    uint32_t records; /* that are still held */
    uint32_t reserved;
    size_t used;
    size_t cap;
    uint8_t bytes[];
};

void history_init(struct history *h, uint32_t events_max, uint64_t bytes_max)
{
    memset(h, 0, sizeof(*h));
    h->events_max = events_max;
    h->bytes_max = bytes_max;
}

static size_t record_bytes(const struct history_record *r)
{
    size_t bytes = sizeof(*r) + r->path_bytes + (size_t)r->value_bytes + r->previous_bytes;
    return (bytes + 7) & ~(size_t)7;
}

static uint64_t change_bytes(const struct coord_change *c)
{
    uint64_t bytes = sizeof(struct history_record) + c->path.len;
    bytes += c->has_value ? c->value.len : 0;
    bytes += c->has_previous ? c->previous.len : 0;
    return (bytes + 7) & ~(uint64_t)7;
}

static struct history_record *record_at(const struct history *h, uint32_t i)
{
    return h->ring[(h->head + i) & (h->cap - 1)];
}

/* Give up the oldest segment, keeping one of the common size for later. */
static void segment_drop(struct history *h)
{
    struct history_segment *s = h->oldest;
    assert(s->records == 0);
    h->oldest = s->next;
    if (h->oldest == NULL) {
        h->newest = NULL;
    }
    if (h->spare == NULL && s->cap == SEGMENT_BYTES) {
        h->spare = s;
    } else {
        free(s);
    }
}

static void record_drop(struct history *h)
{
    const struct history_record *r = record_at(h, 0);
    h->bytes -= record_bytes(r);
    h->head = (h->head + 1) & (h->cap - 1);
    h->count--;
    assert(h->oldest->records > 0);
    h->oldest->records--;
    if (h->oldest->records == 0) {
        segment_drop(h);
    }
}

static void revision_drop(struct history *h)
{
    h->floor = record_at(h, 0)->revision;
    while (h->count > 0 && record_at(h, 0)->revision == h->floor) {
        record_drop(h);
    }
}

void history_reset(struct history *h, uint64_t floor)
{
    while (h->count > 0) {
        record_drop(h);
    }
    h->floor = floor;
}

void history_finish(struct history *h)
{
    history_reset(h, 0);
    assert(h->oldest == NULL);
    free(h->spare);
    free(h->ring);
    memset(h, 0, sizeof(*h));
}

static bool ring_reserve(struct history *h)
{
    if (h->count < h->cap) {
        return true;
    }
    uint32_t cap = h->cap == 0 ? RING_FIRST : h->cap * 2;
    struct history_record **ring = malloc((size_t)cap * sizeof(struct history_record *));
    if (ring == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < h->count; i++) {
        ring[i] = record_at(h, i);
    }
    free(h->ring);
    h->ring = ring;
    h->cap = cap;
    h->head = 0;
    return true;
}

/* Make the newest segment one with this much room. */
static bool segment_reserve(struct history *h, size_t bytes)
{
    if (h->newest != NULL && h->newest->cap - h->newest->used >= bytes) {
        return true;
    }
    struct history_segment *s = NULL;
    if (h->spare != NULL && bytes <= SEGMENT_BYTES) {
        s = h->spare;
        h->spare = NULL;
    } else {
        size_t cap = bytes > SEGMENT_BYTES ? bytes : SEGMENT_BYTES;
        s = malloc(sizeof(*s) + cap);
        if (s == NULL) {
            return false;
        }
        s->cap = cap;
    }
    s->next = NULL;
    s->records = 0;
    s->used = 0;
    if (h->newest != NULL) {
        h->newest->next = s;
    } else {
        h->oldest = s;
    }
    h->newest = s;
    return true;
}

static enum value_form form_of(bool told, struct coord_bytes value)
{
    if (!told) {
        return FORM_NONE;
    }
    return value.data == NULL ? FORM_ABSENT : FORM_BYTES;
}

static uint8_t *put(uint8_t *at, struct coord_bytes b, uint32_t len)
{
    if (len > 0) {
        memcpy(at, b.data, len);
    }
    return at + len;
}

static bool record_add(struct history *h, uint64_t revision, const struct coord_change *c)
{
    size_t bytes = (size_t)change_bytes(c);
    if (!ring_reserve(h) || !segment_reserve(h, bytes)) {
        return false;
    }
    struct history_record *r = (struct history_record *)(h->newest->bytes + h->newest->used);
    *r = (struct history_record){
        .revision = revision,
        .version = c->version,
        .create_revision = c->create_revision,
        .path_bytes = c->path.len,
        .value_bytes = c->has_value ? c->value.len : 0,
        .previous_bytes = c->has_previous ? c->previous.len : 0,
        .kind = (uint8_t)c->kind,
        .value_form = (uint8_t)form_of(c->has_value, c->value),
        .previous_form = (uint8_t)form_of(c->has_previous, c->previous),
    };
    uint8_t *at = put(r->bytes, c->path, r->path_bytes);
    at = put(at, c->value, r->value_bytes);
    (void)put(at, c->previous, r->previous_bytes);
    assert(record_bytes(r) == bytes);
    h->newest->used += bytes;
    h->newest->records++;
    h->ring[(h->head + h->count) & (h->cap - 1)] = r;
    h->count++;
    h->bytes += bytes;
    return true;
}

void history_add(struct history *h, uint64_t revision, const struct coord_change *changes,
                 uint32_t count)
{
    assert(h->count == 0 || record_at(h, h->count - 1)->revision < revision);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += change_bytes(&changes[i]);
    }
    if (count > h->events_max || bytes > h->bytes_max) {
        history_reset(h, revision);
        return;
    }
    while (h->count > h->events_max - count || h->bytes > h->bytes_max - bytes) {
        revision_drop(h);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!record_add(h, revision, &changes[i])) {
            history_reset(h, revision);
            return;
        }
    }
}

uint32_t history_seek(const struct history *h, uint64_t revision)
{
    uint32_t low = 0;
    uint32_t high = h->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (record_at(h, mid)->revision <= revision) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

uint64_t history_at(const struct history *h, uint32_t i, struct coord_change *ret_change)
{
    assert(i < h->count);
    const struct history_record *r = record_at(h, i);
    const uint8_t *value = r->bytes + r->path_bytes;
    const uint8_t *previous = value + r->value_bytes;
    *ret_change = (struct coord_change){
        .kind = (enum coord_change_kind)r->kind,
        .path = {r->bytes, r->path_bytes},
        .version = r->version,
        .create_revision = r->create_revision,
        .has_value = r->value_form != FORM_NONE,
        .has_previous = r->previous_form != FORM_NONE,
        .value = {r->value_form == FORM_BYTES ? value : NULL, r->value_bytes},
        .previous = {r->previous_form == FORM_BYTES ? previous : NULL, r->previous_bytes},
    };
    return r->revision;
}
