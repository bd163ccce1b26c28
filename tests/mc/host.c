/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.c: the smallest host that keeps the contract of raft.h: it hands events to the core, carries
 * out the actions, keeps the payloads of the log, applies what is committed.
 *
 * Writes go to the modelled disk (disk.c) and complete when the search says so. Messages go to the
 * outcome of the event; what travels with them is attached here. A chunk of a snapshot is stored at
 * once; loading a complete one takes until the search says so.
 *
 * Thread: one. Time: the clock of a member stands still but for MC_TICK, MC_PAUSE and MC_ELAPSE, so
 * the clocks of members run as apart as they like.
 */
#include "tests/mc/mc.h"

#include <string.h>

/* Longer than any interval of the options. */
raft_ns mc_long_ns(void)
{
    return 64 * (raft_ns)MC_UNIT;
}

void mc_options(const struct mc_scope *scope, unsigned id, unsigned boots, struct raft_options *o)
{
    raft_options_init(o);
    o->id = id;
    o->rng_seed = 1000u * id + boots;
    o->heartbeat = MC_UNIT;
    o->election_min = 4 * (raft_ns)MC_UNIT;
    o->election_max = o->election_min; /* no jitter: the search decides who is first */
    o->priority = 2;                   /* so loyalty ends well before the own timer */
    o->disk_stall = scope->stall ? o->election_min : (raft_ns)1 << 40;
    o->link_hint = mc_timed(scope) ? 0 : MC_UNIT / 2;
    o->lease_drift_ppm = scope->drift_ppm;
    o->inflight_msgs_max = MC_INFLIGHT;
    o->log_slots = 32;
    o->reads_max = MC_READS * 2;
    o->chunk_bytes = 1;
    o->chunks_inflight_max = 2;
}

/* Files of equal content have equal names: snapshots are the same bytes on all members. */
void mc_snapshot_of(mc_chain chain, struct raft_snapshot *ret)
{
    unsigned index;
    memset(ret, 0, sizeof(*ret));
    mc_config_fill(mc_config_on(chain, &index), &ret->config);
    ret->config_index = index;
    ret->index = mc_chain_at(chain)->index;
    ret->term = mc_chain_at(chain)->term;
    ret->snap_id = chain;
    ret->bytes = chain == 0 ? 0 : 2;
}

/* --- events to the core --------------------------------------------------------------------- */

/* The entries that the core took: the host keeps them where it was told. */
static void keep_entries(struct mc_run *run, const struct raft_event *ev,
                         const struct raft_accept *a, const uint8_t *values)
{
    struct mc_log *log = &run->m->log;
    if (a->count == 0 || ev->type == RAFT_EV_PROPOSE_CONFIG) {
        return; /* the latter: follow_log */
    }
    if (a->first <= log->base || a->first > (raft_index)log->last + 1) {
        mc_broken(run, "the core takes entries where the host has no log");
        return;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        const struct raft_entry *e = &ev->entries[a->skip + i];
        unsigned index = (unsigned)a->first + i;
        unsigned term = ev->type == RAFT_EV_PROPOSE ? (unsigned)a->term : (unsigned)e->term;
        if (index > MC_LOG_MAX) {
            run->out->cut = 1;
            return;
        }
        mc_log_put(log, index,
                   mc_chain_child(log->chain[index - 1], term, e->type, values[a->skip + i]));
    }
}

/* S6: what a leader may append as a configuration, and when. */
static void check_change(struct mc_run *run, unsigned index)
{
    unsigned before_index;
    const struct mc_log *log = &run->m->log;
    unsigned before = mc_config_on(log->chain[index - 1], &before_index);
    struct raft_status s;
    raft_status(mc_core(run->m), &s);
    const char *broken = mc_config_follows(before, mc_chain_at(log->chain[index])->value);
    if (broken != NULL) {
        mc_broken(run, broken);
    }
    if (s.commit < before_index) {
        mc_broken(run, "S6: a second change begins before the first is committed");
    }
    if (mc_chain_at(log->chain[s.commit])->term != s.term) {
        mc_broken(run, "S6: a leader changes the members before it committed anything itself");
    }
}

/* What the core appends by itself, the first entry of a term and the steps of a change, comes without
 * a word; everything else would be an error. */
