/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mc.h: the explicit-state model checker over the shipped consensus core: its types and files.
 *
 * A state of the world is: one number for each member, the messages in the network, how much of each
 * fault has been used, and a little history (who led which term, what is committed). The number of a
 * member stands for all there is of it: the core's memory block, the host's log, the disk, the writes
 * under way. It is given by member.c, which keeps one packed copy of every distinct member met.
 *
 * An event at one member depends on nothing but that member and the event, so its outcome is computed
 * once and remembered (struct mc_outcome); the search over the world is then arithmetic on numbers.
 *
 * Thread: one. Memory is never freed before the end of a search (mc_reset).
 */
#ifndef TESTS_MC_H
#define TESTS_MC_H

#include <stdint.h>
#include <stddef.h>
#include <coord/raft.h>

#define MC_NODES       4
#define MC_LOG_MAX     14    /* indexes 1 .. 14 */
#define MC_WRITES_MAX  8     /* writes under way at one member */
#define MC_NET_MAX     26    /* messages in the network; what is sent beyond is lost */
#define MC_SENDS_MAX   24    /* messages and read answers out of one event */
#define MC_COMMITS_MAX 4     /* times that one event moves a leader's commit index */
#define MC_INFLIGHT    2     /* APPEND messages under way to one peer */
#define MC_TERMS       8     /* terms 0 .. 7 */
#define MC_STATES_MAX  9000u /* thousands of worlds: a scope that has more does not end */
#define MC_STEPS_MAX   512
#define MC_READS       2   /* reads of one world */
#define MC_UNIT        32u /* nanoseconds of the models' clock: timers are small multiples of it */
#define MC_NOW         ((raft_ns)1 << 20) /* what every member's clock shows between events */

struct mc_scope;

/* --- histories and messages (intern.c) ------------------------------------------------------ */

/* A log prefix: the entry at `index` after the prefix `parent`. Prefixes are numbered; equal numbers
 * are equal histories. Number 0 is the empty one. */
typedef uint16_t mc_chain;

struct mc_link {
    mc_chain parent;
    uint8_t index;
    uint8_t term;
    uint8_t type;
    uint8_t value; /* COMMAND: number of the proposal. CONFIG: of the configuration */
};

struct mc_log {
    uint8_t base;
    uint8_t last;
    mc_chain chain[MC_LOG_MAX + 1]; /* base .. last; 0 elsewhere */
};

/* A message with what it carries. All of it, padding included, is zero where unused. */
struct mc_msg {
    struct raft_msg head;
    uint8_t count; /* entries behind an APPEND */
    uint8_t snap_term;
    mc_chain snapshot; /* content of the file that a SNAPSHOT belongs to */
    struct {
        uint8_t term, type, value, spare;
    } entries[MC_LOG_MAX];
    uint32_t spare;
};

mc_chain mc_chain_child(mc_chain parent, unsigned term, unsigned type, unsigned value);
const struct mc_link *mc_chain_at(mc_chain chain);
/* The prefix of `chain` that ends at index; index is at most its own. */
mc_chain mc_chain_prefix(mc_chain chain, unsigned index);
/* 1 when a is a prefix of b or equal to it. */
int mc_chain_within(mc_chain a, mc_chain b);

/* --- configurations (config.c) --------------------------------------------------------------- */

/* Sets of members: bit i stands for member i + 1. */
struct mc_config {
    uint8_t voters, old, learners;
    uint8_t promote, demote, remove; /* marks */
};

/* Configurations are numbered; the scope's first one is MC_CONFIG_FIRST, nobody is MC_CONFIG_NONE. */
#define MC_CONFIG_NONE  0
#define MC_CONFIG_FIRST 1

