/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: each rule of the service, kept and broken, is judged as it should be; and texts that are no
 * history are refused with the line that is wrong.
 * Method: short histories written by hand. Times are in nanoseconds; where they do not matter,
 * operations follow each other.
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
    uint32_t operations, forgotten, items;
    char words[600];
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
        j.operations = r.operations;
        j.forgotten = h->forgotten;
        j.items = r.items_count;
        verify_report_finish(&r);
        verify_plan_destroy(plan);
    }
    verify_text_finish(&words);
    verify_history_destroy(h);
    return j;
}

static struct judged judge(const char *text)
{
    const struct verify_options o = {0};
    return judge_with(text, &o, 0);
}

#define STAT(c, m, v) " stat=" #c ":" #m ":-:" #v ":-:-:-:-:-:-"

/* What is expected: nothing wrong, or the cause. */
static const struct {
    const char *name;
    enum verify_cause cause;
    const char *text;
} cases[] = {
    {"increments add up", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/n data=s:5\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 increment path=/n delta=3\nC 2 1 31 increment path=/n delta=-1\n"
     "R 1 2 60 OK done rev=7 data=s:7\nR 2 1 50 OK done rev=6 data=s:4\n"
     "C 1 3 70 get path=/n\nR 1 3 80 OK done data=s:7\n"},
    {"an increment that was lost", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/n data=s:5\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 increment path=/n delta=3\nR 1 2 40 OK done rev=6 data=s:8\n"
     "C 1 3 50 increment path=/n delta=3\nR 1 3 60 OK done rev=7 data=s:8\n"},
    {"an increment that was applied twice", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/n data=s:5\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 increment path=/n delta=3\nR 1 2 40 OK done rev=6 data=s:11\n"},
    {"an increment without an answer may have been", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/n data=s:5\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 increment path=/n delta=3\n"
     "C 2 1 50 get path=/n\nR 2 1 60 OK done data=s:8\n"},
    {"an increment of what is no number is not judged", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/n data=s:x\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 increment path=/n delta=3\nR 1 2 40 ENOTNUMBER failed\n"},
    {"a recursive delete takes all below", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/a data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 create path=/a/b data=s:1\nR 1 2 40 OK done rev=6\n"
     "C 1 3 50 delete path=/a flags=4\nR 1 3 60 OK done rev=7\n"
     "C 2 1 70 get path=/a/b\nR 2 1 80 ENONODE failed\n"
     "C 2 2 90 create path=/a data=s:2\nR 2 2 99 OK done rev=9\n"},
    {"a recursive delete that left something", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/a data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 create path=/a/b data=s:1\nR 1 2 40 OK done rev=6\n"
     "C 1 3 50 delete path=/a flags=4\nR 1 3 60 OK done rev=7\n"
     "C 2 1 70 get path=/a/b\nR 2 1 80 OK done data=s:1\n"},
    {"a rename takes away here and brings there", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/a data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 create path=/a/b data=s:2\nR 1 2 40 OK done rev=6\n"
     "C 1 3 50 rename path=/a to=/c\nR 1 3 60 OK done rev=7" STAT(
         7, 7, 0) "\n"
                  "C 2 1 70 get path=/a/b\nR 2 1 80 ENONODE failed\n"
                  "C 2 2 90 get path=/c/b\nR 2 2 99 OK done data=s:2" STAT(7, 7, 0) "\n"},
    {"what was moved with a node may go by itself", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/t data=s:0\nR 1 1 20 OK done rev=4\n"
     "C 1 2 30 create path=/t/a data=s:1\nR 1 2 40 OK done rev=5\n"
     "C 1 3 50 create path=/t/a/b data=s:2 flags=1\n"
     "R 1 3 60 OK done session=2 rev=6 stat=6:6:6:0:0:1:2:0:1:0\n"
     "C 1 4 70 rename path=/t/a to=/t/z\n"
     "R 1 4 80 OK done rev=7 stat=7:7:7:0:1:0:0:0:1:1\n"
     "C 1 5 90 list path=/t flags=7\n"
     "R 1 5 99 OK done rcpt=1:1:9:0:1 stat=4:4:7:0:-:-:-:-:-:1 e=z|s:1|7:7:8:0:2:0:0:0:1:0\n"},
    {"a node that goes with its session, and a parent made there later", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/o data=s:0\nR 1 1 20 OK done rev=4\n"
     "C 1 2 30 create path=/o/p data=s:1 flags=1\n"
     "R 1 2 40 OK done session=2 rev=5 stat=5:5:5:0:0:1:2:0:1:0\n"
     "C 2 1 50 get path=/o/p level=bounded bound=100\n"
     "R 2 1 60 OK done rcpt=2:1:6:16:3 data=s:1 stat=5:5:5:0:0:1:2:0:1:0\n"
     "C 2 2 70 delete path=/o/p\nR 2 2 80 ENONODE failed rcpt=2:1:8:0:1\n"
     "C 2 3 90 create path=/o/p/x data=s:2 flags=4\n"
     "R 2 3 99 OK done session=7 rev=9 stat=9:9:9:0:0:0:0:0:1:0\n"},
    {"a node that goes with its session, where an implied parent was deleted", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/o data=s:0\nR 1 1 20 OK done rev=4\n"
     "C 1 2 30 create path=/o/p/x data=s:1 flags=4\nR 1 2 40 OK done rev=5\n"
     "C 1 3 50 delete path=/o/p/x\nR 1 3 60 OK done rev=6\n"
     "C 1 4 70 delete path=/o/p\nR 1 4 80 OK done rev=7\n"
     "C 1 5 90 create path=/o/p data=s:2 flags=1\n"
     "R 1 5 99 OK done session=2 rev=8 stat=8:8:8:0:0:1:2:0:1:0\n"
     "C 2 1 110 get path=/o/p\nR 2 1 120 ENONODE failed rcpt=2:1:10:0:1\n"},
    {"a numbered node of a session that nobody heard of", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/d data=s:0\nR 1 1 20 OK done rev=4\n"
     "C 2 1 30 create path=/d/s data=s:1 flags=3\n"
     "C 1 2 50 stat path=/d\nR 1 2 60 OK done rcpt=1:1:6:0:1 stat=4:4:5:0:1:0:0:0:1:1\n"
     "C 1 3 70 stat path=/d\nR 1 3 80 OK done rcpt=1:1:9:0:1 stat=4:4:8:0:2:0:0:0:1:0\n"},
    {"a parent that was made for a child after it had gone by its age", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/p data=s:1 flags=16 ttl=5\n"
     "R 1 1 20 OK done rev=4 stat=4:4:4:0:0:3:0:5:1:0\n"
     "C 2 1 30 create path=/p/x data=s:2 flags=4\n"
     "R 2 1 40 OK done rev=7 stat=7:7:7:0:0:0:0:0:1:0\n"
     "C 1 2 50 set path=/p data=s:3\n"
     "R 1 2 60 OK done rev=9 stat=7:9:7:1:1:0:0:0:1:1\n"},
    {"a rename that left something behind", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/a data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 1 3 50 rename path=/a to=/c\nR 1 3 60 OK done rev=7\n"
     "C 2 1 70 get path=/a\nR 2 1 80 OK done data=s:1\n"},
    {"a rename onto what is there", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/a data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 create path=/c data=s:1\nR 1 2 40 OK done rev=6\n"
     "C 1 3 50 rename path=/a to=/c\nR 1 3 60 OK done rev=7\n"},
    {"a moved ephemeral may still go by itself", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/a data=s:1 flags=1\nR 1 1 20 OK done rev=5 session=9\n"
     "C 2 1 30 rename path=/a to=/c\nR 2 1 40 OK done rev=6\n"
     "C 2 2 50 exists path=/c\nR 2 2 60 OK done exists=1\n"
     "C 2 3 70 exists path=/c\nR 2 3 80 OK done exists=0\n"},
    {"whether a lock is held says nothing wrong", VERIFY_CAUSE_NONE,
     "C 1 1 10 txn if=held;/l;3 then=increment;path=/n;delta=1 else=get;path=/n\n"
     "R 1 1 20 OK done rev=5 branch=then r=OK;data=s:3\n"
     "C 1 2 30 txn if=held;/l;3 then=increment;path=/n;delta=1 else=get;path=/n\n"
     "R 1 2 40 OK done rev=6 branch=else r=OK;data=s:3\n"},
    {"a failed transaction took back its increment", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/n data=s:5\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 txn then=increment;path=/n;delta=3 then=exists;path=/n then=set;path=/x;data=s:1\n"
     "R 1 2 40 ENONODE failed branch=then r=OK r=EABORTED r=ENONODE\n"
     "C 1 3 50 get path=/n\nR 1 3 60 OK done data=s:5\n"},
    {"a failed transaction kept its increment", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/n data=s:5\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 txn then=increment;path=/n;delta=3 then=set;path=/x;data=s:1\n"
     "R 1 2 40 ENONODE failed branch=then r=OK r=ENONODE\n"
     "C 1 3 50 get path=/n\nR 1 3 60 OK done data=s:8\n"},
    {"a read during a write may see either", VERIFY_CAUSE_NONE,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 set path=/k data=s:2\n"
     "C 2 1 32 get path=/k\nR 2 1 35 OK done data=s:2\n"
     "C 3 1 36 get path=/k\nR 3 1 38 OK done data=s:2\n"
     "R 1 2 60 OK done rev=6\n"},
    {"but the next one not the older again", VERIFY_CAUSE_TIME,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 set path=/k data=s:2\n"
     "C 2 1 32 get path=/k\nR 2 1 35 OK done data=s:2\n"
     "C 3 1 36 get path=/k\nR 3 1 38 OK done data=s:1\n"
     "R 1 2 60 OK done rev=6\n"},
    {"what was there before is not known", VERIFY_CAUSE_NONE,
     "C 1 1 10 get path=/k\nR 1 1 20 OK done data=s:old" STAT(
         3, 4, 7) "\n"
                  "C 1 2 30 set path=/k data=s:new\nR 1 2 40 OK done rev=9" STAT(3, 9, 8) "\n"},
    {"but is what it is", VERIFY_CAUSE_TIME,
     "C 1 1 10 get path=/k\nR 1 1 20 OK done data=s:old\n"
     "C 1 2 30 get path=/k\nR 1 2 40 OK done data=s:other\n"},
    {"a version is one more", VERIFY_CAUSE_TIME,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5" STAT(
         1, 5, 3) "\n"
                  "C 1 2 30 set path=/k data=s:2\nR 1 2 40 OK done rev=6" STAT(1, 6, 5) "\n"},
    {"a lost write may be what is missing", VERIFY_CAUSE_NONE,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5" STAT(
         1, 5, 3) "\n"
                  "C 2 1 22 set path=/k data=s:lost\n"
                  "C 1 2 30 set path=/k data=s:2\nR 1 2 40 OK done rev=7" STAT(1, 7, 5) "\n"},
    {"but it happens once", VERIFY_CAUSE_TIME,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5" STAT(
         1, 5, 3) "\n"
                  "C 2 1 22 set path=/k data=s:lost\n"
                  "C 1 2 30 set path=/k data=s:2\nR 1 2 40 OK done rev=8" STAT(1, 8, 6) "\n"},
    {"and not before it was called", VERIFY_CAUSE_TIME,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 2 2 22 get path=/k\nR 2 2 24 OK done data=s:lost\n"
     "C 2 3 26 set path=/k data=s:lost\n"},
    {"a lost write may come late", VERIFY_CAUSE_NONE,
     "C 2 3 5 set path=/k data=s:lost\n"
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 2 2 22 get path=/k\nR 2 2 24 OK done data=s:1\n"
     "C 2 4 30 get path=/k\nR 2 4 34 OK done data=s:lost\n"},
    {"what was refused did not happen", VERIFY_CAUSE_TIME,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 set path=/k data=s:2\nR 1 2 40 ENOQUORUM notapplied rcpt=1:1:5:9:1\n"
     "C 1 3 50 get path=/k\nR 1 3 60 OK done data=s:2\n"},
    {"a member that refuses may be behind", VERIFY_CAUSE_NONE,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 set path=/k data=s:2\nR 1 2 40 ENOQUORUM notapplied rcpt=1:1:2:99999:1\n"
     "C 1 3 50 get path=/k\nR 1 3 60 OK done data=s:1\n"},
    {"one of two conditional writes wins", VERIFY_CAUSE_NONE,
     "C 1 1 10 set path=/k data=s:a ver=3\nR 1 1 40 OK done rev=5" STAT(
         1, 5, 4) "\n"
                  "C 2 1 12 set path=/k data=s:b ver=3\nR 2 1 44 ECONDITION failed\n"},
    {"not both", VERIFY_CAUSE_TIME,
     "C 1 1 10 set path=/k data=s:a ver=3\nR 1 1 40 OK done rev=5\n"
     "C 2 1 12 set path=/k data=s:b ver=3\nR 2 1 44 OK done rev=6\n"},
    {"nor neither", VERIFY_CAUSE_TIME,
     "C 3 1 1 get path=/k\nR 3 1 5 OK done data=s:x" STAT(
         1, 2, 3) "\n"
                  "C 1 1 10 set path=/k data=s:a ver=3\nR 1 1 40 ECONDITION failed\n"},
    {"a revision is a condition too", VERIFY_CAUSE_TIME,
     "C 1 1 10 set path=/k data=s:a\nR 1 1 20 OK done rev=5" STAT(
         1, 5, 4) "\n"
                  "C 1 2 30 set path=/k data=s:b mod=4\nR 1 2 40 OK done rev=6" STAT(1, 6, 5) "\n"},
    {"so is the revision of the create", VERIFY_CAUSE_TIME,
     "C 1 1 10 set path=/k data=s:a\nR 1 1 20 OK done rev=5" STAT(
         1, 5, 4) "\n"
                  "C 1 2 30 delete path=/k cre=2\nR 1 2 40 OK done rev=6\n"},
    {"create, delete, create", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/k data=s:a\nR 1 1 20 OK done rev=5 path=/k" STAT(
         5, 5, 0) "\n"
                  "C 1 2 30 delete path=/k\nR 1 2 40 OK done rev=6\n"
                  "C 1 3 50 exists path=/k\nR 1 3 60 OK done exists=0\n"
                  "C 1 4 70 create path=/k data=none\nR 1 4 80 OK done rev=7 path=/k" STAT(7, 7,
                                                                                           0) "\n"},
    {"created twice", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/k data=s:a\nR 1 1 20 OK done rev=5 path=/k\n"
     "C 2 1 30 create path=/k data=s:b\nR 2 1 40 OK done rev=6 path=/k\n"},
    {"deleted and there", VERIFY_CAUSE_TIME,
     "C 1 2 30 delete path=/k\nR 1 2 40 OK done rev=6\n"
     "C 1 3 50 set path=/k data=s:z\nR 1 3 60 OK done rev=7\n"},
    {"empty is not none", VERIFY_CAUSE_TIME,
     "C 1 1 10 set path=/k data=s:\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 get path=/k\nR 1 2 40 OK done data=none\n"},
    {"the length is that of the value", VERIFY_CAUSE_TIME,
     "C 1 1 10 set path=/k data=s:a%20b\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 stat path=/k\nR 1 2 40 OK done stat=1:5:-:2:-:0:0:0:4:0\n"},
    {"a list shows who is there", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/d/a data=s:1\nR 1 1 20 OK done rev=5 path=/d/a\n"
     "C 1 2 30 create path=/d/b data=s:1\nR 1 2 40 OK done rev=6 path=/d/b\n"
     "C 1 3 50 delete path=/d/a\nR 1 3 60 OK done rev=7\n"
     "C 2 1 55 list path=/d\nR 2 1 58 OK done e=a e=b\n"
     "C 2 2 70 list path=/d\nR 2 2 80 OK done e=b\n"},
    {"a child is missing", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/d/a data=s:1\nR 1 1 20 OK done rev=5 path=/d/a\n"
     "C 2 2 70 list path=/d\nR 2 2 80 OK done e=b\n"},
    {"a child too many", VERIFY_CAUSE_TIME,
     "C 1 1 10 delete path=/d/a\nR 1 1 20 OK done rev=5\n"
     "C 2 2 70 list path=/d\nR 2 2 80 OK done e=a\n"},
    {"a page ends where it ends", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/d/z data=s:1\nR 1 1 20 OK done rev=5 path=/d/z\n"
     "C 1 2 30 create path=/d/a data=s:1\nR 1 2 40 OK done rev=6 path=/d/a\n"
     "C 2 2 70 list path=/d after=a limit=2\nR 2 2 80 OK done e=b e=c more=1\n"},
    {"but not before", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/d/bb data=s:1\nR 1 1 20 OK done rev=5 path=/d/bb\n"
     "C 2 2 70 list path=/d after=a limit=2\nR 2 2 80 OK done e=b e=c more=1\n"},
    {"a list with values", VERIFY_CAUSE_TIME,
     "C 1 1 10 set path=/d/a data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 1 2 30 set path=/d/a data=s:2\nR 1 2 40 OK done rev=6\n"
     "C 2 2 70 list path=/d flags=2\nR 2 2 80 OK done e=a|s:1\n"},
    {"a whole subtree", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/d/a data=s:1\nR 1 1 20 OK done rev=5 path=/d/a\n"
     "C 1 2 30 create path=/d/a/x data=s:1\nR 1 2 40 OK done rev=6 path=/d/a/x\n"
     "C 1 3 50 create path=/d/a-b data=s:1\nR 1 3 60 OK done rev=7 path=/d/a-b\n"
     "C 2 2 70 list path=/d flags=4\nR 2 2 80 OK done e=a e=a/x e=a-b\n"},
    {"with a hole", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/d/a data=s:1\nR 1 1 20 OK done rev=5 path=/d/a\n"
     "C 1 2 30 create path=/d/a/x data=s:1\nR 1 2 40 OK done rev=6 path=/d/a/x\n"
     "C 2 2 70 list path=/d flags=4\nR 2 2 80 OK done e=a e=a-b\n"},
    {"names in order", VERIFY_CAUSE_LIST, "C 2 2 70 list path=/d\nR 2 2 80 OK done e=b e=a\n"},
    {"a node with children stays", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/d/a data=s:1\nR 1 1 20 OK done rev=5 path=/d/a\n"
     "C 2 2 70 delete path=/d\nR 2 2 80 OK done rev=6\n"},
    {"one without goes", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/d data=s:1\nR 1 1 20 OK done rev=5 path=/d\n"
     "C 1 2 22 create path=/d/a data=s:1\nR 1 2 24 OK done rev=6 path=/d/a\n"
     "C 1 3 26 delete path=/d/a\nR 1 3 28 OK done rev=7\n"
     "C 2 2 70 delete path=/d\nR 2 2 80 ENOTEMPTY failed\n"},
    {"no child without a parent", VERIFY_CAUSE_TIME,
     "C 1 1 10 delete path=/d\nR 1 1 20 OK done rev=5\n"
     "C 1 2 22 create path=/d/a data=s:1\nR 1 2 24 OK done rev=6 path=/d/a\n"},
    {"unless parents are made", VERIFY_CAUSE_NONE,
     "C 1 1 10 delete path=/d\nR 1 1 20 OK done rev=5\n"
     "C 1 2 22 create path=/d/a data=s:1 flags=4\nR 1 2 24 OK done rev=6 path=/d/a\n"
     "C 1 3 30 get path=/d\nR 1 3 40 OK done data=none stat=6:6:6:0:1:0:0:0:0:1\n"},
    {"numbers are given once", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/q/n data=s:1 flags=2\nR 1 1 20 OK done rev=5 path=/q/n0000000004 "
     "seq=4\n"
     "C 2 1 30 create path=/q/m data=s:1 flags=2\nR 2 1 40 OK done rev=6 path=/q/m0000000004 "
     "seq=4\n"},
    {"and rise", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/q/n data=s:1 flags=2\nR 1 1 20 OK done rev=5 path=/q/n0000000004 "
     "seq=4\n"
     "C 1 2 21 create path=/q/x data=s:1\nR 1 2 25 OK done rev=6 path=/q/x\n"
     "C 2 1 30 create path=/q/n data=s:1 flags=2\nR 2 1 40 OK done rev=7 path=/q/n0000000005 "
     "seq=5\n"},
    {"every create counts", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/q/n data=s:1 flags=2\nR 1 1 20 OK done rev=5 path=/q/n0000000004 "
     "seq=4\n"
     "C 1 2 21 create path=/q/x data=s:1\nR 1 2 25 OK done rev=6 path=/q/x\n"
     "C 2 1 30 create path=/q/n data=s:1 flags=2\nR 2 1 40 OK done rev=7 path=/q/n0000000006 "
     "seq=6\n"},
    {"a lost number", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/q/n data=s:1 flags=2\nR 1 1 20 OK done rev=5 path=/q/n0000000004 "
     "seq=4\n"
     "C 3 1 21 create path=/q/n data=s:lost flags=2\n"
     "C 2 1 30 create path=/q/n data=s:1 flags=2\nR 2 1 40 OK done rev=7 path=/q/n0000000006 "
     "seq=6\n"
     "C 2 2 50 list path=/q\nR 2 2 60 OK done e=n0000000004 e=n0000000005 e=n0000000006\n"},
    {"one of a name that nobody saw may go by itself", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/q data=s:1\n"
     "R 1 1 20 OK done rev=4 session=77 path=/q stat=4:4:4:0:0:0:0:0:1:0\n"
     "C 1 2 30 create path=/q/n data=s:1 flags=3\n"
     "C 2 1 50 stat path=/q\nR 2 1 60 OK done stat=4:4:6:0:1:0:0:0:1:1\n"
     "C 2 2 70 stat path=/q\nR 2 2 80 OK done stat=4:4:9:0:2:0:0:0:1:0\n"},
    {"but not if it stays", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/q data=s:1\n"
     "R 1 1 20 OK done rev=4 session=77 path=/q stat=4:4:4:0:0:0:0:0:1:0\n"
     "C 1 2 30 create path=/q/n data=s:1 flags=2\n"
     "C 2 1 50 stat path=/q\nR 2 1 60 OK done stat=4:4:6:0:1:0:0:0:1:1\n"
     "C 2 2 70 stat path=/q\nR 2 2 80 OK done stat=4:4:9:0:2:0:0:0:1:0\n"},
    {"an ephemeral goes with its session", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/e data=s:1 flags=1\n"
     "R 1 1 20 OK done rev=5 session=77 path=/e stat=5:5:5:0:0:1:77:0:1:0\n"
     "C 1 2 30 close\nR 1 2 40 OK done session=77 rcpt=1:1:6:0:1\n"
     "C 2 1 50 exists path=/e\nR 2 1 60 OK done exists=0\n"},
    {"it does not outlive it", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/e data=s:1 flags=1\n"
     "R 1 1 20 OK done rev=5 session=77 path=/e stat=5:5:5:0:0:1:77:0:1:0\n"
     "C 1 2 30 close\nR 1 2 40 OK done session=77 rcpt=1:1:6:0:1\n"
     "C 2 1 50 exists path=/e\nR 2 1 60 OK done exists=1\n"},
    {"a dead client's goes sometime", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/e data=s:1 flags=1\n"
     "R 1 1 20 OK done rev=5 session=77 path=/e stat=5:5:5:0:0:1:77:0:1:0\n"
     "C 2 1 50 exists path=/e\nR 2 1 60 OK done exists=1\n"
     "C 2 2 70 exists path=/e\nR 2 2 80 OK done exists=0\n"},
    {"and does not come back", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/e data=s:1 flags=1\n"
     "R 1 1 20 OK done rev=5 session=77 path=/e stat=5:5:5:0:0:1:77:0:1:0\n"
     "C 2 1 50 exists path=/e\nR 2 1 60 OK done exists=0\n"
     "C 2 2 70 exists path=/e\nR 2 2 80 OK done exists=1\n"},
    {"a live session keeps what it owns", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/e data=s:1 flags=1\n"
     "R 1 1 20 OK done rev=5 session=77 path=/e stat=5:5:5:0:0:1:77:0:1:0\n"
     "C 2 1 50 exists path=/e\nR 2 1 60 OK done exists=0\n"
     "C 1 2 70 set path=/x data=s:1\nR 1 2 80 OK done rev=7 session=77\n"},
    {"a persistent node stays", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/e data=s:1\n"
     "R 1 1 20 OK done rev=5 session=77 path=/e stat=5:5:5:0:0:0:0:0:1:0\n"
     "C 2 1 50 exists path=/e\nR 2 1 60 OK done exists=0\n"},
    {"ephemerals have no children", VERIFY_CAUSE_TIME,
     "C 1 1 10 create path=/e data=s:1 flags=1\n"
     "R 1 1 20 OK done rev=5 session=77 path=/e stat=5:5:5:0:0:1:77:0:1:0\n"
     "C 1 2 30 create path=/e/c data=s:1\nR 1 2 40 OK done rev=6 path=/e/c\n"},
    {"and say so", VERIFY_CAUSE_NONE,
     "C 1 1 10 create path=/e data=s:1 flags=1\n"
     "R 1 1 20 OK done rev=5 session=77 path=/e stat=5:5:5:0:0:1:77:0:1:0\n"
     "C 1 2 30 create path=/e/c data=s:1\nR 1 2 40 EEPHEMERAL failed\n"},
    {"a transaction is one", VERIFY_CAUSE_NONE,
     "C 1 1 10 txn if=version;/a;3 then=set;path=/a;data=s:x then=set;path=/b;data=s:x "
     "else=get;path=/a\n"
     "R 1 1 20 OK done rev=5 branch=then r=OK;stat=1:5:-:4:-:-:-:-:-:- r=OK\n"
     "C 2 1 30 get path=/a\nR 2 1 40 OK done data=s:x\n"
     "C 2 2 50 get path=/b\nR 2 2 60 OK done data=s:x\n"},
    {"not half of one", VERIFY_CAUSE_TIME,
     "C 3 1 1 set path=/b data=s:0\nR 3 1 4 OK done rev=3\n"
     "C 1 1 10 txn then=set;path=/a;data=s:x then=set;path=/b;data=s:x\n"
     "R 1 1 20 OK done rev=5 branch=then r=OK r=OK\n"
     "C 2 1 30 get path=/a\nR 2 1 40 OK done data=s:x\n"
     "C 2 2 50 get path=/b\nR 2 2 60 OK done data=s:0\n"},
    {"nor one after the other", VERIFY_CAUSE_TIME,
     "C 3 1 1 txn then=set;path=/a;data=s:0 then=set;path=/b;data=s:0\n"
     "R 3 1 4 OK done rev=3 branch=then r=OK r=OK\n"
     "C 1 1 10 txn then=set;path=/a;data=s:x then=set;path=/b;data=s:x\n"
     "C 2 1 30 txn then=get;path=/a then=get;path=/b\n"
     "R 2 1 40 OK done branch=then r=OK;data=s:x r=OK;data=s:0\n"},
    {"the branch is that of its conditions", VERIFY_CAUSE_TIME,
     "C 2 1 1 set path=/a data=s:1\nR 2 1 4 OK done rev=3" STAT(
         1, 3, 7) "\n"
                  "C 1 1 10 txn if=version;/a;6 then=set;path=/a;data=s:x else=get;path=/a\n"
                  "R 1 1 20 OK done rev=5 branch=then r=OK\n"},
    {"also the other one", VERIFY_CAUSE_TIME,
     "C 2 1 1 set path=/a data=s:1\nR 2 1 4 OK done rev=3" STAT(
         1, 3,
         7) "\n"
            "C 1 1 10 txn if=version;/a;7 if=value;/a;s:1 if=exists;/a then=set;path=/a;data=s:x "
            "else=get;path=/a\n"
            "R 1 1 20 OK done rev=5 branch=else r=OK;data=s:1\n"},
    {"its operations see each other", VERIFY_CAUSE_NONE,
     "C 1 1 10 txn if=absent;/a then=create;path=/a;data=s:1 then=set;path=/a;data=s:2 "
     "then=get;path=/a then=delete;path=/a\n"
     "R 1 1 20 OK done rev=5 branch=then r=OK;path=/a;stat=5:5:-:0:-:0:0:-:-:- "
     "r=OK;stat=5:5:-:1:-:-:-:-:-:- r=OK;data=s:2 r=OK\n"
     "C 1 2 30 exists path=/a\nR 1 2 40 OK done exists=0\n"},
    {"a failed one changes nothing", VERIFY_CAUSE_TIME,
     "C 2 1 1 exists path=/a\nR 2 1 4 OK done exists=0\n"
     "C 1 1 10 txn then=create;path=/a;data=s:1 then=delete;path=/gone then=get;path=/a\n"
     "R 1 1 20 ENONODE failed branch=then r=OK r=ENONODE r=-\n"
     "C 1 2 30 exists path=/a\nR 1 2 40 OK done exists=1\n"},
    {"and fails with reason", VERIFY_CAUSE_TIME,
     "C 2 1 1 set path=/b data=s:1\nR 2 1 4 OK done rev=3\n"
     "C 1 1 10 txn then=create;path=/a;data=s:1 then=delete;path=/b\n"
     "R 1 1 20 ENONODE failed branch=then r=OK r=ENONODE\n"},
    {"a lost one may have happened", VERIFY_CAUSE_NONE,
     "C 2 1 1 set path=/a data=s:0\nR 2 1 4 OK done rev=3\n"
     "C 1 1 10 txn if=value;/a;s:0 then=set;path=/a;data=s:1 else=set;path=/a;data=s:2\n"
     "C 2 2 30 get path=/a\nR 2 2 40 OK done data=s:1\n"},
    {"by the branch of its conditions", VERIFY_CAUSE_TIME,
     "C 2 1 1 set path=/a data=s:0\nR 2 1 4 OK done rev=3\n"
     "C 1 1 10 txn if=value;/a;s:0 then=set;path=/a;data=s:1 else=set;path=/a;data=s:2\n"
     "C 2 2 30 get path=/a\nR 2 2 40 OK done data=s:2\n"},
    {"children are a condition", VERIFY_CAUSE_TIME,
     "C 2 1 1 create path=/d data=s:0\nR 2 1 4 OK done rev=3 path=/d\n"
     "C 2 2 5 create path=/d/c data=s:0\nR 2 2 8 OK done rev=4 path=/d/c\n"
     "C 1 1 10 txn if=children;/d;0 then=set;path=/d;data=s:1 else=get;path=/d\n"
     "R 1 1 20 OK done rev=5 branch=then r=OK\n"},
    {"weaker reads may be old", VERIFY_CAUSE_NONE,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5 rcpt=1:1:5:0:1\n"
     "C 1 2 30 set path=/k data=s:2\nR 1 2 40 OK done rev=6 rcpt=1:1:6:0:1\n"
     "C 2 1 50 get path=/k level=local\nR 2 1 60 OK done rcpt=2:1:5:77:4 data=s:1\n"},
    {"but what they are at their revision", VERIFY_CAUSE_REVISION,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5 rcpt=1:1:5:0:1\n"
     "C 1 2 30 set path=/k data=s:2\nR 1 2 40 OK done rev=6 rcpt=1:1:6:0:1\n"
     "C 2 1 50 get path=/k level=local\nR 2 1 60 OK done rcpt=2:1:6:77:4 data=s:1\n"},
    {"a linearizable read tells the newest", VERIFY_CAUSE_OLD,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5 rcpt=1:1:5:0:1\n"
     "C 2 1 50 get path=/other\nR 2 1 60 OK done rcpt=2:1:4:77:1 data=s:1\n"},
    {"so does a sync", VERIFY_CAUSE_OLD,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5 rcpt=1:1:5:0:1\n"
     "C 2 1 50 sync\nR 2 1 60 OK done rev=4 rcpt=2:1:4:77:1\n"},
    {"changes rise", VERIFY_CAUSE_OLD,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 2 1 50 set path=/l data=s:1\nR 2 1 60 OK done rev=4\n"},
    {"two changes, two revisions", VERIFY_CAUSE_SAME_REVISION,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 70 OK done rev=5\n"
     "C 2 1 50 set path=/l data=s:1\nR 2 1 60 OK done rev=5\n"},
    {"a session read goes on", VERIFY_CAUSE_SESSION,
     "C 2 1 10 get path=/k level=local\nR 2 1 20 OK done rcpt=1:1:9:-:4 data=s:1\n"
     "C 2 2 50 get path=/j level=session\nR 2 2 60 OK done rcpt=2:1:8:-:2 data=s:1\n"},
    {"only its own client's", VERIFY_CAUSE_NONE,
     "C 1 1 10 get path=/k level=local\nR 1 1 20 OK done rcpt=1:1:9:-:4 data=s:1\n"
     "C 2 2 50 get path=/j level=session\nR 2 2 60 OK done rcpt=2:1:8:-:2 data=s:1\n"},
    {"no older than it says", VERIFY_CAUSE_AGE,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 2 2 50000020 get path=/j level=local\n"
     "R 2 2 50000060 OK done rcpt=2:1:4:40:4 data=s:1\n"},
    {"just as old", VERIFY_CAUSE_NONE,
     "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5\n"
     "C 2 2 50000020 get path=/j level=local\n"
     "R 2 2 50000060 OK done rcpt=2:1:4:50:4 data=s:1\n"},
    {"within the bound", VERIFY_CAUSE_BOUND,
     "C 2 2 50 get path=/j level=bounded bound=30\nR 2 2 60 OK done rcpt=2:1:4:31:3 data=s:1\n"},
    {"what the service keeps at /coord changes without a write", VERIFY_CAUSE_NONE,
     "C 1 1 10 get path=/coord/config/limits.sessions\n"
     "R 1 1 20 OK done rcpt=1:1:5:0:1 data=s:9 stat=0:0:0:0:0:0:1:0:0:0\n"
     "C 1 2 30 get path=/coord/config/limits.sessions\n"
     "R 1 2 40 OK done rcpt=1:1:7:0:1 data=s:12 stat=0:0:0:0:0:0:1:0:0:0\n"},
    {"and is no child of the root", VERIFY_CAUSE_NONE,
     "C 1 1 10 get path=/coord/quotas\n"
     "R 1 1 20 OK done rcpt=1:1:5:0:1 data=none stat=0:0:0:0:0:0:1:0:0:0\n"
     "C 1 2 30 list path=/\nR 1 2 40 OK done rcpt=1:1:7:0:1\n"},
    {"at the level asked for", VERIFY_CAUSE_LEVEL,
     "C 2 2 50 get path=/j\nR 2 2 60 OK done rcpt=2:1:4:31:4 data=s:1\n"},
};
#define CASES ((int)(sizeof(cases) / sizeof(cases[0])))

