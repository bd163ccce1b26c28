/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_time.c: answers against real time.
 *
 *   X1  whatever was applied anywhere before a linearizable read, a SYNC or a PING was called is in its answer;
 *       the index of a write is above everything applied before its call (oracle_once.c finds the index)
 *   X3  a session read is from a revision that its client has seen, or later
 *   A1  age_ms: the revision served was the newest at some moment in the last age_ms before the answer. Taken
 *       from the call, when it is not known when the server answered: the answer came later, so nothing right
 *       is refused. The clock of a member may run fast or slow by the drift.
 *   A2  the level of the receipt is the one asked for
 */
#include "tests/service/oracle_int.h"

#define MS UINT64_C(1000000)

static bool is_recent(const struct oracle_pending *p)
{
    if (p->q.op == COORD_OP_SYNC || p->q.op == COORD_OP_PING) {
        return true;
    }
    return p->q.op != COORD_OP_WATCH && p->q.level == COORD_LEVEL_LINEARIZABLE;
}

static bool has_level(enum coord_op op)
{
    return op == COORD_OP_GET || op == COORD_OP_EXISTS || op == COORD_OP_STAT ||
           op == COORD_OP_LIST || op == COORD_OP_USAGE || op == COORD_OP_SESSIONS;
}

/* Was there something newer than what was served, for longer than the receipt says? */
static const char *age_judge(struct oracle *o, const struct oracle_pending *p,
                             const struct oracle_reply *r)
{
    const struct coord_receipt *got = &r->result->receipt;
    const struct oracle_truth *next = oracle__truth(o, got->revision + 1);
    uint64_t answered = r->answered_at != 0 ? r->answered_at : p->at;
    if (got->age_ms == UINT64_MAX || next == NULL) {
        return NULL;
    }
    uint64_t age = got->age_ms > UINT64_MAX / MS / 4 ? UINT64_MAX / 4 : (got->age_ms + 1) * MS;
    age = age / (1000000 - o->options.drift_ppm) * 1000000; /* by a clock that is slow by as much */
    if (next->at < answered && answered - next->at > age) {
        return oracle__fail(
            o,
            "A1: call %llu: revision %llu was overtaken %llu us before the answer, the receipt "
            "says %llu ms",
            (unsigned long long)p->c.call, (unsigned long long)got->revision,
            (unsigned long long)((answered - next->at) / 1000), (unsigned long long)got->age_ms);
    }
    return NULL;
}

static const char *level_judge(struct oracle *o, const struct oracle_pending *p,
                               const struct coord_result *res)
{
    const uint64_t revision = res->receipt.revision;
    if (res->receipt.level != p->q.level) {
        return oracle__fail(o, "A2: call %llu: asked at level %d, served at %d",
                            (unsigned long long)p->c.call, (int)p->q.level,
                            (int)res->receipt.level);
    }
    if (p->q.level == COORD_LEVEL_BOUNDED && res->receipt.age_ms > p->q.level_arg) {
        return oracle__fail(o, "A1: call %llu: age %llu ms, at most %llu was asked for",
                            (unsigned long long)p->c.call, (unsigned long long)res->receipt.age_ms,
                            (unsigned long long)p->q.level_arg);
    }
    if (p->q.level != COORD_LEVEL_SESSION) {
        return NULL;
    }
    uint64_t floor = p->q.level_arg > p->client_then ? p->q.level_arg : p->client_then;
    if (revision < floor) {
        return oracle__fail(o, "X3: call %llu of client %llu: session read from %llu, it knew %llu",
                            (unsigned long long)p->c.call, (unsigned long long)p->c.client,
                            (unsigned long long)revision, (unsigned long long)floor);
    }
    return NULL;
}

const char *oracle__time_judge(struct oracle *o, const struct oracle_pending *p,
                               const struct oracle_reply *r, uint64_t at)
{
    const struct coord_result *res = r->result;
    (void)at;
    ORACLE_TRY(age_judge(o, p, r));
    if (coord_op_kind(p->q.op) != COORD_KIND_READ ||
        (res->error != 0 && res->error != COORD_ENONODE &&
         (res->error != COORD_EGONE || p->q.op != COORD_OP_SESSIONS))) {
        return NULL;
    }
    if (is_recent(p) && res->receipt.revision < p->truth_then) {
        return oracle__fail(
            o, "X1: call %llu (%s): answered from %llu, %llu was applied before it was called",
            (unsigned long long)p->c.call, coord_op_name(p->q.op),
            (unsigned long long)res->receipt.revision, (unsigned long long)p->truth_then);
    }
    if (p->q.op == COORD_OP_SYNC && res->error == 0 &&
        (res->revision < p->truth_then || res->revision > res->receipt.revision)) {
        return oracle__fail(o, "X1: call %llu: sync tells %llu, %llu was applied before",
                            (unsigned long long)p->c.call, (unsigned long long)res->revision,
                            (unsigned long long)p->truth_then);
    }
    return has_level(p->q.op) ? level_judge(o, p, res) : NULL;
}
