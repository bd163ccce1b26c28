/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_disk.c: a member's disk.
 *
 *   io-hold N                   no write, snapshot or chunk of N completes from now on
 *   io-release N                all of them do
 *   io-release N K              the first K persist actions of the batch under way do (of a snapshot
 *                               or chunk: it does); what is behind them in the batch waits on
 *   io-again N K                the completion K before the last one is reported once more
 *   disk N full | ok            the member is told that its disk has no room for entries; has again
 *   disk N fail-sync [K]        the K-th (1) next sync fails, once; the data is lost
 *   disk N fail-write [K]       the K-th (1) next write fails
 *   disk N capacity +BYTES|all  so much may be written before ENOSPC
 *   rot N entry I               one bit of entry I flips in the log
 *   rot N FOLDER first|last OFFSET      one bit of a file flips; the files in order of their names
 *
 * Threads: none.
 */
#include "tests/script/script.h"

#include <errno.h>
#include <string.h>

static void io_hold(struct run *r, const struct words *ws, struct node *n)
{
    if (ws->count != 2) {
        run_bad(r, "io-hold N");
        return;
    }
    r->io_held[n->id] = 1;
}

static void io_release(struct run *r, const struct words *ws, struct node *n)
{
    uint64_t most = 0;
    if (ws->count == 2) {
        run_release_io(r, n->id);
    } else if (ws->count == 3 && word_number(ws->v[2], &most) && most > 0 && most < 1000) {
        run_complete_io(r, n->id, (uint32_t)most);
    } else {
        run_bad(r, "io-release N [K]");
    }
}

static void io_again(struct run *r, const struct words *ws, struct node *n)
{
    uint64_t back = 0;
    uint64_t last = r->io_done[n->id];
    if (ws->count != 3 || !word_number(ws->v[2], &back)) {
        run_bad(r, "io-again N K");
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_IO_DONE, .io_seq = last > back ? last - back : 0};
    if (run_up(r, n->id) != NULL && host_step(r->w, n, &ev) != 0 && r->mode != RUN_SWEEP) {
        run_fail(r, "member %u refuses an old completion", n->id);
    }
}

/* ------------------------------------------------------------------------------------------- */

static void say_room(struct run *r, struct node *n, uint64_t value)
{
    struct raft_event ev = {.type = RAFT_EV_DISK, .value = value};
    if (run_up(r, n->id) != NULL) {
        (void)host_step(r->w, n, &ev); /* refused only by a faulted member */
    }
}

static void disk_command(struct run *r, const struct words *ws, struct node *n)
{
    uint64_t value = 1;
    const char *what = ws->count > 2 ? ws->v[2] : "";
    const char *arg = ws->count > 3 ? ws->v[3] : NULL;
    if (strcmp(what, "full") == 0 || strcmp(what, "ok") == 0) {
        say_room(r, n, what[0] == 'o');
    } else if (strncmp(what, "fail-", 5) == 0 && r->mode == RUN_SWEEP && n->state != HOST_UP) {
        return; /* it is meant for the process, not for its recovery */
    } else if (strcmp(what, "fail-sync") == 0 && (arg == NULL || word_number(arg, &value))) {
        sim_disk_fail_sync(n->disk, (uint32_t)value, SIM_DISK_SYNC_REVERT);
    } else if (strcmp(what, "fail-write") == 0 && (arg == NULL || word_number(arg, &value))) {
        sim_disk_fail(n->disk, SIM_DISK_WRITE, (uint32_t)value, 1, EIO);
    } else if (strcmp(what, "capacity") == 0 && arg != NULL && strcmp(arg, "all") == 0) {
        sim_disk_set_capacity(n->disk, UINT64_MAX);
    } else if (strcmp(what, "capacity") == 0 && arg != NULL && arg[0] == '+' &&
               word_number(arg + 1, &value)) {
        sim_disk_set_capacity(n->disk, sim_disk_used(n->disk) + value);
    } else {
        run_bad(r, "disk N full|ok|fail-sync [K]|fail-write [K]|capacity +BYTES|all");
    }
}

