/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h: the one load generator behind zkload, etcdload and coordload. Everything but the bytes on the wire is
 * shared, so that the systems are measured alike: connections (lanes), requests under way (shots), the clock, the
 * histogram, the phases. What differs is a struct wire; each program links one, under the name load_wire.
 *
 *   main.c     options, what is run
 *   load.c     lanes on one epoll: connect, read, hand to the wire, write
 *   run.c      closed loop: set, create, get, mixed
 *   fanout.c   how soon the last of many watchers is told
 *   attempt.c  how long until a request succeeds again
 *   measure.c  CPU of the servers and of this program, the line of results
 *
 * Invariants
 *   1. A shot is in the free list, or under way on exactly one lane.
 *   2. lane->under_way is the number of shots of that lane; no lane has more than asked for.
 *   3. A lane that broke sends nothing and never comes back; its shots return to the free list.
 *   4. Latency counts from handing the request to the wire to having read its answer.
 * Thread: one.
 */
#ifndef COORD_TESTS_BENCH_LOAD_H
#define COORD_TESTS_BENCH_LOAD_H

#include "client/bench/histogram.h"
#include "tests/bench/bytes.h"

#define LOAD_SERVERS_MAX 8
#define LOAD_PATH_BYTES  64
#define LOAD_VALUE_MAX   (1024 * 1024)
#define NS_PER_MS        1000000ull
#define NS_PER_S         1000000000ull

enum load_op { LOAD_SET, LOAD_CREATE, LOAD_GET, LOAD_MIXED, LOAD_FANOUT, LOAD_ATTEMPT };
enum load_result { RESULT_DONE, RESULT_EXISTS, RESULT_FAILED };

struct load;
struct lane;

/* One request. */
struct shot {
    struct lane *lane;
    struct shot *next; /* in the free list, or behind it on a lane that answers in order */
    enum shot_kind { SHOT_SET, SHOT_CREATE, SHOT_GET, SHOT_WATCH } kind;
    bool linearizable; /* of GET */
    char path[LOAD_PATH_BYTES];
    const uint8_t *value;
    size_t value_bytes;
    uint64_t start_ns;
};

enum lane_state { LANE_CLOSED, LANE_OPENING, LANE_READY, LANE_LEAVING, LANE_GONE, LANE_BROKEN };

/* One connection. */
struct lane {
    struct load *load;
    enum lane_state state;
    int fd;
    size_t server; /* index of the server it talks to */
    bool write_wanted;
    struct bytes in, out;
    size_t out_sent;              /* bytes of out that the socket has taken */
    struct shot *oldest, *newest; /* of a wire that answers in order */
    uint64_t under_way;
    uint64_t touched_ns; /* last sent something */
    /* the wire's own */
    uint64_t number;  /* of the last request */
    uint64_t seen;    /* highest answer */
    uint64_t special; /* of a request without a shot that is not answered yet */
    void *http;
};

/* What one system speaks. Functions queue bytes to lane->out (or keep them until pump) and return 0, or -1 when the
 * lane cannot go on. */
struct wire {
    const char *system;
    bool in_order;      /* answers come in the order of requests: the lane keeps a queue */
    bool watch_once;    /* a watch tells one change and has to be set again */
    bool ready_at_once; /* nothing to say before requests; else lane_ready() is called by input */
    int (*hello)(struct lane *l);
    int (*send)(struct lane *l, struct shot *s);
    int (*input)(
        struct lane *l); /* take what is whole out of lane->in; calls the lane_ functions below */
    int (*ping)(struct lane *l); /* or NULL */
    int (*bye)(struct lane *l);  /* or NULL: closing is enough; lane_left() when it is answered */
    int (*pump)(struct lane *l); /* or NULL: move what is kept elsewhere to lane->out */
    void (*finish)(struct lane *l); /* or NULL: give back what hello took */
};
extern const struct wire load_wire;

/* Called by the wire while it handles input. */
void lane_ready(struct lane *l);
/* code: the system's own word for what went wrong, kept of the first failure. */
void lane_done(struct lane *l, struct shot *s, enum load_result result, int64_t code);
void lane_told(struct lane *l); /* a watch of it has told a change */
void lane_left(struct lane *l);
struct shot *lane_oldest(struct lane *l); /* takes it out of the queue; NULL: none is under way */

