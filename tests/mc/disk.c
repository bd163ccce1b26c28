/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.c: the modelled disk of a member, its crash and its boot.
 *
 * Writes are carried out in order. A crash keeps any number of the unfinished ones, from the first
 * on (and of one that holds several entries, any number of these, when the scope says so); nothing
 * that was finished is ever lost. A snapshot file is durable before the core hears of it, and may be
 * so when the core was never told.
 *
 * Thread: one. Invariants: the log on disk is one history: each entry stands behind the one it was
 * written behind.
 */
#include "tests/mc/mc.h"

#include <string.h>

void mc_log_put(struct mc_log *log, unsigned first, mc_chain chain)
{
    for (unsigned i = first + 1; i <= log->last; i++) {
        log->chain[i] = 0;
    }
    log->chain[first] = chain;
    log->last = (uint8_t)first;
}

void mc_log_trim(struct mc_log *log, unsigned base)
{
    for (unsigned i = log->base; i < base; i++) {
        log->chain[i] = 0;
    }
    log->base = (uint8_t)base;
}

mc_chain mc_disk_prefix(const struct mc_disk *d, unsigned index)
{
    if (index <= d->snap_index) {
        return mc_chain_prefix(d->snap_chain, index);
    }
    mc_chain top = d->log.chain[d->log.last];
    if (index > d->log.last || !mc_chain_within(d->snap_chain, top)) {
        return 0;
    }
    return mc_chain_prefix(top, index);
}

/* --- writes --------------------------------------------------------------------------------- */

void mc_write_begin(struct mc_run *run, const struct raft_persist *p)
{
    struct mc_member *m = run->m;
    if (m->writes_count == MC_WRITES_MAX) {
        run->out->cut = 1;
        return;
    }
    struct mc_write *w = &m->writes[m->writes_count++];
    memset(w, 0, sizeof(*w));
    w->kind = (uint8_t)p->kind;
    w->vote = (uint8_t)p->vote;
    w->term = (uint8_t)p->term;
    w->commit = (uint8_t)p->commit;
    w->first = (uint8_t)p->first;
    w->count = (uint8_t)p->count;
    w->compact = (uint8_t)p->compact;
    unsigned count = p->kind == RAFT_PERSIST_ENTRIES ? p->count : 1;
    for (unsigned i = 0; i < count && p->kind != RAFT_PERSIST_HARDSTATE; i++) {
        unsigned index = (unsigned)p->first + i;
        if (index < m->log.base || index > m->log.last) {
            mc_broken(run, "the core has entries written that the host does not hold");
            return;
        }
        w->chain[i] = m->log.chain[index];
    }
}

static void put_entries(struct mc_run *run, const struct mc_write *w, unsigned count)
{
    struct mc_log *log = &run->m->disk.log;
    for (unsigned i = 0; i < count; i++) {
        unsigned index = (unsigned)w->first + i;
        if (index <= log->base || index > log->last + 1u) {
            mc_broken(run, "a write leaves a gap in the log on disk");
            return;
        }
        if (mc_chain_at(w->chain[i])->parent != log->chain[index - 1]) {
            mc_broken(run, "a write is appended to another history on disk");
            return;
        }
        mc_log_put(log, index, w->chain[i]);
    }
}

static void put_mark(struct mc_disk *d, const struct mc_write *w)
{
    struct mc_log *log = &d->log;
    int keep = w->first >= log->base && w->first <= log->last &&
               mc_chain_at(log->chain[w->first])->term == w->term;
    if (!keep) {
        memset(log, 0, sizeof(*log));
        log->base = log->last = w->first;
        log->chain[w->first] = w->chain[0];
    } else if (w->compact > log->base) {
        mc_log_trim(log, w->compact);
    }
}

static void put(struct mc_run *run, const struct mc_write *w, unsigned entries)
{
    struct mc_disk *d = &run->m->disk;
    switch (w->kind) {
    case RAFT_PERSIST_HARDSTATE:
        d->term = w->term;
        d->vote = w->vote;
        d->commit = w->commit;
        break;
    case RAFT_PERSIST_ENTRIES:
        put_entries(run, w, entries);
        break;
    default:
        put_mark(d, w);
        break;
    }
}

void mc_write_finish(struct mc_run *run)
{
    struct mc_member *m = run->m;
    put(run, &m->writes[0], m->writes[0].count);
    m->writes_count--;
    memmove(m->writes, m->writes + 1, m->writes_count * sizeof(m->writes[0]));
    memset(&m->writes[m->writes_count], 0, sizeof(m->writes[0]));
}

/* --- crash and boot ------------------------------------------------------------------------- */

static unsigned records_of(const struct mc_write *w)
{
    return w->kind == RAFT_PERSIST_ENTRIES ? w->count : 1;
}

unsigned mc_records(const struct mc_member *m)
{
    unsigned records = 0;
    for (unsigned i = 0; i < m->writes_count; i++) {
        records += records_of(&m->writes[i]);
    }
    return records;
}

