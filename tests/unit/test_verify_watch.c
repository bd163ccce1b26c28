/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what a watch was told is judged as it should be: in order, once, of what was asked for, of what some write can have
 * made, and nothing left out; and where the checker cannot know, it says nothing.
 * Method: short histories written by hand. Client 1 watches, client 2 writes; what is expected is a cause, or none.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/core/mem.h"
#include "client/verify/parse.h"
#include "client/verify/verify.h"

struct judged {
    int error; /* of reading or finishing */
    char why[256];
    enum verify_verdict verdict;
    enum verify_cause cause;
    char words[1200];
};

static struct judged judge_with(const char *text, const struct verify_options *o, uint64_t skew_ns)
{
    struct judged j = {0};
    struct verify_report r;
    struct verify_plan *plan = NULL;
    struct verify_text words = {0};
    struct verify_history *h = verify_history_create();
    ck_assert_ptr_nonnull(h);
    j.error = verify_parse(h, 0, text, strlen(text), j.why, sizeof(j.why));
    if (j.error == 0) {
        j.error = verify_history_finish(h, skew_ns, j.why, sizeof(j.why));
    }
    if (j.error == 0) {
        ck_assert_int_eq(verify_check(h, o, &r, &plan), 0);
        verify_explain(h, &r, &words);
        (void)snprintf(j.words, sizeof(j.words), "%s", words.at != NULL ? words.at : "");
        j.verdict = r.verdict;
        j.cause = r.cause;
        verify_report_finish(&r);
        verify_plan_destroy(plan);
    }
    verify_text_finish(&words);
    verify_history_destroy(h);
    return j;
}

#define WATCH  "W 1 1 5 path=/p depth=2 kinds=7 from=0\nV 1 1 9 ready rev=4\n"
#define CREATE "C 2 1 10 create path=/p/a data=s:1\nR 2 1 20 OK done rev=5 path=/p/a\n"
#define SET                             \
    "C 2 2 30 set path=/p/a data=s:2\n" \
    "R 2 2 40 OK done rev=6 stat=5:6:5:1:0:0:0:0:1:0\n"
#define DELETE    "C 2 3 50 delete path=/p/a\nR 2 3 60 OK done rev=7\n"
#define CREATED   "V 1 1 21 changes rev=5 ch=1;/p/a;0;5;s:1\n"
#define CHANGED   "V 1 1 41 changes rev=6 ch=2;/p/a;1;5;s:2\n"
#define DELETED   "V 1 1 61 changes rev=7 ch=4;/p/a;1;5\n"
#define NOTHING_8 "V 1 1 90 progress rev=8\n"
/* Somebody sees revision 4 before all that. */
#define BEFORE "C 2 9 1 exists path=/q\nR 2 9 2 OK done rcpt=1:1:4:0:1 exists=0\n"

