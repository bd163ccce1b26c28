/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal.c: the public functions of the write-ahead log.
 *
 * Checks what the host asks for, before anything is written, and leaves batches to wal_batch.c, files
 * to wal_files.c and recovery to wal_recover.c.
 *
 *     OPEN --write, idle--> OPEN
 *     OPEN --a write or a sync failed--> FAILED : every call answers RAFT_STORE_EFAILED
 *
 * A failed sync is final because the system may have thrown away what it could not write and call
 * the page clean; only another start, which copies whatever is not known to be on disk, gets the log
 * out of it.
 *
 * Invariants
 *   1. Whatever raft_wal_write has answered 0 for is found by the next raft_wal_open.
 *   2. A write that is refused (-EINVAL, ETOOBIG, an error in making segments ready) has no effect.
 *
 * Thread: the WAL's.
 */
#include "raft/storage/wal_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_BYTES_DEFAULT  (16u << 20)
#define SEGMENTS_READY_DEFAULT 2u
#define SEGMENTS_READY_MAX     64u
#define READ_TOGETHER_BYTES \
    1024u /* an entry is read with its header, in one call, if it is no larger */

void raft_wal_options_init(struct raft_wal_options *o)
{
    memset(o, 0, sizeof *o);
    o->segment_bytes = SEGMENT_BYTES_DEFAULT;
    o->segments_ready = SEGMENTS_READY_DEFAULT;
}

/* ------------------------------------------------------------------------------------------- */
/* Opening and closing                                                                           */

static int make_wal(const struct raft_wal_options *o, struct raft_wal **ret_wal)
{
    struct raft_wal *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return -ENOMEM;
    }
    w->o = *o;
    w->o.segment_bytes = (o->segment_bytes + 4095) & ~(uint64_t)4095;
    w->fs = o->fs;
    w->rng = o->salt_seed;
    w->nonce = raft__wal_draw(w);
    w->log.first = 1;
    w->next_seq = 1;
    w->next_batch = 1;
    w->sealed = 1;
    w->page = calloc(1, SEGMENT_HEADER_BYTES);
    w->slots = calloc(WAL_BATCH_RECORDS_MAX + 1, sizeof *w->slots);
    w->iov = calloc(2 * WAL_BATCH_RECORDS_MAX + 8, sizeof *w->iov);
    if (w->page == NULL || w->slots == NULL || w->iov == NULL) {
        raft_wal_close(w);
        return -ENOMEM;
    }
    *ret_wal = w;
    return 0;
}

/* Tell the host what was found. */
static int fill_state(struct raft_wal *w)
{
    struct raft_wal_state *s = &w->state;
    s->term = w->term;
    s->vote = w->vote;
    s->commit = w->commit;
    s->snapshot_index = w->snapshot.index;
    s->snapshot_term = w->snapshot.term;
    s->first = w->log.first;
    s->count = w->log.count;
    s->repair_index = w->repair ? w->damage.index : 0;
    w->entries = calloc(s->count == 0 ? 1 : s->count, sizeof *w->entries);
    if (w->entries == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        const struct wal_place *place = raft__wal_log_at(&w->log, s->first + i);
        w->entries[i] =
            (struct raft_entry){.term = place->term, .bytes = place->bytes, .type = place->type};
    }
    s->entries = w->entries;
    return 0;
}

