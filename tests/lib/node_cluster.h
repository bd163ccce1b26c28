/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_cluster.h: an ensemble of real nodes in one thread with simulated time, network, disks and
 * clients, for unit tests of server/node. Clients speak the bytes of the protocol.
 *
 * Time only moves in cluster_run*. A message takes net_ns, a persist action disk_ns; links can be cut,
 * members killed and booted again from what their disk had completed. Everything is deterministic.
 *
 * Failures of the harness itself (a malformed reply, an env call that makes no sense) abort.
 * Threads: one.
 */
#ifndef COORD_TESTS_NODE_CLUSTER_H
#define COORD_TESTS_NODE_CLUSTER_H

#include <stdbool.h>
#include "server/node/node.h"

#define CLUSTER_MEMBERS_MAX 5
#define CLUSTER_CLIENTS_MAX 8192
#define CLUSTER_MS          UINT64_C(1000000)
#define CLUSTER_S           UINT64_C(1000000000)

struct cluster_frame {
    struct cluster_frame *next;
    uint64_t at;            /* when it was handed over */
    uint64_t number;        /* 0: an event */
    struct coord_buf *body; /* without the length */
};

/* A client's connection. */
struct cluster_client {
    struct cluster *cl;
    uint64_t conn;
    raft_id member;
    bool open;
    bool paused;
    bool stalled;     /* it reads nothing: client_stall */
    uint32_t dozes;   /* how often the member said that it dozes, or no more ... */
    uint64_t doze_ns; /* ... and what it said last */
    char close_why[128];
    uint64_t next_number;
    struct cluster_frame *first; /* received, in order */
    struct cluster_frame *last;
    uint32_t frames;
};

struct cluster_options {
    uint32_t members;
    uint64_t net_ns;       /* default 1 ms */
    uint64_t disk_ns;      /* default 0.2 ms */
    uint64_t snapshot_ns;  /* of a part of a snapshot, one after the other; default 0: disk_ns */
    uint32_t loss_percent; /* of messages between members */
    uint32_t duplicate_percent;
    uint32_t reorder_percent; /* delayed by up to 10 x net_ns more */
    uint64_t seed;
    bool no_log_read;         /* the host cannot read entries again: they stay in memory */
    struct node_options node; /* members, cluster and raft.id are filled in */
    /* Called at each boot, for members whose files differ; may be NULL. */
    void (*tune)(raft_id id, struct node_options *o);
};

struct cluster;

void cluster_options_init(struct cluster_options *o, uint32_t members);
struct cluster *cluster_create(const struct cluster_options *o);
void cluster_destroy(struct cluster *cl);

uint64_t cluster_now(const struct cluster *cl);
/* Let time pass. */
void cluster_run(struct cluster *cl, uint64_t ns);
/* Until ready(arg), at most ns. Return: false when it never was. */
bool cluster_run_until(struct cluster *cl, bool (*ready)(void *arg), void *arg, uint64_t ns);
/* Until some member leads and is ready. Return: its id, 0 after ns. */
raft_id cluster_wait_leader(struct cluster *cl, uint64_t ns);
/* The member that leads in the highest term among the running ones, 0 none. */
raft_id cluster_leader(struct cluster *cl);
/* The first running member that is not `id`. */
raft_id cluster_other(struct cluster *cl, raft_id id);
/* Until all running members applied the same index and hold the same state. */
bool cluster_wait_equal(struct cluster *cl, uint64_t ns);

struct node *cluster_node(struct cluster *cl, raft_id id);
void cluster_kill(struct cluster *cl, raft_id id);
/* Boot from the disk. Return: node_create's. */
int cluster_boot(struct cluster *cl, raft_id id);
/* Cut or mend the link both ways; told: the members notice that it broke. */
void cluster_link(struct cluster *cl, raft_id a, raft_id b, bool up, bool told);
/* Cut only what a sends to b. */
void cluster_cut_one_way(struct cluster *cl, raft_id a, raft_id b);
void cluster_isolate(struct cluster *cl, raft_id id, bool told);
void cluster_heal(struct cluster *cl);
/* Boot whoever is down, mend all links, let all disks go on. A boot must succeed. */
void cluster_mend(struct cluster *cl);
/* The member's loop does not run until then. */
void cluster_pause(struct cluster *cl, raft_id id, uint64_t ns);
/* Its wall clock differs from the others' by so much from now on. */
void cluster_clock(struct cluster *cl, raft_id id, int64_t ahead_ms);
/* From now on its clock runs slower than the others', by so much. */
void cluster_slow_clock(struct cluster *cl, raft_id id, uint32_t percent);
/* What a member's own clock shows. */
uint64_t cluster_member_now(struct cluster *cl, raft_id id);
/* Its disk completes nothing while stalled. */
void cluster_stall_disk(struct cluster *cl, raft_id id, bool stalled);
/* One fault at a member, which one and how long says `draw`: killed (unless it is the last that runs), cut
 * off both ways or in one direction, paused, or its disk stalled. */
