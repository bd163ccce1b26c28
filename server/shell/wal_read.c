/* SPDX-License-Identifier: Apache-2.0 */
/* wal_read.c: see wal_read.h. */
#include "server/shell/wal_read.h"

#include <stdlib.h>

#define READ_SLICE_ENTRIES 256
#define READ_SLICE_BYTES   (1024 * 1024)

bool wal_read_slice(struct wal_read *r, struct raft_wal *wal)
{
    uint32_t entries = 0;
    uint64_t bytes = 0;
    while (r->done < r->count && r->error == 0 && entries < READ_SLICE_ENTRIES &&
           bytes < READ_SLICE_BYTES) {
        struct coord_buf *buf = r->bufs[r->done];
        entries++;
        if (buf == NULL) {
            r->done++;
            continue;
        }
        int64_t n = raft_wal_read(wal, r->first + r->done, buf->data, buf->cap);
        if (n != (int64_t)buf->cap) {
            r->error = n < 0 ? (int)n : RAFT_STORE_ECORRUPT;
            break;
        }
        buf->len = buf->cap;
        bytes += buf->len;
        r->done++;
    }
    return r->done == r->count || r->error != 0;
}

void wal_read_finish(struct wal_read *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        coord_buf_unref(r->bufs[i]);
    }
    free(r->bufs);
    *r = (struct wal_read){.bufs = NULL};
}
