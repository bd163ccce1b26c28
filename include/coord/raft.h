/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft.h: the consensus core of coord, a library of its own (libcoord-raft).
 *
 * Object model
 *   One `struct raft` is one member of one group. It lives in a single block of memory that the
 *   caller provides (raft_size, raft_init) and holds no pointer, so memcpy of the block is a copy of
 *   the member. It takes events (raft_step) and yields actions (raft_poll / raft_done). It does no
 *   I/O, reads no clock, allocates nothing, calls nobody back and never sees an entry's payload.
 *
 * The loop of a host
 *     raft_step(r, &event, &accept)      any number of times
 *     a = raft_poll(r)                   everything that is to be done now
 *     ... hand a->persist to the disk, a->sends to the network, apply through a->commit ...
 *     raft_done(r)                       the arrays of `a` are no longer valid
 *     (again while a->more)
 *
 * What must be durable before what may leave
 *   The core keeps back what is not safe yet: every action returned by raft_poll may be carried out
 *   at once, in any order, except that the persist actions are carried out in their order.
 *
 *     what leaves the member                    | must be on disk before (kept back by the core)
 *     ------------------------------------------+---------------------------------------------------
 *     VOTE request (own vote counted)           | term and own vote
 *     VOTE_REPLY granted                        | term and vote
 *     VOTE_REPLY rejected with a higher term    | nothing (a promise of nothing)
 *     PREVOTE, PREVOTE_REPLY                    | nothing
 *     APPEND by the leader                      | the leader's term (its vote made it durable)
 *     APPEND_REPLY matching through index i     | entries <= i, and the term
 *     APPEND_REPLY rejecting                    | nothing
 *     HEARTBEAT, HEARTBEAT_REPLY                | nothing
 *     SNAPSHOT, SNAPSHOT_REPLY for a chunk      | nothing; the last one: the snapshot installed
 *     TIMEOUT_NOW                               | nothing
 *     commit (apply, answers to clients)        | a quorum, each counted from its own disk
 *     read confirmed                            | nothing; an entry of this term is committed
 *
 * Hosts that write at once
 *   With options.sync_writes the host carries out the persist actions of a round before anything else
 *   of it (sends, commit, answers), and raft_done says that they are durable: there is no IO_DONE, and
 *   an acknowledgement leaves in the round of its write instead of the next. When a write fails the
 *   host gives IO_FAILED and does nothing else of that round. Without the option a round does not wait
 *   for the disk, which is faster wherever a sync takes longer than a round.
 *
 * Threads: nothing here is thread-safe; one `struct raft` belongs to one thread.
 *
 * Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (extended
 * version, 2014), below "Raft"; Ongaro, "Consensus: Bridging Theory and Practice" (2014), below
 * "thesis".
 */
#ifndef COORD_RAFT_H
#define COORD_RAFT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t raft_index; /* 1 is the first entry; 0 is "before the first" */
typedef uint64_t raft_term;
typedef uint64_t raft_seq; /* number of a leader's request, monotone within its term */
typedef uint64_t raft_ns;  /* nanoseconds on the host's monotonic clock */
typedef uint32_t raft_id;  /* a member's id, never used again for another; 0 is "none" */

#define RAFT_NODES_MAX    15  /* members of a configuration, learners included */
#define RAFT_INFLIGHT_MAX 256 /* APPEND messages under way to one peer */
#define RAFT_CONFIGS_MAX  8   /* configurations that a member remembers; an APPEND has fewer */
#define RAFT_IO_MAX       256 /* persist actions under way */

/* ------------------------------------------------------------------------------------------- */
/* Errors of this library: negative, returned by raft_step and raft_init.                       */

#define RAFT_ERRORS(X)                                        \
    X(EINVAL, -1, "an argument or option is out of range")    \
    X(ENOTLEADER, -2, "this member is not the leader")        \
    X(ETRANSFER, -3, "leadership is being handed over")       \
    X(EFULL, -4, "the log or the uncommitted window is full") \
    X(ENOSPACE, -5, "the disk is nearly full")                \
    X(EBUSY, -6, "another such request is under way")         \
    X(EFAULTED, -7, "this member has stopped after a fault")  \
    X(ENOTREADY, -8, "no entry of this term is committed yet")

