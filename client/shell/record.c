/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c: see record.h. The lines are those of docs/history.md.
 *
 * A batch begins with an empty line: should another recorder of the same file have been cut short by
 * a full disk, its last half line stands alone.
 *
 * Leaves to others: reading them (client/verify).
 * Thread: see record.h.
 */
#include "client/shell/record.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "client/core/convert.h"
#include "client/core/mem.h"

#define BUFFER_BYTES 65536u
/* Room that every line finds: a path of 1,024 bytes takes three times as much at worst, and a line
 * has two of them; the rest is numbers and a value. */
#define LINE_BYTES  8192u
#define LIST_BYTES  32768u /* of one list's names; what is beyond is told as "more" */
#define VALUE_BYTES 64u    /* longer values are told by length and hash */
#define STATE_WORD  "live"
#define STATE_LOST  "lost"

struct coord__recorder {
    int fd;
    off_t state_at; /* where the header says "live"; -1: cannot be changed there */
    uint64_t client;
    uint64_t session; /* told last */
    bool failed;
    size_t len;
    char bytes[BUFFER_BYTES];
};

/* --- the file ---------------------------------------------------------------------------------- */

/* The recording ends here: what happens from now on is not told. */
static void give_up(struct coord__recorder *rec)
{
    int flags = fcntl(rec->fd, F_GETFL);
    rec->failed = true;
    rec->len = 0;
    if (rec->state_at >= 0 && flags >= 0 && fcntl(rec->fd, F_SETFL, flags & ~O_APPEND) == 0) {
        ssize_t n = pwrite(rec->fd, STATE_LOST, sizeof(STATE_LOST) - 1, rec->state_at);
        (void)
            n; /* the bytes are there already; should even this fail, nothing is left to be done */
    }
}

void coord__record_flush(struct coord__recorder *rec)
{
    if (rec == NULL || rec->failed || rec->len == 0) {
        return;
    }
    ssize_t n;
    do {
        n = write(rec->fd, rec->bytes, rec->len);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)rec->len) {
        give_up(rec); /* the rest could not be put right behind the part that was written */
        return;
    }
    rec->len = 0;
}

static void add_char(struct coord__recorder *rec, char c)
{
    if (rec->len < BUFFER_BYTES) {
        rec->bytes[rec->len++] = c;
    }
}

static void add(struct coord__recorder *rec, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct coord__recorder *rec, const char *format, ...)
{
    size_t room = BUFFER_BYTES - rec->len;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(rec->bytes + rec->len, room, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < room); /* begin() made room */
    rec->len += (size_t)n;
}

/* Make room for a line of `bytes`. Return: false when nothing is recorded (any more). */
static bool begin(struct coord__recorder *rec, size_t bytes)
{
    if (rec == NULL || rec->failed) {
        return false;
    }
    if (BUFFER_BYTES - rec->len < bytes) {
        coord__record_flush(rec);
    }
    if (rec->failed) {
        return false;
    }
    if (rec->len == 0) {
        add_char(rec, '\n');
    }
    return true;
}

/* --- words ------------------------------------------------------------------------------------- */

/* Bytes that are blanks, separators or not ASCII become %XX. */
static void add_text(struct coord__recorder *rec, const uint8_t *bytes, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        uint8_t c = bytes[i];
        bool plain = c > 0x20 && c < 0x7f && c != '%' && c != ';' && c != '|' && c != ':';
        if (plain) {
            add_char(rec, (char)c);
        } else {
            add_char(rec, '%');
            add_char(rec, hex[c >> 4]);
            add_char(rec, hex[c & 15]);
        }
    }
}

static void add_bytes(struct coord__recorder *rec, struct coord_bytes b)
{
    add_text(rec, b.data, b.len);
}

