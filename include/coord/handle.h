/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handle.h: one handle on an ensemble: its states, its options, opening and closing it, driving it, and what
 * it can tell of its server; timers and recording. The whole is described in coord.h.
 */
#ifndef COORD_HANDLE_H
#define COORD_HANDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <coord/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define COORD_MUST_CHECK __attribute__((warn_unused_result))
#else
#define COORD_MUST_CHECK
#endif

#define COORD_PATH_MAX           1024  /* bytes of a path, without a NUL */
#define COORD_SERVERS_MAX        32    /* addresses in options.servers */
#define COORD_REQUESTS_MAX       65536 /* requests of a handle under way, and 64 MiB; more: EBUSY */
#define COORD_WATCHES_MAX        10000 /* watches of a handle; more: COORD_ELIMIT */
#define COORD_STATUS_MEMBERS_MAX 15

struct coord;
struct event_base; /* libevent's; only for coord_attach_event_base */

typedef uint64_t coord_watch_id;
typedef uint64_t coord_listener_id;

/* --- states ----------------------------------------------------------------------------------- */

enum coord_state {
    COORD_CONNECTING = 1, /* no server is connected; a session, if one is held, is still safe */
    COORD_CONNECTED = 2,  /* a server is connected; the session, if one was opened, is safe */
    COORD_JEOPARDY = 3,   /* there is a session, but two thirds of its time have passed without an
                             acknowledged keep-alive: begin to stop acting as an owner */
    COORD_LAPSED = 4,  /* the lease is over: what the session owned may belong to others by now. The
                          session may still turn out to live: then CONNECTED follows */
    COORD_EXPIRED = 5, /* the servers have ended the session and all it owned; a new one is opened
                          when next needed. Its sent but unanswered writes complete with
                          COORD_EEXPIRED */
    COORD_CLOSED = 6   /* the handle is closing; the last state told */
};

/* Called at each change of state. Thread: the handle's. */
typedef void (*coord_state_cb)(struct coord *c, enum coord_state state, void *arg);

/* Name in capitals ("CONNECTED"). Ownership: static. Errors: none. Thread: any. Return: text. */
const char *coord_state_name(enum coord_state state);

/* --- options ---------------------------------------------------------------------------------- */

enum coord_consistency {
    COORD_DEFAULT = 0,      /* that of the handle */
    COORD_LINEARIZABLE = 1, /* the newest completed write, after a round among the servers */
    COORD_SESSION = 2,      /* never older than anything this handle was told before */
    COORD_BOUNDED = 3,      /* at most bound_ms old, or refused with COORD_ETOOSTALE */
    COORD_LOCAL = 4         /* what the connected server has, at once */
};

enum coord_session_policy {
    COORD_SESSIONS_LAZY = 0,  /* opened by the first write or coord_session_open */
    COORD_SESSIONS_EAGER = 1, /* opened, and opened anew, as soon as a server is connected */
    COORD_SESSIONS_OFF = 2    /* never: ephemeral nodes are refused (COORD_ENOSESSION), and a write
                                 whose connection breaks is not repeated (outcome UNKNOWN) */
};

struct coord_options {
    const char *servers;         /* "host:port,[v6]:port,..."; the port is 7410 when left out.
                            NULL: "127.0.0.1:7410" */
    const char *prefix;          /* a path put in front of every path; NULL or "": none */
    const char *name;            /* for the servers' logs, at most 64 bytes; NULL: "libcoord" */
    uint32_t session_timeout_ms; /* asked of the servers, which clamp it. Default 10,000 */
    uint32_t request_timeout_ms; /* 1 .. 3,600,000. Default 5,000 */
    uint32_t connect_timeout_ms; /* for one server, hello included. Default 2,000 */
    uint32_t backoff_min_ms;     /* pause after a round of all servers failed: drawn from */
    uint32_t backoff_max_ms;     /* 0 .. min(max, min * 2^rounds). Defaults 20 and 1,000. Besides, a
                                    handle begins at most six connections for each server at once, and
                                    four in each backoff_max (taken as 100 ms .. 1 s) */
    enum coord_consistency consistency; /* of reads. Default COORD_LINEARIZABLE */
    uint64_t bound_ms;                  /* for COORD_BOUNDED */
    enum coord_session_policy session;  /* Default COORD_SESSIONS_LAZY */
    bool in_order;        /* try servers from the first on; default: from a random one */
    coord_state_cb state; /* may be NULL */
    void *state_arg;
};

