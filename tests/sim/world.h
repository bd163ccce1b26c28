/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h: one seed's world: members, network, load, faults, checkers, and the virtual clock.
 *
 * Every part has its own file and section below. One world is one seed and one thread; nothing is
 * global, so a process may run worlds one after the other.
 *
 * How a failure travels: sim_fail notes the first broken invariant in the world and every loop of
 * the simulator ends at the next look at world.failed. Nothing is thrown.
 */
#ifndef COORD_SIM_WORLD_H
#define COORD_SIM_WORLD_H

#include <coord/raft.h>
#include <coord/raft_storage.h>

#include "tests/sim/disk.h"
#include "tests/sim/evq.h"
#include "tests/sim/knobs.h"
#include "tests/sim/marks.h"
#include "tests/sim/model.h"
#include "tests/sim/rng.h"
#include "tests/sim/trace.h"
#include "tests/sim/util.h"

#define SIM_SLOTS       (SIM_NODES_MAX + 1) /* arrays indexed by id */
#define SIM_PATH_BYTES  128
#define SIM_CLUSTER_ID  0x51bU
#define WORLD_STEPS_MAX 20000000U /* events of one seed; more is a storm */

struct world;

/* ------------------------------------------------------------------------------------------- */
/* Network (net.c)                                                                               */

struct packet {
    struct raft_msg msg;
    uint32_t epoch;     /* of the connection it was sent on */
    uint64_t number;    /* among those sent this way */
    uint32_t from_boot; /* lives of the two processes when it was sent */
    uint32_t to_boot;
    int stray;      /* arrives whatever became of its connection */
    uint32_t count; /* entries behind it */
    uint32_t data_bytes;
    struct item *items;           /* count of them */
    uint8_t *data;                /* SNAPSHOT: the chunk */
    struct raft_config_at config; /* SNAPSHOT */
    struct packet *next;          /* in net.held */
};

struct net {
    uint8_t up[SIM_SLOTS][SIM_SLOTS];       /* there is a connection; symmetric */
    uint32_t epoch[SIM_SLOTS][SIM_SLOTS];   /* of the connection; symmetric */
    uint8_t cut[SIM_SLOTS][SIM_SLOTS];      /* faults that stop [from][to] */
    uint8_t hold[SIM_SLOTS][SIM_SLOTS];     /* faults that hold back instead of dropping */
    uint64_t last_at[SIM_SLOTS][SIM_SLOTS]; /* arrival of the last in order */
    uint64_t number[SIM_SLOTS][SIM_SLOTS];  /* of the last sent */
    uint64_t arrived[SIM_SLOTS][SIM_SLOTS]; /* the largest number that arrived */
    uint64_t rest[SIM_SLOTS][SIM_SLOTS]; /* of what a broken connection left under way, numbers up
                                               to this one still arrive */
    struct packet *held;
    struct packet **held_end;
    uint64_t sent;
    uint64_t overhead; /* messages without entries, chunks or acknowledgements, this window (R13) */
    uint64_t window_from;
    uint64_t window_work; /* proposals and reads taken in, entries committed, faults, this window */
};

/* Ownership: takes p. */
void net_send(struct world *w, struct packet *p);
void net_deliver(struct world *w, struct packet *p);
/* One look at a pair: connect or give up. */
void net_connect(struct world *w, raft_id a, raft_id b);
void net_break(struct world *w, raft_id a, raft_id b);
/* What was held back and is no longer stopped arrives now. */
void net_release(struct world *w);
struct packet *packet_new(uint32_t count, uint32_t data_bytes);
struct packet *packet_copy(const struct packet *p);
void packet_free(struct packet *p);
void net_finish(struct world *w);

/* ------------------------------------------------------------------------------------------- */
/* One member: the process around a core (host.c, host_disk.c, host_snap.c)                      */

enum host_state {
    HOST_DOWN = 0, /* no process; will be booted */
    HOST_UP = 1,
    HOST_OUT = 2,    /* its disk lost acknowledged data: it stays out of the group */
    HOST_ABSENT = 3, /* has not joined yet */
    HOST_GONE = 4    /* left for good, or its disk is lost */
};

enum host_end {
    HOST_END_KILL = 1,  /* the process dies, the machine stays up */
    HOST_END_POWER = 2, /* what was not synced is at the mercy of the disk */
    HOST_END_ROT = 3    /* power cut, and a part of the disk rots */
};

/* A proposal of this process whose fate is open. */
struct pending {
    raft_index index;
    raft_term term;
    uint64_t id;
};

