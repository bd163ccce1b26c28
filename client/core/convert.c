/* SPDX-License-Identifier: Apache-2.0 */
/*
 * convert.c: see convert.h. The public header repeats the numbers of the protocol where both must
 * agree; the assertions below hold them together, so that no value needs a table.
 *
 * Leaves to others: what an answer means (recv.c).
 * Thread: any; the arena's owner.
 */
#include "client/core/convert.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

_Static_assert((int)COORD_EPHEMERAL == (int)COORD_F_EPHEMERAL, "create flags");
_Static_assert((int)COORD_SEQUENTIAL == (int)COORD_F_SEQUENTIAL, "create flags");
_Static_assert((int)COORD_PARENTS == (int)COORD_F_PARENTS, "create flags");
_Static_assert((int)COORD_CONTAINER == (int)COORD_F_CONTAINER, "create flags");
_Static_assert((int)COORD_TTL == (int)COORD_F_TTL, "create flags");
_Static_assert((int)COORD_WITH_STATS == (int)COORD_LIST_STATS, "list flags");
_Static_assert((int)COORD_WITH_DATA == (int)COORD_LIST_DATA, "list flags");
_Static_assert((int)COORD_RECURSIVE == (int)COORD_LIST_RECURSIVE, "list flags");
_Static_assert((int)COORD_COUNT_ONLY == (int)COORD_LIST_COUNT, "list flags");
_Static_assert((int)COORD_WATCH_NODE == (int)COORD_DEPTH_NODE, "depths");
_Static_assert((int)COORD_WATCH_CHILDREN == (int)COORD_DEPTH_CHILDREN, "depths");
_Static_assert((int)COORD_WATCH_SUBTREE == (int)COORD_DEPTH_SUBTREE, "depths");
_Static_assert((int)COORD_CREATED == (int)COORD_CHANGE_CREATED, "kinds of change");
_Static_assert((int)COORD_CHANGED == (int)COORD_CHANGE_CHANGED, "kinds of change");
_Static_assert((int)COORD_DELETED == (int)COORD_CHANGE_DELETED, "kinds of change");
_Static_assert((int)COORD_STAT_PERSISTENT == (int)COORD_NODE_PERSISTENT, "kinds of node");
_Static_assert((int)COORD_STAT_EPHEMERAL == (int)COORD_NODE_EPHEMERAL, "kinds of node");
_Static_assert((int)COORD_STAT_CONTAINER == (int)COORD_NODE_CONTAINER, "kinds of node");
_Static_assert((int)COORD_STAT_TTL == (int)COORD_NODE_TTL, "kinds of node");
_Static_assert((int)COORD_LINEARIZABLE == (int)COORD_LEVEL_LINEARIZABLE + 1, "levels");
_Static_assert((int)COORD_LOCAL == (int)COORD_LEVEL_LOCAL + 1, "levels");
_Static_assert(COORD_STATUS_MEMBERS_MAX == COORD_MEMBERS_MAX, "members");
_Static_assert(COORD_PATH_MAX == COORD_PATH_BYTES_MAX, "paths");

enum coord_level coord__convert_level(enum coord_consistency level)
{
    assert(level >= COORD_LINEARIZABLE && level <= COORD_LOCAL);
    return (enum coord_level)(level - 1);
}

enum coord_consistency coord__convert_consistency(enum coord_level level)
{
    assert(level <= COORD_LEVEL_LOCAL);
    return (enum coord_consistency)(level + 1);
}

/* Text that ends with a NUL; "" for absent bytes. */
static const char *text_of(struct coord__arena *a, struct coord_bytes b)
{
    return b.data == NULL || b.len == 0 ? "" : coord__arena_copy(a, b.data, b.len);
}

/* A path of the servers as the user knows it. */
static const char *path_of(struct coord__arena *a, struct coord_bytes b, size_t prefix_bytes)
{
    if (b.len <= prefix_bytes) {
        return "/";
    }
    return coord__arena_copy(a, b.data + prefix_bytes, b.len - prefix_bytes);
}

/* Return: false when memory is out. Absent bytes stay NULL. */
static bool data_of(struct coord__arena *a, struct coord_bytes b, const void **ret_data,
                    size_t *ret_bytes)
{
    if (b.data == NULL) {
        return true;
    }
    *ret_data = coord__arena_copy(a, b.data, b.len);
    *ret_bytes = b.len;
    return *ret_data != NULL;
}

static void stat_of(const struct coord_node_stat *from, struct coord_stat *to)
{
    to->create_revision = from->create_revision;
    to->modify_revision = from->modify_revision;
    to->child_revision = from->child_revision;
    to->version = from->version;
    to->child_version = from->child_version;
    to->acl_version = from->acl_version;
    to->created_ms = from->created_ms;
    to->modified_ms = from->modified_ms;
    to->kind = (enum coord_stat_kind)from->kind;
    to->owner = from->owner;
    to->ttl_ms = from->ttl_ms;
    to->data_bytes = from->data_bytes;
    to->children = from->children;
}

