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

/* Which options were there; flags say so themselves. */
struct given {
    bool op, conns, outstanding, value, keys, dist, ops, rate, watchers, sessions, session_timeout,
        sources, seed;
};

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

static int check_range(const char *name, const char *unit, uint64_t value, uint64_t min,
                       uint64_t max)
{
    if (value < min || value > max) {
        return cli_usage("bench",
                         "--%s: %" PRIu64 "%s is not between %" PRIu64 "%s and %" PRIu64 "%s", name,
                         value, unit, min, unit, max, unit);
    }
    return EXIT_DONE;
}

/* Those that are 0 when they are not given may not be given as 0. */
static int check_ranges(const struct plan *p, const struct given *given)
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
                 {"rate", p->rate, given->rate ? 1 : 0, 10000000},
                 {"ops", p->ops, given->ops ? 1 : 0, UINT64_MAX},
                 {"watchers", p->watchers, given->watchers ? 1 : 0, PLAN_CONNS_MAX},
                 {"sessions", p->sessions, given->sessions ? 1 : 0, PLAN_CONNS_MAX},
                 {"sources", p->sources, given->sources ? 1 : 0, 254}};
    int rc = EXIT_DONE;

    for (size_t i = 0; rc == EXIT_DONE && i < sizeof table / sizeof table[0]; i++) {
        rc = check_range(table[i].name, "", table[i].value, table[i].min, table[i].max);
    }
    return rc != EXIT_DONE
               ? rc
               : check_range("session-timeout", " ms", p->session_timeout_ms, 100, 86400000);
}

/* Options that the mode would not look at: who gives one expects a difference. */
static int check_useless(const struct plan *p, const struct given *given)
{
    static const char *const ways[] = {[PLAN_LOAD] = "connections of the library (give --wire)",
                                       [PLAN_WATCH] = "--watchers",
                                       [PLAN_IDLE] = "--sessions"};
    const unsigned load = 1u << PLAN_LOAD, watch = 1u << PLAN_WATCH, idle = 1u << PLAN_IDLE;
    const struct {
        const char *name;
        bool given;
        unsigned used_by;
    } table[] = {{"op", given->op, load},
                 {"conns", given->conns, load | watch},
                 {"outstanding", given->outstanding, load},
                 {"value", given->value, load | watch},
                 {"keys", given->keys, load},
                 {"dist", given->dist, load},
                 {"ops", given->ops, load | watch},
                 {"session-timeout", given->session_timeout, load | idle},
                 {"sources", given->sources, (p->wire ? load : 0) | watch | idle},
                 {"seed", given->seed, load},
                 {"series", p->series, load},
                 {"no-prepare", p->no_prepare, load}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].given && (table[i].used_by & 1u << p->mode) == 0) {
            return cli_usage("bench", "--%s means nothing to %s", table[i].name, ways[p->mode]);
        }
    }
    if (p->mode == PLAN_WATCH && p->value_min != p->value_max) {
        return cli_usage("bench", "--value: with --watchers all values have one size");
    }
    return EXIT_DONE;
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

static int parse_table(int argc, char **argv, struct plan *p, const char **value,
                       struct given *given)
{
    struct args a;
    const struct arg table[] = {
        {"op", 0, ARG_TEXT, &p->op_text, &given->op},
        {"conns", 0, ARG_NUMBER, &p->conns, &given->conns},
        {"outstanding", 0, ARG_NUMBER, &p->outstanding, &given->outstanding},
        {"value", 0, ARG_TEXT, value, &given->value},
        {"keys", 0, ARG_NUMBER, &p->keys, &given->keys},
        {"dist", 0, ARG_TEXT, &p->keys_text, &given->dist},
        {"secs", 0, ARG_NUMBER, &p->secs, &p->secs_given},
        {"warmup", 0, ARG_NUMBER, &p->warmup, NULL},
        {"ops", 0, ARG_NUMBER, &p->ops, &given->ops},
        {"rate", 0, ARG_NUMBER, &p->rate, &given->rate},
        {"wire", 0, ARG_FLAG, &p->wire, NULL},
        {"watchers", 0, ARG_NUMBER, &p->watchers, &given->watchers},
        {"sessions", 0, ARG_NUMBER, &p->sessions, &given->sessions},
        {"session-timeout", 0, ARG_DURATION, &p->session_timeout_ms, &given->session_timeout},
        {"sources", 0, ARG_NUMBER, &p->sources, &given->sources},
        {"seed", 0, ARG_NUMBER, &p->seed, &given->seed},
        {"series", 0, ARG_FLAG, &p->series, NULL},
        {"no-prepare", 0, ARG_FLAG, &p->no_prepare, NULL},
    };

    return args_parse(argc, argv, table, (int)(sizeof table / sizeof table[0]), false, 0, 0, &a);
}

int plan_parse(int argc, char **argv, struct plan *ret_plan)
{
    const char *value = "100";
    struct given given = {.op = false};
    struct plan p = {.op_text = "set",
                     .conns = 16,
                     .outstanding = 1,
                     .keys = 1000,
                     .keys_text = "uniform",
                     .secs = 10,
                     .warmup = 1,
                     .session_timeout_ms = 10000};
    int rc = parse_table(argc, argv, &p, &value, &given);

    p.mode = p.watchers > 0 ? PLAN_WATCH : p.sessions > 0 ? PLAN_IDLE : PLAN_LOAD;
    rc = rc != EXIT_DONE ? rc : parse_texts(&p, value);
    rc = rc != EXIT_DONE ? rc : check_ranges(&p, &given);
    rc = rc != EXIT_DONE ? rc : check_ways(&p);
    rc = rc != EXIT_DONE ? rc : check_useless(&p, &given);
    if (rc == EXIT_DONE) {
        *ret_plan = p;
    }
    return rc;
}
