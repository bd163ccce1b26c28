/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_ensemble.h: a whole ensemble of consensus cores in memory, for unit tests.
 *
 * Each member has a host with its own log of payloads, a disk that completes writes at once or when
 * told, and a state machine that records what was applied. The network delivers at once, unless a
 * link is cut, delayed or loses. Time stands still unless a test advances it.
 *
 * After every event the harness checks raft_check, and between members: one leader per term,
 * committed entries never differ, nothing is said that is not on disk. A broken rule fails the test.
 *
 * Thread: one. Everything aborts the test on misuse.
 */
#ifndef TESTS_RAFT_ENSEMBLE_H
#define TESTS_RAFT_ENSEMBLE_H

#include <coord/raft.h>

#define ENS_MS          1000000u
#define ENS_NODES_MAX   9
#define ENS_ENTRIES_MAX 4096
#define ENS_QUEUE_MAX   4096
#define ENS_TERMS_MAX   512
#define ENS_CONFIGS_MAX 512
#define ENS_CONFIG_VALUE \
    ((uint64_t)1 << 40) /* payload of a CONFIG entry: this, and where in ens.configs */

/* What a message carries beside its header. */
struct ens_packet {
    struct raft_msg msg;
    raft_ns at; /* delivered not before */
    uint32_t configs_count;
    struct raft_config_at configs[RAFT_CONFIGS_MAX];
    struct raft_entry *entries; /* msg.count, of an APPEND */
    uint64_t *values;
};

struct ens_write {
    struct raft_persist what;
    struct raft_entry *entries;
    uint64_t *values;
};

/* One disk or memory image of a log, by index. */
struct ens_log {
    raft_index base;
    raft_term base_term;
    raft_index last;
    struct raft_entry entries[ENS_ENTRIES_MAX];
    uint64_t values[ENS_ENTRIES_MAX];
};

struct ens_node {
    struct raft *raft; /* NULL while it is down */
    struct raft_options options;
    raft_id id;
    uint32_t boots;
    int disk_manual;     /* writes wait for ens_disk */
    int install_manual;  /* snapshots load when ens_install says so */
    struct ens_log log;  /* what the host holds in memory */
    struct ens_log disk; /* what survives */
    raft_term disk_term;
    raft_id disk_vote;
    raft_index disk_commit;
    uint32_t damage; /* enum raft_damage: told at the next restarts, with */
    raft_index damage_index;
    raft_term damage_term;
    struct raft_snapshot disk_snapshot;
    struct ens_write writes[RAFT_IO_MAX];
    uint32_t writes_count;
    raft_index applied;
    uint64_t values[ENS_ENTRIES_MAX]; /* the state machine */
    struct raft_snapshot installing;
    struct raft_read reads[256]; /* answers, oldest first */
    uint32_t reads_count;
    struct raft_drop drops[64];
    uint32_t drops_count;
    uint64_t sent[RAFT_MSG_TYPE_END]; /* messages by type */
    uint64_t sent_entries;
    raft_term term; /* as last seen, for monotony */
    raft_index commit;
};

struct ens_link {
    int cut;            /* messages vanish */
    raft_ns delay;      /* messages wait */
    uint32_t drop_type; /* messages of this type vanish, 0 none */
};

struct ens {
    raft_ns now;
    uint32_t count;
    struct ens_node nodes[ENS_NODES_MAX];
    struct ens_link links[ENS_NODES_MAX][ENS_NODES_MAX]; /* [from][to], by slot */
    struct ens_packet *queue[ENS_QUEUE_MAX];
    uint32_t queue_count;
    uint64_t sent[RAFT_MSG_TYPE_END]; /* by type, ever */
    raft_index committed;             /* by anybody, ever */
    raft_term committed_term[ENS_ENTRIES_MAX];
    uint64_t committed_value[ENS_ENTRIES_MAX];
    raft_id leaders[ENS_TERMS_MAX];     /* by term */
    struct raft_snapshot snapshots[64]; /* all files there are, by snap_id - 1 */
    uint32_t snapshots_count;
    uint64_t next_value;
    struct raft_config configs[ENS_CONFIGS_MAX]; /* every one that a member made */
    uint32_t configs_count;
    struct ens_packet *held[64]; /* taken out of the network by ens_hold */
    uint32_t held_count;
    uint32_t hold_type; /* messages of this type are held back, 0 none */
    raft_id hold_from;
};

