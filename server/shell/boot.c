/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c: see boot.h. Which snapshot is taken: the newest that verifies and that the log continues
 * without a gap. A file newer than the log's last mark counts too, if the log holds the entry it stands
 * at: it was taken here, and only its mark is missing. One that was being received is not continued by
 * the log and is passed over. Main's thread.
 */
#include "server/shell/boot.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "server/shell/clock.h"
#include "server/shell/log.h"
#include "server/shell/snap_thread.h"

/* --- the directory ----------------------------------------------------------------------------- */

/* What the data directory must be: a directory of ours that nobody else can read. */
static int directory_check(const char *dir, char err[BOOT_ERROR_BYTES])
{
    struct stat st;
    if (lstat(dir, &st) < 0) {
        if (errno == ENOENT) {
            return 0; /* it is made next */
        }
        (void)snprintf(err, BOOT_ERROR_BYTES, "data_dir %.300s: %s", dir, strerror(errno));
        return -1;
    }
    if (!S_ISDIR(st.st_mode)) {
        (void)snprintf(err, BOOT_ERROR_BYTES, "data_dir %.300s: not a directory", dir);
        return -1;
    }
    if (st.st_uid != geteuid()) {
        (void)snprintf(err, BOOT_ERROR_BYTES, "data_dir %.300s: belongs to user %u, not to user %u",
                       dir, (unsigned)st.st_uid, (unsigned)geteuid());
        return -1;
    }
    if ((st.st_mode & 077) != 0) {
        if (chmod(dir, 0700) < 0) {
            (void)snprintf(err, BOOT_ERROR_BYTES, "data_dir %.300s: open to others (mode %03o): %s",
                           dir, (unsigned)(st.st_mode & 0777), strerror(errno));
            return -1;
        }
        log_write(CONF_LOG_WARN, "data_dir %.300s was open to others (mode %03o): set to 700", dir,
                  (unsigned)(st.st_mode & 0777));
    }
    return 0;
}

static int directory_open(const struct conf *c, struct boot *b, char err[BOOT_ERROR_BYTES])
{
    if (directory_check(c->data_dir, err) < 0) {
        return -1;
    }
    int rc = raft_fs_posix_open(c->data_dir, &b->fs);
    if (rc < 0) {
        (void)snprintf(err, BOOT_ERROR_BYTES, "data_dir %.300s: %s", c->data_dir,
                       raft_store_strerror(rc));
        return -1;
    }
    b->fs_open = true;
    rc = b->fs.lock(b->fs.ctx, "LOCK");
    if (rc < 0) {
        bool held = rc == -EWOULDBLOCK || rc == RAFT_STORE_ELOCKED;
        (void)snprintf(err, BOOT_ERROR_BYTES, "data_dir %.300s: %s", c->data_dir,
                       raft_store_strerror(held ? RAFT_STORE_ELOCKED : rc));
        return -1;
    }
    return 0;
}

/* --- the log ----------------------------------------------------------------------------------- */

static int snapshot_visit(void *arg, const char *name)
{
    static const char suffix[] = ".snap";
    size_t len = strlen(name);
    bool *found = arg;
    *found = len >= sizeof(suffix) && strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0;
    return *found;
}

/* Return: are there snapshots, whole or not? Then there was a log. */
static bool snapshots_exist(const struct boot *b)
{
    bool found = false;
    (void)b->fs.list(b->fs.ctx, "snap", snapshot_visit, &found); /* no directory: there are none */
    return found;
}

/* Acknowledged data is damaged. Other members can replace it; without others nobody can. */
static int damage_judge(const struct conf *c, const struct raft_wal_state *w,
                        char err[BOOT_ERROR_BYTES])
{
    if (c->members_count == 1) {
        raft_index end = w->first + w->count;
        (void)snprintf(err, BOOT_ERROR_BYTES,
                       "data_dir %.300s: acknowledged entries are damaged and there is no other "
                       "member to replace them, refusing to start: %s; `raft-wal repair` would cut "
                       "the log there and lose entries %" PRIu64 " to %" PRIu64
                       " and whatever else was behind",
                       c->data_dir, w->detail, end, w->repair_index < end ? end : w->repair_index);
        return -1;
    }
    log_write(CONF_LOG_ERROR,
              "log: acknowledged entries are damaged; this member does not vote until the others "
              "have replaced them: %s",
              w->detail);
    return 0;
}