START_TEST(it_is_judged_rightly)
{
    struct judged j = judge(cases[_i].text);
    ck_assert_msg(j.error == 0, "%s: %s", cases[_i].name, j.why);
    ck_assert_msg(j.cause == cases[_i].cause, "%s: cause %d instead of %d: %s", cases[_i].name,
                  (int)j.cause, (int)cases[_i].cause, j.words);
    ck_assert_int_eq(j.verdict == VERIFY_OK, j.cause == VERIFY_CAUSE_NONE);
    ck_assert_int_eq(j.items > 0, j.cause != VERIFY_CAUSE_NONE);
    ck_assert_int_eq(strlen(j.words) > 60, j.cause != VERIFY_CAUSE_NONE);
}
END_TEST

/* --- what is read -------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    const char *why;
} nonsense[] = {
    {"X 1 1 10\n", "line 1: unknown record 'X'"},
    {"\n# a remark\nhello\n", "line 3: not a record: 'hello'"},
    {"C 1 1 10 fly path=/k\n", "line 1: unknown operation 'fly'"},
    {"C 1 1 10 get\n", "a call without a path"},
    {"C 1 1 10 get path=k\n", "not a path: 'k'"},
    {"C 1 1 10 get path=/a//b\n", "not a path"},
    {"C 1 1 10 get path=/a/\n", "not a path"},
    {"C 1 1 10 get path=/a%0\n", "not a path"},
    {"C zz 1 10 get path=/k\n", "not a client: 'zz'"},
    {"C 1 x 10 get path=/k\n", "not a call"},
    {"C 1 1 -3 get path=/k\n", "not a time: '-3'"},
    {"C 1 1 18446744073709551615 get path=/k\n", "not a time"},
    {"C 1 1 18446744073709551616 get path=/k\n", "not a time"},
    {"C 1 1 10 get path=/k level=most\n", "not a level: 'most'"},
    {"C 1 1 10 set path=/k data=x\n", "not a value: 'x'"},
    {"C 1 1 10 set path=/k colour=red\n", "unknown argument 'colour'"},
    {"C 1 1 10 set path=/k data\n", "unknown argument 'data'"},
    {"C 1 1 10 txn path=/k\n", "unknown argument 'path'"},
    {"C 1 1 10 txn if=maybe;/k\n", "not a condition"},
    {"C 1 1 10 txn if=version;/k\n", "a condition without its value"},
    {"C 1 1 10 txn then=sync\n", "not an operation"},
    {"C 1 1 10 txn then=get\n", "an operation without a path"},
    {"C 1 1 10 txn then=get;path=/a else=get;path=/a then=get;path=/a\n", "mixed"},
    {"C 1 1 10 get path=/k\nC 1 1 12 get path=/k\n", "line 2: this request was recorded before"},
    {"C 1 1 10 get path=/k\nR 1 1 9 OK done\n", "line 2: answered before it was called"},
    {"C 1 1 10 get path=/k\nR 1 1 19 OH done\n", "unknown error or outcome 'OH'"},
    {"C 1 1 10 get path=/k\nR 1 1 19 OK so\n", "unknown error or outcome"},
    {"C 1 1 10 get path=/k\nR 1 1 19 OK\n", "not an answer"},
    {"C 1 1 10 get path=/k\nR 1 1 19 OK done rcpt=1:2:3\n", "not a receipt"},
    {"C 1 1 10 get path=/k\nR 1 1 19 OK done rcpt=1:2:3:4:9\n", "not a receipt"},
    {"C 1 1 10 get path=/k\nR 1 1 19 OK done stat=1:2\n", "not a stat"},
    {"C 1 1 10 get path=/k\nR 1 1 19 OK done exists=2\n", "neither 0 nor 1"},
    {"C 1 1 10 get path=/k\nR 1 1 19 OK done colour=red\n", "unknown answer 'colour'"},
    {"C 1 1 10 txn then=get;path=/a\nR 1 1 19 OK done branch=then\n", "without all its answers"},
    {"C 1 1 10 txn then=get;path=/a\nR 1 1 19 OK done branch=then r=OK r=OK\n", "no operation"},
    {"H 1 coord-history/3 live\n", "not a history of format 1 or 2"},
    {"W 1 x 10 path=/k\n", "not a watch"},
    {"W 1 1 10 depth=1\n", "a watch without a path"},
    {"W 1 1 10 path=/k depth=3\n", "not such a number: '3'"},
    {"W 1 1 10 path=/k colour=red\n", "unknown argument 'colour'"},
    {"W 1 1 10 path=/k\nW 1 1 11 path=/k\n", "this watch was recorded before"},
    {"W 1 1 10 path=/k\nV 1 1 11 asleep rev=1\n", "told no such thing"},
    {"W 1 1 10 path=/k\nV 1 1 11 ready\n", "told without a revision"},
    {"W 1 1 10 path=/k\nV 1 1 11 changes rev=4 ch=1;/k;0\n", "not a change"},
    {"W 1 1 10 path=/k\nV 1 1 11 changes rev=4 ch=3;/k;0;4\n", "no kind of change"},
    {"W 1 1 10 path=/k\nV 1 1 11 ready rev=4 colour=red\n", "unknown word about a watch"},
    {"E 1 10 asleep\n", "not an end: 'asleep'"},
};
#define NONSENSE ((int)(sizeof(nonsense) / sizeof(nonsense[0])))

START_TEST(nonsense_is_named)
{
    struct judged j = judge(nonsense[_i].text);
    ck_assert_int_eq(j.error, COORD_EINVAL);
    ck_assert_msg(strstr(j.why, nonsense[_i].why) != NULL, "%s: %s", nonsense[_i].text, j.why);
}
END_TEST

START_TEST(a_line_without_its_end_is_left_out)
{
    struct judged j = judge("C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK do");
    ck_assert_int_eq(j.error, 0);
    ck_assert_uint_eq(j.operations, 1);
}
END_TEST

#define HEAD(client, state, boot, at, wall)                                            \
    "H " client " coord-history/1 " state " clock=boottime boot=" boot " pid=1 at=" at \
    " wall=" wall "\n"

START_TEST(what_comes_behind_a_loss_is_left_out)
{
    static const char *const ends[] = {HEAD("2", "lost", "x", "1", "1"), "E 2 30 stopped\n"};
    char text[1024];
    /* Client 2 wrote 2 at 35, and that is not recorded. */
    (void)snprintf(text, sizeof(text),
                   "%s%sC 2 1 10 set path=/k data=s:1\nR 2 1 30 OK done rev=5\n"
                   "%s"
                   "C 1 1 40 get path=/k\nR 1 1 50 OK done data=s:2\n",
                   _i == 0 ? ends[0] : HEAD("2", "live", "x", "1", "1"),
                   HEAD("1", "live", "x", "1", "1"), _i == 1 ? ends[1] : "C 2 2 tor\n");
    struct judged j = judge(text);
    ck_assert_msg(j.error == 0, "%s", j.why);
    ck_assert_int_eq(j.verdict, VERIFY_OK);
    ck_assert_uint_eq(j.operations, 1);
    ck_assert_uint_eq(j.forgotten, 1);
}
END_TEST

