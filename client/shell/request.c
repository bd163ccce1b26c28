/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.c: requests: checking and preparing their arguments, and the asynchronous calls.
 *
 * Leaves to others: what the servers check anyway (kinds that exclude each other, sizes beyond
 * their limits), waiting (sync.c), when it is sent (client/core).
 * Thread: as coord.h says for the handle.
 */
#include "client/shell/request.h"

#include <assert.h>
#include <string.h>
#include "client/core/limits.h"

#define CALL_TIMEOUT_MS_MAX 3600000u
#define ALL_CREATE_FLAGS \
    (COORD_EPHEMERAL | COORD_SEQUENTIAL | COORD_PARENTS | COORD_CONTAINER | COORD_TTL)
#define ALL_LIST_FLAGS (COORD_WITH_STATS | COORD_WITH_DATA | COORD_RECURSIVE | COORD_COUNT_ONLY)
#define ALL_CONDITIONS (COORD_IF_VERSION | COORD_IF_MODIFIED | COORD_IF_CREATED)

static const struct coord_call defaults;

static const struct coord_call *call_of(const struct coord_call *call)
{
    return call != NULL ? call : &defaults;
}

int coord__no_reply(int err, struct coord_reply **ret_reply)
{
    if (ret_reply != NULL) {
        *ret_reply = NULL;
    }
    return err;
}

void coord__make_plain(enum coord_op op, struct coord__submission *ret_s)
{
    memset(&ret_s->q, 0, sizeof(ret_s->q));
    ret_s->q.op = op;
    ret_s->q.expect_version = COORD_VERSION_ANY;
}

int coord__join_path(char out[COORD_PATH_MAX + 1], size_t prefix_bytes, const char *path,
                     struct coord_bytes *ret_path)
{
    if (path == NULL) {
        return COORD_EINVAL;
    }
    size_t len = strlen(path);
    if (path[0] != '/' || len > COORD_PATH_MAX - prefix_bytes) {
        return COORD_EBADPATH;
    }
    if (len == 1 && prefix_bytes > 0) {
        len = 0; /* "/" is the prefix itself */
    }
    memcpy(out + prefix_bytes, path, len);
    len += prefix_bytes;
    out[len] = 0;
    if (coord_path_check(out, len, NULL, 0) < 0) {
        return COORD_EBADPATH;
    }
    ret_path->data = (const uint8_t *)out;
    ret_path->len = (uint32_t)len;
    return 0;
}

int coord__make_path(struct coord *c, const char *path, struct coord__submission *s)
{
    if (c == NULL) {
        return COORD_EINVAL;
    }
    memcpy(s->path, c->prefix, c->prefix_bytes);
    return coord__join_path(s->path, c->prefix_bytes, path, &s->q.path);
}

int coord__set_data(const void *data, size_t data_bytes, struct coord_bytes *ret_data)
{
    if (data == NULL && data_bytes > 0) {
        return COORD_EINVAL;
    }
    if (data_bytes > COORD__PENDING_BYTES_MAX) {
        return COORD_ETOOBIG;
    }
    ret_data->data = data;
    ret_data->len = (uint32_t)data_bytes;
    return 0;
}

int coord__set_create(const struct coord_call *call, struct coord_request *q)
{
    q->flags = call_of(call)->flags;
    q->ttl_ms = call_of(call)->ttl_ms;
    return (q->flags & ~(uint32_t)ALL_CREATE_FLAGS) != 0 ? COORD_EINVAL : 0;
}

