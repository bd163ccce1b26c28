/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.h: words for writing scopes down: scope.c, scope_change.c, scope_long.c, scope_broken.c.
 */
#ifndef COORD_TESTS_MC_SCOPE_H
#define COORD_TESTS_MC_SCOPE_H

#include "tests/mc/mc.h"

/* What a search must have seen, or it shows nothing: GOAL(ELECTED) | GOAL(COMMITTED). */
#define GOAL(g) ((uint32_t)1 << MC_G_##g)

/* Of a set of message types. */
#define BIT(type) ((uint32_t)1 << (type))

/* Sets of members. */
enum { M1 = 1, M2 = 2, M3 = 4, M4 = 8, ALL3 = 7, ALL4 = 15 };

#endif
