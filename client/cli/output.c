/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.c: see output.h; also errors and exit codes (cli.h).
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "client/cli/output.h"

const char *output_kind(enum coord_stat_kind kind)
{
    switch (kind) {
    case COORD_STAT_PERSISTENT:
        return "persistent";
    case COORD_STAT_EPHEMERAL:
        return "ephemeral";
    case COORD_STAT_CONTAINER:
        return "container";
    case COORD_STAT_TTL:
        return "ttl";
    }
    return "unknown";
}

const char *output_age(uint64_t ms, char *buf, size_t n)
{
    if (ms < 1000) {
        (void)snprintf(buf, n, "%" PRIu64 " ms", ms);
    } else {
        (void)snprintf(buf, n, "%" PRIu64 ".%" PRIu64 " s", ms / 1000, ms % 1000 / 100);
    }
    return buf;
}

const char *output_time(uint64_t ms, char *buf, size_t n)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[32] = "";

    if (gmtime_r(&seconds, &tm) != NULL) {
        (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    }
    (void)snprintf(buf, n, "%s.%03u UTC", text, (unsigned)(ms % 1000));
    return buf;
}

void output_value(const struct cli *cli, const void *data, size_t bytes)
{
    const char *text = data;

    (void)fwrite(bytes > 0 ? data : "", 1, bytes, stdout); /* main checks stdout at the end */
    if (cli->format != FORMAT_RAW && (bytes == 0 || text[bytes - 1] != '\n')) {
        putchar('\n');
    }
}

void output_stat_json(struct json *j, const struct coord_stat *s)
{
    json_number(j, "create_revision", s->create_revision);
    json_number(j, "modify_revision", s->modify_revision);
    json_number(j, "child_revision", s->child_revision);
    json_number(j, "version", s->version);
    json_number(j, "child_version", s->child_version);
    json_number(j, "acl_version", s->acl_version);
    json_number(j, "created_ms", s->created_ms);
    json_number(j, "modified_ms", s->modified_ms);
    json_text(j, "kind", output_kind(s->kind));
    json_number(j, "owner", s->owner);
    json_number(j, "ttl_ms", s->ttl_ms);
    json_number(j, "data_bytes", s->data_bytes);
    json_number(j, "children", s->children);
}

void output_receipt_json(struct json *j, const struct coord_reply *r)
{
    if (!r->has_receipt) {
        return;
    }
    json_open(j, "receipt");
    json_number(j, "member", r->receipt.member);
    json_text(j, "role", coord_role_name(r->receipt.role));
    json_number(j, "term", r->receipt.term);
    json_number(j, "revision", r->receipt.revision);
    if (r->receipt.age_ms != COORD_AGE_UNKNOWN) {
        json_number(j, "age_ms", r->receipt.age_ms);
    } else {
        json_bytes(j, "age_ms", NULL, 0);
    }
    json_text(j, "level", coord_consistency_name(r->receipt.level));
    json_close(j);
}

void output_stat_table(const struct coord_stat *s)
{
    char when[48];

    printf("kind             %s\n", output_kind(s->kind));
    printf("version          %" PRIu64 "\n", s->version);
    printf("data bytes       %" PRIu64 "\n", s->data_bytes);
    printf("children         %" PRIu64 "\n", s->children);
    printf("created          %s, revision %" PRIu64 "\n",
           output_time(s->created_ms, when, sizeof when), s->create_revision);
    printf("modified         %s, revision %" PRIu64 "\n",
           output_time(s->modified_ms, when, sizeof when), s->modify_revision);
    printf("child revision   %" PRIu64 "\n", s->child_revision);
    printf("child version    %" PRIu64 "\n", s->child_version);
    if (s->owner != 0) {
        printf("owner session    %" PRIu64 "\n", s->owner);
    }
    if (s->ttl_ms != 0) {
        printf("ttl              %" PRIu64 " ms\n", s->ttl_ms);
    }
}

