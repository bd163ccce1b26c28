/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.c: see disk.h. Payloads are written as they lie in memory (little-endian machines read each
 * other's); everything around them is the storage driver's.
 */
#include "raft/example/disk.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* The name of a snapshot among the members: who made it, and where. */
static uint64_t snapshot_name(const struct disk *d, raft_index index)
{
    return index << 8 | d->id;
}

static int load(struct disk *d, const struct raft_snap_meta *found)
{
    struct raft_snap_reader *file = NULL;
    const void *data = NULL;
    uint8_t type = 0;
    int rc = raft_snap_open(&d->fs, CLUSTER, found->term, found->index, &file);
    if (rc < 0) {
        return rc;
    }
    const struct raft_snap_meta *m = raft_snap_meta(file);
    rc = raft_snap_next(file, &type, &data) == sizeof(d->sum) ? 0 : RAFT_STORE_ECORRUPT;
    if (rc == 0) {
        memcpy(&d->sum, data, sizeof(d->sum));
        memcpy(d->digest, m->digest, sizeof(d->digest));
        d->snapshot = (struct raft_snapshot){
            m->index,      m->term, m->config_index, m->config, snapshot_name(d, m->index),
            sizeof(d->sum)};
    }
    raft_snap_close(file);
    return rc;
}

/* Take the newest snapshot that is whole. The log must go on from it, or lie before it: then the core
 * begins a new one. Without a log, snapshots prove that one was lost, and the member's votes with it. */
static int find_snapshot(struct disk *d, char *why, size_t n)
{
    const struct raft_wal_state *w = raft_wal_state(d->wal);
    struct raft_snap_meta metas[4];
    int count = raft_snap_list(&d->fs, CLUSTER, metas, 4);
    d->snapshot.config.count = d->id <= MEMBERS ? MEMBERS : 0; /* a later one waits to be added */
    for (raft_id i = 0; i < d->snapshot.config.count; i++) {
        d->snapshot.config.members[i] = (struct raft_member){i + 1, RAFT_VOTER};
    }
    for (int i = 0; i < count && load(d, &metas[i]) < 0; i++) {
    }
    if (count > 0 && w->fresh) {
        (void)snprintf(why, n, "there are snapshots but no log");
        return RAFT_STORE_ECORRUPT;
    }
    if (w->first > d->snapshot.index + 1) {
        (void)snprintf(why, n, "no snapshot is whole that the log goes on from");
        return RAFT_STORE_ECORRUPT;
    }
    return count < 0 ? count : 0;
}

/* Decode the configurations in the log behind the snapshot. */
static int find_configs(struct disk *d)
{
    const struct raft_wal_state *w = raft_wal_state(d->wal);
    union payload p;
    for (uint32_t i = 0; i < w->count; i++) {
        raft_index index = w->first + i;
        if (w->entries[i].type != RAFT_ENTRY_CONFIG || index <= d->snapshot.index) {
            continue;
        }
        struct raft_config_at *c = &d->configs[d->configs_count];
        int64_t n = raft_wal_read(d->wal, index, &p, sizeof(p));
        if (n < 0 || d->configs_count == SLOTS) {
            return n < 0 ? (int)n : RAFT_STORE_ECORRUPT;
        }
        int rc = raft_config_decode(p.config, (size_t)n, &c->config);
        if (rc < 0) {
            return rc;
        }
        c->index = index;
        d->configs_count++;
    }
    return 0;
}

int disk_open(struct disk *d, const char *dir, raft_id id, char *why, size_t n)
{
    struct raft_wal_options o;
    *d = (struct disk){.id = id};
    why[0] = '\0';
    int rc = raft_fs_posix_open(dir, &d->fs);
    rc = rc < 0 ? rc : d->fs.lock(d->fs.ctx, "LOCK");
    if (rc < 0) {
        return rc;
    }
    raft_wal_options_init(&o);
    o.fs = &d->fs;
    o.cluster_id = CLUSTER;
    o.node_id = id;
    o.segment_bytes = 1u << 20;
    if (getrandom(&o.salt_seed, sizeof(o.salt_seed), 0) != sizeof(o.salt_seed)) {
        return RAFT_STORE_EFAILED;
    }
    rc = raft_wal_open(&o, &d->wal, why, n);
    rc = rc < 0 ? rc : find_snapshot(d, why, n);
    return rc < 0 ? rc : find_configs(d);
}

void disk_encode(const struct raft *r, const struct raft_actions *a, union payload *log)
{
    for (const struct raft_persist *p = a->persist; p < a->persist + a->persist_count; p++) {
        for (raft_index i = p->first; i < p->first + p->count; i++) {
            if (raft_entry_at(r, i)->type == RAFT_ENTRY_CONFIG) {
                raft_config_encode(&raft_config_at(r, i)->config, log[i % SLOTS].config);
            }
        }
    }
}

int disk_write(struct disk *d, const struct raft *r, const struct raft_actions *a,
               const union payload *log)
{
    raft_index compact = 0;
    uint32_t n = 0;
    for (const struct raft_persist *p = a->persist; p < a->persist + a->persist_count; p++) {
        int hard = p->kind == RAFT_PERSIST_HARDSTATE;
        if (p->kind != RAFT_PERSIST_ENTRIES) {
            struct raft_wal_op *op = &d->ops[n++];
            *op = (struct raft_wal_op){.term = p->term, .vote = p->vote};
            op->kind = hard ? RAFT_WAL_HARDSTATE : RAFT_WAL_SNAPMARK;
            op->index = hard ? p->commit : p->first;
            memcpy(op->digest, d->digest, p->first == d->snapshot.index ? sizeof(op->digest) : 0);
        }
        for (raft_index i = p->first; i < p->first + p->count; i++) {
            const struct raft_entry *e = raft_entry_at(r, i);
            d->ops[n++] = (struct raft_wal_op){.kind = RAFT_WAL_ENTRY,
                                               .term = e->term,
                                               .index = i,
                                               .type = e->type,
                                               .bytes = e->bytes,
                                               .data = &log[i % SLOTS]};
        }
        compact = p->compact > compact ? p->compact : compact;
    }
    int rc = raft_wal_write(d->wal, d->ops, n);
    if (rc == 0 && compact > 0) {
        raft_wal_compact(d->wal, compact);
        (void)raft_wal_idle(d->wal); /* gives the space back; if it could not, the next will */
    }
    return rc;
}

int disk_read(struct disk *d, raft_index first, uint32_t count, union payload *log)
{
    for (raft_index i = first; i < first + count; i++) {
        int64_t n = raft_wal_read(d->wal, i, &log[i % SLOTS], sizeof(log[0]));
        if (n < 0) {
            return (int)n;
        }
    }
    return 0;
}

int disk_save(struct disk *d, const struct raft_snapshot *s, int64_t sum)
{
    struct raft_snap_meta m = {.cluster_id = CLUSTER,
                               .index = s->index,
                               .term = s->term,
                               .config_index = s->config_index,
                               .config = s->config};
    struct raft_snap_writer *w = NULL;
    int rc = raft_snap_create(&d->fs, &m, &w);
    if (rc < 0) {
        return rc;
    }
    rc = raft_snap_write(w, 1, &sum, sizeof(sum));
    if (rc < 0) {
        raft_snap_abort(w);
        return rc;
    }
    rc = raft_snap_commit(w, &m);
    if (rc < 0) {
        return rc;
    }
    (void)raft_snap_prune(&d->fs, CLUSTER, 2, NULL); /* if it fails, the next one cleans up */
    d->snapshot = *s;
    d->sum = sum;
    memcpy(d->digest, m.digest, sizeof(m.digest));
    return 0;
}