/* Two machines whose boot clocks have nothing to do with each other. On the wall clock the read begins
 * 900 us after the write was answered. */
START_TEST(a_rename_under_way_when_a_recording_ends_still_goes_somewhere)
{
    const struct verify_options empty = {.empty = true};
    static const char text[] = "C 1 1 10 create path=/a data=s:1\nR 1 1 20 OK done rev=5\n"
                               "C 1 2 30 rename path=/a to=/z\nE 3 35 stopped\n"
                               "R 1 2 40 OK done rev=6\n"
                               "C 2 1 31 get path=/z\nR 2 1 34 OK done data=s:1\n";
    ck_assert_int_eq(judge_with(text, &empty, 0).verdict, VERIFY_OK);
}
END_TEST

START_TEST(several_machines_need_a_skew)
{
    static const char text[] = HEAD("1", "live", "a", "1000000", "5000000")
        HEAD("2", "live", "b", "9000000",
             "5000000") "C 1 1 1000000 set path=/k data=s:1\nR 1 1 1100000 OK done rev=5\n"
                        "C 1 2 1250000 set path=/k data=s:2\nR 1 2 1300000 OK done rev=6\n"
                        "C 2 1 10200000 get path=/k\nR 2 1 10300000 OK done data=s:1\n";
    const struct verify_options o = {0};
    struct judged j = judge_with(text, &o, 0);
    ck_assert_int_eq(j.error, COORD_EINVAL);
    ck_assert_ptr_nonnull(strstr(j.why, "2 clocks"));
    j = judge_with(text, &o, 100000);
    ck_assert_int_eq(j.cause, VERIFY_CAUSE_TIME);
    j = judge_with(text, &o, 2000000);
    ck_assert_int_eq(j.verdict, VERIFY_OK);
}
END_TEST

