/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.c: see plan.h.
 */
#include <inttypes.h>
#include <string.h>
#include "client/bench/plan.h"
#include "client/cli/args.h"
#include "client/cli/cli.h"

#define VALUE_BYTES_MAX (1024u * 1024)

/* "100" or "100-4096". Return: false when it is neither. */
static bool parse_sizes(const char *text, uint64_t *ret_min, uint64_t *ret_max)
{
    char first[24];
    size_t n = strcspn(text, "-");

    if (n >= sizeof first) {
        return false;
    }
    memcpy(first, text, n);
    first[n] = '\0';
    if (!args_number(first, ret_min)) {
        return false;
    }
    *ret_max = *ret_min;
    return (text[n] == '\0' || args_number(text + n + 1, ret_max)) && *ret_min <= *ret_max &&
           *ret_max <= VALUE_BYTES_MAX;
}

static int check_range(const char *name, uint64_t value, uint64_t min, uint64_t max)
{
    if (value < min || value > max) {
        return cli_usage("bench", "--%s: %" PRIu64 " is not between %" PRIu64 " and %" PRIu64, name,
                         value, min, max);
    }
    return EXIT_DONE;
}

static int check_ranges(const struct plan *p)
{
    const struct {
        const char *name;
        uint64_t value, min, max;
    } table[] = {{"conns", p->conns, 1, PLAN_CONNS_MAX},
                 {"outstanding", p->outstanding, 1, 4096},
                 {"conns times --outstanding", p->conns * p->outstanding, 1, 1000000},
                 {"keys", p->keys, 1, 10000000},
                 {"secs", p->secs, 1, 86400},
                 {"warmup", p->warmup, 0, 3600},
                 {"rate", p->rate, 0, 10000000},
                 {"watchers", p->watchers, 0, PLAN_CONNS_MAX},
                 {"sessions", p->sessions, 0, PLAN_CONNS_MAX},
                 {"session-timeout", p->session_timeout_ms, 100, 86400000},
                 {"sources", p->sources, 0, 254}};
    int rc = EXIT_DONE;

    for (size_t i = 0; rc == EXIT_DONE && i < sizeof table / sizeof table[0]; i++) {
        rc = check_range(table[i].name, table[i].value, table[i].min, table[i].max);
    }
    return rc;
}

/* What does not go together. */
static int check_ways(const struct plan *p)
{
    if (p->watchers > 0 && p->sessions > 0) {
        return cli_usage("bench", "--watchers and --sessions are loads of their own");
    }
    for (unsigned i = 0; i < BENCH_OPS; i++) {
        const struct bench_op_row *row = bench_op_row(i);
        if (p->mix.weights[i] == 0) {
            continue;
        }
        if (row->lib_only && p->wire) {
            return cli_usage("bench", "--op %s is of the library: not with --wire", row->name);
        }
        if (row->wire_only && !p->wire) {
            return cli_usage("bench", "--op %s: the library has no such call; give --wire",
                             row->name);
        }
        if (i == BENCH_SESSION && (p->outstanding != 1 || mix_count(&p->mix) > 1)) {
            return cli_usage("bench", "--op session: a connection has one session: alone, with "
                                      "--outstanding 1");
        }
    }
    return EXIT_DONE;
}

static int parse_texts(struct plan *p, const char *value)
{
    const char *bad = NULL;

    if (!mix_parse(p->op_text, &p->mix, &bad)) {
        return cli_usage("bench",
                         "--op: '%.*s' is not an operation (with :WEIGHT), or mixed:PERCENT",
                         (int)strcspn(bad, ","), bad);
    }
    if (!pick_parse(p->keys_text, &p->keys_kind, &p->keys_param)) {
        return cli_usage("bench", "--dist: '%s' is not uniform, seq, zipf[:1-99] or hot[:1-100]",
                         p->keys_text);
    }
    if (!parse_sizes(value, &p->value_min, &p->value_max)) {
        return cli_usage("bench", "--value: '%s' is not BYTES or MIN-MAX of at most 1 MiB", value);
    }
    return EXIT_DONE;
}

static int parse_table(int argc, char **argv, struct plan *p, const char **value)
{
    struct args a;
    const struct arg table[] = {
        {"op", 0, ARG_TEXT, &p->op_text, NULL},
        {"conns", 0, ARG_NUMBER, &p->conns, NULL},
        {"outstanding", 0, ARG_NUMBER, &p->outstanding, NULL},
        {"value", 0, ARG_TEXT, value, NULL},
        {"keys", 0, ARG_NUMBER, &p->keys, NULL},
        {"dist", 0, ARG_TEXT, &p->keys_text, NULL},
        {"secs", 0, ARG_NUMBER, &p->secs, NULL},
        {"warmup", 0, ARG_NUMBER, &p->warmup, NULL},
        {"ops", 0, ARG_NUMBER, &p->ops, NULL},
        {"rate", 0, ARG_NUMBER, &p->rate, NULL},
        {"wire", 0, ARG_FLAG, &p->wire, NULL},
        {"watchers", 0, ARG_NUMBER, &p->watchers, NULL},
        {"sessions", 0, ARG_NUMBER, &p->sessions, NULL},
        {"session-timeout", 0, ARG_DURATION, &p->session_timeout_ms, NULL},
        {"sources", 0, ARG_NUMBER, &p->sources, NULL},
        {"seed", 0, ARG_NUMBER, &p->seed, NULL},
        {"series", 0, ARG_FLAG, &p->series, NULL},
        {"no-prepare", 0, ARG_FLAG, &p->no_prepare, NULL},
    };

    return args_parse(argc, argv, table, (int)(sizeof table / sizeof table[0]), false, 0, 0, &a);
}

int plan_parse(int argc, char **argv, struct plan *ret_plan)
{
    const char *value = "100";
    struct plan p = {.op_text = "set",
                     .conns = 16,
                     .outstanding = 1,
                     .keys = 1000,
                     .keys_text = "uniform",
                     .secs = 10,
                     .warmup = 1,
                     .session_timeout_ms = 10000};
    int rc = parse_table(argc, argv, &p, &value);

    rc = rc != EXIT_DONE ? rc : parse_texts(&p, value);
    rc = rc != EXIT_DONE ? rc : check_ranges(&p);
    rc = rc != EXIT_DONE ? rc : check_ways(&p);
    if (rc == EXIT_DONE) {
        p.mode = p.watchers > 0 ? PLAN_WATCH : p.sessions > 0 ? PLAN_IDLE : PLAN_LOAD;
        *ret_plan = p;
    }
    return rc;
}
