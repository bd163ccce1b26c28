/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h: the client protocol as data: one table of operations that drives encoder, decoder,
 * server dispatch and client calls. docs/protocol.md tells the same for writers of other clients.
 *
 * A frame is a 4-byte big-endian length and that many bytes holding one msgpack array:
 *   request  [number, operation, acked, arguments...]
 *   reply    [number, error, receipt, result...]        result only when error is 0,
 *                                                       else [text, detail...]
 *   event    [0, watch id, revision, state, [changes...]]
 * `number` counts a session's requests from 1 and never repeats; `acked` says that the client has
 * seen the answers of all numbers <= acked, so that the server may forget them (exactly-once).
 * Replies come in the order of requests. Arguments and results are those of the tables below, in
 * order; a decoder refuses missing ones, unknown operations, wrong types and trailing bytes, and
 * looks at depth and counts before it allocates anything.
 */
#ifndef COORD_PROTOCOL_MESSAGE_H
#define COORD_PROTOCOL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <coord/error.h>
#include "protocol/buf.h"

#define COORD_PROTOCOL_VERSION 1

/* How an operation is served. */
enum coord_op_kind {
    COORD_KIND_CONNECTION = 1, /* by the connection itself: hello, unwatch */
    COORD_KIND_WRITE = 2,      /* through the log */
    COORD_KIND_READ = 3,       /* from the store, at a consistency level */
    COORD_KIND_MEMBER = 4      /* by this member at once: status, partition */
};

/* X(NAME, number, kind, needs a session, arguments, results)
 * Arguments are fields of struct coord_request, results of struct coord_result, by name. */
#define COORD_OPS(X)                                                                         \
    X(HELLO, 1, CONNECTION, 0, (A_VERSION A_CLIENT A_SESSION A_SECRET A_REVISION),           \
      (R_VERSION R_MEMBER R_CLUSTER R_LIMITS R_SESSION_STATE))                               \
    X(PING, 2, READ, 1, (A_LEVEL), (R_NONE))                                                 \
    X(SESSION_OPEN, 3, WRITE, 0, (A_TIMEOUT), (R_SESSION R_SECRET R_TIMEOUT))                \
    X(SESSION_CLOSE, 4, WRITE, 1, (A_NONE), (R_NONE))                                        \
    X(CREATE, 5, WRITE, 0, (A_PATH A_DATA A_CREATE_FLAGS A_TTL), (R_PATH R_SEQUENCE R_STAT)) \
    X(GET, 6, READ, 0, (A_PATH A_LEVEL), (R_DATA R_STAT))                                    \
    X(SET, 7, WRITE, 0, (A_PATH A_DATA A_CONDITION), (R_STAT))                               \
    X(DELETE, 8, WRITE, 0, (A_PATH A_CONDITION A_DELETE_FLAGS), (R_REVISION R_COUNT))        \
    X(EXISTS, 9, READ, 0, (A_PATH A_LEVEL), (R_EXISTS))                                      \
    X(STAT, 10, READ, 0, (A_PATH A_LEVEL), (R_STAT))                                         \
    X(LIST, 11, READ, 0, (A_PATH A_AFTER A_LIMIT A_LIST_FLAGS A_LEVEL),                      \
      (R_ENTRIES R_MORE R_STAT R_COUNT))                                                     \
    X(SYNC, 12, READ, 0, (A_NONE), (R_REVISION))                                             \
    X(WATCH, 13, READ, 0, (A_WATCH A_PATH A_DEPTH A_KINDS A_WATCH_FLAGS A_REVISION),         \
      (R_REVISION R_GAP))                                                                    \
    X(UNWATCH, 14, CONNECTION, 0, (A_WATCH), (R_NONE))                                       \
    X(STATUS, 15, MEMBER, 0, (A_NONE), (R_STATUS))                                           \
    X(PARTITION, 16, MEMBER, 0, (A_MEMBERS), (R_NONE))                                       \
    X(INCREMENT, 17, WRITE, 0, (A_PATH A_DELTA A_CONDITION), (R_VALUE R_STAT))               \
    X(RENAME, 18, WRITE, 0, (A_PATH A_TO A_CONDITION), (R_STAT R_COUNT))                     \
    X(TXN, 19, WRITE, 0, (A_IF A_THEN A_ELSE), (R_BRANCH R_FAILED R_REVISION R_RESULTS))     \
    X(QUOTA, 20, WRITE, 0, (A_PATH A_QUOTA), (R_USAGE))                                      \
    X(USAGE, 21, READ, 0, (A_PATH A_LEVEL), (R_USAGE))                                       \
    X(SESSIONS, 22, READ, 0, (A_SESSION A_SESSIONS_FLAGS A_AFTER A_LIMIT A_LEVEL),           \
      (R_SESSIONS R_ENTRIES R_MORE R_COUNT))                                                 \
    X(SESSION_END, 23, WRITE, 0, (A_SESSION), (R_REVISION R_COUNT))

