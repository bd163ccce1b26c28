/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_value.h: the scalars of a configuration file: numbers, durations, sizes, addresses.
 * Private to conf.c and its tests. Each function reads the whole text or refuses it: nothing is
 * skipped, rounded or guessed. On refusal it says why in `why` and returns -1 with the output untouched.
 */
#ifndef COORD_SERVER_SHELL_CONF_VALUE_H
#define COORD_SERVER_SHELL_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "server/shell/conf.h"

#define CONF_WHY_BYTES 400

/* Decimal digits only, without sign, exponent or leading zero. */
int conf_value_number(const char *text, uint64_t *ret_n, char why[CONF_WHY_BYTES]);
/* Digits and one of ms, s, m; to nanoseconds. */
int conf_value_duration(const char *text, uint64_t *ret_ns, char why[CONF_WHY_BYTES]);
/* Digits and one of B, KiB, MiB, GiB. */
int conf_value_size(const char *text, uint64_t *ret_bytes, char why[CONF_WHY_BYTES]);
/* Digits and ppm: parts per million. */
int conf_value_ppm(const char *text, uint64_t *ret_ppm, char why[CONF_WHY_BYTES]);
/* true or false. */
int conf_value_bool(const char *text, bool *ret_b, char why[CONF_WHY_BYTES]);
/* host:port, 1.2.3.4:port or [v6]:port; port 1 .. 65535. Not a wildcard: others connect to it. */
int conf_value_address(const char *text, struct conf_address *ret_a, char why[CONF_WHY_BYTES]);

/* Write n back in the largest unit that shows it exactly ("500ms", "256MiB"). */
void conf_value_format_duration(uint64_t ns, char *out, size_t out_bytes);
void conf_value_format_size(uint64_t bytes, char *out, size_t out_bytes);

#endif
