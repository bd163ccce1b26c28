/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: no message of a peer, in any order with the host's own events, traps the core, breaks a rule
 * that it can check by itself, or makes it break its word: two votes in a term, a term or a commit
 * index that falls, a committed entry that changes, a vote of a member under repair, a lease that it
 * was not given the clocks for.
 * Method: one member of three over an obedient host, which also changes the members. Messages have
 * fields near the member's own numbers; raft_check runs after each event. A divergent leader may fault
 * it, which ends the input.
 * Input: two bytes for the options, how it boots, then commands of one byte with their arguments.
 */
#include <coord/raft.h>
#include "tests/fuzz/fuzz.h"

#define SELF        2u
#define EVENTS_MAX  600
#define ENTRIES_MAX 6u
#define LOG_SLOTS   64u
#define COMMITS_MAX 4096u /* of the first entries, the terms are kept */
#define TERMS_MAX   64    /* in which votes are remembered */
#define BLOCK_BYTES (512u * 1024)

struct run {
    struct fuzz_input in;
    struct raft_options o;
    struct raft *r;
    raft_ns now;
    uint64_t io_issued;
    uint64_t io_done;
    uint64_t chunk_id;
    uint64_t chunk_end;
    struct raft_snapshot install;
    struct raft_msg said; /* the last request, for answers that nearly fit */
    raft_term term;
    raft_index commit;
    raft_term committed[COMMITS_MAX]; /* by index; 0: not seen */
    struct {
        raft_term term;
        raft_id to;
    } votes[TERMS_MAX];
    uint32_t votes_count;
};

static uint64_t block[BLOCK_BYTES / 8];

/* --- rules ----------------------------------------------------------------------------------- */

static void check(struct run *f)
{
    char why[100] = "";
    struct raft_status s;
    FUZZ_CHECK(raft_check(f->r, why, sizeof(why)) == 0, why);
    raft_status(f->r, &s);
    FUZZ_CHECK(s.term >= f->term, "the term never falls");
    FUZZ_CHECK(s.commit >= f->commit, "commit never falls");
    FUZZ_CHECK(s.lease_until == 0 || (f->o.lease_drift_ppm > 0 && s.role == RAFT_LEADER),
               "a lease");
    f->term = s.term;
    f->commit = s.commit;
    for (raft_index i = s.first; i <= s.commit && i < COMMITS_MAX; i++) {
        const struct raft_entry *e = raft_entry_at(f->r, i);
        if (e == NULL) {
            continue;
        }
        FUZZ_CHECK(f->committed[i] == 0 || f->committed[i] == e->term, "what is committed stays");
        f->committed[i] = e->term;
    }
}

static void note_vote(struct run *f, raft_term term, raft_id to)
{
    for (uint32_t i = 0; i < f->votes_count; i++) {
        if (f->votes[i].term == term) {
            FUZZ_CHECK(f->votes[i].to == to, "one vote in a term");
            return;
        }
    }
    if (f->votes_count < TERMS_MAX) {
        f->votes[f->votes_count].term = term;
        f->votes[f->votes_count++].to = to;
    }
}

static int step(struct run *f, struct raft_event ev, uint32_t offered)
{
    struct raft_accept accept = {0};
    ev.now = f->now;
    int rc = raft_step(f->r, &ev, &accept);
    if (rc != 0 && ev.type <= RAFT_EV_BOOT_DONE) {
        return rc; /* what its disk says is nonsense: the member is not to be used */
    }
    check(f);
    if (rc == 0 && (ev.type == RAFT_EV_RECV || ev.type == RAFT_EV_PROPOSE ||
                    ev.type == RAFT_EV_PROPOSE_CONFIG)) {
        FUZZ_CHECK(accept.skip <= offered && accept.count <= offered - accept.skip, "accepted");
        FUZZ_CHECK(accept.count == 0 || raft_entry_at(f->r, accept.first) != NULL, "in the log");
    }
    return rc;
}

/* --- what is put in -------------------------------------------------------------------------- */

