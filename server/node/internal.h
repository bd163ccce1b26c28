/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h: struct node and what the files of server/node offer each other. See README.md for the
 * picture and the order in which to read them.
 *
 * Naming: node_thing is public (node.h), node__thing is for these files. `n` is always the member.
 * Everything runs on the loop thread. A function that "stops the process when memory is out" is on the
 * way of the log, where going on would make this member differ from the others.
 */
#ifndef COORD_SERVER_NODE_INTERNAL_H
#define COORD_SERVER_NODE_INTERNAL_H

#include "server/node/node.h"
#include "server/node/invariant.h"
#include "server/node/list.h"
#include "server/node/map.h"
#include "server/node/peer_wire.h"
#include "server/node/recall.h"
#include "server/machine/saver.h"

#define NODE_NEVER UINT64_MAX
#define NODE_MS    UINT64_C(1000000)

/* Limits of this module, with their unit and reason. */
#define NODE_SOURCE_BYTES  64u        /* of a client's address in log lines */
#define NODE_TEXT_BYTES    256u       /* of an error text */
#define NODE_FAULT_BYTES   192u       /* of a fault's text, which error texts quote */
#define NODE_APPLY_ENTRIES 4096u      /* applied in one slice, so that a long backlog ... */
#define NODE_APPLY_BYTES   (1u << 20) /* ... does not keep heartbeats waiting */
#define NODE_APPLY_AHEAD   8u         /* entries named to the machine before their turn */
#define NODE_BATCH_ENTRIES 512u       /* proposed or forwarded in one step */
#define NODE_BATCH_BYTES   (1u << 20)
#define NODE_FOREIGN_BYTES \
    (64u << 20)                 /* of forwarded writes held at the leader: then it takes none */
#define NODE_ROUNDS_MAX      4u /* read rounds under way: later reads share the next */
#define NODE_OUT_BYTES       (256u << 10) /* output of a connection handed over at once */
#define NODE_EXPIRE_SESSIONS 1024u        /* in one EXPIRE entry */
#define NODE_SESSIONS_PAGE   1000u        /* of a SESSIONS: some 100 KiB */
#define NODE_CHUNKS_MAX      64u          /* received snapshot chunks waiting for their turn */
#define NODE_PASSES_MAX      4u           /* of the work in one node_run */
#define NODE_OUTBOX_MAX      128u         /* notices to peers gathered between two runs */
#define NODE_COPY_BYTES      1024u /* of a payload: less is copied into a message, not referred to */
#define NODE_LOG_BURST       20u   /* connection faults logged per second */
#define NODE_PINGS_ANSWERED \
    32u /* in one node_run: they come in crowds, and nobody else waits for all of them */

#define NODE_DIGESTS_KEPT 4u /* reports of each member about its state */

/* Copying the state in slices (saving.c). 200 us of work: docs/performance.md. */
#define NODE_SLICE_NS         (150 * (NODE_MS / 1000)) /* with a clock; else: */
#define NODE_SLICE_RECORDS    256u                     /* nodes and sessions in a slice */
#define NODE_SLICE_BYTES      (128u << 10)             /* with and without */
#define NODE_SLICE_PAUSE      NODE_MS                  /* between two slices */
#define NODE_SLICE_IMAGES     (UINT64_C(16) << 20)     /* kept aside: no pause, */
#define NODE_SLICE_LONGER     (UINT64_C(64) << 20)     /* with a clock: and longer slices */
#define NODE_SLICE_FACTOR_MAX 64u
#define NODE_SLICES_MAX       64u /* in a run, when the copy is behind (pace.c): some 10 ms */
#define NODE_SAVE_CHUNK_BYTES (256u << 10)
#define NODE_SAVE_CHUNKS      8u                    /* on their way to the disk: then it waits */
#define NODE_SAVE_IMAGES_MAX  (UINT64_C(512) << 20) /* kept aside for a slow disk: given up */

enum request_stage {
    REQUEST_HELD = 1, /* a write that waits until its connection's session is settled */
    REQUEST_QUEUED,   /* a write that waits to be proposed or forwarded */
    REQUEST_SENT,     /* a write proposed here or forwarded, in term n->writes.sent_term */
    REQUEST_WAITING,  /* anything else: waits for its turn and its condition */
    REQUEST_DONE      /* its answer is known, and leaves when it is the connection's first */
};

