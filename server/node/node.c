/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c: making a member from its options and from what its disk had, its end, and the small events.
 * What an iteration does is in run.c.
 */
#include "server/node/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void node_options_init(struct node_options *o)
{
    memset(o, 0, sizeof(*o));
    raft_options_init(&o->raft);
    machine_limits_init(&o->machine);
    watch_limits_init(&o->watch);
    o->outstanding_max = 1024;
    o->conn_bytes_max = 16u << 20;
    o->snapshot_entries = 100000;
    o->snapshot_bytes = 256u << 20;
    o->slice_ns = NODE_SLICE_NS;
    o->slice_records = NODE_SLICE_RECORDS;
    o->slice_bytes = NODE_SLICE_BYTES;
    o->digest_entries = 100000;
    o->digest_interval_ns = 10 * 1000 * NODE_MS;
    o->log_memory_bytes = 8u << 20;
}

/* --- small helpers -------------------------------------------------------------------------- */

int node__step(struct node *n, struct raft_event *ev, struct raft_accept *accept)
{
    ev->now = n->now;
    return raft_step(n->raft, ev, accept);
}

uint64_t node__window(const struct node *n)
{
    return n->o.raft.election_max;
}

bool node__is_leader(const struct node *n)
{
    return n->st.role == RAFT_LEADER;
}

struct peer *node__peer(struct node *n, raft_id id)
{
    for (uint32_t i = 0; i < n->peers_count; i++) {
        if (n->peers[i].id == id) {
            return &n->peers[i];
        }
    }
    return NULL;
}

void node__scratch(struct node *n, size_t count)
{
    if (n->metas_slots < count) {
        n->metas = node__must_alloc(realloc(n->metas, count * sizeof(n->metas[0])));
        n->metas_slots = count;
    }
    if (n->parts_slots < count + 1) {
        n->parts = node__must_alloc(realloc(n->parts, (count + 1) * sizeof(n->parts[0])));
        n->parts_slots = count + 1;
    }
}

void node__fault(struct node *n, const char *why)
{
    if (n->fault[0] != '\0') {
        return;
    }
    (void)snprintf(n->fault, sizeof(n->fault), "%s", why); /* cut: it is a text for people */
    node__log(n, NODE_LOG_ERROR, "member stopped: member=%u term=%llu why=\"%s\"", n->o.raft.id,
              (unsigned long long)n->st.term, n->fault);
}

/* --- checking options ----------------------------------------------------------------------- */

static int check_options(const struct node_options *o, char *why, size_t why_bytes)
{
    bool self = false;
    const char *wrong = NULL;
    if (raft_size(&o->raft) == 0) {
        wrong = "raft: an option is out of range";
    } else if (o->members_count == 0 || o->members_count > RAFT_NODES_MAX) {
        wrong = "members: between 1 and 15 are needed";
    } else if (o->cluster == NULL || strlen(o->cluster) > 255) {
        wrong = "cluster: a name of at most 255 bytes is needed";
    } else if (o->outstanding_max == 0 || o->conn_bytes_max == 0) {
        wrong = "limits: none of them may be 0";
    } else if (machine_limits_check(&o->machine) != NULL) {
        wrong = machine_limits_check(&o->machine);
    } else if (o->snapshot_entries == 0 || o->snapshot_bytes == 0) {
        wrong = "snapshot: entries and bytes may not be 0";
    } else if (o->slice_ns == 0 || o->slice_records == 0 || o->slice_bytes == 0) {
        wrong = "snapshot: a slice may not be empty";
    }
    for (uint32_t i = 0; wrong == NULL && i < o->members_count; i++) {
        self = self || o->members[i].id == o->raft.id;
        if (o->members[i].id == 0) {
            wrong = "members: an id is 0";
        }
        for (uint32_t k = 0; k < i; k++) {
            if (o->members[i].id == o->members[k].id) {
                wrong = "members: an id occurs twice";
            }
        }
    }
    if (wrong == NULL && !self) {
        wrong = "members: this member's own id is not among them";
    }
    if (wrong != NULL) {
        (void)snprintf(why, why_bytes, "%s", wrong);
        return COORD_EINVAL;
    }
    return 0;
}

/* --- boot ----------------------------------------------------------------------------------- */

static int boot_step(struct node *n, struct raft_event *ev, struct raft_accept *accept,
                     const char *what, char *why, size_t why_bytes)
{
    int rv = node__step(n, ev, accept);
    if (rv != 0) {
        (void)snprintf(why, why_bytes, "%s: %s", what, raft_strerror(rv));
        return COORD_EPROTO;
    }
    return 0;
}