void mc_configs_reset(const struct mc_scope *s);
unsigned mc_config_number(const struct raft_config *c);
const struct mc_config *mc_config_at(unsigned number);
void mc_config_fill(unsigned number, struct raft_config *ret);
/* The newest configuration on a prefix; *ret_index is 0 for the first one. Return: its number. */
unsigned mc_config_on(mc_chain chain, unsigned *ret_index);
/* 1 when the members hold a majority (of both halves while joint). */
int mc_config_quorum(const struct mc_config *c, unsigned members);
/* S6: may `next` follow on `before`, at a leader? Return: the broken rule, or NULL. */
const char *mc_config_follows(unsigned before, unsigned next);

uint32_t mc_msg_number(const struct mc_msg *m);
const struct mc_msg *mc_msg_at(uint32_t number);
uint32_t mc_msgs_count(void);
void mc_intern_reset(void);

/* Two independent 64-bit mixes of memory. */
struct mc_print {
    uint64_t a, b;
};
struct mc_print mc_fingerprint(const void *data, size_t bytes);

/* Memory that is released all at once. Never fails: the program ends when there is none. */
void *mc_alloc(size_t bytes);
void *mc_grow(void *old, size_t bytes);
void mc_die(const char *why);

/* --- what is explored (scope.c and others) -------------------------------------------------- */

/* Choices that are counted; each world may use so many. */
enum mc_budget {
    MC_B_TIMEOUT,  /* election timers that run out */
    MC_B_BEAT,     /* leader's timers that run out */
    MC_B_PAUSE,    /* leaders that sleep past everybody's timers */
    MC_B_ELAPSE,   /* loyalties to a leader that run out before the own timer */
    MC_B_CAMPAIGN, /* elections out of turn */
    MC_B_CRASH,
    MC_B_DUP,
    MC_B_PROPOSE,
    MC_B_READ,
    MC_B_TRANSFER,
    MC_B_SNAP,
    MC_B_REJECT,   /* received snapshots that fail their verification */
    MC_B_LINK,     /* broken or new connections as a host reports them */
    MC_B_HOLD,     /* events after which the host does not poll yet */
    MC_B_OVERTAKE, /* ordered scopes: messages that arrive before earlier ones of their link */
    MC_B_LOSE,     /* ordered scopes: first messages of a link that are lost */
    MC_B_CONFIG,   /* membership changes asked for */
    MC_B_PASS,     /* timed scopes: steps of time */
    MC_B_ROT,      /* crashes in which the disk loses what it had */
    MC_BUDGETS
};

/* Rules broken on purpose, to see that the search finds it. */
enum mc_mutant {
    MC_SOUND,
    MC_M_ACK_EARLY,     /* the host completes writes before the disk has them */
    MC_M_FORGET_VOTE,   /* the disk loses the vote in a crash */
    MC_M_LOG_BLIND,     /* voters believe every candidate's log to be complete */
    MC_M_MATCH_BLIND,   /* followers believe that the entry before the new ones matches */
    MC_M_TERM_BLIND,    /* refusals for an old term arrive as consent */
    MC_M_LOSE_ENTRIES,  /* the disk drops the newest entry in a crash */
    MC_M_COUNT_LEARNER, /* learners count like voters */
    MC_M_JOINT_HALF,    /* of a joint configuration the incoming half suffices */
    MC_M_LEAVE_EARLY,   /* a joint configuration is left before it is committed */
    MC_M_SILENT_ROT,    /* the host does not tell that the disk lost entries */
    MC_M_ROT_AS_HOLE,   /* nor that it lost a vote */
    MC_M_CHANGE_EARLY,  /* a new leader changes the members before it committed anything */
};

/* How the world stands when the search begins. */
enum mc_start {
    MC_FRESH,    /* nobody knows anything */
    MC_LED,      /* member 1 leads term 1, its first entry is committed everywhere */
    MC_BEHIND,   /* the same; then members 1 and 2 took a proposal and a snapshot without 3 */
    MC_DIVERGED, /* member 1 has entries of term 1 that nobody else has; nobody heard of it since */
    MC_FORGOTTEN, /* led; member 1 lost its newest entry in a crash, and member 3 alone has it on disk */
    MC_LEARNING, /* led; asked for the scope's first target: what came of it is committed, what was
                    sent to the members of the target who are new is under way */
    MC_JOINT,    /* the same, up to where the leader has just appended a joint configuration */
    MC_FORKED, /* then member 2 leads term 2, has compacted its log, and member 1 needs that snapshot */
};

