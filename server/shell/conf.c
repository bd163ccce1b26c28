/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.c: reads the YAML file of a member with libyaml's event interface, key by key, into a struct
 * conf. A table (conf_rules.c) names every key, its type and its range; what several keys say together is left to
 * conf_check.c, the text of single values to conf_value.c. Any thread.
 *
 * The file is a mapping whose values are scalars, or sections (mappings of scalars), or `members` (a
 * list of mappings of scalars). Nothing else of YAML is taken: anchors, aliases, tags, several
 * documents, merge keys and duplicate keys are errors, because a reader of the file could take them
 * for something else than the program does.
 *
 * Invariants
 *   1. *ret_c is written only after every check has passed.
 *   2. Memory is bounded by the file's size (CONF_FILE_BYTES_MAX), and the depth of the walk is fixed.
 *   3. The first error ends the reading; it names file, line and key.
 */
#include "server/shell/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <yaml.h>
#include "server/shell/clock.h"
#include "server/shell/conf_read.h"
#include "server/shell/conf_rules.h"
#include "server/shell/conf_value.h"

#define CONF_SCALAR_BYTES_MAX 4096

static const char *const sections[] = {"timing", "sessions", "reads", "snapshot", "limits", "log"};
static const char *const member_keys[CONF_MEMBER_KEY_COUNT] = {"id", "peer", "client", "http"};

/* One event of the file, copied out of libyaml. */
struct conf_token {
    yaml_event_type_t type;
    unsigned line;
    bool quoted;
    char text[CONF_SCALAR_BYTES_MAX]; /* of a scalar */
};

struct conf_reader {
    yaml_parser_t parser;
    struct conf_report report;
    struct conf conf;
    struct conf_lines lines;
    struct conf_token token; /* the last one read */
};

int conf_fail(const struct conf_report *r, unsigned line, const char *key, const char *format, ...)
{
    int n = snprintf(r->text, CONF_ERROR_BYTES_MAX, "%.300s:%u: %.80s: ", r->file,
                     line == 0 ? 1 : line, key);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->text + n, CONF_ERROR_BYTES_MAX - (size_t)n, format, args);
    va_end(args);
    /* What the file says may hold control characters: it must not reach a terminal as such. */
    for (char *p = r->text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
    return -1;
}

/* --- events ------------------------------------------------------------------------------------ */

/* Copy a scalar into the token. Return: 0, or -1 after conf_fail. */
static int scalar_take(struct conf_reader *r, const yaml_event_t *ev)
{
    size_t len = ev->data.scalar.length;
    const char *value = (const char *)ev->data.scalar.value;
    if (len >= sizeof(r->token.text)) {
        return conf_fail(&r->report, r->token.line, "yaml", "a value of %zu bytes is too long",
                         len);
    }
    if (memchr(value, '\0', len) != NULL) {
        return conf_fail(&r->report, r->token.line, "yaml", "a value holds a NUL character");
    }
    memcpy(r->token.text, value, len);
    r->token.text[len] = '\0';
    r->token.quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return 0;
}

/* Refuse what this file does not take of YAML, and copy the rest into r->token. */
static int event_take(struct conf_reader *r, const yaml_event_t *ev)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    r->token.type = ev->type;
    r->token.line = (unsigned)ev->start_mark.line + 1;
    r->token.text[0] = '\0';
    switch (ev->type) {
    case YAML_ALIAS_EVENT:
        return conf_fail(&r->report, r->token.line, "yaml", "aliases are not allowed (*%.80s)",
                         (const char *)ev->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        anchor = ev->data.scalar.anchor;
        tag = ev->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = ev->data.sequence_start.anchor;
        tag = ev->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = ev->data.mapping_start.anchor;
        tag = ev->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor != NULL) {
        return conf_fail(&r->report, r->token.line, "yaml", "anchors are not allowed (&%.80s)",
                         (const char *)anchor);
    }
    if (tag != NULL) {
        return conf_fail(&r->report, r->token.line, "yaml", "tags are not allowed (%.80s)",
                         (const char *)tag);
    }
    return ev->type == YAML_SCALAR_EVENT ? scalar_take(r, ev) : 0;
}

