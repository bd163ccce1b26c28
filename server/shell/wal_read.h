/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_read.h: entries that the node wants to have again from the log, a slice at a time, so that writes
 * never wait long behind them. No thread of its own: the log's (wal_thread.c).
 */
#ifndef COORD_SERVER_SHELL_WAL_READ_H
#define COORD_SERVER_SHELL_WAL_READ_H

#include <stdbool.h>
#include <stdint.h>
#include <coord/raft_storage.h>
#include "protocol/buf.h"

/* Entries first and behind it: bufs[i] of bufs has room for the payload of first + i, NULL for none. */
struct wal_read {
    raft_index first;
    uint32_t count; /* 0: nothing to read */
    uint32_t done;
    struct coord_buf **bufs;
    int error; /* of the first that could not be read */
};

/* Read some more. Return: true when there is nothing left to read. Thread: the WAL's. */
bool wal_read_slice(struct wal_read *r, struct raft_wal *wal);
/* Give up: the buffers too. */
void wal_read_finish(struct wal_read *r);

#endif