static const struct {
    const char *name;
    enum verify_cause cause;
    const char *text;
} cases[] = {
    {"everything, in order, once", VERIFY_CAUSE_NONE,
     WATCH CREATE SET DELETE CREATED CHANGED DELETED NOTHING_8
     "V 1 1 99 ended rev=8 error=ECANCELED\n"},
    {"nothing at all, and nobody says that this was all", VERIFY_CAUSE_NONE,
     WATCH CREATE SET DELETE},
    {"the first is missing", VERIFY_CAUSE_WATCH_LOST, WATCH CREATE SET DELETE CHANGED DELETED},
    {"one in the middle is missing", VERIFY_CAUSE_WATCH_LOST,
     WATCH CREATE SET DELETE CREATED DELETED},
    {"the last is missing", VERIFY_CAUSE_WATCH_LOST,
     WATCH CREATE SET DELETE CREATED CHANGED NOTHING_8},
    {"missing at the very revision of a mark", VERIFY_CAUSE_WATCH_LOST,
     WATCH CREATE SET DELETE CREATED CHANGED "V 1 1 70 progress rev=7\n"},
    {"what lies in front of the watch is not missing", VERIFY_CAUSE_NONE,
     "W 1 1 5 path=/p depth=2 kinds=7 from=0\nV 1 1 31 ready rev=6\n" CREATE SET DELETE DELETED},
    {"a gap forgives what lies in front of it", VERIFY_CAUSE_NONE,
     WATCH CREATE SET DELETE CREATED "V 1 1 45 gap rev=6\n" DELETED NOTHING_8},
    {"but not what lies behind it", VERIFY_CAUSE_WATCH_LOST,
     WATCH CREATE SET DELETE CREATED "V 1 1 45 gap rev=6\n" NOTHING_8},
    {"what the end tells is no promise", VERIFY_CAUSE_NONE,
     WATCH CREATE SET DELETE CREATED "V 1 1 90 ended rev=9 error=ECLOSED\n"},
    {"twice", VERIFY_CAUSE_WATCH_ORDER, WATCH CREATE SET DELETE CREATED CREATED},
    {"back again", VERIFY_CAUSE_WATCH_ORDER, WATCH CREATE SET DELETE CREATED CHANGED CREATED},
    {"what it was ready at already", VERIFY_CAUSE_WATCH_ORDER,
     "W 1 1 5 path=/p depth=2 kinds=7 from=0\nV 1 1 15 ready rev=5\n" CREATE CREATED},
    {"a mark that goes back", VERIFY_CAUSE_WATCH_ORDER,
     WATCH CREATE SET CREATED CHANGED "V 1 1 70 progress rev=5\n"},
    {"a mark at the revision of the event before it", VERIFY_CAUSE_NONE,
     WATCH CREATE CREATED "V 1 1 70 progress rev=5\n"},
    {"another path than was changed", VERIFY_CAUSE_WATCH_WRONG,
     WATCH CREATE "V 1 1 21 changes rev=5 ch=1;/p/b;0;5\n"},
    {"another kind of change", VERIFY_CAUSE_WATCH_WRONG,
     WATCH CREATE SET CREATED "V 1 1 41 changes rev=6 ch=4;/p/a;0;5\n"},
    {"another value", VERIFY_CAUSE_WATCH_WRONG,
     WATCH CREATE SET CREATED "V 1 1 41 changes rev=6 ch=2;/p/a;1;5;s:3\n"},
    {"another version", VERIFY_CAUSE_WATCH_WRONG,
     WATCH CREATE SET CREATED "V 1 1 41 changes rev=6 ch=2;/p/a;2;5;s:2\n"},
    {"created when it was not", VERIFY_CAUSE_WATCH_WRONG,
     WATCH CREATE "V 1 1 21 changes rev=5 ch=1;/p/a;0;4;s:1\n"},
    {"a change more than was made", VERIFY_CAUSE_WATCH_WRONG,
     WATCH CREATE "V 1 1 21 changes rev=5 ch=1;/p/a;0;5;s:1 ch=1;/p/b;0;5;s:1\n"},
    {"before anybody asked for it", VERIFY_CAUSE_WATCH_WRONG,
     BEFORE "W 1 1 5 path=/p depth=2 kinds=7 from=0\nV 1 1 6 ready rev=4\n"
            "V 1 1 8 changes rev=5 ch=1;/p/a;0;5;s:1\n" CREATE},
    {"a change of nobody", VERIFY_CAUSE_WATCH_MADE_UP,
     BEFORE WATCH "V 1 1 21 changes rev=5 ch=2;/p/a;3;2\n"},
    {"a node of nobody", VERIFY_CAUSE_WATCH_MADE_UP,
     BEFORE WATCH "V 1 1 21 changes rev=5 ch=1;/p/a;0;5\n"},
    {"a change of a time that nobody recorded", VERIFY_CAUSE_NONE,
     BEFORE "W 1 1 5 path=/p depth=2 kinds=7 from=2\nV 1 1 9 ready rev=2\n"
            "V 1 1 21 changes rev=3 ch=1;/p/a;0;3\nV 1 1 21 changes rev=4 ch=2;/p/a;1;3\n"},
    {"by a write without an answer", VERIFY_CAUSE_NONE,
     BEFORE WATCH "C 2 1 10 create path=/p/a data=s:1\n" CREATED},
    {"by a write without an answer, but another value", VERIFY_CAUSE_WATCH_MADE_UP,
     BEFORE WATCH "C 2 1 10 create path=/p/a data=s:1\nV 1 1 21 changes rev=5 ch=1;/p/a;0;5;s:2\n"},
    {"by a write that was refused", VERIFY_CAUSE_WATCH_MADE_UP,
     BEFORE WATCH "C 2 1 10 create path=/p/a data=s:1\nR 2 1 20 EBUSY notapplied\n" CREATED},
    {"by a write without an answer that came too late", VERIFY_CAUSE_WATCH_MADE_UP,
     BEFORE WATCH "C 2 8 8 sync\nR 2 8 9 OK done rcpt=1:1:5:0:1 rev=5\n"
                  "C 2 1 10 create path=/p/a data=s:1\n" CREATED},
    {"a parent made by a write without an answer", VERIFY_CAUSE_NONE,
     BEFORE WATCH "C 2 1 10 create path=/p/a/b data=s:1 flags=4\n"
                  "V 1 1 21 changes rev=5 ch=1;/p/a;0;5;none ch=1;/p/a/b;0;5;s:1\n"},
    {"a numbered node of a write without an answer", VERIFY_CAUSE_NONE,
     BEFORE WATCH "C 2 1 10 create path=/p/s data=s:1 flags=2\n"
                  "V 1 1 21 changes rev=5 ch=1;/p/s0000000007;0;5;s:1\n"},
    {"a numbered node whose name the answer does not tell", VERIFY_CAUSE_NONE,
     BEFORE WATCH "C 2 1 10 create path=/p/s data=s:1 flags=2\nR 2 1 20 OK done rev=5\n"
                  "V 1 1 21 changes rev=5 ch=1;/p/s0000000007;0;5;s:1\n" NOTHING_8},
    {"a numbered node under another name", VERIFY_CAUSE_WATCH_WRONG,
     BEFORE WATCH "C 2 1 10 create path=/p/s data=s:1 flags=2\n"
                  "R 2 1 20 OK done rev=5 path=/p/s0000000006 seq=6\n"
                  "V 1 1 21 changes rev=5 ch=1;/p/s0000000007;0;5;s:1\n"},
    {"a node that may have been there before went by itself", VERIFY_CAUSE_NONE,
     BEFORE WATCH "V 1 1 21 changes rev=5 ch=4;/p/a;0;3\n"},
    {"the parents of a create are told with it", VERIFY_CAUSE_NONE,
     WATCH "C 2 1 10 create path=/p/a/b data=s:1 flags=4\nR 2 1 20 OK done rev=5 path=/p/a/b\n"
           "V 1 1 21 changes rev=5 ch=1;/p;0;5;none ch=1;/p/a;0;5;none ch=1;/p/a/b;0;5;s:1\n"},
    {"and need not have been made", VERIFY_CAUSE_NONE,
     WATCH "C 2 1 10 create path=/p/a/b data=s:1 flags=4\nR 2 1 20 OK done rev=5 path=/p/a/b\n"
           "V 1 1 21 changes rev=5 ch=1;/p/a/b;0;5;s:1\n"},
    {"but the node itself must", VERIFY_CAUSE_WATCH_LOST,
     WATCH "C 2 1 10 create path=/p/a/b data=s:1 flags=4\nR 2 1 20 OK done rev=5 path=/p/a/b\n"
           "V 1 1 21 changes rev=5 ch=1;/p/a;0;5;none\n"},
    {"a recursive delete tells of all below", VERIFY_CAUSE_NONE,
     WATCH CREATE CREATED "C 2 3 50 delete path=/p/a flags=4\nR 2 3 60 OK done rev=7\n"
                          "V 1 1 61 changes rev=7 ch=4;/p/a/x;0;2 ch=4;/p/a;0;5\n"},
    {"but of nothing beside it", VERIFY_CAUSE_WATCH_WRONG,
     WATCH CREATE CREATED "C 2 3 50 delete path=/p/a flags=4\nR 2 3 60 OK done rev=7\n"
                          "V 1 1 61 changes rev=7 ch=4;/p/b;0;2 ch=4;/p/a;0;5\n"},
    {"a rename", VERIFY_CAUSE_NONE,
     WATCH CREATE CREATED
     "C 2 3 50 rename path=/p/a to=/p/z\nR 2 3 60 OK done rev=7 stat=7:7:7:0:0:0:0:0:1:0\n"
     "V 1 1 61 changes rev=7 ch=4;/p/a/x;0;2 ch=4;/p/a;0;5 ch=1;/p/z;0;7 ch=1;/p/z/x;0;7\n"},
    {"half a rename", VERIFY_CAUSE_WATCH_LOST,
     WATCH CREATE CREATED "C 2 3 50 rename path=/p/a to=/p/z\nR 2 3 60 OK done rev=7\n"
                          "V 1 1 61 changes rev=7 ch=4;/p/a;0;5\n"},
    {"an increment", VERIFY_CAUSE_NONE,
     WATCH "C 2 3 50 increment path=/p/n delta=2\n"
           "R 2 3 60 OK done rev=7 data=s:9 stat=2:7:2:4:0:0:0:0:1:0\n"
           "V 1 1 61 changes rev=7 ch=2;/p/n;4;2;s:9\n"},
    {"an increment to another number", VERIFY_CAUSE_WATCH_WRONG,
     WATCH "C 2 3 50 increment path=/p/n delta=2\n"
           "R 2 3 60 OK done rev=7 data=s:9 stat=2:7:2:4:0:0:0:0:1:0\n"
           "V 1 1 61 changes rev=7 ch=2;/p/n;4;2;s:7\n"},
    {"a transaction, whole", VERIFY_CAUSE_NONE,
     WATCH "C 2 1 10 txn then=create;path=/p/a;data=s:1 then=set;path=/p/b;data=s:2\n"
           "R 2 1 20 OK done rev=5 branch=then r=OK;path=/p/a r=OK\n"
           "V 1 1 21 changes rev=5 ch=1;/p/a;0;5 ch=2;/p/b;3;2\n"},
    {"a transaction, half", VERIFY_CAUSE_WATCH_LOST,
     WATCH "C 2 1 10 txn then=create;path=/p/a;data=s:1 then=set;path=/p/b;data=s:2\n"
           "R 2 1 20 OK done rev=5 branch=then r=OK;path=/p/a r=OK\n"
           "V 1 1 21 changes rev=5 ch=1;/p/a;0;5\n"},
    {"a transaction that touches a node twice", VERIFY_CAUSE_NONE,
     WATCH "C 2 1 10 txn then=create;path=/p/a;data=s:1 then=delete;path=/p/a\n"
           "R 2 1 20 OK done rev=5 branch=then r=OK;path=/p/a r=OK\n" NOTHING_8},
    {"the branch that was not taken", VERIFY_CAUSE_WATCH_WRONG,
     WATCH
     "C 2 1 10 txn if=exists;/p then=create;path=/p/a;data=s:1 else=create;path=/p/b;data=s:1\n"
     "R 2 1 20 OK done rev=5 branch=then r=OK;path=/p/a\n"
     "V 1 1 21 changes rev=5 ch=1;/p/b;0;5\n"},
    {"a path that was not asked for", VERIFY_CAUSE_WATCH_SCOPE,
     BEFORE "W 1 1 5 path=/p depth=1 kinds=7 from=0\nV 1 1 9 ready rev=4\n"
            "C 2 1 10 create path=/p/a/b data=s:1\nR 2 1 20 OK done rev=5 path=/p/a/b\n"
            "V 1 1 21 changes rev=5 ch=1;/p/a/b;0;5;s:1\n"},
    {"a kind that was not asked for", VERIFY_CAUSE_WATCH_SCOPE,
     "W 1 1 5 path=/p/a depth=0 kinds=6 from=0\nV 1 1 9 ready rev=4\n" CREATE CREATED},
    {"what it did not ask for is not missing", VERIFY_CAUSE_NONE,
     "W 1 1 5 path=/p/a depth=0 kinds=4 from=0\nV 1 1 9 ready rev=4\n" CREATE SET DELETE DELETED},
    {"nor what happened elsewhere", VERIFY_CAUSE_NONE,
     "W 1 1 5 path=/q depth=2 kinds=7 from=0\nV 1 1 9 ready rev=4\n" CREATE SET NOTHING_8},
    {"children are told, their children not", VERIFY_CAUSE_NONE,
     "W 1 1 5 path=/ depth=1 kinds=7 from=0\nV 1 1 9 ready rev=4\n" CREATE SET NOTHING_8},
    {"an event too long for the recording", VERIFY_CAUSE_NONE,
     WATCH CREATE CREATED "C 2 3 50 delete path=/p flags=4\nR 2 3 60 OK done rev=7\n"
                          "V 1 1 61 changes rev=7 ch=4;/p/a;0;5 more=1\n"},
    {"nothing is said of what the service keeps", VERIFY_CAUSE_NONE,
     BEFORE "W 1 1 5 path=/coord depth=2 kinds=7 from=0\nV 1 1 9 ready rev=4\n"
            "V 1 1 21 changes rev=5 ch=2;/coord/members;0;0;s:1\n"},
    {"a watch from before the recording", VERIFY_CAUSE_NONE,
     "V 1 1 9 ready rev=9\nV 1 1 10 changes rev=5 ch=1;/p/a;0;5\n"},
    {"an answer in front of the write that is told", VERIFY_CAUSE_NONE,
     WATCH SET CHANGED "C 2 4 70 get path=/p/a\nR 2 4 80 OK done data=s:2\n"},
};
#define CASES ((int)(sizeof(cases) / sizeof(cases[0])))