/* Read the next event into r->token. Return: 0, or -1 after conf_fail. */
static int token_next(struct conf_reader *r)
{
    yaml_event_t ev;
    if (!yaml_parser_parse(&r->parser, &ev)) {
        return conf_fail(&r->report, (unsigned)r->parser.problem_mark.line + 1, "yaml", "%s%s%s",
                         r->parser.problem != NULL ? r->parser.problem : "out of memory",
                         r->parser.context != NULL ? ", " : "",
                         r->parser.context != NULL ? r->parser.context : "");
    }
    int rc = event_take(r, &ev);
    yaml_event_delete(&ev);
    return rc;
}

/* Expect an event of this type next. */
static int token_expect(struct conf_reader *r, yaml_event_type_t type, const char *key,
                        const char *wanted)
{
    if (token_next(r) < 0) {
        return -1;
    }
    if (r->token.type != type) {
        return conf_fail(&r->report, r->token.line, key, "wanted is %s", wanted);
    }
    return 0;
}

/* --- values ------------------------------------------------------------------------------------ */

static int range_check(const struct conf_key_rule *k, uint64_t n, char why[CONF_WHY_BYTES])
{
    if (n >= k->min && n <= k->max) {
        return 0;
    }
    char low[32];
    char high[32];
    conf_rule_format(k, k->min, low, sizeof(low));
    conf_rule_format(k, k->max, high, sizeof(high));
    (void)snprintf(why, CONF_WHY_BYTES, "is not between %s and %s", low, high);
    return -1;
}

/* NUMBER, DURATION, SIZE, PPM and ID. */
static int quantity_set(const struct conf_key_rule *k, const char *text, void *field,
                        char why[CONF_WHY_BYTES])
{
    uint64_t n = 0;
    int rc = k->type == CONF_DURATION ? conf_value_duration(text, &n, why)
             : k->type == CONF_SIZE   ? conf_value_size(text, &n, why)
             : k->type == CONF_PPM    ? conf_value_ppm(text, &n, why)
                                      : conf_value_number(text, &n, why);
    if (rc < 0) {
        return -1;
    }
    char range[CONF_WHY_BYTES];
    if (range_check(k, n, range) < 0) {
        (void)snprintf(why, CONF_WHY_BYTES, "%.40s %.200s", text, range);
        return -1;
    }
    if (k->type == CONF_ID) {
        *(uint32_t *)field = (uint32_t)n;
    } else {
        *(uint64_t *)field = n;
    }
    return 0;
}

static int word_set(const char *text, const char *const *words, int count, int *ret_at,
                    char why[CONF_WHY_BYTES])
{
    int n = snprintf(why, CONF_WHY_BYTES, "'%.80s' is not one of", text);
    for (int i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_at = i;
            return 0;
        }
        n += snprintf(why + n, CONF_WHY_BYTES - (size_t)n, "%s%s", i == 0 ? " " : ", ", words[i]);
    }
    return -1;
}

static int name_set(const char *text, char *field, char why[CONF_WHY_BYTES])
{
    size_t len = strlen(text);
    size_t good = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    if (len == 0 || len > CONF_NAME_BYTES_MAX || good != len) {
        (void)snprintf(why, CONF_WHY_BYTES, "'%.80s' is not a name: 1 to %d of a-z A-Z 0-9 - _ .",
                       text, CONF_NAME_BYTES_MAX);
        return -1;
    }
    memcpy(field, text, len + 1);
    return 0;
}

static int path_set(const char *text, char *field, char why[CONF_WHY_BYTES])
{
    size_t len = strlen(text);
    if (len >= CONF_PATH_BYTES_MAX) {
        (void)snprintf(why, CONF_WHY_BYTES, "the path is longer than %d bytes",
                       CONF_PATH_BYTES_MAX - 1);
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            (void)snprintf(why, CONF_WHY_BYTES, "the path holds a control character");
            return -1;
        }
    }
    memcpy(field, text, len + 1);
    return 0;
}

/* Set the field of key k from the scalar in text. Return: 0, or -1 with why. */
static int value_set(struct conf *c, const struct conf_key_rule *k, const char *text,
                     char why[CONF_WHY_BYTES])
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    static const char *const formats[] = {"text", "json"};
    void *field = (char *)c + k->offset;
    int at = 0;
    switch (k->type) {
    case CONF_NUMBER:
    case CONF_DURATION:
    case CONF_SIZE:
    case CONF_PPM:
    case CONF_ID:
        return quantity_set(k, text, field, why);
    case CONF_BOOL:
        return conf_value_bool(text, field, why);
    case CONF_NAME:
        return name_set(text, field, why);
    case CONF_PATH:
        return path_set(text, field, why);
    case CONF_LEVEL:
        if (word_set(text, levels, 4, &at, why) < 0) {
            return -1;
        }
        c->log_level = (enum conf_log_level)at;
        return 0;
    case CONF_FORMAT:
        if (word_set(text, formats, 2, &at, why) < 0) {
            return -1;
        }
        c->log_format = (enum conf_log_format)at;
        return 0;
    }
    return -1;
}