/* ops.c gives each A_ and R_ name its field rows and so makes the codec's tables out of the lists
 * above: there is no second place that knows the order. */
enum coord_op {
    COORD_OP_EVENT = 0,
#define X(name, number, kind, session, args, results) COORD_OP_##name = number,
    COORD_OPS(X)
#undef X
        COORD_OP_END
};

/* Bytes inside a frame: borrowed from it. data == NULL: absent (msgpack nil); len 0: empty. */
struct coord_bytes {
    const uint8_t *data;
    uint32_t len;
};

enum coord_level {
    COORD_LEVEL_LINEARIZABLE = 0,
    COORD_LEVEL_SESSION = 1, /* level_arg: the highest revision this client has seen */
    COORD_LEVEL_BOUNDED = 2, /* level_arg: age in milliseconds at most */
    COORD_LEVEL_LOCAL = 3
};

enum coord_create_flag {
    COORD_F_EPHEMERAL = 1,
    COORD_F_SEQUENTIAL = 2,
    COORD_F_PARENTS = 4, /* make missing parents, persistent, in the same entry */
    COORD_F_CONTAINER = 8,
    COORD_F_TTL = 16
};

enum coord_delete_flag { COORD_DELETE_RECURSIVE = 1 /* with all below it, bounded */ };

enum coord_list_flag {
    COORD_LIST_STATS = 1,     /* entries carry their stat */
    COORD_LIST_DATA = 2,      /* and their data */
    COORD_LIST_RECURSIVE = 4, /* whole subtree in path order; names are relative paths */
    COORD_LIST_COUNT = 8      /* no entries, only how many there are */
};

/* SESSIONS: session `session` alone, and the paths of its ephemerals after `after`. Without it: the sessions
 * with ids above `session`. */
enum coord_sessions_flag { COORD_SESSIONS_ONE = 1 };

/* What a transaction may ask of a node before it decides between its branches. All but ABSENT fail when
 * there is no such node. */
enum coord_when {
    COORD_WHEN_EXISTS = 1,
    COORD_WHEN_ABSENT = 2,
    COORD_WHEN_VERSION = 3,  /* version == number */
    COORD_WHEN_MODIFIED = 4, /* modify_revision == number */
    COORD_WHEN_CREATED = 5,  /* create_revision == number */
    COORD_WHEN_VALUE = 6,    /* the data is this (absent is not empty) */
    COORD_WHEN_CHILDREN = 7, /* it has so many children */
    COORD_WHEN_OWNER = 8,    /* an ephemeral of session `number`; 0: no ephemeral */
    COORD_WHEN_HELD = 9 /* the oldest child of path was created at `number`: the lock at this path
                              is still held by whom got this token */
};

/* Branches of a transaction. */
enum coord_txn_branch { COORD_TXN_ELSE = 0, COORD_TXN_THEN = 1 };

enum coord_depth {
    COORD_DEPTH_NODE = 0,     /* the node itself */
    COORD_DEPTH_CHILDREN = 1, /* its direct children, and itself */
    COORD_DEPTH_SUBTREE = 2   /* itself and everything below */
};

