/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc32c.c: CRC-32C by the processor's instruction (SSE 4.2, ARMv8 CRC) or by table.
 *
 * Which of the two is decided once, at the first call. The instruction is used only after it has
 * given the known answer for known inputs: a processor or an emulator that computes it wrongly would
 * otherwise write files that no other machine can read. The table is for 8 bytes a step (Kounavis and
 * Berry, "A Systematic Approach to Building High Performance, Software-Based, CRC Generators", 2005).
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

typedef uint32_t (*crc_function)(uint32_t crc, const uint8_t *p, size_t len);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t table[8][256];
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

#if defined(__x86_64__)

static int hardware_there(void)
{
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_2) != 0;
}

__attribute__((target("sse4.2"))) static uint32_t by_hardware(uint32_t crc, const uint8_t *p,
                                                              size_t len)
{
    uint64_t wide = crc;
    while (len >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = _mm_crc32_u64(wide, word);
        p += 8;
        len -= 8;
    }
    crc = (uint32_t)wide;
    while (len > 0) {
        crc = _mm_crc32_u8(crc, *p);
        p++;
        len--;
    }
    return crc;
}

#elif defined(__aarch64__)

static int hardware_there(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}

__attribute__((target("+crc"))) static uint32_t by_hardware(uint32_t crc, const uint8_t *p,
                                                            size_t len)
{
    while (len >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = __crc32cd(crc, word);
        p += 8;
        len -= 8;
    }
    while (len > 0) {
        crc = __crc32cb(crc, *p);
        p++;
        len--;
    }
    return crc;
}

#else

static int hardware_there(void)
{
    return 0;
}

static uint32_t by_hardware(uint32_t crc, const uint8_t *p, size_t len)
{
    return by_table(crc, p, len);
}

#endif

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
    MUST(gives_known_answers(by_table));
    chosen = hardware_there() && gives_known_answers(by_hardware) ? by_hardware : by_table;
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
