/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve.c: names to addresses without waiting, by libevent's evdns on an event base of its own.
 *
 * The base's descriptor cannot be had from libevent, so while a name is being resolved the loop
 * looks every few milliseconds (COORD__RESOLVE_POLL_NS). Names are resolved anew for each attempt
 * to connect, so a server that moved is found. Addresses in numbers never come here.
 *
 * Leaves to others: connecting (net.c), giving up in time (the core's connect timeout).
 * Thread: the loop's.
 *
 * Invariant: a query's memory lives until evdns has called back, also after it was cancelled.
 */
#include "client/shell/handle.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "client/core/mem.h"

struct query {
    struct coord *c; /* NULL: cancelled, nobody waits */
    uint64_t link;
    uint16_t port;
    struct evdns_getaddrinfo_request *request; /* NULL once it called back */
};

struct coord__resolver {
    struct event_base *base;
    struct evdns_base *dns;
    struct query *query;
};

static struct coord__resolver *resolver_create(void)
{
    struct coord__resolver *r = coord__alloc(sizeof(*r));
    if (r == NULL) {
        return NULL;
    }
    r->base = event_base_new();
    if (r->base != NULL) {
        r->dns = evdns_base_new(r->base, EVDNS_BASE_INITIALIZE_NAMESERVERS);
        if (r->dns == NULL) {
            /* No usable resolv.conf: the hosts file still serves. */
            r->dns = evdns_base_new(r->base, 0);
            if (r->dns != NULL) {
                (void)evdns_base_load_hosts(r->dns, "/etc/hosts"); /* none: names are unknown */
            }
        }
    }
    if (r->dns == NULL) {
        coord__resolver_free(r, false);
        return NULL;
    }
    return r;
}

void coord__resolver_free(struct coord__resolver *r, bool child)
{
    if (r == NULL) {
        return;
    }
    if (child && r->base != NULL) {
        (void)event_reinit(r->base); /* leave the parent's epoll descriptor alone */
    }
    if (r->query != NULL) {
        r->query->c = NULL;
        if (r->query->request != NULL) {
            evdns_getaddrinfo_cancel(r->query->request);
        }
    }
    if (r->dns != NULL) {
        evdns_base_free(r->dns, 1); /* fails what is under way, which calls back from the loop */
    }
    if (r->base != NULL) {
        (void)event_base_loop(r->base, EVLOOP_NONBLOCK);
        event_base_free(r->base);
    }
    coord__free(r);
}

static uint32_t take_addresses(const struct evutil_addrinfo *ai, uint16_t port,
                               struct coord__address *out)
{
    uint32_t count = 0;
    for (; ai != NULL && count < COORD__ADDRESSES_MAX; ai = ai->ai_next) {
        struct coord__address *a = &out[count];
        if (ai->ai_addrlen > sizeof(a->addr)) {
            continue;
        }
        memset(a, 0, sizeof(*a));
        memcpy(&a->addr, ai->ai_addr, ai->ai_addrlen);
        a->len = (socklen_t)ai->ai_addrlen;
        if (a->addr.ss_family == AF_INET) {
            ((struct sockaddr_in *)(void *)&a->addr)->sin_port = htons(port);
            count++;
        } else if (a->addr.ss_family == AF_INET6) {
            ((struct sockaddr_in6 *)(void *)&a->addr)->sin6_port = htons(port);
            count++;
        }
    }
    return count;
}

static void resolved(int result, struct evutil_addrinfo *res, void *arg)
{
    struct query *q = arg;
    struct coord *c = q->c;
    q->request = NULL;
    if (c != NULL) {
        struct coord__address addresses[COORD__ADDRESSES_MAX];
        char why[128];
        uint32_t count = result == 0 ? take_addresses(res, q->port, addresses) : 0;
        (void)snprintf(why, sizeof(why), "the name is not resolved: %s",
                       result == 0 ? "no address" : evutil_gai_strerror(result));
        c->resolver->query = NULL;
        coord__net_resolved(c, q->link, addresses, count, why);
    }
    if (res != NULL) {
        evutil_freeaddrinfo(res);
    }
    coord__free(q);
}

int coord__resolve(struct coord *c, const char *host, uint16_t port, uint64_t link)
{
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    if (c->resolver == NULL) {
        c->resolver = resolver_create();
    }
    struct query *q = c->resolver != NULL ? coord__alloc(sizeof(*q)) : NULL;
    if (q == NULL) {
        return COORD_ENOMEM;
    }
    coord__resolve_cancel(c);
    q->c = c;
    q->link = link;
    q->port = port;
    c->resolver->query = q;
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(c->resolver->dns, host, NULL, &hints, resolved, q);
    /* It may have called back already, and freed q: then the resolver holds another query or
     * none. */
    if (request != NULL && c->resolver->query == q) {
        q->request = request;
    }
    return 0;
}

void coord__resolve_cancel(struct coord *c)
{
    struct coord__resolver *r = c->resolver;
    if (r == NULL || r->query == NULL) {
        return;
    }
    struct query *q = r->query;
    r->query = NULL;
    q->c = NULL;
    if (q->request != NULL) {
        evdns_getaddrinfo_cancel(q->request); /* it calls back from a later poll, and frees q */
    }
}

void coord__resolve_poll(struct coord *c)
{
    if (c->resolver != NULL) {
        (void)event_base_loop(c->resolver->base, EVLOOP_NONBLOCK); /* -1 only without events */
    }
}

bool coord__resolving(const struct coord *c)
{
    return c->resolver != NULL && c->resolver->query != NULL;
}
