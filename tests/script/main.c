/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: the program `script`.
 *
 *   script FILE...               run scripts; each in a process of its own, so that an assertion in the
 *                                code under test ends only one
 *   script --rewrite FILE...     write what they print into the files, for a human to review
 *   script --meaning FILE...     only what scripts assert and the checkers find counts
 *   script --trace FILE          every record of the simulator
 *   script --sweep FILE...       a power cut at every disk operation (sweep.c), or every N-th
 *                                image of a disk after it: --stride N
 *   script --point M:OP:IMAGE FILE   one run of the sweep again, with its trace
 *
 * Exit: 0 all passed; 1 a script failed in its meaning; 2 arguments, or a script that makes no sense;
 * 3 only the output differs from the file.
 */
#include "tests/script/script.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum verdict { PASSED = 0, FAILED = 1, BAD = 2, DIFFERS = 3 };

struct options {
    int rewrite;
    int meaning;
    int trace;
    int sweep;
    int verbose;
    const char *point;
    struct sweep how;
};

/* ------------------------------------------------------------------------------------------- */

static void print_indented(FILE *to, const char *mark, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        fprintf(to, "%s%.*s\n", mark, (int)len, text);
        text += len + (text[len] == '\n');
    }
}

/* Note what a command printed. Return: 1 when it differs from the file. */
static int compare(struct run *r, struct line *l, int quiet)
{
    const char *got = r->out.data != NULL ? r->out.data : "";
    int differs = strcmp(got, l->expected) != 0;
    if (differs && !quiet) {
        fprintf(stderr, "%s:%d: %s\n", r->script->path, l->number, l->text);
        print_indented(stderr, "  - ", l->expected);
        print_indented(stderr, "  + ", got);
    }
    if (differs) {
        free(l->expected);
        l->expected = sim_alloc(strlen(got) + 1);
        memcpy(l->expected, got, strlen(got) + 1);
    }
    text_clear(&r->out);
    return differs;
}

static int write_script(const struct script *s)
{
    FILE *f = fopen(s->path, "we");
    if (f == NULL) {
        perror(s->path);
        return -1;
    }
    for (size_t i = 0; i < s->count; i++) {
        fprintf(f, "%s\n", s->lines[i].text);
        if (s->lines[i].is_command) {
            print_indented(f, "    ", s->lines[i].expected);
        }
    }
    if (fclose(f) != 0) {
        perror(s->path);
        return -1;
    }
    return 0;
}

static enum verdict run_script(const struct options *o, struct script *s)
{
    struct run r;
    int differs = 0;
    run_open(&r, s, RUN_CHECK);
    for (size_t i = 0; i < s->count && !run_over(&r); i++) {
        if (!s->lines[i].is_command) {
            continue;
        }
        run_command(&r, &s->lines[i]);
        differs += compare(&r, &s->lines[i], o->rewrite || o->meaning || differs >= 5);
        if (o->trace && r.w != NULL) {
            r.w->trace.live = stdout;
        }
        if (o->trace) {
            printf("--- %s\n", s->lines[i + 1 < s->count ? i + 1 : i].text);
        }
    }
    if (!run_over(&r)) {
        run_ending(&r);
    }
    if (run_over(&r)) {
        fprintf(stderr, "%s\n", r.why);
        if (r.w != NULL && (o->verbose || r.w->failed)) {
            trace_dump(&r.w->trace, stderr, 40);
        }
    }
    enum verdict v = r.bad                        ? BAD
                     : r.failed                   ? FAILED
                     : differs > 0 && !o->meaning ? DIFFERS
                                                  : PASSED;
    run_close(&r);
    if (o->rewrite && (v == DIFFERS || v == PASSED)) {
        v = differs > 0 && write_script(s) != 0 ? BAD : PASSED;
    }
    return v;
}

static enum verdict one_file(const struct options *o, const char *path)
{
    struct script s;
    if (script_load(&s, path) != 0) {
        return BAD;
    }
    enum verdict v =
        o->point != NULL ? (enum verdict)sweep_one(&s, o->point, stdout) : run_script(o, &s);
    script_free(&s);
    return v;
}

