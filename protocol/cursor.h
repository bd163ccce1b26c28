/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor.h: a bounded reader of msgpack over bytes that somebody else owns. It never allocates,
 * never recurses and never looks behind the end; what a header announces is compared with the bytes
 * that remain before anything is done with it.
 *
 * The readers return NULL on success, else a constant text saying what was expected; then the cursor
 * has not moved, so that its offset is that of the offending value.
 *
 * Thread: one cursor, one thread.
 */
#ifndef COORD_PROTOCOL_CURSOR_H
#define COORD_PROTOCOL_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "protocol/message.h"

/* Bytes [p, end) are still to be read. */
struct coord_cursor {
    const uint8_t *p;
    const uint8_t *end;
};

enum coord_item_type {
    COORD_ITEM_RESERVED = 0, /* byte 0xc1, never valid */
    COORD_ITEM_NIL,
    COORD_ITEM_BOOL, /* value 0 or 1 */
    COORD_ITEM_UINT, /* value; also a signed msgpack integer that is not negative */
    COORD_ITEM_NEG,  /* value: the two's complement bits */
    COORD_ITEM_FLOAT,
    COORD_ITEM_STR,
    COORD_ITEM_BIN,
    COORD_ITEM_EXT,
    COORD_ITEM_ARRAY,
    COORD_ITEM_MAP
};

/* One value's header, decoded. */
struct coord_item {
    enum coord_item_type type;
    uint32_t header_bytes;
    uint64_t value;
    uint64_t payload_bytes;  /* STR, BIN, EXT (its type byte included): bytes behind the header */
    uint64_t children_count; /* ARRAY: items; MAP: twice its pairs */
};

/* Read the header at the cursor without moving it. Payload and children are known to fit: at least
 * payload_bytes bytes, and at least one byte per child, follow the header. */
const char *coord__cursor_header(const struct coord_cursor *c, struct coord_item *ret_item);

const char *coord__cursor_uint(struct coord_cursor *c, uint64_t max, uint64_t *ret_value);
const char *coord__cursor_int(struct coord_cursor *c, int64_t min, int64_t *ret_value);
const char *coord__cursor_bool(struct coord_cursor *c, bool *ret_value);
const char *coord__cursor_array(struct coord_cursor *c, uint32_t *ret_count);

/* Bytes of a str or a bin; with `optional`, nil gives data == NULL. */
const char *coord__cursor_str(struct coord_cursor *c, bool optional, struct coord_bytes *ret_bytes);
const char *coord__cursor_bin(struct coord_cursor *c, bool optional, struct coord_bytes *ret_bytes);

/* The same for what nearly every value is: a number in one of its unsigned forms. Return: false, with nothing moved, when
 * it is anything else, cut short or above max; then the reader above says what it is. */
static inline bool coord__cursor_quick_uint(struct coord_cursor *c, uint64_t max,
                                            uint64_t *ret_value)
{
    size_t left = (size_t)(c->end - c->p);
    if (left == 0) {
        return false;
    }
    uint8_t first = *c->p;
    uint64_t value = first;
    size_t bytes = 0;
    if (first >= 0x80) {
        bytes = (size_t)1 << (first & 3u);
        if ((first & 0xfcu) != 0xcc || left <= bytes) {
            return false;
        }
        value = 0;
        if (left > sizeof(value)) {
            memcpy(&value, c->p + 1, sizeof(value));
            value = be64toh(value) >> (64 - 8 * bytes);
        } else {
            for (size_t i = 1; i <= bytes; i++) {
                value = value << 8 | c->p[i];
            }
        }
    }
    if (value > max) {
        return false;
    }
    c->p += 1 + bytes;
    *ret_value = value;
    return true;
}

/* Likewise a str of fewer than 256 bytes, and a bin. */
static inline bool coord__cursor_quick_str(struct coord_cursor *c, struct coord_bytes *ret_bytes)
{
    size_t left = (size_t)(c->end - c->p);
    if (left < 2) {
        return false;
    }
    size_t head = 1;
    size_t len = c->p[0] & 0x1fu;
    if ((c->p[0] & 0xe0u) != 0xa0) {
        if (c->p[0] != 0xd9) {
            return false;
        }
        head = 2;
        len = c->p[1];
    }
    if (len > left - head) {
        return false;
    }
    *ret_bytes = (struct coord_bytes){c->p + head, (uint32_t)len};
    c->p += head + len;
    return true;
}

static inline bool coord__cursor_quick_bin(struct coord_cursor *c, struct coord_bytes *ret_bytes)
{
    if (c->end - c->p < 2 || c->p[0] != 0xc4 || c->p[1] > c->end - c->p - 2) {
        return false;
    }
    *ret_bytes = (struct coord_bytes){c->p + 2, c->p[1]};
    c->p += 2 + (size_t)ret_bytes->len;
    return true;
}

/* Step over `false`, the mark of a value that was not sent. Return: whether it was there. */
bool coord__cursor_skip_false(struct coord_cursor *c);

#endif
