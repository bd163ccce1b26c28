/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_queue.h: records on their way to the log, with what belongs to each. Private to the log's thread
 * and the loop's side of it (wal_thread.c). No thread of its own: whoever owns the queue.
 */
#ifndef COORD_SERVER_SHELL_WAL_QUEUE_H
#define COORD_SERVER_SHELL_WAL_QUEUE_H

#include <stdint.h>
#include <coord/raft.h>
#include <coord/raft_storage.h>
#include "protocol/buf.h"

#define WAL_COPY_BYTES  1024u         /* payloads up to this are copied: as cheap as a reference */
#define WAL_CHUNK_BYTES (64u * 1024u) /* of the memory they are copied into */
#define WAL_CHUNKS_KEPT 8u            /* of it kept by a queue that is empty */

/* What belongs to a record beside the record itself. */
struct wal_note {
    struct coord_buf *payload; /* NULL: none, or it was copied */
    uint64_t io_seq;           /* not 0: the last record of that action */
    raft_index compact;        /* not 0: entries through here may go once this record is durable */
};

/* Copies of small payloads, one behind the other with room for their records. */
struct wal_chunk {
    struct wal_chunk *next;
    uint64_t used;
    uint8_t bytes[];
};

/* A reference to a payload is two changes of its count by two threads, which take the line in which it stands, with the
 * payload's beginning, to and fro between their processors; a small one is copied for less. */
struct wal_queue {
    struct raft_wal_op *ops;
    struct wal_note *notes;
    uint32_t count;
    uint32_t cap;
    struct wal_chunk *first; /* in use, filled one after the other */
    struct wal_chunk *last;
    struct wal_chunk *spare; /* ready to be used */
    uint32_t spare_count;
};

/* Append the records of one action; arguments as wal_thread_put. Stops the process without memory. */
void wal_queue_put(struct wal_queue *q, const struct raft_persist *p,
                   const struct raft_entry *metas, struct coord_buf *const *payloads,
                   const uint64_t digest[2]);
/* Everything in `from` behind what is in `to`; a swap when that is nothing. */
void wal_queue_move(struct wal_queue *to, struct wal_queue *from);
/* Give the payloads back; the room stays. */
void wal_queue_clear(struct wal_queue *q);
void wal_queue_finish(struct wal_queue *q);

#endif