/* In a process of its own. */
static enum verdict apart(const struct options *o, const char *path)
{
    fflush(stdout);
    fflush(stderr);
    pid_t pid = fork();
    if (pid < 0) {
        perror("script: fork");
        return BAD;
    }
    if (pid == 0) {
        enum verdict v = one_file(o, path);
        fflush(stdout);
        _exit((int)v);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid) {
        perror("script: waitpid");
        return BAD;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) <= DIFFERS) {
        return (enum verdict)WEXITSTATUS(status);
    }
    fprintf(stderr, "%s: the process ended with status %x\n", path, (unsigned)status);
    return FAILED;
}

/* ------------------------------------------------------------------------------------------- */

static int run_all(const struct options *o, char **paths, int count)
{
    static const char *const words[] = {"passed", "FAILED", "makes no sense", "differs"};
    enum verdict worst = PASSED;
    int failed = 0;
    for (int i = 0; i < count; i++) {
        enum verdict v = apart(o, paths[i]);
        if (v != PASSED || o->verbose) {
            printf("script: %s %s\n", paths[i], words[v]);
        }
        failed += v != PASSED;
        worst = worst == FAILED || v == PASSED ? worst : v == FAILED || worst == PASSED ? v : worst;
    }
    if (worst == DIFFERS) {
        printf("script: only the output differs; is it right? then: script --rewrite FILE\n");
    }
    if (count > 1 || failed > 0) {
        printf("script: %d passed, %d not\n", count - failed, failed);
    }
    return (int)worst;
}

static uint64_t real_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int sweep_all(const struct options *o, char **paths, int count)
{
    struct sweep_result sum = {0};
    uint64_t began = real_ms();
    for (int i = 0; i < count; i++) {
        struct script s;
        if (script_load(&s, paths[i]) != 0) {
            return BAD;
        }
        uint64_t runs = sum.runs;
        int result = sweep_script(&o->how, &s, &sum);
        if (o->verbose) {
            printf("sweep: %s: %llu runs\n", s.name, (unsigned long long)(sum.runs - runs));
        }
        script_free(&s);
        if (result != 0) {
            return BAD;
        }
    }
    printf("sweep: %d scripts, %llu operations of members, %llu images of disks, %llu runs, power "
           "cut in "
           "%llu, %llu failed; %.1f s\n",
           count, (unsigned long long)sum.points, (unsigned long long)sum.images,
           (unsigned long long)sum.runs, (unsigned long long)sum.fell,
           (unsigned long long)sum.failed, (double)(real_ms() - began) / 1000.0);
    return sum.failed > 0 ? FAILED : PASSED;
}

static int usage(void)
{
    fprintf(stderr, "usage: script [--rewrite|--meaning|--trace|--verbose] FILE...\n"
                    "       script --sweep [--stride N] FILE...\n"
                    "       script --point MEMBER:OPERATION:IMAGE FILE\n");
    return BAD;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"rewrite", no_argument, NULL, 'r'},      {"meaning", no_argument, NULL, 'm'},
        {"trace", no_argument, NULL, 't'},        {"sweep", no_argument, NULL, 's'},
        {"stride", required_argument, NULL, 'n'}, {"point", required_argument, NULL, 'p'},
        {"verbose", no_argument, NULL, 'v'},      {NULL, 0, NULL, 0},
    };
    struct options o = {.how = {.program = argv[0], .stride = 1}};
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (opt) {
        case 'r':
            o.rewrite = 1;
            break;
        case 'm':
            o.meaning = 1;
            break;
        case 't':
            o.trace = 1;
            break;
        case 's':
            o.sweep = 1;
            break;
        case 'v':
            o.verbose = 1;
            break;
        case 'p':
            o.point = optarg;
            break;
        case 'n':
            if (!word_number(optarg, &o.how.stride) || o.how.stride == 0) {
                return usage();
            }
            break;
        default:
            return usage();
        }
    }
    if (optind >= argc) {
        return usage();
    }
    return o.sweep ? sweep_all(&o, argv + optind, argc - optind)
                   : run_all(&o, argv + optind, argc - optind);
}
