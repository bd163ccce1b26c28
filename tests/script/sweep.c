/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.c: every script again with a power cut inside each operation of each member's disk.
 *
 * A script is run once to see what its disks do: for every changing operation of a member, how many
 * writes and names are not synced when it is under way. Then it is run again from its beginning for each
 * image that a cut inside this operation may leave:
 *
 *   kill       the process dies, the machine stays up
 *   drop       nothing that was not synced survives        keep     all of it does
 *   names      names survive, file data does not
 *   lose=I     all but the I-th write                      tear=I   of the I-th write only its first half
 *   random=S   each write by its own draw (whole, not, torn, zeros, garbage), a prefix of the names
 *
 * The member boots again after a while, within the script, which goes on as far as it makes sense: what
 * it asserts is not asked for, what it cannot do is passed over. A second cut falls 1 to 16 operations after
 * the first, in recovery or soon behind it, another number for each image. At the end its power fails once
 * more, then everything heals, and no cut falls any more. What counts is the simulator's checkers, after every event, and convergence.
 *
 * Each image whose number is divisible by the stride is run, so a share of the sweep is the same share
 * every time. The runs of a script are in a child process that notes its progress in shared memory: when
 * an assertion ends it, another one goes on behind the point that did it.
 *
 * Threads: none.
 */
#include "tests/script/script.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOOT_AFTER  (300 * SIM_MS)
#define RANDOM_RUNS 2
#define AGAIN_MAX   16
#define DEATHS_MAX  20 /* of children, then the rest of the script is given up */

/* What is not synced while one operation is under way. */
struct op_rec {
    uint32_t writes;
    uint32_t names;
};

struct ops {
    struct op_rec *v; /* by number of the operation, from 1 */
    uint64_t count;
    uint64_t cap;
    const struct sim_disk *disk;
};

struct survey {
    struct ops members[SIM_SLOTS];
};

struct point {
    raft_id member;
    uint64_t op;
    struct host_cut cut;
    uint64_t again;
    char name[64];
    FILE *trace;
};

/* Shared with the child. */
struct progress {
    struct sweep_result sum;
    uint64_t next; /* number of the image to be looked at next */
    int done;
    char at[64]; /* name of the point that is being run */
};

/* ------------------------------------------------------------------------------------------- */
/* What there is to cut                                                                          */

/* Before an operation: what is pending now was so behind the one before, and may be so inside it. */
static void note_pending(void *arg)
{
    struct ops *o = arg;
    uint64_t writes = 0;
    uint64_t names = 0;
    uint64_t op = sim_disk_counts(o->disk)->changes; /* of the last */
    sim_disk_pending(o->disk, &writes, &names);
    if (op + 2 > o->cap) {
        o->cap = (op + 2) * 2;
        o->v = sim_realloc(o->v, o->cap * sizeof(o->v[0]));
    }
    const struct op_rec now = {.writes = (uint32_t)writes, .names = (uint32_t)names};
    if (op > 0 && op <= o->count) {
        struct op_rec *last = &o->v[op];
        last->writes = last->writes > now.writes ? last->writes : now.writes;
        last->names = last->names > now.names ? last->names : now.names;
    }
    o->v[op + 1] = now;
    o->count = op + 1;
}

static void watch_disks(struct run *r, void *arg)
{
    struct survey *s = arg;
    for (raft_id id = 1; id <= r->k.nodes; id++) {
        s->members[id].disk = r->w->nodes[id].disk;
        sim_disk_watch(r->w->nodes[id].disk, note_pending, &s->members[id]);
    }
}

static void free_survey(struct survey *s)
{
    for (raft_id id = 1; id < SIM_SLOTS; id++) {
        free(s->members[id].v);
    }
}

/* All commands and the end. Return: 1 when nothing failed. */
static int run_through(struct run *r)
{
    for (size_t i = 0; i < r->script->count && !run_over(r); i++) {
        if (r->script->lines[i].is_command) {
            run_command(r, &r->script->lines[i]);
        }
    }
    if (!run_over(r)) {
        run_ending(r);
    }
    return !run_over(r);
}

static int take_survey(const struct script *s, struct survey *ret)
{
    struct run r;
    run_open(&r, s, RUN_SWEEP);
    r.prepare = watch_disks;
    r.prepare_arg = ret;
    int good = run_through(&r);
    if (!good) {
        printf("sweep: %s without any cut: %s\n", s->path, r.why);
    }
    run_close(&r);
    return good ? 0 : -1;
}

/* ------------------------------------------------------------------------------------------- */
/* One cut                                                                                       */

/* The image number `which` (from 0) of an operation. Return: 1, or 0 when there are no more. */
static int image_of(const struct op_rec *op, uint64_t which, struct point *p)
{
    char name[40] = "";
    p->again = 1 + (p->op * 7 + which * 5) % AGAIN_MAX;
    p->cut = (struct host_cut){.how = HOST_END_POWER, .kind = SIM_DISK_CRASH_DROP};
    uint64_t singles = op->writes > 1 ? op->writes : 0; /* of one: drop, keep, tear */
    uint64_t draws = op->writes + op->names > 1 ? RANDOM_RUNS : 0;
    static const enum sim_disk_crash_kind kinds[] = {SIM_DISK_CRASH_DROP, SIM_DISK_CRASH_KEEP,
                                                     SIM_DISK_CRASH_NAMES};
    static const char *const names[] = {"drop", "keep", "names"};
    uint64_t plain = op->writes + op->names == 0 ? 1 : op->writes > 0 && op->names > 0 ? 3 : 2;
    if (which == 0) {
        p->cut.how = HOST_END_KILL;
        snprintf(name, sizeof(name), "kill");
    } else if (which <= plain) {
        p->cut.kind = kinds[which - 1];
        snprintf(name, sizeof(name), "%s", names[which - 1]);
    } else if ((which -= plain) <= op->writes) {
        p->cut.kind = SIM_DISK_CRASH_KEEP;
        p->cut.torn = 1;
        p->cut.but = which;
        snprintf(name, sizeof(name), "tear=%u", (unsigned)which);
    } else if ((which -= op->writes) <= singles) {
        p->cut.kind = SIM_DISK_CRASH_KEEP;
        p->cut.but = which;
        snprintf(name, sizeof(name), "lose=%u", (unsigned)which);
    } else if ((which -= singles) <= draws) {
        p->cut.kind = SIM_DISK_CRASH_RANDOM;
        p->cut.seed = which;
        snprintf(name, sizeof(name), "random=%u", (unsigned)which);
    } else {
        return 0;
    }
    snprintf(p->name, sizeof(p->name), "%u:%llu:%s", p->member, (unsigned long long)p->op, name);
    return 1;
}

