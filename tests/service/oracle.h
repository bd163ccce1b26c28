/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle.h: judges what an ensemble of whole members did and told its clients, event by event. It is fed
 * by the simulated world (or by hand, in unit tests) and knows nothing of it, nor of any member's inside:
 * it holds a model of its own, made from the documents, and compares.
 *
 * Each function takes one event. Events come in the order of virtual time; `at` is nanoseconds of the
 * world's own, true clock. Each returns NULL, or one sentence that names the broken rule first, as in
 * "X5: session 12 request 7 took effect at 40 and at 52". The sentence stays valid until oracle_destroy;
 * after it the oracle says nothing further and every call returns the same sentence.
 *
 * Rules (numbers of the testing page; the M and A ones are only here)
 *   R5  all members do the same at the same index, each index once, in order      oracle_truth.c
 *   M1  what an entry does is what the model says                                 oracle_model_*.c
 *   M2  no reply is from a revision that nobody has applied                       oracle_read.c
 *   M3  every answer is that of the model at its revision                         oracle_read.c
 *   X1  real time: writes in order, linearizable reads see all that was there     oracle_time.c
 *   X3  a session's own writes and what it has seen are in its session reads      oracle_time.c
 *   A1  a receipt's age is never below the truth; bounded reads keep their bound  oracle_time.c
 *   A2  a read is served at the level asked                                       oracle_time.c
 *   X4  an operation in doubt took effect at most once                            oracle_once.c
 *   X5  (session, number) takes effect at most once; its answers are all the same oracle_once.c
 *   X6  what was answered "not applied" is not in the log                         oracle_once.c
 *   E1  ephemerals live exactly as long as their session                          oracle_session.c
 *   E2  no session is given up before its timeout after the last proven sign      oracle_session.c
 *   E4  a proven keep-alive means the session was open during the call            oracle_session.c
 *   E5  nothing from an older attachment takes effect                             oracle_session.c
 *   E6  ids of sessions are never used again                                      oracle_session.c
 *   E7  who is told that its session is gone is told the truth                    oracle_session.c
 *   C1  containers and ttl nodes are removed only when that is allowed            oracle_session.c
 *   W1  events of a watch in order of revision           W2  each once            oracle_watch.c
 *   W3  none left out                                    W4  a revision as a whole
 *   W6  progress and GAP tell no revision of which something is still to come
 *   W7  version, create revision, value and previous value are right
 *   W8  no reply shows a revision of which a watch is still to be told
 *   W9  a one-shot watch fires once
 *   W5  listing plus events is the model's subtree at every mark
 *   K1  tokens grow                                      K2  one holder           oracle_lock.c
 *   K4  first come, first served                         K5  one waiter is woken
 *   K6  who loses its lock is told in time
 *
 * Ownership: whatever is passed stays the caller's and is copied. Memory running out aborts.
 * Threads: none.
 */
#ifndef COORD_TESTS_SERVICE_ORACLE_H
#define COORD_TESTS_SERVICE_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "protocol/message.h"

struct oracle;

/* What the model decides by until a LIMITS entry says otherwise. */
struct oracle_limits {
    uint32_t data_bytes;
    uint64_t session_min_ms;
    uint64_t session_max_ms;
    uint32_t sessions;
    uint32_t answers; /* kept per session */
    uint32_t answers_bytes;
    uint32_t txn_operations;
    uint32_t subtree_nodes;
    uint32_t list_entries;
    uint32_t list_bytes;
    uint32_t frame_bytes;
    uint64_t store_bytes; /* the high-water mark */
};

struct oracle_options {
    struct oracle_limits limits;
    /* By how much any clock of any process may run too fast or too slow, in millionths. */
    uint32_t drift_ppm;
    uint32_t members; /* ids from 1, all of them voters; 0 not known */
};

/* The limits of a state without a history, no drift. */
void oracle_options_init(struct oracle_options *o);
struct oracle *oracle_create(const struct oracle_options *o);
void oracle_destroy(struct oracle *o);

/* The sentence of the first broken rule, NULL none. */
const char *oracle_verdict(const struct oracle *o);

/* How much was judged: a run in which these are small proves little. */
struct oracle_counts {
    uint64_t applied; /* indices */
    uint64_t changes;
    uint64_t writes; /* answered ones compared with the log */
    uint64_t reads;
    uint64_t events; /* of watches */
    uint64_t marks;  /* progress marks compared with the model */
    uint64_t gaps;
    uint64_t repeats;  /* entries that came again under their number */
    uint64_t expired;  /* sessions */
    uint64_t held;     /* locks */
    uint64_t woken;    /* waiters of locks */
    uint64_t folds;    /* listings with their events compared with the model */
    uint64_t services; /* answers about sessions and from /coord */
};
void oracle_counts(const struct oracle *o, struct oracle_counts *ret_c);

/* --- members ----------------------------------------------------------------------------------- */

/* A member's state begins: empty (revision 0), or from a snapshot of `revision`, at boot or later.
 * digest: machine_digest of that state, 0 not known. */
const char *oracle_member_state(struct oracle *o, uint32_t member, uint64_t revision,
                                uint64_t digest, uint64_t at);
/* A member's process ended. */
const char *oracle_member_ended(struct oracle *o, uint32_t member, uint64_t at);
/* The digest of a member's state behind `revision`: all that are told must agree. */
const char *oracle_member_digest(struct oracle *o, uint32_t member, uint64_t revision,
                                 uint64_t digest);

