/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h: struct raft and what the files of the core offer each other.
 *
 * The block: struct raft, then four arrays whose sizes are options: the log ring, the in-flight
 * windows, the waiting reads, the read results. They are reached by the byte offsets kept in the
 * struct. The only pointers in the block are those of `actions`, set by raft_poll and cleared by
 * raft_done, so a copy made between two rounds is a whole member.
 *
 * Naming: raft__thing is for the files of the core, raft_thing is public.
 * Everything here runs on the one thread that owns the member. Nothing allocates or fails unless a
 * comment says so; `r` is always the member.
 */
#ifndef RAFT_INTERNAL_H
#define RAFT_INTERNAL_H

#include <string.h>
#include <coord/raft.h>
#include "raft/config.h"
#include "raft/invariant.h"
#include "raft/mutant.h"
#include "raft/trace.h"

#define RAFT__NEVER            UINT64_MAX
#define RAFT__TERM_MAX         (UINT64_MAX / 2) /* a peer cannot bring us near the end of counting */
#define RAFT__INDEX_MAX        (UINT64_MAX / 2) /* nor a snapshot near the end of indexes */
#define RAFT__SENDS_MAX        128u             /* messages in one round of actions */
#define RAFT__REPLIES_MAX      96u  /* of these, what events may queue before the round */
#define RAFT__PERSIST_MAX      4u   /* HARDSTATE, install mark, ENTRIES, compaction mark */
#define RAFT__DROPS_MAX        64u  /* lost proposal ranges in one round */
#define RAFT__TRACE_MAX        128u /* trace records in one round; more are not kept */
#define RAFT__SAMPLES          64u  /* times at which requests left, for the contact rule */
#define RAFT__PROBE_ENTRIES    8u   /* a probe takes along so few entries ... */
#define RAFT__PROBE_BYTES      (64u * 1024u) /* ... of so few bytes */
#define RAFT__LOG_SLOTS_MIN    16u
#define RAFT__LOG_RESERVE      8u /* slots at least that proposals leave, see raft__log_reserve */
#define RAFT__MSG_CONFIGS      4u /* CONFIG entries in one APPEND: a receiver remembers few */
#define RAFT__READS_MAX        65536u
#define RAFT__CONFIG_BYTES_MAX (64u * 1024u) /* a CONFIG entry stays small beside others */
#define RAFT__NO_SLOT          0xffu

enum raft__peer_state { RAFT__PROBE = 1, RAFT__REPLICATE = 2, RAFT__SNAPSHOT = 3 };
enum raft__link { RAFT__LINK_UNKNOWN = 0, RAFT__LINK_UP = 1, RAFT__LINK_DOWN = 2 };
enum raft__boot { RAFT__BOOT_NEW, RAFT__BOOT_SNAPSHOT, RAFT__BOOT_HARDSTATE, RAFT__BOOT_DONE };

/* Why a member has stopped; the texts stand in raft.c. */
enum raft__fault {
    RAFT__FAULT_NONE,
    RAFT__FAULT_DISK,       /* a write or sync failed */
    RAFT__FAULT_DIVERGENCE, /* a leader contradicts an entry that is committed here */
};

/* One APPEND with entries under way. */
struct raft__inflight {
    raft_index last;
    uint64_t bytes;
};

/* Another member, or this one (its progress fields are unused). The leader's view of how far the
 * log of that member agrees with its own: see progress.c for the states. */