static struct raft_config members(void)
{
    struct raft_config c = {.count = 3};
    for (uint32_t i = 0; i < 3; i++) {
        c.members[i] = (struct raft_member){i + 1, RAFT_VOTER};
    }
    return c;
}

static struct raft_config any_config(struct run *f)
{
    uint8_t how = fuzz_u8(&f->in);
    struct raft_config c = members();
    if (how < 128) {
        return c;
    }
    c.count = how % (RAFT_NODES_MAX + 2);
    uint32_t id = 0;
    for (uint32_t i = 0; i < c.count && i < RAFT_NODES_MAX; i++) {
        uint8_t m = fuzz_u8(&f->in);
        id += m >> 5;
        c.members[i] = (struct raft_member){id, m & 31 ? m & 31 : RAFT_REMOVE | RAFT_VOTER};
    }
    return c;
}

static void entries(struct run *f, raft_term term, struct raft_entry *e, uint32_t count)
{
    memset(e, 0, count * sizeof(*e));
    for (uint32_t i = 0; i < count; i++) {
        uint8_t how = fuzz_u8(&f->in);
        e[i].term = how >= 240 ? fuzz_near(&f->in, term) : term;
        e[i].type = (how & 7) == 7 ? how >> 4 : RAFT_ENTRY_COMMAND;
        e[i].type = (how & 7) == 6 ? RAFT_ENTRY_CONFIG : e[i].type;
        e[i].bytes = how & 8 ? 2000 : how;
    }
}

/* A description of the CONFIG entries among e, or of something else. Return: how many. */
static uint32_t configs(struct run *f, raft_index first, const struct raft_entry *e, uint32_t count,
                        struct raft_config_at *ret_c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (e[i].type == RAFT_ENTRY_CONFIG) {
            ret_c[n].index = first + i;
            ret_c[n++].config = any_config(f);
        }
    }
    return n;
}

static void message(struct run *f)
{
    static struct raft_entry e[ENTRIES_MAX];
    static struct raft_config_at c[ENTRIES_MAX];
    struct raft_status s;
    raft_status(f->r, &s);
    uint8_t how = fuzz_u8(&f->in);
    uint8_t who = fuzz_u8(&f->in);
    struct raft_msg m = {.type = how & 15, .flags = how >> 4, .to = SELF};
    m.from = (who & 7) < 6 ? 1 + (who & 2) : who & 7;
    m.to = who >= 248 ? who & 7 : SELF;
    m.term = fuzz_near(&f->in, s.term);
    m.seq = fuzz_near(&f->in, f->said.seq);
    m.index = fuzz_near(&f->in, (who & 8) != 0 ? s.last : s.commit);
    const struct raft_entry *before = raft_entry_at(f->r, m.index);
    m.log_term = fuzz_near(&f->in, before != NULL ? before->term : s.term);
    m.commit = fuzz_near(&f->in, s.last);
    m.count = who >> 4 & 7;
    uint32_t count = 0;
    uint32_t configs_count = 0;
    if (m.type == RAFT_MSG_APPEND) {
        count = m.count = m.count % (ENTRIES_MAX + 1);
        entries(f, m.term, e, count);
        configs_count = configs(f, m.index + 1, e, count, c);
    } else if (m.type == RAFT_MSG_SNAPSHOT) {
        m.count = fuzz_u8(&f->in);
        m.snap_id = 1 + m.count % 2;
        m.offset = fuzz_near(&f->in, f->chunk_end);
        m.total = fuzz_near(&f->in, m.offset + m.count);
        configs_count = 1;
        c[0].index = fuzz_near(&f->in, m.index);
        c[0].config = any_config(f);
    } else {
        m.hint = fuzz_near(&f->in, s.last);
        m.hint_term = fuzz_near(&f->in, s.term);
        m.snap_id = f->said.snap_id;
        m.offset = fuzz_near(&f->in, f->said.offset + f->said.count);
    }
    (void)step(f,
               (struct raft_event){.type = RAFT_EV_RECV,
                                   .msg = &m,
                                   .entries = e,
                                   .count = count,
                                   .configs = c,
                                   .configs_count = configs_count},
               count); /* never fails for what a peer sent, but when faulted */
}

