/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: every mistake that a configuration file can hold is refused in one line that names file, line
 * and key, and every example in conf/ loads. Method: a table of files with the exact line expected, and
 * reading conf/ as it is in the tree.
 */
#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "server/shell/conf.h"
#include "server/shell/conf_rules.h"
#include "server/shell/conf_value.h"
#include "server/shell/options.h"

/* Lines 1 to 5 of most files below. */
#define HEAD          \
    "id: 1\n"         \
    "data_dir: /d\n"  \
    "cluster: demo\n" \
    "members:\n"      \
    "  - {id: 1, peer: \"127.0.0.1:7411\", client: \"127.0.0.1:7410\"}\n"
#define M1 "  - {id: 1, peer: \"127.0.0.1:7411\", client: \"127.0.0.1:7410\"}\n"

struct bad_case {
    const char *text;
    const char *error; /* the beginning of the message */
};

static const struct bad_case bad_cases[] = {
    /* form */
    {"", "f.yaml:1: yaml: wanted is a mapping of keys; the file is empty"},
    {"# nothing\n", "f.yaml:2: yaml: wanted is a mapping of keys; the file is empty"},
    {"- 1\n", "f.yaml:1: yaml: wanted is a mapping of keys"},
    {"hello\n", "f.yaml:1: yaml: wanted is a mapping of keys"},
    {"id: 1\n  broken: [\n", "f.yaml:1: id: '1 broken' is not a whole number in decimal digits"},
    {"data_dir: a: b\n", "f.yaml:1: yaml: mapping values are not allowed in this context"},
    {"log: {level: info\n", "f.yaml:2: yaml: did not find expected ',' or '}'"},
    {"id: \"1\n", "f.yaml:2: yaml: found unexpected end of stream"},
    {"\tid: 1\n", "f.yaml:1: yaml: found character that cannot start any token"},
    {HEAD "---\nid: 2\n", "f.yaml:6: yaml: wanted is one document only"},
    {"id: &one 1\n", "f.yaml:1: yaml: anchors are not allowed (&one)"},
    {"id: *one\n", "f.yaml:1: yaml: aliases are not allowed (*one)"},
    {"timing: &t {heartbeat: 50ms}\n", "f.yaml:1: yaml: anchors are not allowed (&t)"},
    {"id: !!int 1\n", "f.yaml:1: yaml: tags are not allowed (tag:yaml.org,2002:int)"},
    {"members: !set []\n", "f.yaml:1: yaml: tags are not allowed (!set)"},
    {HEAD "<<: {lab: true}\n", "f.yaml:6: <<: unknown key"},
    {"? [a]\n: 1\n", "f.yaml:1: yaml: a key must be a single word"},
    {"timing: {? [a] : 1}\n", "f.yaml:1: timing: a key must be a single word"},
    {"members:\n  - {? [a] : 1}\n", "f.yaml:2: members: a key must be a single word"},
    {"id: \"1\\0002\"\n", "f.yaml:1: yaml: a value holds a NUL character"},
    {"data_dir: \"/d\\n/e\"\n", "f.yaml:1: data_dir: the path holds a control character"},
    {"col\x1bour: 1\n", "f.yaml:1: yaml: control characters are not allowed"},
    {"\"col\\eour\": 1\n", "f.yaml:1: col?our: unknown key"},
    /* keys */
    {HEAD "colour: blue\n", "f.yaml:6: colour: unknown key"},
    {HEAD "timing: {speed: 1s}\n", "f.yaml:6: timing.speed: unknown key"},
    {HEAD "id: 1\n", "f.yaml:6: id: stands already in line 1"},
    {HEAD "members: []\n", "f.yaml:6: members: stands already in line 4"},
    {HEAD "log: {level: info}\nlog: {format: text}\n",
     "f.yaml:7: log: this section stands already above"},
    {HEAD "log:\n  level: info\n  level: warn\n", "f.yaml:8: log.level: stands already in line 7"},
    {"id:\n", "f.yaml:1: id: has no value"},
    {"id: {a: 1}\n", "f.yaml:1: id: wanted is a single value"},
    {"timing: 5\n", "f.yaml:1: timing: wanted is a mapping of keys"},
    {"members: 5\n", "f.yaml:1: members: wanted is a list of members"},
    {"data_dir: /d\nmembers:\n" M1, "f.yaml:1: id: is missing"},
    {"id: 1\nmembers:\n" M1, "f.yaml:1: data_dir: is missing"},
    {"id: 1\ndata_dir: /d\n", "f.yaml:1: members: is missing"},
    /* values */
    {"id: one\n", "f.yaml:1: id: 'one' is not a whole number in decimal digits"},
    {"id: 0\n", "f.yaml:1: id: 0 is not between 1 and 4294967295"},
    {"id: -1\n", "f.yaml:1: id: '-1' is not a whole number in decimal digits"},
    {"id: 01\n", "f.yaml:1: id: '01' is not a whole number in decimal digits"},
    {"id: 1.0\n", "f.yaml:1: id: '1.0' is not a whole number in decimal digits"},
    {"id: 0x1\n", "f.yaml:1: id: '0x1' is not a whole number in decimal digits"},
    {"id: 4294967296\n", "f.yaml:1: id: 4294967296 is not between 1 and 4294967295"},
    {"id: 99999999999999999999\n", "f.yaml:1: id: 99999999999999999999 is too large a number"},
    {"cluster: \"a b\"\n", "f.yaml:1: cluster: 'a b' is not a name: 1 to 64 of a-z A-Z 0-9 - _ ."},
    {"cluster: ''\n", "f.yaml:1: cluster: has no value"},
    {HEAD "timing: {heartbeat: fast}\n",
     "f.yaml:6: timing.heartbeat: 'fast' is not a duration such as 50ms, 2s or 1m"},
    {HEAD "timing: {heartbeat: 50}\n",
     "f.yaml:6: timing.heartbeat: 50 has no unit: wanted is a duration such as"},
    {HEAD "timing: {heartbeat: 50 ms}\n",
     "f.yaml:6: timing.heartbeat: '50 ms' has an unknown unit"},
    {HEAD "timing: {heartbeat: 50us}\n", "f.yaml:6: timing.heartbeat: '50us' has an unknown unit"},
    {HEAD "timing: {heartbeat: 0ms}\n",
     "f.yaml:6: timing.heartbeat: 0ms is not between 1ms and 10s"},
    {HEAD "timing: {election: 99999999999999999m}\n",
     "f.yaml:6: timing.election: 99999999999999999m is too large"},
    {HEAD "snapshot: {bytes: 1MB}\n", "f.yaml:6: snapshot.bytes: '1MB' has an unknown unit"},
    {HEAD "snapshot: {bytes: 1048576}\n", "f.yaml:6: snapshot.bytes: 1048576 has no unit"},
    {HEAD "snapshot: {bytes: 1KiB}\n",
     "f.yaml:6: snapshot.bytes: 1KiB is not between 1MiB and 64GiB"},
    {HEAD "snapshot: {keep: 0}\n", "f.yaml:6: snapshot.keep: 0 is not between 1 and 100"},
    {HEAD "snapshot: {keep: -1}\n", "f.yaml:6: snapshot.keep: '-1' is not a whole number"},
    {HEAD "limits: {log_memory: 1KiB}\n",
     "f.yaml:6: limits.log_memory: 1KiB is not between 64KiB and 64GiB"},
    {HEAD "limits: {connections: 0}\n",
     "f.yaml:6: limits.connections: 0 is not between 1 and 1000000"},
    {HEAD "log: {level: loud}\n",
     "f.yaml:6: log.level: 'loud' is not one of error, warn, info, debug"},
    {HEAD "log: {format: xml}\n", "f.yaml:6: log.format: 'xml' is not one of text, json"},
    {HEAD "lab: yes\n", "f.yaml:6: lab: 'yes' is neither true nor false"},
    /* relations */
    {HEAD "timing: {heartbeat: 400ms, election: 500ms}\n",
     "f.yaml:6: timing.heartbeat: 400ms is more than a third of election (500ms)"},
    {HEAD "timing:\n  election: 120ms\n",
     "f.yaml:7: timing.heartbeat: 50ms is more than a third of election (120ms)"},
    {HEAD "sessions: {min: 500ms}\n",
     "f.yaml:6: sessions.min: 500ms is less than twice timing.election (500ms)"},
    {HEAD "sessions: {max: 1s}\n", "f.yaml:6: sessions.max: 1s is less than min (2s)"},
    {HEAD "limits: {request: 4MiB}\n",
     "f.yaml:6: limits.request: 4MiB does not fit into a frame of 4MiB"},
    {HEAD "limits: {output: 1MiB}\n",
     "f.yaml:6: limits.output: 1MiB is too little for frame, 4MiB"},
    {HEAD "limits: {request: 1GiB}\n",
     "f.yaml:6: limits.request: 1GiB is not between 1KiB and 4MiB"},
    {HEAD "limits: {frame: 512KiB}\n",
     "f.yaml:6: limits.frame: 512KiB is too little for request, 1MiB"},
    {HEAD "limits: {list_bytes: 4MiB}\n",
     "f.yaml:6: limits.list_bytes: 4MiB does not fit into a frame of 4MiB"},
    {HEAD "limits:\n  request: 2MiB\n  store: 1MiB\n",
     "f.yaml:7: limits.request: 2MiB does not fit into a store of 1MiB"},
    {HEAD "limits: {outstanding: 5000}\n",
     "f.yaml:6: limits.outstanding: 5000 writes of a session would be more than answers, 4096"},
    {HEAD "limits: {answers: 1000}\n",
     "f.yaml:6: limits.answers: 1000 is too little for outstanding, 1024"},
    {HEAD "limits: {output_total: 8MiB}\n",
     "f.yaml:6: limits.output_total: 8MiB is too little for output, 16MiB"},
    {HEAD "limits: {watch_output: 17MiB}\n",
     "f.yaml:6: limits.watch_output: 17MiB is more than output, 16MiB"},
    {HEAD "reads: {clock_drift: 0.1}\n",
     "f.yaml:6: reads.clock_drift: '0.1' has an unknown unit: wanted is a part such as 1000ppm"},
    {HEAD "reads: {clock_drift: 500000ppm}\n",
     "f.yaml:6: reads.clock_drift: 500000ppm is not between 1ppm and 100000ppm"},
    {HEAD "reads: {lease: on}\n", "f.yaml:6: reads.lease: 'on' is neither true nor false"},
    /* members */
    {"id: 1\ndata_dir: /d\nmembers: []\n", "f.yaml:3: members: the list is empty"},
    {"id: 1\ndata_dir: /d\nmembers:\n  - 7\n", "f.yaml:4: members: a member is a mapping"},
    {"id: 7\ndata_dir: /d\nmembers:\n" M1, "f.yaml:1: id: 7 is not among the members"},
    {"id: 1\ndata_dir: /d\nmembers:\n  - {client: \"127.0.0.1:1\"}\n",
     "f.yaml:4: members.id: is missing"},
    {"id: 1\ndata_dir: /d\nmembers:\n  - {id: 1}\n",
     "f.yaml:4: members.client: is missing for member 1"},
    {"id: 1\ndata_dir: /d\nmembers:\n" M1 "  - {id: 2, client: \"127.0.0.1:7420\"}\n",
     "f.yaml:5: members.peer: is missing for member 2"},
    {"id: 1\ndata_dir: /d\nmembers:\n" M1
     "  - {id: 1, peer: \"127.0.0.1:7421\", client: \"127.0.0.1:7420\"}\n",
     "f.yaml:5: members.id: 1 is the id of two members"},
    {"id: 1\ndata_dir: /d\nmembers:\n" M1
     "  - {id: 2, peer: \"127.0.0.1:7421\", client: \"127.0.0.1:7411\"}\n",
     "f.yaml:5: members.client: 127.0.0.1:7411 is used twice"},
    {"id: 1\ndata_dir: /d\nmembers:\n  - {id: 1, client: \"127.0.0.1:1\", http: \"127.0.0.1:1\"}\n",
     "f.yaml:4: members.http: 127.0.0.1:1 is used twice"},
    {"id: 1\ndata_dir: /d\nmembers:\n  - {id: 1, id: 1}\n",
     "f.yaml:4: members.id: stands already in line 4"},
    {"id: 1\ndata_dir: /d\nmembers:\n  - {id: 0}\n",
     "f.yaml:4: members.id: 0 is not between 1 and"},
    {"id: 1\ndata_dir: /d\nmembers:\n  - {id: 1, port: 4}\n",
     "f.yaml:4: members.port: unknown key"},
    {"members:\n  - {client: \"127.0.0.1\"}\n",
     "f.yaml:2: members.client: '127.0.0.1' is not an address of the form host:port"},
    {"members:\n  - {client: \"127.0.0.1:0\"}\n",
     "f.yaml:2: members.client: '127.0.0.1:0' has no port between 1 and 65535"},
    {"members:\n  - {client: \"127.0.0.1:65536\"}\n",
     "f.yaml:2: members.client: '127.0.0.1:65536' has no"},
    {"members:\n  - {client: \"127.0.0.256:1\"}\n",
     "f.yaml:2: members.client: '127.0.0.256:1' has neither an IP address nor a host name"},
    {"members:\n  - {client: \"a..b:1\"}\n", "f.yaml:2: members.client: 'a..b:1' has neither"},
    {"members:\n  - {client: \"::1:1\"}\n", "f.yaml:2: members.client: '::1:1' is not an address"},
    {"members:\n  - {client: \"[::g]:1\"}\n",
     "f.yaml:2: members.client: '[::g]:1' has no IPv6 address"},
    {"members:\n  - {peer: \"0.0.0.0:1\"}\n", "f.yaml:2: members.peer: 0.0.0.0:1 is a wildcard"},
    {"members:\n  - {http: \"[::]:1\"}\n", "f.yaml:2: members.http: [::]:1 is a wildcard"},
    /* security */
    {"id: 1\ndata_dir: /d\nmembers:\n  - {id: 1, client: \"10.0.0.1:1\"}\n",
     "f.yaml:4: members.client: 10.0.0.1:1 can be reached from other machines"},
    {"id: 1\ndata_dir: /d\nmembers:\n  - {id: 1, client: \"127.0.0.1:1\", peer: "
     "\"db.example:1\"}\n",
     "f.yaml:4: members.peer: db.example:1 can be reached from other machines"},
};