/* One request of a client, from its frame to its reply. */
struct request {
    struct request *next; /* in its connection's queue, or in the free list */
    struct conn *conn;
    struct coord_buf *entry; /* the frame, later the log entry made of it */
    enum request_stage stage;
    bool shared; /* entry has other holders: its bytes do not change any more */
    bool unsure; /* was SENT when a snapshot was installed, which may contain it */
    uint32_t bytes;
    uint64_t arrived; /* ns */
    uint64_t cookie;  /* writes: 0 before QUEUED */
    uint64_t sent_at;
    uint64_t round; /* the read round that allows it; 0 none asked for */

    /* PING */
    struct node_link ping; /* in n->touch.pings */
    bool placed;           /* its activity is with the leader, or on its way */
    bool heard;            /* and the leader's word on it is here */
    uint64_t touch;        /* number of the TOUCH that carries it */
    uint64_t placed_at;
    raft_index after; /* answer once applied through here */
    raft_index shown; /* the receipt shows at most this revision; 0: any */

    /* DONE */
    bool written; /* the reply is in the output already */
    int error;
    struct coord_buf *body; /* of the reply, behind the receipt */
    struct coord_receipt receipt;

    struct coord_request q; /* its bytes are borrowed from the frame; writes use numbers only */
};

struct conn {
    uint64_t id;
    char source[NODE_SOURCE_BYTES];
    struct node_link all;
    struct node_link ready;   /* something may have changed for its first request */
    struct node_link blocked; /* its first request waits for its condition */
    struct node_link flush;   /* has output, or is to be closed */
    struct node_link busy;    /* has a request */
    bool greeted;             /* a HELLO succeeded */
    bool settling; /* a HELLO or SESSION_OPEN is in the log: which session is not known yet */
    bool lost;     /* its session ended: writes are refused until a SESSION_OPEN */
    bool paused;
    uint64_t session; /* 0 none */
    uint64_t epoch;
    uint64_t seen;        /* highest revision this client was shown */
    uint64_t touch_batch; /* n->touch.batch when its activity was noted last */
    struct request *head;
    struct request *tail;
    uint32_t count;
    uint32_t waiting; /* of these, WAITING */
    uint64_t bytes;   /* of their frames */
    uint64_t kept;    /* bytes of answers that wait for their turn */
    bool full;        /* env->conn_full: its answers wait until node_conn_drained */
    bool lagging;     /* events were left out: GAP comes before any further answer */
    struct coord_buf *out;
    const char *close_why; /* to be closed when its output is handed over */
};

/* Payloads of the log entries that may be asked for, by index. Slots outside [kept, last] are NULL. */
struct payloads {
    struct coord_buf **slots;
    uint64_t mask;
    raft_index first;
    raft_index kept; /* those before it are on the disk only: first .. last + 1 */
    raft_index last;
    uint64_t bytes; /* of memory, about */
};

/* A write waiting to be proposed: of a client here (peer 0; the request is found by its cookie, and void
 * when it was answered meanwhile), or of a client of another member. */
struct queued {
    struct coord_buf *entry; /* of another member's */
    raft_id peer;
    uint64_t cookie;
};

struct writes {
    struct queued *queue; /* a ring, in the order of arrival: cookies of own ones ascend */
    size_t queue_slots;
    size_t queue_head;
    size_t queue_count;
    uint64_t foreign_bytes;

    struct request **pending; /* QUEUED and SENT ones, a ring by cookie: [base, next) */
    size_t pending_slots;
    uint64_t base;
    uint64_t next;

    uint64_t sent_count; /* requests in stage SENT ... */
    raft_term sent_term; /* ... all in this term */

    /* The stream of forwards to the leader of stream_term; stream_start 0: none is begun. */
    uint64_t nonce;
    raft_term stream_term;
    uint64_t stream; /* its number */
    uint64_t stream_start;
    uint64_t stream_next;
    uint64_t probe_at;
    uint64_t progress_at; /* when one of ours was applied last; 0: ask the leader at once */
    uint64_t taken_at;    /* when it was known last that the leader has all that was sent to it */
    uint64_t again_from;  /* the leader asked for the stream from here on again; 0: no */
};

struct round {
    uint64_t id; /* 0: free */
    uint64_t started;
    bool confirmed;
    raft_index index;
};

