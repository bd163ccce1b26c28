/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.h: what a log entry of the service holds.
 *
 * Format, little-endian, 48 bytes and then the body:
 *   offset  size  field
 *        0     1  kind       enum entry_kind
 *        1     1  version    ENTRY_VERSION
 *        2     2  zero
 *        4     4  origin     member whose client waits for the answer; 0 none
 *        8     8  cookie     the origin's own number for that request
 *       16     8  session    0 none
 *       24     8  epoch      attachment of the session the request came through
 *       32     8  time_ms    the leader's wall clock when it proposed
 *       40     4  body_bytes
 *       44     4  zero
 *       48     -  body
 *
 *   kind          body
 *   REQUEST       the client's frame body, byte for byte
 *   OPEN          secret (16), then the frame body of SESSION_OPEN
 *   ATTACH        secret (16); session is attached anew, its epoch becomes this entry's revision
 *   EXPIRE        { session u64, epoch u64 } repeated: void for a session attached since
 *   REAP          candidates for removal, each judged again when applied: reap.c
 *   LIMITS        MACHINE_LIMITS_COUNT numbers, u64 each (limits.c): in force from here on
 *   DIGEST        none: changes nothing; the members compare their states at its revision
 *
 * A frame is read from the socket into a buffer that has ENTRY_HEADER_BYTES of room in front, so that
 * the entry is made in place and the client's bytes are never copied again.
 */
#ifndef COORD_SERVER_MACHINE_ENTRY_H
#define COORD_SERVER_MACHINE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENTRY_VERSION      1
#define ENTRY_HEADER_BYTES 48

enum entry_kind {
    ENTRY_REQUEST = 1,
    ENTRY_OPEN = 2,
    ENTRY_ATTACH = 3,
    ENTRY_EXPIRE = 4,
    ENTRY_REAP = 5,
    ENTRY_LIMITS = 6,
    ENTRY_DIGEST = 7
};

struct entry {
    enum entry_kind kind;
    uint32_t origin;
    uint64_t cookie;
    uint64_t session;
    uint64_t epoch;
    uint64_t time_ms;
    const uint8_t *body; /* borrowed */
    uint32_t body_bytes;
};

/* Write the header of e (not the body) to out. Errors: none. Thread: any. */
void entry_header_encode(const struct entry *e, uint8_t out[ENTRY_HEADER_BYTES]);

/* Overwrite only the time, when the leader proposes what a follower forwarded. */
void entry_stamp(uint8_t *bytes, uint64_t time_ms);

/* Return: false when bytes are not a well-formed entry of a known kind and version. */
bool entry_decode(const uint8_t *bytes, size_t len, struct entry *ret_e);

#endif
