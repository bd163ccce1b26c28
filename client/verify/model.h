/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h: a simple store that operations are tried against, shared with nothing of the servers. It
 * can hold any part of the tree: what is not in it constrains nothing, so that a history can be
 * judged piece by piece.
 *
 * A cell is what is known of one thing; there are three roles:
 *   NODE   a node itself: is it there, its value, versions, revisions, owner
 *   KIDS   a node as a parent: is it there, how many children, its counters
 *   KID    a node as a child of its parent: is it there
 * A node can have all three in one model; they are kept in step.
 *
 * What was never seen is unknown, and becomes known by the first answer that shows it: the state
 * before the recording began needs no description. An operation whose answer is not known is tried as
 * if it had succeeded; whether it did is decided by the search.
 *
 * Invariants
 *   1. hash depends on the cells' contents only: equal contents, equal hash; an absent node has one
 *      content.
 *   2. verify_model_undo brings back exactly the state of the mark.
 *   3. A condition that failed while the number it is about was not known excludes nothing later.
 *   4. A step allows everything a correct service may answer in that state. What a model does not
 *      hold is never a reason to refuse.
 *
 * Thread: none; one at a time.
 */
#ifndef COORD_CLIENT_VERIFY_MODEL_H
#define COORD_CLIENT_VERIFY_MODEL_H

#include "client/verify/history.h"

enum verify_role { VERIFY_NODE = 0, VERIFY_KIDS = 1, VERIFY_KID = 2 };

enum verify_presence { VERIFY_MAYBE = 0, VERIFY_ABSENT = 1, VERIFY_PRESENT = 2 };

/* Numbers are VERIFY_UNKNOWN until they are known. */
struct verify_cell {
    uint64_t version;  /* NODE; KIDS: child_version */
    uint64_t created;  /* NODE; KIDS: the sequence counter */
    uint64_t modified; /* NODE; KIDS: child_revision */
    uint64_t owner;    /* NODE, KID: 0 none; KIDS: number of children */
    uint32_t value;    /* NODE */
    uint8_t presence;  /* enum verify_presence */
    uint8_t kind;      /* NODE: enum coord_stat_kind; VERIFY_KIND_UNKNOWN */
};

#define VERIFY_KIND_UNKNOWN 255

struct verify_place {
    uint32_t path;
    uint32_t role; /* enum verify_role */
};

struct verify_undo {
    uint32_t cell;
    struct verify_cell before;
};

struct verify_model {
    const struct verify_history *h;
    struct verify_cell *cells;
    struct verify_place *places; /* of the cells */
    uint32_t count, cells_cap, places_cap;
    uint32_t *slot[3]; /* by role: path to cell + 1; 0 none */
    struct verify_undo *undo;
    uint32_t undo_count, undo_cap;
    uint64_t hash[2];
    bool blind; /* a condition was about something that is not in the model */
    bool out_of_memory;
};

/* For the paths of h, which must not change any more. Return: NULL when memory is out. */
struct verify_model *verify_model_create(const struct verify_history *h);
void verify_model_destroy(struct verify_model *m);

/* Is the path /coord or below it? The service keeps nodes of its own there, which no client made. */
bool verify_is_reserved(const char *path);

/* Hold these places and nothing else. empty: nothing but "/" was there before the history.
 * Return: 0 or COORD_ENOMEM. */
int verify_model_load(struct verify_model *m, const struct verify_place *places, uint32_t count,
                      bool empty);

/* Let op happen now. variant: of a transaction without an answer, the branch that is taken.
 * Return: false when its answer cannot be given in this state; then undo to a mark taken before. */
bool verify_model_step(struct verify_model *m, const struct verify_op *op, uint32_t variant);

static inline uint32_t verify_model_mark(const struct verify_model *m)
{
    return m->undo_count;
}
void verify_model_undo(struct verify_model *m, uint32_t mark);

/* --- for know.c -------------------------------------------------------------------------------- */

/* The cell's number, or VERIFY_NOWHERE. */
static inline uint32_t verify_model_cell(const struct verify_model *m, enum verify_role role,
                                         uint32_t path)
{
    return path == VERIFY_NOWHERE ? VERIFY_NOWHERE : m->slot[role][path] - 1;
}
/* Change a cell. Without memory the model says so and stays as it is. */
void verify_model_put(struct verify_model *m, uint32_t cell, const struct verify_cell *to);
/* What an absent node, or one of which nothing is known, looks like. */
struct verify_cell verify_cell_blank(enum verify_presence presence);
/* Names in the order of a listing: parents before children, children by their bytes. */
int verify_name_compare(const char *a, const char *b);

#endif