static uint64_t turn(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* 128 bits of a long value: only to tell it from others that were recorded. */
static void hash_value(const uint8_t *bytes, size_t len, uint64_t out[2])
{
    uint64_t a = 0x9e3779b97f4a7c15ull ^ len;
    uint64_t b = 0xc2b2ae3d27d4eb4full + len;
    for (size_t at = 0; at < len; at += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, len - at < 8 ? len - at : 8);
        a = turn(a ^ word * 0x87c37b91114253d5ull, 31) * 0x4cf5ad432745937full;
        b = turn(b + word * 0xbf58476d1ce4e5b9ull, 27) * 0x94d049bb133111ebull;
    }
    out[0] = (a ^ a >> 29) * 0xff51afd7ed558ccdull ^ b >> 32;
    out[1] = (b ^ b >> 31) * 0xc4ceb9fe1a85ec53ull ^ a >> 32;
}

static void add_value(struct coord__recorder *rec, struct coord_bytes b)
{
    uint64_t sum[2];
    if (b.data == NULL) {
        add(rec, "none");
    } else if (b.len <= VALUE_BYTES) {
        add(rec, "s:");
        add_bytes(rec, b);
    } else {
        hash_value(b.data, b.len, sum);
        add(rec, "h:%" PRIu32 ":%016" PRIx64 "%016" PRIx64, b.len, sum[0], sum[1]);
    }
}

static void add_stat(struct coord__recorder *rec, const struct coord_node_stat *s)
{
    add(rec,
        "%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%u:%" PRIu64 ":%" PRIu64
        ":%" PRIu64 ":%" PRIu64,
        s->create_revision, s->modify_revision, s->child_revision, s->version, s->child_version,
        (unsigned)s->kind, s->owner, s->ttl_ms, s->data_bytes, s->children);
}

/* --- calls ------------------------------------------------------------------------------------- */

/* The name of an operation that is recorded; NULL for the others. */
static const char *name_of(enum coord_op op)
{
    switch (op) {
    case COORD_OP_CREATE:
        return "create";
    case COORD_OP_SET:
        return "set";
    case COORD_OP_DELETE:
        return "delete";
    case COORD_OP_GET:
        return "get";
    case COORD_OP_EXISTS:
        return "exists";
    case COORD_OP_STAT:
        return "stat";
    case COORD_OP_LIST:
        return "list";
    case COORD_OP_SYNC:
        return "sync";
    case COORD_OP_SESSION_CLOSE:
        return "close";
    default:
        return NULL;
    }
}

static void add_conditions(struct coord__recorder *rec, const struct coord_request *q)
{
    if (q->expect_version != COORD_VERSION_ANY) {
        add(rec, " ver=%" PRId64, q->expect_version);
    }
    if (q->expect_modified != 0) {
        add(rec, " mod=%" PRIu64, q->expect_modified);
    }
    if (q->expect_created != 0) {
        add(rec, " cre=%" PRIu64, q->expect_created);
    }
}

static void add_arguments(struct coord__recorder *rec, const struct coord_request *q)
{
    if (q->path.data != NULL) {
        add(rec, " path=");
        add_bytes(rec, q->path);
    }
    if (q->op == COORD_OP_CREATE || q->op == COORD_OP_SET) {
        add(rec, " data=");
        add_value(rec, q->data);
    }
    if (q->flags != 0) {
        add(rec, " flags=%" PRIu32, q->flags);
    }
    if (q->ttl_ms != 0) {
        add(rec, " ttl=%" PRIu64, q->ttl_ms);
    }
    if (q->op == COORD_OP_SET || q->op == COORD_OP_DELETE) {
        add_conditions(rec, q);
    }
    if (q->after.data != NULL && q->after.len > 0) {
        add(rec, " after=");
        add_bytes(rec, q->after);
    }
    if (q->limit != 0) {
        add(rec, " limit=%" PRIu64, q->limit);
    }
    if (q->op != COORD_OP_SYNC && coord_op_kind(q->op) == COORD_KIND_READ) {
        add(rec, " level=%s", coord_consistency_name(coord__convert_consistency(q->level)));
    }
    if (q->level == COORD_LEVEL_BOUNDED) {
        add(rec, " bound=%" PRIu64, q->level_arg);
    }
}

