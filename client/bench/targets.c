/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets.c: see targets.h.
 */
#include <arpa/inet.h>
#include <string.h>
#include "client/bench/targets.h"
#include "client/cli/args.h"
#include "client/cli/cli.h"

static bool parse_one(const char *text, size_t n, struct sockaddr_in *ret_address)
{
    char word[64];
    uint64_t port = TARGETS_DEFAULT_PORT;
    struct sockaddr_in a = {.sin_family = AF_INET};

    if (n == 0 || n >= sizeof word) {
        return false;
    }
    memcpy(word, text, n);
    word[n] = '\0';
    char *colon = strchr(word, ':');
    if (colon != NULL) {
        *colon = '\0';
        if (!args_number(colon + 1, &port) || port < 1 || port > 65535) {
            return false;
        }
    }
    const char *host = strcmp(word, "localhost") == 0 ? "127.0.0.1" : word;
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
        return false;
    }
    a.sin_port = htons((uint16_t)port);
    *ret_address = a;
    return true;
}

bool targets_parse(const char *list, struct targets *ret_targets)
{
    const char *at = list != NULL ? list : "127.0.0.1";
    struct targets t = {.count = 0};

    for (;;) {
        size_t n = strcspn(at, ",");
        if (t.count == TARGETS_MAX || !parse_one(at, n, &t.addresses[t.count])) {
            return false;
        }
        t.count++;
        if (at[n] == '\0') {
            *ret_targets = t;
            return true;
        }
        at += n + 1;
    }
}

int targets_need(const char *list)
{
    struct targets t;

    return targets_parse(list, &t)
               ? EXIT_DONE
               : cli_usage(
                     "bench",
                     "--servers: lean connections (--wire, --watchers, --sessions) need at most "
                     "%u IPv4 addresses or localhost, each with a port or not; '%s' is not that",
                     TARGETS_MAX, list);
}
