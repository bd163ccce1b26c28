/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h: text that grows while it is written.
 *
 * Thread: none; one at a time.
 */
#ifndef COORD_CLIENT_VERIFY_TEXT_H
#define COORD_CLIENT_VERIFY_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* All zero is an empty text. at ends with a NUL unless it is NULL. */
struct verify_text {
    char *at;
    size_t len;
    size_t cap;
    bool failed; /* memory was out: the text is not whole */
};

void verify_text_add(struct verify_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void verify_text_finish(struct verify_text *t);

#endif