/* ------------------------------------------------------------------------------------------- */
/* Rot                                                                                           */

struct search {
    const struct sim_disk *disk;
    const char *dir;
    int last; /* of the names in order, else the first */
    char path[128];
    const uint8_t *data; /* to be found in a file; NULL: any file */
    uint64_t bytes;
    uint64_t offset;
};

static int find_bytes(const uint8_t *in, uint64_t len, const uint8_t *data, uint64_t bytes,
                      uint64_t *ret_offset)
{
    for (uint64_t i = 0; i + bytes <= len; i++) {
        if (memcmp(in + i, data, bytes) == 0) {
            *ret_offset = i;
            return 1;
        }
    }
    return 0;
}

static int look_at(void *arg, const char *name)
{
    struct search *s = arg;
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    uint64_t len = 0;
    const uint8_t *in = sim_disk_data(s->disk, path, &len);
    if (s->data != NULL) {
        if (in == NULL || !find_bytes(in, len, s->data, s->bytes, &s->offset)) {
            return 0;
        }
    }
    int order = s->path[0] == '\0' ? 0 : strcmp(path, s->path);
    if (s->path[0] == '\0' || (s->last ? order > 0 : order < 0)) {
        memcpy(s->path, path, sizeof(path));
    }
    return 0;
}

static void rot(struct run *r, const struct words *ws, struct node *n)
{
    struct search s = {.disk = n->disk, .dir = "wal"};
    uint64_t number = 0;
    if (r->mode == RUN_SWEEP && (n->state != HOST_DOWN || !n->sealed)) {
        return; /* what no later record attests cannot be told from a torn write */
    }
    if (ws->count == 4 && strcmp(ws->v[2], "entry") == 0 && word_number(ws->v[3], &number)) {
        const struct item *it = elog_at(&n->durable.log, number);
        if ((it == NULL || it->bytes == 0) && r->mode == RUN_SWEEP) {
            return;
        }
        if (it == NULL || it->bytes == 0) {
            run_fail(r, "member %u: no such entry, or one without a payload", n->id);
            return;
        }
        s.data = it->data;
        s.bytes = it->bytes;
        s.last = 1;
    } else if (ws->count == 5 && word_number(ws->v[4], &s.offset)) {
        s.dir = ws->v[2];
        s.last = strcmp(ws->v[3], "last") == 0;
    } else {
        run_bad(r, "rot N entry I, or rot N FOLDER first|last OFFSET");
        return;
    }
    const struct raft_fs *fs = sim_disk_fs(n->disk);
    (void)fs->list(fs->ctx, s.dir, look_at, &s); /* no folder: nothing is found */
    if (s.path[0] == '\0' || sim_disk_flip(n->disk, s.path, s.offset, 0) != 0) {
        if (r->mode != RUN_SWEEP) {
            run_fail(r, "member %u: nothing to spoil there", n->id);
        }
        return;
    }
    n->rotted = 1;
    n->spoiled = 1;
}

int cmd_disk(struct run *r, const struct words *ws)
{
    static const struct {
        const char *name;
        void (*run)(struct run *r, const struct words *ws, struct node *n);
    } commands[] = {{"io-hold", io_hold},
                    {"io-release", io_release},
                    {"io-again", io_again},
                    {"disk", disk_command},
                    {"rot", rot}};
    raft_id id = 0;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(ws->v[0], commands[i].name) == 0) {
            int good = ws->count >= 2 && word_id(ws->v[1], &id);
            struct node *n = good ? run_node(r, id) : NULL;
            if (n == NULL) {
                run_bad(r, "%s MEMBER ..., see cmd_disk.c", ws->v[0]);
            } else {
                commands[i].run(r, ws, n);
            }
            return 1;
        }
    }
    return 0;
}