struct raft__peer {
    raft_index match;    /* durable there and equal to ours */
    raft_index next;     /* the first entry not yet sent */
    raft_seq min_seq;    /* replies to older requests say nothing about progress (rule D3) */
    raft_seq append_seq; /* of the last APPEND to it */
    raft_seq acked_seq;  /* the newest request of this term that it answered, of any kind */
    raft_ns contact;     /* when that request left; 0 none */
    raft_ns heard;       /* when any message of this term came from it; 0 never */
    raft_ns retry_at;    /* when to probe, or to give up waiting; RAFT__NEVER */
    raft_index sent_commit;
    raft_index stream_from; /* where it began to REPLICATE last; back at the same place, nothing was
                               taken, and the next attempt waits */
    uint64_t inflight_bytes;
    uint64_t snap_id; /* the transfer under way; the index and term it stands for */
    raft_index snap_index;
    raft_term snap_term;
    uint64_t snap_total;
    uint64_t snap_next;    /* offset of the next chunk to send */
    uint64_t snap_acked;   /* stored there through here */
    raft_index round_goal; /* to be promoted: what it is to hold, and since when it is asked to; */
    raft_ns round_at;
    raft_id id;
    uint32_t roles;
    uint32_t state; /* enum raft__peer_state */
    uint32_t link;  /* enum raft__link */
    uint32_t lane;  /* which in-flight window is its own */
    uint32_t inflight_head;
    uint32_t inflight_count;
    uint32_t snap_open; /* the receiver answered: the window may fill */
    uint32_t stalled;   /* it said that its disk is behind or full */
    uint32_t vote_due;  /* a (PRE)VOTE is to be sent to it */
    uint32_t beat_due;  /* a HEARTBEAT is to be sent to it */
    uint32_t appended;  /* scratch of one round: an APPEND went to it */
    uint32_t caught_up; /* the last such round took less than election_min (change.c) */
    uint32_t waits;     /* it wants to hear of each commit at once */
    raft_index awaits;  /* somebody there waits for this one; it is told of it at once */
    raft_ns tell_at;    /* when it is to hear what it was not told of; RAFT__NEVER */
};

/* A persist action under way. */
struct raft__io {
    uint64_t seq;
    raft_term term;
    raft_index last; /* its completion makes the log durable through here; clipped by truncation */
    raft_ns at;
    uint32_t kind;
    raft_id vote;
};

/* A read waiting for its index. */
struct raft__read {
    uint64_t cookie;  /* the host's, or the asker's number when from is not 0 */
    raft_index index; /* once held no more */
    uint64_t mark;    /* leader: seq that a confirming request must exceed. Else: number of the READ
                         that asked, 0 while none did */
    raft_ns at;
    raft_id from;  /* the follower that asked; 0: a read of this host */
    uint32_t held; /* leader: arrived before an entry of this term was committed */
};

enum raft__rx_phase { RAFT__RX_NONE, RAFT__RX_CHUNKS, RAFT__RX_STORED, RAFT__RX_INSTALLING };

/* A snapshot being received. */
struct raft__rx {
    struct raft_snapshot snapshot;
    uint64_t accepted; /* bytes handed to the host */
    uint64_t stored;   /* of these, stored */
    raft_seq seq;      /* of the last chunk */
    struct raft_msg chunk;
    raft_id from;
    uint32_t phase;
    uint32_t chunk_due; /* `chunk` waits for the next round */
    uint32_t reply_due; /* 1: say how far we are; 2: and ask for what is missing */
    /* The closing reply, once the log of this member begins after done_index durably. */
    raft_id done_to;
    uint32_t reserved;
    raft_seq done_seq;
    raft_index done_index;
    uint64_t done_id;
    uint64_t done_total;
};

struct raft__sample {
    raft_seq seq; /* requests of this number and later ... */
    raft_ns at;   /* ... left at this time or later */
};

struct raft {
    uint64_t block_bytes;
    struct raft_options o;
    uint64_t log_offset;
    uint64_t inflight_offset;
    uint64_t reads_offset;
    uint64_t results_offset;
    uint32_t log_mask;
    uint32_t boot; /* enum raft__boot */

    raft_ns now;
    uint64_t rng;
    uint64_t ignored;

    /* The durable part as it stands in memory, and what the disk has of it (rule D2). */
    raft_term term;
    raft_term issued_term;
    raft_term durable_term;
    raft_id vote;
    raft_id issued_vote;
    raft_id durable_vote;
    uint32_t fault; /* enum raft__fault */

    /* The log: entries base + 1 .. last live in the ring (log.c). */
    raft_index base;
    raft_term base_term;
    raft_index last;
    raft_term last_term;
    raft_index commit;
    raft_index applied;
    raft_index stable;          /* durable and not superseded */
    raft_index persist_next;    /* first entry that no persist action carries yet */
    uint64_t uncommitted_bytes; /* leader only */
    raft_index own_first;       /* what this member proposed and does not know committed; 0 none */
    raft_index own_last;
    struct raft_snapshot snapshot; /* the newest */
    raft_index compact_to; /* base to move to once everything through it is issued; 0 none */
    uint32_t mark_install; /* a SNAPMARK is due before, */
    uint32_t mark_taken;   /* or after the entries of the next round */
    uint32_t configs_count;
    uint32_t disk_full;
    raft_ns full_at;                                 /* since when disk_full */
    struct raft_config_at configs[RAFT_CONFIGS_MAX]; /* the newest, ascending (membership.c) */

