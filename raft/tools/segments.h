/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segments.h: the files of a log as the tool sees them, one by one, without a judgement about the whole
 * (that is the storage driver's).
 */
#ifndef RAFT_TOOLS_SEGMENTS_H
#define RAFT_TOOLS_SEGMENTS_H

#include "raft/storage/segment.h"

struct seg_file {
    uint64_t seq;
    uint64_t bytes; /* of the file */
    int error;      /* of its header: 0, or why it says nothing */
    int blank;      /* where its header goes are only zeros: made ahead, or lost */
    uint32_t chain; /* with error 0: where the records' chain begins */
    struct segment_header header;
};

struct seg_list {
    struct seg_file *files; /* ascending by seq */
    uint32_t count;
    uint32_t room;
};

/* Find the segment files in wal/ and read their headers.
 * Ownership: seg_list_finish in any case. Errors: negative errno. Thread: any one.
 * Return: 0 or negative. */
int seg_list_read(const struct raft_fs *fs, struct seg_list *ret_list);
void seg_list_finish(struct seg_list *l);

/* Is this file part of a log now, not of an earlier life or prepared for a later one? */
int seg_begun(const struct seg_file *f);

/* The newest file that was begun. Return: NULL when there is none. */
const struct seg_file *seg_newest(const struct seg_list *l);

/* Read a whole file. Ownership: the caller frees *ret_data. Errors: negative errno.
 * Return: 0 or negative. */
int seg_read(const struct raft_fs *fs, const struct seg_file *f, uint8_t **ret_data);

/* Print one file: its header and every record in it, each line with its offset. next: the file that
 * follows it in the log, or NULL. Return: 0 or negative errno. */
int seg_dump(const struct raft_fs *fs, const struct seg_file *f, const struct seg_file *next);

/* The segment that f says follows it. Return: its seq, 0 when f does not end; *ret_bytes its length. */
uint64_t seg_successor(const struct raft_fs *fs, const struct seg_file *f, uint64_t *ret_bytes);

#endif
