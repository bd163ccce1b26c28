/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor.c: the bounded msgpack reader of cursor.h, and the scan of a whole value.
 *
 * The decoder does not use msgpack-c: its unpacker allocates what an array header announces before
 * it has seen the items, so five bytes can ask for gigabytes.
 *
 * Formats of the first byte (msgpack specification), n = big-endian number of that many bytes:
 *   00..7f integer      80..8f map          90..9f array         a0..bf str        e0..ff integer
 *   c0 nil   c1 never   c2 false  c3 true   c4 c5 c6 bin n=1,2,4          c7 c8 c9 ext n=1,2,4
 *   ca cb float n=4,8   cc..cf unsigned n=1,2,4,8    d0..d3 signed n=1,2,4,8
 *   d4..d8 ext of 1,2,4,8,16 bytes          d9 da db str n=1,2,4
 *   dc dd array n=2,4   de df map n=2,4
 *
 * Leaves to others: which types a message wants (decode.c), whether a str is UTF-8 (path.c).
 * Thread: any.
 *
 * Invariants
 *   1. No byte at or behind `end` is read.
 *   2. A reader that fails leaves the cursor where it was.
 *   3. After a header was accepted, payload_bytes + children_count <= bytes behind the header.
 */
#include "protocol/cursor.h"

#include <assert.h>

static const char cut_short[] = "the message ends here";

/* The formats c0..df: the type and the bytes of the number behind the first byte. */
static const struct {
    uint8_t type;
    uint8_t number_bytes;
} formats[32] = {
    {COORD_ITEM_NIL, 0},   {COORD_ITEM_RESERVED, 0}, {COORD_ITEM_BOOL, 0},  {COORD_ITEM_BOOL, 0},
    {COORD_ITEM_BIN, 1},   {COORD_ITEM_BIN, 2},      {COORD_ITEM_BIN, 4},   {COORD_ITEM_EXT, 1},
    {COORD_ITEM_EXT, 2},   {COORD_ITEM_EXT, 4},      {COORD_ITEM_FLOAT, 4}, {COORD_ITEM_FLOAT, 8},
    {COORD_ITEM_UINT, 1},  {COORD_ITEM_UINT, 2},     {COORD_ITEM_UINT, 4},  {COORD_ITEM_UINT, 8},
    {COORD_ITEM_NEG, 1},   {COORD_ITEM_NEG, 2},      {COORD_ITEM_NEG, 4},   {COORD_ITEM_NEG, 8},
    {COORD_ITEM_EXT, 0},   {COORD_ITEM_EXT, 0},      {COORD_ITEM_EXT, 0},   {COORD_ITEM_EXT, 0},
    {COORD_ITEM_EXT, 0},   {COORD_ITEM_STR, 1},      {COORD_ITEM_STR, 2},   {COORD_ITEM_STR, 4},
    {COORD_ITEM_ARRAY, 2}, {COORD_ITEM_ARRAY, 4},    {COORD_ITEM_MAP, 2},   {COORD_ITEM_MAP, 4},
};

