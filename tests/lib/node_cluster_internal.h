/* SPDX-License-Identifier: Apache-2.0 */
/* node_cluster_internal.h: what node_client.c needs of node_cluster.c. */
#ifndef COORD_TESTS_NODE_CLUSTER_INTERNAL_H
#define COORD_TESTS_NODE_CLUSTER_INTERNAL_H

#include "tests/lib/node_cluster.h"

/* A client's record with a new connection number. */
struct cluster_client *cluster_client_new(struct cluster *cl, raft_id member);
/* The member has events to work on. */
void cluster_touch(struct cluster *cl, raft_id member);

#endif
