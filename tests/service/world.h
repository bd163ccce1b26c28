/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h: one seed: whole members and whole clients in virtual time, for the files of tests/service only.
 *
 *   members   the shipped node over the shipped log, snapshot files and recovery on a simulated disk
 *   clients   the shipped library, recipes included, over simulated system calls
 *   streams   the connections between them, as bytes
 *
 * Invariants
 *   1. Everything follows from the seed: no real clock, no pointer value, no uninitialised byte reaches a
 *      decision or the trace hash.
 *   2. Code of a member or a client runs only between world_enter and world_leave, which say whose clock
 *      and whose random numbers it gets.
 *   3. Checks never change the world. world_fail notes the first broken rule; all loops end.
 * Threads: one.
 */
#ifndef COORD_TESTS_SERVICE_WORLD_H
#define COORD_TESTS_SERVICE_WORLD_H

#include <coord/coord.h>
#include <coord/raft_storage.h>
#include <coord/recipes.h>
#include "server/node/node.h"
#include "server/shell/boot.h"
#include "server/shell/frame.h"
#include "tests/service/knobs.h"
#include "tests/service/marks.h"
#include "tests/service/oracle.h"
#include "tests/service/trace.h"
#include "tests/sim/disk.h"
#include "tests/sim/disk_rot.h"
#include "tests/sim/evq.h"
#include "tests/sim/rng.h"

#define WORLD_STEPS_MAX    3000000u
#define WORLD_STREAMS      4096u /* connections of one seed */
#define WORLD_START_NS     (1000 * SVC_SEC)
#define MEMBER_STREAMS_MAX 1024
#define ACTOR_WATCHES      4
#define ACTOR_OPS_MAX      16
#define SVC_CLUSTER_NAME   "sim"

enum svc_event {
    SE_RUN = 1,      /* a member looks around. a: 1 the timer; b: generation of the timer */
    SE_MESSAGE,      /* p: struct coord_buf from peer */
    SE_LINK,         /* a: 1 up, 0 down; peer */
    SE_WRITTEN,      /* the disk carried out a batch */
    SE_READ,         /* the log was read again */
    SE_IDLE,         /* the disk has nothing to do; a: batches so far */
    SE_SNAP,         /* the snapshot worker is done with its job */
    SE_RETRY,        /* chunks that could not be stored are tried again */
    SE_REPAIRED,     /* a damaged log is told that it is whole */
    SE_RESTART,      /* somebody restarts a member that has stopped */
    SE_BOOT,         /* start the process */
    SE_RESUME,       /* a paused process goes on */
    SE_LEFT,         /* a member that leaves must be done */
    SE_STREAM,       /* p: struct stream; a: direction; bytes or an end arrive */
    SE_CONNECT,      /* p: struct stream; a connection is made or refused */
    SE_CLIENT,       /* client `peer` looks around */
    SE_CLIENT_TIMER, /* a: generation */
    SE_THINK,        /* client `peer` may ask for something; a: its life */
    SE_CLIENT_OPEN,  /* client `peer` begins a life */
    SE_CLIENT_RESUME,
    SE_STRANGER, /* a: which one */
    SE_SWEEP,    /* a member looks for connections on which nothing comes */
    SE_NEMESIS,
    SE_UNDO, /* a: slot of the fault that ends */
    SE_HEAL,
    SE_LOOK /* has the healed world converged? */
};

enum phase { PHASE_CHAOS = 1, PHASE_SETTLE, PHASE_PROBE, PHASE_QUIET, PHASE_FAREWELL, PHASE_DONE };

/* A clock: local = base + (world - since) * (10^6 + ppm) / 10^6. */
struct clk {
    uint64_t base;
    uint64_t since;
    int64_t ppm;
};
uint64_t clk_local(const struct clk *c, uint64_t now);
/* The world's time at which the clock shows `local`, not before now. */
uint64_t clk_world(const struct clk *c, uint64_t local, uint64_t now);
void clk_jump(struct clk *c, uint64_t now, uint64_t by);

/* --- members: member.c, media.c ------------------------------------------------------------------ */

struct media_note {
    struct coord_buf *payload;
    uint64_t io_seq;
    raft_index compact;
};

