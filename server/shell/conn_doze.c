/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_doze.c: connections that only keep alive cost no wake-up each. The loop's thread.
 *
 * Most connections of a large ensemble send nothing but a keep-alive every few seconds, and on a machine with little to do
 * each of these wakes the loop: that costs more than reading and answering it. But the client has said when the
 * next one comes, and that whatever else it sends is longer. So the kernel is told to be silent about fewer than loud_bytes
 * (SO_RCVLOWAT), and the connection is put where those are that are due at about the same time; they are read one after
 * the other when that time has come.
 *
 *     awake ---- conn_set_doze: its keep-alive was answered ----> dozing --- a look finds bytes ---.
 *       ^                                                           | ^                            |
 *       '-- a look finds nothing, or was the last of many; half a   | '----------------------------'
 *           frame; paused, held, bad, closing; doze with 0        --'
 *
 * What is loud is told of at once: a request, however small the part of it is that makes loud_bytes, an end and an error of
 * the connection (these count as readable whatever the mark). Bytes that begin a frame and are too few wait for more,
 * or for the look. A client that does not keep its word harms itself: what it sends is seen at the next look.
 *
 * Time: each look is due one interval after the one before, not after the moment in which that was carried out, so it
 * stays just behind the client's own clock. A client drifts (its timers are late by a little each time) until one look comes
 * before its keep-alive: that wakes it, the keep-alive is told of as ever, and so the phase is known again. Since it could as well
 * drift the other way, where looks come ever later, one keep-alive in CONN_LOOKS_IN_A_ROW is told of in any case.
 *
 * Invariants
 *   1. A connection dozes exactly while it is in a list of the wheel or in that of the looks: none is silent for good.
 *   2. A dozing connection is OPEN, not paused, not held, not bad and between two frames.
 *   3. A turn looks at CONN_LOOKS connections at most: who is loud waits for no more than these.
 */
#include <assert.h>
#include <sys/socket.h>
#include "server/shell/clock.h"
#include "server/shell/conn_set.h"

#define CONN_DOZE_SLOT_NS (50 * CLOCK_NS_PER_MS)
/* A keep-alive may be late by so much before the look at it is in vain: what timers and networks are late by. */
#define CONN_DOZE_SLACK_NS (50 * CLOCK_NS_PER_MS)
/* Shorter sleeps: a delay of slack and slot would be noticed, and the saving is small. */
#define CONN_DOZE_MIN_NS CLOCK_NS_PER_S
/* Clocks that differ by 500 millionths, which is much, differ by a sixteenth of the interval then. */
#define CONN_LOOKS_IN_A_ROW 128
#define CONN_LOOKS          128

/* The slot at whose end c is to be looked at. */
static uint64_t slot_of(const struct conn *c)
{
    return (c->due_ns + CONN_DOZE_SLACK_NS) / CONN_DOZE_SLOT_NS;
}

static struct conn **list_at(struct conn_set *s, uint64_t slot)
{
    return &s->dozing[slot % CONN_DOZE_SLOTS];
}

static void list_take(struct conn *c)
{
    *c->prev_dozing = c->next_dozing;
    if (c->next_dozing != NULL) {
        c->next_dozing->prev_dozing = c->prev_dozing;
    }
    c->prev_dozing = NULL;
}

static void list_put(struct conn *c, struct conn **list)
{
    c->prev_dozing = list;
    c->next_dozing = *list;
    if (c->next_dozing != NULL) {
        c->next_dozing->prev_dozing = &c->next_dozing;
    }
    *list = c;
}

static bool mark_set(const struct conn *c, uint32_t bytes)
{
    int value = (int)bytes;
    return setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value)) == 0;
}

/* --- the timer --------------------------------------------------------------------------------- */

