/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_int.h: what the oracles share: the committed truth, the model of the tree with all its former
 * versions, sessions, calls. Made from docs/protocol.md and docs/consistency.md; the only code shared with
 * what is judged is the codec of protocol/.
 *
 * Memory is one arena that ends with the oracle: nothing is ever freed in between, so pointers stay valid
 * and former states stay readable.
 */
#ifndef COORD_TESTS_SERVICE_ORACLE_INT_H
#define COORD_TESTS_SERVICE_ORACLE_INT_H

#include "tests/service/oracle.h"

/* Log entries as entry.h documents them. */
enum oracle_kind {
    ORACLE_NONE = 0, /* not the state machine's */
    ORACLE_REQUEST = 1,
    ORACLE_OPEN = 2,
    ORACLE_ATTACH = 3,
    ORACLE_EXPIRE = 4,
    ORACLE_REAP = 5,
    ORACLE_LIMITS = 6,
    ORACLE_OTHER = 255 /* what this oracle has no model of */
};

struct oracle_entry {
    enum oracle_kind kind;
    uint8_t code; /* the kind as it stands in the entry */
    uint32_t origin;
    uint64_t session;
    uint64_t epoch;
    uint64_t time_ms;
    struct coord_bytes body;
    bool has_q;
    struct coord_request q;
};

/* One change of the tree, with what the documents say it was before and after. */
struct oracle_change {
    enum coord_change_kind kind;
    struct coord_bytes path;
    uint64_t version;
    uint64_t create_revision;
    struct coord_bytes value;
    struct coord_bytes previous;
};

/* --- the tree ---------------------------------------------------------------------------------- */

/* A node's state from `revision` on. */
struct oracle_version {
    uint64_t revision;
    bool exists;
    struct coord_node_stat stat;
    struct coord_bytes data;
    uint64_t sequence;
    uint64_t quota_nodes;
    uint64_t quota_bytes;
};

/* A path that ever existed. */
struct oracle_node {
    struct coord_bytes path;
    struct oracle_node *parent; /* NULL: "/" */
    struct oracle_node *bucket_next;
    uint32_t depth; /* 0: "/" */
    uint32_t count;
    uint32_t cap;
    struct oracle_version *versions;
};

struct oracle_answer {
    uint64_t number;
    int error;
    struct coord_bytes body;
};

struct oracle_session {
    uint64_t id;
    uint64_t epoch;
    uint32_t epochs_count;
    uint32_t epochs_cap;
    uint64_t *epochs; /* all it had */
    uint64_t timeout_ms;
    uint8_t secret[COORD_SECRET_BYTES];
    uint64_t opened; /* revision */
    uint64_t ended;  /* revision, 0: open */
    bool expired;    /* ended by the leader's decision */
    uint64_t acked;
    uint32_t answers_count;
    uint32_t answers_cap;
    struct oracle_answer *answers;
    /* E2: the latest true time at which the session was proven to be known as alive. */
    uint64_t alive_at;
};

#define ORACLE_BUCKETS 16384u
/* How the store counts its bytes (docs/operations.md). */
#define ORACLE_NODE_BYTES    128u
#define ORACLE_ANSWER_BYTES  32u
#define ORACLE_SESSION_BYTES 256u

struct oracle_tree {
    uint64_t revision;
    uint64_t time_ms;
    uint64_t bytes;        /* that the store counts: data, names, ORACLE_NODE_BYTES a node */
    uint64_t bytes_before; /* this revision */
    struct oracle_node *buckets[ORACLE_BUCKETS];
    uint32_t count;
    uint32_t cap;
    struct oracle_node **sorted; /* path order: a parent, then all below it */
    uint32_t touched_count;
    uint32_t touched_cap;
    struct oracle_node **touched; /* have a version of this revision */
    uint32_t changes_count;
    uint32_t changes_cap;
    struct oracle_change *changes; /* of this revision */
};

/* --- the truth --------------------------------------------------------------------------------- */

