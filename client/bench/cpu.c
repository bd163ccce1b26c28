/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.c: see cpu.h. Formats: proc(5).
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "client/bench/cpu.h"
#include "client/bench/targets.h"
#include "client/cli/args.h"

#define LISTENING 0x0au

uint64_t cpu_listener(const char *line, uint32_t address, uint16_t port)
{
    unsigned local = 0, local_port = 0, state = 0;
    unsigned long long inode = 0;

    /* sl local rem st tx:rx tr:when retrnsmt uid timeout inode; addresses as the machine keeps them in memory */
    int n = sscanf(line, " %*u: %8x:%4x %*8x:%*4x %2x %*x:%*x %*x:%*x %*x %*u %*u %llu", &local,
                   &local_port, &state, &inode);
    if (n != 4 || state != LISTENING || local_port != port || (local != address && local != 0)) {
        return 0;
    }
    return inode;
}

bool cpu_stat_ticks(const char *text, uint64_t *ret_ticks)
{
    const char *behind = strrchr(text, ')');
    uint64_t user = 0, sys = 0;

    /* state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime */
    if (behind == NULL ||
        sscanf(behind + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
               &user, &sys) != 2) {
        return false;
    }
    *ret_ticks = user + sys;
    return true;
}

uint64_t cpu_status_kib(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *at = text; at != NULL && *at != '\0'; at = strchr(at, '\n')) {
        at += *at == '\n' ? 1 : 0;
        uint64_t kib = 0;
        if (strncmp(at, key, n) == 0 && at[n] == ':' &&
            sscanf(at + n + 1, " %" SCNu64, &kib) == 1) {
            return kib;
        }
    }
    return 0;
}

/* A small file of /proc, whole. Return: false when it cannot be read. */
static bool read_text(const char *path, char *text, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;

    if (fd < 0) {
        return false;
    }
    for (ssize_t n = 1; n > 0 && len + 1 < bytes; len += n > 0 ? (size_t)n : 0) {
        n = read(fd, text + len, bytes - 1 - len);
    }
    (void)close(fd); /* nothing was written to it */
    text[len] = '\0';
    return len > 0;
}

static uint64_t find_inode(const struct sockaddr_in *a)
{
    FILE *f = fopen("/proc/net/tcp", "re");
    char line[512];
    uint64_t inode = 0;

    while (f != NULL && inode == 0 && fgets(line, sizeof line, f) != NULL) {
        inode = cpu_listener(line, a->sin_addr.s_addr, ntohs(a->sin_port));
    }
    if (f != NULL) {
        (void)fclose(f); /* it was only read */
    }
    return inode;
}

/* Does process pid hold the socket of that name ("socket:[INODE]")? */
static bool holds(const char *pid, const char *socket)
{
    char path[300], target[64];
    bool found = false;

    (void)snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    DIR *fds = opendir(path);
    for (struct dirent *d = fds != NULL ? readdir(fds) : NULL; d != NULL && !found;
         d = readdir(fds)) {
        ssize_t n = readlinkat(dirfd(fds), d->d_name, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        found = strcmp(target, socket) == 0;
    }
    if (fds != NULL) {
        (void)closedir(fds); /* it was only read */
    }
    return found;
}

static int find_holder(uint64_t inode)
{
    char socket[64];
    DIR *proc = opendir("/proc");
    uint64_t pid = 0;

    (void)snprintf(socket, sizeof socket, "socket:[%" PRIu64 "]", inode);
    for (struct dirent *d = proc != NULL ? readdir(proc) : NULL; d != NULL; d = readdir(proc)) {
        uint64_t candidate = 0;
        if (args_number(d->d_name, &candidate) && holds(d->d_name, socket)) {
            pid = candidate;
            break;
        }
    }
    if (proc != NULL) {
        (void)closedir(proc); /* it was only read */
    }
    return (int)pid;
}

/* Is it one of this machine's? A socket can be bound to no other. */
static bool is_local(const struct sockaddr_in *a)
{
    struct sockaddr_in any_port = *a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    any_port.sin_port = 0;
    bool local = fd >= 0 && bind(fd, (const struct sockaddr *)&any_port, sizeof any_port) == 0;
    if (fd >= 0) {
        (void)close(fd); /* nothing was written to it */
    }
    return local;
}

bool cpu_find(const char *servers, struct cpu_servers *ret_found)
{
    struct targets t;
    struct cpu_servers found = {.count = 0};
    bool all = targets_parse(servers, &t), missing = false;

    for (size_t i = 0; all && i < t.count && found.count < CPU_SERVERS_MAX; i++) {
        const struct sockaddr_in *a = &t.addresses[i];
        uint64_t inode = is_local(a) ? find_inode(a) : 0;
        int pid = inode != 0 ? find_holder(inode) : 0;
        missing = missing || pid == 0;
        if (pid != 0) {
            found.pids[found.count] = pid;
            found.ports[found.count++] = ntohs(a->sin_port);
        }
    }
    *ret_found = found;
    return all && !missing;
}

double cpu_seconds(const struct cpu_servers *s)
{
    char path[64], text[1024];
    uint64_t sum = 0;

    for (size_t i = 0; i < s->count; i++) {
        uint64_t ticks = 0;
        (void)snprintf(path, sizeof path, "/proc/%d/stat", s->pids[i]);
        if (!read_text(path, text, sizeof text) || !cpu_stat_ticks(text, &ticks)) {
            return -1;
        }
        sum += ticks;
    }
    return (double)sum / (double)sysconf(_SC_CLK_TCK);
}

uint64_t cpu_resident_kib(const struct cpu_servers *s, size_t i)
{
    char path[64], text[4096];

    (void)snprintf(path, sizeof path, "/proc/%d/status", s->pids[i]);
    return read_text(path, text, sizeof text) ? cpu_status_kib(text, "VmRSS") : 0;
}

double cpu_own_seconds(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u); /* cannot fail with these arguments */
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}
