/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c: a main for a fuzzing target without libFuzzer: runs the files named, and those in the
 * folders named, through it. Any compiler, any variant.
 *
 *     replay FILE|FOLDER...      names the input before it is run; a finding ends the process
 *
 * Thread: one.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/fuzz/fuzz.h"

#define INPUT_BYTES_MAX (4u * 1024 * 1024)

static char running[PATH_MAX]; /* the input under way, for on_death */

/* The code under test stopped itself: say on which input. Async-signal-safe. */
static void on_death(int number)
{
    static const char text[] = "\nreplay: stopped by this input: ";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
    ignored += write(STDERR_FILENO, running, strlen(running));
    ignored += write(STDERR_FILENO, "\n", 1);
    (void)ignored; /* nothing else can be done about it */
    (void)raise(number);
}

static int run_file(const char *path)
{
    (void)snprintf(running, sizeof(running), "%s", path);
    FILE *f = fopen(path, "rbe");
    if (f == NULL) {
        (void)fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
        return -1;
    }
    uint8_t *all = malloc(INPUT_BYTES_MAX);
    FUZZ_CHECK(all != NULL, "memory");
    size_t len = fread(all, 1, INPUT_BYTES_MAX, f);
    (void)fclose(f); /* was only read */
    uint8_t *bytes = malloc(len + (len == 0));
    FUZZ_CHECK(bytes != NULL, "memory");
    memcpy(bytes, all, len);
    free(all);
    (void)LLVMFuzzerTestOneInput(bytes, len);
    free(bytes);
    return 0;
}

/* Return: how many inputs were run, or -1. */
static int run_folder(const char *path)
{
    struct dirent **names;
    int failed = 0;
    int ran = 0;
    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0) {
        (void)fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char file[PATH_MAX];
        struct stat st;
        (void)snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
        if (stat(file, &st) == 0 && S_ISREG(st.st_mode)) {
            failed |= run_file(file);
            ran++;
        }
        free(names[i]);
    }
    free(names);
    return failed == 0 ? ran : -1;
}

int main(int argc, char **argv)
{
    static const int deaths[] = {SIGABRT, SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP};
    struct sigaction act = {.sa_handler = on_death, .sa_flags = (int)SA_RESETHAND};
    int ran = 0;
    for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
        (void)sigaction(deaths[i], &act, NULL); /* without it only the name is missing */
    }
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            int n = run_folder(argv[i]);
            ran = n < 0 || ran < 0 ? -1 : ran + n;
        } else {
            ran = run_file(argv[i]) != 0 || ran < 0 ? -1 : ran + 1;
        }
    }
    if (ran <= 0) {
        (void)fprintf(stderr, "replay: %s\n", ran == 0 ? "no input was given" : "failed");
        return EXIT_FAILURE;
    }
    (void)printf("replay: %s: %d inputs\n", argv[argc - 1], ran);
    return EXIT_SUCCESS;
}
