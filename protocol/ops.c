/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops.c: the table of operations as data. Each A_ and R_ name of COORD_OPS (message.h) is defined
 * here as its field rows; expanding COORD_OPS then makes the argument and result rows of every
 * operation, in the order written there.
 *
 * A new operation is: one line in COORD_OPS, its NAME_ below, and A_/R_ rows for fields that do not
 * exist yet. Leaving one out does not compile.
 *
 * Leaves to others: how a row is written (encode.c) and read (decode.c).
 * Thread: any; only constant data.
 *
 * Invariants
 *   1. Rows of one list are in wire order and end with COORD_FK_END.
 *   2. A sub-list of a STRUCT holds no STRUCT, and that of MEMBERS only plain values, so that the
 *      walkers need no recursion and the depth of a message stays below COORD_MSGPACK_DEPTH_MAX.
 *   3. Operation numbers lie in 1 .. COORD_OP_END - 1.
 */
#include "protocol/codec.h"

#include <assert.h>

/* Enums are stored and read as 32-bit unsigned integers. */
_Static_assert(sizeof(enum coord_level) == sizeof(uint32_t), "enum width");
_Static_assert(sizeof(enum coord_depth) == sizeof(uint32_t), "enum width");
_Static_assert(sizeof(enum coord_node_kind) == sizeof(uint32_t), "enum width");
_Static_assert(sizeof(enum coord_change_kind) == sizeof(uint32_t), "enum width");
_Static_assert(sizeof(enum coord_watch_state) == sizeof(uint32_t), "enum width");
_Static_assert(sizeof(enum coord_when) == sizeof(uint32_t), "enum width");
_Static_assert(sizeof(enum coord_txn_branch) == sizeof(uint32_t), "enum width");

#define ALL_CREATE_FLAGS \
    (COORD_F_EPHEMERAL | COORD_F_SEQUENTIAL | COORD_F_PARENTS | COORD_F_CONTAINER | COORD_F_TTL)
#define ALL_LIST_FLAGS \
    (COORD_LIST_STATS | COORD_LIST_DATA | COORD_LIST_RECURSIVE | COORD_LIST_COUNT)
#define ALL_SESSIONS_FLAGS COORD_SESSIONS_ONE
#define ALL_WATCH_FLAGS    (COORD_WATCH_VALUE | COORD_WATCH_PREVIOUS | COORD_WATCH_ONCE)
#define ALL_CHANGE_KINDS   (COORD_CHANGE_CREATED | COORD_CHANGE_CHANGED | COORD_CHANGE_DELETED)
#define ALL_LEVELS                                                                            \
    (1u << COORD_LEVEL_LINEARIZABLE | 1u << COORD_LEVEL_SESSION | 1u << COORD_LEVEL_BOUNDED | \
     1u << COORD_LEVEL_LOCAL)

/* Rows before the one that ends them. */
#define COUNT(rows) (uint32_t)(sizeof(rows) / sizeof((rows)[0]) - 1)

