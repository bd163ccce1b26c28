/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_model_read.c: reads on the model at any revision, and the comparison with what a client was told (M3).
 *
 * Where a page of a list ends early because of its size is the server's business: a page that is a prefix of
 * the model's is right if it is large.
 */
#include "tests/service/oracle_int.h"

#include <string.h>

/* --- the model's answer --------------------------------------------------------------------------- */

static const struct oracle_node *node_at(const struct oracle *o, uint32_t i)
{
    return o->tree.sorted[i];
}

static struct coord_bytes relative(struct coord_bytes path, struct coord_bytes top)
{
    uint32_t skip = top.len == 1 ? 1 : top.len + 1;
    return (struct coord_bytes){path.data + skip, path.len - skip};
}

/* Does a name of a list come behind `after`? In path order, so that '/' is below everything. */
bool oracle__is_behind(struct coord_bytes name, struct coord_bytes after)
{
    uint32_t i = 0;
    for (; i < name.len && i < after.len; i++) {
        int x = name.data[i] == '/' ? 0 : name.data[i] + 1;
        int y = after.data[i] == '/' ? 0 : after.data[i] + 1;
        if (x != y) {
            return x > y;
        }
    }
    return name.len > after.len;
}

struct listing {
    struct coord_list_entry *entries;
    uint32_t count; /* behind `after`, whatever the limit */
    uint32_t all;   /* in all */
};

static void list_at(struct oracle *o, const struct coord_request *q, uint64_t revision,
                    const struct oracle_node *top, struct listing *ret_l)
{
    uint32_t first;
    uint32_t end;
    oracle__below(&o->tree, top, &first, &end);
    *ret_l = (struct listing){.entries = NULL};
    for (int pass = 0; pass < 2; pass++) {
        ret_l->count = 0;
        ret_l->all = 0;
        for (uint32_t i = first; i < end; i++) {
            const struct oracle_version *v = oracle__version(node_at(o, i), revision);
            bool wanted = (q->flags & COORD_LIST_RECURSIVE) != 0 || node_at(o, i)->parent == top;
            if (v == NULL || !wanted) {
                continue;
            }
            struct coord_bytes name = relative(node_at(o, i)->path, top->path);
            ret_l->all++;
            if (q->after.len > 0 && !oracle__is_behind(name, q->after)) {
                continue;
            }
            if (pass == 1) {
                ret_l->entries[ret_l->count] = (struct coord_list_entry){
                    .name = name,
                    .has_stat = (q->flags & COORD_LIST_STATS) != 0,
                    .has_data = (q->flags & COORD_LIST_DATA) != 0,
                    .stat = v->stat,
                    .data = v->data,
                };
            }
            ret_l->count++;
        }
        if (pass == 0) {
            ret_l->entries = oracle__alloc(o, ret_l->count * sizeof(ret_l->entries[0]));
        }
    }
}

int oracle__read(struct oracle *o, const struct coord_request *q, uint64_t revision,
                 struct coord_result *res)
{
    int rc = coord_path_check((const char *)q->path.data, q->path.len, NULL, 0);
    if (rc == 0 && coord_path_reserved((const char *)q->path.data, q->path.len)) {
        rc = COORD_ERESERVED; /* in a transaction; else it is not read from this tree */
    }
    if (rc != 0) {
        return rc;
    }
    const struct oracle_node *n = oracle__node(&o->tree, q->path);
    const struct oracle_version *v = oracle__version(n, revision);
    if (q->op == COORD_OP_EXISTS) {
        res->exists = v != NULL;
        return 0;
    }
    if (v == NULL) {
        return COORD_ENONODE;
    }
    res->data = v->data;
    res->stat = v->stat;
    if (q->op == COORD_OP_USAGE) {
        oracle__usage(&o->tree, n, revision, &res->usage);
    }
    return 0;
}

/* --- the comparison ------------------------------------------------------------------------------- */

static const char *stat_difference(const struct coord_node_stat *a, const struct coord_node_stat *b)
{
    const struct {
        const char *name;
        uint64_t a;
        uint64_t b;
    } fields[] = {
        {"create_revision", a->create_revision, b->create_revision},
        {"modify_revision", a->modify_revision, b->modify_revision},
        {"child_revision", a->child_revision, b->child_revision},
        {"version", a->version, b->version},
        {"child_version", a->child_version, b->child_version},
        {"acl_version", a->acl_version, b->acl_version},
        {"created_ms", a->created_ms, b->created_ms},
        {"modified_ms", a->modified_ms, b->modified_ms},
        {"kind", (uint64_t)a->kind, (uint64_t)b->kind},
        {"owner", a->owner, b->owner},
        {"ttl_ms", a->ttl_ms, b->ttl_ms},
        {"data_bytes", a->data_bytes, b->data_bytes},
        {"children", a->children, b->children},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i].a != fields[i].b) {
            return fields[i].name;
        }
    }
    return NULL;
}

