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
#define ITEM_BYTES  320u /* numbers and words of one operation of a transaction, or of its answer */
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
    case COORD_OP_INCREMENT:
        return "increment";
    case COORD_OP_RENAME:
        return "rename";
    case COORD_OP_TXN:
        return "txn";
    default:
        return NULL;
    }
}

/* The same; a list that only counts says what a stat does. */
static const char *name_asked(const struct coord_request *q)
{
    bool counts = q->op == COORD_OP_LIST && (q->flags & COORD_LIST_COUNT) != 0;
    return counts ? "stat" : name_of(q->op);
}

static void add_conditions(struct coord__recorder *rec, const struct coord_request *q, char sep)
{
    bool conditional = q->op == COORD_OP_SET || q->op == COORD_OP_DELETE ||
                       q->op == COORD_OP_INCREMENT || q->op == COORD_OP_RENAME;
    if (conditional && q->expect_version != COORD_VERSION_ANY) {
        add(rec, "%cver=%" PRId64, sep, q->expect_version);
    }
    if (conditional && q->expect_modified != 0) {
        add(rec, "%cmod=%" PRIu64, sep, q->expect_modified);
    }
    if (conditional && q->expect_created != 0) {
        add(rec, "%ccre=%" PRIu64, sep, q->expect_created);
    }
}

/* Flags as the public header numbers them. */
static uint32_t flags_of(const struct coord_request *q)
{
    if (q->op == COORD_OP_DELETE) {
        return (q->flags & COORD_DELETE_RECURSIVE) != 0 ? COORD_RECURSIVE : 0;
    }
    bool counts = q->op == COORD_OP_LIST && (q->flags & COORD_LIST_COUNT) != 0;
    return counts ? 0 : q->flags;
}

/* What an operation has alone and in a transaction. */
static void add_arguments(struct coord__recorder *rec, const struct coord_request *q, char sep)
{
    if (q->path.data != NULL) {
        add(rec, "%cpath=", sep);
        add_bytes(rec, q->path);
    }
    if (q->op == COORD_OP_RENAME) {
        add(rec, "%cto=", sep);
        add_bytes(rec, q->to);
    }
    if (q->op == COORD_OP_CREATE || q->op == COORD_OP_SET) {
        add(rec, "%cdata=", sep);
        add_value(rec, q->data);
    }
    if (q->op == COORD_OP_INCREMENT) {
        add(rec, "%cdelta=%" PRId64, sep, q->delta);
    }
    if (flags_of(q) != 0) {
        add(rec, "%cflags=%" PRIu32, sep, flags_of(q));
    }
    if (q->ttl_ms != 0) {
        add(rec, "%cttl=%" PRIu64, sep, q->ttl_ms);
    }
    add_conditions(rec, q, sep);
}

