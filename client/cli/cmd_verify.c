/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_verify.c: `verify`: reads recorded histories and tells whether what the clients were told is
 * consistent. Talks to no server.
 *
 * Leaves to others: the judgement and its words (client/verify).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/args.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"
#include "client/cli/json.h"
#include "client/verify/parse.h"
#include "client/verify/verify.h"

#define READ_BYTES (1u << 20)

/* All of a file; "-": standard input. Return: the bytes, for free(), or NULL with errno set. */
static char *read_all(const char *name, size_t *ret_bytes)
{
    FILE *f = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    char *text = NULL;
    size_t len = 0;
    size_t got = 1;

    while (f != NULL && got > 0) {
        char *more = realloc(text, len + READ_BYTES);
        if (more == NULL) {
            break;
        }
        text = more;
        got = fread(text + len, 1, READ_BYTES, f);
        len += got;
    }
    bool whole = f != NULL && got == 0 && !ferror(f);
    int error = errno;
    if (f != NULL && f != stdin) {
        (void)fclose(f); /* only read */
    }
    if (!whole) {
        free(text);
        errno = error;
        return NULL;
    }
    *ret_bytes = len;
    return text;
}

static int read_history(struct verify_history *h, char **files, int count)
{
    char why[256];

    for (int i = 0; i < count; i++) {
        size_t bytes = 0;
        char *text = read_all(files[i], &bytes);
        if (text == NULL) {
            fprintf(stderr, "coordctl verify: %s: %s\n", files[i], strerror(errno));
            return EXIT_USAGE;
        }
        int error = verify_parse(h, (uint32_t)i, text, bytes, why, sizeof why);
        free(text);
        if (error == COORD_EINVAL) {
            fprintf(stderr, "coordctl verify: %s: %s\n", files[i], why);
            return EXIT_USAGE;
        }
        if (error != 0) {
            fprintf(stderr, "coordctl verify: %s\n", coord_strerror(error));
            return EXIT_OTHER;
        }
    }
    return EXIT_DONE;
}

/* Was there anything to judge? A file that holds nothing, or a path that nobody used, shows nothing. */
static bool judged(const struct verify_report *r)
{
    return r->parts > 0 || r->verdict != VERIFY_OK;
}

static const char *verdict_name(const struct verify_report *r)
{
    static const char *const names[] = {"linearizable", "violation", "undecided"};
    return judged(r) ? names[r->verdict] : "nothing";
}

static void print_json(const struct verify_history *h, const struct verify_report *r,
                       const struct verify_text *words)
{
    struct json j = json_begin(stdout);

    json_text(&j, "verdict", verdict_name(r));
    json_number(&j, "operations", r->operations);
    json_number(&j, "unanswered", r->unanswered);
    json_number(&j, "clients", r->clients);
    json_number(&j, "parts", r->parts);
    json_number(&j, "watches", h->watches_count);
    json_number(&j, "events", h->events_count);
    json_number(&j, "undecided", r->undecided);
    json_number(&j, "states", r->states);
    json_number(&j, "forgotten", h->forgotten);
    if (r->verdict == VERIFY_VIOLATION) {
        json_text(&j, "object", r->object);
        json_number(&j, "counterexample", r->items_count);
        json_bytes(&j, "words", words->at, words->len);
    }
    json_end(&j);
}

static void print_table(const struct verify_history *h, const struct verify_report *r,
                        const struct verify_text *words)
{
    printf("%" PRIu32 " operations of %" PRIu32 " clients, %" PRIu32
           " writes without an answer; %" PRIu32 " object%s; %" PRIu32 " watch%s with %" PRIu32
           " event%s\n",
           r->operations, r->clients, r->unanswered, r->parts, r->parts == 1 ? "" : "s",
           h->watches_count, h->watches_count == 1 ? "" : "es", h->events_count,
           h->events_count == 1 ? "" : "s");
    if (h->forgotten > 0) {
        printf("%" PRIu32 " more were left out: a recording ended before them\n", h->forgotten);
    }
    if (!judged(r)) {
        return;
    }
    if (r->verdict == VERIFY_OK) {
        printf("linearizable\n");
    } else if (r->verdict == VERIFY_UNDECIDED) {
        printf("undecided: the search gave up on %" PRIu32 " of %" PRIu32
               " objects (more --budget may help); no violation was found\n",
               r->undecided, r->parts);
    } else {
        printf(
            "VIOLATION at %s: %s\n"
            "This holds if every client that writes there was recorded, and is among the files.\n",
            r->object, words->at != NULL ? words->at : "");
    }
}

static int judge(const struct cli *cli, struct verify_history *h, const struct verify_options *o,
                 uint64_t skew_ms)
{
    char why[256];
    struct verify_report r;
    struct verify_plan *plan = NULL;
    struct verify_text words = {0};

    if (verify_history_finish(h, skew_ms * 1000000, why, sizeof why) != 0) {
        fprintf(stderr, "coordctl verify: %s (--skew)\n", why);
        return EXIT_USAGE;
    }
    int error = verify_check(h, o, &r, &plan);
    if (error == COORD_EBADPATH) {
        return cli_usage("verify", "--path: '%s' is not a path", o->within);
    }
    if (error != 0) {
        fprintf(stderr, "coordctl verify: %s\n", coord_strerror(error));
        return EXIT_OTHER;
    }
    if (r.verdict == VERIFY_VIOLATION) {
        verify_explain(h, &r, &words);
    }
    if (cli->format == FORMAT_JSON) {
        print_json(h, &r, &words);
    } else {
        print_table(h, &r, &words);
    }
    static const int codes[] = {EXIT_DONE, EXIT_OTHER, EXIT_TIMED_OUT};
    int rc = codes[r.verdict];
    if (!judged(&r)) {
        fprintf(stderr, "coordctl verify: there was nothing to judge%s%s\n",
                o->within != NULL ? ": no operation at or below " : "",
                o->within != NULL ? o->within : "");
        rc = EXIT_USAGE;
    }
    verify_text_finish(&words);
    verify_report_finish(&r);
    verify_plan_destroy(plan);
    return rc;
}

int cmd_verify(struct cli *cli, int argc, char **argv)
{
    struct args a;
    struct verify_options o = {0};
    uint64_t skew_ms = 0;
    const struct arg table[] = {
        {"path", 0, ARG_TEXT, &o.within, NULL},
        {"empty", 0, ARG_FLAG, &o.empty, NULL},
        {"skew", 0, ARG_DURATION, &skew_ms, NULL},
        {"budget", 0, ARG_NUMBER, &o.budget, NULL},
    };
    int rc = args_parse(argc, argv, table, 4, false, 1, 4096, &a);

    if (rc != EXIT_DONE) {
        return rc;
    }
    struct verify_history *h = verify_history_create();
    if (h == NULL) {
        fprintf(stderr, "coordctl verify: %s\n", coord_strerror(COORD_ENOMEM));
        return EXIT_OTHER;
    }
    rc = read_history(h, a.values, a.count);
    rc = rc != EXIT_DONE ? rc : judge(cli, h, &o, skew_ms);
    verify_history_destroy(h);
    return rc;
}
