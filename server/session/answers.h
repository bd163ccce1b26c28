/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answers.h: the answers of one session that its client has not acknowledged yet, by request number.
 * They make a repeated request harmless: it gets the first answer again.
 *
 * Numbers mostly arrive ascending, and are acknowledged from below: a ring in order of number, with
 * insertion anywhere for those that arrive late.
 *
 * Threads: none; one owner.
 */
#ifndef COORD_SERVER_SESSION_ANSWERS_H
#define COORD_SERVER_SESSION_ANSWERS_H

#include <stddef.h>
#include <stdint.h>
#include "protocol/message.h"
#include "server/store/pool.h"

struct answer {
    uint64_t number;
    uint8_t *body; /* the reply behind its receipt; NULL for an error */
    uint32_t body_bytes;
    int32_t error;
};

struct answers {
    struct answer *ring;
    uint32_t head; /* slot of the lowest number */
    uint32_t count;
    uint32_t cap;   /* a power of two, or 0 */
    uint64_t bytes; /* of all bodies */
};

/* Accepts a zeroed struct. */
void answers_finish(struct answers *a, struct pool *p);

/* Return: the answer to that number, valid until the next change, or NULL. */
const struct answer *answers_find(const struct answers *a, uint64_t number);

/* The i-th in order of number, i < count. */
const struct answer *answers_at(const struct answers *a, uint32_t i);

/* Keep an answer to a number that has none; body is copied, and empty for an error.
 * Errors: COORD_ENOMEM, with nothing changed. Return: 0 or negative. */
int answers_put(struct answers *a, struct pool *p, uint64_t number, int error,
                struct coord_bytes body);

/* Forget the answers to all numbers up to `acked`. */
void answers_drop(struct answers *a, struct pool *p, uint64_t acked);

#endif
