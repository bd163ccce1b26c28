/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h: the listener for clients and their connections: bytes in, frames to the host; buffers from
 * the host, bytes out, each connection written once per iteration of the loop. It knows nothing of what
 * frames mean.
 *
 * States of a connection, and who moves it on
 *
 *     OPEN ---- conn_set_close ----> DRAINING -- queue sent --> LINGERING
 *       |                               |                          |
 *       '-- error, limit, EOF ----------'-- 5 s, error ------------'-- EOF, 1 s --> gone
 *
 *   OPEN       frames are delivered (unless paused), buffers are taken
 *   DRAINING   nothing is read any more; the host has forgotten the connection
 *   LINGERING  our side is shut down; what still comes is read and dropped, because closing with unread
 *              bytes would reset the connection and could take our last words with it
 *
 * Invariants
 *   1. A number is never used twice.
 *   2. host.closed is called exactly once for a connection that was opened, unless conn_set_close was.
 *   3. No host function is called from inside conn_set_send, _close or _pause.
 *   4. Bounds: connections in all and per address, bytes of output that earlier turns left unsent
 *      (beyond: closed), 5 s to the first frame, 1 KiB/s inside a frame.
 *   5. Frames are handed over in order, a limited number a turn, and none while more than 1 MiB of
 *      answers is unsent (less when all clients together leave output_total_bytes_max): a client that asks faster than
 *      it reads is slowed down, not closed.
 *   6. An OPEN connection may doze (conn_doze.c): then fewer than loud_bytes wait until its next keep-alive is due. It
 *      dozes only between frames, unpaused, with nothing held back.
 * Thread: the loop's.
 */
#ifndef COORD_SERVER_SHELL_CONN_H
#define COORD_SERVER_SHELL_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "protocol/buf.h"

struct event_base;
struct conn_set;

/* Whom the connections serve. */
struct conn_host {
    void *ctx;
    void (*opened)(void *ctx, uint64_t conn, const char *source);
    void (*frame)(void *ctx, uint64_t conn, struct coord_buf *buf); /* takes the reference over */
    void (*bad)(void *ctx, uint64_t conn, const char *why);
    void (*closed)(void *ctx, uint64_t conn);
    void (*drained)(void *ctx, uint64_t conn); /* after conn_set_full said true */
};

struct conn_options {
    struct event_base *base; /* outlives the set */
    struct conn_host host;
    uint32_t head_room;
    uint32_t frame_bytes_max;
    uint32_t connections_max;
    uint32_t per_address_max;
    uint64_t output_bytes_max;       /* of one connection */
    uint64_t output_total_bytes_max; /* of all: beyond, nobody gets more before its own is sent */
    uint64_t watch_output_bytes_max; /* of one: beyond, events are left out (conn_set_behind) */
    uint32_t loud_bytes; /* so many are told of while a connection dozes, fewer are not */
};

/* Errors: -ENOMEM. Return: 0 or negative. */
int conn_set_create(const struct conn_options *o, struct conn_set **ret_s);
/* Closes every connection at once, without telling the host. NULL is accepted. */
void conn_set_destroy(struct conn_set *s);

/* Accept from this listening socket; the set owns it from now on. Return: 0 or negative errno. */
int conn_set_listen(struct conn_set *s, int fd);
/* Accept no more and close the listener. */
void conn_set_listen_end(struct conn_set *s);
/* Take a connected socket as if it had been accepted; for tests. Return: its number, 0 when refused
 * (then it is closed). */
uint64_t conn_set_adopt(struct conn_set *s, int fd, const char *source);

void conn_set_send(struct conn_set *s, uint64_t conn, struct coord_buf *frames);
void conn_set_close(struct conn_set *s, uint64_t conn, const char *why);
void conn_set_pause(struct conn_set *s, uint64_t conn, bool paused);
/* The client has said: its next keep-alive comes `ns` after the frame before, and frames of loud_bytes and more
 * may come any time, but no others. So it dozes from now on, when that is worth it. 0: it says so no more. */
void conn_set_doze(struct conn_set *s, uint64_t conn, uint64_t ns);
/* Does so much wait to be sent that nothing should be added that can wait? After true the host's
 * drained (or closed) is called. */
bool conn_set_full(struct conn_set *s, uint64_t conn);

/* Does so much wait to be sent that even events are to be left out? After true as conn_set_full. */
bool conn_set_behind(struct conn_set *s, uint64_t conn);
/* Frames may be this long from now on. */
void conn_set_frame_limit(struct conn_set *s, uint32_t bytes);

/* Read those whose keep-alives are due by now (clock_boot_ns): a few, and more with each conn_set_resume. Called by a timer
 * of its own too. */
void conn_set_look(struct conn_set *s, uint64_t now);
/* Hand over frames that earlier turns held back; before the host's turn. */
void conn_set_resume(struct conn_set *s);
/* Is conn_set_resume due without anything else happening? */
bool conn_set_ready(const struct conn_set *s);
/* Write what was queued since the last call; connections that fail or exceed their bound are closed
 * here. Return: true when the host was told of any. */
bool conn_set_flush(struct conn_set *s);
/* Once a second: apply the limits on time. Return: true when the host was told of any. */
bool conn_set_sweep(struct conn_set *s, uint64_t now);

uint32_t conn_set_count(const struct conn_set *s);
/* Is anything queued that no socket has taken yet? */
bool conn_set_pending(const struct conn_set *s);

#endif
