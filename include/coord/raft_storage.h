/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_storage.h: what a member keeps on disk: one write-ahead log and its snapshot files.
 *
 * Object model
 *   `struct raft_fs` is a small file system as a table of functions: raft_fs_posix in production, a
 *   simulated faulty disk in tests. `struct raft_wal` is the log of one member, `raft_snap_*` its
 *   snapshot files, both in one data directory of that file system:
 *
 *     LOCK                          held while a process uses the directory
 *     wal/%016x.seg                 segments, by sequence number
 *     snap/%016x-%016x.snap         snapshots, by term and index
 *     ballast                       of no use: deleted by an operator, it makes room on a full disk
 *
 * Lifetime
 *   1. Open the file system, lock it, open the WAL; the WAL reports what it found (recovery).
 *   2. After that one thread at a time uses the WAL: every call blocks until the disk answered.
 *   3. A failed write or sync is final: the WAL answers only RAFT_STORE_EFAILED from then on
 *      (a page that failed to reach the disk may be gone from memory as well).
 *
 * Formats stand in the files that read and write them: raft/storage/segment.c, snapshot_file.c.
 * Errors: negative; those below, or a negative errno of the file system.
 * Threads: one handle, one thread at a time, unless stated.
 */
#ifndef COORD_RAFT_STORAGE_H
#define COORD_RAFT_STORAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <coord/raft.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers below -1000, so that they never collide with a negative errno. */
#define RAFT_STORE_ERRORS(X)                                                    \
    X(EFAILED, -1001, "an earlier write or sync failed; the log takes no more") \
    X(ECORRUPT, -1002, "the data on disk is damaged")                           \
    X(EFOREIGN, -1003, "the data belongs to another cluster or member")         \
    X(EVERSION, -1004, "the data was written by a newer version")               \
    X(ELOCKED, -1005, "another process uses this data directory")               \
    X(ENOENT, -1006, "there is no such entry or snapshot")                      \
    X(ETOOBIG, -1007, "an entry does not fit into a segment")

enum raft_store_error {
#define X(name, value, text) RAFT_STORE_##name = value,
    RAFT_STORE_ERRORS(X)
#undef X
};

/* The text of one of the above or of a negative errno (0: "success").
 * Ownership: static text. Errors: none. Thread: any. Return: never NULL. */
const char *raft_store_strerror(int error);

/* ------------------------------------------------------------------------------------------- */
/* Configurations as payloads                                                                    */

/* Write c as the payload of a CONFIG entry: RAFT_CONFIG_BYTES, little-endian, unused members zero.
 * c:         count is at most RAFT_NODES_MAX. buf: of RAFT_CONFIG_BYTES.
 * Ownership: buf stays the caller's. Errors: none. Thread: any. Return: none. */
void raft_config_encode(const struct raft_config *c, void *buf);

/* Read it again.
 * buf, len:  the payload, in bytes.
 * Ownership: buf stays the caller's. Thread: any.
 * Errors:    RAFT_STORE_ECORRUPT when len is less than RAFT_CONFIG_BYTES or the bytes
 *            are no configuration.
 * Return:    0 or negative; *ret_c is written on 0 only. */
int raft_config_decode(const void *buf, size_t len, struct raft_config *ret_c);

/* ------------------------------------------------------------------------------------------- */
/* The file system                                                                               */

enum raft_fs_open {
    RAFT_FS_READ = 1,
    RAFT_FS_WRITE = 2,
    RAFT_FS_CREATE = 4,
    RAFT_FS_EXCLUSIVE = 8,
    RAFT_FS_TRUNCATE = 16
};

/* Called once a name by list; stop by returning non-zero. */
typedef int (*raft_fs_visit)(void *arg, const char *name);

/* Paths are relative to the directory the file system stands for, '/'-separated, without "..".
 * Every function answers 0 (or a count) or a negative errno. */
