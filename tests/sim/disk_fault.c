/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_fault.c: making, copying, crashing and spoiling the simulated disk; see disk.h.
 *
 * A crash settles the root directory first: a directory whose name did not survive takes its files
 * with it. Then the files that a surviving name leads to are settled, each change by its own draw.
 * Thread: one at a time.
 */
#include "tests/sim/disk_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------- */
/* Life and death                                                                                */

struct sim_disk *sim_disk_create(uint64_t seed)
{
    struct sim_disk *d = sd_grow(NULL, sizeof *d);
    memset(d, 0, sizeof *d);
    d->seed = seed;
    d->dirs_count = 1;
    d->dirs[0].seen_there = 1;
    d->dirs[0].kept_there = 1;
    d->next_fd = 1000;
    d->capacity = UINT64_MAX;
    sd_bind(d);
    return d;
}

void sim_disk_destroy(struct sim_disk *d)
{
    if (d == NULL) {
        return;
    }
    for (size_t i = 0; i < d->inodes_count; i++) {
        sd_inode_free(&d->inodes[i]);
    }
    for (int i = 0; i < d->dirs_count; i++) {
        free(d->dirs[i].seen.list);
        free(d->dirs[i].kept.list);
        free(d->dirs[i].pending);
    }
    free(d->inodes);
    free(d->handles);
    free(d);
}

struct sim_disk *sim_disk_clone(const struct sim_disk *d)
{
    struct sim_disk *c = sim_disk_create(d->seed);
    c->counts = d->counts;
    c->capacity = d->capacity;
    c->next_fd = d->next_fd;
    c->dirs_count = d->dirs_count;
    c->inodes_count = d->inodes_count;
    c->inodes = sd_grow(NULL, d->inodes_count * sizeof *c->inodes);
    for (size_t i = 0; i < d->inodes_count; i++) {
        const struct inode *from = &d->inodes[i];
        struct inode *to = &c->inodes[i];
        memset(to, 0, sizeof *to);
        to->used = from->used;
        to->bad_offset = from->bad_offset;
        to->bad_len = from->bad_len;
        sd_bytes_copy(&to->seen, &from->seen);
        sd_bytes_copy(&to->kept, &from->kept);
        for (size_t k = 0; k < from->pending_count; k++) {
            const struct change *old = &from->pending[k];
            sd_bytes_copy(&sd_inode_add_change(to, old->kind, old->offset)->data, &old->data);
        }
    }
    for (int i = 0; i < d->dirs_count; i++) {
        const struct dir *from = &d->dirs[i];
        struct dir *to = &c->dirs[i];
        sd_name_set(to->name, from->name);
        to->seen_there = from->seen_there;
        to->kept_there = from->kept_there;
        sd_names_copy(&to->seen, &from->seen);
        sd_names_copy(&to->kept, &from->kept);
        for (size_t k = 0; k < from->pending_count; k++) {
            const struct dir_op *op = &from->pending[k];
            sd_dir_add_op(to, op->kind, op->name, op->to, op->inode);
        }
    }
    sd_collect(c);
    return c;
}

const struct raft_fs *sim_disk_fs(struct sim_disk *d)
{
    return &d->fs;
}

void sim_disk_kill(struct sim_disk *d)
{
    d->handles_count = 0;
    d->locked = 0;
    d->stopped = 0;
    d->stop_at = 0;
    d->fail_times = 0;
    d->fail_sync_nth = 0;
    d->lose_write_nth = 0;
    d->counts.crashes++;
    sd_collect(d);
}