/* An answer that grants or accepts what was asked last. */
static void fitting_answer(struct run *f)
{
    struct raft_msg m = f->said;
    if (m.type == 0 || m.type > RAFT_MSG_SNAPSHOT) {
        return;
    }
    uint8_t how = fuzz_u8(&f->in);
    m.from = how & 1 ? 1 : 3;
    m.to = SELF;
    m.type++; /* each reply follows its request in the enumeration */
    m.index += m.type == RAFT_MSG_APPEND_REPLY ? m.count : 0;
    m.hint = m.index;
    m.offset += m.count;
    m.flags = how & 2 ? RAFT_FLAG_REJECT : 0;
    (void)step(f, (struct raft_event){.type = RAFT_EV_RECV, .msg = &m}, 0); /* as above */
}

static void tick(struct run *f)
{
    raft_ns due = raft_deadline(f->r);
    uint8_t how = fuzz_u8(&f->in);
    f->now = how < 128 && due != UINT64_MAX && due > f->now ? due : f->now + how * 1000000ull;
    (void)step(f, (struct raft_event){.type = RAFT_EV_TICK}, 0); /* refused once faulted */
}

static void propose(struct run *f)
{
    struct raft_entry e[ENTRIES_MAX];
    uint32_t count = fuzz_u8(&f->in) % (ENTRIES_MAX + 1);
    entries(f, 1, e, count);
    struct raft_event ev = {.type = RAFT_EV_PROPOSE, .entries = e, .count = count};
    (void)step(f, ev, count); /* a follower refuses */
}

/* Members of now come, go, learn or vote. */
static void propose_config(struct run *f)
{
    uint8_t how = fuzz_u8(&f->in);
    struct raft_config c = {.count = 0};
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t role = how >> 2 * i & 3;
        if (role != 0) {
            c.members[c.count++] =
                (struct raft_member){i + 1, role == 3 ? RAFT_LEARNER : RAFT_VOTER};
        }
    }
    if (how == 0) {
        c = any_config(f);
        c.count = c.count < RAFT_NODES_MAX ? c.count : RAFT_NODES_MAX;
    }
    struct raft_event ev = {.type = RAFT_EV_PROPOSE_CONFIG, .config = &c};
    (void)step(f, ev, 1); /* as propose */
}

/* Everything else that a host says: the arguments may be wrong, and are refused then. */
static void host_event(struct run *f)
{
    /* READ reads bit 4 as the wish for a lease. */
    static const enum raft_event_type types[] = {
        RAFT_EV_TRANSFER, RAFT_EV_READ,    RAFT_EV_CAMPAIGN,    RAFT_EV_PEER_LINK,
        RAFT_EV_DISK,     RAFT_EV_IO_DONE, RAFT_EV_SNAP_STORED, RAFT_EV_IO_DONE};
    uint8_t how = fuzz_u8(&f->in);
    struct raft_event ev = {.type = types[how & 7],
                            .peer = how >> 5,
                            .cookie = how,
                            .value = how >> 4 & 1,
                            .snap_id = f->chunk_id,
                            .offset = f->chunk_end};
    if (ev.type == RAFT_EV_IO_DONE) {
        uint64_t under_way = f->io_issued - f->io_done;
        ev.io_seq = how >= 250 ? fuzz_near(&f->in, f->io_issued)
                               : f->io_issued - (under_way > 0 ? (how >> 3) % under_way : 0);
    }
    int rc = step(f, ev, 0);
    if (ev.type == RAFT_EV_IO_DONE && rc == 0 && ev.io_seq > f->io_done) {
        f->io_done = ev.io_seq;
    }
}

static void take_snapshot(struct run *f)
{
    struct raft_status s;
    raft_status(f->r, &s);
    const struct raft_entry *e = raft_entry_at(f->r, s.applied);
    const struct raft_config_at *c = raft_config_at(f->r, s.applied);
    if (e == NULL || c == NULL) {
        return;
    }
    struct raft_snapshot snap = {.index = s.applied,
                                 .term = e->term,
                                 .config_index = c->index,
                                 .config = c->config,
                                 .snap_id = 7,
                                 .bytes = 250};
    uint8_t keep = fuzz_u8(&f->in);
    struct raft_event ev = {.type = RAFT_EV_SNAP_TAKEN, .snapshot = &snap};
    ev.index = snap.index > keep ? snap.index - keep : 0;
    (void)step(f, ev, 0); /* older than one that it has */
}

