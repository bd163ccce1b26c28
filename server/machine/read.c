/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.c: answers reads from the state as it is, or from another tree, and says what a session owns. At
 * which revision that is allowed is decided by the node; nothing here changes the state.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/machine/machine_internal.h"

#define LIST_FLAGS_ALL ((uint32_t)COORD_LIST_COUNT * 2 - 1)
#define ENTRIES_FIRST  64u
/* What a page holds besides its entries, and what an entry takes besides its bytes, at most: array
 * head, string head, a stat of 13 numbers of up to 9 bytes, bytes head. */
#define LIST_HEAD_BYTES  512u
#define ENTRY_BYTES      (1u + 5u)
#define ENTRY_STAT_BYTES (1u + 13u * 9u)
#define ENTRY_DATA_BYTES 5u

static uint64_t entry_bytes(const struct coord_list_entry *e)
{
    uint64_t bytes = (uint64_t)ENTRY_BYTES + e->name.len;
    bytes += e->has_stat ? ENTRY_STAT_BYTES : 1;
    bytes += e->has_data ? (uint64_t)ENTRY_DATA_BYTES + e->data.len : 0;
    return bytes;
}

static struct coord_list_entry *entry_at(struct machine *m, uint32_t i)
{
    if (i == m->entries_cap) {
        uint32_t cap = m->entries_cap == 0 ? ENTRIES_FIRST : m->entries_cap * 2;
        struct coord_list_entry *to = realloc(m->entries, (size_t)cap * sizeof(*to));
        if (to == NULL) {
            return NULL;
        }
        m->entries = to;
        m->entries_cap = cap;
    }
    return &m->entries[i];
}

/* The path of a node below the listed one, without the listed one's. */
static int name_relative(struct machine *m, const struct znode *node, size_t top_bytes,
                         struct coord_bytes *ret_name)
{
    char path[COORD_PATH_BYTES_MAX];
    size_t bytes = store_path(node, path);
    size_t skip = top_bytes == 1 ? 1 : top_bytes + 1;
    assert(bytes > skip);
    uint8_t *kept = arena_copy(&m->read_paths, path + skip, bytes - skip);
    *ret_name = (struct coord_bytes){kept, (uint32_t)(bytes - skip)};
    return kept == NULL ? COORD_ENOMEM : 0;
}

static int entry_fill(struct machine *m, const struct coord_request *q, const struct znode *node,
                      uint32_t depth, struct coord_list_entry *ret_e)
{
    *ret_e = (struct coord_list_entry){.name = store_name(node)};
    if (depth > 1) {
        int rc = name_relative(m, node, q->path.len, &ret_e->name);
        if (rc != 0) {
            return rc;
        }
    }
    if ((q->flags & COORD_LIST_STATS) != 0) {
        ret_e->has_stat = true;
        store_stat(node, &ret_e->stat);
    }
    if ((q->flags & COORD_LIST_DATA) != 0) {
        ret_e->has_data = true;
        ret_e->data = store_data(node);
    }
    return 0;
}

/* One page of what is below top. A page that has an entry ends before it grows over the limits; an entry
 * that alone is over them cannot be told: COORD_ETOOBIG. */
static int read_list(struct machine *m, const struct coord_request *q, const struct znode *top,
                     struct coord_result *res)
{
    struct coord_usage usage;
    machine_usage(top, &usage);
    store_stat(top, &res->stat);
    res->count = (q->flags & COORD_LIST_RECURSIVE) != 0 ? usage.nodes - 1 : res->stat.children;
    if ((q->flags & COORD_LIST_COUNT) != 0) {
        return 0;
    }
    uint64_t limit = m->state.limits.list_entries;
    if (q->limit != 0 && q->limit < limit) {
        limit = q->limit;
    }
    uint64_t bytes = LIST_HEAD_BYTES;
    uint32_t count = 0;
    uint32_t depth;
    struct store_walk w;
    store_walk_begin(&w, top, (q->flags & COORD_LIST_RECURSIVE) != 0, q->after);
    const struct znode *node;
    while ((node = store_walk_next(&w, &depth)) != NULL && count < limit) {
        struct coord_list_entry *e = entry_at(m, count);
        int rc = e == NULL ? COORD_ENOMEM : entry_fill(m, q, node, depth, e);
        if (rc != 0) {
            return rc;
        }
        bytes += entry_bytes(e);
        if (bytes > m->state.limits.list_bytes) {
            if (count == 0) {
                return COORD_ETOOBIG;
            }
            break;
        }
        count++;
    }
    res->more = node != NULL;
    res->entries = m->entries;
    res->entries_count = count;
    return 0;
}

