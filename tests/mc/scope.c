/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.c: what is searched by default, and the rules broken on purpose that the search must find.
 *
 * A scope names what may happen how often. Within it every order of everything is tried. Masks keep
 * out what differs only by the names of members: when the world begins alike for all, member 1 may as
 * well be the first.
 */
#include "tests/mc/mc.h"

#define BIT(type) ((uint32_t)1 << (type))

const struct mc_scope mc_scopes[] = {
    {.name = "elections",
     .what = "3 members from nothing: two election timers",
     .nodes = 3,
     .start = MC_FRESH,
     .budget = {[MC_B_TIMEOUT] = 2},
     .mute = BIT(RAFT_MSG_HEARTBEAT),
     .may_timeout = 3},
};
const unsigned mc_scopes_count = sizeof(mc_scopes) / sizeof(mc_scopes[0]);

const struct mc_scope mc_mutants[] = {
    {.name = "ack-early",
     .what = "the host completes writes before the disk has them",
     .nodes = 2,
     .start = MC_FRESH,
     .budget = {[MC_B_TIMEOUT] = 1},
     .mutant = MC_M_ACK_EARLY},
};
const unsigned mc_mutants_count = sizeof(mc_mutants) / sizeof(mc_mutants[0]);
