/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.c: see conn.h, which holds the states. A connection's number is its serial and its place in the
 * table, so that finding it is one look. The accepting side is conn_accept.c, those that only keep alive conn_doze.c.
 */
#include "server/shell/conn_set.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>
#include "server/shell/clock.h"
#include "server/shell/log.h"

#define CONN_SLOT_BITS      24
#define CONN_SLOT_MASK      ((UINT64_C(1) << CONN_SLOT_BITS) - 1)
#define CONN_HELLO_NS       (5 * CLOCK_NS_PER_S) /* to the first whole frame */
#define CONN_PROGRESS_NS    (5 * CLOCK_NS_PER_S)
#define CONN_PROGRESS_BYTES (5 * 1024) /* in that time, inside a frame */
#define CONN_DRAIN_NS       (5 * CLOCK_NS_PER_S)
#define CONN_LINGER_NS      CLOCK_NS_PER_S
#define CONN_BAD_PER_WINDOW 20 /* log lines in ten seconds about what clients did wrong */

struct conn *conn_find(const struct conn_set *s, uint64_t id)
{
    uint64_t slot = id & CONN_SLOT_MASK;
    if (slot >= s->cap || s->conns[slot] == NULL || s->conns[slot]->id != id) {
        return NULL;
    }
    return s->conns[slot];
}

/* A log line about something that a client can cause at will. */
static void conn_complain(struct conn *c, const char *why)
{
    uint32_t kept = 0;
    if (log_limit_pass(&c->set->complaints, CONN_BAD_PER_WINDOW, clock_mono_ns(), &kept)) {
        if (kept > 0) {
            log_write(CONF_LOG_WARN, "%u more lines about clients were left out", (unsigned)kept);
        }
        log_write(CONF_LOG_WARN, "client %s: %s", c->source, why);
    }
}

static void conn_dirty(struct conn *c)
{
    if (!c->dirty) {
        c->dirty = true;
        c->next_dirty = c->set->dirty;
        c->set->dirty = c;
    }
}

/* Take c out of the dirty list; the list is short, and this is rare. */
static void conn_undirty(struct conn *c)
{
    if (!c->dirty) {
        return;
    }
    struct conn **at = &c->set->dirty;
    while (*at != c) {
        assert(*at != NULL);
        at = &(*at)->next_dirty;
    }
    *at = c->next_dirty;
    c->dirty = false;
}

/* --- frames held back -------------------------------------------------------------------------- */

static void inbox_clear(struct conn_inbox *in)
{
    for (uint32_t i = 0; i < in->count; i++) {
        coord_buf_unref(in->frames[in->first + i]);
    }
    free(in->frames);
    *in = (struct conn_inbox){.frames = NULL};
}

/* Return: 0 or -1 when memory is out. */
static int inbox_push(struct conn_inbox *in, struct coord_buf *buf)
{
    if (in->first + in->count == in->cap) {
        uint32_t cap = in->cap == 0 ? 64 : in->cap * 2;
        struct coord_buf **frames = realloc(in->frames, cap * sizeof(struct coord_buf *));
        if (frames == NULL) {
            return -1;
        }
        in->frames = frames;
        in->cap = cap;
    }
    in->frames[in->first + in->count++] = buf;
    return 0;
}

/* Are more answers than there should be waiting for this connection's socket? */
static bool conn_is_full(const struct conn *c)
{
    return c->out.bytes >= CONN_QUEUE_HIGH ||
           (c->out.bytes > 0 && c->set->queued_bytes >= c->set->o.output_total_bytes_max);
}

/* Was it behind, and is there still more than half of what it may leave? */
static bool conn_lags(const struct conn *c)
{
    return c->behind && c->out.bytes > c->set->o.watch_output_bytes_max / 2;
}

static bool conn_may_deliver(const struct conn *c)
{
    return c->state == CONN_OPEN && !c->paused && c->credit > 0 && !conn_is_full(c);
}

/* Put c into the list of those with an inbox, and read no more until that is empty. */
static void conn_hold(struct conn *c)
{
    if (!c->held) {
        conn_wake(c);
        c->held = true;
        c->next_held = c->set->held;
        c->set->held = c;
        (void)event_del(&c->readable);
    }
}

