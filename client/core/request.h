/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h: one request of a handle, from the call that makes it to its end.
 *
 * Invariants
 *   1. q's byte fields point into the request's own storage; nothing of the caller's is kept.
 *   2. Through `link` a request is in core->waiting or core->flying, or in none. Through `done` it
 *      is in core->done from its completion until it is given out. A completed request whose answer
 *      may still come stays in flying as a zombie, so that later answers meet the right request.
 *   3. number is 0 until the request is first sent. A write keeps its number for ever; everything
 *      else gets a new one each time it is sent.
 * Thread: that of the core.
 */
#ifndef COORD_CLIENT_CORE_REQUEST_H
#define COORD_CLIENT_CORE_REQUEST_H

#include <coord/coord.h>
#include "client/core/list.h"
#include "protocol/message.h"

/* Why a request is there. All but USER are the core's own. */
enum coord__role {
    COORD__USER = 0,
    COORD__HELLO = 1,
    COORD__OPEN = 2,
    COORD__PING = 3,
    COORD__PROBE = 4, /* a STATUS, to hear from a silent server */
    COORD__WATCH = 5, /* q.watch says which; the watch may be gone by now */
    COORD__UNWATCH = 6
};

struct coord__request {
    struct coord__list link;
    struct coord__list order; /* core->writes or core->others, by number, while numbered */
    struct coord__list done;
    enum coord__role role;
    uint64_t id; /* the user's; 0 for the core's own */
    struct coord_request q;
    bool write;       /* goes through the log, under a number that is kept */
    bool unsure;      /* a copy was sent and its fate is not known */
    bool zombie;      /* completed, and in flying: its answer is awaited to learn the outcome */
    bool released;    /* the receiver of the completion is done with it */
    bool flying;      /* in core->flying */
    bool fail_fast;   /* ECONNECT once every server failed */
    bool wait_quorum; /* refusals for want of a quorum are told at the deadline */
    bool numbered;    /* number is valid */
    bool decided;     /* a TXN that the servers decided on, also if an operation of it failed */
    uint32_t bad_streams;
    uint32_t refused; /* servers that answered ENOQUORUM or EINDOUBT, one bit each */
    uint32_t failed;  /* servers that could not be reached */
    int refusal;      /* the error of the last refusal, 0 none */
    bool has_no_quorum;
    struct coord_no_quorum no_quorum; /* of the last refusal that told */
    uint64_t deadline;                /* ns */
    uint64_t first_sent;              /* ns, 0: never */
    uint64_t sent;                    /* ns, of the newest copy */
    uint64_t bytes;                   /* of storage, for the bound on what is under way */

    /* How it ended, while in core->done. */
    int error;
    enum coord_outcome outcome;
    const char *text; /* static or the core's; NULL: that of error */

    /* Of the shell: who is told. */
    coord_reply_cb cb;
    void *arg;
    size_t prefix_bytes; /* in front of q.path that the user does not see */
    void *waiter;        /* of a blocking call, NULL none */

    char *note; /* of a TXN, or with data: room in storage for the text of an error */
    size_t note_bytes;

    uint8_t storage[];
};

/* A request of q with its bytes copied; the path gets a NUL behind it.
 * Return: NULL when memory is out. Ownership: the caller's, for coord__request_free. */
struct coord__request *coord__request_create(enum coord__role role, const struct coord_request *q);
/* r is in no list. NULL is accepted. */
void coord__request_free(struct coord__request *r);

/* Does it need the session of the handle to be attached (policy not OFF)? */
bool coord__request_needs_session(const struct coord__request *r);

/* Is it of no use without a session: does it open one, or make an ephemeral node? */
bool coord__request_owns(const struct coord__request *r);

/* Is it within the limits of the server it is to be sent to? Return: 0, or COORD_ELIMIT or COORD_ETOOBIG with the words
 * in r->note. */
int coord__request_check(struct coord__request *r, const struct coord_limits *limits);

/* The error that res means for r: that of the answer, or of a transaction that of the operation that
 * failed in it (COORD_EPROTO when the answer does not hold it). Notes in r whether it was decided. */
int coord__request_verdict(struct coord__request *r, const struct coord_result *res);

/* What the class of error says about r, given what is known of earlier copies. */
enum coord_outcome coord__request_outcome(const struct coord__request *r, int error);

#endif