static bool entries_of(const struct coord_result *res, struct coord__arena *a,
                       struct coord_reply *reply)
{
    struct coord_bytes cursor = res->entries_raw;
    struct coord_list_entry from;
    if (res->entries_count == 0) {
        return true;
    }
    struct coord_entry *to = coord__arena_alloc(a, res->entries_count * sizeof(*to));
    if (to == NULL) {
        return false;
    }
    size_t count = 0;
    while (count < res->entries_count && coord_list_next(&cursor, &from) == 1) {
        struct coord_entry *e = &to[count++];
        e->name = text_of(a, from.name);
        e->has_stat = from.has_stat;
        e->has_data = from.has_data;
        stat_of(&from.stat, &e->stat);
        if (e->name == NULL || !data_of(a, from.data, &e->data, &e->data_bytes)) {
            return false;
        }
    }
    reply->entries = to;
    reply->entries_count = count;
    return true;
}

static bool sessions_of(const struct coord_result *res, struct coord__arena *a,
                        struct coord_reply *reply)
{
    struct coord_bytes cursor = res->sessions.raw;
    struct coord_session_info from;
    if (res->sessions.count == 0) {
        return true;
    }
    struct coord_session_entry *to = coord__arena_alloc(a, res->sessions.count * sizeof(*to));
    if (to == NULL) {
        return false;
    }
    size_t count = 0;
    while (count < res->sessions.count && coord_session_next(&cursor, &from) == 1) {
        struct coord_session_entry *s = &to[count++];
        s->session = from.session;
        s->attached_revision = from.epoch;
        s->timeout_ms = from.timeout_ms;
        s->ephemerals = from.ephemerals;
        s->member = from.member;
        s->idle_ms = from.idle_ms;
        s->address = from.address.data == NULL ? NULL : text_of(a, from.address);
        if (from.address.data != NULL && s->address == NULL) {
            return false;
        }
    }
    reply->sessions = to;
    reply->sessions_count = count;
    return true;
}

static bool members_of(const struct coord_status *from, struct coord__arena *a,
                       struct coord_server_status *to)
{
    to->members_count = from->members_count;
    for (uint32_t i = 0; i < from->members_count; i++) {
        to->members[i].id = from->members[i].id;
        to->members[i].reachable = from->members[i].reachable;
        to->members[i].match = from->members[i].match;
        to->members[i].client_address = text_of(a, from->members[i].client_address);
        to->members[i].peer_address = text_of(a, from->members[i].peer_address);
        if (to->members[i].client_address == NULL || to->members[i].peer_address == NULL) {
            return false;
        }
    }
    return true;
}

static bool status_of(const struct coord_status *from, struct coord__arena *a,
                      struct coord_reply *reply)
{
    struct coord_server_status *to = coord__arena_alloc(a, sizeof(*to));
    if (to == NULL) {
        return false;
    }
    to->member = from->member;
    to->role = from->role;
    to->term = from->term;
    to->leader = from->leader;
    to->commit = from->commit;
    to->applied = from->applied;
    to->snapshot = from->snapshot;
    to->log_first = from->log_first;
    to->log_last = from->log_last;
    to->needed = from->needed;
    to->reachable = from->reachable;
    to->no_quorum_ms = from->no_quorum_ms;
    to->sessions = from->sessions;
    to->nodes = from->nodes;
    to->watches = from->watches;
    to->connections = from->connections;
    to->uptime_ms = from->uptime_ms;
    to->store_bytes = from->store_bytes;
    to->limits_differ = from->limits_differ;
    to->lease_rounds = from->lease_rounds;
    to->lease = from->lease;
    to->lab = from->lab;
    to->version = text_of(a, from->version);
    to->cluster = text_of(a, from->cluster);
    to->fault = from->fault.data == NULL ? NULL : text_of(a, from->fault);
    reply->status = to;
    bool whole = to->version != NULL && to->cluster != NULL &&
                 (from->fault.data == NULL || to->fault != NULL);
    return whole && members_of(from, a, to);
}

static bool no_quorum_of(const struct coord_no_quorum *from, struct coord__arena *a,
                         struct coord_reply *reply)
{
    struct coord_quorum_detail *to = coord__arena_alloc(a, sizeof(*to));
    if (to == NULL) {
        return false;
    }
    to->reachable_count = from->reachable_count;
    memcpy(to->reachable, from->reachable, from->reachable_count * sizeof(to->reachable[0]));
    to->needed = from->needed;
    to->since_ms = from->since_ms;
    to->term = from->term;
    to->levels = from->levels << 1; /* COORD_LINEARIZABLE is 1 where the protocol's level is 0 */
    reply->no_quorum = to;
    return true;
}

