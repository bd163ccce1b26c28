/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h: reading a whole queue, all pages of it, for the files of client/recipes only.
 * Thread: as recipes.h says for coord_lock_list.
 */
#ifndef COORD_CLIENT_RECIPES_LIST_H
#define COORD_CLIENT_RECIPES_LIST_H

#include "client/recipes/place.h"

/* The places in dir, by sequence number. Errors: as coord_list. */
int coord__queue_read(struct coord *c, const char *dir, const struct coord_call *call,
                      coord_queue_cb cb, void *arg);

#endif