START_TEST(bad_file_is_refused_with_file_line_and_key)
{
    const struct bad_case *bad = &bad_cases[_i];
    static struct conf c;
    char err[CONF_ERROR_BYTES_MAX] = "";
    memset(&c, 0x5a, sizeof(c));
    ck_assert_int_eq(conf_parse("f.yaml", bad->text, strlen(bad->text), &c, err), -1);
    ck_assert_msg(strncmp(err, bad->error, strlen(bad->error)) == 0, "said: %s\nwanted: %s", err,
                  bad->error);
    ck_assert_ptr_null(strchr(err, '\n'));
    ck_assert_uint_eq(c.id, 0x5a5a5a5a); /* untouched */
}
END_TEST

START_TEST(sixteen_members_are_too_many)
{
    char text[4096];
    char err[CONF_ERROR_BYTES_MAX];
    struct conf c;
    int n = snprintf(text, sizeof(text), "id: 1\ndata_dir: /d\nmembers:\n");
    for (int i = 1; i <= 16; i++) {
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "  - {id: %d, peer: \"127.0.0.1:%d\", client: \"127.0.0.1:%d\"}\n", i,
                      1000 + i, 2000 + i);
    }
    ck_assert_int_eq(conf_parse("f.yaml", text, (size_t)n, &c, err), -1);
    ck_assert_str_eq(err, "f.yaml:19: members: more than 15 members");
}
END_TEST

