/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_value.c: reads the scalars of a configuration file, strictly: see conf_value.h. It leaves
 * ranges and relations between keys to conf.c and conf_check.c. Pure; any thread.
 */
#include "server/shell/conf_value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CONF_NS_PER_MS UINT64_C(1000000)

struct conf_unit {
    const char *name;
    uint64_t factor;
};

static const struct conf_unit duration_units[] = {
    {"m", 60000 * CONF_NS_PER_MS}, {"s", 1000 * CONF_NS_PER_MS}, {"ms", CONF_NS_PER_MS}};
static const struct conf_unit size_units[] = {
    {"GiB", UINT64_C(1) << 30}, {"MiB", UINT64_C(1) << 20}, {"KiB", UINT64_C(1) << 10}, {"B", 1}};

static const struct conf_unit ppm_units[] = {{"ppm", 1}};

#define CONF_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Read leading digits. Return: how many, 0 for none, -1 when the number exceeds 64 bits. */
static int digits_read(const char *text, uint64_t *ret_n)
{
    uint64_t n = 0;
    int i = 0;
    for (; text[i] >= '0' && text[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (n > (UINT64_MAX - digit) / 10) {
            return -1;
        }
        n = n * 10 + digit;
    }
    *ret_n = n;
    return i;
}

int conf_value_number(const char *text, uint64_t *ret_n, char why[CONF_WHY_BYTES])
{
    uint64_t n = 0;
    int digits = digits_read(text, &n);
    if (digits < 0) {
        (void)snprintf(why, CONF_WHY_BYTES, "%.80s is too large a number", text);
        return -1;
    }
    if (digits == 0 || text[digits] != '\0' || (digits > 1 && text[0] == '0')) {
        (void)snprintf(why, CONF_WHY_BYTES, "'%.80s' is not a whole number in decimal digits",
                       text);
        return -1;
    }
    *ret_n = n;
    return 0;
}

static int unit_read(const char *text, const struct conf_unit *units, size_t count,
                     const char *wanted, uint64_t *ret_n, char why[CONF_WHY_BYTES])
{
    uint64_t n = 0;
    int digits = digits_read(text, &n);
    if (digits == 0) {
        (void)snprintf(why, CONF_WHY_BYTES, "'%.80s' is not %s", text, wanted);
        return -1;
    }
    if (digits < 0) {
        (void)snprintf(why, CONF_WHY_BYTES, "%.80s is too large", text);
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text + digits, units[i].name) != 0) {
            continue;
        }
        if (n > UINT64_MAX / units[i].factor) {
            (void)snprintf(why, CONF_WHY_BYTES, "%.80s is too large", text);
            return -1;
        }
        *ret_n = n * units[i].factor;
        return 0;
    }
    if (text[digits] == '\0') {
        (void)snprintf(why, CONF_WHY_BYTES, "%.80s has no unit: wanted is %s", text, wanted);
    } else {
        (void)snprintf(why, CONF_WHY_BYTES, "'%.80s' has an unknown unit: wanted is %s", text,
                       wanted);
    }
    return -1;
}

int conf_value_duration(const char *text, uint64_t *ret_ns, char why[CONF_WHY_BYTES])
{
    return unit_read(text, duration_units, CONF_COUNT(duration_units),
                     "a duration such as 50ms, 2s or 1m", ret_ns, why);
}

int conf_value_size(const char *text, uint64_t *ret_bytes, char why[CONF_WHY_BYTES])
{
    return unit_read(text, size_units, CONF_COUNT(size_units),
                     "a size such as 512B, 64KiB, 1MiB or 2GiB", ret_bytes, why);
}

int conf_value_ppm(const char *text, uint64_t *ret_ppm, char why[CONF_WHY_BYTES])
{
    return unit_read(text, ppm_units, CONF_COUNT(ppm_units), "a part such as 1000ppm", ret_ppm,
                     why);
}