START_TEST(it_is_judged_rightly)
{
    const struct verify_options o = {0};
    struct judged j = judge_with(cases[_i].text, &o, 0);
    ck_assert_msg(j.error == 0, "%s: %s", cases[_i].name, j.why);
    ck_assert_msg(j.cause == cases[_i].cause, "%s: cause %d instead of %d: %s", cases[_i].name,
                  (int)j.cause, (int)cases[_i].cause, j.words);
    ck_assert_int_eq(j.verdict == VERIFY_OK, j.cause == VERIFY_CAUSE_NONE);
    ck_assert_int_eq(strlen(j.words) > 60, j.cause != VERIFY_CAUSE_NONE);
}
END_TEST

START_TEST(what_goes_by_itself_is_known_where_nothing_was)
{
    static const char gone[] = "V 1 1 61 changes rev=7 ch=4;/p/a;0;5\n";
    static const char *const kinds[] = {"", " flags=1", " flags=8", " flags=16 ttl=9"};
    const struct verify_options empty = {.empty = true};
    char text[1024];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(text, sizeof(text),
                       BEFORE WATCH "C 2 1 10 create path=/p/a data=s:1%s\n"
                                    "R 2 1 20 OK done rev=5 path=/p/a session=3\n" CREATED "%s",
                       kinds[i], gone);
        struct judged j = judge_with(text, &empty, 0);
        ck_assert_msg(j.error == 0, "%s", j.why);
        ck_assert_int_eq(j.cause, i == 0 ? VERIFY_CAUSE_WATCH_MADE_UP : VERIFY_CAUSE_NONE);
    }
}
END_TEST

