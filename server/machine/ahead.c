/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead.c: which node an entry is about, found in a few steps while others are applied before it, so that its
 * memory is there in time. A hint: nothing follows from it, and bytes that are not well formed are passed
 * over; apply.c decides what an entry means.
 *
 * The body of a request is an array of its number, its operation, the last number acknowledged, and its
 * arguments, of which writes to a node have the path first (docs/protocol.md).
 */
#include "server/machine/entry.h"
#include "server/machine/machine.h"
#include "server/machine/machine_internal.h"

#define HEAD_NUMBERS 3u

/* Bytes of the number at p, header included; 0: it is none. */
static size_t number_bytes(uint8_t first)
{
    if (first <= 0x7f) {
        return 1;
    }
    return first >= 0xcc && first <= 0xcf ? 1 + ((size_t)1 << (first - 0xcc)) : 0;
}

/* The text at bytes[at]. Return: false when there is none. */
static bool text_at(const uint8_t *bytes, size_t len, size_t at, struct coord_bytes *ret_text)
{
    size_t head = 0;
    size_t count = 0;
    if (at + 3 > len) {
        return false;
    }
    if (bytes[at] >= 0xa0 && bytes[at] <= 0xbf) {
        head = 1;
        count = bytes[at] - 0xa0u;
    } else if (bytes[at] == 0xd9) {
        head = 2;
        count = bytes[at + 1];
    } else if (bytes[at] == 0xda) {
        head = 3;
        count = (size_t)bytes[at + 1] << 8 | bytes[at + 2];
    }
    if (count == 0 || at + head + count > len) {
        return false;
    }
    *ret_text = (struct coord_bytes){bytes + at + head, (uint32_t)count};
    return true;
}

void machine_ahead(struct machine *m, const uint8_t *bytes, size_t len)
{
    size_t at = ENTRY_HEADER_BYTES + 1; /* behind the array's header, of one byte for so few */
    struct coord_bytes path;
    if (len <= ENTRY_HEADER_BYTES || bytes[0] != ENTRY_REQUEST || !store_is_large(m->state.store)) {
        return;
    }
    for (uint32_t i = 0; i < HEAD_NUMBERS; i++) {
        size_t some = at < len ? number_bytes(bytes[at]) : 0;
        if (some == 0) {
            return;
        }
        at += some;
    }
    if (text_at(bytes, len, at, &path)) {
        store_ahead(m->state.store, path);
    }
}
