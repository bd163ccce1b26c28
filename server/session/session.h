/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h: who is connected to the ensemble: the open sessions, replicated as part of the state
 * machine. What they own stands in the store; when they expire is the leader's decision, made elsewhere
 * and arriving as a log entry.
 *
 * Invariants
 *   1. The id of a session is the revision that opened it: ids ascend and are never used again.
 *   2. epoch >= id; it is the revision of the newest attachment.
 *   3. Numbers of answers are above `acked`, ascending, each once.
 *
 * Threads: none; one owner.
 */
#ifndef COORD_SERVER_SESSION_SESSION_H
#define COORD_SERVER_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include "protocol/message.h"
#include "server/session/answers.h"
#include "server/store/pool.h"
#include "server/store/store.h"

struct session {
    uint64_t id;
    uint64_t epoch;
    uint64_t timeout_ms;
    uint64_t acked;
    uint8_t secret[COORD_SECRET_BYTES];
    struct store_owned owned; /* owner is the id */
    struct answers answers;
};

struct sessions;

/* Memory comes from p, which must outlive it. Return: NULL when memory is out. */
struct sessions *sessions_create(struct pool *p);
void sessions_destroy(struct sessions *ss);

/* Open a session; id exceeds all before. Errors: COORD_ENOMEM. Return: 0 or negative. */
int sessions_open(struct sessions *ss, uint64_t id, const uint8_t secret[COORD_SECRET_BYTES],
                  uint64_t timeout_ms, struct session **ret_s);

/* Forget a session that owns nothing any more. */
void sessions_close(struct sessions *ss, struct session *s);

/* Return: the session, or NULL. */
struct session *sessions_find(const struct sessions *ss, uint64_t id);

/* Return: the open session with the lowest id above `after`, or NULL. */
struct session *sessions_next(const struct sessions *ss, uint64_t after);

uint64_t sessions_count(const struct sessions *ss);

/* Compare in a time that does not depend on where they differ. */
bool session_secret_equal(const struct session *s, const uint8_t secret[COORD_SECRET_BYTES]);

#endif