START_TEST(the_words_tell_which_and_what)
{
    const struct verify_options o = {0};
    struct judged j = judge_with(WATCH CREATE SET DELETE CREATED DELETED, &o, 0);
    static const char *const parts[] = {
        "the watch of /p and all below was told all up to revision 5, and then all up to 7",
        "but not of #1, of revision 6: /p/a changed.",
        "watch 1 of client 1",
        "revision 5: /p/a created \"1\"",
        "revision 7: /p/a deleted   <--",
        "set /p/a \"2\": ok"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        ck_assert_msg(strstr(j.words, parts[i]) != NULL, "%s\nis not in\n%s", parts[i], j.words);
    }
}
END_TEST

START_TEST(only_a_part_may_be_looked_at)
{
    struct verify_options o = {.within = "/q"};
    ck_assert_int_eq(judge_with(WATCH CREATE SET CHANGED, &o, 0).verdict, VERIFY_OK);
    o.within = "/p";
    ck_assert_int_eq(judge_with(WATCH CREATE SET CHANGED, &o, 0).cause, VERIFY_CAUSE_WATCH_LOST);
}
END_TEST

#define H(client, state, boot, wall) \
    "H " client " coord-history/2 " state " clock=boottime boot=" boot " pid=1 at=0 wall=" wall "\n"

