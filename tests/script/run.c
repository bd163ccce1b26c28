/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: a world under a script.
 *
 * Events are taken from the world's queue here, so a script holds back, loses or copies a message when
 * it arrives, and completions of a disk when they are due; nothing else of the simulator is changed.
 * What the simulator does by itself after a failed write (end the process, boot it) is left out: the
 * script says so.
 *
 * A power cut inside the disk: the disk is told to stop inside operation number k (arm); once it has,
 * the process ends before its next event. What the core was told in between (its write failed) does not
 * leave the member: a faulted member is silent.
 *
 * Threads: none.
 */
#include "tests/script/script.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX     4000000U /* events of one run */
#define COMPLETION_NS (2 * SIM_MS)

static void note_failure(struct run *r, const char *format, va_list args)
{
    char what[512];
    vsnprintf(what, sizeof(what), format, args);
    const char *path = r->script->path;
    int line = r->line != NULL ? r->line->number : 0;
    snprintf(r->why, sizeof(r->why), "%s:%d: %s", path, line, what);
}

void run_fail(struct run *r, const char *format, ...)
{
    if (run_over(r)) {
        return;
    }
    va_list args;
    va_start(args, format);
    note_failure(r, format, args);
    va_end(args);
    r->failed = 1;
}

void run_bad(struct run *r, const char *format, ...)
{
    if (run_over(r)) {
        return;
    }
    va_list args;
    va_start(args, format);
    note_failure(r, format, args);
    va_end(args);
    r->bad = 1;
}

int run_over(const struct run *r)
{
    return r->failed || r->bad;
}

/* ------------------------------------------------------------------------------------------- */

static void default_knobs(struct knobs *k)
{
    struct raft_options *o = &k->raft;
    *k = (struct knobs){0};
    raft_options_init(o);
    o->election_min = 500 * SIM_MS;
    o->election_max = 1000 * SIM_MS;
    o->heartbeat = 50 * SIM_MS;
    o->disk_stall = 500 * SIM_MS;
    o->link_hint = 0;
    o->inflight_msgs_max = 8;
    o->inflight_bytes_max = 65536;
    o->msg_bytes_max = 4096;
    o->msg_entries_max = 16;
    o->uncommitted_bytes_max = 1U << 20;
    o->log_slots = 1024;
    o->reads_max = 16;
    o->chunk_bytes = 512;
    o->chunks_inflight_max = 2;
    k->nodes = 3;
    k->voters = 3;
    k->segment_bytes = 8192;
    k->segments_ready = 2;
    k->snap_every = 1000000;
    k->disk_ns = 80000;
    k->client_ns = SIM_SEC;
    k->batch_max = 1;
    k->payload_max = PAYLOAD_MIN;
    k->latency_ns = SIM_MS;
    k->nemesis_ns = SIM_SEC;
}

void run_open(struct run *r, const struct script *s, enum run_mode mode)
{
    *r = (struct run){.mode = mode, .script = s};
    default_knobs(&r->k);
}

void run_close(struct run *r)
{
    for (size_t i = 0; i < r->held_count; i++) {
        packet_free(r->held[i]);
    }
    if (r->w != NULL) {
        world_close(r->w);
    }
    text_free(&r->out);
}

void run_start(struct run *r)
{
    if (r->w != NULL) {
        return;
    }
    r->w = world_open(&r->k, &r->marks);
    r->w->trace.watch = show_record;
    r->w->trace.watch_arg = r;
    for (raft_id id = 1; id <= r->k.nodes; id++) {
        host_create(r->w, &r->w->nodes[id], id);
        if (id <= r->k.voters + r->k.learners) {
            r->w->nodes[id].member = 1;
            world_later(r->w, 0, (struct ev){.kind = EV_BOOT, .node = (uint8_t)id});
        } else {
            r->w->nodes[id].state = HOST_ABSENT;
        }
        for (raft_id peer = id + 1; peer <= r->k.nodes; peer++) {
            world_later(
                r->w, 0,
                (struct ev){.kind = EV_CONNECT, .node = (uint8_t)id, .peer = (uint8_t)peer});
        }
    }
    if (r->prepare != NULL) {
        r->prepare(r, r->prepare_arg);
    }
    run_for(r, 15 * SIM_MS); /* processes and connections */
}

