/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.c: see member.h.
 */
#include "client/bench/clock.h"
#include "client/bench/member.h"
#include "client/bench/wire.h"

struct question {
    struct member_facts facts;
    bool over;
};

static void on_up(struct wire *w)
{
    struct question *k = w->owner;
    struct coord_request q = {.op = COORD_OP_STATUS};

    k->over = wire_send(w, &q, k) != 0;
}

static void on_down(struct wire *w, int error)
{
    struct question *k = w->owner;

    (void)error; /* whatever it is, there is no answer */
    k->over = true;
}

static void on_reply(struct wire *w, void *tag, const struct wire_reply *r)
{
    struct question *k = w->owner;
    struct coord_result res;
    char why[128];

    (void)tag;
    k->over = true;
    if (r->error == 0 &&
        coord_result_decode(COORD_OP_STATUS, r->body, r->body_bytes, &res, why, sizeof why) == 0) {
        k->facts = (struct member_facts){.known = true,
                                         .id = res.status.member,
                                         .log_last = res.status.log_last,
                                         .sessions = res.status.sessions,
                                         .connections = res.status.connections};
    }
}

static void on_event(struct wire *w, const uint8_t *body, size_t bytes, uint64_t now_ns)
{
    (void)w; /* nothing is watched here */
    (void)body;
    (void)bytes;
    (void)now_ns;
}

static const struct wire_handlers handlers = {on_up, on_down, on_reply, on_event};

void member_ask(const struct targets *t, size_t i, uint64_t timeout_ms,
                struct member_facts *ret_facts)
{
    struct question k = {.over = false};
    struct wire_set set;
    struct wire w = {.set = NULL};
    uint64_t give_up = bench_now() + timeout_ms * BENCH_NS_PER_MS;

    if (wire_set_init(&set, NULL, &handlers)) {
        set.targets = *t;
        k.over = !wire_init(&w, &set, (uint32_t)i, 1, &k) || wire_connect(&w) != 0;
        while (!k.over && bench_now() < give_up) {
            k.over = wire_set_turn(&set, BENCH_NS_PER_MS) < 0 || k.over;
        }
        wire_finish(&w);
    }
    wire_set_finish(&set);
    *ret_facts = k.facts;
}
