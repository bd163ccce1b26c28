/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c: see table.h.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/bench/table.h"

/* The order of the columns; ours first. */
static const char *const systems[TABLE_SYSTEMS] = {"coord", "zookeeper", "etcd"};

static const struct {
    const char *name, *title;
    enum table_better better;
    int decimals;
    bool worst; /* print the greatest beside the median */
} measures[] = {
    {"ops_s", "operations/s", TABLE_MORE, 0, false},
    {"p50_us", "p50, us", TABLE_LESS, 0, false},
    {"p99_us", "p99, us", TABLE_LESS, 0, false},
    {"max_us", "worst, us", TABLE_LESS, 0, false},
    {"server_cpu_100k", "server CPU, s per 100,000", TABLE_LESS, 2, false},
    {"first_ms", "ms", TABLE_LESS, 0, true},
    {"rss_mb", "MB of each member", TABLE_LESS, 1, false},
    {"disk_mb", "MB on disk, each member", TABLE_LESS, 0, false},
};

/* --- names ------------------------------------------------------------------------------------- */

/* The index of a name, which is added when it is new. Return: -1 when there is no room. */
static int name_index(char (*names)[TABLE_NAME_BYTES], size_t *count, size_t max, const char *name,
                      size_t len)
{
    for (size_t i = 0; i < *count; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
            return (int)i;
        }
    }
    if (*count == max || len == 0 || len >= TABLE_NAME_BYTES) {
        return -1;
    }
    memcpy(names[*count], name, len);
    names[*count][len] = '\0';
    return (int)(*count)++;
}

static int system_index(const char *name, size_t len)
{
    for (int i = 0; i < TABLE_SYSTEMS; i++) {
        if (strlen(systems[i]) == len && memcmp(systems[i], name, len) == 0) {
            return i;
        }
    }
    return -1;
}

static int measure_index(struct table *t, const char *name, size_t len)
{
    return name_index(t->measures, &t->measures_count, TABLE_MEASURES_MAX, name, len);
}

/* The value of a key in a line, up to the next space. Return: NULL when it is not there. */
static const char *find(const char *line, const char *key, size_t *ret_len)
{
    size_t key_len = strlen(key);

    for (const char *at = line; *at != '\0';) {
        size_t len = strcspn(at, " \n");
        if (len > key_len && memcmp(at, key, key_len) == 0 && at[key_len] == '=') {
            *ret_len = len - key_len - 1;
            return at + key_len + 1;
        }
        at += len;
        at += strspn(at, " \n");
    }
    return NULL;
}

/* --- taking in --------------------------------------------------------------------------------- */

static int add_sample(struct table *t, int cell, int system, int measure, double value)
{
    if (t->samples_count == t->samples_cap) {
        size_t cap = t->samples_cap > 0 ? 2 * t->samples_cap : 256;
        struct table_sample *more = realloc(t->samples, cap * sizeof *more);
        if (more == NULL) {
            return -1;
        }
        t->samples = more;
        t->samples_cap = cap;
    }
    t->samples[t->samples_count++] = (struct table_sample){.cell = (uint16_t)cell,
                                                           .system = (uint16_t)system,
                                                           .measure = (uint16_t)measure,
                                                           .value = value};
    return 0;
}

static int add_shown(struct table *t, int cell, const char *list, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t n = strcspn(list + at, ", \n");
        n = n < len - at ? n : len - at;
        int m = measure_index(t, list + at, n);
        if (m < 0) {
            return -1;
        }
        t->shown[cell][m] = true;
        at += n + 1;
    }
    return 0;
}

/* KEY=NUMBER as a sample; other words are settings and pass by. */
static int add_word(struct table *t, int cell, int system, const char *word, size_t len)
{
    const char *equals = memchr(word, '=', len);

    if (equals == NULL || equals == word) {
        return 0;
    }
    char *end;
    double value = strtod(equals + 1, &end);
    if (end == equals + 1 || end != word + len) {
        return 0;
    }
    int m = measure_index(t, word, (size_t)(equals - word));
    return m < 0 ? -1 : add_sample(t, cell, system, m, value);
}