struct node *run_node(struct run *r, raft_id id)
{
    run_start(r);
    if (id == 0 || id > r->k.nodes) {
        run_bad(r, "there is no member %u", id);
        return NULL;
    }
    return &r->w->nodes[id];
}

struct node *run_up(struct run *r, raft_id id)
{
    struct node *n = run_node(r, id);
    if (n != NULL && n->state != HOST_UP) {
        if (r->mode != RUN_SWEEP) {
            run_fail(r, "member %u has no process", id);
        }
        return NULL;
    }
    return n;
}

/* ------------------------------------------------------------------------------------------- */
/* What is held back                                                                             */

static int matches(const struct packet *p, uint32_t from, uint32_t to, uint32_t types)
{
    return (from >> p->msg.from & 1) != 0 && (to >> p->msg.to & 1) != 0 &&
           (types >> p->msg.type & 1) != 0;
}

static void hold(struct run *r, struct packet *p)
{
    if (r->held_count == HELD_MAX) {
        run_bad(r, "more than %d messages are held", HELD_MAX);
        packet_free(p);
        return;
    }
    r->held[r->held_count++] = p;
}

static void lost(struct run *r, struct packet *p)
{
    trace_add(&r->w->trace, &(struct trace_rec){.at = r->w->now,
                                                .kind = TR_LOST,
                                                .node = (uint8_t)p->msg.from,
                                                .peer = (uint8_t)p->msg.to,
                                                .msg_type = p->msg.type,
                                                .msg_flags = p->msg.flags,
                                                .a = p->msg.count,
                                                .b = p->msg.term,
                                                .c = p->msg.index,
                                                .e = p->msg.seq});
    packet_free(p);
}

/* Return: 1 when the rules took the message. */
static int by_rules(struct run *r, struct packet *p)
{
    for (size_t i = 0; i < r->rules_count; i++) {
        struct rule *rule = &r->rules[i];
        if (rule->left == 0 || !matches(p, rule->from, rule->to, rule->types)) {
            continue;
        }
        rule->left -= rule->left != UINT32_MAX;
        if (rule->kind == RULE_COPY) {
            hold(r, packet_copy(p));
            continue; /* another rule may take the message itself */
        }
        if (rule->kind == RULE_HOLD) {
            hold(r, p);
        } else {
            lost(r, p);
        }
        return 1;
    }
    return 0;
}

static struct packet *take_held(struct run *r, uint32_t from, uint32_t to, uint32_t types)
{
    for (size_t i = 0; i < r->held_count; i++) {
        struct packet *p = r->held[i];
        if (matches(p, from, to, types)) {
            memmove(&r->held[i], &r->held[i + 1], (r->held_count - i - 1) * sizeof(r->held[0]));
            r->held_count--;
            return p;
        }
    }
    return NULL;
}

uint32_t run_count_held(const struct run *r, uint32_t from, uint32_t to, uint32_t types)
{
    uint32_t count = 0;
    for (size_t i = 0; i < r->held_count; i++) {
        count += (uint32_t)matches(r->held[i], from, to, types);
    }
    return count;
}

static void after_event(struct run *r);

uint32_t run_deliver(struct run *r, uint32_t from, uint32_t to, uint32_t types, uint32_t most)
{
    uint32_t count = 0;
    struct packet *p = NULL;
    while (count < most && !run_over(r) && (p = take_held(r, from, to, types)) != NULL) {
        count++;
        p->stray = 1; /* whatever became of its connection */
        world_dispatch(r->w, &(struct ev){.kind = EV_DELIVER, .node = (uint8_t)p->msg.to, .p = p});
        after_event(r);
    }
    return count;
}

uint32_t run_lose(struct run *r, uint32_t from, uint32_t to, uint32_t types, uint32_t most)
{
    uint32_t count = 0;
    struct packet *p = NULL;
    while (count < most && (p = take_held(r, from, to, types)) != NULL) {
        count++;
        lost(r, p);
    }
    return count;
}

/* ------------------------------------------------------------------------------------------- */
/* Completions of a disk                                                                         */

static int of_disk(uint8_t kind)
{
    return kind == EV_DISK_DONE || kind == EV_SNAP_TAKEN || kind == EV_CHUNK_STORED ||
           kind == EV_SNAP_LOADED;
}

static void hold_io(struct run *r, const struct ev *e)
{
    if (r->io_late_count == LATE_MAX) {
        run_bad(r, "more than %d completions are held", LATE_MAX);
        return;
    }
    r->io_late[r->io_late_count++] = *e;
}