struct raft_fs {
    void *ctx;
    int (*open)(void *ctx, const char *path, int flags, int *ret_fd);
    int (*close)(void *ctx, int fd);
    /* Read up to len bytes at offset; short only at the end of the file. Return: bytes read. */
    int64_t (*pread)(void *ctx, int fd, void *buf, size_t len, uint64_t offset);
    /* Write everything or fail. */
    int (*pwritev)(void *ctx, int fd, const struct iovec *iov, int count, uint64_t offset);
    int (*fdatasync)(void *ctx, int fd);
    /* Make the file `bytes` long with its blocks in place and zero-filled where it was shorter. */
    int (*allocate)(void *ctx, int fd, uint64_t bytes);
    int (*size)(void *ctx, int fd, uint64_t *ret_bytes);
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*unlink)(void *ctx, const char *path);
    int (*mkdir)(void *ctx, const char *path); /* 0 also when it exists */
    int (*sync_dir)(void *ctx, const char *path);
    int (*list)(void *ctx, const char *path, raft_fs_visit visit, void *arg);
    /* Hold `path` for this process until the file system is closed; -EWOULDBLOCK when held. */
    int (*lock)(void *ctx, const char *path);
    int (*space)(void *ctx, uint64_t *ret_free_bytes);
};

/* The real one, in directory dir, which is made (mode 0700) when it is missing.
 * Ownership: release with raft_fs_posix_close; it gives the lock back too. dir is not kept.
 * Errors:    negative errno. Thread: the calls are as thread-safe as the system's.
 * Return:    0 or a negative errno; *ret_fs is set on 0 only. */
int raft_fs_posix_open(const char *dir, struct raft_fs *ret_fs);

/* Close it and give the lock back; nothing opened through it may be used any more.
 * Ownership: *fs is empty then. NULL and an empty one are accepted. Errors: none. Thread: any one.
 * Return:    none. */
void raft_fs_posix_close(struct raft_fs *fs);

/* ------------------------------------------------------------------------------------------- */
/* The write-ahead log                                                                           */

struct raft_wal_options {
    const struct raft_fs *fs; /* outlives the WAL */
    uint64_t cluster_id;      /* both are written into every file and checked */
    raft_id node_id;
    uint64_t segment_bytes;  /* default 16 MiB */
    uint32_t segments_ready; /* default 2: empty segments kept ahead of need */
    uint64_t salt_seed;      /* random; makes the bytes of recycled segments distinguishable */
    int must_exist;          /* 1: no log is an error, and none is begun */
    uint64_t ballast_bytes;  /* default 0: no ballast file; not made where it would take more than a
                                quarter of what is free */
};

/* Fill in the defaults: all of *o is written; fs, ids and salt_seed are 0 then, and the
 * caller's to set.
 * Ownership: o stays the caller's. Errors: none. Thread: any. Return: none. */
void raft_wal_options_init(struct raft_wal_options *o);

enum raft_wal_health {
    RAFT_WAL_OK = 1,     /* everything acknowledged is there */
    RAFT_WAL_TORN = 2,   /* an unacknowledged tail was cut; otherwise as OK */
    RAFT_WAL_REPAIR = 3, /* acknowledged data is damaged. The log can be written: the member is
                            refilled, but does not vote until raft_wal_repaired. A verdict that
                            lasts: every opening until then says so */
};

/* What recovery found. The arrays belong to the WAL, valid until its first write. */
struct raft_wal_state {
    enum raft_wal_health health;
    char detail[256]; /* for REPAIR and TORN: file, offset, index */
    int fresh;        /* 1: there was no log at all */
    raft_term term;
    raft_id vote;
    raft_index commit;
    raft_index snapshot_index; /* of the last SNAPMARK; 0 none */
    raft_term snapshot_term;
    raft_index first; /* entries first .. first + count - 1 */
    uint32_t count;
    const struct raft_entry *entries;
    uint32_t torn_entries;   /* readable entry headers beyond the cut */
    raft_index repair_index; /* REPAIR: the highest index known to have been in the log; else 0 */
    /* What RAFT_EV_BOOT_DAMAGE is told; nothing is to be told when damage is 0. */
    uint32_t damage; /* enum raft_damage */
    raft_index
        damage_index;      /* TAIL: the furthest readable entry beyond the cut; else repair_index */
    raft_term damage_term; /* of that entry; 0 unknown */
};

struct raft_wal;

/* Open the log in fs, or begin one, and recover it.
 * why, n:    text for an operator, at most n bytes with its NUL; empty when all went well.
 * Ownership: release with raft_wal_close; o is copied, o->fs outlives the log.
 * Errors:    -EINVAL (options);
 *            RAFT_STORE_EFOREIGN, EVERSION, ENOENT (must_exist), ECORRUPT (beyond what REPAIR can
 *            express; nothing is changed on disk), negative errno; why (n bytes) then says file,
 *            offset and reason.
 * Thread:    any one. Return: 0 or negative; *ret_wal is set on 0 only. */