static void conn_unhold(struct conn *c)
{
    if (!c->held) {
        return;
    }
    struct conn **at = &c->set->held;
    while (*at != c) {
        assert(*at != NULL);
        at = &(*at)->next_held;
    }
    *at = c->next_held;
    c->held = false;
}

/* A limit on time may concern c: the sweep looks at it until none does. */
static void conn_time(struct conn *c)
{
    struct conn_set *s = c->set;
    if (c->prev_timed == NULL) {
        c->prev_timed = &s->timed;
        c->next_timed = s->timed;
        if (s->timed != NULL) {
            s->timed->prev_timed = &c->next_timed;
        }
        s->timed = c;
    }
}

static void conn_untime(struct conn *c)
{
    if (c->prev_timed != NULL) {
        *c->prev_timed = c->next_timed;
        if (c->next_timed != NULL) {
            c->next_timed->prev_timed = c->prev_timed;
        }
        c->prev_timed = NULL;
    }
}

/* The end of a connection, whatever its state; c is gone afterwards. tell: the host knows it. */
static void conn_destroy(struct conn *c, bool tell)
{
    struct conn_set *s = c->set;
    uint64_t id = c->id;
    conn_undirty(c);
    conn_unhold(c);
    inbox_clear(&c->inbox);
    conn_untime(c);
    conn_doze_forget(c);
    (void)event_del(&c->readable);
    (void)event_del(&c->writable);
    (void)close(c->fd);
    s->queued_bytes -= c->out.bytes;
    outq_clear(&c->out);
    frame_clear(&c->reader);
    conn_accept_closed(s, c->address_bucket);
    s->conns[id & CONN_SLOT_MASK] = NULL;
    s->free_slots[s->free_count++] = (uint32_t)(id & CONN_SLOT_MASK);
    s->count--;
    free(c);
    if (tell) {
        s->told = true;
        s->o.host.closed(s->o.host.ctx, id);
    }
}

/* Something ended the connection from outside the host. */
static void conn_fail(struct conn *c, const char *why)
{
    log_write(CONF_LOG_DEBUG, "client %s: %s", c->source, why);
    conn_destroy(c, c->state == CONN_OPEN);
}

/* --- reading ----------------------------------------------------------------------------------- */

static int conn_deliver(void *arg, struct coord_buf *buf)
{
    struct conn *c = arg;
    struct conn_set *s = c->set;
    c->progress_ns = 0; /* the next frame's time is its own */
    if (c->inbox.count > 0 || !conn_may_deliver(c)) {
        if (inbox_push(&c->inbox, buf) < 0) {
            coord_buf_unref(buf);
            c->overflow = true; /* a gap in the stream cannot be mended */
            conn_dirty(c);
            return 1;
        }
        conn_hold(c);
        return 0;
    }
    c->credit--;
    s->o.host.frame(s->o.host.ctx, c->id, buf);
    return c->state != CONN_OPEN;
}

/* Hand over what was held back, as far as it goes. */
static void conn_resume(struct conn *c)
{
    struct conn_set *s = c->set;
    while (c->inbox.count > 0 && conn_may_deliver(c)) {
        struct coord_buf *buf = c->inbox.frames[c->inbox.first++];
        c->inbox.count--;
        c->credit--;
        s->o.host.frame(s->o.host.ctx, c->id, buf);
    }
    if (c->inbox.count > 0 && c->state == CONN_OPEN) {
        return;
    }
    inbox_clear(&c->inbox);
    conn_unhold(c);
    if (c->state == CONN_OPEN && !c->paused) {
        (void)event_add(&c->readable, NULL);
    }
}

void conn_set_resume(struct conn_set *s)
{
    struct conn *next = NULL;
    conn_doze_resume(s);
    for (struct conn *c = s->held; c != NULL; c = next) {
        next = c->next_held; /* conn_resume may take c out */
        conn_resume(c);
    }
}

bool conn_set_ready(const struct conn_set *s)
{
    if (s->doze_due) {
        return true;
    }
    for (const struct conn *c = s->held; c != NULL; c = c->next_held) {
        if (conn_may_deliver(c)) {
            return true;
        }
    }
    return false;
}