START_TEST(size_and_depth_are_bounded)
{
    char err[CONF_ERROR_BYTES_MAX];
    struct conf c;
    char *text = malloc(CONF_FILE_BYTES_MAX + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, '#', CONF_FILE_BYTES_MAX + 1);
    ck_assert_int_eq(conf_parse("f.yaml", text, CONF_FILE_BYTES_MAX + 1, &c, err), -1);
    ck_assert_str_eq(err, "f.yaml:1: yaml: the file is larger than 1048576 bytes");
    /* a file of opening brackets ends at the first one that does not belong there */
    memset(text, '[', 500000);
    ck_assert_int_eq(conf_parse("f.yaml", text, 500000, &c, err), -1);
    ck_assert_str_eq(err, "f.yaml:1: yaml: wanted is a mapping of keys");
    int n = snprintf(text, 16, "data_dir: ");
    memset(text + n, 'x', 4096);
    ck_assert_int_eq(conf_parse("f.yaml", text, (size_t)n + 4096, &c, err), -1);
    ck_assert_str_eq(err, "f.yaml:1: yaml: a value of 4096 bytes is too long");
    ck_assert_int_eq(conf_parse("f.yaml", text, (size_t)n + 2000, &c, err), -1);
    ck_assert_str_eq(err, "f.yaml:1: data_dir: the path is longer than 1023 bytes");
    free(text);
}
END_TEST

