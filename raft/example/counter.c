/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counter.c: a number that three processes agree on, the tutorial of libcoord-raft. README.md beside
 * it explains the steps. One thread; there is no shutdown, every end is a crash.
 *
 *   raft-counter ID DIR PORT [EVERY]    member ID of 1..3, data in DIR, a snapshot each EVERY entries
 *   "add N", "get" -> "= SUM", "leader ID" (ask there), "unknown" (may yet happen), "error TEXT"
 *                                       one per line, TCP 127.0.0.1:PORT+ID; peers use UDP there
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <coord/raft.h>
#include "raft/example/clients.h"
#include "raft/example/disk.h"

#define BATCH 256u /* entries in one message */

enum {
    ADD = 1,
    READ,
    SUM
}; /* what a client wants; ADD, SUM: an answer once entry `key` is applied */

/* What travels, always all of it, as it lies in memory: the members must be of one build. */
struct packet {
    uint64_t cluster;
    struct raft_msg msg;
    struct raft_entry entries[BATCH]; /* APPEND: what the core knows of them, */
    int64_t deltas[BATCH];            /* and what only the host does */
    struct raft_config_at config;     /* SNAPSHOT: the whole state is one chunk */
    int64_t sum;
};

struct counter {
    raft_id id;
    uint16_t port;
    raft_index every;
    struct raft *raft;
    struct disk disk;
    int64_t deltas[SLOTS]; /* the payload of entry i is at i % SLOTS */
    int64_t sum;           /* the state: all deltas through applied */
    raft_index applied;
    int64_t received; /* the state that the leader is sending */
    uint64_t reads;
    struct raft_status status; /* after the last round */
    struct clients clients;
    struct packet in, out;
};

static raft_ns now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (raft_ns)t.tv_sec * 1000000000u + (raft_ns)t.tv_nsec;
}

/* Events carry the time: the core has no clock. */
static int step(struct counter *c, struct raft_event ev, struct raft_accept *accept)
{
    ev.now = now_ns();
    return raft_step(c->raft, &ev, accept);
}

/* --- Step 5: snapshots ------------------------------------------------------------------------ */

/* The log is long enough: the core may forget what led to this state, but for some entries that spare
 * a slow peer the transfer. If the disk refuses, the next round tries again. */
static void compact(struct counter *c)
{
    const struct raft_config_at *g = raft_config_at(c->raft, c->applied);
    raft_term term = raft_entry_at(c->raft, c->applied)->term;
    struct raft_snapshot s = {c->applied,    term, g->index, g->config, c->applied << 8 | c->id,
                              sizeof(c->sum)};
    if (disk_save(&c->disk, &s, c->sum) == 0) {
        struct raft_event ev = {.type = RAFT_EV_SNAP_TAKEN, .snapshot = &c->disk.snapshot};
        ev.index = s.index > c->every / 2 ? s.index - c->every / 2 : 0;
        (void)step(c, ev, NULL);
    }
}

/* The leader's snapshot takes the place of our state. */
static void install(struct counter *c, const struct raft_snapshot *s)
{
    struct raft_event ev = {.type = RAFT_EV_SNAP_REJECTED, .snap_id = s->snap_id};
    if (disk_save(&c->disk, s, c->received) == 0) {
        c->sum = c->received;
        c->applied = s->index;
        ev = (struct raft_event){.type = RAFT_EV_SNAP_INSTALLED, .snapshot = &c->disk.snapshot};
    }
    (void)step(c, ev, NULL);
}

/* --- Step 4: actions -------------------------------------------------------------------------- */

/* The core made the header; the host adds what it speaks of. Any message may be lost. */
static void send_message(struct counter *c, const struct raft_msg *m)
{
    struct packet *p = &c->out;
    struct sockaddr_in to = loopback((uint16_t)(c->port + m->to));
    *p = (struct packet){.cluster = CLUSTER, .msg = *m};
    for (uint32_t i = 0; m->type == RAFT_MSG_APPEND && i < m->count; i++) {
        p->entries[i] = *raft_entry_at(c->raft, m->index + 1 + i);
        p->deltas[i] = c->deltas[(m->index + 1 + i) % SLOTS];
    }
    if (m->type == RAFT_MSG_SNAPSHOT && m->snap_id != c->disk.snapshot.snap_id) {
        return; /* there is a newer one by now; the core will begin with that */
    }
    p->config = (struct raft_config_at){c->disk.snapshot.config_index, c->disk.snapshot.config};
    p->sum = c->disk.sum;
    (void)sendto(c->clients.peers_fd, p, sizeof(*p), 0, (struct sockaddr *)&to, sizeof(to));
}