int raft_wal_open(const struct raft_wal_options *o, struct raft_wal **ret_wal, char *why, size_t n)
{
    struct wal_recovery rec = {.why = {why, n}};
    if (n > 0) {
        why[0] = '\0';
    }
    if (o->fs == NULL || o->segment_bytes < SEGMENT_BYTES_MIN ||
        o->segment_bytes > SEGMENT_BYTES_MAX / 2 || o->segments_ready > SEGMENTS_READY_MAX) {
        raft__wal_say(&rec.why, "segment_bytes or segments_ready is out of range");
        return -EINVAL;
    }
    int rc = make_wal(o, &rec.w);
    if (rc != 0) {
        return rc;
    }
    rc = raft__wal_recover(&rec);
    if (rc == 0 && rec.fresh && o->must_exist) {
        raft__wal_say(&rec.why, "there is no log");
        rc = RAFT_STORE_ENOENT;
    }
    if (rc == 0) {
        rc = raft__wal_resume(&rec);
    }
    if (rc == 0) {
        rc = fill_state(rec.w);
    }
    raft__wal_files_finish(&rec.files);
    if (rc != 0) {
        if (n > 0 && why[0] == '\0') {
            raft__wal_say(&rec.why, "%s", raft_store_strerror(rc));
        }
        raft_wal_close(rec.w);
        return rc;
    }
    rec.w->resumed = 1;
    *ret_wal = rec.w;
    return 0;
}

const struct raft_wal_state *raft_wal_state(const struct raft_wal *wal)
{
    return &wal->state;
}

void raft_wal_close(struct raft_wal *wal)
{
    if (wal == NULL) {
        return;
    }
    for (uint32_t i = 0; i < wal->segments_count; i++) {
        (void)wal->fs->close(wal->fs->ctx, wal->segments[i].fd); /* what matters is synced */
    }
    for (uint32_t i = 0; i < wal->ready_count; i++) {
        (void)wal->fs->close(wal->fs->ctx, wal->ready[i].fd); /* likewise */
    }
    if (wal->prep.out && wal->prep.rc == 0 && wal->prep.fd >= 0) {
        (void)wal->fs->close(wal->fs->ctx, wal->prep.fd); /* a spare for the next start */
    }
    raft__wal_log_finish(&wal->log);
    free(wal->segments);
    free(wal->ready);
    free(wal->orphans);
    free(wal->page);
    free(wal->slots);
    free(wal->iov);
    free(wal->entries);
    free(wal);
}

/* ------------------------------------------------------------------------------------------- */
/* Writing                                                                                       */

/* The log as it will be after the operations that were checked so far. */
struct outlook {
    raft_index first;
    raft_index next;
    uint32_t
        since; /* operations before this one no longer tell terms: a SNAPMARK emptied the log */
};

/* The term that the entry at index will have before operation `at`; 0 when there will be none. */
static raft_term outlook_term(const struct raft_wal *w, const struct outlook *o,
                              const struct raft_wal_op *ops, uint32_t at, raft_index index)
{
    if (index < o->first || index >= o->next) {
        return 0;
    }
    for (uint32_t i = at; i > o->since; i--) {
        if (ops[i - 1].kind == RAFT_WAL_ENTRY && ops[i - 1].index == index) {
            return ops[i - 1].term;
        }
    }
    const struct wal_place *place = o->since > 0 ? NULL : raft__wal_log_at(&w->log, index);
    return place == NULL ? 0 : place->term;
}

static int check_op(const struct raft_wal *w, struct outlook *o, const struct raft_wal_op *ops,
                    uint32_t at)
{
    const struct raft_wal_op *op = &ops[at];
    if (op->index > SEGMENT_NUMBER_MAX || op->term > SEGMENT_NUMBER_MAX) {
        return -EINVAL; /* could not be read again */
    }
    switch (op->kind) {
    case RAFT_WAL_HARDSTATE:
        return 0;
    case RAFT_WAL_ENTRY:
        if (op->index < o->first || op->index > o->next || op->term == 0 ||
            (op->bytes > 0 && op->data == NULL)) {
            return -EINVAL;
        }
        if (raft__record_bytes(op->bytes) > raft__wal_capacity(w->o.segment_bytes)) {
            return RAFT_STORE_ETOOBIG;
        }
        o->next = op->index + 1;
        return 0;
    case RAFT_WAL_SNAPMARK:
        if (op->index == 0 || op->term == 0) {
            return -EINVAL;
        }
        if (op->index >= o->first && outlook_term(w, o, ops, at, op->index) != op->term) {
            o->first = op->index + 1;
            o->next = op->index + 1;
            o->since = at + 1;
        }
        return 0;
    }
    return -EINVAL;
}