/* --- the walk ---------------------------------------------------------------------------------- */

static void key_path(const char *section, const char *name, char *out, size_t out_bytes)
{
    (void)snprintf(out, out_bytes, "%s%s%.60s", section, section[0] == '\0' ? "" : ".", name);
}

/* Read the scalar behind a key into r->token; `path` names the key in errors. */
static int scalar_read(struct conf_reader *r, const char *path)
{
    unsigned line = r->token.line;
    if (token_next(r) < 0) {
        return -1;
    }
    if (r->token.type != YAML_SCALAR_EVENT) {
        return conf_fail(&r->report, r->token.line, path, "wanted is a single value");
    }
    if (r->token.text[0] == '\0') {
        return conf_fail(&r->report, line, path, "has no value");
    }
    return 0;
}

/* r->token holds a key of `section`: read its value. */
static int key_read(struct conf_reader *r, const char *section)
{
    char path[128];
    char why[CONF_WHY_BYTES];
    unsigned line = r->token.line;
    key_path(section, r->token.text, path, sizeof(path));
    for (int i = 0; i < CONF_KEY_MEMBERS; i++) {
        const struct conf_key_rule *k = &conf_rules[i];
        if (strcmp(k->section, section) != 0 || strcmp(k->name, r->token.text) != 0) {
            continue;
        }
        if (r->lines.key[i] != 0) {
            return conf_fail(&r->report, line, path, "stands already in line %u", r->lines.key[i]);
        }
        r->lines.key[i] = line;
        if (scalar_read(r, path) < 0) {
            return -1;
        }
        if (value_set(&r->conf, k, r->token.text, why) < 0) {
            return conf_fail(&r->report, r->token.line, path, "%s", why);
        }
        return 0;
    }
    return conf_fail(&r->report, line, path, "unknown key");
}

static int section_read(struct conf_reader *r, const char *section)
{
    if (token_expect(r, YAML_MAPPING_START_EVENT, section, "a mapping of keys") < 0) {
        return -1;
    }
    for (;;) {
        if (token_next(r) < 0) {
            return -1;
        }
        if (r->token.type == YAML_MAPPING_END_EVENT) {
            return 0;
        }
        if (r->token.type != YAML_SCALAR_EVENT) {
            return conf_fail(&r->report, r->token.line, section, "a key must be a single word");
        }
        if (key_read(r, section) < 0) {
            return -1;
        }
    }
}

/* Set one key of a member from r->token. */
static int member_value_set(struct conf_reader *r, struct conf_member *m, int key, const char *path)
{
    char why[CONF_WHY_BYTES];
    int rc = 0;
    if (key == CONF_MEMBER_ID) {
        uint64_t id = 0;
        rc = conf_value_number(r->token.text, &id, why);
        if (rc == 0 && (id == 0 || id > UINT32_MAX)) {
            rc = -1;
            (void)snprintf(why, sizeof(why), "%.40s is not between 1 and %" PRIu32, r->token.text,
                           UINT32_MAX);
        }
        m->id = (uint32_t)id;
    } else {
        struct conf_address *a = key == CONF_MEMBER_PEER     ? &m->peer
                                 : key == CONF_MEMBER_CLIENT ? &m->client
                                                             : &m->http;
        rc = conf_value_address(r->token.text, a, why);
    }
    return rc < 0 ? conf_fail(&r->report, r->token.line, path, "%s", why) : 0;
}

/* r->token holds a key of member number `at`: read its value. */
static int member_key_read(struct conf_reader *r, uint32_t at)
{
    char path[128];
    unsigned *lines = r->lines.member_key[at];
    key_path("members", r->token.text, path, sizeof(path));
    for (int i = 0; i < CONF_MEMBER_KEY_COUNT; i++) {
        if (strcmp(member_keys[i], r->token.text) != 0) {
            continue;
        }
        if (lines[i] != 0) {
            return conf_fail(&r->report, r->token.line, path, "stands already in line %u",
                             lines[i]);
        }
        lines[i] = r->token.line;
        if (scalar_read(r, path) < 0) {
            return -1;
        }
        return member_value_set(r, &r->conf.members[at], i, path);
    }
    return conf_fail(&r->report, r->token.line, path, "unknown key");
}