static void further_limits_are_read(const struct conf *c)
{
    ck_assert_uint_eq(c->operations, 11);
    ck_assert_uint_eq(c->subtree, 12);
    ck_assert_uint_eq(c->list_entries, 13);
    ck_assert_uint_eq(c->list_bytes, 64 * 1024);
    ck_assert_uint_eq(c->store_bytes, UINT64_C(3) << 30);
    ck_assert_uint_eq(c->answers, 14);
    ck_assert_uint_eq(c->answers_bytes, 65 * 1024);
    ck_assert_uint_eq(c->outstanding_bytes, 66 * 1024);
    ck_assert_uint_eq(c->output_total_bytes, 4 * 1024 * 1024);
    ck_assert_uint_eq(c->watch_output_bytes, 67 * 1024);
    ck_assert_uint_eq(c->history_events, 15);
    ck_assert_uint_eq(c->history_bytes, 68 * 1024);
    ck_assert_uint_eq(c->log_memory_bytes, 69 * 1024);
    ck_assert(c->lease);
    ck_assert_uint_eq(c->clock_drift_ppm, 20);
    ck_assert_uint_eq(conf_lease_ms(c), 1000);
}

START_TEST(good_file_is_read_whole)
{
    static const char text[] =
        "id: 2\n"
        "data_dir: \"/var/lib/coord dir\"\n"
        "cluster: a-b.c_9\n"
        "members:\n"
        "  - {id: 3, peer: \"[::1]:31\", client: \"localhost:30\"}\n"
        "  - id: 2\n"
        "    peer: 127.0.0.1:21\n"
        "    client: 127.9.9.9:20\n"
        "    http: 127.0.0.1:22\n"
        "  - {id: 1, peer: \"far.example:11\", client: \"10.0.0.1:10\"}\n"
        "timing: {heartbeat: 100ms, election: 1s}\n"
        "sessions: {min: 3s, max: 2m}\n"
        "snapshot: {entries: 500, bytes: 2GiB, keep: 3, compare: 0}\n"
        "limits: {request: 512KiB, frame: 1MiB, connections: 7,\n"
        "  connections_per_address: 6, outstanding: 5, sessions: 4, watches: 3,\n"
        "  output: 2MiB, operations: 11, subtree: 12, list_entries: 13, list_bytes: 64KiB,\n"
        "  store: 3GiB, answers: 14, answers_bytes: 65KiB, outstanding_bytes: 66KiB,\n"
        "  output_total: 4MiB, watch_output: 67KiB, history_events: 15, history_bytes: 68KiB,\n"
        "  log_memory: 69KiB}\n"
        "reads: {lease: true, clock_drift: 20ppm}\n"
        "log: {level: debug, format: json}\n"
        "lab: true\n";
    static struct conf c;
    char err[CONF_ERROR_BYTES_MAX];
    ck_assert_msg(conf_parse("f.yaml", text, sizeof(text) - 1, &c, err) == 0, "%s", err);
    ck_assert_uint_eq(c.id, 2);
    ck_assert_str_eq(c.data_dir, "/var/lib/coord dir");
    ck_assert_str_eq(c.cluster, "a-b.c_9");
    ck_assert_uint_eq(c.members_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(c.members[i].id, i + 1); /* sorted */
    }
    ck_assert_str_eq(c.members[0].peer.host, "far.example");
    ck_assert_uint_eq(c.members[0].http.port, 0);
    ck_assert_str_eq(c.members[2].peer.host, "::1");
    ck_assert_uint_eq(c.members[2].peer.port, 31);
    ck_assert_ptr_eq(conf_self(&c), &c.members[1]);
    ck_assert_uint_eq(c.heartbeat_ns, 100000000);
    ck_assert_uint_eq(c.election_ns, 1000000000);
    ck_assert_uint_eq(c.session_min_ns, 3000000000);
    ck_assert_uint_eq(c.session_max_ns, 120000000000);
    ck_assert_uint_eq(c.snapshot_entries, 500);
    ck_assert_uint_eq(c.snapshot_bytes, UINT64_C(2) << 30);
    ck_assert_uint_eq(c.snapshot_keep, 3);
    ck_assert_uint_eq(c.compare_entries, 0);
    ck_assert_uint_eq(c.request_bytes, 512 * 1024);
    ck_assert_uint_eq(c.frame_bytes, 1024 * 1024);
    ck_assert_uint_eq(c.connections, 7);
    ck_assert_uint_eq(c.connections_per_address, 6);
    ck_assert_uint_eq(c.outstanding, 5);
    ck_assert_uint_eq(c.sessions, 4);
    ck_assert_uint_eq(c.watches, 3);
    ck_assert_uint_eq(c.output_bytes, 2 * 1024 * 1024);
    further_limits_are_read(&c);
    ck_assert_int_eq(c.log_level, CONF_LOG_DEBUG);
    ck_assert_int_eq(c.log_format, CONF_LOG_JSON);
    ck_assert(c.lab);
    ck_assert(!c.insecure);
}
END_TEST

