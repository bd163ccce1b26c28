/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_config.c: a program that keeps its configuration current.
 *
 *   watch_config SERVERS DIRECTORY [COUNT]
 *
 * Reads every node below DIRECTORY, then follows the changes: one line `NAME = VALUE` or `NAME removed` for each,
 * and ends after COUNT of them (default: never). No change is missed between the reading and the watching, since
 * the watch begins at the revision that was read; and when the servers cannot tell what was missed (a gap),
 * everything is read again. There is one code path for both.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <coord/coord.h>

struct config {
    const char *directory;
    unsigned long seen;
    bool read_again;
    bool failed;
};

static void apply(struct config *f, const char *name, const void *value, size_t bytes)
{
    printf("%s = %.*s\n", name, (int)bytes, bytes > 0 ? (const char *)value : "");
    fflush(stdout);
    f->seen++;
}

static void on_change(struct coord *c, const struct coord_watch_event *event, void *arg)
{
    struct config *f = arg;

    (void)c; /* main has it */
    if (event->state == COORD_WATCH_GAP) {
        f->read_again = true;
    } else if (event->state == COORD_WATCH_ENDED) {
        f->failed = event->error != 0 && event->error != COORD_ECANCELED;
    }
    for (size_t i = 0; i < event->changes_count; i++) {
        const struct coord_watch_change *change = &event->changes[i];
        const char *name = change->path + strlen(f->directory);
        if (name[0] == '\0') {
            continue; /* the directory itself */
        }
        if (change->kind == COORD_DELETED) {
            printf("%s removed\n", name + 1);
            fflush(stdout);
            f->seen++;
        } else {
            apply(f, name + 1, change->value, change->value_bytes);
        }
    }
}

/* Read all of it. Return: 0 or an error; *ret_revision is where watching has to begin. */
static int read_all(struct coord *c, struct config *f, uint64_t *ret_revision)
{
    struct coord_call call = {.flags = COORD_WITH_DATA};
    struct coord_reply *r = NULL;
    int rc = coord_list_sync(c, f->directory, &call, &r);

    for (size_t i = 0; rc == 0 && i < r->entries_count; i++) {
        apply(f, r->entries[i].name, r->entries[i].data, r->entries[i].data_bytes);
    }
    if (rc == 0) {
        *ret_revision = r->revision;
        f->read_again = false;
    }
    coord_reply_free(r);
    return rc;
}

static int follow(struct coord *c, struct config *f, unsigned long count)
{
    struct coord_watch_options o = {.depth = COORD_WATCH_CHILDREN, .with_value = true};
    int rc = read_all(c, f, &o.from_revision);

    if (rc == 0) {
        rc = coord_watch(c, f->directory, &o, on_change, f, NULL);
    }
    while (rc == 0 && !f->failed && (count == 0 || f->seen < count)) {
        struct pollfd fd = {.fd = coord_fd(c), .events = coord_events(c)};
        (void)poll(&fd, 1, coord_timeout_ms(c)); /* interrupted: nothing is ready */
        rc = coord_dispatch(c);
        if (rc == 0 && f->read_again) {
            uint64_t revision = 0; /* the watch goes on by itself */
            rc = read_all(c, f, &revision);
        }
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct config f = {.directory = argc > 2 ? argv[2] : ""};
    struct coord_options o;
    struct coord *c = NULL;
    char why[256] = "";

    if (argc < 3) {
        fprintf(stderr, "usage: watch_config SERVERS DIRECTORY [COUNT]\n");
        return 2;
    }
    coord_options_init(&o);
    o.servers = argv[1];
    o.name = "example-watch-config";
    if (coord_open(&o, &c, why, sizeof why) != 0) {
        fprintf(stderr, "watch_config: %s\n", why);
        return EXIT_FAILURE;
    }
    int rc = follow(c, &f, argc > 3 ? strtoul(argv[3], NULL, 10) : 0);
    if (rc != 0) {
        fprintf(stderr, "watch_config: %s: %s\n", argv[2], coord_strerror(rc));
    }
    bool failed = rc != 0 || f.failed; /* before the closing, which ends the watch as well */
    coord_close(c);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
