/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: whatever bytes the segments of a log hold, opening it ends in a log or in an error, never in a
 * crash, never in entries that nobody wrote; and a log that opened can be written, closed and opened
 * again with what was written (bad input I14; faults D2, D8).
 * Method: a log is written over a simulated disk, then spoiled as the input says, then opened and used.
 * Checksums of records and headers can be set right again behind the damage, so that what stands in the
 * fields is believed; only without that are the entries compared with those written.
 * Input: a byte that says which log, then damages of one byte with their arguments.
 */
#include <errno.h>
#include <inttypes.h>
#include "raft/storage/bytes.h"
#include "raft/storage/crc32c.h"
#include "raft/storage/segment.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/disk.h"

#define FILES_MAX     8
#define DAMAGES_MAX   40
#define ENTRY_MAX     700
#define INDEX_MAX     200
#define TERM_KEPT_MAX 16

struct run {
    struct fuzz_input in;
    struct sim_disk *disk;
    const struct raft_fs *fs;
    int resealed; /* checksums were made to fit: fields cannot be trusted to be those written */
    uint8_t written[INDEX_MAX][TERM_KEPT_MAX]; /* 1: such an entry was */
    raft_index last;
    raft_term term;
    uint8_t image[SEGMENT_BYTES_MIN * 2];
    uint64_t image_bytes;
};

static uint8_t payload_byte(raft_index index, raft_term term, uint32_t at)
{
    return (uint8_t)(index * 31 + term * 7 + at);
}

static uint32_t payload_bytes(raft_index index, raft_term term)
{
    return (uint32_t)(index * 97 + term * 13) % ENTRY_MAX;
}

static int open_wal(struct run *f, uint64_t salt, struct raft_wal **ret_w)
{
    struct raft_wal_options o;
    char why[256];
    memset(why, 'x', sizeof(why));
    raft_wal_options_init(&o);
    o.fs = f->fs;
    o.cluster_id = 42;
    o.node_id = 7;
    o.segment_bytes = SEGMENT_BYTES_MIN;
    o.salt_seed = salt;
    int rc = raft_wal_open(&o, ret_w, why, sizeof(why));
    FUZZ_CHECK(rc <= 0, "0 or an error");
    FUZZ_CHECK(rc == 0 || memchr(why, 0, sizeof(why)) != NULL, "the reason is a string");
    return rc;
}

/* --- the log that is spoiled ----------------------------------------------------------------- */

static int write_entries(struct run *f, struct raft_wal *w, raft_index first, uint32_t count)
{
    static uint8_t data[4][ENTRY_MAX];
    struct raft_wal_op ops[5] = {
        {.kind = RAFT_WAL_HARDSTATE, .term = f->term, .vote = 3, .index = first - 1}};
    for (uint32_t i = 0; i < count; i++) {
        struct raft_wal_op *op = &ops[1 + i];
        *op = (struct raft_wal_op){.kind = RAFT_WAL_ENTRY, .term = f->term, .index = first + i};
        op->bytes = payload_bytes(op->index, op->term);
        op->type = RAFT_ENTRY_COMMAND;
        op->data = data[i];
        for (uint32_t k = 0; k < op->bytes; k++) {
            data[i][k] = payload_byte(op->index, op->term, k);
        }
    }
    int rc = raft_wal_write(w, ops, 1 + count);
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        if (first + i < INDEX_MAX && f->term < TERM_KEPT_MAX) {
            f->written[first + i][f->term] = 1;
        }
    }
    f->last = rc == 0 ? first + count - 1 : f->last;
    return rc;
}

