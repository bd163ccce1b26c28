/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show.c: a way through the worlds of a scope as text, by replaying it: each step, what it sent, and
 * what the member is afterwards. Thread: one.
 */
#include "tests/mc/mc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *msg_name(unsigned type)
{
    static const char *const names[RAFT_MSG_TYPE_END] = {
        "?",          "PREVOTE",   "PREVOTE_REPLY",  "VOTE",
        "VOTE_REPLY", "APPEND",    "APPEND_REPLY",   "HEARTBEAT",
        "BEAT_REPLY", "SNAPSHOT",  "SNAPSHOT_REPLY", "TIMEOUT_NOW",
        "READ",       "READ_REPLY"};
    return names[type < RAFT_MSG_TYPE_END ? type : 0];
}

static void show_set(const char *name, unsigned set)
{
    if (set == 0) {
        return;
    }
    (void)printf("%s", name);
    for (unsigned i = 0; i < MC_NODES; i++) {
        if ((set >> i & 1) != 0) {
            (void)printf("%u", i + 1);
        }
    }
}

/* A configuration: voters, /old voters, learners and marks. */
static void show_entry(unsigned type, unsigned value)
{
    if (type == RAFT_ENTRY_COMMAND) {
        (void)printf(".P%u", value);
    } else if (type == RAFT_ENTRY_CONFIG) {
        const struct mc_config *c = mc_config_at(value);
        show_set(".C", c->voters);
        show_set("/", c->old);
        show_set("+", c->learners);
        show_set("p", c->promote);
        show_set("d", c->demote);
        show_set("r", c->remove);
    }
}

static void show_message(uint32_t number)
{
    const struct mc_msg *m = mc_msg_at(number);
    const struct raft_msg *h = &m->head;
    (void)printf("%s %u->%u t%" PRIu64, msg_name(h->type), h->from, h->to, h->term);
    (void)printf("%s%s%s", (h->flags & RAFT_FLAG_REJECT) != 0 ? " REJECT" : "",
                 (h->flags & RAFT_FLAG_TRANSFER) != 0 ? " ordered" : "",
                 (h->flags & RAFT_FLAG_LAST) != 0 ? " last" : "");
    if (h->type > RAFT_MSG_VOTE_REPLY) {
        (void)printf(" seq %" PRIu64, h->seq);
    }
    (void)printf(" at %" PRIu64 "/%" PRIu64, h->index, h->log_term);
    if (h->commit != 0) {
        (void)printf(" commit %" PRIu64, h->commit);
    }
    if (h->hint != 0) {
        (void)printf(" hint %" PRIu64 "/%" PRIu64, h->hint, h->hint_term);
    }
    if (h->total != 0) {
        (void)printf(" bytes %" PRIu64 "+%u of %" PRIu64, h->offset, h->count, h->total);
    }
    for (unsigned i = 0; i < m->count; i++) {
        (void)printf(" [t%u", m->entries[i].term);
        show_entry(m->entries[i].type, m->entries[i].value);
        (void)printf("]");
    }
}

