/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reaper.c: gets rid of nodes that nobody wants any more, when the first attempt failed: a node
 * left behind would keep a lock from everybody for as long as its session lives.
 *
 * Leaves to others: the first attempt (place.c). The session's end does the same work in the worst
 * case.
 * Thread: the handle's.
 *
 * Invariant: a reaper is freed exactly once: at its goal, with the handle, or when it cannot even
 * ask for a timer.
 */
#include "client/recipes/place.h"

#include <stdio.h>
#include <string.h>
#include "client/core/mem.h"

#define PAUSE_MS 500u
/* Lists without the node, after which an unanswered create is taken for not applied: its number is
 * acknowledged by then, so it is not applied any more. */
#define LOOKS_MAX 6u

struct reaper {
    char path[COORD_PATH_MAX + 1]; /* "": to be found in dir */
    char dir[COORD_PATH_MAX + 1];
    char id[COORD__RECIPE_ID_BYTES + 1];
    char after[COORD_PATH_MAX + 1];
    uint64_t token;
    uint64_t session;
    uint64_t request;
    uint32_t looks;
};

static void go(struct coord *c, struct reaper *r);

static void after_pause(struct coord *c, int error, void *arg)
{
    if (error < 0) {
        coord__free(arg); /* the handle is closed: the session's end does it */
        return;
    }
    go(c, arg);
}

static void later(struct coord *c, struct reaper *r)
{
    if (coord_after(c, PAUSE_MS, after_pause, r, NULL) < 0) {
        coord__free(r);
    }
}

static bool is_over(const struct reaper *r, struct coord *c, int error)
{
    return error == 0 || error == COORD_ENONODE || error == COORD_ECONDITION ||
           error == COORD_EEXPIRED || error == COORD_ECLOSED || error == COORD_EDENIED ||
           (r->session != 0 && coord_session_id(c) != r->session);
}

static void deleted(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct reaper *r = arg;
    if (is_over(r, c, reply->error)) {
        coord__free(r);
    } else {
        later(c, r);
    }
}

static void listed(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct reaper *r = arg;
    for (size_t i = 0; reply->error == 0 && i < reply->entries_count; i++) {
        if (strncmp(reply->entries[i].name, r->id, COORD__RECIPE_ID_BYTES) == 0 &&
            coord__recipe_join(r->path, r->dir, reply->entries[i].name)) {
            go(c, r);
            return;
        }
    }
    if (reply->error == 0 && reply->more && reply->entries_count > 0) {
        (void)snprintf(r->after, sizeof(r->after), "%s",
                       reply->entries[reply->entries_count - 1].name);
        go(c, r);
        return;
    }
    r->after[0] = 0;
    enum coord_outcome outcome = coord_outcome(c, r->request);
    bool none = outcome == COORD_OUTCOME_NOT_APPLIED || outcome == COORD_OUTCOME_FAILED;
    bool looked = reply->error == 0 || reply->error == COORD_ENONODE;
    if (reply->error == COORD_ECLOSED || (looked && (none || ++r->looks == LOOKS_MAX))) {
        coord__free(r);
    } else {
        later(c, r);
    }
}

static void go(struct coord *c, struct reaper *r)
{
    int err;
    if (r->path[0] != 0) {
        struct coord_call call = {.conditions = r->token != 0 ? COORD_IF_CREATED : 0u,
                                  .created = r->token};
        err = coord_delete(c, r->path, &call, deleted, r);
    } else {
        struct coord_call call = {.consistency = COORD_LINEARIZABLE,
                                  .after = r->after[0] != 0 ? r->after : NULL};
        err = coord_list(c, r->dir, &call, listed, r);
    }
    if (err < 0) {
        later(c, r);
    }
}

void coord__reap(struct coord *c, const char *path, uint64_t token, uint64_t session)
{
    struct reaper *r = coord__alloc(sizeof(*r));
    if (r == NULL) {
        return; /* the session's end does it */
    }
    (void)snprintf(r->path, sizeof(r->path), "%s", path);
    r->token = token;
    r->session = session;
    go(c, r);
}

void coord__reap_unknown(struct coord *c, const char *dir, const char *id, uint64_t request)
{
    struct reaper *r = coord__alloc(sizeof(*r));
    if (r == NULL) {
        return; /* the session's end does it */
    }
    (void)snprintf(r->dir, sizeof(r->dir), "%s", dir);
    (void)snprintf(r->id, sizeof(r->id), "%s", id);
    r->request = request;
    go(c, r);
}
