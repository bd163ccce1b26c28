/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h: the engine of a load: shots on lanes, closed or open loop, and what is measured.
 *
 * Objects
 *   lane   one connection: a handle of the library (lane_lib.c) or a lean connection (lane_wire.c)
 *   shot   one operation under way, or waiting for its turn; belongs to its lane for good, which so never has more than
 *          `outstanding` under way
 *   load   all of a run
 *
 * Closed loop: a shot that is done begins anew at once. Open loop: shots wait in a queue, and whoever has waited longest
 * takes the next request that is due; requests that are due while all shots are under way are late, and their latency
 * counts from when they were due. What is due at the end but could not be sent is counted as `unsent`, with the time it
 * had been waiting by then.
 *
 * Invariants
 *   1. A shot is under way, in the free queue (open loop), or parked (its lane is down).
 *   2. Only operations that end while `measuring` are counted.
 *   3. Transports call load_done once for each act they took, never from inside it.
 * Thread: one.
 */
#ifndef COORD_BENCH_LOAD_H
#define COORD_BENCH_LOAD_H

#include "client/bench/cpu.h"
#include "client/bench/histogram.h"
#include "client/bench/pace.h"
#include "client/bench/plan.h"
#include "client/bench/series.h"
#include "client/cli/cli.h"

#define LOAD_PATH_BYTES 96 /* of a node of the load, with a NUL; without a namespace */

struct load;
struct coord_lock;

struct lane {
    struct load *load;
    void *to;            /* of the transport */
    struct shot *parked; /* waiting for the lane to be up */
    bool down;
    uint64_t retry_ns; /* of the transport */
};

struct shot {
    struct lane *lane;
    struct shot *next;
    uint64_t due_ns; /* latency counts from here */
    uint64_t key, key2;
    uint64_t name; /* of the node it created last */
    uint32_t index;
    enum bench_op op;
    enum bench_action action; /* under way */
    bool own_made, own_moved; /* its own node exists, and has its second name */
    uint64_t watermark;       /* of the transport */
    struct coord_lock *lock;  /* of the library's */
};

/* How requests are carried. All return an exit code, or what is said. */
struct transport {
    const char *name;
    /* Have all lanes up. Says why when it fails. */
    int (*start)(struct load *l);
    /* Send what s->action says. Return: 0: load_done will be called; COORD_EAGAIN: the lane is down, load_up will be
     * called; else an error: it was refused. */
    int (*act)(struct load *l, struct shot *s);
    /* Wait at most timeout_ns for something to come, and handle it. */
    int (*turn)(struct load *l, uint64_t timeout_ns);
    void (*stop)(struct load *l);
};
extern const struct transport lane_lib, lane_wire;

struct load {
    struct cli *cli;
    const struct plan *plan;
    const struct transport *transport;
    void *transport_data;
    struct lane *lanes;
    struct shot *shots, *free_first, *free_last;
    char *value; /* value_max bytes */
    struct pick pick;
    struct pace pace;
    uint64_t run_id;
    uint64_t next_name;
    uint64_t under_way;
    bool measuring, stopping;
    bool draining; /* stopping, but what was due before the end still counts */
    /* the result */
    uint64_t from_ns, to_ns;
    uint64_t done, errors, extra, unsent;
    uint64_t done_of[BENCH_OPS];
    int first_error;
    uint64_t ended_ns; /* when an action ended last */
    struct series series;
    struct histogram *all;           /* nanoseconds */
    struct histogram *of[BENCH_OPS]; /* NULL when there is one operation only */
    struct cpu_servers servers;
    double servers_cpu,
        own_cpu; /* seconds in the measured time; servers': negative when not known */
};

/* Make everything, run, tell. Return: an exit code. */
int load_run(struct cli *cli, const struct plan *plan);

/* The parts of it: a load with everything allocated (NULL: memory is out, said); have it run over its transport and
 * measured (an exit code); free it (NULL is accepted). */
struct load *load_create(struct cli *cli, const struct plan *plan,
                         const struct transport *transport);
int load_execute(struct load *l);
void load_destroy(struct load *l);

/* For transports: s->action has ended. now_ns: when the answer was there. */
void load_done(struct load *l, struct shot *s, int error, uint64_t now_ns);
/* The lane is up (again): what is parked goes on. */
void load_up(struct lane *lane);

/* The path of what s->action is about (of RENAME: from), and of RENAME: to, of TXN: the second node. */
void load_path(const struct shot *s, char path[LOAD_PATH_BYTES]);
void load_path2(const struct shot *s, char path[LOAD_PATH_BYTES]);
/* How many bytes the next value has. */
size_t load_value_bytes(struct load *l);

/* prepare.c: /bench and the nodes a plan uses. Return: an exit code. */
int load_prepare(struct cli *cli, const struct plan *plan);

#endif
