/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.h: scenario scripts: what one is, how it is run, and the crash sweep over it.
 *
 * A script is a text file. A line that begins in column 1 is a command or, with '#', a comment; the
 * lines below a command that begin with four spaces are what the command must print. Running it
 * drives one world of the simulator (tests/sim/world.h) in which nothing is left to chance: the
 * script is the nemesis, the load and the clock. The language is in README.md.
 *
 *   script.c     the file: reading, comparing, rewriting
 *   run.c        the world under a script: events, what is held back, crashes inside the disk
 *   show.c       records of the simulator as lines of text
 *   words.c      words of a command: numbers, durations, members, pairs, message types
 *   cmd_*.c      the commands; cond.c what `expect` and `until` can say
 *   sweep.c      a power cut at every operation of every member's disk
 *
 * How a failure travels: run_fail notes the first one and every loop ends at the next look. What a
 * script asserts, and what the simulator's checkers find, is a failure of meaning; output that differs
 * from the file is only a difference.
 *
 * Threads: none; one run at a time.
 */
#ifndef COORD_SCRIPT_H
#define COORD_SCRIPT_H

#include "tests/sim/world.h"

#define WORDS_MAX 24
#define RULES_MAX 32
#define HELD_MAX  4096
#define LATE_MAX  256
#define ALL_TYPES ((1U << RAFT_MSG_TYPE_END) - 2)

/* ------------------------------------------------------------------------------------------- */
/* The file (script.c)                                                                           */

struct line {
    char *text; /* without its newline */
    int number;
    int is_command;
    char *expected; /* a command's output, lines with their newlines; never NULL for a command */
};

struct script {
    const char *path;
    char name[64]; /* of the file, without folder and ending */
    struct line *lines;
    size_t count;
};

/* Ownership: release with script_free. Return: 0, or -1 with a message on stderr. */
int script_load(struct script *s, const char *path);
void script_free(struct script *s);

/* Text that grows. */
struct text {
    char *data; /* NULL while empty */
    size_t len;
    size_t room;
};
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_clear(struct text *t);
void text_free(struct text *t);

/* ------------------------------------------------------------------------------------------- */
/* A run (run.c)                                                                                 */

enum rule_kind { RULE_HOLD = 1, RULE_DROP, RULE_COPY };

/* What happens to messages of some types from one set of members to another as they arrive. */
struct rule {
    enum rule_kind kind;
    uint32_t from; /* sets of members, bit per id */
    uint32_t to;
    uint32_t types; /* bit per message type */
    uint32_t left;  /* how many times still; UINT32_MAX: always */
};

/* A power cut that waits for a member's disk to reach an operation. */
struct arm {
    int armed;
    uint64_t op; /* number of the operation since the disk was made */
    struct host_cut cut;
    uint64_t boot_after; /* sweep: boots again by itself this long after; 0: the script boots it */
    uint64_t again;      /* sweep: after it another one, so many operations later; 0: no */
    int fell;            /* it has happened */
};

enum run_mode {
    RUN_CHECK = 1,
    RUN_SWEEP /* conditions are not asked for, commands that cannot be carried out are passed over */
};

struct run {
    enum run_mode mode;
    const struct script *script;
    const struct line *line; /* being carried out */
    struct knobs k;
    struct marks marks;
    struct world *w; /* NULL before the first command that needs it */

    struct rule rules[RULES_MAX];
    size_t rules_count;
    struct packet *held[HELD_MAX];
    size_t held_count;
    int io_held[SIM_SLOTS];
    struct ev io_late[LATE_MAX]; /* completions of members whose io is held */
    size_t io_late_count;
    uint64_t io_done[SIM_SLOTS]; /* the last completion that each member was told of */
    int ticks_off[SIM_SLOTS];
    struct arm arms[SIM_SLOTS];
    void (*prepare)(struct run *r,
                    void *arg); /* the world is made, nothing has happened; or NULL */
    void *prepare_arg;

    uint32_t show; /* types of messages to be printed; bit 0: writes and completions */
    struct text out;
    int healing;   /* the script is over, the world converges */
    int no_ending; /* the script said that the group will not converge */

    int failed; /* in its meaning */
    int bad;    /* the script itself makes no sense */
    char why[700];
};

/* Ownership: release with run_close. */
void run_open(struct run *r, const struct script *s, enum run_mode mode);
void run_close(struct run *r);