struct reads {
    struct round rounds[NODE_ROUNDS_MAX];
    uint64_t next; /* id of the round that begins next: reads that arrive now share it */
    uint64_t done; /* rounds through this are confirmed and applied */
    raft_index done_index;
    bool wanted;
    bool lazy;         /* somebody wants one who can wait ... */
    uint64_t lazy_at;  /* ... until then at most */
    uint64_t begun_at; /* the last round */
    uint64_t leased;   /* rounds that the lease has spared */
    uint64_t retry_at; /* NODE_NEVER, or when to ask again after a round was lost */
    uint64_t fresh;    /* the state applied here held everything committed by then */
    bool fresh_known;
    uint64_t blocked_at; /* when some blocked read is to be refused */
};

/* Activity of one session, at the leader. */
struct activity {
    uint64_t session;
    uint64_t heard; /* ns */
    uint64_t timeout;
    bool expiring; /* an EXPIRE with it is in the log */
    raft_id via;   /* the member it was heard through; 0: not yet */
};

struct touch {
    /* every member: sessions active here since the last TOUCH */
    uint64_t *active;
    size_t active_count;
    size_t active_slots;
    uint64_t active_since;
    uint64_t batch;
    uint64_t round; /* number of the last TOUCH */
    struct node_link pings;
    bool fresh;         /* a PING may have come that is not placed yet */
    bool hurry;         /* one of them has a request behind it */
    uint64_t placed_at; /* PINGs were placed last */
    uint64_t retry_at;  /* no placed PING is overdue before; NODE_NEVER: none is placed */
    uint32_t answers;   /* to PINGs in this run */

    /* leader */
    struct node_map sessions; /* of struct activity */
    uint64_t scan_at;
    raft_index expire_index; /* of the last EXPIRE proposed in this term */
};

/* Removal of nodes that go by themselves, at the leader: reaper.c. */
struct reaper {
    raft_index index;        /* of the REAP under way; 0 none */
    raft_index last;         /* of the one before */
    uint32_t containers;     /* that the one under way names */
    bool all;                /* it names all that was due */
    bool again;              /* the last one may have emptied other containers, or there was more */
    uint64_t look_at;        /* not before */
    uint64_t held_at;        /* a look at ... */
    raft_index held;         /* ... this revision: containers empty since then are due */
    uint64_t clock_ahead_ms; /* of the leader's clock before its monotonic one */
};

/* /coord: system.c. */
struct system {
    struct pool *pool;
    struct store *tree;
    uint64_t steps; /* stands for revisions in the tree, and is told nobody */
    struct raft_config config;
    struct coord_change *changes;
    uint32_t changes_room;
};

/* What a TOUCH of a follower waits for. */
struct touch_wait {
    bool set;
    uint64_t nonce;
    uint64_t round;
    uint64_t need; /* the read round that confirms the leader */
    raft_index index;
};

/* What a member said about its state at a revision; index 0: nothing. */
struct digest_report {
    raft_index index;
    uint64_t value;
};

/* The last few of one member, in the order in which they came. */
struct digest_reports {
    struct digest_report ring[NODE_DIGESTS_KEPT];
    uint32_t next;
};

struct digest {
    struct machine_saver *saver; /* hashing the state at index; NULL: none */
    raft_index index;
    uint64_t slice_at;
    uint64_t entries; /* applied since the last DIGEST entry */
    uint64_t due_at;  /* the leader asks again not before */
    raft_index proposed;
    raft_term proposed_term;
    struct digest_reports own;
    raft_index agreed;   /* the newest revision at which a majority said the same as this member */
    raft_index hopeless; /* the newest at which no majority can agree */
    raft_index named_index; /* at which these peers (bits) were named as different */
    uint64_t named;
    char diverged[NODE_FAULT_BYTES]; /* "" while there is no reason to believe it */
    uint64_t transfer_at;
};

struct peer {
    raft_id id;
    bool link_up;
    uint64_t heard; /* when anything came; 0 never */
    /* leader: its stream of forwards */
    uint64_t nonce;
    uint64_t stream;
    uint64_t next;
    uint64_t again_at;
    struct touch_wait waits[2]; /* the one under way, and the newest behind it */
    struct digest_reports digests;
};

/* A message to a peer that an event gave rise to, or one from a peer that waits for node_run. */
struct kept_message {
    raft_id peer;
    struct coord_buf *buf;
};

/* pace.c: the budget of the snapshot that is being taken. */
struct pace {
    raft_index from;     /* the log's end when it was begun */
    uint64_t room;       /* entries that could follow then */
    uint64_t records;    /* of the state, about */
    uint64_t bytes;      /* handed over to the disk so far */
    raft_index released; /* the log was released through this snapshot before the next was there */
};