/* Take the first held completion of a member. Return: 1 and *ret_e, or 0. */
static int take_late(struct run *r, raft_id id, struct ev *ret_e)
{
    for (size_t i = 0; i < r->io_late_count; i++) {
        if (r->io_late[i].node == id) {
            *ret_e = r->io_late[i];
            memmove(&r->io_late[i], &r->io_late[i + 1],
                    (r->io_late_count - i - 1) * sizeof(r->io_late[0]));
            r->io_late_count--;
            return 1;
        }
    }
    return 0;
}

void run_release_io(struct run *r, raft_id id)
{
    struct ev e;
    r->io_held[id] = 0;
    while (!run_over(r) && take_late(r, id, &e)) {
        e.at = r->w->now;
        world_dispatch(r->w, &e);
        after_event(r);
    }
}

/* Only the first `most` persist actions of the batch under way stay in it. */
static void split_flight(struct node *n, uint32_t most)
{
    size_t kept = 0;
    uint32_t actions = 0;
    for (; kept < n->flight.count; kept++) {
        actions += kept == 0 || n->flight.v[kept].io_seq != n->flight.v[kept - 1].io_seq;
        if (actions > most) {
            break;
        }
    }
    size_t moved = n->flight.count - kept;
    if (moved == 0 || n->flight_written) {
        return;
    }
    struct disk_queue *q = &n->queue;
    if (q->count + moved > q->cap) {
        q->cap = (q->count + moved) * 2;
        q->v = sim_realloc(q->v, q->cap * sizeof(q->v[0]));
    }
    memmove(q->v + moved, q->v, q->count * sizeof(q->v[0]));
    memcpy(q->v, n->flight.v + kept, moved * sizeof(q->v[0]));
    q->count += moved;
    n->flight.count = kept;
}

void run_complete_io(struct run *r, raft_id id, uint32_t most)
{
    struct node *n = run_up(r, id);
    struct ev e;
    if (n == NULL) {
        return;
    }
    uint64_t limit = r->w->now + COMPLETION_NS; /* the batch may have begun just now */
    while (!take_late(r, id, &e)) {
        if (run_over(r) || !run_event(r, limit)) {
            if (r->mode != RUN_SWEEP) {
                run_fail(r, "member %u: no completion is held", id);
            }
            return;
        }
    }
    if (e.kind == EV_DISK_DONE && n->flight_active) {
        split_flight(n, most);
    }
    e.at = r->w->now;
    world_dispatch(r->w, &e);
    after_event(r);
}

/* ------------------------------------------------------------------------------------------- */
/* Events                                                                                        */

/* The disk stopped inside an operation: now the power is gone. */
static void cut_now(struct run *r, struct node *n)
{
    struct arm *arm = &r->arms[n->id];
    arm->armed = 0;
    arm->fell = 1;
    if (n->state == HOST_UP) {
        host_cut(r->w, n, &arm->cut);
    } else { /* it stopped in its recovery */
        if (arm->cut.but > 0) {
            (void)sim_disk_lose_pending(n->disk, arm->cut.but - 1, arm->cut.torn);
        }
        if (arm->cut.how == HOST_END_KILL) {
            sim_disk_kill(n->disk);
        } else {
            sim_disk_crash(n->disk, arm->cut.kind, arm->cut.seed);
        }
    }
    if (arm->again > 0) { /* in the midst of recovery, or soon behind */
        arm->armed = 1;
        arm->op = sim_disk_counts(n->disk)->changes + arm->again;
        arm->cut.kind = arm->again % 2 != 0 ? SIM_DISK_CRASH_DROP : SIM_DISK_CRASH_KEEP;
        arm->cut.but = 0;
        arm->again = 0;
    }
    if (arm->boot_after > 0) {
        world_later(r->w, arm->boot_after, (struct ev){.kind = EV_BOOT, .node = (uint8_t)n->id});
    }
}

static void after_event(struct run *r)
{
    for (raft_id id = 1; id <= r->k.nodes; id++) {
        struct node *n = &r->w->nodes[id];
        if (r->arms[id].armed && sim_disk_stopped(n->disk)) {
            cut_now(r, n);
        }
    }
    if (r->w->failed) {
        run_fail(r, "%s", r->w->why);
    }
    if (++r->w->steps > STEPS_MAX) {
        run_fail(r, "more than %u events: a storm (R13)", STEPS_MAX);
    }
}