/* An index of the log. */
struct oracle_truth {
    uint64_t at; /* first applied anywhere */
    uint32_t member;
    uint64_t sign; /* of everything that was done */
    uint64_t digest;
    enum oracle_kind kind;
    uint64_t session;
    uint64_t number;
    enum coord_op op;
    int error;
    bool repeat;        /* an answer given before */
    bool claimed;       /* by the reply to a write without session */
    uint64_t print;     /* fingerprint of what was asked; 0 none */
    uint64_t same_next; /* next index in the chain of its fingerprint or its (session, number) */
    struct coord_bytes body;
    uint32_t changes_count;
    const struct oracle_change *changes;
};

struct oracle_member {
    uint32_t id;
    bool running;
    uint64_t revision;
};

/* --- clients ------------------------------------------------------------------------------------ */

struct oracle_pending {
    struct oracle_pending *bucket_next;
    struct oracle_call c;
    struct coord_request q;
    uint64_t at;
    uint64_t print;
    uint64_t truth_then;  /* newest index applied anywhere when it was called */
    uint64_t client_then; /* newest the client had seen */
    bool done;
};

struct oracle_client {
    uint64_t id;
    uint64_t seen;
};

/* What is known of a fingerprint, or of (session, number). */
struct oracle_key {
    struct oracle_key *bucket_next;
    uint64_t session; /* 0: a fingerprint */
    uint64_t number;  /* or the fingerprint */
    uint64_t calls;
    uint64_t effects; /* indices at which it took effect */
    uint64_t first;   /* index at which it took effect or was decided first, 0 none */
    uint64_t last;    /* newest index that carries it */
    bool refused;     /* a client concluded that it was not applied */
};

struct oracle_folded;

/* A watch, over all its connections. */
struct oracle_watch {
    uint64_t id;
    uint64_t client;
    struct coord_request q;
    bool started; /* seen is known */
    bool armed;   /* a server has it, on conn */
    bool ended;
    bool fired; /* one-shot */
    uint64_t conn;
    uint64_t seen;  /* everything up to here was told */
    uint64_t clear; /* nothing is to be told in (seen, clear] */
    /* W5: what a listing and the events since make. */
    bool folding;
    uint64_t listed; /* revision of the listing */
    uint32_t folded_count;
    uint32_t folded_cap;
    struct oracle_folded *folded;
};

struct oracle_locks;

/* Limits in force from a revision on. */
struct oracle_limits_since {
    uint64_t revision;
    struct oracle_limits limits;
};

struct oracle {
    struct oracle_options options;
    char verdict[512];
    struct oracle_counts counts;
    struct oracle_chunk *chunks;

    uint32_t limits_count;
    uint32_t limits_cap;
    struct oracle_limits_since *limits; /* the newest last; options.limits are those */

    uint32_t members_count;
    struct oracle_member members[COORD_MEMBERS_MAX * 2];

    uint64_t newest; /* index applied by anybody */
    uint64_t truth_cap;
    struct oracle_truth *truth; /* by index, from 1 */

    struct oracle_tree tree;
    uint32_t sessions_count;
    uint32_t sessions_cap;
    struct oracle_session **sessions;
    struct coord_buf *body; /* of the model's answer */

    uint32_t clients_count;
    uint32_t clients_cap;
    struct oracle_client *clients;
    struct oracle_pending *calls[ORACLE_BUCKETS];
    struct oracle_key *keys[ORACLE_BUCKETS];

    uint32_t watches_count;
    uint32_t watches_cap;
    struct oracle_watch **watches;
    struct oracle_locks *locks;
};

/* --- oracle.c ------------------------------------------------------------------------------------ */

