/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_model.c: files, names and pending changes of the simulated disk; see disk_model.h.
 *
 * Leaves to disk.c the operations of struct raft_fs and to disk_fault.c crashes and rot.
 * Thread: one at a time.
 */
#include "tests/sim/disk_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------- */
/* Memory, random numbers, byte strings                                                          */

void *sd_grow(void *p, size_t bytes)
{
    void *q = realloc(p, bytes == 0 ? 1 : bytes);
    if (q == NULL) {
        (void)fprintf(stderr, "sim disk: out of memory\n");
        abort();
    }
    return q;
}

/* Splitmix64: the next number of the stream *state. */
uint64_t sd_draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void sd_bytes_resize(struct bytes *b, uint64_t len)
{
    if (len > b->room) {
        uint64_t room = b->room * 2 > len ? b->room * 2 : len;
        b->data = sd_grow(b->data, room);
        b->room = room;
    }
    if (len > b->len) {
        memset(b->data + b->len, 0, len - b->len);
    }
    b->len = len;
}

void sd_bytes_put(struct bytes *b, uint64_t offset, const uint8_t *data, uint64_t len)
{
    if (len == 0) {
        return;
    }
    if (offset + len > b->len) {
        sd_bytes_resize(b, offset + len);
    }
    memcpy(b->data + offset, data, len);
}

void sd_bytes_copy(struct bytes *to, const struct bytes *from)
{
    sd_bytes_resize(to, 0);
    sd_bytes_put(to, 0, from->data, from->len);
}

void sd_bytes_free(struct bytes *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}

/* ------------------------------------------------------------------------------------------- */
/* Files                                                                                         */

void sd_inode_forget_pending(struct inode *f)
{
    for (size_t i = 0; i < f->pending_count; i++) {
        sd_bytes_free(&f->pending[i].data);
    }
    f->pending_count = 0;
}

void sd_inode_free(struct inode *f)
{
    sd_inode_forget_pending(f);
    free(f->pending);
    sd_bytes_free(&f->seen);
    sd_bytes_free(&f->kept);
    memset(f, 0, sizeof *f);
}

struct change *sd_inode_add_change(struct inode *f, enum change_kind kind, uint64_t offset)
{
    if (f->pending_count == f->pending_room) {
        f->pending_room = f->pending_room * 2 + 8;
        f->pending = sd_grow(f->pending, f->pending_room * sizeof *f->pending);
    }
    struct change *c = &f->pending[f->pending_count++];
    memset(c, 0, sizeof *c);
    c->kind = kind;
    c->offset = offset;
    return c;
}

void sd_change_apply(struct bytes *b, const struct change *c)
{
    switch (c->kind) {
    case CHANGE_WRITE:
        sd_bytes_put(b, c->offset, c->data.data, c->data.len);
        break;
    case CHANGE_EXTEND:
        if (c->offset > b->len) {
            sd_bytes_resize(b, c->offset);
        }
        break;
    case CHANGE_TRUNCATE:
        sd_bytes_resize(b, c->offset);
        break;
    }
}

/* Carry out a write by sectors: those for which keep says so, or the first ones. */
static void change_tear(struct bytes *b, const struct change *c, int prefix, uint64_t *rng)
{
    uint64_t sectors = (c->offset + c->data.len - 1) / SECTOR_BYTES - c->offset / SECTOR_BYTES + 1;
    uint64_t limit = sd_draw(rng) % (sectors + 1);
    for (uint64_t i = 0; i < sectors; i++) {
        uint64_t begin = (c->offset / SECTOR_BYTES + i) * SECTOR_BYTES;
        uint64_t end = begin + SECTOR_BYTES;
        begin = begin < c->offset ? c->offset : begin;
        end = end > c->offset + c->data.len ? c->offset + c->data.len : end;
        if (prefix ? i < limit : sd_draw(rng) % 2 == 0) {
            sd_bytes_put(b, begin, c->data.data + (begin - c->offset), end - begin);
        }
    }
}

