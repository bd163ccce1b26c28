/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn.c: transactions: putting one together, and committing it.
 *
 * A transaction under construction is already in the form of the protocol, item by item
 * (coord_if_encode, coord_txn_op_encode), but with paths as the user knows them. A commit through a
 * handle with a prefix reads the items back and writes them anew with the prefix on; without one the
 * bytes are sent as they are.
 *
 * Invariants
 *   1. Each list holds whole items only, and as many as its count says.
 *   2. After the first error nothing is added and nothing can be committed.
 *
 * Leaves to others: what the servers check anyway (request.c says which), the servers' limits
 * (coord__request_check).
 * Thread: the builder of a transaction; commits as coord.h says for the handle.
 */
#include <assert.h>
#include <string.h>
#include "client/core/limits.h"
#include "client/core/mem.h"
#include "client/shell/request.h"
#include "client/shell/sync.h"
#include "protocol/buf.h"

#define ITEMS_MAX 65535u

struct list {
    struct coord_buf *buf; /* NULL while it is empty */
    uint32_t count;
};

struct coord_txn {
    int error; /* the first */
    struct list ifs;
    struct list thens;
    struct list elses;
};

struct coord_txn *coord_txn_new(void)
{
    return coord__alloc(sizeof(struct coord_txn));
}

static void list_clear(struct list *l)
{
    coord_buf_unref(l->buf);
    l->buf = NULL;
    l->count = 0;
}

void coord_txn_free(struct coord_txn *t)
{
    if (t != NULL) {
        list_clear(&t->ifs);
        list_clear(&t->thens);
        list_clear(&t->elses);
        coord__free(t);
    }
}

static uint64_t list_bytes(const struct list *l)
{
    return l->buf != NULL ? l->buf->len : 0;
}

/* Is there room for one more item of about `bytes`? */
static int room(const struct coord_txn *t, const struct list *l, uint64_t bytes)
{
    uint64_t all = list_bytes(&t->ifs) + list_bytes(&t->thens) + list_bytes(&t->elses);
    if (l->count >= ITEMS_MAX) {
        return COORD_ELIMIT;
    }
    return all + bytes > COORD__PENDING_BYTES_MAX ? COORD_ETOOBIG : 0;
}

/* Keep the first error. Return: it. */
static int keep(struct coord_txn *t, int err)
{
    if (t->error == 0) {
        t->error = err;
    }
    return t->error;
}

/* --- conditions -------------------------------------------------------------------------------- */

static int add_if(struct coord_txn *t, struct coord_if *c, const char *path)
{
    char text[COORD_PATH_MAX + 1];
    if (t == NULL || t->error != 0) {
        return t == NULL ? COORD_ENOMEM : t->error;
    }
    int err = coord__join_path(text, 0, path, &c->path);
    if (err == 0) {
        err = room(t, &t->ifs, (uint64_t)c->path.len + c->data.len);
    }
    if (err == 0) {
        err = coord_if_encode(c, &t->ifs.buf);
    }
    if (err == 0) {
        t->ifs.count++;
    }
    return keep(t, err);
}

static int add_number(struct coord_txn *t, enum coord_when kind, const char *path, uint64_t number)
{
    struct coord_if c = {.kind = kind, .number = number};
    return add_if(t, &c, path);
}

/* 0 is the revision of nothing. */
static int add_revision(struct coord_txn *t, enum coord_when kind, const char *path,
                        uint64_t revision)
{
    if (t != NULL && revision == 0) {
        return keep(t, COORD_EINVAL);
    }
    return add_number(t, kind, path, revision);
}

int coord_txn_if_exists(struct coord_txn *t, const char *path)
{
    return add_number(t, COORD_WHEN_EXISTS, path, 0);
}

int coord_txn_if_absent(struct coord_txn *t, const char *path)
{
    return add_number(t, COORD_WHEN_ABSENT, path, 0);
}

int coord_txn_if_version(struct coord_txn *t, const char *path, uint64_t version)
{
    return add_number(t, COORD_WHEN_VERSION, path, version);
}

int coord_txn_if_modified(struct coord_txn *t, const char *path, uint64_t revision)
{
    return add_revision(t, COORD_WHEN_MODIFIED, path, revision);
}

int coord_txn_if_created(struct coord_txn *t, const char *path, uint64_t revision)
{
    return add_revision(t, COORD_WHEN_CREATED, path, revision);
}

int coord_txn_if_value(struct coord_txn *t, const char *path, const void *data, size_t data_bytes)
{
    struct coord_if c = {.kind = COORD_WHEN_VALUE};
    int err = coord__set_data(data, data_bytes, &c.data);
    if (t != NULL && err < 0) {
        return keep(t, err);
    }
    return add_if(t, &c, path);
}