/* The stream cannot be cut into frames any more: the host may still say so to the client. */
static void conn_bad(struct conn *c, const char *why)
{
    struct conn_set *s = c->set;
    conn_wake(c);
    (void)event_del(&c->readable); /* the host writes the log line */
    c->paused = true;
    c->bad = true;
    c->deadline_ns = clock_mono_ns() + CONN_DRAIN_NS;
    conn_time(c);
    s->o.host.bad(s->o.host.ctx, c->id, why);
}

/* Read and drop, until the other end closes too. */
static void conn_linger_read(struct conn *c)
{
    ssize_t n = recv(c->fd, c->set->scratch, FRAME_SCRATCH_BYTES, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        conn_destroy(c, false);
    }
}

ssize_t conn_read(struct conn *c)
{
    assert(c->state == CONN_OPEN);
    ssize_t n = frame_read(&c->reader, c->fd, c->set->scratch, conn_deliver, c);
    if (frame_inside(&c->reader)) {
        conn_time(c);
        conn_wake(c); /* however few bytes are missing, they are wanted at once */
    }
    if (n >= 0 || c->state != CONN_OPEN) {
        return c->state == CONN_OPEN ? n : -1;
    }
    if (n == FRAME_ETOOBIG) {
        conn_bad(c, frame_strerror((int)n));
    } else {
        if (n == FRAME_ENOMEM) {
            conn_complain(c, frame_strerror((int)n));
        }
        conn_fail(c, frame_strerror((int)n));
    }
    return -1;
}

static void conn_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)what;
    assert(fd == c->fd);
    if (c->state == CONN_LINGERING) {
        conn_linger_read(c);
    } else if (conn_read(c) > 0) {
        c->looked = false;
        if (c->reader.frames > 0) {
            c->heard_ns = conn_set_now(c->set);
        }
    }
}

/* --- writing ----------------------------------------------------------------------------------- */

/* Everything queued is sent: a draining connection goes on to its end. */
static void conn_sent(struct conn *c)
{
    if (c->state != CONN_DRAINING) {
        return;
    }
    if (shutdown(c->fd, SHUT_WR) < 0) {
        conn_destroy(c, false);
        return;
    }
    c->state = CONN_LINGERING;
    c->deadline_ns = clock_mono_ns() + CONN_LINGER_NS;
    conn_time(c);
    (void)event_add(&c->readable, NULL);
}

/* A new turn begins: how many frames may be handed over in it, after `queued` bytes of answers? */
static void conn_credit(struct conn *c, uint64_t queued)
{
    if (queued > CONN_QUEUE_HIGH) {
        c->credit_max = c->credit_max > 1 ? c->credit_max / 2 : 1;
    } else if (c->credit == 0 && c->credit_max < CONN_CREDIT_MAX) {
        c->credit_max *= 2;
    }
    c->credit = c->credit_max;
}

static void conn_flush(struct conn *c)
{
    struct conn_set *s = c->set;
    if (c->overflow) {
        conn_complain(c, "does not read its answers: the output limit is reached, closing");
        conn_destroy(c, c->state == CONN_OPEN);
        return;
    }
    uint64_t before = c->out.bytes;
    int rc = outq_flush(&c->out, c->fd);
    c->blocked = rc == 0;
    conn_credit(c, before);
    s->queued_bytes -= before - c->out.bytes;
    if (rc < 0) {
        conn_fail(c, strerror(-rc));
        return;
    }
    if (c->full && c->state == CONN_OPEN && !conn_is_full(c) && !conn_lags(c)) {
        c->full = false;
        c->behind = false;
        s->told = true;
        s->o.host.drained(s->o.host.ctx, c->id);
    }
    if (rc == 0) {
        (void)event_add(&c->writable, NULL);
    } else {
        conn_sent(c);
    }
}

static void conn_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)what;
    assert(fd == c->fd);
    conn_flush(c);
}