static void make_log(struct run *f, uint8_t how)
{
    struct raft_wal *w = NULL;
    f->term = 1;
    FUZZ_CHECK(open_wal(f, 1, &w) == 0, "a new log");
    for (int i = 0; i < 2 + (how & 15); i++) {
        raft_index first = f->last + 1;
        if ((how & 16) != 0 && i % 3 == 2) {
            f->term++;
            first = f->last > 2 ? f->last - 1 : 1; /* another leader's entries */
        }
        FUZZ_CHECK(write_entries(f, w, first, 1 + (uint32_t)i % 4) == 0, "written");
        if ((how & 32) != 0 && i % 5 == 4) {
            struct raft_wal_op mark = {
                .kind = RAFT_WAL_SNAPMARK, .index = f->last - 1, .term = f->term};
            FUZZ_CHECK(raft_wal_write(w, &mark, 1) == 0, "a mark");
            raft_wal_compact(w, f->last - 2);
        }
        if ((how & 64) != 0) {
            FUZZ_CHECK(raft_wal_idle(w) == 0, "idle");
        }
    }
    raft_wal_close(w);
    sim_disk_kill(f->disk);
}

/* --- damage ---------------------------------------------------------------------------------- */

static void load_image(struct run *f, const char *path)
{
    const uint8_t *data = sim_disk_data(f->disk, path, &f->image_bytes);
    f->image_bytes = data == NULL ? 0 : f->image_bytes;
    f->image_bytes = f->image_bytes < sizeof(f->image) ? f->image_bytes : sizeof(f->image);
    if (f->image_bytes > 0) {
        memcpy(f->image, data, f->image_bytes);
    }
}

static void store_image(struct run *f, const char *path)
{
    int fd = -1;
    struct iovec iov = {f->image, f->image_bytes};
    int flags = RAFT_FS_WRITE | RAFT_FS_CREATE | RAFT_FS_TRUNCATE;
    FUZZ_CHECK(f->fs->open(f->fs->ctx, path, flags, &fd) == 0, "the disk");
    FUZZ_CHECK(f->fs->pwritev(f->fs->ctx, fd, &iov, 1, 0) == 0, "the disk");
    FUZZ_CHECK(f->fs->fdatasync(f->fs->ctx, fd) == 0, "the disk"); /* it is the disk that rots */
    FUZZ_CHECK(f->fs->close(f->fs->ctx, fd) == 0, "the disk");
}

/* Let the checksums fit what the fields say now: of both headers, then record after record as far as
 * they can be told apart, with the chain. */
static void reseal(struct run *f)
{
    uint8_t *p = f->image;
    for (uint32_t at = 0; at <= SEGMENT_COPY_OFFSET; at += SEGMENT_COPY_OFFSET) {
        uint32_t n = get_u32(p + at + 12);
        if (n >= 16 && n <= SEGMENT_COPY_OFFSET) {
            uint32_t crc = raft__crc32c(0, p + at, 8);
            put_u32(p + at + 8, raft__crc32c(crc, p + at + 12, n - 12));
        }
    }
    uint8_t salt[8];
    struct segment_header h;
    uint32_t chain = 0;
    if (raft__segment_header_decode(p, &h, &chain) != 0) {
        return;
    }
    put_u64(salt, h.salt);
    uint64_t at = SEGMENT_HEADER_BYTES;
    while (at + RECORD_HEADER_BYTES <= f->image_bytes) {
        uint64_t len = get_u32(p + at + 8);
        if (p[at + 12] == 0 || len > f->image_bytes - at - RECORD_HEADER_BYTES) {
            return;
        }
        uint32_t crc = raft__crc32c(0, salt, sizeof(salt));
        crc = raft__crc32c(crc, p + at + 8, RECORD_HEADER_BYTES - 8 + len);
        chain = raft__record_chain(chain, crc);
        put_u32(p + at, crc);
        put_u32(p + at + 4, chain);
        at += raft__record_bytes(len);
    }
}