struct pendings {
    struct pending *v;
    size_t head;
    size_t count;
    size_t cap;
};

struct disk_queue {
    struct disk_op *v;
    size_t count;
    size_t cap;
};

/* The configurations of a log, ascending; the first is in force where the log begins. */
struct cfg_stack {
    struct raft_config_at *v;
    size_t count;
    size_t cap;
};

/* A read that was confirmed and waits for its index. */
struct read_wait {
    uint64_t cookie;
    raft_index index;
};

struct snap_job {
    int active;
    int written; /* the file was finished when the job began; now only time passes */
    int failed;  /* error of the file system or the storage; 0: none */
    struct machine machine;
    struct raft_snapshot meta;
    uint64_t digest[2];
};

/* What a leader has told the others in its term (check_told.c). */
struct told {
    raft_term term;
    uint32_t boot;
    raft_index commit[SIM_SLOTS];
    raft_index awaited[SIM_SLOTS]; /* somebody there waits for it */
    uint64_t since[SIM_SLOTS];     /* by its own clock: since when more could be told; 0 no more */
};

struct node {
    raft_id id;
    enum host_state state;
    uint32_t boot; /* number of its life */
    void *mem;
    struct raft *raft;
    struct raft_status st;

    /* clock: local = clk_local + (virtual - clk_virtual) * clk_ppm / 1e6 */
    uint64_t clk_virtual;
    uint64_t clk_local;
    uint64_t clk_ppm;
    int paused;
    int sleep_when_told; /* sleep a little when it has told another to stand for election */
    int space_owed;      /* it must still be told that its disk has room again */
    struct ev *late;     /* what happened while it was paused */
    size_t late_count;
    size_t late_cap;

    uint64_t tick_at; /* virtual time of the timer that is set */
    uint64_t tick_generation;
    int poll_due;
    int apply_due;
    uint64_t event_at; /* by its own clock: when its core was given an event last */
    raft_index commit; /* through which the core let us apply */
    struct elog log;
    struct cfg_stack cfgs;    /* of log */
    raft_index config_before; /* in force before the step that is being checked, */
    raft_term led_before;     /* and the term in which it led then; 0: it did not */
    struct machine machine;
    struct pendings pend;
    struct read_wait *waits;
    size_t waits_count;
    size_t waits_cap;
    uint64_t reads_open;
    int link_known[SIM_SLOTS];
    uint32_t link_epoch[SIM_SLOTS];
    const struct packet *recv_now; /* the packet whose RECV is being worked on */

    struct sim_disk *disk;
    struct raft_wal *wal;
    struct disk_queue queue;  /* waits for the disk */
    struct disk_queue flight; /* under way */
    int flight_active;
    uint64_t flight_at; /* since when, by its own clock */
    uint64_t led_at;    /* when it last became leader, likewise */
    int flight_written; /* raft_wal_write has been called with it */
    int flight_result;
    uint64_t flight_number;
    uint64_t io_owed; /* durable through here, and the core has no use for knowing yet; 0 none */
    enum host_end doomed;               /* ends inside its next write; 0: no */
    char attested_path[SIM_PATH_BYTES]; /* where the last batch was written, and where it ends: */
    uint64_t attested_end;              /* what stands before is attested by the next record */
    int sealed;                         /* nothing was written since the last raft_wal_idle */
    uint64_t stall_until;               /* virtual time */
    int no_room;                        /* the core was told that the disk is full */
    uint64_t slow_until; /* virtual time: every operation takes slow_factor times as long */
    uint64_t slow_factor;
    int bad_reads;    /* of so many of the next recoveries a read may fail, */
    int reads_fail;   /* and of the one going on */
    int reads_failed; /* bits: reads fail in this recovery, they did in the one before */
    int io_failed;
    uint64_t io_failed_at;
    int rotted;     /* its disk may have lost what was acknowledged */
    int spoiled;    /* a part of it rotted since it was read last */
    int repair_cut; /* raft_wal_repaired was called and failed: it may have been written or not */
    int member;     /* a committed configuration once had it */
    int left;       /* and the last one leaves it out */
    struct image durable;
    uint32_t damage;  /* enum raft_damage: what its log said at this boot */
    uint32_t verdict; /* of the log alone, but for its tail */
    int doubts;       /* and the host doubts the vote as well */
    raft_index damage_index;
    raft_term damage_term;
    int whole;          /* its core has made that good, */
    int repaired;       /* and its log knows */
    raft_index claimed; /* by a disk that lost it: others may count it until the member is whole */
    raft_index committed_before; /* by the group, when it booted */