enum coord_change_kind {
    COORD_CHANGE_CREATED = 1,
    COORD_CHANGE_CHANGED = 2,
    COORD_CHANGE_DELETED = 4
};

enum coord_watch_flag {
    COORD_WATCH_VALUE = 1,    /* events carry the value */
    COORD_WATCH_PREVIOUS = 2, /* and the previous one */
    COORD_WATCH_ONCE = 4      /* ends after its first event */
};

/* state of an event frame */
enum coord_watch_state {
    COORD_EVENT_CHANGES = 0,  /* the changes of one revision */
    COORD_EVENT_PROGRESS = 1, /* nothing of interest up to this revision */
    COORD_EVENT_GAP = 2       /* events before this revision are lost: list again, then go on */
};

#define COORD_VERSION_ANY       (-1)
#define COORD_SECRET_BYTES      16
#define COORD_MEMBERS_MAX       15
#define COORD_PATH_BYTES_MAX    1024
#define COORD_NAME_BYTES_MAX    255
#define COORD_MSGPACK_DEPTH_MAX 8

/* One condition of a transaction: [kind, path, number, data]. */
struct coord_if {
    enum coord_when kind;
    struct coord_bytes path;
    uint64_t number;
    struct coord_bytes data;
};

/* A list inside a message: the items as they stand on the wire, without the header of their array.
 * Encoders copy them, decoders have checked each; coord_*_next walks them. */
struct coord_items {
    uint32_t count;
    struct coord_bytes raw;
};

struct coord_request {
    uint64_t number;
    uint64_t acked;
    enum coord_op op;

    uint64_t version;          /* A_VERSION: of the protocol */
    struct coord_bytes client; /* A_CLIENT: name and version of the library, for the log */
    uint64_t session; /* A_SESSION: HELLO: to resume, 0 none. SESSIONS, SESSION_END: which */
    struct coord_bytes secret; /* A_SECRET: COORD_SECRET_BYTES, or absent */
    uint64_t revision;   /* A_REVISION: HELLO: highest seen. WATCH: events after it; 0: from now */
    uint64_t timeout_ms; /* A_TIMEOUT */
    struct coord_bytes path; /* A_PATH */
    struct coord_bytes data; /* A_DATA */
    uint32_t
        flags; /* A_CREATE_FLAGS, A_DELETE_FLAGS, A_LIST_FLAGS, A_WATCH_FLAGS, A_SESSIONS_FLAGS */
    uint64_t ttl_ms;          /* A_TTL */
    int64_t expect_version;   /* A_CONDITION, first: COORD_VERSION_ANY or a version */
    uint64_t expect_modified; /* A_CONDITION, second: modify_revision; 0 any */
    uint64_t expect_created;  /* A_CONDITION, third: create_revision; 0 any */
    enum coord_level level;   /* A_LEVEL, first */
    uint64_t level_arg;       /* A_LEVEL, second */
    struct coord_bytes after; /* A_AFTER: names after this one; absent or empty: from the start */
    uint64_t limit;           /* A_LIMIT: 0 the server's own */
    uint64_t watch;           /* A_WATCH: chosen by the client, unique on its connection */
    enum coord_depth depth;   /* A_DEPTH */
    uint32_t kinds;           /* A_KINDS: set of enum coord_change_kind */
    uint32_t members_count;   /* A_MEMBERS: PARTITION: cut the links to these; none: heal */
    uint32_t members[COORD_MEMBERS_MAX];
    int64_t delta;            /* A_DELTA */
    struct coord_bytes to;    /* A_TO: the new path */
    uint64_t quota_nodes;     /* A_QUOTA, first: nodes of the subtree at most; 0 any */
    uint64_t quota_bytes;     /* A_QUOTA, second: bytes of their data; 0 any */
    struct coord_items ifs;   /* A_IF: struct coord_if, coord_if_next */
    struct coord_items thens; /* A_THEN: operations (number and acked 0), coord_txn_op_next */
    struct coord_items elses; /* A_ELSE */
};

