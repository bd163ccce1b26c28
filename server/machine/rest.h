/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest.h: what is still to be given of a record whose beginning was: the large data of a node, or the answers
 * of a session. It lies where it lay, in the state's pool, and is not copied: the data are held there
 * (pool_hold), and bodies of answers are not given back while a saver may point at them (pool_free_late), which is
 * the saver's to ask for. So whatever becomes of the node or the session, the rest stays what it was.
 *
 * Threads: none; one owner.
 */
#ifndef COORD_SERVER_MACHINE_REST_H
#define COORD_SERVER_MACHINE_REST_H

#include <stdbool.h>
#include <stdint.h>
#include "protocol/message.h"
#include "server/machine/saver.h"
#include "server/session/answers.h"
#include "server/store/pool.h"

#define REST_DATA_MIN POOL_SMALL_MAX /* data of more bytes can be held */

/* Zeroed: nothing. */
struct rest {
    struct pool *pool;
    void *held;             /* data held, or NULL */
    struct answer *answers; /* a copy of them without their bodies, or NULL */
    uint32_t answers_count;
    uint32_t answers_at;
    const uint8_t *bytes; /* the data, or the body, under way: so many of them are left */
    uint64_t left;
};

/* Make it these data, of more than REST_DATA_MIN bytes, or all these answers (24 bytes each are copied).
 * Errors: COORD_ENOMEM, and it is nothing then. Return: 0 or negative. */
int rest_data(struct rest *r, struct pool *p, struct coord_bytes data);
int rest_answers(struct rest *r, const struct answers *a);

bool rest_any(const struct rest *r);

/* Give the next bytes of it: of one data or of one answer, at most max of its data or body. When all was given
 * it is nothing again. Return: how many. */
uint64_t rest_give(struct rest *r, const struct machine_sink *sink, uint64_t max);

/* Nothing again. Accepts a zeroed struct. */
void rest_finish(struct rest *r);

#endif
