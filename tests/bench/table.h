/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h: results of many runs as one table of medians and ratios. Pure but for the stream it prints to; any thread.
 *
 * A line of results is KEY=VALUE separated by spaces. `cell` and `system` say what was measured and on whom; `show`
 * lists the measures of the table, separated by commas; every other key with a number is a sample of that measure.
 *
 * Invariant: samples keep the order in which they came; cells and measures are printed in that of their first line.
 */
#ifndef COORD_TESTS_BENCH_TABLE_H
#define COORD_TESTS_BENCH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_CELLS_MAX    64
#define TABLE_MEASURES_MAX 64
#define TABLE_SYSTEMS      3 /* coord, zookeeper, etcd */
#define TABLE_NAME_BYTES   64

struct table_sample {
    uint16_t cell, system, measure;
    double value;
};

struct table {
    char cells[TABLE_CELLS_MAX][TABLE_NAME_BYTES];
    size_t cells_count;
    char measures[TABLE_MEASURES_MAX][TABLE_NAME_BYTES];
    size_t measures_count;
    bool shown[TABLE_CELLS_MAX][TABLE_MEASURES_MAX];
    struct table_sample *samples;
    size_t samples_count, samples_cap;
};

/* Whether more of a measure is better. */
enum table_better { TABLE_MORE, TABLE_LESS };

/* All zero is an empty table; table_clear makes it that again. */
void table_clear(struct table *t);

/* Take in one line. Return: 0, or -1 when it has no cell, an unknown system, or there is no more room. */
int table_add(struct table *t, const char *line);

/* Of n values, which are sorted on return: the middle one, or the mean of the middle two. n: 1 or more. */
double table_median(double *values, size_t n);

/* The median of the samples of a measure. Return: false when there are none. */
bool table_value(const struct table *t, const char *cell, const char *system, const char *measure,
                 double *ret_median);

/* How many times better ours is than theirs; above 1: better. 0 when that cannot be said. */
double table_ratio(double ours, double theirs, enum table_better better);

/* The table as Markdown: a row for each cell and measure shown, and one for the worst where that matters. */
void table_print(const struct table *t, FILE *out);
/* What the generators used: seconds of CPU per 100,000 operations and share of one core. */
void table_print_generators(const struct table *t, FILE *out);
/* Everything: median, least, greatest and samples, and ratios, as members of a JSON object
 * {"cell": {"system": {"measure": ...}, "times_better_than_SYSTEM": {...}}}. */
void table_print_json(const struct table *t, FILE *out);

#endif