struct media_queue {
    struct raft_wal_op *ops;
    struct media_note *notes;
    uint32_t count;
    uint32_t cap;
};

enum media_job_kind {
    JOB_BEGIN = 1, /* a snapshot file: begun, written, ended or given up */
    JOB_WRITE,
    JOB_END,
    JOB_ABORT,
    JOB_STORE, /* a chunk of a leader's */
    JOB_LOAD,
    JOB_CHUNK, /* read one for a follower */
    JOB_PRUNE
};

struct media_job {
    struct media_job *next;
    enum media_job_kind kind;
    struct raft_snapshot meta;
    struct raft_msg msg;
    raft_id peer;
    struct coord_buf *buf;
    struct coord_buf *header;
    struct machine_loader *state; /* result of LOAD */
    uint64_t digest[2];
    uint64_t through;
    int error;
};

#define MEDIA_DIGESTS 8

/* The disk of a member, and the two threads that use it: media.c, media_snap.c. */
struct media {
    struct sim_disk *disk;
    struct boot boot;
    bool open;
    struct media_queue pending;
    struct media_queue work; /* under way */
    bool busy;
    bool stalled; /* nothing completes */
    bool owed;    /* a batch is due but held by the stall */
    bool owed_job;
    bool failed;
    bool full;          /* the disk has, or may soon have, no room left */
    bool room;          /* what the node was told last */
    bool upkeep_failed; /* the last one */
    uint64_t upkeep_at;
    bool verdict_due; /* the log is to be told that it is whole */
    uint64_t batches;
    uint32_t work_at; /* what stands before in work is written */
    uint64_t slow_until;
    uint64_t slow_factor;
    int bad_reads;   /* of so many of the next boots one read fails */
    bool reads_fail; /* in this one */
    bool sealed;     /* the last batch is attested ... */
    char sealed_path[ROT_PATH_BYTES];
    uint64_t sealed_end; /* ... and ends here */
    struct media_job *jobs;
    struct media_job *retries; /* chunks that could not be stored */
    raft_index store_index;    /* the transfer that the newest chunk belongs to */
    raft_term store_term;
    bool job_busy;
    struct raft_snap_writer *writer;
    int writer_error; /* why there is none */
    struct raft_snap_recv *recv;
    raft_index recv_index;
    raft_term recv_term;
    struct raft_snap_reader *reader;
    raft_index reader_index;
    raft_term reader_term;
    struct {
        raft_index index;
        uint64_t digest[2];
    } digests[MEDIA_DIGESTS];
    uint32_t digests_next;
    uint64_t prune_after;
    uint64_t durable;
    raft_index read_first; /* to be read again, when read_bufs is not NULL */
    uint32_t read_count;
    struct coord_buf **read_bufs;
};

struct member {
    struct world *w;
    raft_id id;
    struct node *node; /* NULL: not running */
    uint32_t boot;     /* counts the processes */
    struct clk clk;
    int64_t wall_ms; /* what its wall clock is ahead of the world's time */
    struct rng rng;
    uint64_t paused_until;
    bool run_due;
    uint64_t tick_at; /* world's time of the timer that is set; 0 none */
    uint64_t tick_gen;
    bool away;       /* is to stay down until somebody boots it */
    bool beyond_log; /* when it came back, only a snapshot could help */
    bool leaving;
    bool repairing; /* its log lost what was acknowledged, and has not been told that it is back */
    bool rotted;    /* its disk ever did */
    bool spoiled;   /* since it was booted last */
    bool doubts;    /* it takes its vote for lost as well */
    bool out;       /* refused by its own disk, for good */
    bool stopped;   /* it is FAULTED */
    struct media media;
    struct conf *conf;
    uint32_t frame_bytes; /* of clients, at most */
    uint64_t conns;       /* clients connected */
    bool again;           /* the node was told something at the end of a turn */
    struct stream *streams[MEMBER_STREAMS_MAX]; /* with an end here */
    uint32_t streams_count;
    raft_term led; /* the last term it was seen to lead */
};

