/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_check.c: what the keys of a configuration must say together: which are needed, which relations
 * of times and sizes hold, that members do not collide, and that a listener beyond this machine is
 * meant. Single values were checked by conf.c. Pure; any thread.
 *
 * Invariants
 *   1. Every error names the line of the key that is to be changed.
 *   2. Members are ascending by id afterwards (raft_config wants them so).
 */
#include "server/shell/conf_read.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "server/shell/conf_rules.h"
#include "server/shell/conf_value.h"

#define CONF_TEXT_BYTES (CONF_HOST_BYTES_MAX + 16)

static int required_check(const struct conf_lines *lines, const struct conf_report *r)
{
    static const struct {
        enum conf_key key;
        const char *name;
    } required[] = {
        {CONF_KEY_ID, "id"}, {CONF_KEY_DATA_DIR, "data_dir"}, {CONF_KEY_MEMBERS, "members"}};
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        if (lines->key[required[i].key] == 0) {
            return conf_fail(r, 1, required[i].name, "is missing");
        }
    }
    return 0;
}

static int timing_check(const struct conf *c, const struct conf_lines *lines,
                        const struct conf_report *r)
{
    char a[32];
    char b[32];
    conf_value_format_duration(c->election_ns, b, sizeof(b));
    if (c->heartbeat_ns > c->election_ns / 3) {
        bool own = lines->key[CONF_KEY_HEARTBEAT] != 0;
        conf_value_format_duration(c->heartbeat_ns, a, sizeof(a));
        return conf_fail(r, lines->key[own ? CONF_KEY_HEARTBEAT : CONF_KEY_ELECTION],
                         "timing.heartbeat", "%s is more than a third of election (%s)", a, b);
    }
    conf_value_format_duration(c->session_min_ns, a, sizeof(a));
    if (c->session_min_ns < 2 * c->election_ns) {
        bool own = lines->key[CONF_KEY_SESSION_MIN] != 0;
        return conf_fail(r, lines->key[own ? CONF_KEY_SESSION_MIN : CONF_KEY_ELECTION],
                         "sessions.min", "%s is less than twice timing.election (%s)", a, b);
    }
    conf_value_format_duration(c->session_max_ns, b, sizeof(b));
    if (c->session_max_ns < c->session_min_ns) {
        bool own = lines->key[CONF_KEY_SESSION_MAX] != 0;
        return conf_fail(r, lines->key[own ? CONF_KEY_SESSION_MAX : CONF_KEY_SESSION_MIN],
                         "sessions.max", "%s is less than min (%s)", b, a);
    }
    return 0;
}

void conf_derive(struct conf *c)
{
    if (c->list_bytes == 0) {
        c->list_bytes = c->frame_bytes / 4 * 3;
    }
    if (c->watch_output_bytes == 0) {
        c->watch_output_bytes = c->output_bytes / 2;
    }
}

/* One value that must not exceed another. The error is about whichever of the two the file has: about
 * `small` if both, as "limits.small: 4MiB <why> 4MiB<tail>". */
struct relation {
    enum conf_key small;
    enum conf_key large;
    uint64_t slack; /* that large must have more */
    const char *why;
    const char *tail;
};

static const struct relation relations[] = {
    {CONF_KEY_REQUEST, CONF_KEY_FRAME, CONF_FRAME_SLACK_BYTES, "does not fit into a frame of",
     ", which also holds 64KiB of other things"},
    {CONF_KEY_LIST_BYTES, CONF_KEY_FRAME, CONF_FRAME_SLACK_BYTES, "does not fit into a frame of",
     ", which also holds 64KiB of other things"},
    {CONF_KEY_REQUEST, CONF_KEY_STORE, 0, "does not fit into a store of", ""},
    {CONF_KEY_OUTSTANDING, CONF_KEY_ANSWERS, 0, "writes of a session would be more than answers,",
     ", and be refused"},
    {CONF_KEY_FRAME, CONF_KEY_OUTPUT, 0, "is more than output, that of a connection,", ""},
    {CONF_KEY_OUTPUT, CONF_KEY_OUTPUT_TOTAL, 0, "is more than output_total, that of all,", ""},
    {CONF_KEY_WATCH_OUTPUT, CONF_KEY_OUTPUT, 0, "is more than output,", ""},
};

static uint64_t value_of(const struct conf *c, enum conf_key key)
{
    return *(const uint64_t *)(const void *)((const char *)c + conf_rules[key].offset);
}

static int relation_check(const struct conf *c, const struct relation *rel,
                          const struct conf_lines *lines, const struct conf_report *r)
{
    const struct conf_key_rule *small = &conf_rules[rel->small];
    const struct conf_key_rule *large = &conf_rules[rel->large];
    char a[32];
    char b[32];
    char key[64];
    if (value_of(c, rel->small) + rel->slack <= value_of(c, rel->large)) {
        return 0;
    }
    bool own = lines->key[rel->small] != 0;
    conf_rule_format(small, value_of(c, rel->small), a, sizeof(a));
    conf_rule_format(large, value_of(c, rel->large), b, sizeof(b));
    (void)snprintf(key, sizeof(key), "%s.%s", small->section, own ? small->name : large->name);
    if (own) {
        return conf_fail(r, lines->key[rel->small], key, "%s %s %s%s", a, rel->why, b, rel->tail);
    }
    return conf_fail(r, lines->key[rel->large], key, "%s is too little for %s, %s", b, small->name,
                     a);
}

