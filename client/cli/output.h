/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h: telling values, stats and receipts in the chosen format.
 */
#ifndef COORD_CLI_OUTPUT_H
#define COORD_CLI_OUTPUT_H

#include "client/cli/cli.h"
#include "client/cli/json.h"

const char *output_kind(enum coord_stat_kind kind); /* "persistent", ... */

/* A value on stdout: as it is with FORMAT_RAW, else with a newline at its end. */
void output_value(const struct cli *cli, const void *data, size_t bytes);

/* Members of a JSON object. */
void output_stat_json(struct json *j, const struct coord_stat *s);
void output_receipt_json(struct json *j, const struct coord_reply *r);

/* "key value" lines. */
void output_stat_table(const struct coord_stat *s);

/* On stderr, for a read that was not linearizable: who answered, and how old at most. */
void output_receipt_note(const struct cli *cli, const struct coord_reply *r);

/* A duration for people: "850 ms", "12.3 s". Ownership: buf's. */
const char *output_age(uint64_t ms, char *buf, size_t n);

/* Milliseconds since 1970 as "2026-11-21 08:00:00.123 UTC". */
const char *output_time(uint64_t ms, char *buf, size_t n);

#endif
