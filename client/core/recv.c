/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recv.c: bytes from the server: frames, answers, what each means for its request.
 *
 *   error of an answer                what happens with the request
 *   0, FAILED class                   completed; a write so answered keeps the session alive
 *   ENOQUORUM, EINDOUBT               tried once on each other server, then completed; tried on in its
 *                                     time when it is to wait for a quorum. A server that refused
 *                                     another request so a moment ago, or could not be reached then,
 *                                     counts as tried: without that, each request in a minority would
 *                                     connect to everybody
 *   EBUSY of a write with a session   likewise: this member gets nowhere with it
 *   ESHUTDOWN, EMOVED                 tried again on another connection, in its time; a server that is
 *                                     shut counts as one that cannot be reached
 *   EEXPIRED, ENOSESSION of a write   the session is over: completed with EEXPIRED
 *   any other                         completed
 *   0 of a transaction that failed    completed with the error of its operation that failed
 *
 * The server's last word ends the link and says nothing about the requests on it: they are tried again
 * as after a break; with ESHUTDOWN the server counts as one that cannot be reached.
 *
 * Bytes that are not well formed break the link; the requests on it are tried again, at most
 * COORD__BAD_STREAMS_MAX times, and then fail with EPROTO, as does at once the one whose own answer
 * could not be read.
 *
 * Leaves to others: events (watch.c), moving on (link.c).
 * Thread: none; one at a time. Invariant 2 of core.h is kept here.
 */
#include "client/core/core_int.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void coord__core_bytes(struct coord__core *k, uint64_t link, const void *bytes, size_t len,
                       uint64_t now)
{
    struct coord__link_wish wish = coord__core_link(k);
    bool expected = k->link.state == COORD__LINK_HELLO || k->link.state == COORD__LINK_READY;
    if (k->closed || wish.id != link || link == 0 || !expected || len == 0) {
        return;
    }
    coord__clock(k, now);
    k->link.heard = k->now;
    if (k->in != NULL && k->in_at > 0) {
        memmove(k->in->data, k->in->data + k->in_at, k->in->len - k->in_at);
        k->in->len -= k->in_at;
        k->in_at = 0;
    }
    if (coord_buf_append(&k->in, bytes, len) < 0) {
        coord__link_end(k, COORD__END_FAILED, coord_strerror(COORD_ENOMEM));
    }
}

/* The stream makes no sense: requests that were under way in too many such streams fail. */
static void bad_stream(struct coord__core *k, const char *what)
{
    char why[COORD__WHY_BYTES];
    for (struct coord__list *at = k->flying.next; at != &k->flying;) {
        struct coord__request *r = COORD__ENTRY(at, struct coord__request, link);
        at = at->next;
        if (r->role == COORD__USER && !r->zombie && ++r->bad_streams >= COORD__BAD_STREAMS_MAX) {
            coord__complete(k, r, COORD_EPROTO, NULL);
        }
    }
    (void)snprintf(why, sizeof(why), "the server's answer is not well formed: %s", what);
    coord__link_end(k, COORD__END_FAILED, why);
}

static void note_refusal(struct coord__core *k, struct coord__request *r,
                         const struct coord_result *res)
{
    r->refused |= 1u << k->link.server;
    r->refusal = res->error;
    if (res->error != COORD_EBUSY) {
        coord__quorum_missed(k, res);
    }
    r->unsure = r->unsure || (r->write && res->error == COORD_EINDOUBT);
    if (res->has_no_quorum) {
        r->has_no_quorum = true;
        r->no_quorum = res->no_quorum;
    }
}

/* Does the error say that this server gets nowhere with r, where another may? Without a session the others
 * under way would be in doubt when the link is given up: a mere EBUSY is not worth that. */
static bool refused(const struct coord__core *k, const struct coord__request *r, int error)
{
    return error == COORD_ENOQUORUM || error == COORD_EINDOUBT ||
           (error == COORD_EBUSY && r->write && k->o.policy != COORD_SESSIONS_OFF);
}

/* May a request answered so be tried elsewhere? Members' own operations are meant for this one. */
static bool may_move(const struct coord__core *k, const struct coord__request *r)
{
    if (coord_op_kind(r->q.op) == COORD_KIND_MEMBER) {
        return false;
    }
    if (coord__waits_for_quorum(k, r)) {
        return true;
    }
    if (k->o.policy == COORD_SESSIONS_OFF && r->write && r->unsure) {
        return false;
    }
    return !coord__tried_everywhere(k, r);
}

/* Does r wait for a quorum on a link that may as well serve others without one meanwhile? */
static bool waits_here(const struct coord__core *k, const struct coord__request *r)
{
    return (k->link.detached || k->session.id == 0) && coord__waits_for_quorum(k, r) &&
           coord__quorum_hopeless(k);
}

