/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pump.c: from waiting to flying: what may be sent now, under which number, as which bytes.
 *
 * Requests leave in the order in which they were made. A write waits for the session, and what was
 * made after it waits behind it; only on a detached link do requests without need of a session
 * overtake, and those with it are refused there as long as what all servers said is new.
 *
 * Leaves to others: answers (recv.c), opening the session (session.c).
 * Thread: none; one at a time. Invariants 3, 4 and 5 of core.h are kept here.
 */
#include "client/core/core_int.h"

#include <assert.h>

/* What may happen with a waiting request now. */
enum verdict {
    SEND = 1,
    HOLD = 2, /* it and all behind it wait */
    SKIP = 3, /* it waits, others may overtake */
    DONE = 4  /* there is nothing to send: it is satisfied */
};

uint64_t coord__acked(const struct coord__core *k)
{
    uint64_t lowest = k->last_number + 1;
    if (!coord__list_empty(&k->writes)) {
        lowest = COORD__ENTRY(k->writes.next, struct coord__request, order)->q.number;
    }
    if (!coord__list_empty(&k->others)) {
        uint64_t n = COORD__ENTRY(k->others.next, struct coord__request, order)->q.number;
        lowest = n < lowest ? n : lowest;
    }
    assert(lowest > 0);
    return lowest - 1;
}

int coord__send(struct coord__core *k, struct coord__request *r)
{
    assert(!r->flying && coord__list_empty(&r->link));
    if (!r->numbered) {
        r->q.number = ++k->last_number;
        r->numbered = true;
        coord__list_append(r->write ? &k->writes : &k->others, &r->order);
    }
    r->q.acked = coord__acked(k);
    if (r->q.level == COORD_LEVEL_SESSION) {
        r->q.level_arg = k->seen;
    }
    uint32_t before = k->out != NULL ? k->out->len : 0;
    int err = coord_request_encode(&r->q, &k->out);
    if (err == 0 && k->link.loud) {
        err = coord_request_loud(&r->q, before, &k->out);
    }
    if (err < 0) {
        if (k->out != NULL) {
            k->out->len = before;
        }
        return err;
    }
    uint64_t frame = k->out->len - before - COORD_FRAME_HEADER_BYTES;
    if (k->link.state == COORD__LINK_READY && frame > k->limits.frame_bytes) {
        k->out->len = before;
        return COORD_ETOOBIG;
    }
    coord__list_append(&k->flying, &r->link);
    r->flying = true;
    k->flying_count++;
    r->sent = k->now;
    r->first_sent = r->first_sent == 0 ? k->now : r->first_sent;
    k->link.asked = k->link.asked == 0 ? k->now : k->link.asked;
    return 0;
}

int coord__send_own(struct coord__core *k, enum coord__role role, const struct coord_request *q)
{
    assert(role != COORD__USER);
    struct coord__request *r = coord__request_create(role, q);
    if (r == NULL) {
        return COORD_ENOMEM;
    }
    r->write = false; /* nothing of the core's own is sent twice under one number */
    int err = coord__send(k, r);
    if (err < 0) {
        coord__unhook(k, r);
        coord__request_free(r);
    }
    return err;
}

static enum verdict judge(struct coord__core *k, const struct coord__request *r)
{
    if (k->link.detached && r->refused != 0 && coord__waits_for_quorum(k, r)) {
        return SKIP; /* until the link is no longer detached */
    }
    if (!coord__request_needs_session(r) || k->o.policy == COORD_SESSIONS_OFF) {
        return r->q.op == COORD_OP_SESSION_CLOSE ? DONE : SEND;
    }
    if (k->link.attached) {
        return r->q.op == COORD_OP_SESSION_OPEN ? DONE : SEND;
    }
    if (k->session.id != 0) {
        assert(k->link.detached);
        return SKIP;
    }
    if (r->q.op == COORD_OP_SESSION_CLOSE) {
        return DONE;
    }
    return k->link.detached && coord__quorum_hopeless(k) ? SKIP : HOLD;
}

static void send_waiting(struct coord__core *k, struct coord__request *r)
{
    coord__list_remove(&r->link);
    int err = coord__request_check(r, &k->limits);
    if (err < 0) {
        assert(r->role == COORD__USER);
        coord__complete(k, r, err, r->note);
        return;
    }
    err = coord__send(k, r);
    if (err == 0) {
        k->link.barrier = r->role == COORD__USER && r->q.op == COORD_OP_SESSION_CLOSE;
        return;
    }
    if (r->role == COORD__USER) {
        coord__complete(k, r, err, NULL);
        return;
    }
    coord__watch_unsent(k, r->q.watch);
    coord__drop(k, r);
}

static bool room(const struct coord__core *k)
{
    uint64_t most = k->limits.outstanding > 0 ? k->limits.outstanding : 1;
    uint32_t unsent = k->out != NULL ? k->out->len - k->out_at : 0;
    return k->flying_count < most && unsent < COORD__OUTPUT_BYTES_SOFT;
}

void coord__pump(struct coord__core *k)
{
    if (k->link.state != COORD__LINK_READY || k->closed) {
        return;
    }
    if (k->o.policy == COORD_SESSIONS_EAGER && k->session.id == 0 && !k->link.barrier &&
        !k->link.detached && k->now >= k->session.ping_at) {
        coord__session_open(k);
    }
    /* Bound: each turn takes a request out of waiting or passes one. */
    for (struct coord__list *at = k->waiting.next;
         at != &k->waiting && !k->link.barrier && room(k);) {
        struct coord__request *r = COORD__ENTRY(at, struct coord__request, link);
        at = at->next;
        switch (judge(k, r)) {
        case SEND:
            send_waiting(k, r);
            break;
        case DONE:
            coord__complete(k, r, 0, NULL);
            break;
        case SKIP:
            (void)coord__refused_already(k, r);
            break;
        case HOLD:
            coord__session_open(k);
            return;
        }
    }
}

size_t coord__core_output(struct coord__core *k, const uint8_t **ret_bytes)
{
    if (k->out == NULL || k->out->len == k->out_at) {
        return 0;
    }
    *ret_bytes = k->out->data + k->out_at;
    return k->out->len - k->out_at;
}

void coord__core_sent(struct coord__core *k, size_t bytes)
{
    assert(k->out != NULL && bytes <= k->out->len - k->out_at);
    k->out_at += (uint32_t)bytes;
    if (k->out_at == k->out->len) {
        k->out_at = 0;
        k->out->len = 0;
    }
    coord__pump(k);
}
