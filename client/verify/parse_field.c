/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_field.c: the fields of a history's records, and the words for one that makes no sense.
 *
 * Leaves to others: what a record consists of (parse.c, parse_call.c, parse_reply.c).
 * Thread: none; one at a time.
 */
#include "client/verify/parse_int.h"

#include <stdio.h>
#include <string.h>

int verify_parse_wrong(struct verify_parser *p, const char *what, struct verify_slice s)
{
    (void)snprintf(p->why, p->why_bytes, "line %u: %s '%.*s'", p->line, what,
                   (int)(s.len < 60 ? s.len : 60), s.at); /* cut when too long */
    return COORD_EINVAL;
}

/* --- fields ------------------------------------------------------------------------------------ */

int verify_parse_path(struct verify_parser *p, struct verify_slice s, uint32_t *ret_path)
{
    char text[VERIFY_TEXT_BYTES_MAX + 1];
    size_t n = verify_words_decode(s, text);
    bool whole = n > 0 && text[0] == '/' && (n == 1 || text[n - 1] != '/');
    if (!whole || strstr(text, "//") != NULL || n > COORD_PATH_MAX) {
        return verify_parse_wrong(p, "not a path:", s);
    }
    *ret_path = verify_path_number(p->h, text, n);
    return *ret_path == VERIFY_NOWHERE ? COORD_ENOMEM : 0;
}

int verify_parse_value(struct verify_parser *p, struct verify_slice s, uint32_t *ret_value)
{
    bool typed = s.len >= 2 && s.at[1] == ':' && (s.at[0] == 's' || s.at[0] == 'h');
    if (!typed && !verify_words_equal(s, "none")) {
        return verify_parse_wrong(p, "not a value:", s);
    }
    *ret_value = verify_value_number(p->h, s.at, s.len);
    return *ret_value == VERIFY_NOWHERE ? COORD_ENOMEM : 0;
}

int verify_parse_number(struct verify_parser *p, struct verify_slice s, uint64_t *ret_n)
{
    return verify_words_digits(s, 10, ret_n) ? 0 : verify_parse_wrong(p, "not a number:", s);
}

int verify_parse_stat(struct verify_parser *p, struct verify_slice s, struct verify_stat *ret_stat)
{
    uint64_t n[10];
    if (!verify_words_numbers(s, n, 10)) {
        return verify_parse_wrong(p, "not a stat:", s);
    }
    *ret_stat = (struct verify_stat){n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9]};
    return 0;
}

int verify_parse_client(struct verify_parser *p, struct verify_slice s, uint32_t *ret_client)
{
    uint64_t id;
    if (!verify_words_digits(s, 16, &id)) {
        return verify_parse_wrong(p, "not a client:", s);
    }
    *ret_client = verify_client_number(p->h, id);
    return *ret_client == VERIFY_NOWHERE ? COORD_ENOMEM : 0;
}

int verify_parse_time(struct verify_parser *p, struct verify_slice s, uint32_t client,
                      uint64_t *ret_at)
{
    if (!verify_words_digits(s, 10, ret_at) || *ret_at == VERIFY_NEVER) {
        return verify_parse_wrong(p, "not a time:", s);
    }
    struct verify_client *c = &p->h->clients[client];
    c->last = *ret_at > c->last ? *ret_at : c->last;
    return 0;
}

bool verify_parse_signed(const char *text, size_t len, int64_t *ret_n)
{
    bool negative = len > 0 && text[0] == '-';
    struct verify_slice digits = {text + (negative ? 1 : 0), len - (negative ? 1 : 0)};
    uint64_t n;
    if (!verify_words_digits(digits, 10, &n) || n > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *ret_n = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}
