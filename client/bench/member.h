/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.h: what one member says of itself, asked on a connection of its own. Thread: any.
 */
#ifndef COORD_BENCH_MEMBER_H
#define COORD_BENCH_MEMBER_H

#include <stdbool.h>
#include <stdint.h>
#include "client/bench/targets.h"

struct member_facts {
    bool known; /* it answered */
    uint32_t id;
    uint64_t log_last, sessions, connections;
    uint64_t resident_kib; /* for others to fill in */
};

/* Ask server i of the list, waiting at most so long. */
void member_ask(const struct targets *t, size_t i, uint64_t timeout_ms,
                struct member_facts *ret_facts);

#endif
