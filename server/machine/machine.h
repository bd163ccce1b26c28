/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h: the replicated state machine: the znode tree and the sessions as one unit, changed by
 * nothing but log entries. Every member that applied the same entries holds the same state, bit for bit
 * (testing.md T1): no clock, no random number, no address reaches it.
 *
 * Invariants
 *   1. machine_apply is total: any bytes give an outcome, never a crash; what is not an entry changes
 *      nothing.
 *   2. An ephemeral node exists exactly while its session is open; closing or expiring a session
 *      deletes its nodes in the same entry (one revision).
 *   3. Exactly once: a session's request number is applied at most once; while its answer has not been
 *      acknowledged, a repetition returns that answer and changes nothing. A number at or below the
 *      acknowledged mark is ignored.
 *   4. A request that came through an older attachment of its session than the newest (epoch) is
 *      refused with EMOVED and changes nothing.
 *   5. Time never goes back: an entry's time is raised to that of its predecessor.
 *   6. A container or ttl node is removed by a REAP entry only, and only if it is due then by the tree and
 *      the entry's time, whoever proposed it and when.
 *
 * Threads: none; owned by the loop thread.
 */
#ifndef COORD_SERVER_MACHINE_MACHINE_H
#define COORD_SERVER_MACHINE_MACHINE_H

#include "protocol/buf.h"
#include "protocol/message.h"
#include "server/machine/entry.h"

struct machine;
struct store;

/* They take part in what apply decides, so they are part of the state: a fresh one has those of
 * machine_create, and only a LIMITS entry (limits.c) changes them. Bounds: machine_limits_check. */
struct machine_limits {
    uint32_t data_bytes;     /* default 1 MiB */
    uint64_t session_min_ms; /* default 2,000 */
    uint64_t session_max_ms; /* default 60,000 */
    uint32_t sessions;       /* default 200,000 */
    uint32_t answers;        /* default 4,096 unacknowledged ones kept per session; more: EBUSY */
    uint32_t answers_bytes;  /* default 8 MiB of them; more: EBUSY */
    uint32_t txn_operations; /* default 1,024 conditions, and operations of a branch */
    uint32_t subtree_nodes;  /* default 10,000 nodes of a recursive delete or a rename */
    uint32_t list_entries;   /* default 10,000 */
    uint32_t list_bytes;     /* default 3 MiB: a page of a list ends before it exceeds this */
    uint32_t frame_bytes;    /* default 4 MiB: a message of a client, or to one */
    uint64_t store_bytes;    /* default 2 GiB: the high-water mark, of machine_stats' store_bytes */
};

/* Each by its number: the name that configuration files and log lines have for it, and its value. The
 * order is that of the table in limits.c, in a LIMITS entry and in a saved state too. */
#define MACHINE_LIMITS_COUNT 12u
#define MACHINE_LIMITS_BYTES (MACHINE_LIMITS_COUNT * 8u)
const char *machine_limits_name(uint32_t i);
uint64_t machine_limits_get(const struct machine_limits *l, uint32_t i);

void machine_limits_init(struct machine_limits *l);
/* Could a machine work with them? Return: NULL, or the name of the first field that is out of range or
 * contradicts another. */
const char *machine_limits_check(const struct machine_limits *l);
bool machine_limits_equal(const struct machine_limits *a, const struct machine_limits *b);
/* To bytes and back: MACHINE_LIMITS_COUNT numbers, little-endian. Return: false when they are not limits
 * that machine_limits_check lets pass; *ret_l is untouched then. */
void machine_limits_encode(const struct machine_limits *l, uint8_t out[MACHINE_LIMITS_BYTES]);
bool machine_limits_decode(const uint8_t *bytes, size_t len, struct machine_limits *ret_l);

/* l: of a state without a history, that is the defaults but in tests: every member must begin alike.
 * Return: NULL when memory is out. */
struct machine *machine_create(const struct machine_limits *l);
/* Those in force. Borrowed; they change with machine_apply and machine_load. */
const struct machine_limits *machine_limits(const struct machine *m);
void machine_destroy(struct machine *m);

/* What one entry did. Pointers are the machine's, valid until its next call. */
struct machine_outcome {
    uint32_t origin;  /* from the entry: answer there ... */
    uint64_t cookie;  /* ... this request; no answer when origin is 0 */
    enum coord_op op; /* of a REQUEST or OPEN */
    int error;        /* 0 or negative COORD_E* */
    /* The reply's part behind the receipt (coord_body_encode); NULL after an ATTACH, EXPIRE or
     * REAP that succeeded. Whoever takes a reference keeps it as it is. */
    struct coord_buf *body;

    /* For watches: the changes of this revision, in order. */
    uint32_t changes_count;
    const struct coord_change *changes;

    uint64_t session;        /* concerned, 0 none */
    uint64_t attached_epoch; /* ATTACH or OPEN succeeded: the epoch now; 0 otherwise */
    uint64_t attached_timeout_ms;
    uint32_t ended_count; /* sessions closed or expired by this entry */
    const uint64_t *ended;
};

