/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.c: what clients ask for: every operation, on few paths so that they meet, at every level; and watches of
 * every depth. Each value is written once only, so that what is read tells who wrote it.
 *
 *   /k0 .. /k5     registers                      /d, /d/n0 ..    a parent with named and numbered children
 *   /c             a counter                      /t/..           subtrees that are moved and deleted as one
 *   /q             a subtree with a quota         /o/..           containers, and nodes with a time to live
 *
 * Threads: one.
 */
#include "tests/service/world.h"

#include <stdio.h>
#include <string.h>

static uint64_t dice(struct actor *a, uint64_t below)
{
    return rng_below(&a->rng, below);
}

static bool chance(struct actor *a, uint64_t permille)
{
    return rng_chance(&a->rng, permille) != 0;
}

/* How it asks, apart from what for. */
static struct coord_call some_call(struct actor *a)
{
    return (struct coord_call){.wait_quorum =
                                   rng_chance(&a->rng_call, a->w->k.patient_permille) != 0};
}

/* What the reply of a request is kept for. */
static void on_reply(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct actor *a = arg;
    (void)c;
    a->under_way--;
    a->answered++;
    if (reply->error == 0 && a->w->phase == PHASE_PROBE) {
        a->probed_write = a->probed_write || reply->revision > a->probe_from;
    }
}

static size_t next_value(struct actor *a, char *data, size_t bytes)
{
    uint64_t value = ++a->w->value;
    uint32_t max = a->w->k.node.machine.data_bytes;
    int n = snprintf(data, bytes, "%llu", (unsigned long long)value);
    if (chance(a, 30)) {
        size_t len = 100 + dice(a, 700);
        memset(data + n, 'x', len - (size_t)n);
        return len < max ? len : (size_t)n;
    }
    return (size_t)n;
}

static void some_path(struct actor *a, char *path, size_t bytes)
{
    const struct knobs *k = &a->w->k;
    uint64_t what = dice(a, 100);
    if (what < 45) {
        (void)snprintf(path, bytes, "/k%u", (unsigned)dice(a, k->keys));
    } else if (what < 75) {
        (void)snprintf(path, bytes, "/d/n%u", (unsigned)dice(a, 3));
    } else if (what < 82) {
        (void)snprintf(path, bytes, "/d");
    } else if (what < 90 && k->tree) {
        (void)snprintf(path, bytes, dice(a, 2) == 0 ? "/t/a%u" : "/t/a%u/b", (unsigned)dice(a, 2));
    } else if (what < 95 && k->quotas) {
        (void)snprintf(path, bytes, "/q/m%u", (unsigned)dice(a, 4));
    } else if (k->odd) {
        (void)snprintf(path, bytes, dice(a, 2) == 0 ? "/o/p%u" : "/o/p%u/x", (unsigned)dice(a, 2));
    } else {
        (void)snprintf(path, bytes, "/c");
    }
}

static void level_of(struct actor *a, struct coord_call *call)
{
    if (chance(a, 400)) {
        call->consistency = (enum coord_consistency)(1 + dice(a, 4));
        call->bound_ms = call->consistency == COORD_BOUNDED ? 50 + dice(a, 1000) : 0;
    }
}

/* What the service tells of itself. */
static int ask_service(struct actor *a)
{
    static const char *const paths[] = {"/coord/config/limits.sessions",
                                        "/coord/config/cluster",
                                        "/coord/config/sessions.max",
                                        "/coord/quotas/%2Fq",
                                        "/coord/members/1",
                                        "/coord/members/6",
                                        "/coord/config/limits.answers",
                                        "/coord/quotas"};
    static const char *const folders[] = {"/coord", "/coord/config", "/coord/members",
                                          "/coord/quotas"};
    struct coord_call call = some_call(a);
    const struct actor *other = &a->w->actors[dice(a, a->w->k.clients)];
    level_of(a, &call);
    switch (dice(a, 6)) {
    case 0:
    case 1:
        call.limit = chance(a, 300) ? 1 + dice(a, 3) : 0;
        return coord_sessions(a->c, chance(a, 300) ? other->session : 0, &call, on_reply, a);
    case 2:
        call.limit = chance(a, 300) ? 1 + dice(a, 3) : 0;
        return coord_session_show(a->c, other->session != 0 ? other->session : 1, &call, on_reply,
                                  a);
    case 3:
        call.flags = (uint32_t)dice(a, 4);
        return coord_list(a->c, folders[dice(a, 4)], &call, on_reply, a);
    case 4:
        return dice(a, 2) == 0 ? coord_exists(a->c, paths[dice(a, 8)], &call, on_reply, a)
                               : coord_stat(a->c, paths[dice(a, 8)], &call, on_reply, a);
    default:
        return coord_get(a->c, paths[dice(a, 8)], &call, on_reply, a);
    }
}

