/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_int.h: what the files that make a plan share: plan.c, touch.c, alone.c. Nobody else includes it.
 *
 * Thread: none; one at a time.
 */
#ifndef COORD_CLIENT_VERIFY_PLAN_INT_H
#define COORD_CLIENT_VERIFY_PLAN_INT_H

#include "client/verify/model.h"
#include "client/verify/plan.h"

/* An object: 2 * path for NODE, 2 * path + 1 for KIDS. */
#define NODE(path)   (2 * (path))
#define KIDS(path)   (2 * (path) + 1)
#define PATH_OF(obj) ((obj) / 2)
#define IS_KIDS(obj) (((obj)&1) != 0)

struct verify_member {
    uint32_t root;
    const struct verify_op *op;
};

/* An ephemeral node: who owns it. */
struct verify_owned {
    uint64_t session; /* VERIFY_UNKNOWN: its create has no answer */
    uint32_t client;
    uint32_t path;
    bool deleted; /* by somebody, so it did not go with its session */
    const struct verify_op *made;
};

struct verify_session_use {
    uint64_t session;
    uint64_t last; /* call of its last write that was answered */
};

struct verify_planner {
    struct verify_plan *plan;
    uint32_t *changes; /* by path: creates and deletes of children */
    uint8_t *shown;    /* by path: somebody saw something of its children */
    uint8_t *goes;     /* by path: it may be deleted, or go by itself */
    uint8_t *vague;    /* by path: its children are not judged, see note_vague */
    uint8_t *implied;  /* by path: a create with COORD_PARENTS may have made it */
    uint32_t *creates; /* by path */
    uint32_t *deletes; /* by path, answered with success */
    uint32_t *next;    /* by path: the next child of the same parent; first: by parent */
    uint32_t *first;
    uint32_t *leader; /* by object: union-find */
    uint8_t *used;    /* by object: some operation takes part */
    struct verify_member *members;
    uint32_t members_count, members_cap;
    uint32_t *touched;
    uint32_t touched_count, touched_cap;
    struct verify_owned *owned;
    uint32_t owned_count, owned_cap;
    struct verify_session_use *uses;
    uint32_t uses_count, uses_cap;
    bool renames; /* something was moved */
    bool out_of_memory;
};

static inline uint32_t parent_of(const struct verify_planner *w, uint32_t path)
{
    return w->plan->h->paths[path].parent;
}

/* What is below /coord changes without a write of any client: nothing is said about it. */
static inline bool in_scope(const struct verify_planner *w, uint32_t path)
{
    return verify_path_within(w->plan->h, path, w->plan->within) &&
           !verify_is_reserved(w->plan->h->paths[path].text);
}

/* The path at which a creates a node; VERIFY_NOWHERE when it is not known. (touch.c) */
uint32_t verify_planner_made(const struct verify_action *a, bool answered);

/* All objects that op touches, in w->touched. (touch.c) */
void verify_planner_touch(struct verify_planner *w, const struct verify_op *op);
/* The objects in w->touched are one from now on. (touch.c) */
void verify_planner_join(struct verify_planner *w);
/* The object that stands for all that were joined with this one. (touch.c) */
uint32_t verify_planner_leader(struct verify_planner *w, uint32_t object);

/* When each session was last known to live; before verify_planner_ends. (alone.c) */
void verify_planner_sessions(struct verify_planner *w);
/* Make up the end of each node that op's action a made and that may go by itself. (alone.c) */
void verify_planner_transient(struct verify_planner *w, const struct verify_op *op,
                              const struct verify_action *a);
/* Make up the ends of the sessions that own nodes; after all of these. (alone.c) */
void verify_planner_ends(struct verify_planner *w);

#endif
