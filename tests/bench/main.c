/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: options of the load generators, and the order of things: connect, prepare, run, leave.
 *
 * WIREload --help tells the options (usage, below).
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "tests/bench/load.h"

enum option_id {
    OPT_SERVERS = 1,
    OPT_OP,
    OPT_LEVEL,
    OPT_CONNS,
    OPT_OUTSTANDING,
    OPT_VALUE,
    OPT_KEYS,
    OPT_SECS,
    OPT_WARMUP,
    OPT_OPS,
    OPT_PREFIX,
    OPT_PIDS,
    OPT_WATCHERS,
    OPT_ROUNDS,
    OPT_KILL,
    OPT_LIMIT_MS,
    OPT_READ,
};

static const char usage[] =
    "load --servers HOST:PORT,... --op OP [OPTION...]\n"
    "  --op set|create|get|mixed:PERCENT of get; fill: create, blindly where a system can\n"
    "       fanout     when the last of --watchers N is told, --rounds N times\n"
    "       attempt    how long until one request succeeds, each given up after --limit-ms N;\n"
    "                  --kill PID first; --read: a get instead of a set\n"
    "  --level linearizable|local   of reads (local)\n"
    "  --conns N --outstanding N    connections (1), requests under way on each (1)\n"
    "  --value BYTES --keys N       of each value (100), nodes used; --prefix TEXT of created "
    "ones\n"
    "  --secs S --warmup S --ops N  measured time, the same before, or so many operations\n"
    "  --pids PID,...               the servers, whose CPU is told\n"
    "One line of KEY=VALUE on stdout; exit code 0 when every operation that counted succeeded.\n";

static int bad(const char *name, const char *text)
{
    fprintf(stderr, "%s: --%s: '%s' is not understood (--help tells the options)\n",
            load_wire.system, name, text);
    return -1;
}

static int parse_number(const char *name, const char *text, uint64_t min, uint64_t max,
                        uint64_t *ret_v)
{
    char *end;

    errno = 0;
    uint64_t v = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || v < min || v > max) {
        return bad(name, text);
    }
    *ret_v = v;
    return 0;
}

static int parse_seconds(const char *name, const char *text, double *ret_v)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end != '\0' || !(v >= 0 && v <= 86400)) {
        return bad(name, text);
    }
    *ret_v = v;
    return 0;
}

static int parse_servers(struct options *o, const char *text)
{
    char *end = NULL;

    for (const char *at = text; *at != '\0';) {
        size_t len = strcspn(at, ",");
        const char *colon = memchr(at, ':', len);
        size_t i = o->servers_count;
        unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
        if (colon == NULL || port < 1 || port > 65535 || end != at + len || i == LOAD_SERVERS_MAX ||
            (size_t)(colon - at) >= sizeof o->servers[i].host) {
            return bad("servers", text);
        }
        (void)snprintf(o->servers[i].host, sizeof o->servers[i].host, "%.*s", (int)(colon - at),
                       at);
        o->servers[i].port = (uint16_t)port;
        o->servers_count++;
        at += len + (at[len] == ',' ? 1 : 0);
    }
    return 0;
}

static int parse_pids(struct options *o, const char *text)
{
    for (const char *at = text; *at != '\0';) {
        char *end = NULL;
        unsigned long pid = strtoul(at, &end, 10);
        if (o->pids_count == LOAD_SERVERS_MAX || pid < 1 || pid > INT32_MAX ||
            (*end != ',' && *end != '\0')) {
            return bad("pids", text);
        }
        o->pids[o->pids_count++] = (uint32_t)pid;
        at = end + (*end == ',' ? 1 : 0);
    }
    return 0;
}

static int parse_op(struct options *o, const char *text)
{
    static const struct {
        const char *name;
        enum load_op op;
    } table[] = {{"set", LOAD_SET}, {"create", LOAD_CREATE}, {"fill", LOAD_CREATE},
                 {"get", LOAD_GET}, {"fanout", LOAD_FANOUT}, {"attempt", LOAD_ATTEMPT}};

    o->op_text = text;
    o->blind = strcmp(text, "fill") == 0;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(text, table[i].name) == 0) {
            o->op = table[i].op;
            return 0;
        }
    }
    o->op = LOAD_MIXED;
    return strncmp(text, "mixed:", 6) == 0 ? parse_number("op", text + 6, 0, 100, &o->read_percent)
                                           : bad("op", text);
}

static int parse_level(struct options *o, const char *text)
{
    o->linearizable = strcmp(text, "linearizable") == 0;
    return o->linearizable || strcmp(text, "local") == 0 ? 0 : bad("level", text);
}

