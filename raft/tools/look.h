/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.h: a file system that only looks. Opening a log may write (copies of what is not known to be on
 * disk, a new segment); through this one the storage driver comes to the very judgement that a member's
 * start would, and nothing in the directory changes.
 */
#ifndef RAFT_TOOLS_LOOK_H
#define RAFT_TOOLS_LOOK_H

#include <coord/raft_storage.h>

struct look {
    const struct raft_fs *below;
    uint64_t allocated; /* the largest length that a file was given in appearance */
};

/* Make *ret_fs a view of fs that reads from it and only pretends to write. l is its memory.
 * Ownership: fs and l outlive the view; nothing is to be released. Errors: none. Thread: as fs. */
void look_fs(struct look *l, const struct raft_fs *fs, struct raft_fs *ret_fs);

#endif
