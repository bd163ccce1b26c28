/* SPDX-License-Identifier: Apache-2.0 */
/* handshake.c: see handshake.h, which holds the format. Pure; any thread. */
#include "server/shell/handshake.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const uint8_t magic[8] = {'C', 'O', 'O', 'R', 'D', 'P', 'E', 'R'};

static void put(uint8_t *out, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        out[i] = (uint8_t)v;
        v >>= 8;
    }
}

static uint64_t get(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

struct coord_buf *handshake_encode(const struct handshake *h)
{
    size_t text = h->kind == HANDSHAKE_REFUSAL ? strnlen(h->text, HANDSHAKE_TEXT_BYTES) : 0;
    struct coord_buf *buf = coord_buf_create(HANDSHAKE_BYTES + text);
    if (buf == NULL) {
        return NULL;
    }
    uint8_t *p = buf->data;
    memset(p, 0, HANDSHAKE_BYTES);
    memcpy(p, magic, sizeof(magic));
    put(p + 8, h->version, 2);
    p[10] = (uint8_t)h->kind;
    put(p + 12, h->from, 4);
    put(p + 16, h->to, 4);
    put(p + 20, h->lease_ms, 4);
    put(p + 24, h->cluster, 8);
    put(p + 32, h->members, 8);
    put(p + 40, h->incarnation, 8);
    memcpy(p + HANDSHAKE_BYTES, h->text, text);
    buf->len = (uint32_t)(HANDSHAKE_BYTES + text);
    return buf;
}

int handshake_decode(const uint8_t *bytes, size_t len, struct handshake *ret_h)
{
    if (len < HANDSHAKE_BYTES || len > HANDSHAKE_BYTES_MAX ||
        memcmp(bytes, magic, sizeof(magic)) != 0) {
        return -1;
    }
    if (bytes[10] < HANDSHAKE_HELLO || bytes[10] > HANDSHAKE_REFUSAL || bytes[11] != 0) {
        return -1;
    }
    struct handshake h = {.kind = (enum handshake_kind)bytes[10],
                          .version = (uint16_t)get(bytes + 8, 2),
                          .from = (uint32_t)get(bytes + 12, 4),
                          .to = (uint32_t)get(bytes + 16, 4),
                          .lease_ms = (uint32_t)get(bytes + 20, 4),
                          .cluster = get(bytes + 24, 8),
                          .members = get(bytes + 32, 8),
                          .incarnation = get(bytes + 40, 8)};
    if (h.kind == HANDSHAKE_REFUSAL) {
        memcpy(h.text, bytes + HANDSHAKE_BYTES, len - HANDSHAKE_BYTES);
    } else if (len != HANDSHAKE_BYTES) {
        return -1;
    }
    *ret_h = h;
    return 0;
}

int handshake_check(const struct handshake *ours, const struct handshake *theirs, char *why,
                    size_t why_bytes)
{
    if (theirs->version != ours->version) {
        (void)snprintf(why, why_bytes,
                       "version of the peer protocol differs: member %u speaks %u, "
                       "member %u speaks %u",
                       (unsigned)ours->from, (unsigned)ours->version, (unsigned)theirs->from,
                       (unsigned)theirs->version);
        return -1;
    }
    if (theirs->cluster != ours->cluster) {
        (void)snprintf(why, why_bytes,
                       "another ensemble: cluster %016" PRIx64 " of member %u is not "
                       "cluster %016" PRIx64 " of member %u",
                       theirs->cluster, (unsigned)theirs->from, ours->cluster,
                       (unsigned)ours->from);
        return -1;
    }
    if (theirs->to != ours->from || (ours->to != 0 && theirs->from != ours->to)) {
        (void)snprintf(why, why_bytes,
                       "wrong member: member %u meant to reach member %u, but this is "
                       "a link between %u and %u",
                       (unsigned)theirs->from, (unsigned)theirs->to, (unsigned)ours->from,
                       (unsigned)ours->to);
        return -1;
    }
    if (theirs->from == ours->from || theirs->from == 0) {
        (void)snprintf(why, why_bytes, "two processes run as member %u", (unsigned)ours->from);
        return -1;
    }
    if (theirs->members != ours->members) {
        (void)snprintf(why, why_bytes,
                       "the list of members of member %u differs from that of member %u",
                       (unsigned)theirs->from, (unsigned)ours->from);
        return -1;
    }
    /* A leader's lease counts on the patience of those that answer it (raft/read.c). */
    if (theirs->lease_ms != ours->lease_ms) {
        (void)snprintf(why, why_bytes,
                       "reads.lease (or with it timing.election) of member %u differs from that of "
                       "member %u: stop all members to change it",
                       (unsigned)theirs->from, (unsigned)ours->from);
        return -1;
    }
    return 0;
}
