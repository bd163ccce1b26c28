/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.c: see pace.h.
 */
#include <assert.h>
#include "client/bench/pace.h"

#define NS_PER_S 1000000000ull

void pace_init(struct pace *p, uint64_t start_ns, uint64_t rate)
{
    assert(rate > 0);
    *p = (struct pace){.start_ns = start_ns, .rate = rate};
}

uint64_t pace_due(const struct pace *p)
{
    /* Whole seconds first: next * 1e9 would leave 64 bits after some hours at full rate. */
    return p->start_ns + p->next / p->rate * NS_PER_S + p->next % p->rate * NS_PER_S / p->rate;
}

bool pace_take(struct pace *p, uint64_t now_ns, uint64_t *ret_due_ns)
{
    uint64_t due = pace_due(p);

    if (due > now_ns) {
        return false;
    }
    p->next++;
    *ret_due_ns = due;
    return true;
}