/* What only a request of its own has. */
static void add_own_arguments(struct coord__recorder *rec, const struct coord_request *q)
{
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

/* --- transactions ------------------------------------------------------------------------------ */

static void add_ifs(struct coord__recorder *rec, const struct coord_items *ifs)
{
    static const char *const names[] = {"",        "exists", "absent",   "version", "modified",
                                        "created", "value",  "children", "owner",   "held"};
    struct coord_bytes cursor = ifs->raw;
    struct coord_if c;
    while (coord_if_next(&cursor, &c) == 1) {
        add(rec, " if=%s;", names[c.kind]);
        add_bytes(rec, c.path);
        if (c.kind == COORD_WHEN_VALUE) {
            add_char(rec, ';');
            add_value(rec, c.data);
        } else if (c.kind != COORD_WHEN_EXISTS && c.kind != COORD_WHEN_ABSENT) {
            add(rec, ";%" PRIu64, c.number);
        }
    }
}

static void add_ops(struct coord__recorder *rec, const char *branch, const struct coord_items *ops)
{
    struct coord_bytes cursor = ops->raw;
    struct coord_request q;
    while (coord_txn_op_next(&cursor, &q) == 1) {
        add(rec, " %s=%s", branch, name_of(q.op));
        add_arguments(rec, &q, ';');
    }
}

/* Bytes that escaped text takes at most. */
static size_t text_bytes(struct coord_bytes b, size_t most)
{
    return 3 * (b.len < most ? b.len : most);
}

/* Bytes that a list of operations takes at most, or with results their answers. */
static size_t ops_bytes(const struct coord_items *ops)
{
    struct coord_bytes cursor = ops->raw;
    struct coord_request q;
    size_t bytes = 0;
    while (coord_txn_op_next(&cursor, &q) == 1) {
        bytes += ITEM_BYTES + text_bytes(q.path, SIZE_MAX) + text_bytes(q.to, SIZE_MAX) +
                 text_bytes(q.data, VALUE_BYTES);
    }
    return bytes;
}

static size_t txn_call_bytes(const struct coord_request *q)
{
    struct coord_bytes cursor = q->ifs.raw;
    struct coord_if c;
    size_t bytes = ops_bytes(&q->thens) + ops_bytes(&q->elses);
    while (coord_if_next(&cursor, &c) == 1) {
        bytes += ITEM_BYTES + text_bytes(c.path, SIZE_MAX) + text_bytes(c.data, VALUE_BYTES);
    }
    return bytes;
}

/* The recording ends here, whole: what comes cannot be told. */
static void stop(struct coord__recorder *rec, uint64_t now)
{
    if (begin(rec, LINE_BYTES)) {
        add(rec, "E %" PRIx64 " %" PRIu64 " stopped\n", rec->client, now);
        coord__record_flush(rec);
        rec->failed = true;
    }
}

void coord__record_call(struct coord__recorder *rec, const struct coord__request *r, uint64_t now)
{
    const char *name = name_asked(&r->q);
    size_t more = r->q.op == COORD_OP_TXN ? txn_call_bytes(&r->q) : 0;
    if (name == NULL) {
        return;
    }
    if (more > BUFFER_BYTES - LINE_BYTES) {
        stop(rec, now);
        return;
    }
    if (!begin(rec, LINE_BYTES + more)) {
        return;
    }
    add(rec, "C %" PRIx64 " %" PRIu64 " %" PRIu64 " %s", rec->client, r->id, now, name);
    add_arguments(rec, &r->q, ' ');
    add_own_arguments(rec, &r->q);
    add_ifs(rec, &r->q.ifs);
    add_ops(rec, "then", &r->q.thens);
    add_ops(rec, "else", &r->q.elses);
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

/* What a successful operation q answers, alone and in a transaction. */
static void add_answer(struct coord__recorder *rec, const struct coord_request *q,
                       const struct coord_result *res, char sep)
{
    switch (q->op) {
    case COORD_OP_CREATE:
        add(rec, "%cpath=", sep);
        add_bytes(rec, res->path);
        if ((q->flags & COORD_F_SEQUENTIAL) != 0) {
            add(rec, "%cseq=%" PRIu64, sep, res->sequence);
        }
        break;
    case COORD_OP_EXISTS:
        add(rec, "%cexists=%d", sep, res->exists ? 1 : 0);
        return;
    case COORD_OP_GET:
        add(rec, "%cdata=", sep);
        add_value(rec, res->data);
        break;
    case COORD_OP_INCREMENT:
        add(rec, "%cdata=s:%" PRId64, sep, res->value);
        break;
    case COORD_OP_SET:
    case COORD_OP_STAT:
    case COORD_OP_LIST:
    case COORD_OP_RENAME:
        break;
    default:
        return;
    }
    add(rec, "%cstat=", sep);
    add_stat(rec, &res->stat);
}

/* What a transaction answers. Of one that failed the servers do not say what was read before. */
static void add_txn_results(struct coord__recorder *rec, const struct coord_request *q,
                            const struct coord_result *res)
{
    bool then = res->branch == COORD_TXN_THEN;
    struct coord_bytes asked = then ? q->thens.raw : q->elses.raw;
    struct coord_bytes told = res->results.raw;
    struct coord_request one;
    struct coord_result answer;
    enum coord_op op;
    add(rec, " branch=%s rev=%" PRIu64, then ? "then" : "else", res->revision);
    for (uint64_t n = 1;
         coord_txn_op_next(&asked, &one) == 1 && coord_txn_result_next(&told, &op, &answer) == 1;
         n++) {
        bool read = coord_op_kind(one.op) == COORD_KIND_READ;
        if (n == res->failed || res->failed == 0) {
            add(rec, " r=%s", coord_errname(answer.error));
        } else if (n < res->failed) {
            add(rec, " r=%s", coord_errname(read ? COORD_EABORTED : 0));
        } else {
            add(rec, " r=-");
        }
        if (res->failed == 0) {
            add_answer(rec, &one, &answer, ';');
        }
    }
}

/* Bytes that add_txn_results takes at most. */
static size_t txn_reply_bytes(const struct coord_request *q, const struct coord_result *res)
{
    struct coord_bytes cursor = res->results.raw;
    struct coord_result one;
    enum coord_op op;
    size_t bytes = ITEM_BYTES * (size_t)q->thens.count + ITEM_BYTES * (size_t)q->elses.count;
    while (coord_txn_result_next(&cursor, &op, &one) == 1) {
        bytes += text_bytes(one.path, SIZE_MAX) + text_bytes(one.data, VALUE_BYTES);
    }
    return bytes;
}

/* What the servers decided says beside its receipt. */
static void add_result(struct coord__recorder *rec, const struct coord__out *out)
{
    const struct coord_request *q = &out->request->q;
    const struct coord_result *res = out->result;
    switch (q->op) {
    case COORD_OP_CREATE:
    case COORD_OP_RENAME:
        add(rec, " rev=%" PRIu64, res->stat.create_revision);
        break;
    case COORD_OP_SET:
    case COORD_OP_INCREMENT:
        add(rec, " rev=%" PRIu64, res->stat.modify_revision);
        break;
    case COORD_OP_DELETE:
    case COORD_OP_SYNC:
        add(rec, " rev=%" PRIu64, res->revision);
        break;
    case COORD_OP_TXN:
        add_txn_results(rec, q, res);
        break;
    default:
        break;
    }
    add_answer(rec, q, res, ' ');
    if (q->op == COORD_OP_LIST && (q->flags & COORD_LIST_COUNT) == 0) {
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
    bool decided = res != NULL && res->error == 0 && (out->error == 0 || out->request->decided);
    bool txn = decided && out->request->q.op == COORD_OP_TXN;
    size_t more = txn ? txn_reply_bytes(&out->request->q, res) : LIST_BYTES;
    if (name_of(out->request->q.op) == NULL || more > BUFFER_BYTES - LINE_BYTES ||
        !begin(rec, LINE_BYTES + more)) {
        return; /* too long an answer stays unknown */
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
    if (decided) {
        add_result(rec, out);
    }
    add_char(rec, '\n');
    if (session != rec->session) {
        note_session(rec, "SESSION", session, now);
    }
}

/* --- watches ----------------------------------------------------------------------------------- */

void coord__record_watch(struct coord__recorder *rec, const struct coord__watch *w, uint64_t now)
{
    if (begin(rec, LINE_BYTES)) {
        add(rec, "W %" PRIx64 " %" PRIu64 " %" PRIu64 " path=", rec->client, w->id, now);
        add_bytes(rec, w->q.path);
        add(rec, " depth=%d kinds=%" PRIu32 " from=%" PRIu64 "\n", (int)w->q.depth, w->q.kinds,
            w->q.revision);
    }
}

/* The changes of an event, as far as there is room. */
static void add_changes(struct coord__recorder *rec, const struct coord__out *out, size_t room)
{
    struct coord_bytes cursor = out->changes;
    struct coord_change c;
    size_t from = rec->len;
    while (coord_change_next(&cursor, &c) == 1) {
        if (rec->len - from > room) {
            add(rec, " more=1");
            break;
        }
        add(rec, " ch=%d;", (int)c.kind);
        add_bytes(rec, c.path);
        add(rec, ";%" PRIu64 ";%" PRIu64, c.version, c.create_revision);
        if (c.has_value) {
            add_char(rec, ';');
            add_value(rec, c.value);
        }
    }
}

void coord__record_event(struct coord__recorder *rec, const struct coord__out *out,
                         enum coord_watch_event_state told, uint64_t now)
{
    static const char *const names[] = {"", "ready", "changes", "progress", "gap", "ended"};
    bool changes = told == COORD_WATCH_CHANGES;
    size_t bytes = ITEM_BYTES * (size_t)out->changes_count + text_bytes(out->changes, SIZE_MAX);
    size_t room = !changes ? 0 : bytes < LIST_BYTES ? bytes : LIST_BYTES;
    if (!begin(rec, LINE_BYTES + room)) {
        return;
    }
    add(rec, "V %" PRIx64 " %" PRIu64 " %" PRIu64 " %s rev=%" PRIu64, rec->client, out->watch->id,
        now, names[told], out->revision);
    if (told == COORD_WATCH_ENDED) {
        add(rec, " error=%s", coord_errname(out->error));
    }
    if (changes) {
        add_changes(rec, out, room);
    }
    add_char(rec, '\n');
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
    add(rec, "\nH %" PRIx64 " coord-history/2 ", rec->client);
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
