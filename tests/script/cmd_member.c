/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_member.c: what is asked of a member, and what befalls its process.
 *
 *   lead N                          N becomes leader: by transfer, or (nobody leads) by election once
 *                                   nobody waits for an earlier leader any more
 *   campaign N                      stand for election now
 *   transfer N [M]                  leader N hands over to M
 *   propose N [xK]                  K entries in one proposal
 *   read N [lease]                  a linearizable read; numbered from 1 over all members
 *   waits N on|off                  somebody at N waits for whatever is committed
 *   awaited N M INDEX               and this one, as leader N knows, at M
 *   config N voters=1,2 [learners=3]        change the members
 *   snapshot N [keep=K]             take a snapshot of what is applied; K entries before it are kept
 *   pause N / resume N              the process stands still; everything then comes at once
 *   clock N +TIME | clock N x1.2    the clock jumps; or runs at this speed
 *   ticks N,M,.. off|on             their timers do not fire
 *   crash N kill|power [IMAGE] [in=K]      the process ends (inside its K-th next disk operation)
 *   crash-at N K kill|power [IMAGE]        it will end inside its K-th next disk operation
 *   replace N                       its machine is lost: a new one with the same id and an empty disk (only
 *                                   for a member that was removed)
 *   boot N                          a process for it again
 * IMAGE is what survives a power cut of what was not synced: drop (nothing, the default), keep (all),
 * torn, names (files without their data), random=SEED; lose=K and tear=K: all but the K-th write, of
 * which nothing or the first half is there.
 *
 * Threads: none.
 */
#include "tests/script/script.h"

#include <string.h>

static int needs(struct run *r, const struct words *ws, int least, raft_id *ret_id)
{
    if (ws->count < least || !word_id(ws->v[1], ret_id)) {
        run_bad(r, "%s MEMBER ..., see cmd_member.c", ws->v[0]);
        return 0;
    }
    return 1;
}

/* ------------------------------------------------------------------------------------------- */
/* Leadership                                                                                    */

static int step(struct run *r, raft_id id, struct raft_event ev)
{
    struct node *n = run_up(r, id);
    return n != NULL ? host_step(r->w, n, &ev) : 0;
}

/* A command that a member refuses is part of the story: it is printed, not a failure. */
static void say_refusal(struct run *r, raft_id id, int result)
{
    if (result != 0 && r->mode != RUN_SWEEP) {
        text_add(&r->out, "n%u refuses: %s\n", id, raft_strerror(result));
    }
}

/* A leader that could hand over to member `to`. */
static raft_id leader_for(const struct run *r, raft_id to)
{
    for (raft_id id = 1; id <= r->k.nodes; id++) {
        const struct node *n = &r->w->nodes[id];
        int reachable = !n->paused && !r->w->net.cut[id][to] && !r->w->net.cut[to][id];
        if (n->state == HOST_UP && n->st.role == RAFT_LEADER && reachable) {
            return id;
        }
    }
    return 0;
}

static void wait_leader(struct run *r, raft_id id, uint64_t ns)
{
    const struct node *n = &r->w->nodes[id];
    uint64_t limit = r->w->now + ns;
    while (!run_over(r) && !(n->state == HOST_UP && n->st.role == RAFT_LEADER)) {
        if (!run_event(r, limit)) {
            if (r->mode != RUN_SWEEP) {
                run_fail(r, "member %u does not become leader", id);
            }
            return;
        }
    }
}

