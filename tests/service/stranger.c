/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stranger.c: clients that are not the library and do not behave: one asks and asks and never reads what it is
 * told, one sends a byte now and then. Members must bound what they keep for the first (N1, stream.c), the second
 * is dropped as server/shell/conn.c does it, and nobody else may notice: that is for the oracles to say.
 *
 * Threads: one.
 */
#include "tests/service/world.h"

#include <stdlib.h>
#include <string.h>

#define STAY_NS (9 * SVC_SEC) /* then it tries another member */

static uint64_t dice(struct stranger *x, uint64_t below)
{
    return rng_below(&x->actor.rng, below);
}

static void again(struct stranger *x, uint64_t ns)
{
    world_later(x->actor.w, ns, (struct ev){.kind = SE_STRANGER, .a = (uint64_t)x->kind});
}

static void say(struct stranger *x, const struct coord_request *q)
{
    struct coord_buf *b = NULL;
    if (coord_request_encode(q, &b) != 0) {
        abort();
    }
    if (x->words != NULL) {
        coord_buf_unref(x->words);
    }
    x->words = b;
    x->said = 0;
}

static const struct coord_bytes root = {(const uint8_t *)"/", 1};
static const struct coord_bytes name = {(const uint8_t *)"stranger", 8};

/* What it says next. */
static void next_words(struct stranger *x)
{
    struct coord_request q = {.number = ++x->number, .path = root};
    if (q.number == 1) {
        q.op = COORD_OP_HELLO;
        q.version = COORD_PROTOCOL_VERSION;
        q.client = name;
    } else if (q.number == 2) {
        q.op = COORD_OP_WATCH;
        q.watch = 1;
        q.depth = COORD_DEPTH_SUBTREE;
        q.kinds = COORD_CHANGE_CREATED | COORD_CHANGE_CHANGED | COORD_CHANGE_DELETED;
        q.flags = COORD_WATCH_VALUE | COORD_WATCH_PREVIOUS;
    } else {
        q.op = COORD_OP_LIST;
        q.level = dice(x, 2) == 0 ? COORD_LEVEL_LOCAL : COORD_LEVEL_LINEARIZABLE;
        q.flags = COORD_LIST_RECURSIVE | COORD_LIST_STATS | COORD_LIST_DATA;
    }
    say(x, &q);
}

static void speak(struct stranger *x)
{
    size_t most = x->kind == STRANGER_DRIPS ? 1 : SIZE_MAX;
    for (int i = 0; i < 20 && most > 0; i++) {
        if (x->words == NULL || x->said == x->words->len) {
            next_words(x);
        }
        size_t left = x->words->len - x->said;
        int64_t n =
            stream_client_write(x->stream, x->words->data + x->said, left < most ? left : most);
        if (n <= 0) {
            return; /* no room: nobody reads what it asks any more */
        }
        x->said += (uint32_t)n;
        most -= x->kind == STRANGER_DRIPS ? (size_t)n : 0;
    }
}

static void hang_up(struct stranger *x)
{
    stream_client_close(x->stream, false);
    x->stream = NULL;
    coord_buf_unref(x->words);
    x->words = NULL;
    x->said = 0;
    x->number = 0;
}

static void call(struct stranger *x)
{
    struct world *w = x->actor.w;
    if (w->streams_count + WORLD_STREAMS / 4 < WORLD_STREAMS) {
        x->stream = stream_connect(&x->actor, (raft_id)(1 + dice(x, w->k.members)));
        x->since = w->now;
    }
}

void stranger_step(struct world *w, uint64_t kind)
{
    struct stranger *x = &w->strangers[kind];
    if (w->phase >= PHASE_QUIET) {
        if (x->stream != NULL) {
            hang_up(x);
        }
        return;
    }
    if (x->stream == NULL) {
        call(x);
    } else if (x->stream->refused || x->stream->half[DOWN].ended || x->stream->error != 0 ||
               w->now > x->since + STAY_NS) {
        hang_up(x);
    } else if (x->stream->connected) {
        speak(x);
    }
    again(x, kind == STRANGER_DRIPS ? 50 * SVC_MS + dice(x, 600 * SVC_MS)
                                    : 5 * SVC_MS + dice(x, 40 * SVC_MS));
}

void strangers_begin(struct world *w)
{
    for (int i = 0; i < STRANGERS && knobs_has(&w->k, FAULT_STRANGERS); i++) {
        struct stranger *x = &w->strangers[i];
        x->kind = (enum stranger_kind)i;
        x->actor.w = w;
        x->actor.index = SVC_CLIENTS_MAX + (uint32_t)i;
        rng_init(&x->actor.rng, w->seed, 300 + (uint64_t)i);
        again(x, SVC_SEC + dice(x, SVC_SEC));
    }
}

void strangers_finish(struct world *w)
{
    for (int i = 0; i < STRANGERS; i++) {
        coord_buf_unref(w->strangers[i].words);
    }
}
