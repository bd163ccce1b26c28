/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h: one member of an ensemble, without any I/O: the raft core, the state machine, the watches, and
 * the connections of clients, turned by events and acting through `struct node_env`. The shell runs it
 * with sockets and disks; the simulator runs the same code with simulated ones.
 *
 * How it is driven
 *   Events (node_conn_*, node_peer_*, node_io_*, node_snapshot_*, node_tick) only take note. All work of
 *   an iteration of the loop happens in node_run: raft is polled, entries are applied, reads answered,
 *   and everything leaves through the env, each connection once. Env functions never call back into the
 *   node.
 *
 * Invariants (testing.md's numbers)
 *   1. Replies on a connection come in the order of its requests.
 *   2. W8: events of revision r are handed to conn_send before any reply that reflects r.
 *   3. A request is answered exactly once, or its connection is closed.
 *   4. A write is answered only after its entry was applied here.
 *   5. A member without a leader refuses within one election timeout (ENOQUORUM for what was not
 *      proposed, EINDOUBT for what was), never later.
 *   6. A PING is answered only after a leader has the activity and has confirmed its leadership
 *      after that (E2).
 *
 * Threads: none; owned by the loop thread. Times: `now` is nanoseconds of a monotonic clock, the same
 * reading throughout one iteration; wall_ms is milliseconds since 1970 and only stamps entries.
 */
#ifndef COORD_SERVER_NODE_NODE_H
#define COORD_SERVER_NODE_NODE_H

#include <stdbool.h>
#include <coord/raft.h>
#include "protocol/buf.h"
#include "protocol/message.h"
#include "server/machine/entry.h"
#include "server/machine/loader.h"
#include "server/machine/machine.h"
#include "server/watch/watch.h"

struct node;

enum node_log_level {
    NODE_LOG_ERROR = 0,
    NODE_LOG_WARN = 1,
    NODE_LOG_INFO = 2,
    NODE_LOG_DEBUG = 3
};

/* A snapshot is written as BEGIN, any number of CHUNKs, and END; or ABORT anywhere behind BEGIN. */
enum node_snapshot_part {
    NODE_SNAPSHOT_BEGIN = 1, /* of meta; bytes are not known yet */
    NODE_SNAPSHOT_CHUNK,     /* the next bytes of the state. Answer: node_snapshot_written */
    NODE_SNAPSHOT_END,       /* that was all. Answer: node_snapshot_saved */
    NODE_SNAPSHOT_ABORT      /* forget it; chunks not answered yet still are */
};

/* What the node may do to the world. Buffers passed in are borrowed: an implementation that keeps one
 * takes its own reference. */
struct node_env {
    void *ctx;

    /* Queue whole frames for a client. */
    void (*conn_send)(void *ctx, uint64_t conn, struct coord_buf *frames);
    /* Close after what was queued is sent; why is for the log. The node forgets conn at once. */
    void (*conn_close)(void *ctx, uint64_t conn, const char *why);
    /* Stop (true) or go on (false) reading from conn: back-pressure. */
    void (*conn_pause)(void *ctx, uint64_t conn, bool paused);
    /* The client has said: its next keep-alive comes `ns` after the last one did, and everything else it
     * sends has at least COORD_LOUD_BYTES. 0: it says so no more. NULL: nobody asks. */
    void (*conn_doze)(void *ctx, uint64_t conn, uint64_t ns);
    /* Does so much wait to be sent to conn that no answer should be added now? After true the node is
     * told by node_conn_drained, or by node_conn_closed. NULL: never. */
    bool (*conn_full)(void *ctx, uint64_t conn);

    /* Likewise: so much that even events are to be left out, and their watches told GAP later? NULL:
     * never. */
    bool (*conn_behind)(void *ctx, uint64_t conn);

    /* Send one message made of parts, in order, or drop it when the link is down or full. */
    void (*peer_send)(void *ctx, raft_id peer, struct coord_buf *const *parts, uint32_t count);
    /* Send header, then msg->count bytes at msg->offset of the snapshot file of msg's (term, index). */
    void (*peer_send_chunk)(void *ctx, raft_id peer, struct coord_buf *header,
                            const struct raft_msg *msg);
    /* Demonstration: cut the links to exactly these peers, both ways, and mend all others. */
    void (*peer_cut)(void *ctx, const raft_id *peers, uint32_t count);

    /* Write to the log. For ENTRIES, metas and payloads of first .. first + count - 1 (a payload may be
     * NULL for an entry without one). SNAPMARK: the file exists already. Answer: node_io_done. */
    void (*persist)(void *ctx, const struct raft_persist *p, const struct raft_entry *metas,
                    struct coord_buf *const *payloads);
    /* Read again what persist wrote: fill bufs[i] (as many bytes as its cap, NULL: none) with the payload of
     * first + i. One at a time. The host has bufs, an array from the heap, until it answers with
     * node_log_read, or frees all of it at its end. NULL: all payloads stay in memory. */
    void (*log_read)(void *ctx, raft_index first, uint32_t count, struct coord_buf **bufs);
    /* Write the next part of the snapshot file that is being made. bytes: of a CHUNK, else NULL. */
    void (*snapshot_write)(void *ctx, enum node_snapshot_part part,
                           const struct raft_snapshot *meta, struct coord_buf *bytes);
    /* Store a received chunk (bytes of it). Answer: node_snapshot_stored. */
    void (*snapshot_store)(void *ctx, const struct raft_msg *msg, const uint8_t *bytes,
                           uint32_t len);
    /* All chunks are stored: verify the file and read it. Answer: node_snapshot_loaded. */
    void (*snapshot_load)(void *ctx, const struct raft_snapshot *meta);

    /* Frames of clients may be this long from now on (node_conn_frame). NULL: nobody asks. */
    void (*frame_limit)(void *ctx, uint32_t bytes);
    /* Nanoseconds of a clock that only goes forward, read at this moment. Only to end a slice of work that has
     * taken long enough: nothing that is decided rests on it. NULL: slices are bounded by what they do. */
    uint64_t (*clock)(void *ctx);
    /* Bytes from the system's cryptographic source. */
    void (*random)(void *ctx, void *out, size_t len);
    void (*log)(void *ctx, enum node_log_level level, const char *text);
};

struct node_member {
    raft_id id;
    char peer_address[272]; /* host:port */
    char client_address[272];
};

struct node_options {
    struct raft_options raft;
    struct machine_limits machine; /* wanted; in force are those of the state (limits.c) */
    struct watch_limits watch;
    const char *cluster; /* name, copied */
    uint32_t members_count;
    struct node_member members[RAFT_NODES_MAX];
    uint32_t outstanding_max;  /* default 1,024 requests per connection; more: reading pauses */
    uint64_t conn_bytes_max;   /* default 16 MiB of requests under way per connection, likewise */
    uint64_t snapshot_entries; /* default 100,000 entries since the last one: cadence.c */
    uint64_t snapshot_bytes;   /* default 256 MiB of payload since the last one, likewise */
    uint64_t slice_ns; /* default 150 us: the state is copied or hashed in one run so long ... */
    uint32_t
        slice_records;    /* default 256: ... or, without env->clock, so many of its records ... */
    uint32_t slice_bytes; /* default 128 KiB: ... or in any case so many bytes (saving.c) */
    uint64_t digest_entries;     /* default 100,000: the members' states are compared; 0 never */
    uint64_t digest_interval_ns; /* default 10 s: at most so often */
    uint64_t log_memory_bytes;   /* default 8 MiB of applied entries kept for followers that lag */
    bool lab;                    /* the demonstration gate */
    /* The host's own limits, which the node only tells clients; 0: none told. */
    uint64_t connections_max;
    uint64_t connections_per_address_max;
    uint64_t output_bytes_max;
    uint64_t watch_output_bytes_max;
};
void node_options_init(struct node_options *o);

/* What the disk had, at boot. */
struct node_boot {
    raft_term term;
    raft_id vote;
    raft_index commit;
    struct raft_snapshot
        snapshot; /* index 0 when there is none; then config is the configured one */
    struct machine_loader *state; /* of the snapshot, whole; NULL when none */
    raft_index first;
    uint32_t count;
    const struct raft_entry *metas;
    struct coord_buf *const *payloads; /* NULL for an entry without one */
    uint32_t damage;                   /* enum raft_damage: what the log lost, with */
    raft_index damage_index;
    raft_term damage_term;
};

/* Ownership: everything passed in stays the caller's (buffers are referenced where kept).
 * Errors: COORD_EINVAL (why says which option), COORD_ENOMEM, COORD_EPROTO (state or entries are not
 * well formed). Return: 0 or negative; *ret_node on 0. */
int node_create(const struct node_options *o, const struct node_env *env,
                const struct node_boot *boot, uint64_t now, uint64_t wall_ms,
                struct node **ret_node, char *why, size_t why_bytes);
void node_destroy(struct node *n);

/* --- clients: conn is the shell's number, never used twice ------------------------------------- */

/* source: for log lines, e.g. "127.0.0.1:53210"; copied. */
void node_conn_open(struct node *n, uint64_t conn, const char *source, uint64_t now);
/* One frame: buf->data + ENTRY_HEADER_BYTES holds its body (without the 4 bytes of length), the room in
 * front is free for the entry header. The shell has checked the length against env->frame_limit. The node
 * takes over the caller's reference. */
void node_conn_frame(struct node *n, uint64_t conn, struct coord_buf *buf, uint64_t now);
/* The stream cannot be read any further (bad length): told to the client, then closed. */
void node_conn_bad(struct node *n, uint64_t conn, const char *why, uint64_t now);
void node_conn_closed(struct node *n, uint64_t conn, uint64_t now);
/* What env->conn_full said is over. */
void node_conn_drained(struct node *n, uint64_t conn, uint64_t now);

/* --- peers ------------------------------------------------------------------------------------- */

void node_peer_link(struct node *n, raft_id peer, bool up, uint64_t now);
/* One message as peer_send made it, parts joined. The node takes over the caller's reference. */
void node_peer_frame(struct node *n, raft_id peer, struct coord_buf *buf, uint64_t now);

/* --- disk -------------------------------------------------------------------------------------- */

void node_io_done(struct node *n, uint64_t io_seq, uint64_t now);
/* Is it worth a turn to be told so now? If not it can be told with whatever comes next. */
bool node_io_awaited(const struct node *n);
void node_io_failed(struct node *n, const char *why,
                    uint64_t now); /* final: the member is FAULTED */
/* What env->log_read asked for, and its array; error negative: it could not be read. */
void node_log_read(struct node *n, struct coord_buf **bufs, int error, uint64_t now);
void node_disk_room(struct node *n, bool room, uint64_t now);
/* One chunk: on its way into the file, or (negative) the file cannot be written. */
void node_snapshot_written(struct node *n, int error, uint64_t now);
/* meta has bytes set; error 0 or negative: the snapshot was abandoned, the log is kept. */
void node_snapshot_saved(struct node *n, const struct raft_snapshot *meta, int error, uint64_t now);
void node_snapshot_stored(struct node *n, uint64_t snap_id, uint64_t through, uint64_t now);
/* error 0: state holds it, whole, and is the node's now; negative: the file failed its verification. */
void node_snapshot_loaded(struct node *n, const struct raft_snapshot *meta,
                          struct machine_loader *state, int error, uint64_t now);

/* --- time -------------------------------------------------------------------------------------- */

/* Do everything that is due. more: call again at once (a slice ended).
 * now: read after everything the node was told of had come; with a lease, a read that came later than that
 * might be answered from before it came. */
void node_run(struct node *n, uint64_t now, uint64_t wall_ms, bool *ret_more);
/* When node_run is due although nothing happened; UINT64_MAX never. */
uint64_t node_deadline(const struct node *n);

/* Begin to leave: refuse new requests (ESHUTDOWN), hand leadership over, finish what is under way.
 * node_drained is true once nothing is left to wait for. */
void node_shutdown(struct node *n, uint64_t now);
bool node_drained(const struct node *n);

bool node_faulted(const struct node *n, const char **ret_why);
/* Does it still lack what its log lost? Once it does not, the log may be told (raft_wal_repaired). */
bool node_repairing(const struct node *n);
const struct raft *node_raft(const struct node *n);
const struct machine *node_machine(const struct node *n);

#endif
