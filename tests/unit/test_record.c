/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a recording holds everything a handle did and was told, is complete before anything is sent,
 * and never disturbs the program; what it holds is judged linearizable, and not any more once a value
 * in it is changed.
 * Method: a real node in this process (tests/lib/client_server.h), files in a directory of the test's
 * own, read back by the checker.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "client/core/mem.h"
#include "client/verify/parse.h"
#include "client/verify/verify.h"
#include "tests/unit/test_client_fixture.h"

static char directory[64];
static char file[128];
static char text[4 << 20];

static void setup_files(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/coord-record.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(file, sizeof(file), "%s/run.hist", directory);
    (void)unsetenv("COORD_RECORD");
    setup();
}

static void teardown_files(void)
{
    teardown();
    (void)unlink(file);
    (void)rmdir(directory);
}

static size_t load(void)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n;
    ck_assert_int_ge(fd, 0);
    while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    ck_assert_int_eq(n, 0);
    (void)close(fd);
    text[len] = 0;
    return len;
}

static unsigned lines_with(const char *what)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        n++;
    }
    return n;
}

struct judged {
    enum verify_verdict verdict;
    uint32_t operations, unanswered, clients, forgotten;
};

/* Judge what load() read. */
static struct judged judge(size_t len)
{
    char why[256] = "";
    struct verify_report r;
    struct verify_plan *plan = NULL;
    const struct verify_options o = {.empty = true};
    struct verify_history *h = verify_history_create();
    ck_assert_msg(verify_parse(h, 0, text, len, why, sizeof(why)) == 0, "%s", why);
    ck_assert_int_eq(verify_history_finish(h, 0, why, sizeof(why)), 0);
    ck_assert_int_eq(verify_check(h, &o, &r, &plan), 0);
    struct judged j = {r.verdict, r.operations, r.unanswered, r.clients, h->forgotten};
    verify_report_finish(&r);
    verify_plan_destroy(plan);
    verify_history_destroy(h);
    return j;
}

static void must(int err)
{
    ck_assert_msg(err == 0, "%s", coord_errname(err));
}

/* Some of everything. */
static void do_everything(struct coord *c)
{
    static char big[3000];
    struct coord_call flags = {.flags = COORD_EPHEMERAL | COORD_SEQUENTIAL};
    struct coord_call all = {.flags = COORD_WITH_DATA | COORD_WITH_STATS, .limit = 3};
    struct coord_call deep = {.flags = COORD_RECURSIVE, .consistency = COORD_LOCAL};
    struct coord_call at = {.conditions = COORD_IF_VERSION, .version = 1};
    struct coord_call session = {.consistency = COORD_SESSION};
    struct coord_call bounded = {.consistency = COORD_BOUNDED, .bound_ms = 60000};
    bool exists;
    memset(big, 'b', sizeof(big));
    must(coord_create_sync(c, "/d", "a value; with %: | blanks", 25, NULL, NULL));
    must(coord_create_sync(c, "/d/empty", "", 0, NULL, NULL));
    must(coord_create_sync(c, "/d/none", NULL, 0, NULL, NULL));
    for (int i = 0; i < 3; i++) {
        must(coord_create_sync(c, "/d/n-", "e", 1, &flags, NULL));
    }
    must(coord_set_sync(c, "/d/none", big, sizeof(big), NULL, NULL));
    must(coord_set_sync(c, "/d/none", "x", 1, &at, NULL));
    ck_assert_int_eq(coord_set_sync(c, "/d/none", "y", 1, &at, NULL), COORD_ECONDITION);
    ck_assert_int_eq(coord_create_sync(c, "/d", "", 0, NULL, NULL), COORD_EEXISTS);
    ck_assert_int_eq(coord_delete_sync(c, "/d", NULL, NULL), COORD_ENOTEMPTY);
    ck_assert_int_eq(coord_get_sync(c, "/nowhere", NULL, NULL), COORD_ENONODE);
    must(coord_get_sync(c, "/d/none", NULL, NULL));
    must(coord_get_sync(c, "/d/empty", &session, NULL));
    must(coord_stat_sync(c, "/d", &bounded, NULL));
    must(coord_exists_sync(c, "/d/nothing", NULL, &exists));
    must(coord_list_sync(c, "/d", &all, NULL));
    must(coord_list_sync(c, "/", &deep, NULL));
    must(coord_delete_sync(c, "/d/empty", NULL, NULL));
    must(coord_sync_sync(c, NULL, NULL));
    must(coord_session_close_sync(c, NULL));
    must(coord_list_sync(c, "/d", NULL, NULL));
}