static void receipt_of(const struct coord_receipt *from, struct coord_reply *reply)
{
    reply->has_receipt = true;
    reply->receipt.member = from->member;
    reply->receipt.role = from->role;
    reply->receipt.term = from->term;
    reply->receipt.revision = from->revision;
    reply->receipt.age_ms = from->age_ms;
    reply->receipt.level = coord__convert_consistency(from->level);
    reply->revision = from->revision;
}

/* --- transactions ------------------------------------------------------------------------------ */

/* One operation q of a transaction and what was answered. Return: false when memory is out. */
static bool txn_result_of(const struct coord_request *q, const struct coord_result *res,
                          size_t prefix_bytes, struct coord__arena *a, struct coord_txn_result *to)
{
    struct coord_bytes path = q->op == COORD_OP_RENAME ? q->to : q->path;
    bool has_stat = q->op != COORD_OP_DELETE && q->op != COORD_OP_EXISTS;
    to->operation = coord_op_name(q->op);
    to->error = res->error;
    to->path = path_of(a, res->path.data != NULL ? res->path : path, prefix_bytes);
    to->sequence = res->sequence;
    to->exists = res->exists;
    to->value = res->value;
    to->count = res->count;
    to->has_stat = has_stat && res->error == 0;
    stat_of(&res->stat, &to->stat);
    return to->path != NULL && data_of(a, res->data, &to->data, &to->data_bytes);
}

/* The operations of the branch that was taken. */
static const struct coord_items *taken(const struct coord__out *out)
{
    const struct coord_request *q = &out->request->q;
    return out->result->branch == COORD_TXN_THEN ? &q->thens : &q->elses;
}

static bool txn_of(const struct coord__out *out, struct coord__arena *a, struct coord_reply *reply)
{
    const struct coord_result *res = out->result;
    const struct coord_items *ops = taken(out);
    struct coord_bytes asked = ops->raw;
    struct coord_bytes told = res->results.raw;
    struct coord_result one;
    struct coord_request q;
    enum coord_op op;
    reply->path = "";
    reply->revision = res->revision;
    reply->branch = res->branch == COORD_TXN_THEN ? COORD_THEN : COORD_ELSE;
    reply->failed = (size_t)res->failed;
    if (ops->count == 0) {
        return true;
    }
    struct coord_txn_result *to = coord__arena_alloc(a, ops->count * sizeof(*to));
    if (to == NULL) {
        return false;
    }
    size_t count = 0;
    while (count < ops->count && coord_txn_op_next(&asked, &q) == 1 &&
           coord_txn_result_next(&told, &op, &one) == 1) {
        if (!txn_result_of(&q, &one, out->request->prefix_bytes, a, &to[count++])) {
            return false;
        }
    }
    reply->results = to;
    reply->results_count = count;
    return true;
}

/* "operation 2 of 3 (set /a): no such node" */
static const char *txn_error_text(const struct coord__out *out, struct coord__arena *a)
{
    const struct coord_items *ops = taken(out);
    struct coord_bytes cursor = ops->raw;
    struct coord_request q = {.op = COORD_OP_TXN};
    for (uint64_t i = 0; i < out->result->failed && coord_txn_op_next(&cursor, &q) == 1; i++) {
    }
    const char *path = path_of(a, q.path, out->request->prefix_bytes);
    char text[COORD_PATH_MAX + 160];
    if (path == NULL) {
        return NULL;
    }
    int n = snprintf(text, sizeof(text), "operation %" PRIu64 " of %" PRIu32 " (%s %s): %s",
                     out->result->failed, ops->count, coord_op_name(q.op), path, out->text);
    assert(n > 0 && (size_t)n < sizeof(text));
    return coord__arena_copy(a, text, (size_t)n);
}

/* --- replies ----------------------------------------------------------------------------------- */

static void usage_of(const struct coord_usage *from, struct coord_reply *reply)
{
    reply->has_usage = true;
    reply->usage.nodes = from->nodes;
    reply->usage.bytes = from->bytes;
    reply->usage.quota_nodes = from->quota_nodes;
    reply->usage.quota_bytes = from->quota_bytes;
}

