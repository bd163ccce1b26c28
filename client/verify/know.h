/* SPDX-License-Identifier: Apache-2.0 */
/*
 * know.h: what an answer makes known of a model, and what a change does to its cells; for the files
 * of client/verify that say what operations do (step.c, create.c, read.c).
 *
 * A function that is told something returns false when the model knows otherwise; the caller undoes.
 *
 * Thread: none; one at a time.
 */
#ifndef COORD_CLIENT_VERIFY_KNOW_H
#define COORD_CLIENT_VERIFY_KNOW_H

#include "client/verify/model.h"

/* One action on its way. */
struct verify_step {
    const struct verify_action *a;
    bool answered;
    uint64_t token; /* revision of the change; VERIFY_UNKNOWN */
    uint64_t session;
};

/* A number that was seen. Return: false when another one is known. */
static inline bool verify_learn(uint64_t *known, uint64_t seen)
{
    if (seen == VERIFY_UNKNOWN || *known == seen) {
        return true;
    }
    bool was_unknown = *known == VERIFY_UNKNOWN;
    *known = seen;
    return was_unknown;
}

static inline uint64_t verify_plus(uint64_t known, uint64_t more)
{
    return known == VERIFY_UNKNOWN ? known : known + more;
}

static inline uint32_t verify_parent_of(const struct verify_model *m, uint32_t path)
{
    return m->h->paths[path].parent;
}

/* --- know.c ------------------------------------------------------------------------------------ */

/* Cell i, which may be VERIFY_NOWHERE, is there, or not. */
bool verify_learn_presence(struct verify_model *m, uint32_t i, bool there);
/* The node was seen to be there, or not: in all its cells. */
bool verify_seen(struct verify_model *m, uint32_t path, bool there);
bool verify_seen_value(struct verify_model *m, uint32_t path, uint32_t value);
/* The stat of a node that is there. */
bool verify_seen_stat(struct verify_model *m, uint32_t path, const struct verify_stat *s);
/* All children of path, as far as they are held, are not there. */
bool verify_no_children(struct verify_model *m, uint32_t path);
/* A child came (by 1) or went (by -1), or may have (by 0). */
void verify_count_children(struct verify_model *m, uint32_t parent, int by, uint64_t token);
/* A node comes into being, of which no cell says that it is there. */
void verify_appear(struct verify_model *m, uint32_t path, const struct verify_cell *node);
void verify_disappear(struct verify_model *m, uint32_t path);

/* --- create.c, read.c -------------------------------------------------------------------------- */

bool verify_step_create(struct verify_model *m, const struct verify_step *s);
bool verify_step_read(struct verify_model *m, const struct verify_step *s);

#endif