enum coord_node_kind {
    COORD_NODE_PERSISTENT = 0,
    COORD_NODE_EPHEMERAL = 1,
    COORD_NODE_CONTAINER = 2,
    COORD_NODE_TTL = 3
};

/* A node's stat: one msgpack array in this order. Times in milliseconds since 1970. */
struct coord_node_stat {
    uint64_t create_revision;
    uint64_t modify_revision;
    uint64_t child_revision;
    uint64_t version;
    uint64_t child_version;
    uint64_t acl_version;
    uint64_t created_ms;
    uint64_t modified_ms;
    enum coord_node_kind kind;
    uint64_t owner; /* session, 0 none */
    uint64_t ttl_ms;
    uint64_t data_bytes;
    uint64_t children;
};

/* What the reply was given: one msgpack array in this order. */
struct coord_receipt {
    uint32_t member;
    uint32_t
        role; /* enum raft_role's numbers: 1 follower 2 precandidate 3 candidate 4 leader 5 faulted */
    uint64_t term;
    uint64_t revision; /* applied by this member when it answered */
    uint64_t age_ms;   /* the data was current at most this long ago; UINT64_MAX: not known */
    enum coord_level level;
};

/* Limits told in the reply to HELLO: one array in this order. */
struct coord_limits {
    uint64_t frame_bytes;
    uint64_t data_bytes;
    uint64_t outstanding; /* requests per connection without an answer */
    uint64_t watches;     /* per connection */
    uint64_t session_min_ms;
    uint64_t session_max_ms;
    uint64_t list_entries;
    uint64_t txn_operations; /* of one branch, and conditions */
    uint64_t subtree_nodes;  /* of a recursive delete or a rename */
    uint64_t list_bytes;     /* of a page of a list, and of the results of a transaction */
    uint64_t sessions;       /* open at once, in the ensemble */
    uint64_t answers;        /* of a session, not acknowledged */
    uint64_t answers_bytes;
    uint64_t store_bytes;       /* the high-water mark */
    uint64_t outstanding_bytes; /* of requests without an answer, per connection */
    uint64_t connections;       /* of this member */
    uint64_t connections_per_address;
    uint64_t output_bytes;       /* sent to a connection and not read: beyond, it is closed */
    uint64_t watch_output_bytes; /* likewise: beyond, watches get GAP instead of events */
    uint64_t history_events;     /* changes that this member can replay to a watch */
    uint64_t history_bytes;
};

/* What a node and all below it hold, and may hold at most (0: any): one array in this order. */
struct coord_usage {
    uint64_t nodes;
    uint64_t bytes; /* of data */
    uint64_t quota_nodes;
    uint64_t quota_bytes;
};

#define COORD_IDLE_UNKNOWN UINT64_MAX

/* An open session, as the operator is told of it: one array in this order. What stands behind `ephemerals` is
 * not replicated: it is what the member that answers knows by itself. */
struct coord_session_info {
    uint64_t session;
    uint64_t epoch; /* revision of its newest attachment */
    uint64_t timeout_ms;
    uint64_t ephemerals; /* nodes it owns */
    uint32_t member;     /* it is attached to; 0 not known: the leader knows, once it heard of it */
    uint64_t idle_ms; /* since the leader heard of it; COORD_IDLE_UNKNOWN: this is not the leader */
    struct coord_bytes
        address; /* of its connection; absent when that is not to the member that answers */
};

struct coord_list_entry {
    struct coord_bytes name;
    bool has_stat;
    bool has_data; /* data itself may still be absent */
    struct coord_node_stat stat;
    struct coord_bytes data;
};

struct coord_member_status {
    uint32_t id;
    struct coord_bytes client_address;
    struct coord_bytes peer_address;
    bool reachable; /* from the member that answers */
    uint64_t match; /* known by the leader, else 0 */
};

