/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusal.c: what servers said for want of a quorum, and which could not be reached: whether a request has been
 * tried everywhere, and how it ends then.
 *
 * Leaves to others: which server comes next (link.c), answers one by one (recv.c).
 * Thread: none; one at a time.
 */
#include "client/core/core_int.h"

#include <assert.h>
#include <string.h>

bool coord__waits_for_quorum(const struct coord__core *k, const struct coord__request *r)
{
    bool once = k->o.policy == COORD_SESSIONS_OFF && r->write && r->unsure;
    return r->wait_quorum && !once;
}

void coord__quorum_missed(struct coord__core *k, const struct coord_result *res)
{
    k->missed_at = k->now;
    k->refused_at[k->link.server] = k->now;
    k->link.refused = true;
    k->link.refused_by = k->link.server;
    k->has_no_quorum = res->has_no_quorum;
    if (res->has_no_quorum) {
        k->no_quorum = res->no_quorum;
    }
}

void coord__quorum_seen(struct coord__core *k)
{
    if (k->missed_at == 0) {
        return;
    }
    k->missed_at = 0;
    memset(k->refused_at, 0, sizeof(k->refused_at));
    k->link.refused = false;
    k->link.rounds = 0;
}

bool coord__may_ask_all(const struct coord__core *k)
{
    return coord__pace_at(k, k->o.servers_count + 1) <= k->now;
}

/* Servers, one bit each, of which that is known since less than what counts as a moment. */
static uint32_t lately(const struct coord__core *k, const uint64_t *since)
{
    uint64_t moment = coord__may_ask_all(k) ? COORD__REFUSAL_NS : COORD__REFUSAL_LONG_NS;
    uint32_t servers = 0;
    for (uint32_t i = 0; i < k->o.servers_count; i++) {
        servers |= (uint32_t)(since[i] != 0 && k->now - since[i] < moment) << i;
    }
    return servers;
}

uint32_t coord__quorum_refusers(const struct coord__core *k)
{
    return lately(k, k->refused_at);
}

static bool are_all(const struct coord__core *k, uint32_t servers)
{
    uint32_t all = (uint32_t)((1ull << k->o.servers_count) - 1);
    return (servers & all) == all;
}

bool coord__tried_everywhere(const struct coord__core *k, const struct coord__request *r)
{
    uint32_t tried = r->refused | r->failed;
    if (r->refused != 0 && !r->unsure) {
        tried |= coord__quorum_refusers(k) | lately(k, k->unreached_at);
    }
    return are_all(k, tried);
}

bool coord__quorum_hopeless(const struct coord__core *k)
{
    uint32_t refusers = coord__quorum_refusers(k);
    return refusers != 0 && are_all(k, refusers | lately(k, k->unreached_at));
}

bool coord__refused_already(struct coord__core *k, struct coord__request *r)
{
    assert(k->link.detached);
    if (r->unsure || coord__waits_for_quorum(k, r) || !coord__quorum_hopeless(k)) {
        return false;
    }
    r->refused |= coord__quorum_refusers(k);
    r->refusal = COORD_ENOQUORUM;
    r->has_no_quorum = k->has_no_quorum;
    r->no_quorum = k->no_quorum;
    coord__complete(k, r, COORD_ENOQUORUM, NULL);
    return true;
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
    k->unreached_at[k->link.server] = k->now;
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
    coord__quorum_missed(k, res);
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
