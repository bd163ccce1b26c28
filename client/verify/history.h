/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h: what clients did and what they were told, as data: one struct per operation, with the
 * times of its call and its answer. docs/history.md describes the text it is read from.
 *
 * Paths and values are numbers here. Equal text gives the same number, so that what follows compares
 * numbers only. A path knows its parent; "/" is number 0.
 *
 * What watches were told is kept beside the operations, in the order in which each was told it.
 *
 * Invariants
 *   1. Operations are stored in the order of their calls as read; verify_history_finish sorts them by
 *      the time of the call.
 *   2. op->returned is VERIFY_NEVER exactly when what became of the operation is not known; the
 *      fields of its answer are then those of "unknown".
 *   3. An operation that was refused without effect (outcome NOT_APPLIED) stays, marked as such; no
 *      check lets it take effect.
 *
 * Leaves to others: reading files (client/cli), judging (verify.h).
 * Thread: none; one at a time.
 */
#ifndef COORD_CLIENT_VERIFY_HISTORY_H
#define COORD_CLIENT_VERIFY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <coord/coord.h>

#define VERIFY_NEVER   UINT64_MAX /* a time: it did not happen while we watched */
#define VERIFY_UNKNOWN UINT64_MAX /* a number in a stat, a revision, an age: not known */
#define VERIFY_NOWHERE UINT32_MAX /* no path */

/* Values with a number of their own. */
enum { VERIFY_VALUE_UNKNOWN = 0, VERIFY_VALUE_NONE = 1 };

enum verify_kind {
    VERIFY_CREATE = 1,
    VERIFY_SET,
    VERIFY_DELETE,
    VERIFY_GET,
    VERIFY_EXISTS,
    VERIFY_STAT,
    VERIFY_LIST,
    VERIFY_SYNC,
    VERIFY_CLOSE, /* of the session */
    VERIFY_TXN,
    VERIFY_INCREMENT,
    VERIFY_RENAME,
    VERIFY_VANISH /* made up by a check: a node that went by itself */
};

struct verify_stat {
    uint64_t created; /* revisions */
    uint64_t modified;
    uint64_t child_revision;
    uint64_t version;
    uint64_t child_version;
    uint64_t kind; /* enum coord_stat_kind */
    uint64_t owner;
    uint64_t ttl_ms;
    uint64_t data_bytes;
    uint64_t children;
};

struct verify_entry {
    uint32_t path;
    uint32_t value; /* VERIFY_VALUE_UNKNOWN: not asked for */
    bool has_stat;
    struct verify_stat stat;
};

/* One operation on one node: a request of its own, or a part of a transaction. */
struct verify_action {
    enum verify_kind kind;
    uint32_t path;
    uint32_t value;      /* CREATE, SET; INCREMENT: before it, when that is known */
    int64_t delta;       /* INCREMENT */
    uint32_t flags;      /* enum coord_create_flags, enum coord_list_flags (LIST, DELETE) */
    uint32_t conditions; /* set of enum coord_condition */
    uint64_t version;
    uint64_t modified;
    uint64_t created;
    const char *after; /* LIST: relative to path; "" from the start */
    bool made_up;      /* by a check: nobody asked for it, but it may have happened */

    /* What was answered; meaningful when the operation's answer is known. */
    int error;
    uint32_t made; /* CREATE: the path as created; VERIFY_NOWHERE when not known. RENAME: the new
                          path, asked for */
    uint32_t got;  /* GET; INCREMENT: after it */
    bool has_sequence; /* CREATE */
    bool has_stat;
    bool exists; /* EXISTS */
    bool more;   /* LIST */
    uint64_t sequence;
    struct verify_stat stat;
    uint32_t entries; /* LIST: first in history->entries */
    uint32_t entries_count;
};

enum verify_condition_kind {
    VERIFY_IF_EXISTS = 1,
    VERIFY_IF_ABSENT,
    VERIFY_IF_VERSION,
    VERIFY_IF_MODIFIED,
    VERIFY_IF_CREATED,
    VERIFY_IF_VALUE,
    VERIFY_IF_CHILDREN,
    VERIFY_IF_OWNER,
    VERIFY_IF_HELD
};

