/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h: every bound of the client library that is not in a public header, each with its reason.
 * Thread: constants only.
 */
#ifndef COORD_CLIENT_CORE_LIMITS_H
#define COORD_CLIENT_CORE_LIMITS_H

#include <stdint.h>

/* Bytes of requests under way, paths and data together: what a burst may cost in memory. More:
 * EBUSY. */
#define COORD__PENDING_BYTES_MAX (64u * 1024 * 1024)

/* Encoded but not yet sent: enough to fill a socket, little enough that a move to another server
 * does not throw much away. */
#define COORD__OUTPUT_BYTES_SOFT (256u * 1024)

/* The largest frame believed before a server told its limit: a hello and its errors are far
 * smaller. */
#define COORD__HELLO_FRAME_BYTES (64u * 1024)
/* A server whose limit is smaller is not spoken to: everything that the core asks for itself, and a
 * request with the longest path but no data, must fit, or it would be tried again without end. */
#define COORD__FRAME_BYTES_LEAST (4u * 1024)
/* What is believed of a server's limit at most, and what is added for receipts and headers. */
#define COORD__FRAME_BYTES_MAX   (64u * 1024 * 1024)
#define COORD__FRAME_BYTES_SLACK (64u * 1024)

/* Completed requests whose outcome is remembered (coord.h promises it). */
#define COORD__OUTCOMES 4096u

/* State changes not yet told; the states between first and last may be merged beyond this. */
#define COORD__STATES_MAX 16u

/* Streams in a row that a server broke while a request was under way, until the request fails with
 * EPROTO instead of being tried again. */
#define COORD__BAD_STREAMS_MAX 3u

/* The lease is shortened by 1/100 (clocks drift apart) and this (they also tick). */
#define COORD__LEASE_DRIFT_DIVISOR 100u
#define COORD__LEASE_SLACK_NS      50000000ull

/* A connection that lived this long was good: back-off starts anew after it. */
#define COORD__LINK_GOOD_NS 1000000000ull

/* For so long a server that refused a request for want of a quorum is taken to refuse others likewise, and one
 * that could not be reached not to be there; the long one when the bound on connections forbids to ask them all. */
#define COORD__REFUSAL_NS      200000000ull
#define COORD__REFUSAL_LONG_NS 1000000000ull

/* Connections for each server, on the average: so many at once, and so many in each COORD__PACE_NS, or in each
 * backoff_max where that is shorter, though not below COORD__PACE_LEAST_NS. Back-off alone begins with seven
 * quick rounds and comes to two in a backoff_max, so it is not slowed down; what requests make a client do is. */
#define COORD__PACE_AT_ONCE  6u
#define COORD__PACE_STEADY   4u
#define COORD__PACE_NS       1000000000ull
#define COORD__PACE_LEAST_NS 100000000ull

/* Lists by which watches are found: a handle with a hundred watches looks at one or none. */
#define COORD__WATCH_BUCKETS 256u

/* Pause before a watch that a server cannot serve yet is asked for again. */
#define COORD__WATCH_RETRY_NS 100000000ull

/* Bytes of the line that says why no server is connected. */
#define COORD__WHY_BYTES 240u

#define COORD__NAME_BYTES_MAX 64u
#define COORD__NS_PER_MS      1000000ull

#endif
