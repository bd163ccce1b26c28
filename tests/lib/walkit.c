/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walkit.c: a model of the write-ahead log for its tests; see walkit.h.
 *
 * Thread: one.
 */
#include "tests/lib/walkit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t walkit_draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void fill_payload(uint8_t *data, uint32_t bytes, raft_index index, raft_term term)
{
    uint64_t state = index * 1000003u + term;
    for (uint32_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)walkit_draw(&state);
    }
}

void walkit_model_init(struct walkit_model *m)
{
    memset(m, 0, sizeof *m);
    m->first = 1;
}

void walkit_model_apply(struct walkit_model *m, const struct raft_wal_op *op)
{
    switch (op->kind) {
    case RAFT_WAL_HARDSTATE:
        m->term = op->term;
        m->vote = op->vote;
        m->commit = op->index;
        break;
    case RAFT_WAL_ENTRY:
        m->entries[op->index] =
            (struct raft_entry){.term = op->term, .bytes = op->bytes, .type = op->type};
        m->last = op->index;
        break;
    case RAFT_WAL_SNAPMARK:
        m->snapshot_index = op->index;
        m->snapshot_term = op->term;
        if (op->index >= m->first &&
            (op->index > m->last || m->entries[op->index].term != op->term)) {
            m->first = op->index + 1;
            m->last = op->index;
        }
        break;
    }
}

static struct raft_wal_op *next_op(struct walkit_batch *b, enum raft_wal_op_kind kind)
{
    if (b->count == WALKIT_OPS_MAX) {
        (void)fprintf(stderr, "walkit: too many operations in a batch\n");
        abort();
    }
    struct raft_wal_op *op = &b->ops[b->count++];
    memset(op, 0, sizeof *op);
    op->kind = kind;
    return op;
}

void walkit_hardstate(struct walkit_batch *b, raft_term term, raft_id vote, raft_index commit)
{
    struct raft_wal_op *op = next_op(b, RAFT_WAL_HARDSTATE);
    op->term = term;
    op->vote = vote;
    op->index = commit;
}

void walkit_entry(struct walkit_batch *b, raft_index index, raft_term term, uint32_t bytes)
{
    uint8_t *data = b->data[b->count];
    struct raft_wal_op *op = next_op(b, RAFT_WAL_ENTRY);
    op->term = term;
    op->index = index;
    op->type = bytes == 0 ? RAFT_ENTRY_NOOP : RAFT_ENTRY_COMMAND;
    op->bytes = bytes;
    op->data = data;
    fill_payload(data, bytes, index, term);
}

void walkit_snapmark(struct walkit_batch *b, raft_index index, raft_term term)
{
    struct raft_wal_op *op = next_op(b, RAFT_WAL_SNAPMARK);
    op->term = term;
    op->index = index;
    op->digest[0] = index;
    op->digest[1] = term;
}

int walkit_write(struct raft_wal *w, struct walkit_model *m, const struct walkit_batch *b)
{
    int rc = raft_wal_write(w, b->ops, b->count);
    for (uint32_t i = 0; rc == 0 && i < b->count; i++) {
        walkit_model_apply(m, &b->ops[i]);
    }
    return rc;
}

static int compare_entry(struct raft_wal *w, const struct raft_entry *found,
                         const struct raft_entry *want, raft_index index, char *why, size_t n)
{
    uint8_t got[WALKIT_BYTES_MAX];
    uint8_t data[WALKIT_BYTES_MAX];
    if (found->term != want->term || found->bytes != want->bytes || found->type != want->type) {
        (void)snprintf(why, n, "entry %" PRIu64 ": term %" PRIu64 " %u bytes, not %" PRIu64 " %u",
                       index, found->term, found->bytes, want->term, want->bytes);
        return -1;
    }
    int64_t rc = raft_wal_read(w, index, got, sizeof got);
    fill_payload(data, want->bytes, index, want->term);
    if (rc != want->bytes || memcmp(got, data, want->bytes) != 0) {
        (void)snprintf(why, n, "entry %" PRIu64 ": reading it answers %" PRId64, index, rc);
        return -1;
    }
    return 0;
}

int walkit_compare(struct raft_wal *w, const struct walkit_model *m, char *why, size_t n)
{
    const struct raft_wal_state *s = raft_wal_state(w);
    if (s->term != m->term || s->vote != m->vote || s->commit != m->commit) {
        (void)snprintf(why, n, "hard state %" PRIu64 "/%u/%" PRIu64 ", not %" PRIu64 "/%u/%" PRIu64,
                       s->term, s->vote, s->commit, m->term, m->vote, m->commit);
        return -1;
    }
    if (s->snapshot_index != m->snapshot_index || s->snapshot_term != m->snapshot_term) {
        (void)snprintf(why, n, "snapshot %" PRIu64 ", not %" PRIu64, s->snapshot_index,
                       m->snapshot_index);
        return -1;
    }
    if (s->first + s->count - 1 != m->last || (s->first > m->first && m->last >= m->first)) {
        (void)snprintf(why, n, "entries %" PRIu64 " (%u), not %" PRIu64 "..%" PRIu64, s->first,
                       s->count, m->first, m->last);
        return -1;
    }
    for (raft_index i = m->first; i <= m->last; i++) {
        int rc = compare_entry(w, &s->entries[i - s->first], &m->entries[i], i, why, n);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

void walkit_options(struct raft_wal_options *o, const struct raft_fs *fs, uint64_t segment_bytes,
                    uint64_t salt_seed)
{
    raft_wal_options_init(o);
    o->fs = fs;
    o->cluster_id = 42;
    o->node_id = 7;
    o->segment_bytes = segment_bytes;
    o->salt_seed = salt_seed;
}