    /* Persist actions under way (io.c). */
    uint64_t io_seq;  /* the last issued */
    uint64_t io_done; /* the last completed */
    uint32_t io_head;
    uint32_t io_count;
    struct raft__io io[RAFT_IO_MAX];

    /* Members of the newest configuration, in its order (membership.c). */
    uint32_t peers_count;
    uint32_t self;       /* slot of this member, or RAFT__NO_SLOT */
    uint32_t voters;     /* slots that vote in the newest configuration */
    uint32_t voters_old; /* and in the outgoing one while joint; 0 otherwise */
    uint32_t unsettled;  /* a leader has something to do about the newest one (change.c) */
    uint32_t was_member; /* of a configuration that was in force here */
    /* A voter said that the configuration committed here, which this log does not reach, has no such
     * member; 0 none. */
    raft_index removed_at;
    struct raft__peer peers[RAFT_NODES_MAX];

    /* Role and elections (election.c). */
    uint32_t role; /* enum raft_role */
    raft_id leader;
    raft_ns wait;           /* the election wait drawn last */
    raft_ns election_at;    /* when this member stands for election */
    raft_seq leader_seq;    /* the newest number heard from the leader of this term */
    raft_ns contact;        /* when a leader was last heard, for stickiness */
    raft_ns patience;       /* ... for so long: election_min, or less after a boot (boot.c) */
    uint32_t sticky;        /* contact holds */
    uint32_t votes;         /* slots that granted */
    uint32_t rejects;       /* slots that refused */
    uint32_t transfer_vote; /* this campaign was ordered by the leader */
    uint64_t campaign;      /* number of this campaign; replies repeat it */
    raft_ns campaign_at;
    raft_seq grant_seq;
    raft_id grant_to;  /* a vote to be told once it is durable; 0 none */
    uint32_t own_vote; /* candidate: its own vote is durable and counted */
    raft_ns quorum_contact;

    /* Follower (follower.c). */
    raft_index verified; /* the log agrees with the leader of this term through here */
    raft_seq ack_seq;    /* the newest APPEND that was accepted */
    raft_index ack_sent; /* told durable through here */
    uint32_t ack_due;    /* answer even though there is nothing new */
    uint32_t nack_due;
    raft_seq nack_seq;
    raft_index nack_index;
    raft_index nack_hint;
    raft_term nack_hint_term;
    raft_seq beat_seq; /* a HEARTBEAT_REPLY with it is due; 0 none */
    uint64_t waits;    /* somebody here waits for what others commit */

    /* Leader (replication.c, progress.c). */
    raft_seq seq;       /* the last request's number */
    raft_seq round_seq; /* the last heartbeat round has the numbers after it */
    raft_ns lead_since;
    raft_ns beat_at;
    uint32_t leader_ready; /* an entry of this term is committed */
    raft_id transfer_to;
    raft_ns transfer_until;
    uint32_t transfer_told;
    uint32_t transfer_stall; /* because the own disk is stalled */
    uint32_t transfer_sent;  /* TIMEOUT_NOW left in this term, and may still arrive */
    uint32_t leaving;        /* because this member votes no more: steps down afterwards */
    uint32_t samples_head;
    uint32_t samples_count;
    struct raft__sample samples[RAFT__SAMPLES];

    struct raft__rx rx;

    /* Reads (read.c). */
    uint32_t reads_head;
    uint32_t reads_count;
    uint32_t results_count;
    uint32_t reads_fresh; /* follower: so many at the tail are not asked for yet */
    uint64_t read_number;

    /* Repair (repair.c). */
    uint32_t damage;         /* enum raft_damage: what is not made good yet */
    uint32_t repair_answers; /* VOTE: slots that told their term */
    raft_index
        damage_index; /* the furthest entry known to have been in the log, by term and index */
    raft_term damage_term;
    raft_ns caution_until;    /* TAIL: until then votes go to nobody with less */
    raft_ns repair_at;        /* when to ask again */
    uint64_t repair_number;   /* VOTE: of the questions for terms */
    uint64_t repair_first;    /* HOLE: the first READ of this boot; 0 none yet */
    raft_term repair_term;    /* HOLE: the leader of this term told since boot ... */
    raft_index repair_target; /* ... that its log ends here; 0 none did */