void output_receipt_note(const struct cli *cli, const struct coord_reply *r)
{
    char age[32];

    if (cli->format != FORMAT_TABLE || !r->has_receipt || r->receipt.level == COORD_LINEARIZABLE ||
        r->receipt.level == COORD_DEFAULT) {
        return;
    }
    fprintf(stderr, "(%s read: member %" PRIu32 ", %s in term %" PRIu64 ", at revision %" PRIu64,
            coord_consistency_name(r->receipt.level), r->receipt.member,
            coord_role_name(r->receipt.role), r->receipt.term, r->receipt.revision);
    if (r->receipt.age_ms == COORD_AGE_UNKNOWN) {
        fputs(", of unknown age)\n", stderr);
    } else {
        fprintf(stderr, ", current at most %s ago)\n",
                output_age(r->receipt.age_ms, age, sizeof age));
    }
}

/* --- errors ------------------------------------------------------------------------------------ */

int cli_exit_code(int error)
{
    switch (error) {
    case COORD_OK:
        return EXIT_DONE;
    case COORD_ENONODE:
    case COORD_EGONE:
        return EXIT_NO_NODE;
    case COORD_ECONDITION:
    case COORD_EEXISTS:
    case COORD_ENOTEMPTY:
    case COORD_ENOTNUMBER:
        return EXIT_CONDITION;
    case COORD_ENOQUORUM:
    case COORD_EINDOUBT:
    case COORD_ETOOSTALE:
    case COORD_ECONNECT:
    case COORD_ESHUTDOWN:
        return EXIT_NO_QUORUM;
    case COORD_ETIMEOUT:
    case COORD_EAGAIN:
        return EXIT_TIMED_OUT;
    case COORD_EDENIED:
    case COORD_EAUTH:
    case COORD_ERESERVED:
    case COORD_EQUOTA:
    case COORD_ESTOREFULL:
        return EXIT_DENIED;
    case COORD_ELOST:
    case COORD_EEXPIRED:
        return EXIT_LOST;
    case COORD_EBADPATH:
    case COORD_EINSIDE:
    case COORD_EINVAL:
        return EXIT_USAGE;
    default:
        return EXIT_OTHER;
    }
}

static const enum coord_consistency all_levels[] = {COORD_LINEARIZABLE, COORD_SESSION,
                                                    COORD_BOUNDED, COORD_LOCAL};
#define LEVELS_COUNT (sizeof all_levels / sizeof all_levels[0])

/* Which members are reachable, how many are needed, since when, and what still works. */
static void quorum_table(const struct coord_quorum_detail *q)
{
    char age[32];
    bool first = true;

    fputs("  reachable: ", stderr);
    for (uint32_t i = 0; i < q->reachable_count; i++) {
        fprintf(stderr, "%s%" PRIu32, i > 0 ? ", " : "", q->reachable[i]);
    }
    fprintf(stderr, " (%" PRIu32 " of the %" PRIu32 " needed), for %s, in term %" PRIu64 "\n",
            q->reachable_count, q->needed, output_age(q->since_ms, age, sizeof age), q->term);
    fputs("  still served here: ", stderr);
    for (size_t i = 0; i < LEVELS_COUNT; i++) {
        if ((q->levels & (1u << all_levels[i])) != 0) {
            fprintf(stderr, "%s--consistency %s", first ? "" : ", ",
                    coord_consistency_name(all_levels[i]));
            first = false;
        }
    }
    fputs(first ? "nothing\n" : "\n", stderr);
}

static void quorum_json(struct json *j, const struct coord_quorum_detail *q)
{
    const char *levels[LEVELS_COUNT];
    size_t count = 0;

    json_numbers(j, "reachable", q->reachable, q->reachable_count);
    json_number(j, "needed", q->needed);
    json_number(j, "since_ms", q->since_ms);
    json_number(j, "term", q->term);
    for (size_t i = 0; i < LEVELS_COUNT; i++) {
        if ((q->levels & (1u << all_levels[i])) != 0) {
            levels[count++] = coord_consistency_name(all_levels[i]);
        }
    }
    json_texts(j, "levels", levels, count);
}

static const char *class_name(int error)
{
    switch (coord_errclass(error)) {
    case COORD_NOT_APPLIED:
        return "NOT_APPLIED";
    case COORD_FAILED:
        return "FAILED";
    default:
        return "UNKNOWN";
    }
}