enum raft_error {
#define X(name, value, text) RAFT_##name = value,
    RAFT_ERRORS(X)
#undef X
};

/* The text of an error code (0: "no error"; one that is not in the table: "unknown error").
 * Ownership: static text. Errors: none. Thread: any. Return: never NULL. */
const char *raft_strerror(int error);

/* ------------------------------------------------------------------------------------------- */
/* Values                                                                                        */

enum raft_entry_type {
    RAFT_ENTRY_NOOP = 1,    /* the leader's first of a term; no payload */
    RAFT_ENTRY_COMMAND = 2, /* the host's */
    RAFT_ENTRY_CONFIG = 3   /* a configuration; the host stores its encoding as the payload */
};

/* What the core knows of an entry. */
struct raft_entry {
    raft_term term;
    uint32_t bytes; /* of its payload */
    uint8_t type;   /* enum raft_entry_type */
    uint8_t reserved[3];
};

/* Roles of a member in a configuration: a set of bits. A configuration is joint (Raft section 6)
 * while any member has RAFT_VOTER_OLD. The marks say what the next step of a change under way will make
 * of the member, so that any later leader can go on with it; they count for nothing else. */
enum raft_member_role {
    RAFT_VOTER = 1,     /* votes in the new (or only) configuration */
    RAFT_VOTER_OLD = 2, /* votes in the outgoing one */
    RAFT_LEARNER = 4,   /* receives the log, counts for nothing */
    RAFT_PROMOTE = 8,   /* mark of a learner: becomes a voter once it has caught up */
    RAFT_DEMOTE = 16,   /* mark of a voter (old or new): becomes a learner */
    RAFT_REMOVE = 32    /* mark: leaves */
};

struct raft_member {
    raft_id id;
    uint32_t roles;
};

struct raft_config {
    uint32_t count;
    struct raft_member members[RAFT_NODES_MAX]; /* ascending by id */
};

/* Bytes in which raft_config_encode (raft_storage.h) writes a configuration. The core makes CONFIG
 * entries by itself, as it makes NOOP entries, and counts options.config_bytes for each: a host whose
 * payload has more than the roles (addresses, say) sets that option and pads to it. */
#define RAFT_CONFIG_BYTES 128

/* A configuration and the index of the entry that carries it. */
struct raft_config_at {
    raft_index index;
    struct raft_config config;
};

/* Where a snapshot stands. */
struct raft_snapshot {
    raft_index index;
    raft_term term;
    raft_index config_index;
    struct raft_config config; /* in force at index */
    uint64_t snap_id;          /* the host's name for the file; 0 none */
    uint64_t bytes;            /* of the file, for its transfer */
};

enum raft_role {
    RAFT_FOLLOWER = 1,
    RAFT_PRECANDIDATE = 2,
    RAFT_CANDIDATE = 3,
    RAFT_LEADER = 4,
    RAFT_FAULTED = 5 /* stopped; takes no further part, see status.fault */
};

/* ------------------------------------------------------------------------------------------- */
/* Options                                                                                       */

