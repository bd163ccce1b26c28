/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c: see json.h (RFC 8259).
 */
#include <inttypes.h>
#include <string.h>
#include "client/cli/json.h"

struct json json_begin(FILE *out)
{
    fputc('{', out);
    return (struct json){.out = out};
}

void json_end(struct json *j)
{
    fputs("}\n", j->out);
}

static void put_key(struct json *j, const char *key, const char *suffix)
{
    fprintf(j->out, "%s\"%s%s\": ", j->comma ? ", " : "", key, suffix);
    j->comma = true;
}

void json_number(struct json *j, const char *key, uint64_t n)
{
    put_key(j, key, "");
    fprintf(j->out, "%" PRIu64, n);
}

void json_signed(struct json *j, const char *key, int64_t n)
{
    put_key(j, key, "");
    fprintf(j->out, "%" PRId64, n);
}

void json_real(struct json *j, const char *key, double x)
{
    json_decimal(j, key, x, 1);
}

void json_decimal(struct json *j, const char *key, double x, int digits)
{
    put_key(j, key, "");
    fprintf(j->out, "%.*f", digits, x);
}

void json_bool(struct json *j, const char *key, bool b)
{
    put_key(j, key, "");
    fputs(b ? "true" : "false", j->out);
}

/* Bytes of the UTF-8 character at p, 0 when it is not one (RFC 3629). */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (len == 0 || p[0] > 0xf4 || len > n) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return len;
}

static bool is_utf8(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len = utf8_len(p + i, n - i);
        if (len == 0) {
            return false;
        }
        i += len;
    }
    return true;
}

static void put_string(FILE *out, const unsigned char *p, size_t n)
{
    fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"' || p[i] == '\\') {
            fputc('\\', out);
            fputc(p[i], out);
        } else if (p[i] == '\n') {
            fputs("\\n", out);
        } else if (p[i] < 0x20 || p[i] == 0x7f) {
            fprintf(out, "\\u%04x", p[i]);
        } else {
            fputc(p[i], out);
        }
    }
    fputc('"', out);
}

static void put_base64(FILE *out, const unsigned char *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    fputc('"', out);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;
        v |= i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0;
        v |= i + 2 < n ? (uint32_t)p[i + 2] : 0;
        fputc(digits[v >> 18], out);
        fputc(digits[(v >> 12) & 63], out);
        fputc(i + 1 < n ? digits[(v >> 6) & 63] : '=', out);
        fputc(i + 2 < n ? digits[v & 63] : '=', out);
    }
    fputc('"', out);
}

void json_bytes(struct json *j, const char *key, const void *bytes, size_t n)
{
    if (bytes == NULL) {
        put_key(j, key, "");
        fputs("null", j->out);
    } else if (is_utf8(bytes, n)) {
        put_key(j, key, "");
        put_string(j->out, bytes, n);
    } else {
        put_key(j, key, "_base64");
        put_base64(j->out, bytes, n);
    }
}

void json_text(struct json *j, const char *key, const char *text)
{
    json_bytes(j, key, text, text != NULL ? strlen(text) : 0);
}

void json_numbers(struct json *j, const char *key, const uint32_t *n, size_t count)
{
    put_key(j, key, "");
    fputc('[', j->out);
    for (size_t i = 0; i < count; i++) {
        fprintf(j->out, "%s%" PRIu32, i > 0 ? ", " : "", n[i]);
    }
    fputc(']', j->out);
}

void json_texts(struct json *j, const char *key, const char *const *texts, size_t count)
{
    put_key(j, key, "");
    fputc('[', j->out);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? ", " : "", j->out);
        put_string(j->out, (const unsigned char *)texts[i], strlen(texts[i]));
    }
    fputc(']', j->out);
}

void json_open(struct json *j, const char *key)
{
    put_key(j, key, "");
    fputc('{', j->out);
    j->comma = false;
}

void json_close(struct json *j)
{
    fputc('}', j->out);
    j->comma = true;
}
