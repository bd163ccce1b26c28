/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets.h: a list of servers "host:port,..." as IPv4 addresses, for lean connections and for finding the processes
 * behind them. Numeric addresses and "localhost" only: a benchmark does not measure the resolver. Pure. Thread: any.
 */
#ifndef COORD_BENCH_TARGETS_H
#define COORD_BENCH_TARGETS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define TARGETS_MAX          32u
#define TARGETS_DEFAULT_PORT 7410

struct targets {
    size_t count;
    struct sockaddr_in addresses[TARGETS_MAX];
};

/* list: NULL is 127.0.0.1:7410. Return: false when it is empty or has an entry that is not understood. */
bool targets_parse(const char *list, struct targets *ret_targets);

/* Is it such a list? Asked before a load that needs one, so that the mistake has a name. Return: EXIT_DONE, or EXIT_USAGE
 * with a message. */
int targets_need(const char *list);

#endif
