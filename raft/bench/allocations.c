/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allocations.c: counts what asks for memory. The program is linked with --wrap for each of these, so
 * that calls come here first. One thread.
 */
#include "raft/bench/bench.h"

static uint64_t count;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
    count++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    count++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    count++;
    return __real_realloc(p, size);
}

uint64_t bench_allocations(void)
{
    return count;
}
