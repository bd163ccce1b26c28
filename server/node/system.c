/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system.c: /coord, where the service tells of itself to whoever can read: members, the limits in force, quotas.
 *
 *   /coord/config/cluster          the name of the ensemble
 *   /coord/config/NAME             a limit in force, in decimal; NAME as in the configuration (limits.request)
 *   /coord/members/ID              {"id": 1, "role": "voter", "client": "host:port", "peer": "host:port"}
 *   /coord/quotas/NAME             {"path": "/app", "nodes": 1000, "bytes": 0}
 *                                  NAME: the path with "%2F" for '/' and "%25" for '%'; when that has more than
 *                                  255 bytes, '%' and 16 hexadecimal digits of the path's XXH64
 *
 * It is no part of the replicated tree, but follows from what is replicated: a tree of its own, that is changed
 * whenever an entry changes what it tells. So reads of it have the level that they ask for, and its changes
 * reach watches at the revision of that entry. The addresses of members are the exception: each member tells those
 * of its own configuration. Being made anew after a restart or a snapshot, the tree has no history: its nodes have
 * revisions, versions and times 0, on all members alike.
 *
 * Leaves to others: that nobody writes there (server/machine/write.c, txn.c).
 *
 * Invariants
 *   1. What the tree holds is a function of the applied state, the applied configuration and this member's
 *      list of addresses.
 *   2. No list, count, stat or watch of "/" shows it: a client's tree has no node that the client did not make.
 */
#include "server/node/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "server/store/store.h"

#define PATH_ROOM (COORD_PATH_BYTES_MAX + 1)
/* Of the data of one node: two addresses, or a path with each byte escaped. */
#define DATA_ROOM (2u * COORD_PATH_BYTES_MAX + 128u)

static struct coord_bytes bytes_of(const char *s)
{
    return (struct coord_bytes){(const uint8_t *)s, (uint32_t)strlen(s)};
}

/* --- one node ---------------------------------------------------------------------------------- */

/* The state of other members goes on: a member without memory for its own words stops. */
static void must(int rc)
{
    NODE_ASSERT(rc == 0);
    (void)rc;
}

static void put(struct system *sys, const char *path, const char *data)
{
    struct znode *node = store_find(sys->tree, bytes_of(path));
    const struct store_condition any = {.version = COORD_VERSION_ANY};
    uint64_t sequence;
    if (node == NULL) {
        const struct store_create_args a = {.path = bytes_of(path),
                                            .data = data == NULL ? (struct coord_bytes){NULL, 0}
                                                                 : bytes_of(data),
                                            .kind = COORD_NODE_PERSISTENT,
                                            .parents = true};
        must(store_create(sys->tree, &a, &node, &sequence));
        return;
    }
    struct coord_bytes now = store_data(node);
    if (data != NULL && (now.len != strlen(data) || memcmp(now.data, data, now.len) != 0)) {
        must(store_set(sys->tree, bytes_of(path), bytes_of(data), &any, &node));
    }
}

static void drop(struct system *sys, const char *path)
{
    const struct store_condition any = {.version = COORD_VERSION_ANY};
    if (store_find(sys->tree, bytes_of(path)) != NULL) {
        must(store_delete(sys->tree, bytes_of(path), &any));
    }
}

static void begin(struct system *sys)
{
    store_begin(sys->tree, ++sys->steps, 0);
}

/* --- what it tells ----------------------------------------------------------------------------- */

static void put_limits(struct node *n)
{
    const struct machine_limits *l = machine_limits(n->machine);
    char path[PATH_ROOM];
    char value[32];
    for (uint32_t i = 0; i < MACHINE_LIMITS_COUNT; i++) {
        (void)snprintf(path, sizeof(path), "/coord/config/%s", machine_limits_name(i));
        (void)snprintf(value, sizeof(value), "%llu", (unsigned long long)machine_limits_get(l, i));
        put(&n->system, path, value);
    }
}

