/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h: one event, encoded for the first watch that gets it and then shared: a watch with another
 * number gets a copy in which only the number differs.
 *
 * Threads: none; one owner.
 */
#ifndef COORD_SERVER_WATCH_FRAME_H
#define COORD_SERVER_WATCH_FRAME_H

#include <stdint.h>
#include "protocol/buf.h"
#include "protocol/message.h"

struct frame {
    struct coord_event event;  /* its changes are borrowed */
    struct coord_buf *encoded; /* for event.watch; NULL: not yet */
    uint32_t frame_bytes_max;
};

/* An event whose encoding would exceed frame_bytes_max becomes a GAP of that revision. */
void frame_init(struct frame *f, const struct coord_event *ev, uint32_t frame_bytes_max);
void frame_finish(struct frame *f);

/* The frame for the watch of that number. Return: a reference for the caller, or NULL when memory is
 * out. f->event.state tells what was made of it. */
struct coord_buf *frame_for(struct frame *f, uint64_t number);

#endif