int conf_value_bool(const char *text, bool *ret_b, char why[CONF_WHY_BYTES])
{
    if (strcmp(text, "true") == 0) {
        *ret_b = true;
        return 0;
    }
    if (strcmp(text, "false") == 0) {
        *ret_b = false;
        return 0;
    }
    (void)snprintf(why, CONF_WHY_BYTES, "'%.80s' is neither true nor false", text);
    return -1;
}

/* Letters, digits, '-', '_' and '.', no empty label. */
static bool host_name_ok(const char *host, size_t len)
{
    bool label = false;
    for (size_t i = 0; i < len; i++) {
        char ch = host[i];
        bool word = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                    (ch >= '0' && ch <= '9') || ch == '-' || ch == '_';
        if (!word && (ch != '.' || !label)) {
            return false;
        }
        label = word;
    }
    return label;
}

/* Is it only digits and dots: meant as an IPv4 address? */
static bool host_looks_numeric(const char *host)
{
    return host[strspn(host, "0123456789.")] == '\0';
}

static int host_check(const char *host, bool bracketed, const char *text, char why[CONF_WHY_BYTES])
{
    unsigned char raw[16];
    static const unsigned char zero[16];
    bool v4 = !bracketed && inet_pton(AF_INET, host, raw) == 1;
    bool v6 = bracketed && inet_pton(AF_INET6, host, raw) == 1;
    if (bracketed && !v6) {
        (void)snprintf(why, CONF_WHY_BYTES, "'%.80s' has no IPv6 address between [ and ]", text);
        return -1;
    }
    if (!v4 && !v6 && (host_looks_numeric(host) || !host_name_ok(host, strlen(host)))) {
        (void)snprintf(why, CONF_WHY_BYTES, "'%.80s' has neither an IP address nor a host name",
                       text);
        return -1;
    }
    if ((v4 || v6) && memcmp(raw, zero, v4 ? 4 : 16) == 0) {
        (void)snprintf(why, CONF_WHY_BYTES,
                       "%.80s is a wildcard: give the address that others connect to", text);
        return -1;
    }
    return 0;
}

int conf_value_address(const char *text, struct conf_address *ret_a, char why[CONF_WHY_BYTES])
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text) {
        (void)snprintf(why, CONF_WHY_BYTES, "'%.80s' is not an address of the form host:port",
                       text);
        return -1;
    }
    const char *host = text;
    size_t len = (size_t)(colon - text);
    bool bracketed = text[0] == '[' && len >= 2 && colon[-1] == ']';
    if (bracketed) {
        host++;
        len -= 2;
    }
    struct conf_address a = {.port = 0};
    if (len == 0 || len > CONF_HOST_BYTES_MAX || (!bracketed && memchr(host, ':', len) != NULL)) {
        (void)snprintf(why, CONF_WHY_BYTES, "'%.80s' is not an address of the form host:port",
                       text);
        return -1;
    }
    memcpy(a.host, host, len);
    if (host_check(a.host, bracketed, text, why) < 0) {
        return -1;
    }
    uint64_t port = 0;
    char ignored[CONF_WHY_BYTES];
    if (conf_value_number(colon + 1, &port, ignored) < 0 || port == 0 || port > 65535) {
        (void)snprintf(why, CONF_WHY_BYTES, "'%.80s' has no port between 1 and 65535", text);
        return -1;
    }
    a.port = (uint16_t)port;
    *ret_a = a;
    return 0;
}

static void unit_format(uint64_t n, const struct conf_unit *units, size_t count, char *out,
                        size_t out_bytes)
{
    size_t i = 0;
    while (i + 1 < count && (n == 0 || n % units[i].factor != 0)) {
        i++;
    }
    (void)snprintf(out, out_bytes, "%" PRIu64 "%s", n / units[i].factor, units[i].name);
}

void conf_value_format_duration(uint64_t ns, char *out, size_t out_bytes)
{
    unit_format(ns, duration_units, CONF_COUNT(duration_units), out, out_bytes);
}

void conf_value_format_size(uint64_t bytes, char *out, size_t out_bytes)
{
    unit_format(bytes, size_units, CONF_COUNT(size_units), out, out_bytes);
}
