/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walkit.h: what the tests of the write-ahead log share: a model of a log, and operations on both.
 *
 * The model is the plain meaning of the operations: an array of entries. Payloads are a function of
 * index and term, so that the model need not keep them. Thread: one.
 */
#ifndef COORD_TESTS_WALKIT_H
#define COORD_TESTS_WALKIT_H

#include <coord/raft_storage.h>

#define WALKIT_ENTRIES_MAX 4096
#define WALKIT_OPS_MAX     64
#define WALKIT_BYTES_MAX   8192

struct walkit_model {
    raft_term term;
    raft_id vote;
    raft_index commit;
    raft_index snapshot_index;
    raft_term snapshot_term;
    raft_index first; /* what must be there; the log may still have older ones */
    raft_index last;
    struct raft_entry entries[WALKIT_ENTRIES_MAX]; /* by index */
};

/* Operations to be written together; payloads are kept in here. */
struct walkit_batch {
    uint32_t count;
    struct raft_wal_op ops[WALKIT_OPS_MAX];
    uint8_t data[WALKIT_OPS_MAX][WALKIT_BYTES_MAX];
};

void walkit_model_init(struct walkit_model *m);

/* What op means. */
void walkit_model_apply(struct walkit_model *m, const struct raft_wal_op *op);

void walkit_hardstate(struct walkit_batch *b, raft_term term, raft_id vote, raft_index commit);
void walkit_entry(struct walkit_batch *b, raft_index index, raft_term term, uint32_t bytes);
void walkit_snapmark(struct walkit_batch *b, raft_index index, raft_term term);

/* Write b; on success the model takes it over. Return: of raft_wal_write. */
int walkit_write(struct raft_wal *w, struct walkit_model *m, const struct walkit_batch *b);

/* Does the log that was just opened hold exactly what the model says? Payloads are read and compared.
 * Return: 0, or -1 with a sentence in why. */
int walkit_compare(struct raft_wal *w, const struct walkit_model *m, char *why, size_t n);

/* Options for tests: small segments, member 7 of cluster 42. */
void walkit_options(struct raft_wal_options *o, const struct raft_fs *fs, uint64_t segment_bytes,
                    uint64_t salt_seed);

/* The next number of the stream *state. */
uint64_t walkit_draw(uint64_t *state);

#endif