struct raft_options {
    raft_id id;           /* this member; not 0 */
    uint64_t rng_seed;    /* seeds election jitter; differ it per member and boot */
    raft_ns election_min; /* default 500 ms; a follower waits election_min .. election_max */
    raft_ns election_max; /* default 2 x election_min */
    raft_ns heartbeat;    /* default 50 ms; at most election_min / 3 */
    raft_ns disk_stall; /* default election_min: a leader whose oldest write is older steps down */
    raft_ns link_hint;  /* default 10 ms: pre-vote within 1 .. 2 times this after the link to the
                             leader broke; 0 ignores broken links */
    raft_ns commit_delay; /* default 0: followers are told at once that an entry is committed. Else
                             the word waits for the next APPEND, this long at most, unless somebody
                             waits for it there (RAFT_EV_WAITS); at most heartbeat */
    uint32_t inflight_msgs_max;  /* default 64; 1 .. RAFT_INFLIGHT_MAX */
    uint32_t inflight_bytes_max; /* default 8 MiB, per peer */
    uint32_t msg_bytes_max;      /* default 1 MiB of payload in one APPEND (one entry may exceed) */
    uint32_t msg_entries_max;    /* default 4096 */
    uint64_t uncommitted_bytes_max; /* default 64 MiB: more answers RAFT_EFULL */
    uint32_t log_slots;           /* default 262144: entries kept after the snapshot; power of 2 */
    uint32_t reads_max;           /* default 64: READ events waiting; more answer RAFT_EBUSY */
    uint32_t chunk_bytes;         /* default 256 KiB of a snapshot file per message */
    uint32_t chunks_inflight_max; /* default 4 */
    uint32_t priority; /* default 1; n multiplies the election wait by n: a larger waits longer */
    uint32_t config_bytes; /* default RAFT_CONFIG_BYTES: what each CONFIG entry counts, see there */
    uint32_t
        lease_drift_ppm; /* default 0: no lease. Else clocks of members run apart by at most this
                                 much, and a READ may ask for the lease; needs link_hint 0, for a
                                 member that lost its link no longer waits for the leader's lease.
                                 All members of a group have it, or none (why: raft/read.c) */
    uint32_t
        sync_writes; /* default 0. 1: writes are part of a round, for hosts whose disk takes next to
                             no time: see "Hosts that write at once" above */
    uint32_t trace;  /* default 0; 1 fills actions.trace */
};

/* Fill in the defaults: all of *o is written. id and rng_seed are 0 then and the caller's to set.
 * Ownership: o stays the caller's. Errors: none. Thread: any. Return: none. */
void raft_options_init(struct raft_options *o);

/* ------------------------------------------------------------------------------------------- */
/* Messages between members. The host encodes them; entries travel behind the header.            */

enum raft_msg_type {
    RAFT_MSG_PREVOTE = 1,
    RAFT_MSG_PREVOTE_REPLY,
    RAFT_MSG_VOTE,
    RAFT_MSG_VOTE_REPLY,
    RAFT_MSG_APPEND,
    RAFT_MSG_APPEND_REPLY,
    RAFT_MSG_HEARTBEAT,
    RAFT_MSG_HEARTBEAT_REPLY,
    RAFT_MSG_SNAPSHOT, /* one chunk; the host attaches `length` bytes at `offset` of snap_id */
    RAFT_MSG_SNAPSHOT_REPLY,
    RAFT_MSG_TIMEOUT_NOW,
    RAFT_MSG_READ, /* a follower asks the leader for a read index (thesis 6.4) */
    RAFT_MSG_READ_REPLY,
    RAFT_MSG_TYPE_END
};

enum raft_msg_flag {
    RAFT_FLAG_REJECT = 1,   /* of a reply */
    RAFT_FLAG_TRANSFER = 2, /* (PRE)VOTE: told to by the leader; stickiness does not apply */
    RAFT_FLAG_STALLED = 4, /* APPEND_REPLY, HEARTBEAT_REPLY: this member's disk is behind or full */
    RAFT_FLAG_LAST = 8,    /* SNAPSHOT: the last chunk */
    RAFT_FLAG_ASK =
        16, /* PREVOTE and its reply: of a member under repair that asks for terms; always
                          refused, without any effect */
    RAFT_FLAG_WAITS = 32 /* APPEND_REPLY, HEARTBEAT_REPLY: tell me at once what is committed */
};

struct raft_msg {
    uint8_t type;  /* enum raft_msg_type */
    uint8_t flags; /* enum raft_msg_flag */
    uint16_t reserved;
    raft_id from;
    raft_id to;
    uint32_t count; /* APPEND: entries behind the header. SNAPSHOT: bytes of the chunk */
    raft_term term;
    raft_seq seq;       /* of a leader's request; a reply repeats it. READ: the asker's number.
                            (PRE)VOTE: of the campaign. HEARTBEAT 0: tells commit, wants no reply */
    raft_index index;   /* APPEND: previous. VOTE: last. APPEND_REPLY: matched (durably) or rejected
                            previous. HEARTBEAT_REPLY: matched (durably).
                            SNAPSHOT: its index. READ_REPLY: the read index. TIMEOUT_NOW: last.
                            PREVOTE_REPLY to RAFT_FLAG_ASK: of the newest configuration */
    raft_term log_term; /* term of the entry at index */
    raft_index
        commit; /* of the leader; the receiver goes no further than it agrees with the leader */
    raft_index hint;     /* rejecting APPEND_REPLY: where the logs may meet. Other APPEND_REPLY and
                            HEARTBEAT_REPLY: agrees with the leader through here, durable or not.
                            READ_REPLY: the last entry of the leader */
    raft_term hint_term; /* rejecting APPEND_REPLY: the own term at hint */
    uint64_t snap_id;    /* SNAPSHOT and its reply */
    uint64_t offset;     /* SNAPSHOT: of the chunk. Reply: stored through here */
    uint64_t total;      /* SNAPSHOT: bytes of the whole file */
};

