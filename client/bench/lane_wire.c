/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane_wire.c: lanes that are lean connections (wire.h): so little work on this side that the servers are the limit, and
 * many thousands of them in one process.
 *
 * What the library would do and this does not: requests that were under way on a connection that is lost fail
 * (ECONNECT); refusals are not tried elsewhere. A lost connection is made anew, at the next server, and its session with
 * it. Sessions that send nothing for a third of their timeout are pinged.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client/bench/clock.h"
#include "client/bench/load.h"
#include "client/bench/wire.h"

#define RETRY_NS       (50 * BENCH_NS_PER_MS)
#define SWEEP_NS       (50 * BENCH_NS_PER_MS)
#define CONNECTING_MAX 256u /* at once, so that no listener's queue overflows */
#define PREFIX_BYTES   512u

/* transport_data */
struct lean {
    struct wire_set set;
    struct wire *wires;
    uint64_t started, up; /* connections */
    uint64_t sweep_ns;
    struct coord_buf *ifs, *thens; /* of the transaction being built */
    char path[PREFIX_BYTES + LOAD_PATH_BYTES], second[PREFIX_BYTES + LOAD_PATH_BYTES];
    size_t prefix_bytes;
    int error; /* why a connection failed last */
};

static void on_up(struct wire *w)
{
    struct lane *lane = w->owner;
    struct lean *lean = lane->load->transport_data;

    lean->up++;
    load_up(lane);
}

static void on_down(struct wire *w, int error)
{
    struct lane *lane = w->owner;
    struct lean *lean = lane->load->transport_data;

    lean->up -= lane->down ? 0 : 1;
    lean->error = error;
    lane->down = true;
    lane->retry_ns = bench_now() + RETRY_NS;
}

static void on_reply(struct wire *w, void *tag, const struct wire_reply *r)
{
    struct lane *lane = w->owner;

    if (tag == NULL) {
        return; /* a keep-alive */
    }
    if (r->body == NULL) {
        /* The lane is lost: `down` follows, but its shots must not be sent on it before. */
        struct lean *lean = lane->load->transport_data;
        lean->up -= lane->down ? 0 : 1;
        lane->down = true;
    }
    load_done(lane->load, tag, r->error, r->now_ns);
}

static void on_event(struct wire *w, const uint8_t *body, size_t bytes, uint64_t now_ns)
{
    (void)w; /* nothing is watched here */
    (void)body;
    (void)bytes;
    (void)now_ns;
}

static const struct wire_handlers handlers = {on_up, on_down, on_reply, on_event};

/* --- requests ------------------------------------------------------------------------------------ */