void conn_set_send(struct conn_set *s, uint64_t conn, struct coord_buf *frames)
{
    struct conn *c = conn_find(s, conn);
    if (c == NULL || c->state != CONN_OPEN || c->overflow) {
        return;
    }
    if (c->turn != s->turn) {
        c->turn = s->turn;
        c->backlog_bytes = c->out.bytes;
    }
    /* With nothing left unsent any frame is taken: the ensemble's limit on frames may exceed this
     * member's on output. */
    bool over = c->backlog_bytes > 0 && c->backlog_bytes + frames->len > s->o.output_bytes_max;
    if (over || outq_buf(&c->out, frames) < 0) {
        c->overflow = true;
    } else {
        s->queued_bytes += frames->len;
    }
    if (c->overflow || !c->blocked) {
        conn_dirty(c);
    }
}

void conn_set_close(struct conn_set *s, uint64_t conn, const char *why)
{
    struct conn *c = conn_find(s, conn);
    if (c == NULL || c->state != CONN_OPEN) {
        return;
    }
    log_write(CONF_LOG_DEBUG, "client %s: closing: %s", c->source, why);
    conn_wake(c);
    (void)event_del(&c->readable);
    c->state = CONN_DRAINING;
    c->deadline_ns = clock_mono_ns() + CONN_DRAIN_NS;
    conn_time(c);
    conn_dirty(c);
}

void conn_set_pause(struct conn_set *s, uint64_t conn, bool paused)
{
    struct conn *c = conn_find(s, conn);
    if (c == NULL || c->state != CONN_OPEN || c->paused == paused || c->bad) {
        return;
    }
    c->paused = paused;
    if (paused) {
        conn_wake(c);
        (void)event_del(&c->readable);
    } else {
        c->progress_ns = 0; /* it could not make progress while nobody read */
    }
    if (!paused && !c->held) {
        (void)event_add(&c->readable, NULL);
    }
}

bool conn_set_full(struct conn_set *s, uint64_t conn)
{
    struct conn *c = conn_find(s, conn);
    if (c == NULL || c->state != CONN_OPEN || !(c->overflow || conn_is_full(c))) {
        return false;
    }
    c->full = true;
    return true;
}

bool conn_set_behind(struct conn_set *s, uint64_t conn)
{
    struct conn *c = conn_find(s, conn);
    if (c == NULL || c->state != CONN_OPEN || c->overflow) {
        return false; /* what is sent to it goes nowhere */
    }
    bool all_full = s->queued_bytes >= s->o.output_total_bytes_max && c->out.bytes > 0;
    if (c->out.bytes < s->o.watch_output_bytes_max && !all_full) {
        return false;
    }
    c->full = true;
    c->behind = true;
    return true;
}

void conn_set_frame_limit(struct conn_set *s, uint32_t bytes)
{
    s->o.frame_bytes_max = bytes;
    for (uint32_t i = 0; i < s->cap; i++) {
        if (s->conns[i] != NULL) {
            s->conns[i]->reader.body_bytes_max = bytes;
        }
    }
}

bool conn_set_flush(struct conn_set *s)
{
    s->told = false;
    s->turn++;
    for (struct conn *c = s->held; c != NULL; c = c->next_held) {
        if (c->credit == 0 && !c->dirty && !c->blocked) {
            conn_credit(c, c->out.bytes); /* no answer yet: its turn is over all the same */
        }
    }
    while (s->dirty != NULL) {
        struct conn *c = s->dirty;
        s->dirty = c->next_dirty;
        c->dirty = false;
        conn_flush(c);
    }
    return s->told;
}

/* --- time -------------------------------------------------------------------------------------- */

static void conn_sweep(struct conn *c, uint64_t now)
{
    if (c->deadline_ns != 0) {
        if (now >= c->deadline_ns) {
            conn_destroy(c, c->state == CONN_OPEN);
        }
        return;
    }
    assert(c->state == CONN_OPEN);
    if (c->paused || c->held) {
        return;
    }
    if (c->reader.frames == 0 && now > c->heard_ns + CONN_HELLO_NS) {
        conn_complain(c, "no whole frame within 5 s, closing");
        conn_destroy(c, true);
        return;
    }
    if (!frame_inside(&c->reader)) {
        c->progress_ns = 0;
        if (c->reader.frames > 0) {
            conn_untime(c);
        }
        return;
    }
    if (c->progress_ns == 0 || c->reader.bytes - c->progress_bytes >= CONN_PROGRESS_BYTES) {
        c->progress_ns = now;
        c->progress_bytes = c->reader.bytes;
    } else if (now > c->progress_ns + CONN_PROGRESS_NS) {
        conn_complain(c, "a frame does not come to its end, closing");
        conn_destroy(c, true);
    }
}