/* Was r answered by a quorum, if it was not refused? For a write with a session, see session_effects. */
static bool shows_quorum(const struct coord__core *k, const struct coord__request *r,
                         const struct coord_result *res)
{
    bool level = r->q.level == COORD_LEVEL_LINEARIZABLE &&
                 res->receipt.level == (uint32_t)COORD_LEVEL_LINEARIZABLE;
    bool served = res->error == 0 || coord_errclass(res->error) == COORD_FAILED;
    bool read = coord_op_kind(r->q.op) == COORD_KIND_READ && level;
    return served && (read || (r->write && k->session.id == 0));
}

/* Put r, which was answered, back in front. */
static void put_back(struct coord__core *k, struct coord__request *r)
{
    assert(r->flying && !r->zombie);
    if (r->write) {
        k->flying_count--;
        r->flying = false;
        coord__list_remove(&r->link);
    } else {
        coord__unhook(k, r);
    }
    coord__list_prepend(&k->waiting, &r->link);
}

/* Put r back and give the link up. */
static void try_elsewhere(struct coord__core *k, struct coord__request *r,
                          const struct coord_result *res, int error)
{
    put_back(k, r);
    if (error == COORD_ESHUTDOWN) {
        coord__link_turned_away(k, res);
    } else {
        coord__link_end(k, error == COORD_EMOVED ? COORD__END_FAILED : COORD__END_MOVE,
                        coord_strerror(error));
    }
    if (!coord__list_empty(&r->link)) {
        /* It was not completed, and what the end of the link put in front was made later. */
        coord__list_remove(&r->link);
        coord__list_prepend(&k->waiting, &r->link);
    }
}

static void give_out(struct coord__request *r, const struct coord_result *res,
                     struct coord__out *out)
{
    out->kind = COORD__OUT_REPLY;
    out->request = r;
    out->error = r->error;
    out->outcome = r->outcome;
    out->result = res;
    out->no_quorum = res->has_no_quorum ? &res->no_quorum : NULL;
    out->text = r->error == 0 ? "" : coord_strerror(r->error);
}

/* r is answered for good. */
static void answer(struct coord__core *k, struct coord__request *r, int error,
                   const struct coord_result *res, struct coord__out *out)
{
    r->flying = false;
    k->flying_count--;
    coord__list_remove(&r->link);
    coord__settle(k, r, error, NULL);
    give_out(r, res, out);
}

/* What is to be known of a request after it was answered. */
struct answered {
    enum coord_op op;
    bool write;
    uint64_t first_sent;
};

/* Answers have effects on the session also when nobody waits for them any more. */
static void session_effects(struct coord__core *k, const struct answered *r,
                            const struct coord_result *res)
{
    bool gone = res->error == COORD_EEXPIRED || res->error == COORD_ENOSESSION;
    if (r->op == COORD_OP_SESSION_CLOSE) {
        k->link.barrier = false;
        if (res->error == 0 || gone) {
            coord__session_ended(k);
        }
    } else if (gone && r->write && k->link.attached) {
        coord__session_gone(k, true);
    } else if (r->write && k->link.attached &&
               (res->error == 0 || coord_errclass(res->error) == COORD_FAILED)) {
        coord__session_kept(k, r->first_sent);
        coord__quorum_seen(k);
    }
}

static bool user_reply(struct coord__core *k, struct coord__request *r,
                       const struct coord_result *res, struct coord__out *out)
{
    struct answered was = {r->q.op, r->write, r->first_sent};
    int error = coord__request_verdict(r, res);
    if (r->zombie) {
        coord__outcome_late(k, r->id, coord__request_outcome(r, error));
        coord__drop(k, r);
        session_effects(k, &was, res);
        return false;
    }
    k->seen = res->receipt.revision > k->seen ? res->receipt.revision : k->seen;
    if (r->decided) {
        k->link.good = true;
        answer(k, r, error, res, out);
        session_effects(k, &was, res);
        return true;
    }
    if (refused(k, r, error)) {
        note_refusal(k, r, res);
        if (waits_here(k, r)) {
            put_back(k, r);
            if (k->session.id == 0) {
                coord__link_stay(k);
            }
            return false;
        }
        if (may_move(k, r)) {
            try_elsewhere(k, r, res, error);
            return false;
        }
        if (r->unsure) {
            error = COORD_EINDOUBT;
        } else if (error != COORD_EBUSY) {
            error = COORD_ENOQUORUM;
        }
    }
    if (error == COORD_EMOVED || (error == COORD_ESHUTDOWN && r->q.op != COORD_OP_STATUS)) {
        try_elsewhere(k, r, res, error);
        return false;
    }
    bool closed =
        r->q.op == COORD_OP_SESSION_CLOSE && (error == COORD_EEXPIRED || error == COORD_ENOSESSION);
    if (error == COORD_ENOSESSION && r->write && k->link.attached) {
        error = COORD_EEXPIRED;
    }
    /* A server that only reads for want of a quorum is no place to stay: back-off goes on. */
    if (shows_quorum(k, r, res)) {
        coord__quorum_seen(k);
        if (k->link.detached) {
            coord__link_attach(k);
        }
    }
    k->link.good = k->link.good || (error == 0 && coord__quorum_refusers(k) == 0);
    answer(k, r, closed ? 0 : error, res, out);
    session_effects(k, &was, res);
    return true;
}

