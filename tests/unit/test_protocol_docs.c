/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_protocol_docs.c: goal: docs/protocol.md says what the codec does, so that a client can be
 * written from the page alone. Method: the page is read from the tree (COORD_ROOT, else upwards from
 * the working directory or the program); its tables of operations, arrays and errors are compared
 * with the codec's rows, and its examples in bytes with what the encoder makes of the same values.
 */
#include <ctype.h>
#include <stdio.h>
#include <unistd.h>
#include "tests/unit/test_protocol_samples.h"

#define PAGE_BYTES_MAX (256 * 1024)
#define CELLS_MAX      6
#define CELL_BYTES     256

static char page[PAGE_BYTES_MAX];

static bool page_load(const char *dir)
{
    char name[4096];
    int n = snprintf(name, sizeof(name), "%s/docs/protocol.md", dir);
    if (n < 0 || (size_t)n >= sizeof(name)) {
        return false;
    }
    FILE *f = fopen(name, "re");
    if (f == NULL) {
        return false;
    }
    size_t len = fread(page, 1, sizeof(page) - 1, f);
    page[len] = '\0';
    (void)fclose(f); /* only read */
    return len > 0 && len < sizeof(page) - 1 && page[len - 1] == '\n';
}

/* Try a directory and those above it. */
static bool page_find(const char *from)
{
    char dir[2048];
    (void)snprintf(dir, sizeof(dir), "%s", from);
    while (!page_load(dir)) {
        char *slash = strrchr(dir, '/');
        if (slash == NULL || slash == dir) {
            return false;
        }
        *slash = '\0';
    }
    return true;
}

static void setup(void)
{
    char here[2048];
    const char *root = getenv("COORD_ROOT");
    if (root != NULL) {
        ck_assert_msg(page_load(root), "no docs/protocol.md in COORD_ROOT %s", root);
        return;
    }
    if (getcwd(here, sizeof(here)) != NULL && page_find(here)) {
        return;
    }
    ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);
    ck_assert_int_gt(n, 0);
    here[n] = '\0';
    ck_assert_msg(page_find(here), "docs/protocol.md is not to be found; set COORD_ROOT");
}

/* --- tables ------------------------------------------------------------------------------------ */

/* The text behind a line that is exactly `line`. */
static const char *after_line(const char *line)
{
    size_t len = strlen(line);
    for (const char *p = strstr(page, line); p != NULL; p = strstr(p + 1, line)) {
        if ((p == page || p[-1] == '\n') && p[len] == '\n') {
            return p + len + 1;
        }
    }
    ck_abort_msg("docs/protocol.md has no line '%s'", line);
    return NULL;
}

/* The text of a section: until the next heading of level 2 or 3. */
static const char *section_end(const char *from)
{
    const char *p = from;
    while (*p != '\0' && strncmp(p, "## ", 3) != 0 && strncmp(p, "### ", 4) != 0) {
        const char *newline = strchr(p, '\n');
        p = newline != NULL ? newline + 1 : p + strlen(p);
    }
    return p;
}

/* Split "| a | b | c |" into trimmed cells. Return: their number, 0 when the line is no row. */
static size_t row_split(const char *line, char cells[CELLS_MAX][CELL_BYTES])
{
    size_t count = 0;
    if (*line != '|') {
        return 0;
    }
    const char *p = line + 1;
    while (count < CELLS_MAX) {
        size_t len = strcspn(p, "|\n");
        if (p[len] != '|') {
            break;
        }
        const char *begin = p;
        const char *end = p + len;
        while (begin < end && *begin == ' ') {
            begin++;
        }
        while (end > begin && end[-1] == ' ') {
            end--;
        }
        ck_assert_int_lt(end - begin, CELL_BYTES);
        memcpy(cells[count], begin, (size_t)(end - begin));
        cells[count][end - begin] = '\0';
        count++;
        p += len + 1;
    }
    return count;
}