int coord__set_conditions(const struct coord_call *how, struct coord_request *q)
{
    const struct coord_call *call = call_of(how);
    if ((call->conditions & ~(uint32_t)ALL_CONDITIONS) != 0) {
        return COORD_EINVAL;
    }
    if ((call->conditions & COORD_IF_VERSION) != 0) {
        if (call->version > INT64_MAX) {
            return COORD_EINVAL;
        }
        q->expect_version = (int64_t)call->version;
    }
    /* 0 means any in the protocol, and is the revision of nothing. */
    if ((call->conditions & COORD_IF_MODIFIED) != 0) {
        q->expect_modified = call->modified;
        if (call->modified == 0) {
            return COORD_EINVAL;
        }
    }
    if ((call->conditions & COORD_IF_CREATED) != 0) {
        q->expect_created = call->created;
        if (call->created == 0) {
            return COORD_EINVAL;
        }
    }
    return 0;
}

int coord__set_delete(const struct coord_call *call, struct coord_request *q)
{
    uint32_t flags = call_of(call)->flags;
    if ((flags & ~(uint32_t)COORD_RECURSIVE) != 0) {
        return COORD_EINVAL;
    }
    q->flags = flags != 0 ? COORD_DELETE_RECURSIVE : 0;
    return coord__set_conditions(call, q);
}

int coord__make_create(struct coord *c, const char *path, const void *data, size_t data_bytes,
                       const struct coord_call *call, struct coord__submission *ret_s)
{
    coord__make_plain(COORD_OP_CREATE, ret_s);
    int err = coord__make_path(c, path, ret_s);
    if (err == 0) {
        err = coord__set_create(call, &ret_s->q);
    }
    return err < 0 ? err : coord__set_data(data, data_bytes, &ret_s->q.data);
}

int coord__make_set(struct coord *c, const char *path, const void *data, size_t data_bytes,
                    const struct coord_call *call, struct coord__submission *ret_s)
{
    coord__make_plain(COORD_OP_SET, ret_s);
    int err = coord__make_path(c, path, ret_s);
    if (err == 0) {
        err = coord__set_conditions(call, &ret_s->q);
    }
    return err < 0 ? err : coord__set_data(data, data_bytes, &ret_s->q.data);
}

int coord__make_delete(struct coord *c, const char *path, const struct coord_call *call,
                       struct coord__submission *ret_s)
{
    coord__make_plain(COORD_OP_DELETE, ret_s);
    int err = coord__make_path(c, path, ret_s);
    return err < 0 ? err : coord__set_delete(call, &ret_s->q);
}

int coord__make_increment(struct coord *c, const char *path, int64_t delta,
                          const struct coord_call *call, struct coord__submission *ret_s)
{
    coord__make_plain(COORD_OP_INCREMENT, ret_s);
    ret_s->q.delta = delta;
    int err = coord__make_path(c, path, ret_s);
    return err < 0 ? err : coord__set_conditions(call, &ret_s->q);
}

int coord__make_rename(struct coord *c, const char *path, const char *to,
                       const struct coord_call *call, struct coord__submission *ret_s)
{
    coord__make_plain(COORD_OP_RENAME, ret_s);
    int err = coord__make_path(c, path, ret_s);
    if (err < 0) {
        return err;
    }
    memcpy(ret_s->to, c->prefix, c->prefix_bytes);
    err = coord__join_path(ret_s->to, c->prefix_bytes, to, &ret_s->q.to);
    return err < 0 ? err : coord__set_conditions(call, &ret_s->q);
}

int coord__make_quota(struct coord *c, const char *path, uint64_t nodes, uint64_t bytes,
                      struct coord__submission *ret_s)
{
    coord__make_plain(COORD_OP_QUOTA, ret_s);
    ret_s->q.quota_nodes = nodes;
    ret_s->q.quota_bytes = bytes;
    return coord__make_path(c, path, ret_s);
}

int coord__set_level(const struct coord *c, const struct coord_call *how,
                     struct coord__submission *s)
{
    const struct coord_call *call = call_of(how);
    bool own = call->consistency != COORD_DEFAULT;
    enum coord_consistency level = own ? call->consistency : c->consistency;
    if (level < COORD_LINEARIZABLE || level > COORD_LOCAL) {
        return COORD_EINVAL;
    }
    s->q.level = coord__convert_level(level);
    if (level == COORD_BOUNDED) {
        s->q.level_arg = own ? call->bound_ms : c->bound_ms;
    }
    return 0;
}