int raft_wal_open(const struct raft_wal_options *o, struct raft_wal **ret_wal, char *why, size_t n);

/* What raft_wal_open found.
 * Ownership: wal's; the arrays until the first write, the rest until raft_wal_close. Errors: none.
 * Thread:    the WAL's. Return: never NULL. */
const struct raft_wal_state *raft_wal_state(const struct raft_wal *wal);

enum raft_wal_op_kind { RAFT_WAL_HARDSTATE = 1, RAFT_WAL_ENTRY = 2, RAFT_WAL_SNAPMARK = 3 };

#define RAFT_WAL_ROOM 32 /* bytes: see has_room */

/* One record. ENTRY at index i discards every entry at or after i that was written before it. */
struct raft_wal_op {
    enum raft_wal_op_kind kind;
    raft_id vote;     /* HARDSTATE */
    raft_term term;   /* all */
    raft_index index; /* HARDSTATE: commit. ENTRY: its own. SNAPMARK: of the snapshot */
    uint8_t type;     /* ENTRY: enum raft_entry_type */
    uint32_t bytes;   /* ENTRY: of data */
    const void *data; /* ENTRY */
    int has_room; /* ENTRY: the RAFT_WAL_ROOM bytes in front of data, which stands at a multiple of 8,
                           and those behind it up to the next one are the log's to write on. Small
                           entries, one behind the other like this, cost less to write */
    uint64_t digest[2]; /* SNAPMARK: of the snapshot file */
};

/* Write a batch: all of ops in order as one write and one fdatasync (more only when a segment ends
 * in between or a write would exceed 1 MiB). On return everything is durable.
 * Ownership: ops and data stay the caller's. Errors: RAFT_STORE_EFAILED; refused with nothing written,
 * not final: ETOOBIG, -EINVAL (an entry leaves a gap), and -ENOSPC or the like when no segment was
 * ready and none could be made (raft_wal_failed tells), or -EBUSY (raft_wal_prep); any other is final.
 * Thread: the WAL's. Return: 0 or negative. */
int raft_wal_write(struct raft_wal *wal, const struct raft_wal_op *ops, uint32_t count);

/* Has a write or sync failed, so that every call answers RAFT_STORE_EFAILED?
 * Ownership: none. Errors: none. Thread: the WAL's. Return: 1 or 0. */
int raft_wal_failed(const struct raft_wal *wal);

/* The member has been replicated anew past what was damaged, or its owner accepts the loss: the log
 * is healthy from the next opening on. Does nothing when it is not in REPAIR. Writes and syncs.
 * Ownership: none. Errors: as raft_wal_write. Thread: the WAL's. Return: 0 or negative. */
int raft_wal_repaired(struct raft_wal *wal);

/* Work for an idle moment: attest the last batch (SEAL), make segments ready, delete or recycle
 * what compaction released, make a piece of the ballast. Blocks like a write.
 * Ownership: none.
 * Errors:    -ENOSPC and others concern preparation only and are not final; a failing
 *            SEAL is final.
 * Thread:    the WAL's.
 * Return:    0, 1 when there is more to do in the next idle moment, or negative. */
int raft_wal_idle(struct raft_wal *wal);

/* Making segments ready on another thread, so that the one that writes the log never fills a file:
 *
 *     the WAL's thread               any other
 *     raft_wal_prep        ----->    raft_wal_prep_run
 *     raft_wal_prep_end    <-----
 *
 * One at a time. Between prep and prep_end a raft_wal_write that needs another segment than those that
 * are ready is refused with -EBUSY and without effect, and raft_wal_idle prepares none.
 * A host that never calls these has its segments made in raft_wal_idle. */
struct raft_wal_prep;

/* Is another segment to be made ready? Then *ret_prep is what prep_run is to do.
 * Ownership: *ret_prep is the WAL's. Errors: RAFT_STORE_EFAILED, -ENOMEM. Thread: the WAL's.
 * Return:    1 and *ret_prep is set; 0 when none is wanted, or one is under way; or negative. */
int raft_wal_prep(struct raft_wal *wal, struct raft_wal_prep **ret_prep);

/* Do it: blocks while the file is filled and synced.
 * Ownership: none. Errors: told by raft_wal_prep_end. Return: none.
 * Thread:    any; the WAL's file system is used beside the WAL's thread. */
void raft_wal_prep_run(struct raft_wal_prep *prep);

