/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_lone.h: one consensus core alone, whose peers and disk a test plays by hand, so that every order can
 * be had. What a test remembers of the core's words is its own.
 *
 * Thread: one.
 */
#ifndef TESTS_RAFT_LONE_H
#define TESTS_RAFT_LONE_H

#include <check.h>
#include <coord/raft.h>

static const struct raft_config lone_three = {
    .count = 3, .members = {{1, RAFT_VOTER}, {2, RAFT_VOTER}, {3, RAFT_VOTER}}};

/* One event, behind which all rules of the core hold. Return: what raft_step returned. */
static inline int lone_step(struct raft *r, raft_ns now, struct raft_event ev)
{
    struct raft_accept accept;
    char why[160] = "";
    ev.now = now;
    int rv = raft_step(r, &ev, &accept);
    ck_assert_msg(raft_check(r, why, sizeof(why)) == 0, "%s", why);
    return rv;
}

#endif
