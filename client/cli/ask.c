/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.c: see ask.h.
 */
#include <stdlib.h>
#include <string.h>
#include "client/cli/ask.h"
#include "client/cli/output.h"

bool ask_read(FILE *from, const char *name, char **ret_data, size_t *ret_bytes)
{
    size_t room = 65536, n = 0;
    char *data = malloc(room);

    while (data != NULL) {
        n += fread(data + n, 1, room - n, from);
        if (n < room) {
            break;
        }
        char *more = realloc(data, room * 2);
        if (more == NULL) {
            free(data);
        }
        data = more;
        room *= 2;
    }
    if (data == NULL || ferror(from)) {
        fprintf(stderr, "coordctl: %s could not be read\n", name);
        free(data);
        return false;
    }
    *ret_data = data;
    *ret_bytes = n;
    return true;
}

bool ask_data(const char *arg, const void **ret_data, size_t *ret_bytes, char **ret_owned)
{
    *ret_owned = NULL;
    if (arg != NULL && strcmp(arg, "-") == 0) {
        if (!ask_read(stdin, "standard input", ret_owned, ret_bytes)) {
            return false;
        }
        *ret_data = *ret_owned;
        return true;
    }
    *ret_data = arg;
    *ret_bytes = arg != NULL ? strlen(arg) : 0;
    return true;
}

int ask_finish(struct cli *cli, struct coord *c, const char *command, const char *path, int error,
               struct coord_reply *r, ask_show how)
{
    char what[COORD_PATH_MAX + 32];
    int rc = EXIT_DONE;

    if (error != 0) {
        (void)snprintf(what, sizeof what, "%s%s%s", command, path[0] != '\0' ? " " : "", path);
        rc = r == NULL && error == COORD_ENOQUORUM ? cli_fail_asking(cli, c, what, error)
                                                   : cli_fail_path(cli, what, path, error, r);
    } else if (how != NULL) {
        how(cli, r);
    }
    coord_reply_free(r);
    cli_close(c);
    return rc;
}

void ask_show_change(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format != FORMAT_JSON) {
        return;
    }
    struct json j = json_begin(stdout);
    json_text(&j, "path", r->path);
    json_number(&j, "revision", r->revision);
    if (r->count > 0) {
        json_number(&j, "count", r->count);
    }
    if (r->has_stat) {
        output_stat_json(&j, &r->stat);
    }
    output_receipt_json(&j, r);
    json_end(&j);
}

uint32_t ask_condition_flags(const struct ask_conditions *given)
{
    return (given->by_version ? COORD_IF_VERSION : 0u) |
           (given->by_revision ? COORD_IF_MODIFIED : 0u);
}