/* An operator: not of those who own locks, for whom this would be a surprise before their lease is over. */
static int end_session(struct actor *a)
{
    const struct actor *other = &a->w->actors[dice(a, a->w->k.clients)];
    if (other->session == 0 || other->index < a->w->k.owners) {
        return COORD_EINVAL;
    }
    MARK(a->w, SESSION_ENDED);
    return coord_session_end(a->c, other->session, NULL, on_reply, a);
}

static int ask_read(struct actor *a)
{
    struct coord_call call = some_call(a);
    char path[64];
    if (chance(a, 80)) {
        return ask_service(a);
    }
    some_path(a, path, sizeof(path));
    level_of(a, &call);
    switch (dice(a, 12)) {
    case 0:
    case 1:
        return coord_exists(a->c, path, &call, on_reply, a);
    case 2:
    case 3:
        return coord_stat(a->c, path, &call, on_reply, a);
    case 4:
        return coord_usage(a->c, dice(a, 2) == 0 ? "/q" : path, &call, on_reply, a);
    case 5:
        return coord_sync(a->c, &call, on_reply, a);
    case 6:
        return coord_status(a->c, NULL, on_reply, a);
    case 7:
    case 8:
        call.flags = (uint32_t)dice(a, 16);
        call.limit = chance(a, 500) ? 1 + dice(a, 4) : 0;
        call.after = chance(a, 300) ? "n1" : NULL;
        if ((call.flags & COORD_COUNT_ONLY) != 0) {
            call.flags = COORD_COUNT_ONLY | (call.flags & COORD_RECURSIVE);
            call.after = NULL;
            call.limit = 0;
        }
        return coord_list(a->c, dice(a, 3) == 0 ? "/" : "/d", &call, on_reply, a);
    default:
        return coord_get(a->c, path, &call, on_reply, a);
    }
}

static void conditions_of(struct actor *a, struct coord_call *call)
{
    if (chance(a, 250)) {
        call->conditions = COORD_IF_VERSION;
        call->version = dice(a, 4);
    } else if (chance(a, 60)) {
        call->conditions = COORD_IF_MODIFIED;
        call->modified = 1 + dice(a, 200);
    }
}

static int ask_create(struct actor *a)
{
    struct coord_call call = some_call(a);
    char path[64];
    char data[1024];
    size_t len = next_value(a, data, sizeof(data));
    some_path(a, path, sizeof(path));
    if (chance(a, 300)) {
        (void)snprintf(path, sizeof(path), "/d/s");
        call.flags = COORD_SEQUENTIAL;
    }
    call.flags |= chance(a, 350) ? COORD_EPHEMERAL : 0;
    call.flags |= chance(a, 300) ? COORD_PARENTS : 0;
    if (path[1] == 'o' && (call.flags & COORD_EPHEMERAL) == 0 && chance(a, 700)) {
        call.flags |= chance(a, 500) ? COORD_CONTAINER : COORD_TTL;
        call.ttl_ms = (call.flags & COORD_TTL) != 0 ? 500 + dice(a, 3000) : 0;
    }
    return coord_create(a->c, path, chance(a, 60) ? NULL : data, chance(a, 60) ? 0 : len, &call,
                        on_reply, a);
}

static int ask_tree(struct actor *a)
{
    struct coord_call call = some_call(a);
    char from[64];
    char to[64];
    (void)snprintf(from, sizeof(from), "/t/a%u", (unsigned)dice(a, 2));
    (void)snprintf(to, sizeof(to), "/t/a%u", (unsigned)dice(a, 3));
    if (chance(a, 400)) {
        call.flags = COORD_RECURSIVE;
        return coord_delete(a->c, from, &call, on_reply, a);
    }
    return coord_rename(a->c, from, to, &call, on_reply, a);
}

