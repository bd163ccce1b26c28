/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.h: which processes of this machine serve the addresses of a load, and what they have used: by /proc/net/tcp
 * (who listens: an inode), /proc/PID/fd (who holds that inode), /proc/PID/stat and status.
 *
 * Servers elsewhere, or of other users, are not found: then there is nothing to tell, which is no error.
 * Thread: any.
 */
#ifndef COORD_BENCH_CPU_H
#define COORD_BENCH_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPU_SERVERS_MAX 32

struct cpu_servers {
    size_t count; /* 0: none found */
    int pids[CPU_SERVERS_MAX];
    uint16_t ports[CPU_SERVERS_MAX]; /* that each was found by */
};

/* Look at one line of /proc/net/tcp: a listener at IPv4 address (network order) or any, and port? Return: its inode, or
 * 0. */
uint64_t cpu_listener(const char *line, uint32_t address, uint16_t port);

/* User and system time, in clock ticks, from the text of /proc/PID/stat. The name in it may hold anything, brackets
 * too. Return: false when it is not such a line. */
bool cpu_stat_ticks(const char *text, uint64_t *ret_ticks);

/* The value in KiB of "VmRSS:" or the like in the text of /proc/PID/status; 0 when it has none. */
uint64_t cpu_status_kib(const char *text, const char *key);

/* The processes behind "host:port,..." (NULL: the default server) that are addresses of this machine.
 * Return: false when not all of the list were found (what was is there). */
bool cpu_find(const char *servers, struct cpu_servers *ret_found);

/* Seconds of CPU that all of them have used since they began; negative when one is gone. */
double cpu_seconds(const struct cpu_servers *s);

/* Resident memory of server i, KiB; 0 when it is gone. */
uint64_t cpu_resident_kib(const struct cpu_servers *s, size_t i);

/* Seconds of CPU this process has used. */
double cpu_own_seconds(void);

#endif
