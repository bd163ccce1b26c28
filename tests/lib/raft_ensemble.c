/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_ensemble.c: hosts, disks and state machines of the ensemble; see raft_ensemble.h.
 *
 * The network, time and the choice of faults are in raft_ensemble_net.c. A payload is one number,
 * different for every proposal, so that "the same entry" can be told from "the same index".
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/raft_ensemble_private.h"

/* --- checks --------------------------------------------------------------------------------- */

static void check_leader(struct ens *c, struct ens_node *n, const struct raft_status *s)
{
    if (s->role != RAFT_LEADER) {
        return;
    }
    ck_assert_uint_lt(s->term, ENS_TERMS_MAX);
    if (c->leaders[s->term] == 0) {
        c->leaders[s->term] = n->id;
        ck_assert_uint_ge(s->last, c->committed); /* leader completeness, Raft 5.4.3 */
        for (raft_index i = s->first; i <= c->committed; i++) {
            ck_assert_uint_eq(raft_entry_at(n->raft, i)->term, c->committed_term[i]);
            ck_assert_uint_eq(n->log.values[i], c->committed_value[i]);
        }
    }
    ck_assert_msg(c->leaders[s->term] == n->id, "two leaders in term %lu", s->term);
}

void ens_check(struct ens *c, struct ens_node *n)
{
    char why[160] = "";
    struct raft_status s;
    int rv = raft_check(n->raft, why, sizeof(why));
    ck_assert_msg(rv == 0, "member %u: rule %s", n->id, why);
    raft_status(n->raft, &s);
    ck_assert_uint_ge(s.term, n->term);
    ck_assert_uint_ge(s.commit, n->commit);
    n->term = s.term;
    n->commit = s.commit;
    check_leader(c, n, &s);
}

/* What leaves must be true on disk already. A snapshot file stands for the entries it covers. */
static void check_speech(struct ens_node *n, const struct raft_msg *m)
{
    raft_index held = n->disk.last;
    held = n->disk_snapshot.index > held ? n->disk_snapshot.index : held;
    if (m->type == RAFT_MSG_VOTE) {
        ck_assert(n->disk_term == m->term && n->disk_vote == n->id);
    }
    if ((m->flags & RAFT_FLAG_REJECT) != 0) {
        return;
    }
    if (m->type == RAFT_MSG_VOTE_REPLY) {
        ck_assert(n->disk_term == m->term && n->disk_vote == m->to);
    }
    if (m->type == RAFT_MSG_APPEND_REPLY || m->type == RAFT_MSG_HEARTBEAT_REPLY) {
        ck_assert_uint_le(m->index, held);
        for (raft_index i = n->disk.base + 1; i <= m->index && i <= n->disk.last; i++) {
            ck_assert_uint_eq(n->disk.values[i], n->log.values[i]);
            ck_assert_uint_eq(n->disk.entries[i].term, n->log.entries[i].term);
        }
    }
    if (m->type == RAFT_MSG_APPEND_REPLY) {
        ck_assert_uint_ge(n->disk_term, m->term);
    }
    if (m->type == RAFT_MSG_SNAPSHOT_REPLY && m->offset > 0) {
        ck_assert(m->offset < m->total || m->total == 0 || n->disk.last >= m->index);
    }
}

/* --- state machine -------------------------------------------------------------------------- */

static void apply(struct ens *c, struct ens_node *n, raft_index commit)
{
    while (n->applied < commit) {
        raft_index i = ++n->applied;
        const struct raft_entry *e = raft_entry_at(n->raft, i);
        ck_assert_ptr_nonnull(e);
        if (i > c->committed) {
            ck_assert_uint_eq(i, c->committed + 1);
            c->committed = i;
            c->committed_term[i] = e->term;
            c->committed_value[i] = n->log.values[i];
        }
        ck_assert_uint_eq(e->term, c->committed_term[i]);
        ck_assert_uint_eq(n->log.values[i], c->committed_value[i]);
        n->values[i] = n->log.values[i];
    }
}

/* --- disk ----------------------------------------------------------------------------------- */