/* Is the event to be passed over, or kept for later? Return: 1 when it was seen to. */
static int take_aside(struct run *r, const struct ev *e)
{
    struct node *n = e->node != 0 ? &r->w->nodes[e->node] : NULL;
    if (e->kind == EV_CRASH) {
        return 1; /* after a failed write; the script ends processes itself */
    }
    if (n == NULL) {
        return 0;
    }
    int current = n->state == HOST_UP && n->boot == e->boot;
    if (e->kind == EV_TICK && r->ticks_off[e->node] && current) {
        return 1;
    }
    if (e->kind == EV_DISK_IDLE && r->io_held[e->node]) {
        return 1; /* it is not idle */
    }
    if (of_disk(e->kind) && r->io_held[e->node] && current) {
        hold_io(r, e);
        return 1;
    }
    return e->kind == EV_DELIVER && by_rules(r, e->p);
}

int run_event(struct run *r, uint64_t until)
{
    struct world *w = r->w;
    struct ev e;
    if (w->q.count == 0 || w->q.heap[0].at > until) {
        w->now = until;
        return 0;
    }
    (void)evq_pop(&w->q, &e); /* it is not empty */
    w->now = e.at;
    if (e.kind == EV_BOOT && r->arms[e.node].armed) { /* an end of its process disarmed the disk */
        sim_disk_stop_at(w->nodes[e.node].disk, r->arms[e.node].op);
    }
    if (!take_aside(r, &e)) {
        world_dispatch(w, &e);
    }
    after_event(r);
    return 1;
}

void run_for(struct run *r, uint64_t ns)
{
    run_start(r);
    uint64_t until = r->w->now + ns;
    while (!run_over(r) && run_event(r, until)) {
    }
}

/* ------------------------------------------------------------------------------------------- */

static void undo_all(struct run *r)
{
    struct world *w = r->w;
    r->rules_count = 0;
    memset(w->net.cut, 0, sizeof(w->net.cut));
    (void)run_deliver(r, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX);
    for (raft_id id = 1; id <= r->k.nodes && !run_over(r); id++) {
        struct node *n = &w->nodes[id];
        r->ticks_off[id] = 0;
        sim_disk_set_capacity(n->disk, UINT64_MAX);
        r->arms[id].armed = 0;
        sim_disk_stop_at(n->disk, 0);
        sim_disk_watch(n->disk, NULL, NULL);
        run_release_io(r, id);
        if (n->paused) {
            world_later(w, 0, (struct ev){.kind = EV_RESUME, .node = (uint8_t)id});
        }
        if (n->state == HOST_UP && n->st.role == RAFT_FAULTED) {
            host_cut(w, n, &(struct host_cut){.how = HOST_END_KILL});
        }
    }
}

/* What a member of the sweep has written since its cut must be there after the next one. */
static void cut_once_more(struct run *r)
{
    for (raft_id id = 1; id <= r->k.nodes && !run_over(r); id++) {
        struct node *n = &r->w->nodes[id];
        if (r->mode == RUN_SWEEP && r->arms[id].fell && n->state == HOST_UP && !n->paused) {
            host_cut(r->w, n,
                     &(struct host_cut){.how = HOST_END_POWER, .kind = SIM_DISK_CRASH_DROP});
        }
    }
}

void run_ending(struct run *r)
{
    run_start(r);
    r->healing = 1;
    undo_all(r);
    run_for(r, SIM_MS);
    cut_once_more(r);
    if (run_over(r) || r->no_ending) {
        return;
    }
    world_heal(r->w);
    while (!run_over(r) && r->w->phase != PHASE_DONE) {
        (void)run_event(r, UINT64_MAX);
    }
}

void run_command(struct run *r, const struct line *line)
{
    struct words ws;
    r->line = line;
    if (!words_split(&ws, line->text) || ws.count == 0) {
        run_bad(r, "too long, or nothing");
        return;
    }
    if (!cmd_setup(r, &ws) && !cmd_time(r, &ws) && !cmd_net(r, &ws) && !cmd_member(r, &ws) &&
        !cmd_disk(r, &ws)) {
        run_bad(r, "unknown command '%s'", ws.v[0]);
    }
}