void coord__record_call(struct coord__recorder *rec, const struct coord__request *r, uint64_t now)
{
    const char *name = name_of(r->q.op);
    if (name == NULL || !begin(rec, LINE_BYTES)) {
        return;
    }
    add(rec, "C %" PRIx64 " %" PRIu64 " %" PRIu64 " %s", rec->client, r->id, now, name);
    add_arguments(rec, &r->q);
    add_char(rec, '\n');
}

/* --- answers ----------------------------------------------------------------------------------- */

static void add_receipt(struct coord__recorder *rec, const struct coord_receipt *c)
{
    add(rec, " rcpt=%" PRIu32 ":%" PRIu64 ":%" PRIu64 ":", c->member, c->term, c->revision);
    if (c->age_ms == UINT64_MAX) {
        add_char(rec, '-');
    } else {
        add(rec, "%" PRIu64, c->age_ms);
    }
    add(rec, ":%d", (int)coord__convert_consistency(c->level));
}

/* The names of a page, with what came with them, as far as there is room. */
static void add_entries(struct coord__recorder *rec, const struct coord_result *res)
{
    struct coord_bytes cursor = res->entries_raw;
    struct coord_list_entry e;
    size_t from = rec->len;
    uint32_t count = 0;
    bool more = res->more;
    while (count < res->entries_count && coord_list_next(&cursor, &e) == 1) {
        if (rec->len - from > LIST_BYTES - LINE_BYTES) {
            more = true;
            break;
        }
        count++;
        add(rec, " e=");
        add_bytes(rec, e.name);
        if (e.has_data || e.has_stat) {
            add_char(rec, '|');
        }
        if (e.has_data) {
            add_value(rec, e.data);
        }
        if (e.has_stat) {
            add_char(rec, '|');
            add_stat(rec, &e.stat);
        }
    }
    if (more) {
        add(rec, " more=1");
    }
}

/* What a success says beside its receipt. */
static void add_result(struct coord__recorder *rec, const struct coord__out *out)
{
    const struct coord_result *res = out->result;
    switch (out->request->q.op) {
    case COORD_OP_CREATE:
        add(rec, " rev=%" PRIu64 " path=", res->stat.create_revision);
        add_bytes(rec, res->path);
        if ((out->request->q.flags & COORD_F_SEQUENTIAL) != 0) {
            add(rec, " seq=%" PRIu64, res->sequence);
        }
        break;
    case COORD_OP_SET:
        add(rec, " rev=%" PRIu64, res->stat.modify_revision);
        break;
    case COORD_OP_DELETE:
    case COORD_OP_SYNC:
        add(rec, " rev=%" PRIu64, res->revision);
        return;
    case COORD_OP_EXISTS:
        add(rec, " exists=%d", res->exists ? 1 : 0);
        return;
    case COORD_OP_GET:
        add(rec, " data=");
        add_value(rec, res->data);
        break;
    case COORD_OP_STAT:
    case COORD_OP_LIST:
        break;
    default:
        return;
    }
    add(rec, " stat=");
    add_stat(rec, &res->stat);
    if (out->request->q.op == COORD_OP_LIST) {
        add_entries(rec, res);
    }
}

static void note_session(struct coord__recorder *rec, const char *state, uint64_t session,
                         uint64_t now)
{
    rec->session = session;
    add(rec, "S %" PRIx64 " %" PRIu64 " %s session=%" PRIu64 "\n", rec->client, now, state,
        session);
}