static void begin_write(struct ens_node *n, const struct raft_persist *p)
{
    ck_assert_uint_lt(n->writes_count, RAFT_IO_MAX);
    struct ens_write *w = &n->writes[n->writes_count++];
    memset(w, 0, sizeof(*w));
    w->what = *p;
    if (p->kind != RAFT_PERSIST_ENTRIES) {
        return;
    }
    w->entries = calloc(p->count, sizeof(*w->entries));
    w->values = calloc(p->count, sizeof(*w->values));
    for (uint32_t i = 0; i < p->count; i++) {
        const struct raft_entry *e = raft_entry_at(n->raft, p->first + i);
        if (e != NULL) { /* compacted in this very round otherwise */
            w->entries[i] = *e;
        } else {
            w->entries[i] = n->log.entries[p->first + i];
        }
        w->values[i] = n->log.values[p->first + i];
    }
}

static void mark_disk(struct ens_log *d, const struct raft_persist *p)
{
    int keep = p->first >= d->base && p->first <= d->last &&
               (p->first == d->base ? d->base_term : d->entries[p->first].term) == p->term;
    if (!keep) {
        d->base = d->last = p->first;
        d->base_term = p->term;
    } else if (p->compact > d->base) {
        d->base_term = d->entries[p->compact].term;
        d->base = p->compact;
    }
}

static void finish_write(struct ens_node *n, struct ens_write *w)
{
    const struct raft_persist *p = &w->what;
    struct ens_log *d = &n->disk;
    if (p->kind == RAFT_PERSIST_HARDSTATE) {
        n->disk_term = p->term;
        n->disk_vote = p->vote;
        n->disk_commit = p->commit;
        return;
    }
    if (p->kind == RAFT_PERSIST_SNAPMARK) {
        mark_disk(d, p);
        return;
    }
    ck_assert_uint_gt(p->first, d->base);
    ck_assert_uint_le(p->first, d->last + 1);
    for (uint32_t i = 0; i < p->count; i++) {
        d->entries[p->first + i] = w->entries[i];
        d->values[p->first + i] = w->values[i];
    }
    d->last = p->first + p->count - 1;
}

static void free_write(struct ens_write *w)
{
    free(w->entries);
    free(w->values);
}

/* The oldest count writes reach the disk. Return: the number of the last; 0 when there was none. */
static uint64_t reach_disk(struct ens_node *n, uint32_t count)
{
    count = count < n->writes_count ? count : n->writes_count;
    if (count == 0) {
        return 0;
    }
    uint64_t seq = n->writes[count - 1].what.io_seq;
    for (uint32_t i = 0; i < count; i++) {
        finish_write(n, &n->writes[i]);
        free_write(&n->writes[i]);
    }
    n->writes_count -= count;
    memmove(n->writes, n->writes + count, n->writes_count * sizeof(n->writes[0]));
    return seq;
}

/* Complete the oldest count writes. Return: 1 when there was one. */
static int complete(struct ens *c, struct ens_node *n, uint32_t count)
{
    uint64_t seq = reach_disk(n, count);
    if (seq == 0) {
        return 0;
    }
    struct raft_event ev = {.type = RAFT_EV_IO_DONE, .io_seq = seq};
    ck_assert_int_eq(ens_event(c, n, &ev, NULL), 0);
    return 1;
}

void ens_disk(struct ens *c, raft_id id, uint32_t count)
{
    struct ens_node *n = ens_node(c, id);
    (void)complete(c, n, count);
    ens_actions(c, n);
}

/* --- snapshots ------------------------------------------------------------------------------ */

void ens_snapshot(struct ens *c, raft_id id, uint64_t bytes, raft_index keep)
{
    struct ens_node *n = ens_node(c, id);
    ck_assert_uint_lt(c->snapshots_count, 64);
    ck_assert_uint_gt(n->applied, keep);
    const struct raft_config_at *config = raft_config_at(n->raft, n->applied);
    if (config == NULL) {
        ck_assert_uint_gt(n->boots, 1); /* applies anew what it had forgotten: later, then */
        return;
    }
    struct raft_snapshot *s = &c->snapshots[c->snapshots_count++];
    s->index = n->applied;
    s->term = c->committed_term[n->applied];
    s->config_index = config->index;
    s->config = config->config;
    s->snap_id = c->snapshots_count;
    s->bytes = bytes;
    n->disk_snapshot = *s;
    int rv = ens_step(
        c, id,
        (struct raft_event){.type = RAFT_EV_SNAP_TAKEN, .snapshot = s, .index = s->index - keep});
    ck_assert_int_eq(rv, 0);
}