static int parse_one(struct options *o, int id, const char *text)
{
    switch (id) {
    case OPT_SERVERS:
        return parse_servers(o, text);
    case OPT_OP:
        return parse_op(o, text);
    case OPT_LEVEL:
        return parse_level(o, text);
    case OPT_CONNS:
        return parse_number("conns", text, 1, 20000, &o->conns);
    case OPT_OUTSTANDING:
        return parse_number("outstanding", text, 1, 1024, &o->outstanding);
    case OPT_VALUE:
        return parse_number("value", text, 0, LOAD_VALUE_MAX, &o->value_bytes);
    case OPT_KEYS:
        return parse_number("keys", text, 1, 10000000, &o->keys);
    case OPT_SECS:
        return parse_seconds("secs", text, &o->secs);
    case OPT_WARMUP:
        return parse_seconds("warmup", text, &o->warmup);
    case OPT_OPS:
        return parse_number("ops", text, 1, UINT64_MAX, &o->ops);
    case OPT_PREFIX:
        o->prefix = text;
        return strlen(text) <= 16 ? 0 : bad("prefix", text);
    case OPT_PIDS:
        return parse_pids(o, text);
    case OPT_WATCHERS:
        return parse_number("watchers", text, 1, 100000, &o->watchers);
    case OPT_ROUNDS:
        return parse_number("rounds", text, 1, 100000, &o->rounds);
    case OPT_KILL:
        return parse_number("kill", text, 2, INT32_MAX, &o->kill_pid);
    case OPT_LIMIT_MS:
        return parse_number("limit-ms", text, 1, 60000, &o->limit_ms);
    case OPT_READ:
        o->keys = 0; /* of an attempt: it reads */
        return 0;
    default:
        return -1; /* getopt_long has said what it does not know */
    }
}

static int parse(struct options *o, int argc, char **argv)
{
    static const struct option table[] = {
        {"servers", required_argument, NULL, OPT_SERVERS},
        {"op", required_argument, NULL, OPT_OP},
        {"level", required_argument, NULL, OPT_LEVEL},
        {"conns", required_argument, NULL, OPT_CONNS},
        {"outstanding", required_argument, NULL, OPT_OUTSTANDING},
        {"value", required_argument, NULL, OPT_VALUE},
        {"keys", required_argument, NULL, OPT_KEYS},
        {"secs", required_argument, NULL, OPT_SECS},
        {"warmup", required_argument, NULL, OPT_WARMUP},
        {"ops", required_argument, NULL, OPT_OPS},
        {"prefix", required_argument, NULL, OPT_PREFIX},
        {"pids", required_argument, NULL, OPT_PIDS},
        {"watchers", required_argument, NULL, OPT_WATCHERS},
        {"rounds", required_argument, NULL, OPT_ROUNDS},
        {"kill", required_argument, NULL, OPT_KILL},
        {"limit-ms", required_argument, NULL, OPT_LIMIT_MS},
        {"read", no_argument, NULL, OPT_READ},
        {0},
    };

    for (int id = getopt_long(argc, argv, "", table, NULL); id != -1;
         id = getopt_long(argc, argv, "", table, NULL)) {
        if (parse_one(o, id, optarg) != 0) {
            return -1;
        }
    }
    if (optind != argc) {
        fprintf(stderr, "%s: unexpected argument '%s' (--help tells the options)\n",
                load_wire.system, argv[optind]);
        return -1;
    }
    if (o->servers_count == 0) {
        return bad("servers", "");
    }
    if (o->op == LOAD_FANOUT &&
        (load_wire.watch_once ? o->watchers != o->conns : o->watchers % o->conns != 0)) {
        fprintf(stderr, "%s: %s\n", load_wire.system,
                load_wire.watch_once ? "one watcher a connection"
                                     : "--watchers is no multiple of --conns");
        return -1;
    }
    return 0;
}

/* Two files a connection are more than enough; the usual soft limit is not. */
static void raise_file_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r); /* connections beyond it fail, and say so */
    }
}

static int run_op(struct load *ld)
{
    const struct options *o = &ld->o;

    if (o->op == LOAD_ATTEMPT) {
        return run_attempt(ld);
    }
    if (load_open_all(ld) != 0 || run_prepare(ld, o->op == LOAD_CREATE ? 0 : o->keys) != 0) {
        return -1;
    }
    return o->op == LOAD_FANOUT ? run_fanout(ld) : run_closed(ld);
}

int main(int argc, char **argv)
{
    struct load *ld = NULL;
    int rc = -1;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("%s%s", load_wire.system, usage);
        return 0;
    }
    ld = calloc(1, sizeof *ld);
    if (ld == NULL) {
        return 1;
    }
    ld->epoll = -1;
    ld->o = (struct options){.op_text = "set",
                             .conns = 1,
                             .outstanding = 1,
                             .value_bytes = 100,
                             .keys = 1000,
                             .secs = 5,
                             .warmup = 0.5,
                             .watchers = 1,
                             .rounds = 20,
                             .limit_ms = 200,
                             .prefix = "c"};
    raise_file_limit();
    if (parse(&ld->o, argc, argv) == 0) {
        const struct options *o = &ld->o;
        bool fan = o->op == LOAD_FANOUT;
        /* A spare lane writes for the watchers; preparing and watching have shots of their own. */
        size_t shots = o->conns * o->outstanding + (fan ? o->watchers : 0) + 64;
        rc = load_init(ld, o->conns + (fan ? 1 : 0), shots);
        rc = rc == 0 ? run_op(ld) : rc;
        if (ld->lanes != NULL) {
            load_close_all(ld);
        }
    }
    load_finish(ld);
    free(ld);
    return rc == 0 ? 0 : 1;
}
