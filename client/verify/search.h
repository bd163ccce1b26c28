/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search.h: is there an order of operations that respects their intervals and gives every answer?
 *
 * The search of Wing and Gong (1993) with Lowe's memory of states seen (2017): take any operation
 * that may be the next, let it happen in the model, go on with the rest; go back when none fits. Two
 * ways to the same set of operations done, with the same state, end alike, so the second is cut.
 *
 * Invariants
 *   1. OK is said only when an order was found; VIOLATION only when all were tried, where two pairs
 *      of set and state count as one when their 128-bit hashes are equal; UNDECIDED when the budget
 *      was used up first.
 *   2. Hints only say which order is tried first.
 *
 * Thread: none; one at a time.
 */
#ifndef COORD_CLIENT_VERIFY_SEARCH_H
#define COORD_CLIENT_VERIFY_SEARCH_H

#include "client/verify/plan.h"

enum verify_verdict { VERIFY_OK = 0, VERIFY_VIOLATION = 1, VERIFY_UNDECIDED = 2 };

struct verify_search;

struct verify_found {
    enum verify_verdict verdict;
    uint64_t states;  /* remembered */
    uint32_t stuck;   /* VIOLATION: the item that no order which came furthest could answer */
    uint32_t reached; /* how many operations that order had */
};

/* m: used by the search from now on. budget: states remembered at most. Return: NULL when memory is
 * out. */
struct verify_search *verify_search_create(struct verify_model *m, uint64_t budget);
void verify_search_destroy(struct verify_search *s);
/* From now on, remember at most so many states in a search, and never more than the budget. */
void verify_search_limit(struct verify_search *s, uint64_t states);
/* The model given at the start; what it holds is lost with the next search. */
struct verify_model *verify_search_model(const struct verify_search *s);

/* Search, in a model of these places.
 * Errors: COORD_ENOMEM. Return: 0 or negative; *ret_found on 0. */
int verify_search_run(struct verify_search *s, const struct verify_place *places,
                      uint32_t places_count, bool empty, const struct verify_item *items,
                      uint32_t items_count, struct verify_found *ret_found);

#endif
