/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusal.c: what servers said for want of a quorum, and which could not be reached: whether a request has been
 * tried everywhere, and how it ends then.
 *
 * Leaves to others: which server comes next (link.c), answers one by one (recv.c).
 * Thread: none; one at a time.
 */
#include "client/core/core_int.h"

#include <string.h>

bool coord__waits_for_quorum(const struct coord__core *k, const struct coord__request *r)
{
    bool once = k->o.policy == COORD_SESSIONS_OFF && r->write && r->unsure;
    return r->wait_quorum && !once;
}

void coord__quorum_missed(struct coord__core *k)
{
    k->refused_at[k->link.server] = k->now;
}

void coord__quorum_seen(struct coord__core *k)
{
    memset(k->refused_at, 0, sizeof(k->refused_at));
}

uint32_t coord__quorum_refusers(const struct coord__core *k)
{
    uint32_t refusers = 0;
    for (uint32_t i = 0; i < k->o.servers_count; i++) {
        bool lately = k->refused_at[i] != 0 && k->now - k->refused_at[i] < COORD__REFUSAL_NS;
        refusers |= (uint32_t)lately << i;
    }
    return refusers;
}

bool coord__tried_everywhere(const struct coord__core *k, const struct coord__request *r)
{
    uint32_t all = (uint32_t)((1ull << k->o.servers_count) - 1);
    uint32_t tried = r->refused | r->failed;
    if (r->refused != 0 && !r->unsure) {
        tried |= coord__quorum_refusers(k);
    }
    return (tried & all) == all;
}

bool coord__refused_check(struct coord__core *k, struct coord__request *r)
{
    if (!coord__tried_everywhere(k, r)) {
        return false;
    }
    if (r->refused != 0 && coord__waits_for_quorum(k, r)) {
        return false; /* another round */
    }
    if (r->refused != 0) {
        coord__complete(k, r, r->write && r->unsure ? COORD_EINDOUBT : COORD_ENOQUORUM, NULL);
        return true;
    }
    if (r->fail_fast) {
        coord__complete(k, r, r->write && r->unsure ? COORD_EINDOUBT : COORD_ECONNECT, k->why);
        return true;
    }
    return false;
}

void coord__unreached(struct coord__core *k)
{
    for (struct coord__list *at = k->waiting.next; at != &k->waiting;) {
        struct coord__request *r = COORD__ENTRY(at, struct coord__request, link);
        at = at->next;
        if (r->role == COORD__USER) {
            r->failed |= 1u << k->link.server;
            (void)coord__refused_check(k, r);
        }
    }
}

void coord__refuse_waiting(struct coord__core *k, const struct coord_result *res)
{
    coord__quorum_missed(k);
    for (struct coord__list *at = k->waiting.next; at != &k->waiting;) {
        struct coord__request *r = COORD__ENTRY(at, struct coord__request, link);
        at = at->next;
        if (!coord__request_needs_session(r)) {
            continue;
        }
        r->refused |= 1u << k->link.server;
        r->refusal = COORD_ENOQUORUM;
        if (res->has_no_quorum) {
            r->has_no_quorum = true;
            r->no_quorum = res->no_quorum;
        }
        (void)coord__refused_check(k, r);
    }
}