struct snapshots {
    struct raft_snapshot newest; /* index 0: none */
    bool saving;                 /* from its begin until node_snapshot_saved */
    bool loading;
    bool owed;         /* one that was begun came to nothing */
    uint64_t entries;  /* applied since the last was begun */
    uint64_t bytes;    /* of their payloads */
    uint64_t retry_at; /* after a failure */

    /* The copy under way: of the state of saving_meta. */
    struct machine_saver *saver; /* NULL: none, or complete */
    struct raft_snapshot saving_meta;
    struct pace pace;
    struct coord_buf *chunk; /* being filled */
    bool out_of_memory;
    uint32_t writing;  /* chunks on their way to the disk */
    uint64_t slice_at; /* when the next slice is due */

    bool loaded; /* what node_snapshot_loaded brought waits for node_run */
    int loaded_error;
    struct raft_snapshot loaded_meta;
    struct machine_loader *loaded_state;
    struct kept_message
        chunks[NODE_CHUNKS_MAX]; /* received frames and their senders, oldest first */
    uint32_t chunks_head;
    uint32_t chunks_count;
};

struct limits {
    struct machine_limits told; /* in the log, last */
    raft_term term;             /* of the last look, as its leader */
    raft_index changed;         /* no change of limits came later */
    uint64_t check_at;          /* when the file is compared with what is in force */
};

struct node {
    struct node_options o;
    char cluster[256];
    struct node_env env;
    struct raft *raft;
    struct machine *machine;
    struct watch_hub *hub;
    struct raft_status st; /* as of the last poll */

    uint64_t now;
    uint64_t wall_ms; /* as node__stamp_ms */
    uint64_t created;
    uint64_t booted; /* quorum contact is granted from here on: start, or the end of a pause */
    uint64_t deadline;
    bool again;  /* this pass made work for the next */
    bool sliced; /* this run did a slice of copying */

    raft_index applied;
    raft_term applied_term;
    uint64_t applied_at;    /* when */
    raft_index commit;      /* told by raft */
    uint32_t apply_entries; /* what is left of this run's slice */
    uint64_t apply_bytes;
    struct payloads log;
    struct recalls recalls;
    struct kept_message outbox[NODE_OUTBOX_MAX]; /* to peers, sent by node_run; more are lost */
    uint32_t outbox_count;

    struct node_map conns;         /* by number */
    struct node_map session_conns; /* by session */
    struct node_link all;
    struct node_link ready;
    struct node_link busy; /* connections with a request */
    struct node_link blocked;
    bool waits; /* as raft was told: watches or reads wait here for what is committed */
    struct node_link flush;
    struct request *free_requests;
    uint64_t requests; /* under way, all connections */

    struct writes writes;
    struct reads reads;
    struct touch touch;
    struct reaper reaper;
    struct system system;
    struct peer peers[RAFT_NODES_MAX];
    uint32_t peers_count;
    struct snapshots snaps;
    struct digest digest;
    struct limits limits;

    uint64_t progress_at; /* watches: next progress mark */
    uint64_t progress_revision;
    uint64_t sweep_at;
    bool no_quorum;

    bool leaving;
    uint64_t leave_until;
    uint64_t transfer_at;
    char fault[NODE_FAULT_BYTES]; /* "" while there is none */

    uint64_t log_second;
    uint32_t log_count;
    uint32_t log_dropped;

    /* Of the APPENDs of one poll, which mostly bring the same to all: descriptions and payloads. */
    struct {
        struct coord_buf *buf; /* NULL: none */
        raft_index first;
        uint32_t count;
    } appended;

    /* scratch, grown as needed */
    struct raft_entry *metas;
    struct coord_buf **parts;
    size_t metas_slots;
    size_t parts_slots;
};

/* --- node.c --------------------------------------------------------------------------------- */

/* Step one event; `now` is filled in. Return: raft_step's. */
int node__step(struct node *n, struct raft_event *ev, struct raft_accept *accept);
/* How long requests wait without a quorum, and for a read's condition: one election timeout. */
uint64_t node__window(const struct node *n);
bool node__is_leader(const struct node *n);
/* Room for `count` descriptions and count + 1 parts; stops the process when memory is out. */
void node__scratch(struct node *n, size_t count);
/* The peer with that id, NULL when it is none of the members. */
struct peer *node__peer(struct node *n, raft_id id);
/* Note a fault that raft does not know of, log it once. */
void node__fault(struct node *n, const char *why);

