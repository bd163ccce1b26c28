/* SPDX-License-Identifier: Apache-2.0 */
/*
 * twin.c: is the canonical form (canon.c) as good as the original?
 *
 * A random walk through the worlds of a scope in which every member has a twin that is never
 * rewritten: its clock goes on from where it was, its numbers grow, its rings turn. Both take the
 * same events; their messages and answers must be the same, and the twin, rewritten, must be the
 * member. A field that canon.c forgets to move, or clears though it is read later, shows here.
 * Thread: one.
 */
#include "tests/mc/mc.h"

#include <stdlib.h>
#include <string.h>

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 0x5851f42d4c957f2du + 0x14057b7ef767814fu;
    return *state >> 33;
}

static const char *compare(const struct mc_outcome *a, const struct mc_outcome *b)
{
    if (a->cut != b->cut || (a->broken == NULL) != (b->broken == NULL)) {
        return "one twin breaks a rule or leaves the bounds";
    }
    if (a->sends_count != b->sends_count || a->answers_count != b->answers_count ||
        memcmp(a->sends, b->sends, a->sends_count * sizeof(a->sends[0])) != 0 ||
        memcmp(a->answers, b->answers, a->answers_count * sizeof(a->answers[0])) != 0) {
        return "twins speak differently";
    }
    return a->same || a->member == b->member ? NULL : "twins are different members";
}

struct walk {
    const struct mc_scope *s;
    struct mc_world w;
    struct mc_member *twins[MC_NODES];
    uint64_t random;
};

/* Time passes for all. */
static const char *pass(struct walk *k, const struct mc_action *a)
{
    const char *broken = NULL;
    (void)mc_world_apply(k->s, &k->w, a, &broken);
    for (unsigned i = 0; i < k->s->nodes && broken == NULL; i++) {
        struct mc_outcome raw;
        struct mc_action at = {MC_PASS, (uint8_t)i, k->s->rate[i]};
        if (k->twins[i]->up) {
            mc_event_raw(k->twins[i], 0, &at, &raw);
            broken = raw.member == k->w.member[i] ? raw.broken : "twins are different members";
        }
    }
    return broken;
}

/* One action for both. Return: how they differ, or NULL. */
static const char *step(struct walk *k, const struct mc_action *a)
{
    struct mc_outcome raw;
    const char *broken = NULL;
    if (a->kind == MC_LOSE) {
        (void)mc_world_apply(k->s, &k->w, a, &broken);
        return broken;
    }
    if (a->kind == MC_PASS) {
        return pass(k, a);
    }
    const struct mc_outcome *out =
        mc_event(k->w.member[a->node], (enum mc_kind)a->kind, a->argument);
    if (out->cut || out->broken != NULL) {
        return out->broken;
    }
    mc_event_raw(k->twins[a->node], (raft_ns)12345678901u + 777u * a->node, a, &raw);
    const char *differ = compare(out, &raw);
    if (differ != NULL) {
        return differ;
    }
    (void)mc_world_apply(k->s, &k->w, a, &broken);
    return broken;
}

/* Begin a walk: replay the scope's start on the twins. */
static const char *begin(struct walk *k)
{
    struct mc_world there;
    struct mc_result *r = mc_alloc(sizeof(*r));
    const char *differ = mc_world_start(k->s, &there, r);
    memset(&k->w, 0, sizeof(k->w));
    for (unsigned i = 0; i < k->s->nodes; i++) {
        memset(k->twins[i], 0, mc_member_bytes());
        k->twins[i]->id = (uint8_t)(i + 1);
        k->w.member[i] = mc_member_fresh(i + 1);
    }
    for (unsigned i = 0; i < r->steps_count && differ == NULL; i++) {
        differ = step(k, &r->steps[i]);
    }
    memset(k->w.used, 0, sizeof(k->w.used));
    free(r);
    return differ;
}

static const char *walk(struct walk *k)
{
    struct mc_action list[MC_ACTIONS_MAX];
    const char *differ = begin(k);
    for (unsigned i = 0; i < 60 && differ == NULL; i++) {
        unsigned count = mc_world_actions(k->s, &k->w, list);
        if (count == 0) {
            break;
        }
        differ = step(k, &list[next_random(&k->random) % count]);
    }
    return differ;
}

const char *mc_twins(const struct mc_scope *s, unsigned walks, uint64_t seed)
{
    struct walk *k = mc_alloc(sizeof(*k));
    const char *differ = NULL;
    mc_members_reset(s);
    k->s = s;
    k->random = seed;
    for (unsigned i = 0; i < s->nodes; i++) {
        k->twins[i] = mc_alloc(mc_member_bytes());
    }
    for (unsigned i = 0; i < walks && differ == NULL; i++) {
        differ = walk(k);
    }
    for (unsigned i = 0; i < s->nodes; i++) {
        free(k->twins[i]);
    }
    free(k);
    return differ;
}
