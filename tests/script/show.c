/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show.c: what a script prints of what happens: changes of state always, messages and writes when the
 * script asked for them (`show`). No times and no numbers that only count events: what is printed
 * should change when the story does, and not otherwise.
 *
 * Threads: none.
 */
#include "tests/script/script.h"

#include <inttypes.h>

static void show_role(struct run *r, const struct trace_rec *rec)
{
    text_add(&r->out, "n%u %s term %" PRIu64, rec->node, role_name((uint32_t)rec->a), rec->b);
    if (rec->c != 0 && rec->c != rec->node) {
        text_add(&r->out, " of n%" PRIu64, rec->c);
    }
    text_add(&r->out, "\n");
}

static const char *read_result(uint64_t result)
{
    return result == RAFT_READ_OK ? "ok" : result == RAFT_READ_NO_LEADER ? "no leader" : "retry";
}

static void show_message(struct run *r, const struct trace_rec *rec)
{
    int received = rec->kind == TR_RECV;
    if ((r->show >> rec->msg_type & 1) == 0) {
        return;
    }
    text_add(&r->out, "n%u > n%u %s%s%s%s", received ? rec->peer : rec->node,
             received ? rec->node : rec->peer, type_name(rec->msg_type),
             rec->msg_flags & RAFT_FLAG_REJECT ? " reject" : "",
             rec->msg_flags & RAFT_FLAG_STALLED ? " stalled" : "",
             rec->msg_flags & RAFT_FLAG_LAST ? " last" : "");
    text_add(&r->out, " term %" PRIu64 " index %" PRIu64, rec->b, rec->c);
    if (rec->msg_type == RAFT_MSG_APPEND) {
        text_add(&r->out, " +%" PRIu64, rec->a);
    }
    if (received && rec->d != 0) {
        text_add(&r->out, " commit %" PRIu64, rec->d);
    }
    text_add(&r->out, "%s\n", received ? "" : " LOST");
}

static void show_boot(struct run *r, const struct trace_rec *rec)
{
    if (r->w->nodes[rec->node].boot == 1) {
        return; /* how every script begins */
    }
    static const char *const health[] = {"?", "whole", "torn tail cut", "damaged"};
    text_add(&r->out, "n%u boots: %s, term %" PRIu64 " vote %" PRIu64, rec->node,
             rec->a < 4 ? health[rec->a] : "?", rec->b, rec->c);
    if (rec->d != 0) {
        text_add(&r->out, " snapshot %" PRIu64, rec->d);
    }
    text_add(&r->out, " last %" PRIu64 "\n", rec->e);
}

static void show_disk(struct run *r, const struct trace_rec *rec)
{
    static const char *const kinds[] = {"?", "hard state", "entries", "mark"};
    if (rec->kind == TR_PERSIST) {
        text_add(&r->out, "n%u persists %s %" PRIu64 " (%" PRIu64 ")\n", rec->node,
                 rec->a < 4 ? kinds[rec->a] : "?", rec->c, rec->d);
    } else {
        text_add(&r->out, "n%u disk: %s\n", rec->node, rec->b == 0 ? "durable" : "failed");
    }
}

void show_record(void *run, const struct trace_rec *rec)
{
    struct run *r = run;
    struct text *out = &r->out;
    if (rec->kind == TR_IO_DONE) {
        r->io_done[rec->node] = rec->a;
    }
    if (r->healing || r->mode == RUN_SWEEP) {
        return;
    }
    switch (rec->kind) {
    case TR_RECV:
    case TR_LOST:
        show_message(r, rec);
        break;
    case TR_ROLE:
        show_role(r, rec);
        break;
    case TR_PERSIST:
    case TR_WRITE:
        if (r->show & 1) {
            show_disk(r, rec);
        }
        break;
    case TR_IO_FAIL:
        text_add(out, "n%u write failed\n", rec->node);
        break;
    case TR_PROPOSE:
        if (rec->a != 0) {
            text_add(out, "n%u refuses: %s\n", rec->node, raft_strerror((int)(int64_t)rec->a));
        } else {
            text_add(out, "n%u takes %" PRIu64 " at %" PRIu64 " term %" PRIu64 "\n", rec->node,
                     rec->d, rec->c, rec->b);
        }
        break;
    case TR_ANSWER:
        text_add(out, "n%u answers read %" PRIu64 ": %s", rec->node, rec->a, read_result(rec->b));
        text_add(out, rec->b == RAFT_READ_OK ? " at %" PRIu64 "\n" : "\n", rec->c);
        break;
    case TR_DROP:
        text_add(out, "n%u lost its proposals %" PRIu64 "..%" PRIu64 " of term %" PRIu64 "\n",
                 rec->node, rec->a, rec->b, rec->c);
        break;
    case TR_COMMIT:
        text_add(out, "n%u commit %" PRIu64 "\n", rec->node, rec->a);
        break;
    case TR_SNAP_TAKEN:
        text_add(out, "n%u snapshot at %" PRIu64 "\n", rec->node, rec->a);
        break;
    case TR_INSTALL:
        text_add(out, "n%u installs snapshot %" PRIu64 "%s\n", rec->node, rec->a,
                 rec->c != 0 ? ": rejected" : "");
        break;
    case TR_BOOT:
        show_boot(r, rec);
        break;
    case TR_CRASH:
        text_add(out, "n%u ends\n", rec->node);
        break;
    default:
        break;
    }
}
