/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_rules.h: the table of a configuration's keys: where each stands, of which type it is, its default
 * and its range. Private to the files conf*.c and main.c. Constant data; any thread.
 */
#ifndef COORD_SERVER_SHELL_CONF_RULES_H
#define COORD_SERVER_SHELL_CONF_RULES_H

#include <stdio.h>
#include "server/shell/conf_read.h"

enum conf_type {
    CONF_NUMBER,
    CONF_DURATION,
    CONF_SIZE,
    CONF_PPM, /* parts per million */
    CONF_BOOL,
    CONF_ID,
    CONF_NAME,
    CONF_PATH,
    CONF_LEVEL,
    CONF_FORMAT
};

struct conf_key_rule {
    const char *section; /* "" for the top */
    const char *name;
    enum conf_type type;
    size_t offset; /* in struct conf */
    /* Of NUMBER, DURATION (ns), SIZE (bytes), PPM; ID has no default. standard 0: it follows from another
     * key (conf_check.c). */
    uint64_t standard;
    uint64_t min;
    uint64_t max;
};

extern const struct conf_key_rule conf_rules[CONF_KEY_MEMBERS];

/* Is it a number of some unit, with a range? */
bool conf_rule_is_quantity(const struct conf_key_rule *k);
/* n as one would write it in the file. out_bytes >= 32. */
void conf_rule_format(const struct conf_key_rule *k, uint64_t n, char *out, size_t out_bytes);
/* "section.name value" of every key that is a quantity or a choice, a line each. */
void conf_rules_print(const struct conf *c, FILE *to);

#endif