/* The mapping of one member; its start was read. */
static int member_read(struct conf_reader *r, uint32_t at)
{
    r->lines.member[at] = r->token.line;
    for (;;) {
        if (token_next(r) < 0) {
            return -1;
        }
        if (r->token.type == YAML_MAPPING_END_EVENT) {
            return 0;
        }
        if (r->token.type != YAML_SCALAR_EVENT) {
            return conf_fail(&r->report, r->token.line, "members", "a key must be a single word");
        }
        if (member_key_read(r, at) < 0) {
            return -1;
        }
    }
}

static int members_read(struct conf_reader *r)
{
    static const char key[] = "members";
    if (r->lines.key[CONF_KEY_MEMBERS] != 0) {
        return conf_fail(&r->report, r->token.line, key, "stands already in line %u",
                         r->lines.key[CONF_KEY_MEMBERS]);
    }
    r->lines.key[CONF_KEY_MEMBERS] = r->token.line;
    if (token_expect(r, YAML_SEQUENCE_START_EVENT, key, "a list of members") < 0) {
        return -1;
    }
    for (;;) {
        if (token_next(r) < 0) {
            return -1;
        }
        if (r->token.type == YAML_SEQUENCE_END_EVENT) {
            return 0;
        }
        if (r->token.type != YAML_MAPPING_START_EVENT) {
            return conf_fail(&r->report, r->token.line, key,
                             "a member is a mapping, e.g. {id: 1, client: \"127.0.0.1:7410\"}");
        }
        if (r->conf.members_count == CONF_MEMBERS_MAX) {
            return conf_fail(&r->report, r->token.line, key, "more than %d members",
                             CONF_MEMBERS_MAX);
        }
        if (member_read(r, r->conf.members_count) < 0) {
            return -1;
        }
        r->conf.members_count++;
    }
}

/* r->token holds a key of the top level: read what belongs to it. */
static int top_key_read(struct conf_reader *r)
{
    if (strcmp(r->token.text, "members") == 0) {
        return members_read(r);
    }
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (strcmp(r->token.text, sections[i]) != 0) {
            continue;
        }
        if ((r->lines.sections_seen & (1U << i)) != 0) {
            return conf_fail(&r->report, r->token.line, sections[i],
                             "this section stands already above");
        }
        r->lines.sections_seen |= 1U << i;
        return section_read(r, sections[i]);
    }
    return key_read(r, "");
}

static int file_read(struct conf_reader *r)
{
    static const char top[] = "yaml";
    if (token_expect(r, YAML_STREAM_START_EVENT, top, "a YAML file") < 0 ||
        token_expect(r, YAML_DOCUMENT_START_EVENT, top, "a mapping of keys; the file is empty") <
            0 ||
        token_expect(r, YAML_MAPPING_START_EVENT, top, "a mapping of keys") < 0) {
        return -1;
    }
    for (;;) {
        if (token_next(r) < 0) {
            return -1;
        }
        if (r->token.type == YAML_MAPPING_END_EVENT) {
            break;
        }
        if (r->token.type != YAML_SCALAR_EVENT) {
            return conf_fail(&r->report, r->token.line, top, "a key must be a single word");
        }
        if (top_key_read(r) < 0) {
            return -1;
        }
    }
    if (token_expect(r, YAML_DOCUMENT_END_EVENT, top, "the end of the file") < 0) {
        return -1;
    }
    return token_expect(r, YAML_STREAM_END_EVENT, top, "one document only");
}

int conf_parse(const char *file, const char *text, size_t len, struct conf *ret_c,
               char err[CONF_ERROR_BYTES_MAX])
{
    struct conf_report report = {.file = file, .text = err};
    if (len > CONF_FILE_BYTES_MAX) {
        return conf_fail(&report, 1, "yaml", "the file is larger than %d bytes",
                         CONF_FILE_BYTES_MAX);
    }
    struct conf_reader *r = calloc(1, sizeof(*r));
    if (r == NULL || !yaml_parser_initialize(&r->parser)) {
        free(r);
        return conf_fail(&report, 1, "yaml", "out of memory");
    }
    r->report = report;
    conf_init(&r->conf);
    r->conf.list_bytes = 0; /* from here on: not given */
    r->conf.watch_output_bytes = 0;
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
    int rc = file_read(r);
    if (rc == 0) {
        rc = conf_check(&r->conf, &r->lines, &r->report);
    }
    if (rc == 0) {
        *ret_c = r->conf;
    }
    yaml_parser_delete(&r->parser);
    free(r);
    return rc;
}

