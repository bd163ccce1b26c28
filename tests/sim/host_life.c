/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_life.c: how the process of a member begins and ends.
 *
 *   DOWN --host_boot: recovery, then the BOOT events--> UP
 *   UP   --host_end: KILL, POWER, ROT-----------------> DOWN
 *   DOWN --recovery finds what it cannot judge--------> OUT, for good
 *
 * An end takes everything in memory. What the disk thread and the snapshot worker had begun may go on
 * until the cut falls into it (sim_disk_stop_at), then the disk draws what survives.
 */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void host_create(struct world *w, struct node *n, raft_id id)
{
    n->id = id;
    n->disk = sim_disk_create(rng_next(&w->rng_disk));
    n->clk_ppm = 1000000;
    n->tick_at = UINT64_MAX;
}

/* What a member without a snapshot knows: the group's first configuration, or nothing at all. */
static void first_config(const struct world *w, const struct node *n,
                         struct raft_config *ret_config)
{
    cfg_first(w, ret_config);
    if (n->id > ret_config->count && w->k.join_empty) {
        *ret_config = (struct raft_config){0};
    }
}

static int boot_entries(struct world *w, struct node *n, struct raft_event *ev)
{
    struct raft_accept acc = {0};
    uint32_t count = (uint32_t)n->log.count;
    struct raft_entry *entries = sim_alloc((count + 1) * sizeof(entries[0]));
    for (uint32_t i = 0; i < count; i++) {
        const struct item *it = elog_at(&n->log, n->log.base + 1 + i);
        entries[i] = (struct raft_entry){.term = it->term, .bytes = it->bytes, .type = it->type};
    }
    struct raft_config_at *configs = NULL;
    ev->type = RAFT_EV_BOOT_ENTRIES;
    ev->first = n->log.base + 1;
    ev->entries = entries;
    ev->count = count;
    ev->configs_count =
        (uint32_t)cfg_decode_items(n->log.items + n->log.head, count, ev->first, &configs);
    ev->configs = configs;
    int result = count > 0 ? raft_step(n->raft, ev, &acc) : 0;
    for (uint32_t i = 0; i < ev->configs_count && acc.count > 0; i++) {
        if (configs[i].index >= acc.first) {
            cfg_push(n, configs[i].index, &configs[i].config);
        }
    }
    free(entries);
    free(configs);
    if (result != 0) {
        return result;
    }
    if (acc.count > 0 && acc.first != n->log.base + 1 + acc.skip) {
        sim_fail(w, "n%u: boots with entries from %" PRIu64 ", %u were skipped", n->id, acc.first,
                 acc.skip);
    }
    if (acc.count > 0) {
        elog_trim(&n->log, n->log.base + acc.skip); /* the snapshot took the place of these */
    } else {
        elog_reset(&n->log, n->snap.index, n->snap.term, n->machine.chain);
    }
    return 0;
}

/* Tell a fresh core what the disk held. */
static int boot_core(struct world *w, struct node *n)
{
    struct raft_snapshot snap = n->snap;
    if (snap.index == 0) {
        first_config(w, n, &snap.config);
    } else {
        check_snapshot_config(w, n, &snap);
    }
    cfg_reset(n, snap.config_index, &snap.config);
    struct raft_event ev = {
        .type = RAFT_EV_BOOT_SNAPSHOT, .now = host_now(w, n), .snapshot = &snap};
    int result = raft_step(n->raft, &ev, NULL);
    ev.type = RAFT_EV_BOOT_HARDSTATE;
    ev.hardstate.term = n->durable.term;
    ev.hardstate.vote = n->durable.vote;
    ev.hardstate.commit = n->durable.commit;
    result = result ? result : raft_step(n->raft, &ev, NULL);
    result = result ? result : boot_entries(w, n, &ev);
    if (result == 0 && n->damage != 0) {
        result = disk_tell_damage(n, &ev);
    }
    ev.type = RAFT_EV_BOOT_DONE;
    return result ? result : raft_step(n->raft, &ev, NULL);
}

static void init_core(struct world *w, struct node *n)
{
    struct raft_options o = w->k.raft;
    o.id = n->id;
    o.rng_seed = rng_next(&w->rng_host);
    o.priority = w->k.priorities ? 1 + n->id % 3 : 1;
    size_t bytes = raft_size(&o);
    n->mem = sim_alloc(bytes);
    memset(n->mem, 0xa5, bytes); /* the core may not count on zeroed memory */
    n->raft = raft_init(n->mem, bytes, &o);
    if (n->raft == NULL) {
        sim_fail(w, "n%u: raft_init refuses its options", n->id);
    }
}

void host_boot(struct world *w, struct node *n)
{
    if (n->state != HOST_DOWN) {
        return;
    }
    n->boot++;
    for (raft_id peer = 1; peer <= w->k.nodes; peer++) {
        if (peer != n->id) {
            net_break(w, n->id, peer); /* left over from its earlier life */
        }
    }
    n->clk_virtual = w->now;
    n->clk_local = SIM_SEC + rng_below(&w->rng_host, 100 * SIM_SEC);
    if (!disk_recover(w, n)) {
        return;
    }
    init_core(w, n);
    if (w->failed) {
        return;
    }
    int result = boot_core(w, n);
    if (result != 0) {
        sim_fail(w, "n%u: boot refused: %s", n->id, raft_strerror(result));
        return;
    }
    n->state = HOST_UP;
    n->commit = n->machine.applied;
    n->config_before = cfg_newest(n)->index;
    n->led_before = 0;
    raft_status(n->raft, &n->st);
    check_booted(w, n);
    if (!w->failed) {
        check_node(w, n);
    }
    if (!w->failed) {
        host_poll(w, n);
    }
    if (w->phase == PHASE_CHAOS && knobs_has(&w->k, FAULT_POWER) &&
        rng_chance(&w->rng_nemesis, 150)) {
        n->doomed = HOST_END_POWER; /* again, before anything it found is safe */
    }
}

