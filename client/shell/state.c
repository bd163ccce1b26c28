/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c: what a handle tells about itself: states, lease, listeners, timers, recordings, names of
 * things.
 *
 * Leaves to others: deciding any of it (client/core/session.c).
 * Thread: as coord.h says for the handle.
 */
#include "client/shell/handle.h"

#include <stdio.h>
#include <string.h>

int coord_record(struct coord *c, const char *file)
{
    int err = coord__handle_enter(c);
    if (err < 0) {
        return err;
    }
    if (c->closing) {
        err = COORD_ECLOSED;
    } else if (file == NULL) {
        coord__record_close(c->recorder, "stopped", coord__now());
        c->recorder = NULL;
    } else if (c->recorder != NULL || coord__core_requests(c->core) > 0) {
        err = COORD_EBUSY;
    } else {
        err = coord__record_open(file, coord__now(), &c->recorder);
    }
    coord__handle_leave(c);
    return err;
}

const char *coord_state_name(enum coord_state state)
{
    static const char *const names[] = {"UNKNOWN", "CONNECTING", "CONNECTED", "JEOPARDY",
                                        "LAPSED",  "EXPIRED",    "CLOSED"};
    return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : names[0];
}

const char *coord_role_name(uint32_t role)
{
    static const char *const names[] = {"unknown",   "follower", "precandidate",
                                        "candidate", "leader",   "faulted"};
    return role < sizeof(names) / sizeof(names[0]) ? names[role] : names[0];
}

const char *coord_consistency_name(enum coord_consistency level)
{
    static const char *const names[] = {"default", "linearizable", "session", "bounded", "local"};
    return (unsigned)level < sizeof(names) / sizeof(names[0]) ? names[level] : names[0];
}

uint64_t coord_session_id(const struct coord *c)
{
    if (coord__handle_enter(c) < 0) {
        return 0;
    }
    uint64_t id = coord__core_session(c->core);
    coord__handle_leave(c);
    return id;
}

uint64_t coord_session_timeout_ms(const struct coord *c)
{
    if (coord__handle_enter(c) < 0) {
        return 0;
    }
    uint64_t ms = coord__core_session_timeout_ms(c->core);
    coord__handle_leave(c);
    return ms;
}

/* One struct is on the wire, the other promised to applications: they may part ways. */
static void limits_of(const struct coord_limits *from, struct coord_server_limits *to)
{
    *to = (struct coord_server_limits){
        .frame_bytes = from->frame_bytes,
        .data_bytes = from->data_bytes,
        .outstanding = from->outstanding,
        .watches = from->watches,
        .session_min_ms = from->session_min_ms,
        .session_max_ms = from->session_max_ms,
        .list_entries = from->list_entries,
        .txn_operations = from->txn_operations,
        .subtree_nodes = from->subtree_nodes,
        .list_bytes = from->list_bytes,
        .sessions = from->sessions,
        .answers = from->answers,
        .answers_bytes = from->answers_bytes,
        .store_bytes = from->store_bytes,
        .outstanding_bytes = from->outstanding_bytes,
        .connections = from->connections,
        .connections_per_address = from->connections_per_address,
        .output_bytes = from->output_bytes,
        .watch_output_bytes = from->watch_output_bytes,
        .history_events = from->history_events,
        .history_bytes = from->history_bytes,
    };
}

int coord_server_limits(const struct coord *c, struct coord_server_limits *ret_limits)
{
    int err = ret_limits == NULL ? COORD_EINVAL : coord__handle_enter(c);
    if (err < 0) {
        return err;
    }
    const struct coord_limits *l = coord__core_limits(c->core);
    if (l == NULL) {
        err = COORD_ECONNECT;
    } else {
        limits_of(l, ret_limits);
    }
    coord__handle_leave(c);
    return err;
}

uint64_t coord_lease_remaining_ms(const struct coord *c)
{
    if (coord__handle_enter(c) < 0) {
        return 0;
    }
    uint64_t end = coord__core_lease_end(c->core);
    uint64_t now = coord__now();
    coord__handle_leave(c);
    return end > now ? (end - now) / 1000000 : 0;
}