static void follow_log(struct mc_run *run)
{
    struct mc_log *log = &run->m->log;
    const struct raft *r = mc_core(run->m);
    struct raft_status s;
    raft_status(r, &s);
    if (s.last > MC_LOG_MAX || s.term >= MC_TERMS) {
        run->out->cut = 1;
        return;
    }
    while (log->last < s.last) {
        unsigned index = log->last + 1u;
        const struct raft_entry *e = raft_entry_at(r, index);
        unsigned value = 0;
        if (e == NULL || e->type == RAFT_ENTRY_COMMAND) {
            break;
        }
        if (e->type == RAFT_ENTRY_CONFIG) {
            value = mc_config_number(&raft_config_at(r, index)->config);
        }
        mc_log_put(log, index,
                   mc_chain_child(log->chain[index - 1], (unsigned)e->term, e->type, value));
        if (e->type == RAFT_ENTRY_CONFIG) {
            check_change(run, index);
        }
    }
    if (s.last != log->last) {
        mc_broken(run, "the core's log ends elsewhere than the host's");
    }
}

static int bends(enum mc_mutant m)
{
    return m == MC_M_COUNT_LEARNER || m == MC_M_JOINT_HALF || m == MC_M_LEAVE_EARLY ||
           m == MC_M_CHANGE_EARLY;
}

static void note_commit(struct mc_run *run, raft_index before, unsigned config)
{
    struct raft_status s;
    raft_status(mc_core(run->m), &s);
    if (s.role != RAFT_LEADER || s.commit <= before) {
        return;
    }
    if (run->out->commits_count == MC_COMMITS_MAX) {
        mc_broken(run, "one event moves the commit index again and again");
        return;
    }
    run->out->commits[run->out->commits_count++] =
        (struct mc_commit){(uint8_t)s.commit, (uint8_t)config};
}

int mc_core_event(struct mc_run *run, struct raft_event *ev, unsigned value)
{
    struct raft *r = mc_core(run->m);
    struct raft_accept accept = {0, 0, 0, 0};
    uint8_t values[MC_LOG_MAX] = {(uint8_t)value};
    static char why[160]; /* of the last broken one; the search ends with it */
    struct raft_status s;
    raft_status(r, &s);
    unsigned config = mc_config_number(&raft_config_at(r, s.last)->config);
    ev->now = run->now;
    if (ev->type == RAFT_EV_RECV) {
        const struct mc_msg *m = (const struct mc_msg *)(const void *)ev->msg;
        for (unsigned i = 0; i < m->count; i++) {
            values[i] = m->entries[i].value;
        }
    }
    if (bends(run->scope->mutant)) {
        mc_bend(r, run->scope->mutant, ev->type);
    }
    int rv = raft_step(r, ev, &accept);
    if (bends(run->scope->mutant)) {
        mc_unbend(r);
    }
    note_commit(run, s.commit, config);
    if (rv == 0) {
        keep_entries(run, ev, &accept, values);
    }
    if (ev->type == RAFT_EV_SNAP_INSTALLED) {
        return rv; /* the caller moves the host's log first */
    }
    follow_log(run);
    if (run->out->broken == NULL && raft_check(r, why, sizeof(why)) != 0) {
        mc_broken(run, why);
    }
    return rv;
}

static void must(struct mc_run *run, struct raft_event ev, const char *rule)
{
    int rv = mc_core_event(run, &ev, 0);
    if (rv != 0 && rv != RAFT_EFAULTED) {
        mc_broken(run, rule);
    }
}

/* --- actions of the core -------------------------------------------------------------------- */

static void attach(struct mc_run *run, struct mc_msg *m)
{
    const struct mc_log *log = &run->m->log;
    if (m->head.type == RAFT_MSG_SNAPSHOT) {
        m->snapshot = (mc_chain)m->head.snap_id;
        m->snap_term = mc_chain_at(m->snapshot)->term;
        if (run->m->disk.snap_index < m->head.index) {
            mc_broken(run, "a snapshot is sent that is on no disk");
        }
    }
    if (m->head.type != RAFT_MSG_APPEND) {
        return;
    }
    m->count = (uint8_t)m->head.count;
    for (unsigned i = 0; i < m->count; i++) {
        unsigned index = (unsigned)m->head.index + 1 + i;
        if (index <= log->base || index > log->last) {
            mc_broken(run, "entries are sent that the host does not hold");
            return;
        }
        const struct mc_link *l = mc_chain_at(log->chain[index]);
        m->entries[i].term = l->term;
        m->entries[i].type = l->type;
        m->entries[i].value = l->value;
    }
}