int coord_txn_if_children(struct coord_txn *t, const char *path, uint64_t count)
{
    return add_number(t, COORD_WHEN_CHILDREN, path, count);
}

int coord_txn_if_owner(struct coord_txn *t, const char *path, uint64_t session)
{
    return add_number(t, COORD_WHEN_OWNER, path, session);
}

int coord_txn_if_held(struct coord_txn *t, const char *directory, uint64_t token)
{
    return add_revision(t, COORD_WHEN_HELD, directory, token);
}

/* --- operations -------------------------------------------------------------------------------- */

/* One operation: q's own fields are set, but for the paths; err: what went wrong with them. */
static int add_op(struct coord_txn *t, enum coord_branch branch, struct coord_request *q,
                  const char *path, const char *to, int err)
{
    char path_text[COORD_PATH_MAX + 1];
    char to_text[COORD_PATH_MAX + 1];
    if (t == NULL || t->error != 0) {
        return t == NULL ? COORD_ENOMEM : t->error;
    }
    if (branch != COORD_THEN && branch != COORD_ELSE) {
        return keep(t, COORD_EINVAL);
    }
    struct list *l = branch == COORD_THEN ? &t->thens : &t->elses;
    if (err == 0) {
        err = coord__join_path(path_text, 0, path, &q->path);
    }
    if (err == 0 && q->op == COORD_OP_RENAME) {
        err = coord__join_path(to_text, 0, to, &q->to);
    }
    if (err == 0) {
        err = room(t, l, (uint64_t)q->path.len + q->to.len + q->data.len);
    }
    if (err == 0) {
        err = coord_txn_op_encode(q, &l->buf);
    }
    if (err == 0) {
        l->count++;
    }
    return keep(t, err);
}

static struct coord_request plain(enum coord_op op)
{
    return (struct coord_request){.op = op, .expect_version = COORD_VERSION_ANY};
}

int coord_txn_create(struct coord_txn *t, enum coord_branch branch, const char *path,
                     const void *data, size_t data_bytes, const struct coord_call *call)
{
    struct coord_request q = plain(COORD_OP_CREATE);
    int err = coord__set_create(call, &q);
    if (err == 0) {
        err = coord__set_data(data, data_bytes, &q.data);
    }
    return add_op(t, branch, &q, path, NULL, err);
}

static int add_read(struct coord_txn *t, enum coord_branch branch, enum coord_op op,
                    const char *path)
{
    struct coord_request q = plain(op);
    return add_op(t, branch, &q, path, NULL, 0);
}

int coord_txn_get(struct coord_txn *t, enum coord_branch branch, const char *path)
{
    return add_read(t, branch, COORD_OP_GET, path);
}

int coord_txn_exists(struct coord_txn *t, enum coord_branch branch, const char *path)
{
    return add_read(t, branch, COORD_OP_EXISTS, path);
}

int coord_txn_stat(struct coord_txn *t, enum coord_branch branch, const char *path)
{
    return add_read(t, branch, COORD_OP_STAT, path);
}

int coord_txn_set(struct coord_txn *t, enum coord_branch branch, const char *path, const void *data,
                  size_t data_bytes, const struct coord_call *call)
{
    struct coord_request q = plain(COORD_OP_SET);
    int err = coord__set_conditions(call, &q);
    if (err == 0) {
        err = coord__set_data(data, data_bytes, &q.data);
    }
    return add_op(t, branch, &q, path, NULL, err);
}

int coord_txn_delete(struct coord_txn *t, enum coord_branch branch, const char *path,
                     const struct coord_call *call)
{
    struct coord_request q = plain(COORD_OP_DELETE);
    int err = coord__set_delete(call, &q);
    return add_op(t, branch, &q, path, NULL, err);
}

int coord_txn_increment(struct coord_txn *t, enum coord_branch branch, const char *path,
                        int64_t delta, const struct coord_call *call)
{
    struct coord_request q = plain(COORD_OP_INCREMENT);
    q.delta = delta;
    int err = coord__set_conditions(call, &q);
    return add_op(t, branch, &q, path, NULL, err);
}

int coord_txn_rename(struct coord_txn *t, enum coord_branch branch, const char *path,
                     const char *to, const struct coord_call *call)
{
    struct coord_request q = plain(COORD_OP_RENAME);
    int err = coord__set_conditions(call, &q);
    return add_op(t, branch, &q, path, to, err);
}

/* --- the prefix -------------------------------------------------------------------------------- */