/* Tell a client what this round decided about it. Others' entries may be in the sum as well. */
static void settle(const struct counter *c, struct client *cl, const struct raft_actions *a)
{
    for (uint32_t i = 0; i < a->drops_count; i++) {
        if (cl->wants == ADD && cl->key >= a->drops[i].first && cl->key <= a->drops[i].last) {
            client_answer(cl, "unknown\n");
        }
    }
    for (uint32_t i = 0; cl->wants == READ && i < a->reads_count; i++) {
        if (cl->key == a->reads[i].cookie && a->reads[i].result != RAFT_READ_OK) {
            client_answer(cl, "leader 0\n");
        } else if (cl->key == a->reads[i].cookie) {
            cl->wants = SUM;
            cl->key = a->reads[i].index;
        }
    }
    if ((cl->wants == ADD || cl->wants == SUM) && cl->key <= c->applied) {
        client_answer(cl, "= %" PRId64 "\n", c->sum);
    }
}

/* Rounds until the core wants nothing more. Messages leave before the disk is waited for: whatever may
 * not be said yet, the core has kept back. */
static void carry_out(struct counter *c)
{
    for (int again = 1; again && c->status.fault == NULL;) {
        const struct raft_actions *a = raft_poll(c->raft);
        again = a->more || a->persist_count > 0 || a->snap_chunk || a->snap_install;
        for (uint32_t i = 0; i < a->sends_count; i++) {
            send_message(c, &a->sends[i].msg);
        }
        if (a->persist_count > 0) { /* when it is done the core may count on it, and say so */
            struct raft_event ev = {.type = RAFT_EV_IO_DONE};
            ev.io_seq = a->persist[a->persist_count - 1].io_seq;
            ev.type = disk_write(&c->disk, c->raft, a, c->deltas) < 0 ? RAFT_EV_IO_FAILED : ev.type;
            (void)step(c, ev, NULL);
        }
        if (a->snap_chunk != NULL) {
            c->received = c->in.sum;
            (void)step(c,
                       (struct raft_event){.type = RAFT_EV_SNAP_STORED,
                                           .snap_id = a->snap_chunk->snap_id,
                                           .offset = sizeof(c->sum)},
                       NULL);
        }
        if (a->snap_install != NULL) {
            install(c, a->snap_install);
        }
        while (c->applied < a->commit) {
            if (raft_entry_at(c->raft, ++c->applied)->type == RAFT_ENTRY_COMMAND) {
                c->sum = (int64_t)((uint64_t)c->sum + (uint64_t)c->deltas[c->applied % SLOTS]);
            }
        }
        (void)step(c, (struct raft_event){.type = RAFT_EV_APPLIED, .index = c->applied}, NULL);
        for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
            settle(c, &c->clients.list[i], a);
        }
        raft_done(c->raft);
        raft_status(c->raft, &c->status);
        if (c->applied - c->disk.snapshot.index >= c->every) {
            compact(c);
            again = 1;
        }
    }
}

/* --- Step 3: events --------------------------------------------------------------------------- */

/* A datagram of a peer. Entries that the core takes go into our log as well. */
static void receive(struct counter *c)
{
    struct packet *p = &c->in;
    struct raft_accept accept = {0};
    ssize_t n = recv(c->clients.peers_fd, p, sizeof(*p), 0);
    if (n != sizeof(*p) || p->cluster != CLUSTER || p->msg.count > BATCH) {
        return; /* nothing, or not a member's */
    }
    uint32_t count = p->msg.type == RAFT_MSG_APPEND ? p->msg.count : 0;
    struct raft_event ev = {RAFT_EV_RECV, .msg = &p->msg, .entries = p->entries, .count = count};
    ev.configs = p->msg.type == RAFT_MSG_SNAPSHOT ? &p->config : NULL;
    ev.configs_count = ev.configs != NULL;
    (void)step(c, ev, &accept);
    for (uint32_t i = 0; i < accept.count; i++) {
        c->deltas[(accept.first + i) % SLOTS] = p->deltas[accept.skip + i];
    }
    carry_out(c);
}

