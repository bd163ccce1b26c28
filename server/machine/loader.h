/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.h: a saved state read into a state of its own, as its bytes come, piece by piece, and then put into a
 * machine at once. It touches no machine until then, so another thread than the machine's may read.
 *
 * Threads: none; one owner at a time.
 */
#ifndef COORD_SERVER_MACHINE_LOADER_H
#define COORD_SERVER_MACHINE_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;
struct machine_loader;

/* bytes_max: no more will come; bounds what a head that lies can make it allocate.
 * Return: NULL when memory is out. */
struct machine_loader *machine_loader_create(uint64_t bytes_max);
/* Accepts NULL. */
void machine_loader_destroy(struct machine_loader *l);

/* The next bytes, cut anywhere; borrowed. They are from a verified file, but not trusted.
 * Errors: COORD_EPROTO, COORD_ENOMEM, and the same at every later call. Return: 0 or negative. */
int machine_loader_feed(struct machine_loader *l, const uint8_t *bytes, size_t len);

/* That was all: is it a whole state? Errors: as above. Return: 0 or negative. */
int machine_loader_end(struct machine_loader *l);

/* All three for bytes that are in one place. Errors: COORD_EPROTO (why says where), COORD_ENOMEM.
 * Return: 0 or negative; *ret_l is set on 0 only. */
int machine_loader_read(const uint8_t *bytes, size_t len, struct machine_loader **ret_l, char *why,
                        size_t why_bytes);

/* Has a call returned an error? */
bool machine_loader_failed(const struct machine_loader *l);

/* What is wrong and at which byte, after an error. Writes at most why_bytes, the NUL included. */
void machine_loader_why(const struct machine_loader *l, char *why, size_t why_bytes);

/* Of the state that was read. */
uint64_t machine_loader_revision(const struct machine_loader *l);

/* The machine, which has no saver, goes on from what was read, which machine_loader_end found whole. The
 * loader is left with nothing but to be destroyed. Cost: giving the old state back. */
void machine_replace(struct machine *m, struct machine_loader *l);

#endif
