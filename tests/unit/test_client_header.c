/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the public headers of the client stand alone, as C99 and as C++, and the shared library
 * exports exactly the functions they declare.
 * Method: the compilers of this machine look at each header by itself; the names declared in the
 * headers are compared with client/libcoord.map, and with the library's symbols when it was built.
 */
#include <check.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX  256
#define NAME_BYTES 64

static const char *const headers[] = {"coord",   "error",   "handle", "recipes", "reply",
                                      "request", "session", "txn",    "watch"};
#define HEADERS (sizeof(headers) / sizeof(headers[0]))

struct names {
    char name[NAMES_MAX][NAME_BYTES];
    size_t count;
};

static char root[2048];
static char text[1 << 20];

static bool load(const char *file)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", root, file);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return false;
    }
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    text[len] = 0;
    (void)fclose(f); /* only read */
    return len > 0 && len < sizeof(text) - 1;
}

/* The tree this test was built in: above the program or the working directory. */
static void setup(void)
{
    ssize_t n = readlink("/proc/self/exe", root, sizeof(root) - 1);
    ck_assert_int_gt(n, 0);
    root[n] = 0;
    while (!load("include/coord/coord.h")) {
        char *slash = strrchr(root, '/');
        if (slash == NULL || slash == root) {
            ck_assert_ptr_nonnull(getcwd(root, sizeof(root)));
            ck_assert(load("include/coord/coord.h"));
            return;
        }
        *slash = 0;
    }
}

static void add(struct names *n, const char *name, size_t len)
{
    for (size_t i = 0; i < n->count; i++) {
        if (strlen(n->name[i]) == len && strncmp(n->name[i], name, len) == 0) {
            return;
        }
    }
    ck_assert_uint_lt(n->count, NAMES_MAX);
    ck_assert_uint_lt(len, NAME_BYTES);
    memcpy(n->name[n->count], name, len);
    n->name[n->count++][len] = 0;
}

static bool has(const struct names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++) {
        if (strcmp(n->name[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void blank_comments(void)
{
    char *at = text;
    while ((at = strstr(at, "/*")) != NULL) {
        char *end = strstr(at, "*/");
        ck_assert_ptr_nonnull(end);
        memset(at, ' ', (size_t)(end + 2 - at));
    }
}

/* Words coord_... that `follow` follows. Types of callbacks stand in parentheses and so do not. */
static void collect(struct names *n, char follow)
{
    for (const char *at = text; (at = strstr(at, "coord_")) != NULL;) {
        size_t len = 0;
        while (islower((unsigned char)at[len]) || isdigit((unsigned char)at[len]) ||
               at[len] == '_') {
            len++;
        }
        bool begins = at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_');
        if (begins && at[len] == follow) {
            add(n, at, len);
        }
        at += len;
    }
}

static void declared(struct names *n)
{
    n->count = 0;
    for (size_t i = 0; i < HEADERS; i++) {
        char file[64];
        (void)snprintf(file, sizeof(file), "include/coord/%s.h", headers[i]);
        ck_assert(load(file));
        blank_comments();
        collect(n, '(');
    }
}

START_TEST(the_map_lists_what_the_headers_declare)
{
    static struct names in_headers;
    static struct names in_map;
    declared(&in_headers);
    ck_assert(load("client/libcoord.map"));
    blank_comments();
    collect(&in_map, ';');
    ck_assert_uint_gt(in_headers.count, 70);
    for (size_t i = 0; i < in_headers.count; i++) {
        ck_assert_msg(has(&in_map, in_headers.name[i]), "%s is not in libcoord.map",
                      in_headers.name[i]);
    }
    for (size_t i = 0; i < in_map.count; i++) {
        ck_assert_msg(has(&in_headers, in_map.name[i]), "%s is in no header", in_map.name[i]);
    }
}
END_TEST

/* Return: false when there is no such program. */
static bool have(const char *program)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", program);
    return system(command) == 0; /* NOLINT: a fixed name */
}

START_TEST(headers_stand_alone)
{
    static const char *const compilers[] = {"gcc", "clang", "g++", "clang++"};
    static const char *const languages[] = {"-x c -std=c99", "-x c -std=c99", "-x c++ -std=c++11",
                                            "-x c++ -std=c++11"};
    size_t which = (size_t)_i / HEADERS;
    char command[8192];
    if (!have(compilers[which])) {
        return; /* the others look all the same */
    }
    (void)snprintf(command, sizeof(command),
                   "echo '#include <coord/%s.h>' | %s %s -Wall -Wextra -Wpedantic -Wconversion "
                   "-Werror -fsyntax-only -I'%s/include' -",
                   headers[(size_t)_i % HEADERS], compilers[which], languages[which], root);
    ck_assert_msg(system(command) == 0, "%s", command); /* NOLINT: nothing from outside */
}
END_TEST

START_TEST(the_library_exports_nothing_else)
{
    static struct names in_headers;
    char command[8192];
    char line[512];
    char path[4096];
    size_t exported = 0;
    declared(&in_headers);
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
    ck_assert_int_gt(n, 0);
    path[n] = 0;
    for (int i = 0; i < 2 && strrchr(path, '/') != NULL; i++) {
        *strrchr(path, '/') = 0;
    }
    size_t len = strlen(path);
    (void)snprintf(path + len, sizeof(path) - len, "/libcoord.so");
    if (access(path, R_OK) != 0 || !have("nm")) {
        return; /* not built with these tests */
    }
    (void)snprintf(command, sizeof(command), "nm -D --defined-only '%s'", path);
    FILE *f = popen(command, "re"); /* NOLINT: nothing from outside */
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        const char *name = strrchr(line, ' ') + 1;
        line[strcspn(line, "\n")] = 0;
        ck_assert_msg(has(&in_headers, name), "%s is exported", name);
        exported++;
    }
    ck_assert_int_eq(pclose(f), 0);
    ck_assert_uint_eq(exported, in_headers.count);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_header");
    TCase *t = tcase_create("headers");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, the_map_lists_what_the_headers_declare);
    tcase_add_loop_test(t, headers_stand_alone, 0, 4 * (int)HEADERS);
    tcase_add_test(t, the_library_exports_nothing_else);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