void member_init(struct world *w, raft_id id);
void member_finish(struct member *m);
void member_boot(struct member *m);
enum member_end { END_KILL = 1, END_POWER, END_POWER_IN_WRITE, END_LEFT };
void member_end(struct member *m, enum member_end how);
/* Something happened at m: it looks around soon. */
void member_poke(struct member *m);
void member_run(struct member *m, const struct ev *e);
void member_pause(struct member *m, uint64_t ns);
bool member_up(const struct member *m);
uint64_t member_now(const struct member *m);
bool member_leads(const struct member *m);
/* The last index of its log. */
raft_index member_last(const struct member *m);
/* Does the leader's log still reach back to what a member with this last index lacks? */
bool member_log_reaches(const struct world *w, raft_index last);

void media_init(struct media *d, uint64_t seed);
void media_finish(struct media *d);
/* left: bytes that still find room; UINT64_MAX: plenty. */
void media_capacity(struct media *d, uint64_t left);
enum media_opened {
    MEDIA_OPEN = 1,
    MEDIA_AGAIN, /* not now; why, as with the others */
    MEDIA_LOST,  /* damaged beyond repair, which is to be expected */
    MEDIA_WRONG  /* which is not */
};
/* It did not start: was that to be expected? */
enum media_opened media_open_failed(struct member *m, const char *why);
/* Open what the disk holds. */
enum media_opened media_open(struct member *m, char *why, size_t n);
void media_close(struct member *m);
void media_persist(struct member *m, const struct raft_persist *p, const struct raft_entry *metas,
                   struct coord_buf *const *payloads);
/* Begin what was given. */
void media_submit(struct member *m);
void media_written(struct member *m);
/* Read payloads of the log again, as env->log_read says. */
void media_read(struct member *m, raft_index first, uint32_t count, struct coord_buf **bufs);
void media_read_done(struct member *m);
void media_idle(struct member *m, uint64_t batches);
void media_stall(struct member *m, bool stalled);
/* How long the disk takes for what begins now. */
uint64_t media_time(struct member *m);
/* Attest all that was written, if nothing is under way. */
bool media_seal(struct member *m);
/* The node has again what the log had lost: the log is told, soon. */
void media_repaired(struct member *m);
void media_verdict(struct member *m);

void media_digest_keep(struct media *d, raft_index index, const uint64_t digest[2]);
void media_job_put(struct member *m, const struct media_job *job);
void media_job_done(struct member *m);
void media_jobs_drop(struct media *d);
void media_retry(struct member *m);

/* --- between members: peers.c --------------------------------------------------------------------- */

void peers_send(struct member *m, raft_id to, struct coord_buf *whole);
/* The same for a piece of a snapshot; msg is its message. */
void peers_send_chunk(struct member *m, raft_id to, struct coord_buf *whole,
                      const struct raft_msg *msg);
void peers_deliver(struct world *w, const struct ev *e);
/* The link between two members may have come or gone: tell both sides in a while. */
void peers_update(struct world *w, raft_id a, raft_id b, bool reset);
void peers_learn(struct world *w, const struct ev *e);
bool peers_connected(const struct world *w, raft_id a, raft_id b);

/* --- between clients and members: stream.c -------------------------------------------------------- */

struct stream_piece {
    struct stream_piece *next;
    uint64_t at;
    uint32_t len;
    bool end;
    uint8_t bytes[];
};

/* One direction of a connection. */
struct half {
    struct stream_piece *first;
    struct stream_piece *last;
    uint64_t last_at;
    uint32_t flying; /* bytes in pieces */
    uint8_t *inbox;  /* arrived, not read: inbox[head .. head + len) */
    uint32_t head;
    uint32_t len;
    uint32_t cap;
    bool closed; /* its end is on the way */
    bool ended;  /* nothing comes any more */
};

enum { UP = 0, DOWN = 1 }; /* to the member, to the client */

