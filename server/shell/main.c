/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: coordd's command line: which configuration to run, or only to check. Everything else is
 * loop.c's. Exit codes: 0 an orderly end, 1 refused or failed, 2 a command line that makes no sense.
 */
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "server/shell/conf.h"
#include "server/shell/conf_rules.h"
#include "server/shell/conf_value.h"
#include "server/shell/log.h"
#include "server/shell/loop.h"

#define MAIN_DEV_PORT 7410

static const char usage[] =
    "usage: coordd -c FILE                 run the member that FILE describes\n"
    "       coordd --check -c FILE         say whether FILE is right, and what it means\n"
    "       coordd --dev [--data-dir DIR]  run a single member on 127.0.0.1, for trying out\n"
    "\n"
    "  -c, --config FILE   YAML configuration; conf/ has commented examples\n"
    "      --check         only check the configuration\n"
    "      --dev           no file needed; without --data-dir the data is gone at the end\n"
    "      --data-dir DIR  with --dev: keep the data in DIR\n"
    "      --port N        with --dev: listen for clients on port N instead of 7410\n"
    "      --lab           with --dev: allow demonstrations that cut links between members\n"
    "      --help          this text\n"
    "      --version       the version\n";

struct arguments {
    const char *file;
    const char *data_dir;
    const char *port;
    bool check;
    bool dev;
    bool lab;
};

enum {
    OPTION_CHECK = 256,
    OPTION_DEV,
    OPTION_DATA_DIR,
    OPTION_PORT,
    OPTION_LAB,
    OPTION_HELP,
    OPTION_VERSION
};

__attribute__((format(printf, 1, 2))) static int usage_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("coordd: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "\n%s", usage);
    va_end(args);
    return 2;
}

/* Read the command line. Return: -1 to go on, or the exit code. */
static int arguments_read(int argc, char **argv, struct arguments *ret_a)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, OPTION_CHECK},
                                            {"dev", no_argument, NULL, OPTION_DEV},
                                            {"data-dir", required_argument, NULL, OPTION_DATA_DIR},
                                            {"port", required_argument, NULL, OPTION_PORT},
                                            {"lab", no_argument, NULL, OPTION_LAB},
                                            {"help", no_argument, NULL, OPTION_HELP},
                                            {"version", no_argument, NULL, OPTION_VERSION},
                                            {NULL, 0, NULL, 0}};
    for (;;) {
        int option = getopt_long(argc, argv, "c:h", options, NULL);
        switch (option) {
        case -1:
            return optind < argc ? usage_fail("unexpected argument '%s'", argv[optind]) : -1;
        case 'c':
            ret_a->file = optarg;
            break;
        case OPTION_CHECK:
            ret_a->check = true;
            break;
        case OPTION_DEV:
            ret_a->dev = true;
            break;
        case OPTION_DATA_DIR:
            ret_a->data_dir = optarg;
            break;
        case OPTION_PORT:
            ret_a->port = optarg;
            break;
        case OPTION_LAB:
            ret_a->lab = true;
            break;
        case 'h':
        case OPTION_HELP:
            (void)fputs(usage, stdout);
            return 0;
        case OPTION_VERSION:
            (void)printf("coordd %s\n", COORD_VERSION);
            return 0;
        default:
            (void)fputs(usage, stderr); /* getopt has said what is wrong */
            return 2;
        }
    }
}

/* --- --check ----------------------------------------------------------------------------------- */

