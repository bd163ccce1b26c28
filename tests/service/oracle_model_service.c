/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_model_service.c: what the service tells of itself (M3): the list of sessions and what they own, and the
 * tree below /coord. Both follow from the entries up to the revision of the answer; what does not (who a session
 * is attached to, addresses of members) is not judged.
 */
#include "tests/service/oracle_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ULL(x)    ((unsigned long long)(x))
#define NAME_ROOM (3 * COORD_PATH_BYTES_MAX + 1)

/* --- sessions ------------------------------------------------------------------------------------- */

static bool is_open(const struct oracle_session *s, uint64_t revision)
{
    return s->opened <= revision && (s->ended == 0 || s->ended > revision);
}

static uint64_t epoch_at(const struct oracle_session *s, uint64_t revision)
{
    uint64_t epoch = s->opened;
    for (uint32_t i = 0; i < s->epochs_count && s->epochs[i] <= revision; i++) {
        epoch = s->epochs[i];
    }
    return epoch;
}

static bool owns(const struct oracle_node *n, uint64_t session, uint64_t revision)
{
    const struct oracle_version *v = oracle__version(n, revision);
    return v != NULL && v->stat.owner == session;
}

static uint64_t owned_count(const struct oracle *o, uint64_t session, uint64_t revision)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < o->tree.count; i++) {
        count += owns(o->tree.sorted[i], session, revision);
    }
    return count;
}

static const char *info_difference(const struct oracle *o, const struct oracle_session *s,
                                   uint64_t revision, const struct coord_session_info *got)
{
    if (got->session != s->id) {
        return got->session < s->id ? "a session that is not open" : "a session that is missing";
    }
    if (got->timeout_ms != s->timeout_ms) {
        return "a timeout";
    }
    if (got->epoch != epoch_at(s, revision)) {
        return "an attachment";
    }
    return got->ephemerals != owned_count(o, s->id, revision) ? "how many nodes one owns" : NULL;
}

/* Ids grow with the revision, and stand here in the order of opening. */
static const char *sessions_difference(const struct oracle *o, const struct coord_request *q,
                                       uint64_t revision, const struct coord_result *got)
{
    struct coord_bytes cursor = got->sessions.raw;
    struct coord_session_info info;
    uint64_t all = 0;
    uint64_t told = 0;
    bool left = false;
    for (uint32_t i = 0; i < o->sessions_count; i++) {
        const struct oracle_session *s = o->sessions[i];
        all += is_open(s, revision);
        if (!is_open(s, revision) || s->id <= q->session || left) {
            continue;
        }
        if (coord_session_next(&cursor, &info) != 1) {
            left = true;
            continue;
        }
        const char *why = info_difference(o, s, revision, &info);
        if (why != NULL) {
            return why;
        }
        told++;
    }
    if (coord_session_next(&cursor, &info) == 1) {
        return "a session that is not open";
    }
    if (got->more != left || (q->limit != 0 && told > q->limit)) {
        return "the end of the page";
    }
    if (left && (q->limit == 0 || told < q->limit)) {
        return "a session that is missing";
    }
    return got->count != all ? "how many there are" : NULL;
}

static const char *owned_difference(const struct oracle *o, const struct coord_request *q,
                                    uint64_t revision, const struct coord_result *got)
{
    const struct oracle_session *s = oracle__session((struct oracle *)(uintptr_t)o, q->session);
    struct coord_bytes cursor = got->entries_raw;
    struct coord_bytes raw = got->sessions.raw;
    struct coord_session_info info;
    struct coord_list_entry e;
    bool left = false;
    if (coord_session_next(&raw, &info) != 1) {
        return "the session itself";
    }
    const char *why = info_difference(o, s, revision, &info);
    for (uint32_t i = 0; i < o->tree.count && why == NULL && !left; i++) {
        const struct oracle_node *n = o->tree.sorted[i];
        if (!owns(n, q->session, revision) ||
            (q->after.len > 0 && !oracle__is_behind(n->path, q->after))) {
            continue;
        }
        left = coord_list_next(&cursor, &e) != 1;
        why = !left && !oracle__same(e.name, n->path) ? "a path" : NULL;
    }
    if (why == NULL && coord_list_next(&cursor, &e) == 1) {
        why = "a path too many";
    }
    if (why == NULL && got->more != left) {
        why = "the end of the page";
    }
    return why != NULL || got->count == owned_count(o, q->session, revision) ? why
                                                                             : "how many paths";
}

