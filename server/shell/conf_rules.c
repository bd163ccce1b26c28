/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_rules.c: every key of a configuration file but `members`, as a table: what docs/operations.md lists
 * and `coordd --check` prints. A new key is a line here, its number in conf_read.h and its field in conf.h.
 * Reading a file is conf.c's, what keys say together conf_check.c's. Any thread.
 */
#include "server/shell/conf_rules.h"

#include <inttypes.h>
#include "server/shell/conf_value.h"

#define MS  UINT64_C(1000000)
#define S   (1000 * MS)
#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

#define AT(field) offsetof(struct conf, field)

/* Why these bounds: below a millisecond the loop's timers do not reach; 8 MiB of frame keep an entry
 * well inside a segment of the log; more than 65,535 operations fit into no list of the protocol; a lease
 * with a tenth of drift is no use. The upper ends of counts only catch slips of the hand. */
const struct conf_key_rule conf_rules[CONF_KEY_MEMBERS] = {
    [CONF_KEY_ID] = {"", "id", CONF_ID, AT(id), 0, 1, UINT32_MAX},
    [CONF_KEY_DATA_DIR] = {"", "data_dir", CONF_PATH, AT(data_dir), 0, 0, 0},
    [CONF_KEY_CLUSTER] = {"", "cluster", CONF_NAME, AT(cluster), 0, 0, 0},
    [CONF_KEY_LAB] = {"", "lab", CONF_BOOL, AT(lab), 0, 0, 0},
    [CONF_KEY_INSECURE] = {"", "insecure", CONF_BOOL, AT(insecure), 0, 0, 0},
    [CONF_KEY_HEARTBEAT] = {"timing", "heartbeat", CONF_DURATION, AT(heartbeat_ns), 50 * MS, MS,
                            10 * S},
    [CONF_KEY_ELECTION] = {"timing", "election", CONF_DURATION, AT(election_ns), 500 * MS, 10 * MS,
                           60 * S},
    [CONF_KEY_SESSION_MIN] = {"sessions", "min", CONF_DURATION, AT(session_min_ns), 2 * S, 100 * MS,
                              86400 * S},
    [CONF_KEY_SESSION_MAX] = {"sessions", "max", CONF_DURATION, AT(session_max_ns), 60 * S,
                              100 * MS, 86400 * S},
    [CONF_KEY_LEASE] = {"reads", "lease", CONF_BOOL, AT(lease), 0, 0, 0},
    [CONF_KEY_DRIFT] = {"reads", "clock_drift", CONF_PPM, AT(clock_drift_ppm), 1000, 1, 100000},
    [CONF_KEY_SNAPSHOT_ENTRIES] = {"snapshot", "entries", CONF_NUMBER, AT(snapshot_entries), 100000,
                                   100, 4000000},
    [CONF_KEY_SNAPSHOT_BYTES] = {"snapshot", "bytes", CONF_SIZE, AT(snapshot_bytes), 256 * MIB, MIB,
                                 64 * GIB},
    [CONF_KEY_SNAPSHOT_KEEP] = {"snapshot", "keep", CONF_NUMBER, AT(snapshot_keep), 2, 1, 100},
    [CONF_KEY_COMPARE] = {"snapshot", "compare", CONF_NUMBER, AT(compare_entries), 100000, 0,
                          1000000000},
    [CONF_KEY_REQUEST] = {"limits", "request", CONF_SIZE, AT(request_bytes), MIB, KIB, 4 * MIB},
    [CONF_KEY_FRAME] = {"limits", "frame", CONF_SIZE, AT(frame_bytes), 4 * MIB, 128 * KIB, 8 * MIB},
    [CONF_KEY_OPERATIONS] = {"limits", "operations", CONF_NUMBER, AT(operations), 1024, 1, 65535},
    [CONF_KEY_SUBTREE] = {"limits", "subtree", CONF_NUMBER, AT(subtree), 10000, 1, 1000000},
    [CONF_KEY_LIST_ENTRIES] = {"limits", "list_entries", CONF_NUMBER, AT(list_entries), 10000, 1,
                               1000000},
    [CONF_KEY_LIST_BYTES] = {"limits", "list_bytes", CONF_SIZE, AT(list_bytes), 0, 4 * KIB,
                             8 * MIB},
    [CONF_KEY_STORE] = {"limits", "store", CONF_SIZE, AT(store_bytes), 2 * GIB, MIB, 1024 * GIB},
    [CONF_KEY_SESSIONS] = {"limits", "sessions", CONF_NUMBER, AT(sessions), 200000, 1, 10000000},
    [CONF_KEY_ANSWERS] = {"limits", "answers", CONF_NUMBER, AT(answers), 4096, 1, 1000000},
    [CONF_KEY_ANSWERS_BYTES] = {"limits", "answers_bytes", CONF_SIZE, AT(answers_bytes), 8 * MIB,
                                64 * KIB, 256 * MIB},
    [CONF_KEY_CONNECTIONS] = {"limits", "connections", CONF_NUMBER, AT(connections), 10000, 1,
                              1000000},
    [CONF_KEY_PER_ADDRESS] = {"limits", "connections_per_address", CONF_NUMBER,
                              AT(connections_per_address), 10000, 1, 1000000},
    [CONF_KEY_OUTSTANDING] = {"limits", "outstanding", CONF_NUMBER, AT(outstanding), 1024, 1,
                              1000000},
    [CONF_KEY_OUTSTANDING_BYTES] = {"limits", "outstanding_bytes", CONF_SIZE, AT(outstanding_bytes),
                                    16 * MIB, 64 * KIB, GIB},
    [CONF_KEY_OUTPUT] = {"limits", "output", CONF_SIZE, AT(output_bytes), 16 * MIB, 128 * KIB, GIB},
    [CONF_KEY_OUTPUT_TOTAL] = {"limits", "output_total", CONF_SIZE, AT(output_total_bytes),
                               128 * MIB, MIB, 64 * GIB},
    [CONF_KEY_WATCHES] = {"limits", "watches", CONF_NUMBER, AT(watches), 10000, 1, 10000000},
    [CONF_KEY_WATCH_OUTPUT] = {"limits", "watch_output", CONF_SIZE, AT(watch_output_bytes), 0,
                               64 * KIB, GIB},
    [CONF_KEY_HISTORY_EVENTS] = {"limits", "history_events", CONF_NUMBER, AT(history_events), 65536,
                                 1, 100000000},
    [CONF_KEY_HISTORY_BYTES] = {"limits", "history_bytes", CONF_SIZE, AT(history_bytes), 64 * MIB,
                                64 * KIB, 64 * GIB},
    [CONF_KEY_LOG_MEMORY] = {"limits", "log_memory", CONF_SIZE, AT(log_memory_bytes), 8 * MIB,
                             64 * KIB, 64 * GIB},
    [CONF_KEY_LOG_LEVEL] = {"log", "level", CONF_LEVEL, AT(log_level), 0, 0, 0},
    [CONF_KEY_LOG_FORMAT] = {"log", "format", CONF_FORMAT, AT(log_format), 0, 0, 0},
};

