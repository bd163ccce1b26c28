/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_etcd.c: etcd's side of the load generator: the v3 interface as gRPC (grpc.h has the messages) over HTTP/2 by
 * libnghttp2, without TLS. A request is a stream of its own; its answer is what came on the stream and the
 * grpc-status of the trailers. A watch is a stream that stays; its shot is done when etcd says that the watch
 * is created.
 *
 * Invariants
 *   1. A stream is in its lane's free list, or open in the HTTP/2 session, whose user data for it it is.
 *   2. stream->shot is not NULL until lane_done was called for it, once.
 */
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>
#include "tests/bench/grpc.h"
#include "tests/bench/load.h"

#define WINDOW_BYTES        (4 * 1024 * 1024)
#define STATUS_NONE         (-1)
#define FIELD_TXN_SUCCEEDED 2
#define FIELD_WATCH_CREATED 3
#define FIELD_WATCH_EVENT   11

/* One HTTP/2 stream. */
struct stream {
    struct lane *lane;
    struct stream *next_free;
    struct shot *shot;
    bool watch;
    int status; /* grpc-status, or STATUS_NONE */
    struct bytes sent, got;
    size_t sent_at;
};

struct http {
    nghttp2_session *session;
    struct stream *streams; /* all that there are, in one block */
    struct stream *free;
};

/* --- what etcd answers ------------------------------------------------------------------------- */

static enum load_result result_of(const struct stream *st)
{
    int64_t whole = grpc_message(st->got.data, st->got.len);
    unsigned count = 0;
    uint64_t v = 0;

    if (st->status != 0 || whole <= 0) {
        return RESULT_FAILED;
    }
    if (st->shot->kind == SHOT_GET) {
        /* An answer without the key is shorter than its value. */
        return (size_t)whole > st->shot->value_bytes ? RESULT_DONE : RESULT_FAILED;
    }
    if (st->shot->kind == SHOT_CREATE && !st->lane->load->o.blind) {
        bool ok = grpc_field(st->got.data + GRPC_PREFIX_BYTES, (size_t)whole - GRPC_PREFIX_BYTES,
                             FIELD_TXN_SUCCEEDED, &count, &v);
        return !ok ? RESULT_FAILED : v == 1 ? RESULT_DONE : RESULT_EXISTS;
    }
    return RESULT_DONE;
}

static void finish_shot(struct stream *st, enum load_result result)
{
    struct shot *s = st->shot;

    if (s != NULL) {
        st->shot = NULL;
        lane_done(st->lane, s, result, st->status);
    }
}

static bool watch_message(struct stream *st, const uint8_t *p, size_t n)
{
    unsigned created = 0, events = 0;
    uint64_t v = 0, length = 0;

    if (!grpc_field(p, n, FIELD_WATCH_CREATED, &created, &v) ||
        !grpc_field(p, n, FIELD_WATCH_EVENT, &events, &length)) {
        return false;
    }
    if (v == 1) {
        finish_shot(st, RESULT_DONE);
    }
    if (events > 0) {
        lane_told(st->lane);
    }
    return true;
}

/* Take every whole message. */
static bool watch_input(struct stream *st)
{
    for (;;) {
        int64_t whole = grpc_message(st->got.data, st->got.len);
        if (whole <= 0) {
            return whole == 0;
        }
        if (!watch_message(st, st->got.data + GRPC_PREFIX_BYTES,
                           (size_t)whole - GRPC_PREFIX_BYTES)) {
            return false;
        }
        bytes_drop(&st->got, (size_t)whole);
    }
}

/* --- callbacks of libnghttp2 ------------------------------------------------------------------- */

static int on_frame(nghttp2_session *h, const nghttp2_frame *frame, void *user)
{
    (void)h; /* the lane has it */
    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
        lane_ready(user); /* the server is there and speaks HTTP/2 */
    }
    return 0;
}

static int on_header(nghttp2_session *h, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *user)
{
    struct stream *st = nghttp2_session_get_stream_user_data(h, frame->hd.stream_id);

    (void)flags, (void)user; /* nothing depends on them */
    if (st != NULL && name_bytes == 11 && memcmp(name, "grpc-status", 11) == 0) {
        st->status = value_bytes == 1 ? value[0] - '0' : STATUS_NONE;
    }
    return 0;
}

static int on_data(nghttp2_session *h, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *user)
{
    struct stream *st = nghttp2_session_get_stream_user_data(h, id);

    (void)flags, (void)user; /* nothing depends on them */
    if (st == NULL) {
        return 0;
    }
    bytes_put(&st->got, p, n);
    if (st->watch && !watch_input(st)) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
}

static int on_close(nghttp2_session *h, int32_t id, uint32_t code, void *user)
{
    struct stream *st = nghttp2_session_get_stream_user_data(h, id);
    struct lane *l = user;
    struct http *http = l->http;

    if (st == NULL) {
        return 0;
    }
    enum load_result result = RESULT_FAILED;
    if (st->shot != NULL && !st->watch && code == NGHTTP2_NO_ERROR) {
        result = result_of(st);
    }
    struct shot *s = st->shot;
    st->shot = NULL;
    /* Free first: what follows the answer takes one. */
    st->next_free = http->free;
    http->free = st;
    if (s != NULL) {
        lane_done(l, s, result, st->status);
    }
    return 0;
}

