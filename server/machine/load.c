/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c: the records of a saved state (format: snapshot.c) back into a state, one at a time. How they come,
 * and what becomes of the whole, is loader.c.
 *
 * Every rule that the bytes of a real state keep is checked, so that a file that was tampered with, or
 * written by a broken member, is refused here and not met later as an impossible state: order and
 * uniqueness, names and depths, kinds and what goes with them, revisions and times within those of the
 * head, counters against the children that are there, owners against the sessions.
 */
#include <assert.h>
#include <string.h>
#include <coord/error.h>
#include "server/machine/bytes.h"
#include "server/machine/load.h"
#include "server/machine/snapshot.h"
#include "server/mutant.h"

#define ANSWER_DEPTH_MAX COORD_MSGPACK_DEPTH_MAX
#define ANSWER_ITEMS_MAX 1024u
#define ERROR_MAX        63u /* of a server (error.h) */

int load_refuse(struct machine_loader *l, const char *wrong)
{
    l->wrong = wrong;
    return COORD_EPROTO;
}

/* The next len bytes. Return: NULL when there are not as many. */
static const uint8_t *take(struct machine_loader *l, size_t len)
{
    if ((size_t)(l->end - l->p) < len) {
        return NULL;
    }
    const uint8_t *at = l->p;
    l->p += len;
    return at;
}

int load_head(struct machine_loader *l)
{
    const uint8_t *h = take(l, SNAPSHOT_HEAD_BYTES);
    if (h == NULL || memcmp(h, SNAPSHOT_MAGIC, sizeof(SNAPSHOT_MAGIC)) != 0) {
        return load_refuse(l, "not a saved state");
    }
    l->version = bytes_get_u32(h + 8);
    if (l->version < SNAPSHOT_VERSION_MIN || l->version > SNAPSHOT_VERSION ||
        bytes_get_u32(h + 12) != 0) {
        return load_refuse(l, "saved by an unknown version");
    }
    l->said_bytes = bytes_get_u64(h + 16);
    if (l->version != SNAPSHOT_VERSION_MIN && l->said_bytes != 0) {
        return load_refuse(l, "the head says a length");
    }
    l->state.revision = bytes_get_u64(h + 24);
    l->state.time_ms = bytes_get_u64(h + 32);
    l->sessions = bytes_get_u64(h + 40);
    l->nodes = bytes_get_u64(h + 48);
    if (l->state.revision == UINT64_MAX) {
        return load_refuse(l, "no revision can follow");
    }
    if (l->nodes == 0 || l->nodes > l->bytes_max / SNAPSHOT_NODE_BYTES) {
        return load_refuse(l, "a number of nodes that cannot be");
    }
    machine_limits_init(&l->state.limits); /* version 1 knows none: it was made under these */
    return store_expect(l->state.store, l->nodes);
}

int load_limits(struct machine_loader *l)
{
    const uint8_t *at = take(l, MACHINE_LIMITS_BYTES);
    if (at == NULL || !machine_limits_decode(at, MACHINE_LIMITS_BYTES, &l->state.limits)) {
        return load_refuse(l, "the limits are none that can be");
    }
    return 0;
}

/* --- sessions ---------------------------------------------------------------------------------- */

int load_answer(struct machine_loader *l)
{
    struct session *s = l->session;
    const uint8_t *a = take(l, SNAPSHOT_ANSWER_BYTES);
    if (a == NULL) {
        return load_refuse(l, "the bytes end within an answer");
    }
    uint64_t number = bytes_get_u64(a);
    uint32_t error = bytes_get_u32(a + 8);
    struct coord_bytes body = {NULL, bytes_get_u32(a + 12)};
    body.data = take(l, body.len);
    uint64_t last =
        s->answers.count == 0 ? s->acked : answers_at(&s->answers, s->answers.count - 1)->number;
    if (body.data == NULL) {
        return load_refuse(l, "the bytes end within an answer");
    }
    if (number <= last) {
        return load_refuse(l, "the numbers of answers do not ascend from what is acknowledged");
    }
    if (error > ERROR_MAX || (error == 0) != (body.len > 0)) {
        return load_refuse(l, "an answer is neither a result nor an error");
    }
    if (error == 0 &&
        coord_msgpack_scan(body.data, body.len, ANSWER_DEPTH_MAX, ANSWER_ITEMS_MAX) != 0) {
        return load_refuse(l, "the body of an answer is not well formed");
    }
    return SERVER_BUG(2) ? 0 : answers_put(&s->answers, l->state.pool, number, -(int)error, body);
}