bool conf_rule_is_quantity(const struct conf_key_rule *k)
{
    return k->type == CONF_NUMBER || k->type == CONF_DURATION || k->type == CONF_SIZE ||
           k->type == CONF_PPM;
}

void conf_init(struct conf *ret_c)
{
    *ret_c =
        (struct conf){.log_level = CONF_LOG_INFO, .log_format = CONF_LOG_TEXT, .cluster = "coord"};
    for (size_t i = 0; i < CONF_KEY_MEMBERS; i++) {
        if (conf_rule_is_quantity(&conf_rules[i])) {
            *(uint64_t *)(void *)((char *)ret_c + conf_rules[i].offset) = conf_rules[i].standard;
        }
    }
    conf_derive(ret_c);
}

void conf_rule_format(const struct conf_key_rule *k, uint64_t n, char *out, size_t out_bytes)
{
    switch (k->type) {
    case CONF_DURATION:
        conf_value_format_duration(n, out, out_bytes);
        return;
    case CONF_SIZE:
        conf_value_format_size(n, out, out_bytes);
        return;
    case CONF_PPM:
        (void)snprintf(out, out_bytes, "%" PRIu64 "ppm", n);
        return;
    default:
        (void)snprintf(out, out_bytes, "%" PRIu64, n);
        return;
    }
}

void conf_rules_print(const struct conf *c, FILE *to)
{
    for (size_t i = 0; i < CONF_KEY_MEMBERS; i++) {
        const struct conf_key_rule *k = &conf_rules[i];
        const void *field = (const char *)c + k->offset;
        char value[32];
        if (k->type == CONF_BOOL) {
            (void)snprintf(value, sizeof(value), "%s", *(const bool *)field ? "true" : "false");
        } else if (conf_rule_is_quantity(k)) {
            conf_rule_format(k, *(const uint64_t *)field, value, sizeof(value));
        } else {
            continue;
        }
        (void)fprintf(to, "  %s%s%s %s\n", k->section, k->section[0] == '\0' ? "" : ".", k->name,
                      value);
    }
}