int table_add(struct table *t, const char *line)
{
    size_t cell_len = 0, system_len = 0, show_len = 0;
    const char *cell_name = find(line, "cell", &cell_len);
    const char *system_name = find(line, "system", &system_len);
    const char *show = find(line, "show", &show_len);

    if (cell_name == NULL || system_name == NULL) {
        return -1;
    }
    int system = system_index(system_name, system_len);
    if (system < 0) {
        return -1;
    }
    int cell = name_index(t->cells, &t->cells_count, TABLE_CELLS_MAX, cell_name, cell_len);
    if (cell < 0 || (show != NULL && add_shown(t, cell, show, show_len) != 0)) {
        return -1;
    }
    for (const char *at = line; *at != '\0';) {
        size_t len = strcspn(at, " \n");
        if (add_word(t, cell, system, at, len) != 0) {
            return -1;
        }
        at += len;
        at += strspn(at, " \n");
    }
    return 0;
}

void table_clear(struct table *t)
{
    free(t->samples);
    *t = (struct table){0};
}

/* --- sums -------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

double table_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double table_ratio(double ours, double theirs, enum table_better better)
{
    double above = better == TABLE_MORE ? ours : theirs;
    double below = better == TABLE_MORE ? theirs : ours;

    return above > 0 && below > 0 ? above / below : 0;
}

/* The samples of one measure, sorted. Return: how many; *ret_values is the caller's to free, NULL if none. */
static size_t collect(const struct table *t, size_t cell, size_t system, size_t measure,
                      double **ret_values)
{
    double *values = malloc((t->samples_count + 1) * sizeof *values);
    size_t n = 0;

    for (size_t i = 0; values != NULL && i < t->samples_count; i++) {
        const struct table_sample *s = &t->samples[i];
        if (s->cell == cell && s->system == system && s->measure == measure) {
            values[n++] = s->value;
        }
    }
    *ret_values = values;
    return n;
}

static bool summary_of(const struct table *t, size_t cell, size_t system, size_t measure,
                       bool worst, double *ret_value)
{
    double *values;
    size_t n = collect(t, cell, system, measure, &values);

    if (n > 0) {
        double median = table_median(values, n);
        *ret_value = worst ? values[n - 1] : median;
    }
    free(values);
    return n > 0;
}

static bool median_of(const struct table *t, size_t cell, size_t system, size_t measure,
                      double *ret_median)
{
    return summary_of(t, cell, system, measure, false, ret_median);
}

bool table_value(const struct table *t, const char *cell, const char *system, const char *measure,
                 double *ret_median)
{
    int s = system_index(system, strlen(system));

    for (size_t c = 0; s >= 0 && c < t->cells_count; c++) {
        for (size_t m = 0; strcmp(t->cells[c], cell) == 0 && m < t->measures_count; m++) {
            if (strcmp(t->measures[m], measure) == 0) {
                return median_of(t, c, (size_t)s, m, ret_median);
            }
        }
    }
    return false;
}

/* --- printing ---------------------------------------------------------------------------------- */

/* With commas between the thousands of whole numbers. */
static void print_number(FILE *out, double v, int decimals)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%.*f", decimals, v);
    int whole = decimals > 0 ? n - decimals - 1 : n;

    for (int i = 0; i < n; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0) {
            (void)fputc(',', out);
        }
        (void)fputc(text[i], out);
    }
}

static void print_cell_name(FILE *out, const char *name)
{
    for (; *name != '\0'; name++) {
        (void)fputc(*name == '_' ? ' ' : *name, out);
    }
}

static void print_ratio(FILE *out, const double *value, const bool *known, int other,
                        enum table_better better)
{
    double r = known[0] && known[other] ? table_ratio(value[0], value[other], better) : 0;

    if (r > 0) {
        fprintf(out, " %.*f |", r < 10 ? 1 : 0, r);
    } else {
        fprintf(out, " |");
    }
}

/* k: of measures[], m: of the table. */
static void print_row(const struct table *t, FILE *out, size_t cell, size_t k, size_t m, bool worst)
{
    double value[TABLE_SYSTEMS] = {0};
    bool known[TABLE_SYSTEMS];

    fprintf(out, "| ");
    print_cell_name(out, t->cells[cell]);
    fprintf(out, " | %s%s |", measures[k].title, worst ? ", worst" : "");
    for (int s = 0; s < TABLE_SYSTEMS; s++) {
        known[s] = summary_of(t, cell, (size_t)s, m, worst, &value[s]);
        if (known[s]) {
            fprintf(out, " ");
            print_number(out, value[s], measures[k].decimals);
        }
        fprintf(out, " |");
    }
    for (int s = 1; s < TABLE_SYSTEMS; s++) {
        print_ratio(out, value, known, s, measures[k].better);
    }
    fprintf(out, "\n");
}