static void load_snapshot(struct ens *c, struct ens_node *n, const struct raft_snapshot *s)
{
    n->disk_snapshot = *s;
    n->applied = s->index;
    for (raft_index i = 1; i <= s->index; i++) {
        n->values[i] = c->committed_value[i];
    }
}

static void finish_install(struct ens *c, struct ens_node *n, int ok)
{
    struct raft_snapshot s = n->installing;
    struct raft_event ev = {.type = ok ? RAFT_EV_SNAP_INSTALLED : RAFT_EV_SNAP_REJECTED,
                            .snapshot = &s,
                            .snap_id = s.snap_id};
    ck_assert_uint_ne(s.index, 0);
    n->installing.index = 0;
    if (ok) {
        load_snapshot(c, n, &s);
    }
    ck_assert_int_eq(ens_event(c, n, &ev, NULL), 0);
}

void ens_install(struct ens *c, raft_id id, int ok)
{
    struct ens_node *n = ens_node(c, id);
    finish_install(c, n, ok);
    ens_actions(c, n);
}

/* --- actions -------------------------------------------------------------------------------- */

static void keep_answers(struct ens_node *n, const struct raft_actions *a)
{
    for (uint32_t i = 0; i < a->reads_count && n->reads_count < 256; i++) {
        n->reads[n->reads_count++] = a->reads[i];
    }
    for (uint32_t i = 0; i < a->drops_count && n->drops_count < 64; i++) {
        n->drops[n->drops_count++] = a->drops[i];
    }
}

static void store_chunk(struct ens *c, struct ens_node *n, const struct raft_msg *chunk)
{
    struct raft_event ev = {.type = RAFT_EV_SNAP_STORED,
                            .snap_id = chunk->snap_id,
                            .offset = chunk->offset + chunk->count};
    ck_assert_int_eq(ens_event(c, n, &ev, NULL), 0);
}

/* Carry out one round. Return: 1 when there will be another. */
static int take_round(struct ens *c, struct ens_node *n)
{
    const struct raft_actions *a = raft_poll(n->raft);
    struct raft_msg chunk = {0};
    raft_index commit = a->commit;
    int more = a->more;
    for (uint32_t i = 0; i < a->persist_count; i++) {
        begin_write(n, &a->persist[i]);
    }
    if (n->options.sync_writes) {
        (void)reach_disk(n, RAFT_IO_MAX); /* before anything else, and nothing is said about it */
    }
    for (uint32_t i = 0; i < a->sends_count; i++) {
        check_speech(n, &a->sends[i].msg);
        ens_send(c, n, &a->sends[i]);
    }
    keep_answers(n, a);
    if (a->snap_chunk != NULL) {
        chunk = *a->snap_chunk;
    }
    if (a->snap_install != NULL) {
        n->installing = *a->snap_install;
    }
    apply(c, n, commit);
    raft_done(n->raft);
    struct raft_event applied = {.type = RAFT_EV_APPLIED, .index = commit};
    if (ens_event(c, n, &applied, NULL) == RAFT_EFAULTED) {
        return 0;
    }
    if (chunk.type != 0) {
        store_chunk(c, n, &chunk);
        more = 1;
    }
    return more;
}

void ens_actions(struct ens *c, struct ens_node *n)
{
    int more = 1;
    for (int round = 0; more; round++) {
        ck_assert_msg(round < 10000, "member %u never comes to rest", n->id);
        more = take_round(c, n);
        if (ens_status(c, n->id).role == RAFT_FAULTED) {
            return;
        }
        if (!n->disk_manual) {
            more |= complete(c, n, RAFT_IO_MAX);
        }
        if (n->installing.index != 0 && !n->install_manual) {
            finish_install(c, n, 1);
            more = 1;
        }
    }
}