int coord__set_page(const struct coord_call *call, struct coord_request *q)
{
    const struct coord_call *how = call_of(call);
    size_t after = how->after != NULL ? strlen(how->after) : 0;
    if (after > COORD_PATH_MAX) {
        return COORD_EINVAL;
    }
    q->limit = how->limit;
    if (after > 0) {
        q->after.data = (const uint8_t *)how->after;
        q->after.len = (uint32_t)after;
    }
    return 0;
}

int coord__make_read(struct coord *c, enum coord_op op, const char *path,
                     const struct coord_call *call, struct coord__submission *ret_s)
{
    const struct coord_call *how = call_of(call);
    coord__make_plain(op, ret_s);
    int err = coord__make_path(c, path, ret_s);
    if (err == 0) {
        err = coord__set_level(c, how, ret_s);
    }
    if (err < 0 || op != COORD_OP_LIST) {
        return err;
    }
    if ((how->flags & ~(uint32_t)ALL_LIST_FLAGS) != 0) {
        return COORD_EINVAL;
    }
    ret_s->q.flags = how->flags;
    return coord__set_page(call, &ret_s->q);
}

int coord__make_partition(const uint32_t *members, uint32_t count, struct coord__submission *ret_s)
{
    coord__make_plain(COORD_OP_PARTITION, ret_s);
    if (count > COORD_MEMBERS_MAX || (members == NULL && count > 0)) {
        return COORD_EINVAL;
    }
    ret_s->q.members_count = count;
    if (count > 0) {
        memcpy(ret_s->q.members, members, count * sizeof(members[0]));
    }
    return 0;
}

int coord__submit_locked(struct coord *c, const struct coord__submission *s,
                         const struct coord_call *call, coord_reply_cb cb, void *arg,
                         struct coord__waiter *waiter)
{
    const struct coord_call *how = call_of(call);
    if (how->timeout_ms > CALL_TIMEOUT_MS_MAX) {
        return COORD_EINVAL;
    }
    struct coord__request *r = coord__request_create(COORD__USER, &s->q);
    if (r == NULL) {
        return COORD_ENOMEM;
    }
    r->cb = cb;
    r->arg = arg;
    r->waiter = waiter;
    r->fail_fast = how->fail_fast;
    r->wait_quorum = how->wait_quorum;
    r->prefix_bytes = c->prefix_bytes;
    uint32_t timeout_ms = how->timeout_ms != 0 ? how->timeout_ms : c->request_timeout_ms;
    uint64_t now = coord__now();
    int err = coord__core_submit(c->core, r, timeout_ms, now);
    if (err < 0) {
        coord__request_free(r);
        return err;
    }
    if (c->recorder != NULL) {
        coord__record_call(c->recorder, r, now);
    }
    if (how->ret_request != NULL) {
        *how->ret_request = r->id;
    }
    return 0;
}

/* --- the asynchronous calls ------------------------------------------------------------------- */

int coord__submit(struct coord *c, const struct coord__submission *s, const struct coord_call *call,
                  coord_reply_cb cb, void *arg)
{
    int err = coord__handle_enter(c);
    if (err < 0) {
        return err;
    }
    err = coord__submit_locked(c, s, call, cb, arg, NULL);
    if (err == 0) {
        coord__wake(c);
    }
    coord__handle_leave(c);
    return err;
}

int coord_create(struct coord *c, const char *path, const void *data, size_t data_bytes,
                 const struct coord_call *call, coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    int err = coord__make_create(c, path, data, data_bytes, call, &s);
    return err < 0 ? err : coord__submit(c, &s, call, cb, arg);
}

int coord_set(struct coord *c, const char *path, const void *data, size_t data_bytes,
              const struct coord_call *call, coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    int err = coord__make_set(c, path, data, data_bytes, call, &s);
    return err < 0 ? err : coord__submit(c, &s, call, cb, arg);
}