int machine_session_paths(struct machine *m, const struct coord_request *q,
                          struct coord_result *ret_res)
{
    const struct znode *page[MACHINE_SESSION_PATHS_MAX];
    const struct session *s = sessions_find(m->state.sessions, q->session);
    uint32_t max = MACHINE_SESSION_PATHS_MAX;
    assert(s != NULL);
    arena_reset(&m->read_paths);
    max = q->limit != 0 && q->limit < max ? (uint32_t)q->limit : max;
    uint32_t count = store_owned_page(&s->owned, q->after, page, max, &ret_res->more);
    uint64_t bytes = LIST_HEAD_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        char path[COORD_PATH_BYTES_MAX];
        uint32_t path_bytes = (uint32_t)store_path(page[i], path);
        struct coord_list_entry *e = entry_at(m, i);
        uint8_t *kept = arena_copy(&m->read_paths, path, path_bytes);
        if (e == NULL || kept == NULL) {
            return COORD_ENOMEM;
        }
        *e = (struct coord_list_entry){.name = {kept, path_bytes}};
        bytes += entry_bytes(e);
        if (bytes > m->state.limits.list_bytes) {
            ret_res->more = true;
            count = i;
        }
    }
    ret_res->entries = m->entries;
    ret_res->entries_count = count;
    ret_res->count = s->owned.count;
    return count == 0 && ret_res->more ? COORD_ETOOBIG : 0;
}

static int read_node(struct machine *m, const struct coord_request *q, const struct znode *node,
                     struct coord_result *res)
{
    switch (q->op) {
    case COORD_OP_GET:
        res->data = store_data(node);
        store_stat(node, &res->stat);
        return 0;
    case COORD_OP_EXISTS:
        res->exists = true;
        return 0;
    case COORD_OP_STAT:
        store_stat(node, &res->stat);
        return 0;
    case COORD_OP_USAGE:
        machine_usage(node, &res->usage);
        return 0;
    case COORD_OP_LIST:
        return read_list(m, q, node, res);
    default:
        return COORD_EBADREQUEST;
    }
}

/* From any tree. */
static int read_tree(struct machine *m, const struct store *tree, const struct coord_request *q,
                     struct coord_result *ret_res)
{
    arena_reset(&m->read_paths);
    coord_result_clear(ret_res);
    int rc = 0;
    if (q->op != COORD_OP_GET && q->op != COORD_OP_EXISTS && q->op != COORD_OP_STAT &&
        q->op != COORD_OP_LIST && q->op != COORD_OP_USAGE) {
        rc = COORD_EBADREQUEST;
    } else if (q->op == COORD_OP_LIST && (q->flags & ~LIST_FLAGS_ALL) != 0) {
        rc = COORD_EBADREQUEST;
    } else {
        rc = coord_path_check((const char *)q->path.data, q->path.len, NULL, 0);
    }
    if (rc == 0) {
        const struct znode *node = store_find(tree, q->path);
        if (node != NULL) {
            rc = read_node(m, q, node, ret_res);
        } else if (q->op != COORD_OP_EXISTS) {
            rc = COORD_ENONODE;
        }
    }
    ret_res->error = rc;
    return rc;
}

int machine_read(struct machine *m, const struct coord_request *q, struct coord_result *ret_res)
{
    if (q->path.data != NULL && coord_path_reserved((const char *)q->path.data, q->path.len)) {
        coord_result_clear(ret_res);
        ret_res->error = COORD_ERESERVED;
        return ret_res->error;
    }
    return read_tree(m, m->state.store, q, ret_res);
}

/* What of a stat says when it was made and changed. */
static void stat_strip(struct coord_node_stat *stat)
{
    stat->create_revision = 0;
    stat->modify_revision = 0;
    stat->child_revision = 0;
    stat->version = 0;
    stat->child_version = 0;
    stat->created_ms = 0;
    stat->modified_ms = 0;
}

int machine_read_bare(struct machine *m, const struct store *tree, const struct coord_request *q,
                      struct coord_result *ret_res)
{
    int rc = read_tree(m, tree, q, ret_res);
    stat_strip(&ret_res->stat);
    for (uint32_t i = 0; i < ret_res->entries_count; i++) {
        stat_strip(&m->entries[i].stat);
    }
    return rc;
}
