/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_model.h: the two images of the simulated disk and the changes between them.
 *
 * A file (`struct inode`) has the bytes that the process sees (seen), those that a power cut leaves
 * for certain (kept), and the changes between the two in their order (pending). A sync carries the
 * pending changes out on kept; a crash carries out what it drew of each and then makes kept the seen
 * bytes. Directories work alike, with names in place of bytes. A change that a failed sync or a lying
 * device lost is in seen and never in pending.
 *
 * Files are referred to by number, never by pointer, so that a clone is a copy of arrays.
 *
 * Invariants
 *   1. kept + all pending changes = seen, but for changes that were lost.
 *   2. A number in any directory, pending operation or handle is of an inode in use.
 *
 * Private to disk*.c. Thread: one at a time.
 */
#ifndef COORD_SIM_DISK_MODEL_H
#define COORD_SIM_DISK_MODEL_H

#include "tests/sim/disk.h"

#define SECTOR_BYTES 512u
#define NAME_BYTES   64u
#define DIRS_MAX     8

struct bytes {
    uint8_t *data;
    uint64_t len;
    uint64_t room;
};

enum change_kind { CHANGE_WRITE = 1, CHANGE_EXTEND = 2, CHANGE_TRUNCATE = 3 };

struct change {
    enum change_kind kind;
    uint64_t offset; /* EXTEND, TRUNCATE: the new length */
    struct bytes data;
};

struct inode {
    int used;
    struct bytes seen;
    struct bytes kept;
    struct change *pending;
    size_t pending_count;
    size_t pending_room;
    uint64_t bad_offset;
    uint64_t bad_len;
};

struct entry {
    char name[NAME_BYTES];
    int inode;
};

struct names {
    struct entry *list;
    size_t count;
    size_t room;
};

enum dir_op_kind { DIR_CREATE = 1, DIR_RENAME = 2, DIR_UNLINK = 3, DIR_MKDIR = 4 };

struct dir_op {
    enum dir_op_kind kind;
    char name[NAME_BYTES];
    char to[NAME_BYTES];
    int inode; /* CREATE: of the file. MKDIR: of the directory */
};

struct dir {
    char name[NAME_BYTES];
    int seen_there;
    int kept_there;
    struct names seen;
    struct names kept;
    struct dir_op *pending;
    size_t pending_count;
    size_t pending_room;
};

struct handle {
    int fd;
    int inode;
    int flags;
};

struct sim_disk {
    struct raft_fs fs;
    uint64_t seed;
    struct inode *inodes;
    size_t inodes_count;
    struct dir dirs[DIRS_MAX]; /* 0 is the root */
    int dirs_count;
    struct handle *handles;
    size_t handles_count;
    size_t handles_room;
    int next_fd;
    int locked;
    uint64_t capacity;

    int stopped;
    uint64_t stop_at;
    void (*watch)(void *arg);
    void *watch_arg;
    int fail_ops;
    uint32_t fail_nth;
    uint32_t fail_times;
    int fail_error;
    uint32_t fail_sync_nth;
    enum sim_disk_sync_failure fail_sync_how;
    uint32_t lose_write_nth;
    int last_inode; /* of the last write */
    uint64_t last_offset;
    uint64_t last_len; /* 0: there was none */
    struct sim_disk_counts counts;
};

/* realloc that aborts when memory is out. */
void *sd_grow(void *p, size_t bytes);

/* Splitmix64: the next number of the stream *state. */
uint64_t sd_draw(uint64_t *state);

/* Cut, or fill up with zeros. */
void sd_bytes_resize(struct bytes *b, uint64_t len);

/* Overwrite a range, making the string longer where needed. */
void sd_bytes_put(struct bytes *b, uint64_t offset, const uint8_t *data, uint64_t len);
void sd_bytes_copy(struct bytes *to, const struct bytes *from);
void sd_bytes_free(struct bytes *b);
void sd_inode_forget_pending(struct inode *f);
void sd_inode_free(struct inode *f);

/* A new pending change, last in order; data is empty. */
struct change *sd_inode_add_change(struct inode *f, enum change_kind kind, uint64_t offset);

/* Carry a change out on kept bytes. */
void sd_change_apply(struct bytes *b, const struct change *c);

/* A power cut: settle what is pending, then see what is kept. */
void sd_inode_settle(struct inode *f, enum sim_disk_crash_kind kind, uint64_t *rng);

/* The number of an unused file. Pointers to inodes are invalid afterwards. */
int sd_inode_new(struct sim_disk *d);

/* NULL when there is no such name. */
struct entry *sd_names_find(const struct names *n, const char *name);
void sd_names_put(struct names *n, const char *name, int inode);
void sd_names_remove(struct names *n, const char *name);
void sd_names_copy(struct names *to, const struct names *from);
void sd_name_set(char *to, const char *name);

/* Carry a pending operation out on the kept names. */
void sd_dir_op_apply(struct sim_disk *d, struct dir *dir, const struct dir_op *op);
void sd_dir_add_op(struct dir *dir, enum dir_op_kind kind, const char *name, const char *to,
                   int inode);

/* Free the files that nothing refers to any more. */
void sd_collect(struct sim_disk *d);

/* Split path into a directory of d and a name in it; "." is the root with an empty name.
 * Return: 0, -EINVAL or -ENOENT. */
int sd_parse_path(struct sim_disk *d, const char *path, struct dir **ret_dir,
                  const char **ret_name);

/* NULL when there is no such directory. */
struct dir *sd_find_dir(struct sim_disk *d, const char *path);

/* NULL when there is no such file. */
struct inode *sd_find_file(const struct sim_disk *d, const char *path);

/* The functions of struct raft_fs (disk.c). */
void sd_bind(struct sim_disk *d);

#endif
