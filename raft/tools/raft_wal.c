/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_wal.c: look at the log of a member that is not running, judge it, and cut it.
 *
 *   raft-wal dump DIR            every record of every segment
 *   raft-wal verify DIR          exit 0: sound; 1: damaged, with file, offset and reason
 *   raft-wal repair DIR [--yes]  cut the log before the first damage; without --yes: say what would go
 *
 * DIR is the data directory: wal/ and snap/ are in it. Exit 2 is for what is no judgement: wrong use, a
 * directory that cannot be read or that a running process holds.
 *
 * The judgement is that of raft_wal_open, so it is the one that a member's start comes to; dump and
 * verify reach it through a file system that only looks (look.h).
 *
 * Repair gives up acknowledged data, and perhaps a vote, which the group may have counted on: while
 * this member was the one that made a majority, an entry can be lost for good, or a term get two
 * leaders. It is the operator's last resort, for when the others are not enough without this one.
 *
 * Thread: one. Invariants:
 *   1. dump and verify change nothing.
 *   2. repair changes nothing before a copy of wal/ is complete and on disk.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <coord/raft_storage.h>
#include "raft/tools/look.h"
#include "raft/tools/segments.h"

#define SNAPSHOTS_MAX 64
#define COPY_BYTES    (1u << 20)
#define BACKUPS_MAX   1000

enum { SOUND = 0, DAMAGED = 1, NO_ANSWER = 2 };

struct tool {
    const char *dir;
    struct raft_fs fs;
    struct seg_list segments;
    uint64_t cluster_id; /* of the newest segment, */
    raft_id node_id;     /* as is this */
    uint64_t segment_bytes;
};

static int complain(const struct tool *t, const char *what, int error)
{
    (void)fprintf(stderr, "raft-wal: %s: %s: %s\n", t->dir, what, raft_store_strerror(error));
    return NO_ANSWER;
}

static int tool_open(struct tool *t, const char *dir)
{
    struct stat st;
    char wal[4096];
    *t = (struct tool){.dir = dir};
    if (snprintf(wal, sizeof(wal), "%s/wal", dir) >= (int)sizeof(wal) || stat(wal, &st) < 0) {
        return complain(t, "no directory wal/ in it", -errno);
    }
    int rc = raft_fs_posix_open(dir, &t->fs);
    if (rc < 0) {
        return complain(t, "open", rc);
    }
    rc = t->fs.lock(t->fs.ctx, "LOCK");
    if (rc == -EWOULDBLOCK || rc == RAFT_STORE_ELOCKED) {
        return complain(t, "stop the member first", RAFT_STORE_ELOCKED);
    }
    rc = seg_list_read(&t->fs, &t->segments);
    if (rc < 0) {
        return complain(t, "wal", rc);
    }
    const struct seg_file *newest = seg_newest(&t->segments);
    if (newest != NULL) {
        t->cluster_id = newest->header.cluster_id;
        t->node_id = newest->header.node_id;
        t->segment_bytes = newest->header.bytes;
    }
    return SOUND;
}

static void tool_close(struct tool *t)
{
    seg_list_finish(&t->segments);
    raft_fs_posix_close(&t->fs);
}

static void options_of(const struct tool *t, const struct raft_fs *fs, struct raft_wal_options *o)
{
    raft_wal_options_init(o);
    o->fs = fs;
    o->cluster_id = t->cluster_id;
    o->node_id = t->node_id;
    if (t->segment_bytes >= SEGMENT_BYTES_MIN && t->segment_bytes <= SEGMENT_BYTES_MAX / 2) {
        o->segment_bytes = t->segment_bytes;
    }
    if (getrandom(&o->salt_seed, sizeof(o->salt_seed), 0) != sizeof(o->salt_seed)) {
        o->salt_seed = (uint64_t)(uintptr_t)t ^ o->cluster_id;
    }
}

/* --- verify ------------------------------------------------------------------------------------ */