/* Put the handle's prefix in front of *path, in text. Return: 0 or COORD_EBADPATH. */
static int prefix_put(const struct coord *c, char text[COORD_PATH_MAX + 1],
                      struct coord_bytes *path)
{
    uint32_t len = path->len == 1 ? 0 : path->len; /* "/" is the prefix itself */
    if (path->len == 0 || c->prefix_bytes + len > COORD_PATH_MAX) {
        return path->len == 0 ? 0 : COORD_EBADPATH;
    }
    memcpy(text, c->prefix, c->prefix_bytes);
    memcpy(text + c->prefix_bytes, path->data, len);
    *path = (struct coord_bytes){(const uint8_t *)text, (uint32_t)c->prefix_bytes + len};
    return 0;
}

static int prefix_ifs(const struct coord *c, const struct list *from, struct list *to)
{
    struct coord_bytes cursor = {from->buf->data, from->buf->len};
    char text[COORD_PATH_MAX + 1];
    struct coord_if one;
    int err = 0;
    while (err == 0 && coord_if_next(&cursor, &one) == 1) {
        err = prefix_put(c, text, &one.path);
        err = err < 0 ? err : coord_if_encode(&one, &to->buf);
        to->count++;
    }
    return err;
}

static int prefix_ops(const struct coord *c, const struct list *from, struct list *to)
{
    struct coord_bytes cursor = {from->buf->data, from->buf->len};
    char path[COORD_PATH_MAX + 1];
    char target[COORD_PATH_MAX + 1];
    struct coord_request q;
    int err = 0;
    while (err == 0 && coord_txn_op_next(&cursor, &q) == 1) {
        err = prefix_put(c, path, &q.path);
        err = err < 0 ? err : prefix_put(c, target, &q.to);
        err = err < 0 ? err : coord_txn_op_encode(&q, &to->buf);
        to->count++;
    }
    return err;
}

typedef int (*prefix_fn)(const struct coord *c, const struct list *from, struct list *to);

/* The list as c's servers are to see it. Ownership: *ret_l holds a reference. */
static int finish_list(const struct coord *c, const struct list *l, prefix_fn prefix,
                       struct list *ret_l)
{
    if (l->count == 0) {
        return 0;
    }
    if (c->prefix_bytes > 0) {
        int err = prefix(c, l, ret_l);
        assert(err < 0 || ret_l->count == l->count);
        return err;
    }
    ret_l->buf = coord_buf_ref(l->buf);
    ret_l->count = l->count;
    return 0;
}

static struct coord_items items_of(const struct list *l)
{
    struct coord_items items = {.count = l->count};
    if (l->buf != NULL) {
        items.raw = (struct coord_bytes){l->buf->data, l->buf->len};
    }
    return items;
}

/* --- committing -------------------------------------------------------------------------------- */

/* t as a request; its bytes are those of *ret_whole, which is to be cleared in any case. */
static int make_txn(const struct coord *c, const struct coord_txn *t, struct coord_txn *ret_whole,
                    struct coord__submission *ret_s)
{
    memset(ret_whole, 0, sizeof(*ret_whole));
    if (t == NULL || t->error != 0) {
        return t == NULL ? COORD_ENOMEM : t->error;
    }
    if (c == NULL) {
        return COORD_EINVAL;
    }
    int err = finish_list(c, &t->ifs, prefix_ifs, &ret_whole->ifs);
    if (err == 0) {
        err = finish_list(c, &t->thens, prefix_ops, &ret_whole->thens);
    }
    if (err == 0) {
        err = finish_list(c, &t->elses, prefix_ops, &ret_whole->elses);
    }
    coord__make_plain(COORD_OP_TXN, ret_s);
    ret_s->q.ifs = items_of(&ret_whole->ifs);
    ret_s->q.thens = items_of(&ret_whole->thens);
    ret_s->q.elses = items_of(&ret_whole->elses);
    return err;
}

static void clear(struct coord_txn *whole)
{
    list_clear(&whole->ifs);
    list_clear(&whole->thens);
    list_clear(&whole->elses);
}

int coord_txn_commit(struct coord *c, const struct coord_txn *t, const struct coord_call *call,
                     coord_reply_cb cb, void *arg)
{
    struct coord__submission s;
    struct coord_txn whole;
    int err = make_txn(c, t, &whole, &s);
    if (err == 0) {
        err = coord__submit(c, &s, call, cb, arg);
    }
    clear(&whole);
    return err;
}

int coord_txn_commit_sync(struct coord *c, const struct coord_txn *t, const struct coord_call *call,
                          struct coord_reply **ret_reply)
{
    struct coord__submission s;
    struct coord_txn whole;
    int err = make_txn(c, t, &whole, &s);
    err = err < 0 ? coord__no_reply(err, ret_reply) : coord__ask(c, &s, call, ret_reply);
    clear(&whole);
    return err;
}
