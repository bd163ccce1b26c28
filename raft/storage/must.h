/* SPDX-License-Identifier: Apache-2.0 */
/*
 * must.h: the assertion of the storage driver; on in every build.
 *
 * For broken invariants of this code only: what comes from the disk or from the host is checked and
 * answered with an error. Thread: any.
 */
#ifndef COORD_RAFT_STORAGE_MUST_H
#define COORD_RAFT_STORAGE_MUST_H

/* Print the condition and abort. Ownership: none. Return: never. */
_Noreturn void raft__must_fail(const char *condition, const char *file, int line);

#define MUST(condition) ((condition) ? (void)0 : raft__must_fail(#condition, __FILE__, __LINE__))

#endif