int coord_delete(struct coord *c, const char *path, const struct coord_call *call,
                 coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    int err = coord__make_delete(c, path, call, &s);
    return err < 0 ? err : coord__submit(c, &s, call, cb, arg);
}

int coord_increment(struct coord *c, const char *path, int64_t delta, const struct coord_call *call,
                    coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    int err = coord__make_increment(c, path, delta, call, &s);
    return err < 0 ? err : coord__submit(c, &s, call, cb, arg);
}

int coord_rename(struct coord *c, const char *path, const char *to, const struct coord_call *call,
                 coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    int err = coord__make_rename(c, path, to, call, &s);
    return err < 0 ? err : coord__submit(c, &s, call, cb, arg);
}

int coord_quota(struct coord *c, const char *path, uint64_t nodes, uint64_t bytes,
                const struct coord_call *call, coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    int err = coord__make_quota(c, path, nodes, bytes, &s);
    return err < 0 ? err : coord__submit(c, &s, call, cb, arg);
}

static int read_async(struct coord *c, enum coord_op op, const char *path,
                      const struct coord_call *call, coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    int err = coord__make_read(c, op, path, call, &s);
    return err < 0 ? err : coord__submit(c, &s, call, cb, arg);
}

int coord_get(struct coord *c, const char *path, const struct coord_call *call, coord_reply_cb cb,
              void *arg)
{
    return read_async(c, COORD_OP_GET, path, call, cb, arg);
}

int coord_exists(struct coord *c, const char *path, const struct coord_call *call,
                 coord_reply_cb cb, void *arg)
{
    return read_async(c, COORD_OP_EXISTS, path, call, cb, arg);
}

int coord_stat(struct coord *c, const char *path, const struct coord_call *call, coord_reply_cb cb,
               void *arg)
{
    return read_async(c, COORD_OP_STAT, path, call, cb, arg);
}

int coord_list(struct coord *c, const char *path, const struct coord_call *call, coord_reply_cb cb,
               void *arg)
{
    return read_async(c, COORD_OP_LIST, path, call, cb, arg);
}

int coord_usage(struct coord *c, const char *path, const struct coord_call *call, coord_reply_cb cb,
                void *arg)
{
    return read_async(c, COORD_OP_USAGE, path, call, cb, arg);
}

static int plain_async(struct coord *c, enum coord_op op, const struct coord_call *call,
                       coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    coord__make_plain(op, &s);
    return coord__submit(c, &s, call, cb, arg);
}

int coord_sync(struct coord *c, const struct coord_call *call, coord_reply_cb cb, void *arg)
{
    return plain_async(c, COORD_OP_SYNC, call, cb, arg);
}

int coord_status(struct coord *c, const struct coord_call *call, coord_reply_cb cb, void *arg)
{
    return plain_async(c, COORD_OP_STATUS, call, cb, arg);
}

int coord_session_open(struct coord *c, const struct coord_call *call, coord_reply_cb cb, void *arg)
{
    return plain_async(c, COORD_OP_SESSION_OPEN, call, cb, arg);
}

int coord_session_close(struct coord *c, const struct coord_call *call, coord_reply_cb cb,
                        void *arg)
{
    return plain_async(c, COORD_OP_SESSION_CLOSE, call, cb, arg);
}

int coord_partition(struct coord *c, const uint32_t *members, uint32_t count,
                    const struct coord_call *call, coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    int err = coord__make_partition(members, count, &s);
    return err < 0 ? err : coord__submit(c, &s, call, cb, arg);
}

enum coord_outcome coord_outcome(struct coord *c, uint64_t request)
{
    if (coord__handle_enter(c) < 0) {
        return COORD_OUTCOME_UNKNOWN;
    }
    enum coord_outcome outcome = coord__core_outcome(c->core, request);
    coord__handle_leave(c);
    return outcome;
}