/* What the operation answers beside the receipt. Return: false when memory is out. */
static bool result_of(const struct coord__out *out, struct coord__arena *a,
                      struct coord_reply *reply)
{
    const struct coord_result *res = out->result;
    switch (out->request->q.op) {
    case COORD_OP_CREATE:
        reply->path = path_of(a, res->path, out->request->prefix_bytes);
        reply->sequence = res->sequence;
        reply->revision = res->stat.create_revision;
        break;
    case COORD_OP_SET:
    case COORD_OP_INCREMENT:
        reply->revision = res->stat.modify_revision;
        reply->value = res->value;
        break;
    case COORD_OP_RENAME:
        reply->path = path_of(a, out->request->q.to, out->request->prefix_bytes);
        reply->revision = res->stat.create_revision;
        break;
    case COORD_OP_DELETE:
    case COORD_OP_SYNC:
    case COORD_OP_SESSION_END:
        reply->revision = res->revision;
        reply->count = res->count;
        return true;
    case COORD_OP_QUOTA:
    case COORD_OP_USAGE:
        usage_of(&res->usage, reply);
        return true;
    case COORD_OP_TXN:
        return txn_of(out, a, reply);
    case COORD_OP_SESSIONS:
        reply->more = res->more;
        reply->count = res->count;
        return sessions_of(res, a, reply) && entries_of(res, a, reply);
    case COORD_OP_EXISTS:
        reply->exists = res->exists;
        return true;
    case COORD_OP_STATUS:
        return status_of(&res->status, a, reply);
    case COORD_OP_GET:
    case COORD_OP_STAT:
    case COORD_OP_LIST:
        break;
    default:
        return true;
    }
    reply->has_stat = true;
    stat_of(&res->stat, &reply->stat);
    reply->more = res->more;
    reply->count = res->count;
    return reply->path != NULL && data_of(a, res->data, &reply->data, &reply->data_bytes) &&
           entries_of(res, a, reply);
}

/* The server's own words about an error, else the table's. */
static const char *error_text(const struct coord__out *out, struct coord__arena *a)
{
    const struct coord_result *res = out->result;
    if (out->request->decided) {
        return txn_error_text(out, a);
    }
    if (res != NULL && res->error == out->error && res->text.len > 0) {
        return text_of(a, res->text);
    }
    return coord__arena_copy(a, out->text, strlen(out->text));
}

void coord__convert_reply_bare(const struct coord__out *out, struct coord_reply *ret_reply)
{
    memset(ret_reply, 0, sizeof(*ret_reply));
    ret_reply->request = out->request->id;
    ret_reply->error = out->error != 0 ? out->error : COORD_ENOMEM;
    ret_reply->outcome = out->outcome;
    ret_reply->text = coord_strerror(ret_reply->error);
    ret_reply->path = "";
    if (out->result != NULL) {
        receipt_of(&out->result->receipt, ret_reply);
    }
}

struct coord_reply *coord__convert_reply(const struct coord__out *out, struct coord__arena *a)
{
    assert(out->kind == COORD__OUT_REPLY);
    const struct coord__request *r = out->request;
    struct coord_reply *reply = coord__arena_alloc(a, sizeof(*reply));
    if (reply == NULL) {
        return NULL;
    }
    reply->request = r->id;
    reply->error = out->error;
    reply->outcome = out->outcome;
    reply->text = out->error == 0 ? "" : error_text(out, a);
    reply->path = r->q.path.data == NULL ? "" : path_of(a, r->q.path, r->prefix_bytes);
    if (out->result != NULL) {
        receipt_of(&out->result->receipt, reply);
    }
    bool whole = reply->text != NULL && reply->path != NULL;
    if (whole && out->no_quorum != NULL) {
        whole = no_quorum_of(out->no_quorum, a, reply);
    }
    bool answered = out->error == 0 || r->decided;
    if (whole && answered && out->result != NULL && out->result->error == 0) {
        whole = result_of(out, a, reply);
    }
    return whole ? reply : NULL;
}

bool coord__convert_event(const struct coord__out *out, struct coord__arena *a,
                          struct coord_watch_event *ret_event)
{
    struct coord_bytes cursor = out->changes;
    struct coord_change from;
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->watch = out->watch->id;
    ret_event->state = out->event;
    ret_event->revision = out->revision;
    ret_event->error = out->error;
    if (out->event != COORD_WATCH_CHANGES || out->changes_count == 0) {
        return true;
    }
    struct coord_watch_change *to = coord__arena_alloc(a, out->changes_count * sizeof(*to));
    if (to == NULL) {
        return false;
    }
    size_t count = 0;
    while (count < out->changes_count && coord_change_next(&cursor, &from) == 1) {
        struct coord_watch_change *ch = &to[count++];
        ch->kind = (uint32_t)from.kind;
        ch->path = path_of(a, from.path, out->watch->prefix_bytes);
        ch->version = from.version;
        ch->create_revision = from.create_revision;
        ch->has_value = from.has_value;
        ch->has_previous = from.has_previous;
        if (ch->path == NULL || !data_of(a, from.value, &ch->value, &ch->value_bytes) ||
            !data_of(a, from.previous, &ch->previous, &ch->previous_bytes)) {
            return false;
        }
    }
    ret_event->changes = to;
    ret_event->changes_count = count;
    return true;
}
