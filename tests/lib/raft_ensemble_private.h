/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_ensemble_private.h: what the two files of the ensemble share; not for tests.
 */
#ifndef TESTS_RAFT_ENSEMBLE_PRIVATE_H
#define TESTS_RAFT_ENSEMBLE_PRIVATE_H

#include "tests/lib/raft_ensemble.h"

/* raft_ensemble.c */
void ens_check(struct ens *c, struct ens_node *n);
void ens_actions(struct ens *c, struct ens_node *n);
int ens_event(struct ens *c, struct ens_node *n, struct raft_event *ev, const uint64_t *values);

/* raft_ensemble_net.c */
void ens_send(struct ens *c, struct ens_node *n, const struct raft_send *s);
void ens_drain(struct ens *c);

#endif
