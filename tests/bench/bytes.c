/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.c: see bytes.h. Grows by doubling, never shrinks.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/bench/bytes.h"

#define BYTES_FIRST 4096

uint8_t *bytes_room(struct bytes *b, size_t n)
{
    if (b->failed) {
        return NULL;
    }
    if (b->cap - b->len < n) {
        size_t cap = b->cap > 0 ? b->cap : BYTES_FIRST;
        while (cap - b->len < n) {
            cap *= 2;
        }
        uint8_t *data = realloc(b->data, cap);
        if (data == NULL) {
            b->failed = true;
            return NULL;
        }
        b->data = data;
        b->cap = cap;
    }
    return b->data + b->len;
}

void bytes_put(struct bytes *b, const void *data, size_t n)
{
    uint8_t *to = bytes_room(b, n);

    if (to != NULL && n > 0) {
        memcpy(to, data, n);
        b->len += n;
    }
}

void bytes_put_u8(struct bytes *b, uint8_t v)
{
    bytes_put(b, &v, 1);
}

static void store_u32(uint8_t *to, uint32_t v)
{
    to[0] = (uint8_t)(v >> 24);
    to[1] = (uint8_t)(v >> 16);
    to[2] = (uint8_t)(v >> 8);
    to[3] = (uint8_t)v;
}

void bytes_put_u32(struct bytes *b, uint32_t v)
{
    uint8_t raw[4];

    store_u32(raw, v);
    bytes_put(b, raw, sizeof raw);
}

void bytes_put_u64(struct bytes *b, uint64_t v)
{
    uint8_t raw[8];

    store_u32(raw, (uint32_t)(v >> 32));
    store_u32(raw + 4, (uint32_t)v);
    bytes_put(b, raw, sizeof raw);
}

void bytes_set_u32(struct bytes *b, size_t at, uint32_t v)
{
    if (!b->failed && at + 4 <= b->len) {
        store_u32(b->data + at, v);
    }
}

void bytes_drop(struct bytes *b, size_t n)
{
    if (n < b->len) {
        memmove(b->data, b->data + n, b->len - n);
        b->len -= n;
    } else {
        b->len = 0;
    }
}

void bytes_clear(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}

uint32_t bytes_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t bytes_get_u64(const uint8_t *p)
{
    return (uint64_t)bytes_get_u32(p) << 32 | bytes_get_u32(p + 4);
}
