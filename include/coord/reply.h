/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.h: what is told of a request: the reply with its receipt, and the structs in it. Part of coord.h.
 */
#ifndef COORD_REPLY_H
#define COORD_REPLY_H

#include <coord/handle.h>

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif
#endif
