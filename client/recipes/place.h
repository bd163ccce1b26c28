/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h: a place in a queue of ephemeral sequential nodes: what locks and elections are made of.
 * For the files of client/recipes only.
 *
 *   CREATING -> LISTING -> WAITING -> LISTING ... -> OWNER -> OVER
 *
 *     CREATING -> LISTING : the node is made                          created()
 *     LISTING  -> WAITING : somebody is in front: watch only that one listed()
 *     WAITING  -> LISTING : the one in front is gone                  seen()
 *     LISTING  -> OWNER   : nobody is in front, and the lease holds   own()
 *     any      -> OVER    : error, time, loss or release
 *
 * Invariants
 *   1. `told` of an acquire happens once; `lost` at most once, after a success was told.
 *   2. Each operation under way holds one of `refs`; the handle's user holds one until the release
 *      is done. The place is freed with the last.
 *   3. OWNER implies: node `path` of create revision `token` was seen as the first in line by a
 *      linearizable list, in the session that owns it, and the lease was not over then.
 *   4. A node that may exist and is not wanted any more is deleted, as long as its session lives
 *      (reaper.c).
 * Threads: calls from any thread the handle allows; everything else on the handle's thread. `mutex`
 * guards the place; it is not held while the user is called back.
 */
#ifndef COORD_CLIENT_RECIPES_PLACE_H
#define COORD_CLIENT_RECIPES_PLACE_H

#include <coord/recipes.h>
#include <pthread.h>

#define COORD__RECIPE_NAME_MAX 900
#define COORD__RECIPE_ID_BYTES \
    17 /* 16 hexadecimal digits and '-' in front of the sequence number */

enum coord__place_state {
    COORD__CREATING = 1,
    COORD__LISTING = 2,
    COORD__WAITING = 3,
    COORD__OWNER = 4,
    COORD__OVER = 5
};

struct coord__place;

struct coord__place_calls {
    void (*told)(struct coord__place *p, int error, uint64_t token);
    void (*lost)(struct coord__place *p, int error);
};

struct coord__place {
    struct coord *c;
    const struct coord__place_calls *calls;
    pthread_mutex_t mutex;
    uint32_t refs;
    enum coord__place_state state;
    bool told;      /* the end of the acquire was told */
    bool acquired;  /* it was an owner once */
    bool released;  /* by the user */
    bool finishing; /* after the release: something under way will call finish_release */
    bool trying;    /* COORD_TRY */
    bool again;     /* list again when the lease holds */

    char dir[COORD_PATH_MAX + 1];
    char id[COORD__RECIPE_ID_BYTES +
            1];                    /* begins the node's name: finds it when its answer is lost */
    char path[COORD_PATH_MAX + 1]; /* of the node, "" none */
    uint64_t sequence;
    uint64_t token;
    uint64_t session;
    uint64_t request; /* of the create */

    char front[COORD_PATH_MAX + 1]; /* while a list is read: the nearest in front so far */
    uint64_t front_sequence;
    bool found; /* the list held the own node */
    char after[COORD_PATH_MAX + 1];
    coord_watch_id watch; /* of the one in front, or of the own node; 0 none */
    coord_timer_id timer;
    coord_listener_id listener;

    coord_release_cb release_cb;
    void *release_arg;
};

struct coord__place_request {
    const char *base; /* "/locks/" */
    const char *name;
    uint32_t wait_ms;
    const void *data;
    size_t data_bytes;
};

/* Queue. p: zeroed but for `calls`, made with coord__alloc, the first member of what the user
 * holds.
 * Ownership: p is the place's own from here on, also on error, when it is freed.
 * Errors: as coord_lock_acquire. */
int coord__place_enter(struct coord *c, const struct coord__place_request *q,
                       struct coord__place *p);
int coord__place_release(struct coord__place *p, coord_release_cb cb, void *arg);

bool coord__place_held(const struct coord__place *p);
uint64_t coord__place_token(const struct coord__place *p);
uint64_t coord__place_remaining_ms(const struct coord__place *p);
/* Add to t that p is still in front. Errors: COORD_ELOST, and those of coord_txn_if_held. */
int coord__place_guard(const struct coord__place *p, struct coord_txn *t);
int coord__place_path(const struct coord__place *p, char *path, size_t bytes);

/* names.c */
/* The directory of a recipe. Return: 0, COORD_EINVAL, COORD_EBADPATH. */
int coord__recipe_dir(const char *base, const char *name, char dir[COORD_PATH_MAX + 1]);
/* dir + "/" + name. Return: false when it is longer than a path may be; then out is "". */
bool coord__recipe_join(char out[COORD_PATH_MAX + 1], const char *dir, const char *name);
/* Sixteen digits that no other place of any process has, and '-'. */
void coord__recipe_id(char id[COORD__RECIPE_ID_BYTES + 1]);
/* The sequence number of a node that a place made. Return: false for other names. */
bool coord__recipe_sequence(const char *name, uint64_t *ret_sequence);

/* reaper.c */
/* Delete the node path of create revision token, trying until it is gone, or its session. */
void coord__reap(struct coord *c, const char *path, uint64_t token, uint64_t session);
/* The same for a node of unknown name that begins with id, made, or not, by request. */
void coord__reap_unknown(struct coord *c, const char *dir, const char *id, uint64_t request);

#endif