static bool own_reply(struct coord__core *k, struct coord__request *r,
                      const struct coord_result *res)
{
    switch (r->role) {
    case COORD__HELLO:
        coord__drop(k, r);
        coord__link_hello(k, res);
        return false;
    case COORD__OPEN:
        coord__session_opened(k, r, res);
        break;
    case COORD__PING:
        coord__session_ponged(k, r, res);
        break;
    case COORD__WATCH:
        coord__watch_answered(k, r, res);
        break;
    default:
        break;
    }
    return true;
}

/* The oldest request without an answer. */
static void note_asked(struct coord__core *k)
{
    k->link.asked = 0;
    if (!coord__list_empty(&k->flying)) {
        k->link.asked = COORD__ENTRY(k->flying.next, struct coord__request, link)->sent;
    }
}

/* One reply. Return: true when *out is set. */
static bool one_reply(struct coord__core *k, const uint8_t *body, size_t len, uint64_t number,
                      struct coord__out *out)
{
    char why[160] = "";
    struct coord_result *res = &k->result;
    struct coord__request *r = NULL;
    if (!coord__list_empty(&k->flying)) {
        r = COORD__ENTRY(k->flying.next, struct coord__request, link);
    }
    if (r == NULL || r->q.number != number) {
        bad_stream(k, "an answer to no request, or out of order");
        return false;
    }
    if (coord_result_decode(r->q.op, body, len, res, why, sizeof(why)) < 0) {
        if (r->role == COORD__USER && !r->zombie) {
            coord__complete(k, r, COORD_EPROTO, NULL);
        }
        bad_stream(k, why);
        return false;
    }
    uint64_t link = k->link.id;
    bool given = false;
    if (r->role == COORD__USER) {
        given = user_reply(k, r, res, out);
    } else {
        /* Unhooked first, so that the end of a link leaves it alone. */
        if (r->role != COORD__HELLO) {
            coord__unhook(k, r);
        }
        if (own_reply(k, r, res)) {
            coord__request_free(r);
        }
    }
    if (k->link.id == link) {
        note_asked(k);
    }
    return given;
}

/* The server says why it closes the connection: at any time, before the hello was answered too. */
static void last_word(struct coord__core *k, const uint8_t *body, size_t len)
{
    char why[160] = "";
    struct coord_result *res = &k->result;
    if (coord_last_word_decode(body, len, res, why, sizeof(why)) < 0) {
        bad_stream(k, why);
        return;
    }
    coord__link_last_word(k, res);
}

/* One frame. Return: 1 *out is set, 0 nothing to tell, 2 *out is set and the frame is to be read
 * again. */
static int one_frame(struct coord__core *k, const uint8_t *body, size_t len, struct coord__out *out)
{
    char why[160] = "";
    uint64_t number;
    bool is_event;
    if (coord_reply_peek(body, len, &number, &is_event) < 0) {
        bad_stream(k, "neither an answer nor an event");
        return 0;
    }
    if (!is_event) {
        return one_reply(k, body, len, number, out) ? 1 : 0;
    }
    if (coord_last_word_is(body, len)) {
        last_word(k, body, len);
        return 0;
    }
    if (k->link.state != COORD__LINK_READY) {
        bad_stream(k, "an event before the hello was answered");
        return 0;
    }
    if (coord_event_decode(body, len, &k->frame_event, why, sizeof(why)) < 0) {
        bad_stream(k, why);
        return 0;
    }
    return coord__watch_event(k, &k->frame_event, out);
}

static size_t frame_bytes_max(const struct coord__core *k)
{
    if (k->link.state != COORD__LINK_READY) {
        return COORD__HELLO_FRAME_BYTES;
    }
    if (k->limits.frame_bytes > COORD__FRAME_BYTES_MAX) {
        return COORD__FRAME_BYTES_MAX;
    }
    return (size_t)k->limits.frame_bytes + COORD__FRAME_BYTES_SLACK;
}

int coord__recv_frame(struct coord__core *k, struct coord__out *ret_out)
{
    if (k->in == NULL || k->in->len == k->in_at) {
        return 0;
    }
    const uint8_t *at = k->in->data + k->in_at;
    size_t len = k->in->len - k->in_at;
    int64_t size = coord_frame_size(at, len, frame_bytes_max(k));
    if (size < 0) {
        bad_stream(k, "the length of a frame is out of bounds");
        return 2;
    }
    if (size == 0 || (size_t)size > len) {
        return 0;
    }
    uint64_t link = k->link.id;
    int r = one_frame(k, at + COORD_FRAME_HEADER_BYTES, (size_t)size - COORD_FRAME_HEADER_BYTES,
                      ret_out);
    if (r != 2 && k->link.id == link && k->link.state == COORD__LINK_READY) {
        k->in_at += (uint32_t)size;
    }
    coord__pump(k);
    coord__state_check(k);
    return r == 0 ? 2 : 1;
}
