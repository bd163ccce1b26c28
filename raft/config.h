/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h: which configurations make sense; shared by the core and the storage driver, which both read
 * configurations that came from outside. Thread: any.
 */
#ifndef RAFT_CONFIG_H
#define RAFT_CONFIG_H

#include <coord/raft.h>

/* 1 when there are at most RAFT_NODES_MAX members with ascending ids, each with one place (voter, in
 * either half or both, or learner) and at most one mark, which fits that place: PROMOTE a learner of a
 * configuration that is not joint, DEMOTE a voter who leaves that half, REMOVE anybody but a new voter
 * of a joint one. Ownership: none. Errors: none. */
int raft__config_valid(const struct raft_config *c);

#endif