static void change_spoil(struct bytes *b, const struct change *c, int zeros, uint64_t *rng)
{
    if (c->offset + c->data.len > b->len) {
        sd_bytes_resize(b, c->offset + c->data.len);
    }
    for (uint64_t i = 0; i < c->data.len; i++) {
        b->data[c->offset + i] = zeros ? 0 : (uint8_t)sd_draw(rng);
    }
}

/* What became of one pending change in a power cut. */
static void change_settle(struct bytes *b, const struct change *c, uint64_t *rng)
{
    uint64_t chance = sd_draw(rng) % 100;
    if (c->kind != CHANGE_WRITE || c->data.len == 0) {
        if (chance < 50) {
            sd_change_apply(b, c);
        }
    } else if (chance < 25) {
        sd_change_apply(b, c);
    } else if (chance < 50) {
        return;
    } else if (chance < 68) {
        change_tear(b, c, 1, rng);
    } else if (chance < 86) {
        change_tear(b, c, 0, rng);
    } else {
        change_spoil(b, c, chance < 93, rng);
    }
}

void sd_inode_settle(struct inode *f, enum sim_disk_crash_kind kind, uint64_t *rng)
{
    for (size_t i = 0; i < f->pending_count; i++) {
        const struct change *c = &f->pending[i];
        int last = i + 1 == f->pending_count && c->kind == CHANGE_WRITE && c->data.len > 0;
        if (kind == SIM_DISK_CRASH_RANDOM) {
            change_settle(&f->kept, c, rng);
        } else if (kind == SIM_DISK_CRASH_TORN && last) {
            change_tear(&f->kept, c, 1, rng);
        } else if (kind == SIM_DISK_CRASH_KEEP || kind == SIM_DISK_CRASH_TORN) {
            sd_change_apply(&f->kept, c);
        }
    }
    sd_inode_forget_pending(f);
    sd_bytes_copy(&f->seen, &f->kept);
}

int sd_inode_new(struct sim_disk *d)
{
    for (size_t i = 0; i < d->inodes_count; i++) {
        if (!d->inodes[i].used) {
            d->inodes[i].used = 1;
            return (int)i;
        }
    }
    d->inodes = sd_grow(d->inodes, (d->inodes_count + 1) * sizeof *d->inodes);
    memset(&d->inodes[d->inodes_count], 0, sizeof *d->inodes);
    d->inodes[d->inodes_count].used = 1;
    return (int)d->inodes_count++;
}

/* ------------------------------------------------------------------------------------------- */
/* Names                                                                                         */

struct entry *sd_names_find(const struct names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++) {
        if (strcmp(n->list[i].name, name) == 0) {
            return &n->list[i];
        }
    }
    return NULL;
}

void sd_name_set(char *to, const char *name)
{
    (void)snprintf(to, NAME_BYTES, "%s", name); /* parse_path has checked the length */
}

void sd_names_put(struct names *n, const char *name, int inode)
{
    struct entry *e = sd_names_find(n, name);
    if (e == NULL) {
        if (n->count == n->room) {
            n->room = n->room * 2 + 8;
            n->list = sd_grow(n->list, n->room * sizeof *n->list);
        }
        e = &n->list[n->count++];
        sd_name_set(e->name, name);
    }
    e->inode = inode;
}

void sd_names_remove(struct names *n, const char *name)
{
    struct entry *e = sd_names_find(n, name);
    if (e != NULL) {
        size_t at = (size_t)(e - n->list);
        memmove(e, e + 1, (n->count - at - 1) * sizeof *e);
        n->count--;
    }
}

void sd_names_copy(struct names *to, const struct names *from)
{
    to->list = sd_grow(to->list, from->count * sizeof *to->list);
    to->room = from->count;
    to->count = from->count;
    if (from->count > 0) {
        memcpy(to->list, from->list, from->count * sizeof *to->list);
    }
}

