/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_mutant.c: which known bug is switched on (server/mutant.h). Part of libcoord-server in VARIANT=mutants only,
 * so that every test program of that build can be told by its environment: SERVER_MUTANT=20.
 *
 * Thread: set once, before main.
 */
#include "server/mutant.h"

#include <stdio.h>
#include <stdlib.h>

int server__mutant;

__attribute__((constructor)) static void choose(void)
{
    const char *text = getenv("SERVER_MUTANT");
    char *end = NULL;
    if (text == NULL) {
        return;
    }
    long n = strtol(text, &end, 10);
    if (end == text || *end != '\0' || n < 0 || n > 999) {
        (void)fprintf(stderr, "SERVER_MUTANT=%s is no number of a mutant\n", text);
        _Exit(2);
    }
    server__mutant = (int)n;
}
