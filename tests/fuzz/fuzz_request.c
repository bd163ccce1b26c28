/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: whatever a client sends as the body of a frame is decoded or refused, within bounds; what is
 * accepted means one thing only (bad input I3, I4, I5, I7).
 * Method: decode; encode what was understood, which is never longer, and is read as the same again.
 * Input: the body of a frame.
 */
#include "protocol/buf.h"
#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"

#define ITEMS_MAX 10000u

static void check_again(const struct coord_request *q, size_t len)
{
    struct coord_buf *once = NULL;
    struct coord_buf *twice = NULL;
    struct coord_request again;
    char why[64] = "";
    FUZZ_CHECK(coord_request_encode(q, &once) == 0, "what was decoded can be encoded");
    FUZZ_CHECK(once->len - COORD_FRAME_HEADER_BYTES <= len, "and is not longer");
    FUZZ_CHECK(coord_frame_size(once->data, once->len, once->len) == once->len, "a whole frame");
    FUZZ_CHECK(coord_request_decode(once->data + COORD_FRAME_HEADER_BYTES,
                                    once->len - COORD_FRAME_HEADER_BYTES, &again, why,
                                    sizeof(why)) == 0,
               "and decoded");
    FUZZ_CHECK(coord_request_encode(&again, &twice) == 0, "and encoded");
    FUZZ_CHECK(once->len == twice->len && memcmp(once->data, twice->data, once->len) == 0,
               "as the same");
    coord_buf_unref(once);
    coord_buf_unref(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct coord_request q;
    uint64_t number = 0;
    uint64_t op = 0;
    char why[64];
    memset(why, 'x', sizeof(why));
    int64_t size = coord_frame_size(bytes, len, 1u << 20);
    FUZZ_CHECK(
        size == 0 || size == COORD_ETOOBIG ||
            (size > COORD_FRAME_HEADER_BYTES && size <= (1 << 20) + COORD_FRAME_HEADER_BYTES),
        "a frame's size is within the bound");
    int peeked = coord_request_peek(bytes, len, &number, &op);
    int rc = coord_request_decode(bytes, len, &q, why, sizeof(why));
    FUZZ_CHECK(rc == 0 || rc == COORD_EBADREQUEST, "no other answer");
    FUZZ_CHECK(rc == 0 || memchr(why, 0, sizeof(why)) != NULL, "the reason is a string");
    if (rc == 0) {
        FUZZ_CHECK(peeked == 0 && number == q.number && op == (uint64_t)q.op, "peeking agrees");
        FUZZ_CHECK(coord_msgpack_scan(bytes, len, COORD_MSGPACK_DEPTH_MAX, ITEMS_MAX) == 0,
                   "within the limits on depth and items");
        check_again(&q, len);
    }
    return 0;
}
