/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.h: the text of docs/history.md into a history.
 *
 * Thread: none; one at a time.
 */
#ifndef COORD_CLIENT_VERIFY_PARSE_H
#define COORD_CLIENT_VERIFY_PARSE_H

#include "client/verify/history.h"

/* Add what one file holds. A last line without its end is what a process left that died: it is
 * left out.
 *
 * file: its number, for messages.
 * why: on error which line and what is wrong with it, at most why_bytes with its NUL.
 * Errors: COORD_EINVAL, COORD_ENOMEM. Return: 0 or negative; then h is only fit to be destroyed. */
int verify_parse(struct verify_history *h, uint32_t file, const char *text, size_t bytes, char *why,
                 size_t why_bytes);

#endif
