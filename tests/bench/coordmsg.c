/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coordmsg.c: see coordmsg.h. msgpack by hand: of the formats that docs/protocol.md allows, the smallest.
 */
#include <string.h>
#include "tests/bench/coordmsg.h"

#define FRAME_BYTES_MAX (16 * 1024 * 1024)

enum {
    OP_HELLO = 1,
    OP_PING = 2,
    OP_OPEN = 3,
    OP_CLOSE = 4,
    OP_CREATE = 5,
    OP_GET = 6,
    OP_SET = 7,
    OP_WATCH = 13,
    LEVEL_LINEARIZABLE = 0,
    LEVEL_LOCAL = 3,
    KINDS_ALL = 7,
    WATCH_VALUE = 1,
};

/* --- writing ----------------------------------------------------------------------------------- */

static void put_uint(struct bytes *out, uint64_t v)
{
    if (v < 0x80) {
        bytes_put_u8(out, (uint8_t)v);
    } else if (v <= UINT8_MAX) {
        bytes_put_u8(out, 0xcc);
        bytes_put_u8(out, (uint8_t)v);
    } else if (v <= UINT16_MAX) {
        bytes_put_u8(out, 0xcd);
        bytes_put_u8(out, (uint8_t)(v >> 8));
        bytes_put_u8(out, (uint8_t)v);
    } else if (v <= UINT32_MAX) {
        bytes_put_u8(out, 0xce);
        bytes_put_u32(out, (uint32_t)v);
    } else {
        bytes_put_u8(out, 0xcf);
        bytes_put_u64(out, v);
    }
}

static void put_nil(struct bytes *out)
{
    bytes_put_u8(out, 0xc0);
}

static void put_minus_one(struct bytes *out)
{
    bytes_put_u8(out, 0xff);
}

/* Texts here are paths of this program: below 256 bytes. */
static void put_text(struct bytes *out, const char *text)
{
    size_t n = strlen(text);

    if (n < 32) {
        bytes_put_u8(out, (uint8_t)(0xa0 | n));
    } else {
        bytes_put_u8(out, 0xd9);
        bytes_put_u8(out, (uint8_t)n);
    }
    bytes_put(out, text, n);
}

static void put_data(struct bytes *out, const void *data, size_t n)
{
    if (n <= UINT8_MAX) {
        bytes_put_u8(out, 0xc4);
        bytes_put_u8(out, (uint8_t)n);
    } else if (n <= UINT16_MAX) {
        bytes_put_u8(out, 0xc5);
        bytes_put_u8(out, (uint8_t)(n >> 8));
        bytes_put_u8(out, (uint8_t)n);
    } else {
        bytes_put_u8(out, 0xc6);
        bytes_put_u32(out, (uint32_t)n);
    }
    bytes_put(out, data, n);
}

/* The length comes last; items: of the whole array, at most 15. */
static size_t begin(struct bytes *out, unsigned items, struct coordmsg_head h, unsigned operation)
{
    size_t at = out->len;

    bytes_put_u32(out, 0);
    bytes_put_u8(out, (uint8_t)(0x90 | items));
    put_uint(out, h.number);
    put_uint(out, operation);
    put_uint(out, h.acked);
    return at;
}

static void end(struct bytes *out, size_t at)
{
    bytes_set_u32(out, at, (uint32_t)(out->len - at - 4));
}

void coordmsg_hello(struct bytes *out, uint64_t number)
{
    size_t at = begin(out, 8, (struct coordmsg_head){.number = number}, OP_HELLO);

    put_uint(out, 1);
    put_text(out, "coordload");
    put_uint(out, 0);
    put_nil(out);
    put_uint(out, 0);
    end(out, at);
}

void coordmsg_open(struct bytes *out, struct coordmsg_head h, uint64_t timeout_ms)
{
    size_t at = begin(out, 4, h, OP_OPEN);

    put_uint(out, timeout_ms);
    end(out, at);
}

void coordmsg_close(struct bytes *out, struct coordmsg_head h)
{
    size_t at = begin(out, 3, h, OP_CLOSE);

    end(out, at);
}

void coordmsg_ping(struct bytes *out, struct coordmsg_head h)
{
    size_t at = begin(out, 5, h, OP_PING);

    put_uint(out, LEVEL_LINEARIZABLE);
    put_uint(out, 0);
    end(out, at);
}

void coordmsg_create(struct bytes *out, struct coordmsg_head h, const char *path, const void *data,
                     size_t n)
{
    size_t at = begin(out, 7, h, OP_CREATE);

    put_text(out, path);
    put_data(out, data, n);
    put_uint(out, 0);
    put_uint(out, 0);
    end(out, at);
}

void coordmsg_set(struct bytes *out, struct coordmsg_head h, const char *path, const void *data,
                  size_t n)
{
    size_t at = begin(out, 8, h, OP_SET);

    put_text(out, path);
    put_data(out, data, n);
    put_minus_one(out);
    put_uint(out, 0);
    put_uint(out, 0);
    end(out, at);
}

void coordmsg_get(struct bytes *out, struct coordmsg_head h, const char *path, bool linearizable)
{
    size_t at = begin(out, 6, h, OP_GET);

    put_text(out, path);
    put_uint(out, linearizable ? LEVEL_LINEARIZABLE : LEVEL_LOCAL);
    put_uint(out, 0);
    end(out, at);
}

void coordmsg_watch(struct bytes *out, struct coordmsg_head h, uint64_t watch, const char *path)
{
    size_t at = begin(out, 9, h, OP_WATCH);

    put_uint(out, watch);
    put_text(out, path);
    put_uint(out, 0);
    put_uint(out, KINDS_ALL);
    put_uint(out, WATCH_VALUE);
    put_uint(out, 0);
    end(out, at);
}

/* --- reading ----------------------------------------------------------------------------------- */

int64_t coordmsg_frame(const uint8_t *p, size_t n)
{
    if (n < 4) {
        return 0;
    }
    uint32_t body = bytes_get_u32(p);
    if (body == 0 || body > FRAME_BYTES_MAX) {
        return -1;
    }
    return n - 4 >= body ? (int64_t)body + 4 : 0;
}

/* An unsigned integer at *at, which moves behind it. */
static bool take_uint(const uint8_t *p, size_t n, size_t *at, uint64_t *ret_v)
{
    if (*at >= n) {
        return false;
    }
    uint8_t first = p[*at];
    if (first < 0x80) {
        *ret_v = first;
        *at += 1;
        return true;
    }
    if (first < 0xcc || first > 0xcf) {
        return false;
    }
    size_t wide = (size_t)1 << (first - 0xcc);
    if (n - *at < 1 + wide) {
        return false;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < wide; i++) {
        v = v << 8 | p[*at + 1 + i];
    }
    *ret_v = v;
    *at += 1 + wide;
    return true;
}

bool coordmsg_take(const uint8_t *p, size_t n, struct coordmsg_reply *ret_r)
{
    struct coordmsg_reply r = {0};
    size_t at = 1;
    uint64_t revision;

    /* No message has more than 15 items. */
    if (n < 1 || (p[0] & 0xf0) != 0x90 || !take_uint(p, n, &at, &r.number)) {
        return false;
    }
    bool whole = r.number != 0
                     ? take_uint(p, n, &at, &r.code)
                     : take_uint(p, n, &at, &r.watch) && take_uint(p, n, &at, &revision) &&
                           take_uint(p, n, &at, &r.code);
    if (whole) {
        *ret_r = r;
    }
    return whole;
}