/* R_STATUS: one array in this order, members last. */
struct coord_status {
    uint32_t member;
    uint32_t role;
    uint64_t term;
    uint32_t leader; /* 0 none known */
    uint64_t commit;
    uint64_t applied;
    uint64_t snapshot; /* index of the newest */
    uint64_t log_first;
    uint64_t log_last;
    uint32_t needed;       /* members of a majority */
    uint32_t reachable;    /* members in touch, this one included */
    uint64_t no_quorum_ms; /* how long there has been none; 0: there is one */
    uint64_t sessions;
    uint64_t nodes;
    uint64_t watches;
    uint64_t connections;
    uint64_t uptime_ms;
    uint64_t store_bytes;       /* as the high-water mark counts */
    uint64_t limits_differ;     /* limits in which the member's file is not what is in force */
    uint64_t lease_rounds;      /* read rounds that a lease has spared this member */
    bool lease;                 /* its file allows that */
    bool lab;                   /* the demonstration gate is open */
    struct coord_bytes version; /* of coordd */
    struct coord_bytes cluster;
    struct coord_bytes fault; /* absent unless faulted or under repair */
    uint32_t members_count;
    struct coord_member_status members[COORD_MEMBERS_MAX];
};

/* The detail behind error ENOQUORUM and EINDOUBT: [text, reachable ids, needed, since ms, term, levels]. */
struct coord_no_quorum {
    uint32_t reachable_count;
    uint32_t reachable[COORD_MEMBERS_MAX]; /* this member included */
    uint32_t needed;
    uint64_t since_ms;
    uint64_t term;
    uint32_t levels; /* set of 1 << enum coord_level that would be served now */
};

struct coord_result {
    uint64_t number;
    int error; /* 0 or negative COORD_E* */
    struct coord_receipt receipt;
    struct coord_bytes text; /* of an error */
    bool has_no_quorum;
    struct coord_no_quorum no_quorum;

    uint64_t version;            /* R_VERSION */
    uint32_t member;             /* R_MEMBER */
    struct coord_bytes cluster;  /* R_CLUSTER */
    uint32_t session_state;      /* R_SESSION_STATE: enum coord_session_state */
    uint64_t session;            /* R_SESSION */
    struct coord_bytes secret;   /* R_SECRET */
    uint64_t timeout_ms;         /* R_TIMEOUT: granted */
    struct coord_bytes path;     /* R_PATH: as created */
    uint64_t sequence;           /* R_SEQUENCE: the number given; 0 when not sequential */
    struct coord_bytes data;     /* R_DATA */
    struct coord_node_stat stat; /* R_STAT */
    uint64_t revision;           /* R_REVISION */
    bool exists;                 /* R_EXISTS */
    bool more;                   /* R_MORE: the list goes on after its last name */
    bool gap;                    /* R_GAP: history did not reach back: list, then events follow */
    /* R_ENTRIES: encoding reads entries[]; decoding sets entries_raw, walked by coord_list_next. */
    uint32_t entries_count;
    const struct coord_list_entry *entries;
    struct coord_bytes entries_raw;
    uint64_t count;               /* R_COUNT: nodes deleted or moved; of a list: all there are */
    int64_t value;                /* R_VALUE: after an increment */
    enum coord_txn_branch branch; /* R_BRANCH: which one was chosen */
    uint64_t
        failed; /* R_FAILED: the operation of it that failed, from 1, so that nothing was applied; 0 none */
    struct coord_items
        results; /* R_RESULTS: of each operation of the branch, coord_txn_result_next */
    struct coord_usage usage;    /* R_USAGE */
    struct coord_items sessions; /* R_SESSIONS: struct coord_session_info, coord_session_next */
    /* Large, and only in answers to HELLO and STATUS: coord_result_clear leaves them as they are. */
    struct coord_limits limits; /* R_LIMITS */
    struct coord_status status; /* R_STATUS */
};

/* For any other answer. */
static inline void coord_result_clear(struct coord_result *res)
{
    memset(res, 0, offsetof(struct coord_result, limits));
}

