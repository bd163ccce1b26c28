/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c: the limits as a part of the replicated state: what they are, within which bounds, their bytes,
 * the LIMITS entry that changes them, and the one that looks at the whole store, the high-water mark.
 *
 * Leaves to others: which limits a member wants and when it proposes them (server/node/limits.c), and the
 * checks against the single limits (apply.c, write.c, txn.c, read.c).
 *
 * Bytes of limits, in a LIMITS entry and in a saved state: one u64, little-endian, for each row of the
 * table below, in its order. The table is part of the state machine: a row is only ever added together
 * with a new version of both.
 *
 * The high-water mark. The store's bytes are counted, not measured, so that they are the same everywhere:
 *     the data of all nodes + their names + STORE_NODE_BYTES a node
 *     + the bodies of the answers kept + STORE_ANSWER_BYTES an answer + STORE_SESSION_BYTES a session
 * A request that leaves the tree with more bytes than before, in a store above the mark afterwards, is
 * taken back and answered ESTOREFULL. So the tree can shrink, and change without growing, at any time; what
 * counts of a transaction is what it does in all. Sessions may be opened above it, for a client that wants
 * to delete may need one: their number has its own limit, and so have the answers of each.
 *
 * Invariants
 *   1. Limits in force pass machine_limits_check.
 *   2. What exists is never touched because a limit was lowered: only requests are judged by it.
 * Thread: the owner of the machine.
 */
#include <stdbool.h>
#include <stddef.h>
#include "server/machine/bytes.h"
#include "server/machine/machine_internal.h"

#define KIB                 UINT64_C(1024)
#define MIB                 (1024 * KIB)
#define GIB                 (1024 * MIB)
#define STORE_NODE_BYTES    128u /* about what one costs in memory, and more than in a saved state */
#define STORE_ANSWER_BYTES  32u
#define STORE_SESSION_BYTES 256u

/* One limit: where it stands, its default, and between what it must be. */
struct limit_row {
    const char *name;
    size_t offset;
    bool wide; /* 64 bits */
    uint64_t standard;
    uint64_t min;
    uint64_t max;
};

#define ROW(field, is_wide, name, standard, min, max)                             \
    {                                                                             \
        name, offsetof(struct machine_limits, field), is_wide, standard, min, max \
    }
#define ROW32(field, ...) ROW(field, false, __VA_ARGS__)
#define ROW64(field, ...) ROW(field, true, __VA_ARGS__)

/* The ranges only shut out what no machine could work with; tests use small ones, and a member's
 * configuration has narrower ones of its own (server/shell/conf.c). */
static const struct limit_row rows[MACHINE_LIMITS_COUNT] = {
    ROW32(data_bytes, "limits.request", MIB, 1, 64 * MIB),
    ROW64(session_min_ms, "sessions.min", 2000, 1, 86400000),
    ROW64(session_max_ms, "sessions.max", 60000, 1, 86400000),
    ROW32(sessions, "limits.sessions", 200000, 1, UINT32_MAX),
    ROW32(answers, "limits.answers", 4096, 1, UINT32_MAX),
    ROW32(answers_bytes, "limits.answers_bytes", 8 * MIB, 1, GIB),
    ROW32(txn_operations, "limits.operations", 1024, 1, 65536),
    ROW32(subtree_nodes, "limits.subtree", 10000, 1, UINT32_MAX),
    ROW32(list_entries, "limits.list_entries", 10000, 1, UINT32_MAX),
    ROW32(list_bytes, "limits.list_bytes", 3 * MIB, 1, 64 * MIB),
    ROW32(frame_bytes, "limits.frame", 4 * MIB, 1, 64 * MIB),
    ROW64(store_bytes, "limits.store", 2 * GIB, 1, UINT64_MAX >> 1),
};

/* --- the limits as values ---------------------------------------------------------------------- */

const char *machine_limits_name(uint32_t i)
{
    assert(i < MACHINE_LIMITS_COUNT);
    return rows[i].name;
}

uint64_t machine_limits_get(const struct machine_limits *l, uint32_t i)
{
    assert(i < MACHINE_LIMITS_COUNT);
    const void *at = (const char *)l + rows[i].offset;
    return rows[i].wide ? *(const uint64_t *)at : *(const uint32_t *)at;
}

/* The value is within the row's range, and so fits. */
static void limit_set(struct machine_limits *l, uint32_t i, uint64_t value)
{
    void *at = (char *)l + rows[i].offset;
    if (rows[i].wide) {
        *(uint64_t *)at = value;
    } else {
        *(uint32_t *)at = (uint32_t)value;
    }
}

void machine_limits_init(struct machine_limits *l)
{
    *l = (struct machine_limits){.data_bytes = 0};
    for (uint32_t i = 0; i < MACHINE_LIMITS_COUNT; i++) {
        limit_set(l, i, rows[i].standard);
    }
}

const char *machine_limits_check(const struct machine_limits *l)
{
    for (uint32_t i = 0; i < MACHINE_LIMITS_COUNT; i++) {
        uint64_t value = machine_limits_get(l, i);
        if (value < rows[i].min || value > rows[i].max) {
            return rows[i].name;
        }
    }
    return l->session_min_ms > l->session_max_ms ? "sessions.max" : NULL;
}

bool machine_limits_equal(const struct machine_limits *a, const struct machine_limits *b)
{
    for (uint32_t i = 0; i < MACHINE_LIMITS_COUNT; i++) {
        if (machine_limits_get(a, i) != machine_limits_get(b, i)) {
            return false;
        }
    }
    return true;
}

void machine_limits_encode(const struct machine_limits *l, uint8_t out[MACHINE_LIMITS_BYTES])
{
    for (uint32_t i = 0; i < MACHINE_LIMITS_COUNT; i++) {
        bytes_put_u64(out + (size_t)i * 8, machine_limits_get(l, i));
    }
}

bool machine_limits_decode(const uint8_t *bytes, size_t len, struct machine_limits *ret_l)
{
    struct machine_limits l = {.data_bytes = 0};
    if (len != MACHINE_LIMITS_BYTES) {
        return false;
    }
    for (uint32_t i = 0; i < MACHINE_LIMITS_COUNT; i++) {
        uint64_t value = bytes_get_u64(bytes + (size_t)i * 8);
        if (value > rows[i].max) {
            return false;
        }
        limit_set(&l, i, value);
    }
    if (machine_limits_check(&l) != NULL) {
        return false;
    }
    *ret_l = l;
    return true;
}

const struct machine_limits *machine_limits(const struct machine *m)
{
    return &m->state.limits;
}

int machine_apply_limits(struct machine *m, const struct entry *e)
{
    return machine_limits_decode(e->body, e->body_bytes, &m->state.limits) ? 0 : COORD_EBADREQUEST;
}

/* --- the high-water mark ----------------------------------------------------------------------- */

uint64_t machine_tree_bytes(const struct machine_state *st)
{
    return store_data_bytes(st->store) + store_name_bytes(st->store) +
           store_nodes(st->store) * STORE_NODE_BYTES;
}

uint64_t machine_session_bytes(const struct session *s)
{
    return STORE_SESSION_BYTES + s->answers.bytes + (uint64_t)s->answers.count * STORE_ANSWER_BYTES;
}

int machine_growth_admit(const struct machine_state *st, uint64_t before)
{
    uint64_t after = machine_tree_bytes(st);
    bool grows = after > before;
    return grows && after + st->sessions_bytes > st->limits.store_bytes ? COORD_ESTOREFULL : 0;
}
