/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counter.c: a number that three processes agree on, the tutorial of libcoord-raft. README.md beside
 * it explains the steps. One thread; there is no shutdown, every end is a crash.
 *
 *   raft-counter ID DIR PORT [EVERY]    member ID, 1..3 to begin with; a snapshot each EVERY entries
 *   "add N", "get" -> "= SUM", "leader ID" (ask there), "unknown" (may yet happen), "error TEXT"
 *   "voters 1 2 4" -> "begun"; "who" -> "voters 1 2 4", and "changing" or "repairing" while it lasts
 *                                       one per line, TCP 127.0.0.1:PORT+ID; peers use UDP there
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <coord/raft.h>
#include "raft/example/clients.h"
#include "raft/example/wire.h"

enum {
    ADD = 1,
    READ,
    SUM
}; /* what a client wants; ADD, SUM: an answer once entry `key` is applied */

struct counter {
    raft_id id;
    uint16_t port;
    raft_index every;
    struct raft *raft;
    struct disk disk;
    union payload log[SLOTS]; /* the payload of entry i is at i % SLOTS */
    int64_t sum;              /* the state: all deltas through applied */
    raft_index applied;
    int64_t received; /* the state that the leader is sending */
    uint64_t reads;
    struct raft_status status; /* after the last round */
    struct clients clients;
    struct packet in, out;
};

/* Events carry the time: the core has no clock. */
static int step(struct counter *c, struct raft_event ev, struct raft_accept *accept)
{
    ev.now = now_ns();
    return raft_step(c->raft, &ev, accept);
}

/* --- Step 5: snapshots ------------------------------------------------------------------------ */

/* The log is long enough: the core may forget what led to this state, but for some entries that spare
 * a slow peer the transfer. If the disk refuses, or the core no longer knows who the members were then
 * (we are far behind), a later round tries again. */
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
    *p = (struct packet){.cluster = CLUSTER, .msg = *m};
    for (uint32_t i = 0; m->type == RAFT_MSG_APPEND && i < m->count; i++) {
        p->entries[i] = *raft_entry_at(c->raft, m->index + 1 + i);
        p->payloads[i] = c->log[(m->index + 1 + i) % SLOTS];
    }
    if (m->type == RAFT_MSG_SNAPSHOT && m->snap_id != c->disk.snapshot.snap_id) {
        return; /* there is a newer one by now; the core will begin with that */
    }
    p->config = (struct raft_config_at){c->disk.snapshot.config_index, c->disk.snapshot.config};
    p->sum = c->disk.sum;
    wire_send(c->clients.peers_fd, c->port, p);
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
        disk_encode(c->raft, a, c->log);
        for (uint32_t i = 0; i < a->sends_count; i++) {
            send_message(c, &a->sends[i].msg);
        }
        if (a->persist_count > 0) { /* when it is done the core may count on it, and say so */
            struct raft_event ev = {.type = RAFT_EV_IO_DONE};
            ev.io_seq = a->persist[a->persist_count - 1].io_seq;
            ev.type = disk_write(&c->disk, c->raft, a, c->log) < 0 ? RAFT_EV_IO_FAILED : ev.type;
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
                c->sum = (int64_t)((uint64_t)c->sum + (uint64_t)c->log[c->applied % SLOTS].delta);
            }
        }
        (void)step(c, (struct raft_event){.type = RAFT_EV_APPLIED, .index = c->applied}, NULL);
        for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
            settle(c, &c->clients.list[i], a);
        }
        raft_done(c->raft);
        int damaged = c->status.repairing;
        raft_status(c->raft, &c->status);
        if (damaged && !c->status.repairing && raft_wal_repaired(c->disk.wal) < 0) {
            (void)step(c, (struct raft_event){.type = RAFT_EV_IO_FAILED}, NULL);
        }
        if (c->applied - c->disk.snapshot.index >= c->every &&
            raft_config_at(c->raft, c->applied)) {
            compact(c);
            again = 1;
        }
    }
}

/* --- Step 3: events --------------------------------------------------------------------------- */

/* A datagram of a peer. Entries that the core takes go into our log as well. */
static void receive(struct counter *c)
{
    struct raft_accept accept = {0};
    struct raft_event ev;
    if (!wire_take(c->clients.peers_fd, &c->in, &ev)) {
        return;
    }
    (void)step(c, ev, &accept);
    for (uint32_t i = 0; i < accept.count; i++) {
        c->log[(accept.first + i) % SLOTS] = c->in.payloads[accept.skip + i];
    }
    carry_out(c);
}

static void command(struct counter *c, struct client *cl)
{
    const struct raft_entry entry = {.bytes = sizeof(int64_t)};
    struct raft_accept accept;
    struct raft_config target;
    int64_t delta = 0;
    char end;
    int rc = RAFT_EINVAL;
    if (strcmp(cl->line, "who") == 0) {
        answer_members(cl, &c->status);
        return;
    } else if (voters_asked(cl, &target)) { /* the core takes the steps to get there */
        struct raft_event ev = {.type = RAFT_EV_PROPOSE_CONFIG, .config = &target};
        rc = step(c, ev, &accept);
        if (rc == 0) {
            client_answer(cl, "begun\n");
        }
    } else if (strcmp(cl->line, "get") == 0) {
        rc = step(c, (struct raft_event){.type = RAFT_EV_READ, .cookie = ++c->reads}, NULL);
        cl->wants = READ;
        cl->key = c->reads;
    } else if (sscanf(cl->line, "add %18" SCNd64 "%c", &delta, &end) == 1) {
        rc = step(c, (struct raft_event){RAFT_EV_PROPOSE, .entries = &entry, .count = 1}, &accept);
        if (rc == 0) {
            c->log[accept.first % SLOTS].delta = delta;
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
    ev.configs = c->disk.configs;
    ev.configs_count = c->disk.configs_count;
    rc = rc < 0 ? rc : step(c, ev, &taken);
    rc = rc < 0 ? rc : disk_read(&c->disk, taken.first, taken.count, c->log);
    if (rc == 0 && w->damage != 0) { /* it has forgotten what it promised: the core takes care */
        ev = (struct raft_event){RAFT_EV_BOOT_DAMAGE, .value = w->damage, .index = w->damage_index};
        ev.hardstate.term = w->damage_term;
        (void)fprintf(stderr, "%s\n", w->detail);
        rc = step(c, ev, NULL);
    }
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
    if (c.id < 1 || c.id > 99 || c.port == 0 || c.every == 0 || c.every > SLOTS / 4) {
        (void)fprintf(stderr, "usage: raft-counter ID DIR PORT [EVERY]\n");
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
