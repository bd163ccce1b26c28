/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mix.c: see mix.h.
 */
#include <assert.h>
#include <string.h>
#include "client/bench/mix.h"
#include "client/cli/args.h"

#define WEIGHT_MAX 1000000u

static const struct bench_op_row rows[BENCH_OPS] = {
    [BENCH_SET] = {.name = "set", .first = ACTION_SET, .writes = true, .keys = true},
    [BENCH_CREATE] = {.name = "create", .first = ACTION_CREATE, .writes = true},
    [BENCH_SEQUENTIAL] = {.name = "sequential", .first = ACTION_CREATE_NEXT, .writes = true},
    [BENCH_DELETE] = {.name = "delete",
                      .first = ACTION_CREATE,
                      .second = ACTION_DELETE,
                      .counts_second = true,
                      .writes = true},
    [BENCH_GET] = {.name = "get", .first = ACTION_GET, .keys = true},
    [BENCH_EXISTS] = {.name = "exists", .first = ACTION_EXISTS, .keys = true},
    [BENCH_STAT] = {.name = "stat", .first = ACTION_STAT, .keys = true},
    [BENCH_LIST] = {.name = "list", .first = ACTION_LIST, .keys = true},
    [BENCH_USAGE] = {.name = "usage", .first = ACTION_USAGE, .keys = true},
    [BENCH_INCREMENT] = {.name = "increment", .first = ACTION_INCREMENT, .writes = true},
    [BENCH_TXN] = {.name = "txn", .first = ACTION_TXN, .writes = true, .keys = true},
    [BENCH_RENAME] = {.name = "rename", .first = ACTION_RENAME, .writes = true},
    [BENCH_SYNC] = {.name = "sync", .first = ACTION_SYNC},
    [BENCH_PING] = {.name = "ping", .first = ACTION_PING, .writes = true, .wire_only = true},
    [BENCH_LOCK] = {.name = "lock",
                    .first = ACTION_ACQUIRE,
                    .second = ACTION_RELEASE,
                    .writes = true,
                    .lib_only = true},
    [BENCH_SESSION] = {.name = "session", .first = ACTION_OPEN, .second = ACTION_CLOSE},
};

const struct bench_op_row *bench_op_row(enum bench_op op)
{
    assert(op < BENCH_OPS);
    return &rows[op];
}

/* One "name" or "name:weight", of n bytes. */
static bool parse_one(const char *text, size_t n, struct bench_mix *m)
{
    char word[32];
    uint64_t weight = 1;

    if (n == 0 || n >= sizeof word) {
        return false;
    }
    memcpy(word, text, n);
    word[n] = '\0';
    char *colon = strchr(word, ':');
    if (colon != NULL) {
        *colon = '\0';
        if (!args_number(colon + 1, &weight)) {
            return false;
        }
    }
    if (strcmp(word, "mixed") == 0 && colon != NULL && weight <= 100) {
        m->weights[BENCH_GET] += weight;
        m->weights[BENCH_SET] += 100 - weight;
        return true;
    }
    for (unsigned i = 0; i < BENCH_OPS; i++) {
        if (strcmp(word, rows[i].name) == 0 && weight >= 1 && weight <= WEIGHT_MAX) {
            m->weights[i] += weight;
            return true;
        }
    }
    return false;
}

bool mix_parse(const char *text, struct bench_mix *ret_mix, const char **ret_bad)
{
    struct bench_mix m = {.sum = 0};
    const char *at = text;

    for (;;) {
        size_t n = strcspn(at, ",");
        if (!parse_one(at, n, &m)) {
            *ret_bad = at;
            return false;
        }
        if (at[n] == '\0') {
            break;
        }
        at += n + 1;
    }
    for (unsigned i = 0; i < BENCH_OPS; i++) {
        m.sum += m.weights[i];
    }
    assert(m.sum > 0);
    *ret_mix = m;
    return true;
}

enum bench_op mix_pick(const struct bench_mix *m, struct pick *random)
{
    uint64_t n = m->weights[BENCH_SET] == m->sum ? 0 : pick_below(random, m->sum);
    unsigned op = 0;

    while (op + 1 < BENCH_OPS && n >= m->weights[op]) {
        n -= m->weights[op++];
    }
    return op;
}

unsigned mix_count(const struct bench_mix *m)
{
    unsigned count = 0;

    for (unsigned i = 0; i < BENCH_OPS; i++) {
        count += m->weights[i] > 0 ? 1 : 0;
    }
    return count;
}

bool mix_reads(const struct bench_mix *m)
{
    bool any = false;

    for (unsigned i = 0; i < BENCH_OPS; i++) {
        any = any || (m->weights[i] > 0 && rows[i].keys && !rows[i].writes);
    }
    return any;
}

bool mix_writes(const struct bench_mix *m)
{
    bool any = false;

    for (unsigned i = 0; i < BENCH_OPS; i++) {
        any = any || (m->weights[i] > 0 && rows[i].writes);
    }
    return any;
}

bool mix_keys(const struct bench_mix *m)
{
    bool any = false;

    for (unsigned i = 0; i < BENCH_OPS; i++) {
        any = any || (m->weights[i] > 0 && rows[i].keys);
    }
    return any;
}
