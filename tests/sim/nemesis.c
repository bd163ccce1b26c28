/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nemesis.c: one fault after the other, of the kinds that the seed has switched on, each for a while.
 *
 * Faults overlap. Everything here is within what the library promises to survive: at most a minority
 * of the disks ever loses acknowledged data (and only data that a later record attests, see
 * docs/testing.md), and any number of members may crash at any time.
 */
#include "tests/sim/world.h"

#include <string.h>

/* The members that are there, in the order of their ids. */
static uint32_t present(const struct world *w, raft_id *ids)
{
    uint32_t count = 0;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        if (w->nodes[id].state != HOST_ABSENT && w->nodes[id].state != HOST_GONE) {
            ids[count++] = id;
        }
    }
    return count;
}

static struct node *up_node(struct world *w)
{
    raft_id ids[SIM_NODES_MAX];
    uint32_t count = present(w, ids);
    uint64_t from = rng_below(&w->rng_nemesis, count);
    for (uint32_t i = 0; i < count; i++) {
        struct node *n = world_node(w, ids[(from + i) % count]);
        if (n->state == HOST_UP && !n->paused) {
            return n;
        }
    }
    return NULL;
}

/* Half of the faults look for a leader: they do more there. */
struct node *nemesis_target(struct world *w)
{
    if (rng_chance(&w->rng_nemesis, 500)) {
        for (raft_id id = 1; id <= w->k.nodes; id++) {
            struct node *n = world_node(w, id);
            if (n->state == HOST_UP && !n->paused && n->st.role == RAFT_LEADER) {
                return n;
            }
        }
    }
    return up_node(w);
}

static uint64_t duration(struct world *w)
{
    uint64_t t = rng_exp(&w->rng_nemesis, 3 * w->k.raft.election_max);
    uint64_t most = 15 * w->k.raft.election_max;
    return 10 * SIM_MS + (t < most ? t : most);
}

/* ------------------------------------------------------------------------------------------- */
/* Ends of processes                                                                             */

static void end_node(struct world *w, struct node *n, enum host_end how)
{
    host_end(w, n, how);
    if (how == HOST_END_ROT) {
        disk_rot(w, n);
    }
    uint64_t wait = duration(w);
    if (rng_chance(&w->rng_nemesis, 300)) {
        wait = SIM_MS * rng_below(&w->rng_nemesis, 20); /* back before anybody noticed */
    }
    world_later(w, wait, (struct ev){.kind = EV_BOOT, .node = (uint8_t)n->id});
}

static void crash(struct world *w, enum sim_fault kind)
{
    if (kind == FAULT_BLACKOUT) {
        MARK(w, BLACKOUT);
        for (raft_id id = 1; id <= w->k.nodes; id++) {
            if (world_node(w, id)->state == HOST_UP && !world_node(w, id)->paused) {
                end_node(w, world_node(w, id), HOST_END_POWER);
            }
        }
        return;
    }
    struct node *n = kind == FAULT_ROT ? disk_rot_target(w) : nemesis_target(w);
    if (n == NULL) {
        return;
    }
    if (kind == FAULT_ROT) {
        end_node(w, n, HOST_END_ROT);
        return;
    }
    enum host_end how = kind == FAULT_KILL ? HOST_END_KILL : HOST_END_POWER;
    if (rng_chance(&w->rng_nemesis, 500)) {
        n->doomed = how; /* in the middle of its next write */
        return;
    }
    end_node(w, n, how);
}

/* ------------------------------------------------------------------------------------------- */
/* Partitions                                                                                    */

static void cut_between(struct fault *f, raft_id a, raft_id b)
{
    f->cut[a][b] = f->cut[b][a] = 1;
}

/* A random order of the members that are there. */
static uint32_t shuffle(struct world *w, raft_id *ids)
{
    uint32_t count = present(w, ids);
    for (uint32_t i = count; i > 1; i--) {
        uint64_t j = rng_below(&w->rng_nemesis, i);
        raft_id t = ids[i - 1];
        ids[i - 1] = ids[j];
        ids[j] = t;
    }
    return count;
}