/* What a scope is meant to reach. */
enum mc_goal {
    MC_G_ELECTED,   /* somebody leads a term that nobody led at the start */
    MC_G_COMMITTED, /* and commits in it */
    MC_G_TRUNCATED, /* entries were superseded */
    MC_G_RESTARTED,
    MC_G_READ, /* a read was answered with an index */
    MC_G_READ_FOLLOWER,
    MC_G_TRANSFERRED, /* the target of a transfer leads */
    MC_G_INSTALLED,   /* a snapshot was received and loaded */
    MC_G_PROPOSED,    /* a proposal was committed */
    MC_G_STALLED,     /* a leader stepped down within its term */
    MC_G_JOINT,       /* a leader's newest configuration is joint */
    MC_G_CHANGED,     /* what a change asked for is committed */
    MC_G_CUT_OFF,     /* a leader that votes no more has stepped down */
    MC_G_FELL_BACK,   /* a configuration was superseded */
    MC_G_LEASE,       /* a read was answered by the lease */
    MC_G_REPAIRED,    /* a member has made good what its disk lost */
    MC_GOALS
};

struct mc_scope {
    const char *name;
    const char *what;
    unsigned nodes;        /* all members, those that join later too */
    uint8_t voters;        /* who votes at first; 0: all */
    uint8_t targets[2][2]; /* of the changes: who votes in the end, who learns */
    enum mc_start start;
    uint8_t budget[MC_BUDGETS];
    uint8_t may_timeout; /* bit i: member i + 1 may let its election timer run out; 0: all */
    uint8_t may_crash;
    uint8_t may_rot;
    uint8_t rot_vote; /* the term and vote are lost as well */
    uint8_t may_propose;
    uint8_t may_read;
    uint32_t mute;   /* bit t: messages of type t are always lost */
    uint8_t quick;   /* members whose disks are done with a write at once */
    uint8_t split;   /* unfinished ENTRIES writes may leave some of their entries */
    uint8_t ordered; /* links keep their order: what comes first blocks the rest */
    uint32_t goals;  /* bit g: a search that never reaches g proves nothing */
    uint8_t stall;   /* disks may count as stalled */
    /* Timed scopes: time passes everywhere at once, in steps; rate: by how many ns of its clock for
     * each member. Timers run out when they are due, reads may be answered by the lease. */
    uint8_t rate[MC_NODES];
    uint32_t drift_ppm; /* what the options allow clocks to run apart */
    uint8_t no_speech;  /* leave out the check of durability before speech */
    enum mc_mutant mutant;
    unsigned states_max; /* in thousands: what is beyond is left out; 0: MC_STATES_MAX, and more is
                            an error */
};

/* Searched by default, in two lists; with --long; and with a rule broken (scope_broken.c). */
extern const struct mc_scope mc_scopes[];
extern const unsigned mc_scopes_count;
extern const struct mc_scope mc_scopes_change[];
extern const unsigned mc_scopes_change_count;
extern const struct mc_scope mc_scopes_long[];
extern const unsigned mc_scopes_long_count;
extern const struct mc_scope mc_mutants[];
extern const unsigned mc_mutants_count;

/* --- one member (member.c, disk.c, speech.c, canon.c, pack.c) -------------------------------- */

struct mc_write {
    uint8_t kind; /* enum raft_persist_kind */
    uint8_t vote;
    uint8_t term;
    uint8_t commit;
    uint8_t first;
    uint8_t count;
    uint8_t compact;
    uint8_t spare;
    mc_chain chain[MC_LOG_MAX]; /* ENTRIES: the prefixes that end at each. SNAPMARK: [0] */
};