static void accept_entries(struct ens_node *n, const struct raft_accept *a, const uint64_t *values)
{
    for (uint32_t i = 0; i < a->count; i++) {
        n->log.values[a->first + i] = values[a->skip + i];
        n->log.entries[a->first + i] = *raft_entry_at(n->raft, a->first + i);
    }
}

/* Write down a configuration. Return: the payload that stands for it. */
static uint64_t note_config(struct ens *c, const struct raft_config *config)
{
    ck_assert_uint_lt(c->configs_count, ENS_CONFIGS_MAX);
    c->configs[c->configs_count] = *config;
    return ENS_CONFIG_VALUE + c->configs_count++;
}

/* Entries that the core makes by itself come one at a time: give the newest its payload. */
static void accept_own(struct ens *c, struct ens_node *n)
{
    struct raft_status s;
    raft_status(n->raft, &s);
    const struct raft_entry *e = raft_entry_at(n->raft, s.last);
    if (e == NULL || e->type == RAFT_ENTRY_COMMAND) {
        return;
    }
    struct raft_entry *mine = &n->log.entries[s.last];
    int known = mine->type == e->type && mine->term == e->term;
    if (e->type == RAFT_ENTRY_NOOP) {
        n->log.values[s.last] = 0;
    } else if (!known) {
        ck_assert_int_eq(s.role, RAFT_LEADER);
        const struct raft_config_at *at = raft_config_at(n->raft, s.last);
        ck_assert_uint_eq(at->index, s.last);
        ck_assert_uint_eq(e->bytes, n->options.config_bytes);
        n->log.values[s.last] = note_config(c, &at->config);
    }
    *mine = *e;
}

int ens_event(struct ens *c, struct ens_node *n, struct raft_event *ev, const uint64_t *values)
{
    struct raft_accept accept = {0, 0, 0, 0};
    ev->now = c->now;
    int rv = raft_step(n->raft, ev, &accept);
    if (rv == 0 && accept.count > 0 && ev->type != RAFT_EV_PROPOSE_CONFIG) {
        accept_entries(n, &accept, values);
    }
    accept_own(c, n);
    ens_check(c, n);
    return rv;
}

int ens_step(struct ens *c, raft_id id, struct raft_event ev)
{
    struct ens_node *n = ens_node(c, id);
    int rv = ens_event(c, n, &ev, NULL);
    ens_actions(c, n);
    return rv;
}

int ens_propose_bytes(struct ens *c, raft_id id, uint32_t count, uint32_t bytes)
{
    struct ens_node *n = ens_node(c, id);
    struct raft_entry entries[512];
    uint64_t values[512];
    ck_assert_uint_le(count, 512);
    memset(entries, 0, sizeof(entries));
    for (uint32_t i = 0; i < count; i++) {
        entries[i].bytes = bytes;
        entries[i].type = RAFT_ENTRY_COMMAND;
        values[i] = ++c->next_value;
    }
    struct raft_event ev = {.type = RAFT_EV_PROPOSE, .entries = entries, .count = count};
    int rv = ens_event(c, n, &ev, values);
    ens_actions(c, n);
    return rv;
}

int ens_propose(struct ens *c, raft_id id, uint32_t count)
{
    return ens_propose_bytes(c, id, count, 128);
}

/* --- boot and crash ------------------------------------------------------------------------- */

void ens_crash(struct ens *c, raft_id id)
{
    struct ens_node *n = ens_node(c, id);
    ck_assert_ptr_nonnull(n->raft);
    for (uint32_t i = 0; i < n->writes_count; i++) {
        free_write(&n->writes[i]);
    }
    n->writes_count = 0;
    free(n->raft);
    n->raft = NULL;
    n->installing.index = 0;
    n->applied = 0;
    n->commit = 0;
    n->term = 0;
}

static void boot_step(struct ens *c, struct ens_node *n, struct raft_event ev)
{
    ck_assert_int_eq(ens_event(c, n, &ev, n->disk.values + n->disk.base + 1), 0);
}

