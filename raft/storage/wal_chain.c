/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_chain.c: which of the files in wal/ are the log.
 *
 * The header of each segment names the one before it and the last batch of that one that counts. So
 * the log is what is reached from the newest begun segment, backwards; whatever else lies in the
 * directory is a spare (never begun), or an orphan whose deletion was still due.
 *
 *     spare     no valid header of its own name: zeros, or an earlier life of a recycled file, or a
 *               first write that was torn
 *     segment   a valid header with the sequence number of the file's name
 *     headless  both copies of the header are lost, or those of another segment, yet a batch in the file is known to have been
 *               acknowledged, or the disk cannot read the header and there is any batch at all, or
 *               it cannot read that either in a file that may have been begun
 *
 * The oldest segment may name one that is not there: compaction deletes the oldest first. Whether
 * that was compaction is for wal_recover.c to tell from what the snapshot covers.
 *
 * Nothing is changed on disk in here. Thread: the WAL's.
 */
#include "raft/storage/wal_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES 4096u /* unit in which an unreadable area is narrowed down */

void raft__wal_say(const struct wal_why *why, const char *format, ...)
{
    va_list args;
    if (why->n == 0) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(why->text, why->n, format, args); /* cut off when too long */
    va_end(args);
}

/* Read as pread; where the disk answers EIO, fill with a pattern that is no record.
 * Return: 0 or negative; *ret_bad_end is where the last unreadable page ends, 0 when there is none. */
static int read_tolerant(struct raft_wal *w, int fd, uint8_t *buf, size_t len,
                         uint64_t *ret_bad_end)
{
    *ret_bad_end = 0;
    int64_t n = w->fs->pread(w->fs->ctx, fd, buf, len, 0);
    if (n >= 0) {
        memset(buf + n, 0, len - (size_t)n); /* the file is shorter */
        return 0;
    }
    if (n != -EIO) {
        return (int)n;
    }
    memset(buf, 0, len);
    for (size_t at = 0; at < len; at += READ_BYTES) {
        size_t some = len - at < READ_BYTES ? len - at : READ_BYTES;
        n = w->fs->pread(w->fs->ctx, fd, buf + at, some, at);
        if (n == -EIO) {
            memset(buf + at, 0xff, some);
            *ret_bad_end = at + some;
        } else if (n < 0) {
            return (int)n;
        }
    }
    return 0;
}

int raft__wal_files_read(struct raft_wal *w, struct wal_files *f, int fd, uint64_t bytes)
{
    MUST(bytes <= SEGMENT_BYTES_MAX);
    if (bytes > f->data_room || f->data == NULL) {
        uint8_t *data = realloc(f->data, bytes == 0 ? 1 : bytes);
        if (data == NULL) {
            return -ENOMEM;
        }
        f->data = data;
        f->data_room = bytes;
    }
    return read_tolerant(w, fd, f->data, bytes, &f->bad_end);
}

void raft__wal_files_finish(struct wal_files *f)
{
    free(f->list);
    free(f->log);
    free(f->data);
    memset(f, 0, sizeof *f);
}

/* ------------------------------------------------------------------------------------------- */
/* Listing and classifying                                                                       */

static int note_name(void *arg, const char *name)
{
    struct wal_files *f = arg;
    uint64_t seq = raft__segment_parse(name);
    if (seq == 0) {
        return 0;
    }
    struct wal_file *list = raft__wal_grow(f->list, f->count + 1, &f->room, sizeof *list);
    if (list == NULL) {
        return -ENOMEM;
    }
    f->list = list;
    f->list[f->count++] = (struct wal_file){.seq = seq, .kind = WAL_FILE_SPARE};
    return 0;
}