START_TEST(only_a_part_may_be_looked_at)
{
    static const char text[] = "C 1 1 10 get path=/a/k\nR 1 1 20 OK done data=s:old\n"
                               "C 1 2 30 get path=/a/k\nR 1 2 40 OK done data=s:other\n"
                               "C 1 3 50 get path=/ab\nR 1 3 60 OK done data=s:x\n";
    struct verify_options o = {.within = "/a"};
    ck_assert_int_eq(judge_with(text, &o, 0).cause, VERIFY_CAUSE_TIME);
    o.within = "/ab";
    ck_assert_int_eq(judge_with(text, &o, 0).verdict, VERIFY_OK);
    struct verify_history *h = verify_history_create();
    struct verify_report r;
    struct verify_plan *plan;
    char why[64];
    ck_assert_int_eq(verify_history_finish(h, 0, why, sizeof(why)), 0);
    o.within = "ab/";
    ck_assert_int_eq(verify_check(h, &o, &r, &plan), COORD_EBADPATH);
    verify_history_destroy(h);
}
END_TEST

START_TEST(nothing_was_there)
{
    static const char text[] = "C 1 1 10 get path=/k\nR 1 1 20 OK done data=s:old\n";
    const struct verify_options empty = {.empty = true};
    ck_assert_int_eq(judge(text).verdict, VERIFY_OK);
    ck_assert_int_eq(judge_with(text, &empty, 0).cause, VERIFY_CAUSE_TIME);
}
END_TEST

