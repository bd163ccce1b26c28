/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h: which connection wants which change, and a bounded history of changes so that a client that
 * comes back is told what it missed. Local to a member, never replicated.
 *
 * Invariants
 *   1. A watch is sent the changes of one revision together, revisions in order, each at most once.
 *   2. Nothing between from_revision and the last event sent is left out, or the watch is told GAP.
 *   3. History is a suffix of the changes: [history_first, newest], bounded in events and in bytes.
 *
 * Threads: none; owned by the loop thread.
 */
#ifndef COORD_SERVER_WATCH_WATCH_H
#define COORD_SERVER_WATCH_WATCH_H

#include "protocol/buf.h"
#include "protocol/message.h"

struct watch_hub;

struct watch_limits {
    uint32_t history_events; /* default 65,536 */
    uint64_t history_bytes;  /* default 64 MiB */
    uint32_t per_connection; /* default 10,000 watches; more: ELIMIT */
    /* default 4 MiB: an event frame never exceeds it; a revision whose changes do is told as GAP */
    uint32_t frame_bytes;
};
void watch_limits_init(struct watch_limits *l);

/* Receives encoded event frames for a connection; must not call back into the hub. Ownership: the sink
 * takes its own reference.
 * Return: false when the connection has left so much unread that it takes no more: the frame is dropped,
 * nothing else is handed over for it before watch_catch_up, and its watches that missed changes are told
 * GAP then. */
typedef bool (*watch_sink)(void *arg, uint64_t conn, struct coord_buf *frames);

struct watch_hub *watch_hub_create(const struct watch_limits *l, watch_sink sink, void *arg);
void watch_hub_destroy(struct watch_hub *h);

/* Register q (operation WATCH: watch, path, depth, kinds, flags, revision; the path is valid) for conn; `now` is the
 * revision applied here. With q->revision > 0 events after it are replayed through the sink before the
 * call returns, when the history reaches; otherwise *ret_gap is set and events follow from `now` on.
 * A watch number in use on that connection is replaced.
 * Errors: COORD_ELIMIT, COORD_ENOMEM, COORD_ETOOSTALE (q->revision is beyond `now`).
 * Return: 0 or negative; on 0 *ret_from is the revision after which events come. */
int watch_add(struct watch_hub *h, uint64_t conn, const struct coord_request *q, uint64_t now,
              uint64_t *ret_from, bool *ret_gap);

/* Return: false when there was none. */
bool watch_remove(struct watch_hub *h, uint64_t conn, uint64_t watch);
void watch_remove_conn(struct watch_hub *h, uint64_t conn);

/* Tell every watch that wants them the changes of `revision`, and keep them in the history. */
void watch_publish(struct watch_hub *h, uint64_t revision, const struct coord_change *changes,
                   uint32_t count);

/* Send a progress mark at `revision` to every watch that had no event since its last mark and was not told
 * of that revision yet. */
void watch_progress(struct watch_hub *h, uint64_t revision);

/* conn has read what it had: tell those of its watches that missed changes GAP at `revision`, which is
 * applied here, and hand over events again. */
void watch_catch_up(struct watch_hub *h, uint64_t conn, uint64_t revision);

/* The state was replaced by a snapshot at `revision`: history is gone, every watch is told GAP. */
void watch_reset(struct watch_hub *h, uint64_t revision);

/* Event frames may be this long from now on. */
void watch_frame_limit(struct watch_hub *h, uint32_t bytes);

uint64_t watch_count(const struct watch_hub *h);

#endif
