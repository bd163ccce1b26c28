/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc32c.c: CRC-32C by the processor's instruction (SSE 4.2, ARMv8 CRC) or by table.
 *
 * Which of the two is decided once, at the first call. The instruction is used only after it has
 * given the known answer for known inputs: a processor or an emulator that computes it wrongly would
 * otherwise write files that no other machine can read. The table is for 8 bytes a step (Kounavis and
 * Berry, "A Systematic Approach to Building High Performance, Software-Based, CRC Generators", 2005).
 *
 * The instruction answers after three cycles but can be begun in each, so long inputs are taken as three lanes side
 * by side. A checksum is linear: what follows a lane counts as zeros appended to it, and what so many zeros make
 * of a checksum is looked up (shift).
 *
 * Thread: any; the decision is made under pthread_once.
 */
#include "raft/storage/crc32c.h"
#include "raft/storage/bytes.h"
#include "raft/storage/must.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

#define POLYNOMIAL 0x82f63b78u /* bits reversed */
#define LANE_BYTES 336u        /* three of them are what a value of 1 KiB has */

typedef uint32_t (*crc_function)(uint32_t crc, const uint8_t *p, size_t len);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t table[8][256];
static uint32_t lane_table[4]
                          [256]; /* of each byte of a checksum, what LANE_BYTES zeros make of it */
static crc_function chosen;

/* The functions below work on the inverted checksum. */

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t len)
{
    while (len >= 8) {
        uint32_t low = get_u32(p) ^ crc;
        uint32_t high = get_u32(p + 4);
        crc = table[7][low & 0xff] ^ table[6][(low >> 8) & 0xff] ^ table[5][(low >> 16) & 0xff] ^
              table[4][low >> 24] ^ table[3][high & 0xff] ^ table[2][(high >> 8) & 0xff] ^
              table[1][(high >> 16) & 0xff] ^ table[0][high >> 24];
        p += 8;
        len -= 8;
    }
    while (len > 0) {
        crc = table[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
        p++;
        len--;
    }
    return crc;
}

/* The checksum of what crc covers followed by LANE_BYTES zeros. */
static inline uint32_t shift(uint32_t crc)
{
    return lane_table[0][crc & 0xff] ^ lane_table[1][(crc >> 8) & 0xff] ^
           lane_table[2][(crc >> 16) & 0xff] ^ lane_table[3][crc >> 24];
}

#if defined(__x86_64__)

#define HARDWARE __attribute__((target("sse4.2")))

static int hardware_there(void)
{
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_2) != 0;
}

HARDWARE static inline uint32_t crc_word(uint32_t crc, uint64_t word)
{
    return (uint32_t)_mm_crc32_u64(crc, word);
}

HARDWARE static inline uint32_t crc_byte(uint32_t crc, uint8_t byte)
{
    return _mm_crc32_u8(crc, byte);
}

#elif defined(__aarch64__)

#define HARDWARE __attribute__((target("+crc")))

static int hardware_there(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}

HARDWARE static inline uint32_t crc_word(uint32_t crc, uint64_t word)
{
    return __crc32cd(crc, word);
}

HARDWARE static inline uint32_t crc_byte(uint32_t crc, uint8_t byte)
{
    return __crc32cb(crc, byte);
}

#else

#define HARDWARE

static int hardware_there(void)
{
    return 0;
}

static uint32_t crc_word(uint32_t crc, uint64_t word)
{
    uint8_t bytes[8];
    memcpy(bytes, &word, 8);
    return by_table(crc, bytes, 8);
}

static uint32_t crc_byte(uint32_t crc, uint8_t byte)
{
    return by_table(crc, &byte, 1);
}

#endif

static inline uint64_t word_at(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

HARDWARE static uint32_t by_hardware(uint32_t crc, const uint8_t *p, size_t len)
{
    while (len >= (size_t)3 * LANE_BYTES) {
        uint32_t second = 0;
        uint32_t third = 0;
        for (const uint8_t *end = p + LANE_BYTES; p < end; p += 8) {
            crc = crc_word(crc, word_at(p));
            second = crc_word(second, word_at(p + LANE_BYTES));
            third = crc_word(third, word_at(p + (size_t)2 * LANE_BYTES));
        }
        crc = shift(shift(crc) ^ second) ^ third;
        p += (size_t)2 * LANE_BYTES;
        len -= (size_t)3 * LANE_BYTES;
    }
    while (len >= 8) {
        crc = crc_word(crc, word_at(p));
        p += 8;
        len -= 8;
    }
    while (len > 0) {
        crc = crc_byte(crc, *p);
        p++;
        len--;
    }
    return crc;
}

/* Known answers: the check value of the CRC catalogue and the test patterns of RFC 3720, B.4. */
static int gives_known_answers(crc_function f)
{
    uint8_t zeros[32];
    uint8_t ones[32];
    uint8_t up[32];
    memset(zeros, 0, sizeof zeros);
    memset(ones, 0xff, sizeof ones);
    for (unsigned i = 0; i < sizeof up; i++) {
        up[i] = (uint8_t)i;
    }
    return ~f(~0u, (const uint8_t *)"123456789", 9) == 0xe3069283u &&
           ~f(~0u, zeros, sizeof zeros) == 0x8a9136aau &&
           ~f(~0u, ones, sizeof ones) == 0x62a8ab43u && ~f(~0u, up, sizeof up) == 0x46dd794eu;
}

/* Both ways give the same for an input of lanes and a rest. */
static int lanes_agree(void)
{
    uint8_t bytes[3 * LANE_BYTES + 13];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 167 + (i >> 8));
    }
    return by_hardware(~0u, bytes, sizeof bytes) == by_table(~0u, bytes, sizeof bytes);
}

/* Each bit of a checksum by the table, and any other value as their sum. */
static void make_lane_table(void)
{
    static const uint8_t zeros[LANE_BYTES];
    for (uint32_t byte = 0; byte < 4; byte++) {
        for (uint32_t i = 1; i < 256; i++) {
            uint32_t low = i & (i - 1); /* without its lowest bit */
            uint32_t bit = (i ^ low) << (8 * byte);
            lane_table[byte][i] = lane_table[byte][low] ^ by_table(bit, zeros, LANE_BYTES);
        }
    }
}

static void choose(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
        }
        table[0][i] = crc;
    }
    for (int slice = 1; slice < 8; slice++) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t crc = table[slice - 1][i];
            table[slice][i] = table[0][crc & 0xff] ^ (crc >> 8);
        }
    }
    make_lane_table();
    MUST(gives_known_answers(by_table));
    chosen = hardware_there() && gives_known_answers(by_hardware) && lanes_agree() ? by_hardware
                                                                                   : by_table;
}

uint32_t raft__crc32c(uint32_t crc, const void *data, size_t len)
{
    (void)pthread_once(&once, choose); /* fails only for an invalid control */
    return ~chosen(~crc, data, len);
}

uint32_t raft__crc32c_table(uint32_t crc, const void *data, size_t len)
{
    (void)pthread_once(&once, choose); /* as above */
    return ~by_table(~crc, data, len);
}

int raft__crc32c_is_hardware(void)
{
    (void)pthread_once(&once, choose); /* as above */
    return chosen != by_table;
}