    /* Everything above decides the future; raft_hash covers it. Below: what is being said. */
    uint32_t polled; /* 1 between raft_poll and raft_done, 2 when an event came in between */
    uint32_t quiet;  /* the last round was empty and nothing happened since: so is the next */
    uint32_t seen_damage;
    uint32_t seen_role;
    raft_term seen_term;
    raft_id seen_leader;
    uint32_t seen_fault;
    uint32_t sends_count;
    uint32_t drops_count;
    uint32_t trace_count;
    uint32_t more;
    struct raft_persist persist[RAFT__PERSIST_MAX];
    struct raft_send sends[RAFT__SENDS_MAX];
    struct raft_drop drops[RAFT__DROPS_MAX];
    struct raft_trace trace[RAFT__TRACE_MAX];
    struct raft_msg chunk_out;
    struct raft_snapshot install_out;
    struct raft_actions actions;
};

/* --- the arrays behind the struct ----------------------------------------------------------- */

static inline struct raft_entry *raft__slot(struct raft *r, raft_index index)
{
    struct raft_entry *ring = (struct raft_entry *)(void *)((char *)r + r->log_offset);
    return &ring[index & r->log_mask];
}

static inline const struct raft_entry *raft__entry(const struct raft *r, raft_index index)
{
    const struct raft_entry *ring =
        (const struct raft_entry *)(const void *)((const char *)r + r->log_offset);
    return &ring[index & r->log_mask];
}

static inline struct raft__inflight *raft__window(struct raft *r, const struct raft__peer *p)
{
    struct raft__inflight *all = (struct raft__inflight *)(void *)((char *)r + r->inflight_offset);
    return &all[(size_t)p->lane * r->o.inflight_msgs_max];
}

static inline struct raft__read *raft__read_at(struct raft *r, uint32_t position)
{
    struct raft__read *ring = (struct raft__read *)(void *)((char *)r + r->reads_offset);
    uint32_t i = r->reads_head + position;
    return &ring[i >= r->o.reads_max ? i - r->o.reads_max : i];
}

static inline raft_index raft__min(raft_index a, raft_index b)
{
    return a < b ? a : b;
}

static inline raft_index raft__max(raft_index a, raft_index b)
{
    return a > b ? a : b;
}

/* a + b, or RAFT__NEVER when that is beyond the clock. */
static inline raft_ns raft__after(raft_ns a, raft_ns b)
{
    return a > RAFT__NEVER - b ? RAFT__NEVER : a + b;
}

/* Tell the host what became of its entries; accept is NULL when it does not ask. */
static inline void raft__accept(struct raft_accept *accept, raft_term term, raft_index first,
                                uint32_t skip, uint32_t count)
{
    if (accept != NULL) {
        accept->term = term;
        accept->first = first;
        accept->skip = skip;
        accept->count = count;
    }
}

/* These names are of this library alone: no way through a table for calls, no clash with a host's. */
#pragma GCC visibility push(hidden)

/* --- raft.c --------------------------------------------------------------------------------- */

/* Stop for good: no vote, no message, no entry after this. */
void raft__fail(struct raft *r, enum raft__fault why);
/* A message to `to`, zeroed but for type, from, to and the current term; it leaves with the next
 * round. Return: NULL when the queue is full: the message is lost, as on a network. */
struct raft_msg *raft__reply(struct raft *r, enum raft_msg_type type, raft_id to);
/* The same while a round is built. Return: NULL when the round is full; more is set then. */
struct raft_send *raft__send(struct raft *r, enum raft_msg_type type, raft_id to);
/* The next number of the generator, which is seeded by the options. */
uint64_t raft__random(struct raft *r);

/* --- boot.c --------------------------------------------------------------------------------- */

/* An event before BOOT_DONE. Return: 0, or RAFT_EINVAL, RAFT_EFULL for what cannot be. */
int raft__boot_step(struct raft *r, const struct raft_event *ev, struct raft_accept *accept);