static void send_message(struct mc_run *run, const struct raft_msg *head)
{
    struct mc_msg m;
    memset(&m, 0, sizeof(m));
    m.head = *head;
    mc_check_speech(run, head);
    if ((run->scope->mute >> head->type & 1) != 0 || head->to == 0 ||
        head->to > run->scope->nodes) {
        return;
    }
    attach(run, &m);
    if (run->out->sends_count == MC_SENDS_MAX) {
        run->out->cut = 1;
        return;
    }
    run->out->sends[run->out->sends_count++] = mc_msg_number(&m);
}

static void keep_answer(struct mc_run *run, const struct raft_read *read)
{
    if (run->out->answers_count == MC_READS * 2) {
        mc_broken(run, "more reads are answered than were asked");
        return;
    }
    run->out->answers[run->out->answers_count++] =
        (struct mc_answer){(uint8_t)read->cookie, (uint8_t)read->result, (uint8_t)read->index};
}

static void apply(struct mc_run *run, raft_index commit)
{
    struct mc_member *m = run->m;
    if (commit <= m->applied) {
        return;
    }
    if (commit > m->log.last || commit < m->log.base) {
        mc_broken(run, "the core commits what the host does not hold");
        return;
    }
    mc_chain to = m->log.chain[commit];
    if (!mc_chain_within(m->applied_chain, to)) {
        mc_broken(run, "the state machine is told another history than it applied");
    }
    m->applied = (uint8_t)commit;
    m->applied_chain = to;
    must(run, (struct raft_event){.type = RAFT_EV_APPLIED, .index = commit},
         "the core refuses APPLIED");
}

static int written(struct mc_run *run, unsigned count)
{
    if (run->m->writes_count < count) {
        return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        mc_write_finish(run);
    }
    if (run->scope->mutant != MC_M_ACK_EARLY) {
        must(run,
             (struct raft_event){.type = RAFT_EV_IO_DONE,
                                 .io_seq = mc_io_done(mc_core(run->m)) + count},
             "the core refuses IO_DONE");
    }
    return 1;
}

/* One round. Return: 1 when there is more to do. */
static int one_round(struct mc_run *run)
{
    struct mc_member *m = run->m;
    const struct raft_actions *a = raft_poll(mc_core(m));
    follow_log(run);
    struct raft_msg chunk = {0};
    uint64_t io_seq = 0;
    for (uint32_t i = 0; i < a->persist_count; i++) {
        mc_write_begin(run, &a->persist[i]);
        io_seq = a->persist[i].io_seq;
    }
    for (uint32_t i = 0; i < a->sends_count; i++) {
        send_message(run, &a->sends[i].msg);
    }
    for (uint32_t i = 0; i < a->reads_count; i++) {
        keep_answer(run, &a->reads[i]);
    }
    if (a->snap_chunk != NULL) {
        chunk = *a->snap_chunk;
    }
    if (a->snap_install != NULL) {
        m->install = 1;
        m->install_index = (uint8_t)a->snap_install->index;
        m->install_term = (uint8_t)a->snap_install->term;
        m->install_chain = (mc_chain)a->snap_install->snap_id;
    }
    raft_index commit = a->commit;
    int more = a->more;
    raft_done(mc_core(m));
    apply(run, commit);
    if (chunk.type != 0) {
        must(run,
             (struct raft_event){.type = RAFT_EV_SNAP_STORED,
                                 .snap_id = chunk.snap_id,
                                 .offset = chunk.offset + chunk.count},
             "the core refuses SNAP_STORED");
        more = 1;
    }
    if (io_seq != 0 && mc_member_in(run->scope->quick, m)) {
        more |= written(run, m->writes_count);
    }
    if (io_seq != 0 && run->scope->mutant == MC_M_ACK_EARLY) {
        must(run, (struct raft_event){.type = RAFT_EV_IO_DONE, .io_seq = io_seq},
             "the core refuses IO_DONE");
        more = 1;
    }
    return more;
}

void mc_rounds(struct mc_run *run)
{
    int more = 1;
    for (int round = 0; more && run->out->broken == NULL && !run->out->cut; round++) {
        if (round == 100) {
            mc_broken(run, "the core never comes to rest");
        }
        more = one_round(run);
    }
    run->m->unpolled = 0;
}