START_TEST(defaults_are_those_of_the_design)
{
    static const char text[] = HEAD;
    static struct conf c;
    char err[CONF_ERROR_BYTES_MAX];
    ck_assert_msg(conf_parse("f.yaml", text, sizeof(text) - 1, &c, err) == 0, "%s", err);
    ck_assert_uint_eq(c.heartbeat_ns, 50000000);
    ck_assert_uint_eq(c.election_ns, 500000000);
    ck_assert_uint_eq(c.session_min_ns, 2000000000);
    ck_assert_uint_eq(c.session_max_ns, 60000000000);
    ck_assert_uint_eq(c.snapshot_entries, 100000);
    ck_assert_uint_eq(c.snapshot_bytes, 256 << 20);
    ck_assert_uint_eq(c.snapshot_keep, 2);
    ck_assert_uint_eq(c.compare_entries, 100000);
    ck_assert_uint_eq(c.request_bytes, 1 << 20);
    ck_assert_uint_eq(c.frame_bytes, 4 << 20);
    ck_assert_uint_eq(c.connections, 10000);
    ck_assert_uint_eq(c.list_bytes, 3 << 20);
    ck_assert_uint_eq(c.watch_output_bytes, 8 << 20);
    ck_assert(!c.lease);
    ck_assert_uint_eq(conf_lease_ms(&c), 0);
    ck_assert_int_eq(c.log_level, CONF_LOG_INFO);
    ck_assert(!c.lab);
}
END_TEST