    struct snap_job take;
    struct raft_snapshot snap; /* newest of this member, with file; snap_id 0: none */
    uint64_t snap_digest[2];
    raft_index boot_snap; /* of the file it booted from: durable, marked or not */
    raft_index taken_for; /* index of the last snapshot begun */
    struct raft_snap_reader *reader;
    uint64_t reader_id;
    struct raft_snap_recv *recv;
    uint64_t recv_id;
    uint64_t recv_stored;
    struct snap_job install;

    /* checkers (check_node.c) */
    raft_term seen_term;
    raft_id seen_vote;
    raft_index seen_commit;
    enum raft_role seen_role;
    raft_term promised_term; /* newest term in which it gave its vote in public */
    raft_id promised_vote;
    struct told told;
};

void host_create(struct world *w, struct node *n, raft_id id);
void host_finish(struct world *w, struct node *n);
void host_boot(struct world *w, struct node *n);
void host_end(struct world *w, struct node *n, enum host_end how);
/* The same with everything said that host_end draws. into: 0, or the process goes on into its `into`th
 * next disk operation. */
struct host_cut {
    enum host_end how;
    uint64_t into;
    enum sim_disk_crash_kind kind;
    uint64_t seed;
    uint64_t but; /* with KEEP: 0, or the number (from 1) of the pending write that is lost */
    int torn;     /* ... or torn */
};
void host_cut(struct world *w, struct node *n, const struct host_cut *cut);
/* Give the core one event (n->st is current afterwards); ev->now is set here. items: the payloads of
 * ev->entries, or NULL. ret_accept: may be NULL. Return: raft_step's. */
int host_feed(struct world *w, struct node *n, struct raft_event *ev, const struct item *items,
              struct raft_accept *ret_accept);
/* See to the actions that ev brought, now or a little later. */
void host_react(struct world *w, struct node *n, const struct raft_event *ev);
/* Both, for events without entries. Return: raft_step's. */
int host_step(struct world *w, struct node *n, struct raft_event *ev);
void host_poll(struct world *w, struct node *n);
void host_recv(struct world *w, struct node *n, struct packet *p);
void host_apply(struct world *w, struct node *n);
void host_tick(struct world *w, struct node *n, uint64_t generation);
void host_link(struct world *w, struct node *n, raft_id peer);
uint64_t host_now(const struct world *w, const struct node *n);
void host_set_clock(struct world *w, struct node *n, uint64_t jump, uint64_t ppm);
void host_arm_tick(struct world *w, struct node *n);
/* Push an event for this life of n. */
void host_later(struct world *w, struct node *n, uint64_t delay, struct ev e);

/* host_disk.c: the thread that writes the WAL, and recovery. */
void disk_enqueue(struct world *w, struct node *n, const struct raft_persist *p);
void disk_kick(struct world *w, struct node *n);
/* Tell the core what it was not told because nothing waited for it. */
void disk_owed(struct world *w, struct node *n);
void disk_done(struct world *w, struct node *n);
void disk_idle(struct world *w, struct node *n, uint64_t number);
uint64_t disk_latency(struct world *w, struct node *n);
/* Write the batch under way now. */
void disk_write_flight(struct world *w, struct node *n);
/* Open and check the WAL and load what is there into n->log, n->machine, n->snap.
 * Return: 1 to boot, 0 to stay out. */
int disk_recover(struct world *w, struct node *n);
void disk_queue_clear(struct disk_queue *q);
/* Tell the core, which is booting, what recovery found missing. Return: raft_step's. */
int disk_tell_damage(struct node *n, struct raft_event *ev);
/* A write or sync failed: tell the core, which must stop. */
void disk_failed(struct world *w, struct node *n);

/* host_snap.c: snapshots. */
int snap_nearly_full(const struct world *w, const struct node *n);
void snap_maybe_take(struct world *w, struct node *n);
/* Take one now, unless one is under way. */
void snap_begin(struct world *w, struct node *n);
void snap_write_job(struct world *w, struct node *n);
void snap_taken(struct world *w, struct node *n);
int snap_attach(struct world *w, struct node *n, struct packet *p);
void snap_store_chunk(struct world *w, struct node *n, const struct raft_msg *chunk);
void snap_chunk_stored(struct world *w, struct node *n, const struct ev *e);
void snap_begin_install(struct world *w, struct node *n, const struct raft_snapshot *meta);
void snap_load_job(struct world *w, struct node *n);
void snap_loaded(struct world *w, struct node *n);
void snap_close(struct node *n);
uint64_t snap_id_of(raft_term term, raft_index index);
/* Load the state of a snapshot file into *ret_m. Return: 0 or a negative store error. */
int snap_read_state(struct world *w, struct node *n, raft_term term, raft_index index,
                    struct machine *ret_m, struct raft_snap_meta *ret_meta);

