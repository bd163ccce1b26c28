/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h: what a run of bench is asked to do: the command line, checked. Plain data. Thread: any.
 */
#ifndef COORD_BENCH_PLAN_H
#define COORD_BENCH_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include "client/bench/mix.h"
#include "client/bench/pick.h"

#define PLAN_CONNS_MAX 100000u

enum plan_mode {
    PLAN_LOAD = 0, /* requests, closed or open loop: load.c */
    PLAN_WATCH,    /* --watchers: one writer, many watchers: fan.c */
    PLAN_IDLE      /* --sessions: many sessions that do nothing: idle.c */
};

struct plan {
    enum plan_mode mode;
    const char *op_text;
    struct bench_mix mix;
    uint64_t conns, outstanding;
    uint64_t value_min, value_max; /* bytes */
    uint64_t keys;
    const char *keys_text; /* the distribution, as asked for */
    enum pick_kind keys_kind;
    uint64_t keys_param;
    uint64_t secs, warmup;
    uint64_t ops;    /* end after so many; 0: after secs */
    bool secs_given; /* with ops: after secs too, whatever comes first */
    uint64_t rate;   /* open loop; of sessions: opened a second; 0: as fast as it goes */
    uint64_t watchers;
    uint64_t sessions, session_timeout_ms;
    uint64_t sources; /* addresses 127.0.1.x to connect from; 0: whatever the system gives */
    uint64_t seed;
    bool wire;   /* lean connections instead of the library */
    bool series; /* tell the operations of each 100 ms */
    bool no_prepare;
};

/* Return: EXIT_DONE, or EXIT_USAGE with a message; the texts are argv's. */
int plan_parse(int argc, char **argv, struct plan *ret_plan);

#endif
