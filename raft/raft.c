/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft.c: the door of the consensus core: making a member, taking events, giving actions.
 *
 * It dispatches; the files named in internal.h decide. It owns the order of things in one round of
 * actions and the common rule of terms (Raft section 5.1): a message of a later term turns the
 * member into a follower of that term first, a message of an earlier term is refused or ignored.
 * PREVOTE and VOTE are exempt, since a candidate must not disturb a healthy leader (thesis 9.6).
 *
 * Thread: the owner of the member. Invariants:
 *   1. Nothing that a peer sent makes raft_step fail or trap; nonsense is counted and ignored.
 *   2. A round of actions only holds what may be carried out at once (rule D2 of internal gates).
 *   3. A faulted member has no actions but its state change.
 */
#include "raft/internal.h"

const char *raft_strerror(int error)
{
    switch (error) {
    case 0:
        return "no error";
#define X(name, value, text) \
    case value:              \
        return text;
        RAFT_ERRORS(X)
#undef X
    default:
        return "unknown error";
    }
}

static const char *fault_text(uint32_t fault)
{
    switch (fault) {
    case RAFT__FAULT_DISK:
        return "a write to the disk failed";
    case RAFT__FAULT_DIVERGENCE:
        return "a leader's log contradicts an entry that is committed here";
    default:
        return NULL;
    }
}

/* --- making a member ------------------------------------------------------------------------ */

void raft_options_init(struct raft_options *o)
{
    memset(o, 0, sizeof(*o));
    o->election_min = 500000000u;
    o->election_max = 1000000000u;
    o->heartbeat = 50000000u;
    o->disk_stall = o->election_min;
    o->link_hint = 10000000u;
    o->inflight_msgs_max = 64;
    o->inflight_bytes_max = 8u << 20;
    o->msg_bytes_max = 1u << 20;
    o->msg_entries_max = 4096;
    o->uncommitted_bytes_max = 64u << 20;
    o->log_slots = 262144;
    o->reads_max = 64;
    o->chunk_bytes = 256u << 10;
    o->chunks_inflight_max = 4;
    o->priority = 1;
    o->config_bytes = RAFT_CONFIG_BYTES;
}

static int options_valid(const struct raft_options *o)
{
    const raft_ns longest = (raft_ns)1 << 60; /* sums of a few never overflow */
    if (o->id == 0 || o->election_min == 0 || o->election_max < o->election_min) {
        return 0;
    }
    if (o->election_max > longest / 1024 || o->link_hint > longest || o->disk_stall > longest) {
        return 0;
    }
    if (o->commit_delay > o->heartbeat) {
        return 0;
    }
    if (o->heartbeat == 0 || o->heartbeat > o->election_min / 3 || o->disk_stall == 0) {
        return 0;
    }
    if (o->inflight_msgs_max == 0 || o->inflight_msgs_max > RAFT_INFLIGHT_MAX) {
        return 0;
    }
    if (o->inflight_bytes_max == 0 || o->msg_bytes_max == 0 || o->msg_entries_max == 0) {
        return 0;
    }
    if (o->log_slots < RAFT__LOG_SLOTS_MIN || (o->log_slots & (o->log_slots - 1)) != 0) {
        return 0;
    }
    if (o->config_bytes == 0 || o->config_bytes > RAFT__CONFIG_BYTES_MAX) {
        return 0;
    }
    if (o->lease_drift_ppm >= 1000000 || (o->lease_drift_ppm > 0 && o->link_hint > 0)) {
        return 0;
    }
    if (o->reads_max == 0 || o->reads_max > RAFT__READS_MAX || o->uncommitted_bytes_max == 0) {
        return 0;
    }
    return o->chunk_bytes > 0 && o->chunks_inflight_max > 0 && o->priority > 0 &&
           o->priority <= 1024;
}

struct layout {
    size_t log, inflight, reads, results, total;
};

static struct layout layout_of(const struct raft_options *o)
{
    struct layout l;
    l.log = sizeof(struct raft);
    l.inflight = l.log + (size_t)o->log_slots * sizeof(struct raft_entry);
    l.reads =
        l.inflight + (size_t)RAFT_NODES_MAX * o->inflight_msgs_max * sizeof(struct raft__inflight);
    l.results = l.reads + (size_t)o->reads_max * sizeof(struct raft__read);
    l.total = l.results + (size_t)o->reads_max * sizeof(struct raft_read);
    return l;
}

