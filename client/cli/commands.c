/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.c: the table of commands, finding one in it, and what is said about a wrong use.
 */
#include <stdarg.h>
#include <string.h>
#include "client/cli/cli.h"
#include "client/cli/commands.h"

#define NAME_BYTES_MAX 32

const struct command cli_commands[] = {
    {"create", "create [-e] [-s] [-p] [--container] [--ttl 10s] PATH [DATA|-]",
     "make a node and print its path",
     "  -e, --ephemeral    gone when this command ends (use `lock` to hold one)\n"
     "  -s, --sequential   the parent's counter is put behind PATH\n"
     "  -p, --parents      missing parents are made\n"
     "  --container        removed soon after its last child is gone\n"
     "  --ttl DURATION     removed within a second when not modified for so long and without "
     "children\n"
     "  DATA               the value; `-` reads it from standard input; none: no value\n\n"
     "  coordctl create -p /app/db \"host=10.0.0.7\"\n",
     cmd_create},
    {"get", "get PATH", "print a node's value", "  coordctl --consistency local get /app/db\n",
     cmd_get},
    {"set", "set [--version N] [--if-revision N] PATH DATA|-", "replace a node's value",
     "  --version N        only if the node is at this version\n"
     "  --if-revision N    only if it was last modified at this revision\n\n"
     "  coordctl set --version 3 /app/db \"host=10.0.0.8\"\n",
     cmd_set},
    {"incr", "incr [--version N] [--if-revision N] PATH [DELTA]",
     "add to a node that holds a number; print the sum",
     "  DELTA              what is added (default 1), may be negative\n"
     "  --version N        only if the node is at this version\n"
     "  --if-revision N    only if it was last modified at this revision\n\n"
     "  coordctl incr /app/visits\n  coordctl incr /app/stock -3\n",
     cmd_incr},
    {"mv", "mv [--version N] [--if-revision N] FROM TO",
     "move a node, with everything below it, to another path",
     "  TO                 does not exist; the node above it does\n"
     "  --version N        only if FROM is at this version\n"
     "  --if-revision N    only if it was last modified at this revision\n\n"
     "  coordctl mv /app/new /app/live\n",
     cmd_mv},
    {"rm", "rm [-r] [--version N] [--if-revision N] PATH", "the same as delete",
     "  -r, --recursive    with everything below it, as one change\n"
     "  --version N        only if the node is at this version\n"
     "  --if-revision N    only if it was last modified at this revision\n\n"
     "  coordctl rm -r /app\n",
     cmd_delete},
    {"delete", "delete [-r] [--version N] [--if-revision N] PATH", "delete a node",
     "  -r, --recursive    with everything below it, as one change; a subtree that is too large\n"
     "                     for that goes in pages, and a word says so\n"
     "  --version N        only if the node is at this version\n"
     "  --if-revision N    only if it was last modified at this revision\n\n"
     "  coordctl delete -r /app\n",
     cmd_delete},
    {"exists", "exists PATH", "exit with 0 if there is such a node, with 3 if not",
     "  coordctl exists /app/db && echo there\n", cmd_exists},
    {"stat", "stat PATH", "print what is known of a node but its value",
     "  coordctl -o json stat /app/db\n", cmd_stat},
    {"ls", "ls [-l] [-r] [--limit N] [--after NAME] PATH | ls --count [-r] PATH",
     "list the names below a node",
     "  -l, --long         with version, size and kind\n"
     "  -r, --recursive    the whole subtree\n"
     "  --limit N          at most so many names\n"
     "  --after NAME       only names after this one\n"
     "  --count            only how many there are\n\n"
     "  coordctl ls -l /app\n",
     cmd_ls},
    {"du", "du PATH", "how many nodes and bytes stand at and below a node, and its quota",
     "  coordctl du /app\n", cmd_du},
    {"quota", "quota PATH [nodes=N] [bytes=N] | quota --clear PATH",
     "bound what a node and everything below it may hold",
     "  nodes=N            at most so many nodes, itself included; 0: any number\n"
     "  bytes=N            at most so much data, as in 4096, 64KiB, 5MiB; 0: any amount\n"
     "  --clear            no bounds any more\n"
     "What is not named stays; without either, what holds now is shown.\n\n"
     "  coordctl quota /app nodes=1000 bytes=5MiB\n",
     cmd_quota},
    {"txn", "txn [FILE|-]", "conditions and operations that are decided and applied as one",
     "Reads lines from FILE or standard input. Empty lines and those that begin with # are passed "
     "over.\n"
     "Words are separated by blanks; in \"double quotes\" they may hold blanks, \\\", \\\\, \\n "
     "and \\t.\n\n"
     "  if exists PATH            if absent PATH            if version PATH N\n"
     "  if modified PATH REV      if created PATH REV       if value PATH [DATA]\n"
     "  if children PATH N        if owner PATH SESSION     if held LOCK TOKEN\n\n"
     "  then OPERATION     carried out if all conditions hold, or there are none\n"
     "  else OPERATION     carried out otherwise\n\n"
     "OPERATION is create, get, set, rm, exists, stat, incr or mv, written like the command of "
     "that\n"
     "name, but for create -e and a value of `-`, which stands for itself. LOCK is a name as of\n"
     "`coordctl lock`, or a path. All operations of the branch are applied or none. Exit codes:\n"
     "0 then, 4 else, the one of its error when an operation failed.\n\n"
     "  coordctl txn transfer.txt, where transfer.txt holds\n\n"
     "    if version /from 3\n    then incr /from -10\n    then incr /to 10\n",
     cmd_txn},
    {"watch",
     "watch [-c|-r] [--from REV] [--kinds created,changed,deleted] [--count N] PATH [-- CMD...]",
     "print changes as they happen, or run a command for each",
     "  -c, --children     direct children too\n"
     "  -r, --recursive    the whole subtree\n"
     "  --from REV         changes after this revision, also past ones\n"
     "  --kinds LIST       only these kinds of change\n"
     "  --count N          end after N changes\n"
     "  CMD                gets the value on standard input and COORD_KIND, COORD_PATH,\n"
     "                     COORD_REVISION and COORD_VERSION in its environment\n\n"
     "  coordctl watch -r /app -- sh -c 'echo $COORD_PATH is now $(cat)'\n",
     cmd_watch},
    {"lock",
     "lock [--ttl 10s] [--wait 10s] [--on-lost term|kill|stop] [--label DATA] NAME [-- CMD...] | "
     "lock ls NAME",
     "run a command while holding a lock, or hold it until interrupted",
     "  --ttl DURATION     session timeout: how long the lock outlives a dead holder\n"
     "  --wait DURATION    give up with exit code 6 after so long; 0s: do not wait\n"
     "  --on-lost HOW      what is done to CMD before the lock could be given to another:\n"
     "                     term (default; kill follows), kill, or stop\n"
     "  --label DATA       what `lock ls` shows of this holder\n"
     "  CMD                finds the fencing token in COORD_FENCE and the lock's node in\n"
     "                     COORD_NODE; its exit code is passed on\n"
     "  ls NAME            who holds it and who waits\n\n"
     "  coordctl lock --wait 1m nightly -- ./backup.sh\n",
     cmd_lock},
    {"elect",
     "elect [--ttl 10s] [--wait 10s] [--value DATA] [--on-lost term|kill|stop] NAME [-- CMD...] | "
     "elect observe NAME | elect ls NAME",
     "run a command while being the leader, or observe who leads",
     "  --value DATA       what others see of this candidate\n"
     "  observe NAME       print the leader, and again at each change\n"
     "  ls NAME            the leader and the candidates\n"
     "  the rest           as of `lock`\n\n"
     "  coordctl elect --value $(hostname) svc -- ./serve\n",
     cmd_elect},
    {"status", "status [--watch]", "a row for each server named by -s",
     "  -w, --watch        again every second\n\n"
     "  coordctl -s 10.0.0.1:7410,10.0.0.2:7410 status\n",
     cmd_status},
    {"sessions", "sessions [ls] [--limit N] [--after ID] | sessions show ID | sessions end ID",
     "who is connected to the ensemble, what a session owns, and its end",
     "  ls                 a row for each open session: when the leader last heard of it, and "
     "through\n"
     "                     which member\n"
     "  --limit N          at most so many; --after ID only those above this one\n"
     "  show ID            the same of one, with its client's address and all its ephemeral nodes\n"
     "  end ID             end it, as if its timeout had passed: its ephemeral nodes are gone, "
     "locks\n"
     "                     and leaderships among them, and its client is told that it has expired\n"
     "ID is a decimal number, or 0x and the digits that logs show. With --consistency local the\n"
     "server that is connected tells what it knows itself.\n\n"
     "  coordctl sessions\n  coordctl -o json sessions show 12034\n  coordctl sessions end 12034\n",
     cmd_sessions},
    {"limits", "limits", "what each server named by -s told of its limits",
     "  coordctl limits\n  coordctl -o json limits\n", cmd_limits},
    {"sync", "sync", "wait until the server has applied all that is committed; print the revision",
     "  coordctl sync\n", cmd_sync},
    {"partition", "partition GROUP / GROUP... | partition heal",
     "demonstration: cut the links between groups of members",
     "  every member is named once, groups are separated by `/`; needs members with `lab: true`\n\n"
     "  coordctl partition 1 / 2,3\n  coordctl partition heal\n",
     cmd_partition},
    {"bench",
     "bench [--op OP[:WEIGHT],...] [--conns N] [--outstanding N] [--value BYTES[-MAX]] [--keys N]\n"
     "             [--dist uniform|seq|zipf|hot] [--secs N] [--warmup N] [--ops N] [--rate N] "
     "[--wire]\n"
     "             [--series] | --watchers N | --sessions N",
     "load the servers and tell throughput and latency",
     "  --op OP,...        set create sequential delete increment txn rename; get exists stat "
     "list\n"
     "                     usage sync; lock; session (open and close); ping (--wire);\n"
     "                     OP:WEIGHT,... mixes them;\n"
     "                     mixed:P is P % get and the rest set (default set)\n"
     "  --conns N          connections, spread over the servers (default 16)\n"
     "  --outstanding N    requests under way on each (default 1)\n"
     "  --value BYTES      of each value, or MIN-MAX (default 100)\n"
     "  --keys N           nodes used, below /bench (default 1000)\n"
     "  --dist D           which of them: uniform (default), seq, zipf[:99] (hundredths), "
     "hot[:90]\n"
     "                     (percent of the requests to one node)\n"
     "  --secs N           measured time (default 10); --warmup N before that (default 1)\n"
     "  --ops N            end after N operations instead; with --secs: whichever comes first\n"
     "  --rate N           open loop at N operations a second: latency counts from when each was "
     "due\n"
     "  --wire             lean connections instead of the library: the servers are the limit, "
     "not\n"
     "                     this program; nothing is tried again. Servers as IPv4 addresses\n"
     "  --watchers N       N watchers on --conns connections, one writer: when the first and the\n"
     "                     last of them are told (lean connections)\n"
     "  --sessions N       N sessions, each on a lean connection, that only stay alive: what it\n"
     "                     costs; --rate: opened a second\n"
     "  --session-timeout DURATION  of all sessions (default 10s)\n"
     "  --sources N        lean connections come from N addresses 127.0.1.1 ... (servers here)\n"
     "  --series           tell the operations of each 100 ms too\n"
     "  --seed N           the same requests again; --no-prepare: the nodes are there\n\n"
     "Reads have the level of --consistency. Latency is that of all that ended, errors too.\n"
     "CPU is told of servers on this machine. JSON (-o json): client/bench/README.md.\n\n"
     "  coordctl bench --op set --conns 64 --outstanding 16\n"
     "  coordctl bench --op get:9,set:1 --dist zipf --rate 20000 --wire\n"
     "  coordctl bench --watchers 1000 --conns 50\n",
     cmd_bench},
    {"verify", "verify [--path PATH] [--empty] [--skew 10ms] [--budget N] FILE|-...",
     "judge recorded histories: was every answer one that a linearizable store can give?",
     "  FILE               written by a program that called coord_record, or ran with "
     "COORD_RECORD\n"
     "  --path PATH        only what is at or below it; all clients that write there must be "
     "recorded\n"
     "  --empty            nothing was there before the recording began\n"
     "  --skew DURATION    how far the clocks of several machines may be apart\n"
     "  --budget N         states remembered in one search (default 4000000)\n\n"
     "Exit codes: 0 linearizable, 1 violation (the smallest one found is shown), 2 not readable "
     "or\n"
     "nothing to judge, 6 undecided within the budget.\n\n"
     "  COORD_RECORD=/tmp/run.hist coordctl bench --op mixed:50 --keys 10 --ops 5000\n"
     "  coordctl verify --path /bench /tmp/run.hist\n",
     cmd_verify},
    {NULL, NULL, NULL, NULL, NULL},
};