/* ------------------------------------------------------------------------------------------- */
/* Events                                                                                        */

enum raft_event_type {
    /* Boot, in this order; nothing else before BOOT_DONE. */
    RAFT_EV_BOOT_SNAPSHOT =
        1,                  /* snapshot; for a fresh member index 0 with the first configuration */
    RAFT_EV_BOOT_HARDSTATE, /* hardstate, as found on disk (all zero when fresh) */
    RAFT_EV_BOOT_ENTRIES,   /* entries first .. first + count - 1, and their configurations; may
                                  begin before the snapshot; accept says which of them are the log */
    RAFT_EV_BOOT_DAMAGE,    /* only if so: value: enum raft_damage; index and hardstate.term: the
                                  furthest entry known to have been in the log, 0 unknown */
    RAFT_EV_BOOT_DONE,

    RAFT_EV_TICK,           /* time passed; due at raft_deadline */
    RAFT_EV_RECV,           /* a message from a peer */
    RAFT_EV_PROPOSE,        /* count entries of type COMMAND; only `bytes` of each is read */
    RAFT_EV_PROPOSE_CONFIG, /* config: who is to vote and who is to learn in the end (roles VOTER and
                               LEARNER only). The core takes the steps: new voters learn first, then
                               a joint configuration, then the target. accept says where the first
                               CONFIG entry stands; its payload is the host's encoding of
                               raft_config_at(index), as for those that follow by themselves */
    RAFT_EV_TRANSFER,       /* hand leadership to `peer`, or to the best one when 0 (thesis 3.10) */
    RAFT_EV_READ,           /* a linearizable read waits; answered in actions.reads by `cookie`.
                          value 1: a leader may answer by its lease, if it has one; `now` was
                          then read after the request arrived, by a clock that counts sleep too */
    RAFT_EV_CAMPAIGN,       /* stand for election now; with lease_drift_ppm not while a leader was
                               heard within election_min */
    RAFT_EV_PEER_LINK,      /* the connection to `peer` is up (value 1) or broke (value 0) */

    RAFT_EV_IO_DONE,   /* everything through io_seq is durable */
    RAFT_EV_IO_FAILED, /* a write or sync failed: final, the member is FAULTED */
    RAFT_EV_DISK,      /* value: 1 there is room for more entries, 0 there is not */
    RAFT_EV_APPLIED,   /* the host has applied through index */

    RAFT_EV_SNAP_TAKEN,  /* snapshot: durable, with file; entries <= `index` may go (index at most
                               the snapshot's: what is kept spares slow followers a transfer) */
    RAFT_EV_SNAP_STORED, /* a received chunk is stored: snap_id through offset */
    RAFT_EV_SNAP_INSTALLED, /* snapshot: the state machine now stands there, and it is durable */
    RAFT_EV_SNAP_REJECTED,  /* snap_id failed its verification; the leader begins again */

    RAFT_EV_WAITS /* with commit_delay: who is to hear at once what is committed. peer 0: this
                     member, whatever it is, from now on (value 1) or no longer (value 0). Else,
                     on a leader: `peer`, when `index` is */
};

/* What recovery found missing: a set of bits. A member that may have forgotten what it promised neither
 * votes nor stands for election until its log is whole again (status.repairing), which comes about by
 * itself; the host then calls raft_wal_repaired. */