/* How the page writes the type of a row. */
static void type_text(const struct coord_field *f, char *out, size_t out_bytes)
{
    static const char *const names[] = {
        [COORD_FK_U64] = "u64",
        [COORD_FK_U32] = "u32",
        [COORD_FK_INT] = "i64",
        [COORD_FK_BOOL] = "bool",
        [COORD_FK_BITS] = "bits",
        [COORD_FK_BIT] = "one bit",
        [COORD_FK_STR] = "str",
        [COORD_FK_STR_OPT] = "str or nil",
        [COORD_FK_BIN_OPT] = "bin or nil",
        [COORD_FK_SECRET] = "bin(16) or nil",
        [COORD_FK_STRUCT] = "array",
        [COORD_FK_IDS] = "[u32]",
        [COORD_FK_MEMBERS] = "[member]",
        [COORD_FK_ENTRIES] = "[entry]",
        [COORD_FK_DELTA] = "int64",
        [COORD_FK_IFS] = "[condition]",
        [COORD_FK_TXN_OPS] = "[operation]",
        [COORD_FK_TXN_RESULTS] = "[result]",
        [COORD_FK_SESSIONS] = "[session]",
    };
    if (f->kind == COORD_FK_ENUM) {
        (void)snprintf(out, out_bytes, "0..%u", f->limit);
    } else {
        (void)snprintf(out, out_bytes, "%s", names[f->kind]);
    }
}

/* The table of a section whose first column is headed `head` against rows; no rows: no table. */
static void table_equals(const char *section, const char *head, const struct coord_field *fields,
                         const char *what)
{
    char cells[CELLS_MAX][CELL_BYTES];
    char type[64];
    const struct coord_field *f = fields;
    bool inside = false;
    const char *end = section_end(section);
    for (const char *line = section; line < end; line = strchr(line, '\n') + 1) {
        size_t count = row_split(line, cells);
        if (count == 0) {
            inside = false;
        } else if (strcmp(cells[0], head) == 0) {
            ck_assert_msg(f == fields && !inside, "%s: two tables '%s'", what, head);
            inside = true;
        } else if (inside && strncmp(cells[0], "---", 3) != 0) {
            ck_assert_msg(f->kind != COORD_FK_END, "%s: '%s' is too much", what, cells[0]);
            type_text(f, type, sizeof(type));
            ck_assert_msg(strcmp(cells[0], f->name) == 0, "%s: '%s' is '%s'", what, cells[0],
                          f->name);
            ck_assert_msg(count >= 3 && strcmp(cells[1], type) == 0, "%s: %s is %s, not %s", what,
                          f->name, type, cells[1]);
            f++;
        }
    }
    ck_assert_msg(f->kind == COORD_FK_END, "%s: %s '%s' is missing", what, head,
                  f->name != NULL ? f->name : "");
}

START_TEST(operations_are_documented)
{
    static const char *const kinds[] = {"", "connection", "write", "read", "member"};
    const struct coord_op_row *row = coord__op_row((uint64_t)_i);
    char line[128];
    (void)snprintf(line, sizeof(line), "### %d %s", _i, row->name);
    const char *section = after_line(line);
    (void)snprintf(line, sizeof(line), "\nKind: %s. Session: %s.\n", kinds[row->kind],
                   row->needs_session ? "needed" : "not needed");
    ck_assert_msg(strncmp(section, line, strlen(line)) == 0, "%s: expected%s", row->name, line);
    table_equals(section, "argument", row->args, row->name);
    table_equals(section, "result", row->results, row->name);
}
END_TEST

START_TEST(no_operation_is_invented)
{
    char line[64];
    (void)snprintf(line, sizeof(line), "\n### %d ", COORD_OP_END);
    ck_assert_ptr_null(strstr(page, line));
    ck_assert_ptr_null(strstr(page, "\n### 0 "));
}
END_TEST

static const struct coord_field *result_sub(enum coord_op op, const char *name)
{
    for (const struct coord_field *f = coord__op_row(op)->results; f->kind != COORD_FK_END; f++) {
        if (strcmp(f->name, name) == 0) {
            return f->sub;
        }
    }
    ck_abort_msg("no result %s", name);
    return NULL;
}

