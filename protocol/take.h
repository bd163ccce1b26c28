/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take.h: reading typed values out of a message; used by decode.c only.
 *
 * All functions return 0, or d->error after having written to d->why what is wrong and where.
 * Thread: one decoder, one thread.
 */
#ifndef COORD_PROTOCOL_TAKE_H
#define COORD_PROTOCOL_TAKE_H

#include "protocol/codec.h"
#include "protocol/cursor.h"

#define COORD_NO_INDEX (-1)

/* Where the decoder is, for the text of a refusal. */
struct coord_decoder {
    struct coord_cursor c;
    const uint8_t *start;
    int error;         /* what a refusal returns */
    const char *part;  /* "item", "argument", "result", ... */
    uint32_t place;    /* within its part, from 1 */
    const char *field; /* NULL: the message as a whole */
    int64_t index;     /* within a list, or COORD_NO_INDEX */
    const char *inner; /* field of a struct or a list's item, or NULL */
    char *why;
    size_t why_bytes;
};

/* body: len bytes, may be NULL when len is 0. error: what refusals return. why may be NULL. */
void coord__decoder_init(struct coord_decoder *d, const uint8_t *body, size_t len, int error,
                         char *why, size_t why_bytes);

/* Name the value that is read next, for the text of a refusal. */
void coord__take_enter(struct coord_decoder *d, const char *part, uint32_t place,
                       const char *field);

/* Write what is wrong at the cursor: "argument 3 (flags) at byte 17: expected ...". Return: d->error. */
int coord__refuse(const struct coord_decoder *d, const char *what);

int coord__take_uint(struct coord_decoder *d, uint64_t max, uint64_t *ret_value);
int coord__take_array(struct coord_decoder *d, uint32_t *ret_count);

/* One plain value (COORD_FK_U64 .. COORD_FK_SECRET) into the struct at base. */
int coord__take_plain(struct coord_decoder *d, const struct coord_field *f, uint8_t *base);

/* Plain values of an array inside the message; texts name them as d->field.name. */
int coord__take_inner(struct coord_decoder *d, const struct coord_field *fields, void *base);

/* An array of exactly these rows into the struct at base. */
int coord__take_struct(struct coord_decoder *d, const struct coord_field *fields, void *base);

/* Check a list and remember where its items lie. list: one of ENTRIES, IFS, TXN_OPS, TXN_RESULTS,
 * SESSIONS; END for the changes of an event. */
int coord__take_raw_list(struct coord_decoder *d, enum coord_field_kind list, uint32_t *ret_count,
                         struct coord_bytes *ret_raw);

/* The rows of an operation into struct coord_request or struct coord_result. */
int coord__take_fields(struct coord_decoder *d, const char *part, const struct coord_field *fields,
                       uint32_t count, void *base);

#endif