struct options {
    enum load_op op;
    const char *op_text;
    uint64_t read_percent; /* of MIXED */
    bool linearizable;
    bool blind; /* new nodes need not be refused when they exist, where that is cheaper */
    struct {
        char host[64];
        uint16_t port;
    } servers[LOAD_SERVERS_MAX];
    size_t servers_count;
    uint32_t pids[LOAD_SERVERS_MAX]; /* of the servers, for their CPU time */
    size_t pids_count;
    uint64_t conns, outstanding, value_bytes, keys, ops, watchers, rounds, kill_pid, limit_ms;
    double secs, warmup;
    const char *prefix; /* of created names */
};

struct load {
    struct options o;
    struct lane *lanes;
    size_t lanes_count;
    struct shot *shots, *free_shots;
    uint8_t *value;
    int epoll;
    struct bytes spare; /* what lanes read into, one after the other */
    uint64_t now_ns;    /* when the bytes being handled were read */
    uint64_t random;
    uint64_t run_id, next_name;
    uint64_t under_way, open_lanes, ready_lanes, left_lanes, broken_lanes;
    const char *broken_why;
    int64_t first_error; /* the system's own code of the first failed operation, 0 none */
    /* what happens with an answer, a told watch; set by the phase that runs */
    void (*on_done)(struct load *ld, struct shot *s, enum load_result result);
    void (*on_told)(struct load *ld, struct lane *l);
    bool stopping;              /* no lane breaking is a surprise now */
    struct histogram histogram; /* nanoseconds */
};

/* --- load.c ------------------------------------------------------------------------------------ */

uint64_t load_clock(void); /* monotonic, nanoseconds */
uint64_t load_random(struct load *ld);
/* Room for lanes and shots, a value of the asked length. Return: 0 or -1 (said on stderr). */
int load_init(struct load *ld, size_t lanes, size_t shots);
void load_finish(struct load *ld);
/* Begin to connect lane i to a server. */
int lane_open(struct load *ld, size_t i, size_t server);
void lane_close(struct lane *l);
/* A free shot, or NULL. */
struct shot *load_shot(struct load *ld);
void load_give_back(struct load *ld, struct shot *s);
/* Send it; it leaves with the next lane_flush, which the end of a lane's input does by itself.
 * Return: 0, or -1 when the lane is broken (the shot is back in the free list). */
int lane_shoot(struct lane *l, struct shot *s);
int lane_flush(struct lane *l);
/* Wait at most so long for something and handle it. Return: 0, or -1 when a lane broke unexpectedly. */
int load_turn(struct load *ld, uint64_t wait_ns);
/* Open all lanes, lane i with server i modulo their number, and wait until they are ready. */
int load_open_all(struct load *ld);
/* End the sessions, so that no server has to find out later; close everything. */
void load_close_all(struct load *ld);
/* Turns until *count is `wanted`, or the deadline has passed: -1, with what on stderr. */
int load_until(struct load *ld, const uint64_t *count, uint64_t wanted, double secs,
               const char *what);

/* --- phases ------------------------------------------------------------------------------------ */

/* The path of key i, and a shot of a kind aimed at it. */
void shot_at_key(struct load *ld, struct shot *s, enum shot_kind kind, uint64_t i);
/* /bench and its keys exist afterwards. */
int run_prepare(struct load *ld, uint64_t keys);
int run_closed(struct load *ld);
int run_fanout(struct load *ld);
int run_attempt(struct load *ld);

/* --- measure.c --------------------------------------------------------------------------------- */

struct usage {
    double server_s, own_s; /* CPU seconds, user and system */
    double machine_s;       /* of all that runs here */
    uint64_t at_ns;
};

void usage_take(const struct options *o, struct usage *ret_u);
/* One line of KEY=VALUE on stdout, with settings, ops, rate, latencies and CPU between the two. */
void report(const struct load *ld, const struct usage *from, const struct usage *to, uint64_t ops,
            uint64_t errors);

#endif
