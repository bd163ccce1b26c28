/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coord.h: the client library of coord.
 *
 * Objects
 *   struct coord        a handle: the servers of one ensemble, at most one connection to one of
 *                       them, and at most one session. Requests, watches, locks and elections
 *                       belong to a handle.
 *   struct coord_reply  what became of one request. In a callback it is borrowed and ends with the
 *                       callback; the blocking calls give one to free with coord_reply_free.
 *   watch               a number (coord_watch_id), never used again on its handle.
 *   struct coord_txn    conditions and operations that are decided and applied as one. Belongs to no
 *                       handle; built by one thread, then given to coord_txn_commit.
 *
 * Two forms of a handle
 *   coord_open            no thread: the caller's loop waits for coord_fd and calls coord_dispatch.
 *                         All calls and all callbacks happen on the caller's thread.
 *   coord_open_threaded   the handle runs a thread of its own; calls may come from any thread and
 *                         callbacks happen on that thread.
 *
 * Two forms of each request
 *   coord_get(...)        returns at once; the callback is called later, exactly once.
 *   coord_get_sync(...)   waits for the answer. On a loop-driven handle it runs the loop meanwhile,
 *                         so callbacks of other requests and watches may be called from inside it.
 *                         From inside a callback it answers COORD_EDEADLK at once.
 *
 * Rules of life
 *   1. A request is accepted when the call returns 0. Each accepted request completes exactly once,
 *      by its callback, also when the handle is closed (COORD_ECLOSED). A call that returns an
 *      error was not accepted and its callback is never called.
 *   2. No callback is called from inside the call that made the request, but for coord_close and
 *      the blocking calls.
 *   3. Requests are sent in the order in which they were made, and complete in the order in which
 *      they were sent, unless one runs out of time, or is refused and tried again elsewhere.
 *   4. Each accepted watch gets COORD_WATCH_ENDED exactly once, as its last event.
 *   5. What is passed in (paths, data, options) is copied; the caller may free it at once.
 *   6. What a callback receives lives until the callback returns.
 *   7. coord_close is legal anywhere, also in a callback; no callback comes after COORD_CLOSED was
 *      told to the last listener. A threaded handle must not be used by other threads once
 *      coord_close was called on it.
 *   8. After fork the child may only call coord_after_fork_child; everything else answers
 *      COORD_EFORKED. The parent is not disturbed.
 *
 * Threads: a loop-driven handle belongs to one thread at a time. A threaded handle may be used from
 * any thread. Where a function differs it says so.
 *
 * Sessions
 *   A session is what the servers remember of this handle: it owns ephemeral nodes, and it makes
 *   repeated writes harmless (each is applied at most once, whatever breaks on the way). The
 *   library opens one when a request first needs it, keeps it alive, and moves it to another server
 *   when it must.
 *
 *   The lease is the time for which the servers are certain to keep the session. It is counted on
 *   this machine, on a clock that runs through suspend, from the moment the last acknowledged
 *   keep-alive was SENT, and is shortened by 1 % and 50 ms for clocks that differ. While
 *   coord_lease_remaining_ms is above 0, nothing the session owns can have been given to others.
 *
 *      CONNECTING --> CONNECTED <--> JEOPARDY --> LAPSED --> EXPIRED --> CONNECTING ...
 *                         ^                         |
 *                         +-------------------------+   (any state --> CLOSED, the last)
 *
 * Errors and outcomes
 *   Every function that can fail returns 0 or a negative COORD_E* (error.h). reply->outcome says
 *   what is known of a write: it was applied, it was not, or it is not known. UNKNOWN is rare: the
 *   library repeats an unanswered write under its number until the request's time is up.
 *
 * Paths
 *   Absolute, '/'-separated, valid UTF-8, no empty, "." or ".." component, no control characters,
 *   no '/' at the end, at most COORD_PATH_MAX bytes (prefix included) and 255 a component. Other
 *   paths are refused, never changed. With options.prefix "/app", "/x" names the node "/app/x" of
 *   the servers, and replies and events name it "/x".
 *
 * Caveats
 *   - A lock or leadership that is not checked by what it protects (a fencing token) cannot protect
 *     it from a process that was stopped while it held it. recipes.h hands out tokens; use them.
 *   - Reads are linearizable unless asked otherwise, and cost a round among the servers.
 *   - A loop-driven handle is kept alive only while its loop runs: a program that computes for
 *     longer than a session timeout between two coord_dispatch loses its session. Use the threaded
 *     form.
 */
#ifndef COORD_COORD_H
#define COORD_COORD_H

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
    uint32_t backoff_max_ms;     /* 0 .. min(max, min * 2^rounds). Defaults 20 and 1,000 */
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

/* --- replies ---------------------------------------------------------------------------------- */

enum coord_outcome {
    COORD_OUTCOME_PENDING = 0,     /* not answered yet */
    COORD_OUTCOME_DONE = 1,        /* answered with success; a write was applied */
    COORD_OUTCOME_FAILED = 2,      /* decided by the servers: the error is final, nothing changed */
    COORD_OUTCOME_NOT_APPLIED = 3, /* it did not happen and will not */
    COORD_OUTCOME_UNKNOWN = 4      /* a write that may or may not have happened, or may yet */
};

