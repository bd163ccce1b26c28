/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_read.h: what conf.c (which reads keys) and conf_check.c (which compares them) share: where each
 * key stood, and the one way to report an error. Private to these two.
 */
#ifndef COORD_SERVER_SHELL_CONF_READ_H
#define COORD_SERVER_SHELL_CONF_READ_H

#include "server/shell/conf.h"

enum conf_key {
    CONF_KEY_ID,
    CONF_KEY_DATA_DIR,
    CONF_KEY_CLUSTER,
    CONF_KEY_LAB,
    CONF_KEY_INSECURE,
    CONF_KEY_HEARTBEAT,
    CONF_KEY_ELECTION,
    CONF_KEY_SESSION_MIN,
    CONF_KEY_SESSION_MAX,
    CONF_KEY_LEASE,
    CONF_KEY_DRIFT,
    CONF_KEY_SNAPSHOT_ENTRIES,
    CONF_KEY_SNAPSHOT_BYTES,
    CONF_KEY_SNAPSHOT_KEEP,
    CONF_KEY_COMPARE,
    CONF_KEY_REQUEST,
    CONF_KEY_FRAME,
    CONF_KEY_OPERATIONS,
    CONF_KEY_SUBTREE,
    CONF_KEY_LIST_ENTRIES,
    CONF_KEY_LIST_BYTES,
    CONF_KEY_STORE,
    CONF_KEY_SESSIONS,
    CONF_KEY_ANSWERS,
    CONF_KEY_ANSWERS_BYTES,
    CONF_KEY_CONNECTIONS,
    CONF_KEY_PER_ADDRESS,
    CONF_KEY_OUTSTANDING,
    CONF_KEY_OUTSTANDING_BYTES,
    CONF_KEY_OUTPUT,
    CONF_KEY_OUTPUT_TOTAL,
    CONF_KEY_WATCHES,
    CONF_KEY_WATCH_OUTPUT,
    CONF_KEY_HISTORY_EVENTS,
    CONF_KEY_HISTORY_BYTES,
    CONF_KEY_LOG_MEMORY,
    CONF_KEY_LOG_LEVEL,
    CONF_KEY_LOG_FORMAT,
    CONF_KEY_MEMBERS, /* a list: read apart */
    CONF_KEY_COUNT
};

enum conf_member_key {
    CONF_MEMBER_ID,
    CONF_MEMBER_PEER,
    CONF_MEMBER_CLIENT,
    CONF_MEMBER_HTTP,
    CONF_MEMBER_KEY_COUNT
};

/* Lines count from 1; 0: the key is not in the file. */
struct conf_lines {
    unsigned key[CONF_KEY_COUNT];
    unsigned sections_seen; /* set of 1 << section, to refuse a second one */
    unsigned member[CONF_MEMBERS_MAX];
    unsigned member_key[CONF_MEMBERS_MAX][CONF_MEMBER_KEY_COUNT];
};

struct conf_report {
    const char *file;
    char *text; /* CONF_ERROR_BYTES_MAX */
};

/* Write "file:line: key: why" and return -1. Line 0 is written as 1: the file as a whole. */
__attribute__((format(printf, 4, 5))) int conf_fail(const struct conf_report *r, unsigned line,
                                                    const char *key, const char *format, ...);

/* Set what follows from other keys and is not set: 0. */
void conf_derive(struct conf *c);

/* Check what several keys say together; members are sorted by id on success.
 * Return: 0, or -1 after conf_fail. */
int conf_check(struct conf *c, const struct conf_lines *lines, const struct conf_report *r);

#endif
