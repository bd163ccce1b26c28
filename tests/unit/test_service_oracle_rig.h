/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_service_oracle_rig.h: histories for the tests of tests/service/oracle*.c. What is right comes from a
 * real state machine; a test then changes what the oracle hears of it.
 */
#ifndef COORD_TESTS_TEST_SERVICE_ORACLE_RIG_H
#define COORD_TESTS_TEST_SERVICE_ORACLE_RIG_H

#include "tests/service/oracle.h"
#include "tests/unit/test_machine_fixture.h"

#define RIG_MS UINT64_C(1000000)

struct rig {
    struct fixture f;
    struct oracle *o;
    uint64_t now;
    uint64_t calls;
    uint64_t number;         /* of requests */
    struct oracle_applied a; /* the last one, as the oracle heard it */
    uint64_t session;
    uint64_t epoch;
    enum coord_op last_op; /* decided under the last number, 0 none was */
};

static inline void rig_open(struct rig *r)
{
    struct oracle_options o;
    oracle_options_init(&o);
    memset(r, 0, sizeof(*r));
    fixture_open(&r->f, NULL);
    r->o = oracle_create(&o);
    r->now = 1000 * RIG_MS;
    ck_assert_ptr_null(oracle_member_state(r->o, 1, 0, 0, r->now));
    ck_assert_ptr_null(oracle_member_state(r->o, 2, 0, 0, r->now));
}

static inline void rig_close(struct rig *r)
{
    oracle_destroy(r->o);
    fixture_close(&r->f);
}

/* What the machine just did, as member 1 tells it. */
static inline const char *rig_tell(struct rig *r)
{
    r->a = (struct oracle_applied){.member = 1,
                                   .revision = r->f.revision,
                                   .bytes = r->f.entry->data,
                                   .len = r->f.entry->len,
                                   .error = r->f.o.error,
                                   .body = r->f.o.body,
                                   .changes_count = r->f.o.changes_count,
                                   .changes = r->f.o.changes,
                                   .ended_count = r->f.o.ended_count,
                                   .ended = r->f.o.ended};
    r->now += RIG_MS;
    return oracle_applied(r->o, &r->a, r->now);
}

/* A call by client 1, in the rig's session if q has a number. Return: its number. */
static inline uint64_t rig_call(struct rig *r, const struct coord_request *q)
{
    const struct oracle_call c = {
        .client = 1, .call = ++r->calls, .session = r->session, .number = q->number, .q = q};
    ck_assert_ptr_null(oracle_call(r->o, &c, r->now));
    r->now += RIG_MS;
    return r->calls;
}

/* Apply q and tell it. */
static inline const char *rig_apply(struct rig *r, const struct coord_request *q)
{
    (void)fixture_request(&r->f, r->session, r->epoch, q);
    return rig_tell(r);
}

/* Answer a call with *res, or with the machine's last answer when NULL. */
static inline const char *rig_answer(struct rig *r, uint64_t call, const struct coord_result *res)
{
    struct coord_result own = r->f.res;
    own.receipt = (struct coord_receipt){
        .member = 1, .role = 4, .term = 1, .revision = r->f.revision, .age_ms = 0};
    const struct coord_result *told = res == NULL ? &own : res;
    const struct oracle_reply reply = {
        .client = 1,
        .call = call,
        .error = told->error,
        .error_class = told->error == 0 ? 0 : (enum coord_error_class)coord_errclass(told->error),
        .result = told};
    r->now += RIG_MS;
    return oracle_reply(r->o, &reply, r->now);
}

/* Call, apply, answer. */
static inline const char *rig_write(struct rig *r, struct coord_request q)
{
    q.number = q.number == 0 ? ++r->number : q.number;
    uint64_t call = rig_call(r, &q);
    const char *said = rig_apply(r, &q);
    r->last_op = r->f.o.error == COORD_EBADREQUEST ? 0 : q.op;
    return said != NULL ? said : rig_answer(r, call, NULL);
}

/* A read of the machine's state now, decoded into f.res as a client sees it. */
static inline void rig_read(struct rig *r, const struct coord_request *q)
{
    struct coord_result res;
    struct coord_buf *b = NULL;
    char why[128];
    (void)machine_read(r->f.m, q, &res);
    res.number = 1;
    res.receipt = (struct coord_receipt){
        .member = 1, .role = 4, .term = 1, .revision = r->f.revision, .level = q->level};
    ck_assert_int_eq(coord_result_encode(q->op, &res, &b), 0);
    coord_buf_unref(r->f.reply);
    r->f.reply = b;
    ck_assert_int_eq(coord_result_decode(q->op, b->data + COORD_FRAME_HEADER_BYTES,
                                         b->len - COORD_FRAME_HEADER_BYTES, &r->f.res, why,
                                         sizeof(why)),
                     0);
}

static inline void rig_session(struct rig *r, uint64_t timeout_ms)
{
    struct coord_request q = {.op = COORD_OP_SESSION_OPEN, .number = 1, .timeout_ms = timeout_ms};
    r->session = 0;
    uint64_t call = rig_call(r, &q);
    r->session = fixture_session(&r->f, 7, timeout_ms);
    r->epoch = r->session;
    ck_assert_ptr_null(rig_tell(r));
    ck_assert_ptr_null(rig_answer(r, call, NULL));
}

static inline void rig_id_epoch(uint8_t out[16], uint64_t id, uint64_t epoch)
{
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(id >> (8 * i));
        out[8 + i] = (uint8_t)(epoch >> (8 * i));
    }
}

/* The leader gives the rig's session up. */
static inline const char *rig_expire(struct rig *r)
{
    uint8_t body[16];
    rig_id_epoch(body, r->session, r->epoch);
    (void)fixture_apply(&r->f, (struct entry){.kind = ENTRY_EXPIRE}, NULL, 0, body, sizeof(body));
    return rig_tell(r);
}

#define RIG_OK(said)                                           \
    do {                                                       \
        const char *rig_said = (said);                         \
        ck_assert_msg(rig_said == NULL, "said: %s", rig_said); \
    } while (0)
/* The sentence must begin with the rule. */
#define RIG_BREAKS(rule, said)                                                                   \
    do {                                                                                         \
        const char *rig_said = (said);                                                           \
        ck_assert_msg(rig_said != NULL, "%s was not noticed", rule);                             \
        ck_assert_msg(strncmp(rig_said, rule ":", strlen(rule) + 1) == 0, "said: %s", rig_said); \
    } while (0)

#endif