/* Set every field to its default. Ownership: none. Errors: none. Thread: any. */
void coord_options_init(struct coord_options *o);

/* --- opening and closing ---------------------------------------------------------------------- */

/* Open a loop-driven handle. Returns before any server is connected; connecting begins in the first
 * coord_dispatch.
 *
 * o: NULL for the defaults.
 * why: receives a line about an error, at most why_bytes with its NUL; may be NULL.
 * Ownership: *ret_c is the caller's, until coord_close. o and its strings are copied.
 * Errors:    COORD_EINVAL (why says which option), COORD_ENOMEM, COORD_ESYSTEM.
 * Thread:    any; the handle belongs to the caller's.
 * Return:    0 or negative; *ret_c is set only on 0. */
COORD_MUST_CHECK int coord_open(const struct coord_options *o, struct coord **ret_c, char *why,
                                size_t why_bytes);

/* The same with a thread of its own, which has all signals blocked. */
COORD_MUST_CHECK int coord_open_threaded(const struct coord_options *o, struct coord **ret_c,
                                         char *why, size_t why_bytes);

/* Close the handle. Requests under way complete with COORD_ECLOSED (a session's end is sent to the
 * server, without waiting for its answer: call coord_session_close_sync before to be certain that
 * ephemeral nodes are gone), watches end, locks and elections are told COORD_ECLOSED and freed, and
 * the listeners hear COORD_CLOSED. All these callbacks are called before coord_close returns;
 * inside a callback of the same handle, after that callback has returned.
 *
 * Ownership: c is freed; NULL is accepted.
 * Errors:    none.
 * Thread:    loop-driven: the handle's; threaded: any, also the handle's own. */
void coord_close(struct coord *c);

/* In the child of a fork: free the handle's memory and descriptors without a word to the servers
 * and without calling back. What a callback under way in another thread held is not freed. If the
 * handle was attached to an event base, call libevent's event_reinit on that first.
 * Errors: none. Thread: the child's only one. */
void coord_after_fork_child(struct coord *c);

/* --- driving a loop-driven handle ------------------------------------------------------------- */

/* The descriptor to wait for, the same for the life of the handle. Only poll it.
 * Errors: COORD_EINVAL for a threaded handle, COORD_EFORKED. Return: >= 0, or negative. */
int coord_fd(const struct coord *c);

/* What to wait for on it: always POLLIN. Errors: none. */
short coord_events(const struct coord *c);

/* Milliseconds after which coord_dispatch is due although the descriptor is not ready; 0: at once;
 * -1: none. The descriptor becomes ready by itself at that time, so a loop may leave this out.
 * Errors: none. Thread: the handle's. */
int coord_timeout_ms(const struct coord *c);

/* Do all that is due: read, write, connect, call back. Never waits.
 * Errors:    COORD_EDEADLK inside a callback, COORD_EINVAL for a threaded handle, COORD_EFORKED,
 *            COORD_ESYSTEM.
 * Thread:    the handle's.
 * Return:    0, or negative; 1: the handle was closed in a callback and must not be used again. */
COORD_MUST_CHECK int coord_dispatch(struct coord *c);

/* Let a libevent loop drive the handle: adds one event to base, removed again by coord_close or by
 * base == NULL. base must outlive that.
 * Errors: COORD_EINVAL (threaded), COORD_ENOMEM, COORD_EFORKED. Thread: the handle's and base's. */
COORD_MUST_CHECK int coord_attach_event_base(struct coord *c, struct event_base *base);

/* --- what it tells of its server --------------------------------------------------------------- */

/* What the connected server told of its limits. Requests beyond them are refused, some by this library
 * before they are sent: data, operations of a transaction, frames, watches. They may differ between
 * servers where they are a server's own, and change while the connection lasts: then the answer to a
 * request is what counts. 0: the server does not tell. */