/* --- lines.c: log lines --------------------------------------------------------------------- */

void node__log(struct node *n, enum node_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As node__log at WARN, at most NODE_LOG_BURST a second; says how many it left out. */
void node__log_fault(struct node *n, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Role, term or leader changed. */
void node__log_state(struct node *n, const struct raft_status *before);

/* --- payloads.c ----------------------------------------------------------------------------- */

int node__payloads_init(struct payloads *p, uint32_t slots);
void node__payloads_release(struct payloads *p);
/* Forget everything at and after index. */
void node__payloads_cut(struct payloads *p, raft_index index);
/* Forget everything through index. */
void node__payloads_compact(struct payloads *p, raft_index index);
/* Put at index, which is last + 1 or later. Takes over the caller's reference. */
void node__payloads_put(struct payloads *p, raft_index index, struct coord_buf *b);
/* Return: NULL for an entry without payload, or with one that was given up. Borrowed. */
struct coord_buf *node__payloads_get(const struct payloads *p, raft_index index);
/* Give up the oldest ones, through index at most, until there are no more than bytes_max. */
void node__payloads_trim(struct payloads *p, raft_index index, uint64_t bytes_max);

/* --- conn.c: connections and their reply queues --------------------------------------------- */

struct request *node__request_create(struct node *n);
/* Unhooks it from pings; its connection's queue no longer holds it. */
void node__request_free(struct node *n, struct request *r);
/* Answer r with error (negative) and text, or with the result in *res (error 0), now or when its turn
 * comes. The stage becomes DONE; r may be freed by the next node__conn_advance. */
void node__answer(struct node *n, struct request *r, struct coord_result *res);
void node__answer_error(struct node *n, struct request *r, int error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Answer with a body that is encoded already; NULL: an error without text. Takes its own reference. */
void node__answer_body(struct node *n, struct request *r, int error, struct coord_buf *body);
/* Send what can be sent of c's replies, in order. */
void node__conn_advance(struct node *n, struct conn *c);
/* Its first request may go on now. */
void node__conn_ready(struct node *n, struct conn *c);
void node__conns_ready_blocked(struct node *n);
void node__conns_run(struct node *n);
/* Hand the output over and close what is to be closed. */
void node__conns_flush(struct node *n);
/* Frames for c's output: borrowed. */
void node__conn_write(struct node *n, struct conn *c, struct coord_buf *frames);
/* The same for events. Return: false, the frames were left out: it has read too little. */
bool node__conn_event(struct node *n, struct conn *c, struct coord_buf *frames);
/* Close after the output; why is static text. */
void node__conn_close(struct node *n, struct conn *c, const char *why);
/* An error frame with number 0, then close. */
void node__conn_abandon(struct node *n, struct conn *c, int error, const char *text,
                        const char *why);
void node__conns_destroy(struct node *n);

/* --- request.c: what a frame asks for -------------------------------------------------------- */

/* r stands in its connection's queue and is decoded: check it and set it going. */
void node__request_admit(struct node *n, struct request *r);
/* r, WAITING, is the first of its connection. Return: true when it was answered. */
bool node__request_try(struct node *n, struct request *r);
/* HELD requests of c are set going (error 0) or answered with error. */
void node__requests_release(struct node *n, struct conn *c, int error);
/* Fill in what every answer has; age as node__age_ms. */
void node__receipt(const struct node *n, const struct request *r, struct coord_receipt *ret);
/* The result fields of an answer to HELLO. */
void node__hello_result(const struct node *n, enum coord_session_state state, uint64_t session,
                        struct coord_result *ret);

/* --- writes.c ------------------------------------------------------------------------------- */

int node__writes_init(struct node *n);
void node__writes_release(struct node *n);
/* Make the entry and queue it; answers the request when that fails. */
void node__write_submit(struct node *n, struct request *r);
/* Queue an entry of a peer's client; there is room for it (NODE_FOREIGN_BYTES). Takes over the reference.
 * Return: 0 or COORD_ENOMEM. */
int node__write_foreign(struct node *n, raft_id peer, uint64_t cookie, struct coord_buf *entry);
/* Propose or forward what is queued. */
void node__writes_run(struct node *n);
/* The request QUEUED or SENT under cookie; NULL when there is none. */
struct request *node__write_find(const struct node *n, uint64_t cookie);
/* r, QUEUED or SENT, is answered or its connection closed: forget its cookie. */
void node__write_forget(struct node *n, struct request *r);
/* An entry of a later term than what is SENT is being applied: what was not applied is lost for sure
 * and is sent again. */
void node__writes_lost(struct node *n);
/* A snapshot replaced the state: what is SENT may be in it. From now on none of that is answered with an
 * error that says that it was not applied: EINDOUBT takes its place. */
void node__writes_doubt(struct node *n);
/* Then: those of sessions are sent again, the others are answered EINDOUBT. */
void node__writes_unsure(struct node *n);
/* Forget what other members forwarded: they send it to the next leader. */
void node__writes_drop_foreign(struct node *n);
/* Propose one entry at once, past the queue. Takes over the reference on success only.
 * Return: raft_step's; *ret_index on 0. */
int node__propose_now(struct node *n, struct coord_buf *entry, raft_index *ret_index);
/* The i-th queued write, i < queue_count; take `count` from the front. */
struct queued *node__queue_at(struct writes *w, size_t i);
void node__queue_pop(struct node *n, size_t count);
/* r is on its way in the current term. */
void node__write_mark_sent(struct node *n, struct request *r);

/* --- forward.c: the stream of writes to the leader ------------------------------------------- */

void node__forward_run(struct node *n);
/* Send again what the leader lacks; ask it how far it got when an answer is overdue. */
void node__forward_timers(struct node *n);
void node__forward_link_up(struct node *n, raft_id peer);
void node__forward_receive(struct node *n, struct peer *p, struct coord_buf *buf);
void node__forward_again(struct node *n, const struct peer_notice *m);
void node__forward_refused(struct node *n, const struct peer_notice *m);
/* Tell the peer that one of its writes is not taken. */
void node__forward_refuse(struct node *n, raft_id peer, uint64_t cookie, int error);

/* --- reads.c -------------------------------------------------------------------------------- */

void node__reads_init(struct node *n);
/* r needs a quorum round that begins after now: join the next one. */
void node__read_join(struct node *n, struct request *r);
/* Some caller that is no request needs one. Return: its number. */
uint64_t node__read_round(struct node *n);
/* The same for one who can wait: without anybody in a hurry rounds are node__leisure apart. */
uint64_t node__read_round_lazy(struct node *n);
/* How long a keep-alive may be put off so that it shares what it costs with others: a heartbeat, or less where sessions
 * may be so short that it would matter to them. */
uint64_t node__leisure(const struct node *n);
/* When node__reads_run is to be called next. */
uint64_t node__reads_deadline(const struct node *n);
void node__reads_run(struct node *n);
void node__reads_result(struct node *n, const struct raft_read *result);
/* Rounds whose index is applied are done: wake who waits. */
void node__reads_finish(struct node *n);
/* The state holds everything that was committed by `at`. */
void node__reads_fresh(struct node *n, uint64_t at);
uint64_t node__age_ms(const struct node *n);
/* r is the first of its connection. Return: true when it was answered. */
bool node__read_try(struct node *n, struct request *r);
/* Register a WATCH. Return: true, it was answered. */
bool node__watch_try(struct node *n, struct request *r);
/* A later write of c is about to be applied: answer the reads before it from the state as it is. */
void node__reads_force(struct node *n, struct conn *c, const struct request *until);
void node__reads_regime(struct node *n);

/* --- touch.c: activity of sessions, on its way to the leader --------------------------------- */

void node__touch_init(struct node *n);
void node__touch_release(struct node *n);
/* A request came on c. */
void node__touch_conn(struct node *n, struct conn *c);
void node__touch_ping(struct node *n, struct request *r);
/* A run begins: PINGs that the last one left are next. */
void node__touch_begin(struct node *n);
/* Has this run answered as many PINGs as it may, so that there may be more? */
bool node__touch_more(const struct node *n);
/* r, a PING, is answered now. */
void node__touch_answered(struct node *n, const struct request *r, int error);
void node__touch_run(struct node *n);
void node__touch_regime(struct node *n);
bool node__ping_try(struct node *n, struct request *r);
void node__touch_receive(struct node *n, struct peer *p, const struct peer_touch *t);
void node__touched_receive(struct node *n, struct peer *p, const struct peer_notice *m);
/* A read round is done: tell the followers whose TOUCH waited for it. */
void node__touch_confirm(struct node *n);
uint64_t node__touch_deadline(const struct node *n);

/* --- sessions.c: expiry, attachment --------------------------------------------------------- */

void node__sessions_release(struct node *n);
/* This member has become leader, or is none any more. */
void node__sessions_regime(struct node *n);
/* Leader: the session was active now, through that member. */
void node__sessions_heard(struct node *n, uint64_t session, raft_id via);
/* Leader: the clock jumped; everybody gets a full timeout. */
void node__sessions_rearm(struct node *n);
void node__sessions_run(struct node *n);
/* What an applied entry did to sessions. r: the request behind it, or NULL. */
void node__sessions_applied(struct node *n, const struct machine_outcome *o, struct request *r);
/* Compare all connections with the state after it was replaced. */
void node__sessions_reconcile(struct node *n);
/* r, a write that was not applied (or not seen to be), ends with error. When the connection's session was
 * to be settled by it, what waited for that is answered too. */
void node__write_end(struct node *n, struct request *r, int error);
/* The answer to a HELLO or SESSION_OPEN that was applied. */
void node__session_answer(struct node *n, struct request *r, const struct machine_outcome *o);

/* --- reaper.c: nodes that are removed by themselves, and the clock they are judged by --------- */

/* This member has become leader, or is none any more. */
void node__reaper_regime(struct node *n);
/* The loop stood still: nothing is judged before what came meanwhile is heard. */
void node__reaper_calm(struct node *n);
void node__reaper_run(struct node *n);
uint64_t node__reaper_deadline(const struct node *n);
/* What entries proposed now are stamped with; wall_ms: the clock of this machine. */
uint64_t node__stamp_ms(struct node *n, uint64_t wall_ms);

/* --- system.c: /coord ------------------------------------------------------------------------- */

void node__system_release(struct node *n);
/* Make it from the state as it is: at the start, and when the state was replaced. Stops the process when
 * memory is out. */
void node__system_reset(struct node *n);
/* An entry was applied; limits: it was one of those. Adds to o's changes what it changed there. */
void node__system_applied(struct node *n, bool limits, struct machine_outcome *o);
/* A configuration was applied: tells watches. */
void node__system_config(struct node *n, raft_index index);
/* Is it a read of /coord? */
bool node__system_owns(const struct coord_request *q);
/* As machine_read. */
int node__system_read(struct node *n, const struct coord_request *q, struct coord_result *ret_res);

/* --- inspect.c ------------------------------------------------------------------------------ */

/* Answer a SESSIONS from the state as it is. */
void node__sessions_answer(struct node *n, struct request *r);

/* --- peers.c -------------------------------------------------------------------------------- */

/* Queue a message of one part until the end of node_run. Borrowed. */
void node__peer_send(struct node *n, raft_id peer, struct coord_buf *one);
void node__peers_flush(struct node *n);
void node__raft_send(struct node *n, const struct raft_send *s);
/* Send an APPEND whose payloads are all here: in memory, or read again. */
void node__append_send(struct node *n, const struct raft_msg *m);
/* The log may change now: forget what the last ones had in common. */
void node__append_forget(struct node *n);
/* Copy n->parts[from .. from + count - 1] into one buffer, behind `room` bytes that the caller fills. Return: NULL when one
 * of them is not small, or memory is out. */
struct coord_buf *node__parts_join(struct node *n, uint32_t from, uint32_t count, uint32_t room);
/* Step a received RAFT message. chunk: receives the bytes of a SNAPSHOT (borrowed from buf). */
void node__raft_receive(struct node *n, struct peer *p, const struct coord_buf *buf,
                        struct peer_raft *ret_m);

/* --- applying.c ----------------------------------------------------------------------------- */

void node__apply(struct node *n);

/* --- snapshots.c ---------------------------------------------------------------------------- */

void node__snapshots_init(struct node *n, const struct raft_snapshot *boot);
void node__snapshots_release(struct node *n);
/* Keep a received SNAPSHOT message for the next run. Takes over the reference. */
void node__chunk_receive(struct node *n, raft_id peer, struct coord_buf *buf);
/* Step the chunks that came, one per poll, and take over a snapshot that was loaded. */
void node__snapshots_receive(struct node *n);
void node__snapshot_load(struct node *n, const struct raft_snapshot *meta);
/* Send a chunk of the newest snapshot. */
void node__snapshot_send(struct node *n, const struct raft_send *s);

/* --- cadence.c ------------------------------------------------------------------------------ */

/* Is a snapshot worth its cost by now? */
bool node__snapshot_due(const struct node *n);
/* When it will be if nothing is applied until then; NODE_NEVER. */
uint64_t node__snapshot_due_at(const struct node *n);
/* Nothing was applied lately and no request is under way. */
bool node__quiet(const struct node *n);

/* --- saving.c ------------------------------------------------------------------------------- */

/* Begin a snapshot when one is due. */
void node__saving_begin(struct node *n);
/* The same, and slices of the one under way. */
void node__saving_run(struct node *n);
uint64_t node__saving_deadline(const struct node *n);
/* Give up the copy under way, if there is one. */
void node__saving_abandon(struct node *n, const char *why);
void node__saving_release(struct node *n);
/* One slice of a saver. *ret_rc: machine_saver_step's. Return: when the next is due. */
uint64_t node__slice(const struct node *n, struct machine_saver *saver, int *ret_rc);

/* --- pace.c --------------------------------------------------------------------------------- */

/* A snapshot is begun. */
void node__pace_begin(struct node *n);
/* Is its copy so far behind that the next slice should follow at once? */
bool node__pace_behind(const struct node *n);
/* Entries that may be proposed now, at most `most`. */
uint32_t node__pace_proposals(const struct node *n, uint32_t most);
/* Release what the log holds of before the newest snapshot, when it runs full. */
void node__pace_release(struct node *n);

/* --- digest.c -------------------------------------------------------------------------------- */

/* Why this member serves nobody: a fault, or a wrong state. NULL: it serves. */
const char *node__stopped(const struct node *n);
/* Its state is known to be wrong; its log is not. */
bool node__diverged(const struct node *n);
/* A DIGEST entry was applied just now. */
void node__digest_applied(struct node *n, raft_index index);
void node__digest_receive(struct node *n, struct peer *p, const struct peer_notice *m);
void node__digest_link_up(struct node *n, raft_id peer);
/* Ask for a comparison when it is time; a slice of the one under way. */
void node__digest_run(struct node *n);
uint64_t node__digest_deadline(const struct node *n);
/* Another state is about to be loaded, or the member ends. */
void node__digest_drop(struct node *n);
/* It was loaded. */
void node__digest_replaced(struct node *n);

/* --- poll.c: raft's actions ------------------------------------------------------------------ */

/* Poll raft and carry out what it says; chunk: the SNAPSHOT message just stepped, or NULL. */
void node__poll(struct node *n, const struct peer_raft *chunk);

/* --- limits.c ------------------------------------------------------------------------------- */

void node__limits_init(struct node *n);
/* Another leader, or none. */
void node__limits_regime(struct node *n);
/* As leader: put this member's limits in force. As any: say that they are not, when it is time. */
void node__limits_run(struct node *n);
/* Those in force may have changed. */
void node__limits_follow(struct node *n);
/* What clients are told of limits; those of the host among them. */
void node__limits_tell(const struct node *n, struct coord_limits *ret);
/* In how many does the member's own file differ from what is in force? */
uint32_t node__limits_differ(const struct node *n);

/* --- noquorum.c ----------------------------------------------------------------------------- */

/* Decide whether there has been no quorum for one election timeout; answer what must not wait on. */
void node__noquorum_run(struct node *n);
void node__noquorum_detail(struct node *n, const struct conn *c, struct coord_no_quorum *ret);
/* Answer r with ENOQUORUM or EINDOUBT and the detail. */
void node__noquorum_answer(struct node *n, struct request *r, int error);
uint64_t node__noquorum_deadline(const struct node *n);
/* When a quorum was last known to be in touch. */
uint64_t node__quorum_contact(const struct node *n);

/* --- status.c ------------------------------------------------------------------------------- */

void node__status_answer(struct node *n, struct request *r);
void node__partition_answer(struct node *n, struct request *r);
/* Fill ids of the members in touch, this one included. Return: how many. */
uint32_t node__reachable(const struct node *n, uint32_t ids[RAFT_NODES_MAX]);
/* Members of a majority. */
uint32_t node__needed(const struct node *n);

/* --- run.c: one iteration -------------------------------------------------------------------- */

/* Look at raft again; act on a change of role, term or leader. */
void node__refresh(struct node *n);

/* --- leave.c -------------------------------------------------------------------------------- */

void node__leave_run(struct node *n);
uint64_t node__leave_deadline(const struct node *n);

#endif
