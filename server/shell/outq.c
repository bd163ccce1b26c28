/* SPDX-License-Identifier: Apache-2.0 */
/* outq.c: see outq.h. The loop's thread. */
#include "server/shell/outq.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <coord/error.h>

#define OUTQ_CAP_FIRST 8
#define OUTQ_IOV_MAX   256 /* pieces of one sendmsg; a constant so that the array is on the stack */

int outq_reserve(struct outq *q, uint32_t more)
{
    if (q->cap - q->count >= more) {
        return 0;
    }
    uint32_t cap = q->cap == 0 ? OUTQ_CAP_FIRST : q->cap;
    while (cap - q->count < more) {
        if (cap > UINT32_MAX / 2) {
            return COORD_ENOMEM;
        }
        cap *= 2;
    }
    struct outq_item *items = malloc((size_t)cap * sizeof(*items));
    if (items == NULL) {
        return COORD_ENOMEM;
    }
    for (uint32_t i = 0; i < q->count; i++) {
        items[i] = q->items[(q->first + i) & (q->cap - 1)];
    }
    free(q->items);
    q->items = items;
    q->cap = cap;
    q->first = 0;
    return 0;
}

int outq_buf(struct outq *q, struct coord_buf *buf)
{
    if (buf->len == 0) {
        return 0;
    }
    if (outq_reserve(q, 1) < 0) {
        return COORD_ENOMEM;
    }
    struct outq_item *item = &q->items[(q->first + q->count) & (q->cap - 1)];
    item->buf = coord_buf_ref(buf);
    item->len = buf->len;
    q->count++;
    q->bytes += buf->len;
    return 0;
}

int outq_head(struct outq *q, const void *bytes, uint32_t len)
{
    assert(len >= 1);
    assert(len <= OUTQ_HEAD_BYTES_MAX);
    if (outq_reserve(q, 1) < 0) {
        return COORD_ENOMEM;
    }
    struct outq_item *item = &q->items[(q->first + q->count) & (q->cap - 1)];
    item->buf = NULL;
    item->len = len;
    memcpy(item->head, bytes, len);
    q->count++;
    q->bytes += len;
    return 0;
}

/* The kernel took n bytes: forget them. */
static void outq_taken(struct outq *q, size_t n)
{
    assert(n <= q->bytes);
    q->bytes -= n;
    while (n > 0) {
        assert(q->count > 0);
        struct outq_item *item = &q->items[q->first];
        uint32_t rest = item->len - q->sent;
        if (n < rest) {
            q->sent += (uint32_t)n;
            return;
        }
        n -= rest;
        coord_buf_unref(item->buf);
        q->first = (q->first + 1) & (q->cap - 1);
        q->count--;
        q->sent = 0;
    }
    if (q->count == 0) {
        q->first = 0; /* the same few bytes of memory each time */
    }
}

static uint8_t *item_bytes(struct outq_item *item)
{
    return item->buf != NULL ? item->buf->data : item->head;
}

/* Point iov at what is queued. Return: how many pieces. */
static int outq_gather(struct outq *q, struct iovec iov[OUTQ_IOV_MAX], size_t *ret_bytes)
{
    int n = 0;
    size_t bytes = 0;
    for (uint32_t i = 0; i < q->count && n < OUTQ_IOV_MAX; i++) {
        struct outq_item *item = &q->items[(q->first + i) & (q->cap - 1)];
        uint32_t skip = i == 0 ? q->sent : 0;
        iov[n].iov_base = item_bytes(item) + skip;
        iov[n].iov_len = item->len - skip;
        bytes += iov[n].iov_len;
        n++;
    }
    *ret_bytes = bytes;
    return n;
}

/* Return: what the kernel took of *ret_wanted bytes, negative with errno set. */
static ssize_t outq_write(struct outq *q, int fd, size_t *ret_wanted)
{
    if (q->count == 1) { /* most often, and the shorter way */
        struct outq_item *item = &q->items[q->first];
        *ret_wanted = item->len - q->sent;
        return send(fd, item_bytes(item) + q->sent, *ret_wanted, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    struct iovec iov[OUTQ_IOV_MAX];
    struct msghdr msg = {.msg_iov = iov};
    msg.msg_iovlen = (size_t)outq_gather(q, iov, ret_wanted);
    return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int outq_flush(struct outq *q, int fd)
{
    while (q->count > 0) {
        size_t wanted = 0;
        ssize_t n = outq_write(q, fd, &wanted);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
        }
        outq_taken(q, (size_t)n);
        if ((size_t)n < wanted) {
            return 0; /* asking again would only be told EAGAIN */
        }
    }
    return 1;
}

void outq_clear(struct outq *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        coord_buf_unref(q->items[(q->first + i) & (q->cap - 1)].buf);
    }
    free(q->items);
    *q = (struct outq){.items = NULL};
}
