/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sketch.c: three members of a group in one process, in memory: the least that a host does. A message is
 * delivered at once, a write is durable at once, time runs as fast as the loop. Prints what each member
 * applies. raft/README.md explains it and shows carry_out; counter.c is a host that lasts. One thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <coord/raft.h>

enum { MEMBERS = 3, SLOTS = 64 };

static struct member {
    struct raft *raft;
    const char *log[SLOTS]; /* the payload of entry i is at i % SLOTS */
    raft_index applied;
} members[MEMBERS + 1];             /* by id */
static raft_ns now = 1000000000000; /* a real host asks CLOCK_MONOTONIC */

static int give(struct member *m, struct raft_event ev, struct raft_accept *accept)
{
    ev.now = now;
    return raft_step(m->raft, &ev, accept);
}

static void deliver(const struct member *from, const struct raft_msg *msg)
{
    struct member *to = &members[msg->to];
    struct raft_entry entries[SLOTS];
    struct raft_accept taken = {0};
    struct raft_event ev = {.type = RAFT_EV_RECV, .msg = msg, .entries = entries};
    ev.count = msg->type == RAFT_MSG_APPEND ? msg->count : 0;
    for (uint32_t i = 0; i < ev.count; i++) {
        entries[i] = *raft_entry_at(from->raft, msg->index + 1 + i);
    }
    give(to, ev, &taken);
    for (raft_index i = taken.first; i < taken.first + taken.count; i++) {
        to->log[i % SLOTS] = from->log[i % SLOTS];
    }
}

static void carry_out(struct member *m)
{
    const struct raft_actions *a = raft_poll(m->raft);
    for (uint32_t i = 0; i < a->sends_count; i++) {
        deliver(m, &a->sends[i].msg);
    }
    if (a->persist_count > 0) { /* write all of a->persist, in order, sync once, and say so */
        uint64_t done = a->persist[a->persist_count - 1].io_seq;
        give(m, (struct raft_event){.type = RAFT_EV_IO_DONE, .io_seq = done}, NULL);
    }
    while (m->applied < a->commit) {
        raft_index i = ++m->applied;
        if (raft_entry_at(m->raft, i)->type == RAFT_ENTRY_COMMAND) {
            (void)printf("member %d: %s\n", (int)(m - members), m->log[i % SLOTS]);
        }
    }
    give(m, (struct raft_event){.type = RAFT_EV_APPLIED, .index = m->applied}, NULL);
    raft_done(m->raft);
}

int main(void)
{
    struct raft_snapshot none = {
        .config = {3, {{1, RAFT_VOTER}, {2, RAFT_VOTER}, {3, RAFT_VOTER}}}};
    const struct raft_entry hello = {.bytes = 5};
    for (raft_id id = 1; id <= MEMBERS; id++) {
        struct raft_options o;
        raft_options_init(&o);
        o.id = id;
        o.rng_seed = id;
        members[id].raft = raft_init(malloc(raft_size(&o)), raft_size(&o), &o);
        if (members[id].raft == NULL) {
            return 1;
        }
        give(&members[id], (struct raft_event){.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &none},
             NULL);
        give(&members[id], (struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE}, NULL);
        give(&members[id], (struct raft_event){.type = RAFT_EV_BOOT_DONE}, NULL);
    }
    for (raft_index at = 0; at == 0 || members[3].applied < at; now += 10000000) {
        for (struct member *m = members + 1; m <= members + MEMBERS; m++) {
            struct raft_accept accept; /* refused by all but a leader */
            struct raft_event ev = {.type = RAFT_EV_PROPOSE, .entries = &hello, .count = 1};
            if (at == 0 && give(m, ev, &accept) == 0) {
                at = accept.first;
                m->log[at % SLOTS] = "hello";
            }
            give(m, (struct raft_event){.type = RAFT_EV_TICK}, NULL); /* owed at raft_deadline */
            carry_out(m);
        }
    }
    return 0;
}