/* Make so many segments ready that ops can be written without touching the directory. */
static int ensure_room(struct raft_wal *w, const struct raft_wal_op *ops, uint32_t count)
{
    uint64_t room = raft__wal_batch_room(w);
    uint32_t needed = 0;
    uint32_t i = 0;
    while (i < count) {
        struct wal_pack pack = raft__wal_pack(ops + i, count - i, room);
        i += pack.count;
        uint64_t taken = RECORD_BATCH_BYTES + (uint64_t)pack.bytes;
        room = room > taken ? room - taken : 0;
        if (pack.full) {
            if (needed == w->ready_count) {
                int rc = raft__wal_make_ready(w, w->o.segment_bytes);
                if (rc != 0) {
                    return rc;
                }
            }
            room = raft__wal_capacity(w->ready[needed].bytes);
            if (!w->active && w->emptied.index != 0 && needed == 0) {
                room -= WAL_EMPTIED_BYTES; /* goes into it first */
            }
            needed++;
        }
    }
    return 0;
}

static void forget_state_arrays(struct raft_wal *w)
{
    free(w->entries);
    w->entries = NULL;
    w->state.entries = NULL;
}

int raft_wal_write(struct raft_wal *wal, const struct raft_wal_op *ops, uint32_t count)
{
    struct outlook outlook = {wal->log.first, wal->log.first + wal->log.count, 0};
    if (wal->failed) {
        return RAFT_STORE_EFAILED;
    }
    for (uint32_t i = 0; i < count; i++) {
        int rc = check_op(wal, &outlook, ops, i);
        if (rc != 0) {
            return rc;
        }
    }
    if (count == 0) {
        return 0;
    }
    int rc = raft__wal_log_reserve(&wal->log, count);
    if (rc == 0) {
        rc = ensure_room(wal, ops, count);
    }
    if (rc != 0) {
        return rc;
    }
    forget_state_arrays(wal);
    return raft__wal_put(wal, ops, count);
}

int raft_wal_failed(const struct raft_wal *wal)
{
    return wal->failed;
}

int raft_wal_repaired(struct raft_wal *wal)
{
    if (wal->failed) {
        return RAFT_STORE_EFAILED;
    }
    if (!wal->repair) {
        return 0;
    }
    struct raft_wal_op op = {
        .kind = RAFT_WAL_HARDSTATE, .term = wal->term, .vote = wal->vote, .index = wal->commit};
    int doubt = wal->doubt;
    wal->repair = wal->doubt = 0; /* so that the record says it */
    wal->unfit_through = wal->next_seq - 1;
    int rc = raft_wal_write(wal, &op, 1);
    if (rc != 0) {
        wal->repair = 1;
        wal->doubt = doubt;
    }
    return rc;
}

/* Attest the last batch: write something after it that says it is on disk. */
static int seal(struct raft_wal *w)
{
    const struct wal_pack nothing = {0};
    if (!w->active || w->sealed || RAFT_BUG(49)) {
        return 0;
    }
    MUST(!w->dirty);
    if (raft__wal_batch_room(w) < RECORD_HEADER_BYTES) { /* the segment is full to the END */
        if (w->ready_count == 0 && w->prep.out) {
            return 0; /* in the next idle moment */
        }
        if (w->ready_count == 0) {
            int rc = raft__wal_make_ready(w, w->o.segment_bytes);
            if (rc != 0) {
                return rc;
            }
        }
        int rc = raft__wal_roll(w);
        if (rc != 0) {
            return rc;
        }
    }
    int rc = raft__wal_emit(w, NULL, &nothing, WAL_TAIL_SEAL);
    return rc != 0 ? rc : raft__wal_sync(w);
}

