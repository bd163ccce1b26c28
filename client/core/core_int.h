/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_int.h: the body of a core, for the files of client/core only. core.h says what it
 * guarantees.
 * Thread: none; one at a time.
 */
#ifndef COORD_CLIENT_CORE_CORE_INT_H
#define COORD_CLIENT_CORE_CORE_INT_H

#include "client/core/core.h"
#include "client/core/limits.h"
#include "protocol/buf.h"

enum coord__link_state {
    COORD__LINK_PAUSE = 1,  /* until link.until */
    COORD__LINK_WANTED = 2, /* the shell is to connect */
    COORD__LINK_HELLO = 3,  /* the hello is under way */
    COORD__LINK_READY = 4,
    COORD__LINK_CLOSED = 5 /* the core is closed */
};

struct coord__link {
    enum coord__link_state state;
    uint64_t id;     /* of the connection wished or made */
    uint32_t server; /* of it, or the last one */
    uint64_t until; /* PAUSE: its end. WANTED, HELLO: given up then. detached READY: no longer so */
    uint64_t ready_at; /* READY since */
    uint64_t heard;    /* bytes came last */
    uint64_t asked;    /* the oldest request without an answer was sent; 0 none is */
    bool attached;     /* READY, and the session is on it */
    bool detached; /* for what needs no quorum, until `until`: without the session that is held */
    bool barrier;  /* an open or a close of the session is under way: nothing else is sent */
    bool pinging;
    bool loud; /* a PING has promised that nothing but PINGs is short (COORD_LOUD_BYTES) */
    bool good; /* it answered a request with success */
    uint32_t member;
    uint32_t failures; /* servers in a row that failed */
    uint32_t rounds;   /* of all servers, in a row, that failed */
    bool
        refused; /* a server that can be reached refused for want of a quorum, none was seen since */
    uint32_t refused_by;
};

struct coord__session {
    uint64_t id; /* 0: none */
    uint8_t secret[COORD_SECRET_BYTES];
    uint64_t timeout_ns;
    uint64_t kept;    /* SEND time of the newest acknowledged keep-alive */
    uint64_t ping_at; /* no ping before this: the last one was refused */
};

struct coord__outcome_slot {
    uint64_t id;
    enum coord_outcome outcome;
};

struct coord__core {
    struct coord__core_options o;
    char name[COORD__NAME_BYTES_MAX + 1];
    uint64_t now; /* of the last event */
    uint64_t random;
    bool closed;

    struct coord__link link;
    uint64_t full_at;                         /* see pace.c */
    uint64_t missed_at;                       /* a quorum, by anybody; 0 not since one was seen */
    uint64_t refused_at[COORD_SERVERS_MAX];   /* for want of a quorum; 0 not since one was seen */
    uint64_t unreached_at[COORD_SERVERS_MAX]; /* it could not be reached; 0 not since it was */
    bool has_no_quorum;
    struct coord_no_quorum no_quorum; /* of the last refusal that told */
    struct coord__session session;
    struct coord_limits limits; /* of the link's server */
    uint64_t seen;              /* highest revision told by any server */
    char why[COORD__WHY_BYTES];

    uint64_t last_id;
    uint64_t last_number;
    uint64_t last_watch;
    struct coord__list waiting; /* to be sent on this link, in order */
    struct coord__list flying;  /* sent on this link, in order */
    struct coord__list done;    /* completed, to be given out */
    struct coord__list writes;  /* numbered writes without an answer, by number */
    struct coord__list others;  /* other numbered requests without an answer, by number */
    uint32_t requests;          /* USER requests in waiting and flying, without zombies */
    uint32_t flying_count;
    uint64_t pending_bytes;
    uint64_t expiry; /* no request's deadline is before this */

    struct coord__list watches;
    struct coord__list watch_buckets[COORD__WATCH_BUCKETS]; /* the same, by id */
    struct coord__list watch_out;
    uint32_t watches_count;
    struct coord__list timers;     /* the earliest first */
    struct coord__list timers_out; /* to be given out */
    uint64_t last_timer;
    uint64_t watch_retry; /* no watch's retry_at is before this */

    enum coord_state states[COORD__STATES_MAX];
    uint32_t states_count;
    enum coord_state told;

    struct coord_buf *in; /* bytes [in_at, len) are not taken yet */
    uint32_t in_at;
    struct coord_buf *out; /* bytes [out_at, len) are not sent yet */
    uint32_t out_at;

    struct coord_result result; /* of the reply given out last */
    struct coord_event frame_event;

    struct coord__outcome_slot outcomes[COORD__OUTCOMES];
};

/* core.c */
uint64_t coord__random(struct coord__core *k);
void coord__clock(struct coord__core *k, uint64_t now);
/* Note how r (USER, not completed) ended. text NULL: that of error. In flying it becomes a zombie,
 * otherwise it leaves all lists. */
void coord__settle(struct coord__core *k, struct coord__request *r, int error, const char *text);
/* The same, and queue it to be given out. */
void coord__complete(struct coord__core *k, struct coord__request *r, int error, const char *text);
/* Remove r from waiting or flying and forget its number. */
void coord__unhook(struct coord__core *k, struct coord__request *r);
/* Unhook r, which is of the core's own or a zombie, and free it when nobody else holds it. */
void coord__drop(struct coord__core *k, struct coord__request *r);
void coord__outcome_set(struct coord__core *k, uint64_t id, enum coord_outcome outcome);
/* The same for a request that completed before, if it is still remembered. */
void coord__outcome_late(struct coord__core *k, uint64_t id, enum coord_outcome outcome);
/* Tell the state if it is another than the last told. */
void coord__state_check(struct coord__core *k);
void coord__state_tell(struct coord__core *k, enum coord_state state);

