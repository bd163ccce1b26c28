/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.c: the words of a command. Nothing here knows a world. Threads: none.
 */
#include "tests/script/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const types[RAFT_MSG_TYPE_END] = {
    [RAFT_MSG_PREVOTE] = "PREVOTE",
    [RAFT_MSG_PREVOTE_REPLY] = "PREVOTE_REPLY",
    [RAFT_MSG_VOTE] = "VOTE",
    [RAFT_MSG_VOTE_REPLY] = "VOTE_REPLY",
    [RAFT_MSG_APPEND] = "APPEND",
    [RAFT_MSG_APPEND_REPLY] = "APPEND_REPLY",
    [RAFT_MSG_HEARTBEAT] = "HEARTBEAT",
    [RAFT_MSG_HEARTBEAT_REPLY] = "HEARTBEAT_REPLY",
    [RAFT_MSG_SNAPSHOT] = "SNAPSHOT",
    [RAFT_MSG_SNAPSHOT_REPLY] = "SNAPSHOT_REPLY",
    [RAFT_MSG_TIMEOUT_NOW] = "TIMEOUT_NOW",
    [RAFT_MSG_READ] = "READ",
    [RAFT_MSG_READ_REPLY] = "READ_REPLY",
};

const char *type_name(uint32_t type)
{
    return type > 0 && type < RAFT_MSG_TYPE_END ? types[type] : "?";
}

const char *role_name(uint32_t role)
{
    static const char *const names[] = {"none",      "follower", "precandidate",
                                        "candidate", "leader",   "faulted"};
    return role < sizeof(names) / sizeof(names[0]) ? names[role] : "?";
}

int words_split(struct words *ws, const char *text)
{
    size_t len = strlen(text);
    ws->count = 0;
    if (len >= sizeof(ws->buf)) {
        return 0;
    }
    memcpy(ws->buf, text, len + 1);
    char *save = NULL;
    for (char *w = strtok_r(ws->buf, " \t", &save); w != NULL; w = strtok_r(NULL, " \t", &save)) {
        if (w[0] == '#') {
            break; /* a remark behind the command */
        }
        if (ws->count == WORDS_MAX) {
            return 0;
        }
        ws->v[ws->count++] = w;
    }
    return 1;
}

/* A number and where it ends. */
static int number_at(const char *word, uint64_t *ret_value, const char **ret_end)
{
    char *end = NULL;
    errno = 0;
    if (word[0] < '0' || word[0] > '9') {
        return 0;
    }
    unsigned long long value = strtoull(word, &end, 10);
    if (errno != 0) {
        return 0;
    }
    *ret_value = value;
    *ret_end = end;
    return 1;
}

int word_number(const char *word, uint64_t *ret_value)
{
    const char *end = NULL;
    uint64_t value = 0;
    if (!number_at(word, &value, &end) || *end != '\0') {
        return 0;
    }
    *ret_value = value;
    return 1;
}

int word_duration(const char *word, uint64_t *ret_ns)
{
    static const struct {
        const char *unit;
        uint64_t ns;
    } units[] = {{"us", 1000}, {"ms", SIM_MS}, {"s", SIM_SEC}};
    const char *end = NULL;
    uint64_t value = 0;
    if (!number_at(word, &value, &end)) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) == 0 && value <= 1000000000) {
            *ret_ns = value * units[i].ns;
            return 1;
        }
    }
    return 0;
}

int word_id(const char *word, raft_id *ret_id)
{
    uint64_t value = 0;
    if (!word_number(word, &value) || value == 0 || value > SIM_NODES_MAX) {
        return 0;
    }
    *ret_id = (raft_id)value;
    return 1;
}

/* Members separated by commas, up to `stop`. Return: where it stopped, or NULL. */
static const char *members_at(const char *word, uint32_t *ret_set)
{
    uint32_t set = 0;
    for (;;) {
        const char *end = NULL;
        uint64_t id = 0;
        if (word[0] == '*') {
            set = (1U << SIM_SLOTS) - 2;
            end = word + 1;
        } else if (!number_at(word, &id, &end) || id == 0 || id > SIM_NODES_MAX) {
            return NULL;
        } else {
            set |= 1U << id;
        }
        if (*end != ',') {
            *ret_set = set;
            return end;
        }
        word = end + 1;
    }
}

int word_members(const char *word, uint32_t *ret_set)
{
    uint32_t set = 0;
    const char *end = members_at(word, &set);
    if (end == NULL || *end != '\0') {
        return 0;
    }
    *ret_set = set;
    return 1;
}

int word_link(const char *word, uint32_t *ret_from, uint32_t *ret_to, int *ret_both)
{
    uint32_t from = 0;
    const char *end = members_at(word, &from);
    if (end == NULL || (*end != '>' && *end != '-')) {
        return 0;
    }
    if (!word_members(end + 1, ret_to)) {
        return 0;
    }
    *ret_from = from;
    *ret_both = *end == '-';
    return 1;
}

int word_types(const char *word, uint32_t *ret_types)
{
    uint32_t set = 0;
    if (strcmp(word, "*") == 0) {
        *ret_types = ALL_TYPES;
        return 1;
    }
    while (*word != '\0') {
        size_t len = strcspn(word, ",");
        uint32_t found = 0;
        for (uint32_t t = 1; t < RAFT_MSG_TYPE_END; t++) {
            if (types[t] != NULL && strlen(types[t]) == len && memcmp(types[t], word, len) == 0) {
                found = 1U << t;
            }
        }
        if (found == 0) {
            return 0;
        }
        set |= found;
        word += len + (word[len] == ',');
    }
    *ret_types = set;
    return set != 0;
}

int word_times(const char *word, uint32_t *ret_times)
{
    uint64_t value = 0;
    if (strcmp(word, "all") == 0) {
        *ret_times = UINT32_MAX;
        return 1;
    }
    if (word[0] != 'x' || !word_number(word + 1, &value) || value == 0 || value > 100000) {
        return 0;
    }
    *ret_times = (uint32_t)value;
    return 1;
}

const char *word_value(const char *word, const char *key)
{
    size_t len = strlen(key);
    return strncmp(word, key, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}