bool conn_set_sweep(struct conn_set *s, uint64_t now)
{
    s->told = false;
    struct conn *next = NULL;
    for (struct conn *c = s->timed; c != NULL; c = next) {
        next = c->next_timed; /* conn_sweep takes out no other */
        conn_sweep(c, now);
    }
    conn_accept_resume(s);
    s->doze_due = true; /* the wheel's timer stands still while the machine is suspended */
    return s->told;
}

/* --- the set ----------------------------------------------------------------------------------- */

uint64_t conn_open(struct conn_set *s, int fd, const char *source, uint32_t address_bucket)
{
    struct conn *c = s->free_count > 0 ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL) {
        (void)close(fd);
        conn_accept_closed(s, address_bucket);
        return 0;
    }
    uint32_t slot = s->free_slots[--s->free_count];
    c->set = s;
    c->id = ++s->serial << CONN_SLOT_BITS | slot;
    c->fd = fd;
    c->state = CONN_OPEN;
    c->credit = CONN_CREDIT_FIRST;
    c->credit_max = CONN_CREDIT_FIRST;
    c->heard_ns = clock_mono_ns();
    c->address_bucket = address_bucket;
    c->reader.header_bytes = FRAME_CLIENT_HEADER_BYTES;
    c->reader.head_room = s->o.head_room;
    c->reader.body_bytes_max = s->o.frame_bytes_max;
    (void)snprintf(c->source, sizeof(c->source), "%s", source);
    (void)event_assign(&c->readable, s->o.base, fd, EV_READ | EV_PERSIST, conn_readable, c);
    (void)event_assign(&c->writable, s->o.base, fd, EV_WRITE, conn_writable, c);
    s->conns[slot] = c;
    s->count++;
    conn_time(c);
    s->o.host.opened(s->o.host.ctx, c->id, c->source);
    if (event_add(&c->readable, NULL) < 0) {
        uint64_t id = c->id;
        conn_fail(c, "cannot be watched");
        return conn_find(s, id) == NULL ? 0 : id;
    }
    return c->id;
}

int conn_set_create(const struct conn_options *o, struct conn_set **ret_s)
{
    assert(o->connections_max >= 1);
    assert(o->connections_max <= CONN_SLOT_MASK);
    struct conn_set *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return -ENOMEM;
    }
    s->o = *o;
    conn_doze_init(s);
    s->cap = o->connections_max;
    s->listener = -1;
    s->spare = -1;
    s->conns = calloc(s->cap, sizeof(*s->conns));
    s->free_slots = calloc(s->cap, sizeof(*s->free_slots));
    if (s->conns == NULL || s->free_slots == NULL) {
        conn_set_destroy(s);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < s->cap; i++) {
        s->free_slots[i] = s->cap - 1 - i; /* low places first: the sweep stays in few pages */
    }
    s->free_count = s->cap;
    clock_random(&s->bucket_seed, sizeof(s->bucket_seed));
    *ret_s = s;
    return 0;
}

void conn_set_destroy(struct conn_set *s)
{
    if (s == NULL) {
        return;
    }
    conn_set_listen_end(s);
    for (uint32_t i = 0; s->conns != NULL && i < s->cap; i++) {
        if (s->conns[i] != NULL) {
            conn_destroy(s->conns[i], false);
        }
    }
    conn_doze_finish(s);
    free(s->conns);
    free(s->free_slots);
    free(s);
}

uint64_t conn_set_now(struct conn_set *s)
{
    if (s->now_turn != s->turn + 1) {
        s->now_turn = s->turn + 1;
        s->now_ns = clock_boot_ns();
    }
    return s->now_ns;
}

uint32_t conn_set_count(const struct conn_set *s)
{
    return s->count;
}

bool conn_set_pending(const struct conn_set *s)
{
    return s->queued_bytes > 0;
}
