/* SPDX-License-Identifier: Apache-2.0 */
/* log.c: see log.h. Formats into a buffer on the stack, writes it with one call. Any thread. */
#include "server/shell/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "server/shell/clock.h"

#define LOG_TEXT_BYTES 1024 /* of a message */
#define LOG_LINE_BYTES 4096 /* PIPE_BUF: what a pipe takes whole or not at all */

static struct {
    int fd;
    enum conf_log_format format;
    uint32_t node;
} settings = {.fd = STDERR_FILENO, .format = CONF_LOG_TEXT, .node = 0};
static _Atomic int threshold = CONF_LOG_INFO;
static _Atomic uint32_t dropped;

void log_init(int fd, enum conf_log_level level, enum conf_log_format format, uint32_t node)
{
    settings.fd = fd;
    settings.format = format;
    settings.node = node;
    atomic_store(&threshold, (int)level);
}

void log_level_set(enum conf_log_level level)
{
    atomic_store(&threshold, (int)level);
}

static int time_format(char *out, size_t out_bytes)
{
    uint64_t ms = clock_wall_ms();
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL) {
        return snprintf(out, out_bytes, "-");
    }
    return snprintf(out, out_bytes, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900,
                    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                    (unsigned)(ms % 1000));
}

/* Copy text so that it is safe in a terminal and inside JSON quotes: control characters and bytes
 * beyond ASCII become '?' (a cut in the middle of a character would break a reader), quotes and
 * backslashes are escaped for JSON. Return: bytes written. */
static size_t text_escape(const char *text, bool json, char *out, size_t out_bytes)
{
    size_t n = 0;
    for (const char *p = text; *p != '\0' && n + 3 < out_bytes; p++) {
        unsigned char ch = (unsigned char)*p;
        if (json && (ch == '"' || ch == '\\')) {
            out[n++] = '\\';
        }
        out[n++] = ch < 0x20 || ch >= 0x7f ? '?' : (char)ch;
    }
    out[n] = '\0';
    return n;
}

static int line_format(enum conf_log_level level, const char *text, uint32_t lost, char *out)
{
    static const char *const upper[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};
    static const char *const lower[] = {"error", "warn", "info", "debug"};
    char when[80];
    char node[32] = "";
    char extra[40] = "";
    char safe[LOG_TEXT_BYTES * 2];
    bool json = settings.format == CONF_LOG_JSON;
    (void)time_format(when, sizeof(when));
    (void)text_escape(text, json, safe, sizeof(safe));
    if (settings.node != 0) {
        (void)snprintf(node, sizeof(node), json ? ",\"node\":%u" : "node=%u ",
                       (unsigned)settings.node);
    }
    if (lost != 0) {
        (void)snprintf(extra, sizeof(extra), json ? ",\"dropped\":%u" : " dropped=%u",
                       (unsigned)lost);
    }
    if (json) {
        return snprintf(out, LOG_LINE_BYTES,
                        "{\"time\":\"%s\",\"level\":\"%s\"%s,\"text\":\"%s\"%s}\n", when,
                        lower[level], node, safe, extra);
    }
    return snprintf(out, LOG_LINE_BYTES, "%s %s %s%s%s\n", when, upper[level], node, safe, extra);
}

void log_write(enum conf_log_level level, const char *format, ...)
{
    if ((int)level > atomic_load(&threshold)) {
        return;
    }
    char text[LOG_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    uint32_t lost = atomic_exchange(&dropped, 0);
    char line[LOG_LINE_BYTES];
    int len = line_format(level, text, lost, line);
    struct pollfd p = {.fd = settings.fd, .events = POLLOUT};
    /* A pipe says POLLOUT when it has room for PIPE_BUF bytes: the write below then does not wait. */
    if (len <= 0 || poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0 ||
        write(settings.fd, line, (size_t)len) < 0) {
        atomic_fetch_add(&dropped, lost + 1);
    }
}

int log_limit_pass(struct log_limit *l, uint32_t per_window, uint64_t now, uint32_t *ret_kept)
{
    *ret_kept = 0;
    if (l->window_ns == 0 || now - l->window_ns > 10 * CLOCK_NS_PER_S) {
        *ret_kept = l->count > per_window ? l->count - per_window : 0;
        l->window_ns = now;
        l->count = 0;
    }
    l->count++;
    return l->count <= per_window;
}