/* What the log is worth. why (n bytes): file, offset and reason when it is not sound.
 * lost: the entries that were there and are not intact; first 0 when none are known of. */
struct judgement {
    int verdict;
    char why[512];
    struct raft_wal_state state; /* without its arrays; when it could be opened */
    raft_index lost_first;
    raft_index lost_last;
};

static void judge(const struct tool *t, struct judgement *j)
{
    struct look look;
    struct raft_fs fs;
    struct raft_wal_options o;
    struct raft_wal *wal = NULL;
    *j = (struct judgement){.verdict = SOUND};
    look_fs(&look, &t->fs, &fs);
    options_of(t, &fs, &o);
    int rc = raft_wal_open(&o, &wal, j->why, sizeof(j->why));
    if (rc < 0) {
        j->verdict = rc == RAFT_STORE_ECORRUPT || rc == RAFT_STORE_EFOREIGN ? DAMAGED : NO_ANSWER;
        return;
    }
    j->state = *raft_wal_state(wal);
    if (j->state.health == RAFT_WAL_REPAIR) {
        raft_index end = j->state.first + j->state.count;
        j->verdict = DAMAGED;
        j->lost_first = j->state.repair_index >= end ? end : 0;
        j->lost_last = j->state.repair_index;
    }
    (void)snprintf(j->why, sizeof(j->why), "%s", j->state.detail);
    raft_wal_close(wal);
}

/* Print each snapshot that does not verify. Return: SOUND or DAMAGED. */
static int verify_snapshots(const struct tool *t)
{
    static struct raft_snap_meta metas[SNAPSHOTS_MAX];
    struct look look;
    struct raft_fs fs;
    int verdict = SOUND;
    look_fs(&look, &t->fs, &fs);
    int count = raft_snap_list(&fs, t->cluster_id, metas, SNAPSHOTS_MAX);
    for (int i = 0; i < count; i++) {
        struct raft_snap_reader *file = NULL;
        int rc = raft_snap_open(&fs, t->cluster_id, metas[i].term, metas[i].index, &file);
        if (rc < 0) {
            printf("DAMAGED  snap/%016" PRIx64 "-%016" PRIx64 ".snap: %s\n", metas[i].term,
                   metas[i].index, raft_store_strerror(rc));
            verdict = DAMAGED;
            continue;
        }
        printf("snapshot at %" PRIu64 " term %" PRIu64 ", %" PRIu64 " bytes: sound\n",
               metas[i].index, metas[i].term, metas[i].bytes);
        raft_snap_close(file);
    }
    return verdict;
}

static void print_judgement(const struct judgement *j)
{
    const struct raft_wal_state *s = &j->state;
    if (j->verdict == NO_ANSWER) {
        (void)fprintf(stderr, "raft-wal: %s\n", j->why);
        return;
    }
    if (s->health != 0) {
        printf("term %" PRIu64 " vote %" PRIu32 " commit %" PRIu64 " snapshot %" PRIu64
               " entries %" PRIu64 " to %" PRIu64 "\n",
               s->term, s->vote, s->commit, s->snapshot_index, s->first, s->first + s->count - 1);
    }
    if (j->verdict == DAMAGED) {
        printf("DAMAGED  %s\n", j->why);
    } else if (s->health == RAFT_WAL_TORN) {
        printf("sound    %s\n", j->why);
    } else {
        printf("sound\n");
    }
}

static int verify(const struct tool *t)
{
    struct judgement j;
    judge(t, &j);
    print_judgement(&j);
    int snapshots = verify_snapshots(t);
    return j.verdict != SOUND ? j.verdict : snapshots;
}

static int dump(const struct tool *t)
{
    const struct seg_list *l = &t->segments;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct seg_file *next = NULL;
        for (uint32_t k = i + 1; k < l->count && next == NULL; k++) {
            next = seg_begun(&l->files[k]) ? &l->files[k] : NULL;
        }
        int rc = seg_dump(&t->fs, &l->files[i], next);
        if (rc < 0) {
            return complain(t, "dump", rc);
        }
    }
    return SOUND;
}