static int sizes_check(const struct conf *c, const struct conf_lines *lines,
                       const struct conf_report *r)
{
    for (size_t i = 0; i < sizeof(relations) / sizeof(relations[0]); i++) {
        if (relation_check(c, &relations[i], lines, r) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The k-th address of a member: 0 peer, 1 client, 2 http. */
static const struct conf_address *member_address(const struct conf_member *m, int k)
{
    return k == 0 ? &m->peer : k == 1 ? &m->client : &m->http;
}

static const char *const address_names[] = {"members.peer", "members.client", "members.http"};

/* No two members with one id, no address used twice by anyone. */
static int members_distinct_check(const struct conf *c, const struct conf_lines *lines,
                                  const struct conf_report *r)
{
    for (uint32_t i = 0; i < c->members_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (c->members[i].id == c->members[j].id) {
                return conf_fail(r, lines->member_key[i][CONF_MEMBER_ID], "members.id",
                                 "%u is the id of two members", (unsigned)c->members[i].id);
            }
        }
    }
    for (uint32_t i = 0; i < c->members_count * 3; i++) {
        const struct conf_address *a = member_address(&c->members[i / 3], (int)(i % 3));
        for (uint32_t j = 0; j < i && a->port != 0; j++) {
            const struct conf_address *b = member_address(&c->members[j / 3], (int)(j % 3));
            if (a->port == b->port && strcmp(a->host, b->host) == 0) {
                char text[CONF_TEXT_BYTES];
                conf_address_format(a, text, sizeof(text));
                return conf_fail(r, lines->member_key[i / 3][CONF_MEMBER_PEER + i % 3],
                                 address_names[i % 3], "%s is used twice", text);
            }
        }
    }
    return 0;
}

static int members_check(const struct conf *c, const struct conf_lines *lines,
                         const struct conf_report *r)
{
    if (c->members_count == 0) {
        return conf_fail(r, lines->key[CONF_KEY_MEMBERS], "members", "the list is empty");
    }
    for (uint32_t i = 0; i < c->members_count; i++) {
        const struct conf_member *m = &c->members[i];
        if (m->id == 0) {
            return conf_fail(r, lines->member[i], "members.id", "is missing");
        }
        if (m->client.port == 0) {
            return conf_fail(r, lines->member[i], "members.client", "is missing for member %u",
                             (unsigned)m->id);
        }
        if (m->peer.port == 0 && c->members_count > 1) {
            return conf_fail(r, lines->member[i], "members.peer", "is missing for member %u",
                             (unsigned)m->id);
        }
    }
    if (members_distinct_check(c, lines, r) < 0) {
        return -1;
    }
    if (conf_self(c) == NULL) {
        return conf_fail(r, lines->key[CONF_KEY_ID], "id", "%u is not among the members",
                         (unsigned)c->id);
    }
    return 0;
}

/* There is neither TLS nor authentication yet: whoever reaches a port may do anything. */
static int security_check(const struct conf *c, const struct conf_lines *lines,
                          const struct conf_report *r)
{
    const struct conf_member *self = conf_self(c);
    assert(self != NULL);
    uint32_t at = (uint32_t)(self - c->members);
    for (int k = 0; k < 2 && !c->insecure; k++) {
        const struct conf_address *a = member_address(self, k);
        if (a->port != 0 && !conf_address_is_loopback(a)) {
            char text[CONF_TEXT_BYTES];
            conf_address_format(a, text, sizeof(text));
            return conf_fail(r, lines->member_key[at][CONF_MEMBER_PEER + k], address_names[k],
                             "%s can be reached from other machines, without encryption or "
                             "authentication; if that is meant, write `insecure: true`",
                             text);
        }
    }
    return 0;
}

/* Insertion sort: at most CONF_MEMBERS_MAX. */
static void members_sort(struct conf *c)
{
    for (uint32_t i = 1; i < c->members_count; i++) {
        struct conf_member m = c->members[i];
        uint32_t j = i;
        for (; j > 0 && c->members[j - 1].id > m.id; j--) {
            c->members[j] = c->members[j - 1];
        }
        c->members[j] = m;
    }
}

int conf_check(struct conf *c, const struct conf_lines *lines, const struct conf_report *r)
{
    conf_derive(c);
    if (required_check(lines, r) < 0 || timing_check(c, lines, r) < 0 ||
        sizes_check(c, lines, r) < 0 || members_check(c, lines, r) < 0 ||
        security_check(c, lines, r) < 0) {
        return -1;
    }
    members_sort(c);
    return 0;
}