enum coord_session_state {
    COORD_SESSION_NONE = 0, /* the hello named none */
    COORD_SESSION_RESUMED = 1,
    COORD_SESSION_GONE = 2 /* expired, closed or never known: open a new one */
};

struct coord_change {
    enum coord_change_kind kind;
    struct coord_bytes path;
    uint64_t version;         /* of the node after the change; before it when deleted */
    uint64_t create_revision; /* of the node */
    bool has_value;           /* value may still be absent, as stored */
    bool has_previous;
    struct coord_bytes value;
    struct coord_bytes previous;
};

struct coord_event {
    uint64_t watch;
    uint64_t revision;
    enum coord_watch_state state;
    uint32_t changes_count;             /* encoding */
    const struct coord_change *changes; /* encoding */
    struct coord_bytes changes_raw;     /* decoding: walked by coord_change_next */
};

/* --- properties of operations ------------------------------------------------------------------ */

/* Name in lower case, kind and whether a session is needed; NULL / 0 for an unknown number.
 * Ownership: static. Errors: none. Thread: any. */
const char *coord_op_name(enum coord_op op);
enum coord_op_kind coord_op_kind(enum coord_op op);
bool coord_op_needs_session(enum coord_op op);

/* --- frames ------------------------------------------------------------------------------------ */

#define COORD_FRAME_HEADER_BYTES 4

/* A client that says in its PINGs when the next one comes (level_arg, in milliseconds) sends no other frame of fewer
 * bytes than this on that connection: so a server may let shorter ones wait until then. A PING has fewer as long
 * as numbers fit 32 bits. */
#define COORD_LOUD_BYTES 24

/* Look at the first bytes of a stream.
 * Return: bytes of the whole frame, header included; 0: more bytes are needed to say;
 * COORD_ETOOBIG when the length is 0 or exceeds max_bytes (the frame's body). Thread: any. */
int64_t coord_frame_size(const uint8_t *bytes, size_t len, size_t max_bytes);

/* Append an encoded message, length included, to *out (which may move or be NULL). Numbers take their
 * smallest form, so equal structs give equal bytes. An error (res->error) looks the same for every
 * operation, also for one that is not known.
 * Ownership: *out stays the caller's. Errors: COORD_ENOMEM; COORD_EINVAL for a request or a success
 * of an unknown operation or with more than COORD_MEMBERS_MAX members. Thread: any.
 * Return: 0 or negative, with the bytes of *out as they were on error. */
int coord_request_encode(const struct coord_request *q, struct coord_buf **out);
/* Behind a successful coord_request_encode of q, whose frame begins at byte `start` of *out: if it is no PING and has fewer
 * than COORD_LOUD_BYTES, number and acked take their longest form, so that it has as many.
 * Errors: COORD_ENOMEM. Return: 0 or negative, likewise. */
int coord_request_loud(const struct coord_request *q, uint32_t start, struct coord_buf **out);
int coord_result_encode(enum coord_op op, const struct coord_result *res, struct coord_buf **out);
int coord_event_encode(const struct coord_event *ev, struct coord_buf **out);

/* Only the part of a reply behind the receipt (result or error text and detail), as one msgpack
 * array without a length in front: what the state machine stores to answer a repeated request.
 * coord_reply_join makes a whole reply frame of it, the same bytes as coord_result_encode's; an
 * empty body stands for no results or, with an error, for no text. Errors: as above, and
 * COORD_EINVAL when body is no array. */
int coord_body_encode(enum coord_op op, const struct coord_result *res, struct coord_buf **out);
int coord_reply_join(uint64_t number, int error, const struct coord_receipt *receipt,
                     struct coord_bytes body, struct coord_buf **out);

/* Decode a frame's body (without the 4 bytes). Everything is borrowed from body.
 * why: on error receives what is wrong and where, at most why_bytes with its NUL.
 * Errors: COORD_EBADREQUEST (requests) or COORD_EPROTO (replies, events). Thread: any.
 * coord_request_peek reads only number and operation, so that even a bad request can be answered. */