START_TEST(everything_is_told)
{
    struct coord *c = open_plain(_i == 1);
    must(coord_record(c, file));
    do_everything(c);
    coord_close(c);
    size_t len = load();
    struct judged j = judge(len);
    ck_assert_uint_eq(j.operations, 22);
    ck_assert_uint_eq(j.unanswered, 0);
    ck_assert_uint_eq(j.clients, 1);
    ck_assert_int_eq(j.verdict, VERIFY_OK);
    ck_assert_uint_eq(lines_with("\nC "), 22);
    ck_assert_uint_eq(lines_with("\nR "), 22);
    ck_assert_uint_eq(lines_with(" closed\n"), 1);
    ck_assert_ptr_nonnull(strstr(text, "data=s:a%20value%3b%20with%20%25%3a%20%7c%20blanks"));
    ck_assert_ptr_nonnull(strstr(text, "data=h:3000:"));
    struct stat st;
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

static void ignore_reply(struct coord *c, const struct coord_reply *r, void *arg)
{
    (void)c;
    (void)r;
    (void)arg;
}

static bool file_has(const char *what)
{
    (void)load();
    return strstr(text, what) != NULL;
}

START_TEST(a_call_is_told_before_it_is_sent)
{
    struct coord *c = open_plain(false);
    must(coord_record(c, file));
    must(coord_create_sync(c, "/first", "1", 1, NULL, NULL));
    client_server_freeze(server, true); /* it is sent, and nobody takes it */
    must(coord_set(c, "/first", "2", 1, NULL, ignore_reply, NULL));
    for (int i = 0; i < 1000 && !file_has(" set path=/first"); i++) {
        ck_assert_int_eq(coord_dispatch(c), 0);
        (void)poll(NULL, 0, 1);
    }
    size_t len = load();
    ck_assert_ptr_nonnull(strstr(text, " set path=/first data=s:2"));
    struct judged j = judge(len); /* as if the process died here */
    ck_assert_int_eq(j.verdict, VERIFY_OK);
    ck_assert_uint_eq(j.unanswered, 1);
    client_server_freeze(server, false);
    coord_close(c);
}
END_TEST

/* Cut anywhere, a recording is that of a process that died there. */
START_TEST(any_beginning_of_it_is_good)
{
    struct coord *c = open_plain(false);
    must(coord_record(c, file));
    do_everything(c);
    coord_close(c);
    size_t len = load();
    for (size_t cut = 0; cut <= len; cut += 1 + cut % 7) {
        ck_assert_int_eq(judge(cut).verdict, VERIFY_OK);
    }
}
END_TEST

struct worker {
    pthread_t thread;
    struct coord *c;
    int number;
    int failures; /* assertions are the main thread's */
};

static void *work(void *arg)
{
    struct worker *me = arg;
    char value[32];
    for (int i = 0; i < 60; i++) {
        int n = snprintf(value, sizeof(value), "%d-%d", me->number, i);
        me->failures += coord_set_sync(me->c, "/k", value, (size_t)n, NULL, NULL) != 0;
        me->failures += coord_get_sync(me->c, "/k", NULL, NULL) != 0;
    }
    return NULL;
}

/* Two handles, each used by two threads, and one file. */
static size_t record_workers(void)
{
    struct worker w[4];
    struct coord *c[2] = {open_plain(true), open_plain(true)};
    must(coord_record(c[0], file));
    must(coord_record(c[1], file));
    must(coord_create_sync(c[0], "/k", "first", 5, NULL, NULL));
    for (int i = 0; i < 4; i++) {
        w[i] = (struct worker){.c = c[i % 2], .number = i};
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
        ck_assert_int_eq(w[i].failures, 0);
    }
    coord_close(c[0]);
    coord_close(c[1]);
    return load();
}

START_TEST(handles_and_threads_share_a_file)
{
    size_t len = record_workers();
    struct judged j = judge(len);
    ck_assert_uint_eq(j.operations, 4 * 120 + 1);
    ck_assert_uint_eq(j.clients, 2);
    ck_assert_int_eq(j.verdict, VERIFY_OK);
}
END_TEST

START_TEST(one_changed_value_is_found)
{
    size_t len = record_workers();
    unsigned found = 0;
    unsigned tried = 0;
    for (char *at = text; (at = strstr(at, " data=s:")) != NULL && tried < 60; at++) {
        char *digit = at + 8;
        if (strncmp(digit, "first", 5) == 0) {
            continue;
        }
        char was = *digit;
        *digit = was == '0' ? '1' : '0';
        found += judge(len).verdict == VERIFY_VIOLATION;
        tried++;
        *digit = was;
    }
    ck_assert_uint_eq(tried, 60);
    /* A write whose value nobody read before it was overwritten may have had any. */
    ck_assert_uint_gt(found, 30);
}
END_TEST

static void hear(struct coord *c, const struct coord_watch_event *event, void *arg)
{
    (void)c;
    unsigned *told = arg;
    *told += event->state == COORD_WATCH_CHANGES;
}

/* A watch, and changes of every kind made by the same handle: each is told before its answer. Return: the file's bytes. */
static size_t record_watched(bool threaded, unsigned *ret_told)
{
    struct coord *c = open_plain(threaded);
    const struct coord_watch_options o = {.depth = COORD_WATCH_SUBTREE, .with_value = true};
    struct coord_call deep = {.flags = COORD_RECURSIVE};
    struct coord_call way = {.flags = COORD_PARENTS};
    coord_watch_id id;
    *ret_told = 0;
    must(coord_record(c, file));
    must(coord_watch_sync(c, "/w", &o, hear, ret_told, &id));
    must(coord_create_sync(c, "/w/a b/c", "%;|:", 4, &way, NULL));
    must(coord_create_sync(c, "/w/n", "1", 1, NULL, NULL));
    must(coord_increment_sync(c, "/w/n", 41, NULL, NULL));
    must(coord_set_sync(c, "/w/a b", "2", 1, NULL, NULL));
    must(coord_set_sync(c, "/w/n", NULL, 0, NULL, NULL));
    must(coord_rename_sync(c, "/w/a b", "/w/z", NULL, NULL));
    must(coord_delete_sync(c, "/w/n", NULL, NULL));
    must(coord_delete_sync(c, "/w", &deep, NULL));
    must(coord_create_sync(c, "/w", "3", 1, NULL, NULL));
    must(coord_unwatch_sync(c, id));
    must(coord_create_sync(c, "/w/unseen", "4", 1, NULL, NULL));
    coord_close(c);
    return load();
}

START_TEST(what_a_watch_is_told_is_recorded)
{
    unsigned told;
    size_t len = record_watched(_i == 1, &told);
    ck_assert_uint_eq(told, 9);
    ck_assert_uint_eq(lines_with(" changes rev="), told);
    ck_assert_uint_eq(lines_with(" ready rev="), 1);
    ck_assert_uint_eq(lines_with("error=ECANCELED"), 1);
    ck_assert_ptr_nonnull(strstr(text, " path=/w depth=2 kinds=7 from=0\n"));
    ck_assert_ptr_nonnull(strstr(text, ";/w/a%20b/c;0;"));
    ck_assert_ptr_nonnull(strstr(text, ";s:%25%3b%7c%3a"));
    ck_assert_int_eq(judge(len).verdict, VERIFY_OK);
}
END_TEST

START_TEST(one_event_lost_or_changed_is_found)
{
    unsigned told;
    size_t len = record_watched(true, &told);
    unsigned tried = 0;
    unsigned missed = 0;
    for (char *at = text; (at = strstr(at, " changes rev=")) != NULL; at++) {
        char *line = at;
        while (line[-1] != '\n') {
            line--;
        }
        *line = '#';
        missed += judge(len).verdict == VERIFY_VIOLATION;
        *line = 'V';
        char *kind = strstr(at, " ch=") + 4;
        char was = *kind;
        *kind = was == '1' ? '2' : '1';
        ck_assert_int_eq(judge(len).verdict, VERIFY_VIOLATION);
        *kind = was;
        tried++;
    }
    ck_assert_uint_eq(tried, told);
    ck_assert_uint_eq(missed, told - 1); /* nothing says that the last is missing */
}
END_TEST

START_TEST(an_event_too_long_is_told_in_part)
{
    struct coord *c = open_plain(true);
    const struct coord_watch_options o = {.depth = COORD_WATCH_SUBTREE};
    struct coord_call deep = {.flags = COORD_RECURSIVE};
    char path[200];
    unsigned told = 0;
    must(coord_record(c, file));
    must(coord_create_sync(c, "/w", "", 0, NULL, NULL));
    for (int i = 0; i < 300; i++) {
        (void)snprintf(path, sizeof(path), "/w/%0150d", i);
        must(coord_create_sync(c, path, "", 0, NULL, NULL));
    }
    must(coord_watch_sync(c, "/w", &o, hear, &told, NULL));
    must(coord_delete_sync(c, "/w", &deep, NULL));
    must(coord_create_sync(c, "/w", "", 0, NULL, NULL));
    coord_close(c);
    size_t len = load();
    ck_assert_uint_eq(told, 2);
    ck_assert_uint_eq(lines_with(" more=1\n"), 1);
    char why[256] = "";
    struct verify_history *h = verify_history_create();
    ck_assert_msg(verify_parse(h, 0, text, len, why, sizeof(why)) == 0, "%s", why);
    ck_assert_uint_gt(h->changes_count, 100);
    ck_assert_uint_lt(h->changes_count, 300);
    verify_history_destroy(h);
}
END_TEST

#define FULL_BYTES (2u << 20)

/* Remarks, which the checker passes over. */
static void fill_file(size_t bytes)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    memset(text, '#', bytes);
    text[bytes - 1] = '\n';
    ck_assert_int_eq(write(fd, text, bytes), (ssize_t)bytes);
    (void)close(fd);
}