/* ------------------------------------------------------------------------------------------- */
/* Configurations (config.c); sets of members are bits by id                                     */

static inline uint32_t cfg_bit(raft_id id)
{
    return (uint32_t)1 << id;
}

void cfg_first(const struct world *w, struct raft_config *ret_config);
void cfg_reset(struct node *n, raft_index index, const struct raft_config *c);
void cfg_push(struct node *n, raft_index index, const struct raft_config *c);
void cfg_truncate(struct node *n, raft_index first);
/* A snapshot took the place of the log through its index; keep: what is behind it stays. */
void cfg_restore(struct node *n, const struct raft_snapshot *snap, int keep);
/* In force at index, or by the whole log. */
const struct raft_config_at *cfg_at(const struct node *n, raft_index index);
const struct raft_config_at *cfg_newest(const struct node *n);
/* Roles of a member, 0 for none. */
uint32_t cfg_roles(const struct raft_config *c, raft_id id);
/* Members with any of these roles; the voters when all steps under way are done. */
uint32_t cfg_who(const struct raft_config *c, uint32_t roles);
uint32_t cfg_voters_to_be(const struct raft_config *c);
int cfg_joint(const struct raft_config *c);
/* Do these members decide? While joint, a majority of each half does. */
int cfg_quorum(const struct raft_config *c, uint32_t ids);
int cfg_equal(const struct raft_config *a, const struct raft_config *b);
/* Return: 1 and *ret_config when the item is a configuration. */
int cfg_of_item(const struct item *it, struct raft_config *ret_config);
/* The configurations among count items that begin at first. Ownership: free *ret_configs. */
size_t cfg_decode_items(const struct item *items, uint32_t count, raft_index first,
                        struct raft_config_at **ret_configs);

/* ------------------------------------------------------------------------------------------- */
/* The load (client.c)                                                                           */

enum proposal_state {
    PROPOSAL_REFUSED = 1,
    PROPOSAL_OPEN,
    PROPOSAL_COMMITTED, /* its proposer saw it applied */
    PROPOSAL_DROPPED,   /* its proposer was told that it lost */
    PROPOSAL_LOST       /* its proposer ended before it knew */
};

struct proposal {
    enum proposal_state state;
    raft_id node;
    raft_index committed_at; /* in the group's log; 0: not */
};

struct read {
    raft_id node;
    uint32_t boot;
    raft_index floor; /* committed when it arrived */
    uint64_t at;
    int answered;
    int done; /* waited for its index too */
};

struct client {
    struct proposal *proposals; /* by id, 1 .. count */
    size_t proposals_count;
    size_t proposals_cap;
    struct read *reads; /* by cookie, 1 .. count */
    size_t reads_count;
    size_t reads_cap;
    uint64_t reads_ok;
};

void client_step(struct world *w);
/* Read from n, a moment later again, so many times: by one that may just be losing its leadership. */
void client_ask(struct world *w, struct node *n, uint64_t times);
/* Return: raft_step's; *ret_id receives the id of the first. */
int client_propose(struct world *w, struct node *n, uint32_t count, uint64_t *ret_id);
int client_read(struct world *w, struct node *n, uint64_t *ret_cookie);
/* n, a leader: somebody at peer waits for index. n: somebody here waits for all. Return: raft_step's. */
int client_awaited(struct world *w, struct node *n, raft_id peer, raft_index index);
int client_waits(struct world *w, struct node *n, int on);
void client_answer(struct world *w, struct node *n, const struct raft_read *r);
void client_dropped(struct world *w, struct node *n, const struct raft_drop *d);
void client_applied(struct world *w, struct node *n, raft_index index, raft_term term);
void client_installed(struct world *w, struct node *n);
void client_release_reads(struct world *w, struct node *n);
void client_node_ended(struct world *w, struct node *n);
void client_finish(struct world *w);

/* ------------------------------------------------------------------------------------------- */
/* Faults (nemesis.c)                                                                            */

#define NEMESIS_ACTIVE_MAX 16