/* Where the damage goes: anywhere, or at a field of the header or of the nth record. */
static uint64_t place(struct run *f)
{
    uint8_t how = fuzz_u8(&f->in);
    if ((how & 3) == 0) {
        return fuzz_u16(&f->in);
    }
    if ((how & 3) == 1) {
        return (how & 4 ? SEGMENT_COPY_OFFSET : 0) + (how >> 3) * 8u;
    }
    uint64_t at = SEGMENT_HEADER_BYTES;
    for (int n = how >> 3; n > 0 && at + RECORD_HEADER_BYTES <= f->image_bytes; n--) {
        uint64_t next = at + raft__record_bytes(get_u32(f->image + at + 8));
        at = next + RECORD_HEADER_BYTES <= f->image_bytes ? next : at;
    }
    return at + fuzz_u8(&f->in) % 64;
}

static void spoil_bytes(struct run *f, uint8_t how)
{
    uint64_t at = place(f);
    uint64_t n = 0;
    if (at + 8 > f->image_bytes) {
        return;
    }
    switch (how & 3) {
    case 0:
        f->image[at] ^= (uint8_t)(1u << (how >> 5));
        break;
    case 1:
        put_u64(f->image + at, fuzz_near(&f->in, get_u64(f->image + at)));
        break;
    case 2:
        put_u32(f->image + at, (uint32_t)fuzz_near(&f->in, get_u32(f->image + at)));
        break;
    default:
        n = fuzz_u16(&f->in);
        n = n < f->image_bytes - at ? n : f->image_bytes - at;
        memset(f->image + at, how & 32 ? 0xff : 0, n);
        break;
    }
}

/* Move a part of the file, as when a disk writes it to the wrong place. */
static void move_bytes(struct run *f)
{
    uint64_t from = place(f);
    uint64_t to = place(f);
    uint64_t n = fuzz_u16(&f->in);
    if (from < f->image_bytes && to < f->image_bytes) {
        uint64_t most = f->image_bytes - (from > to ? from : to);
        memmove(f->image + to, f->image + from, n < most ? n : most);
    }
}

/* Return: 1 when any byte may be another now. */
static int damage(struct run *f)
{
    char path[SEGMENT_PATH_BYTES];
    char other[SEGMENT_PATH_BYTES];
    uint8_t how = fuzz_u8(&f->in);
    uint8_t which = fuzz_u8(&f->in);
    raft__segment_path(path, 1 + which % FILES_MAX);
    raft__segment_path(other, 1 + which / FILES_MAX % (FILES_MAX + 2));
    load_image(f, path);
    if (f->image_bytes == 0) {
        return 0;
    }
    if ((how & 7) < 5) {
        spoil_bytes(f, how);
    } else if ((how & 7) == 5) {
        move_bytes(f);
    } else if ((how & 7) == 6) {
        uint64_t bytes = fuzz_u16(&f->in);
        f->image_bytes = bytes < f->image_bytes ? bytes : f->image_bytes;
    } else if ((how & 8) != 0) {
        FUZZ_CHECK(f->fs->unlink(f->fs->ctx, path) == 0, "the disk");
        return 1;
    } else {
        store_image(f, other); /* a file under the name of another */
        return 1;
    }
    if ((how & 16) != 0) {
        reseal(f);
        f->resealed = 1;
    }
    store_image(f, path);
    return 1;
}

/* --- what is found --------------------------------------------------------------------------- */

static void check_entry(struct run *f, struct raft_wal *w, raft_index index,
                        const struct raft_entry *e)
{
    static uint8_t data[SEGMENT_BYTES_MIN];
    FUZZ_CHECK(e->bytes <= sizeof(data), "an entry fits into a segment");
    int64_t n = raft_wal_read(w, index, data, sizeof(data));
    FUZZ_CHECK(n == (int64_t)e->bytes, "an entry that was found can be read");
    FUZZ_CHECK(raft_wal_read(w, index, data, e->bytes) == n, "into its own size");
    if (f->resealed) {
        return;
    }
    FUZZ_CHECK(index < INDEX_MAX && e->term < TERM_KEPT_MAX && f->written[index][e->term] != 0,
               "nobody wrote such an entry");
    for (uint32_t k = 0; k < e->bytes; k++) {
        FUZZ_CHECK(data[k] == payload_byte(index, e->term, k), "nobody wrote such bytes");
    }
}

