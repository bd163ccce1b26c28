/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_machine_fixture.h: a machine, entries for it, and its decoded answers, for the tests of
 * server/machine. Answers travel as in production: encoded by the machine, joined to a reply, decoded.
 */
#ifndef COORD_TESTS_TEST_MACHINE_FIXTURE_H
#define COORD_TESTS_TEST_MACHINE_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/machine/machine.h"

struct fixture {
    struct machine *m;
    uint64_t revision;
    uint64_t time_ms;
    struct machine_outcome o;
    struct coord_buf *reply; /* what res points into */
    struct coord_result res;
    struct coord_buf *entry; /* the last one applied */
};

static inline struct coord_bytes str(const char *s)
{
    return (struct coord_bytes){(const uint8_t *)s, s == NULL ? 0 : (uint32_t)strlen(s)};
}

static inline bool is(struct coord_bytes b, const char *s)
{
    return b.data != NULL && b.len == strlen(s) && memcmp(b.data, s, b.len) == 0;
}

static inline void fixture_open(struct fixture *f, const struct machine_limits *l)
{
    struct machine_limits defaults;
    machine_limits_init(&defaults);
    memset(f, 0, sizeof(*f));
    f->m = machine_create(l == NULL ? &defaults : l);
    ck_assert_ptr_nonnull(f->m);
    f->time_ms = 1700000000000;
}

static inline void fixture_close(struct fixture *f)
{
    machine_destroy(f->m);
    coord_buf_unref(f->reply);
    coord_buf_unref(f->entry);
}

/* Decode what the outcome holds for the client into f->res. */
static inline void fixture_decode(struct fixture *f)
{
    coord_buf_unref(f->reply);
    f->reply = NULL;
    memset(&f->res, 0, sizeof(f->res));
    f->res.error = f->o.error;
    if (f->o.body == NULL) {
        return;
    }
    const struct coord_receipt receipt = {.member = 1, .role = 4};
    struct coord_bytes body = {f->o.body->data, f->o.body->len};
    ck_assert_int_eq(coord_reply_join(1, f->o.error, &receipt, body, &f->reply), 0);
    char why[128] = "";
    int rc =
        coord_result_decode(f->o.op, f->reply->data + COORD_FRAME_HEADER_BYTES,
                            f->reply->len - COORD_FRAME_HEADER_BYTES, &f->res, why, sizeof(why));
    ck_assert_msg(rc == 0, "the answer does not decode: %s", why);
    ck_assert_int_eq(f->res.error, f->o.error);
}

/* Apply an entry of this head, its body being `before` and then `body`. */
static inline int fixture_apply(struct fixture *f, struct entry e, const void *before,
                                size_t before_bytes, const void *body, size_t body_bytes)
{
    coord_buf_unref(f->entry);
    f->entry = coord_buf_create(ENTRY_HEADER_BYTES + before_bytes + body_bytes);
    e.body_bytes = (uint32_t)(before_bytes + body_bytes);
    e.origin = e.origin == 0 ? 1 : e.origin;
    if (e.time_ms == 0) {
        e.time_ms = ++f->time_ms;
    }
    entry_header_encode(&e, f->entry->data);
    if (before_bytes > 0) {
        memcpy(f->entry->data + ENTRY_HEADER_BYTES, before, before_bytes);
    }
    if (body_bytes > 0) {
        memcpy(f->entry->data + ENTRY_HEADER_BYTES + before_bytes, body, body_bytes);
    }
    f->entry->len = (uint32_t)(ENTRY_HEADER_BYTES + before_bytes + body_bytes);
    machine_apply(f->m, ++f->revision, f->entry->data, f->entry->len, &f->o);
    fixture_decode(f);
    return f->o.error;
}

/* Apply a request as a REQUEST entry through that attachment. */
static inline int fixture_request(struct fixture *f, uint64_t session, uint64_t epoch,
                                  const struct coord_request *q)
{
    struct coord_buf *b = NULL;
    ck_assert_int_eq(coord_request_encode(q, &b), 0);
    struct entry e = {.kind = ENTRY_REQUEST, .session = session, .epoch = epoch};
    int rc = fixture_apply(f, e, NULL, 0, b->data + COORD_FRAME_HEADER_BYTES,
                           b->len - COORD_FRAME_HEADER_BYTES);
    coord_buf_unref(b);
    return rc;
}