static const char *entry_difference(const struct coord_list_entry *want,
                                    const struct coord_list_entry *got)
{
    if (!oracle__same(want->name, got->name)) {
        return "name";
    }
    if (want->has_stat != got->has_stat || want->has_data != got->has_data) {
        return "shape";
    }
    if (want->has_data && !oracle__same(want->data, got->data)) {
        return "data";
    }
    return want->has_stat ? stat_difference(&want->stat, &got->stat) : NULL;
}

/* Was there room for the entry at which the page ended? */
static bool page_is_full(const struct oracle_limits *limits, const struct listing *l, uint32_t told)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i <= told; i++) {
        bytes += 160 + (uint64_t)l->entries[i].name.len + l->entries[i].data.len;
    }
    return bytes >= limits->list_bytes / 2;
}

static const char *list_judge(struct oracle *o, const struct coord_request *q, uint64_t revision,
                              const struct coord_result *got)
{
    struct listing l;
    list_at(o, q, revision, oracle__node(&o->tree, q->path), &l);
    if (got->count != l.all) {
        return "count";
    }
    if ((q->flags & COORD_LIST_COUNT) != 0) {
        return got->entries_raw.len > 0 || got->more ? "entries that were not asked for" : NULL;
    }
    const struct oracle_limits *limits = oracle__limits_at(o, revision);
    uint64_t limit = limits->list_entries;
    limit = q->limit != 0 && q->limit < limit ? q->limit : limit;
    struct coord_bytes cursor = got->entries_raw;
    struct coord_list_entry e;
    uint32_t told = 0;
    while (coord_list_next(&cursor, &e) == 1) {
        if (told == l.count || told == limit) {
            return "too many entries";
        }
        const char *why = entry_difference(&l.entries[told], &e);
        if (why != NULL) {
            return why;
        }
        told++;
    }
    if (got->more != (told < l.count)) {
        return "more";
    }
    return told < l.count && told < limit && !page_is_full(limits, &l, told)
               ? "a page that is too short"
               : NULL;
}

static const char *difference(struct oracle *o, const struct coord_request *q, uint64_t revision,
                              const struct coord_result *want, const struct coord_result *got)
{
    switch (q->op) {
    case COORD_OP_EXISTS:
        return want->exists != got->exists ? "whether it exists" : NULL;
    case COORD_OP_GET:
        if (!oracle__same(want->data, got->data)) {
            return "data";
        }
        return stat_difference(&want->stat, &got->stat);
    case COORD_OP_STAT:
        return stat_difference(&want->stat, &got->stat);
    case COORD_OP_USAGE:
        return memcmp(&want->usage, &got->usage, sizeof(want->usage)) != 0 ? "usage" : NULL;
    case COORD_OP_LIST: {
        const char *why = stat_difference(&want->stat, &got->stat);
        return why != NULL ? why : list_judge(o, q, revision, got);
    }
    default:
        return NULL;
    }
}

static bool is_read(enum coord_op op)
{
    return op == COORD_OP_GET || op == COORD_OP_EXISTS || op == COORD_OP_STAT ||
           op == COORD_OP_LIST || op == COORD_OP_USAGE;
}

const char *oracle__read_judge(struct oracle *o, const struct oracle_pending *p,
                               const struct coord_result *got)
{
    const uint64_t revision = got->receipt.revision;
    struct coord_result want = {.error = 0};
    if (p->q.op == COORD_OP_SESSIONS) {
        return oracle__sessions_judge(o, p, got);
    }
    if (!is_read(p->q.op) || (got->error != 0 && got->error != COORD_ENONODE)) {
        return NULL;
    }
    if (coord_path_reserved((const char *)p->q.path.data, p->q.path.len)) {
        return oracle__service_judge(o, p, got);
    }
    o->counts.reads++;
    int rc = oracle__read(o, &p->q, revision, &want);
    if (rc != got->error) {
        return oracle__fail(o,
                            "M3: call %llu (%s %.*s) at revision %llu: error %d, the model says %d",
                            (unsigned long long)p->c.call, coord_op_name(p->q.op),
                            ORACLE_PATH(p->q.path), (unsigned long long)revision, got->error, rc);
    }
    const char *why = rc != 0 ? NULL : difference(o, &p->q, revision, &want, got);
    if (why != NULL) {
        return oracle__fail(o, "M3: call %llu (%s %.*s) at revision %llu: %s is not the model's",
                            (unsigned long long)p->c.call, coord_op_name(p->q.op),
                            ORACLE_PATH(p->q.path), (unsigned long long)revision, why);
    }
    return NULL;
}
