/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c: the timers of a handle's user. There are few (a lock that waits has one), so they stand
 * in a list, the earliest first.
 *
 * Leaves to others: time (the shell).
 * Thread: none; one at a time.
 */
#include "client/core/core_int.h"

#include "client/core/mem.h"

static struct coord__timer *timer_of(struct coord__list *link)
{
    return COORD__ENTRY(link, struct coord__timer, link);
}

int coord__core_after(struct coord__core *k, struct coord__timer *t, uint64_t ms, uint64_t now)
{
    if (k->closed) {
        return COORD_ECLOSED;
    }
    coord__clock(k, now);
    t->id = ++k->last_timer;
    t->at = now + ms * COORD__NS_PER_MS;
    struct coord__list *before = k->timers.prev;
    while (before != &k->timers && timer_of(before)->at > t->at) {
        before = before->prev;
    }
    coord__list_insert(before, &t->link);
    return 0;
}

static void fire(struct coord__core *k, struct coord__timer *t, int error)
{
    coord__list_remove(&t->link);
    t->error = error;
    coord__list_append(&k->timers_out, &t->link);
}

void coord__core_cancel_after(struct coord__core *k, uint64_t id)
{
    for (struct coord__list *at = k->timers.next; at != &k->timers; at = at->next) {
        if (timer_of(at)->id == id) {
            fire(k, timer_of(at), COORD_ECANCELED);
            return;
        }
    }
}

void coord__timers_tick(struct coord__core *k)
{
    while (!coord__list_empty(&k->timers) && timer_of(k->timers.next)->at <= k->now) {
        fire(k, timer_of(k->timers.next), 0);
    }
}

uint64_t coord__timers_deadline(const struct coord__core *k)
{
    return coord__list_empty(&k->timers) ? UINT64_MAX : timer_of(k->timers.next)->at;
}

bool coord__timer_next(struct coord__core *k, struct coord__out *ret_out)
{
    if (coord__list_empty(&k->timers_out)) {
        return false;
    }
    struct coord__timer *t = timer_of(k->timers_out.next);
    coord__list_remove(&t->link);
    ret_out->kind = COORD__OUT_TIMER;
    ret_out->timer = t;
    ret_out->error = t->error;
    return true;
}

void coord__timers_close(struct coord__core *k)
{
    while (!coord__list_empty(&k->timers)) {
        fire(k, timer_of(k->timers.next), COORD_ECLOSED);
    }
}

void coord__timers_free(struct coord__core *k)
{
    coord__timers_close(k);
    while (!coord__list_empty(&k->timers_out)) {
        struct coord__timer *t = timer_of(k->timers_out.next);
        coord__list_remove(&t->link);
        coord__free(t);
    }
}