/* Apply the entry at `revision` (its log index, greater than any before).
 * Ownership: bytes stay the caller's; the outcome is the machine's until the next call.
 * Errors: none; running out of memory here stops the process, as the state would diverge. */
void machine_apply(struct machine *m, uint64_t revision, const uint8_t *bytes, size_t len,
                   struct machine_outcome *ret_o);

/* Answer a GET, EXISTS, STAT, LIST or USAGE from the state as it is: fills the result fields of *ret_res
 * (not number, receipt). Pointers in it are the machine's, valid until its next call.
 * Return: 0 or negative COORD_E* (also in ret_res->error). */
int machine_read(struct machine *m, const struct coord_request *q, struct coord_result *ret_res);

/* The same from another tree, whose nodes have no history: revisions, versions and times are told as 0. The
 * service's own paths are read like this; machine_read answers COORD_ERESERVED to them. */
int machine_read_bare(struct machine *m, const struct store *tree, const struct coord_request *q,
                      struct coord_result *ret_res);

/* Has the node at path a quota? *ret_usage also without one; untouched when there is no node. */
bool machine_quota(const struct machine *m, struct coord_bytes path, struct coord_usage *ret_usage);
/* Paths whose quota may have changed with the last entry, or that have one after a load; each perhaps more than
 * once. Valid until the next machine_apply. */
const struct coord_bytes *machine_quotas_touched(const struct machine *m, uint32_t *ret_count);

struct machine_session {
    uint64_t id;
    uint64_t epoch;
    uint64_t timeout_ms;
    uint64_t ephemerals;
};

/* Return: false when there is no such session. */
bool machine_session_get(const struct machine *m, uint64_t id, struct machine_session *ret_s);
/* Sessions in order of id, after `after`. Return: false at the end. */
bool machine_session_next(const struct machine *m, uint64_t after, struct machine_session *ret_s);

/* --- what is removed by itself: for the leader, who proposes it (reap.c) --- */

#define MACHINE_REAP_NODES_MAX 1024 /* candidates in one entry */

struct machine_reap_ask {
    uint64_t time_ms;   /* of the entry to be made: ttl nodes due by then */
    uint64_t since;     /* containers empty since this revision or longer ... */
    uint64_t also;      /* ... or since exactly this one; 0 none */
    uint32_t nodes_max; /* 1 .. MACHINE_REAP_NODES_MAX */
    uint32_t bytes_max; /* of out, at least 2,048 */
    uint8_t *out;       /* gets the body of the entry */
};

struct machine_reap_found {
    uint32_t bytes;
    uint32_t count;
    uint32_t containers; /* of them */
    bool all;            /* nothing more was found that is due */
};

/* When a ttl node is due next, in milliseconds of the entries' time; UINT64_MAX: never. */
uint64_t machine_reap_next_ms(const struct machine *m);
/* Is there a container that had children and has none? */
bool machine_reap_empty(const struct machine *m);
/* Collect candidates. Cost: linear in what is found, and in nodes_max. Errors: none. */
void machine_reap_collect(const struct machine *m, const struct machine_reap_ask *a,
                          struct machine_reap_found *ret_f);

/* Answer a SESSIONS about one session that there is: the page of its ephemerals' paths into *ret_res (entries,
 * more, count). Pointers in it are the machine's, valid until its next call.
 * Return: 0 or negative COORD_E* (ENOMEM, ETOOBIG). */
int machine_session_paths(struct machine *m, const struct coord_request *q,
                          struct coord_result *ret_res);

#define MACHINE_SESSION_PATHS_MAX 1000 /* of a page */

struct machine_stats {
    uint64_t revision; /* applied */
    uint64_t time_ms;
    uint64_t nodes; /* "/" included */
    uint64_t data_bytes;
    uint64_t sessions;
    uint64_t store_bytes; /* what the high-water mark is about; counted as limits.c says */
};
void machine_stats(const struct machine *m, struct machine_stats *ret_s);

/* The bytes of an entry that is applied soon, about eight others later, if it is: what they say is not relied on. */
void machine_ahead(struct machine *m, const uint8_t *bytes, size_t len);

/* The revision moves on without a change (NOOP and CONFIG entries). */
void machine_skip(struct machine *m, uint64_t revision);

/* The whole state as bytes, the same on every member at the same revision; the format stands in
 * server/machine/snapshot.c. In one piece, for tests: a member saves in slices (saver.h).
 * Return: a new buffer (the caller's), or NULL when memory is out or it would exceed 4 GiB. */
struct coord_buf *machine_save(const struct machine *m);

/* Begin again from saved bytes. Bytes are from a verified file, but not trusted: a malformed state is
 * refused and the machine stays as it was.
 * Return: 0, COORD_EPROTO (why says where), COORD_ENOMEM. */
int machine_load(struct machine *m, const uint8_t *bytes, size_t len, char *why, size_t why_bytes);

/* A 64-bit digest of the state, for comparing members (cost: linear). */
uint64_t machine_digest(const struct machine *m);

#endif