/* --- log.c ---------------------------------------------------------------------------------- */

/* Term of the entry at index; base <= index <= last. */
static inline raft_term raft__log_term(const struct raft *r, raft_index index)
{
    RAFT_INVARIANT(index >= r->base);
    RAFT_INVARIANT(index <= r->last);
    return index == r->base ? r->base_term : raft__entry(r, index)->term;
}

/* Slots that are free. */
static inline uint32_t raft__log_room(const struct raft *r)
{
    return r->o.log_slots - (uint32_t)(r->last - r->base);
}

/* Slots that proposals leave to the first entries of leaders. Each leader that comes and goes without
 * committing anything takes one until something is committed; with none left, nobody can lead. */
static inline uint32_t raft__log_reserve(const struct raft *r)
{
    uint32_t part = r->o.log_slots / 64;
    return part > RAFT__LOG_RESERVE ? part : RAFT__LOG_RESERVE;
}

/* Put one entry after the last; there is room. */
static inline void raft__log_append(struct raft *r, raft_term term, uint32_t bytes, uint8_t type)
{
    RAFT_INVARIANT(term >= r->last_term);
    RAFT_INVARIANT(r->last - r->base < r->o.log_slots);
    struct raft_entry *e = raft__slot(r, ++r->last);
    *e = (struct raft_entry){.term = term, .bytes = bytes, .type = type};
    r->last_term = term;
}

/* Remove from .. last; from is above the commit index. Own proposals among them become drops,
 * pending writes are clipped, configurations fall back. */
void raft__log_truncate(struct raft *r, raft_index from);
/* The largest index in base .. hi whose term is at most `term`; hi <= last.
 * Return: 1 and *ret_index, or 0 when the base is of a later term already. */
int raft__log_find(const struct raft *r, raft_index hi, raft_term term, raft_index *ret_index);
/* Forget entries through index, which is at most the snapshot's. */
void raft__log_compact(struct raft *r, raft_index index);
/* Stand at the snapshot: keep the log after it when the entry at its index agrees, otherwise begin
 * an empty log. Return: 1 when kept. */
int raft__log_restore(struct raft *r, const struct raft_snapshot *s);
/* Raise the commit index to `to` (nothing when it is there already). */
void raft__commit_to(struct raft *r, raft_index to);

/* Leader: p acknowledged a request that left within election_min. */
static inline int raft__active(const struct raft *r, const struct raft__peer *p)
{
    return p->contact != 0 && r->now - p->contact <= r->o.election_min;
}

/* --- io.c ----------------------------------------------------------------------------------- */

/* Fill in persist[] of this round. Return: how many. */
uint32_t raft__io_issue(struct raft *r);
/* Everything through seq is durable. Return: 0, or RAFT_EINVAL when it was never issued. */
int raft__io_complete(struct raft *r, uint64_t seq);
/* The content at and after `from` is no more what pending writes carry (rule D1). */
void raft__io_clip(struct raft *r, raft_index from);
/* When the oldest write under way counts as stalled; RAFT__NEVER when none is. */
static inline raft_ns raft__io_stall_at(const struct raft *r)
{
    return r->io_count == 0 || RAFT_BUG(15) ? RAFT__NEVER
                                            : raft__after(r->io[r->io_head].at, r->o.disk_stall);
}
/* 1 when it does now. */
static inline int raft__io_stalled(const struct raft *r)
{
    return r->now >= raft__io_stall_at(r);
}
/* 1 when the current term is on disk. */
static inline int raft__term_durable(const struct raft *r)
{
    return r->durable_term == r->term || RAFT_BUG(3);
}

/* --- membership.c --------------------------------------------------------------------------- */