/* Clients go on reading from a leader that may lose its place. */
static void ask_leader(struct world *w, const struct node *n)
{
    if (n != NULL && n->st.role == RAFT_LEADER && rng_chance(&w->rng_nemesis, 500)) {
        world_later(w, 0, (struct ev){.kind = EV_ASK, .node = (uint8_t)n->id, .a = 40});
    }
}

static void draw_cuts(struct world *w, struct fault *f, const raft_id *ids, uint32_t n)
{
    struct node *t = nemesis_target(w);
    raft_id one = t != NULL ? t->id : ids[0];
    ask_leader(w, t);
    uint32_t side = (uint32_t)rng_range(&w->rng_nemesis, 1, n - 1);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = i + 1; j < n; j++) {
            int apart = (i < side) != (j < side);
            int bridged = i == 0 || j == 0; /* the first sees both sides */
            uint32_t far = j - i < n - (j - i) ? j - i : n - (j - i);
            if ((f->kind == FAULT_ISOLATE && (ids[i] == one || ids[j] == one)) ||
                (f->kind == FAULT_SPLIT && apart) ||
                (f->kind == FAULT_BRIDGE && !bridged && (i <= n / 2) != (j <= n / 2)) ||
                (f->kind == FAULT_RING && far > 1)) {
                cut_between(f, ids[i], ids[j]);
            }
        }
    }
    if (f->kind == FAULT_ONEWAY) {
        int all = rng_chance(&w->rng_nemesis, 400);
        int deaf = rng_chance(&w->rng_nemesis, 500);
        for (uint32_t i = 0; i < n; i++) {
            if (ids[i] != one && (all || i == 0 || ids[0] == one)) {
                f->cut[deaf ? ids[i] : one][deaf ? one : ids[i]] = 1;
            }
        }
    }
}

static void apply_cuts(struct world *w, const struct fault *f, int on)
{
    for (raft_id a = 1; a <= w->k.nodes; a++) {
        for (raft_id b = 1; b <= w->k.nodes; b++) {
            uint8_t by = f->cut[a][b];
            uint8_t hold = by && f->hold;
            w->net.cut[a][b] = (uint8_t)(on ? w->net.cut[a][b] + by : w->net.cut[a][b] - by);
            w->net.hold[a][b] = (uint8_t)(on ? w->net.hold[a][b] + hold : w->net.hold[a][b] - hold);
        }
    }
}

static void partition(struct world *w, struct fault *f)
{
    raft_id ids[SIM_NODES_MAX];
    uint32_t count = shuffle(w, ids);
    if (count < 2) {
        return;
    }
    draw_cuts(w, f, ids, count);
    f->hold = knobs_has(&w->k, FAULT_HOLD) && rng_chance(&w->rng_nemesis, 500);
    apply_cuts(w, f, 1);
    if (f->kind == FAULT_ONEWAY) {
        MARK(w, ONE_WAY);
    } else {
        MARK(w, PARTITIONED);
    }
}

/* ------------------------------------------------------------------------------------------- */
/* Clock, leadership                                                                             */

static void pause_node(struct world *w, struct node *n, struct fault *f)
{
    f->node = n->id;
    n->paused = 1;
    if (n->st.role == RAFT_LEADER) {
        MARK(w, PAUSED_LEADER);
    }
}

/* A paused process hears of it when it goes on. */
static void say_space(struct world *w, struct node *n, uint64_t value)
{
    if (n->paused) {
        n->space_owed = 1;
    }
    if (n->state != HOST_UP || n->paused) {
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_DISK, .value = value};
    (void)host_step(w, n, &ev);
}