static void txn_op(struct actor *a, struct coord_txn *t, enum coord_branch branch)
{
    char path[64];
    char data[1024];
    struct coord_call call = {0};
    size_t len = next_value(a, data, sizeof(data));
    some_path(a, path, sizeof(path));
    conditions_of(a, &call);
    switch (dice(a, 8)) {
    case 0:
    case 1:
        call.conditions = 0;
        call.flags = chance(a, 300) ? COORD_EPHEMERAL : 0;
        (void)coord_txn_create(t, branch, path, data, len, &call);
        break;
    case 2:
        (void)coord_txn_delete(t, branch, path, &call);
        break;
    case 3:
        (void)coord_txn_get(t, branch, path);
        break;
    case 4:
        (void)coord_txn_exists(t, branch, path);
        break;
    case 5:
        call.conditions = 0;
        (void)coord_txn_increment(t, branch, "/c", 1, &call);
        break;
    default:
        (void)coord_txn_set(t, branch, path, data, len, &call);
        break;
    }
}

static int ask_txn(struct actor *a)
{
    struct coord_txn *t = coord_txn_new();
    char path[64];
    some_path(a, path, sizeof(path));
    switch (dice(a, owner_token(a) != 0 ? 9 : 6)) {
    case 0:
        (void)coord_txn_if_exists(t, path);
        break;
    case 1:
        (void)coord_txn_if_absent(t, path);
        break;
    case 2:
        (void)coord_txn_if_version(t, path, dice(a, 3));
        break;
    case 3:
        (void)coord_txn_if_children(t, "/d", dice(a, 4));
        break;
    case 4:
        (void)coord_txn_if_owner(t, path, a->session);
        break;
    case 5:
        break;
    default:
        (void)coord_txn_if_held(t, OWNER_LOCK, owner_token(a));
        break;
    }
    for (uint64_t n = 1 + dice(a, 3); n > 0; n--) {
        txn_op(a, t, COORD_THEN);
    }
    if (chance(a, 400)) {
        txn_op(a, t, COORD_ELSE);
    }
    struct coord_call call = some_call(a);
    int err = coord_txn_commit(a->c, t, &call, on_reply, a);
    coord_txn_free(t);
    return err;
}

static int ask_write(struct actor *a)
{
    struct coord_call call = some_call(a);
    char path[64];
    char data[1024];
    uint64_t what = dice(a, 100);
    if (what < 32) {
        return ask_create(a);
    }
    if (what < 45) {
        return ask_txn(a);
    }
    if (what < 52) {
        return coord_increment(a->c, "/c", (int64_t)dice(a, 5) - 1, &call, on_reply, a);
    }
    if (what < 60 && a->w->k.tree) {
        return ask_tree(a);
    }
    if (what < 64 && a->w->k.quotas) {
        return coord_quota(a->c, "/q", dice(a, 5), dice(a, 3) * 20, &call, on_reply, a);
    }
    some_path(a, path, sizeof(path));
    conditions_of(a, &call);
    if (what < 78) {
        return coord_delete(a->c, path, &call, on_reply, a);
    }
    size_t len = next_value(a, data, sizeof(data));
    return coord_set(a->c, path, data, len, &call, on_reply, a);
}

/* --- watches ------------------------------------------------------------------------------------- */

static void on_watch(struct coord *c, const struct coord_watch_event *event, void *arg)
{
    struct watcher *x = arg;
    (void)c;
    x->ready = true;
    x->revision = event->revision > x->revision ? event->revision : x->revision;
    if (event->state == COORD_WATCH_READY || event->state == COORD_WATCH_GAP) {
        x->list_due = x->whole;
        x->gap = event->state == COORD_WATCH_GAP;
    }
    if (event->state == COORD_WATCH_ENDED) {
        x->next = x->revision;
        x->used = false;
    }
}

