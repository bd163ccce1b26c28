/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.h: turns the host names of peers into addresses without ever holding up the loop: a thread
 * of its own asks the system's resolver, which may take seconds. It is started only when a name is used.
 *
 * Thread: the functions are the loop's.
 */
#ifndef COORD_SERVER_SHELL_RESOLVER_H
#define COORD_SERVER_SHELL_RESOLVER_H

#include "server/shell/net.h"

struct resolver;

/* Errors: -ENOMEM. Return: 0 or negative. */
int resolver_create(struct resolver **ret_r);
/* Waits for the lookup under way. NULL is accepted. */
void resolver_destroy(struct resolver *r);

enum resolver_answer {
    RESOLVER_PENDING = 0, /* being looked up: ask again later */
    RESOLVER_OK = 1,
    RESOLVER_FAILED = 2 /* *ret_why says why; the next call looks it up anew */
};

/* Look up the name that belongs to `place` (0 .. CONF_MEMBERS_MAX - 1, always the same name). An answer
 * is given once: after a connection attempt with it failed, the name is looked up anew. */
enum resolver_answer resolver_ask(struct resolver *r, unsigned place, const struct conf_address *a,
                                  struct net_address *ret_n, const char **ret_why);

#endif
