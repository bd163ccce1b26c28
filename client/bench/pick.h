/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pick.h: what a load asks for next: random numbers, keys by a distribution, sizes of values.
 *
 * Distributions of keys 0 .. keys - 1
 *   uniform      each as likely as any other
 *   seq          0, 1, 2 ... and from the start again
 *   zipf[:T]     key r with a likelihood of 1 / (r + 1)^(T/100), T 1 .. 99, default 99: few keys get most.
 *                The constant-time approximation of Gray et al., "Quickly generating billion-record synthetic
 *                databases" (SIGMOD 1994)
 *   hot[:P]      P % (1 .. 100, default 90) of all requests to key 0, the others uniform over the rest
 *
 * Deterministic from the seed. Pure. Thread: the owner's.
 */
#ifndef COORD_BENCH_PICK_H
#define COORD_BENCH_PICK_H

#include <stdbool.h>
#include <stdint.h>

enum pick_kind { PICK_UNIFORM = 0, PICK_SEQUENTIAL, PICK_ZIPF, PICK_HOT };

struct pick {
    enum pick_kind kind;
    uint64_t param; /* of zipf: theta in hundredths; of hot: percent */
    uint64_t keys;
    uint64_t random; /* state of the generator, never 0 */
    uint64_t next;   /* seq */
    /* zipf */
    double alpha, zeta, eta, second;
};

/* "zipf:80" -> kind and param. Return: false when it is none of the above. */
bool pick_parse(const char *text, enum pick_kind *ret_kind, uint64_t *ret_param);

/* keys >= 1. Costs O(keys) for zipf: it sums up the likelihoods. */
void pick_init(struct pick *p, enum pick_kind kind, uint64_t param, uint64_t keys, uint64_t seed);

/* The next key, below p->keys. */
uint64_t pick_key(struct pick *p);

/* A number below n (n >= 1), each as likely; the bias is below n / 2^64. */
uint64_t pick_below(struct pick *p, uint64_t n);

/* A number min .. max. */
uint64_t pick_between(struct pick *p, uint64_t min, uint64_t max);

#endif