void sim_disk_crash(struct sim_disk *d, enum sim_disk_crash_kind kind, uint64_t seed)
{
    uint64_t rng = seed ^ (d->seed * 0x9e3779b97f4a7c15u);
    sim_disk_kill(d);
    for (int i = 0; i < d->dirs_count; i++) {
        struct dir *dir = &d->dirs[i];
        size_t survive = dir->pending_count;
        if (kind == SIM_DISK_CRASH_DROP) {
            survive = 0;
        } else if (kind == SIM_DISK_CRASH_RANDOM) {
            survive = sd_draw(&rng) % (dir->pending_count + 1);
        }
        for (size_t k = 0; k < survive; k++) {
            sd_dir_op_apply(d, dir, &dir->pending[k]);
        }
        dir->pending_count = 0;
    }
    for (int i = 0; i < d->dirs_count; i++) { /* after the root has settled which are there */
        struct dir *dir = &d->dirs[i];
        if (!dir->kept_there) {
            dir->kept.count = 0;
        }
        dir->seen_there = dir->kept_there;
        sd_names_copy(&dir->seen, &dir->kept);
    }
    sd_collect(d);
    for (size_t i = 0; i < d->inodes_count; i++) {
        if (d->inodes[i].used) {
            sd_inode_settle(&d->inodes[i], kind, &rng);
        }
    }
}

int sim_disk_lose_pending(struct sim_disk *d, uint64_t which, int torn)
{
    for (size_t i = 0; i < d->inodes_count; i++) {
        struct inode *f = &d->inodes[i];
        size_t count = f->used ? f->pending_count : 0;
        if (which >= count) {
            which -= count;
            continue;
        }
        struct change *c = &f->pending[which];
        if (torn && c->kind == CHANGE_WRITE) {
            uint64_t sectors = (c->data.len + SECTOR_BYTES - 1) / SECTOR_BYTES;
            uint64_t whole = sectors / 2 * SECTOR_BYTES;
            sd_bytes_resize(&c->data, whole < c->data.len ? whole : c->data.len);
            return 1;
        }
        sd_bytes_free(&c->data);
        memmove(c, c + 1, (f->pending_count - (size_t)which - 1) * sizeof *c);
        f->pending_count--;
        return 1;
    }
    return 0;
}

void sim_disk_unlock(struct sim_disk *d)
{
    d->locked = 0;
}

void sim_disk_stop_at(struct sim_disk *d, uint64_t change)
{
    d->stop_at = change;
}

void sim_disk_watch(struct sim_disk *d, void (*watch)(void *arg), void *arg)
{
    d->watch = watch;
    d->watch_arg = arg;
}

void sim_disk_pending(const struct sim_disk *d, uint64_t *ret_writes, uint64_t *ret_names)
{
    *ret_writes = 0;
    *ret_names = 0;
    for (size_t i = 0; i < d->inodes_count; i++) {
        *ret_writes += d->inodes[i].used ? d->inodes[i].pending_count : 0;
    }
    for (int i = 0; i < d->dirs_count; i++) {
        *ret_names += d->dirs[i].pending_count;
    }
}

int sim_disk_stopped(const struct sim_disk *d)
{
    return d->stopped;
}

void sim_disk_fail(struct sim_disk *d, int ops, uint32_t nth, uint32_t times, int error)
{
    d->fail_ops = ops;
    d->fail_nth = nth;
    d->fail_times = times;
    d->fail_error = error;
}

void sim_disk_fail_sync(struct sim_disk *d, uint32_t nth, enum sim_disk_sync_failure how)
{
    d->fail_sync_nth = nth;
    d->fail_sync_how = how;
}

void sim_disk_set_capacity(struct sim_disk *d, uint64_t bytes)
{
    d->capacity = bytes;
}

/* ------------------------------------------------------------------------------------------- */
/* Rot and looking                                                                               */

static int rot_range(struct sim_disk *d, const char *path, uint64_t offset, uint64_t len,
                     struct inode **ret_file)
{
    struct inode *f = sd_find_file(d, path);
    if (f == NULL) {
        return -ENOENT;
    }
    if (offset > f->seen.len || len > f->seen.len - offset) {
        return -EINVAL;
    }
    *ret_file = f;
    return 0;
}

int sim_disk_flip(struct sim_disk *d, const char *path, uint64_t offset, int bit)
{
    struct inode *f;
    int rc = rot_range(d, path, offset, 1, &f);
    if (rc != 0) {
        return rc;
    }
    uint8_t mask = (uint8_t)(1u << (bit & 7));
    f->seen.data[offset] ^= mask;
    if (offset < f->kept.len) {
        f->kept.data[offset] ^= mask;
    }
    return 0;
}

