/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mix.h: the operations of a load, what each is made of, and mixing them by weights.
 *
 * An operation is one or two actions, each one request (or one call of a recipe):
 *
 *   operation   first       second       latency
 *   delete      create      delete       of the delete; the create is counted as `extra`
 *   rename      rename                   (a node of the shot's own, to and fro; made before: `extra`)
 *   lock        acquire     release      of both
 *   session     open        close        of both
 *   all others  one action
 *
 * Pure. Thread: any.
 */
#ifndef COORD_BENCH_MIX_H
#define COORD_BENCH_MIX_H

#include <stdbool.h>
#include <stdint.h>
#include "client/bench/pick.h"

enum bench_op {
    BENCH_SET = 0,
    BENCH_CREATE,
    BENCH_SEQUENTIAL,
    BENCH_DELETE,
    BENCH_GET,
    BENCH_EXISTS,
    BENCH_STAT,
    BENCH_LIST,
    BENCH_USAGE,
    BENCH_INCREMENT,
    BENCH_TXN,
    BENCH_RENAME,
    BENCH_SYNC,
    BENCH_PING,
    BENCH_LOCK,
    BENCH_SESSION,
    BENCH_OPS
};

enum bench_action {
    ACTION_NONE = 0,
    ACTION_SET,
    ACTION_CREATE,      /* a node of a new name */
    ACTION_CREATE_NEXT, /* a node that the servers number */
    ACTION_CREATE_OWN,  /* the shot's own node, for rename */
    ACTION_DELETE,      /* the node just created */
    ACTION_GET,
    ACTION_EXISTS,
    ACTION_STAT,
    ACTION_LIST,
    ACTION_USAGE,
    ACTION_INCREMENT,
    ACTION_TXN,
    ACTION_RENAME,
    ACTION_SYNC,
    ACTION_PING,
    ACTION_ACQUIRE,
    ACTION_RELEASE,
    ACTION_OPEN,
    ACTION_CLOSE
};

struct bench_op_row {
    const char *name;
    enum bench_action first, second; /* second: ACTION_NONE when there is one action only */
    bool counts_second;              /* the latency is that of the second action alone */
    bool writes;                     /* it needs a session, or goes through the log */
    bool keys;                       /* it uses the nodes /bench/k... */
    bool lib_only;                   /* a recipe: not on lean connections */
    bool wire_only;                  /* the library has no call for it */
};

/* The row of an operation. */
const struct bench_op_row *bench_op_row(enum bench_op op);

struct bench_mix {
    uint64_t weights[BENCH_OPS]; /* 0: not wanted */
    uint64_t sum;
};

/* "set", "mixed:90" (90 % get, the rest set), "get:9,set:1,list:1" (weights 1 .. 1,000,000, default 1).
 * Return: false with *ret_bad at what is not understood. */
bool mix_parse(const char *text, struct bench_mix *ret_mix, const char **ret_bad);

/* The next operation, by weight. */
enum bench_op mix_pick(const struct bench_mix *m, struct pick *random);

/* How many different operations. */
unsigned mix_count(const struct bench_mix *m);

/* Does any wanted operation have that property? (reads: its consistency can be chosen) */
bool mix_reads(const struct bench_mix *m);
bool mix_writes(const struct bench_mix *m);
bool mix_keys(const struct bench_mix *m);

#endif