/* raft_wal_prep_run has returned: the segment may be used. To be called before raft_wal_close, too.
 * Ownership: prep is gone.
 * Errors:    -ENOSPC and others, never final: there is no segment more than before.
 * Thread:    the WAL's. Return: 0 or negative. */
int raft_wal_prep_end(struct raft_wal *wal);

/* Entries <= index will not be asked for again; their segments may go, in raft_wal_idle.
 * The SNAPMARK that allows it must have been written: beyond that nothing goes.
 * Ownership: none. Errors: none. Thread: the WAL's. Return: none. */
void raft_wal_compact(struct raft_wal *wal, raft_index index);

/* Read the payload of one entry, verifying its checksum.
 * buf, len:  room for it, in bytes.
 * Ownership: buf stays the caller's.
 * Errors:    RAFT_STORE_EFAILED, ENOENT, ECORRUPT, -EINVAL (len is too small), negative errno.
 * Thread:    the WAL's. Return: bytes of the payload, or negative. */
int64_t raft_wal_read(struct raft_wal *wal, raft_index index, void *buf, size_t len);

/* Room for records in the segments that are there: when it is used up a write must make one first.
 * Ownership: none. Errors: none. Thread: the WAL's. Return: bytes. */
uint64_t raft_wal_room(const struct raft_wal *wal);

/* Close without writing: what raft_wal_write answered 0 for is on disk. NULL is accepted.
 * Ownership: wal and everything that raft_wal_state gave are gone. Errors: none.
 * Thread:    the WAL's. Return: none. */
void raft_wal_close(struct raft_wal *wal);

/* ------------------------------------------------------------------------------------------- */
/* Snapshot files                                                                                */

struct raft_snap_meta {
    uint64_t cluster_id;
    raft_index index;
    raft_term term;
    raft_index config_index;
    struct raft_config config;
    uint64_t bytes;     /* of the whole file; set by the reader and by commit */
    uint64_t digest[2]; /* XXH3-128 over header and chunk checksums; likewise */
};

struct raft_snap_writer;
struct raft_snap_reader;

/* Begin a snapshot file: written under a temporary name until commit.
 * meta:      cluster_id, index, term, configuration; bytes and digest are not read.
 * Ownership: end with commit or abort; meta is copied, fs outlives the writer.
 * Errors:    -EINVAL (index 0, too many members), negative errno.
 * Thread:    any one, also beside the WAL's at the same time (they share only fs).
 * Return:    0 or negative; *ret_writer is set on 0 only. */
int raft_snap_create(const struct raft_fs *fs, const struct raft_snap_meta *meta,
                     struct raft_snap_writer **ret_writer);

/* Append bytes of the state; the writer cuts them into chunks.
 * type:      the host's; a change of type ends a chunk. len: bytes, any number.
 * Ownership: data stays the caller's.
 * Errors:    negative errno, and the same at every later call and at commit.
 * Thread:    the writer's. Return: 0 or negative. */
int raft_snap_write(struct raft_snap_writer *w, uint8_t type, const void *data, size_t len);

/* Footer, fdatasync, rename, directory sync: on 0 the snapshot is durable.
 * Ownership: the writer is gone either way.
 * Errors:    negative errno; the file is then deleted, as far as that works.
 * Thread:    the writer's. Return: 0 or negative; *ret_meta (bytes and digest too) is set on 0. */
int raft_snap_commit(struct raft_snap_writer *w, struct raft_snap_meta *ret_meta);

/* Give the file up. NULL is accepted.
 * Ownership: the writer is gone. Errors: none. Thread: the writer's. Return: none. */
void raft_snap_abort(struct raft_snap_writer *w);

/* Every intact-looking snapshot, newest first (header read, chunks not verified). Their names are
 * durable on return: a member may boot from one and mark its log with it.
 * metas, max: room for so many.
 * Ownership: metas stays the caller's. Errors: negative errno.
 * Thread:    any one; not beside raft_snap_prune.
 * Return:    how many were put into metas, or negative. */
int raft_snap_list(const struct raft_fs *fs, uint64_t cluster_id, struct raft_snap_meta *metas,
                   int max);

/* Open one by term and index; the whole file is verified against its checksums first.
 * Ownership: release with raft_snap_close; fs outlives the reader.
 * Errors:    RAFT_STORE_ENOENT, ECORRUPT, EFOREIGN, EVERSION, negative errno.
 * Thread:    any one. Return: 0 or negative; *ret_reader is set on 0 only. */