void nemesis_transfer(struct world *w, struct node *n)
{
    ask_leader(w, n);
    struct raft_event ev = {.type = RAFT_EV_TRANSFER}; /* to the best one */
    if (rng_chance(&w->rng_nemesis, 500)) {
        ev.peer = (raft_id)rng_range(&w->rng_nemesis, 1, w->k.nodes);
    }
    int result = host_step(w, n, &ev);
    if (result != 0 && result != RAFT_ENOTLEADER && result != RAFT_EBUSY && result != RAFT_EINVAL &&
        result != RAFT_EFAULTED) {
        sim_fail(w, "n%u: TRANSFER answered %d (%s)", n->id, result, raft_strerror(result));
    }
}

static void reset_link(struct world *w)
{
    raft_id ids[SIM_NODES_MAX];
    if (shuffle(w, ids) >= 2 && w->net.up[ids[0]][ids[1]]) {
        MARK(w, LINK_RESET);
        net_break(w, ids[0], ids[1]);
    }
}

/* Faults of one member. */
static void trouble_node(struct world *w, struct fault *f)
{
    struct node *n = nemesis_target(w);
    if (n == NULL) {
        return;
    }
    switch (f->kind) {
    case FAULT_STALL:
    case FAULT_FREEZE:
    case FAULT_SLOW:
    case FAULT_EIO:
    case FAULT_BADREAD:
        disk_trouble(w, n, f->kind, duration(w));
        break;
    case FAULT_PAUSE:
        pause_node(w, n, f);
        break;
    case FAULT_JUMP:
        if (w->k.raft.lease_drift_ppm > 0 && n->st.role != RAFT_LEADER) {
            break; /* a voter whose clock runs ahead forgets what it owes the leader's lease */
        }
        MARK(w, CLOCK_JUMPED);
        host_set_clock(w, n, rng_exp(&w->rng_nemesis, 2 * w->k.raft.election_max), n->clk_ppm);
        break;
    case FAULT_TRANSFER:
        nemesis_transfer(w, n);
        break;
    case FAULT_CAMPAIGN:
        usurp_campaign(w, n);
        break;
    case FAULT_NOSPACE:
        f->node = n->id;
        say_space(w, n, 0);
        break;
    case FAULT_FULL:
        f->node = n->id;
        sim_disk_set_capacity(n->disk, sim_disk_used(n->disk) +
                                           rng_below(&w->rng_nemesis, 3 * w->k.segment_bytes));
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------------------------------------- */

static struct fault *free_slot(struct world *w)
{
    for (int i = 0; i < NEMESIS_ACTIVE_MAX; i++) {
        if (w->nemesis.active[i].number == 0) {
            return &w->nemesis.active[i];
        }
    }
    return NULL;
}

static void begin(struct world *w, struct fault *f)
{
    trace_add(&w->trace, &(struct trace_rec){
                             .at = w->now, .kind = TR_FAULT, .a = f->number, .b = f->kind, .c = 1});
    switch (f->kind) {
    case FAULT_KILL:
    case FAULT_POWER:
    case FAULT_BLACKOUT:
    case FAULT_ROT:
        crash(w, f->kind);
        break;
    case FAULT_ISOLATE:
    case FAULT_SPLIT:
    case FAULT_BRIDGE:
    case FAULT_RING:
    case FAULT_ONEWAY:
        partition(w, f);
        break;
    case FAULT_RESET:
        reset_link(w);
        break;
    case FAULT_USURP:
        usurp(w);
        break;
    case FAULT_MEMBER:
        member_change(w);
        break;
    case FAULT_WIPE:
        member_wipe(w);
        break;
    default:
        trouble_node(w, f);
    }
}

void nemesis_step(struct world *w)
{
    if (w->phase != PHASE_CHAOS) {
        return;
    }
    world_later(w, rng_exp(&w->rng_nemesis, w->k.nemesis_ns), (struct ev){.kind = EV_NEMESIS});
    uint32_t kinds[FAULT_NEMESIS_END];
    uint32_t count = 0;
    for (uint32_t f = 0; f < FAULT_NEMESIS_END; f++) {
        if (knobs_has(&w->k, (enum sim_fault)f)) {
            kinds[count++] = f;
        }
    }
    struct fault *f = free_slot(w);
    if (count == 0 || f == NULL) {
        return;
    }
    enum sim_fault kind = (enum sim_fault)kinds[rng_below(&w->rng_nemesis, count)];
    if (knobs_has(&w->k, FAULT_MEMBER) && rng_chance(&w->rng_nemesis, 250)) {
        kind = FAULT_MEMBER; /* most of what is asked of a leader is refused, or takes its time */
    }
    *f = (struct fault){.kind = kind, .number = ++w->nemesis.count};
    uint64_t number = f->number;
    begin(w, f);
    world_later(w, duration(w), (struct ev){.kind = EV_UNDO, .a = number});
}

static void undo(struct world *w, struct fault *f)
{
    struct node *n = f->node != 0 ? world_node(w, f->node) : NULL;
    apply_cuts(w, f, 0);
    if (f->kind == FAULT_PAUSE && n != NULL) {
        world_later(w, 0, (struct ev){.kind = EV_RESUME, .node = (uint8_t)n->id});
    }
    if (f->kind == FAULT_NOSPACE && n != NULL) {
        say_space(w, n, 1);
    }
    if (f->kind == FAULT_FULL && n != NULL) {
        sim_disk_set_capacity(n->disk, UINT64_MAX);
    }
    trace_add(&w->trace,
              &(struct trace_rec){.at = w->now, .kind = TR_FAULT, .a = f->number, .b = f->kind});
    *f = (struct fault){0};
    net_release(w);
}

void nemesis_undo(struct world *w, uint64_t number)
{
    for (int i = 0; i < NEMESIS_ACTIVE_MAX; i++) {
        if (w->nemesis.active[i].number == number && number != 0) {
            undo(w, &w->nemesis.active[i]);
        }
    }
}

void nemesis_heal(struct world *w)
{
    for (int i = 0; i < NEMESIS_ACTIVE_MAX && !w->failed; i++) {
        if (w->nemesis.active[i].number != 0) {
            undo(w, &w->nemesis.active[i]);
        }
    }
    uint64_t calm = w->k.raft.election_min / 100; /* a long delay would look like a fault */
    w->k.jitter_ns = w->k.jitter_ns < calm ? w->k.jitter_ns : calm;
    w->k.loss_permille = 0;
    w->k.dup_permille = 0;
    w->k.reorder_permille = 0;
    w->k.replay_permille = 0;
    for (raft_id id = 1; id <= w->k.nodes && !w->failed; id++) {
        struct node *n = world_node(w, id);
        n->stall_until = 0;
        n->slow_until = 0;
        n->bad_reads = 0;
        n->doomed = (enum host_end)0;
        sim_disk_fail_sync(n->disk, 0, SIM_DISK_SYNC_KEEP);
        sim_disk_fail(n->disk, SIM_DISK_WRITE, 1, 0, 5);
        host_set_clock(w, n, 0, 1000000);
        say_space(w, n, 1);
        world_later(w, rng_below(&w->rng_nemesis, w->k.raft.election_max),
                    (struct ev){.kind = EV_BOOT, .node = (uint8_t)id});
    }
}

/* A log that leaders which never committed anything have filled to the last slot can be led by nobody:
 * its operator starts the member again with a larger one. */
void nemesis_widen(struct world *w)
{
    int full = 0;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        const struct node *n = world_node(w, id);
        full |= n->state == HOST_UP && n->log.count >= w->k.raft.log_slots;
    }
    if (!full) {
        return;
    }
    MARK(w, LOG_WIDENED);
    w->k.raft.log_slots *= 2;
    w->progress = 0;
    w->progress_at = w->now;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        host_end(w, world_node(w, id), HOST_END_KILL);
        world_later(w, 0, (struct ev){.kind = EV_BOOT, .node = (uint8_t)id});
    }
}