/* 1 when one can be pushed and the one in force at the applied index is still remembered. */
int raft__configs_room(const struct raft *r);
/* A configuration entry was appended at c->index. A full stack forgets its oldest. */
void raft__configs_push(struct raft *r, const struct raft_config_at *c);
/* Entries from `from` on are gone. */
void raft__configs_truncate(struct raft *r, raft_index from);
/* The log begins after base now; the one in force there stays. */
void raft__configs_compact(struct raft *r, raft_index base);
/* A snapshot replaced the log; those after its index stay when keep is 1. */
void raft__configs_restore(struct raft *r, const struct raft_snapshot *s, int keep);
/* The newest one. */
const struct raft_config_at *raft__config(const struct raft *r);
/* 1 when the newest one is committed. */
static inline int raft__config_committed(const struct raft *r)
{
    RAFT_INVARIANT(r->configs_count > 0);
    return r->configs[r->configs_count - 1].index <= r->commit || RAFT_BUG(37);
}
/* Roles of a member in c; 0 when it is none. */
uint32_t raft__roles_in(const struct raft_config *c, raft_id id);
/* 1 when a vote counts by these roles, in either half. */
static inline int raft__votes(uint32_t roles)
{
    return (roles & (RAFT_VOTER | RAFT_VOTER_OLD)) != 0;
}
/* 1 when a voter said that this member is removed, and its own log does not know better. */
int raft__removed(const struct raft *r);
/* 1 when this member was one, and by what it knows is none any more; not while a leader is heard, for
 * who is let in again may first hear of its removal. */
int raft__is_out(const struct raft *r);
/* Slot of a member of the newest configuration. Return: the peer, or NULL. */
static inline struct raft__peer *raft__peer_find(struct raft *r, raft_id id)
{
    for (uint32_t i = 0; i < r->peers_count; i++) {
        if (r->peers[i].id == id) {
            return &r->peers[i];
        }
    }
    return NULL;
}
static inline uint32_t raft__slot_of(const struct raft *r, const struct raft__peer *p)
{
    return (uint32_t)(p - r->peers);
}
/* 1 when the set of slots holds a majority (of both halves when joint). */
int raft__quorum_has(const struct raft *r, uint32_t slots);
/* The largest v such that a quorum of slots has values[slot] >= v; 0 when nobody votes. */
uint64_t raft__quorum_value(const struct raft *r, const uint64_t *values);
/* 1 when this member may stand for election. */
int raft__may_campaign(const struct raft *r);

/* --- change.c ------------------------------------------------------------------------------- */

int raft__propose_config(struct raft *r, const struct raft_event *ev, struct raft_accept *accept);
/* Leader: take the next step of a change under way, if it is due. */
void raft__change_step(struct raft *r);
/* Begin to watch whether a peer that is to be promoted catches up. */
void raft__round_begin(const struct raft *r, struct raft__peer *p);

/* --- election.c ----------------------------------------------------------------------------- */

void raft__become_follower(struct raft *r, raft_term term, raft_id leader);
/* Stand for election: pre-vote first, unless ordered to (transfer) or alone. */
void raft__campaign(struct raft *r, int transfer);
/* A leader gives up leading in its term: 1 quorum lost, 2 disk stalled, 3 votes no more. */
void raft__step_down(struct raft *r, uint64_t why);
/* 1 while this member votes for nobody because it heard a leader, or is one. */
int raft__leader_heard(const struct raft *r);
/* A leader of the current term was heard. */
static inline void raft__hear_leader(struct raft *r, raft_id leader)
{
    RAFT_INVARIANT(r->role != RAFT_LEADER);
    if (r->role != RAFT_FOLLOWER || r->leader != leader) {
        raft__become_follower(r, r->term, leader);
    }
    r->contact = r->now;
    r->patience = r->o.election_min;
    r->sticky = 1;
    r->quorum_contact = r->now;
    r->election_at = raft__after(r->now, r->wait);
}
void raft__handle_prevote(struct raft *r, const struct raft_msg *m);
void raft__handle_prevote_reply(struct raft *r, const struct raft_msg *m);
void raft__handle_vote(struct raft *r, const struct raft_msg *m);
void raft__handle_vote_reply(struct raft *r, const struct raft_msg *m);
void raft__handle_timeout_now(struct raft *r, const struct raft_msg *m);
/* The own vote may be durable now. */
void raft__vote_durable(struct raft *r);
/* The link to peer changed. */
void raft__election_link(struct raft *r, raft_id peer, int up);
/* Requests and grants of this round. */
void raft__election_round(struct raft *r);
void raft__election_tick(struct raft *r);
raft_ns raft__election_deadline(const struct raft *r);

/* --- follower.c ----------------------------------------------------------------------------- */

void raft__handle_append(struct raft *r, const struct raft_event *ev, struct raft_accept *accept);
void raft__handle_heartbeat(struct raft *r, const struct raft_msg *m);
/* Replies of this round, as far as the disk allows them. */
void raft__follower_round(struct raft *r);