/* Nobody is to stand for election by itself meanwhile. */
static void lead(struct run *r, raft_id id)
{
    struct node *n = run_up(r, id);
    raft_id now = leader_for(r, id);
    if (n == NULL || now == id) {
        return;
    }
    if (now != 0) {
        (void)step(r, now, (struct raft_event){.type = RAFT_EV_TRANSFER, .peer = id});
        wait_leader(r, id, 2 * r->k.raft.election_max);
        return;
    }
    int off[SIM_SLOTS];
    memcpy(off, r->ticks_off, sizeof(off));
    for (raft_id other = 1; other <= r->k.nodes; other++) {
        r->ticks_off[other] = 1;
    }
    run_for(r, r->k.raft.election_min + SIM_MS);
    r->ticks_off[id] = off[id];
    host_set_clock(r->w, n, 0, n->clk_ppm);
    if (!run_over(r) && n->state == HOST_UP && n->st.role != RAFT_LEADER) {
        (void)step(r, id, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
        wait_leader(r, id, r->k.raft.election_max);
    }
    memcpy(r->ticks_off, off, sizeof(off));
    for (raft_id other = 1; other <= r->k.nodes && !run_over(r); other++) {
        struct node *m = &r->w->nodes[other];
        if (m->state == HOST_UP) {
            host_set_clock(r->w, m, 0, m->clk_ppm); /* sets the timer again */
        }
    }
}

static void transfer(struct run *r, const struct words *ws, raft_id id)
{
    raft_id to = 0;
    if (ws->count > 2 && !word_id(ws->v[2], &to)) {
        run_bad(r, "transfer N [M]");
        return;
    }
    say_refusal(r, id, step(r, id, (struct raft_event){.type = RAFT_EV_TRANSFER, .peer = to}));
}

/* ------------------------------------------------------------------------------------------- */
/* Load                                                                                          */

static void propose(struct run *r, const struct words *ws, raft_id id)
{
    uint32_t count = 1;
    uint64_t first = 0;
    if (ws->count > 3 || (ws->count == 3 && !word_times(ws->v[2], &count)) || count > 64) {
        run_bad(r, "propose N [xK], K at most 64");
        return;
    }
    struct node *n = run_up(r, id);
    if (n != NULL) {
        (void)client_propose(r->w, n, count, &first); /* a refusal is printed from the trace */
    }
}

static void read_command(struct run *r, const struct words *ws, raft_id id)
{
    uint64_t cookie = 0;
    struct node *n = run_up(r, id);
    int lease = ws->count == 3 && strcmp(ws->v[2], "lease") == 0;
    if (ws->count > 3 || (ws->count == 3 && !lease)) {
        run_bad(r, "read N [lease]");
        return;
    }
    if (n != NULL) {
        r->w->k.lease_permille = lease ? 1000 : 0;
        say_refusal(r, id, client_read(r->w, n, &cookie));
        r->w->k.lease_permille = 0;
    }
}

static void waits_command(struct run *r, const struct words *ws, raft_id id)
{
    struct node *n = run_up(r, id);
    if (ws->count != 3) {
        run_bad(r, "waits N on|off");
    } else if (n != NULL) {
        say_refusal(r, id, client_waits(r->w, n, strcmp(ws->v[2], "on") == 0));
    }
}

static void awaited_command(struct run *r, const struct words *ws, raft_id id)
{
    raft_id peer = 0;
    uint64_t index = 0;
    struct node *n = run_up(r, id);
    if (ws->count != 4 || !word_id(ws->v[2], &peer) || !word_number(ws->v[3], &index)) {
        run_bad(r, "awaited N M INDEX");
    } else if (n != NULL) {
        say_refusal(r, id, client_awaited(r->w, n, peer, index));
    }
}

/* config N voters=1,2,4 [learners=5] */
static void config_command(struct run *r, const struct words *ws, raft_id id)
{
    uint32_t voters = 0;
    uint32_t learners = 0;
    int good = ws->count == 3 || ws->count == 4;
    for (int i = 2; good && i < ws->count; i++) {
        const char *v = word_value(ws->v[i], "voters");
        const char *l = word_value(ws->v[i], "learners");
        good = (v != NULL && word_members(v, &voters)) || (l != NULL && word_members(l, &learners));
    }
    if (!good) {
        run_bad(r, "config N voters=1,2,4 [learners=5]");
        return;
    }
    struct node *n = run_up(r, id);
    struct raft_config c = {0};
    for (raft_id m = 1; m <= r->k.nodes; m++) {
        uint32_t roles = (voters >> m & 1) != 0     ? (uint32_t)RAFT_VOTER
                         : (learners >> m & 1) != 0 ? (uint32_t)RAFT_LEARNER
                                                    : 0;
        if (roles != 0) {
            c.members[c.count++] = (struct raft_member){.id = m, .roles = roles};
        }
    }
    if (n == NULL) {
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_PROPOSE_CONFIG, .config = &c};
    struct raft_accept acc = {0};
    r->w->net.window_work++;
    int result = host_feed(r->w, n, &ev, NULL, &acc);
    say_refusal(r, id, result);
    if (result == 0) {
        text_add(&r->out, "n%u takes a configuration at %llu\n", id, (unsigned long long)acc.first);
    }
    host_react(r->w, n, &ev);
}

static void snapshot(struct run *r, const struct words *ws, raft_id id)
{
    const char *keep = ws->count == 3 ? word_value(ws->v[2], "keep") : NULL;
    uint64_t value = 0;
    if ((ws->count == 3 && (keep == NULL || !word_number(keep, &value))) || ws->count > 3) {
        run_bad(r, "snapshot N [keep=K]");
        return;
    }
    struct node *n = run_up(r, id);
    if (n != NULL) {
        r->w->k.snap_keep = value;
        n->taken_for = 0;
        snap_begin(r->w, n);
    }
}

/* ------------------------------------------------------------------------------------------- */
/* Process and clock                                                                             */

static void pause_or_resume(struct run *r, raft_id id, int on)
{
    struct node *n = run_up(r, id);
    if (n == NULL) {
        return;
    }
    if (on) {
        n->paused = 1;
    } else {
        /* What came meanwhile comes after the next command. */
        world_dispatch(r->w, &(struct ev){.kind = EV_RESUME, .node = (uint8_t)id});
    }
}

/* x1.2 and the like, as parts of a million. */
static int speed(const char *word, uint64_t *ret_ppm)
{
    uint64_t ppm = 0;
    uint64_t unit = 1000000;
    int behind = 0;
    if (*word++ != 'x' || *word == '\0') {
        return 0;
    }
    for (; *word != '\0'; word++) {
        if (*word == '.' && !behind) {
            behind = 1;
        } else if (*word >= '0' && *word <= '9' && unit > 0 && ppm < 100000000) {
            unit = behind ? unit / 10 : unit;
            ppm = behind ? ppm + (uint64_t)(*word - '0') * unit
                         : ppm * 10 + (uint64_t)(*word - '0') * 1000000;
        } else {
            return 0;
        }
    }
    *ret_ppm = ppm;
    return ppm > 0;
}

static void clock_command(struct run *r, const struct words *ws, raft_id id)
{
    uint64_t jump = 0;
    struct node *n = run_node(r, id);
    uint64_t ppm = n != NULL ? n->clk_ppm : 0;
    int good = ws->count == 3 && ((ws->v[2][0] == '+' && word_duration(ws->v[2] + 1, &jump)) ||
                                  speed(ws->v[2], &ppm));
    if (!good) {
        run_bad(r, "clock N +TIME or clock N x1.2");
    } else if (n != NULL) {
        host_set_clock(r->w, n, jump, ppm);
    }
}

static void ticks(struct run *r, const struct words *ws)
{
    uint32_t set = 0;
    run_start(r);
    if (ws->count != 3 || !word_members(ws->v[1], &set)) {
        run_bad(r, "ticks MEMBERS on|off");
        return;
    }
    for (raft_id id = 1; id <= r->k.nodes; id++) {
        struct node *n = &r->w->nodes[id];
        if ((set >> id & 1) != 0) {
            r->ticks_off[id] = strcmp(ws->v[2], "off") == 0;
            host_set_clock(r->w, n, 0, n->clk_ppm); /* sets the timer again */
        }
    }
}

/* kill|power [IMAGE] [in=K] from word `at`. */
static int read_cut(struct run *r, const struct words *ws, int at, struct host_cut *ret)
{
    static const struct {
        const char *name;
        enum sim_disk_crash_kind kind;
    } images[] = {{"drop", SIM_DISK_CRASH_DROP},
                  {"keep", SIM_DISK_CRASH_KEEP},
                  {"torn", SIM_DISK_CRASH_TORN},
                  {"names", SIM_DISK_CRASH_NAMES}};
    struct host_cut cut = {.how = HOST_END_POWER, .kind = SIM_DISK_CRASH_DROP};
    int good = at < ws->count;
    if (good && strcmp(ws->v[at], "kill") == 0) {
        cut.how = HOST_END_KILL;
    } else if (good) {
        good = strcmp(ws->v[at], "power") == 0;
    }
    for (int i = at + 1; good && i < ws->count; i++) {
        const char *seed = word_value(ws->v[i], "random");
        const char *in = word_value(ws->v[i], "in");
        const char *tear = word_value(ws->v[i], "tear");
        const char *lose = word_value(ws->v[i], "lose");
        if (seed != NULL) {
            cut.kind = SIM_DISK_CRASH_RANDOM;
            good = word_number(seed, &cut.seed);
        } else if (in != NULL) {
            good = word_number(in, &cut.into);
        } else if (tear != NULL || lose != NULL) {
            cut.kind = SIM_DISK_CRASH_KEEP;
            cut.torn = tear != NULL;
            good = word_number(tear != NULL ? tear : lose, &cut.but) && cut.but > 0;
        } else {
            good = 0;
            for (size_t k = 0; k < sizeof(images) / sizeof(images[0]); k++) {
                if (strcmp(ws->v[i], images[k].name) == 0) {
                    cut.kind = images[k].kind;
                    good = 1;
                }
            }
        }
    }
    if (!good) {
        run_bad(r, "%s N ... kill|power [drop|keep|torn|names|random=S|lose=K|tear=K] [in=K]",
                ws->v[0]);
        return 0;
    }
    *ret = cut;
    return 1;
}

static void crash(struct run *r, const struct words *ws, raft_id id)
{
    struct host_cut cut;
    struct node *n = run_up(r, id);
    if (read_cut(r, ws, 2, &cut) && n != NULL) {
        n->paused = 0;
        for (size_t i = 0; i < n->late_count; i++) {
            if (n->late[i].kind == EV_DELIVER) {
                packet_free(n->late[i].p);
            }
        }
        n->late_count = 0;
        host_cut(r->w, n, &cut);
    }
}

static void crash_at(struct run *r, const struct words *ws, raft_id id)
{
    struct host_cut cut;
    uint64_t op = 0;
    struct node *n = run_node(r, id);
    if (ws->count < 4 || !word_number(ws->v[2], &op) || op == 0) {
        run_bad(r, "crash-at N OPERATION kill|power ...");
        return;
    }
    if (read_cut(r, ws, 3, &cut) && n != NULL && r->mode != RUN_SWEEP) {
        cut.into = 0; /* it is inside already when it ends */
        op += sim_disk_counts(n->disk)->changes;
        r->arms[id] = (struct arm){.armed = 1, .op = op, .cut = cut};
        sim_disk_stop_at(n->disk, op);
    }
}

static void boot(struct run *r, raft_id id)
{
    struct node *n = run_node(r, id);
    if (n == NULL) {
        return;
    }
    n->state = n->state == HOST_ABSENT ? HOST_DOWN : n->state;
    if (n->state != HOST_DOWN) {
        if (r->mode != RUN_SWEEP) {
            run_fail(r, "member %u is not down", id);
        }
        return;
    }
    world_later(r->w, 0, (struct ev){.kind = EV_BOOT, .node = (uint8_t)id});
    run_for(r, 0);
}

static void campaign(struct run *r, const struct words *ws, raft_id id)
{
    (void)ws;
    (void)step(r, id, (struct raft_event){.type = RAFT_EV_CAMPAIGN}); /* or it leads already */
}

static void lead_command(struct run *r, const struct words *ws, raft_id id)
{
    (void)ws;
    lead(r, id);
}

static void pause_command(struct run *r, const struct words *ws, raft_id id)
{
    pause_or_resume(r, id, ws->v[0][0] == 'p');
}

static void boot_command(struct run *r, const struct words *ws, raft_id id)
{
    (void)ws;
    boot(r, id);
}

static void replace(struct run *r, const struct words *ws, raft_id id)
{
    struct node *n = run_node(r, id);
    (void)ws;
    if (n->state == HOST_UP) {
        host_cut(r->w, n, &(struct host_cut){.how = HOST_END_POWER, .kind = SIM_DISK_CRASH_DROP});
    }
    if (r->mode == RUN_SWEEP) {
        return; /* allowed only at the right moment, which may not have come: it only crashes */
    }
    sim_disk_destroy(n->disk);
    n->disk = sim_disk_create(id);
    image_finish(&n->durable);
    n->durable = (struct image){0};
    elog_reset(&n->log, 0, 0, 0);
    n->machine = (struct machine){0};
    n->snap = (struct raft_snapshot){0};
    n->boot_snap = 0;
    n->flight_active = 0;
    disk_queue_clear(&n->flight);
    disk_queue_clear(&n->queue);
    n->promised_term = 0;
    n->promised_vote = 0;
    n->state = HOST_DOWN;
}

int cmd_member(struct run *r, const struct words *ws)
{
    static const struct {
        const char *name;
        void (*run)(struct run *r, const struct words *ws, raft_id id);
    } commands[] = {
        {"lead", lead_command},       {"campaign", campaign},    {"transfer", transfer},
        {"propose", propose},         {"read", read_command},    {"snapshot", snapshot},
        {"pause", pause_command},     {"resume", pause_command}, {"clock", clock_command},
        {"config", config_command},   {"crash", crash},          {"crash-at", crash_at},
        {"boot", boot_command},       {"replace", replace},      {"waits", waits_command},
        {"awaited", awaited_command},
    };
    raft_id id = 0;
    if (strcmp(ws->v[0], "ticks") == 0) {
        ticks(r, ws);
        return 1;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(ws->v[0], commands[i].name) == 0) {
            if (needs(r, ws, 2, &id) && run_node(r, id) != NULL) {
                commands[i].run(r, ws, id);
            }
            return 1;
        }
    }
    return 0;
}