/* Zeroed; never NULL. */
void *oracle__alloc(struct oracle *o, size_t bytes);
/* An array of *cap items of `bytes` each that holds `count` becomes larger when it is full. */
void *oracle__grow(struct oracle *o, void *array, uint32_t count, uint32_t *cap, size_t bytes);
/* A copy; absent stays absent, and what is empty gets a pointer. */
struct coord_bytes oracle__keep(struct oracle *o, struct coord_bytes b);
bool oracle__same(struct coord_bytes a, struct coord_bytes b);
/* Little-endian. */
uint64_t oracle__u64(const uint8_t *p);
uint64_t oracle__hash(const void *bytes, size_t len, uint64_t seed);
/* The first one stays. Return: the sentence. */
const char *oracle__fail(struct oracle *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct oracle_client *oracle__client(struct oracle *o, uint64_t id);
/* NULL: beyond what was applied, or 0. */
struct oracle_truth *oracle__truth(struct oracle *o, uint64_t revision);

#define ORACLE_PATH(b) (int)(b).len, (const char *)(b).data
#define ORACLE_TRY(call)                  \
    do {                                  \
        const char *oracle_said = (call); \
        if (oracle_said != NULL) {        \
            return oracle_said;           \
        }                                 \
    } while (0)

/* --- oracle_model_tree.c ------------------------------------------------------------------------- */

struct oracle_node *oracle__node(const struct oracle_tree *t, struct coord_bytes path);
/* The same, made when it was never there; its ancestors too. */
struct oracle_node *oracle__node_make(struct oracle *o, struct coord_bytes path);
/* Its state at a revision; NULL: it does not exist then. */
const struct oracle_version *oracle__version(const struct oracle_node *n, uint64_t revision);
/* As it is now; NULL: it does not exist. */
const struct oracle_version *oracle__now(const struct oracle_node *n);
/* The state of this revision, to be changed. */
struct oracle_version *oracle__edit(struct oracle *o, struct oracle_node *n);
void oracle__tree_init(struct oracle *o);
void oracle__tree_begin(struct oracle *o, uint64_t revision, uint64_t time_ms);
void oracle__tree_rollback(struct oracle *o);
/* Nodes below n stand at sorted[first .. end). */
void oracle__below(const struct oracle_tree *t, const struct oracle_node *n, uint32_t *ret_first,
                   uint32_t *ret_end);
void oracle__usage(const struct oracle_tree *t, const struct oracle_node *n, uint64_t revision,
                   struct coord_usage *ret_u);
bool oracle__quota_allows(const struct oracle_tree *t, const struct oracle_node *parent,
                          uint64_t nodes, uint64_t bytes);
struct coord_bytes oracle__parent_path(struct coord_bytes path);
/* What a node counts for in the store, its data aside. */
uint64_t oracle__node_bytes(const struct oracle_node *n);

/* --- oracle_model_ops.c -------------------------------------------------------------------------- */

/* No counter of the service gets there. */
#define ORACLE_COUNTER_MAX ((uint64_t)1 << 62)

struct oracle_shape {
    enum coord_node_kind kind;
    uint64_t owner;
    uint64_t ttl_ms;
    struct coord_bytes data;
};

/* May a write name this path? Return: 0 or why not. */
int oracle__admit(struct coord_bytes path, bool sequential);
/* The node that a write names, which exists. Return: 0 or why not. */
int oracle__target(struct oracle *o, const struct coord_request *q, struct oracle_node **ret_n);
bool oracle__condition_holds(const struct oracle_version *v, const struct coord_request *q);
/* A node under a parent that exists, where nothing is. */
struct oracle_node *oracle__place(struct oracle *o, struct coord_bytes path,
                                  const struct oracle_shape *s);
/* n and what exists of sorted[first .. end) below it. */
void oracle__delete_all(struct oracle *o, struct oracle_node *n, uint32_t first, uint32_t end);

/* What a write other than a transaction does to the tree. Return: 0 or its error; *res its results. */
int oracle__write(struct oracle *o, const struct coord_request *q, uint64_t session,
                  struct coord_result *res);
void oracle__delete_node(struct oracle *o, struct oracle_node *n);
/* All that a session owns goes. */
void oracle__delete_owned(struct oracle *o, uint64_t session);

/* --- oracle_model_subtree.c ---------------------------------------------------------------------- */

int oracle__rename(struct oracle *o, const struct coord_request *q, struct coord_result *res);
int oracle__quota(struct oracle *o, const struct coord_request *q, struct coord_result *res);

/* --- oracle_model_entry.c ------------------------------------------------------------------------ */

void oracle__entry_decode(const uint8_t *bytes, size_t len, struct oracle_entry *ret_e);
uint64_t oracle__fingerprint(const struct coord_request *q);
struct oracle_session *oracle__session(struct oracle *o, uint64_t id);
/* The entry on the model. *ret_repeat: it was answered before. o->body has the answer behind it.
 * Return: the error of its outcome. */
int oracle__entry_apply(struct oracle *o, const struct oracle_entry *e, bool *ret_repeat);

/* Is it time for a node that is removed by itself? */
bool oracle__is_due(const struct oracle_version *v, uint64_t time_ms);

/* --- oracle_model_limits.c ----------------------------------------------------------------------- */

/* New limits. Which are out of range is the members' own business: `error` is what they said. */
int oracle__limits_apply(struct oracle *o, const struct oracle_entry *e, int error);
/* Those that a state of this revision has. */
const struct oracle_limits *oracle__limits_at(const struct oracle *o, uint64_t revision);

/* --- oracle_model_txn.c -------------------------------------------------------------------------- */

/* The results stand in *out, which is the caller's. Return: 0 or the error. */
int oracle__txn(struct oracle *o, const struct coord_request *q, uint64_t session,
                struct coord_result *res, struct coord_buf **out);

/* --- oracle_model.c ------------------------------------------------------------------------------ */

/* The entry on the model, compared with what was done. */
const char *oracle__model_apply(struct oracle *o, const struct oracle_applied *a,
                                const struct oracle_entry *e, struct oracle_truth *t);

/* --- oracle_model_read.c ------------------------------------------------------------------------- */

/* A read of the tree as it was at `revision`. Entries are valid until the next call. Return: 0 or the error. */
int oracle__read(struct oracle *o, const struct coord_request *q, uint64_t revision,
                 struct coord_result *res);
/* Does a name of a list, or a path, come behind `after`? */
bool oracle__is_behind(struct coord_bytes name, struct coord_bytes after);
const char *oracle__read_judge(struct oracle *o, const struct oracle_pending *p,
                               const struct coord_result *got);

/* --- oracle_model_service.c ----------------------------------------------------------------------- */

const char *oracle__sessions_judge(struct oracle *o, const struct oracle_pending *p,
                                   const struct coord_result *got);
/* A read of /coord or below. */
const char *oracle__service_judge(struct oracle *o, const struct oracle_pending *p,
                                  const struct coord_result *got);

/* --- oracle_time.c, oracle_once.c, oracle_session.c, oracle_watch.c, oracle_lock.c ---------------- */

const char *oracle__time_judge(struct oracle *o, const struct oracle_pending *p,
                               const struct oracle_reply *r, uint64_t at);
struct oracle_key *oracle__key(struct oracle *o, uint64_t session, uint64_t number);
/* What is in the log, before the model looks at it. */
const char *oracle__once_applied(struct oracle *o, uint64_t revision, struct oracle_truth *t,
                                 const struct oracle_entry *e);
void oracle__once_called(struct oracle *o, const struct oracle_pending *p);
const char *oracle__once_judge(struct oracle *o, struct oracle_pending *p,
                               const struct oracle_reply *r);
const char *oracle__session_applied(struct oracle *o, const struct oracle_applied *a,
                                    const struct oracle_entry *e, uint64_t at);
const char *oracle__session_write(struct oracle *o, const struct oracle_pending *p,
                                  const struct oracle_reply *r);
const char *oracle__watch_judge(struct oracle *o, const struct oracle_pending *p,
                                const struct oracle_reply *r);
const char *oracle__watch_end(struct oracle *o);
/* The first revision up to `to` of which the watch is still to be told; 0 none. */
uint64_t oracle__watch_owed(struct oracle *o, struct oracle_watch *w, uint64_t to);

/* --- oracle_fold.c -------------------------------------------------------------------------------- */

/* Would a watch be told this change? */
bool oracle__watch_wants(const struct oracle_watch *w, const struct oracle_change *c);
/* An event is added to what is folded. */
void oracle__fold(struct oracle *o, struct oracle_watch *w, const struct oracle_truth *t);
/* What is folded, compared with the model. */
const char *oracle__fold_judge(struct oracle *o, struct oracle_watch *w, uint64_t revision);

#endif
