/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.c: the file of a script, and text that grows.
 *
 * A file is kept line by line, so that it can be written again with other output and nothing else
 * changed. Threads: none.
 */
#include "tests/script/script.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define INDENT "    "

void text_add(struct text *t, const char *format, ...)
{
    char one[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(one, sizeof(one), format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(one) ? (size_t)n : sizeof(one) - 1;
    if (t->len + len + 1 > t->room) {
        t->room = (t->len + len + 1) * 2;
        t->data = sim_realloc(t->data, t->room);
    }
    memcpy(t->data + t->len, one, len);
    t->len += len;
    t->data[t->len] = '\0';
}

void text_clear(struct text *t)
{
    t->len = 0;
    if (t->data != NULL) {
        t->data[0] = '\0';
    }
}

void text_free(struct text *t)
{
    free(t->data);
    *t = (struct text){0};
}

static char *copy_string(const char *s)
{
    size_t len = strlen(s) + 1;
    char *c = sim_alloc(len);
    memcpy(c, s, len);
    return c;
}

static struct line *add_line(struct script *s, const char *text, int number)
{
    s->lines = sim_realloc(s->lines, (s->count + 1) * sizeof(s->lines[0]));
    struct line *l = &s->lines[s->count++];
    *l = (struct line){.text = copy_string(text), .number = number};
    l->is_command = text[0] != '\0' && text[0] != '#' && text[0] != ' ';
    l->expected = l->is_command ? copy_string("") : NULL;
    return l;
}

/* One line of output joins the command above it. */
static int add_output(struct script *s, const char *text)
{
    struct line *l = s->count > 0 ? &s->lines[s->count - 1] : NULL;
    if (l == NULL || !l->is_command) {
        return -1;
    }
    struct text t = {0};
    text_add(&t, "%s%s\n", l->expected, text);
    free(l->expected);
    l->expected = copy_string(t.data);
    text_free(&t);
    return 0;
}

static void set_name(struct script *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *from = slash == NULL ? path : slash + 1;
    size_t len = strcspn(from, ".");
    len = len < sizeof(s->name) ? len : sizeof(s->name) - 1;
    memcpy(s->name, from, len);
    s->name[len] = '\0';
}

int script_load(struct script *s, const char *path)
{
    char buf[1024];
    *s = (struct script){.path = path};
    set_name(s, path);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        fprintf(stderr, "script: %s: %s\n", path, strerror(errno));
        return -1;
    }
    int result = 0;
    for (int number = 1; result == 0 && fgets(buf, sizeof(buf), f) != NULL; number++) {
        buf[strcspn(buf, "\n")] = '\0';
        if (strncmp(buf, INDENT, strlen(INDENT)) == 0) {
            result = add_output(s, buf + strlen(INDENT));
        } else {
            (void)add_line(s, buf, number);
        }
        if (result != 0) {
            fprintf(stderr, "script: %s:%d: output below no command\n", path, number);
        }
    }
    (void)fclose(f); /* read only */
    if (result != 0) {
        script_free(s);
    }
    return result;
}

void script_free(struct script *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->lines[i].text);
        free(s->lines[i].expected);
    }
    free(s->lines);
    *s = (struct script){0};
}