enum raft_damage {
    RAFT_DAMAGE_TAIL =
        1, /* an unacknowledged tail was cut: for two election_max after boot, votes go
                             only to members that hold at least `index`. Protects against disks that
                             lie about a sync, and gives way so that a group can always start */
    RAFT_DAMAGE_HOLE = 2, /* acknowledged entries are lost */
    RAFT_DAMAGE_VOTE = 4  /* and perhaps a term and vote: it asks every voter for its term first */
};

/* A tagged union in one struct: each event reads the fields its line above names. Everything is
 * borrowed for the call only. */
struct raft_event {
    enum raft_event_type type;
    raft_ns now; /* every event has it; never goes back */

    raft_id peer;
    uint64_t cookie;
    uint64_t value;
    uint64_t io_seq;
    raft_index index;
    struct {
        raft_term term;
        raft_id vote;
        raft_index commit;
    } hardstate;
    const struct raft_snapshot *snapshot;
    const struct raft_config *config; /* PROPOSE_CONFIG */
    uint64_t snap_id;
    uint64_t offset;

    const struct raft_msg *msg;
    raft_index first;                     /* BOOT_ENTRIES */
    const struct raft_entry *entries;     /* BOOT_ENTRIES, PROPOSE, RECV of APPEND */
    uint32_t count;                       /* of entries; RECV: msg->count */
    const struct raft_config_at *configs; /* decoded configurations among the entries; for RECV
                                              of SNAPSHOT exactly one, the snapshot's own */
    uint32_t configs_count;
};

/* What became of PROPOSE, or of the entries of an APPEND: the host puts the payloads of
 * entries[skip .. skip + count - 1] into its own log at first .. first + count - 1 and forgets
 * whatever it held at or after first. count is 0 when there is nothing to put. */
struct raft_accept {
    raft_term term;
    raft_index first;
    uint32_t skip;
    uint32_t count;
};

/* ------------------------------------------------------------------------------------------- */
/* Actions                                                                                       */

enum raft_persist_kind {
    RAFT_PERSIST_HARDSTATE = 1, /* term, vote, commit */
    RAFT_PERSIST_ENTRIES = 2, /* first .. first + count - 1; discards what was at or after first */
    RAFT_PERSIST_SNAPMARK = 3 /* the log now begins after index (snapshot installed or taken) */
};

/* In order; IO_DONE{io_seq} says that this one and all before it are durable. */
struct raft_persist {
    uint64_t io_seq;
    enum raft_persist_kind kind;
    raft_id vote;
    raft_term
        term; /* HARDSTATE: the term. SNAPMARK: of the snapshot. If the log on disk has no entry
                       of this term at its index, all entries on disk are void */
    raft_index commit;
    raft_index first; /* ENTRIES: first entry. SNAPMARK: index of the snapshot */
    uint32_t count;
    raft_index compact; /* SNAPMARK: entries <= compact will not be asked for again */
};

/* Send msg; for APPEND attach the entries msg.index + 1 .. msg.index + msg.count from the host's
 * log (raft_entry_at gives their term and type); for SNAPSHOT attach msg.count bytes of the file. */
struct raft_send {
    struct raft_msg msg;
    uint64_t bytes; /* of the payloads */
};

enum raft_read_result {
    RAFT_READ_OK = 1,        /* answer once applied >= index */
    RAFT_READ_NO_LEADER = 2, /* no leader is known, or leadership was lost: refuse or ask again */
    RAFT_READ_RETRY = 3      /* lost on the way, or the leader is new: ask again */
};

struct raft_read {
    uint64_t cookie;
    enum raft_read_result result;
    raft_index index;
};

/* Proposals of this member that its log holds no more: another leader's entries stand at first ..
 * last now, or a snapshot took their place. Their outcome is unknown, not failure: a copy on another
 * member may still be committed, and a snapshot may contain them. */
struct raft_drop {
    raft_index first;
    raft_index last;
    raft_term term; /* of the lost ones; 0: of several, there were more ranges than fit */
};

/* 32 bytes of what happened, for tests and traces; code is enum raft_trace_code in raft/trace.h. */
struct raft_trace {
    uint32_t code;
    raft_id peer;
    uint64_t a;
    uint64_t b;
    uint64_t c;
};

