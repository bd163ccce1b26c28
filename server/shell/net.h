/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h: the few things that clients' and peers' sockets have in common: making listeners, telling the
 * kernel how to treat a connection, naming addresses. Thread: any.
 */
#ifndef COORD_SERVER_SHELL_NET_H
#define COORD_SERVER_SHELL_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "server/shell/conf.h"

#define NET_SOURCE_BYTES 64 /* "[v6 address]:port" */

struct net_address {
    struct sockaddr_storage addr;
    socklen_t len;
};

/* Turn an address into one that can be used without asking anybody.
 * Return: false when its host is a name. */
bool net_address_numeric(const struct conf_address *a, struct net_address *ret_n);
/* The same, asking the system's resolver; blocks. Return: NULL, or why not (static text). */
const char *net_address_resolve(const struct conf_address *a, struct net_address *ret_n);

/* Bind and listen, non-blocking and close-on-exec.
 * what: "clients" or "peers", for the message. err receives one line on failure.
 * Return: the descriptor or -1. */
int net_listen(const struct conf_address *a, const char *what, char *err, size_t err_bytes);

/* Accept one connection, non-blocking and close-on-exec, and name where it comes from.
 * Return: the descriptor, or -1 with errno. */
int net_accept(int listener, struct net_address *ret_from);

/* No Nagle, keep-alive, and an end to a connection whose other end is gone after about dead_ms.
 * Errors: ignored, a connection without them works as well. Return: none. */
void net_tune(int fd, unsigned dead_ms);

/* "127.0.0.1:53210". */
void net_address_format(const struct net_address *n, char out[NET_SOURCE_BYTES]);

/* Allow this process as many descriptors as the system lets it. Return: how many. */
uint64_t net_descriptors_raise(void);

#endif