/* Return: the index at which the log goes on. */
static raft_index check_log(struct run *f, struct raft_wal *w)
{
    const struct raft_wal_state *s = raft_wal_state(w);
    FUZZ_CHECK(s->health >= RAFT_WAL_OK && s->health <= RAFT_WAL_REPAIR, "a state of health");
    FUZZ_CHECK(memchr(s->detail, 0, sizeof(s->detail)) != NULL, "the detail is a string");
    FUZZ_CHECK(s->health == RAFT_WAL_OK || s->detail[0] != 0, "damage is named");
    FUZZ_CHECK(s->first >= 1, "indexes begin with 1");
    FUZZ_CHECK(f->resealed || s->term <= f->term, "nobody wrote such a term");
    for (uint32_t i = 0; i < s->count; i++) {
        check_entry(f, w, s->first + i, &s->entries[i]);
    }
    uint8_t byte;
    FUZZ_CHECK(raft_wal_read(w, s->first + s->count, &byte, 1) == RAFT_STORE_ENOENT, "the end");
    return s->first + s->count;
}

/* The log takes new entries, and has them when it is opened again. */
static void go_on(struct run *f, struct raft_wal *w, raft_index next, enum raft_wal_health health)
{
    f->term = raft_wal_state(w)->term;
    f->term += f->term < UINT64_MAX;
    memset(f->written, 0, sizeof(f->written));
    f->resealed = 1;
    f->last = 0;
    int rc = write_entries(f, w, next, 3);
    FUZZ_CHECK(rc == 0 || !raft_wal_failed(w), "a good disk never fails a log");
    (void)raft_wal_idle(w); /* what it cannot prepare is not needed here */
    FUZZ_CHECK(!raft_wal_failed(w), "nor when idle");
    raft_wal_close(w);
    sim_disk_crash(f->disk, SIM_DISK_CRASH_DROP, 1);
    if (rc != 0) {
        return;
    }
    FUZZ_CHECK(open_wal(f, 9, &w) == 0, "what was written to can be opened");
    const struct raft_wal_state *s = raft_wal_state(w);
    FUZZ_CHECK(s->health == (health == RAFT_WAL_REPAIR ? RAFT_WAL_REPAIR : RAFT_WAL_OK),
               "as healthy as it was");
    FUZZ_CHECK(s->first + s->count == next + 3, "with all entries");
    FUZZ_CHECK(s->term == f->term && s->vote == 3, "and the hard state");
    (void)check_log(f, w); /* its end is known */
    raft_wal_close(w);
    sim_disk_kill(f->disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct run f;
    struct raft_wal *w = NULL;
    int damaged = 0;
    memset(&f, 0, offsetof(struct run, image));
    f.in = (struct fuzz_input){bytes, len};
    f.disk = sim_disk_create(1);
    f.fs = sim_disk_fs(f.disk);
    make_log(&f, fuzz_u8(&f.in));
    for (int i = 0; i < DAMAGES_MAX && f.in.left > 0; i++) {
        damaged |= damage(&f);
    }
    FUZZ_CHECK(f.fs->sync_dir(f.fs->ctx, "wal") == 0, "the disk");
    int rc = open_wal(&f, 2, &w);
    FUZZ_CHECK(rc == 0 || damaged, "an intact log opens");
    if (rc == 0) {
        raft_index next = check_log(&f, w);
        enum raft_wal_health health = raft_wal_state(w)->health;
        FUZZ_CHECK(damaged || (next == f.last + 1 && health == RAFT_WAL_OK), "an intact log");
        go_on(&f, w, next, health);
    }
    sim_disk_destroy(f.disk);
    return 0;
}
