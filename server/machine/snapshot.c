/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c: how the whole state lies in bytes. Equal states give equal bytes, on every member: sessions
 * stand in order of id, answers in order of number, nodes in path order (a walk: parent before child,
 * siblings by name), and a field is there exactly when it says something.
 *
 * Format, little-endian:
 *   head
 *     0   8  magic     "coordst" and a zero byte
 *     8   4  version   2
 *    12   4  zero
 *    16   8  zero      (version 1: bytes of the whole. A state is given away while it is being read, when
 *                      nobody knows yet how many they will be; the counts below say where it ends)
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
 * The order in which a state is gone through stands in saver.c, the errors found while loading in load.c.
 */
#include "server/machine/snapshot.h"

#include <assert.h>
#include <string.h>
#include <coord/error.h>
#include "server/machine/bytes.h"
#include "server/machine/machine_internal.h"

uint64_t snapshot_put_head(const struct machine_sink *sink, const struct machine_state *st)
{
    uint8_t head[SNAPSHOT_HEAD_BYTES] = SNAPSHOT_MAGIC;
    bytes_put_u32(head + 8, SNAPSHOT_VERSION);
    bytes_put_u64(head + 24, st->revision);
    bytes_put_u64(head + 32, st->time_ms);
    bytes_put_u64(head + 40, sessions_count(st->sessions));
    bytes_put_u64(head + 48, store_nodes(st->store));
    sink->put(sink->arg, head, sizeof(head));
    uint8_t limits[MACHINE_LIMITS_BYTES];
    machine_limits_encode(&st->limits, limits);
    sink->put(sink->arg, limits, sizeof(limits));
    return sizeof(head) + sizeof(limits);
}

uint64_t snapshot_put_session(const struct machine_sink *sink, const struct session *s)
{
    uint8_t head[SNAPSHOT_SESSION_BYTES];
    bytes_put_u64(head, s->id);
    bytes_put_u64(head + 8, s->epoch);
    bytes_put_u64(head + 16, s->timeout_ms);
    bytes_put_u64(head + 24, s->acked);
    memcpy(head + 32, s->secret, COORD_SECRET_BYTES);
    bytes_put_u64(head + 48, s->owned.count);
    bytes_put_u32(head + 56, s->answers.count);
    sink->put(sink->arg, head, sizeof(head));
    return sizeof(head);
}

uint64_t snapshot_put_answer(const struct machine_sink *sink, const struct answer *a)
{
    uint8_t head[SNAPSHOT_ANSWER_BYTES];
    bytes_put_u64(head, a->number);
    bytes_put_u32(head + 8, (uint32_t)-a->error);
    bytes_put_u32(head + 12, a->body_bytes);
    sink->put(sink->arg, head, sizeof(head));
    return sizeof(head);
}

uint64_t snapshot_node_bytes_max(const struct znode *node)
{
    return (uint64_t)SNAPSHOT_NODE_BYTES_MAX + store_name(node).len;
}

uint64_t snapshot_put_node(const struct machine_sink *sink, const struct znode *node,
                           uint32_t depth)
{
    struct coord_node_stat stat;
    store_stat(node, &stat);
    struct coord_bytes name = store_name(node);
    struct coord_bytes data = store_data(node);
    uint64_t sequence = store_sequence(node);
    struct store_usage usage;
    store_usage(node, &usage);
    bool quota = usage.quota_nodes != 0 || usage.quota_bytes != 0;
    uint8_t rec[SNAPSHOT_NODE_BYTES_MAX + COORD_NAME_BYTES_MAX];
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
    if (name.len > 0) {
        memcpy(rec + at, name.data, name.len);
        at += name.len;
    }
    assert(at <= sizeof(rec));
    sink->put(sink->arg, rec, at);
    return at;
}
