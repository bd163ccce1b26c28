/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_dir.c: the directory of snapshot files: what is there, and what can go.
 *
 * Newest means the highest index, then the highest term. A damaged file counts for nothing: it is not
 * among those that are kept, and as long as no file is verified nothing is deleted. Temporary files go
 * once a verified snapshot has overtaken them: until then one may be being written or received.
 *
 * Thread: any; not while another thread prunes.
 */
#include "raft/storage/snapshot_format.h"
#include "raft/storage/must.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct name {
    enum snap_kind kind;
    raft_term term;
    raft_index index;
};

struct names {
    struct name *list;
    size_t count;
    size_t room;
};

static int note_name(void *arg, const char *text)
{
    struct names *names = arg;
    struct name n;
    int kind = raft__snap_parse(text, &n.term, &n.index);
    if (kind == 0) {
        return 0;
    }
    n.kind = (enum snap_kind)kind;
    if (names->count == names->room) {
        size_t room = names->room * 2 + 16;
        struct name *list = realloc(names->list, room * sizeof *list);
        if (list == NULL) {
            return -ENOMEM;
        }
        names->list = list;
        names->room = room;
    }
    names->list[names->count++] = n;
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct name *x = a;
    const struct name *y = b;
    if (x->index != y->index) {
        return x->index > y->index ? -1 : 1;
    }
    return x->term > y->term ? -1 : x->term < y->term;
}

/* All names of ours, newest first. Ownership: the caller frees names->list in any case. */
static int list_names(const struct raft_fs *fs, struct names *names)
{
    int rc = fs->list(fs->ctx, "snap", note_name, names);
    if (rc != 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    if (names->count > 0) {
        qsort(names->list, names->count, sizeof *names->list, newest_first);
    }
    return 0;
}

/* Look at the file of a name. Errors: as raft__snap_verify. */
static int look(const struct raft_fs *fs, uint64_t cluster_id, const struct name *n, int whole,
                struct raft_snap_meta *ret_meta)
{
    char path[SNAP_PATH_BYTES];
    struct snap_trailer trailer;
    int fd;
    raft__snap_path(path, n->kind, n->term, n->index);
    int rc = fs->open(fs->ctx, path, RAFT_FS_READ, &fd);
    if (rc != 0) {
        return rc;
    }
    rc = whole ? raft__snap_verify(fs, fd, cluster_id, n->term, n->index, ret_meta, &trailer)
               : raft__snap_peek(fs, fd, cluster_id, n->term, n->index, ret_meta, &trailer);
    (void)fs->close(fs->ctx, fd); /* was only read */
    return rc;
}

int raft_snap_list(const struct raft_fs *fs, uint64_t cluster_id, struct raft_snap_meta *metas,
                   int max)
{
    struct names names = {0};
    int found = 0;
    int rc = list_names(fs, &names);
    /* A process killed between the rename of a file and the sync of its directory leaves a name that a
     * power cut can still take away. Whoever lists goes on to rely on it: make it last first. */
    if (rc == 0 && names.count > 0) {
        rc = fs->sync_dir(fs->ctx, "snap");
    }
    for (size_t i = 0; rc == 0 && i < names.count && found < max; i++) {
        if (names.list[i].kind != SNAP_KIND_FILE) {
            continue;
        }
        int seen = look(fs, cluster_id, &names.list[i], 0, &metas[found]);
        if (seen == 0) {
            found++;
        } else if (seen == -ENOMEM) {
            rc = seen;
        }
    }
    free(names.list);
    return rc == 0 ? found : rc;
}

static int delete_name(const struct raft_fs *fs, const struct name *n)
{
    char path[SNAP_PATH_BYTES];
    raft__snap_path(path, n->kind, n->term, n->index);
    int rc = fs->unlink(fs->ctx, path);
    return rc == -ENOENT ? 0 : rc;
}

static int same_file(const struct raft_snap_meta *a, const struct raft_snap_meta *b)
{
    return a->index == b->index && a->term == b->term && a->bytes == b->bytes &&
           a->digest[0] == b->digest[0] && a->digest[1] == b->digest[1];
}

/* Is the file of a name a whole snapshot? Of the known one its two ends are looked at.
 * Errors: as raft__snap_verify. */
static int verify(const struct raft_fs *fs, uint64_t cluster_id, const struct name *n,
                  const struct raft_snap_meta *known)
{
    struct raft_snap_meta meta;
    if (known != NULL && known->index == n->index && known->term == n->term &&
        look(fs, cluster_id, n, 0, &meta) == 0 && same_file(known, &meta)) {
        return 0;
    }
    return look(fs, cluster_id, n, 1, &meta);
}

/* Which of the names can go: *ret_go has one flag for each. newest first.
 * Return: how many verified ones stay, or negative errno. */
static int choose(const struct raft_fs *fs, uint64_t cluster_id, const struct names *names,
                  int keep, const struct raft_snap_meta *known, uint8_t *go)
{
    int kept = 0;
    const struct name *newest = NULL;
    for (size_t i = 0; i < names->count; i++) {
        const struct name *n = &names->list[i];
        if (n->kind != SNAP_KIND_FILE) {
            continue;
        }
        if (kept == keep) {
            go[i] = 1; /* however it is */
            continue;
        }
        int rc = verify(fs, cluster_id, n, known);
        if (rc == 0) {
            newest = newest == NULL ? n : newest;
            kept++;
        } else if (rc == RAFT_STORE_ECORRUPT) {
            go[i] = 1;
        } else if (rc == -ENOMEM) {
            return rc;
        }
        /* Any other: cannot be read now, foreign or newer: not ours to delete. */
    }
    for (size_t i = 0; i < names->count && newest != NULL; i++) {
        const struct name *n = &names->list[i];
        if (n->kind != SNAP_KIND_FILE && n->index <= newest->index) {
            go[i] = 1;
        }
    }
    return kept;
}

int raft_snap_prune(const struct raft_fs *fs, uint64_t cluster_id, int keep,
                    const struct raft_snap_meta *known)
{
    struct names names = {0};
    uint8_t *go = NULL;
    int changed = 0;
    if (keep < 1) {
        return -EINVAL;
    }
    int rc = list_names(fs, &names);
    if (rc == 0 && names.count > 0) {
        go = calloc(names.count, 1);
        rc = go == NULL ? -ENOMEM : choose(fs, cluster_id, &names, keep, known, go);
    }
    if (rc > 0) { /* at least one verified snapshot stays */
        rc = 0;
        for (size_t i = names.count; i > 0 && rc == 0; i--) { /* oldest first */
            if (go[i - 1]) {
                rc = delete_name(fs, &names.list[i - 1]);
                changed = 1;
            }
        }
    }
    if (rc == 0 && changed) {
        rc = fs->sync_dir(fs->ctx, "snap");
    }
    free(names.list);
    free(go);
    return rc;
}
