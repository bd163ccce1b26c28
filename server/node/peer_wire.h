/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_wire.h: the messages between members as bytes. The shell puts a length in front of each and has
 * made sure who the peer is; what is inside is still untrusted and checked here.
 *
 * Format, little-endian. Every message begins
 *   offset  size  field
 *        0     1  kind, enum peer_kind
 *        1     1  version, PEER_WIRE_VERSION
 *        2     2  zero
 *        4     4  zero
 * and goes on by kind:
 *
 * RAFT: 104 bytes, then what its type attaches
 *        8     1  type         9     1  flags       10     2  zero
 *       12     4  from        16     4  to          20     4  count
 *       24     8  term        32     8  seq         40     8  index
 *       48     8  log_term    56     8  commit      64     8  hint
 *       72     8  hint_term   80     8  snap_id     88     8  offset
 *       96     8  total
 *   APPEND: count descriptions of 16 bytes { term u64, bytes u32, type u8, zero[3] }, then the payloads
 *     of the entries, one behind the other. The payload of a configuration entry is a configuration:
 *       0  4  members   4  4  zero   8  8 x members  { id u32, roles u32 }
 *   SNAPSHOT: config_index u64, a configuration as above, then `count` bytes of the file
 *
 * FORWARD: writes of the sender's clients, for the leader of `term`. They are a stream of the sender's
 * cookies: this message stands for all cookies in [from, to); those without an entry are void.
 *        8     8  term        16     8  nonce: of the sender's process
 *       24     8  stream: number of the stream, ascending
 *       32     8  start: its first cookie
 *       40     8  from        48     8  to
 *       56     4  count       60     4  zero
 *       64     4 x count  bytes of each entry; then the entries (entry.h), cookies ascending
 *
 * FORWARD_AGAIN: the leader has the stream (nonce, stream) only up to, and without, `next`; also the answer
 * to a FORWARD without an entry, when `next` is its `to` and nothing is missing
 *        8     8  term        16     8  nonce       24     8  stream      32     8  next
 *
 * FORWARD_REFUSED: one write was not taken and will not be
 *        8     8  term        16     8  nonce       24     8  cookie
 *       32     8  error (the positive number)
 *
 * TOUCH: sessions active at the sender since its last
 *        8     8  term        16     8  nonce       24     8  round
 *       32     4  count       36     4  1: somebody is in a hurry, else 0      40     8 x count  sessions
 *
 * DIGEST: the digest of the sender's state at `revision`, made of the bytes of that version of the format of
 * saved states (machine/snapshot.c)
 *        8     8  term        16     8  version     24     8  revision    32     8  digest
 *
 * TOUCHED: the leader of `term` has the activity of TOUCH `round` and was confirmed as leader after it
 * came. Every session that it had given up before ends at or before `index`.
 *        8     8  term        16     8  nonce       24     8  round       32     8  index
 *
 * Threads: pure functions.
 */
#ifndef COORD_SERVER_NODE_PEER_WIRE_H
#define COORD_SERVER_NODE_PEER_WIRE_H

#include <stdbool.h>
#include <coord/raft.h>
#include "protocol/buf.h"

#define PEER_WIRE_VERSION 1

#define PEER_RAFT_BYTES       104u
#define PEER_META_BYTES       16u
#define PEER_CONFIG_HEAD      8u
#define PEER_CONFIG_MEMBER    8u
#define PEER_FORWARD_BYTES    64u
#define PEER_ENTRIES_MAX      65536u  /* in one APPEND or FORWARD */
#define PEER_SESSIONS_MAX     262144u /* in one TOUCH: 2 MiB */
#define PEER_CONFIG_BYTES_MAX (PEER_CONFIG_HEAD + RAFT_NODES_MAX * PEER_CONFIG_MEMBER)

enum peer_kind {
    PEER_RAFT = 1,
    PEER_FORWARD = 2,
    PEER_FORWARD_AGAIN = 3,
    PEER_FORWARD_REFUSED = 4,
    PEER_TOUCH = 5,
    PEER_TOUCHED = 6,
    PEER_DIGEST = 7,
    PEER_KIND_END
};

