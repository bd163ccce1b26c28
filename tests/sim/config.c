/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c: the simulator's own view of configurations: which one a member's log puts in force, and
 * what a majority of it is. Nothing here asks the core; check_config.c compares the two.
 *
 * A member has a stack of the configurations in its log, as entries come and go; at the bottom lies
 * the one in force where its log begins, from its snapshot or, when it has none, from its first boot.
 * Sets of members are bits by id.
 */
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

void cfg_push(struct node *n, raft_index index, const struct raft_config *c)
{
    struct cfg_stack *s = &n->cfgs;
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 8;
        s->v = sim_realloc(s->v, s->cap * sizeof(s->v[0]));
    }
    s->v[s->count].index = index;
    s->v[s->count++].config = *c;
}

void cfg_reset(struct node *n, raft_index index, const struct raft_config *c)
{
    n->cfgs.count = 0;
    cfg_push(n, index, c);
}

void cfg_truncate(struct node *n, raft_index first)
{
    while (n->cfgs.count > 1 && n->cfgs.v[n->cfgs.count - 1].index >= first) {
        n->cfgs.count--;
    }
}

void cfg_restore(struct node *n, const struct raft_snapshot *snap, int keep)
{
    size_t from = 0;
    while (from < n->cfgs.count && n->cfgs.v[from].index <= snap->index) {
        from++;
    }
    size_t kept = keep ? n->cfgs.count - from : 0;
    struct raft_config_at *later = sim_alloc((kept + 1) * sizeof(later[0]));
    if (kept > 0) {
        memcpy(later, n->cfgs.v + from, kept * sizeof(later[0]));
    }
    cfg_reset(n, snap->config_index, &snap->config);
    for (size_t i = 0; i < kept; i++) {
        cfg_push(n, later[i].index, &later[i].config);
    }
    free(later);
}

const struct raft_config_at *cfg_at(const struct node *n, raft_index index)
{
    size_t i = n->cfgs.count;
    while (i > 1 && n->cfgs.v[i - 1].index > index) {
        i--;
    }
    return i > 0 ? &n->cfgs.v[i - 1] : NULL;
}

const struct raft_config_at *cfg_newest(const struct node *n)
{
    return cfg_at(n, UINT64_MAX);
}

uint32_t cfg_roles(const struct raft_config *c, raft_id id)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->members[i].id == id) {
            return c->members[i].roles;
        }
    }
    return 0;
}

uint32_t cfg_who(const struct raft_config *c, uint32_t roles)
{
    uint32_t who = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        who |= (c->members[i].roles & roles) != 0 ? cfg_bit(c->members[i].id) : 0;
    }
    return who;
}

uint32_t cfg_voters_to_be(const struct raft_config *c)
{
    uint32_t leave = cfg_who(c, RAFT_DEMOTE | RAFT_REMOVE);
    return (cfg_who(c, RAFT_VOTER) & ~leave) | cfg_who(c, RAFT_PROMOTE);
}

int cfg_joint(const struct raft_config *c)
{
    return cfg_who(c, RAFT_VOTER_OLD) != 0;
}

static int majority(uint32_t ids, uint32_t voters)
{
    return __builtin_popcount(ids & voters) * 2 > __builtin_popcount(voters);
}

int cfg_quorum(const struct raft_config *c, uint32_t ids)
{
    uint32_t old = cfg_who(c, RAFT_VOTER_OLD);
    return majority(ids, cfg_who(c, RAFT_VOTER)) && (old == 0 || majority(ids, old));
}

int cfg_equal(const struct raft_config *a, const struct raft_config *b)
{
    return a->count == b->count &&
           memcmp(a->members, b->members, a->count * sizeof(a->members[0])) == 0;
}

void cfg_first(const struct world *w, struct raft_config *ret_config)
{
    *ret_config = (struct raft_config){.count = w->k.voters + w->k.learners};
    for (uint32_t i = 0; i < ret_config->count; i++) {
        ret_config->members[i] =
            (struct raft_member){.id = i + 1, .roles = i < w->k.voters ? RAFT_VOTER : RAFT_LEARNER};
    }
}

int cfg_of_item(const struct item *it, struct raft_config *ret_config)
{
    return it->type == RAFT_ENTRY_CONFIG &&
           raft_config_decode(it->data, it->bytes, ret_config) == 0;
}

size_t cfg_decode_items(const struct item *items, uint32_t count, raft_index first,
                        struct raft_config_at **ret_configs)
{
    size_t found = 0;
    *ret_configs = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct raft_config c;
        if (!cfg_of_item(&items[i], &c)) {
            continue;
        }
        *ret_configs = sim_realloc(*ret_configs, (found + 1) * sizeof(struct raft_config_at));
        (*ret_configs)[found++] = (struct raft_config_at){.index = first + i, .config = c};
    }
    return found;
}