/* --- what comes out -------------------------------------------------------------------------- */

static void look_at_send(struct run *f, const struct raft_msg *m, int repairing)
{
    int grant = (m->type == RAFT_MSG_VOTE_REPLY || m->type == RAFT_MSG_PREVOTE_REPLY) &&
                (m->flags & RAFT_FLAG_REJECT) == 0;
    FUZZ_CHECK(!repairing || (m->type != RAFT_MSG_VOTE && !grant), "under repair nobody votes");
    FUZZ_CHECK(m->from == SELF && m->to != SELF && m->to != 0, "from here to a peer");
    FUZZ_CHECK(m->type > 0 && m->type < RAFT_MSG_TYPE_END, "a message");
    f->said = *m;
    if (m->type == RAFT_MSG_VOTE) {
        note_vote(f, m->term, SELF);
    } else if (m->type == RAFT_MSG_VOTE_REPLY && grant) {
        note_vote(f, m->term, m->to);
    } else if (m->type == RAFT_MSG_APPEND) {
        FUZZ_CHECK(m->count <= f->o.msg_entries_max, "a bounded message");
        for (uint32_t i = 1; i <= m->count; i++) {
            FUZZ_CHECK(raft_entry_at(f->r, m->index + i) != NULL, "entries that it has");
        }
    }
}

static void take_actions(struct run *f)
{
    struct raft_status s;
    raft_status(f->r, &s);
    const struct raft_actions *a = raft_poll(f->r);
    raft_index commit = a->commit;
    for (uint32_t i = 0; i < a->persist_count; i++) {
        FUZZ_CHECK(a->persist[i].io_seq > f->io_issued, "writes are numbered in order");
        f->io_issued = a->persist[i].io_seq;
    }
    for (uint32_t i = 0; i < a->sends_count; i++) {
        look_at_send(f, &a->sends[i].msg, s.repairing);
    }
    if (a->snap_chunk != NULL) {
        f->chunk_id = a->snap_chunk->snap_id;
        f->chunk_end = a->snap_chunk->offset + a->snap_chunk->count;
    }
    if (a->snap_install != NULL) {
        f->install = *a->snap_install;
    }
    raft_done(f->r);
    check(f);
    (void)step(f, (struct raft_event){.type = RAFT_EV_APPLIED, .index = commit}, 0); /* faulted */
    if (f->install.index != 0) {
        enum raft_event_type type =
            fuzz_u8(&f->in) < 192 ? RAFT_EV_SNAP_INSTALLED : RAFT_EV_SNAP_REJECTED;
        struct raft_event ev = {
            .type = type, .snapshot = &f->install, .snap_id = f->install.snap_id};
        (void)step(f, ev, 0); /* overtaken by another */
        f->install.index = 0;
        f->chunk_end = 0;
    }
}

/* --- one input ------------------------------------------------------------------------------- */

static void begin(struct run *f)
{
    f->r = raft_init(block, sizeof(block), &f->o);
    FUZZ_CHECK(f->r != NULL, "options are in range");
}

/* Its disk lost something. */
static int damage(struct run *f, raft_index near)
{
    struct raft_event ev = {.type = RAFT_EV_BOOT_DAMAGE, .value = fuzz_u8(&f->in)};
    ev.index = fuzz_near(&f->in, near);
    ev.hardstate.term = fuzz_near(&f->in, f->term);
    return step(f, ev, 0);
}