static void show_action(const struct mc_action *a)
{
    static const char *const texts[] = {
        [MC_RECV] = "receives",
        [MC_RECV_HOLD] = "receives, does not poll yet:",
        [MC_RECV_DUP] = "receives, not for the last time:",
        [MC_RECV_EARLY] = "receives early:",
        [MC_LOSE] = "never gets",
        [MC_POLL] = "polls",
        [MC_TICK] = "its timer runs out",
        [MC_PAUSE] = "sleeps past all timers",
        [MC_ELAPSE] = "feels bound to its leader no more",
        [MC_PASS] = "and all others: time passes",
        [MC_CAMPAIGN] = "is told to stand for election",
        [MC_WRITTEN] = "its disk completes writes:",
        [MC_PROPOSE] = "takes proposal",
        [MC_READ] = "takes read",
        [MC_TRANSFER] = "hands leadership to",
        [MC_CONFIG] = "is asked for other members, target",
        [MC_SNAP] = "takes a snapshot, keeps entries:",
        [MC_INSTALL] = "has loaded the snapshot",
        [MC_REJECT] = "finds the snapshot damaged",
        [MC_LINK_UP] = "its host reports a connection to",
        [MC_LINK_DOWN] = "its host reports a broken connection to",
        [MC_CRASH] = "crashes; unfinished writes that survive:",
        [MC_ROT] = "crashes, and its disk has lost so many entries:",
        [MC_START] = "starts",
    };
    (void)printf("member %u %s", a->node + 1u, texts[a->kind]);
    switch (a->kind) {
    case MC_RECV:
    case MC_RECV_HOLD:
    case MC_RECV_DUP:
    case MC_RECV_EARLY:
    case MC_LOSE:
        (void)printf(" ");
        show_message(a->argument);
        break;
    case MC_WRITTEN:
    case MC_PROPOSE:
    case MC_READ:
    case MC_TRANSFER:
    case MC_CONFIG:
    case MC_SNAP:
    case MC_LINK_UP:
    case MC_LINK_DOWN:
    case MC_ROT:
        (void)printf(" %u", a->argument);
        break;
    case MC_CRASH:
        (void)printf(" %u%s", a->argument & 255u, a->argument > 255 ? " and a snapshot file" : "");
        break;
    default:
        break;
    }
    (void)printf("\n");
}

static void show_log(const char *name, const struct mc_log *l)
{
    (void)printf(" %s %u:", name, l->base);
    for (unsigned i = l->base + 1u; i <= l->last; i++) {
        const struct mc_link *k = mc_chain_at(l->chain[i]);
        (void)printf(" %u", k->term);
        show_entry(k->type, k->value);
    }
}

static void show_member(const struct mc_view *v)
{
    static const char *const roles[] = {"?",         "follower", "precandidate",
                                        "candidate", "leader",   "faulted"};
    if (!v->up) {
        (void)printf("      = down;");
    } else {
        (void)printf("      = %s t%u vote %u leader %u commit %u stable %u;",
                     roles[v->role <= RAFT_FAULTED ? v->role : 0], v->term, v->vote, v->leader,
                     v->commit, v->stable);
        show_log("log", &v->log);
        (void)printf(";");
    }
    (void)printf(" disk t%u vote %u", v->disk.term, v->disk.vote);
    show_log("", &v->disk.log);
    if (v->disk.snap_index != 0) {
        (void)printf(" snapshot %u", v->disk.snap_index);
    }
    (void)printf(", writes under way %u%s%s\n", v->writes_count, v->install ? ", loading" : "",
                 v->repairing ? ", under repair" : "");
}

void mc_show(const struct mc_scope *s, const struct mc_result *r)
{
    static const struct mc_outcome nothing;
    struct mc_world w;
    memset(&w, 0, sizeof(w));
    for (unsigned i = 0; i < s->nodes; i++) {
        w.member[i] = mc_member_fresh(i + 1);
    }
    for (unsigned i = 0; i < r->steps_count; i++) {
        const struct mc_action *a = &r->steps[i];
        const char *broken = NULL;
        (void)printf("%4d  ", (int)i - (int)r->start_count + 1);
        show_action(a);
        const struct mc_outcome *out =
            a->kind == MC_LOSE || a->kind == MC_PASS
                ? &nothing
                : mc_event(w.member[a->node], (enum mc_kind)a->kind, a->argument);
        if (!mc_world_apply(s, &w, a, &broken)) {
            (void)printf("      (does not apply: the way is not a way)\n");
            return;
        }
        for (unsigned k = 0; k < out->sends_count; k++) {
            (void)printf("      > ");
            show_message(out->sends[k]);
            (void)printf("\n");
        }
        for (unsigned k = 0; k < out->answers_count; k++) {
            (void)printf("      > read %u: result %u index %u\n", out->answers[k].cookie,
                         out->answers[k].result, out->answers[k].index);
        }
        if (out->broken == NULL) {
            show_member(mc_view_at(w.member[a->node]));
        }
        if (broken != NULL) {
            (void)printf("      BROKEN %s\n", broken);
            return;
        }
    }
}