struct coord_server_limits {
    uint64_t frame_bytes; /* of a message */
    uint64_t data_bytes;  /* of one node; more: COORD_ETOOBIG */
    uint64_t outstanding; /* requests without an answer, of a connection; the library waits */
    uint64_t watches;     /* of a connection; more: COORD_ELIMIT */
    uint64_t session_min_ms;
    uint64_t session_max_ms;
    uint64_t list_entries;   /* of a page */
    uint64_t txn_operations; /* and conditions; more: COORD_ELIMIT */
    uint64_t subtree_nodes;  /* of a recursive delete or a rename; more: COORD_ELIMIT */
    uint64_t list_bytes;     /* of a page, and of a transaction's results; more: COORD_ETOOBIG */
    uint64_t sessions;       /* of the ensemble; more: COORD_ELIMIT */
    uint64_t answers;        /* of a session, not acknowledged yet; more: COORD_EBUSY */
    uint64_t answers_bytes;
    uint64_t store_bytes; /* high-water mark; beyond: COORD_ESTOREFULL for what grows the store */
    uint64_t outstanding_bytes;
    uint64_t connections; /* beyond these two, it closes connections at once */
    uint64_t connections_per_address;
    uint64_t output_bytes;       /* not read by a connection: it is closed */
    uint64_t watch_output_bytes; /* likewise: its watches get COORD_WATCH_GAP */
    uint64_t history_events;     /* that a watch which comes back can be told */
    uint64_t history_bytes;
};

/* Errors: COORD_EINVAL (NULL), COORD_ECONNECT (not connected by now), COORD_EFORKED.
 * Thread: the handle's; any when threaded. Return: 0 or negative; *ret_limits only on 0. */
COORD_MUST_CHECK int coord_server_limits(const struct coord *c,
                                         struct coord_server_limits *ret_limits);

/* One line for people: which server is connected, or why none is. Writes at most bytes with the
 * NUL. Errors: none. Thread: the handle's; any when threaded. */
void coord_describe(const struct coord *c, char *text, size_t bytes);

/* --- recording -------------------------------------------------------------------------------- */

/* Record what this handle does and is told, for `coordctl verify` to judge (docs/history.md): each
 * request before it is sent, each answer with its receipt, the life of the session. Paths, and values
 * of up to 64 bytes, are in the file in clear; it is made with mode 0600. Several handles, and several
 * processes, may record to one file, or each to its own.
 *
 * Costs one write to the file for each burst of requests and one for their answers; 64 KiB of memory;
 * nothing when it is off, which is the default. A file that cannot be written any more ends the
 * recording and disturbs nothing: the file then says that it is not whole.
 *
 * The environment variable COORD_RECORD names a file for every handle of a program that is opened
 * without this call; it is not looked at by programs that run with more rights than their user has
 * (secure_getenv). If that file cannot be opened, coord_open fails with COORD_ESYSTEM and says so.
 *
 * file: appended to, made if it does not exist; NULL: end the recording. A recording that is ended
 *       while the handle goes on is judged only up to its end.
 * Ownership: file is copied.
 * Errors:    COORD_EBUSY: a request was made already, or there is a recording; COORD_ESYSTEM: the file
 *            cannot be opened or written (errno says why); COORD_EINVAL, COORD_ENOMEM, COORD_ECLOSED,
 *            COORD_EFORKED.
 * Thread:    the handle's; any when threaded.
 * Return:    0 or negative. */
COORD_MUST_CHECK int coord_record(struct coord *c, const char *file);

/* --- timers ----------------------------------------------------------------------------------- */

typedef uint64_t coord_timer_id;

/* error 0: the time is over; COORD_ECANCELED, COORD_ECLOSED. Called once. Thread: the handle's. */
typedef void (*coord_timer_cb)(struct coord *c, int error, void *arg);

/* Call back after ms milliseconds, of a clock that runs through suspend.
 * Errors: COORD_EINVAL, COORD_ENOMEM, COORD_ECLOSED, COORD_EFORKED. Thread: the handle's; any when
 * threaded. Return: 0 or negative; *ret_timer on 0 (may be NULL). */
COORD_MUST_CHECK int coord_after(struct coord *c, uint32_t ms, coord_timer_cb cb, void *arg,
                                 coord_timer_id *ret_timer);

/* Call back with COORD_ECANCELED instead, not from inside this call. An unknown number, or one
 * whose time is over, is ignored. Errors: none. Thread: the handle's; any when threaded. */
void coord_cancel_after(struct coord *c, coord_timer_id timer);

#ifdef __cplusplus
}
#endif
#endif