struct mc_disk {
    uint8_t term;
    uint8_t vote;
    uint8_t commit;
    uint8_t snap_index;
    uint8_t snap_term;
    uint8_t damage; /* enum raft_damage: what recovery reports */
    mc_chain snap_chain;
    uint8_t damage_index, damage_term; /* the last entry that it had */
    struct mc_log log;
};

/* All of a member but the core's block, which follows it in memory. */
struct mc_member {
    uint8_t id;
    uint8_t up;
    uint8_t boots;
    uint8_t unpolled; /* events were taken since the last poll */
    uint8_t writes_count;
    uint8_t applied;
    uint8_t promise_term; /* the newest vote it spoke of */
    uint8_t promise_vote;
    uint8_t ack_term; /* the newest acknowledgement it spoke of */
    uint8_t ack_index;
    mc_chain ack_chain;
    uint8_t install; /* a received snapshot waits to be loaded */
    uint8_t install_index;
    uint8_t install_term;
    uint8_t spare;
    mc_chain install_chain;
    mc_chain applied_chain;
    struct mc_log log;
    struct mc_disk disk;
    struct mc_write writes[MC_WRITES_MAX];
    uint64_t align[];
};

/* Events of one member. */
enum mc_kind {
    MC_RECV = 1, /* argument: number of the message */
    MC_RECV_HOLD,
    MC_RECV_DUP,   /* it stays in the network */
    MC_RECV_EARLY, /* it overtakes others of its link */
    MC_LOSE,       /* it is lost */
    MC_POLL,
    MC_TICK,   /* time passes until the next timer */
    MC_PAUSE,  /* time passes beyond all timers */
    MC_ELAPSE, /* time passes until just before the next timer */
    MC_PASS,   /* timed scopes: a step of time, for all */
    MC_CAMPAIGN,
    MC_WRITTEN,  /* the oldest write under way is complete; argument: how many */
    MC_PROPOSE,  /* argument: number of the proposal */
    MC_READ,     /* argument: cookie */
    MC_TRANSFER, /* argument: peer */
    MC_CONFIG,   /* argument: which of the scope's targets */
    MC_SNAP,     /* take a snapshot of what is applied; argument: how many entries stay before it */
    MC_INSTALL,  /* the received snapshot is loaded */
    MC_REJECT,   /* or damaged */
    MC_LINK_UP,  /* argument: peer */
    MC_LINK_DOWN,
    MC_CRASH, /* argument: how many records of unfinished writes survive; bit 8: so does the file
                   of a received snapshot */
    MC_ROT,   /* crashes, and the disk has lost entries; argument: how many, the newest ones */
    MC_START
};

/* An event at the member in slot `node`. */
struct mc_action {
    uint8_t kind; /* enum mc_kind */
    uint8_t node; /* 0 .. */
    uint32_t argument;
};

/* What everybody may know of a member, by its number. */
struct mc_view {
    uint8_t id, up, role, term;
    uint8_t leader, commit, applied, first;
    uint8_t last, disk_term, writes_count, records; /* records: of the writes under way */
    uint8_t install, loyal, unpolled, snap_index;
    uint8_t due; /* a timer has run out */
    uint8_t repairing;
    uint8_t vote, stable, boots, transfer_to;
    uint8_t seq;                  /* of a leader: of its last request */
    uint8_t config, config_index; /* the newest */
    uint8_t match[MC_NODES];      /* of a leader: what it believes durable at each member */
    struct mc_log log;            /* in memory, or on disk while it is down */
    struct mc_disk disk;
};

struct mc_answer {
    uint8_t cookie, result, index;
};

/* A leader's commit index rose to `index` by the majorities of this configuration. */
struct mc_commit {
    uint8_t index, config;
};