START_TEST(what_comes_behind_a_loss_is_left_out)
{
    const struct verify_options o = {0};
    /* The writer's recording ends at 15: what is told behind may be of writes that are not there. */
    static const char stopped[] = BEFORE WATCH "E 2 15 stopped\n"
                                               "V 1 1 21 changes rev=5 ch=1;/p/x;0;5\n";
    ck_assert_int_eq(judge_with(stopped, &o, 0).verdict, VERIFY_OK);
    /* The watcher's recorder failed: its last line may be half a line. */
    static const char broken[] =
        H("1", "lost", "a", "0") WATCH CREATE "V 1 1 21 changes rev=5 ch=1;/p/a;0;5 ch=1;/p/a\n";
    ck_assert_int_eq(judge_with(broken, &o, 0).verdict, VERIFY_OK);
}
END_TEST

START_TEST(times_of_several_machines_are_brought_together)
{
    /* The write was sent 3 ms behind the event by the clocks: impossible if they agree to the millisecond. */
    static const char text[] = H("1", "live", "a", "0")
        H("2", "live", "b",
          "0") "C 2 9 1 exists path=/q\nR 2 9 2 OK done rcpt=1:1:4:0:1 exists=0\n"
               "W 1 1 5 path=/p depth=2 kinds=7 from=0\nV 1 1 9 ready rev=4\n"
               "V 1 1 1000000 changes rev=5 ch=1;/p/a;0;5;s:1\n"
               "C 2 1 4000000 create path=/p/a data=s:1\nR 2 1 5000000 OK done rev=5 path=/p/a\n";
    const struct verify_options o = {0};
    ck_assert_int_eq(judge_with(text, &o, 1000000).cause, VERIFY_CAUSE_WATCH_WRONG);
    ck_assert_int_eq(judge_with(text, &o, 4000000).verdict, VERIFY_OK);
}
END_TEST