START_TEST(arrays_are_documented)
{
    const struct coord_field *status = result_sub(COORD_OP_STATUS, "status");
    const struct coord_field *members = status + coord__fields_count(status) - 1;
    table_equals(after_line("### array receipt"), "item", coord__receipt_fields, "receipt");
    table_equals(after_line("### array stat"), "item", coord__stat_fields, "stat");
    table_equals(after_line("### array limits"), "item", result_sub(COORD_OP_HELLO, "limits"),
                 "limits");
    table_equals(after_line("### array status"), "item", status, "status");
    ck_assert_int_eq(members->kind, COORD_FK_MEMBERS);
    table_equals(after_line("### array member"), "item", members->sub, "member");
    table_equals(after_line("### array change"), "item", coord__change_fields, "change");
    table_equals(after_line("### array detail"), "item", coord__error_fields, "detail");
    table_equals(after_line("### array condition"), "item", coord__if_fields, "condition");
    table_equals(after_line("### array session"), "item", coord__session_fields, "session");
    table_equals(after_line("### array usage"), "item", result_sub(COORD_OP_USAGE, "usage"),
                 "usage");
}
END_TEST

START_TEST(errors_are_documented)
{
    static const char *const classes[] = {"", "NOT_APPLIED", "FAILED", "UNKNOWN"};
    char line[256];
    uint32_t documented = 0;
    for (int number = 1; number < 64; number++) {
        if (strcmp(coord_errname(-number), "EUNKNOWN") == 0) {
            (void)snprintf(line, sizeof(line), "\n| %d | E", number);
            ck_assert_msg(strstr(page, line) == NULL, "error %d is invented", number);
            continue;
        }
        (void)snprintf(line, sizeof(line), "\n| %d | %s | %s | %s |\n", number,
                       coord_errname(-number), classes[coord_errclass(-number)],
                       coord_strerror(-number));
        ck_assert_msg(strstr(page, line) != NULL, "missing or different:%s", line);
        documented++;
    }
    ck_assert_uint_ge(documented, 22);
}
END_TEST

START_TEST(flags_are_documented)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } flags[] = {
        {COORD_F_EPHEMERAL, "EPHEMERAL"},
        {COORD_F_SEQUENTIAL, "SEQUENTIAL"},
        {COORD_F_PARENTS, "PARENTS"},
        {COORD_F_CONTAINER, "CONTAINER"},
        {COORD_F_TTL, "TTL"},
        {COORD_LIST_STATS, "STATS"},
        {COORD_LIST_DATA, "DATA"},
        {COORD_LIST_RECURSIVE, "RECURSIVE"},
        {COORD_LIST_COUNT, "COUNT"},
        {COORD_DELETE_RECURSIVE, "RECURSIVE"},
        {COORD_SESSIONS_ONE, "ONE"},
        {COORD_WATCH_VALUE, "VALUE"},
        {COORD_WATCH_PREVIOUS, "PREVIOUS"},
        {COORD_WATCH_ONCE, "ONCE"},
    };
    static const struct {
        uint32_t level;
        const char *name;
    } levels[] = {
        {COORD_LEVEL_LINEARIZABLE, "linearizable"},
        {COORD_LEVEL_SESSION, "session"},
        {COORD_LEVEL_BOUNDED, "bounded"},
        {COORD_LEVEL_LOCAL, "local"},
    };
    char line[64];
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        (void)snprintf(line, sizeof(line), "\n| %u | %s | ", flags[i].bit, flags[i].name);
        ck_assert_msg(strstr(page, line) != NULL, "missing:%s", line);
    }
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        (void)snprintf(line, sizeof(line), "\n| %u | %s | ", levels[i].level, levels[i].name);
        ck_assert_msg(strstr(page, line) != NULL, "missing:%s", line);
    }
}
END_TEST

/* --- examples in bytes ------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

/* The bytes of the block ```hex NAME; '#' begins a remark. Return: their number. */
static size_t example(const char *name, uint8_t *out, size_t out_max)
{
    char line[64];
    size_t len = 0;
    (void)snprintf(line, sizeof(line), "```hex %s", name);
    for (const char *p = after_line(line); strncmp(p, "```", 3) != 0;) {
        int high = hex_digit(*p);
        if (*p == '#') {
            p += strcspn(p, "\n");
        } else if (isspace((unsigned char)*p)) {
            p++;
        } else {
            int low = high >= 0 ? hex_digit(p[1]) : -1;
            ck_assert_msg(low >= 0, "%s: no hexadecimal at '%.10s'", name, p);
            ck_assert_uint_lt(len, out_max);
            out[len++] = (uint8_t)(high * 16 + low);
            p += 2;
        }
    }
    return len;
}

