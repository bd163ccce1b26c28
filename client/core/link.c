/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c: which server to be connected to: order, back-off, hello, moving on.
 *
 * Servers are tried round robin. When each was tried in vain there is a pause drawn from
 * 0 .. min(backoff_max, backoff_min * 2^rounds) (full jitter), so that the clients of a server that
 * died do not come back together. A link that answered something, or lasted, begins the count anew.
 *
 * A hello with the session goes through the log; in a minority it is refused. If reads are waiting
 * that a minority can serve (status, local, bounded ...), the link is then made DETACHED, without
 * the session, and given up after a while to try to attach again, or as soon as a read on it shows
 * that there is a quorum. Who holds no session is served likewise: then the link need not be made
 * anew, neither to become detached nor to be more again.
 *
 * Whatever asks for a connection, want() makes it wait when there were too many (pace.c).
 *
 * Leaves to others: sockets and names (the shell), what is sent once READY (pump.c), who refused (refusal.c).
 * Thread: none; one at a time. The state diagram is in core.h.
 */
#include "client/core/core_int.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* How long a detached link serves before attaching is tried again: drawn from here to twice
 * this. */
#define DETACHED_NS 400000000ull

/* Be connected to link.server: now, or as soon as the bound on connections allows. */
static void want(struct coord__core *k, bool detached)
{
    struct coord__link *l = &k->link;
    uint64_t at = coord__pace_at(k, 1);
    assert(l->state != COORD__LINK_CLOSED);
    l->detached = detached;
    if (at > k->now) {
        l->state = COORD__LINK_PAUSE;
        l->until = at + coord__random(k) % (at - k->now); /* others may have to wait as long */
        return;
    }
    coord__pace_take(k);
    l->state = COORD__LINK_WANTED;
    l->id++;
    l->until = k->now + k->o.connect_timeout_ms * COORD__NS_PER_MS;
    l->attached = false;
    l->barrier = false;
    l->pinging = false;
    l->loud = false;
    l->good = false;
    l->asked = 0;
}

/* Is something waiting that a server can do without the session? What waits for a quorum that is missing is
 * no reason to look for one without a pause. */
static bool free_waits(const struct coord__core *k)
{
    for (const struct coord__list *at = k->waiting.next; at != &k->waiting; at = at->next) {
        const struct coord__request *r = COORD__ENTRY(at, struct coord__request, link);
        bool waits = r->wait_quorum && r->refused != 0;
        if (r->role == COORD__USER && !waits && !coord__request_needs_session(r)) {
            return true;
        }
    }
    return false;
}

static bool may_detach(const struct coord__core *k)
{
    return k->link.refused && free_waits(k);
}

static void detach(struct coord__core *k)
{
    k->link.server = k->link.refused_by;
    want(k, true);
}

static uint64_t draw_pause(struct coord__core *k)
{
    struct coord__link *l = &k->link;
    uint64_t most = k->o.backoff_max_ms;
    if (l->rounds < 20 && ((uint64_t)k->o.backoff_min_ms << l->rounds) < most) {
        most = (uint64_t)k->o.backoff_min_ms << l->rounds;
    }
    l->rounds++;
    return coord__random(k) % (most * COORD__NS_PER_MS + 1);
}

void coord__link_stay(struct coord__core *k)
{
    struct coord__link *l = &k->link;
    assert(l->state == COORD__LINK_READY && k->session.id == 0);
    if (!l->detached) {
        l->detached = true;
        l->until = k->now + draw_pause(k);
    }
}

/* The next server, at once or after a pause. */
static void next_server(struct coord__core *k, bool same)
{
    struct coord__link *l = &k->link;
    if (!same) {
        l->server = (l->server + 1) % k->o.servers_count;
    }
    if (l->failures < k->o.servers_count) {
        want(k, false);
        return;
    }
    l->failures = 0;
    if (may_detach(k)) {
        detach(k);
        return;
    }
    l->state = COORD__LINK_PAUSE;
    l->detached = false;
    l->until = k->now + draw_pause(k);
}

/* Take a request that was sent on the link that ends back to `waiting`, or drop it. */
static void take_back(struct coord__core *k, struct coord__request *r, struct coord__list *back)
{
    if (r->role != COORD__USER || r->zombie) {
        coord__drop(k, r);
        return;
    }
    if (r->write) {
        r->unsure = true;
        r->flying = false;
        k->flying_count--;
        coord__list_remove(&r->link);
        if (k->o.policy == COORD_SESSIONS_OFF) {
            coord__complete(k, r, COORD_EINDOUBT, "the connection broke before the answer");
            return;
        }
    } else {
        coord__unhook(k, r);
    }
    coord__list_append(back, &r->link);
}

