/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.c: log entries of the service to bytes and back. The format stands in entry.h.
 *
 * Leaves to others: what the body says (apply.c). Thread: any.
 */
#include "server/machine/entry.h"

#include <assert.h>
#include <string.h>
#include "server/machine/bytes.h"

#define AT_KIND    0
#define AT_VERSION 1
#define AT_ZERO    2
#define AT_ORIGIN  4
#define AT_COOKIE  8
#define AT_SESSION 16
#define AT_EPOCH   24
#define AT_TIME    32
#define AT_BODY    40
#define AT_ZERO2   44

_Static_assert(AT_ZERO2 + 4 == ENTRY_HEADER_BYTES, "the table of entry.h");

static bool kind_known(unsigned kind)
{
    return kind >= ENTRY_REQUEST && kind <= ENTRY_DIGEST;
}

void entry_header_encode(const struct entry *e, uint8_t out[ENTRY_HEADER_BYTES])
{
    assert(kind_known(e->kind));
    memset(out, 0, ENTRY_HEADER_BYTES);
    out[AT_KIND] = (uint8_t)e->kind;
    out[AT_VERSION] = ENTRY_VERSION;
    bytes_put_u32(out + AT_ORIGIN, e->origin);
    bytes_put_u64(out + AT_COOKIE, e->cookie);
    bytes_put_u64(out + AT_SESSION, e->session);
    bytes_put_u64(out + AT_EPOCH, e->epoch);
    bytes_put_u64(out + AT_TIME, e->time_ms);
    bytes_put_u32(out + AT_BODY, e->body_bytes);
}

void entry_stamp(uint8_t *bytes, uint64_t time_ms)
{
    bytes_put_u64(bytes + AT_TIME, time_ms);
}

bool entry_decode(const uint8_t *bytes, size_t len, struct entry *ret_e)
{
    if (len < ENTRY_HEADER_BYTES || !kind_known(bytes[AT_KIND]) ||
        bytes[AT_VERSION] != ENTRY_VERSION) {
        return false;
    }
    uint32_t body_bytes = bytes_get_u32(bytes + AT_BODY);
    if (bytes[AT_ZERO] != 0 || bytes[AT_ZERO + 1] != 0 || bytes_get_u32(bytes + AT_ZERO2) != 0 ||
        body_bytes != len - ENTRY_HEADER_BYTES) {
        return false;
    }
    *ret_e = (struct entry){
        .kind = (enum entry_kind)bytes[AT_KIND],
        .origin = bytes_get_u32(bytes + AT_ORIGIN),
        .cookie = bytes_get_u64(bytes + AT_COOKIE),
        .session = bytes_get_u64(bytes + AT_SESSION),
        .epoch = bytes_get_u64(bytes + AT_EPOCH),
        .time_ms = bytes_get_u64(bytes + AT_TIME),
        .body = bytes + ENTRY_HEADER_BYTES,
        .body_bytes = body_bytes,
    };
    return true;
}
