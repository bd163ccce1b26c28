/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: the benchmark of the Raft library: bench_raft [DIR], DIR for the log's part (default: $TMPDIR
 * or /tmp; on a file system in memory its numbers mean nothing). Never a test of time: it fails only
 * when the core allocates or something does not work.
 */
#include <stdio.h>
#include "raft/bench/bench.h"

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    const char *dir = argc > 1 ? argv[1] : tmp != NULL ? tmp : "/tmp";
    /* Many short runs: some of them meet a quiet machine. */
    int rc = bench_commit(5120, 501);
    return bench_wal(dir, 1.0) != 0 ? 1 : rc;
}