/* --- replication.c -------------------------------------------------------------------------- */

/* p: the sender; NULL: none of the newest configuration. */
void raft__handle_append_reply(struct raft *r, struct raft__peer *p, const struct raft_msg *m);
void raft__handle_heartbeat_reply(struct raft *r, const struct raft_msg *m);
/* The peer's log agrees with ours through `verified`, and through `match` on its disk. */
void raft__peer_agrees(struct raft *r, struct raft__peer *p, raft_index match, raft_index verified);
/* 1 when a quorum would hold more than is committed once all of this log is on the own disk. */
int raft__commit_awaits_disk(const struct raft *r);
/* Raise the commit index to what a quorum holds durably, if of this term. */
void raft__advance_commit(struct raft *r);
void raft__leader_round(struct raft *r);
/* The commit index as far as the peer can make use of it: what it was sent, durable there or not. */
static inline raft_index raft__commit_for(const struct raft *r, const struct raft__peer *p)
{
    raft_index usable = p->state == RAFT__REPLICATE ? p->next - 1 : p->match;
    return raft__min(r->commit, usable);
}
/* The next request number; notes when it left. */
raft_seq raft__next_seq(struct raft *r);

/* --- leader.c ------------------------------------------------------------------------------- */

void raft__become_leader(struct raft *r);
int raft__propose(struct raft *r, const struct raft_event *ev, struct raft_accept *accept);
int raft__transfer(struct raft *r, raft_id peer);
/* This leader votes no more: hand over, then step down in any case. */
void raft__hand_over(struct raft *r);
/* Tell the target of a transfer once it holds everything. */
void raft__transfer_round(struct raft *r);
void raft__leader_tick(struct raft *r);
raft_ns raft__leader_deadline(const struct raft *r);
/* A quorum, this member included, answered requests that left at this time or later. */
raft_ns raft__quorum_contact(const struct raft *r);
/* The same without this member's own election: a quorum heard this leader at this time or later. */
raft_ns raft__quorum_heard(const struct raft *r);
/* p answered request seq. */
void raft__contact(struct raft *r, struct raft__peer *p, const struct raft_msg *m);

/* --- progress.c ----------------------------------------------------------------------------- */

void raft__peer_reset(struct raft *r, struct raft__peer *p, raft_index next);
/* The window stays as it is: cut it when the entries in it are known to be lost. */
void raft__peer_probe(struct raft *r, struct raft__peer *p, raft_index next, raft_ns retry_at);
void raft__peer_replicate(struct raft *r, struct raft__peer *p, raft_index next);
void raft__peer_snapshot(struct raft *r, struct raft__peer *p);
/* The peer holds everything through index durably. Return: 1 when that is news. */
int raft__peer_match(struct raft *r, struct raft__peer *p, raft_index index);
/* Of the window: room for one more; add; forget what is beyond `accepted`. */
static inline int raft__window_open(const struct raft *r, const struct raft__peer *p)
{
    return p->inflight_count < r->o.inflight_msgs_max &&
           p->inflight_bytes < r->o.inflight_bytes_max;
}
static inline void raft__window_add(struct raft *r, struct raft__peer *p, raft_index last,
                                    uint64_t bytes)
{
    RAFT_INVARIANT(p->inflight_count < r->o.inflight_msgs_max);
    struct raft__inflight *w = raft__window(r, p);
    uint32_t at = p->inflight_head + p->inflight_count++;
    at = at >= r->o.inflight_msgs_max ? at - r->o.inflight_msgs_max : at;
    w[at].last = last;
    w[at].bytes = bytes;
    p->inflight_bytes += bytes;
}
void raft__window_cut(struct raft *r, struct raft__peer *p, raft_index accepted);
/* How long to wait for an answer before asking again. */
static inline raft_ns raft__retry_ns(const struct raft *r)
{
    raft_ns beats = 2 * r->o.heartbeat;
    raft_ns half = r->o.election_min / 2;
    return beats > half ? beats : half;
}
/* The link to it broke or came up. */
void raft__peer_link(struct raft *r, struct raft__peer *p, int up);

/* --- read.c --------------------------------------------------------------------------------- */