/* What an event did. */
struct mc_outcome {
    uint32_t member; /* its number afterwards */
    uint8_t same;    /* nothing came of it */
    uint8_t cut;     /* beyond the bounds of the model: not followed */
    uint8_t sends_count;
    uint8_t answers_count;
    const char *broken; /* a rule that the member or its host broke; NULL: none */
    struct mc_answer answers[MC_READS * 2];
    uint8_t commits_count;
    struct mc_commit commits[MC_COMMITS_MAX];
    uint32_t sends[MC_SENDS_MAX]; /* last: kept only as far as it is used */
};

/* Begin anew for a scope, which must outlive the search. */
void mc_members_reset(const struct mc_scope *scope);
/* The member `id` with an empty disk, not started. Return: its number. */
uint32_t mc_member_fresh(unsigned id);
const struct mc_view *mc_view_at(uint32_t number);
/* The outcome of an event at a member. Ownership: until the next mc_members_reset. */
const struct mc_outcome *mc_event(uint32_t number, enum mc_kind kind, uint32_t argument);
/* The same for a member that is never brought into canonical form and has a clock of its own (now:
 * what it shows when the member is down); the outcome names the number it would have. For twin.c. */
void mc_event_raw(struct mc_member *raw, raft_ns now, const struct mc_action *a,
                  struct mc_outcome *out);
uint32_t mc_members_count(void);
uint64_t mc_outcomes_count(void);
size_t mc_members_bytes(void);
/* Bytes of a member with the core's block. */
size_t mc_member_bytes(void);

static inline int mc_member_in(unsigned set, const struct mc_member *m)
{
    return (int)(set >> (m->id - 1) & 1);
}

static inline struct raft *mc_core(struct mc_member *m)
{
    return (struct raft *)(void *)m->align;
}

static inline const struct raft *mc_core_of(const struct mc_member *m)
{
    return (const struct raft *)(const void *)m->align;
}

static inline int mc_timed(const struct mc_scope *s)
{
    return s->rate[0] != 0;
}

/* What is gathered while one event runs. */
struct mc_run {
    const struct mc_scope *scope;
    struct mc_member *m;
    struct mc_outcome *out;
    raft_ns now;
};

static inline void mc_broken(struct mc_run *run, const char *rule)
{
    run->out->broken = run->out->broken == NULL ? rule : run->out->broken;
}

/* host.c */
/* Payload bytes of an entry of this type, everywhere. */
static inline uint32_t mc_entry_bytes(unsigned type)
{
    return type == RAFT_ENTRY_CONFIG ? RAFT_CONFIG_BYTES : type == RAFT_ENTRY_COMMAND;
}
/* One event for the core; the host's log follows. Return: what raft_step returned. */
int mc_core_event(struct mc_run *run, struct raft_event *ev, unsigned value);
/* Poll and carry out until the core is at rest. */
void mc_rounds(struct mc_run *run);
/* The snapshot at the end of chain, as the hosts name it. */
void mc_snapshot_of(mc_chain chain, struct raft_snapshot *ret);
/* Return: 0 when the event does not apply now. */
int mc_host_event(struct mc_run *run, enum mc_kind kind, uint32_t argument);
void mc_options(const struct mc_scope *scope, unsigned id, unsigned boots, struct raft_options *o);
raft_ns mc_long_ns(void);

/* disk.c */
void mc_write_begin(struct mc_run *run, const struct raft_persist *p);
/* The first write under way is on disk. */
void mc_write_finish(struct mc_run *run);
void mc_crash(struct mc_run *run, uint32_t argument);
void mc_rot(struct mc_run *run, unsigned lost);
void mc_boot(struct mc_run *run);
unsigned mc_records(const struct mc_member *m);
void mc_log_put(struct mc_log *log, unsigned first, mc_chain chain);
void mc_log_trim(struct mc_log *log, unsigned base);
/* The prefix through index on this disk. Return: 0 when it does not reach so far. */
mc_chain mc_disk_prefix(const struct mc_disk *d, unsigned index);

/* speech.c */
void mc_check_speech(struct mc_run *run, const struct raft_msg *m);
void mc_check_member(struct mc_run *run, const struct raft_status *before);

