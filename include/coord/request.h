/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h: the requests, each in its two forms. Part of coord.h.
 */
#ifndef COORD_REQUEST_H
#define COORD_REQUEST_H

#include <coord/reply.h>

#ifdef __cplusplus
extern "C" {
#endif

/* flags of CREATE */
enum coord_create_flags {
    COORD_EPHEMERAL = 1,  /* deleted with the session; cannot have children */
    COORD_SEQUENTIAL = 2, /* the parent's counter, at least ten digits, is put behind the path */
    COORD_PARENTS = 4,    /* missing parents are made, persistent */
    COORD_CONTAINER =
        8, /* deleted by the service soon after its last child is gone; not before it had one */
    COORD_TTL =
        16 /* deleted by the service when not modified for ttl_ms and without children, within a second */
};

/* flags of LIST; COORD_RECURSIVE also of DELETE */
enum coord_list_flags {
    COORD_WITH_STATS = 1,
    COORD_WITH_DATA = 2,
    COORD_RECURSIVE = 4, /* the whole subtree, in path order */
    COORD_COUNT_ONLY = 8 /* no entries, only reply->count: costs the same however many there are */
};

/* conditions of SET, DELETE, INCREMENT and RENAME (of the node that is renamed); all that are set must hold, else COORD_ECONDITION */
enum coord_condition {
    COORD_IF_VERSION = 1,  /* version */
    COORD_IF_MODIFIED = 2, /* modify_revision equals modified */
    COORD_IF_CREATED = 4   /* create_revision equals created */
};

/* How one request is made. All zero is the default, and NULL means the same. */
struct coord_call {
    uint32_t timeout_ms;                /* 0: that of the handle */
    enum coord_consistency consistency; /* GET, EXISTS, STAT, LIST, USAGE */
    uint64_t bound_ms;                  /* for COORD_BOUNDED */
    bool fail_fast; /* complete with COORD_ECONNECT once every server was tried in vain, instead of
                        trying on until timeout_ms */
    bool
        wait_quorum; /* a refusal for want of a quorum (COORD_ENOQUORUM, COORD_EINDOUBT) is told when
                         timeout_ms is over, not at once: the servers are tried in turn until then, with
                         growing pauses. A write in doubt is sent again under its number and applied
                         at most once; without sessions it is told at once */
    uint32_t flags;  /* of CREATE, LIST or DELETE */
    uint64_t ttl_ms;     /* CREATE with COORD_TTL */
    uint32_t conditions; /* SET, DELETE, INCREMENT, RENAME: set of enum coord_condition */
    uint64_t version;
    uint64_t modified;
    uint64_t created;
    const char *after;     /* LIST: names after this one; NULL: from the first */
    uint64_t limit;        /* LIST: entries at most; 0: the server's limit */
    uint64_t *ret_request; /* receives the request's number, for coord_outcome; may be NULL */
};

/* Create a node.
 *
 * data: data_bytes bytes; NULL with 0: the node has no data, which is not the same as empty.
 * call: flags, ttl_ms.
 * cb:   reply->path, sequence, stat, revision. NULL: nobody wants to know.
 * Ownership: everything is copied.
 * Errors:    at once: COORD_EINVAL, COORD_EBADPATH, COORD_ETOOBIG, COORD_EBUSY, COORD_ENOMEM,
 *            COORD_ENOSESSION (ephemeral without sessions), COORD_ECLOSED, COORD_EFORKED.
 *            in the reply: COORD_EEXISTS, COORD_ENONODE (no parent), COORD_EEPHEMERAL (of the
 *            parent), COORD_ERESERVED, COORD_EQUOTA, COORD_ESTOREFULL (coord_server_limits: the
 *            store's high-water mark), COORD_ENOSPACE, COORD_ELIMIT, COORD_EDENIED, and those of
 *            any request: COORD_ENOQUORUM, COORD_EINDOUBT, COORD_ETIMEOUT, COORD_ECONNECT,
 *            COORD_EEXPIRED, COORD_ECLOSED, COORD_EPROTO, COORD_ENOMEM, COORD_ETOOBIG,
 *            COORD_EBADREQUEST, COORD_EBUSY, COORD_ESHUTDOWN.
 * Thread:    the handle's; any when threaded.
 * Return:    0: cb will be called, or a negative error of the first list. */
COORD_MUST_CHECK int coord_create(struct coord *c, const char *path, const void *data,
                                  size_t data_bytes, const struct coord_call *call,
                                  coord_reply_cb cb, void *arg);

/* Read a node: reply->data, stat. Further reply errors: COORD_ENONODE, COORD_ETOOSTALE.
 * Everything else as coord_create. */
COORD_MUST_CHECK int coord_get(struct coord *c, const char *path, const struct coord_call *call,
                               coord_reply_cb cb, void *arg);

/* Replace a node's data, under call's conditions: reply->stat, revision. Reply errors:
 * COORD_ENONODE, COORD_ECONDITION, COORD_ERESERVED, COORD_EQUOTA, COORD_ESTOREFULL, COORD_ENOSPACE.
 * Everything else as coord_create. */
COORD_MUST_CHECK int coord_set(struct coord *c, const char *path, const void *data,
                               size_t data_bytes, const struct coord_call *call, coord_reply_cb cb,
                               void *arg);

/* Delete a node without children, under call's conditions; with COORD_RECURSIVE in call->flags the
 * node and everything below it, as one change: reply->revision, count. Reply errors: COORD_ENONODE,
 * COORD_ECONDITION, COORD_ENOTEMPTY, COORD_ERESERVED; COORD_ELIMIT when the subtree has more nodes
 * than the servers delete as one (10,000): then nothing is gone, and smaller parts
 * can be deleted one by one. At once also COORD_EINVAL for other flags. Everything else as above. */
COORD_MUST_CHECK int coord_delete(struct coord *c, const char *path, const struct coord_call *call,
                                  coord_reply_cb cb, void *arg);

/* Add delta to a node whose data is a number in decimal (an optional '-', digits, no needless 0),
 * under call's conditions: reply->value, stat, revision. However often it is sent, it is applied at most
 * once. Reply errors: COORD_ENONODE, COORD_ECONDITION, COORD_ENOTNUMBER (the data is none, or the sum
 * leaves 64 bits), COORD_EQUOTA, COORD_ESTOREFULL, COORD_ERESERVED, COORD_ENOSPACE. Everything else as
 * coord_create. */
COORD_MUST_CHECK int coord_increment(struct coord *c, const char *path, int64_t delta,
                                     const struct coord_call *call, coord_reply_cb cb, void *arg);

/* Move a node with everything below it to another path, as one change, under call's conditions (of
 * the node at path): reply->path (the new one), stat, count, revision. The parent of `to` exists and
 * `to` does not. Watches see deletions and creations; the moved nodes begin anew at version 0, and keep
 * data, kinds, owners, quotas and sequence counters. Reply errors: COORD_ENONODE (no such node, or no
 * parent of `to`), COORD_EEXISTS, COORD_ECONDITION, COORD_EEPHEMERAL (the parent of `to` is
 * ephemeral), COORD_EINSIDE, COORD_ELIMIT (too many nodes for one change), COORD_EQUOTA,
 * COORD_ESTOREFULL, COORD_EBADPATH (a path below would be too long), COORD_ERESERVED. Everything else as
 * coord_create. */
COORD_MUST_CHECK int coord_rename(struct coord *c, const char *path, const char *to,
                                  const struct coord_call *call, coord_reply_cb cb, void *arg);

/* Bound what a node and everything below it may hold: nodes, and bytes of data; 0: any. Replaces the
 * node's earlier quota; of nested ones each holds; one below what is there refuses growth, nothing
 * else. It goes with the node. reply->usage. Reply errors: COORD_ENONODE, COORD_ERESERVED,
 * COORD_EDENIED. Everything else as coord_create. */
COORD_MUST_CHECK int coord_quota(struct coord *c, const char *path, uint64_t nodes, uint64_t bytes,
                                 const struct coord_call *call, coord_reply_cb cb, void *arg);

/* What a node and everything below it hold: reply->usage. Costs the same however much it is. Reply
 * errors: COORD_ENONODE, COORD_ETOOSTALE. */
COORD_MUST_CHECK int coord_usage(struct coord *c, const char *path, const struct coord_call *call,
                                 coord_reply_cb cb, void *arg);

/* Is there such a node? reply->exists; a missing node is no error. */
COORD_MUST_CHECK int coord_exists(struct coord *c, const char *path, const struct coord_call *call,
                                  coord_reply_cb cb, void *arg);

/* A node's stat without its data: reply->stat. Reply errors: COORD_ENONODE, COORD_ETOOSTALE. */
COORD_MUST_CHECK int coord_stat(struct coord *c, const char *path, const struct coord_call *call,
                                coord_reply_cb cb, void *arg);

/* Names below a node, sorted by bytes, one page: reply->entries, more, stat, count. For the next page
 * give the last name as call->after. Reply errors: COORD_ENONODE, COORD_ETOOSTALE. */
COORD_MUST_CHECK int coord_list(struct coord *c, const char *path, const struct coord_call *call,
                                coord_reply_cb cb, void *arg);

/* Wait until the connected server has applied all that was committed when it was asked:
 * reply->revision. */
COORD_MUST_CHECK int coord_sync(struct coord *c, const struct coord_call *call, coord_reply_cb cb,
                                void *arg);

/* What the connected server knows of itself and its ensemble: reply->status. Answered by that
 * server alone, also without a quorum. */
COORD_MUST_CHECK int coord_status(struct coord *c, const struct coord_call *call, coord_reply_cb cb,
                                  void *arg);

/* Demonstration ensembles: cut the connected server's links to these members and mend all others;
 * count 0 mends all. Reply errors: COORD_EDENIED unless the server runs as a lab. */
COORD_MUST_CHECK int coord_partition(struct coord *c, const uint32_t *members, uint32_t count,
                                     const struct coord_call *call, coord_reply_cb cb, void *arg);

/* For operators: the open sessions with ids above `after`, a page in ascending order: reply->sessions, more,
 * count (of all). call: consistency, limit (entries at most). For the next page give the last id as
 * `after`. No secret is told. Reply errors: COORD_ETOOSTALE. Everything else as coord_create. */
COORD_MUST_CHECK int coord_sessions(struct coord *c, uint64_t after, const struct coord_call *call,
                                    coord_reply_cb cb, void *arg);

/* One session, and a page of the paths of its ephemeral nodes: reply->sessions[0], entries (names are
 * whole paths as the servers know them, whatever prefix the handle has), more, count. call: consistency,
 * limit, after (a path). Reply errors: COORD_EGONE, COORD_ETOOSTALE. */
COORD_MUST_CHECK int coord_session_show(struct coord *c, uint64_t session,
                                        const struct coord_call *call, coord_reply_cb cb,
                                        void *arg);

/* End any session, as if its timeout had passed: it and all its ephemeral nodes are gone at one revision, and
 * its client is told COORD_EXPIRED. reply->revision, count (of nodes). Reply errors: COORD_EGONE (there is no
 * such session), COORD_EDENIED. Everything else as coord_create. */
COORD_MUST_CHECK int coord_session_end(struct coord *c, uint64_t session,
                                       const struct coord_call *call, coord_reply_cb cb, void *arg);

/* The blocking forms. They wait at most for the request's timeout (and a little, for its end to be
 * told).
 *
 * ret_reply: may be NULL. Otherwise always written: the reply, also of a request that failed, or
 *            NULL when there is none (the call was not accepted, or memory ran out).
 * Ownership: *ret_reply is the caller's, for coord_reply_free.
 * Errors:    those of the asynchronous form, at once or in the reply; COORD_EDEADLK in a callback.
 * Thread:    the handle's; any when threaded.
 * Return:    the reply's error. coord_exists_sync: *ret_exists only on 0. */
COORD_MUST_CHECK int coord_create_sync(struct coord *c, const char *path, const void *data,
                                       size_t data_bytes, const struct coord_call *call,
                                       struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_get_sync(struct coord *c, const char *path,
                                    const struct coord_call *call, struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_set_sync(struct coord *c, const char *path, const void *data,
                                    size_t data_bytes, const struct coord_call *call,
                                    struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_delete_sync(struct coord *c, const char *path,
                                       const struct coord_call *call,
                                       struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_increment_sync(struct coord *c, const char *path, int64_t delta,
                                          const struct coord_call *call,
                                          struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_rename_sync(struct coord *c, const char *path, const char *to,
                                       const struct coord_call *call,
                                       struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_quota_sync(struct coord *c, const char *path, uint64_t nodes,
                                      uint64_t bytes, const struct coord_call *call,
                                      struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_usage_sync(struct coord *c, const char *path,
                                      const struct coord_call *call,
                                      struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_exists_sync(struct coord *c, const char *path,
                                       const struct coord_call *call, bool *ret_exists);
COORD_MUST_CHECK int coord_stat_sync(struct coord *c, const char *path,
                                     const struct coord_call *call, struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_list_sync(struct coord *c, const char *path,
                                     const struct coord_call *call, struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_sync_sync(struct coord *c, const struct coord_call *call,
                                     struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_status_sync(struct coord *c, const struct coord_call *call,
                                       struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_partition_sync(struct coord *c, const uint32_t *members, uint32_t count,
                                          const struct coord_call *call,
                                          struct coord_reply **ret_reply);

COORD_MUST_CHECK int coord_sessions_sync(struct coord *c, uint64_t after,
                                         const struct coord_call *call,
                                         struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_session_show_sync(struct coord *c, uint64_t session,
                                             const struct coord_call *call,
                                             struct coord_reply **ret_reply);
COORD_MUST_CHECK int coord_session_end_sync(struct coord *c, uint64_t session,
                                            const struct coord_call *call,
                                            struct coord_reply **ret_reply);

/* What is known of a request by now: also after its callback told UNKNOWN, since the answer may
 * have come later. The handle remembers its last 4,096 completed requests; of older ones and of
 * numbers that never were, UNKNOWN is said.
 * Errors: none. Thread: the handle's; any when threaded. */
enum coord_outcome coord_outcome(struct coord *c, uint64_t request);

#ifdef __cplusplus
}
#endif
#endif
