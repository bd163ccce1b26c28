/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c: the whole state as bytes and back. Equal states give equal bytes, on every member: sessions
 * stand in order of id, answers in order of number, nodes in path order (a walk: parent before child,
 * siblings by name), and a field is there exactly when it says something.
 *
 * Format, little-endian:
 *   head
 *     0   8  magic     "coordst" and a zero byte
 *     8   4  version   2
 *    12   4  zero
 *    16   8  bytes     of the whole, head included
 *    24   8  revision
 *    32   8  time_ms
 *    40   8  sessions  how many
 *    48   8  nodes     how many, "/" included
 *   the limits in force: MACHINE_LIMITS_BYTES as in a LIMITS entry (limits.c). Version 1 has none, which
 *   stands for the defaults
 *   a session, each
 *     0   8  id
 *     8   8  epoch
 *    16   8  timeout_ms
 *    24   8  acked
 *    32  16  secret
 *    48   8  ephemerals  how many nodes below have it as owner
 *    56   4  answers     how many
 *    60   -  answers, each: number u64, error u32 (positive; 0 none), body_bytes u32, body (one msgpack
 *            array; none with an error)
 *   a node, each
 *     0   2  depth     of "/" 0, and at most one more than that of the node before
 *     2   1  kind      enum coord_node_kind
 *     3   1  flags     1: has data (else it is absent)   2: had a child   4: has a quota
 *     4   1  name_bytes  0 for "/" only
 *     5   4  data_bytes
 *     9   8  create_revision
 *    17   8  modify_revision
 *    25   8  version
 *    33   8  created_ms
 *    41   8  modified_ms
 *    49   -  with flag 2:   sequence u64, child_version u64, child_revision u64
 *            kind EPHEMERAL: owner u64
 *            kind TTL:       ttl_ms u64
 *            with flag 4:   nodes u64, bytes u64
 *            name, data
 *
 * acl_version and the number of children are not written: the one is 0, the other follows.
 * Errors found while loading stand in load.c.
 */
#include "server/machine/snapshot.h"

#include <assert.h>
#include <string.h>
#include <coord/error.h>
#include "server/machine/bytes.h"
#include "server/machine/machine_internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Where the bytes go: into a buffer, into a hash, or nowhere but into their count. */
struct out {
    struct coord_buf *buf;
    XXH3_state_t *hash;
    uint64_t bytes;
};

static void out_put(struct out *o, const void *bytes, size_t len)
{
    if (len == 0) {
        return;
    }
    if (o->buf != NULL) {
        assert(len <= o->buf->cap - o->buf->len);
        memcpy(o->buf->data + o->buf->len, bytes, len);
        o->buf->len += (uint32_t)len;
    } else if (o->hash != NULL) {
        (void)XXH3_64bits_update(o->hash, bytes, len); /* fails only without a state */
    }
    o->bytes += len;
}

static void put_session(struct out *o, const struct session *s)
{
    uint8_t head[SNAPSHOT_SESSION_BYTES];
    bytes_put_u64(head, s->id);
    bytes_put_u64(head + 8, s->epoch);
    bytes_put_u64(head + 16, s->timeout_ms);
    bytes_put_u64(head + 24, s->acked);
    memcpy(head + 32, s->secret, COORD_SECRET_BYTES);
    bytes_put_u64(head + 48, s->owned.count);
    bytes_put_u32(head + 56, s->answers.count);
    out_put(o, head, sizeof(head));
    for (uint32_t i = 0; i < s->answers.count; i++) {
        const struct answer *a = answers_at(&s->answers, i);
        uint8_t answer[SNAPSHOT_ANSWER_BYTES];
        bytes_put_u64(answer, a->number);
        bytes_put_u32(answer + 8, (uint32_t)-a->error);
        bytes_put_u32(answer + 12, a->body_bytes);
        out_put(o, answer, sizeof(answer));
        out_put(o, a->body, a->body_bytes);
    }
}