static uint64_t seed = 88172645463325252ull;

static size_t draw(size_t below)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (size_t)(seed * 2685821657736338717ull >> 33) % below;
}

/* Any text is either refused with a reason or judged; nothing is believed of it. */
START_TEST(damaged_text_harms_nobody)
{
    static const char bits[] = " =;:|%/0149CRWVEchn-\n";
    char text[4096];
    int refused = 0;
    int found = 0;
    for (int i = 0; i < 12000; i++) {
        size_t len = (size_t)snprintf(text, sizeof(text), "%s", cases[draw(CASES)].text);
        for (size_t n = 1 + draw(4); n > 0; n--) {
            size_t at = draw(len);
            size_t cut = 1 + draw(12);
            if (draw(4) == 0) {
                text[at] = bits[draw(sizeof(bits) - 1)];
            } else if (draw(4) == 0 && cut < len - at) { /* something is missing */
                memmove(text + at, text + at + cut, len - at - cut);
                len -= cut;
            } else if (text[at] >= '0' && text[at] <= '9') {
                text[at] = (char)('0' + draw(10));
            }
        }
        text[len] = 0;
        const struct verify_options o = {.budget = 20000, .empty = draw(2) == 0};
        struct judged j = judge_with(text, &o, 1000);
        ck_assert_msg(j.error == 0 || j.error == COORD_EINVAL, "%d: %s", j.error, text);
        ck_assert_int_eq(j.error != 0, j.why[0] != 0);
        refused += j.error != 0;
        found += j.verdict == VERIFY_VIOLATION && j.cause >= VERIFY_CAUSE_WATCH_ORDER;
    }
    ck_assert_int_gt(refused, 500);
    ck_assert_int_gt(found, 500);
}
END_TEST

static int left; /* allocations that succeed */

static int fail_after(size_t bytes)
{
    (void)bytes;
    return left-- > 0;
}

START_TEST(memory_may_run_out_anywhere)
{
    static const char text[] = WATCH CREATE SET DELETE CREATED DELETED;
    const struct verify_options o = {0};
    bool whole = false;
    for (int n = 0; n < 2000 && !whole; n++) {
        struct verify_report r = {0};
        struct verify_plan *plan = NULL;
        char why[128];
        left = n;
        coord__alloc_hook = fail_after;
        struct verify_history *h = verify_history_create();
        int err =
            h == NULL ? COORD_ENOMEM : verify_parse(h, 0, text, sizeof(text) - 1, why, sizeof(why));
        err = err < 0 ? err : verify_history_finish(h, 0, why, sizeof(why));
        err = err < 0 ? err : verify_check(h, &o, &r, &plan);
        coord__alloc_hook = NULL;
        whole = err == 0;
        ck_assert(whole || err == COORD_ENOMEM);
        ck_assert_int_eq(r.cause, whole ? VERIFY_CAUSE_WATCH_LOST : VERIFY_CAUSE_NONE);
        verify_report_finish(&r);
        verify_plan_destroy(plan);
        verify_history_destroy(h);
    }
    ck_assert(whole);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("verify_watch");
    TCase *tc = tcase_create("cases");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, it_is_judged_rightly, 0, CASES);
    tcase_add_test(tc, what_goes_by_itself_is_known_where_nothing_was);
    tcase_add_test(tc, the_words_tell_which_and_what);
    tcase_add_test(tc, only_a_part_may_be_looked_at);
    tcase_add_test(tc, what_comes_behind_a_loss_is_left_out);
    tcase_add_test(tc, times_of_several_machines_are_brought_together);
    tcase_add_test(tc, damaged_text_harms_nobody);
    tcase_add_test(tc, memory_may_run_out_anywhere);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
