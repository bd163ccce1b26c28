/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c: keep, hash and print the records of trace.h. Threads: none.
 */
#include "tests/service/trace.h"

#include <inttypes.h>
#include <string.h>
#include "tests/sim/rng.h"

static const struct {
    const char *name;
    const char *words[4];
} kinds[TR_END_OF_KINDS] = {
#define X(name, text, a, b, c, d) {text, {a, b, c, d}},
    SVC_TRACE(X)
#undef X
};

static void print_record(const struct trace_rec *rec, const char *words, FILE *to)
{
    (void)fprintf(to, "%6" PRIu64 ".%06" PRIu64 " %c%u %-9s", rec->at / 1000000000,
                  rec->at / 1000 % 1000000, rec->who, rec->which, kinds[rec->kind].name);
    for (int i = 0; i < 4 && kinds[rec->kind].words[i][0] != '\0'; i++) {
        (void)fprintf(to, " %s=%" PRId64, kinds[rec->kind].words[i], (int64_t)rec->v[i]);
    }
    (void)fprintf(to, "%s%s\n", words[0] != '\0' ? " " : "", words);
}

void trace_add(struct trace *t, const struct trace_rec *rec, const char *words)
{
    uint64_t h = rng_mix(t->hash ^ rec->at);
    struct trace_rec *kept = &t->ring[t->count++ % TRACE_KEPT];
    h = rng_mix(h ^ ((uint64_t)rec->kind << 16 | (uint64_t)(uint8_t)rec->who << 8 | rec->which));
    h = rng_mix(h ^ (rec->v[0] * 3 + rec->v[1] * 5 + rec->v[2] * 7 + rec->v[3] * 11));
    *kept = *rec;
    kept->words[0] = '\0';
    if (words != NULL) {
        size_t len = strlen(words);
        size_t cut = len < sizeof(kept->words) - 1 ? len : sizeof(kept->words) - 1;
        for (size_t i = 0; i < len; i++) {
            h = (h ^ (uint8_t)words[i]) * 0x100000001b3ull;
        }
        memcpy(kept->words, words, cut);
        kept->words[cut] = '\0';
    }
    t->hash = rng_mix(h);
    if (t->live != NULL) {
        print_record(kept, words != NULL ? words : "", t->live);
    }
}

void trace_dump(const struct trace *t, FILE *to, uint64_t n)
{
    uint64_t kept = t->count < TRACE_KEPT ? t->count : TRACE_KEPT;
    uint64_t from = t->count - (n < kept ? n : kept);
    for (uint64_t i = from; i < t->count; i++) {
        const struct trace_rec *rec = &t->ring[i % TRACE_KEPT];
        print_record(rec, rec->words, to);
    }
}
