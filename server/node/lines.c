/* SPDX-License-Identifier: Apache-2.0 */
/* lines.c: log lines: one event, one line, key=value behind a few words, with member and term. */
#include "server/node/internal.h"

#include <stdarg.h>
#include <stdio.h>

static void line(struct node *n, enum node_log_level level, const char *format, va_list args)
{
    char text[512];
    (void)vsnprintf(text, sizeof(text), format, args); /* a line that is too long is cut */
    n->env.log(n->env.ctx, level, text);
}

void node__log(struct node *n, enum node_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line(n, level, format, args);
    va_end(args);
}

void node__log_fault(struct node *n, const char *format, ...)
{
    uint64_t second = n->now / (1000 * NODE_MS);
    if (second != n->log_second) {
        if (n->log_dropped > 0) {
            node__log(n, NODE_LOG_WARN, "connection faults left out of the log: count=%u",
                      n->log_dropped);
        }
        n->log_second = second;
        n->log_count = 0;
        n->log_dropped = 0;
    }
    if (n->log_count >= NODE_LOG_BURST) {
        n->log_dropped++;
        return;
    }
    n->log_count++;
    va_list args;
    va_start(args, format);
    line(n, NODE_LOG_WARN, format, args);
    va_end(args);
}

void node__log_state(struct node *n, const struct raft_status *before)
{
    static const char *const names[] = {"none",      "follower", "precandidate",
                                        "candidate", "leader",   "faulted"};
    const struct raft_status *s = &n->st;
    if (s->role == before->role && s->term == before->term && s->leader == before->leader) {
        return;
    }
    enum node_log_level level = NODE_LOG_INFO;
    if (s->role == RAFT_PRECANDIDATE && before->role != RAFT_FOLLOWER) {
        level = NODE_LOG_DEBUG; /* every further attempt without an answer */
    }
    node__log(n, level, "raft state: member=%u role=%s term=%llu leader=%u commit=%llu last=%llu",
              s->id, names[s->role], (unsigned long long)s->term, s->leader,
              (unsigned long long)s->commit, (unsigned long long)s->last);
}
