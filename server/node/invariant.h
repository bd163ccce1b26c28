/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invariant.h: the assertion of server/node: on in release, for broken invariants only, never for what a
 * client, a peer or a disk said.
 */
#ifndef COORD_SERVER_NODE_INVARIANT_H
#define COORD_SERVER_NODE_INVARIANT_H

#define NODE_ASSERT(condition) \
    ((condition) ? (void)0 : node__assert_failed(__FILE__, __LINE__, #condition))

/* Say where on stderr and abort: going on would answer clients from a state that makes no sense. */
_Noreturn void node__assert_failed(const char *file, int line, const char *condition);

/* Memory without which the member cannot go on safely (its state would differ from the log).
 * Return: never NULL; out of memory stops the process with a message. */
void *node__must_alloc(void *p);

#endif
