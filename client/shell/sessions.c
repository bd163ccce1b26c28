/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions.c: the calls for operators: which sessions there are, what one owns, and its end. Not to be
 * mixed up with the handle's own session (client/core/session.c).
 *
 * Leaves to others: the request's way (request.c, sync.c), what the answer means (client/core/convert.c).
 * Thread: the handle's; any when threaded.
 */
#include "client/shell/request.h"
#include "client/shell/sync.h"

static int make_sessions(const struct coord *c, uint64_t session, uint32_t flags,
                         const struct coord_call *call, struct coord__submission *ret_s)
{
    coord__make_plain(COORD_OP_SESSIONS, ret_s);
    ret_s->q.session = session;
    ret_s->q.flags = flags;
    int err = c == NULL ? COORD_EINVAL : coord__set_level(c, call, ret_s);
    return err < 0 ? err : coord__set_page(call, &ret_s->q);
}

static void make_end(uint64_t session, struct coord__submission *ret_s)
{
    coord__make_plain(COORD_OP_SESSION_END, ret_s);
    ret_s->q.session = session;
}

int coord_sessions(struct coord *c, uint64_t after, const struct coord_call *call,
                   coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    int err = make_sessions(c, after, 0, call, &s);
    return err < 0 ? err : coord__submit(c, &s, call, cb, arg);
}

int coord_sessions_sync(struct coord *c, uint64_t after, const struct coord_call *call,
                        struct coord_reply **ret_reply)
{
    struct coord__submission s;
    int err = make_sessions(c, after, 0, call, &s);
    return err < 0 ? coord__no_reply(err, ret_reply) : coord__ask(c, &s, call, ret_reply);
}

int coord_session_show(struct coord *c, uint64_t session, const struct coord_call *call,
                       coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    int err = make_sessions(c, session, COORD_SESSIONS_ONE, call, &s);
    return err < 0 ? err : coord__submit(c, &s, call, cb, arg);
}

int coord_session_show_sync(struct coord *c, uint64_t session, const struct coord_call *call,
                            struct coord_reply **ret_reply)
{
    struct coord__submission s;
    int err = make_sessions(c, session, COORD_SESSIONS_ONE, call, &s);
    return err < 0 ? coord__no_reply(err, ret_reply) : coord__ask(c, &s, call, ret_reply);
}

int coord_session_end(struct coord *c, uint64_t session, const struct coord_call *call,
                      coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    make_end(session, &s);
    return coord__submit(c, &s, call, cb, arg);
}

int coord_session_end_sync(struct coord *c, uint64_t session, const struct coord_call *call,
                           struct coord_reply **ret_reply)
{
    struct coord__submission s;
    make_end(session, &s);
    return coord__ask(c, &s, call, ret_reply);
}