struct raft_actions {
    const struct raft_persist *persist;
    uint32_t persist_count;
    const struct raft_send *sends;
    uint32_t sends_count;
    const struct raft_read *reads;
    uint32_t reads_count;
    const struct raft_drop *drops;
    uint32_t drops_count;
    const struct raft_trace *trace;
    uint32_t trace_count;

    raft_index commit; /* apply through here, in order, then APPLIED */

    /* Snapshot transfer, on the receiving side. */
    const struct raft_msg *snap_chunk; /* store this chunk (the RECV that brought it has the bytes),
                                          then SNAP_STORED; NULL: nothing. One waits at most: poll
                                          after each RECV of SNAPSHOT */
    const struct raft_snapshot *snap_install; /* verify and load the stored file, then
                                                 SNAP_INSTALLED or SNAP_REJECTED; NULL: nothing */

    int state_changed; /* role, term, leader or fault differ from the last poll */
    int more;          /* some array was full: poll again after raft_done */
};

/* ------------------------------------------------------------------------------------------- */
/* Functions                                                                                     */

/* The size of the block that a member with these options needs: some 55 KiB, and 16
 * bytes for each of log_slots.
 * Ownership: o stays the caller's. Errors: none but the return. Thread: any.
 * Return:    bytes, or 0 when an option is out of range. */
size_t raft_size(const struct raft_options *o);

/* Make a member in mem: a follower that waits for its boot events.
 * mem, len:  aligned for uint64_t, of at least raft_size(o) bytes; NULL is answered with NULL.
 * Ownership: the caller keeps mem and frees it when it likes: a member needs no end. o is copied.
 * Errors:    none but the return. Thread: the owner, from now on.
 * Return:    the member (at mem), or NULL when an option is out of range or len is too small. */
struct raft *raft_init(void *mem, size_t len, const struct raft_options *o);

/* Take one event. Between raft_poll and raft_done, too: what it brings
 * about shows in the next round.
 * ev:        now is in nanoseconds; an earlier one than before counts as that.
 * accept:    may be NULL but for PROPOSE, PROPOSE_CONFIG, RECV of APPEND and BOOT_ENTRIES.
 * Ownership: everything in ev stays the caller's, and nothing of it is kept.
 * Errors:    RAFT_EINVAL for an event that its host may not send now (boot order, unknown io_seq);
 *            PROPOSE: RAFT_ENOTLEADER, RAFT_ETRANSFER, RAFT_EFULL, RAFT_ENOSPACE;
 *            PROPOSE_CONFIG: those, RAFT_ENOTREADY (nothing of this term is committed), RAFT_EBUSY (a
 *            change is not committed yet, or joint), RAFT_EINVAL (no voter, ids not ascending, other
 *            roles, or what is in force already);
 *            READ: RAFT_EBUSY; TRANSFER: RAFT_ENOTLEADER, RAFT_EBUSY, RAFT_EINVAL (no such voter);
 *            RAFT_EFAULTED for all once faulted. RECV never fails for what a peer sent: nonsense is
 *            counted in status and ignored.
 * Thread:    the owner.
 * Return:    0 or a negative error; *accept is written on 0 only. */
int raft_step(struct raft *r, const struct raft_event *ev, struct raft_accept *accept);

/* Begin a round: everything that is to be done now. Again before raft_done it is the
 * same.
 * Ownership: the struct and its arrays are r's, valid until raft_done; events do not change them.
 * Errors:    none. Thread: the owner.
 * Return:    never NULL; a faulted member wants nothing. */
const struct raft_actions *raft_poll(struct raft *r);

/* End the round: the host has taken the actions of the last raft_poll, carried out or remembered.
 * Does nothing without a raft_poll before.
 * Ownership: the arrays of the round are no longer valid. Errors: none. Thread: the owner.
 * Return:    none. */
void raft_done(struct raft *r);

/* When the next TICK is due. Any event may change it: ask after the last round. A TICK that
 * comes earlier is allowed.
 * Ownership: none. Errors: none. Thread: the owner.
 * Return:    nanoseconds on the clock of `now`, perhaps past already; UINT64_MAX for never. */
raft_ns raft_deadline(const struct raft *r);