struct fault {
    enum sim_fault kind; /* valid while number != 0 */
    uint64_t number;
    raft_id node;
    int hold;
    uint8_t cut[SIM_SLOTS][SIM_SLOTS];
};

struct nemesis {
    struct fault active[NEMESIS_ACTIVE_MAX];
    uint64_t count;
};

void nemesis_step(struct world *w);
void nemesis_undo(struct world *w, uint64_t number);
/* Undo everything, boot everyone, true clocks, a clean network. */
void nemesis_heal(struct world *w);
/* May this member lose its disk too? Only while in every configuration that is or may come into force
 * a majority of the voters keeps theirs. */
int nemesis_may_lose(const struct world *w, raft_id id);
/* A member that is up; half of the time a leader. NULL: none. */
struct node *nemesis_target(struct world *w);

/* Larger logs for members whose log is full, when nobody leads the healed group. */
void nemesis_widen(struct world *w);

/* Ask n to hand leadership over. */
void nemesis_transfer(struct world *w, struct node *n);

/* nemesis_usurp.c: who leads sleeps, and may be replaced meanwhile. */
void usurp(struct world *w);
void usurp_pause(struct world *w, struct node *n);
void usurp_campaign(struct world *w, struct node *n);

/* nemesis_disk.c */
void disk_rot(struct world *w, struct node *n);
/* A member whose disk may rot, its log sealed; NULL: none. */
struct node *disk_rot_target(struct world *w);
void disk_trouble(struct world *w, struct node *n, enum sim_fault kind, uint64_t time);

/* nemesis_member.c: who belongs to the group. */
/* The one that leads by the newest term, if it is awake; NULL: nobody. */
struct node *member_leader(struct world *w);
void member_change(struct world *w);
void member_wipe(struct world *w);
/* In the healed group: let go of those that never come back. */
void member_settle(struct world *w, struct node *leader);
/* Are all steps of the last change done? */
int member_settled(const struct world *w, const struct node *leader);

/* ------------------------------------------------------------------------------------------- */
/* Checkers (check_*.c): testing.md R1 - R15                                                     */

struct commit_rec {
    raft_term term;
    raft_term by_term; /* of the leader that committed it */
    uint64_t chain;
    uint64_t snap_digest[2]; /* of the first snapshot taken here; 0: none */
};

struct term_rec {
    raft_id leader;
    raft_id transfer_to;      /* its leader was told to hand over to this one */
    raft_id votes[SIM_SLOTS]; /* by voter: whom it gave its vote in public */
};

struct pair_rec {
    raft_index index;
    raft_term term;
    uint64_t chain;
};

/* A configuration that some log has held. */
struct config_rec {
    raft_index index;
    raft_term term;
    struct raft_config config;
};

struct ledger {
    struct commit_rec *commits; /* by index */
    raft_index committed;
    size_t commits_cap;
    struct config_rec *configs; /* behind the last committed one */
    size_t configs_count;
    size_t configs_cap;
    struct raft_config_at *history; /* committed ones, ascending; the first of the group at 0 */
    size_t history_count;
    size_t history_cap;
    struct term_rec *terms; /* by term */
    size_t terms_cap;
    struct pair_rec *pairs; /* hash table by (index, term): R3 */
    size_t pairs_count;
    size_t pairs_cap;
};

/* check_node.c: after every step of a member. */
void check_node(struct world *w, struct node *n);
void check_booted(struct world *w, struct node *n);
void check_ticked(struct world *w, struct node *n);
/* check_log.c: entries entering and leaving a log, commit, apply. */
void check_entry(struct world *w, struct node *n, raft_index index, const struct item *it);
void check_truncate(struct world *w, struct node *n, raft_index first);
void check_commit(struct world *w, struct node *n, raft_index commit);
void check_applied(struct world *w, struct node *n);
void check_leader_log(struct world *w, struct node *n);
void check_snapshot(struct world *w, struct node *n, const struct machine *m,
                    const uint64_t digest[2]);
struct term_rec *check_term(struct world *w, raft_term term);
/* Does n's disk hold the prefix that ends at index with this hash? */
int check_holds(const struct node *n, raft_index index, uint64_t chain);
/* check_config.c: configurations. */
void check_config_entry(struct world *w, struct node *n, raft_index index, const struct item *it);
void check_config_committed(struct world *w, struct node *n, raft_index index,
                            const struct item *it);