const struct command *cli_find(const char *name)
{
    for (const struct command *c = cli_commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters must be changed, added, left out or swapped with the next (optimal string
 * alignment distance); only the first letters of long words count. */
static size_t distance(const char *a, const char *b)
{
    size_t d[NAME_BYTES_MAX + 1][NAME_BYTES_MAX + 1];
    size_t a_len = strnlen(a, NAME_BYTES_MAX);
    size_t b_len = strnlen(b, NAME_BYTES_MAX);

    for (size_t i = 0; i <= a_len; i++) {
        d[i][0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            if (i == 0) {
                d[i][j] = j;
                continue;
            }
            d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1),
                            least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    }
    return d[a_len][b_len];
}

const struct command *cli_nearest(const char *name)
{
    const struct command *best = NULL;
    size_t least_distance = strnlen(name, NAME_BYTES_MAX) / 2 + 1; /* half of it may be wrong */

    for (const struct command *c = cli_commands; c->name != NULL; c++) {
        if (distance(name, c->name) < least_distance) {
            least_distance = distance(name, c->name);
            best = c;
        }
    }
    return best;
}

int cli_usage(const char *command, const char *format, ...)
{
    const struct command *c = cli_find(command);
    va_list args;

    fprintf(stderr, "coordctl %s: ", command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nusage: coordctl %s\n       coordctl %s --help tells more\n",
            c != NULL ? c->usage : command, command);
    return EXIT_USAGE;
}