/* canon.c */
/* Bring the block into the form that equal situations share. */
void mc_canon(struct raft *r, uint64_t rng);
/* 1 when the member refuses others' elections for a leader it heard. */
int mc_loyal(const struct raft *r);
void mc_set_random(struct raft *r, uint64_t rng);
/* Make the core break a rule during one event, and behave again. */
void mc_bend(struct raft *r, enum mc_mutant mutant, uint32_t event);
void mc_unbend(struct raft *r);
raft_ns mc_clock(const struct raft *r);
/* The member's clock goes on, though nothing happens at it. */
void mc_pass(struct raft *r, raft_ns by);
uint64_t mc_io_done(const struct raft *r);
uint64_t mc_last_seq(const struct raft *r);

/* pack.c */
size_t mc_pack(const uint64_t *words, size_t count, uint64_t *ret_packed);
void mc_unpack(const uint64_t *packed, uint64_t *ret_words, size_t count);

/* --- the world (world.c, rules.c) ------------------------------------------------------------ */

struct mc_world {
    uint32_t member[MC_NODES];
    uint8_t used[MC_BUDGETS];
    uint8_t leader[MC_TERMS];     /* who led the term; 0 nobody so far */
    mc_chain commit_by[MC_TERMS]; /* the longest prefix that the leader of the term committed */
    uint8_t read_floor[MC_READS]; /* committed when the read began */
    uint8_t read_state[MC_READS]; /* 0 not begun, 1 waiting, 2 answered */
    uint8_t net_count;
    uint32_t net[MC_NET_MAX]; /* ascending numbers of messages */
};

#define MC_ACTIONS_MAX 256

/* All that may happen. Return: how many. */
unsigned mc_world_actions(const struct mc_scope *s, const struct mc_world *w,
                          struct mc_action *ret_actions);
/* Let it happen. Return: 1; 0 when nothing comes of it or it leads out of bounds. */
int mc_world_apply(const struct mc_scope *s, struct mc_world *w, const struct mc_action *a,
                   const char **ret_broken);
/* Of all worlds since the last reset: events that led out of bounds; messages that found the network
 * full and were lost; goals reached. */
struct mc_tally {
    uint64_t cuts;
    uint64_t losses;
    uint32_t goals;
};
extern struct mc_tally mc_tally;

/* Rules between members, after an event at one of them. Return: the broken one, or NULL. */
const char *mc_rules(const struct mc_scope *s, struct mc_world *w, unsigned node,
                     const struct mc_outcome *out);
mc_chain mc_committed(const struct mc_world *w);

/* What a search found. */
struct mc_result {
    const char *broken; /* NULL: all rules hold */
    uint64_t states;
    uint64_t transitions;
    unsigned depth;  /* events from the start to the farthest state, or to the broken rule */
    uint32_t missed; /* goals of the scope that were not reached */
    int complete;    /* nothing was left out but by the scope's bounds */
    double seconds;
    unsigned steps_count; /* the shortest way to the broken rule */
    struct mc_action steps[MC_STEPS_MAX];
    unsigned start_count; /* of these, what the start did */
};

/* --- starting points (start.c) ---------------------------------------------------------------- */

/* The world as the scope starts it, and the actions that lead there. Return: a broken rule, or
 * NULL. */
const char *mc_world_start(const struct mc_scope *s, struct mc_world *ret_world,
                           struct mc_result *result);

/* --- search and report (search.c, show.c, main.c) -------------------------------------------- */

void mc_search(const struct mc_scope *s, struct mc_result *ret_result);
/* Print the steps of a result with what each member is afterwards. */
void mc_show(const struct mc_scope *s, const struct mc_result *r);
/* Walk at random with members in canonical form and their unchanged twins side by side.
 * Return: NULL, or how they differ. */
const char *mc_twins(const struct mc_scope *s, unsigned steps, uint64_t seed);

#endif