static struct coord_bytes text(const char *s)
{
    return (struct coord_bytes){(const uint8_t *)s, (uint32_t)strlen(s)};
}

/* The example is exactly what was encoded, and whole. Unrefs b. */
static void example_equals(const char *name, struct coord_buf *b)
{
    uint8_t bytes[512];
    size_t len = example(name, bytes, sizeof(bytes));
    ck_assert_msg(len == b->len, "%s: %zu bytes, encoded %u", name, len, b->len);
    for (size_t i = 0; i < len; i++) {
        ck_assert_msg(bytes[i] == b->data[i], "%s: byte %zu is %02x, encoded %02x", name, i,
                      bytes[i], b->data[i]);
    }
    ck_assert_int_eq(coord_frame_size(bytes, len, 4 << 20), (int64_t)len);
    coord_buf_unref(b);
}

static void request_equals(const char *name, const struct coord_request *q)
{
    struct coord_buf *b = NULL;
    struct coord_request got;
    char why[200] = "";
    ck_assert_int_eq(coord_request_encode(q, &b), 0);
    int r = coord_request_decode(b->data + 4, b->len - 4, &got, why, sizeof(why));
    ck_assert_msg(r == 0, "%s: %s", name, why);
    example_equals(name, b);
}

static void result_equals(const char *name, enum coord_op op, const struct coord_result *res)
{
    struct coord_buf *b = NULL;
    struct coord_result got;
    char why[200] = "";
    ck_assert_int_eq(coord_result_encode(op, res, &b), 0);
    int r = coord_result_decode(op, b->data + 4, b->len - 4, &got, why, sizeof(why));
    ck_assert_msg(r == 0, "%s: %s", name, why);
    example_equals(name, b);
}

static const struct coord_node_stat app_stat = {
    .create_revision = 42,
    .modify_revision = 42,
    .child_revision = 42,
    .created_ms = 1700000000000,
    .modified_ms = 1700000000000,
    .data_bytes = 2,
};

START_TEST(example_hello)
{
    struct coord_request q = {.number = 1, .op = COORD_OP_HELLO, .version = COORD_PROTOCOL_VERSION};
    q.client = text("demo/1.0");
    request_equals("hello-request", &q);
    struct coord_result res = {.number = 1, .version = COORD_PROTOCOL_VERSION, .member = 1};
    res.receipt = (struct coord_receipt){.member = 1, .role = 4, .term = 3, .revision = 41};
    res.cluster = text("demo");
    res.limits = (struct coord_limits){.frame_bytes = 4 << 20,
                                       .data_bytes = 1 << 20,
                                       .outstanding = 1024,
                                       .watches = 10000,
                                       .session_min_ms = 2000,
                                       .session_max_ms = 60000,
                                       .list_entries = 10000,
                                       .txn_operations = 1024,
                                       .subtree_nodes = 10000,
                                       .list_bytes = 3 << 20,
                                       .sessions = 200000,
                                       .answers = 4096,
                                       .answers_bytes = 8 << 20,
                                       .store_bytes = UINT64_C(2) << 30,
                                       .outstanding_bytes = 16 << 20,
                                       .connections = 10000,
                                       .connections_per_address = 10000,
                                       .output_bytes = 16 << 20,
                                       .watch_output_bytes = 8 << 20,
                                       .history_events = 65536,
                                       .history_bytes = 64 << 20};
    res.session_state = COORD_SESSION_NONE;
    result_equals("hello-reply", COORD_OP_HELLO, &res);
}
END_TEST

START_TEST(example_create)
{
    struct coord_request q = {.number = 2, .op = COORD_OP_CREATE, .acked = 1};
    q.path = text("/app");
    q.data = text("hi");
    request_equals("create-request", &q);
    struct coord_result res = {.number = 2, .stat = app_stat};
    res.receipt = (struct coord_receipt){.member = 1, .role = 4, .term = 3, .revision = 42};
    res.path = text("/app");
    result_equals("create-reply", COORD_OP_CREATE, &res);
}
END_TEST

