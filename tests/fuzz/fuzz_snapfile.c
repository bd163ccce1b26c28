/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a snapshot file is read exactly as it was written, or refused; whatever stands in its fields,
 * reading it ends, within memory (bad input I14; fault D17).
 * Method: a file is written over a simulated disk and spoiled as the input says. Without new checksums
 * any difference is refused; with them it may be read, to its end. Then it is listed, received from a
 * "peer", and pruned.
 * Input: a byte that says which state, then damages of one byte with their arguments.
 */
#include "raft/storage/bytes.h"
#include "raft/storage/crc32c.h"
#include "raft/storage/snapshot_format.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/disk.h"

#define CLUSTER     9
#define TERM        1
#define INDEX       5
#define DAMAGES_MAX 30
#define IMAGE_MAX   16384u
#define CHUNKS_MAX  64

struct run {
    struct fuzz_input in;
    struct sim_disk *disk;
    const struct raft_fs *fs;
    uint8_t state[4096];
    uint8_t original[IMAGE_MAX];
    uint64_t original_bytes;
    uint8_t image[IMAGE_MAX];
    uint64_t bytes;
};

static void write_file(struct run *f, uint8_t how)
{
    struct raft_snap_meta m = {
        .cluster_id = CLUSTER, .index = INDEX, .term = TERM, .config_index = how & 3};
    struct raft_snap_writer *w = NULL;
    char path[SNAP_PATH_BYTES];
    m.config.count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        m.config.members[i] = (struct raft_member){i + 1, RAFT_VOTER};
    }
    for (size_t i = 0; i < sizeof(f->state); i++) {
        f->state[i] = (uint8_t)(i * 7 + how);
    }
    FUZZ_CHECK(raft_snap_create(f->fs, &m, &w) == 0, "a file");
    size_t len = (size_t)(how >> 2 & 7) * 130;
    for (uint8_t type = 0; type <= how >> 5; type++) { /* each type is a chunk of its own */
        FUZZ_CHECK(raft_snap_write(w, type, f->state, len) == 0, "state");
    }
    FUZZ_CHECK(raft_snap_commit(w, &m) == 0, "committed");
    raft__snap_path(path, SNAP_KIND_FILE, TERM, INDEX);
    const uint8_t *data = sim_disk_data(f->disk, path, &f->original_bytes);
    FUZZ_CHECK(data != NULL && f->original_bytes == m.bytes && m.bytes <= IMAGE_MAX, "small");
    memcpy(f->original, data, f->original_bytes);
    memcpy(f->image, data, f->original_bytes);
    f->bytes = f->original_bytes;
}

/* --- damage ---------------------------------------------------------------------------------- */

/* Anywhere, or in the header, in the nth chunk, in the table, in the trailer. */
static uint64_t place(struct run *f)
{
    uint8_t how = fuzz_u8(&f->in);
    uint64_t at = 0;
    switch (how & 7) {
    case 0:
        return fuzz_u16(&f->in);
    case 1:
    case 2:
        return how >> 3;
    case 3:
        return (how >> 3) * 8u;
    case 4:
        at = SNAP_HEADER_BYTES;
        for (int n = how >> 4; n > 0 && at + SNAP_CHUNK_HEADER < f->bytes; n--) {
            at += raft__snap_chunk_bytes(get_u32(f->image + at + 8));
        }
        return at + (how & 8 ? 8 : 0);
    case 5:
        return f->bytes - SNAP_TRAILER_BYTES - (how >> 3);
    default:
        return f->bytes - SNAP_TRAILER_BYTES + (how >> 3) * 2u;
    }
}

static uint32_t chunk_reseal(struct run *f, uint64_t at, uint32_t bytes)
{
    uint32_t crc = raft__crc32c(0, f->image + at + 4, SNAP_CHUNK_HEADER - 4);
    crc = raft__crc32c(crc, f->image + at + SNAP_CHUNK_HEADER, bytes);
    put_u32(f->image + at, crc);
    return crc;
}

/* Let every checksum fit what the fields say now; the digest follows from them. `table`: make the
 * table anew as well, so that chunks of other lengths agree with it. */