/* Make and boot the world, if that is not done. */
void run_start(struct run *r);

/* Note the first failure of meaning, or that the script makes no sense. */
void run_fail(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void run_bad(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
int run_over(const struct run *r);

/* Take the next event that is due at `until` or before. Return: 1, or 0 when there is none (the time
 * is `until` then). */
int run_event(struct run *r, uint64_t until);
void run_for(struct run *r, uint64_t ns);

/* Everything heals, and the group must converge. */
void run_ending(struct run *r);

/* Carry out one command. Output is added to r->out. */
void run_command(struct run *r, const struct line *line);

/* The member by id, or NULL with run_bad. */
struct node *run_node(struct run *r, raft_id id);
/* The same, but NULL when it has no process: a failure of the script, passed over in a sweep. */
struct node *run_up(struct run *r, raft_id id);

/* Held messages: hand over (or lose) at most `most` that match. Return: how many. */
uint32_t run_deliver(struct run *r, uint32_t from, uint32_t to, uint32_t types, uint32_t most);
uint32_t run_lose(struct run *r, uint32_t from, uint32_t to, uint32_t types, uint32_t most);
uint32_t run_count_held(const struct run *r, uint32_t from, uint32_t to, uint32_t types);
void run_release_io(struct run *r, raft_id id);
/* Complete the first `most` persist actions of the batch under way; the rest goes back to the queue. */
void run_complete_io(struct run *r, raft_id id, uint32_t most);

/* ------------------------------------------------------------------------------------------- */
/* Words (words.c). Each answers 1 on success and 0 when the word is nothing of the kind.          */

struct words {
    char buf[512];
    const char *v[WORDS_MAX];
    int count;
};

int words_split(struct words *ws, const char *text);
int word_number(const char *word, uint64_t *ret_value);
int word_duration(const char *word, uint64_t *ret_ns); /* 5ms, 2s, 300us */
int word_id(const char *word, raft_id *ret_id);
int word_members(const char *word, uint32_t *ret_set); /* 1,2,5 */
int word_link(const char *word, uint32_t *ret_from, uint32_t *ret_to,
              int *ret_both);                          /* 1>2, 1-2,3 */
int word_types(const char *word, uint32_t *ret_types); /* APPEND,VOTE or * */
int word_times(const char *word, uint32_t *ret_times); /* x3, all */
/* key=value: the value, or NULL when the word has another key. */
const char *word_value(const char *word, const char *key);
const char *type_name(uint32_t type);
const char *role_name(uint32_t role);

/* ------------------------------------------------------------------------------------------- */
/* Conditions (cond.c)                                                                           */

/* Does it hold now? seen: receives what is the case instead. Return: 1, 0, or -1 (run_bad). */
int cond_holds(struct run *r, const char *const *words, int count, struct text *seen);

/* ------------------------------------------------------------------------------------------- */
/* Commands: each answers 1 when the first word was one of its own (cmd_*.c).                      */

int cmd_setup(struct run *r, const struct words *ws);
int cmd_time(struct run *r, const struct words *ws);
int cmd_net(struct run *r, const struct words *ws);
int cmd_member(struct run *r, const struct words *ws);
int cmd_disk(struct run *r, const struct words *ws);

/* show.c: print what the script wants to see of a record. */
void show_record(void *run, const struct trace_rec *rec);

/* ------------------------------------------------------------------------------------------- */
/* The sweep (sweep.c)                                                                           */

struct sweep {
    const char *program;
    uint64_t stride; /* every how manieth image is run */
};

struct sweep_result {
    uint64_t points; /* (member, operation) */
    uint64_t images; /* of all of them */
    uint64_t runs;
    uint64_t fell; /* runs in which the power was cut, as was meant */
    uint64_t failed;
};

/* Run a script once for each stride-th (member, operation, image), in processes of its own, and print
 * what failed. Ownership: none. Return: 0, or -1 when the script makes no sense; *ret is added to. */
int sweep_script(const struct sweep *sw, const struct script *s, struct sweep_result *ret);
/* One of them again: MEMBER:OPERATION:IMAGE. trace: may be NULL. Return: 0 when it passes, 1, or 2 when
 * there is no such point. */
int sweep_one(const struct script *s, const char *point, FILE *trace);

#endif