/* A create with COORD_PARENTS was lost, and what it made was deleted again but for the parents, by an operation that finds nothing
 * to delete where the create has not happened yet. A transaction ties the node to the children that somebody looks at. */
#define LOST_BELOW                                                               \
    "C 1 1 10 txn if=absent;/t/u/v/w then=create;path=/k;data=s:1\n"             \
    "R 1 1 20 OK done rev=5 branch=then r=OK;path=/k;stat=5:5:5:0:0:0:0:0:1:0\n" \
    "C 2 1 30 create path=/t/u/v/w data=s:2 flags=4\n"                           \
    "C 1 2 40 delete path=/t/u/v flags=4\nR 1 2 50 OK done rcpt=1:1:7:0:1 rev=7\n"
#define GONE_BELOW "C 1 9 90 get path=/t/u/v/w\nR 1 9 99 ENONODE failed rcpt=1:1:9:0:1\n"

static const struct {
    const char *name;
    enum verify_cause cause;
    const char *text;
} lost_parents[] = {
    {"counted", VERIFY_CAUSE_NONE,
     LOST_BELOW "C 1 3 60 stat path=/\n"
                "R 1 3 70 OK done rcpt=1:1:8:0:1 stat=0:0:6:0:2:0:0:0:0:2\n" GONE_BELOW},
    {"told by a revision", VERIFY_CAUSE_NONE,
     LOST_BELOW "C 1 3 60 stat path=/\n"
                "R 1 3 70 OK done rcpt=1:1:8:0:1 stat=-:-:6:-:-:-:-:-:-:-\n" GONE_BELOW},
    {"listed", VERIFY_CAUSE_NONE,
     LOST_BELOW "C 1 3 60 list path=/\nR 1 3 70 OK done rcpt=1:1:8:0:1 e=k e=t\n" GONE_BELOW},
    {"listed from the top", VERIFY_CAUSE_NONE,
     LOST_BELOW "C 1 3 60 list path=/ flags=4\n"
                "R 1 3 70 OK done rcpt=1:1:8:0:1 e=k e=t e=t/u\n" GONE_BELOW},
    {"the highest", VERIFY_CAUSE_NONE,
     LOST_BELOW "C 1 3 60 stat path=/t\n"
                "R 1 3 70 OK done rcpt=1:1:8:0:1 stat=6:6:6:0:1:0:0:0:0:1\n" GONE_BELOW},
    {"the lowest that stayed", VERIFY_CAUSE_NONE,
     LOST_BELOW "C 1 3 60 stat path=/t/u\n"
                "R 1 3 70 OK done rcpt=1:1:8:0:1 stat=6:6:7:0:2:0:0:0:0:0\n" GONE_BELOW},
    {"and what it was made for, seen before", VERIFY_CAUSE_NONE,
     "C 2 1 10 create path=/t/u data=s:2 flags=4\n"
     "C 1 1 20 delete path=/t flags=4\n"
     "C 1 2 30 get path=/t/u\nR 1 2 40 OK done data=s:2\n"
     "R 1 1 50 OK done rev=7\n"
     "C 1 3 60 get path=/t/u\nR 1 3 70 ENONODE failed\n"},
    {"counted, but nobody can have made it", VERIFY_CAUSE_TIME,
     "C 1 11 1 stat path=/\nR 1 11 2 OK done rcpt=1:1:4:0:1 stat=0:0:0:0:0:0:0:0:0:0\n" LOST_BELOW
     "C 1 3 60 stat path=/\n"
     "R 1 3 70 OK done rcpt=1:1:8:0:1 stat=0:0:6:0:3:0:0:0:0:3\n" GONE_BELOW},
    {"listed, but what it was made for is there again", VERIFY_CAUSE_TIME,
     LOST_BELOW "C 1 3 60 list path=/\nR 1 3 70 OK done rcpt=1:1:8:0:1 e=k e=t\n" GONE_BELOW
                "C 1 10 110 get path=/t/u/v/w\nR 1 10 120 OK done rcpt=1:1:9:0:1 data=s:2\n"},
};
#define LOST_PARENTS ((int)(sizeof(lost_parents) / sizeof(lost_parents[0])))