const char *oracle__sessions_judge(struct oracle *o, const struct oracle_pending *p,
                                   const struct coord_result *got)
{
    const uint64_t revision = got->receipt.revision;
    const bool one = (p->q.flags & COORD_SESSIONS_ONE) != 0;
    const struct oracle_session *s = one ? oracle__session(o, p->q.session) : NULL;
    const bool there = s != NULL && is_open(s, revision);
    const char *why = NULL;
    if (got->error != 0 && got->error != COORD_EGONE) {
        return NULL;
    }
    o->counts.services++;
    if (one && (got->error == 0) != there) {
        why = there ? "that it is gone" : "that it is open";
    } else if (got->error == 0) {
        why = one ? owned_difference(o, &p->q, revision, got)
                  : sessions_difference(o, &p->q, revision, got);
    }
    return why == NULL
               ? NULL
               : oracle__fail(
                     o, "M3: call %llu (sessions %llu) at revision %llu: %s is not the model's",
                     ULL(p->c.call), ULL(p->q.session), ULL(revision), why);
}

/* --- /coord ---------------------------------------------------------------------------------------- */

static const char *const folders[] = {"/coord", "/coord/config", "/coord/members", "/coord/quotas"};

struct limit_row {
    const char *name;
    uint64_t value;
};

#define LIMIT_ROWS 12

static void limit_rows(const struct oracle_limits *l, struct limit_row out[LIMIT_ROWS])
{
    const struct limit_row rows[LIMIT_ROWS] = {
        {"limits.request", l->data_bytes},        {"sessions.min", l->session_min_ms},
        {"sessions.max", l->session_max_ms},      {"limits.sessions", l->sessions},
        {"limits.answers", l->answers},           {"limits.answers_bytes", l->answers_bytes},
        {"limits.operations", l->txn_operations}, {"limits.subtree", l->subtree_nodes},
        {"limits.list_entries", l->list_entries}, {"limits.list_bytes", l->list_bytes},
        {"limits.frame", l->frame_bytes},         {"limits.store", l->store_bytes}};
    memcpy(out, rows, sizeof(rows));
}

/* The name of a quota as a path; false: it is none, or too long to be told from its name. */
static bool quota_path(const char *name, char *out)
{
    size_t at = 0;
    for (const char *c = name; *c != '\0'; c++) {
        if (*c != '%') {
            out[at++] = *c;
        } else if (strncmp(c, "%2F", 3) == 0 || strncmp(c, "%25", 3) == 0) {
            out[at++] = c[2] == 'F' ? '/' : '%';
            c += 2;
        } else {
            return false;
        }
    }
    out[at] = '\0';
    return at > 0 && out[0] == '/';
}

static bool has_quota(const struct oracle_version *v)
{
    return v != NULL && (v->quota_nodes != 0 || v->quota_bytes != 0);
}

struct service_node {
    bool known;  /* the model says */
    bool exists; /* then */
    bool starts; /* data is only the beginning */
    char data[NAME_ROOM + 100];
};

static void config_at(const struct oracle *o, const char *name, uint64_t revision,
                      struct service_node *n)
{
    struct limit_row rows[LIMIT_ROWS];
    limit_rows(oracle__limits_at(o, revision), rows);
    if (strcmp(name, "cluster") == 0) {
        n->exists = true;
        n->starts = true; /* any name */
        return;
    }
    for (int i = 0; i < LIMIT_ROWS; i++) {
        if (strcmp(name, rows[i].name) == 0) {
            n->exists = true;
            (void)snprintf(n->data, sizeof(n->data), "%" PRIu64, rows[i].value);
        }
    }
}

static void member_at(const struct oracle *o, const char *name, struct service_node *n)
{
    char *end = NULL;
    unsigned long id = strtoul(name, &end, 10);
    n->known = o->options.members != 0;
    n->exists = *end == '\0' && name[0] != '0' && id >= 1 && id <= o->options.members;
    n->starts = true;
    (void)snprintf(n->data, sizeof(n->data), "{\"id\": %lu, \"role\": \"voter\", \"client\": \"",
                   id);
}

static void quota_at(const struct oracle *o, const char *name, uint64_t revision,
                     struct service_node *n)
{
    char path[NAME_ROOM];
    n->known = strlen(name) < sizeof(path) && quota_path(name, path);
    if (!n->known) {
        return;
    }
    const struct coord_bytes b = {(const uint8_t *)path, (uint32_t)strlen(path)};
    const struct oracle_version *v = oracle__version(oracle__node(&o->tree, b), revision);
    n->exists = has_quota(v);
    if (n->exists) {
        (void)snprintf(n->data, sizeof(n->data),
                       "{\"path\": \"%s\", \"nodes\": %" PRIu64 ", \"bytes\": %" PRIu64 "}", path,
                       v->quota_nodes, v->quota_bytes);
    }
}