int raft_snap_open(const struct raft_fs *fs, uint64_t cluster_id, raft_term term, raft_index index,
                   struct raft_snap_reader **ret_reader);

/* Open one to be read once, from its beginning to its end by raft_snap_next: each chunk is verified as it is
 * read and the rest of the file at the end, so it is read once and not twice. Nothing that was read is to be
 * believed before raft_snap_next has answered 0.
 * Ownership, Errors (those of the header and the trailer), Thread, Return: as raft_snap_open. */
int raft_snap_stream(const struct raft_fs *fs, uint64_t cluster_id, raft_term term,
                     raft_index index, struct raft_snap_reader **ret_reader);

/* What the file says of itself.
 * Ownership: r's, until raft_snap_close. Errors: none. Thread: the reader's. Return: never NULL. */
const struct raft_snap_meta *raft_snap_meta(const struct raft_snap_reader *r);

/* The next chunk of state. Of a stream, 0 also says that the whole file was intact.
 * Ownership: *ret_data is the reader's, until the next call.
 * Errors:    RAFT_STORE_ECORRUPT (rot since it was opened), negative errno.
 * Thread:    the reader's. Return: bytes, 0 at the end, or negative; sets its outputs above 0. */
int64_t raft_snap_next(struct raft_snap_reader *r, uint8_t *ret_type, const void **ret_data);

/* Raw bytes of the file, for its transfer to a peer; does not move what raft_snap_next reads.
 * len, offset: in bytes.
 * Ownership: buf stays the caller's. Errors: negative errno. Thread: the reader's.
 * Return:    bytes read, fewer than len only at the end of the file, or negative. */
int64_t raft_snap_pread(struct raft_snap_reader *r, void *buf, size_t len, uint64_t offset);

/* Close. NULL is accepted.
 * Ownership: the reader and what it gave are gone. Errors: none. Thread: the reader's.
 * Return:    none. */
void raft_snap_close(struct raft_snap_reader *r);

/* Delete all but the newest `keep` verified ones (keep >= 1), and temporary files that are no newer than
 * the newest of those; nothing when none can be verified.
 * known:     of a file that this process has just written, as raft_snap_commit gave it: it is not read again,
 *            all others are. Or NULL.
 * Ownership: known stays the caller's. Errors: -EINVAL (keep), negative errno. Thread: any one at a time.
 * Return:    0 or negative. */
int raft_snap_prune(const struct raft_fs *fs, uint64_t cluster_id, int keep,
                    const struct raft_snap_meta *known);

struct raft_snap_recv;

/* Receive a file from a peer: begin, or go on with what an earlier attempt left.
 * total_bytes: of the whole file.
 * Ownership: end with commit or abort; fs outlives the receiver.
 * Errors:    -EINVAL (no file is so short), negative errno.
 * Thread:    any one, also beside the WAL's.
 * Return:    0 or negative; on 0 only *ret_recv is set, and *ret_offset: bytes already there. */
int raft_snap_recv_open(const struct raft_fs *fs, uint64_t cluster_id, raft_term term,
                        raft_index index, uint64_t total_bytes, struct raft_snap_recv **ret_recv,
                        uint64_t *ret_offset);

/* Store raw bytes of the file; those that are there already are skipped. Not durable before commit.
 * offset, len: in bytes.
 * Ownership: data stays the caller's.
 * Errors:    -EINVAL when offset leaves a gap or the end lies beyond the file's, negative errno.
 * Thread:    the receiver's. Return: 0 or negative. */
int raft_snap_recv_write(struct raft_snap_recv *s, uint64_t offset, const void *data, size_t len);

/* Sync the file, verify all of it, give it its name: on 0 it is a snapshot, and durable.
 * Ownership: the receiver is gone either way; a file that fails its verification is deleted.
 * Errors:    -EINVAL while bytes are missing, RAFT_STORE_ECORRUPT, EFOREIGN, EVERSION, negative
 *            errno.
 * Thread:    the receiver's. Return: 0 or negative; *ret_meta is written on 0 only. */
int raft_snap_recv_commit(struct raft_snap_recv *s, struct raft_snap_meta *ret_meta);

/* Close; what was received stays for a later raft_snap_recv_open, until raft_snap_prune.
 * NULL is accepted.
 * Ownership: the receiver is gone. Errors: none. Thread: the receiver's. Return: none. */
void raft_snap_recv_abort(struct raft_snap_recv *s);

#ifdef __cplusplus
}
#endif
#endif