void sd_dir_op_apply(struct sim_disk *d, struct dir *dir, const struct dir_op *op)
{
    struct entry *e;
    switch (op->kind) {
    case DIR_CREATE:
        sd_names_put(&dir->kept, op->name, op->inode);
        break;
    case DIR_UNLINK:
        sd_names_remove(&dir->kept, op->name);
        break;
    case DIR_RENAME:
        e = sd_names_find(&dir->kept, op->name);
        if (e != NULL) {
            int inode = e->inode;
            sd_names_remove(&dir->kept, op->name);
            sd_names_put(&dir->kept, op->to, inode);
        }
        break;
    case DIR_MKDIR:
        d->dirs[op->inode].kept_there = 1;
        break;
    }
}

void sd_dir_add_op(struct dir *dir, enum dir_op_kind kind, const char *name, const char *to,
                   int inode)
{
    if (dir->pending_count == dir->pending_room) {
        dir->pending_room = dir->pending_room * 2 + 8;
        dir->pending = sd_grow(dir->pending, dir->pending_room * sizeof *dir->pending);
    }
    struct dir_op *op = &dir->pending[dir->pending_count++];
    memset(op, 0, sizeof *op);
    op->kind = kind;
    sd_name_set(op->name, name);
    sd_name_set(op->to, to);
    op->inode = inode;
}

/* Free the files that nothing refers to any more. */
void sd_collect(struct sim_disk *d)
{
    for (size_t i = 0; i < d->inodes_count; i++) {
        d->inodes[i].used = d->inodes[i].used ? 2 : 0;
    }
    for (int k = 0; k < d->dirs_count; k++) {
        const struct dir *dir = &d->dirs[k];
        for (size_t i = 0; i < dir->seen.count; i++) {
            d->inodes[dir->seen.list[i].inode].used = 1;
        }
        for (size_t i = 0; i < dir->kept.count; i++) {
            d->inodes[dir->kept.list[i].inode].used = 1;
        }
        for (size_t i = 0; i < dir->pending_count; i++) {
            if (dir->pending[i].kind == DIR_CREATE) {
                d->inodes[dir->pending[i].inode].used = 1;
            }
        }
    }
    for (size_t i = 0; i < d->handles_count; i++) {
        d->inodes[d->handles[i].inode].used = 1;
    }
    for (size_t i = 0; i < d->inodes_count; i++) {
        if (d->inodes[i].used == 2) {
            sd_inode_free(&d->inodes[i]);
        }
    }
}

/* Split path into a directory of d and a name in it. "." is the root itself, with an empty name. */
int sd_parse_path(struct sim_disk *d, const char *path, struct dir **ret_dir, const char **ret_name)
{
    if (strcmp(path, ".") == 0) {
        *ret_dir = &d->dirs[0];
        *ret_name = "";
        return 0;
    }
    const char *slash = strchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (name[0] == '\0' || strchr(name, '/') != NULL || strlen(name) >= NAME_BYTES ||
        strcmp(name, "..") == 0) {
        return -EINVAL;
    }
    *ret_name = name;
    if (slash == NULL) {
        *ret_dir = &d->dirs[0];
        return 0;
    }
    for (int i = 1; i < d->dirs_count; i++) {
        struct dir *dir = &d->dirs[i];
        size_t len = (size_t)(slash - path);
        if (dir->seen_there && strlen(dir->name) == len && memcmp(dir->name, path, len) == 0) {
            *ret_dir = dir;
            return 0;
        }
    }
    return -ENOENT;
}

struct dir *sd_find_dir(struct sim_disk *d, const char *path)
{
    if (strcmp(path, ".") == 0) {
        return &d->dirs[0];
    }
    for (int i = 1; i < d->dirs_count; i++) {
        if (d->dirs[i].seen_there && strcmp(d->dirs[i].name, path) == 0) {
            return &d->dirs[i];
        }
    }
    return NULL;
}

struct inode *sd_find_file(const struct sim_disk *d, const char *path)
{
    struct dir *dir;
    const char *name;
    if (sd_parse_path((struct sim_disk *)(uintptr_t)d, path, &dir, &name) != 0) {
        return NULL;
    }
    const struct entry *e = sd_names_find(&dir->seen, name);
    return e == NULL ? NULL : &d->inodes[e->inode];
}