int coord_lease_fd(const struct coord *c)
{
    if (c == NULL) {
        return COORD_EINVAL;
    }
    return coord__forked(c) ? COORD_EFORKED : c->lease_fd;
}

enum coord_state coord_state(const struct coord *c)
{
    if (coord__handle_enter(c) < 0) {
        return COORD_CLOSED;
    }
    enum coord_state state = c->closing ? COORD_CLOSED : coord__core_state(c->core, coord__now());
    coord__handle_leave(c);
    return state;
}

int coord_listen(struct coord *c, coord_state_cb cb, void *arg, coord_listener_id *ret_listener)
{
    int err = cb == NULL ? COORD_EINVAL : coord__handle_enter(c);
    if (err < 0) {
        return err;
    }
    struct coord__listener *l = c->closing ? NULL : coord__alloc(sizeof(*l));
    if (l == NULL) {
        err = c->closing ? COORD_ECLOSED : COORD_ENOMEM;
    } else {
        l->id = ++c->last_listener;
        l->cb = cb;
        l->arg = arg;
        coord__list_append(&c->listeners, &l->link);
        *ret_listener = l->id;
    }
    coord__handle_leave(c);
    return err;
}

void coord_unlisten(struct coord *c, coord_listener_id listener)
{
    if (coord__handle_enter(c) < 0) {
        return;
    }
    for (struct coord__list *at = c->listeners.next; at != &c->listeners; at = at->next) {
        struct coord__listener *l = COORD__ENTRY(at, struct coord__listener, link);
        if (l->id == listener) {
            coord__list_remove(&l->link);
            coord__free(l);
            break;
        }
    }
    while (c->threaded && !coord__on_loop(c) && c->called_listener == listener) {
        (void)pthread_cond_wait(&c->changed, &c->lock); /* cannot fail: the lock is held */
    }
    coord__handle_leave(c);
}

void coord_describe(const struct coord *c, char *text, size_t bytes)
{
    uint32_t member;
    uint32_t server;
    if (bytes == 0) {
        return;
    }
    text[0] = 0;
    if (coord__handle_enter(c) < 0) {
        return;
    }
    /* Cut when too long. */
    if (coord__core_ready(c->core, &member, &server)) {
        bool v6 = strchr(c->servers[server].host, ':') != NULL;
        (void)snprintf(text, bytes, "connected to %s%s%s:%u (member %u)", v6 ? "[" : "",
                       c->servers[server].host, v6 ? "]" : "", (unsigned)c->servers[server].port,
                       (unsigned)member);
    } else {
        const char *why = coord__core_why(c->core);
        (void)snprintf(text, bytes, "not connected%s%s", why[0] != 0 ? ": " : "", why);
    }
    coord__handle_leave(c);
}

int coord_after(struct coord *c, uint32_t ms, coord_timer_cb cb, void *arg,
                coord_timer_id *ret_timer)
{
    int err = cb == NULL ? COORD_EINVAL : coord__handle_enter(c);
    if (err < 0) {
        return err;
    }
    struct coord__timer *t = coord__alloc(sizeof(*t));
    err = t == NULL ? COORD_ENOMEM : 0;
    if (err == 0) {
        t->cb = cb;
        t->arg = arg;
        coord__list_init(&t->link);
        err = coord__core_after(c->core, t, ms, coord__now());
    }
    if (err < 0) {
        coord__free(t);
    } else {
        if (ret_timer != NULL) {
            *ret_timer = t->id;
        }
        coord__wake(c);
    }
    coord__handle_leave(c);
    return err;
}

void coord_cancel_after(struct coord *c, coord_timer_id timer)
{
    if (coord__handle_enter(c) == 0) {
        coord__core_cancel_after(c->core, timer);
        coord__wake(c);
        coord__handle_leave(c);
    }
}
