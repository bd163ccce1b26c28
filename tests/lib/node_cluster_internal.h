/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_cluster_internal.h: the inside of the ensemble, shared by node_cluster.c (time, members, faults),
 * node_cluster_env.c (their hosts: disk, network, connections) and node_client.c.
 */
#ifndef COORD_TESTS_NODE_CLUSTER_INTERNAL_H
#define COORD_TESTS_NODE_CLUSTER_INTERNAL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_cluster.h"

#define LOG_LINES_MAX  4096
#define SNAPSHOTS_KEPT 2

enum event_kind { EV_MESSAGE = 1, EV_PERSIST, EV_WRITTEN, EV_SAVED, EV_STORED, EV_LOADED, EV_READ };

struct world_event {
    struct world_event *next;
    uint64_t at;
    enum event_kind kind;
    raft_id to;
    raft_id from;
    uint64_t boot; /* of the member it belongs to: a killed member's disk work is lost */
    struct coord_buf *buf;
    struct raft_persist persist;
    struct raft_entry *metas;
    struct coord_buf **payloads;
    struct raft_snapshot meta;
    uint64_t a;
    uint64_t b;
};

struct disk_entry {
    struct raft_entry meta;
    struct coord_buf *payload;
};

struct disk {
    raft_term term;
    raft_id vote;
    raft_index commit;
    raft_index first;
    uint32_t count;
    uint32_t slots;
    struct disk_entry *entries;
    struct raft_snapshot snapshots[SNAPSHOTS_KEPT]; /* newest first */
    struct coord_buf *states[SNAPSHOTS_KEPT];
    struct coord_buf *outgoing; /* a snapshot being written */
    struct coord_buf *incoming;
    uint64_t incoming_id;
    uint32_t saved;
};

/* What the members' clocks show when the simulation begins. */
#define WALL_MS UINT64_C(1700000000000)

struct member {
    struct cluster *cl;
    raft_id id;
    struct node *node;
    uint64_t boot;
    bool dirty;
    uint64_t paused_until;
    bool stalled;
    uint64_t wall_ms;         /* its clock when the simulation began */
    struct world_event *held; /* disk work of a stalled disk, oldest first */
    uint64_t disk_free_at;
    uint64_t snapshot_free_at;
    /* Its clock runs slower by so much since slow_since, when it was slow_lost behind. */
    uint32_t slow_percent;
    uint64_t slow_since;
    uint64_t slow_lost;
    struct disk disk;
    uint32_t cut_asked;
    uint32_t reads; /* of the log, answered */
    uint64_t runs;
    uint32_t sends; /* to clients in this run, and the most in one */
    uint32_t sends_most;
    char *lines[LOG_LINES_MAX];
    uint32_t lines_count;
};

struct cluster {
    struct cluster_options o;
    uint64_t now;
    uint64_t rng;
    uint64_t next_conn;
    uint64_t messages;
    struct world_event *events;
    struct member members[CLUSTER_MEMBERS_MAX];
    bool cut[CLUSTER_MEMBERS_MAX + 1][CLUSTER_MEMBERS_MAX + 1]; /* from, to */
    struct cluster_client *clients[CLUSTER_CLIENTS_MAX];
    uint32_t clients_count;
};

static _Noreturn inline void broken(const char *what)
{
    fprintf(stderr, "node_cluster: %s\n", what);
    abort();
}

static inline void *need(void *p)
{
    if (p == NULL) {
        broken("out of memory");
    }
    return p;
}

static inline uint64_t rnd(struct cluster *cl)
{
    uint64_t z = (cl->rng += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline bool chance(struct cluster *cl, uint32_t percent)
{
    return percent > 0 && rnd(cl) % 100 < percent;
}

static inline struct member *member_of(struct cluster *cl, raft_id id)
{
    if (id == 0 || id > cl->o.members) {
        broken("no such member");
    }
    return &cl->members[id - 1];
}

/* What the member's own clock shows. */
static inline uint64_t cluster__member_now(const struct member *m)
{
    return m->cl->now - m->slow_lost - (m->cl->now - m->slow_since) * m->slow_percent / 100;
}

/* When its clock will show its deadline. */
static inline uint64_t cluster__member_due(const struct member *m)
{
    uint64_t at = node_deadline(m->node);
    uint64_t from = m->slow_since - m->slow_lost;
    if (at == UINT64_MAX || m->slow_percent == 0) {
        return at == UINT64_MAX ? at : at + m->slow_lost;
    }
    return at <= from ? m->slow_since
                      : m->slow_since + (at - from) * 100 / (100 - m->slow_percent) + 1;
}

/* node_cluster_env.c */
void cluster__event_add(struct cluster *cl, struct world_event *e);
void cluster__event_free(struct world_event *e);
void cluster__disk_write(struct disk *d, const struct world_event *e);
void cluster__disk_keep_snapshot(struct disk *d, const struct raft_snapshot *meta,
                                 struct coord_buf *state);
void cluster__disk_free(struct disk *d);
void cluster__fill_env(struct member *m, struct node_env *env);

/* A client's record with a new connection number. */
struct cluster_client *cluster_client_new(struct cluster *cl, raft_id member);
/* The member has events to work on. */
void cluster_touch(struct cluster *cl, raft_id member);

#endif
