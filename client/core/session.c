/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c: the session of a handle: opening, keeping alive, the lease, the end.
 *
 *   kept = the SEND time of the newest acknowledged keep-alive: a PING, a write that went through
 *          the log, or the open itself. The servers count from when they received it, which is
 *          later.
 *
 *   kept + 1/3 of the timeout   a PING is sent
 *   kept + 2/3                  JEOPARDY; if the link is as old as that, another server is tried
 *   kept + the lease            LAPSED: 1 % and 50 ms before the servers may end the session
 *
 * A hello that resumes the session does not count: what proves that a leader knows of this client
 * is the answer to a PING (server/node/node.h, invariant 6).
 *
 * Leaves to others: moving between servers (link.c).
 * Thread: none; one at a time. Invariant 6 of core.h is kept here.
 */
#include "client/core/core_int.h"

#include <assert.h>
#include <string.h>

uint64_t coord__lease_ns(const struct coord__session *s)
{
    uint64_t margin = s->timeout_ns / COORD__LEASE_DRIFT_DIVISOR + COORD__LEASE_SLACK_NS;
    return s->timeout_ns > margin ? s->timeout_ns - margin : 0;
}

void coord__session_kept(struct coord__core *k, uint64_t sent)
{
    assert(sent <= k->now);
    if (k->session.id != 0 && sent > k->session.kept) {
        k->session.kept = sent;
    }
}

void coord__session_open(struct coord__core *k)
{
    struct coord_request q = {.op = COORD_OP_SESSION_OPEN, .timeout_ms = k->o.session_timeout_ms};
    assert(k->session.id == 0 && k->link.state == COORD__LINK_READY && !k->link.barrier);
    assert(k->o.policy != COORD_SESSIONS_OFF);
    if (coord__send_own(k, COORD__OPEN, &q) == 0) {
        k->link.barrier = true;
    } else { /* without memory: a later pump tries again */
        k->session.ping_at = k->now + k->o.backoff_min_ms * COORD__NS_PER_MS;
    }
}

static void open_failed(struct coord__core *k, const struct coord_result *res)
{
    k->session.ping_at = k->now + coord__random(k) % (k->o.backoff_max_ms * COORD__NS_PER_MS + 1);
    if (res->error == COORD_ENOQUORUM || res->error == COORD_EINDOUBT) {
        coord__refuse_waiting(k, res);
        if (coord__quorum_hopeless(k)) {
            coord__link_stay(k);
        } else {
            coord__link_end(k, COORD__END_MOVE, coord_strerror(res->error));
        }
        return;
    }
    if (res->error == COORD_ESHUTDOWN) {
        coord__link_turned_away(k, res);
        return;
    }
    for (struct coord__list *at = k->waiting.next; at != &k->waiting;) {
        struct coord__request *r = COORD__ENTRY(at, struct coord__request, link);
        at = at->next;
        if (coord__request_needs_session(r)) {
            coord__complete(k, r, res->error, "the session could not be opened");
        }
    }
}

void coord__session_opened(struct coord__core *k, const struct coord__request *r,
                           const struct coord_result *res)
{
    struct coord__session *s = &k->session;
    assert(k->link.barrier && s->id == 0);
    k->link.barrier = false;
    if (res->error != 0) {
        open_failed(k, res);
        return;
    }
    if (res->session == 0 || res->secret.len != COORD_SECRET_BYTES || res->timeout_ms == 0 ||
        res->timeout_ms > UINT64_MAX / COORD__NS_PER_MS / 2) {
        coord__link_end(k, COORD__END_FAILED, "the server opened no proper session");
        return;
    }
    s->id = res->session;
    memcpy(s->secret, res->secret.data, COORD_SECRET_BYTES);
    s->timeout_ns = res->timeout_ms * COORD__NS_PER_MS;
    s->kept = r->sent;
    s->ping_at = 0;
    k->link.attached = true;
    k->link.detached = false;
    coord__quorum_seen(k);
}

/* Writes that were sent in the session that is over. */
static void end_writes(struct coord__core *k)
{
    for (struct coord__list *at = k->waiting.next; at != &k->waiting;) {
        struct coord__request *r = COORD__ENTRY(at, struct coord__request, link);
        at = at->next;
        if (r->role == COORD__USER && r->write && r->numbered) {
            coord__complete(k, r, r->q.op == COORD_OP_SESSION_CLOSE ? 0 : COORD_EEXPIRED, NULL);
        }
    }
}

void coord__session_gone(struct coord__core *k, bool reconnect)
{
    assert(k->session.id != 0);
    memset(&k->session, 0, sizeof(k->session));
    k->link.attached = false;
    coord__state_tell(k, COORD_EXPIRED);
    if (reconnect) {
        coord__link_end(k, COORD__END_AGAIN, "the session has expired");
    }
    end_writes(k);
    coord__state_check(k);
}

