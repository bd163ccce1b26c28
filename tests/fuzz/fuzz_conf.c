/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: any text is a configuration that keeps every relation that conf.h promises, or is refused with
 * one line that names the file (bad input I15).
 * Method: parse; check the relations; write the members' addresses and read them again.
 * Input: the text.
 */
#include <arpa/inet.h>
#include "server/shell/conf.h"
#include "server/shell/conf_value.h"
#include "tests/fuzz/fuzz.h"

static int ends(const char *text, size_t room)
{
    return memchr(text, 0, room) != NULL;
}

static void check_address(const struct conf_address *a)
{
    char text[CONF_HOST_BYTES_MAX + 10];
    char why[CONF_WHY_BYTES];
    struct conf_address again;
    FUZZ_CHECK(ends(a->host, sizeof(a->host)), "a string");
    if (a->port == 0) {
        return;
    }
    conf_address_format(a, text, sizeof(text));
    FUZZ_CHECK(conf_value_address(text, &again, why) == 0, "an address can be read again");
    FUZZ_CHECK(again.port == a->port && strcmp(again.host, a->host) == 0, "as the same");
}

/* As the system reads it: conf_address_is_loopback must not be led astray by its looks. */
static int is_local(const struct conf_address *a)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, a->host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return strcmp(a->host, "::1") == 0 || strcmp(a->host, "localhost") == 0;
}

static void check_members(const struct conf *c)
{
    FUZZ_CHECK(c->members_count >= 1 && c->members_count <= CONF_MEMBERS_MAX, "members");
    for (uint32_t i = 0; i < c->members_count; i++) {
        const struct conf_member *m = &c->members[i];
        FUZZ_CHECK(m->id > (i == 0 ? 0 : c->members[i - 1].id), "ids ascend");
        FUZZ_CHECK(m->client.port != 0, "a client address");
        FUZZ_CHECK(c->members_count == 1 || m->peer.port != 0, "a peer address");
        check_address(&m->peer);
        check_address(&m->client);
        check_address(&m->http);
    }
    const struct conf_member *self = conf_self(c);
    FUZZ_CHECK(self->id == c->id, "this member is one of them");
    FUZZ_CHECK(c->insecure || is_local(&self->client), "loopback unless more is meant");
    FUZZ_CHECK(c->insecure || self->peer.port == 0 || is_local(&self->peer), "for peers too");
}

static void check(const struct conf *c)
{
    FUZZ_CHECK(ends(c->data_dir, sizeof(c->data_dir)) && c->data_dir[0] != 0, "data_dir");
    FUZZ_CHECK(ends(c->cluster, sizeof(c->cluster)) && c->cluster[0] != 0, "cluster");
    FUZZ_CHECK(c->heartbeat_ns > 0 && c->heartbeat_ns <= c->election_ns / 3, "heartbeat");
    FUZZ_CHECK(c->election_ns <= c->session_min_ns, "sessions.min");
    FUZZ_CHECK(c->session_min_ns <= c->session_max_ns, "sessions.max");
    FUZZ_CHECK(c->snapshot_keep >= 1 && c->snapshot_entries >= 1, "snapshot");
    FUZZ_CHECK(c->request_bytes <= c->frame_bytes - CONF_FRAME_SLACK_BYTES, "request");
    FUZZ_CHECK(c->frame_bytes > CONF_FRAME_SLACK_BYTES && c->frame_bytes <= UINT32_MAX, "frame");
    FUZZ_CHECK(c->output_bytes >= c->frame_bytes, "output");
    FUZZ_CHECK(c->connections > 0 && c->outstanding > 0 && c->sessions > 0, "limits");
    FUZZ_CHECK(c->log_level <= CONF_LOG_DEBUG && c->log_format <= CONF_LOG_JSON, "log");
    FUZZ_CHECK(conf_cluster_id(c) != 0, "a number of the cluster");
    check_members(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct conf c;
    struct conf untouched;
    char err[CONF_ERROR_BYTES_MAX];
    memset(&c, 0x5a, sizeof(c));
    untouched = c;
    memset(err, 'x', sizeof(err));
    int rc = conf_parse("f.yaml", (const char *)bytes, len, &c, err);
    FUZZ_CHECK(rc == 0 || rc == -1, "no other answer");
    if (rc == 0) {
        check(&c);
        return 0;
    }
    FUZZ_CHECK(memcmp(&c, &untouched, sizeof(c)) == 0, "a refusal changes nothing");
    FUZZ_CHECK(ends(err, sizeof(err)), "the error is a string");
    FUZZ_CHECK(strncmp(err, "f.yaml:", 7) == 0, "and names the file");
    for (const char *p = err; *p != 0; p++) {
        FUZZ_CHECK((uint8_t)*p >= 0x20 && *p != 0x7f, "in one line, without control characters");
    }
    return 0;
}