static void summary_print(const char *file, const struct conf *c)
{
    char address[CONF_HOST_BYTES_MAX + 16];
    char heartbeat[32];
    char election[32];
    char low[32];
    char high[32];
    conf_value_format_duration(c->heartbeat_ns, heartbeat, sizeof(heartbeat));
    conf_value_format_duration(c->election_ns, election, sizeof(election));
    conf_value_format_duration(c->session_min_ns, low, sizeof(low));
    conf_value_format_duration(c->session_max_ns, high, sizeof(high));
    conf_address_format(&conf_self(c)->client, address, sizeof(address));
    (void)printf("%s: ok\n", file);
    (void)printf("  member %u of %u in cluster %s, clients at %s\n", (unsigned)c->id,
                 (unsigned)c->members_count, c->cluster, address);
    (void)printf("  survives the loss of %u of its members\n",
                 (unsigned)(c->members_count - 1) / 2);
    (void)printf("  data in %s, snapshot every %" PRIu64 " entries, %" PRIu64 " kept\n",
                 c->data_dir, c->snapshot_entries, c->snapshot_keep);
    (void)printf("  heartbeat %s, election %s, sessions %s to %s\n", heartbeat, election, low,
                 high);
    conf_rules_print(c, stdout);
    if (c->members_count % 2 == 0) {
        (void)printf("  note: %u members survive no more losses than %u would\n",
                     (unsigned)c->members_count, (unsigned)c->members_count - 1);
    }
    if (c->insecure) {
        (void)printf("  note: insecure: reachable from other machines without encryption\n");
    }
    if (c->lab) {
        (void)printf("  note: lab: clients may cut links between members\n");
    }
}

static int conf_run(const struct arguments *a)
{
    static struct conf c;
    static char err[CONF_ERROR_BYTES_MAX];
    if (conf_load(a->file, &c, err) < 0) {
        (void)fprintf(stderr, "%s\n", err);
        return 1;
    }
    if (a->check) {
        summary_print(a->file, &c);
        return 0;
    }
    log_init(STDERR_FILENO, c.log_level, c.log_format, c.id);
    return loop_main(&c, a->file, NULL);
}

/* --- --dev ------------------------------------------------------------------------------------- */

static int file_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void dev_started(const struct conf *c)
{
    char address[CONF_HOST_BYTES_MAX + 16];
    conf_address_format(&conf_self(c)->client, address, sizeof(address));
    log_write(CONF_LOG_INFO, "ready: coordctl -s %s status", address);
}

static int dev_run(const struct arguments *a)
{
    static struct conf c;
    char why[CONF_WHY_BYTES];
    char temporary[CONF_PATH_BYTES_MAX];
    uint64_t port = MAIN_DEV_PORT;
    if (a->port != NULL &&
        (conf_value_number(a->port, &port, why) < 0 || port == 0 || port > 65535)) {
        return usage_fail("--port: '%s' is not a number from 1 to 65535", a->port);
    }
    const char *dir = a->data_dir;
    if (dir == NULL) {
        const char *parent = getenv("TMPDIR");
        int n = snprintf(temporary, sizeof(temporary), "%s/coord-dev-XXXXXX",
                         parent != NULL && parent[0] != '\0' ? parent : "/tmp");
        if (n >= (int)sizeof(temporary) || mkdtemp(temporary) == NULL) {
            (void)fprintf(stderr, "coordd: cannot make a temporary directory: %s\n",
                          strerror(errno));
            return 1;
        }
        dir = temporary;
    } else if (dir[0] == '\0' || strlen(dir) >= CONF_PATH_BYTES_MAX) {
        return usage_fail("--data-dir wants a path");
    }
    conf_dev((uint16_t)port, dir, &c);
    c.lab = a->lab;
    log_init(STDERR_FILENO, c.log_level, c.log_format, c.id);
    if (a->data_dir == NULL) {
        log_write(CONF_LOG_INFO, "development mode: one member, data in %s until the end", dir);
    } else {
        log_write(CONF_LOG_INFO, "development mode: one member, data kept in %s", dir);
    }
    int code = loop_main(&c, NULL, dev_started);
    if (a->data_dir == NULL && nftw(temporary, file_remove, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        log_write(CONF_LOG_WARN, "cannot remove %s: %s", temporary, strerror(errno));
    }
    return code;
}

int main(int argc, char **argv)
{
    struct arguments a = {.file = NULL};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int code = arguments_read(argc, argv, &a);
    if (code >= 0) {
        return code;
    }
    if (a.dev == (a.file != NULL)) {
        return usage_fail(a.dev ? "--dev and -c exclude each other"
                                : "either -c FILE or --dev is needed");
    }
    if (!a.dev && (a.data_dir != NULL || a.port != NULL || a.lab)) {
        return usage_fail("--data-dir, --port and --lab belong to --dev");
    }
    if (a.dev && a.check) {
        return usage_fail("--check needs a file");
    }
    (void)umask(077);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    return a.dev ? dev_run(&a) : conf_run(&a);
}