void mc_crash(struct mc_run *run, uint32_t argument)
{
    struct mc_member *m = run->m;
    unsigned left = argument & 0xff;
    for (unsigned i = 0; i < m->writes_count && left > 0; i++) {
        unsigned records = records_of(&m->writes[i]);
        unsigned whole = records < left ? records : left;
        put(run, &m->writes[i], whole);
        left -= whole;
    }
    if ((argument >> 8 & 1) != 0) {
        m->disk.snap_index = m->install_index;
        m->disk.snap_term = m->install_term;
        m->disk.snap_chain = m->install_chain;
    }
    if (run->scope->mutant == MC_M_FORGET_VOTE) {
        m->disk.vote = 0;
    }
    if (run->scope->mutant == MC_M_LOSE_ENTRIES && m->disk.log.last > m->disk.log.base) {
        mc_log_put(&m->disk.log, m->disk.log.last - 1u, m->disk.log.chain[m->disk.log.last - 1]);
    }
    struct mc_member after = {.id = m->id,
                              .boots = m->boots,
                              .promise_term = m->promise_term,
                              .promise_vote = m->promise_vote,
                              .ack_term = m->ack_term,
                              .ack_index = m->ack_index,
                              .ack_chain = m->ack_chain,
                              .disk = m->disk};
    memset(m, 0, mc_member_bytes());
    memcpy(m, &after, sizeof(after));
}

/* What rots is what recovery reports, and what was spoken of is excused. */
void mc_rot(struct mc_run *run, unsigned lost)
{
    struct mc_member *m = run->m;
    struct mc_disk *d = &m->disk;
    mc_crash(run, 0);
    if (d->damage == 0) {
        d->damage_index = d->log.last;
        d->damage_term = mc_chain_at(d->log.chain[d->log.last])->term;
    }
    d->damage = RAFT_DAMAGE_HOLE;
    if (lost > 0) {
        mc_log_put(&d->log, d->log.last - lost, d->log.chain[d->log.last - lost]);
    }
    m->ack_term = m->ack_index = 0;
    m->ack_chain = 0;
    if (run->scope->rot_vote) {
        d->damage |= RAFT_DAMAGE_VOTE;
        d->term = d->vote = d->commit = 0;
        m->promise_term = m->promise_vote = 0;
    }
}

static void boot_event(struct mc_run *run, struct raft_event ev, struct raft_accept *accept)
{
    ev.now = run->now;
    if (raft_step(mc_core(run->m), &ev, accept) != 0) {
        mc_broken(run, "the core refuses to boot from what is on its disk");
    }
}

/* The log on disk as the core reads it; what it takes becomes the host's log. */
static void boot_entries(struct mc_run *run)
{
    struct mc_member *m = run->m;
    const struct mc_log *d = &m->disk.log;
    struct raft_entry entries[MC_LOG_MAX];
    struct raft_config_at configs[MC_LOG_MAX];
    uint32_t configs_count = 0;
    struct raft_accept accept = {0, 0, 0, 0};
    unsigned count = (unsigned)d->last - d->base;
    memset(entries, 0, sizeof(entries));
    for (unsigned i = 0; i < count; i++) {
        const struct mc_link *l = mc_chain_at(d->chain[d->base + 1u + i]);
        entries[i].term = l->term;
        entries[i].type = l->type;
        entries[i].bytes = mc_entry_bytes(l->type);
        if (l->type == RAFT_ENTRY_CONFIG) {
            configs[configs_count].index = d->base + 1u + i;
            mc_config_fill(l->value, &configs[configs_count++].config);
        }
    }
    boot_event(run,
               (struct raft_event){.type = RAFT_EV_BOOT_ENTRIES,
                                   .first = d->base + 1u,
                                   .entries = entries,
                                   .count = count,
                                   .configs = configs,
                                   .configs_count = configs_count},
               &accept);
    for (uint32_t i = 0; i < accept.count; i++) {
        unsigned index = (unsigned)accept.first + i;
        mc_chain c = d->chain[index];
        if (index != m->log.last + 1u || mc_chain_at(c)->parent != m->log.chain[m->log.last]) {
            mc_broken(run, "the core boots with a log that is not one history");
            return;
        }
        mc_log_put(&m->log, index, c);
    }
}

static void boot_damage(struct mc_run *run)
{
    const struct mc_disk *d = &run->m->disk;
    struct raft_event ev = {.type = RAFT_EV_BOOT_DAMAGE,
                            .value = d->damage,
                            .index = d->damage_index,
                            .hardstate = {.term = d->damage_term}};
    if (run->scope->mutant == MC_M_ROT_AS_HOLE) {
        ev.value &= ~(uint64_t)RAFT_DAMAGE_VOTE;
    }
    if (d->damage != 0 && run->scope->mutant != MC_M_SILENT_ROT) {
        boot_event(run, ev, NULL);
    }
}

void mc_boot(struct mc_run *run)
{
    struct mc_member *m = run->m;
    struct raft_options o;
    struct raft_snapshot s;
    mc_options(run->scope, m->id, m->boots, &o);
    m->up = 1;
    m->boots++;
    if (raft_init(mc_core(m), raft_size(&o), &o) == NULL) {
        mc_die("the options of the model are out of range");
    }
    mc_snapshot_of(m->disk.snap_chain, &s);
    if (m->disk.snap_index == 0 && !mc_member_in(mc_config_at(MC_CONFIG_FIRST)->voters, m)) {
        mc_config_fill(MC_CONFIG_NONE, &s.config); /* is to join: knows nobody */
    }
    m->applied = m->disk.snap_index;
    m->applied_chain = m->disk.snap_chain;
    m->log.base = m->log.last = m->applied;
    m->log.chain[m->applied] = m->applied_chain;
    boot_event(run, (struct raft_event){.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &s}, NULL);
    boot_event(run,
               (struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE,
                                   .hardstate = {m->disk.term, m->disk.vote, m->disk.commit}},
               NULL);
    boot_entries(run);
    boot_damage(run);
    boot_event(run, (struct raft_event){.type = RAFT_EV_BOOT_DONE}, NULL);
    if (raft_check(mc_core(m), NULL, 0) != 0) {
        mc_broken(run, "raft_check, after boot");
    }
}
