/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake.h: the first message each way on a connection between members: who speaks, to whom, for
 * which ensemble, as which run of the process. Pure encoding and checking; the connections are peer.c's.
 *
 * Format, big-endian, the body of a peer frame (frame.h)
 *   offset  size  field
 *        0     8  magic "COORDPER"
 *        8     2  version      HANDSHAKE_VERSION
 *       10     1  kind         enum handshake_kind
 *       11     1  zero
 *       12     4  from         member that speaks
 *       16     4  to           member that it means to reach
 *       20     4  lease        0: members of this one's file give no lease; else its election timeout in ms
 *       24     8  cluster      of the ensemble's name
 *       32     8  members      hash of the member ids that it knows
 *       40     8  incarnation  random, one for each run of a process
 *       48     -  text         of REFUSAL, at most HANDSHAKE_TEXT_BYTES; nothing else otherwise
 */
#ifndef COORD_SERVER_SHELL_HANDSHAKE_H
#define COORD_SERVER_SHELL_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>
#include "protocol/buf.h"

#define HANDSHAKE_VERSION    1
#define HANDSHAKE_BYTES      48
#define HANDSHAKE_TEXT_BYTES 200
#define HANDSHAKE_BYTES_MAX  (HANDSHAKE_BYTES + HANDSHAKE_TEXT_BYTES)

enum handshake_kind {
    HANDSHAKE_HELLO = 1,   /* by the side that connected */
    HANDSHAKE_WELCOME = 2, /* by the side that accepted */
    HANDSHAKE_REFUSAL = 3  /* likewise; it closes then */
};

struct handshake {
    enum handshake_kind kind;
    uint16_t version;
    uint32_t from;
    uint32_t to;
    uint64_t cluster;
    uint64_t members;
    uint32_t lease_ms;
    uint64_t incarnation;
    char text[HANDSHAKE_TEXT_BYTES + 1]; /* of REFUSAL */
};

/* Return: a new buffer, the caller's, or NULL when memory is out. */
struct coord_buf *handshake_encode(const struct handshake *h);

/* Read what the other side sent. Only the form is checked here.
 * Return: 0, or -1 when it is no handshake at all. */
int handshake_decode(const uint8_t *bytes, size_t len, struct handshake *ret_h);

/* May `theirs` speak to us? `ours` is what we would say: our id in from, the peer's id in to, or 0 when
 * it is not known yet who connects. On refusal why says what differs, naming both sides.
 * Return: 0 or -1. */
int handshake_check(const struct handshake *ours, const struct handshake *theirs, char *why,
                    size_t why_bytes);

#endif
