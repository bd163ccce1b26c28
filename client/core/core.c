/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.c: the core as a whole: making and ending it, taking requests in, completing them, their
 * deadlines, the states told, and giving out.
 *
 * Leaves to others: the link (link.c), sending (pump.c), frames (recv.c), the session (session.c),
 * watches (watch.c).
 * Thread: none; one at a time. Invariants: core.h.
 */
#include "client/core/core_int.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "client/core/mem.h"

int coord__core_create(const struct coord__core_options *o, uint64_t now,
                       struct coord__core **ret_core)
{
    assert(o->servers_count >= 1 && o->servers_count <= COORD_SERVERS_MAX);
    struct coord__core *k = coord__alloc(sizeof(*k));
    if (k == NULL) {
        return COORD_ENOMEM;
    }
    k->o = *o;
    (void)snprintf(k->name, sizeof(k->name), "%s", o->name); /* longer names are cut */
    k->o.name = k->name;
    k->now = now;
    k->random = o->seed | 1;
    coord__list_init(&k->waiting);
    coord__list_init(&k->flying);
    coord__list_init(&k->done);
    coord__list_init(&k->writes);
    coord__list_init(&k->others);
    coord__list_init(&k->watches);
    coord__list_init(&k->watch_out);
    coord__list_init(&k->timers);
    coord__list_init(&k->timers_out);
    for (uint32_t i = 0; i < COORD__WATCH_BUCKETS; i++) {
        coord__list_init(&k->watch_buckets[i]);
    }
    k->expiry = UINT64_MAX;
    k->watch_retry = UINT64_MAX;
    k->told = COORD_CONNECTING;
    k->link.state = COORD__LINK_PAUSE;
    k->link.until = now;
    k->link.server = o->in_order ? 0 : (uint32_t)(coord__random(k) % o->servers_count);
    *ret_core = k;
    return 0;
}

static void free_requests(struct coord__list *head, bool through_done)
{
    while (!coord__list_empty(head)) {
        struct coord__request *r = through_done
                                       ? COORD__ENTRY(head->next, struct coord__request, done)
                                       : COORD__ENTRY(head->next, struct coord__request, link);
        coord__list_remove(&r->link);
        coord__list_remove(&r->order);
        coord__list_remove(&r->done);
        coord__request_free(r);
    }
}

void coord__core_destroy(struct coord__core *k)
{
    if (k == NULL) {
        return;
    }
    free_requests(&k->waiting, false);
    free_requests(&k->flying, false);
    free_requests(&k->done, true);
    while (!coord__list_empty(&k->watches)) {
        struct coord__watch *w = COORD__ENTRY(k->watches.next, struct coord__watch, link);
        coord__list_remove(&w->link);
        coord__list_remove(&w->bucket);
        coord__list_remove(&w->told);
        coord__watch_free(w);
    }
    while (!coord__list_empty(&k->watch_out)) {
        struct coord__watch *w = COORD__ENTRY(k->watch_out.next, struct coord__watch, told);
        coord__list_remove(&w->told);
        coord__watch_free(w);
    }
    coord__timers_free(k);
    coord_buf_unref(k->in);
    coord_buf_unref(k->out);
    memset(&k->session, 0, sizeof(k->session)); /* the secret */
    coord__free(k);
}

/* Readings of several threads may arrive in another order than they were taken. */
void coord__clock(struct coord__core *k, uint64_t now)
{
    k->now = now > k->now ? now : k->now;
}

/* xorshift64*: jitter needs no more. */
uint64_t coord__random(struct coord__core *k)
{
    uint64_t x = k->random;
    assert(x != 0);
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    k->random = x;
    return x * 2685821657736338717ull;
}

/* --- requests --------------------------------------------------------------------------------- */

int coord__core_submit(struct coord__core *k, struct coord__request *r, uint32_t timeout_ms,
                       uint64_t now)
{
    assert(r->role == COORD__USER && r->id == 0);
    if (k->closed) {
        return COORD_ECLOSED;
    }
    if (k->o.policy == COORD_SESSIONS_OFF && coord__request_owns(r)) {
        return COORD_ENOSESSION;
    }
    if (k->requests >= COORD_REQUESTS_MAX ||
        k->pending_bytes + r->bytes > COORD__PENDING_BYTES_MAX) {
        return COORD_EBUSY;
    }
    coord__clock(k, now);
    r->id = ++k->last_id;
    r->deadline = now + timeout_ms * COORD__NS_PER_MS;
    k->expiry = r->deadline < k->expiry ? r->deadline : k->expiry;
    k->requests++;
    k->pending_bytes += r->bytes;
    coord__list_append(&k->waiting, &r->link);
    coord__link_tick(k);
    coord__pump(k);
    return 0;
}

void coord__unhook(struct coord__core *k, struct coord__request *r)
{
    if (r->flying) {
        assert(k->flying_count > 0);
        k->flying_count--;
        r->flying = false;
    }
    coord__list_remove(&r->link);
    coord__list_remove(&r->order);
    r->numbered = false;
}