/* What a member's own limits say reaches the node, and a file that says nothing leaves what the node would have
 * taken by itself. */
START_TEST(a_members_own_limits_reach_its_node)
{
    static const char plain[] = HEAD;
    static const char text[] =
        HEAD "snapshot: {entries: 500, bytes: 2GiB, compare: 7}\n"
             "limits: {outstanding: 5, outstanding_bytes: 66KiB, watches: 3,\n"
             "  history_events: 15, history_bytes: 68KiB, log_memory: 69KiB}\n";
    static struct conf c;
    static struct node_options o;
    static struct node_options standard;
    char err[CONF_ERROR_BYTES_MAX];
    ck_assert_msg(conf_parse("f.yaml", text, sizeof(text) - 1, &c, err) == 0, "%s", err);
    options_fill(&c, 1, &o);
    ck_assert_uint_eq(o.snapshot_entries, 500);
    ck_assert_uint_eq(o.snapshot_bytes, UINT64_C(2) << 30);
    ck_assert_uint_eq(o.digest_entries, 7);
    ck_assert_uint_eq(o.outstanding_max, 5);
    ck_assert_uint_eq(o.conn_bytes_max, 66 * 1024);
    ck_assert_uint_eq(o.watch.per_connection, 3);
    ck_assert_uint_eq(o.watch.history_events, 15);
    ck_assert_uint_eq(o.watch.history_bytes, 68 * 1024);
    ck_assert_uint_eq(o.log_memory_bytes, 69 * 1024);
    node_options_init(&standard);
    ck_assert_int_eq(conf_parse("f.yaml", plain, sizeof(plain) - 1, &c, err), 0);
    options_fill(&c, 1, &o);
    ck_assert_uint_eq(o.snapshot_entries, standard.snapshot_entries);
    ck_assert_uint_ge(o.raft.log_slots, 5 * o.snapshot_entries); /* two long distances and more */
    ck_assert_uint_eq(o.snapshot_bytes, standard.snapshot_bytes);
    ck_assert_uint_eq(o.digest_entries, standard.digest_entries);
    ck_assert_uint_eq(o.outstanding_max, standard.outstanding_max);
    ck_assert_uint_eq(o.conn_bytes_max, standard.conn_bytes_max);
    ck_assert_uint_eq(o.watch.per_connection, standard.watch.per_connection);
    ck_assert_uint_eq(o.watch.history_events, standard.watch.history_events);
    ck_assert_uint_eq(o.watch.history_bytes, standard.watch.history_bytes);
    ck_assert_uint_eq(o.log_memory_bytes, standard.log_memory_bytes);
}
END_TEST

/* Every quantity there is: at its ends it is taken, one past them it is refused, with file, line and key. */
START_TEST(every_range_is_kept)
{
    const struct conf_key_rule *k = &conf_rules[_i];
    static struct conf c;
    if (!conf_rule_is_quantity(k)) {
        return;
    }
    const struct {
        uint64_t value;
        bool good;
    } tries[] = {{k->min, true}, {k->max, true}, {k->min - 1, false}, {k->max + 1, false}};
    static const char *const units[] = {[CONF_NUMBER] = "", [CONF_SIZE] = "B", [CONF_PPM] = "ppm"};
    for (size_t i = 0; i < 4; i++) {
        char text[1024];
        char err[CONF_ERROR_BYTES_MAX] = "";
        char value[64];
        char key[160];
        /* Durations are whole milliseconds. */
        uint64_t ms = tries[i].value / 1000000 + (i == 3);
        if (k->type == CONF_DURATION) {
            (void)snprintf(value, sizeof(value), "%llums", (unsigned long long)ms);
        } else {
            (void)snprintf(value, sizeof(value), "%llu%s", (unsigned long long)tries[i].value,
                           units[k->type]);
        }
        int n = snprintf(text, sizeof(text), HEAD "%s: {%s: %s}\n", k->section, k->name, value);
        ck_assert_int_lt(n, (int)sizeof(text));
        (void)snprintf(key, sizeof(key), "f.yaml:6: %s.%s: %s is not between ", k->section, k->name,
                       value);
        int rc = conf_parse("f.yaml", text, (size_t)n, &c, err);
        if (tries[i].good) { /* what it says together with others is another matter */
            ck_assert_msg(rc == 0 || strstr(err, "is not between") == NULL, "%s", err);
        } else {
            ck_assert_int_eq(rc, -1);
            if (k->type == CONF_SIZE) { /* told in the largest unit that shows it */
                ck_assert_msg(strstr(err, "is not between") != NULL, "%s", err);
            } else {
                ck_assert_msg(strncmp(err, key, strlen(key)) == 0, "%s", err);
            }
        }
    }
}
END_TEST