/* A member applied an index. All of it is what the state machine was given and what came out. */
struct oracle_applied {
    uint32_t member;
    uint64_t revision;
    /* The entry, NULL for one that is not the state machine's (machine_skip). */
    const uint8_t *bytes;
    size_t len;
    int error;
    const struct coord_buf *body; /* may be NULL */
    uint32_t changes_count;
    const struct coord_change *changes;
    uint32_t ended_count;
    const uint64_t *ended;
};
const char *oracle_applied(struct oracle *o, const struct oracle_applied *a, uint64_t at);

/* --- clients: calls ----------------------------------------------------------------------------- */

/* A client is a process; `call` is the world's own number of the call, unique for ever. */
struct oracle_call {
    uint64_t client;
    uint64_t call;
    uint64_t session;              /* it will be sent in; 0 none, or not known yet */
    uint64_t number;               /* 0 not known yet */
    const struct coord_request *q; /* as the user asked it */
};
/* Before the first byte of it is sent. */
const char *oracle_call(struct oracle *o, const struct oracle_call *c, uint64_t at);

struct oracle_reply {
    uint64_t client;
    uint64_t call;
    uint64_t session; /* as it was sent; 0: as the call said */
    uint64_t number;
    int error;
    /* What the client concludes (enum coord_error_class). A client that sent a write more than once and
     * lost an answer on the way must not conclude NOT_APPLIED from the last one's error. */
    enum coord_error_class error_class;
    const struct coord_result *result; /* decoded; NULL when no server answered */
    /* The connection it came on, as in oracle_watch_armed; 0: do not compare with watches. */
    uint64_t conn;
    /* When the server answered, if the world knows; 0: not earlier than the call was made. */
    uint64_t answered_at;
};
const char *oracle_reply(struct oracle *o, const struct oracle_reply *r, uint64_t at);

/* --- clients: sessions -------------------------------------------------------------------------- */

/* A PING (or the library's own keep-alive) that was sent at `sent_at` has been answered with success;
 * revision: of its receipt, 0 not known. Clock rates of client and leader may differ by twice the drift. */
const char *oracle_alive(struct oracle *o, uint64_t client, uint64_t session, uint64_t sent_at,
                         uint64_t revision);
/* The client was told that its session has ended (session_state 2, EEXPIRED). */
const char *oracle_session_gone(struct oracle *o, uint64_t client, uint64_t session, uint64_t at);

/* --- clients: watches --------------------------------------------------------------------------- */

/* `watch` is unique for ever; it goes on over connections until oracle_unwatch. A raw client that watches
 * again with the last revision it saw on a new connection goes on with the same watch; one that starts over
 * begins another. q: operation WATCH. */
const char *oracle_watch(struct oracle *o, uint64_t client, uint64_t watch,
                         const struct coord_request *q, uint64_t at);
/* A WATCH request for it was answered with success on connection `conn` (0: not known): from `revision`
 * on, or with a gap. Also when it is registered again on a new connection. */
const char *oracle_watch_armed(struct oracle *o, uint64_t watch, uint64_t conn, uint64_t revision,
                               bool gap, uint64_t at);
/* An event frame. changes: as in coord_change_next. */
const char *oracle_watch_event(struct oracle *o, uint64_t watch, enum coord_watch_state state,
                               uint64_t revision, struct coord_bytes changes, uint64_t at);
/* The stream of the watch, from here on, continues what the caller has listed: the entries it holds are
 * those of the model at `revision`. Optional; makes the oracle fold events over it (W5). Call it with a
 * recursive list with data (names relative to the watched path), or the path's own GET. */
const char *oracle_watch_listed(struct oracle *o, uint64_t watch, const struct coord_result *list,
                                uint64_t revision, uint64_t at);
/* The client gave it up, or it ended. */
const char *oracle_unwatch(struct oracle *o, uint64_t watch, uint64_t at);
/* A connection ended: no reply or event comes on it any more. */
const char *oracle_conn_ended(struct oracle *o, uint64_t conn, uint64_t at);

/* --- clients: locks ----------------------------------------------------------------------------- */

/* lock: the path of the lock's node. A client may ask for a lock once at a time.
 * until: true time at which the client's own clock will say that it must stop; it may be told anew whenever
 * the lease is longer (oracle_lock_until). */
const char *oracle_lock_asked(struct oracle *o, uint64_t client, const char *lock, uint64_t at);
/* It stands in line with the node that was created at `token`. */
const char *oracle_lock_queued(struct oracle *o, uint64_t client, const char *lock, uint64_t token,
                               uint64_t at);
const char *oracle_lock_held(struct oracle *o, uint64_t client, const char *lock, uint64_t token,
                             uint64_t until, uint64_t at);
const char *oracle_lock_until(struct oracle *o, uint64_t client, uint64_t until, uint64_t at);
/* A waiter was woken: it is told that the node `ended` below the lock is gone since `revision`. */
const char *oracle_lock_woken(struct oracle *o, uint64_t client, const char *lock,
                              struct coord_bytes ended, uint64_t revision, uint64_t at);
/* It is told that it lost it; or gives it up, before the request is sent. */
const char *oracle_lock_ended(struct oracle *o, uint64_t client, const char *lock, uint64_t at);

/* --- the end ------------------------------------------------------------------------------------ */

/* The run is over. quiet: the world was healed and nothing is on its way any more, so every armed watch must
 * have been told all there is. */
const char *oracle_end(struct oracle *o, bool quiet, uint64_t at);

#endif