static void arm_cut(struct run *r, void *arg)
{
    const struct point *p = arg;
    r->arms[p->member] = (struct arm){
        .armed = 1, .op = p->op, .cut = p->cut, .boot_after = BOOT_AFTER, .again = p->again};
    sim_disk_stop_at(r->w->nodes[p->member].disk, p->op);
    r->w->trace.live = p->trace;
}

/* Return: 1 when it passes; *ret_fell: the power was cut. */
static int run_point(const struct script *s, struct point *p, int *ret_fell)
{
    struct run r;
    run_open(&r, s, RUN_SWEEP);
    r.prepare = arm_cut;
    r.prepare_arg = p;
    int good = run_through(&r);
    if (!good) {
        printf("sweep: %s FAILED at %s: %s\n", s->path, p->name, r.why);
    }
    *ret_fell = r.arms[p->member].fell;
    run_close(&r);
    return good;
}

/* ------------------------------------------------------------------------------------------- */

/* Look at all images from number `from` on. */
static void run_points(const struct sweep *sw, const struct script *s, const struct survey *survey,
                       struct progress *pr)
{
    uint64_t number = 0;
    uint64_t from = pr->next;
    for (raft_id id = 1; id < SIM_SLOTS; id++) {
        const struct ops *ops = &survey->members[id];
        for (uint64_t op = 1; op <= ops->count; op++) {
            struct point p = {.member = id, .op = op};
            for (uint64_t i = 0; image_of(&ops->v[op], i, &p); i++) {
                if (number++ < from || number % sw->stride != 0) {
                    continue;
                }
                int fell = 0;
                pr->next = number;
                memcpy(pr->at, p.name, sizeof(pr->at));
                int good = run_point(s, &p, &fell);
                pr->sum.runs++;
                pr->sum.fell += (uint64_t)fell;
                pr->sum.failed += !good;
                if (!good) {
                    printf("  again: %s --point %s %s\n", sw->program, p.name, s->path);
                }
            }
        }
    }
    pr->done = 1;
}

static void count_all(const struct survey *survey, struct sweep_result *ret)
{
    for (raft_id id = 1; id < SIM_SLOTS; id++) {
        const struct ops *ops = &survey->members[id];
        for (uint64_t op = 1; op <= ops->count; op++) {
            struct point p = {.member = id, .op = op};
            uint64_t images = 0;
            while (image_of(&ops->v[op], images, &p)) {
                images++;
            }
            ret->images += images;
            ret->points++;
        }
    }
}

static void in_child(const struct sweep *sw, const struct script *s, const struct survey *survey,
                     struct progress *pr)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        run_points(sw, s, survey, pr);
        fflush(stdout);
        _exit(0);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("sweep");
        abort();
    }
    if (!pr->done) {
        pr->sum.runs++;
        pr->sum.failed++;
        printf(
            "sweep: %s FAILED at %s: the process ended with status %x\n  again: %s --point %s %s\n",
            s->path, pr->at, (unsigned)status, sw->program, pr->at, s->path);
    }
}

int sweep_script(const struct sweep *sw, const struct script *s, struct sweep_result *ret)
{
    struct survey survey = {0};
    if (take_survey(s, &survey) != 0) {
        free_survey(&survey);
        return -1;
    }
    struct progress *pr =
        mmap(NULL, sizeof(*pr), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pr == MAP_FAILED) {
        perror("sweep: mmap");
        free_survey(&survey);
        return -1;
    }
    for (int deaths = 0; deaths < DEATHS_MAX && !pr->done; deaths++) {
        in_child(sw, s, &survey, pr);
    }
    ret->runs += pr->sum.runs;
    ret->fell += pr->sum.fell;
    ret->failed += pr->sum.failed;
    count_all(&survey, ret);
    munmap(pr, sizeof(*pr));
    free_survey(&survey);
    return 0;
}

int sweep_one(const struct script *s, const char *point, FILE *trace)
{
    struct survey survey = {0};
    int result = 2;
    if (take_survey(s, &survey) != 0) {
        free_survey(&survey);
        return 2;
    }
    for (raft_id id = 1; id < SIM_SLOTS && result == 2; id++) {
        const struct ops *ops = &survey.members[id];
        for (uint64_t op = 1; op <= ops->count && result == 2; op++) {
            struct point p = {.member = id, .op = op, .trace = trace};
            for (uint64_t i = 0; result == 2 && image_of(&ops->v[op], i, &p); i++) {
                int fell = 0;
                if (strcmp(p.name, point) == 0) {
                    result = run_point(s, &p, &fell) ? 0 : 1;
                }
            }
        }
    }
    free_survey(&survey);
    return result;
}