static char *file_text(const char *path)
{
    static char text[100000];
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return text;
}

/* The handbook's table has each limit, with the default and the range of this table. */
START_TEST(every_limit_is_in_the_handbook)
{
    const struct conf_key_rule *k = &conf_rules[_i];
    char low[32];
    char high[32];
    char value[32];
    char range[70];
    char key[64];
    if (strcmp(k->section, "limits") != 0) {
        return;
    }
    char *text = file_text("docs/operations.md");
    char *at = strstr(text, "\n## Limits\n");
    ck_assert_ptr_nonnull(at);
    (void)snprintf(key, sizeof(key), ".%s", k->name);
    bool found = false;
    for (char *line = strtok_r(at, "\n", &text); line != NULL; line = strtok_r(NULL, "\n", &text)) {
        char *name = line[0] == '|' ? strstr(line, key) : NULL;
        char after = name == NULL ? 'x' : name[strlen(key)];
        if (after != ' ' && after != ',') {
            continue;
        }
        conf_rule_format(k, k->min, low, sizeof(low));
        conf_rule_format(k, k->max, high, sizeof(high));
        conf_rule_format(k, k->standard, value, sizeof(value));
        (void)snprintf(range, sizeof(range), "%s..%s", low,
                       strcmp(high, "1024GiB") == 0 ? "1TiB" : high);
        ck_assert_msg(strstr(line, range) != NULL, "%s: not '%s' in: %s", k->name, range, line);
        ck_assert_msg(k->standard == 0 || strstr(line, value) != NULL, "%s: not '%s' in: %s",
                      k->name, value, line);
        found = true;
        break;
    }
    ck_assert_msg(found, "docs/operations.md says nothing of limits.%s", k->name);
}
END_TEST

/* What conf/single.yaml shows commented out are the defaults. */
START_TEST(the_example_shows_the_defaults)
{
    static struct conf shown;
    static struct conf plain;
    static const char text[] = HEAD;
    char err[CONF_ERROR_BYTES_MAX];
    char *example = file_text("conf/single.yaml");
    static char bare[100000];
    size_t n = 0;
    for (char *p = example; *p != '\0'; p++) {
        bool begins = p == example || p[-1] == '\n';
        if (!begins || p[0] != '#' || p[1] == ' ') {
            bare[n++] = *p;
        }
    }
    ck_assert_msg(conf_parse("f.yaml", bare, n, &shown, err) == 0, "%s", err);
    ck_assert_int_eq(conf_parse("f.yaml", text, sizeof(text) - 1, &plain, err), 0);
    for (size_t i = 0; i < CONF_KEY_MEMBERS; i++) {
        const struct conf_key_rule *k = &conf_rules[i];
        uint64_t a = 0;
        uint64_t b = 0;
        char name[64];
        if (!conf_rule_is_quantity(k)) {
            continue;
        }
        memcpy(&a, (const char *)&shown + k->offset, sizeof(a));
        memcpy(&b, (const char *)&plain + k->offset, sizeof(b));
        (void)snprintf(name, sizeof(name), "%s:", k->name);
        ck_assert_msg(a == b, "conf/single.yaml says another default of %s.%s", k->section,
                      k->name);
        ck_assert_msg(strstr(bare, name) != NULL, "conf/single.yaml does not show %s.%s",
                      k->section, k->name);
    }
}
END_TEST

START_TEST(insecure_opens_other_addresses)
{
    static const char text[] = "id: 1\ndata_dir: /d\ninsecure: true\nmembers:\n"
                               "  - {id: 1, peer: \"10.1.2.3:1\", client: \"db.example:2\"}\n";
    static struct conf c;
    char err[CONF_ERROR_BYTES_MAX];
    ck_assert_msg(conf_parse("f.yaml", text, sizeof(text) - 1, &c, err) == 0, "%s", err);
    ck_assert(c.insecure);
}
END_TEST

