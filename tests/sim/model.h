/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h: plain models that the simulator compares the real code with.
 *
 *   struct elog     a log of entries with their payloads; every entry carries the hash of the whole
 *                   prefix that ends with it, so two logs that agree in one hash agree up to there
 *   struct image    what a member's disk must hold: hard state, snapshot mark, log
 *   struct machine  the replicated state: a hash chain of everything applied and a small table
 *
 * Threads: none.
 */
#ifndef COORD_SIM_MODEL_H
#define COORD_SIM_MODEL_H

#include <coord/raft_storage.h>

#include "tests/sim/util.h"

struct item {
    raft_term term;
    uint64_t chain;      /* hash of entries 1 .. this one */
    const uint8_t *data; /* of the world's arena */
    uint32_t bytes;
    uint8_t type; /* enum raft_entry_type */
};

/* Entries base + 1 .. elog_last. What is at or before base is gone; its hash is kept. */
struct elog {
    raft_index base;
    raft_term base_term;
    uint64_t base_chain;
    struct item *items; /* items[head] is entry base + 1 */
    size_t head;
    size_t count;
    size_t cap;
};

/* The hash of a prefix extended by one entry. */
uint64_t item_chain(uint64_t before, raft_term term, uint8_t type, const void *data,
                    uint32_t bytes);

raft_index elog_last(const struct elog *l);
/* NULL when index is not in the log. Ownership: l's, until its next change. */
const struct item *elog_at(const struct elog *l, raft_index index);
/* Also answers for base; 0 when not known. */
raft_term elog_term(const struct elog *l, raft_index index);
uint64_t elog_chain(const struct elog *l, raft_index index);
/* Append; it->chain is computed. */
void elog_push(struct elog *l, const struct item *it);
/* Forget entries at and after first (first > base). */
void elog_truncate(struct elog *l, raft_index first);
/* Forget entries through index, at most the last. */
void elog_trim(struct elog *l, raft_index index);
/* Empty, standing at index. */
void elog_reset(struct elog *l, raft_index index, raft_term term, uint64_t chain);
void elog_copy(struct elog *to, const struct elog *from);
void elog_finish(struct elog *l);

/* One record on its way to the disk: the WAL's own op and what the models need beside it. */
struct disk_op {
    struct raft_wal_op op;
    uint64_t io_seq;    /* of the persist action that it belongs to */
    uint64_t chain;     /* SNAPMARK: hash of the prefix that the snapshot stands for */
    raft_index compact; /* SNAPMARK */
};

struct image {
    raft_term term;
    raft_id vote;
    raft_index commit;
    raft_index snap_index;
    raft_term snap_term;
    uint64_t snap_chain;
    struct elog log;
};

/* One op has become durable. */
void image_apply(struct image *im, const struct disk_op *op);
void image_copy(struct image *to, const struct image *from);
void image_finish(struct image *im);

/* Does the disk hold the prefix that ends at index with this hash? What the image has discarded
 * behind its snapshot counts as held: the caller checks the snapshot itself. */
int image_holds(const struct image *im, raft_index index, uint64_t chain);

/* Compare with what recovery found. why: receives the first difference (n bytes).
 * Return: 1 when equal. */
int image_matches(const struct image *im, const struct raft_wal_state *found, char *why, size_t n);

#define MACHINE_KEYS 32

struct machine {
    raft_index applied;
    raft_term term;
    uint64_t chain;
    uint64_t values[MACHINE_KEYS];
    uint64_t writes[MACHINE_KEYS];
    uint64_t commands;
};

#define PAYLOAD_MIN 16 /* id and value */

/* The payload of command `id`, `bytes` >= PAYLOAD_MIN long, is written to buf. */
void payload_make(uint8_t *buf, uint32_t bytes, uint64_t id, uint64_t value);
/* Return: the id, or 0 for what is not a payload of ours. */
uint64_t payload_id(const uint8_t *data, uint32_t bytes);

/* Apply entry number m->applied + 1. */
void machine_apply(struct machine *m, const struct item *it);

/* The state as bytes, equal for equal states; pad: extra bytes. */
size_t machine_bytes(uint32_t pad);
void machine_save(const struct machine *m, uint32_t pad, uint8_t *buf);
/* Return: 1, or 0 when the bytes are not such a state. */
int machine_load(struct machine *m, uint32_t pad, const uint8_t *buf, size_t bytes);

#endif