enum coord_stat_kind {
    COORD_STAT_PERSISTENT = 0,
    COORD_STAT_EPHEMERAL = 1,
    COORD_STAT_CONTAINER = 2,
    COORD_STAT_TTL = 3
};

/* Times are milliseconds since 1970, by the clock of the leader of the moment. */
struct coord_stat {
    uint64_t create_revision;
    uint64_t modify_revision;
    uint64_t child_revision; /* last create or delete of a direct child */
    uint64_t version;        /* 0 at create, one more with each set */
    uint64_t child_version;  /* creates and deletes of direct children */
    uint64_t acl_version;
    uint64_t created_ms;
    uint64_t modified_ms;
    enum coord_stat_kind kind;
    uint64_t owner; /* session of an ephemeral node, else 0 */
    uint64_t ttl_ms;
    uint64_t data_bytes;
    uint64_t children;
};

enum coord_role {
    COORD_ROLE_FOLLOWER = 1,
    COORD_ROLE_PRECANDIDATE = 2,
    COORD_ROLE_CANDIDATE = 3,
    COORD_ROLE_LEADER = 4,
    COORD_ROLE_FAULTED = 5
};

/* "follower", "leader", ...; "unknown" otherwise. Ownership: static. Errors: none. Thread: any. */
const char *coord_role_name(uint32_t role);
/* "linearizable", "session", "bounded", "local"; "default" otherwise. Likewise. */
const char *coord_consistency_name(enum coord_consistency level);

#define COORD_AGE_UNKNOWN UINT64_MAX

/* Who answered, and how current that is. */
struct coord_reply_receipt {
    uint32_t member;
    uint32_t role; /* enum coord_role */
    uint64_t term;
    uint64_t revision; /* the member had applied when it answered */
    uint64_t age_ms;   /* the data was current at most this long ago, or COORD_AGE_UNKNOWN */
    enum coord_consistency level; /* at which a read was served */
};

/* Behind COORD_ENOQUORUM and COORD_EINDOUBT. */
struct coord_quorum_detail {
    uint32_t reachable[COORD_STATUS_MEMBERS_MAX]; /* members in touch, with the one that answered */
    uint32_t reachable_count;
    uint32_t needed;   /* for a majority */
    uint64_t since_ms; /* how long there has been none */
    uint64_t term;
    uint32_t levels; /* set of 1 << enum coord_consistency that would be served now */
};

/* One child in a list. name ends with a NUL; with COORD_RECURSIVE it is a path relative to the
 * listed one. data NULL: not asked for, or absent in the node (has_data tells them apart). */
struct coord_entry {
    const char *name;
    bool has_stat;
    bool has_data;
    const void *data;
    size_t data_bytes;
    struct coord_stat stat;
};

struct coord_server_member {
    uint32_t id;
    bool reachable; /* from the member that answered */
    uint64_t match; /* log index known to be there, by the leader; else 0 */
    const char *client_address;
    const char *peer_address;
};

struct coord_server_status {
    uint32_t member;
    uint32_t role; /* enum coord_role */
    uint64_t term;
    uint32_t leader; /* 0: none known */
    uint64_t commit; /* log indexes */
    uint64_t applied;
    uint64_t snapshot;
    uint64_t log_first;
    uint64_t log_last;
    uint32_t needed;       /* members of a majority */
    uint32_t reachable;    /* members in touch, this one included */
    uint64_t no_quorum_ms; /* 0: there is a quorum */
    uint64_t sessions;
    uint64_t nodes;
    uint64_t watches;
    uint64_t connections;
    uint64_t uptime_ms;
    uint64_t store_bytes;   /* what the high-water mark is about (coord_server_limits) */
    uint64_t limits_differ; /* limits in which its file is not what is in force: the leader's is */
    uint64_t lease_rounds;  /* quorum rounds of reads that the leader's lease has spared */
    bool lease;             /* its file allows the lease */
    bool lab;               /* coord_partition is allowed */
    const char *version;
    const char *cluster;
    const char *fault; /* why it is FAULTED, or takes part without a vote while its log is repaired;
                          else NULL */
    uint32_t members_count;
    struct coord_server_member members[COORD_STATUS_MEMBERS_MAX];
};

/* What a node and everything below it hold, and may hold at most (0: any). */
struct coord_subtree {
    uint64_t nodes;
    uint64_t bytes; /* of their data */
    uint64_t quota_nodes;
    uint64_t quota_bytes;
};

#define COORD_IDLE_UNKNOWN UINT64_MAX

/* An open session, as an operator is told of it. What stands behind `ephemerals` is what the server that
 * answers knows by itself: the leader knows most. */
struct coord_session_entry {
    uint64_t session;
    uint64_t attached_revision; /* of its newest attachment */
    uint64_t timeout_ms;
    uint64_t ephemerals; /* nodes it owns */
    uint32_t member;     /* it is attached to; 0: not known */
    uint64_t idle_ms;    /* since the leader heard of it; COORD_IDLE_UNKNOWN: not known */
    const char *address; /* of the client's connection; NULL: not known */
};