int cli_fail(const struct cli *cli, const char *what, int error, const struct coord_reply *reply)
{
    const char *text = reply != NULL ? reply->text : NULL;

    if (text == NULL || text[0] == '\0') {
        text = coord_strerror(error);
    }
    (void)fflush(stdout); /* so that the two streams read in order; main checks it again */
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stderr);
        json_text(&j, "error", coord_errname(error));
        json_text(&j, "class", class_name(error));
        json_text(&j, "what", what);
        json_text(&j, "text", text);
        if (reply != NULL && reply->no_quorum != NULL) {
            quorum_json(&j, reply->no_quorum);
        }
        json_end(&j);
        return cli_exit_code(error);
    }
    fprintf(stderr, "coordctl: %s: %s\n", what, text);
    if (reply != NULL && reply->no_quorum != NULL) {
        quorum_table(reply->no_quorum);
    }
    if (error == COORD_EQUOTA) {
        fputs("  all quotas: coordctl ls /coord/quotas; one and its use: coordctl quota PATH\n",
              stderr);
    } else if (error == COORD_ELIMIT) {
        fputs("  what they are: coordctl limits\n", stderr);
    }
    if (reply != NULL && reply->outcome == COORD_OUTCOME_UNKNOWN) {
        fputs("  whether it took effect is not known\n", stderr);
    }
    return cli_exit_code(error);
}

const char *cli_path_problem(const char *path)
{
    size_t n = strlen(path);

    if (path[0] != '/') {
        return "a path begins with '/'";
    }
    if (n > COORD_PATH_MAX) {
        return "a path has at most 1024 bytes";
    }
    if (n > 1 && path[n - 1] == '/') {
        return "a path does not end with '/'";
    }
    for (const char *part = path + 1; n > 1; part++) {
        size_t bytes = strcspn(part, "/");
        if (bytes == 0) {
            return "nothing stands between two '/'";
        }
        if (bytes <= 2 && strspn(part, ".") >= bytes) {
            return "'.' and '..' are no names";
        }
        if (bytes > 255) {
            return "a name has at most 255 bytes";
        }
        part += bytes;
        if (*part == '\0') {
            break;
        }
    }
    return NULL;
}

int cli_fail_path(const struct cli *cli, const char *what, const char *path, int error,
                  const struct coord_reply *reply)
{
    struct coord_reply said = {.text = NULL};
    const char *problem = cli_path_problem(path);
    char text[128];

    if (error != COORD_EBADPATH || (reply != NULL && reply->text != NULL)) {
        return cli_fail(cli, what, error, reply);
    }
    (void)snprintf(text, sizeof text, "%s: %s", coord_strerror(error),
                   problem != NULL ? problem : "a path is UTF-8 without control characters");
    said.text = text;
    return cli_fail(cli, what, error, &said);
}

int cli_fail_asking(const struct cli *cli, struct coord *c, const char *what, int error)
{
    struct coord_reply *r = NULL;
    struct coord_call brief = cli->call;

    if (error == COORD_ENOQUORUM && coord_sync_sync(c, &brief, &r) != COORD_ENOQUORUM) {
        coord_reply_free(r); /* it came back meanwhile: nothing to add */
        r = NULL;
    }
    int rc = cli_fail(cli, what, error, r);
    coord_reply_free(r);
    return rc;
}

int cli_open(struct cli *cli, struct coord **ret_c)
{
    char why[256] = "";
    int rc = coord_open(&cli->options, ret_c, why, sizeof why);

    if (rc == 0) {
        return EXIT_DONE;
    }
    if (strncmp(why, "servers: ", 9) == 0) {
        fprintf(stderr, "coordctl: %s: %s\n", cli->servers_from, why + 9);
    } else if (strncmp(why, "prefix: ", 8) == 0) {
        fprintf(stderr, "coordctl: %s: '%s': %s\n", cli->prefix_from, cli->options.prefix, why + 8);
    } else {
        fprintf(stderr, "coordctl: %s\n", why[0] != '\0' ? why : coord_strerror(rc));
    }
    return rc == COORD_EINVAL || rc == COORD_EBADPATH ? EXIT_USAGE : EXIT_OTHER;
}

void cli_close(struct coord *c)
{
    struct coord_call brief = {.timeout_ms = 1000, .fail_fast = true};

    if (coord_session_id(c) != 0 && coord_session_close_sync(c, &brief) != 0) {
        fputs("coordctl: the session could not be ended; it ends by its timeout\n", stderr);
    }
    coord_close(c);
}
