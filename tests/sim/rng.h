/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.h: the only source of chance of the simulator: a counter run through a 64-bit mixer.
 *
 * Integers only: results must not depend on the compiler's floating point or on libm. Every part of
 * the simulator draws from a stream of its own, so that one more draw in the network does not move
 * the faults of the disk. Threads: none; a stream belongs to one world.
 */
#ifndef COORD_SIM_RNG_H
#define COORD_SIM_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
    int flat; /* no chance: what is likely happens, every delay is its mean, numbers count up */
};

/* A bijection of 64 bits in which every input bit reaches every output bit. */
static inline uint64_t rng_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93U;
    x ^= x >> 29;
    x *= 0xa0761d6478bd642fU;
    x ^= x >> 32;
    return x;
}

static inline uint64_t rng_next(struct rng *r)
{
    if (r->flat) {
        return ++r->state;
    }
    r->state += 0x9e3779b97f4a7c15U;
    return rng_mix(r->state);
}

/* Begin stream number `stream` of a seed. */
static inline void rng_init(struct rng *r, uint64_t seed, uint64_t stream)
{
    r->state = rng_mix(seed + 0x632be59bd9b4e019U) ^ rng_mix(stream * 0x9e3779b97f4a7c15U + 1);
    r->flat = 0;
}

/* Begin a stream without chance. */
static inline void rng_init_flat(struct rng *r)
{
    r->state = 0;
    r->flat = 1;
}

/* 0 .. n - 1; n 0 answers 0. The bias of the modulus is of no interest here. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
    uint64_t x = r->flat ? 0 : rng_next(r);
    return n == 0 ? 0 : x % n;
}

/* lo .. hi, both included. */
static inline uint64_t rng_range(struct rng *r, uint64_t lo, uint64_t hi)
{
    return hi <= lo ? lo : lo + rng_below(r, hi - lo + 1);
}

/* 1 in `permille` of a thousand cases. */
static inline int rng_chance(struct rng *r, uint64_t permille)
{
    return r->flat ? permille >= 500 : rng_below(r, 1000) < permille;
}

/* Close to exponentially distributed with this mean: -log2 of a uniform number, straight lines
 * between the powers of two. At most 45 times the mean. */
static inline uint64_t rng_exp(struct rng *r, uint64_t mean)
{
    if (r->flat) {
        return mean;
    }
    uint64_t u = rng_next(r) | 1;
    uint64_t zeros = (uint64_t)__builtin_clzll(u);
    uint64_t mantissa = ((u << zeros) >> 47) & 0xffff; /* 16 bits behind the leading one */
    uint64_t log2_fixed = ((zeros + 1) << 16) - mantissa;
    return (mean / 1024 + 1) * ((log2_fixed * 710) >> 16); /* 710 / 1024 is ln 2 */
}

#endif