struct verify_condition {
    enum verify_condition_kind kind;
    uint32_t path;
    uint32_t value;
    uint64_t number;
};

/* The parts of a transaction. */
struct verify_txn {
    uint32_t conditions; /* first in history->conditions */
    uint32_t conditions_count;
    uint32_t branch[2]; /* first in history->actions: then, else */
    uint32_t branch_count[2];
    uint32_t taken; /* 0 then, 1 else; of an answer */
};

struct verify_op {
    uint32_t client;  /* in history->clients */
    uint64_t request; /* its number there */
    uint64_t called;  /* ns */
    uint64_t returned;
    int error;
    enum coord_outcome outcome;
    enum coord_consistency level; /* asked for */
    uint64_t bound_ms;
    uint64_t session;  /* 0 none */
    uint64_t revision; /* of a change; else that of the answering member; VERIFY_UNKNOWN */

    bool has_receipt; /* then the next five are set */
    uint32_t member;
    uint64_t term;
    uint64_t applied; /* by the member when it answered */
    uint64_t age_ms;
    enum coord_consistency served; /* the level in the receipt */

    struct verify_action act;
    struct verify_txn txn; /* of a TXN */

    uint64_t floor; /* the highest revision that was told to anybody before the call */
    uint32_t line;  /* of the call, in its file, for people */
    uint32_t file;
};

struct verify_path {
    const char *text;
    uint32_t name; /* where its last component begins */
    uint32_t parent;
};

struct verify_value {
    const char *text; /* as in the file: "none", "s:...", "h:..." */
    uint64_t bytes;
};

struct verify_client {
    uint64_t id;
    const char *name;  /* the id in hexadecimal */
    uint32_t boot;     /* which boot of which machine; in history->boots */
    uint64_t lost_at;  /* what it did behind this time is not recorded; VERIFY_NEVER */
    uint64_t last;     /* time of its last record */
    int64_t offset_ns; /* wall clock less boot clock */
    bool broken;       /* the recorder failed: lost_at is `last` */
};

/* One change that a watch was told of. */
struct verify_change {
    uint32_t kind; /* one of enum coord_change_kinds */
    uint32_t path;
    uint64_t version;
    uint64_t created;
    uint32_t value; /* VERIFY_VALUE_UNKNOWN: not asked for */
};

struct verify_event {
    uint32_t
        state; /* enum coord_watch_event_state; 0: it counts for nothing, nor does what follows */
    uint64_t at;
    uint64_t revision;
    bool more;        /* it held more changes than are written here */
    uint32_t changes; /* first in history->changes */
    uint32_t changes_count;
    uint32_t next; /* of the same watch; VERIFY_NOWHERE: none */
};

struct verify_watch {
    uint32_t client;
    uint64_t id;
    uint64_t asked; /* when */
    uint32_t path;
    uint32_t depth;       /* enum coord_watch_depth */
    uint32_t kinds;       /* set of enum coord_change_kinds */
    uint32_t first, last; /* in history->events; VERIFY_NOWHERE: none */
};

struct verify_history;

/* Return: NULL when memory is out. */
struct verify_history *verify_history_create(void);
void verify_history_destroy(struct verify_history *h);

/* --- putting together (parse.c, tests) --------------------------------------------------------- */

/* The number of a path or value; equal text, equal number. Return: VERIFY_NOWHERE when memory is
 * out. */
uint32_t verify_path_number(struct verify_history *h, const char *text, size_t bytes);
uint32_t verify_value_number(struct verify_history *h, const char *text, size_t bytes);
/* The number of the child of `path` with that name or relative path. */
uint32_t verify_path_below(struct verify_history *h, uint32_t path, const char *name);

/* The client with that id, made if there is none. Return: VERIFY_NOWHERE when memory is out. */
uint32_t verify_client_number(struct verify_history *h, uint64_t id);
/* Add an operation; its number is *ret_op. Errors: COORD_ENOMEM; COORD_EEXISTS when the client has
 * that request already. */