static void reseal(struct run *f, int table)
{
    uint8_t *trailer = f->image + f->bytes - SNAP_TRAILER_BYTES;
    XXH3_state_t *state = XXH3_createState();
    uint32_t used = get_u32(f->image + 12);
    uint64_t at = SNAP_HEADER_BYTES;
    uint64_t digest[2];
    uint64_t begin = get_u64(trailer + 8);
    uint64_t entries = get_u32(trailer + 16);
    if (used >= 16 && used <= SNAP_HEADER_BYTES) {
        uint32_t crc = raft__crc32c(raft__crc32c(0, f->image, 8), f->image + 12, used - 12);
        put_u32(f->image + 8, crc);
    }
    FUZZ_CHECK(state != NULL && XXH3_128bits_reset(state) == XXH_OK, "a hash");
    FUZZ_CHECK(XXH3_128bits_update(state, f->image, SNAP_HEADER_BYTES) == XXH_OK, "a hash");
    for (uint64_t i = 0; i < entries && i < CHUNKS_MAX; i++) {
        uint64_t row = begin + i * SNAP_TABLE_ENTRY;
        uint32_t bytes = at + SNAP_CHUNK_HEADER < f->bytes ? get_u32(f->image + at + 8) : 0;
        if (bytes == 0 || raft__snap_chunk_bytes(bytes) > f->bytes - at) {
            break;
        }
        uint32_t crc = chunk_reseal(f, at, bytes);
        raft__snap_digest_chunk(state, crc);
        if (row < f->bytes && f->bytes - row >= SNAP_TABLE_ENTRY + SNAP_TRAILER_BYTES) {
            put_u32(f->image + row + 12, crc);
            if (table) {
                put_u64(f->image + row, at);
                put_u32(f->image + row + 8, bytes);
            }
        }
        at += raft__snap_chunk_bytes(bytes);
    }
    raft__snap_digest_end(state, digest);
    (void)XXH3_freeState(state); /* always says yes */
    put_u64(trailer + 32, digest[0]);
    put_u64(trailer + 40, digest[1]);
    if (begin < f->bytes && entries * SNAP_TABLE_ENTRY <= f->bytes - begin) {
        put_u32(trailer + 20,
                raft__crc32c(0, f->image + begin, (size_t)entries * SNAP_TABLE_ENTRY));
    }
    put_u32(trailer + 4, raft__crc32c(0, trailer + 8, SNAP_TRAILER_BYTES - 8));
}

static void change(struct run *f, uint8_t how)
{
    uint64_t at = place(f);
    if (at > f->bytes || f->bytes - at < 8) {
        return;
    }
    if ((how & 7) < 2) {
        f->image[at] ^= (uint8_t)(1u << (how >> 5));
    } else if ((how & 7) < 4) {
        put_u32(f->image + at, (uint32_t)fuzz_near(&f->in, get_u32(f->image + at)));
    } else {
        put_u64(f->image + at, fuzz_near(&f->in, get_u64(f->image + at)));
    }
}

/* Take bytes out, or put zeros in, in front of a place. */
static void shift(struct run *f, uint8_t how)
{
    uint64_t at = place(f);
    uint64_t n = fuzz_u8(&f->in);
    if (at >= f->bytes) {
        return;
    }
    if ((how & 8) != 0) {
        n = n < f->bytes - at ? n : f->bytes - at;
        memmove(f->image + at, f->image + at + n, f->bytes - at - n);
        f->bytes -= n;
    } else if (f->bytes + n <= IMAGE_MAX) {
        memmove(f->image + at + n, f->image + at, f->bytes - at);
        memset(f->image + at, 0, n);
        f->bytes += n;
    }
}

static void damage(struct run *f)
{
    uint8_t how = fuzz_u8(&f->in);
    if (f->bytes < SNAP_TRAILER_BYTES) {
        return;
    }
    if ((how & 7) < 6) {
        change(f, how);
    } else if ((how & 7) == 6) {
        shift(f, how);
    } else {
        f->bytes = fuzz_u16(&f->in) % (f->bytes + 1);
    }
    if ((how & 16) != 0 && f->bytes >= SNAP_HEADER_BYTES + SNAP_TRAILER_BYTES) {
        reseal(f, how & 8);
    }
}

/* --- reading --------------------------------------------------------------------------------- */