static int boot_snapshot(struct node *n, const struct node_boot *boot, char *why, size_t why_bytes)
{
    struct raft_snapshot s = boot->snapshot;
    if (s.index > 0) {
        if (boot->state == NULL) {
            (void)snprintf(why, why_bytes, "snapshot: its state is missing");
            return COORD_EPROTO;
        }
        if (machine_loader_revision(boot->state) != s.index) {
            (void)snprintf(why, why_bytes, "snapshot: its state is of another revision");
            return COORD_EPROTO;
        }
        machine_replace(n->machine, boot->state);
        watch_reset(n->hub, s.index); /* what came before is not in the history */
        if (s.snap_id == 0) {
            s.snap_id = s.index << 8 | (n->o.raft.id & 0xff);
        }
    }
    node__snapshots_init(n, &s);
    n->applied = n->commit = s.index;
    n->applied_term = s.term;
    struct raft_event ev = {.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &s};
    return boot_step(n, &ev, NULL, "snapshot", why, why_bytes);
}

/* Are the payloads those that the log describes? *ret_configs: how many of them are configurations. */
static bool boot_payloads(const struct node_boot *boot, uint32_t *ret_configs)
{
    uint32_t configs = 0;
    for (uint32_t i = 0; i < boot->count; i++) {
        const struct coord_buf *b = boot->payloads[i];
        if (boot->metas[i].bytes != (b == NULL ? 0 : b->len)) {
            return false;
        }
        configs += boot->metas[i].type == RAFT_ENTRY_CONFIG ? 1 : 0;
    }
    *ret_configs = configs;
    return true;
}

/* Read the configurations among the boot entries: configs has room for all. Return: false when one is not
 * well formed. */
static bool boot_configs(const struct node_boot *boot, struct raft_config_at *configs)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < boot->count; i++) {
        const struct coord_buf *b = boot->payloads[i];
        if (boot->metas[i].type != RAFT_ENTRY_CONFIG) {
            continue;
        }
        if (b == NULL || peer_config_decode(b->data, b->len, &configs[count].config) != b->len) {
            return false;
        }
        configs[count++].index = boot->first + i;
    }
    return true;
}

static int boot_log(struct node *n, const struct node_boot *boot,
                    const struct raft_config_at *configs, uint32_t configs_count, char *why,
                    size_t why_bytes)
{
    struct raft_accept accept = {0, 0, 0, 0};
    struct raft_event ev = {.type = RAFT_EV_BOOT_ENTRIES,
                            .first = boot->first,
                            .entries = boot->metas,
                            .count = boot->count,
                            .configs = configs,
                            .configs_count = configs_count};
    int rv = boot_step(n, &ev, &accept, "log", why, why_bytes);
    if (rv != 0) {
        return rv;
    }
    for (uint32_t i = 0; i < accept.count; i++) {
        node__payloads_put(&n->log, accept.first + i,
                           coord_buf_ref(boot->payloads[accept.skip + i]));
    }
    return 0;
}

/* The log may hold any number of configurations; the core keeps the newest. */
static int boot_entries(struct node *n, const struct node_boot *boot, char *why, size_t why_bytes)
{
    uint32_t count = 0;
    bool ok = boot_payloads(boot, &count);
    struct raft_config_at *configs = count == 0 ? NULL : calloc(count, sizeof(configs[0]));
    if (count > 0 && configs == NULL) {
        (void)snprintf(why, why_bytes, "%s", coord_strerror(COORD_ENOMEM));
        return COORD_ENOMEM;
    }
    int rv = COORD_EPROTO;
    if (ok && boot_configs(boot, configs)) {
        rv = boot_log(n, boot, configs, count, why, why_bytes);
    } else {
        (void)snprintf(why, why_bytes, "log: an entry is not well formed");
    }
    free(configs);
    return rv;
}

static int boot_all(struct node *n, const struct node_boot *boot, char *why, size_t why_bytes)
{
    int rv = boot_snapshot(n, boot, why, why_bytes);
    if (rv != 0) {
        return rv;
    }
    node__payloads_compact(&n->log, n->applied);
    struct raft_event hard = {
        .type = RAFT_EV_BOOT_HARDSTATE,
        .hardstate = {.term = boot->term, .vote = boot->vote, .commit = boot->commit}};
    rv = boot_step(n, &hard, NULL, "hard state", why, why_bytes);
    if (rv == 0 && boot->count > 0) {
        rv = boot_entries(n, boot, why, why_bytes);
    }
    if (rv == 0 && boot->damage != 0) {
        struct raft_event damage = {.type = RAFT_EV_BOOT_DAMAGE,
                                    .value = boot->damage,
                                    .index = boot->damage_index,
                                    .hardstate = {.term = boot->damage_term}};
        rv = boot_step(n, &damage, NULL, "damage", why, why_bytes);
    }
    if (rv == 0) {
        struct raft_event done = {.type = RAFT_EV_BOOT_DONE};
        rv = boot_step(n, &done, NULL, "boot", why, why_bytes);
    }
    return rv;
}

/* --- making --------------------------------------------------------------------------------- */

static bool sink(void *arg, uint64_t conn, struct coord_buf *frames)
{
    struct node *n = arg;
    struct conn *c = node__map_get(&n->conns, conn);
    return c == NULL || node__conn_event(n, c, frames);
}