static void service_at(const struct oracle *o, const char *path, uint64_t revision,
                       struct service_node *ret_n)
{
    *ret_n = (struct service_node){.known = true};
    for (int i = 0; i < 4; i++) {
        ret_n->exists = ret_n->exists || strcmp(path, folders[i]) == 0;
    }
    if (strncmp(path, "/coord/config/", 14) == 0) {
        config_at(o, path + 14, revision, ret_n);
    } else if (strncmp(path, "/coord/members/", 15) == 0) {
        member_at(o, path + 15, ret_n);
    } else if (strncmp(path, "/coord/quotas/", 14) == 0) {
        quota_at(o, path + 14, revision, ret_n);
    }
}

static const char *data_difference(const struct service_node *n, struct coord_bytes got)
{
    size_t len = strlen(n->data);
    if (len == 0) {
        return n->starts || got.len == 0 ? NULL : "data";
    }
    bool same = got.data != NULL && got.len >= len && memcmp(got.data, n->data, len) == 0 &&
                (n->starts || got.len == len);
    return same ? NULL : "data";
}

/* How many children a folder has; UINT64_MAX: the model does not know. */
static uint64_t children_at(const struct oracle *o, const char *path, uint64_t revision)
{
    uint64_t count = 0;
    if (strcmp(path, "/coord") == 0) {
        return 3;
    }
    if (strcmp(path, "/coord/config") == 0) {
        return LIMIT_ROWS + 1;
    }
    if (strcmp(path, "/coord/members") == 0) {
        return o->options.members != 0 ? o->options.members : UINT64_MAX;
    }
    for (uint32_t i = 0; i < o->tree.count && strcmp(path, "/coord/quotas") == 0; i++) {
        count += has_quota(oracle__version(o->tree.sorted[i], revision));
    }
    return count;
}

static const char *children_difference(const struct oracle *o, const char *path,
                                       const struct coord_request *q, uint64_t revision,
                                       const struct coord_result *got)
{
    uint64_t count = children_at(o, path, revision);
    struct coord_bytes cursor = got->entries_raw;
    struct coord_list_entry e;
    if ((q->flags & COORD_LIST_RECURSIVE) != 0) {
        return NULL;
    }
    if (count != UINT64_MAX && got->count != count) {
        return "how many there are";
    }
    while (coord_list_next(&cursor, &e) == 1) {
        char child[NAME_ROOM];
        struct service_node n;
        (void)snprintf(child, sizeof(child), "%s/%.*s", path, ORACLE_PATH(e.name));
        service_at(o, child, revision, &n);
        if (n.known && !n.exists) {
            return "a name";
        }
        const char *why = n.known && e.has_data ? data_difference(&n, e.data) : NULL;
        if (why != NULL) {
            return why;
        }
    }
    return NULL;
}

static const char *service_difference(const struct oracle *o, const char *path,
                                      const struct coord_request *q, const struct service_node *n,
                                      const struct coord_result *got)
{
    if (q->op == COORD_OP_EXISTS) {
        return got->exists != n->exists ? "whether it exists" : NULL;
    }
    if ((got->error == 0) != n->exists) {
        return "whether it exists";
    }
    if (got->error != 0 || q->op == COORD_OP_USAGE) {
        return NULL;
    }
    if (got->stat.create_revision != 0 || got->stat.modify_revision != 0 ||
        got->stat.version != 0) {
        return "its history";
    }
    return q->op == COORD_OP_GET    ? data_difference(n, got->data)
           : q->op == COORD_OP_LIST ? children_difference(o, path, q, got->receipt.revision, got)
                                    : NULL;
}

const char *oracle__service_judge(struct oracle *o, const struct oracle_pending *p,
                                  const struct coord_result *got)
{
    const uint64_t revision = got->receipt.revision;
    struct service_node n;
    char path[COORD_PATH_BYTES_MAX + 1];
    (void)snprintf(path, sizeof(path), "%.*s", ORACLE_PATH(p->q.path));
    service_at(o, path, revision, &n);
    if (!n.known) {
        return NULL;
    }
    o->counts.services++;
    const char *why = service_difference(o, path, &p->q, &n, got);
    return why == NULL
               ? NULL
               : oracle__fail(o, "M3: call %llu (%s %s) at revision %llu: %s is not the model's",
                              ULL(p->c.call), coord_op_name(p->q.op), path, ULL(revision), why);
}