/* One row: struct, member (also its name), kind, limit. */
#define ROW(s, m, fk, limit)        ROW_NAMED(#m, s, m, fk, limit)
#define ROW_NAMED(n, s, m, fk, lim) ROW_FULL(n, fk, lim, offsetof(struct s, m), 0, NULL)
#define ROW_STRUCT(s, m, fields) \
    ROW_FULL(#m, STRUCT, COUNT(fields), offsetof(struct s, m), 0, fields)
#define ROW_END ROW_FULL(NULL, END, 0, 0, 0, NULL)
#define ROW_LIST(n, s, m, cnt, fk, lim, sub) \
    ROW_FULL(n, fk, lim, offsetof(struct s, m), offsetof(struct s, cnt), sub)
#define ROW_ITEMS(n, s, m, fk) \
    ROW_FULL(n, fk, 0, offsetof(struct s, m.raw), offsetof(struct s, m.count), NULL)
#define ROW_FULL(n, fk, lim, off, cnt_off, sub)  \
    {                                            \
        n, COORD_FK_##fk, lim, off, cnt_off, sub \
    }

/* --- arrays inside messages -------------------------------------------------------------------- */

const struct coord_field coord__receipt_fields[] = {
    ROW(coord_receipt, member, U32, 0),
    ROW(coord_receipt, role, U32, 0),
    ROW(coord_receipt, term, U64, 0),
    ROW(coord_receipt, revision, U64, 0),
    ROW(coord_receipt, age_ms, U64, 0),
    ROW(coord_receipt, level, ENUM, COORD_LEVEL_LOCAL),
    ROW_END,
};
_Static_assert(COUNT(coord__receipt_fields) == COORD_RECEIPT_ITEMS, "counted where it is written");

const struct coord_field coord__stat_fields[] = {
    ROW(coord_node_stat, create_revision, U64, 0),
    ROW(coord_node_stat, modify_revision, U64, 0),
    ROW(coord_node_stat, child_revision, U64, 0),
    ROW(coord_node_stat, version, U64, 0),
    ROW(coord_node_stat, child_version, U64, 0),
    ROW(coord_node_stat, acl_version, U64, 0),
    ROW(coord_node_stat, created_ms, U64, 0),
    ROW(coord_node_stat, modified_ms, U64, 0),
    ROW(coord_node_stat, kind, ENUM, COORD_NODE_TTL),
    ROW(coord_node_stat, owner, U64, 0),
    ROW(coord_node_stat, ttl_ms, U64, 0),
    ROW(coord_node_stat, data_bytes, U64, 0),
    ROW(coord_node_stat, children, U64, 0),
    ROW_END,
};

static const struct coord_field limits_fields[] = {
    ROW(coord_limits, frame_bytes, U64, 0),
    ROW(coord_limits, data_bytes, U64, 0),
    ROW(coord_limits, outstanding, U64, 0),
    ROW(coord_limits, watches, U64, 0),
    ROW(coord_limits, session_min_ms, U64, 0),
    ROW(coord_limits, session_max_ms, U64, 0),
    ROW(coord_limits, list_entries, U64, 0),
    ROW(coord_limits, txn_operations, U64, 0),
    ROW(coord_limits, subtree_nodes, U64, 0),
    ROW(coord_limits, list_bytes, U64, 0),
    ROW(coord_limits, sessions, U64, 0),
    ROW(coord_limits, answers, U64, 0),
    ROW(coord_limits, answers_bytes, U64, 0),
    ROW(coord_limits, store_bytes, U64, 0),
    ROW(coord_limits, outstanding_bytes, U64, 0),
    ROW(coord_limits, connections, U64, 0),
    ROW(coord_limits, connections_per_address, U64, 0),
    ROW(coord_limits, output_bytes, U64, 0),
    ROW(coord_limits, watch_output_bytes, U64, 0),
    ROW(coord_limits, history_events, U64, 0),
    ROW(coord_limits, history_bytes, U64, 0),
    ROW_END,
};

static const struct coord_field usage_fields[] = {
    ROW(coord_usage, nodes, U64, 0),
    ROW(coord_usage, bytes, U64, 0),
    ROW(coord_usage, quota_nodes, U64, 0),
    ROW(coord_usage, quota_bytes, U64, 0),
    ROW_END,
};

static const struct coord_field member_fields[] = {
    ROW(coord_member_status, id, U32, 0),
    ROW(coord_member_status, client_address, STR, 0),
    ROW(coord_member_status, peer_address, STR, 0),
    ROW(coord_member_status, reachable, BOOL, 0),
    ROW(coord_member_status, match, U64, 0),
    ROW_END,
};

static const struct coord_field status_fields[] = {
    ROW(coord_status, member, U32, 0),
    ROW(coord_status, role, U32, 0),
    ROW(coord_status, term, U64, 0),
    ROW(coord_status, leader, U32, 0),
    ROW(coord_status, commit, U64, 0),
    ROW(coord_status, applied, U64, 0),
    ROW(coord_status, snapshot, U64, 0),
    ROW(coord_status, log_first, U64, 0),
    ROW(coord_status, log_last, U64, 0),
    ROW(coord_status, needed, U32, 0),
    ROW(coord_status, reachable, U32, 0),
    ROW(coord_status, no_quorum_ms, U64, 0),
    ROW(coord_status, sessions, U64, 0),
    ROW(coord_status, nodes, U64, 0),
    ROW(coord_status, watches, U64, 0),
    ROW(coord_status, connections, U64, 0),
    ROW(coord_status, uptime_ms, U64, 0),
    ROW(coord_status, store_bytes, U64, 0),
    ROW(coord_status, limits_differ, U64, 0),
    ROW(coord_status, lease_rounds, U64, 0),
    ROW(coord_status, lease, BOOL, 0),
    ROW(coord_status, lab, BOOL, 0),
    ROW(coord_status, version, STR, 0),
    ROW(coord_status, cluster, STR, 0),
    ROW(coord_status, fault, STR_OPT, 0),
    ROW_LIST("members", coord_status, members, members_count, MEMBERS, COORD_MEMBERS_MAX,
             member_fields),
    ROW_END,
};

const struct coord_field coord__error_fields[] = {
    ROW(coord_result, text, STR_OPT, 0),
    ROW_LIST("reachable", coord_result, no_quorum.reachable, no_quorum.reachable_count, IDS,
             COORD_MEMBERS_MAX, NULL),
    ROW_NAMED("needed", coord_result, no_quorum.needed, U32, 0),
    ROW_NAMED("since_ms", coord_result, no_quorum.since_ms, U64, 0),
    ROW_NAMED("term", coord_result, no_quorum.term, U64, 0),
    ROW_NAMED("levels", coord_result, no_quorum.levels, BITS, ALL_LEVELS),
    ROW_END,
};

const struct coord_field coord__name_field[] = {
    ROW(coord_list_entry, name, STR, 0),
    ROW_END,
};

const struct coord_field coord__entry_data_field[] = {
    ROW(coord_list_entry, data, BIN_OPT, 0),
    ROW_END,
};

const struct coord_field coord__event_fields[] = {
    ROW(coord_event, watch, U64, 0),
    ROW(coord_event, revision, U64, 0),
    ROW(coord_event, state, ENUM, COORD_EVENT_GAP),
    ROW_END,
};

const struct coord_field coord__change_fields[] = {
    ROW(coord_change, kind, BIT, ALL_CHANGE_KINDS),
    ROW(coord_change, path, STR, 0),
    ROW(coord_change, version, U64, 0),
    ROW(coord_change, create_revision, U64, 0),
    ROW_END,
};

const struct coord_field coord__value_field[] = {
    ROW(coord_change, value, BIN_OPT, 0),
    ROW_END,
};

const struct coord_field coord__previous_field[] = {
    ROW(coord_change, previous, BIN_OPT, 0),
    ROW_END,
};

const struct coord_field coord__if_fields[] = {
    ROW(coord_if, kind, ENUM, COORD_WHEN_HELD),
    ROW(coord_if, path, STR, 0),
    ROW(coord_if, number, U64, 0),
    ROW(coord_if, data, BIN_OPT, 0),
    ROW_END,
};

const struct coord_field coord__session_fields[] = {
    ROW(coord_session_info, session, U64, 0),     ROW(coord_session_info, epoch, U64, 0),
    ROW(coord_session_info, timeout_ms, U64, 0),  ROW(coord_session_info, ephemerals, U64, 0),
    ROW(coord_session_info, member, U32, 0),      ROW(coord_session_info, idle_ms, U64, 0),
    ROW(coord_session_info, address, STR_OPT, 0), ROW_END,
};

/* --- arguments and results, as named in COORD_OPS ---------------------------------------------- */

#define A_NONE
#define A_VERSION        ROW(coord_request, version, U64, 0),
#define A_CLIENT         ROW(coord_request, client, STR_OPT, 0),
#define A_SESSION        ROW(coord_request, session, U64, 0),
#define A_SECRET         ROW(coord_request, secret, SECRET, 0),
#define A_REVISION       ROW(coord_request, revision, U64, 0),
#define A_TIMEOUT        ROW(coord_request, timeout_ms, U64, 0),
#define A_PATH           ROW(coord_request, path, STR, 0),
#define A_DATA           ROW(coord_request, data, BIN_OPT, 0),
#define A_CREATE_FLAGS   ROW(coord_request, flags, BITS, ALL_CREATE_FLAGS),
#define A_LIST_FLAGS     ROW(coord_request, flags, BITS, ALL_LIST_FLAGS),
#define A_SESSIONS_FLAGS ROW(coord_request, flags, BITS, ALL_SESSIONS_FLAGS),
#define A_WATCH_FLAGS    ROW(coord_request, flags, BITS, ALL_WATCH_FLAGS),
#define A_DELETE_FLAGS   ROW(coord_request, flags, BITS, COORD_DELETE_RECURSIVE),
#define A_TTL            ROW(coord_request, ttl_ms, U64, 0),
#define A_CONDITION                                                                          \
    ROW(coord_request, expect_version, INT, 0), ROW(coord_request, expect_modified, U64, 0), \
        ROW(coord_request, expect_created, U64, 0),
#define A_LEVEL \
    ROW(coord_request, level, ENUM, COORD_LEVEL_LOCAL), ROW(coord_request, level_arg, U64, 0),
#define A_AFTER ROW(coord_request, after, STR_OPT, 0),
#define A_LIMIT ROW(coord_request, limit, U64, 0),
#define A_WATCH ROW(coord_request, watch, U64, 0),
#define A_DEPTH ROW(coord_request, depth, ENUM, COORD_DEPTH_SUBTREE),
#define A_KINDS ROW(coord_request, kinds, BITS, ALL_CHANGE_KINDS),
#define A_MEMBERS \
    ROW_LIST("members", coord_request, members, members_count, IDS, COORD_MEMBERS_MAX, NULL),
#define A_DELTA ROW(coord_request, delta, DELTA, 0),
#define A_TO    ROW(coord_request, to, STR, 0),
#define A_QUOTA ROW(coord_request, quota_nodes, U64, 0), ROW(coord_request, quota_bytes, U64, 0),
#define A_IF    ROW_ITEMS("if", coord_request, ifs, IFS),
#define A_THEN  ROW_ITEMS("then", coord_request, thens, TXN_OPS),
#define A_ELSE  ROW_ITEMS("else", coord_request, elses, TXN_OPS),

#define R_NONE
#define R_VERSION       ROW(coord_result, version, U64, 0),
#define R_MEMBER        ROW(coord_result, member, U32, 0),
#define R_CLUSTER       ROW(coord_result, cluster, STR, 0),
#define R_LIMITS        ROW_STRUCT(coord_result, limits, limits_fields),
#define R_SESSION_STATE ROW(coord_result, session_state, ENUM, COORD_SESSION_GONE),
#define R_SESSION       ROW(coord_result, session, U64, 0),
#define R_SECRET        ROW(coord_result, secret, SECRET, 0),
#define R_TIMEOUT       ROW(coord_result, timeout_ms, U64, 0),
#define R_PATH          ROW(coord_result, path, STR, 0),
#define R_SEQUENCE      ROW(coord_result, sequence, U64, 0),
#define R_DATA          ROW(coord_result, data, BIN_OPT, 0),
#define R_STAT          ROW_STRUCT(coord_result, stat, coord__stat_fields),
#define R_REVISION      ROW(coord_result, revision, U64, 0),
#define R_EXISTS        ROW(coord_result, exists, BOOL, 0),
#define R_MORE          ROW(coord_result, more, BOOL, 0),
#define R_GAP           ROW(coord_result, gap, BOOL, 0),
#define R_ENTRIES       ROW_LIST("entries", coord_result, entries_raw, entries_count, ENTRIES, 0, NULL),
#define R_STATUS        ROW_STRUCT(coord_result, status, status_fields),

#define R_COUNT    ROW(coord_result, count, U64, 0),
#define R_VALUE    ROW(coord_result, value, DELTA, 0),
#define R_BRANCH   ROW(coord_result, branch, ENUM, COORD_TXN_THEN),
#define R_FAILED   ROW(coord_result, failed, U64, 0),
#define R_RESULTS  ROW_ITEMS("results", coord_result, results, TXN_RESULTS),
#define R_USAGE    ROW_STRUCT(coord_result, usage, usage_fields),
#define R_SESSIONS ROW_ITEMS("sessions", coord_result, sessions, SESSIONS),

#define NAME_HELLO         "hello"
#define NAME_PING          "ping"
#define NAME_SESSION_OPEN  "session_open"
#define NAME_SESSION_CLOSE "session_close"
#define NAME_CREATE        "create"
#define NAME_GET           "get"
#define NAME_SET           "set"
#define NAME_DELETE        "delete"
#define NAME_EXISTS        "exists"
#define NAME_STAT          "stat"
#define NAME_LIST          "list"
#define NAME_SYNC          "sync"
#define NAME_WATCH         "watch"
#define NAME_UNWATCH       "unwatch"
#define NAME_STATUS        "status"
#define NAME_PARTITION     "partition"
#define NAME_INCREMENT     "increment"
#define NAME_RENAME        "rename"
#define NAME_TXN           "txn"
#define NAME_QUOTA         "quota"
#define NAME_USAGE         "usage"
#define NAME_SESSIONS      "sessions"
#define NAME_SESSION_END   "session_end"

/* --- the table --------------------------------------------------------------------------------- */

#define UNWRAP(...) __VA_ARGS__
#define X(name, number, kind, session, args, results)                                        \
    _Static_assert((number) >= 1 && (number) < COORD_OP_END, "operation numbers are dense"); \
    static const struct coord_field args_##name[] = {UNWRAP args ROW_END};                   \
    static const struct coord_field results_##name[] = {UNWRAP results ROW_END};
COORD_OPS(X)
#undef X

static const struct coord_op_row rows[COORD_OP_END] = {
#define X(name, number, kind, session, args, results)                                         \
    [number] = {NAME_##name,           COORD_KIND_##kind, (session) != 0, COUNT(args_##name), \
                COUNT(results_##name), args_##name,       results_##name},
    COORD_OPS(X)
#undef X
};

const struct coord_op_row *coord__op_row(uint64_t op)
{
    if (op >= COORD_OP_END || rows[op].name == NULL) {
        return NULL;
    }
    return &rows[op];
}

uint32_t coord__fields_count(const struct coord_field *fields)
{
    assert(fields != NULL);
    uint32_t n = 0;
    while (fields[n].kind != COORD_FK_END) {
        n++;
    }
    return n;
}

bool coord_op_in_txn(enum coord_op op)
{
    switch (op) {
    case COORD_OP_CREATE:
    case COORD_OP_SET:
    case COORD_OP_DELETE:
    case COORD_OP_INCREMENT:
    case COORD_OP_RENAME:
    case COORD_OP_GET:
    case COORD_OP_EXISTS:
    case COORD_OP_STAT:
        return true;
    default:
        return false;
    }
}

uint32_t coord__txn_args_count(const struct coord_op_row *row)
{
    uint32_t n = 0;
    while (n < row->args_count && row->args[n].offset != offsetof(struct coord_request, level)) {
        n++;
    }
    return n;
}

const char *coord_op_name(enum coord_op op)
{
    const struct coord_op_row *row = coord__op_row(op);
    return row != NULL ? row->name : NULL;
}

enum coord_op_kind coord_op_kind(enum coord_op op)
{
    const struct coord_op_row *row = coord__op_row(op);
    return row != NULL ? row->kind : (enum coord_op_kind)0;
}

bool coord_op_needs_session(enum coord_op op)
{
    const struct coord_op_row *row = coord__op_row(op);
    return row != NULL && row->needs_session;
}
