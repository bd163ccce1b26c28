/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: whatever a server sends is decoded or refused by the client's side of the codec; the lists in
 * it can be walked to their end; what is accepted means one thing only (bad input I13).
 * Method: decode as the reply to every operation and as an event, walk, encode again, compare.
 * Input: a byte that says the operation, then the body of a frame.
 */
#include "protocol/buf.h"
#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"

#define ITEMS_MAX 256

static const uint8_t *body_of(const struct coord_buf *frame)
{
    return frame->data + COORD_FRAME_HEADER_BYTES;
}

static size_t body_len(const struct coord_buf *frame)
{
    return frame->len - COORD_FRAME_HEADER_BYTES;
}

static int same(const struct coord_buf *a, const struct coord_buf *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* Return: how many there are; the first ITEMS_MAX go to `entries`. */
static uint32_t walk_entries(const struct coord_result *res, struct coord_list_entry *entries)
{
    struct coord_bytes cursor = res->entries_raw;
    struct coord_list_entry e;
    uint32_t n = 0;
    int rc;
    while ((rc = coord_list_next(&cursor, &e)) == 1) {
        if (n < ITEMS_MAX) {
            entries[n] = e;
        }
        n++;
    }
    FUZZ_CHECK(rc == 0, "an accepted list can be walked");
    FUZZ_CHECK(n == res->entries_count, "and has the announced length");
    return n;
}

static void walk_sessions(const struct coord_result *res)
{
    struct coord_bytes cursor = res->sessions.raw;
    struct coord_session_info s;
    uint32_t n = 0;
    int rc;
    while ((rc = coord_session_next(&cursor, &s)) == 1) {
        n++;
    }
    FUZZ_CHECK(rc == 0 && n == res->sessions.count, "accepted sessions can be walked");
}

static uint32_t walk_changes(const struct coord_event *ev, struct coord_change *changes)
{
    struct coord_bytes cursor = ev->changes_raw;
    struct coord_change c;
    uint32_t n = 0;
    int rc;
    while ((rc = coord_change_next(&cursor, &c)) == 1) {
        if (n < ITEMS_MAX) {
            changes[n] = c;
        }
        n++;
    }
    FUZZ_CHECK(rc == 0, "accepted changes can be walked");
    return n;
}

static void result(enum coord_op op, const uint8_t *body, size_t len)
{
    static struct coord_list_entry entries[ITEMS_MAX];
    static struct coord_list_entry again_entries[ITEMS_MAX];
    struct coord_result res;
    struct coord_result again;
    struct coord_buf *once = NULL;
    struct coord_buf *twice = NULL;
    char why[64];
    memset(why, 'x', sizeof(why));
    int rc = coord_result_decode(op, body, len, &res, why, sizeof(why));
    FUZZ_CHECK(rc == 0 || rc == COORD_EPROTO, "no other answer");
    FUZZ_CHECK(rc == 0 || memchr(why, 0, sizeof(why)) != NULL, "the reason is a string");
    if (rc != 0 || walk_entries(&res, entries) > ITEMS_MAX) {
        return;
    }
    walk_sessions(&res);
    res.entries = entries;
    FUZZ_CHECK(coord_result_encode(op, &res, &once) == 0, "what was decoded can be encoded");
    FUZZ_CHECK(body_len(once) <= len, "and is not longer");
    FUZZ_CHECK(coord_result_decode(op, body_of(once), body_len(once), &again, why, sizeof(why)) ==
                   0,
               "and decoded");
    (void)walk_entries(&again, again_entries); /* as many as before: the encodings are compared */
    again.entries = again_entries;
    FUZZ_CHECK(coord_result_encode(op, &again, &twice) == 0, "and encoded");
    FUZZ_CHECK(same(once, twice), "as the same");
    coord_buf_unref(once);
    coord_buf_unref(twice);
}

static void event(const uint8_t *body, size_t len)
{
    static struct coord_change changes[ITEMS_MAX];
    static struct coord_change again_changes[ITEMS_MAX];
    struct coord_event ev;
    struct coord_event again;
    struct coord_buf *once = NULL;
    struct coord_buf *twice = NULL;
    char why[64];
    memset(why, 'x', sizeof(why));
    int rc = coord_event_decode(body, len, &ev, why, sizeof(why));
    FUZZ_CHECK(rc == 0 || rc == COORD_EPROTO, "no other answer");
    FUZZ_CHECK(rc == 0 || memchr(why, 0, sizeof(why)) != NULL, "the reason is a string");
    if (rc != 0) {
        return;
    }
    ev.changes_count = walk_changes(&ev, changes);
    ev.changes = changes;
    if (ev.changes_count > ITEMS_MAX) {
        return;
    }
    FUZZ_CHECK(coord_event_encode(&ev, &once) == 0, "what was decoded can be encoded");
    FUZZ_CHECK(body_len(once) <= len, "and is not longer");
    FUZZ_CHECK(coord_event_decode(body_of(once), body_len(once), &again, why, sizeof(why)) == 0,
               "and decoded");
    again.changes_count = walk_changes(&again, again_changes);
    again.changes = again_changes;
    FUZZ_CHECK(coord_event_encode(&again, &twice) == 0, "and encoded");
    FUZZ_CHECK(same(once, twice), "as the same");
    coord_buf_unref(once);
    coord_buf_unref(twice);
}

/* A stored body becomes a reply when it is one array, and only then. */
static void join(enum coord_op op, const uint8_t *bytes, size_t len)
{
    const struct coord_receipt receipt = {.member = 1, .role = 4};
    struct coord_bytes body = {bytes, (uint32_t)len};
    struct coord_result res;
    struct coord_buf *frame = NULL;
    char why[64];
    int rc = coord_reply_join(7, 0, &receipt, body, &frame);
    FUZZ_CHECK(rc == 0 || rc == COORD_EINVAL, "no other answer");
    if (rc == 0) {
        (void)coord_result_decode(op, body_of(frame), body_len(frame), &res, why, sizeof(why));
    }
    coord_buf_unref(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0) {
        return 0;
    }
    enum coord_op op = (enum coord_op)bytes[0];
    uint64_t number = 0;
    bool is_event = false;
    int rc = coord_reply_peek(bytes + 1, len - 1, &number, &is_event);
    FUZZ_CHECK(rc == 0 || rc == COORD_EPROTO, "no other answer");
    result(op, bytes + 1, len - 1);
    event(bytes + 1, len - 1);
    join(op, bytes + 1, len - 1);
    return 0;
}