int sim_disk_scramble(struct sim_disk *d, const char *path, uint64_t offset, uint64_t len,
                      uint64_t seed)
{
    struct inode *f;
    int rc = rot_range(d, path, offset, len, &f);
    if (rc != 0) {
        return rc;
    }
    for (uint64_t i = offset; i < offset + len; i++) {
        uint8_t byte = (uint8_t)sd_draw(&seed);
        f->seen.data[i] = byte;
        if (i < f->kept.len) {
            f->kept.data[i] = byte;
        }
    }
    return 0;
}

static void put_both(struct inode *f, uint64_t offset, const uint8_t *data, uint64_t len)
{
    memcpy(f->seen.data + offset, data, len);
    if (offset < f->kept.len) {
        uint64_t fit = f->kept.len - offset;
        memcpy(f->kept.data + offset, data, fit < len ? fit : len);
    }
}

int sim_disk_misdirect(struct sim_disk *d, const char *from_path, uint64_t from,
                       const char *to_path, uint64_t to, uint64_t len, int lost)
{
    struct inode *f;
    struct inode *t;
    int rc = rot_range(d, from_path, from, len, &f);
    rc = rc != 0 ? rc : rot_range(d, to_path, to, len, &t);
    if (rc != 0 || len == 0) {
        return rc;
    }
    uint8_t *data = sd_grow(NULL, len);
    memcpy(data, f->seen.data + from, len);
    put_both(t, to, data, len);
    if (lost) {
        memset(data, 0, len);
        put_both(f, from, data, len);
    }
    free(data);
    return 0;
}

int sim_disk_bad_range(struct sim_disk *d, const char *path, uint64_t offset, uint64_t len)
{
    struct inode *f;
    int rc = rot_range(d, path, offset, len, &f);
    if (rc != 0) {
        return rc;
    }
    f->bad_offset = offset;
    f->bad_len = len;
    return 0;
}

void sim_disk_lose_write(struct sim_disk *d, uint32_t nth)
{
    d->lose_write_nth = nth;
}

int sim_disk_last_write(const struct sim_disk *d, char *ret_path, size_t n, uint64_t *ret_offset,
                        uint64_t *ret_len)
{
    for (int i = 0; i < d->dirs_count && d->last_len > 0; i++) {
        const struct dir *dir = &d->dirs[i];
        for (size_t k = 0; k < dir->seen.count; k++) {
            if (dir->seen.list[k].inode == d->last_inode) {
                snprintf(ret_path, n, "%s%s%s", dir->name, i > 0 ? "/" : "",
                         dir->seen.list[k].name);
                *ret_offset = d->last_offset;
                *ret_len = d->last_len;
                return 1;
            }
        }
    }
    return 0;
}

const struct sim_disk_counts *sim_disk_counts(const struct sim_disk *d)
{
    return &d->counts;
}

/* Deleted files that a crash may bring back take no room: a real disk would not delete them then. */
static int file_is_seen(const struct sim_disk *d, int inode)
{
    for (size_t i = 0; i < d->handles_count; i++) {
        if (d->handles[i].inode == inode) {
            return 1;
        }
    }
    for (int k = 0; k < d->dirs_count; k++) {
        for (size_t i = 0; i < d->dirs[k].seen.count; i++) {
            if (d->dirs[k].seen.list[i].inode == inode) {
                return 1;
            }
        }
    }
    return 0;
}

uint64_t sim_disk_used(const struct sim_disk *d)
{
    uint64_t used = 0;
    for (size_t i = 0; i < d->inodes_count; i++) {
        used += file_is_seen(d, (int)i) ? d->inodes[i].seen.len : 0;
    }
    return used;
}

const uint8_t *sim_disk_data(const struct sim_disk *d, const char *path, uint64_t *ret_bytes)
{
    const struct inode *f = sd_find_file(d, path);
    if (f == NULL) {
        return NULL;
    }
    *ret_bytes = f->seen.len;
    return f->seen.data != NULL ? f->seen.data : (const uint8_t *)"";
}