/* Which operations of a transaction were, or are to be, carried out. */
enum coord_branch {
    COORD_NEITHER = 0, /* in a reply: it was not decided */
    COORD_THEN = 1,    /* all conditions hold, or there are none */
    COORD_ELSE = 2
};

/* What became of one operation of a transaction. Fields that it does not answer are zero. */
struct coord_txn_result {
    const char
        *operation; /* "create", "get", "set", "delete", "exists", "stat", "increment", "rename" */
    int error;      /* 0; of the one that failed its error, of all others then COORD_EABORTED */
    const char *path;  /* the path given; of CREATE: as created; of RENAME: the new one */
    uint64_t sequence; /* CREATE with COORD_SEQUENTIAL */
    bool exists;       /* EXISTS */
    const void *data;  /* GET: NULL when the node has none; followed by a NUL that is not counted */
    size_t data_bytes;
    int64_t value;  /* INCREMENT */
    uint64_t count; /* DELETE, RENAME: nodes */
    bool has_stat;  /* CREATE, GET, SET, STAT, INCREMENT, RENAME; as of behind this operation */
    struct coord_stat stat;
};

/* What became of a request. Fields that an operation does not answer are zero. */
struct coord_reply {
    uint64_t request; /* its number, as *call.ret_request gave it */
    int error;        /* 0 or negative COORD_E* */
    enum coord_outcome outcome;
    const char *text; /* of an error, with what is known of its cause; "" on success */
    bool has_receipt; /* a server answered */
    struct coord_reply_receipt receipt;
    const struct coord_quorum_detail *no_quorum; /* NULL: the server said nothing about it */

    const char *path;  /* the path asked for; of CREATE: as created */
    uint64_t sequence; /* CREATE with COORD_SEQUENTIAL: the number given */
    uint64_t
        revision; /* CREATE, SET, DELETE, INCREMENT, RENAME, TXN, session_end: of the change; SYNC: applied;
                          else the receipt's */
    bool exists;      /* EXISTS */
    const void *data; /* GET: NULL when the node has none; followed by a NUL that is not counted */
    size_t data_bytes;
    bool has_stat; /* CREATE, GET, SET, STAT, INCREMENT, RENAME, LIST (of the listed node) */
    struct coord_stat stat;
    const struct coord_entry *entries; /* LIST; session_show: paths of what it owns */
    size_t entries_count;
    bool more;                                /* LIST, sessions: goes on after its last name */
    const struct coord_server_status *status; /* STATUS */
    uint64_t count; /* DELETE: nodes that are gone; RENAME: that moved; LIST: children, or
                                     with COORD_RECURSIVE all nodes below, listed or not */
    int64_t value;  /* INCREMENT: after it */
    bool has_usage; /* QUOTA, USAGE */
    struct coord_subtree usage; /* of the node */
    enum coord_branch branch;   /* TXN: that was taken, also when an operation of it failed */
    size_t failed; /* TXN: the operation of it that failed, from 1: then none was applied
                                     and `error` is its error. 0: none */
    const struct coord_txn_result *results; /* TXN: of each operation of the branch, in order */
    size_t results_count;
    const struct coord_session_entry *sessions; /* sessions; session_show: the one */
    size_t sessions_count;
};

/* Free a reply of a blocking call; NULL is accepted. Errors: none. Thread: any. */
void coord_reply_free(struct coord_reply *reply);

/* Called once for an accepted request. reply ends with the call. Thread: the handle's. */
typedef void (*coord_reply_cb)(struct coord *c, const struct coord_reply *reply, void *arg);

/* --- requests --------------------------------------------------------------------------------- */

/* flags of CREATE */
enum coord_create_flags {
    COORD_EPHEMERAL = 1,  /* deleted with the session; cannot have children */
    COORD_SEQUENTIAL = 2, /* the parent's counter, at least ten digits, is put behind the path */
    COORD_PARENTS = 4,    /* missing parents are made, persistent */
    COORD_CONTAINER =
        8, /* deleted by the service soon after its last child is gone; not before it had one */
    COORD_TTL =
        16 /* deleted by the service when not modified for ttl_ms and without children, within a second */
};

/* flags of LIST; COORD_RECURSIVE also of DELETE */
enum coord_list_flags {
    COORD_WITH_STATS = 1,
    COORD_WITH_DATA = 2,
    COORD_RECURSIVE = 4, /* the whole subtree, in path order */
    COORD_COUNT_ONLY = 8 /* no entries, only reply->count: costs the same however many there are */
};

/* conditions of SET, DELETE, INCREMENT and RENAME (of the node that is renamed); all that are set must hold, else COORD_ECONDITION */
enum coord_condition {
    COORD_IF_VERSION = 1,  /* version */
    COORD_IF_MODIFIED = 2, /* modify_revision equals modified */
    COORD_IF_CREATED = 4   /* create_revision equals created */
};

