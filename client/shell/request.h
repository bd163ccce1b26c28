/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h: the arguments of a call as a request of the protocol, checked, for the files of
 * client/shell only. Both forms of a call (request.c, sync.c) use them, so neither can differ.
 *
 * Thread: any; c's options do not change.
 */
#ifndef COORD_CLIENT_SHELL_REQUEST_H
#define COORD_CLIENT_SHELL_REQUEST_H

#include "client/shell/handle.h"

/* A request before it is submitted; its bytes are the caller's still. */
struct coord__submission {
    struct coord_request q;        /* q.path points to `path`, q.to to `to` */
    char path[COORD_PATH_MAX + 1]; /* the servers', prefix included */
    char to[COORD_PATH_MAX + 1];
};

/* Errors: COORD_EINVAL, COORD_EBADPATH, COORD_ETOOBIG. Return: 0 or negative. */
int coord__make_create(struct coord *c, const char *path, const void *data, size_t data_bytes,
                       const struct coord_call *call, struct coord__submission *ret_s);
int coord__make_set(struct coord *c, const char *path, const void *data, size_t data_bytes,
                    const struct coord_call *call, struct coord__submission *ret_s);
int coord__make_delete(struct coord *c, const char *path, const struct coord_call *call,
                       struct coord__submission *ret_s);
int coord__make_increment(struct coord *c, const char *path, int64_t delta,
                          const struct coord_call *call, struct coord__submission *ret_s);
int coord__make_rename(struct coord *c, const char *path, const char *to,
                       const struct coord_call *call, struct coord__submission *ret_s);
int coord__make_quota(struct coord *c, const char *path, uint64_t nodes, uint64_t bytes,
                      struct coord__submission *ret_s);
/* GET, EXISTS, STAT, USAGE or LIST. */
int coord__make_read(struct coord *c, enum coord_op op, const char *path,
                     const struct coord_call *call, struct coord__submission *ret_s);
int coord__make_partition(const uint32_t *members, uint32_t count, struct coord__submission *ret_s);
/* An operation without arguments. */
void coord__make_plain(enum coord_op op, struct coord__submission *ret_s);
/* A path of the user as that of the servers, in s->q.path. */
int coord__make_path(struct coord *c, const char *path, struct coord__submission *s);

/* What both kinds of request, alone and in a transaction, take of a call. Return: 0 or COORD_EINVAL. */
int coord__set_create(const struct coord_call *call, struct coord_request *q);
int coord__set_conditions(const struct coord_call *call, struct coord_request *q);
int coord__set_delete(const struct coord_call *call, struct coord_request *q);
/* The level of a read; after and limit of a list. Return: 0 or COORD_EINVAL. */
int coord__set_level(const struct coord *c, const struct coord_call *how,
                     struct coord__submission *s);
int coord__set_page(const struct coord_call *call, struct coord_request *q);
/* Errors: COORD_EINVAL, COORD_ETOOBIG. */
int coord__set_data(const void *data, size_t data_bytes, struct coord_bytes *ret_data);
/* path behind the first prefix_bytes of out, which hold the prefix. Errors: COORD_EINVAL,
 * COORD_EBADPATH. */
int coord__join_path(char out[COORD_PATH_MAX + 1], size_t prefix_bytes, const char *path,
                     struct coord_bytes *ret_path);

/* Submit s for a callback. Errors: those of coord__handle_enter and coord__submit_locked. */
int coord__submit(struct coord *c, const struct coord__submission *s, const struct coord_call *call,
                  coord_reply_cb cb, void *arg);

/* Submit s for a callback or for a waiter. Locked by the caller.
 * Errors: COORD_EINVAL (call), COORD_ENOMEM, and those of coord__core_submit. */
int coord__submit_locked(struct coord *c, const struct coord__submission *s,
                         const struct coord_call *call, coord_reply_cb cb, void *arg,
                         struct coord__waiter *waiter);

/* There is none: sets *ret_reply to NULL and returns err. */
int coord__no_reply(int err, struct coord_reply **ret_reply);

#endif