static void ask_watch(struct actor *a)
{
    static const char *const paths[] = {"/", "/d", "/k0", "/d/n0", "/t", "/c"};
    struct coord_watch_options o = {0};
    struct watcher *x = &a->watches[dice(a, ACTOR_WATCHES)];
    if (x->used) {
        if (chance(a, 150)) {
            int err = coord_unwatch(a->c, x->id);
            (void)err; /* it may just have ended */
        }
        return;
    }
    o.depth = (enum coord_watch_depth)dice(a, 3);
    o.kinds = chance(a, 600) ? 0 : (uint32_t)(1 + dice(a, 7));
    o.with_value = chance(a, 500);
    o.with_previous = chance(a, 500);
    o.once = chance(a, 200);
    o.progress = chance(a, 500);
    o.from_revision = chance(a, 400) ? x->next : 0;
    x->revision = 0;
    x->ready = false;
    x->actor = a;
    x->whole = o.depth == COORD_WATCH_SUBTREE && o.kinds == 0;
    x->list_due = false;
    x->path = paths[dice(a, 6)];
    if (coord_watch(a->c, x->path, &o, on_watch, x, &x->id) == 0) {
        x->used = true;
    }
}

/* An application that follows a subtree lists it once it watches, and again after a gap. */
static void ask_listing(struct actor *a)
{
    struct coord_call call = {.flags = COORD_RECURSIVE | COORD_WITH_STATS};
    for (uint32_t i = 0; i < ACTOR_WATCHES; i++) {
        struct watcher *x = &a->watches[i];
        if (!x->used || !x->list_due || a->under_way > a->w->k.window_ops) {
            continue;
        }
        if (coord_list(a->c, x->path, &call, on_reply, a) == 0) {
            a->under_way++;
            a->asked++;
            x->list_due = false;
            MARK(a->w, WATCH_LISTED);
            if (x->gap) {
                MARK(a->w, WATCH_LISTED_AGAIN);
            }
        }
    }
}

/* --- steps --------------------------------------------------------------------------------------- */

bool work_keeps_still(const struct actor *a)
{
    const struct knobs *k = &a->w->k;
    return a->index >= k->owners && a->index + k->keepers >= k->clients;
}

static void ask(struct actor *a)
{
    const struct knobs *k = &a->w->k;
    int err;
    if (a->under_way >= k->window_ops || (work_keeps_still(a) && chance(a, 970))) {
        return;
    }
    if (k->wild && a->index % 2 == 1) {
        err = ask_read(a); /* behind a write that hangs no read is answered */
    } else if (chance(a, 8)) {
        owner_void(a);
        err = coord_session_close(a->c, NULL, on_reply, a);
    } else if (chance(a, 5)) {
        err = coord_session_open(a->c, NULL, on_reply, a);
    } else if (chance(a, 3)) {
        err = end_session(a);
    } else if (chance(a, k->read_permille)) {
        err = ask_read(a);
    } else {
        err = ask_write(a);
    }
    if (err == 0) {
        a->under_way++;
        a->asked++;
    }
}

void work_step(struct actor *a)
{
    struct world *w = a->w;
    if (a->c == NULL) {
        return;
    }
    world_later(w, 1 + rng_exp(&a->rng, w->k.think_ns),
                (struct ev){.kind = SE_THINK, .peer = (uint8_t)a->index, .a = a->life});
    owner_step(a);
    if (a->paused_until > w->now || w->phase >= PHASE_PROBE || w->failed) {
        return;
    }
    world_enter_actor(a);
    ask(a);
    ask_listing(a);
    if (rng_chance(&a->rng, w->k.watch_permille / 10)) {
        ask_watch(a);
    }
    world_leave();
}

static void on_probe_read(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct actor *a = arg;
    (void)c;
    a->under_way--;
    a->answered++;
    a->probed_read = reply->error == 0;
}

void work_probe(struct actor *a)
{
    char data[1024];
    char path[64];
    if (a->c == NULL) {
        return;
    }
    a->probed_read = a->probed_write = false;
    a->probe_from = a->w->hooks_applied;
    (void)snprintf(path, sizeof(path), "/probe/%u-%u", a->index, a->w->probes);
    size_t len = next_value(a, data, sizeof(data));
    struct coord_call call = {.flags = COORD_PARENTS};
    world_enter_actor(a);
    if (coord_create(a->c, path, data, len, &call, on_reply, a) == 0) {
        a->under_way++;
    }
    if (coord_get(a->c, "/", NULL, on_probe_read, a) == 0) {
        a->under_way++;
    }
    world_leave();
}

void work_forget(struct actor *a)
{
    memset(a->watches, 0, sizeof(a->watches));
}