void coord__session_ended(struct coord__core *k)
{
    memset(&k->session, 0, sizeof(k->session));
    k->link.attached = false;
    coord__pace_give_back(k); /* who closes many sessions is no client in trouble */
    coord__link_end(k, COORD__END_AGAIN, "the session was closed");
}

void coord__session_ponged(struct coord__core *k, const struct coord__request *r,
                           const struct coord_result *res)
{
    k->link.pinging = false;
    if (res->error == 0) {
        coord__session_kept(k, r->sent);
        k->session.ping_at = 0;
    } else if (res->error == COORD_EEXPIRED || res->error == COORD_ENOSESSION) {
        coord__session_gone(k, true);
    } else if (res->error == COORD_EMOVED || res->error == COORD_ESHUTDOWN) {
        coord__link_end(k, COORD__END_FAILED, coord_strerror(res->error));
    } else {
        k->session.ping_at = k->now + k->session.timeout_ns / 12;
    }
}

static uint64_t ping_due(const struct coord__core *k)
{
    uint64_t at = k->session.kept + k->session.timeout_ns / 3;
    return k->session.ping_at > at ? k->session.ping_at : at;
}

/* No keep-alive was acknowledged on this link for two thirds of the timeout. */
static uint64_t stale_at(const struct coord__core *k)
{
    uint64_t since = k->session.kept > k->link.ready_at ? k->session.kept : k->link.ready_at;
    return since + k->session.timeout_ns / 3 * 2;
}

/* A link without a session, on which nothing was asked for a third of the time, is asked whether it
 * still lives, since watches hang on it. */
static bool probe_due(const struct coord__core *k)
{
    uint64_t third = k->o.session_timeout_ms * COORD__NS_PER_MS / 3;
    return !k->link.attached && k->watches_count > 0 && k->link.asked == 0 &&
           k->now >= k->link.heard + third;
}

void coord__session_tick(struct coord__core *k)
{
    if (k->link.state != COORD__LINK_READY) {
        return;
    }
    if (probe_due(k)) {
        struct coord_request probe = {.op = COORD_OP_STATUS};
        int err = coord__send_own(k, COORD__PROBE, &probe);
        if (err != 0) {
            coord__link_end(k, COORD__END_FAILED, coord_strerror(err)); /* the next after a pause */
        }
        return;
    }
    if (!k->link.attached) {
        return;
    }
    if (k->now >= stale_at(k) && k->o.servers_count > 1) {
        coord__link_end(k, COORD__END_MOVE, "keep-alives are not acknowledged");
        return;
    }
    if (!k->link.pinging && !k->link.barrier && k->now >= ping_due(k)) {
        struct coord_request ping = {.op = COORD_OP_PING, .level = COORD_LEVEL_LINEARIZABLE};
        ping.level_arg = k->session.timeout_ns / 3 / COORD__NS_PER_MS; /* when the next is due */
        if (coord__send_own(k, COORD__PING, &ping) == 0) {
            k->link.pinging = true;
            k->link.loud = true;
        } else {
            k->session.ping_at = k->now + k->session.timeout_ns / 12;
        }
    }
}

/* The next moment at which the state changes by itself. */
static uint64_t state_deadline(const struct coord__core *k)
{
    uint64_t jeopardy = k->session.kept + k->session.timeout_ns / 3 * 2;
    uint64_t lapse = k->session.kept + coord__lease_ns(&k->session);
    if (k->told != COORD_JEOPARDY && k->told != COORD_LAPSED && jeopardy < lapse) {
        return jeopardy;
    }
    return k->told != COORD_LAPSED ? lapse : UINT64_MAX;
}

uint64_t coord__session_deadline(const struct coord__core *k)
{
    uint64_t at = k->session.id != 0 ? state_deadline(k) : UINT64_MAX;
    if (k->link.state != COORD__LINK_READY) {
        return at;
    }
    if (!k->link.attached) {
        uint64_t probe = k->link.heard + k->o.session_timeout_ms * COORD__NS_PER_MS / 3;
        bool probes = k->watches_count > 0 && k->link.asked == 0;
        bool opens = k->o.policy == COORD_SESSIONS_EAGER && k->session.id == 0 &&
                     !k->link.barrier && !k->link.detached;
        at = probes && probe < at ? probe : at;
        return opens && k->session.ping_at < at ? k->session.ping_at : at;
    }
    uint64_t ping = k->link.pinging || k->link.barrier ? UINT64_MAX : ping_due(k);
    uint64_t stale = k->o.servers_count > 1 ? stale_at(k) : UINT64_MAX;
    at = ping < at ? ping : at;
    return stale < at ? stale : at;
}
