/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c: configurations as numbers, which one stands on a log prefix, and what a majority of one is.
 *
 * Majorities are counted here anew, from the roles alone: what the core counts is what is checked.
 *
 *   S6  At a leader, configurations follow each other so that any quorum of one and any quorum of the
 *       next have a member in common (Raft section 6); a joint one is left before it is replaced; the
 *       one before is committed, and something of the own term is (that much is checked in host.c).
 *
 * Thread: one. Numbers live until mc_configs_reset.
 */
#include "tests/mc/mc.h"

#include <string.h>

#define CONFIGS_MAX 200u

static struct {
    struct mc_config configs[CONFIGS_MAX];
    unsigned count;
    uint8_t follows[CONFIGS_MAX][CONFIGS_MAX]; /* 0 unknown, 1 may, 2 may not */
} pool;

static unsigned number_of(const struct mc_config *c)
{
    for (unsigned i = 0; i < pool.count; i++) {
        if (memcmp(&pool.configs[i], c, sizeof(*c)) == 0) {
            return i;
        }
    }
    if (pool.count == CONFIGS_MAX) {
        mc_die("more configurations than have numbers: choose a smaller scope");
    }
    pool.configs[pool.count] = *c;
    return pool.count++;
}

void mc_configs_reset(const struct mc_scope *s)
{
    struct mc_config none = {0};
    struct mc_config first = {.voters = s->voters};
    if (s->voters == 0) {
        first.voters = (uint8_t)((1u << s->nodes) - 1);
    }
    memset(&pool, 0, sizeof(pool));
    (void)number_of(&none);
    (void)number_of(&first);
}

unsigned mc_config_number(const struct raft_config *c)
{
    struct mc_config sets = {0};
    for (uint32_t i = 0; i < c->count; i++) {
        const struct raft_member *m = &c->members[i];
        unsigned bit = 1u << (m->id - 1);
        sets.voters |= (uint8_t)((m->roles & RAFT_VOTER) != 0 ? bit : 0);
        sets.old |= (uint8_t)((m->roles & RAFT_VOTER_OLD) != 0 ? bit : 0);
        sets.learners |= (uint8_t)((m->roles & RAFT_LEARNER) != 0 ? bit : 0);
        sets.promote |= (uint8_t)((m->roles & RAFT_PROMOTE) != 0 ? bit : 0);
        sets.demote |= (uint8_t)((m->roles & RAFT_DEMOTE) != 0 ? bit : 0);
        sets.remove |= (uint8_t)((m->roles & RAFT_REMOVE) != 0 ? bit : 0);
    }
    return number_of(&sets);
}

const struct mc_config *mc_config_at(unsigned number)
{
    return &pool.configs[number];
}

void mc_config_fill(unsigned number, struct raft_config *ret)
{
    const struct mc_config *c = &pool.configs[number];
    memset(ret, 0, sizeof(*ret));
    for (unsigned i = 0; i < MC_NODES; i++) {
        uint32_t roles = 0;
        roles |= (c->voters >> i & 1) != 0 ? (uint32_t)RAFT_VOTER : 0;
        roles |= (c->old >> i & 1) != 0 ? (uint32_t)RAFT_VOTER_OLD : 0;
        roles |= (c->learners >> i & 1) != 0 ? (uint32_t)RAFT_LEARNER : 0;
        roles |= (c->promote >> i & 1) != 0 ? (uint32_t)RAFT_PROMOTE : 0;
        roles |= (c->demote >> i & 1) != 0 ? (uint32_t)RAFT_DEMOTE : 0;
        roles |= (c->remove >> i & 1) != 0 ? (uint32_t)RAFT_REMOVE : 0;
        if (roles != 0) {
            ret->members[ret->count++] = (struct raft_member){i + 1, roles};
        }
    }
}

unsigned mc_config_on(mc_chain chain, unsigned *ret_index)
{
    *ret_index = 0;
    while (chain != 0) {
        const struct mc_link *l = mc_chain_at(chain);
        if (l->type == RAFT_ENTRY_CONFIG) {
            *ret_index = l->index;
            return l->value;
        }
        chain = l->parent;
    }
    return MC_CONFIG_FIRST;
}

static int majority(unsigned members, unsigned of)
{
    return __builtin_popcount(members & of) * 2 > __builtin_popcount(of);
}

int mc_config_quorum(const struct mc_config *c, unsigned members)
{
    return majority(members, c->voters) && (c->old == 0 || majority(members, c->old));
}

/* 1 when two quorums have nobody in common. */
static int may_split(const struct mc_config *a, const struct mc_config *b)
{
    const unsigned all = (1u << MC_NODES) - 1;
    for (unsigned some = 0; some <= all; some++) {
        if (mc_config_quorum(a, some) && mc_config_quorum(b, all & ~some)) {
            return 1;
        }
    }
    return 0;
}

const char *mc_config_follows(unsigned before, unsigned next)
{
    const struct mc_config *a = &pool.configs[before];
    const struct mc_config *b = &pool.configs[next];
    uint8_t *known = &pool.follows[before][next];
    if (*known == 0) {
        *known = may_split(a, b) ? 2 : 1;
    }
    if (*known == 2) {
        return "S6: quorums of consecutive configurations have nobody in common";
    }
    if (a->old != 0 && (b->old != 0 || b->voters != a->voters)) {
        return "S6: a joint configuration is not left for what it leads to";
    }
    return b->voters == 0 ? "S6: nobody votes" : NULL;
}