_Static_assert(sizeof(struct raft) % 8 == 0, "the arrays behind the struct are aligned");
_Static_assert(sizeof(struct raft_entry) == 16, "one log slot");
_Static_assert(sizeof(struct raft__read) % 8 == 0 && sizeof(struct raft_read) % 8 == 0,
               "arrays of reads are aligned");

size_t raft_size(const struct raft_options *o)
{
    return options_valid(o) ? layout_of(o).total : 0;
}

struct raft *raft_init(void *mem, size_t len, const struct raft_options *o)
{
    size_t need = raft_size(o);
    if (mem == NULL || need == 0 || len < need) {
        return NULL;
    }
    struct layout l = layout_of(o);
    struct raft *r = mem;
    /* Slots of the log are written before they are read: pages of a large one are first touched when it is used. */
    memset(mem, 0, l.log);
    memset((char *)mem + l.inflight, 0, need - l.inflight);
    r->block_bytes = need;
    memcpy(&r->o, o, sizeof(*o));
    r->log_offset = l.log;
    r->inflight_offset = l.inflight;
    r->reads_offset = l.reads;
    r->results_offset = l.results;
    r->log_mask = o->log_slots - 1;
    r->rng = o->rng_seed ^ ((uint64_t)o->id << 32);
    r->campaign = raft__random(r) >> 1; /* no answer to an earlier life fits */
    r->role = RAFT_FOLLOWER;
    r->seen_role = RAFT_FOLLOWER;
    r->self = RAFT__NO_SLOT;
    r->persist_next = 1;
    r->election_at = RAFT__NEVER;
    r->beat_at = RAFT__NEVER;
    return r;
}

