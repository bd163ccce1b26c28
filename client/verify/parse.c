/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c: see parse.h. One record a line, fields separated by one blank; nested fields by ';', those
 * of a list's entries by '|'. docs/history.md is the specification.
 *
 *   H CLIENT coord-history/1 live|lost clock=boottime boot=ID pid=N at=NS wall=NS
 *   C CLIENT REQUEST TIME OPERATION [KEY=VALUE...]         a call, before it is sent
 *   R CLIENT REQUEST TIME ERROR OUTCOME [KEY=VALUE...]     its answer
 *   S CLIENT TIME STATE [session=N]                        an event of the session
 *   E CLIENT TIME closed|stopped                           the end of the recording
 *
 * A line that makes no sense is an error, but one for each recorder whose header says that it failed:
 * that is what it could still write.
 *
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

/* --- records and lines ------------------------------------------------------------------------- */

static int take_boot(struct verify_parser *p, struct verify_slice s, uint32_t client)
{
    struct verify_history *h = p->h;
    for (uint32_t i = 0; i < h->boots_count; i++) {
        if (verify_words_equal(s, h->boots[i])) {
            h->clients[client].boot = i;
            return 0;
        }
    }
    if (!verify_room((void **)&h->boots, h->boots_count, &h->boots_cap, sizeof(*h->boots))) {
        return COORD_ENOMEM;
    }
    h->boots[h->boots_count] = verify_text_keep(h, s.at, s.len);
    h->clients[client].boot = h->boots_count++;
    return h->boots[h->boots_count - 1] == NULL ? COORD_ENOMEM : 0;
}

static int parse_header(struct verify_parser *p, struct verify_slice client)
{
    struct verify_slice version, state, one, key, value;
    uint32_t who;
    uint64_t at = 0, wall = 0, pid;
    int err = verify_parse_client(p, client, &who);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &version) ||
        !verify_words_equal(version, "coord-history/1") ||
        !verify_words_next(&p->rest, ' ', &state)) {
        return err < 0 ? err : verify_parse_wrong(p, "not a history of format 1:", version);
    }
    p->h->clients[who].broken = !verify_words_equal(state, "live");
    while (err == 0 && verify_words_next(&p->rest, ' ', &one)) {
        if (!verify_words_split(one, &key, &value)) {
            return verify_parse_wrong(p, "unknown field", one);
        }
        if (verify_words_equal(key, "boot")) {
            err = take_boot(p, value, who);
        } else if (verify_words_equal(key, "at")) {
            err = verify_parse_time(p, value, who, &at);
        } else if (verify_words_equal(key, "wall")) {
            err = verify_parse_number(p, value, &wall);
        } else if (verify_words_equal(key, "pid")) {
            err = verify_parse_number(p, value, &pid);
        } else if (!verify_words_equal(key, "clock") || !verify_words_equal(value, "boottime")) {
            err = verify_parse_wrong(p, "unknown field", one);
        }
    }
    p->h->clients[who].offset_ns = (int64_t)(wall - at);
    return err;
}

static int parse_end(struct verify_parser *p, struct verify_slice client)
{
    struct verify_slice at, how;
    uint32_t who;
    uint64_t when = 0;
    int err = verify_parse_client(p, client, &who);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &at) ||
        !verify_words_next(&p->rest, ' ', &how)) {
        return err < 0 ? err : verify_parse_wrong(p, "not an end:", client);
    }
    err = verify_parse_time(p, at, who, &when);
    if (err == 0 && verify_words_equal(how, "stopped")) {
        p->h->clients[who].lost_at = when;
    } else if (err == 0 && !verify_words_equal(how, "closed")) {
        err = verify_parse_wrong(p, "not an end:", how);
    }
    return err;
}

static int parse_event(struct verify_parser *p, struct verify_slice client)
{
    struct verify_slice at;
    uint32_t who;
    uint64_t when;
    int err = verify_parse_client(p, client, &who);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &at)) {
        return err < 0 ? err : verify_parse_wrong(p, "not an event:", client);
    }
    return verify_parse_time(p, at, who, &when); /* for people; the checks go by the answers */
}

static int parse_line(struct verify_parser *p)
{
    struct verify_slice type, client;
    struct verify_slice whole = p->rest;
    if (!verify_words_next(&p->rest, ' ', &type) || !verify_words_next(&p->rest, ' ', &client) ||
        type.len != 1) {
        return verify_parse_wrong(p, "not a record:", whole);
    }
    switch (type.at[0]) {
    case 'H':
        return parse_header(p, client);
    case 'C':
        return verify_parse_call(p, client);
    case 'R':
        return verify_parse_reply(p, client);
    case 'S':
        return parse_event(p, client);
    case 'E':
        return parse_end(p, client);
    default:
        return verify_parse_wrong(p, "unknown record", type);
    }
}

static int whole_line(struct verify_parser *p, struct verify_slice line)
{
    char why[256];
    struct verify_parser one = *p;
    one.rest = line;
    one.why = p->bad > 0 ? why : p->why;
    one.why_bytes = p->bad > 0 ? sizeof(why) : p->why_bytes;
    int err = parse_line(&one);
    if (err == COORD_EINVAL) {
        p->bad++;
        err = 0;
    }
    return err;
}

int verify_parse(struct verify_history *h, uint32_t file, const char *text, size_t bytes, char *why,
                 size_t why_bytes)
{
    struct verify_parser p = {.h = h, .file = file, .why = why, .why_bytes = why_bytes};
    const char *end;
    while (bytes > 0 && (end = memchr(text, '\n', bytes)) != NULL) {
        struct verify_slice line = {text, (size_t)(end - text)};
        p.line++;
        int err = line.len > 0 && line.at[0] != '#' ? whole_line(&p, line) : 0;
        if (err < 0) {
            return err;
        }
        bytes -= line.len + 1;
        text = end + 1;
    }
    uint32_t broken = 0;
    for (uint32_t i = 0; i < h->clients_count; i++) {
        broken += h->clients[i].broken;
    }
    return p.bad > broken ? COORD_EINVAL : 0;
}
