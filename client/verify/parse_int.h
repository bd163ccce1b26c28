/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_int.h: what the files that read a history share: parse.c (lines and short records), parse_call.c (C
 * records), parse_reply.c (R records), parse_watch.c (W and V records), all on parse_field.c (fields). Nobody else includes it.
 *
 * Thread: none; one at a time.
 */
#ifndef COORD_CLIENT_VERIFY_PARSE_INT_H
#define COORD_CLIENT_VERIFY_PARSE_INT_H

#include "client/verify/parse.h"
#include "client/verify/words.h"

struct verify_parser {
    struct verify_history *h;
    uint32_t file;
    uint32_t line;
    struct verify_slice rest; /* of the line */
    char *why;
    size_t why_bytes;
    uint32_t bad; /* lines that made no sense; why tells of the first */
};

/* Say what is wrong with s. Return: COORD_EINVAL. */
int verify_parse_wrong(struct verify_parser *p, const char *what, struct verify_slice s);

/* Fields; what is wrong with one is said. Return: 0, COORD_EINVAL or COORD_ENOMEM. */
int verify_parse_path(struct verify_parser *p, struct verify_slice s, uint32_t *ret_path);
int verify_parse_value(struct verify_parser *p, struct verify_slice s, uint32_t *ret_value);
int verify_parse_number(struct verify_parser *p, struct verify_slice s, uint64_t *ret_n);
int verify_parse_stat(struct verify_parser *p, struct verify_slice s, struct verify_stat *ret_stat);
int verify_parse_client(struct verify_parser *p, struct verify_slice s, uint32_t *ret_client);
/* It becomes the client's last time. */
int verify_parse_time(struct verify_parser *p, struct verify_slice s, uint32_t client,
                      uint64_t *ret_at);
/* A number with its sign. Return: false for anything else; nothing is said. */
bool verify_parse_signed(const char *text, size_t len, int64_t *ret_n);

/* The rest of a record, behind its client. Return: 0, COORD_EINVAL or COORD_ENOMEM. */
int verify_parse_call(struct verify_parser *p, struct verify_slice client);
int verify_parse_reply(struct verify_parser *p, struct verify_slice client);
int verify_parse_watch(struct verify_parser *p, struct verify_slice client);
int verify_parse_told(struct verify_parser *p, struct verify_slice client);

#endif