int verify_op_add(struct verify_history *h, const struct verify_op *op, uint32_t *ret_op);
/* Return: the operation's number, or VERIFY_NOWHERE. */
uint32_t verify_op_find(const struct verify_history *h, uint32_t client, uint64_t request);
int verify_action_add(struct verify_history *h, const struct verify_action *a, uint32_t *ret_first);
int verify_condition_add(struct verify_history *h, const struct verify_condition *c,
                         uint32_t *ret_first);
int verify_entry_add(struct verify_history *h, const struct verify_entry *e, uint32_t *ret_first);
/* Errors: COORD_ENOMEM; COORD_EEXISTS when the client has that watch already. */
int verify_watch_add(struct verify_history *h, const struct verify_watch *w);
/* Return: the watch's number, or VERIFY_NOWHERE. */
uint32_t verify_watch_find(const struct verify_history *h, uint32_t client, uint64_t id);
/* The next thing that the watch was told; its changes were added before. */
int verify_event_add(struct verify_history *h, uint32_t watch, const struct verify_event *e);
int verify_change_add(struct verify_history *h, const struct verify_change *c, uint32_t *ret_first);
/* Text that lives as long as the history. Return: NULL when memory is out. */
const char *verify_text_keep(struct verify_history *h, const char *text, size_t bytes);

/* Everything was read: bring clocks of several machines together, forget what comes after a client's
 * recording was lost, sort.
 *
 * skew_ns: how far the wall clocks of the machines may be apart; needed when there are several.
 * why: on error a line, at most why_bytes with its NUL.
 * Errors: COORD_EINVAL (several machines and no skew), COORD_ENOMEM. Return: 0 or negative. */
int verify_history_finish(struct verify_history *h, uint64_t skew_ns, char *why, size_t why_bytes);
/* Take op for one whose answer never came. */
void verify_op_forget_answer(struct verify_op *op);

/* --- the body, for the files of client/verify -------------------------------------------------- */

struct verify_table {
    uint32_t *slots; /* number + 1; 0 free */
    uint32_t cap;    /* a power of two, or 0 */
    uint32_t count;
};

struct coord__arena;

struct verify_history {
    struct coord__arena *text;
    struct verify_path *paths;
    uint32_t paths_count, paths_cap;
    struct verify_value *values;
    uint32_t values_count, values_cap;
    struct verify_client *clients;
    uint32_t clients_count, clients_cap;
    const char **boots;
    uint32_t boots_count, boots_cap;
    struct verify_op *ops;
    uint32_t ops_count, ops_cap;
    struct verify_action *actions;
    uint32_t actions_count, actions_cap;
    struct verify_condition *conditions;
    uint32_t conditions_count, conditions_cap;
    struct verify_entry *entries;
    uint32_t entries_count, entries_cap;
    struct verify_watch *watches;
    uint32_t watches_count, watches_cap;
    struct verify_event *events;
    uint32_t events_count, events_cap;
    struct verify_change *changes;
    uint32_t changes_count, changes_cap;
    struct verify_table by_path, by_value, by_client, by_request, by_watch;
    uint64_t origin;    /* the first call; times are shown from here */
    uint64_t cut;       /* nothing behind this time counts; VERIFY_NEVER: everything does */
    uint32_t forgotten; /* operations called behind the cut */
};

/* Make room for one more element of `size` bytes. Return: false when memory is out. */
bool verify_room(void **items, uint32_t count, uint32_t *cap, size_t size);

/* Does the operation change nothing, whatever its answer? */
bool verify_kind_reads(enum verify_kind kind);
/* Is path `inner` equal to or below `outer`? */
bool verify_path_within(const struct verify_history *h, uint32_t inner, uint32_t outer);
/* The path that a sequential create gets which asked for `asked` and is given this number.
 * Return: VERIFY_NOWHERE when no operation tells of such a path. */
uint32_t verify_path_with_number(const struct verify_history *h, uint32_t asked, uint64_t number);
/* Could a sequential create that asked for `asked` have made `path`? */
bool verify_path_numbered(const struct verify_history *h, uint32_t asked, uint32_t path);

#endif
