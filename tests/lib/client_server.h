/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_server.h: a member of an ensemble in this process, on a loopback port, for tests of the
 * client with real sockets: the real node over a memory that forgets, run by a thread of its own.
 *
 * Thread: the functions any; the server's thread is inside. Misuse aborts the test.
 */
#ifndef TESTS_CLIENT_SERVER_H
#define TESTS_CLIENT_SERVER_H

#include <stdbool.h>
#include <stdint.h>

struct client_server;

struct client_server_options {
    bool no_quorum;          /* a member of three whose peers do not exist */
    uint64_t session_min_ms; /* 0: 100 */
    bool v6;                 /* on ::1 */
};

/* o: NULL for a serving single member. Waits until it leads (or knows that it cannot). */
struct client_server *client_server_start(const struct client_server_options *o);
void client_server_stop(struct client_server *s);
uint16_t client_server_port(const struct client_server *s);
/* "127.0.0.1:PORT" or "[::1]:PORT"; the server's. */
const char *client_server_address(const struct client_server *s);

/* Close all connections. */
void client_server_kick(struct client_server *s);
/* Refuse new connections, and close the old ones, until told otherwise. */
void client_server_hide(struct client_server *s, bool hidden);
/* Do not read and do not answer, until told otherwise; connections stay. Sessions do not end: a
 * leader that was away gives them their time again. */
void client_server_freeze(struct client_server *s, bool frozen);
/* Drop what clients send, but go on: their sessions run out although they are connected. */
void client_server_deafen(struct client_server *s, bool deaf);
/* Connections accepted so far. */
uint64_t client_server_accepted(struct client_server *s);
uint64_t client_server_sessions(struct client_server *s);

#endif
