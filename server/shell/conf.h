/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.h: the configuration of one member, read from a YAML file or made for `coordd --dev`.
 *
 * Object model: conf_load fills one `struct conf`, plain data without pointers, that has passed every
 * check: whoever holds a struct conf may rely on the relations stated at its fields. Everything that
 * is wrong with a file becomes one line that names file, line and key, e.g.
 *     coord.yaml:7: timing.heartbeat: 400ms is more than a third of election (500ms)
 *
 * Threads: any; the functions share nothing.
 */
#ifndef COORD_SERVER_SHELL_CONF_H
#define COORD_SERVER_SHELL_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_MEMBERS_MAX     15
#define CONF_FILE_BYTES_MAX  (1024 * 1024)
#define CONF_ERROR_BYTES_MAX 1024
#define CONF_PATH_BYTES_MAX  1024
#define CONF_NAME_BYTES_MAX  64  /* of a cluster */
#define CONF_HOST_BYTES_MAX  253 /* RFC 1035's bound on a name */

enum conf_log_level {
    CONF_LOG_ERROR = 0,
    CONF_LOG_WARN = 1,
    CONF_LOG_INFO = 2,
    CONF_LOG_DEBUG = 3
};

enum conf_log_format { CONF_LOG_TEXT = 0, CONF_LOG_JSON = 1 };

/* "host:port" or "[v6]:port", taken apart. port 0: the address was not given. */
struct conf_address {
    char host[CONF_HOST_BYTES_MAX + 1];
    uint16_t port;
};

struct conf_member {
    uint32_t id;                /* not 0, no two alike */
    struct conf_address peer;   /* always given when there is more than one member */
    struct conf_address client; /* always given */
    struct conf_address http;   /* may be missing; reserved */
};

struct conf {
    uint32_t id; /* one of members */
    char data_dir[CONF_PATH_BYTES_MAX];
    char cluster[CONF_NAME_BYTES_MAX + 1];
    uint32_t members_count; /* 1 .. CONF_MEMBERS_MAX, ascending by id */
    struct conf_member members[CONF_MEMBERS_MAX];

    uint64_t heartbeat_ns; /* at most a third of election_ns */
    uint64_t election_ns;
    uint64_t session_min_ns; /* election_ns <= session_min_ns <= session_max_ns */
    uint64_t session_max_ns;

    bool lease; /* a leader answers reads by its lease */
    uint64_t clock_drift_ppm;

    uint64_t snapshot_entries;
    uint64_t snapshot_bytes;
    uint64_t snapshot_keep;   /* at least 1 */
    uint64_t compare_entries; /* members compare their states; 0 never */

    uint64_t request_bytes; /* at most frame_bytes - CONF_FRAME_SLACK_BYTES */
    uint64_t frame_bytes;
    uint64_t operations; /* of a transaction: conditions, and operations of a branch */
    uint64_t subtree;    /* nodes of a recursive delete or a rename */
    uint64_t list_entries;
    uint64_t list_bytes; /* at most as request_bytes; if not given, three quarters of frame_bytes */
    uint64_t store_bytes; /* high-water mark; at least request_bytes */
    uint64_t sessions;
    uint64_t answers; /* kept of a session; at least outstanding */
    uint64_t answers_bytes;
    uint64_t connections;
    uint64_t connections_per_address;
    uint64_t outstanding; /* requests of a connection */
    uint64_t outstanding_bytes;
    uint64_t output_bytes;       /* at least frame_bytes */
    uint64_t output_total_bytes; /* of all connections; at least output_bytes */
    uint64_t watches;            /* of a connection */
    uint64_t watch_output_bytes; /* at most output_bytes; if not given, half of it */
    uint64_t history_events;
    uint64_t history_bytes;
    uint64_t log_memory_bytes; /* of applied entries, for members that are behind */

    enum conf_log_level log_level;
    enum conf_log_format log_format;
    bool lab;
    bool insecure; /* listening beyond loopback is meant */
};

/* What a frame holds beside the data: path, operation, msgpack. */
#define CONF_FRAME_SLACK_BYTES (64 * 1024)

/* The defaults of every key that has one; the others are zero. Errors: none. Return: none. */
void conf_init(struct conf *ret_c);

/* Read and check a file. err (CONF_ERROR_BYTES_MAX) receives one line without a newline on failure.
 * Ownership: none moves. Errors: the file cannot be read, is not the YAML wanted, or says what is not
 * possible. Return: 0, or -1 with *ret_c untouched. */
int conf_load(const char *file, struct conf *ret_c, char err[CONF_ERROR_BYTES_MAX]);

/* The same for text in memory; `file` is only the name that errors carry. */
int conf_parse(const char *file, const char *text, size_t len, struct conf *ret_c,
               char err[CONF_ERROR_BYTES_MAX]);

/* The configuration of `coordd --dev`: one member on 127.0.0.1, clients at `port`.
 * data_dir shorter than CONF_PATH_BYTES_MAX. Errors: none. Return: none. */
void conf_dev(uint16_t port, const char *data_dir, struct conf *ret_c);

/* This member's own entry. Return: never NULL for a checked struct conf. */
const struct conf_member *conf_self(const struct conf *c);

/* The cluster's number, derived from its name; never 0. */
uint64_t conf_cluster_id(const struct conf *c);
/* A number of the set of member ids, so that two members can compare what they were told. */
uint64_t conf_members_hash(const struct conf *c);

/* What all members must have alike for leases: 0 without, else the election timeout in ms. */
uint32_t conf_lease_ms(const struct conf *c);

/* "host:port" as one would write it in the file. out_bytes >= CONF_HOST_BYTES_MAX + 10. */
void conf_address_format(const struct conf_address *a, char *out, size_t out_bytes);
/* Is this host surely this machine: 127.0.0.0/8, ::1 or localhost? */
bool conf_address_is_loopback(const struct conf_address *a);

#endif