int raft__read(struct raft *r, uint64_t cookie, int lease);
/* Until when no other leader can be elected; 0 when nothing is known to forbid it. */
raft_ns raft__lease_until(const struct raft *r);
/* The number of one more question to the leader; no answer to an earlier life of this member fits. */
uint64_t raft__read_question(struct raft *r);
void raft__handle_read(struct raft *r, const struct raft_msg *m);
void raft__handle_read_reply(struct raft *r, const struct raft_msg *m);
/* Answer every waiting read of this host with result; forget those of others. */
void raft__reads_fail(struct raft *r, enum raft_read_result result);
/* An entry of this term is committed: held reads get their index. */
void raft__reads_ready(struct raft *r);
/* Leader: a newer request was answered; release what a quorum confirms. */
void raft__reads_confirm(struct raft *r);
/* 1 when the last heartbeat round does not cover all waiting reads. */
int raft__reads_want_round(const struct raft *r);
void raft__reads_round(struct raft *r);
void raft__reads_tick(struct raft *r);
raft_ns raft__reads_deadline(const struct raft *r);

/* --- snapshot.c ----------------------------------------------------------------------------- */

int raft__snap_taken(struct raft *r, const struct raft_event *ev);
/* When the log is nearly full, what the snapshot covers goes with this round, kept or not. */
void raft__snap_make_room(struct raft *r);
int raft__snap_stored(struct raft *r, const struct raft_event *ev);
int raft__snap_installed(struct raft *r, const struct raft_event *ev);
int raft__snap_rejected(struct raft *r, const struct raft_event *ev);
void raft__handle_snapshot(struct raft *r, const struct raft_event *ev);
void raft__handle_snapshot_reply(struct raft *r, const struct raft_msg *m);
/* Chunks to one peer. */
void raft__send_chunks(struct raft *r, struct raft__peer *p);
/* Replies and tasks of the receiver in this round. */
void raft__rx_round(struct raft *r);
/* 1 when a host is loading a snapshot: the log waits. */
static inline int raft__rx_installing(const struct raft *r)
{
    return r->rx.phase == RAFT__RX_STORED || r->rx.phase == RAFT__RX_INSTALLING;
}
/* 1 when s is complete and sane. */
int raft__snapshot_valid(const struct raft_snapshot *s);

/* --- repair.c ------------------------------------------------------------------------------- */

/* BOOT_DAMAGE. Return: 0 or RAFT_EINVAL. */
int raft__repair_boot(struct raft *r, const struct raft_event *ev);
/* Boot is done, and r->damage is not 0. */
void raft__repair_begin(struct raft *r);
/* 1 while entries are to be made good: no votes, no candidacy. */
static inline int raft__repairing(const struct raft *r)
{
    return (r->damage & (RAFT_DAMAGE_HOLE | RAFT_DAMAGE_VOTE)) != 0;
}
/* 1 while its term is in doubt: it takes no part but in the questions about terms. */
static inline int raft__repair_deaf(const struct raft *r)
{
    return (r->damage & RAFT_DAMAGE_VOTE) != 0;
}
/* 1 when the (PRE)VOTE m may be granted, 1 when this member may stand, as far as damage goes. */
int raft__repair_may_grant(const struct raft *r, const struct raft_msg *m);
int raft__repair_may_stand(const struct raft *r);
/* A PREVOTE with RAFT_FLAG_ASK, and the reply to one. */
void raft__repair_answer(struct raft *r, const struct raft_msg *m);
void raft__repair_told(struct raft *r, const struct raft_msg *m);
/* A READ_REPLY of the leader of this term. */
void raft__repair_read(struct raft *r, const struct raft_msg *m);
/* Questions of this round, and the end of the repair; only while raft__repairing. */
void raft__repair_round(struct raft *r);
raft_ns raft__repair_deadline(const struct raft *r);

/* --- trace.c -------------------------------------------------------------------------------- */

struct raft__note {
    raft_id peer;
    uint64_t a, b, c;
};
void raft__trace_keep(struct raft *r, enum raft_trace_code code, struct raft__note note);
/* Keep a trace record, when the options ask for it. */
static inline void raft__trace(struct raft *r, enum raft_trace_code code, struct raft__note note)
{
    if (r->o.trace) {
        raft__trace_keep(r, code, note);
    }
}

#pragma GCC visibility pop

#endif
