/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h: cuts the bytes of a socket into frames, each in a coord_buf of its own. Used for clients
 * (header: length) and for peers (header: length and check).
 *
 * Stream format, big-endian
 *   offset  size  field
 *        0     4  length of the body, 1 .. body_bytes_max
 *        4     4  peers only: low 32 bits of XXH3-64 over the body
 *        4/8   -  body
 *
 * Invariants
 *   1. The length is checked from the header alone, before anything is allocated for the body.
 *   2. Memory follows what has arrived, not what was announced: a body's buffer begins small and
 *      doubles as bytes come.
 *   3. A large body is read straight into its buffer; only what shares a read with a neighbour is
 *      copied once, out of the loop's scratch area.
 *   4. After an error the reader answers only that error.
 * Thread: the loop's.
 */
#ifndef COORD_SERVER_SHELL_FRAME_H
#define COORD_SERVER_SHELL_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "protocol/buf.h"

#define FRAME_CLIENT_HEADER_BYTES 4
#define FRAME_PEER_HEADER_BYTES   8
#define FRAME_SCRATCH_BYTES       (64 * 1024)

enum frame_error {
    FRAME_EOF = -1,     /* the other end closed between two frames */
    FRAME_CUT = -2,     /* the other end closed inside a frame */
    FRAME_ETOOBIG = -3, /* a length of 0 or beyond the bound */
    FRAME_ECHECK = -4,  /* the check does not match: bytes were damaged on the way */
    FRAME_ENOMEM = -5,
    FRAME_ESYSTEM = -6 /* see errno */
};
const char *frame_strerror(int error);

/* Set the first three, zero the rest. */
struct frame_reader {
    uint32_t header_bytes; /* FRAME_CLIENT_HEADER_BYTES or FRAME_PEER_HEADER_BYTES */
    uint32_t head_room;    /* bytes left free in front of the body in each buffer */
    uint32_t body_bytes_max;

    uint8_t header[FRAME_PEER_HEADER_BYTES];
    uint32_t header_have;
    uint32_t body_bytes;   /* announced by the header, once that is whole */
    struct coord_buf *buf; /* of the frame under way, NULL between frames */
    int error;
    uint64_t frames; /* delivered */
    uint64_t bytes;  /* taken in all */
};

/* One frame: buf->data + head_room holds the body, buf->len counts both. The callee takes over the
 * reference. Return: 0 to go on, anything else to stop reading from this socket (it may be gone). */
typedef int (*frame_deliver)(void *arg, struct coord_buf *buf);

/* Read what the socket has, at most one readv, and deliver the frames that are whole.
 * Return: bytes read (0: nothing was there) or a negative enum frame_error; after deliver stopped it,
 * the bytes read: what is left in them is lost, the connection is to be closed. */
ssize_t frame_read(struct frame_reader *r, int fd, uint8_t scratch[FRAME_SCRATCH_BYTES],
                   frame_deliver deliver, void *arg);

/* Is a frame begun and not whole yet? */
int frame_inside(const struct frame_reader *r);
void frame_clear(struct frame_reader *r);

/* Make the header of a frame that consists of `count` buffers. Return: its body's length, or -1 when
 * that is 0 or larger than body_bytes_max. */
int64_t frame_peer_header(struct coord_buf *const *parts, uint32_t count, uint32_t body_bytes_max,
                          uint8_t ret_header[FRAME_PEER_HEADER_BYTES]);

#endif