/* --- files ------------------------------------------------------------------------------------- */

/* Read the whole of fd, at most CONF_FILE_BYTES_MAX + 1 bytes. Return: bytes, or -1 with errno. */
static ssize_t whole_read(int fd, char *out)
{
    size_t have = 0;
    while (have <= CONF_FILE_BYTES_MAX) {
        ssize_t n = read(fd, out + have, CONF_FILE_BYTES_MAX + 1 - have);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        have += (size_t)n;
    }
    return (ssize_t)have;
}

int conf_load(const char *file, struct conf *ret_c, char err[CONF_ERROR_BYTES_MAX])
{
    /* O_NONBLOCK: a FIFO by mistake must not hang the start. */
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        (void)snprintf(err, CONF_ERROR_BYTES_MAX, "%.300s: %s", file, strerror(errno));
        return -1;
    }
    int rc = -1;
    struct stat st;
    char *text = malloc(CONF_FILE_BYTES_MAX + 1);
    if (text == NULL) {
        (void)snprintf(err, CONF_ERROR_BYTES_MAX, "%.300s: out of memory", file);
    } else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        (void)snprintf(err, CONF_ERROR_BYTES_MAX, "%.300s: not a regular file", file);
    } else {
        ssize_t len = whole_read(fd, text);
        if (len < 0) {
            (void)snprintf(err, CONF_ERROR_BYTES_MAX, "%.300s: %s", file, strerror(errno));
        } else {
            rc = conf_parse(file, text, (size_t)len, ret_c, err);
        }
    }
    free(text);
    (void)close(fd); /* only read from: nothing can be lost */
    return rc;
}

void conf_dev(uint16_t port, const char *data_dir, struct conf *ret_c)
{
    conf_init(ret_c);
    ret_c->id = 1;
    (void)snprintf(ret_c->cluster, sizeof(ret_c->cluster), "dev");
    (void)snprintf(ret_c->data_dir, sizeof(ret_c->data_dir), "%s", data_dir);
    ret_c->members_count = 1;
    ret_c->members[0].id = 1;
    (void)snprintf(ret_c->members[0].client.host, sizeof(ret_c->members[0].client.host),
                   "127.0.0.1");
    ret_c->members[0].client.port = port;
}

/* --- what follows from a configuration --------------------------------------------------------- */

const struct conf_member *conf_self(const struct conf *c)
{
    for (uint32_t i = 0; i < c->members_count; i++) {
        if (c->members[i].id == c->id) {
            return &c->members[i];
        }
    }
    return NULL;
}

uint64_t conf_cluster_id(const struct conf *c)
{
    uint64_t id = XXH3_64bits(c->cluster, strlen(c->cluster));
    return id == 0 ? 1 : id;
}

uint64_t conf_members_hash(const struct conf *c)
{
    uint8_t bytes[CONF_MEMBERS_MAX * 4];
    size_t n = 0;
    for (uint32_t i = 0; i < c->members_count; i++) {
        for (unsigned shift = 0; shift < 32; shift += 8) {
            bytes[n++] = (uint8_t)(c->members[i].id >> shift);
        }
    }
    return XXH3_64bits(bytes, n);
}

uint32_t conf_lease_ms(const struct conf *c)
{
    return c->lease ? (uint32_t)(c->election_ns / CLOCK_NS_PER_MS) : 0;
}

void conf_address_format(const struct conf_address *a, char *out, size_t out_bytes)
{
    bool v6 = strchr(a->host, ':') != NULL;
    (void)snprintf(out, out_bytes, "%s%s%s:%u", v6 ? "[" : "", a->host, v6 ? "]" : "",
                   (unsigned)a->port);
}

bool conf_address_is_loopback(const struct conf_address *a)
{
    /* The host was checked: what begins with "127." and is made of digits and dots is an IPv4. */
    bool v4 = strncmp(a->host, "127.", 4) == 0 && a->host[strspn(a->host, "0123456789.")] == '\0';
    return v4 || strcmp(a->host, "::1") == 0 || strcmp(a->host, "localhost") == 0;
}