START_TEST(example_get)
{
    struct coord_request q = {.number = 3, .op = COORD_OP_GET, .acked = 2};
    q.path = text("/app");
    q.level = COORD_LEVEL_LINEARIZABLE;
    request_equals("get-request", &q);
    struct coord_result res = {.number = 3, .stat = app_stat};
    res.receipt =
        (struct coord_receipt){.member = 1, .role = 4, .term = 3, .revision = 42, .age_ms = 1};
    res.data = text("hi");
    result_equals("get-reply", COORD_OP_GET, &res);
}
END_TEST

START_TEST(example_no_quorum)
{
    struct coord_result res = {.number = 4, .error = COORD_ENOQUORUM, .has_no_quorum = true};
    res.receipt =
        (struct coord_receipt){.member = 1, .role = 1, .term = 3, .revision = 42, .age_ms = 1500};
    res.text = text("no quorum: 1 of 3 members reachable, 2 needed");
    res.no_quorum.reachable_count = 1;
    res.no_quorum.reachable[0] = 1;
    res.no_quorum.needed = 2;
    res.no_quorum.since_ms = 1200;
    res.no_quorum.term = 3;
    res.no_quorum.levels = 1u << COORD_LEVEL_SESSION | 1u << COORD_LEVEL_LOCAL;
    result_equals("no-quorum-reply", COORD_OP_SET, &res);
}
END_TEST

START_TEST(example_last_word)
{
    struct coord_result res = {.number = 0, .error = COORD_EMOVED};
    res.receipt =
        (struct coord_receipt){.member = 1, .role = 1, .term = 3, .revision = 43, .age_ms = 7};
    res.text = text(coord_strerror(COORD_EMOVED));
    struct coord_buf *b = NULL;
    struct coord_result got;
    ck_assert_int_eq(coord_result_encode(COORD_OP_STATUS, &res, &b), 0);
    ck_assert(coord_last_word_is(b->data + 4, b->len - 4));
    ck_assert_int_eq(coord_last_word_decode(b->data + 4, b->len - 4, &got, NULL, 0), 0);
    ck_assert_int_eq(got.error, COORD_EMOVED);
    ck_assert_uint_eq(got.receipt.revision, 43);
    ck_assert_uint_eq(got.text.len, res.text.len);
    ck_assert_mem_eq(got.text.data, res.text.data, res.text.len);
    example_equals("last-word", b);
}
END_TEST

START_TEST(example_event)
{
    struct coord_change change = {.kind = COORD_CHANGE_CHANGED, .version = 1, .has_value = true};
    struct coord_event ev = {.watch = 7, .revision = 43, .state = COORD_EVENT_CHANGES};
    struct coord_event got;
    struct coord_buf *b = NULL;
    change.path = text("/app");
    change.create_revision = 42;
    change.value = text("ho");
    ev.changes = &change;
    ev.changes_count = 1;
    ck_assert_int_eq(coord_event_encode(&ev, &b), 0);
    ck_assert_int_eq(coord_event_decode(b->data + 4, b->len - 4, &got, NULL, 0), 0);
    example_equals("event", b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("protocol, docs");
    TCase *tables = tcase_create("tables");
    tcase_add_checked_fixture(tables, setup, NULL);
    tcase_add_loop_test(tables, operations_are_documented, 1, COORD_OP_END);
    tcase_add_test(tables, no_operation_is_invented);
    tcase_add_test(tables, arrays_are_documented);
    tcase_add_test(tables, errors_are_documented);
    tcase_add_test(tables, flags_are_documented);
    suite_add_tcase(suite, tables);
    TCase *examples = tcase_create("examples");
    tcase_add_checked_fixture(examples, setup, NULL);
    tcase_add_test(examples, example_hello);
    tcase_add_test(examples, example_create);
    tcase_add_test(examples, example_get);
    tcase_add_test(examples, example_no_quorum);
    tcase_add_test(examples, example_last_word);
    tcase_add_test(examples, example_event);
    suite_add_tcase(suite, examples);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
