/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_client_fixture.h: what the tests of handles share: a server for each test, handles of both
 * forms, and records of what callbacks were told.
 */
#ifndef TESTS_UNIT_TEST_CLIENT_FIXTURE_H
#define TESTS_UNIT_TEST_CLIENT_FIXTURE_H

#include <check.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <coord/coord.h>
#include "tests/lib/client_server.h"

static struct client_server *server;

static inline void setup(void)
{
    server = client_server_start(NULL);
}

static inline void teardown(void)
{
    client_server_stop(server);
}

static inline struct coord_options options(void)
{
    struct coord_options o;
    coord_options_init(&o);
    o.servers = client_server_address(server);
    o.session_timeout_ms = 2000;
    return o;
}

static inline struct coord *open_with(const struct coord_options *o, bool threaded)
{
    char why[256];
    struct coord *c = NULL;
    int err = threaded ? coord_open_threaded(o, &c, why, sizeof(why))
                       : coord_open(o, &c, why, sizeof(why));
    ck_assert_msg(err == 0, "open: %s", why);
    return c;
}

static inline struct coord *open_plain(bool threaded)
{
    struct coord_options o = options();
    return open_with(&o, threaded);
}

/* Drive a handle until *done. */
static inline void run_until(struct coord *c, const _Atomic bool *done)
{
    for (int i = 0; i < 10000 && !*done; i++) {
        struct pollfd p = {.fd = coord_fd(c), .events = coord_events(c)};
        (void)poll(&p, 1, 1000);
        ck_assert_int_eq(coord_dispatch(c), 0);
    }
    ck_assert_msg(*done, "it does not happen");
}

/* What a callback was told. */
struct seen {
    _Atomic bool done;
    int count;
    int error;
    enum coord_outcome outcome;
    char text[200];
    char data[64];
    int dispatch; /* what coord_dispatch said inside it */
    int sync;     /* what a blocking call said inside it */
    bool close;   /* close the handle in it */
};

static inline void note(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct seen *s = arg;
    s->count++;
    s->error = reply->error;
    s->outcome = reply->outcome;
    (void)snprintf(s->text, sizeof(s->text), "%s", reply->text);
    (void)snprintf(s->data, sizeof(s->data), "%s",
                   reply->data != NULL ? (const char *)reply->data : "");
    s->dispatch = coord_dispatch(c);
    s->sync = coord_sync_sync(c, NULL, NULL);
    if (s->close) {
        coord_close(c);
    }
    s->done = true;
}

struct closing {
    _Atomic int replies;
    _Atomic int states;
    _Atomic int ended;
    enum coord_state last;
};

#endif
