/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h: what load.c (the records of a saved state) and loader.c (how they come) share and nobody else sees.
 */
#ifndef COORD_SERVER_MACHINE_LOAD_H
#define COORD_SERVER_MACHINE_LOAD_H

#include "server/machine/loader.h"
#include "server/machine/machine_internal.h"

/* The last node seen at a depth. */
struct level {
    struct znode *node;
    struct znode *last_child;
    uint64_t children; /* that its counters call for */
    uint64_t create_revision;
    uint64_t child_revision;
    uint32_t path_bytes;
    enum coord_node_kind kind;
};

/* What comes next. */
enum load_phase {
    LOAD_HEAD = 1,
    LOAD_LIMITS,
    LOAD_SESSIONS, /* a session, or one of its answers */
    LOAD_NODES,
    LOAD_DONE /* nothing may follow */
};

struct machine_loader {
    /* The record at hand, whole but at the very end of what was given. */
    const uint8_t *start;
    const uint8_t *p;
    const uint8_t *end;

    struct machine_state state;
    uint64_t bytes_max;
    uint32_t version;
    uint64_t said_bytes; /* version 1: of the whole */
    uint64_t sessions;   /* still to come; likewise the next two */
    uint64_t nodes;
    uint32_t answers;
    struct session *session; /* the last one */
    uint64_t session_last;   /* its id */
    uint64_t owned;          /* ephemerals that sessions say they have, less those seen */
    bool rooted;             /* "/" has come */
    uint32_t depth;          /* of the last node */
    const char *wrong;       /* NULL: nothing yet */

    enum load_phase phase;
    int error;
    uint64_t passed; /* bytes of the records before the one at hand */
    uint8_t *carry;  /* the beginning of a record whose rest is still to come */
    size_t carry_bytes;
    size_t carry_room;

    struct level level[STORE_DEPTH_MAX + 1]; /* from here on: large, and set before it is read */
    char path[COORD_PATH_BYTES_MAX + COORD_NAME_BYTES_MAX + 1];
};

/* Return: COORD_EPROTO, with the reason noted. */
int load_refuse(struct machine_loader *l, const char *wrong);

/* Each takes one record from l->p. Return: 0, COORD_EPROTO or COORD_ENOMEM. */
int load_head(struct machine_loader *l);
int load_limits(struct machine_loader *l);
int load_session(struct machine_loader *l);
int load_answer(struct machine_loader *l); /* of the last session */
int load_node(struct machine_loader *l, bool first);
/* Behind the last node: does all of it fit together? */
int load_close(struct machine_loader *l);

#endif
