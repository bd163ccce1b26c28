/* SPDX-License-Identifier: Apache-2.0 */
/*
 * election.c: a candidate is a place in a queue (place.h); its owner leads. The node's data is the
 * candidate's value.
 *
 * Leaves to others: the queue (place.c), following an election (observe.c), lists (list.c).
 * Thread: as recipes.h says.
 */
#include "client/recipes/place.h"

#include "client/core/mem.h"
#include "client/shell/sync.h"

#define VALUE_BYTES_MAX 65536u

struct coord_election {
    struct coord__place place; /* first: the place frees the whole */
    coord_election_cb cb;
    void *arg;
    coord_election_stop_cb stop;
    void *stop_arg;
};

void coord_election_options_init(struct coord_election_options *o)
{
    *o = (struct coord_election_options){.wait_ms = COORD_WAIT_FOREVER};
}

static void told(struct coord__place *p, int error, uint64_t token)
{
    struct coord_election *e = (struct coord_election *)p;
    if (e->cb != NULL) {
        e->cb(e, error, token, e->arg);
    }
}

static void lost(struct coord__place *p, int error)
{
    struct coord_election *e = (struct coord_election *)p;
    if (e->stop != NULL) {
        e->stop(e, error, e->stop_arg);
    }
}

int coord_election_campaign(struct coord *c, const char *name,
                            const struct coord_election_options *o, coord_election_cb cb, void *arg,
                            struct coord_election **ret_election)
{
    static const struct coord__place_calls calls = {told, lost};
    struct coord_election_options plain;
    coord_election_options_init(&plain);
    o = o != NULL ? o : &plain;
    if (ret_election == NULL || o->value_bytes > VALUE_BYTES_MAX) {
        return COORD_EINVAL;
    }
    struct coord_election *e = coord__alloc(sizeof(*e));
    if (e == NULL) {
        return COORD_ENOMEM;
    }
    e->place.calls = &calls;
    e->cb = cb;
    e->arg = arg;
    e->stop = o->stop;
    e->stop_arg = o->stop_arg;
    struct coord__place_request q = {"/elections/", name, o->wait_ms, o->value, o->value_bytes};
    *ret_election = e; /* before the first callback can come */
    int err = coord__place_enter(c, &q, &e->place);
    if (err < 0) {
        *ret_election = NULL;
    }
    return err;
}

struct wait {
    struct coord *c;
    struct coord__waiter w;
    uint64_t token;
};

static void elected(struct coord_election *e, int error, uint64_t token, void *arg)
{
    struct wait *wait = arg;
    wait->token = token;
    coord__wait_signal(wait->c, &wait->w, error);
    (void)e;
}

int coord_election_campaign_sync(struct coord *c, const char *name,
                                 const struct coord_election_options *o,
                                 struct coord_election **ret_election, uint64_t *ret_token)
{
    struct wait wait = {.c = c};
    struct coord_election *e;
    int err = ret_token == NULL || ret_election == NULL ? COORD_EINVAL : coord__wait_check(c);
    if (err == 0) {
        err = coord_election_campaign(c, name, o, elected, &wait, &e);
    }
    if (err < 0) {
        return err;
    }
    coord__wait_for(c, &wait.w);
    if (wait.w.error == 0) {
        *ret_election = e;
        *ret_token = wait.token;
    } else if (wait.w.error != COORD_ECLOSED) { /* else it ended with the handle */
        int ignored = coord_election_resign(e, NULL, NULL);
        (void)ignored; /* what the campaign told matters more */
    }
    return wait.w.error;
}

/* What a leader needs to change its own node and no other. */
static int own_node(const struct coord_election *e, size_t value_bytes, struct coord_call *call,
                    char path[COORD_PATH_MAX + 1])
{
    if (e == NULL || value_bytes > VALUE_BYTES_MAX) {
        return COORD_EINVAL;
    }
    if (!coord__place_held(&e->place)) {
        return COORD_ELOST;
    }
    call->conditions = COORD_IF_CREATED;
    call->created = coord__place_token(&e->place);
    return coord__place_path(&e->place, path, COORD_PATH_MAX + 1);
}

int coord_election_proclaim(struct coord_election *e, const void *value, size_t value_bytes,
                            coord_reply_cb cb, void *arg)
{
    char path[COORD_PATH_MAX + 1];
    struct coord_call call = {0};
    int err = own_node(e, value_bytes, &call, path);
    return err < 0 ? err : coord_set(e->place.c, path, value, value_bytes, &call, cb, arg);
}

int coord_election_proclaim_sync(struct coord_election *e, const void *value, size_t value_bytes)
{
    char path[COORD_PATH_MAX + 1];
    struct coord_call call = {0};
    int err = own_node(e, value_bytes, &call, path);
    return err < 0 ? err : coord_set_sync(e->place.c, path, value, value_bytes, &call, NULL);
}

int coord_election_resign(struct coord_election *e, coord_release_cb cb, void *arg)
{
    return e == NULL ? COORD_EINVAL : coord__place_release(&e->place, cb, arg);
}

static void resigned(struct coord *c, int error, void *arg)
{
    coord__wait_signal(c, arg, error);
}

int coord_election_resign_sync(struct coord_election *e)
{
    struct coord__waiter w = {0};
    if (e == NULL) {
        return COORD_EINVAL;
    }
    struct coord *c = e->place.c;
    int err = coord__wait_check(c);
    if (err == 0) {
        err = coord_election_resign(e, resigned, &w);
    }
    if (err < 0) {
        return err;
    }
    coord__wait_for(c, &w);
    return w.error;
}

bool coord_election_leads(const struct coord_election *e)
{
    return e != NULL && coord__place_held(&e->place);
}

uint64_t coord_election_token(const struct coord_election *e)
{
    return e != NULL ? coord__place_token(&e->place) : 0;
}

uint64_t coord_election_remaining_ms(const struct coord_election *e)
{
    return e != NULL ? coord__place_remaining_ms(&e->place) : 0;
}

int coord_election_path(const struct coord_election *e, char *path, size_t bytes)
{
    return e == NULL ? COORD_EINVAL : coord__place_path(&e->place, path, bytes);
}

int coord_election_guard(const struct coord_election *e, struct coord_txn *t)
{
    return e == NULL ? COORD_EINVAL : coord__place_guard(&e->place, t);
}
