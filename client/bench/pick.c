/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pick.c: see pick.h. The generator is xorshift64* (Marsaglia 2003, Vigna 2016).
 */
#include <assert.h>
#include <math.h>
#include <string.h>
#include "client/bench/pick.h"
#include "client/cli/args.h"

#define ZIPF_DEFAULT 99u
#define HOT_DEFAULT  90u

bool pick_parse(const char *text, enum pick_kind *ret_kind, uint64_t *ret_param)
{
    static const struct {
        const char *name;
        enum pick_kind kind;
        uint64_t param, max; /* max 0: it takes none */
    } table[] = {{"uniform", PICK_UNIFORM, 0, 0},
                 {"seq", PICK_SEQUENTIAL, 0, 0},
                 {"zipf", PICK_ZIPF, ZIPF_DEFAULT, 99},
                 {"hot", PICK_HOT, HOT_DEFAULT, 100}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        size_t n = strlen(table[i].name);
        uint64_t param = table[i].param;
        if (strncmp(text, table[i].name, n) != 0) {
            continue;
        }
        if (text[n] == ':' && table[i].max > 0 &&
            (!args_number(text + n + 1, &param) || param < 1 || param > table[i].max)) {
            return false;
        }
        if (text[n] == '\0' || (text[n] == ':' && table[i].max > 0)) {
            *ret_kind = table[i].kind;
            *ret_param = param;
            return true;
        }
    }
    return false;
}

static uint64_t next_random(struct pick *p)
{
    p->random ^= p->random >> 12;
    p->random ^= p->random << 25;
    p->random ^= p->random >> 27;
    return p->random * 2685821657736338717ull;
}

/* 0 <= x < 1 */
static double next_real(struct pick *p)
{
    return (double)(next_random(p) >> 11) * 0x1.0p-53;
}

static void zipf_init(struct pick *p)
{
    double theta = (double)p->param / 100;
    double zeta2 = 1 + pow(0.5, theta);

    p->zeta = 0;
    for (uint64_t i = 1; i <= p->keys; i++) {
        p->zeta += pow(1.0 / (double)i, theta);
    }
    p->alpha = 1 / (1 - theta);
    p->second = zeta2;
    p->eta = (1 - pow(2.0 / (double)p->keys, 1 - theta)) / (1 - zeta2 / p->zeta);
}

void pick_init(struct pick *p, enum pick_kind kind, uint64_t param, uint64_t keys, uint64_t seed)
{
    assert(keys >= 1);
    *p = (struct pick){.kind = kind, .param = param, .keys = keys, .random = seed | 1};
    for (int i = 0; i < 8; i++) {
        (void)next_random(p); /* a small seed takes some rounds to fill the state */
    }
    if (kind == PICK_ZIPF && keys > 2) {
        zipf_init(p);
    }
}

static uint64_t zipf_key(struct pick *p)
{
    if (p->keys <= 2) { /* too few for the approximation: 1 : 2^-theta */
        double first = 1 / (1 + pow(0.5, (double)p->param / 100));
        return p->keys == 1 || next_real(p) < first ? 0 : 1;
    }
    double u = next_real(p);
    double uz = u * p->zeta;
    if (uz < 1) {
        return 0;
    }
    if (uz < p->second) {
        return 1;
    }
    uint64_t key = (uint64_t)((double)p->keys * pow(p->eta * u - p->eta + 1, p->alpha));
    return key < p->keys ? key : p->keys - 1;
}

uint64_t pick_key(struct pick *p)
{
    switch (p->kind) {
    case PICK_UNIFORM:
        break;
    case PICK_SEQUENTIAL:
        return p->next++ % p->keys;
    case PICK_ZIPF:
        return zipf_key(p);
    case PICK_HOT:
        if (p->keys == 1 || pick_below(p, 100) < p->param) {
            return 0;
        }
        return 1 + pick_below(p, p->keys - 1);
    }
    return pick_below(p, p->keys);
}

uint64_t pick_below(struct pick *p, uint64_t n)
{
    assert(n >= 1);
    return next_random(p) % n;
}

uint64_t pick_between(struct pick *p, uint64_t min, uint64_t max)
{
    assert(min <= max);
    return min == max ? min : min + pick_below(p, max - min + 1);
}
