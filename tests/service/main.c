/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: run a batch of seeds: first the kept ones, then --count from --seed on.
 *
 *   sim-service [--seed N] [--count K] [--jobs J] [--seeds FILE] [--keep FILE] [--with FAULT,...]
 *               [--without FAULT,...] [--record FILE] [--verbose] [--trace]
 *
 * --record keeps what the clients of a single seed recorded, for `coordctl verify --empty FILE`.
 *
 * Exit: 0 when every seed passed, 1 when one failed or (in a batch of MARKS_BATCH_MIN or more) a mark
 * that must be hit was not, 2 for bad arguments. Threads: none.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "server/shell/log.h"
#include "tests/service/batch.h"
#include "tests/service/knobs.h"

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
    (void)fprintf(
        stderr,
        "usage: sim-service [--seed N] [--count K] [--jobs J] [--seeds FILE] [--keep FILE]\n"
        "                   [--with FAULT,...] [--without FAULT,...] [--record FILE] [--verbose] "
        "[--trace]\n");
    return 2;
}

/* Return: 0, or -1 when a name is no fault. */
static int parse_faults(const char *text, uint64_t *ret_faults)
{
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        enum svc_fault f = fault_of(text, len);
        if (f == FAULT_END) {
            (void)fprintf(stderr, "sim-service: no fault has the name %s\n", text);
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
        (void)fprintf(stderr, "sim-service: %s: %s; no kept seeds are run\n", path,
                      strerror(errno));
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
            (void)fprintf(stderr, "sim-service: %s: bad line or too many\n", path);
            result = -1;
        } else {
            b->kept[b->kept_count++] = seed;
        }
    }
    (void)fclose(f); /* read only */
    return result;
}

struct arguments {
    const char *seeds;
    uint64_t jobs;
    int bad;
};

static void take_option(int opt, struct batch *b, struct arguments *args)
{
    switch (opt) {
    case 's':
        args->bad |= parse_number(optarg, &b->first);
        break;
    case 'c':
        args->bad |= parse_number(optarg, &b->count);
        break;
    case 'j':
        args->bad |= parse_number(optarg, &args->jobs);
        break;
    case 'f':
        args->seeds = optarg;
        break;
    case 'k':
        b->keep = optarg;
        break;
    case 'i':
        b->with_text = optarg;
        args->bad |= parse_faults(optarg, &b->with);
        break;
    case 'w':
        b->without_text = optarg;
        args->bad |= parse_faults(optarg, &b->without);
        break;
    case 'r':
        b->record = optarg;
        break;
    case 'v':
        b->verbose = 1;
        break;
    case 't':
        b->trace = 1;
        break;
    default:
        args->bad = 1;
        break;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'c'},
        {"jobs", required_argument, NULL, 'j'},
        {"seeds", required_argument, NULL, 'f'},
        {"keep", required_argument, NULL, 'k'},
        {"with", required_argument, NULL, 'i'},
        {"without", required_argument, NULL, 'w'},
        {"verbose", no_argument, NULL, 'v'},
        {"trace", no_argument, NULL, 't'},
        {"record", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    static struct batch b;
    struct arguments args = {.seeds = "tests/service/seeds.txt",
                             .jobs = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN)};
    b.first = 1;
    b.count = 1;
    b.program = argv[0];
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        take_option(opt, &b, &args);
    }
    if (args.bad != 0 || optind != argc || b.count == 0 || args.jobs == 0 ||
        args.jobs > BATCH_JOBS_MAX) {
        return usage();
    }
    b.jobs = (uint32_t)args.jobs;
    /* One seed is looked at closely: nothing else is run beside it. */
    if (b.count > 1 && read_seeds(args.seeds, &b) < 0) {
        return 2;
    }
    /* What members say reaches the trace through the node; recovery's own lines are of no use here. */
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_init(null_fd, CONF_LOG_ERROR, CONF_LOG_TEXT, 0);
    return batch_run(&b);
}