void coord__record_reply(struct coord__recorder *rec, const struct coord__out *out,
                         uint64_t session, uint64_t now)
{
    static const char *const outcomes[] = {"pending", "done", "failed", "notapplied", "unknown"};
    const struct coord_result *res = out->result;
    if (name_of(out->request->q.op) == NULL || !begin(rec, LINE_BYTES + LIST_BYTES)) {
        return;
    }
    assert(out->outcome >= COORD_OUTCOME_DONE && out->outcome <= COORD_OUTCOME_UNKNOWN);
    /* The close itself belongs to the session that it ended. */
    uint64_t whose =
        out->request->q.op == COORD_OP_SESSION_CLOSE && session == 0 ? rec->session : session;
    add(rec, "R %" PRIx64 " %" PRIu64 " %" PRIu64 " %s %s session=%" PRIu64, rec->client,
        out->request->id, now, coord_errname(out->error), outcomes[out->outcome], whose);
    if (res != NULL) {
        add_receipt(rec, &res->receipt);
    }
    if (res != NULL && res->error == 0 && out->error == 0) {
        add_result(rec, out);
    }
    add_char(rec, '\n');
    if (session != rec->session) {
        note_session(rec, "SESSION", session, now);
    }
}

void coord__record_state(struct coord__recorder *rec, enum coord_state state, uint64_t session,
                         uint64_t now)
{
    if (begin(rec, LINE_BYTES)) {
        note_session(rec, coord_state_name(state), session, now);
    }
}

/* --- beginning and end ------------------------------------------------------------------------- */

/* A number that no other recorder has. */
static uint64_t new_client(uint64_t now)
{
    uint64_t id = 0;
    if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != (ssize_t)sizeof(id)) {
        id = now * 0x9e3779b97f4a7c15ull ^ (uint64_t)getpid() << 40;
    }
    return id | 1;
}

/* Which boot of which machine this is: only times of one can be compared. */
static void read_boot(char out[40])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, 36) : -1;
    out[n == 36 ? 36 : 0] = 0;
    if (n != 36) {
        memcpy(out, "unknown", sizeof("unknown"));
    }
    if (fd >= 0) {
        (void)close(fd); /* only read */
    }
}

static int write_header(struct coord__recorder *rec, uint64_t now)
{
    char boot[40];
    struct timespec wall;
    (void)clock_gettime(CLOCK_REALTIME, &wall); /* cannot fail: the clock exists */
    read_boot(boot);
    add(rec, "\nH %" PRIx64 " coord-history/1 ", rec->client);
    size_t state = rec->len;
    add(rec, STATE_WORD " clock=boottime boot=%s pid=%ld at=%" PRIu64 " wall=%" PRIu64 "\n", boot,
        (long)getpid(), now, (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec);
    size_t len = rec->len;
    coord__record_flush(rec);
    if (rec->failed) {
        return COORD_ESYSTEM;
    }
    off_t end = lseek(rec->fd, 0, SEEK_CUR);
    rec->state_at = end >= 0 ? end - (off_t)(len - state) : -1;
    return 0;
}

int coord__record_open(const char *file, uint64_t now, struct coord__recorder **ret_rec)
{
    struct coord__recorder *rec = coord__alloc(sizeof(*rec));
    if (rec == NULL) {
        return COORD_ENOMEM;
    }
    rec->state_at = -1;
    rec->client = new_client(now);
    rec->fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    int err = rec->fd < 0 ? COORD_ESYSTEM : write_header(rec, now);
    if (err < 0) {
        int why = errno;
        coord__record_close(rec, NULL, now);
        errno = why;
        return err;
    }
    *ret_rec = rec;
    return 0;
}

void coord__record_close(struct coord__recorder *rec, const char *how, uint64_t now)
{
    if (rec == NULL) {
        return;
    }
    if (how != NULL && begin(rec, LINE_BYTES)) {
        add(rec, "E %" PRIx64 " %" PRIu64 " %s\n", rec->client, now, how);
        coord__record_flush(rec);
    }
    if (rec->fd >= 0) {
        (void)close(rec->fd); /* what was written is in the file; there is no one to tell more */
    }
    coord__free(rec);
}