static uint64_t big_endian(const uint8_t *p, uint32_t bytes)
{
    assert(bytes <= 8);
    uint64_t v = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

/* The formats whose first byte holds everything: small integers, maps, arrays and strs. */
static void header_short(uint8_t first, struct coord_item *item)
{
    assert(first < 0xc0 || first >= 0xe0);
    if (first < 0x80) {
        item->type = COORD_ITEM_UINT;
        item->value = first;
    } else if (first < 0x90) {
        item->type = COORD_ITEM_MAP;
        item->children_count = 2u * (first & 0x0fu);
    } else if (first < 0xa0) {
        item->type = COORD_ITEM_ARRAY;
        item->children_count = first & 0x0fu;
    } else if (first < 0xc0) {
        item->type = COORD_ITEM_STR;
        item->payload_bytes = first & 0x1fu;
    } else {
        item->type = COORD_ITEM_NEG;
        item->value = (uint64_t)(int64_t)(int8_t)first;
    }
}

/* Signed formats: extend the sign; what is not negative becomes a UINT. */
static void header_signed(uint64_t number, uint32_t bytes, struct coord_item *item)
{
    assert(bytes >= 1 && bytes <= 8);
    uint64_t sign = (uint64_t)1 << (bytes * 8 - 1);
    item->value = (number ^ sign) - sign;
    item->type = (number & sign) != 0 ? COORD_ITEM_NEG : COORD_ITEM_UINT;
}

/* The formats c0..df; the number behind the first byte is known to be there. */
static void header_long(uint8_t first, uint64_t number, uint32_t bytes, struct coord_item *item)
{
    assert(first >= 0xc0 && first < 0xe0);
    item->type = (enum coord_item_type)formats[first - 0xc0].type;
    switch (item->type) {
    case COORD_ITEM_BOOL:
        item->value = first & 1u;
        break;
    case COORD_ITEM_UINT:
        item->value = number;
        break;
    case COORD_ITEM_NEG:
        header_signed(number, bytes, item);
        break;
    case COORD_ITEM_STR:
    case COORD_ITEM_BIN:
        item->payload_bytes = number;
        break;
    case COORD_ITEM_EXT:
        /* One byte of type precedes the data. d4..d8 hold 1, 2, 4, 8 and 16 bytes. */
        item->payload_bytes = 1 + (bytes > 0 ? number : (uint64_t)1 << (first - 0xd4));
        break;
    case COORD_ITEM_ARRAY:
        item->children_count = number;
        break;
    case COORD_ITEM_MAP:
        item->children_count = 2 * number;
        break;
    default:
        break;
    }
}

const char *coord__cursor_header(const struct coord_cursor *c, struct coord_item *ret_item)
{
    assert(c->p <= c->end);
    size_t left = (size_t)(c->end - c->p);
    if (left == 0) {
        return cut_short;
    }
    uint8_t first = c->p[0];
    struct coord_item item = {.header_bytes = 1};
    if (first < 0xc0 || first >= 0xe0) {
        header_short(first, &item);
    } else {
        uint32_t bytes = formats[first - 0xc0].number_bytes;
        if (left < 1 + (size_t)bytes) {
            return cut_short;
        }
        item.header_bytes += bytes;
        header_long(first, big_endian(c->p + 1, bytes), bytes, &item);
        if (item.type == COORD_ITEM_RESERVED) {
            return "the byte 0xc1 is no msgpack";
        }
    }
    left -= item.header_bytes;
    if (item.payload_bytes > left) {
        return "announces more bytes than follow";
    }
    if (item.children_count > left) {
        return "announces more items than bytes follow";
    }
    *ret_item = item;
    return NULL;
}

const char *coord__cursor_uint(struct coord_cursor *c, uint64_t max, uint64_t *ret_value)
{
    assert(c->p <= c->end);
    if (coord__cursor_quick_uint(c, max, ret_value)) {
        return NULL;
    }
    struct coord_item item;
    const char *wrong = coord__cursor_header(c, &item);
    if (wrong != NULL) {
        return wrong;
    }
    if (item.type != COORD_ITEM_UINT) {
        return "expected an unsigned integer";
    }
    if (item.value > max) {
        return "the number is too large";
    }
    c->p += item.header_bytes;
    *ret_value = item.value;
    return NULL;
}

const char *coord__cursor_int(struct coord_cursor *c, int64_t min, int64_t *ret_value)
{
    struct coord_item item;
    const char *wrong = coord__cursor_header(c, &item);
    if (wrong != NULL) {
        return wrong;
    }
    if (item.type != COORD_ITEM_UINT && item.type != COORD_ITEM_NEG) {
        return "expected an integer";
    }
    if (item.type == COORD_ITEM_UINT && item.value > INT64_MAX) {
        return "the number is too large";
    }
    int64_t value = (int64_t)item.value;
    if (value < min) {
        return "the number is too small";
    }
    c->p += item.header_bytes;
    *ret_value = value;
    return NULL;
}

const char *coord__cursor_bool(struct coord_cursor *c, bool *ret_value)
{
    struct coord_item item;
    const char *wrong = coord__cursor_header(c, &item);
    if (wrong != NULL) {
        return wrong;
    }
    if (item.type != COORD_ITEM_BOOL) {
        return "expected true or false";
    }
    c->p += item.header_bytes;
    *ret_value = item.value != 0;
    return NULL;
}

const char *coord__cursor_array(struct coord_cursor *c, uint32_t *ret_count)
{
    assert(c->p <= c->end);
    /* The common case first: fewer than 16 items, each of which is a byte at least. */
    if (c->p < c->end && (*c->p & 0xf0u) == 0x90 && (*c->p & 0x0f) < c->end - c->p) {
        *ret_count = *c->p++ & 0x0fu;
        return NULL;
    }
    struct coord_item item;
    const char *wrong = coord__cursor_header(c, &item);
    if (wrong != NULL) {
        return wrong;
    }
    if (item.type != COORD_ITEM_ARRAY) {
        return "expected an array";
    }
    assert(item.children_count <= UINT32_MAX);
    c->p += item.header_bytes;
    *ret_count = (uint32_t)item.children_count;
    return NULL;
}

/* The one reader of str and bin; expected: the text for any other type. */
static const char *read_bytes(struct coord_cursor *c, enum coord_item_type type, bool optional,
                              const char *expected, struct coord_bytes *ret_bytes)
{
    assert(c->p <= c->end);
    struct coord_item item;
    const char *wrong = coord__cursor_header(c, &item);
    if (wrong != NULL) {
        return wrong;
    }
    if (optional && item.type == COORD_ITEM_NIL) {
        c->p += item.header_bytes;
        *ret_bytes = (struct coord_bytes){.data = NULL, .len = 0};
        return NULL;
    }
    if (item.type != type) {
        return expected;
    }
    assert(item.payload_bytes <= UINT32_MAX);
    ret_bytes->data = c->p + item.header_bytes;
    ret_bytes->len = (uint32_t)item.payload_bytes;
    c->p += item.header_bytes + item.payload_bytes;
    assert(c->p <= c->end);
    return NULL;
}

const char *coord__cursor_str(struct coord_cursor *c, bool optional, struct coord_bytes *ret_bytes)
{
    return read_bytes(c, COORD_ITEM_STR, optional,
                      optional ? "expected a str or nil" : "expected a str", ret_bytes);
}

const char *coord__cursor_bin(struct coord_cursor *c, bool optional, struct coord_bytes *ret_bytes)
{
    return read_bytes(c, COORD_ITEM_BIN, optional,
                      optional ? "expected a bin or nil" : "expected a bin", ret_bytes);
}

bool coord__cursor_skip_false(struct coord_cursor *c)
{
    assert(c->p <= c->end);
    if (c->p == c->end || *c->p != 0xc2) {
        return false;
    }
    c->p++;
    return true;
}

/* Bound on the loop: every turn but the last consumes a byte. */
int coord_msgpack_scan(const uint8_t *bytes, size_t len, uint32_t depth_max, uint32_t items_max)
{
    if (bytes == NULL || len == 0) {
        return COORD_EBADREQUEST;
    }
    if (depth_max > COORD_MSGPACK_DEPTH_MAX) {
        depth_max = COORD_MSGPACK_DEPTH_MAX;
    }
    struct coord_cursor c = {.p = bytes, .end = bytes + len};
    uint64_t left[COORD_MSGPACK_DEPTH_MAX + 1] = {1}; /* values still to come, by depth */
    uint32_t depth = 0;
    uint32_t items = 0;
    while (depth > 0 || left[0] > 0) {
        if (left[depth] == 0) {
            depth--;
            continue;
        }
        struct coord_item item;
        if (items == items_max || coord__cursor_header(&c, &item) != NULL) {
            return COORD_EBADREQUEST;
        }
        items++;
        left[depth]--;
        c.p += item.header_bytes + item.payload_bytes;
        if (item.type != COORD_ITEM_ARRAY && item.type != COORD_ITEM_MAP) {
            continue;
        }
        if (depth == depth_max) {
            return COORD_EBADREQUEST;
        }
        depth++;
        left[depth] = item.children_count;
    }
    return c.p == c.end ? 0 : COORD_EBADREQUEST;
}