START_TEST(a_parent_that_only_a_lost_create_can_have_made)
{
    const struct verify_options empty = {.empty = true};
    struct judged j = judge_with(lost_parents[_i].text, &empty, 0);
    ck_assert_msg(j.error == 0, "%s: %s", lost_parents[_i].name, j.why);
    ck_assert_msg(j.cause == lost_parents[_i].cause, "%s: cause %d instead of %d: %s",
                  lost_parents[_i].name, (int)j.cause, (int)lost_parents[_i].cause, j.words);
    ck_assert_int_eq(j.verdict == VERIFY_OK, j.cause == VERIFY_CAUSE_NONE);
}
END_TEST

/* Of two increments that were told the same, one was answered behind the read that shows both. Without its answer
 * it explains the read; so it is shown, with its answer. */
START_TEST(an_operation_that_was_told_a_lie_is_shown)
{
    struct judged j = judge("C 1 1 1000 increment path=/c delta=1\n"
                            "R 1 1 2000 OK done rev=11 data=s:11\n"
                            "C 2 1 1500 increment path=/c delta=1\n"
                            "C 3 1 2100 get path=/c\n"
                            "R 3 1 3000 OK done data=s:12\n"
                            "R 2 1 3100 OK done rev=12 data=s:11\n");
    ck_assert_int_eq(j.verdict, VERIFY_VIOLATION);
    ck_assert_int_eq(j.cause, VERIFY_CAUSE_TIME);
    ck_assert_uint_eq(j.items, 2);
    ck_assert_ptr_null(strstr(j.words, "get /c"));
    const char *one = strstr(j.words, "increment /c by 1: \"11\"");
    ck_assert_msg(one != NULL && strstr(one + 1, "increment /c by 1: \"11\"") != NULL, "%s",
                  j.words);
}
END_TEST

