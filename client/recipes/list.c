/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c: who owns and who waits: a directory of places read page by page, sorted by the servers'
 * sequence numbers.
 *
 * Leaves to others: what a place is (place.h).
 * Thread: the handle's for callbacks; the caller's otherwise.
 *
 * Invariant: a reading holds what it has read so far and is freed after its callback, called once.
 */
#include "client/recipes/list.h"

#include <stdlib.h>
#include <string.h>
#include "client/core/mem.h"
#include "client/shell/sync.h"

struct item {
    uint64_t sequence;
    struct coord_queue_entry entry;
};

struct reading {
    coord_queue_cb cb;
    void *arg;
    struct coord_call call;
    struct coord__arena arena;
    struct item *items;
    size_t count;
    size_t room;
    char dir[COORD_PATH_MAX + 1];
    char after[COORD_PATH_MAX + 1];
};

static void reading_free(struct reading *r)
{
    coord__arena_finish(&r->arena);
    coord__free(r->items);
    coord__free(r);
}

static int by_sequence(const void *a, const void *b)
{
    const struct item *left = a;
    const struct item *right = b;
    return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

/* Return: 0 or COORD_ENOMEM. */
static int take_entry(struct reading *r, const struct coord_entry *e)
{
    struct item item = {0};
    if (!coord__recipe_sequence(e->name, &item.sequence)) {
        return 0; /* somebody else's */
    }
    if (r->count == r->room) {
        size_t room = r->room == 0 ? 16 : r->room * 2;
        struct item *items = coord__realloc(r->items, room * sizeof(*items));
        if (items == NULL) {
            return COORD_ENOMEM;
        }
        r->items = items;
        r->room = room;
    }
    item.entry.name = coord__arena_copy(&r->arena, e->name, strlen(e->name));
    item.entry.token = e->stat.create_revision;
    item.entry.session = e->stat.owner;
    item.entry.since_ms = e->stat.created_ms;
    item.entry.label_bytes = e->data_bytes;
    if (e->data != NULL) {
        item.entry.label = coord__arena_copy(&r->arena, e->data, e->data_bytes);
    }
    if (item.entry.name == NULL || (e->data != NULL && item.entry.label == NULL)) {
        return COORD_ENOMEM;
    }
    r->items[r->count++] = item;
    return 0;
}

static void finish(struct coord *c, struct reading *r, int error)
{
    struct coord_queue queue = {.count = r->count};
    if (error == 0 && r->count > 0) {
        qsort(r->items, r->count, sizeof(r->items[0]), by_sequence);
        queue.entries = coord__arena_alloc(&r->arena, r->count * sizeof(queue.entries[0]));
        error = queue.entries == NULL ? COORD_ENOMEM : 0;
        for (size_t i = 0; error == 0 && i < r->count; i++) {
            queue.entries[i] = r->items[i].entry;
        }
    }
    r->cb(c, error, error == 0 ? &queue : NULL, r->arg);
    reading_free(r);
}

static void page(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct reading *r = arg;
    int error = reply->error == COORD_ENONODE ? 0 : reply->error;
    for (size_t i = 0; error == 0 && i < reply->entries_count; i++) {
        error = take_entry(r, &reply->entries[i]);
    }
    if (error == 0 && reply->more && reply->entries_count > 0) {
        const char *last = reply->entries[reply->entries_count - 1].name;
        size_t len = strnlen(last, sizeof(r->after) - 1);
        memcpy(r->after, last, len);
        r->after[len] = 0;
        r->call.after = r->after;
        error = coord_list(c, r->dir, &r->call, page, r);
        if (error == 0) {
            return;
        }
    }
    finish(c, r, error);
}

int coord__queue_read(struct coord *c, const char *dir, const struct coord_call *call,
                      coord_queue_cb cb, void *arg)
{
    struct reading *r = coord__alloc(sizeof(*r));
    if (r == NULL) {
        return COORD_ENOMEM;
    }
    r->cb = cb;
    r->arg = arg;
    if (call != NULL) {
        r->call.timeout_ms = call->timeout_ms;
        r->call.consistency = call->consistency;
        r->call.bound_ms = call->bound_ms;
        r->call.fail_fast = call->fail_fast;
        r->call.wait_quorum = call->wait_quorum;
    }
    r->call.flags = COORD_WITH_STATS | COORD_WITH_DATA;
    memcpy(r->dir, dir, strlen(dir) + 1);
    int err = coord_list(c, r->dir, &r->call, page, r);
    if (err < 0) {
        reading_free(r);
    }
    return err;
}

static int read_named(struct coord *c, const char *base, const char *name,
                      const struct coord_call *call, coord_queue_cb cb, void *arg)
{
    char dir[COORD_PATH_MAX + 1];
    int err = cb == NULL ? COORD_EINVAL : coord__recipe_dir(base, name, dir);
    return err < 0 ? err : coord__queue_read(c, dir, call, cb, arg);
}

int coord_lock_list(struct coord *c, const char *name, const struct coord_call *call,
                    coord_queue_cb cb, void *arg)
{
    return read_named(c, "/locks/", name, call, cb, arg);
}

int coord_election_list(struct coord *c, const char *name, const struct coord_call *call,
                        coord_queue_cb cb, void *arg)
{
    return read_named(c, "/elections/", name, call, cb, arg);
}

/* --- blocking --------------------------------------------------------------------------------- */

struct owned_queue {
    struct coord__arena arena;
    struct coord_queue queue;
};

struct wait {
    struct coord__waiter w;
    struct owned_queue *owned;
};

static bool copy_entry(struct coord__arena *a, struct coord_queue_entry *e)
{
    e->name = coord__arena_copy(a, e->name, strlen(e->name));
    if (e->label != NULL) {
        e->label = coord__arena_copy(a, e->label, e->label_bytes);
        return e->name != NULL && e->label != NULL;
    }
    return e->name != NULL;
}

static struct owned_queue *queue_copy(const struct coord_queue *from)
{
    struct owned_queue *to = coord__alloc(sizeof(*to));
    if (to == NULL) {
        return NULL;
    }
    to->queue = *from;
    bool whole = true;
    if (from->count > 0) {
        size_t bytes = from->count * sizeof(from->entries[0]);
        to->queue.entries = coord__arena_alloc(&to->arena, bytes);
        whole = to->queue.entries != NULL;
        for (size_t i = 0; whole && i < from->count; i++) {
            to->queue.entries[i] = from->entries[i];
            whole = copy_entry(&to->arena, &to->queue.entries[i]);
        }
    }
    if (!whole) {
        coord_queue_free(&to->queue);
        return NULL;
    }
    return to;
}

void coord_queue_free(struct coord_queue *queue)
{
    if (queue != NULL) {
        struct owned_queue *owned = COORD__ENTRY(queue, struct owned_queue, queue);
        coord__arena_finish(&owned->arena);
        coord__free(owned);
    }
}

static void got(struct coord *c, int error, const struct coord_queue *queue, void *arg)
{
    struct wait *wait = arg;
    if (error == 0) {
        wait->owned = queue_copy(queue);
        error = wait->owned == NULL ? COORD_ENOMEM : 0;
    }
    coord__wait_signal(c, &wait->w, error);
}

static int read_sync(struct coord *c, const char *base, const char *name,
                     const struct coord_call *call, struct coord_queue **ret_queue)
{
    struct wait wait = {.owned = NULL};
    int err = ret_queue == NULL ? COORD_EINVAL : coord__wait_check(c);
    if (err == 0) {
        err = read_named(c, base, name, call, got, &wait);
    }
    if (err < 0) {
        return err;
    }
    coord__wait_for(c, &wait.w);
    if (wait.w.error == 0) {
        *ret_queue = &wait.owned->queue;
    }
    return wait.w.error;
}

int coord_lock_list_sync(struct coord *c, const char *name, const struct coord_call *call,
                         struct coord_queue **ret_queue)
{
    return read_sync(c, "/locks/", name, call, ret_queue);
}

int coord_election_list_sync(struct coord *c, const char *name, const struct coord_call *call,
                             struct coord_queue **ret_queue)
{
    return read_sync(c, "/elections/", name, call, ret_queue);
}
