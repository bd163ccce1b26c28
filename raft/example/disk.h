/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h: what one member of the counter keeps: the log and the snapshot files of its directory.
 * Everything here waits for the disk. One thread.
 */
#ifndef RAFT_EXAMPLE_DISK_H
#define RAFT_EXAMPLE_DISK_H

#include <coord/raft.h>
#include <coord/raft_storage.h>

#define CLUSTER 0x636f756e746572u /* in every file and message, so that no other's is taken */
#define MEMBERS 3u                /* ids 1 to 3 begin the group; others are added to it */
#define SLOTS   4096u             /* entries that the log may hold: a power of two */

/* What the host keeps of an entry, and the core never sees. */
union payload {
    int64_t delta;                     /* of a COMMAND */
    uint8_t config[RAFT_CONFIG_BYTES]; /* of a CONFIG, encoded */
};

struct disk {
    raft_id id;
    struct raft_fs fs;
    struct raft_wal *wal;
    struct raft_snapshot snapshot; /* the newest; index 0 and the first members: none */
    int64_t sum;                   /* the state in it */
    uint64_t digest[2];            /* the checksum of its file */
    struct raft_wal_op ops[SLOTS + 4];
    struct raft_config_at configs[SLOTS]; /* those in the log, as it was when it was opened */
    uint32_t configs_count;
};

/* Open dir for member id, or begin it; find the log and the newest snapshot.
 * Ownership: until the process ends. Errors: as the storage, RAFT_STORE_ECORRUPT also when what is
 * there does not make a whole; why (n bytes) says more. A log with damage that the others can make good
 * opens: raft_wal_state has what BOOT_DAMAGE is to be told. Return: 0 or negative. */
int disk_open(struct disk *d, const char *dir, raft_id id, char *why, size_t n);

/* The core makes CONFIG entries by itself; their payload is the host's matter all the same. Put those of a
 * round into log, before they are sent or written. */
void disk_encode(const struct raft *r, const struct raft_actions *a, union payload *log);

/* Carry out the persist actions of a round: one batch, one fdatasync. log: the payloads, that of entry i
 * at i % SLOTS. Return: 0 when all is durable; else negative, and final. */
int disk_write(struct disk *d, const struct raft *r, const struct raft_actions *a,
               const union payload *log);

/* Read the payloads of count entries from first on into log. Return: 0 or negative. */
int disk_read(struct disk *d, raft_index first, uint32_t count, union payload *log);

/* Put the state at s on disk. Return: 0 when it is durable, and d->snapshot; else negative. */
int disk_save(struct disk *d, const struct raft_snapshot *s, int64_t sum);

#endif