struct stream {
    struct world *w;
    uint64_t id; /* the member's number for the connection too */
    struct actor *actor;
    raft_id member;
    uint32_t boot;
    bool connected;  /* the client was told */
    bool refused;    /* likewise */
    bool client_end; /* the client has its end open */
    bool member_end; /* the member knows it */
    bool silent;     /* the client's machine is gone without a word */
    int error;       /* errno that the client finds; 0 none */
    struct half half[2];
    struct frame_reader reader;
    bool paused;
    bool closing; /* the member closes when all is sent */
    bool full;
    bool behind; /* its watches are left out until it has read half of what waits */
    bool was_behind;
    bool overflow;
    uint32_t over; /* times in a row that something was added although it was full */
    uint64_t opened_at;
    uint64_t closing_at;
    uint64_t progress_at; /* inside a frame since */
    uint64_t progress_bytes;
    uint8_t *out; /* the member's bytes that find no room */
    uint32_t out_head;
    uint32_t out_len;
    uint32_t out_cap;
};

struct stream *stream_connect(struct actor *a, raft_id member);
void stream_event(struct world *w, const struct ev *e);
void stream_made(struct world *w, struct stream *s);
/* The client's end. */
int64_t stream_client_read(struct stream *s, uint8_t *bytes, size_t len);
int64_t stream_client_write(struct stream *s, const uint8_t *bytes, size_t len);
bool stream_client_readable(const struct stream *s);
bool stream_client_writable(const struct stream *s);
void stream_client_close(struct stream *s, bool silent);
/* The member's end. */
void stream_member_pump(struct member *m);
int64_t stream_member_readv(struct stream *s, const struct iovec *iov, int count);
void stream_member_send(struct member *m, uint64_t conn, struct coord_buf *frames);
void stream_member_close(struct member *m, uint64_t conn, const char *why);
void stream_member_pause(struct member *m, uint64_t conn, bool paused);
bool stream_member_full(struct member *m, uint64_t conn);
bool stream_member_behind(struct member *m, uint64_t conn);
void stream_member_limit(struct member *m, uint32_t bytes);
/* Drop those on which nothing comes, or that take no answer. */
void stream_member_sweep(struct member *m);
/* The process of the member ended; told: its system says so to the clients. */
void stream_member_died(struct member *m, bool told);
/* Break it in the middle. */
void stream_reset(struct stream *s);
/* What was held back, or waited for the process, goes on. member 0: all; actor UINT32_MAX: all. */
void stream_resume_all(struct world *w, raft_id member, uint32_t actor);
void streams_finish(struct world *w);

/* --- clients: sys.c, client.c, work.c, owner.c ----------------------------------------------------- */

enum fd_kind { FD_EPOLL = 1, FD_TIMER, FD_EVENT, FD_SOCKET, FD_MEMBER };

struct sim_fd {
    enum fd_kind kind;
    bool open;
    uint64_t value; /* TIMER: when, of the client's clock, 0 not set. EVENT: the count */
    uint32_t interest;
    int watched_by;
    struct actor *actor;
    struct stream *stream;
};

/* What a client wants to follow. */
struct watcher {
    bool used;
    bool ready;
    bool whole;    /* it is told of every node there is, so it lists what it follows */
    bool list_due; /* anew */
    bool gap;      /* because of a gap */
    const char *path;
    coord_watch_id id;
    uint64_t revision; /* told up to here */
    uint64_t next;     /* begin again behind this one, when it ends */
    struct actor *actor;
};

struct owner;

/* A client: a machine on which one process after the other uses the library. */
struct actor {
    struct world *w;
    uint32_t index;
    uint32_t life;
    uint64_t client; /* unique number of the process */
    struct coord *c; /* NULL: no process */
    struct clk clk;
    struct rng rng;
    struct rng rng_call; /* how it asks; apart, so that it asks for the same with every setting */
    uint64_t connects_full_at; /* of its own clock: see client_connects */
    uint64_t paused_until;
    bool run_due;
    bool poll_due; /* its descriptor may be ready */
    uint64_t timer_gen;
    uint64_t timer_at;
    int socket; /* 0 none */
    uint32_t under_way;
    uint64_t asked;
    uint64_t answered;
    uint64_t session;       /* the last one it had */
    uint64_t ping_sent;     /* world's time */
    uint64_t conn;          /* its connection, 0 none */
    bool ended;             /* the process is gone; what it is still told does not count */
    enum coord_state state; /* told last */
    raft_id last_member;    /* to which it was connected last */
    uint64_t lease_end;
    bool slow;           /* reads little at a time */
    uint64_t deaf_until; /* reads nothing */
    struct watcher watches[ACTOR_WATCHES];
    struct owner *owner;
    uint64_t probe_from; /* a fresh write is above it */
    bool probed_write;
    bool probed_read;
};