/* link.c */
void coord__link_start(struct coord__core *k);
/* Give the link up and go to the next server (same: to this one again); why for people. failed: it
 * counts as a failure of the server. */
enum coord__link_end {
    COORD__END_FAILED = 1,     /* could not be reached, broke, or spoke nonsense */
    COORD__END_MOVE = 2,       /* another server may do better */
    COORD__END_AGAIN = 3,      /* the same server, anew */
    COORD__END_TURNED_AWAY = 4 /* it says that it does not serve: as good as not reached */
};
void coord__link_end(struct coord__core *k, enum coord__link_end end, const char *why);
/* The same as END_TURNED_AWAY, in the words of the answer that said so. */
void coord__link_turned_away(struct coord__core *k, const struct coord_result *res);
/* The server closes the connection, and has said why. */
void coord__link_last_word(struct coord__core *k, const struct coord_result *res);
void coord__link_hello(struct coord__core *k, const struct coord_result *res);
/* A quorum was seen from a detached link: attach the session soon. */
void coord__link_attach(struct coord__core *k);
/* No session is held, and all servers refused: be detached where we are, with pauses that grow. */
void coord__link_stay(struct coord__core *k);
void coord__link_tick(struct coord__core *k);
uint64_t coord__link_deadline(const struct coord__core *k);

/* pace.c */
/* When so many connections may be begun at once: now, or later. */
uint64_t coord__pace_at(const struct coord__core *k, uint32_t connections);
/* One is begun, which is allowed. */
void coord__pace_take(struct coord__core *k);
/* The last one does not count. */
void coord__pace_give_back(struct coord__core *k);

/* refusal.c */
/* The link's server refused something for want of a quorum; a quorum was seen at work. */
void coord__quorum_missed(struct coord__core *k, const struct coord_result *res);
void coord__quorum_seen(struct coord__core *k);
/* Servers, one bit each, that refused somebody so a moment ago. */
uint32_t coord__quorum_refusers(const struct coord__core *k);
/* May all servers be asked again, and the link be made detached after that? */
bool coord__may_ask_all(const struct coord__core *k);
/* Did all servers refuse, or could not be reached, a moment ago? */
bool coord__quorum_hopeless(const struct coord__core *k);
/* The link is detached, and r is nothing for it: if all servers refused or could not be reached a moment ago, r is
 * completed in their words. Return: true when it was. */
bool coord__refused_already(struct coord__core *k, struct coord__request *r);
/* Has r been tried on each server, or could as well have been? A write in doubt asks each one itself. */
bool coord__tried_everywhere(const struct coord__core *k, const struct coord__request *r);
/* Is r tried on until its deadline although every server refused it for want of a quorum? Not a write that
 * could be applied twice. */
bool coord__waits_for_quorum(const struct coord__core *k, const struct coord__request *r);
/* The link's server answered ENOQUORUM or EINDOUBT for r, which is in waiting now: complete it when
 * every server was tried. Return: true when it was completed. */
bool coord__refused_check(struct coord__core *k, struct coord__request *r);
/* The link's server can neither attach nor open the session for want of a quorum: note it for all
 * that wait for the session. */
void coord__refuse_waiting(struct coord__core *k, const struct coord_result *res);
/* The link's server could not be reached: note it for all that wait. */
void coord__unreached(struct coord__core *k);

/* pump.c */
void coord__pump(struct coord__core *k);
/* Send r now; it is not in waiting or flying. Return: 0, COORD_ENOMEM or COORD_ETOOBIG, with r in
 * neither list. */
int coord__send(struct coord__core *k, struct coord__request *r);
/* Send a request of the core's own. Return: 0 or negative. */
int coord__send_own(struct coord__core *k, enum coord__role role, const struct coord_request *q);
uint64_t coord__acked(const struct coord__core *k);

/* session.c */
uint64_t coord__lease_ns(const struct coord__session *s);
void coord__session_kept(struct coord__core *k, uint64_t sent);
void coord__session_open(struct coord__core *k);
void coord__session_opened(struct coord__core *k, const struct coord__request *r,
                           const struct coord_result *res);
/* The servers have no such session any more. reconnect: the link was attached to it. */
void coord__session_gone(struct coord__core *k, bool reconnect);
/* It was closed as asked. */
void coord__session_ended(struct coord__core *k);
void coord__session_ponged(struct coord__core *k, const struct coord__request *r,
                           const struct coord_result *res);
void coord__session_tick(struct coord__core *k);
uint64_t coord__session_deadline(const struct coord__core *k);

/* timer.c */
void coord__timers_tick(struct coord__core *k);
uint64_t coord__timers_deadline(const struct coord__core *k);
bool coord__timer_next(struct coord__core *k, struct coord__out *ret_out);
void coord__timers_close(struct coord__core *k);
void coord__timers_free(struct coord__core *k);

/* recv.c */
/* Take one frame. Return: 0 there is no whole one, 1 *ret_out is set, 2 it had nothing to give
 * out. */
int coord__recv_frame(struct coord__core *k, struct coord__out *ret_out);

/* watch.c */
void coord__watches_lost(struct coord__core *k);
void coord__watches_ask(struct coord__core *k);
/* Its request could not be sent: try again later. */
void coord__watch_unsent(struct coord__core *k, uint64_t id);
void coord__watch_answered(struct coord__core *k, const struct coord__request *r,
                           const struct coord_result *res);
bool coord__watch_next(struct coord__core *k, struct coord__out *ret_out);
/* One event frame. Return: 1 given out in *ret_out, 0 nothing to tell, 2 given out but the frame is
 * to be read again. */
int coord__watch_event(struct coord__core *k, const struct coord_event *ev,
                       struct coord__out *ret_out);
void coord__watches_tick(struct coord__core *k);
void coord__watches_close(struct coord__core *k);

#endif