void coord__drop(struct coord__core *k, struct coord__request *r)
{
    assert(r->role != COORD__USER || r->zombie);
    coord__unhook(k, r);
    if (r->role == COORD__USER && !r->released) {
        r->zombie = false; /* whoever was given it frees it */
        return;
    }
    coord__request_free(r);
}

void coord__outcome_set(struct coord__core *k, uint64_t id, enum coord_outcome outcome)
{
    struct coord__outcome_slot *slot = &k->outcomes[id % COORD__OUTCOMES];
    slot->id = id;
    slot->outcome = outcome;
}

void coord__outcome_late(struct coord__core *k, uint64_t id, enum coord_outcome outcome)
{
    if (k->outcomes[id % COORD__OUTCOMES].id == id) {
        coord__outcome_set(k, id, outcome);
    }
}

void coord__settle(struct coord__core *k, struct coord__request *r, int error, const char *text)
{
    assert(r->role == COORD__USER && !r->zombie);
    assert(k->requests > 0 && k->pending_bytes >= r->bytes);
    r->error = error;
    r->outcome = coord__request_outcome(r, error);
    r->text = text;
    coord__outcome_set(k, r->id, r->outcome);
    k->requests--;
    k->pending_bytes -= r->bytes;
    if (r->flying) {
        r->zombie = true;
    } else {
        coord__unhook(k, r);
    }
}

void coord__complete(struct coord__core *k, struct coord__request *r, int error, const char *text)
{
    coord__settle(k, r, error, text);
    coord__list_append(&k->done, &r->done);
}

void coord__core_release(struct coord__core *k, struct coord__request *r)
{
    assert(r->role == COORD__USER && !r->released && coord__list_empty(&r->done));
    r->released = true;
    r->cb = NULL;
    r->waiter = NULL;
    if (!r->zombie) {
        coord__unhook(k, r);
        coord__request_free(r);
    }
}

uint64_t coord__core_requests(const struct coord__core *k)
{
    return k->last_id;
}

static bool pending_in(const struct coord__list *head, uint64_t id)
{
    for (const struct coord__list *at = head->next; at != head; at = at->next) {
        const struct coord__request *r = COORD__ENTRY(at, struct coord__request, link);
        if (r->id == id && !r->zombie) {
            return true;
        }
    }
    return false;
}

enum coord_outcome coord__core_outcome(const struct coord__core *k, uint64_t id)
{
    const struct coord__outcome_slot *slot = &k->outcomes[id % COORD__OUTCOMES];
    if (id == 0 || id > k->last_id) {
        return COORD_OUTCOME_UNKNOWN;
    }
    if (slot->id == id) {
        return slot->outcome;
    }
    return pending_in(&k->waiting, id) || pending_in(&k->flying, id) ? COORD_OUTCOME_PENDING
                                                                     : COORD_OUTCOME_UNKNOWN;
}

/* --- deadlines -------------------------------------------------------------------------------- */

/* The time of r is over: say the most that is known. */
static void time_out(struct coord__core *k, struct coord__request *r)
{
    if (!r->flying && r->refusal != 0) {
        coord__complete(k, r, r->write && r->unsure ? COORD_EINDOUBT : r->refusal, NULL);
    } else if (r->first_sent == 0 && k->link.state != COORD__LINK_READY && k->why[0] != 0) {
        coord__complete(k, r, COORD_ECONNECT, k->why);
    } else {
        coord__complete(k, r, COORD_ETIMEOUT, NULL);
    }
}

static uint64_t expire_list(struct coord__core *k, struct coord__list *head, uint64_t next)
{
    for (struct coord__list *at = head->next; at != head;) {
        struct coord__request *r = COORD__ENTRY(at, struct coord__request, link);
        at = at->next;
        if (r->role != COORD__USER || r->zombie) {
            continue;
        }
        if (r->deadline <= k->now) {
            time_out(k, r);
        } else if (r->deadline < next) {
            next = r->deadline;
        }
    }
    return next;
}

/* Looks at all requests, but at most about once in the shortest timeout in use: expiry is only a
 * lower bound, and is exact after each look. */
static void expire(struct coord__core *k)
{
    if (k->now < k->expiry) {
        return;
    }
    uint64_t next = expire_list(k, &k->waiting, UINT64_MAX);
    k->expiry = expire_list(k, &k->flying, next);
}

void coord__core_tick(struct coord__core *k, uint64_t now)
{
    coord__clock(k, now);
    if (k->closed) {
        return;
    }
    coord__session_tick(k);
    coord__link_tick(k);
    expire(k);
    coord__watches_tick(k);
    coord__timers_tick(k);
    coord__pump(k);
    coord__state_check(k);
}

uint64_t coord__core_deadline(const struct coord__core *k)
{
    if (!coord__list_empty(&k->done) || !coord__list_empty(&k->watch_out) ||
        !coord__list_empty(&k->timers_out) || k->states_count > 0) {
        return 0;
    }
    if (k->closed) {
        return UINT64_MAX;
    }
    uint64_t at = coord__link_deadline(k);
    uint64_t session = coord__session_deadline(k);
    at = session < at ? session : at;
    uint64_t timers = coord__timers_deadline(k);
    at = timers < at ? timers : at;
    at = k->expiry < at ? k->expiry : at;
    return k->watch_retry < at ? k->watch_retry : at;
}

