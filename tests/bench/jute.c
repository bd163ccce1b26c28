/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jute.c: see jute.h, which holds the format.
 */
#include <string.h>
#include "tests/bench/jute.h"

#define FRAME_BYTES_MAX (16 * 1024 * 1024)
#define PASSWORD_BYTES  16
#define RIGHTS_ALL      31

static size_t begin(struct bytes *out)
{
    size_t at = out->len;

    bytes_put_u32(out, 0);
    return at;
}

static void end(struct bytes *out, size_t at)
{
    bytes_set_u32(out, at, (uint32_t)(out->len - at - 4));
}

static size_t begin_request(struct bytes *out, int32_t xid, enum jute_type type)
{
    size_t at = begin(out);

    bytes_put_u32(out, (uint32_t)xid);
    bytes_put_u32(out, (uint32_t)type);
    return at;
}

static void put_buffer(struct bytes *out, const void *data, size_t n)
{
    bytes_put_u32(out, (uint32_t)n);
    bytes_put(out, data, n);
}

static void put_text(struct bytes *out, const char *text)
{
    put_buffer(out, text, strlen(text));
}

void jute_connect(struct bytes *out, uint32_t timeout_ms)
{
    static const uint8_t no_password[PASSWORD_BYTES];
    size_t at = begin(out);

    bytes_put_u32(out, 0);
    bytes_put_u64(out, 0);
    bytes_put_u32(out, timeout_ms);
    bytes_put_u64(out, 0);
    put_buffer(out, no_password, sizeof no_password);
    bytes_put_u8(out, 0); /* not content with a read-only server */
    end(out, at);
}

void jute_create(struct bytes *out, int32_t xid, const char *path, const void *data, size_t n)
{
    size_t at = begin_request(out, xid, JUTE_CREATE);

    put_text(out, path);
    put_buffer(out, data, n);
    bytes_put_u32(out, 1);
    bytes_put_u32(out, RIGHTS_ALL);
    put_text(out, "world");
    put_text(out, "anyone");
    bytes_put_u32(out, 0);
    end(out, at);
}

void jute_set(struct bytes *out, int32_t xid, const char *path, const void *data, size_t n)
{
    size_t at = begin_request(out, xid, JUTE_SET_DATA);

    put_text(out, path);
    put_buffer(out, data, n);
    bytes_put_u32(out, (uint32_t)-1);
    end(out, at);
}

void jute_read(struct bytes *out, int32_t xid, enum jute_type type, const char *path, bool watch)
{
    size_t at = begin_request(out, xid, type);

    put_text(out, path);
    bytes_put_u8(out, watch ? 1 : 0);
    end(out, at);
}

void jute_sync(struct bytes *out, int32_t xid, const char *path)
{
    size_t at = begin_request(out, xid, JUTE_SYNC);

    put_text(out, path);
    end(out, at);
}

void jute_bare(struct bytes *out, int32_t xid, enum jute_type type)
{
    size_t at = begin_request(out, xid, type);

    end(out, at);
}

int64_t jute_frame(const uint8_t *p, size_t n)
{
    if (n < 4) {
        return 0;
    }
    uint32_t body = bytes_get_u32(p);
    if (body > FRAME_BYTES_MAX) {
        return -1;
    }
    return n - 4 >= body ? (int64_t)body + 4 : 0;
}

bool jute_take_connected(const uint8_t *p, size_t n, int32_t *ret_timeout_ms)
{
    if (n < 4 + 4 + 8) {
        return false;
    }
    *ret_timeout_ms = (int32_t)bytes_get_u32(p + 4);
    return true;
}

bool jute_take_response(const uint8_t *p, size_t n, struct jute_response *ret_r)
{
    if (n < 16) {
        return false;
    }
    *ret_r = (struct jute_response){.xid = (int32_t)bytes_get_u32(p),
                                    .zxid = (int64_t)bytes_get_u64(p + 4),
                                    .error = (int32_t)bytes_get_u32(p + 12),
                                    .body_bytes = (uint32_t)(n - 16)};
    return true;
}