/* --- events of the world -------------------------------------------------------------------- */

/* The rules that mutants break on the way of a message. */
static void mutate(const struct mc_run *run, struct mc_msg *m)
{
    struct raft_status s;
    struct raft_msg *h = &m->head;
    raft_status(mc_core(run->m), &s);
    int asks = h->type == RAFT_MSG_PREVOTE || h->type == RAFT_MSG_VOTE;
    int refuses = (h->flags & RAFT_FLAG_REJECT) != 0 && h->term > s.term &&
                  (h->type == RAFT_MSG_APPEND_REPLY || h->type == RAFT_MSG_HEARTBEAT_REPLY);
    if (run->scope->mutant == MC_M_LOG_BLIND && asks) {
        h->log_term = MC_TERMS;
    }
    if (run->scope->mutant == MC_M_MATCH_BLIND && h->type == RAFT_MSG_APPEND) {
        const struct raft_entry *e = raft_entry_at(mc_core(run->m), h->index);
        h->log_term = e == NULL ? h->log_term : e->term;
    }
    if (run->scope->mutant == MC_M_TERM_BLIND && refuses) {
        h->term = s.term;
        h->flags = 0;
        h->seq = mc_last_seq(mc_core_of(run->m));
        h->index = h->hint = 0;
    }
}

static void receive(struct mc_run *run, uint32_t number)
{
    struct mc_msg m = *mc_msg_at(number);
    struct raft_entry entries[MC_LOG_MAX];
    struct raft_config_at configs[MC_LOG_MAX];
    uint32_t configs_count = 0;
    memset(entries, 0, sizeof(entries));
    if (run->scope->mutant != MC_SOUND) {
        mutate(run, &m);
    }
    for (unsigned i = 0; i < m.count; i++) {
        entries[i].term = m.entries[i].term;
        entries[i].type = m.entries[i].type;
        entries[i].bytes = mc_entry_bytes(m.entries[i].type);
        if (m.entries[i].type == RAFT_ENTRY_CONFIG) {
            configs[configs_count].index = m.head.index + 1 + i;
            mc_config_fill(m.entries[i].value, &configs[configs_count++].config);
        }
    }
    if (m.head.type == RAFT_MSG_SNAPSHOT) {
        unsigned index;
        mc_config_fill(mc_config_on(m.snapshot, &index), &configs[0].config);
        configs[0].index = index;
        configs_count = 1;
    }
    struct raft_event ev = {.type = RAFT_EV_RECV,
                            .msg = &m.head,
                            .entries = entries,
                            .count = m.head.count,
                            .configs = configs,
                            .configs_count = configs_count};
    if (mc_core_event(run, &ev, 0) != 0) {
        mc_broken(run, "the core refuses a message");
    }
}

static int propose(struct mc_run *run, unsigned value)
{
    struct raft_entry e = {.bytes = 1, .type = RAFT_ENTRY_COMMAND};
    struct raft_event ev = {.type = RAFT_EV_PROPOSE, .entries = &e, .count = 1};
    return mc_core_event(run, &ev, value) == 0;
}

static int change(struct mc_run *run, unsigned which)
{
    struct raft_config to = {0};
    struct raft_event ev = {.type = RAFT_EV_PROPOSE_CONFIG, .config = &to};
    for (unsigned i = 0; i < MC_NODES; i++) {
        int votes = run->scope->targets[which][0] >> i & 1;
        int learns = run->scope->targets[which][1] >> i & 1;
        if (votes || learns) {
            to.members[to.count++] =
                (struct raft_member){i + 1, votes ? (uint32_t)RAFT_VOTER : (uint32_t)RAFT_LEARNER};
        }
    }
    return mc_core_event(run, &ev, 0) == 0;
}

static int take_snapshot(struct mc_run *run, unsigned keep)
{
    struct mc_member *m = run->m;
    struct raft_snapshot s;
    if (m->applied <= m->disk.snap_index || m->install) {
        return 0;
    }
    mc_snapshot_of(m->applied_chain, &s);
    if (mc_config_number(&raft_config_at(mc_core(m), m->applied)->config) !=
        mc_config_number(&s.config)) {
        return 0; /* joins: has not heard yet who the members are, and would say so to others */
    }
    m->disk.snap_index = m->applied;
    m->disk.snap_term = (uint8_t)s.term;
    m->disk.snap_chain = m->applied_chain;
    must(run,
         (struct raft_event){.type = RAFT_EV_SNAP_TAKEN, .snapshot = &s, .index = s.index - keep},
         "the core refuses SNAP_TAKEN");
    return 1;
}

