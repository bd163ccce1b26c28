/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptors.h: are there enough descriptors for a load? Asked before it begins, so that it does not break off in the
 * middle with an error that names no cause. Thread: any.
 */
#ifndef COORD_BENCH_DESCRIPTORS_H
#define COORD_BENCH_DESCRIPTORS_H

#include <stdint.h>

/* Raise this process's limit as far as the system allows if that many, and some for itself, need it.
 * Return: EXIT_DONE, or EXIT_OTHER with a message. */
int descriptors_need(uint64_t count);

#endif