static const struct node_member *member_of(const struct node *n, raft_id id)
{
    for (uint32_t i = 0; i < n->o.members_count; i++) {
        if (n->o.members[i].id == id) {
            return &n->o.members[i];
        }
    }
    return NULL;
}

static void member_path(raft_id id, char out[PATH_ROOM])
{
    (void)snprintf(out, PATH_ROOM, "/coord/members/%u", id);
}

/* Copy text with what JSON wants escaped; paths and addresses hold no control characters. */
static void json_copy(char *out, size_t room, const char *text, size_t len)
{
    size_t at = 0;
    NODE_ASSERT(room > 2 * len);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            out[at++] = '\\';
        }
        out[at++] = text[i];
    }
    out[at] = '\0';
}

static void put_member(struct node *n, const struct raft_member *m)
{
    const struct node_member *known = member_of(n, m->id);
    char path[PATH_ROOM];
    char client[2 * sizeof(known->client_address)];
    char peer[2 * sizeof(known->peer_address)];
    char data[DATA_ROOM];
    const char *role = (m->roles & RAFT_LEARNER) != 0 ? "learner" : "voter";
    json_copy(client, sizeof(client), known == NULL ? "" : known->client_address,
              known == NULL ? 0 : strlen(known->client_address));
    json_copy(peer, sizeof(peer), known == NULL ? "" : known->peer_address,
              known == NULL ? 0 : strlen(known->peer_address));
    (void)snprintf(data, sizeof(data),
                   "{\"id\": %u, \"role\": \"%s\", \"client\": \"%s\", \"peer\": \"%s\"}", m->id,
                   role, client, peer);
    member_path(m->id, path);
    put(&n->system, path, data);
}

static bool contains(const struct raft_config *c, raft_id id)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->members[i].id == id) {
            return true;
        }
    }
    return false;
}

/* Those of the configuration now, instead of those of the one before. */
static void put_members(struct node *n, const struct raft_config *now)
{
    char path[PATH_ROOM];
    struct system *sys = &n->system;
    for (uint32_t i = 0; i < sys->config.count; i++) {
        if (!contains(now, sys->config.members[i].id)) {
            member_path(sys->config.members[i].id, path);
            drop(sys, path);
        }
    }
    for (uint32_t i = 0; i < now->count; i++) {
        put_member(n, &now->members[i]);
    }
    sys->config = *now;
}

/* The configuration in force where the state is. */
static void applied_config(const struct node *n, struct raft_config *ret_c)
{
    const struct raft_config_at *at = raft_config_at(n->raft, n->applied);
    if (at != NULL) {
        *ret_c = at->config;
        return;
    }
    /* It is forgotten, as newer ones stand in the log; those are applied soon. */
    memset(ret_c, 0, sizeof(*ret_c));
    for (uint32_t i = 0; i < n->st.peers_count; i++) {
        ret_c->members[ret_c->count++] =
            (struct raft_member){.id = n->st.peers[i].id, .roles = n->st.peers[i].roles};
    }
}

static void quota_path(struct coord_bytes path, char out[PATH_ROOM])
{
    char name[3 * COORD_PATH_BYTES_MAX + 1];
    size_t at = 0;
    for (uint32_t i = 0; i < path.len; i++) {
        char c = (char)path.data[i];
        if (c == '/' || c == '%') {
            memcpy(name + at, c == '/' ? "%2F" : "%25", 3);
            at += 3;
        } else {
            name[at++] = c;
        }
    }
    name[at] = '\0';
    if (at <= COORD_NAME_BYTES_MAX) {
        (void)snprintf(out, PATH_ROOM, "/coord/quotas/%.*s", COORD_NAME_BYTES_MAX, name);
    } else {
        (void)snprintf(out, PATH_ROOM, "/coord/quotas/%%%016llx",
                       (unsigned long long)XXH64(path.data, path.len, 0));
    }
}

