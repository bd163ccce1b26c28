/* SPDX-License-Identifier: Apache-2.0 */
/* options.h: a checked configuration as the node's options. Pure; any thread. */
#ifndef COORD_SERVER_SHELL_OPTIONS_H
#define COORD_SERVER_SHELL_OPTIONS_H

#include "server/node/node.h"
#include "server/shell/conf.h"

/* rng_seed: random, for election jitter. ret_o->cluster points into c. Errors: none. */
void options_fill(const struct conf *c, uint64_t rng_seed, struct node_options *ret_o);

#endif
