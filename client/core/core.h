/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h: everything of a handle that decides, without I/O, clock or thread: which server, which
 * session, what is sent when, what is tried again, when a lease is over. A shell (client/shell, or
 * a test, or the simulator) turns it:
 *
 *   events in                              then, until nothing is left
 *   coord__core_submit / _watch / ...      coord__core_next    completions, states, watch events
 *   coord__core_connected / _lost          coord__core_link    which server to be connected to
 *   coord__core_bytes                      coord__core_output  bytes to send there
 *   coord__core_tick                       coord__core_deadline  when to call tick at the latest
 *
 * The core calls nothing back. What coord__core_next gives out borrows from the bytes received, up
 * to the next call of it; in between, submitting is legal.
 *
 *   the link    NONE -> WANTED -> HELLO -> READY -> (lost) PAUSE or WANTED ...
 *
 *     PAUSE   -> WANTED : the pause is over                                   link.c
 *     WANTED  -> HELLO  : coord__core_connected
 *     HELLO   -> READY  : the hello is answered: the session is attached, or there is none, or the
 *                         link is DETACHED (a session is held, but no server can attach it for want
 *                         of a quorum, while reads wait that need none)
 *     any     -> PAUSE  : a round of all servers failed
 *     any     -> WANTED : lost, refused, silent, or moved: the next server
 *
 * Invariants
 *   1. Every submitted request is given out as completed exactly once; every watch as ended.
 *   2. On a link answers are taken only in the order of the requests; anything else breaks the
 *      link.
 *   3. A write keeps its number until it is completed; no two requests of a core share one.
 *   4. acked, in each request, is below every number without an answer.
 *   5. Writes are sent only on a link that is attached to the session (policy OFF: any).
 *   6. The lease ends no later than: the time at which the newest acknowledged keep-alive was SENT,
 *      plus the granted timeout less 1 % and 50 ms (testing.md E2, K6).
 *   7. A watch is told each revision once, in order.
 *   8. Whatever is asked of it and whatever the servers do, a core wishes for at most 10 connections
 *      a second for each server, and 4 in the long run, beside one for each session that was closed
 *      as asked. (Default options; pace.c has the rule.)
 *
 * Times: `now` is nanoseconds of one clock that never goes back (coord: CLOCK_BOOTTIME).
 * Threads: none; one at a time.
 */
#ifndef COORD_CLIENT_CORE_CORE_H
#define COORD_CLIENT_CORE_CORE_H

#include "client/core/request.h"

struct coord__core;

struct coord__core_options {
    uint32_t servers_count; /* 1 .. COORD_SERVERS_MAX; servers are numbers here */
    const char *name;       /* told in the hello; copied */
    uint32_t session_timeout_ms;
    uint32_t connect_timeout_ms;
    uint32_t backoff_min_ms;
    uint32_t backoff_max_ms;
    enum coord_session_policy policy;
    bool in_order;
    uint64_t seed; /* of back-off and the first server */
};

/* Return: 0 or COORD_ENOMEM. */
int coord__core_create(const struct coord__core_options *o, uint64_t now,
                       struct coord__core **ret_core);
/* Everything must have been given out (coord__core_close and _next), or is freed silently. */
void coord__core_destroy(struct coord__core *k);

/* --- requests --------------------------------------------------------------------------------- */

/* Queue a request made with role USER. A SESSION_OPEN completes once there is a session, a
 * SESSION_CLOSE once there is none.
 * Ownership: the core's on success.
 * Errors: COORD_EBUSY, COORD_ENOSESSION (policy OFF), COORD_ECLOSED. Return: 0 or negative, with
 * r->id set on 0. */
int coord__core_submit(struct coord__core *k, struct coord__request *r, uint32_t timeout_ms,
                       uint64_t now);

/* How many were submitted so far. */
uint64_t coord__core_requests(const struct coord__core *k);

enum coord_outcome coord__core_outcome(const struct coord__core *k, uint64_t id);

/* --- watches ---------------------------------------------------------------------------------- */

struct coord__watch {
    struct coord__list link; /* core->watches, in order of id */
    struct coord__list bucket;
    struct coord__list told; /* core->watch_out, while something is to be told beside frames */
    uint64_t id;
    struct coord_request q; /* WATCH, path in storage */
    bool asked;             /* a request for it is waiting or flying */
    bool registered;        /* the link's server has it */
    bool ready;             /* READY was given out */
    bool tell_ready;
    bool tell_gap;
    bool ended; /* out of core->watches; to be given out with `error` */
    bool progress;
    int error;
    uint64_t revision; /* events up to it were given out */
    uint64_t gap; /* revision of a gap that was told by an event since it was asked for; 0 none */
    uint64_t retry_at; /* ns: ask again; 0: not */

    coord_watch_cb cb;
    void *arg;
    size_t prefix_bytes;
    uint8_t storage[];
};

