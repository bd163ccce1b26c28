/* SPDX-License-Identifier: Apache-2.0 */
/*
 * util.h: memory for the simulator. Running out of real memory ends the program: it is a test tool.
 */
#ifndef COORD_SIM_UTIL_H
#define COORD_SIM_UTIL_H

#include <stddef.h>
#include <stdint.h>

/* As the standard ones, but never NULL. */
void *sim_alloc(size_t bytes); /* zeroed */
void *sim_realloc(void *p, size_t bytes);

/* Memory that lives as long as one world: payloads are shared by logs, messages and models, and
 * freed together. */
struct arena_block;
struct arena {
    struct arena_block *blocks;
};
void *arena_alloc(struct arena *a, size_t bytes); /* aligned to 16, not zeroed */
void arena_finish(struct arena *a);

#endif
