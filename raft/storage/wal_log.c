/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_log.c: where on disk each entry of the log is.
 *
 * A ring by index, so that entries are added, cut off behind and forgotten in front in constant time
 * and without allocation once the ring is as large as the log ever gets.
 *
 * Invariants
 *   1. The log is the entries first .. first + count - 1, without a hole.
 *   2. Places grow with the index: an entry is written after the one before it. So the segments that
 *      hold none of the log's entries are those before the place of the first.
 *
 * Thread: the WAL's.
 */
#include "raft/storage/wal_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 256u

int raft__wal_log_reserve(struct wal_log *log, uint32_t more)
{
    uint64_t want = (uint64_t)log->count + more;
    if (want <= log->slots) {
        return 0;
    }
    if (want > UINT32_MAX / 2) {
        return -ENOMEM;
    }
    uint32_t slots = log->slots == 0 ? SLOTS_MIN : log->slots;
    while (slots < want) {
        slots *= 2;
    }
    struct wal_place *ring = calloc(slots, sizeof *ring);
    if (ring == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < log->count; i++) {
        raft_index index = log->first + i;
        ring[index & (slots - 1)] = log->ring[index & (log->slots - 1)];
    }
    free(log->ring);
    log->ring = ring;
    log->slots = slots;
    return 0;
}

void raft__wal_log_put(struct wal_log *log, raft_index index, const struct wal_place *place)
{
    MUST(index > 0);
    MUST(index <= log->first + log->count);
    if (index < log->first) {
        log->first = index;
        log->count = 0;
    }
    log->count = (uint32_t)(index - log->first);
    MUST(log->count < log->slots);
    log->ring[index & (log->slots - 1)] = *place;
    log->count++;
}

const struct wal_place *raft__wal_log_at(const struct wal_log *log, raft_index index)
{
    if (index < log->first || index - log->first >= log->count) {
        return NULL;
    }
    return &log->ring[index & (log->slots - 1)];
}

void raft__wal_log_empty(struct wal_log *log, raft_index index)
{
    log->first = index + 1;
    log->count = 0;
}

int raft__wal_log_snapmark(struct wal_log *log, raft_index index, raft_term term)
{
    if (index < log->first) {
        return 0;
    }
    const struct wal_place *place = raft__wal_log_at(log, index);
    if (place != NULL && place->term == term) {
        return 0;
    }
    raft__wal_log_empty(log, index);
    return 1;
}

void raft__wal_log_compact(struct wal_log *log, raft_index index)
{
    if (index < log->first) {
        return;
    }
    MUST(index <= raft__wal_log_last(log));
    log->count -= (uint32_t)(index + 1 - log->first);
    log->first = index + 1;
}

void raft__wal_log_finish(struct wal_log *log)
{
    free(log->ring);
    memset(log, 0, sizeof *log);
}
