/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys.h: the operating system of clients and members: the calls that client/shell and server/shell make, put
 * in place by the linker (--wrap, see the Makefile), answered from the world while world_enter says whose
 * code runs, and passed on to the real system otherwise. Threads: one.
 */
#ifndef COORD_TESTS_SERVICE_SYS_H
#define COORD_TESTS_SERVICE_SYS_H

#include "tests/service/world.h"

#define SYS_FD_BASE (1 << 20) /* simulated descriptors are numbers from here on */

/* A descriptor for the member's end, for the reader of frames: valid at once, need not be closed. */
int sys_member_fd(struct stream *s);
/* Is anything that the process of a waits for ready? */
bool sys_ready(const struct actor *a);
/* The process ends: nothing it says from now on reaches anybody. silent: nor does its end. */
void sys_process_ended(struct actor *a, bool silent);

#endif