static int wal_open(const struct conf *c, struct boot *b, char err[BOOT_ERROR_BYTES])
{
    struct raft_wal_options o;
    char why[512] = "";
    raft_wal_options_init(&o);
    o.fs = &b->fs;
    o.cluster_id = b->cluster_id;
    o.node_id = c->id;
    o.ballast_bytes = BOOT_BALLAST_BYTES;
    clock_random(&o.salt_seed, sizeof(o.salt_seed));
    /* Without its votes and entries nothing may be believed; nor may an empty log be made now, which
     * the next start would take for this member's. */
    o.must_exist = snapshots_exist(b);
    int rc = raft_wal_open(&o, &b->wal, why, sizeof(why));
    if (rc == RAFT_STORE_ENOENT && o.must_exist) {
        (void)snprintf(
            err, BOOT_ERROR_BYTES,
            "data_dir %.300s: there are snapshots but no log: the log was lost, and with it "
            "this member's votes",
            c->data_dir);
        return -1;
    }
    if (rc < 0) {
        (void)snprintf(err, BOOT_ERROR_BYTES, "data_dir %.300s: %s%s%s", c->data_dir,
                       raft_store_strerror(rc), why[0] != '\0' ? ": " : "", why);
        return -1;
    }
    const struct raft_wal_state *w = raft_wal_state(b->wal);
    if (w->health == RAFT_WAL_REPAIR && damage_judge(c, w, err) < 0) {
        return -1;
    }
    b->node.damage = w->damage;
    b->node.damage_index = w->damage_index;
    b->node.damage_term = w->damage_term;
    if (w->health == RAFT_WAL_TORN) {
        log_write(CONF_LOG_WARN, "log: a tail that was never acknowledged was cut: %s", w->detail);
    }
    return 0;
}

/* --- the snapshot ------------------------------------------------------------------------------ */

/* Does the log go on where this snapshot ends? A file beyond the log's end is whole and of committed state
 * too: an install that was interrupted before the log was marked. The core marks it anew. */
static bool log_continues(const struct raft_wal_state *w, const struct raft_snap_meta *m)
{
    if (m->index == w->snapshot_index) {
        return m->term == w->snapshot_term && w->first <= m->index + 1;
    }
    raft_index last = w->first + w->count - 1;
    if (m->index > last) {
        return true;
    }
    if (w->first > m->index + 1) {
        return false;
    }
    return m->index < w->first || w->entries[m->index - w->first].term == m->term;
}

/* Take the newest snapshot that verifies and fits. Return: 0 (also when there is none), or -1. */
static int snapshot_pick(const struct conf *c, struct boot *b, char err[BOOT_ERROR_BYTES])
{
    static struct raft_snap_meta metas[BOOT_SNAPSHOTS_MAX]; /* large for a stack; boot runs once */
    const struct raft_wal_state *w = raft_wal_state(b->wal);
    int count = raft_snap_list(&b->fs, b->cluster_id, metas, BOOT_SNAPSHOTS_MAX);
    if (count < 0) {
        (void)snprintf(err, BOOT_ERROR_BYTES, "data_dir %.300s: snapshots: %s", c->data_dir,
                       raft_store_strerror(count));
        return -1;
    }
    b->snapshots_count = count;
    for (int i = 0; i < count; i++) {
        if (!log_continues(w, &metas[i])) {
            continue;
        }
        struct raft_snap_meta meta;
        int rc = snap_state_read(&b->fs, b->cluster_id, metas[i].term, metas[i].index, &meta,
                                 &b->node.state);
        if (rc < 0) {
            b->snapshots_bad++;
            log_write(CONF_LOG_ERROR, "snapshot at index %" PRIu64 " term %" PRIu64 ": %s",
                      metas[i].index, metas[i].term, raft_store_strerror(rc));
            continue;
        }
        b->node.snapshot = (struct raft_snapshot){.index = meta.index,
                                                  .term = meta.term,
                                                  .config_index = meta.config_index,
                                                  .config = meta.config,
                                                  .bytes = meta.bytes};
        memcpy(b->digest, meta.digest, sizeof(b->digest));
        return 0;
    }
    return 0;
}

/* Without a snapshot the log must begin at 1. */
static int history_check(const struct conf *c, const struct boot *b, char err[BOOT_ERROR_BYTES])
{
    const struct raft_wal_state *w = raft_wal_state(b->wal);
    if (b->node.snapshot.index == 0 && w->first > 1) {
        (void)snprintf(err, BOOT_ERROR_BYTES,
                       "data_dir %.300s: the log begins at index %" PRIu64
                       " after a snapshot at %" PRIu64
                       ", but none of %d snapshot files is whole and fits",
                       c->data_dir, w->first, w->snapshot_index, b->snapshots_count);
        return -1;
    }
    return 0;
}

/* --- the members ------------------------------------------------------------------------------- */

static void members_config(const struct conf *c, struct raft_config *ret_config)
{
    *ret_config = (struct raft_config){.count = c->members_count};
    for (uint32_t i = 0; i < c->members_count; i++) {
        ret_config->members[i] = (struct raft_member){.id = c->members[i].id, .roles = RAFT_VOTER};
    }
}

