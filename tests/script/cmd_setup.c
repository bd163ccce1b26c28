/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_setup.c: what a script says before anything happens, and what it wants to see.
 *
 *   members N [learners=K] [spare=K] [empty]
 *                            voters 1 .. N, then K learners, then K that are no members yet and have no
 *                            process (`boot`); these know the first configuration, or nothing (empty)
 *   set KEY VALUE            an option of the members (the table below)
 *   show TYPE,..|writes|all  print these messages as they arrive, or the writes of the disks
 *   hide [TYPE,..|writes]    no longer
 *   no-ending                do not ask for convergence at the end
 *
 * Threads: none.
 */
#include "tests/script/script.h"

#include <string.h>

/* members N [learners=K] [spare=K] [empty] */
static int set_members(struct run *r, const struct words *ws)
{
    uint64_t voters = 0;
    uint64_t learners = 0;
    uint64_t spare = 0;
    int good = ws->count >= 2 && word_number(ws->v[1], &voters);
    for (int i = 2; good && i < ws->count; i++) {
        const char *l = word_value(ws->v[i], "learners");
        const char *s = word_value(ws->v[i], "spare");
        if (strcmp(ws->v[i], "empty") == 0) {
            r->k.join_empty = 1;
        } else {
            good =
                (l != NULL && word_number(l, &learners)) || (s != NULL && word_number(s, &spare));
        }
    }
    if (!good || voters == 0 || voters + learners + spare > SIM_NODES_MAX) {
        run_bad(r, "members N [learners=K] [spare=K] [empty], at most %d", SIM_NODES_MAX);
        return 1;
    }
    r->k.voters = (uint32_t)voters;
    r->k.learners = (uint32_t)learners;
    r->k.nodes = (uint32_t)(voters + learners + spare);
    return 1;
}

static int set_number(struct run *r, const char *key, uint64_t value)
{
    struct knobs *k = &r->k;
    struct raft_options *o = &k->raft;
    const struct {
        const char *key;
        uint32_t *small;
        uint64_t *large;
    } keys[] = {
        {"inflight", &o->inflight_msgs_max, NULL},
        {"inflight-bytes", &o->inflight_bytes_max, NULL},
        {"msg-bytes", &o->msg_bytes_max, NULL},
        {"msg-entries", &o->msg_entries_max, NULL},
        {"uncommitted-bytes", NULL, &o->uncommitted_bytes_max},
        {"slots", &o->log_slots, NULL},
        {"reads", &o->reads_max, NULL},
        {"chunk", &o->chunk_bytes, NULL},
        {"chunks", &o->chunks_inflight_max, NULL},
        {"lease-ppm", &o->lease_drift_ppm, NULL},
        {"lazy-disk", &k->lazy_disk, NULL},
        {"segment", NULL, &k->segment_bytes},
        {"segments-ready", &k->segments_ready, NULL},
        {"snap-every", NULL, &k->snap_every},
        {"pad", &k->state_pad, NULL},
        {"payload", &k->payload_more, NULL},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(key, keys[i].key) == 0) {
            if (keys[i].small != NULL) {
                *keys[i].small = (uint32_t)value;
            } else {
                *keys[i].large = value;
            }
            return 1;
        }
    }
    return 0;
}

static int set_time(struct run *r, const char *key, uint64_t ns)
{
    struct knobs *k = &r->k;
    const struct {
        const char *key;
        uint64_t *ns;
    } keys[] = {
        {"election-min", &k->raft.election_min},
        {"election-max", &k->raft.election_max},
        {"heartbeat", &k->raft.heartbeat},
        {"disk-stall", &k->raft.disk_stall},
        {"link-hint", &k->raft.link_hint},
        {"commit-delay", &k->raft.commit_delay},
        {"latency", &k->latency_ns},
        {"disk", &k->disk_ns},
        {"loop", &k->loop_ns},
        {"apply", &k->apply_ns},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(key, keys[i].key) == 0) {
            *keys[i].ns = ns;
            return 1;
        }
    }
    return 0;
}

static int set_option(struct run *r, const struct words *ws)
{
    uint64_t value = 0;
    int known = 0;
    if (ws->count == 3 && word_number(ws->v[2], &value)) {
        known = set_number(r, ws->v[1], value);
    } else if (ws->count == 3 && word_duration(ws->v[2], &value)) {
        known = set_time(r, ws->v[1], value);
    }
    /* The payload is the load's business and may change while the world runs. */
    if (known && r->w != NULL) {
        if (strcmp(ws->v[1], "payload") != 0) {
            run_bad(r, "'%s' comes before the first event", ws->v[1]);
            return 1;
        }
        r->w->k.payload_more = r->k.payload_more;
    }
    if (!known) {
        run_bad(r, "set KEY NUMBER or KEY DURATION, see cmd_setup.c");
    }
    return 1;
}

static int show_or_hide(struct run *r, const struct words *ws, int on)
{
    uint32_t set = ALL_TYPES | 1;
    if (ws->count > 2 || (ws->count == 1 && on)) {
        run_bad(r, "show TYPE,..|writes|all");
        return 1;
    }
    if (ws->count == 2 && strcmp(ws->v[1], "writes") == 0) {
        set = 1;
    } else if (ws->count == 2 && strcmp(ws->v[1], "all") != 0 && !word_types(ws->v[1], &set)) {
        run_bad(r, "no such type of message");
    }
    r->show = on ? r->show | set : r->show & ~set;
    return 1;
}

int cmd_setup(struct run *r, const struct words *ws)
{
    const char *cmd = ws->v[0];
    if (strcmp(cmd, "members") == 0) {
        if (r->w != NULL) {
            run_bad(r, "'members' comes first");
            return 1;
        }
        return set_members(r, ws);
    }
    if (strcmp(cmd, "set") == 0) {
        return set_option(r, ws);
    }
    if (strcmp(cmd, "show") == 0 || strcmp(cmd, "hide") == 0) {
        return show_or_hide(r, ws, cmd[0] == 's');
    }
    if (strcmp(cmd, "no-ending") == 0) {
        r->no_ending = 1;
        return 1;
    }
    return 0;
}