void client_init(struct world *w, uint32_t index);
void client_open(struct actor *a);
/* It looks around soon. */
void client_poke(struct actor *a);
void client_run(struct actor *a);
void client_timer(struct actor *a, uint64_t gen);
void client_pause(struct actor *a, uint64_t ns);
enum client_end { CLIENT_CLOSE = 1, CLIENT_DIE, CLIENT_GONE };
void client_end(struct actor *a, enum client_end how);
bool client_up(const struct actor *a);
uint64_t client_now(const struct actor *a);
/* It begins a connection. */
void client_connects(struct actor *a);
/* It asks for the end of its session, which ends the connection as well. */
void client_closes_session(struct actor *a);

/* It hardly asks for anything: what is under way on its connection are keep-alives. */
bool work_keeps_still(const struct actor *a);
void work_step(struct actor *a);
/* A write and a linearizable read of its own. */
void work_probe(struct actor *a);
void work_forget(struct actor *a);

/* --- clients that are not the library: stranger.c --------------------------------------------------- */

enum stranger_kind { STRANGER_DEAF = 0, STRANGER_DRIPS = 1 };
#define STRANGERS 2

struct stranger {
    enum stranger_kind kind;
    struct actor actor; /* for its stream only */
    struct stream *stream;
    uint64_t since;
    struct coord_buf *words; /* being said */
    uint32_t said;
    uint64_t number;
};

void strangers_begin(struct world *w);
void stranger_step(struct world *w, uint64_t kind);
void strangers_finish(struct world *w);

/* Locks and elections. */
void owner_init(struct actor *a);
#define OWNER_LOCK "/locks/x"
/* With which it holds the lock there, or held it last; 0 none. */
uint64_t owner_token(const struct actor *a);
void owner_step(struct actor *a);
/* Its client is about to end the session under what it owns. */
void owner_void(struct actor *a);
/* Its lease may be longer now. */
void owner_lease(struct actor *a);
/* A node was made at this path, a number behind it: a place in line? */
void owner_queued(struct actor *a, struct coord_bytes path, uint64_t token);
/* It is told that this node, which it watched, is gone. */
void owner_woken(struct actor *a, struct coord_bytes path, uint64_t revision);
/* The process is about to end; then it has ended, with all its memory. */
void owner_forget(struct actor *a);
void owner_finish(struct actor *a);
/* Is anybody sure to hold what another is sure to hold? */
void owner_check(struct world *w);
bool owner_idle(const struct actor *a);

/* --- what the oracle hears: hooks.c ---------------------------------------------------------------- */

void hooks_begin(struct world *w);
void hooks_client_ended(struct actor *a);
/* Nothing comes on its connection any more. */
void hooks_conn_ended(struct actor *a);
/* What became of requests that were never answered. */
void hooks_finish(struct world *w);

struct hooks;

/* --- faults and the end: nemesis.c, check.c -------------------------------------------------------- */

void nemesis_step(struct world *w);
void nemesis_undo(struct world *w, uint64_t slot);
void nemesis_heal(struct world *w);
/* nemesis_disk.c: a fault of a running member's disk, undone after ns where it is not over at once. */
void nemesis_disk(struct world *w, struct member *m, enum svc_fault f, uint64_t ns);
/* The member that is to rot; NULL none may. */
struct member *nemesis_rot_target(struct world *w);
void nemesis_disk_undo(struct world *w, enum svc_fault f, raft_id id, uint64_t boot);
void nemesis_disk_heal(struct member *m);
/* Random, of some kinds of lengths. */
uint64_t nemesis_span(struct world *w);
void nemesis_undo_later(struct world *w, enum svc_fault f, uint64_t x, uint64_t y, uint64_t ns);

void check_look(struct world *w);
/* Judge the recording. */
void check_history(struct world *w);
/* Copy it to a file, for `coordctl verify`. */
void check_keep(struct world *w, const char *file);