int raft_wal_idle(struct raft_wal *wal)
{
    if (wal->failed) {
        return RAFT_STORE_EFAILED;
    }
    int rc = seal(wal);
    if (rc == 0) {
        rc = raft__wal_tidy_files(wal);
    }
    return rc != 0 ? rc : raft__wal_ballast(wal);
}

void raft_wal_compact(struct raft_wal *wal, raft_index index)
{
    /* What no snapshot covers stays, whatever the host says. */
    index = index < wal->snapshot.index ? index : wal->snapshot.index;
    raft_index last = raft__wal_log_last(&wal->log);
    raft__wal_log_compact(&wal->log, index < last ? index : last);
    const struct wal_place *place = raft__wal_log_at(&wal->log, wal->log.first);
    while (wal->segments_count > 1 && (place == NULL || place->segment != wal->segments_base)) {
        if (raft__wal_release_oldest(wal) != 0) {
            return; /* no memory for it now; the next compaction asks again */
        }
    }
}

/* ------------------------------------------------------------------------------------------- */
/* Reading                                                                                       */

static int read_exactly(struct raft_wal *w, int fd, void *buf, size_t len, uint64_t offset)
{
    int64_t n = w->fs->pread(w->fs->ctx, fd, buf, len, offset);
    if (n < 0) {
        return (int)n;
    }
    return (size_t)n == len ? 0 : RAFT_STORE_ECORRUPT;
}

/* The record at place, which is in s, as it is on disk: its header, and its payload into buf. */
static int read_record(struct raft_wal *w, const struct wal_segment *s,
                       const struct wal_place *place, uint8_t header[RECORD_HEADER_BYTES],
                       void *buf)
{
    uint8_t both[RECORD_HEADER_BYTES + READ_TOGETHER_BYTES];
    int rc;
    if (place->bytes == 0 || place->bytes > READ_TOGETHER_BYTES) {
        rc = read_exactly(w, s->fd, header, RECORD_HEADER_BYTES, place->offset);
        if (rc == 0 && place->bytes > 0) {
            rc = read_exactly(w, s->fd, buf, place->bytes, place->offset + RECORD_HEADER_BYTES);
        }
        return rc;
    }
    rc = read_exactly(w, s->fd, both, RECORD_HEADER_BYTES + place->bytes, place->offset);
    if (rc == 0) {
        memcpy(header, both, RECORD_HEADER_BYTES);
        memcpy(buf, both + RECORD_HEADER_BYTES, place->bytes);
    }
    return rc;
}

int64_t raft_wal_read(struct raft_wal *wal, raft_index index, void *buf, size_t len)
{
    uint8_t header[RECORD_HEADER_BYTES];
    struct record r;
    if (wal->failed) {
        return RAFT_STORE_EFAILED;
    }
    const struct wal_place *place = raft__wal_log_at(&wal->log, index);
    if (place == NULL) {
        return RAFT_STORE_ENOENT;
    }
    if (len < place->bytes) {
        return -EINVAL;
    }
    MUST(place->segment >= wal->segments_base);
    MUST(place->segment - wal->segments_base < wal->segments_count);
    const struct wal_segment *s = &wal->segments[place->segment - wal->segments_base];
    int rc = read_record(wal, s, place, header, buf);
    if (rc != 0) {
        return rc;
    }
    if (!raft__record_plausible(header, raft__record_bytes(place->bytes)) ||
        header[12] != RECORD_ENTRY ||
        raft__record_verify(header, buf, s->salt, &r) != raft__record_bytes(place->bytes) ||
        r.index != index || r.term != place->term || r.len != place->bytes) {
        return RAFT_STORE_ECORRUPT;
    }
    return place->bytes;
}

uint64_t raft_wal_room(const struct raft_wal *wal)
{
    uint64_t room = raft__wal_batch_room(wal);
    for (uint32_t i = 0; i < wal->ready_count; i++) {
        room += raft__wal_capacity(wal->ready[i].bytes);
    }
    return room;
}