static inline void fixture_secret(uint8_t fill, uint8_t out[COORD_SECRET_BYTES])
{
    memset(out, fill, COORD_SECRET_BYTES);
}

/* Open a session with a secret made of `fill`. Return: its id. */
static inline uint64_t fixture_session(struct fixture *f, uint8_t fill, uint64_t timeout_ms)
{
    uint8_t secret[COORD_SECRET_BYTES];
    struct coord_buf *b = NULL;
    struct coord_request q = {.number = 1, .op = COORD_OP_SESSION_OPEN, .timeout_ms = timeout_ms};
    fixture_secret(fill, secret);
    ck_assert_int_eq(coord_request_encode(&q, &b), 0);
    struct entry e = {.kind = ENTRY_OPEN};
    int rc = fixture_apply(f, e, secret, sizeof(secret), b->data + COORD_FRAME_HEADER_BYTES,
                           b->len - COORD_FRAME_HEADER_BYTES);
    coord_buf_unref(b);
    return rc == 0 ? f->o.session : 0;
}

static inline int fixture_attach(struct fixture *f, uint64_t session, uint8_t fill)
{
    uint8_t secret[COORD_SECRET_BYTES];
    fixture_secret(fill, secret);
    struct entry e = {.kind = ENTRY_ATTACH, .session = session};
    return fixture_apply(f, e, NULL, 0, secret, sizeof(secret));
}

static inline int fixture_expire(struct fixture *f, const uint64_t *pairs, size_t count)
{
    uint8_t body[256];
    ck_assert_uint_le(count * 16, sizeof(body));
    for (size_t i = 0; i < count * 2; i++) {
        for (size_t j = 0; j < 8; j++) {
            body[i * 8 + j] = (uint8_t)(pairs[i] >> (8 * j));
        }
    }
    return fixture_apply(f, (struct entry){.kind = ENTRY_EXPIRE}, NULL, 0, body, count * 16);
}

/* --- requests without a session, or in session s with number n -------------------------------- */

static inline int do_create(struct fixture *f, const char *path, const char *data, uint32_t flags)
{
    struct coord_request q = {.number = 1,
                              .op = COORD_OP_CREATE,
                              .path = str(path),
                              .data = str(data),
                              .flags = flags,
                              .ttl_ms = (flags & COORD_F_TTL) != 0 ? 5000 : 0};
    return fixture_request(f, 0, 0, &q);
}

static inline int do_set(struct fixture *f, const char *path, const char *data)
{
    struct coord_request q = {.number = 1,
                              .op = COORD_OP_SET,
                              .path = str(path),
                              .data = str(data),
                              .expect_version = COORD_VERSION_ANY};
    return fixture_request(f, 0, 0, &q);
}

static inline int do_delete(struct fixture *f, const char *path)
{
    struct coord_request q = {
        .number = 1, .op = COORD_OP_DELETE, .path = str(path), .expect_version = COORD_VERSION_ANY};
    return fixture_request(f, 0, 0, &q);
}

static inline int do_create_in(struct fixture *f, uint64_t session, uint64_t number,
                               const char *path, uint32_t flags)
{
    struct coord_request q = {
        .number = number, .op = COORD_OP_CREATE, .path = str(path), .flags = flags};
    return fixture_request(f, session, session, &q);
}

static inline struct coord_result do_read(struct fixture *f, enum coord_op op, const char *path)
{
    struct coord_request q = {.number = 1, .op = op, .path = str(path)};
    struct coord_result res;
    int rc = machine_read(f->m, &q, &res);
    ck_assert_int_eq(rc, res.error);
    return res;
}

static inline struct coord_node_stat stat_of(struct fixture *f, const char *path)
{
    struct coord_result res = do_read(f, COORD_OP_STAT, path);
    ck_assert_msg(res.error == 0, "stat of %s: %d", path, res.error);
    return res.stat;
}

static inline bool exists(struct fixture *f, const char *path)
{
    struct coord_result res = do_read(f, COORD_OP_EXISTS, path);
    ck_assert_int_eq(res.error, 0);
    return res.exists;
}

#endif