void cluster_disturb(struct cluster *cl, raft_id id, uint64_t draw);
/* From now on a part of a snapshot takes every disk so long, one after the other (snapshot_ns). */
void cluster_snapshot_time(struct cluster *cl, uint64_t ns);
/* Iterations of a member's loop so far. */
uint64_t cluster_runs(struct cluster *cl, raft_id id);
/* The most conn_send there were in one node_run of a member. */
uint32_t cluster_sends_most(struct cluster *cl, raft_id id);
/* Log lines of a member that contain text. */
uint32_t cluster_log_count(struct cluster *cl, raft_id id, const char *text);
/* Messages sent between members so far. */
uint64_t cluster_messages(const struct cluster *cl);
/* What the last PARTITION asked of a member: count of peers, UINT32_MAX when there was none. */
uint32_t cluster_partition_count(struct cluster *cl, raft_id id);
/* The oldest entry on its disk, and how many snapshots it has saved. */
uint32_t cluster_snapshots(struct cluster *cl, raft_id id);

/* How often a member asked for entries of its log again, and was answered. */
uint32_t cluster_log_reads(struct cluster *cl, raft_id id);

/* --- clients --------------------------------------------------------------------------------- */

struct cluster_client *client_connect(struct cluster *cl, raft_id member);
/* It leaves so much unread that the host says full and behind; or has read it all again. */
void client_stall(struct cluster_client *c, bool stalled);
/* The client hangs up. */
void client_close(struct cluster_client *c);
/* Send q; its number is filled in when it is 0. Return: the number. */
uint64_t client_send(struct cluster_client *c, struct coord_request *q);
/* Send a frame body as it is. */
void client_send_raw(struct cluster_client *c, const void *body, size_t len);
/* The reply to a number, if it is here. */
bool client_has(struct cluster_client *c, uint64_t number);
/* Wait for it and decode it; pointers in it live as long as the client. op: of the request.
 * Return: its error, or COORD_ETIMEOUT after ns. */
int client_wait(struct cluster_client *c, uint64_t number, enum coord_op op,
                struct coord_result *ret, uint64_t ns);
/* Send and wait at most 5 s. */
int client_call(struct cluster_client *c, struct coord_request *q, struct coord_result *ret);

/* HELLO without a session. */
int client_hello(struct cluster_client *c);
/* HELLO with one; ret_state may be NULL. */
int client_resume(struct cluster_client *c, uint64_t session, const uint8_t *secret,
                  uint32_t *ret_state);
/* HELLO and SESSION_OPEN. secret: receives COORD_SECRET_BYTES. Return: the session, 0 on failure. */
uint64_t client_open_session(struct cluster_client *c, uint64_t timeout_ms, uint8_t *secret);

int client_create(struct cluster_client *c, const char *path, const char *data, uint32_t flags);
int client_set(struct cluster_client *c, const char *path, const char *data);
/* Return: 0, or an error; 1 when the data differs from `expect`. */
int client_get(struct cluster_client *c, const char *path, const char *expect);
int client_ping(struct cluster_client *c);

/* The i-th event frame received, decoded; false when there are fewer. ret_position: how many frames
 * stood before it in the stream. */
bool client_event(struct cluster_client *c, uint32_t i, struct coord_event *ret,
                  uint32_t *ret_position);
/* Position of the reply to number in the stream; UINT32_MAX when it is not here. */
uint32_t client_position(struct cluster_client *c, uint64_t number);

struct coord_bytes bytes_of(const char *s);

#endif