static void put_node(struct out *o, const struct znode *node, uint32_t depth)
{
    struct coord_node_stat stat;
    store_stat(node, &stat);
    struct coord_bytes name = store_name(node);
    struct coord_bytes data = store_data(node);
    uint64_t sequence = store_sequence(node);
    struct store_usage usage;
    store_usage(node, &usage);
    bool quota = usage.quota_nodes != 0 || usage.quota_bytes != 0;
    uint8_t rec[SNAPSHOT_NODE_BYTES_MAX];
    bytes_put_u16(rec, (uint16_t)depth);
    rec[2] = (uint8_t)stat.kind;
    rec[3] = (uint8_t)((data.data != NULL ? SNAPSHOT_HAS_DATA : 0) |
                       (sequence > 0 ? SNAPSHOT_HAD_CHILD : 0) | (quota ? SNAPSHOT_HAS_QUOTA : 0));
    rec[4] = (uint8_t)name.len;
    bytes_put_u32(rec + 5, data.len);
    bytes_put_u64(rec + 9, stat.create_revision);
    bytes_put_u64(rec + 17, stat.modify_revision);
    bytes_put_u64(rec + 25, stat.version);
    bytes_put_u64(rec + 33, stat.created_ms);
    bytes_put_u64(rec + 41, stat.modified_ms);
    size_t at = SNAPSHOT_NODE_BYTES;
    if (sequence > 0) {
        bytes_put_u64(rec + at, sequence);
        bytes_put_u64(rec + at + 8, stat.child_version);
        bytes_put_u64(rec + at + 16, stat.child_revision);
        at += 24;
    }
    if (stat.kind == COORD_NODE_EPHEMERAL || stat.kind == COORD_NODE_TTL) {
        bytes_put_u64(rec + at, stat.kind == COORD_NODE_TTL ? stat.ttl_ms : stat.owner);
        at += 8;
    }
    if (quota) {
        bytes_put_u64(rec + at, usage.quota_nodes);
        bytes_put_u64(rec + at + 8, usage.quota_bytes);
        at += 16;
    }
    assert(at <= sizeof(rec));
    out_put(o, rec, at);
    out_put(o, name.data, name.len);
    out_put(o, data.data, data.len);
}

/* total_bytes: of the whole, for the head. */
static void put_state(struct out *o, const struct machine_state *st, uint64_t total_bytes)
{
    uint8_t head[SNAPSHOT_HEAD_BYTES] = SNAPSHOT_MAGIC;
    bytes_put_u32(head + 8, SNAPSHOT_VERSION);
    bytes_put_u64(head + 16, total_bytes);
    bytes_put_u64(head + 24, st->revision);
    bytes_put_u64(head + 32, st->time_ms);
    bytes_put_u64(head + 40, sessions_count(st->sessions));
    bytes_put_u64(head + 48, store_nodes(st->store));
    out_put(o, head, sizeof(head));
    uint8_t limits[MACHINE_LIMITS_BYTES];
    machine_limits_encode(&st->limits, limits);
    out_put(o, limits, sizeof(limits));
    for (const struct session *s = sessions_next(st->sessions, 0); s != NULL;
         s = sessions_next(st->sessions, s->id)) {
        put_session(o, s);
    }
    struct store_walk w;
    uint32_t depth = 0;
    store_walk_begin(&w, store_root(st->store), true, (struct coord_bytes){NULL, 0});
    for (const struct znode *node = store_root(st->store); node != NULL;
         node = store_walk_next(&w, &depth)) {
        put_node(o, node, depth);
    }
}

/* A bound on the bytes of nodes and sessions, that costs no walk of the tree. */
static uint64_t state_bytes_max(const struct machine_state *st)
{
    uint64_t bytes = (uint64_t)SNAPSHOT_HEAD_BYTES + MACHINE_LIMITS_BYTES;
    for (const struct session *s = sessions_next(st->sessions, 0); s != NULL;
         s = sessions_next(st->sessions, s->id)) {
        bytes += SNAPSHOT_SESSION_BYTES;
        for (uint32_t i = 0; i < s->answers.count; i++) {
            bytes += (uint64_t)SNAPSHOT_ANSWER_BYTES + answers_at(&s->answers, i)->body_bytes;
        }
    }
    return bytes + store_nodes(st->store) * SNAPSHOT_NODE_BYTES_MAX + store_name_bytes(st->store) +
           store_data_bytes(st->store);
}

struct coord_buf *machine_save(const struct machine *m)
{
    uint64_t bytes_max = state_bytes_max(&m->state);
    if (bytes_max > UINT32_MAX) {
        return NULL;
    }
    struct out o = {.buf = coord_buf_create((size_t)bytes_max)};
    if (o.buf == NULL) {
        return NULL;
    }
    put_state(&o, &m->state, 0);
    assert(o.bytes == o.buf->len);
    bytes_put_u64(o.buf->data + 16, o.bytes);
    return o.buf;
}

uint64_t machine_digest(const struct machine *m)
{
    XXH3_state_t hash;
    (void)XXH3_64bits_reset(&hash); /* fails only without a state */
    struct out o = {.hash = &hash};
    put_state(&o, &m->state, 0);
    return XXH3_64bits_digest(&hash);
}