START_TEST(the_budget_ends_a_search)
{
    const struct verify_options small = {.budget = 1};
    static const char text[] = "C 1 1 10 set path=/k data=s:1\nR 1 1 20 OK done rev=5\n"
                               "C 1 2 30 set path=/k data=s:2\nR 1 2 40 OK done rev=6\n"
                               "C 1 3 50 set path=/k data=s:3\nR 1 3 60 OK done rev=7\n";
    ck_assert_int_eq(judge_with(text, &small, 0).verdict, VERIFY_UNDECIDED);
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
    static const char bits[] = " =;:|%/0159CRHSEn-\n";
    char text[4096];
    int refused = 0;
    int judged = 0;
    for (int i = 0; i < 12000; i++) {
        size_t len = (size_t)snprintf(text, sizeof(text), "%s", cases[draw(CASES)].text);
        for (size_t n = 1 + draw(4); n > 0; n--) {
            size_t at = draw(len);
            size_t cut = draw(12);
            switch (draw(8)) {
            case 0:
                text[at] = bits[draw(sizeof(bits) - 1)];
                break;
            case 1: /* something is missing */
                cut = cut < len - at ? cut : len - at - 1;
                memmove(text + at, text + at + cut, len - at - cut);
                len -= cut;
                break;
            case 2:
                text[at] = (char)(1 + draw(255));
                break;
            default: /* a number becomes another one */
                text[at] = text[at] >= '0' && text[at] <= '9' ? (char)('0' + draw(10)) : text[at];
                break;
            }
        }
        text[len] = 0;
        const struct verify_options o = {.budget = 20000};
        struct judged j = judge_with(text, &o, 1000);
        ck_assert_msg(j.error == 0 || j.error == COORD_EINVAL, "%d: %s", j.error, text);
        ck_assert_int_eq(j.error != 0, j.why[0] != 0);
        refused += j.error != 0;
        judged += j.error == 0;
    }
    ck_assert_int_gt(refused, 500);
    ck_assert_int_gt(judged, 500);
}
END_TEST

