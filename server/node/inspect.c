/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.c: SESSIONS: which sessions there are and what they own, for an operator.
 *
 * Ids, timeouts and nodes are replicated and as current as the level of the read asks. Who a session is
 * attached to and when it was heard of is not: the leader knows it of all sessions that it heard of since it
 * leads, every member of its own connections. What this member does not know it says so.
 *
 * Invariants
 *   1. No secret leaves the machine.
 *   2. A page is bounded in items, and so in bytes and in time.
 */
#include "server/node/internal.h"

#include <string.h>

/* What is known here of a session beside the replicated state. */
static void describe(const struct node *n, const struct machine_session *s,
                     struct coord_session_info *ret_info)
{
    const struct activity *a = node__map_get(&n->touch.sessions, s->id);
    const struct conn *c = node__map_get(&n->session_conns, s->id);
    *ret_info = (struct coord_session_info){.session = s->id,
                                            .epoch = s->epoch,
                                            .timeout_ms = s->timeout_ms,
                                            .ephemerals = s->ephemerals,
                                            .idle_ms = COORD_IDLE_UNKNOWN};
    if (a != NULL) {
        ret_info->member = a->via;
        ret_info->idle_ms = (n->now - a->heard) / NODE_MS;
    }
    if (c != NULL) {
        ret_info->member = n->o.raft.id;
        ret_info->address =
            (struct coord_bytes){(const uint8_t *)c->source, (uint32_t)strlen(c->source)};
    }
}

static int put(struct node *n, const struct machine_session *s, struct coord_buf **items)
{
    struct coord_session_info info;
    describe(n, s, &info);
    return coord_session_encode(&info, items);
}

/* A page of all sessions. */
static int list_sessions(struct node *n, const struct coord_request *q, struct coord_buf **items,
                         struct coord_result *res)
{
    struct machine_session s;
    struct machine_stats stats;
    uint64_t after = q->session;
    uint32_t max = NODE_SESSIONS_PAGE;
    if (q->limit != 0 && q->limit < max) {
        max = (uint32_t)q->limit;
    }
    machine_stats(n->machine, &stats);
    res->count = stats.sessions;
    while (machine_session_next(n->machine, after, &s)) {
        if (res->sessions.count == max) {
            res->more = true;
            break;
        }
        int rv = put(n, &s, items);
        if (rv != 0) {
            return rv;
        }
        res->sessions.count++;
        after = s.id;
    }
    return 0;
}

/* One session and a page of what it owns. */
static int show_session(struct node *n, const struct coord_request *q, struct coord_buf **items,
                        struct coord_result *res)
{
    struct machine_session s;
    if (!machine_session_get(n->machine, q->session, &s)) {
        return COORD_EGONE;
    }
    int rv = machine_session_paths(n->machine, q, res);
    if (rv == 0) {
        rv = put(n, &s, items);
    }
    res->sessions.count = 1;
    return rv;
}

void node__sessions_answer(struct node *n, struct request *r)
{
    struct coord_result res;
    struct coord_buf *items = NULL;
    memset(&res, 0, sizeof(res));
    int rv = (r->q.flags & COORD_SESSIONS_ONE) != 0 ? show_session(n, &r->q, &items, &res)
                                                    : list_sessions(n, &r->q, &items, &res);
    if (rv != 0) {
        node__answer_error(n, r, rv, NULL);
    } else {
        if (items != NULL) {
            res.sessions.raw = (struct coord_bytes){items->data, items->len};
        }
        node__answer(n, r, &res);
    }
    coord_buf_unref(items);
}