/* q: operation WATCH with path, depth, kinds, flags and revision. Return: NULL when memory is
 * out. */
struct coord__watch *coord__watch_create(const struct coord_request *q);
void coord__watch_free(struct coord__watch *w);

/* Ownership: the core's on success, until it is given out as ended.
 * Errors: COORD_ELIMIT, COORD_EBUSY, COORD_ECLOSED, COORD_ENOMEM. Return: 0 or negative; w->id on
 *         0. */
int coord__core_watch(struct coord__core *k, struct coord__watch *w, uint64_t now);
/* Errors: COORD_ENONODE when there is none (any more), COORD_ECLOSED. */
int coord__core_unwatch(struct coord__core *k, uint64_t id, uint64_t now);

/* --- timers ----------------------------------------------------------------------------------- */

struct coord__timer {
    struct coord__list link; /* core->timers, by time; or core->timers_out */
    uint64_t id;
    uint64_t at;
    int error;
    coord_timer_cb cb;
    void *arg;
};

/* t: made with coord__alloc, cb and arg set. Ownership: the core's on success, until it is given
 *    out.
 * Errors: COORD_ECLOSED. */
int coord__core_after(struct coord__core *k, struct coord__timer *t, uint64_t ms, uint64_t now);
void coord__core_cancel_after(struct coord__core *k, uint64_t id);

/* --- what comes out --------------------------------------------------------------------------- */

enum coord__out_kind {
    COORD__OUT_REPLY = 1,
    COORD__OUT_STATE = 2,
    COORD__OUT_WATCH = 3,
    COORD__OUT_TIMER = 4
};

struct coord__out {
    enum coord__out_kind kind;

    /* REPLY: to be given back with coord__core_release, after which it is not valid. */
    struct coord__request *request;
    int error;
    enum coord_outcome outcome;
    const char *text;                  /* of the error; never NULL */
    const struct coord_result *result; /* NULL: no server answered */
    const struct coord_no_quorum *no_quorum;

    enum coord_state state;

    /* WATCH: with ENDED the watch is the receiver's now. */
    struct coord__watch *watch;
    enum coord_watch_event_state event;
    uint64_t revision;
    uint32_t changes_count;
    struct coord_bytes changes; /* for coord_change_next */

    /* TIMER: the receiver's now, for coord__free. */
    struct coord__timer *timer;
};

/* Return: false when nothing is left. */
bool coord__core_next(struct coord__core *k, struct coord__out *ret_out);
/* The request of a REPLY is not needed any more. */
void coord__core_release(struct coord__core *k, struct coord__request *r);

/* --- the link --------------------------------------------------------------------------------- */

/* The connection that should exist: a number that never returns, and its server. id 0: none; an
 * existing connection with another id is to be closed without a word to the core. */
struct coord__link_wish {
    uint64_t id;
    uint32_t server;
};
struct coord__link_wish coord__core_link(const struct coord__core *k);

void coord__core_connected(struct coord__core *k, uint64_t link, uint64_t now);
/* The connection could not be made, or broke. why: for people; copied. A link that is not the
 * wished one is ignored, here and below. */
void coord__core_lost(struct coord__core *k, uint64_t link, const char *why, uint64_t now);
/* Errors: none; without memory for the bytes the link is given up. */
void coord__core_bytes(struct coord__core *k, uint64_t link, const void *bytes, size_t len,
                       uint64_t now);
/* What is to be sent on the link; then how much was. Valid until the next call of the core.
 * Return: bytes, 0 none. */
size_t coord__core_output(struct coord__core *k, const uint8_t **ret_bytes);
void coord__core_sent(struct coord__core *k, size_t bytes);

/* --- time and state --------------------------------------------------------------------------- */

void coord__core_tick(struct coord__core *k, uint64_t now);
/* When tick is due at the latest; UINT64_MAX never. 0: something is to be done at once. */
uint64_t coord__core_deadline(const struct coord__core *k);

enum coord_state coord__core_state(const struct coord__core *k, uint64_t now);
/* The end of the lease; 0: no session is held. */
uint64_t coord__core_lease_end(const struct coord__core *k);
uint64_t coord__core_session(const struct coord__core *k);
uint64_t coord__core_session_timeout_ms(const struct coord__core *k);
/* What the server told that is connected now; NULL: none is. */
const struct coord_limits *coord__core_limits(const struct coord__core *k);
/* Why no server is connected; "" when one is or nothing went wrong yet. */
const char *coord__core_why(const struct coord__core *k);
/* Is the link's hello answered? Then its member and server. */
bool coord__core_ready(const struct coord__core *k, uint32_t *ret_member, uint32_t *ret_server);

/* End: all requests complete with COORD_ECLOSED, all watches end, CLOSED is the last state; an
 * attached session's close is put into the output, for the shell to send if it can. Drain with
 * coord__core_next. */
void coord__core_close(struct coord__core *k, uint64_t now);

#endif
