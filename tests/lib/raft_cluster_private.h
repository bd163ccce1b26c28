/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_cluster_private.h: what the two files of the ensemble share; not for tests.
 */
#ifndef TESTS_RAFT_CLUSTER_PRIVATE_H
#define TESTS_RAFT_CLUSTER_PRIVATE_H

#include "tests/lib/raft_cluster.h"

/* raft_cluster.c */
void cluster_check(struct cluster *c, struct cluster_node *n);
void cluster_actions(struct cluster *c, struct cluster_node *n);
int cluster_event(struct cluster *c, struct cluster_node *n, struct raft_event *ev,
                  const uint64_t *values);

/* raft_cluster_net.c */
void cluster_send(struct cluster *c, struct cluster_node *n, const struct raft_send *s);
void cluster_drain(struct cluster *c);

#endif
