/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c: the options of a handle: defaults, checks, and the list of servers.
 *
 * Leaves to others: resolving names (resolve.c).
 * Thread: any; nothing is shared.
 */
#include "client/shell/handle.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "client/core/limits.h"

#define TIMEOUT_MS_MAX 3600000u

void coord_options_init(struct coord_options *o)
{
    memset(o, 0, sizeof(*o));
    o->session_timeout_ms = 10000;
    o->request_timeout_ms = 5000;
    o->connect_timeout_ms = 2000;
    o->backoff_min_ms = 20;
    o->backoff_max_ms = 1000;
    o->consistency = COORD_LINEARIZABLE;
    o->session = COORD_SESSIONS_LAZY;
}

static int wrong(char *why, size_t why_bytes, const char *what)
{
    if (why != NULL && why_bytes > 0) {
        (void)snprintf(why, why_bytes, "%s", what); /* cut when too long */
    }
    return COORD_EINVAL;
}

/* A decimal port, 1 .. 65535, and nothing else. */
static bool parse_port(const char *text, size_t len, uint16_t *ret_port)
{
    uint32_t port = 0;
    if (len == 0 || len > 5) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    if (port == 0 || port > 65535) {
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

/* If host is an address in numbers, set s->address. */
static void parse_numeric(struct coord__server *s)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(s->port)};
    if (inet_pton(AF_INET, s->host, &v4.sin_addr) == 1) {
        memcpy(&s->address.addr, &v4, sizeof(v4));
        s->address.len = sizeof(v4);
        s->numeric = true;
    } else if (inet_pton(AF_INET6, s->host, &v6.sin6_addr) == 1) {
        memcpy(&s->address.addr, &v6, sizeof(v6));
        s->address.len = sizeof(v6);
        s->numeric = true;
    }
}

/* "host", "host:port", "[v6]" or "[v6]:port", without blanks around it. */
static bool parse_server(const char *text, size_t len, struct coord__server *s)
{
    const char *host = text;
    size_t host_len = len;
    const char *rest = text + len;
    if (len > 0 && text[0] == '[') {
        const char *close = memchr(text, ']', len);
        if (close == NULL) {
            return false;
        }
        host = text + 1;
        host_len = (size_t)(close - host);
        rest = close + 1;
    } else {
        const char *colon = memchr(text, ':', len);
        if (colon != NULL) {
            host_len = (size_t)(colon - text);
            rest = colon;
        }
    }
    size_t rest_len = (size_t)(text + len - rest);
    if (host_len == 0 || host_len >= COORD__HOST_BYTES) {
        return false;
    }
    s->port = COORD__DEFAULT_PORT;
    if (rest_len > 0 && (rest[0] != ':' || !parse_port(rest + 1, rest_len - 1, &s->port))) {
        return false;
    }
    memcpy(s->host, host, host_len);
    s->host[host_len] = 0;
    parse_numeric(s);
    return s->numeric || text[0] != '[';
}

static int parse_servers(const char *text, struct coord *c, char *why, size_t why_bytes)
{
    char what[128];
    c->servers = coord__alloc(COORD_SERVERS_MAX * sizeof(*c->servers));
    if (c->servers == NULL) {
        return COORD_ENOMEM;
    }
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        const char *begin = at;
        const char *end = at + len;
        while (begin < end && *begin == ' ') {
            begin++;
        }
        while (end > begin && end[-1] == ' ') {
            end--;
        }
        if (c->servers_count == COORD_SERVERS_MAX) {
            return wrong(why, why_bytes, "servers: too many");
        }
        if (!parse_server(begin, (size_t)(end - begin), &c->servers[c->servers_count])) {
            (void)snprintf(what, sizeof(what), "servers: '%.*s' is not host:port or [v6]:port",
                           (int)(end - begin < 64 ? end - begin : 64), begin);
            return wrong(why, why_bytes, what);
        }
        c->servers_count++;
        at += len;
        if (*at == 0) {
            return 0;
        }
    }
}

static int take_prefix(const char *prefix, struct coord *c, char *why, size_t why_bytes)
{
    char rule[96] = "";
    char what[128];
    bool none = prefix == NULL || prefix[0] == 0 || strcmp(prefix, "/") == 0;
    if (!none && coord_path_check(prefix, strlen(prefix), rule, sizeof(rule)) < 0) {
        (void)snprintf(what, sizeof(what), "prefix: %s", rule);
        return wrong(why, why_bytes, what);
    }
    c->prefix = coord__strdup(none ? "" : prefix);
    if (c->prefix == NULL) {
        return COORD_ENOMEM;
    }
    c->prefix_bytes = strlen(c->prefix);
    return 0;
}

static bool in_range(uint32_t value)
{
    return value >= 1 && value <= TIMEOUT_MS_MAX;
}

/* Which of the plain options is impossible; NULL: none. */
static const char *check(const struct coord_options *o)
{
    if (!in_range(o->session_timeout_ms)) {
        return "session_timeout_ms: not within 1 .. 3600000";
    }
    if (!in_range(o->request_timeout_ms)) {
        return "request_timeout_ms: not within 1 .. 3600000";
    }
    if (!in_range(o->connect_timeout_ms)) {
        return "connect_timeout_ms: not within 1 .. 3600000";
    }
    if (!in_range(o->backoff_min_ms) || !in_range(o->backoff_max_ms) ||
        o->backoff_min_ms > o->backoff_max_ms) {
        return "backoff_min_ms, backoff_max_ms: not within 1 .. 3600000, or the wrong way round";
    }
    if (o->consistency < COORD_LINEARIZABLE || o->consistency > COORD_LOCAL) {
        return "consistency: no such level";
    }
    if (o->session > COORD_SESSIONS_OFF) {
        return "session: no such policy";
    }
    if (o->name != NULL && strlen(o->name) > COORD__NAME_BYTES_MAX) {
        return "name: longer than 64 bytes";
    }
    return NULL;
}

int coord__options_take(const struct coord_options *o, struct coord *c,
                        struct coord__core_options *k, char *why, size_t why_bytes)
{
    const char *what = check(o);
    if (what != NULL) {
        return wrong(why, why_bytes, what);
    }
    int err = take_prefix(o->prefix, c, why, why_bytes);
    if (err == 0) {
        err = parse_servers(o->servers != NULL ? o->servers : "127.0.0.1", c, why, why_bytes);
    }
    if (err < 0) {
        return err;
    }
    c->request_timeout_ms = o->request_timeout_ms;
    c->consistency = o->consistency;
    c->bound_ms = o->bound_ms;
    c->state_cb = o->state;
    c->state_arg = o->state_arg;
    k->servers_count = c->servers_count;
    k->name = o->name != NULL ? o->name : "libcoord";
    k->session_timeout_ms = o->session_timeout_ms;
    k->connect_timeout_ms = o->connect_timeout_ms;
    k->backoff_min_ms = o->backoff_min_ms;
    k->backoff_max_ms = o->backoff_max_ms;
    k->policy = o->session;
    k->in_order = o->in_order;
    return 0;
}