static int make_parts(struct node *n)
{
    size_t raft_bytes = raft_size(&n->o.raft);
    void *block = aligned_alloc(64, (raft_bytes + 63) / 64 * 64);
    n->raft = block == NULL ? NULL : raft_init(block, raft_bytes, &n->o.raft);
    if (n->raft == NULL) {
        free(block);
        return COORD_ENOMEM;
    }
    /* Not with the limits that this member wants: every member begins alike (limits.c). */
    struct machine_limits standard;
    machine_limits_init(&standard);
    n->machine = machine_create(&standard);
    n->hub = watch_hub_create(&n->o.watch, sink, n);
    if (n->machine == NULL || n->hub == NULL) {
        return COORD_ENOMEM;
    }
    int rv = node__payloads_init(&n->log, n->o.raft.log_slots);
    return rv != 0 ? rv : node__writes_init(n);
}

static void fill(struct node *n, const struct node_options *o, const struct node_env *env,
                 uint64_t now, uint64_t wall_ms)
{
    n->o = *o;
    (void)snprintf(n->cluster, sizeof(n->cluster), "%s", o->cluster); /* its length was checked */
    n->o.cluster = n->cluster;
    n->env = *env;
    n->now = n->created = n->booted = now;
    n->wall_ms = wall_ms;
    n->deadline = now;
    n->progress_at = now;
    node__list_init(&n->all);
    node__list_init(&n->ready);
    node__list_init(&n->blocked);
    node__list_init(&n->busy);
    node__list_init(&n->flush);
    node__reads_init(n);
    node__touch_init(n);
    n->touch.scan_at = NODE_NEVER;
    for (uint32_t i = 0; i < o->members_count; i++) {
        if (o->members[i].id != o->raft.id) {
            n->peers[n->peers_count++].id = o->members[i].id;
        }
    }
}

int node_create(const struct node_options *o, const struct node_env *env,
                const struct node_boot *boot, uint64_t now, uint64_t wall_ms,
                struct node **ret_node, char *why, size_t why_bytes)
{
    int rv = check_options(o, why, why_bytes);
    if (rv != 0) {
        return rv;
    }
    struct node *n = calloc(1, sizeof(*n));
    if (n == NULL) {
        (void)snprintf(why, why_bytes, "%s", coord_strerror(COORD_ENOMEM));
        return COORD_ENOMEM;
    }
    fill(n, o, env, now, wall_ms);
    (void)snprintf(why, why_bytes, "%s", coord_strerror(COORD_ENOMEM));
    rv = make_parts(n);
    if (rv == 0) {
        rv = boot_all(n, boot, why, why_bytes);
    }
    if (rv != 0) {
        node_destroy(n);
        return rv;
    }
    raft_status(n->raft, &n->st);
    node__limits_init(n);
    node__system_reset(n);
    node__sessions_regime(n);
    *ret_node = n;
    return 0;
}

void node_destroy(struct node *n)
{
    if (n == NULL) {
        return;
    }
    if (n->hub != NULL) {
        node__conns_destroy(n);
    }
    node__writes_release(n);
    node__sessions_release(n);
    node__touch_release(n);
    node__snapshots_release(n);
    node__recall_release(n);
    node__payloads_release(&n->log);
    node__system_release(n);
    for (uint32_t i = 0; i < n->outbox_count; i++) {
        coord_buf_unref(n->outbox[i].buf);
    }
    watch_hub_destroy(n->hub);
    machine_destroy(n->machine);
    free(n->raft);
    free(n->metas);
    free(n->parts);
    free(n);
}

/* --- small events and looks ----------------------------------------------------------------- */

bool node_io_awaited(const struct node *n)
{
    return raft_io_awaited(n->raft) != 0;
}

void node_io_done(struct node *n, uint64_t io_seq, uint64_t now)
{
    n->now = now > n->now ? now : n->now;
    struct raft_event ev = {.type = RAFT_EV_IO_DONE, .io_seq = io_seq};
    int rv = node__step(n, &ev, NULL);
    NODE_ASSERT(rv == 0 || rv == RAFT_EFAULTED);
}

void node_io_failed(struct node *n, const char *why, uint64_t now)
{
    n->now = now > n->now ? now : n->now;
    struct raft_event ev = {.type = RAFT_EV_IO_FAILED};
    (void)node__step(n, &ev, NULL); /* it may have stopped already */
    node__fault(n, why);
}

void node_disk_room(struct node *n, bool room, uint64_t now)
{
    n->now = now > n->now ? now : n->now;
    struct raft_event ev = {.type = RAFT_EV_DISK, .value = room ? 1 : 0};
    (void)node__step(n, &ev, NULL); /* a faulted member does not care */
}

bool node_faulted(const struct node *n, const char **ret_why)
{
    if (n->fault[0] == '\0') {
        return false;
    }
    if (ret_why != NULL) {
        *ret_why = n->fault;
    }
    return true;
}

bool node_repairing(const struct node *n)
{
    return n->st.repairing != 0;
}

const struct raft *node_raft(const struct node *n)
{
    return n->raft;
}

const struct machine *node_machine(const struct node *n)
{
    return n->machine;
}
