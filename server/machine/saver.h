/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saver.h: the whole state as bytes, in slices, while entries go on being applied. What comes out is the
 * state as it was when the saver was made, byte for byte what machine_save would have given then.
 *
 * How: a cursor goes over the state in the order of the format (sessions by id, nodes in path order).
 * Before anything changes that is older than the saver and still ahead of the cursor, its record is kept as
 * it was (an image), and the cursor gives the image in its place. What is younger than the saver is passed
 * over. saver.c says why this is exact.
 *
 * Cost: none while there is no saver but a branch per change; with one, a copy of every node and session
 * that is changed before the cursor has come by, once each, so never more than the state. Data of more than
 * REST_DATA_MIN bytes and the bodies of answers are not copied but kept (rest.h): of one change at most
 * a kilobyte of data, or 24 bytes for each answer of the session.
 *
 * Threads: none; the machine's owner's.
 */
#ifndef COORD_SERVER_MACHINE_SAVER_H
#define COORD_SERVER_MACHINE_SAVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_SAVERS_MAX 2 /* at the same time: a snapshot and a digest */

struct machine;
struct machine_saver;

/* Takes the bytes, in order; borrowed. It may not call the machine. */
struct machine_sink {
    void *arg;
    void (*put)(void *arg, const void *bytes, size_t len);
};

/* Begin to save the state as it is now. sink: copied; NULL when only the digest is wanted.
 * Ownership: the saver is the caller's, who destroys it before the machine or another state loaded into it.
 * Errors:    COORD_ENOMEM; COORD_EBUSY when there are MACHINE_SAVERS_MAX.
 * Return:    0 or negative; *ret_s is set on 0 only. */
int machine_saver_create(struct machine *m, const struct machine_sink *sink,
                         struct machine_saver **ret_s);

/* Later steps end early when `over` says so; it is asked every few records, and between the pieces of a long
 * one, but never before the first. NULL: nobody is asked. For a host that gives a step a time: the bytes that come
 * out do not depend on where steps end. */
void machine_saver_ask(struct machine_saver *s, bool (*over)(void *arg), void *arg);

/* Go on until so many records were passed or so many bytes given, whichever comes first. Cut is only between
 * records and within data of more than REST_DATA_MIN bytes and answers, so bytes can be exceeded by little more
 * than that.
 * Errors: COORD_ENOMEM (an image could not be kept), COORD_EPROTO (the records are not as many as the head
 *         said): the saver is fit for destroying only.
 * Return: 1 when there is more, 0 when it is complete, or negative. */
int machine_saver_step(struct machine_saver *s, uint32_t records, uint64_t bytes);

struct machine_saver_info {
    uint64_t revision;
    uint64_t bytes;        /* given so far */
    uint64_t records;      /* passed so far, those left out included */
    uint64_t images;       /* kept now */
    uint64_t images_bytes; /* memory they take, with what is kept for them */
};
void machine_saver_info(const struct machine_saver *s, struct machine_saver_info *ret_i);

/* Of what was given: after machine_saver_step has returned 0, machine_digest of that state. Only of a saver
 * without a sink. */
uint64_t machine_saver_digest(const struct machine_saver *s);

/* Accepts NULL. */
void machine_saver_destroy(struct machine_saver *s);

#endif