static void command(struct counter *c, struct client *cl)
{
    const struct raft_entry entry = {.bytes = sizeof(int64_t)};
    struct raft_accept accept;
    int64_t delta = 0;
    char end;
    int rc = RAFT_EINVAL;
    if (strcmp(cl->line, "get") == 0) {
        rc = step(c, (struct raft_event){.type = RAFT_EV_READ, .cookie = ++c->reads}, NULL);
        cl->wants = READ;
        cl->key = c->reads;
    } else if (sscanf(cl->line, "add %18" SCNd64 "%c", &delta, &end) == 1) {
        rc = step(c, (struct raft_event){RAFT_EV_PROPOSE, .entries = &entry, .count = 1}, &accept);
        if (rc == 0) {
            c->deltas[accept.first % SLOTS] = delta;
            cl->wants = ADD;
            cl->key = accept.first;
        }
    }
    if (rc == RAFT_ENOTLEADER) {
        client_answer(cl, "leader %u\n", (unsigned)c->status.leader);
    } else if (rc < 0) {
        client_answer(cl, "error %s\n", raft_strerror(rc));
    }
}

/* --- Step 2: what the disk remembers ---------------------------------------------------------- */

/* Snapshot, hard state, log, in this order; a first start has none, but says who the members are. */
static int boot(struct counter *c)
{
    const struct raft_wal_state *w = raft_wal_state(c->disk.wal);
    struct raft_accept taken = {0};
    struct raft_event ev = {.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &c->disk.snapshot};
    int rc = step(c, ev, NULL);
    ev = (struct raft_event){RAFT_EV_BOOT_HARDSTATE, .hardstate = {w->term, w->vote, w->commit}};
    rc = rc < 0 ? rc : step(c, ev, NULL);
    ev = (struct raft_event){RAFT_EV_BOOT_ENTRIES, .first = w->first, .entries = w->entries,
                             .count = w->count};
    rc = rc < 0 ? rc : step(c, ev, &taken);
    rc = rc < 0 ? rc : disk_read(&c->disk, taken.first, taken.count, c->deltas);
    ev = (struct raft_event){RAFT_EV_BOOT_DAMAGE, .value = w->damage, .index = w->damage_index,
                             .hardstate = {.term = w->damage_term}};
    rc = rc < 0 || w->damage == 0 ? rc : step(c, ev, NULL);
    ev.type = RAFT_EV_BOOT_DONE;
    c->applied = c->disk.snapshot.index;
    c->sum = c->disk.sum;
    return rc < 0 ? rc : step(c, ev, NULL);
}

/* --- Step 1: the loop ------------------------------------------------------------------------- */

static void run(struct counter *c)
{
    while (c->status.fault == NULL) {
        raft_ns at = raft_deadline(c->raft), now = now_ns();
        if (clients_wait(&c->clients, at > now ? (int)((at - now) / 1000000u + 1) : 0) == 0) {
            (void)raft_wal_idle(c->disk.wal); /* nothing to do: prepare the log's next files */
        }
        receive(c);
        for (struct client *cl; (cl = clients_next(&c->clients)) != NULL;) {
            command(c, cl); /* many in one round: they share one fdatasync */
        }
        (void)step(c, (struct raft_event){.type = RAFT_EV_TICK}, NULL);
        carry_out(c);
        if (c->disk.damaged && !c->status.repairing) {
            c->disk.damaged = raft_wal_repaired(c->disk.wal) < 0;
        }
    }
}

int main(int argc, char **argv)
{
    static struct counter c = {.every = 1000};
    char why[512];
    struct raft_options o;
    c.id = argc > 3 ? (raft_id)strtoul(argv[1], NULL, 10) : 0;
    c.port = argc > 3 ? (uint16_t)strtoul(argv[3], NULL, 10) : 0;
    c.every = argc > 4 ? strtoul(argv[4], NULL, 10) : c.every;
    if (c.id < 1 || c.id > MEMBERS || c.port == 0 || c.every == 0 || c.every > SLOTS / 4) {
        (void)fprintf(stderr, "usage: raft-counter 1|2|3 DIR PORT [EVERY]\n");
        return 2;
    }
    raft_options_init(&o);
    o.id = c.id;
    o.log_slots = SLOTS;
    o.msg_entries_max = BATCH;
    o.rng_seed = now_ns(); /* differs between members and starts */
    int rc = disk_open(&c.disk, argv[2], c.id, why, sizeof(why));
    if (rc < 0 || clients_open(&c.clients, (uint16_t)(c.port + c.id)) < 0) {
        (void)fprintf(stderr, "%s %s\n", rc < 0 ? raft_store_strerror(rc) : strerror(errno), why);
        return 1;
    }
    c.raft = raft_init(malloc(raft_size(&o)), raft_size(&o), &o);
    if (c.raft == NULL || boot(&c) < 0) {
        c.status.fault = "out of memory, or the data does not fit together";
    }
    run(&c);
    (void)fprintf(stderr, "stopped: %s\n", c.status.fault);
    return 1;
}
