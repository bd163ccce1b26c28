/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images.h: records kept as they were for a saver that has not come to them yet, each under its place in the
 * order of the format. A heap gives the next one, an index says whether a place has one.
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
#include "server/store/slots.h"

struct place {
    uint64_t session; /* 0: a node */
    struct coord_bytes path;
};

/* Negative, 0, positive: the order of the format. */
int place_compare(const struct place *a, const struct place *b);

struct image {
    struct place place; /* its path lies in `bytes` */
    uint32_t record_bytes;
    uint32_t room_bytes; /* of the whole allocation */
    uint8_t bytes[];     /* the path, then the record */
};

struct images {
    struct image **heap;
    size_t count;
    size_t cap;
    struct slots index;
    uint64_t bytes;
};

void images_init(struct images *im);
/* Accepts a zeroed struct. */
void images_finish(struct images *im);

bool images_has(const struct images *im, const struct place *place);

/* Keep a record of at most record_bytes_max under a place that has none; the caller writes it to
 * *ret_record and sets record_bytes. Errors: COORD_ENOMEM. Return: 0 or negative. */
int images_add(struct images *im, const struct place *place, uint64_t record_bytes_max,
               struct image **ret_image);

/* The first in order, NULL when there is none. Theirs until it is dropped. */
const struct image *images_first(const struct images *im);
/* Forget the first. */
void images_drop_first(struct images *im);

const uint8_t *image_record(const struct image *i);

#endif