/* How one request is made. All zero is the default, and NULL means the same. */
struct coord_call {
    uint32_t timeout_ms;                /* 0: that of the handle */
    enum coord_consistency consistency; /* GET, EXISTS, STAT, LIST, USAGE */
    uint64_t bound_ms;                  /* for COORD_BOUNDED */
    bool fail_fast; /* complete with COORD_ECONNECT once every server was tried in vain, instead of
                        trying on until timeout_ms */
    bool
        wait_quorum; /* a refusal for want of a quorum (COORD_ENOQUORUM, COORD_EINDOUBT) is told when
                         timeout_ms is over, not at once: the servers are tried in turn until then, with
                         growing pauses. A write in doubt is sent again under its number and applied
                         at most once; without sessions it is told at once */
    uint32_t flags;  /* of CREATE, LIST or DELETE */
    uint64_t ttl_ms;     /* CREATE with COORD_TTL */
    uint32_t conditions; /* SET, DELETE, INCREMENT, RENAME: set of enum coord_condition */
    uint64_t version;
    uint64_t modified;
    uint64_t created;
    const char *after;     /* LIST: names after this one; NULL: from the first */
    uint64_t limit;        /* LIST: entries at most; 0: the server's limit */
    uint64_t *ret_request; /* receives the request's number, for coord_outcome; may be NULL */
};

/* Create a node.
 *
 * data: data_bytes bytes; NULL with 0: the node has no data, which is not the same as empty.
 * call: flags, ttl_ms.
 * cb:   reply->path, sequence, stat, revision. NULL: nobody wants to know.
 * Ownership: everything is copied.
 * Errors:    at once: COORD_EINVAL, COORD_EBADPATH, COORD_ETOOBIG, COORD_EBUSY, COORD_ENOMEM,
 *            COORD_ENOSESSION (ephemeral without sessions), COORD_ECLOSED, COORD_EFORKED.
 *            in the reply: COORD_EEXISTS, COORD_ENONODE (no parent), COORD_EEPHEMERAL (of the
 *            parent), COORD_ERESERVED, COORD_EQUOTA, COORD_ESTOREFULL (coord_server_limits: the
 *            store's high-water mark), COORD_ENOSPACE, COORD_ELIMIT, COORD_EDENIED, and those of
 *            any request: COORD_ENOQUORUM, COORD_EINDOUBT, COORD_ETIMEOUT, COORD_ECONNECT,
 *            COORD_EEXPIRED, COORD_ECLOSED, COORD_EPROTO, COORD_ENOMEM, COORD_ETOOBIG,
 *            COORD_EBADREQUEST, COORD_EBUSY, COORD_ESHUTDOWN.
 * Thread:    the handle's; any when threaded.
 * Return:    0: cb will be called, or a negative error of the first list. */
COORD_MUST_CHECK int coord_create(struct coord *c, const char *path, const void *data,
                                  size_t data_bytes, const struct coord_call *call,
                                  coord_reply_cb cb, void *arg);

/* Read a node: reply->data, stat. Further reply errors: COORD_ENONODE, COORD_ETOOSTALE.
 * Everything else as coord_create. */
COORD_MUST_CHECK int coord_get(struct coord *c, const char *path, const struct coord_call *call,
                               coord_reply_cb cb, void *arg);

/* Replace a node's data, under call's conditions: reply->stat, revision. Reply errors:
 * COORD_ENONODE, COORD_ECONDITION, COORD_ERESERVED, COORD_EQUOTA, COORD_ESTOREFULL, COORD_ENOSPACE.
 * Everything else as coord_create. */
COORD_MUST_CHECK int coord_set(struct coord *c, const char *path, const void *data,
                               size_t data_bytes, const struct coord_call *call, coord_reply_cb cb,
                               void *arg);

/* Delete a node without children, under call's conditions; with COORD_RECURSIVE in call->flags the
 * node and everything below it, as one change: reply->revision, count. Reply errors: COORD_ENONODE,
 * COORD_ECONDITION, COORD_ENOTEMPTY, COORD_ERESERVED; COORD_ELIMIT when the subtree has more nodes
 * than the servers delete as one (10,000): then nothing is gone, and smaller parts
 * can be deleted one by one. At once also COORD_EINVAL for other flags. Everything else as above. */
COORD_MUST_CHECK int coord_delete(struct coord *c, const char *path, const struct coord_call *call,
                                  coord_reply_cb cb, void *arg);

/* Add delta to a node whose data is a number in decimal (an optional '-', digits, no needless 0),
 * under call's conditions: reply->value, stat, revision. However often it is sent, it is applied at most
 * once. Reply errors: COORD_ENONODE, COORD_ECONDITION, COORD_ENOTNUMBER (the data is none, or the sum
 * leaves 64 bits), COORD_EQUOTA, COORD_ESTOREFULL, COORD_ERESERVED, COORD_ENOSPACE. Everything else as
 * coord_create. */
COORD_MUST_CHECK int coord_increment(struct coord *c, const char *path, int64_t delta,
                                     const struct coord_call *call, coord_reply_cb cb, void *arg);

