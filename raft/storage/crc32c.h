/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc32c.h: the checksum of everything the storage driver writes (CRC-32C, Castagnoli polynomial).
 */
#ifndef COORD_RAFT_STORAGE_CRC32C_H
#define COORD_RAFT_STORAGE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what crc already covers followed by data; begin with crc 0.
 * Ownership: none. Errors: none. Thread: any. Return: the checksum. */
uint32_t raft__crc32c(uint32_t crc, const void *data, size_t len);

/* The same by the table, whatever the processor can do; for tests. */
uint32_t raft__crc32c_table(uint32_t crc, const void *data, size_t len);

/* 1 when the processor's instruction is in use, 0 when the table is. Thread: any. */
int raft__crc32c_is_hardware(void);

#endif