/* Would it bring anything about now to say IO_DONE for what is under way? A leader whose followers have
 * not answered yet has no use for its own disk's word: a host that would have to wake somebody for it
 * may leave it until the next event. Any event may change it: ask after the last round.
 * Ownership: none. Errors: none. Thread: the owner.
 * Return:    1 or 0. */
int raft_io_awaited(const struct raft *r);

struct raft_peer_status {
    raft_id id;
    uint32_t roles;     /* enum raft_member_role */
    raft_index match;   /* leader only */
    raft_index next;    /* leader only */
    raft_ns last_heard; /* when anything of the current term came from it; 0 never */
    int link_up;        /* by PEER_LINK */
    int active;         /* leader: acknowledged a request sent within election_min */
};

struct raft_status {
    raft_id id;
    enum raft_role role;
    raft_term term;
    raft_id vote;
    raft_id leader;   /* 0: none known */
    raft_index first; /* of the log; last + 1 when it is empty */
    raft_index last;
    raft_index commit;
    raft_index applied;
    raft_index stable;   /* durable here */
    raft_index snapshot; /* index of the newest */
    raft_id transfer_to; /* 0: none under way */
    int leader_ready;    /* an entry of this term is committed */
    int repairing;       /* neither votes nor stands: its log lost what it had acknowledged */
    int removed;         /* was a member and is none any more, as far as it knows: by its own log or
                                by a voter's word, for nobody sends a removed one entries. 0 while it
                                hears a leader: it may be let in again */
    int joint;           /* the newest configuration is joint */
    raft_index config;   /* index of the newest configuration; committed when <= commit */
    raft_ns lease_until; /* leader with lease_drift_ppm: reads need no round before this; 0 none */
    raft_ns quorum_contact; /* when a quorum, this member included, was last known to be in touch:
                               leader: acknowledged; follower: heard from a leader. Drives NO_QUORUM */
    uint64_t ignored;       /* messages that made no sense */
    const char *fault;      /* why FAULTED, static text; NULL otherwise */
    uint32_t peers_count;
    struct raft_peer_status peers[RAFT_NODES_MAX]; /* the newest configuration, this member too */
};

/* What a member is doing, for its host and its operators; times in nanoseconds on the
 * clock of `now`.
 * Ownership: *ret_status is the caller's, its text static. Errors: none. Thread: the owner.
 * Return:    none; all of *ret_status is written. */
void raft_status(const struct raft *r, struct raft_status *ret_status);

/* What the core knows of the entry at index: status.first .. status.last.
 * Ownership: r's, valid until the next raft_step or raft_poll. Errors: none. Thread: the owner.
 * Return:    NULL when index is not in the log. */
const struct raft_entry *raft_entry_at(const struct raft *r, raft_index index);

/* The configuration in force at index (for a CONFIG entry: the one it carries), and where
 * it stands.
 * Ownership: r's, valid until the next raft_step or raft_poll. Errors: none. Thread: the owner.
 * Return:    NULL when index is before the log, or before the oldest configuration that is
 *            remembered: the newest RAFT_CONFIGS_MAX are. A host that has applied so little of its log
 *            takes its next snapshot later. A leader remembers the one in force at the applied index,
 *            unless it applies anew what it booted with. */
const struct raft_config_at *raft_config_at(const struct raft *r, raft_index index);

/* Check every invariant that one member can check by itself (the list is in raft/check.c). For
 * tests: it takes time that grows with the log.
 * why:       receives the first violation, as text, at most n bytes with its NUL.
 * Ownership: why stays the caller's. Errors: none but the return. Thread: the owner.
 * Return:    0 when all hold, else -1. */
int raft_check(const struct raft *r, char *why, size_t n);

/* A hash of everything that influences the member's future: members that are alike hash alike. For
 * model checking; the value may differ between versions.
 * Ownership: none. Errors: none. Thread: the owner. Return: the hash. */
uint64_t raft_hash(const struct raft *r);

/* Copy the member, which is between two rounds, into dst, a block of raft_size bytes for the
 * same options.
 * Ownership: dst is the caller's; the copy is a member of its own. Errors: none. Thread: the owner.
 * Return:    none. */
void raft_copy(void *dst, const struct raft *r);

#ifdef __cplusplus
}
#endif
#endif