START_TEST(examples_load)
{
    glob_t found;
    static struct conf c;
    char err[CONF_ERROR_BYTES_MAX];
    ck_assert_int_eq(glob("conf/*.yaml", 0, NULL, &found), 0);
    ck_assert_uint_ge(found.gl_pathc, 9);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        ck_assert_msg(conf_load(found.gl_pathv[i], &c, err) == 0, "%s", err);
    }
    globfree(&found);
}
END_TEST

START_TEST(members_of_one_ensemble_agree_on_its_hash)
{
    static struct conf a;
    static struct conf b;
    char err[CONF_ERROR_BYTES_MAX];
    ck_assert_int_eq(conf_load("conf/three-1.yaml", &a, err), 0);
    ck_assert_int_eq(conf_load("conf/three-3.yaml", &b, err), 0);
    ck_assert_uint_eq(conf_members_hash(&a), conf_members_hash(&b));
    ck_assert_uint_eq(conf_cluster_id(&a), conf_cluster_id(&b));
    ck_assert_int_eq(conf_load("conf/five-1.yaml", &b, err), 0);
    ck_assert_uint_ne(conf_members_hash(&a), conf_members_hash(&b));
    b.cluster[0] = 'D';
    ck_assert_uint_ne(conf_cluster_id(&a), conf_cluster_id(&b));
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    char dir[] = "/tmp/test_conf.XXXXXX";
    char path[64];
    char err[CONF_ERROR_BYTES_MAX];
    static struct conf c;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(conf_load(dir, &c, err), -1);
    ck_assert_ptr_nonnull(strstr(err, "not a regular file"));
    (void)snprintf(path, sizeof(path), "%s/none.yaml", dir);
    ck_assert_int_eq(conf_load(path, &c, err), -1);
    ck_assert_ptr_nonnull(strstr(err, "No such file"));
    (void)snprintf(path, sizeof(path), "%s/fifo.yaml", dir);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(conf_load(path, &c, err), -1);
    ck_assert_ptr_nonnull(strstr(err, "not a regular file"));
    ck_assert_int_eq(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/big.yaml", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 64 << 20), 0);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(conf_load(path, &c, err), -1);
    ck_assert_ptr_nonnull(strstr(err, "big.yaml:1: yaml: the file is larger than 1048576 bytes"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(values_are_written_back_exactly)
{
    char out[32];
    conf_value_format_duration(500000000, out, sizeof(out));
    ck_assert_str_eq(out, "500ms");
    conf_value_format_duration(60000000000, out, sizeof(out));
    ck_assert_str_eq(out, "1m");
    conf_value_format_duration(90000000000, out, sizeof(out));
    ck_assert_str_eq(out, "90s");
    conf_value_format_duration(0, out, sizeof(out));
    ck_assert_str_eq(out, "0ms");
    conf_value_format_size(256 << 20, out, sizeof(out));
    ck_assert_str_eq(out, "256MiB");
    conf_value_format_size(1025, out, sizeof(out));
    ck_assert_str_eq(out, "1025B");
}
END_TEST

START_TEST(dev_configuration_is_local)
{
    static struct conf c;
    char text[CONF_HOST_BYTES_MAX + 16];
    conf_dev(7410, "/tmp/d", &c);
    ck_assert_uint_eq(c.members_count, 1);
    ck_assert(conf_address_is_loopback(&conf_self(&c)->client));
    conf_address_format(&conf_self(&c)->client, text, sizeof(text));
    ck_assert_str_eq(text, "127.0.0.1:7410");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conf");
    TCase *t = tcase_create("conf");
    tcase_add_loop_test(t, bad_file_is_refused_with_file_line_and_key, 0,
                        (int)(sizeof(bad_cases) / sizeof(bad_cases[0])));
    tcase_add_test(t, sixteen_members_are_too_many);
    tcase_add_test(t, size_and_depth_are_bounded);
    tcase_add_test(t, good_file_is_read_whole);
    tcase_add_test(t, defaults_are_those_of_the_design);
    tcase_add_test(t, a_members_own_limits_reach_its_node);
    tcase_add_loop_test(t, every_range_is_kept, 0, CONF_KEY_MEMBERS);
    tcase_add_loop_test(t, every_limit_is_in_the_handbook, 0, CONF_KEY_MEMBERS);
    tcase_add_test(t, the_example_shows_the_defaults);
    tcase_add_test(t, insecure_opens_other_addresses);
    tcase_add_test(t, examples_load);
    tcase_add_test(t, members_of_one_ensemble_agree_on_its_hash);
    tcase_add_test(t, what_is_no_file_is_refused);
    tcase_add_test(t, values_are_written_back_exactly);
    tcase_add_test(t, dev_configuration_is_local);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