/* The head of a RAFT message; descriptions of an APPEND's entries, and a snapshot's configuration, are
 * appended behind it. metas: msg->count of them for an APPEND, or NULL: they stand in another buffer.
 * config: for a SNAPSHOT.
 * Ownership: the buffer is the caller's. Return: NULL when memory is out. */
struct coord_buf *peer_raft_encode(const struct raft_msg *msg, const struct raft_entry *metas,
                                   const struct raft_config_at *config);

/* The descriptions of an APPEND's entries: PEER_META_BYTES each. */
void peer_metas_encode(const struct raft_entry *metas, uint32_t count, uint8_t *out);

/* A received RAFT message. metas and configs are the caller's scratch, see peer_raft_decode. */
struct peer_raft {
    struct raft_msg msg;
    const uint8_t *payload; /* borrowed: APPEND: all payloads; SNAPSHOT: the chunk */
    uint32_t payload_bytes;
    struct raft_config_at configs[RAFT_CONFIGS_MAX]; /* of the entries, or the snapshot's */
    uint32_t configs_count;
};

/* How many entries an APPEND says it brings: 0 for others and for what is too short to hold them. */
uint32_t peer_raft_entries(const uint8_t *bytes, size_t len);

/* metas: room for peer_raft_entries() of them. Return: false when the bytes are not well formed. */
bool peer_raft_decode(const uint8_t *bytes, size_t len, struct raft_entry *metas,
                      struct peer_raft *ret_m);

/* A configuration as the payload of an entry. Return: bytes written (out holds PEER_CONFIG_BYTES_MAX). */
uint32_t peer_config_encode(const struct raft_config *c, uint8_t *out);
/* Return: bytes read, 0 when not well formed. */
uint32_t peer_config_decode(const uint8_t *bytes, size_t len, struct raft_config *ret_c);

struct peer_forward {
    raft_term term;
    uint64_t nonce;
    uint64_t stream;
    uint64_t start;
    uint64_t from;
    uint64_t to;
    uint32_t count;
    const uint8_t *sizes;   /* of a decoded one: count little-endian numbers, borrowed */
    const uint8_t *entries; /* of a decoded one: borrowed */
    uint32_t entries_bytes;
};

/* The head of a FORWARD up to and with the sizes. Return: NULL when memory is out. */
struct coord_buf *peer_forward_encode(const struct peer_forward *f, const uint32_t *sizes);
bool peer_forward_decode(const uint8_t *bytes, size_t len, struct peer_forward *ret_f);
/* Size of entry i; i < count. */
uint32_t peer_forward_size(const struct peer_forward *f, uint32_t i);

/* FORWARD_AGAIN, FORWARD_REFUSED, TOUCHED and DIGEST, which are five numbers at most. */
struct peer_notice {
    enum peer_kind kind;
    raft_term term;
    uint64_t nonce; /* or version */
    uint64_t a;     /* stream, cookie, round or revision */
    uint64_t b;     /* next, error (positive), index or digest */
};
struct coord_buf *peer_notice_encode(const struct peer_notice *n);
bool peer_notice_decode(const uint8_t *bytes, size_t len, struct peer_notice *ret_n);

struct peer_touch {
    raft_term term;
    uint64_t nonce;
    uint64_t round;
    uint32_t count;
    bool hurry;
    const uint8_t *sessions; /* of a decoded one: borrowed */
};
struct coord_buf *peer_touch_encode(const struct peer_touch *t, const uint64_t *sessions);
bool peer_touch_decode(const uint8_t *bytes, size_t len, struct peer_touch *ret_t);
uint64_t peer_touch_session(const struct peer_touch *t, uint32_t i);

/* Kind of a message, 0 when it has no valid beginning. */
enum peer_kind peer_kind_of(const uint8_t *bytes, size_t len);

#endif
