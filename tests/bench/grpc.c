/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.c: see grpc.h, which holds the formats.
 */
#include <string.h>
#include "tests/bench/grpc.h"

#define MESSAGE_BYTES_MAX (16 * 1024 * 1024)
#define VARINT_BYTES_MAX  10

enum wire_type { TYPE_VARINT = 0, TYPE_FIXED64 = 1, TYPE_BYTES = 2, TYPE_FIXED32 = 5 };

/* --- writing ----------------------------------------------------------------------------------- */

void grpc_put_varint(struct bytes *out, uint64_t v)
{
    while (v >= 0x80) {
        bytes_put_u8(out, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    bytes_put_u8(out, (uint8_t)v);
}

static size_t varint_bytes(uint64_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7) {
        n++;
    }
    return n;
}

/* All field numbers written here are below 16, so a key is one byte. */
static void put_key(struct bytes *out, unsigned number, enum wire_type type)
{
    bytes_put_u8(out, (uint8_t)(number << 3 | type));
}

static void put_number(struct bytes *out, unsigned number, uint64_t v)
{
    put_key(out, number, TYPE_VARINT);
    grpc_put_varint(out, v);
}

/* A field of bytes whose content follows. */
static void put_length(struct bytes *out, unsigned number, size_t n)
{
    put_key(out, number, TYPE_BYTES);
    grpc_put_varint(out, n);
}

static void put_data(struct bytes *out, unsigned number, const void *data, size_t n)
{
    put_length(out, number, n);
    bytes_put(out, data, n);
}

/* Bytes that a field of n bytes takes with its key and length. */
static size_t field_bytes(size_t n)
{
    return 1 + varint_bytes(n) + n;
}

static size_t begin(struct bytes *out)
{
    size_t at = out->len;

    bytes_put_u8(out, 0);
    bytes_put_u32(out, 0);
    return at;
}

static void end(struct bytes *out, size_t at)
{
    bytes_set_u32(out, at + 1, (uint32_t)(out->len - at - GRPC_PREFIX_BYTES));
}

void grpc_put(struct bytes *out, const char *key, const void *value, size_t n)
{
    size_t at = begin(out);

    put_data(out, 1, key, strlen(key));
    put_data(out, 2, value, n);
    end(out, at);
}

void grpc_range(struct bytes *out, const char *key, bool serializable)
{
    size_t at = begin(out);

    put_data(out, 1, key, strlen(key));
    if (serializable) {
        put_number(out, 7, 1);
    }
    end(out, at);
}

void grpc_create(struct bytes *out, const char *key, const void *value, size_t n)
{
    size_t at = begin(out);
    size_t key_bytes = strlen(key);
    size_t put_bytes = field_bytes(key_bytes) + field_bytes(n);

    /* The target and the revision are two fields of one byte each. */
    put_length(out, 1, 2 + field_bytes(key_bytes) + 2);
    put_number(out, 2, 1);
    put_data(out, 3, key, key_bytes);
    put_number(out, 5, 0);
    put_length(out, 2, field_bytes(put_bytes));
    put_length(out, 2, put_bytes);
    put_data(out, 1, key, key_bytes);
    put_data(out, 2, value, n);
    end(out, at);
}

void grpc_watch(struct bytes *out, const char *key)
{
    size_t at = begin(out);
    size_t key_bytes = strlen(key);

    put_length(out, 1, field_bytes(key_bytes));
    put_data(out, 1, key, key_bytes);
    end(out, at);
}

/* --- reading ----------------------------------------------------------------------------------- */

size_t grpc_take_varint(const uint8_t *p, size_t n, uint64_t *ret_v)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n && i < VARINT_BYTES_MAX; i++) {
        if (i == VARINT_BYTES_MAX - 1 && p[i] > 1) {
            return 0; /* beyond 64 bits */
        }
        v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
        if ((p[i] & 0x80) == 0) {
            *ret_v = v;
            return i + 1;
        }
    }
    return 0;
}

int64_t grpc_message(const uint8_t *p, size_t n)
{
    if (n < GRPC_PREFIX_BYTES) {
        return 0;
    }
    uint32_t body = bytes_get_u32(p + 1);
    if (p[0] != 0 || body > MESSAGE_BYTES_MAX) {
        return -1;
    }
    return n - GRPC_PREFIX_BYTES >= body ? (int64_t)body + GRPC_PREFIX_BYTES : 0;
}

/* Bytes that the value of a field takes at p, and its number. 0: malformed. */
static size_t take_value(const uint8_t *p, size_t n, unsigned type, uint64_t *ret_v)
{
    size_t used;

    switch (type) {
    case TYPE_VARINT:
        return grpc_take_varint(p, n, ret_v);
    case TYPE_BYTES:
        used = grpc_take_varint(p, n, ret_v);
        return used != 0 && *ret_v <= n - used ? used + (size_t)*ret_v : 0;
    case TYPE_FIXED64:
        return n >= 8 ? 8 : 0;
    case TYPE_FIXED32:
        return n >= 4 ? 4 : 0;
    default:
        return 0;
    }
}

bool grpc_field(const uint8_t *p, size_t n, unsigned number, unsigned *ret_count, uint64_t *ret_v)
{
    uint64_t last = 0;
    unsigned count = 0;

    for (size_t at = 0; at < n;) {
        uint64_t key = 0, v = 0;
        size_t used = grpc_take_varint(p + at, n - at, &key);
        if (used == 0) {
            return false;
        }
        at += used;
        used = take_value(p + at, n - at, (unsigned)(key & 7), &v);
        if (used == 0) {
            return false;
        }
        at += used;
        if (key >> 3 == number) {
            count++;
            last = v;
        }
    }
    *ret_count = count;
    *ret_v = last;
    return true;
}