START_TEST(a_full_disk_disturbs_nobody)
{
    struct coord *c = open_plain(_i == 1);
    struct rlimit before, small = {FULL_BYTES, FULL_BYTES};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    ck_assert_int_eq(sigaction(SIGXFSZ, &ignore, NULL), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    fill_file(FULL_BYTES - 20000); /* the limit holds for the test's own reports too */
    must(coord_record(c, file));
    must(coord_create_sync(c, "/k", "0", 1, NULL, NULL));
    int limited = setrlimit(RLIMIT_FSIZE, &small);
    int failures = 0;
    for (int i = 0; i < 200; i++) {
        failures += coord_set_sync(c, "/k", "value", 5, NULL, NULL) != 0;
    }
    coord_close(c);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(limited, 0);
    ck_assert_int_eq(failures, 0);
    size_t len = load();
    ck_assert_ptr_nonnull(strstr(text, "coord-history/2 lost "));
    struct judged j = judge(len); /* as far as it goes */
    ck_assert_int_eq(j.verdict, VERIFY_OK);
    ck_assert_uint_gt(j.operations, 20);
    ck_assert_uint_lt(j.operations, 200);
}
END_TEST

START_TEST(a_recording_can_be_ended)
{
    struct coord *c = open_plain(false);
    must(coord_record(c, file));
    must(coord_create_sync(c, "/k", "0", 1, NULL, NULL));
    must(coord_record(c, NULL));
    must(coord_record(c, NULL)); /* twice is once */
    must(coord_set_sync(c, "/k", "1", 1, NULL, NULL));
    ck_assert_int_eq(coord_record(c, file), COORD_EBUSY); /* what is under way is not known */
    coord_close(c);
    /* Another one sees what the first did when it was not recorded any more. */
    c = open_plain(false);
    must(coord_record(c, file));
    must(coord_get_sync(c, "/k", NULL, NULL));
    coord_close(c);
    size_t len = load();
    struct judged j = judge(len);
    ck_assert_uint_eq(lines_with(" stopped\n"), 1);
    ck_assert_int_eq(j.verdict, VERIFY_OK);
    ck_assert_uint_eq(j.forgotten, 1);
}
END_TEST

static int refuse(size_t bytes)
{
    return bytes < 10000;
}

START_TEST(what_cannot_be_recorded_is_told)
{
    struct coord *c = open_plain(false);
    ck_assert_int_eq(coord_record(NULL, file), COORD_EINVAL);
    errno = 0;
    ck_assert_int_eq(coord_record(c, "/nowhere/at/all"), COORD_ESYSTEM);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(coord_record(c, "/dev/full"), COORD_ESYSTEM);
    coord__alloc_hook = refuse;
    ck_assert_int_eq(coord_record(c, file), COORD_ENOMEM);
    coord__alloc_hook = NULL;
    must(coord_record(c, file));
    ck_assert_int_eq(coord_record(c, file), COORD_EBUSY);
    must(coord_sync_sync(c, NULL, NULL));
    coord_close(c);
    ck_assert_int_eq(judge(load()).verdict, VERIFY_OK);
}
END_TEST

START_TEST(the_environment_can_ask_for_it)
{
    char why[256] = "";
    struct coord_options o = options();
    struct coord *c = NULL;
    ck_assert_int_eq(setenv("COORD_RECORD", "/nowhere/at/all", 1), 0);
    ck_assert_int_eq(coord_open(&o, &c, why, sizeof(why)), COORD_ESYSTEM);
    ck_assert_ptr_nonnull(strstr(why, "COORD_RECORD"));
    ck_assert_ptr_nonnull(strstr(why, "/nowhere/at/all"));
    ck_assert_int_eq(setenv("COORD_RECORD", file, 1), 0);
    c = open_plain(_i == 1);
    must(coord_create_sync(c, "/k", "0", 1, NULL, NULL));
    coord_close(c);
    ck_assert_int_eq(setenv("COORD_RECORD", "", 1), 0);
    c = open_plain(_i == 1);
    must(coord_set_sync(c, "/k", "1", 1, NULL, NULL));
    coord_close(c);
    ck_assert_uint_eq(judge(load()).operations, 1);
}
END_TEST

/* A list that is longer than a record may be told as a page of it. */
START_TEST(long_lists_are_pages)
{
    struct coord *c = open_plain(false);
    char path[300];
    char name[200];
    memset(name, 'n', sizeof(name));
    name[180] = 0;
    must(coord_record(c, file));
    must(coord_create_sync(c, "/d", NULL, 0, NULL, NULL));
    for (int i = 0; i < 400; i++) {
        (void)snprintf(path, sizeof(path), "/d/%s%03d", name, i);
        must(coord_create(c, path, "v", 1, NULL, NULL, NULL));
    }
    struct coord_call all = {.flags = COORD_WITH_DATA | COORD_WITH_STATS};
    must(coord_list_sync(c, "/d", &all, NULL));
    coord_close(c);
    size_t len = load();
    ck_assert_uint_gt(lines_with(" e=n"), 50);
    ck_assert_uint_lt(lines_with(" e=n"), 400);
    ck_assert_ptr_nonnull(strstr(text, " more=1\n"));
    ck_assert_int_eq(judge(len).verdict, VERIFY_OK);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("record");
    TCase *tc = tcase_create("record");
    tcase_add_checked_fixture(tc, setup_files, teardown_files);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, everything_is_told, 0, 2);
    tcase_add_test(tc, a_call_is_told_before_it_is_sent);
    tcase_add_test(tc, any_beginning_of_it_is_good);
    tcase_add_test(tc, handles_and_threads_share_a_file);
    tcase_add_loop_test(tc, what_a_watch_is_told_is_recorded, 0, 2);
    tcase_add_test(tc, one_event_lost_or_changed_is_found);
    tcase_add_test(tc, an_event_too_long_is_told_in_part);
    tcase_add_test(tc, one_changed_value_is_found);
    tcase_add_loop_test(tc, a_full_disk_disturbs_nobody, 0, 2);
    tcase_add_test(tc, a_recording_can_be_ended);
    tcase_add_test(tc, what_cannot_be_recorded_is_told);
    tcase_add_loop_test(tc, the_environment_can_ask_for_it, 0, 2);
    tcase_add_test(tc, long_lists_are_pages);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
