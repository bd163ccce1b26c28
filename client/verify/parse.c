/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c: see parse.h. One record a line, fields separated by one blank; nested fields by ';', those
 * of a list's entries by '|'. docs/history.md is the specification.
 *
 *   H CLIENT coord-history/2 live|lost clock=boottime boot=ID pid=N at=NS wall=NS
 *   C CLIENT REQUEST TIME OPERATION [KEY=VALUE...]         a call, before it is sent
 *   R CLIENT REQUEST TIME ERROR OUTCOME [KEY=VALUE...]     its answer
 *   W CLIENT WATCH TIME path=PATH depth=N kinds=N          a watch was asked for
 *   V CLIENT WATCH TIME STATE rev=N [KEY=VALUE...]         what it was told
 *   S CLIENT TIME STATE [session=N]                        an event of the session
 *   E CLIENT TIME closed|stopped                           the end of the recording
 *
 * A line that makes no sense is an error, but one for each recorder whose header says that it failed:
 * that is what it could still write.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/parse_int.h"

#include <string.h>

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
        (!verify_words_equal(version, "coord-history/1") && /* without watches */
         !verify_words_equal(version, "coord-history/2")) ||
        !verify_words_next(&p->rest, ' ', &state)) {
        return err < 0 ? err : verify_parse_wrong(p, "not a history of format 1 or 2:", version);
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
    case 'W':
        return verify_parse_watch(p, client);
    case 'V':
        return verify_parse_told(p, client);
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