/* Move a node with everything below it to another path, as one change, under call's conditions (of
 * the node at path): reply->path (the new one), stat, count, revision. The parent of `to` exists and
 * `to` does not. Watches see deletions and creations; the moved nodes begin anew at version 0, and keep
 * data, kinds, owners, quotas and sequence counters. Reply errors: COORD_ENONODE (no such node, or no
 * parent of `to`), COORD_EEXISTS, COORD_ECONDITION, COORD_EEPHEMERAL (the parent of `to` is
 * ephemeral), COORD_EINSIDE, COORD_ELIMIT (too many nodes for one change), COORD_EQUOTA,
 * COORD_ESTOREFULL, COORD_EBADPATH (a path below would be too long), COORD_ERESERVED. Everything else as
 * coord_create. */
COORD_MUST_CHECK int coord_rename(struct coord *c, const char *path, const char *to,
                                  const struct coord_call *call, coord_reply_cb cb, void *arg);

/* Bound what a node and everything below it may hold: nodes, and bytes of data; 0: any. Replaces the
 * node's earlier quota; of nested ones each holds; one below what is there refuses growth, nothing
 * else. It goes with the node. reply->usage. Reply errors: COORD_ENONODE, COORD_ERESERVED,
 * COORD_EDENIED. Everything else as coord_create. */
COORD_MUST_CHECK int coord_quota(struct coord *c, const char *path, uint64_t nodes, uint64_t bytes,
                                 const struct coord_call *call, coord_reply_cb cb, void *arg);

/* What a node and everything below it hold: reply->usage. Costs the same however much it is. Reply
 * errors: COORD_ENONODE, COORD_ETOOSTALE. */
COORD_MUST_CHECK int coord_usage(struct coord *c, const char *path, const struct coord_call *call,
                                 coord_reply_cb cb, void *arg);

/* Is there such a node? reply->exists; a missing node is no error. */
COORD_MUST_CHECK int coord_exists(struct coord *c, const char *path, const struct coord_call *call,
                                  coord_reply_cb cb, void *arg);

/* A node's stat without its data: reply->stat. Reply errors: COORD_ENONODE, COORD_ETOOSTALE. */
COORD_MUST_CHECK int coord_stat(struct coord *c, const char *path, const struct coord_call *call,
                                coord_reply_cb cb, void *arg);

/* Names below a node, sorted by bytes, one page: reply->entries, more, stat, count. For the next page
 * give the last name as call->after. Reply errors: COORD_ENONODE, COORD_ETOOSTALE. */
COORD_MUST_CHECK int coord_list(struct coord *c, const char *path, const struct coord_call *call,
                                coord_reply_cb cb, void *arg);

/* Wait until the connected server has applied all that was committed when it was asked:
 * reply->revision. */
COORD_MUST_CHECK int coord_sync(struct coord *c, const struct coord_call *call, coord_reply_cb cb,
                                void *arg);

/* What the connected server knows of itself and its ensemble: reply->status. Answered by that
 * server alone, also without a quorum. */
COORD_MUST_CHECK int coord_status(struct coord *c, const struct coord_call *call, coord_reply_cb cb,
                                  void *arg);

/* Demonstration ensembles: cut the connected server's links to these members and mend all others;
 * count 0 mends all. Reply errors: COORD_EDENIED unless the server runs as a lab. */
COORD_MUST_CHECK int coord_partition(struct coord *c, const uint32_t *members, uint32_t count,
                                     const struct coord_call *call, coord_reply_cb cb, void *arg);

/* For operators: the open sessions with ids above `after`, a page in ascending order: reply->sessions, more,
 * count (of all). call: consistency, limit (entries at most). For the next page give the last id as
 * `after`. No secret is told. Reply errors: COORD_ETOOSTALE. Everything else as coord_create. */
COORD_MUST_CHECK int coord_sessions(struct coord *c, uint64_t after, const struct coord_call *call,
                                    coord_reply_cb cb, void *arg);

/* One session, and a page of the paths of its ephemeral nodes: reply->sessions[0], entries (names are
 * whole paths as the servers know them, whatever prefix the handle has), more, count. call: consistency,
 * limit, after (a path). Reply errors: COORD_EGONE, COORD_ETOOSTALE. */
COORD_MUST_CHECK int coord_session_show(struct coord *c, uint64_t session,
                                        const struct coord_call *call, coord_reply_cb cb,
                                        void *arg);

/* End any session, as if its timeout had passed: it and all its ephemeral nodes are gone at one revision, and
 * its client is told COORD_EXPIRED. reply->revision, count (of nodes). Reply errors: COORD_EGONE (there is no
 * such session), COORD_EDENIED. Everything else as coord_create. */
COORD_MUST_CHECK int coord_session_end(struct coord *c, uint64_t session,
                                       const struct coord_call *call, coord_reply_cb cb, void *arg);