static void take_all_back(struct coord__core *k)
{
    struct coord__list back;
    coord__list_init(&back);
    while (!coord__list_empty(&k->flying)) {
        take_back(k, COORD__ENTRY(k->flying.next, struct coord__request, link), &back);
    }
    assert(k->flying_count == 0);
    coord__list_splice_front(&k->waiting, &back);
}

void coord__link_end(struct coord__core *k, enum coord__link_end end, const char *why)
{
    struct coord__link *l = &k->link;
    bool was_ready = l->state == COORD__LINK_READY;
    bool connecting = l->state == COORD__LINK_WANTED || l->state == COORD__LINK_HELLO;
    assert(was_ready || connecting);
    (void)snprintf(k->why, sizeof(k->why), "%s", why); /* cut when too long */
    if (was_ready && (l->good || k->now - l->ready_at >= COORD__LINK_GOOD_NS)) {
        l->failures = 0;
        l->rounds = 0;
    }
    take_all_back(k);
    coord__watches_lost(k);
    if (k->in != NULL) {
        k->in->len = 0; /* kept: what was given out borrows from it */
    }
    k->in_at = 0;
    if (k->out != NULL) {
        k->out->len = 0;
    }
    k->out_at = 0;
    l->state = COORD__LINK_PAUSE; /* nothing is sent while requests are looked at */
    if ((end == COORD__END_FAILED && connecting) || end == COORD__END_TURNED_AWAY) {
        coord__unreached(k);
        l->refused = l->refused && l->refused_by != l->server;
    }
    if (end != COORD__END_AGAIN) {
        l->failures++;
    }
    next_server(k, end == COORD__END_AGAIN);
    coord__state_check(k);
}

/* Into why: the prefix, and the words of an error. */
static void words_of(const struct coord_result *res, const char *prefix, char why[COORD__WHY_BYTES])
{
    if (res->text.len > 0) {
        (void)snprintf(why, COORD__WHY_BYTES, "%s%.*s", prefix, (int)res->text.len,
                       (const char *)res->text.data);
    } else {
        (void)snprintf(why, COORD__WHY_BYTES, "%s%s", prefix, coord_strerror(res->error));
    }
}

void coord__link_turned_away(struct coord__core *k, const struct coord_result *res)
{
    char why[COORD__WHY_BYTES];
    words_of(res, "", why);
    coord__link_end(k, COORD__END_TURNED_AWAY, why);
}

void coord__link_last_word(struct coord__core *k, const struct coord_result *res)
{
    char why[COORD__WHY_BYTES];
    if (res->error == COORD_ESHUTDOWN) {
        coord__link_turned_away(k, res);
        return;
    }
    words_of(res, "the server closed the connection: ", why);
    coord__link_end(k, COORD__END_FAILED, why);
}

struct coord__link_wish coord__core_link(const struct coord__core *k)
{
    struct coord__link_wish wish = {0, k->link.server};
    if (k->link.state >= COORD__LINK_WANTED && k->link.state <= COORD__LINK_READY) {
        wish.id = k->link.id;
    }
    return wish;
}

static bool is_link(const struct coord__core *k, uint64_t link)
{
    return !k->closed && coord__core_link(k).id == link && link != 0;
}

void coord__core_connected(struct coord__core *k, uint64_t link, uint64_t now)
{
    if (!is_link(k, link) || k->link.state != COORD__LINK_WANTED) {
        return;
    }
    coord__clock(k, now);
    struct coord__link *l = &k->link;
    struct coord_request q = {.op = COORD_OP_HELLO, .version = COORD_PROTOCOL_VERSION};
    q.client.data = (const uint8_t *)k->name;
    q.client.len = (uint32_t)strlen(k->name);
    q.revision = k->seen;
    if (k->session.id != 0 && !l->detached) {
        q.session = k->session.id;
        q.secret.data = k->session.secret;
        q.secret.len = COORD_SECRET_BYTES;
    }
    l->state = COORD__LINK_HELLO;
    l->heard = k->now;
    if (coord__send_own(k, COORD__HELLO, &q) < 0) {
        coord__link_end(k, COORD__END_FAILED, coord_strerror(COORD_ENOMEM));
    }
}

void coord__core_lost(struct coord__core *k, uint64_t link, const char *why, uint64_t now)
{
    if (is_link(k, link)) {
        coord__clock(k, now);
        coord__link_end(k, COORD__END_FAILED, why);
    }
}

