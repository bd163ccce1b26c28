/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intern.c: numbers for things that are compared often: log prefixes and messages.
 *
 * A log is named by the number of its whole prefix, so "the same entry" and "the same history up to
 * it" are one comparison (the log matching property then reads: equal index and term, equal number).
 * Messages are numbered by content, so a network is a sorted list of numbers.
 *
 * Thread: one. Everything lives until mc_intern_reset.
 */
#include "tests/mc/mc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAINS_MAX 65535u

static struct {
    struct mc_link links[CHAINS_MAX];
    mc_chain child[CHAINS_MAX];   /* first entry after this prefix */
    mc_chain sibling[CHAINS_MAX]; /* another one after the same prefix */
    uint32_t links_count;
    struct mc_msg *msgs;
    uint32_t msgs_count;
    uint32_t msgs_cap;
    uint32_t *table; /* number + 1 of a message, by its fingerprint */
    uint32_t table_cap;
} pool;

void mc_die(const char *why)
{
    (void)fprintf(stderr, "mc: %s\n", why);
    exit(2); /* there is nothing to clean up, and nobody above could go on */
}

void *mc_grow(void *old, size_t bytes)
{
    void *p = realloc(old, bytes);
    if (p == NULL) {
        mc_die("out of memory");
    }
    return p;
}

void *mc_alloc(size_t bytes)
{
    void *p = calloc(1, bytes);
    if (p == NULL) {
        mc_die("out of memory");
    }
    return p;
}

/* --- prefixes ------------------------------------------------------------------------------- */

const struct mc_link *mc_chain_at(mc_chain chain)
{
    return &pool.links[chain];
}

mc_chain mc_chain_child(mc_chain parent, unsigned term, unsigned type, unsigned value)
{
    for (mc_chain c = pool.child[parent]; c != 0; c = pool.sibling[c]) {
        const struct mc_link *l = &pool.links[c];
        if (l->term == term && l->type == type && l->value == value) {
            return c;
        }
    }
    if (pool.links_count == CHAINS_MAX) {
        mc_die("more histories than have numbers: choose a smaller scope");
    }
    mc_chain c = (mc_chain)pool.links_count++;
    pool.links[c] = (struct mc_link){.parent = parent,
                                     .index = (uint8_t)(pool.links[parent].index + 1),
                                     .term = (uint8_t)term,
                                     .type = (uint8_t)type,
                                     .value = (uint8_t)value};
    pool.child[c] = 0;
    pool.sibling[c] = pool.child[parent];
    pool.child[parent] = c;
    return c;
}

mc_chain mc_chain_prefix(mc_chain chain, unsigned index)
{
    while (pool.links[chain].index > index) {
        chain = pool.links[chain].parent;
    }
    return chain;
}

int mc_chain_within(mc_chain a, mc_chain b)
{
    return pool.links[a].index <= pool.links[b].index &&
           mc_chain_prefix(b, pool.links[a].index) == a;
}

/* --- fingerprints --------------------------------------------------------------------------- */

/* Multiply and fold: each step mixes one word into both halves, with different odd constants. */
static uint64_t fold(uint64_t h, uint64_t word, uint64_t by)
{
    h = (h ^ word) * by;
    return h ^ (h >> 29);
}

struct mc_print mc_fingerprint(const void *data, size_t bytes)
{
    const unsigned char *at = data;
    struct mc_print p = {0x6a09e667f3bcc908u ^ bytes, 0xbb67ae8584caa73bu + bytes};
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = 0;
        memcpy(&word, at + i, bytes - i < 8 ? bytes - i : 8);
        p.a = fold(p.a, word, 0x9fb21c651e98df25u);
        p.b = fold(p.b, word, 0xd6e8feb86659fd93u);
    }
    p.a = fold(p.a, p.a >> 32, 0xff51afd7ed558ccdu);
    p.b = fold(p.b, p.b >> 32, 0xc4ceb9fe1a85ec53u);
    p.a ^= p.a >> 32;
    p.b ^= p.b >> 32;
    return p;
}

/* --- messages ------------------------------------------------------------------------------- */

static uint32_t *msg_slot(const struct mc_msg *m)
{
    uint64_t h = mc_fingerprint(m, sizeof(*m)).a;
    for (;; h++) {
        uint32_t *slot = &pool.table[h & (pool.table_cap - 1)];
        if (*slot == 0 || memcmp(&pool.msgs[*slot - 1], m, sizeof(*m)) == 0) {
            return slot;
        }
    }
}

static void msgs_grow(void)
{
    pool.msgs_cap = pool.msgs_cap == 0 ? 4096 : pool.msgs_cap * 2;
    pool.msgs = mc_grow(pool.msgs, pool.msgs_cap * sizeof(pool.msgs[0]));
    free(pool.table);
    pool.table_cap = pool.msgs_cap * 2;
    pool.table = mc_alloc(pool.table_cap * sizeof(pool.table[0]));
    for (uint32_t i = 0; i < pool.msgs_count; i++) {
        *msg_slot(&pool.msgs[i]) = i + 1;
    }
}

uint32_t mc_msg_number(const struct mc_msg *m)
{
    if (pool.msgs_count == pool.msgs_cap) {
        msgs_grow();
    }
    uint32_t *slot = msg_slot(m);
    if (*slot == 0) {
        if (pool.msgs_count >= 1u << 24) {
            mc_die("more messages than have numbers: choose a smaller scope");
        }
        pool.msgs[pool.msgs_count++] = *m;
        *slot = pool.msgs_count;
    }
    return *slot - 1;
}

const struct mc_msg *mc_msg_at(uint32_t number)
{
    return &pool.msgs[number];
}

uint32_t mc_msgs_count(void)
{
    return pool.msgs_count;
}

void mc_intern_reset(void)
{
    free(pool.msgs);
    free(pool.table);
    pool.msgs = NULL;
    pool.table = NULL;
    pool.msgs_count = pool.msgs_cap = pool.table_cap = 0;
    memset(pool.links, 0, sizeof(pool.links));
    memset(pool.child, 0, sizeof(pool.child));
    memset(pool.sibling, 0, sizeof(pool.sibling));
    pool.links_count = 1; /* number 0: the empty log */
}