/* Has any system more than one sample? */
static bool repeated(const struct table *t, size_t cell, size_t measure)
{
    for (size_t s = 0; s < TABLE_SYSTEMS; s++) {
        double *values;
        size_t n = collect(t, cell, s, measure, &values);
        free(values);
        if (n > 1) {
            return true;
        }
    }
    return false;
}

/* The rows of one cell for measure k. */
static void print_rows(const struct table *t, FILE *out, size_t c, size_t k)
{
    for (size_t m = 0; m < t->measures_count; m++) {
        if (t->shown[c][m] && strcmp(t->measures[m], measures[k].name) == 0) {
            print_row(t, out, c, k, m, false);
            if (measures[k].worst && repeated(t, c, m)) {
                print_row(t, out, c, k, m, true);
            }
        }
    }
}

void table_print(const struct table *t, FILE *out)
{
    fprintf(out,
            "| load | median of | coord | ZooKeeper | etcd | times better than ZooKeeper | than "
            "etcd |\n|---|---|---|---|---|---|---|\n");
    for (size_t c = 0; c < t->cells_count; c++) {
        for (size_t k = 0; k < sizeof measures / sizeof measures[0]; k++) {
            print_rows(t, out, c, k);
        }
    }
}

void table_print_generators(const struct table *t, FILE *out)
{
    double cpu, share;

    fprintf(out, "| load | coordload | zkload | etcdload |\n|---|---|---|---|\n");
    for (size_t c = 0; c < t->cells_count; c++) {
        if (!table_value(t, t->cells[c], "coord", "own_cpu_100k", &cpu) &&
            !table_value(t, t->cells[c], "zookeeper", "own_cpu_100k", &cpu) &&
            !table_value(t, t->cells[c], "etcd", "own_cpu_100k", &cpu)) {
            continue;
        }
        fprintf(out, "| ");
        print_cell_name(out, t->cells[c]);
        fprintf(out, " |");
        for (int s = 0; s < TABLE_SYSTEMS; s++) {
            if (table_value(t, t->cells[c], systems[s], "own_cpu_100k", &cpu) &&
                table_value(t, t->cells[c], systems[s], "own_share", &share)) {
                fprintf(out, " %.2f s, %.0f %%", cpu, share * 100);
            }
            fprintf(out, " |");
        }
        fprintf(out, "\n");
    }
}

static bool print_json_measure(const struct table *t, FILE *out, size_t c, size_t s, size_t m,
                               const char *before)
{
    double *values;
    size_t n = collect(t, c, s, m, &values);

    if (n > 0) {
        double median = table_median(values, n);
        fprintf(out, "%s\"%s\":{\"median\":%.6g,\"min\":%.6g,\"max\":%.6g,\"samples\":%zu}", before,
                t->measures[m], median, values[0], values[n - 1], n);
    }
    free(values);
    return n > 0;
}

/* The ratios of one cell to one other system, of those measures whose better side is known. */
static void print_json_ratios(const struct table *t, FILE *out, size_t c, size_t other)
{
    const char *before = "";

    for (size_t m = 0; m < t->measures_count; m++) {
        for (size_t k = 0; k < sizeof measures / sizeof measures[0]; k++) {
            double ours, theirs;
            if (strcmp(t->measures[m], measures[k].name) != 0 || !median_of(t, c, 0, m, &ours) ||
                !median_of(t, c, other, m, &theirs)) {
                continue;
            }
            fprintf(out, "%s\"%s\":%.4g", before, measures[k].name,
                    table_ratio(ours, theirs, measures[k].better));
            before = ",";
        }
    }
}

void table_print_json(const struct table *t, FILE *out)
{
    fprintf(out, "{");
    for (size_t c = 0; c < t->cells_count; c++) {
        fprintf(out, "%s\n\"%s\":{", c > 0 ? "," : "", t->cells[c]);
        for (size_t s = 0; s < TABLE_SYSTEMS; s++) {
            const char *before = "";
            fprintf(out, "%s\n \"%s\":{", s > 0 ? "," : "", systems[s]);
            for (size_t m = 0; m < t->measures_count; m++) {
                if (print_json_measure(t, out, c, s, m, before)) {
                    before = ",";
                }
            }
            fprintf(out, "}");
        }
        for (size_t s = 1; s < TABLE_SYSTEMS; s++) {
            fprintf(out, ",\n \"times_better_than_%s\":{", systems[s]);
            print_json_ratios(t, out, c, s);
            fprintf(out, "}");
        }
        fprintf(out, "}");
    }
    fprintf(out, "\n}\n");
}
