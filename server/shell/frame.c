/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c: see frame.h, which holds the format. The loop's thread. */
#include "server/shell/frame.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
/* XXH3_state_t is complete only so; its size is fixed by the library that is linked. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

/* What a frame may make us allocate before it has proved itself. */
#define FRAME_FIRST_BYTES 4096        /* the first frame of a connection */
#define FRAME_NEXT_BYTES  (64 * 1024) /* later ones */

static uint32_t u32_get(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static void u32_put(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

const char *frame_strerror(int error)
{
    switch (error) {
    case FRAME_EOF:
        return "closed by the other end";
    case FRAME_CUT:
        return "closed by the other end inside a frame";
    case FRAME_ETOOBIG:
        return "a frame's length is 0 or beyond the limit";
    case FRAME_ECHECK:
        return "a frame was damaged on the way";
    case FRAME_ENOMEM:
        return "out of memory";
    default:
        return "the connection failed";
    }
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Bytes of the body that are here. */
static uint32_t body_have(const struct frame_reader *r)
{
    return r->buf->len - r->head_room;
}

/* The header is whole: check it and make the first buffer. */
static int body_begin(struct frame_reader *r)
{
    uint32_t bytes = u32_get(r->header);
    if (bytes == 0 || bytes > r->body_bytes_max) {
        return FRAME_ETOOBIG;
    }
    uint32_t first = r->frames == 0 ? FRAME_FIRST_BYTES : FRAME_NEXT_BYTES;
    r->body_bytes = bytes;
    r->buf = coord_buf_create(r->head_room + min_u32(bytes, first));
    if (r->buf == NULL) {
        return FRAME_ENOMEM;
    }
    memset(r->buf->data, 0, r->head_room); /* the room must not carry old memory anywhere */
    r->buf->len = r->head_room;
    return 0;
}

/* The buffer is full and the body is not whole: go on in one of twice the size. */
static int body_grow(struct frame_reader *r)
{
    uint32_t have = body_have(r);
    uint32_t room = have > r->body_bytes / 2 ? r->body_bytes : have * 2;
    struct coord_buf *bigger = coord_buf_create(r->head_room + room);
    if (bigger == NULL) {
        return FRAME_ENOMEM;
    }
    memcpy(bigger->data, r->buf->data, r->buf->len);
    bigger->len = r->buf->len;
    coord_buf_unref(r->buf);
    r->buf = bigger;
    return 0;
}

/* Bytes of the body that the present buffer can still take. */
static uint32_t body_room(const struct frame_reader *r)
{
    uint32_t room = r->buf->cap - r->buf->len;
    return min_u32(room, r->body_bytes - body_have(r));
}

/* The body is whole: hand it on. Return: what deliver said, or an error. */
static int body_deliver(struct frame_reader *r, frame_deliver deliver, void *arg, int *ret_stop)
{
    struct coord_buf *buf = r->buf;
    if (r->header_bytes == FRAME_PEER_HEADER_BYTES) {
        uint32_t check = (uint32_t)XXH3_64bits(buf->data + r->head_room, r->body_bytes);
        if (check != u32_get(r->header + 4)) {
            return FRAME_ECHECK;
        }
    }
    r->buf = NULL;
    r->header_have = 0;
    r->frames++;
    *ret_stop = deliver(arg, buf);
    return 0;
}

/* Take bytes that were read into scratch. The loop is bounded by len: every turn takes a byte or
 * ends a frame, and frames are not empty. */
static int scratch_take(struct frame_reader *r, const uint8_t *p, size_t len, frame_deliver deliver,
                        void *arg)
{
    int stop = 0;
    while (len > 0 && !stop) {
        uint32_t n = 0;
        if (r->buf == NULL) {
            n = min_u32(r->header_bytes - r->header_have, (uint32_t)len);
            memcpy(r->header + r->header_have, p, n);
            r->header_have += n;
            int rc = r->header_have == r->header_bytes ? body_begin(r) : 0;
            if (rc < 0) {
                return rc;
            }
        } else {
            if (body_room(r) == 0 && body_grow(r) < 0) {
                return FRAME_ENOMEM;
            }
            n = min_u32(body_room(r), (uint32_t)len);
            memcpy(r->buf->data + r->buf->len, p, n);
            r->buf->len += n;
        }
        p += n;
        len -= n;
        if (r->buf != NULL && body_have(r) == r->body_bytes) {
            int rc = body_deliver(r, deliver, arg, &stop);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

/* n bytes arrived: the first `direct_room` of them in the frame's buffer, the rest in scratch. */
static int bytes_take(struct frame_reader *r, size_t n, size_t direct_room, const uint8_t *scratch,
                      frame_deliver deliver, void *arg)
{
    size_t direct = n < direct_room ? n : direct_room;
    int stop = 0;
    if (direct > 0) {
        r->buf->len += (uint32_t)direct;
        if (body_have(r) == r->body_bytes) {
            int rc = body_deliver(r, deliver, arg, &stop);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return stop ? 0 : scratch_take(r, scratch, n - direct, deliver, arg);
}

ssize_t frame_read(struct frame_reader *r, int fd, uint8_t scratch[FRAME_SCRATCH_BYTES],
                   frame_deliver deliver, void *arg)
{
    assert(r->header_bytes == FRAME_CLIENT_HEADER_BYTES ||
           r->header_bytes == FRAME_PEER_HEADER_BYTES);
    if (r->error != 0) {
        return r->error;
    }
    struct iovec iov[2];
    int count = 0;
    size_t direct_room = 0;
    if (r->buf != NULL) {
        if (body_room(r) == 0 && body_grow(r) < 0) {
            r->error = FRAME_ENOMEM;
            return r->error;
        }
        direct_room = body_room(r);
        iov[count].iov_base = r->buf->data + r->buf->len;
        iov[count++].iov_len = direct_room;
    }
    iov[count].iov_base = scratch;
    iov[count++].iov_len = FRAME_SCRATCH_BYTES;
    ssize_t n = readv(fd, iov, count);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return 0;
    }
    if (n <= 0) {
        r->error = n < 0 ? FRAME_ESYSTEM : frame_inside(r) ? FRAME_CUT : FRAME_EOF;
        return r->error;
    }
    r->bytes += (uint64_t)n;
    int rc = bytes_take(r, (size_t)n, direct_room, scratch, deliver, arg);
    if (rc < 0) {
        r->error = rc;
        return rc;
    }
    return n;
}

int frame_inside(const struct frame_reader *r)
{
    return r->buf != NULL || r->header_have > 0;
}

void frame_clear(struct frame_reader *r)
{
    coord_buf_unref(r->buf);
    r->buf = NULL;
    r->header_have = 0;
}

int64_t frame_peer_header(struct coord_buf *const *parts, uint32_t count, uint32_t body_bytes_max,
                          uint8_t ret_header[FRAME_PEER_HEADER_BYTES])
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += parts[i]->len;
    }
    if (bytes == 0 || bytes > body_bytes_max) {
        return -1;
    }
    uint64_t hash = 0;
    if (count == 1) {
        hash = XXH3_64bits(parts[0]->data, parts[0]->len);
    } else {
        XXH3_state_t state;
        (void)XXH3_64bits_reset(&state); /* none of these can fail with valid arguments */
        for (uint32_t i = 0; i < count; i++) {
            (void)XXH3_64bits_update(&state, parts[i]->data, parts[i]->len);
        }
        hash = XXH3_64bits_digest(&state);
    }
    u32_put(ret_header, (uint32_t)bytes);
    u32_put(ret_header + 4, (uint32_t)hash);
    return (int64_t)bytes;
}