static void store_image(struct run *f)
{
    char path[SNAP_PATH_BYTES];
    int fd = -1;
    struct iovec iov = {f->image, f->bytes};
    raft__snap_path(path, SNAP_KIND_FILE, TERM, INDEX);
    int flags = RAFT_FS_WRITE | RAFT_FS_CREATE | RAFT_FS_TRUNCATE;
    FUZZ_CHECK(f->fs->open(f->fs->ctx, path, flags, &fd) == 0, "the disk");
    FUZZ_CHECK(f->bytes == 0 || f->fs->pwritev(f->fs->ctx, fd, &iov, 1, 0) == 0, "the disk");
    FUZZ_CHECK(f->fs->close(f->fs->ctx, fd) == 0, "the disk");
}

static void check_meta(const struct run *f, const struct raft_snap_meta *m)
{
    FUZZ_CHECK(m->cluster_id == CLUSTER && m->index == INDEX && m->term == TERM, "of its name");
    FUZZ_CHECK(m->bytes == f->bytes && m->config.count <= RAFT_NODES_MAX, "as long as it says");
}

static int read_file(struct run *f)
{
    struct raft_snap_reader *r = NULL;
    const void *data = NULL;
    uint8_t type = 0;
    uint64_t read = 0;
    int64_t n;
    int rc = raft_snap_open(f->fs, CLUSTER, TERM, INDEX, &r);
    FUZZ_CHECK(rc == 0 || rc == RAFT_STORE_ECORRUPT || rc == RAFT_STORE_EFOREIGN ||
                   rc == RAFT_STORE_EVERSION,
               "read or refused");
    if (rc != 0) {
        return rc;
    }
    check_meta(f, raft_snap_meta(r));
    while ((n = raft_snap_next(r, &type, &data)) > 0) {
        const uint8_t *p = data;
        volatile uint8_t ends = (uint8_t)(p[0] + p[n - 1]); /* they are there */
        (void)ends;
        read += (uint64_t)n;
        FUZZ_CHECK(read <= f->bytes, "reading ends");
    }
    FUZZ_CHECK(n == 0, "a verified file can be read");
    raft_snap_close(r);
    return 0;
}

/* The same bytes from a peer, in pieces. */
static void receive(struct run *f, int expected)
{
    struct raft_snap_recv *s = NULL;
    struct raft_snap_meta m;
    uint64_t offset = 0;
    struct sim_disk *disk = sim_disk_create(2);
    const struct raft_fs *fs = sim_disk_fs(disk);
    int rc = raft_snap_recv_open(fs, CLUSTER, TERM, INDEX, f->bytes, &s, &offset);
    if (rc == 0) {
        FUZZ_CHECK(offset == 0, "nothing was there");
        while (offset < f->bytes && rc == 0) {
            uint64_t n = f->bytes - offset < 3000 ? f->bytes - offset : 3000;
            rc = raft_snap_recv_write(s, offset, f->image + offset, n);
            offset += n;
        }
        FUZZ_CHECK(rc == 0, "bytes are taken as they come");
        rc = raft_snap_recv_commit(s, &m);
        FUZZ_CHECK((rc == 0) == (expected == 0), "a peer's file is judged as one's own");
        FUZZ_CHECK(raft_snap_list(fs, CLUSTER, &m, 1) == (rc == 0), "and kept or not");
    } else {
        FUZZ_CHECK(expected != 0, "too short to be a file");
    }
    sim_disk_destroy(disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct run f;
    struct raft_snap_meta metas[4];
    memset(&f, 0, offsetof(struct run, state));
    f.in = (struct fuzz_input){bytes, len};
    f.disk = sim_disk_create(1);
    f.fs = sim_disk_fs(f.disk);
    write_file(&f, fuzz_u8(&f.in));
    int resealed = 0;
    for (int i = 0; i < DAMAGES_MAX && f.in.left > 0; i++) {
        resealed |= (f.in.p[0] & 16) != 0;
        damage(&f);
    }
    store_image(&f);
    int same = f.bytes == f.original_bytes && memcmp(f.image, f.original, f.bytes) == 0;
    int rc = read_file(&f);
    FUZZ_CHECK(!same || rc == 0, "an intact file is read");
    FUZZ_CHECK(same || resealed || rc != 0, "a file that differs is refused");
    int n = raft_snap_list(f.fs, CLUSTER, metas, 4);
    FUZZ_CHECK(n >= 0 && n <= 1 && (rc != 0 || n == 1), "listed");
    receive(&f, rc);
    FUZZ_CHECK(raft_snap_prune(f.fs, CLUSTER, 1, NULL) == 0, "pruned");
    sim_disk_destroy(f.disk);
    return 0;
}