int load_session(struct machine_loader *l)
{
    const uint8_t *h = take(l, SNAPSHOT_SESSION_BYTES);
    if (h == NULL) {
        return load_refuse(l, "the bytes end within a session");
    }
    uint64_t id = bytes_get_u64(h);
    uint64_t epoch = bytes_get_u64(h + 8);
    uint64_t timeout_ms = bytes_get_u64(h + 16);
    uint64_t ephemerals = bytes_get_u64(h + 48);
    if (id <= l->session_last || epoch < id || epoch > l->state.revision) {
        return load_refuse(l, "ids or epochs of sessions are out of order");
    }
    if (timeout_ms >= STORE_COUNTER_MAX || ephemerals >= l->nodes) {
        return load_refuse(l, "a number of a session is out of range");
    }
    struct session *s;
    int rc = sessions_open(l->state.sessions, id, h + 32, timeout_ms, &s);
    if (rc != 0) {
        return rc;
    }
    s->epoch = epoch;
    s->acked = bytes_get_u64(h + 24);
    l->owned += ephemerals;
    s->owned.expected = ephemerals;
    l->session = s;
    l->session_last = id;
    l->answers = bytes_get_u32(h + 56);
    return 0;
}

/* --- nodes ------------------------------------------------------------------------------------- */

/* The numbers of a node, which follow each other in the record. */
static int load_stat(struct machine_loader *l, const uint8_t *rec, struct store_restore_args *a)
{
    struct coord_node_stat *st = &a->stat;
    st->kind = (enum coord_node_kind)rec[2];
    st->create_revision = bytes_get_u64(rec + 9);
    st->modify_revision = bytes_get_u64(rec + 17);
    st->version = bytes_get_u64(rec + 25);
    st->created_ms = bytes_get_u64(rec + 33);
    st->modified_ms = bytes_get_u64(rec + 41);
    st->child_revision = st->create_revision;
    if (rec[2] > COORD_NODE_TTL || (rec[3] & ~SNAPSHOT_FLAGS_ALL) != 0) {
        return load_refuse(l, "a node of unknown kind");
    }
    if (st->create_revision > st->modify_revision || st->modify_revision > l->state.revision ||
        st->created_ms > st->modified_ms || st->modified_ms > l->state.time_ms ||
        st->version >= STORE_COUNTER_MAX) {
        return load_refuse(l, "a number of a node is out of range");
    }
    if (st->version == 0 && st->create_revision != st->modify_revision) {
        return load_refuse(l, "a node was modified but never set");
    }
    return 0;
}

static int load_counters(struct machine_loader *l, const uint8_t *rec, struct store_restore_args *a)
{
    if ((rec[3] & SNAPSHOT_HAD_CHILD) == 0) {
        return 0;
    }
    const uint8_t *x = take(l, 24);
    if (x == NULL) {
        return load_refuse(l, "the bytes end within a node");
    }
    a->sequence = bytes_get_u64(x);
    a->stat.child_version = bytes_get_u64(x + 8);
    a->stat.child_revision = bytes_get_u64(x + 16);
    if (a->stat.kind == COORD_NODE_EPHEMERAL) {
        return load_refuse(l, "an ephemeral had a child");
    }
    if (a->sequence == 0 || a->sequence > STORE_COUNTER_MAX ||
        a->stat.child_version < a->sequence || a->stat.child_version > 2 * a->sequence ||
        a->stat.child_revision < a->stat.create_revision ||
        a->stat.child_revision > l->state.revision) {
        return load_refuse(l, "a counter of children is out of range");
    }
    return 0;
}

/* The owner or the time to live. */
static int load_kind(struct machine_loader *l, struct store_restore_args *a)
{
    if (a->stat.kind != COORD_NODE_EPHEMERAL && a->stat.kind != COORD_NODE_TTL) {
        return 0;
    }
    const uint8_t *x = take(l, 8);
    if (x == NULL) {
        return load_refuse(l, "the bytes end within a node");
    }
    uint64_t value = bytes_get_u64(x);
    if (a->stat.kind == COORD_NODE_TTL) {
        a->stat.ttl_ms = value;
        return value > 0 && value < STORE_COUNTER_MAX ? 0 : load_refuse(l, "a ttl is out of range");
    }
    struct session *s = sessions_find(l->state.sessions, value);
    if (s == NULL || s->owned.expected == 0 || a->stat.create_revision <= s->id) {
        return load_refuse(l, "an ephemeral whose session does not have it");
    }
    s->owned.expected--;
    l->owned--;
    a->owned = &s->owned;
    return 0;
}

static int load_quota(struct machine_loader *l, const uint8_t *rec, struct store_restore_args *a)
{
    if ((rec[3] & SNAPSHOT_HAS_QUOTA) == 0) {
        return 0;
    }
    const uint8_t *x = take(l, 16);
    if (x == NULL) {
        return load_refuse(l, "the bytes end within a node");
    }
    a->quota_nodes = bytes_get_u64(x);
    a->quota_bytes = bytes_get_u64(x + 8);
    if ((a->quota_nodes == 0 && a->quota_bytes == 0) || a->quota_nodes >= STORE_COUNTER_MAX ||
        a->quota_bytes >= STORE_COUNTER_MAX) {
        return load_refuse(l, "a quota is out of range");
    }
    return 0;
}

