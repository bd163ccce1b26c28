/* SPDX-License-Identifier: Apache-2.0 */
/* net.c: see net.h. Any thread. */
#include "server/shell/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define NET_BACKLOG 4096 /* a whole ensemble's clients may come at once; the kernel caps it */

static bool v4_set(const char *host, uint16_t port, struct net_address *n)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &in.sin_addr) != 1) {
        return false;
    }
    memcpy(&n->addr, &in, sizeof(in));
    n->len = sizeof(in);
    return true;
}

static bool v6_set(const char *host, uint16_t port, struct net_address *n)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET6, host, &in.sin6_addr) != 1) {
        return false;
    }
    memcpy(&n->addr, &in, sizeof(in));
    n->len = sizeof(in);
    return true;
}

bool net_address_numeric(const struct conf_address *a, struct net_address *ret_n)
{
    struct net_address n = {.len = 0};
    if (!v4_set(a->host, a->port, &n) && !v6_set(a->host, a->port, &n)) {
        return false;
    }
    *ret_n = n;
    return true;
}

const char *net_address_resolve(const struct conf_address *a, struct net_address *ret_n)
{
    if (net_address_numeric(a, ret_n)) {
        return NULL;
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", (unsigned)a->port);
    hints.ai_flags = AI_NUMERICSERV;
    int rc = getaddrinfo(a->host, port, &hints, &list);
    if (rc != 0) {
        return gai_strerror(rc);
    }
    struct net_address n = {.len = list->ai_addrlen};
    memcpy(&n.addr, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    *ret_n = n;
    return NULL;
}

int net_listen(const struct conf_address *a, const char *what, char *err, size_t err_bytes)
{
    char name[CONF_HOST_BYTES_MAX + 16];
    struct net_address n;
    conf_address_format(a, name, sizeof(name));
    const char *why = net_address_resolve(a, &n);
    if (why != NULL) {
        (void)snprintf(err, err_bytes, "cannot listen for %s on %s: %s", what, name, why);
        return -1;
    }
    int one = 1;
    int fd = socket(n.addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (const struct sockaddr *)&n.addr, n.len) < 0 || listen(fd, NET_BACKLOG) < 0) {
        (void)snprintf(err, err_bytes, "cannot listen for %s on %s: %s", what, name,
                       strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    return fd;
}

int net_accept(int listener, struct net_address *ret_from)
{
    struct net_address n = {.len = sizeof(n.addr)};
    int fd = accept4(listener, (struct sockaddr *)&n.addr, &n.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        *ret_from = n;
    }
    return fd;
}

void net_tune(int fd, unsigned dead_ms)
{
    int one = 1;
    int idle_s = dead_ms / 1000 < 2 ? 1 : (int)(dead_ms / 2000);
    int step_s = dead_ms / 1000 < 4 ? 1 : (int)(dead_ms / 4000);
    int count = 2;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &step_s, sizeof(step_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof(dead_ms));
}

void net_address_format(const struct net_address *n, char out[NET_SOURCE_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (n->addr.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &n->addr, sizeof(in));
        (void)inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
        (void)snprintf(out, NET_SOURCE_BYTES, "%s:%u", host, (unsigned)ntohs(in.sin_port));
    } else if (n->addr.ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, &n->addr, sizeof(in));
        (void)inet_ntop(AF_INET6, &in.sin6_addr, host, sizeof(host));
        (void)snprintf(out, NET_SOURCE_BYTES, "[%s]:%u", host, (unsigned)ntohs(in.sin6_port));
    } else {
        (void)snprintf(out, NET_SOURCE_BYTES, "local");
    }
}

uint64_t net_descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return 1024;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit more = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0) {
            limit = more;
        }
    }
    return limit.rlim_cur;
}