uint64_t raft__random(struct raft *r)
{
    /* splitmix64 (Steele, Lea, Flood 2014): a counter and a bijective mix. */
    r->rng += 0x9e3779b97f4a7c15u;
    uint64_t z = r->rng;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void raft__fail(struct raft *r, enum raft__fault why)
{
    if (r->role == RAFT_FAULTED) {
        return;
    }
    raft__reads_fail(r, RAFT_READ_NO_LEADER);
    r->role = RAFT_FAULTED;
    r->fault = why;
    r->leader = 0;
    r->transfer_to = 0;
    r->grant_to = 0;
    r->sends_count = r->actions.sends_count;
    r->rx.phase = RAFT__RX_NONE;
    r->rx.chunk_due = 0;
    raft__trace(r, RAFT_TRACE_FAULT, (struct raft__note){.a = why});
}

/* --- messages ------------------------------------------------------------------------------- */

_Static_assert(sizeof(struct raft_msg) == 96, "message_at sets every field");

/* Field by field: for a block of this size compilers make a string instruction of memset, which takes
 * longer to begin than all of this. */
static struct raft_msg *message_at(struct raft *r, uint32_t i, enum raft_msg_type type, raft_id to)
{
    struct raft_send *s = &r->sends[i];
    struct raft_msg *m = &s->msg;
    m->type = (uint8_t)type;
    m->flags = 0;
    m->reserved = 0;
    m->from = r->o.id;
    m->to = to;
    m->count = 0;
    m->term = r->term;
    m->seq = 0;
    m->index = 0;
    m->log_term = 0;
    m->commit = 0;
    m->hint = 0;
    m->hint_term = 0;
    m->snap_id = 0;
    m->offset = 0;
    m->total = 0;
    s->bytes = 0;
    return m;
}

struct raft_msg *raft__reply(struct raft *r, enum raft_msg_type type, raft_id to)
{
    if (r->sends_count >= RAFT__REPLIES_MAX) {
        r->ignored++;
        return NULL;
    }
    return message_at(r, r->sends_count++, type, to);
}

struct raft_send *raft__send(struct raft *r, enum raft_msg_type type, raft_id to)
{
    if (r->sends_count >= RAFT__SENDS_MAX) {
        r->more = 1;
        return NULL;
    }
    (void)message_at(r, r->sends_count, type, to);
    return &r->sends[r->sends_count++];
}

/* Tell the sender of an outdated request which term it is by now (it steps down). The request's number
 * is not repeated: should the sender lead this very term by then, it would be the number of another. */
static void refuse_old_term(struct raft *r, const struct raft_msg *m)
{
    static const uint8_t answer[RAFT_MSG_TYPE_END] = {
        [RAFT_MSG_APPEND] = RAFT_MSG_APPEND_REPLY,
        [RAFT_MSG_HEARTBEAT] = RAFT_MSG_HEARTBEAT_REPLY,
        [RAFT_MSG_SNAPSHOT] = RAFT_MSG_SNAPSHOT_REPLY,
        [RAFT_MSG_READ] = RAFT_MSG_READ_REPLY,
    };
    if (answer[m->type] == 0) {
        return; /* an old reply: nobody waits for a word about it */
    }
    struct raft_msg *reply = raft__reply(r, (enum raft_msg_type)answer[m->type], m->from);
    if (reply != NULL) {
        reply->flags = RAFT_FLAG_REJECT;
    }
}

static int from_leader(const struct raft_msg *m)
{
    return m->type == RAFT_MSG_APPEND || m->type == RAFT_MSG_HEARTBEAT ||
           m->type == RAFT_MSG_SNAPSHOT;
}

/* Apply the rule of terms to a message of another term. Return: 1 when the message is to be handled. */
static int enter_term(struct raft *r, const struct raft_msg *m)
{
    if (m->term < r->term) {
        refuse_old_term(r, m);
        return 0;
    }
    raft__become_follower(r, m->term, from_leader(m) ? m->from : 0);
    return 1;
}

/* A leader of this term speaks. Return: 1 when it is to be obeyed. */
static int heard(struct raft *r, const struct raft_msg *m)
{
    /* A term has one leader. Whoever claims a second one is broken, and is not obeyed. */
    if (r->role == RAFT_LEADER || (r->leader != 0 && r->leader != m->from)) {
        r->ignored++;
        return 0;
    }
    if (m->seq > r->leader_seq || RAFT_BUG(60)) {
        r->leader_seq = m->seq;
        raft__hear_leader(r, m->from);
        return 1;
    }
    /* A copy, or one that a newer one overtook: what it says holds, but not that the leader lives. */
    return r->role == RAFT_FOLLOWER && r->leader == m->from;
}

/* Elections have rules of their own for terms. */
static void receive_vote(struct raft *r, const struct raft_msg *m)
{
    switch (m->type) {
    case RAFT_MSG_PREVOTE:
        raft__handle_prevote(r, m);
        return;
    case RAFT_MSG_PREVOTE_REPLY:
        raft__handle_prevote_reply(r, m);
        return;
    case RAFT_MSG_VOTE:
        raft__handle_vote(r, m);
        return;
    default:
        raft__handle_vote_reply(r, m);
        return;
    }
}

/* from: who sent it; NULL: no member of the newest configuration. */
static void dispatch(struct raft *r, const struct raft_event *ev, struct raft__peer *from,
                     struct raft_accept *accept)
{
    const struct raft_msg *m = ev->msg;
    switch (m->type) {
    case RAFT_MSG_APPEND:
        raft__handle_append(r, ev, accept);
        break;
    case RAFT_MSG_APPEND_REPLY:
        raft__handle_append_reply(r, from, m);
        break;
    case RAFT_MSG_HEARTBEAT:
        raft__handle_heartbeat(r, m);
        break;
    case RAFT_MSG_HEARTBEAT_REPLY:
        raft__handle_heartbeat_reply(r, m);
        break;
    case RAFT_MSG_SNAPSHOT:
        raft__handle_snapshot(r, ev);
        break;
    case RAFT_MSG_SNAPSHOT_REPLY:
        raft__handle_snapshot_reply(r, m);
        break;
    case RAFT_MSG_TIMEOUT_NOW:
        raft__handle_timeout_now(r, m);
        break;
    case RAFT_MSG_READ:
        raft__handle_read(r, m);
        break;
    case RAFT_MSG_READ_REPLY:
        raft__handle_read_reply(r, m);
        break;
    default:
        r->ignored++;
        break;
    }
}

static void receive(struct raft *r, const struct raft_event *ev, struct raft_accept *accept)
{
    const struct raft_msg *m = ev->msg;
    if (m->to != r->o.id || m->from == 0 || m->from == r->o.id || m->term == 0 ||
        m->term > RAFT__TERM_MAX || m->type == 0 || m->type >= RAFT_MSG_TYPE_END) {
        r->ignored++;
        return;
    }
    if (m->type <= RAFT_MSG_VOTE_REPLY) {
        receive_vote(r, m);
        return;
    }
    if (raft__repair_deaf(r)) {
        return; /* an answer could break a promise that it has forgotten */
    }
    if (m->term != r->term && !enter_term(r, m)) {
        return;
    }
    RAFT_INVARIANT(m->term == r->term);
    if (from_leader(m) && !heard(r, m)) {
        return;
    }
    struct raft__peer *p = raft__peer_find(r, m->from);
    if (p != NULL) {
        p->heard = r->now;
    }
    dispatch(r, ev, p, accept);
}

/* --- events --------------------------------------------------------------------------------- */

static int io_done(struct raft *r, uint64_t seq)
{
    int rv = raft__io_complete(r, seq);
    if (rv != 0) {
        return rv;
    }
    if (r->role == RAFT_CANDIDATE) {
        raft__vote_durable(r);
    }
    if (r->role == RAFT_LEADER && r->stable > r->commit) {
        raft__advance_commit(r);
    }
    return 0;
}

static int applied(struct raft *r, raft_index index)
{
    if (index > r->commit) {
        return RAFT_EINVAL;
    }
    r->applied = raft__max(r->applied, index);
    return 0;
}

static int peer_link(struct raft *r, raft_id id, int up)
{
    struct raft__peer *p = raft__peer_find(r, id);
    if (p == NULL || id == r->o.id) {
        return 0; /* a connection to somebody outside the configuration */
    }
    raft__peer_link(r, p, up);
    raft__election_link(r, id, up);
    return 0;
}

/* Who is to hear at once what is committed. */
static int waits(struct raft *r, raft_id id, raft_index index, int here)
{
    if (id == 0) {
        r->waits = here != 0;
        return 0;
    }
    struct raft__peer *p = raft__peer_find(r, id);
    if (r->role == RAFT_LEADER && p != NULL) {
        p->awaits = raft__max(p->awaits, index);
    }
    return 0;
}

static void tick(struct raft *r)
{
    raft__reads_tick(r);
    if (r->role == RAFT_LEADER) {
        raft__leader_tick(r);
    } else {
        raft__election_tick(r);
    }
}

static int campaign(struct raft *r)
{
    if (r->o.lease_drift_ppm > 0 && raft__leader_heard(r)) {
        return 0; /* that leader may count on this member's not voting (read.c) */
    }
    if (r->role != RAFT_LEADER && raft__may_campaign(r)) {
        raft__campaign(r, 0);
    }
    return 0;
}

/* An event that brings no entries. */
static int step_plain(struct raft *r, const struct raft_event *ev)
{
    switch (ev->type) {
    case RAFT_EV_TICK:
        tick(r);
        return 0;
    case RAFT_EV_TRANSFER:
        return raft__transfer(r, ev->peer);
    case RAFT_EV_READ:
        return raft__read(r, ev->cookie, ev->value == 1);
    case RAFT_EV_CAMPAIGN:
        return campaign(r);
    case RAFT_EV_PEER_LINK:
        return peer_link(r, ev->peer, ev->value != 0);
    case RAFT_EV_WAITS:
        return waits(r, ev->peer, ev->index, ev->value != 0);
    case RAFT_EV_IO_DONE:
        return io_done(r, ev->io_seq);
    case RAFT_EV_IO_FAILED:
        if (RAFT_BUG(12)) {
            return io_done(r, r->io_seq);
        }
        raft__fail(r, RAFT__FAULT_DISK);
        return 0;
    case RAFT_EV_DISK:
        r->full_at = r->disk_full ? r->full_at : r->now;
        r->disk_full = ev->value == 0 || (RAFT_BUG(14) && r->disk_full);
        return 0;
    case RAFT_EV_APPLIED:
        return applied(r, ev->index);
    case RAFT_EV_SNAP_TAKEN:
        return raft__snap_taken(r, ev);
    case RAFT_EV_SNAP_STORED:
        return raft__snap_stored(r, ev);
    case RAFT_EV_SNAP_INSTALLED:
        return raft__snap_installed(r, ev);
    case RAFT_EV_SNAP_REJECTED:
        return raft__snap_rejected(r, ev);
    default:
        return RAFT_EINVAL;
    }
}

static int step_running(struct raft *r, const struct raft_event *ev, struct raft_accept *accept)
{
    switch (ev->type) {
    case RAFT_EV_RECV:
        if (ev->msg == NULL) {
            return RAFT_EINVAL;
        }
        raft__accept(accept, 0, 0, 0, 0);
        receive(r, ev, accept);
        return 0;
    case RAFT_EV_PROPOSE:
        return raft__propose(r, ev, accept);
    case RAFT_EV_PROPOSE_CONFIG:
        return raft__propose_config(r, ev, accept);
    default:
        return step_plain(r, ev);
    }
}

int raft_step(struct raft *r, const struct raft_event *ev, struct raft_accept *accept)
{
    int rv;
    if (r->role == RAFT_FAULTED) {
        return RAFT_EFAULTED;
    }
    r->quiet = 0;
    if (r->polled != 0) {
        r->polled = 2;
    }
    r->now = ev->now > r->now ? ev->now : r->now;
    if (r->boot == RAFT__BOOT_DONE) {
        rv = step_running(r, ev, accept);
        if (r->unsettled && r->role == RAFT_LEADER) {
            raft__change_step(r);
        }
    } else {
        rv = raft__boot_step(r, ev, accept);
    }
    return rv;
}

/* --- actions -------------------------------------------------------------------------------- */

/* The host writes what was just issued before it does anything else of this round. */
static void take_as_written(struct raft *r)
{
    if (r->role == RAFT_CANDIDATE) {
        r->more = 1; /* it may lead now: its first entry is to be written in the next round */
    }
    (void)io_done(r, r->io_seq); /* it was issued */
}

/* 1 when the round that was just built asks the host for nothing. */
static int round_is_empty(const struct raft *r)
{
    const struct raft_actions *a = &r->actions;
    return (a->persist_count | a->sends_count) == 0 &&
           (a->drops_count | a->trace_count | a->reads_count | r->more) == 0 && !a->state_changed &&
           r->chunk_out.type == 0 && r->install_out.index == 0;
}

/* Does the host know role, term, leader, fault and damage? If not, tell it. */
static void note_state(struct raft *r)
{
    if (r->role == r->seen_role && r->term == r->seen_term && r->leader == r->seen_leader &&
        r->fault == r->seen_fault && r->damage == r->seen_damage) {
        return;
    }
    r->actions.state_changed = 1;
    r->seen_role = r->role;
    r->seen_term = r->term;
    r->seen_leader = r->leader;
    r->seen_fault = r->fault;
    r->seen_damage = r->damage;
}

static void build_round(struct raft *r)
{
    struct raft_actions *a = &r->actions;
    r->more = 0;
    r->quiet = 1;
    if (r->role != RAFT_FAULTED && r->boot == RAFT__BOOT_DONE) {
        if (raft__log_room(r) <= RAFT__LOG_RESERVE) {
            raft__snap_make_room(r);
        }
        a->persist_count = raft__io_issue(r);
        if (r->o.sync_writes && a->persist_count > 0) {
            take_as_written(r);
        }
        /* Each of these asks again whether there is anything; most rounds are about entries only. */
        if (r->grant_to != 0 || r->role == RAFT_PRECANDIDATE || r->role == RAFT_CANDIDATE) {
            raft__election_round(r);
        }
        if (r->role == RAFT_FOLLOWER) {
            raft__follower_round(r);
        }
        if ((r->rx.phase | r->rx.chunk_due | r->rx.done_to) != 0) {
            raft__rx_round(r);
        }
        if (r->reads_fresh != 0) {
            raft__reads_round(r);
        }
        if (raft__repairing(r)) {
            raft__repair_round(r);
        }
        if (r->role == RAFT_LEADER) {
            raft__leader_round(r);
        }
    }
    a->sends_count = r->sends_count;
    a->drops_count = r->drops_count;
    a->trace_count = r->trace_count;
    a->reads_count = r->results_count;
    a->more = (int)r->more;
    note_state(r);
    r->quiet = r->quiet && round_is_empty(r);
}

const struct raft_actions *raft_poll(struct raft *r)
{
    struct raft_actions *a = &r->actions;
    if (!r->polled) {
        if (!r->quiet) { /* else nothing happened since the last round: an empty one */
            build_round(r);
        }
        a->commit = r->commit;
        r->polled = 1;
    }
    a->persist = r->persist;
    a->sends = r->sends;
    a->reads = (const struct raft_read *)(const void *)((const char *)r + r->results_offset);
    a->drops = r->drops;
    a->trace = r->trace;
    if (r->chunk_out.type != 0) {
        a->snap_chunk = &r->chunk_out;
    }
    if (r->install_out.index != 0) {
        a->snap_install = &r->install_out;
    }
    return a;
}

/* What events queued since the poll moves to the front. */
static void keep_rest(struct raft *r)
{
    const struct raft_actions *a = &r->actions;
    struct raft_read *results = (struct raft_read *)(void *)((char *)r + r->results_offset);
    r->sends_count -= a->sends_count;
    r->drops_count -= a->drops_count;
    r->trace_count -= a->trace_count;
    r->results_count -= a->reads_count;
    memmove(r->sends, r->sends + a->sends_count, r->sends_count * sizeof(r->sends[0]));
    memmove(r->drops, r->drops + a->drops_count, r->drops_count * sizeof(r->drops[0]));
    memmove(r->trace, r->trace + a->trace_count, r->trace_count * sizeof(r->trace[0]));
    memmove(results, results + a->reads_count, r->results_count * sizeof(results[0]));
}

void raft_done(struct raft *r)
{
    static const struct raft_actions nothing;
    if (!r->polled) {
        return;
    }
    if (r->polled == 1) { /* no event since */
        r->sends_count = r->drops_count = r->trace_count = r->results_count = 0;
    } else {
        keep_rest(r);
    }
    r->chunk_out.type = 0;
    r->install_out.index = 0;
    r->polled = 0;
    /* No pointer stays in the block between two rounds, nor anything else of the last one: members that are in
     * the same state are the same bytes. */
    r->actions = nothing;
}

raft_ns raft_deadline(const struct raft *r)
{
    if (r->role == RAFT_FAULTED || r->boot != RAFT__BOOT_DONE) {
        return RAFT__NEVER;
    }
    raft_ns at = raft__reads_deadline(r);
    raft_ns role_at =
        r->role == RAFT_LEADER ? raft__leader_deadline(r) : raft__election_deadline(r);
    at = at < role_at ? at : role_at;
    raft_ns repair_at = raft__repair_deadline(r);
    return at < repair_at ? at : repair_at;
}

int raft_io_awaited(const struct raft *r)
{
    if (r->io_count == 0 || r->role == RAFT_FAULTED) {
        return 0;
    }
    if (RAFT_BUG(64) && r->role == RAFT_LEADER) {
        return 0;
    }
    if (r->role != RAFT_LEADER || r->io_count > RAFT_IO_MAX / 2 || raft__commit_awaits_disk(r)) {
        return 1;
    }
    for (uint32_t i = 0; i < r->io_count; i++) {
        if (r->io[(r->io_head + i) % RAFT_IO_MAX].kind != RAFT_PERSIST_ENTRIES) {
            return 1; /* a snapshot's mark: files may go */
        }
    }
    return 0;
}

/* --- looking at a member -------------------------------------------------------------------- */

void raft_status(const struct raft *r, struct raft_status *ret_status)
{
    struct raft_status *s = ret_status;
    memset(s, 0, sizeof(*s));
    s->id = r->o.id;
    s->role = (enum raft_role)r->role;
    s->term = r->term;
    s->vote = r->vote;
    s->leader = r->leader;
    s->first = r->base + 1;
    s->last = r->last;
    s->commit = r->commit;
    s->applied = r->applied;
    s->stable = r->stable;
    s->snapshot = r->snapshot.index;
    s->transfer_to = r->transfer_to;
    s->leader_ready = r->role == RAFT_LEADER && r->leader_ready;
    s->removed = r->boot == RAFT__BOOT_DONE && raft__is_out(r);
    s->joint = r->voters_old != 0;
    s->config = r->configs_count == 0 ? 0 : raft__config(r)->index;
    s->lease_until = raft__lease_until(r);
    s->repairing = raft__repairing(r);
    s->quorum_contact = r->role == RAFT_LEADER ? raft__quorum_contact(r) : r->quorum_contact;
    s->ignored = r->ignored;
    s->fault = fault_text(r->fault);
    s->peers_count = r->peers_count;
    for (uint32_t i = 0; i < r->peers_count; i++) {
        const struct raft__peer *p = &r->peers[i];
        struct raft_peer_status *t = &s->peers[i];
        int self = i == r->self;
        t->id = p->id;
        t->roles = p->roles;
        t->last_heard = self ? r->now : p->heard;
        t->link_up = self || p->link == RAFT__LINK_UP;
        if (r->role == RAFT_LEADER) {
            t->match = self ? r->stable : p->match;
            t->next = self ? r->last + 1 : p->next;
            t->active = self || raft__active(r, p);
        }
    }
}

const struct raft_entry *raft_entry_at(const struct raft *r, raft_index index)
{
    return index > r->base && index <= r->last ? raft__entry(r, index) : NULL;
}

const struct raft_config_at *raft_config_at(const struct raft *r, raft_index index)
{
    for (uint32_t i = r->configs_count; i > 0; i--) {
        if (r->configs[i - 1].index <= index) {
            return index >= r->base && index <= r->last ? &r->configs[i - 1] : NULL;
        }
    }
    return NULL;
}

void raft_copy(void *dst, const struct raft *r)
{
    memcpy(dst, r, r->block_bytes);
}