int coord_request_peek(const uint8_t *body, size_t len, uint64_t *ret_number, uint64_t *ret_op);
int coord_request_decode(const uint8_t *body, size_t len, struct coord_request *ret_q, char *why,
                         size_t why_bytes);
/* The same in place: *q is overwritten also on error. */
int coord_request_decode_over(const uint8_t *body, size_t len, struct coord_request *q, char *why,
                              size_t why_bytes);
/* is_event: set when the number is 0. Then it is the last word, if coord_last_word_is says so, else an event. */
int coord_reply_peek(const uint8_t *body, size_t len, uint64_t *ret_number, bool *ret_is_event);
int coord_result_decode(enum coord_op op, const uint8_t *body, size_t len,
                        struct coord_result *ret_res, char *why, size_t why_bytes);
int coord_event_decode(const uint8_t *body, size_t len, struct coord_event *ret_ev, char *why,
                       size_t why_bytes);
/* Why a server closes the connection. Written with coord_result_encode: an error with number 0 and without detail. */
bool coord_last_word_is(const uint8_t *body, size_t len);
int coord_last_word_decode(const uint8_t *body, size_t len, struct coord_result *ret_res, char *why,
                           size_t why_bytes);

/* Transactions are written item by item: append one item behind those in *out, whose bytes then are the
 * raw of a struct coord_items. An operation has the arguments of its own request but for the level; which
 * ones may stand in a transaction says coord_op_in_txn. A result is [operation, error, results...].
 * Errors: as coord_request_encode, COORD_EINVAL for an operation that may not. Thread: any. */
bool coord_op_in_txn(enum coord_op op);
int coord_if_encode(const struct coord_if *c, struct coord_buf **out);
int coord_txn_op_encode(const struct coord_request *q, struct coord_buf **out);
int coord_txn_result_encode(enum coord_op op, const struct coord_result *res,
                            struct coord_buf **out);

/* The sessions of an answer are written alike, one item after the other. */
int coord_session_encode(const struct coord_session_info *s, struct coord_buf **out);

/* Walk the raw of a decoded struct coord_items, as below; ret_op: whose result it is. */
int coord_if_next(struct coord_bytes *cursor, struct coord_if *ret_c);
int coord_session_next(struct coord_bytes *cursor, struct coord_session_info *ret_s);
int coord_txn_op_next(struct coord_bytes *cursor, struct coord_request *ret_q);
int coord_txn_result_next(struct coord_bytes *cursor, enum coord_op *ret_op,
                          struct coord_result *ret_res);

/* Walk entries_raw or changes_raw (the items, without the header of their array): cursor starts as
 * the raw bytes and is advanced. Never fails on what a decoder has accepted. Thread: any.
 * Return: 1 an item was read, 0 the end, COORD_EPROTO. */
int coord_list_next(struct coord_bytes *cursor, struct coord_list_entry *ret_entry);
int coord_change_next(struct coord_bytes *cursor, struct coord_change *ret_change);

/* Is this a whole, well-formed msgpack value within the limits on depth and item count, with no byte
 * after it? Looks at headers only, allocates nothing. Return: 0 or COORD_EBADREQUEST. Thread: any. */
int coord_msgpack_scan(const uint8_t *bytes, size_t len, uint32_t depth_max, uint32_t items_max);

/* --- paths (service.md's rules; rejected, never normalised) ------------------------------------ */

/* Return: 0 or COORD_EBADPATH; why says which rule and at which byte. "/" is valid. Thread: any. */
int coord_path_check(const char *path, size_t len, char *why, size_t why_bytes);
/* Is it /coord or below, which is the service's own? The path is valid. Thread: any. */
bool coord_path_reserved(const char *path, size_t len);
/* Bytes of the parent's path ("/a/b" -> 2, "/a" -> 1); 0 for "/". The path is valid. */
size_t coord_path_parent_len(const char *path, size_t len);

#endif
