/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.h: who watches what. A target is a watched path; a group is all watches of one target that
 * want the same (depth, kinds, value, previous value) and thus always get the same events. Finding whom
 * a change concerns is a probe for its path, its parent and its other ancestors, and yields groups.
 *
 * Invariants
 *   1. Every watch is in the index by (connection, number), in the list of its connection, in that of
 *      its group, and in that of all watches; the lists are in order of registration.
 *   2. There is no connection, no group and no target without a watch.
 *
 * Threads: none; one owner.
 */
#ifndef COORD_SERVER_WATCH_REGISTRY_H
#define COORD_SERVER_WATCH_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>
#include "protocol/message.h"
#include "server/store/slots.h"

#define REGISTRY_DEPTHS 3
#define NO_MATCH        UINT32_MAX

struct group;

struct watch_conn {
    uint64_t conn;
    uint64_t count;
    struct watch *first;
    bool behind; /* its sink took a frame no more: nothing is handed over before watch_catch_up */
};

struct watch {
    uint64_t conn;
    uint64_t number;
    uint64_t told; /* revision of the last thing it was told */
    struct group *group;
    struct watch_conn *owner;
    struct watch *group_prev, *group_next;
    struct watch *conn_prev, *conn_next;
    struct watch *all_prev, *all_next;
    bool once;
    bool heard; /* an event since the last progress mark */
    bool lost;  /* an event was left out: to be told GAP */
};

struct target {
    struct group *groups;
    uint32_t hash;
    uint32_t path_bytes;
    uint8_t path[];
};

struct group {
    struct target *target;
    struct group *prev, *next;
    struct watch *first, *last;
    enum coord_depth depth;
    uint32_t kinds;
    uint32_t flags; /* COORD_WATCH_VALUE, COORD_WATCH_PREVIOUS */

    /* While a revision is published: its changes for this group, a chain in the hub's matches. */
    uint32_t match_first, match_last;
    uint32_t match_count;
};

struct registry {
    struct slots targets;
    struct slots watches;
    struct slots conns;
    struct watch *first, *last;
    uint64_t count;
    uint64_t by_depth[REGISTRY_DEPTHS];
};

void registry_init(struct registry *r);
void registry_finish(struct registry *r);

struct watch *registry_find(const struct registry *r, uint64_t conn, uint64_t number);
struct watch_conn *registry_conn(const struct registry *r, uint64_t conn);
struct target *registry_target(const struct registry *r, const uint8_t *path, uint32_t path_bytes);

/* Add a watch for q. One with its number may be there still: the caller removes it.
 * Errors: COORD_ENOMEM, with nothing changed. Return: 0 or negative. */
int registry_add(struct registry *r, uint64_t conn, const struct coord_request *q,
                 struct watch **ret_w);

/* Remove and free it, and its group and target when it was their last. */
void registry_remove(struct registry *r, struct watch *w);

/* Does the group want a change of this kind at this path? */
bool group_wants(const struct group *g, enum coord_change_kind kind, struct coord_bytes path);

#endif