static void put_quota(struct node *n, struct coord_bytes path)
{
    struct coord_usage usage;
    char name[PATH_ROOM];
    char escaped[2 * COORD_PATH_BYTES_MAX + 1];
    char data[DATA_ROOM];
    quota_path(path, name);
    if (!machine_quota(n->machine, path, &usage)) {
        drop(&n->system, name);
        return;
    }
    json_copy(escaped, sizeof(escaped), (const char *)path.data, path.len);
    (void)snprintf(data, sizeof(data), "{\"path\": \"%s\", \"nodes\": %llu, \"bytes\": %llu}",
                   escaped, (unsigned long long)usage.quota_nodes,
                   (unsigned long long)usage.quota_bytes);
    put(&n->system, name, data);
}

static void put_quotas(struct node *n)
{
    uint32_t count;
    const struct coord_bytes *touched = machine_quotas_touched(n->machine, &count);
    for (uint32_t i = 0; i < count; i++) {
        put_quota(n, touched[i]);
    }
}

/* --- life -------------------------------------------------------------------------------------- */

void node__system_release(struct node *n)
{
    store_destroy(n->system.tree);
    pool_destroy(n->system.pool);
    free(n->system.changes);
    n->system = (struct system){0};
}

void node__system_reset(struct node *n)
{
    struct system *sys = &n->system;
    struct raft_config config;
    node__system_release(n);
    sys->pool = node__must_alloc(pool_create());
    sys->tree = node__must_alloc(store_create_empty(sys->pool));
    begin(sys);
    put(sys, "/coord/config/cluster", n->cluster);
    put(sys, "/coord/quotas", NULL);
    put_limits(n);
    applied_config(n, &config);
    put_members(n, &config);
    put_quotas(n); /* after a load: all there are */
}

/* --- changes ----------------------------------------------------------------------------------- */

/* What changed since begin, behind `before`, as watches are told it. */
static const struct coord_change *changes(struct node *n, const struct coord_change *before,
                                          uint32_t before_count, uint32_t *ret_count)
{
    struct system *sys = &n->system;
    uint32_t count;
    const struct coord_change *mine = store_changes(sys->tree, &count);
    if (before_count + count > sys->changes_room) {
        sys->changes_room = (before_count + count) * 2;
        sys->changes =
            node__must_alloc(realloc(sys->changes, sys->changes_room * sizeof(sys->changes[0])));
    }
    if (before_count > 0) {
        memcpy(sys->changes, before, before_count * sizeof(before[0]));
    }
    for (uint32_t i = 0; i < count; i++) {
        struct coord_change *c = &sys->changes[before_count + i];
        *c = mine[i];
        c->version = 0;
        c->create_revision = 0;
    }
    *ret_count = before_count + count;
    return sys->changes;
}

void node__system_applied(struct node *n, bool limits, struct machine_outcome *o)
{
    uint32_t touched;
    (void)machine_quotas_touched(n->machine, &touched);
    if (touched == 0 && !limits) {
        return;
    }
    begin(&n->system);
    if (limits) {
        put_limits(n);
    }
    put_quotas(n);
    o->changes = changes(n, o->changes, o->changes_count, &o->changes_count);
}

void node__system_config(struct node *n, raft_index index)
{
    struct raft_config config;
    uint32_t count;
    applied_config(n, &config);
    begin(&n->system);
    put_members(n, &config);
    const struct coord_change *all = changes(n, NULL, 0, &count);
    if (count > 0) {
        watch_publish(n->hub, index, all, count);
    }
}

/* --- reads ------------------------------------------------------------------------------------- */

bool node__system_owns(const struct coord_request *q)
{
    return q->path.data != NULL && coord_path_reserved((const char *)q->path.data, q->path.len);
}

int node__system_read(struct node *n, const struct coord_request *q, struct coord_result *ret_res)
{
    return machine_read_bare(n->machine, n->system.tree, q, ret_res);
}
