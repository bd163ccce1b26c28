/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_coord.c: coord's side of the load generator (coordmsg.h has the frames). Every lane opens a session, as those of
 * ZooKeeper do, so writes are protected from being applied twice. Answers come in the order of requests.
 */
#include <stddef.h>
#include "tests/bench/coordmsg.h"
#include "tests/bench/load.h"

#define SESSION_MS 30000

static struct coordmsg_head next(struct lane *l)
{
    return (struct coordmsg_head){.number = ++l->number, .acked = l->seen};
}

static int queued(const struct lane *l)
{
    return l->out.failed ? -1 : 0;
}

static int coord_hello(struct lane *l)
{
    l->special = ++l->number;
    coordmsg_hello(&l->out, l->special);
    return queued(l);
}

static int coord_send(struct lane *l, struct shot *s)
{
    struct coordmsg_head h = next(l);

    switch (s->kind) {
    case SHOT_SET:
        coordmsg_set(&l->out, h, s->path, s->value, s->value_bytes);
        break;
    case SHOT_CREATE:
        coordmsg_create(&l->out, h, s->path, s->value, s->value_bytes);
        break;
    case SHOT_GET:
        coordmsg_get(&l->out, h, s->path, s->linearizable);
        break;
    case SHOT_WATCH:
        coordmsg_watch(&l->out, h, h.number, s->path);
        break;
    }
    return queued(l);
}

static int coord_ping(struct lane *l)
{
    if (l->special != 0) {
        return 0; /* the last one is not answered yet */
    }
    l->special = l->number + 1;
    coordmsg_ping(&l->out, next(l));
    return queued(l);
}

static int coord_bye(struct lane *l)
{
    l->special = l->number + 1;
    coordmsg_close(&l->out, next(l));
    return queued(l);
}

/* The answer to a request without a shot: hello, session_open, ping or session_close. */
static int special(struct lane *l, const struct coordmsg_reply *r)
{
    uint64_t number = l->special;

    l->special = 0;
    if (l->state == LANE_LEAVING) {
        lane_left(l);
        return 0;
    }
    if (r->code != 0) {
        return -1;
    }
    if (l->state == LANE_OPENING && number == 1) {
        l->special = l->number + 1;
        coordmsg_open(&l->out, next(l), SESSION_MS);
        return queued(l);
    }
    lane_ready(l); /* if it was not yet */
    return 0;
}

static int one_message(struct lane *l, const uint8_t *p, size_t n)
{
    struct coordmsg_reply r;

    if (!coordmsg_take(p, n, &r)) {
        return -1;
    }
    if (r.number == 0) {
        if (r.code == 0) {
            lane_told(l); /* other states tell no change */
        }
        return 0;
    }
    l->seen = r.number;
    if (r.number == l->special) {
        return special(l, &r);
    }
    struct shot *s = lane_oldest(l);
    if (s == NULL) {
        return -1;
    }
    lane_done(l, s,
              r.code == 0                  ? RESULT_DONE
              : r.code == COORDMSG_EEXISTS ? RESULT_EXISTS
                                           : RESULT_FAILED,
              (int64_t)r.code);
    return 0;
}

static int coord_input(struct lane *l)
{
    size_t at = 0;

    for (;;) {
        int64_t whole = coordmsg_frame(l->in.data + at, l->in.len - at);
        if (whole < 0) {
            return -1;
        }
        if (whole == 0) {
            break;
        }
        if (one_message(l, l->in.data + at + 4, (size_t)whole - 4) != 0) {
            return -1;
        }
        at += (size_t)whole;
    }
    bytes_drop(&l->in, at);
    return 0;
}

const struct wire load_wire = {
    .system = "coord",
    .in_order = true,
    .hello = coord_hello,
    .send = coord_send,
    .input = coord_input,
    .ping = coord_ping,
    .bye = coord_bye,
};