/* The host stands at the snapshot now; the core says whether the log after it was kept. */
static void stand_at(struct mc_run *run)
{
    struct mc_member *m = run->m;
    struct raft_status s;
    unsigned index = m->install_index;
    raft_status(mc_core(m), &s);
    m->applied = (uint8_t)index;
    m->applied_chain = m->install_chain;
    m->install = 0;
    if (s.last > index && m->log.last == s.last && m->log.base <= index) {
        if (m->log.chain[index] != m->install_chain) {
            mc_broken(run, "a log is kept after a snapshot of another history");
        }
        mc_log_trim(&m->log, index);
    } else {
        memset(&m->log, 0, sizeof(m->log));
        m->log.base = m->log.last = (uint8_t)index;
        m->log.chain[index] = m->install_chain;
    }
    m->install_index = m->install_term = 0;
    m->install_chain = 0;
}

static int end_install(struct mc_run *run, int good)
{
    struct mc_member *m = run->m;
    struct raft_snapshot s;
    if (!m->install) {
        return 0;
    }
    mc_snapshot_of(m->install_chain, &s);
    if (!good) {
        m->install = 0;
        m->install_index = m->install_term = 0;
        m->install_chain = 0;
        must(run, (struct raft_event){.type = RAFT_EV_SNAP_REJECTED, .snap_id = s.snap_id},
             "the core refuses SNAP_REJECTED");
        return 1;
    }
    m->disk.snap_index = m->install_index;
    m->disk.snap_term = m->install_term;
    m->disk.snap_chain = m->install_chain;
    struct raft_event ev = {.type = RAFT_EV_SNAP_INSTALLED, .snapshot = &s};
    if (mc_core_event(run, &ev, 0) != 0) {
        mc_broken(run, "the core refuses SNAP_INSTALLED");
        return 1;
    }
    stand_at(run);
    must(run, (struct raft_event){.type = RAFT_EV_APPLIED, .index = s.index},
         "the core refuses APPLIED");
    return 1;
}

/* Time passes. */
static int tick(struct mc_run *run, enum mc_kind kind)
{
    raft_ns due = raft_deadline(mc_core(run->m));
    due = due < run->now ? run->now : due;
    if (kind == MC_PAUSE) {
        run->now += mc_long_ns() / 2;
    } else if (due == UINT64_MAX || (kind == MC_ELAPSE && due <= run->now + 1)) {
        return 0;
    } else {
        run->now = kind == MC_ELAPSE ? due - 1 : due;
    }
    must(run, (struct raft_event){.type = RAFT_EV_TICK}, "the core refuses TICK");
    return 1;
}

int mc_host_event(struct mc_run *run, enum mc_kind kind, uint32_t argument)
{
    struct raft_event ev = {.peer = argument, .cookie = argument};
    switch (kind) {
    case MC_RECV:
    case MC_RECV_HOLD:
    case MC_RECV_DUP:
    case MC_RECV_EARLY:
        receive(run, argument);
        return 1;
    case MC_POLL:
        return 1;
    case MC_PASS:
        mc_pass(mc_core(run->m), argument);
        return 1;
    case MC_TICK:
    case MC_PAUSE:
    case MC_ELAPSE:
        return tick(run, kind);
    case MC_WRITTEN:
        return written(run, argument);
    case MC_PROPOSE:
        return propose(run, argument);
    case MC_CONFIG:
        return change(run, argument);
    case MC_SNAP:
        return take_snapshot(run, argument);
    case MC_INSTALL:
    case MC_REJECT:
        return end_install(run, kind == MC_INSTALL);
    case MC_CAMPAIGN:
        ev.type = RAFT_EV_CAMPAIGN;
        break;
    case MC_READ:
        ev.type = RAFT_EV_READ;
        ev.value = (uint64_t)mc_timed(run->scope);
        break;
    case MC_TRANSFER:
        ev.type = RAFT_EV_TRANSFER;
        break;
    case MC_LINK_UP:
    case MC_LINK_DOWN:
        ev.type = RAFT_EV_PEER_LINK;
        ev.value = kind == MC_LINK_UP;
        break;
    default:
        return 0;
    }
    return mc_core_event(run, &ev, 0) == 0;
}
