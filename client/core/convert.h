/* SPDX-License-Identifier: Apache-2.0 */
/*
 * convert.h: what the core gives out, as the public structs of coord.h: strings with their NUL,
 * paths without the handle's prefix, lists as arrays. Everything is copied into the arena given.
 *
 * Thread: any; the arena's owner.
 */
#ifndef COORD_CLIENT_CORE_CONVERT_H
#define COORD_CLIENT_CORE_CONVERT_H

#include "client/core/core.h"
#include "client/core/mem.h"

/* The public reply to out (REPLY). Return: in the arena, or NULL when memory is out. */
struct coord_reply *coord__convert_reply(const struct coord__out *out, struct coord__arena *a);

/* A reply that needs no memory, when there is none for the real one: the outcome is kept, a success
 * becomes COORD_ENOMEM. */
void coord__convert_reply_bare(const struct coord__out *out, struct coord_reply *ret_reply);

/* The public event to out (WATCH), with its changes. Return: false when memory is out. */
bool coord__convert_event(const struct coord__out *out, struct coord__arena *a,
                          struct coord_watch_event *ret_event);

/* The level of the protocol for a public one that is not COORD_DEFAULT, and back. */
enum coord_level coord__convert_level(enum coord_consistency level);
enum coord_consistency coord__convert_consistency(enum coord_level level);

#endif
