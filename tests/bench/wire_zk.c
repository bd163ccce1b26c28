/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_zk.c: ZooKeeper's side of the load generator (jute.h has the frames). Answers come in the order of requests,
 * but for those to pings and the events of watches, which have numbers of their own.
 *
 * A linearizable read is a sync and a getData behind it, sent together. ZooKeeper orders the read behind the sync on
 * the connection; the sync itself is not confirmed by a majority, so this is weaker than what the other
 * systems are asked for.
 */
#include <stddef.h>
#include "tests/bench/jute.h"
#include "tests/bench/load.h"

#define SESSION_MS 30000
/* Marks the number of a request without a shot of its own. */
#define XID_SYNC 0x40000000

static int queued(const struct lane *l)
{
    return l->out.failed ? -1 : 0;
}

static int zk_hello(struct lane *l)
{
    jute_connect(&l->out, SESSION_MS);
    return queued(l);
}

static int zk_send(struct lane *l, struct shot *s)
{
    int32_t xid = (int32_t)(++l->number % XID_SYNC);

    switch (s->kind) {
    case SHOT_SET:
        jute_set(&l->out, xid, s->path, s->value, s->value_bytes);
        break;
    case SHOT_CREATE:
        jute_create(&l->out, xid, s->path, s->value, s->value_bytes);
        break;
    case SHOT_GET:
        if (s->linearizable) {
            jute_sync(&l->out, xid | XID_SYNC, s->path);
        }
        jute_read(&l->out, xid, JUTE_GET_DATA, s->path, false);
        break;
    case SHOT_WATCH:
        jute_read(&l->out, xid, JUTE_EXISTS, s->path, true);
        break;
    }
    return queued(l);
}

static int zk_ping(struct lane *l)
{
    jute_bare(&l->out, JUTE_XID_PING, JUTE_PING);
    return queued(l);
}

static int zk_bye(struct lane *l)
{
    int32_t xid = (int32_t)(++l->number % XID_SYNC);

    l->special = (uint64_t)xid;
    jute_bare(&l->out, xid, JUTE_CLOSE);
    return queued(l);
}

static int one_response(struct lane *l, const uint8_t *p, size_t n)
{
    struct jute_response r;
    int32_t timeout_ms;

    if (l->state == LANE_OPENING) {
        if (!jute_take_connected(p, n, &timeout_ms) || timeout_ms <= 0) {
            return -1;
        }
        lane_ready(l);
        return 0;
    }
    if (!jute_take_response(p, n, &r)) {
        return -1;
    }
    if (r.xid == JUTE_XID_EVENT) {
        lane_told(l);
        return 0;
    }
    if (r.xid == JUTE_XID_PING) {
        return 0;
    }
    if ((r.xid & XID_SYNC) != 0) {
        return r.error == 0 ? 0 : -1;
    }
    if (l->special != 0 && l->special == (uint64_t)r.xid) {
        lane_left(l);
        return 0;
    }
    struct shot *s = lane_oldest(l);
    if (s == NULL) {
        return -1;
    }
    lane_done(l, s,
              r.error == 0                   ? RESULT_DONE
              : r.error == JUTE_ERROR_EXISTS ? RESULT_EXISTS
                                             : RESULT_FAILED,
              r.error);
    return 0;
}

static int zk_input(struct lane *l)
{
    size_t at = 0;

    for (;;) {
        int64_t whole = jute_frame(l->in.data + at, l->in.len - at);
        if (whole < 0) {
            return -1;
        }
        if (whole == 0) {
            break;
        }
        if (one_response(l, l->in.data + at + 4, (size_t)whole - 4) != 0) {
            return -1;
        }
        at += (size_t)whole;
    }
    bytes_drop(&l->in, at);
    return 0;
}

const struct wire load_wire = {
    .system = "zookeeper",
    .in_order = true,
    .watch_once = true,
    .hello = zk_hello,
    .send = zk_send,
    .input = zk_input,
    .ping = zk_ping,
    .bye = zk_bye,
};
