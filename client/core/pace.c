/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.c: how many connections a client may begin, whatever is asked of it. A bucket holds COORD__PACE_AT_ONCE of
 * them for each server and is filled with COORD__PACE_STEADY for each in a period; each connection takes one. What
 * is missing from a full bucket is kept as the time at which it is full again.
 *
 * Invariant: in any time t no more than servers * (AT_ONCE + STEADY * t / period) connections begin, beside one for
 * each session that the servers ended as asked: with the default options ten times as many in a second as there are
 * servers, and four times as many in the long run.
 *
 * Leaves to others: what is done meanwhile (link.c, refusal.c).
 * Thread: none; one at a time.
 */
#include "client/core/core_int.h"

#include <assert.h>

static uint64_t cost(const struct coord__core *k)
{
    uint64_t period = k->o.backoff_max_ms * COORD__NS_PER_MS;
    period = period < COORD__PACE_NS ? period : COORD__PACE_NS;
    period = period > COORD__PACE_LEAST_NS ? period : COORD__PACE_LEAST_NS;
    return period / (COORD__PACE_STEADY * k->o.servers_count);
}

uint64_t coord__pace_at(const struct coord__core *k, uint32_t connections)
{
    uint32_t most = COORD__PACE_AT_ONCE * k->o.servers_count;
    assert(connections >= 1 && connections <= most);
    uint64_t ahead = (most - connections) * cost(k);
    return k->full_at <= k->now + ahead ? k->now : k->full_at - ahead;
}

void coord__pace_take(struct coord__core *k)
{
    assert(coord__pace_at(k, 1) == k->now);
    k->full_at = (k->full_at > k->now ? k->full_at : k->now) + cost(k);
}

void coord__pace_give_back(struct coord__core *k)
{
    uint64_t one = cost(k);
    k->full_at -= k->full_at > one ? one : k->full_at;
}