/* The blocking forms. They wait at most for the request's timeout (and a little, for its end to be
 * told).
 *
 * ret_reply: may be NULL. Otherwise always written: the reply, also of a request that failed, or
 *            NULL when there is none (the call was not accepted, or memory ran out).
 * Ownership: *ret_reply is the caller's, for coord_reply_free.
 * Errors:    those of the asynchronous form, at once or in the reply; COORD_EDEADLK in a callback.
 * Thread:    the handle's; any when threaded.
 * Return:    the reply's error. coord_exists_sync: *ret_exists only on 0. */
COORD_MUST_CHECK int coord_create_sync(struct coord *c, const char *path, const void *data,
                                       size_t data_bytes, const struct coord_call *call,
                                       struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_get_sync(struct coord *c, const char *path,
                                    const struct coord_call *call, struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_set_sync(struct coord *c, const char *path, const void *data,
                                    size_t data_bytes, const struct coord_call *call,
                                    struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_delete_sync(struct coord *c, const char *path,
                                       const struct coord_call *call,
                                       struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_increment_sync(struct coord *c, const char *path, int64_t delta,
                                          const struct coord_call *call,
                                          struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_rename_sync(struct coord *c, const char *path, const char *to,
                                       const struct coord_call *call,
                                       struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_quota_sync(struct coord *c, const char *path, uint64_t nodes,
                                      uint64_t bytes, const struct coord_call *call,
                                      struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_usage_sync(struct coord *c, const char *path,
                                      const struct coord_call *call,
                                      struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_exists_sync(struct coord *c, const char *path,
                                       const struct coord_call *call, bool *ret_exists);
COORD_MUST_CHECK int coord_stat_sync(struct coord *c, const char *path,
                                     const struct coord_call *call, struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_list_sync(struct coord *c, const char *path,
                                     const struct coord_call *call, struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_sync_sync(struct coord *c, const struct coord_call *call,
                                     struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_status_sync(struct coord *c, const struct coord_call *call,
                                       struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_partition_sync(struct coord *c, const uint32_t *members, uint32_t count,
                                          const struct coord_call *call,
                                          struct coord_reply **ret_reply);

COORD_MUST_CHECK int coord_sessions_sync(struct coord *c, uint64_t after,
                                         const struct coord_call *call,
                                         struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_session_show_sync(struct coord *c, uint64_t session,
                                             const struct coord_call *call,
                                             struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_session_end_sync(struct coord *c, uint64_t session,
                                            const struct coord_call *call,
                                            struct coord_reply **ret_reply);

/* What is known of a request by now: also after its callback told UNKNOWN, since the answer may
 * have come later. The handle remembers its last 4,096 completed requests; of older ones and of
 * numbers that never were, UNKNOWN is said.
 * Errors: none. Thread: the handle's; any when threaded. */
enum coord_outcome coord_outcome(struct coord *c, uint64_t request);

/* --- transactions ----------------------------------------------------------------------------- */

/* Conditions, and what to do if all of them hold (COORD_THEN) or not (COORD_ELSE): decided and carried
 * out at one moment and one revision, all operations of the branch or none. Each operation sees what
 * those before it did; the same path may occur again.
 *
 *     struct coord_txn *t = coord_txn_new();
 *     coord_txn_if_version(t, "/from", 3);
 *     coord_txn_increment(t, COORD_THEN, "/from", -10, NULL);
 *     coord_txn_increment(t, COORD_THEN, "/to", 10, NULL);
 *     int err = coord_txn_commit_sync(c, t, NULL, &reply);
 *     coord_txn_free(t);
 *
 * A transaction keeps the first error of the calls that build it, and with it can only be freed:
 * coord_txn_commit answers that error and nothing is sent. So the errors of the calls between _new and
 * _commit need not be looked at one by one; a NULL transaction answers COORD_ENOMEM to each.
 *
 * Committing does not use it up: it can be committed again, also on other handles, each time as a
 * transaction of its own. What was committed is not changed by what is added later.
 *
 * Ownership: coord_txn_new's result is the caller's, for coord_txn_free. Paths and data are copied.
 * Errors:    of each call below: COORD_EINVAL (branch, call, data NULL with a length, a revision or
 *            token of 0), COORD_EBADPATH, COORD_ELIMIT (65,535 items of one list), COORD_ETOOBIG (64 MiB),
 *            COORD_ENOMEM, and the first error that was kept. Kinds of one call that exclude each
 *            other are refused by the servers.
 * Thread:    one at a time; no handle is involved.
 * Return:    0 or negative; coord_txn_new: NULL when memory is out. */
struct coord_txn;
struct coord_txn *coord_txn_new(void);
void coord_txn_free(struct coord_txn *t); /* NULL is accepted */

/* The conditions. All but absent fail when there is no such node. */
int coord_txn_if_exists(struct coord_txn *t, const char *path);
int coord_txn_if_absent(struct coord_txn *t, const char *path);
int coord_txn_if_version(struct coord_txn *t, const char *path, uint64_t version);
int coord_txn_if_modified(struct coord_txn *t, const char *path, uint64_t revision);
int coord_txn_if_created(struct coord_txn *t, const char *path, uint64_t revision);
/* The data is this; NULL with 0: it has none, which is not the same as empty. */
int coord_txn_if_value(struct coord_txn *t, const char *path, const void *data, size_t data_bytes);
int coord_txn_if_children(struct coord_txn *t, const char *path, uint64_t count);
/* An ephemeral node of that session; 0: no ephemeral node. */
int coord_txn_if_owner(struct coord_txn *t, const char *path, uint64_t session);
/* The lock (election) whose directory this is is still held by whoever was given this token:
 * coord_lock_guard (recipes.h) adds it for a lock at hand. */
int coord_txn_if_held(struct coord_txn *t, const char *directory, uint64_t token);

/* The operations. call: flags, ttl_ms and conditions as of the request of that name; the rest of it is
 * not looked at; may be NULL. */
int coord_txn_create(struct coord_txn *t, enum coord_branch branch, const char *path,
                     const void *data, size_t data_bytes, const struct coord_call *call);
int coord_txn_get(struct coord_txn *t, enum coord_branch branch, const char *path);
int coord_txn_set(struct coord_txn *t, enum coord_branch branch, const char *path, const void *data,
                  size_t data_bytes, const struct coord_call *call);
int coord_txn_delete(struct coord_txn *t, enum coord_branch branch, const char *path,
                     const struct coord_call *call);
int coord_txn_exists(struct coord_txn *t, enum coord_branch branch, const char *path);
int coord_txn_stat(struct coord_txn *t, enum coord_branch branch, const char *path);
int coord_txn_increment(struct coord_txn *t, enum coord_branch branch, const char *path,
                        int64_t delta, const struct coord_call *call);
int coord_txn_rename(struct coord_txn *t, enum coord_branch branch, const char *path,
                     const char *to, const struct coord_call *call);

/* Have it decided: reply->branch, results, failed, revision.
 *
 * That the conditions do not hold is no error: reply->branch says COORD_ELSE. When an operation of the
 * branch fails, nothing of it was applied: reply->error is that operation's error, outcome
 * COORD_OUTCOME_FAILED, failed its number, and results has the error of each. A commit that is repeated
 * by the library is applied at most once, as every write.
 *
 * t: NULL answers COORD_ENOMEM.
 * call: timeout_ms, fail_fast, wait_quorum, ret_request.
 * Ownership: t stays the caller's, who may free it at once; everything is copied.
 * Errors:    at once: the error t has kept; COORD_EBADPATH (with the handle's prefix a path is too long),
 *            COORD_ENOSESSION (an ephemeral node, without sessions), and those of any request. In the
 *            reply: COORD_ELIMIT (more conditions, or operations of a branch, than the servers take:
 *            1,024 by default; said before it is sent), COORD_ETOOBIG (as one frame, or its
 *            results), what an operation failed with, and those of any request.
 * Thread:    the handle's; any when threaded.
 * Return:    0: cb will be called; the blocking form: the reply's error. */
COORD_MUST_CHECK int coord_txn_commit(struct coord *c, const struct coord_txn *t,
                                      const struct coord_call *call, coord_reply_cb cb, void *arg);
COORD_MUST_CHECK int coord_txn_commit_sync(struct coord *c, const struct coord_txn *t,
                                           const struct coord_call *call,
                                           struct coord_reply **ret_reply);

/* --- sessions --------------------------------------------------------------------------------- */

/* Have a session: completes at once when there is one. Errors at once: COORD_ENOSESSION with
 * COORD_SESSIONS_OFF, and those of any request. */
COORD_MUST_CHECK int coord_session_open(struct coord *c, const struct coord_call *call,
                                        coord_reply_cb cb, void *arg);
COORD_MUST_CHECK int coord_session_open_sync(struct coord *c, const struct coord_call *call);

/* End the session and all it owns; no error when there is none. Requests made before it are sent
 * before it; a later write opens a new session. */
COORD_MUST_CHECK int coord_session_close(struct coord *c, const struct coord_call *call,
                                         coord_reply_cb cb, void *arg);
COORD_MUST_CHECK int coord_session_close_sync(struct coord *c, const struct coord_call *call);

/* The session's number; 0: none. Errors: none. Thread: the handle's; any when threaded. */
uint64_t coord_session_id(const struct coord *c);
/* The timeout the servers granted, in ms; 0: no session. */
uint64_t coord_session_timeout_ms(const struct coord *c);
/* Milliseconds for which the session is certain to be kept; 0: none, or over. Asks only this
 * machine's clock. Errors: none. Thread: the handle's; any when threaded. */
uint64_t coord_lease_remaining_ms(const struct coord *c);
/* A descriptor that is readable whenever a session's lease is over, from that moment on and until
 * it is renewed; not before the first session. Only poll it; it is the handle's, and the same for
 * its life. It needs no loop to run, and may be 10 ms early.
 * Errors: COORD_EINVAL, COORD_EFORKED. Return: >= 0, or negative. */
int coord_lease_fd(const struct coord *c);

/* The state as of now; of a handle whose lease is over without coord_dispatch having run: LAPSED.
 * Errors: none. Thread: the handle's; any when threaded. */
enum coord_state coord_state(const struct coord *c);

/* Be told states beside options.state; the order of listeners is not promised. Each hears
 * COORD_CLOSED last. Errors: COORD_ENOMEM, COORD_ECLOSED, COORD_EFORKED. Thread: the handle's; any
 * when threaded. */
COORD_MUST_CHECK int coord_listen(struct coord *c, coord_state_cb cb, void *arg,
                                  coord_listener_id *ret_listener);
/* No call comes after this. From another thread than the handle's it waits for one that is under
 * way: do not hold what the callback needs. An unknown number is ignored. */
void coord_unlisten(struct coord *c, coord_listener_id listener);

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

/* --- watches ---------------------------------------------------------------------------------- */

enum coord_watch_depth {
    COORD_WATCH_NODE = 0,     /* the node itself, whether it exists or not */
    COORD_WATCH_CHILDREN = 1, /* itself and its direct children */
    COORD_WATCH_SUBTREE = 2   /* itself and everything below */
};

/* kinds of change, as a set in the options and one of them in a change */
enum coord_change_kinds { COORD_CREATED = 1, COORD_CHANGED = 2, COORD_DELETED = 4 };

struct coord_watch_options {
    enum coord_watch_depth depth;
    uint32_t kinds;         /* set of enum coord_change_kinds; 0: all */
    bool with_value;        /* changes carry the new value */
    bool with_previous;     /* changes carry the previous value */
    bool once;              /* ends, with error 0, after its first CHANGES */
    bool progress;          /* PROGRESS is told too */
    uint64_t from_revision; /* changes after this one; 0: from now on */
};

enum coord_watch_event_state {
    COORD_WATCH_READY = 1,   /* registered for the first time: changes after event->revision come */
    COORD_WATCH_CHANGES = 2, /* all changes of one revision that the watch asked for */
    COORD_WATCH_PROGRESS = 3, /* nothing of interest up to event->revision */
    COORD_WATCH_GAP = 4,      /* changes were lost: read anew (what you read is at least as new as
                                 event->revision with consistency SESSION or LINEARIZABLE); changes
                                 after event->revision follow */
    COORD_WATCH_ENDED = 5     /* the last event; event->error says why */
};

struct coord_watch_change {
    uint32_t kind; /* one of enum coord_change_kinds */
    const char *path;
    uint64_t version;         /* of the node after the change; before it when DELETED */
    uint64_t create_revision; /* of the node */
    bool has_value;           /* value was asked for; it may be NULL: the node has no data */
    bool has_previous;
    const void *value;
    size_t value_bytes;
    const void *previous;
    size_t previous_bytes;
};

struct coord_watch_event {
    coord_watch_id watch;
    enum coord_watch_event_state state;
    uint64_t revision;
    const struct coord_watch_change *changes; /* of CHANGES */
    size_t changes_count;
    int error; /* of ENDED: 0 (once), COORD_ECANCELED (coord_unwatch), COORD_ECLOSED, or what the
                  server answered */
};

/* Thread: the handle's. event ends with the call. */
typedef void (*coord_watch_cb)(struct coord *c, const struct coord_watch_event *event, void *arg);

/* Watch a path. The library registers the watch again with every server it moves to, from the last
 * revision told: each change is told exactly once, in order of revisions, or a GAP is told.
 *
 * o: NULL: the node itself, all kinds, from now on.
 * Errors:    at once: COORD_EINVAL, COORD_EBADPATH, COORD_ELIMIT, COORD_EBUSY, COORD_ENOMEM,
 *            COORD_ECLOSED, COORD_EFORKED. Later ones come with COORD_WATCH_ENDED: COORD_ELIMIT,
 *            COORD_EDENIED. A watch waits for a server for as long as it takes.
 * Thread:    the handle's; any when threaded.
 * Return:    0 or negative; *ret_watch on 0 (may be NULL). */
COORD_MUST_CHECK int coord_watch(struct coord *c, const char *path,
                                 const struct coord_watch_options *o, coord_watch_cb cb, void *arg,
                                 coord_watch_id *ret_watch);

/* The same, returning once the watch is registered (READY is told too), or with the error of the
 * end, or with COORD_ETIMEOUT after the handle's request timeout: then the watch is ended. */
COORD_MUST_CHECK int coord_watch_sync(struct coord *c, const char *path,
                                      const struct coord_watch_options *o, coord_watch_cb cb,
                                      void *arg, coord_watch_id *ret_watch);

/* End a watch: after this only COORD_WATCH_ENDED is told (threaded: a call may be under way).
 * Errors: COORD_ENONODE when there is no such watch (any more), COORD_ECLOSED, COORD_EFORKED. */
COORD_MUST_CHECK int coord_unwatch(struct coord *c, coord_watch_id watch);
/* The same, returning after COORD_WATCH_ENDED was told. Further errors: COORD_EDEADLK. */
COORD_MUST_CHECK int coord_unwatch_sync(struct coord *c, coord_watch_id watch);

#ifdef __cplusplus
}
#endif
#endif