static void forget_process(struct node *n)
{
    free(n->mem);
    n->mem = NULL;
    n->raft = NULL;
    n->poll_due = 0;
    n->apply_due = 0;
    n->tick_at = UINT64_MAX;
    n->tick_generation++;
    n->commit = 0;
    n->waits_count = 0;
    n->reads_open = 0;
    n->flight_active = 0;
    n->io_owed = 0;
    n->doomed = (enum host_end)0;
    n->io_failed = 0;
    n->taken_for = 0;
    n->stall_until = 0;
    n->slow_until = 0;
    n->no_room = 0;
    n->sleep_when_told = 0;
    n->take = (struct snap_job){0};
    n->install = (struct snap_job){0};
    memset(n->link_known, 0, sizeof(n->link_known));
}

/* What the disk thread and the snapshot worker were doing goes on until the power fails inside. */
static void run_into_the_cut(struct world *w, struct node *n, uint64_t into)
{
    sim_disk_stop_at(n->disk, sim_disk_counts(n->disk)->changes + into);
    if (n->take.active && !n->take.written) {
        MARK(w, SNAPSHOT_CRASHED);
        snap_write_job(w, n);
    }
    if (n->install.active && !n->install.written) {
        snap_load_job(w, n);
    }
    if (n->flight_active && !n->flight_written) {
        disk_write_flight(w, n);
    }
    if (rng_chance(&w->rng_disk, 200)) {
        (void)raft_wal_idle(n->wal); /* fails when the cut falls into it */
    }
}

/* From here on nothing that is closed can change the disk any more. */
static void stop_disk(struct node *n)
{
    const struct raft_fs *fs = sim_disk_fs(n->disk);
    if (!sim_disk_stopped(n->disk)) {
        sim_disk_stop_at(n->disk, sim_disk_counts(n->disk)->changes + 1);
        (void)fs->sync_dir(fs->ctx, "."); /* the operation inside which the process stops */
    }
}

void host_end(struct world *w, struct node *n, enum host_end how)
{
    struct host_cut cut = {.how = how, .kind = SIM_DISK_CRASH_RANDOM};
    if (n->state != HOST_UP) {
        return;
    }
    if (n->doomed != 0 || (how != HOST_END_ROT && rng_chance(&w->rng_disk, 700))) {
        uint64_t most = n->take.active || n->install.active ? 8 : 2; /* a batch: write and sync */
        cut.into = 1 + rng_below(&w->rng_disk, most);
    }
    if (how != HOST_END_KILL && rng_chance(&w->rng_disk, 400)) {
        cut.kind = (enum sim_disk_crash_kind)rng_range(&w->rng_disk, SIM_DISK_CRASH_RANDOM,
                                                       SIM_DISK_CRASH_NAMES);
    }
    cut.seed = how != HOST_END_KILL ? rng_next(&w->rng_disk) : 0;
    host_cut(w, n, &cut);
}

void host_cut(struct world *w, struct node *n, const struct host_cut *cut)
{
    trace_add(&w->trace,
              &(struct trace_rec){
                  .at = w->now, .kind = TR_CRASH, .node = (uint8_t)n->id, .a = (uint64_t)cut->how});
    if (n->recv != NULL) {
        MARK(w, CRASH_IN_TRANSFER);
    }
    client_node_ended(w, n);
    if (cut->into > 0) {
        run_into_the_cut(w, n, cut->into);
    }
    stop_disk(n);
    snap_close(n);
    raft_wal_close(n->wal);
    n->wal = NULL;
    if (cut->how == HOST_END_KILL) {
        sim_disk_kill(n->disk);
    } else {
        if (cut->but > 0) {
            (void)sim_disk_lose_pending(n->disk, cut->but - 1, cut->torn); /* or nothing is lost */
        }
        sim_disk_crash(n->disk, cut->kind, cut->seed);
    }
    n->state = HOST_DOWN;
    int flight = n->flight_active;
    forget_process(n);
    n->flight_active = flight; /* recovery may find a part of it */
    for (raft_id peer = 1; peer <= w->k.nodes; peer++) {
        if (peer != n->id && rng_chance(&w->rng_net, 800)) {
            net_break(w, n->id, peer);
        }
    }
}

void host_finish(struct world *w, struct node *n)
{
    if (n->disk == NULL) {
        return;
    }
    stop_disk(n);
    snap_close(n);
    raft_wal_close(n->wal);
    sim_disk_destroy(n->disk);
    free(n->mem);
    elog_finish(&n->log);
    free(n->cfgs.v);
    image_finish(&n->durable);
    free(n->pend.v);
    free(n->waits);
    disk_queue_clear(&n->queue);
    disk_queue_clear(&n->flight);
    free(n->queue.v);
    free(n->flight.v);
    free(n->late);
}
