/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h: watches: being told of changes. Part of coord.h.
 */
#ifndef COORD_WATCH_H
#define COORD_WATCH_H

#include <coord/handle.h>

#ifdef __cplusplus
extern "C" {
#endif

enum coord_watch_depth {
    COORD_WATCH_NODE = 0,     /* the node itself, whether it exists or not */
    COORD_WATCH_CHILDREN = 1, /* itself and its direct children */
    COORD_WATCH_SUBTREE = 2   /* itself and everything below */
};

/* kinds of change, as a set in the options and one of them in a change */
enum coord_change_kinds { COORD_CREATED = 1, COORD_CHANGED = 2, COORD_DELETED = 4 };

struct coord_watch_options {
    enum coord_watch_depth depth;
    uint32_t kinds;         /* set of enum coord_change_kinds; 0: all */
    bool with_value;        /* changes carry the new value */
    bool with_previous;     /* changes carry the previous value */
    bool once;              /* ends, with error 0, after its first CHANGES */
    bool progress;          /* PROGRESS is told too */
    uint64_t from_revision; /* changes after this one; 0: from now on */
};

enum coord_watch_event_state {
    COORD_WATCH_READY = 1,   /* registered for the first time: changes after event->revision come */
    COORD_WATCH_CHANGES = 2, /* all changes of one revision that the watch asked for */
    COORD_WATCH_PROGRESS = 3, /* nothing of interest up to event->revision */
    COORD_WATCH_GAP = 4,      /* changes were lost: read anew (what you read is at least as new as
                                 event->revision with consistency SESSION or LINEARIZABLE); changes
                                 after event->revision follow */
    COORD_WATCH_ENDED = 5     /* the last event; event->error says why */
};

struct coord_watch_change {
    uint32_t kind; /* one of enum coord_change_kinds */
    const char *path;
    uint64_t version;         /* of the node after the change; before it when DELETED */
    uint64_t create_revision; /* of the node */
    bool has_value;           /* value was asked for; it may be NULL: the node has no data */
    bool has_previous;
    const void *value;
    size_t value_bytes;
    const void *previous;
    size_t previous_bytes;
};

struct coord_watch_event {
    coord_watch_id watch;
    enum coord_watch_event_state state;
    uint64_t revision;
    const struct coord_watch_change *changes; /* of CHANGES */
    size_t changes_count;
    int error; /* of ENDED: 0 (once), COORD_ECANCELED (coord_unwatch), COORD_ECLOSED, or what the
                  server answered */
};

/* Thread: the handle's. event ends with the call. */
typedef void (*coord_watch_cb)(struct coord *c, const struct coord_watch_event *event, void *arg);

/* Watch a path. The library registers the watch again with every server it moves to, from the last
 * revision told: each change is told exactly once, in order of revisions, or a GAP is told.
 *
 * o: NULL: the node itself, all kinds, from now on.
 * Errors:    at once: COORD_EINVAL, COORD_EBADPATH, COORD_ELIMIT, COORD_EBUSY, COORD_ENOMEM,
 *            COORD_ECLOSED, COORD_EFORKED. Later ones come with COORD_WATCH_ENDED: COORD_ELIMIT,
 *            COORD_EDENIED. A watch waits for a server for as long as it takes.
 * Thread:    the handle's; any when threaded.
 * Return:    0 or negative; *ret_watch on 0 (may be NULL). */
COORD_MUST_CHECK int coord_watch(struct coord *c, const char *path,
                                 const struct coord_watch_options *o, coord_watch_cb cb, void *arg,
                                 coord_watch_id *ret_watch);

/* The same, returning once the watch is registered (READY is told too), or with the error of the
 * end, or with COORD_ETIMEOUT after the handle's request timeout: then the watch is ended. */
COORD_MUST_CHECK int coord_watch_sync(struct coord *c, const char *path,
                                      const struct coord_watch_options *o, coord_watch_cb cb,
                                      void *arg, coord_watch_id *ret_watch);

/* End a watch: after this only COORD_WATCH_ENDED is told (threaded: a call may be under way).
 * Errors: COORD_ENONODE when there is no such watch (any more), COORD_ECLOSED, COORD_EFORKED. */
COORD_MUST_CHECK int coord_unwatch(struct coord *c, coord_watch_id watch);
/* The same, returning after COORD_WATCH_ENDED was told. Further errors: COORD_EDEADLK. */
COORD_MUST_CHECK int coord_unwatch_sync(struct coord *c, coord_watch_id watch);

#ifdef __cplusplus
}
#endif
#endif