/* With what a disk may say after any life: nonsense is refused, and the member boots fresh then. */
static void boot(struct run *f)
{
    static struct raft_entry e[ENTRIES_MAX];
    static struct raft_config_at c[ENTRIES_MAX];
    uint8_t how = fuzz_u8(&f->in);
    struct raft_snapshot snap = {.config = members()};
    struct raft_event hard = {.type = RAFT_EV_BOOT_HARDSTATE};
    struct raft_event log = {.type = RAFT_EV_BOOT_ENTRIES, .entries = e, .configs = c};
    if ((how & 1) != 0) {
        snap.index = fuzz_near(&f->in, 5);
        snap.term = fuzz_near(&f->in, 2);
        snap.config_index = fuzz_near(&f->in, 0);
        snap.config = any_config(f);
        snap.snap_id = how >> 4;
        snap.bytes = how;
    }
    if ((how & 2) != 0) {
        hard.hardstate.term = fuzz_near(&f->in, 3);
        hard.hardstate.vote = fuzz_u8(&f->in) & 3;
        hard.hardstate.commit = fuzz_near(&f->in, snap.index);
    }
    if ((how & 4) != 0) {
        log.count = fuzz_u8(&f->in) % (ENTRIES_MAX + 1);
        log.first = fuzz_near(&f->in, snap.index + 1);
        entries(f, snap.term, e, log.count);
        log.configs_count = configs(f, log.first, e, log.count, c);
    }
    begin(f);
    struct raft_event first = {.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &snap};
    struct raft_event last = {.type = RAFT_EV_BOOT_DONE};
    if (step(f, first, 0) == 0 && step(f, hard, 0) == 0 &&
        (log.count == 0 || step(f, log, 0) == 0) &&
        ((how & 8) == 0 || damage(f, snap.index) == 0) && step(f, last, 0) == 0) {
        return;
    }
    struct raft_snapshot empty = {.config = members()};
    first.snapshot = &empty;
    begin(f);
    f->term = 0;
    f->commit = 0;
    memset(f->committed, 0, sizeof(f->committed));
    hard = (struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE};
    FUZZ_CHECK(step(f, first, 0) == 0 && step(f, hard, 0) == 0 && step(f, last, 0) == 0, "fresh");
}

static void command(struct run *f)
{
    uint8_t what = fuzz_u8(&f->in) % 18;
    if (what < 6) {
        message(f);
    } else if (what < 8) {
        fitting_answer(f);
    } else if (what < 10) {
        tick(f);
    } else if (what == 10) {
        propose(f);
    } else if (what == 11) {
        host_event(f);
    } else if (what == 12) {
        take_snapshot(f);
    }
    if (what >= 16) {
        propose_config(f);
    }
    if (what != 13) {
        take_actions(f);
    }
    if (what >= 14) { /* an obedient disk */
        struct raft_event ev = {.type = RAFT_EV_IO_DONE, .io_seq = f->io_issued};
        if (f->io_issued > f->io_done && step(f, ev, 0) == 0) {
            f->io_done = f->io_issued;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct run f;
    memset(&f, 0, sizeof(f));
    f.in = (struct fuzz_input){bytes, len};
    f.now = 1000000000;
    uint8_t how = fuzz_u8(&f.in);
    uint8_t more = fuzz_u8(&f.in);
    raft_options_init(&f.o);
    f.o.id = SELF;
    f.o.rng_seed = how;
    f.o.log_slots = LOG_SLOTS;
    f.o.reads_max = 5;
    f.o.chunk_bytes = 100;
    f.o.inflight_msgs_max = 1 + (how & 3);
    f.o.msg_entries_max = 1 + (how >> 2 & 3);
    f.o.trace = how >> 7;
    f.o.lease_drift_ppm = more & 1 ? 500u : 0;
    f.o.link_hint = more & 1 ? 0 : f.o.link_hint;
    f.o.config_bytes += more >> 3;
    f.o.sync_writes = more >> 2 & 1;
    f.o.uncommitted_bytes_max = more & 2 ? 2000 : f.o.uncommitted_bytes_max;
    boot(&f);
    for (int i = 0; i < EVENTS_MAX && f.in.left > 0; i++) {
        struct raft_status s;
        command(&f);
        raft_status(f.r, &s);
        if (s.role == RAFT_FAULTED) {
            FUZZ_CHECK(s.fault != NULL, "a fault has a reason");
            break;
        }
    }
    return 0;
}