/* Where the node stands: its depth, name and path. */
static int load_place(struct machine_loader *l, const uint8_t *rec, bool first, uint32_t *ret_depth,
                      struct store_restore_args *a)
{
    uint32_t depth = bytes_get_u16(rec);
    struct coord_bytes name = {NULL, rec[4]};
    name.data = take(l, name.len);
    a->data.len = bytes_get_u32(rec + 5);
    a->data.data = take(l, name.data == NULL ? SIZE_MAX : a->data.len);
    if (a->data.data == NULL) {
        return load_refuse(l, "the bytes end within a node");
    }
    if ((rec[3] & SNAPSHOT_HAS_DATA) == 0) {
        if (a->data.len != 0) {
            return load_refuse(l, "absent data has a length");
        }
        a->data.data = NULL;
    }
    *ret_depth = depth;
    if (first) {
        a->path = (struct coord_bytes){(const uint8_t *)"/", 1};
        return depth == 0 && name.len == 0 && a->stat.kind == COORD_NODE_PERSISTENT &&
                       a->stat.create_revision == 0 && a->stat.created_ms == 0
                   ? 0
                   : load_refuse(l, "the first node is not \"/\"");
    }
    if (depth == 0 || depth > l->depth + 1) {
        return load_refuse(l, "a node stands below none");
    }
    const struct level *up = &l->level[depth - 1];
    char *at = l->path + up->path_bytes;
    at[0] = '/';
    memmove(at + 1, name.data, name.len); /* gcc makes a slow instruction of a short memcpy */
    a->path = (struct coord_bytes){(const uint8_t *)l->path, up->path_bytes + 1 + name.len};
    if (name.len == 0 || a->path.len > COORD_PATH_BYTES_MAX ||
        coord_path_check(at, (size_t)name.len + 1, NULL, 0) != 0 ||
        memchr(name.data, '/', name.len) != NULL) {
        return load_refuse(l, "a name is not valid");
    }
    if (up->kind == COORD_NODE_EPHEMERAL) {
        return load_refuse(l, "an ephemeral has a child");
    }
    if (a->stat.create_revision == 0 || a->stat.create_revision < up->create_revision ||
        a->stat.create_revision > up->child_revision) {
        return load_refuse(
            l, "a node is older than its parent or newer than the parent's last change");
    }
    if (up->last_child != NULL) {
        struct coord_bytes last = store_name(up->last_child);
        if (children_name_compare((const char *)last.data, last.len, (const char *)name.data,
                                  name.len) >= 0) {
            return load_refuse(l, "nodes are not in path order");
        }
    }
    a->parent = up->node;
    return 0;
}

/* No more children follow for the nodes from this depth on. */
static int levels_close(struct machine_loader *l, uint32_t depth)
{
    for (uint32_t i = depth; i <= l->depth; i++) {
        if (store_children(l->level[i].node) != l->level[i].children) {
            return load_refuse(l, "creates and deletes do not explain the children");
        }
    }
    return 0;
}

int load_node(struct machine_loader *l, bool first)
{
    const uint8_t *rec = take(l, SNAPSHOT_NODE_BYTES);
    if (rec == NULL) {
        return load_refuse(l, "the bytes end within a node");
    }
    struct store_restore_args a = {0};
    uint32_t depth = 0;
    int rc = load_stat(l, rec, &a);
    if (rc == 0) {
        rc = load_counters(l, rec, &a);
    }
    if (rc == 0) {
        rc = load_kind(l, &a);
    }
    if (rc == 0) {
        rc = load_quota(l, rec, &a);
    }
    if (rc == 0) {
        rc = load_place(l, rec, first, &depth, &a);
    }
    if (rc == 0 && !first) {
        rc = levels_close(l, depth);
    }
    struct znode *node = NULL;
    if (rc == 0) {
        rc = store_restore(l->state.store, &a, &node);
    }
    if (rc != 0) {
        return rc;
    }
    if (!first) {
        l->level[depth - 1].last_child = node;
    }
    l->level[depth] = (struct level){
        .node = node,
        .children = 2 * a.sequence - a.stat.child_version,
        .create_revision = a.stat.create_revision,
        .child_revision = a.stat.child_revision,
        .path_bytes = first ? 0 : a.path.len,
        .kind = a.stat.kind,
    };
    l->depth = depth;
    return 0;
}

int load_close(struct machine_loader *l)
{
    int rc = levels_close(l, 0);
    if (rc == 0 && l->owned != 0) {
        rc = load_refuse(l, "a session owns nodes that are not there");
    }
    return rc;
}