static int by_seq(const void *a, const void *b)
{
    const struct wal_file *x = a;
    const struct wal_file *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* The header of a file is valid: is it one of this log?
 * Return: 0 when it is, 1 when it is that of another file (an earlier life), or negative. */
static int check_header(struct raft_wal *w, struct wal_file *file, const struct segment_header *h,
                        uint32_t chain, const struct wal_why *why)
{
    if (h->cluster_id != w->o.cluster_id || h->node_id != w->o.node_id) {
        raft__wal_say(why,
                      "wal/%016" PRIx64 ".seg at offset 0: written by member %" PRIu32
                      " of cluster %016" PRIx64 ", this is member %" PRIu32
                      " of cluster %016" PRIx64,
                      file->seq, h->node_id, h->cluster_id, w->o.node_id, w->o.cluster_id);
        return RAFT_STORE_EFOREIGN;
    }
    if (h->seq != file->seq) {
        return 1;
    }
    if (file->bytes < h->bytes) {
        raft__wal_say(why,
                      "wal/%016" PRIx64 ".seg at offset %" PRIu64
                      ": the file ends here, it was made "
                      "%" PRIu64 " bytes long",
                      file->seq, file->bytes, h->bytes);
        return RAFT_STORE_ECORRUPT;
    }
    file->kind = WAL_FILE_SEGMENT;
    file->header = *h;
    file->chain = chain;
    return 0;
}

static int classify_open(struct raft_wal *w, struct wal_files *f, struct wal_file *file, int fd,
                         const struct wal_why *why)
{
    struct segment_header h;
    uint64_t bad_end;
    uint32_t chain;
    int rc = w->fs->size(w->fs->ctx, fd, &file->bytes);
    if (rc != 0) {
        return rc;
    }
    rc = read_tolerant(w, fd, w->page, SEGMENT_HEADER_BYTES, &bad_end);
    if (rc != 0) {
        return rc;
    }
    rc = raft__segment_header_decode(w->page, &h, &chain);
    if (rc == 0) {
        rc = check_header(w, file, &h, chain, why);
        if (rc <= 0) {
            return rc;
        }
    }
    if (rc == RAFT_STORE_EVERSION) {
        raft__wal_say(why,
                      "wal/%016" PRIx64 ".seg at offset 4: the format is newer than version %u, "
                      "which this program knows",
                      file->seq, SEGMENT_VERSION);
        return rc;
    }
    if (file->bytes > SEGMENT_BYTES_MAX) {
        raft__wal_say(why,
                      "wal/%016" PRIx64 ".seg at offset 0: %" PRIu64 " bytes are not a segment",
                      file->seq, file->bytes);
        return RAFT_STORE_ECORRUPT;
    }
    rc = raft__wal_files_read(w, f, fd, file->bytes);
    /* A first write that was torn leaves a page that can be read. */
    if (rc == 0 &&
        raft__wal_scan_headless(f->data, file->bytes, file->seq, bad_end > 0, &file->header.salt)) {
        file->kind = WAL_FILE_HEADLESS;
        file->header.seq = file->seq;
        file->header.bytes = file->bytes;
    }
    file->unreadable = bad_end > 0 && file->bytes >= SEGMENT_BYTES_MIN;
    return rc;
}

/* A file of which the disk gives nothing that tells may have been begun, if it is the next one or older:
 * prepared files are begun in order. */
static void doubt_unreadable(struct wal_files *f)
{
    int behind = 0; /* spares seen since the newest that was begun */
    for (uint32_t i = f->count; i > 0 && f->list[i - 1].kind == WAL_FILE_SPARE; i--) {
        behind++;
    }
    for (uint32_t i = 0; i < f->count && i <= f->count - (uint32_t)behind; i++) {
        struct wal_file *file = &f->list[i];
        if (file->unreadable && file->kind == WAL_FILE_SPARE) {
            file->kind = WAL_FILE_HEADLESS;
            file->header.seq = file->seq;
            file->header.bytes = file->bytes;
        }
    }
}

static int classify(struct raft_wal *w, struct wal_files *f, struct wal_file *file,
                    const struct wal_why *why)
{
    char path[SEGMENT_PATH_BYTES];
    int fd;
    raft__segment_path(path, file->seq);
    int rc = w->fs->open(w->fs->ctx, path, RAFT_FS_READ, &fd);
    if (rc == 0) {
        rc = classify_open(w, f, file, fd, why);
        (void)w->fs->close(w->fs->ctx, fd); /* was only read */
    }
    if (rc < 0 && rc > -1000) {
        raft__wal_say(why, "%s: %s", path, raft_store_strerror(rc));
    }
    return rc;
}

/* ------------------------------------------------------------------------------------------- */
/* The chain                                                                                     */

static struct wal_file *find_file(struct wal_files *f, uint64_t seq)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->list[i].seq == seq) {
            return &f->list[i];
        }
    }
    return NULL;
}

/* The segment before file: what its header says, or, without one, the next older that was begun. */
static uint64_t previous_seq(const struct wal_files *f, const struct wal_file *file)
{
    if (file->kind == WAL_FILE_SEGMENT) {
        return file->header.prev_seq;
    }
    uint64_t seq = 0;
    for (uint32_t i = 0; i < f->count && f->list[i].seq < file->seq; i++) {
        if (f->list[i].kind != WAL_FILE_SPARE) {
            seq = f->list[i].seq;
        }
    }
    return seq;
}

/* Follow the chain from the newest segment; at most as many steps as there are files, because each
 * goes to a lower number. */
static int follow(struct wal_files *f)
{
    struct wal_file *file = NULL;
    f->log = calloc(f->count, sizeof *f->log);
    if (f->log == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->list[i].kind != WAL_FILE_SPARE) {
            file = &f->list[i];
        }
    }
    while (file != NULL) {
        file->in_log = 1;
        f->log[f->log_count++] = (uint32_t)(file - f->list);
        uint64_t seq = previous_seq(f, file);
        MUST(seq < file->seq);
        file = seq == 0 ? NULL : find_file(f, seq);
        if (seq != 0 && (file == NULL || file->kind == WAL_FILE_SPARE)) {
            f->missing = seq;
            file = NULL;
        }
    }
    for (uint32_t i = 0; i < f->log_count / 2; i++) { /* oldest first */
        uint32_t other = f->log[f->log_count - 1 - i];
        f->log[f->log_count - 1 - i] = f->log[i];
        f->log[i] = other;
    }
    return 0;
}

int raft__wal_files_find(struct raft_wal *w, struct wal_files *f, const struct wal_why *why)
{
    int rc = w->fs->list(w->fs->ctx, "wal", note_name, f);
    if (rc == -ENOENT || (rc == 0 && f->count == 0)) {
        return 0;
    }
    if (rc != 0) {
        raft__wal_say(why, "wal: %s", raft_store_strerror(rc));
        return rc;
    }
    qsort(f->list, f->count, sizeof *f->list, by_seq);
    for (uint32_t i = 0; i < f->count; i++) {
        rc = classify(w, f, &f->list[i], why);
        if (rc != 0) {
            return rc;
        }
    }
    doubt_unreadable(f);
    w->next_seq = f->list[f->count - 1].seq + 1;
    rc = follow(f);
    if (rc == 0 && f->log_count == 0 && f->list[f->count - 1].seq > 1) {
        /* The first segment is begun before any other file is made. */
        raft__wal_say(why,
                      "wal/%016" PRIx64 ".seg at offset 0: no segment of the log is left, only "
                      "files prepared for it",
                      f->list[f->count - 1].seq);
        return RAFT_STORE_ECORRUPT;
    }
    return rc;
}
