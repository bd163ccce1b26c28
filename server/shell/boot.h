/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.h: what a member finds on its disk when it starts: locks the data directory, recovers the log,
 * picks the newest snapshot that verifies, and puts it together for node_create. Refuses in one line
 * whatever a member must not run on; a refusal changes nothing on disk but the making of an empty
 * directory.
 *
 * Lifetime: boot_open, then node_create with boot.node, then boot_release_entries; the file system, the
 * log and the lock stay until boot_close. Thread: main's, before the others exist.
 */
#ifndef COORD_SERVER_SHELL_BOOT_H
#define COORD_SERVER_SHELL_BOOT_H

#include <coord/raft.h>
#include <coord/raft_storage.h>
#include "server/node/node.h"
#include "server/shell/conf.h"

#define BOOT_SNAPSHOTS_MAX 128 /* more than conf lets anyone keep */
#define BOOT_ERROR_BYTES   1024
#define BOOT_BALLAST_BYTES (64u << 20) /* what an operator can free at once on a full disk */

struct boot {
    struct raft_fs fs;
    bool fs_open;
    struct raft_wal *wal;
    uint64_t cluster_id;
    struct node_boot node;
    struct coord_buf **payloads; /* of node.payloads */
    uint64_t digest[2];          /* of the snapshot's file */
    int snapshots_count;         /* files on disk */
    int snapshots_bad;           /* newer ones that did not verify */
};

/* err (BOOT_ERROR_BYTES) receives one line on failure. Return: 0, or -1 with *b as boot_close left it. */
int boot_open(const struct conf *c, struct boot *b, char err[BOOT_ERROR_BYTES]);
/* The node has taken what it needs. */
void boot_release_entries(struct boot *b);
/* Close the log, give the lock back. Zeroed and half-open ones are accepted. */
void boot_close(struct boot *b);

#endif