void check_config_force(struct world *w, struct node *n);
void check_elected(struct world *w, struct node *n);
void check_snapshot_config(struct world *w, struct node *n, const struct raft_snapshot *snap);
/* The committed configuration in force at index, at most the last committed one. */
const struct raft_config_at *check_config_at(const struct world *w, raft_index index);
void check_config_begin(struct world *w);
/* check_speech.c: what a message claims must be on the disk of its sender. */
void check_speech(struct world *w, struct node *n, const struct raft_msg *m);
/* check_told.c: what a leader says of the commit index, and who waits for it; a round is over. */
void check_told_speech(struct node *n, const struct raft_msg *m);
void check_told_awaited(struct node *n, raft_id peer, raft_index index);
void check_told(struct world *w, struct node *n);
/* check_repair.c: members that lost what they had acknowledged. */
void check_repair(struct world *w, struct node *n);
void check_repair_speech(struct world *w, struct node *n, const struct raft_msg *m);
/* 1 when n can never learn the term of another member that is out of the group, too. */
int check_repair_stuck(const struct world *w, const struct node *n);
/* check_end.c: convergence and storms. */
void check_watch(struct world *w);
void check_load(struct world *w);
void check_storm(struct world *w, const struct raft_msg *m);
void check_finish(struct world *w);

/* ------------------------------------------------------------------------------------------- */

enum phase {
    PHASE_CHAOS = 1,
    PHASE_SETTLE, /* healed, no new load: logs and states must become equal */
    PHASE_PROBE,  /* a fresh proposal and fresh reads */
    PHASE_QUIET,  /* nothing but heartbeats */
    PHASE_DONE
};

struct world {
    uint64_t seed;
    struct knobs k;
    uint64_t now; /* virtual, ns */
    uint64_t steps;
    struct evq q;
    struct rng rng_tie;
    struct rng rng_net;
    struct rng rng_disk;
    struct rng rng_host;
    struct rng rng_client;
    struct rng rng_nemesis;
    struct arena arena;
    struct node nodes[SIM_SLOTS]; /* by id, 1 .. k.nodes */
    struct net net;
    struct client client;
    struct nemesis nemesis;
    struct ledger ledger;
    struct trace trace;
    struct marks *marks;

    enum phase phase;
    uint64_t healed_at;
    uint64_t converged_ns; /* how long it took */
    uint64_t chunks_stored;
    uint64_t progress; /* a number that grows with everything achieved since */
    uint64_t progress_at;
    uint64_t quiet_from;
    uint64_t quiet_sent;
    raft_term quiet_term; /* of the leader then */
    int rough_network;    /* it loses, copies or reorders */
    double storm_max;     /* overhead in its worst window, as a part of what is allowed */
    uint64_t probe_id;
    uint64_t probe_cookie[SIM_SLOTS];
    int probe_sent;

    int failed;
    char why[512];
};

/* What a seed came to. */
struct world_result {
    int failed;
    char why[512];
    uint64_t hash;
    uint64_t steps;
    uint64_t virtual_ns;
    uint64_t converged_ns;
    raft_index committed;
    uint64_t reads_ok;
    uint64_t sent;
    double storm_max;
};

/* Note the first broken invariant. Return: none; w->failed is set. */
void sim_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Push an event `delay` from now. */
void world_later(struct world *w, uint64_t delay, struct ev e);

/* The member, or NULL for a number that is none. */
struct node *world_node(struct world *w, raft_id id);
int world_alive(const struct world *w, raft_id id);

struct world_run {
    uint64_t seed;
    uint64_t with;    /* faults that it has whatever it draws, */
    uint64_t without; /* faults to leave out, bit per enum sim_fault: to narrow a failure down */
    int verbose;      /* print the knobs */
    FILE *trace;      /* print every event here; NULL: no */
    struct world **current; /* set to the world while it runs, for a crash report; may be NULL */
};

/* Run one seed. Ownership: none kept. Return: none; *ret_result is filled, marks are added to m. */
void world_run(const struct world_run *run, struct marks *m, struct world_result *ret_result);

/* ------------------------------------------------------------------------------------------- */
/* A world without chance, for those who say themselves what happens (tests/script). Its members are
 * made and booted by the caller (host_create, host_boot), its events taken from w->q by the caller. */

/* Ownership: release with world_close. Return: never NULL. */
struct world *world_open(const struct knobs *k, struct marks *m);
void world_close(struct world *w);

/* Carry out one event; w->now must be its time already. */
void world_dispatch(struct world *w, const struct ev *e);

/* Undo all faults and look from now on for convergence: w->phase ends as PHASE_DONE. */
void world_heal(struct world *w);

#endif