static void hello_refused(struct coord__core *k, const struct coord_result *res)
{
    char why[COORD__WHY_BYTES];
    int len = (int)(res->text.len < 160 ? res->text.len : 160);
    (void)snprintf(why, sizeof(why), "the server refused: %.*s%s%s", len,
                   res->text.data != NULL ? (const char *)res->text.data : "", len > 0 ? ": " : "",
                   coord_strerror(res->error));
    bool asked = k->session.id != 0 && !k->link.detached;
    if (asked && (res->error == COORD_EAUTH || res->error == COORD_EEXPIRED)) {
        coord__session_gone(k, true);
    } else if (asked && (res->error == COORD_ENOQUORUM || res->error == COORD_EINDOUBT)) {
        coord__refuse_waiting(k, res);
        coord__link_end(k, COORD__END_MOVE, why);
    } else {
        coord__link_end(k, COORD__END_FAILED, why);
    }
}

void coord__link_hello(struct coord__core *k, const struct coord_result *res)
{
    struct coord__link *l = &k->link;
    assert(l->state == COORD__LINK_HELLO);
    if (res->error != 0) {
        hello_refused(k, res);
        return;
    }
    if (res->version != COORD_PROTOCOL_VERSION) {
        coord__link_end(k, COORD__END_FAILED, coord_strerror(COORD_EVERSION));
        return;
    }
    if (res->limits.frame_bytes < COORD__FRAME_BYTES_LEAST) {
        coord__link_end(k, COORD__END_FAILED, "the server takes only frames that are too small");
        return;
    }
    k->limits = res->limits;
    k->unreached_at[l->server] = 0;
    l->member = res->member;
    l->state = COORD__LINK_READY;
    l->ready_at = k->now;
    if (k->session.id != 0 && !l->detached) {
        coord__quorum_seen(k); /* it went through the log */
        if (res->session_state == COORD_SESSION_RESUMED) {
            l->attached = true;
        } else {
            coord__session_gone(k, false);
        }
    }
    if (l->detached) {
        l->until = k->now + DETACHED_NS + coord__random(k) % DETACHED_NS;
    }
    k->why[0] = 0;
    coord__state_check(k);
    coord__watches_ask(k);
    coord__pump(k);
}

void coord__link_attach(struct coord__core *k)
{
    assert(k->link.state == COORD__LINK_READY && k->link.detached);
    if (coord__may_ask_all(k)) {
        k->link.until = k->now;
    }
}

/* Nothing was heard for two thirds of the session's time although something was asked. */
static bool silent(const struct coord__core *k)
{
    const struct coord__link *l = &k->link;
    uint64_t timeout =
        k->session.id != 0 ? k->session.timeout_ns : k->o.session_timeout_ms * COORD__NS_PER_MS;
    uint64_t since = l->asked > l->heard ? l->asked : l->heard;
    return l->asked != 0 && k->now - since >= timeout / 3 * 2;
}

void coord__link_tick(struct coord__core *k)
{
    struct coord__link *l = &k->link;
    bool due = k->now >= l->until;
    switch (l->state) {
    case COORD__LINK_PAUSE:
        if (due) {
            want(k, l->detached && may_detach(k));
        } else if (!l->detached && may_detach(k)) {
            detach(k);
        }
        break;
    case COORD__LINK_WANTED:
    case COORD__LINK_HELLO:
        if (due) {
            coord__link_end(k, COORD__END_FAILED,
                            l->state == COORD__LINK_WANTED ? "the connection was not made in time"
                                                           : "the server did not greet in time");
        }
        break;
    case COORD__LINK_READY:
        if (l->detached && due && k->session.id == 0) {
            l->failures = 0;
            l->detached = false;
        } else if (l->detached && due) {
            l->failures = 0;
            coord__link_end(k, COORD__END_AGAIN, "attaching the session again");
        } else if (silent(k)) {
            coord__link_end(k, COORD__END_FAILED, "the server is silent");
        }
        break;
    case COORD__LINK_CLOSED:
        break;
    }
}

uint64_t coord__link_deadline(const struct coord__core *k)
{
    const struct coord__link *l = &k->link;
    if (l->state != COORD__LINK_READY) {
        return l->until;
    }
    uint64_t at = l->detached ? l->until : UINT64_MAX;
    if (l->asked != 0) {
        uint64_t timeout =
            k->session.id != 0 ? k->session.timeout_ns : k->o.session_timeout_ms * COORD__NS_PER_MS;
        uint64_t silent_at = (l->asked > l->heard ? l->asked : l->heard) + timeout / 3 * 2;
        at = silent_at < at ? silent_at : at;
    }
    return at;
}
