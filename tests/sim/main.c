/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: run a batch of seeds: first the kept ones, then --count from --seed on.
 *
 *   sim [--seed N] [--count K] [--jobs J] [--seeds FILE] [--keep FILE] [--with FAULT,...]
 *       [--without FAULT,...] [--verbose] [--trace]
 *
 * The seeds are dealt to J processes, so that an assertion of the code under test ends only one of
 * them and its seed is known. With --trace everything runs in this process and every event is
 * printed. One seed in a hundred runs twice and must come to the same hash. --keep appends the seeds that
 * fail to a file like tests/sim/seeds.txt; --with adds faults to every seed,
 * --without leaves them out, to look closer or to narrow a failure down.
 *
 * Exit: 0 when every seed passed, 1 when one failed or (in a batch of MARKS_BATCH_MIN or more) a mark
 * that must be hit was not, 2 for bad arguments.
 */
#include "tests/sim/batch.h"

#include "tests/sim/knobs.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int parse_number(const char *text, uint64_t *ret_value)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-') {
        return -1;
    }
    *ret_value = value;
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: sim [--seed N] [--count K] [--jobs J] [--seeds FILE] [--keep FILE]\n"
                    "           [--with FAULT,...] [--without FAULT,...] [--verbose] [--trace]\n");
    return 2;
}

/* Return: 0, or -1 when a name is no fault. */
static int parse_faults(const char *text, uint64_t *ret_faults)
{
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        enum sim_fault f = fault_of(text, len);
        if (f == FAULT_END) {
            fprintf(stderr, "sim: no fault has the name %s\n", text);
            return -1;
        }
        *ret_faults |= (uint64_t)1 << f;
        text += len + (text[len] == ',');
    }
    return 0;
}

/* One seed a line, then anything. Return: 0, or -1 when a line is not understood. */
static int read_seeds(const char *path, struct batch *b)
{
    char line[512];
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        fprintf(stderr, "sim: %s: %s; no kept seeds are run\n", path, strerror(errno));
        return 0;
    }
    int result = 0;
    while (result == 0 && fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, " \t\r\n#")] = '\0';
        if (line[0] == '\0') {
            continue;
        }
        uint64_t seed = 0;
        result = parse_number(line, &seed);
        if (result != 0 || b->kept_count == BATCH_KEPT_MAX) {
            fprintf(stderr, "sim: %s: bad line or too many\n", path);
            result = -1;
        } else {
            b->kept[b->kept_count++] = seed;
        }
    }
    (void)fclose(f); /* read only */
    return result;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},    {"count", required_argument, NULL, 'c'},
        {"jobs", required_argument, NULL, 'j'},    {"seeds", required_argument, NULL, 'f'},
        {"keep", required_argument, NULL, 'k'},    {"with", required_argument, NULL, 'i'},
        {"without", required_argument, NULL, 'w'}, {"verbose", no_argument, NULL, 'v'},
        {"trace", no_argument, NULL, 't'},         {NULL, 0, NULL, 0},
    };
    static struct batch b;
    const char *seeds = "tests/sim/seeds.txt";
    uint64_t jobs = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    b.first = 1;
    b.count = 1;
    b.program = argv[0];
    int bad = 0;
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (opt) {
        case 's':
            bad |= parse_number(optarg, &b.first);
            break;
        case 'c':
            bad |= parse_number(optarg, &b.count);
            break;
        case 'j':
            bad |= parse_number(optarg, &jobs);
            break;
        case 'f':
            seeds = optarg;
            break;
        case 'k':
            b.keep = optarg;
            break;
        case 'i':
            b.with_text = optarg;
            bad |= parse_faults(optarg, &b.with);
            break;
        case 'w':
            b.without_text = optarg;
            bad |= parse_faults(optarg, &b.without);
            break;
        case 'v':
            b.verbose = 1;
            break;
        case 't':
            b.trace = 1;
            break;
        default:
            return usage();
        }
    }
    if (bad != 0 || optind != argc || b.count == 0) {
        return usage();
    }
    if (b.count > 1 && read_seeds(seeds, &b) != 0) {
        return 2;
    }
    b.jobs = jobs < 1 ? 1 : jobs > BATCH_JOBS_MAX ? BATCH_JOBS_MAX : (uint32_t)jobs;
    return batch_run(&b);
}
