/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_internal.h: what the files of server/machine share and nobody else sees.
 */
#ifndef COORD_SERVER_MACHINE_MACHINE_INTERNAL_H
#define COORD_SERVER_MACHINE_MACHINE_INTERNAL_H

#include <assert.h>
#include <stdint.h>
#include <coord/error.h>
#include "server/machine/loader.h"
#include "server/machine/machine.h"
#include "server/machine/saver.h"
#include "server/session/session.h"
#include "server/store/arena.h"
#include "server/store/store.h"

/* All that is replicated. Nothing outside of it may decide what apply does. */
struct machine_state {
    struct machine_limits limits;
    struct pool *pool;
    struct store *store;
    struct sessions *sessions;
    uint64_t revision;
    uint64_t time_ms;
    uint64_t sessions_bytes; /* sum of machine_session_bytes; follows from sessions */
};

struct machine {
    struct machine_state state;

    struct machine_saver *savers[MACHINE_SAVERS_MAX];
    uint32_t savers_count;
    struct store_guard guard; /* of the store while there are any */

    /* What the last machine_apply told. */
    struct coord_buf *body;
    uint64_t *ended;
    uint32_t ended_count;
    uint32_t ended_cap;

    struct coord_buf *results; /* of a transaction, being written */

    /* What the last machine_read told. */
    struct arena read_paths;
    struct coord_list_entry *entries;
    uint32_t entries_cap;
};

/* A request on its way through. */
struct machine_step {
    const struct entry *entry;
    const struct coord_request *q;
    struct session *session; /* NULL: none */
    struct coord_result res;
};

static inline void machine_step_begin(struct machine_step *st, const struct entry *e,
                                      const struct coord_request *q, struct session *s)
{
    st->entry = e;
    st->q = q;
    st->session = s;
    coord_result_clear(&st->res);
}

/* Memory that runs out while applying stops the process: the members that had enough went on. */
static inline void machine_must(int rc)
{
    assert(rc != COORD_ENOMEM);
    (void)rc;
}

/* saver.c: the session is about to change or to go. */
void machine_session_guard(struct machine *m, uint64_t id);

static inline void machine_session_changes(struct machine *m, const struct session *s)
{
    if (__builtin_expect(m->savers_count > 0, 0)) {
        machine_session_guard(m, s->id);
    }
}

/* write.c: one operation on the tree. Return: 0, with its results in st->res, or an error. */
int machine_write(struct machine *m, struct machine_step *st);
/* What a node and all below it hold. */
void machine_usage(const struct znode *node, struct coord_usage *ret_usage);
/* txn.c: Return: 0, also when an operation failed (st->res.failed), or an error of the request's form. */
int machine_txn(struct machine *m, struct machine_step *st);

/* reap.c: a REAP entry. Return: 0, or COORD_EBADREQUEST when its body is malformed. */
int machine_reap(struct machine *m, const struct entry *e);
/* limits.c: Return: 0, or COORD_EBADREQUEST when the body is none. */
int machine_apply_limits(struct machine *m, const struct entry *e);
/* The bytes of the tree, and what a session adds to them, as the high-water mark counts. */
uint64_t machine_tree_bytes(const struct machine_state *st);
uint64_t machine_session_bytes(const struct session *s);
/* The tree had `before` bytes when the request came: may it leave what it made of it?
 * Return: 0 or COORD_ESTOREFULL. */
int machine_growth_admit(const struct machine_state *st, uint64_t before);

/* An empty state. Return: 0 or COORD_ENOMEM, with *ret_st zeroed. */
int machine_state_init(struct machine_state *ret_st);
/* Accepts a zeroed struct. */
void machine_state_finish(struct machine_state *st);

#endif
