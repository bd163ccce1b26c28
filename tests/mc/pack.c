/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.c: a member without its zeros. A block is 37 KiB of which 1 or 2 KiB are in use.
 *
 * Format: words of 64 bits, runs of {zeros to skip : 32 | words that follow : 32}, words.
 * Packing is exact and the same for the same words, so packed members can be compared.
 */
#include "tests/mc/mc.h"

#include <string.h>

size_t mc_pack(const uint64_t *words, size_t count, uint64_t *ret_packed)
{
    size_t at = 0;
    size_t out = 0;
    while (at < count) {
        size_t from = at;
        while (at < count && words[at] == 0) {
            at++;
        }
        size_t first = at;
        while (at < count && words[at] != 0) {
            at++;
        }
        ret_packed[out++] = (uint64_t)(first - from) << 32 | (uint64_t)(at - first);
        memcpy(ret_packed + out, words + first, (at - first) * sizeof(words[0]));
        out += at - first;
    }
    return out;
}

void mc_unpack(const uint64_t *packed, uint64_t *ret_words, size_t count)
{
    size_t at = 0;
    size_t in = 0;
    memset(ret_words, 0, count * sizeof(ret_words[0]));
    while (at < count) {
        uint64_t run = packed[in++];
        size_t words = (size_t)(run & 0xffffffffu);
        at += (size_t)(run >> 32);
        memcpy(ret_words + at, packed + in, words * sizeof(ret_words[0]));
        at += words;
        in += words;
    }
}
