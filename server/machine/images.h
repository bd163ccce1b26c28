/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images.h: records kept as they were for a saver that has not come to them yet, each under its place in the
 * order of the format. Runs give the next one, an index says whether a place has one.
 *
 * A place is a session's id, or (id 0) a node's path without the slash in front ("" is "/"). Sessions
 * stand before nodes.
 *
 * Threads: none; one owner.
 */
#ifndef COORD_SERVER_MACHINE_IMAGES_H
#define COORD_SERVER_MACHINE_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "protocol/message.h"
#include "server/machine/rest.h"
#include "server/store/slots.h"

struct place {
    uint64_t session; /* 0: a node */
    struct coord_bytes path;
};

/* Negative, 0, positive: the order of the format. */
int place_compare(const struct place *a, const struct place *b);

struct image {
    struct place place; /* its path lies in `bytes` */
    struct rest rest;   /* of the record, behind record_bytes */
    uint32_t record_bytes;
    uint32_t room_bytes; /* of the whole allocation */
    uint64_t rest_bytes; /* memory that the rest keeps, by images_charge */
    uint8_t bytes[];     /* the path, then the record */
};

#define IMAGES_RUN 96u

/* Neighbours in the order; between two runs, all of one come before all of the other. */
struct images_run {
    uint32_t head; /* those before have left */
    uint32_t end;
    bool sorted;
    struct image *items[IMAGES_RUN];
};

/* A run, and an image of it such that no image of the runs before comes behind it. */
struct images_entry {
    const struct image *pivot;
    struct images_run *run;
};

struct images {
    struct images_entry *runs; /* from runs_head on, runs_count; none is empty */
    size_t runs_head;
    size_t runs_count;
    size_t runs_cap;
    size_t count;
    struct slots index;
    uint64_t bytes;
};

void images_init(struct images *im);
/* Accepts a zeroed struct. */
void images_finish(struct images *im);

bool images_has(const struct images *im, const struct place *place);

/* Keep a record of at most record_bytes_max, and what rest it may have, under a place that has none; the caller
 * writes it behind the path, sets record_bytes and may set rest, which is the image's then.
 * Errors: COORD_ENOMEM. Return: 0 or negative. */
int images_add(struct images *im, const struct place *place, uint64_t record_bytes_max,
               struct image **ret_image);

/* The rest of this image keeps so much memory. */
void images_charge(struct images *im, struct image *image, uint64_t bytes);

/* The first in order, NULL when there is none. Cost: now and then that of sorting a run. Theirs until it is dropped; whoever takes the rest leaves
 * nothing there. */
struct image *images_first(struct images *im);
/* Forget the first. */
void images_drop_first(struct images *im);

const uint8_t *image_record(const struct image *i);

#endif
