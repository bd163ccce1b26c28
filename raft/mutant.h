/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutant.h: known bugs, put back on purpose, to show that the tests would find them.
 *
 * RAFT_BUG(n) stands at the places where bug n would be; in VARIANT=mutants it asks whether n is the bug that
 * is switched on now, in every other build it is the constant 0 and nothing of it is left.
 * tests/mutants/README.md tells which test finds which, and how to run them.
 */
#ifndef RAFT_MUTANT_H
#define RAFT_MUTANT_H

#ifdef RAFT_MUTANTS
extern int raft__mutant; /* the bug that is switched on; 0 none */
#define RAFT_BUG(n) (raft__mutant == (n))
#else
#define RAFT_BUG(n) 0
#endif

#endif