static long allocations_left;

static int fail_later(size_t bytes)
{
    (void)bytes;
    return allocations_left-- > 0;
}

/* Without the nth allocation: an error, nothing lost, no verdict that is wrong. */
START_TEST(memory_may_run_out_anywhere)
{
    const struct verify_options o = {0};
    int failures = 0;
    for (int i = 0; i < CASES; i += 5) {
        for (long n = 0;; n++) {
            struct verify_report r = {0};
            struct verify_plan *plan = NULL;
            struct verify_text words = {0};
            char why[256];
            allocations_left = n;
            coord__alloc_hook = fail_later;
            struct verify_history *h = verify_history_create();
            int err = h == NULL ? COORD_ENOMEM : 0;
            err = err < 0
                      ? err
                      : verify_parse(h, 0, cases[i].text, strlen(cases[i].text), why, sizeof(why));
            err = err < 0 ? err : verify_history_finish(h, 0, why, sizeof(why));
            err = err < 0 ? err : verify_check(h, &o, &r, &plan);
            if (err == 0) {
                verify_explain(h, &r, &words);
            }
            bool lucky = allocations_left >= 0;
            coord__alloc_hook = NULL;
            ck_assert_msg(err == 0 || err == COORD_ENOMEM, "%s: %d: %s", cases[i].name, err, why);
            ck_assert_msg(err < 0 || r.cause == cases[i].cause, "%s without allocation %ld",
                          cases[i].name, n);
            failures += err < 0;
            verify_text_finish(&words);
            verify_report_finish(&r);
            verify_plan_destroy(plan);
            verify_history_destroy(h);
            if (lucky) {
                break;
            }
        }
    }
    ck_assert_int_gt(failures, 100);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("verify_cases");
    TCase *tc = tcase_create("cases");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, it_is_judged_rightly, 0, CASES);
    tcase_add_loop_test(tc, nonsense_is_named, 0, NONSENSE);
    tcase_add_test(tc, a_line_without_its_end_is_left_out);
    tcase_add_loop_test(tc, what_comes_behind_a_loss_is_left_out, 0, 2);
    tcase_add_test(tc, a_rename_under_way_when_a_recording_ends_still_goes_somewhere);
    tcase_add_test(tc, several_machines_need_a_skew);
    tcase_add_test(tc, only_a_part_may_be_looked_at);
    tcase_add_test(tc, nothing_was_there);
    tcase_add_loop_test(tc, a_parent_that_only_a_lost_create_can_have_made, 0, LOST_PARENTS);
    tcase_add_test(tc, an_operation_that_was_told_a_lie_is_shown);
    tcase_add_test(tc, the_budget_ends_a_search);
    tcase_add_test(tc, damaged_text_harms_nobody);
    tcase_add_test(tc, memory_may_run_out_anywhere);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