/* --- states ----------------------------------------------------------------------------------- */

enum coord_state coord__core_state(const struct coord__core *k, uint64_t now)
{
    if (k->closed) {
        return COORD_CLOSED;
    }
    if (k->session.id != 0) {
        uint64_t age = now > k->session.kept ? now - k->session.kept : 0;
        if (age >= coord__lease_ns(&k->session)) {
            return COORD_LAPSED;
        }
        if (age >= k->session.timeout_ns / 3 * 2) {
            return COORD_JEOPARDY;
        }
    }
    return k->link.state == COORD__LINK_READY ? COORD_CONNECTED : COORD_CONNECTING;
}

void coord__state_tell(struct coord__core *k, enum coord_state state)
{
    if (k->states_count == COORD__STATES_MAX) {
        k->states_count--; /* nobody listens for long: the newest matters more than those between */
    }
    k->states[k->states_count++] = state;
    k->told = state;
}

void coord__state_check(struct coord__core *k)
{
    enum coord_state state = coord__core_state(k, k->now);
    if (state != k->told) {
        coord__state_tell(k, state);
    }
}

uint64_t coord__core_lease_end(const struct coord__core *k)
{
    return k->session.id == 0 ? 0 : k->session.kept + coord__lease_ns(&k->session);
}

uint64_t coord__core_session(const struct coord__core *k)
{
    return k->session.id;
}

const struct coord_limits *coord__core_limits(const struct coord__core *k)
{
    return k->link.state == COORD__LINK_READY ? &k->limits : NULL;
}

uint64_t coord__core_session_timeout_ms(const struct coord__core *k)
{
    return k->session.id == 0 ? 0 : k->session.timeout_ns / COORD__NS_PER_MS;
}

const char *coord__core_why(const struct coord__core *k)
{
    return k->link.state == COORD__LINK_READY ? "" : k->why;
}

bool coord__core_ready(const struct coord__core *k, uint32_t *ret_member, uint32_t *ret_server)
{
    if (k->link.state != COORD__LINK_READY) {
        return false;
    }
    *ret_member = k->link.member;
    *ret_server = k->link.server;
    return true;
}

/* --- giving out ------------------------------------------------------------------------------- */

static void give_done(struct coord__core *k, struct coord__out *out)
{
    struct coord__request *r = COORD__ENTRY(k->done.next, struct coord__request, done);
    coord__list_remove(&r->done);
    out->kind = COORD__OUT_REPLY;
    out->request = r;
    out->error = r->error;
    out->outcome = r->outcome;
    out->text = r->text != NULL ? r->text : r->error == 0 ? "" : coord_strerror(r->error);
    out->no_quorum = r->has_no_quorum && r->refusal != 0 && r->error != 0 ? &r->no_quorum : NULL;
}

/* What was queued. Return: false when nothing was. */
static bool give_queued(struct coord__core *k, struct coord__out *out)
{
    if (coord__watch_next(k, out)) {
        return true;
    }
    if (!coord__list_empty(&k->done)) {
        give_done(k, out);
        return true;
    }
    if (coord__timer_next(k, out)) {
        return true;
    }
    if (k->states_count > 0) {
        out->kind = COORD__OUT_STATE;
        out->state = k->states[0];
        k->states_count--;
        memmove(k->states, k->states + 1, k->states_count * sizeof(k->states[0]));
        return true;
    }
    return false;
}

bool coord__core_next(struct coord__core *k, struct coord__out *ret_out)
{
    memset(ret_out, 0, sizeof(*ret_out));
    for (;;) { /* each turn takes a frame; there are as many as bytes came */
        if (give_queued(k, ret_out)) {
            return true;
        }
        int r = k->closed ? 0 : coord__recv_frame(k, ret_out);
        if (r != 2) {
            return r == 1;
        }
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

static void close_list(struct coord__core *k, struct coord__list *head)
{
    while (!coord__list_empty(head)) {
        struct coord__request *r = COORD__ENTRY(head->next, struct coord__request, link);
        if (r->role == COORD__USER && !r->zombie) {
            r->unsure = r->unsure || (r->flying && r->write);
            coord__unhook(k, r);
            coord__complete(k, r, COORD_ECLOSED, NULL);
        } else {
            coord__unhook(k, r);
            r->zombie = r->role == COORD__USER;
            coord__drop(k, r);
        }
    }
}

void coord__core_close(struct coord__core *k, uint64_t now)
{
    if (k->closed) {
        return;
    }
    coord__clock(k, now);
    if (k->link.state == COORD__LINK_READY && k->link.attached && k->session.id != 0) {
        struct coord_request q = {.op = COORD_OP_SESSION_CLOSE};
        (void)coord__send_own(k, COORD__PROBE, &q); /* without memory the session ends by itself */
    }
    k->closed = true;
    close_list(k, &k->waiting);
    close_list(k, &k->flying);
    coord__watches_close(k);
    coord__timers_close(k);
    memset(&k->session, 0, sizeof(k->session));
    coord__state_check(k);
}
