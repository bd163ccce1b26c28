/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invariant.h: the one assertion of the consensus core.
 *
 * It stays on in release builds: a member whose state is broken must stop before it tells anybody.
 * It is for what this code promises itself. What comes from the disk, from a peer or from the host
 * is validated and answered, never asserted. The condition has no side effect.
 */
#ifndef RAFT_INVARIANT_H
#define RAFT_INVARIANT_H

#define RAFT_INVARIANT(condition) ((condition) ? (void)0 : __builtin_trap())

#endif