/* --- repair ------------------------------------------------------------------------------------ */

static int copy_file(const struct raft_fs *fs, const char *from, const char *to)
{
    static uint8_t buf[COPY_BYTES];
    uint64_t offset = 0;
    int64_t n = 0;
    int in;
    int out;
    int rc = fs->open(fs->ctx, from, RAFT_FS_READ, &in);
    if (rc < 0) {
        return rc;
    }
    rc = fs->open(fs->ctx, to, RAFT_FS_WRITE | RAFT_FS_CREATE | RAFT_FS_EXCLUSIVE, &out);
    if (rc < 0) {
        (void)fs->close(fs->ctx, in); /* was only read */
        return rc;
    }
    while (rc == 0 && (n = fs->pread(fs->ctx, in, buf, sizeof(buf), offset)) > 0) {
        struct iovec iov = {buf, (size_t)n};
        rc = fs->pwritev(fs->ctx, out, &iov, 1, offset);
        offset += (uint64_t)n;
    }
    rc = rc == 0 && n < 0 ? (int)n : rc;
    rc = rc == 0 ? fs->fdatasync(fs->ctx, out) : rc;
    int closed = fs->close(fs->ctx, out);
    (void)fs->close(fs->ctx, in); /* was only read */
    return rc == 0 ? closed : rc;
}

static int count_name(void *arg, const char *name)
{
    int *count = arg;
    (void)name;
    *count += 1;
    return 0;
}

/* Copy wal/ to the first free wal.backup-N. name (n bytes): where. */
static int backup(const struct tool *t, char *name, size_t n)
{
    const struct raft_fs *fs = &t->fs;
    int taken = 1;
    for (int i = 1; taken > 0; i++) {
        if (i > BACKUPS_MAX) {
            return -EEXIST;
        }
        taken = 0;
        (void)snprintf(name, n, "wal.backup-%d", i);
        int rc = fs->list(fs->ctx, name, count_name, &taken);
        if (rc < 0 && rc != -ENOENT) {
            return rc;
        }
    }
    int rc = fs->mkdir(fs->ctx, name);
    for (uint32_t i = 0; i < t->segments.count && rc == 0; i++) {
        char from[SEGMENT_PATH_BYTES];
        char to[128];
        raft__segment_path(from, t->segments.files[i].seq);
        (void)snprintf(to, sizeof(to), "%s/%s", name, from + strlen("wal/"));
        rc = copy_file(fs, from, to);
    }
    rc = rc == 0 ? fs->sync_dir(fs->ctx, name) : rc;
    return rc == 0 ? fs->sync_dir(fs->ctx, ".") : rc;
}

static int make_length(const struct tool *t, uint64_t seq, uint64_t bytes)
{
    const struct raft_fs *fs = &t->fs;
    char path[SEGMENT_PATH_BYTES];
    int fd;
    raft__segment_path(path, seq);
    int rc = fs->open(fs->ctx, path, RAFT_FS_READ | RAFT_FS_WRITE | RAFT_FS_CREATE, &fd);
    if (rc < 0) {
        return rc;
    }
    rc = fs->allocate(fs->ctx, fd, bytes);
    rc = rc == 0 ? fs->fdatasync(fs->ctx, fd) : rc;
    int closed = fs->close(fs->ctx, fd);
    rc = rc == 0 ? closed : rc;
    return rc == 0 ? fs->sync_dir(fs->ctx, "wal") : rc;
}

/* Files that are cut short or gone get their length, filled with zeros: after that what they lack is
 * damage inside of files, which the log can express and cut. */