static void timer_set(struct conn_set *s, uint64_t slot)
{
    uint64_t now = conn_set_now(s);
    uint64_t end = (slot + 1) * CONN_DOZE_SLOT_NS;
    uint64_t ms = end > now ? (end - now + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS : 0;
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    s->doze_timer_end = slot;
    (void)event_add(&s->doze_timer, &tv); /* without memory: conn_set_sweep looks too */
}

/* For the first slot that holds anybody. */
static void timer_renew(struct conn_set *s)
{
    s->doze_timer_end = UINT64_MAX;
    for (uint64_t i = 0; s->dozing_count > 0 && i < CONN_DOZE_SLOTS; i++) {
        if (*list_at(s, s->doze_next + i) != NULL) {
            timer_set(s, s->doze_next + i);
            return;
        }
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct conn_set *s = arg;
    (void)fd, (void)what;
    s->doze_timer_end = UINT64_MAX;
    s->doze_due = true;
}

void conn_doze_init(struct conn_set *s)
{
    s->doze_timer_end = UINT64_MAX;
    (void)event_assign(&s->doze_timer, s->o.base, -1, 0, on_timer, s);
}

void conn_doze_finish(struct conn_set *s)
{
    (void)event_del(&s->doze_timer);
}

/* --- to doze and to wake ----------------------------------------------------------------------- */

/* Return: the slot. */
static uint64_t wheel_put(struct conn *c)
{
    struct conn_set *s = c->set;
    uint64_t slot = slot_of(c);
    slot = slot < s->doze_next ? s->doze_next : slot;
    list_put(c, list_at(s, slot));
    return slot;
}

void conn_doze_forget(struct conn *c)
{
    if (c->prev_dozing != NULL) {
        list_take(c);
        c->set->dozing_count--;
    }
}

void conn_wake(struct conn *c)
{
    if (c->prev_dozing != NULL) {
        conn_doze_forget(c);
        (void)mark_set(c, 1); /* it could be set higher: it can be set lower */
    }
}

static bool may_doze(const struct conn *c)
{
    return !c->paused && !c->bad && !c->held && c->reader.frames > 0 && !frame_inside(&c->reader);
}

void conn_set_doze(struct conn_set *s, uint64_t conn, uint64_t ns)
{
    struct conn *c = conn_find(s, conn);
    if (c == NULL || c->state != CONN_OPEN) {
        return;
    }
    if (ns < CONN_DOZE_MIN_NS || ns > UINT64_MAX / 4 || !may_doze(c)) {
        conn_wake(c);
        return;
    }
    bool dozing = c->prev_dozing != NULL;
    if (dozing && c->looked && c->doze_ns == ns) {
        return; /* the look has put it where it belongs */
    }
    if (!dozing && c->looked) {
        return; /* since when it has slept is not known: the next one is told of */
    }
    if (!dozing && !mark_set(c, s->o.loud_bytes)) {
        return;
    }
    uint64_t before = dozing && c->looked ? c->due_ns - c->doze_ns : c->heard_ns;
    if (dozing) {
        list_take(c);
    } else {
        s->doze_next = s->dozing_count == 0 ? conn_set_now(s) / CONN_DOZE_SLOT_NS : s->doze_next;
        s->dozing_count++;
    }
    c->looks_count = c->looked ? c->looks_count : 0;
    c->doze_ns = ns;
    c->due_ns = before + ns;
    uint64_t slot = wheel_put(c);
    if (slot < s->doze_timer_end) {
        timer_set(s, slot);
    }
}

/* --- looks ------------------------------------------------------------------------------------- */

/* What is due now; c stands in the list of looks. */
static void look_at(struct conn *c)
{
    if (c->next_dozing != NULL) { /* what is in no cache comes while the kernel reads */
        __builtin_prefetch(c->next_dozing);
        __builtin_prefetch(&c->next_dozing->due_ns);
        __builtin_prefetch(&c->next_dozing->reader);
        __builtin_prefetch(&c->next_dozing->out);
        __builtin_prefetch(&c->next_dozing->credit);
    }
    list_take(c);
    if (slot_of(c) >= c->set->doze_next) {
        (void)wheel_put(c); /* of a later round of the wheel */
        return;
    }
    c->due_ns += c->doze_ns;
    c->looked = true;
    (void)wheel_put(c); /* conn_set_look sets the timer */
    ssize_t n = conn_read(c);
    if (n == 0) {
        conn_wake(c);
        (void)conn_read(c); /* what came in between need not be told of */
    } else if (n > 0 && ++c->looks_count >= CONN_LOOKS_IN_A_ROW) {
        conn_wake(c);
    }
}

void conn_set_look(struct conn_set *s, uint64_t now)
{
    uint64_t end = now / CONN_DOZE_SLOT_NS;
    if (s->dozing_count == 0 && s->doze_next < end) {
        s->doze_next = end;
    }
    if (s->doze_next + CONN_DOZE_SLOTS < end) {
        s->doze_next = end - CONN_DOZE_SLOTS; /* one round shows all there are */
    }
    for (uint32_t i = 0; i < CONN_LOOKS; i++) {
        while (s->looks == NULL && s->doze_next < end) {
            struct conn **slot = list_at(s, s->doze_next++);
            s->looks = *slot;
            *slot = NULL;
            if (s->looks != NULL) {
                s->looks->prev_dozing = &s->looks;
            }
        }
        if (s->looks == NULL) {
            break;
        }
        look_at(s->looks);
    }
    s->doze_due = s->looks != NULL || s->doze_next < end;
    if (!s->doze_due) {
        timer_renew(s);
    }
}

void conn_doze_resume(struct conn_set *s)
{
    if (s->doze_due) {
        conn_set_look(s, conn_set_now(s));
    }
}