static ssize_t on_read(nghttp2_session *h, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                       nghttp2_data_source *source, void *user)
{
    struct stream *st = source->ptr;
    size_t left = st->sent.len - st->sent_at;
    size_t n = left < room ? left : room;

    (void)h, (void)id, (void)user; /* the stream has them */
    if (n == 0) {
        return NGHTTP2_ERR_DEFERRED; /* a watch says no more, but does not end */
    }
    memcpy(to, st->sent.data + st->sent_at, n);
    st->sent_at += n;
    if (st->sent_at == st->sent.len && !st->watch) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)n;
}

/* --- the wire ---------------------------------------------------------------------------------- */

static int make_streams(struct lane *l, struct http *http)
{
    const struct options *o = &l->load->o;
    /* Preparing and watching have as many under way as a lane has at most, and then some. */
    size_t count = o->outstanding + o->watchers + 64;

    http->streams = calloc(count, sizeof *http->streams);
    if (http->streams == NULL) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        http->streams[i].lane = l;
        http->streams[i].next_free = i + 1 < count ? &http->streams[i + 1] : NULL;
    }
    http->free = http->streams;
    return 0;
}

static int make_session(struct lane *l, struct http *http)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
    };
    nghttp2_session_callbacks *calls = NULL;

    if (nghttp2_session_callbacks_new(&calls) != 0) {
        return -1;
    }
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
    int rc = nghttp2_session_client_new(&http->session, calls, l);
    nghttp2_session_callbacks_del(calls);
    if (rc == 0) {
        rc = nghttp2_submit_settings(http->session, NGHTTP2_FLAG_NONE, settings, 2);
    }
    if (rc == 0) {
        rc = nghttp2_session_set_local_window_size(http->session, NGHTTP2_FLAG_NONE, 0,
                                                   WINDOW_BYTES);
    }
    return rc == 0 ? 0 : -1;
}

static int etcd_hello(struct lane *l)
{
    struct http *http = calloc(1, sizeof *http);

    l->http = http; /* etcd_finish frees it, half made too */
    return http != NULL && make_streams(l, http) == 0 ? make_session(l, http) : -1;
}

static void etcd_finish(struct lane *l)
{
    struct http *http = l->http;

    if (http == NULL) {
        return;
    }
    nghttp2_session_del(http->session); /* calls nothing back */
    size_t count = l->load->o.outstanding + l->load->o.watchers + 64;
    for (size_t i = 0; http->streams != NULL && i < count; i++) {
        struct stream *st = &http->streams[i];
        if (st->shot != NULL) {
            load_give_back(l->load, st->shot);
        }
        bytes_clear(&st->sent);
        bytes_clear(&st->got);
    }
    free(http->streams);
    free(http);
    l->http = NULL;
}

static const char *encode(struct stream *st, const struct shot *s)
{
    switch (s->kind) {
    case SHOT_SET:
        grpc_put(&st->sent, s->path, s->value, s->value_bytes);
        return "/etcdserverpb.KV/Put";
    case SHOT_CREATE:
        if (st->lane->load->o.blind) {
            grpc_put(&st->sent, s->path, s->value, s->value_bytes);
            return "/etcdserverpb.KV/Put";
        }
        grpc_create(&st->sent, s->path, s->value, s->value_bytes);
        return "/etcdserverpb.KV/Txn";
    case SHOT_GET:
        grpc_range(&st->sent, s->path, !s->linearizable);
        return "/etcdserverpb.KV/Range";
    case SHOT_WATCH:
        break;
    }
    grpc_watch(&st->sent, s->path);
    return "/etcdserverpb.Watch/Watch";
}

#define TEXT(t) ((uint8_t *)(uintptr_t)(t))
#define KEEP    (NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE)
#define HEADER(name, value)                                                \
    {                                                                      \
        TEXT(name), TEXT(value), sizeof(name) - 1, sizeof(value) - 1, KEEP \
    }

static int etcd_send(struct lane *l, struct shot *s)
{
    struct http *http = l->http;
    struct stream *st = http->free;

    if (st == NULL) {
        return -1;
    }
    http->free = st->next_free;
    st->shot = s;
    st->watch = s->kind == SHOT_WATCH;
    st->status = STATUS_NONE;
    st->sent.len = 0;
    st->sent_at = 0;
    st->got.len = 0;
    const char *path = encode(st, s);
    const nghttp2_nv headers[] = {
        HEADER(":method", "POST"),
        HEADER(":scheme", "http"),
        {TEXT(":path"), TEXT(path), 5, strlen(path), KEEP},
        HEADER(":authority", "localhost"),
        HEADER("content-type", "application/grpc"),
        HEADER("te", "trailers"),
    };
    const nghttp2_data_provider body = {.source.ptr = st, .read_callback = on_read};
    int32_t id = nghttp2_submit_request(http->session, NULL, headers, 6, &body, st);
    return id > 0 && !st->sent.failed ? 0 : -1;
}

static int etcd_input(struct lane *l)
{
    struct http *http = l->http;
    ssize_t used = nghttp2_session_mem_recv(http->session, l->in.data, l->in.len);

    if (used < 0) {
        return -1;
    }
    bytes_drop(&l->in, (size_t)used);
    return 0;
}

static int etcd_pump(struct lane *l)
{
    struct http *http = l->http;
    const uint8_t *p;

    for (;;) {
        ssize_t n = nghttp2_session_mem_send(http->session, &p);
        if (n <= 0) {
            return n == 0 ? 0 : -1;
        }
        bytes_put(&l->out, p, (size_t)n);
    }
}

const struct wire load_wire = {
    .system = "etcd",
    .hello = etcd_hello,
    .send = etcd_send,
    .input = etcd_input,
    .pump = etcd_pump,
    .finish = etcd_finish,
};