static int complete_files(struct tool *t)
{
    for (uint32_t i = 0; i < t->segments.count; i++) {
        const struct seg_file *f = &t->segments.files[i];
        if (seg_begun(f) && f->bytes < f->header.bytes && f->header.bytes <= SEGMENT_BYTES_MAX) {
            int rc = make_length(t, f->seq, f->header.bytes);
            if (rc < 0) {
                return rc;
            }
            printf("wal/%016" PRIx64 ".seg: its missing end is filled with zeros\n", f->seq);
        }
    }
    const struct seg_file *newest = seg_newest(&t->segments);
    uint64_t bytes = 0;
    uint64_t seq = newest == NULL ? 0 : seg_successor(&t->fs, newest, &bytes);
    if (seq == 0 || bytes > SEGMENT_BYTES_MAX) {
        return 0;
    }
    for (uint32_t i = 0; i < t->segments.count; i++) {
        if (t->segments.files[i].seq == seq && t->segments.files[i].bytes >= bytes) {
            return 0;
        }
    }
    printf("wal/%016" PRIx64 ".seg: gone, with all it held; replaced by an empty one\n", seq);
    return make_length(t, seq, bytes);
}

/* The owner accepts the loss: from now on the log ends before the damage. */
static int cut(struct tool *t, char *why, size_t n)
{
    struct raft_wal_options o;
    struct raft_wal *wal = NULL;
    int rc = complete_files(t);
    if (rc < 0) {
        return rc;
    }
    options_of(t, &t->fs, &o);
    rc = raft_wal_open(&o, &wal, why, n);
    if (rc == 0) {
        rc = raft_wal_repaired(wal);
        raft_wal_close(wal);
    }
    return rc;
}

static void print_loss(const struct judgement *j)
{
    if (j->lost_first != 0) {
        printf("lost: entries %" PRIu64 " to %" PRIu64
               ", acknowledged by this member; and possibly later ones, votes and terms\n",
               j->lost_first, j->lost_last);
    } else {
        printf("lost: entries, votes and terms that this member acknowledged; which ones cannot be "
               "told\n");
    }
}

static int repair(struct tool *t, int yes)
{
    struct judgement j;
    char name[64];
    judge(t, &j);
    print_judgement(&j);
    if (j.verdict != DAMAGED) {
        if (j.verdict == SOUND) {
            printf("nothing to repair\n");
        }
        return j.verdict;
    }
    print_loss(&j);
    if (!yes) {
        printf(
            "Nothing was changed. If the other members are sound, let them bring a new member up "
            "instead. To cut this log: raft-wal repair %s --yes\n",
            t->dir);
        return DAMAGED;
    }
    int rc = backup(t, name, sizeof(name));
    if (rc < 0) {
        return complain(t, "cannot copy wal/, nothing was changed", rc);
    }
    printf("wal/ is copied to %s/%s\n", t->dir, name);
    rc = cut(t, j.why, sizeof(j.why));
    if (rc < 0) {
        (void)fprintf(stderr, "raft-wal: cannot be cut: %s: %s\n", raft_store_strerror(rc), j.why);
        return DAMAGED;
    }
    judge(t, &j);
    print_judgement(&j);
    return j.verdict;
}

int main(int argc, char **argv)
{
    struct tool t;
    const char *verb = argc > 1 ? argv[1] : "";
    int yes = argc == 4 && strcmp(verb, "repair") == 0 && strcmp(argv[3], "--yes") == 0;
    int known =
        strcmp(verb, "dump") == 0 || strcmp(verb, "verify") == 0 || strcmp(verb, "repair") == 0;
    if (!known || (argc != 3 && !yes)) {
        (void)fprintf(stderr, "usage: raft-wal dump DIR | verify DIR | repair DIR [--yes]\n");
        return NO_ANSWER;
    }
    int rc = tool_open(&t, argv[2]);
    if (rc == SOUND) {
        rc = verb[0] == 'd' ? dump(&t) : verb[0] == 'v' ? verify(&t) : repair(&t, yes);
    }
    tool_close(&t);
    return rc;
}
