/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.c: shared event frames. The head of an event, as message.h and msgpack have it:
 *
 *   offset  size  bytes
 *        0     4  length of what follows, big-endian
 *        4     1  0x95, an array of five
 *        5     1  0, the number of no request
 *        6  1..9  the watch's number in its shortest form
 *        -     -  revision, state, changes: the same for every watch
 */
#include "server/watch/frame.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <coord/error.h>

#define AT_NUMBER        6u
#define NUMBER_BYTES_MAX 9u
#define ARRAY_OF_FIVE    0x95u

void frame_init(struct frame *f, const struct coord_event *ev, uint32_t frame_bytes_max)
{
    f->event = *ev;
    f->encoded = NULL;
    f->frame_bytes_max = frame_bytes_max;
}

void frame_finish(struct frame *f)
{
    coord_buf_unref(f->encoded);
    f->encoded = NULL;
}

/* The shortest msgpack form of a number. Return: its bytes. */
static uint32_t number_encode(uint64_t number, uint8_t out[NUMBER_BYTES_MAX])
{
    uint32_t bytes = 0;
    if (number < 0x80) {
        out[0] = (uint8_t)number;
        return 1;
    }
    if (number <= UINT8_MAX) {
        out[0] = 0xcc;
        bytes = 1;
    } else if (number <= UINT16_MAX) {
        out[0] = 0xcd;
        bytes = 2;
    } else if (number <= UINT32_MAX) {
        out[0] = 0xce;
        bytes = 4;
    } else {
        out[0] = 0xcf;
        bytes = 8;
    }
    for (uint32_t i = 0; i < bytes; i++) {
        out[1 + i] = (uint8_t)(number >> (8 * (bytes - 1 - i)));
    }
    return 1 + bytes;
}

/* A lower bound on the bytes of the frame, that costs no encoding. */
static uint64_t bytes_min(const struct coord_event *ev)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < ev->changes_count; i++) {
        const struct coord_change *c = &ev->changes[i];
        bytes += c->path.len;
        bytes += c->has_value ? c->value.len : 0;
        bytes += c->has_previous ? c->previous.len : 0;
    }
    return bytes;
}

static void become_gap(struct frame *f)
{
    frame_finish(f);
    f->event.state = COORD_EVENT_GAP;
    f->event.changes_count = 0;
    f->event.changes = NULL;
}

/* The longest number a watch may have takes this much more than the one encoded. */
static bool too_long(const struct frame *f)
{
    uint32_t body = f->encoded->len - COORD_FRAME_HEADER_BYTES;
    return body > f->frame_bytes_max || f->frame_bytes_max - body < NUMBER_BYTES_MAX - 1;
}

static int encode(struct frame *f, uint64_t number)
{
    f->event.watch = number;
    if (f->event.changes_count > 0 && bytes_min(&f->event) > f->frame_bytes_max) {
        become_gap(f);
    }
    int rc = coord_event_encode(&f->event, &f->encoded);
    if (rc == 0 && f->event.changes_count > 0 && too_long(f)) {
        become_gap(f);
        rc = coord_event_encode(&f->event, &f->encoded);
    }
    return rc;
}

/* A copy of the encoded frame with another number. */
static struct coord_buf *renumber(const struct frame *f, uint64_t number)
{
    uint8_t old[NUMBER_BYTES_MAX];
    uint8_t new[NUMBER_BYTES_MAX];
    uint32_t old_bytes = number_encode(f->event.watch, old);
    uint32_t new_bytes = number_encode(number, new);
    const struct coord_buf *from = f->encoded;
    assert(from->data[COORD_FRAME_HEADER_BYTES] == ARRAY_OF_FIVE);
    assert(memcmp(from->data + AT_NUMBER, old, old_bytes) == 0);
    uint32_t rest = from->len - AT_NUMBER - old_bytes;
    struct coord_buf *to = coord_buf_create((size_t)AT_NUMBER + new_bytes + rest);
    if (to == NULL) {
        return NULL;
    }
    to->len = AT_NUMBER + new_bytes + rest;
    memcpy(to->data, from->data, AT_NUMBER);
    memcpy(to->data + AT_NUMBER, new, new_bytes);
    memcpy(to->data + AT_NUMBER + new_bytes, from->data + AT_NUMBER + old_bytes, rest);
    uint32_t body = to->len - COORD_FRAME_HEADER_BYTES;
    for (uint32_t i = 0; i < COORD_FRAME_HEADER_BYTES; i++) {
        to->data[i] = (uint8_t)(body >> (8 * (COORD_FRAME_HEADER_BYTES - 1 - i)));
    }
    return to;
}

struct coord_buf *frame_for(struct frame *f, uint64_t number)
{
    if (f->encoded == NULL && encode(f, number) != 0) {
        return NULL;
    }
    if (f->event.watch == number) {
        return coord_buf_ref(f->encoded);
    }
    return renumber(f, number);
}