/* Begin with count members (ids 1 .. count), all voters, all fresh, links up but not announced.
 * tweak: changes the options of each, may be NULL. Ownership: end with ens_free. */
struct ens *ens_new(uint32_t count, uint64_t seed, void (*tweak)(struct raft_options *));
void ens_free(struct ens *c);
/* One more member that knows of no group yet. tweak: as above. Return: its id. */
raft_id ens_join(struct ens *c, void (*tweak)(struct raft_options *));

struct ens_node *ens_node(struct ens *c, raft_id id);
struct raft_status ens_status(struct ens *c, raft_id id);

/* One event for one member, then its actions. Return: what raft_step returned. */
int ens_step(struct ens *c, raft_id id, struct raft_event ev);
/* Deliver until nothing is deliverable at this moment. */
void ens_settle(struct ens *c);
/* Let time pass, with timers and messages in order. */
void ens_run(struct ens *c, raft_ns ns);
/* Let time pass until somebody leads and may serve; fails after 30 s. Return: the leader. */
raft_id ens_elect(struct ens *c);
/* Who leads the latest term; 0 nobody. */
raft_id ens_leader(struct ens *c);
/* Let `id` campaign now and settle; it must win. */
void ens_make_leader(struct ens *c, raft_id id);

/* Propose count entries at a member. Return: as raft_step. */
int ens_propose(struct ens *c, raft_id id, uint32_t count);
int ens_propose_bytes(struct ens *c, raft_id id, uint32_t count, uint32_t bytes);
/* The configuration of these members; bit 0 stands for id 1. */
struct raft_config ens_config(uint32_t voters, uint32_t learners);
/* Ask a member for it. Return: as raft_step. */
int ens_change(struct ens *c, raft_id id, uint32_t voters, uint32_t learners);
/* Let time pass until the leader's newest configuration is committed and exactly this; fails after 10 s. */
void ens_await_config(struct ens *c, uint32_t voters, uint32_t learners);
/* Let time pass in small steps until the newest configuration at `id` is joint; fails after 3 s. */
void ens_run_until_joint(struct ens *c, raft_id id);
/* Roles of `of` in the newest configuration that `id` has; 0 when it is no member. */
uint32_t ens_roles(struct ens *c, raft_id id, raft_id of);
int ens_read(struct ens *c, raft_id id, uint64_t cookie);
/* The answer to a read. Return: 0 when there is none yet. */
int ens_read_result(struct ens *c, raft_id id, uint64_t cookie, raft_index *ret_index);

/* Both directions of the link between a and b; tell: the hosts report it as PEER_LINK. */
void ens_cut(struct ens *c, raft_id a, raft_id b, int tell);
void ens_heal(struct ens *c, raft_id a, raft_id b, int tell);
void ens_isolate(struct ens *c, raft_id id, int tell);
void ens_heal_all(struct ens *c, int tell);
struct ens_link *ens_link(struct ens *c, raft_id from, raft_id to);
/* Every message takes this long, so that a test can stop in the middle of something. */
void ens_slow(struct ens *c, raft_ns delay);
/* Hold messages of a type from a member (0: any) instead of delivering; release gives them back. */
void ens_hold(struct ens *c, raft_id from, uint32_t type);
void ens_release(struct ens *c);
/* Hand a message to its receiver now, with entries of term `term` when it is an APPEND. */
void ens_inject(struct ens *c, const struct raft_msg *m, raft_term term);

/* Complete the oldest `count` writes of a disk_manual member. */
void ens_disk(struct ens *c, raft_id id, uint32_t count);
/* Lose everything that is not on disk. */
void ens_crash(struct ens *c, raft_id id);
void ens_restart(struct ens *c, raft_id id);
/* The disk of a member that is down lost the entries after `last`. */
void ens_rot(struct ens *c, raft_id id, raft_index last);

/* Take a snapshot of `bytes` at the applied index of a member, keeping `keep` entries before it. */
void ens_snapshot(struct ens *c, raft_id id, uint64_t bytes, raft_index keep);
/* Let a member with install_manual finish (ok 1) or reject (0) the snapshot it is loading. */
void ens_install(struct ens *c, raft_id id, int ok);

/* Fails the test unless all that are up, and members for the leader if there is one, hold and have applied
 * the same. */
void ens_assert_equal(struct ens *c);

#endif