/* All entries of the disk, and what their configurations say. */
static void boot_entries(struct ens *c, struct ens_node *n)
{
    const struct ens_log *d = &n->disk;
    struct raft_config_at *configs = calloc(ENS_ENTRIES_MAX, sizeof(*configs));
    uint32_t count = 0;
    for (raft_index i = d->base + 1; i <= d->last; i++) {
        if (d->entries[i].type == RAFT_ENTRY_CONFIG) {
            configs[count].index = i;
            configs[count++].config = c->configs[d->values[i] - ENS_CONFIG_VALUE];
        }
    }
    boot_step(c, n,
              (struct raft_event){.type = RAFT_EV_BOOT_ENTRIES,
                                  .first = d->base + 1,
                                  .entries = d->entries + d->base + 1,
                                  .count = (uint32_t)(d->last - d->base),
                                  .configs = configs,
                                  .configs_count = count});
    free(configs);
}

void ens_restart(struct ens *c, raft_id id)
{
    struct ens_node *n = ens_node(c, id);
    ck_assert_ptr_null(n->raft);
    n->boots++;
    n->options.rng_seed = n->options.rng_seed * 31 + n->boots;
    size_t len = raft_size(&n->options);
    n->raft = raft_init(malloc(len), len, &n->options);
    ck_assert_ptr_nonnull(n->raft);
    if (n->disk_snapshot.index > 0) {
        load_snapshot(c, n, &n->disk_snapshot);
    }
    boot_step(c, n,
              (struct raft_event){.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &n->disk_snapshot});
    boot_step(c, n,
              (struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE,
                                  .hardstate = {n->disk_term, n->disk_vote, n->disk_commit}});
    boot_entries(c, n);
    if (n->damage != 0) {
        boot_step(c, n,
                  (struct raft_event){.type = RAFT_EV_BOOT_DAMAGE,
                                      .value = n->damage,
                                      .index = n->damage_index,
                                      .hardstate = {.term = n->damage_term}});
    }
    boot_step(c, n, (struct raft_event){.type = RAFT_EV_BOOT_DONE});
    ens_actions(c, n);
}

void ens_rot(struct ens *c, raft_id id, raft_index last)
{
    struct ens_node *n = ens_node(c, id);
    ck_assert_ptr_null(n->raft);
    ck_assert_uint_ge(last, n->disk.base);
    ck_assert_uint_lt(last, n->disk.last);
    n->damage |= RAFT_DAMAGE_HOLE;
    n->damage_index = n->disk.last;
    n->disk.last = last;
}

static struct ens_node *new_node(struct ens *c, uint64_t seed, void (*tweak)(struct raft_options *))
{
    ck_assert_uint_lt(c->count, ENS_NODES_MAX);
    struct ens_node *n = &c->nodes[c->count++];
    n->id = c->count;
    raft_options_init(&n->options);
    n->options.id = n->id;
    n->options.rng_seed = seed * 1000 + n->id;
    n->options.log_slots = 1024;
    n->options.trace = 1;
    if (tweak != NULL) {
        tweak(&n->options);
    }
    return n;
}

raft_id ens_join(struct ens *c, void (*tweak)(struct raft_options *))
{
    struct ens_node *n = new_node(c, c->count + 1, tweak);
    ens_restart(c, n->id);
    return n->id;
}

struct ens *ens_new(uint32_t count, uint64_t seed, void (*tweak)(struct raft_options *))
{
    struct ens *c = calloc(1, sizeof(*c));
    ck_assert_ptr_nonnull(c);
    c->now = 1000 * (raft_ns)ENS_MS;
    for (uint32_t i = 0; i < count; i++) {
        struct ens_node *n = new_node(c, seed, tweak);
        n->disk_snapshot.config = ens_config(((uint32_t)1 << count) - 1, 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        ens_restart(c, i + 1);
    }
    return c;
}

void ens_free(struct ens *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->nodes[i].raft != NULL) {
            ens_crash(c, c->nodes[i].id);
        }
    }
    ens_drain(c);
    free(c);
}
