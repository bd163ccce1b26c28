/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h: the clocks and the random source of the process. Only the shell reads them; everything
 * below is handed the readings. Thread: any.
 */
#ifndef COORD_SERVER_SHELL_CLOCK_H
#define COORD_SERVER_SHELL_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_NS_PER_MS UINT64_C(1000000)
#define CLOCK_NS_PER_S  UINT64_C(1000000000)

/* Nanoseconds of CLOCK_MONOTONIC: never goes back, stands still while the machine is suspended. */
uint64_t clock_mono_ns(void);
/* Nanoseconds of CLOCK_BOOTTIME: the same, but goes on while the machine is suspended. The node's time: a
 * lease must end by it (raft/read.c). Not to be compared with clock_mono_ns. */
uint64_t clock_boot_ns(void);
/* Milliseconds since 1970: only stamps entries and log lines, decides nothing. */
uint64_t clock_wall_ms(void);
/* Bytes from the system's cryptographic source. Does not return when there is none. */
void clock_random(void *out, size_t len);

#endif