static void ids_format(const struct raft_config *g, char *out, size_t out_bytes)
{
    size_t n = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < g->count && n < out_bytes; i++) {
        int k =
            snprintf(out + n, out_bytes - n, "%s%u", i == 0 ? "" : ",", (unsigned)g->members[i].id);
        n += k > 0 ? (size_t)k : 0;
    }
}

/* The ensemble is fixed for now: the file must name the members that the data knows. */
static int members_check(const struct conf *c, const struct boot *b, char err[BOOT_ERROR_BYTES])
{
    struct raft_config wanted;
    const struct raft_config *stored = &b->node.snapshot.config;
    members_config(c, &wanted);
    bool same = wanted.count == stored->count;
    for (uint32_t i = 0; same && i < wanted.count; i++) {
        same = wanted.members[i].id == stored->members[i].id;
    }
    if (same) {
        return 0;
    }
    char a[128];
    char s[128];
    ids_format(&wanted, a, sizeof(a));
    ids_format(stored, s, sizeof(s));
    (void)snprintf(
        err, BOOT_ERROR_BYTES,
        "data_dir %.300s: its data belongs to the members %s, the configuration names %s; "
        "changing the members of an ensemble is not possible yet",
        c->data_dir, s, a);
    return -1;
}

/* --- the entries ------------------------------------------------------------------------------- */

static int payload_read(const struct conf *c, struct boot *b, raft_index index, uint32_t bytes,
                        struct coord_buf **ret_buf, char err[BOOT_ERROR_BYTES])
{
    struct coord_buf *buf = coord_buf_create(bytes);
    if (buf == NULL) {
        (void)snprintf(err, BOOT_ERROR_BYTES, "out of memory for the log's entry %" PRIu64, index);
        return -1;
    }
    int64_t n = raft_wal_read(b->wal, index, buf->data, bytes);
    if (n != (int64_t)bytes) {
        (void)snprintf(err, BOOT_ERROR_BYTES, "data_dir %.300s: log entry %" PRIu64 ": %s",
                       c->data_dir, index,
                       raft_store_strerror(n < 0 ? (int)n : RAFT_STORE_ECORRUPT));
        coord_buf_unref(buf);
        return -1;
    }
    buf->len = bytes;
    *ret_buf = buf;
    return 0;
}

/* Read what comes behind the snapshot. */
static int entries_read(const struct conf *c, struct boot *b, char err[BOOT_ERROR_BYTES])
{
    const struct raft_wal_state *w = raft_wal_state(b->wal);
    raft_index first = b->node.snapshot.index + 1;
    assert(w->first <= first);
    uint64_t skip = first - w->first;
    uint32_t count = skip >= w->count ? 0 : (uint32_t)(w->count - skip);
    b->node.term = w->term;
    b->node.vote = w->vote;
    b->node.commit = w->commit;
    b->node.first = first;
    if (count == 0) {
        return 0;
    }
    b->payloads = calloc(count, sizeof(struct coord_buf *));
    if (b->payloads == NULL) {
        (void)snprintf(err, BOOT_ERROR_BYTES, "out of memory for %u entries of the log",
                       (unsigned)count);
        return -1;
    }
    b->node.metas = w->entries + skip;
    b->node.payloads = b->payloads;
    b->node.count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bytes = b->node.metas[i].bytes;
        if (bytes > 0 && payload_read(c, b, first + i, bytes, &b->payloads[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}

int boot_open(const struct conf *c, struct boot *b, char err[BOOT_ERROR_BYTES])
{
    *b = (struct boot){.cluster_id = conf_cluster_id(c)};
    if (directory_open(c, b, err) < 0 || wal_open(c, b, err) < 0 || snapshot_pick(c, b, err) < 0 ||
        history_check(c, b, err) < 0) {
        boot_close(b);
        return -1;
    }
    if (b->node.snapshot.index == 0) {
        members_config(c, &b->node.snapshot.config);
    }
    if (members_check(c, b, err) < 0 || entries_read(c, b, err) < 0) {
        boot_close(b);
        return -1;
    }
    return 0;
}

void boot_release_entries(struct boot *b)
{
    for (uint32_t i = 0; b->payloads != NULL && i < b->node.count; i++) {
        coord_buf_unref(b->payloads[i]);
    }
    free(b->payloads);
    machine_loader_destroy(b->node.state);
    b->payloads = NULL;
    b->node.payloads = NULL;
    b->node.metas = NULL;
    b->node.count = 0;
    b->node.state = NULL;
}

void boot_close(struct boot *b)
{
    boot_release_entries(b);
    raft_wal_close(b->wal);
    b->wal = NULL;
    if (b->fs_open) {
        raft_fs_posix_close(&b->fs);
        b->fs_open = false;
    }
}
