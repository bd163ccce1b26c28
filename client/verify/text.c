/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.c: see text.h.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "client/core/mem.h"

#define ROOM_LEAST 512u

void verify_text_add(struct verify_text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    size_t need = n < 0 ? 0 : (size_t)n + 1;
    if (n >= 0 && t->cap - t->len < need) {
        size_t cap = t->cap * 2 > t->len + need ? t->cap * 2 : t->len + need + ROOM_LEAST;
        char *to = coord__realloc(t->at, cap);
        t->at = to != NULL ? to : t->at;
        t->cap = to != NULL ? cap : t->cap;
        t->failed = t->failed || to == NULL;
    }
    if (n >= 0 && t->cap - t->len >= need) {
        (void)vsnprintf(t->at + t->len, need, format, again); /* it fits */
        t->len += (size_t)n;
    }
    va_end(again);
}

void verify_text_finish(struct verify_text *t)
{
    coord__free(t->at);
    memset(t, 0, sizeof(*t));
}