static struct coord_bytes text(const char *s)
{
    return (struct coord_bytes){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static struct coord_bytes value(struct load *l)
{
    return (struct coord_bytes){(const uint8_t *)l->value, (uint32_t)load_value_bytes(l)};
}

static void set_level(const struct load *l, const struct wire *w, struct coord_request *q)
{
    switch (l->cli->call.consistency) {
    case COORD_SESSION:
        q->level = COORD_LEVEL_SESSION;
        q->level_arg = w->seen;
        break;
    case COORD_BOUNDED:
        q->level = COORD_LEVEL_BOUNDED;
        q->level_arg = l->cli->call.bound_ms;
        break;
    case COORD_LOCAL:
        q->level = COORD_LEVEL_LOCAL;
        break;
    case COORD_DEFAULT:
    case COORD_LINEARIZABLE:
        q->level = COORD_LEVEL_LINEARIZABLE;
        break;
    }
}

/* If the first node exists, set both. */
static int fill_txn(struct load *l, struct shot *s, struct coord_request *q)
{
    struct lean *lean = l->transport_data;
    struct coord_if exists = {.kind = COORD_WHEN_EXISTS, .path = q->path};
    struct coord_request one = {
        .op = COORD_OP_SET, .path = q->path, .data = value(l), .expect_version = COORD_VERSION_ANY};
    struct coord_request two = one;

    if (lean->ifs != NULL && lean->thens != NULL) {
        lean->ifs->len = 0;
        lean->thens->len = 0;
    }
    load_path2(s, lean->second + lean->prefix_bytes);
    two.path = text(lean->second);
    int rc = coord_if_encode(&exists, &lean->ifs);
    rc = rc != 0 ? rc : coord_txn_op_encode(&one, &lean->thens);
    rc = rc != 0 ? rc : coord_txn_op_encode(&two, &lean->thens);
    if (rc == 0) {
        q->ifs = (struct coord_items){1, {lean->ifs->data, lean->ifs->len}};
        q->thens = (struct coord_items){2, {lean->thens->data, lean->thens->len}};
    }
    return rc;
}

static int fill(struct load *l, struct shot *s, const struct wire *w, struct coord_request *q)
{
    static const enum coord_op ops[] = {[ACTION_SET] = COORD_OP_SET,
                                        [ACTION_CREATE] = COORD_OP_CREATE,
                                        [ACTION_CREATE_NEXT] = COORD_OP_CREATE,
                                        [ACTION_CREATE_OWN] = COORD_OP_CREATE,
                                        [ACTION_DELETE] = COORD_OP_DELETE,
                                        [ACTION_GET] = COORD_OP_GET,
                                        [ACTION_EXISTS] = COORD_OP_EXISTS,
                                        [ACTION_STAT] = COORD_OP_STAT,
                                        [ACTION_LIST] = COORD_OP_LIST,
                                        [ACTION_USAGE] = COORD_OP_USAGE,
                                        [ACTION_INCREMENT] = COORD_OP_INCREMENT,
                                        [ACTION_TXN] = COORD_OP_TXN,
                                        [ACTION_RENAME] = COORD_OP_RENAME,
                                        [ACTION_SYNC] = COORD_OP_SYNC,
                                        [ACTION_PING] = COORD_OP_PING,
                                        [ACTION_OPEN] = COORD_OP_SESSION_OPEN,
                                        [ACTION_CLOSE] = COORD_OP_SESSION_CLOSE};
    struct lean *lean = l->transport_data;

    load_path(s, lean->path + lean->prefix_bytes);
    q->op = ops[s->action];
    q->path = text(lean->path);
    q->expect_version = COORD_VERSION_ANY;
    set_level(l, w, q);
    switch (s->action) {
    case ACTION_SET:
    case ACTION_CREATE:
    case ACTION_CREATE_NEXT:
    case ACTION_CREATE_OWN:
        q->flags = s->action == ACTION_CREATE_NEXT ? COORD_F_SEQUENTIAL : 0;
        q->data = value(l);
        break;
    case ACTION_INCREMENT:
        q->delta = 1;
        break;
    case ACTION_LIST:
        q->limit = 100;
        break;
    case ACTION_RENAME:
        load_path2(s, lean->second + lean->prefix_bytes);
        q->to = text(lean->second);
        break;
    case ACTION_TXN:
        return fill_txn(l, s, q);
    case ACTION_PING:
        q->level = COORD_LEVEL_LINEARIZABLE;
        q->level_arg = 0;
        break;
    case ACTION_OPEN:
        q->timeout_ms = l->plan->session_timeout_ms;
        break;
    default:
        break;
    }
    return 0;
}

static int lean_act(struct load *l, struct shot *s)
{
    struct wire *w = s->lane->to;
    struct coord_request q = {.number = 0};

    if (s->lane->down) {
        return COORD_EAGAIN;
    }
    int rc = fill(l, s, w, &q);
    rc = rc != 0 ? rc : wire_send(w, &q, s);
    return rc == COORD_ECONNECT ? COORD_EAGAIN : rc;
}

/* --- lanes --------------------------------------------------------------------------------------- */

/* Now and then: reconnect what was lost, give up what does not answer, keep idle sessions alive. */
static void sweep(struct load *l, uint64_t now)
{
    struct lean *lean = l->transport_data;
    uint64_t answer_by = now - l->cli->call.timeout_ms * BENCH_NS_PER_MS;
    uint64_t idle_since = now - l->plan->session_timeout_ms * BENCH_NS_PER_MS / 3;

    lean->sweep_ns = now + SWEEP_NS;
    for (uint64_t i = 0; i < lean->started; i++) {
        struct wire *w = &lean->wires[i];
        struct coord_request ping = {.op = COORD_OP_PING};
        if (wire_overdue(w, answer_by)) {
            wire_drop(w, COORD_ETIMEOUT);
        }
        if (w->state == WIRE_CLOSED && l->lanes[i].retry_ns <= now && wire_connect(w) != 0) {
            l->lanes[i].retry_ns = now + RETRY_NS;
        }
        if (lean->set.session && w->state == WIRE_READY && w->count == 0 &&
            w->asked_ns < idle_since) {
            int rc = wire_send(w, &ping, NULL);
            (void)rc; /* the next sweep tries again */
        }
    }
}

static int lean_turn(struct load *l, uint64_t timeout_ns)
{
    struct lean *lean = l->transport_data;
    int rc = wire_set_turn(&lean->set, timeout_ns < SWEEP_NS ? timeout_ns : SWEEP_NS);
    uint64_t now = bench_now();

    if (rc >= 0 && now >= lean->sweep_ns) {
        sweep(l, now);
    }
    return rc < 0 ? rc : 0;
}

static bool lean_init(struct load *l)
{
    const char *prefix = l->cli->options.prefix;
    struct lean *lean = calloc(1, sizeof *lean);

    if (lean == NULL) {
        return false;
    }
    lean->set.epoll = -1;
    l->transport_data = lean;
    lean->wires = calloc(l->plan->conns, sizeof *lean->wires);
    if (lean->wires == NULL || !wire_set_init(&lean->set, l->cli->options.servers, &handlers)) {
        return false;
    }
    lean->set.sources = (uint32_t)l->plan->sources;
    lean->set.session = mix_writes(&l->plan->mix);
    lean->set.session_timeout_ms = l->plan->session_timeout_ms;
    if (prefix != NULL && strcmp(prefix, "/") != 0) {
        lean->prefix_bytes = strlen(prefix);
        if (lean->prefix_bytes > PREFIX_BYTES) {
            return false;
        }
        memcpy(lean->path, prefix, lean->prefix_bytes);
        memcpy(lean->second, prefix, lean->prefix_bytes);
    }
    return true;
}

static int lean_start(struct load *l)
{
    uint64_t give_up = 0, conns = l->plan->conns;

    if (!lean_init(l)) {
        fputs("coordctl: no memory or descriptors for lean connections\n", stderr);
        return EXIT_OTHER;
    }
    struct lean *lean = l->transport_data;
    give_up = bench_now() + l->cli->call.timeout_ms * BENCH_NS_PER_MS;
    while (lean->up < conns) {
        uint64_t before = lean->up;
        while (lean->started < conns && lean->started - lean->up < CONNECTING_MAX) {
            uint64_t i = lean->started++;
            l->lanes[i].down = true;
            l->lanes[i].to = &lean->wires[i];
            if (!wire_init(&lean->wires[i], &lean->set, (uint32_t)i, (uint32_t)l->plan->outstanding,
                           &l->lanes[i])) {
                return EXIT_OTHER;
            }
            lean->error = wire_connect(&lean->wires[i]);
        }
        int rc = lean_turn(l, SWEEP_NS);
        uint64_t now = bench_now();
        give_up = lean->up > before ? now + l->cli->call.timeout_ms * BENCH_NS_PER_MS : give_up;
        if (rc < 0 || now > give_up) {
            fprintf(stderr, "coordctl: %" PRIu64 " of %" PRIu64 " connections\n", lean->up, conns);
            return cli_fail(l->cli, "connecting", lean->error != 0 ? lean->error : COORD_ETIMEOUT,
                            NULL);
        }
    }
    return EXIT_DONE;
}

static void lean_stop(struct load *l)
{
    struct lean *lean = l->transport_data;

    if (lean == NULL) {
        return;
    }
    for (uint64_t i = 0; i < lean->started; i++) {
        wire_finish(&lean->wires[i]);
    }
    wire_set_finish(&lean->set);
    coord_buf_unref(lean->ifs);
    coord_buf_unref(lean->thens);
    free(lean->wires);
    free(lean);
}

const struct transport lane_wire = {
    .name = "wire", .start = lean_start, .act = lean_act, .turn = lean_turn, .stop = lean_stop};
