/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_fixture.h: what a test program about one ensemble at a time begins and ends with: the ensemble, who
 * leads it, and connections to it. The file that includes it has these variables for its own; one that wants
 * other options sets them in a fixture of its own before begin().
 *
 * Thread: one.
 */
#ifndef COORD_TESTS_NODE_FIXTURE_H
#define COORD_TESTS_NODE_FIXTURE_H

#include <check.h>
#include "tests/lib/node_cluster.h"

static struct cluster *cl;
static struct cluster_options options;
static raft_id leader;
static raft_id follower; /* not the leader ... */
static raft_id third;    /* and the other one; 0 when there are fewer */

static inline void setup(void)
{
    cluster_options_init(&options, 3);
}

/* Who leads now, and who does not. */
static inline void roles(void)
{
    leader = cluster_wait_leader(cl, 10 * CLUSTER_S);
    ck_assert_uint_ne(leader, 0);
    follower = leader == 1 ? 2 : 1;
    third = options.members < 3 ? 0 : 6 - leader - follower;
}

static inline void begin(void)
{
    cl = cluster_create(&options);
    roles();
    cluster_run(cl, 200 * CLUSTER_MS); /* followers know */
}

/* A fixture for tests that change no option. */
static inline void setup_and_begin(void)
{
    setup();
    begin();
}

static inline void teardown(void)
{
    if (cl != NULL) {
        cluster_destroy(cl);
    }
    cl = NULL;
}

static inline struct cluster_client *greeted(raft_id id)
{
    struct cluster_client *c = client_connect(cl, id);
    ck_assert_int_eq(client_hello(c), 0);
    return c;
}

static inline struct coord_request create_request(const char *path, uint32_t flags)
{
    return (struct coord_request){.op = COORD_OP_CREATE, .path = bytes_of(path), .flags = flags};
}

static inline struct coord_request get_request(const char *path, enum coord_level level,
                                               uint64_t arg)
{
    return (struct coord_request){
        .op = COORD_OP_GET, .path = bytes_of(path), .level = level, .level_arg = arg};
}

#endif
