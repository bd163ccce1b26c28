/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reap.c: nodes that are removed by themselves: containers that have lost their last child, ttl nodes that
 * were not modified for their ttl. The leader proposes (machine_reap_collect) what its state shows; what an
 * entry says is only a list of candidates, and each is judged again here when the entry is applied.
 *
 * Body of a REAP entry, little-endian, repeated:
 *   offset  size  field
 *        0     8  create_revision  of the node that is meant: one made anew at that path is another
 *        8     2  path_bytes       1 .. COORD_PATH_BYTES_MAX
 *       10     -  path
 *
 * Invariants
 *   1. Whether a node goes is decided by the tree and the entry's time alone, never by the proposer.
 *   2. A body that is malformed anywhere changes nothing.
 *   3. All that one entry removes goes at one revision, and is told to watches.
 */
#include <assert.h>
#include <string.h>
#include "server/machine/bytes.h"
#include "server/machine/machine_internal.h"

#define HEAD_BYTES 10u
/* Containers looked at for each that may be listed: those too fresh cost time too. */
#define LOOKS_PER_NODE 4u

/* --- apply ------------------------------------------------------------------------------------- */

struct candidate {
    uint64_t create_revision;
    struct coord_bytes path;
};

/* The candidate at *inout_at, which moves on. Return: false when it is malformed. */
static bool candidate_take(const struct entry *e, uint32_t *inout_at, struct candidate *ret_c)
{
    const uint8_t *head = e->body + *inout_at;
    uint32_t left = e->body_bytes - *inout_at;
    if (left < HEAD_BYTES) {
        return false;
    }
    uint32_t path_bytes = bytes_get_u16(head + 8);
    if (path_bytes == 0 || path_bytes > COORD_PATH_BYTES_MAX || path_bytes > left - HEAD_BYTES) {
        return false;
    }
    ret_c->create_revision = bytes_get_u64(head);
    ret_c->path = (struct coord_bytes){head + HEAD_BYTES, path_bytes};
    *inout_at += HEAD_BYTES + path_bytes;
    return true;
}

int machine_reap(struct machine *m, const struct entry *e)
{
    struct candidate c;
    for (uint32_t at = 0; at < e->body_bytes;) {
        if (!candidate_take(e, &at, &c)) {
            return COORD_EBADREQUEST;
        }
    }
    for (uint32_t at = 0; at < e->body_bytes;) {
        bool gone = false;
        (void)candidate_take(e, &at, &c); /* as just seen */
        machine_must(store_reap(m->state.store, c.path, c.create_revision, &gone));
    }
    return 0;
}

/* --- proposing --------------------------------------------------------------------------------- */

uint64_t machine_reap_next_ms(const struct machine *m)
{
    return store_ttl_next(m->state.store);
}

bool machine_reap_empty(const struct machine *m)
{
    return store_empty_count(m->state.store) > 0;
}

struct body {
    uint8_t *out;
    uint32_t bytes;
    uint32_t bytes_max;
    uint32_t count;
};

/* Return: false when there is no room for it. */
static bool body_put(struct body *b, const struct znode *node)
{
    char path[COORD_PATH_BYTES_MAX];
    struct coord_node_stat stat;
    size_t bytes = store_path(node, path);
    if (b->bytes_max - b->bytes < HEAD_BYTES + bytes) {
        return false;
    }
    store_stat(node, &stat);
    uint8_t *to = b->out + b->bytes;
    bytes_put_u64(to, stat.create_revision);
    bytes_put_u16(to + 8, (uint16_t)bytes);
    memcpy(to + HEAD_BYTES, path, bytes);
    b->bytes += HEAD_BYTES + (uint32_t)bytes;
    b->count++;
    return true;
}

static bool collect_ttl(const struct machine *m, const struct machine_reap_ask *a, struct body *b)
{
    const struct znode *due[MACHINE_REAP_NODES_MAX];
    uint32_t count = store_ttl_due(m->state.store, a->time_ms, due, a->nodes_max);
    for (uint32_t i = 0; i < count; i++) {
        if (!body_put(b, due[i])) {
            return false;
        }
    }
    return count < a->nodes_max;
}

static bool collect_empty(const struct machine *m, const struct machine_reap_ask *a, struct body *b)
{
    uint32_t looks = a->nodes_max * LOOKS_PER_NODE;
    const struct znode *at = store_empty_next(m->state.store, NULL);
    for (; at != NULL && looks > 0; looks--) {
        struct coord_node_stat stat;
        store_stat(at, &stat);
        bool wanted = stat.child_revision <= a->since || stat.child_revision == a->also;
        if (wanted && (b->count == a->nodes_max || !body_put(b, at))) {
            return false;
        }
        at = store_empty_next(m->state.store, at);
    }
    return at == NULL;
}

void machine_reap_collect(const struct machine *m, const struct machine_reap_ask *a,
                          struct machine_reap_found *ret_f)
{
    struct body b = {.out = a->out, .bytes_max = a->bytes_max};
    assert(a->nodes_max > 0);
    assert(a->nodes_max <= MACHINE_REAP_NODES_MAX);
    assert(a->bytes_max >= HEAD_BYTES + COORD_PATH_BYTES_MAX);
    bool all = collect_ttl(m, a, &b);
    uint32_t ttl = b.count;
    all = all && collect_empty(m, a, &b);
    *ret_f = (struct machine_reap_found){
        .bytes = b.bytes, .count = b.count, .containers = b.count - ttl, .all = all};
}
