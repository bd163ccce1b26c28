/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segments.c: see segments.h. A line of a dump:
 *
 *     wal/FILE.seg  header   what the header says
 *     OFFSET  TYPE  fields   a record that is valid in order
 *     OFFSET! TYPE  fields   one that is intact, but stands behind a place where the order is broken
 *     OFFSET~ TYPE  fields   one that the next segment declares void
 *
 * Thread: one.
 */
#include "raft/tools/segments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "raft/storage/bytes.h"
#include "raft/storage/wal_impl.h"

/* --- finding them ------------------------------------------------------------------------------ */

static int note_name(void *arg, const char *name)
{
    struct seg_list *l = arg;
    uint64_t seq = raft__segment_parse(name);
    if (seq == 0) {
        return 0;
    }
    if (l->count == l->room) {
        uint32_t room = l->room == 0 ? 16 : 2 * l->room;
        struct seg_file *files = realloc(l->files, room * sizeof(*files));
        if (files == NULL) {
            return -ENOMEM;
        }
        l->files = files;
        l->room = room;
    }
    l->files[l->count++] = (struct seg_file){.seq = seq};
    return 0;
}

static int by_seq(const void *a, const void *b)
{
    const struct seg_file *x = a;
    const struct seg_file *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int read_header(const struct raft_fs *fs, struct seg_file *f)
{
    uint8_t page[SEGMENT_HEADER_BYTES] = {0};
    char path[SEGMENT_PATH_BYTES];
    int fd;
    raft__segment_path(path, f->seq);
    int rc = fs->open(fs->ctx, path, RAFT_FS_READ, &fd);
    if (rc < 0) {
        return rc;
    }
    rc = fs->size(fs->ctx, fd, &f->bytes);
    int64_t n = rc < 0 ? rc : fs->pread(fs->ctx, fd, page, sizeof(page), 0);
    (void)fs->close(fs->ctx, fd); /* was only read */
    if (n < 0 && n != -EIO) {
        return (int)n;
    }
    f->blank =
        n == (int64_t)sizeof(page) && page[0] == 0 && memcmp(page, page + 1, sizeof(page) - 1) == 0;
    f->error = n < 0 ? (int)n : raft__segment_header_decode(page, &f->header, &f->chain);
    return 0;
}

int seg_list_read(const struct raft_fs *fs, struct seg_list *ret_list)
{
    *ret_list = (struct seg_list){.files = NULL};
    int rc = fs->list(fs->ctx, "wal", note_name, ret_list);
    if (rc < 0 || ret_list->count == 0) {
        return rc;
    }
    qsort(ret_list->files, ret_list->count, sizeof(ret_list->files[0]), by_seq);
    for (uint32_t i = 0; i < ret_list->count && rc == 0; i++) {
        rc = read_header(fs, &ret_list->files[i]);
    }
    return rc;
}

void seg_list_finish(struct seg_list *l)
{
    free(l->files);
    *l = (struct seg_list){.files = NULL};
}

int seg_begun(const struct seg_file *f)
{
    return f->error == 0 && f->header.seq == f->seq;
}

const struct seg_file *seg_newest(const struct seg_list *l)
{
    for (uint32_t i = l->count; i > 0; i--) {
        if (seg_begun(&l->files[i - 1])) {
            return &l->files[i - 1];
        }
    }
    return NULL;
}

int seg_read(const struct raft_fs *fs, const struct seg_file *f, uint8_t **ret_data)
{
    char path[SEGMENT_PATH_BYTES];
    int fd;
    if (f->bytes > SEGMENT_BYTES_MAX) {
        return -EFBIG;
    }
    uint8_t *data = calloc(1, f->bytes + 1);
    if (data == NULL) {
        return -ENOMEM;
    }
    raft__segment_path(path, f->seq);
    int rc = fs->open(fs->ctx, path, RAFT_FS_READ, &fd);
    if (rc == 0) {
        int64_t n = fs->pread(fs->ctx, fd, data, f->bytes, 0);
        rc = n < 0 ? (int)n : 0;
        (void)fs->close(fs->ctx, fd); /* was only read */
    }
    if (rc < 0) {
        free(data);
        return rc;
    }
    *ret_data = data;
    return 0;
}

/* --- printing ---------------------------------------------------------------------------------- */

static const char *entry_type(uint8_t type)
{
    static const char *const names[] = {"?", "noop", "command", "config"};
    return names[type <= RAFT_ENTRY_CONFIG ? type : 0];
}

/* How the records that are being visited count. */
struct mark {
    char sign;
};

static void print_record(void *arg, const struct record *r, uint64_t offset)
{
    const struct mark *mark = arg;
    struct record_batch b;
    printf("%10" PRIu64 "%c ", offset, mark->sign);
    switch (r->type) {
    case RECORD_BATCH:
        raft__record_batch_decode(r->body, &b);
        printf("BATCH     %" PRIu64 " durable %" PRIu64 " records %" PRIu32 " bytes %" PRIu32 "\n",
               r->index, r->term, b.records, b.bytes);
        break;
    case RECORD_HARDSTATE:
        printf("HARDSTATE term %" PRIu64 " vote %" PRIu32 " commit %" PRIu64 "%s\n", r->term,
               get_u32(r->body), r->index, (r->flags & SEGMENT_REPAIR) != 0 ? " repair" : "");
        break;
    case RECORD_ENTRY:
        printf("ENTRY     %" PRIu64 " term %" PRIu64 " %s bytes %" PRIu32 "\n", r->index, r->term,
               entry_type(r->flags), r->len);
        break;
    case RECORD_SNAPMARK:
        printf("SNAPMARK  %" PRIu64 " term %" PRIu64 " digest %016" PRIx64 "%016" PRIx64 "%s\n",
               r->index, r->term, get_u64(r->body), get_u64(r->body + 8),
               (r->flags & SNAPMARK_EMPTIED) != 0 ? " emptied" : "");
        break;
    case RECORD_SEAL:
        printf("SEAL\n");
        break;
    case RECORD_END:
        printf("END       next wal/%016" PRIx64 ".seg bytes %" PRIu64 "\n", get_u64(r->body),
               get_u64(r->body + 8));
        break;
    default:
        printf("type %u\n", (unsigned)r->type);
        break;
    }
}

static void print_header(const struct seg_file *f)
{
    const struct segment_header *h = &f->header;
    printf("wal/%016" PRIx64 ".seg  ", f->seq);
    if (f->blank) {
        printf("no header (only zeros, as in a segment made ahead), %" PRIu64 " bytes\n", f->bytes);
        return;
    }
    if (f->error != 0) {
        printf("no header (%s), %" PRIu64 " bytes\n", raft_store_strerror(f->error), f->bytes);
        return;
    }
    if (!seg_begun(f)) {
        printf("not begun (was %016" PRIx64 " before), %" PRIu64 " bytes\n", h->seq, f->bytes);
        return;
    }
    printf("member %" PRIu32 " cluster %016" PRIx64 " bytes %" PRIu64 " of %" PRIu64
           " after %016" PRIx64 " batch %" PRIu64 "\n",
           h->node_id, h->cluster_id, f->bytes, h->bytes, h->prev_seq, h->prev_batch);
    printf("%10d  header    batch %" PRIu64 " durable %" PRIu64 " next %" PRIu64 " term %" PRIu64
           " vote %" PRIu32 " commit %" PRIu64 " snapshot %" PRIu64 " term %" PRIu64 "%s\n",
           0, h->first_batch, h->durable_batch, h->first_index, h->term, h->vote, h->commit,
           h->snapshot_index, h->snapshot_term, (h->flags & SEGMENT_REPAIR) != 0 ? " repair" : "");
}

static struct wal_scan scan_of(const struct seg_file *f, const uint8_t *data)
{
    uint64_t bytes = f->bytes < f->header.bytes ? f->bytes : f->header.bytes;
    return (struct wal_scan){.data = data,
                             .bytes = bytes,
                             .seq = f->seq,
                             .salt = f->header.salt,
                             .pos = SEGMENT_HEADER_BYTES,
                             .chain = f->chain,
                             .batch = f->header.first_batch - 1};
}

int seg_dump(const struct raft_fs *fs, const struct seg_file *f, const struct seg_file *next)
{
    uint8_t *data = NULL;
    print_header(f);
    if (!seg_begun(f) || f->bytes < SEGMENT_HEADER_BYTES) {
        return 0;
    }
    int rc = seg_read(fs, f, &data);
    if (rc < 0) {
        return rc;
    }
    struct wal_scan s = scan_of(f, data);
    struct mark mark = {' '};
    struct record head;
    uint64_t at = s.pos;
    uint64_t last =
        next != NULL && next->header.prev_seq == f->seq ? next->header.prev_batch : UINT64_MAX;
    while (raft__record_decode(data + at, s.bytes - at, s.salt, &head) > 0) {
        struct wal_scan ahead = s;
        mark.sign = s.batch >= last ? '~' : ' ';
        if (!raft__wal_scan_batch(&ahead, UINT64_MAX, NULL, NULL)) {
            break;
        }
        print_record(&mark, &head, at);
        (void)raft__wal_scan_batch(&s, UINT64_MAX, print_record, &mark); /* it is valid */
        at = s.pos;
    }
    struct wal_debris debris;
    raft__wal_scan_debris(&s, NULL, NULL, &debris);
    if (debris.records > 0 || debris.begun) {
        printf("%10" PRIu64 "! no valid batch here; intact behind it: %" PRIu32 " records, %" PRIu32
               " entries\n",
               s.pos, debris.records, debris.entries);
        mark.sign = s.batch >= last ? '~' : '!';
        raft__wal_scan_debris(&s, print_record, &mark, &debris);
    }
    free(data);
    return 0;
}

uint64_t seg_successor(const struct raft_fs *fs, const struct seg_file *f, uint64_t *ret_bytes)
{
    uint8_t *data = NULL;
    if (!seg_begun(f) || f->bytes < SEGMENT_HEADER_BYTES || seg_read(fs, f, &data) < 0) {
        return 0;
    }
    struct wal_scan s = scan_of(f, data);
    while (raft__wal_scan_batch(&s, UINT64_MAX, NULL, NULL)) {
    }
    free(data);
    *ret_bytes = s.end_bytes;
    return s.ended ? s.end_seq : 0;
}
