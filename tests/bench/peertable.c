/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peertable.c: lines of results on standard input, tables on standard output.
 *
 *   peertable            Markdown: the table, then what the generators used
 *   peertable --json     everything as one JSON object
 */
#include <stdlib.h>
#include <string.h>
#include "tests/bench/table.h"

#define LINE_BYTES_MAX 4096

int main(int argc, char **argv)
{
    char line[LINE_BYTES_MAX];
    struct table *t = calloc(1, sizeof *t);
    int rc = 0;

    if (t == NULL || argc > 2 || (argc == 2 && strcmp(argv[1], "--json") != 0)) {
        fprintf(stderr, "usage: peertable [--json] <RESULTS\n");
        free(t);
        return 2;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (table_add(t, line) != 0) {
            fprintf(stderr, "peertable: not a line of results: %s", line);
            rc = 1;
        }
    }
    if (argc == 2) {
        table_print_json(t, stdout);
    } else {
        table_print(t, stdout);
        printf("\nCPU of the load generators, per 100,000 operations, and as a share of one "
               "core:\n\n");
        table_print_generators(t, stdout);
    }
    table_clear(t);
    free(t);
    return rc;
}