/* --- the world ------------------------------------------------------------------------------------ */

struct world {
    uint64_t seed;
    uint64_t now;
    uint64_t steps;
    struct knobs k;
    struct rng rng_tie;
    struct rng rng_net;
    struct rng rng_disk;
    struct rng rng_nemesis;
    struct rng rng_work;
    struct evq q;
    struct trace trace;
    struct marks *marks;
    enum phase phase;
    bool failed;
    bool judging; /* the oracle runs */
    char why[1024];

    struct member members[SVC_MEMBERS_MAX + 1]; /* from 1 */
    bool cut[SVC_MEMBERS_MAX + 1][SVC_MEMBERS_MAX + 1];
    bool link_up[SVC_MEMBERS_MAX + 1][SVC_MEMBERS_MAX + 1];       /* as the first was told */
    uint64_t link_last[SVC_MEMBERS_MAX + 1][SVC_MEMBERS_MAX + 1]; /* arrival, from, to */
    uint64_t link_gen[SVC_MEMBERS_MAX + 1][SVC_MEMBERS_MAX + 1];
    struct {
        raft_index index; /* of the snapshot; 0 none */
        uint64_t offset;
    } chunk_lost[SVC_MEMBERS_MAX + 1][SVC_MEMBERS_MAX + 1]; /* the last, from, to */
    bool apart[SVC_CLIENTS_MAX + STRANGERS]
              [SVC_MEMBERS_MAX + 1]; /* a client does not reach a member */
    struct actor actors[SVC_CLIENTS_MAX];
    struct stranger strangers[STRANGERS];
    struct stream *streams[WORLD_STREAMS]; /* by id, from 1 */
    uint32_t streams_count;
    struct sim_fd *fds;
    uint32_t fds_count;
    uint32_t fds_cap;

    struct oracle *oracle;
    struct hooks *hooks;
    int record_fd;
    char record_path[64];
    uint64_t value; /* the last one written by anybody */
    uint64_t clients_made;
    raft_id leader;
    raft_term leader_term;

    uint64_t healed_at;
    uint64_t phase_at;
    uint64_t quiet_at; /* nothing was applied since */
    uint64_t quiet_revision;
    uint64_t converged_ns;
    uint32_t probes;        /* rounds of them */
    uint32_t undecided;     /* parts of the recording */
    uint64_t hooks_applied; /* the highest index anybody applied */
    uint64_t ops;
    uint64_t replies;
    uint64_t messages;
    struct {
        bool used;
        enum svc_fault fault;
        uint64_t x;
        uint64_t y;
    } undo[16];
};

/* The first broken rule. Return: none. */
void world_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ask the oracle, and take what it says. The oracle uses functions of the protocol that are hooked: while it
 * judges, the hooks only do what they stand for. */
#define JUDGE(w, call) (world_judging(w), world_judged((w), (call)))
void world_judging(struct world *w);
void world_judged(struct world *w, const char *verdict);
void world_later(struct world *w, uint64_t delay, struct ev e);
void world_at(struct world *w, uint64_t at, struct ev e);
void world_trace(struct world *w, enum trace_kind kind, char who, uint32_t which, uint64_t a,
                 uint64_t b, uint64_t c, uint64_t d, const char *words);
uint64_t world_latency(struct world *w);

/* Whose code runs now. Return: none. */
void world_enter_member(struct member *m);
void world_enter_actor(struct actor *a);
void world_leave(void);
/* NULL outside. */
struct member *world_member(void);
struct actor *world_actor(void);

struct world_run {
    uint64_t seed;
    uint64_t with;
    uint64_t without;
    int verbose;
    FILE *trace;
    const char *record; /* the recording is copied to this file; NULL: not */
    struct world **current;
};

struct world_result {
    bool failed;
    char why[1024];
    uint64_t hash;
    uint64_t steps;
    uint64_t virtual_ns;
    uint64_t converged_ns;
    uint64_t ops;
    uint64_t replies;
    uint64_t messages;
    struct oracle_counts counts;
};

/* One seed from its first event to its verdict. Return: none. */
void world_run(const struct world_run *run, struct marks *m, struct world_result *ret_result);

#endif
